"""Invitations, passwords and locked-out users, over HTTP, on a server with each kind of database."""

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from databases import KINDS, database_address
from tenants import PASSWORD, Tenant, Tenants, error, settings, start_tenants

NEW = "tiger lamp kettle"
OTHER = "violet umbrella quarry"

GROWS = ["\u0130" * 318 + "@x", "\ufdfa" * 60 + "@example.com", "\ufb03" * 110 + "@x"]
"""Addresses of 320 characters or fewer that are longer in the form in which they are kept."""


@pytest.fixture(scope="module", params=KINDS)
def tenants(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Tenants, None, None]:
    folder = tmp_path_factory.mktemp("accounts")
    with asyncio.Runner() as runner:
        database = database_address(request.param, folder)
        address = runner.run(database.__aenter__())
        # A server without a public address, whose guesses are forgotten only after the tests.
        given = settings(storage={"db_url": address}, auth={"login_window_seconds": 3_600})
        running = start_tenants(folder, given)
        yield running
        running.server.stop()
        runner.run(database.__aexit__(None, None, None))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def login(client: httpx.Client, email: str, password: str, **more: str) -> httpx.Response:
    return client.post("/auth/login", json={"email": email, "password": password, **more})


def token_of(client: httpx.Client, email: str, password: str, **more: str) -> str:
    answer = login(client, email, password, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def invite(tenants: Tenants, tenant: Tenant, email: str, role: str = "member") -> str:
    with tenants.client(tenant) as client:
        answer = client.post("/admin/invitations", json={"email": email, "role": role})
        assert answer.status_code == 201, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()["token"]


def accept(tenants: Tenants, token: str, **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    with tenants.client() as client:
        return client.post("/auth/invitations/accept", json={"token": token, **more}, headers=headers)


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, error(answer)["code"]) == (status, code), answer.text


def person(tenants: Tenants, tenant: Tenant, email: str, role: str = "member") -> str:
    """Somebody with the password NEW and a place; gives their id."""
    answer = accept(tenants, invite(tenants, tenant, email, role), password=NEW)
    assert answer.status_code == 201, answer.text
    return answer.json()["user_id"]


def events(tenants: Tenants, tenant: Tenant) -> list[tuple[str, str]]:
    with tenants.client(tenant) as client:
        return [(event["action"], event["target"]) for event in client.get("/admin/audit").json()["data"]]


def test_somebody_new_accepts_an_invitation(tenants: Tenants):
    with tenants.client(tenants.a) as client:
        made = client.post(
            "/admin/invitations",
            json={"email": "Asha@Example.COM", "role": "admin"},
            headers={"host": "evil.example"},
        ).json()
        assert (made["email"], made["role"], made["url"]) == ("asha@example.com", "admin", None)
        assert made["path"] == "/auth/invitations/accept"
        listed = client.get("/admin/invitations")
        assert made["id"] in {entry["id"] for entry in listed.json()["data"]}
        assert made["token"] not in listed.text
        # Until then nobody is of that address.
        assert "asha@example.com" not in client.get("/admin/users").text
        answer = accept(tenants, made["token"], password=NEW, name="Asha")
        assert answer.status_code == 201, answer.text
        place = answer.json()
        assert (place["email"], place["org"], place["role"]) == ("asha@example.com", "Asha Audio", "admin")
        assert client.get("/admin/invitations").json()["data"] == [
            entry for entry in listed.json()["data"] if entry["id"] != made["id"]
        ]
        user = client.get(f"/admin/users/{place['user_id']}").json()
        assert (user["name"], user["role"]) == ("Asha", "admin")
        assert login(client, "ASHA@example.com", NEW).status_code == 200
        refused(accept(tenants, made["token"], password=NEW), 400, "invitation_not_found")
    told = events(tenants, tenants.a)
    assert ("invitation.created", made["id"]) in told
    assert ("invitation.accepted", place["user_id"]) in told


def test_an_invitation_ends_when_it_is_revoked_or_made_anew(tenants: Tenants):
    first = invite(tenants, tenants.a, "ravi@example.com")
    second = invite(tenants, tenants.a, "RAVI@example.com")
    refused(accept(tenants, first, password=NEW), 400, "invitation_not_found")
    with tenants.client(tenants.a) as client:
        (entry,) = [
            found
            for found in client.get("/admin/invitations").json()["data"]
            if found["email"] == "ravi@example.com"
        ]
        revoked = client.delete(f"/admin/invitations/{entry['id']}")
        assert revoked.json()["revoked_at"] is not None
    refused(accept(tenants, second, password=NEW), 400, "invitation_not_found")


def test_an_invitation_is_accepted_once_however_close_together(tenants: Tenants):
    token = invite(tenants, tenants.a, "twice@example.com")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda password: accept(tenants, token, password=password), (NEW, OTHER)))
    taken = [answer for answer in answers if answer.status_code == 201]
    assert len(taken) == 1, [answer.text for answer in answers]
    assert {answer.status_code for answer in answers if answer not in taken} <= {400, 401, 409}


