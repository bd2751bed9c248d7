"""Two organisations: every route, every id of one tried with the other's key and with none."""

import re
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from services.app import create_app
from services.config import LoadedSettings, Settings
from services.declarations import declared
from services.tenancy.scopes import Scope

from tenants import Tenant, Tenants, error
from voices import attest, create, say, settled

OPEN = {
    "/health/live",
    "/livez",
    "/healthz",
    "/health/ready",
    "/readyz",
    "/docs",
    "/docs/{name}",
    "/openapi.json",
    "/auth/login",
    "/auth/token",
    "/auth/invitations/accept",
    "/auth/password/reset",
}
"""Routes that ask nobody who they are."""

FRAMEWORK = [
    "/docs.json",
    "/schema.json",
    "/synthesize",
    "/call",
    "/",
    "/favicon.ico",
    "/static_content/x",
]
"""Paths of BentoML's own, and such as it might have."""


def every_route() -> list[tuple[APIRoute, str]]:
    routes = create_app(LoadedSettings(Settings()), lambda _: "unix:///nowhere").routes
    return [
        (route, method)
        for route in routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]


ROUTES = every_route()
NAMES = [f"{method} {route.path}" for route, method in ROUTES]


@pytest.mark.parametrize(("route", "method"), ROUTES, ids=NAMES)
def test_every_route_declares_what_it_asks_for(route: APIRoute, method: str):
    access = declared(route.endpoint)
    assert access is not None, f"{method} {route.path} declares no access"
    assert access.everyone == (route.path in OPEN)


@pytest.mark.parametrize(("route", "method"), ROUTES, ids=NAMES)
def test_without_a_key_no_route_answers(tenants: Tenants, route: APIRoute, method: str):
    if route.path in OPEN:
        return
    path = re.sub(r"\{(\w+)\}", "some_id", route.path)
    with tenants.client() as client:
        answer = client.request(method, path, json={})
        assert answer.status_code == 401
        if method != "HEAD":
            assert error(answer)["code"] == "missing_api_key"


@pytest.mark.parametrize("path", FRAMEWORK)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_framework_has_no_routes_of_its_own(tenants: Tenants, method: str, path: str):
    for tenant in (None, tenants.operator):
        with tenants.client(tenant) as client:
            answer = client.request(method, path)
            assert answer.status_code == 404
            assert error(answer)["code"] == "unknown_url"


def ids_of(tenants: Tenants, tenant: Tenant) -> dict[str, str]:
    """One id of every kind that a tenant has, by the name it has in paths."""
    body = {"model": "TONE", "voice": "tone", "input": "Hello.", "store": True}
    with tenants.client(tenant) as client:
        spoken = client.post("/v1/audio/speech", json=body)
        assert client.get(f"/audio/{spoken.headers['x-audio-id']}").content == spoken.content
        voice = create(client, f"Voice of {tenant.name}", aliases=ALIAS, description=tenant.name)["id"]
        consent = attest(client, voice)["id"]
        (sample,) = client.get(f"/voices/{voice}/samples").json()["data"]
        assert settled(client, voice)["state"] == "ready"
        invited = client.post("/admin/invitations", json={"email": "guest@elsewhere.example"}).json()
    return {
        "org_id": tenant.id,
        "key_id": tenant.key_id,
        "user_id": tenant.users["member"],
        "invitation_id": invited["id"],
        "audio_id": spoken.headers["x-audio-id"],
        "voice_id": voice,
        "sample_id": sample["id"],
        "consent_id": consent,
        "alias": ALIAS,
    }


ALIAS = "nova"

SHARED = {"model", "name"}
"""Path parameters that name nothing of a tenant's: engines, files of the docs."""


@pytest.fixture(scope="module")
def theirs(tenants: Tenants) -> Generator[dict[str, str], None, None]:
    """What the second organisation has."""
    made = ids_of(tenants, tenants.b)
    yield made
    with tenants.client(tenants.b) as client:
        assert client.delete(f"/voices/{made['voice_id']}").status_code == 204
        assert client.delete(f"/admin/invitations/{made['invitation_id']}").status_code == 200


def attempts(tenants: Tenants, theirs: dict[str, str]) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Method, path, query, and whether the route is the operator's alone."""
    for route, method in ROUTES:
        access = declared(route.endpoint)
        operators = access is not None and access.scope is Scope.OPERATOR
        names = set(re.findall(r"\{(\w+)\}", route.path)) - SHARED
        if names:
            assert names <= set(theirs), f"{route.path} has ids that this test does not know"
            yield method, route.path.format(**theirs), {}, operators
        if any(field.name == "org_id" for field in route.dependant.query_params):
            path = re.sub(r"\{(\w+)\}", lambda match: theirs.get(match[1], "x"), route.path)
            yield method, path, {"org_id": tenants.b.id}, operators


