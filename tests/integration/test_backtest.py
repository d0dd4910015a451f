"""Days in a row on a real server: positions over night, settlement of every kind, costs, and the proof that a backtest is a replay."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import numpy as np
import pytest

from quanticity.core.clock import NEW_YORK, next_session
from quanticity.core.config import Config, load_config
from quanticity.core.errors import DataError, UserError
from quanticity.core.events import Event, EventKind, parse_event
from quanticity.core.reasons import Reason
from quanticity.core.types import Proposal, Side, Skip
from quanticity.execution.broker import ReplayBroker
from quanticity.feeds.simulator import Extras, SimulatorParameters, sessions_from, simulate, simulate_session
from quanticity.jobs.execution import Carried, ExecutionJob
from quanticity.jobs.replay import SessionRun, run_session, run_sessions
from quanticity.jobs.wiring import strategy_of
from quanticity.market.chain import timestamp
from quanticity.market.commissions import schedule_on
from quanticity.market.matching import MatchingEngine
from quanticity.market.session import MarketSession
from quanticity.research.backtest import Backtest, Costs, backtest, prove
from quanticity.research.book_rows import BOOK_COLUMNS
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

FEW, BARE = SimulatorParameters(strikes=5), Extras(books=None, levels=False)
QUICK = {"market.step_seconds": 900, "market.max_quote_age_seconds": 2000.0, "signals.time_to_live_seconds": 3600.0, "risk.max_relative_spread": 2.0,
         "execution.exit_minutes_before_close": 45.0}  # steps of a quarter of an hour: as quick as can be
WEDNESDAY, THURSDAY, FRIDAY = date(2026, 3, 18), date(2026, 3, 19), date(2026, 3, 20)  # the Friday is a standard expiry


@dataclass(frozen=True)
class Wish:
    days: int = 1  # calendar days to the expiry, at least
    inside: float = 0.0  # how far in the money, dollars
    exit_days: float = 30.0  # from the proposal to the exit
    kinds: str = "C"  # CP: a call and a put, two legs


class Buyer:
    """Buys, in the morning of each day, options of the nearest expiry at least so many days away; target and stop are out of reach."""

    NAME = "buyer"
    Parameters = Wish

    def propose(self, features, chain, parameters):
        if features.ts.astimezone(NEW_YORK).time() > time(10, 0) or not chain.spot > 0:
            return Skip(self.NAME, features.symbol, features.ts, Reason.OUTSIDE_WINDOW, "the morning is over, or has not begun", (features.snapshot_id,))
        rows = [self._nearest(chain, kind == "C", parameters) for kind in parameters.kinds]
        if None in rows:
            return Skip(self.NAME, features.symbol, features.ts, Reason.NO_LIQUID_CONTRACT, "none is quoted", (features.snapshot_id,))
        return tuple(self._proposal(features, chain, row, parameters) for row in rows)

    def _nearest(self, chain, call, parameters):
        c, today = chain.contracts, chain.ts // 86_400_000_000_000
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero((c.expiry_day >= today + parameters.days) & (c.is_call == call) & (chain.ask > 0.2) & (chain.bid > 0.1))
        if not len(rows):
            return None
        away = np.abs(c.strike[rows] - chain.spot + parameters.inside * (1 if call else -1)) + 1e4 * c.expiry_day[rows]
        return int(rows[np.lexsort((rows, away))[0]])

    def _proposal(self, features, chain, row, parameters):
        ask, contract, now = float(chain.ask[row]), chain.contracts.contract(row), timestamp(chain.ts)
        return Proposal(f"pro:{self.NAME}:{contract.occ}:{chain.seq}", self.NAME, features.symbol, now, contract, Side.BUY, round(ask * 1.5, 2), 5000.0, 0.0001,
                        now + timedelta(days=parameters.exit_days), 0.9, {"there": 0.9, "cheap": 0.3}, (features.snapshot_id,))


def buyer(**wish: object) -> object:
    return strategy_of(Buyer, wish)


def config(**overrides: object) -> Config:
    return load_config(environ={}, overrides={**QUICK, **overrides})


@cache
def days(symbol: str = "SIM", first: date = WEDNESDAY, count: int = 3, seed: int = 3) -> tuple[MarketSession, ...]:
    return tuple(d.session for d in simulate(seed, sessions_from(first, count), (symbol,), FEW, 300.0, BARE))


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("backtest"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:backtest:")
    yield connected
    connected.clear_namespace()
    connected.close()


def of(run: SessionRun, kind: EventKind) -> list[Event]:
    return [e for e in map(parse_event, run.lines) if e.kind is kind]


def fills(run: SessionRun) -> list[tuple[str, datetime]]:
    return [(e.data["role"], e.ts) for e in of(run, EventKind.FILL)]


# -- over night ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(server, tmp_path_factory) -> list[SessionRun]:
    """Three days; what is bought in the morning is sold the next day."""
    state = connect(server.url, prefix="replay:kept:")
    runs = run_sessions(days(), config(), state, tmp_path_factory.mktemp("kept"), strategies=(buyer(days=9, exit_days=1.0),))
    state.clear_namespace()
    state.close()
    return runs


def test_a_position_is_kept_to_the_session_of_its_exit_and_the_days_add_up(kept):
    runs = kept
    (entry, opened), = fills(runs[0])
    assert entry == "entry" and runs[0].held == 1 and runs[0].unsettled == 0 and runs[0].pnl["realized"] == 0.0 and runs[0].pnl["unrealized"] != 0.0
    closed = [(role, ts) for role, ts in fills(runs[1]) if role == "exit"]
    assert len(closed) == 1 and closed[0][1] - opened >= timedelta(days=1) - timedelta(minutes=30) and closed[0][1].date() == THURSDAY
    assert runs[1].opening == runs[0].totals and runs[2].opening == runs[1].totals
    assert runs[2].totals.net == pytest.approx(sum(r.pnl["net"] for r in runs), abs=1e-6)
    assert runs[1].pnl["unrealized"] == pytest.approx(runs[1].totals.unrealized - runs[0].totals.unrealized, abs=1e-6)


def test_the_switch_closes_everything_before_each_close(state, tmp_path):
    runs = run_sessions(days()[:2], config(**{"execution.hold_overnight": False}), state, tmp_path, strategies=(buyer(days=9),))
    for run in runs:
        assert [role for role, _ in fills(run)] == ["entry", "exit"] and run.held == 0
        assert fills(run)[1][1] >= run.desk.closes - timedelta(minutes=45)


def test_an_exit_between_two_sessions_is_made_in_the_earlier_one(state, tmp_path):
    runs = run_sessions(days()[:1], config(), state, tmp_path, strategies=(buyer(days=9, exit_days=0.5),))
    assert [role for role, _ in fills(runs[0])] == ["entry", "exit"] and runs[0].held == 0


def test_no_id_comes_twice_in_a_run_and_two_runs_are_the_same_bytes(kept, state, tmp_path):
    again = run_sessions(days(), config(), state, tmp_path, strategies=(buyer(days=9, exit_days=1.0),))
    assert [r.lines for r in kept] == [r.lines for r in again] and [repr(r.rows) for r in kept] == [repr(r.rows) for r in again]
    ids = [e["id"] for r in kept for e in map(json.loads, r.lines)]
    assert len(ids) == len(set(ids)) > 50


def test_what_risk_counts_as_the_days_loss_is_the_days(state, tmp_path):
    """The entry of the second day is checked against that day's profit, not against all that was lost before."""
    runs = run_sessions(days()[:2], config(), state, tmp_path, strategies=(buyer(days=2),))
    entry = next(e for e in of(runs[1], EventKind.ORDER) if e.data["role"] == "entry")
    row = next(r for r in runs[1].rows if timestamp(r["ts"]) == entry.ts)
    today = row["realized"] + row["unrealized"] - row["commission"] - runs[0].totals.net
    assert entry.data["checks"]["pnl_today"] == pytest.approx(today, abs=1e-6) and runs[0].totals.net < -10 and entry.data["checks"]["open_positions"] == 1
    assert entry.data["checks"]["orders_today"] == 0


