"""The jobs step by step on a real server: a hand-made market in which every outcome is made to happen, and a simulated half day as a whole."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest

from quanticity.core.config import Config, load_config
from quanticity.core.errors import ConfigError
from quanticity.core.events import Event, EventKind, ancestry, parse_event
from quanticity.core.keys import (
    analytics, execution_positions, heartbeat, market_bars, market_ticker, market_trades, monitoring_analytics, monitoring_data, options_by_contract,
    options_chain, signals_ack, signals_distribution, signals_execution, signals_memory, signals_pending)
from quanticity.core.reasons import Reason
from quanticity.core.types import Message, Proposal, Side, Signal, fill_from_plain, message_from_plain, plain, signal_from_plain
from quanticity.distribution.channels import FileChannel
from quanticity.execution.broker import ReplayBroker
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.jobs.analytics import LOOKBACK_MINUTES, AnalyticsJob
from quanticity.jobs.distribution import DistributionJob
from quanticity.jobs.execution import ExecutionJob, exit_time, limits_of, mark_positions
from quanticity.jobs.market import MarketJob
from quanticity.jobs.replay import Book, SessionRun, _Loop, open_channels, profile_steps, run_session
from quanticity.jobs.signals import METRICS, SignalsJob, signal_policy
from quanticity.jobs.wiring import ChainReader, Desk, load_strategies
from quanticity.market.chain import Contracts, OptionChain, decode_chain, decode_row, encode_chain, nanoseconds, timestamp
from quanticity.market.commissions import schedule_on
from quanticity.market.matching import MatchingEngine
from quanticity.market.quality_parameters import QualityParameters
from quanticity.market.session import Batch, MarketSession, batches
from quanticity.market.tape import Bars, Imbalances, Quotes, Trades, empty
from quanticity.signals.features import metric_document, read_metric
from quanticity.signals.lifecycle import SignalBook, read_lock
from quanticity.store.ledger import ledger_lines
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

DAY = date(2015, 12, 24)
OPENS, CLOSES = datetime(2015, 12, 24, 14, 30, tzinfo=UTC), datetime(2015, 12, 24, 18, tzinfo=UTC)
OPEN, MINUTE = nanoseconds(OPENS), 60_000_000_000
CLOSE_MINUTE = 210
CALL, PUT, NEXT_CALL, SILENT = range(4)  # rows of the listing
NAN = float("nan")


def listing() -> Contracts:
    day, close = (DAY - date(1970, 1, 1)).days, nanoseconds(CLOSES)
    return Contracts("GOOG", "GOOG", np.array([747.5, 747.5, 747.5, 750.0]), np.array([day, day, day + 7, day]),
                     np.array([close, close, close + 7 * 1440 * MINUTE, close]), np.array([True, False, True, True]), np.full(4, 100.0))


def at(minute: float) -> datetime:
    return OPENS + timedelta(minutes=minute)


def quotes_of(now: int, rows: dict[int, tuple[float, float, float, float]]) -> Quotes:
    columns = np.array([rows[r] for r in rows], float).reshape(-1, 4).T
    return Quotes(np.full(len(rows), now), np.array(list(rows), np.int64), *columns)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("jobs"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:jobs:")
    yield connected
    connected.clear_namespace()
    connected.close()


# prices here go where a test wants them while the spot stands still, and hours pass in a step: the door must not take that for errors
HAND_MADE = QualityParameters(jump_spreads=1e6, bound_share=100.0, parity_share=100.0, leap_seconds=1e6)


class Floor:
    """All jobs but the strategies over a hand-made market; proposals are made by hand. Steps in the order of a replay."""

    def __init__(self, state: State, folder: Path, **overrides: object) -> None:
        config = load_config(environ={}, overrides=overrides)
        self.state, self.desk = state, Desk(state, config, "GOOG", DAY, OPENS, CLOSES)
        session = MarketSession("sim", DAY, OPENS, CLOSES, listing(), empty(Quotes), empty(Trades), empty(Bars), empty(Quotes), np.full(4, NAN), np.full(4, NAN),
                                0.02, 0.0, empty(Imbalances))
        self.market = MarketJob(self.desk, session, lambda now: self.batch, limits=HAND_MADE)
        self.broker = self.new_broker()
        self.execution = ExecutionJob(self.desk, self.broker)
        self.distribution = DistributionJob(self.desk, {"file": FileChannel(folder)})
        self.signals = SignalBook(state, "GOOG", self.desk.session, signal_policy(config.signals))
        self.snapshots: set[str] = set()

    def new_broker(self) -> ReplayBroker:
        return ReplayBroker(MatchingEngine(self.desk.config.execution.latency_steps), schedule_on(DAY))

    def see(self, minute: int, quote=None, spot: float = 748.0, **rows) -> None:
        """What the market shows: (bid, ask, bid size, ask size) of the call; other rows by name."""
        now = OPEN + minute * MINUTE
        shown = {CALL: quote} if quote else {}
        shown |= {globals()[name.upper()]: q for name, q in rows.items()}
        s = np.array([spot])
        bars = Bars(np.array([now]), s, s, s, s, s)
        if spot != spot:  # nobody knows the spot: a bar without a price would be refused and the last spot stay
            bars, self.market.chain_state.last_trade = empty(Bars), NAN
        self.batch = Batch(now, quotes_of(now, shown), empty(Trades), bars, empty(Quotes), empty(Imbalances))
        self.chain = self.market.step(now).chain
        self.snapshots.add(self.chain.id)
        self.broker.on_step(now, self.market.quote_of if minute < CLOSE_MINUTE else lambda contract: None)

    def want(self, minute: int, row: int = CALL, limit: float = 1.5, target: float = 2.4, stop: float = 0.9, **changed) -> Signal | None:
        """A proposal, considered; its signal."""
        p = Proposal(f"pro:hand:{row}:{minute}", "hand", "GOOG", at(minute), self.chain.contracts.contract(row), Side.BUY, limit, target, stop, at(CLOSE_MINUTE - 15),
                     0.9, {}, (self.chain.id,), rationale="made by hand")
        event = self.signals.consider(replace(p, **changed))
        return signal_from_plain(event.data) if event.kind is EventKind.SIGNAL else None

    def act(self, minute: int) -> None:
        now = OPEN + minute * MINUTE
        self.execution.step(now)
        self.distribution.step(now)

    def step(self, minute: int, quote=None, spot: float = 748.0, buy: dict | None = None, **rows) -> Signal | None:
        self.see(minute, quote, spot, **rows)
        signal = self.want(minute, **buy) if buy is not None else None
        self.act(minute)
        self.check()
        return signal

    def drain(self) -> None:
        while (due := self.distribution.next_due()) is not None:
            self.distribution.step(nanoseconds(due))

    @property
    def lines(self) -> list[Event]:
        return [parse_event(line) for line in ledger_lines(self.state, self.desk.session)]

    def of(self, *kinds: EventKind) -> list[Event]:
        return [e for e in self.lines if e.kind in kinds]

    def fills(self) -> list[tuple[str, int, float]]:
        return [(e.data["role"], e.data["quantity"], e.data["price"]) for e in self.of(EventKind.FILL)]

    def cancels(self) -> dict[str, str]:
        return {e.data["order_id"].rsplit("/")[-1]: e.data["reason"] for e in self.of(EventKind.CANCEL)}

    def texts(self) -> list[str]:
        return [e.data["text"] for e in self.of(EventKind.MESSAGE)]

    def ack(self, signal: Signal) -> str:
        return self.state.get_hash(signals_ack("GOOG"))[signal.id].decode()

    def check(self) -> None:
        """What holds after every step: causes known, no message without its fill, none before it, and a recovered job is this one."""
        check_ledger(self.lines, self.snapshots)
        check_recovery(self)


def check_ledger(lines: list[Event], snapshots: set[str]) -> None:
    seen: dict[str, Event] = {}
    for line in lines:
        assert line.cause, line.id
        assert [c for c in line.cause if c not in seen and c not in snapshots] == [], (line.id, line.cause)
        seen[line.id] = line
        if line.kind in (EventKind.MESSAGE, EventKind.DELIVERY):
            above = [e for i, e in ancestry(lines, line.id) if e]
            assert any(e.kind is EventKind.FILL and e.ts <= line.ts for e in above), line.id
            assert {EventKind.ORDER, EventKind.SIGNAL, EventKind.PROPOSAL} <= {e.kind for e in above}
            assert any(i in snapshots for i, _ in ancestry(lines, line.id))
    assert all(a.ts <= b.ts for a, b in zip(lines, lines[1:])), "the ledger goes back in time"


def working_of(job: ExecutionJob) -> dict[str, dict]:
    return {k: {f.name: getattr(w, f.name) for f in fields(w)} for k, w in job.working.items()}


def check_recovery(floor: Floor) -> None:
    ran, again = floor.execution, ExecutionJob(floor.desk, floor.new_broker())
    assert again.book.positions() == ran.book.positions() and again.book.open_positions() == ran.book.open_positions()
    assert again.orders_sent == ran.orders_sent
    assert working_of(again) == working_of(ran)
    mark_positions(again, floor.chain.ts)
    assert again.totals == ran.totals


QUOTE = (1.45, 1.5, 20, 20)


@pytest.fixture
def floor(state, tmp_path) -> Floor:
    return Floor(state, tmp_path)


# -- a bracket's fates ------------------------------------------------------------------------------------------------------


def test_target_hit(floor):
    signal = floor.step(20, QUOTE, buy={})
    assert floor.fills() == [] and floor.ack(signal) == "submitted" and floor.texts() == []
    floor.step(21, QUOTE)
    assert floor.fills() == [("entry", 13, 1.5)] and floor.ack(signal) == "filled"  # 2000 dollars at 150 a contract
    assert floor.execution.working[signal.id].held == 13 and len(floor.texts()) == 1
    floor.step(22, (2.45, 2.55, 20, 20))
    assert floor.fills()[1:] == [("target", 13, 2.45)] and floor.ack(signal) == "closed" and floor.cancels() == {"stop": "oca_cancelled"}
    assert read_lock(floor.state, signal.fingerprint).until == at(22 + 30) and read_lock(floor.state, signal.fingerprint).ended
    commission = sum(e.data["commission"] for e in floor.of(EventKind.FILL))
    result = round(13 * 95.0 - commission, 2)
    assert floor.execution.working[signal.id].cash == pytest.approx(result, abs=0.01) and commission > 0
    assert "OPENED GOOG 2015-12-24 747.5C (hand): bought 13 at 1.50, 09:51 New York." in floor.texts()[0]
    assert "CLOSED GOOG 2015-12-24 747.5C (hand): 13 out at 2.45 by target, 09:52 New York." in floor.texts()[1] and f"{result:+,.2f}" in floor.texts()[1]
    assert floor.execution.totals.net == pytest.approx(result, abs=0.01) and floor.broker.open_orders() == []


def test_stop_hit(floor):
    signal = floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    floor.step(22, (0.9, 1.0, 20, 20))  # touched: a market order a step later
    assert len(floor.fills()) == 1
    floor.step(23, (0.8, 0.95, 20, 20))
    assert floor.fills()[1:] == [("stop", 13, 0.8)] and floor.ack(signal) == "closed" and floor.cancels() == {"target": "oca_cancelled"}
    assert "by stop" in floor.texts()[1] and floor.execution.totals.realized == pytest.approx(-910.0)


def test_a_trailing_stop_follows_the_bid_up(floor):
    signal = floor.step(20, QUOTE, buy={"target": 9.0, "trail_amount": 0.3})
    floor.step(21, QUOTE)
    for minute, bid in ((22, 1.6), (23, 2.0), (24, 1.75)):
        floor.step(minute, (bid, bid + 0.05, 20, 20))
    assert len(floor.fills()) == 1
    floor.step(25, (1.7, 1.8, 20, 20))  # 2.00 less 0.30
    floor.step(26, (1.65, 1.8, 20, 20))
    assert floor.fills()[1:] == [("stop", 13, 1.65)] and floor.ack(signal) == "closed"


def test_time_exit(floor):
    signal = floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    floor.step(CLOSE_MINUTE - 16, QUOTE)
    assert not floor.execution.working[signal.id].exits.under_way and len(floor.of(EventKind.ORDER)) == 3
    floor.step(CLOSE_MINUTE - 15, QUOTE)
    order = floor.of(EventKind.ORDER)[-1]
    assert (order.id, order.data["type"], order.data["quantity"], order.cause) == (f"{signal.id}/exit", "market", 13, (f"{signal.id}/entry#1", floor.chain.id))
    floor.step(CLOSE_MINUTE - 14, (1.2, 1.3, 8, 8))  # only eight show
    floor.step(CLOSE_MINUTE - 13, (1.1, 1.3, 8, 8))
    assert floor.fills()[1:] == [("exit", 8, 1.2), ("exit", 5, 1.1)] and floor.execution.orders_sent == 4
    assert floor.cancels() == {"target": "oca_cancelled", "stop": "oca_cancelled"} and "by exit" in floor.texts()[1] and floor.ack(signal) == "closed"
    assert floor.execution.totals.unrealized == 0.0 and floor.execution.book.open_positions() == []


@pytest.mark.parametrize(("spot", "intrinsic", "shares"), [(750.0, 2.5, 1300), (740.0, 0.0, 0)])
def test_without_a_bid_it_is_settled_at_expiry(floor, spot, intrinsic, shares):
    signal = floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    for minute in range(CLOSE_MINUTE - 15, CLOSE_MINUTE, 5):
        floor.step(minute, (NAN, 0.05, 0, 20), spot)
    assert len(floor.fills()) == 1 and floor.execution.working[signal.id].exits.under_way
    floor.step(CLOSE_MINUTE, (NAN, 0.05, 0, 20), spot)
    (line,) = floor.of(EventKind.SETTLEMENT)
    assert line.cause == (f"{signal.id}/entry#1", floor.chain.id) and (line.data["intrinsic"], line.data["quantity"], line.data["shares"]) == (intrinsic, 13, shares)
    assert floor.ack(signal) == "closed" and f"13 out at {intrinsic:.2f} by settlement" in floor.texts()[1]
    paid = floor.of(EventKind.FILL)[0].data["commission"]
    assert floor.execution.working[signal.id].cash == pytest.approx(13 * 100 * (intrinsic - 1.5) - paid) == pytest.approx(floor.execution.totals.net)
    assert floor.cancels() == {"target": "expired", "stop": "expired", "exit": "expired"} and floor.broker.open_orders() == []
    floor.step(CLOSE_MINUTE + 1, None, spot)
    assert len(floor.of(EventKind.SETTLEMENT)) == 1 and len(floor.texts()) == 2


def test_two_signals_in_one_contract_are_settled_each_with_its_own_cash(state, tmp_path):
    floor = Floor(state, tmp_path, **{"signals.live_lock_seconds": 60.0})
    first = floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    second = floor.step(22, QUOTE, buy={"limit": 1.6})
    floor.step(23, (1.5, 1.6, 20, 20))
    for minute in (CLOSE_MINUTE - 15, CLOSE_MINUTE):
        floor.step(minute, (NAN, 0.05, 0, 20), 750.0)
    (line,) = floor.of(EventKind.SETTLEMENT)
    assert line.data["quantity"] == 25 and {f"{s.id}/entry#1" for s in (first, second)} < set(line.cause)
    cash = [floor.execution.working[s.id].cash for s in (first, second)]
    assert cash[0] > cash[1] and sum(cash) == pytest.approx(floor.execution.totals.net) and len(floor.texts()) == 4
    assert {floor.ack(first), floor.ack(second)} == {"closed"}


def test_an_entry_that_is_never_filled_expires_without_a_word(floor):
    signal = floor.step(20, QUOTE, buy={})
    for minute in (21, 22):
        floor.step(minute, (1.6, 1.7, 20, 20))
    (cancel, *_) = floor.of(EventKind.CANCEL)
    assert (cancel.id, cancel.data["reason"], cancel.data["obstacle"], cancel.data["filled"]) == (
        f"cancel:{signal.id}/entry", "order_expired", "not_marketable", 0)
    assert floor.cancels() == {"entry": "order_expired", "target": "parent_not_filled", "stop": "parent_not_filled"}
    assert floor.ack(signal) == "expired" and floor.fills() == [] and floor.texts() == []
    lock = read_lock(floor.state, signal.fingerprint)
    assert lock.ended and lock.until == at(22 + 30)
    assert floor.step(51, QUOTE, buy={}) is None and floor.step(52, QUOTE, buy={}) is not None
    floor.drain()
    assert floor.of(EventKind.MESSAGE, EventKind.DELIVERY) == []


def test_partial_fills_are_worked_for_what_was_bought(floor):
    signal = floor.step(20, QUOTE, buy={})
    floor.step(21, (1.4, 1.48, 20, 5))
    assert floor.fills() == [("entry", 5, 1.48)] and floor.ack(signal) == "filled"
    floor.step(22, QUOTE)  # the rest's time is over
    assert floor.fills() == [("entry", 5, 1.48)] and floor.cancels()["entry"] == "order_expired"
    floor.step(23, (2.5, 2.6, 3, 20))
    assert floor.execution.working[signal.id].held == 2 and len(floor.texts()) == 1
    floor.step(24, (2.5, 2.6, 3, 20))
    assert floor.fills()[1:] == [("target", 3, 2.5), ("target", 2, 2.5)] and "5 out at 2.50 by target" in floor.texts()[1]
    assert floor.execution.book.open_positions() == [] and floor.ack(signal) == "closed"


def test_several_entry_fills_are_one_opening(state, tmp_path):
    floor = Floor(state, tmp_path, **{"signals.time_to_live_seconds": 600.0})
    floor.step(20, QUOTE, buy={})
    for minute in (21, 22, 23):
        floor.step(minute, (1.4, 1.5, 20, 5))
    assert floor.fills() == [("entry", 5, 1.5), ("entry", 5, 1.5), ("entry", 3, 1.5)] and len(floor.texts()) == 1


def test_an_entry_is_cancelled_at_the_time_of_exit(state, tmp_path):
    floor = Floor(state, tmp_path, **{"signals.time_to_live_seconds": 3000.0, "execution.exit_minutes_before_close": 60.0})
    signal = floor.step(148, QUOTE, buy={})
    floor.step(149, (1.6, 1.7, 20, 20))
    floor.step(150, (1.6, 1.7, 20, 20))
    floor.step(151, QUOTE)  # would fill, but the cancel is there first
    assert floor.fills() == [] and floor.cancels()["entry"] == "user_cancelled" and floor.ack(signal) == "expired"


def test_a_position_that_lives_on_is_left_before_the_close_too(floor):
    signal = floor.step(20, next_call=QUOTE, buy={"row": NEXT_CALL, "exit_at": at(5000)})
    floor.step(21, next_call=QUOTE)
    floor.step(CLOSE_MINUTE - 3, next_call=QUOTE)
    assert floor.fills() == [("entry", 13, 1.5)]
    floor.step(CLOSE_MINUTE - 2, next_call=QUOTE)
    floor.step(CLOSE_MINUTE - 1, next_call=(1.3, 1.4, 20, 20))
    assert floor.fills() == [("entry", 13, 1.5), ("exit", 13, 1.3)] and floor.ack(signal) == "closed"


def test_the_time_of_exit_is_the_earliest_of_three(floor):
    floor.see(20, QUOTE)
    signal = floor.want(20)
    assert exit_time(signal, CLOSES, 15) == at(195)
    assert exit_time(signal, CLOSES, 30) == at(180)
    assert exit_time(replace(signal, proposal=replace(signal.proposal, exit_at=at(100))), CLOSES, 30) == at(100)
    later = replace(signal, proposal=replace(signal.proposal, exit_at=at(99999), contract=floor.chain.contracts.contract(NEXT_CALL)))
    assert exit_time(later, CLOSES, 15) == at(195) and exit_time(later, CLOSES + timedelta(days=30), 15) == at(7 * 1440 + 195)


# -- refusals ------------------------------------------------------------------------------------------------------------------


def lose(floor: Floor) -> None:
    """A put is bought and stopped out with a loss of about 900 dollars."""
    floor.step(20, QUOTE, put=QUOTE, buy={"row": PUT})
    for minute, bid in ((21, 1.45), (22, 0.9), (23, 0.8)):
        floor.step(minute, put=(bid, bid + 0.05, 20, 20))
    assert floor.execution.totals.net < -800


@pytest.mark.parametrize(("overrides", "before", "minute", "quote", "buy", "reason"), [
    ({}, None, CLOSE_MINUTE, QUOTE, {}, Reason.MARKET_CLOSED),
    ({}, None, 207, QUOTE, {"exit_at": at(209)}, Reason.TOO_CLOSE_TO_EXPIRY),
    ({}, None, 100, QUOTE, {"exit_at": at(100)}, Reason.TOO_CLOSE_TO_EXPIRY),
    ({"risk.max_daily_loss": 500.0}, lose, 24, QUOTE, {}, Reason.MAX_DAILY_LOSS),
    ({"risk.max_open_positions": 1}, lambda f: f.step(20, put=QUOTE, buy={"row": PUT}), 21, QUOTE, {}, Reason.MAX_OPEN_POSITIONS),
    ({"risk.max_orders_per_day": 5}, lambda f: f.step(20, put=QUOTE, buy={"row": PUT}), 21, QUOTE, {}, Reason.MAX_ORDERS),
    ({}, None, 20, QUOTE, {"row": SILENT}, Reason.NO_QUOTE),
    ({"market.max_quote_age_seconds": 120.0}, lambda f: f.step(20, QUOTE), 23, None, {}, Reason.STALE_QUOTE),
    ({}, None, 20, (NAN, 1.5, 0, 20), {}, Reason.EMPTY_SIDE), ({}, None, 20, (1.45, 1.5, 20, 0), {}, Reason.EMPTY_SIDE),
    ({}, None, 20, (0.9, 1.5, 20, 20), {}, Reason.SPREAD_TOO_WIDE),
    ({"risk.order_notional": 149.0}, None, 20, QUOTE, {}, Reason.BELOW_ONE_CONTRACT),
    ({"risk.max_order_notional": 1949.0}, None, 20, QUOTE, {}, Reason.MAX_ORDER_NOTIONAL),
    ({"risk.max_symbol_notional": 3899.0}, lambda f: f.step(20, put=QUOTE, buy={"row": PUT}), 21, QUOTE, {}, Reason.MAX_SYMBOL_NOTIONAL),
    ({"risk.max_book_notional": 3899.0}, lambda f: f.step(20, put=QUOTE, buy={"row": PUT}), 21, QUOTE, {}, Reason.MAX_BOOK_NOTIONAL),
    ({}, None, 20, QUOTE, {"side": Side.SELL}, Reason.SHORT_NOT_ALLOWED)], ids=lambda v: v.value if isinstance(v, Reason) else "")
def test_each_limit_refuses(state, tmp_path, overrides, before, minute, quote, buy, reason):
    floor = Floor(state, tmp_path, **overrides)
    if before:
        before(floor)
    orders, messages, sent = len(floor.of(EventKind.ORDER)), len(floor.texts()), floor.execution.orders_sent
    signal = floor.step(minute, quote, buy=buy)
    (line,) = floor.of(EventKind.REFUSAL)
    assert (line.id, line.cause, line.data["reason"]) == (f"refusal:{signal.id}", (signal.id,), reason.value) and line.data["detail"]
    assert floor.ack(signal) == f"refused:{reason.value}" and signal.id not in floor.execution.working and floor.execution.orders_sent == sent
    lock = read_lock(state, signal.fingerprint)
    assert lock.ended and lock.until == at(minute + 30)
    assert floor.state.pending(signals_pending("GOOG"), "risk") == []
    floor.step(minute + 1, QUOTE)
    assert len(floor.of(EventKind.ORDER)) == orders and f"{signal.id}/entry" not in floor.broker.engine
    assert not any(signal.id in e.id for e in floor.of(EventKind.MESSAGE, EventKind.FILL)) and messages <= len(floor.texts())


def test_just_within_every_limit_it_is_let_through(state, tmp_path):
    floor = Floor(state, tmp_path, **{"risk.max_order_notional": 1950.0, "risk.max_symbol_notional": 3900.0, "risk.max_book_notional": 3900.0,
                                      "risk.max_open_positions": 2, "risk.max_orders_per_day": 6})
    floor.step(20, QUOTE, put=QUOTE, buy={"row": PUT})
    floor.step(21, QUOTE, buy={})
    assert floor.of(EventKind.REFUSAL) == [] and len(floor.of(EventKind.ORDER)) == 6


def test_a_signal_that_waited_too_long_is_refused(floor):
    floor.see(20, QUOTE)
    signal = floor.want(20)
    floor.step(22, QUOTE)
    assert floor.of(EventKind.REFUSAL)[0].data["reason"] == "signal_expired" and floor.ack(signal) == "refused:signal_expired"


def test_limits_are_the_configurations_and_a_playbook_scales_the_size(state, tmp_path):
    config = load_config(environ={}, overrides={"risk.max_orders_per_day": 7, "market.max_quote_age_seconds": 33.0})
    limits = limits_of(config, 0.5)
    assert (limits.order_notional, limits.max_order_notional, limits.max_orders_per_day, limits.max_quote_age_seconds) == (1000.0, 5000.0, 7, 33.0)
    floor = Floor(state, tmp_path)
    floor.execution._share = {"hand": 0.25}
    floor.step(20, QUOTE, buy={})
    assert floor.of(EventKind.ORDER)[0].data["quantity"] == 3


# -- once, and after a restart -------------------------------------------------------------------------------------------------


def test_the_same_pending_signal_twice_makes_one_order(floor):
    floor.see(20, QUOTE)
    floor.want(20)
    (entry,) = floor.state.stream_range(signals_pending("GOOG"))
    for _ in range(2):
        floor.state.append(signals_pending("GOOG"), entry.fields)
    floor.act(20)
    floor.check()
    for minute in (21, 22):
        floor.state.append(signals_pending("GOOG"), entry.fields)
        floor.step(minute, QUOTE)
    assert len(floor.of(EventKind.ORDER)) == 3 == floor.execution.orders_sent and floor.fills() == [("entry", 13, 1.5)]
    assert floor.state.stream_length(signals_execution("GOOG")) == 1 and floor.state.pending(signals_pending("GOOG"), "risk") == []


def test_a_refused_signal_again_is_refused_once(state, tmp_path):
    floor = Floor(state, tmp_path, **{"risk.order_notional": 100.0})
    floor.step(20, QUOTE, buy={})
    (entry,) = state.stream_range(signals_pending("GOOG"))
    state.append(signals_pending("GOOG"), entry.fields)
    floor.step(21, QUOTE)
    assert len(floor.of(EventKind.REFUSAL)) == 1


def test_the_brokers_events_again_are_booked_once(floor):
    class Repeating(ReplayBroker):
        """The replay's broker, which tells everything twice, as brokers do after a reconnect."""

        def events(self):
            told = super().events()
            return told + told

    floor.broker = floor.execution.broker = Repeating(floor.broker.engine, floor.broker.schedule)
    floor.step(20, QUOTE, buy={})
    for minute, bid in ((21, 1.45), (22, 2.45)):
        floor.step(minute, (bid, bid + 0.05, 20, 20))
    assert floor.fills() == [("entry", 13, 1.5), ("target", 13, 2.45)] and len(floor.of(EventKind.CANCEL)) == 1 and len(floor.texts()) == 2


