"""The table of engine types, and their factory.

The table maps built-in engines to import paths, so that an engine's libraries are imported only when it is
used. Plug-ins use the entry-point group ``awaaztwin.engines``: each entry point is a callable that takes an
:class:`~engines.config.EngineConfig` and returns an :class:`~engines.contract.EngineAdapter`.
"""

import difflib
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final, TypeAlias, cast

from engines.config import EngineConfig
from engines.contract import EngineAdapter, StreamingEngine, SynthesizingEngine

EngineFactory: TypeAlias = Callable[[EngineConfig], object]

GROUP: Final = "awaaztwin.engines"

BUILT_IN: Final[dict[str, str]] = {
    "ESPEAK": "engines.espeak.adapter:EspeakEngine",
    "KOKORO": "engines.kokoro.adapter:KokoroEngine",
    "OPENVOICE_V2": "engines.openvoice.adapter:OpenVoiceEngine",
    "SYNTHETIC": "engines.synthetic:SyntheticEngine",
    "XTTS_HI": "engines.xtts.adapter:XttsEngine",
}


class UnknownEngineType(LookupError):  # noqa: N818 - named for the cause
    """The type is neither a built-in engine nor an entry point, or is not an engine.

    Args:
        message: Description with the requested type and the known ones.
    """


def engine_types() -> list[str]:
    """Return the available engine types, sorted: built-in ones and those of installed plug-ins."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def get_engine_adapter(name: str, config: EngineConfig) -> EngineAdapter:
    """Create the engine of type ``name``, without loading it.

    Args:
        name: The engine's type, case-insensitive; a built-in one takes precedence over a plug-in.
        config: Its settings.

    Raises:
        UnknownEngineType: The type is unknown, or the plug-in's engine does not satisfy the contract.
    """
    engine = _factory(name)(config)
    if not isinstance(engine, EngineAdapter):
        missing = [m for m in _members() if not hasattr(engine, m)]
        raise UnknownEngineType(f"The engine type {name!r} lacks {', '.join(missing)}.")
    if not isinstance(engine, StreamingEngine | SynthesizingEngine):
        raise UnknownEngineType(f"The engine type {name!r} has neither stream nor synthesize.")
    return engine


def _factory(name: str) -> EngineFactory:
    wanted = name.upper()
    if wanted in BUILT_IN:
        module, _, attribute = BUILT_IN[wanted].partition(":")
        return cast("EngineFactory", getattr(import_module(module), attribute))
    for point in entry_points(group=GROUP):
        if point.name.upper() == wanted:
            return cast("EngineFactory", point.load())
    known = engine_types()
    near = difflib.get_close_matches(wanted, [k.upper() for k in known], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UnknownEngineType(f"There is no engine type {name!r}.{hint} Known: {', '.join(known)}.")


def _members() -> list[str]:
    return [m for m in vars(EngineAdapter) if not m.startswith("_")]