def test_a_crash_on_the_second_day_loses_nothing_of_the_first(state, tmp_path):
    """From the ledgers alone, first day and second: the positions, the signals at work, the orders of the day."""
    runs = run_sessions(days()[:2], config(), state, tmp_path, strategies=(buyer(days=9, exit_days=1.0),))
    assert runs[0].held == 1 and "exit" in [role for role, _ in fills(runs[1])]  # what was carried over night was sold on the second day
    carried = ExecutionJob(runs[0].desk, ReplayBroker(MatchingEngine(), schedule_on(WEDNESDAY))).carry()
    assert len(carried.working) == 1 and [p.quantity for p in carried.book.open_positions()] == [runs[0].marks[0].quantity]
    again = ExecutionJob(runs[1].desk, ReplayBroker(MatchingEngine(), schedule_on(THURSDAY)), None, carried)
    assert {p.contract.occ: p.quantity for p in again.book.open_positions()} == {m.contract.occ: m.quantity for m in runs[1].marks}
    assert sum(p.realized for p in again.book.positions()) == pytest.approx(runs[1].totals.realized)
    assert again.orders_sent == len(of(runs[1], EventKind.ORDER)) and sum(not w.over for w in again.working.values()) == len(runs[1].marks)


# -- what is not listed, not in order, not known ------------------------------------------------------------------------------


