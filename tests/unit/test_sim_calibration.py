"""The calibration: tables are what was measured, functions are vectorized, and the recorded days still say the same."""

from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.errors import ConfigError
from quanticity.feeds import sim_calibration as cal
from quanticity.feeds.sim_calibration import GOOG_2015, SPX_2021, Calibration

BOTH = pytest.mark.parametrize("c", [GOOG_2015, SPX_2021], ids=lambda c: c.name)


def test_moneyness_is_out_of_the_money_for_both_rights_when_positive() -> None:
    m = cal.moneyness([90.0, 110.0, 90.0, 110.0], 100.0, 0.2, 0.25, [False, True, True, False])
    assert (m[:2] > 0).all() and (m[2:] < 0).all()
    assert m[1] == pytest.approx(np.log(1.1) / 0.1, abs=1e-6)
    assert cal.moneyness(100.0, 1e-300, 1e-3, 0.0, True) == 20.0  # clipped, not infinite


@BOTH
def test_a_spread_is_its_table_at_the_knots_and_between_its_neighbours_elsewhere(c: Calibration) -> None:
    for i, m in enumerate(c.spread_m):
        for j, days in enumerate(c.spread_days):
            assert 2 * cal.half_spread(1e4, m, days / 365, c) == pytest.approx(c.spread[i][j], rel=1e-5)
    inside = 2 * cal.half_spread(1e4, 0.5, np.sqrt(1.0 * 7.0) / 365, c)
    near = [c.spread[i][j] for i in (c.spread_m.index(0.25), c.spread_m.index(0.75)) for j in (c.spread_days.index(1.0), c.spread_days.index(7.0))]
    assert min(near) < inside < max(near)


@BOTH
def test_spreads_fall_with_distance_grow_with_life_and_scale_with_the_spot(c: Calibration) -> None:
    m, years = np.linspace(-4, 4, 81), np.geomspace(1e-5, 3, 40)
    table = cal.half_spread(100.0, m[:, None], years, c)
    assert table.shape == (81, 40) and table.dtype == np.float64 and (table > 0).all()
    assert (np.diff(table, axis=0) <= 1e-9).all()
    np.testing.assert_allclose(cal.half_spread(1_000.0, m, 0.1, c), 10 * cal.half_spread(100.0, m, 0.1, c), atol=6e-6)
    if c is GOOG_2015:
        assert (table[:, 1:] >= 0.95 * table[:, :-1]).all()


@BOTH
def test_profiles_have_mean_one_and_their_integral_is_the_elapsed_share(c: Calibration) -> None:
    u = (np.arange(50_000) + 0.5) / 50_000
    for shape in (c.variance_profile, c.arrivals_profile, cal.EQUITY_ARRIVALS):
        heights = cal.profile(u, shape)
        assert heights.mean() == pytest.approx(1.0, abs=1e-6) and heights[0] > heights[25_000]
        np.testing.assert_allclose(cal.profile_elapsed(u, shape), np.cumsum(heights) / len(u), atol=1e-4)
    assert (cal.profile_elapsed(np.array([-1.0, 0.0, 1.0, 2.0]), c.variance_profile) == [0, 0, 1, 1]).all()


@BOTH
def test_everything_is_rounded_so_that_the_last_digit_of_a_library_does_not_show(c: Calibration) -> None:
    m, years = np.linspace(-5, 5, 301), 0.05
    for values, places in ((cal.half_spread(748.4, m, years, c), 6), (cal.quote_size_mean(m, True, c), 6), (cal.profile(np.linspace(0, 1, 99), c.variance_profile), 9),
                           (cal.trade_weight(m, c), 6), (cal.sign_memory(np.arange(1, 99)), 9), (cal.expiry_activity(np.linspace(0, 1, 99), False), 9)):
        assert (values == np.round(values, places)).all() and np.isfinite(values).all()


@BOTH
def test_sizes_shares_and_places_are_within_their_bounds(c: Calibration) -> None:
    m = np.linspace(-20, 20, 401)
    assert (cal.quote_size_median(m, False, c) >= 1).all() and (cal.quote_size_mean(m, True, c) > cal.quote_size_median(m, True, c)).all()
    for share in (cal.no_bid_share(m, c), cal.change_share(m, c), cal.trade_weight(m, c)):
        assert ((share >= 0) & (share <= 1)).all()
    touch, middle = cal.trade_places(np.arange(1, 50), c)
    assert (touch + middle <= 1).all() and touch[0] == 1.0


def test_trade_sizes_are_whole_and_have_the_stated_tail() -> None:
    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    sizes = cal.trade_size(u)
    assert (sizes == np.rint(sizes)).all() and sizes.min() == 1
    beyond = (sizes > 50).mean()
    assert beyond == pytest.approx((1 + 50.5 / GOOG_2015.size_scale) ** -GOOG_2015.size_tail, rel=0.01)


