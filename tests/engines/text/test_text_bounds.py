"""What a text may grow to on its way to being spoken, and texts that were made to take long.

Nothing here looks at a clock: a text that takes the square of its length would not end within a
test's time limit.
"""

import contextlib
import tracemalloc
from collections.abc import Mapping

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from engines.text import TextError, TextOptions, plan, steps
from engines.text.lexicon import MAX_SPOKEN, MAX_WORD, Lexicon

LIMIT = 10_000
SAY = '<say-as interpret-as="{}">{}</say-as>'


def refused(text: str, **options: object) -> TextError:
    with pytest.raises(TextError) as caught:
        plan(text, TextOptions(**{"language": "en", "max_spoken": LIMIT, **options}))
    return caught.value


MULTIPLIED = {
    "a lexicon": ("a " * 2_000, {"a": "b " * 500}),
    "a lexicon whose words vanish again": (
        f"<speak>{SAY.format('date', 'a') * 40}</speak>",
        {"a": "b " * 499, "b": ""},
    ),
    "a lexicon twice": (f"<speak>{SAY.format('date', 'a')}</speak>", {"a": "b " * 499, "b": "c " * 499}),
    "a lexicon of IPA": ("a " * 2_000, {"a": "/" + "s" * 200 + "/"}),
    "blanks": ("a " * 2_000, {"a": "; " * 499}),
    "numbers": ("777777777777777 " * 200, {}),
    "signs": ("±" * 2_000, {}),
    "digits": (f"<speak>{SAY.format('digits', '7' * 2_000)}</speak>", {}),
    "characters": (f"<speak>{SAY.format('characters', '7' * 2_000)}</speak>", {}),
    "aliases": ("<speak>" + "<sub alias='777777777777777'>x</sub> " * 200 + "</speak>", {}),
}


@pytest.mark.parametrize("name", MULTIPLIED)
@pytest.mark.parametrize("own", [True, False])
def test_what_is_spoken_is_bounded_whatever_makes_it_long(name: str, own: bool):
    text, lexicon = MULTIPLIED[name]
    given_as = {"own_lexicon": lexicon} if own else {"lexicon": lexicon}
    error = refused(text, ipa=True, **given_as)
    assert error.code == "spoken_text_too_long"
    assert str(LIMIT) in error.message


def test_it_is_refused_before_it_is_there():
    text = "a " * 20_000
    lexicon = {"a": "b" * MAX_SPOKEN}  # 20 million characters
    tracemalloc.start()
    try:
        refused(text, own_lexicon=lexicon)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


def test_up_to_the_limit_everything_is_spoken():
    passages = plan("a " * 10, TextOptions(language="en", own_lexicon={"a": "b" * 999}, max_spoken=10_000))
    assert sum(len(passage.text) for passage in passages) >= 9_990
    assert refused("a " * 11, own_lexicon={"a": "b" * 999}).code == "spoken_text_too_long"


def test_the_texts_own_lexicon_wins():
    options = TextOptions(
        language="en", lexicon={"SQL": "one", "b c": "kept"}, own_lexicon={"sql": "two", "b": "three"}
    )
    assert plan("SQL b c b", options)[0].text == "two kept three"


@pytest.mark.parametrize(
    "lexicon", [{"a" * (MAX_WORD + 1): "b"}, {"a": "b" * (MAX_SPOKEN + 1)}, {"": "b"}, {"\u200b": "b"}]
)
def test_sizes_of_entries(lexicon: Mapping[str, str]):
    assert refused("a", own_lexicon=lexicon).param == "lexicon"


def test_a_step_at_a_time_is_the_same():
    text = "One. Two two.\n\nThree? <b> 4 5.\n\n*\n\nSix."
    options = TextOptions(language="en")
    taken = list(steps(text, options))
    assert [passage for step in taken for passage in step] == plan(text, options)
    assert len(taken) > 5


CRAFTED = {
    "a row of stops within a word": "." * 100_000 + "x",
    "a row of marks within a word": "!?" * 50_000 + "x",
    "combining marks out of order": "a" + "\u0323" * 500_000 + "\u0301\u0323" * 500_000,
    "joined emoji": "👩\u200d" * 40_000 + "a",
    "flags": "🇦" * 100_000 + "a",
    "rows of a wide table": "|" + "a|" * 5_000 + "\n|" + "-|" * 5_000 + "\n" + "a\n" * 30_000,
    "tables one after the other": ("|" + "a|" * 256 + "\n|" + "-|" * 256 + "\n" + "a\n" * 250 + "\n") * 150,
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_text_ends(name: str):
    with contextlib.suppress(TextError):
        plan(CRAFTED[name], TextOptions(language="en"))


def test_one_written_form_of_a_whole_text_ends():
    # Every word of it belongs to the same written form, so that each could be any of them.
    text = "a b-" * 15_000 + "a b"
    passages = plan(text, TextOptions(language="en", own_lexicon={"a b": "q r s"}, stretches=True))
    assert all(passage.stretches for passage in passages)


def test_a_long_sentence_with_stretches_ends():
    passages = plan("5 km " * 30_000, TextOptions(language="en", stretches=True))
    assert all(passage.stretches for passage in passages)


def test_alike_words_of_a_lexicon_end():
    lexicon = {"." * length + "!": "b" for length in range(1, 199)} | {
        "-" * length: "c" for length in range(1, 200)
    }
    plan("." * 50_000 + "-" * 50_000 + "a", TextOptions(language="en", own_lexicon=lexicon, max_spoken=10**6))


LETTERS = st.sampled_from(
    ["a", "b", "A", "ß", "ss", "s", "ſ", "İ", "i", "I", "\u0307", "é", "-", ".", " ", "1", "क", "\u094d"]
)
WORDS = st.lists(LETTERS, min_size=1, max_size=4).map("".join)


def _as_regex(entries: Mapping[str, str], text: str) -> str:
    """What the longest of the words by a regular expression gives."""
    said = {" ".join(word.split()).casefold(): spoken for word, spoken in entries.items()}
    wordy = r"[\p{L}\p{N}\p{M}]"
    parts: list[str] = []
    for word in sorted(said, key=len, reverse=True):
        before = rf"(?<!{wordy})" if regex.match(wordy, word[0]) else ""
        after = rf"(?!{wordy})" if regex.match(wordy, word[-1]) else ""
        parts.append(before + regex.escape(word) + after)
    return regex.sub("|".join(parts), lambda match: said[match.group()], text)


@given(
    st.dictionaries(WORDS.filter(str.strip), st.sampled_from(["", "x", "y z"]), min_size=1, max_size=6),
    st.lists(LETTERS, max_size=20).map("".join),
)
def test_a_lexicon_replaces_what_a_regular_expression_finds(entries: dict[str, str], text: str):
    entries = {word.casefold(): spoken for word, spoken in entries.items()}
    text = text.casefold()  # the letters are compared without case; that is tested elsewhere
    if any(Lexicon({word: ""}).apply(word) for word in entries):
        return  # composed when it was cleaned
    assert Lexicon(entries).apply(text) == _as_regex(entries, text)


def test_without_regard_to_case():
    lexicon = Lexicon({"Straße": "street", "İstanbul": "city", "ﬁn": "end"})
    assert (
        lexicon.apply("STRASSE straße strasse, i̇STANBUL FIN ﬁn, Fine")
        == "street street street, city end end, Fine"
    )
