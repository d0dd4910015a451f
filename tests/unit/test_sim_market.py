"""Parameters, random numbers, regimes, the variance clock and what is listed."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from quanticity.core.clock import expiry_close, next_session
from quanticity.core.errors import ConfigError, UserError
from quanticity.feeds.sim_market import (clock_until, contract_keys, day_grid, elapsed, listed_expiries, listing, night_share, regime_path, settles_at,
                                         transitions, variance_ahead)
from quanticity.feeds.sim_parameters import REGIMES, PlantedEdge, Regime, SimulatorParameters, counts, generator, normals, poisson, price_steps
from quanticity.market.chain import nanoseconds

P = SimulatorParameters()
DAY = date(2026, 3, 20)


def test_streams_have_names():
    assert generator(1, "a").random() == generator(1, "a").random() != generator(1, "b").random()
    assert generator(12, "3").random() != generator(1, "23").random()
    with pytest.raises(ConfigError, match="seed = -3"):
        generator(-3)


def test_draws_have_their_laws():
    assert abs(normals(generator(1), 40_000).std() - 1) < 0.01
    assert np.array_equal(normals(generator(2), 10, 2)[:4], normals(generator(2), 4, 2))  # a longer day begins with the same draws
    n = poisson(generator(3), np.repeat([0.0, 0.4, 30.0, 200.0], 20_000)).reshape(4, -1)
    assert np.allclose(n.mean(axis=1), [0, 0.4, 30, 200], rtol=0.02) and np.allclose(n.var(axis=1), [0, 0.4, 30, 200], rtol=0.05)
    assert counts(generator(4), 0.0, 100).max() == 1


@pytest.mark.parametrize(("change", "message"), [
    ({"price_grid": "gold"}, "price_grid 'gold'"), ({"regimes": ()}, "0 regimes"), ({"u_shape": 3.0}, "u_shape = 3.0"), ({"news": ((10.0, -1.0),)}, "news"),
    ({"halts": ((-1.0, 5.0),)}, "halts"), ({"correlation": -1.5}, "correlation = -1.5"), ({"expiries": 0}, "expiries = 0"), ({"hedge_seconds": 0.0}, "hedge_seconds"),
    ({"day_shape": (1.0, 2.0)}, "day_shape"), ({"strike_step": 0.0004, "strikes": 5}, "tenths of a cent"), ({"strikes": 2.5}, "whole numbers"), ({"expiries": 3.7}, "whole numbers"),
    ({"spot": 750_000.0, "strike_step": 2_500.0}, "five digits"), ({"fair": True, "edges": (PlantedEdge("flow", 1e-4),)}, "fair market"),
])
def test_impossible_parameters_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        SimulatorParameters(**change)


def test_price_steps_by_class():
    assert [price_steps(s, P) for s in ("SPY", "IBM", "SPX")] == [(10_000, 10_000), (10_000, 50_000), (50_000, 100_000)]
    assert price_steps("SPX", replace(P, price_grid="penny")) == (10_000, 50_000)
    assert price_steps("IBM", replace(P, fair=True)) == (100, 100)


def test_regimes_are_a_markov_chain_whose_beginning_does_not_depend_on_its_length():
    path = regime_path(5, 4_000, REGIMES)
    assert path[0] == 0 and np.array_equal(path[:50], regime_path(5, 50, REGIMES))
    seen = np.array([[np.mean(path[1:][path[:-1] == i] == j) for j in range(4)] for i in range(4)])
    assert np.abs(seen - transitions(REGIMES)).max() < 0.06
    assert (regime_path(5, 100, (Regime("only"),)) == 0).all()


def test_expected_variance_returns_to_its_mean_and_foresight_is_exact():
    path = np.array([1, 1, 0, 2])
    ahead = variance_ahead(path, 0, 300, REGIMES, False)
    assert ahead[0] == 2.6 and (np.diff(ahead[:20]) < 0).all() and abs(ahead[-1] - ahead[-2]) < 1e-6
    assert variance_ahead(path, 1, 3, REGIMES, True).tolist() == [2.6, 0.8, 0.7]


def test_the_clock_adds_up():
    grid = day_grid("SIM", DAY, 60, P)
    days = [DAY]
    while len(days) < 6:
        days.append(next_session(days[-1]).date)
    ends = np.array([nanoseconds(expiry_close(d, "SIM")) for d in days])
    m = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 1.0])
    until = clock_until("SIM", grid, ends, m, P) * 252
    assert np.allclose(np.diff(until), m[1:]) and np.isclose(until[0], 1 - night_share(P))
    assert np.allclose(clock_until("SIM", grid, grid.times[1:], np.ones(1), P) * 252, np.cumsum(grid.share)[1:] * (1 - night_share(P)), atol=1e-9)


@pytest.mark.parametrize("p", [P, replace(P, u_shape=0.0), replace(P, day_shape=(0.7, 4.3, 0.07, 0.9, 0.02))])
def test_variance_passes_from_nothing_to_all(p):
    done = elapsed(np.linspace(-0.1, 1.1, 50), p)
    assert done[0] == 0 and np.isclose(done[-1], 1) and (np.diff(done) >= 0).all()


def test_steps_cover_the_session():
    grid = day_grid("SPXW", date(2026, 11, 27), 7, P)
    assert grid.times[0] == grid.opens and grid.times[-1] == grid.closes and (np.diff(grid.times) > 0).all()
    assert grid.closes - grid.stock_close == 15 * 60 * 10**9 and np.isclose(grid.share.sum(), 1) and grid.weight == 0.6
    with pytest.raises(ConfigError, match="step_seconds = 0"):
        day_grid("SIM", DAY, 0, P)
    with pytest.raises(UserError, match="no session"):
        day_grid("SIM", date(2026, 3, 22), 60, P)


@pytest.mark.parametrize("symbol", ["SIM", "SPXW", "SPX", "VIX"])
@pytest.mark.parametrize("day", [DAY, date(2026, 3, 31), date(2026, 11, 27), date(2026, 12, 18)])
def test_expiries_are_sessions_in_order_and_not_over(symbol, day):
    expiries = listed_expiries(symbol, day, 9)
    assert len(expiries) == 9 == len(set(expiries)) and expiries == sorted(expiries) and expiries[0] >= day
    listed = listing(symbol, day, 500.0, P)
    grid = day_grid(symbol, day, 60, P)
    assert (listed.expires_at > grid.opens).all() and (listed.strike > 0).all() and (np.diff(contract_keys(listed)) > 0).all()
    assert listed.is_call[::2].all() and not listed.is_call[1::2].any()


def test_what_is_held_stays_listed():
    before = listing("SIM", DAY, 500.0, P)
    after = listing("SIM", DAY + timedelta(days=3), 600.0, P, held=contract_keys(before))
    later = before.expiry_day > (DAY - date(1970, 1, 1)).days
    assert np.isin(contract_keys(before)[later], contract_keys(after)).all() and not np.isin(contract_keys(before)[~later], contract_keys(after)).any()


def test_the_index_monthly_stops_the_evening_before_it_settles():
    thursday = listing("SPX", date(2026, 4, 16), 500.0, P)
    first = int(thursday.expiry_day[0])
    assert first == (date(2026, 4, 17) - date(1970, 1, 1)).days
    assert (settles_at(thursday)[0] - thursday.expires_at[0]) / 3.6e12 == 17.25
    assert listing("SPX", date(2026, 4, 17), 500.0, P).expiry_day[0] > first