def without(session: MarketSession, occ: str) -> MarketSession:
    """The session had this contract not been listed."""
    names = session.contracts.occ()
    gone = names.index(occ)
    keep = np.array([i != gone for i in range(len(names))])
    c = session.contracts
    contracts = replace(c, strike=c.strike[keep], expiry_day=c.expiry_day[keep], expires_at=c.expires_at[keep], is_call=c.is_call[keep], multiplier=c.multiplier[keep])

    def tape(rows):
        rows = rows.where(rows.index != gone)
        return replace(rows, index=rows.index - (rows.index > gone))

    return replace(session, contracts=contracts, quotes=tape(session.quotes), trades=tape(session.trades), open_interest=session.open_interest[keep],
                   prior_volatility=session.prior_volatility[keep])


def test_a_position_that_is_not_listed_any_more_keeps_its_mark_and_is_sold_once_it_is(kept, state, tmp_path):
    occ = of(kept[0], EventKind.FILL)[0].data["contract"]
    name = f"SIM{occ['expiry'][2:].replace('-', '')}C{round(occ['strike'] * 1000):08d}"
    mixed = (days()[0], without(days()[1], name), days()[2])
    runs = run_sessions(mixed, config(), state, tmp_path, strategies=(buyer(days=9, exit_days=1.0),))
    assert any("is held and not listed on 2026-03-19: it keeps its last mark" in note for note in runs[1].notes)
    mark = next(m for m in runs[1].marks if m.contract.occ == name)
    assert mark.price == runs[0].marks[0].price > 0 and mark.age_seconds > 86_000  # yesterday's bid
    assert not [e for r in runs[:2] for e in of(r, EventKind.ORDER) if e.data["role"] == "exit" and e.data["contract"] == occ]
    assert [e.ts.date() for e in of(runs[2], EventKind.FILL) if e.data["role"] == "exit" and e.data["contract"] == occ] == [FRIDAY]


def test_days_out_of_order_and_adjusted_contracts_are_refused_in_one_line(state, tmp_path):
    with pytest.raises(UserError, match="SIM 2026-03-18 comes after 2026-03-19; give the sessions in the order of their days"):
        run_sessions((days()[1], days()[0]), config(), state, tmp_path)
    odd = replace(days()[0], contracts=replace(days()[0].contracts, multiplier=np.full(len(days()[0].contracts), np.nan)))
    with pytest.raises(DataError, match="SIM 2026-03-18: adjusted contracts, whose multiplier is not known"):
        run_sessions([odd], config(), state, tmp_path)


# -- settlement ---------------------------------------------------------------------------------------------------------------

TO_THE_END = {"execution.exit_minutes_before_close": 0.0, "risk.minutes_before_expiry": 0.0}


def settled(run: SessionRun) -> list[Event]:
    return of(run, EventKind.SETTLEMENT)


def spot_at(run: SessionRun, ts: datetime) -> float:
    return next(row["spot"] for row in run.rows if timestamp(row["ts"]) == ts)