def test_a_new_process_goes_on_where_the_old_one_was(floor):
    """Killed after the fill: the job that is rebuilt from the ledger sends the exit in time."""
    signal = floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    floor.execution = ExecutionJob(floor.desk, floor.broker)  # the broker is another machine: it lives on
    floor.step(CLOSE_MINUTE - 15, QUOTE)
    floor.step(CLOSE_MINUTE - 14, QUOTE)
    assert floor.fills()[1:] == [("exit", 13, 1.45)] and floor.ack(signal) == "closed" and len(floor.texts()) == 2


def test_orders_are_written_before_they_are_sent(floor):
    class Dead(ReplayBroker):
        def submit(self, approved):
            raise ConnectionError("gone")

    floor.execution.broker = Dead(floor.broker.engine, floor.broker.schedule)
    floor.see(20, QUOTE)
    signal = floor.want(20)
    with pytest.raises(ConnectionError):
        floor.act(20)
    (entry,) = floor.state.stream_range(signals_execution("GOOG"))
    assert entry.fields["signal_id"].decode() == signal.id and len(json.loads(entry.fields["tickets"])) == 3
    assert len(floor.of(EventKind.ORDER)) == 3 and floor.ack(signal) == "submitted"


@contextmanager
def line_cut(floor: Floor) -> Iterator[None]:
    """The broker cannot be reached: execution dies of it."""
    submit = floor.broker.submit

    def gone(approved):
        raise ConnectionError("gone")

    floor.broker.submit = gone
    with pytest.raises(ConnectionError):
        yield
    floor.broker.submit = submit


