"""The path, the loop of a day, sessions in a row and their truth."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from quanticity.core.errors import ConfigError
from quanticity.feeds.sim_auction import AuctionParameters
from quanticity.feeds.sim_calibration import suggested, trade_places
from quanticity.feeds.sim_day import Positions, news_ahead, sessions_ahead
from quanticity.feeds.sim_depth import DepthParameters
from quanticity.feeds.sim_market import clock_until, contract_keys, day_grid, listing, settles_at
from quanticity.feeds.sim_parameters import total
from quanticity.feeds.sim_path import NANO, EdgeState, PathState, log_billionths, plan_day, take_step
from quanticity.feeds.sim_session import standing
from quanticity.feeds.sim_surface import Surface, jump_law
from quanticity.feeds.sim_truth import EventKind, FlowKind, Participant, check_truth
from quanticity.feeds.simulator import DEMO_DAY, Extras, PlantedEdge, Regime, SimulatorParameters, sessions_from, simulate, simulate_session, stream
from quanticity.market.arbitrage import check_static_arbitrage
from quanticity.market.chain import nanoseconds
from quanticity.market.session import ChainState, batches, session_digest
from quanticity.market.tape import NoticeKind

SMALL = SimulatorParameters(strikes=6, trades=20.0, underlying_trades=8.0)
RICH = replace(SMALL, news=((30.0, 0.004),), halts=((100.0, 10.0),), edges=(PlantedEdge("flow", 1e-4), PlantedEdge("time_of_day", 1e-5)))
MINUTE = 60 * 10**9


@pytest.fixture(scope="module")
def rich():
    return next(simulate(4, [DEMO_DAY], ("SIM",), RICH))


# -- the path -------------------------------------------------------------------------------------------------------------------


def walk(seed, p):
    grid = day_grid("SIM", DEMO_DAY, 300, p)
    plan = plan_day(seed, "SIM", grid, p.regimes[0], 0.002, p)
    state = PathState(log_billionths(p.spot))
    for k in range(len(grid.times)):
        take_step(state, plan, k, jump_law(p), 0.0, p)
    return state, plan


def test_a_fair_spot_is_a_martingale_with_the_clocks_variance():
    p = SimulatorParameters(fair=True, jumps=0.5, jump_size=0.008)
    days = [walk(seed, p) for seed in range(1_500)]
    growth = np.array([np.exp(s.log_spot / NANO) for s, _ in days]) / p.spot
    plan = days[0][1]
    carry = np.exp(p.rate * plan.calendar.sum())
    assert abs(growth.mean() - carry) < 3.5 * growth.std() / np.sqrt(len(growth))
    assert abs(np.log(growth).var() / (p.volatility**2 * plan.clock.sum()) - 1) < 0.12


def test_volatility_answers_to_the_spot_and_the_smile_stays_within_its_bounds():
    p = SimulatorParameters(leverage=8.0, skew_noise=0.5, curvature_noise=0.8)
    ends = [walk(seed, p)[0] for seed in range(200)]
    assert np.corrcoef([s.log_spot for s in ends], [s.level for s in ends])[0, 1] < -0.3
    for s in ends:
        smile = s.smile(p)
        assert abs(smile.skew) < 1 and 0 < smile.curvature * (1 + abs(smile.skew)) <= 2


def test_symbols_move_with_the_market():
    p = SimulatorParameters(correlation=0.8, jumps=0.0, feedback=False)
    moves = [np.diff(walk(7, p)[1].shock)]
    grid = day_grid("TWO", DEMO_DAY, 300, p)
    moves.append(np.diff(plan_day(7, "TWO", grid, p.regimes[0], 0.002, p).shock))
    assert 0.4 < np.corrcoef(moves)[0, 1] < 0.9


@pytest.mark.parametrize("half_life", [60.0, 3600.0])
def test_an_edge_brings_its_size_and_no_more(half_life):
    edge = EdgeState(PlantedEdge("flow", 2e-4, half_life))
    edge.signal(5, -1)
    edge.signal(6, 0)
    brought = [edge.release(half_life) for _ in range(40)]
    assert brought[0] == pytest.approx(-1e-4) and sum(brought) == pytest.approx(-2e-4) and edge.times == [5]


# -- positions ------------------------------------------------------------------------------------------------------------------


def test_positions_never_go_negative_and_dealers_take_the_other_side():
    rng = np.random.default_rng(1)
    n = 200
    held = Positions(np.arange(n), rng.integers(0, 50, n), rng.integers(0, 50, n))
    for _ in range(20):
        bought, sold = rng.integers(0, 40, n), rng.integers(0, 40, n)
        after = held.after(bought, sold, rng.random((2, n)))
        assert np.array_equal(after.dealer, held.dealer - bought + sold)
        assert min(after.long.min(), after.short.min()) >= 0 and (after.open_interest >= np.abs(after.dealer)).all()
        held = after
    assert held.on(np.array([5, 999])).long.tolist() == [int(held.long[5]), 0] and len(Positions(*[np.empty(0, np.int64)] * 3).on(np.arange(3)).long) == 3


# -- a day ----------------------------------------------------------------------------------------------------------------------


def test_truth_belongs_to_its_session(rich):
    check_truth(rich.truth, rich.session)
    t = rich.truth
    assert set(np.unique(t.trades.participant)) == {Participant.RETAIL, Participant.INSTITUTIONAL}
    assert set(np.unique(t.trades.flow)) == {FlowKind.MOMENTUM, FlowKind.HEDGING, FlowKind.REVERSION, FlowKind.NOISE}
    assert set(np.unique(t.underlying_trades.participant)) == {Participant.NONE, Participant.INSTITUTIONAL, Participant.DEALER_HEDGE}
    assert [e.kind for e in t.effects] == ["flow", "time_of_day"] and len(t.effects[1].ts) == 30
    change = np.bincount(t.dealer_changes.index, t.dealer_changes.change, len(t.dealer))
    assert np.array_equal(t.dealer.open + change, t.dealer.close)
    assert t.regime_names[t.steps.regime[0]] == "calm" and len(t.steps) == 390 and (t.steps.volatility > 0).all()


def test_a_planted_edge_on_the_flow_follows_what_is_unusual_in_it_and_is_no_drift():
    p, plain = replace(SMALL, edges=(PlantedEdge("flow", 1e-4),), feedback=False), Extras(books=None, levels=False)
    days = [next(simulate(seed, [DEMO_DAY], ("SIM",), p, extras=plain)).truth for seed in range(8)]
    brought = np.array([t.factors[:, t.factor_names.index("edge")].sum() for t in days])
    most = len(days[0].effects[0].ts) * 1e-4
    assert (brought < 0).any() and (brought > 0).any() and abs(brought.mean()) < most / 3  # with the habit in it: the most, downward, on each of them


def sides(day):
    """Of each option trade: +1 worse than the middle for its initiator, -1 better, 0 at it; the steps the spread had; and +1 for a buyer.

    Compared with the quote that stood at the trade's own moment (a quote at the very nanosecond stands), in whole hundredths of a cent: with fractions of dollars
    1.2% of the trades are taken for better although they are at the middle.
    """
    s, opens = day.session, nanoseconds(day.session.opens)
    order = np.lexsort((s.quotes.ts, s.quotes.index))
    key = s.quotes.index[order] * 10**14 + (s.quotes.ts[order] - opens)
    at = order[np.searchsorted(key, s.trades.index * 10**14 + (s.trades.ts - opens), side="right") - 1]
    assert (s.quotes.index[at] == s.trades.index).all() and (s.quotes.ts[at] <= s.trades.ts).all()
    bid, ask, price = (np.rint(x * 1e4).astype(np.int64) for x in (np.nan_to_num(s.quotes.bid[at]), s.quotes.ask[at], s.trades.price))
    sign = day.truth.trades.initiator.astype(np.int64)
    return np.sign(sign * (2 * price - bid - ask)), np.maximum((ask - bid) // np.where(bid < 30_000, 100, 500), 1), sign


def better_share(ticks):
    """What the law of `execute` says: a trade "anywhere between" is at any of ticks + 1 places, half of those not at the middle on the good side."""
    touch, middle = trade_places(ticks)
    return (1 - touch - middle) * np.where(ticks % 2, 1.0, ticks / (ticks + 1)) / 2


def test_initiators_pay_more_than_the_middle(rich):
    side, ticks, sign = sides(rich)
    more, less = np.mean(side > 0), np.mean(side < 0)
    assert more > 0.6 and less < 0.23
    expected = better_share(ticks)
    assert abs(less - expected.mean()) < 4 * np.sqrt(np.sum(expected * (1 - expected))) / len(side)
    for way in (1, -1):  # buyers are no better off than sellers where the spread has no middle price
        mine = (sign == way) & (ticks % 2 == 1)
        assert abs(np.mean(side[mine] < 0) - expected[mine].mean()) < 4 * np.sqrt(0.25 / mine.sum())
    assert (side[ticks == 1] > 0).all() and (side[ticks == 2] >= 0).all()


@pytest.mark.parametrize(("symbol", "levels"), [
    ("SIM", {}), ("GOOG", {"spot": 748.0, "strike_step": 5.0, "strikes": 20}), ("SPXW", {"spot": 3_756.0, "strike_step": 25.0, "strikes": 12}),
])
def test_the_quote_rule_is_about_as_often_right_as_where_the_initiator_is_known(symbol, levels):
    p = replace(SimulatorParameters(**{**(suggested(symbol) if levels else {}), **levels}), trades=30.0, underlying_trades=4.0)
    side, _, _ = sides(next(simulate(7, [DEMO_DAY], (symbol,), p, extras=Extras(books=None, levels=False))))
    assert abs(np.mean(side[side != 0] > 0) - 0.80) < 0.06  # Savickas and Wilson (2003): 83% of CBOE's option trades that are not at the middle; a later study finds less
    assert np.mean(side < 0) < 0.25


def test_the_underlyings_initiators_pay_the_ask_and_get_the_bid(rich):
    s = rich.session
    stock = rich.truth.underlying_trades.initiator != 0
    k = np.searchsorted(s.underlying_quotes.ts, s.underlying_trades.ts[stock], side="right") - 1
    paid = np.where(rich.truth.underlying_trades.initiator[stock] > 0, s.underlying_quotes.ask[k], s.underlying_quotes.bid[k])
    assert np.allclose(paid, s.underlying_trades.price[stock])


def test_a_halt_is_silent_and_news_come_on_time(rich):
    s = rich.session
    (start, end), = [(int(a), int(b)) for a, b, k in zip(rich.truth.events.ts, rich.truth.events.until, rich.truth.events.kind, strict=True) if k == EventKind.HALT]
    assert (start - nanoseconds(s.opens), end - start) == (100 * MINUTE, 10 * MINUTE)
    for name, tape in s.tapes().items():
        if name not in ("levels", "underlying_bars"):
            assert not np.any((tape.ts > start) & (tape.ts < end)), name
    assert [k for k in s.notices.kind.tolist() if k != NoticeKind.NEWS] == [NoticeKind.SCHEDULED_NEWS, NoticeKind.HALT, NoticeKind.RESUME]
    assert (s.notices.ts[s.notices.kind == NoticeKind.SCHEDULED_NEWS][0] - nanoseconds(s.opens)) // MINUTE == 30
    reopened = s.quotes.where(s.quotes.ts == end)
    assert len(reopened) > 0.5 * len(s.contracts)


def test_before_news_the_options_expect_them():
    quiet, news = (simulate_session(3, parameters=replace(SMALL, news=x, jumps=0.0, variance_noise=0.0, feedback=False)) for x in ((), ((200.0, 0.02),)))
    c = quiet.contracts
    row = int(np.flatnonzero(c.is_call & (c.strike == 500) & (c.expiry_day == c.expiry_day[0]))[0])
    first = [float(s.quotes.ask[(s.quotes.index == row)][0]) for s in (quiet, news)]
    assert first[1] > 1.3 * first[0]


@pytest.mark.parametrize(("symbol", "p"), [
    ("SIM", SMALL), ("SPXW", replace(SMALL, spot=5_000.0, strike_step=25.0)), ("SPY", RICH), ("SPX", replace(SMALL, fair=True)),
    ("SIM", replace(SMALL, fair=True, jumps=0.5, jump_size=0.01)), ("SIM", replace(SMALL, regimes=(Regime("wild", 12.0, jumps=5.0),), expiries=6, spread=0.01)),
])
def test_no_snapshot_of_a_day_has_static_arbitrage(symbol, p):
    s = simulate_session(11, date(2026, 11, 27), symbol, p)
    state = ChainState(s.contracts, s.open_interest, s.prior_volatility, s.rate, s.dividend)
    spread = float((s.underlying_quotes.ask - s.underlying_quotes.bid).max())
    for batch in batches(s):
        state.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        assert check_static_arbitrage(state.snapshot(batch.now, *state.spot()), spread, settles_at=settles_at(s.contracts)).total == 0


# -- days in a row --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def week():
    return list(simulate(9, sessions_from(date(2026, 4, 14), 4), {"SIM": SMALL, "SPX": SMALL}))


def test_days_follow_each_other(week):
    assert [(d.session.symbol, d.session.date.day) for d in week] == [(s, day) for day in (14, 15, 16, 17) for s in ("SIM", "SPX")]
    for before, after in zip(week, week[2:], strict=False):
        keys, later = contract_keys(before.session.contracts), contract_keys(after.session.contracts)
        _, i, j = np.intersect1d(keys, later, return_indices=True)
        assert len(i) > 30 and np.array_equal(before.truth.dealer.close[i], after.truth.dealer.open[j])
        gap = np.log(after.session.underlying_bars.open[0] / before.session.underlying_bars.close[-1])
        assert 0 < abs(gap) < 0.03
        assert after.session.open_interest[np.setdiff1d(np.arange(len(later)), j)].sum() == 0  # new listings have none
        before_parents, after_parents = (d.truth.trades.metaorder for d in (before, after))
        assert after_parents[after_parents >= 0].min() > before_parents.max()


def test_open_interest_moves_by_what_was_traded(week):
    for before, after in zip(week[::2], week[2::2], strict=False):
        _, i, j = np.intersect1d(contract_keys(before.session.contracts), contract_keys(after.session.contracts), return_indices=True)
        volume = np.bincount(before.session.trades.index, before.session.trades.size, len(before.session.contracts))
        change = after.session.open_interest[j] - before.session.open_interest[i]
        assert (np.abs(change) <= volume[i]).all() and np.abs(change).sum() > 0


def test_settlements(week):
    for d in week:
        s = d.truth.settlements
        if d.session.symbol == "SIM":
            assert s.at_open.tolist() == [0] and s.value[0] == d.session.underlying_bars.close[-1] and s.ts[0] == nanoseconds(d.session.closes)
        elif d.session.date == date(2026, 4, 17):
            assert s.at_open.tolist() == [1] and s.ts[0] == nanoseconds(d.session.opens) and s.value[0] == d.session.underlying_bars.open[0]
        else:
            assert len(s) == 0
    spxw = next(simulate(2, [DEMO_DAY], ("SPXW",), SMALL))
    at = int(np.searchsorted(spxw.session.underlying_bars.ts, spxw.truth.settlements.ts[0], side="right")) - 1
    assert spxw.truth.settlements.value[0] == spxw.session.underlying_bars.close[at] and spxw.truth.settlements.ts[0] < nanoseconds(spxw.session.closes)


def test_other_symbols_and_further_days_change_nothing(week):
    alone = list(simulate(9, sessions_from(date(2026, 4, 14), 2), {"SPX": SMALL}))
    assert [d.truth.session for d in alone] == [d.truth.session for d in week if d.session.symbol == "SPX"][:2]
    fair = replace(SMALL, fair=True)
    short, long = (next(simulate(9, sessions_from(date(2026, 4, 14), n), ("SIM",), fair)) for n in (1, 3))
    assert short.truth.session == long.truth.session


def test_regimes_are_the_markets_and_stay_a_while():
    wild = replace(SMALL, regimes=(Regime("a", 0.5, stay=0.7), Regime("b", 4.0, stay=0.7)), trades=2.0, expiries=1)
    days = list(simulate(1, sessions_from(date(2026, 3, 2), 12), ("ONE", "TWO"), wild, extras=Extras(books=None, levels=False)))
    code = [int(d.truth.steps.regime[0]) for d in days]
    assert code[::2] == code[1::2] and set(code) == {0, 1}
    vol = [float(np.median(d.truth.steps.volatility * np.sqrt([0.5, 4.0][c]))) for d, c in zip(days, code, strict=True)]
    moved = [float(np.diff(np.log(d.truth.steps.spot)).std()) for d in days]
    assert np.mean([m for m, c in zip(moved, code, strict=True) if c]) > 1.7 * np.mean([m for m, c in zip(moved, code, strict=True) if not c]) and min(vol) > 0


@pytest.mark.parametrize("days", [[], [date(2026, 3, 20), date(2026, 3, 20)], [date(2026, 3, 23), date(2026, 3, 20)]])
def test_days_that_do_not_follow_are_refused(days):
    with pytest.raises(ConfigError):
        next(simulate(1, days))
    with pytest.raises(ConfigError, match="no symbols"):
        next(simulate(1, [DEMO_DAY], ()))


# -- what is besides ------------------------------------------------------------------------------------------------------------


def test_extras_can_be_left_out_and_move_nothing(small):
    full, bare = small, simulate_session(5, parameters=SMALL, extras=Extras(books=None, levels=False))
    assert len(full.depth) == 390 * 10 and len(full.levels) > 0 and len(bare.depth) == len(bare.levels) == 0 and bare.level_names == ()
    assert np.array_equal(full.quotes.bid, bare.quotes.bid, equal_nan=True) and np.array_equal(full.trades.price, bare.trades.price)
    assert np.array_equal(full.underlying_trades.price, bare.underlying_trades.price)


# -- volatility indices -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return simulate_session(5, parameters=SMALL)


def each_minute(s):
    """The minutes of a session, and bid and ask of every contract at them."""
    minutes = np.arange(nanoseconds(s.opens) + MINUTE, nanoseconds(s.closes) + 1, MINUTE)
    return minutes, *standing(s.quotes, minutes, len(s.contracts))


def lacking(s, expiry, bid, ask):
    """Why one expiry's strip has no variance, by plain rules and the quotes alone: "", "strikes run out", "ends too soon" or "one option left"."""
    rows = np.flatnonzero(s.contracts.expiry_day == expiry)
    calls, puts = (rows[s.contracts.is_call[rows] == side] for side in (True, False))
    call, put = ((np.nan_to_num(bid[x]) + ask[x]) / 2 for x in (calls, puts))
    key = np.where((bid[calls] > 0) & (bid[puts] > 0), np.abs(call - put), np.inf)
    best, strike = int(np.argmin(key)), s.contracts.strike[calls]
    middle = int(np.searchsorted(strike, strike[best] + call[best] - put[best], side="right")) - 1
    if not 0 <= middle < len(strike) - 1:
        return "strikes run out"
    count, why = 1, "one option left"
    for side, one, order in ((puts, put, range(middle - 1, -1, -1)), (calls, call, range(middle + 1, len(strike)))):
        missing = 0
        for i in order:
            missing = 0 if bid[side[i]] > 0 else missing + 1
            count += bid[side[i]] > 0
            if missing == 2:
                before = side[i - 1 if side is calls else i + 1]
                if ask[before] / 2 > 0.1 * (call[middle] + put[middle]) / 2 and why != "strikes run out":
                    why = "ends too soon"
                break
        else:
            why = "strikes run out"
    return "" if count >= 8 or (count >= 2 and why == "one option left") else why


