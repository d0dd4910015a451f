"""Properties of rolling scores, realized volatility, indices, regimes and drift that hold for any input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quanticity.analytics.drift import feature_drift
from quanticity.analytics.realized_variance import bipower_variation, jump_split, realized_kernel, realized_variance, two_scale_variance
from quanticity.analytics.realized_volatility import Estimator, bar_variance, realized_volatility
from quanticity.analytics.regimes import RegimeParameters, Thresholds, first_state, regime_series, regime_step
from quanticity.analytics.rolling import rolling_rank, zscores

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
with_holes = st.one_of(numbers, st.just(math.nan))
prices = arrays(np.float64, st.integers(4, 60), elements=st.floats(1.0, 1000.0).map(lambda x: round(x, 2)))


@given(arrays(np.float64, st.integers(0, 60), elements=with_holes), st.integers(2, 12), st.booleans(), st.data())
def test_scores_have_no_look_ahead_and_a_reason_exactly_where_there_is_none(x, window, robust, data):
    least = data.draw(st.integers(1, window))
    found = zscores(x, window, least=least, robust=robust)
    assert np.array_equal(np.isnan(found.value), found.reason != 0) and not np.isinf(found.value).any()
    cut = data.draw(st.integers(0, len(x)))
    assert zscores(x[:cut], window, least=least, robust=robust).value.tobytes() == found.value[:cut].tobytes()
    later = x.copy()
    later[cut:] = 7.0
    assert zscores(later, window, least=least, robust=robust).value[:cut].tobytes() == found.value[:cut].tobytes()


@given(arrays(np.float64, st.integers(5, 40), elements=st.integers(-1000, 1000).map(float)), st.sampled_from([0.25, 2.0, 1024.0]), st.booleans())
def test_scores_do_not_depend_on_unit_and_origin(x, unit, robust):
    a, b, c = (zscores(v, 4, robust=robust) for v in (x, unit * x + 4096.0, -x))
    np.testing.assert_allclose(b.value, a.value, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(c.value, -a.value, rtol=1e-7, atol=1e-9)
    rank = rolling_rank(x, 4)
    known = ~np.isnan(rank)
    assert ((rank[known] >= 0) & (rank[known] <= 1)).all()
    np.testing.assert_allclose(rolling_rank(-x, 4)[known], 1 - rank[known])


@st.composite
def bars(draw):
    n = draw(st.integers(3, 20))
    low = draw(arrays(np.float64, n, elements=st.floats(1, 100)))
    high = low * (1 + draw(arrays(np.float64, n, elements=st.floats(0, 0.5))))
    inside = [low + (high - low) * draw(arrays(np.float64, n, elements=st.floats(0, 1))) for _ in range(2)]
    return inside[0], high, low, inside[1]


@given(bars(), st.sampled_from([0.01, 3.7, 1e6]))
def test_realized_volatility_is_not_negative_and_knows_no_currency(ohlc, unit):
    o, h, lo, c = ohlc
    o, c = np.clip(o, lo, h), np.clip(c, lo, h)
    for estimator in Estimator:
        value = float(bar_variance(o, h, lo, c, estimator))
        assert value >= -1e-12 if estimator is not Estimator.GARMAN_KLASS else value >= -0.4 * math.log(1.5) ** 2
        other = float(bar_variance(*(np.clip(x * unit, lo * unit, h * unit) for x in (o, h, lo, c)), estimator))
        assert other == pytest.approx(value, rel=1e-6, abs=1e-12)
    found = realized_volatility(o, h, lo, c, window=3)
    assert np.array_equal(np.isnan(found.value), found.reason != 0)


@given(prices)
def test_variances_within_the_day(price):
    total = float(realized_variance(price))
    assert total >= 0 and float(bipower_variation(price)) >= 0
    split = jump_split(price)
    assert float(split.continuous) + float(split.jump) == pytest.approx(float(split.variance), rel=1e-12, abs=1e-300)
    assert float(split.jump) >= 0
    for value, reason in (realized_kernel(price), two_scale_variance(price)):
        assert (reason is None) == (value == value) and not value < 0
    assert float(realized_variance(price[::-1])) == pytest.approx(total, rel=1e-9, abs=1e-15)  # time may run backwards


@st.composite
def regimes(draw):
    """Parameters with one or two inputs, and a series of their values."""
    def thresholds():
        enter = sorted(draw(st.lists(st.integers(5, 40), min_size=3, max_size=3)))
        band = draw(st.integers(0, 5))
        return Thresholds(tuple(map(float, enter)), tuple(float(e - band) for e in enter))

    names = ["a", "b"][:draw(st.integers(1, 2))]
    wait = st.sampled_from([0.0, 60.0, 150.0, 600.0])
    parameters = RegimeParameters({name: thresholds() for name in names}, draw(wait), draw(wait))
    n = draw(st.integers(0, 50))
    value = st.one_of(st.integers(0, 45).map(float), st.just(math.nan))
    steps = 30 * draw(arrays(np.int64, n, elements=st.integers(0, 6)))  # so that waiting ends at a row too
    return parameters, np.cumsum(steps) * 10**9, {name: draw(arrays(np.float64, n, elements=value)) for name in names}


def walked(parameters, ts, inputs, state=None):
    state, codes, events = state or first_state(parameters), [], []
    for i, now in enumerate(ts.tolist()):
        state, event = regime_step(state, now, {name: float(x[i]) for name, x in inputs.items()}, parameters)
        codes.append(-1 if state.regime is None else int(state.regime))
        events += [event] if event else []
    return codes, tuple(events), state


@given(regimes(), st.data())
def test_the_series_is_its_steps_whole_or_in_parts(case, data):
    parameters, ts, inputs = case
    codes, events, state = walked(parameters, ts, inputs)
    series = regime_series(ts, inputs, parameters)
    assert (series.regime.tolist(), series.transitions) == (codes, events)
    assert repr(series.state) == repr(state)  # repr: NaN is not equal to itself
    cut = data.draw(st.integers(0, len(ts)))
    head = regime_series(ts[:cut], {k: v[:cut] for k, v in inputs.items()}, parameters)
    tail = regime_series(ts[cut:], {k: v[cut:] for k, v in inputs.items()}, parameters, head.state)
    assert head.transitions + tail.transitions == events and [*head.regime.tolist(), *tail.regime.tolist()] == codes


@given(regimes())
def test_regimes_last_and_events_join(case):
    parameters, ts, inputs = case
    series = regime_series(ts, inputs, parameters)
    for a, b in zip(series.transitions, series.transitions[1:]):
        assert b.before is a.after and b.after is not b.before and b.ts >= a.ts
        if b.after < b.before:
            assert b.ts - a.ts >= parameters.dwell_seconds * 1e9
    for e in series.transitions:
        assert e.cause in parameters.inputs and not math.isnan(e.value)


@given(arrays(np.float64, st.integers(0, 80), elements=with_holes), arrays(np.float64, st.integers(0, 40), elements=with_holes))
def test_drift_has_a_statistic_or_a_reason_and_never_both(history, now):
    for report in feature_drift("x", history, now):
        assert math.isnan(report.statistic) == (report.reason is not None)
        assert not (report.safe_mode and not report.alert) and not (report.reason and report.alert) and not math.isinf(report.statistic)
        assert report.text
    assert not any(r.alert for r in feature_drift("x", history, history))
