"""Realized volatility and variance: formulas one term at a time, unbiased where they promise it, jumps and noise told apart."""

import math

import numpy as np
import pytest

from quanticity.analytics.realized_variance import (bipower_variation, jump_split, log_returns, noise_variance, previous_tick, realized_kernel, realized_variance,
                                                    subsampled_variance, two_scale_variance)
from quanticity.analytics.realized_volatility import Estimator, annual_volatility, bar_variance, realized_volatility
from quanticity.core.reasons import Reason

MINUTE = 60 * 10**9
BARS = tuple(np.array(column) for column in zip((100, 103, 99, 102), (102.5, 104, 101.5, 102), (101, 102.5, 98, 99), (99, 99, 97, 98.5), (98.5, 101, 98, 100)))


def by_loop(estimator, o, h, low, c):
    n, log = len(o), math.log
    if estimator == "parkinson":
        return sum(log(h[i] / low[i]) ** 2 for i in range(n)) / (4 * n * log(2))
    if estimator == "garman_klass":
        return sum(0.5 * log(h[i] / low[i]) ** 2 - (2 * log(2) - 1) * log(c[i] / o[i]) ** 2 for i in range(n)) / n
    rs = [log(h[i] / c[i]) * log(h[i] / o[i]) + log(low[i] / c[i]) * log(low[i] / o[i]) for i in range(n)]
    if estimator == "rogers_satchell":
        return sum(rs) / n
    r, gap, inside = ([log(b / a) for a, b in pairs] for pairs in (list(zip(c, c[1:])), list(zip(c, o[1:])), list(zip(o, c))[1:]))
    var = lambda x: sum((v - sum(x) / len(x)) ** 2 for v in x) / (len(x) - 1)
    if estimator == "close_to_close":
        return var(r)
    k = 0.34 / (1.34 + n / (n - 2))  # n - 1 bars have a close before them
    return var(gap) + k * var(inside) + (1 - k) * sum(rs[1:]) / (n - 1)


@pytest.mark.parametrize("estimator", list(Estimator))
def test_each_formula(estimator):
    assert float(bar_variance(*BARS, estimator)) == pytest.approx(by_loop(estimator, *BARS), rel=1e-12)


def brownian_bars(paths, days, steps, sigma=0.01, drift=0.0, gap=0.0, seed=1):
    rng = np.random.default_rng(seed)
    moves = rng.normal(drift / steps, sigma / np.sqrt(steps), (paths, days, steps))
    jumps = rng.normal(0, gap, (paths, days, 1)) if gap else np.zeros((paths, days, 1))
    inside = np.concatenate((np.zeros((paths, days, 1)), np.cumsum(moves, axis=-1)), axis=-1)
    before = np.cumsum(inside[..., -1:] + jumps, axis=1)
    start = np.concatenate((np.zeros((paths, 1, 1)), before[:, :-1]), axis=1) + jumps
    path = 100 * np.exp(start + inside)
    return path[..., 0], path.max(axis=-1), path.min(axis=-1), path[..., -1]


@pytest.mark.parametrize(("estimator", "low", "efficiency"), [("close_to_close", 0.97, 0.9), ("parkinson", 0.93, 4.0), ("garman_klass", 0.91, 6.0),
                                                              ("rogers_satchell", 0.91, 4.5), ("yang_zhang", 0.91, 5.0)])
def test_unbiased_on_a_brownian_motion_and_as_efficient_as_said(estimator, low, efficiency):
    bars = brownian_bars(1000, 20, 500)
    found = bar_variance(*bars, estimator) / 1e-4
    assert low < found.mean() < 1.03  # below 1: the extremes between 500 moments were not seen
    assert bar_variance(*bars, "close_to_close").var() / (found.var() * 1e-8) > efficiency


def test_drift_and_gaps_mislead_those_that_assume_there_are_none():
    found, still = ({e: float((bar_variance(*brownian_bars(500, 20, 500, drift=d, gap=0.006), e) / 1e-4).mean()) for e in Estimator} for d in (0.01, 0.0))
    assert found["close_to_close"] == pytest.approx(1.36, abs=0.04)  # 1 + 0.6 squared
    assert 1.26 < found["yang_zhang"] < 1.38 and found["yang_zhang"] == pytest.approx(still["yang_zhang"], abs=0.04)
    assert 0.88 < found["rogers_satchell"] < 1 and found["rogers_satchell"] == pytest.approx(still["rogers_satchell"], abs=0.04)  # the session, drift or not
    assert found["parkinson"] > still["parkinson"] + 0.2 and found["garman_klass"] > still["garman_klass"] + 0.05  # drift taken for variance
    assert still["parkinson"] < 1 and still["garman_klass"] < 1  # the gap is not seen


