"""Reader of numbers, dates, times, money and units in Hindi."""

import unicodedata
from typing import Final

from engines.text.reader import Calendar, Reader

# Composed and decomposed nukta letters look the same; NFC, because the text is in NFC.
_NUMBERS: Final = unicodedata.normalize(
    "NFC",
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस "
    "बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस "
    "चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ "
    "साठ इकसठ बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उन्यासी "
    "अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी नवासी नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे",
).split()
"""Zero to ninety-nine, each of which has its own word."""

_SCALES: Final = tuple(
    (size, unicodedata.normalize("NFC", name))
    for size, name in (
        (10**11, "खरब"),
        (10**9, "अरब"),
        (10**7, "करोड़"),
        (10**5, "लाख"),
        (1_000, "हज़ार"),
        (100, "सौ"),
    )
)
_ORDINALS: Final = {1: "पहला", 2: "दूसरा", 3: "तीसरा", 4: "चौथा", 6: "छठा"}
_FEMININE: Final = str.maketrans({"ा": "ी"})
_HALVES: Final = {1: "डेढ़", 2: "ढाई"}
"""One and a half, and two and a half, which have their own words."""

_MONTHS: Final = "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर".split()
_OTHER_MONTHS: Final = {"फरवरी": 2, "फ़रवरी": 2, "सितम्बर": 9, "अक्तूबर": 10, "नवम्बर": 11, "दिसम्बर": 12}
_FRACTIONS: Final = {
    (1, 2): "आधा",
    (1, 4): "एक चौथाई",
    (3, 4): "तीन चौथाई",
    (1, 3): "एक तिहाई",
    (2, 3): "दो तिहाई",
}


def _nfc(table: dict[str, str]) -> dict[str, str]:
    return {
        unicodedata.normalize("NFC", key): unicodedata.normalize("NFC", value) for key, value in table.items()
    }


