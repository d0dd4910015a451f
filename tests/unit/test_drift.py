"""Drift: what is found, what is left alone, and as many false alarms as were ordered, autocorrelation or not."""

import math

import numpy as np
import pytest

from quanticity.analytics.drift import DriftParameters, DriftTest, correlation_time, drift, feature_drift, in_safe_mode
from quanticity.core.reasons import Reason

BARE = DriftParameters(level=0.05, alert_shift=0, safe_shift=0, alert_distance=0, safe_distance=0)


def autoregression(rng, n, phi, paths=1, tails=None):
    from scipy.signal import lfilter

    e = rng.standard_t(tails, (paths, n + 500)) if tails else rng.normal(size=(paths, n + 500))
    return lfilter([np.sqrt(1 - phi**2)], [1, -phi], e, axis=1)[:, 500:]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.97])
def test_correlation_time_of_an_autoregression(phi):
    rng = np.random.default_rng(1)
    truth = 1 + 2 * np.sum(2 / np.pi * np.arcsin(phi ** np.arange(1, 2000)))
    found = np.median([correlation_time(x) for x in autoregression(rng, 8000, phi, 20)])
    assert found == pytest.approx(truth, rel=0.15)


def test_correlation_time_tells_how_a_median_varies():
    x = autoregression(np.random.default_rng(2), 300, 0.8, 3000)
    medians = np.median(x, axis=1)
    tau = correlation_time(autoregression(np.random.default_rng(3), 50_000, 0.8)[0], 300)
    assert medians.var() == pytest.approx(np.pi / 2 * tau / 300, rel=0.1)


@pytest.mark.parametrize(("phi", "tails"), [(0.0, None), (0.6, None), (0.9, None), (0.6, 3)])
def test_false_alarms_are_near_nominal_on_stationary_data(phi, tails):
    x = autoregression(np.random.default_rng(4), 3600, phi, 600, tails)
    found = np.array([[r.alert for r in feature_drift("x", row[:3000], row[3000:], BARE, tests=1)[:2]] for row in x])
    location, distribution = found.mean(axis=0)
    assert 0.015 < location < 0.10, location
    assert 0.005 < distribution < 0.08, distribution


def test_as_if_independent_it_would_cry_wolf():
    from scipy.stats import ks_2samp

    x = autoregression(np.random.default_rng(4), 3600, 0.9, 100)
    assert np.mean([ks_2samp(row[:3000], row[3000:]).pvalue < 0.05 for row in x]) > 0.5


def test_the_level_holds_for_all_features_together():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(60):
        x = autoregression(rng, 2400, 0.7, 12)
        reports = drift({str(i): row[:2000] for i, row in enumerate(x)}, {str(i): row[2000:] for i, row in enumerate(x)}, BARE)
        alarms += any(r.alert for r in reports)
    assert alarms / 60 < 0.15  # 24 tests, 5% for all of them


def test_power():
    rng = np.random.default_rng(6)
    x = autoregression(rng, 3600, 0.7, 50)
    for change, test in ((lambda v: v + 2.5, DriftTest.LOCATION), (lambda v: v * 4, DriftTest.DISTRIBUTION)):
        found = [{r.test for r in feature_drift("x", row[:3000], change(row[3000:])) if r.alert} for row in x]
        assert np.mean([test in f for f in found]) > 0.95
    assert np.mean([any(r.alert for r in feature_drift("x", row[:3000], row[3000:])) for row in x]) < 0.1


def test_what_is_certain_but_small_is_no_alert_and_what_is_severe_is_safe_mode():
    rng = np.random.default_rng(7)
    history, now = rng.normal(size=20_000), rng.normal(size=5000)
    location, shape, _ = feature_drift("x", history, now + 0.3)
    assert not location.alert and location.threshold == 1.0 and feature_drift("x", history, now + 0.3, BARE)[0].alert
    severe = feature_drift("x", history, now + 6)
    assert severe[0].safe_mode and severe[1].safe_mode and severe[0].statistic == pytest.approx(6, abs=0.15)
    assert feature_drift("x", history, now - 6)[0].statistic == pytest.approx(-6, abs=0.15)
    assert severe[0].safe_threshold == 4.0 and severe[1].statistic > 0.75
    mild = feature_drift("x", history, now + 2)
    assert mild[0].alert and not mild[0].safe_mode


def test_one_bad_value_is_no_drift():
    rng = np.random.default_rng(8)
    history, now = rng.normal(size=3000), rng.normal(size=200)
    history[5], now[7] = 1e12, -1e12
    assert not any(r.alert for r in feature_drift("x", history, now))


def test_scale_and_unit_do_not_matter():
    rng = np.random.default_rng(9)
    history, now = autoregression(rng, 2000, 0.5)[0], autoregression(rng, 300, 0.5)[0] + 1.2
    for a, b in ((1e9, 0.0), (1e-9, 0.0), (3.0, 1000.0)):
        for one, other in zip(feature_drift("x", history, now), feature_drift("x", a * history + b, a * now + b)):
            assert (one.alert, one.safe_mode) == (other.alert, other.safe_mode) and other.statistic == pytest.approx(one.statistic, rel=1e-6)


def test_holes():
    rng = np.random.default_rng(10)
    history, now = rng.normal(size=1000), rng.normal(size=200)
    now[rng.random(200) < 0.3] = np.nan
    now[0] = np.inf
    report = feature_drift("x", history, now)[2]
    assert report.alert and not report.safe_mode and report.statistic == pytest.approx(np.mean(~np.isfinite(now)))
    fewer = feature_drift("x", np.where(rng.random(1000) < 0.5, np.nan, history), rng.normal(size=200))[2]
    assert fewer.statistic < -0.4 and not fewer.alert  # fewer holes than before is no harm


def test_what_cannot_be_tested_says_why():
    x = np.random.default_rng(11).normal(size=1000)
    few = feature_drift("x", x, x[:5])
    assert [r.reason for r in few] == [Reason.TOO_LITTLE_HISTORY, Reason.TOO_LITTLE_HISTORY, None] and math.isnan(few[0].statistic) and not few[0].alert
    walk = np.cumsum(x)  # a random walk: a thousand values, hardly an independent one
    assert feature_drift("x", walk, walk[-300:])[0].reason is Reason.TOO_LITTLE_HISTORY
    flat = feature_drift("x", np.zeros(500), np.r_[np.zeros(50), np.ones(150)])
    assert flat[0].reason is Reason.CONSTANT_HISTORY and flat[1].alert
    assert feature_drift("x", np.zeros(500), np.zeros(200))[1].statistic == 0.0
    empty = feature_drift("x", [], [])
    assert all(r.reason is Reason.TOO_LITTLE_HISTORY for r in empty) and "too little history" in empty[0].text
    assert feature_drift("x", np.full(100, np.nan), x)[0].reason is Reason.TOO_LITTLE_HISTORY


def test_safe_mode_names_features():
    x = np.random.default_rng(12).normal(size=(3, 2000))
    reports = drift({"a": x[0], "b": x[1], "gone": x[2]}, {"a": x[0, :300], "b": x[1, :300] + 50, "new": x[2]})
    assert in_safe_mode(reports) == ("b", "gone") and [r.feature for r in reports] == ["a"] * 3 + ["b"] * 3 + ["gone"] * 3
    assert "safe mode" in reports[3].text and "as before" in reports[0].text


def test_parameters_are_checked():
    for bad in ({"level": 0.0}, {"alert_distance": 0.9}, {"alert_missing": -0.1}, {"least": 1}):
        with pytest.raises(ValueError, match="expected 0 < level"):
            DriftParameters(**bad)
