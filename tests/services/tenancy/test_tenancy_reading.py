"""What only reads waits for nobody who writes: SQLite has one write lock, and here somebody else has it."""

import re
import sqlite3
from collections.abc import Generator
from contextlib import closing

import pytest
from fastapi.routing import APIRoute

from services.app import create_app
from services.config import LoadedSettings, Settings

from tenants import Tenants

ELSEWHERE = {"/health/ready", "/readyz"}
"""Routes that look whether the database can be written."""

READING = sorted(
    route.path
    for route in create_app(LoadedSettings(Settings()), lambda _: "unix:///nowhere").routes
    if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and route.path not in ELSEWHERE
)


@pytest.fixture(scope="module")
def locked(tenants: Tenants) -> Generator[Tenants, None, None]:
    """The server, while somebody else writes."""
    with closing(sqlite3.connect(tenants.folder / "awaaztwin.db", timeout=60)) as connection:
        connection.isolation_level = None
        connection.execute("BEGIN IMMEDIATE")
        yield tenants
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("path", READING)
def test_reading_takes_no_write_lock(locked: Tenants, path: str):
    own = locked.operator
    ids = {"org_id": own.id, "user_id": own.users["owner"], "key_id": own.key_id}
    url = re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], "some_id"), path)
    with locked.client(own) as client:
        answer = client.get(url)
        assert answer.status_code in (
            {200} if set(re.findall(r"\{(\w+)\}", path)) <= set(ids) else {200, 404}
        )


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/auth/token", {"grant_type": "refresh_token", "refresh_token": "atr_" + "x" * 43}, 401),
        ("/auth/token", {"grant_type": "api_key", "api_key": "atk_x"}, 401),
        ("/auth/invitations/accept", {"token": "ati_x", "password": "tiger lamp kettle"}, 400),
        ("/auth/password/reset", {"token": "atp_x", "password": "tiger lamp kettle"}, 400),
    ],
)
def test_a_stranger_with_a_bad_token_takes_no_write_lock(
    locked: Tenants, path: str, body: dict[str, str], status: int
):
    with locked.client() as client:
        assert client.post(path, json=body).status_code == status
