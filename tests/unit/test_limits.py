from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import inf, nan

import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, OrderRole, Position, Proposal, Right, RiskApproved, RiskRefused, Side, Signal
from quanticity.market.chain import nanoseconds
from quanticity.market.matching import Quote
from quanticity.risk.limits import BookState, Limits, approve_exit, check_entry, entry_id, relative_spread

NOW = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
CLOSE = datetime(2015, 12, 24, 18, tzinfo=UTC)
GOOG = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, CLOSE)
PROPOSAL = Proposal("pro:1", "zero_dte", "GOOG", NOW, GOOG, Side.BUY, 1.5, 3.0, 0.75, CLOSE - timedelta(minutes=20), 0.7, {}, ())
SIGNAL = Signal("sig:1f", "ab12", NOW, NOW + timedelta(minutes=5), PROPOSAL)
QUOTE = Quote(nanoseconds(NOW), 1.45, 1.50, 20.0, 20.0)
LIMITS = Limits()


def ask(signal=SIGNAL, quote=QUOTE, book=None, limits=LIMITS, now=NOW, close=CLOSE):
    return check_entry(signal, quote, BookState() if book is None else book, limits, now, close)


def proposing(**changes):
    return replace(SIGNAL, proposal=replace(PROPOSAL, **changes))


def test_approved_with_the_figures_seen():
    answer = ask(book=BookState({"GOOG": 1_000.0, "SPX": 500.0}, 2, 6, -120.5))
    assert isinstance(answer, RiskApproved)
    assert [t.role for t in answer.tickets] == [OrderRole.ENTRY, OrderRole.TARGET, OrderRole.STOP]
    assert answer.checks == {"contracts": 33.0, "order_notional": 4_950.0, "symbol_notional": 5_950.0, "book_notional": 6_450.0,
                             "pnl_today": -120.5, "open_positions": 2.0, "orders_today": 6.0, "minutes_to_expiry": 179.0,
                             "relative_spread": 0.033898, "quote_age_seconds": 0.0}
    assert entry_id(answer) == "sig:1f/entry"


def refused(**question):
    answer = ask(**question)
    assert isinstance(answer, RiskRefused), answer
    assert (answer.signal_id, answer.ts) == ("sig:1f", question.get("now", NOW))
    return answer.reason, answer.detail


@pytest.mark.parametrize(("question", "reason", "detail"), [
    ({"now": CLOSE}, Reason.MARKET_CLOSED, "now 18:00:00 UTC, session closed 18:00:00"),
    ({"now": SIGNAL.expires_at}, Reason.SIGNAL_EXPIRED, "now 15:06:00 UTC, signal was good until 15:06:00"),
    ({"limits": Limits(minutes_before_expiry=180)}, Reason.TOO_CLOSE_TO_EXPIRY, "179.0 minutes to expiry, least 180"),
    ({"signal": proposing(exit_at=NOW)}, Reason.TOO_CLOSE_TO_EXPIRY, "now 15:01:00 UTC, position must be closed by 15:01:00"),
    ({"book": BookState(pnl_today=-2_500)}, Reason.MAX_DAILY_LOSS, "loss today 2,500 dollars, limit 2,500"),
    ({"book": BookState(pnl_today=nan)}, Reason.MAX_DAILY_LOSS, "loss today nan dollars, limit 2,500"),
    ({"book": BookState(pnl_today=-inf)}, Reason.MAX_DAILY_LOSS, "loss today has no bound: a sold option is held that nobody offers"),
    ({"book": BookState(open_positions=5)}, Reason.MAX_OPEN_POSITIONS, "5 positions open, limit 5"),
    ({"book": BookState(orders_today=58)}, Reason.MAX_ORDERS, "58 orders today and 3 more, limit 60"),
    ({"quote": None}, Reason.NO_QUOTE, "the contract was never quoted"),
    ({"quote": QUOTE._replace(ts=nanoseconds(NOW - timedelta(seconds=301)))}, Reason.STALE_QUOTE, "quote is 301.0 seconds old, limit 300"),
    ({"quote": QUOTE._replace(ts=nanoseconds(NOW) + 1_000_000_000)}, Reason.STALE_QUOTE, "quote is -1.0 seconds old, limit 300"),
    ({"quote": QUOTE._replace(bid=nan, bid_size=0.0)}, Reason.EMPTY_SIDE, "bid nan x 0, ask 1.5 x 20"),
    ({"quote": QUOTE._replace(ask_size=0.0)}, Reason.EMPTY_SIDE, "bid 1.45 x 20, ask 1.5 x 0"),
    ({"quote": QUOTE._replace(bid=1.6)}, Reason.CROSSED_QUOTE, "bid 1.6 above ask 1.5"),
    ({"quote": QUOTE._replace(bid=1.0)}, Reason.SPREAD_TOO_WIDE, "spread 40.0% of the middle, limit 25.0%"),
    ({"signal": proposing(limit_price=60.0, target_price=90.0, stop_price=30.0)}, Reason.BELOW_ONE_CONTRACT,
     "one contract costs 6,000 dollars, target 5,000"),
    ({"limits": Limits(order_notional=5_400)}, Reason.MAX_ORDER_NOTIONAL, "order of 5,400 dollars, limit 5,000"),
    ({"book": BookState({"GOOG": 5_050.01})}, Reason.MAX_SYMBOL_NOTIONAL, "10,000.01 dollars in GOOG with this order, limit 10,000"),
    ({"book": BookState({"SPX": 20_050.5})}, Reason.MAX_BOOK_NOTIONAL, "25,000.50 dollars in the book with this order, limit 25,000"),
    ({"book": BookState({"GOOG": nan})}, Reason.MAX_SYMBOL_NOTIONAL, "nan dollars in GOOG with this order, limit 10,000"),
    ({"signal": proposing(side=Side.SELL)}, Reason.SHORT_NOT_ALLOWED, "a sale to open; only bought options are allowed"),
])
def test_each_refusal_names_both_numbers(question, reason, detail):
    assert refused(**question) == (reason, detail)