def test_no_id_of_another_organisation_opens_anything(tenants: Tenants, theirs: dict[str, str]):
    bodies: dict[str, Any] = {"PATCH": {}, "POST": {"name": "x", "email": "x@audio.example"}}
    tried = 0
    for method, path, params, operators_only in attempts(tenants, theirs):
        with tenants.client(tenants.a) as client:
            answer = client.request(method, path, params=params, json=bodies.get(method))
        assert answer.status_code in ({403} if operators_only else {400, 404}), (
            f"{method} {path}: {answer.text}"
        )
        assert_tells_nothing(answer, tenants.b, path)
        tried += 1
    assert tried > 10


def test_the_other_organisation_is_as_it_was(tenants: Tenants):
    with tenants.client(tenants.b) as client:
        assert client.get("/auth/me").status_code == 200
        users = {user["id"] for user in client.get("/admin/users").json()["data"]}
        assert users == set(tenants.b.users.values())


def test_lists_hold_ones_own_only(tenants: Tenants, theirs: dict[str, str]):
    with tenants.client(tenants.a) as client:
        for path in (
            "/admin/users",
            "/admin/keys",
            "/admin/invitations",
            "/admin/audit",
            "/usage",
            "/usage?format=csv",
            "/audio",
            "/voices",
            "/voices?search=voice",
            f"/voices?after={theirs['voice_id']}",
            "/consents?revoked=true",
            f"/consents?after={theirs['consent_id']}",
            "/v1/voices",
            "/v1/audio/voices",
            "/v1/audio/voice_consents",
        ):
            answer = client.get(path)
            assert answer.status_code == 200
            assert_tells_nothing(answer, tenants.b)
            assert not [told for name, told in theirs.items() if name != "alias" and told in answer.text]


def test_another_organisations_voice_does_not_speak(tenants: Tenants, theirs: dict[str, str]):
    with tenants.client(tenants.a) as client, tenants.client(tenants.b) as owner:
        for wanted in (theirs["voice_id"], f"Voice of {tenants.b.name}", ALIAS):
            assert say(owner, wanted, model="TONE").status_code == 200
            answer = say(client, wanted, model="TONE")
            assert (answer.status_code, error(answer)["code"]) == (400, "voice_not_found")
            assert "Your own voices" not in error(answer)["message"]
        # Names and recordings are one's own: the same again is no conflict, and tells nothing.
        own = create(client, f"Voice of {tenants.b.name}", aliases=ALIAS)
        assert own["aliases"] == [ALIAS]
        moved = client.patch(f"/voices/{own['id']}", json={"consent": theirs["consent_id"]})
        assert (moved.status_code, error(moved)["code"]) == (404, "consent_not_found")
        assert client.delete(f"/voices/{own['id']}").status_code == 204
        assert say(owner, ALIAS, model="TONE").status_code == 200


def test_nobody_learns_of_another_organisations_user(tenants: Tenants):
    with tenants.client(tenants.a) as client:
        answers = [
            client.post("/admin/invitations", json={"email": email}).json()
            for email in ("member@books.example", "member@stars.example")
        ]
        own = ("id", "token", "created_at", "expires_at")
        for answer in answers:
            assert client.delete(f"/admin/invitations/{answer['id']}").status_code == 200
        alike = [{name: value for name, value in answer.items() if name not in own} for answer in answers]
        assert alike[0] == {**alike[1], "email": "member@books.example"}
        assert_tells_nothing(client.get("/admin/invitations"), tenants.b)
        # Only of one's own: they are in the list of members in any case.
        own_member = client.post("/admin/invitations", json={"email": "member@audio.example"})
        assert own_member.status_code == 409


def test_the_operator_sees_all(tenants: Tenants):
    with tenants.client(tenants.operator) as client:
        orgs = {org["id"] for org in client.get("/admin/orgs").json()["data"]}
        assert {tenants.a.id, tenants.b.id, tenants.operator.id} <= orgs
        theirs = client.get("/admin/users", params={"org_id": tenants.b.id}).json()["data"]
        assert {user["id"] for user in theirs} == set(tenants.b.users.values())
        assert client.get("/admin/usage").status_code == 200
        assert client.get("/config").status_code == 200


def test_a_key_cannot_give_away_what_it_has_not(tenants: Tenants):
    with tenants.client(tenants.a) as client:
        answer = client.post("/admin/keys", json={"name": "more", "scopes": [Scope.OPERATOR]})
        assert (answer.status_code, error(answer)["code"]) == (403, "insufficient_scope")


def assert_tells_nothing(answer: httpx.Response, tenant: Tenant, asked: str = "") -> None:
    """No name and no id of a tenant, but those that were in the request itself."""
    for secret in (tenant.id, tenant.name, tenant.key_id, tenant.key[4:20], *tenant.users.values()):
        if secret not in asked and f"'{secret}'" not in answer.text:
            assert secret not in answer.text
