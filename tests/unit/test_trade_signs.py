"""Who started a trade: the quote that stood, the rules, and the confidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.trade_signs import (
    ACCURACY,
    SignRule,
    at_touch,
    bulk_buy_share,
    by_contract,
    ellis_michaely_ohara,
    lee_ready,
    prevailing_quotes,
    quote_rule,
    sign_accuracy,
    sign_trades,
    tick_rule,
)
from quanticity.market.tape import Quotes, Trades, empty


def quotes_of(rows):
    """(ts, index, bid, ask) rows."""
    ts, index, bid, ask = (np.array(c) for c in zip(*rows, strict=True))
    return Quotes(ts, index, bid.astype(float), ask.astype(float), np.ones(len(ts)), np.ones(len(ts)))


def trades_of(rows):
    ts, index, price = (np.array(c) for c in zip(*rows, strict=True))
    return Trades(ts, index, price.astype(float), np.ones(len(ts)))


ROWS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(1, 50)), min_size=0, max_size=40)


@settings(deadline=None, max_examples=150)
@given(ROWS, ROWS, st.booleans(), st.sampled_from([1, 70_000]))
def test_prevailing_quotes_against_a_loop(q, t, same, wide):
    q, t = sorted(q, key=lambda r: r[0]), sorted(t, key=lambda r: r[0])
    quotes = quotes_of([(ts, i * wide, b, b + 1) for ts, i, b in q]) if q else empty(Quotes)
    trades = trades_of([(ts, i * wide, p) for ts, i, p in t]) if t else empty(Trades)
    bid, ask = prevailing_quotes(trades, quotes, same)
    for row, (ts, i, _) in enumerate(t):
        before = [b for at, j, b in q if j == i and (at < ts or (same and at == ts))]
        assert (np.isnan(bid[row]) and np.isnan(ask[row])) if not before else (bid[row], ask[row]) == (before[-1], before[-1] + 1)


@settings(deadline=None, max_examples=150)
@given(ROWS)
def test_tick_rule_against_a_loop(rows):
    index, price = np.array([i for _, i, _ in rows], np.int64), np.array([p for _, _, p in rows], float)
    found, last, sign = tick_rule(price, index), {}, {}
    for row, (i, p) in enumerate(zip(index.tolist(), price.tolist(), strict=True)):
        if i in last and p != last[i]:
            sign[i] = 1 if p > last[i] else -1
        last[i] = p
        assert found[row] == sign.get(i, 0)


def test_the_quote_rule_and_its_silences():
    bid, ask = np.array([1.0, 1.0, 1.0, np.nan, 1.2]), np.array([1.2, 1.2, 1.2, np.nan, 1.0])
    assert quote_rule(np.array([1.2, 1.05, 1.1, 1.2, 1.1]), bid, ask).tolist() == [1, -1, 0, 0, 0]
    one_sided = quote_rule(np.array([1.2, 1.3, 1.1, 1.0, 0.9, 1.1]), np.array([np.nan] * 3 + [1.0] * 3), np.array([1.2] * 3 + [np.nan] * 3))
    assert one_sided.tolist() == [1, 1, 0, -1, -1, 0]
    assert quote_rule(np.array([0.3]), np.array([0.1]), np.array([0.5])).tolist() == [0]  # 0.1 + 0.5 is not 0.6 to the bit


def test_lee_ready_falls_back_on_the_tick():
    price, zero = np.array([1.0, 1.1, 1.1, 1.2]), np.zeros(4, np.int64)
    assert lee_ready(price, np.full(4, 1.0), np.full(4, 1.2), zero).tolist() == [-1, 1, 1, 1]
    assert lee_ready(price, np.full(4, np.nan), np.full(4, np.nan), zero).tolist() == [0, 1, 1, 1]


def test_emo_reads_the_touch_only():
    price, zero = np.array([1.0, 1.15, 1.2, 1.1]), np.zeros(4, np.int64)
    assert ellis_michaely_ohara(price, np.full(4, 1.0), np.full(4, 1.2), zero).tolist() == [-1, 1, 1, -1]
    assert ellis_michaely_ohara(price, np.full(4, 1.0), np.full(4, 1.0), zero).tolist() == [0, 1, 1, -1]  # locked: no touch


def test_the_touch():
    price, bid, ask = np.array([1.3, 1.2, 1.1, 1.0, 0.9]), np.full(5, 1.0), np.full(5, 1.2)
    assert at_touch(price, bid, ask).tolist() == [1, 1, 0, -1, -1]
    assert at_touch(price, bid, ask, through=False).tolist() == [0, 1, 0, -1, 0]
    assert at_touch(price, np.full(5, np.nan), ask).tolist() == [1, 1, 0, 0, 0] and at_touch(price, bid, np.full(5, np.nan)).tolist() == [0, 0, 0, -1, -1]
    assert not at_touch(price, ask, ask).any() and not at_touch(price, ask, bid).any() and not at_touch(price, np.full(5, np.nan), np.full(5, np.nan)).any()


def test_confidence_is_that_of_the_rule_that_spoke():
    trades = trades_of([(5, 0, 1.1), (6, 0, 1.2), (7, 0, 1.15), (8, 1, 9.0)])
    quotes = quotes_of([(1, 0, 1.1, 1.2)])
    found = sign_trades(trades, quotes, SignRule.LEE_READY)
    assert found.sign.tolist() == [-1, 1, -1, 0]
    assert found.confidence.tolist() == [ACCURACY[SignRule.LEE_READY]] * 2 + [ACCURACY[SignRule.TICK], 0.5]
    assert found.expected_sign.tolist() == pytest.approx([-0.6, 0.6, -0.18, 0.0])
    own = sign_trades(trades, quotes, SignRule.EMO, accuracy={SignRule.EMO: 0.9})
    assert own.sign.tolist() == [-1, 1, -1, 0] and own.confidence.tolist() == [0.9, 0.9, 0.59, 0.5]
    assert sign_trades(trades, quotes, SignRule.QUOTE).confidence.tolist() == [0.83, 0.83, 0.5, 0.5]
    assert sign_trades(trades, quotes, SignRule.TICK).sign.tolist() == [0, 1, -1, 0]


def test_no_trades_and_no_quotes():
    trades = trades_of([(5, 0, 1.1)])
    for rule in SignRule:
        assert len(sign_trades(empty(Trades), empty(Quotes), rule).sign) == 0
        assert sign_trades(trades, empty(Quotes), rule).sign.tolist() == [0]


def test_too_long_to_be_keyed():
    trades = Trades(np.array([0, 2**62]), np.array([0, 5]), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="64 bits"):
        prevailing_quotes(trades, quotes_of([(0, 0, 1, 2)]))


def test_order_by_contract_is_stable_whatever_the_numbers():
    for wide in (1, 70_000, -3):
        index = np.array([3, 1, 3, 2, 1]) * wide
        assert by_contract(index).tolist() == np.argsort(index, kind="stable").tolist()


def test_bulk_share():
    share = bulk_buy_share(np.array([0.0, 1.0, -1.0, 1.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert share[0] == 0.5 and share[1] + share[2] == pytest.approx(1) and np.isnan(share[3])


def test_accuracy_leaves_auctions_out():
    found = sign_accuracy(SignRule.QUOTE, np.array([1, -1, 0, 1], np.int8), np.array([1, 1, -1, 0], np.int8))
    assert found.matrix == ((0, 1, 0), (1, 0, 1)) and found.signed == pytest.approx(2 / 3) and found.right == 0.5
    none = sign_accuracy(SignRule.QUOTE, np.zeros(0, np.int8), np.zeros(0, np.int8))
    assert np.isnan(none.signed) and np.isnan(none.right)


def test_the_simulators_truth_is_found_more_often_than_not():
    from quanticity.feeds.simulator import DEMO_DAY, simulate

    day = next(iter(simulate(7, [DEMO_DAY])))
    found = {rule: sign_accuracy(rule, sign_trades(day.session.trades, day.session.quotes, rule).sign, day.truth.trades.initiator) for rule in SignRule}
    assert found[SignRule.QUOTE].right > 0.7 and found[SignRule.LEE_READY].right > 0.6 and found[SignRule.TICK].right > 0.5
    assert found[SignRule.LEE_READY].signed > found[SignRule.QUOTE].signed
