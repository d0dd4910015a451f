"""Quotes around values, and the customers' orders."""

from datetime import date

import numpy as np
import pytest

from quanticity.feeds.sim_calibration import GOOG_2015, SPX_2021, moneyness
from quanticity.feeds.sim_flow import Flow, arrival_times, execute, parents, stock_orders
from quanticity.feeds.sim_market import day_grid, listing
from quanticity.feeds.sim_parameters import SimulatorParameters, generator
from quanticity.feeds.sim_quotes import QuoteBook, SpreadMood, opening, quote_sizes, spread_target
from quanticity.feeds.sim_surface import MICRO
from quanticity.feeds.sim_truth import FlowKind, Participant

P = SimulatorParameters()
DAY = date(2026, 3, 20)


@pytest.mark.parametrize("steps", [(10_000, 10_000), (10_000, 50_000), (50_000, 100_000)])
@pytest.mark.parametrize("fair", [False, True])
def test_the_value_is_always_inside_and_prices_on_the_grid(steps, fair):
    rng, n = np.random.default_rng(1), 400
    book = QuoteBook(n, steps, SimulatorParameters(fair=fair))
    value = np.rint(10 ** rng.uniform(2, 8, n)).astype(np.int64)
    alive = np.ones(n, bool)
    bid, ask = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for k in range(60):
        if k % 10 == 0:
            book.retarget(np.rint(10 ** rng.uniform(3, 6, n)).astype(np.int64))
        rows = book.update(value, alive)
        assert (np.diff(rows) > 0).all()
        same = np.ones(n, bool)
        same[rows] = False
        assert np.array_equal(bid[same], book.bid[same]) and np.array_equal(ask[same], book.ask[same])  # nothing changes without a row
        bid, ask = book.bid.copy(), book.ask.copy()
        assert (bid <= value).all() and (value <= ask).all() and (bid < ask).all()
        for side in (bid, ask):
            assert (side % np.where(side > 3 * MICRO, steps[1], steps[0]) == 0).all()
        value = np.maximum(np.rint(value * np.exp(0.02 * rng.standard_normal(n))).astype(np.int64), 0)


def test_a_quote_stays_while_the_value_hardly_moves():
    book = QuoteBook(1, (10_000, 10_000), P)
    book.retarget(np.array([200_000]))
    assert book.update(np.array([5 * MICRO]), np.ones(1, bool)).tolist() == [0]
    assert book.update(np.array([5 * MICRO + 30_000]), np.ones(1, bool)).tolist() == []  # under 0.4 of the half spread
    assert book.update(np.array([5 * MICRO + 50_000]), np.ones(1, bool)).tolist() == [0]
    book.withdraw()
    assert book.update(np.array([5 * MICRO + 50_000]), np.ones(1, bool)).tolist() == []  # made anew, and the same
    assert book.update(np.array([9 * MICRO]), np.zeros(1, bool)).tolist() == []  # has stopped trading


def test_spreads_follow_the_calibration():
    m, years = np.array([-1.0, 0.0, 1.0, 2.0]), np.full(4, 7 / 365)
    one = np.ones(4)
    target = spread_target(748.4, m, years, one, 1.0, SimulatorParameters(spread=1.0), GOOG_2015) / MICRO
    assert np.allclose(target, 748.4e-4 * np.array([29.92, 9.8, 3.52, 2.47]) * [1, 1, 1, 1], rtol=0.5) and (np.diff(target) < 0).all()
    assert np.allclose(spread_target(748.4, m, years, one, 2.0, SimulatorParameters(spread=0.5), GOOG_2015) / MICRO, target)
    assert opening(0) == 3.0 and opening(3600) < 1.001
    mood = SpreadMood(generator(1), 5_000, GOOG_2015)
    first, second = np.log(mood.next_minute()), np.log(mood.next_minute())
    assert abs(first.std() - np.hypot(0.475, 0.186)) < 0.03 and np.corrcoef(first, second)[0, 1] > 0.9


def test_sizes_are_whole_and_around_the_calibrated_median():
    rows = np.arange(20_000)
    sizes = quote_sizes(generator(2), rows, np.zeros(20_000), np.random.default_rng(1).standard_normal(20_000), SPX_2021)
    assert (sizes >= 1).all() and (sizes == np.rint(sizes)).all() and 15 <= np.median(sizes[0]) <= 20
    assert 0.1 < np.corrcoef(np.log(sizes))[0, 1]


def market(trades=60.0):
    p = SimulatorParameters(trades=trades)
    grid, listed = day_grid("SIM", DAY, 60, p), listing("SIM", DAY, 500.0, p)
    years = (listed.expires_at - grid.opens) / (365 * 86_400e9)
    return p, grid, listed, moneyness(listed.strike, 500.0, 0.18, years, listed.is_call), years


