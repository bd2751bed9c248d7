"""The engine beside what every engine must do: what is missing, and both of its backends."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue, ValidationError

from engines.config import EngineConfig
from engines.contract import EngineUnavailable, Fetched, Speech, Utterance, synthesize
from engines.kokoro.adapter import THREAD_TAKES, KokoroEngine, step_back
from engines.kokoro.graph import Floats
from engines.kokoro.options import KokoroOptions
from engines.kokoro.session import Spoken


def engine(folder: Path | None, **options: str) -> KokoroEngine:
    return KokoroEngine(
        EngineConfig(name="KOKORO", type="KOKORO", model_path=folder, options=dict[str, JsonValue](options))
    )


async def said(speaker: KokoroEngine, text: str, **fields: object) -> Speech:
    wanted = {"voice": "alloy", "language": "en", **fields}
    (outcome,) = await synthesize(speaker, [Utterance(text=text, **wanted)])
    assert isinstance(outcome, Speech), outcome
    return outcome


async def test_what_is_missing_is_said_until_it_is_there(tmp_path: Path) -> None:
    speaker = engine(tmp_path)
    assert isinstance(speaker, Fetched)
    assert "awaaztwin models pull kokoro" in (speaker.missing or "")
    with pytest.raises(EngineUnavailable, match="awaaztwin models pull kokoro"):
        await speaker.load()
    (tmp_path / "model.onnx").write_bytes(b"1")
    assert speaker.missing is None
    # What cannot be read is missing, and breaks nothing.
    assert "cannot be read" in (engine(tmp_path / ("x" * 300)).missing or "")


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"no model", "it is not an ONNX file"),
    ],
)
async def test_a_file_that_is_no_model_is_named_with_what_it_is(
    tmp_path: Path, contents: bytes, reason: str
) -> None:
    (tmp_path / "model.onnx").write_bytes(contents)
    with pytest.raises(EngineUnavailable, match=reason) as refused:
        await engine(tmp_path).load()
    assert "model.onnx" in refused.value.message


async def test_the_only_export_is_taken_and_of_several_the_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "fp16.onnx").write_bytes(b"1")
    assert engine(tmp_path).missing is None
    (tmp_path / "fp32.onnx").write_bytes(b"1")
    assert engine(tmp_path).missing
    assert engine(tmp_path, model_file="fp32.onnx").missing is None


def test_a_low_priority_is_below_the_process_s_own() -> None:
    def stepped_back() -> int:
        step_back()
        return os.getpriority(os.PRIO_PROCESS, 0)

    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(os.getpriority, os.PRIO_PROCESS, 0).result()
        assert [pool.submit(stepped_back).result() for _ in range(2)] == [
            min(19, before + 5),
            min(19, before + 10),
        ]


class Defective:
    """A backend with a defect."""

    name = "defective"

    def speak(self, symbols: list[int], style: Floats, speed: float) -> Spoken:
        raise RuntimeError(f"a defect at {speed} with {len(symbols)} and {style.size}")


async def test_a_defect_is_not_taken_for_the_end(
    kokoro_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.kokoro.backend.open_backend", lambda *_: Defective())
    speaker = engine(kokoro_folder)
    await speaker.load()
    try:
        with pytest.raises(RuntimeError, match="a defect"):
            await synthesize(speaker, [Utterance(text="Hello.", voice="alloy", language="en")])
    finally:
        await speaker.close()


def test_each_thread_needs_memory(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"1")
    few, many = (
        KokoroEngine(
            EngineConfig(name="KOKORO", type="KOKORO", model_path=tmp_path, max_concurrent_jobs=jobs)
        ).memory_needed
        for jobs in (1, 3)
    )
    assert many - few == 2 * THREAD_TAKES


def test_voices_are_offered_when_they_are_there(tmp_path: Path) -> None:
    speaker = engine(tmp_path)
    assert {"af_heart", "alloy"} <= {voice.id for voice in speaker.voices()}
    assert "af_sky" not in {voice.id for voice in speaker.voices()}
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "af_sky.bin").write_bytes(b"1")
    assert "af_sky" in {voice.id for voice in speaker.voices()}


@pytest.mark.parametrize(
    ("mixes", "reason"),
    [
        ({"asha": "nobody"}, "no voice 'nobody'"),
        ({"asha": "af_heart(0)"}, "sum to zero"),
        ({"Alloy": "af_heart"}, "another voice"),
        ({"af_heart": "af_sky"}, "another voice"),
        ({"asha": "af_sky", "Asha": "af_heart"}, "another voice"),
    ],
)
def test_mixes_are_examined_with_the_settings(mixes: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        KokoroOptions(voices=mixes)


async def test_both_backends_say_the_same(kokoro_folder: Path) -> None:
    lengths: list[int] = []
    for backend in ("auto", "onnxruntime"):
        speaker = engine(kokoro_folder, backend=backend)
        await speaker.load()
        try:
            speech = await said(speaker, "It is five o'clock, and all is well.", timings=True)
        finally:
            await speaker.close()
        lengths.append(speech.pcm.size)
        assert [word.word for word in speech.words] == [
            "It",
            "is",
            "five",
            "o'clock",
            "and",
            "all",
            "is",
            "well",
        ]
        assert np.abs(speech.pcm.astype(np.int32)).max() < 32_000
    assert lengths[0] == pytest.approx(lengths[1], abs=0.03 * 24_000)


async def test_a_word_that_is_cut_is_timed_once(kokoro_folder: Path) -> None:
    speaker = engine(kokoro_folder)
    await speaker.load()
    try:
        speech = await said(speaker, f"See {'ha' * 180} now.", timings=True)
    finally:
        await speaker.close()
    assert [(word.word, word.offset) for word in speech.words] == [("See", 0), ("ha" * 180, 4), ("now", 365)]
    see, long, now = speech.words
    assert see.end <= long.start < long.end <= now.start
    assert long.end - long.start > 0.7 * speech.pcm.size / 24_000
