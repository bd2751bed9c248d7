"""A safe subset of SSML.

It has ``speak``, ``p``, ``s``, ``break``, ``prosody rate``, ``say-as``, ``sub`` and ``phoneme`` of the W3C's
Speech Synthesis Markup Language 1.1. Engines never receive markup. Documents with a document type or entity
declaration are rejected, as are all elements and attributes that are not listed here.
"""

import re
from dataclasses import dataclass, replace
from typing import Final
from xml.parsers import expat

from engines.text import ipa
from engines.text.errors import TextError

MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 2_000
MAX_BREAK: Final = 10.0
MAX_BREAK_SECONDS: Final = 60.0
"""Maximum seconds of silence of all breaks together; ``MAX_BREAK`` is that of one."""

SLOWEST: Final = 0.25
FASTEST: Final = 4.0

STRENGTHS: Final = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 0.8, "x-strong": 1.2}
"""Seconds of silence by the ``strength`` of a ``break``."""

RATES: Final = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.35, "x-fast": 1.8}

INTERPRETATIONS: Final = frozenset(
    {
        "cardinal",
        "number",
        "ordinal",
        "digits",
        "characters",
        "spell-out",
        "date",
        "time",
        "telephone",
        "currency",
    }
)

_ELEMENTS: Final = {
    "speak": {"version", "xmlns", "xml:lang"},
    "p": {"xml:lang"},
    "s": {"xml:lang"},
    "break": {"time", "strength"},
    "prosody": {"rate"},
    "say-as": {"interpret-as", "format"},
    "sub": {"alias"},
    "phoneme": {"alphabet", "ph"},
}
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}")
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_RATE: Final = re.compile(r"([+-]?)(\d+(?:\.\d+)?)(%?)")


@dataclass(slots=True)
class Run:
    """A piece of text with the same markup.

    Attributes:
        text: The text.
        rate: Relative speed.
        language: BCP-47 tag from ``xml:lang``.
        interpret: ``interpret-as`` of ``say-as``.
        ipa: IPA of ``phoneme``.
        pause: Seconds of silence after it.
        ends: Whether a sentence or paragraph ends with it.
    """

    text: str
    rate: float = 1.0
    language: str | None = None
    interpret: str | None = None
    ipa: str | None = None
    pause: float = 0.0
    ends: bool = False


@dataclass(frozen=True, slots=True)
class _Scope:
    rate: float = 1.0
    language: str | None = None
    interpret: str | None = None
    ipa: str | None = None
    alias: bool = False


def is_ssml(text: str) -> bool:
    """Whether a text starts with ``<speak``, or an XML or document type declaration."""
    return text.lstrip("\ufeff \t\r\n").startswith(("<speak", "<?xml", "<!DOCTYPE"))


def parse(text: str) -> list[Run]:
    """Return the runs of an SSML document, in order.

    Raises:
        TextError: The document is malformed, or outside the subset; the message contains the line.
    """
    return _Parser().parse(text.lstrip("\ufeff \t\r\n"))


