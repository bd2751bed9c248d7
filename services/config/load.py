"""Loading of the settings: finds, reads and merges their layers."""

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
    """The effective settings and their sources.

    Attributes:
        settings: The settings.
        sources: Sources by dotted key, with engines identified by name: ``default``, ``file:line``,
            ``.env:line`` or the name of an environment variable.
        files: The files that were read; later ones override earlier ones.
    """

    settings: Settings
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    files: tuple[Path, ...] = ()

    def masked(self) -> dict[str, JsonValue]:
        """Return the settings as plain JSON values, with secrets masked."""
        return masked(self.settings)

    def shown(self) -> dict[str, JsonValue]:
        """Return the output of ``config show --json`` and ``GET /config``: masked settings and sources."""
        return {"settings": self.masked(), "sources": dict(self.sources)}


def load_settings(
    path: Path | None = None, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> LoadedSettings:
    """Load the settings: defaults, file, the profile's overlay, ``.env`` and environment; later ones win.

    Args:
        path: The file; by default the one named by ``AWAAZTWIN_CONFIG``, or else ``configuration.yaml`` in
            ``cwd``, if it exists.
        environ: The environment; by default the process's own.
        cwd: The working directory; by default the process's own.

    Raises:
        ConfigError: The settings are invalid; lists all problems.
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
    # A file, because some virtual environments are folders of this name.
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
    # A file's list of engines is complete; the layers above change or add engines.
    tree = base if "engines" in base.entries else merge(_default_engines(), base)
    for layer in (overlay, written, variables):
        tree = stack(tree, layer, problems)
    settings = validate(tree, problems)
    sources = {".".join(path): origin(tree, path) for path, _ in flatten(masked(settings))}
    return LoadedSettings(settings, sources, tuple(files))


@functools.cache
def get_config() -> Settings:
    """Return the settings of this process, loaded once; ``get_config.cache_clear()`` clears the cache.

    Raises:
        ConfigError: The settings are invalid; the error is not cached.
    """
    return load_settings().settings


def get_engine_configs() -> tuple[EngineConfig, ...]:
    """Return the enabled engines of :func:`get_config`, in order."""
    return get_config().enabled_engines


def _profile(*layers: Node) -> object:
    """Return the profile of the last layer that has one."""
    profile: object = Settings.model_fields["env"].default
    for layer in layers:
        profile = layer.entries["env"].content if "env" in layer.entries else profile
    return profile


def _default_engines() -> Node:
    """Return a layer with the default engines, for settings without a list of engines."""
    engines: list[JsonValue] = [e.model_dump(mode="json", exclude_unset=True) for e in Settings().engines]
    return fit(Node.of({"engines": engines}, DEFAULT), [])
