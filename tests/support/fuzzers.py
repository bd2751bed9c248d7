"""Runs a fuzzer for some seconds, in a process of its own; ``pytest.mark.slow``, as each takes its time."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SECONDS = int(os.environ.get("AWAAZTWIN_TEST_FUZZ_SECONDS", "5"))
"""For each target; more find more."""

SEED = os.environ.get("AWAAZTWIN_TEST_FUZZ_SEED", "1")

MEMORY_MB = 2_048

with_atheris = pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this system")
in_time = pytest.mark.timeout(SECONDS + 900)


def fuzz(program: str, target: str, folder: Path, *, longest: int) -> None:
    """Fuzz a target; fails with the input that raised, hung or took much memory.

    Args:
        program: A module beside this one.
        target: One of its targets.
        folder: For the corpus and what is found.
        longest: Bytes of an input.
    """
    import resource  # noqa: PLC0415 - not on Windows, where there is no atheris either

    corpus = folder / "corpus"
    corpus.mkdir()
    # libFuzzer reads the peak that Linux keeps of a process, and a child begins with its parent's.
    memory = MEMORY_MB + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    # 100 s for one input are far more than a busy machine needs.
    limits = [
        f"-max_total_time={SECONDS}",
        "-timeout=100",
        f"-rss_limit_mb={memory}",
        f"-max_len={longest}",
        f"-seed={SEED}",
        f"-artifact_prefix={folder}/",
    ]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(program)), target, str(corpus), *limits],
        env={**os.environ, "PYTHONHASHSEED": "0", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 600,
        check=False,
    )
    found = [path.read_bytes() for path in folder.glob("*-*") if path.is_file()]
    assert (done.returncode, found) == (0, []), done.stderr[-4_000:]