class _Parser:
    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._scopes = [_Scope()]
        self._elements = 0
        self._silence = 0.0
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True  # so that the word of a <phoneme> arrives in one piece
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._expat.StartDoctypeDeclHandler = self._refuse_declaration
        self._expat.EntityDeclHandler = self._refuse_declaration

    def parse(self, text: str) -> list[Run]:
        try:
            self._expat.Parse(text, True)  # noqa: FBT003 - pyexpat takes no keywords
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise TextError(f"The SSML is malformed: {reason}, line {error.lineno}.") from error
        return self._runs

    def _error(self, message: str) -> TextError:
        return TextError(f"{message} (SSML, line {self._expat.CurrentLineNumber})")

    def _refuse_declaration(self, *_: object) -> None:
        raise self._error("Document types and entities are not allowed")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._check(name, attributes)
        scope = replace(self._scopes[-1])
        if (language := attributes.get("xml:lang")) is not None:
            if not _LANGUAGE.fullmatch(language):
                raise self._error(f"xml:lang '{language[:40]}' is not a language tag")
            scope = replace(scope, language=language)
        match name:
            case "break":
                self._pause(attributes)
            case "prosody":
                scope = replace(scope, rate=self._rate(scope.rate, attributes))
            case "say-as":
                scope = replace(scope, interpret=self._interpretation(attributes))
            case "sub":
                if "alias" not in attributes:
                    raise self._error("<sub> needs an alias")
                self._add(attributes["alias"], scope)
                scope = replace(scope, alias=True)
            case "phoneme":
                scope = replace(scope, ipa=self._sound(attributes), interpret=None)
            case "p" | "s":
                self._close_sentence()
            case _:
                pass
        self._scopes.append(scope)

    def _check(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if name not in _ELEMENTS:
            raise self._error(
                f"The element <{name[:40]}> is not supported; the supported ones are {', '.join(_ELEMENTS)}"
            )
        if self._elements > MAX_ELEMENTS or len(self._scopes) > MAX_DEPTH:
            raise self._error(
                f"More than {MAX_ELEMENTS} elements, or more than {MAX_DEPTH} levels of nesting"
            )
        if self._scopes[-1].ipa is not None:
            raise self._error(f"<phoneme> can contain only text, not <{name}>")
        if (name == "speak") != (len(self._scopes) == 1):
            raise self._error("<speak> must be the outermost element, and occur once")
        for attribute in attributes:
            if attribute not in _ELEMENTS[name] and not attribute.startswith(("xmlns:", "xsi:")):
                raise self._error(f"The attribute {attribute[:40]} of <{name}> is not supported")

    def _interpretation(self, attributes: dict[str, str]) -> str:
        wanted = attributes.get("interpret-as", "")
        if wanted not in INTERPRETATIONS:
            known = ", ".join(sorted(INTERPRETATIONS))
            raise self._error(
                f"say-as interpret-as '{wanted[:40]}' is not supported; the supported values are {known}"
            )
        return wanted

    def _sound(self, attributes: dict[str, str]) -> str:
        if (alphabet := attributes.get("alphabet", "ipa")) != "ipa":
            raise self._error(f"The alphabet '{alphabet[:40]}' of a phoneme is not supported; use ipa")
        try:
            return ipa.checked(attributes.get("ph", ""), "input")
        except TextError as error:
            raise self._error(error.message.removesuffix(".")) from error

    def _end(self, name: str) -> None:
        self._scopes.pop()
        if name in {"p", "s"}:
            self._close_sentence()

    def _characters(self, data: str) -> None:
        scope = self._scopes[-1]
        if not scope.alias:
            self._add(data, scope)

    def _add(self, text: str, scope: _Scope) -> None:
        last = self._runs[-1] if self._runs else None
        same = last is not None and (last.rate, last.language, last.interpret, last.ipa) == (
            scope.rate, scope.language, scope.interpret, None,
        )  # fmt: skip
        alone = scope.interpret is not None or scope.ipa is not None
        if last is not None and same and not last.pause and not last.ends and not alone:
            last.text += text
        else:
            self._runs.append(Run(text, scope.rate, scope.language, scope.interpret, scope.ipa))

    def _close_sentence(self) -> None:
        if self._runs:
            self._runs[-1].ends = True

    def _pause(self, attributes: dict[str, str]) -> None:
        seconds = STRENGTHS["medium"]
        if (time := attributes.get("time")) is not None:
            match = _TIME.fullmatch(time.strip())
            if match is None:
                raise self._error(f"The time '{time[:40]}' of a break should be like 500ms or 2s")
            seconds = float(match.group(1)[:9]) / (1_000 if match.group(2) == "ms" else 1)
        elif (strength := attributes.get("strength")) is not None:
            if strength not in STRENGTHS:
                raise self._error(
                    f"The strength '{strength[:40]}' of a break is not one of {', '.join(STRENGTHS)}"
                )
            seconds = STRENGTHS[strength]
        self._silence += seconds
        if seconds > MAX_BREAK or self._silence > MAX_BREAK_SECONDS:
            raise self._error(
                f"A break can have at most {MAX_BREAK:g} s, and all together {MAX_BREAK_SECONDS:g} s"
            )
        if not self._runs:
            self._runs.append(Run(""))
        self._runs[-1].pause += seconds

    def _rate(self, outer: float, attributes: dict[str, str]) -> float:
        wanted = attributes.get("rate", "default").strip()
        if wanted in RATES:
            factor = RATES[wanted]
        else:
            match = _RATE.fullmatch(wanted)
            if match is None:
                raise self._error(f"The rate '{wanted[:40]}' should be like 80%, 1.2 or slow")
            sign, digits, percent = match.groups()
            value = float(digits[:9]) / (100 if percent else 1)
            # SSML 1.1: a percentage with a sign is a relative change, without a sign a factor.
            factor = 1 + value if sign == "+" else 1 - value if sign == "-" else value
        return min(max(outer * factor, SLOWEST), FASTEST)
