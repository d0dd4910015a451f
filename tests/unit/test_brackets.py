from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from quanticity.core.types import Contract, OrderRole, OrderType, Position, Proposal, Right, Side, Signal
from quanticity.risk.brackets import bracket, exit_ticket, oca_group, order_id

AT = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
GOOG = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, datetime(2015, 12, 24, 18, tzinfo=UTC))
PROPOSAL = Proposal("pro:1", "zero_dte", "GOOG", AT, GOOG, Side.BUY, 1.5, 3.0, 0.75, AT + timedelta(hours=2), 0.7, {}, ())
SIGNAL = Signal("sig:1f", "ab12", AT, AT + timedelta(minutes=5), PROPOSAL)


def with_proposal(**changes):
    return replace(SIGNAL, proposal=replace(PROPOSAL, **changes))


def test_a_bracket_in_sending_order():
    entry, target, stop = bracket(SIGNAL, 3)
    assert [t.id for t in (entry, target, stop)] == ["sig:1f/entry", "sig:1f/target", "sig:1f/stop"]
    assert (entry.side, entry.type, entry.limit_price, entry.good_till) == (Side.BUY, OrderType.LIMIT, 1.5, SIGNAL.expires_at)
    assert (target.side, target.type, target.limit_price, target.parent_id) == (Side.SELL, OrderType.LIMIT, 3.0, entry.id)
    assert (stop.side, stop.type, stop.stop_price, stop.parent_id) == (Side.SELL, OrderType.STOP, 0.75, entry.id)
    assert target.oca_group == stop.oca_group == oca_group("sig:1f") and entry.oca_group is None
    assert {t.quantity for t in (entry, target, stop)} == {3} and {t.signal_id for t in (entry, target, stop)} == {"sig:1f"}


def test_the_same_signal_gives_the_same_orders():
    assert bracket(SIGNAL, 3) == bracket(SIGNAL, 3)


def test_a_trail_replaces_the_stop():
    stop = bracket(with_proposal(trail_amount=0.4), 1)[2]
    assert (stop.type, stop.trail_amount, stop.stop_price) == (OrderType.TRAIL, 0.4, 0.75)


def test_a_sale_has_its_exits_the_other_way_round():
    entry, target, stop = bracket(with_proposal(side=Side.SELL, target_price=0.5, stop_price=2.5), 2)
    assert (entry.side, target.side, stop.side) == (Side.SELL, Side.BUY, Side.BUY)


@pytest.mark.parametrize("wrong", [{"target_price": 1.5}, {"target_price": 1.0}, {"stop_price": 1.5}, {"stop_price": 2.0},
                                   {"stop_price": float("nan")}, {"target_price": float("nan")}])
def test_exits_on_the_wrong_side_are_refused(wrong):
    with pytest.raises(ValueError, match="on either side"):
        bracket(with_proposal(**wrong), 1)


def test_no_contracts_no_bracket():
    with pytest.raises(ValueError, match="at least 1"):
        bracket(SIGNAL, 0)


@pytest.mark.parametrize(("held", "side"), [(3, Side.SELL), (-3, Side.BUY)])
def test_an_exit_closes_what_is_held(held, side):
    ticket = exit_ticket(Position(GOOG, held, 1.5, 0.0, 0.0), "sig:1f")
    assert (ticket.id, ticket.side, ticket.quantity, ticket.type, ticket.role) == (
        "sig:1f/exit", side, 3, OrderType.MARKET, OrderRole.EXIT)
    assert ticket.parent_id is None and ticket.oca_group == oca_group("sig:1f")


@pytest.mark.parametrize(("held", "quantity"), [(0, None), (3, 4), (3, 0), (-2, 3)])
def test_an_exit_never_exceeds_what_is_held(held, quantity):
    with pytest.raises(ValueError, match="cannot close"):
        exit_ticket(Position(GOOG, held, 1.5, 0.0, 0.0), "sig:1f", quantity)


def test_a_later_attempt_is_another_order_in_another_group():
    first, second = (exit_ticket(Position(GOOG, 3, 1.5, 0.0, 0.0), "s", attempt=n) for n in (1, 2))
    assert (second.id, second.oca_group) == ("s/exit2", "s/exits2") and first.id == "s/exit"


def test_order_ids():
    assert [order_id("s", role) for role in OrderRole] == ["s/entry", "s/target", "s/stop", "s/exit"]
