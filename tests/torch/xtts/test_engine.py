"""XTTS_HI as the runner uses it: streamed, in company, given up, out of memory, and said again."""

import asyncio
import random
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.config import EngineConfig
from engines.contract import (
    Abandoned,
    CloningEngine,
    EngineError,
    EngineUnavailable,
    Pcm,
    ReferenceSample,
    Speech,
    StreamingEngine,
    UnsupportedUtterance,
    Utterance,
    VoiceEmbeddingRef,
    WarmingUp,
    synthesize,
)
from engines.registry import get_engine_adapter
from engines.xtts import model as models
from engines.xtts.adapter import XttsEngine
from engines.xtts.decoder import Decoder
from engines.xtts.vocoder import Vocoder

from stock_xtts import load_stock

EXACT = {"precision": "fp32", "vocoder_precision": "fp32", "self_check": False}
TEXT = "hello there, this is a somewhat longer sentence to say aloud."
HINDI = "नमस्ते, मेरे पास 25 सेब हैं।"


def buzz(hertz: float = 140.0, seconds: float = 4.0, rate: int = 24_000) -> ReferenceSample:
    time = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 9))
    pcm = (4_000 * wave * (1 + np.sin(2 * np.pi * 3 * time)) / 2).astype(np.int16)
    return ReferenceSample(pcm=pcm, sample_rate=rate)


def make(folder: Path | None, **options: Any) -> XttsEngine:
    config = EngineConfig(
        name="XTTS_HI", type="XTTS_HI", device="cpu", model_path=folder, options={**EXACT, **options}
    )
    engine = get_engine_adapter("XTTS_HI", config)
    assert isinstance(engine, XttsEngine)
    return engine


@pytest.fixture
async def loaded(tiny_xtts: Path) -> AsyncGenerator[Callable[..., Any], None]:
    """Makes engines that are loaded, and closes them."""
    made: list[XttsEngine] = []

    async def load(**options: Any) -> XttsEngine:
        engine = make(tiny_xtts, **options)
        made.append(engine)
        await engine.load()
        return engine

    yield load
    before = threading.active_count()
    for engine in made:
        await engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("xtts")], before


@pytest.fixture(scope="module")
def voice(tiny_xtts: Path) -> VoiceEmbeddingRef:
    engine = make(tiny_xtts)

    async def prepare() -> VoiceEmbeddingRef:
        await engine.load()
        prepared = await engine.prepare_voice([buzz()])
        await engine.close()
        return prepared

    return asyncio.run(prepare())


def say(voice: VoiceEmbeddingRef, text: str = TEXT, language: str = "en", **more: Any) -> Utterance:
    settings: dict[str, Any] = {"seed": 7, **more}
    return Utterance(text=text, voice="emb_1", language=language, prepared=voice, **settings)


async def spoken(engine: XttsEngine, *utterances: Utterance) -> list[Speech]:
    outcomes = await asyncio.wait_for(synthesize(engine, utterances), 60)
    for outcome in outcomes:
        assert isinstance(outcome, Speech), outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Speech)]


async def idle(engine: XttsEngine) -> None:
    """Wait until nothing is decoded and nothing waits."""
    assert engine._model is not None
    for _ in range(600):
        load = engine._model._synthesis.load
        if not load.decoding and not load.waiting:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"it never came to rest: {engine._model._synthesis.load}")


def test_it_is_what_the_runner_asks_for(tiny_xtts: Path) -> None:
    engine = make(tiny_xtts)
    assert isinstance(engine, StreamingEngine)
    assert isinstance(engine, CloningEngine)
    assert isinstance(engine, WarmingUp)
    assert engine.license == "CPML"
    assert engine.license_notice
    assert "hi" in engine.languages
    assert engine.capabilities.max_chars_by_language["hi"] == 150
    assert engine.capabilities.slots > 1
    assert engine.memory_needed > 1_000_000_000
    assert engine.voices() == ()


async def test_it_says_what_is_missing() -> None:
    engine = make(None)
    assert engine.voice_model
    assert engine.memory_needed == 0
    with pytest.raises(EngineUnavailable, match="model_path"):
        await engine.load()
    with pytest.raises(EngineUnavailable, match="not loaded"):
        await engine.prepare_voice([buzz()])


