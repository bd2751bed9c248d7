from hypothesis import given
from hypothesis import strategies as st

from engines.openvoice.pieces import cuts, groups, rounds

counts = st.integers(min_value=1, max_value=5_000)


@given(frames=counts, context=st.integers(0, 30), first=st.integers(1, 100), most=st.integers(1, 500))
def test_pieces_cover_an_utterance_once(frames: int, context: int, first: int, most: int):
    first, most = first + context, most + 2 * context
    pieces = cuts(frames, context, first=first, most=most)
    assert [start for start, _ in pieces] == [0, *[stop for _, stop in pieces[:-1]]]
    assert pieces[-1][1] == frames
    assert all(start < stop for start, stop in pieces)
    windows = [min(frames, stop + context) - max(0, start - context) for start, stop in pieces]
    assert len(pieces) == 1 or windows[0] == first
    assert all(window <= most for window in windows[1:])
    assert len(windows) > 1 or windows[0] <= first + context


def test_windows_but_the_last_are_of_two_lengths():
    assert cuts(1_000, 10, first=100, most=500) == [(0, 90), (90, 570), (570, 1_000)]
    assert cuts(110, 10, first=100, most=500) == [(0, 110)]
    assert cuts(111, 10, first=100, most=500) == [(0, 90), (90, 111)]


def test_all_first_pieces_come_before_any_second_one():
    assert list(rounds([["a1", "a2"], ["b1"], [], ["c1", "c2", "c3"]])) == [
        ["a1", "b1", "c1"],
        ["a2", "c2"],
        ["c3"],
    ]


@given(lengths=st.lists(counts, max_size=20), budget=counts)
def test_groups_stay_within_the_budget(lengths: list[int], budget: int):
    made = list(groups(range(len(lengths)), lambda place: lengths[place], budget))
    assert sorted(place for group in made for place in group) == list(range(len(lengths)))
    for group in made:
        longest = max(lengths[place] for place in group)
        assert len(group) == 1 or longest * len(group) <= budget
