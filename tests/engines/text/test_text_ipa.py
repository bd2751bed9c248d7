"""Words whose sound is given."""

import pytest

from engines.text import Passage, TextError, TextOptions, ipa, plan
from engines.text.traced import Traced

SEQUEL = ipa.marked("SQL", "ˈsiːkwəl")


def passages(text: str, lexicon: dict[str, str] | None = None, *, taken: bool = True) -> list[Passage]:
    options = TextOptions(languages=("en", "hi"), ipa=taken, lexicon=lexicon or {}, stretches=True)
    return plan(text, options)


def test_a_lexicon_may_give_the_sound():
    (passage,) = passages("I like SQL a lot.", {"SQL": "/ˈsiː.kwəl/"})
    assert passage.text == f"I like {SEQUEL} a lot."
    assert passage.source == "I like SQL a lot."
    stretch = next(stretch for stretch in passage.stretches if not stretch.literal)
    assert passage.source[stretch.source_start : stretch.source_end] == "SQL"
    assert passage.text[stretch.start : stretch.end] == SEQUEL


def test_where_it_is_not_taken_the_word_is_spoken():
    (passage,) = passages("I like SQL a lot.", {"SQL": "/ˈsiːkwəl/"}, taken=False)
    assert passage.text == "I like SQL a lot."


def test_nobody_reads_what_is_given():
    (passage,) = passages("The 5G and 10 km.", {"5G": "/faɪv dʒiː/"})
    assert passage.text == f"The {ipa.marked('5G', 'faɪvdʒiː')} and ten kilometres."


def test_a_phoneme_of_ssml():
    (passage,) = passages(
        '<speak>I like <phoneme alphabet="ipa" ph="ˈsiːkwəl">SQL</phoneme>, 5 times.</speak>'
    )
    assert passage.text == f"I like {SEQUEL}, five times."
    assert passage.source == "I like SQL, 5 times."
    (passage,) = passages('<speak>I like <phoneme ph="ˈsiːkwəl">SQL</phoneme>.</speak>', taken=False)
    assert passage.text == "I like SQL."


def test_a_lexicon_does_not_change_a_phoneme():
    (passage,) = passages('<speak><phoneme ph="ˈsiːkwəl">SQL</phoneme> SQL</speak>', {"SQL": "sequel"})
    assert passage.text == f"{SEQUEL} sequel"


def test_a_phrase_is_never_cut():
    options = TextOptions(
        languages=("en",), ipa=True, max_chars=60, lexicon={"New York City": "/nuː jɔːɹk ˈsɪti/"}
    )
    found = plan("I have always wanted to go to New York City some day with all my friends.", options)
    marked = ipa.marked("New York City", "nuːjɔːɹkˈsɪti")
    assert sum(passage.text.count(marked) for passage in found) == 1
    assert all(passage.text.count(ipa.OPEN) == passage.text.count(ipa.CLOSE) for passage in found)


@pytest.mark.parametrize("text", ["a\ue000b\ue001c\ue002d", "<speak>a\ue000b\ue001c\ue002d</speak>"])
def test_nobody_can_forge_one(text: str):
    (passage,) = passages(text)
    assert passage.text == "abcd"
    (passage,) = passages("say it", {"it": "a\ue000b\ue001c\ue002d"})
    assert passage.text == "say abcd"


@pytest.mark.parametrize("spoken", ["\ue100", "\ue105", "\uf8ff", "\ue000\ue001\ue002"])
def test_a_lexicon_can_not_forge_one(spoken: str):
    (passage,) = passages("foo bar", {"foo": spoken, "bar": "/biː/"})
    assert passage.text == ipa.marked("bar", "biː")


def test_a_placeholder_of_nothing_is_left_out():
    hidden = ipa.Hidden()
    assert hidden.show(hidden.hide(Traced.of(f"{SEQUEL} \ue100 \ue101"))).text == f"{SEQUEL} {SEQUEL} "


@pytest.mark.parametrize("word", ["New  York", "New\nYork", "N\u00adew York", "new yo\ue105rk"])
def test_a_word_of_a_lexicon_is_cleaned_as_texts_are(word: str):
    (passage,) = passages("In New York.", {word: "NYC"})
    assert passage.text == "In NYC."


def test_a_composed_word_finds_a_decomposed_one():
    (passage,) = passages("Don’t go to the cafe\u0301.", {"café": "shop", "Do\u00adn’t": "Never"})
    assert passage.text == "Never go to the shop."
    (passage,) = passages("the café", {"cafe\u0301": "shop"})
    assert passage.text == "the shop"


def test_the_later_entry_of_a_word_wins():
    (passage,) = passages("SQL", {"SQL": "/ˈsiːkwəl/", "sql": "sequel"})
    assert passage.text == "sequel"


@pytest.mark.parametrize("word", ["\ue105", "\u00ad", "\x01"])
def test_a_word_of_nothing_is_refused(word: str):
    with pytest.raises(TextError, match="1 to 200 characters") as caught:
        passages("foo", {word: "bar"})
    assert caught.value.param == "lexicon"


@pytest.mark.parametrize("spoken", ["/5/", "/ /", "/a;b/", "/" + "a" * 300 + "/"])
def test_what_is_no_ipa(spoken: str):
    with pytest.raises(TextError, match="is not IPA") as caught:
        passages("word", {"word": spoken})
    assert caught.value.param == "lexicon"


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ('<phoneme ph="">a</phoneme>', "is not IPA"),
        ("<phoneme>a</phoneme>", "is not IPA"),
        ('<phoneme alphabet="x-sampa" ph="a">a</phoneme>', "x-sampa"),
        ('<phoneme ph="a">a<break/></phoneme>', "not <break>"),
    ],
)
def test_phonemes_that_are_wrong(element: str, message: str):
    with pytest.raises(TextError, match=message) as caught:
        passages(f"<speak>{element}</speak>")
    assert "line 1" in caught.value.message
