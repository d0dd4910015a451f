"""Risk at its bounds: the last figure that it lets through and the first that it refuses, and the figures of an approval to their last place."""

from dataclasses import replace
from datetime import timedelta
from math import inf, nan

import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import OptionLeg, Position, Right, RiskApproved, Side
from quanticity.market.chain import nanoseconds
from quanticity.risk.brackets import exit_attempt, exit_ticket, spread_exit
from quanticity.risk.limits import BookState, Limits, approve_spread_exit, check_entry
from quanticity.risk.payoff import payoff, undefined_risk, worst_payoff, worst_value
from quanticity.risk.sizing import notional, size_by_notional

from .test_limits import CLOSE, GOOG, NOW, QUOTE, SIGNAL, ask, proposing, refused
from .test_spreads import BOTH
from .test_spreads import CLOSE as CLOSES
from .test_spreads import signal as spread


def contracts(**question) -> int:
    answer = ask(**question)
    assert isinstance(answer, RiskApproved), answer
    return answer.tickets[0].quantity


@pytest.mark.parametrize("quote", [
    {"bid": 0.0}, {"bid": nan}, {"bid_size": 0.9}, {"bid_size": nan}, {"ask": 0.0, "bid": 0.0}, {"ask": nan}, {"ask": 0.0}, {"ask_size": 0.9}, {"ask_size": nan}])
def test_a_side_without_a_price_or_a_whole_contract_is_empty(quote):
    assert refused(quote=QUOTE._replace(**quote))[0] is Reason.EMPTY_SIDE


@pytest.mark.parametrize("quote", [{"bid_size": 1.0}, {"ask_size": 1.0}, {"bid": 1.5}, {"bid": 0.45, "ask": 0.5}])
def test_one_contract_a_locked_quote_and_a_premium_under_a_dollar_will_do(quote):
    assert contracts(quote=QUOTE._replace(**quote)) == 33


def test_a_spread_is_held_to_its_limit():
    wide = QUOTE._replace(bid=1.0, ask=1.5)
    assert contracts(quote=wide, limits=Limits(max_relative_spread=0.4)) == 33
    assert refused(quote=wide, limits=Limits(max_relative_spread=0.3999))[0] is Reason.SPREAD_TOO_WIDE


@pytest.mark.parametrize(("limit", "reason"), [("max_order_notional", Reason.MAX_ORDER_NOTIONAL), ("max_symbol_notional", Reason.MAX_SYMBOL_NOTIONAL), ("max_book_notional", Reason.MAX_BOOK_NOTIONAL)])
def test_dollars_are_held_to_their_limit_from_an_empty_book_on(limit, reason):
    assert contracts(limits=Limits(order_notional=1_500.0, **{limit: 1_500.0})) == 10
    assert refused(limits=Limits(order_notional=1_500.0, **{limit: 1_499.99}))[0] is reason


@pytest.mark.parametrize(("target", "factor", "bought"), [(150.0, 1.0, 1), (299.0, 1.0, 1), (3_000.0, 0.5, 10), (300.0, 0.5, 1)])
def test_as_many_as_the_dollars_buy_a_single_one_included(target, factor, bought):
    assert contracts(signal=replace(SIGNAL, size_factor=factor), limits=Limits(order_notional=target)) == bought
    assert refused(signal=replace(SIGNAL, size_factor=0.5), limits=Limits(order_notional=299.0))[0] is Reason.BELOW_ONE_CONTRACT


def test_there_must_be_something_to_lose_be_it_under_a_dollar():
    assert contracts(signal=proposing(limit_price=0.5, stop_price=0.25)) == 100
    assert refused(signal=proposing(limit_price=0.0, stop_price=-1.0))[0] is Reason.INVALID_PROPOSAL


def test_the_figures_of_an_approval_are_rounded_to_what_a_reader_needs():
    now = NOW + timedelta(seconds=20, microseconds=123_456)
    answer = ask(now=now, book=BookState({"GOOG": 0.12345678, "SPX": 0.2}, 1, 1, -0.12345678), quote=QUOTE._replace(ts=nanoseconds(NOW)))
    assert isinstance(answer, RiskApproved) and (CLOSE - now).total_seconds() / 60 != 178.665
    assert answer.checks == {"contracts": 33.0, "order_notional": 4_950.0, "symbol_notional": 4_950.123457, "book_notional": 4_950.323457, "pnl_today": -0.123457, "open_positions": 1.0,
                             "orders_today": 1.0, "minutes_to_expiry": 178.665, "relative_spread": 0.033898, "quote_age_seconds": 20.123}