def test_orders_written_before_a_crash_are_sent_by_the_next_process(floor):
    floor.see(20, QUOTE)
    signal = floor.want(20)
    with line_cut(floor):
        floor.act(20)
    floor.execution = ExecutionJob(floor.desk, floor.broker)
    floor.step(21, QUOTE)
    assert floor.fills() == [("entry", 13, 1.5)] and floor.ack(signal) == "filled"
    floor.step(22, (2.45, 2.55, 20, 20))  # target and stop were sent with it
    assert floor.fills()[1:] == [("target", 13, 2.45)] and floor.execution.orders_sent == 3 == len(floor.of(EventKind.ORDER))


def test_orders_whose_time_ran_out_before_the_next_process_are_not_filled(floor):
    floor.see(20, QUOTE)
    signal = floor.want(20)
    with line_cut(floor):
        floor.act(20)
    floor.see(40, QUOTE)
    floor.execution = ExecutionJob(floor.desk, floor.broker)
    floor.act(40)
    floor.step(41, QUOTE)
    assert floor.fills() == [] and floor.cancels()["entry"] == "order_expired" and floor.ack(signal) == "expired"


def test_an_exit_written_before_a_crash_is_sent_by_the_next_process_once(floor):
    signal = floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    floor.see(195, QUOTE)
    with line_cut(floor):
        floor.act(195)
    for minute in (196, 197, 198):
        floor.execution = ExecutionJob(floor.desk, floor.broker)
        floor.step(minute, (1.4, 1.5, 5, 5))
    assert floor.fills()[1:] == [("exit", 5, 1.4), ("exit", 5, 1.4), ("exit", 3, 1.4)] and floor.ack(signal) == "closed"
    assert floor.execution.orders_sent == 4 and "13 out at 1.40 by exit" in floor.texts()[1]


