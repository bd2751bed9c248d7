"""Input and output of the front end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engines.text import ipa
from engines.text.scripts import primary
from engines.text.stretches import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """Options for preparing a text.

    Attributes:
        language: BCP-47 tag of the whole text; ``None``: each sentence's script decides.
        languages: The voice's, its own first; empty is any.
        max_chars: The longest passage.
        max_chars_by_language: The same by primary language subtag, where a language differs.
        first_max_chars: The longest first passage, where it can be cut at a clause.
        strip_markup: Leave out emoji, and Markdown's marks.
        normalize: Write out numbers, dates, units and the like.
        lexicon: Word or phrase → spoken form, or IPA between slashes; cached for later texts.
        own_lexicon: The same for this text only; overrides ``lexicon``.
        max_spoken: Most characters of all passages, after lexicons, numbers and markup.
        ipa: Whether the engine takes IPA (``capabilities.ipa``). Otherwise words that have some are spoken as written.
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
        """The longest passage in a language, given by its BCP-47 tag."""
        return self.max_chars_by_language.get(primary(language), self.max_chars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of text for the engine: a sentence, or a part of a long one.

    Attributes:
        text: The spoken text.
        source: The piece of the cleaned input that it came from.
        language: BCP-47 tag.
        rate: Relative speed, from SSML.
        pause_before: Seconds of silence, from SSML.
        pause_after: Seconds of silence, at the end of a paragraph or from SSML.
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
        """Number of spoken characters; of a word with IPA, those of its IPA."""
        return len(ipa.said(self.text))
