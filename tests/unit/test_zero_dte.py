"""The 0DTE strategy: pure, within its own filters whatever the chain, and never silent about why it proposes nothing."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.pricing import black_scholes_price, greeks, implied_vol
from quanticity.core.reasons import Reason
from quanticity.core.types import Features, Proposal, Right, Side, Skip
from quanticity.market.chain import Contracts, OptionChain, nanoseconds
from quanticity.strategies.zero_dte import Parameters, choose, confidence, confidence_parts, direction, propose, tradable

NOW = datetime(2015, 12, 24, 15, 30, tzinfo=UTC)
CLOSE = datetime(2015, 12, 24, 18, tzinfo=UTC)
TODAY = (NOW.date() - date(1970, 1, 1)).days
TS, SECOND = nanoseconds(NOW), 1_000_000_000
VALUES = {"spot": 750.0, "gex": 1e7, "gamma_balance": 0.6, "stretch": -1.5, "call_wall": 760.0, "put_wall": 740.0, "expected_move": 10.0}


def features(missing=None, **changed) -> Features:
    values = {k: v for k, v in (VALUES | changed).items() if v is not None}
    return Features("GOOG", NOW, "chain:GOOG:20151224T153000Z:60", values, {}, missing or {})


def listing(expiry_day, strike, is_call) -> Contracts:
    expires = np.where(expiry_day == TODAY, nanoseconds(CLOSE), nanoseconds(CLOSE) + (expiry_day - TODAY) * 86_400 * SECOND)
    return Contracts("GOOG", "GOOG", strike, expiry_day, expires, is_call, np.full(len(strike), 100.0))


def chain(strikes=tuple(np.arange(735.0, 767.5, 2.5)), volatility=0.35, half_spread=0.05, days=(TODAY, TODAY + 7)) -> OptionChain:
    """Both expiries at one volatility, quoted in cents around their value, calls and puts."""
    grid = [(d, k, c) for d in days for k in strikes for c in (True, False)]
    day, strike, call = (np.array([g[i] for g in grid]) for i in range(3))
    listed = listing(day.astype(np.int64), strike.astype(float), call.astype(bool))
    years = (listed.expires_at - TS) / (365 * 86_400 * SECOND)
    value = black_scholes_price(750.0, listed.strike, years, 0.02, 0.0, volatility, listed.is_call)
    n = len(listed)
    bid, ask = np.maximum(np.floor(100 * (value - half_spread)) / 100, 0.0), np.ceil(100 * (value + half_spread)) / 100
    return OptionChain(60, TS, listed, 750.0, "quote", 0.02, 0.0, np.where(bid > 0, bid, np.nan), ask, np.full(n, 10.0), np.full(n, 10.0),
                       np.full(n, TS - 30 * SECOND), np.zeros(n), np.full(n, 100.0), np.full(n, np.nan))


def delta_of(c: OptionChain, row: int) -> float:
    """The row's absolute delta, by its own mid."""
    at = np.array([row])
    listed, years = c.contracts, c.years[at]
    vol, _ = implied_vol(c.mid[at], c.spot, listed.strike[at], years, c.rate, c.dividend, listed.is_call[at])
    return abs(float(greeks(c.spot, listed.strike[at], years, c.rate, c.dividend, vol, listed.is_call[at]).delta[0]))


def row_of(c: OptionChain, proposal: Proposal) -> int:
    return c.contracts.occ().index(proposal.contract.occ)


def only(answer) -> Proposal:
    assert isinstance(answer, tuple) and len(answer) == 1, answer
    return answer[0]


@pytest.mark.parametrize(("stretch", "gex", "way"), [(1.5, 1e6, -1), (-1.5, 1e6, 1), (1.5, -1e6, 1), (-1.5, -1e6, -1), (1.5, 0.0, -1)])
def test_with_the_move_where_dealers_are_short_gamma_against_it_where_long(stretch, gex, way):
    assert direction(stretch, gex) == way
    proposal = only(propose(features(stretch=stretch, gex=gex), chain(), Parameters()))
    assert proposal.contract.right is (Right.CALL if way > 0 else Right.PUT) and proposal.side is Side.BUY


