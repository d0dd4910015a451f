"""What all strategies share: inputs with stated fallbacks, weighing, filters, choice of expiry and contract, prices of entry and exits."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.reasons import Reason
from quanticity.core.types import Features, Right
from quanticity.market.chain import nanoseconds
from quanticity.strategies import fourteen_dte, moc, one_dte, wall_pin, zero_dte
from quanticity.strategies.choice import ChoiceParameters, choose, choose_expiry, deltas, liquid, rows_of, today
from quanticity.strategies.entry import EntryParameters, buy, prices
from quanticity.strategies.inputs import Absence, Confidence, Fallback, Input, agreement, check_between, check_weights, read, reweighted, share_of, weigh, weights_of

from .strategy_support import DAY, SECOND, delta_of, make_chain, only, row_of, seen, skipped, with_cell

NOW = datetime(2026, 3, 20, 15, tzinfo=UTC)  # a Friday
FRIDAY = NOW.date()
DAYS = tuple(FRIDAY + timedelta(days=d) for d in (0, 3, 12, 17))
STRIKES = tuple(np.arange(700.0, 801.0, 5.0))
ALL = (zero_dte, one_dte, fourteen_dte, moc, wall_pin)


# inputs ---------------------------------------------------------------------------------------------------------------------------------------------------
def test_each_fallback_is_what_it_says():
    inputs = (Input("a"), Input("b", Fallback.NEUTRAL, 0.25), Input("c", Fallback.NEUTRAL), Input("d", Fallback.REFUSE))
    whole = read(seen(NOW, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0}), inputs)
    assert dict(whole.values) == {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0} and whole.absent == ()
    part = read(seen(NOW, {"a": 1.0, "d": 4.0}), inputs)
    assert part["b"] == 0.25 and math.isnan(part["c"]) and part.absent == ("b", "c")
    assert read(seen(NOW, {"d": 4.0}), inputs) == Absence(Reason.FEATURE_MISSING, "a: not computed")
    assert read(seen(NOW, {"d": 4.0}, {"a": Reason.FEATURE_STALE}), inputs).detail == "a: feature stale"
    refused = read(seen(NOW, {"a": 1.0}, {"d": Reason.NO_QUOTE}), inputs)
    assert refused == Absence(Reason.LOW_QUALITY, "d: no quote; nothing is bought without it")
    with pytest.raises(KeyError):
        whole["e"]  # published, but not declared


def test_a_value_of_poor_quality_is_missing():
    inputs = (Input("a"), Input("b", Fallback.NEUTRAL, 0.5))
    good, poor = {"a": 0.3, "b": 0.3}, {"a": 0.29, "b": 0.29}
    assert read(seen(NOW, {"a": 1.0, "b": 2.0}, qualities=good), inputs, 0.3).absent == ()
    assert read(seen(NOW, {"a": 1.0, "b": 2.0}, qualities={"b": 0.29}), inputs, 0.3)["b"] == 0.5
    assert read(seen(NOW, {"a": 1.0, "b": 2.0}, qualities=poor), inputs, 0.3) == Absence(Reason.FEATURE_MISSING, "a: low quality")
    assert read(seen(NOW, {"a": 1.0, "b": 2.0}, qualities=poor), inputs)["a"] == 1.0
    assert read(seen(NOW, {"b": 2.0}, {"a": Reason.NO_QUOTE}, qualities=poor), inputs, 0.3).detail == "a: no quote"  # its own reason first


@pytest.mark.parametrize("fallback", [Fallback.SKIP, Fallback.REFUSE])
def test_a_neutral_number_needs_the_neutral_fallback(fallback):
    with pytest.raises(ValueError, match="input x: a neutral number"):
        Input("x", fallback, 0.0)


@pytest.mark.parametrize("strategy", ALL)
def test_every_input_is_declared_once(strategy):
    names = [i.name for i in strategy.INPUTS]
    assert len(set(names)) == len(names) and names[0] == "spot"


def test_weighing():
    c = weigh({"a": 0.5, "b": math.nan, "c": -1.0, "d": 7.0}, {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1})
    assert c == Confidence(0.45, {"a": 0.5, "b": 0.5, "c": 0.0, "d": 1.0}, ("b",))
    assert weigh({"a": 1 / 3, "b": 1 / 3}, {"a": 0.5, "b": 0.5}) == Confidence(0.333333, {"a": 0.333333, "b": 0.333333})
    with pytest.raises(ValueError, match="not the same"):
        weigh({"a": 1.0}, {"b": 1.0})


terms = st.one_of(st.just(math.nan), st.floats(-5, 5))


@given(st.lists(terms, min_size=3, max_size=3), st.integers(0, 2), st.floats(-5, 5))
def test_a_better_term_never_lowers_the_confidence_and_no_term_leaves_the_bounds(values, which, other):
    weights, names = {"a": 0.5, "b": 0.3, "c": 0.2}, "abc"
    c = weigh(dict(zip(names, values)), weights)
    assert 0 <= c.value <= 1 and c.value == pytest.approx(sum(weights[n] * c.parts[n] for n in names), abs=1e-5)
    changed = weigh(dict(zip(names, [other if i == which else v for i, v in enumerate(values)])), weights)
    same = 0.5 if math.isnan(values[which]) else min(1, max(0, values[which]))
    assert (changed.value >= c.value - 1e-6) if min(1, max(0, other)) >= same else (changed.value <= c.value + 1e-6)


@dataclass(frozen=True)
class Weights:
    weight_a: float = 0.5
    other: float = 9.0
    weight_b: float = 0.5


def test_weights_are_found_by_name_and_must_sum_to_one():
    assert weights_of(Weights()) == {"a": 0.5, "b": 0.5}
    check_weights(Weights(0.25, 0.0, 0.75))
    check_weights(Weights(0.5 + 9e-10, 0.0, 0.5))
    check_weights(Weights(0.5 - 9e-10, 0.0, 0.5))
    for a, b in ((0.5, 0.6), (0.5, 0.4), (0.5, 0.5 + 1.2e-9), (0.5, 0.5 - 1.2e-9), (1.5, -0.5), (math.nan, 0.5)):
        with pytest.raises(ValueError, match="the weights sum to"):
            check_weights(Weights(a, 0.0, b))


def test_other_weights_make_room_in_proportion():
    assert reweighted(Weights(), a=0.8) == {"weight_a": 0.8, "weight_b": 0.2} and reweighted(Weights()) == {"weight_a": 0.5, "weight_b": 0.5}
    assert reweighted(zero_dte.Parameters(), stretch=0.7) == pytest.approx({"weight_stretch": 0.7, "weight_gamma": 0.125, "weight_room": 0.1, "weight_flow": 0.05, "weight_toxicity": 0.025})
    assert reweighted(Weights(), a=1.0) == reweighted(Weights(1.0, 9.0, 0.0), a=1.0) == {"weight_a": 1.0, "weight_b": 0.0}
    assert reweighted(Weights(), a=0.3, b=0.7) == {"weight_a": 0.3, "weight_b": 0.7} and reweighted(Weights(), a=0.0) == {"weight_a": 0.0, "weight_b": 1.0}
    for strategy in ALL:
        strategy.Parameters(**reweighted(strategy.Parameters(), **{term: 0.5 for term in list(weights_of(strategy.Parameters()))[:1]}))


@pytest.mark.parametrize(("parameters", "weights", "message"), [
    (Weights(), {"c": 0.5}, "no weight c: there are a, b"), (EntryParameters(), {"a": 0.5}, "no weight a: the strategy has none"), (Weights(), {"a": -0.1}, "sum to -0.1; none may be negative"),
    (Weights(), {"a": 1.1}, "sum to 1.1"), (Weights(), {"a": 0.5, "b": 0.4}, "sum to 0.9"), (Weights(), {"a": 0.6, "b": 0.6}, "sum to 1.2"), (Weights(), {"a": -0.1, "b": 1.1}, "sum to 1; none may be negative"), (Weights(1.0, 9.0, 0.0), {"a": 0.5}, "sum to 0.5")])
def test_weights_that_cannot_sum_to_one_are_refused(parameters, weights, message):
    with pytest.raises(ValueError, match=message):
        reweighted(parameters, **weights)


@pytest.mark.parametrize(("value", "with_low", "fine"), [(0.0, False, False), (0.0, True, True), (0.5, False, True), (1.0, False, False), (math.nan, True, False),
                                                         (math.inf, True, False), (-0.1, True, False)])
def test_bounds(value, with_low, fine):
    if fine:
        return check_between(Weights(other=value), 0, 1, "other", with_low=with_low)
    with pytest.raises(ValueError, match="other .* must be a number"):
        check_between(Weights(other=value), 0, 1, "other", with_low=with_low)


@pytest.mark.parametrize(("low", "high", "with_low", "says"), [(10, 20, False, "other 9 must be a number above 10 and below 20"), (10, 20, True, "other 9 must be a number from 10 up and below 20"),
                                                               (10, math.inf, False, "other 9 must be a number above 10"), (10, math.inf, True, "other 9 must be a number from 10 up")])
def test_what_is_out_of_bounds_is_told_with_its_bounds(low, high, with_low, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        check_between(Weights(), low, high, "other", with_low=with_low)


def test_signed_evidence_and_shares():
    assert agreement(1, 1.2) == 1.0 and agreement(-1, 1.2) == 0.0
    assert [agreement(w, x) for w in (1, -1) for x in (-2.0, -0.5, 0.0, 1.0)] == [0.0, 0.25, 0.5, 1.0, 1.0, 0.75, 0.5, 0.0]
    assert math.isnan(agreement(1, math.nan)) and math.isnan(share_of(math.nan, 1.0)) and [share_of(-3.0, 2.0), share_of(-1.0, 2.0)] == [1.0, 0.5]


# the expiry -----------------------------------------------------------------------------------------------------------------------------------------------
def held_of(c, day):
    return c.contracts.contract(int(np.flatnonzero(c.contracts.expiry_day == (day - date(1970, 1, 1)).days)[0]))


def ahead(c, day):
    return None if day is None else day - today(c)


@pytest.mark.parametrize(("target", "least", "most", "expected"), [(0, 0, 0, 0), (14, 10, 20, 12), (15, 10, 20, 17), (14.5, 10, 20, 12), (1, 1, 4, 3), (1, 1, 2, None),
                                                                   (12, 0, 99, 12), (99, 0, 99, 17), (14, 13, 16, None)])
def test_the_nearest_expiry_within_the_bounds_and_of_equals_the_earlier(target, least, most, expected):
    c = make_chain(NOW, DAYS, STRIKES)
    assert ahead(c, choose_expiry(c, target, least, most)) == expected


@pytest.mark.parametrize(("held_day", "margin", "expected"), [(DAYS[3], 0.0, 12), (DAYS[3], 0.9, 12), (DAYS[3], 1.0, 17), (DAYS[2], 5.0, 12), (DAYS[1], 99.0, 12), (DAYS[0], 99.0, 12)])
def test_the_expiry_held_stays_unless_another_is_nearer_by_more_than_the_margin(held_day, margin, expected):
    c = make_chain(NOW, DAYS, STRIKES)
    assert ahead(c, choose_expiry(c, 14, 10, 20, held_of(c, held_day), margin)) == expected
    assert ahead(c, choose_expiry(c, 14, 10, 20, held_of(c, held_day))) == 12  # no margin is none


def test_an_expiry_that_has_stopped_trading_or_will_too_soon_does_not_count():
    late = datetime(2026, 3, 20, 19, 50, tzinfo=UTC)
    c = make_chain(late, DAYS, STRIKES)
    ends = nanoseconds(datetime(2026, 3, 20, 20, tzinfo=UTC))
    assert ahead(c, choose_expiry(c, 0, 0, 0)) == 0 and ahead(c, choose_expiry(c, 0, 0, 5, trades_after=ends)) == 3
    assert choose_expiry(replace(c, ts=ends), 0, 0, 0) is None
    assert choose_expiry(make_chain(late, (), ()), 0, 0, 99) is None
    am = make_chain(NOW, (date(2026, 4, 17), date(2026, 4, 16)), STRIKES, root="SPX")  # settles on the opening of the 17th: stops trading on the 16th
    assert ahead(am, choose_expiry(am, 28, 27, 28, trades_after=nanoseconds(datetime(2026, 4, 17, 14, tzinfo=UTC)))) is None


# liquidity ------------------------------------------------------------------------------------------------------------------------------------------------
CHOICE = ChoiceParameters(min_open_interest=50.0, min_volume=3.0)


@pytest.mark.parametrize(("column", "value", "filter_name"), [
    ("bid", np.nan, "no bid"), ("bid", 0.0, "no bid"), ("ask", np.nan, "no ask"), ("ask", 0.0, "no ask"), ("bid", 99.0, "crossed"), ("ask", 0.29, "crossed"), ("ask", 99.0, "spread"), ("ask_size", 0.0, "size"),
    ("ask_size", np.nan, "size"), ("bid_size", 0.0, "size"), ("bid_size", np.nan, "size"), ("quote_time", 0, "age"), ("quote_time", nanoseconds(NOW) - 301 * SECOND, "age"), ("open_interest", 49.0, "open interest"), ("open_interest", np.nan, "open interest"),
    ("volume", 2.0, "volume"), ("volume", np.nan, "volume")])
def test_each_filter_takes_a_contract_out_and_is_counted(column, value, filter_name):
    c = replace(make_chain(NOW, DAYS, (745.0, 750.0, 755.0)), volume=np.full(24, 3.0))
    rows = rows_of(c, today(c), 1)
    assert liquid(c, rows, CHOICE).rows.tolist() == rows.tolist() and liquid(c, rows, CHOICE).why == "3 looked at: all can be traded"
    found = liquid(with_cell(c, column, rows[1], value), rows, CHOICE)
    assert found.rows.tolist() == [rows[0], rows[2]] and found.taken_out == ((filter_name, 1),) and found.why == f"3 looked at: {filter_name} 1"


@pytest.mark.parametrize(("parameter", "value", "columns"), [
    ("min_premium", 2.0, {"bid": 1.9, "ask": 2.0}), ("min_size", 7.0, {"bid_size": 7.0}), ("min_size", 7.0, {"ask_size": 7.0}), ("max_quote_age", 45.0, {"quote_time": nanoseconds(NOW) - 45 * SECOND}),
    ("max_relative_spread", 0.5, {"bid": 3.0, "ask": 5.0}), ("min_open_interest", 12.0, {"open_interest": 12.0}), ("min_volume", 4.0, {"volume": 4.0})])
def test_a_contract_just_at_a_bound_can_be_traded(parameter, value, columns):
    c = make_chain(NOW, DAYS, (750.0,))
    rows = rows_of(c, today(c), 1)
    for column, number in columns.items():
        c = with_cell(c, column, rows[0], number)
    tighter = value - 1e-6 if parameter.startswith("max") else value + 1e-6
    assert [len(liquid(c, rows, ChoiceParameters(**{"max_relative_spread": 9.0, parameter: bound})).rows) for bound in (value, tighter)] == [1, 0]


@pytest.mark.parametrize(("parameter", "column"), [("min_open_interest", "open_interest"), ("min_volume", "volume")])
def test_the_least_that_can_be_asked_for_is_asked_for(parameter, column):
    c = make_chain(NOW, DAYS, (750.0,))
    rows = rows_of(c, today(c), 1)
    assert not len(liquid(with_cell(c, column, rows[0], 0.0), rows, ChoiceParameters(**{parameter: 0.5})).rows)


def test_a_locked_quote_can_be_traded():
    c = make_chain(NOW, DAYS, (750.0,))
    rows = rows_of(c, today(c), 1)
    assert liquid(with_cell(c, "bid", rows[0], c.ask[rows[0]]), rows, ChoiceParameters()).rows.tolist() == rows.tolist()


@pytest.mark.parametrize("multiplier", [np.nan, 0.0])
def test_a_contract_of_unknown_multiplier_is_not_traded(multiplier):
    c = make_chain(NOW, DAYS, (745.0, 750.0))
    rows = rows_of(c, today(c), 1)
    odd = replace(c, contracts=replace(c.contracts, multiplier=np.where(np.arange(len(c)) == rows[0], multiplier, 100.0)))
    assert liquid(odd, rows, ChoiceParameters()).taken_out == (("adjusted", 1),) and liquid(odd, rows, ChoiceParameters()).rows.tolist() == [rows[1]]


def test_what_is_not_asked_for_may_be_unknown():
    c = make_chain(NOW, DAYS, STRIKES)
    bare = replace(c, volume=np.full(len(c), np.nan), open_interest=np.full(len(c), np.nan))
    rows = rows_of(c, today(c) + 12, -1)
    assert liquid(bare, rows, ChoiceParameters()).rows.tolist() == liquid(c, rows, ChoiceParameters()).rows.tolist() != []


def test_the_premium_is_that_of_the_ask():
    c = make_chain(NOW, DAYS, STRIKES)
    rows = rows_of(c, today(c), 1)
    for least in (0.1, 1.0, 20.0):
        assert all(c.ask[liquid(c, rows, ChoiceParameters(min_premium=least)).rows] >= least)
        assert dict(liquid(c, rows, ChoiceParameters(min_premium=least)).taken_out).get("premium", 0) == np.count_nonzero((c.bid[rows] > 0) & (c.ask[rows] < least))


# the contract ---------------------------------------------------------------------------------------------------------------------------------------------
def test_deltas_are_those_of_the_midpoints():
    c = make_chain(NOW, DAYS, STRIKES)
    rows = np.concatenate((rows_of(c, today(c) + 12, 1), rows_of(c, today(c) + 12, -1)))
    np.testing.assert_allclose(deltas(c, rows), [delta_of(c, r) for r in rows], rtol=1e-12)
    calls = deltas(c, rows_of(c, today(c) + 12, 1))
    assert np.all(np.diff(calls) < 0)


def near_two():
    """A chain, and two calls of 12 days on either side of a target halfway between their deltas."""
    c = make_chain(NOW, DAYS, (745.0, 755.0))
    low, high = rows_of(c, today(c) + 12, 1)
    return c, int(low), int(high), (delta_of(c, low) + delta_of(c, high)) / 2


def test_ties_go_to_the_lower_strike_whatever_the_order():
    c, low, high, middle = near_two()
    for rows in ([low, high], [high, low]):
        assert choose(c, np.array(rows), ChoiceParameters(target_delta=middle)) == low
        assert choose(c, np.array(rows), ChoiceParameters(target_delta=middle - 0.001)) == high
        assert choose(c, np.array(rows), ChoiceParameters(target_delta=0.01, max_delta_distance=0.01)) is None


@pytest.mark.parametrize(("off", "margin", "kept"), [(0.010, 0.05, True), (0.024, 0.05, True), (0.026, 0.05, False), (0.010, 0.0, False), (-0.03, 0.0, True)])
def test_a_new_contract_must_beat_the_held_one_by_the_margin(off, margin, kept):
    c, low, high, middle = near_two()  # the low one's delta is above the middle; a target `off` below it is nearer to the high one by 2 off
    answer = choose(c, np.array([low, high]), ChoiceParameters(target_delta=middle - off, hold_margin=margin), c.contracts.contract(low))
    assert answer == (low if kept else high)


def test_just_at_the_bound_of_the_distance_and_of_the_margin():
    c, low, high, middle = near_two()
    rows, at = np.array([low, high]), round(delta_of(c, low), 6)
    off = abs(delta_of(c, low) - at)  # a target of six places, so that the bounds are what they are in decimals
    assert choose(c, np.array([low]), ChoiceParameters(target_delta=at, max_delta_distance=max(round(off, 9), 1e-12))) == low
    target = delta_of(c, high)
    apart = round(delta_of(c, low) - target, 9)
    held = c.contracts.contract(low)
    assert [choose(c, rows, ChoiceParameters(target_delta=target, hold_margin=margin), held) for margin in (apart, apart - 1e-8)] == [low, high]


def test_a_held_contract_that_cannot_be_taken_is_not_kept():
    c, low, high, middle = near_two()
    p = ChoiceParameters(target_delta=middle - 0.01, hold_margin=1.0)
    held = c.contracts.contract(low)
    assert choose(c, np.array([low, high]), p, held) == low
    assert choose(c, np.array([high]), p, held) == high  # a filter took it out
    assert choose(c, np.array([low, high]), replace(p, max_delta_distance=abs(delta_of(c, high) - middle + 0.01) + 1e-6), held) == high  # too far off by now
    for other in (replace(held, symbol="SPXW"), replace(held, right=Right.PUT), replace(held, strike=1.0), replace(held, expiry=DAYS[3])):
        assert choose(c, np.array([low, high]), p, other) == high


def test_one_strike_no_spot_and_no_time_left():
    c = make_chain(NOW, (FRIDAY,), (750.0,))
    assert choose(c, rows_of(c, today(c), 1), ChoiceParameters()) == 0
    assert choose(c.with_spot(math.nan, "none"), rows_of(c, today(c), 1), ChoiceParameters()) is None
    assert choose(replace(c, ts=int(c.contracts.expires_at[0])), np.array([0]), ChoiceParameters()) is None
    assert choose(c, np.empty(0, np.int64), ChoiceParameters()) is None


# prices and the proposal ----------------------------------------------------------------------------------------------------------------------------------
@settings(max_examples=200)
@given(st.floats(0.0, 50.0), st.floats(0.0, 50.0), st.builds(EntryParameters, entry_slippage=st.floats(0, 0.5), target_return=st.floats(0.01, 3), stop_loss=st.floats(0.01, 0.99),
                                                            trail_fraction=st.sampled_from([0.0, 0.001, 0.3]), tick=st.sampled_from([0.01, 0.05, 0.1])))
def test_prices_are_in_order_or_there_are_none(bid, spread, p):
    ask = bid + spread
    found = prices(bid, ask, p)
    if found is None:
        return
    assert 0 < found.stop < found.limit < found.target and found.limit >= ask
    for price in (found.stop, found.target):
        assert abs(price / p.tick - round(price / p.tick)) < 1e-6
    assert (found.trail is None) == (p.trail_fraction == 0) and (found.trail is None or found.trail >= p.tick - 1e-12)
    assert found.stop <= max(p.tick, bid * (1 - p.stop_loss) + p.tick / 2 + 1e-3)


def test_prices_by_hand():
    at = prices(2.0, 2.1, EntryParameters(trail_fraction=0.25))
    assert (at.limit, at.target, at.stop, at.trail) == (2.3, 3.35, 1.2, 0.5)
    assert prices(2.0, 2.13, EntryParameters(entry_slippage=0.0)).limit == 2.15 and prices(2.0, 2.12, EntryParameters(entry_slippage=0.0)).limit == 2.12
    assert prices(0.05, 0.05, EntryParameters()) is None and prices(1.0, 1.0, EntryParameters(target_return=0.1)) is None


SURE = Confidence(0.7, {"idea": 0.9}, ("other",))


def test_a_bought_contract_carries_all_that_it_was_made_from():
    c = make_chain(NOW, DAYS, STRIKES)
    features = seen(NOW, {"spot": 750.0})
    (p,) = buy("mine", features, c, today(c) + 12, -1, SURE, NOW + timedelta(days=2), "why", EntryParameters())
    only((p,))
    row = row_of(c, p.contract)
    assert (p.id, p.strategy, p.symbol, p.ts, p.cause) == (f"pro:mine:{p.contract.occ}:60", "mine", "GOOG", NOW, ("chain:GOOG:1",))
    assert p.contract.right is Right.PUT and p.contract.expiry == DAYS[2] and p.exit_at == NOW + timedelta(days=2)
    assert (p.confidence, p.parts, p.rationale) == (0.7, {"idea": 0.9}, "why: buy put (neutral: other)")
    assert abs(delta_of(c, row) - 0.45) == min(abs(delta_of(c, r) - 0.45) for r in rows_of(c, today(c) + 12, -1) if c.bid[r] > 0 and c.ask[r] >= 0.3)
    (late,) = buy("mine", features, c, today(c), 1, SURE, NOW + timedelta(days=2), "why", EntryParameters())
    assert late.exit_at == late.contract.expires_at  # never after it


@pytest.mark.parametrize(("way", "parameters", "says"), [
    (1, EntryParameters(min_premium=500.0), "no calls can be traded; 21 looked at: no bid 8, premium 13"), (-1, EntryParameters(min_premium=500.0), "no puts can be traded; 21 looked at: "),
    (1, EntryParameters(target_delta=0.01, max_delta_distance=0.001), "of 12 calls none is within 0.001 of delta 0.01; 21 looked at: no bid 8, premium 1"),
    (1, EntryParameters(tick=80.0, max_delta_distance=1.0), "leaves no price step")])
def test_why_nothing_was_bought(way, parameters, says):
    c = make_chain(NOW, DAYS, STRIKES)
    answer = buy("mine", Features("GOOG", NOW, "chain:1", {}), c, today(c), way, SURE, NOW + timedelta(hours=1), "why", parameters)
    assert says in skipped(answer, Reason.NO_LIQUID_CONTRACT)


@pytest.mark.parametrize("wrong", [{"target_delta": 0.0}, {"target_delta": 1.0}, {"max_delta_distance": 0.0}, {"hold_margin": -0.1}, {"max_relative_spread": math.nan}, {"max_quote_age": 0.0},
                                   {"min_size": -1.0}, {"min_open_interest": math.nan}, {"min_volume": math.inf}, {"min_premium": -0.1}, {"stop_loss": 1.0}, {"stop_loss": 0.0},
                                   {"target_return": 0.0}, {"tick": 0.0}, {"trail_fraction": -0.1}, {"entry_slippage": math.nan}, {"min_feature_quality": -1.0}])
@pytest.mark.parametrize("kind", [EntryParameters, *(s.Parameters for s in ALL)])
def test_shared_parameters_are_checked_for_every_strategy(kind, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        kind(**wrong)


@pytest.mark.parametrize("strategy", ALL)
def test_every_parameter_is_a_number_with_a_default_and_documented(strategy):
    from dataclasses import fields

    documented = (strategy.Parameters.__doc__ or "") + (EntryParameters.__doc__ or "") + (ChoiceParameters.__doc__ or "")
    for f in fields(strategy.Parameters):
        assert isinstance(getattr(strategy.Parameters(), f.name), float), f.name
        assert f"`{f.name}`" in documented or f.name.startswith("weight_"), f.name


def test_days_are_whole_utc_days():
    assert today(make_chain(NOW, DAYS, STRIKES)) * DAY == nanoseconds(datetime(2026, 3, 20, tzinfo=UTC))
