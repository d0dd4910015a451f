"""Spreads of several legs on a real server: entered, left, settled in cash and shares, assigned early, and carried into another process; the money adds up."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.clock import NEW_YORK
from quanticity.core.config import Config, load_config
from quanticity.core.events import Event, EventKind, parse_event
from quanticity.core.keys import market_ticker, market_underlying, options_by_contract
from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Fill, OptionLeg, OrderRole, Proposal, RiskApproved, RiskRefused, Right, Side, Signal, Skip, SpreadProposal, signal_from_plain
from quanticity.execution.broker import ReplayBroker
from quanticity.execution.positions import PositionBook, book_plain
from quanticity.feeds.simulator import Extras, SimulatorParameters, sessions_from, simulate
from quanticity.jobs.execution import Carried, ExecutionJob, Working, _book_state, limits_of
from quanticity.jobs.replay import SessionRun, run_sessions
from quanticity.jobs.run import replay_state
from quanticity.jobs.settlement import _first_traded, underlying_quote
from quanticity.jobs.wiring import Desk, strategy_of
from quanticity.jobs.working import note_fill
from quanticity.market.chain import _ROW, FIELDS, nanoseconds, timestamp
from quanticity.market.commissions import schedule_on
from quanticity.market.matching import MatchingEngine, Quote
from quanticity.market.session import MarketSession
from quanticity.market.tape import IndexLevels
from quanticity.research.backtest import Backtest, backtest, prove
from quanticity.research.backtest_folder import trades_table
from quanticity.research.bias import BiasSettings, check_bias
from quanticity.research.decisions import session_steps
from quanticity.risk.brackets import bracket
from quanticity.risk.limits import check_entry
from quanticity.signals.audit import findings, read_exposure
from quanticity.signals.lifecycle import SignalBook, end_signal
from quanticity.signals.scoring import Caps, SignalPolicy
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

FEW, BARE = SimulatorParameters(strikes=5), Extras(books=None, levels=False)
DEEP = SimulatorParameters(strikes=16)
QUICK = {"market.step_seconds": 1800, "market.max_quote_age_seconds": 2000.0, "signals.time_to_live_seconds": 3600.0, "risk.max_relative_spread": 2.0,
         "execution.exit_minutes_before_close": 0.0, "risk.minutes_before_expiry": 0.0, "risk.order_notional": 3000.0}
WEDNESDAY, THURSDAY, FRIDAY = date(2026, 3, 18), date(2026, 3, 19), date(2026, 3, 20)


@dataclass(frozen=True)
class Wish:
    shape: str = "call"  # credit spread of calls or puts, condor, or debit spread of calls
    inside: float = 0.0  # how far in the money the sold strike is, dollars
    days: int = 1
    exit_days: float = 30.0
    stop: float = -1e4
    on: str = "2026-03-18"  # the day on which it trades


class Spreader:
    """Trades one spread on one morning; target and stop are out of reach unless said."""

    NAME = "spreader"
    Parameters = Wish

    def propose(self, features, chain, p):
        here = features.ts.astimezone(NEW_YORK)
        if here.time() > time(10, 0) or here.date().isoformat() != p.on or not chain.spot > 0:
            return Skip(self.NAME, features.symbol, features.ts, Reason.OUTSIDE_WINDOW, "not now", (features.snapshot_id,))
        wanted = {"call": ("CS0 CB1",), "put": ("PS0 PB-1",), "condor": ("PS0 PB-1 CS0 CB1",), "debit": ("CB0 CS1",), "naked": ("CS0 PB-1",)}[p.shape]
        legs, price = [], 0.0
        for word in wanted[0].split():
            call, side, step = word[0] == "C", Side.BUY if word[1] == "B" else Side.SELL, int(word[2:])
            row = self._row(chain, call, p, step)
            if row is None:
                return Skip(self.NAME, features.symbol, features.ts, Reason.NO_LIQUID_CONTRACT, "none is quoted", (features.snapshot_id,))
            legs.append(OptionLeg(chain.contracts.contract(row), side))
            price += float(chain.ask[row]) if side is Side.BUY else -float(chain.bid[row])
        limit, now = round(price + 0.30, 2), timestamp(chain.ts)
        return (SpreadProposal(f"pro:{self.NAME}:{p.shape}:{chain.seq}", self.NAME, features.symbol, now, legs[0].contract, Side.BUY, limit, limit + 1e4,
                               p.stop, now + timedelta(days=p.exit_days), 0.9, {"there": 0.9}, (features.snapshot_id,), legs=tuple(legs)),)

    def _row(self, chain, call, p, step):
        c, today = chain.contracts, chain.ts // 86_400_000_000_000
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero((c.expiry_day >= today + p.days) & (c.is_call == call) & (chain.bid > 0.02) & (chain.ask > 0))
        rows = rows[c.expiry_day[rows] == c.expiry_day[rows].min()] if len(rows) else rows
        strikes = sorted(c.strike[rows].tolist())
        if not strikes:
            return None
        at = int(np.argmin([abs(k - chain.spot + p.inside * (1 if call else -1)) for k in strikes])) + step
        return int(rows[c.strike[rows] == strikes[at]][0]) if 0 <= at < len(strikes) else None


def spreader(**wish: object) -> object:
    return strategy_of(Spreader, wish)


def config(**overrides: object) -> Config:
    return load_config(environ={}, overrides={**QUICK, **overrides})


@cache
def days(symbol: str = "SIM", first: date = WEDNESDAY, count: int = 2, seed: int = 3, deep: bool = False) -> tuple[MarketSession, ...]:
    return tuple(d.session for d in simulate(seed, sessions_from(first, count), (symbol,), DEEP if deep else FEW, 300.0, BARE))


def fallen() -> tuple[MarketSession, ...]:
    """Days with strikes far below the spot: calls that stay in the money while it falls."""
    return days(deep=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("spreads"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:spreads:")
    yield connected
    connected.clear_namespace()
    connected.close()


def of(run: SessionRun, *kinds: EventKind) -> list[Event]:
    return [e for e in map(parse_event, run.lines) if e.kind in kinds]


def of_all(tested: Backtest, *kinds: EventKind) -> list[Event]:
    return [e for e in tested.events if e.kind in kinds]


def test_a_credit_spread_is_sold_and_bought_back_leg_by_leg_in_equal_numbers(state, tmp_path):
    tested = backtest(days()[:2], config(), [spreader(days=9, exit_days=1.0)], state=state, folder=tmp_path)
    entry = [e.data for e in of_all(tested, EventKind.FILL) if e.data["role"] == "entry"]
    out = [e.data for e in of_all(tested, EventKind.FILL) if e.data["role"] == "exit"]
    assert {f["side"] for f in entry[:2]} == {"buy", "sell"} and [f["id"][-2:] for f in entry[:2]] == [".1", ".2"]
    for a, b in zip(entry[::2], entry[1::2], strict=True):
        assert a["quantity"] == b["quantity"] and a["ts"] == b["ts"] and a["commission"] > 0 < b["commission"]
    assert sum(f["quantity"] for f in entry) == sum(f["quantity"] for f in out) and [f["side"] for f in out[:2]] == ["buy", "sell"]
    (trade,) = tested.trades
    signal_data = of_all(tested, EventKind.SIGNAL)[0].data["proposal"]
    assert len(signal_data["legs"]) == 2 and signal_data["limit_price"] < 0 and signal_data["side"] == "buy"
    order = next(e for e in of_all(tested, EventKind.ORDER) if e.data["role"] == "entry")
    assert order.data["checks"]["order_notional"] <= 3000 and order.data["checks"]["legs"] == 2 and trade.premium <= 3000
    assert [leg.exit_reason for leg in trade.legs] == ["time", "time"] and trade.net == pytest.approx(tested.net)
    assert any(m.startswith("OPENED -SIM") for m in [e.data["text"] for e in of_all(tested, EventKind.MESSAGE)])


def test_a_replay_gives_the_same_lines_and_a_naked_short_is_refused(server, state, tmp_path):
    wish = spreader(days=9, exit_days=1.0)
    runs = run_sessions(days()[:2], config(), state, tmp_path, strategies=(wish,))
    state.clear_namespace()
    tested = backtest(days()[:2], config(), [wish], state=state, folder=tmp_path)
    assert [line for run in runs for line in run.lines] == list(tested.lines)
    state.clear_namespace()
    naked = backtest(days()[:1], config(), [spreader(shape="naked", days=9)], state=state, folder=tmp_path)
    assert ("refusal", "spreader", "short_not_allowed") in naked.not_done and not naked.trades


def test_the_strategy_is_free_of_bias():
    with replay_state(config()) as own:
        steps = session_steps(days()[0], config(), own)
    report = check_bias(lambda: spreader(days=9), steps, days()[0], BiasSettings(futures=2, late_starts=2, orders=1, noises=1))
    assert report.clean, str(report)


def test_every_leg_is_locked_against_whatever_holds_it(state):
    """A spread, another one that shares a leg, and an option alone that is one of the legs: one of the three is emitted, and its end frees them."""
    at, until = datetime(2026, 3, 18, 15, tzinfo=UTC), datetime(2026, 3, 20, 20, tzinfo=UTC)
    near, far, off = (Contract("XYZ", date(2026, 3, 20), k, Right.CALL, until) for k in (100.0, 105.0, 110.0))

    def spread(strategy: str, *legs: OptionLeg) -> SpreadProposal:
        return SpreadProposal(f"pro:{strategy}", strategy, "XYZ", at, legs[0].contract, Side.BUY, -1.0, 1.0, -3.0, until, 0.9, {}, ("c",), legs=legs)

    first = spread("a", OptionLeg(near, Side.SELL), OptionLeg(far, Side.BUY))
    shares = spread("b", OptionLeg(off, Side.SELL), OptionLeg(far, Side.BUY))
    alone = Proposal("pro:c", "c", "XYZ", at, far, Side.BUY, 1.0, 2.0, 0.5, until, 0.9, {}, ("c",))
    policy = SignalPolicy(0.5, timedelta(minutes=5), timedelta(hours=6), timedelta(minutes=1), Caps())
    book = SignalBook(state, "XYZ", "XYZ-2026-03-18", policy, {"a": 1000.0})
    done = book.take([first, shares, alone], 1)
    assert [e.kind for e in done] == [EventKind.SIGNAL, EventKind.VETO, EventKind.VETO]
    assert {e.data["reason"] for e in done[1:]} == {"same_exposure"} and all(e.data["detail"].endswith(f"of a holds -{near.occ} +{far.occ}") for e in done[1:])
    assert findings(read_exposure(state), Caps()) == []
    (live,) = read_exposure(state).live.values()
    assert live["contract"] == f"-{near.occ} +{far.occ}" and len(live["legs"]) == 1 and len(read_exposure(state).locks) == 3
    with state.transaction() as tx:
        end_signal(tx, signal_from_plain(done[0].data), at, policy, "refused:stale_quote")
    assert not read_exposure(state).live
    assert book.consider(replace(alone, id="pro:d", strategy="d")).kind is EventKind.SIGNAL


def dividend(amount: float, day: date = THURSDAY) -> dict[str, object]:
    return {"execution.dividends": {"SIM": {day.isoformat(): amount}}}


def test_a_call_spread_is_assigned_on_the_eve_of_a_dividend_and_unwound_the_next_day(state, tmp_path):
    cfg = config(**dividend(40.0))
    tested = backtest(fallen(), cfg, [spreader(days=9, inside=30.0)], state=state, folder=tmp_path)
    (assigned,) = of_all(tested, EventKind.ASSIGNMENT)
    fills = of_all(tested, EventKind.FILL)
    assert assigned.ts.date() == WEDNESDAY and assigned.data["quantity"] < 0 and assigned.data["shares"] == 100 * assigned.data["quantity"] < 0
    assert assigned.cause[0] in {f.id for f in fills} and "exercise gains 40.0000 a share" in assigned.data["why"]
    (paid,), (shares,) = of_all(tested, EventKind.DIVIDEND), of_all(tested, EventKind.SHARES)
    assert paid.cause == (assigned.id,) and paid.data["cash"] == pytest.approx(40.0 * assigned.data["shares"]) and shares.cause[0] == assigned.id
    quotes = fallen()[1].underlying_quotes
    known = quotes.ts <= nanoseconds(shares.ts)
    assert shares.ts.date() == THURSDAY and shares.data["price"] == quotes.ask[known][-1] and shares.data["source"] == "quote"
    left = [f for f in fills if f.data["role"] == "exit"]
    assert {f.data["side"] for f in left} == {"sell"} and left[0].ts.date() == THURSDAY and left[0].data["order_id"].endswith("/exit2")
    cancelled = {e.data["order_id"].rpartition("/")[2] for e in of_all(tested, EventKind.CANCEL)}
    assert {"target", "stop"} <= cancelled
    (trade,) = tested.trades
    assert [leg.exit_reason for leg in trade.legs] == ["assignment", "time"] and trade.closed is not None
    assert trade.net == pytest.approx(tested.net) and tested.value == 0
    assert any("are owed at the close of 2026-03-18" in note for note in tested.notes)
    table = trades_table(tested.trades).to_pydict()
    assert (table["side"], table["exit_reason"]) == (["sell", "buy"], ["assignment", "time"]) and sum(table["net"]) == pytest.approx(tested.net)
    overnight = tested.book["ts"] == nanoseconds(fallen()[0].closes)
    assert assigned.data["shares"] < tested.book["delta"][overnight][0] < 0  # shares are owed, calls are held


@pytest.mark.parametrize(("overrides", "assigned"), [({"execution.early_assignment": "never"}, 0), ({}, 1)])
def test_the_switch_keeps_everybody_from_exercising(state, tmp_path, overrides, assigned):
    tested = backtest(fallen()[:1], config(**dividend(40.0), **overrides), [spreader(days=9, inside=30.0)], state=state, folder=tmp_path)
    assert len(of_all(tested, EventKind.ASSIGNMENT)) == assigned


def test_what_was_bought_is_exercised_early_only_on_demand(state, tmp_path):
    wish = spreader(shape="debit", days=9, inside=30.0)
    cfg = {**dividend(60.0), "execution.early_assignment": "never"}
    never = backtest(fallen()[:1], config(**cfg), [wish], state=state, folder=tmp_path)
    state.clear_namespace()
    asked = backtest(fallen(), config(**cfg, **{"execution.early_exercise": "rational"}), [wish], state=state, folder=tmp_path)
    assert not of_all(never, EventKind.EXERCISE)
    (done,) = of_all(asked, EventKind.EXERCISE)
    assert done.data["quantity"] > 0 and done.data["shares"] > 0 and of_all(asked, EventKind.DIVIDEND)[0].data["cash"] > 0
    assert of_all(asked, EventKind.SHARES)[0].data["quantity"] < 0


def test_european_options_are_never_assigned_early(state, tmp_path):
    cfg = config(**{"execution.dividends": {"SPXW": {"2026-03-23": 50.0}}})
    tested = backtest(days("SPXW", FRIDAY, 2)[:1], cfg, [spreader(shape="put", days=2, on="2026-03-20")], state=state, folder=tmp_path)
    assert of_all(tested, EventKind.FILL) and not of_all(tested, EventKind.ASSIGNMENT)


def at_the_end(tested: Backtest) -> dict[str, float]:
    return {e.id: e.data["quantity"] for e in of_all(tested, EventKind.SETTLEMENT)}


@pytest.mark.parametrize(("symbol", "delivers"), [("SIM", True), ("SPXW", False)])
def test_an_iron_condor_expires_leg_by_leg_in_shares_or_in_cash(state, tmp_path, symbol, delivers):
    tested = backtest(days(symbol, FRIDAY, 2), config(), [spreader(shape="condor", days=0, on="2026-03-20")], state=state, folder=tmp_path)
    ends = of_all(tested, EventKind.SETTLEMENT)
    assert len(ends) == 4 and len({abs(e.data["quantity"]) for e in ends}) == 1
    inside = [e for e in ends if e.data["intrinsic"] > 0]
    assert inside and {e.data["contract"]["right"] for e in inside} in ({"C"}, {"P"})  # one side only can be
    assert all(bool(e.data["shares"]) is (delivers and e.data["intrinsic"] >= 0.01) for e in ends)
    (trade,) = tested.trades
    assert -trade.net <= trade.premium + trade.commission + 1 + sum(abs(e.data["shares"]) for e in ends) * 0.2
    assert tested.value == 0 and len(of_all(tested, EventKind.SHARES)) == sum(bool(e.data["shares"]) for e in ends)
    prove(tested, tested.events)


def with_level(session: MarketSession, name: str, moments: list[datetime], values: list[float]) -> MarketSession:
    ts = np.array([nanoseconds(at) for at in moments])
    return replace(session, levels=IndexLevels(ts, np.zeros(len(ts), np.int64), np.array(values)), level_names=(name,))


def test_the_official_opening_value_is_waited_for_and_used(state, tmp_path):
    thursday, friday = days("SPX", THURSDAY, 2)
    published = datetime(2026, 3, 20, 13, 45, tzinfo=UTC)
    runs = run_sessions((thursday, with_level(friday, "SET", [published], [505.25])), config(**{"market.step_seconds": 900}), state, tmp_path,
                        strategies=(spreader(days=1, on="2026-03-19"),))
    ends = of(runs[1], EventKind.SETTLEMENT)
    assert len(ends) == 2 and {(e.ts, e.data["underlying_price"]) for e in ends} == {(published, 505.25)}
    assert not any("official" in note for note in runs[1].notes) and runs[1].totals.value == 0


def test_without_any_opening_price_the_first_spot_after_the_wait_and_it_is_said(state, tmp_path):
    from quanticity.market.tape import Bars, Trades, empty

    thursday, friday = days("SPX", THURSDAY, 2)
    bare = replace(friday, underlying_trades=empty(Trades), underlying_bars=empty(Bars))
    runs = run_sessions((thursday, bare), config(), state, tmp_path, strategies=(spreader(days=1, on="2026-03-19"),))
    ends = of(runs[1], EventKind.SETTLEMENT)
    first = next(row["spot"] for row in runs[1].rows if row["spot"] == row["spot"])
    assert {(e.ts, e.data["underlying_price"]) for e in ends} == {(datetime(2026, 3, 20, 14, 0, tzinfo=UTC), first)}
    assert any("was settled at the first spot" in note and "no official opening price" in note for note in runs[1].notes)
    waiting = [row for row in runs[1].rows if row["ts"] < nanoseconds(ends[0].ts)]
    assert waiting and all(np.isfinite(row["unrealized"]) for row in waiting)


def test_a_half_day_settles_at_one_and_the_shares_go_on_the_next_session(state, tmp_path):
    half, monday = days("SIM", date(2026, 11, 27), 2)
    tested = backtest((half, monday), config(), [spreader(shape="put", days=0, inside=6.0, on="2026-11-27")], state=state, folder=tmp_path)
    ends = of_all(tested, EventKind.SETTLEMENT)
    assert {e.ts for e in ends} == {datetime(2026, 11, 27, 18, tzinfo=UTC)} and any(e.data["shares"] > 0 for e in ends)
    assert all(e.ts.date() == date(2026, 11, 30) for e in of_all(tested, EventKind.SHARES)) and tested.value == 0


def test_the_stop_of_a_spread_works_on_its_net_price(state, tmp_path):
    tested = backtest(days()[:2], config(), [spreader(days=9, stop=-3.0, inside=-5.0)], state=state, folder=tmp_path)
    (trade,) = tested.trades
    assert {leg.exit_reason for leg in trade.legs} <= {"stop", "open"} and len({leg.exit_reason for leg in trade.legs}) == 1


def test_a_restart_folds_assignment_dividend_and_shares_as_they_were(state, tmp_path):
    """From the ledger of each day onto what it began with: positions, shares, money and signals at work are those of the process that ran through."""
    runs = run_sessions(fallen(), config(**dividend(40.0)), state, tmp_path, strategies=(spreader(days=9, inside=30.0),))
    assert of(runs[1], EventKind.SHARES) and of(runs[1], EventKind.DIVIDEND) and of(runs[0], EventKind.ASSIGNMENT)

    def restarted(run: SessionRun) -> ExecutionJob:
        return ExecutionJob(run.desk, ReplayBroker(MatchingEngine(), schedule_on(run.desk.date)))

    second = restarted(runs[1])
    assert second.opening == runs[0].totals and second.book.open_positions() == [] == second.book.shares.lots()
    assert second.book.totals().net == pytest.approx(runs[1].totals.net) and all(w.over for w in second.working.values())
    (w,) = second.working.values()
    assert w.cash == pytest.approx(runs[1].totals.net) and second.orders_sent == len(of(runs[1], EventKind.ORDER))
    first = restarted(runs[0])
    assert [lot.quantity for lot in first.book.shares.lots()] == [of(runs[0], EventKind.ASSIGNMENT)[0].data["shares"]]
    assert {p.contract.occ: p.quantity for p in first.book.open_positions()} == {m.contract.occ: m.quantity for m in runs[0].marks}
    assert next(iter(first.working.values())).broken


# -- another process --------------------------------------------------------------------------------------------------------------

CHILD = """
import os, signal, sys
sys.path.insert(0, {here!r})
from test_spreads import config, fallen, spreader, dividend
from pathlib import Path
from quanticity.jobs.replay import run_sessions
from quanticity.store.state import connect
def watch(moment):
    if moment.execution.book.open_positions() and sys.argv[3] == "soon":
        os.kill(os.getpid(), signal.SIGKILL)
    if moment.now >= int(moment.session.closes.timestamp()) * 10**9:
        os.kill(os.getpid(), signal.SIGKILL)
