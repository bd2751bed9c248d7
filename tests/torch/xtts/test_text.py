"""Texts become the tokens of stock coqui-tts, and none of them breaks it."""

import importlib.util
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.contract import UnsupportedUtterance
from engines.coqui import coqui
from engines.text import TextOptions, plan
from engines.xtts.languages import MAX_CHARS_BY_LANGUAGE, available, missing_for, vocabulary_tag
from engines.xtts.text import TextEncoder

LANGUAGES = (
    *("en", "es", "fr", "de", "it", "pt", "pl", "tr", "ru"),
    *("nl", "cs", "ar", "zh-cn", "hu", "ko", "ja", "hi"),
)
READABLE = available(LANGUAGES)
MAX_TOKENS = 402

CORPUS = {
    "en": (
        "Hello there, how are you?",
        "Dr. Jones paid $20.50 on the 3rd of May; that's 15% of 1,250.",
        "It was 100,000.5 & the rest @ home — “quoted”, isn't it…",
    ),
    "es": ("¿Cómo está usted, Sra. García?", "Son 12,5 segundos y 20,15€ por el 1er día."),
    "fr": ("Où est l'hôtel, s'il vous plaît ?", "Mme. Moreau a payé 20€ pour 100.000,5 œufs: 14°."),
    "de": ("Frau Dr. Müller grüßt die Straße.", "In 12,5 Sekunden kostet es 20,15€ und 15%."),
    "it": ("Perché no? È già così.", "Il Sig. Rossi ha 50 soldati e 12,5 euro."),
    "pt": ("Não há razão, senhora.", "O Dr. Silva pagou 20€ por 100 maçãs."),
    "pl": ("Dzień dobry, jak się pan miewa? Łódź.", "Było 50 żołnierzy i 36.6°."),
    "tr": ("Merhaba, nasılsınız? Çok güzel bir gün.", "50 asker vardı, %14 dolu."),
    "ru": ("Здравствуйте, как дела?", "Там было 50 солдат и 12.5 рублей."),
    "nl": ("Goedemorgen, hoe gaat het?", "Dhr. Jansen heeft 20€ en 14% batterij."),
    "cs": ("Dobrý den, jak se máte?", "Bylo tam 50 vojáků a 20.15€ bez daně."),
    "ar": ("مرحبا كيف حالك!", "كان هناك 50 جنديا."),
    "zh-cn": ("你好，世界！今天天气很好。", "在12.5秒内有50名士兵。"),
    "hu": ("Jó napot kívánok, hogy van?", "Dr. Szabó 50 katonája és 14% tölt."),
    "ko": ("안녕하세요, 반갑습니다.", "50 명의 병사가 있었다."),
    "ja": ("今日はいい天気ですね。", "東京タワーへ行きましょう、ABCの店です。"),
    "hi": (
        "नमस्ते, आप कैसे हैं?",
        "मैं office जा रहा हूँ, meeting के बाद call करूँगा।",
        "नमक & मिर्च की कीमत $ और £ में",
    ),
}
"""What stock coqui-tts reads without failing."""

WORDS = (
    *("one", "Two", "THREE", "nine's", "co.", "7", "42", "1,000", "3.5", "$5", "5th", "12%"),
    *("&", ",", ".", "!", "?", "(x)", "-"),
)
TRAPS = (
    *("%", "₹", "€", "$", "1.2.3", "1.234,56", "2.", "5वीं", "1inci", "½", "²", "٣", "१२", "3º", "İ"),
    *("[hi]", "[STOP]", "[UNK]", "[[en]", "]", '"', "\u200d", "👍🏽"),
)
NUMBERS = tuple(language for language in READABLE if language not in {"ja", "zh-cn"})


@pytest.fixture(scope="session")
def stock(tiny_xtts: Path) -> Any:
    return coqui("tts.layers.xtts.tokenizer").VoiceBpeTokenizer(tiny_xtts / "vocab.json")


@pytest.fixture(scope="session")
def encoder(stock: Any) -> TextEncoder:
    return TextEncoder(stock, LANGUAGES, MAX_TOKENS)


def refusal(encoder: TextEncoder, text: str, language: str) -> UnsupportedUtterance:
    with pytest.raises(UnsupportedUtterance) as caught:
        encoder.encode(text, language)
    return caught.value