def test_a_spread_is_as_old_as_its_oldest_quote_and_an_empty_book_holds_nothing():
    older = BOTH[1]._replace(ts=BOTH[1].ts - 9_000_000_000)
    answer = check_entry(spread(), BOTH[0], BookState(), Limits(order_notional=2_000.0), spread().ts, CLOSES, [older])
    assert isinstance(answer, RiskApproved) and answer.checks["quote_age_seconds"] == 9.0 and answer.checks["symbol_notional"] == answer.checks["order_notional"] > 0


@pytest.mark.parametrize(("name", "attempt"), [("sig:1f/exit", 1), ("sig:1f/exit2", 2), ("sig:1f/exit13", 13)])
def test_an_exits_attempt_stands_in_its_id(name, attempt):
    assert exit_attempt(name) == attempt
    assert exit_ticket(Position(GOOG, 1, 1.5, 0.0, 0.0), "sig:1f", attempt=attempt).id == name == spread_exit(SIGNAL, 1, attempt).id


@pytest.mark.parametrize("name", ["sig:1f/entry", "sig:1f/stop", "sig:1f"])
def test_another_orders_id_has_no_attempt(name):
    with pytest.raises(ValueError, match=f"{name} is not a forced exit"):
        exit_attempt(name)


def test_one_contract_or_unit_is_closed_and_less_is_not():
    one = exit_ticket(Position(GOOG, 1, 1.5, 0.0, 0.0), "sig:1f", 1)
    assert (one.side, one.quantity, spread_exit(SIGNAL, 1).quantity, spread_exit(SIGNAL, 1).side) == (Side.SELL, 1, 1, Side.SELL)
    assert approve_spread_exit(SIGNAL, 2, NOW, "time").checks == {"held": 2.0, "contracts": 2.0, "reason:time": 1.0}
    with pytest.raises(ValueError, match="signal sig:1f: cannot close 0 units"):
        spread_exit(SIGNAL, 0)


PUT = replace(GOOG, right=Right.PUT)


def legs(*held):
    return tuple(OptionLeg(replace(GOOG, right=right, strike=strike), side) for right, strike, side in held)


LONG, SHORT = Side.BUY, Side.SELL


@pytest.mark.parametrize(("held", "at_700", "worst"), [
    (legs((Right.CALL, 700.0, LONG), (Right.CALL, 710.0, SHORT)), 0.0, 0.0), (legs((Right.CALL, 710.0, LONG), (Right.CALL, 690.0, SHORT)), -10.0, -20.0),
    (legs((Right.PUT, 690.0, LONG), (Right.PUT, 710.0, SHORT)), -10.0, -20.0), (legs((Right.PUT, 710.0, SHORT),), -10.0, -710.0), (legs((Right.CALL, 700.0, SHORT),), 0.0, -inf),
    (legs((Right.PUT, 690.4, LONG), (Right.PUT, 700.7, SHORT)), -0.7, -10.3)])
def test_what_a_unit_is_worth_at_the_worst(held, at_700, worst):
    assert payoff(held, 700.0) == at_700 and worst_payoff(held) == worst
    signed = {leg.contract: 3 * leg.side.sign for leg in held}
    assert worst_value(signed) == (worst if worst == -inf else round(worst * 300, 6))


def test_what_is_worth_nothing_and_what_is_held_no_more():
    assert worst_value({}) == 0.0 and worst_value({GOOG: 0, PUT: 2}) == 0.0 and worst_value({GOOG: 1, replace(GOOG, strike=750.0): -1}) == 0.0


@pytest.mark.parametrize(("held", "says"), [(legs((Right.PUT, 710.0, SHORT),), "a sale to open; only bought options are allowed"), (legs((Right.PUT, 710.0, LONG),), None),
                                            (legs((Right.CALL, 710.0, SHORT), (Right.PUT, 710.0, LONG)), "a sold call that no bought call covers: what it can lose has no bound"),
                                            (legs((Right.PUT, 710.0, SHORT), (Right.CALL, 710.0, LONG)), "a sold put that no bought put covers: what it can lose has no bound")])
def test_why_a_loss_has_no_bound(held, says):
    answer = undefined_risk(held)
    assert answer == (None if says is None else (Reason.SHORT_NOT_ALLOWED, says))


@pytest.mark.parametrize(("shown", "most", "bought"), [(None, None, 33), (1.0, None, 1), (0.99, None, 0), (nan, None, 0), (20.9, None, 20), (None, 7, 7), (None, 0, 0), (5.0, 7, 5)])
def test_no_more_than_shows_and_is_allowed(shown, most, bought):
    assert size_by_notional(5_000.0, 1.5, 100, most, shown) == bought


def test_a_contract_that_costs_all_there_is_can_be_bought():
    assert size_by_notional(30.0, 0.1 + 0.2, 100) == 1 and notional(3, 0.1, 1) == 0.3 and size_by_notional(29.9999, 0.3, 100) == 0 and size_by_notional(2.0, 2.0, 1) == 1
