"""A fair market is fair: of 1,000 simple rules no more earn or lose before costs than chance says; and where an edge is planted, the matching rule finds it.

The rules trade the spot and options at their middles, by what was shown before. They are alike (many follow the same spot), so besides the binomial bound the number of rules that
stand out is compared with what it is when the signs of whole days are drawn at random, which keeps the rules' likeness.
"""

from dataclasses import replace

import numpy as np
import pytest

from quanticity.feeds.simulator import DEMO_DAY, Extras, PlantedEdge, SimulatorParameters, sessions_from, simulate

pytestmark = [pytest.mark.slow, pytest.mark.untraced]
FAIR = SimulatorParameters(fair=True, strikes=6, strike_step=5.0, expiries=2, trades=20.0, underlying_trades=6.0)
PLAIN = Extras(books=None, levels=False)
LOOKBACKS, HOLDS = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120), (1, 5, 15, 30, 60)
RULES = 1_000


def shown(session):
    """Per minute: the spot's middle, and every contract's (last one shown)."""
    q, u = session.quotes, session.underlying_quotes
    middle = np.full((len(u), len(session.contracts)), np.nan)
    middle[np.searchsorted(u.ts, q.ts), q.index] = (np.nan_to_num(q.bid) + q.ask) / 2
    row = np.where(np.isnan(middle), 0, np.arange(len(u))[:, None])
    return (u.bid + u.ask) / 2, np.take_along_axis(middle, np.maximum.accumulate(row, axis=0), axis=0)


def flows(session, spot, middle):
    """Signed volume of option trades (by the middle that stood), and of the underlying's prints, in each minute before the quote of that minute."""
    ts, t, u = session.underlying_quotes.ts, session.trades, session.underlying_trades
    k, j = (np.maximum(np.searchsorted(ts, x.ts, side="right") - 1, 0) for x in (t, u))
    toward = np.where(session.contracts.is_call[t.index], 1, -1) * np.sign(t.price - middle[k, t.index]) * t.size
    prints = np.sign(u.price - spot[j]) * u.size
    return (np.bincount(np.minimum(i + 1, len(ts)), x, len(ts) + 1)[: len(ts)] for i, x in ((k, toward), (j, prints)))


def signals(session, spot, middle):
    """Positions by minute, from what was shown up to it: momentum (its opposite is reversion), flow, volume, hours of the day."""
    out, n = [], len(spot)

    def over(x, lag):
        total = np.cumsum(x)
        return np.sign(total - np.concatenate([np.zeros(lag), total[:-lag]]))

    move = np.diff(np.log(spot), prepend=np.log(spot[0]))
    options, prints = flows(session, spot, middle)
    for lag in LOOKBACKS:
        out += [over(move, lag), over(options, lag), over(prints, lag), over(np.abs(move) - np.abs(move).cumsum() / np.arange(1, n + 1), lag)]
    for start in range(0, 360, 60):
        out.append(((np.arange(n) >= start) & (np.arange(n) < start + 60)).astype(float))
    return out


def profits(session, rules=RULES):
    """Of each rule, the day's profit in units of the instrument's first price: signal x instrument x holding time, entries every holding time."""
    spot, middle = shown(session)
    c, day = session.contracts, np.unique(session.contracts.expiry_day)
    books = [spot / spot[0]]
    for expiry in day[:2]:
        for moneyness, call in ((1.0, True), (1.0, False), (0.99, False), (1.01, True)):
            rows = np.flatnonzero((c.expiry_day == expiry) & (c.is_call == call))
            row = rows[np.argmin(np.abs(c.strike[rows] - spot[0] * moneyness))]
            books.append(middle[:, row] / spot[0])
    out = []
    for hold in HOLDS:
        for signal in signals(session, spot, middle):
            at = np.arange(1, len(spot) - hold, hold)
            out += [float(signal[at] @ (price[at + hold] - price[at])) for price in books]
    return np.array(out)[np.linspace(0, len(out) - 1, rules).astype(int)] if rules else np.array(out)


def statistics(table):
    return table.mean(axis=0) / (table.std(axis=0, ddof=1) / np.sqrt(len(table)))


def outstanding(table, level=1.96):
    """Share of rules whose mean profit is further from zero than that many of its standard errors."""
    return float(np.mean(np.abs(statistics(table)) > level))


@pytest.fixture(scope="module")
def fair_days():
    days = sessions_from(DEMO_DAY, 6)
    return np.array([profits(one.session) for seed in range(20) for one in simulate(seed, days, ("SPXW",), FAIR, extras=PLAIN)])


def test_no_more_of_1000_rules_earn_or_lose_than_chance_says(fair_days):
    assert fair_days.shape == (120, RULES) and (fair_days.std(axis=0) > 0).all()
    bound = 0.05 + 3 * np.sqrt(0.05 * 0.95 / RULES)  # binomial, three deviations
    rng = np.random.default_rng(1)
    chance = np.sort([outstanding(fair_days * rng.choice([-1.0, 1.0], (len(fair_days), 1))) for _ in range(400)])
    seen = outstanding(fair_days)
    print(f"{seen:.1%} of the rules stand out; by chance {chance.mean():.1%} on average, under {chance[395]:.1%} in 99 of 100 cases; binomial bound {bound:.1%}")
    assert seen <= max(bound, chance[395])
    assert outstanding(fair_days, 5.0) == 0  # none stands far out


@pytest.mark.parametrize(("kind", "sign"), [("momentum", 1), ("reversion", -1)])
def test_a_planted_edge_is_found_by_the_matching_rule_and_has_the_stated_size(kind, sign):
    edge = PlantedEdge(kind, 2.5e-4, half_life=300.0, lookback=600.0)
    p = replace(FAIR, fair=False, edges=(edge,), feedback=False, variance_noise=0.0, leverage=0.0)
    table, caught = [], []
    for seed in range(5):
        for one in simulate(seed, sessions_from(DEMO_DAY, 3), ("SPXW",), p, extras=PLAIN):
            spot, _ = shown(one.session)
            x = np.log(spot)
            signal = np.zeros(len(x))
            signal[10:] = np.sign(x[10:] - x[:-10])
            table.append(sign * float(signal[:-1] @ np.diff(x)))
            caught.append(float(np.abs(signal).sum()))
            assert one.truth.effects[0].kind == kind and one.truth.effects[0].size == 2.5e-4 and len(one.truth.effects[0].ts) > 300
    t = np.mean(table) / (np.std(table, ddof=1) / np.sqrt(len(table)))
    assert t > 4
    earned = np.sum(table) / np.sum(caught)  # a log return a minute; each signal brings its size in all, most of it while the signal lasts
    assert 0.15 < earned / 2.5e-4 < 1.2  # a reversion signal soon turns
