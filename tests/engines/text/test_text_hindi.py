"""Hindi, as it is written and as it is read."""

import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.text import TextOptions, plan
from engines.text.hindi import Hindi

CASES = {
    "0": "शून्य",
    "7 आम": "सात आम",
    "19": "उन्नीस",
    "29": "उनतीस",
    "39": "उनतालीस",
    "49": "उनचास",
    "59": "उनसठ",
    "69": "उनहत्तर",
    "79": "उन्यासी",
    "89": "नवासी",
    "99": "निन्यानवे",
    "25": "पच्चीस",
    "२५": "पच्चीस",
    "100": "एक सौ",
    "101": "एक सौ एक",
    "555": "पाँच सौ पचपन",
    "1000": "एक हज़ार",
    "1500": "एक हज़ार पाँच सौ",
    "12,345": "बारह हज़ार तीन सौ पैंतालीस",
    "1,00,000": "एक लाख",
    "1,25,000": "एक लाख पच्चीस हज़ार",
    "१,२५,०००": "एक लाख पच्चीस हज़ार",
    "125000": "एक लाख पच्चीस हज़ार",
    "1,00,00,000": "एक करोड़",
    "12,34,56,789": "बारह करोड़ चौंतीस लाख छप्पन हज़ार सात सौ नवासी",
    "5,00,00,00,000": "पाँच अरब",
    "3.14": "तीन दशमलव एक चार",
    "0.5": "शून्य दशमलव पाँच",
    "-5 डिग्री": "माइनस पाँच डिग्री",
    "007": "शून्य शून्य सात",
    "5वाँ": "पाँचवाँ",
    "5वीं कक्षा": "पाँचवीं कक्षा",
    "21वीं सदी": "इक्कीसवीं सदी",
    "1ली": "पहली",
    "2रा": "दूसरा",
    "50%": "पचास प्रतिशत",
    "3.5%": "तीन दशमलव पाँच प्रतिशत",
    "1/2": "आधा",
    "3/4": "तीन चौथाई",
    "5/8": "पाँच बटा आठ",
    "10-12 लोग": "दस से बारह लोग",
    "5–7 किमी": "पाँच से सात किलोमीटर",
    "₹500": "पाँच सौ रुपये",
    "₹1": "एक रुपया",
    "₹1,25,000": "एक लाख पच्चीस हज़ार रुपये",
    "₹1,25,000.50": "एक लाख पच्चीस हज़ार रुपये पचास पैसे",
    "रु. 500": "पाँच सौ रुपये",
    "रु 250/-": "दो सौ पचास रुपये",
    "Rs. 99": "निन्यानवे रुपये",
    "₹5 लाख": "पाँच लाख रुपये",
    "₹2.5 करोड़": "दो दशमलव पाँच करोड़ रुपये",
    "$20": "बीस डॉलर",
    "15/08/1947": "पंद्रह अगस्त उन्नीस सौ सैंतालीस",
    "26-01-1950": "छब्बीस जनवरी उन्नीस सौ पचास",
    "2026-11-23": "तेईस नवंबर दो हज़ार छब्बीस",
    "15 अगस्त": "पंद्रह अगस्त",
    "15 अगस्त 1947 को": "पंद्रह अगस्त उन्नीस सौ सैंतालीस को",
    "१५ अगस्त १९४७": "पंद्रह अगस्त उन्नीस सौ सैंतालीस",
    "सन् 1857 में": "सन् अठारह सौ सत्तावन में",
    "वर्ष 2024": "वर्ष दो हज़ार चौबीस",
    "5:00": "पाँच बजे",
    "5:30 बजे": "साढ़े पाँच बजे",
    "1:30": "डेढ़ बजे",
    "2:30 बजे": "ढाई बजे",
    "4:15": "सवा चार बजे",
    "4:45": "पौने पाँच बजे",
    "12:45": "पौने एक बजे",
    "5:20": "पाँच बजकर बीस मिनट",
    "17:05": "सत्रह बजकर पाँच मिनट",
    "5:30 pm": "शाम साढ़े पाँच बजे",
    "9 am": "सुबह नौ बजे",
    "25°C": "पच्चीस डिग्री सेल्सियस",
    "5 किमी": "पाँच किलोमीटर",
    "5 कि.मी.": "पाँच किलोमीटर",
    "60 km/h": "साठ किलोमीटर प्रति घंटा",
    "2 kg चीनी": "दो किलोग्राम चीनी",
    "98765 43210": "नौ आठ सात छह पाँच, चार तीन दो एक शून्य",
    "+91 98765 43210": "प्लस नौ एक, नौ आठ सात छह पाँच, चार तीन दो एक शून्य",
    "डॉ. शर्मा": "डॉक्टर शर्मा",
    "प्रो. वर्मा": "प्रोफ़ेसर वर्मा",
    "नमक & मिर्च": "नमक और मिर्च",
    "१२ % छूट": "बारह प्रतिशत छूट",
    "10-12% लोग": "दस से बारह प्रतिशत लोग",
    "~50 लोग": "लगभग पचास लोग",
    "500₹ में": "पाँच सौ रुपये में",
    "20€": "बीस यूरो",
    "500 Rs": "पाँच सौ रुपये",
    "₹500-600": "पाँच सौ से छह सौ रुपये",
    "₹10–₹12 लाख": "दस से बारह लाख रुपये",
    "₹10 हजार करोड़": "दस हज़ार करोड़ रुपये",
    "$1.5M": "एक दशमलव पाँच मिलियन डॉलर",
    "-₹500": "माइनस पाँच सौ रुपये",
    "2nd prize जीता": "दूसरा prize जीता",
    "5 वीं कक्षा": "पाँचवीं कक्षा",
    "1947 में": "उन्नीस सौ सैंतालीस में",
    "1947-48": "उन्नीस सौ सैंतालीस से अड़तालीस",
    "2024-25 में": "दो हज़ार चौबीस से पच्चीस में",
    "1990 के दशक": "उन्नीस सौ नब्बे के दशक",
    "1990s में": "उन्नीस सौ नब्बे के दशक में",
    "5.30 बजे": "साढ़े पाँच बजे",
    "10:00-12:00": "दस बजे से बारह बजे",
    ".5": "शून्य दशमलव पाँच",
    "1.2.3": "एक डॉट दो डॉट तीन",
    "192.168.1.1": "एक सौ बानवे डॉट एक सौ अड़सठ डॉट एक डॉट एक",
    "1,2,3": "एक,दो,तीन",
    "16:9": "सोलह अनुपात नौ",
    "4.5/5": "चार दशमलव पाँच बटा पाँच",
    "½ कप": "आधा कप",
    "1½ लीटर": "डेढ़ लीटर",
    "3½ साल": "साढ़े तीन साल",
    "4¾": "पौने पाँच",
    "5⅓": "पाँच सही एक तिहाई",
    "x²": "x का वर्ग",
    "5 m²": "पाँच वर्ग मीटर",
    "①": "एक",
    "अध्याय Ⅳ": "अध्याय चार",
    "60 किमी/घंटा": "साठ किलोमीटर प्रति घंटा",
    "220V": "दो सौ बीस वोल्ट",
    "25 ° C": "पच्चीस डिग्री सेल्सियस",
    "पिन 110001": "पिन एक एक शून्य शून्य शून्य एक",
    "OTP: 4567": "OTP: चार पाँच छह सात",
    "नं. 5": "नंबर पाँच",
    "No.1": "नंबर एक",
    "दो2दो": "दो दो दो",
    "COVID-19": "COVID-उन्नीस",
    "١٢٣": "एक सौ तेईस",
    "１２": "बारह",
    "% और °": "प्रतिशत और डिग्री",
    "मेरा laptop 16 GB का है": "मेरा laptop सोलह गीगाबाइट का है",
}


