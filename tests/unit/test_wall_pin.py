"""The small example: one notebook, one entry, the playbook of 0DTE; towards the nearer wall, and every reason for not."""

import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.config import Config, load_config
from quanticity.core.reasons import Reason
from quanticity.core.types import Right
from quanticity.jobs.wiring import load_strategies
from quanticity.playbooks.playbook import Playbook
from quanticity.strategies.wall_pin import Parameters, distance, propose

from .strategy_support import in_order, make_chain, new_york, only, row_of, seen, skipped

DAY = date(2026, 3, 18)
NOW = new_york(DAY, 13)
STRIKES = tuple(np.arange(735.0, 767.5, 2.5))
VALUES = {"spot": 750.0, "gamma_balance": 0.6, "expected_move": 8.0, "call_wall": 755.0, "put_wall": 738.0}


def features(missing=None, now=NOW, **changed):
    return seen(now, VALUES, missing, **changed)


def chain(now=NOW, expiries=(DAY,), **how):
    return make_chain(now, expiries, STRIKES, **how)


@pytest.mark.parametrize(("changed", "right", "way"), [({}, Right.CALL, 0.625), ({"put_wall": 746.0}, Right.PUT, -0.5), ({"call_wall": None, "put_wall": 744.0}, Right.PUT, -0.75), ({"put_wall": None}, Right.CALL, 0.625)])
def test_towards_the_nearer_wall(changed, right, way):
    p = only(propose(features(**changed), chain(), Parameters()))
    assert p.contract.right is right and f"the wall is {way:+.2f} expected moves away" in p.rationale and p.exit_at == new_york(DAY, 15, 45)
    assert p.parts == pytest.approx({"gamma": 0.6, "distance": 1 - (abs(way) - 0.3) / 0.7}, abs=1e-6) and p.confidence == pytest.approx(0.36 + 0.4 * p.parts["distance"], abs=1e-5)


def test_of_two_walls_as_near_the_lower_is_taken():
    assert distance(500.0, (505.0, 495.0), 5.0) == distance(500.0, (495.0, 505.0), 5.0) == -1.0 and math.isnan(distance(500.0, (505.0,), 0.0))


@pytest.mark.parametrize(("changed", "reason", "detail"), [
    ({"spot": None}, Reason.FEATURE_MISSING, "spot: not computed"), ({"gamma_balance": None}, Reason.FEATURE_MISSING, "gamma_balance: not computed"),
    ({"expected_move": None}, Reason.FEATURE_MISSING, "expected_move: not computed"), ({"call_wall": None, "put_wall": None}, Reason.FEATURE_MISSING, "neither wall is known"),
    ({"gamma_balance": 0.0}, Reason.REGIME_GATED, "nothing pins"), ({"call_wall": 751.0}, Reason.LOW_CONFIDENCE, "+0.12 expected moves"), ({"call_wall": 760.0}, Reason.LOW_CONFIDENCE, "+1.25 expected moves")])
def test_each_reason_to_skip(changed, reason, detail):
    assert detail in skipped(propose(features(**changed), chain(), Parameters()), reason)


@pytest.mark.parametrize(("wall", "proposes"), [(752.99, False), (753.0, True), (760.0, True), (760.01, False)])
def test_the_bounds_of_the_way_are_within(wall, proposes):
    answer = propose(features(call_wall=wall, put_wall=None, expected_move=10.0), chain(), Parameters())
    assert isinstance(answer, tuple) == proposes


@pytest.mark.parametrize("minutes", [16, 15])
def test_it_must_trade_for_longer_than_the_time_of_exit(minutes):
    now = new_york(DAY, 15, 60 - minutes)
    answer = propose(features(now=now), chain(now=now), Parameters(max_delta_distance=0.5, min_premium=0.05, max_relative_spread=2.0))
    if minutes == 15:
        skipped(answer, Reason.NO_SUCH_EXPIRY)
    else:
        assert only(answer).exit_at == new_york(DAY, 15, 45)


def test_the_exit_is_that_of_the_day_traded_whatever_else_is_listed():
    c = chain(expiries=(DAY + timedelta(days=2), DAY))
    assert only(propose(features(), c, Parameters())).exit_at == new_york(DAY, 15, 45)


def test_no_expiry_too_late_and_nothing_to_trade():
    skipped(propose(features(), chain(expiries=(DAY + timedelta(days=2),)), Parameters()), Reason.NO_SUCH_EXPIRY)
    late = new_york(DAY, 15, 45)
    skipped(propose(features(now=late), chain(now=late), Parameters()), Reason.NO_SUCH_EXPIRY)
    skipped(propose(features(), chain(half_spread=9.0), Parameters()), Reason.NO_LIQUID_CONTRACT)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(len(chain()))))
def test_the_order_of_rows_does_not_matter(order):
    c = chain()
    held = c.contracts.contract(row_of(c, only(propose(features(), c, Parameters())).contract) + 2)
    assert propose(features(), in_order(c, order), Parameters(), held) == propose(features(), c, Parameters(), held)


@pytest.mark.parametrize(("wrong", "message"), [({"min_distance": 0.0}, "min_distance 0 must be above 0"), ({"min_distance": 1.0}, "below max_distance"), ({"weight_gamma": 0.7}, "weights sum to 1.1"),
                                                ({"exit_minutes": -1.0}, "exit_minutes")])
def test_parameters_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Parameters(**wrong)


def test_it_is_one_entry_in_the_configuration_and_off_until_it_is_switched_on():
    config = load_config(Path(__file__).parents[2], {})
    assert [s.name for s in load_strategies(config)] == ["zero_dte", "one_dte", "fourteen_dte", "moc"]
    assert "wall_pin" not in Config().strategies, "config/config.yaml has the one entry"
    entries = dict(config.strategies)
    on = Config(strategies=entries | {"wall_pin": entries["wall_pin"].model_copy(update={"enabled": True})})
    pin = load_strategies(on)[-1]
    assert pin.name == "wall_pin" and pin.playbook == Playbook("wall_pin") and pin.parameters == Parameters()
