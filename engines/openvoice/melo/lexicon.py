"""A pronunciation dictionary in one of the CMU dictionary's forms, where there is one beside the weights."""

import re
from pathlib import Path
from typing import Final

from engines.contract import EngineUnavailable
from engines.openvoice.melo.arpabet import CONSONANTS, VOWELS

NAMES: Final = ("cmudict.rep", "cmudict.dict")
"""MeloTTS's own, in its source under ``melo/text``, and the one that Carnegie Mellon University publishes."""
_LARGEST: Final = 64 << 20
"""Bytes; both are under 4 MB."""
_ENTRY: Final = re.compile(r"(?m)^([^\s;#(]+)[ \t]+([A-Z][A-Z0-9 -]*)")
_PHONE: Final = re.compile(r"([A-Z]+)([012]?)")


class Lexicon:
    """Words to phones.

    Args:
        entries: Phones by word in lower case, as the file writes them: separated by spaces.
    """

    def __init__(self, entries: dict[str, str] | None = None) -> None:
        self._entries = entries or {}

    @classmethod
    def beside(cls, folder: Path) -> "Lexicon":
        """The dictionary in ``folder``, or an empty one.

        Raises:
            EngineUnavailable: It is there and cannot be used; the message names it.
        """
        path = next((path for name in NAMES if (path := folder / name).is_file()), None)
        if path is None:
            return cls()
        try:
            if path.stat().st_size > _LARGEST:
                raise EngineUnavailable(f"{path} is too large to be a dictionary.", retry_after=60.0)
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            message = f"{path} cannot be read ({error.strerror})."
            raise EngineUnavailable(message, retry_after=60.0) from error
        entries: dict[str, str] = {}
        for word, phones in _ENTRY.findall(text):
            entries.setdefault(word.lower(), phones)
        if not entries:
            raise EngineUnavailable(f"{path} is not a pronunciation dictionary: remove it.", retry_after=60.0)
        return cls(entries)

    def __len__(self) -> int:
        """How many words it knows."""
        return len(self._entries)

    def get(self, word: str) -> tuple[str, ...] | None:
        """The phones of a word in lower case, with stresses; ``None`` when it is not known."""
        entry = self._entries.get(word)
        if entry is None:
            return None
        phones = tuple(phone for phone in entry.split() if phone != "-")  # between syllables
        return phones if phones and all(_is_phone(phone) for phone in phones) else None


def _is_phone(phone: str) -> bool:
    found = _PHONE.fullmatch(phone)
    return found is not None and found[1] in (VOWELS if found[2] else VOWELS | CONSONANTS)