def test_an_address_that_was_claimed_opens_no_other_organisation(tenants: Tenants):
    """An admin of A invites and accepts for a future member of B, with a password that he knows."""
    person(tenants, tenants.a, "future@books.example")
    token = invite(tenants, tenants.b, "future@books.example", "admin")
    # The right person has the token and not that password: no account, no place.
    refused(accept(tenants, token, password=OTHER), 401, "invalid_credentials")
    with tenants.client() as client, tenants.client(tenants.b) as owner:
        assert login(client, "future@books.example", NEW, org=tenants.b.id).status_code == 401
        assert "future@books.example" not in owner.get("/admin/users").text
    with tenants.client(tenants.operator) as operator, tenants.client() as client:
        users = operator.get("/admin/users", params={"org_id": tenants.a.id, "limit": 1000}).json()["data"]
        (user,) = [entry["id"] for entry in users if entry["email"] == "future@books.example"]
        claimed = token_of(client, "future@books.example", NEW)
        reset = operator.post(f"/admin/users/{user}/reset").json()
        answer = client.post("/auth/password/reset", json={"token": reset["token"], "password": OTHER})
        assert answer.status_code == 204
        # The password of whoever claimed it is of no use any more, nor are their sessions.
        assert login(client, "future@books.example", NEW).status_code == 401
        assert client.get("/auth/me", headers=bearer(claimed)).status_code == 401
    assert accept(tenants, token, password=OTHER).status_code == 201


def test_the_token_alone_hands_no_account_over(tenants: Tenants):
    user = person(tenants, tenants.a, "both@example.com")
    token = invite(tenants, tenants.b, "both@example.com", "service")
    stranger = person(tenants, tenants.a, "stranger@example.com")
    assert stranger != user
    refused(accept(tenants, token), 400, "missing")
    refused(accept(tenants, token, headers=tenants.a.headers()), 401, "invalid_credentials")
    with tenants.client() as client:
        other = bearer(token_of(client, "stranger@example.com", NEW))
        refused(accept(tenants, token, headers=other), 401, "invalid_credentials")
        own = bearer(token_of(client, "both@example.com", NEW))
    refused(accept(tenants, token, name="Other", headers=own), 400, None)  # pyright: ignore[reportArgumentType]
    answer = accept(tenants, token, headers=own)
    assert (answer.status_code, answer.json()["user_id"]) == (201, user), answer.text
    with tenants.client() as client:
        assert login(client, "both@example.com", NEW, org=tenants.b.id).status_code == 200


def test_a_token_tells_nothing_of_its_address_by_bad_tries(tenants: Tenants):
    person(tenants, tenants.b, "known@example.com")
    tokens = [invite(tenants, tenants.a, email) for email in ("known@example.com", "unknown@example.com")]
    for tried in ({}, {"password": "short"}, {"password": "password1234"}, {"name": "x"}):
        answers = [accept(tenants, token, **tried) for token in tokens]
        assert answers[0].status_code == 400
        assert answers[0].content == answers[1].content