def test_a_narrow_market_has_an_index_until_its_strikes_run_out(small):
    minutes, bid, ask = each_minute(small)
    near, later = np.unique(small.contracts.expiry_day)[:2]
    settled = nanoseconds(small.closes)  # today's expiry is over then: only the later one is asked
    why = [(lacking(small, near, b, a) if t < settled else "") or lacking(small, later, b, a) for t, b, a in zip(minutes.tolist(), bid, ask, strict=True)]
    assert small.level_names == ("VIX", "VIX1D") and (small.levels.index == 1).all()  # its expiries are of today, 3, 7 and 28 days: none on either side of VIX's 30
    assert small.levels.ts.tolist() == [t for t, reason in zip(minutes.tolist(), why, strict=True) if not reason]
    assert {reason: why.count(reason) for reason in set(why)} == {"": 184, "strikes run out": 203, "one option left": 3}
    assert [k for k, reason in enumerate(why) if reason == "one option left"] == [386, 387, 388]  # the last minutes before today's expiry
    # It has 13 strikes from 485 to 515, and the spot falls to 492: where the lowest puts are bid, what the strip leaves out is worth something.
    lowest = np.flatnonzero((small.contracts.strike == 485) & (small.contracts.expiry_day == later) & ~small.contracts.is_call)
    out = np.array([reason == "strikes run out" for reason in why])
    assert (bid[out][:, lowest] > 0).all() and small.underlying_bars.close[out].mean() < small.underlying_bars.close[~out].mean()


