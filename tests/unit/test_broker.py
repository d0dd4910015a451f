from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Fill, OrderTicket, Proposal, Right, Side, Signal
from quanticity.execution.broker import OrderActivated, OrderCancelled, OrderTriggered, ReplayBroker
from quanticity.execution.positions import PositionBook
from quanticity.market.chain import nanoseconds
from quanticity.market.commissions import SCHEDULES, commission
from quanticity.market.matching import MatchingEngine, Quote
from quanticity.risk.limits import BookState, Limits, approve_exit, check_entry

NOW = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
CLOSE = datetime(2015, 12, 24, 18, tzinfo=UTC)
GOOG = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, CLOSE)
T0, MINUTE = nanoseconds(NOW), 60_000_000_000
SCHEDULE = SCHEDULES[-1]


def approval(signal_id="sig:1", notional=900.0, ts=NOW, contract=GOOG, **more):
    proposal = Proposal("pro:1", "zero_dte", "GOOG", ts, contract, Side.BUY, 1.5, 3.0, 0.75, CLOSE, 0.7, {}, (), **more)
    signal = Signal(signal_id, signal_id, ts, ts + timedelta(minutes=5), proposal)
    return check_entry(signal, Quote(nanoseconds(ts), 1.45, 1.5, 20, 20), BookState(), Limits(order_notional=notional), ts, CLOSE)


class Play:
    def __init__(self, *approvals, month=0):
        self.broker, self.book, self.k = ReplayBroker(MatchingEngine(), SCHEDULE, month), PositionBook(), 0
        self.broker.on_step(T0, lambda c: None)
        for approved in approvals:
            self.broker.submit(approved)

    def step(self, *quote):
        self.k += 1
        shown = Quote(T0 + self.k * MINUTE, *quote)
        self.broker.on_step(T0 + self.k * MINUTE, lambda c: shown)
        events = self.broker.events()
        for fill in fills(events):
            self.book.apply(fill)
        return events


def fills(events):
    return [e for e in events if isinstance(e, Fill)]


def test_fills_are_numbered_by_order_and_carry_the_signal():
    play = Play(approval())
    got = fills(play.step(1.4, 1.5, 9, 4)) + fills(play.step(1.4, 1.5, 9, 9))
    assert [(f.id, f.order_id, f.signal_id, f.quantity, f.price) for f in got] == [
        ("sig:1/entry#1", "sig:1/entry", "sig:1", 4, 1.5), ("sig:1/entry#2", "sig:1/entry", "sig:1", 2, 1.5)]
    assert [f.ts for f in got] == [NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)]


def test_commissions_of_a_split_order_add_up():
    play = Play(approval(notional=500.0))
    got = [f for _ in range(3) for f in fills(play.step(1.4, 1.5, 9, 1))]
    assert len(got) == 3
    assert sum(f.commission for f in got) == pytest.approx(commission(SCHEDULE, Side.BUY, 3, 1.5, 100).total, abs=1e-9)
    assert got[0].commission > 1.0 > got[1].commission


def test_the_months_contracts_lower_the_next_orders_rate():
    play = Play(approval(), month=9_999)
    first = fills(play.step(1.4, 1.5, 9, 9))[0]
    assert first.commission == pytest.approx(commission(SCHEDULE, Side.BUY, 6, 1.5, 100, 9_999).total)
    assert play.broker.monthly_contracts == 10_005


def test_index_options_pay_the_exchanges_fee():
    index = replace(GOOG, symbol="SPXW")
    got = [fills(Play(approval(contract=c)).step(1.4, 1.5, 9, 9))[0].commission for c in (index, GOOG)]
    assert got[0] - got[1] == pytest.approx(6 * 0.45)


def test_submitting_twice_is_once():
    play = Play(approval(), approval())
    play.broker.submit(approval())
    assert sum(f.quantity for f in fills(play.step(1.4, 1.5, 99, 99))) == 6
    play.broker.submit(approval())
    assert fills(play.step(1.4, 1.5, 99, 99)) == []


