"""Calibration of regime thresholds: the bootstrap, the hindsight, the score by hand, and the bargain between false alarms and delay."""

import csv
import math

import numpy as np
import pytest

from quanticity.analytics.regimes import latched
from quanticity.core.errors import DataError
from quanticity.research.regime_calibration import (CalibrationSettings, _held, bootstrap_levels, calibrate_regimes, centred_median, episodes, fit_levels, runs,
                                                    score_detection, stationary_rows)


def history(days=5000, seed=1, phi=0.98):
    rng = np.random.default_rng(seed)
    h = x = 0.0
    out = np.empty(days)
    for t in range(days):
        h = 0.96 * h + 0.35 * rng.normal()
        x = phi * x + 0.04 * math.exp(0.5 * h) * rng.normal() + (rng.exponential(0.35) if rng.random() < 0.004 else 0.0)
        out[t] = 17 * math.exp(x)
    return out


QUICK = CalibrationSettings(draws=6, multiples=(0.9, 1.0, 1.05, 1.1, 1.2, 1.4), bands=(0.0, 0.1))


def test_blocks_are_geometric_and_start_anywhere():
    rows = stationary_rows(500, 200_000, 10.0, np.random.default_rng(1))
    joined = (rows[1:] - rows[:-1]) % 500 == 1
    lengths = np.diff(np.flatnonzero(np.r_[True, ~joined, True]))
    assert lengths.mean() == pytest.approx(10.0, rel=0.03) and np.mean(lengths == 1) == pytest.approx(0.1, abs=0.01)
    assert rows.min() == 0 and rows.max() == 499 and np.bincount(rows).std() < 60
    assert stationary_rows(7, 20, 1e12, np.random.default_rng(2))[:9].tolist() == [(stationary_rows(7, 20, 1e12, np.random.default_rng(2))[0] + i) % 7 for i in range(9)]


def test_the_bootstrap_keeps_level_spread_and_memory():
    x = history(9000)
    model = fit_levels(x)
    path = bootstrap_levels(model, 60_000, 60.0, np.random.default_rng(3))
    assert model.persistence == pytest.approx(0.98, abs=0.006) and model.half_life == pytest.approx(34, abs=12)
    np.testing.assert_allclose(np.quantile(path, [0.1, 0.5, 0.9]), np.quantile(x, [0.1, 0.5, 0.9]), rtol=0.15)
    lag = lambda y, k: np.corrcoef(np.log(y[k:]), np.log(y[:-k]))[0, 1]
    assert lag(path, 20) == pytest.approx(lag(x, 20), abs=0.12)
    squares = lambda y: np.corrcoef(*[np.abs(np.diff(np.log(y)))[s] for s in (slice(5, None), slice(None, -5))])[0, 1]
    assert squares(path) > 0.5 * squares(x) > 0.05  # unrest comes in clusters, in blocks too
    assert squares(bootstrap_levels(model, 60_000, 1.0, np.random.default_rng(3))) < 0.3 * squares(x)  # blocks of one day lose that


@pytest.mark.parametrize("bad", [[], [1.0] * 100, [0.0] * 1000, [-1.0] + [1.0] * 1000, [math.nan] * 1000, [5.0] * 1000, np.ones((600, 2))])
def test_levels_that_cannot_be_used(bad):
    with pytest.raises(DataError):
        calibrate_regimes(bad, QUICK)


def test_centred_median_and_episodes():
    x = np.random.default_rng(4).normal(size=60) + 20
    expected = [np.median(x[max(0, i - 5):i + 6]) for i in range(60)]
    np.testing.assert_allclose(centred_median(x, 5), expected)
    np.testing.assert_allclose(centred_median(x[:7], 5), [np.median(x[:7][max(0, i - 5):i + 6]) for i in range(7)])
    level = np.full(100, 10.0)
    level[50:54] = 90
    assert not episodes(level, 20.0).any()  # a blip
    level[50:75] = 30
    first, stop = runs(episodes(level, 20.0))
    assert (first.tolist(), stop.tolist()) == ([50], [75])


def by_hand(truth, found, tolerance):
    """False alarms, missed, delays and releases, one onset at a time."""
    n, false_alarms, told = len(truth), 0, set()
    first, stop = (a.tolist() for a in runs(truth))
    for t in range(1, n):
        if found[t] and not found[t - 1]:
            owner = None
            for j, (a, b) in enumerate(zip(first, stop)):
                begin = max(a - tolerance, 0 if j == 0 else min(stop[j - 1] + tolerance, a - 1) + 1)
                end = min(b + tolerance, (first[j + 1] if j + 1 < len(first) else n) - 1)
                if begin <= t <= end:
                    owner = j
            if owner is None or owner in told:
                false_alarms += 1
            told.add(owner)
    delays, releases, missed = [], [], 0
    for j, (a, b) in enumerate(zip(first, stop)):
        on = next((t for t in range(a, b) if found[t]), None)
        missed += on is None
        delays.append(b - a if on is None else on - a)
        limit = first[j + 1] if j + 1 < len(first) else n
        off = next((t for t in range(min(b, n - 1), n) if not found[t]), n)
        releases.append(max(min(off, limit) - b, 0))
    return false_alarms, missed, np.mean(delays) if delays else math.nan, np.mean(releases) if releases else math.nan


