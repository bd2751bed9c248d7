"""Suggestions of names: good ones, at a bounded cost."""

from collections.abc import Iterable
from difflib import SequenceMatcher

import pytest

from services import names
from services.names import COMPARED, MAX_COMPARED_CHARS, MOST, nearest_names

VOICES = ["alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse"]


@pytest.mark.parametrize(
    ("wanted", "found"), [("aloy", "alloy"), ("ballads", "ballad"), ("shimer", "shimmer")]
)
def test_the_nearest_is_found(wanted: str, found: str):
    assert nearest_names(wanted, VOICES, most=1) == [found]


def test_the_best_come_first_and_no_more_than_asked_for():
    assert nearest_names("name", ["nam", "names", "name", "other"], most=2) == ["name", "names"]
    assert nearest_names("name", ["other"], most=2) == []


def test_few_names_are_compared_letter_by_letter_and_none_beyond_a_length(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[int, int]] = []

    class Counting(SequenceMatcher[str]):
        def ratio(self) -> float:
            compared.append((len(str(vars(self)["a"])), len(str(vars(self)["b"]))))
            return super().ratio()

    monkeypatch.setattr(names, "SequenceMatcher", Counting)
    looked_at = 0

    def crafted() -> Iterable[str]:
        nonlocal looked_at
        for number in range(10_000):
            looked_at += 1
            yield "ab" * 100 + str(number)

    nearest_names("ba" * (MAX_COMPARED_CHARS // 2), crafted(), most=3, cutoff=0.1)
    assert looked_at <= MOST
    assert 0 < len(compared) <= COMPARED
    assert max(max(sizes) for sizes in compared) <= MAX_COMPARED_CHARS
    assert nearest_names("a" * (MAX_COMPARED_CHARS + 1), ["a" * (MAX_COMPARED_CHARS + 1)], most=1) == []
