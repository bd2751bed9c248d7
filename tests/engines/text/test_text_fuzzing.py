"""The front end, fuzzed with coverage: it speaks a text or refuses it."""

from pathlib import Path

import pytest
from fuzzers import fuzz, in_time, with_atheris


@pytest.mark.slow
@in_time
@with_atheris
@pytest.mark.parametrize("target", ["plain", "ssml", "lexicon"])
def test_only_refusals_come_out(target: str, tmp_path: Path):
    fuzz("fuzzing_text.py", target, tmp_path, longest=4096)
