"""The 0DTE strategy: pure, within its own filters whatever the chain, and never silent about why it proposes nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.reasons import Reason
from quanticity.core.types import Right, Side, Skip
from quanticity.market.chain import OptionChain, nanoseconds
from quanticity.strategies.inputs import Fallback, read
from quanticity.strategies.zero_dte import INPUTS, Parameters, confidence, direction, propose, terms

from .strategy_support import SECOND, delta_of, holes, in_order, make_chain, only, row_of, seen, skipped, with_cell

NOW = datetime(2015, 12, 24, 15, 30, tzinfo=UTC)
CLOSE = datetime(2015, 12, 24, 18, tzinfo=UTC)  # a half day
EXPIRIES = (date(2015, 12, 24), date(2015, 12, 31))
TS = nanoseconds(NOW)
VALUES = {"spot": 750.0, "gex": 1e7, "gamma_balance": 0.6, "stretch": -1.5, "call_wall": 760.0, "put_wall": 740.0, "expected_move": 10.0}
FLOW = {"institutional_flow": 0.5, "institutional_confidence": 0.8, "vpin": 0.7}


def features(missing=None, **changed):
    return seen(NOW, VALUES, missing, **changed)


def chain(strikes=tuple(np.arange(735.0, 767.5, 2.5)), expiries=EXPIRIES, now=NOW, **how) -> OptionChain:
    return make_chain(now, expiries, strikes, **how)


def the_terms(way=1, **changed):
    return confidence(read(features(**changed), INPUTS), way, Parameters()).parts


@pytest.mark.parametrize(("stretch", "gex", "way"), [(1.5, 1e6, -1), (-1.5, 1e6, 1), (1.5, -1e6, 1), (-1.5, -1e6, -1), (1.5, 0.0, -1)])
def test_with_the_move_where_dealers_are_short_gamma_against_it_where_long(stretch, gex, way):
    assert direction(stretch, gex) == way
    proposal = only(propose(features(stretch=stretch, gex=gex), chain(), Parameters()))
    assert proposal.contract.right is (Right.CALL if way > 0 else Right.PUT) and proposal.side is Side.BUY


def test_a_proposal_is_bought_near_the_ask_with_its_exits():
    c = chain()
    p = only(propose(features(**FLOW), c, Parameters()))
    row = row_of(c, p.contract)
    assert p.contract.expiry == NOW.date() and p.limit_price > c.ask[row] and p.limit_price == pytest.approx(round(c.ask[row] * 1.1 / 0.05) * 0.05)
    assert p.target_price == pytest.approx(round(c.ask[row] * 1.6 / 0.05) * 0.05) and p.stop_price == pytest.approx(round(c.bid[row] * 0.6 / 0.05) * 0.05)
    assert p.exit_at == CLOSE - timedelta(minutes=15) and p.trail_amount is None
    assert p.ts == NOW and p.cause == ("chain:GOOG:1",) and p.id == f"pro:zero_dte:{p.contract.occ}:60"
    assert p.parts == {"stretch": 0.75, "gamma": 0.6, "room": 1.0, "flow": 0.7, "toxicity": 0.3}
    assert p.confidence == pytest.approx(0.40 * 0.75 + 0.25 * 0.6 + 0.20 + 0.10 * 0.7 + 0.05 * 0.3)
    assert p.rationale == "dealers long gamma (balance +0.60), spot moved -1.50 sd: buy call"
    assert "(neutral: flow, toxicity)" in only(propose(features(), c, Parameters())).rationale


def test_it_is_pure():
    c, f = chain(), features()
    before = {name: getattr(c, name).copy() for name in ("bid", "ask", "quote_time", "ask_size")}
    assert propose(f, c, Parameters()) == propose(f, c, Parameters())
    for name, column in before.items():
        np.testing.assert_array_equal(getattr(c, name), column)


@pytest.mark.parametrize("name", [i.name for i in INPUTS if i.fallback is not Fallback.NEUTRAL])
def test_a_missing_feature_is_told_with_its_own_reason(name):
    answer = propose(features({name: Reason.NO_OPEN_INTEREST}, **{name: None}), chain(), Parameters())
    assert skipped(answer, Reason.FEATURE_MISSING) == f"{name}: no open interest"
    assert propose(features(**{name: None}), chain(), Parameters()).detail == f"{name}: not computed"
    assert (answer.strategy, answer.symbol, answer.ts, answer.cause) == ("zero_dte", "GOOG", NOW, ("chain:GOOG:1",))
    poor = seen(NOW, VALUES, qualities={name: 0.29})
    assert skipped(propose(poor, chain(), Parameters()), Reason.FEATURE_MISSING) == f"{name}: low quality"


@pytest.mark.parametrize(("name", "term"), [("call_wall", "room"), ("expected_move", "room"), ("institutional_flow", "flow"), ("institutional_confidence", "flow"), ("vpin", "toxicity")])
def test_without_an_optional_feature_its_term_is_neutral_and_the_others_stay(name, term):
    whole, without = (only(propose(f, chain(), Parameters())) for f in (features(**FLOW), features(**{**FLOW, name: None})))
    assert without.parts[term] == 0.5 != whole.parts[term] and {k: v for k, v in without.parts.items() if k != term} == {k: v for k, v in whole.parts.items() if k != term}


def test_the_fallbacks_are_these():
    assert {i.name for i in INPUTS if i.fallback is Fallback.SKIP} == {"spot", "gex", "gamma_balance", "stretch"}
    assert {i.name for i in INPUTS if i.fallback is Fallback.NEUTRAL} == {"call_wall", "put_wall", "expected_move", "institutional_flow", "institutional_confidence", "vpin"}


@pytest.mark.parametrize(("make", "parameters", "stretch", "reason"), [
    (lambda: chain(), Parameters(), 0.7, Reason.LOW_CONFIDENCE), (lambda: chain(), Parameters(min_stretch=1.5), -1.49, Reason.LOW_CONFIDENCE),
    (lambda: chain(expiries=EXPIRIES[1:]), Parameters(), -1.5, Reason.NO_SUCH_EXPIRY), (lambda: chain(now=CLOSE - timedelta(minutes=15)), Parameters(max_quote_age=1e9), -1.5, Reason.NO_SUCH_EXPIRY),
    (lambda: chain(half_spread=5.0), Parameters(), -1.5, Reason.NO_LIQUID_CONTRACT), (lambda: chain(), Parameters(max_quote_age=29.0), -1.5, Reason.NO_LIQUID_CONTRACT),
    (lambda: chain(strikes=(760.0, 765.0)), Parameters(min_premium=0.01, max_delta_distance=0.1), -1.5, Reason.NO_LIQUID_CONTRACT),
    (lambda: chain(open_interest=lambda k, c: 9.0), Parameters(min_open_interest=10.0), -1.5, Reason.NO_LIQUID_CONTRACT), (lambda: chain(), Parameters(min_volume=1.0), -1.5, Reason.NO_LIQUID_CONTRACT),
    (lambda: chain().with_spot(float("nan"), "none"), Parameters(), -1.5, Reason.NO_LIQUID_CONTRACT)])
def test_each_reason_to_skip_is_reached(make, parameters, stretch, reason):
    skipped(propose(features(stretch=stretch), make(), parameters), reason)


def test_just_before_the_time_of_exit_it_still_proposes():
    only(propose(seen(CLOSE - timedelta(minutes=16), VALUES), chain(now=CLOSE - timedelta(minutes=16)), Parameters(max_quote_age=1e9, min_premium=0.05, max_relative_spread=2.0)))


def test_at_just_the_least_stretch_it_proposes():
    only(propose(features(stretch=-0.75), chain(), Parameters()))


def test_the_held_contract_is_kept_until_another_is_better_by_the_margin():
    c = chain()
    first = only(propose(features(), c, Parameters())).contract
    moved = chain(spot=751.5)
    free = only(propose(features(), moved, Parameters())).contract
    kept = only(propose(features(), moved, Parameters(hold_margin=0.2), first)).contract
    assert free != first and kept == first
    assert only(propose(features(), moved, Parameters(hold_margin=0.0), first)).contract == free
    assert only(propose(features(stretch=1.5), moved, Parameters(hold_margin=0.2), first)).contract.right is Right.PUT  # the other way: another bet
    gone = with_cell(moved, "bid", row_of(moved, first), np.nan)
    assert only(propose(features(), gone, Parameters(hold_margin=0.2), first)).contract != first


@settings(max_examples=80, deadline=None)
@given(holes(chain()), st.sampled_from([-3.0, -1.0, 1.0, 3.0]), st.sampled_from([-1e6, 1e6]),
       st.builds(Parameters, target_delta=st.floats(0.1, 0.9), max_delta_distance=st.floats(0.01, 0.5), max_relative_spread=st.floats(0.05, 2.0),
                 min_premium=st.sampled_from([0.05, 0.3, 1.0]), max_quote_age=st.sampled_from([20.0, 50.0])))
def test_it_never_proposes_a_contract_outside_its_filters(c, stretch, gex, parameters):
    answer = propose(features(stretch=stretch, gex=gex), c, parameters)
    if isinstance(answer, Skip):
        assert answer.reason is Reason.NO_LIQUID_CONTRACT
        return
    p, way = only(answer), direction(stretch, gex)
    r = row_of(c, p.contract)
    assert 0 < c.bid[r] <= c.ask[r] and c.ask[r] >= parameters.min_premium and min(c.ask_size[r], c.bid_size[r]) >= 1 and c.quote_time[r] > 0
    assert (TS - c.quote_time[r]) / SECOND <= parameters.max_quote_age and c.ask[r] - c.bid[r] <= parameters.max_relative_spread * (c.ask[r] + c.bid[r]) / 2
    assert abs(delta_of(c, r) - parameters.target_delta) <= parameters.max_delta_distance + 1e-9
    assert p.contract.expiry == NOW.date() and p.contract.right is (Right.CALL if way > 0 else Right.PUT) and p.exit_at < p.contract.expires_at


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(len(chain()))), st.sampled_from([-1.5, 1.5]), st.booleans())
def test_the_order_of_rows_does_not_matter(order, stretch, remembers):
    c, f = chain(), features(stretch=stretch)
    held = c.contracts.contract(10) if remembers else None
    assert propose(f, in_order(c, order), Parameters(), held) == propose(f, c, Parameters(), held)


@pytest.mark.parametrize(("way", "changed", "room"), [
    (1, {}, 1.0), (1, {"call_wall": 753.0}, 0.3), (1, {"call_wall": 740.0}, 0.0), (-1, {"put_wall": 745.0}, 0.5), (-1, {"put_wall": 755.0}, 0.0),
    (1, {"call_wall": None}, 0.5), (-1, {"put_wall": None}, 0.5), (1, {"expected_move": None}, 0.5), (1, {"expected_move": 0.0}, 0.5)])
def test_room_is_the_way_to_the_wall_in_expected_moves(way, changed, room):
    assert the_terms(way, **changed)["room"] == pytest.approx(room)


@pytest.mark.parametrize(("way", "changed", "flow", "toxicity"), [
    (1, FLOW, 0.7, 0.3), (-1, FLOW, 0.3, 0.7), (1, FLOW | {"institutional_confidence": 0.0}, 0.5, 0.3), (1, FLOW | {"institutional_flow": -1.0, "institutional_confidence": 1.0}, 0.0, 0.3),
    (1, FLOW | {"stretch": 1.5}, 0.7, 0.7), (1, {}, 0.5, 0.5)])
def test_flow_counts_with_its_confidence_and_toxicity_for_who_follows(way, changed, flow, toxicity):
    found = the_terms(way, **changed)
    assert (found["flow"], found["toxicity"]) == (pytest.approx(flow), pytest.approx(toxicity))


def test_the_terms_are_capped():
    assert the_terms(1, stretch=-9.0, gamma_balance=-1.0, call_wall=9e9) == {"stretch": 1.0, "gamma": 1.0, "room": 1.0, "flow": 0.5, "toxicity": 0.5}


@pytest.mark.parametrize("name", ["stretch", "gamma", "room", "flow", "toxicity"])
def test_each_weight_moves_the_confidence_by_its_term(name):
    found = read(features(**FLOW), INPUTS)
    alone = Parameters(**{f"weight_{n}": float(n == name) for n in ("stretch", "gamma", "room", "flow", "toxicity")})
    assert confidence(found, 1, alone).value == pytest.approx(min(1.0, max(0.0, terms(found, 1, alone)[name])))


def test_plausible_inputs_can_pass_the_usual_threshold():
    assert only(propose(features(stretch=-2.0, gamma_balance=0.4), chain(), Parameters())).confidence > 0.55
    assert only(propose(features(stretch=-0.8, gamma_balance=0.1, call_wall=751.0), chain(), Parameters())).confidence < 0.55


@pytest.mark.parametrize(("given_values", "message"), [
    ({"weight_room": 0.3}, "weights sum to 1.1"), ({"min_stretch": 0.0}, "min_stretch 0 "), ({"min_stretch": -1.0}, "min_stretch"),
    ({"min_stretch": 3.0}, "min_stretch 3 must be above 0 and at most full_stretch 2"), ({"exit_minutes": -1.0}, "exit_minutes"), ({"exit_minutes": float("inf")}, "exit_minutes"),
    ({"min_stretch": float("inf"), "full_stretch": float("inf")}, "min_stretch"), ({"min_stretch": float("nan")}, "min_stretch"),
    ({"weight_stretch": 1.5, "weight_gamma": -0.85}, "weights"), ({"weight_room": float("nan")}, "weights")])
def test_parameters_that_make_no_sense_are_refused(given_values, message):
    with pytest.raises(ValueError, match=message):
        Parameters(**given_values)


@pytest.mark.parametrize(("bid", "ask"), [(0.05, 0.05), (0.04, 0.05)])
def test_a_premium_too_small_for_target_and_stop_is_not_proposed(bid, ask):
    c = chain(strikes=(750.0,), expiries=EXPIRIES[:1])
    cheap = replace(c, bid=np.full(len(c), bid), ask=np.full(len(c), ask), spot=749.0)
    answer = propose(features(), cheap, Parameters(min_premium=0.05, max_delta_distance=1.0, max_relative_spread=1.0, entry_slippage=0.0))
    assert "leaves no price step" in skipped(answer, Reason.NO_LIQUID_CONTRACT)


def test_a_trailing_stop_follows_by_its_share_of_the_premium():
    c = chain()
    p = only(propose(features(), c, Parameters(trail_fraction=0.3)))
    assert p.trail_amount == pytest.approx(round(c.ask[row_of(c, p.contract)] * 0.3 / 0.05) * 0.05) and p.trail_amount > 0
