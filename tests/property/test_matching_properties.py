"""What must hold of the matching engine and of positions for any orders, quotes, cancels and forced exits."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import isnan, nan

from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.types import Contract, Fill, OrderRole, OrderTicket, OrderType, Position, Right, Side
from quanticity.execution.positions import PositionBook
from quanticity.market.chain import nanoseconds, timestamp
from quanticity.market.commissions import SCHEDULES, commission, order_commission
from quanticity.market.matching import Cancelled, Filled, MatchingEngine, Quote
from quanticity.risk.brackets import exit_ticket

CLOSE = datetime(2015, 12, 24, 18, tzinfo=UTC)
CONTRACTS = [Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, CLOSE),
             Contract("GOOG", date(2015, 12, 24), 745.0, Right.PUT, CLOSE - timedelta(minutes=5))]
T0, MINUTE = nanoseconds(CLOSE - timedelta(minutes=16)), 60_000_000_000

prices = st.integers(1, 40).map(lambda nickels: nickels * 0.05)
sides = st.sampled_from(list(Side))


# a minute of one contract: how the middle moves (nickels), the spread (below 0: crossed), sizes, and whether there is news
moves = st.tuples(st.integers(-4, 4), st.sampled_from([1, 1, 1, 1, 2, 3, 0, -1]), st.integers(0, 6), st.integers(0, 6),
                  st.sampled_from(["both", "both", "both", "both", "both", "none", "none", "bid", "ask"]))


def walk(rows):
    """Quotes (bid, ask, bid size, ask size) of a random walk; None where a minute brings no update."""
    middle, out = 15, []
    for move, spread, bid_size, ask_size, news in rows:
        middle = max(middle + move, 3)
        bid, ask = (middle - 1) * 0.05, (middle - 1 + spread) * 0.05
        out.append(None if news == "none" else (nan if news == "ask" else bid, nan if news == "bid" else ask,
                                                float(bid_size), float(ask_size)))
    return out


@st.composite
def brackets(draw, index):
    contract, quantity, middle = draw(st.sampled_from(CONTRACTS)), draw(st.integers(2, 9)), draw(st.integers(12, 18))
    up, down = middle * 0.05 + draw(st.integers(1, 2)) * 0.05, middle * 0.05 - draw(st.integers(1, 6)) * 0.05
    common = dict(signal_id=f"s{index}", contract=contract, quantity=quantity)
    trail = draw(st.sampled_from([None, None, None, 0.10, 0.25]))
    till = draw(st.one_of(st.none(), st.integers(4, 16).map(lambda m: CLOSE - timedelta(minutes=16 - m))))
    entry = OrderTicket(f"s{index}/entry", side=Side.BUY, type=OrderType.LIMIT, role=OrderRole.ENTRY, limit_price=middle * 0.05,
                        good_till=till, **common)
    exits = dict(side=Side.SELL, parent_id=entry.id, oca_group=f"s{index}/exits", **common)
    return (entry, OrderTicket(f"s{index}/target", type=OrderType.LIMIT, role=OrderRole.TARGET, limit_price=up, **exits),
            OrderTicket(f"s{index}/stop", type=OrderType.STOP if trail is None else OrderType.TRAIL, role=OrderRole.STOP, stop_price=down,
                        trail_amount=trail, **exits))


@st.composite
def sessions(draw):
    """Brackets with their minute, quotes by minute and contract (None: no update), cancels, forced exits, and a latency."""
    plans = [(draw(st.integers(0, 6)), draw(brackets(i))) for i in range(draw(st.integers(1, 4)))]
    tape = [list(row) for row in zip(*(walk(draw(st.lists(moves, min_size=18, max_size=18))) for _ in CONTRACTS), strict=True)]
    order_ids = [t.id for _, tickets in plans for t in tickets]
    cancels = draw(st.lists(st.tuples(st.integers(0, 15), st.sampled_from(order_ids)), max_size=3))
    exits = draw(st.lists(st.tuples(st.integers(3, 15), st.sampled_from([f"s{i}" for i in range(len(plans))])), max_size=2))
    return plans, tape, cancels, exits, draw(st.sampled_from([1, 1, 1, 2, 3]))


def run(session):
    """Play a session; returns all events by minute, the quotes that showed, all tickets, and when each was sent."""
    plans, tape, cancels, exits, latency = session
    engine, shown, log, shows, tickets, sent = MatchingEngine(latency), {}, [], [], {}, {}
    held = defaultdict(int)

    def send(ticket, minute):
        engine.submit(ticket, T0 + minute * MINUTE)
        tickets.setdefault(ticket.id, ticket)
        sent.setdefault(ticket.id, minute)

    for minute, row in enumerate(tape):
        now = T0 + minute * MINUTE
        for contract, quote in zip(CONTRACTS, row, strict=True):
            if quote is not None:
                shown[contract.occ] = Quote(now, *quote)
        events = engine.step(now, lambda contract: shown.get(contract.occ))
        log.append((minute, now, events))
        shows.append(dict(shown))
        for e in events:
            if isinstance(e, Filled):
                held[tickets[e.order_id].signal_id] += tickets[e.order_id].side.sign * e.quantity
        for at, bracket in plans:
            if at == minute:
                for ticket in bracket:
                    send(ticket, minute)
        for at, order_id in cancels:
            if at == minute:
                engine.cancel(order_id, now)
        for at, signal in exits:
            if at == minute and held[signal] > 0 and latency == 1 and f"{signal}/exit" not in sent:
                engine.cancel(f"{signal}/entry", now)
                send(exit_ticket(Position(tickets[f"{signal}/entry"].contract, held[signal], 1.0, 0.0, 0.0), signal), minute)
    return log, shows, tickets, sent, engine


@settings(max_examples=250, deadline=None)
@given(sessions())
def test_no_order_gets_what_was_not_there(session):
    log, shows, tickets, sent, engine = run(session)
    filled, bought, taken, ended = defaultdict(int), defaultdict(int), defaultdict(int), set()
    for (minute, now, events), shown in zip(log, shows, strict=True):
        for e in events:
            assert e.order_id not in ended, "nothing happens to an order after its end"
            if isinstance(e, Cancelled):
                assert e.filled == filled[e.order_id]
                ended.add(e.order_id)
            if not isinstance(e, Filled):
                continue
            ticket = tickets[e.order_id]
            quote = shown[ticket.contract.occ]
            buying = ticket.side is Side.BUY
            assert e.quantity > 0 and e.price == (quote.ask if buying else quote.bid), "a fill is at the quote"
            assert quote.bid <= quote.ask or isnan(quote.bid) or isnan(quote.ask), "never against a crossed quote"
            if ticket.type is OrderType.LIMIT:
                assert ticket.side.sign * (ticket.limit_price - e.price) >= -1e-9, "a limit is kept"
            assert now < nanoseconds(ticket.contract.expires_at), "nothing trades at or after expiry"
            assert ticket.good_till is None or timestamp(now) < ticket.good_till
            assert minute >= sent[e.order_id] + session[4], "the latency has passed"
            taken[ticket.contract.occ, ticket.side, quote.ts] += e.quantity
            assert taken[ticket.contract.occ, ticket.side, quote.ts] <= (quote.ask_size if buying else quote.bid_size)
            filled[e.order_id] += e.quantity
            assert filled[e.order_id] + e.remaining <= ticket.quantity
            bought[ticket.signal_id] += ticket.side.sign * e.quantity
            assert bought[ticket.signal_id] >= 0, "a bracket never sells more than it bought"
            if e.remaining == 0:
                ended.add(e.order_id)
    assert {o.ticket.id for o in engine.open_orders()} == set(tickets) - ended


@settings(max_examples=40, deadline=None)
@given(sessions())
def test_a_session_plays_the_same_twice(session):
    assert run(session)[0] == run(session)[0]


@settings(max_examples=40, deadline=None)
@given(sessions(), st.integers(2, 3))
def test_steps_in_between_without_news_only_help_the_latency(session, pieces):
    """Sizes and prices bind per quote, so splitting minutes into more steps never fills more than what showed."""
    plans, tape, cancels, exits, latency = session
    finer = [row if k == 0 else [None] * len(CONTRACTS) for row in tape for k in range(pieces)]
    log, shows, tickets, *_ = run(([(at * pieces, b) for at, b in plans], finer, [], [], latency))
    taken = defaultdict(int)
    for (_, _, events), shown in zip(log, shows, strict=True):
        for e in events:
            if isinstance(e, Filled):
                ticket = tickets[e.order_id]
                quote = shown[ticket.contract.occ]
                taken[ticket.contract.occ, ticket.side, quote.ts] += e.quantity
                assert taken[ticket.contract.occ, ticket.side, quote.ts] <= (quote.ask_size if ticket.side is Side.BUY else quote.bid_size)


trades = st.tuples(st.integers(0, 1), sides, st.integers(1, 50), st.integers(0, 100_000).map(lambda n: n / 1_000),
                   st.integers(0, 50_000).map(lambda n: n / 10_000))


@settings(max_examples=150, deadline=None)
@given(st.lists(trades, min_size=1, max_size=30), prices, prices)
def test_profit_is_cash_plus_what_is_held(rows, first, second):
    book, cash = PositionBook(), 0.0
    at = CLOSE - timedelta(hours=1)
    for n, (which, side, quantity, price, charge) in enumerate(rows):
        fill = Fill(f"o#{n}", "o", "s", CONTRACTS[which], side, OrderRole.ENTRY, quantity, price, charge, at)
        cash += fill.cash
        book.apply(fill)
        book.apply(fill)  # what comes twice counts once
    now = nanoseconds(at)
    shown = Quote(now, min(first, second), max(first, second), 1, 1)
    totals = book.totals(book.mark(lambda contract: shown, now))
    assert abs(totals.realized + totals.unrealized - totals.commission - (cash + totals.value)) < 3e-6  # three roundings
    assert abs(totals.net - (totals.cash + totals.value)) <= 1e-6 and abs(totals.cash - cash) <= 1e-6
    for contract in CONTRACTS:
        book.settle(contract, 746.0, CLOSE)
    assert abs(book.totals().net - book.totals().cash) <= 1e-6
    assert book.open_positions() == []


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SCHEDULES), sides, st.lists(st.tuples(st.integers(1, 3_000), prices), min_size=1, max_size=12), st.integers(0, 120_000))
def test_an_orders_fills_pay_what_the_order_pays(schedule, side, fills, month):
    parts = [order_commission(schedule, side, fills[:k], *fills[k], 100, month) for k in range(len(fills))]
    assert all(p.broker >= 0 and p.third_party >= 0 for p in parts)
    same_price = [(n, fills[0][1]) for n, _ in fills]
    pieces = [order_commission(schedule, side, same_price[:k], *same_price[k], 100, month) for k in range(len(fills))]
    whole = commission(schedule, side, sum(n for n, _ in fills), fills[0][1], 100, month)
    assert abs(sum(p.total for p in pieces) - whole.total) < 1e-6
    assert abs(sum(p.broker for p in pieces) - whole.broker) < 1e-6
    assert whole.broker >= schedule.minimum


def test_the_session_strategy_reaches_partial_fills_and_oca_cancels():
    """The properties above would be empty if their sessions never traded: this one does, by construction."""
    entry, target, stop = (OrderTicket(f"s0/{role.value}", "s0", CONTRACTS[0], side, kind, 5, role, **more) for role, side, kind, more in (
        (OrderRole.ENTRY, Side.BUY, OrderType.LIMIT, {"limit_price": 1.0}),
        (OrderRole.TARGET, Side.SELL, OrderType.LIMIT, {"limit_price": 1.5, "parent_id": "s0/entry", "oca_group": "s0/exits"}),
        (OrderRole.STOP, Side.SELL, OrderType.STOP, {"stop_price": 0.5, "parent_id": "s0/entry", "oca_group": "s0/exits"})))
    tape = [[(0.9, 1.0, 3.0, 3.0), None]] * 3 + [[(1.5, 1.6, 2.0, 2.0), None]] * 4
    log, *_ = run(([(0, (entry, target, replace(stop)))], tape, [], [], 1))
    kinds = [(type(e).__name__, e.order_id) for _, _, events in log for e in events]
    assert kinds.count(("Filled", "s0/entry")) == 2 and kinds.count(("Filled", "s0/target")) == 3
    assert kinds[-1] == ("Cancelled", "s0/stop")