def test_an_index_option_settled_in_the_morning_waits_for_the_opening_prices(state, tmp_path):
    """SPX of the third Friday trades until Thursday 16:15, and pays by Friday's opening."""
    runs = run_sessions(days("SPX", THURSDAY, 2), config(**TO_THE_END), state, tmp_path, strategies=(buyer(days=1, inside=10.0, kinds="P"),))
    bought = of(runs[0], EventKind.FILL)[0].data
    assert bought["contract"]["expires_at"] == "2026-03-19T20:15:00Z" and bought["contract"]["expiry"] == "2026-03-20"
    assert runs[0].held == 1 and runs[0].unsettled == 0 and not settled(runs[0]) and runs[0].marks[0].value > 0  # not tradable, and worth its last quote
    event = settled(runs[1])[0]
    opening = datetime(2026, 3, 20, 13, 30, tzinfo=UTC)
    traded = days("SPX", THURSDAY, 2)[1].underlying_trades
    assert event.ts == timestamp(int(traded.ts[0])) == opening and event.data["underlying_price"] == traded.price[0] != runs[1].rows[1]["spot"]
    assert any("was settled at the underlying's first trade" in note and "the data has no official opening price" in note for note in runs[1].notes)
    assert event.data["shares"] == 0 and event.data["cash"] == pytest.approx(max(bought["contract"]["strike"] - event.data["underlying_price"], 0) * 100 * event.data["quantity"])


def test_cash_at_four_while_the_session_goes_on(state, tmp_path):
    """SPXW stops at 16:00 on its last day; the session of index options goes on to 16:15."""
    run, = run_sessions(days("SPXW", FRIDAY, 1), config(**TO_THE_END), state, tmp_path, strategies=(buyer(days=0, inside=10.0),))
    event = settled(run)[0]
    assert event.ts == datetime(2026, 3, 20, 20, tzinfo=UTC) < run.desk.closes == datetime(2026, 3, 20, 20, 15, tzinfo=UTC)
    assert event.data["contract"]["settlement"] == "cash" and event.data["shares"] == 0 and run.held == run.unsettled == 0


def test_shares_are_delivered_on_a_half_day(state, tmp_path):
    """Exercise of a stock's option: noted as shares, valued at the settlement price; a half day ends at 13:00."""
    half = date(2026, 11, 27)
    run, = run_sessions(days("SIM", half, 1), config(**TO_THE_END), state, tmp_path, strategies=(buyer(days=0, inside=10.0, kinds="P"),))
    event = settled(run)[0]
    assert event.ts == datetime(2026, 11, 27, 18, tzinfo=UTC) == run.desk.closes
    assert event.data["contract"]["settlement"] == "physical" and -event.data["shares"] == 100 * event.data["quantity"] > 0  # a put delivers them
    assert run.pnl["net"] == pytest.approx(run.totals.cash + run.totals.value) and run.pnl["unrealized"] == 0.0
    assert 0 > run.totals.value == pytest.approx(event.data["shares"] * event.data["underlying_price"])  # shares that are owed until the next session
    assert any(f"{-event.data['shares']} shares of SIM are owed at the close of 2026-11-27" in note for note in run.notes)


def test_worthless_at_the_end_costs_the_premium(state, tmp_path):
    run, = run_sessions(days("SPXW", FRIDAY, 1), config(**TO_THE_END), state, tmp_path, strategies=(buyer(days=0, inside=-12.5),))
    event, bought = settled(run)[0], [e.data for e in of(run, EventKind.FILL)]
    assert event.data["underlying_price"] < bought[0]["contract"]["strike"] and event.data["intrinsic"] == event.data["cash"] == 0.0
    assert run.pnl["net"] == pytest.approx(-sum(b["price"] * 100 * b["quantity"] + b["commission"] for b in bought))


def test_an_expiry_without_its_session_is_settled_late_and_says_so(state, tmp_path):
    monday = simulate_session(5, date(2026, 3, 23), parameters=FEW, step_seconds=300.0, extras=BARE)
    runs = run_sessions((days()[1], monday), config(**TO_THE_END), state, tmp_path, strategies=(buyer(days=1, inside=10.0),))
    assert of(runs[0], EventKind.FILL)[0].data["contract"]["expiry"] == "2026-03-20" and settled(runs[1])[0].ts.date() == date(2026, 3, 23)
    assert any("was settled late, at the first spot of 2026-03-23" in note for note in runs[1].notes)


# -- a backtest is a replay ----------------------------------------------------------------------------------------------------