async def test_it_speaks_as_stock_xtts_does(
    loaded: Callable[..., Any], tiny_xtts: Path, voice: VoiceEmbeddingRef
) -> None:
    """Text, decoder, vocoder, stream: the samples are those of ``Xtts.inference``."""
    engine = await loaded(min_tokens=60, max_tokens=60, check=False)
    (ours,) = await spoken(engine, say(voice))
    stock = load_stock(tiny_xtts)
    settings = engine._model.checkpoint.settings
    torch.manual_seed(7)
    theirs = stock.inference(
        TEXT,
        "en",
        torch.from_numpy(voice.tensors["gpt_cond_latent"])[None],
        torch.from_numpy(voice.tensors["speaker_embedding"])[None, :, None],
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        repetition_penalty=float(settings.repetition_penalty),
        max_new_tokens=60,
        min_new_tokens=60,
    )["wav"]
    assert len(ours.pcm) == len(theirs)
    assert np.abs(ours.pcm - theirs * 32_767).max() < 3


async def test_company_changes_nothing(loaded: Callable[..., Any], voice: VoiceEmbeddingRef) -> None:
    engine = await loaded(min_tokens=30, max_tokens=40, slots=4, check=False)
    hindi = say(voice, HINDI, "hi", seed=3)
    crowd = [say(voice, seed=seed, speed=1.0 + seed / 40) for seed in range(9)]
    (alone,) = await spoken(engine, hindi)
    together = await spoken(engine, *crowd[:4], hindi, *crowd[4:])
    assert np.abs(together[4].pcm.astype(int) - alone.pcm).max() < 3
    assert len(together[0].pcm) > len(together[8].pcm) > 0


async def test_without_a_seed_it_is_different_each_time(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef
) -> None:
    engine = await loaded(min_tokens=20, max_tokens=20, check=False)
    one, other = await spoken(engine, say(voice, seed=None), say(voice, seed=None))
    assert not np.array_equal(one.pcm, other.pcm)


async def test_it_streams_while_it_decodes(loaded: Callable[..., Any], voice: VoiceEmbeddingRef) -> None:
    engine = await loaded(min_tokens=100, max_tokens=100, check=False)
    pieces: list[Pcm] = []
    async with aclosing(engine.stream([say(voice)])) as stream:
        async for _, item in stream:
            if isinstance(item, np.ndarray):
                pieces.append(item)
    assert len(pieces) > 3
    assert len(pieces[0]) < 6_000
    (whole,) = await spoken(engine, say(voice))
    assert np.array_equal(np.concatenate(pieces), whole.pcm)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"prepared": None}, "voice"),
        ({"language": "xx"}, "language"),
        ({"text": "!!!"}, "input"),
        ({"text": "word " * 500}, "input"),
    ],
)
async def test_an_utterance_that_cannot_be_spoken_is_refused_alone(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef, changes: dict[str, Any], param: str
) -> None:
    engine = await loaded(max_tokens=10, check=False)
    outcomes = await synthesize(engine, [replace(say(voice), **changes), say(voice)])
    assert isinstance(outcomes[0], UnsupportedUtterance)
    assert outcomes[0].param == param
    assert isinstance(outcomes[1], Speech)


async def test_a_voice_of_other_weights_is_refused(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef
) -> None:
    engine = await loaded()
    (outcome,) = await synthesize(engine, [say(replace(voice, model="xtts/1 (another)"))])
    assert isinstance(outcome, UnsupportedUtterance)
    assert "Prepare it again" in outcome.message


async def test_slots_never_leak(loaded: Callable[..., Any], voice: VoiceEmbeddingRef) -> None:
    """Callers that come and go at random: at the end every slot is free, and it speaks as before."""
    engine = await loaded(min_tokens=20, max_tokens=30, slots=3)
    chance = random.Random(5)
    (before,) = await spoken(engine, say(voice))

    async def call(number: int) -> None:
        await asyncio.sleep(chance.random() * 0.5)
        async with aclosing(
            engine.stream([say(voice, seed=number), say(voice, "hm.", seed=number)])
        ) as stream:
            leaves = chance.randrange(4)
            async for _ in stream:
                if leaves == 0:
                    return
                leaves -= 1

    await asyncio.wait_for(asyncio.gather(*(call(number) for number in range(40))), 60)
    await idle(engine)
    (after,) = await spoken(engine, say(voice))
    assert np.array_equal(before.pcm, after.pcm)


