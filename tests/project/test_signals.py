"""Children of a test heed signals, however the run of the tests was started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SLEEP = "import time; print('ready', flush=True); time.sleep(60)"
CHILD = f"""
import runpy, signal, subprocess, sys
runpy.run_path({str(CONFTEST)!r})
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdout.readline()
child.send_signal(int(sys.argv[1]))
try:
    child.wait(20)
except subprocess.TimeoutExpired:
    child.kill()
    sys.exit("the child ignored the signal")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to ignore")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT"])
def test_a_child_of_a_run_in_the_background_heeds_signals(name: str) -> None:
    number = getattr(signal, name)
    ignoring = f'trap \'\' {name.removeprefix("SIG")}; exec "$0" "$@"'
    python = [sys.executable, "-c", CHILD, str(int(number))]
    support = os.pathsep.join(sys.path)
    subprocess.run(
        ["bash", "-c", ignoring, *python], check=True, timeout=60, env=os.environ | {"PYTHONPATH": support}
    )
