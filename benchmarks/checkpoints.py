"""Checkpoints for the benchmarks: random weights in the real file formats, made when they are not there."""

import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MAKE_TIMEOUT: Final = 600.0
MAKER: Final = Path(__file__).resolve().parent.parent / "scripts" / "random_checkpoint.py"


@contextmanager
def checkpoint(size: str, given: Path | None) -> Generator[Path, None, None]:
    """The folder of an XTTS checkpoint.

    Args:
        size: ``tiny`` or ``full``; the latter has the dimensions of XTTS-v2 and takes 1.9 GB.
        given: Where it is, or is made and stays; without it, it is made in a temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as temporary:
        folder = given or Path(temporary) / size
        if not (folder / "model.pth").exists():
            command = [sys.executable, str(MAKER), f"xtts-{size}", str(folder)]
            made = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_TIMEOUT, check=False)
            if made.returncode:
                raise RuntimeError(f"the checkpoint could not be made:\n{made.stderr[-4000:]}")
        yield folder
