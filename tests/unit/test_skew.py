"""The smile in numbers: read off where it is bracketed, refused where it is not."""

import numpy as np
import pytest

from quanticity.analytics.pricing import greeks
from quanticity.analytics.skew import at_the_money_vol, skew_25_delta, skew_by_expiry, smile_slope
from quanticity.core.reasons import Reason

ALL = {"call_vol", "put_vol", "at_the_money", "risk_reversal", "butterfly", "put_skew"}


def linear_smile(deltas_call=(0.1, 0.2, 0.3, 0.4), deltas_put=(-0.1, -0.2, -0.3, -0.4)):
    """Volatility linear in call delta: 0.18 + 0.1 x, so that interpolation has no error."""
    delta = np.array([*deltas_call, *deltas_put])
    is_call = delta > 0
    return delta, 0.18 + 0.1 * np.where(is_call, delta, 1 + delta), is_call


def test_a_smile_that_is_linear_in_delta():
    found = skew_25_delta(*linear_smile())
    assert (found.call_vol, found.at_the_money, found.put_vol) == pytest.approx((0.205, 0.23, 0.255))
    assert found.risk_reversal == pytest.approx(-0.05)
    assert found.butterfly == pytest.approx(0.0)
    assert found.put_skew == pytest.approx(0.025)
    assert found.points == 8 and not found.missing


def test_order_does_not_matter_and_in_the_money_options_are_not_used():
    delta, vol, is_call = linear_smile()
    rows = np.random.default_rng(1).permutation(8)
    deep = np.array([0.7, -0.8]), np.array([9.0, 9.0]), np.array([True, False])
    found = skew_25_delta(*(np.concatenate((a[rows], b)) for a, b in zip((delta, vol, is_call), deep, strict=True)))
    assert found == skew_25_delta(delta, vol, is_call)


def test_rows_without_volatility_are_not_used():
    delta, vol, is_call = linear_smile()
    more = skew_25_delta(
        np.append(delta, [0.26, -0.26, np.nan]),
        np.append(vol, [np.nan, 0.0, 0.3]),
        np.append(is_call, [True, False, True]),
    )
    assert more == skew_25_delta(delta, vol, is_call)


@pytest.mark.parametrize(
    ("calls", "puts", "missing"),
    [
        ((0.3, 0.4), (-0.2, -0.3), {"call_vol", "risk_reversal", "butterfly"}),
        ((0.2, 0.3), (-0.35, -0.45), {"put_vol", "risk_reversal", "butterfly", "put_skew"}),
        ((0.2, 0.3), (), ALL - {"call_vol"}),
        ((), (-0.2, -0.3), ALL - {"put_vol"}),
        ((0.25,), (), ALL - {"call_vol"}),
        ((0.02,), (-0.03,), ALL),
        ((0.4,), (), ALL),
    ],
)
def test_no_extrapolation(calls, puts, missing):
    found = skew_25_delta(*linear_smile(calls, puts))
    assert dict(found.missing) == dict.fromkeys([n for n in found.__slots__ if n in missing], Reason.TOO_FEW_STRIKES)
    for name in ALL:
        assert np.isnan(getattr(found, name)) == (name in missing), name


def test_nothing_at_all():
    for args in ((np.empty(0), np.empty(0), np.empty(0, bool)), ([0.3], [np.nan], [True])):
        found = skew_25_delta(*args)
        assert set(found.missing) == ALL and set(found.missing.values()) == {Reason.NO_QUOTE} and found.points == 0


