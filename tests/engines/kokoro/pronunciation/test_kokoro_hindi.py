"""Hindi: a table of words, what is easily said wrong, and English words in between."""

import unicodedata
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from engines.kokoro.pronunciation import VOCABULARY, Pronouncer
from engines.text import ipa

WORDS = [
    (word, sounds)
    for line in (Path(__file__).parent / "hindi_words.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for word, _, sounds in [line.partition("\t")]
]
LIGHT = str.maketrans({"ˈ": "", "ˌ": "", "ʌ": "ə"})
MARKS = set('.,!?;:—…"()“” ')


def plain(symbols: str) -> str:
    """Symbols as the table has them."""
    return symbols.translate(LIGHT).replace("r.", "ɽ")


@pytest.fixture
async def pronouncer() -> AsyncGenerator[Pronouncer, None]:
    pronouncer = Pronouncer()
    yield pronouncer
    await pronouncer.close()


async def said(pronouncer: Pronouncer, text: str) -> str:
    (phrase,) = await pronouncer.phrases(text, "hi", limit=250, first_limit=250)
    assert set(phrase.symbols) <= set(VOCABULARY)
    return phrase.symbols


async def test_two_hundred_words(pronouncer: Pronouncer):
    assert len(WORDS) >= 200
    heard = {word: plain(await said(pronouncer, word)) for word, _ in WORDS}
    assert heard == dict(WORDS)


async def test_a_word_sounds_the_same_in_a_sentence(pronouncer: Pronouncer):
    for word, right in WORDS[::7]:
        phrases = await pronouncer.phrases(f"उसने कहा, {word}।", "hi", limit=250, first_limit=250)
        last = phrases[-1].words[-1]
        assert last.word == word
        assert plain(phrases[-1].symbols[last.start : last.end]) == right


async def test_nuktas_and_joiners_make_no_difference(pronouncer: Pronouncer):
    # NFC takes composed letters apart, so they are written as code points
    for composed in (
        *("\u0958लम", "\u0959त", "\u095aम", "\u095bरा", "ल\u095cका", "प\u095dाई", "\u095eोन"),
        *("वा\u0958ई", "अ\u0959बार", "का\u095aज", "बा\u095bार", "प\u095cोसी", "गा\u095dा", "सा\u095e"),
    ):
        decomposed = unicodedata.normalize("NFD", composed)
        assert "\u093c" in decomposed
        assert composed != decomposed
        assert await said(pronouncer, composed) == await said(pronouncer, decomposed)
    assert await said(pronouncer, "क्\u200dया") == await said(pronouncer, "क्या")
    assert await said(pronouncer, "राम\u200c") == await said(pronouncer, "राम")
    assert await said(pronouncer, "सोऽहम") == await said(pronouncer, "सोहम")


async def test_the_danda_ends_a_sentence(pronouncer: Pronouncer):
    assert (await said(pronouncer, "वह आया।")).endswith(".")
    assert (await said(pronouncer, "वह आया॥")).endswith(".")
    assert await said(pronouncer, "लड़का पढ़ता है") == (await said(pronouncer, "लड़का पढ़ता है।"))[:-1]


async def test_no_word_brings_punctuation_along(pronouncer: Pronouncer):
    for word, _ in WORDS:
        assert not MARKS.intersection(plain(await said(pronouncer, word)))


async def test_only_a_stop_ends_a_phrase(pronouncer: Pronouncer):
    assert await said(pronouncer, "बड़ा पहाड़") == "bˈʌr.aː pəhˈaːɽ"
    assert await said(pronouncer, "बड़ा पहाड़।") == "bˈʌr.aː pəhˈaːr.."


@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("order", "ˈɔɾɖəɾ"),
        ("cancel", "kˈɛːnsəl"),
        ("block", "blˈɔk"),
        ("doctor", "ɖˈɔkʈəɾ"),
        ("password", "pˈaːsʋʌɾɖ"),
        ("three", "tʰɾˈi"),
        ("SBI", "ˌɛsbˌiˈaːɪ"),
        ("OTP", "ˌoːʈˌipˈi"),
        ("NASA", "nˈɛːsə"),
        ("INDIA", "ˈɪnɖiə"),
    ],
)
async def test_english_words_have_the_sounds_of_india(pronouncer: Pronouncer, text: str, sounds: str):
    phrases = await pronouncer.phrases(f"मेरा {text} नहीं आया", "hi", limit=250, first_limit=250)
    word = next(word for word in phrases[0].words if word.word == text)
    assert phrases[0].symbols[word.start : word.end] == sounds


@pytest.mark.parametrize(
    ("word", "spoken", "sounds"),
    [
        ("चाय", "ˈtʃaɪ", "cˈaːɪ"),
        ("चाय", "ˈt͡ʃaɪ", "cˈaːɪ"),
        ("झाड़", "ˈdʒʱaːɽə", "ɟʰˈaːr.ə"),
        ("गो", "ɡoʊ", "ɡoː"),
        ("order", "ˈɔːɹdɚ", "ˈɔɾɖəɾ"),
        ("three", "ˈθɹiː", "tʰɾˈi"),
        ("Xiaomi", "ˈʃaʊmi", "ʃˈaːʊmi"),
        ("Taj", "ˈt̪aːdʒ", "tˈaːɟ"),
    ],
)
async def test_ipa_has_the_sounds_that_the_word_has_without(
    pronouncer: Pronouncer, word: str, spoken: str, sounds: str
):
    assert await said(pronouncer, f"{ipa.marked(word, spoken)} आया।") == f"{sounds} ˈaːjaː."


async def test_digits_that_are_left_are_read(pronouncer: Pronouncer):
    assert (await said(pronouncer, "१२ घर")) == (await said(pronouncer, "12 घर"))


async def test_hindi_words_in_indian_english_have_the_sounds_of_hindi(pronouncer: Pronouncer):
    for word in ("राम", "तारा", "सड़क", "चाय"):
        (phrase,) = await pronouncer.phrases(f"{word}.", "en-IN", limit=250, first_limit=250)
        assert phrase.symbols == await said(pronouncer, f"{word}.")


@pytest.mark.parametrize("text", ["हाँ", "न", "जी", "५", "ok"])
async def test_very_short_texts(pronouncer: Pronouncer, text: str):
    assert await said(pronouncer, text)
