from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import nan

import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, OrderRole, OrderTicket, OrderType, Right, Side
from quanticity.market.chain import nanoseconds
from quanticity.market.matching import (
    Activated, Cancelled, Filled, MatchingEngine, Quote, Triggered, takeable,
)

CLOSE = datetime(2015, 12, 24, 18, tzinfo=UTC)
GOOG = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, CLOSE)
PUT = replace(GOOG, right=Right.PUT)
T0 = nanoseconds(CLOSE - timedelta(hours=3))
MINUTE = 60_000_000_000


def order(order_id, side=Side.BUY, kind=OrderType.MARKET, quantity=5, contract=GOOG, role=OrderRole.ENTRY, **more):
    return OrderTicket(order_id, "sig", contract, side, kind, quantity, role, **more)


def bracket(quantity=5, limit=1.10, target=1.60, stop=0.80, trail=None, **entry):
    exits = dict(side=Side.SELL, quantity=quantity, parent_id="entry", oca_group="exits")
    return [order("entry", kind=OrderType.LIMIT, quantity=quantity, limit_price=limit, **entry),
            order("target", kind=OrderType.LIMIT, role=OrderRole.TARGET, limit_price=target, **exits),
            order("stop", kind=OrderType.STOP if trail is None else OrderType.TRAIL, role=OrderRole.STOP, stop_price=stop,
                  trail_amount=trail, **exits)]


class Play:
    """An engine, and the minute it is at. `quote` is (bid, ask, bid size, ask size), or None for no update since."""

    def __init__(self, *tickets, latency=1):
        self.engine, self.k, self.shown = MatchingEngine(latency), 0, None
        self.send(*tickets)

    @property
    def now(self):
        return T0 + self.k * MINUTE

    def send(self, *tickets):
        for ticket in tickets:
            self.engine.submit(ticket, self.now)

    def step(self, *quote):
        self.k += 1
        if quote:
            self.shown = Quote(self.now, *quote)
        return self.engine.step(self.now, lambda contract: self.shown)


WIDE = (1.00, 1.10, 99, 99)


def told(events):
    return [(type(e).__name__, e.order_id, getattr(e, "quantity", getattr(e, "reason", None))) for e in events]


# price and side

@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 1.10), (Side.SELL, 1.00)])
def test_market_orders_pay_the_spread(side, price):
    assert Play(order("o", side)).step(*WIDE) == [Filled("o", 5, price, T0 + MINUTE, 0)]


@pytest.mark.parametrize(("side", "limit", "price"), [
    (Side.BUY, 1.09, None), (Side.BUY, 1.10, 1.10), (Side.BUY, 1.50, 1.10),
    (Side.SELL, 1.01, None), (Side.SELL, 1.00, 1.00), (Side.SELL, 0.50, 1.00)])
def test_a_limit_fills_only_where_marketable_and_at_the_quote(side, limit, price):
    events = Play(order("o", side, OrderType.LIMIT, limit_price=limit)).step(*WIDE)
    assert [e.price for e in events] == ([] if price is None else [price])


def test_a_limit_equal_but_for_binary_dust_is_marketable():
    assert Play(order("o", kind=OrderType.LIMIT, limit_price=0.1 + 0.2 - 1e-12)).step(0.2, 0.3, 9, 9)


@pytest.mark.parametrize(("quote", "why"), [
    ((nan, nan, 0, 0), Reason.EMPTY_SIDE), ((1.0, nan, 9, 9), Reason.EMPTY_SIDE), ((1.0, 1.1, 9, 0), Reason.EMPTY_SIDE),
    ((1.0, 1.1, 9, nan), Reason.EMPTY_SIDE), ((1.0, 0.0, 9, 9), Reason.EMPTY_SIDE), ((1.2, 1.1, 9, 9), Reason.CROSSED_QUOTE),
    ((1.0, 1.1, 9, 0.5), Reason.EMPTY_SIDE)])
def test_nothing_fills_where_nothing_can_be_had(quote, why):
    play = Play(order("o", good_till=CLOSE - timedelta(hours=2, minutes=58)))
    assert play.step(*quote) == []
    assert play.step() == [Cancelled("o", Reason.ORDER_EXPIRED, play.now, 0, why)]


def test_a_locked_quote_fills():
    assert Play(order("o")).step(1.1, 1.1, 9, 9)[0].price == 1.1