def test_a_proposal_is_bought_near_the_ask_with_its_exits():
    c = chain()
    p = only(propose(features(), c, Parameters()))
    row = row_of(c, p)
    assert p.contract.expiry == NOW.date() and p.limit_price > c.ask[row] and p.limit_price == pytest.approx(round(c.ask[row] * 1.1 / 0.05) * 0.05)
    assert p.target_price == pytest.approx(round(c.ask[row] * 1.6 / 0.05) * 0.05) and p.stop_price == pytest.approx(round(c.bid[row] * 0.6 / 0.05) * 0.05)
    assert p.exit_at == CLOSE - timedelta(minutes=15) and p.trail_amount is None
    assert p.ts == NOW and p.cause == ("chain:GOOG:20151224T153000Z:60",) and p.id == f"pro:zero_dte:{p.contract.occ}:60"
    assert p.parts == {"stretch": 0.75, "gamma": 0.6, "room": 1.0} and p.confidence == pytest.approx(0.5 * 0.75 + 0.3 * 0.6 + 0.2)
    assert "long gamma" in p.rationale and "buy call" in p.rationale
    assert abs(delta_of(c, row) - 0.45) == min(abs(delta_of(c, r) - 0.45) for r in tradable(c, 1, Parameters()))


def test_it_is_pure():
    c, f = chain(), features()
    before = {name: getattr(c, name).copy() for name in ("bid", "ask", "quote_time", "ask_size")}
    assert propose(f, c, Parameters()) == propose(f, c, Parameters())
    for name, column in before.items():
        np.testing.assert_array_equal(getattr(c, name), column)


def test_a_trailing_stop_follows_by_its_share_of_the_premium():
    c = chain()
    p = only(propose(features(), c, Parameters(trail_fraction=0.3)))
    assert p.trail_amount == pytest.approx(round(c.ask[row_of(c, p)] * 0.3 / 0.05) * 0.05) and p.trail_amount > 0


@pytest.mark.parametrize("name", ["spot", "gex", "gamma_balance", "stretch"])
def test_a_missing_feature_is_told_with_its_own_reason(name):
    answer = propose(features({name: Reason.NO_OPEN_INTEREST}, **{name: None}), chain(), Parameters())
    assert isinstance(answer, Skip) and (answer.reason, answer.detail) == (Reason.FEATURE_MISSING, f"{name}: no open interest")
    assert propose(features(**{name: None}), chain(), Parameters()).detail == f"{name}: not computed"
    assert (answer.strategy, answer.symbol, answer.ts, answer.cause) == ("zero_dte", "GOOG", NOW, ("chain:GOOG:20151224T153000Z:60",))


@pytest.mark.parametrize(("make", "parameters", "stretch", "reason"), [
    (lambda: chain(), Parameters(), 0.7, Reason.LOW_CONFIDENCE), (lambda: chain(), Parameters(min_stretch=1.5), -1.49, Reason.LOW_CONFIDENCE),
    (lambda: chain(days=(TODAY + 7,)), Parameters(), -1.5, Reason.NO_SUCH_EXPIRY), (lambda: chain(days=(TODAY - 1,)), Parameters(), -1.5, Reason.NO_SUCH_EXPIRY),
    (lambda: chain(half_spread=5.0), Parameters(), -1.5, Reason.NO_LIQUID_CONTRACT),
    (lambda: chain(), Parameters(max_quote_age=29.0), -1.5, Reason.NO_LIQUID_CONTRACT),
    (lambda: chain(strikes=(760.0, 765.0)), Parameters(min_premium=0.01, max_delta_distance=0.1), -1.5, Reason.NO_LIQUID_CONTRACT),
    (lambda: chain().with_spot(float("nan"), "none"), Parameters(), -1.5, Reason.NO_LIQUID_CONTRACT),
    (lambda: replace(chain(), ts=nanoseconds(CLOSE)), Parameters(max_quote_age=1e9), -1.5, Reason.NO_LIQUID_CONTRACT)])
def test_each_reason_to_skip_is_reached(make, parameters, stretch, reason):
    answer = propose(features(stretch=stretch), make(), parameters)
    assert isinstance(answer, Skip) and answer.reason is reason and answer.detail


def test_at_just_the_least_stretch_it_proposes():
    only(propose(features(stretch=-0.75), chain(), Parameters()))


@pytest.mark.parametrize(("column", "value"), [("bid", np.nan), ("bid", 0.0), ("bid", 99.0), ("ask", np.nan), ("ask", 0.29), ("ask", 9.0), ("ask_size", 0.0),
                                               ("quote_time", 0), ("quote_time", TS - 301 * SECOND)])