@pytest.mark.parametrize(("symbol", "seed"), [("SIM", 5), ("SIM", 7), ("SPXW", 7)])
def test_a_market_of_default_parameters_has_an_index_nearly_every_minute(symbol, seed):
    s = simulate_session(seed, symbol=symbol, extras=Extras(books=None))
    minutes, bid, ask = each_minute(s)
    with_level = np.isin(minutes, s.levels.ts)
    assert with_level.mean() > 0.96 and with_level[:370].all()
    near, later = np.unique(s.contracts.expiry_day)[:2]
    for k in np.flatnonzero(~with_level):  # the last minutes of today's expiry: one option of it is left, or two of a few cents each, which make no strip
        assert minutes[k] >= s.contracts.expires_at.min() - 15 * MINUTE and lacking(s, later, bid[k], ask[k]) == ""
        assert lacking(s, near, bid[k], ask[k]) == "one option left" or minutes[k] >= s.contracts.expires_at.min() - 3 * MINUTE and lacking(s, near, bid[k], ask[k]) == "ends too soon"
    value = s.levels.value
    assert np.abs(np.diff(value)).max() < 1.0 and 12 < value.min() and value.max() < 40  # no jump where the strip grows short


def test_weekly_expiries_make_a_vix():
    p = SimulatorParameters(expiries=18, trades=2.0, underlying_trades=2.0)
    s = simulate_session(7, symbol="SPXW", parameters=p, extras=Extras(books=None))
    vix, vix1d = (s.levels.where(s.levels.index == i) for i in (0, 1))
    assert len(vix) == 405 and len(vix1d) > 380  # each minute to 16:15
    assert 14 < vix.value.min() and vix.value.max() < 28 and np.abs(np.diff(vix.value)).max() < 1.0


