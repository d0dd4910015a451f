"""The 1DTE strategy: the overnight hedging by hand, the next session's expiry by the calendar, every fallback, weight and reason."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.pricing import greeks, implied_vol
from quanticity.core.reasons import Reason
from quanticity.core.types import Right, Skip
from quanticity.strategies.inputs import Fallback, read
from quanticity.strategies.one_dte import INPUTS, Overnight, Parameters, Pressure, confidence, overnight, pressure, propose, terms

from .strategy_support import delta_of, holes, in_order, make_chain, new_york, only, row_of, seen, skipped

THURSDAY, FRIDAY, MONDAY = date(2026, 3, 19), date(2026, 3, 20), date(2026, 3, 23)
NOW = new_york(THURSDAY, 15, 30)
STRIKES = tuple(np.arange(700.0, 801.0, 5.0))
VALUES = {"spot": 750.0, "quality": 0.9}
OPTIONAL = {"vix1d_zscore": 1.0, "institutional_flow": 0.5, "institutional_confidence": 0.8}
EAGER = Parameters(min_pressure=1e-6)


def features(missing=None, now=NOW, **changed):
    return seen(now, VALUES, missing, **changed)


def many_calls_above(strike, is_call):
    """Open interest that makes dealers, long calls out of the money, buy as these decay."""
    return 1000.0 if is_call and strike > 760 else 10.0


def many_puts_below(strike, is_call):
    return 1000.0 if not is_call and strike < 740 else 10.0


def chain(now=NOW, expiries=(THURSDAY, FRIDAY, date(2026, 3, 27)), open_interest=many_calls_above, strikes=STRIKES, **how):
    return make_chain(now, expiries, strikes, open_interest=open_interest, **how)


def by_hand(c, volatility):
    """The exposures of what lasts overnight, a contract after the other; `volatility` is a function of the row."""
    listed, days = c.contracts, c.contracts.expiry_day - c.ts // 86_400_000_000_000
    total = {"charm": 0.0, "vanna": 0.0, "gamma": 0.0, "weighted": 0.0}
    for r in np.flatnonzero(days > 0):
        at, vol = np.array([r]), volatility(r)
        g = greeks(c.spot, listed.strike[at], c.years[at], c.rate, c.dividend, np.array([vol]), listed.is_call[at])
        sign, n, s = (1 if listed.is_call[r] else -1), c.open_interest[r] * 100, c.spot
        gex = sign * float(g.gamma[0]) * n * s * s * 0.01
        total["charm"] += sign * float(g.charm[0]) * n * s / 365
        total["vanna"] += sign * float(g.vanna[0]) * n * s * 0.01
        total["gamma"] += abs(gex)
        total["weighted"] += abs(gex) * vol
    return total["charm"], total["vanna"], total["gamma"], total["weighted"] / total["gamma"]


def own_volatility(c, r):
    at, listed = np.array([r]), c.contracts
    return float(implied_vol(c.mid[at], c.spot, listed.strike[at], c.years[at], c.rate, c.dividend, listed.is_call[at])[0][0])


def outside(c, strike, day):
    """The row of a strike's option out of the money."""
    listed = c.contracts
    return int(np.flatnonzero((listed.strike == strike) & (listed.expiry_day == day) & (listed.is_call == (strike >= c.spot)))[0])


NEAR = tuple(np.arange(735.0, 766.0, 5.0))


def test_the_exposures_are_those_of_what_lasts_overnight():
    c = chain(strikes=NEAR)
    listed = c.contracts
    found = overnight(c, 10)
    expected = by_hand(c, lambda r: own_volatility(c, outside(c, listed.strike[r], listed.expiry_day[r])))
    assert (found.charm, found.vanna, found.gamma, found.volatility) == pytest.approx(expected) and found.volatility == pytest.approx(0.35, abs=0.01)
    assert found.counted == 28 and found.coverage == 1.0 and overnight(c, 1).counted == 14 and overnight(c, 10) == overnight(c, 8)


