"""Hedging against volume, and one snapshot in which every missing number has its reason."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from quanticity.analytics.chain_analytics import VolatilityState, analyse
from quanticity.analytics.dealer_flow import (
    average_dollar_volume,
    dealer_flow,
    elasticity,
    hedge_profile,
    names,
    scores_of,
    series_of,
)
from quanticity.analytics.exposure import Convention
from quanticity.analytics.hedging import hedge_flow
from quanticity.analytics.pricing import black_scholes_price
from quanticity.core.reasons import Reason
from quanticity.market.chain import Contracts, OptionChain, nanoseconds

NAN = np.nan
NOW = nanoseconds(datetime(2026, 3, 20, 15, tzinfo=UTC))
ENDS = [nanoseconds(datetime(2026, m, d, 20, tzinfo=UTC)) for m, d in ((4, 17), (6, 19))]


def chain(**changes):
    strike, call = (a.ravel() for a in np.meshgrid(np.arange(80.0, 121.0, 2.5), [True, False]))
    ends = np.repeat(ENDS, len(strike))
    strike, call = np.tile(strike, 2), np.tile(call, 2)
    years, n = (ends - NOW) / (365 * 86_400 * 1e9), len(ends)
    mid = black_scholes_price(100.0, strike, years, 0.04, 0.01, 0.2 - 0.2 * np.log(strike / 100), call)
    listed = Contracts("X", "X", strike, ends // (86_400 * 10**9), ends, call, np.full(n, 100.0))
    made = OptionChain(1, NOW, listed, 100.0, "quote", 0.04, 0.01, mid - 0.005, mid + 0.005, np.ones(n), np.ones(n), np.full(n, NOW), np.zeros(n),
                       np.where(call, 50.0 * (strike - 78), 50.0 * (122 - strike)), np.full(n, NAN))
    return replace(made, **changes)


def snapshot(given=None, volume=250e6, convention=Convention.NAIVE, **more):
    given = chain() if given is None else given
    return dealer_flow(analyse(given, VolatilityState(), convention, **{k: v for k, v in more.items() if k == "dealer_position"}), volume, near_days=28.5, **more)


def consistent(found):
    assert list(found.values) == list(names())
    for name, value in found.values.items():
        assert np.isfinite(value) == (name not in found.missing), name
    assert all(isinstance(why, Reason) and why is not Reason.NOT_A_NUMBER for why in found.missing.values())


def test_golden_elasticity():
    assert elasticity(Convention.NAIVE, -1001401.444709, 250e6).value == pytest.approx(0.00400560577884, rel=1e-12)


@pytest.mark.parametrize(("gex", "volume", "counted", "reason"), [
    (1.0, 0.0, 1, Reason.NO_VOLUME), (1.0, -5.0, 1, Reason.NO_VOLUME), (1.0, NAN, 1, Reason.NO_VOLUME), (1.0, np.inf, 1, Reason.NO_VOLUME),
    (0.0, 1e6, 0, Reason.NO_OPEN_INTEREST), (NAN, 1e6, 3, Reason.NO_OPEN_INTEREST)])
def test_why_there_is_no_elasticity(gex, volume, counted, reason):
    found = elasticity(Convention.GROSS, gex, volume, counted)
    assert found.reason is reason and np.isnan(found.value) and found.convention is Convention.GROSS


def test_volume_is_that_of_finished_days():
    close, volume = np.arange(1.0, 41.0), np.full(40, 2e6)
    assert average_dollar_volume(close, volume) == (2e6 * np.arange(21, 41).mean(), None)
    volume[-5:] = [0, NAN, -1, 2e6, 2e6]
    assert average_dollar_volume(close, volume)[0] == pytest.approx(2e6 * np.r_[np.arange(21, 36), 39, 40].mean())
    assert average_dollar_volume(close[:9], volume[:9])[1] is Reason.NO_VOLUME
    assert average_dollar_volume([], [])[1] is Reason.NO_VOLUME


def test_profile_against_volume():
    given = chain()
    listed = given.contracts
    flow = hedge_flow(100.0, listed.strike, given.years, 0.04, 0.01, np.full(len(given), 0.2), listed.is_call, given.open_interest)
    found = hedge_profile(flow, 1e8)
    assert found.of_volume == pytest.approx(flow.dollars / 1e8) and found.reason is None and -1 <= found.asymmetry <= 1
    without = hedge_profile(flow, NAN)
    assert without.reason is Reason.NO_VOLUME and np.isnan(without.of_volume).all() and without.asymmetry == found.asymmetry
    one_sided = hedge_flow(100.0, listed.strike, given.years, 0.04, 0.01, np.full(len(given), 0.2), listed.is_call, given.open_interest, moves=[0.01, 0.02])
    assert np.isnan(hedge_profile(one_sided, 1e8).asymmetry)


def test_a_whole_snapshot():
    found = snapshot()
    consistent(found)
    assert dict(found.missing) == {} and found.convention is Convention.NAIVE and found.symbol == "X" and found.chain_id == chain().id
    v = found.values
    assert v["elasticity"] == pytest.approx(-v["gex"] / 250e6)
    assert v["zero_gamma_distance"] == pytest.approx(100 / v["zero_gamma"] - 1) and v["call_wall_distance"] == pytest.approx(v["call_wall"] / 100 - 1)
    tenth = found.profile.of_volume[np.flatnonzero(np.isclose(found.profile.flow.moves, 0.001))[0]]
    assert tenth / 0.1 == pytest.approx(v["elasticity"], abs=0.1 * abs(v["elasticity"]) + 1e-4)
    assert v["risk_reversal"] < 0 < v["put_skew"] and v["smile_slope"] < 0 and abs(v["term_slope"]) < 0.01


@pytest.mark.parametrize("convention", [Convention.NAIVE, Convention.GROSS])
def test_the_convention_is_part_of_it(convention):
    found = snapshot(convention=convention)
    assert found.convention is found.elasticity.convention is found.profile.flow.convention is convention
    consistent(found)
    if convention is Convention.GROSS:
        assert found.missing["zero_gamma"] is Reason.NO_CROSSING and found.values["elasticity"] < 0


def test_flow_signed_positions():
    position = np.where(chain().contracts.is_call, -30.0, 20.0)
    found = snapshot(convention=Convention.FLOW_SIGNED, dealer_position=position)
    consistent(found)
    flipped = snapshot(convention=Convention.FLOW_SIGNED, dealer_position=-position)
    assert flipped.values["gex"] == pytest.approx(-found.values["gex"]) and flipped.values["hedge_up_1"] == pytest.approx(-found.values["hedge_up_1"])


CASES = {
    "no volume": (lambda c: c, NAN, {"elasticity": Reason.NO_VOLUME, "hedge_up_1": Reason.NO_VOLUME}),
    "zero open interest": (lambda c: replace(c, open_interest=np.zeros(len(c))), 1e8, {"gamma_balance": Reason.NO_OPEN_INTEREST, "zero_gamma": Reason.NO_OPEN_INTEREST}),
    "unknown open interest": (lambda c: replace(c, open_interest=np.full(len(c), NAN)), 1e8, {"gex": Reason.NO_OPEN_INTEREST, "elasticity": Reason.NO_OPEN_INTEREST}),
    "no spot": (lambda c: replace(c, spot=NAN), 1e8, {"spot": Reason.NO_SPOT, "at_the_money": Reason.NO_SPOT, "gex": Reason.NO_SPOT}),
    "expired": (lambda c: replace(c, ts=ENDS[1] + 1), 1e8, {"gex": Reason.EXPIRED, "at_the_money": Reason.EXPIRED, "call_wall": Reason.EXPIRED}),
    "no bid": (lambda c: replace(c, bid=np.full(len(c), NAN)), 1e8, {"gex": Reason.NO_QUOTE, "at_the_money": Reason.NO_QUOTE}),
    "one expiry left": (lambda c: replace(c, ts=ENDS[0], quote_time=np.full(len(c), ENDS[0])), 1e8, {"front_forward_volatility": Reason.NO_SUCH_EXPIRY,
                                                                                                     "term_slope": Reason.NO_SUCH_EXPIRY}),
}


@pytest.mark.parametrize("case", CASES)
def test_edge_cases_have_their_reasons(case):
    change, volume, expected = CASES[case]
    found = snapshot(change(chain()), volume)
    consistent(found)
    for name, why in expected.items():
        assert found.missing[name] is why, name


def test_one_strike():
    c = chain()
    rows = np.flatnonzero((c.contracts.strike == 100) & (c.contracts.expires_at == ENDS[0]))
    cut = {f: getattr(c, f)[rows] for f in ("bid", "ask", "bid_size", "ask_size", "quote_time", "volume", "open_interest", "prior_volatility")}
    listed = Contracts("X", "X", *(getattr(c.contracts, f)[rows] for f in ("strike", "expiry_day", "expires_at", "is_call", "multiplier")))
    found = snapshot(replace(c, contracts=listed, **cut))
    consistent(found)
    assert found.missing["risk_reversal"] is Reason.TOO_FEW_STRIKES and found.missing["smile_slope"] is Reason.TOO_FEW_STRIKES
    assert np.isfinite(found.values["gex"])


def test_an_empty_chain():
    none = np.empty(0)
    whole = np.empty(0, np.int64)
    listed = Contracts("X", "X", none, whole, whole, np.empty(0, bool), none)
    found = snapshot(OptionChain(1, NOW, listed, 100.0, "quote", 0.0, 0.0, none, none, none, none, whole, none, none, none))
    assert all(np.isfinite(v) == (n not in found.missing) for n, v in found.values.items()) and found.missing["at_the_money"] is Reason.NO_QUOTE


def test_histories_score_each_value_against_its_past():
    def at(minute, times=1.0):
        c = chain()
        return snapshot(replace(c, ts=NOW + minute * 60 * 10**9, open_interest=c.open_interest * times * (1 + 0.01 * (minute % 5))))
    history = [at(m) for m in range(14)] + [at(14, 4.0)]
    scores = scores_of(history, 10)
    assert set(scores) == set(names()) and abs(scores["gex"].value[-1]) > 20 > 5 > abs(scores["gex"].value[-2])
    assert np.array_equal(scores_of(history[:-1], 10)["gex"].value, scores["gex"].value[:-1], equal_nan=True)
    assert series_of(history)["spot"].tolist() == [100.0] * 15 and np.isnan(scores["spot"].value).all()
    for wrong in ([history[1], history[0]], [history[0], replace(history[1], convention=Convention.GROSS)]):
        with pytest.raises(ValueError, match="one convention"):
            series_of(wrong)


@pytest.mark.parametrize(("symbol", "day"), [("GOOG", (2015, 12, 24)), ("SPXW", (2021, 1, 4))])
def test_recorded_days_to_their_last_minute(recorded, symbol, day):
    from datetime import date

    from quanticity.feeds.lean import load_session
    from quanticity.market.session import ChainState, batches

    session = load_session(recorded, symbol, date(*day))
    folded, state, steps = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend), VolatilityState(), list(batches(session))
    seen = []
    for number, batch in enumerate(steps):
        folded.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        if number % 60 == 0 or number >= len(steps) - 2:
            seen.append(dealer_flow(analyse(folded.snapshot(batch.now, *folded.spot()), state), 1.2e9))
            consistent(seen[-1])
    if symbol == "GOOG":
        midday = seen[len(seen) // 2]
        assert set(midday.missing) <= {"smile_slope"} and midday.values["risk_reversal"] < 0  # an hour before expiry strikes are deviations apart
        bump = int(np.argmax(midday.terms.forward_volatility))  # earnings came on 1 February 2016
        assert 25 < midday.terms.years[midday.terms.near[bump]] * 365 < 39 and midday.terms.forward_volatility[bump] > 0.4
