"""What must hold whatever the tape: order of contracts, units of price and size, sides swapped, partitions of time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.book import Books, bin_edges, book_imbalance, flow_by_bin, order_flow, price_impact, quote_flow
from quanticity.analytics.closing_imbalance import closing_imbalance, closing_rules, closing_times
from quanticity.analytics.trade_signs import SignRule, sign_trades
from quanticity.analytics.unusual_activity import contract_activity, find_sweeps, premium_flow
from quanticity.analytics.vpin import bulk_buckets, signed_buckets, vpin
from quanticity.market.tape import Imbalances, Quotes, Trades

SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.sampled_from([0.25, 4.0, 1024.0])  # powers of two: exact in float64
SECOND = 10**9


def options(seed, contracts=4, n=300):
    """Trades and quotes of some contracts, with prices on a grid of 1/64 dollar so that scaling by powers of two is exact."""
    rng = np.random.default_rng(seed)
    ts = np.sort(rng.integers(0, 60 * SECOND, n)) // 10**6 * 10**6
    index = rng.integers(0, contracts, n)
    bid = 64 + np.cumsum(rng.integers(-1, 2, n))
    quotes = Quotes(ts, index, bid / 64, (bid + rng.integers(1, 4, n)) / 64, rng.integers(1, 50, n) * 1.0, rng.integers(1, 50, n) * 1.0)
    at = np.sort(rng.integers(0, 60 * SECOND, n)) // 10**6 * 10**6
    trades = Trades(at, rng.integers(0, contracts, n), (64 + rng.integers(-12, 13, n)) / 64, rng.integers(0, 90, n) * 1.0)
    return trades, quotes


def renumbered(tape, names):
    return type(tape)(**{f: names[getattr(tape, f)] if f == "index" else getattr(tape, f) for f in tape.__dataclass_fields__})


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_the_numbers_of_contracts_do_not_matter(seed):
    trades, quotes = options(seed)
    names = np.random.default_rng(seed + 1).permutation(4)
    other_trades, other_quotes = renumbered(trades, names), renumbered(quotes, names)
    calls, multiplier = np.array([True, False, True, False]), np.array([100.0, 100, 10, 1])
    back = np.argsort(names)
    for rule in SignRule:
        one, two = sign_trades(trades, quotes, rule), sign_trades(other_trades, other_quotes, rule)
        assert one.sign.tolist() == two.sign.tolist() and one.confidence.tolist() == two.confidence.tolist()
        assert premium_flow(one, calls, multiplier) == premium_flow(two, calls[back], multiplier[back])
    assert np.array_equal(quote_flow(quotes), quote_flow(other_quotes), equal_nan=True)
    one, two = find_sweeps(one, multiplier, 2.0, 2), find_sweeps(two, multiplier[back], 2.0, 2)
    assert sorted(zip(names[one.index], one.end, one.size, one.premium, strict=True)) == sorted(zip(two.index, two.end, two.size, two.premium, strict=True))


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_permuted_contracts_have_their_own_scores(seed):
    rng = np.random.default_rng(seed)
    n = 40
    columns = rng.integers(0, 900, n) * 1.0, rng.integers(0, 3, n) * 100.0, rng.integers(0, 2, n), rng.normal(0, 1.5, n)
    order = rng.permutation(n)
    one, two = contract_activity(*columns), contract_activity(*(c[order] for c in columns))
    assert np.allclose(one.score[order], two.score, rtol=0, atol=1e-9, equal_nan=True) and one.peers[order].tolist() == two.peers.tolist()
    assert np.array_equal(one.ratio[order], two.ratio, equal_nan=True)


@settings(deadline=None, max_examples=30)
@given(SEEDS, SCALES, SCALES)
def test_units_of_price_and_size(seed, price, size):
    trades, quotes = options(seed)
    other_trades = Trades(trades.ts, trades.index, trades.price * price, trades.size * size)
    other_quotes = Quotes(quotes.ts, quotes.index, quotes.bid * price, quotes.ask * price, quotes.bid_size * size, quotes.ask_size * size)
    multiplier, calls = np.full(4, 100.0), np.ones(4, bool)
    one, two = sign_trades(trades, quotes), sign_trades(other_trades, other_quotes)
    assert one.sign.tolist() == two.sign.tolist()
    a, b = premium_flow(one, calls, multiplier), premium_flow(two, calls, multiplier)
    assert (b.gross, b.net, b.error) == pytest.approx(tuple(price * size * v for v in (a.gross, a.net, a.error)))
    assert np.array_equal(quote_flow(quotes) * size, quote_flow(other_quotes), equal_nan=True)
    x, y = find_sweeps(one, multiplier, 2.0, 2), find_sweeps(two, multiplier, 2.0, 2)
    assert x.end.tolist() == y.end.tolist() and np.allclose(x.premium * price * size, y.premium) and np.allclose(x.through, y.through, equal_nan=True)


@settings(deadline=None, max_examples=30)
@given(SEEDS, SCALES, SCALES)
def test_vpin_has_no_unit(seed, price, size):
    trades, _ = options(seed, 1)
    sign = np.random.default_rng(seed).choice([-1, 0, 1], len(trades)).astype(np.int8)
    volume = 150.0
    one, two = signed_buckets(trades.price, trades.size, sign, volume), signed_buckets(trades.price * price, trades.size * size, sign, volume * size)
    assert np.array_equal(one.imbalance * size, two.imbalance) and np.array_equal(vpin(one, 5), vpin(two, 5), equal_nan=True)
    one, two = (bulk_buckets(trades.price * p, trades.size * s, volume * s, window=20, least=5) for p, s in ((1.0, 1.0), (price, size)))
    assert np.array_equal(vpin(one, 5), vpin(two, 5), equal_nan=True)
    flipped = signed_buckets(trades.price, trades.size, -sign, volume)
    assert np.array_equal(vpin(flipped, 5), vpin(signed_buckets(trades.price, trades.size, sign, volume), 5), equal_nan=True)
    known = vpin(one, 5)[np.isfinite(vpin(one, 5))]
    assert ((known >= 0) & (known <= 1 + 1e-12)).all()


def ladder(seed, levels=4, n=120):
    rng = np.random.default_rng(seed)
    middle = 1_000 + np.cumsum(rng.integers(-1, 2, n))
    deep = np.cumsum(rng.integers(1, 3, (n, levels)), axis=1)
    sizes = rng.integers(0, 9, (2, n, levels)) * 1.0
    return Books(np.sort(rng.integers(0, 60 * SECOND, n)), (middle[:, None] - deep) / 64, sizes[0], (middle[:, None] + deep) / 64, sizes[1])


@settings(deadline=None, max_examples=30)
@given(SEEDS, SCALES, SCALES)
def test_books_in_other_units_and_in_the_mirror(seed, price, size):
    books = ladder(seed)
    other = Books(books.ts, books.bid * price, books.bid_size * size, books.ask * price, books.ask_size * size)
    one, two = book_imbalance(books, 3, 0.5), book_imbalance(other, 3, 0.5)
    assert np.array_equal(one.imbalance, two.imbalance, equal_nan=True) and np.allclose(one.microprice * price, two.microprice, rtol=1e-14, equal_nan=True)
    assert np.array_equal(order_flow(books) * size, order_flow(other), equal_nan=True)
    mirror = Books(books.ts, -books.ask, books.ask_size, -books.bid, books.bid_size)
    three = book_imbalance(mirror, 3, 0.5)
    assert np.allclose(one.imbalance, -three.imbalance, rtol=0, atol=1e-12, equal_nan=True) and np.allclose(one.microprice, -three.microprice, equal_nan=True)
    assert np.array_equal(order_flow(books), -order_flow(mirror), equal_nan=True)


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1, 30))
def test_flow_adds_up_over_any_partition(seed, seconds):
    books = ladder(seed)
    first, last = int(books.ts[0]), int(books.ts[-1])
    if last <= first:
        return
    parts, whole = flow_by_bin(books, bin_edges(first, last, seconds)), flow_by_bin(books, np.array([first, last]))
    assert np.nansum(parts.flow) == whole.flow[0] and parts.events.sum() == whole.events[0]
    assert parts.change.sum() == pytest.approx(whole.change[0], nan_ok=True)


@settings(deadline=None, max_examples=30)
@given(SEEDS, SCALES, SCALES)
def test_impact_scales_with_its_units(seed, price, size):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 50, 60)
    y = 0.001 * x + rng.normal(0, 0.05, 60)
    one, two = price_impact(x, y), price_impact(x * size, y * price)
    assert two.slope == pytest.approx(one.slope * price / size) and two.r2 == pytest.approx(one.r2) and two.error == pytest.approx(one.error * price / size)


@settings(deadline=None, max_examples=30)
@given(SEEDS, SCALES, SCALES)
def test_the_closing_imbalance_in_other_units_and_on_the_other_side(seed, price, size):
    from datetime import date

    from quanticity.core.clock import session_hours

    rng, day = np.random.default_rng(seed), date(2026, 3, 20)
    rules, hours = closing_rules("NYSE", day), session_hours(day)
    ts = closing_times(rules, hours).published + np.arange(0, 600, 5) * SECOND
    n = len(ts)
    x, paired, reference = rng.integers(-9, 10, n) * 100.0, rng.integers(0, 9, n) * 1000.0, rng.integers(6_000, 6_100, n) / 64
    indicative = reference + rng.integers(-5, 6, n) / 64
    one = closing_imbalance(Imbalances(ts, x, paired, reference, indicative), rules, hours, 1e6, 1e7)
    two = closing_imbalance(Imbalances(ts, x * size, paired * size, reference * price, indicative * price), rules, hours, 1e6 * size, 1e7 * size)
    for name in ("share", "to_paired", "to_close_volume", "to_day_volume", "pressure", "worked_off", "since_flip", "flips", "side"):
        assert np.allclose(getattr(one, name), getattr(two, name), rtol=1e-12, atol=1e-12, equal_nan=True), name
    assert np.allclose(one.trend * size, two.trend, rtol=1e-6, atol=1e-6 * size, equal_nan=True)
    other = closing_imbalance(Imbalances(ts, -x, paired, reference, indicative), rules, hours, 1e6, 1e7)
    for name in ("share", "notional", "trend"):
        assert np.allclose(getattr(one, name), -getattr(other, name), atol=1e-9, equal_nan=True), name
    assert one.flips.tolist() == other.flips.tolist()
