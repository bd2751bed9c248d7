"""The languages of XTTS-v2: their tags, text limits, and required libraries."""

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger(__name__)

MAX_CHARS: Final = 250
"""Maximum length of a text in languages that are not in :data:`MAX_CHARS_BY_LANGUAGE`, in characters."""

MAX_CHARS_BY_LANGUAGE: Final[Mapping[str, int]] = {
    "en": 250, "de": 253, "fr": 273, "es": 239, "it": 213, "pt": 203, "pl": 224, "ar": 166, "cs": 186,
    "ru": 182, "nl": 251, "tr": 226, "hu": 224, "hi": 150, "ko": 95, "zh": 82, "cmn": 82, "ja": 71,
}  # fmt: skip
"""Maximum length of a text by primary subtag, in characters; longer ones may be cut off.

From ``VoiceBpeTokenizer.char_limits`` of coqui-tts 0.28.
"""

_CHINESE: Final = "zh-cn"
_SAME: Final = {"zh": _CHINESE, "cmn": _CHINESE}
"""Primary subtags with another tag in the vocabulary."""


@dataclass(frozen=True, slots=True)
class _Library:
    """Libraries that a language needs besides coqui-tts.

    Attributes:
        modules: Required modules.
        dictionaries: Alternative dictionaries, of which one is required, if any.
        extra: Extra of coqui-tts that installs both.
    """

    modules: tuple[str, ...]
    dictionaries: tuple[str, ...]
    extra: str


_LIBRARIES: Final = {
    "ja": _Library(("cutlet", "fugashi"), ("unidic_lite", "unidic"), "ja"),
    _CHINESE: _Library(("pypinyin",), (), "zh"),
    "ko": _Library(("ko_speech_tools",), (), "ko"),
}


def vocabulary_tag(language: str) -> str:
    """Return the vocabulary's tag of a language: ``hi-IN`` → ``hi``, ``zh`` and ``cmn`` → ``zh-cn``.

    Args:
        language: BCP-47 tag.
    """
    primary = language.replace("_", "-").partition("-")[0].lower()
    return _SAME.get(primary, primary)


def missing_for(language: str) -> str | None:
    """Describe what must be installed for a language, as a predicate; ``None`` if nothing is missing.

    Args:
        language: Tag of the vocabulary.
    """
    library = _LIBRARIES.get(language)
    if library is None:
        return None
    missing = [name for name in library.modules if importlib.util.find_spec(name) is None]
    if library.dictionaries and not any(map(importlib.util.find_spec, library.dictionaries)):
        missing.append(library.dictionaries[0])
    if not missing:
        return None
    return f"needs {' and '.join(missing)}: run `pip install 'coqui-tts[{library.extra}]'`"


def available(languages: Sequence[str]) -> tuple[str, ...]:
    """Return the languages whose libraries are installed; the others are logged.

    Imports nothing, so it can be called before the engine is loaded.

    Args:
        languages: BCP-47 tags.
    """
    found: list[str] = []
    for language in languages:
        if missing := missing_for(vocabulary_tag(language)):
            logger.info("XTTS does not offer %s, which %s", language, missing)
        else:
            found.append(language)
    return tuple(found)
