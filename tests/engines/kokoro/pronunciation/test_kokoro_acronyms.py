"""Words in capitals: which are spelt, in Hindi and in English."""

from collections.abc import AsyncGenerator

import pytest

from engines.kokoro.pronunciation.acronyms import SPELT, SPELT_IN_HINDI, english_spelling, indian_spelling
from engines.kokoro.pronunciation.phonemes import SPACE, bare, phonemes_of
from engines.phonemes.phonemizer import Phonemizer

VOICE = "gmw/en-US"
WORDS = (
    "INDIA SALE FREE OFFER LIVE NEWS DELHI NEW CASE PAYTM GOA PUNE BIHAR AGRA MODI SINGH KHAN DHONI JIO "
    "TATA OYO OLA UBER HELP STOP SHOP BEST WIN TOP HOT BUY NOW CODE SAVE GIFT CASH NEXT BACK EGG ODD PASS "
    "JOHN DAHL LAKH KUMBH WORD BULB NASA ISRO NATO SEBI NEFT NEET PAN PIN SIM GATE RADAR COVID ARMY NAVY "
    "VIVO OPPO".split()
)
INITIALISMS = (
    "AI IIT IIM IIIT IISC UPI OTP ATM USA UK US IT EMI GST API URL SQL HTML PDF CPU GPU SSD USB SDK VPN DNS "
    "UI OS IP UN EU UAE CEO CFO CTO NDA UPA BJP TMC CPI MLA MP UP PM CM DM FIR CBI ED NIA RBI SBI PNB HDFC "
    "ICICI NSE BSE NPCI UIDAI KYC CVV IFSC RTGS IMPS EPF PPF TDS ITR GDP FDI IAS IPS UPSC SSC UGC NCERT "
    "CBSE ICSE DU JNU BHU MBA MCA BA MA MBBS ITI RTI EVM EV SUV CNG LPG AC TV LED LCD FM DVD SMS OTT HD WHO "
    "IMF WTO DRDO BCCI ICC IPL ODI MRP ISO FSSAI OBC SC ST EWS CRPF BSF CISF ITBP NCC HR QR IQ CA AQI ECG "
    "MRI ICU OPD HIV DNA IVF ITC ONGC LIC NHAI NRI VIP".split()
)


@pytest.fixture
async def phonemizer() -> AsyncGenerator[Phonemizer, None]:
    phonemizer = Phonemizer()
    yield phonemizer
    await phonemizer.close()


async def sounds(phonemizer: Phonemizer, texts: list[str]) -> list[str]:
    """The phonemes of each text, without stress, one of two r's and the spaces."""
    said = await phonemizer.ipa([(VOICE, text) for text in texts])
    return ["".join(bare(p) for p in phonemes_of(one) if p != SPACE).replace("ɹɹ", "ɹ") for one in said]


async def by_letters(phonemizer: Phonemizer, words: list[str]) -> list[str]:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    names = dict(zip(alphabet, await sounds(phonemizer, list(alphabet)), strict=True))
    return ["".join(names[letter] for letter in word).replace("ɹɹ", "ɹ") for word in words]


async def test_initialisms_in_hindi_are_spelt(phonemizer: Phonemizer):
    words = sorted({*INITIALISMS, *SPELT, *SPELT_IN_HINDI})
    said = await sounds(phonemizer, [indian_spelling(word) for word in words])
    assert dict(zip(words, said, strict=True)) == dict(
        zip(words, await by_letters(phonemizer, words), strict=True)
    )


async def test_words_in_capitals_in_hindi_are_said(phonemizer: Phonemizer):
    said = await sounds(phonemizer, [indian_spelling(word) for word in WORDS])
    small = await sounds(phonemizer, [word.lower() for word in WORDS])
    assert dict(zip(WORDS, said, strict=True)) == dict(zip(WORDS, small, strict=True))


@pytest.mark.parametrize(
    ("word", "spelling"),
    [("ATMs", "A.T.M's"), ("MLAs", "M.L.A's"), ("SIMs", "SIMs"), ("Ph.D", "PhD"), ("Sale", "Sale")],
)
def test_plurals_and_others(word: str, spelling: str):
    assert indian_spelling(word) == spelling


@pytest.mark.parametrize("word", [*sorted(SPELT_IN_HINDI), *WORDS])
def test_english_leaves_its_words_as_they_are(word: str):
    assert english_spelling(word) == word


@pytest.mark.parametrize("word", sorted(SPELT))
def test_english_spells_too(word: str):
    assert english_spelling(word) == ".".join(word)
