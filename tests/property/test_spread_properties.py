"""What must hold of spreads for any legs, quotes and ends: the money adds up, units are whole, and nothing loses more than was put at risk."""

from dataclasses import replace
from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.types import Contract, Fill, OptionLeg, OrderRole, OrderType, Right, Settlement, Side, Signal, SpreadProposal, SpreadTicket
from quanticity.execution.broker import ReplayBroker, SpreadFill
from quanticity.execution.positions import PositionBook, book_from_plain, book_plain, delivered_shares
from quanticity.execution.shares import ShareLot
from quanticity.jobs.working import Working, note_end, note_fill
from quanticity.market.chain import nanoseconds
from quanticity.market.commissions import SCHEDULES
from quanticity.market.matching import Filled, MatchingEngine, Quote
from quanticity.risk.payoff import maximum_loss, payoff, undefined_risk, worst_payoff

NOW, UNTIL = datetime(2016, 1, 12, 15, tzinfo=UTC), datetime(2016, 1, 15, 21, tzinfo=UTC)
T0, MINUTE = nanoseconds(NOW), 60_000_000_000
STRIKES = [90.0, 92.5, 95.0, 97.5, 100.0, 102.5, 105.0, 110.0]


def option(strike: float, right: Right, settlement: Settlement = Settlement.PHYSICAL) -> Contract:
    return Contract("XYZ", date(2016, 1, 15), strike, right, UNTIL, settlement=settlement)


words = st.tuples(st.sampled_from(STRIKES), st.sampled_from(list(Right)), st.sampled_from(list(Side)))
legs_ = st.lists(words, min_size=2, max_size=4, unique_by=lambda w: w[:2]).map(lambda ws: tuple(OptionLeg(option(k, r), s) for k, r, s in ws))
covered = legs_.filter(lambda legs: undefined_risk(legs) is None)
cents = st.integers(1, 900).map(lambda n: n / 100)
settlements = st.sampled_from(list(Settlement))


@settings(max_examples=150, deadline=None)
@given(covered, st.integers(0, 30_000), st.integers(-500, 900))
def test_no_price_at_expiry_costs_more_than_the_maximum_loss(legs, spot, limit):
    p = SpreadProposal("p", "s", "XYZ", NOW, legs[0].contract, Side.BUY, limit / 100, 1e3, -1e3, UNTIL, 0.7, {}, (), legs=legs)
    assert limit / 100 - payoff(legs, spot / 100) <= maximum_loss(p) + 1e-9
    assert worst_payoff(legs) <= payoff(legs, spot / 100) + 1e-9


@settings(max_examples=150, deadline=None)
@given(covered, st.lists(cents, min_size=4, max_size=4), st.integers(1, 5), st.integers(8_000, 12_500), st.integers(8_000, 12_500), settlements, st.data())
def test_cash_and_value_are_the_sum_of_the_legs_and_the_loss_is_bounded(legs, prices, units, spot, later, settlement, data):
    """Entered, perhaps partly left, settled in cash or shares, perhaps some legs early; shares marked at another price."""
    spot, later = spot / 100, later / 100
    legs = tuple(OptionLeg(replace(x.contract, settlement=settlement), x.side) for x in legs)
    p = SpreadProposal("p", "s", "XYZ", NOW, legs[0].contract, Side.BUY, 1.0, 1e3, -1e3, UNTIL, 0.7, {}, (), legs=legs)
    book, working, paid = PositionBook(), Working(Signal("sig:1", "ab", NOW, NOW, p), units), 0.0
    for n, (x, price) in enumerate(zip(legs, prices, strict=False)):
        f = Fill(f"f{n}", "sig:1/entry", "sig:1", x.contract, x.side, OrderRole.ENTRY, units, price, 0.65, NOW)
        book.apply(f)
        note_fill(working, f)
        paid += x.side.sign * price
    assert working.held == units and not working.broken
    owed = 0
    for x in data.draw(st.permutations(legs)):
        inside = payoff([OptionLeg(x.contract, Side.BUY)], spot) >= 0.01
        early = data.draw(st.booleans()) and inside
        ended = book.exercise(x.contract, spot, NOW) if early else book.settle(x.contract, spot, UNTIL)
        held = note_end(working, x.contract, ended.intrinsic)
        assert held == ended.quantity and ended.shares == delivered_shares(x.contract, held, ended.intrinsic)
        if ended.shares:
            book.shares.deliver(ShareLot(f"{ended.id}/sig:1", "XYZ", "sig:1", ended.shares, spot, ended.ts, ended.id))
        owed += ended.shares
    totals = book.totals((), later)
    by_hand = units * 100 * (payoff(legs, spot) - paid) - 0.65 * len(legs) + owed * (later - spot)
    assert abs(totals.net - by_hand) < 1e-4 + units * 100 * 0.01 * len(legs)  # a physical option under a cent in the money is not exercised
    assert abs(totals.net - (totals.cash + totals.value)) < 1e-6 and working.over
    assert abs(working.cash + owed * (later - spot) - totals.net) < 1e-4
    at_expiry = book.totals((), spot).net
    assert at_expiry >= -(paid - worst_payoff(legs)) * units * 100 - 0.65 * len(legs) - units * 100 * 0.01 * len(legs) - 1e-4
    again = book_from_plain(book_plain(book))
    assert again.totals((), later) == totals


