"""The front end, fuzzed with coverage: it speaks a text or refuses it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SECONDS = int(os.environ.get("AWAAZTWIN_TEST_FUZZ_SECONDS", "15"))
"""For each target; more find more."""

SEED = os.environ.get("AWAAZTWIN_TEST_FUZZ_SEED", "1")

PROGRAM = Path(__file__).parents[2] / "support" / "fuzzing_text.py"


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 900)
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this system")
@pytest.mark.parametrize("target", ["plain", "ssml", "lexicon"])
def test_only_refusals_come_out(target: str, tmp_path: Path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    # An input that hangs, or takes much memory, is a finding; 100 s are far more than a busy machine needs.
    limits = [f"-max_total_time={SECONDS}", "-timeout=100", "-rss_limit_mb=2048", "-max_len=4096"]
    done = subprocess.run(
        [
            sys.executable,
            str(PROGRAM),
            target,
            str(corpus),
            f"-seed={SEED}",
            *limits,
            f"-artifact_prefix={tmp_path}/",
        ],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 600,
        check=False,
    )
    found = [path.read_bytes() for path in tmp_path.glob("*-*") if path.is_file()]
    assert (done.returncode, found) == (0, []), done.stderr[-4_000:]
