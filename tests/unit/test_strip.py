"""The VIX strip: against a slow and plain version of the rules, and what it does where it cannot be computed."""

import math

import numpy as np
import pytest

from quanticity.core.reasons import Reason
from quanticity.feeds.simulator import simulate_session
from quanticity.market import strip
from quanticity.market.chain import Contracts, OptionChain
from quanticity.market.session import ChainState, batches
from quanticity.market.strip import CALENDAR, VIX, VIX1D, Horizon, StripReason, chain_index, index_levels, index_values, interpolate_index, strip_variance

DAY, HOUR, MINUTE = 86_400 * 10**9, 3_600 * 10**9, 60 * 10**9
FRIDAY = 20_532  # 2026-03-20


def plain(strikes, call_bid, call_ask, put_bid, put_ask, years, rate, least=2):
    """The white paper's steps for one moment, one strike at a time: variance or a reason."""
    def mid(bid, ask):
        bid = bid if bid > 0 else 0.0
        return math.nan if math.isnan(ask) or bid > ask else (bid + ask) / 2

    if not years > 0:
        return StripReason.EXPIRED
    n = len(strikes)
    call, put = [mid(*q) for q in zip(call_bid, call_ask)], [mid(*q) for q in zip(put_bid, put_ask)]
    calls, puts = ([b > 0 and not math.isnan(m) for b, m in zip(bids, mids)] for bids, mids in ((call_bid, call), (put_bid, put)))
    known = [i for i in range(n) if not math.isnan(call[i] - put[i])]
    pool = [i for i in known if calls[i] and puts[i]] or known
    if not pool:
        return StripReason.NO_QUOTE
    best = min(pool, key=lambda i: (abs(call[i] - put[i]), i))
    forward = round(strikes[best] + math.exp(rate * years) * (call[best] - put[best]), 9)
    under = [i for i in range(n) if strikes[i] <= forward]
    if under and not (call[under[-1]] + put[under[-1]]) > 0:
        return StripReason.NO_QUOTE
    if not under or under[-1] == n - 1:
        return StripReason.TOO_FEW_STRIKES
    k0 = under[-1]
    price = {k0: (call[k0] + put[k0]) / 2}
    for side, step, bids in ((put, -1, puts), (call, 1, calls)):
        missing, i = 0, k0 + step
        while 0 <= i < n and missing < 2:
            missing = 0 if bids[i] else missing + 1
            if bids[i]:
                price[i] = side[i]
            i += step
    members = sorted(price)
    if len(members) < least:
        return StripReason.TOO_FEW_STRIKES
    total = 0.0
    for j, i in enumerate(members):
        a, b = members[max(j - 1, 0)], members[min(j + 1, len(members) - 1)]
        width = (strikes[b] - strikes[a]) / (2 if 0 < j < len(members) - 1 else 1)
        total += width / strikes[i] ** 2 * price[i]
    variance = (2 * math.exp(rate * years) * total - (forward / strikes[k0] - 1) ** 2) / years
    return variance if variance > 0 else StripReason.NO_TIME_VALUE


def random_chain(rng, n):
    """Quotes of a rough chain around 100, with holes, zero bids and now and then a crossed quote."""
    strikes = np.sort(rng.choice(np.arange(60, 140), n, replace=False)).astype(float)
    forward = rng.uniform(70, 130)
    time_value = 5 * np.exp(-np.abs(strikes - forward) / rng.uniform(2, 15))
    quotes = []
    for side in (1, -1):
        mid = np.maximum(side * (forward - strikes), 0) + time_value
        width = rng.uniform(0.05, 0.6)
        bid, ask = np.floor((mid - width) * 20) / 20, np.ceil((mid + width) * 20) / 20
        bid[(bid <= 0) | (rng.random(n) < 0.1)] = rng.choice([0.0, np.nan])
        ask[rng.random(n) < 0.05] = np.nan
        swap = rng.random(n) < 0.03
        bid[swap], ask[swap] = ask[swap] + 1, bid[swap]
        quotes += [bid, ask]
    return strikes, *quotes


