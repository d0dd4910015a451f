"""Rolling statistics and z-scores: against the definitions, without a look ahead, to the last bit."""

import numpy as np
import pytest

from quanticity.analytics.rolling import RollingReason, rolling_rank, rolling_reason, rolling_statistics, zscore, zscores
from quanticity.core.reasons import Reason


def plain(values, window, robust, least):
    """The definition, one value at a time."""
    out = []
    for t, x in enumerate(values):
        past = [v for v in values[max(0, t - window):t] if np.isfinite(v)]
        if not np.isfinite(x) or len(past) < least:
            out.append(np.nan)
            continue
        if robust:
            center = np.median(past)
            scale = 1.482602218505602 * np.median(np.abs(past - center))
        else:
            center, scale = np.mean(past), np.std(past, ddof=1)
        out.append((x - center) / scale if scale > 0 else np.nan)
    return np.array(out)


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_scores_are_the_definition(robust, holes):
    rng = np.random.default_rng(1)
    x = rng.standard_t(3, 400) * 5 + 1e6
    x[rng.random(400) < holes] = np.nan
    found = zscores(x, 30, least=15, robust=robust)
    np.testing.assert_allclose(found.value, plain(x, 30, robust, 15), rtol=1e-7, atol=1e-9)
    assert np.array_equal(np.isnan(found.value), found.reason != 0)
    assert np.isfinite(found.value).sum() > 200


def test_numpy_agrees_on_the_statistics():
    x = np.random.default_rng(2).normal(size=100)
    included = rolling_statistics(x, 10, lag=0)
    windows = np.lib.stride_tricks.sliding_window_view(x, 10)
    np.testing.assert_allclose(included.center[9:], windows.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(included.scale[9:], windows.std(axis=1, ddof=1), rtol=1e-12)
    assert np.array_equal(included.low[9:], windows.min(axis=1)) and np.array_equal(included.high[9:], windows.max(axis=1))
    robust = rolling_statistics(x, 10, lag=0, robust=True)
    np.testing.assert_allclose(robust.center[9:], np.median(windows, axis=1), rtol=1e-14)


def test_the_future_does_not_change_the_past_to_the_last_bit():
    x = np.random.default_rng(3).normal(size=5000) * 1e3
    for robust in (False, True):
        whole = zscores(x, 97, robust=robust)
        for n in (98, 1234, 4999):
            assert zscores(x[:n], 97, robust=robust).value.tobytes() == whole.value[:n].tobytes()
            assert zscore(x[n], x[n - 97:n], robust=robust)[0] == whole.value[n]


def test_a_huge_value_is_forgotten_when_it_leaves_the_window():
    x = np.random.default_rng(4).normal(size=300)
    spoiled = x.copy()
    spoiled[50] = 1e15
    assert zscores(spoiled, 20).value[71:].tobytes() == zscores(x, 20).value[71:].tobytes()


def test_the_value_is_not_in_its_own_window():
    x = np.append(np.random.default_rng(5).normal(size=20), 1000.0)
    assert zscores(x, 20).value[-1] > 500  # included, it could not exceed 19 / sqrt(20)


def test_reasons():
    nan = np.nan
    cases = zscores([1.0, 1, 1, 5, nan, np.inf, 2], 3, least=3)
    assert [RollingReason(c).name for c in cases.reason] == ["TOO_LITTLE_HISTORY"] * 3 + ["CONSTANT_HISTORY", "NOT_A_NUMBER", "NOT_A_NUMBER", "TOO_LITTLE_HISTORY"]
    assert rolling_reason(0) is None and rolling_reason(3) is Reason.CONSTANT_HISTORY
    assert zscores([0.1 + 0.2, 0.3, 0.3, 0.3], 3).reason[-1] == RollingReason.CONSTANT_HISTORY  # rounding is not variation
    assert zscore(1.0, []) [1] is Reason.TOO_LITTLE_HISTORY
    assert zscore(1.0, [1.0, 1.0])[1] is Reason.CONSTANT_HISTORY
    assert zscores([], 5).value.shape == (0,)


@pytest.mark.parametrize("kwargs", [{"window": 0}, {"window": 5, "least": 6}, {"window": 5, "least": 0}, {"window": 5, "lag": 2}])
def test_arguments_that_do_not_fit(kwargs):
    with pytest.raises(ValueError, match="expected"):
        rolling_statistics([1.0, 2.0], **kwargs)


def test_rank():
    x = np.random.default_rng(6).normal(size=200)
    rank = rolling_rank(x, 50)
    assert np.isnan(rank[:50]).all()
    assert rank[120] == np.mean(x[70:120] < x[120])
    assert rolling_rank([1.0, 1.0, 1.0], 2)[2] == 0.5
