"""What each part of a spoken text says of the text as it was written."""

import itertools

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from engines.text import Passage, TextError, TextOptions, plan
from engines.text.traced import Traced

LEXICON = {"new york city": "NYC", "AI": "artificial intelligence", "SQL": "sequel", "GST 18": "tax"}
WORDS = (
    *(
        "hello",
        "और",
        "order",
        "COVID-19",
        "five",
        "two",
        "no",
        "the",
        "of",
        "August",
        "अगस्त",
        "rupees,",
        "रुपये।",
    ),
    *(
        "₹125",
        "₹1,25,000.",
        "₹",
        "5",
        "2",
        "2½",
        "10",
        "km",
        "1.5",
        "%",
        "15",
        "1947",
        "Aug",
        "15,",
        "5-10",
        "&",
    ),
    *(
        "+91",
        "98765",
        "43210",
        "Dr.",
        "a.b@x.com",
        "10:30",
        "pm",
        "१२३",
        "(₹5)",
        "#1",
        "x²",
        "-5",
        "3/4",
        "1990s",
    ),
    *(
        "AI",
        "New",
        "York",
        "City",
        "SQL",
        "GST",
        "18",
        "5G",
        "我有5個",
        "ไทย",
        ";",
        "—",
        "...",
        "https://a.in/b",
    ),
)
texts = st.lists(st.sampled_from(WORDS) | st.text(max_size=8), min_size=1, max_size=30).map(" ".join)


def passages(text: str, **options: object) -> list[Passage]:
    return plan(text, TextOptions(lexicon=LEXICON, stretches=True, **options))  # type: ignore[arg-type]  # of the dataclass


def said(text: str, **options: object) -> list[tuple[str, str]]:
    """The written forms with what is spoken for each; words that are spoken as they stand are left out."""
    return [
        (passage.source[stretch.source_start : stretch.source_end], passage.text[stretch.start : stretch.end])
        for passage in passages(text, **options)
        for stretch in passage.stretches
        if not stretch.literal
    ]


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("A plain sentence.", []),
        ("₹125", [("₹125", "one hundred twenty-five rupees")]),
        ("It costs ₹ 125, ok?", [("₹ 125", "one hundred twenty-five rupees")]),
        ("Only (₹5).", [("₹5", "five rupees")]),
        ("Dr. Rao, e.g.", [("Dr.", "doctor"), ("e.g.", "for example")]),
        ("2 2 2", [("2", "two")] * 3),
        ("15 August 1947", [("15", "the fifteenth of"), ("1947", "nineteen forty-seven")]),
        ("on 15/08/1947.", [("15/08/1947", "the fifteenth of August nineteen forty-seven")]),
        ("10 km in 5G", [("10", "ten"), ("km", "kilometres"), ("5G", "five G")]),
        ("at 10:30 pm", [("10:30", "ten thirty"), ("pm", "PM")]),
        ("5 - 10 %", [("5", "five"), ("-", "to"), ("10", "ten"), ("%", "percent")]),
        ("$5 million", [("$5", "five"), ("million", "million dollars")]),
        (
            "Call +91 98765 43210.",
            [
                ("+91", "plus nine one,"),
                ("98765", "nine eight seven six five,"),
                ("43210", "four three two one zero"),
            ],
        ),
        ("write a.b@x.com!", [("a.b@x.com", "a dot b at x dot com")]),
        ("COVID-19 & AI", [("COVID-19", "COVID-nineteen"), ("&", "and"), ("AI", "artificial intelligence")]),
        ("in New York City, now", [("New York City", "NYC")]),
        ("मेरा order 5 बजे cancel करो, ₹250 में।", [("5", "पाँच"), ("₹250", "दो सौ पचास रुपये")]),
        ("१२ घर", [("१२", "बारह")]),
        ("我有 5個, AI", [("AI", "artificial intelligence")]),
        ("**₹5** for [₹6](x)", [("₹5", "five rupees"), ("₹6", "six rupees")]),
        ("<speak><s>pay ₹5</s></speak>", [("₹5", "five rupees")]),
    ],
)
def test_written_forms_are_told(text: str, forms: list[tuple[str, str]]) -> None:
    assert said(text, languages=("zh",) if "我" in text else ()) == forms


def test_without_normalising_a_lexicon_is_still_traced() -> None:
    assert said("AI for ₹5", normalize=False) == [("AI", "artificial intelligence")]


def test_a_form_over_two_passages_goes_on() -> None:
    text = "₹1,25,25,525"
    first, second, *rest = passages(text, max_chars=40)
    assert not rest
    assert (first.stretches[-1].goes_on, second.stretches[0].goes_on) == (True, False)
    for passage in (first, second):
        (stretch,) = passage.stretches
        assert (stretch.start, stretch.end) == (0, len(passage.text))
        assert text[stretch.source_start : stretch.source_end] == text


@given(texts, st.sampled_from([(), ("hi",), ("ja", "en")]), st.integers(5, 60))
@example("New York", (), 5)
@example("₹5 ₹5", (), 5)
@example(":@", (), 60)
def test_stretches_hold_every_word_in_order(text: str, languages: tuple[str, ...], most: int) -> None:
    try:
        planned = passages(text, languages=languages, max_chars=most)
    except TextError:
        return
    for passage in planned:
        covered = [False] * len(passage.text)
        end = source_end = 0
        for stretch in passage.stretches:
            spoken = passage.text[stretch.start : stretch.end]
            written = passage.source[stretch.source_start : stretch.source_end]
            assert spoken == spoken.strip()
            assert written
            assert written == written.strip()
            assert spoken == written or not stretch.literal
            # In the order of both, and nothing twice.
            assert stretch.start >= end
            assert stretch.source_start >= source_end
            end, source_end = stretch.end, stretch.source_end
            covered[stretch.start : end] = [True] * (end - stretch.start)
            assert not stretch.goes_on or end == len(passage.text)
        assert all(done or char.isspace() for done, char in zip(covered, passage.text, strict=True))


@given(texts, st.integers(5, 60))
def test_passages_of_a_sentence_go_on_where_the_last_one_ended(text: str, most: int) -> None:
    try:
        planned = passages(text, max_chars=most)
    except TextError:
        return
    for before, after in itertools.pairwise(planned):
        last, first = before.stretches[-1], after.stretches[0]
        if last.goes_on and after.source == before.source and not first.literal:
            assert (first.source_start, first.source_end) == (last.source_start, last.source_end)


@given(st.text("ab 1"), st.sampled_from(["a+", "b", "1 *", "a b"]), st.sampled_from(["", "x", "a y", "11"]))
def test_tracing_replaces_as_sub_does(text: str, pattern: str, put: str) -> None:
    compiled = regex.compile(pattern)
    traced = Traced.of(text).replaced(compiled, lambda _: put)
    assert traced.text == compiled.sub(lambda _: put, text)
    twice = traced.replaced(regex.compile("[xy]"), lambda match: match.group() * 3).tidied()
    assert twice.text == " ".join(traced.text.replace("x", "xxx").replace("y", "yyy").split())
    for one in (traced, twice):
        assert len(one.text) == len(one.starts) == len(one.ends)
        assert one.starts == sorted(one.starts)
        assert one.ends == sorted(one.ends)
        for at, char in enumerate(one.text):
            start, end = one.origin(at, at + 1)
            assert char in text[start:end] or start < end or char == " "
