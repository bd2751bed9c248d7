"""Running a package manager: what stalls, floods or leaves children behind is ended."""

import os
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from services.models.errors import SourceDownError, SourceError
from services.models.sources.program import run
from services.models.staging import Staging

from live import eventually

FLOOD = """
import time
with open("{folder}/flood", "wb", buffering=0) as file:
    while True:
        file.write(bytes(100_000))
        time.sleep(0.01)
"""

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("{folder}/pid", "w").write(str(child.pid))
{then}
"""


def started(folder: Path, script: str, *, limit: int = 10_000_000, stall: float = 30, **more: str) -> None:
    """Run a Python script as if it were a package manager."""
    command = [sys.executable, "-c", textwrap.dedent(script).format(folder=folder, **more)]
    run(
        command,
        name="it",
        folder=folder,
        limit=limit,
        arrived=lambda _: None,
        environment=os.environ,
        stall=stall,
    )


def ended(folder: Path) -> bool:
    """Whether the process whose id was noted is gone, or only waits to be collected."""
    pid = int((folder / "pid").read_text())
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_one_that_stands_still(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"made no progress for 0\.5 s"):
        started(tmp_path, PARENT, stall=0.5, then="time.sleep(600)")
    eventually(lambda: ended(tmp_path))


def test_one_that_brings_too_much(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="more than the expected 1,000,000 bytes"):
        started(tmp_path, FLOOD, limit=1_000_000)
    assert (tmp_path / "flood").stat().st_size < 50_000_000


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")
@pytest.mark.parametrize("then", ["", "sys.exit(3)"])
def test_children_do_not_outlive_it(tmp_path: Path, then: str) -> None:
    """Whether it succeeded or not: what it started would go on downloading."""
    if then:
        with pytest.raises(SourceError, match="reports"):
            started(tmp_path, PARENT, then=then)
    else:
        started(tmp_path, PARENT, then=then)
    eventually(lambda: ended(tmp_path))


def test_it_says_why(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"reports: out of luck$"):
        started(tmp_path, "import sys; print('working'); sys.exit('ERROR: out of luck')")


@pytest.mark.parametrize(
    ("said", "passing"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError'", True),
        ("npm error code ECONNREFUSED", True),
        ("ERROR: HTTP error 503 Server Error: busy for url", True),
        ("ERROR: No matching distribution found for m==1.0.0", False),
        ("npm error code E404", False),
    ],
)
def test_whether_another_try_may_help(tmp_path: Path, said: str, passing: bool) -> None:
    with pytest.raises(SourceError) as failed:
        started(tmp_path, f"import sys; print({said!r}); sys.exit(1)")
    assert isinstance(failed.value, SourceDownError) == passing


def test_a_new_pull_has_a_temporary_folder_of_its_own(tmp_path: Path) -> None:
    """An orphan of a pull that was killed may still write into the old one."""
    with Staging(tmp_path / "m").tmp() as first:
        (first / "left").touch()
        with Staging(tmp_path / "m").tmp() as second:
            assert second != first
            assert not first.exists()
            assert not list(second.iterdir())