async def test_a_caller_that_leaves_stops_the_work(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef
) -> None:
    engine = await loaded(min_tokens=600, check=False)
    gone = False
    utterance = replace(say(voice), abandoned=lambda: gone)
    last: object = None
    async with aclosing(engine.stream([utterance])) as stream:
        await anext(stream)
        gone = True
        async for _, item in stream:
            last = item
    assert isinstance(last, Abandoned)
    await idle(engine)


async def test_closing_ends_what_is_spoken(loaded: Callable[..., Any], voice: VoiceEmbeddingRef) -> None:
    engine = await loaded(min_tokens=600, check=False)
    speaking = asyncio.create_task(synthesize(engine, [say(voice)] * 12))
    await asyncio.sleep(0.1)
    await engine.close()
    outcomes = await asyncio.wait_for(speaking, 30)
    assert {type(outcome) for outcome in outcomes} == {EngineUnavailable}
    await engine.load()
    engine._options = engine._options.model_copy(update={"max_tokens": 5})
    assert isinstance((await synthesize(engine, [say(voice)]))[0], Speech | EngineError)


async def test_after_the_warm_up_nothing_of_it_is_left(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef
) -> None:
    cold, warm = await loaded(), await loaded()
    await warm.warm_up()
    await idle(warm)
    assert len(warm._model._synthesis._prefixes) == 0
    ((expected,), (found,)) = await spoken(cold, say(voice)), await spoken(warm, say(voice))
    assert np.array_equal(found.pcm, expected.pcm)


@pytest.mark.parametrize("broken", [(Decoder, "step"), (Vocoder, "render")])
async def test_an_engine_that_cannot_speak_is_found_out_in_its_warm_up(
    loaded: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, broken: tuple[type, str]
) -> None:
    engine = await loaded()
    monkeypatch.setattr(*broken, lambda *_: (_ for _ in ()).throw(RuntimeError("boom")))
    with pytest.raises(EngineUnavailable, match="RuntimeError"):
        await engine.warm_up()
    await idle(engine)


