"""The door: what is bad is refused under one reason, what is good passes untouched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.reasons import Reason
from quanticity.market.quality import screen_quotes, screen_trades
from quanticity.market.tape import Quotes, Trades, empty

NAN, INF = float("nan"), float("inf")


def quotes(*rows) -> Quotes:
    columns = np.array(rows, float).reshape(-1, 5).T
    return Quotes(np.arange(len(rows), dtype=np.int64), columns[0].astype(np.int64), *columns[1:])


def trades(*rows) -> Trades:
    columns = np.array(rows, float).reshape(-1, 3).T
    return Trades(np.arange(len(rows), dtype=np.int64), columns[0].astype(np.int64), *columns[1:])


@pytest.mark.parametrize(("row", "reason"), [
    ((0, 1.0, 1.1, 1, 1), None), ((0, 1.0, 1.0, 1, 1), None), ((0, NAN, 1.1, 0, 1), None), ((0, 1.0, NAN, 1, 0), None), ((0, NAN, NAN, 0, 0), None),
    ((2, 1.0, 1.1, 1, 1), Reason.UNKNOWN_CONTRACT), ((-1, 1.0, 1.1, 1, 1), Reason.UNKNOWN_CONTRACT), ((9, INF, -1, NAN, 1), Reason.UNKNOWN_CONTRACT),
    ((0, INF, 1.1, 1, 1), Reason.NOT_A_NUMBER), ((0, 1.0, INF, 1, 1), Reason.NOT_A_NUMBER), ((0, 1.0, 1.1, NAN, 1), Reason.NOT_A_NUMBER),
    ((0, 1.0, 1.1, 1, INF), Reason.NOT_A_NUMBER), ((0, -INF, 1.1, 1, 1), Reason.NOT_A_NUMBER),
    ((0, 0.0, 1.1, 1, 1), Reason.NEGATIVE_PRICE), ((0, -0.5, 1.1, 1, 1), Reason.NEGATIVE_PRICE), ((0, NAN, 0.0, 1, 1), Reason.NEGATIVE_PRICE),
    ((0, 1.0, 1.1, -1, 1), Reason.NEGATIVE_PRICE), ((0, 1.0, 1.1, 1, -1), Reason.NEGATIVE_PRICE), ((0, 1.2, -1.1, 1, 1), Reason.NEGATIVE_PRICE),
    ((0, 1.2, 1.1, 1, 1), Reason.CROSSED_QUOTE)])
def test_a_quote_at_the_door(row, reason):
    kept, counts = screen_quotes(quotes((1, 5.0, 5.1, 1, 1), row), 2)
    assert counts == ({} if reason is None else {reason: 1})
    assert kept.ts.tolist() == ([0, 1] if reason is None else [0])


@pytest.mark.parametrize(("row", "reason"), [
    ((1, 1.0, 1), None), ((2, 1.0, 1), Reason.UNKNOWN_CONTRACT), ((-1, 1.0, 1), Reason.UNKNOWN_CONTRACT), ((0, NAN, 1), Reason.NOT_A_NUMBER),
    ((0, 1.0, INF), Reason.NOT_A_NUMBER), ((0, 0.0, 1), Reason.NEGATIVE_PRICE), ((0, -1.0, 1), Reason.NEGATIVE_PRICE), ((0, 1.0, 0), Reason.NEGATIVE_PRICE)])
def test_a_trade_at_the_door(row, reason):
    kept, counts = screen_trades(trades((0, 5.0, 1), row), 2)
    assert counts == ({} if reason is None else {reason: 1})
    assert len(kept) == (2 if reason is None else 1)


def test_without_anything_bad_the_very_tape_comes_back():
    good, none = quotes((0, 1.0, 1.1, 1, 1)), empty(Trades)
    assert screen_quotes(good, 1)[0] is good and screen_trades(none, 0) == (none, {})


price = st.sampled_from([NAN, INF, -INF, -1.0, 0.0, 0.5, 1.0, 1.5])
row = st.tuples(st.integers(-2, 4), price, price, st.sampled_from([NAN, -1.0, 0.0, 3.0]), st.sampled_from([INF, 0.0, 3.0]))


@settings(max_examples=80, deadline=None)
@given(st.lists(row, max_size=12))
def test_every_row_is_kept_or_counted_once_and_what_is_kept_is_good(rows):
    given_quotes = quotes(*rows)
    kept, counts = screen_quotes(given_quotes, 3)
    assert len(kept) + sum(counts.values()) == len(given_quotes) and all(n > 0 for n in counts.values())
    assert np.all((kept.index >= 0) & (kept.index < 3)) and not np.any(kept.bid > kept.ask)
    assert np.all(np.isnan(kept.bid) | ((kept.bid > 0) & (kept.bid < INF))) and np.all(np.isnan(kept.ask) | ((kept.ask > 0) & (kept.ask < INF)))
    assert np.all(np.isfinite(kept.bid_size) & (kept.bid_size >= 0) & np.isfinite(kept.ask_size))
    assert screen_quotes(kept, 3)[1] == {}
    np.testing.assert_array_equal(kept.bid, given_quotes.bid[kept.ts])  # rows stay whole and in order


def test_a_row_that_is_bad_in_two_ways_is_counted_under_the_first():
    _, counts = screen_quotes(quotes((5, 1.2, 1.1, 1, 1), (0, 1.2, 1.1, NAN, 1), (0, 1.2, 1.1, 1, 1), (0, 1.2, 1.1, 1, 1)), 3)
    assert counts == {Reason.UNKNOWN_CONTRACT: 1, Reason.NOT_A_NUMBER: 1, Reason.CROSSED_QUOTE: 2}
