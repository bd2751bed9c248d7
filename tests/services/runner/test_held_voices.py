"""The voices that a runner holds."""

from typing import Any

import numpy as np
import pytest

from engines.contract import EngineUnavailable, VoiceEmbeddingRef
from engines.synthetic import SyntheticEngine
from services.runner import held_voices
from services.runner.held_voices import HeldVoices, VoiceRefused

from runners import engine

MIB = 1024 * 1024


class Remembering(SyntheticEngine):
    """Notes what it is told to forget."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(engine(**settings))
        self.forgotten: list[str] = []
        self.defect: Exception | None = None

    def forget_voice(self, voice: str, /) -> None:
        self.forgotten.append(voice)
        if self.defect:
            raise self.defect


def voice(numbers: int = 1, model: str = "synthetic/1") -> VoiceEmbeddingRef:
    return VoiceEmbeddingRef(
        engine="S", model=model, tensors={"frequency": np.full(numbers, 200, np.float32)}
    )


@pytest.fixture
def adapter() -> Remembering:
    return Remembering()


@pytest.fixture
def voices(adapter: Remembering) -> HeldVoices:
    return HeldVoices(adapter, MIB)


def test_what_is_here_and_what_is_not(voices: HeldVoices):
    held = voice()
    voices.put("emb_b", held)
    assert voices.find({"emb_c", "emb_b", "emb_a"}) == ({"emb_b": held}, ["emb_a", "emb_c"])


def test_only_voices_of_the_engine_s_model(voices: HeldVoices):
    with pytest.raises(VoiceRefused, match="synthetic/2") as caught:
        voices.put("emb_a", voice(model="synthetic/2"))
    assert (caught.value.status, caught.value.code) == (409, "wrong_voice_model")
    with pytest.raises(VoiceRefused, match="voice_cache_bytes") as caught:
        voices.put("emb_a", voice(MIB // 4))
    assert (caught.value.status, caught.value.code) == (413, "voice_too_large")
    assert len(voices.cache) == 0


def test_a_voice_read_before_it_was_dropped_does_not_come_back(voices: HeldVoices):
    missed = voices.drops
    voices.drop("emb_a")
    with pytest.raises(VoiceRefused) as caught:
        voices.put("emb_a", voice(), missed=missed)
    assert (caught.value.status, caught.value.code) == (410, "voice_dropped")
    voices.put("emb_b", voice(), missed=missed)
    voices.put("emb_a", voice(), missed=voices.drops)
    assert len(voices.cache) == 2


def test_a_count_of_another_runner_is_not_believed(voices: HeldVoices, adapter: Remembering):
    later = HeldVoices(adapter, MIB)
    for count in (voices.drops, later.drops + 1):
        with pytest.raises(VoiceRefused):
            later.put("emb_a", voice(), missed=count)
    later.put("emb_a", voice(), missed=later.drops)


def test_dropped_voices_are_remembered_within_a_bound(voices: HeldVoices, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(held_voices, "REMEMBERED", 3)
    counts = [voices.drops]
    for number in range(5):
        voices.drop(f"emb_{number}")
        counts.append(voices.drops)
    assert len(voices._dropped) == 3
    for count in counts[:2]:
        with pytest.raises(VoiceRefused):
            voices.put("emb_x", voice(), missed=count)
    voices.put("emb_x", voice(), missed=counts[2])


def test_the_engine_forgets_too(voices: HeldVoices, adapter: Remembering):
    voices.put("emb_a", voice())
    voices.drop("emb_a")
    voices.drop("emb_never_seen")
    assert adapter.forgotten == ["emb_a", "emb_never_seen"]


def test_what_is_in_use_is_forgotten_again_after_its_last_call(voices: HeldVoices, adapter: Remembering):
    with voices.used(["emb_a", "emb_b"]):
        with voices.used(["emb_a"]):
            voices.drop("emb_a")
        assert adapter.forgotten == ["emb_a"]
    assert adapter.forgotten == ["emb_a", "emb_a"]
    with voices.used(["emb_a"]):
        pass
    assert adapter.forgotten == ["emb_a", "emb_a"]
    assert not voices._uses
    assert not voices._to_forget


def test_an_engine_that_cannot_forget_is_reported_and_hurts_no_call(
    voices: HeldVoices, adapter: Remembering, caplog: pytest.LogCaptureFixture
):
    adapter.defect = ZeroDivisionError("a defect")
    voices.put("emb_a", voice())
    with voices.used(["emb_a"]), pytest.raises(EngineUnavailable, match="evict"):
        voices.drop("emb_a")
    assert len(voices.cache) == 0
    assert len(adapter.forgotten) == 2
    assert "ZeroDivisionError" in caplog.text
