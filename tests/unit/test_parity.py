"""The spot implied by put-call parity, against prices whose spot is known."""

import numpy as np
import pytest

from quanticity.core.types import Exercise, Settlement
from quanticity.market.chain import Contracts, OptionChain
from quanticity.market.parity import pair_rows, parity_spot

TS = 1_450_000_000 * 10**9
DAY_NS = 86_400 * 10**9


def chain_of(spot=100.0, rate=0.03, dividend=0.01, days=(1, 8), strikes=range(80, 121), half=0.02, volatility=0.2, seed=None):
    from scipy.special import ndtr

    k = np.tile(np.repeat(np.array(strikes, float), 2), len(days))
    is_call = np.tile([True, False], len(k) // 2)
    expires = np.repeat(TS + np.array(days) * DAY_NS, 2 * len(strikes)).astype(np.int64)
    order = np.arange(len(k)) if seed is None else np.random.default_rng(seed).permutation(len(k))
    k, is_call, expires = k[order], is_call[order], expires[order]
    t = np.maximum((expires - TS) / (365 * DAY_NS), 1e-9)
    forward, sign = spot * np.exp((rate - dividend) * t), np.where(is_call, 1, -1)
    d1 = np.log(forward / k) / (volatility * np.sqrt(t)) + volatility * np.sqrt(t) / 2
    mid = np.exp(-rate * t) * sign * (forward * ndtr(sign * d1) - k * ndtr(sign * (d1 - volatility * np.sqrt(t))))
    n, zero = len(k), np.zeros(len(k))
    listed = Contracts("X", "X", k, expires // DAY_NS, expires, is_call, np.full(n, 100.0), Exercise.EUROPEAN, Settlement.CASH)
    return OptionChain(1, TS, listed, np.nan, "none", rate, dividend, mid - half, mid + half, zero + 1, zero + 1,
                       np.full(n, TS), zero, zero, zero)


def test_the_spot_of_a_priced_chain_comes_back():
    for seed in (None, 1):
        spot, pairs = parity_spot(chain_of(101.37, seed=seed))
        assert spot == pytest.approx(101.37, abs=1e-9)
        assert pairs == 5


def test_pairs_are_found_in_any_order_and_only_whole():
    shuffled = chain_of(seed=3)
    pairs = pair_rows(shuffled.contracts)
    listed = shuffled.contracts
    assert len(pairs) == 82 and pairs.start.tolist() == [0, 41, 82]
    assert listed.is_call[pairs.call].all() and not listed.is_call[pairs.put].any()
    assert (listed.strike[pairs.call] == listed.strike[pairs.put]).all()
    assert (listed.expires_at[pairs.call] == listed.expires_at[pairs.put]).all()
    assert parity_spot(shuffled, pairs) == parity_spot(shuffled)


def test_calls_alone_make_no_pair():
    whole = chain_of()
    c = whole.contracts
    calls = Contracts("X", "X", c.strike[::2], c.expiry_day[::2], c.expires_at[::2], c.is_call[::2], c.multiplier[::2])
    assert len(pair_rows(calls)) == 0


def test_the_nearest_live_expiry_is_read():
    chain = chain_of(days=(-1, 0, 2, 9))
    near = np.isclose(chain.contracts.expires_at, TS + 2 * DAY_NS)
    chain.bid[~near] += 7.0  # of calls and puts alike, but for calls only:
    chain.bid[~near & chain.contracts.is_call] += 5.0
    chain.ask[~near] += 12.0
    assert parity_spot(chain, max_width=1.0)[0] == pytest.approx(100.0, abs=1e-9)


def test_an_expiry_without_a_usable_pair_passes_to_the_next():
    chain = chain_of()
    first = chain.contracts.expires_at == chain.contracts.expires_at.min()
    chain.bid[first & chain.contracts.is_call] = np.nan
    spot, pairs = parity_spot(chain)
    assert (pairs, spot) == (5, pytest.approx(100.0, abs=1e-9))


def test_one_bad_pair_does_not_move_the_median():
    chain = chain_of()
    hit = (chain.contracts.strike == 100) & chain.contracts.is_call
    chain.bid[hit] += 0.4
    chain.ask[hit] += 0.4
    assert parity_spot(chain)[0] == pytest.approx(100.0, abs=1e-9)


@pytest.mark.parametrize("spoil", ["stale", "never quoted", "wide", "crossed", "no bid", "expired"])
def test_quotes_that_do_not_count(spoil):
    chain = chain_of(days=(-1,) if spoil == "expired" else (1,))
    if spoil == "stale":
        chain.quote_time[:] = TS - 301 * 10**9
    elif spoil == "never quoted":
        chain.quote_time[:] = 0
    elif spoil == "wide":
        chain.ask[:] += 1.3
    elif spoil == "crossed":
        chain.bid[:] += 1.0
    elif spoil == "no bid":
        chain.bid[~chain.contracts.is_call] = np.nan
    spot, pairs = parity_spot(chain)
    assert np.isnan(spot) and pairs == 0
    if spoil == "stale":
        assert parity_spot(chain, max_age_seconds=302)[1] == 5
    if spoil == "never quoted":
        assert parity_spot(chain, max_age_seconds=float("inf"))[1] == 0


def test_no_contracts_and_bad_arguments():
    empty = chain_of(strikes=())
    assert parity_spot(empty)[1] == 0
    with pytest.raises(ValueError, match="nearest must be at least 1"):
        parity_spot(chain_of(), nearest=0)