def test_what_the_broker_told_of_is_not_sent_again(floor):
    """A broker without a memory shows what a new process sends: only what nothing was heard of."""
    floor.step(20, QUOTE, buy={})
    waiting = floor.new_broker()
    ExecutionJob(floor.desk, waiting)
    assert [o.ticket.id.rsplit("/")[-1] for o in waiting.open_orders()] == ["entry", "target", "stop"]
    floor.step(21, QUOTE)
    floor.step(195, QUOTE)
    waiting = floor.new_broker()
    ExecutionJob(floor.desk, waiting)
    assert [(o.ticket.id.rsplit("/")[-1], o.ticket.quantity) for o in waiting.open_orders()] == [("exit", 13)]
    floor.step(196, (1.4, 1.5, 5, 5))
    waiting = floor.new_broker()
    ExecutionJob(floor.desk, waiting)
    assert waiting.open_orders() == []


def test_cash_after_a_settlement_is_recovered(floor):
    signal = floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    for minute in (CLOSE_MINUTE - 15, CLOSE_MINUTE):
        floor.step(minute, (NAN, 0.05, 0, 20), 750.0)
    again = ExecutionJob(floor.desk, floor.new_broker())
    assert again.working[signal.id].cash == floor.execution.working[signal.id].cash


def test_the_days_result_is_recovered(floor):
    lose(floor)
    again = ExecutionJob(floor.desk, floor.new_broker())
    again.step(floor.chain.ts)
    assert again.totals == floor.execution.totals


def test_the_days_loss_still_counts_after_a_restart(state, tmp_path):
    floor = Floor(state, tmp_path, **{"risk.max_daily_loss": 500.0})
    lose(floor)
    floor.execution = ExecutionJob(floor.desk, floor.broker)
    floor.step(24, QUOTE, buy={})
    assert [e.data["reason"] for e in floor.of(EventKind.REFUSAL)] == ["max_daily_loss"]


