"""Whose word counts for where a client is: a trusted proxy's, and nobody's else."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from services.config import ConfigError
from services.config.node import Node
from services.config.validation import validate
from services.http.proxies import TrustedProxies

from databases import database_address
from live import Server, start
from tenants import PASSWORD, Tenants, settings, start_tenants

OUTSIDE = "203.0.113.9"
PROXY = ("10.0.0.1", "10.9.0.0/16", "2001:db8:1::/48")


def seen(
    headers: list[tuple[str, str]], *, peer: str = "10.0.0.1", trusted: tuple[str, ...] = PROXY
) -> tuple[str | None, str]:
    """The client and the address of the server, as a request shows them behind the middleware."""
    found: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope)

    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 5555),
        "server": ("10.0.0.7", 8000),
        "headers": [(b"host", b"evil.example")]
        + [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    asyncio.run(TrustedProxies(app, trusted)(scope, None, None))  # type: ignore[arg-type]
    client = found[0]["client"]
    return client[0] if client else None, found[0]["state"]["base_url"]


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([], "10.0.0.1"),
        ([("x-forwarded-for", OUTSIDE)], OUTSIDE),
        ([("x-forwarded-for", f"{OUTSIDE}:4711")], OUTSIDE),
        ([("x-forwarded-for", f"6.6.6.6, {OUTSIDE}")], OUTSIDE),
        ([("x-forwarded-for", f"6.6.6.6, {OUTSIDE}, 10.9.1.1")], OUTSIDE),
        ([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", OUTSIDE)], OUTSIDE),
        ([("x-forwarded-for", "10.9.0.3, 10.9.0.2")], "10.9.0.3"),
        ([("x-forwarded-for", "[2001:DB8::1]:80")], "2001:db8::1"),
        ([("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
        ([("x-forwarded-for", f"::ffff:{OUTSIDE}")], OUTSIDE),
        # What is no address is nobody's, and nothing left of it is looked at.
        ([("x-forwarded-for", "x" * 64)], "10.0.0.1"),
        ([("x-forwarded-for", f"{OUTSIDE}, unknown")], "10.0.0.1"),
        ([("x-forwarded-for", f"{OUTSIDE}, , 10.9.0.2")], "10.9.0.2"),
        ([("x-forwarded-for", "fe80::1%\x1b[2Jforged")], "10.0.0.1"),
        ([("x-forwarded-for", "1.2.3.4:99999")], "10.0.0.1"),
        ([("x-forwarded-for", "127.1")], "10.0.0.1"),
        ([("x-forwarded-for", "")], "10.0.0.1"),
        ([("forwarded", f"for={OUTSIDE}")], OUTSIDE),
        ([("forwarded", f'For="{OUTSIDE}:4711";proto=https;by=10.0.0.1')], OUTSIDE),
        ([("forwarded", f"for=6.6.6.6, for={OUTSIDE} , for=10.9.0.2")], OUTSIDE),
        ([("forwarded", 'for="[2001:db8::1]:4711"')], "2001:db8::1"),
        ([("forwarded", "for=6.6.6.6"), ("forwarded", f"for={OUTSIDE}")], OUTSIDE),
        ([("forwarded", f"for={OUTSIDE}, for=_hidden")], "10.0.0.1"),
        ([("forwarded", f"for={OUTSIDE}, for=unknown")], "10.0.0.1"),
        ([("forwarded", f"proto=https, for={OUTSIDE}")], OUTSIDE),
        ([("forwarded", f"for={OUTSIDE}, proto=https")], "10.0.0.1"),
        ([("forwarded", f'for=6.6.6.6;x=", for={OUTSIDE}')], "10.0.0.1"),
        ([("forwarded", 'for="')], "10.0.0.1"),
        # A proxy sets one of them, and a client can send the other.
        ([("forwarded", "for=6.6.6.6"), ("x-forwarded-for", OUTSIDE)], "10.0.0.1"),
        ([("forwarded", f"for={OUTSIDE}"), ("x-forwarded-for", OUTSIDE)], OUTSIDE),
    ],
)
def test_who_the_client_is(headers: list[tuple[str, str]], client: str) -> None:
    assert seen(headers)[0] == client


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", OUTSIDE, "10.0.0.2", "2001:db8:2::1"])
def test_others_are_not_believed(peer: str) -> None:
    headers = [
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6;host=evil.example;proto=https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
    ]
    assert seen(headers, peer=peer) == (peer, "http://10.0.0.7:8000")
    assert seen(headers, peer=peer, trusted=())[0] == peer


@pytest.mark.parametrize("peer", ["testclient", "", "1.2.3", "x" * 100])
def test_a_client_without_an_address_has_none(peer: str) -> None:
    assert seen([("x-forwarded-for", OUTSIDE)], peer=peer)[0] is None


def test_mapped_and_scoped_addresses_of_peers() -> None:
    assert seen([("x-forwarded-for", OUTSIDE)], peer="::ffff:10.0.0.1")[0] == OUTSIDE
    assert seen([], peer="fe80::1%eth0")[0] == "fe80::1"


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ([], "http://10.0.0.7:8000"),
        ([("x-forwarded-host", "tts.example"), ("x-forwarded-proto", "https")], "https://tts.example"),
        ([("x-forwarded-host", "tts.example:8443")], "http://tts.example:8443"),
        ([("x-forwarded-host", "tts.example"), ("x-forwarded-port", "8443")], "http://tts.example:8443"),
        ([("x-forwarded-host", "[2001:db8::5]")], "http://[2001:db8::5]"),
        ([("x-forwarded-proto", "https")], "http://10.0.0.7:8000"),
        ([("forwarded", f"for={OUTSIDE};host=tts.example;proto=https")], "https://tts.example"),
        ([("forwarded", f"for=1.1.1.1;host=a.example, for={OUTSIDE};host=b.example")], "http://b.example"),
        ([("forwarded", f"for={OUTSIDE};host=b.example, for=10.9.0.2;host=c")], "http://b.example"),
        ([("x-forwarded-host", "evil.example/path")], "http://10.0.0.7:8000"),
        ([("x-forwarded-host", "user@evil.example")], "http://10.0.0.7:8000"),
        ([("x-forwarded-host", "evil.example:99999")], "http://10.0.0.7:8000"),
        ([("x-forwarded-host", "a\tb")], "http://10.0.0.7:8000"),
        ([("x-forwarded-host", "tts.example"), ("x-forwarded-proto", "javascript")], "http://tts.example"),
    ],
)
def test_where_the_server_is(headers: list[tuple[str, str]], base: str) -> None:
    given = headers if headers and headers[0][0] == "forwarded" else [("x-forwarded-for", OUTSIDE), *headers]
    assert seen(given)[1] == base


@pytest.mark.parametrize("wrong", ["*", "proxy.example", "10.0.0.0/33", "10.0.0.1/8", "", "fe80::1%eth0"])
def test_settings_that_name_no_network(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"trusted_proxies"):
        validate(Node.of({"server": {"trusted_proxies": [wrong]}}, "a test"))


# Real servers


def addresses(folder: Path) -> set[str | None]:
    with closing(sqlite3.connect(folder / "awaaztwin.db")) as database:
        return {row[0] for row in database.execute("SELECT address FROM audit_events WHERE action = 'login'")}


def login(server: Server, **headers: str) -> httpx.Response:
    body = {"email": "owner@audio.example", "password": PASSWORD}
    return httpx.post(f"{server.url}/auth/login", json=body, headers=headers, timeout=60)


def test_loopback_is_not_believed(tmp_path: Path) -> None:
    running = start_tenants(tmp_path)
    try:
        for value in ("6.6.6.6", "x" * 64, "fe80::1%" + "x" * 80):
            assert login(running.server, **{"x-forwarded-for": value}).status_code == 200
        assert login(running.server, forwarded="for=6.6.6.6").status_code == 200
        assert addresses(tmp_path) == {"127.0.0.1"}
    finally:
        running.server.stop()


@pytest.fixture
def proxied(tmp_path: Path) -> Generator[Tenants, None, None]:
    running = start_tenants(tmp_path, settings(server={"trusted_proxies": ["127.0.0.1"]}))
    yield running
    running.server.stop()


def test_a_trusted_proxy_is_believed(proxied: Tenants) -> None:
    server = proxied.server
    assert login(server, **{"x-forwarded-for": f"6.6.6.6, {OUTSIDE}"}).status_code == 200
    assert login(server, **{"x-forwarded-for": "x" * 64}).status_code == 200
    assert addresses(proxied.folder) == {OUTSIDE, "127.0.0.1"}
    with proxied.client(proxied.a) as client:
        spoken = client.post("/v1/audio/speech", json={"input": "Hello.", "store": True})
        path = f"/audio/{spoken.headers['x-audio-id']}/url"

        def signed(**headers: str) -> str:
            return client.post(path, json={}, headers=headers).json()["url"]

        assert signed(host="evil.example").startswith(f"{server.url}/audio/")
        forwarded = {"x-forwarded-for": OUTSIDE, "x-forwarded-host": "tts.example"}
        assert signed(host="evil.example", **forwarded).startswith("http://tts.example/audio/")


def test_no_redirect_leads_elsewhere(tenants: Tenants) -> None:
    for path in ("/health/live/", "/voices/", "/docs/"):
        answer = httpx.get(f"{tenants.server.url}{path}", headers={"host": "evil.example"}, timeout=60)
        assert "evil.example" not in str(answer.headers)
        assert answer.status_code == 404


@pytest.fixture
async def postgresql(tmp_path: Path) -> AsyncGenerator[str, None]:
    async with database_address("postgresql", tmp_path) as address:
        yield address


def test_a_long_address_on_postgresql(tmp_path: Path, postgresql: str) -> None:
    """The column has 63 characters."""
    running = start_tenants(tmp_path, settings(storage={"db_url": postgresql}))
    try:
        assert login(running.server, **{"x-forwarded-for": "x" * 64}).status_code == 200
        assert login(running.server, **{"x-forwarded-for": "fe80::1%" + "x" * 64}).status_code == 200
    finally:
        running.server.stop()


def test_a_page_elsewhere_embeds_nothing_of_a_local_server(tmp_path: Path) -> None:
    """Without an `Origin`, as images and scripts are fetched: `Sec-Fetch-Site` tells."""
    server = start(tmp_path, {"engines": [{"name": "TONE", "type": "SYNTHETIC"}]})

    def get(path: str = "/v1/models", **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(f"{server.url}{path}", headers=named, timeout=60).status_code

    try:
        assert get(sec_fetch_site="cross-site", sec_fetch_mode="no-cors", sec_fetch_dest="image") == 403
        away = "https://evil.example/"
        assert get(sec_fetch_site="cross-site", sec_fetch_mode="no-cors", referer=away) == 403
        assert get(sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="iframe") == 403
        # A page of this machine, and a link that somebody follows.
        near = "http://localhost:3000/"
        assert get(sec_fetch_site="cross-site", sec_fetch_mode="no-cors", referer=near) == 200
        assert (
            get("/docs", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="document")
            == 200
        )
        assert get(sec_fetch_site="same-origin") == 200
        assert get(sec_fetch_site="none") == 200
        assert get(sec_fetch_site="cross-site", origin="http://localhost:3000") == 200
    finally:
        server.stop()
