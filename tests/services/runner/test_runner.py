"""A runner served by a real HTTP server, called through the Gateway's own client."""

import asyncio
import io
import pickle
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from pydantic import SecretStr

from engines.config import BatchingConfig
from engines.contract import (
    EngineOverloaded,
    EngineUnavailable,
    Outcome,
    UnsupportedUtterance,
    Utterance,
    collect,
)
from engines.lease import EngineState
from engines.synthetic import SyntheticEngine
from services.runner.app import create_runner_app
from services.runner.middleware import RunnerToken
from services.wire.client import EngineClient
from services.wire.frames import ENGINE_PATH, SYNTHESIZE_PATH, Line, Spoken, SynthesisCall

from runners import client, engine, served, until


def call(*texts: str, voice: str = "tone", timings: bool = False) -> SynthesisCall:
    lines = tuple(Line(text=text, voice=voice, language="en") for text in texts)
    return SynthesisCall(lines=lines, timings=timings)


async def speak(runner: EngineClient, what: SynthesisCall) -> tuple[int, list[Spoken]]:
    samples, spoken = 0, list[Spoken]()
    async for event in runner.speak(what):
        if isinstance(event, Spoken):
            spoken.append(event)
        else:
            assert event.dtype == np.int16
            samples += event.size
    return samples, spoken


@pytest.mark.parametrize("network", [False, True], ids=["unix", "tcp"])
async def test_a_call_is_spoken_in_order(tmp_path: Path, network: bool) -> None:
    config = engine()
    path = None if network else tmp_path / "s"
    async with served(create_runner_app(config), path) as address, client(config, address) as runner:
        samples, spoken = await speak(runner, call("hello there", "again", timings=True))
        assert samples == round(16 * 0.01 * 24_000)
        assert [item.index for item in spoken] == [0, 1]
        assert [word.word for word in spoken[0].words] == ["hello", "there"]
        description = await runner.describe()
        assert description.state is EngineState.WARM
        assert (description.waiting, description.running) == (0, 0)


class Plain(SyntheticEngine):
    """Neither streams nor clones."""

    stream = prepare_voice = None  # pyright: ignore[reportAssignmentType] - takes away what the other has

    async def synthesize(self, batch: Sequence[Utterance]) -> Sequence[Outcome]:
        return await collect(SyntheticEngine.stream(self, batch), len(batch))


@pytest.mark.parametrize("kind", [SyntheticEngine, Plain])
async def test_what_an_engine_has_is_told(kind: type[SyntheticEngine]) -> None:
    config = engine()
    app = create_runner_app(config, lambda _type, config: kind(config))
    async with served(app) as address, client(config, address) as runner:
        samples, _ = await speak(runner, call("hello there", "again"))
        assert samples == round(16 * 0.01 * 24_000)
        told = (await runner.describe()).capabilities
        assert (told.streaming, told.cloning) == (kind is SyntheticEngine,) * 2
        assert told.word_timings


async def test_errors_keep_their_class() -> None:
    config = engine(options={"fail_on": "bad"})
    async with served(create_runner_app(config)) as address, client(config, address) as runner:
        with pytest.raises(UnsupportedUtterance) as caught:
            await speak(runner, call("fine", "bad"))
        assert caught.value.param == "input"
        with pytest.raises(UnsupportedUtterance):
            await speak(runner, call("x", voice="nobody"))


async def test_a_failed_load_is_unavailable_and_visible() -> None:
    config = engine(options={"fail_load": True}, warm=True)
    async with served(create_runner_app(config)) as address, client(config, address) as runner:
        with pytest.raises(EngineUnavailable, match="fail_load"):
            await speak(runner, call("x"))
        description = await runner.describe()
        assert description.state is EngineState.FAILED
        assert description.reason == "The option fail_load is set."


