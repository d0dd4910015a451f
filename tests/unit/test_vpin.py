"""Buckets of exact volume against a slow loop in exact fractions; VPIN and its control test."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.vpin import (
    Classification,
    bulk_buckets,
    control_test,
    signed_buckets,
    trailing_sigma,
    vpin,
    vpin_of,
)
from quanticity.core.reasons import Reason
from quanticity.market.tape import Quotes, Trades, empty


def slow_buckets(size, sign, volume):
    """Trade by trade, in fractions: the trade that fills each bucket, and each bucket's imbalance."""
    left, net, last, found = Fraction(volume), Fraction(0), [], []
    for row, (shares, side) in enumerate(zip(map(Fraction, size), sign, strict=True)):
        while shares >= left > 0 and shares > 0:
            net += left * side
            shares -= left
            last.append(row)
            found.append(net)
            left, net = Fraction(volume), Fraction(0)
        left -= shares
        net += shares * side
    return last, [float(f) for f in found]


def tape(price, size, seconds=1):
    n = len(price)
    return Trades(np.arange(n) * seconds * 10**9, np.zeros(n, np.int64), np.asarray(price, float), np.asarray(size, float))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from([-1, 0, 1])), min_size=0, max_size=400),
    st.sampled_from([1, 7, 64, 100, 1000]),
    st.sampled_from([1, 4, 64]),
)
def test_against_exact_fractions(trades, volume, parts):
    size = np.array([s for s, _ in trades], float) / parts  # binary fractions: exact in float64
    sign = np.array([s for _, s in trades], np.int8)
    last, imbalance = slow_buckets(size.tolist(), sign.tolist(), volume)
    found = signed_buckets(np.arange(len(size), dtype=float), size, sign, float(volume))
    assert found.last.tolist() == last
    assert found.imbalance.tolist() == imbalance
    assert found.close.tolist() == [float(row) for row in last]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1000), min_size=1, max_size=300), st.floats(0.5, 500), st.integers(0, 2**32 - 1))
def test_any_fractional_sizes_to_rounding(size, volume, seed):
    size = np.array(size)
    sign = np.random.default_rng(seed).choice([-1, 1], len(size)).astype(np.int8)
    last, imbalance = slow_buckets(size.tolist(), sign.tolist(), volume)
    found = signed_buckets(np.zeros(len(size)), size, sign, volume)
    assert abs(len(found) - len(last)) <= 1  # an edge that is missed by rounding alone counts as reached
    both = min(len(found), len(last))
    room = 1e-11 * max(float(size.sum()), 1.0)
    assert np.allclose(found.imbalance[:both], imbalance[:both], rtol=0, atol=room)
    assert (np.abs(found.imbalance) <= volume + room).all()


@pytest.mark.untraced
def test_many_trades_over_many_chunks():
    rng = np.random.default_rng(5)
    size, sign = rng.integers(0, 300, 70_001).astype(float), rng.choice([-1, 0, 1], 70_001).astype(np.int8)
    size[33_000:34_000] = 0.0  # a stretch of nothing
    size[40_000] = 1_000_000.0  # one trade over hundreds of buckets
    for volume in (50.0, 2_500.0, 1_000_000.0):
        last, imbalance = slow_buckets(size.tolist(), sign.tolist(), int(volume))
        found = signed_buckets(size, size, sign, volume)
        assert found.last.tolist() == last and found.imbalance.tolist() == imbalance


def test_a_prefix_of_the_tape_gives_a_prefix_of_the_buckets():
    rng = np.random.default_rng(6)
    size, price = rng.integers(1, 90, 5_000).astype(float), 100 + np.cumsum(rng.choice([-0.01, 0, 0.01], 5_000))
    whole = bulk_buckets(price, size, 700.0, window=30, least=5)
    part = bulk_buckets(price[:3_000], size[:3_000], 700.0, window=30, least=5)
    n = len(part)
    assert 0 < n < len(whole)
    assert part.last.tolist() == whole.last[:n].tolist()
    assert np.array_equal(part.imbalance, whole.imbalance[:n], equal_nan=True)
    assert np.array_equal(vpin(part, 10), vpin(whole, 10)[:n], equal_nan=True)


def test_integer_sizes_and_columns_that_are_not_contiguous():
    size = np.arange(1, 201)
    sign = np.ones(200, np.int8)
    plain = signed_buckets(np.zeros(200), size.astype(float), sign, 37.0)
    assert np.array_equal(signed_buckets(np.zeros(200), size, sign, 37.0).imbalance, plain.imbalance)
    wide = np.column_stack((size, size)).astype(float)
    assert np.array_equal(signed_buckets(np.zeros(200), wide[:, 0], sign, 37.0).last, plain.last)


@pytest.mark.parametrize(("size", "volume", "says"), [
    ([1.0, -1.0], 1.0, "negative"), ([1.0, np.nan], 1.0, "not a number"), ([1.0], 0.0, "above 0"), ([1.0], np.nan, "above 0"), ([np.inf], 1.0, "infinite"),
    ([1e9], 1.0, "1e\\+09 buckets"),
])
def test_what_is_refused(size, volume, says):
    with pytest.raises(ValueError, match=says):
        signed_buckets(np.zeros(len(size)), np.array(size), np.ones(len(size), np.int8), volume)