def test_it_marks_before_it_decides(state, tmp_path):
    """A loss that shows in this step's quotes counts against this step's signals."""
    floor = Floor(state, tmp_path, **{"risk.max_daily_loss": 500.0})
    floor.step(20, QUOTE, put=QUOTE, buy={"row": PUT})
    floor.step(21, QUOTE, put=QUOTE)
    floor.step(22, QUOTE, put=(0.95, 1.0, 20, 20), buy={})  # 13 contracts, 55 cents down: not touched by the stop
    assert [e.data["reason"] for e in floor.of(EventKind.REFUSAL)] == ["max_daily_loss"] and floor.execution.totals.net < -700


def test_a_signal_read_by_a_process_that_died_is_taken_up(floor):
    floor.see(20, QUOTE)
    signal = floor.want(20)
    assert len(floor.state.read_group(signals_pending("GOOG"), "risk", "execution")) == 1  # and then the process is gone
    floor.execution = ExecutionJob(floor.desk, floor.broker)
    floor.act(20)
    assert signal.id in floor.execution.working


def test_how_it_ended_is_told_right_when_the_entry_outlives_the_position(state, tmp_path):
    floor = Floor(state, tmp_path, **{"signals.time_to_live_seconds": 300.0})
    floor.step(20, QUOTE, buy={})
    floor.step(21, (1.4, 1.5, 20, 5))
    for minute in (22, 23, 24, 25):
        floor.step(minute, (2.5, 2.6, 20, 20))
    assert floor.fills() == [("entry", 5, 1.5), ("target", 5, 2.5)] and floor.cancels()["entry"] == "order_expired"
    assert "5 out at 2.50 by target" in floor.texts()[1]


def test_what_fills_after_the_exit_was_sent_is_sold_too(state, tmp_path):
    floor = Floor(state, tmp_path, **{"signals.time_to_live_seconds": 3000.0, "execution.exit_minutes_before_close": 60.0, "execution.latency_steps": 2})
    floor.step(147, QUOTE, buy={})
    for minute in range(148, 160):
        floor.step(minute, (1.4, 1.5, 20, 3))
    assert floor.execution.book.open_positions() == []
    assert floor.fills() == [("entry", 3, 1.5)] * 3 + [("exit", 6, 1.4), ("exit", 3, 1.4)]
    second = floor.of(EventKind.ORDER)[-1]
    assert second.id.endswith("/exit2") and second.data["quantity"] == 3 and floor.cancels()["entry"] == "user_cancelled"
    assert floor.execution.orders_sent == 5 and len(floor.texts()) == 2 and "9 out at 1.40 by exit" in floor.texts()[1]


def test_no_exit_is_sent_in_a_contract_that_has_expired(floor):
    floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    floor.step(CLOSE_MINUTE - 15, (NAN, 0.05, 0, 20))
    for minute in (CLOSE_MINUTE, CLOSE_MINUTE + 1):
        floor.step(minute, None, NAN)
    assert floor.cancels()["exit"] == "expired" and floor.of(EventKind.SETTLEMENT) == []
    assert [e.id for e in floor.of(EventKind.ORDER) if e.ts >= CLOSES] == []


def test_what_waited_for_a_spot_is_settled_when_it_comes(floor):
    signal = floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    for minute, spot in ((CLOSE_MINUTE - 15, 750.0), (CLOSE_MINUTE, NAN), (CLOSE_MINUTE + 1, 750.0)):
        floor.step(minute, (NAN, 0.05, 0, 20) if minute < CLOSE_MINUTE else None, spot)
    (line,) = floor.of(EventKind.SETTLEMENT)
    assert line.ts == at(CLOSE_MINUTE + 1) and line.data["intrinsic"] == 2.5 and floor.ack(signal) == "closed"


def test_a_fill_without_a_ticker_has_no_empty_cause(floor):
    floor.step(20, QUOTE, buy={})
    floor.see(21, QUOTE)
    floor.state.delete(market_ticker("GOOG"))
    floor.act(21)
    assert [e.cause for e in floor.of(EventKind.FILL)] == [(e.data["order_id"],) for e in floor.of(EventKind.FILL)] and floor.fills()
    floor.see(195, QUOTE)
    floor.state.delete(market_ticker("GOOG"))
    floor.act(195)
    exit_order = floor.of(EventKind.ORDER)[-1]
    assert exit_order.id.endswith("/exit") and exit_order.cause == (floor.of(EventKind.FILL)[0].id,)


# -- what subscribers hear -----------------------------------------------------------------------------------------------------


def test_tiers_hear_after_the_fill_each_at_its_delay(floor, tmp_path):
    floor.step(20, QUOTE, buy={})
    assert floor.state.stream_length(signals_distribution("GOOG")) == 0
    floor.step(21, QUOTE)
    floor.step(22, (2.45, 2.55, 20, 20))
    floor.drain()
    heard = [(e.data["message_id"].rsplit(":")[-1], e.data["tier"], e.ts) for e in floor.of(EventKind.DELIVERY)]
    assert heard == [("opened", "premium", at(21)), ("opened", "basic", at(22)), ("closed", "premium", at(22)), ("closed", "basic", at(23)),
                     ("opened", "free", at(36)), ("closed", "free", at(37))]
    assert len(list(tmp_path.rglob("*.txt"))) == 6
    floor.check()


def test_the_same_hand_over_twice_is_one_message(floor):
    floor.step(20, QUOTE, buy={})
    floor.step(21, QUOTE)
    (entry,) = floor.state.stream_range(signals_distribution("GOOG"))
    assert message_from_plain(orjson.loads(entry.fields["message"])).kind == "opened"
    floor.state.append(signals_distribution("GOOG"), entry.fields)
    floor.step(22, QUOTE)
    floor.drain()
    assert len(floor.of(EventKind.MESSAGE)) == 1 and len(floor.of(EventKind.DELIVERY)) == 3
    assert floor.state.pending(signals_distribution("GOOG"), "distribution") == []


def test_a_message_read_by_a_process_that_died_is_told(floor):
    floor.step(20, QUOTE, buy={})
    floor.see(21, QUOTE)
    floor.execution.step(OPEN + 21 * MINUTE)
    assert len(floor.state.read_group(signals_distribution("GOOG"), "distribution", "distribution")) == 1  # and then the process is gone
    DistributionJob(floor.desk, floor.distribution.outbox.channels).step(OPEN + 21 * MINUTE)
    assert len(floor.of(EventKind.MESSAGE)) == 1


class Unreliable(FileChannel):
    """The file channel, failing its first sends; it counts what it was asked."""

    def __init__(self, folder: Path, fail: int) -> None:
        super().__init__(folder)
        self.fail, self.asked = fail, 0

    def send(self, delivery):
        self.asked += 1
        if self.asked <= self.fail:
            raise TimeoutError("no answer")
        super().send(delivery)


def unreliable(floor: Floor, folder: Path, fail: int) -> Unreliable:
    channel = Unreliable(folder, fail)
    floor.distribution = DistributionJob(floor.desk, {"file": channel})
    return channel


def test_a_failed_delivery_is_tried_once_a_step(state, tmp_path):
    floor = Floor(state, tmp_path, **{"distribution.delays.basic": 7200.0, "distribution.delays.free": 7200.0})
    channel = unreliable(floor, tmp_path, 3)
    floor.step(20, QUOTE, buy={})
    asked = []
    for minute in range(21, 26):
        floor.step(minute, QUOTE)
        asked.append(channel.asked)
    assert asked == [1, 2, 3, 4, 4]
    (line,) = floor.of(EventKind.DELIVERY)
    assert line.ts == at(24) and floor.of(EventKind.DEAD_LETTER) == [] and not floor.distribution.unfinished()


