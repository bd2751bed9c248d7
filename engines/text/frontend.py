"""The front end: converts a request's text to passages for an engine."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import takewhile
from typing import Final

import regex

from engines.text import ipa
from engines.text.chunks import chunks
from engines.text.cleaning import PARAGRAPH, clean, tidy, without_emoji, without_markdown
from engines.text.english import English
from engines.text.errors import TextError
from engines.text.hindi import Hindi
from engines.text.lexicon import Lexicon
from engines.text.passage import Passage, TextOptions
from engines.text.reader import Reader, with_ascii_digits
from engines.text.room import Room
from engines.text.scripts import language_of, primary
from engines.text.sentences import sentences
from engines.text.ssml import Run, is_ssml, parse
from engines.text.stretches import Stretch, stretches

PARAGRAPH_PAUSE_SECONDS: Final = 0.3
"""Seconds of silence between paragraphs, in addition to the pause after a sentence."""

LONGEST_DATE: Final = 4
"""Maximum number of digits of a number that may be a day or a year."""

_SPEAKABLE: Final = regex.compile(r"[\p{L}\p{N}]")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A paragraph, or a part of one with its own markup."""

    text: str
    rate: float = 1.0
    language: str | None = None
    pause: float = 0.0


class _Rooms:
    """Limits the output of each step, even if the next one shortens it.

    Args:
        limit: Maximum number of characters per step.
    """

    def __init__(self, limit: int) -> None:
        self.interpreted = Room(limit)
        self.replaced = Room(limit)
        self.read = Room(limit)


def plan(text: str, options: TextOptions) -> list[Passage]:
    """Prepare a text for speech.

    Args:
        text: Plain text or Markdown, or SSML if it starts with ``<speak``.
        options: The options.

    Returns:
        The passages in order, at least one; none is longer than the limit of its language.

    Raises:
        TextError: There is nothing to speak, or too much, or the SSML or a lexicon is invalid.
    """
    return [passage for step in steps(text, options) for passage in step]


def steps(text: str, options: TextOptions) -> Iterator[tuple[Passage, ...]]:
    """Like :func:`plan`, but one sentence at a time, so that other texts can be processed in between.

    Yields:
        The passages that a step has completed; often none.

    Raises:
        TextError: As for :func:`plan`.
    """
    lexicon = Lexicon(options.own_lexicon, _lexicon(tuple(options.lexicon.items())))
    rooms = _Rooms(options.max_spoken)
    yield ()
    pieces = _marked(text, options, lexicon, rooms) if is_ssml(text) else _plain(text, options)
    last: Passage | None = None  # held back, because the pause after it may still grow
    waiting = 0.0
    for piece in pieces:
        yield ()
        for sentence in sentences(piece.text.replace("\n", " ")):
            finished: list[Passage] = []
            for passage in _passages(sentence, piece, options, lexicon, rooms, first=last is None):
                if last is not None:
                    finished.append(last)
                last = replace(passage, pause_before=waiting) if waiting else passage
                waiting = 0.0
            yield tuple(finished)
        if last is None:
            waiting += piece.pause
        elif piece.pause:
            last = replace(last, pause_after=last.pause_after + piece.pause)
    if last is None:
        raise TextError("The input contains nothing to speak: no letter and no number.")
    yield (last,)


@lru_cache(maxsize=8)
def _lexicon(entries: tuple[tuple[str, str], ...]) -> Lexicon:
    """Return a lexicon; cached, because the configured one comes with every request."""
    return Lexicon(dict(entries))


def _plain(text: str, options: TextOptions) -> Iterator[_Piece]:
    text = clean(text)
    if options.strip_markup:
        text = without_emoji(without_markdown(text))
    paragraphs = tidy(text).split(PARAGRAPH)
    for index, paragraph in enumerate(paragraphs):
        yield _Piece(paragraph, pause=PARAGRAPH_PAUSE_SECONDS if index < len(paragraphs) - 1 else 0.0)


