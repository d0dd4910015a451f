"""Hedge flow, bands, forwards: what dealers trade, how sure zero gamma is, and what the quotes say about the carry."""

from dataclasses import replace

import numpy as np
import pytest

from quanticity.analytics.exposure import Convention, exposures
from quanticity.analytics.forwards import dividend_by_contract, implied_forwards
from quanticity.analytics.hedging import MOVES, hedge_flow
from quanticity.analytics.pricing import black_scholes_price, greeks
from quanticity.analytics.uncertainty import bands
from quanticity.analytics.zero_gamma import zero_gamma
from quanticity.core.errors import UserError
from quanticity.core.reasons import Reason
from quanticity.core.types import Exercise
from quanticity.market.chain import NANOSECONDS_A_YEAR, Contracts, OptionChain

STRIKE = np.array([105.0, 100.0, 100.0, 95.0, 110.0, 90.0])
YEARS = np.array([30, 30, 30, 30, 7, 90]) / 365
VOL = np.array([0.18, 0.20, 0.20, 0.235, 0.26, 0.27])
CALL = np.array([True, True, False, False, True, False])
INTEREST = np.array([4000.0, 3000.0, 2500.0, 6000.0, 1500.0, 5000.0])
MID = black_scholes_price(100.0, STRIKE, YEARS, 0.04, 0.013, VOL, CALL)


def flow(**kwargs):
    return hedge_flow(kwargs.pop("spot", 100.0), STRIKE, kwargs.pop("years", YEARS), 0.04, 0.013, kwargs.pop("vol", VOL), CALL, kwargs.pop("interest", INTEREST), **kwargs)


def test_a_small_move_costs_gex_with_the_other_sign():
    gex = exposures(100.0, STRIKE, YEARS, CALL, INTEREST, 100, greeks(100.0, STRIKE, YEARS, 0.04, 0.013, VOL, CALL)).total_gex
    found = flow(moves=[-1e-4, 1e-4])
    assert (found.dollars[1] - found.dollars[0]) / 0.02 == pytest.approx(-gex, rel=1e-5)
    assert (found.dollars == found.shares * 100.0).all() and found.convention is Convention.NAIVE


def test_the_moves_are_a_tenth_of_a_percent_to_two_percent_both_ways():
    assert sorted(MOVES) == list(MOVES) and {abs(m) for m in MOVES} >= {0.001, 0.02} and [-m for m in MOVES[::-1]] == list(MOVES)
    assert len(flow().dollars) == len(MOVES) and flow().counted == 6


def test_gross_hedgers_sell_rallies_and_flow_signed_turns_the_sign():
    gross = flow(convention="gross")
    assert (np.sign(gross.dollars) == -np.sign(gross.moves)).all()
    short = flow(convention="flow-signed", dealer_position=-INTEREST)
    np.testing.assert_allclose(short.dollars, -gross.dollars, rtol=1e-9)


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [({"vol": np.full(6, np.nan)}, Reason.NO_QUOTE), ({"interest": np.zeros(6)}, Reason.NO_OPEN_INTEREST), ({"interest": np.full(6, np.nan)}, Reason.NO_OPEN_INTEREST),
     ({"years": np.zeros(6)}, Reason.EXPIRED), ({"spot": np.nan}, Reason.NO_SPOT)],
)
def test_no_flow_without_grounds(kwargs, reason):
    found = flow(**kwargs)
    assert np.isnan(found.dollars).all() and found.reason is reason and found.counted == 0
    assert hedge_flow(np.nan, STRIKE, YEARS, 0.04, 0.013, VOL, CALL, INTEREST).reason is Reason.NO_SPOT


def test_a_move_below_nothing_is_refused():
    with pytest.raises(UserError, match="moves are relative"):
        flow(moves=[-1.5])


def banded(half, **kwargs):
    return bands(100.0, STRIKE, YEARS, 0.04, 0.013, MID - half, MID + half, CALL, INTEREST, **{"seed": 3, "draws": 60, **kwargs})


def test_without_a_spread_the_band_is_the_point():
    found, point = banded(0.0), zero_gamma(100.0, STRIKE, YEARS, 0.04, 0.013, VOL, CALL, INTEREST).value
    band = found.bands[Convention.NAIVE]
    assert (found.low, found.high) == (band.low, band.high) and band.low == pytest.approx(point, rel=1e-11) == pytest.approx(band.high, rel=1e-11)
    assert band.crossing == 1.0 and band.call_wall.strikes.tolist() == [105.0] and band.put_wall.odds.tolist() == [1.0]


def test_the_band_widens_with_the_spread_and_the_seed_decides():
    narrow, wide = banded(0.002), banded(0.02)
    assert narrow.high - narrow.low < wide.high - wide.low
    again, other = banded(0.02), banded(0.02, seed=4)
    assert (again.low, again.high) == (wide.low, wide.high) != (other.low, other.high)


