"""Spreads piece by piece, with numbers that can be checked by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import nan

import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import (
    Contract, Exercise, Fill, OptionLeg, OrderRole, OrderTicket, OrderType, Proposal, Right, RiskApproved, Settlement, Side, Signal, SpreadProposal, SpreadTicket,
    plain, proposal_from_plain, signal_from_plain, ticket_from_plain)
from quanticity.distribution.messages import closed, opened
from quanticity.execution.broker import ReplayBroker, SpreadFill
from quanticity.execution.early_exercise import Evening, judge_exercise
from quanticity.execution.positions import PositionBook, book_from_plain, book_plain, exercise_position
from quanticity.execution.shares import ShareLot
from quanticity.jobs.working import Working, dollars_at_risk, note_end, note_fill
from quanticity.market.chain import nanoseconds
from quanticity.market.commissions import SCHEDULES, commission, share_commission
from quanticity.market.matching import Filled, MatchingEngine, Quote, Slippage
from quanticity.risk.limits import BookState, Limits, approve_spread_exit, check_entry
from quanticity.risk.payoff import maximum_loss, payoff, undefined_risk, worst_payoff
from quanticity.signals.scoring import contract_fingerprint, fingerprint, leg_fingerprints

NOW, CLOSE = datetime(2016, 1, 12, 15, 1, tzinfo=UTC), datetime(2016, 1, 12, 21, tzinfo=UTC)
UNTIL = datetime(2016, 1, 15, 21, tzinfo=UTC)
T0, MINUTE = nanoseconds(NOW), 60_000_000_000
BUY, SELL, C, P = Side.BUY, Side.SELL, Right.CALL, Right.PUT


def option(strike: float, right: Right = C, **more: object) -> Contract:
    return replace(Contract("XYZ", date(2016, 1, 15), strike, right, UNTIL), **more)


def leg(side: Side, strike: float, right: Right = C, **more: object) -> OptionLeg:
    return OptionLeg(option(strike, right, **more), side)


BEAR = (leg(SELL, 100.0), leg(BUY, 105.0))
CONDOR = (leg(BUY, 90.0, P), leg(SELL, 95.0, P), leg(SELL, 105.0), leg(BUY, 110.0))


def proposal(legs: tuple[OptionLeg, ...] = BEAR, limit: float = -1.40, **more: object) -> SpreadProposal:
    fields = {"target_price": limit + 1.0, "stop_price": limit - 1.5, **more}
    return SpreadProposal("pro:1", "verticals", "XYZ", NOW, legs[0].contract, BUY, limit, exit_at=UNTIL, confidence=0.7, parts={}, cause=("chain:XYZ:1",), legs=legs, **fields)


def signal(p: Proposal | None = None) -> Signal:
    return Signal("sig:1", "ab", NOW, NOW + timedelta(minutes=5), p or proposal())


def quotes(**shown: tuple[float, float, float, float]) -> dict[Contract, Quote]:
    return {option(float(name[1:]), Right(name[0].upper())): Quote(T0, *q) for name, q in shown.items()}


SHOWN = quotes(c100=(3.00, 3.10, 10, 20), c105=(1.50, 1.60, 5, 8))
BOTH = [SHOWN[x.contract] for x in BEAR]


# -- records ----------------------------------------------------------------------------------------------------------------------


def test_records_with_legs_travel_as_json_and_those_without_look_as_before():
    assert proposal_from_plain(plain(proposal())) == proposal() and signal_from_plain(plain(signal())) == signal()
    ticket = SpreadTicket("o", "s", BEAR[0].contract, BUY, OrderType.LIMIT, 2, OrderRole.ENTRY, limit_price=-1.4, good_till=NOW, legs=BEAR)
    assert ticket_from_plain(plain(ticket)) == ticket
    alone = OrderTicket("o", "s", BEAR[0].contract, BUY, OrderType.LIMIT, 2, OrderRole.ENTRY, limit_price=1.4)
    assert "legs" not in plain(alone) and ticket_from_plain(plain(alone)) == alone


@pytest.mark.parametrize(("legs", "words"), [(BEAR[:1], "two or more"), ((BEAR[0], BEAR[0]), "another contract"), ((), "two or more")])
def test_what_is_no_spread_is_refused(legs, words):
    with pytest.raises(ValueError, match=words):
        SpreadTicket("o", "s", BEAR[0].contract, BUY, OrderType.MARKET, 1, OrderRole.ENTRY, legs=legs)
    with pytest.raises(ValueError, match="that of its first leg"):
        replace(proposal(), contract=BEAR[1].contract)
    with pytest.raises(ValueError, match="quantity must be at least 1"):
        SpreadTicket("o", "s", BEAR[0].contract, BUY, OrderType.MARKET, 0, OrderRole.ENTRY, legs=BEAR)


# -- what it can lose --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("legs", "limit", "loss"), [
    (BEAR, -1.40, 3.60), ((leg(BUY, 100.0), leg(SELL, 105.0)), 1.60, 1.60), (CONDOR, -1.10, 3.90),
    ((leg(SELL, 95.0, P), leg(BUY, 90.0, P)), -0.80, 4.20), ((leg(BUY, 100.0), leg(BUY, 100.0, P)), 6.20, 6.20),
    ((leg(BUY, 85.0, P), leg(SELL, 95.0, P), leg(SELL, 105.0), leg(BUY, 107.0)), -1.0, 9.0)])
def test_the_most_a_spread_can_lose(legs, limit, loss):
    p = proposal(legs, limit)
    assert undefined_risk(legs) is None and maximum_loss(p) == pytest.approx(loss)
    assert min(payoff(legs, s / 4) for s in range(0, 1000)) == pytest.approx(worst_payoff(legs))


@pytest.mark.parametrize(("legs", "reason"), [
    ((leg(SELL, 100.0), leg(BUY, 95.0, P)), Reason.SHORT_NOT_ALLOWED), ((leg(SELL, 100.0), leg(SELL, 100.0, P)), Reason.SHORT_NOT_ALLOWED),
    ((leg(SELL, 95.0, P), leg(BUY, 105.0)), Reason.SHORT_NOT_ALLOWED),
    ((leg(SELL, 100.0), leg(BUY, 105.0, expiry=date(2016, 2, 19))), Reason.INVALID_PROPOSAL),
    ((leg(SELL, 100.0), leg(BUY, 105.0, multiplier=10)), Reason.INVALID_PROPOSAL)])
def test_a_loss_without_bound_is_refused(legs, reason):
    decision = check_entry(signal(proposal(legs)), BOTH[0], BookState(), Limits(), NOW, CLOSE, BOTH[1:])
    assert decision.reason is reason


def test_size_and_limits_go_by_what_can_be_lost():
    approved = check_entry(signal(), BOTH[0], BookState({"XYZ": 1_000.0}), Limits(order_notional=2_000.0), NOW, CLOSE, BOTH[1:])
    assert isinstance(approved, RiskApproved)
    assert approved.tickets[0].quantity == 5 and approved.checks["order_notional"] == 1_800.0 and approved.checks["symbol_notional"] == 2_800.0
    assert approved.checks["relative_spread"] == pytest.approx(0.2 / (3.05 + 1.55), abs=1e-6) and approved.checks["legs"] == 2
    assert [type(t) for t in approved.tickets] == [SpreadTicket] * 3 and [t.side for t in approved.tickets] == [BUY, SELL, SELL]
    tight = check_entry(signal(), BOTH[0], BookState({"XYZ": 8_500.0}), Limits(order_notional=2_000.0), NOW, CLOSE, BOTH[1:])
    assert tight.reason is Reason.MAX_SYMBOL_NOTIONAL
    small = check_entry(signal(), BOTH[0], BookState(), Limits(order_notional=350.0), NOW, CLOSE, BOTH[1:])
    assert (small.reason, small.detail) == (Reason.BELOW_ONE_CONTRACT, "one unit can lose 360 dollars, target 350")


@pytest.mark.parametrize(("second", "reason"), [
    (None, Reason.NO_QUOTE), (Quote(T0, nan, 1.6, 0, 8), Reason.EMPTY_SIDE), (Quote(T0 - 400 * 10**9, 1.5, 1.6, 5, 8), Reason.STALE_QUOTE),
    (Quote(T0, 0.5, 2.6, 5, 8), Reason.SPREAD_TOO_WIDE)])
def test_every_leg_must_be_quoted(second, reason):
    decision = check_entry(signal(), BOTH[0], BookState(), Limits(), NOW, CLOSE, [second])
    assert decision.reason is reason and (reason is Reason.SPREAD_TOO_WIDE or "105C" in decision.detail)


def test_what_another_signal_holds_the_other_way_round_is_left_alone():
    held = BookState(contracts={BEAR[0].contract.occ: 3})
    assert check_entry(signal(), BOTH[0], held, Limits(), NOW, CLOSE, BOTH[1:]).reason is Reason.SAME_EXPOSURE
    more = BookState(contracts={BEAR[0].contract.occ: -3, BEAR[1].contract.occ: 3})
    assert isinstance(check_entry(signal(), BOTH[0], more, Limits(), NOW, CLOSE, BOTH[1:]), RiskApproved)


def test_prices_on_the_wrong_side_and_free_money_are_refused():
    wrong = proposal(target_price=-1.50)
    assert check_entry(signal(wrong), BOTH[0], BookState(), Limits(), NOW, CLOSE, BOTH[1:]).reason is Reason.INVALID_PROPOSAL
    free = proposal(limit=-5.10)
    assert check_entry(signal(free), BOTH[0], BookState(), Limits(), NOW, CLOSE, BOTH[1:]).reason is Reason.INVALID_PROPOSAL
    unknown = replace(proposal(), limit_price=nan)
    assert check_entry(signal(unknown), BOTH[0], BookState(), Limits(), NOW, CLOSE, BOTH[1:]).reason is Reason.INVALID_PROPOSAL


# -- signals ----------------------------------------------------------------------------------------------------------------------


def test_fingerprints_see_the_legs():
    p, mirrored = proposal(), proposal((leg(BUY, 100.0), leg(SELL, 105.0)), 1.6)
    alone = Proposal("x", "verticals", "XYZ", NOW, BEAR[1].contract, BUY, 1.6, 3, 0.5, UNTIL, 0.7, {}, ())
    assert len({fingerprint(p), fingerprint(mirrored), fingerprint(alone), fingerprint(proposal(CONDOR, -1.0))}) == 4
    assert fingerprint(proposal((leg(SELL, 95.0), leg(BUY, 110.0)))) == fingerprint(p)  # the same bet at other strikes
    assert contract_fingerprint(alone) in leg_fingerprints(p) and contract_fingerprint(alone) not in leg_fingerprints(mirrored)
    assert len(set(leg_fingerprints(proposal(CONDOR, -1.0)))) == 4


# -- matching and the broker ------------------------------------------------------------------------------------------------------


def broker_with(p: SpreadProposal, shown: dict[Contract, Quote], notional: float = 3_600.0, **engine: object) -> tuple[ReplayBroker, list[object]]:
    broker = ReplayBroker(MatchingEngine(**engine), SCHEDULES[0])
    broker.on_step(T0, shown.get)
    seen = [shown.get(x.contract) for x in p.legs]
    broker.submit(check_entry(signal(p), seen[0], BookState(), Limits(order_notional=notional), NOW, CLOSE, seen[1:]))
    broker.on_step(T0 + MINUTE, shown.get)
    return broker, broker.events()


def held(events: list[object]) -> dict[float, int]:
    """Contracts held by strike, as the fills say."""
    book = PositionBook()
    for fill in (f for e in events if isinstance(e, SpreadFill) for f in e.fills):
        book.apply(fill)
    return {p.contract.strike: p.quantity for p in book.open_positions()}


def test_partial_units_are_whole_in_every_leg_and_each_leg_pays_its_commission():
    broker, events = broker_with(proposal(), SHOWN)
    (fill,) = [e for e in events if isinstance(e, SpreadFill)]
    assert (fill.quantity, fill.price) == (8, -1.40)  # eight show at the ask of the bought leg, ten are wanted
    assert [(f.id, f.side, f.quantity, f.price) for f in fill.fills] == [("sig:1/entry#1.1", SELL, 8, 3.00), ("sig:1/entry#1.2", BUY, 8, 1.60)]
    assert [f.commission for f in fill.fills] == [commission(SCHEDULES[0], SELL, 8, 3.00, 100).total, commission(SCHEDULES[0], BUY, 8, 1.60, 100).total]
    assert held(events) == {100.0: -8, 105.0: 8} and broker.monthly_contracts == 16
    assert broker.shown["sig:1/entry#1.2"] == SHOWN[BEAR[1].contract]
    broker.on_step(T0 + 2 * MINUTE, SHOWN.get)
    assert not [e for e in broker.events() if isinstance(e, SpreadFill)]  # what was taken stays taken
    later = {c: q._replace(ts=T0 + 3 * MINUTE) for c, q in SHOWN.items()}
    broker.on_step(T0 + 3 * MINUTE, later.get)
    (rest,) = [e for e in broker.events() if isinstance(e, SpreadFill)]
    assert rest.quantity == 2 and rest.fills[0].id == "sig:1/entry#2.1"


def test_what_a_leg_takes_is_gone_for_other_orders_of_that_contract():
    engine = MatchingEngine()
    engine.submit(OrderTicket("single", "s", BEAR[1].contract, BUY, OrderType.MARKET, 6, OrderRole.ENTRY), T0)
    engine.submit(SpreadTicket("spread", "t", BEAR[0].contract, BUY, OrderType.MARKET, 9, OrderRole.ENTRY, legs=BEAR), T0)
    assert [(e.order_id, e.quantity) for e in engine.step(T0 + MINUTE, SHOWN.get)] == [("single", 6), ("spread", 2)]


def test_nothing_happens_while_a_leg_has_no_quote_and_slippage_is_paid_by_every_leg():
    without = {BEAR[0].contract: BOTH[0]}
    engine = MatchingEngine(slippage=Slippage(0.5))
    engine.submit(SpreadTicket("x", "t", BEAR[0].contract, BUY, OrderType.LIMIT, 1, OrderRole.ENTRY, limit_price=-1.30, legs=BEAR), T0)
    assert engine.step(T0 + MINUTE, without.get) == []
    (fill,) = engine.step(T0 + 2 * MINUTE, SHOWN.get)
    assert isinstance(fill, Filled) and fill.leg_prices == (2.95, 1.65) and fill.price == pytest.approx(-1.30)
    engine.submit(SpreadTicket("y", "t", BEAR[0].contract, BUY, OrderType.LIMIT, 1, OrderRole.ENTRY, limit_price=-1.31, legs=BEAR), T0 + 2 * MINUTE)
    assert engine.step(T0 + 3 * MINUTE, SHOWN.get) == []  # its limit is beyond what slippage leaves


def test_target_and_stop_close_at_the_net_price():
    broker, events = broker_with(proposal(target_price=-0.50, stop_price=-2.00), SHOWN, notional=720.0)

    def at(minute: int, near: tuple[float, float], far: tuple[float, float]) -> list[object]:
        shown = {BEAR[0].contract: Quote(T0 + minute * MINUTE, *near, 9, 9), BEAR[1].contract: Quote(T0 + minute * MINUTE, *far, 9, 9)}
        broker.on_step(T0 + minute * MINUTE, shown.get)
        return [e for e in broker.events() if isinstance(e, SpreadFill)]

    assert at(2, (2.0, 2.1), (1.0, 1.1)) == [] and at(3, (3.2, 3.3), (1.3, 1.4)) == []  # closing costs 1.10, then 2.00: the stop is touched
    (out,) = at(4, (3.1, 3.2), (1.3, 1.4))
    assert (out.quantity, out.price) == (2, -1.90) and {f.role for f in out.fills} == {OrderRole.STOP} and held([*events, out]) == {}
    assert [f.side for f in out.fills] == [BUY, SELL]


def test_a_forced_exit_takes_the_bracket_off():
    broker, events = broker_with(proposal(), SHOWN, notional=720.0)
    broker.submit(approve_spread_exit(signal(), 2, NOW + timedelta(minutes=1), "time"))
    broker.on_step(T0 + 2 * MINUTE, SHOWN.get)
    assert held(events) != {} and held([*events, *broker.events()]) == {} and broker.open_orders() == []


# -- the account ------------------------------------------------------------------------------------------------------------------


def fill(n: int, contract: Contract, side: Side, role: OrderRole, quantity: int, price: float, order: str = "sig:1/entry") -> Fill:
    return Fill(f"f{n}", order, "sig:1", contract, side, role, quantity, price, 1.0, NOW)


def test_an_assigned_leg_leaves_a_broken_spread():
    w = Working(signal(), 2)
    for f in (fill(1, BEAR[0].contract, SELL, OrderRole.ENTRY, 2, 3.0), fill(2, BEAR[1].contract, BUY, OrderRole.ENTRY, 2, 1.6)):
        note_fill(w, f)
    assert (w.held, w.broken, dollars_at_risk(w), w.entry_open) == (2, False, 720.0, False)
    assert note_end(w, BEAR[0].contract, 4.0) == -2 and w.broken and w.held == 0 and not w.over and dollars_at_risk(w) == 720.0
    w.exits.send("sig:1/exit2", BEAR[1].contract.occ, 2)
    assert w.exits.under_way
    note_fill(w, fill(3, BEAR[1].contract, SELL, OrderRole.EXIT, 2, 0.9, "sig:1/exit2"))
    assert w.over and not w.exits.under_way and w.closed.price == pytest.approx(-4.0 + 0.9) and w.cash == pytest.approx(280 - 2 - 800 + 180 - 1)


def test_subscribers_are_told_of_the_legs():
    text = opened(signal(), fill(1, BEAR[0].contract, SELL, OrderRole.ENTRY, 2, 3.0), -1.4).text
    assert text.startswith("OPENED -XYZ 2016-01-15 100C +XYZ 2016-01-15 105C (verticals): bought 2 at -1.40")
    assert "2 out at -3.10 by assignment" in closed(signal(), "x", NOW, 2, -3.1, "assignment", -343.0).text


# -- exercise, assignment, shares ---------------------------------------------------------------------------------------------------

EVE = Evening(datetime(2016, 1, 13, 21, tzinfo=UTC), date(2016, 1, 14), 104.0, 0.02, dividends={date(2016, 1, 14): 0.50})


@pytest.mark.parametrize(("contract", "quote", "evening", "pays"), [
    (option(100.0), (4.10, 4.30), EVE, True),  # 0.20 of time value against 0.50
    (option(100.0), (4.40, 4.60), EVE, False),  # 0.50 against 0.50: no gain
    (option(100.0), (4.10, 4.30), replace(EVE, dividends={date(2016, 1, 15): 0.50}), False),  # not tomorrow
    (option(100.0), (4.10, 4.30), replace(EVE, dividends={date(2016, 1, 13): 0.50}), False),  # was this morning
    (option(105.0), (0.10, 0.20), EVE, False),  # out of the money
    (option(100.0, exercise=Exercise.EUROPEAN, settlement=Settlement.CASH), (4.10, 4.30), EVE, False),
    (option(100.0, expires_at=EVE.now), (4.10, 4.30), EVE, False),  # expires tonight anyway
    (option(100.0), (4.10, 4.30), replace(EVE, dividends=None), False),  # a rate and no dividend: never a call
    (option(100.0), (4.00, 4.02), replace(EVE, dividends=None, dividend_yield=3.0), True),  # a yield in place of ex-dates
    (option(120.0, P), (15.90, 16.10), replace(EVE, dividends=None), True),  # no time value, two days of interest
    (option(120.0, P), (16.00, 16.20), replace(EVE, dividends=None), False),  # 0.10 of time value against 0.013
    (option(120.0, P), (15.90, 16.10), EVE, False),  # a dividend to come presses the stock
    (option(100.0), (3.90, 4.50), replace(EVE, price="bid"), True)])
def test_when_exercise_pays(contract, quote, evening, pays):
    assert judge_exercise(contract, Quote(0, *quote, 10, 10), evening).pays is pays


def test_an_option_that_nobody_bids_for_has_no_time_value_and_an_unknown_spot_exercises_nothing():
    assert judge_exercise(option(100.0), None, EVE).pays and judge_exercise(option(100.0), Quote(0, nan, 4.3, 0, 9), EVE).time_value == 0.0
    assert not judge_exercise(option(100.0), None, replace(EVE, spot=nan)).pays


def test_a_call_spread_assigned_before_a_dividend_by_hand():
    """Sold at 1.40; assigned at 104; owed shares pay 0.50 and are bought back at 103.70; the bought leg goes for 0.80."""
    book = PositionBook()
    for f in (fill(1, BEAR[0].contract, SELL, OrderRole.ENTRY, 2, 3.0), fill(2, BEAR[1].contract, BUY, OrderRole.ENTRY, 2, 1.6)):
        book.apply(f)
    ended = book.exercise(BEAR[0].contract, 104.0, EVE.now, "a dividend")
    assert (ended.quantity, ended.cash, ended.realized, ended.shares) == (-2, -800.0, -200.0, -200)
    assert book.exercise(BEAR[0].contract, 105.0, EVE.now, "again") is ended
    book.shares.deliver(ShareLot(f"{ended.id}/sig:1", "XYZ", "sig:1", ended.shares, 104.0, EVE.now, ended.id))
    book.shares.deliver(book.shares.lots()[0])  # once is enough
    marks = book.mark({BEAR[1].contract: Quote(T0, 0.9, 1.0, 9, 9)}.get, T0)
    assert book.totals(marks, 103.5).net == pytest.approx(280 - 2 - 800 + 100 + 180)
    morning = datetime(2016, 1, 14, 14, 31, tzinfo=UTC)
    assert book.shares.pay_dividend(book.shares.lots()[0].id, 0.50, date(2016, 1, 14), morning).cash == -100.0
    assert book.shares.pay_dividend(book.shares.lots()[0].id, 0.50, date(2016, 1, 14), morning) is None
    trade = book.shares.close(book.shares.lots()[0].id, 103.70, 1.0, "quote", morning)
    assert (trade.quantity, trade.realized, trade.cash) == (200, 60.0, -20_741.0)
    book.apply(fill(3, BEAR[1].contract, SELL, OrderRole.EXIT, 2, 0.8))
    totals = book.totals()
    assert totals.net == totals.cash == pytest.approx(280 - 800 - 100 + 60 + 160 - 3 - 1) and book.shares.lots() == []
    assert book_from_plain(book_plain(book)).totals() == totals
    with pytest.raises(ValueError, match="cannot be exercised: 0 held"):
        exercise_position(book.position(BEAR[0].contract), 104.0, EVE.now)


@pytest.mark.parametrize(("settlement", "shares"), [(Settlement.PHYSICAL, (-200, 0)), (Settlement.CASH, (0, 0))])
def test_an_iron_condor_expires_with_one_short_side_in_the_money(settlement, shares):
    """Sold for 1.10, two units, at 108: the sold call costs 3, the others end worthless."""
    book, price = PositionBook(), {90.0: 0.40, 95.0: 0.95, 105.0: 1.05, 110.0: 0.50}
    legs = [OptionLeg(replace(x.contract, settlement=settlement), x.side) for x in CONDOR]
    for n, x in enumerate(legs):
        book.apply(fill(n, x.contract, x.side, OrderRole.ENTRY, 2, price[x.contract.strike]))
    ends = [book.settle(x.contract, 108.0, UNTIL) for x in legs]
    assert [e.cash for e in ends] == [0, 0, -600, 0] and (ends[2].shares, ends[3].shares) == shares
    assert book.totals().net == pytest.approx(220 - 600 - 4)
    if ends[2].shares:
        book.shares.deliver(ShareLot("lot", "XYZ", "sig:1", ends[2].shares, 108.0, UNTIL, ends[2].id))
    assert book.totals().net == pytest.approx(220 - 600 - 4) and book.totals((), 107.0).net == pytest.approx(220 - 600 - 4 + (200 if ends[2].shares else 0))


def test_shares_cost_a_dollar_an_order_at_least():
    now = SCHEDULES[-1]
    assert share_commission(now, BUY, 100, 104.0).total == 1.0 and share_commission(now, SELL, 400, 104.0).broker == 2.0
    assert share_commission(now, SELL, 400, 104.0).third_party == pytest.approx(400 * 104 * now.sec_rate, abs=1e-4)
    assert share_commission(now, BUY, 10, 2.0).total == pytest.approx(0.20)  # no more than a hundredth of its value
    assert share_commission(replace(now, share_rate=0.0, share_minimum=0.0, sec_rate=0.0), SELL, 100, 104.0).total == 0.0
    with pytest.raises(ValueError, match="0 shares"):
        share_commission(now, BUY, 0, 104.0)
