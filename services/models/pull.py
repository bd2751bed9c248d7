"""Pulling a model: its files are downloaded from the sources in turn, verified, and installed together."""

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from services.models.errors import ModelError, SourceDownError, SourceError, reason_of
from services.models.folder import ModelFolder, ModelState, size_of
from services.models.lock import held
from services.models.manifest import HubSource, Manifest, ModelFile, NpmSource, PipSource, Source
from services.models.meter import Progress
from services.models.sources import hub, npm, pip
from services.models.sources.wanted import Wanted
from services.models.staging import Staging

SPARE: Final = 33_554_432
"""Disk space that is left free, in bytes."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
"""Error numbers for a full disk, a file size limit and an exceeded quota."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """Result of a pull.

    Attributes:
        folder: The model's folder.
        fetched: Number of files fetched; 0 if all were present.
        lacking: Optional files that no source provided.
        reasons: Why sources failed, each with the source's name.
    """

    folder: Path
    fetched: int
    lacking: tuple[ModelFile, ...]
    reasons: tuple[str, ...]


def pull(
    manifest: Manifest,
    folder: ModelFolder,
    meter: Progress,
    *,
    accept: str | None = None,
    force: bool = False,
) -> Pulled:
    """Fetch a model's missing files.

    If several processes pull the same model at once, one fetches it and the others wait. After an interrupted
    pull, the next one reuses the files that were complete.

    Args:
        manifest: The model.
        folder: The folder of all models.
        meter: Shows the progress.
        accept: The accepted licence; case-insensitive.
        force: Fetch the present files, too.

    Raises:
        ModelError: The licence is not accepted, the sources do not provide all required files, or the disk is
            full; the files that were present are unchanged.
    """
    _check_license(manifest, accept)
    if not force and not folder.lacking(manifest):
        # No lock: the disk may be read-only.
        return Pulled(folder.path(manifest), 0, (), ())
    _check_place(folder.path(manifest))
    try:
        waiting = partial(meter.say, f"Another process is pulling {manifest.name}; waiting for it.")
        with held(manifest, folder, waiting) as waited:
            # Files that another process has just fetched are new enough.
            return _Pull(manifest, folder, meter, force=force and not waited).run()
    except OSError as error:
        raise ModelError(
            f"{error.filename or folder.root} cannot be written: {error.strerror or error}.",
            "Name another folder: models.folder, or AWAAZTWIN_MODELS.",
        ) from error


class _Pull:
    """One pull, while the lock is held."""

    def __init__(self, manifest: Manifest, folder: ModelFolder, meter: Progress, *, force: bool) -> None:
        self._manifest = manifest
        self._folder = folder
        self._meter = meter
        self._wanted = tuple(manifest.files) if force else folder.lacking(manifest)
        self._reasons: list[str] = []
        self._remedies: list[str] = []
        self._passing = False
        """Whether a source failed in a way that may be temporary."""

    def run(self) -> Pulled:
        """Fetch the files and install them."""
        place = self._folder.path(self._manifest)
        if not self._wanted:
            return Pulled(place, 0, (), ())
        try:
            return self._run(place, Staging(self._folder.staging(self._manifest)))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            # Free the disk space, which others need.
            shutil.rmtree(self._folder.staging(self._manifest), ignore_errors=True)
            raise self._full() from error

    def _run(self, place: Path, staging: Staging) -> Pulled:
        staging.prune(self._manifest.files)
        self._check_room(staging)
        for number, source in enumerate(self._manifest.sources):
            if self._hopeless(self._manifest.sources[number:], staging):
                break
            try:
                self._try(source, self._manifest.sources[number + 1 :], staging)
            except OSError as error:
                if error.errno not in _FULL or any(not file.optional for file in self._left(staging)):
                    raise
                # All required files are there: only optional ones lack disk space.
                staging.give_back()
                self._reasons.append(f"{_name(source)}: {error.strerror}")
        left = self._left(staging)
        if any(not file.optional for file in left):
            raise self._failed(staging, left)
        fetched = len(self._wanted) - len(left)
        if fetched:
            staging.move_to(place)
        elif not staging.size:
            staging.clear()
        self._folder.settle(self._manifest)
        return Pulled(place, fetched, left, tuple(self._reasons))

    def _try(self, source: Source, later: Sequence[Source], staging: Staging) -> None:
        """Fetch the remaining files that a source has, required files first."""
        left = sorted(self._left(staging), key=lambda file: file.optional)
        wanted = [
            Wanted(file, members, not file.optional and not any(s.members(file.path) for s in later))
            for file in left
            if (members := source.members(file.path))
        ]
        if not wanted:
            return
        files = [item.file for item in wanted]
        came = staging.begun(files) + min(source.size, size_of(staging.archives))
        needed = self._needed(files, source) - came
        if (free := shutil.disk_usage(staging.folder).free) < needed:
            raise OSError(errno.ENOSPC, f"it needs {_mb(needed)} of disk space, and {_mb(free)} are free")
        try:
            _fetch(source, wanted, staging, self._meter)
        except Exception as error:
            # Libraries raise undocumented exceptions, for example for environment variables. The next source
            # may still work.
            if _of_disk(error, staging.folder):
                raise
            self._reasons.append(f"{_name(source)}: {reason_of(error)}")
            remedy = error.remedy if isinstance(error, SourceError) else None
            self._passing |= isinstance(error, SourceDownError) and remedy is None
            if remedy is not None and remedy not in self._remedies:
                self._remedies.append(remedy)
            needed = sum(file.size for file in files)
            # A package manager reports a full disk only in its output.
            if shutil.disk_usage(staging.folder).free < min(SPARE, needed):
                raise OSError(errno.ENOSPC, "No space left on device") from error

    def _hopeless(self, sources: Sequence[Source], staging: Staging) -> bool:
        """Whether no source has some required file, so that fetching the others would be useless."""
        needed = [file.path for file in self._left(staging) if not file.optional]
        return any(not any(source.members(path) for source in sources) for path in needed)

    def _left(self, staging: Staging) -> tuple[ModelFile, ...]:
        return tuple(file for file in self._wanted if not staging.has(file))

    def _needed(self, files: Sequence[ModelFile], *sources: Source) -> int:
        """Return the free disk space needed, in bytes; each source frees its archives before the next."""
        return sum(file.size for file in files) + max((source.room for source in sources), default=0) + SPARE

    @property
    def _required(self) -> int:
        """Free disk space needed for the required files, in bytes."""
        files = [file for file in self._wanted if not file.optional]
        sources = [s for s in self._manifest.sources if any(s.members(file.path) for file in files)]
        return self._needed(files, *sources) if files else 0

    def _check_room(self, staging: Staging) -> None:
        needed = self._required - staging.size
        free = shutil.disk_usage(staging.folder).free
        if free < needed:
            where = f"below {self._folder.root}, of which {_mb(free)} are free"
            message = f"{self._manifest.name} needs {_mb(needed)} {where}."
            raise ModelError(
                message, "Free disk space, or name another folder: models.folder, or AWAAZTWIN_MODELS."
            )

    def _full(self) -> ModelError:
        room = f"Free {_mb(self._required)} of disk space"
        return ModelError(
            f"The disk of {self._folder.root} is full; no part of {self._manifest.name} was kept.",
            f"{room}, or name another folder: models.folder, or AWAAZTWIN_MODELS.",
        )

    def _failed(self, staging: Staging, left: Sequence[ModelFile]) -> ModelError:
        if not staging.size:
            staging.clear()
        name, place = self._manifest.name, self._folder.path(self._manifest)
        told = "; ".join(self._reasons) or "its manifest names no source for it"
        if self._folder.state(self._manifest) is ModelState.PRESENT:
            message = f"{name} cannot be fetched again ({told}); the present files are unchanged."
        else:
            lacking = next(file.path for file in left if not file.optional)
            message = f"{name} cannot be fetched, {lacking} is missing ({told})."
        hints = list(self._remedies)
        if self._passing:
            hints.append(f"Try again later with `awaaztwin models pull {name}`: it resumes where it stopped.")
        hints.append(f"{'Or put' if hints else 'Put'} the files into {place} yourself.")
        return ModelError(message, " ".join(hints), reason=told)


def _of_disk(error: Exception, folder: Path) -> bool:
    """Whether an error concerns the disk or a file in ``folder``, so that other sources would fail too."""
    if not isinstance(error, OSError):
        return False
    if error.errno in _FULL:
        return True
    name = error.filename
    return isinstance(name, str | bytes) and Path(os.fsdecode(name)).is_relative_to(folder)


def _fetch(source: Source, wanted: Sequence[Wanted], staging: Staging, meter: Progress) -> None:
    match source:
        case PipSource():
            pip.fetch(source, wanted, staging, meter)
        case NpmSource():
            npm.fetch(source, wanted, staging, meter)
        case HubSource():
            hub.fetch(source, wanted, staging, meter)


def _name(source: Source) -> str:
    match source:
        case PipSource():
            return "Python's package index"
        case NpmSource():
            return "npm's registry"
        case HubSource():
            return f"the hub, {source.repo}"


def _check_license(manifest: Manifest, accept: str | None) -> None:
    if manifest.notice is None:
        return
    if accept is None or accept.strip().lower() != manifest.license.lower():
        other = f" ('{accept}' is a different licence)" if accept else ""
        raise ModelError(
            f"{manifest.title} is under the licence {manifest.license}, which you have to accept{other}. "
            f"{manifest.notice}",
            f"To accept it: awaaztwin models pull {manifest.name}{manifest.acceptance}",
        )


def _check_place(place: Path) -> None:
    """Check that the model's folder can be created, before anything is downloaded."""
    if place.is_dir() or not (place.is_symlink() or place.exists()):
        return
    what = f"a link to {place.readlink()}, which does not exist" if place.is_symlink() else "not a folder"
    raise ModelError(f"{place} is {what}.", f"Remove it: awaaztwin models remove {place.name}")


def _mb(size: int) -> str:
    return f"{max(1, round(size / 1e6)):,} MB"
