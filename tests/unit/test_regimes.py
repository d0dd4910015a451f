"""Regimes: hysteresis and waiting as documented, events with their cause, the series and the steps the same."""

import math
from dataclasses import replace

import numpy as np
import pytest

from quanticity.analytics.regimes import (DEFAULT_REGIMES, Regime, RegimeParameters, Severity, Thresholds, first_state, latched, regime_inputs, regime_series,
                                          regime_step)
from quanticity.core.reasons import Reason

SECOND, MINUTE = 10**9, 60 * 10**9
LEVELS = Thresholds((12, 20, 32), (10, 17, 27))


def run(values, dwell=0.0, confirm=0.0, step=MINUTE, thresholds=LEVELS):
    """Regimes and events of a list of values, step by step."""
    parameters = RegimeParameters({"vix1d": thresholds}, confirm, dwell, "test")
    state, regimes, events = first_state(parameters), [], []
    for i, value in enumerate(values):
        state, event = regime_step(state, i * step, {"vix1d": value}, parameters)
        regimes.append(None if state.regime is None else int(state.regime))
        events += [event] if event else []
    return regimes, events


def test_hysteresis():
    regimes, _ = run([11, 12, 10.5, 9.9, 11.9, 25, 18, 16.9, 19.9, 20, 40, 27, 26.9, 5])
    assert regimes == [0, 1, 1, 0, 0, 2, 2, 1, 1, 2, 3, 3, 2, 0]


def test_at_the_threshold_is_in():
    assert run([20.0])[0] == [2] and run([20.0, 17.0])[0] == [2, 2] and run([20.0, np.nextafter(17.0, 0)])[0] == [2, 1]


def test_a_wavering_value_does_not_flap():
    wavering = [20.5 if i % 2 else 19.5 for i in range(100)]
    assert len(run(wavering)[1]) == 2  # it starts normal, and rises once
    plain = np.digitize(wavering, LEVELS.enter)
    assert np.count_nonzero(np.diff(plain)) == 99


def test_a_fall_waits_without_interruption_and_a_rise_does_not():
    regimes, events = run([15, 33] + [25] * 5 + [33] + [25] * 12, dwell=600)
    assert regimes == [1, 3] + [3] * 5 + [3] + [3] * 10 + [2, 2]  # the second 33 started the ten minutes anew
    assert [(e.before, e.after, e.waited_seconds) for e in events] == [(None, 1, 0.0), (1, 3, 0.0), (3, 2, 600.0)]


def test_a_rise_may_have_to_be_confirmed():
    regimes, events = run([15, 21, 15, 21, 33, 21, 21, 33, 33, 33], confirm=120)
    assert regimes == [1, 1, 1, 1, 1, 2, 2, 2, 2, 3]  # the blip to 33 did not last as stressed
    assert [e.after for e in events] == [1, 2, 3]


def test_a_fall_by_two_after_falling_by_one():
    regimes, _ = run([33] + [25] * 6 + [8] * 16, dwell=600)
    assert regimes[10] == 3 and regimes[11] == 2  # ten minutes under 27 by then, although only some of them under 10
    assert regimes[20] == 2 and regimes[21] == 0  # the rest of the way waits from there


def test_every_regime_lasts_at_least_the_dwell_unless_it_gets_worse():
    rng = np.random.default_rng(1)
    values = 18 * np.exp(0.5 * np.sin(np.arange(5000) / 150) + rng.normal(0, 0.1, 5000))
    _, events = run(values, dwell=1800)
    assert len(events) > 10
    for a, b in zip(events, events[1:]):
        assert b.after > a.after or b.ts - a.ts >= 1800 * SECOND


def test_causes():
    parameters = RegimeParameters({"a": Thresholds((1, 2, 3), (0.5, 1.5, 2.5)), "b": Thresholds((10, 20, 30), (5, 15, 25))}, version="v7")
    state, _ = regime_step(first_state(parameters), 0, {"a": 0.0, "b": 0.0}, parameters)
    parameters = replace(parameters, dwell_seconds=0.0)
    story = [({"a": 2.2}, Regime.ELEVATED, "a", 2.2, 2.0), ({"b": 35.0}, Regime.STRESSED, "b", 35.0, 30.0), ({"a": 0.1}, None, "", 0, 0),
             ({"b": 16.0}, Regime.ELEVATED, "b", 16.0, 25.0), ({"b": 3.0}, Regime.CALM, "b", 3.0, 5.0)]
    for i, (values, after, cause, value, threshold) in enumerate(story, 1):
        state, event = regime_step(state, i * MINUTE, values, parameters)
        if after is None:
            assert event is None
        else:
            assert (event.after, event.cause, event.value, event.threshold, event.version) == (after, cause, value, threshold, "v7")


