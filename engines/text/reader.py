"""The base class of readers of written forms: one pass over the text, with forms in order of precedence."""

import abc
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Final, TypeVar

import regex

from engines.text.room import Room
from engines.text.traced import Traced

Match = regex.Match[str]

_FOREIGN_DIGIT: Final = regex.compile(r"[\p{Nd}--[0-9]]", regex.V1)
_VALUES: Final = {str(value): regex.compile(rf"\p{{nv={value}}}") for value in range(10)}
_MAX_NUMBER_DIGITS: Final = 15
"""Maximum number of digits of a number in words; longer ones are read digit by digit."""

_NUMBER: Final = r"(?:\d{1,3}(?:,\d{2,3}){0,6},\d{3}(?!\d)|\d+)(?:\.\d+)?"
"""Pattern of a number, with commas between groups of two or three digits; others separate numbers."""

_NUMBERS: Final = regex.compile(_NUMBER)
_NUMERALS: Final = r"[\p{No}\p{Nl}]"
"""Pattern of numbers in one character: fractions, superscripts, circled and Roman numerals."""

_SUPERSCRIPTS: Final = {"²": 2, "³": 3}
_FRACTIONS: Final = r"[¼½¾⅐-⅞]"
_INTO_LETTER: Final = regex.compile(r"[\p{L}\p{M}]")
_LETTER: Final = regex.compile(r"[\p{L}\p{N}]")
_INDIAN: Final = regex.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?")
_WESTERN: Final = regex.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_WORDY: Final = r"[\p{L}\p{M}\p{N}]"
_CURRENCY: Final = r"US\$|INR|Rs\.?|रु\.?|रू\.?|[₹$€£¥]"
_YEARS: Final = range(1_100, 2_100)
_NUMBERING: Final = frozenset({"no.", "नं.", "सं."})
_BEGINNING: Final = rf"(?:(?<!{_WORDY})(?!\s)|(?![\p{{L}}\p{{M}}\s]))"
"""Rejects most positions early: no form begins with a space or within a word."""

_YEAR_AFTER: Final = (
    r"(?i:\b(?:in|since|until|till|by|of|from|year|circa|during|before|after|and|to)|सन्|सन|वर्ष|साल|ईस्वी)\s+"
)
_YEAR_BEFORE: Final = "में|के दशक|ई\\.|ईस्वी|ईसवी"
_DECADE_AFTER: Final = r"(?i:\b(?:the|his|her|their|my|our|your|early|late|mid))[\s-]"
_CODE_AFTER: Final = r"(?i:\b(?:otp|pin|cvv|pin code|pincode)|ओटीपी|पिन|पिन कोड|पिनकोड)(?:\s|:\s?|-)"


def with_ascii_digits(text: str) -> str:
    """Replace the digits of all scripts by ASCII digits, also those newer than Python's Unicode tables."""
    return text if text.isascii() else _FOREIGN_DIGIT.sub(_ascii_digit, text)


def _ascii_digit(match: Match) -> str:
    return next(digit for digit, pattern in _VALUES.items() if pattern.match(match.group()))


@dataclass(frozen=True, slots=True)
class Calendar:
    """Numbers of the months by name, in lower case."""

    months: Mapping[str, int]


