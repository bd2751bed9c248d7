"""The fair queue: turns by weight, nothing lost, nobody starved."""

from collections import Counter, deque
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.fair import REMEMBERED, FairQueue


class Item(NamedTuple):
    number: int
    tenant: str = "a"
    key: str = "k"
    cost: float = 1.0


def queue() -> FairQueue[Item]:
    return FairQueue(lambda item: item.key)


def push(into: FairQueue[Item], item: Item, weight: float = 1.0, *, droppable: bool = True) -> Item:
    into.push(item, tenant=item.tenant, weight=weight, cost=item.cost, droppable=droppable)
    return item


def test_one_tenant_is_served_in_order():
    fair = queue()
    items = [push(fair, Item(number)) for number in range(5)]
    assert [fair.take(1)[0] for _ in range(5)] == items
    assert fair.take(1) == []


def test_two_tenants_take_turns_whatever_one_has_put_in_before():
    fair = queue()
    for number in range(6):
        push(fair, Item(number, "flood"))
    assert [item.tenant for item in fair.take(2)] == ["flood", "flood"]
    for number in range(2):
        push(fair, Item(number, "b"))
    assert [fair.take(1)[0].tenant for _ in range(6)].count("b") == 2
    assert fair.take(9) == []


def test_a_newcomer_is_next():
    fair = queue()
    for number in range(100):
        push(fair, Item(number, "flood"))
    fair.take(30)
    push(fair, Item(0, "b"))
    assert "b" in [item.tenant for item in fair.take(2)]


def test_long_items_are_fewer():
    fair = queue()
    for number in range(100):
        push(fair, Item(number, "long", cost=10))
        push(fair, Item(number, "short", cost=1))
    served = Counter(item.tenant for item in fair.take(44))
    assert served["short"] == pytest.approx(10 * served["long"], abs=10)


def test_weights_are_shares():
    fair = queue()
    for number in range(300):
        push(fair, Item(number, "one"), 1)
        push(fair, Item(number, "three"), 3)
    served = Counter(fair.take(1)[0].tenant for _ in range(200))
    assert served == {"one": 50, "three": 150}


def test_being_away_saves_nothing_up():
    fair = queue()
    for number in range(50):
        push(fair, Item(number, "a"))
    fair.take(40)
    for number in range(50):
        push(fair, Item(number, "b"))
    served = Counter(fair.take(1)[0].tenant for _ in range(10))
    assert served["a"] == pytest.approx(5, abs=1)


def test_a_batch_has_one_key_and_fills_up_from_all_tenants():
    fair = queue()
    for number in range(4):
        push(fair, Item(number, "a", "xy"[number % 2]))
        push(fair, Item(number, "b", "x"))
    batch = fair.take(10)
    assert {item.key for item in batch} == {"x"}
    assert len(batch) == 6
    assert [item.key for item in fair.take(10)] == ["y", "y"]


def test_what_is_removed_is_not_served_and_costs_nothing():
    fair = queue()
    items = [push(fair, Item(number, "a")) for number in range(3)]
    fair.remove(items[0])
    fair.remove(items[0])
    assert items[0] not in fair
    assert items[1] in fair
    assert len(fair) == 2
    push(fair, Item(9, "b"))
    assert fair.take(1) == [items[1]]


def test_a_full_queue_makes_room_at_the_cost_of_who_holds_most():
    fair = queue()
    items = [push(fair, Item(number, "flood"), droppable=number != 3) for number in range(4)]
    push(fair, Item(0, "small"))
    assert fair.make_room("flood", 1) is None
    assert fair.make_room("b", 1) == items[2]
    assert items[2] not in fair
    assert fair.make_room("b", 0.1) is None
    assert len(fair) == 4


def test_only_what_was_admitted_stays():
    fair = queue()
    for number in range(4):
        push(fair, Item(number, "flood"), droppable=False)
    assert fair.make_room("b", 1) is None


def test_the_next_tenant_gives_way_where_the_first_has_only_admitted_items():
    fair = queue()
    for number in range(4):
        push(fair, Item(number, "admitted"), droppable=False)
    items = [push(fair, Item(number, "waiting")) for number in range(3)]
    push(fair, Item(0, "small"))
    assert fair.make_room("b", 1) == items[2]
    assert fair.make_room("b", 1) == items[1]
    assert fair.make_room("b", 1) is None


def test_tenants_that_are_gone_are_forgotten():
    fair = queue()
    for number in range(3 * REMEMBERED):
        fair.remove(push(fair, Item(number, f"t{number}")))
    for number in range(3 * REMEMBERED):
        push(fair, Item(number, f"t{number}"))
        fair.take(1)
    assert len(fair._clocks) <= REMEMBERED + 1
    assert len(fair._heap) <= REMEMBERED + 1
    assert len(fair._waiting) == len(fair._owner) == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from("abc"), st.sampled_from("xy"), st.integers(1, 20)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("remove"), st.integers(0, 50)),
    ),
    max_size=120,
)


@given(steps)
def test_nothing_is_lost_or_served_twice_and_order_is_kept(steps: list[tuple[object, ...]]):
    fair = queue()
    expected: dict[tuple[str, str], deque[Item]] = {}
    pushed: list[Item] = []
    for step in steps:
        match step:
            case ("push", str(tenant), str(key), int(cost)):
                item = push(fair, Item(len(pushed), tenant, key, cost))
                pushed.append(item)
                expected.setdefault((tenant, key), deque()).append(item)
            case ("take", int(limit)):
                batch = fair.take(limit)
                assert len({item.key for item in batch}) <= 1
                assert bool(batch) == any(expected.values())
                for item in batch:
                    assert expected[item.tenant, item.key].popleft() == item
            case ("remove", int(index)) if index < len(pushed):
                item = pushed[index]
                if item in fair:
                    expected[item.tenant, item.key].remove(item)
                fair.remove(item)
            case _:
                pass
        assert len(fair) == sum(len(items) for items in expected.values())


@given(
    st.lists(st.integers(1, 10), min_size=2, max_size=4),
    st.lists(st.integers(1, 20), min_size=4, max_size=4),
    st.integers(20, 100),
)
def test_shares_are_as_the_weights_within_one_item(weights: list[int], costs: list[int], rounds: int):
    fair = queue()
    for index, weight in enumerate(weights):
        for number in range(rounds * 2):
            push(fair, Item(number, str(index), cost=costs[index]), weight)
    served: Counter[str] = Counter()
    for _ in range(rounds):
        (item,) = fair.take(1)
        served[item.tenant] += int(item.cost)
    shares = [served[str(index)] / weight for index, weight in enumerate(weights)]
    # Goyal et al., theorem 1: they differ by no more than one item of each.
    slack = [costs[index] / weight for index, weight in enumerate(weights)]
    for i, share in enumerate(shares):
        for j, other in enumerate(shares):
            assert abs(share - other) <= slack[i] + slack[j] + 1e-6