def test_alerts_and_their_text():
    _, events = run([15, 21, 33, 8], dwell=0)
    assert [(e.severity, e.alert) for e in events] == [(Severity.INFO, False), (Severity.WARNING, True), (Severity.CRITICAL, True), (Severity.INFO, False)]
    assert [e.text for e in events] == ["starts normal: vix1d 15 at or above 12", "normal to elevated: vix1d 21 at or above 20",
                                        "elevated to stressed: vix1d 33 at or above 32", "stressed to calm: vix1d 8 below 10"]
    assert run([40.0])[1][0].alert  # a day that begins stressed is told


def test_what_is_missing_changes_nothing():
    nan = math.nan
    assert run([nan, nan, 33, nan, nan], dwell=60)[0] == [None, None, 3, 3, 3]
    assert first_state(DEFAULT_REGIMES).reason is Reason.FEATURE_MISSING
    state, _ = regime_step(first_state(DEFAULT_REGIMES), 5, {"ratio": 0.5})
    assert state.regime is Regime.CALM and state.seen == (0, 5, 0) and state.reason is None
    state, event = regime_step(state, 6, {"realized": 0.4, "vix1d": nan})
    assert (state.regime, event.cause) == (Regime.STRESSED, "realized") and state.seen == (0, 5, 6)


def test_an_infinite_value_is_stressed_and_zero_is_calm():
    assert run([math.inf, 0.0])[0] == [3, 0]


@pytest.mark.parametrize("bad", [((12, 20), (10, 17)), ((12, 20, 19), (10, 17, 18)), ((12, 20, 32), (10, 9, 27)), ((12, 20, 32), (12.1, 17, 27)), ((12, 20, math.nan), (10, 17, 27))])
def test_thresholds_that_are_none(bad):
    with pytest.raises(ValueError, match="thresholds enter"):
        Thresholds(*bad)


def test_bad_steps():
    with pytest.raises(ValueError, match="no thresholds for the input 'vix'"):
        regime_step(first_state(DEFAULT_REGIMES), 0, {"vix": 20.0})
    state, _ = regime_step(first_state(DEFAULT_REGIMES), 10, {"vix1d": 20.0})
    with pytest.raises(ValueError, match="time cannot go back"):
        regime_step(state, 9, {})
    with pytest.raises(ValueError, match="time cannot go back"):
        regime_series(np.array([2, 1]), {})
    with pytest.raises(TypeError):
        DEFAULT_REGIMES.inputs["vix"] = LEVELS  # frozen


def test_latched_is_the_latch_for_many_paths():
    rng = np.random.default_rng(3)
    paths = 18 * np.exp(np.cumsum(rng.normal(0, 0.1, (20, 300)), axis=1))
    paths[rng.random(paths.shape) < 0.1] = np.nan
    for before in (-1, 0, 2):
        found = latched(paths, LEVELS, before)
        for row, path in zip(found, paths):
            level, expected = before, []
            for x in path:
                level = LEVELS.latch(level, x)
                expected.append(level)
            assert row.tolist() == expected


def test_a_series_of_nothing_and_of_one():
    empty = regime_series(np.empty(0, np.int64), {"vix1d": np.empty(0)})
    assert len(empty.regime) == 0 and empty.state == first_state(DEFAULT_REGIMES)
    assert regime_series(np.array([7]), {"vix1d": np.array([15.0])}).regime.tolist() == [1]


def test_units_are_checked():
    assert regime_inputs(20.0, 25.0, 0.15) == {"vix1d": 20.0, "ratio": 0.8, "realized": 0.15}
    for bad in ((0.2, 25.0, 0.15), (20.0, 0.25, 0.15), (20.0, 25.0, 15.0)):
        with pytest.raises(ValueError, match="percent"):
            regime_inputs(*bad)
    assert math.isnan(regime_inputs(20.0, 0.0, 0.1)["ratio"]) and math.isnan(regime_inputs(math.nan, 20.0, 0.1)["ratio"])