def test_it_follows_the_rules_strike_by_strike():
    rng, seen = np.random.default_rng(11), set()
    for _ in range(600):
        chain = random_chain(rng, int(rng.integers(1, 40)))
        years, rate = rng.choice([0.0, 0.001, 0.1, 1.0]), rng.choice([0.0, 0.04])
        wanted, got = plain(*chain, years, rate), strip_variance(*chain, years, rate)
        if isinstance(wanted, StripReason):
            assert got.reason[0] == wanted and math.isnan(got.variance[0])
        else:
            assert got.reason[0] == 0 and abs(got.variance[0] / wanted - 1) < 1e-9
        seen.add(int(got.reason[0]))
    assert seen == {int(r) for r in StripReason if r is not StripReason.NO_SUCH_EXPIRY}


def test_many_moments_are_each_moment():
    rng = np.random.default_rng(5)
    chains = [random_chain(rng, 30) for _ in range(20)]
    strikes = chains[0][0]
    stacked = [np.array([c[i] for c in chains]) for i in range(1, 5)]
    years = np.linspace(0.0, 0.2, 20)
    whole = strip_variance(strikes, *stacked, years, 0.03)
    for k in range(20):
        one = strip_variance(strikes, *(q[k] for q in stacked), years[k], 0.03)
        for name in ("variance", "forward", "middle", "strikes", "years", "reason"):
            assert np.array_equal(getattr(one, name), getattr(whole, name)[k:k + 1], equal_nan=name not in ("strikes", "reason")), name


def test_no_strikes_and_falling_strikes():
    none = np.empty((3, 0))
    assert strip_variance(np.empty(0), none, none, none, none, 0.1, 0.0).reason.tolist() == [StripReason.TOO_FEW_STRIKES] * 3
    with pytest.raises(ValueError, match="must rise"):
        strip_variance(np.array([1.0, 1.0]), *(np.ones(2),) * 4, 0.1, 0.0)


def test_inputs_are_left_as_they_were():
    chain = random_chain(np.random.default_rng(3), 30)
    before = [c.copy() for c in chain]
    strip_variance(*chain, 0.1, 0.04)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(chain, before, strict=True))


def test_between_and_beyond():
    near, later = np.array([0.04 * 20 / 365]), np.array([0.04 * 40 / 365])
    for days in (20, 30, 40, 60):
        assert abs(interpolate_index(near, later, np.array([20 * 1440.0]), np.array([40 * 1440.0]), days * 1440)[0] - 20) < 1e-9
    assert math.isnan(interpolate_index(np.array([math.nan]), later, np.array([1.0]), np.array([2.0]), 1.5)[0])


def black(forward, strike, total, call):
    from scipy.special import ndtr

    root, sign = np.sqrt(total), np.where(call, 1, -1)
    d1 = np.log(forward / strike) / root + root / 2
    return sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - root)))


def listing(days, root="SPXW", step=1.0):
    grid = np.arange(400, 600.1, step)
    n = 2 * len(grid)
    days = np.asarray(days)
    return Contracts(root, "SPX", np.tile(np.repeat(grid, 2), len(days)), np.repeat(FRIDAY + days, n), np.repeat((FRIDAY + days) * DAY + 20 * HOUR, n),
                     np.tile([True, False], len(grid) * len(days)), np.full(n * len(days), 100.0))


def flat(listed, ts, volatility=lambda years: 0.2, spot=500.0, rate=0.04):
    years = (listed.expires_at - np.asarray(ts)[:, None]) / (365 * DAY)
    t = np.maximum(years, 1e-9)
    mid = np.exp(-rate * t) * black(spot * np.exp(rate * t), listed.strike, volatility(t) ** 2 * t, listed.is_call)
    return np.where(mid < 0.005, 0.0, mid)


OPEN = FRIDAY * DAY + 13 * HOUR + 30 * MINUTE
MOMENTS = OPEN + np.array([0, 60, 200]) * MINUTE


def test_vix_is_between_the_weeklies_around_thirty_days():
    listed = listing([0, 3, 5, 7, 14, 21, 26, 28, 35, 42])  # 26 is a Wednesday
    vol = lambda years: np.where(years * 365 < 29, 0.12, 0.15)
    mid = flat(listed, MOMENTS, vol)
    value, reason = index_values(MOMENTS, listed, mid, mid, 0.04, horizons=(VIX,))
    n1, n2 = (((FRIDAY + d) * DAY + 20 * HOUR - MOMENTS) / MINUTE for d in (28, 35))
    wanted = interpolate_index(0.12**2 * n1 / 525_600, 0.15**2 * n2 / 525_600, n1, n2, 43_200)
    assert (reason == 0).all() and np.abs(value[0] - wanted).max() < 0.01
    without = listing([0, 3, 5, 7, 14, 21, 28, 35, 42])
    mid = flat(without, MOMENTS, vol)
    assert np.array_equal(index_values(MOMENTS, without, mid, mid, 0.04, horizons=(VIX,))[0], value)


