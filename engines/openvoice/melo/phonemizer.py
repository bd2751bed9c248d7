"""How words are said in American English, in ARPAbet."""

from collections.abc import Sequence
from typing import Final

from engines.openvoice.melo.arpabet import from_ipa
from engines.phonemes.phonemizer import Phonemizer

VOICE: Final = "gmw/en-US"
MAX_WORD_CHARS: Final = 100
"""Characters of a word; what is longer is no word."""
WORDS: Final = 1_000
"""In one question; an utterance has fewer."""
_ARTICLE: Final = {"a": ("AH0",)}
"""Said alone, eSpeak NG takes it for the letter."""


class ArpabetPhonemizer:
    """Words to phones; the process starts at the first word and again after it exited."""

    def __init__(self) -> None:
        self._ipa = Phonemizer()

    async def phones(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """ARPAbet of each word, empty for what cannot be said.

        Args:
            words: In lower case, without white space, :data:`WORDS` different ones at most.

        Raises:
            EngineUnavailable: eSpeak NG is not installed, or exited twice.
        """
        asked = list(dict.fromkeys(words))[:WORDS]
        said = await self._ipa.ipa([(VOICE, word[:MAX_WORD_CHARS]) for word in asked])
        phones = {word: _ARTICLE.get(word) or from_ipa(ipa) for word, ipa in zip(asked, said, strict=True)}
        return [phones.get(word, ()) for word in words]

    async def close(self) -> None:
        """End the process. Never raises; safe to repeat."""
        await self._ipa.close()
