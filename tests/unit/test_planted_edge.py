"""An edge of known size in the simulator is found and measured; on a fair market nothing is. The full study: tests/benchmarks/guards.py."""

from datetime import date

import numpy as np
import pytest

from quanticity.core.errors import UserError
from quanticity.feeds.simulator import Extras, PlantedEdge, SimulatorParameters, sessions_from, simulate
from quanticity.research.planted_edge import HYPOTHESES, Hypothesis, find_edge, forecasts, observed_path, spot_paths

DAYS = sessions_from(date(2026, 1, 5), 80)


def test_a_planted_edge_is_found_and_its_interval_covers_its_size():
    edge = PlantedEdge("reversion", -4e-5)  # bets with the move, as a negative reversion
    found = find_edge(spot_paths(5, DAYS, SimulatorParameters(edges=(edge,), feedback=False)))
    assert found.found and found.best.kind == "momentum"
    assert found.low <= 4e-5 <= found.high and found.low > 0


def test_on_a_fair_market_nothing_is_found():
    found = find_edge(spot_paths(5, DAYS, SimulatorParameters(fair=True)))
    assert not found.found and found.low <= 0 <= found.high


def test_the_quick_path_is_the_simulators_and_sessions_show_it():
    p = SimulatorParameters(edges=(PlantedEdge("time_of_day", 1e-4),), feedback=False, strikes=1, expiries=1, trades=1.0, halt_rate=0.0)
    day = next(iter(simulate(6, DAYS[:1], ("SIM",), p, extras=Extras(books=None, levels=False))))
    path = spot_paths(6, DAYS[:1], p)[0]
    assert np.diff(np.log(path[1:])) == pytest.approx(np.diff(np.log(day.truth.steps.spot)), abs=1e-8)
    assert observed_path(day.session) == pytest.approx(day.truth.steps.spot, abs=0.011)


@pytest.mark.parametrize("h", HYPOTHESES[::4])
def test_no_forecast_knows_the_future(h: Hypothesis):
    path = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, 391)))
    for cut in (1, 100, 380):
        changed = path.copy()
        changed[cut:] *= 1.2
        assert forecasts(changed, h)[:cut].tolist() == forecasts(path, h)[:cut].tolist()


def test_mistakes_are_told():
    with pytest.raises(UserError, match="option trades"):
        spot_paths(1, DAYS[:1], SimulatorParameters(edges=(PlantedEdge("flow", 1e-5),), feedback=False))
    with pytest.raises(UserError, match="at least 20"):
        find_edge([np.ones(391)] * 3)
