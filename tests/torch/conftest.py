"""What needs torch and coqui-tts is left out where they are not installed, and the report says so."""

import importlib.util
import os
from pathlib import Path

import pytest

_NEEDED = ("torch", "TTS")
_MISSING = [name for name in _NEEDED if importlib.util.find_spec(name) is None]

# Read when torch starts: threads that wait for each other sleep, as in the server.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

collect_ignore_glob = ["*"] if _MISSING else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so at the end: this file is read too late for the report's head."""
    if _MISSING:
        missing = " and ".join(_MISSING)
        terminalreporter.write_line(
            f"tests/torch left out: {missing} not installed (pip install 'awaaztwin[xtts]')"
        )


@pytest.fixture(scope="session", autouse=True)
def _one_core_each() -> None:
    """As the engines have it: torch's threads would wait for each other."""
    import torch  # noqa: PLC0415 - as above

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_xtts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small XTTS-v2 with random weights. Tests do not change it."""
    import random_checkpoint  # noqa: PLC0415 - torch, see above

    return random_checkpoint.xtts(tmp_path_factory.mktemp("tiny_xtts"))