sizes = st.integers(0, 6)
moments = st.lists(st.tuples(st.booleans(), st.lists(st.tuples(cents, sizes, sizes, st.booleans()), min_size=4, max_size=4)), min_size=1, max_size=6)


@settings(max_examples=120, deadline=None)
@given(legs_, moments, st.integers(1, 9), st.integers(-300, 300))
def test_units_are_whole_and_nobody_takes_more_than_shows(legs, minutes, wanted, limit):
    """Two spreads that share legs, bought and sold, over minutes in which quotes come, stay or are gone."""
    engine, taken, last = MatchingEngine(), {}, {}
    engine.submit(SpreadTicket("in", "s", legs[0].contract, Side.BUY, OrderType.LIMIT, wanted, OrderRole.ENTRY, limit_price=limit / 100, legs=legs), T0)
    engine.submit(SpreadTicket("out", "t", legs[0].contract, Side.SELL, OrderType.MARKET, wanted, OrderRole.ENTRY, legs=legs), T0)
    filled = {"in": 0, "out": 0}
    for k, (fresh, rows) in enumerate(minutes, 1):
        for x, (bid, bid_size, ask_size, gone) in zip(legs, rows, strict=False):
            if fresh or x.contract not in last:
                last[x.contract] = None if gone else Quote(T0 + k * MINUTE, bid, round(bid + 0.05, 2), bid_size, ask_size)
                taken.pop((x.contract, Side.BUY), None), taken.pop((x.contract, Side.SELL), None)
        for event in engine.step(T0 + k * MINUTE, last.get):
            assert isinstance(event, Filled) and len(event.leg_prices) == len(legs)
            filled[event.order_id] += event.quantity
            net = 0.0
            for x, price in zip(legs, event.leg_prices, strict=True):
                side = x.side if event.order_id == "in" else Side.SELL if x.side is Side.BUY else Side.BUY
                quote = last[x.contract]
                assert price == (quote.ask if side is Side.BUY else quote.bid)
                taken[x.contract, side] = taken.get((x.contract, side), 0) + event.quantity
                assert taken[x.contract, side] <= (quote.ask_size if side is Side.BUY else quote.bid_size)
                net += x.side.sign * price
            assert abs(net - event.price) < 1e-9 and (event.order_id == "out" or event.price <= limit / 100 + 1e-9)
    assert all(n <= wanted for n in filled.values())


@settings(max_examples=60, deadline=None)
@given(covered, moments, st.integers(1, 9))
def test_the_books_of_account_and_signal_agree_fill_by_fill(legs, minutes, wanted):
    broker = ReplayBroker(MatchingEngine(), SCHEDULES[0])
    p = SpreadProposal("p", "s", "XYZ", NOW, legs[0].contract, Side.BUY, 50.0, 60.0, -60.0, UNTIL, 0.7, {}, (), legs=legs)
    working, cash, book = Working(Signal("sig:1", "ab", NOW, NOW, p), wanted), 0.0, PositionBook()
    ticket = SpreadTicket("sig:1/entry", "sig:1", legs[0].contract, Side.BUY, OrderType.MARKET, wanted, OrderRole.ENTRY, legs=legs)
    from quanticity.core.types import RiskApproved

    broker.submit(RiskApproved("sig:1", NOW, (ticket,), {}))
    for k, (_, rows) in enumerate(minutes, 1):
        shown = {x.contract: Quote(T0 + k * MINUTE, bid, round(bid + 0.05, 2), a, b) for x, (bid, a, b, gone) in zip(legs, rows, strict=False) if not gone}
        broker.on_step(T0 + k * MINUTE, shown.get)
        for event in broker.events():
            assert isinstance(event, SpreadFill) and len({f.quantity for f in event.fills}) == 1
            for f in event.fills:
                note_fill(working, f)
                book.apply(f)
                cash += f.cash
        assert not working.broken and working.held == working.bought <= wanted
    assert {q.contract.occ: q.quantity for q in book.open_positions()} == {occ: n for occ, n in working.contracts.items() if n}
    assert abs(book.totals(book.mark(lambda c: Quote(T0, 1.0, 1.0, 9, 9), T0)).cash - cash) < 1e-4 and abs(working.cash - cash) < 1e-4
