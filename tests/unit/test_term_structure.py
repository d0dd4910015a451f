"""Volatility by expiry, forward variance, slope: what adds up, and why a number is missing."""

import numpy as np
import pytest

from quanticity.analytics.term_structure import (
    forward_variance,
    structure_of,
    term_slope,
    term_structure,
    volatility_at,
)
from quanticity.core.reasons import Reason

NAN = np.nan
DAY = 86_400 * 10**9


def flat(days, vols):
    return structure_of(np.array(days) * DAY, np.array(days) / 365, np.array(vols), tuple(None if v == v else Reason.NO_QUOTE for v in vols))


def test_forward_variances_add_up_to_the_last_total():
    terms = flat([7, 14, 30, 60, 365], [0.3, 0.25, 0.28, 0.26, 0.24])
    pieces = np.diff(terms.years) * terms.forward_variance
    assert terms.variance[0] + pieces.sum() == pytest.approx(terms.variance[-1], rel=1e-14)
    assert terms.forward_volatility ** 2 == pytest.approx(terms.forward_variance) and set(terms.forward_reason) == {None}
    assert flat([7, 14], [0.2, 0.2]).forward_volatility[0] == pytest.approx(0.2)


def test_expiries_without_volatility_are_bridged():
    terms = flat([7, 14, 30], [0.3, NAN, 0.2])
    assert (terms.near.tolist(), terms.far.tolist()) == ([0], [2])
    assert terms.forward_variance[0] == pytest.approx((0.04 * 30 - 0.09 * 7) / 23)
    assert terms.reason == (None, Reason.NO_QUOTE, None)


def test_a_negative_variance_is_no_number():
    terms = flat([10, 20, 30], [0.5, 0.3, 0.3])
    assert terms.forward_reason == (Reason.NEGATIVE_VARIANCE, None)
    assert np.isnan(terms.forward_variance[0]) and np.isnan(terms.forward_volatility[0])
    assert volatility_at(terms, 15)[1] is Reason.NEGATIVE_VARIANCE and volatility_at(terms, 25)[1] is None
    level = flat([10, 40], [0.4, 0.2])  # equal totals: nothing between, to rounding, is zero and not less
    assert level.forward_volatility[0] == pytest.approx(0.0, abs=1e-7) and level.forward_reason == (None,)


def test_interpolated_in_total_variance_and_never_beyond():
    terms = flat([10, 40], [0.3, 0.2])
    assert volatility_at(terms, 10) == (0.3, None) and volatility_at(terms, 40) == (0.2, None)
    assert volatility_at(terms, 25)[0] ** 2 * 25 == pytest.approx(0.5 * (0.09 * 10 + 0.04 * 40))
    for days in (9.9, 40.1, 0.0):
        value, why = volatility_at(terms, days)
        assert np.isnan(value) and why is Reason.NO_SUCH_EXPIRY
    assert volatility_at(flat([10], [NAN]), 10)[1] is Reason.NO_QUOTE
    assert volatility_at(flat([10], [0.2]), 10) == (0.2, None) and volatility_at(flat([10], [0.2]), 11)[1] is Reason.NO_SUCH_EXPIRY


def test_slope_is_far_less_near():
    terms = flat([7, 30, 90, 180], [0.35, 0.25, 0.22, 0.21])
    found = term_slope(terms)
    assert found.slope == pytest.approx(-0.03) and found.reason is None and (found.near, found.far) == (0.25, 0.22)
    assert term_slope(terms, 5, 90).reason is Reason.NO_SUCH_EXPIRY and np.isnan(term_slope(terms, 5, 90).slope)
    for near, far in ((30, 30), (90, 30), (0, 30)):
        with pytest.raises(ValueError, match="near < far"):
            term_slope(terms, near, far)


def rows():
    strike = np.tile([90.0, 95.0, 105.0, 110.0], 3)
    ends = np.repeat(np.array([2, 9, 30]) * DAY, 4)
    return ends, strike, np.tile([0.2, 0.2, 0.2, 0.2], 3) + np.repeat([0.0, 0.05, 0.1], 4), np.tile([False, False, True, True], 3)


def test_from_a_chain_in_any_order():
    ends, strike, vol, calls = rows()
    mixed = np.random.default_rng(3).permutation(12)
    one = term_structure(ends, 0, 100.0, strike, vol, calls, ends / DAY / 365)
    two = term_structure(ends[mixed], 0, np.full(12, 100.0), strike[mixed], vol[mixed], calls[mixed], ends[mixed] / DAY / 365)
    assert one.volatility.tolist() == two.volatility.tolist() == pytest.approx([0.2, 0.25, 0.3])
    assert one.expires_at.tolist() == two.expires_at.tolist() == [2 * DAY, 9 * DAY, 30 * DAY]
    assert one.forward_variance.tolist() == two.forward_variance.tolist()


def test_each_expiry_has_its_forward_and_its_reason():
    ends, strike, vol, calls = rows()
    vol = vol.copy()
    vol[4:8] = NAN
    forward = np.repeat([100.0, 100.0, 120.0], 4)
    found = term_structure(ends, 0, forward, strike, vol, calls, ends / DAY / 365)
    assert found.reason == (None, Reason.NO_QUOTE, Reason.TOO_FEW_STRIKES) and len(found.near) == 0
    assert term_structure(ends, 0, NAN, strike, vol, calls, ends / DAY / 365).reason == (Reason.NO_SPOT,) * 3


def test_the_expired_and_the_empty():
    ends, strike, vol, calls = rows()
    assert term_structure(ends, 2 * DAY, 100.0, strike, vol, calls, (ends - 2 * DAY) / DAY / 365).expires_at.tolist() == [9 * DAY, 30 * DAY]
    none = term_structure(ends, 30 * DAY, 100.0, strike, vol, calls, 0.1)
    assert len(none) == 0 and none.forward_reason == () and volatility_at(none, 5)[1] is Reason.NO_QUOTE
    assert len(term_structure(np.empty(0, np.int64), 0, 100.0, np.empty(0), np.empty(0), np.empty(0, bool), np.empty(0))) == 0


def test_one_strike_has_no_smile_but_a_volatility_at_its_forward():
    found = term_structure(np.array([DAY]), 0, 100.0, np.array([100.0]), np.array([0.3]), np.array([True]), np.array([1 / 365]))
    assert found.volatility.tolist() == [0.3] and len(found.near) == 0


def test_order_is_asked_for():
    with pytest.raises(ValueError, match="in order"):
        forward_variance([0.1, 0.1], [0.2, 0.2])
