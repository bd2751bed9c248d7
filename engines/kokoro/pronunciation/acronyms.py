"""Words in capitals that are spelt out letter by letter."""

from typing import Final

import regex

from engines.kokoro.pronunciation.reading import plain

_CAPITALS: Final = regex.compile(r"(?P<letters>[A-Z]{2,5})(?P<plural>s?)")
_DEGREE: Final = regex.compile(r"\p{Lu}\p{Ll}\.\p{Lu}")
"""``Ph.D``, which eSpeak NG would read with a “dot” in it."""
SPELT: Final = frozenset(
    "ABS AIIMS AWS CBI CID EMI EPF EPFO ETA EU EV FAQ FIR IAS ICICI ICU IIT IMPS IOU IPL IPO IPS IRCTC ISO "
    "ISP ITI JEE KYC LIC NGO OBC OEM OTP ROI SOS UAE UPI UPSC USP UX VIP".split()
)
"""Initialisms that eSpeak NG would read as English words. In English, capitals are also used for emphasis."""
SPELT_IN_HINDI: Final = frozenset(
    "ADB AGI AICTE AK AM AMU AP AQI AR ASI BA BHU CA CAA COO DA DIG DOB DU EC ED EEG ELSS EOD EPS EQ ERP "
    "ESI ESIC EWS FII GIS IAF IB ICSE ICSI IDE IED IFSC IG INS IOC IOT IQ ISI IST ITO LED LOC MA MOU NAV "
    "NIA NIT NOC NSUI OCI ODI ORS OTT PIL PIO POK POS PUC QA ROE SEO SHO SIP SIT ST TA UAN UAPA UAT UHD "
    "UIDAI UNSC UP UPA UPS UT UTI WHO".split()
)
"""Further initialisms, which in English text may be words in capitals."""
_SAID: Final = frozenset(
    "AIDS CAT COVID GATE GIF ISRO JIO LASER NASA NATO NEET NEFT PAN PAYTM PIN RADAR RAM ROM SARS SEBI SIM "
    "SMART TATA WIFI ZIP ZOOM".split()
)
"""Words in Hindi that are not spelt out, although the rule would do so."""
_ONSETS: Final = (
    "BH BL BR CH CL CR DH DR DW FL FR GH GL GN GR JH KH KL KN KR PH PL PR PS RH SC SH SK SL SM SN SP SQ ST "
    "SW TH TR TS TW WH WR".split()
)
_CODAS: Final = (
    "BB BH BS CH CK CS CT DD DH DS FF FT GG GH GS HL HM HN HT JH KH KS LB LD LF LK LL LM LN LP LS LT LV MB "
    "MN MP MS NC ND NG NK NN NS NT NX NZ PH PS PT RB RC RD RF RG RK RL RM RN RP RR RS RT RV SC SH SK SM SP "
    "SS ST TH TS TT TZ WD WK WL WN WS XT ZZ".split()
)
_CONSONANT: Final = "[B-DF-HJ-NP-TV-XZ]"
_UNPRONOUNCEABLE: Final = regex.compile(
    rf"{_CONSONANT}+|II.*"
    rf"|(?!{'|'.join(_ONSETS)}){_CONSONANT}{{2}}.*"
    rf"|.*{_CONSONANT}{{2}}(?<!{'|'.join(_CODAS)})"
)
"""Letters that cannot be a word.

They have no vowel, or begin or end with two consonants with which no English or Hindi word does.
"""


def english_spelling(word: str) -> str:
    """Respell an English word so that eSpeak NG reads it correctly."""
    word = plain(word)
    if _DEGREE.fullmatch(word):
        return word.replace(".", "")
    match = _CAPITALS.fullmatch(word)
    return _dotted(match) if match and match["letters"] in SPELT else word


def indian_spelling(word: str) -> str:
    """Respell an English word in Hindi text, where capitals are more often initialisms.

    A lower-case plural s marks an initialism, since other words in capitals have none.
    """
    match = _CAPITALS.fullmatch(plain(word))
    if match is None or match["letters"] in _SAID:
        return english_spelling(word)
    letters = match["letters"]
    spelt = letters in SPELT_IN_HINDI or match["plural"] or _UNPRONOUNCEABLE.fullmatch(letters)
    return _dotted(match) if spelt else english_spelling(word)


def _dotted(match: "regex.Match[str]") -> str:
    return ".".join(match["letters"]) + ("'s" if match["plural"] else "")
