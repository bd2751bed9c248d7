import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.contract import (
    Abandoned,
    EngineUnavailable,
    Outcome,
    Speech,
    UnsupportedUtterance,
    Utterance,
    collect,
)
from engines.openvoice.base import BaseVoice
from engines.openvoice.melo.manner import Manner
from engines.openvoice.melo.voice import MeloVoice

import random_melo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_melo.melo(tmp_path_factory.mktemp("voices") / "EN")


@pytest.fixture
async def voice(folder: Path) -> AsyncGenerator[MeloVoice, None]:
    voice = MeloVoice(folder, device="cpu", precision="fp32", threads=1)
    await voice.load()
    yield voice
    await voice.close()


async def speak(voice: MeloVoice, *utterances: Utterance) -> Sequence[Outcome]:
    async with aclosing(voice.stream(utterances)) as stream:
        return await collect(stream, len(utterances))


def utterance(text: str = "Hello, you.", **changes: Any) -> Utterance:
    return Utterance(**({"text": text, "voice": "en-us", "language": "en", "seed": 1} | changes))


def pcm_of(outcome: Outcome) -> np.ndarray[Any, Any]:
    assert isinstance(outcome, Speech), outcome
    return outcome.pcm


def test_a_folders_speakers_are_known_without_loading_it(folder: Path) -> None:
    voice = MeloVoice(folder)
    assert isinstance(voice, BaseVoice)
    by_id = {speaker.id: speaker for speaker in voice.voices()}
    assert list(by_id) == ["en-us", "en-br", "en-india", "en-au", "en-default"]
    assert by_id["en-india"].languages == ("en-in", "en")
    assert "alloy" in by_id["en-default"].aliases
    assert voice.languages == ["en", "en-au", "en-gb", "en-in", "en-us"]


def test_a_folder_that_is_not_there_has_no_voices(tmp_path: Path) -> None:
    voice = MeloVoice(tmp_path / "absent")
    assert not voice.voices()
    assert not voice.languages


@pytest.mark.parametrize(
    ("language", "near"),
    [("en", "en-default"), ("en-IN", "en-india"), ("en_GB", "en-br"), ("en-ZA", "en-default")],
)
def test_the_language_decides_who_speaks(folder: Path, language: str, near: str) -> None:
    assert MeloVoice(folder).voice_near(120.0, language) == near


def test_hindi_is_refused(folder: Path) -> None:
    with pytest.raises(UnsupportedUtterance, match="Hindi"):
        MeloVoice(folder).voice_near(120.0, "hi")


def test_voices_are_found_by_any_of_their_names(folder: Path) -> None:
    voice = MeloVoice(folder)
    names = ["EN_INDIA", "en-india", "alloy", "EN-Default"]
    said = [voice.speaker(utterance(voice=name)) for name in names]
    assert said == ["en-india", "en-india", "en-default", "en-default"]
    with pytest.raises(UnsupportedUtterance, match="nobody"):
        voice.speaker(utterance(voice="nobody"))


async def test_it_speaks(voice: MeloVoice) -> None:
    (said,) = await speak(voice, utterance())
    pcm = pcm_of(said)
    assert pcm.dtype == np.int16
    assert len(pcm) > 22_050 // 2
    assert pcm.any()


async def test_a_seed_decides_whatever_else_is_in_the_batch(voice: MeloVoice) -> None:
    alone = pcm_of((await speak(voice, utterance(seed=5)))[0])
    batch = [utterance("Something else.", seed=9), utterance(seed=5), utterance(seed=6)]
    _, same, other = map(pcm_of, await speak(voice, *batch))
    assert np.array_equal(alone, same)
    assert not np.array_equal(alone, other)


async def test_calls_side_by_side_do_not_disturb_each_other(voice: MeloVoice) -> None:
    alone = [pcm_of((await speak(voice, utterance(seed=seed)))[0]) for seed in range(4)]
    together = await asyncio.gather(*(speak(voice, utterance(seed=seed)) for seed in range(4)))
    assert all(np.array_equal(pcm, pcm_of(said)) for pcm, (said,) in zip(alone, together, strict=True))


async def test_without_a_seed_it_varies(voice: MeloVoice) -> None:
    first, second = await speak(voice, utterance(seed=None), utterance(seed=None))
    assert not np.array_equal(pcm_of(first), pcm_of(second))