def test_an_exit_asked_for_at_every_step_is_one_order():
    play = Play(approval())
    play.step(1.4, 1.5, 9, 9)
    sold = []
    for minute in range(1, 6):
        if play.book.open_positions():
            play.broker.submit(approve_exit(play.book.open_positions()[0], "sig:1", NOW + timedelta(minutes=minute), "time"))
        sold += [f.quantity for f in fills(play.step(1.4, 1.5, 2, 9))]
    assert sold == [2, 2, 2] and play.book.open_positions() == [] and play.broker.open_orders() == []


def test_events_are_given_once_and_in_order():
    play = Play(approval())
    assert [type(e) for e in play.step(1.4, 1.5, 9, 9)] == [Fill, OrderActivated, OrderActivated]
    assert play.broker.events() == []
    assert [type(e) for e in play.step(0.7, 0.8, 9, 9)] == [OrderTriggered]
    assert [(type(e), e.order_id) for e in play.step(0.7, 0.8, 9, 9)] == [(Fill, "sig:1/stop"), (OrderCancelled, "sig:1/target")]


def test_an_unfilled_entry_says_why():
    play = Play(approval())
    play.step(1.9, 2.0, 9, 9)
    for _ in range(3):
        assert play.step(1.9, 2.0, 9, 9) == []
    ended = play.step(1.9, 2.0, 9, 9)
    assert [(e.order_id, e.reason, e.obstacle, e.filled) for e in ended] == [
        ("sig:1/entry", Reason.ORDER_EXPIRED, Reason.NOT_MARKETABLE, 0),
        ("sig:1/target", Reason.PARENT_NOT_FILLED, None, 0), ("sig:1/stop", Reason.PARENT_NOT_FILLED, None, 0)]
    assert {e.signal_id for e in ended} == {"sig:1"}


def test_a_cancel_takes_the_bracket_with_it():
    play = Play(approval())
    assert play.broker.cancel("sig:1/entry")
    assert [e.reason for e in play.step(1.4, 1.5, 9, 9)] == [Reason.USER_CANCELLED, Reason.PARENT_NOT_FILLED, Reason.PARENT_NOT_FILLED]
    assert not play.broker.cancel("sig:1/entry") and not play.broker.cancel("unknown")


def test_a_forced_exit_of_a_half_filled_entry_ends_flat():
    play = Play(approval())
    play.step(1.4, 1.5, 9, 4)
    at = NOW + timedelta(minutes=1)
    play.broker.cancel("sig:1/entry")
    play.broker.submit(approve_exit(play.book.open_positions()[0], "sig:1", at, Reason.TOO_CLOSE_TO_EXPIRY))
    play.step(1.4, 1.5, 9, 9)
    assert play.book.open_positions() == [] and play.broker.open_orders() == []


def test_positions_and_money_follow_the_fills():
    play = Play(approval())
    play.step(1.4, 1.5, 9, 9)
    assert [(p.quantity, p.average_price) for p in play.book.open_positions()] == [(6, 1.5)]
    play.step(3.0, 3.1, 9, 9)
    totals = play.book.totals()
    assert totals.realized == pytest.approx(900.0)
    assert totals.net == pytest.approx(totals.cash, abs=1e-6)


@pytest.mark.parametrize("what", ["ticket", "tickets", "none"])
def test_only_risks_approval_is_taken(what):
    play, approved = Play(), approval()
    wrong = {"ticket": approved.tickets[0], "tickets": approved.tickets, "none": None}[what]
    with pytest.raises(TypeError, match="ask risk first"):
        play.broker.submit(wrong)
    assert play.broker.open_orders() == []


def test_two_runs_give_the_same_events():
    def run():
        play = Play(approval(), approval("sig:2", trail_amount=0.3))
        quotes = [(1.4, 1.5, 3, 3), (1.45, 1.5, 9, 9), (1.9, 2.0, 2, 2), (1.55, 1.6, 9, 9), (1.5, 1.6, 9, 9), (3.0, 3.1, 9, 9)]
        return [e for quote in quotes for e in play.step(*quote)]
    assert run() == run()


def test_tickets_are_known_by_their_type():
    assert all(isinstance(t, OrderTicket) for t in approval().tickets)
