"""Errors at a pace. The clock is the test's, and the waits are counted, not waited for."""

from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from services.http.error_pace import MAX_WAIT_SECONDS, ErrorPace
from services.tenancy.principal import Principal
from services.tenancy.scopes import EVERYTHING
from storage.repositories.orgs import LOCAL_ORG_ID

from runners import engine, gateway_of

RATE = 10.0


class Server:
    """An app behind the pace, and what it sent when."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.now = 0.0
        self._pace = ErrorPace(self._answer, RATE, clock=lambda: self.now, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (org := scope.get("org")) is not None:
            scope["state"] = {"principal": Principal(org_id=org, org_name="", plan="", scopes=EVERYTHING)}
        await PlainTextResponse("so", scope["status"])(scope, receive, send)

    async def ask(
        self, status: int, *, org: str | None = None, path: str = "/v1/models", **more: Any
    ) -> float:
        """The seconds that an answer waited."""
        before = sum(self.waits)
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        scope = {
            "type": "http",
            "path": path,
            "status": status,
            "org": org,
            "client": ("192.0.2.1", 1),
            **more,
        }
        await self._pace(scope, receive, send)
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        assert sent[0]["status"] == status
        return sum(self.waits) - before


async def test_errors_come_at_a_pace_after_the_first():
    server = Server()
    waits = [await server.ask(429, org="a") for _ in range(40)]
    assert waits[:20] == [0.0] * 20
    assert waits[21:] == pytest.approx([n / RATE for n in range(1, 20)])
    server.now = 10.0
    assert await server.ask(429, org="a") == 0.0, "who waits is answered at once again"


async def test_what_succeeds_never_waits():
    server = Server()
    for _ in range(100):
        await server.ask(429, org="a")
    assert await server.ask(200, org="a") == 0.0


async def test_no_error_waits_longer_than_a_client_does():
    server = Server()
    waits = [await server.ask(401) for _ in range(500)]
    assert max(waits) == pytest.approx(MAX_WAIT_SECONDS)
    server.now = 2 * MAX_WAIT_SECONDS
    assert await server.ask(401) == 0.0, "nothing is held against anybody for longer"


async def test_each_tenant_and_each_address_has_its_own():
    server = Server()
    for _ in range(100):
        await server.ask(429, org="a")
        await server.ask(401, client=("2001:db8::1", 1))
    assert await server.ask(429, org="b") == 0.0
    assert await server.ask(401) == 0.0
    assert await server.ask(401, client=("2001:db8::2", 1)) > 0, "the same subscriber"


async def test_health_is_told_at_once():
    server = Server()
    for _ in range(100):
        assert await server.ask(503, path="/health/ready") == 0.0


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.http.error_pace.KEPT", 10)
    server = Server()
    for _ in range(100):
        await server.ask(401, org="busy")
    for number in range(9):
        await server.ask(401, org=f"org {number}")
    assert await server.ask(401, org="busy") > 0
    for number in range(10):
        await server.ask(401, org=f"org {number}")
    assert await server.ask(401, org="busy") == 0.0


async def test_a_gateway_counts_its_errors_and_whose_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    counted: list[str] = []

    def count(_: ErrorPace, who: str) -> float:
        counted.append(who)
        return 0.0

    monkeypatch.setattr(ErrorPace, "_wait", count)
    async with gateway_of(engine(), tmp_path) as client:
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.get("/v1/models/none")).status_code == 404
        assert counted == [LOCAL_ORG_ID]
        assert (await client.get("/nothing")).status_code == 404
    assert counted == [LOCAL_ORG_ID, "127.0.0.1"]
