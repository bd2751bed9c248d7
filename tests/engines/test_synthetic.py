"""The tone engine's prepared voices."""

from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest

from engines.config import EngineConfig
from engines.contract import (
    Abilities,
    CloningEngine,
    EngineUnavailable,
    ReferenceSample,
    Speech,
    UnsupportedUtterance,
    Utterance,
    VoiceEmbeddingRef,
    synthesize,
)
from engines.synthetic import SAMPLE_RATE, SyntheticEngine


def made(**options: Any) -> SyntheticEngine:
    return SyntheticEngine(EngineConfig(name="S", type="SYNTHETIC", options={"base_ms": 0, **options}))


def sung(hertz: float, seconds: float, rate: int = 16_000, noise: float = 0.0) -> ReferenceSample:
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(3)
    sound = np.sin(2 * np.pi * hertz * time) + 0.3 * np.sin(4 * np.pi * hertz * time)
    sound += noise * rng.standard_normal(time.size)
    return ReferenceSample(pcm=(6_000 * sound).astype(np.int16), sample_rate=rate)


def said(prepared: VoiceEmbeddingRef, language: str = "en") -> Utterance:
    return Utterance(
        text="Something to say.", voice="emb_aaaaaaaa", language=language, prepared=prepared, timings=True
    )


@pytest.fixture
async def engine() -> AsyncGenerator[SyntheticEngine, None]:
    engine = made()
    await engine.load()
    yield engine
    await engine.close()


def test_it_says_that_it_clones():
    assert isinstance(made(), CloningEngine)
    assert Abilities.of(made()).cloning
    assert made().voice_model == "synthetic/1"


@pytest.mark.parametrize("hertz", [80.0, 217.0, 950.0])
async def test_the_voice_is_the_pitch_of_its_recordings(engine: SyntheticEngine, hertz: float):
    samples = [
        sung(hertz, 0.05),
        sung(hertz, 3.0, 48_000, noise=0.2),
        ReferenceSample(pcm=np.zeros(8_000, np.int16), sample_rate=8_000),
    ]
    voice = await engine.prepare_voice(samples)
    assert (voice.engine, voice.model) == ("S", "synthetic/1")
    assert float(voice.tensors["frequency"][0]) == pytest.approx(hertz, abs=2.0)
    for language in engine.languages:
        (outcome,) = await synthesize(engine, [said(voice, language)])
        assert isinstance(outcome, Speech)
        spectrum = np.abs(np.fft.rfft(outcome.pcm))
        assert spectrum.argmax() * SAMPLE_RATE / outcome.pcm.size == pytest.approx(hertz, abs=3.0)
        assert [word.word for word in outcome.words] == ["Something", "to", "say."]


async def test_a_voice_of_another_model_is_refused(engine: SyntheticEngine):
    other = made(voice_model="synthetic/2")
    await other.load()
    voice = await other.prepare_voice([sung(200, 1.0)])
    assert voice.model == "synthetic/2"
    (outcome,) = await synthesize(other, [said(voice)])
    assert isinstance(outcome, Speech)
    (outcome,) = await synthesize(engine, [said(voice)])
    assert isinstance(outcome, UnsupportedUtterance)
    assert outcome.param == "voice"


async def test_what_cannot_be_prepared(engine: SyntheticEngine):
    silent = ReferenceSample(pcm=np.zeros(16_000, np.int16), sample_rate=16_000)
    for samples in ([], [silent], [ReferenceSample(pcm=np.zeros(0, np.int16), sample_rate=16_000)]):
        with pytest.raises(UnsupportedUtterance, match="no sound"):
            await engine.prepare_voice(samples)
    with pytest.raises(EngineUnavailable):
        await made().prepare_voice([sung(200, 1.0)])
    refusing = made(fail_prepare=True)
    await refusing.load()
    with pytest.raises(UnsupportedUtterance, match="fail_prepare"):
        await refusing.prepare_voice([sung(200, 1.0)])


async def test_a_language_may_have_a_limit_of_its_own():
    engine = made(max_chars_by_language={"hi": 20})
    await engine.load()
    text = "यह बीस अक्षरों से लंबा है"
    hindi, english = await synthesize(
        engine, [Utterance(text=text, voice="tone", language=language) for language in ("hi-IN", "en")]
    )
    assert isinstance(hindi, UnsupportedUtterance)
    assert hindi.param == "input"
    assert isinstance(english, Speech)