def test_guesses_at_the_password_of_an_account_are_counted(tenants: Tenants):
    person(tenants, tenants.a, "guessed@example.com")
    token = invite(tenants, tenants.b, "guessed@example.com")
    codes = [error(accept(tenants, token, password=OTHER))["code"] for _ in range(8)]
    assert codes[0] == "invalid_credentials"
    assert codes[-1] == "too_many_logins"


@pytest.mark.parametrize("email", [*GROWS, "no address", "a@b@c", "a\u200b@example.com", "a\uff20b@c"])
def test_addresses_that_cannot_be_kept_are_refused(tenants: Tenants, email: str):
    with tenants.client(tenants.operator) as client:
        for path in ("/admin/invitations", "/admin/users"):
            answer = client.post(path, json={"email": email})
            assert (answer.status_code, error(answer)["param"]) == (400, "email"), answer.text
        assert login(client, email, NEW).status_code == 400


def test_alike_addresses_are_one(tenants: Tenants):
    person(tenants, tenants.a, "\uff21nil.\u00df@example.com")
    with tenants.client() as client:
        assert login(client, "ANIL.SS@EXAMPLE.COM", NEW).status_code == 200


def test_only_the_operator_makes_users_and_nothing_is_ignored(tenants: Tenants):
    body = {"email": "vouched@example.com", "password": NEW, "role": "member", "name": "V"}
    with tenants.client(tenants.a) as client:
        refused(client.post("/admin/users", json=body), 403, "insufficient_scope")
    with tenants.client(tenants.operator) as client:
        params = {"org_id": tenants.a.id}
        made = client.post("/admin/users", json=body, params=params)
        assert made.status_code == 201, made.text
        assert (made.json()["vouched"], made.json()["name"]) == (True, "V")
        for other in (tenants.a.id, tenants.b.id):
            answer = client.post("/admin/users", json={**body, "password": OTHER}, params={"org_id": other})
            refused(answer, 409, "conflict")
        weak = {**body, "email": "weak@example.com", "password": "password1234"}
        refused(client.post("/admin/users", json=weak, params=params), 400, "password_too_weak")
        assert login(client, "vouched@example.com", NEW).status_code == 200
        log = client.get("/admin/audit", params=params).json()["data"]
        (event,) = [entry for entry in log if entry["target"] == made.json()["id"]]
        assert (event["action"], event["details"]["vouched"]) == ("member.added", True)
        # Nobody sets another's password, the operator neither.
        answer = client.patch(f"/admin/users/{made.json()['id']}", json={"password": OTHER}, params=params)
        assert answer.status_code == 400


def test_ones_own_password_is_changed_with_the_old_one(tenants: Tenants):
    person(tenants, tenants.a, "own@example.com")
    with tenants.client() as client:
        here, there = (token_of(client, "own@example.com", NEW) for _ in range(2))
        body = {"old_password": NEW, "password": OTHER}
        wrong = client.post("/auth/password", json={**body, "old_password": OTHER}, headers=bearer(here))
        refused(wrong, 403, "invalid_credentials")
        weak = client.post("/auth/password", json={**body, "password": "short"}, headers=bearer(here))
        refused(weak, 400, "password_too_short")
        assert client.post("/auth/password", json=body, headers=bearer(here)).status_code == 204
        assert client.get("/auth/me", headers=bearer(here)).status_code == 200
        assert client.get("/auth/me", headers=bearer(there)).status_code == 401
        assert login(client, "own@example.com", NEW).status_code == 401
        assert login(client, "own@example.com", OTHER).status_code == 200
        key = client.post("/auth/password", json=body, headers=tenants.a.headers())
        refused(key, 403, "session_required")
    assert "user.password_changed" in {action for action, _ in events(tenants, tenants.a)}


