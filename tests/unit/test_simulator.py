"""The simulator: the same bytes for a seed, and a market that makes sense."""

from datetime import date, datetime

import numpy as np
import pytest

from quanticity.core.errors import ConfigError, UserError
from quanticity.core.types import Exercise, Settlement
from quanticity.feeds.simulator import DEMO_DAY, SimulatorParameters, sessions_from, simulate, simulate_session, stream
from quanticity.market.chain import nanoseconds
from quanticity.market.parity import pair_rows, parity_spot
from quanticity.market.session import ChainState, batches, session_digest

DIGEST = "c93fbd7429f5393b5b411a2e55e600a3a293c3f4bb1fd48b62e5339f7bda7012"


@pytest.fixture(scope="module")
def session():
    return simulate_session(7)


def test_the_bytes_of_a_seed_are_fixed(session):
    assert session_digest(session) == DIGEST
    assert session_digest(simulate_session(7)) == DIGEST
    assert session_digest(simulate_session(8)) != DIGEST
    assert session.files != simulate_session(8).files


def test_the_digest_sees_every_array(session):
    other = simulate_session(7)
    other.quotes.bid_size[1234] += 1
    assert session_digest(other) != DIGEST
    other = simulate_session(7)
    other.imbalances.paired[3] += 1
    assert session_digest(other) != DIGEST


def test_the_demo_day_has_all_four_expiries(session):
    assert session.date == DEMO_DAY
    days = np.unique(session.contracts.expiry_day) - (DEMO_DAY - date(1970, 1, 1)).days
    assert days.tolist() == [0, 3, 7, 28]
    assert 300 <= len(session.contracts) <= 500


def test_a_holiday_moves_the_weekly():
    listed = simulate_session(1, date(2026, 3, 31)).contracts
    assert [str(np.datetime64("1970-01-01") + d) for d in np.unique(listed.expiry_day)] == [
        "2026-03-31", "2026-04-01", "2026-04-02", "2026-04-17"]


def test_prices_are_on_the_grid_and_no_bid_is_no_size(session):
    q = session.quotes
    for price in (q.bid, q.ask):
        cents = price[~np.isnan(price)] * 100
        assert np.abs(cents - np.rint(cents)).max() < 1e-6
        large = np.rint(cents[cents >= 300.5])
        assert (large % 5 == 0).all()
    none = np.isnan(q.bid)
    assert 0 < none.sum() < len(q) / 10 and (q.bid_size[none] == 0).all()
    assert (q.bid[~none] < q.ask[~none]).all()


