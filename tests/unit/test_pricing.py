"""Prices, greeks and implied volatilities against 40-digit arithmetic and QuantLib; no number without grounds."""

import mpmath as mp
import numpy as np
import pytest
import QuantLib as ql

from quanticity.analytics.pricing import (
    Greeks,
    VolatilityReason,
    black_scholes_price,
    charm_per_calendar_day,
    count_reasons,
    greeks,
    implied_vol,
    reason_of,
    theta_per_calendar_day,
    vega_per_vol_point,
)
from quanticity.core.reasons import Reason

NAMES = ("price", "delta", "gamma", "vega", "theta", "vanna", "charm", "vomma", "speed", "color")
EPS = np.finfo(np.float64).eps
MINUTE = 1 / (365 * 24 * 60)


def contracts(count, seed, shortest=1 / 8760):
    """Random contracts: log-uniform times to two years, moneyness 0.4 to 1.6, volatility 8 to 150%."""
    random = np.random.default_rng(seed)
    years = np.exp(random.uniform(np.log(shortest), np.log(2.0), count))
    # half of them within a few standard deviations, where greeks are not zero
    vol = random.uniform(0.08, 1.5, count)
    near = np.exp(np.clip(random.normal(size=count) * 2 * vol * np.sqrt(years), np.log(0.4), np.log(1.6)))
    moneyness = np.where(random.random(count) < 0.5, near, random.uniform(0.4, 1.6, count))
    return (
        100.0,
        100.0 / moneyness,
        years,
        random.uniform(0.0, 0.08, count),
        random.uniform(0.0, 0.05, count),
        vol,
        random.random(count) < 0.5,
    )


def rows(args):
    return zip(*(np.broadcast_to(a, args[1].shape).tolist() for a in args), strict=True)


def exact_price(s, k, t, r, q, v, call):
    s, k, t, r, q, v = (mp.mpf(x) for x in (s, k, t, r, q, v))
    d1 = (mp.log(s / k) + (r - q) * t) / (v * mp.sqrt(t)) + v * mp.sqrt(t) / 2
    f = 1 if call else -1
    return f * (s * mp.exp(-q * t) * mp.ncdf(f * d1) - k * mp.exp(-r * t) * mp.ncdf(f * (d1 - v * mp.sqrt(t))))


def exact_greeks(s, k, t, r, q, v, call):
    """Derivatives of the price taken numerically with 60 digits: no formula shared with the code under test."""

    def price(spot, years, vol):
        return exact_price(spot, k, years, r, q, vol, call)

    orders = {
        "price": (0, 0, 0),
        "delta": (1, 0, 0),
        "gamma": (2, 0, 0),
        "vega": (0, 0, 1),
        "theta": (0, 1, 0),
        "vanna": (1, 0, 1),
        "charm": (1, 1, 0),
        "vomma": (0, 0, 2),
        "speed": (3, 0, 0),
        "color": (2, 1, 0),
    }
    at = (mp.mpf(s), mp.mpf(t), mp.mpf(v))
    values = {name: mp.diff(price, at, order) if any(order) else price(*at) for name, order in orders.items()}
    for name in ("theta", "charm", "color"):
        values[name] = -values[name]
    return [float(values[name]) for name in NAMES]


def scales(s, k, t, r, q, v, call):
    """The size that each greek has near the money: errors are measured against it."""
    total = v * np.sqrt(t)
    carry = np.abs(r) + np.abs(q)
    return dict(
        price=s + k,
        delta=1.0,
        gamma=0.4 / (s * total),
        vega=0.4 * s * np.sqrt(t),
        theta=0.2 * s * v / np.sqrt(t) + carry * (s + k),
        vanna=0.25 / v,
        charm=carry * (1 + 0.4 / total) + 0.12 / t,
        vomma=0.3 * s * np.sqrt(t) / v,
        speed=0.25 / (s * total) ** 2 + 0.4 / (s * s * total),
        color=0.4 / (s * total) * (carry * (1 + 0.6 / total) + 0.5 / t),
    )


