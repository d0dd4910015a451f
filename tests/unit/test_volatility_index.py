"""VIX and VIX1D of a chain: the numbers of market.strip, in both countings of time, and with a reason where there is no number."""

import math
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from quanticity.analytics.volatility_index import IndexHistory, IndexReading, daily_values, history_columns, history_of, value_at, volatility_index
from quanticity.core.clock import NEW_YORK, expiry_close, session_hours
from quanticity.core.reasons import Reason
from quanticity.core.types import Exercise
from quanticity.market.chain import Contracts, OptionChain, nanoseconds
from quanticity.market.session import ChainState, batches
from quanticity.market.strip import BUSINESS, CALENDAR, VIX, VIX1D, Counting, Horizon, chain_index, closed_weekdays, minutes_between, minutes_until

DAY = 86_400 * 10**9
GOOD_FRIDAY, THANKSGIVING = date(2026, 4, 3), date(2026, 11, 26)


def at(month, day, hour, minute=0):
    return nanoseconds(datetime(2026, month, day, hour, minute, tzinfo=NEW_YORK))


def price(forward, strike, w, call):
    d = (math.log(forward / strike) + w / 2) / math.sqrt(w)
    n = lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2)))
    return (forward * n(d) - strike * n(d - math.sqrt(w))) - (0 if call else forward - strike)


