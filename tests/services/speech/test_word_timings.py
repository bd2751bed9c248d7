"""When the caller's own words are heard, whatever they are spoken as."""

import itertools
import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import WordTiming
from engines.text import Passage, TextError, TextOptions, plan
from services.speech.word_timings import HeardWord, WordTimings

from live import Server
from runners import engine, gateway_of

WORDS = (
    "₹125",
    "(₹5).",
    "hello,",
    "और",
    "10",
    "km",
    "+91",
    "98765",
    "43210",
    "Dr.",
    "a.b@x.com",
    "AI",
    "—",
    "1947.",
)
LEXICON = {"AI": "artificial intelligence", "new york": "/nuː jɔːk/"}


def timed(passages: Sequence[Passage], *, marks: bool) -> list[list[WordTiming]]:
    """A tenth of a second for each word; with the marks around it or, as some engines do, without."""
    clock = itertools.count()
    found: list[list[WordTiming]] = []
    for passage in passages:
        words: list[WordTiming] = []
        at = 0
        for token in passage.text.split():
            at = passage.text.index(token, at)
            inner = token if marks else token.strip(".,()—") or token
            number = next(clock) / 10
            words.append(WordTiming(inner, number, number + 0.1, at + token.index(inner)))
            at += len(token)
        found.append(words)
    return found


def told(passages: Sequence[Passage], spoken: Sequence[Sequence[WordTiming]]) -> list[HeardWord]:
    timings = WordTimings(passages)
    return [word for index, words in enumerate(spoken) for word in timings.heard(index, words)]


def planned(text: str, **options: Any) -> list[Passage]:
    return plan(text, TextOptions(stretches=True, lexicon=LEXICON, **options))


@pytest.mark.parametrize("marks", [True, False])
def test_a_price_is_one_word(marks: bool) -> None:
    passages = planned("Only (₹125), ok?")
    assert passages[0].text == "Only (one hundred twenty-five rupees), ok?"
    words = told(passages, timed(passages, marks=marks))
    assert [(word.word, word.start, word.end, word.offset) for word in words] == [
        ("Only", 0.0, 0.1, 0),
        ("₹125", 0.1, 0.5, 6),
        ("ok?", 0.5, 0.6, 13),
    ]


def test_a_word_over_two_passages_is_told_when_it_is_complete() -> None:
    passages = planned("₹1,25,25,525 है", max_chars=40)
    first, second = timed(passages, marks=True)
    timings = WordTimings(passages)
    assert timings.heard(0, first) == ()
    price, last = timings.heard(1, second)
    assert (price.word, price.start, price.end) == ("₹1,25,25,525", 0.0, second[-2].end)
    assert (last.word, last.offset) == ("है", 13)


def test_what_the_next_passage_does_not_time_is_told_without_it() -> None:
    passages = planned("₹1,25,25,525", max_chars=40)
    first, _ = timed(passages, marks=True)
    timings = WordTimings(passages)
    assert timings.heard(0, first) == ()
    (price,) = timings.heard(1, ())
    assert (price.word, price.end) == ("₹1,25,25,525", first[-1].end)


def test_like_paragraphs_are_told_apart() -> None:
    passages = planned("₹5\n\n₹5\n\n₹5")
    assert [word.word for word in told(passages, timed(passages, marks=True))] == ["₹5"] * 3


def test_an_engine_that_counts_wrong_is_passed_through() -> None:
    odd = [WordTiming("x", 0.0, 0.1, 99), WordTiming("", 0.1, 0.2, -3), WordTiming("y", 0.2, 0.3, 8)]
    words = WordTimings(planned("Hello ₹5")).heard(0, odd)
    assert [(word.word, word.offset) for word in words] == [("x", None), ("", None), ("₹5", 6)]


def test_words_that_an_engine_times_as_one_are_one() -> None:
    (passage,) = passages = planned("New York ₹5.", ipa=True)
    assert passage.source == "New York ₹5."
    one = passage.text.index("New York")
    spoken = [WordTiming("New York", 0.0, 0.5, one), WordTiming("five", 0.5, 0.7, passage.text.index("five"))]
    words = told(passages, [spoken])
    assert [(word.word, word.offset) for word in words] == [("New York", 0), ("₹5", 9)]


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join),
    st.booleans(),
    st.integers(12, 80),
)
def test_every_word_once_and_in_order(text: str, marks: bool, most: int) -> None:
    try:
        passages = planned(text, max_chars=most)
    except TextError:
        return
    spoken = timed(passages, marks=marks)
    timings = WordTimings(passages)
    clock = 0.0
    places: set[tuple[str, int]] = set()
    for index, (passage, words) in enumerate(zip(passages, spoken, strict=True)):
        for word in timings.heard(index, words):
            assert word.start == pytest.approx(clock)  # nothing that was spoken is left out
            clock = word.end
            assert word.offset is not None
            assert passage.source[word.offset :].startswith(word.word)
            place = (passage.source, word.offset)
            assert place not in places or text.count(passage.source) > 1
            places.add(place)
    assert clock == pytest.approx(spoken[-1][-1].end)


@given(
    st.lists(st.sampled_from(("hello,", "(World)", "no.", "और", "करो।", "—", "naïve")), min_size=1).map(
        " ".join
    )
)
def test_plain_words_stay_as_the_engine_tells_them(text: str) -> None:
    try:
        passages = planned(text)
    except TextError:
        return
    spoken = timed(passages, marks=False)
    flat = [(word.word, word.start, word.end, word.offset) for words in spoken for word in words]
    assert [(word.word, word.start, word.end, word.offset) for word in told(passages, spoken)] == flat


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with gateway_of(engine("TONE"), tmp_path) as opened:
        yield opened


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The events with timings."""
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.splitlines() if line.startswith("data:")]
    found = [json.loads(line.removeprefix("data:")) for line in lines]
    return [event for event in found if event["type"] == "speech.audio.timestamps"]


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {
        "input": text,
        "response_format": "pcm",
        "stream_format": "sse",
        "timestamps": True,
        "lexicon": LEXICON,
        **fields,
    }


async def test_events_have_the_words_that_were_sent(gateway: httpx.AsyncClient) -> None:
    asked = body("Pay ₹125 to Dr. Rao. **AI** ने 5 बजे call किया।", voice="tone", speed=3.0)
    first, second = events(await gateway.post("/v1/audio/speech", json=asked))
    assert [word["word"] for word in first["words"]] == ["Pay", "₹125", "to", "Dr.", "Rao."]
    assert [word["word"] for word in second["words"]] == ["AI", "ने", "5", "बजे", "call", "किया।"]
    for event in (first, second):
        times = [time for word in event["words"] for time in (word["start"], word["end"])]
        assert times == sorted(times)
        assert event["start"] <= times[0]
        assert times[-1] <= event["end"] + 0.002
        for word in event["words"]:
            assert event["source"][word["offset"] :].startswith(word["word"])


def test_the_embedded_engine_tells_them_too(server: Server) -> None:
    asked = body("It is ₹125, or +91 98765 43210.", model="ESPEAK", voice="alloy")
    (event,) = events(httpx.post(f"{server.api}/audio/speech", json=asked, timeout=30))
    assert [word["word"] for word in event["words"]] == ["It", "is", "₹125", "or", "+91", "98765", "43210"]
    lengths = {word["word"]: word["end"] - word["start"] for word in event["words"]}
    assert lengths["₹125"] > 3 * lengths["or"]