class Hindi(Reader):
    """Reads Hindi; large numbers in lakh and crore."""

    calendar = Calendar(
        {unicodedata.normalize("NFC", name): index for index, name in enumerate(_MONTHS, 1)}
        | {unicodedata.normalize("NFC", name): index for name, index in _OTHER_MONTHS.items()}
        | {
            "jan": 1,
            "feb": 2,
            "mar": 3,
            "apr": 4,
            "may": 5,
            "jun": 6,
            "jul": 7,
            "aug": 8,
            "sep": 9,
            "oct": 10,
            "nov": 11,
            "dec": 12,
        }
        | {
            name: i
            for i, name in enumerate(
                "january february march april may june july august september october november december".split(),
                1,
            )
        }
    )
    currencies = {
        "₹": ("रुपया", "रुपये", "पैसा", "पैसे"),
        "$": ("डॉलर", "डॉलर", "सेंट", "सेंट"),
        "€": ("यूरो", "यूरो", "सेंट", "सेंट"),
        "£": ("पाउंड", "पाउंड", "पेंस", "पेंस"),
        "¥": ("येन", "येन", "सेन", "सेन"),
    }
    scales = _nfc({
        "हजार": "हज़ार", "हज़ार": "हज़ार", "लाख": "लाख", "करोड़": "करोड़", "करोड": "करोड़", "अरब": "अरब", "खरब": "खरब",
        "thousand": "हज़ार", "k": "हज़ार", "lakh": "लाख", "lakhs": "लाख", "lac": "लाख", "crore": "करोड़", "crores": "करोड़",
        "cr": "करोड़", "l": "लाख", "million": "मिलियन", "mn": "मिलियन", "m": "मिलियन", "billion": "बिलियन", "bn": "बिलियन",
        "b": "बिलियन", "trillion": "ट्रिलियन",
    })  # fmt: skip
    units = {key: (value, value) for key, value in _nfc({
        "km": "किलोमीटर", "कि.मी.": "किलोमीटर", "किमी": "किलोमीटर", "m": "मीटर", "मी.": "मीटर", "cm": "सेंटीमीटर",
        "से.मी.": "सेंटीमीटर", "mm": "मिलीमीटर", "kg": "किलोग्राम", "कि.ग्रा.": "किलोग्राम", "किग्रा": "किलोग्राम", "g": "ग्राम",
        "gm": "ग्राम", "ग्रा.": "ग्राम", "mg": "मिलीग्राम", "l": "लीटर", "ली.": "लीटर", "ml": "मिलीलीटर",
        "km/h": "किलोमीटर प्रति घंटा", "kmph": "किलोमीटर प्रति घंटा", "m/s": "मीटर प्रति सेकंड", "°c": "डिग्री सेल्सियस",
        "°f": "डिग्री फ़ारेनहाइट", "°": "डिग्री", "kb": "किलोबाइट", "mb": "मेगाबाइट", "gb": "गीगाबाइट", "tb": "टेराबाइट",
        "hz": "हर्ट्ज़", "khz": "किलोहर्ट्ज़", "mhz": "मेगाहर्ट्ज़", "ghz": "गीगाहर्ट्ज़", "kw": "किलोवाट",
        "sq ft": "वर्ग फ़ुट", "वर्ग मी.": "वर्ग मीटर", "sq m": "वर्ग मीटर", "ft": "फ़ुट", "min": "मिनट", "hrs": "घंटे",
        "hr": "घंटा", "sec": "सेकंड", "ms": "मिलीसेकंड", "%": "प्रतिशत", "‰": "प्रति हज़ार", "L": "लीटर", "W": "वॉट", "V": "वोल्ट",
        "kwh": "किलोवॉट घंटा", "db": "डेसिबल", "mph": "मील प्रति घंटा", "° c": "डिग्री सेल्सियस",
        "° f": "डिग्री फ़ारेनहाइट", "किमी/घंटा": "किलोमीटर प्रति घंटा", "किमी/घं": "किलोमीटर प्रति घंटा", "कि.मी./घंटा": "किलोमीटर प्रति घंटा",
        "मिमी": "मिलीमीटर", "मि.मी.": "मिलीमीटर", "सेमी": "सेंटीमीटर", "मिली": "मिलीलीटर", "मि.ली.": "मिलीलीटर",
        "mm²": "वर्ग मिलीमीटर", "cm²": "वर्ग सेंटीमीटर", "m²": "वर्ग मीटर", "km²": "वर्ग किलोमीटर", "ft²": "वर्ग फ़ुट",
        "cm³": "घन सेंटीमीटर", "m³": "घन मीटर", "वर्ग किमी": "वर्ग किलोमीटर",
    }).items()}  # fmt: skip
    words = _nfc({
        "डॉ.": "डॉक्टर", "डा.": "डॉक्टर", "प्रो.": "प्रोफ़ेसर", "पं.": "पंडित", "स्व.": "स्वर्गीय", "सु.": "सुश्री", "कु.": "कुमारी",
        "मो.": "मोबाइल", "ई.पू.": "ईसा पूर्व", "dr.": "डॉक्टर", "mr.": "मिस्टर", "mrs.": "मिसेज़", "prof.": "प्रोफ़ेसर",
        "no.": "नंबर", "नं.": "नंबर", "सं.": "संख्या", "ltd.": "लिमिटेड", "pvt.": "प्राइवेट",
    })  # fmt: skip
    signs = {"&": "और", "@": "ऐट", "+": "प्लस", "=": "बराबर", "#": "नंबर", "×": "गुणा", "÷": "भाग", "±": "प्लस या माइनस",
             "©": "कॉपीराइट", "®": "रजिस्टर्ड", "™": "ट्रेडमार्क", "%": "प्रतिशत", "‰": "प्रति हज़ार", "°": "डिग्री",
             "₹": "रुपये", "$": "डॉलर", "€": "यूरो", "£": "पाउंड", "¥": "येन", "₩": "वॉन", "₿": "बिटकॉइन",
             "≤": "ज़्यादा से ज़्यादा", "≥": "कम से कम", "≠": "बराबर नहीं", "≈": "लगभग", "★": "स्टार"}  # fmt: skip
    minus, point, to, dot, slash, dash = "माइनस", "दशमलव", "से", "डॉट", "स्लैश", "डैश"
    about = "लगभग"
    joints = {"/": "बटा", ":": "अनुपात", "^": "की घात"}
    powers = {2: "का वर्ग", 3: "का घन"}
    ordinal_suffix = (
        r"(?:(?<=\s)(?:वाँ|वां|वीं|वें)|(?<!\s)(?:वाँ|वां|वीं|वी|वें|वे|वा|ठा|ठी|ठे|ला|ली|ले|रा|री|रे|था|थी|थे|st|nd|rd|th))"
    )

    def cardinal(self, number: int, *, indian: bool = False) -> str:
        """``125000`` → ``एक लाख पच्चीस हज़ार``."""
        del indian  # always grouped the Indian way
        parts: list[str] = []
        for size, name in _SCALES:
            if number >= size:
                count, number = divmod(number, size)
                parts.append(f"{self.cardinal(count)} {name}")
        if number or not parts:
            parts.append(_NUMBERS[number])
        return " ".join(parts)

    def ordinal(self, number: int) -> str:
        """``5`` → ``पाँचवाँ``."""
        return _ORDINALS.get(number) or self.cardinal(number) + "वाँ"

    def ordinal_as_written(self, number: int, suffix: str) -> str:
        """Return an ordinal with the suffix's gender and case: ``5वीं`` → ``पाँचवीं``, ``1ली`` → ``पहली``."""
        nasal = {"वीं": "वीं", "वी": "वीं", "वें": "वें", "वे": "वें"}.get(suffix)
        if number not in _ORDINALS:
            return self.cardinal(number) + (nasal or "वाँ")
        if suffix.endswith(("ी", "ीं")):
            return _ORDINALS[number].translate(_FEMININE) if number != 1 else "पहली"
        if suffix.endswith(("े", "ें")):
            return _ORDINALS[number][:-1] + "े"
        return _ORDINALS[number]

    def year(self, number: int) -> str:
        """``1999`` → ``उन्नीस सौ निन्यानवे``."""
        if 1_100 <= number < 2_000:
            hundreds, rest = divmod(number, 100)
            return f"{_NUMBERS[hundreds]} सौ" + (f" {_NUMBERS[rest]}" if rest else "")
        return self.cardinal(number)

    def date(self, day: int, month: int, year: int | None) -> str:
        """``15/08/1947`` → ``पंद्रह अगस्त उन्नीस सौ सैंतालीस``."""
        spoken = f"{self.cardinal(day)} {_MONTHS[month - 1]}"
        return spoken if year is None else f"{spoken} {self.year(year)}"

    def time(self, hour: int, minute: int, second: int | None, half: str | None) -> str:
        """``5:30`` → ``साढ़े पाँच बजे``; ``1:30`` → ``डेढ़ बजे``; ``17:05`` → ``सत्रह बजकर पाँच मिनट``."""
        day = {"a": "सुबह ", "p": "शाम " if 4 <= hour % 12 < 8 else "रात " if hour % 12 >= 8 else "दोपहर "}
        spoken = day.get(half or "", "")
        if not second and 1 <= hour <= 12 and minute in {0, 15, 30, 45}:
            return spoken + self._quarters(hour, minute) + " बजे"
        spoken += self.cardinal(hour)
        if minute == 0 and not second:
            return f"{spoken} बजे"
        spoken += f" बजकर {self.cardinal(minute)} मिनट"
        return spoken + (f" {self.cardinal(second)} सेकंड" if second else "")

    def _quarters(self, hour: int, minute: int) -> str:
        if minute == 30 and hour in _HALVES:
            return _HALVES[hour]
        before = {0: "", 15: "सवा ", 30: "साढ़े ", 45: "पौने "}[minute]
        return before + self.cardinal(hour % 12 + 1 if minute == 45 else hour)

    def fraction(self, over: int, under: int) -> str:
        """``3/4`` → ``तीन चौथाई``."""
        return _FRACTIONS.get((over, under)) or f"{self.cardinal(over)} बटा {self.cardinal(under)}"

    def mixed(self, whole: int, over: int, under: int) -> str:
        """``2½`` → ``ढाई``, ``3½`` → ``साढ़े तीन``, ``4¾`` → ``पौने पाँच``."""
        match over, under:
            case 1, 2:
                return _HALVES.get(whole) or f"साढ़े {self.cardinal(whole)}"
            case 1, 4:
                return f"सवा {self.cardinal(whole)}"
            case 3, 4:
                return f"पौने {self.cardinal(whole + 1)}"
            case _:
                return f"{self.cardinal(whole)} सही {self.fraction(over, under)}"

    def decade(self, number: int) -> str:
        """``1990s`` → ``उन्नीस सौ नब्बे के दशक``."""
        return f"{self.year(number)} के दशक"

    def join_money(self, major: str, minor: str | None) -> str:
        """``पाँच रुपये पचास पैसे``."""
        return major if minor is None else f"{major} {minor}"
