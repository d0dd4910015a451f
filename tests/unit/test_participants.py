import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.participants import (DEFAULT_MODEL, KIND_TERMS, SIDE_TERMS, TRADE_FEATURES, Logistic, ParticipantModel, ParticipantOdds, flow_sums,
                                               institutional_probability, kind_terms, participant_flows, participant_odds, place_in_spread, prints_before,
                                               side_terms, spot_before, sum_before, trade_features)
from quanticity.analytics.trade_signs import SignedTrades, SignRule
from quanticity.core.reasons import Reason
from quanticity.market.chain import Contracts
from quanticity.market.tape import Trades

MINUTE = 60_000_000_000
CALLS = np.array([True, False, True, False])


def listed(n: int = 4) -> Contracts:
    return Contracts("A", "A", np.linspace(90, 110, n), np.full(n, 20_000), np.full(n, 10**15), np.resize(CALLS, n), np.full(n, 100.0))


def a_tape(seed: int, rows: int) -> tuple[SignedTrades, np.ndarray]:
    rng = np.random.default_rng(seed)
    bid = rng.uniform(1, 5, rows).round(2)
    ask = bid + rng.integers(1, 20, rows) / 100
    price = bid + rng.random(rows).round(1) * (ask - bid)
    trades = Trades(np.sort(rng.integers(0, 60 * MINUTE, rows)), rng.integers(0, 4, rows), price, rng.integers(1, 60, rows).astype(float))
    return SignedTrades(trades, SignRule.QUOTE, np.ones(rows, np.int8), np.ones(rows), bid, ask), rng.uniform(90, 110, rows)


rows = st.integers(1, 60)
seeds = st.integers(0, 1000)


@given(seeds, rows, st.integers(0, 70 * MINUTE))
def test_prints_before_counts_what_a_loop_counts(seed, n, window):
    rng = np.random.default_rng(seed)
    ts, group, value = np.sort(rng.integers(0, 60 * MINUTE, n)), rng.integers(0, 3, n), rng.standard_normal(n)
    prints = prints_before(ts, group, window)
    earlier = [[j for j in range(i) if group[j] == group[i] and ts[j] >= ts[i] - window] for i in range(n)]
    assert prints.tolist() == [len(e) for e in earlier]
    np.testing.assert_allclose(sum_before(value, group, prints), [value[e].sum() for e in earlier], atol=1e-9)


def test_prints_before_of_nothing_and_of_too_much():
    assert len(prints_before(np.empty(0, np.int64), np.empty(0, np.int64), 5)) == 0
    with pytest.raises(ValueError, match="64 bits"):
        prints_before(np.array([0, 2**61]), np.array([0, 50]), 1)


def test_place_in_the_spread():
    place = place_in_spread(np.array([1.0, 1.2, 1.1, 0.5, 2.0]), np.full(5, 1.0), np.full(5, 1.2))
    np.testing.assert_allclose(place, [-1, 1, 0, -1, 1], atol=1e-9)
    assert place_in_spread(np.array([0.05]), np.array([np.nan]), np.array([0.05]))[0] == 1.0  # no bid: bid of nothing
    assert np.isnan(place_in_spread(np.ones(3), np.array([1.0, 1.1, 1.0]), np.array([1.0, 1.0, np.nan]))).all()  # locked, crossed, no ask


@given(seeds, rows)
def test_looks_know_only_what_was_before(seed, n):
    signed, spot = a_tape(seed, n)
    whole = trade_features(signed, listed(), spot)
    half = n // 2 + 1
    first = SignedTrades(signed.trades.rows(0, half), signed.rule, signed.sign[:half], signed.confidence[:half], signed.bid[:half], signed.ask[:half])
    np.testing.assert_array_equal(trade_features(first, listed(), spot[:half]), whole[:half])
    assert whole.shape == (n, len(TRADE_FEATURES))


