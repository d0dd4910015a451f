"""Empty sides: what the account counts, what people are shown, what risk counts; and the execution job that asks for all three."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import inf, isnan, nan

import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Fill, OrderRole, Position, Right, Side
from quanticity.execution.marking import Marking, Seen, booked_mark, risk_haircut, shown_mark
from quanticity.execution.positions import Mark, PositionBook, mark_position
from quanticity.market.matching import Quote
from quanticity.risk.payoff import worst_value

MINUTE = 60_000_000_000
AT = datetime(2016, 1, 12, 15, tzinfo=UTC)
CALL = Contract("XYZ", date(2016, 1, 15), 100.0, Right.CALL, datetime(2016, 1, 15, 21, tzinfo=UTC))
FAR, PUT = replace(CALL, strike=105.0), replace(CALL, right=Right.PUT)
LONG, SHORT = Position(CALL, 2, 1.0, 0.0, 0.0), Position(CALL, -2, 1.0, 0.0, 0.0)
BOTH, NO_BID, NO_ASK = Quote(0, 1.1, 1.3, 5, 5), Quote(0, nan, 1.3, 0, 5), Quote(0, 1.1, nan, 5, 0)
NOTHING, STALE = Quote(0, nan, nan, 0, 0), Quote(-100 * MINUTE, 1.1, 1.3, 5, 5)
LAST = Seen(1.2, -MINUTE)


def three(position: Position, quote: Quote | None, last: Seen | None = LAST, spot: float = 99.0) -> tuple[float, float, float]:
    """Value to the account, to people, to risk."""
    mark = mark_position(position, quote, 0)
    booked = booked_mark(mark, position, last, spot, 0)
    haircut = risk_haircut({position.contract: position.quantity}, {position.contract.occ: booked})
    return booked.value, shown_mark(booked, position, last, 0, 900.0).value, booked.value + haircut


@pytest.mark.parametrize(("position", "quote", "values"), [
    (LONG, BOTH, (220.0, 220.0, 220.0)), (SHORT, BOTH, (-260.0, -260.0, -260.0)),
    (LONG, NO_BID, (0.0, 240.0, 0.0)), (SHORT, NO_BID, (-260.0, -260.0, -260.0)),  # a short needs the ask only
    (LONG, NO_ASK, (220.0, 220.0, 220.0)), (SHORT, NO_ASK, (-240.0, -240.0, -inf)),  # and a long the bid
    (LONG, NOTHING, (0.0, 240.0, 0.0)), (SHORT, NOTHING, (-240.0, -240.0, -inf)),
    (LONG, None, (0.0, 240.0, 0.0)), (SHORT, None, (-240.0, -240.0, -inf)),
    (LONG, STALE, (220.0, 220.0, 220.0)), (SHORT, STALE, (-260.0, -260.0, -260.0))])  # old, and still the market's last word
def test_each_reader_of_an_empty_side(position, quote, values):
    assert three(position, quote) == values


def test_a_sold_option_is_never_marked_at_nothing():
    for quote in (NO_ASK, NOTHING, None):
        for last, spot, cost in ((None, nan, 1.0), (LAST, nan, 1.2), (LAST, 99.0, 1.2), (LAST, 104.0, 4.0), (None, 104.0, 4.0)):
            booked = booked_mark(mark_position(SHORT, quote, 0), SHORT, last, spot, 0)
            assert (booked.price, booked.value, booked.unrealized) == (cost, -200 * cost, pytest.approx(-200 * (cost - 1.0)))
            assert booked.reason is (Reason.NO_QUOTE if quote is None else Reason.EMPTY_SIDE)


def test_the_age_is_that_of_the_price_that_is_shown():
    booked = booked_mark(mark_position(SHORT, NO_ASK, 0), SHORT, LAST, nan, 0)
    assert booked.age_seconds == 60.0 and isnan(booked_mark(mark_position(SHORT, NO_ASK, 0), SHORT, None, nan, 0).age_seconds)
    assert shown_mark(mark_position(LONG, NO_BID, 0), LONG, LAST, 0, 60.0).age_seconds == 60.0
    assert shown_mark(mark_position(LONG, NO_BID, 0), LONG, LAST, 0, 59.9).value == 0.0
    assert mark_position(LONG, STALE, 0).age_seconds == 6000.0


def test_what_settles_is_not_shown_at_its_last_bid_and_costs_its_intrinsic_value_at_least():
    over = int(CALL.expires_at.timestamp()) * 10**9
    assert shown_mark(mark_position(LONG, BOTH, over), LONG, Seen(1.1, over - MINUTE), over, 900.0).value == 0.0
    assert booked_mark(mark_position(SHORT, BOTH, over), SHORT, Seen(1.3, over - MINUTE), 106.0, over).value == -1200.0


@pytest.mark.parametrize(("held", "worst"), [
    ({}, 0.0), ({CALL: 2}, 0.0), ({CALL: -2}, -inf), ({CALL: -2, FAR: 2}, -1000.0), ({CALL: -2, FAR: 1}, -inf), ({CALL: 2, FAR: -2}, 0.0),
    ({PUT: -1}, -10_000.0), ({PUT: -1, CALL: 1}, -10_000.0), ({CALL: 0, FAR: 1}, 0.0), ({FAR: 3, CALL: -2}, -1000.0)])
def test_the_least_that_a_holding_can_be_worth(held, worst):
    assert worst_value(held) == worst


def marks(*pairs: tuple[Position, Quote]) -> dict[str, Mark]:
    return {p.contract.occ: booked_mark(mark_position(p, q, 0), p, LAST, 99.0, 0) for p, q in pairs}


def test_risk_counts_a_spread_at_its_width_and_only_while_its_sold_leg_has_no_offer():
    cover = Position(FAR, 2, 0.5, 0.0, 0.0)
    for quote, haircut in ((BOTH, 0.0), (NO_BID, 0.0), (NO_ASK, -1000.0 + 240.0 - 220.0), (NOTHING, -1000.0 + 240.0 - 220.0)):
        assert risk_haircut({CALL: -2, FAR: 2}, marks((SHORT, quote), (cover, BOTH))) == pytest.approx(haircut)
    assert risk_haircut({CALL: -2, FAR: 2}, marks((SHORT, BOTH), (cover, NOTHING))) == 0.0  # the bought one is at nothing already
    assert risk_haircut({CALL: 0, FAR: 2}, marks((cover, NOTHING))) == 0.0
    deep = {CALL.occ: replace(marks((SHORT, NO_ASK))[CALL.occ], price=9.0), FAR.occ: marks((cover, BOTH))[FAR.occ]}
    assert risk_haircut({CALL: -2, FAR: 2}, deep) == 0.0  # booked at less than the worst: risk never adds


def test_a_book_remembers_what_it_could_last_be_closed_for():
    book = PositionBook()
    for n, (contract, side) in enumerate(((CALL, Side.SELL), (FAR, Side.BUY))):
        book.apply(Fill(f"o#{n}", "o", "s", contract, side, OrderRole.ENTRY, 1, 1.0, 0.0, AT))
    marking = Marking(120.0)

    def step(quote: Quote, now: int) -> list[list[float]]:
        return [[m.value for m in marks] for marks in marking.step(book, lambda c: quote, lambda: 99.0, now)]

    assert step(BOTH, 0) == [[-130.0, 110.0]] * 2
    assert step(NOTHING, MINUTE) == [[-130.0, 0.0], [-130.0, 110.0]] == step(NOTHING, 2 * MINUTE)
    assert step(NOTHING, 3 * MINUTE) == [[-130.0, 0.0]] * 2
    marking = Marking(120.0, {CALL.occ: Seen(2.5, 0)})  # a morning after: nothing shows yet
    assert step(NOTHING, timedelta(hours=17) // timedelta(microseconds=1) * 1000) == [[-250.0, 0.0]] * 2