def test_a_closing_imbalances_pressure_is_in_the_path():
    auction = AuctionParameters(pressure=0.05)
    calm, pressed = (simulate_session(5, parameters=replace(SMALL, feedback=False), extras=Extras(auction=a, books=None, levels=False)) for a in (AuctionParameters(), auction))
    assert np.array_equal(calm.underlying_bars.close[:380], pressed.underlying_bars.close[:380])
    late = np.log(pressed.underlying_bars.close[-1] / calm.underlying_bars.close[-1])
    assert np.sign(late) == np.sign(pressed.imbalances.imbalance[0]) and abs(late) > 1e-4
    with pytest.raises(ConfigError, match="no planted effect"):
        simulate_session(5, parameters=replace(SMALL, fair=True), extras=Extras(auction=auction))
    with pytest.raises(ConfigError, match="no planted effect"):
        next(simulate(5, [DEMO_DAY], {"A": SMALL, "B": replace(SMALL, fair=True)}, extras=Extras(books=DepthParameters(edge=0.2))))


def test_auction_prints_are_in_the_underlyings_trades(rich):
    s, t = rich.session, rich.truth.underlying_trades
    assert t.initiator[0] == t.initiator[-1] == 0 and t.participant[0] == Participant.NONE
    assert s.underlying_trades.ts[0] == nanoseconds(s.opens) and s.underlying_trades.ts[-1] == nanoseconds(s.closes)
    assert s.underlying_bars.volume.sum() == s.underlying_trades.size.sum()


