"""What is remembered of loads that ended their process."""

import subprocess
import sys
from pathlib import Path

import pytest

from engines.config import EngineConfig
from engines.contract import EngineUnavailable
from engines.lease import EngineState, ModelLease
from engines.load_record import FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, LoadRecord
from engines.synthetic import SyntheticEngine


def test_deaths_in_a_row_are_counted_and_held_off_ever_longer(tmp_path: Path) -> None:
    now = [1_000.0]
    record = LoadRecord(tmp_path / "e.loading", lambda: now[0])
    assert record.deaths().count == 0
    for count in range(1, 12):
        record.begin()
        deaths = LoadRecord(tmp_path / "e.loading", lambda: now[0]).deaths()
        assert deaths.count == count
        assert deaths.wait == min(FIRST_BACKOFF_SECONDS * 2 ** (count - 1), MAX_BACKOFF_SECONDS)
        assert ("in a row" in deaths.reason) == (count > 1)
        now[0] += deaths.wait
        assert record.deaths().wait == 0
    record.end()
    assert record.deaths().count == 0
    record.end()


def test_a_clock_that_was_set_back_holds_nothing_off_for_longer(tmp_path: Path) -> None:
    now = [1e9]
    record = LoadRecord(tmp_path / "e.loading", lambda: now[0])
    record.begin()
    now[0] = 0.0
    assert record.deaths().wait == FIRST_BACKOFF_SECONDS


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[1]", b'{"loads": "2", "at": 1}', b'{"loads": -1, "at": 1}', b"\xff\x00", b"[" * 9_999],
)
def test_a_file_that_is_none_of_ours_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "e.loading"
    path.write_bytes(content)
    assert LoadRecord(path).deaths().count == 0


def test_a_folder_that_is_gone_keeps_nobody_from_loading(tmp_path: Path) -> None:
    record = LoadRecord(tmp_path / "gone" / "e.loading")
    record.begin()
    record.end()
    assert record.deaths().count == 0


def make(path: Path, now: list[float], **options: bool) -> ModelLease:
    config = EngineConfig(name="E", type="SYNTHETIC", options=dict(options))
    record = LoadRecord(path, lambda: now[0])
    return ModelLease(SyntheticEngine(config), idle_seconds=0, record=record, clock=lambda: now[0])


LOAD = """
import asyncio, sys
from pathlib import Path
from engines.config import EngineConfig
from engines.lease import ModelLease
from engines.load_record import LoadRecord
from engines.synthetic import SyntheticEngine

async def main():
    engine = SyntheticEngine(EngineConfig(name="E", type="SYNTHETIC", options={"crash_load": True}))
    await ModelLease(engine, idle_seconds=0, record=LoadRecord(Path(sys.argv[1]))).hold().__aenter__()

asyncio.run(main())
"""


async def test_a_lease_waits_after_a_load_that_ended_its_process(tmp_path: Path) -> None:
    path = tmp_path / "e.loading"
    died = subprocess.run([sys.executable, "-c", LOAD, path], check=False, timeout=60)
    assert died.returncode == 71
    at = path.stat().st_mtime
    now = [at]
    lease = make(path, now)
    lease.recall()
    assert lease.state is EngineState.FAILED
    assert lease.reason == "The process died while loading."
    assert lease.figures.failures == 1
    with pytest.raises(EngineUnavailable, match="died while loading") as caught:
        await lease.hold().__aenter__()
    assert caught.value.retry_after == pytest.approx(FIRST_BACKOFF_SECONDS, abs=1)
    now[0] += FIRST_BACKOFF_SECONDS + 1
    async with lease.hold():
        assert lease.state is EngineState.WARM
    assert not path.exists()
    await lease.close()


async def test_a_load_that_fails_is_no_death(tmp_path: Path) -> None:
    path, now = tmp_path / "e.loading", [0.0]
    lease = make(path, now, fail_load=True)
    lease.recall()
    with pytest.raises(EngineUnavailable, match="fail_load"):
        await lease.hold().__aenter__()
    assert not path.exists()
    await lease.close()
