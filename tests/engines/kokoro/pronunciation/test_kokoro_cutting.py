"""Where long texts are cut."""

from collections.abc import AsyncGenerator

import pytest

from engines.kokoro.pronunciation import Phrase, Pronouncer
from engines.kokoro.pronunciation.cutting import Pronounced, cut
from engines.kokoro.pronunciation.reading import Word

LONG = (
    "When the rain had stopped, the children ran to the river, where the old boatman was waiting for them, "
    "and they asked him whether he would take them across before the sun went down behind the hills; "
    "he laughed, shook his head, and told them that the water was far too high for such a small boat today."
)
ENDLESS = "one two three four five six seven eight nine ten " * 20


@pytest.fixture
async def pronouncer() -> AsyncGenerator[Pronouncer, None]:
    pronouncer = Pronouncer()
    yield pronouncer
    await pronouncer.close()


def joined(phrases: list[Phrase]) -> str:
    return " ".join(phrase.symbols for phrase in phrases)


async def test_a_short_text_is_one_phrase(pronouncer: Pronouncer):
    assert len(await pronouncer.phrases("Good morning to all.", "en", limit=200, first_limit=60)) == 1


async def test_a_long_text_is_cut_at_clauses(pronouncer: Pronouncer):
    (whole,) = await pronouncer.phrases(LONG, "en", limit=500, first_limit=500)
    phrases = await pronouncer.phrases(LONG, "en", limit=120, first_limit=60)
    assert joined(phrases) == whole.symbols
    assert all(len(phrase.symbols) <= 120 for phrase in phrases)
    assert all(phrase.symbols[-1] in ",;." for phrase in phrases)
    assert all(len(phrase.words) >= 4 for phrase in phrases)
    assert len(phrases[0].symbols) <= 60


async def test_the_first_phrase_is_short_without_clauses_too(pronouncer: Pronouncer):
    phrases = await pronouncer.phrases(ENDLESS, "en", limit=200, first_limit=60)
    assert len(phrases[0].symbols) <= 60
    assert all(len(phrase.words) >= 4 for phrase in phrases)
    assert [word.word for phrase in phrases for word in phrase.words] == ENDLESS.split()


@pytest.mark.parametrize(
    "text",
    [
        "Well, that is what everybody in the whole town had always said.",
        "Yes. I think that it is going to rain soon, my friend.",
    ],
)
async def test_no_scrap_goes_first(pronouncer: Pronouncer, text: str):
    phrases = await pronouncer.phrases(text, "en", limit=250, first_limit=30)
    assert len(phrases[0].words) >= 4


async def test_a_monstrous_word_is_cut(pronouncer: Pronouncer):
    phrases = await pronouncer.phrases("ha" * 400, "en", limit=100, first_limit=50)
    assert len(phrases) > 3
    assert all(len(phrase.symbols) <= 100 for phrase in phrases)
    assert [(word.word, word.offset) for phrase in phrases for word in phrase.words] == [
        ("ha" * 400, 0) for _ in phrases
    ]


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("(" * 250 + "a", "(ˈA"),
        ("( " * 250 + "a", "(ˈA"),
        ("hello" + ")" * 250, "həlˈO)"),
        ("hello" + "”" * 250, "həlˈO”"),
        ("(‚ " * 250 + "hello" + "”)" * 250 + ".", "(həlˈO”)."),
        ('("Go!")', "(“ɡˈO!”)"),
    ],
)
async def test_marks_that_are_repeated_stand_once(pronouncer: Pronouncer, text: str, symbols: str):
    assert joined(await pronouncer.phrases(text, "en", limit=200, first_limit=90)) == symbols


async def test_brackets_after_a_sentence_break_nothing(pronouncer: Pronouncer):
    assert (
        joined(await pronouncer.phrases("Yes. " + "(" * 250 + "a", "en", limit=200, first_limit=90))
        == "jˈɛs. (ˈA"
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("marks", [("", ""), ("(“", "”)."), ("(" * 300, ")" * 300 + "!")])
def test_a_word_with_its_marks_keeps_to_the_limit(limit: int, marks: tuple[str, str]):
    words = [Pronounced(Word("word", offset, "", *marks), "wˈɜɹd") for offset in (0, 5)]
    phrases = cut(words, limit=limit, first_limit=limit)
    assert all(0 < len(phrase.symbols) <= limit for phrase in phrases)
    assert "".join(p.symbols[w.start : w.end] for p in phrases for w in p.words) == "wˈɜɹd" * 2
