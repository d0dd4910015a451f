"""What simulated options are worth: parity, no static arbitrage, and the fair law."""

from datetime import date

import numpy as np
import pytest

from quanticity.analytics.pricing import black_scholes_price, greeks
from quanticity.feeds.sim_market import clock_until, day_grid, listing, settles_at
from quanticity.feeds.sim_parameters import SimulatorParameters
from quanticity.feeds.sim_surface import MICRO, JumpLaw, SmileState, Surface, allowed, jump_law, poisson_rule, ssvi, total_variance
from quanticity.market.arbitrage import check_static_arbitrage
from quanticity.market.chain import OptionChain

DAY = date(2026, 3, 20)


def surface(symbol="SPXW", **change):
    p = SimulatorParameters(**change)
    listed, grid = listing(symbol, DAY, p.spot, p), day_grid(symbol, DAY, 60, p)
    return Surface(listed, clock_until(symbol, grid, settles_at(listed), np.ones(1), p), settles_at(listed), p), listed, grid, p


def at(s, spot, ts, state=SmileState(0.0, -0.6, 1.2), elapsed=0.0):
    price, delta = s.at(spot, ts, elapsed, state, np.zeros(len(s.settles)))
    return price / MICRO, delta / MICRO


@pytest.mark.parametrize("symbol", ["SPXW", "SIM"])
@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("state", [SmileState(x, *allowed(rho, eta)) for x in (-1.5, 0.0, 2.0) for rho, eta in ((-0.9, 9.0), (0.4, 0.3), (-0.6, 1.2))])
def test_values_have_no_static_arbitrage(symbol, fair, state):
    s, listed, grid, p = surface(symbol, expiries=7, strikes=30, fair=fair, jumps=0.5, jump_size=0.01)
    for spot in (480.0, 503.33):
        price, _ = at(s, spot, grid.opens, state)
        n = len(listed)
        chain = OptionChain(1, grid.opens, listed, spot, "quote", p.rate, p.dividend, price, price, np.ones(n), np.ones(n), np.zeros(n, np.int64), np.zeros(n),
                            np.ones(n), np.ones(n))
        assert check_static_arbitrage(chain, tolerance=5e-6).total == 0


def test_prices_and_deltas_are_blacks():
    s, listed, grid, p = surface(curvature=1e-9)
    price, delta = at(s, 500.0, grid.opens, SmileState(0.0, 0.0, 1e-9))
    years = (listed.expires_at - grid.opens) / (365 * 86_400e9)
    theta = total_variance(np.repeat(s.clock[s.expiry], 2), 0.0, 0.0, p)
    vol = np.sqrt(theta / years)
    assert np.allclose(price, black_scholes_price(500.0, listed.strike, years, p.rate, p.dividend, vol, listed.is_call), atol=2e-6)
    reference = greeks(500.0, listed.strike, years, p.rate, p.dividend, vol, listed.is_call).delta
    known = np.isfinite(reference)
    assert known.sum() > 100 and np.allclose(delta[known], reference[known], atol=2e-6)


def test_volatility_is_what_the_price_implies():
    for fair in (False, True):
        s, listed, grid, p = surface(fair=fair, jumps=0.5, jump_size=0.01)
        state = SmileState(0.3, -0.5, 1.0)
        years = (listed.expires_at - grid.opens) / (365 * 86_400e9)
        vol = s.volatility(500.0, grid.opens, 0.0, state, np.zeros(len(s.settles)))
        price, _ = at(s, 500.0, grid.opens, state)
        worth = price > 0.01
        assert np.allclose(black_scholes_price(500.0, listed.strike, years, p.rate, p.dividend, vol, listed.is_call)[worth], price[worth], atol=2e-3)


def test_the_level_moves_near_volatility_more_than_far_and_never_breaks_the_order_of_expiries():
    clock, p = np.array([1.0, 20.0, 250.0]) / 252, SimulatorParameters()
    normal = total_variance(clock, 0.0, 0.0, p)
    high, low = total_variance(clock, 1.0, 0.0, p) / normal, total_variance(clock, -1.0, 0.0, p) / normal
    assert (np.diff(high) < 0).all() and (np.diff(low) > 0).all() and np.isclose(normal[2], p.volatility**2 * clock[2])
    fine = np.linspace(1e-6, 2, 2_000)
    assert all((np.diff(total_variance(fine, x, 0.0, p)) > 0).all() for x in (-2.0, 3.0))


def test_american_puts_are_worth_their_exercise():
    s, listed, grid, _ = surface("SIM", strikes=60)
    price, _ = at(s, 500.0, grid.opens)
    assert (price >= np.where(listed.is_call, 500.0 - listed.strike, listed.strike - 500.0) - 1e-9).all()
    s, listed, grid, _ = surface("SPXW", strikes=60)
    price, _ = at(s, 500.0, grid.opens)
    assert (price[~listed.is_call] < listed.strike[~listed.is_call] - 500.0).any()  # European ones are not


def test_at_expiry_what_is_left_is_the_payoff():
    s, listed, grid, p = surface("SIM", expiries=1)
    price, delta = at(s, 501.23, int(listed.expires_at[0]), elapsed=float(s.clock[0]))
    assert np.allclose(price, np.maximum(np.where(listed.is_call, 501.23 - listed.strike, listed.strike - 501.23), 0.0), atol=2e-3)
    assert set(np.round(np.abs(delta), 3).tolist()) <= {0.0, 1.0}


def test_the_poisson_rule_integrates():
    means = np.array([0.0, 1e-3, 0.7, 12.0])
    nodes, weights = poisson_rule(means)
    for a in (-0.02, 0.01):
        assert np.allclose((weights * np.exp(a * nodes)).sum(axis=1), np.exp(means * np.expm1(a)), rtol=1e-10)


def test_the_fair_price_is_mertons_series():
    s, listed, grid, p = surface(fair=True, jumps=0.4, jump_size=0.01, rate=0.0)
    price, _ = at(s, 500.0, grid.opens)
    law, clock = jump_law(p), np.repeat(s.clock[s.expiry], 2)
    total, weight, shift = np.zeros(len(listed)), np.exp(-law.rate * clock), -law.rate * clock * law.growth
    for n in range(60):
        w = (p.volatility**2 - law.variance) * clock + n * law.deviation**2
        total += weight * black_scholes_price(500.0 * np.exp(shift + n * np.log1p(law.growth)), listed.strike, 1.0, 0.0, 0.0, np.sqrt(w), listed.is_call)
        weight = weight * law.rate * clock / (n + 1)
    assert np.allclose(price, total, atol=5e-4)


def test_jumps_never_take_more_than_their_share_of_the_variance():
    law = jump_law(SimulatorParameters(jumps=500.0, jump_size=0.05))
    assert np.isclose(law.variance, 0.6 * 0.18**2) and JumpLaw(1.0, 0.0, 0.1).growth == pytest.approx(np.expm1(0.005))


def test_ssvi_at_the_money_is_theta():
    theta = np.array([1e-5, 1e-2, 0.3])
    assert np.allclose(ssvi(np.zeros(3), theta, SmileState(0.0, -0.7, 1.1), 0.5), theta)


def test_contracts_must_come_in_pairs():
    _, listed, grid, p = surface()
    from dataclasses import replace
    with pytest.raises(ValueError, match="alternate"):
        Surface(replace(listed, is_call=~listed.is_call), np.ones(len(listed)), listed.expires_at, p)