def test_a_stream_has_the_rows_of_the_session():
    whole = simulate_session(6, parameters=SMALL, step_seconds=15)
    listed, parts = stream(6, parameters=SMALL, step_seconds=15)
    parts = list(parts)
    assert np.array_equal(contract_keys(listed), contract_keys(whole.contracts)) and len(parts) == 78 and parts[-1].last
    for name in ("quotes", "trades"):
        for column in ("ts", "index"):
            assert np.array_equal(np.concatenate([getattr(getattr(x, name), column) for x in parts]), getattr(getattr(whole, name), column))
    assert np.array_equal(np.concatenate([x.trades.price for x in parts]), whole.trades.price)
    short = list(stream(6, parameters=SMALL, step_seconds=15, until_seconds=900)[1])
    assert len(short) == 3 and np.array_equal(short[2].quotes.ask, parts[2].quotes.ask)


def test_ticks_are_finer_minutes_of_another_path_but_of_the_same_market():
    minutes, ticks = simulate_session(6, parameters=SMALL), simulate_session(6, parameters=SMALL, step_seconds=10)
    assert len(ticks.underlying_bars) == len(minutes.underlying_bars) == 390 and len(ticks.quotes) > 2 * len(minutes.quotes)
    assert np.diff(np.unique(ticks.quotes.ts)).min() == 10 * 10**9 and session_digest(ticks) != session_digest(minutes)


