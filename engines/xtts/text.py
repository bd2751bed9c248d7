"""Conversion of text to the tokens that XTTS was trained on.

coqui-tts' own cleaners convert the text, so that the tokens are those of stock XTTS::

    hi-IN  "मेरे पास 5 सेब हैं"  ──▶  [hi] मेरे [SPACE] पास [SPACE] पाँच …

Text that makes them fail is converted before. They raise for Hindi numbers, so the front end reads Hindi
first; numbers that they cannot read are read digit by digit. Signs without a token in the vocabulary are
omitted; letters without one are counted. English words in a Hindi sentence are kept: all languages share one
vocabulary, and a transliteration would guess at what the model knows.
"""

import logging
import threading
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import regex

from engines.contract import UnsupportedUtterance
from engines.text.hindi import Hindi
from engines.text.reader import with_ascii_digits
from engines.xtts.languages import missing_for, vocabulary_tag

logger = logging.getLogger(__name__)

LONGEST_TOKEN: Final = 20
"""Upper bound of a token's length, in characters: texts that cannot fit are refused without tokenising."""

MOST_UNKNOWN: Final = 0.5
"""Maximum share of unknown tokens in a text; beyond it, XTTS hallucinates."""

_SPACE: Final = "[SPACE]"
_UNKNOWN: Final = "[UNK]"

_INVISIBLE: Final = regex.compile(r"[\p{Cf}\p{Co}\p{Cn}\p{Cs}\uFE00-\uFE0F\u20E3]")
_CONTROL: Final = regex.compile(r"\p{Cc}")
_PICTURE: Final = regex.compile(r"[[\p{So}\p{Sk}]--[\p{ASCII}°]]", regex.V1)
_NUMERAL: Final = regex.compile(r"[\p{No}\p{Nl}]")
_SPEAKABLE: Final = regex.compile(r"[\p{L}\p{N}]")
_WORDY: Final = regex.compile(r"[\p{L}\p{M}]")
_LONG_NUMBER: Final = regex.compile(r"\d{16,}")
"""Numbers read digit by digit, as in the front end: some languages have no name for them, or omit them."""

_APART: Final = "\N{WORD JOINER}"
"""Separates a number from the text after it during the conversion."""

_STOP: Final = regex.compile(r"(?<=\d)\.(?=\s|$)")
_BETWEEN: Final = regex.compile(r"(?<=\d)[.,]?(?=\d)")
_SPACES: Final = regex.compile(r"\s+")

_LIKE: Final = {
    "।": ".", "॥": ".", "؟": "?", "،": ",", "؛": ";", "。": ".", "，": ",", "、": ",", "！": "!", "？": "?",
    "：": ":", "；": ";", "…": "...", "—": "-", "–": "-", "−": "-", "‘": "'", "’": "'",
}  # fmt: skip
"""Replacements, with the same pause, of punctuation that the vocabulary lacks."""


