"""Logging in, tokens, keys: over HTTP, on a server that asks for keys."""

import time

import httpx
import jwt
import openai
import pytest

from tenants import PASSWORD, SECRET, Tenants, error

SPEECH = {"model": "TONE", "voice": "tone", "input": "Hello.", "response_format": "pcm"}


def login(client: httpx.Client, who: str = "owner@audio.example", **more: str) -> dict[str, str]:
    answer = client.post("/auth/login", json={"email": who, "password": PASSWORD, **more})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_login_gives_tokens_that_work(tenants: Tenants):
    with tenants.client() as client:
        tokens = login(client, "OWNER@audio.example")
        assert (tokens["token_type"], tokens["expires_in"], tokens["org_id"]) == ("bearer", 900, tenants.a.id)
        me = client.get("/auth/me", headers=bearer(tokens["access_token"])).json()
        assert (me["org_id"], me["org"], me["role"]) == (tenants.a.id, "Asha Audio", "owner")
        assert "operator" not in me["scopes"]
        spoken = client.post("/v1/audio/speech", json=SPEECH, headers=bearer(tokens["access_token"]))
        assert spoken.status_code == 200
        assert len(spoken.content) > 1_000


def test_a_refresh_token_is_good_once_and_a_second_use_ends_the_session(tenants: Tenants):
    with tenants.client() as client:
        first = login(client)
        body = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = client.post("/auth/token", json=body).json()
        assert second["refresh_token"] != first["refresh_token"]
        assert client.get("/auth/me", headers=bearer(second["access_token"])).status_code == 200
        again = client.post("/auth/token", json=body)
        assert (again.status_code, error(again)["code"]) == (401, "invalid_refresh_token")
        for token in (first["access_token"], second["access_token"]):
            assert error(client.get("/auth/me", headers=bearer(token)))["code"] == "session_ended"
        body["refresh_token"] = second["refresh_token"]
        assert client.post("/auth/token", json=body).status_code == 401
        # Other sessions of the user go on.
        assert client.get("/auth/me", headers=bearer(login(client)["access_token"])).status_code == 200


def test_logging_out_ends_the_session(tenants: Tenants):
    with tenants.client() as client:
        tokens = login(client)
        headers = bearer(tokens["access_token"])
        assert client.post("/auth/logout", headers=headers).status_code == 204
        assert client.get("/auth/me", headers=headers).status_code == 401
        body = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert client.post("/auth/token", json=body).status_code == 401


def test_an_api_key_is_exchanged_for_a_token_that_may_do_the_same(tenants: Tenants):
    with tenants.client() as client:
        body = {"grant_type": "api_key", "api_key": tenants.a.key}
        tokens = client.post("/auth/token", json=body).json()
        assert tokens["refresh_token"] is None
        me = client.get("/auth/me", headers=bearer(tokens["access_token"])).json()
        assert (me["org_id"], me["key_id"]) == (tenants.a.id, tenants.a.key_id)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"grant_type": "refresh_token"}, 400, "refresh_token"),
        ({"grant_type": "api_key"}, 400, "api_key"),
        ({"grant_type": "password"}, 400, "grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "atr_x"}, 401, None),
        ({"grant_type": "api_key", "api_key": "atk_x"}, 401, None),
        ({"grant_type": "api_key", "api_key": "x"}, 401, None),
    ],
)
def test_bad_exchanges_are_refused(tenants: Tenants, body: dict[str, str], status: int, param: str | None):
    with tenants.client() as client:
        answer = client.post("/auth/token", json=body)
        assert (answer.status_code, error(answer)["param"]) == (status, param)


def test_unknown_users_and_wrong_passwords_are_answered_alike(tenants: Tenants):
    wrong = [
        {"email": "nobody@audio.example", "password": PASSWORD},
        {"email": "admin@audio.example", "password": "wrong"},
        {"email": "admin@audio.example", "password": PASSWORD, "org": tenants.b.id},
        {"email": "admin@audio.example", "password": PASSWORD, "org": "none"},
    ]
    with tenants.client() as client:
        answers = [client.post("/auth/login", json=body) for body in wrong]
        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"authorization": "Bearer"}, "missing_api_key"),
        ({"authorization": "Basic abc"}, "missing_api_key"),
        ({"authorization": "Bearer local"}, "invalid_api_key"),
        ({"authorization": "Bearer atk_0123456789abcdef_" + "x" * 43}, "invalid_api_key"),
        ({"xi-api-key": "wrong"}, "invalid_api_key"),
    ],
)
def test_without_a_good_key_nothing_is_spoken(tenants: Tenants, headers: dict[str, str], code: str):
    with tenants.client() as client:
        answer = client.post("/v1/audio/speech", json=SPEECH, headers=headers)
        assert (answer.status_code, error(answer)["code"]) == (401, code)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_secret_half_of_a_key_is_needed(tenants: Tenants):
    broken = tenants.a.key[:-1] + ("A" if tenants.a.key[-1] != "A" else "B")
    with tenants.client() as client:
        assert client.get("/auth/me", headers=bearer(broken)).status_code == 401
        assert client.get("/auth/me", headers={"xi-api-key": tenants.a.key}).status_code == 200


