"""Static arbitrage at the quotes: found where it is, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from quanticity.analytics.pricing import black_scholes_price
from quanticity.core.types import Exercise, Settlement
from quanticity.market.arbitrage import butterfly_violations, calendar_violations, check_static_arbitrage, vertical_violations
from quanticity.market.chain import Contracts, OptionChain

DAY = 86_400 * 10**9
START = 20_000 * DAY


def chain(exercise=Exercise.EUROPEAN, rate=0.04, dividend=0.01, half=0.01, vol=0.2, days=(7, 30, 90)):
    rows = [(float(k), d, c) for d in days for k in range(80, 121, 5) for c in (True, False)]
    strike, day, call = (np.array(x) for x in zip(*rows, strict=True))
    value = black_scholes_price(100.0, strike, day / 365, rate, dividend, vol, call)
    if exercise is Exercise.AMERICAN:
        value = np.maximum(value, np.where(call, 100.0 - strike, strike - 100.0))
    n = len(rows)
    listed = Contracts("XYZ", "XYZ", strike, 20_000 + day, START + day * DAY, call, np.full(n, 100.0), exercise, Settlement.CASH)
    bid, ask = np.where(value > half, value - half, np.nan), value + half
    return OptionChain(1, START, listed, 100.0, "quote", rate, dividend, bid, ask, np.ones(n), np.ones(n), np.zeros(n, np.int64), np.zeros(n), np.ones(n), np.full(n, vol))


def spoilt(c, row, by):
    move = by * (np.arange(len(c)) == row)
    return replace(c, bid=c.bid + move, ask=c.ask + move)


@pytest.mark.parametrize("exercise", list(Exercise))
@pytest.mark.parametrize(("rate", "dividend"), [(0.0, 0.0), (0.04, 0.0), (0.04, 0.02)])
def test_a_consistent_chain_has_none(exercise, rate, dividend):
    if exercise is Exercise.AMERICAN:
        rate = dividend = 0.0  # else the European formula is no American price
    assert check_static_arbitrage(chain(exercise, rate, dividend)).total == 0


@pytest.mark.parametrize("by", [0.4, -0.4])
def test_any_spoilt_quote_is_found(by):
    c = chain()
    assert all(check_static_arbitrage(spoilt(c, row, by)).total > 0 for row in range(len(c)) if c.bid[row] > 0.4)


def test_each_kind_is_named():
    c = chain(days=(30,))
    k, call = c.contracts.strike, c.contracts.is_call
    row = int(np.flatnonzero((k == 100) & call)[0])
    wide = replace(c, spot=np.nan)
    found = check_static_arbitrage(spoilt(wide, row, 1.2))
    assert found.butterfly > 0 and found.vertical == found.calendar == found.parity == found.bounds == 0
    assert check_static_arbitrage(spoilt(wide, row, 4.0)).vertical > 0
    assert check_static_arbitrage(spoilt(c, row, 0.06)).parity == 1
    deep = int(np.flatnonzero((k == 80) & call)[0])
    assert check_static_arbitrage(spoilt(c, deep, -0.5)).bounds == 1


def test_calendars_between_any_two_expiries():
    c = chain()
    far = np.flatnonzero((c.contracts.strike == 100) & c.contracts.is_call)
    ask = c.ask.copy()
    ask[far[2]] = c.bid[far[0]] - 0.05  # the 90-day call for less than the 7-day one
    bid = c.bid.copy()
    bid[far[2]] = np.nan
    assert check_static_arbitrage(replace(c, ask=ask, bid=bid, spot=np.nan)).calendar >= 2


def test_missing_sides_and_expired_rows_take_no_part():
    c = chain()
    nothing = np.full(len(c), np.nan)
    assert check_static_arbitrage(replace(c, bid=nothing, ask=nothing)).total == 0
    over = replace(c, ts=START + 91 * DAY, bid=c.bid + 5)
    assert check_static_arbitrage(over).total == 0


def test_by_brute_force():
    rng = np.random.default_rng(4)
    for _ in range(200):
        n = 6
        k = np.sort(rng.choice(np.arange(80.0, 120.0), n, replace=False))
        bid = np.round(np.maximum(100 - k, 0) + rng.random(n) * 4, 2)
        ask = bid + np.round(rng.random(n) * 2 + 0.01, 2)
        bid[rng.random(n) < 0.2] = np.nan
        ask[rng.random(n) < 0.2] = np.nan
        bodies = sum(any(np.isfinite(ask[i] + ask[j] + bid[m]) and (ask[i] * (k[j] - k[m]) + ask[j] * (k[m] - k[i])) / (k[j] - k[i]) < bid[m] - 1e-9
                         for i in range(m) for j in range(m + 1, n)) for m in range(n))
        dear = sum(any((i < j and bid[j] > ask[i] + 1e-9) or (i > j and bid[j] - ask[i] > k[i] - k[j] + 1e-9) for i in range(n) if i != j) for j in range(n))
        assert (butterfly_violations(k, bid, ask), vertical_violations(k, bid, ask, 1.0, True)) == (bodies, dear)
        later = ask + rng.normal(0, 1, n)
        assert calendar_violations(k, bid, k, later, 0.1, 0.0, 0.0, True, True) == sum(any(bid[i] > later[j] + 1e-9 for j in range(i + 1)) for i in range(n))
