"""Shares of tenants: never more than there is, nobody holds all, and a newcomer finds something."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sharing.shares import Share, Shares

WEIGHTS = {"a": 1.0, "b": 1.0, "c": 4.0, "d": 0.01}

Step = tuple[str, bool, int]

steps = st.lists(
    st.tuples(st.sampled_from(sorted(WEIGHTS)), st.booleans(), st.integers(0, 200)), max_size=300
)


def held(taken: list[Share]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for share in taken:
        counts[share.tenant] += share.amount
    return counts


def fill(shares: Shares, tenant: str, weight: float = 1.0) -> list[Share]:
    """Take all that a tenant may have."""
    taken: list[Share] = []
    while (share := shares.take(tenant, weight)) is not None:
        taken.append(share)
    return taken


@given(limit=st.integers(1, 150), steps=steps)
def test_whatever_tenants_do(limit: int, steps: list[Step]):
    shares = Shares(limit)
    taken: list[Share] = []
    for tenant, takes, which in steps:
        if takes or not taken:
            counts = held(taken)
            share = shares.take(tenant, WEIGHTS[tenant])
            if share is not None:
                taken.append(share)
            else:
                assert shares.taken == limit or counts[tenant], "whoever has none takes what is free"
        else:
            taken.pop(which % len(taken)).release()
        counts = held(taken)
        assert shares.taken == counts.total() <= limit
        if limit > 1:
            assert max(counts.values(), default=0) <= limit - shares.reserve < limit
    for share in taken:
        share.release()
        share.release()
    assert shares.taken == 0
    # Nothing of the past is left.
    assert len(fill(shares, "new")) == max(1, limit - shares.reserve)


@given(limit=st.integers(1, 10_000), steps=steps)
def test_shares_that_grow_and_shrink(limit: int, steps: list[Step]):
    shares = Shares(limit)
    taken: list[Share] = []
    for tenant, takes, size in steps:
        if takes or not taken:
            if (share := shares.take(tenant, WEIGHTS[tenant], 0)) is not None:
                taken.append(share)
        else:
            share = taken[size % len(taken)]
            expected = share.amount
            if share.resize(size):
                expected = size
            assert share.amount == expected
        counts = held(taken)
        assert shares.taken == counts.total() <= limit
        assert max(counts.values(), default=0) <= limit - shares.reserve
    for share in taken:
        share.release()
        assert not share.resize(1)
    assert shares.taken == 0


@given(limit=st.integers(1, 500))
def test_one_tenant_alone_has_all_but_the_reserve(limit: int):
    shares = Shares(limit)
    taken = fill(shares, "a")
    assert len(taken) == max(1, limit - shares.reserve)
    assert shares.reserve <= max(2, limit / 16)
    assert not any(share.asked_back() for share in taken), "nobody else is there"


def test_a_server_of_one_tenant_keeps_nothing_back():
    shares = Shares(128, sole=True)
    taken = fill(shares, "local")
    assert len(taken) == 128
    assert not any(share.asked_back() for share in taken)


@given(
    limit=st.integers(8, 300),
    weights=st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=2, max_size=4),
)
def test_what_is_asked_back_makes_shares_fair(limit: int, weights: list[float]):
    """A flood fills everything; then all others want as much as they get, and the flood gives back what it
    is asked for."""
    shares = Shares(limit)
    tenants = {str(number): weight for number, weight in enumerate(weights)}
    taken = fill(shares, "0", tenants["0"])
    changed = True
    while changed:
        changed = False
        for tenant, weight in tenants.items():
            while (share := shares.take(tenant, weight)) is not None:
                taken.append(share)
                changed = True
        for share in [share for share in taken if share.asked_back()]:
            share.release()
            taken.remove(share)
    counts = held(taken)
    for tenant, weight in tenants.items():
        fair = limit * weight / sum(weights)
        assert counts[tenant] >= min(fair, limit - shares.reserve) - shares.reserve - 1


def test_no_more_is_asked_back_than_is_missing():
    shares = Shares(128)
    taken = fill(shares, "a")
    assert len(taken) == 120
    newcomer = shares.take("b", 1.0)
    assert newcomer
    assert sum(share.asked_back() for share in taken) == 1
    assert sum(share.asked_back() for share in taken) == 1, "and it is the same one"
    assert not newcomer.asked_back()
    newcomer.release()
    assert not any(share.asked_back() for share in taken)


def test_a_newcomer_gets_a_place_while_two_others_want_everything():
    shares = Shares(128)
    fill(shares, "a")
    assert len(fill(shares, "b")) == 7, "within its fair share it has the reserve, but for the last"
    assert shares.take("a", 1.0) is None
    assert shares.take("c", 1.0)
    assert shares.take("d", 1.0) is None, "there is none"


@pytest.mark.parametrize(("limit", "reserve"), [(1, 0), (2, 1), (3, 1), (4, 2), (16, 2), (128, 8)])
def test_the_reserve(limit: int, reserve: int):
    assert Shares(limit).reserve == reserve


def test_a_bigger_upload_than_there_is():
    shares = Shares(100)
    assert shares.take("a", 1.0, 101) is None
    whole = shares.take("a", 1.0, 100)
    assert whole, "whoever has nothing may take all that is free at once"
    assert shares.take("b", 1.0, 1) is None
    whole.release()
    assert shares.take("b", 1.0, 1)