@pytest.mark.parametrize("question", [
    {"book": BookState(pnl_today=-2_499.99)}, {"book": BookState(open_positions=4)}, {"book": BookState(orders_today=57)},
    {"book": BookState({"GOOG": 5_050.0})}, {"book": BookState({"SPX": 20_050.0})}, {"limits": Limits(minutes_before_expiry=179)},
    {"quote": QUOTE._replace(ts=nanoseconds(NOW - timedelta(seconds=300)))}, {"now": SIGNAL.expires_at - timedelta(seconds=1)},
])
def test_exactly_at_a_limit_is_allowed(question):
    assert isinstance(ask(**question), RiskApproved)


def test_limits_are_numbers_from_zero_up():
    for bad in (-1.0, nan, inf):
        with pytest.raises(ValueError, match="max_book_notional"):
            Limits(max_book_notional=bad)


def test_a_zero_limit_stops_everything():
    assert refused(limits=Limits(max_daily_loss=0.0))[0] is Reason.MAX_DAILY_LOSS
    assert refused(limits=Limits(order_notional=0.0))[0] is Reason.BELOW_ONE_CONTRACT


def test_the_book_state_does_not_follow_its_source():
    source = {"GOOG": 1.0}
    state = BookState(source)
    source["GOOG"] = 9e9
    assert state.notional == 1.0


def test_relative_spread():
    assert relative_spread(Quote(0, 1.0, 1.2, 1, 1)) == pytest.approx(0.2 / 1.1)


def test_an_exit_is_approved_whatever_the_limits():
    answer = approve_exit(Position(GOOG, 3, 1.5, 0.0, 1.95), "sig:1f", CLOSE, Reason.TOO_CLOSE_TO_EXPIRY)
    assert answer.checks == {"held": 3.0, "contracts": 3.0, "reason:too_close_to_expiry": 1.0}
    assert [t.role for t in answer.tickets] == [OrderRole.EXIT]
    assert entry_id(answer) is None


def test_an_exit_of_nothing_is_a_defect():
    with pytest.raises(ValueError, match="cannot close"):
        approve_exit(Position(GOOG, 0, 0.0, 0.0, 0.0), "sig:1f", NOW, "manual")


@pytest.mark.parametrize("changes", [{"stop_price": 1.5}, {"stop_price": 2.0}, {"target_price": 1.5}, {"target_price": 1.0}])
def test_a_proposal_whose_exits_are_on_one_side_is_refused(changes):
    reason, detail = refused(signal=proposing(**changes))
    assert reason is Reason.INVALID_PROPOSAL and "on either side" in detail