def test_rolling_is_causal_and_is_the_plain_value_of_its_window():
    bars = [b[0] for b in brownian_bars(1, 120, 50)]
    for estimator in Estimator:
        found = realized_volatility(*bars, window=15, estimator=estimator)
        again = realized_volatility(*(b[:80] for b in bars), window=15, estimator=estimator)
        assert found.value[:80].tobytes() == again.value.tobytes()
        with_close = estimator in (Estimator.CLOSE_TO_CLOSE, Estimator.YANG_ZHANG)
        expected = annual_volatility(bar_variance(*(b[50 - 14 - with_close:51] for b in bars), estimator))
        assert found.value[50] == pytest.approx(float(expected), rel=1e-12)
        assert np.isnan(found.value[:14 + with_close]).all() and np.isfinite(found.value[15:]).all()


def test_annualisation_is_said_and_scales():
    bars = [b[0] for b in brownian_bars(1, 40, 1000)]
    daily, other = (realized_volatility(*bars, window=20, bars_a_year=n) for n in (252, 365))
    np.testing.assert_allclose(other.value[20:] / daily.value[20:], np.sqrt(365 / 252))
    assert (daily.bars_a_year, other.bars_a_year) == (252, 365)
    assert daily.value[-1] == pytest.approx(0.01 * np.sqrt(252), rel=0.3)


def test_bars_that_cannot_be_and_a_market_that_stands_still():
    bars = [b[0].copy() for b in brownian_bars(1, 40, 50)]
    for column, value in ((0, np.nan), (1, 1.0), (2, 0.0), (3, -5.0), (1, np.inf)):
        bad = [b.copy() for b in bars]
        bad[column][30] = value
        found = realized_volatility(*bad, window=10, least=8)
        assert np.isfinite(found.value[11:]).all() and found.count[31] == 8
        assert np.isnan(realized_volatility(*bad, window=10).value[30:40]).all()
    assert realized_volatility(*[np.full(30, 7.0)] * 4, window=10).value[-1] == 0.0
    assert realized_volatility(*[np.empty(0)] * 4, window=10).value.shape == (0,)
    with pytest.raises(ValueError, match="least = 1"):
        realized_volatility(*bars, window=5, least=1)


# within the day

def test_previous_tick():
    ts, price = np.array([10, 20, 20, 30]), np.array([1.0, 2, 3, 0])
    assert previous_tick(ts, price, np.array([9, 10, 20, 99])).tolist()[1:] == [1.0, 3.0, 3.0]  # the last of the same moment; a zero is no price
    assert np.isnan(previous_tick(ts, price, np.array([9]))[0]) and np.isnan(previous_tick(ts[:0], price[:0], np.array([9]))[0])


def seconds_of(paths, n=4680, sigma=0.01, noise=0.0, seed=3):
    """Ticks every five seconds, with a volatility that is U-shaped over the day."""
    rng = np.random.default_rng(seed)
    shape = 1 + 1.5 * (2 * np.arange(n) / n - 1) ** 2
    steps = rng.normal(size=(paths, n)) * sigma * np.sqrt(shape / shape.sum())
    return 100 * np.exp(np.concatenate((np.zeros((paths, 1)), np.cumsum(steps, axis=1)), axis=1) + rng.normal(0, noise, (paths, n + 1)))


def test_without_noise_all_are_unbiased():
    paths = seconds_of(200)
    ts = np.arange(paths.shape[1]) * 5 * 10**9
    assert realized_variance(paths).mean() == pytest.approx(1e-4, rel=0.01)
    assert bipower_variation(paths).mean() == pytest.approx(1e-4, rel=0.01)
    values = np.array([(subsampled_variance(ts, p, 0, int(ts[-1])), two_scale_variance(p, 60)[0], realized_kernel(p, 10)[0]) for p in paths]) / 1e-4
    assert np.abs(values.mean(axis=0) - 1).max() < 0.04