@pytest.mark.parametrize("shortest", [1 / 8760, MINUTE], ids=["from an hour", "from a minute"])
def test_greeks_are_the_derivatives_of_the_price(shortest):
    args = contracts(50, 11, shortest)
    found, scale = greeks(*args), scales(*args)
    with mp.workdps(60):
        wanted = np.array([exact_greeks(*row) for row in rows(args)]).T
    for name, reference in zip(NAMES, wanted, strict=True):
        error = np.abs(getattr(found, name) - reference) / scale[name]
        assert error.max() < 1e-11, (name, error.max())
    assert not found.reason.any()


def test_price_keeps_its_relative_precision_far_out_of_the_money():
    args = contracts(300, 12)
    found = black_scholes_price(*args)
    with mp.workdps(60):
        exact = [exact_price(*row) for row in rows(args)]
    relevant = [(a, b) for a, b in zip(found.tolist(), exact, strict=True) if b > mp.mpf("1e-280")]
    assert len(relevant) > 200
    # one rounding error in d1 costs d1 times as many in the price, and two error functions nearly cancel
    assert max(abs(float((mp.mpf(a) - b) / b)) for a, b in relevant) < 5e-12


def test_against_quantlib():
    args = contracts(200, 13)
    found, scale = greeks(*args), scales(*args)
    for i, (s, k, t, r, q, v, call) in enumerate(rows(args)):
        forward, discount = s * np.exp((r - q) * t), np.exp(-r * t)
        right = ql.Option.Call if call else ql.Option.Put
        book = ql.BlackCalculator(ql.PlainVanillaPayoff(right, k), forward, v * np.sqrt(t), discount)
        reference = dict(
            price=book.value(), delta=book.delta(s), gamma=book.gamma(s), vega=book.vega(t), theta=book.theta(s, t)
        )
        for name, value in reference.items():
            size = scale[name] if np.ndim(scale[name]) == 0 else scale[name][i]
            assert abs(getattr(found, name)[i] - value) < 1e-10 * size, (name, i)


@pytest.mark.parametrize("seed", [21, 22])
def test_implied_vol_is_as_right_as_the_price_allows(seed):
    args = contracts(300, seed)
    with mp.workdps(40):
        price = np.array([float(exact_price(*row)) for row in rows(args)])
    spot, strike, years, rate, dividend, vol, call = args
    found, reason = implied_vol(price, spot, strike, years, rate, dividend, call)
    ok = reason == VolatilityReason.OK
    np.testing.assert_array_equal(np.isnan(found), ~ok)
    vega = greeks(*args).vega
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.maximum(1e-10, 10 * EPS * price / vega)
    assert (np.abs(found - vol)[ok] <= bound[ok]).all()
    # every refusal is justified: time value within rounding of the price
    parity = spot * np.exp(-dividend * years) - strike * np.exp(-rate * years)
    intrinsic = np.maximum(np.where(call, parity, -parity), 0)
    assert (reason[~ok] == VolatilityReason.NO_TIME_VALUE).all()
    assert ((price - intrinsic)[~ok] <= 8 * EPS * price[~ok]).all()
    assert ok.mean() > 0.7


def test_implied_vol_settles_everywhere():
    """A wide plane of moneyness and total volatility, to forty standard deviations and 800% of total volatility."""
    moneyness, total = np.meshgrid(np.concatenate(([0.0], np.geomspace(1e-7, 4.0, 120))), np.geomspace(1e-4, 8.0, 120))
    strike = 100.0 * np.exp(moneyness)
    price = black_scholes_price(100.0, strike, 1.0, 0.0, 0.0, total, True)
    found, reason = implied_vol(price, 100.0, strike, 1.0, 0.0, 0.0, True)
    deep = price > 1e-290
    vega = greeks(100.0, strike, 1.0, 0.0, 0.0, total, True).vega
    bound = np.maximum(1e-10, 10 * EPS * price[deep] / np.maximum(vega[deep], 1e-290))
    assert deep.mean() > 0.6
    assert not reason[deep].any()
    assert (np.abs(found - total)[deep] <= bound).all()