@pytest.mark.parametrize("change", ["none", "other secret", "expired", "other issuer", "unsigned"])
def test_a_token_is_believed_only_as_it_was_signed(tenants: Tenants, change: str):
    now = int(time.time())
    claims = {
        "iss": "awaaztwin",
        "iat": now,
        "exp": now + 60,
        "org": tenants.a.id,
        "sub": tenants.a.users["owner"],
    }
    secret, algorithm = SECRET, "HS256"
    match change:
        case "other secret":
            secret = SECRET[::-1]
        case "expired":
            claims["exp"] = now - 1
        case "other issuer":
            claims["iss"] = "other"
        case "unsigned":
            algorithm = "none"
        case _:
            pass
    token = jwt.encode(claims, "" if algorithm == "none" else secret, algorithm)
    with tenants.client() as client:
        answer = client.get("/auth/me", headers=bearer(token))
        assert answer.status_code == (200 if change == "none" else 401)
        if change == "expired":
            assert error(answer)["code"] == "token_expired"


def test_the_sdk_raises_its_own_errors(tenants: Tenants):
    with (
        openai.OpenAI(base_url=tenants.server.api, api_key="atk_wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
    with openai.OpenAI(base_url=tenants.server.api, api_key=tenants.a.key, max_retries=0) as client:
        spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
        assert len(spoken.content) > 1_000


def test_a_key_does_no_more_than_its_scopes(tenants: Tenants):
    with tenants.client(tenants.a) as client:
        made = client.post("/admin/keys", json={"name": "only speech", "scopes": ["speech"]}).json()
    with tenants.client() as client:
        headers = bearer(made["key"])
        assert client.post("/v1/audio/speech", json=SPEECH, headers=headers).status_code == 200
        for path in ("/v1/models", "/v1/audio/voices", "/usage", "/admin/keys", "/config"):
            answer = client.get(path, headers=headers)
            assert (answer.status_code, error(answer)["code"]) == (403, "insufficient_scope")


def test_a_key_ends_when_it_says_and_when_it_is_revoked(tenants: Tenants):
    with tenants.client(tenants.a) as client:
        old = {"name": "old", "expires_at": "2020-01-01T00:00:00Z"}
        expired = client.post("/admin/keys", json=old).json()
        made = client.post("/admin/keys", json={"name": "short-lived"}).json()
        assert client.get("/v1/models", headers=bearer(expired["key"])).status_code == 401
        assert client.get("/v1/models", headers=bearer(made["key"])).status_code == 200
        revoked = client.delete(f"/admin/keys/{made['id']}").json()
        assert revoked["revoked_at"] is not None
        assert client.get("/v1/models", headers=bearer(made["key"])).status_code == 401
        listed = client.get("/admin/keys").json()["data"]
        assert made["id"] in {key["id"] for key in listed}
        assert made["key"][21:] not in str(listed)


def test_a_key_of_a_user_goes_with_the_user(tenants: Tenants):
    with tenants.client(tenants.a) as client, tenants.client(tenants.operator) as operator:
        new = {"email": "temp@audio.example", "role": "admin", "password": PASSWORD}
        user = operator.post("/admin/users", params={"org_id": tenants.a.id}, json=new).json()
        token = login(client, "temp@audio.example")["access_token"]
        key = client.post("/admin/keys", json={"name": "mine"}, headers=bearer(token)).json()
        assert key["user_id"] == user["id"]
        assert client.get("/v1/models", headers=bearer(key["key"])).status_code == 200
        assert client.delete(f"/admin/users/{user['id']}").status_code == 204
        assert client.get("/v1/models", headers=bearer(key["key"])).status_code == 401
        assert client.get("/auth/me", headers=bearer(token)).status_code == 401


def test_a_locked_organisation_is_locked_for_all_of_its_keys(tenants: Tenants):
    with tenants.client(tenants.operator) as client:
        org = client.post("/admin/orgs", json={"name": "Locked"}).json()
        key = client.post("/admin/keys", params={"org_id": org["id"]}, json={"name": "k"}).json()
        headers = bearer(key["key"])
        assert client.get("/v1/models", headers=headers).status_code == 200
        assert client.patch(f"/admin/orgs/{org['id']}", json={"disabled": True}).status_code == 200
        assert error(client.get("/v1/models", headers=headers))["code"] == "organization_disabled"
        assert client.patch(f"/admin/orgs/{org['id']}", json={"disabled": False}).status_code == 200
        assert client.get("/v1/models", headers=headers).status_code == 200