class Reader(abc.ABC):
    """Reads numbers, money, dates, times, units, phone numbers and signs in one language.

    A subclass defines the words of a language and their order; this class defines the patterns and their
    precedence.
    """

    calendar: ClassVar[Calendar]
    currencies: ClassVar[Mapping[str, tuple[str, str, str, str]]]
    scales: ClassVar[Mapping[str, str]]
    units: ClassVar[Mapping[str, tuple[str, str]]]
    words: ClassVar[Mapping[str, str]]
    signs: ClassVar[Mapping[str, str]]
    minus: ClassVar[str]
    point: ClassVar[str]
    to: ClassVar[str]
    dot: ClassVar[str]
    slash: ClassVar[str]
    dash: ClassVar[str]
    about: ClassVar[str]
    joints: ClassVar[Mapping[str, str]]
    powers: ClassVar[Mapping[int, str]]
    ordinal_suffix: ClassVar[str]

    @abc.abstractmethod
    def cardinal(self, number: int, *, indian: bool = False) -> str:
        """Return a number in words, with ``indian`` in lakh and crore."""

    @abc.abstractmethod
    def ordinal(self, number: int) -> str:
        """Return an ordinal in words."""

    @abc.abstractmethod
    def year(self, number: int) -> str:
        """Return a year in words."""

    @abc.abstractmethod
    def date(self, day: int, month: int, year: int | None) -> str:
        """Return a date in words."""

    @abc.abstractmethod
    def time(self, hour: int, minute: int, second: int | None, half: str | None) -> str:
        """Return a time of day in words; ``half`` is ``a`` (before noon), ``p`` (after noon) or ``None``."""

    @abc.abstractmethod
    def fraction(self, over: int, under: int) -> str:
        """Return a fraction in words."""

    @abc.abstractmethod
    def mixed(self, whole: int, over: int, under: int) -> str:
        """Return a whole number and a fraction in words."""

    @abc.abstractmethod
    def decade(self, number: int) -> str:
        """Return the decade that starts with a year in words."""

    @abc.abstractmethod
    def join_money(self, major: str, minor: str | None) -> str:
        """Join the amounts of a currency's major and minor unit, in words."""

    def ordinal_as_written(self, number: int, suffix: str) -> str:
        """Return an ordinal in words, in the grammatical form of its written suffix."""
        del suffix
        return self.ordinal(number)

    def digits(self, text: str) -> str:
        """Return the digits in words, one by one."""
        return " ".join(self.cardinal(int(digit)) for digit in text if digit.isdecimal())

    def number(self, text: str) -> str:
        """Return a written number in words, in Western or Indian grouping, or digit by digit if very long."""
        whole, point, decimals = text.partition(".")
        indian = _INDIAN.fullmatch(text) is not None
        plain = whole.replace(",", "")
        if len(plain) > _MAX_NUMBER_DIGITS or (len(plain) > 1 and plain.startswith("0")):
            spoken = self.digits(plain)
        else:
            spoken = self.cardinal(int(plain), indian=indian)
        return f"{spoken} {self.point} {self.digits(decimals)}" if point and decimals else spoken

    def span(self, low: str, high: str) -> str:
        """Return a range of written numbers in words; possible years are read as years."""
        return f"{self._maybe_year(low)} {self.to} {self._maybe_year(high)}"

    def _maybe_year(self, text: str) -> str:
        likely = len(text) == 4 and text.isdecimal() and int(text) in _YEARS
        return self.year(int(text)) if likely else self.number(text)

    def read(self, text: str) -> str:
        """Replace all known written forms in a text by words."""
        return self.trace(Traced.of(text)).text

    def trace(self, written: Traced, room: Room | None = None) -> Traced:
        """Like :meth:`read`, for traced text.

        Args:
            written: The text.
            room: Limits the length of the result.

        Raises:
            TextError: The result exceeds ``room``.
        """
        written = written.recoded(with_ascii_digits(written.text))
        text = written.text
        pattern, forms = _compiled(type(self))

        def spoken(match: Match) -> str:
            name = match.lastgroup or ""
            words = forms[name](self, match)
            if words is None:
                words = _NUMBERS.sub(lambda number: self.number(number.group()), match.group())
            before = " " if _INTO_LETTER.match(text[max(0, match.start() - 1) : match.start()]) else ""
            after = " " if _LETTER.match(text[match.end() : match.end() + 1]) else ""
            return before + words + after

        return written.replaced(pattern, spoken, room)

    # One method per form, by the name of its group. None: not the form after all, so only numbers are read.

    def _word(self, match: Match) -> str | None:
        return _named(self.words, match.group())

    def _email(self, match: Match) -> str | None:
        return self._address(match.group())

    def _url(self, match: Match) -> str | None:
        address = regex.sub(r"^https?://", "", match.group(), flags=regex.IGNORECASE).rstrip("/")
        return self._address(address)

    def _address(self, text: str) -> str:
        names = {".": self.dot, "@": self.signs["@"], "/": self.slash, "-": self.dash, "_": "underscore"}
        parts = regex.split(r"([.@/_?=&#:-]|\d+)", text)
        spoken = [names.get(part, self.digits(part) if part.isdecimal() else part) for part in parts if part]
        return " ".join(word for word in spoken if regex.search(_WORDY, word))

    def _money(self, match: Match) -> str | None:
        amount, end = match.group("amount"), match.group("end_amount")
        scale = " ".join(
            _named(self.scales, match.group(name)) for name in ("scale", "scale_of") if match.group(name)
        )
        spoken = self._price(match.group("currency"), amount, scale, end)
        return f"{self.minus} {spoken}" if match.group()[0] in "-−" else spoken

    def _price_after(self, match: Match) -> str | None:
        return self._price(match.group("currency_after"), match.group("amount_before"), "", None)

    def _price(self, currency: str, amount: str, scale: str, end: str | None) -> str:
        """Return an amount of money in words.

        Args:
            currency: The currency, as written.
            amount: The amount, as written.
            scale: Lakh, crore, million and so on, in words; may be empty.
            end: The end of a range, as written; ``None`` without a range.
        """
        sign = currency.casefold().rstrip(".")
        sign = "₹" if sign in {"₹", "rs", "inr", "रु", "रू"} else sign[-1]
        one, many, minor_one, minor_many = self.currencies[sign]
        if end:
            return " ".join(filter(None, (self.span(amount, end), scale, many)))
        if scale:
            return f"{self.number(amount)} {scale} {many}"
        whole, _, decimals = amount.partition(".")
        cents = int(decimals.ljust(2, "0")) if decimals and len(decimals) <= 2 else 0
        if decimals and len(decimals) > 2:
            return f"{self.number(amount)} {many}"
        plain = int(whole.replace(",", ""))
        major = f"{self.number(whole)} {one if plain == 1 else many}"
        minor = f"{self.cardinal(cents)} {minor_one if cents == 1 else minor_many}" if cents else None
        return minor if minor and plain == 0 else self.join_money(major, minor)

    def _date(self, match: Match) -> str | None:
        day, month, year = (int(match.group(name)) for name in ("date_day", "date_month", "date_year"))
        return self._dated(day, month, year + (2_000 if year < 50 else 1_900 if year < 100 else 0))

    def _iso(self, match: Match) -> str | None:
        return self._dated(*(int(match.group(name)) for name in ("iso_day", "iso_month", "iso_year")))

    def _dated(self, day: int, month: int, year: int | None) -> str | None:
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        return self.date(day, month, year)

    def _named(self, match: Match) -> str | None:
        return self._month_named(match, "named")

    def _american(self, match: Match) -> str | None:
        return self._month_named(match, "american")

    def _month_named(self, match: Match, kind: str) -> str | None:
        year = match.group(f"{kind}_year")
        month = _named(self.calendar.months, match.group(f"{kind}_month"))
        return self._dated(int(match.group(f"{kind}_day")), month, int(year) if year else None)

    def _time(self, match: Match) -> str | None:
        hour, minute = int(match.group("hour")), int(match.group("minute") or 0)
        second, half = match.group("second"), match.group("half")
        if hour > 24 or minute > 59:
            return None
        spoken = self.time(hour, minute, int(second) if second else None, half[0].lower() if half else None)
        return f"{spoken} {self.to} " if match.group("until") else spoken

    def _phone(self, match: Match) -> str | None:
        text = match.group()
        plus = f"{self.signs['+']} " if text.startswith("+") else ""
        groups = [group for group in regex.split(r"[^\d]+", text) if group]
        return plus + ", ".join(self.digits(group) for group in groups)

    def _ordinal(self, match: Match) -> str | None:
        suffix = match.group("suffix")
        number = match.group()[: -len(suffix)].rstrip("- ")
        return self.ordinal_as_written(int(number), suffix) if len(number) <= _MAX_NUMBER_DIGITS else None

    def _unit(self, match: Match) -> str | None:
        one, many = _named(self.units, match.group("unit_name"))
        count = match.group("count")
        return f"{self._signed(count)} {one if count == '1' else many}"

    def _range(self, match: Match) -> str | None:
        spoken = self.span(match.group("low"), match.group("high"))
        unit = match.group("range_unit")
        return f"{spoken} {_named(self.units, unit)[1]}" if unit else spoken

    def _fraction(self, match: Match) -> str | None:
        over, under = int(match.group("over")), int(match.group("under"))
        return self.fraction(over, under) if under and over else None

    def _mixed(self, match: Match) -> str | None:
        over, _, under = unicodedata.normalize("NFKC", match.group()[-1]).partition("\N{FRACTION SLASH}")
        if not under:
            return None
        if match.group("whole"):
            return self.mixed(int(match.group("whole")), int(over), int(under))
        return self.fraction(int(over), int(under))

    def _dotted(self, match: Match) -> str | None:
        return f" {self.dot} ".join(map(self.number, match.group().split(".")))

    def _code(self, match: Match) -> str | None:
        return self.digits(match.group())

    def _decade(self, match: Match) -> str | None:
        return self.decade(int(regex.sub(r"\D", "", match.group())))

    def _oxide(self, match: Match) -> str | None:
        return " ".join(match.group())

    def _year(self, match: Match) -> str | None:
        return self.year(int(match.group()))

    def _number(self, match: Match) -> str | None:
        return self._signed(match.group())

    def _signed(self, text: str) -> str:
        if text[0] in "-−":
            return f"{self.minus} {self._signed(text[1:])}"
        return self.number(f"0{text}" if text[0] == "." else text)

    def _joint(self, match: Match) -> str | None:
        return f" {self.joints[match.group().strip()]} "

    def _about(self, match: Match) -> str | None:
        del match
        return f" {self.about} "

    def _power(self, match: Match) -> str | None:
        return f" {self.powers[_SUPERSCRIPTS[match.group()]]} "

    def _numeral(self, match: Match) -> str | None:
        value = unicodedata.numeric(match.group(), None)
        if value is None:
            return match.group()  # newer than Python's Unicode tables
        written = f"{value:.4f}".rstrip("0").rstrip(".")
        return f" {self._signed(written)} "

    def _sign(self, match: Match) -> str | None:
        return f" {self.signs[match.group()]} "


