"""An optional pronunciation dictionary next to the weights, in one of the CMU dictionary's formats."""

import re
from pathlib import Path
from typing import Final

from engines.contract import EngineUnavailable
from engines.openvoice.melo.arpabet import CONSONANTS, VOWELS

NAMES: Final = ("cmudict.rep", "cmudict.dict")
"""File names: that of MeloTTS (in ``melo/text`` of its source), and that of Carnegie Mellon University."""
_LARGEST: Final = 64 << 20
"""Maximum size of the file in bytes; both have less than 4 MB."""
_ENTRY: Final = re.compile(r"(?m)^([^\s;#(]+)[ \t]+([A-Z][A-Z0-9 -]*)")
_PHONE: Final = re.compile(r"([A-Z]+)([012]?)")


class Lexicon:
    """A mapping of words to phones.

    Args:
        entries: Phones by lower-case word, as in the file: separated by spaces.
    """

    def __init__(self, entries: dict[str, str] | None = None) -> None:
        self._entries = entries or {}

    @classmethod
    def beside(cls, folder: Path) -> "Lexicon":
        """Read the dictionary in ``folder``; an empty one without a file.

        Raises:
            EngineUnavailable: The file cannot be used; the message names it.
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
        """Return the number of words."""
        return len(self._entries)

    def get(self, word: str) -> tuple[str, ...] | None:
        """Return the phones of a lower-case word, with stress; ``None`` if the word or a phone is unknown."""
        entry = self._entries.get(word)
        if entry is None:
            return None
        phones = tuple(phone for phone in entry.split() if phone != "-")  # separates syllables
        return phones if phones and all(_is_phone(phone) for phone in phones) else None


def _is_phone(phone: str) -> bool:
    found = _PHONE.fullmatch(phone)
    return found is not None and found[1] in (VOWELS if found[2] else VOWELS | CONSONANTS)
