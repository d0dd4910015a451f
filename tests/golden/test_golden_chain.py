"""The golden chain: six contracts whose greeks, exposures and zero gamma are known to 40 digits."""

import numpy as np
import pytest

from quanticity.analytics.dealer_flow import elasticity
from quanticity.analytics.exposure import Convention, exposures, walls
from quanticity.analytics.pricing import black_scholes_price, greeks, implied_vol
from quanticity.analytics.zero_gamma import zero_gamma

SPOT, RATE, DIVIDEND = 100.0, 0.04, 0.013
STRIKE = np.array([105.0, 100.0, 100.0, 95.0, 110.0, 90.0])
DAYS = np.array([30, 30, 30, 30, 7, 90])
VOL = np.array([0.18, 0.20, 0.20, 0.235, 0.26, 0.27])
CALL = np.array([True, True, False, False, True, False])
INTEREST = np.array([4000.0, 3000.0, 2500.0, 6000.0, 1500.0, 5000.0])
YEARS = DAYS / 365

GREEKS = {
    "delta": [
        0.1901325670816,
        0.5262947391134,
        -0.4726373383715,
        -0.2036274748115,
        0.004464530146529,
        -0.1827976732769,
    ],
    "gamma": [
        0.05258656262918,
        0.06934516631563,
        0.06934516631563,
        0.04198594044651,
        0.003629905250145,
        0.01973763866832,
    ],
    "vanna": [
        1.399459691612,
        -0.01994860948806,
        -0.01994860948806,
        -0.9155249054008,
        0.1332462698032,
        -0.7531764392883,
    ],
    "charm": [-1.671920358042, -0.1561193092333, -0.1691054262406, 1.192809949634, -0.9129620627353, 0.3566961063533],
}
TOTALS = {"gex": -1001401.444709, "dex": 56634578.42069, "vex": 1504676.549526, "chex": -466933.126519}
GEX_BY_STRIKE = {
    90.0: -986881.9334159,
    95.0: -2519156.426791,
    100.0: 346725.8315782,
    105.0: 2103462.505167,
    110.0: 54448.57875217,
}


def _greeks():
    return greeks(SPOT, STRIKE, YEARS, RATE, DIVIDEND, VOL, CALL)


def _exposure(order=slice(None)):
    rows = np.arange(6)[order]
    g = greeks(SPOT, STRIKE[rows], YEARS[rows], RATE, DIVIDEND, VOL[rows], CALL[rows])
    return exposures(SPOT, STRIKE[rows], DAYS[rows], CALL[rows], INTEREST[rows], 100, g)


@pytest.mark.parametrize("name", GREEKS)
def test_greeks(name):
    np.testing.assert_allclose(getattr(_greeks(), name), GREEKS[name], rtol=1e-10)


@pytest.mark.parametrize("name", TOTALS)
def test_totals(name):
    assert getattr(_exposure(), f"total_{name}") == pytest.approx(TOTALS[name], rel=1e-10)


def test_gex_by_strike():
    by_strike = _exposure().by_strike
    assert by_strike.keys.tolist() == list(GEX_BY_STRIKE)
    np.testing.assert_allclose(by_strike.gex, list(GEX_BY_STRIKE.values()), rtol=1e-10)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1), [3, 1, 5, 0, 2, 4]])
def test_any_order_of_contracts_gives_the_same(order):
    assert _exposure(order).total_gex == pytest.approx(TOTALS["gex"], rel=1e-10)
    assert _exposure(order).by_expiry.keys.tolist() == [7, 30, 90]


@pytest.mark.parametrize("points", [3, 21, 41, 200])
def test_zero_gamma(points):
    zero = zero_gamma(SPOT, STRIKE, YEARS, RATE, DIVIDEND, VOL, CALL, INTEREST, 100, span=0.2, points=points)
    assert len(zero.roots) == 1
    assert zero.value == pytest.approx(101.31149829518, rel=1e-12)
    assert zero.reason is None


def test_walls_and_elasticity():
    found = walls(STRIKE, CALL, _exposure().gex)
    assert (found.call_wall, found.put_wall) == (105.0, 95.0)
    assert found.call_gex == pytest.approx(GEX_BY_STRIKE[105.0], rel=1e-10)
    # the golden value is GEX / ADV; hedge flow has the other sign
    assert elasticity(Convention.NAIVE, _exposure().total_gex, 250e6).value == pytest.approx(0.00400560577884, rel=1e-10)


def test_implied_vol_gives_the_volatilities_back():
    price = black_scholes_price(SPOT, STRIKE, YEARS, RATE, DIVIDEND, VOL, CALL)
    vol, reason = implied_vol(price, SPOT, STRIKE, YEARS, RATE, DIVIDEND, CALL)
    assert not reason.any()
    np.testing.assert_allclose(vol, VOL, rtol=1e-13)
