"""Silence between sentences of engines that say none."""

import pytest

from engines.text import Passage
from engines.text.pauses import paced, pause_after


def passage(text: str, *, rate: float = 1.0, pause_after: float = 0.0) -> Passage:
    return Passage(text=text, source=text, language="en", rate=rate, pause_after=pause_after)


def test_a_sentence_pauses_longer_than_a_clause_and_a_cut_hardly_at_all() -> None:
    assert pause_after("It is.") > pause_after("It is;") > pause_after("It is,") > pause_after("It is") > 0


@pytest.mark.parametrize("text", ["वह आया।", "Really?", "He said “No.”", "Stop! ", "(It was.)"])
def test_the_last_mark_decides(text: str) -> None:
    assert pause_after(text) == pause_after("It is.")


def test_nothing_follows_the_last_passage() -> None:
    assert [each.pause_after for each in paced([passage("One."), passage("Two.")], 1.0)] == [0.3, 0.0]


def test_pauses_keep_what_markup_asks_for_and_shrink_with_the_speed() -> None:
    first, second, _ = paced(
        [passage("One.", pause_after=1.0), passage("Two.", rate=2.0), passage("Three.")], 0.5
    )
    assert first.pause_after == pytest.approx(1.0 + 0.3 / 0.5)
    assert second.pause_after == pytest.approx(0.3)
