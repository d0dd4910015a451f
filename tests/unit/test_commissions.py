from datetime import date

import pytest

from quanticity.core.types import Side
from quanticity.market.commissions import SCHEDULES, CommissionSchedule, commission, order_commission, schedule_on

NOW = SCHEDULES[-1]


@pytest.mark.parametrize(("month", "quantity", "price", "dollars"), [
    (0, 1, 2.00, 1.00), (0, 2, 5.00, 1.30), (0, 3, 0.075, 1.50), (0, 5, 0.03, 1.25),
    (10_000, 1, 2.00, 1.00), (10_000, 2, 5.00, 1.00), (10_000, 3, 0.075, 1.50), (10_000, 5, 0.03, 1.25),
    (50_000, 5, 2.00, 1.25), (100_000, 5, 5.00, 1.00), (100_000, 7, 2.00, 1.05),
])
def test_published_examples(month, quantity, price, dollars):
    assert commission(NOW, Side.BUY, quantity, price, 100, month).broker == dollars


@pytest.mark.parametrize(("price", "dollars"), [(0.0499, 2.5), (0.05, 5.0), (0.0999, 5.0), (0.10, 6.5)])
def test_a_premium_at_a_threshold_is_in_the_upper_band(price, dollars):
    assert commission(NOW, Side.BUY, 10, price, 100).broker == dollars


def test_the_older_schedule_charges_seventy_cents():
    assert commission(schedule_on(date(2015, 12, 24)), Side.BUY, 2, 5.00, 100).broker == 1.40


def test_an_order_across_a_tier_is_charged_marginally():
    assert commission(NOW, Side.BUY, 10, 1.0, 100, 9_995).broker == pytest.approx(5 * 0.65 + 5 * 0.50)
    assert commission(NOW, Side.BUY, 100_001, 1.0, 100, 0).broker == pytest.approx(
        10_000 * 0.65 + 40_000 * 0.5 + 50_000 * 0.25 + 0.15)


def test_third_party_fees_by_hand():
    bought, sold = commission(NOW, Side.BUY, 10, 1.50, 100), commission(NOW, Side.SELL, 10, 1.50, 100)
    assert bought.third_party == pytest.approx(0.2685 + 0.20 + 0.048)
    assert sold.third_party == pytest.approx(0.2685 + 0.20 + 0.048 + 0.0279 + 0.0417)
    assert sold.total == pytest.approx(sold.broker + sold.third_party)


def test_clearing_is_capped():
    below, above = (commission(NOW, Side.BUY, n, 1.0, 100).third_party for n in (2_750, 2_751))
    assert above - below == pytest.approx(0.02685 + 0.0048, abs=2e-4)


@pytest.mark.parametrize(("price", "fee"), [(0.99, 0.36), (1.00, 0.45)])
def test_index_options_pay_the_exchange(price, fee):
    difference = (commission(NOW, Side.BUY, 3, price, 100, root="SPXW").total
                  - commission(NOW, Side.BUY, 3, price, 100, root="SPY").total)
    assert difference == pytest.approx(3 * fee)


@pytest.mark.parametrize("side", list(Side))
def test_pieces_add_up_to_the_whole(side):
    fills = [(1, 0.06), (3, 0.11), (2, 0.04), (9_999, 2.0), (1, 0.09)]
    parts = [order_commission(NOW, side, fills[:k], *fills[k], 100) for k in range(len(fills))]
    whole = order_commission(NOW, side, [], 1, 0.06, 100)
    assert parts[0] == whole
    broker = max(1.0, 0.50 + 3 * 0.65 + 2 * 0.25 + 9_994 * 0.65 + 5 * 0.50 + 0.50)
    assert sum(p.broker for p in parts) == pytest.approx(broker, abs=1e-9)


def test_the_minimum_is_paid_once():
    assert [order_commission(NOW, Side.BUY, [(1, 0.03)] * k, 1, 0.03, 100).broker for k in range(6)] == \
        [1.0, 0.0, 0.0, 0.0, 0.25, 0.25]


@pytest.mark.parametrize(("quantity", "price"), [(0, 1.0), (-1, 1.0), (1, -0.01), (1, float("nan"))])
def test_what_cannot_be_charged_is_refused(quantity, price):
    with pytest.raises(ValueError, match="cannot charge"):
        commission(NOW, Side.BUY, quantity, price, 100)


def test_schedule_by_day():
    assert schedule_on(date(1999, 1, 1)) is SCHEDULES[0]
    assert schedule_on(date(2024, 10, 31)) is SCHEDULES[-2]
    assert schedule_on(date(2024, 11, 1)) is SCHEDULES[-1]
    assert schedule_on(date(2024, 11, 1), SCHEDULES[::-1]) is SCHEDULES[-1]


def test_a_schedule_must_be_whole():
    common = dict(minimum=1.0, regulatory_fee=0.0, clearing_fee=0.0, clearing_cap=55.0, audit_trail_fee=0.0,
                  activity_fee=0.0, sec_rate=0.0)
    with pytest.raises(ValueError, match="without end"):
        CommissionSchedule("x", date(2020, 1, 1), (), ((100.0, (0.5,)),), **common)
    with pytest.raises(ValueError, match="2 rates for 1 premium bands"):
        CommissionSchedule("x", date(2020, 1, 1), (), ((float("inf"), (0.5, 0.6)),), **common)
    with pytest.raises(ValueError, match="ascend"):
        CommissionSchedule("x", date(2020, 1, 1), (0.1, 0.05), ((float("inf"), (0.5, 0.6, 0.7)),), **common)