def test_the_ledger_of_a_backtest_is_that_of_a_replay(server, tmp_path):
    """All configured strategies by both ways, on a simulated day: the same bytes."""
    state = connect(server.url, prefix="replay:one:")
    lines = run_session(days()[2], config(**{"signals.min_confidence": 0.2}), state, tmp_path / "replay").lines
    state.clear_namespace()
    tested = backtest([days()[2]], config(**{"signals.min_confidence": 0.2}), state=state, folder=tmp_path / "backtest")
    state.clear_namespace()
    state.close()
    assert list(tested.lines) == lines and len(lines) > 100


def test_so_it_is_on_a_recorded_day(recorded, server, tmp_path):
    """GOOG's is compared by the commands themselves, in tests/e2e."""
    from quanticity.feeds.lean import load_session

    cfg, session = load_config(environ={}, overrides={**QUICK, "market.step_seconds": 900}), load_session(recorded, "SPXW", date(2021, 1, 4))
    state = connect(server.url, prefix="replay:recorded:")
    run = run_session(session, cfg, state, tmp_path / "replay")
    state.clear_namespace()
    tested = backtest([session], cfg, state=state, folder=tmp_path / "backtest")
    state.clear_namespace()
    state.close()
    assert list(tested.lines) == run.lines and tested.net == run.pnl["net"]


@pytest.fixture(scope="module")
def tested(server, tmp_path_factory) -> Backtest:
    """Two days of two roots, two legs a trade, held over night."""
    state = connect(server.url, prefix="replay:two:")
    both = [session for pair in zip(days()[:2], days("SPX", THURSDAY, 2), strict=True) for session in pair]
    made = backtest(both, config(), [buyer(days=2, exit_days=1.0, kinds="CP")], Costs(slippage_spread=0.25, slippage_ticks=1.0), state, tmp_path_factory.mktemp("two"))
    state.clear_namespace()
    state.close()
    return made


def test_several_roots_and_legs_are_one_book_and_all_money_adds_up(tested):
    prove(tested, tested.events)
    assert tested.symbols == ("SIM", "SPX") and [(d.symbol, d.date) for d in tested.days[:3]] == [("SIM", WEDNESDAY), ("SPX", THURSDAY), ("SIM", THURSDAY)]
    assert {1, 2} >= {len(t.legs) for t in tested.trades} >= {2} and {t.symbol for t in tested.trades} == {"SIM", "SPX"}
    moments, curve = tested.equity()
    assert curve[-1] == pytest.approx(tested.net, abs=1e-4) and len(moments) == len(set(moments.tolist())) < len(tested.book["ts"])
    assert tested.net == pytest.approx(sum(t.net for t in tested.trades), abs=1e-6) == pytest.approx(sum(tested.daily().values()), abs=1e-6)


def test_a_ledger_that_was_tampered_with_does_not_pass_the_proof(tested):
    events = tested.events
    at = next(i for i, e in enumerate(events) if e.kind is EventKind.FILL)
    events[at] = replace(events[at], data={**events[at].data, "price": events[at].data["price"] + 0.01})
    with pytest.raises(AssertionError, match="the legs' cash is the ledger's"):
        prove(tested, events)


def test_greeks_and_exposure_are_those_of_what_is_held(tested):
    book = tested.book
    assert list(book) == list(BOOK_COLUMNS) and len({len(column) for column in book.values()}) == 1
    held, some = book["open_positions"] > 0, book["greeks_of"] > 0
    assert some.any() and not (some & ~held).any()
    assert (book["gamma"][some] > 0).all() and (book["vega"][some] > 0).all()  # straddles were bought
    assert (book["delta"][~held] == 0).all() and (book["value"][~held] == 0).all()
    most = max(sum(leg.quantity for leg in t.legs) for t in tested.trades) * 100 * 4
    assert np.nanmax(np.abs(book["delta"])) <= most
    assert np.isnan(book["delta"][held & ~some]).all() and not np.isnan(book["delta"][some | ~held]).any()  # not solved is not 0
    rows = tested.exposure
    for name in ("value", "delta"):
        for ts, symbol in {(t, s) for t, s in zip(rows["ts"].tolist(), rows["symbol"], strict=True)}:
            mine = (rows["ts"] == ts) & (np.array(rows["symbol"]) == symbol)
            whole = book[name][(book["ts"] == ts) & (np.array(book["symbol"]) == symbol)][0]
            assert math.isnan(whole) or np.nansum(rows[name][mine]) == pytest.approx(whole, abs=1e-3)
    assert {(s, e) for s, e in zip(rows["strategy"], rows["expiry"], strict=True)} >= {("buyer", leg.contract.expiry.isoformat()) for t in tested.trades for leg in t.legs}
    np.testing.assert_allclose(book["net"], book["realized"] + book["unrealized"] - book["commission"], atol=1e-5)
    np.testing.assert_allclose(book["net"], book["cash"] + book["value"], atol=1e-5)


