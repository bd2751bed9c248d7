"""Whatever is uploaded: a report, or a sentence that says what was found."""

import asyncio
import re
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from services.samples.errors import BadSample
from services.samples.examine import Examiner
from services.samples.limits import MIB, SampleLimits

from examining import memory_of_examining
from hostile import ANY, HostileFile, hostile_files
from own_process import in_own_process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memory is measured by POSIX' means")


async def outcome(examiner: Examiner, file: HostileFile, folder: Path) -> BadSample | None:
    source, target = folder / "upload", folder / "canonical.wav"
    source.write_bytes(file.data)
    try:
        report = await examiner.examine(source, target, limits=SampleLimits())
    except BadSample as error:
        assert not target.exists()
        assert sorted(path.name for path in folder.iterdir()) == ["upload"]
        return error
    assert target.stat().st_size == pytest.approx(44 + 2 * report.seconds * 24_000, abs=50)
    assert report.speech_seconds >= 1
    return None


async def test_the_corpus(tmp_path: Path):
    files = hostile_files()
    assert len(files) >= 60
    examiner = Examiner(concurrency=2, wait_seconds=200)

    async def examine(index: int, file: HostileFile) -> str | None:
        folder = tmp_path / str(index)
        folder.mkdir()
        error = await outcome(examiner, file, folder)
        if error is None:
            return None if file.codes is None or file.either else f"{file.name}: accepted"
        assert re.fullmatch(r"[a-z_]+", error.code)
        assert re.fullmatch(r"[^\n]{10,300}\.", error.message), error.message
        seen[error.code] += 1
        if file.codes is None or (file.codes != ANY and error.code not in file.codes):
            return f"{file.name}: {error.code}: {error.message}"
        return None

    seen: Counter[str] = Counter()
    problems = await asyncio.gather(*(examine(index, file) for index, file in enumerate(files)))
    assert not [problem for problem in problems if problem]
    # None brings its decoder down, or to its limits; and the corpus is a broad one.
    assert not seen.keys() & {"decode_crash", "decode_timeout", "decode_memory"}
    assert len(seen) >= 12


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a PNG image", "PNG"),
        ("a PDF document", "PDF"),
        ("a ZIP archive", "ZIP"),
        ("a Linux program", "executable"),
        ("HTML", "HTML"),
        ("Devanagari text", "text"),
        ("a playlist of local files", "playlist"),
        ("AIFF", "AIFF"),
        ("wav: MS ADPCM", "adpcm_ms"),
        ("webm: a video with sound", "video (vp8"),
        ("mp3: says ten hours", "35999.9 s, and 5.4 s"),
    ],
)
async def test_what_was_found_is_named(tmp_path: Path, name: str, word: str):
    file = next(file for file in hostile_files() if file.name == name)
    error = await outcome(Examiner(), file, tmp_path)
    assert error is not None
    assert word in error.message


async def test_ten_silent_hours_cost_little(tmp_path: Path):
    file = next(file for file in hostile_files() if file.name == "ten silent hours")
    assert len(file.data) < MIB
    tight = SampleLimits(memory_bytes=300 * MIB, max_seconds=60)
    (tmp_path / "upload").write_bytes(file.data)
    with pytest.raises(BadSample, match="longer than 60 s"):
        await Examiner().examine(tmp_path / "upload", tmp_path / "canonical.wav", limits=tight)


async def test_a_child_stays_small(tmp_path: Path):
    file = next(file for file in hostile_files() if file.name == "mp3: four megabytes of picture")
    assert await outcome(Examiner(), file, tmp_path) is None
    own, largest = in_own_process(partial(memory_of_examining, file.data, tmp_path))
    assert largest < max(150 * MIB, own + 20 * MIB)