run_sessions(fallen()[:1], config(**(dividend(40.0) if sys.argv[3] == "assigned" else {{}})), connect(sys.argv[1], prefix="replay:killed:"), Path(sys.argv[2]),
             strategies=(spreader(days=9, inside=30.0, exit_days=1.0),), watch=watch)
"""


@pytest.mark.parametrize("when", ["soon", "assigned"])
def test_a_process_of_the_next_day_knows_what_the_killed_one_held(server, tmp_path, when):
    """Killed by -9 at the first fill, or right after the close: the next day's process knows positions, shares and money, and closes them."""
    cfg = config(**(dividend(40.0) if when == "assigned" else {}))
    done = subprocess.run([sys.executable, "-c", CHILD.format(here=str(Path(__file__).parent)), server.url, str(tmp_path), when], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    state = connect(server.url, prefix="replay:killed:")
    try:
        yesterday = fallen()[0]
        fresh = connect(server.url, prefix="replay:unkilled:")
        whole = run_sessions(fallen()[:1], cfg, fresh, tmp_path, strategies=(spreader(days=9, inside=30.0, exit_days=1.0),))
        fresh.clear_namespace()
        fresh.close()
        thursday = fallen()[1]
        desk = Desk(state, cfg, "SIM", thursday.date, thursday.opens, thursday.closes)
        job = ExecutionJob(desk, ReplayBroker(MatchingEngine(), schedule_on(THURSDAY)))
        if when != "soon":
            assert {p.contract.occ: p.quantity for p in job.book.open_positions()} == {m.contract.occ: m.quantity for m in whole[0].marks}
            assert job.opening == whole[0].totals and len(job.working) == 1
            assert bool(job.book.shares.lots()) is (when == "assigned")
        else:
            assert {p.quantity > 0 for p in job.book.open_positions()} == {True, False}
        again = ExecutionJob(desk, ReplayBroker(MatchingEngine(), schedule_on(THURSDAY)))  # and a restart on the same morning begins with the same
        assert again.opening == job.opening and book_plain(again.book) == book_plain(job.book)
        runs = run_sessions(fallen()[1:2], cfg, state, tmp_path, strategies=(spreader(days=9, inside=30.0, exit_days=1.0),))
        closed = [e for e in of(runs[0], EventKind.FILL) if e.data["role"] == "exit"]
        assert closed and runs[0].totals.value == 0 and not of(runs[0], EventKind.SIGNAL) and len(of(runs[0], EventKind.SHARES)) == (when == "assigned")
        assert runs[0].totals.net == pytest.approx(runs[0].totals.cash) and yesterday.date == WEDNESDAY
    finally:
        state.clear_namespace()
        state.close()


# -- a morning with a position in hand ----------------------------------------------------------------------------------------------

MORNING = datetime(2026, 3, 19, 13, 30, tzinfo=UTC)
NEAR, FAR = (Contract("XYZ", date(2026, 3, 20), k, Right.CALL, datetime(2026, 3, 20, 20, tzinfo=UTC)) for k in (100.0, 105.0))
SOLD = SpreadProposal("pro:1", "spreader", "XYZ", MORNING - timedelta(days=1), NEAR, Side.BUY, -1.4, 9.0, -9.0, FAR.expires_at, 0.9, {}, (),
                      legs=(OptionLeg(NEAR, Side.SELL), OptionLeg(FAR, Side.BUY)))


def morning(state: State, near: int, far: int, **overrides: object) -> tuple[ExecutionJob, ReplayBroker]:
    """A job of Thursday that was handed a call spread sold at 1.40: `near` contracts of the sold leg, `far` of the bought one."""
    signal_ = Signal("sig:1", "ab", SOLD.ts, SOLD.ts + timedelta(minutes=5), SOLD)
    book, working = PositionBook(), Working(signal_, far)
    for n, (contract, side, quantity, price) in enumerate(((NEAR, Side.SELL, -near, 3.0), (FAR, Side.BUY, far, 1.6))):
        if quantity:
            fill = Fill(f"sig:1/entry#{n}", "sig:1/entry", "sig:1", contract, side, OrderRole.ENTRY, quantity, price, 0.0, SOLD.ts)
            book.apply(fill)
            note_fill(working, fill)
    working.entry_open, broker = False, ReplayBroker(MatchingEngine(), schedule_on(THURSDAY))
    desk = Desk(state, config(**overrides), "XYZ", THURSDAY, MORNING, MORNING + timedelta(hours=6.5))
    began = Carried(book, {"sig:1": working}, totals=book.totals(book.mark(lambda c: Quote(0, 1.6, 3.0, 9, 9), 0)))
    return ExecutionJob(desk, broker, carried=began), broker


def shown(job: ExecutionJob, minute: int, **quotes: tuple[float, float]) -> int:
    """Publish bids and asks and the spot; the moment in nanoseconds."""
    now = nanoseconds(MORNING) + minute * 60_000_000_000
    rows = {contract.occ: _ROW.pack(1, now, *({"bid": quotes[name][0], "ask": quotes[name][1], "bid_size": 9.0, "ask_size": 9.0}.get(f, np.nan) for f in FIELDS))
            for name, contract in (("near", NEAR), ("far", FAR)) if name in quotes}
    job.desk.state.set_hash(options_by_contract("XYZ"), rows)
    job.desk.state.set_hash(market_ticker("XYZ"), {"spot": "102.0", "snapshot_id": f"chain:XYZ:{minute}"})
    return now


def test_while_nobody_offers_what_was_sold_risk_counts_the_worst_and_the_account_the_last_offer(state):
    job, _ = morning(state, -2, 2)
    job.step(shown(job, 1, near=(3.0, 3.2), far=(1.5, 1.7)))
    assert job.totals.value == -2 * 170.0 and _book_state(job).pnl_today == pytest.approx(job.totals.net - job.opening.net)
    job.step(shown(job, 2, near=(3.0, np.nan), far=(1.5, 1.7)))
    assert job.totals.value == -2 * 170.0 and [m.reason for m in job.marks] == [Reason.EMPTY_SIDE, None] and job.shown == job.marks
    assert _book_state(job).pnl_today == pytest.approx(280.0 - 1000.0 - job.opening.net)  # the credit less the width
    job.step(shown(job, 3, near=(3.0, 3.2), far=(np.nan, 1.7)))  # the cover has no bid: 0 to risk and to the account, its last bid to people
    assert job.totals.value == -640.0 and [m.value for m in job.shown] == [-640.0, 300.0]
    assert _book_state(job).pnl_today == pytest.approx(job.totals.net - job.opening.net)


def test_a_restart_on_the_same_day_knows_the_prices_that_were_seen_last(state):
    """The cover was shown at its last bid before the restart; it still is, while nobody bids, and not at 0 as if it had never been seen."""
    job, _ = morning(state, -2, 2)
    job.step(shown(job, 1, near=(3.0, 3.2), far=(1.5, 1.7)))
    with state.transaction() as tx:
        job.save(tx)
    now = shown(job, 2, near=(3.0, 3.2), far=(np.nan, 1.7))
    again = ExecutionJob(job.desk, ReplayBroker(MatchingEngine(), schedule_on(THURSDAY)))
    for each in (again, job):
        each.step(now)
        assert [m.value for m in each.shown] == [-640.0, 300.0] and each.opening == job.opening


def test_the_price_of_shares_is_the_latest_quotes_however_long_the_stream_is(state):
    """12,000 entries of quotes since the open, of which the latest two-sided one counts, and a first trade that comes after 6,000 of them."""
    job, _ = morning(state, -2, 2)
    opens = nanoseconds(MORNING)
    raw = lambda kind, values: np.array(values, kind).tobytes()
    names = ("bid", "ask", "bid_size", "ask_size")
    with state.transaction() as tx:
        tx.append(market_underlying("XYZ"), {"quote_ts": raw("<i8", [opens - 10**9]), **{n: raw("<f8", [90.0]) for n in names}, "trade_ts": raw("<i8", [opens - 10**9]), "price": raw("<f8", [90.0])},
                  opens // 1_000_000 - 1000)
        for k in range(12_000):
            ts, bid = opens + k * 10**9, 100.0 + k / 1000
            sides = {"bid": bid, "ask": bid + 0.02 if k < 11_500 else np.nan, "bid_size": 1.0, "ask_size": 1.0}
            traded = [ts] if k >= 6_000 else []
            tx.append(market_underlying("XYZ"), {"quote_ts": raw("<i8", [ts]), **{n: raw("<f8", [sides[n]]) for n in names}, "trade_ts": raw("<i8", traded), "price": raw("<f8", [bid] * len(traded))},
                      ts // 1_000_000)
    assert underlying_quote(job, opens, opens + 12_000 * 10**9) == pytest.approx((111.499, 111.519))
    assert underlying_quote(job, opens, opens + 7_000 * 10**9) == pytest.approx((107.0, 107.02))  # what is not known yet does not count
    assert underlying_quote(job, opens + 11_600 * 10**9, opens + 12_000 * 10**9) is None
    found = _first_traded(job, opens)
    assert found is not None and (found.price, found.source) == (106.0, "the underlying's first trade")


def test_a_sold_call_alone_that_nobody_offers_lets_no_order_through(state):
    job, _ = morning(state, -2, 0)
    now = shown(job, 1, near=(3.0, np.nan))
    job.step(now)
    book, fresh = _book_state(job), Quote(now, 1.0, 1.02, 9, 9)
    alone = Proposal("pro:2", "other", "XYZ", timestamp(now), FAR, Side.BUY, 1.05, 2.0, 0.5, FAR.expires_at, 0.9, {}, ())
    asked = Signal("sig:2", "cd", alone.ts, alone.ts + timedelta(minutes=5), alone)
    decision = check_entry(asked, fresh, book, limits_of(job.desk.config), alone.ts, job.desk.closes)
    assert isinstance(decision, RiskRefused) and (decision.reason, book.pnl_today) == (Reason.MAX_DAILY_LOSS, -np.inf) and "no bound" in decision.detail
    assert job.totals.value == -600.0  # what it was sold at: never nothing


def test_every_exit_of_a_broken_spread_has_an_id_of_its_own(state):
    """Its cover alone is left, nobody bids, the exit is cancelled: the next one is another order, not one that the broker has seen."""
    job, broker = morning(state, 0, 2)
    sent = []
    for minute in (1, 2, 3, 4):
        now = shown(job, minute, near=(3.0, 3.2), far=(np.nan, 1.7))
        job.step(now)
        sent += [order.ticket.id for order in broker.open_orders()]
        assert broker.cancel(sent[-1])
        broker.on_step(now + 1, job.prices.quote_of)
    assert sent == ["sig:1/exit2", "sig:1/exit3", "sig:1/exit4", "sig:1/exit5"]
    again = ExecutionJob(job.desk, ReplayBroker(MatchingEngine(), schedule_on(THURSDAY)))  # and a restart goes on counting
    assert again.working["sig:1"].exits.attempts == 5


def test_a_later_exit_takes_the_brackets_own_exits_off_before_it_trades(state):
    """The broker of a new day still works target and stop, and has forgotten the forced exit: what is held is sold once."""
    job, broker = morning(state, -2, 2)
    w = job.working["sig:1"]
    w.signal = replace(w.signal, proposal=replace(SOLD, exit_at=MORNING))
    w.exits.send("sig:1/exit", NEAR.occ, 2)
    w.exits.end("sig:1/exit")
    target = replace(bracket(w.signal, 2)[1], limit_price=-2.0, parent_id=None)  # the market gives more than that: it would trade
    broker.submit(RiskApproved("sig:1", MORNING, (target,), {}))
    now = shown(job, 1, near=(3.0, 3.2), far=(1.5, 1.7))
    job.step(now)  # the exit falls due
    assert {order.ticket.id for order in broker.open_orders()} == {"sig:1/target", "sig:1/exit2"}
    for minute in (2, 3):
        now = shown(job, minute, near=(3.0, 3.2), far=(1.5, 1.7))
        broker.on_step(now, job.prices.quote_of)
        job.step(now)
    assert w.over and job.book.open_positions() == [] and broker.open_orders() == []
    assert {fill.partition("#")[0] for fill in w.fills[2:]} == {"sig:1/exit2"} and len(w.fills) == 4
