"""Words in capitals that are said letter by letter."""

from typing import Final

import regex

from engines.kokoro.pronunciation.reading import plain

_CAPITALS: Final = regex.compile(r"(?P<letters>[A-Z]{2,5})(?P<plural>s?)")
_DEGREE: Final = regex.compile(r"\p{Lu}\p{Ll}\.\p{Lu}")
"""``Ph.D``, which eSpeak NG would read with a “dot” in it."""
_SPELT: Final = frozenset(
    {
        *("ABS", "AIIMS", "AWS", "CBI", "CID", "EMI", "EPF", "EPFO", "ETA", "EU", "EV", "FAQ", "FIR", "IAS"),
        *("ICICI", "ICU", "IIT", "IMPS", "IOU", "IPL", "IPO", "IPS", "IRCTC", "ISO", "ISP", "ITI", "JEE"),
        *("KYC", "LIC", "NGO", "OBC", "OEM", "OTP", "ROI", "SOS", "UAE", "UPI", "UPSC", "USP", "UX", "VIP"),
    }
)
"""What eSpeak NG would say as an English word. In English words stand in capitals for emphasis, too."""
_SAID: Final = frozenset(
    {
        *(
            "AIDS",
            "CAT",
            "COVID",
            "GATE",
            "GIF",
            "ISRO",
            "JIO",
            "LASER",
            "NASA",
            "NATO",
            "NEET",
            "NEFT",
            "PAN",
        ),
        *("PIN", "RADAR", "RAM", "ROM", "SARS", "SEBI", "SIM", "SMART", "TATA", "WIFI", "ZIP", "ZOOM"),
    }
)
"""What is said as a word in Hindi, where capitals are no emphasis."""


def english_spelling(word: str) -> str:
    """An English word as eSpeak NG reads it right."""
    word = plain(word)
    if _DEGREE.fullmatch(word):
        return word.replace(".", "")
    match = _CAPITALS.fullmatch(word)
    return _dotted(match) if match and match["letters"] in _SPELT else word


def indian_spelling(word: str) -> str:
    """The same for one that stands in Hindi: capitals are letters."""
    word = plain(word)
    if _DEGREE.fullmatch(word):
        return word.replace(".", "")
    match = _CAPITALS.fullmatch(word)
    return _dotted(match) if match and match["letters"] not in _SAID else word


def _dotted(match: "regex.Match[str]") -> str:
    return ".".join(match["letters"]) + ("'s" if match["plural"] else "")