# -- dealers' hedging -------------------------------------------------------------------------------------------------------------


def closes(gamma, feedback, seeds=range(16)):
    """Half-hour variance, and distance of the close from the only strike near, of days whose dealers hold as much as they can."""
    p = SimulatorParameters(strikes=2, strike_step=20.0, expiries=1, trades=1.0, underlying_trades=1.0, jumps=0.0, open_interest=40_000.0, dealer_tilt=0.0,
                            dealer_gamma=gamma, feedback=feedback, impact=40.0, variance_bursts=0.0)
    days = [simulate_session(s, parameters=p, extras=Extras(books=None, levels=False)).underlying_bars.close for s in seeds]
    return np.array([np.diff(np.log(c[::30])).var() for c in days]), np.array([abs(c[-1] - 500.0) for c in days])


def test_dealers_long_gamma_hold_and_pin_the_spot_and_short_ones_drive_it():
    free, far = closes(1.0, False)
    held, near = closes(1.0, True)
    driven, _ = closes(-1.0, True)
    assert np.mean(held / free) < 0.85 and np.mean(driven / free) > 1.15
    assert near.mean() < 0.9 * far.mean()


def test_dealers_hedge_what_they_hold():
    one = next(simulate(3, [DEMO_DAY], ("SIM",), replace(SMALL, dealer_gamma=0.8, open_interest=25_000.0)))
    prints, truth = one.session.underlying_trades, one.truth.underlying_trades
    hedges = truth.participant == Participant.DEALER_HEDGE
    assert hedges.sum() > 100 and (truth.flow[hedges] == FlowKind.HEDGING).all() and (truth.metaorder[hedges] == -1).all()
    minute = (prints.ts[hedges] - nanoseconds(one.session.opens)) // MINUTE
    bought = np.bincount(minute, truth.initiator[hedges] * prints.size[hedges], 391)[2:390]
    moved = np.diff(np.log(one.truth.steps.spot))[:388]
    assert np.corrcoef(moved, bought)[0, 1] < -0.3  # long gamma: they sell after a rise


