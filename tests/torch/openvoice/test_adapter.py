import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from cachetools import LRUCache
from pydantic import JsonValue, ValidationError

from engines.config import EngineConfig
from engines.contract import (
    Abandoned,
    EngineError,
    EngineUnavailable,
    ReferenceSample,
    Speech,
    Streamed,
    UnsupportedUtterance,
    Utterance,
    VoiceEmbeddingRef,
    synthesize,
)
from engines.openvoice.adapter import OpenVoiceEngine

TEXT = "The quick brown fox jumps over the lazy dog."


def make(folder: Path | None, **options: JsonValue) -> OpenVoiceEngine:
    return OpenVoiceEngine(
        EngineConfig(name="clone", type="OPENVOICE_V2", model_path=folder, device="cpu", options=options)
    )


@pytest.fixture
async def engine(folder: Path) -> AsyncGenerator[OpenVoiceEngine, None]:
    engine = make(folder, threads=1)
    await engine.load()
    yield engine
    await engine.close()


def say(text: str = TEXT, voice: VoiceEmbeddingRef | None = None, **changes: Any) -> Utterance:
    spoken = Utterance(text=text, voice="own" if voice else "alloy", language="en", prepared=voice)
    return replace(spoken, **changes)


def speech(outcome: object) -> Speech:
    assert isinstance(outcome, Speech), outcome
    return outcome


async def prepared(engine: OpenVoiceEngine, voice: str = "onyx") -> VoiceEmbeddingRef:
    heard = speech((await synthesize(engine, [replace(say(f"{TEXT} {TEXT}"), voice=voice)]))[0]).pcm
    return await engine.prepare_voice([ReferenceSample(pcm=heard, sample_rate=engine.sample_rate)])


async def test_a_voice_keeps_its_tone_colour_and_pitch(engine: OpenVoiceEngine):
    voice = await prepared(engine, "onyx")
    assert {name: tensor.shape for name, tensor in voice.tensors.items()} == {
        "tone_colour": (256,),
        "pitch": (1,),
    }
    assert 70 < voice.tensors["pitch"][0] < 95
    assert voice.model == engine.voice_model
    assert voice.model.startswith("openvoice-v2/")


async def test_a_cloned_voice_says_what_the_base_says_as_long_as_it_takes(engine: OpenVoiceEngine):
    voice = await prepared(engine)
    cloned, plain = await synthesize(
        engine, [say(voice=voice, timings=True), replace(say(timings=True), voice="onyx")]
    )
    assert len(speech(cloned).pcm) == pytest.approx(len(speech(plain).pcm), rel=0.01)
    assert [word.word for word in speech(cloned).words] == [word.word for word in speech(plain).words]
    assert len(speech(cloned).words) == 9
    assert speech(cloned).words[-1].end <= len(speech(cloned).pcm) / engine.sample_rate
    assert np.abs(speech(cloned).pcm.astype(int)).max() > 100
    slow = speech((await synthesize(engine, [say(voice=voice, speed=0.5)]))[0]).pcm
    assert len(slow) > 1.6 * len(speech(cloned).pcm)


async def test_a_long_utterance_is_heard_in_pieces(engine: OpenVoiceEngine):
    voice = await prepared(engine)
    long = say(" ".join([TEXT] * 5), voice=voice)
    async with aclosing(engine.stream([long, say("Yes.", voice=voice)])) as items:
        heard = [(index, item) async for index, item in items]
    for index in (0, 1):
        mine = [item for i, item in heard if i == index]
        assert [isinstance(item, Speech) for item in mine] == [False] * (len(mine) - 1) + [True]
    pieces = [len(item) for index, item in heard if index == 0 and isinstance(item, np.ndarray)]
    assert len(pieces) > 1
    assert pieces[0] == (96 - 14) * 256


async def test_the_nearest_base_voice_speaks(engine: OpenVoiceEngine):
    spoken: list[str] = []
    stream = engine._base.stream

    def listening(batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        spoken.extend(utterance.voice for utterance in batch)
        return stream(batch)

    engine._base.stream = listening  # type: ignore[method-assign] - to listen
    for pitch, expected in (
        (85.0, "onyx"),
        (200.0, "coral"),
        (400.0, "shimmer"),
        (np.nan, "alloy"),
        (0.0, "alloy"),
    ):
        voice = VoiceEmbeddingRef(
            engine="clone",
            model=engine.voice_model,
            tensors={"tone_colour": np.zeros(256, np.float32), "pitch": np.array([pitch], np.float32)},
        )
        speech((await synthesize(engine, [say(voice=voice)]))[0])
        assert spoken[-1] == expected


async def test_a_speaker_of_the_base_is_measured_once(
    engine: OpenVoiceEngine, monkeypatch: pytest.MonkeyPatch
):
    voice = await prepared(engine)
    measured: list[str] = []
    stream = engine._base.stream

    def listening(batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        measured.extend(utterance.voice for utterance in batch if utterance.text != TEXT)
        return stream(batch)

    engine._base.stream = listening  # type: ignore[method-assign] - to listen
    monkeypatch.setattr(engine, "_sources", LRUCache(2))
    for language in ("en", "hi", "en", "en"):
        await asyncio.gather(*(synthesize(engine, [say(voice=voice, language=language)]) for _ in range(3)))
    assert len(measured) == 2 * 3, "three sentences for each of two"
    await synthesize(engine, [say(voice=voice, language="fr")])
    assert len(engine._sources) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"model": "openvoice-v2/another"},
        {"tensors": {}},
        {"tensors": {"tone_colour": np.zeros(16, np.float32)}},
        {"tensors": {"tone_colour": np.full(256, np.nan, np.float32)}},
        {"tensors": {"tone_colour": np.zeros(256, np.float32), "pitch": np.zeros(2, np.float32)}},
    ],
)
async def test_a_voice_of_another_model_or_damaged_costs_nobody_else_anything(
    engine: OpenVoiceEngine, change: dict[str, Any]
):
    voice = await prepared(engine)
    bad, good = await synthesize(engine, [say(voice=replace(voice, **change)), say(voice=voice)])
    assert isinstance(bad, UnsupportedUtterance)
    assert bad.param == "voice"
    assert speech(good).pcm.size