async def test_a_full_queue_is_overloaded() -> None:
    config = engine(
        options={"base_ms": 60_000},
        max_concurrent_jobs=1,
        batching=BatchingConfig(max_batch_size=1, max_queue=1),
    )
    async with served(create_runner_app(config)) as address, client(config, address) as runner:
        running = asyncio.create_task(speak(runner, call("x")))
        await until(runner, lambda now: now.running == 1)
        waiting = asyncio.create_task(speak(runner, call("x")))
        await until(runner, lambda now: now.waiting == 1)
        with pytest.raises(EngineOverloaded):
            await speak(runner, call("x"))
        for task in (running, waiting):
            task.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        # Both hung up: the queue and the engine are free at once, not after the minute that a batch takes.
        await until(runner, lambda now: now.waiting + now.running == 0)


async def test_hanging_up_stops_the_call() -> None:
    config = engine(options={"base_ms": 100})
    async with served(create_runner_app(config)) as address, client(config, address) as runner:
        async with aclosing(runner.speak(call(*["word"] * 200))) as events:
            async for _ in events:
                break
        await until(runner, lambda now: now.waiting + now.running == 0)
        assert (await speak(runner, call("after")))[0] > 0


async def test_a_runner_that_does_not_answer_in_time() -> None:
    config = engine(options={"base_ms": 60_000})
    async with served(create_runner_app(config)) as address, client(config, address, patience=0.1) as runner:
        with pytest.raises(EngineUnavailable, match="in time"):
            await speak(runner, call("x"))


async def test_no_runner_at_all(tmp_path: Path) -> None:
    config = engine()
    async with client(config, f"unix://{tmp_path}/none") as runner:
        with pytest.raises(EngineUnavailable, match="reached"):
            await speak(runner, call("x"))
        with pytest.raises(EngineUnavailable, match="reached"):
            await runner.describe()


async def test_a_runner_that_is_cut_off_while_it_speaks() -> None:
    """A peer that closes in the middle of the stream, or sends what is no frame."""

    async def half(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"\x01\x00\x00\x00\x02ab", "more_body": False})

    async def noise(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>" * 10, "more_body": False})

    for app, words in ((half, "lost"), (noise, "broken")):
        async with served(app, lifespan=False) as address, client(engine(), address) as runner:
            with pytest.raises(EngineUnavailable, match=words):
                await speak(runner, call("x"))


async def test_a_token_guards_every_path() -> None:
    config = engine(token=SecretStr("open sesame"))
    app = RunnerToken(create_runner_app(config), "open sesame")
    async with served(app) as address:
        async with client(config, address) as runner:
            assert (await speak(runner, call("x")))[0] > 0
        async with client(engine(token=SecretStr("wrong")), address) as runner:
            with pytest.raises(EngineUnavailable, match="401"):
                await runner.describe()
        async with aiohttp.ClientSession() as session:
            for path in (ENGINE_PATH, SYNTHESIZE_PATH, "/", "/metrics", "/docs.json"):
                async with session.get(address + path) as answer:
                    assert answer.status == 401


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return (open, (str(self.path), "w"))


async def test_nothing_from_the_network_is_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "unpickled"
    async with served(create_runner_app(engine())) as address, aiohttp.ClientSession() as session:
        for media in ("application/vnd.bentoml+pickle", "application/json"):
            for path in (SYNTHESIZE_PATH, "/", "/synthesize"):
                async with session.post(
                    address + path, data=pickle.dumps(Bomb(trace)), headers={"content-type": media}
                ) as answer:
                    assert answer.status in {404, 422}
    assert not trace.exists()


async def test_a_call_is_checked() -> None:
    async with served(create_runner_app(engine())) as address, aiohttp.ClientSession() as session:
        for body in (b"", b"{}", b'{"lines": []}', b'{"lines": [{"text": 1}]}', b"\xff"):
            async with session.post(address + SYNTHESIZE_PATH, data=body) as answer:
                assert answer.status == 422
        big = b" " * (17 * 1024 * 1024)
        async with session.post(address + SYNTHESIZE_PATH, data=io.BytesIO(big)) as answer:
            assert answer.status == 413
