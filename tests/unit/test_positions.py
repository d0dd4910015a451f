from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import isnan, nan

import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Exercise, Fill, OrderRole, Position, Right, Settlement, Side
from quanticity.execution.positions import PositionBook, apply_fill, intrinsic_value, mark_position, settle_position
from quanticity.market.chain import nanoseconds
from quanticity.market.matching import Quote

AT = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
T0 = nanoseconds(AT)
CLOSE = datetime(2015, 12, 24, 18, tzinfo=UTC)
CALL = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, CLOSE)
PUT = replace(CALL, right=Right.PUT)
CASH_CALL = replace(CALL, symbol="SPXW", strike=3700.0, exercise=Exercise.EUROPEAN, settlement=Settlement.CASH)


def fill(n, side, quantity, price, commission=0.65, contract=CALL):
    return Fill(f"o#{n}", "o", "s", contract, side, OrderRole.ENTRY, quantity, price, commission, AT)


def booked(*trades, contract=CALL):
    book = PositionBook()
    for n, (side, quantity, price) in enumerate(trades):
        book.apply(fill(n, side, quantity, price, contract=contract))
    return book


BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(("trades", "quantity", "average", "realized"), [
    ([(BUY, 2, 1.5), (BUY, 2, 1.7)], 4, 1.6, 0.0),
    ([(BUY, 4, 1.6), (SELL, 3, 2.0)], 1, 1.6, 120.0),
    ([(BUY, 4, 1.6), (SELL, 4, 1.0)], 0, 0.0, -240.0),
    ([(BUY, 1, 1.6), (SELL, 3, 1.0)], -2, 1.0, -60.0),
    ([(SELL, 2, 1.0), (SELL, 2, 2.0)], -4, 1.5, 0.0),
    ([(SELL, 4, 1.5), (BUY, 1, 1.0)], -3, 1.5, 50.0),
    ([(SELL, 4, 1.5), (BUY, 6, 2.0)], 2, 2.0, -200.0),
])
def test_both_directions(trades, quantity, average, realized):
    position = booked(*trades).position(CALL)
    assert (position.quantity, position.realized) == (quantity, realized)
    assert position.average_price == pytest.approx(average)
    assert position.commission == pytest.approx(0.65 * len(trades))


def test_a_fill_counts_once():
    book = booked((BUY, 2, 1.5))
    before = book.positions(), book.totals(book.mark(lambda c: None, T0))
    book.apply(fill(0, BUY, 2, 1.5))
    assert (book.positions(), book.totals(book.mark(lambda c: None, T0))) == before
    with pytest.raises(ValueError, match="other terms"):
        book.apply(fill(0, BUY, 3, 1.5))


def test_a_fill_of_another_contract_or_without_numbers_is_refused():
    held = booked((BUY, 2, 1.5)).position(CALL)
    with pytest.raises(ValueError, match="is of GOOG"):
        apply_fill(held, fill(9, BUY, 1, 1.0, contract=PUT))
    for bad in ({"price": nan}, {"price": -0.1}, {"quantity": 0}, {"commission": nan}):
        with pytest.raises(ValueError, match="cannot be booked"):
            apply_fill(held, replace(fill(9, BUY, 1, 1.0), **bad))


def test_shorts_are_flagged():
    book = booked((BUY, 1, 1.6), (SELL, 3, 1.0))
    assert [p.quantity for p in book.shorts()] == [-2]
    assert booked((BUY, 1, 1.6)).shorts() == []


# marks

@pytest.mark.parametrize(("side", "price", "unrealized"), [(BUY, 1.8, 60.0), (SELL, 1.9, -80.0)])
def test_marked_at_what_it_could_be_closed_for(side, price, unrealized):
    mark = booked((side, 2, 1.5)).mark(lambda c: Quote(T0, 1.8, 1.9, 5, 5), T0 + 90_000_000_000)[0]
    assert (mark.price, mark.unrealized, mark.age_seconds, mark.reason) == (price, unrealized, 90.0, None)


