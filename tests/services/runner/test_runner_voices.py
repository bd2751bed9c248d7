"""Prepared voices in a runner on a real socket, through the Gateway's own client."""

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from pydantic import SecretStr

from engines.config import EngineConfig
from engines.contract import (
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    ReferenceSample,
    UnsupportedUtterance,
    VoiceEmbeddingRef,
)
from engines.embedding import LARGEST, pack, unpack
from engines.synthetic import SyntheticEngine
from services.runner import app as runner_module
from services.runner import preparing, voice_routes
from services.runner.app import create_runner_app
from services.runner.middleware import RunnerToken
from services.runner.preparing import WAITING, EnginePreparer
from services.wire.client import MAX_SUPPLIES, EngineClient, VoiceReader
from services.wire.frames import MISSED_HEADER, PREPARE_PATH, VOICES_PATH, Line, Spoken, SynthesisCall
from services.wire.sample_frames import encode

from runners import client, engine, served, until

A, B = "emb_" + "a" * 24, "emb_" + "b" * 24
MIB = 1024 * 1024


def recording(hertz: float, seconds: float = 1.0, rate: int = 16_000) -> ReferenceSample:
    time = np.arange(round(seconds * rate)) / rate
    return ReferenceSample(
        pcm=(8_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16), sample_rate=rate, transcript="La."
    )


def made(hertz: float, numbers: int = 0, model: str = "synthetic/1") -> bytes:
    """A prepared voice, as large as it is wanted."""
    tensors = {"frequency": np.array([hertz], np.float32), "padding": np.zeros(numbers, np.float32)}
    return pack(VoiceEmbeddingRef(engine="S", model=model, tensors=tensors))


def call(*voices: str, language: str = "en", prepared: bool = True) -> SynthesisCall:
    lines = (Line(text="A tone." * 5, voice=voice, language=language, prepared=prepared) for voice in voices)
    return SynthesisCall(lines=tuple(lines))


async def heard(runner: EngineClient, what: SynthesisCall, voices: VoiceReader | None = None) -> float:
    """The frequency of what is spoken, in hertz."""
    pieces = [event async for event in runner.speak(what, voices) if isinstance(event, np.ndarray)]
    pcm = np.concatenate(pieces)
    return float(np.abs(np.fft.rfft(pcm, 1 << 17)).argmax()) * 24_000 / (1 << 17)


class Store:
    """Reads prepared voices and counts how often."""

    def __init__(self, **voices: bytes) -> None:
        self.voices = voices
        self.reads: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, voice_id: str) -> bytes:
        self.reads.append(voice_id)
        await self.gate.wait()
        return self.voices[voice_id]


@asynccontextmanager
async def running(
    config: EngineConfig | None = None, adapter: SyntheticEngine | None = None
) -> AsyncGenerator[EngineClient, None]:
    """A runner of the engine, and a client of it."""
    config = config or engine()
    app = create_runner_app(config, lambda _type, config: adapter or SyntheticEngine(config))
    async with served(app) as address, client(config, address) as runner:
        yield runner


async def test_from_recordings_to_speech_in_that_voice():
    async with running() as runner:
        data = await runner.prepare([recording(333, rate=rate) for rate in (8_000, 16_000, 48_000)])
        assert unpack(data).model == "synthetic/1"
        await runner.put_voice(A, data)
        for language in ("en", "hi"):
            assert await heard(runner, call(A, language=language)) == pytest.approx(333, abs=3)
        assert await heard(runner, call("tone", prepared=False)) == pytest.approx(220, abs=1)
        description = await runner.describe()
        assert description.voice_model == "synthetic/1"
        assert description.voices_cached == 1
        assert description.voice_bytes > len(unpack(data).tensors)
        assert [voice.id for voice in description.voices] == ["tone", "tone-high"]


async def test_a_cold_voice_costs_one_read():
    store = Store(**{A: made(300), B: made(500)})
    async with running() as runner:
        for _ in range(3):
            assert await heard(runner, call(A), store) == pytest.approx(300, abs=1)
        assert store.reads == [A]
        description = await runner.describe()
        assert (description.voice_hits, description.voice_misses) == (2, 1)
        await heard(runner, call(A, B, A, B), store)
        assert store.reads == [A, B]
        description = await runner.describe()
        assert (description.voice_hits, description.voice_misses) == (3, 2)


