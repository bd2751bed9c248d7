"""Pronunciation of words in American English, in ARPAbet."""

from collections.abc import Sequence
from typing import Final

from engines.openvoice.melo.arpabet import from_ipa
from engines.phonemes.phonemizer import Phonemizer

VOICE: Final = "gmw/en-US"
MAX_WORD_CHARS: Final = 100
"""Maximum length of a word in characters; longer ones are truncated."""
WORDS: Final = 1_000
"""Maximum number of words per call; an utterance has fewer."""
_ARTICLE: Final = {"a": ("AH0",)}
"""Phones of the article, which eSpeak NG would read in isolation as the letter."""


class ArpabetPhonemizer:
    """Converts words to phones. Its process starts on first use, and again after it has exited."""

    def __init__(self) -> None:
        self._ipa = Phonemizer()

    async def phones(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the phones of each word in ARPAbet; empty for words that cannot be spoken.

        Args:
            words: Lower-case words without white space; at most :data:`WORDS` different ones.

        Raises:
            EngineUnavailable: eSpeak NG is not installed, or exited twice.
        """
        asked = list(dict.fromkeys(words))[:WORDS]
        said = await self._ipa.ipa([(VOICE, word[:MAX_WORD_CHARS]) for word in asked])
        phones = {word: _ARTICLE.get(word) or from_ipa(ipa) for word, ipa in zip(asked, said, strict=True)}
        return [phones.get(word, ()) for word in words]

    async def close(self) -> None:
        """End the process. Never raises; idempotent."""
        await self._ipa.close()