def test_never_quoted():
    assert Play(order("o")).step() == []
    assert takeable(None, Side.BUY)[2] is Reason.NO_QUOTE


def test_only_contracts_with_open_orders_are_looked_up():
    asked = []
    engine = MatchingEngine()
    engine.step(T0, lambda c: asked.append(c))
    engine.submit(order("a"), T0)
    engine.submit(order("b"), T0)
    engine.submit(order("c", contract=PUT), T0)
    engine.step(T0 + 1, lambda c: asked.append(c))
    assert asked == [GOOG, PUT]


def test_a_quote_from_the_future_is_refused():
    engine = MatchingEngine()
    engine.submit(order("o"), T0)
    with pytest.raises(ValueError, match="look-ahead"):
        engine.step(T0 + 1, lambda c: Quote(T0 + 2, *WIDE))


# size

def test_partial_fills_wait_for_a_newer_quote():
    play = Play(order("o"))
    assert told(play.step(1.0, 1.1, 9, 3)) == [("Filled", "o", 3)]
    assert play.step() == []
    assert told(play.step(1.0, 1.1, 9, 3)) == [("Filled", "o", 2)]


def test_size_is_shared_in_price_time_priority():
    play = Play(order("low", kind=OrderType.LIMIT, quantity=2, limit_price=1.10),
                order("high", kind=OrderType.LIMIT, quantity=2, limit_price=1.20),
                order("same", kind=OrderType.LIMIT, quantity=2, limit_price=1.20), order("market", quantity=2))
    assert told(play.step(1.0, 1.1, 9, 7)) == [("Filled", "market", 2), ("Filled", "high", 2), ("Filled", "same", 2),
                                               ("Filled", "low", 1)]


def test_a_newer_quote_starts_afresh_and_is_shared_again():
    play = Play(order("a", quantity=5))
    play.step(1.0, 1.1, 9, 3)
    play.step(1.0, 1.1, 9, 9)  # takes 2 of the newer 9
    play.send(order("b", quantity=9))
    assert told(play.step()) == [("Filled", "b", 7)]


def test_the_sides_are_apart_and_so_are_contracts():
    play = Play(order("buy", quantity=3), order("sell", Side.SELL, quantity=3), order("put", contract=PUT, quantity=3))
    assert [e.quantity for e in play.step(1.0, 1.1, 3, 3)] == [3, 3, 3]


# latency

def test_no_fill_at_the_step_of_submission():
    engine = MatchingEngine()
    quote = Quote(T0, *WIDE)
    engine.submit(order("o"), T0)
    assert engine.step(T0, lambda c: quote) == []
    assert engine.step(T0, lambda c: quote) == []  # the same time is the same step
    assert len(engine.step(T0 + 1, lambda c: quote)) == 1  # the quote was not updated since: it is what shows


def test_two_calls_at_one_time_are_one_step():
    engine = MatchingEngine(2)
    quote = Quote(T0, *WIDE)
    engine.submit(order("o"), T0)
    assert [len(engine.step(T0 + t, lambda c: quote)) for t in (1, 1, 1, 2)] == [0, 0, 0, 1]


@pytest.mark.parametrize("latency", [1, 2, 5])
def test_latency_is_counted_in_steps(latency):
    play = Play(order("o"), latency=latency)
    assert [len(play.step(*WIDE)) for _ in range(latency + 1)] == [0] * (latency - 1) + [1, 0]


def test_a_cancel_travels_as_long_as_an_order_and_arrives_first():
    play = Play(order("o"), latency=2)
    assert play.engine.cancel("o", play.now)
    assert play.step(*WIDE) == []
    assert play.step(*WIDE) == [Cancelled("o", Reason.USER_CANCELLED, play.now, 0)]
    assert not play.engine.cancel("o", play.now)


def test_a_cancel_that_is_too_late():
    play = Play(order("o"), latency=2)
    play.step(*WIDE)
    play.engine.cancel("o", play.now)
    assert told(play.step(*WIDE)) == [("Filled", "o", 5)]
    assert play.step(*WIDE) == []


# stops

def test_a_stop_triggers_then_is_a_market_order_a_step_later():
    play = Play(order("s", Side.SELL, OrderType.STOP, stop_price=0.80))
    assert play.step(1.00, 1.1, 9, 9) == []
    assert play.step(0.80, 0.9, 9, 9) == [Triggered("s", play.now, 0.80)]
    assert play.step(0.95, 1.0, 9, 9) == [Filled("s", 5, 0.95, play.now, 0)]  # once triggered, it goes at what shows


