"""Names in the settings: what makes one unique, and which one was probably meant."""

import difflib
import re
from collections.abc import Iterable


def engine_key(name: str) -> str:
    """What makes an engine's name unique: its letters and digits, without case.

    Names that differ only in ``-``, ``.`` and ``_`` would share an environment variable and a service.
    """
    return re.sub(r"\W", "_", name).lower()


def nearest(wanted: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The name most like ``wanted``, compared without case, or ``None`` when none is like it."""
    by_key = {name.lower(): name for name in names}
    found = difflib.get_close_matches(wanted.lower(), by_key, n=1, cutoff=cutoff)
    return by_key[found[0]] if found else None
