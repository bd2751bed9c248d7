"""A session is read without HTTP: what it spoke is booked and kept however its reader ends."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from services.app import create_app
from services.config import LoadedSettings, QuotaConfig, Settings
from services.quota.limits import allowance
from services.runner.app import create_runner_app
from services.speech.script import SpeechRequest
from services.speech.session import Reader, SpeechSession
from services.state import GatewayState
from services.tenancy.authenticator import LOCAL
from storage.columns import now
from storage.config import ObjectStoreConfig, StorageConfig
from storage.repositories.outputs import OutputRepository
from storage.tables import UsageRecord

from runners import engine, served

TEXT = "One sentence. Another sentence. A third sentence."


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[GatewayState, None]:
    config = engine()
    storage = StorageConfig(
        db_url=SecretStr(f"sqlite:///{tmp_path}/awaaztwin.db"),
        object_store=ObjectStoreConfig(path=tmp_path / "objects"),
    )
    async with served(create_runner_app(config)) as runner:
        app = create_app(LoadedSettings(Settings(engines=[config], storage=storage)), lambda _: runner)
        async with app.router.lifespan_context(app):
            yield app.state.gateway


async def opened(gateway: GatewayState, **fields: Any) -> SpeechSession:
    session = await gateway.speaker.open(request(**fields), reader())
    assert session is not None
    return session


def request(**fields: Any) -> SpeechRequest:
    return SpeechRequest(input=TEXT, model="S", voice="tone", response_format="pcm", **fields)


def reader() -> Reader:
    return Reader(caller=LOCAL, allowed=allowance(LOCAL, QuotaConfig()), request_id="req_of_this_test")


async def booked(gateway: GatewayState) -> UsageRecord:
    await gateway.meter.flush()
    async with gateway.gate.read() as session:
        return (await session.scalars(select(UsageRecord))).one()


async def kept(gateway: GatewayState) -> list[str]:
    async with gateway.gate.read() as session:
        listed = [output.id for output in await OutputRepository(session, LOCAL.org_id).list()]
    objects = [info async for info in gateway.objects.list("org/")]
    assert len(objects) == len(listed)
    return listed


async def test_all_of_it_is_read(gateway: GatewayState):
    audio, sentences = b"", []
    async with await opened(gateway, store=True) as session:
        assert not session.started
        async for part in session.parts():
            audio += part.data
            if part.sentence:
                sentences.append(part.sentence.source.strip())
        assert session.spoken
        assert await kept(gateway) == []
        await session.complete()
    assert sentences == ["One sentence.", "Another sentence.", "A third sentence."]
    assert len(audio) == round(session.seconds * session.script.source_rate) * 2
    assert await kept(gateway) == [session.recording_id]
    assert gateway.places.taken == 0
    record = await booked(gateway)
    assert (record.outcome, record.characters, record.kind) == ("ok", len(TEXT), "speech")
    assert record.request_id == "req_of_this_test"
    assert record.audio_ms == pytest.approx(session.seconds * 1000, abs=1)
    assert now() - record.at < timedelta(minutes=1)


async def test_a_reader_that_leaves_is_booked_what_was_spoken(gateway: GatewayState):
    async with await opened(gateway, store=True) as session, aclosing(session.parts()) as parts:
        async for part in parts:
            if part.sentence:
                break
    assert await kept(gateway) == []
    assert gateway.places.taken == 0
    record = await booked(gateway)
    assert record.outcome == "hangup"
    assert 0 < record.characters < len(TEXT)
    assert record.audio_ms > 0


@pytest.mark.parametrize(
    ("raised", "outcome"), [(ValueError(), "failed"), (asyncio.CancelledError(), "hangup")]
)
async def test_a_reader_that_fails(gateway: GatewayState, raised: BaseException, outcome: str):
    with pytest.raises(type(raised)):
        async with await opened(gateway, store=True) as session:
            async for _ in session.parts():
                raise raised
    assert await kept(gateway) == []
    assert gateway.places.taken == 0
    assert (await booked(gateway)).outcome == outcome


async def test_nothing_is_spoken_to_nobody(gateway: GatewayState):
    async with await opened(gateway):
        pass
    record = await booked(gateway)
    assert (record.outcome, record.characters, record.audio_ms, record.latency_ms) == ("hangup", 0, 0, None)


async def test_a_reader_that_leaves_while_it_is_planned_holds_nothing(gateway: GatewayState):
    async def gone(work: Coroutine[Any, Any, None]) -> bool:
        work.close()
        return False

    assert await gateway.speaker.open(request(), reader(), present=gone) is None
    assert gateway.places.taken == 0


async def test_what_is_completed_stays_so(gateway: GatewayState):
    async with await opened(gateway) as session:
        async for _ in session.parts():
            pass
        await session.complete()
        session.fail()
    assert (await booked(gateway)).outcome == "ok"