def test_quotes_in_the_money_do_not_matter_and_gaps_are_interpolated():
    c = chain(strikes=NEAR)
    listed = c.contracts
    inside = listed.is_call != (listed.strike >= c.spot)
    wild = replace(c, bid=np.where(inside, c.bid * 0.5, c.bid), ask=np.where(inside, c.ask * 3.0, c.ask))
    assert overnight(wild, 10) == overnight(c, 10)
    gap = replace(c, bid=np.where(listed.strike == 755.0, np.nan, c.bid))
    day = {d: (own_volatility(c, outside(c, 750.0, d)) + own_volatility(c, outside(c, 760.0, d))) / 2 for d in np.unique(listed.expiry_day)}
    expected = by_hand(c, lambda r: day[listed.expiry_day[r]] if listed.strike[r] == 755.0 else own_volatility(c, outside(c, listed.strike[r], listed.expiry_day[r])))
    found = overnight(gap, 10)
    assert (found.charm, found.vanna, found.gamma, found.volatility) == pytest.approx(expected) and found.counted == 28
    interest = c.open_interest[listed.expiry_day > c.ts // 86_400_000_000_000]
    missing = c.open_interest[(listed.expiry_day > c.ts // 86_400_000_000_000) & (listed.strike == 755.0)]
    assert found.coverage == pytest.approx(1 - missing.sum() / interest.sum())


def test_an_expiry_with_one_quote_out_of_the_money_is_left_out():
    c = chain(strikes=NEAR)
    listed, friday = c.contracts, (FRIDAY - date(1970, 1, 1)).days
    lone = replace(c, bid=np.where((listed.expiry_day == friday) & (listed.strike != 760.0), np.nan, c.bid))
    assert overnight(lone, 10).counted == 14 and overnight(lone, 1) is Reason.NO_QUOTE
    rest = overnight(chain(strikes=NEAR, expiries=(date(2026, 3, 27),)), 10)
    assert replace(overnight(lone, 10), coverage=rest.coverage) == rest  # it weighs nothing in the volatility either


def test_old_quotes_do_not_count():
    c = chain(strikes=NEAR)
    old = replace(c, quote_time=np.where(c.contracts.strike == 755.0, c.ts - 901 * 10**9, c.quote_time))
    none = replace(c, bid=np.where(c.contracts.strike == 755.0, np.nan, c.bid))
    assert overnight(old, 10) == overnight(none, 10) != overnight(c, 10) == overnight(old, 10, max_age=901.0)


def test_a_locked_quote_counts_and_a_crossed_one_does_not():
    c = chain(strikes=NEAR)
    one = c.contracts.strike == 755.0
    none, locked, crossed = (replace(c, bid=np.where(one, bid, c.bid)) for bid in (np.nan, c.ask, c.ask + 0.01))
    assert overnight(locked, 10).coverage == 1.0 and overnight(crossed, 10) == overnight(none, 10)


def test_expiries_too_far_ahead_for_the_exposure_are_none():
    detail = skipped(propose(features(), chain(), replace(EAGER, exposure_days=0.5)), Reason.FEATURE_MISSING)
    assert overnight(chain(), 0.5) is Reason.NO_SUCH_EXPIRY and detail == "overnight exposure: no such expiry"


def test_all_that_is_wanted_is_enough():
    c = chain(strikes=NEAR, open_interest=lambda k, call: 1000.0 if call and k > 755 else 10.0)
    total = abs(pressure(overnight(c, 10), 1, math.nan).total)
    just = replace(EAGER, min_coverage=1.0, min_pressure=total, full_pressure=9.0)
    only(propose(features(), c, just))
    skipped(propose(features(), c, replace(just, min_pressure=total * 1.0001)), Reason.LOW_CONFIDENCE)


def test_a_chain_that_shows_too_little_is_refused():
    c = chain(strikes=NEAR)
    thin = replace(c, bid=np.where(c.contracts.strike > 760.0, np.nan, c.bid))  # where nearly all of the open interest is
    assert "of the open interest shows a volatility, 25% wanted" in skipped(propose(features(), thin, EAGER), Reason.LOW_QUALITY)
    assert not isinstance(propose(features(), thin, replace(EAGER, min_coverage=0.0)), Skip)


def test_todays_options_do_not_count():
    c = chain()
    assert overnight(c, 10) == overnight(chain(expiries=(FRIDAY, date(2026, 3, 27))), 10)


@pytest.mark.parametrize(("change", "reason"), [
    (lambda c: replace(c, open_interest=np.full(len(c), np.nan)), Reason.NO_OPEN_INTEREST), (lambda c: replace(c, open_interest=np.zeros(len(c))), Reason.NO_OPEN_INTEREST),
    (lambda c: replace(c, bid=np.full(len(c), np.nan)), Reason.NO_QUOTE), (lambda c: c.with_spot(math.nan, "none"), Reason.NO_SPOT), (lambda c: c.with_spot(0.0, "none"), Reason.NO_SPOT)])
def test_why_there_is_no_exposure(change, reason):
    c = change(chain())
    assert overnight(c, 10) is reason
    assert skipped(propose(features(), c, EAGER), Reason.FEATURE_MISSING) == f"overnight exposure: {reason.text}"


def test_the_pressure_by_hand():
    night = Overnight(charm=-2e6, vanna=1e6, gamma=1e7, volatility=0.01 * math.sqrt(365), counted=1, coverage=1.0)  # an ordinary night of 1%: 10 millions
    assert pressure(night, 1, math.nan) == Pressure(pytest.approx(0.2), 0.0)
    assert pressure(night, 4, math.nan).charm == pytest.approx(0.4)  # four times the charm, twice the ordinary move
    assert pressure(night, 1, -1.5).vanna == pytest.approx(0.15) and pressure(night, 1, -1.5).total == pytest.approx(0.35)


@pytest.mark.parametrize(("held", "right"), [(many_calls_above, Right.CALL), (many_puts_below, Right.CALL)])
def test_decaying_options_out_of_the_money_make_dealers_buy(held, right):
    # long calls above lose delta: dealers who sold stock against them buy it back; short puts below likewise
    p = only(propose(features(), chain(open_interest=held), EAGER))
    assert p.contract.right is right and "charm +" in p.rationale


def test_the_other_way_puts_are_bought():
    itm = lambda k, call: 1000.0 if call and k < 740 else 10.0  # calls in the money gain delta overnight  # noqa: E731
    p = only(propose(features(), chain(open_interest=itm), EAGER))
    assert p.contract.right is Right.PUT and "charm -" in p.rationale


def test_a_fall_of_volatility_speaks_through_vanna():
    c = chain()
    found = overnight(c, 10)
    z = 60.0 if found.vanna < 0 else -60.0  # volatility so far off that vanna outweighs charm
    with_it, without = (only(propose(features(vix1d_zscore=x), c, EAGER)) for x in (z, None))
    assert with_it.contract.right is not without.contract.right
    silent = only(propose(features(vix1d_zscore=z), c, Parameters(min_pressure=1e-6, vol_reversion=0.0)))
    assert silent.contract.right is without.contract.right


@pytest.mark.parametrize(("now", "expiry", "nights", "leaves"), [
    (NOW, FRIDAY, 1, new_york(FRIDAY, 11)), (new_york(FRIDAY, 15, 30), MONDAY, 3, new_york(MONDAY, 11)),
    (new_york(date(2026, 11, 25), 15, 30), date(2026, 11, 27), 2, new_york(date(2026, 11, 27), 11)),  # Thanksgiving between; then a half day
    (new_york(date(2026, 11, 27), 12, 30), date(2026, 11, 30), 3, new_york(date(2026, 11, 30), 11)),  # from a half day
    (new_york(date(2026, 4, 2), 15, 30), date(2026, 4, 6), 4, new_york(date(2026, 4, 6), 11))])  # Good Friday
def test_the_next_session_is_the_calendars_and_the_exit_lies_in_it(now, expiry, nights, leaves):
    c = chain(now=now, expiries=(now.date(), expiry, expiry + timedelta(days=7)))
    p = only(propose(features(now=now), c, EAGER))
    assert p.contract.expiry == expiry and p.exit_at == leaves and f"over {nights} day" in p.rationale
    assert p.exit_at > new_york(now.date(), 16, 15)


@pytest.mark.parametrize("expiries", [(THURSDAY,), (THURSDAY, date(2026, 3, 27)), (MONDAY,), ()])
def test_without_the_next_sessions_expiry_there_is_no_trade(expiries):
    assert "next session (2026-03-20)" in skipped(propose(features(), chain(expiries=expiries), EAGER), Reason.NO_SUCH_EXPIRY)


def test_an_option_that_settles_on_the_next_opening_is_no_choice():
    c = chain(root="SPX", strikes=STRIKES)  # the third Friday: SPX stops trading on Thursday
    skipped(propose(seen(NOW, VALUES, symbol="SPX"), c, EAGER), Reason.NO_SUCH_EXPIRY)


def test_an_exit_after_the_last_trade_is_no_exit():
    late = Parameters(min_pressure=1e-6, exit_minutes_after_open=380.0)
    skipped(propose(features(), chain(), late), Reason.NO_SUCH_EXPIRY)
    only(propose(features(), chain(), Parameters(min_pressure=1e-6, exit_minutes_after_open=370.0)))


@pytest.mark.parametrize(("missing", "changed", "reason", "detail"), [
    ({"spot": Reason.NO_SPOT}, {"spot": None}, Reason.FEATURE_MISSING, "spot: no spot"), ({}, {"quality": None}, Reason.LOW_QUALITY, "quality: not computed; nothing is bought without it")])
def test_what_it_does_not_do_without(missing, changed, reason, detail):
    assert skipped(propose(features(missing, **changed), chain(), EAGER), reason) == detail


def test_the_fallbacks_are_these():
    assert {i.name: i.fallback for i in INPUTS} == {"spot": Fallback.SKIP, "quality": Fallback.REFUSE, "vix1d_zscore": Fallback.NEUTRAL, "institutional_flow": Fallback.NEUTRAL,
                                                    "institutional_confidence": Fallback.NEUTRAL}


@pytest.mark.parametrize(("name", "neutral"), [("vix1d_zscore", {"price", "accord"}), ("institutional_flow", {"flow"}), ("institutional_confidence", {"flow"})])
def test_without_an_optional_feature_its_terms_are_neutral(name, neutral):
    whole, without = (confidence(read(features(**f), INPUTS), Pressure(0.1, -0.025), 1, Parameters()) for f in (OPTIONAL, OPTIONAL | {name: None}))
    for term in whole.parts:
        assert without.parts[term] == (0.5 if term in neutral else whole.parts[term])
        assert term not in neutral or whole.parts[term] != 0.5


@pytest.mark.parametrize(("pushed", "way", "changed", "expected"), [
    (Pressure(0.1, 0.0), 1, {}, {"pressure": 0.5, "accord": 0.5, "price": 0.5, "flow": 0.5}),
    (Pressure(-0.9, 0.0), -1, OPTIONAL, {"pressure": 1.0, "accord": 1.0, "price": 0.25, "flow": 0.3}),
    (Pressure(0.15, -0.05), 1, OPTIONAL | {"vix1d_zscore": -2.0}, {"pressure": 0.5, "accord": 0.5, "price": 1.0, "flow": 0.7}),
    (Pressure(0.0, 0.0), 1, {"vix1d_zscore": 9.0}, {"pressure": 0.0, "accord": 0.5, "price": 0.0, "flow": 0.5})])
def test_the_terms_by_hand(pushed, way, changed, expected):
    assert confidence(read(features(**changed), INPUTS), pushed, way, Parameters()).parts == pytest.approx(expected)


@pytest.mark.parametrize("name", ["pressure", "accord", "price", "flow"])
def test_each_weight_moves_the_confidence_by_its_term(name):
    found, pushed = read(features(**OPTIONAL), INPUTS), Pressure(0.15, -0.05)
    alone = Parameters(**{f"weight_{n}": float(n == name) for n in ("pressure", "accord", "price", "flow")})
    assert confidence(found, pushed, 1, alone).value == pytest.approx(terms(found, pushed, 1, alone)[name])


def test_plausible_inputs_can_pass_the_usual_threshold():
    assert confidence(read(features(), INPUTS), Pressure(0.15, 0.0), 1, Parameters()).value > 0.55 > confidence(read(features(), INPUTS), Pressure(0.08, 0.0), 1, Parameters()).value


def test_a_small_pressure_is_not_traded():
    detail = skipped(propose(features(), chain(), Parameters(min_pressure=50.0, full_pressure=50.0)), Reason.LOW_CONFIDENCE)
    assert detail.endswith("within 50")


@pytest.mark.parametrize("parameters", [{"min_premium": 500.0}, {"max_quote_age": 29.0}, {"min_open_interest": 1e6}, {"min_volume": 1.0}, {"min_size": 11.0}, {"max_relative_spread": 1e-4}])
def test_each_liquidity_filter_can_leave_nothing(parameters):
    skipped(propose(features(), chain(), replace(EAGER, **parameters)), Reason.NO_LIQUID_CONTRACT)


def test_one_strike_and_no_bid():
    c = chain(strikes=(755.0,), open_interest=lambda k, call: 100.0)
    p = propose(features(), c, EAGER)
    assert isinstance(p, Skip) or only(p).contract.strike == 755.0
    skipped(propose(features(), replace(chain(), bid=np.zeros(len(chain()))), EAGER), Reason.FEATURE_MISSING)


def test_the_held_contract_is_kept_until_another_is_better_by_the_margin():
    first = only(propose(features(), chain(), EAGER)).contract
    moved = chain(spot=754.0)
    free, kept = (only(propose(features(), moved, replace(EAGER, hold_margin=m), first)).contract for m in (0.0, 0.3))
    assert kept == first != free


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(len(chain()))), st.booleans())
def test_the_order_of_rows_does_not_matter(order, remembers):
    c = chain()
    held = c.contracts.contract(row_of(c, only(propose(features(), c, EAGER)).contract) + 2) if remembers else None
    one, other = only(propose(features(), c, EAGER, held)), only(propose(features(), in_order(c, order), EAGER, held))
    assert one.contract == other.contract and one.confidence == pytest.approx(other.confidence, abs=1e-6) and (one.limit_price, one.exit_at) == (other.limit_price, other.exit_at)


@settings(max_examples=60, deadline=None)
@given(holes(chain()))
def test_whatever_the_chain_it_proposes_within_its_filters_or_says_why(c):
    answer = propose(features(), c, EAGER)
    if isinstance(answer, Skip):
        assert answer.reason in (Reason.NO_LIQUID_CONTRACT, Reason.FEATURE_MISSING, Reason.LOW_CONFIDENCE) and answer.detail
        return
    p = only(answer)
    r = row_of(c, p.contract)
    assert 0 < c.bid[r] <= c.ask[r] and c.quote_time[r] > 0 and abs(delta_of(c, r) - 0.40) <= 0.20 + 1e-9 and p.contract.expiry == FRIDAY


@pytest.mark.parametrize(("wrong", "message"), [
    ({"weight_flow": 0.3}, "weights sum to 1.1"), ({"min_pressure": 0.0}, "min_pressure 0 must be above 0"), ({"min_pressure": 1.0}, "at most full_pressure"), ({"full_pressure": math.inf}, "full_pressure"),
    ({"exposure_days": 0.0}, "exposure_days"), ({"full_zscore": 0.0}, "full_zscore"), ({"min_coverage": 1.1}, "min_coverage"), ({"exposure_quote_age": 0.0}, "exposure_quote_age"), ({"min_coverage": math.nan}, "min_coverage"), ({"vol_reversion": -1.0}, "vol_reversion"), ({"exit_minutes_after_open": math.nan}, "exit_minutes_after_open"),
    ({"exit_minutes": -1.0}, "exit_minutes")])
def test_parameters_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Parameters(**wrong)


def test_the_moment_is_that_of_the_chain():
    assert only(propose(features(), chain(), EAGER)).ts == NOW == datetime(2026, 3, 19, 19, 30, tzinfo=UTC)