async def test_calls_that_miss_at_the_same_time_share_a_read():
    store = Store(**{A: made(300)})
    store.gate.clear()
    async with running() as runner:
        calls = [asyncio.create_task(heard(runner, call(A), store)) for _ in range(8)]
        await until(runner, lambda now: now.voice_misses == 8)
        calls[0].cancel()
        await asyncio.gather(calls[0], return_exceptions=True)
        store.gate.set()
        assert await asyncio.gather(*calls[1:]) == pytest.approx([300] * 7, abs=1)
        assert store.reads == [A]


async def test_many_voices_in_a_small_cache():
    hertz = {f"emb_{number:024x}": 200.0 + 20 * number for number in range(30)}
    store = Store(**{name: made(value, 25_000) for name, value in hertz.items()})
    rng = random.Random(4)
    async with running(engine(options={"base_ms": 0}, voice_cache_bytes=MIB)) as runner:

        async def caller(names: Sequence[str]) -> None:
            for name in names:
                assert await heard(runner, call(name), store) == pytest.approx(hertz[name], abs=1)
                now = await runner.describe()
                assert now.voice_bytes <= MIB
                assert now.voices_cached <= 10

        await asyncio.gather(*(caller(rng.choices(list(hertz), k=15)) for _ in range(4)))
        assert (await runner.describe()).voices_cached == 10
        assert len(store.reads) > 30
        hot = store.reads[-1]
        reads = len(store.reads)
        await caller([hot] * 5)
        assert len(store.reads) - reads <= 1


async def test_a_call_whose_voices_do_not_fit_together():
    store = Store(**{A: made(300, 150_000), B: made(400, 150_000)})
    async with running(engine(voice_cache_bytes=MIB)) as runner:
        with pytest.raises(EngineUnavailable, match="cannot hold"):
            await heard(runner, call(A, B), store)
        assert len(store.reads) == MAX_SUPPLIES + 1  # both, then in turn the one that made room
        assert await heard(runner, call(A), store) == pytest.approx(300, abs=1)


class Gone(Exception):  # noqa: N818 - named for the state
    """What a store may raise."""


async def test_a_dropped_voice_is_asked_for_again():
    store = Store(**{A: made(300)})
    async with running() as runner:
        await heard(runner, call(A), store)
        await runner.drop_voice(A)
        assert (await runner.describe()).voices_cached == 0
        await heard(runner, call(A), store)
        assert store.reads == [A, A]
        await runner.drop_voice(A)
        await runner.drop_voice(A)

        async def erased(_voice_id: str) -> bytes:
            raise Gone

        with pytest.raises(Gone):
            await heard(runner, call(A), erased)
        assert (await runner.describe()).voices_cached == 0


async def test_a_voice_that_is_dropped_while_it_is_read_does_not_come_back():
    reads = itertools.count()
    async with running() as runner:

        async def read(voice_id: str) -> bytes:
            if next(reads) > 0:
                raise Gone
            await runner.drop_voice(voice_id)
            return made(300)

        with pytest.raises(Gone):
            await heard(runner, call(A), read)
        assert next(reads) == 2
        assert (await runner.describe()).voices_cached == 0