async def test_a_failure_reaches_those_it_concerns_and_passes(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await loaded(min_tokens=20, max_tokens=20, check=False)
    with monkeypatch.context() as broken:
        broken.setattr(Decoder, "step", lambda *_: (_ for _ in ()).throw(RuntimeError("boom")))
        outcomes = await asyncio.wait_for(synthesize(engine, [say(voice)] * 3), 30)
    assert {type(outcome) for outcome in outcomes} == {EngineUnavailable}
    with monkeypatch.context() as broken:
        broken.setattr(Vocoder, "render", lambda *_: (_ for _ in ()).throw(RuntimeError("boom")))
        outcomes = await asyncio.wait_for(synthesize(engine, [say(voice)] * 3), 30)
    assert {type(outcome) for outcome in outcomes} == {EngineUnavailable}
    await idle(engine)
    await spoken(engine, say(voice))


@pytest.mark.parametrize("moment", [0, 3, 12])
async def test_out_of_memory_costs_slots_and_no_sentence(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """They begin again in fewer slots, and are heard from where they were: the same audio as without."""
    engine = await loaded(min_tokens=40, max_tokens=40, slots=4, check=False)
    utterances = [say(voice, seed=seed) for seed in range(6)]
    expected = await spoken(engine, *utterances)
    left = moment
    step = Decoder.step

    def failing(self: Decoder, *args: Any) -> torch.Tensor:
        nonlocal left
        left -= 1
        if left == -1:
            raise torch.OutOfMemoryError("no memory")
        return step(self, *args)

    monkeypatch.setattr(Decoder, "step", failing)
    found = await spoken(engine, *utterances)
    assert engine._model._synthesis.load.slots == engine.capabilities.slots == 2
    for speech, same in zip(found, expected, strict=True):
        assert len(speech.pcm) == len(same.pcm)
        assert np.abs(speech.pcm.astype(int) - same.pcm).max() < 3
    await idle(engine)


async def test_without_memory_for_one_sentence_it_says_so(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await loaded(min_tokens=20, max_tokens=20, slots=4, check=False)

    def failing(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("no memory")

    with monkeypatch.context() as full:
        full.setattr(Decoder, "step", failing)
        outcomes = await asyncio.wait_for(synthesize(engine, [say(voice)] * 6), 30)
    assert {type(outcome) for outcome in outcomes} == {EngineUnavailable}
    await idle(engine)
    await spoken(engine, say(voice))


async def test_what_nobody_waits_for_is_held_back(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef
) -> None:
    engine = await loaded(min_tokens=80, max_tokens=80, check=False)
    waits = False
    held = replace(say(voice), awaited=lambda: waits)
    heard: list[str] = []
    async with aclosing(engine.stream([held, say(voice, seed=8)])) as stream:
        async for index, item in stream:
            heard.append(f"{index}{'.' if isinstance(item, Speech) else ''}")
            waits = "1." in heard
    assert heard.index("0") > heard.index("1")


async def test_a_sentence_that_goes_on_for_too_long_is_said_again_if_nobody_heard_it(
    loaded: Callable[..., Any], voice: VoiceEmbeddingRef
) -> None:
    """Random weights never find the end of two letters."""
    engine = await loaded(min_tokens=500)
    held, streamed, seeded = await spoken(
        engine,
        replace(say(voice, "hi.", seed=None), awaited=lambda: False),
        say(voice, "hi.", seed=None),
        replace(say(voice, "hi."), awaited=lambda: False),
    )
    assert (held.retries, streamed.retries, seeded.retries) == (1, 0, 0)
    for speech in (held, streamed, seeded):
        assert speech.finish_reason in {"runaway", "repetition"}
        assert speech.finish_reason in speech.findings
        assert 0 < len(speech.pcm) < 5 * engine.sample_rate


async def test_a_precision_too_far_from_fp32_is_not_used(
    tiny_xtts: Path, voice: VoiceEmbeddingRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound, expected in ((0.0, "bf16"), (2.0, "fp32")):
        monkeypatch.setattr("engines.xtts.self_check.AGREEMENT", bound)
        monkeypatch.setattr(models, "FIDELITY", 1_000.0 if bound else 10.0)
        options = {"precision": "bf16", "vocoder_precision": "bf16", "self_check": True, "max_tokens": 20}
        engine = make(tiny_xtts, **options)
        await engine.load()
        assert engine._model is not None
        assert engine._model.precision.value == expected
        assert engine._model.vocoder_precision.value == expected
        await spoken(engine, say(voice))
        await engine.close()


async def test_the_speakers_of_coquis_file_are_voices(tiny_xtts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "with_speakers"
    folder.mkdir()
    for file in tiny_xtts.iterdir():
        (folder / file.name).symlink_to(file)
    width = models.load_checkpoint(tiny_xtts).shape.width
    saved = {
        name: {"gpt_cond_latent": torch.randn(1, 32, width), "speaker_embedding": torch.randn(1, 512, 1)}
        for name in ("Claribel Dervla", "Asha Rao")
    }
    torch.save(saved, folder / "speakers_xtts.pth")
    engine = make(folder, min_tokens=10, max_tokens=10, check=False)
    assert [(voice.id, voice.aliases) for voice in engine.voices()] == [
        ("Claribel Dervla", ("alloy",)),
        ("Asha Rao", ("ash",)),
    ]
    await engine.load()
    plain = Utterance(text=TEXT, voice="Asha Rao", language="en", seed=1)
    one, alias, other = await spoken(
        engine, plain, replace(plain, voice="ash"), replace(plain, voice="alloy")
    )
    assert np.array_equal(one.pcm, alias.pcm)
    assert not np.array_equal(one.pcm, other.pcm)
    await engine.close()


def test_a_file_of_speakers_runs_nothing(tiny_xtts: Path, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
            return Path.touch, (tmp_path / "was_run",)  # type: ignore[return-value]

    folder = tmp_path / "harmful"
    folder.mkdir()
    (folder / "config.json").symlink_to(tiny_xtts / "config.json")
    torch.save({"Mallory": Harmful()}, folder / "speakers_xtts.pth")
    assert [voice.id for voice in make(folder).voices()] == ["Mallory"]
    assert not (tmp_path / "was_run").exists()
    (folder / "speakers_xtts.pth").write_bytes(b"PK nothing")
    assert make(folder).voices() == ()
