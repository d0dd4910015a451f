"""Volume against open interest and peers, sweeps, blocks, premium: against loops, and why a number is missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.trade_signs import SignRule, sign_trades
from quanticity.analytics.unusual_activity import (
    UnusualKind,
    UnusualParameters,
    contract_activity,
    find_sweeps,
    otm_deviations,
    premium_flow,
    unusual_activity,
)
from quanticity.core.errors import ConfigError
from quanticity.core.reasons import Reason
from quanticity.market.chain import Contracts, OptionChain
from quanticity.market.tape import Quotes, Trades, empty

MS = 10**6
NAN = np.nan


def signed(rows, contracts=3, bid=1.0, ask=1.2):
    """(milliseconds, index, price, size) rows against one quote a contract that stood before."""
    ts, index, price, size = (np.array(c) for c in zip(*rows, strict=True)) if rows else (np.empty(0, np.int64),) * 4
    every = np.arange(contracts)
    quotes = Quotes(np.full(contracts, -1), every, np.full(contracts, bid), np.full(contracts, ask), np.ones(contracts), np.ones(contracts))
    return sign_trades(Trades(ts * MS, index.astype(np.int64), price.astype(float), size.astype(float)), quotes)


def chain(volume, interest, strike=None, expiry=None):
    n = len(volume)
    listed = Contracts("X", "X", np.arange(100.0, 100 + n) if strike is None else strike, np.full(n, 20_000) if expiry is None else expiry,
                       np.full(n, 20_100 * 86_400 * 10**9), np.arange(n) % 2 == 0, np.full(n, 100.0))
    return OptionChain(1, 10**12, listed, 100.0, "quote", 0.0, 0.0, *(np.ones(n) for _ in range(4)), np.zeros(n, np.int64), np.array(volume, float),
                       np.array(interest, float), np.full(n, 0.2))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_scores_against_a_loop(seed, n):
    rng = np.random.default_rng(seed)
    volume, expiry = rng.integers(0, 2_000, n).astype(float), rng.integers(1, 3, n)
    moneyness = np.where(rng.random(n) < 0.1, NAN, rng.normal(0, 1.5, n))
    found = contract_activity(volume, np.ones(n), expiry, moneyness, peers=4, least_spread=0.3)
    bins = np.digitize(moneyness, (-1.0, -0.25, 0.25, 1.0, 2.0, 3.0), right=True)
    for i in range(n):
        others = [np.log1p(volume[j]) for j in range(n) if j != i and expiry[j] == expiry[i] and bins[j] == bins[i] and np.isfinite(moneyness[j])]
        if not np.isfinite(moneyness[i]):
            assert np.isnan(found.score[i]) and found.reason(i)[1] is Reason.NO_QUOTE and found.peers[i] == 0
        elif len(others) < 4:
            assert np.isnan(found.score[i]) and found.reason(i)[1] is Reason.TOO_FEW_STRIKES and found.peers[i] == len(others)
        else:
            assert found.score[i] == pytest.approx((np.log1p(volume[i]) - np.mean(others)) / max(np.std(others, ddof=1), 0.3), abs=1e-6)
            assert found.reason(i)[1] is None


def test_one_contract_among_peers_that_trade_nothing():
    found = contract_activity(np.array([0.0] * 10 + [1_000.0]), np.ones(11), np.ones(11, int), np.full(11, 0.5))
    assert found.score[10] == pytest.approx(np.log(1_001) / 0.5) and np.isfinite(found.score).all()


def test_no_ratio_without_open_interest():
    found = contract_activity(np.array([5.0, 5, 5, NAN]), np.array([0.0, NAN, 2, 10]), np.ones(4, int), np.zeros(4))
    assert np.isnan(found.ratio[:2]).all() and found.ratio[2:].tolist() == [2.5, 0.0] and found.new[2] == 3.0
    assert [found.reason(i)[0] for i in range(4)] == [Reason.NO_OPEN_INTEREST] * 2 + [None] * 2


def test_deviations_are_positive_out_of_the_money():
    strike, call = np.array([110.0, 110, 90, 100]), np.array([True, False, False, True])
    found = otm_deviations(100.0, strike, np.array([1.0, 1, 1, 0]), 0.2, call)
    assert found[0] == -found[1] > 0 and found[2] > 0 and np.isnan(found[3])
    assert np.isnan(otm_deviations(NAN, strike, np.ones(4), 0.2, call)).all() and np.isnan(otm_deviations(100.0, strike, np.ones(4), 0.0, call)).all()


def slow_sweeps(rows, window, prints):
    """Row by row; (milliseconds, index, price, size) against 1.00 to 1.20."""
    open_, done = {}, []
    for ts, i, price, size in rows:
        side = 1 if price >= 1.2 else -1 if price <= 1.0 else 0
        run = open_.get(i)
        if run and run["side"] == side and ts - run["ts"] <= window and (price - run["price"]) * side >= 0:
            run["n"] += 1
            run["size"] += size
            run["paid"] += price * size * 100
            run["prices"].add(price)
        elif side:
            run = open_[i] = {"side": side, "n": 1, "size": size, "paid": price * size * 100, "prices": {price}, "index": i, "start": ts}
            done.append(run)
        else:
            open_[i] = None
            continue
        run["ts"], run["price"] = ts, price
    found = [r for r in done if r["n"] >= prints]
    return sorted((r["ts"], r["index"], r["start"], r["side"], r["n"], len(r["prices"]), r["size"], round(r["paid"], 6)) for r in found)


ROWS = st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 2), st.sampled_from([0.9, 1.0, 1.1, 1.2, 1.3]), st.integers(1, 50)), max_size=50)


@settings(deadline=None, max_examples=200)
@given(ROWS, st.sampled_from([50, 250]), st.sampled_from([2, 3]))
def test_sweeps_against_a_loop(rows, window, prints):
    rows = sorted(rows, key=lambda r: r[0])
    found = find_sweeps(signed(rows), np.full(3, 100.0), window / 1e3, prints)
    mine = zip((found.end // MS).tolist(), found.index.tolist(), (found.start // MS).tolist(), found.side.tolist(), found.prints.tolist(),
               found.levels.tolist(), found.size.tolist(), np.round(found.premium, 6).tolist(), strict=True)
    assert sorted(mine) == slow_sweeps(rows, window, prints)
    assert (np.diff(found.end) >= 0).all()
    for first, index, start in zip(found.first.tolist(), found.index.tolist(), found.start.tolist(), strict=True):
        assert (rows[first][1], rows[first][0] * MS) == (index, start)


def test_a_sweep_through_the_quote_with_its_confidence():
    found = find_sweeps(signed([(0, 0, 1.2, 30), (10, 1, 1.0, 5), (20, 0, 1.2, 30), (40, 0, 1.3, 40), (900, 0, 1.3, 9)]), np.full(3, 100.0))
    assert (len(found), found.size[0], found.premium[0], found.through[0]) == (1, 100.0, 12_400.0, 0.4)
    assert found.confidence[0] == pytest.approx(0.8)
    assert len(find_sweeps(signed([(0, 0, 1.2, 1)] * 3), np.full(3, 100.0), premium=1e6)) == 0


def test_no_sweep_against_a_quote_that_is_missing_locked_or_crossed():
    rows = [(0, 0, 1.2, 30)] * 4
    for bid, ask in ((NAN, NAN), (1.0, NAN), (1.2, 1.2), (1.3, 1.1)):
        assert len(find_sweeps(signed(rows, bid=bid, ask=ask), np.full(3, 100.0))) == 0
    assert find_sweeps(signed(rows, bid=NAN), np.full(3, 100.0)).side.tolist() == [1]  # no bid: at the ask it was bought
    assert len(find_sweeps(signed([]), np.full(3, 100.0))) == 0


def test_premium_counts_with_its_confidence():
    found = premium_flow(signed([(0, 0, 1.2, 10), (1, 1, 1.0, 20), (2, 2, 1.1, 5)]), np.array([True, False, True]), np.full(3, 100.0))
    assert found.gross == pytest.approx(1200 + 2000 + 550)
    assert (found.calls, found.puts) == (pytest.approx(0.6 * 1200), pytest.approx(-0.6 * 2000))
    assert found.net == pytest.approx(-480) and found.bullish == pytest.approx(1920)  # bought calls, sold puts
    assert found.error == pytest.approx(np.sqrt((1200**2 + 2000**2) * 0.64 + 550**2))
    nothing = premium_flow(signed([]), np.array([True]), np.array([100.0]))
    assert nothing.reason is Reason.NO_TRADES and nothing.gross == 0 and np.isnan(nothing.net)


def test_items_say_what_was_measured():
    given = chain([900.0, 10] + [40] * 12, [100.0] + [1_000] * 13)
    trades = signed([(0, 1, 1.2, 200), (1, 1, 1.2, 200), (2, 1, 1.25, 200), (5_000, 2, 1.0, 700), (6_000, 3, 1.1, 400)], contracts=14)
    found = unusual_activity(given, trades, np.full(14, 0.5), UnusualParameters(block_premium=60_000.0))
    seen = [(i.kind, i.index, i.side, i.size, i.threshold) for i in found.items]
    assert seen == [(UnusualKind.VOLUME_TO_INTEREST, 0, 0, 900.0, 3.0), (UnusualKind.VOLUME_SCORE, 0, 0, 900.0, 4.0), (UnusualKind.SWEEP, 1, 1, 600.0, 25_000.0),
                    (UnusualKind.BLOCK_SIZE, 2, -1, 700.0, 500.0), (UnusualKind.BLOCK_PREMIUM, 2, -1, 700.0, 60_000.0)]
    for item in found.items:
        assert item.measure >= item.threshold and str(item.kind).replace("_", " ") in item.text
        assert 0.5 <= item.confidence <= 1.0 and np.isnan(item.premium) == (item.side == 0)


def test_nothing_is_unusual_about_nothing():
    found = unusual_activity(chain([0.0] * 3, [NAN] * 3), signed([]), np.full(3, NAN))
    assert found.items == () and len(found.sweeps) == 0 and found.flow.reason is Reason.NO_TRADES
    none = unusual_activity(chain([], []), sign_trades(empty(Trades), empty(Quotes), SignRule.TICK), np.empty(0))
    assert none.items == ()


@pytest.mark.parametrize("name", ["score", "sweep_window", "block_premium"])
def test_parameters_are_above_zero(name):
    for value in (0.0, -1.0, NAN, np.inf):
        with pytest.raises(ConfigError, match=name):
            UnusualParameters(**{name: value})


def test_simulated_sweeps_are_pieces_of_one_order_on_the_side_that_was_told():
    from quanticity.feeds.simulator import DEMO_DAY, simulate

    day = next(iter(simulate(7, [DEMO_DAY])))
    found = find_sweeps(sign_trades(day.session.trades, day.session.quotes), day.session.contracts.multiplier)
    truth = day.truth.trades
    assert len(found) > 20 and (truth.initiator[found.first] == found.side).mean() > 0.95 and (truth.metaorder[found.first] >= 0).mean() > 0.9