def test_conventions_side_by_side():
    found = banded(0.01, conventions=("naive", "gross", "flow-signed"), dealer_position=np.where(CALL, -1, 1) * INTEREST)
    assert list(found.bands) == [Convention.NAIVE, Convention.GROSS, Convention.FLOW_SIGNED]
    assert found.bands[Convention.GROSS].reason is Reason.NO_CROSSING and np.isnan(found.bands[Convention.GROSS].median)
    # the signs all turned: the same crossings
    assert found.bands[Convention.FLOW_SIGNED].median == pytest.approx(found.bands[Convention.NAIVE].median, rel=1e-9)


def test_one_sided_and_crossed_quotes_are_not_drawn_from():
    bid, ask = np.maximum(MID - 0.01, 0.0), MID + 0.01
    bid[0], ask[1] = np.nan, bid[1] - 0.01
    found = bands(100.0, STRIKE, YEARS, 0.04, 0.013, bid, ask, CALL, INTEREST, seed=1, draws=5)
    assert found.quoted == 4 and found.bands[Convention.NAIVE].call_wall.strikes.tolist() == [110.0]


def test_bad_requests_for_bands():
    for wrong in ({"draws": 1}, {"level": 1.0}, {"conventions": ()}):
        with pytest.raises(UserError):
            banded(0.01, **wrong)


NOW = 1_609_772_400_000_000_000
DAY = 86_400_000_000_000


def chain(borrow=(0.05, 0.02), half=0.02, exercise=Exercise.AMERICAN, spot=100.0):
    strike = np.tile(np.repeat(np.arange(90.0, 112.5, 2.5), 2), 2)
    n = len(strike)
    call, ends = np.arange(n) % 2 == 0, np.repeat([NOW + 10 * DAY, NOW + 60 * DAY], n // 2)
    yields = np.repeat(borrow, n // 2)
    mid = black_scholes_price(100.0, strike, (ends - NOW) / NANOSECONDS_A_YEAR, 0.01, yields, 0.4, call)
    listed = Contracts("XYZ", "XYZ", strike, ends // DAY, ends, call, np.full(n, 100.0), exercise)
    return OptionChain(1, NOW, listed, spot, "quote", 0.01, 0.0, mid - half, mid + half, np.ones(n), np.ones(n), np.full(n, NOW), np.zeros(n), np.ones(n), np.full(n, np.nan))


def test_forwards_find_the_carry_of_each_expiry():
    found = implied_forwards(chain())
    np.testing.assert_allclose(found.dividend, [0.05, 0.02], atol=1e-10)
    np.testing.assert_allclose(found.forward, 100 * np.exp((0.01 - np.array([0.05, 0.02])) * found.years), rtol=1e-12)
    np.testing.assert_allclose(found.noise, 0.04 * np.exp(0.01 * found.years), rtol=1e-9)
    assert found.pairs.tolist() == [5, 5] and found.reason == (None, None) and found.approximated
    assert not implied_forwards(chain(exercise=Exercise.EUROPEAN)).approximated
    c = chain()
    np.testing.assert_allclose(dividend_by_contract(c.contracts, found, 9.0), np.repeat([0.05, 0.02], len(c) // 2), atol=1e-10)


def test_stale_wide_or_missing_quotes_make_no_forward():
    c = chain()
    first = np.arange(len(c)) < len(c) // 2
    for broken in (replace(c, quote_time=np.where(first, NOW - 400 * 10**9, NOW)), replace(c, ask=c.ask + np.where(first, 2.0, 0.0)), replace(c, bid=np.where(first, np.nan, c.bid))):
        found = implied_forwards(broken)
        assert found.reason == (Reason.NO_QUOTE, None) and np.isnan(found.forward[0]) and found.pairs.tolist() == [0, 5]
        assert dividend_by_contract(c.contracts, found, 0.03)[0] == 0.03


def test_one_wild_pair_does_not_move_the_median():
    c = chain()
    row = int(np.flatnonzero((c.contracts.strike == 100.0) & c.contracts.is_call)[0])
    wild = replace(c, bid=np.where(np.arange(len(c)) == row, c.bid + 0.3, c.bid), ask=np.where(np.arange(len(c)) == row, c.ask + 0.3, c.ask))
    assert implied_forwards(wild).forward[0] == pytest.approx(implied_forwards(c).forward[0], abs=1e-9)


def test_forwards_of_what_expired_or_has_no_spot():
    late = implied_forwards(replace(chain(), ts=NOW + 20 * DAY), max_age_seconds=1e9)
    assert late.reason[0] is Reason.EXPIRED and np.isnan(late.dividend[0])
    assert implied_forwards(chain().with_spot(np.nan, "none")).reason == (Reason.NO_SPOT, Reason.NO_SPOT)