def test_what_the_data_says_of_itself_is_told(tested):
    assert {(symbol, note) for symbol, _, note in tested.session_notes} == {(s, "simulated market with dealers' feedback (not a fair market), seed 3") for s in ("SIM", "SPX")}
    assert "SIM: simulated market with dealers' feedback (not a fair market), seed 3 (2 sessions)" in tested.notes
    why = tested.why["skip", "buyer", "outside_window"]
    assert why[0][0] == "the morning is over, or has not begun" and sum(count for _, count in why) == tested.not_done["skip", "buyer", "outside_window"]


def without_bids(session: MarketSession, occ: str, first: int, last: int) -> MarketSession:
    """The session with nobody bidding for a contract from one moment to another."""
    q = session.quotes
    gone = (q.index == session.contracts.occ().index(occ)) & (q.ts > first) & (q.ts <= last)
    return replace(session, quotes=replace(q, bid=np.where(gone, np.nan, q.bid), bid_size=np.where(gone, 0, q.bid_size)))


def test_a_moment_without_a_bid_does_not_make_a_position_worth_nothing_but_half_an_hour_does(state, tmp_path):
    one, strategies = days()[0], [buyer(days=9, exit_days=1.0)]
    plain_run = backtest([one], config(), strategies, state=state, folder=tmp_path / "a")
    occ, = {leg.contract.occ for t in plain_run.trades for leg in t.legs}
    held = np.flatnonzero(plain_run.book["open_positions"] > 0)
    ts, value = plain_run.book["ts"], plain_run.book["value"]
    at = int(held[4])
    state.clear_namespace()
    short = backtest([without_bids(one, occ, int(ts[at - 1]), int(ts[at]))], config(), strategies, state=state, folder=tmp_path / "b")
    assert short.book["value"][at] == value[at - 1] > 0 and short.book["value"][at + 1] == value[at + 1]  # the last bid stands in
    state.clear_namespace()
    long = backtest([without_bids(one, occ, int(ts[at - 1]), int(ts[-1]))], config(), strategies, state=state, folder=tmp_path / "c")
    assert long.book["value"][at + 1] == value[at - 1] and long.book["value"][at + 3] == 0.0  # 2,000 seconds are market.max_quote_age_seconds here
    assert [run.days[0].without_bid for run in (plain_run, short)] == [0, 1] and long.days[0].without_bid == int((long.book["open_positions"][at:] > 0).sum())


def test_slippage_is_in_every_fill_and_told_apart(tested):
    """A quarter of the spread and a price step, at each fill; what the quotes showed is in the session."""
    for trade in tested.trades:
        for leg in trade.legs:
            assert leg.slippage > 0.05 * leg.quantity * 100 * 0.9 and leg.spread > 0
            assert leg.gross == pytest.approx(leg.net + leg.commission + leg.spread + leg.slippage)
    assert len(tested.trades) > 2


def test_costs_change_the_fills_and_nothing_else_that_was_decided_before(server, tmp_path):
    state = connect(server.url, prefix="replay:costs:")

    def run(costs: Costs) -> Backtest:
        made = backtest(days()[:1], config(), [buyer(days=9, exit_days=0.1)], costs, state, tmp_path)
        state.clear_namespace()
        return made

    free, usual, late = (run(c) for c in (Costs(commissions="none"), Costs(), Costs(latency_steps=2)))
    state.close()
    assert free.commission == 0.0 < usual.commission and free.trades[0].opened == usual.trades[0].opened
    assert free.trades[0].net == pytest.approx(usual.trades[0].net + usual.trades[0].commission)
    assert late.trades[0].opened - usual.trades[0].opened == timedelta(minutes=15) and late.trades[0].proposed == usual.trades[0].proposed


def test_carried_nothing_is_nothing() -> None:
    assert Carried().book.positions() == [] and Carried().working == {} and Carried().totals.net == 0.0
    assert next_session(FRIDAY).date == date(2026, 3, 23)