def test_a_buy_stop_looks_at_the_ask():
    play = Play(order("s", Side.BUY, OrderType.STOP, stop_price=1.20))
    assert play.step(1.25 - 0.2, 1.15, 9, 9) == []
    assert told(play.step(1.0, 1.2, 9, 9)) == [("Triggered", "s", None)]
    assert play.step(1.0, 1.3, 9, 9)[0].price == 1.3


def test_a_stop_does_not_trigger_on_an_empty_or_crossed_side():
    play = Play(order("s", Side.SELL, OrderType.STOP, stop_price=0.80))
    assert play.step(nan, 0.9, 0, 9) == [] and play.step(0.0, 0.9, 9, 9) == [] and play.step(0.5, 0.4, 9, 9) == []


def test_a_trailing_stop_follows_and_never_loosens():
    play = Play(order("t", Side.SELL, OrderType.TRAIL, trail_amount=0.30))
    seen = []
    for bid in (1.00, 1.40, 1.20, 1.50):
        assert play.step(bid, bid + 0.1, 9, 9) == []
        seen.append(play.engine.open_orders()[0].stop_price)
    assert seen == pytest.approx([0.70, 1.10, 1.10, 1.20])
    assert told(play.step(1.15, 1.2, 9, 9)) == [("Triggered", "t", None)]
    assert told(play.step(1.15, 1.2, 9, 9)) == [("Filled", "t", 5)]


def test_a_trailing_child_follows_from_its_activation():
    play = Play(*bracket(trail=0.20, stop=0.50, target=9.0))
    play.step(1.05, 1.10, 9, 9)  # fills the entry; best bid 1.05
    assert play.engine.open_orders()[1].stop_price == pytest.approx(0.85)
    assert told(play.step(0.84, 0.90, 9, 9)) == [("Triggered", "stop", None)]


# brackets

def test_children_wait_for_the_parent():
    play = Play(*bracket(limit=0.50))
    assert play.step(2.00, 2.10, 9, 9) == []  # the target would be marketable
    assert [o.active for o in play.engine.open_orders()] == [True, False, False]


def test_children_work_for_the_filled_part_only():
    play = Play(*bracket())
    assert told(play.step(1.0, 1.1, 9, 2)) == [("Filled", "entry", 2), ("Activated", "target", 2), ("Activated", "stop", 2)]
    assert told(play.step(1.6, 1.7, 9, 9)) == [("Filled", "target", 2)]  # the ask is above the entry's limit
    assert play.step(1.6, 1.7, 9, 9) == []
    assert told(play.step(1.0, 1.1, 9, 9)) == [("Filled", "entry", 3)]
    assert told(play.step(1.7, 1.8, 9, 9)) == [("Filled", "target", 3), ("Cancelled", "stop", Reason.OCA_CANCELLED)]


def test_an_exit_of_all_that_was_filled_leaves_the_other_nothing_to_do():
    play = Play(*bracket())
    play.step(1.0, 1.1, 9, 2)
    assert told(play.step(1.6, 1.7, 9, 9)) == [("Filled", "target", 2)]
    assert play.step(0.7, 1.2, 9, 9) == []  # the stop is touched, but there is nothing left of the two
    assert play.step(0.7, 1.2, 9, 9) == []
    assert told(play.step(0.7, 0.8, 9, 9)) == [("Filled", "entry", 3)]
    assert told(play.step(0.7, 0.8, 9, 9)) == [("Triggered", "stop", None)]
    assert told(play.step(0.7, 0.8, 9, 9)) == [("Filled", "stop", 3), ("Cancelled", "target", Reason.OCA_CANCELLED)]


def test_a_stop_does_not_trigger_before_its_parent_has_filled():
    play = Play(*bracket(limit=0.6, stop=0.5))
    assert play.step(0.4, 0.7, 9, 9) == []
    assert told(play.step(0.55, 0.6, 9, 9))[0] == ("Filled", "entry", 5)
    assert play.step(0.55, 0.6, 9, 9) == []


