"""Reader of numbers, dates, times, money and units in English."""

from typing import Final

from engines.text.reader import Calendar, Reader

_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen".split()
)
_TENS: Final = ["", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split()]
_WESTERN: Final = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1_000, "thousand"))
_INDIAN: Final = ((10**7, "crore"), (10**5, "lakh"), (1_000, "thousand"))
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()
)
_CENTURY: Final = range(1_100, 2_100)


def _small(number: int) -> str:
    if number < len(_ONES):
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_ONES[hundreds]} hundred" + (f" {_small(rest)}" if rest else "")


class English(Reader):
    """Reads English, in thousands and millions, or in lakh and crore.

    Args:
        indian: Whether to read all numbers in lakh and crore, not only those with Indian grouping.
    """

    calendar = Calendar(
        {name.lower(): index for index, name in enumerate(_MONTHS, 1)}
        | {name[:3].lower(): index for index, name in enumerate(_MONTHS, 1)}
        | {"sept": 9}
    )
    currencies = {
        "₹": ("rupee", "rupees", "paisa", "paise"),
        "$": ("dollar", "dollars", "cent", "cents"),
        "€": ("euro", "euros", "cent", "cents"),
        "£": ("pound", "pounds", "penny", "pence"),
        "¥": ("yen", "yen", "sen", "sen"),
    }
    scales = {
        "thousand": "thousand", "k": "thousand", "lakh": "lakh", "lakhs": "lakh", "lac": "lakh", "l": "lakh",
        "crore": "crore", "crores": "crore", "cr": "crore", "million": "million", "mn": "million", "m": "million",
        "billion": "billion", "bn": "billion", "b": "billion", "trillion": "trillion",
    }  # fmt: skip
    units = {
        "km": ("kilometre", "kilometres"), "m": ("metre", "metres"), "cm": ("centimetre", "centimetres"),
        "mm": ("millimetre", "millimetres"), "kg": ("kilogram", "kilograms"), "g": ("gram", "grams"),
        "gm": ("gram", "grams"), "mg": ("milligram", "milligrams"), "l": ("litre", "litres"),
        "ml": ("millilitre", "millilitres"), "km/h": ("kilometre per hour", "kilometres per hour"),
        "kmph": ("kilometre per hour", "kilometres per hour"), "mph": ("mile per hour", "miles per hour"),
        "m/s": ("metre per second", "metres per second"), "°c": ("degree Celsius", "degrees Celsius"),
        "°f": ("degree Fahrenheit", "degrees Fahrenheit"), "°": ("degree", "degrees"),
        "kb": ("kilobyte", "kilobytes"), "mb": ("megabyte", "megabytes"), "gb": ("gigabyte", "gigabytes"),
        "tb": ("terabyte", "terabytes"), "hz": ("hertz", "hertz"), "khz": ("kilohertz", "kilohertz"),
        "mhz": ("megahertz", "megahertz"), "ghz": ("gigahertz", "gigahertz"), "kw": ("kilowatt", "kilowatts"),
        "kwh": ("kilowatt hour", "kilowatt hours"),
        "sq ft": ("square foot", "square feet"), "sq m": ("square metre", "square metres"),
        "ft": ("foot", "feet"), "min": ("minute", "minutes"), "hrs": ("hour", "hours"), "hr": ("hour", "hours"),
        "sec": ("second", "seconds"), "ms": ("millisecond", "milliseconds"), "%": ("percent", "percent"),
        "‰": ("per mille", "per mille"), "L": ("litre", "litres"), "W": ("watt", "watts"), "V": ("volt", "volts"),
        "db": ("decibel", "decibels"), "° c": ("degree Celsius", "degrees Celsius"),
        "° f": ("degree Fahrenheit", "degrees Fahrenheit"),
        "mm²": ("square millimetre", "square millimetres"), "cm²": ("square centimetre", "square centimetres"),
        "m²": ("square metre", "square metres"), "km²": ("square kilometre", "square kilometres"),
        "ft²": ("square foot", "square feet"), "cm³": ("cubic centimetre", "cubic centimetres"),
        "m³": ("cubic metre", "cubic metres"),
    }  # fmt: skip
    words = {
        "mr.": "mister", "mrs.": "missus", "ms.": "miz", "dr.": "doctor", "prof.": "professor", "vs.": "versus",
        "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is", "approx.": "approximately", "no.": "number",
        "govt.": "government", "dept.": "department", "ltd.": "limited", "pvt.": "private", "jr.": "junior",
        "sr.": "senior",
    }  # fmt: skip
    signs = {"&": "and", "@": "at", "+": "plus", "=": "equals", "#": "number", "×": "times", "÷": "divided by",
             "±": "plus or minus", "≤": "at most", "≥": "at least", "≠": "is not", "©": "copyright",
             "®": "registered", "™": "trademark", "%": "percent", "‰": "per mille", "°": "degrees", "₹": "rupees",
             "$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₩": "won", "₿": "bitcoin", "≈": "about",
             "★": "star"}  # fmt: skip
    minus, point, to, dot, slash, dash = "minus", "point", "to", "dot", "slash", "dash"
    about = "about"
    joints = {"/": "over", ":": "to", "^": "to the power of"}
    powers = {2: "squared", 3: "cubed"}
    ordinal_suffix = r"(?<!\s)(?:st|nd|rd|th)"

    def __init__(self, *, indian: bool = False) -> None:
        self._scales = _INDIAN if indian else _WESTERN

    def cardinal(self, number: int, *, indian: bool = False) -> str:
        """``125000`` → ``one hundred twenty-five thousand``, or ``one lakh twenty-five thousand``."""
        parts: list[str] = []
        for size, name in _INDIAN if indian else self._scales:
            if number >= size:
                count, number = divmod(number, size)
                parts.append(f"{self.cardinal(count, indian=indian)} {name}")
        if number or not parts:
            parts.append(_small(number))
        return " ".join(parts)

    def ordinal(self, number: int) -> str:
        """``21`` → ``twenty-first``."""
        words = self.cardinal(number)
        head, hyphen, last = words.rpartition("-")
        if not hyphen:
            head, hyphen, last = words.rpartition(" ")
        if last in _ORDINALS:
            last = _ORDINALS[last]
        elif last.endswith("y"):
            last = last[:-1] + "ieth"
        else:
            last += "th"
        return head + hyphen + last

    def year(self, number: int) -> str:
        """``1999`` → ``nineteen ninety-nine``; ``2005`` → ``two thousand five``."""
        hundreds, rest = divmod(number, 100)
        if number not in _CENTURY or 2_000 <= number < 2_010:
            return self.cardinal(number)
        if rest == 0:
            return f"{_small(hundreds)} hundred"
        return f"{_small(hundreds)} " + (f"oh {_small(rest)}" if rest < 10 else _small(rest))

    def date(self, day: int, month: int, year: int | None) -> str:
        """``15 August 1947`` → ``the fifteenth of August nineteen forty-seven``."""
        spoken = f"the {self.ordinal(day)} of {_MONTHS[month - 1]}"
        return spoken if year is None else f"{spoken} {self.year(year)}"

    def time(self, hour: int, minute: int, second: int | None, half: str | None) -> str:
        """``5:30 pm`` → ``five thirty PM``; in upper case, since ``a m`` would be read with the article."""
        if minute:
            spoken = f"{_small(hour)} " + (f"oh {_small(minute)}" if minute < 10 else _small(minute))
        elif half:
            spoken = _small(hour)
        else:
            spoken = f"{_small(hour)} o'clock" if 1 <= hour <= 12 else f"{_small(hour)} hundred hours"
        if second:
            spoken += f" and {_small(second)} second" + ("s" if second != 1 else "")
        return spoken + (f" {half.upper()}M" if half else "")

    def fraction(self, over: int, under: int) -> str:
        """``3/4`` → ``three quarters``."""
        names = {2: ("half", "halves"), 4: ("quarter", "quarters")}
        name = names[under][over != 1] if under in names else self.ordinal(under) + "s" * (over != 1)
        return f"{self.cardinal(over)} {name}"

    def mixed(self, whole: int, over: int, under: int) -> str:
        """``2½`` → ``two and a half``."""
        part = self.fraction(over, under)
        return f"{self.cardinal(whole)} and " + (f"a {part[4:]}" if over == 1 else part)

    def decade(self, number: int) -> str:
        """``1990s`` → ``nineteen nineties``; ``'90s`` → ``nineties``."""
        spoken = self.year(number)
        return spoken[:-1] + "ies" if spoken.endswith("y") else spoken + "s"

    def join_money(self, major: str, minor: str | None) -> str:
        """``five rupees and fifty paise``."""
        return major if minor is None else f"{major} and {minor}"