def _marked(text: str, options: TextOptions, lexicon: Lexicon, rooms: _Rooms) -> Iterator[_Piece]:
    """Yield the pieces of an SSML document; runs that belong to one sentence are joined."""
    clean(text)  # rejects invalid text
    whole = ""
    runs = parse(text)
    everything = "".join(run.text for run in runs)
    language = options.language or language_of(everything, options.languages, (*options.languages, "en")[0])
    for index, run in enumerate(runs):
        following = runs[index + 1] if index + 1 < len(runs) else None
        if run.ipa and options.ipa:
            whole += ipa.marked(" ".join(clean(run.text).split()), run.ipa)
        elif run.interpret:
            whole += _interpreted(run, run.language or language, lexicon, rooms.interpreted)
        else:
            whole += ipa.unmarked(run.text)
        goes_on = following is not None and (following.rate, following.language) == (run.rate, run.language)
        if run.pause or run.ends or not goes_on:
            cleaned = ipa.cleaned(whole, clean)
            if options.strip_markup:
                cleaned = without_emoji(cleaned)
            yield _Piece(" ".join(cleaned.split()), run.rate, run.language, run.pause)
            whole = ""


def _interpreted(run: Run, language: str, lexicon: Lexicon, room: Room) -> str:
    """Return the spoken form of a ``say-as`` element, in words of its language."""
    said = _said(run, with_ascii_digits(lexicon.apply(clean(run.text), room)), _reader(language) or English())
    room.take(len(said))
    return said


def _said(run: Run, text: str, reader: Reader) -> str:
    if run.interpret in {"digits", "telephone"}:
        groups = regex.split(r"\D+", text) if run.interpret == "telephone" else [text]
        return ", ".join(reader.digits(group) for group in groups if group)
    if run.interpret in {"characters", "spell-out"}:
        return " ".join(reader.digits(c) if c.isdecimal() else c for c in text if not c.isspace())
    if run.interpret == "ordinal" and (number := regex.search(r"\d{1,15}", text)):
        return reader.ordinal(int(number.group()))
    return reader.read(text)


def _passages(
    sentence: str, piece: _Piece, options: TextOptions, lexicon: Lexicon, rooms: _Rooms, *, first: bool
) -> Iterator[Passage]:
    fallback = options.languages[0] if options.languages else None
    source = ipa.without_ipa(sentence)
    language = piece.language or options.language or language_of(source, options.languages, fallback)
    reader = _reader(language) if options.normalize else None
    hidden = ipa.Hidden()
    traced = lexicon.trace(hidden.hide(ipa.traced(sentence)), sounds=options.ipa, room=rooms.replaced)
    traced = hidden.hide(traced)
    if reader is not None:
        traced = reader.trace(traced, rooms.read)
    traced = hidden.show(traced.tidied())
    spoken = traced.text
    whole = stretches(traced, source, partial(_readings, reader)) if options.stretches else ()
    end = 0
    last: Passage | None = None
    for part in chunks(spoken, options.max_chars_in(language), options.first_max_chars if first else None):
        start = spoken.index(part, end)
        end = start + len(part)
        if _SPEAKABLE.search(part):
            passage = Passage(
                text=part,
                source=source,
                language=language,
                rate=piece.rate,
                stretches=_within(whole, start, end),
            )
            if last is not None:
                yield _before(last, passage)
            last = passage
    if last is not None:
        yield _before(last, None)


def _before(passage: Passage, following: Passage | None) -> Passage:
    """Clear ``goes_on`` of a passage's last stretch unless the next passage has the rest, not only marks."""
    if not passage.stretches or not (last := passage.stretches[-1]).goes_on:
        return passage
    if following is not None:
        first = following.stretches[0]
        if (first.source_start, first.source_end) == (last.source_start, last.source_end):
            return passage
    return replace(passage, stretches=(*passage.stretches[:-1], replace(last, goes_on=False)))


def _within(whole: tuple[Stretch, ...], start: int, end: int) -> tuple[Stretch, ...]:
    at = bisect.bisect_right(whole, start, key=lambda stretch: stretch.end)
    touched = takewhile(lambda stretch: stretch.start < end, whole[at:])
    return tuple(part for stretch in touched if (part := stretch.within(start, end)) is not None)


def _readings(reader: Reader | None, word: str) -> Iterator[str]:
    """Yield the possible readings of a word, most likely first."""
    yield word if reader is None else reader.read(word)
    digits = regex.sub(r"\D", "", with_ascii_digits(word))
    if reader is not None and digits:
        yield reader.digits(digits)
        if len(digits) <= LONGEST_DATE:
            yield reader.ordinal(int(digits))
            yield reader.year(int(digits))


def _reader(language: str) -> Reader | None:
    """Return the reader of a language; ``None`` to leave written forms to the engine."""
    match primary(language):
        case "hi":
            return Hindi()
        case "en":
            return English(indian=language.lower() == "en-in")
        case _:
            return None
