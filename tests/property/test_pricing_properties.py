"""What holds for every option, whatever its numbers."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quanticity.analytics.exposure import exposures
from quanticity.analytics.pricing import VolatilityReason, black_scholes_price, greeks, implied_vol

EPS = np.finfo(np.float64).eps
NAMES = ("price", "delta", "gamma", "vega", "theta", "vanna", "charm", "vomma", "speed", "color")

spots = st.floats(1.0, 10_000.0)
moneyness = st.floats(0.4, 1.6)
years = st.floats(1 / 525_600, 2.0)
rates = st.floats(-0.01, 0.10)
vols = st.floats(0.05, 1.5)
contract = st.tuples(spots, moneyness, years, rates, rates, vols)


def unpack(c):
    spot, m, t, r, q, v = c
    return spot, spot / m, t, r, q, v


@given(contract)
def test_put_call_parity(c):
    s, k, t, r, q, v = unpack(c)
    call, put = greeks(s, k, t, r, q, v, [True, False]).price
    parity = s * np.exp(-q * t) - k * np.exp(-r * t)
    assert abs(call - put - parity) <= 8 * EPS * (s + k)
    call, put = black_scholes_price(s, k, t, r, q, v, [True, False])
    assert abs(call - put - parity) <= 8 * EPS * (s + k)


@given(contract)
def test_put_call_parity_of_the_greeks(c):
    s, k, t, r, q, v = unpack(c)
    g = greeks(s, k, t, r, q, v, [True, False])
    for name in ("gamma", "vega", "vanna", "vomma", "speed", "color"):
        assert getattr(g, name)[0] == getattr(g, name)[1]
    assert abs(g.delta[0] - g.delta[1] - np.exp(-q * t)) <= 4 * EPS
    assert abs(g.charm[0] - g.charm[1] - q * np.exp(-q * t)) <= 8 * EPS * np.abs(g.charm).max() + 8 * EPS
    theta = q * s * np.exp(-q * t) - r * k * np.exp(-r * t)
    assert abs(g.theta[0] - g.theta[1] - theta) <= 16 * EPS * (np.abs(g.theta).max() + s + k)


@given(contract, st.booleans())
def test_both_prices_agree(c, call):
    s, k, t, r, q, v = unpack(c)
    assert abs(black_scholes_price(s, k, t, r, q, v, call) - greeks(s, k, t, r, q, v, call).price) <= 16 * EPS * (s + k)


@given(contract, st.booleans())
def test_signs_and_bounds(c, call):
    s, k, t, r, q, v = unpack(c)
    g = greeks(s, k, t, r, q, v, call)
    assert all(np.isfinite(getattr(g, name)) for name in NAMES) and g.reason == VolatilityReason.OK
    assert 0 <= g.delta * (1 if call else -1) <= np.exp(-q * t) * (1 + 4 * EPS) and g.gamma >= 0 and g.vega >= 0
    price = black_scholes_price(s, k, t, r, q, v, call)
    intrinsic = (1 if call else -1) * (s * np.exp(-q * t) - k * np.exp(-r * t))
    slack = 8 * EPS * (s + k)
    assert max(intrinsic, 0) - slack <= price <= (s * np.exp(-q * t) if call else k * np.exp(-r * t)) + slack


@given(contract)
def test_a_call_without_dividends_decays(c):
    s, k, t, r, _, v = unpack(c)
    assert greeks(s, k, t, abs(r), 0.0, v, True).theta <= 0


@given(contract, st.booleans(), st.floats(1e-4, 0.5))
def test_price_rises_with_volatility_and_the_call_with_spot(c, call, more):
    s, k, t, r, q, v = unpack(c)
    slack = 8 * EPS * (s + k)
    low, high = black_scholes_price(s, k, t, r, q, [v, v + more], call)
    assert high >= low - slack
    low, high = black_scholes_price([s, s * (1 + more)], k, t, r, q, v, True)
    assert high >= low - slack
    low, high = black_scholes_price(s, [k, k * (1 + more)], t, r, q, v, False)
    assert high >= low - slack


@given(contract, st.booleans(), st.floats(0.01, 100.0))
def test_units_of_money_cancel(c, call, unit):
    s, k, t, r, q, v = unpack(c)
    assume(abs(np.log(s / k) + (r - q) * t) < 8 * v * np.sqrt(t))
    g, scaled = greeks(s, k, t, r, q, v, call), greeks(s * unit, k * unit, t, r, q, v, call)
    slack = 1e-12 / (v * np.sqrt(t)) ** 2  # the rounding of k * unit, seen through d1
    for name, power in (("delta", 0), ("gamma", -1), ("vega", 1), ("vanna", 0)):
        wanted = getattr(g, name) * unit**power
        size = {"delta": 1.0, "gamma": 1 / (s * unit * v * np.sqrt(t)), "vega": s * unit * np.sqrt(t), "vanna": 1 / v}[
            name
        ]
        assert abs(getattr(scaled, name) - wanted) <= slack * size


@settings(max_examples=300)
@given(contract, st.booleans())
def test_implied_volatility_round_trip(c, call):
    s, k, t, r, q, v = unpack(c)
    price = black_scholes_price(s, k, t, r, q, v, call)
    found, reason = implied_vol(price, s, k, t, r, q, call)
    if reason != VolatilityReason.OK:
        assert np.isnan(found) and reason == VolatilityReason.NO_TIME_VALUE
        parity = s * np.exp(-q * t) - k * np.exp(-r * t)
        assert price - max(parity if call else -parity, 0) <= 8 * EPS * (
            price + abs(parity) + abs(r * t * k) + abs(q * t * s)
        ) + 2 * EPS * (s * np.exp(-q * t) + k * np.exp(-r * t)) + np.finfo(np.float64).tiny  # the reference's own rounding
        return
    vega = greeks(s, k, t, r, q, v, call).vega
    assert abs(found - v) <= max(1e-10, 10 * EPS * price / max(vega, 1e-300))


def test_a_denormal_premium_has_no_digits_to_solve_from():
    found, reason = implied_vol(1.8e-321, 1.0, 0.6, 0.23, 0.0, 0.0, False)
    assert np.isnan(found) and reason == VolatilityReason.NO_TIME_VALUE


@given(st.floats(0, 1e5), contract, st.booleans())
def test_whatever_the_price_the_answer_prices_back(price, c, call):
    s, k, t, r, q, _ = unpack(c)
    found, reason = implied_vol(price, s, k, t, r, q, call)
    assert np.isnan(found) == (reason != VolatilityReason.OK)
    if reason == VolatilityReason.OK:
        assert found > 0
        assert abs(black_scholes_price(s, k, t, r, q, found, call) - price) <= 1e-9 * (s + k)
    else:
        bound = s * np.exp(-q * t) if call else k * np.exp(-r * t)
        parity = s * np.exp(-q * t) - k * np.exp(-r * t)
        inside = max(parity if call else -parity, 0) * (1 + 1e-12) + 1e-12 < price < bound * (1 - 1e-12)
        assert not inside or reason == VolatilityReason.NOT_CONVERGED


@given(
    st.lists(
        st.tuples(moneyness, st.integers(1, 500), vols, st.booleans(), st.integers(0, 10_000)), min_size=1, max_size=30
    ),
    st.integers(0, 30),
    st.randoms(use_true_random=False),
)
def test_exposures_add_up_over_any_partition_and_order(rows, cut, random):
    def total(part):
        if not part:
            return np.zeros(4)
        m, days, vol, call, interest = (np.array(column) for column in zip(*part, strict=True))
        g = greeks(100.0, 100.0 / m, days / 365, 0.03, 0.01, vol, call)
        e = exposures(100.0, 100.0 / m, days, call, interest, 100, g)
        assert e.counted == len(part)
        return np.array([e.total_gex, e.total_dex, e.total_vex, e.total_chex])

    whole, size = total(rows), np.abs(np.array([total([row]) for row in rows])).sum(axis=0)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert (np.abs(total(shuffled[:cut]) + total(shuffled[cut:]) - whole) <= 1e-12 * size).all()
