"""Tapes are in order and square; a book is best first."""

import numpy as np
import pytest

from quanticity.market.tape import Bars, Imbalances, OrderBook, Quotes, Tape, Trades, empty

TRADES = Trades(np.array([1, 2, 2, 5]), np.array([0, 1, 0, 2]), np.array([1.0, 2.0, 1.1, 3.0]), np.array([1.0, 5.0, 2.0, 9.0]))


def test_rows_are_slices_without_copies():
    part = TRADES.rows(1, 3)
    assert type(part) is Trades and part.ts.tolist() == [2, 2] and part.price.tolist() == [2.0, 1.1]
    assert np.shares_memory(part.price, TRADES.price)
    assert len(TRADES.rows(2, 2)) == 0 and len(TRADES.rows(3, 99)) == 1


def test_where_keeps_rows_together():
    part = TRADES.where(TRADES.index == 0)
    assert (part.ts.tolist(), part.index.tolist(), part.price.tolist(), part.size.tolist()) == ([1, 2], [0, 0], [1.0, 1.1], [1.0, 2.0])
    assert len(TRADES.where(np.zeros(4, bool))) == 0


@pytest.mark.parametrize("kind", [Tape, Quotes, Trades, Bars, Imbalances])
def test_an_empty_tape_of_each_kind_has_the_right_columns(kind):
    tape = empty(kind)
    assert type(tape) is kind and len(tape) == 0 and tape.ts.dtype == np.int64
    assert {getattr(tape, f).dtype for f in kind.__dataclass_fields__ if f not in ("ts", "index")} <= {np.dtype(np.float64)}
    assert not hasattr(tape, "index") or tape.index.dtype == np.int64


def test_a_tape_must_be_square_and_in_order():
    with pytest.raises(ValueError, match=r"Trades.price has 1 rows, ts has 2"):
        Trades(np.array([1, 2]), np.array([0, 0]), np.array([1.0]), np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="Bars is not in order of time"):
        Bars(np.array([2, 1]), *(np.ones(2) for _ in range(5)))
    assert len(Bars(np.array([2, 2]), *(np.ones(2) for _ in range(5)))) == 2  # equal times are in order


def book(bids, bid_sizes, asks, ask_sizes):
    return OrderBook("GOOG", 1, *(np.array(x, float) for x in (bids, bid_sizes, asks, ask_sizes)))


def test_microprice_leans_to_the_thin_side():
    assert book([99, 98], [30, 1], [101, 102], [10, 1]).microprice == 100.5
    assert book([99], [10], [101], [10]).microprice == 100.0


@pytest.mark.parametrize("one", [book([], [], [101], [1]), book([99], [1], [], []), book([99], [0], [101], [0])])
def test_microprice_is_nan_where_nothing_shows(one):
    assert np.isnan(one.microprice)


@pytest.mark.parametrize(("bids", "asks"), [([98, 99], [101, 102]), ([99, 98], [102, 101])])
def test_levels_must_be_best_first(bids, asks):
    with pytest.raises(ValueError, match="levels of GOOG are not best first"):
        book(bids, [1, 1], asks, [1, 1])
