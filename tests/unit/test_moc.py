"""The MOC strategy: only in the auction's last minutes, out before the bell; every fallback, weight and reason."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.reasons import Reason
from quanticity.core.types import Right, Skip
from quanticity.market.chain import nanoseconds
from quanticity.strategies.inputs import Fallback, read
from quanticity.strategies.moc import INPUTS, Parameters, confidence, propose, terms

from .strategy_support import SECOND, delta_of, holes, in_order, make_chain, new_york, only, row_of, seen, skipped, with_cell

DAY, HALF = date(2026, 3, 18), date(2026, 11, 27)
NOW = new_york(DAY, 15, 51)
STRIKES = tuple(np.arange(745.0, 755.5, 0.5))
VALUES = {"spot": 750.0, "imbalance_share": 0.24, "imbalance_shares": 150_000.0}
OPTIONAL = {"imbalance_pressure": 2.5, "gamma_balance": -0.4, "stretch": 1.0}
TERMS = ("imbalance", "pressure", "gamma", "momentum")


def features(missing=None, now=NOW, symbol="GOOG", **changed):
    return seen(now, VALUES, missing, symbol, **changed)


def chain(now=NOW, expiries=(DAY, DAY + timedelta(days=2)), strikes=STRIKES, half_spread=0.03, age=10.0, **how):
    return make_chain(now, expiries, strikes, half_spread=half_spread, age=age, **how)


def the_confidence(way=1, parameters=Parameters(), **changed):
    return confidence(read(features(**changed), INPUTS), way, parameters)


@pytest.mark.parametrize(("share", "right", "word"), [(0.24, Right.CALL, "buy"), (-0.24, Right.PUT, "sell")])
def test_it_goes_with_the_imbalance_and_is_out_before_the_bell(share, right, word):
    p = only(propose(features(imbalance_share=share, imbalance_shares=math.copysign(150_000, share)), chain(), Parameters()))
    assert p.contract.right is right and p.contract.expiry == DAY and p.exit_at == new_york(DAY, 15, 57) < p.contract.expires_at
    assert p.rationale.startswith(f"{word} imbalance of 150,000 shares ({share:+.0%} of the auction): buy {'call' if share > 0 else 'put'}")


@pytest.mark.parametrize(("root", "now", "leaves", "ends"), [
    ("GOOG", NOW, new_york(DAY, 15, 57), new_york(DAY, 16)), ("GOOG", new_york(HALF, 12, 51), new_york(HALF, 12, 57), new_york(HALF, 13)),
    ("SPY", NOW, new_york(DAY, 15, 57), new_york(DAY, 16, 15)), ("SPXW", NOW, new_york(DAY, 15, 57), new_york(DAY, 16)),
    ("SPY", new_york(HALF, 12, 51), new_york(HALF, 12, 57), new_york(HALF, 13, 15))])
def test_the_auction_is_the_stocks_whatever_the_options_hours(root, now, leaves, ends):
    p = only(propose(features(now=now, symbol=root), chain(now=now, expiries=(now.date(),), root=root), Parameters()))
    assert (p.exit_at, p.contract.expires_at) == (leaves, ends)


@pytest.mark.parametrize("now", [new_york(DAY, 15, 57), new_york(DAY, 15, 58), new_york(DAY, 15, 59), new_york(DAY, 16, 5)])
def test_it_is_too_late_at_the_time_of_exit(now):
    c = chain(now=now, root="SPY", age=1.0)
    assert "less than 3 min" in skipped(propose(features(now=now, symbol="SPY"), c, Parameters(min_premium=0.01)), Reason.OUTSIDE_WINDOW)
    just = new_york(DAY, 15, 56)
    only(propose(features(now=just, symbol="SPY"), chain(now=just, root="SPY", age=1.0), Parameters(min_premium=0.01)))


def test_on_a_day_without_a_session_it_does_not_run():
    sunday = new_york(date(2026, 3, 22), 15, 51)
    skipped(propose(features(now=sunday), chain(now=sunday, expiries=()), Parameters()), Reason.OUTSIDE_WINDOW)


@pytest.mark.parametrize(("expiries", "most_days", "ahead"), [((0, 2), 0.0, 0), ((2,), 0.0, None), ((2,), 4.0, 2), ((0, 2), 4.0, 0), ((5,), 4.0, None), ((), 9.0, None)])
def test_same_day_options_only_unless_later_ones_are_allowed(expiries, most_days, ahead):
    c = chain(expiries=tuple(DAY + timedelta(days=d) for d in expiries), strikes=tuple(np.arange(700.0, 801.0, 5.0)) if 0 not in expiries else STRIKES)
    answer = propose(features(), c, Parameters(most_days=most_days))
    if ahead is None:
        assert "trades until 2026-03-18 15:57 New York" in skipped(answer, Reason.NO_SUCH_EXPIRY)
    else:
        p = only(answer)
        assert (p.contract.expiry - DAY).days == ahead and p.exit_at == new_york(DAY, 15, 57)


@pytest.mark.parametrize(("seconds", "trades"), [(0, False), (1, True)])
def test_the_option_must_still_trade_at_the_time_of_exit(seconds, trades):
    """The calendar knows of no option that stops before the stocks do; a listing may."""
    c = chain()
    ends = nanoseconds(new_york(DAY, 15, 57)) + seconds * SECOND
    answer = propose(features(), replace(c, contracts=replace(c.contracts, expires_at=np.full(len(c), ends))), Parameters(min_premium=0.01))
    if trades:
        only(answer)
    else:
        skipped(answer, Reason.NO_SUCH_EXPIRY)


def test_of_two_days_as_near_as_each_other_the_same_day_is_wanted():
    p = only(propose(features(), chain(expiries=(DAY, DAY + timedelta(days=1))), Parameters(most_days=4.0)))
    assert p.contract.expiry == DAY


@pytest.mark.parametrize(("missing", "changed", "detail"), [
    ({"spot": Reason.NO_SPOT}, {"spot": None}, "spot: no spot"), ({"imbalance_share": Reason.NO_IMBALANCE}, {"imbalance_share": None}, "imbalance_share: no imbalance"),
    ({"imbalance_shares": Reason.FEATURE_STALE}, {"imbalance_shares": None}, "imbalance_shares: feature stale")])
def test_what_it_does_not_do_without(missing, changed, detail):
    assert skipped(propose(features(missing, **changed), chain(), Parameters()), Reason.FEATURE_MISSING) == detail


def test_the_fallbacks_are_these():
    assert [i.name for i in INPUTS if i.fallback is Fallback.SKIP] == ["spot", "imbalance_share", "imbalance_shares"]
    assert [i.name for i in INPUTS if i.fallback is Fallback.NEUTRAL] == ["imbalance_pressure", "gamma_balance", "stretch"]


@pytest.mark.parametrize(("name", "term"), [("imbalance_pressure", "pressure"), ("gamma_balance", "gamma"), ("stretch", "momentum")])
def test_without_an_optional_feature_its_term_is_neutral(name, term):
    whole, without = the_confidence(**OPTIONAL), the_confidence(**(OPTIONAL | {name: None}))
    assert without.neutral == (term,) and without.parts == whole.parts | {term: 0.5} and whole.parts[term] != 0.5


@pytest.mark.parametrize(("way", "changed", "expected"), [
    (1, OPTIONAL, {"imbalance": 0.8, "pressure": 0.75, "gamma": 0.7, "momentum": 0.75}), (-1, OPTIONAL, {"imbalance": 0.8, "pressure": 0.25, "gamma": 0.7, "momentum": 0.25}),
    (1, {"imbalance_share": 0.9, "imbalance_pressure": -50.0, "gamma_balance": 1.0, "stretch": -9.0}, {"imbalance": 1.0, "pressure": 0.0, "gamma": 0.0, "momentum": 0.0})])
def test_the_terms_by_hand(way, changed, expected):
    assert the_confidence(way, **changed).parts == pytest.approx(expected)


@pytest.mark.parametrize("name", TERMS)
def test_each_weight_moves_the_confidence_by_its_term(name):
    found = read(features(**OPTIONAL), INPUTS)
    alone = Parameters(**{f"weight_{n}": float(n == name) for n in TERMS})
    assert confidence(found, 1, alone).value == pytest.approx(terms(found, 1, alone)[name])


def test_plausible_inputs_can_pass_the_usual_threshold():
    assert the_confidence(imbalance_share=0.24).value > 0.55 > the_confidence(imbalance_share=0.11).value


@pytest.mark.parametrize(("changed", "says"), [({"imbalance_share": 0.099}, "+9.9% of the auction, 10.0% wanted"), ({"imbalance_share": -0.05}, "-5.0% of the auction"),
                                               ({"imbalance_shares": 49_999.0}, "+49,999 shares, 50,000 wanted"), ({"imbalance_shares": -10.0}, "-10 shares")])
def test_a_small_imbalance_is_not_traded(changed, says):
    assert says in skipped(propose(features(**changed), chain(), Parameters()), Reason.LOW_CONFIDENCE)
    only(propose(features(imbalance_share=0.10, imbalance_shares=50_000.0), chain(), Parameters()))


@pytest.mark.parametrize("parameters", [{"min_premium": 500.0}, {"max_quote_age": 9.0}, {"min_open_interest": 101.0}, {"min_volume": 1.0}, {"min_size": 11.0}, {"max_relative_spread": 1e-4},
                                        {"target_delta": 0.001, "max_delta_distance": 0.0001}])
def test_each_liquidity_filter_can_leave_nothing(parameters):
    skipped(propose(features(), chain(), Parameters(**parameters)), Reason.NO_LIQUID_CONTRACT)


def test_no_bid_one_strike_and_a_premium_of_one_step():
    c = chain()
    skipped(propose(features(), replace(c, bid=np.zeros(len(c))), Parameters()), Reason.NO_LIQUID_CONTRACT)
    assert only(propose(features(), chain(strikes=(750.0,)), Parameters())).contract.strike == 750.0
    penny = replace(c, bid=np.full(len(c), 0.05), ask=np.full(len(c), 0.05))
    skipped(propose(features(), penny, Parameters(min_premium=0.05, max_delta_distance=0.9, entry_slippage=0.0)), Reason.NO_LIQUID_CONTRACT)


def test_the_held_contract_is_kept_until_another_is_better_by_the_margin():
    first = only(propose(features(), chain(), Parameters())).contract
    moved = chain(spot=750.4)
    free, kept = (only(propose(features(), moved, Parameters(hold_margin=m), first)).contract for m in (0.0, 0.3))
    assert kept == first != free
    assert only(propose(features(), with_cell(moved, "bid_size", row_of(moved, first), 4.0), Parameters(hold_margin=0.3), first)).contract != first


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(len(chain()))), st.sampled_from([0.24, -0.24]), st.booleans())
def test_the_order_of_rows_does_not_matter(order, share, remembers):
    c, f = chain(), features(imbalance_share=share)
    held = c.contracts.contract(row_of(c, only(propose(f, c, Parameters())).contract) + 2) if remembers else None
    assert propose(f, in_order(c, order), Parameters(), held) == propose(f, c, Parameters(), held)


@settings(max_examples=60, deadline=None)
@given(holes(chain()))
def test_whatever_the_chain_it_proposes_within_its_filters_or_says_why(c):
    answer = propose(features(), c, Parameters())
    if isinstance(answer, Skip):
        return skipped(answer, Reason.NO_LIQUID_CONTRACT)
    p = only(answer)
    r = row_of(c, p.contract)
    assert 0 < c.bid[r] <= c.ask[r] and min(c.ask_size[r], c.bid_size[r]) >= 5 and c.quote_time[r] > 0 and abs(delta_of(c, r) - 0.65) <= 0.30 + 1e-9


@pytest.mark.parametrize(("wrong", "message"), [
    ({"weight_gamma": 0.25}, "weights sum to 1.1"), ({"min_share": 0.0}, "min_share 0 must be above 0"), ({"full_share": 1.5}, "at most 1"), ({"min_share": 0.4}, "at most full_share"),
    ({"full_pressure": 0.0}, "full_pressure"), ({"full_stretch": math.nan}, "full_stretch"), ({"exit_minutes": 0.0}, "exit_minutes"), ({"min_shares": -1.0}, "min_shares"), ({"most_days": -1.0}, "most_days")])
def test_parameters_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Parameters(**wrong)
