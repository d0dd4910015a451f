"""VPIN of the golden tape: seven trades, 400 shares, four buckets."""

import numpy as np
import pytest

from quanticity.analytics.trade_signs import tick_rule
from quanticity.analytics.vpin import bulk_buckets, signed_buckets, vpin

PRICE = np.array([100.00, 100.02, 100.05, 100.01, 99.98, 99.98, 100.03])
SIZE = np.array([60.0, 60, 100, 30, 90, 40, 20])


def close(found, expected):
    assert found == pytest.approx(expected, rel=1e-10, abs=0)


def test_bulk_classification():
    buckets = bulk_buckets(PRICE, SIZE, 100.0, sigma=0.05, first_price=100.0)
    close(np.abs(buckets.imbalance), [31.08434832206, 45.14937644999, 83.84866815325, 68.26894921371])
    close(vpin(buckets, 3)[2:], [0.5336079764177, 0.6575566460565])


def test_tick_rule_the_first_trade_a_buy():
    sign = tick_rule(PRICE, np.zeros(7, np.int64))
    assert sign[0] == 0
    sign[0] = 1
    buckets = signed_buckets(PRICE, SIZE, sign, 100.0)
    assert np.abs(buckets.imbalance).tolist() == [100.0, 100.0, 60.0, 60.0]
    close(vpin(buckets, 3)[2:], [13 / 15, 11 / 15])
