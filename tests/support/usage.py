"""Usage of finished requests, on its way to the database."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.gate import DatabaseGate
from services.quota.writer import Settlement
from storage.repositories.orgs import OrgRepository

TODAY = datetime.now(UTC).date()


async def new_org(gate: DatabaseGate, name: str) -> str:
    async with gate.write() as session:
        return (await OrgRepository(session).create(name, plan="free")).id


def settlement(
    org_id: str,
    *,
    kind: str | None = "speech",
    reservation: str | None = None,
    spent: Mapping[str, int] | None = None,
) -> Settlement:
    record: Any = {
        "org_id": org_id,
        "at": datetime.now(UTC),
        "day": TODAY,
        "kind": kind,
        "outcome": "ok",
        "engine": "espeak",
        "voice": "en",
        "characters": 5,
        "audio_ms": 400,
    }
    return Settlement(record, reservation, spent or {})