def test_a_delivery_that_is_given_up_is_told_with_its_reason(state, tmp_path):
    floor = Floor(state, tmp_path, **{"distribution.max_attempts": 2, "distribution.delays.basic": 7200.0, "distribution.delays.free": 7200.0})
    channel = unreliable(floor, tmp_path, 99)
    floor.step(20, QUOTE, buy={})
    for minute in (21, 22, 23, 24):
        floor.step(minute, QUOTE)
    (line,) = floor.of(EventKind.DEAD_LETTER)
    assert (line.ts, line.data["tier"], line.data["attempts"], line.data["detail"]) == (at(22), "premium", 2, "TimeoutError: no answer")
    assert channel.asked == 2 and line.cause == (floor.of(EventKind.MESSAGE)[0].id,) and floor.of(EventKind.DELIVERY) == []


def loop_of(state, folder):
    config = load_config(environ={})
    return _Loop(small(), config, state, [Book(config, state, folder)])


@pytest.mark.parametrize(("fail", "delivered", "dead"), [(0, 3, 0), (4, 3, 0), (99, 0, 3)])
def test_the_replay_ends_when_every_delivery_is_sent_or_given_up(state, tmp_path, fail, delivered, dead):
    account = loop_of(state, tmp_path).accounts[0]
    channel = Unreliable(tmp_path, fail)
    account.distribution = DistributionJob(account.desk, {"file": channel})
    account.distribution.outbox.schedule(Message("msg:1:opened", "sig:1", "sig:1/entry#1", at(1), "opened", "OPENED"))
    account.drain()
    kinds = [parse_event(line).kind for line in ledger_lines(state, account.desk.session)]
    assert (kinds.count(EventKind.DELIVERY), kinds.count(EventKind.DEAD_LETTER)) == (delivered, dead)
    assert channel.asked == delivered + min(fail, 15) and account.distribution.next_due() is None and not account.distribution.unfinished()


# -- market ----------------------------------------------------------------------------------------------------------------------


def test_the_chain_is_published_with_what_changed(floor):
    floor.see(1, QUOTE, put=(1.0, 1.1, 3, 4))
    floor.see(2, (1.5, 1.55, 2, 2))
    chain = decode_chain(floor.state.get(options_chain("GOOG")))
    assert chain.id == floor.chain.id == "chain:GOOG:20151224T143200Z:2"
    np.testing.assert_array_equal(chain.bid, [1.5, 1.0, NAN, NAN])
    names = listing().occ()
    by_contract = {k: decode_row(v) for k, v in floor.state.get_hash(options_by_contract("GOOG")).items()}
    assert {k: seq for k, (seq, _, _) in by_contract.items()} == {names[CALL]: 2, names[PUT]: 1}
    assert {k: quoted for k, (_, quoted, _) in by_contract.items()} == {names[CALL]: OPEN + 2 * MINUTE, names[PUT]: OPEN + MINUTE}
    ticker = {k: v.decode() for k, v in floor.state.get_hash(market_ticker("GOOG")).items()}
    assert ticker == {"spot": "748.0", "source": "trade", "ts": str(OPEN + 2 * MINUTE), "snapshot_id": chain.id}
    assert [float(e.fields["close"]) for e in floor.state.stream_range(market_bars("GOOG"))] == [748.0, 748.0]
    assert int(floor.state.get(heartbeat("market"))) == OPEN + 2 * MINUTE


def test_a_chain_is_decoded_once_a_publication(floor):
    reader = ChainReader(floor.state, "GOOG")
    assert reader.latest() is None
    floor.see(1, QUOTE)
    first = reader.latest()
    assert first.id == floor.chain.id and reader.latest() is first
    floor.see(2)  # nothing new but the time
    second = reader.latest()
    assert (second.id, second.seq) == (floor.chain.id, 2) and second is not first and reader.latest() is second
    assert ChainReader(floor.state, "SPXW").latest() is None
    floor.state.delete(options_chain("GOOG"))
    assert reader.latest() is None
    floor.see(3, QUOTE)
    assert reader.latest().id == floor.chain.id


def test_the_head_of_a_chain_is_found_whatever_its_numbers(state):
    """The reader looks for the head's end in a blob's first 512 bytes."""
    day, n = (DAY - date(1970, 1, 1)).days, 1
    listed = Contracts("ABCDEF", "A.LONGER.NAME", np.array([747.5]), np.array([day]), np.array([nanoseconds(CLOSES)]), np.array([True]), np.full(n, 100.0))
    chain = OptionChain(2**62, 2**62, listed, -1.2345678901234567e-300, "parity", -1.2345678901234567e-300, -1.2345678901234567e-300,
                        *(np.ones(n) for _ in range(4)), np.zeros(n, np.int64), *(np.ones(n) for _ in range(3)))
    state.set(options_chain("ABCDEF"), encode_chain(chain))
    assert encode_chain(chain).index(b"\n") < 511
    reader = ChainReader(state, "ABCDEF")
    assert reader.latest().seq == 2**62 and reader.latest() is reader.latest()


def feed_once(state: State, batch: Batch, contracts: Contracts | None = None) -> tuple[MarketJob, object]:
    desk = Desk(state, Config(), "GOOG", DAY, OPENS, CLOSES)
    n = 4 if contracts is None else len(contracts)
    session = MarketSession("sim", DAY, OPENS, CLOSES, listing() if contracts is None else contracts, empty(Quotes), empty(Trades), empty(Bars), empty(Quotes),
                            np.full(n, NAN), np.full(n, NAN), 0.0, 0.0, empty(Imbalances))
    job = MarketJob(desk, session, lambda now: batch)
    return job, job.step(batch.now)


def test_bad_rows_stop_at_the_door_and_are_counted(state):
    now = OPEN + MINUTE
    quotes = Quotes(np.full(4, now), np.array([CALL, PUT, 9, SILENT]), np.array([1.0, 2.0, 1.0, -1.0]), np.array([1.1, 1.9, 1.1, 1.0]), np.ones(4), np.ones(4))
    trades = Trades(np.full(3, now), np.array([CALL, 9, PUT]), np.array([1.0, 1.0, 0.0]), np.array([5.0, 1.0, 1.0]))
    job, step = feed_once(state, Batch(now, quotes, trades, empty(Bars), empty(Quotes), empty(Imbalances)))
    assert step.taken == 2
    assert step.refused == {Reason.UNKNOWN_CONTRACT: 2, Reason.NEGATIVE_PRICE: 2, Reason.CROSSED_QUOTE: 1}
    assert {k: int(v) for k, v in state.get_hash(monitoring_data("GOOG")).items()} == {"taken": 2, "unknown_contract": 2, "negative_price": 2, "crossed_quote": 1}
    assert step.chain.volume.tolist() == [5.0, 0, 0, 0] and np.isnan(step.chain.bid[1:]).all()
    (entry,) = state.stream_range(market_trades("GOOG"))
    assert np.frombuffer(entry.fields["price"], "<f8").tolist() == [1.0] and np.frombuffer(entry.fields["index"], "<i8").tolist() == [CALL]
    assert step.chain.spot_source == "none" and np.isnan(step.chain.spot) and state.get_hash(market_ticker("GOOG"))["spot"] == b"nan"
    contract = job.chain_state.contracts.contract
    assert job.quote_of(contract(PUT)) is None and job.quote_of(replace(contract(CALL), strike=1.0)) is None
    assert job.quote_of(contract(CALL)) == (now, 1.0, 1.1, 1, 1)


def test_without_a_price_of_the_underlying_the_spot_is_implied_by_parity(state):
    now = OPEN + MINUTE
    quotes = quotes_of(now, {CALL: (3.0, 3.1, 1, 1), PUT: (1.0, 1.1, 1, 1)})
    _, step = feed_once(state, Batch(now, quotes, empty(Trades), empty(Bars), empty(Quotes), empty(Imbalances)))
    assert step.chain.spot_source == "parity" and step.chain.spot == pytest.approx(749.5, abs=0.01)
    assert decode_chain(state.get(options_chain("GOOG"))).spot == pytest.approx(step.chain.spot)


def test_what_execution_sees_is_what_the_market_published(floor):
    floor.see(5, (1.23, 1.47, 7, 9), put=(NAN, 0.05, 0, 3))
    contract = floor.chain.contracts.contract
    assert floor.execution.prices.quote_of(contract(CALL)) == floor.market.quote_of(contract(CALL)) == (OPEN + 5 * MINUTE, 1.23, 1.47, 7, 9)
    assert np.isnan(floor.execution.prices.quote_of(contract(PUT)).bid) and floor.execution.prices.quote_of(contract(SILENT)) is None
    assert floor.execution.prices.now() == (748.0, floor.chain.id)


