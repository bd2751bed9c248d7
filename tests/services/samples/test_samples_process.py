"""The child: bounded, killed when nobody waits for it, and told no secrets."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from services.samples import process
from services.samples.errors import BadSample, ExaminerBusy
from services.samples.examine import Examiner, examine
from services.samples.limits import MIB, SampleLimits

import media
from speaking import speech

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A minute or so of speech: the child has something to do."""
    path = tmp_path / "upload"
    sound = speech(count=4)
    path.write_bytes(media.wav(media.pcm16(sound) * 6))
    return path


def children() -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        try:
            if "services.samples.child" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def one_child() -> psutil.Process:
    async with asyncio.timeout(30):
        while not (found := children()):
            await asyncio.sleep(0.005)
    return found[0]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_one_that_takes_too_long_is_killed(upload: Path, tmp_path: Path):
    with pytest.raises(BadSample, match=r"longer than 0\.05 s") as refused:
        await examine(upload, tmp_path / "canonical.wav", limits=SampleLimits(wall_seconds=0.05))
    assert refused.value.code == "decode_timeout"
    assert not children()
    assert left(tmp_path) == ["upload"]


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_one_that_dies_is_the_files_fault(upload: Path, tmp_path: Path, signal_number: int):
    task = asyncio.create_task(examine(upload, tmp_path / "canonical.wav", limits=SampleLimits()))
    os.kill((await one_child()).pid, signal_number)
    with pytest.raises(BadSample) as refused:
        await task
    assert refused.value.code == "decode_crash"
    assert left(tmp_path) == ["upload"]


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux alone")
@pytest.mark.parametrize("mebibytes", [60, 110])
async def test_one_that_takes_too_much_memory(upload: Path, tmp_path: Path, mebibytes: int):
    """Too little even to load the libraries, or to decode."""
    with pytest.raises(BadSample) as refused:
        await examine(upload, tmp_path / "canonical.wav", limits=SampleLimits(memory_bytes=mebibytes * MIB))
    assert refused.value.code in {"decode_memory", "decode_crash"}
    assert left(tmp_path) == ["upload"]


@pytest.mark.parametrize("turns", [0, 1, 3, 20, 200])
async def test_cancelling_kills_it(upload: Path, tmp_path: Path, turns: int):
    task = asyncio.create_task(examine(upload, tmp_path / "canonical.wav", limits=SampleLimits()))
    for _ in range(turns):
        await asyncio.sleep(0)
    if turns == 200:
        await one_child()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)
    assert not children()
    assert left(tmp_path) == ["upload"]


async def test_only_so_many_at_once(upload: Path, tmp_path: Path):
    examiner = Examiner(concurrency=1, wait_seconds=0.05)
    first = asyncio.create_task(examiner.examine(upload, tmp_path / "1.wav", limits=SampleLimits()))
    await one_child()
    with pytest.raises(ExaminerBusy) as busy:
        await examiner.examine(upload, tmp_path / "2.wav", limits=SampleLimits())
    assert busy.value.retry_after >= 1
    assert (await first).speech_seconds > 10
    # The place is free again, after success and after failure.
    with pytest.raises(BadSample):
        await examiner.examine(upload, tmp_path / "3.wav", limits=SampleLimits(wall_seconds=0.01))
    assert (await examiner.examine(upload, tmp_path / "4.wav", limits=SampleLimits())).speech_seconds > 10
    assert left(tmp_path) == ["1.wav", "4.wav", "upload"]


async def test_a_file_that_is_too_large_is_not_even_opened(upload: Path, tmp_path: Path):
    with pytest.raises(BadSample, match="the limit is 1 MiB") as refused:
        await examine(upload, tmp_path / "canonical.wav", limits=SampleLimits(max_bytes=MIB))
    assert refused.value.code == "too_large"


async def test_a_long_one_is_refused_whatever_it_says(upload: Path, tmp_path: Path):
    with pytest.raises(BadSample, match="longer than 10 s") as refused:
        await examine(upload, tmp_path / "canonical.wav", limits=SampleLimits(max_seconds=10))
    assert refused.value.code == "too_long"


async def test_the_child_sees_no_secrets_and_is_confined(
    upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWAAZTWIN_SECRET", "hidden")
    task = asyncio.create_task(examine(upload, tmp_path / "canonical.wav", limits=SampleLimits()))
    child = await one_child()
    assert "AWAAZTWIN_SECRET" not in child.environ()
    if sys.platform == "linux":

        async def until(holds: Callable[[], bool]) -> None:
            async with asyncio.timeout(30):
                while not holds():
                    await asyncio.sleep(0.002)

        await until(lambda: child.rlimit(psutil.RLIMIT_AS)[1] == SampleLimits().memory_bytes)
        assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    await task


async def test_an_answer_is_bounded():
    assert (await process.run("timeit", ["-n1", "-r1", "print('x' * 10**7)"], 30)).answer == b""


@pytest.mark.parametrize("rate", [0, 8_000, 24_001])
def test_rates_that_do_not_fit_the_frames(rate: int):
    with pytest.raises(ValueError, match="cannot be"):
        SampleLimits(sample_rate=rate)


async def test_another_rate_and_loudness(upload: Path, tmp_path: Path):
    limits = SampleLimits(sample_rate=16_000, target_lufs=-18)
    report = await examine(upload, tmp_path / "canonical.wav", limits=limits)
    assert (tmp_path / "canonical.wav").stat().st_size == pytest.approx(44 + 32_000 * report.seconds, abs=40)
