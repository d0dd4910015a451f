"""The kernels against 40-digit arithmetic, QuantLib and pyvolr, over random contracts of an hour to two years."""

import numpy as np
import pytest
import pyvolr
import QuantLib as ql

from quanticity.analytics.pricing import VolatilityReason, greeks, implied_vol

from .reference40 import NAMES, contracts, scales, worst_errors


@pytest.fixture(scope="module")
def errors():
    return worst_errors(2_000, 1)


@pytest.mark.parametrize("name", [*NAMES, "price, relative, out of the money", "implied volatility"])
def test_within_what_is_allowed(errors, name):
    assert errors[name] <= 1.0


def test_only_what_has_no_time_value_is_refused(errors):
    assert errors["refused without cause"] == 0 and errors["NaN without a reason, or with one a number"] == 0
    assert 0.7 < errors["recovered"] < 1.0


def test_against_quantlib():
    args = contracts(500, 13)
    found, scale = greeks(*args), scales(*args)
    for i, (s, k, t, r, q, v, call) in enumerate(zip(*(np.broadcast_to(a, args[1].shape).tolist() for a in args), strict=True)):
        book = ql.BlackCalculator(ql.PlainVanillaPayoff(ql.Option.Call if call else ql.Option.Put, k), s * np.exp((r - q) * t), v * np.sqrt(t), np.exp(-r * t))
        reference = {"price": book.value(), "delta": book.delta(s), "gamma": book.gamma(s), "vega": book.vega(t), "theta": book.theta(s, t)}
        for name, value in reference.items():
            assert abs(getattr(found, name)[i] - value) < 1e-10 * np.broadcast_to(scale[name], args[1].shape)[i], (name, i)


def test_against_pyvolr():
    args = spot, strike, years, rate, dividend, vol, call = contracts(2_000, 14)
    found, scale, flag = greeks(*args), scales(*args), np.where(call, "c", "p")
    peer = pyvolr.bs.greeks(flag, spot, strike, years, rate, vol, dividend)
    assert np.max(np.abs(found.delta - peer["delta"])) < 1e-11
    assert np.max(np.abs(found.gamma - peer["gamma"]) / scale["gamma"]) < 1e-11
    solved, reason = implied_vol(found.price, spot, strike, years, rate, dividend, call)
    theirs = pyvolr.bs.implied_vol(found.price, flag, spot, strike, years, rate, dividend, on_error="ignore")
    sure = (reason == VolatilityReason.OK) & (found.vega > 1e-3)
    assert sure.mean() > 0.5
    assert np.nanmax(np.abs(solved - theirs)[sure]) < 1e-9