def test_sigma_knows_the_past_only_and_forgets():
    change = np.array([1.0, 2.0, 1e9, 1.0, 2.0, 1.0, 2.0])
    sigma = trailing_sigma(change, window=2, least=1)
    assert np.isnan(sigma[0]) and sigma[1] == 1.0 and sigma[3] > 1e8
    assert sigma[5:].tolist() == [np.sqrt(2.5), np.sqrt(2.5)]  # nothing is left of the 1e9
    assert trailing_sigma(np.array([1.0, np.nan, 3.0, 5.0]), 3, 2)[3] == pytest.approx(np.sqrt(5))
    with pytest.raises(ValueError, match="least"):
        trailing_sigma(change, window=2, least=3)


def test_vpin_needs_all_of_its_buckets():
    buckets = signed_buckets(np.zeros(4), np.full(4, 10.0), np.array([1, 1, -1, 0], np.int8), 10.0)
    assert vpin(buckets, 2).tolist()[1:] == [1.0, 1.0, 0.5] and np.isnan(vpin(buckets, 2)[0])
    assert np.isnan(vpin(buckets, 5)).all()
    with pytest.raises(ValueError, match="n = 0"):
        vpin(buckets, 0)


def test_every_classification_from_one_tape():
    rng = np.random.default_rng(2)
    ticks = np.cumsum(rng.choice([-1, 1], 3_000))
    middle = 100 + ticks * 0.01
    trades = tape(middle + rng.choice([-0.01, 0.01], 3_000), rng.integers(1, 50, 3_000))
    quotes = Quotes(trades.ts - 1, trades.index, middle - 0.01, middle + 0.01, np.ones(3_000), np.ones(3_000))
    seen = {}
    for kind in Classification:
        found = vpin_of(trades, quotes, 1_000.0, kind, n=5, window=20, least=5)
        assert found.classification is kind and found.reason is None and len(found.ts) == len(found.value)
        known = found.value[np.isfinite(found.value)]
        assert len(known) and (known >= 0).all() and (known <= 1).all()
        seen[kind] = known[-1]
    assert seen[Classification.QUOTE] == pytest.approx(seen[Classification.LEE_READY])  # no trade at the midpoint
    assert len(set(seen.values())) >= 3


def test_why_there_is_none():
    none, few = tape([], []), tape([1.0, 2.0], [5, 5])
    assert vpin_of(none, empty(Quotes), 10.0).reason is Reason.NO_TRADES
    assert vpin_of(few, empty(Quotes), 100.0, "tick").reason is Reason.TOO_LITTLE_HISTORY
    still = vpin_of(tape(np.ones(400), np.ones(400)), empty(Quotes), 2.0, n=5)
    assert still.reason is Reason.CONSTANT_HISTORY and np.isnan(still.value).all()
    with pytest.raises(ValueError, match="several"):
        vpin_of(Trades(few.ts, np.array([0, 1]), few.price, few.size), empty(Quotes), 1.0)
    with pytest.raises(ValueError, match="guess"):
        vpin_of(few, empty(Quotes), 1.0, "guess")


def test_the_control_test_finds_what_is_there_and_nothing_else():
    rng = np.random.default_rng(4)
    n, per = 400, 20
    side = np.repeat(rng.choice([0.0, 1.0], n // 10), 10)  # one-sided stretches of buckets, ...
    sign = np.where(np.repeat(side, per) > 0, 1, rng.choice([-1, 1], n * per)).astype(np.int8)
    noise = rng.choice([-0.01, 0.01], n * per)
    moves = np.repeat(np.roll(side, 5), per) * rng.choice([-0.05, 0.05], n * per) + noise  # ... and volatile ones five later
    lasts = np.arange(n * per) * 10**9
    found = control_test(signed_buckets(100 + np.cumsum(moves), np.ones(n * per), sign, float(per)), lasts, n=5, horizon=5, draws=100)
    assert found.lower > 0.2 and found.partial > 0.3 and found.reason is None
    fair = control_test(signed_buckets(100 + np.cumsum(noise), np.ones(n * per), sign, float(per)), lasts, n=5, horizon=5, draws=100)
    assert fair.lower < 0 < fair.upper
    assert fair == control_test(signed_buckets(100 + np.cumsum(noise), np.ones(n * per), sign, float(per)), lasts, n=5, horizon=5, draws=100)


def test_a_control_test_of_too_little_or_of_nothing_that_moves():
    short = signed_buckets(np.zeros(4), np.ones(4), np.ones(4, np.int8), 1.0)
    assert control_test(short, np.arange(4)).reason is Reason.TOO_LITTLE_HISTORY
    still = signed_buckets(np.ones(400), np.ones(400), np.ones(400, np.int8), 1.0)
    found = control_test(still, np.arange(400) * 10**9, n=5, draws=20)
    assert found.reason is Reason.CONSTANT_HISTORY and np.isnan(found.partial)