@pytest.mark.parametrize(
    ("price", "years", "call", "reason"),
    [
        (25.0, 0.1, True, VolatilityReason.OK),
        (0.0, 0.1, False, VolatilityReason.NO_TIME_VALUE),
        (19.9, 0.1, True, VolatilityReason.BELOW_INTRINSIC),
        (0.0, 0.1, True, VolatilityReason.BELOW_INTRINSIC),
        (20.0, 0.1, True, VolatilityReason.NO_TIME_VALUE),
        (100.0, 0.1, True, VolatilityReason.ABOVE_BOUND),
        (80.0, 0.1, False, VolatilityReason.ABOVE_BOUND),
        (1e9, 0.1, False, VolatilityReason.ABOVE_BOUND),
        (25.0, 0.0, True, VolatilityReason.EXPIRED),
        (np.nan, -1.0, True, VolatilityReason.EXPIRED),
        (np.nan, 0.1, True, VolatilityReason.NO_QUOTE),
        (-1.0, 0.1, True, VolatilityReason.NO_QUOTE),
        (np.inf, 0.1, True, VolatilityReason.NO_QUOTE),
        (25.0, np.nan, True, VolatilityReason.NO_QUOTE),
    ],
)
def test_no_number_without_grounds(price, years, call, reason):
    vol, code = implied_vol(price, 100.0, 80.0, years, 0.0, 0.0, call)
    assert VolatilityReason(int(code)) is reason
    assert np.isnan(vol) == (reason is not VolatilityReason.OK)


@pytest.mark.parametrize("broken", range(1, 6))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_missing_input_gives_nan_and_a_reason(broken, value):
    args = [8.0, 100.0, 100.0, 0.5, 0.04, 0.01]
    args[broken] = value
    vol, reason = implied_vol(*args, True)
    assert np.isnan(vol)
    expired = broken == 3 and value < 0
    assert reason == (VolatilityReason.EXPIRED if expired else VolatilityReason.NO_QUOTE)
    found = greeks(*args[1:], 0.2, True)
    assert np.isnan([getattr(found, name) for name in NAMES]).all()
    assert found.reason == reason


@pytest.mark.parametrize(("spot", "strike"), [(0.0, 100.0), (-5.0, 100.0), (100.0, 0.0), (100.0, -1.0)])
def test_spot_and_strike_must_be_prices(spot, strike):
    assert implied_vol(1.0, spot, strike, 0.5, 0.0, 0.0, True)[1] == VolatilityReason.NO_QUOTE
    assert np.isnan(greeks(spot, strike, 0.5, 0.0, 0.0, 0.2, True).gamma)


def test_the_last_minute_is_finite_and_expiry_is_not():
    seconds = np.array([60.0, 10.0, 1.0, 1e-3, 0.0, -1.0])[:, None]
    found = greeks(100.0, np.array([60.0, 99.9, 100.0, 100.1, 160.0]), seconds / (365 * 86400), 0.04, 0.013, 0.2, True)
    for name in NAMES:
        assert np.isfinite(getattr(found, name)[:4]).all(), name
        assert np.isnan(getattr(found, name)[4:]).all(), name
    assert (found.reason[:4] == 0).all() and (found.reason[4:] == VolatilityReason.EXPIRED).all()
    np.testing.assert_allclose(found.delta[3], [1, 1, 0.5, 0, 0], atol=1e-4)


