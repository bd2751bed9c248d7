"""Finding, reading and merging the layers of the settings."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, get_args

from pydantic import JsonValue

from engines.config import EngineConfig
from services.config.layer import fit, stack
from services.config.mask import flatten, masked
from services.config.node import Node, merge
from services.config.problems import ConfigError, Problem
from services.config.settings import Profile, Settings
from services.config.validation import DEFAULT, origin, validate
from services.config.variables import FILE_VARIABLE, dotenv_layer, environment_layer
from services.config.yaml_file import parse_yaml, read_text

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

    def shown(self) -> dict[str, JsonValue]:
        """The output of ``config show --json`` and ``GET /config``: masked settings and sources."""
        return {"settings": self.masked(), "sources": dict(self.sources)}


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
    named = path or environ.get(FILE_VARIABLE)
    file = (cwd or Path.cwd()) / Path(named or FILE_NAME).expanduser()
    nothing = Node({}, "")
    problems: list[Problem] = []
    files: list[Path] = []

    def read(path: Path, parse: Callable[[str, str], Node]) -> Node:
        try:
            layer = parse(read_text(path), path.name)
        except ConfigError as error:
            problems.extend(error.problems)
            return nothing
        files.append(path)
        return layer

    def read_yaml(path: Path) -> Node:
        return fit(read(path, parse_yaml), problems)

    base = read_yaml(file) if named or file.exists() else nothing
    # Some people keep a virtual environment in a folder of this name.
    dotenv = file.with_name(".env")
    written = read(dotenv, partial(dotenv_layer, problems=problems)) if dotenv.is_file() else nothing
    variables = environment_layer(environ, problems)
    overlay = nothing
    profile = _profile(base, written, variables)
    if profile in get_args(Profile) and (over := file.with_stem(f"{file.stem}.{profile}")).exists():
        overlay = read_yaml(over)
        own = overlay.entries.get("env")
        if own is not None and own.content != profile:
            problems.append(Problem(own.origin, "env", "an overlay belongs to the profile in its name"))
    # A file that lists engines lists all of them; what is laid over it changes or adds some.
    tree = base if "engines" in base.entries else merge(_default_engines(), base)
    for layer in (overlay, written, variables):
        tree = stack(tree, layer, problems)
    settings = validate(tree, problems)
    sources = {".".join(path): origin(tree, path) for path, _ in flatten(masked(settings))}
    return LoadedSettings(settings, sources, tuple(files))


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


def _profile(*layers: Node) -> object:
    """The profile in the last layer that names one."""
    profile: object = Settings.model_fields["env"].default
    for layer in layers:
        profile = layer.entries["env"].content if "env" in layer.entries else profile
    return profile


def _default_engines() -> Node:
    """The layer of the default engines, for settings that list none."""
    engines: list[JsonValue] = [e.model_dump(mode="json", exclude_unset=True) for e in Settings().engines]
    return fit(Node.of({"engines": engines}, DEFAULT), [])
