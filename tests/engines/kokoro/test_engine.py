"""The engine beside what every engine must do: what is missing, and both of its backends."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from engines.config import EngineConfig
from engines.contract import EngineUnavailable, Fetched, Speech, Utterance
from engines.kokoro.adapter import KokoroEngine


def engine(folder: Path | None, **options: str) -> KokoroEngine:
    return KokoroEngine(
        EngineConfig(name="KOKORO", type="KOKORO", model_path=folder, options=dict[str, JsonValue](options))
    )


async def said(speaker: KokoroEngine, text: str, **fields: object) -> Speech:
    wanted = {"voice": "alloy", "language": "en", **fields}
    (outcome,) = await speaker.synthesize([Utterance(text=text, **wanted)])
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