async def test_faster_is_shorter(folder: Path) -> None:
    voice = MeloVoice(folder, threads=1, manner=Manner(sdp_ratio=0.0))
    await voice.load()
    try:
        text = "The quick brown fox jumps over the lazy dog near the river bank."
        slow, fast = map(pcm_of, await speak(voice, utterance(text), utterance(text, speed=2.0)))
        assert 1.4 < len(slow) / len(fast) <= 2.0
    finally:
        await voice.close()


async def test_words_are_timed_in_order(voice: MeloVoice) -> None:
    text = "Well, I don't know — “really”!"
    (said,) = await speak(voice, utterance(text, timings=True))
    assert isinstance(said, Speech)
    assert [word.word for word in said.words] == ["Well", "I", "don't", "know", "really"]
    assert all(text[word.offset :].startswith(word.word) for word in said.words)
    times = [time for word in said.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] <= len(said.pcm) / 22_050 + 0.01


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"text": "…"}, UnsupportedUtterance, "nothing to speak"),
        ({"text": "?!"}, UnsupportedUtterance, "nothing to speak"),
        ({"text": "a" * 401}, UnsupportedUtterance, "401"),
        ({"text": " ".join("w" * 200)}, UnsupportedUtterance, "phones"),
        ({"language": "hi"}, UnsupportedUtterance, "Hindi"),
        ({"voice": "nobody"}, UnsupportedUtterance, "nobody"),
        ({"abandoned": lambda: True}, Abandoned, "abandoned"),
    ],
)
async def test_an_error_is_its_items_own(
    voice: MeloVoice, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    wrong, right = await speak(voice, utterance(**changes), utterance())
    assert isinstance(wrong, error)
    assert says in str(wrong)
    assert pcm_of(right).any()


async def test_it_does_not_speak_unless_it_is_loaded(folder: Path) -> None:
    voice = MeloVoice(folder)
    with pytest.raises(EngineUnavailable, match="not loaded"):
        await speak(voice, utterance())
    await voice.load()
    await voice.load()
    await voice.close()
    await voice.close()
    with pytest.raises(EngineUnavailable, match="not loaded"):
        await speak(voice, utterance())
    await voice.load()
    assert pcm_of((await speak(voice, utterance()))[0]).any()
    await voice.close()


async def test_a_dictionary_beside_the_weights_decides(
    folder: Path, tmp_path: Path, voice: MeloVoice
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "cmudict.dict").write_text("hello B AY1\n")
    other = MeloVoice(tmp_path, device="cpu", precision="fp32", threads=1)
    await other.load()
    try:
        (odd,) = await speak(other, utterance())
        (usual, bye) = await speak(voice, utterance(), utterance("By, you."))
        assert not np.array_equal(pcm_of(odd), pcm_of(usual))
        assert np.array_equal(pcm_of(odd), pcm_of(bye))
    finally:
        await other.close()


async def test_a_lower_precision_sounds_nearly_the_same(folder: Path, voice: MeloVoice) -> None:
    coarse = MeloVoice(folder, device="cpu", precision="bf16", threads=1)
    await coarse.load()
    try:
        exact, near = (
            pcm_of((await speak(voice, utterance()))[0]),
            pcm_of((await speak(coarse, utterance()))[0]),
        )
        noise = exact.astype(np.float64) - near
        assert 0 < np.square(noise).mean() < 0.01 * np.square(exact.astype(np.float64)).mean()
    finally:
        await coarse.close()


async def test_a_shipped_tone_colour_is_found_beside_the_weights(tmp_path: Path) -> None:
    voice = MeloVoice(random_melo.melo(tmp_path / "EN"))
    assert await voice.tone_colour(utterance(voice="EN_INDIA")) is None
    (tmp_path / "base_speakers" / "ses").mkdir(parents=True)
    path = tmp_path / "base_speakers" / "ses" / "en-india.pth"
    torch.save(torch.arange(256.0).reshape(1, 256, 1), path)
    colour = await voice.tone_colour(utterance(voice="EN_INDIA"))
    assert colour is not None
    assert colour.shape == (256,)
    assert colour[255] == 255
    assert await voice.tone_colour(utterance(voice="EN-US")) is None
    for wrong in (b"", b"<html>", json.dumps([1]).encode()):
        path.write_bytes(wrong)
        with pytest.raises(EngineUnavailable, match=r"en-india\.pth"):
            await voice.tone_colour(utterance(voice="EN_INDIA"))