@pytest.mark.parametrize("sound", ["nothing", "short", "silent", "noise"])
async def test_recordings_that_say_nothing_are_refused(engine: OpenVoiceEngine, sound: str):
    noise = (np.random.default_rng(0).standard_normal(5 * 22_050) * 3_000).astype(np.int16)
    pcm = {"nothing": noise[:0], "short": noise[:9_000], "silent": noise // 10_000, "noise": noise}[sound]
    with pytest.raises(UnsupportedUtterance):
        await engine.prepare_voice([ReferenceSample(pcm=pcm, sample_rate=22_050)])


async def test_texts_that_cannot_be_spoken(engine: OpenVoiceEngine):
    voice = await prepared(engine)
    long, plain, empty, foreign, good = await synthesize(
        engine,
        [
            say("a" * 401, voice=voice),
            say("a" * 401),
            say(" ", voice=voice),
            say(voice=voice, language="tlh"),
            say(voice=voice),
        ],
    )
    assert [getattr(outcome, "param", None) for outcome in (long, plain, empty, foreign)] == [
        "input",
        "input",
        "input",
        "language",
    ]
    assert speech(good).pcm.size


async def test_what_nobody_wants_is_not_converted(engine: OpenVoiceEngine):
    voice = await prepared(engine)
    looks = 0

    def after_the_first_piece() -> bool:
        nonlocal looks
        return looks > 0

    long = say(" ".join([TEXT] * 5), voice=voice, abandoned=after_the_first_piece)
    heard: list[object] = []
    async with aclosing(engine.stream([long])) as items:
        async for _, item in items:
            heard.append(item)
            looks += 1
    assert [type(item) for item in heard] == [np.ndarray, Abandoned]


async def test_hanging_up_stops_the_work(engine: OpenVoiceEngine):
    voice = await prepared(engine)
    batch = [say(" ".join([TEXT] * 8), voice=voice) for _ in range(8)]
    for _ in range(3):
        async with aclosing(engine.stream(batch)) as items:
            await anext(items)
        task = asyncio.ensure_future(synthesize(engine, batch))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert engine._machine is not None
    assert engine._machine._executor._work_queue.qsize() == 0
    assert speech((await synthesize(engine, [say(voice=voice)]))[0]).pcm.size


async def test_closing_gives_everything_back_and_ends_who_is_speaking(folder: Path):
    engine = make(folder, threads=1)
    await engine.load()
    await engine.warm_up()
    voice = await prepared(engine)
    assert engine._machine is not None
    weights = weakref.ref(engine._machine._converter)
    stream = engine.stream([say(" ".join([TEXT] * 8), voice=voice)])
    await anext(stream)
    await engine.close()
    outcomes = [item async for _, item in stream]
    assert isinstance(outcomes[-1], EngineUnavailable)
    await stream.aclose()
    del stream, outcomes
    gc.collect()
    assert weights() is None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("openvoice")]
    with pytest.raises(EngineUnavailable):
        await synthesize(engine, [say()])
    await engine.load()
    assert speech((await synthesize(engine, [say(voice=voice)]))[0]).pcm.size
    await engine.close()


async def test_what_is_missing_is_told_when_it_is_loaded(tmp_path: Path, folder: Path):
    for engine, reason in (
        (make(None), "model_path is not set"),
        (make(tmp_path), "config.json does not exist"),
        (make(folder, base_voice="nobody"), "'nobody'"),
        (make(folder, precision="fp16"), "fp16"),
        (make(folder, base="melo", base_path=str(tmp_path)), "config.json"),
    ):
        with pytest.raises(EngineUnavailable, match=reason):
            await engine.load()
        await engine.close()
        assert engine.voice_model
        assert engine.license.startswith("MIT")
        assert engine.memory_needed > 0


def test_options_that_make_no_sense_are_refused(folder: Path):
    for options in (
        {"base": "melo"},
        {"base_path": "elsewhere"},
        {"precision": "int8"},
        {"tau": -1},
        {"sound": 3},
    ):
        with pytest.raises(ValidationError):
            make(folder, **options)


async def test_an_error_of_the_base_belongs_to_its_utterance(engine: OpenVoiceEngine):
    voice = await prepared(engine)
    refused, good = await synthesize(engine, [replace(say(), voice="no-such-voice"), say(voice=voice)])
    assert isinstance(refused, EngineError)
    assert speech(good).pcm.size


@pytest.mark.slow
async def test_hundreds_of_conversions_leave_no_memory_behind(engine: OpenVoiceEngine):
    voice = await prepared(engine)
    batch = [say(text, voice=voice) for text in ("Yes.", "Number one.", TEXT, f"{TEXT} And on.")]

    def used() -> int:
        gc.collect()
        return psutil.Process().memory_info().rss

    for _ in range(25):
        await synthesize(engine, batch)
    before = used()
    for _ in range(50):
        await synthesize(engine, batch)
    assert used() - before < 16 << 20