def test_an_activated_child_waits_out_the_latency():
    play = Play(*bracket(), latency=2)
    play.step(*WIDE)
    assert told(play.step(*WIDE))[0] == ("Filled", "entry", 5)
    assert play.step(1.7, 1.8, 9, 9) == []
    assert told(play.step(1.7, 1.8, 9, 9))[0] == ("Filled", "target", 5)


def test_a_full_fill_cancels_a_larger_order_of_the_group():
    play = Play(order("small", Side.SELL, quantity=3, oca_group="g"),
                order("large", Side.SELL, OrderType.LIMIT, quantity=5, limit_price=9.0, oca_group="g"))
    assert told(play.step(*WIDE)) == [("Filled", "small", 3), ("Cancelled", "large", Reason.OCA_CANCELLED)]


def test_both_exits_in_one_step_sell_once():
    play = Play(*bracket(quantity=5))
    play.step(*WIDE)
    assert told(play.step(0.80, 0.90, 9, 9)) == [("Triggered", "stop", None)]
    assert told(play.step(1.60, 1.70, 9, 9)) == [("Filled", "stop", 5), ("Cancelled", "target", Reason.OCA_CANCELLED)]


def test_a_partial_exit_reduces_the_other():
    play = Play(*bracket())
    play.step(*WIDE)
    play.step(1.6, 1.7, 2, 9)
    assert {o.ticket.id: o.remaining for o in play.engine.open_orders()} == {"target": 3, "stop": 3}


def test_an_unfilled_parent_takes_its_children():
    play = Play(*bracket(limit=0.5, good_till=CLOSE - timedelta(hours=2, minutes=59)))
    assert told(play.step(*WIDE)) == [("Cancelled", "entry", Reason.ORDER_EXPIRED), ("Cancelled", "target", Reason.PARENT_NOT_FILLED),
                                      ("Cancelled", "stop", Reason.PARENT_NOT_FILLED)]
    assert play.engine.open_orders() == []


def test_a_partly_filled_parent_keeps_children_for_the_part():
    play = Play(*bracket())
    play.step(1.0, 1.1, 9, 2)
    play.engine.cancel("entry", play.now)
    assert told(play.step(1.2, 1.3, 9, 9)) == [("Cancelled", "entry", Reason.USER_CANCELLED)]
    assert [o.remaining for o in play.engine.open_orders()] == [2, 2]
    assert told(play.step(1.6, 1.7, 9, 9)) == [("Filled", "target", 2), ("Cancelled", "stop", Reason.OCA_CANCELLED)]


def test_a_parent_cancelled_after_the_exit_of_all_it_filled_ends_the_children():
    play = Play(*bracket())
    play.step(1.0, 1.1, 9, 2)
    play.step(1.6, 1.7, 9, 9)
    play.engine.cancel("entry", play.now)
    assert told(play.step(1.6, 1.7, 9, 9)) == [("Cancelled", "entry", Reason.USER_CANCELLED), ("Cancelled", "target", Reason.PARENT_NOT_FILLED),
                                               ("Cancelled", "stop", Reason.PARENT_NOT_FILLED)]


def test_a_child_sent_after_the_parents_fill_works_for_it():
    entry, target, stop = bracket()
    play = Play(entry)
    play.step(*WIDE)
    play.send(target, stop)
    assert told(play.step(1.6, 1.7, 99, 9)) == [("Filled", "target", 5), ("Cancelled", "stop", Reason.OCA_CANCELLED)]


def test_a_child_of_a_parent_that_never_filled_ends():
    entry, target, _ = bracket()
    play = Play(entry)
    play.engine.cancel("entry", play.now)
    play.step(*WIDE)
    play.send(target)
    assert told(play.step(9.0, 9.1, 9, 9)) == [("Cancelled", "target", Reason.PARENT_NOT_FILLED)]


def test_an_exit_in_the_group_takes_the_bracket_off():
    play = Play(*bracket())
    play.step(*WIDE)
    play.send(order("exit", Side.SELL, quantity=5, oca_group="exits", role=OrderRole.EXIT))
    assert told(play.step(1.0, 1.1, 2, 9)) == [("Filled", "exit", 2)]
    assert told(play.step(1.6, 1.7, 99, 9)) == [("Filled", "exit", 3), ("Cancelled", "target", Reason.OCA_CANCELLED),
                                                ("Cancelled", "stop", Reason.OCA_CANCELLED)]


