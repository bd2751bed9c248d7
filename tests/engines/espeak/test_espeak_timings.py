import itertools

from hypothesis import given
from hypothesis import strategies as st

from engines.contract import WordTiming
from engines.espeak.timings import word_timings
from engines.espeak.wire import Mark


def test_marks_inside_one_written_word_are_one_timing():
    text = "It costs $5.20, today!"
    marks = [
        Mark(0, 100, 1, 2),
        Mark(100, 300, 4, 5),
        Mark(300, 400, 10, 1),
        Mark(400, 600, 11, 4),
        Mark(600, 900, 12, 4),
        Mark(1000, 1400, 17, 5),
    ]
    assert word_timings(text, marks) == (
        WordTiming("It", 0.0, 0.1, 0),
        WordTiming("costs", 0.1, 0.3, 3),
        WordTiming("$5.20", 0.3, 0.9, 9),
        WordTiming("today", 1.0, 1.4, 16),
    )


def test_devanagari_keeps_its_signs_and_loses_its_danda():
    text = "“वह जाती है।”"
    marks = [Mark(0, 100, 1, 3), Mark(100, 300, 6, 4), Mark(300, 400, 11, 2)]
    assert [(w.word, w.offset) for w in word_timings(text, marks)] == [("वह", 1), ("जाती", 4), ("है", 9)]


def test_han_has_a_timing_for_each_mark():
    marks = [Mark(0, 100, 1, 1), Mark(100, 300, 2, 1), Mark(300, 400, 3, 1)]
    assert [w.word for w in word_timings("你好吗", marks)] == ["你", "好", "吗"]


@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 400)), max_size=20),
)
def test_every_word_stands_where_it_says(text: str, raw: list[tuple[int, int]]):
    marks = [Mark(n * 500, n * 500 + length, at, 1) for n, (at, length) in enumerate(sorted(raw))]
    words = word_timings(text, marks)
    for word in words:
        assert word.word
        assert text.startswith(word.word, word.offset)
        assert word.start <= word.end
    for word, following in itertools.pairwise(words):
        assert word.offset < following.offset
