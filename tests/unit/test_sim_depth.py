"""Simulated books: their best level is the quotes, their sizes recover, and they know only what was planted."""

import hashlib

import numpy as np
import pytest

from quanticity.core.errors import ConfigError
from quanticity.feeds.sim_depth import DepthParameters, simulate_books
from quanticity.feeds.sim_parameters import generator, normals
from quanticity.market.tape import Depth, Quotes

SECOND = 10**9
DIGEST = "ba26b274df88522a9887cb433c2da1f88fb106297e7254d41fa52ceef7630dd5"


def path(seed, n=2_000, seconds=15, move=3.0):
    ts = np.arange(n, dtype=np.int64) * seconds * SECOND
    ticks = 50_000 + np.rint(np.cumsum(normals(generator(seed, "path"), n)) * move).astype(np.int64)
    return ts, ticks - 1, ticks + 1


def books(seed=1, n=2_000, edge=0.0, **kwargs):
    ts, bid, ask = path(seed, n)
    return simulate_books(generator(seed, "books"), ts, bid, ask, DepthParameters(edge=edge), **kwargs)


def digest(b):
    return hashlib.sha256(b"".join(np.ascontiguousarray(getattr(t, f)).tobytes() for t in (b.depth, b.quotes) for f in t.__dataclass_fields__)).hexdigest()


def test_the_bytes_of_a_seed_are_fixed():
    assert digest(books(7, 400)) == DIGEST == digest(books(7, 400))
    assert digest(books(8, 400)) != DIGEST


def test_last_digits_do_not_show(monkeypatch):
    import scipy.special

    plain = digest(books(7, 400, edge=0.3, bought=np.full(400, 70.0)))
    noise = np.random.default_rng(1)
    for module, name in ((np, "exp"), (np, "log"), (np, "exp2"), (np, "expm1"), (np, "std"), (np, "mean"), (scipy.special, "ndtri")):
        true = getattr(module, name)
        monkeypatch.setattr(module, name, lambda x, true=true: true(x) * (1 + 3e-16 * noise.choice([-1, 0, 1], np.shape(true(x)))))
    assert digest(books(7, 400, edge=0.3, bought=np.full(400, 70.0))) == plain


def test_level_0_is_the_quotes_and_levels_are_in_order():
    b, p = books(), DepthParameters()
    ts, bid, ask = path(1)
    depth = {name: getattr(b.depth, name).reshape(-1, p.levels) for name in ("ts", "level", "bid", "bid_size", "ask", "ask_size")}
    assert isinstance(b.depth, Depth) and isinstance(b.quotes, Quotes) and b.depth.in_order
    assert (depth["ts"] == ts[:, None]).all() and (depth["level"] == np.arange(p.levels)).all()
    for side in ("bid", "ask", "bid_size", "ask_size"):
        assert np.array_equal(depth[side][:, 0], getattr(b.quotes, side))
    assert np.array_equal(b.quotes.bid, np.round(bid * 0.01, 6)) and np.array_equal(b.quotes.ask, np.round(ask * 0.01, 6))
    assert (np.diff(depth["bid"], axis=1) < 0).all() and (np.diff(depth["ask"], axis=1) > 0).all()
    for side in ("bid", "ask"):
        cents = depth[side] * 100
        assert np.abs(cents - np.rint(cents)).max() < 1e-6
        assert (depth[f"{side}_size"] % p.lot == 0).all() and (depth[f"{side}_size"] >= p.lot).all()
    b.depth.book("SIM", int(ts[77]))  # which checks its own order


def test_sizes_grow_away_from_the_best_price_and_round_prices_are_large():
    b = books(3, 4_000)
    size = b.depth.ask_size.reshape(-1, 10)
    assert 400 < np.median(size[:, 0]) < 600 < np.median(size[:, 5])
    cents = np.rint(b.depth.ask * 100).astype(int)
    deep = b.depth.level > 3
    assert np.mean(b.depth.ask_size[deep & (cents % 10 == 0)]) > 1.2 * np.mean(b.depth.ask_size[deep & (cents % 10 != 0)])


def test_an_empty_price_is_empty_all_day():
    b = books(4, 3_000)
    seen, inside = set(), np.zeros(0)
    ticks = np.rint(np.concatenate((b.depth.bid, b.depth.ask)) * 100).astype(int)
    deep = np.concatenate((b.depth.level, b.depth.level)) > 0
    seen = set(ticks[deep].tolist())
    low, high = min(seen), max(seen)
    inside = [t for t in range(low, high) if t not in seen]
    assert 0.03 < len(inside) / (high - low) < 0.2
    one = simulate_books(generator(1, "x"), *path(1, 50), DepthParameters(gap=0.0, levels=5))
    assert (np.diff(np.rint(one.depth.ask.reshape(-1, 5) * 100), axis=1) == 1).all()