def chain(ts, ends, daily=0.01, step=5.0, width=0.12, tick=0.05, spread=0.05, exercise=Exercise.EUROPEAN, holidays=()):
    """SPXW at 6000, a standard deviation of `daily` a business day, quotes on a grid of `tick` around the price."""
    spot = 6000.0
    strike = np.arange(round(spot * (1 - width) / step), round(spot * (1 + width) / step) + 1) * step
    k, e = np.tile(np.repeat(strike, 2), len(ends)), np.repeat(np.array(ends, np.int64), 2 * len(strike))
    is_call = np.tile([True, False], len(strike) * len(ends))
    w = np.repeat([max(minutes_between(ts, int(x), BUSINESS, holidays), 0) / 1440 * daily**2 for x in ends], 2 * len(strike))
    value = np.array([price(spot, a, b, c) if b > 0 else 0.0 for a, b, c in zip(k, w, is_call)])
    bid, ask = (np.maximum(tick * np.round((value + side * spread / 2) / tick), 0.0) if tick else value for side in (-1, 1))
    n = len(k)
    listed = Contracts("SPXW", "SPX", k, e // DAY, e, is_call, np.full(n, 100.0), exercise)
    return OptionChain(1, ts, listed, spot, "quote", 0.0, 0.0, bid, ask, np.ones(n), np.ones(n), np.full(n, ts), np.zeros(n), np.zeros(n), np.full(n, np.nan))


WEEK = [at(3, d, 16) for d in (9, 10, 11, 12, 13)]


@pytest.mark.parametrize("horizon", [VIX, VIX1D, VIX1D.counted(CALENDAR), Horizon("VIX9D", 9 * 1440, 1, 20)])
def test_it_is_the_strip_modules_index(horizon):
    c = chain(at(3, 9, 11), WEEK[:3] + [at(3, 20, 16), at(4, 2, 16), at(4, 10, 16)], step=5.0, width=0.3)
    reading, (value, reason) = volatility_index(c, horizon), chain_index(c, horizon)
    assert reading.reason is reason is None
    assert reading.value == pytest.approx(value, rel=1e-12)
    assert reading.near.minutes < reading.later.minutes and (horizon.weekly or reading.near.minutes <= horizon.minutes < reading.later.minutes)


def test_the_same_number_as_the_strip_module_on_every_day_of_a_year():
    for start in range(0, 365, 3):
        today = date(2026, 1, 5) + timedelta(start)
        if session_hours(today) is None:
            continue
        ends = sorted({nanoseconds(expiry_close(today + timedelta(d), "SPXW")) for d in range(45) if session_hours(today + timedelta(d))})
        c = chain(nanoseconds(datetime(today.year, today.month, today.day, 11, tzinfo=NEW_YORK)), ends, step=200.0, width=0.4, tick=0.0)
        for horizon in (VIX, VIX1D):
            mine, (value, reason) = volatility_index(c, horizon, least=2), chain_index(c, horizon, least=2)
            assert mine.reason is reason
            assert math.isclose(mine.value, value, rel_tol=1e-12), today


def test_an_index_in_another_counting_says_so_in_its_name():
    c = chain(at(3, 13, 10), [at(3, 13, 16), at(3, 16, 16)], tick=0.0)
    mine, other = volatility_index(c, VIX1D), volatility_index(c, VIX1D, CALENDAR)
    assert (mine.name, mine.counting, other.name, other.counting) == ("VIX1D", "business", "VIX1D by calendar minutes", "calendar")
    assert mine.value == pytest.approx(15.87, rel=0.01) and other.value < 14
    assert volatility_index(c, VIX1D, BUSINESS) == mine


@pytest.mark.parametrize("moment", [at(3, 9, 9, 31), at(3, 10, 12), at(3, 12, 15), at(3, 9, 16, 5)])
def test_a_flat_market_gives_the_same_number_at_every_hour(moment):
    reading = volatility_index(chain(moment, WEEK, tick=0.0), VIX1D)
    assert reading.value == pytest.approx(100 * 0.01 * math.sqrt(252), rel=0.01) and reading.reason is None and not reading.approximate
    assert reading.counting == "business"


def test_with_quotes_on_a_grid_it_stays_near():
    reading = volatility_index(chain(at(3, 10, 10), WEEK), VIX1D)
    assert reading.value == pytest.approx(15.87, abs=0.25)
    total = reading.near.total * reading.near_weight + reading.later.total * (1 - reading.near_weight)
    assert reading.value == pytest.approx(100 * math.sqrt(total * 252), rel=1e-12)  # one business day of 252


def test_a_weekend_and_a_holiday_have_no_minutes():
    thursday, ends = at(4, 2, 10), [at(4, 2, 16), at(4, 6, 16)]
    c = chain(thursday, ends, tick=0.0, holidays=(GOOD_FRIDAY,))
    assert volatility_index(c, VIX1D, holidays=(GOOD_FRIDAY,)).value == volatility_index(c, VIX1D).value == pytest.approx(15.87, rel=0.01)
    assert volatility_index(c, VIX1D, holidays=()).value < 15.2  # Good Friday taken for a trading day
    assert volatility_index(c, VIX1D, CALENDAR).value < 14


def test_a_half_day():
    ends = [at(11, 27, 13), at(11, 30, 16)]  # the day after Thanksgiving
    reading = volatility_index(chain(at(11, 27, 10), ends, tick=0.0), VIX1D)
    assert reading.near.minutes == 180 and reading.value == pytest.approx(15.87, rel=0.01)


def test_minutes_against_the_market_calendar():
    holidays = closed_weekdays(date(2026, 1, 1), date(2026, 12, 31))
    assert GOOD_FRIDAY in holidays and THANKSGIVING in holidays
    for start, stop in (((3, 6), (3, 9)), ((11, 25), (11, 27)), ((12, 24), (12, 28)), ((10, 30), (11, 2))):
        begin, end = at(*start, 9, 30), nanoseconds(expiry_close(date(2026, *stop), "SPXW"))
        sessions = sum(session_hours(date(2026, *start) + timedelta(n)) is not None for n in range(1, (date(2026, *stop) - date(2026, *start)).days + 1))
        close = (datetime.fromtimestamp(end // 10**9, NEW_YORK).hour - 16) * 60
        assert minutes_between(begin, end, BUSINESS, holidays) == minutes_between(begin, end, BUSINESS) == sessions * 1440 + 390 + close
    moments, ends = np.array([at(3, 6, 10), at(3, 9, 10), at(11, 25, 15)]), np.array([at(3, 9, 16), at(4, 6, 16), at(11, 27, 13)])
    for counting in (CALENDAR, BUSINESS):
        assert minutes_until(moments, ends, counting).tolist() == [[minutes_between(int(a), int(b), counting) for b in ends] for a in moments]
    assert minutes_between(at(3, 9, 9), at(3, 9, 10), BUSINESS, [date(2026, 3, 9)]) == 60  # the two days themselves count
    assert Counting("hours", 60.0, False).minutes_a_year == 60.0


def test_what_makes_no_index():
    moment = at(3, 9, 11)
    assert volatility_index(chain(moment, WEEK[:1]), VIX1D).reason is Reason.NO_SUCH_EXPIRY
    assert volatility_index(chain(moment, WEEK), VIX).reason is Reason.NO_SUCH_EXPIRY
    few = volatility_index(chain(moment, WEEK, step=100.0), VIX1D)
    assert few.reason is Reason.TOO_FEW_STRIKES and few.near.strikes < 8 and math.isnan(few.value) and 0 < few.near_weight < 1
    late = volatility_index(chain(at(3, 9, 15, 59), WEEK), VIX1D)
    assert late.reason is Reason.TOO_FEW_STRIKES and late.later.reason is None  # one minute: no bids are left in today's
    full = chain(moment, WEEK)
    silent = OptionChain(**{**{f: getattr(full, f) for f in full.__dataclass_fields__}, "bid": np.full(len(full), np.nan), "ask": np.full(len(full), np.nan)})
    assert volatility_index(silent, VIX1D).reason is Reason.NO_QUOTE
    crossed = OptionChain(**{**{f: getattr(full, f) for f in full.__dataclass_fields__}, "bid": full.ask + 1.0})
    assert volatility_index(crossed, VIX1D).reason is Reason.NO_QUOTE
    puts = full.contracts
    only = Contracts("SPXW", "SPX", puts.strike, puts.expiry_day, puts.expires_at, np.zeros(len(puts), bool), puts.multiplier)
    assert volatility_index(OptionChain(**{**{f: getattr(full, f) for f in full.__dataclass_fields__}, "contracts": only}), VIX1D).reason is Reason.NO_SUCH_EXPIRY
    assert volatility_index(chain(moment, WEEK, exercise=Exercise.AMERICAN), VIX1D).approximate


def test_zero_open_interest_does_not_matter_and_order_of_contracts_neither():
    full = chain(at(3, 10, 10), WEEK)
    rows = np.random.default_rng(1).permutation(len(full))
    listed = full.contracts
    mixed = Contracts("SPXW", "SPX", *(getattr(listed, f)[rows] for f in ("strike", "expiry_day", "expires_at", "is_call", "multiplier")), Exercise.EUROPEAN)
    arrays = {f: getattr(full, f)[rows] for f in full.__dataclass_fields__ if isinstance(getattr(full, f), np.ndarray)}
    other = OptionChain(**{**{f: getattr(full, f) for f in full.__dataclass_fields__}, **arrays, "contracts": mixed})
    assert volatility_index(other, VIX1D) == volatility_index(full, VIX1D)


# the history

def reading(ts, value=15.0, reason=None, name="VIX1D", counting="business"):
    return IndexReading(name, ts, counting, math.nan if reason else value, reason, 0.5, None, None)


def test_a_history_only_grows():
    history = IndexHistory("VIX1D", "business")
    for i in range(200):
        history.append(reading(at(3, 2, 10) + i * DAY, 10.0 + i, Reason.NO_QUOTE if i % 50 == 7 else None))
    assert len(history) == 200 and np.isnan(history.value).sum() == 4 and history.reasons[57] is Reason.NO_QUOTE
    for bad in (reading(at(3, 2, 10)), reading(int(history.ts[-1]))):
        with pytest.raises(ValueError, match="is not after the last"):
            history.append(bad)
    for bad, message in ((reading(2**62, name="VIX"), "got VIX in"), (reading(2**62, counting="calendar"), "calendar time"), (reading(2**62, math.nan), "a number has no reason")):
        with pytest.raises(ValueError, match=message):
            history.append(bad)
    assert len(history) == 200
    for array in (history.ts, history.value):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    before = history.value
    history.append(reading(2**62))
    assert len(before) == 200  # what was handed out does not change


def test_stored_and_read_again():
    history = IndexHistory("VIX1D", "business")
    for i, why in enumerate([None, Reason.TOO_FEW_STRIKES, None]):
        history.append(reading(at(3, 2, 20) + i * 3 * 3600 * 10**9, 12.5, why))
    columns = history_columns(history)
    assert columns["day"].tolist() == [(date(2026, 3, d) - date(1970, 1, 1)).days for d in (2, 2, 3)]  # New York's days: 20:00, 23:00, 02:00
    again = history_of("VIX1D", "business", columns["ts"], columns["value"], columns["reason"].tolist())
    assert again.ts.tobytes() == history.ts.tobytes() and again.value.tobytes() == history.value.tobytes() and again.reasons == history.reasons
    with pytest.raises(ValueError, match="not after"):
        history_of("VIX1D", "business", columns["ts"][::-1], columns["value"], columns["reason"].tolist())
    assert daily_values(history_of("VIX1D", "business", columns["ts"][:0], columns["value"][:0], []))[0].shape == (0,)


def test_daily_values_and_values_as_of():
    history = IndexHistory("VIX1D", "business")
    for day, hour, value, why in ((2, 10, 11.0, None), (2, 15, 12.0, None), (2, 16, 0.0, Reason.NO_QUOTE), (3, 10, 13.0, None), (4, 10, 0.0, Reason.NO_QUOTE)):
        history.append(reading(at(3, day, hour), value, why))
    days, values = daily_values(history)
    assert values.tolist() == [12.0, 13.0] and np.diff(days).tolist() == [1]
    assert value_at(history, at(3, 2, 9)) == (pytest.approx(math.nan, nan_ok=True), math.inf)
    assert value_at(history, at(3, 2, 17)) == (12.0, 7200.0) and value_at(history, at(3, 3, 10)) == (13.0, 0.0)


@pytest.mark.parametrize(("day", "reasons"), [
    (date(2021, 1, 4), {Reason.NO_QUOTE, Reason.TOO_FEW_STRIKES, Reason.NO_SUCH_EXPIRY}), (date(2021, 1, 5), {Reason.NO_SUCH_EXPIRY, Reason.TOO_FEW_STRIKES}),
    (date(2021, 1, 7), {Reason.NO_SUCH_EXPIRY}), (date(2021, 1, 8), {Reason.NO_QUOTE, Reason.TOO_FEW_STRIKES})])
def test_recorded_spxw_days_have_too_few_contracts_and_it_says_so(recorded, day, reasons):
    from quanticity.feeds.importing import SessionKey
    from quanticity.feeds.lean import IMPORTER

    session = IMPORTER.load(recorded, SessionKey("SPXW", day, "lean"))
    state = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend)
    found = []
    for batch in batches(session, 1800):
        state.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        found.append(volatility_index(state.snapshot(batch.now, math.nan, "none"), VIX1D))
    assert {r.reason for r in found} == reasons and all(math.isnan(r.value) for r in found)
    assert not any(math.isinf(t.variance) for r in found for t in (r.near, r.later) if t)
