"""Recordings become the numbers that coqui-tts makes of them, and come back from storage as they were."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from engines.contract import Abandoned, Pcm, ReferenceSample, UnsupportedUtterance, VoiceEmbeddingRef
from engines.xtts.checkpoint import Checkpoint, ModelSettings, load_checkpoint
from engines.xtts.conditioning import Conditioning, condition

from stock_xtts import load_stock

RATE = 22_050
MODEL = "xtts:0123"


@pytest.fixture(scope="module")
def checkpoint(tiny_xtts: Path) -> Checkpoint:
    return load_checkpoint(tiny_xtts)


@pytest.fixture(scope="module")
def stock(tiny_xtts: Path) -> Any:
    return load_stock(tiny_xtts)


def with_settings(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    return replace(
        checkpoint, settings=ModelSettings.model_validate(checkpoint.settings.model_dump() | changes)
    )


def voice(seconds: float, rate: int = RATE, pitch: float = 120.0, scale: float = 0.5) -> Pcm:
    """A buzz with an intonation and vowels: the same sound at every rate."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * pitch * (time - 0.2 / (2 * np.pi * 3) * np.cos(2 * np.pi * 3 * time))
    buzz = np.sum([np.sin(number * phase) / number for number in range(1, 16)], axis=0)
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 1.7 * time)
    return (buzz * loudness / 2.5 * scale * 32767).astype(np.int16)


def sample(pcm: Pcm, rate: int = RATE) -> ReferenceSample:
    return ReferenceSample(pcm=pcm, sample_rate=rate)


def by_stock(
    stock: Any, monkeypatch: pytest.MonkeyPatch, pcms: list[Pcm], settings: ModelSettings
) -> Conditioning:
    """``Xtts.get_conditioning_latents``, given samples where it would read files."""

    def load(pcm: Pcm, rate: int) -> torch.Tensor:
        assert rate == RATE
        return torch.from_numpy(pcm.astype(np.float32) / np.float32(32768))[None]

    monkeypatch.setattr("TTS.tts.models.xtts.load_audio", load)
    latents, speaker = stock.get_conditioning_latents(
        audio_path=pcms,
        max_ref_length=settings.max_ref_len,
        gpt_cond_len=settings.gpt_cond_len,
        gpt_cond_chunk_len=settings.gpt_cond_chunk_len,
        sound_norm_refs=settings.sound_norm_refs,
    )
    return Conditioning(latents, speaker)


@pytest.mark.parametrize(
    ("seconds", "changes"),
    [
        ([0.34], {}),
        ([4.0], {}),
        ([9.3], {}),
        ([8.2], {}),  # the last piece is too short to be heard
        ([3.0, 5.5, 0.5], {}),
        ([6.0, 6.0], {"gpt_cond_len": 7, "gpt_cond_chunk_len": 3, "max_ref_len": 4}),
        ([5.0, 2.0], {"sound_norm_refs": True}),
        ([5.0], {"gpt_cond_len": 3, "gpt_cond_chunk_len": 6}),
    ],
)
def test_a_voice_is_what_stock_xtts_makes_of_the_recordings(
    checkpoint: Checkpoint,
    stock: Any,
    monkeypatch: pytest.MonkeyPatch,
    seconds: list[float],
    changes: dict[str, Any],
) -> None:
    model = with_settings(checkpoint, **changes)
    pcms = [voice(length, pitch=100 + 40 * number) for number, length in enumerate(seconds)]
    ours = condition(model, [sample(pcm) for pcm in pcms])
    theirs = by_stock(stock, monkeypatch, pcms, model.settings)
    assert ours.latents.shape == (1, 32, model.shape.width)
    assert ours.speaker.shape == (1, 512, 1)
    torch.testing.assert_close(ours.latents, theirs.latents, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.speaker, theirs.speaker, rtol=1e-5, atol=1e-6)


def distance(one: Conditioning, other: Conditioning) -> tuple[float, float]:
    """How far apart two voices are, latents and embeddings; 0 is the same, 2 the opposite."""
    latents = torch.cosine_similarity(one.latents.flatten(), other.latents.flatten(), dim=0)
    speaker = torch.cosine_similarity(one.speaker.flatten(), other.speaker.flatten(), dim=0)
    return 1 - float(latents), 1 - float(speaker)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000, 22_051])
def test_the_rate_of_a_recording_matters_little(checkpoint: Checkpoint, rate: int) -> None:
    """Nearer to the same sound at the model's rate than to another voice; much nearer if nothing is lost."""
    reference = condition(checkpoint, [sample(voice(2.0))])
    at_rate = distance(condition(checkpoint, [sample(voice(2.0, rate), rate)]), reference)
    another = distance(condition(checkpoint, [sample(voice(2.0, pitch=210.0))]), reference)
    share = 1.0 if rate < RATE else 0.1
    assert at_rate[0] < share * another[0]
    assert at_rate[1] < share * another[1]


