"""The 14DTE strategy: which expiry, how long it is held, every fallback, weight and reason."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.reasons import Reason
from quanticity.core.types import Right, Skip
from quanticity.strategies.fourteen_dte import INPUTS, Parameters, confidence, exit_time, propose, terms
from quanticity.strategies.inputs import Fallback, read

from .strategy_support import delta_of, holes, in_order, make_chain, new_york, only, row_of, seen, skipped, with_cell

DAY = date(2026, 3, 18)  # a Wednesday
NOW = new_york(DAY, 12)
EXPIRIES = tuple(DAY + timedelta(days=d) for d in (0, 2, 9, 12, 16, 23))
STRIKES = tuple(np.arange(680.0, 821.0, 10.0))
VALUES = {"spot": 750.0, "quality": 0.9, "institutional_flow": 0.5, "institutional_confidence": 0.8}
OPTIONAL = {"gamma_balance": -0.4, "put_skew_25": 0.01, "term_slope": 0.02, "day_move": 1.0, "hedging_share": 0.2}
TERMS = ("flow", "gamma", "skew", "slope", "trend", "informed")


def features(missing=None, now=NOW, **changed):
    return seen(now, VALUES, missing, **changed)


def chain(now=NOW, expiries=EXPIRIES, strikes=STRIKES, **how):
    return make_chain(now, expiries, strikes, **how)


def the_confidence(way=1, parameters=Parameters(), **changed):
    return confidence(read(features(**changed), INPUTS), way, parameters)


@pytest.mark.parametrize(("flow", "right"), [(0.5, Right.CALL), (-0.5, Right.PUT)])
def test_it_goes_with_the_flow(flow, right):
    p = only(propose(features(institutional_flow=flow), chain(), Parameters()))
    assert p.contract.right is right and p.rationale.startswith(f"institutional flow {0.8 * flow:+.2f}, held to 2026-03-23: buy {'call' if flow > 0 else 'put'}")
    assert p.contract.expiry == DAY + timedelta(days=12) and p.exit_at == new_york(date(2026, 3, 23), 15, 30) and p.trail_amount > 0
    c, r = chain(), row_of(chain(), p.contract)
    assert p.target_price == pytest.approx(round(c.ask[r] * 1.5 / 0.05) * 0.05) and p.stop_price == pytest.approx(round(c.bid[r] * 0.65 / 0.05) * 0.05)


@pytest.mark.parametrize(("day", "sessions", "leaves"), [
    (date(2026, 3, 20), 1.0, new_york(date(2026, 3, 23), 15, 30)), (date(2026, 4, 1), 3.0, new_york(date(2026, 4, 7), 15, 30)),  # over Good Friday
    (date(2026, 11, 25), 1.0, new_york(date(2026, 11, 27), 12, 30)), (date(2026, 3, 5), 2.0, new_york(date(2026, 3, 9), 15, 30))])  # a half day; the clocks go forward
def test_it_is_held_for_sessions_of_the_calendar(day, sessions, leaves):
    assert exit_time(day, Parameters(hold_sessions=sessions)) == leaves


@pytest.mark.parametrize(("parameters", "ahead"), [({}, 12), ({"target_days": 15.0}, 16), ({"least_days": 13.0}, 16), ({"most_days": 14.0}, 12), ({"target_days": 21.0, "most_days": 30.0}, 23)])
def test_the_expiry_nearest_two_weeks_within_the_bounds(parameters, ahead):
    assert (only(propose(features(), chain(), Parameters(**parameters))).contract.expiry - DAY).days == ahead


def test_the_expiry_held_stays_within_its_margin():
    c = chain()
    held = c.contracts.contract(int(np.flatnonzero(c.contracts.expiry_day == (EXPIRIES[4] - date(1970, 1, 1)).days)[0]))
    days = lambda margin, h: (only(propose(features(), c, Parameters(target_days=13.0, hold_margin_days=margin), h)).contract.expiry - DAY).days  # noqa: E731
    assert [days(0.0, None), days(2.0, None), days(1.9, held), days(2.0, held)] == [12, 12, 12, 16]


def test_the_strike_held_stays_within_its_margin():
    first = only(propose(features(), chain(), Parameters())).contract
    moved = chain(spot=756.0)
    free, kept = (only(propose(features(), moved, Parameters(hold_margin=m), first)).contract for m in (0.0, 0.15))
    assert kept == first != free
    gone = with_cell(moved, "bid", row_of(moved, first), np.nan)
    assert only(propose(features(), gone, Parameters(hold_margin=0.15), first)).contract != first


@pytest.mark.parametrize("expiries", [(), EXPIRIES[:3], EXPIRIES[5:]])
def test_without_an_expiry_within_the_bounds_there_is_no_trade(expiries):
    assert "in 10 to 21 days" in skipped(propose(features(), chain(expiries=expiries), Parameters()), Reason.NO_SUCH_EXPIRY)


def test_an_expiry_before_the_time_of_exit_does_not_count():
    assert "2026-04-08" in skipped(propose(features(), chain(), Parameters(hold_sessions=14.0)), Reason.NO_SUCH_EXPIRY)


@pytest.mark.parametrize(("missing", "changed", "reason", "detail"), [
    ({"spot": Reason.NO_SPOT}, {"spot": None}, Reason.FEATURE_MISSING, "spot: no spot"),
    ({"institutional_flow": Reason.NO_TRADES}, {"institutional_flow": None}, Reason.FEATURE_MISSING, "institutional_flow: no trades"),
    ({}, {"quality": None}, Reason.LOW_QUALITY, "quality: not computed; nothing is bought without it")])
def test_what_it_does_not_do_without(missing, changed, reason, detail):
    assert skipped(propose(features(missing, **changed), chain(), Parameters()), reason) == detail


def test_the_fallbacks_are_these():
    assert [i.name for i in INPUTS if i.fallback is Fallback.SKIP] == ["spot", "institutional_flow"] and [i.name for i in INPUTS if i.fallback is Fallback.REFUSE] == ["quality"]
    assert {i.name: i.neutral for i in INPUTS if i.fallback is Fallback.NEUTRAL and i.neutral == i.neutral} == {"institutional_confidence": 0.5}


@pytest.mark.parametrize(("name", "term"), [("gamma_balance", "gamma"), ("put_skew_25", "skew"), ("term_slope", "slope"), ("day_move", "trend"), ("hedging_share", "informed")])
def test_without_an_optional_feature_its_term_is_neutral(name, term):
    whole, without = the_confidence(**OPTIONAL), the_confidence(**(OPTIONAL | {name: None}))
    assert without.neutral == (term,) and without.parts == whole.parts | {term: 0.5} and whole.parts[term] != 0.5


def test_a_flow_of_unknown_confidence_counts_half():
    assert the_confidence(institutional_confidence=None).parts["flow"] == the_confidence(institutional_confidence=0.5).parts["flow"] == 0.5


@pytest.mark.parametrize(("way", "changed", "expected"), [
    (1, OPTIONAL, {"flow": 0.8, "gamma": 0.7, "skew": 0.75, "slope": 0.75, "trend": 0.75, "informed": 0.8}),
    (-1, OPTIONAL, {"flow": 0.8, "gamma": 0.7, "skew": 0.25, "slope": 0.75, "trend": 0.25, "informed": 0.8}),
    (1, {"gamma_balance": 1.0, "put_skew_25": 0.5, "term_slope": -0.5, "day_move": -9.0, "hedging_share": 1.0, "institutional_flow": 1.0}, {"flow": 1.0, "gamma": 0.0, "skew": 0.0, "slope": 0.0, "trend": 0.0, "informed": 0.0})])
def test_the_terms_by_hand(way, changed, expected):
    assert the_confidence(way, **changed).parts == pytest.approx(expected)


@pytest.mark.parametrize("name", TERMS)
def test_each_weight_moves_the_confidence_by_its_term(name):
    found = read(features(**OPTIONAL), INPUTS)
    alone = Parameters(**{f"weight_{n}": float(n == name) for n in TERMS})
    assert confidence(found, 1, alone).value == pytest.approx(terms(found, 1, alone)[name])


def test_plausible_inputs_can_pass_the_usual_threshold():
    assert the_confidence(institutional_flow=0.5, gamma_balance=-0.2).value > 0.55 > the_confidence(institutional_flow=0.2, gamma_balance=0.2).value


@pytest.mark.parametrize(("changed", "proposes"), [({"institutional_flow": 0.125}, True), ({"institutional_flow": 0.12}, False), ({"institutional_confidence": 0.1}, False), ({"institutional_flow": -0.125}, True)])
def test_a_small_flow_is_not_traded(changed, proposes):
    answer = propose(features(**changed), chain(), Parameters())
    if proposes:
        only(answer)
    else:
        assert "within 0.1" in skipped(answer, Reason.LOW_CONFIDENCE)


@pytest.mark.parametrize("parameters", [{"min_premium": 500.0}, {"max_quote_age": 29.0}, {"min_open_interest": 101.0}, {"min_volume": 1.0}, {"min_size": 11.0}, {"max_relative_spread": 1e-4},
                                        {"target_delta": 0.01, "max_delta_distance": 0.001}])
def test_each_liquidity_filter_can_leave_nothing(parameters):
    skipped(propose(features(), chain(), Parameters(**parameters)), Reason.NO_LIQUID_CONTRACT)


def test_unknown_open_interest_is_not_liquid():
    c = chain()
    assert "open interest" in skipped(propose(features(), replace(c, open_interest=np.full(len(c), np.nan)), Parameters()), Reason.NO_LIQUID_CONTRACT)


def test_one_strike_is_taken_where_it_fits():
    assert only(propose(features(), chain(strikes=(760.0,)), Parameters())).contract.strike == 760.0
    skipped(propose(features(), chain(strikes=(600.0,)), Parameters()), Reason.NO_LIQUID_CONTRACT)
    skipped(propose(features(), chain().with_spot(math.nan, "none"), Parameters()), Reason.NO_LIQUID_CONTRACT)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(len(chain()))), st.booleans())
def test_the_order_of_rows_does_not_matter(order, remembers):
    c = chain()
    held = c.contracts.contract(row_of(c, only(propose(features(), c, Parameters())).contract) + 2) if remembers else None
    assert propose(features(), in_order(c, order), Parameters(), held) == propose(features(), c, Parameters(), held)


@settings(max_examples=60, deadline=None)
@given(holes(chain(expiries=EXPIRIES[3:5])))
def test_whatever_the_chain_it_proposes_within_its_filters_or_says_why(c):
    answer = propose(features(), c, Parameters())
    if isinstance(answer, Skip):
        return skipped(answer, Reason.NO_LIQUID_CONTRACT)
    p = only(answer)
    r = row_of(c, p.contract)
    assert 0 < c.bid[r] <= c.ask[r] and c.open_interest[r] >= 10 and c.ask_size[r] >= 1 and abs(delta_of(c, r) - 0.40) <= 0.15 + 1e-9


@pytest.mark.parametrize(("wrong", "message"), [
    ({"weight_flow": 0.5}, "weights sum to 1.1"), ({"min_flow": 0.0}, "min_flow 0 must be above 0"), ({"full_flow": 1.5}, "at most 1"), ({"min_flow": 0.6}, "at most full_flow"),
    ({"least_days": 15.0}, "in this order"), ({"most_days": 13.0}, "in this order"), ({"least_days": 0.0}, "above 0"), ({"hold_sessions": 0.0}, "hold_sessions"), ({"hold_sessions": 1.5}, "whole number"),
    ({"hold_sessions": math.nan}, "hold_sessions"), ({"full_skew": 0.0}, "full_skew"), ({"full_slope": -1.0}, "full_slope"), ({"full_day_move": math.nan}, "full_day_move"), ({"exit_minutes": 0.0}, "exit_minutes"),
    ({"hold_margin_days": -1.0}, "hold_margin_days"), ({"usual_put_skew": 1.0}, "usual_put_skew")])
def test_parameters_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Parameters(**wrong)