def test_each_filter_takes_a_contract_out(column, value):
    c = chain()
    row = row_of(c, only(propose(features(), c, Parameters())))
    assert row in tradable(c, 1, Parameters())
    changed = getattr(c, column).copy()
    changed[row] = value
    worse = replace(c, **{column: changed})
    assert row not in tradable(worse, 1, Parameters())
    assert row_of(worse, only(propose(features(), worse, Parameters()))) != row


prices = st.sampled_from([np.nan, 0.0, 0.05, 0.1, 0.3, 0.5, 1.0, 2.0, 4.0, 5.0, 5.2, 8.0, 30.0])


@st.composite
def wild_chains(draw) -> OptionChain:
    n = draw(st.integers(1, 14))
    many = lambda of: np.array(draw(st.lists(of, min_size=n, max_size=n)))  # noqa: E731
    listed = listing(TODAY + many(st.sampled_from([0, 0, 0, 1])).astype(np.int64), many(st.sampled_from([735.0, 745.0, 747.5, 750.0, 752.5, 760.0])),
                     many(st.booleans()))
    return OptionChain(5, TS, listed, 750.0, "quote", 0.02, 0.0, many(prices), many(prices), many(st.sampled_from([0.0, 1.0, 9.0])),
                       many(st.sampled_from([0.0, 1.0, 9.0])), TS - many(st.sampled_from([0, 100, 299, 300, 301, 9999])).astype(np.int64) * SECOND,
                       np.zeros(n), np.full(n, np.nan), np.full(n, np.nan))


wild_parameters = st.builds(Parameters, target_delta=st.floats(0.1, 0.9), max_delta_distance=st.floats(0.01, 0.5), max_relative_spread=st.floats(0.05, 2.0),
                            min_premium=st.sampled_from([0.05, 0.3, 1.0]), max_quote_age=st.sampled_from([50.0, 300.0]))


@settings(max_examples=80, deadline=None)
@given(wild_chains(), wild_parameters, st.sampled_from([-3.0, -1.0, 1.0, 3.0]), st.sampled_from([-1e6, 1e6]))
def test_it_never_proposes_a_contract_outside_its_filters(c, parameters, stretch, gex):
    answer = propose(features(stretch=stretch, gex=gex), c, parameters)
    if isinstance(answer, Skip):
        assert answer.reason in (Reason.NO_SUCH_EXPIRY, Reason.NO_LIQUID_CONTRACT)
        return
    p = only(answer)
    matches = [r for r in range(len(c)) if c.contracts.contract(r) == p.contract
               and p.limit_price == max(c.ask[r], round(round(c.ask[r] * 1.1 / 0.05) * 0.05, 4) if c.ask[r] == c.ask[r] else np.nan)]
    way = direction(stretch, gex)
    good = [r for r in matches if c.bid[r] > 0 and c.bid[r] <= c.ask[r] and c.ask[r] >= parameters.min_premium and c.ask_size[r] >= 1
            and (TS - c.quote_time[r]) / SECOND <= parameters.max_quote_age and c.quote_time[r] > 0
            and c.ask[r] - c.bid[r] <= parameters.max_relative_spread * (c.ask[r] + c.bid[r]) / 2
            and abs(delta_of(c, r) - parameters.target_delta) <= parameters.max_delta_distance + 1e-9]
    assert good, (p.contract, matches)
    assert p.contract.expiry == NOW.date() and p.contract.right is (Right.CALL if way > 0 else Right.PUT)
    assert 0 <= p.confidence <= 1 and all(0 <= v <= 1 for v in p.parts.values())
    assert 0 < p.stop_price < p.limit_price < p.target_price and p.exit_at < p.contract.expires_at


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(len(chain()))), st.sampled_from([-1.5, 1.5]))
def test_the_order_of_rows_does_not_matter(order, stretch):
    c, order = chain(), np.array(order)
    listed = c.contracts
    shuffled = replace(c, contracts=replace(listed, **{n: getattr(listed, n)[order] for n in ("strike", "expiry_day", "expires_at", "is_call", "multiplier")}),
                       **{n: getattr(c, n)[order] for n in ("bid", "ask", "bid_size", "ask_size", "quote_time", "volume", "open_interest", "prior_volatility")})
    f = features(stretch=stretch)
    assert propose(f, shuffled, Parameters()) == propose(f, c, Parameters())


