from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest

from engines.config import EngineConfig
from engines.contract import ReferenceSample, Speech, UnsupportedUtterance, Utterance, synthesize
from engines.openvoice.adapter import OpenVoiceEngine

import random_melo

TEXT = "The quick brown fox jumps over the lazy dog, and then over the fence."


@pytest.fixture
async def engine(folder: Path, tmp_path: Path) -> AsyncGenerator[OpenVoiceEngine, None]:
    base = random_melo.melo(tmp_path / "EN")
    options = {"base": "melo", "base_path": str(base), "threads": 1, "precision": "fp32"}
    engine = OpenVoiceEngine(
        EngineConfig(name="clone", type="OPENVOICE_V2", model_path=folder, device="cpu", options=options)
    )
    await engine.load()
    yield engine
    await engine.close()


async def test_melotts_speaks_in_a_cloned_voice(engine: OpenVoiceEngine) -> None:
    plain = Utterance(text=TEXT, voice="EN_INDIA", language="en-IN", seed=3, timings=True)
    (spoken,) = await synthesize(engine, [plain])
    assert isinstance(spoken, Speech), spoken
    sample = ReferenceSample(pcm=spoken.pcm, sample_rate=engine.sample_rate)
    voice = await engine.prepare_voice([sample])
    asked = Utterance(text=TEXT, voice="mine", language="en-IN", seed=3, timings=True, prepared=voice)
    cloned, hindi = await synthesize(
        engine, [asked, Utterance(text="नमस्ते", voice="mine", language="hi", prepared=voice)]
    )
    assert isinstance(cloned, Speech), cloned
    assert len(cloned.pcm) == pytest.approx(len(spoken.pcm), rel=0.01)
    assert not np.array_equal(cloned.pcm[: len(spoken.pcm)], spoken.pcm[: len(cloned.pcm)])
    # The same speaker, who is the one with the language's accent, says both.
    assert [word.start for word in cloned.words] == [word.start for word in spoken.words]
    assert len(cloned.words) == 14
    assert isinstance(hindi, UnsupportedUtterance)


async def test_its_speakers_are_the_engines_voices(engine: OpenVoiceEngine) -> None:
    assert "en-india" in {voice.id for voice in engine.voices()}
    assert list(engine.languages) == ["en", "en-au", "en-gb", "en-in", "en-us"]
    assert engine.license == "MIT"