def test_numbers_do_not_depend_on_where_a_contract_stands():
    """Bit for bit: alone, at the end of an array of any length, in any order, as a row of a table."""
    args = contracts(300, 31)
    whole, order = greeks(*args), np.random.default_rng(0).permutation(300)
    price = black_scholes_price(*args)
    vol, why = implied_vol(price, *args[:5], args[6])
    for rows in (order, np.arange(299, -1, -1), np.array([7]), np.arange(129)):
        part = [np.broadcast_to(a, 300)[rows] for a in args]
        for name in (*NAMES, "reason"):
            np.testing.assert_array_equal(getattr(greeks(*part), name), getattr(whole, name)[rows])
        np.testing.assert_array_equal(black_scholes_price(*part), price[rows])
        found = implied_vol(price[rows], *part[:5], part[6])
        np.testing.assert_array_equal(found[0], vol[rows])
        np.testing.assert_array_equal(found[1], why[rows])
    table = greeks(args[0], args[1].reshape(20, 15).T, *(np.reshape(a, (20, 15)).T for a in args[2:]))
    np.testing.assert_array_equal(table.charm, whole.charm.reshape(20, 15).T)


def test_extreme_inputs_are_finite_or_nan_with_a_reason():
    values = [0.0, 1e-300, 1e-8, 1.0, 1e8, 1e300, np.inf, np.nan, -1.0]
    grid = [a.ravel() for a in np.meshgrid(values, values, values, values, indexing="ij")]
    found = greeks(grid[0], grid[1], grid[2], 0.04, 0.01, grid[3], True)
    assert (np.isnan(found.delta) == (found.reason != 0)).all()
    usable = (found.reason == 0) & (grid[0] > 1e-9) & (grid[0] < 1e9) & (grid[1] > 1e-9) & (grid[1] < 1e9) & (grid[2] < 2.0) & (grid[3] < 10.0) & (grid[2] > 1e-9) & (grid[3] > 1e-9)
    assert usable.sum() > 20
    for name in NAMES:
        assert np.isfinite(getattr(found, name)[usable]).all(), name


def test_shapes_broadcast_and_scalars_stay_scalar():
    found = greeks(np.array([[99.0], [101.0]]), np.array([90.0, 100.0, 110.0]), 0.1, 0.04, 0.0, 0.2, True)
    assert {getattr(found, name).shape for name in (*NAMES, "reason")} == {(2, 3)}
    single = greeks(100, 100, 1, 0, 0, 0.2, True)
    assert isinstance(single, Greeks) and single.gamma.shape == () and single.gamma.dtype == np.float64
    vol, reason = implied_vol([[1.0, 2.0]], 100.0, 100.0, [[0.1], [0.2]], 0.0, 0.0, True)
    assert vol.shape == reason.shape == (2, 2) and vol.dtype == np.float64 and reason.dtype == np.uint8
    assert implied_vol(np.empty(0), 100.0, np.empty(0), 0.1, 0.0, 0.0, True)[0].shape == (0,)
    assert greeks(100.0, np.empty(0), 0.1, 0.0, 0.0, 0.2, True).delta.shape == (0,)


def test_inputs_are_not_changed():
    args = [
        np.array(a, np.float64)
        for a in ([8.0, 9.0], [100.0, 101.0], [100.0, 99.0], [0.5, 0.4], [0.04, 0.03], [0.01, 0.0])
    ]
    before = [a.copy() for a in args]
    implied_vol(*args, np.array([True, False]))
    greeks(*args[1:], np.array([0.2, 0.3]), np.array([True, False]))
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_desk_units():
    assert vega_per_vol_point(25.0) == 0.25
    assert theta_per_calendar_day(-36.5) == pytest.approx(-0.1)
    assert charm_per_calendar_day(np.array([3.65]))[0] == pytest.approx(0.01)


def test_every_code_is_a_reason():
    assert reason_of(VolatilityReason.OK) is None
    assert [reason_of(m) for m in VolatilityReason][1:] == [
        Reason.NO_TIME_VALUE,
        Reason.BELOW_INTRINSIC,
        Reason.ABOVE_BOUND,
        Reason.EXPIRED,
        Reason.NO_QUOTE,
        Reason.NOT_CONVERGED,
    ]
    assert count_reasons(np.array([0, 4, 4, 1], np.uint8)) == {Reason.NO_TIME_VALUE: 1, Reason.EXPIRED: 2}
    with pytest.raises(ValueError):
        reason_of(99)