def test_a_contract_that_only_traded_has_no_quote_for_execution(state):
    now = OPEN + MINUTE
    trades = Trades(np.array([now]), np.array([CALL]), np.array([1.0]), np.array([5.0]))
    job, _ = feed_once(state, Batch(now, empty(Quotes), trades, empty(Bars), empty(Quotes), empty(Imbalances)))
    execution = ExecutionJob(job.desk, ReplayBroker(MatchingEngine(), schedule_on(DAY)))
    assert job.desk.state.get_field(options_by_contract("GOOG"), listing().occ()[CALL]) is not None
    assert execution.prices.quote_of(listing().contract(CALL)) is None is job.quote_of(listing().contract(CALL))


def test_positions_are_published_marked_at_what_they_would_fetch(floor):
    floor.step(20, QUOTE, buy={})
    assert floor.state.get_hash(execution_positions("GOOG")) == {}
    floor.step(21, QUOTE)
    floor.step(22, (1.6, 1.7, 20, 20))
    ((name, value),) = floor.state.get_hash(execution_positions("GOOG")).items()
    shown = json.loads(value)
    assert name == floor.chain.contracts.occ()[CALL] and (shown["quantity"], shown["average_price"], shown["unrealized"]) == (13, 1.5, 130.0)


# -- analytics and signals -------------------------------------------------------------------------------------------------------


def small(seed: int = 2) -> MarketSession:
    return simulate_session(seed, DAY, parameters=SimulatorParameters(strikes=10))


class Analysts:
    """Market, analytics and signals over the simulated session's first steps."""

    def __init__(self, state: State, session: MarketSession, **overrides: object) -> None:
        config = load_config(environ={}, overrides=overrides)
        self.desk = Desk(state, config, session.symbol, session.date, session.opens, session.closes)
        self.market = MarketJob(self.desk, session, lambda now: self.batch)
        self.analytics = AnalyticsJob(self.desk)
        self.signals = SignalsJob(self.desk, tuple(s for s in load_strategies(config) if s.name == "zero_dte"))  # one strategy: a line a step

    def step(self, batch: Batch):
        self.batch = batch
        self.chain = self.market.step(batch.now).chain
        self.row = self.analytics.step(batch.now)
        return self.signals.step(batch.now)

    def document(self, metric: str) -> dict:
        return read_metric(self.desk.state.get(analytics(self.desk.symbol, metric)))


def test_each_calculators_document_agrees_with_the_row_and_explains_what_is_missing(state):
    jobs = Analysts(state, small())
    for n, batch in enumerate(batches(small())):
        jobs.step(batch)
        documents = {m: jobs.document(m) for m in METRICS}
        for m, d in documents.items():
            assert d["metric"] == m and not set(d["values"]) & set(d["missing"])
            if m in ("dealer_flow", "volatility", "price_action", "quality", "closing_imbalance"):  # the others are made less often
                assert d["snapshot_id"] == jobs.chain.id and d["ts"] == timestamp(batch.now)
        flow = documents["dealer_flow"]
        assert set(flow["values"]) | set(flow["missing"]) == {"spot", "gex", "dex", "vex", "chex", "gamma_balance", "zero_gamma", "call_wall", "put_wall",
                                                               "elasticity", "zero_dte_share"}
        for name, value in flow["values"].items():
            assert jobs.row[name] == value
        stretch = documents["price_action"]
        if n < LOOKBACK_MINUTES:
            assert {k: v for k, v in stretch["missing"].items() if k == "stretch"} == {"stretch": Reason.NO_SPOT if np.isnan(jobs.chain.spot) else Reason.TOO_EARLY}
        if n == LOOKBACK_MINUTES + 5:
            break
    assert jobs.row["id"] == jobs.chain.id and jobs.row["contracts"] == len(jobs.chain) and 0 < jobs.row["contracts_exposed"] <= jobs.row["contracts_with_volatility"]
    counts = {k: int(v) for k, v in state.get_hash(monitoring_analytics("SIM")).items()}
    assert counts["contracts"] == len(jobs.chain) >= sum(v for k, v in counts.items() if k != "contracts")
    assert int(state.get(heartbeat("analytics"))) == batch.now == int(state.get(heartbeat("signals")))


def test_a_snapshot_is_analysed_and_decided_on_once(state):
    jobs = Analysts(state, small())
    batch = next(batches(small()))
    assert AnalyticsJob(jobs.desk).step(batch.now) is None and SignalsJob(jobs.desk, jobs.signals.strategies).step(batch.now) == []  # nothing there yet
    assert len(jobs.step(batch)) == 1
    assert jobs.analytics.step(batch.now) is None and jobs.signals.step(batch.now) == []
    assert len(list(ledger_lines(state, jobs.desk.session))) == 1


def test_before_the_window_it_skips_and_without_documents_a_feature_is_missing(state):
    jobs = Analysts(state, small())
    steps = batches(small())
    (first,) = jobs.step(next(steps))
    assert first.kind is EventKind.SKIP and first.data["reason"] == "outside_window" and first.cause == (jobs.chain.id,)
    for batch in steps:
        if batch.now >= OPEN + 20 * MINUTE:
            break
    state.delete(*(analytics("SIM", m) for m in METRICS))
    jobs.batch = batch
    jobs.market.step(batch.now)
    (line,) = jobs.signals.step(batch.now)
    assert (line.data["reason"], line.data["detail"]) == ("feature_missing", "spot: not computed")


def test_documents_that_stay_behind_are_stale(state):
    jobs = Analysts(state, small())
    for batch in batches(small()):
        jobs.batch = batch
        chain = jobs.market.step(batch.now).chain
        if batch.now == OPEN + 17 * MINUTE:
            jobs.analytics.step(batch.now)
        if batch.now >= OPEN + 20 * MINUTE:
            break
    (line,) = jobs.signals.step(batch.now)
    assert (line.data["reason"], line.data["detail"]) == ("feature_missing", "spot: feature stale") and line.cause == (chain.id,)


def test_without_a_spot_every_number_says_so(state):
    now = OPEN + MINUTE
    job, _ = feed_once(state, Batch(now, quotes_of(now, {CALL: QUOTE}), empty(Trades), empty(Bars), empty(Quotes), empty(Imbalances)))
    row = AnalyticsJob(job.desk).step(now)
    flow, action = (read_metric(state.get(analytics("GOOG", m))) for m in ("dealer_flow", "price_action"))
    assert flow["values"] == {} and {flow["missing"][k] for k in ("spot", "gex", "dex", "vex", "chex", "gamma_balance", "zero_gamma")} == {Reason.NO_SPOT}
    assert set(flow["missing"].values()) == {Reason.NO_SPOT} and action["missing"] == {"stretch": Reason.NO_SPOT, "day_move": Reason.NO_SPOT} and np.isnan(row["gex"]) and row["zero_gamma_reason"] == "no_spot"


def test_a_good_proposal_becomes_a_signal_by_the_configured_policy(state):
    """Documents by hand, so that the strategy must propose: the job asks playbook, strategy and policy, in this order."""
    jobs = Analysts(state, small(), **{"signals.min_confidence": 0.5, "signals.time_to_live_seconds": 77.0})
    for batch in batches(small()):
        jobs.batch = batch
        chain = jobs.market.step(batch.now).chain
        if batch.now == OPEN + 30 * MINUTE:
            break
    values = {"spot": chain.spot, "gex": -1e7, "gamma_balance": -0.9, "stretch": 1.9, "quoted_share": 0.9}
    state.set(analytics("SIM", "dealer_flow"), metric_document(timestamp(chain.ts), chain.id, values, {}))
    (line,) = jobs.signals.step(batch.now)
    assert line.kind is EventKind.SIGNAL
    signal = signal_from_plain(line.data)
    assert signal.expires_at - signal.ts == timedelta(seconds=77) and signal.proposal.cause == (chain.id,) and signal.proposal.contract.right.value == "C"
    state.set(analytics("SIM", "dealer_flow"), metric_document(timestamp(chain.ts), chain.id, values | {"quoted_share": 0.1}, {}))
    again = SignalsJob(jobs.desk, jobs.signals.strategies)
    assert again.step(batch.now) == []  # as after a crash: what was decided is not decided again
    state.delete(signals_memory("SIM"))
    assert again.step(batch.now)[0].data["reason"] == "no_liquid_contract"


