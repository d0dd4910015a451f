import pytest

from quanticity.risk.sizing import notional, size_by_notional


@pytest.mark.parametrize(("target", "premium", "multiplier", "contracts"), [
    (5_000, 1.50, 100, 33), (5_000, 5.00, 100, 10), (4_830, 0.69, 100, 70), (149.99, 1.50, 100, 0), (150, 1.50, 100, 1),
    (0, 1.0, 100, 0), (-100, 1.0, 100, 0), (1_000, 1.0, 10, 100),
])
def test_floor(target, premium, multiplier, contracts):
    assert size_by_notional(target, premium, multiplier) == contracts


def test_never_above_the_target_nor_a_contract_below():
    for cents in range(1, 3_000):
        q = size_by_notional(7_500, cents / 100, 100)
        assert notional(q, cents / 100, 100) <= 7_500 < notional(q + 1, cents / 100, 100)


@pytest.mark.parametrize(("caps", "contracts"), [
    ({"max_contracts": 7}, 7), ({"max_contracts": 70}, 33), ({"max_contracts": -1}, 0), ({"shown_size": 3.9}, 3),
    ({"shown_size": 0.0}, 0), ({"shown_size": float("nan")}, 0), ({"shown_size": 9, "max_contracts": 8}, 8),
])
def test_caps(caps, contracts):
    assert size_by_notional(5_000, 1.50, 100, **caps) == contracts


@pytest.mark.parametrize(("target", "premium", "multiplier"), [
    (1, 0.0, 100), (1, -1.0, 100), (1, float("nan"), 100), (1, float("inf"), 100), (1, 1.0, 0), (float("nan"), 1.0, 100),
])
def test_nonsense_is_refused(target, premium, multiplier):
    with pytest.raises(ValueError, match="must be"):
        size_by_notional(target, premium, multiplier)
