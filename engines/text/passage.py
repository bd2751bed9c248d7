"""Options and results of the front end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engines.text import ipa
from engines.text.scripts import primary
from engines.text.stretches import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """Options for preparing a text.

    Attributes:
        language: BCP-47 tag of the whole text; ``None`` to infer it from the script of each sentence.
        languages: BCP-47 tags of the voice's languages, its native one first; empty for any.
        max_chars: Maximum length of a passage in characters.
        max_chars_by_language: Exceptions to ``max_chars``, by primary language subtag.
        first_max_chars: Maximum length of the first passage, if it can be cut at a clause.
        strip_markup: Whether to remove emoji and Markdown.
        normalize: Whether to write out numbers, dates, units and the like.
        lexicon: Spoken forms, or IPA between slashes, by word or phrase; cached for later texts.
        own_lexicon: The same for this text only; overrides ``lexicon``.
        max_spoken: Maximum number of characters of all passages, after lexicons, numbers and markup.
        ipa: Whether the engine supports IPA (``capabilities.ipa``); otherwise words with IPA are spoken as
            written.
        stretches: Whether passages map each of their words to the source.
    """

    language: str | None = None
    languages: tuple[str, ...] = ()
    max_chars: int = 400
    max_chars_by_language: Mapping[str, int] = field(default_factory=dict[str, int])
    first_max_chars: int | None = None
    strip_markup: bool = True
    normalize: bool = True
    lexicon: Mapping[str, str] = field(default_factory=dict[str, str])
    own_lexicon: Mapping[str, str] = field(default_factory=dict[str, str])
    max_spoken: int = 1_000_000
    ipa: bool = False
    stretches: bool = False

    def max_chars_in(self, language: str) -> int:
        """Return the maximum length of a passage in a language, given its BCP-47 tag."""
        return self.max_chars_by_language.get(primary(language), self.max_chars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text for the engine: a sentence, or a part of a long one.

    Attributes:
        text: The spoken text.
        source: The sentence of the cleaned input from which it was made.
        language: BCP-47 tag of its language.
        rate: Relative speed from SSML.
        pause_before: Seconds of silence before it, from SSML.
        pause_after: Seconds of silence after it, from SSML or at the end of a paragraph.
        stretches: The part of ``source`` for each word of ``text``, in order; empty unless requested.
    """

    text: str
    source: str
    language: str
    rate: float = 1.0
    pause_before: float = 0.0
    pause_after: float = 0.0
    stretches: tuple[Stretch, ...] = field(default=(), repr=False)

    @property
    def said(self) -> int:
        """Number of spoken characters; for a word with IPA, those of the IPA."""
        return len(ipa.said(self.text))
