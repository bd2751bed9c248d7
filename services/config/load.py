"""Finding, reading and stacking what the settings are made of."""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from pydantic import JsonValue

from engines.config import EngineConfig
from services.config.flat import flatten
from services.config.layer import fit, stack
from services.config.mask import masked
from services.config.names import engine_key
from services.config.node import Node, merge
from services.config.problems import ConfigError, Problem
from services.config.settings import Profile, Settings
from services.config.validation import DEFAULT, origin, validate, value_problems
from services.config.variables import FILE_VARIABLE, Variable, from_dotenv, from_environment, to_layer
from services.config.yaml_file import read_yaml

FILE_NAME: Final = "configuration.yaml"


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings and where they came from.

    Attributes:
        settings: The settings.
        sources: Dotted key (an engine's name in place of its index) → ``default``, ``file:line``,
            ``.env:line`` or the name of an environment variable.
        files: The files that were read, in the order they were laid over each other.
    """

    settings: Settings
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    files: tuple[Path, ...] = ()

    def masked(self) -> dict[str, JsonValue]:
        """The settings as JSON would have them, secrets masked."""
        return masked(self.settings)


def load_settings(
    path: Path | None = None, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> LoadedSettings:
    """Read the settings: defaults, file, the profile's overlay, ``.env``, environment; the later wins.

    Args:
        path: The file; without it ``AWAAZTWIN_CONFIG`` names it, else ``configuration.yaml`` in ``cwd``
            is taken when it is there.
        environ: The environment; the process's own by default.
        cwd: The working directory; the process's own by default.

    Raises:
        ConfigError: Something is wrong; it lists everything that is.
    """
    environ = os.environ if environ is None else environ
    file, required = _expected_file(path, environ, cwd or Path.cwd())
    reader = _Reader()
    problems = reader.problems
    base = fit(reader.yaml(file, required=required), problems)
    dotenv = to_layer(reader.dotenv(file.with_name(".env")), problems)
    variables = to_layer(from_environment(environ), problems)
    overlay = Node({}, "")
    if profile := _profile(base, dotenv, variables):
        overlay = fit(reader.yaml(file.with_name(f"{file.stem}.{profile}{file.suffix}")), problems)
        own, found = overlay.find(("env",))
        if found and own.content != profile:
            problems.append(Problem(own.origin, "env", "an overlay belongs to the profile in its name"))
    # A file that lists engines lists all of them; what is laid over it changes or adds some.
    tree = base if base.find(("engines",))[1] else merge(_default_engines(), base)
    for layer in (overlay, dotenv, variables):
        tree = stack(tree, layer, problems)
    if problems:
        raise ConfigError([*problems, *value_problems(tree)])
    settings = validate(tree)
    sources = {".".join(path): origin(tree, path) for path, _ in flatten(masked(settings))}
    return LoadedSettings(settings, sources, tuple(reader.files))


@functools.cache
def get_config() -> Settings:
    """The settings of this process, read once; ``get_config.cache_clear()`` makes the next call read again.

    Raises:
        ConfigError: Something is wrong; nothing is kept then.
    """
    return load_settings().settings


def get_engine_configs() -> tuple[EngineConfig, ...]:
    """The engines that are enabled, in order, from :func:`get_config`."""
    return get_config().enabled_engines


class _Reader:
    """Reads files, keeping what is wrong with them for the end."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.files: list[Path] = []

    def yaml(self, path: Path, *, required: bool = False) -> Node:
        if not required and not path.exists():
            return Node({}, "")
        try:
            node = read_yaml(path)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return Node({}, "")
        self.files.append(path)
        return node

    def dotenv(self, path: Path) -> list[Variable]:
        # Some people keep a virtual environment in a folder of this name.
        if not path.is_file():
            return []
        try:
            variables = from_dotenv(path, self.problems)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return []
        self.files.append(path)
        return variables


def _expected_file(path: Path | None, environ: Mapping[str, str], cwd: Path) -> tuple[Path, bool]:
    """Where the file is, and whether it has to be there."""
    if path is not None:
        return cwd / path.expanduser(), True
    if named := environ.get(FILE_VARIABLE):
        return cwd / Path(named).expanduser(), True
    return cwd / FILE_NAME, False


def _profile(*layers: Node) -> str | None:
    """The profile that the last of the layers to name one names; ``None`` when there is no such profile."""
    profile: object = Settings.model_fields["env"].default
    for layer in layers:
        node, found = layer.find(("env",))
        profile = node.content if found else profile
    return profile if isinstance(profile, str) and profile in get_args(Profile) else None


def _default_engines() -> Node:
    """The layer of the engines that are there when no file lists any."""
    engines = {
        engine_key(engine.name): Node.of(engine.model_dump(mode="json", exclude_unset=True), DEFAULT)
        for engine in Settings().engines
    }
    return Node({"engines": Node(engines, DEFAULT)}, DEFAULT)