def test_parent_orders_have_the_exponent_that_the_signs_memory_needs() -> None:
    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    lengths = cal.metaorder_length(u, longest=10**6)
    tail = np.log((lengths >= 10).mean() / (lengths >= 100).mean()) / np.log(10)
    assert tail - 1 == pytest.approx(cal.SIGN_EXPONENT, abs=0.03)
    assert cal.metaorder_length(np.array([0.0, 1.0])).tolist() == [1.0, 1_000.0]


def test_burst_moments_are_those_of_a_hawkes_process() -> None:
    rng = np.random.default_rng(3)
    n, tau, length = 0.6, 5.0, 600_000.0
    times = [rng.random(rng.poisson(0.4 * length)) * length]
    while len(times[-1]):
        parents = np.repeat(times[-1], rng.poisson(n, len(times[-1])))
        times.append(parents + rng.exponential(tau, len(parents)))
    counts = np.bincount((np.concatenate(times) // 60).astype(int))[10:9_990].astype(float)
    fano, memory = cal.burst_moments(n, tau)
    assert counts.var() / counts.mean() == pytest.approx(fano, rel=0.06)
    assert np.corrcoef(counts[1:], counts[:-1])[0, 1] == pytest.approx(memory, abs=0.03)


def test_round_strikes_are_the_popular_ones_at_any_price() -> None:
    assert cal.strike_roundness([750, 775, 760, 755, 752.5], 748.0).tolist() == [1.0, 0.61, 0.41, 0.32, 0.18]
    assert cal.strike_roundness([3_750, 3_755], 3_750.0).tolist()[0] > cal.strike_roundness([3_750, 3_755], 3_750.0).tolist()[1]
    assert cal.interest_shape(1.0, True) > cal.interest_shape(-3.0, True)


@BOTH
def test_the_smile_has_no_butterfly_arbitrage(c: Calibration) -> None:
    assert c.curvature * (1 + abs(c.skew)) <= 2 and c.curvature**2 * (1 + abs(c.skew)) <= 4


def test_a_table_that_does_not_fit_its_knots_and_a_number_that_is_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="does not fit its knots"):
        replace(GOOG_2015, bid_size=(1.0,))
    with pytest.raises(ConfigError, match="does not fit its knots"):
        replace(GOOG_2015, trade_m=tuple(reversed(GOOG_2015.trade_m)))
    with pytest.raises(ConfigError, match="leverage is not a number"):
        replace(GOOG_2015, leverage=float("nan"))
    assert all(getattr(GOOG_2015, f.name) is not None for f in fields(GOOG_2015)) and GOOG_2015.unsure and SPX_2021.unsure


def test_the_recorded_days_say_what_the_calibration_says(recorded: Path) -> None:
    from quanticity.feeds.lean import load_session
    from quanticity.research.stylized_facts import measure

    goog, spxw = (measure(load_session(recorded, *key)) for key in (("GOOG", date(2015, 12, 24)), ("SPXW", date(2021, 1, 4))))
    for facts, c, spot in ((goog, GOOG_2015, 748.4), (spxw, SPX_2021, 3_720.0)):
        assert facts.options is not None
        q = facts.options.quotes
        error = np.log(q.points * spot * 1e-4 / (2 * cal.half_spread(spot, q.m, q.days / 365, c)))
        assert abs(np.median(error)) < 0.15 and np.std(error) < 0.65  # the level, and what contracts have of their own
        assert abs(facts.options.smile.pooled[0] - c.skew) < 0.1 and abs(facts.options.smile.pooled[1] - c.curvature) < 0.2
    assert goog.options is not None and abs((goog.options.trades.size == 1).mean() - 0.35) < 0.03


def test_ibm_ticks_say_what_the_calibration_says(recorded: Path) -> None:
    from quanticity.core.clock import session_hours
    from quanticity.feeds.lean_ticks import load_equity_ticks
    from quanticity.market.chain import nanoseconds
    from quanticity.research.stylized_facts import measure_ticks

    days = [date(2013, 10, 7), date(2013, 10, 8)]
    found = []
    for day in days:
        ticks, hours = load_equity_ticks(recorded, "IBM", day), session_hours(day)
        assert hours is not None
        found.append(measure_ticks(f"IBM {day}", ticks.trades, ticks.quotes, nanoseconds(hours.opens), nanoseconds(hours.closes)).underlying)
    assert np.mean([f.exponent for f in found]) == pytest.approx(cal.SIGN_EXPONENT, abs=0.02)
    assert np.mean([f.amplitude for f in found]) == pytest.approx(cal.SIGN_AMPLITUDE, abs=0.02)
    assert np.mean([f.bursts.variance for f in found]) == pytest.approx(cal.BURST_VARIANCE, abs=0.02)
    assert np.mean([f.bursts.memory for f in found]) == pytest.approx(cal.BURST_MEMORY, abs=0.01)