def test_of_two_equally_near_deltas_the_lower_strike_is_taken():
    c = chain(strikes=(747.5, 752.5), days=(TODAY,))
    low, high = (int(np.flatnonzero(c.contracts.is_call & (c.contracts.strike == k))[0]) for k in (747.5, 752.5))
    middle = (delta_of(c, low) + delta_of(c, high)) / 2
    for rows in ([low, high], [high, low]):
        assert choose(c, np.array(rows), Parameters(target_delta=middle)) == low
        assert choose(c, np.array(rows), Parameters(target_delta=middle - 0.001)) == high
        assert choose(c, np.array(rows), Parameters(target_delta=0.01, max_delta_distance=0.01)) is None


@pytest.mark.parametrize(("way", "changed", "room"), [
    (1, {}, 1.0), (1, {"call_wall": 753.0}, 0.3), (1, {"call_wall": 740.0}, 0.0), (-1, {"put_wall": 745.0}, 0.5), (-1, {"put_wall": 755.0}, 0.0),
    (1, {"call_wall": None}, 0.5), (-1, {"put_wall": None}, 0.5), (1, {"expected_move": None}, 0.5), (1, {"expected_move": 0.0}, 0.5)])
def test_room_is_the_way_to_the_wall_in_expected_moves(way, changed, room):
    assert confidence_parts(features(**changed), way, Parameters())["room"] == pytest.approx(room)


def test_confidence_is_the_weighted_sum_capped_by_its_parts():
    parts = confidence_parts(features(stretch=-9.0, gamma_balance=-1.0), 1, Parameters())
    assert parts == {"stretch": 1.0, "gamma": 1.0, "room": 1.0} and confidence(parts, Parameters()) == pytest.approx(1.0)
    assert confidence({"stretch": 0.5, "gamma": 0.0, "room": 1.0}, Parameters(weight_stretch=0.2, weight_gamma=0.5, weight_room=0.3)) == pytest.approx(0.4)


@pytest.mark.parametrize(("given_values", "message"), [
    ({"weight_room": 0.3}, "weights sum to 1.1"), ({"min_stretch": 0.0}, "min_stretch 0 "), ({"min_stretch": -1.0}, "min_stretch"),
    ({"min_stretch": 3.0}, "min_stretch 3 must be above 0 and at most full_stretch 2"), ({"stop_loss": 0.0}, "stop_loss"), ({"stop_loss": 1.0}, "stop_loss")])
def test_parameters_that_make_no_sense_are_refused(given_values, message):
    with pytest.raises(ValueError, match=message):
        Parameters(**given_values)


@pytest.mark.parametrize("given_values", [{"tick": 0.0}, {"target_return": 0.0}, {"target_return": -0.5}, {"target_delta": 1.5}, {"min_stretch": float("inf"),
                                          "full_stretch": float("inf")}, {"weight_stretch": 1.5, "weight_gamma": -0.7}, {"trail_fraction": -1.0}, {"stop_loss": float("nan")}, {"weight_room": float("nan")}, {"max_quote_age": 0.0}, {"entry_slippage": -0.1},
                                          {"exit_minutes": float("inf")}, {"min_premium": -0.3}, {"min_stretch": float("nan")}])
def test_parameters_that_could_only_fail_later_are_refused(given_values):
    with pytest.raises(ValueError):
        Parameters(**given_values)


@pytest.mark.parametrize(("bid", "ask"), [(0.05, 0.05), (0.04, 0.05)])
def test_a_premium_too_small_for_target_and_stop_is_not_proposed(bid, ask):
    c = chain(strikes=(750.0,), days=(TODAY,))
    cheap = replace(c, bid=np.full(len(c), bid), ask=np.full(len(c), ask), spot=749.0)
    answer = propose(features(), cheap, Parameters(min_premium=0.05, max_delta_distance=1.0, max_relative_spread=1.0, entry_slippage=0.0))
    assert isinstance(answer, Skip) and answer.reason is Reason.NO_LIQUID_CONTRACT and "leaves no price step" in answer.detail


def test_without_slippage_the_limit_is_the_ask_and_never_under_it():
    c = chain()
    p = only(propose(features(), c, Parameters(entry_slippage=0.0)))
    ask = c.ask[row_of(c, p)]
    assert p.limit_price == max(ask, round(round(ask / 0.05) * 0.05, 4))
    for slip in (0.001, 0.01, 0.3):
        assert only(propose(features(), c, Parameters(entry_slippage=slip))).limit_price >= ask


def test_a_trail_is_at_least_a_tick():
    assert only(propose(features(), chain(), Parameters(trail_fraction=0.001))).trail_amount >= 0.05


def test_every_parameter_is_a_number_with_a_default():
    assert all(isinstance(getattr(Parameters(), f.name), float) for f in fields(Parameters))
