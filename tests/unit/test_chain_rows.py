"""Rows that belong together, found once: against the same asked of the arrays each time; and ladders against sorting each time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanticity.analytics.chain_rows import ChainRows
from quanticity.analytics.skew import at_the_money_on, at_the_money_vol, strike_ladder
from quanticity.market.chain import Contracts

DAY = 86_400_000_000_000


def listed(seed: int, n: int = 40) -> Contracts:
    """Contracts in disorder; some days have two closes (index options in the morning and in the evening)."""
    rng = np.random.default_rng(seed)
    days = rng.integers(1, 5, n)
    return Contracts("X", "X", 100.0 + rng.integers(-4, 5, n), days, days * DAY - rng.integers(0, 2, n) * DAY // 3, rng.random(n) < 0.5, np.full(n, 100.0))


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_expiry_is_the_nearest_day_that_trades_whichever_way_time_goes(seed):
    c = listed(seed)
    rows, rng = ChainRows(c), np.random.default_rng(seed)
    edges = np.unique(c.expires_at)
    moments = np.concatenate((edges - 1, edges, edges + 1, rng.integers(0, 6 * DAY, 30)))
    for ts in [*sorted(moments.tolist()), *rng.permutation(moments).tolist()]:
        live = c.expires_at > ts
        found = rows.nearest(ts)
        assert found.day == (c.expiry_day[live].min() if live.any() else -1)
        assert found.rows.tolist() == np.flatnonzero(live & (c.expiry_day == found.day)).tolist()
        assert rows.any_over(ts) == bool((c.expires_at <= ts).any())
        years = (c.expires_at - ts) / (365 * DAY)
        assert np.isnan(found.years(ts)) if not len(found.rows) else found.years(ts) == years[found.rows[0]]


def test_each_end_has_its_rows():
    c = listed(1)
    rows = ChainRows(c)
    assert rows.ends == np.unique(c.expires_at).tolist()
    for place, end in enumerate(rows.ends):
        assert rows.of_end(place).rows.tolist() == np.flatnonzero(c.expires_at == end).tolist()
        assert rows.of_end(place) is rows.of_end(place)


@pytest.mark.parametrize("name", ["strike", "expiry_day", "expires_at", "is_call"])
def test_other_contracts_are_others(name):
    c = listed(2)
    changed = getattr(c, name).copy()
    changed[7] = not changed[7] if name == "is_call" else changed[7] + 1
    rows = ChainRows(c)
    assert rows.has(c) and rows.has(replace(c, strike=c.strike.copy())) and not rows.has(replace(c, **{name: changed}))
    assert not rows.has(listed(2, 39))


def test_no_contracts_at_all():
    rows = ChainRows(listed(1, 0))
    assert rows.nearest(0).day == -1 and not rows.any_over(0) and np.isnan(rows.nearest(0).years(0))


@given(st.integers(0, 10**6), st.floats(90.0, 110.0), st.booleans())
def test_a_ladder_gives_the_same_number_to_the_last_bit(seed, forward, at_a_strike):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 14))
    strike, calls = 100.0 + rng.integers(-6, 7, n), rng.random(n) < 0.5  # some twice
    vol = np.where(rng.random(n) < 0.3, rng.choice([np.nan, 0.0, np.inf]), 0.2 + 0.1 * rng.random(n))
    where = np.sort(rng.permutation(30)[:n])
    chain = np.full(30, 0.9)  # rows of other expiries
    chain[where] = vol
    f = round(forward) if at_a_strike else forward
    ours, theirs = at_the_money_on(float(f), strike_ladder(strike, calls, where), chain), at_the_money_vol(float(f), strike, vol, calls)
    assert str(ours[0]) == str(theirs[0]) and ours[1] is theirs[1]
