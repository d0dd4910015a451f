"""Simulated auctions: the venue's rules, publications that converge to the print, and no gift in a fair market."""

import hashlib
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from quanticity.core.clock import session_hours
from quanticity.core.errors import ConfigError
from quanticity.feeds.sim_auction import (VENUES, AuctionParameters, CloseOrder, ClosingOrders, closing_auction, closing_orders, closing_pressure,
                                          first_imbalance, opening_print)
from quanticity.feeds.sim_parameters import generator, normals
from quanticity.market.chain import nanoseconds

SECOND = 10**9
CLOSE = nanoseconds(session_hours(date(2026, 3, 20)).closes)
TS = CLOSE - np.arange(1_200, -1, -1, dtype=np.int64) * SECOND
STILL = np.full(len(TS), 500.0)
DIGEST = "6a682aaaf89600395e9b7bcf38cd88df95afd31ef5b826aee83a595b266f218e"


def walk(seed, move=1.0):
    return np.round(500 + 0.01 * np.rint(np.cumsum(normals(generator(seed, "path"), len(TS))) * move), 2)


def auction(seed=1, price=STILL, p=None):
    p = p or AuctionParameters()
    return closing_auction(generator(seed, "auction"), closing_orders(generator(seed, "orders"), CLOSE, p), TS, price, p)


def digest(a):
    parts = [getattr(t, f) for t in (a.imbalances, a.closing_print) for f in t.__dataclass_fields__]
    return hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in parts)).hexdigest()


def test_the_bytes_of_a_seed_are_fixed():
    assert digest(auction(7, walk(7))) == DIGEST
    assert digest(auction(8, walk(7))) != DIGEST


def test_last_digits_do_not_show(monkeypatch):
    import scipy.special

    p = AuctionParameters(pressure=0.01, print_impact=0.002)
    plain = digest(auction(7, walk(7), p))
    noise = np.random.default_rng(1)
    for module, name in ((np, "exp"), (np, "log"), (np, "log1p"), (np, "expm1"), (scipy.special, "ndtri")):
        true = getattr(module, name)
        monkeypatch.setattr(module, name, lambda x, true=true: true(x) * (1 + 3e-16 * noise.choice([-1, 0, 1], np.shape(true(x)))))
    assert digest(auction(7, walk(7), p)) == plain


@pytest.mark.parametrize("venue, published, early", [("NYSE", 600, 0), ("Nasdaq", 330, 30)])
@pytest.mark.parametrize("day", [date(2026, 3, 20), date(2026, 11, 27)])  # the second is a half day
def test_when_imbalances_are_published(venue, published, early, day):
    close = nanoseconds(session_hours(day).closes)
    p = AuctionParameters(venue=venue)
    a = closing_auction(generator(1), closing_orders(generator(1), close, p), np.array([close - 1_000 * SECOND]), np.array([500.0]), p)
    lead = (close - a.imbalances.ts) // SECOND
    assert len(lead) == published and lead[0] == 600 and lead[-1] == 1 and a.closing_print.ts.tolist() == [close]
    assert np.isnan(a.imbalances.indicative_price[:early]).all() and not np.isnan(a.imbalances.indicative_price[early:]).any()
    if early:
        assert (np.diff(lead[:early]) == -10).all() and lead[early] == 300
    assert (np.diff(lead[early:]) == -1).all()


@pytest.mark.parametrize("seed", range(8))
def test_orders_keep_the_cut_offs(seed):
    for venue, rules in VENUES.items():
        p = AuctionParameters(venue=venue)
        orders = closing_orders(generator(seed), CLOSE, p)
        lead = (CLOSE - orders.ts) / SECOND
        assert (lead[orders.kind == CloseOrder.MOC] > rules.market_until).all() and (lead[orders.kind == CloseOrder.LOC] > rules.limit_until).all()
        assert (np.isinf(orders.limit) == (orders.kind != CloseOrder.LOC)).all()
        assert (np.diff(orders.ts) >= 0).all() and (orders.size > 0).all() and (orders.size % p.lot == 0).all()
        offsets = orders.kind == CloseOrder.OFFSET
        first = orders.imbalance(np.array([CLOSE - 600 * SECOND]), np.zeros(1))[0][0]
        assert (orders.side[offsets] == -np.sign(first)).all() and (lead[offsets] < 600).all() and orders.size[offsets].sum() <= abs(first)
        assert offsets.any() == (abs(first) >= rules.regulatory)