@pytest.mark.parametrize("days, horizon, reason", [([0, 3, 28], VIX, StripReason.NO_SUCH_EXPIRY), ([35, 42], VIX, StripReason.NO_SUCH_EXPIRY),
                                                   ([23, 37], VIX, StripReason.NO_SUCH_EXPIRY), ([28, 42], VIX, StripReason.NO_SUCH_EXPIRY), ([28, 35], VIX, StripReason.OK),
                                                   ([0], VIX1D, StripReason.NO_SUCH_EXPIRY), ([3], VIX1D, StripReason.NO_SUCH_EXPIRY),
                                                   ([0, 9], VIX1D, StripReason.NO_SUCH_EXPIRY), ([0, 3], VIX1D, StripReason.OK)])
def test_one_expiry_is_not_enough(days, horizon, reason):
    listed = listing(days)
    mid = flat(listed, MOMENTS)
    values, reasons = index_values(MOMENTS, listed, mid, mid, 0.04, horizons=(horizon,))
    assert set(reasons[0].tolist()) == {reason} and np.isnan(values).all() == (reason != 0)


@pytest.mark.parametrize("today, near, later", [(3, 28, 35), (4, 28, 35), (5, 35, 42), (6, 35, 42), (7, 35, 42)])  # Monday to Friday; 5 is the Wednesday
def test_vix_rolls_on_wednesday(today, near, later):
    listed = listing(np.arange(7, 57, 7))
    ts = MOMENTS + today * DAY
    mid = flat(listed, ts)
    value, reason = index_values(ts, listed, mid, mid, 0.04, horizons=(VIX,))
    two = listing([near, later])
    mid = flat(two, ts)
    assert np.array_equal(index_values(ts, two, mid, mid, 0.04, horizons=(VIX,))[0], value) and (reason == 0).all() and np.abs(value - 20).max() < 0.03
    less = listing([d for d in range(7, 57, 7) if d != near])
    mid = flat(less, ts)
    assert index_values(ts, less, mid, mid, 0.04, horizons=(VIX,))[1].tolist() == [[StripReason.NO_SUCH_EXPIRY] * 3]


def test_a_week_that_ends_on_thursday_counts_as_its_friday():
    listed = listing([13, 27, 35])  # Good Friday 2026-04-03 is day 14 of these: its week ends on day 13
    ts = MOMENTS - 10 * DAY  # Tuesday 2026-03-10: 23 days to that Thursday, 24 to its Friday
    assert index_values(ts, listing([13, 21]), flat(listing([13, 21]), ts), flat(listing([13, 21]), ts), 0.04, horizons=(VIX,))[1].tolist() == [[0] * 3]
    assert (index_values(ts, listed, flat(listed, ts), flat(listed, ts), 0.04, horizons=(VIX,))[1] == StripReason.NO_SUCH_EXPIRY).all()


def test_vix1d_goes_on_with_the_next_expiries_when_todays_is_over():
    listed = listing([3, 4, 5], step=0.25)  # Monday to Wednesday
    ts = (FRIDAY + 3) * DAY + 20 * HOUR + np.array([-60, 0, 5]) * MINUTE
    mid = flat(listed, ts)
    values, reasons = index_values(ts, listed, mid, mid, 0.04, horizons=(VIX1D, VIX1D.counted(CALENDAR)))
    assert (reasons == 0).all() and np.abs(values[1] - 20).max() < 0.05
    assert np.abs(values[0] - 20 * math.sqrt(252 / 365)).max() < 0.05  # a year of 252 such days


