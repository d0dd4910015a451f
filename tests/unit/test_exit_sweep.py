"""The sweep of exits makes the trades that the matching engine makes, on simulated days and on panels full of ties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.errors import DataError, UserError
from quanticity.core.types import OrderRole, OrderTicket, OrderType, Side
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.market.chain import timestamp
from quanticity.market.commissions import commission, schedule_on
from quanticity.market.matching import Filled, MatchingEngine, Quote
from quanticity.research.exit_panel import UNITS, Entries, entries, entries_every, exit_panel, units_of
from quanticity.research.exit_sweep import HOW, ExitSets, exit_grid, exit_random, exit_statistics, sweep_exits


@pytest.fixture(scope="module")
def panel():
    return exit_panel(simulate_session(11, parameters=SimulatorParameters(strikes=6, expiries=2)))


def rounded(price: int, points: int, tick: int) -> int:
    return (2 * price * points + 10_000 * tick) // (20_000 * tick) * tick


def by_engine(swept, number, entry, latency, tick):
    """One trade by the matching engine: bracket in the step of the decision, then a market order in the group of the exits when the time has come."""
    p, e, s = swept.panel, swept.entries, swept.sets
    c, begin = int(e.contract[entry]), int(e.step[entry])
    contract = p.listed.contract(int(p.rows[c]))
    order = lambda name, side, kind, role, **more: OrderTicket(name, "s", contract, side, kind, 1, role, **more)
    engine, exits, now = MatchingEngine(latency), dict(parent_id="entry", oca_group="exits"), int(p.times[begin])
    good = timestamp(int(p.times[e.good[entry]])) if e.good[entry] < p.steps else None
    if e.limit[entry]:
        engine.submit(order("entry", Side.BUY, OrderType.LIMIT, OrderRole.ENTRY, limit_price=e.limit[entry] / UNITS, good_till=good), now)
    else:
        engine.submit(order("entry", Side.BUY, OrderType.MARKET, OrderRole.ENTRY, good_till=good), now)
    if s.target[number]:
        engine.submit(order("target", Side.SELL, OrderType.LIMIT, OrderRole.TARGET, limit_price=rounded(int(e.ask[entry]), 10_000 + int(s.target[number]), tick) / UNITS, **exits), now)
    stop = max(rounded(int(e.bid[entry]), 10_000 - int(s.stop[number]), tick), tick) / UNITS if s.stop[number] else None
    if s.trail[number]:
        trail = max(rounded(int(e.ask[entry]), int(s.trail[number]), tick), tick) / UNITS
        engine.submit(order("stop", Side.SELL, OrderType.TRAIL, OrderRole.STOP, stop_price=stop, trail_amount=trail, **exits), now)
    elif stop is not None:
        engine.submit(order("stop", Side.SELL, OrderType.STOP, OrderRole.STOP, stop_price=stop, **exits), now)
    due = begin + int(s.steps[number]) if s.steps[number] else 10**9
    bought, leaving = -1, False
    for t in range(begin, int(p.ends[c])):
        now, bid, ask = int(p.times[t]), int(p.bid[c, t]) / UNITS, int(p.ask[c, t]) / UNITS
        quote = Quote(now, bid or float("nan"), ask or float("nan"), 5.0, 5.0)
        if t > begin:
            for event in engine.step(now, lambda _: quote):
                if isinstance(event, Filled) and event.order_id != "entry":
                    return bought, t, round(event.price * UNITS), {"target": 0, "stop": 1, "exit": 2}[event.order_id]
                if isinstance(event, Filled):
                    bought = t
        if t >= due and not leaving:
            if bought < 0:
                engine.cancel("entry", now)
            else:
                engine.submit(order("exit", Side.SELL, OrderType.MARKET, OrderRole.EXIT, oca_group="exits"), now)
                leaving = True
    return (bought, int(p.ends[c]), int(p.settles[c]), 3) if bought >= 0 else (-1, -1, 0, 4)


def got(swept, number, entry):
    how = int(swept.how[number, entry])
    return (-1 if how == 4 else int(swept.entry_step[entry]), int(swept.exit_step[number, entry]), int(swept.exit_price[number, entry]), how)


@pytest.mark.parametrize("latency, slippage, tick", [(1, 0.0, 100), (2, 0.1, 500), (3, None, 100)])
def test_a_sample_of_trades_is_the_matching_engines(panel, latency, slippage, tick):
    bought, random = entries_every(panel, 20, slippage=slippage), np.random.default_rng(latency)
    sets = exit_random(60, 5, trail=(0.0, 0.6), steps=(1, 250))
    sets = ExitSets(sets.target * (random.random(60) < 0.8), sets.stop * (random.random(60) < 0.7), sets.trail * (random.random(60) < 0.5), sets.steps * (random.random(60) < 0.7))
    swept = sweep_exits(panel, bought, sets, latency, tick)
    seen = set()
    for number, entry in zip(random.integers(0, 60, 90), random.integers(0, len(bought), 90)):
        assert got(swept, number, entry) == by_engine(swept, number, entry, latency, tick)
        seen.add(int(swept.how[number, entry]))
    assert {0, 1, 2, 3} <= seen


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_ties_and_gaps_move_no_trade(panel, data):
    """Panels of a few prices only, so that bids equal stops and targets all the time, with sides missing and quotes standing still."""
    steps = 14
    prices = st.lists(st.sampled_from([0, 9_000, 9_500, 10_000, 10_500, 11_000, 12_000]), min_size=steps, max_size=steps)
    bid, up = np.array([data.draw(prices)]), np.array([data.draw(st.lists(st.sampled_from([0, 500]), min_size=steps, max_size=steps))])
    bid[0, 0] = 10_000
    ask = np.where(bid > 0, bid + up, np.array([data.draw(prices)]))
    small = replace(panel, times=panel.times[:steps + 1], rows=panel.rows[:1], bid=np.append(bid, [[0]], axis=1), ask=np.append(ask, [[0]], axis=1),
                    ends=np.array([steps]), settles=np.array([700]))
    one = np.array([0])
    entry = Entries(one, one, np.array([10_000]), ask[:, 0] if ask[0, 0] else np.array([10_500]), np.array([data.draw(st.sampled_from([0, 10_000, 11_000]))]), np.array([data.draw(st.integers(2, 20))]))
    shares = st.sampled_from([0, 500, 1_000, 2_000])
    sets = ExitSets(*(np.array([data.draw(shares)]) for _ in range(3)), np.array([data.draw(st.integers(0, 9))]))
    latency = data.draw(st.integers(1, 3))
    swept = sweep_exits(small, entry, sets, latency)
    assert got(swept, 0, 0) == by_engine(swept, 0, 0, latency, 100)


def test_a_bid_that_equals_the_target_sells_and_one_unit_less_does_not(panel):
    steps, one = 6, np.array([0])
    bid = np.array([[10_500, 10_500, 11_549, 11_550, 11_549, 0]])  # 1.05 and 10%: 1.155 rounds to 1.16 on cents, is 1.155 on a tick of 1
    small = replace(panel, times=panel.times[:steps], rows=panel.rows[:1], bid=bid, ask=np.full((1, steps), 10_500), ends=np.array([5]), settles=one)
    entry = Entries(one, one, np.array([10_500]), np.array([10_500]), one, np.array([6]))
    assert sweep_exits(small, entry, exit_grid(target=(0.1,)), tick=1).exit_step[0, 0] == 3
    assert HOW[sweep_exits(small, entry, exit_grid(target=(0.1,)), tick=100).how[0, 0]] == "settlement"


def test_the_panel_keeps_crossed_empty_and_late_rows_out():
    session = simulate_session(12, parameters=SimulatorParameters(strikes=3, expiries=1))
    q = session.quotes
    bid, size = q.bid.copy(), q.ask_size.copy()
    bid[::7], size[::11] = q.ask[::7] + 1.0, 0.0
    panel = exit_panel(replace(session, quotes=replace(q, bid=bid, ask_size=size)), screened=False)
    assert ((panel.bid == 0) | (panel.ask == 0) | (panel.bid <= panel.ask)).all()
    assert (panel.bid[:, 0] == 0).all()  # nothing was known at the open
    last = {int(c): i for i, c in enumerate(q.index)}
    for row, contract in enumerate(panel.rows):
        i = last[int(contract)]
        assert panel.ask[row, -1] == (units_of(q.ask[i]) if size[i] >= 1 and not bid[i] > q.ask[i] else 0)


def test_profit_is_money_in_less_money_out_less_fees(panel):
    bought, sets = entries_every(panel, 60), exit_grid(target=(0.5,), stop=(0.4,), steps=(60, 0))
    swept = sweep_exits(panel, bought, sets)
    profit, rates = swept.profit(), schedule_on(panel.date)
    for number, entry in [(0, 0), (1, 3), (0, 7), (1, 9), (1, 20)]:
        if not swept.traded[number, entry]:
            assert profit[number, entry] == 0
            continue
        paid, received = swept.entry_price[entry] / UNITS, swept.exit_price[number, entry] / UNITS
        fees = commission(rates, Side.BUY, 1, paid, 100, root="SIM").total
        if swept.how[number, entry] < 3:
            fees += commission(rates, Side.SELL, 1, received, 100, root="SIM").total
        assert profit[number, entry] == pytest.approx((received - paid) * 100 - fees, abs=1e-9)
    found = exit_statistics(swept)
    assert found["total"] == pytest.approx(profit.sum(axis=1)) and found["win_rate"] == pytest.approx((profit > 0).sum(axis=1) / swept.traded.sum(axis=1))


def test_mistakes_are_told(panel):
    for call, words in ((lambda: exit_grid(stop=(1.5,)), "more than 100%"), (lambda: exit_grid(target=(-0.1,)), "whole numbers from 0"),
                        (lambda: sweep_exits(panel, entries(panel, [0], [40]), exit_grid(), latency_steps=-1), "latency -1"),
                        (lambda: entries(panel, [999], [1]), "not there"), (lambda: panel.step_at(2**62), "after the session")):
        with pytest.raises(UserError, match=words):
            call()
    with pytest.raises(DataError, match="finer"):
        units_of([1.00005])
    with pytest.raises(DataError, match="no contract that expires"):
        session = simulate_session(12, parameters=SimulatorParameters(strikes=3, expiries=2))
        far = replace(session.contracts, expires_at=session.contracts.expires_at + 10 * 86_400 * 10**9)
        exit_panel(replace(session, contracts=far), screened=False)


def test_nothing_to_trade_is_no_error(panel):
    nothing = entries(panel, [], [])
    assert sweep_exits(panel, nothing, exit_grid(target=(0.5,))).profit().shape == (1, 0)