def test_trades_are_within_the_quotes_that_stood(session):
    q, t = session.quotes, session.trades
    order = np.lexsort((q.ts, q.index))
    key = q.index[order] * 10**6 + (q.ts[order] - q.ts[0]) // 10**9
    at = order[np.searchsorted(key, t.index * 10**6 + (t.ts - q.ts[0]) // 10**9, side="right") - 1]
    assert (q.index[at] == t.index).all() and (q.ts[at] <= t.ts).all()
    assert (t.price <= q.ask[at] + 1e-9).all()
    assert (t.price >= np.nan_to_num(q.bid[at]) - 1e-9).all()
    assert 0.3 < np.mean(np.isclose(t.price, q.ask[at]) | np.isclose(t.price, q.bid[at])) < 1


def test_the_chain_obeys_parity_and_is_convex(session):
    state = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend)
    pairs = pair_rows(session.contracts)
    for count, batch in enumerate(batches(session)):
        state.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        if count < 5 or count > 380 or count % 25:
            continue
        chain = state.snapshot(batch.now, *state.spot())
        assert parity_spot(chain, pairs, max_age_seconds=1e6)[0] == pytest.approx(chain.spot, abs=0.06)
        for day in np.unique(chain.contracts.expiry_day):
            rows = (chain.contracts.expiry_day == day) & chain.contracts.is_call
            low, high = np.nan_to_num(chain.bid[rows]), chain.ask[rows]
            assert (low[1:] <= high[:-1] + 1e-9).all()  # a higher strike is not dearer
            assert (2 * low[1:-1] <= high[:-2] + high[2:] + 1e-9).all()  # no butterfly pays at once


def test_activity_and_volatility_are_u_shaped():
    ends, middle, busy = [], [], []
    for seed in range(12):
        s = simulate_session(seed)
        steps = np.abs(np.diff(np.log(s.underlying_bars.close)))
        ends.append(np.median(np.r_[steps[:60], steps[-60:]]))
        middle.append(np.median(steps[150:240]))
        minute = ((s.trades.ts - nanoseconds(s.opens)) // (60 * 10**9)).astype(int)
        counts = np.bincount(minute, minlength=391)[1:]
        busy.append(counts.var() / counts.mean())
    assert np.mean(ends) > 1.2 * np.mean(middle)
    assert np.mean(busy) > 3  # clustered: a Poisson count would give 1


def test_open_interest_is_higher_at_round_strikes(session):
    k = session.contracts.strike
    near = np.abs(k / 500 - 1) < 0.05
    assert session.open_interest[near & (k % 10 == 0)].mean() > 2 * session.open_interest[near & (k % 10 != 0)].mean()


def test_imbalances_start_ten_minutes_before_the_close_and_know_no_later_spot(session):
    tape = session.imbalances
    assert tape.ts[0] == nanoseconds(session.closes) - 600 * 10**9
    assert tape.ts[-1] < nanoseconds(session.closes)
    known = np.searchsorted(session.underlying_bars.ts, tape.ts, side="right") - 1
    assert np.allclose(tape.reference_price, session.underlying_bars.close[known])


def test_a_half_day_ends_early():
    half = simulate_session(7, date(2026, 11, 27))
    assert len(half.underlying_bars) == 210
    assert half.quotes.ts[-1] <= nanoseconds(half.closes)
    assert half.imbalances.ts[0] == nanoseconds(half.closes) - 600 * 10**9


def test_an_index_root_is_european_and_stops_at_expiry():
    s = simulate_session(3, symbol="SPXW", parameters=SimulatorParameters(spot=6000.0, strike_step=25.0))
    assert (s.contracts.exercise, s.contracts.settlement) == (Exercise.EUROPEAN, Settlement.CASH)
    assert (s.quotes.ts <= s.contracts.expires_at[s.quotes.index]).all()
    assert (s.trades.ts <= s.contracts.expires_at[s.trades.index]).all()
    assert s.quotes.ts[-1] == nanoseconds(s.closes) > s.contracts.expires_at.min()


@pytest.mark.parametrize(("change", "message"), [
    ({"spot": 0.0}, "spot = 0.0"), ({"volatility": float("nan")}, "volatility = nan"), ({"trades": -1.0}, "trades = -1.0"),
    ({"skew": -1.0}, "allow arbitrage"), ({"curvature": 3.0}, "allow arbitrage"), ({"strikes": 400}, "reach below zero"),
])
def test_parameters_that_make_no_market(change, message):
    with pytest.raises(ConfigError, match=message):
        SimulatorParameters(**change)


def test_a_day_without_a_session_and_a_bad_seed():
    with pytest.raises(UserError, match="no session on 2026-03-21"):
        simulate_session(1, date(2026, 3, 21))
    with pytest.raises(ConfigError, match="seed = -2"):
        simulate_session(-2)


@pytest.mark.parametrize(("change", "message"), [
    ({"edges": ("flow",)}, r"edges \('flow',\); expected a tuple of PlantedEdge"), ({"edges": "flow"}, "edges 'flow'"),
    ({"halts": ("10:30",)}, r"halts \('10:30',\); expected pairs: minutes after the open"), ({"news": ((30.0, "large"),)}, "news .* expected pairs"),
    ({"news": 30.0}, "news 30.0"), ({"regimes": ("calm",)}, r"regimes \('calm',\); expected a tuple of Regime"), ({"day_shape": "u"}, "day_shape 'u'"),
    ({"spot": "500"}, "spot = '500'; expected a number above 0"), ({"strikes": None}, "strikes = None"), ({"fair": "no"}, "fair = 'no'; expected True or False"),
])
def test_parameters_of_another_kind_are_refused_at_once(change, message):
    with pytest.raises(ConfigError, match=message) as raised:
        SimulatorParameters(**change)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("arguments", "message"), [
    ((7.5,), "seed = 7.5; expected a whole number"), (("7",), "seed = '7'"), ((True,), "seed = True"), ((7, "2026-03-20"), "'2026-03-20' is no date"),
    ((7, datetime(2026, 3, 20)), "is no date"), ((7, DEMO_DAY, "spx"), "symbol 'spx'; expected capitals: 'SPX'"), ((7, DEMO_DAY, "S P"), "'S P' is no symbol"),
    ((7, DEMO_DAY, 500), "500 is no symbol"), ((7, DEMO_DAY, "SIM", {"spot": 1.0}), "are no parameters"), ((7, DEMO_DAY, "SIM", None, "60"), "step_seconds = '60'"),
])
def test_arguments_of_another_kind_are_refused_in_one_line(arguments, message):
    for make in (simulate_session, stream):
        with pytest.raises(UserError, match=message) as raised:
            make(*arguments)
        assert "\n" not in str(raised.value)


def test_a_run_of_days_is_refused_before_the_first_is_asked_for():
    small = SimulatorParameters(strikes=2, expiries=1)
    assert [one.session.symbol for one in simulate(7, [DEMO_DAY], "SPX", small, 3600.0)] == ["SPX"]  # a text is one symbol
    for arguments, message in (((7, DEMO_DAY), "expected a list of dates"), ((7, "2026-03-20"), "expected a list of dates"), ((7, ["2026-03-20"]), "is no date"),
                               ((7, [DEMO_DAY], ("spx",)), "expected capitals"), ((7, [DEMO_DAY], {"SIM": {}}), "are no parameters"), ((7, [DEMO_DAY], 5), "symbols = 5")):
        with pytest.raises(UserError, match=message):
            simulate(*arguments)
    for first, count in (("2026-03-20", 2), (DEMO_DAY, 0), (DEMO_DAY, 1.5)):
        with pytest.raises(ConfigError):
            sessions_from(first, count)