class TextEncoder:
    """Converts text to tokens. Thread-safe.

    The first text in a language may take a second, if coqui-tts loads a dictionary.

    Args:
        tokenizer: coqui-tts' ``VoiceBpeTokenizer``, with its vocabulary.
        languages: The vocabulary's tags of the languages that the model was trained in.
        max_tokens: Maximum number of tokens in a text.
    """

    def __init__(self, tokenizer: Any, languages: Sequence[str], max_tokens: int) -> None:  # noqa: ANN401 - coqui-tts has no types
        self._clean: Callable[[str, str], str] = tokenizer.preprocess_text
        self._tokens: Any = tokenizer.tokenizer
        self._languages = tuple(languages)
        self._max_tokens = max_tokens
        self._unknown: int | None = self._tokens.token_to_id(_UNKNOWN)
        self._space: int | None = self._tokens.token_to_id(_SPACE)
        special = [str(token.content) for token in self._tokens.get_added_tokens_decoder().values()]
        self._special = regex.compile("|".join(map(regex.escape, special))) if special else None
        self._is_known = lru_cache(maxsize=4_096)(self._has_token)
        self._cleaning = threading.Lock()  # the Japanese dictionary is not thread-safe

    def encode(self, text: str, language: str) -> list[int]:
        """Return the tokens of a text, beginning with the language's, without start and stop.

        Args:
            text: Plain text, normalised or not.
            language: BCP-47 tag.

        Raises:
            UnsupportedUtterance: The model does not support the language, or the text has nothing to speak or
                is too long; the error names the invalid field.
        """
        tag = self._tag(language)
        spoken = self._spoken(text, tag)
        tokens: list[int] = self._tokens.encode(f"[{tag}]{spoken}".replace(" ", _SPACE)).ids
        if len(tokens) > self._max_tokens:
            raise self._too_long(f"is {len(tokens)} tokens long")
        words = [token for token in tokens[1:] if token != self._space]
        unknown = sum(token == self._unknown for token in words)
        if unknown > MOST_UNKNOWN * len(words):
            message = f"The model's vocabulary does not cover the script of the text (in {language!r})."
            raise UnsupportedUtterance(message, param="input")
        return tokens

    def spoken(self, text: str, language: str) -> str:
        """Return the model's input text: lower case, numbers in words, Chinese and Korean in Latin letters.

        Args:
            text: Plain text, normalised or not.
            language: BCP-47 tag.

        Raises:
            UnsupportedUtterance: As in :meth:`encode`, except for too many tokens.
        """
        return self._spoken(text, self._tag(language))

    def _tag(self, language: str) -> str:
        tag = vocabulary_tag(language)
        if tag not in self._languages:
            speaks = ", ".join(self._languages)
            raise UnsupportedUtterance(f"The model speaks {speaks}, not {language!r}.", param="language")
        if missing := missing_for(tag):
            raise UnsupportedUtterance(f"The language {language!r} {missing}.", param="language")
        return tag

    def _spoken(self, text: str, tag: str) -> str:
        if len(text) > LONGEST_TOKEN * self._max_tokens:
            raise self._too_long(f"has {len(text)} characters")
        text = unicodedata.normalize("NFC", _CONTROL.sub(" ", _INVISIBLE.sub("", text))).strip()
        text = Hindi().read(text) if tag == "hi" else _with_plain_numbers(text)
        if tag == "tr":
            text = text.replace("İ", "i")  # lower() returns two characters for it
        text = self._cleaned(_PICTURE.sub(" ", text).strip().lower(), tag)
        text = self._without_special(self._with_known_signs(text))
        text = _SPACES.sub(" ", text).strip()
        if not _SPEAKABLE.search(text):
            raise UnsupportedUtterance("There is nothing to speak in the text.", param="input")
        return text

    def _cleaned(self, text: str, tag: str) -> str:
        """Clean a text with coqui-tts; if that fails, with numbers simplified."""
        language = tag.partition("-")[0]
        for simpler in (_unchanged, _with_stops_apart, _with_digits_apart):
            try:
                with self._cleaning:
                    return self._clean(simpler(text), language).replace(_APART, "")
            except Exception as error:  # noqa: BLE001 - num2words raises any exception, even RecursionError
                logger.debug("coqui-tts could not read a text in %s: %r", tag, error)
        raise UnsupportedUtterance(f"The text could not be read in {tag!r}.", param="input")

    def _with_known_signs(self, text: str) -> str:
        """Replace or remove signs that the vocabulary lacks."""
        unknown = {sign for sign in set(text) if not sign.isspace() and not self._is_known(sign)}
        signs = {sign: _LIKE.get(sign, " ") for sign in unknown if not _WORDY.match(sign)}
        return text.translate(str.maketrans(signs)) if signs else text

    def _has_token(self, character: str) -> bool:
        return self._unknown not in self._tokens.encode(character).ids

    def _without_special(self, text: str) -> str:
        """Remove brackets if the text contains one of the tokenizer's special tokens, such as ``[en]``."""
        if self._special is not None and self._special.search(text):
            return text.replace("[", " ").replace("]", " ")
        return text

    def _too_long(self, how: str) -> UnsupportedUtterance:
        message = f"The text {how}; the model accepts at most {self._max_tokens} tokens. Split it."
        return UnsupportedUtterance(message, param="input")


def _with_plain_numbers(text: str) -> str:
    """Convert digits of other scripts, fractions, numerals and long numbers to forms coqui-tts can read."""
    if not text.isascii():
        text = _NUMERAL.sub(_compatible, with_ascii_digits(text))
    return _LONG_NUMBER.sub(lambda number: " ".join(number.group()), text)


def _compatible(match: regex.Match[str]) -> str:
    plain = unicodedata.normalize("NFKC", match.group()).replace("\N{FRACTION SLASH}", "/")
    return f" {plain} "


def _unchanged(text: str) -> str:
    return text


def _with_stops_apart(text: str) -> str:
    """Separate full stops from numbers, which would make ordinals: num2words has none in Czech."""
    return _STOP.sub(f"{_APART}.", text)


def _with_digits_apart(text: str) -> str:
    """Separate the digits of every number."""
    return _BETWEEN.sub(" ", _with_stops_apart(text))