@pytest.mark.parametrize(("quote", "reason"), [
    (None, Reason.NO_QUOTE), (Quote(T0, nan, nan, 0, 0), Reason.EMPTY_SIDE), (Quote(T0, 1.8, 1.9, 0, 0), Reason.EMPTY_SIDE),
    (Quote(T0, 2.0, 1.9, 5, 5), Reason.CROSSED_QUOTE)])
def test_where_it_cannot_be_closed_a_long_is_worthless_and_a_short_unknown(quote, reason):
    long, short = (mark_position(booked((side, 2, 1.5)).position(CALL), quote, T0) for side in (BUY, SELL))
    assert (long.value, long.unrealized, long.reason) == (0.0, -300.0, reason)
    assert isnan(short.value) and isnan(short.unrealized) and short.reason is reason


def test_an_unknown_mark_is_not_hidden_in_the_totals():
    book = booked((SELL, 2, 1.5))
    assert isnan(book.totals(book.mark(lambda c: None, T0)).net)
    with pytest.raises(ValueError, match="no mark for"):
        book.totals()


def test_an_expired_contract_is_not_marked_at_its_last_bid():
    mark = mark_position(booked((BUY, 1, 1.5)).position(CALL), Quote(T0, 1.8, 1.9, 5, 5), nanoseconds(CLOSE))
    assert (mark.value, mark.reason) == (0.0, Reason.EXPIRED)


# expiry

@pytest.mark.parametrize(("contract", "underlying", "value"), [
    (CALL, 748.4, 0.9), (CALL, 747.5, 0.0), (CALL, 740.0, 0.0), (PUT, 740.0, 7.5), (PUT, 748.0, 0.0),
    (CALL, 747.51, 0.01), (CALL, 747.509, 0.0), (CASH_CALL, 3700.004, 0.004)])
def test_intrinsic(contract, underlying, value):
    assert intrinsic_value(contract, underlying) == value


@pytest.mark.parametrize(("contract", "side", "underlying", "cash", "realized", "shares"), [
    (CALL, BUY, 748.4, 180.0, -120.0, 200), (PUT, BUY, 740.0, 1_500.0, 1_200.0, -200), (CALL, SELL, 748.4, -180.0, 120.0, -200),
    (PUT, SELL, 740.0, -1_500.0, -1_200.0, 200), (CALL, BUY, 740.0, 0.0, -300.0, 0), (CASH_CALL, BUY, 3710.0, 2_000.0, 1_700.0, 0)])
def test_settlement(contract, side, underlying, cash, realized, shares):
    book = booked((side, 2, 1.5), contract=contract)
    record = book.settle(contract, underlying, CLOSE)
    assert (record.cash, record.realized, record.shares) == (cash, realized, shares)
    assert record.id == f"settle:{contract.occ}"
    totals = book.totals()
    assert totals.net == pytest.approx(totals.cash, abs=1e-6)
    assert book.open_positions() == [] and book.position(contract).realized == realized


def test_settlement_happens_once_and_only_at_expiry():
    book = booked((BUY, 2, 1.5))
    with pytest.raises(ValueError, match="trades until"):
        book.settle(CALL, 748.4, CLOSE - timedelta(seconds=1))
    assert [p.contract for p in book.expired(CLOSE)] == [CALL] and book.expired(AT) == []
    first = book.settle(CALL, 748.4, CLOSE)
    assert book.settle(CALL, 900.0, CLOSE) is first
    assert book.settle(PUT, 748.4, CLOSE) is None
    with pytest.raises(ValueError, match="has settled"):
        book.apply(fill(7, BUY, 1, 1.0))


def test_nothing_is_left_to_settle_of_a_closed_position():
    book = booked((BUY, 2, 1.5), (SELL, 2, 1.5))
    assert book.settle(CALL, 748.4, CLOSE) is None


@pytest.mark.parametrize("underlying", [nan, 0.0, -1.0])
def test_no_settlement_without_a_price(underlying):
    with pytest.raises(ValueError, match="cannot settle"):
        settle_position(Position(CALL, 1, 1.5, 0.0, 0.0), underlying, CLOSE)