def test_a_side_that_is_missing():
    b = simulate_books(generator(1), np.arange(4) * SECOND, np.array([0, 2, 500, 500]), np.array([502, 3, 0, 501]), DepthParameters(levels=4, gap=0.0))
    shape = (4, 4)
    bid, bs, ask, asz = (getattr(b.depth, n).reshape(shape) for n in ("bid", "bid_size", "ask", "ask_size"))
    assert np.isnan(bid[0]).all() and (bs[0] == 0).all() and np.isnan(ask[2]).all() and (asz[2] == 0).all()
    assert bid[1, :2].tolist() == [0.02, 0.01] and np.isnan(bid[1, 2:]).all()
    assert np.isnan(b.quotes.bid[0]) and b.quotes.bid_size[0] == 0 and b.depth.book("X", 0).bid_price.size == 0
    none = simulate_books(generator(1), np.arange(2) * SECOND, np.zeros(2, np.int64), np.zeros(2, np.int64))
    assert np.isnan(none.depth.bid).all() and np.isnan(none.depth.ask).all()
    empty = simulate_books(generator(1), *(np.empty(0, np.int64),) * 3)
    assert len(empty.depth) == len(empty.quotes) == 0


def test_what_trades_took_comes_back_by_its_half_life():
    n, p = 400, DepthParameters(lot=1, size=10_000.0, recovery=60.0)
    ts, bid, ask = path(2, n)
    bought = np.zeros(n)
    bought[100] = 20_000.0
    hit, quiet = (simulate_books(generator(2), ts, bid, ask, p, bought=b) for b in (bought, None))
    left = hit.depth.ask_size.reshape(n, 10) / quiet.depth.ask_size.reshape(n, 10)
    for steps in (0, 4, 8, 16):  # 15 seconds each
        taken = 2.0 * 0.5 ** (steps * 15 / 60)
        assert abs(left[100 + steps, 0] - 1 / (1 + taken)) < 1e-3 and abs(left[100 + steps, 1] - 1 / (1 + taken / 2)) < 1e-3
    assert (left[:100] == 1).all() and np.array_equal(hit.depth.bid_size, quiet.depth.bid_size)


def next_moves(b):
    middle = (b.quotes.bid + b.quotes.ask) / 2
    return np.diff(middle)


def test_a_fair_book_says_nothing_about_the_next_move():
    """Thirty markets, trades and all: no measure of the book correlates with the next move more than chance allows."""
    found = []
    for seed in range(30):
        took = np.floor(normals(generator(seed, "trades"), 2_000).clip(0) * 3) * 100
        b = books(seed, bought=took, sold=took[::-1].copy())
        bs, a = b.depth.bid_size.reshape(-1, 10), b.depth.ask_size.reshape(-1, 10)
        measures = (np.log(bs[:, 0] / a[:, 0]), np.log(bs.sum(1) / a.sum(1)), bs[:, 0] + a[:, 0], b.quotes.bid + b.quotes.ask - (b.depth.bid + b.depth.ask).reshape(-1, 10)[:, 5])
        found.append([np.corrcoef(m[:-1], next_moves(b))[0, 1] * np.sqrt(1_999) for m in measures])
    z = np.array(found)
    assert np.abs(z.mean(axis=0) * np.sqrt(30)).max() < 3.5 and np.abs(z).max() < 4.5
    assert books().effect is None


@pytest.mark.parametrize("edge", [0.1, 0.4, -0.3])
def test_a_planted_edge_has_the_stated_size(edge):
    found = [np.corrcoef(np.log(b.quotes.bid_size / b.quotes.ask_size)[:-1], next_moves(b))[0, 1] for b in (books(seed, 4_000, edge) for seed in range(8))]
    assert abs(np.mean(found) - edge) < 0.03
    effect = books(1, 100, edge).effect
    assert (effect.kind, effect.size, effect.half_life) == ("book_lean", edge, 15.0)


def test_an_edge_changes_nothing_else():
    fair, planted = books(5), books(5, edge=0.5)
    assert np.array_equal(fair.depth.bid, planted.depth.bid, equal_nan=True) and np.array_equal(fair.quotes.ask, planted.quotes.ask)
    assert not np.array_equal(fair.quotes.bid_size, planted.quotes.bid_size)


def test_what_cannot_be():
    with pytest.raises(ValueError, match="bids below asks"):
        simulate_books(generator(1), np.arange(2), np.array([5, 5]), np.array([6, 5]))
    for wrong in (dict(size=0.0), dict(levels=0), dict(gap=0.95), dict(edge=1.1), dict(growth=-1.0), dict(memory=float("nan"))):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            DepthParameters(**wrong)
