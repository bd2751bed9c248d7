"""The cost model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.cost import WINDOW, CostModel


@given(
    st.floats(0.0, 1.0),
    st.floats(0.001, 0.1),
    st.lists(st.integers(1, 64), min_size=2, max_size=WINDOW).filter(lambda sizes: len(set(sizes)) > 1),
)
def test_it_finds_the_line(base: float, item: float, sizes: list[int]) -> None:
    model = CostModel()
    for size in sizes:
        model.observe(size, base + item * size)
    cost = model.estimate
    assert cost.base == pytest.approx(base, abs=1e-6)
    assert cost.item == pytest.approx(item, abs=1e-6)


def test_one_size_is_no_reason_to_believe_in_a_base() -> None:
    model = CostModel()
    for _ in range(5):
        model.observe(4, 0.4)
    assert model.estimate.base == 0.0
    assert model.estimate.of(1) == pytest.approx(0.1)


def test_it_forgets() -> None:
    model = CostModel()
    for size in (1, 8) * WINDOW:
        model.observe(size, 5.0)
    for size in (1, 8) * (WINDOW // 2):
        model.observe(size, 0.01 * size)
    assert model.estimate.base == pytest.approx(0.0, abs=1e-9)


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(0.0, 100.0)), max_size=40))
def test_it_is_never_negative(seen: list[tuple[int, float]]) -> None:
    model = CostModel()
    for size, seconds in seen:
        model.observe(size, seconds)
    cost = model.estimate
    assert cost.base >= 0.0
    assert cost.item >= 0.0