def test_a_reset_is_the_operators_and_good_once(tenants: Tenants):
    user = person(tenants, tenants.a, "forgot@example.com")
    with tenants.client(tenants.a) as client:
        refused(client.post(f"/admin/users/{user}/reset"), 403, "insufficient_scope")
    with tenants.client(tenants.operator) as operator, tenants.client() as client:
        old = token_of(client, "forgot@example.com", NEW)
        first, second = (operator.post(f"/admin/users/{user}/reset").json()["token"] for _ in range(2))
        assert client.get("/auth/me", headers=bearer(old)).status_code == 200

        def choose(token: str, password: str) -> httpx.Response:
            return client.post("/auth/password/reset", json={"token": token, "password": password})

        refused(choose(first, OTHER), 400, "reset_not_found")
        refused(choose(second, "forgot@example.com"), 400, "password_too_weak")
        assert choose(second, OTHER).status_code == 204
        refused(choose(second, NEW), 400, "reset_not_found")
        assert client.get("/auth/me", headers=bearer(old)).status_code == 401
        assert login(client, "forgot@example.com", OTHER).status_code == 200
        refused(operator.post("/admin/users/user_x/reset"), 404, "user_not_found")


def test_a_user_who_is_locked_out_is_so_at_once_and_everywhere(tenants: Tenants):
    user = person(tenants, tenants.a, "gone@example.com", "admin")
    path, params = f"/admin/users/{user}", {"org_id": tenants.a.id}
    with tenants.client(tenants.operator) as operator, tenants.client() as client:
        session = client.post("/auth/login", json={"email": "gone@example.com", "password": NEW}).json()
        headers = bearer(session["access_token"])
        key = client.post("/admin/keys", json={"name": "theirs"}, headers=headers).json()["key"]
        reset = operator.post(f"{path}/reset").json()["token"]
        refused(client.patch(path, json={"disabled": True}, headers=headers), 403, "insufficient_scope")

        answer = operator.patch(path, json={"disabled": True}, params=params)
        assert answer.json()["disabled_at"] is not None
        for credential in (session["access_token"], key):
            assert client.get("/v1/models", headers=bearer(credential)).status_code == 401
        refresh = {"grant_type": "refresh_token", "refresh_token": session["refresh_token"]}
        assert client.post("/auth/token", json=refresh).status_code == 401
        assert login(client, "gone@example.com", NEW).status_code == 401
        token = invite(tenants, tenants.b, "gone@example.com")
        refused(accept(tenants, token, password=NEW), 401, "invalid_credentials")
        choice = {"token": reset, "password": OTHER}
        refused(client.post("/auth/password/reset", json=choice), 400, "reset_not_found")

        assert operator.patch(path, json={"disabled": False}, params=params).json()["disabled_at"] is None
        assert login(client, "gone@example.com", NEW).status_code == 200
        # A session that was ended does not come back.
        assert client.get("/v1/models", headers=headers).status_code == 401
        assert client.get("/v1/models", headers=bearer(key)).status_code == 200
    told = {action for action, target in events(tenants, tenants.a) if target == user}
    assert {"user.disabled", "user.enabled"} <= told


def test_the_last_owner_cannot_go(tenants: Tenants):
    owner, params = tenants.b.users["owner"], {"org_id": tenants.b.id}
    with tenants.client(tenants.operator) as client:
        for answer in (
            client.patch(f"/admin/users/{owner}", json={"role": "admin"}, params=params),
            client.patch(f"/admin/users/{owner}", json={"disabled": True}, params=params),
            client.delete(f"/admin/users/{owner}", params=params),
        ):
            refused(answer, 409, "last_owner")


def test_a_co_owner_cannot_touch_an_operator(tenants: Tenants):
    operator = tenants.operator.users["owner"]
    token = invite(tenants, tenants.a, "owner@operator.example", "admin")
    assert accept(tenants, token, password=PASSWORD).status_code == 201
    with tenants.client() as client:
        headers = bearer(token_of(client, "owner@audio.example", PASSWORD))
        path = f"/admin/users/{operator}"
        refused(client.delete(path, headers=headers), 403, "insufficient_role")
        refused(client.patch(path, json={"role": "service"}, headers=headers), 403, "insufficient_role")
        assert client.get(path, headers=headers).json()["operator"] is True