def test_the_score_is_what_it_says():
    rng = np.random.default_rng(5)
    for trial in range(60):
        flip = lambda p, size: (np.cumsum(rng.random(size) < p, axis=-1) + rng.integers(0, 2)) % 2 == 1
        truth, found = flip(0.06, 120), flip(rng.choice([0.05, 0.2]), (3, 120))
        tolerance = int(rng.integers(0, 12))
        score = score_detection(truth, found, tolerance)
        for row in range(3):
            expected = by_hand(truth, found[row], tolerance)
            got = (score.false_alarms[row], score.missed[row], score.delay[row], score.release[row])
            assert got == pytest.approx(expected, nan_ok=True), (trial, row)


def test_no_truth_and_no_detector():
    nothing = score_detection(np.zeros(50, bool), np.zeros((2, 50), bool))
    assert nothing.episodes == 0 and nothing.false_alarms.tolist() == [0, 0] and np.isnan(nothing.delay).all()
    alarm = np.zeros(50, bool)
    alarm[10:20] = True
    assert score_detection(np.zeros(50, bool), alarm).false_alarms == 1
    perfect = score_detection(alarm, alarm)
    assert (perfect.false_alarms, perfect.missed, perfect.delay, perfect.release) == (0, 0, 0, 0)
    never = score_detection(alarm, ~alarm & False)
    assert (never.missed, never.delay) == (1, 10)


def test_it_calibrates_the_detector_that_runs():
    """The candidates' rule is the one of `analytics.regimes`, boundary by boundary."""
    x = history(1500)
    thresholds = calibrate_regimes(x, QUICK).thresholds
    asked = latched(x, thresholds)
    for i in range(3):
        held = _held(x, np.array([thresholds.enter[i]]), np.array([thresholds.leave[i]]))[0]
        assert np.array_equal(asked > i, held)


def test_the_result():
    x, seen = history(4000), []
    found = calibrate_regimes(x, QUICK, lambda done, total, where: seen.append((done, total, where)))
    assert seen == [(i, 6, "histories") for i in range(1, 7)] and found.days == 4000
    for b, quantile, allowed in zip(found.boundaries, QUICK.quantiles, QUICK.false_alarms):
        assert b.cutoff == pytest.approx(np.quantile(x, quantile))
        assert b.leave.value <= b.enter.value and b.enter.value / b.cutoff in [pytest.approx(m) for m in QUICK.multiples]
        for e in (b.enter, b.leave):
            assert e.low <= e.value <= e.high
        assert b.false_alarms.value <= allowed or not b.reached
        assert 0 <= b.missed.value <= 1 and len(b.in_sample) == 4
    assert list(found.thresholds.enter) == sorted(found.thresholds.enter)


def test_same_seed_same_bytes_other_seed_other_histories():
    x = history(1500)
    assert repr(calibrate_regimes(x, QUICK)) == repr(calibrate_regimes(x, QUICK))
    other = CalibrationSettings(draws=6, multiples=QUICK.multiples, bands=QUICK.bands, seed=2)
    assert calibrate_regimes(x, other).boundaries[1].false_alarms != calibrate_regimes(x, QUICK).boundaries[1].false_alarms


def test_fewer_false_alarms_allowed_is_a_later_alarm():
    x = history(4000)
    strict, loose = (calibrate_regimes(x, CalibrationSettings(draws=6, false_alarms=(a, a, a))).boundaries[1] for a in (0.8, 5.0))
    assert strict.enter.value > loose.enter.value and strict.delay.value > loose.delay.value and strict.false_alarms.value < loose.false_alarms.value
    impossible = calibrate_regimes(x, CalibrationSettings(draws=4, false_alarms=(0.0, 0.0, 0.0), multiples=(1.0,), bands=(0.0,))).boundaries[1]
    assert not impossible.reached and impossible.false_alarms.value > 0


def test_hysteresis_earns_its_place():
    x = history(4000)
    without, with_band = (calibrate_regimes(x, CalibrationSettings(draws=8, bands=b, false_alarms=(2.0, 2.0, 2.0))).boundaries[1] for b in ((0.0,), (0.0, 0.05, 0.1, 0.15)))
    assert with_band.delay.value + with_band.release.value <= without.delay.value + without.release.value


@pytest.mark.parametrize("bad", [{"quantiles": (0.9, 0.5, 0.95)}, {"quantiles": (0.0, 0.5, 0.9)}, {"multiples": ()}, {"bands": (1.0,)}, {"draws": 0}, {"confidence": 1.0}, {"seed": -1}])
def test_settings_are_checked(bad):
    with pytest.raises(ValueError, match="expected rising quantiles"):
        CalibrationSettings(**bad)


def test_recorded_vix(recorded):
    file = recorded / "vix" / "vix-daily.csv"
    if not file.is_file():
        pytest.skip("no recorded VIX in the data folder")
    x = np.array([float(row["CLOSE"]) for row in csv.DictReader(file.open())])
    found = calibrate_regimes(x, CalibrationSettings(draws=10))
    normal, elevated, stressed = found.boundaries
    assert 13 < normal.enter.value < 18 and 21 < elevated.enter.value < 27 and 30 < stressed.enter.value < 40
    assert all(b.reached and b.delay.value < 4 for b in found.boundaries)
    assert abs(elevated.in_sample[0] - elevated.false_alarms.value) < 1.2  # the bootstrap's histories are like the one there was