class Deriving(SyntheticEngine):
    """Notes what it is told to forget."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self.forgotten: list[str] = []

    def forget_voice(self, voice: str, /) -> None:
        self.forgotten.append(voice)


async def test_the_engine_forgets_a_dropped_voice_again_when_its_last_call_ends():
    deriving = Deriving(engine())
    store = Store(**{A: made(300)})
    async with running(adapter=deriving) as runner:
        events = runner.speak(call(*[A] * 20), store)
        await anext(events)
        await runner.drop_voice(A)
        assert deriving.forgotten == [A]
        rest = [event async for event in events]
        assert sum(isinstance(event, Spoken) for event in rest) == 20, "a call under way is spoken to its end"
        await until(runner, lambda _: len(deriving.forgotten) == 2)
        assert deriving.forgotten == [A, A]


@pytest.mark.parametrize("error", [TimeoutError("store"), OSError("store"), aiohttp.ClientError("store")])
async def test_what_the_reader_raises_is_not_taken_for_the_runner_s(error: Exception):
    async def read(_voice_id: str) -> bytes:
        raise error

    async with running() as runner:
        with pytest.raises(type(error), match="store"):
            await heard(runner, call(A), read)


async def test_a_reader_that_never_answers():
    store = Store(**{A: made(300)})
    store.gate.clear()
    config = engine()
    async with served(create_runner_app(config)) as address, client(config, address, patience=0.2) as runner:
        with pytest.raises(EngineUnavailable, match="in time"):
            await heard(runner, call(A), store)
        assert len(runner._supplies) == 0


async def test_a_voice_that_nobody_reads():
    async with running() as runner:
        with pytest.raises(EngineUnavailable, match="could not be read"):
            await heard(runner, call(A))


async def test_voices_that_the_runner_does_not_take():
    other = engine(options={"voice_model": "synthetic/2"}, voice_cache_bytes=MIB)
    async with running(other) as runner:
        for data, words in (
            (made(300), "prepared for synthetic/1"),
            (made(300, MIB // 4, model="synthetic/2"), "voice_cache_bytes"),
            (b"noise", "cannot be read"),
        ):
            with pytest.raises(EngineUnavailable, match=words):
                await heard(runner, call(A), Store(**{A: data}))
            with pytest.raises(EngineUnavailable, match=words):
                await runner.put_voice(A, data)
        with pytest.raises(EngineUnavailable, match="id"):
            await runner.put_voice("../engine", made(300))
        assert (await runner.describe()).voices_cached == 0


async def test_statuses_of_what_is_put_and_dropped():
    async with served(create_runner_app(engine())) as address, aiohttp.ClientSession() as session:

        async def ask(method: str, voice_id: str, data: bytes = b"", **headers: str) -> tuple[int, str]:
            url = f"{address}{VOICES_PATH}/{voice_id}"
            async with session.request(method, url, data=data, headers=headers) as answer:
                body = await answer.text()
                return answer.status, (await answer.json())["code"] if body else ""

        good = made(300)
        assert await ask("PUT", A, good) == (204, "")
        assert await ask("PUT", A, good[:-1]) == (400, "broken_voice")
        assert await ask("PUT", A) == (400, "broken_voice")
        assert await ask("PUT", A, made(300, model="x")) == (409, "wrong_voice_model")
        assert await ask("PUT", A, good, **{MISSED_HEADER: "1"}) == (410, "voice_dropped")
        for count in ("", "x", "-1", "9" * 30):
            assert await ask("PUT", A, good, **{MISSED_HEADER: count}) == (400, "bad_voice_count")
        for voice_id in ("x", "emb_", "emb_XYZ12345", "emb_" + "a" * 65, "voice_" + "a" * 24):
            assert await ask("PUT", voice_id, good) == (400, "bad_voice_id")
            assert await ask("DELETE", voice_id) == (400, "bad_voice_id")
        assert await ask("DELETE", A) == (204, "")
        assert await ask("DELETE", A) == (204, "")


async def test_a_voice_is_bounded_while_it_is_read(monkeypatch: pytest.MonkeyPatch):
    assert LARGEST == 64 * MIB
    monkeypatch.setattr(voice_routes, "LARGEST", MIB)
    sent = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal sent
        while sent < 1024 * MIB:
            sent += 65_536
            yield bytes(65_536)

    async with served(create_runner_app(engine())) as address, aiohttp.ClientSession() as session:
        async with session.put(f"{address}{VOICES_PATH}/{A}", data=endless()) as answer:
            assert answer.status == 413
            assert (await answer.json())["code"] == "voice_too_large"
        assert sent < 64 * MIB


class Plain(SyntheticEngine):
    """An engine that does not clone."""

    prepare_voice = None  # pyright: ignore[reportAssignmentType] - how a protocol is left unmet


async def test_an_engine_that_does_not_clone():
    store = Store(**{A: made(300)})
    async with running(adapter=Plain(engine())) as runner:
        assert (await runner.describe()).voice_model is None
        with pytest.raises(UnsupportedUtterance, match="clone") as caught:
            await heard(runner, call(A), store)
        assert caught.value.param == "voice"
        for refused in (runner.prepare([recording(300)]), runner.put_voice(A, made(300))):
            with pytest.raises(UnsupportedUtterance, match="clone"):
                await refused
        await runner.drop_voice(A)
        assert store.reads == []
        assert await heard(runner, call("tone", prepared=False)) == pytest.approx(220, abs=1)


async def test_a_voice_that_the_engine_cannot_speak_in_fails_alone():
    tensors = {"pitch": np.ones(1, np.float32)}
    data = pack(VoiceEmbeddingRef(engine="S", model="synthetic/1", tensors=tensors))
    async with running() as runner:
        bad, good = await asyncio.gather(
            heard(runner, call(A), Store(**{A: data})),
            heard(runner, call(B), Store(**{B: made(300)})),
            return_exceptions=True,
        )
        assert isinstance(bad, UnsupportedUtterance)
        assert good == pytest.approx(300, abs=1)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([], "recordings"),
        ([recording(300, 0.1)] * 101, "recordings"),
        ([recording(300, 61.0, 8_000)] * 10, "600 s"),
        ([recording(300, 1.0, 96_000)], "sample rate from"),
        ([ReferenceSample(pcm=np.zeros(16_000, np.int16), sample_rate=16_000)], "no sound"),
    ],
    ids=["none", "many", "long", "fast", "silent"],
)
async def test_recordings_that_cannot_be_used(samples: list[ReferenceSample], words: str):
    async with running() as runner:
        with pytest.raises(UnsupportedUtterance, match=words):
            await runner.prepare(samples)
        await runner.prepare([recording(300)])


async def test_recordings_that_cannot_be_read():
    good = b"".join(encode([recording(300)]))
    async with served(create_runner_app(engine())) as address, aiohttp.ClientSession() as session:
        for body, status in ((good, 200), (good[:-1], 400), (b"noise" * 9, 400), (b"", 400)):
            async with session.post(address + PREPARE_PATH, data=body) as answer:
                assert answer.status == status
                if status == 400:
                    assert (await answer.json())["code"] == "broken_call"


async def test_a_body_that_stalls(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(voice_routes, "BODY_TIMEOUT_SECONDS", 0.1)

    async def stalling() -> AsyncGenerator[bytes, None]:
        yield next(encode([recording(300)]))
        await asyncio.Event().wait()

    async with served(create_runner_app(engine())) as address, aiohttp.ClientSession() as session:
        for method, path in (("POST", PREPARE_PATH), ("PUT", f"{VOICES_PATH}/{A}")):
            async with session.request(method, address + path, data=stalling()) as answer:
                assert answer.status == 408


class Studio(SyntheticEngine):
    """Notes what is being prepared, and can have a defect."""

    def __init__(self, config: EngineConfig, defect: Exception | None = None) -> None:
        super().__init__(config)
        self.defect = defect
        self.preparing = self.most = self.cancelled = 0
        self.changed = asyncio.Event()

    async def prepare_voice(self, samples: Sequence[ReferenceSample]) -> VoiceEmbeddingRef:
        self.preparing += 1
        self.most = max(self.most, self.preparing)
        self.changed.set()
        try:
            if self.defect:
                raise self.defect
            return await super().prepare_voice(samples)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.preparing -= 1
            self.changed.set()

    async def when(self, preparing: int) -> None:
        while self.preparing != preparing:
            self.changed.clear()
            await self.changed.wait()


SLOW = {"prepare_ms": 60_000}


async def test_speaking_goes_on_while_a_voice_is_prepared_and_hanging_up_stops_that():
    studio = Studio(engine(options=SLOW))
    async with running(adapter=studio) as runner:
        task = asyncio.create_task(runner.prepare([recording(300)]))
        await studio.when(preparing=1)
        assert await heard(runner, call("tone", prepared=False)) == pytest.approx(220, abs=1)
        assert await heard(runner, call(A), Store(**{A: made(300)})) == pytest.approx(300, abs=1)
        assert studio.preparing == 1
        task.cancel()
        await studio.when(preparing=0)
        assert studio.cancelled == 1


async def test_voices_are_prepared_one_after_the_other_and_few_wait(monkeypatch: pytest.MonkeyPatch):
    noted: list[EnginePreparer] = []

    class Noted(EnginePreparer):
        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            noted.append(self)

    monkeypatch.setattr(runner_module, "EnginePreparer", Noted)
    studio = Studio(engine(options=SLOW))
    async with running(adapter=studio) as runner:
        loud = recording(300, 60.0)
        tasks = [asyncio.create_task(runner.prepare([loud])) for _ in range(WAITING + 3)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 2:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert {type(task.exception()) for task in done} == {EngineOverloaded}
        assert len(waiting) == WAITING + 1
        await studio.when(preparing=1)
        assert (studio.preparing, studio.most) == (1, 1)
        studio._options = studio._options.model_copy(update={"prepare_ms": 0.0})
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        while noted[0]._taken:
            await asyncio.sleep(0.01)
        results = await asyncio.gather(*(runner.prepare([recording(300)]) for _ in range(WAITING + 1)))
        assert len(results) == WAITING + 1
        assert studio.most == 1


async def test_a_preparation_that_fails():
    cases: list[tuple[SyntheticEngine, type[EngineError], str]] = [
        (SyntheticEngine(engine(options={"fail_prepare": True})), UnsupportedUtterance, "fail_prepare"),
        (SyntheticEngine(engine(options={"fail_load": True})), EngineUnavailable, "fail_load"),
        (Studio(engine(), ZeroDivisionError("a defect")), EngineUnavailable, "ZeroDivisionError"),
        (Studio(engine(), TimeoutError("its own")), EngineUnavailable, "TimeoutError"),
        (Studio(engine(), EngineOverloaded("busy")), EngineOverloaded, "busy"),
    ]
    for adapter, kind, words in cases:
        async with running(adapter=adapter) as runner:
            for _ in range(2):
                with pytest.raises(kind, match=words):
                    await runner.prepare([recording(300)])


async def test_a_defect_is_logged_with_its_place(caplog: pytest.LogCaptureFixture):
    async with running(adapter=Studio(engine(), ZeroDivisionError("a defect"))) as runner:
        with pytest.raises(EngineUnavailable):
            await runner.prepare([recording(300)])
    assert "Traceback" in caplog.text
    assert "prepare_voice" in caplog.text


async def test_a_preparation_that_takes_too_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preparing, "PREPARE_TIMEOUT_SECONDS", 0.1)
    studio = Studio(engine(options=SLOW))
    async with running(adapter=studio) as runner:
        with pytest.raises(EngineUnavailable, match="longer than"):
            await runner.prepare([recording(300)])
        assert (studio.preparing, studio.cancelled) == (0, 1)


async def test_a_preparation_that_waits_too_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preparing, "WAIT_TIMEOUT_SECONDS", 0.1)
    studio = Studio(engine(options=SLOW))
    async with running(adapter=studio) as runner:
        first = asyncio.create_task(runner.prepare([recording(300)]))
        await studio.when(preparing=1)
        with pytest.raises(EngineOverloaded, match="waited"):
            await runner.prepare([recording(300)])
        first.cancel()
        await studio.when(preparing=0)


class Careless(SyntheticEngine):
    """Prepares what it could not speak in."""

    result: Any = None

    async def prepare_voice(self, samples: Sequence[ReferenceSample]) -> VoiceEmbeddingRef:
        del samples
        return self.result


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "failed"),
        (unpack(made(300, model="synthetic/9")), "another model"),
        (VoiceEmbeddingRef(engine="S", model="synthetic/1", tensors={"a": np.array([np.nan])}), "broken"),
        (VoiceEmbeddingRef(engine="T", model="synthetic/1", tensors={}), "of 'T'"),
    ],
    ids=["nothing", "model", "nan", "engine"],
)
async def test_an_engine_that_prepares_nonsense(result: Any, words: str):
    adapter = Careless(engine())
    adapter.result = result
    async with running(adapter=adapter) as runner:
        with pytest.raises(EngineUnavailable, match=words):
            await runner.prepare([recording(300)])


async def test_an_engine_that_prepares_too_much(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preparing, "LARGEST", 50)
    async with running() as runner:
        with pytest.raises(EngineUnavailable, match="too large"):
            await runner.prepare([recording(300)])


async def test_a_runner_that_answers_nonsense():
    answers = {
        "/runner/synthesize": (424, b'{"missing": ["emb_cccccccc"], "missed": 1}'),
        "/runner/prepare": (200, b"noise"),
        f"/runner/voices/{A}": (500, b"<html>"),
    }

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        status, body = answers[scope["path"]]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    store = Store(**{A: made(300)})
    async with served(app, lifespan=False) as address, client(engine(), address) as runner:
        with pytest.raises(EngineUnavailable, match="lacks"):
            await heard(runner, call(A), store)
        assert store.reads == [], "it does not choose what is read"
        answers["/runner/synthesize"] = (424, b"noise")
        with pytest.raises(EngineUnavailable, match="broken"):
            await heard(runner, call(A), store)
        with pytest.raises(EngineUnavailable, match="broken"):
            await runner.prepare([recording(300)])
        for failing in (runner.put_voice(A, made(300)), runner.drop_voice(A)):
            with pytest.raises(EngineUnavailable, match="500"):
                await failing


async def test_a_runner_that_is_away():
    async with client(engine(), "unix:///nowhere/runner") as runner:
        for call_of_it in (
            runner.prepare([recording(300)]),
            runner.put_voice(A, made(300)),
            runner.drop_voice(A),
        ):
            with pytest.raises(EngineUnavailable, match="reached"):
                await call_of_it


async def test_a_token_guards_the_voices_too():
    config = engine(token=SecretStr("open sesame"))
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(
            served(RunnerToken(create_runner_app(config), "open sesame"))
        )
        runner = await stack.enter_async_context(client(config, address))
        await runner.put_voice(A, await runner.prepare([recording(300)]))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for method, path in (("POST", PREPARE_PATH), ("PUT", VOICES_PATH), ("DELETE", VOICES_PATH)):
            url = address + path + (f"/{A}" if path == VOICES_PATH else "")
            async with session.request(method, url, data=made(300)) as answer:
                assert answer.status == 401
        assert await heard(runner, call(A)) == pytest.approx(300, abs=3)