@given(seeds, rows)
def test_odds_are_odds_and_the_four_sum_to_one(seed, n):
    signed, spot = a_tape(seed, n)
    odds = participant_odds(trade_features(signed, listed(), spot))
    four = np.array([x for kind in (True, False) for x in odds.of_kind(kind)])
    assert (four >= -1e-12).all()
    np.testing.assert_allclose(four.sum(axis=0), 1.0)
    np.testing.assert_allclose(odds.institutional_buy + odds.institutional_sell, odds.institutional)
    assert (np.abs(odds.expected_sign) <= 1).all() and not odds.left_out.any()


def test_larger_and_repeated_trades_are_institutional():
    base = np.array([np.log(2), 6.0, 1.0, 0.5, 1.0, 1.0, 0, 0, 0, 0, 0, 0])
    large, repeated = base.copy(), base.copy()
    large[:2] += np.log(20)
    repeated[[7, 8, 9]] = np.log1p(8), np.log1p(8), 0.2
    p = institutional_probability(np.array([base, large, repeated]))
    assert p[1] > 0.9 > p[2] > p[0]


def test_at_the_ask_is_a_buy_and_earlier_pieces_lean():
    look = np.array([np.log(2), 6.0, 1.0, 0.5, 1.0, 1.0, 0, 0, 0, 0, 0, 0])
    bid, leant = look.copy(), look.copy()
    bid[5], leant[5], leant[10] = -1.0, 0.0, -np.log1p(3)
    buy = participant_odds(np.array([look, bid, leant])).buy
    assert buy[0] > 0.85 and buy[1] < 0.3 and buy[2] < 0.5


def test_what_cannot_be_told_is_left_out_with_its_reason():
    signed, spot = a_tape(1, 5)
    trades = Trades(signed.trades.ts, signed.trades.index, np.array([1.0, np.nan, 0.0, 1.0, 1.0]), np.array([1.0, 1, 1, 0, 1]))
    odds = participant_odds(trade_features(SignedTrades(trades, signed.rule, signed.sign, signed.confidence, signed.bid, signed.ask), listed(), spot))
    assert odds.left_out.tolist() == [False, True, True, True, False]
    flows = participant_flows(flow_sums(trades, odds, listed(), np.array([0.5, 0.5, 0.5, 0.5, np.nan]), spot))
    assert flows.left_out == {Reason.NOT_A_NUMBER: 3, Reason.NO_QUOTE: 1}
    assert all(np.isfinite(x) for f in (flows.institutional_flow, flows.retail_flow) for x in (f.premium, f.premium_deviation, f.delta, f.delta_deviation))


def test_no_spot_is_no_reason_to_say_nothing():
    signed, spot = a_tape(2, 5)
    assert np.isfinite(institutional_probability(trade_features(signed, listed(), np.full(5, np.nan)))).all()