def test_an_order_that_joins_a_finished_group_is_cancelled():
    play = Play(*bracket())
    play.step(*WIDE)
    play.step(1.6, 1.7, 9, 9)
    play.send(order("exit", Side.SELL, quantity=5, oca_group="exits"))
    assert told(play.step(1.6, 1.7, 9, 9)) == [("Cancelled", "exit", Reason.OCA_CANCELLED)]


# time

def test_good_till_is_the_first_moment_without():
    play = Play(order("o", good_till=CLOSE - timedelta(hours=2, minutes=59)))
    assert told(play.step(*WIDE)) == [("Cancelled", "o", Reason.ORDER_EXPIRED)]


def test_nothing_fills_at_or_after_expiry():
    play = Play(order("o"), order("filled", quantity=1))
    play.k = 179
    assert play.step(*WIDE) == [Cancelled("o", Reason.EXPIRED, nanoseconds(CLOSE), 0), Cancelled("filled", Reason.EXPIRED, nanoseconds(CLOSE), 0)]


def test_time_never_goes_back():
    engine = MatchingEngine()
    engine.step(T0, lambda c: None)
    with pytest.raises(ValueError, match="time goes back"):
        engine.step(T0 - 1, lambda c: None)
    with pytest.raises(ValueError, match="time goes back"):
        engine.submit(order("o"), T0 - 1)
    assert "o" not in engine
    engine.submit(order("o"), T0)
    with pytest.raises(ValueError, match="time goes back"):
        engine.cancel("o", T0 - 1)


# submit and replace

def test_submit_is_idempotent():
    play = Play(order("o"), order("o"))
    assert len(play.step(*WIDE)) == 1
    assert play.engine.submit(order("o"), play.now) is False
    with pytest.raises(ValueError, match="other terms"):
        play.engine.submit(order("o", quantity=6), play.now)
    with pytest.raises(ValueError, match="parent nobody is unknown"):
        play.engine.submit(order("c", parent_id="nobody"), play.now)


def test_replace_changes_price_after_the_latency():
    ticket = order("o", kind=OrderType.LIMIT, limit_price=0.5)
    play = Play(ticket)
    play.step(*WIDE)
    assert play.engine.replace(replace(ticket, limit_price=1.2), play.now)
    assert play.step(*WIDE)[0].price == 1.10
    assert not play.engine.replace(ticket, play.now)


def test_replace_to_less_than_filled_ends_the_order():
    ticket = order("o")
    play = Play(ticket)
    play.step(1.0, 1.1, 9, 3)
    play.engine.replace(replace(ticket, quantity=2), play.now)
    assert play.step(*WIDE) == [Cancelled("o", Reason.USER_CANCELLED, play.now, 3, Reason.SIZE_EXHAUSTED)]


def test_replace_of_a_price_goes_to_the_back_of_the_queue_a_smaller_quantity_does_not():
    first = order("first", kind=OrderType.LIMIT, limit_price=1.0)
    play = Play(first, order("second", kind=OrderType.LIMIT, limit_price=1.2))
    play.step(1.3, 1.4, 9, 9)
    play.engine.replace(replace(first, limit_price=1.2), play.now)
    assert [e.order_id for e in play.step(1.0, 1.1, 9, 6)] == ["second", "first"]
    keep = order("keep", kind=OrderType.LIMIT, limit_price=1.2)
    play = Play(keep, order("other", kind=OrderType.LIMIT, limit_price=1.2))
    play.engine.replace(replace(keep, quantity=4), play.now)
    assert told(play.step(1.0, 1.1, 9, 6)) == [("Filled", "keep", 4), ("Filled", "other", 2)]


def test_replace_moves_a_stop():
    ticket = order("s", Side.SELL, OrderType.STOP, stop_price=0.8)
    play = Play(ticket)
    play.step(*WIDE)
    play.engine.replace(replace(ticket, stop_price=1.0), play.now)
    assert told(play.step(*WIDE)) == [("Triggered", "s", None)]


def test_replace_cannot_change_what_an_order_is():
    play = Play(order("o"))
    with pytest.raises(ValueError, match="only prices"):
        play.engine.replace(order("o", side=Side.SELL), play.now)


def test_events_are_told_once():
    play = Play(*bracket())
    assert [type(e) for e in play.step(*WIDE)] == [Filled, Activated, Activated]
    assert play.step() == []


def test_latency_of_zero_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        MatchingEngine(0)