_Value = TypeVar("_Value")


def _named(table: Mapping[str, _Value], written: str) -> _Value:
    """Look up a name as written, or else case-folded: patterns ignore case as ``casefold`` does."""
    return table[written] if written in table else table[written.casefold()]


@cache
def _compiled(
    kind: type[Reader],
) -> tuple[regex.Pattern[str], dict[str, Callable[[Reader, Match], str | None]]]:
    """Return the pattern of a language, with one named group per form in order, and the forms' methods."""
    forms = _forms(kind)
    pattern = _BEGINNING + "(?:" + "|".join(f"(?P<{name}>{source})" for name, source in forms.items()) + ")"
    return regex.compile(pattern, regex.IGNORECASE), {name: getattr(kind, f"_{name}") for name in forms}


def _any(names: Mapping[str, object]) -> str:
    return "|".join(regex.escape(name) for name in sorted(names, key=len, reverse=True))


def _cased(unit: str) -> str:
    """Return a unit's pattern. Units of one letter are case-sensitive: 5 g are grams, 5G is a network."""
    return f"(?-i:{unit})" if len(unit) == 1 and unit.isalpha() else regex.escape(unit)


def _abbreviations(words: Mapping[str, str]) -> str:
    """Return the pattern of abbreviations; those that are also words match only before a number."""
    return "|".join(
        regex.escape(word) + (r"(?=\s?\d)" if word in _NUMBERING else rf"(?!{_WORDY})")
        for word in sorted(words, key=len, reverse=True)
    )