def test_a_weekend_counts_nothing_in_business_time():
    listed = listing([0, 3], step=0.25)  # Friday, Monday
    mid = flat(listed, MOMENTS)
    (business, calendar), reasons = index_values(MOMENTS, listed, mid, mid, 0.04, horizons=(VIX1D, VIX1D.counted(CALENDAR)))
    weekend = (MOMENTS - FRIDAY * DAY) / DAY  # the share of a day of business time that is Monday's
    near, later = (0.04 * ((FRIDAY + d) * DAY + 20 * HOUR - MOMENTS) / DAY / 365 for d in (0, 3))
    share = (1440 - (20 * 60 - weekend * 1440)) / 1440
    assert (reasons == 0).all() and np.abs(calendar - 20).max() < 0.05
    assert np.abs(business - 100 * np.sqrt(252 * (near * (1 - share) + later * share))).max() < 0.1
    assert np.array_equal(index_values(MOMENTS, listed, mid, mid, 0.04, horizons=(VIX1D,), holidays=())[0][0], business)


def test_a_settlement_in_the_morning_counts():
    listed = listing([28, 35])
    mid = flat(listed, MOMENTS)
    usual = index_values(MOMENTS, listed, mid, mid, 0.04, horizons=(VIX,))[0]
    later = index_values(MOMENTS, listed, mid, mid, 0.04, horizons=(VIX,), settles_at=listed.expires_at + 17 * HOUR)[0]
    assert (later < usual).all() and np.abs(later / usual - 1).max() < 0.02


def test_pieces_and_units_do_not_matter(monkeypatch):
    listed = listing([0, 3, 28, 35], step=2.5)
    ts = OPEN + np.arange(0, 380, 7) * MINUTE
    cents = np.rint(flat(listed, ts) * 100).astype(np.int64)
    whole = index_values(ts, listed, cents, cents + 1, 0.04, unit=0.01)
    monkeypatch.setattr(strip, "_CELLS", 200)
    pieces = index_values(ts, listed, cents * 0.01, (cents + 1) * 0.01, 0.04)
    assert np.array_equal(whole[0], pieces[0], equal_nan=True) and np.array_equal(whole[1], pieces[1])


def test_the_tape_has_what_could_be_computed_to_two_decimals():
    listed = listing([0, 3])
    ts = OPEN + np.array([0, 100, 389]) * MINUTE
    mid = flat(listed, ts)
    tape = index_levels(ts, listed, mid, mid, 0.04)
    values, reasons = index_values(ts, listed, mid, mid, 0.04)
    assert (reasons[0] == StripReason.NO_SUCH_EXPIRY).all() and reasons[1].tolist() == [0, 0, StripReason.TOO_FEW_STRIKES]
    assert tape.index.tolist() == [1, 1] and tape.ts.tolist() == ts[:2].tolist()
    assert np.array_equal(tape.value, np.round(values[1, :2], 2)) and tape.in_order
    empty = index_levels(ts, listing([]), np.empty((3, 0)), np.empty((3, 0)), 0.04)
    assert len(empty) == 0


def test_one_chain_is_one_moment():
    listed = listing([0, 3, 28, 35])
    mid = flat(listed, MOMENTS)
    zero = np.zeros(len(listed))
    chain = OptionChain(1, int(MOMENTS[1]), listed, 500.0, "quote", 0.04, 0.0, mid[1], mid[1], zero, zero, zero.astype(np.int64), zero, zero, zero)
    values, _ = index_values(MOMENTS, listed, mid, mid, 0.04)
    assert chain_index(chain) == (values[0, 1], None) and chain_index(chain, VIX1D) == (values[1, 1], None)
    level, why = chain_index(chain, Horizon("VIX3M", 93 * 1440, 60, 120))
    assert math.isnan(level) and why is Reason.NO_SUCH_EXPIRY


def test_a_simulated_day_has_the_volatility_it_was_made_with():
    session = simulate_session(7, symbol="SPXW")
    state = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend)
    ts, bid, ask = [], [], []
    for batch in batches(session, 600):
        state.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        ts.append(batch.now), bid.append(state.bid.copy()), ask.append(state.ask.copy())
    week = Horizon("W", 14 * 1440, 0, 40)
    values, reasons = index_values(np.array(ts), session.contracts, np.array(bid), np.array(ask), session.rate, horizons=(week,))
    assert reasons[0, 0] == StripReason.NO_QUOTE and (reasons[0, 2:] == 0).all()  # nothing is quoted at the open itself
    assert 14 < np.median(values[0, 2:]) < 30