def test_the_policy_is_the_configurations():
    policy = signal_policy(load_config(environ={}, overrides={"signals.cooldown_seconds": 5.0}).signals)
    assert (policy.min_confidence, policy.time_to_live, policy.live_lock, policy.cooldown) == (0.55, timedelta(seconds=120), timedelta(seconds=23400), timedelta(seconds=5))


# -- a whole session -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(server, tmp_path_factory) -> tuple[SessionRun, SessionRun, list, Path]:
    """The same simulated half day twice, in two namespaces of one server; the strategies that hold over night are left out."""
    told: list[tuple[int, int, str]] = []
    folder = tmp_path_factory.mktemp("run")
    made = []
    for number in range(2):
        state = connect(server.url, prefix=f"replay:whole{number}:")
        config = load_config(environ={}, overrides={"distribution.delays.free": 7200.0, "signals.min_confidence": 0.4})
        config = config.model_copy(update={"strategies": {name: entry for name, entry in config.strategies.items() if name in ("zero_dte", "moc")}})
        made.append(run_session(small(), config, state, folder / str(number), lambda *a: told.append(a)))
        state.clear_namespace()
        state.close()
    return made[0], made[1], told, folder


def test_two_replays_give_the_same_bytes(runs):
    first, second, _, folder = runs
    assert first.lines == second.lines and len(first.lines) > 200
    assert [repr(r) for r in first.rows] == [repr(r) for r in second.rows] and first.profiles == second.profiles and first.pnl == second.pnl
    files = [{str(p.relative_to(folder / str(n))): p.read_bytes() for p in (folder / str(n)).rglob("*") if p.is_file()} for n in range(2)]
    assert files[0] == files[1] and len(files[0]) == sum(b'"kind":"delivery"' in line for line in first.lines) > 0


def test_every_line_leads_back_to_a_snapshot_and_no_message_is_without_its_fill(runs):
    lines = [parse_event(line) for line in runs[0].lines]
    check_ledger(lines, {row["id"] for row in runs[0].rows})
    assert {EventKind.SKIP, EventKind.PROPOSAL, EventKind.VETO, EventKind.SIGNAL, EventKind.ORDER, EventKind.FILL, EventKind.MESSAGE,
            EventKind.DELIVERY} <= {e.kind for e in lines}


def test_every_fill_opens_or_closes_a_message_and_each_tier_hears_at_its_delay(runs):
    lines = [parse_event(line) for line in runs[0].lines]
    filled = {e.data["signal_id"] for e in lines if e.kind is EventKind.FILL}
    messages = {e.id: e for e in lines if e.kind is EventKind.MESSAGE}
    assert set(messages) == {f"msg:{s}:{kind}" for s in filled for kind in ("opened", "closed")}
    delivered = [(e.data["message_id"], e.data["tier"], (e.ts - messages[e.data["message_id"]].ts).total_seconds()) for e in lines if e.kind is EventKind.DELIVERY]
    assert sorted(delivered) == sorted((m, tier, delay) for m in messages for tier, delay in (("premium", 0.0), ("basic", 60.0), ("free", 7200.0)))
    assert max(e.ts for e in lines) > CLOSES  # what was still to come after the close came


def test_nothing_trades_after_the_close_and_nothing_is_held(runs):
    run = runs[0]
    assert max(parse_event(line).ts for line in run.lines if b'"kind":"fill"' in line) < CLOSES
    assert run.unsettled == 0 and run.pnl["unrealized"] == 0.0 and run.pnl["net"] == pytest.approx(run.pnl["realized"] - run.pnl["commission"])
    cash = sum(round(-(1 if d["side"] == "buy" else -1) * d["quantity"] * d["price"] * 100 - d["commission"], 6)
               for d in (json.loads(line)["data"] for line in run.lines if b'"kind":"fill"' in line))
    cash += sum(json.loads(line)["data"]["cash"] for line in run.lines if b'"kind":"settlement"' in line)
    assert run.pnl["net"] == pytest.approx(cash, abs=1e-6)


def test_a_row_a_step_with_the_account_and_progress_to_the_end(runs):
    run, _, told, _ = runs
    assert len(run.rows) == CLOSE_MINUTE + 1 == len(told) // 2 and told[0] == (1, 211, "14:30 UTC") and told[210] == (211, 211, "18:00 UTC")
    assert [r["seq"] for r in run.rows] == list(range(1, 212)) and run.rows[-1]["rows_taken"] == run.taken > 20_000
    assert run.rows[-1]["realized"] == run.pnl["realized"] and run.rows[-1]["open_positions"] == 0
    assert max(r["open_positions"] for r in run.rows) >= 1 and set(run.seconds) == {"market", "broker", "analytics", "signals", "execution", "distribution"}
    assert {r["kind"] for r in run.profiles} == {"strike", "smile"} and 1 <= len({r["ts"] for r in run.profiles}) <= 9


def test_every_fill_is_within_the_quotes_of_its_step(runs):
    """Fills against the tape itself: at the shown price, never more than the shown size."""
    session = small()
    row_of = {name: row for row, name in enumerate(session.contracts.occ())}
    fills = [e for e in map(parse_event, runs[0].lines) if e.kind is EventKind.FILL]
    assert fills
    for fill in map(lambda e: fill_from_plain(e.data), fills):
        known = np.flatnonzero((session.quotes.index == row_of[fill.contract.occ]) & (session.quotes.ts <= nanoseconds(fill.ts)))[-1]
        price, size = (session.quotes.ask, session.quotes.ask_size) if fill.side is Side.BUY else (session.quotes.bid, session.quotes.bid_size)
        assert fill.price == price[known] and fill.quantity <= size[known]


def test_the_market_job_may_only_ask_for_the_replays_step(state, tmp_path):
    loop = loop_of(state, tmp_path)
    with pytest.raises(RuntimeError, match="which is not the replay's step"):
        loop.market.step(OPEN)


def test_a_session_without_any_quote_runs_and_says_so(state, tmp_path):
    session = replace(small(), quotes=empty(Quotes), trades=empty(Trades), underlying_bars=empty(Bars), underlying_quotes=empty(Quotes),
                      closes=OPENS + timedelta(minutes=90))
    run = run_session(session, load_config(environ={}), state, tmp_path)
    assert {parse_event(line).data["reason"] for line in run.lines} == {"outside_window", "no_liquid_contract", "low_quality"} and run.profiles == [] and run.taken == 0
    assert all(np.isnan(row["spot"]) and row["spot_source"] == "none" for row in run.rows) and run.pnl["net"] == 0.0


def test_rows_after_the_close_are_counted_not_taken(state, tmp_path):
    whole = small()
    session = replace(whole, closes=OPENS + timedelta(minutes=3))
    late = sum(int((tape.ts > nanoseconds(session.closes)).sum()) for tape in (whole.quotes, whole.trades))
    run = run_session(session, load_config(environ={}), state, tmp_path)
    assert run.refused[Reason.OUTSIDE_SESSION] == late > 1000
    assert run.taken + sum(run.refused.values()) == len(whole.quotes) + len(whole.trades)


def test_profiles_are_spread_over_the_session():
    assert profile_steps(211) == {1, 27, 53, 79, 105, 131, 157, 183, 209} and profile_steps(391) >= {1, 389} and profile_steps(1) == {1} == profile_steps(2)


def test_a_channel_that_is_none_is_refused_before_the_first_step(state, tmp_path):
    assert list(open_channels(("file",), tmp_path)) == ["file"]
    with pytest.raises(ConfigError, match="distribution.channels: unknown channel pigeon; there are: file"):
        run_session(small(), load_config(environ={}, overrides={"distribution.channels": ["pigeon"]}), state, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_latency_of_nothing_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="execution.latency_steps: got 0 .*from 1 to 60"):
        load_config(environ={}, overrides={"execution.latency_steps": 0})


def test_plain_records_of_the_ledger_are_json(runs):
    for line in runs[0].lines:
        raw = json.loads(line)
        assert list(raw) == ["ts", "kind", "id", "cause", "data"] and plain(parse_event(line).ts) == raw["ts"]