def test_a_recording_that_is_too_short_is_named(checkpoint: Checkpoint) -> None:
    with pytest.raises(UnsupportedUtterance, match=r"Recording 2 is too short: 0\.32 s") as raised:
        condition(checkpoint, [sample(voice(3.0)), sample(voice(0.32))])
    assert raised.value.param == "samples"


def test_silence_is_no_voice(checkpoint: Checkpoint) -> None:
    with pytest.raises(UnsupportedUtterance, match="Recording 1 is silent"):
        condition(checkpoint, [sample(np.zeros(RATE, np.int16))])


def test_no_recording_is_no_voice(checkpoint: Checkpoint) -> None:
    with pytest.raises(UnsupportedUtterance, match="needs a recording"):
        condition(checkpoint, [])


def test_work_that_nobody_waits_for_stops_between_pieces(checkpoint: Checkpoint) -> None:
    asked: list[bool] = []

    def abandoned() -> bool:
        asked.append(len(asked) == 2)
        return asked[-1]

    with pytest.raises(Abandoned):
        condition(checkpoint, [sample(voice(12.0))], abandoned=abandoned)
    assert asked == [False, False, True]


def test_threads_do_not_disturb_each_other(checkpoint: Checkpoint) -> None:
    pcms = [voice(2.0 + number, pitch=90 + 30 * number) for number in range(4)]
    alone = [condition(checkpoint, [sample(pcm)]) for pcm in pcms]
    together: dict[int, Conditioning] = {}

    def work(number: int) -> None:
        together[number] = condition(checkpoint, [sample(pcms[number])])

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for number, voice_alone in enumerate(alone):
        torch.testing.assert_close(together[number].latents, voice_alone.latents)
        torch.testing.assert_close(together[number].speaker, voice_alone.speaker)


@pytest.fixture
def prepared(checkpoint: Checkpoint) -> VoiceEmbeddingRef:
    tensors = condition(checkpoint, [sample(voice(2.0))]).to_tensors()
    return VoiceEmbeddingRef(engine="XTTS_HI", model=MODEL, tensors=tensors)


def test_a_prepared_voice_comes_back_as_it_was(checkpoint: Checkpoint) -> None:
    made = condition(checkpoint, [sample(voice(2.0))])
    tensors = made.to_tensors()
    assert {name: (array.shape, array.dtype) for name, array in tensors.items()} == {
        "gpt_cond_latent": ((32, 64), np.float32),
        "speaker_embedding": ((512,), np.float32),
    }
    read = Conditioning.from_tensors(tensors, checkpoint.shape)
    assert torch.equal(read.latents, made.latents)
    assert torch.equal(read.speaker, made.speaker)


def test_another_models_voice_is_refused(checkpoint: Checkpoint, prepared: VoiceEmbeddingRef) -> None:
    Conditioning.from_prepared(prepared, model=MODEL, shape=checkpoint.shape)
    with pytest.raises(UnsupportedUtterance, match="prepared for xtts:0123, not for xtts:4567"):
        Conditioning.from_prepared(prepared, model="xtts:4567", shape=checkpoint.shape)


def spoilt(array: npt.NDArray[np.float32], value: float) -> npt.NDArray[np.float32]:
    spoilt = array.copy()
    spoilt.flat[7] = value
    return spoilt


@pytest.mark.parametrize("name", ["gpt_cond_latent", "speaker_embedding"])
@pytest.mark.parametrize("damage", ["missing", "transposed", "short", "nan", "infinite", "huge"])
def test_a_damaged_voice_is_refused(
    checkpoint: Checkpoint, prepared: VoiceEmbeddingRef, name: str, damage: str
) -> None:
    array = prepared.tensors[name]
    damaged = {
        "transposed": array[None].T,
        "short": array[:-1],
        "nan": spoilt(array, np.nan),
        "infinite": spoilt(array, -np.inf),
        "huge": spoilt(array, 1e30),
    }
    tensors = dict(prepared.tensors)
    del tensors[name]
    if damage in damaged:
        tensors[name] = damaged[damage]
    with pytest.raises(UnsupportedUtterance, match=f"damaged: '{name}'") as raised:
        Conditioning.from_prepared(replace(prepared, tensors=tensors), model=MODEL, shape=checkpoint.shape)
    assert raised.value.param == "voice"


def test_only_as_much_is_heard_as_the_settings_say(checkpoint: Checkpoint) -> None:
    first = voice(6.0)
    longer = np.concatenate([first, voice(6.0, pitch=230.0)])
    short = with_settings(checkpoint, gpt_cond_len=6, max_ref_len=6)
    heard, expected = condition(short, [sample(longer)]), condition(short, [sample(first)])
    assert torch.equal(heard.latents, expected.latents)
    assert torch.equal(heard.speaker, expected.speaker)
