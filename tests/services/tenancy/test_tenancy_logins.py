"""Guessing is slowed down, and nobody else is; tokens end with what they were made from."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest

from live import eventually
from tenants import PASSWORD, SECRET, Tenant, Tenants, error, own_org


def client_at(tenants: Tenants, address: str) -> httpx.Client:
    """A client that connects from an address of this machine."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=tenants.server.url, transport=transport, timeout=60)


def login(client: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/auth/login", json={"email": email, "password": password})


def exchange(client: httpx.Client, key: str) -> httpx.Response:
    return client.post("/auth/token", json={"grant_type": "api_key", "api_key": key})


def renew(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("/auth/token", json={"grant_type": "refresh_token", "refresh_token": token})


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def org(tenants: Tenants) -> Iterator[Tenant]:
    """An organisation of the test's own."""
    with own_org(tenants) as made:
        yield made


def test_a_token_is_exchanged_for_nothing(tenants: Tenants):
    with tenants.client() as client:
        of_a_key = exchange(client, tenants.a.key).json()["access_token"]
        session = login(client, "admin@audio.example").json()
        for token in (of_a_key, session["access_token"], session["refresh_token"]):
            refused = exchange(client, token)
            assert (refused.status_code, error(refused)["code"]) == (401, "invalid_api_key")


def test_a_token_of_a_key_ends_with_the_key(tenants: Tenants, org: Tenant):
    with tenants.client() as client:
        token = exchange(client, org.key).json()["access_token"]
        assert client.get("/auth/me", headers=bearer(token)).status_code == 200
        with tenants.client(tenants.operator) as operator:
            operator.delete(f"/admin/keys/{org.key_id}", params={"org_id": org.id})
        assert client.get("/auth/me", headers=bearer(token)).status_code == 401


def test_a_token_of_a_key_does_not_outlive_it(tenants: Tenants):
    ends = datetime.now(UTC) + timedelta(seconds=300)
    with tenants.client(tenants.a) as client:
        body = {"name": "short", "expires_at": ends.isoformat()}
        key = client.post("/admin/keys", json=body).json()["key"]
        told = exchange(client, key).json()
    assert told["expires_in"] <= 300
    claims = jwt.decode(told["access_token"], SECRET, algorithms=["HS256"])
    assert claims["exp"] <= ends.timestamp()


def test_a_session_is_not_renewed_while_its_organisation_is_locked(tenants: Tenants):
    with tenants.client(tenants.operator) as operator, tenants.client() as client:
        session = login(client, "owner@books.example").json()
        operator.patch(f"/admin/orgs/{tenants.b.id}", json={"disabled": True})
        try:
            locked = renew(client, session["refresh_token"])
            assert (locked.status_code, error(locked)["code"]) == (401, "organization_disabled")
        finally:
            operator.patch(f"/admin/orgs/{tenants.b.id}", json={"disabled": False})
        assert renew(client, session["refresh_token"]).status_code == 200


def test_many_good_logins_from_one_address_lock_nobody(tenants: Tenants):
    with client_at(tenants, "127.0.0.5") as client:
        for _ in range(55):
            assert login(client, "service@audio.example").status_code == 200
        assert login(client, "member@books.example").status_code == 200


def test_wrong_passwords_from_elsewhere_do_not_lock_the_right_person_out(tenants: Tenants):
    email = "admin@books.example"
    with client_at(tenants, "127.0.0.6") as stranger, client_at(tenants, "127.0.0.7") as owner:
        answers = {login(stranger, email, "wrong").status_code for _ in range(10)}
        assert answers <= {401, 429}
        assert login(owner, email).status_code == 200


def test_waits_grow_and_are_over_and_a_success_forgives(tenants: Tenants):
    email = "owner@books.example"
    with client_at(tenants, "127.0.0.8") as client:
        waits: list[int] = []
        failures = 0
        # Long enough for what follows, even on a slow machine.
        while not waits or waits[-1] < 8:
            answer = login(client, email, "wrong")
            if answer.status_code == 401:
                failures += 1
                continue
            assert (answer.status_code, error(answer)["code"]) == (429, "too_many_logins")
            waits.append(int(answer.headers["retry-after"]))
            if waits[-1] < 8:
                time.sleep(waits[-1])
        assert 5 <= failures <= 9
        # It is refused before it is looked at: the right one too.
        assert login(client, email).status_code == 429
        eventually(lambda: login(client, email).status_code == 200)
        assert login(client, email, "wrong").status_code == 401
        assert login(client, email).status_code == 200


def test_good_keys_and_sessions_never_wait_for_wrong_ones(tenants: Tenants):
    with client_at(tenants, "127.0.0.9") as client:
        session = login(client, "member@audio.example").json()
        seen = [renew(client, f"atr_{number:043d}").status_code for number in range(60)]
        seen += [exchange(client, "atk_x").status_code for _ in range(10)]
        assert set(seen) == {401, 429}
        assert seen[0] == 401
        assert exchange(client, tenants.a.key).status_code == 200
        assert renew(client, session["refresh_token"]).status_code == 200