def as_stock(stock: Any, text: str, language: str) -> list[int]:
    """As ``Xtts.inference`` calls it."""
    return stock.encode(text.strip().lower(), lang=language)


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in CORPUS.items() for text in texts]
)
def test_the_tokens_are_those_of_stock(encoder: TextEncoder, stock: Any, language: str, text: str) -> None:
    if missing := missing_for(language):
        pytest.skip(f"{language} {missing}")
    wanted = as_stock(stock, text, language)
    assert encoder.encode(text, language) == wanted
    assert wanted[0] == stock.tokenizer.token_to_id(f"[{language}]")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(WORDS),
        min_size=1,
    )
)
def test_english_of_any_kind_is_as_stock(encoder: TextEncoder, stock: Any, words: list[str]) -> None:
    text = " ".join(["so", *words])[:400]
    wanted = as_stock(stock, text, "en")
    if len(wanted) <= MAX_TOKENS:
        assert encoder.encode(text, "en-GB") == wanted
    else:
        assert refusal(encoder, text, "en-GB").param == "input"


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("मेरे पास 5 सेब हैं", "मेरे पास पाँच सेब हैं"),
        ("12% छूट", "बारह प्रतिशत छूट"),
        ("₹1,25,000", "एक लाख पच्चीस हज़ार रुपये"),
        ("15/08/1947 को", "पंद्रह अगस्त उन्नीस सौ सैंतालीस को"),
        ("5G फ़ोन, १२ kg", "पाँच g फ़ोन, बारह किलोग्राम"),
        ("मेरा Laptop 16 GB का है 😀", "मेरा laptop सोलह गीगाबाइट का है"),
        ("क्\u200dष और \ufeffज्ञ", "क्ष और ज्ञ"),
        ("½ कप \x07 दूध", "आधा कप दूध"),
        ("[hi] नमस्ते [en]", "hi नमस्ते en"),
        ("[[en]]नमस्ते", "en नमस्ते"),
        ("कहा: “हाँ” ★ ♥", "कहा: “हाँ” स्टार"),
    ],
)
def test_hindi_is_read_where_stock_fails(encoder: TextEncoder, text: str, spoken: str) -> None:
    assert encoder.spoken(text, "hi-IN") == unicodedata.normalize("NFC", spoken)
    assert encoder.encode(text, "hi")


def test_stock_does_fail_there(stock: Any) -> None:
    with pytest.raises(NotImplementedError):
        as_stock(stock, "मेरे पास 5 सेब हैं", "hi")
    with pytest.raises(NotImplementedError):
        as_stock(stock, "narodil se v roce 1990.", "cs")


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("cs", "Narodil se v roce 1990.", "narodil se v roce tisíc devětset devadesát."),
        ("tr", "İstanbul'a 5 GELDİM", "istanbul'a beş geldim"),
        ("ru", "число 12345678901234567890123456789012345678901234567890", None),
        ("en", "number ١٢ and ½ and x²", "number twelve and one/two and x two"),
        ("de", "zwölf […] 🎉 Leute", "zwölf … leute"),
        ("ar", "كيف حالك؟", "كيف حالك?"),
        ("en", "a\x00b\u200b c\ue000 \ud800d", "a b c d"),
    ],
)
def test_other_languages_too(encoder: TextEncoder, language: str, text: str, spoken: str | None) -> None:
    said = encoder.spoken(text, language)
    assert not any(map(str.isdigit, said))
    assert spoken is None or said == spoken


ANYTHING = st.lists(
    st.one_of(
        st.text(st.characters(), max_size=4),
        st.sampled_from([text for texts in CORPUS.values() for text in texts]).flatmap(
            lambda text: st.integers(0, len(text)).map(lambda cut: text[cut : cut + 12])
        ),
        st.integers(0, 10**45).map(str),
        st.sampled_from(TRAPS),
    ),
    max_size=6,
).map(" ".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING, st.sampled_from(READABLE))
def test_any_text_has_tokens_or_is_refused(
    encoder: TextEncoder, stock: Any, text: str, language: str
) -> None:
    try:
        tokens = encoder.encode(text, language)
    except UnsupportedUtterance as error:
        assert error.param == "input"
        return
    assert 1 < len(tokens) <= MAX_TOKENS
    specials = {stock.tokenizer.token_to_id(f"[{tag}]") for tag in (*LANGUAGES, "START")} | {0}
    assert tokens[0] in specials
    assert not specials & set(tokens[1:])  # nobody writes a token that steers the model


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING)
def test_hindi_has_no_digit_left(encoder: TextEncoder, text: str) -> None:
    try:
        said = encoder.spoken(f"यह {text}", "hi")
    except UnsupportedUtterance:
        return
    assert not regex.search(r"\p{Nd}", said)