def test_noise_is_taken_out():
    paths = seconds_of(120, noise=0.0003)
    ts = np.arange(paths.shape[1]) * 5 * 10**9
    assert realized_variance(paths).mean() == pytest.approx(1e-4 + 2 * 4680 * 9e-8, rel=0.05)  # nine times too much
    assert np.mean([noise_variance(p) for p in paths]) == pytest.approx(9e-8 + 1e-4 / 9360, rel=0.05)
    two, kernel = (np.array([f(p)[0] for p in paths]) / 1e-4 for f in (two_scale_variance, realized_kernel))
    five = np.array([subsampled_variance(ts, p, 0, int(ts[-1])) for p in paths]) / 1e-4
    assert two.mean() == pytest.approx(1, abs=0.08) and kernel.mean() == pytest.approx(1, abs=0.12)
    assert five.mean() == pytest.approx(1 + 2 * 78 * 9e-8 / 1e-4, abs=0.08)  # the second best: little noise is left, not none
    assert two.std() < 0.25 and kernel.std() < 0.25


def test_subsampling_is_worth_something():
    paths = seconds_of(300)
    ts = np.arange(paths.shape[1]) * 5 * 10**9
    one, many = (np.array([subsampled_variance(ts, p, 0, int(ts[-1]), 5 * MINUTE, apart) for p in paths]) for apart in (5 * MINUTE, MINUTE))
    assert many.var() < 0.85 * one.var()
    grid = previous_tick(ts, paths[0], np.arange(0, ts[-1] + 1, 5 * MINUTE))
    assert one[0] == pytest.approx(float(realized_variance(grid)), rel=1e-12)


def test_two_scales_is_its_formula():
    p = seconds_of(1, n=50)[0]
    r, n, k = log_returns(p), 50, 6
    grids = [np.log(p[start::1][::k]) for start in range(k)]
    average = np.mean([np.sum(np.diff(g) ** 2) for g in grids])
    share = (n - k + 1) / k / n
    assert two_scale_variance(p, k)[0] == pytest.approx((average - share * float(r @ r)) / (1 - share), rel=1e-10)


def test_the_kernel_is_its_formula():
    p = seconds_of(1, n=60)[0]
    level = np.log(p)
    level = np.array([level[:2].mean(), *level[2:-2], level[-2:].mean()])
    r, total = np.diff(level), 0.0
    for lag in range(-7, 8):
        x = abs(lag) / 8
        weight = 1 - 6 * x**2 + 6 * x**3 if x <= 0.5 else 2 * (1 - x) ** 3
        total += weight * sum(r[i] * r[i - abs(lag)] for i in range(abs(lag), len(r)))
    assert realized_kernel(p, 7)[0] == pytest.approx(total, rel=1e-10)


def test_jumps_are_found_where_they_are_and_seldom_elsewhere():
    calm = seconds_of(2000, n=78)
    jumps = np.where(np.arange(79) >= 30, 1.012, 1.0)
    quiet, loud = jump_split(calm, 0.01), jump_split(calm * jumps, 0.01)
    assert 0.003 < quiet.jumped.mean() < 0.03 and loud.jumped.mean() > 0.9
    assert loud.jump[loud.jumped].mean() == pytest.approx(math.log(1.012) ** 2, rel=0.2)
    np.testing.assert_allclose(loud.continuous + loud.jump, loud.variance)
    assert (quiet.continuous[~quiet.jumped] == quiet.variance[~quiet.jumped]).all()


def test_too_little_and_impossible_prices():
    assert two_scale_variance(np.ones(5))[1] is Reason.TOO_LITTLE_HISTORY and realized_kernel(np.ones(5))[1] is Reason.TOO_LITTLE_HISTORY
    bad = np.append(np.linspace(1, 2, 40), -1.0)
    assert two_scale_variance(bad)[1] is Reason.NEGATIVE_PRICE and realized_kernel(bad)[1] is Reason.NEGATIVE_PRICE
    bounce = 100 * np.exp(np.where(np.arange(400) % 2, 0.001, -0.001))
    assert two_scale_variance(bounce, 2)[1] is Reason.NOT_CONVERGED  # nothing but noise: negative
    assert realized_kernel(bounce)[0] < 1e-5 < float(realized_variance(bounce))
    assert np.isnan(subsampled_variance(np.array([0]), np.array([5.0]), 0, 3600 * 10**9))
    assert np.isnan(realized_variance(np.array([np.nan, 1.0])))