def test_arrivals_cluster_and_keep_their_mean():
    _, grid, *_ = market()
    number = [len(arrival_times(generator(s), grid, 60.0, GOOG_2015.arrivals_profile)) for s in range(20)]
    assert abs(np.mean(number) / (60 * 390) - 1) < 0.02
    ts = arrival_times(generator(1), grid, 60.0, (1.0, 0.0, 0.1, 0.0, 0.1), branching=0.0)
    a_minute = np.bincount((ts - grid.opens) // 60_000_000_000, minlength=390)
    assert 0.8 < a_minute.var() / a_minute.mean() < 1.25  # without children: Poisson
    assert ts.min() >= grid.opens and ts.max() < grid.closes and len(arrival_times(generator(1), grid, 0.0, GOOG_2015.arrivals_profile)) == 0


def test_parents_are_numbered_as_they_come_and_signs_remember():
    number = parents(generator(1), 60_000)
    first = np.unique(number, return_index=True)[1]
    assert (np.diff(first) > 0).all()
    sign = np.where(np.random.default_rng(2).random(number.max() + 1) < 0.5, -1, 1)[number]
    memory = [np.mean(sign[k:] * sign[:-k]) for k in (1, 4, 16, 64)]
    assert memory[0] > 0.15 and memory[2] > 0.01 and (np.diff(memory) < 0).all()


@pytest.mark.parametrize("move", [-1, 1])
def test_flows_do_what_they_are_called(move):
    p, grid, listed, m, years = market(200.0)
    flow = Flow(generator(3), listed, grid, p, GOOG_2015, 100)
    o = flow.plan(grid.closes, m, years, np.ones(len(listed), bool), move)
    call = listed.is_call[o.row]
    assert (call[o.flow == FlowKind.MOMENTUM] == (move > 0)).all() and (o.sign[o.flow == FlowKind.MOMENTUM] == 1).all()
    assert (call[o.flow == FlowKind.REVERSION] == (move > 0)).all() and (o.sign[o.flow == FlowKind.REVERSION] == -1).all()
    hedging = o.flow == FlowKind.HEDGING
    assert (o.sign[hedging] == np.where(call[hedging], -1, 1)).all()
    retail = o.participant == Participant.RETAIL
    assert (o.parent[retail] == -1).all() and (o.parent[~retail] >= 100).all() and abs(retail.mean() - p.retail) < 0.1
    assert not (o.flow[retail] == FlowKind.HEDGING).any() and o.size[retail].mean() < o.size[~retail].mean() and o.size.min() >= 1
    same = {int(k): set(zip(o.row[o.parent == k].tolist(), o.sign[o.parent == k].tolist(), strict=True)) for k in np.unique(o.parent[~retail])[:200]}
    assert all(len(v) == 1 for v in same.values())  # all pieces of a parent are the same contract and side


def test_nobody_trades_what_does_not_live():
    p, grid, listed, m, years = market()
    alive = listed.expiry_day > listed.expiry_day[0]
    o = Flow(generator(3), listed, grid, p, GOOG_2015, 0).plan(grid.closes, m, years, alive, 0)
    assert len(o) > 1_000 and alive[o.row].all()
    assert len(Flow(generator(3), listed, grid, p, GOOG_2015, 0).plan(grid.closes, m, years, np.zeros(len(listed), bool), 0)) == 0


def test_trades_are_at_or_inside_the_quotes():
    p, grid, listed, m, years = market()
    o = Flow(generator(4), listed, grid, p, GOOG_2015, 0).plan(grid.closes, m, years, np.ones(len(listed), bool), 1)
    rng = np.random.default_rng(1)
    bid = rng.integers(0, 100, len(listed)) * 10_000
    ask = bid + rng.integers(1, 20, len(listed)) * 10_000
    price, done = execute(o, bid, ask, (10_000, 10_000), GOOG_2015)
    b, a = bid[o.row], ask[o.row]
    assert ((price >= b) & (price <= a) & (price % 10_000 == 0) & (price > 0))[done].all()
    assert (~done == ((b == 0) & (o.sign < 0))).all()
    one = (a - b == 10_000) & (b > 0)
    assert (price[one] == np.where(o.sign > 0, a, b)[one]).all()  # a spread of one step has no inside
    assert not execute(o, bid * 0, ask * 0, (10_000, 10_000), GOOG_2015)[1].any()  # no quotes yet


def test_the_underlyings_prints_make_up_its_volume():
    p, grid, *_ = market()
    total = np.mean([stock_orders(generator(s), grid, p, 0).size.sum() for s in range(8)])
    assert abs(total / p.underlying_volume - 1) < 0.1
