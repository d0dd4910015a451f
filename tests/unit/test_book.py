"""Books as rectangles, imbalance, microprice and order flow: against loops, and where there is nothing to say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.book import (
    Books,
    BookReason,
    bin_edges,
    book_imbalance,
    book_reason,
    book_reasons,
    books_of,
    flow_by_bin,
    order_flow,
    price_impact,
    quote_flow,
    touch_of,
)
from quanticity.core.reasons import Reason
from quanticity.market.tape import Depth, Quotes, empty

NAN = np.nan


def quotes(bid, bid_size, ask, ask_size, index=None, ts=None):
    n = len(bid)
    return Quotes(np.arange(n) if ts is None else np.array(ts), np.zeros(n, np.int64) if index is None else np.array(index),
                  *(np.array(c, float) for c in (bid, ask, bid_size, ask_size)))


def books(bid, bid_size, ask, ask_size):
    return Books(np.arange(len(bid)), *(np.array(c, float) for c in (bid, bid_size, ask, ask_size)))


def test_every_moment_is_a_book_also_two_of_one_time():
    depth = Depth(np.array([5, 5, 5, 5, 9]), np.array([0, 1, 0, 1, 0]), np.array([1.0, 0.9, 1.1, 1.0, 1.2]), np.array([1.0, 2, 3, 4, 5]),
                  np.array([1.5, NAN, 1.5, 1.6, 1.5]), np.array([6.0, 0, 7, 8, 9]))
    found = books_of(depth, 2)
    assert found.ts.tolist() == [5, 5, 9]
    assert found.bid_size.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]]
    assert found.ask_size.tolist() == [[6.0, 0.0], [7.0, 8.0], [9.0, 0.0]]
    assert np.isnan(found.ask[0, 1]) and np.isnan(found.bid[2, 1])
    assert books_of(depth, 1).bid.tolist() == [[1.0], [1.1], [1.2]]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([0.0, 0.5, 3.0]))
def test_imbalance_against_a_loop(seed, levels, decay):
    rng = np.random.default_rng(seed)
    shape = (20, 6)
    bid = 100 - np.cumsum(rng.integers(1, 4, shape), axis=1) * 0.01
    ask = 100 + np.cumsum(rng.integers(0, 4, shape), axis=1) * 0.01
    b, a = rng.integers(0, 5, shape) * 100.0, rng.integers(0, 5, shape) * 100.0
    found = book_imbalance(books(bid, b, ask, a), levels, decay)
    for row in range(20):
        weights = [float(np.exp(-decay * k)) for k in range(levels)]
        top = sum(w * (b[row, k] - a[row, k]) for k, w in enumerate(weights))
        bottom = sum(w * (b[row, k] + a[row, k]) for k, w in enumerate(weights))
        if b[row, 0] + a[row, 0] == 0:
            assert found.reason[row] == BookReason.ZERO_SIZE and np.isnan(found.imbalance[row]) and np.isnan(found.microprice[row])
        else:
            assert found.imbalance[row] == pytest.approx(top / bottom) and -1 - 1e-12 <= found.imbalance[row] <= 1 + 1e-12
            micro = (bid[row, 0] * a[row, 0] + ask[row, 0] * b[row, 0]) / (a[row, 0] + b[row, 0])
            assert found.microprice[row] == pytest.approx(micro) and bid[row, 0] - 1e-9 <= micro <= ask[row, 0] + 1e-9


def test_no_number_without_a_two_sided_book():
    odd = touch_of(quotes([NAN, 1, NAN, 1.2, 1, 1], [0, 1, 0, 1, 0, 5], [1.1, NAN, NAN, 1.1, 1.1, 1.0], [1, 0, 0, 1, 0, 5]))
    assert [book_reason(c) for c in book_reasons(odd)] == [
        Reason.NO_BID, Reason.NO_ASK, Reason.EMPTY_QUOTE, Reason.CROSSED_QUOTE, Reason.ZERO_SIZE, None]
    found = book_imbalance(odd)
    for values in (found.imbalance, found.microprice, found.lean):
        assert np.isfinite(values).tolist() == (found.reason == 0).tolist()
    assert found.lean[5] == 0.0 and found.microprice[5] == 1.0  # locked


def one_event(before, after):
    """Cont, Kukanov and Stoikov, one update, in words."""
    (pb, qb, pa, qa), (nb, mb, na, ma) = before, after
    flow = (mb if nb > pb else mb - qb if nb == pb else -qb)
    return flow - (ma if na < pa else ma - qa if na == pa else -qa)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 5), st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=60))
def test_order_flow_against_a_loop(rows):
    bid, bid_size, width, ask_size, index = (np.array(c) for c in zip(*rows, strict=True))
    tape = quotes(bid, bid_size, bid + width, ask_size, index)
    found, last = quote_flow(tape), {}
    for row, i in enumerate(index.tolist()):
        now = tuple(float(c[row]) for c in (bid, bid_size, bid + width, ask_size))
        if i in last:
            assert found[row] == one_event(last[i], now)
        else:
            assert np.isnan(found[row])
        last[i] = now


def test_a_side_that_vanishes_and_comes_back():
    tape = quotes([1.0, NAN, NAN, 1.0], [5, 0, 0, 7], [2.0, 2, NAN, NAN], [3, 3, 0, 0])
    assert quote_flow(tape)[1:].tolist() == [-5.0, 3.0, 7.0]


def test_deep_flow_has_a_column_a_level():
    bid = np.array([[1.0, 0.9], [1.0, 0.9], [1.1, 1.0]])
    ask = np.array([[1.2, 1.3], [1.2, 1.3], [1.2, 1.3]])
    found = order_flow(books(bid, [[5, 5], [8, 4], [2, 8]], ask, [[1, 1], [1, 1], [4, 1]]))
    assert np.isnan(found[0]).all() and found[1].tolist() == [3.0, -1.0] and found[2].tolist() == [2.0 - 3.0, 8.0]


def test_bins_take_what_is_known_at_their_end():
    tape = touch_of(quotes([1, 1, 1, 1], [1, 2, 4, 9], [2, 2, 2, 2], [1, 1, 1, 1], ts=[10, 20, 30, 40]))
    found = flow_by_bin(tape, np.array([0, 10, 20, 35, 50, 60]))
    assert np.isnan(found.flow[0]) and found.flow[1:].tolist() == [1.0, 2.0, 5.0, 0.0]
    assert found.events.tolist() == [1, 1, 1, 1, 0]
    assert np.isnan(found.depth[4]) and np.isnan(found.relative[4]) and found.relative[3] == 1.0
    assert np.isnan(found.change[0]) and found.change[1:].tolist() == [0.0] * 4
    total = flow_by_bin(tape, np.array([0, 60])).flow[0]
    assert total == np.nansum(found.flow)  # flow adds up over any partition


def test_bins_know_the_midpoint_at_both_ends():
    tape = touch_of(quotes([1, 3, NAN], [1, 1, 0], [2, 4, 4], [1, 1, 1], ts=[10, 20, 30]))
    assert flow_by_bin(tape, np.array([10, 25, 29, 40])).change[:2].tolist() == [2.0, 0.0]
    assert np.isnan(flow_by_bin(tape, np.array([29, 40])).change[0])


@pytest.mark.parametrize("edges", [[1], [1, 1], [2, 1]])
def test_edges_have_to_rise(edges):
    with pytest.raises(ValueError, match="rise"):
        flow_by_bin(touch_of(empty(Quotes)), np.array(edges))


def test_edges_of_a_session():
    assert bin_edges(0, 25 * 10**8, 1.0).tolist() == [0, 10**9, 2 * 10**9, 25 * 10**8]
    for first, last, seconds in ((0, 0, 1.0), (0, 5, 0.0), (0, 5, -1.0), (0, 5, NAN)):
        with pytest.raises(ValueError, match="bins of"):
            bin_edges(first, last, seconds)


def test_impact_is_a_least_squares_fit():
    rng = np.random.default_rng(8)
    x = rng.normal(0, 100, 400)
    y = 0.002 * x + 0.01 + rng.normal(0, 0.1, 400)
    x[5], y[6] = NAN, NAN
    found = price_impact(x, y)
    known = np.isfinite(x) & np.isfinite(y)
    slope, intercept = np.polyfit(x[known], y[known], 1)
    assert (found.slope, found.intercept, found.bins) == (pytest.approx(slope), pytest.approx(intercept), 398)
    assert found.r2 == pytest.approx(np.corrcoef(x[known], y[known])[0, 1] ** 2)
    assert price_impact(x[:10], y[:10]).reason is Reason.TOO_LITTLE_HISTORY
    assert price_impact(np.full(50, 3.3), y[:50]).reason is Reason.CONSTANT_HISTORY
    assert price_impact(x[10:60], np.zeros(50)).reason is Reason.CONSTANT_HISTORY


def test_nothing_at_all():
    none = books_of(empty(Depth), 3)
    assert len(none) == len(touch_of(empty(Quotes))) == len(quote_flow(empty(Quotes))) == 0
    assert book_imbalance(none).imbalance.shape == (0,) and order_flow(none).shape == (0, 3)
    found = flow_by_bin(none, np.array([0, 1, 2]))
    assert np.isnan(found.flow).all() and np.isnan(found.change).all() and found.events.tolist() == [0, 0]


def test_what_is_refused():
    with pytest.raises(ValueError, match="several"):
        touch_of(quotes([1, 1], [1, 1], [2, 2], [1, 1], index=[0, 1]))
    with pytest.raises(ValueError, match="levels = 3"):
        book_imbalance(touch_of(quotes([1], [1], [2], [1])), 3)
    with pytest.raises(ValueError, match="decay"):
        book_imbalance(touch_of(quotes([1], [1], [2], [1])), 1, decay=-1.0)
    with pytest.raises(ValueError, match="levels = 0"):
        books_of(empty(Depth), 0)


def test_a_recorded_day_order_flow_moves_the_price(recorded):
    from datetime import date

    from quanticity.core.clock import session_hours
    from quanticity.feeds.lean_ticks import load_equity_ticks
    from quanticity.market.chain import nanoseconds

    day = date(2013, 10, 7)
    tape, hours = touch_of(load_equity_ticks(recorded, "IBM", day).quotes), session_hours(day)
    bins = flow_by_bin(tape, bin_edges(nanoseconds(hours.opens), nanoseconds(hours.closes), 10.0))
    now, ahead = price_impact(bins.flow, bins.change), price_impact(bins.flow[:-1], bins.change[1:])
    assert now.r2 > 0.4 and now.slope > 4 * now.error  # Cont, Kukanov and Stoikov: about 65%
    assert ahead.r2 < 0.02  # it explains what moved the price, it does not predict