def test_nyse_takes_late_orders_against_a_regulatory_imbalance_only():
    seen = set()
    for seed in range(40):
        p = AuctionParameters(lean=0.05, limit_share=0.0)
        orders = closing_orders(generator(seed), CLOSE, p)
        imbalance, _ = orders.imbalance(p.rules.times(CLOSE), np.zeros(600))
        large = abs(imbalance[0]) >= 50_000
        seen.add(bool(large))
        assert (np.abs(imbalance[-1]) < np.abs(imbalance[0])) if large else (imbalance == imbalance[0]).all()
        assert (np.diff(np.abs(imbalance)) <= 0).all() and (np.sign(imbalance[imbalance != 0]) == np.sign(imbalance[0])).all()
    assert seen == {True, False}


def test_imbalance_is_what_counting_orders_gives():
    orders = closing_orders(generator(3), CLOSE, AuctionParameters(venue="Nasdaq", orders=120))
    times, moved = VENUES["Nasdaq"].times(CLOSE), np.round(0.0005 * normals(generator(3, "m"), 330), 9)
    imbalance, paired = orders.imbalance(times, moved)
    for k in range(0, 330, 37):
        total = {1: 0.0, -1: 0.0}
        for ts, side, size, limit in zip(orders.ts, orders.side, orders.size, orders.limit, strict=True):
            if ts <= times[k] and side * moved[k] <= limit:
                total[int(side)] += size
        assert (imbalance[k], paired[k]) == (total[1] - total[-1], min(total.values()))


def test_the_indicative_price_converges_to_the_print():
    for seed in range(20):
        a, p = auction(seed), AuctionParameters()
        i, last = a.imbalances, a.closing_print.price[0]
        share = i.imbalance / (i.paired + np.abs(i.imbalance))
        bound = 500 * p.sensitivity * np.abs(share) * (CLOSE - i.ts) / (600 * SECOND) + 0.0053  # half a tick, and the exponential's curvature
        assert (np.abs(i.indicative_price - last) <= bound).all() and abs(i.indicative_price[-1] - last) < 0.011
        assert ((i.indicative_price - i.reference_price) * i.imbalance >= -1e-9 * np.abs(i.imbalance)).all()


def test_prices_are_on_the_tick_and_shares_are_lots():
    a = auction(5, walk(5) + 0.005)
    for price in (a.imbalances.reference_price, a.imbalances.indicative_price, a.closing_print.price):
        assert np.abs(price * 100 - np.rint(price * 100)).max() < 1e-6
    for shares in (a.imbalances.imbalance, a.imbalances.paired, a.closing_print.size):
        assert (shares % 100 == 0).all()
    assert a.closing_print.index.tolist() == [0] and a.imbalances.in_order


def test_the_print_has_the_last_price_and_the_paired_shares():
    for seed in range(50):
        path = walk(seed)
        a = auction(seed, path)
        assert abs(a.closing_print.price[0] - path[-1]) < 1e-9 and a.effects == ()
        orders = closing_orders(generator(seed, "orders"), CLOSE)
        _, paired = orders.imbalance(np.array([CLOSE]), np.round(np.log(path[-1:] / path[600]), 9))
        assert a.closing_print.size[0] == paired[0]


def test_a_fair_close_gives_nothing_away():
    """Two hundred markets: what is published says nothing about the path after it or the print, whose half ticks fall either way."""
    first, after, half = [], [], []
    for seed in range(200):
        path = walk(seed)
        a = auction(seed, path + 0.005)
        first.append(a.imbalances.imbalance[0])
        after.append(path[-1] - path[600])
        half.append(round((a.closing_print.price[0] - path[-1]) * 100))
    assert abs(np.corrcoef(first, after)[0, 1]) * math.sqrt(200) < 3.5
    assert abs(np.mean(np.sign(first))) * math.sqrt(200) < 3.5
    assert set(half) == {0, 1} and abs(np.mean(half) - 0.5) * 2 * math.sqrt(200) < 3.5
    assert (closing_pressure(closing_orders(generator(1), CLOSE), TS, AuctionParameters()) == 0).all()


