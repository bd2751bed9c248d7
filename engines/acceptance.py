"""Licences that restrict an engine's use: the operator must accept one before the engine is loaded."""

from collections.abc import Mapping
from typing import Final

from engines.contract import EngineAdapter, Licensed

RESTRICTIVE: Final[Mapping[str, str]] = {
    "CPML": "The Coqui Public Model License allows non-commercial use only, of the model and of its speech.",
    "CC-BY-NC-4.0": "This Creative Commons licence allows non-commercial use only, with attribution.",
    "CC-BY-NC-SA-4.0": "This Creative Commons licence allows non-commercial use only, with attribution, "
    "and requires the same licence for derived works.",
    "CC-BY-NC-ND-4.0": "This Creative Commons licence allows non-commercial use only, with attribution, "
    "and no changes.",
}
"""Restrictions by licence, for engines without a notice (:class:`engines.contract.Licensed`)."""


def notice_of(engine: EngineAdapter) -> str:
    """Return the restriction of the engine's licence in a sentence; empty if it need not be accepted."""
    told = engine.license_notice if isinstance(engine, Licensed) else ""
    known = {name.upper(): notice for name, notice in RESTRICTIVE.items()}
    return told or known.get(engine.license.strip().upper(), "")


def accepted(engine: EngineAdapter, accept: str | None) -> bool | None:
    """Whether the engine may be loaded; ``None`` if no licence needs to be accepted.

    Args:
        engine: The engine.
        accept: The licence that the operator accepts, ``EngineConfig.accept_license``; case-insensitive.
    """
    if not notice_of(engine):
        return None
    return accept is not None and accept.strip().upper() == engine.license.strip().upper()


def refusal(engine: EngineAdapter, accept: str | None) -> str | None:
    """Return why the engine must not be loaded, and the setting that allows it; ``None`` if it may be."""
    if accepted(engine, accept) is not False:
        return None
    other = f" (`accept_license: {accept}` is another one)" if accept else ""
    return (
        f"The engine {engine.name} has the licence {engine.license}, which has not been accepted{other}."
        f" {notice_of(engine)} If you accept it, add `accept_license: {engine.license}` to the engine "
        f"{engine.name} in configuration.yaml."
    )
