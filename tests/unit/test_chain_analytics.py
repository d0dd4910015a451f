"""From a chain to all its numbers: each against the function it is made of, and what is missing with its reason."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from quanticity.analytics.chain_analytics import VolatilityState, analyse
from quanticity.analytics.exposure import Convention
from quanticity.analytics.pricing import black_scholes_price, greeks, implied_vol
from quanticity.core.errors import UserError
from quanticity.core.reasons import Reason
from quanticity.market.chain import NANOSECONDS_A_YEAR, Contracts, OptionChain, nanoseconds

NOW = datetime(2015, 12, 24, 15, 30, tzinfo=UTC)
TS, SECOND = nanoseconds(NOW), 1_000_000_000
TODAY = (NOW.date() - date(1970, 1, 1)).days
CLOSE = nanoseconds(datetime(2015, 12, 24, 18, tzinfo=UTC))
STRIKES = np.arange(735.0, 767.5, 2.5)
SMILE = 0.3


def chain(spot=750.0, days=(0, 7), seq=1, ts=TS, open_interest=100.0) -> OptionChain:
    grid = [(d, k, c) for d in days for k in STRIKES for c in (True, False)]
    offset, strike, call = (np.array([g[i] for g in grid]) for i in range(3))
    listed = Contracts("GOOG", "GOOG", strike.astype(float), TODAY + offset.astype(np.int64), CLOSE + offset.astype(np.int64) * 86_400 * SECOND,
                       call.astype(bool), np.full(len(grid), 100.0))
    years = (listed.expires_at - ts) / NANOSECONDS_A_YEAR
    value = black_scholes_price(spot, listed.strike, np.maximum(years, 1e-9), 0.02, 0.0, SMILE, listed.is_call)
    n = len(grid)
    return OptionChain(seq, ts, listed, spot, "quote", 0.02, 0.0, value * 0.99, value * 1.01, np.ones(n), np.ones(n), np.full(n, ts), np.zeros(n),
                       np.full(n, open_interest), np.full(n, np.nan))


def with_rows(c: OptionChain, **columns) -> OptionChain:
    changed = {}
    for name, rows in columns.items():
        column = getattr(c, name).copy()
        for row, value in rows.items():
            column[row] = value
        changed[name] = column
    return replace(c, **changed)


def test_volatility_and_greeks_are_the_solvers_and_exposure_is_what_they_say():
    c = chain()
    c = replace(c, open_interest=100.0 + np.arange(len(c)) % 7)
    a = analyse(c, VolatilityState())
    np.testing.assert_allclose(a.volatility, SMILE, rtol=2e-2)
    vol, _ = implied_vol(c.mid, 750.0, c.contracts.strike, c.years, 0.02, 0.0, c.contracts.is_call)
    np.testing.assert_array_equal(a.volatility, vol)
    g = greeks(750.0, c.contracts.strike, c.years, 0.02, 0.0, vol, c.contracts.is_call)
    np.testing.assert_array_equal(a.greeks.gamma, g.gamma)
    # dollars of delta per 1% move, dealers long calls and short puts
    by_hand = np.where(c.contracts.is_call, 1, -1) * g.gamma * c.open_interest * 100 * 750.0**2 * 0.01
    np.testing.assert_allclose(a.exposure.gex, by_hand, rtol=1e-12)
    assert a.gross_gex == pytest.approx(np.abs(by_hand).sum()) and a.exposure.total_gex == pytest.approx(by_hand.sum())
    assert a.gamma_balance == pytest.approx(by_hand.sum() / np.abs(by_hand).sum()) and -1 <= a.gamma_balance <= 1
    assert a.without_number == {} and a.exposure.counted == len(c) and a.chain is c


def test_conventions_are_carried_through():
    a = analyse(chain(), VolatilityState(), Convention.GROSS)
    assert a.exposure.convention is a.zero_gamma.convention is Convention.GROSS and a.gamma_balance == pytest.approx(1.0)
    assert a.zero_gamma.reason is Reason.NO_CROSSING and np.isnan(a.zero_gamma.value)
    with pytest.raises(UserError, match="unknown dealer convention 'short'"):
        analyse(chain(), VolatilityState(), "short")


def test_zero_gamma_lies_where_calls_and_puts_balance():
    c = chain(days=(0,))
    listed = c.contracts
    weight = np.where(listed.is_call == (listed.strike > 750), 100.0, 0.0)  # calls above, puts below: dealers turn short on the way down
    a = analyse(replace(c, open_interest=weight), VolatilityState(), span=0.03, points=31)
    assert a.zero_gamma.reason is None and 740 < a.zero_gamma.value < 760 and a.zero_gamma.value in a.zero_gamma.roots
    assert (a.zero_gamma.grid[0], a.zero_gamma.grid[-1], len(a.zero_gamma.grid)) == (pytest.approx(750 * 0.97), pytest.approx(750 * 1.03), 31)
    assert a.walls.call_wall > 750 >= a.walls.put_wall


def test_only_the_nearest_expiry_that_lives_makes_the_skew():
    c = chain()
    a = analyse(c, VolatilityState())
    assert a.nearest_expiry == TODAY and a.nearest_years == pytest.approx((CLOSE - TS) / NANOSECONDS_A_YEAR) and a.quoted_share == 1.0
    after = replace(c, ts=CLOSE)
    a = analyse(after, VolatilityState())
    assert a.nearest_expiry == TODAY + 7 and a.nearest_years == pytest.approx(7 / 365)
    expired = c.contracts.expiry_day == TODAY
    assert np.all(np.isnan(a.volatility[expired])) and np.all(np.isnan(a.exposure.gex[expired]))
    assert a.without_number[Reason.EXPIRED] == expired.sum() == a.exposure.left_out[Reason.EXPIRED]


def test_with_everything_expired_nothing_is_made_up():
    a = analyse(replace(chain(days=(0,)), ts=CLOSE), VolatilityState())
    assert a.nearest_expiry == -1 and np.isnan(a.nearest_years) and a.quoted_share == 0.0 and a.gross_gex == 0.0
    assert np.isnan(a.gamma_balance) and np.isnan(a.skew.at_the_money) and a.skew.missing["at_the_money"] is Reason.NO_QUOTE
    assert a.without_number == {Reason.EXPIRED: len(a.chain)}


def test_no_contracts_at_all():
    c = chain(days=())
    a = analyse(c, VolatilityState())
    assert len(c) == 0 and a.nearest_expiry == -1 and a.quoted_share == 0.0 and a.without_number == {} and np.isnan(a.gamma_balance)


def test_quoted_share_counts_two_sided_uncrossed_quotes_of_the_nearest_expiry():
    c = chain()
    near = np.flatnonzero(c.contracts.expiry_day == TODAY)
    c = with_rows(c, bid={near[0]: np.nan, near[1]: 99.0, len(c) - 1: np.nan}, ask={near[2]: np.nan})
    assert analyse(c, VolatilityState()).quoted_share == pytest.approx(1 - 3 / len(near))


def test_unknown_open_interest_is_left_out_with_its_reason():
    a = analyse(chain(open_interest=np.nan), VolatilityState())
    assert a.exposure.counted == 0 and a.exposure.left_out == {Reason.NO_OPEN_INTEREST: len(a.chain)}
    assert np.isnan(a.gamma_balance) and a.gross_gex == 0.0 and a.zero_gamma.reason is Reason.NO_OPEN_INTEREST
    assert np.isfinite(a.volatility).all() and a.without_number == {}


def test_only_newly_quoted_contracts_are_solved_again():
    state, first = VolatilityState(), chain(seq=1)
    before = analyse(first, state).volatility.copy()
    later = TS + 60 * SECOND
    second = replace(with_rows(first, bid={3: first.bid[3] * 1.2}, ask={3: first.ask[3] * 1.2}, quote_time={3: later - SECOND}), seq=2, ts=later)
    a = analyse(second, state)
    same = np.arange(len(first)) != 3
    np.testing.assert_array_equal(a.volatility[same], before[same])
    assert a.volatility[3] > before[3] and state.seen == later
    wrong = replace(second, seq=3, ts=later + SECOND, bid=second.bid * 2, ask=second.ask * 2)  # prices without new quote times
    np.testing.assert_array_equal(analyse(wrong, state).volatility, a.volatility)


def test_a_volatility_outlives_its_quote_for_a_while_and_then_goes_with_the_reason():
    state, first = VolatilityState(max_age_seconds=120.0), chain(seq=1)
    before = analyse(first, state).volatility.copy()
    for seconds, kept in ((600, True), (660, True), (720, True), (721, False)):  # the quotes stood for ten minutes: the clock starts when they are replaced
        later = TS + seconds * SECOND
        gone = replace(with_rows(first, bid={3: np.nan, 4: 0.001}, ask={4: 0.001}, quote_time={3: later, 4: later}), seq=2, ts=later)  # row 4: a call far in the money
        a = analyse(gone, state)
        assert np.flatnonzero(np.isnan(a.volatility)).tolist() == ([] if kept else [3, 4])
        assert a.without_number == ({} if kept else {Reason.NO_QUOTE: 1, Reason.BELOW_INTRINSIC: 1}) == dict(a.exposure.left_out)
    np.testing.assert_array_equal(np.delete(a.volatility, [3, 4]), np.delete(before, [3, 4]))  # quotes that stand keep theirs, however old
    back = replace(first, seq=5, ts=later + SECOND, quote_time=np.full(len(first), later + SECOND))
    assert np.isfinite(analyse(back, state).volatility[3])


def test_a_quote_between_starts_the_clock_anew():
    state, c = VolatilityState(max_age_seconds=120.0), chain()
    kept = []
    for minute, bid in enumerate((c.bid[3], np.nan, c.bid[3], np.nan, np.nan, np.nan, np.nan)):
        now = TS + minute * 60 * SECOND
        a = analyse(replace(with_rows(c, bid={3: bid}, quote_time={3: now}), seq=minute, ts=now), state)
        kept.append(bool(np.isfinite(a.volatility[3])))
    assert kept == [True] * 6 + [False] and a.without_number == {Reason.NO_QUOTE: 1}


def test_what_is_lost_goes_without_another_quote_too():
    state, c = VolatilityState(max_age_seconds=120.0), chain()
    analyse(c, state)
    lost = with_rows(c, bid={3: np.nan}, quote_time={3: TS + SECOND})
    for seconds, kept in ((60, True), (180, True), (181, False)):
        a = analyse(replace(lost, seq=seconds, ts=TS + seconds * SECOND), state)
        assert bool(np.isfinite(a.volatility[3])) is kept and state.lost_at[3] == TS + 60 * SECOND


def test_without_a_spot_nothing_is_solved_and_these_quotes_get_their_turn():
    state, c = VolatilityState(), chain()
    a = analyse(c.with_spot(np.nan, "none"), state)
    assert np.isnan(a.volatility).all() and a.without_number == {Reason.NO_QUOTE: len(c)} and a.zero_gamma.reason is Reason.NO_SPOT
    a = analyse(replace(c, seq=2, ts=TS + 60 * SECOND), state)
    assert np.isfinite(a.volatility).all()


def test_never_quoted_contracts_have_no_quote():
    c = with_rows(chain(), quote_time={0: 0, 1: 0}, bid={0: np.nan, 1: np.nan}, ask={0: np.nan, 1: np.nan})
    a = analyse(c, VolatilityState())
    assert a.without_number == {Reason.NO_QUOTE: 2} and a.exposure.left_out == {Reason.NO_QUOTE: 2}


def test_a_chain_of_another_length_starts_afresh():
    state = VolatilityState()
    analyse(chain(), state)
    a = analyse(chain(days=(0,), ts=TS + timedelta(minutes=1).seconds * SECOND), state)
    assert len(a.volatility) == 2 * len(STRIKES) and np.isfinite(a.volatility).all()


def test_an_earlier_expiry_that_trades_longer_than_its_day_is_kept_by_the_clock_not_the_date():
    c = chain(days=(0,))
    listed = replace(c.contracts, expires_at=c.contracts.expires_at + 15 * 60 * SECOND)  # index options to a quarter past
    a = analyse(replace(c, contracts=listed, ts=CLOSE + 60 * SECOND, quote_time=np.full(len(c), CLOSE)), VolatilityState())
    assert a.nearest_expiry == TODAY and np.isfinite(a.volatility).any()


def test_what_expires_today_and_that_american_contracts_are_approximated():
    a = analyse(chain(), VolatilityState())
    rows = a.chain.contracts.expiry_day == TODAY
    gross = np.abs(a.exposure.gex)
    assert a.zero_dte.share == pytest.approx(gross[rows].sum() / gross.sum()) and a.zero_dte.counted == rows.sum()
    assert a.gross_gex == pytest.approx(gross.sum()) and a.approximated is (a.chain.contracts.exercise.value == "american")


def test_rows_are_grouped_once_for_as_long_as_the_contracts_stay():
    state, c = VolatilityState(), chain()
    first = state.rows_of(c.contracts)
    assert state.rows_of(c.contracts) is first and analyse(c, state).rows is first
    assert state.rows_of(replace(c.contracts)) is first  # another object, the same contracts
    other = replace(c.contracts, strike=c.contracts.strike + 1.0)
    assert state.rows_of(other) is not first and state.rows_of(other).strikes.keys[0] == first.strikes.keys[0] + 1.0


def test_flow_signed_positions():
    c = chain()
    position = np.where(c.contracts.is_call, 1.0, -1.0) * c.open_interest
    naive, signed = analyse(c, VolatilityState()), analyse(c, VolatilityState(), "flow-signed", dealer_position=position)
    assert signed.exposure.convention is Convention.FLOW_SIGNED is signed.zero_gamma.convention
    np.testing.assert_array_equal(signed.exposure.gex, naive.exposure.gex)
    np.testing.assert_array_equal(signed.zero_gamma.roots, naive.zero_gamma.roots)