def test_pressure_is_what_was_stated():
    p = AuctionParameters(pressure=0.02, pressure_half_life=120.0)
    orders = closing_orders(generator(4), CLOSE, p)
    x, push = first_imbalance(orders, p), closing_pressure(orders, TS, p)
    assert 0 < abs(x) < 1 and (push[TS <= CLOSE - 600 * SECOND] == 0).all() and abs(push[-1] - 0.02 * x) < 1e-9
    at = {lead: push[len(TS) - 1 - lead] for lead in (480, 360)}
    assert abs((at[360] - at[480]) / at[480] - 0.5) < 1e-3  # the second half-life brings half of the first
    assert np.array_equal(closing_orders(generator(4), CLOSE).size, orders.size)  # orders do not know of it
    effects = auction(4, STILL, replace(p, print_impact=0.001)).effects
    assert [(e.kind, e.size) for e in effects] == [("auction_pressure", 0.02), ("auction_print", 0.001)]
    assert effects[0].half_life == 120.0 and effects[0].ts == (CLOSE - 600 * SECOND,)


def test_print_impact_moves_the_print_alone():
    p = AuctionParameters(print_impact=0.01)
    a, fair = auction(4, STILL, p), auction(4, STILL)
    orders = closing_orders(generator(4, "orders"), CLOSE, p)
    imbalance, paired = orders.imbalance(np.array([CLOSE]), np.zeros(1))
    wanted = 500 * math.exp(0.01 * imbalance[0] / (paired[0] + abs(imbalance[0])))
    assert abs(a.closing_print.price[0] - wanted) <= 0.0051 and a.closing_print.price[0] != 500.0
    assert np.array_equal(a.imbalances.reference_price, fair.imbalances.reference_price) and fair.closing_print.price[0] == 500.0


def test_a_limit_drops_out_when_the_price_leaves_it():
    orders = ClosingOrders(CLOSE, np.full(2, CLOSE - 700 * SECOND), np.array([1, -1], np.int8), np.array([300.0, 200.0]), np.array([0.002, 0.002]), np.full(2, 2, np.int8))
    moved = np.array([0.0, 0.002, 0.0021, -0.0021])
    imbalance, paired = orders.imbalance(np.full(4, CLOSE), moved)
    assert imbalance.tolist() == [100.0, 100.0, -200.0, 300.0] and paired.tolist() == [200.0, 200.0, 0.0, 0.0]


def test_a_close_without_orders_still_prints():
    p = AuctionParameters(orders=0)
    a = auction(1, STILL, p)
    assert (a.imbalances.imbalance == 0).all() and a.closing_print.size.tolist() == [100.0] and first_imbalance(closing_orders(generator(1), CLOSE, p), p) == 0.0


def test_activity_multiplies_the_volume():
    quiet, busy = (np.mean([closing_orders(generator(s), CLOSE, activity=k).size.sum() for s in range(20)]) for k in (1.0, 3.0))
    assert abs(busy / quiet - 3) < 0.2 and abs(quiet / 2e6 - 1) < 0.1


def test_the_open_prints_the_first_price():
    opens = nanoseconds(session_hours(date(2026, 3, 20)).opens)
    prints = [opening_print(generator(s), opens, 500.125) for s in range(60)]
    assert {round(float(p.price[0]), 4) for p in prints} == {500.12, 500.13} and all(p.ts.tolist() == [opens] for p in prints)
    assert abs(np.mean([p.size[0] for p in prints]) / 300_000 - 1) < 0.1 and all(p.size[0] % 100 == 0 for p in prints)
    assert opening_print(generator(1), opens, 500.26, AuctionParameters(tick=0.05)).price[0] == 500.25


def test_what_cannot_be():
    with pytest.raises(ValueError, match="price at each publication"):
        closing_auction(generator(1), closing_orders(generator(1), CLOSE), TS[-100:], STILL[-100:])
    with pytest.raises(ValueError, match="price at each publication"):
        closing_auction(generator(1), closing_orders(generator(1), CLOSE), TS, np.where(TS > CLOSE - 50 * SECOND, np.nan, 500.0))
    for wrong in (dict(venue="LSE"), dict(volume=0.0), dict(offset=1.5), dict(lean=-1.0), dict(pressure=2.0), dict(tick=float("nan"))):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            AuctionParameters(**wrong)