@pytest.mark.parametrize("language", NUMBERS)
@pytest.mark.parametrize("number", ["7", "42", "1990", "3.5", "7.", "12345678901234567890", "9" * 45])
def test_every_language_says_numbers(encoder: TextEncoder, language: str, number: str) -> None:
    said = encoder.spoken(number, language)
    assert not any(map(str.isdigit, said))
    assert regex.search(r"\p{L}", said)


@pytest.mark.parametrize("language", ["en", "hi"])
@pytest.mark.parametrize(
    "text",
    [
        "On 15 August 1947, 3.5% of ₹1,25,000 (Dr. Rao's) was paid by 5:30 pm!",
        "15 अगस्त 1947 को डॉ. राव ने ₹1,25,000 का 3.5% शाम 5:30 बजे चुकाया — office में।",
    ],
)
def test_what_the_front_end_normalised_stays(encoder: TextEncoder, language: str, text: str) -> None:
    (passage,) = plan(text, TextOptions(language=language, max_chars=1_000))
    said = encoder.spoken(passage.text, language)
    assert said == passage.text.lower()
    assert encoder.spoken(said, language) == said


@pytest.mark.parametrize(
    "text", ["", " \n", "...", "?!", "।", "😀", "\u200d\ufeff", "[STOP]"[0], "-", "\x00", "★ ♥"]
)
@pytest.mark.parametrize("language", ["en", "de", "ko"])
def test_nothing_to_speak(encoder: TextEncoder, text: str, language: str) -> None:
    error = refusal(encoder, text, language)
    assert error.param == "input"
    assert "nothing to speak" in error.message


@pytest.mark.parametrize("text", ["สวัสดีครับ", "வணக்கம் உலகம்", "გამარჯობა"])
def test_a_script_that_the_vocabulary_lacks(encoder: TextEncoder, text: str) -> None:
    error = refusal(encoder, text, "en")
    assert error.param == "input"
    assert "script" in error.message


def test_a_few_unknown_letters_are_spoken_around(encoder: TextEncoder, stock: Any) -> None:
    tokens = encoder.encode("The Thai word สวัส means hello to everybody", "en")
    assert tokens.count(stock.tokenizer.token_to_id("[UNK]")) == 4


@pytest.mark.parametrize("language", ["ta", "xx", "", "english"])
def test_a_language_it_does_not_speak(encoder: TextEncoder, language: str) -> None:
    error = refusal(encoder, "Hello", language)
    assert error.param == "language"
    assert "hi" in error.message


def test_only_the_languages_it_was_given(stock: Any) -> None:
    assert refusal(TextEncoder(stock, ("hi",), MAX_TOKENS), "Hello", "en").param == "language"


@pytest.mark.parametrize(
    ("language", "tag"),
    [
        ("hi-IN", "hi"),
        ("HI_in", "hi"),
        ("en-US", "en"),
        ("zh", "zh-cn"),
        ("zh-CN", "zh-cn"),
        ("cmn", "zh-cn"),
    ],
)
def test_tags(language: str, tag: str) -> None:
    assert vocabulary_tag(language) == tag


def test_the_longest_text(stock: Any) -> None:
    encoder = TextEncoder(stock, LANGUAGES, 10)
    assert len(encoder.encode("zzzzzzzzz", "en")) == 10
    error = refusal(encoder, "zzzzzzzzzz", "en")
    assert error.param == "input"
    assert "11 tokens" in error.message
    assert refusal(encoder, "z" * 1_000_000, "en").param == "input"


def test_languages_whose_library_is_missing_are_left_out(monkeypatch: pytest.MonkeyPatch, stock: Any) -> None:
    found = importlib.util.find_spec
    gone = {"cutlet", "pypinyin"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else found(name))
    assert available(LANGUAGES) == tuple(tag for tag in LANGUAGES if tag not in {"zh-cn", "ja"})
    encoder = TextEncoder(stock, LANGUAGES, MAX_TOKENS)
    for language, name in (("ja", "cutlet"), ("zh", "pypinyin")):
        error = refusal(encoder, "東京", language)
        assert error.param == "language"
        assert name in error.message
        assert "pip install" in error.message


def test_the_limits_are_those_of_stock(stock: Any) -> None:
    ours = {tag: MAX_CHARS_BY_LANGUAGE[tag] for tag in stock.char_limits}
    assert ours == stock.char_limits
    assert {vocabulary_tag(tag) for tag in MAX_CHARS_BY_LANGUAGE} == set(LANGUAGES)