def test_news_are_in_an_option_s_variance_until_they_are_out_and_no_longer():
    day, p = date(2026, 3, 20), SimulatorParameters(fair=True, strikes=3, expiries=4, news=((30.0, 0.01), (90.0, 0.02)))
    assert [sessions_ahead(day, nanoseconds(t)) for t in (
        datetime(2026, 3, 20, 20, tzinfo=UTC), datetime(2026, 3, 23, 20, tzinfo=UTC), datetime(2026, 3, 23, 13, 30, tzinfo=UTC), datetime(2026, 4, 6, 20, tzinfo=UTC))] == [0, 1, 0, 10]
    grid, listed = day_grid("SPXW", day, 60.0, p), listing("SPXW", day, p.spot, p)
    settles = settles_at(listed)
    surface = Surface(listed, clock_until("SPXW", grid, settles, np.ones(1), p), settles, p)
    ahead = news_ahead(grid, surface, p)
    sessions = [sessions_ahead(day, t) for t in surface.settles.tolist()]
    assert sessions[:2] == [0, 1] and len(sessions) == 4
    np.testing.assert_allclose(ahead[-1], 0.0005 * np.array(sessions), atol=1e-12)  # after the last news of the day: those of the sessions to come
    np.testing.assert_allclose(ahead[0] - ahead[-1], 0.0005, atol=1e-12)
    np.testing.assert_allclose(ahead[60] - ahead[-1], 0.0004, atol=1e-12)  # between the two


def test_sums_are_the_same_on_every_python():
    assert total([0.1] * 10) == 0.9999999999999999 and total([]) == 0.0


# -- dealers' feedback ------------------------------------------------------------------------------------------------------------


def test_flow_that_is_expected_moves_no_price():
    """Hedgers buy puts and sell calls every day: that alone must not make every day fall. Their hedges' surprises move the price more than no feedback does."""
    def days(**changed):
        bars = [simulate_session(seed, parameters=replace(SMALL, trades=60.0, strikes=10, jumps=0.0, **changed), extras=Extras(books=None, levels=False)) for seed in range(1, 13)]
        return np.array([np.log(s.underlying_bars.close[-1] / s.underlying_bars.close[0]) for s in bars])
    alone, fed = days(feedback=False), days()
    brought = fed - alone  # the same shocks in both
    assert abs(brought.mean()) < 3 * brought.std(ddof=1) / np.sqrt(len(brought)) and abs(brought.mean()) < 0.002
    assert fed.std() > alone.std() and np.corrcoef(fed, alone)[0, 1] > 0.5