@pytest.mark.parametrize(("written", "spoken"), CASES.items())
def test_as_it_is_read(written: str, spoken: str) -> None:
    (passage,) = plan(written, TextOptions(language="hi", max_chars=1_000))
    assert passage.text == unicodedata.normalize("NFC", spoken)


def test_every_number_below_a_hundred_has_a_word_of_its_own() -> None:
    words = [Hindi().cardinal(number) for number in range(100)]
    assert len(set(words)) == 100
    assert not [word for word in words if " " in word]


WORDS = ("घर", "पानी", "नमस्ते", "क्षत्रिय", "किताब", "office", "है।")
SIGNS = (
    *"%₹$€£¥°&@+=#×÷±©~/:.,-–—()[]½¼¾⅓²³①Ⅳ'\"^*!?।★≤",
    *("°C", "Rs.", "रु.", "No.", "वीं", "kg", "pm", "बजे"),
)
NUMBERS = st.one_of(
    st.integers(0, 10**18).map(str),
    st.integers(0, 10**9).map("{:,}".format),
    st.decimals(0, 10**6, places=3).map(str),
    st.text("०१२३४५६७८९", min_size=1, max_size=6),
    st.text("0123456789.,:/-", min_size=1, max_size=12),
    st.text("١২௩４𝟓", min_size=1, max_size=4),
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(WORDS) | NUMBERS | st.sampled_from(SIGNS), st.sampled_from(("", " ")))
    ),
    st.sampled_from(WORDS),
)
def test_no_digit_is_left_and_no_word_is_lost(parts: list[tuple[str, str]], last: str) -> None:
    written = "".join(part + space for part, space in parts) + " " + last
    options = TextOptions(language="hi", max_chars=100_000, strip_markup=False)
    spoken = " ".join(passage.text for passage in plan(written, options))
    assert not regex.findall(r"\p{N}", spoken)
    said = iter(regex.findall(r"घर|पानी|नमस्ते|क्षत्रिय|किताब|office", spoken))
    assert all(word in said for word in regex.findall(r"घर|पानी|नमस्ते|क्षत्रिय|किताब|office", written))


@settings(max_examples=300, deadline=None)
@given(NUMBERS.filter(lambda number: any(map(str.isdecimal, number))))
def test_no_number_is_lost(number: str) -> None:
    spoken = regex.fullmatch("घर (.*) पानी", Hindi().read(f"घर {number} पानी"))
    assert spoken
    assert regex.search(r"\p{Devanagari}", spoken.group(1))


@pytest.mark.parametrize("sign", Hindi.signs)
def test_a_sign_by_itself_is_a_word(sign: str) -> None:
    (passage,) = plan(f"घर {sign} पानी", TextOptions(language="hi", strip_markup=False))
    assert passage.text == f"घर {Hindi.signs[sign]} पानी"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(tuple(CASES.values())) | st.lists(st.sampled_from(WORDS), min_size=1).map(" ".join))
def test_what_is_read_stays_as_it_is(spoken: str) -> None:
    text = unicodedata.normalize("NFC", spoken)
    assert Hindi().read(text) == text