def _forms(kind: type[Reader]) -> dict[str, str]:
    start, end = rf"(?<!{_WORDY})", rf"(?!{_WORDY})"
    months, scales = _any(kind.calendar.months), _any(kind.scales)
    units = "|".join(_cased(name) for name in sorted(kind.units, key=len, reverse=True))
    return {
        "email": rf"{start}[\w.+-]{{1,64}}@[\w-]{{1,64}}(?:\.[\w-]{{1,64}})+",
        "url": rf"{start}(?:https?://[^\s<>\"']{{1,500}}[^\s<>\"'.,;:!?)।]|(?:www\.)?(?:[a-z][a-z0-9-]{{0,62}}\.){{1,4}}"
        rf"(?:com|org|net|in|co|io|edu|gov|dev|ai|info)(?:/[^\s<>\"'.,;:!?)।]{{0,200}})?){end}",
        "code": rf"(?<={_CODE_AFTER})\d{{3,10}}{end}(?![.,]\d)",
        "money": rf"(?:(?:(?<!{_WORDY})[-−])?{start}(?P<currency>{_CURRENCY}))\s?(?P<amount>{_NUMBER})"
        rf"(?:(?:[–—-]|\s?[–—-]\s?(?:{_CURRENCY})\s?)(?P<end_amount>{_NUMBER})(?![-–/]?\d))?"
        rf"(?:\s?(?P<scale>{scales}){end}(?:\s(?P<scale_of>{scales}){end})?)?(?:/-)?",
        "price_after": rf"(?<![\d.,]){start}(?P<amount_before>{_NUMBER})\s?(?:(?P<currency_after>[₹$€£¥])(?!\d)|(?P<currency_after>INR|Rs|रु|रू){end})(?:/-)?",
        "iso": rf"{start}(?P<iso_year>\d{{4}})-(?P<iso_month>\d{{2}})-(?P<iso_day>\d{{2}}){end}",
        "date": rf"{start}(?P<date_day>\d{{1,2}})(?P<between>[/.-])(?P<date_month>\d{{1,2}})(?P=between)(?P<date_year>\d{{4}}|\d{{2}}){end}(?!\.\d)",
        "named": rf"{start}(?P<named_day>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<named_month>{months}){end}\.?"
        rf"(?:,?\s(?P<named_year>[12]\d{{3}}){end}(?!,?\d))?",
        "american": rf"{start}(?P<american_month>{months})\s(?P<american_day>\d{{1,2}})(?:st|nd|rd|th)?{end}(?![:.,]?\d)"
        rf"(?:,?\s(?P<american_year>[12]\d{{3}}){end})?",
        "time": rf"{start}(?P<hour>\d{{1,2}})(?:(?::(?P<minute>\d{{2}})(?::(?P<second>\d{{2}}))?)(?:\s?बजे{end})?"
        rf"|\.(?P<minute>[0-5]\d)\s?बजे{end}|(?=\s?(?:[ap]m|[ap]\.m\.)(?!{_WORDY})))"
        rf"(?:\s?(?P<half>[ap]m|[ap]\.m\.){end})?(?![:\d])(?P<until>\s?[–—-]\s?(?=\d{{1,2}}:\d\d))?",
        "phone": rf"{start}(?:\+\d{{1,3}}(?:[\s-]?\d{{2,5}}){{2,4}}|[6-9]\d{{4}}[\s-]?\d{{5}}|1[89]00[\s-]\d{{3}}[\s-]\d{{3,4}}"
        rf"|\d{{3}}-\d{{3}}-\d{{4}}|0\d{{2,4}}[\s-]\d{{6,8}}){end}(?![.,]\d)",
        "ordinal": rf"{start}\d{{1,6}}[-\s]?(?P<suffix>{kind.ordinal_suffix}){end}",
        "decade": rf"{start}(?:[12]\d\d0'?s|['‘][2-9]0'?s|(?<={_DECADE_AFTER})[2-9]0'?s){end}",
        "oxide": rf"{start}(?-i:[A-Z]O)(?=[2-4₂-₄]{end})",
        "dotted": r"(?<![\d.])\d+(?:\.\d+){2,}",
        "mixed": rf"(?:(?<!{_WORDY}[.,]?)(?P<whole>\d{{1,15}})\s?)?{_FRACTIONS}",
        "unit": rf"(?<![\d.,\p{{L}}\p{{M}}])(?P<count>[-−]?{_NUMBER})\s?(?P<unit_name>{units})"
        rf"(?!{_WORDY}|/[\p{{L}}])",
        "range": rf"{start}(?P<low>{_NUMBER})\s?(?:--|[–—-])\s?(?P<high>{_NUMBER})(?:{end}|(?=\s?°))(?!-)"
        rf"(?:\s?(?P<range_unit>{units})(?!{_WORDY}|/[\p{{L}}]))?",
        "fraction": rf"{start}(?P<over>\d{{1,2}})/(?P<under>\d{{1,2}}){end}(?!/)",
        "year": rf"(?:(?<={_YEAR_AFTER})[12]\d{{3}}{end}(?![.,]\d|\s?[%₹])|(?<![\d.,]){start}1[1-9]\d\d(?=\s(?:{_YEAR_BEFORE}){end}))",
        "word": rf"{start}(?:{_abbreviations(kind.words)})",
        "number": rf"(?:(?<![\p{{L}}\p{{M}}\p{{N}}.,-])[-−])?(?:(?<![\p{{L}}\p{{M}}\p{{N}}.])\.\d+(?!{_WORDY}|\.)|{_NUMBER})",
        "joint": rf"(?<=\d\s?)[{regex.escape(''.join(kind.joints))}]\s?(?=\d)",
        "about": r"~\s?(?=\d)",
        "power": rf"(?<=(?<![\p{{L}}\p{{M}}])[\p{{L}}\d])[{''.join(_SUPERSCRIPTS)}](?!{_WORDY})",
        "numeral": _NUMERALS,
        "sign": f"[{regex.escape(''.join(kind.signs))}]",
    }