def test_a_flat_smile_of_a_real_chain_has_no_skew():
    strike = np.repeat(np.arange(70.0, 131.0, 2.5), 2)
    is_call = np.tile([True, False], len(strike) // 2)
    delta = greeks(100.0, strike, 60 / 365, 0.04, 0.013, 0.25, is_call).delta
    found = skew_25_delta(delta, np.full(len(strike), 0.25), is_call)
    assert found.risk_reversal == pytest.approx(0.0, abs=1e-15)
    assert found.at_the_money == pytest.approx(0.25)


def test_at_the_money_by_the_forward():
    strike, is_call = np.array([95.0, 105.0, 95.0, 105.0]), np.array([False, True, True, False])
    vol = np.array([0.24, 0.20, 9.0, 9.0])  # the in-the-money ones are not used
    value, reason = at_the_money_vol(np.sqrt(95 * 105), strike, vol, is_call)
    assert value == pytest.approx(0.22) and reason is None
    assert at_the_money_vol(100.0, [100.0, 100.0], [0.2, 0.3], [True, False]) == (0.25, None)


@pytest.mark.parametrize(
    ("forward", "vol", "reason"),
    [
        (90.0, 0.2, Reason.TOO_FEW_STRIKES),
        (110.0, 0.2, Reason.TOO_FEW_STRIKES),
        (100.0, np.nan, Reason.NO_QUOTE),
        (np.nan, 0.2, Reason.NO_SPOT),
        (0.0, 0.2, Reason.NO_SPOT),
    ],
)
def test_at_the_money_or_why_not(forward, vol, reason):
    value, why = at_the_money_vol(forward, [95.0, 95.0, 105.0, 105.0], vol, [True, False, True, False])
    assert np.isnan(value) and why is reason


def test_each_expiry_on_its_own():
    delta, vol, is_call = linear_smile()
    ids = np.concatenate((np.full(8, 30), np.full(8, 7), [90]))
    rows = np.random.default_rng(2).permutation(17)
    columns = (
        ids,
        np.concatenate((delta, delta, [0.3])),
        np.concatenate((vol, vol + 0.1, [0.2])),
        np.concatenate((is_call, is_call, [True])),
    )
    expiries, skews = skew_by_expiry(*(c[rows] for c in columns))
    assert expiries.tolist() == [7, 30, 90]
    assert skews[1] == skew_25_delta(delta, vol, is_call)
    assert skews[0].at_the_money == pytest.approx(skews[1].at_the_money + 0.1)
    assert skews[2].missing["risk_reversal"] is Reason.TOO_FEW_STRIKES


def test_no_expiry():
    expiries, skews = skew_by_expiry(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, bool))
    assert expiries.size == 0 and skews == ()


def test_slope_of_a_line_is_found_and_scales():
    forward, years, k = 100.0, 0.25, np.array([88.0, 92, 96, 99, 101, 104, 108, 112])
    calls = k > forward
    for level, tilt in ((0.2, -0.03), (0.4, 0.0), (0.3, 0.02)):
        vol = level + tilt * np.log(k / forward) / (level * np.sqrt(years))
        found = smile_slope(forward, years, k, vol, calls, width=3.0)
        assert found.reason is None and found.points == 8
        assert found.at_the_money == pytest.approx(level, rel=1e-3)
        assert found.slope == pytest.approx(tilt * found.at_the_money / level, abs=1e-9)
        assert found.relative == pytest.approx(found.slope / found.at_the_money) and found.error == pytest.approx(0, abs=1e-9)


def test_slope_looks_within_its_width_and_on_both_sides():
    k, calls = np.array([50.0, 98, 102, 150]), np.array([False, False, True, True])
    vol = np.array([0.9, 0.21, 0.19, 0.05])
    near = smile_slope(100.0, 0.25, k, vol, calls)
    assert near.points == 2 and near.slope < 0 and np.isnan(near.error) and near.reason is None
    assert smile_slope(100.0, 0.25, k, vol, calls, width=10.0).points == 4
    assert smile_slope(100.0, 1 / 3650, k, vol, calls).reason is Reason.TOO_FEW_STRIKES


@pytest.mark.parametrize(("forward", "years", "vol", "reason"), [
    (100.0, 0.0, 0.2, Reason.EXPIRED), (100.0, -1.0, 0.2, Reason.EXPIRED), (100.0, np.nan, 0.2, Reason.EXPIRED),
    (np.nan, 0.1, 0.2, Reason.NO_SPOT), (100.0, 0.1, np.nan, Reason.NO_QUOTE), (120.0, 0.1, 0.2, Reason.TOO_FEW_STRIKES),
])
def test_why_there_is_no_slope(forward, years, vol, reason):
    found = smile_slope(forward, years, [95.0, 98.0, 102.0, 105.0], np.full(4, vol), [False, False, True, True])
    assert found.reason is reason and np.isnan(found.slope) and np.isnan(found.relative)