@given(seeds, st.integers(2, 60), st.integers(0, 60))
def test_flows_add_up_over_any_cut_and_kinds(seed, n, cut):
    signed, spot = a_tape(seed, n)
    cut = min(cut, n)
    odds, t, delta = participant_odds(trade_features(signed, listed(), spot)), signed.trades, np.full(n, 0.4)
    whole = flow_sums(t, odds, listed(), delta, spot)
    parts = flow_sums(t.rows(0, cut), odds.rows(0, cut), listed(), delta[:cut], spot[:cut]) + flow_sums(t.rows(cut, n), odds.rows(cut, n), listed(), delta[cut:], spot[cut:])
    np.testing.assert_allclose(whole.sums, parts.sums, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(whole.totals, parts.totals)
    both = participant_flows(whole)
    premium = (odds.expected_sign * t.price * t.size * 100).sum()
    np.testing.assert_allclose(both.institutional_flow.premium + both.retail_flow.premium, premium, atol=1e-6)
    np.testing.assert_allclose(both.institutional_flow.share + both.retail_flow.share, 1.0)
    assert 0.5 <= both.retail_flow.confidence <= 1.0


@given(seeds, rows)
def test_the_deviation_lies_between_independent_and_one_error_a_contract(seed, n):
    signed, spot = a_tape(seed, n)
    odds = participant_odds(trade_features(signed, listed(), spot))
    sums = flow_sums(signed.trades, odds, listed(), np.full(n, 0.4), spot)
    def deviation(rho: float) -> float:
        return participant_flows(sums, ParticipantModel(DEFAULT_MODEL.side, DEFAULT_MODEL.kind, ((rho,) * 3, (rho,) * 3))).institutional_flow.premium_deviation
    assert deviation(0.0) <= deviation(0.5) + 1e-9 <= deviation(1.0) + 2e-9


def test_sure_odds_have_no_doubt():
    trades = Trades(np.arange(3), np.array([0, 0, 1]), np.full(3, 2.0), np.array([10.0, 20, 30]))
    odds = ParticipantOdds(np.array([1.0, 0, 1]), np.array([1.0, 1, 0]), np.array([1.0, 0, 0]), np.array([0.0, 1, 0]))
    flows = participant_flows(flow_sums(trades, odds, listed(), np.full(3, 0.5), np.full(3, 100.0)))
    assert (flows.institutional_flow.contracts, flows.institutional_flow.premium, flows.institutional_flow.premium_deviation) == (-10, -2000, 0)
    assert (flows.retail_flow.contracts, flows.retail_flow.premium, flows.retail_flow.delta, flows.retail_flow.delta_deviation) == (30, 6000, 150_000, 0)
    assert flows.retail_flow.confidence == 1.0


def test_nothing_traded():
    signed, spot = a_tape(1, 1)
    odds = participant_odds(trade_features(signed, listed(), spot))
    flows = participant_flows(flow_sums(signed.trades.rows(0, 0), odds.rows(0, 0), listed(), np.empty(0), np.empty(0)))
    assert flows.institutional_flow.reason is Reason.NO_TRADES and flows.institutional_flow.premium == 0.0 and np.isnan(flows.institutional_flow.share)


def test_the_model_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="other terms"):
        ParticipantModel(DEFAULT_MODEL.kind, DEFAULT_MODEL.side, DEFAULT_MODEL.together)
    with pytest.raises(ValueError, match="2 x 3"):
        ParticipantModel(DEFAULT_MODEL.side, DEFAULT_MODEL.kind, ((2.0, 0, 0), (0, 0, 0)))
    with pytest.raises(ValueError, match="expected 1"):
        Logistic(("a",), (0.0,), (1.0,), (1.0, 2.0), 0.0)


def test_terms_are_as_many_as_their_names():
    signed, spot = a_tape(3, 7)
    looks = trade_features(signed, listed(), spot)
    assert side_terms(looks).shape == (7, len(SIDE_TERMS)) and kind_terms(looks, np.ones(7)).shape == (7, len(KIND_TERMS))


@settings(max_examples=20)
@given(seeds)
def test_rows_of_contracts_may_be_in_any_order(seed):
    signed, spot = a_tape(seed, 40)
    c, order = listed(), np.random.default_rng(seed).permutation(4)
    back = np.argsort(order)
    other = Contracts("A", "A", c.strike[order], c.expiry_day[order], c.expires_at[order], c.is_call[order], c.multiplier[order])
    t = signed.trades
    moved = SignedTrades(Trades(t.ts, back[t.index], t.price, t.size), signed.rule, signed.sign, signed.confidence, signed.bid, signed.ask)
    np.testing.assert_allclose(trade_features(moved, other, spot), trade_features(signed, c, spot), atol=1e-9)


def test_the_spot_is_the_last_that_was_known():
    from quanticity.feeds.simulator import simulate_session

    session = simulate_session(3)
    q = session.underlying_quotes
    ts = np.array([q.ts[0] - 1, q.ts[0], q.ts[1] - 1, q.ts[-1] + 5])
    np.testing.assert_allclose(spot_before(session, ts), [np.nan, *(0.5 * (q.bid + q.ask))[[0, 0, -1]]])
