"""jobs.cadence: a step at a time, skips counted and never queued, hours of the market, waiting on either clock."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanticity.core.clock import NEW_YORK, LiveClock, ReplayClock
from quanticity.core.config import AnalyticsConfig
from quanticity.jobs.cadence import Cadence, Due, Gate, Lags, cadence_of, wait_until
from quanticity.market.chain import nanoseconds, timestamp

SECOND = 1_000_000_000
START = nanoseconds(datetime(2015, 12, 24, 15, tzinfo=UTC))


def new_york(text: str) -> int:
    return nanoseconds(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK))


@given(st.lists(st.integers(0, 10 * SECOND), min_size=1, max_size=60), st.floats(0.05, 5.0), st.text("ABC", min_size=1, max_size=4))
def test_every_moment_of_the_grid_is_made_once_or_skipped_once(pauses, seconds, symbol):
    c, now, made, skipped, moments = Cadence(symbol, seconds), START, 0, 0, []
    for pause in pauses:
        now += pause
        for _ in range(3):  # asked again at once: nothing was queued
            if due := c.take(now):
                made, skipped = made + 1, skipped + due.skipped
                moments.append(due.moment)
                assert 0 <= due.lag < c.every and due.moment <= now
    assert moments == sorted(set(moments))
    first = c.moment(moments[0])
    assert made + skipped == (c.moment(now) - first) // c.every + 1


def test_an_overrun_of_ten_moments_is_one_step_and_nine_skips():
    c = Cadence("SPXW", 1.0, spread=False)
    c.take(START)
    assert c.take(START + 10 * SECOND + 1) == Due(START + 10 * SECOND, 1, 9)
    assert c.take(START + 10 * SECOND + 2) is None and c.next_moment(START + 10 * SECOND + 2) == START + 11 * SECOND


def test_a_rest_is_no_overrun():
    c = Cadence("SPXW", 1.0)
    c.take(START)
    c.rest()
    later = START + 3600 * SECOND
    assert c.next_moment(later) == later and c.take(later) == Due(later, 0, 0)


def test_symbols_are_spread_over_the_cadence_and_always_alike():
    shifts = {s: Cadence(s, 1.0).shift for s in (f"S{i:02}" for i in range(50))}
    assert shifts == {s: Cadence(s, 1.0).shift for s in shifts} and all(0 <= v < SECOND for v in shifts.values())
    quarters = [sum(q * SECOND // 4 <= v < (q + 1) * SECOND // 4 for v in shifts.values()) for q in range(4)]
    assert min(quarters) >= 5


def test_the_configuration_says_how_often():
    config = AnalyticsConfig(cadence_seconds=2.0, cadences={"SPXW": 0.5})
    assert (cadence_of(config, "SPXW"), cadence_of(config, "GOOG")) == (0.5, 2.0)


@pytest.mark.parametrize(("moment", "stock", "index"), [
    ("2015-12-23 09:29:59.999999", False, False), ("2015-12-23 09:30", True, True), ("2015-12-23 16:00", True, True), ("2015-12-23 16:00:00.000001", False, True),
    ("2015-12-23 16:15", True, True), ("2015-12-23 16:15:00.000001", False, False), ("2015-12-24 13:00", True, True), ("2015-12-24 13:10", False, True),
    ("2015-12-25 12:00", False, False), ("2015-12-26 12:00", False, False), ("2021-03-12 09:30", True, True), ("2021-03-15 09:30", True, True)])
def test_the_gate_keeps_the_hours_of_the_market(moment, stock, index):
    if moment == "2015-12-23 16:15":
        stock = False
    for symbol, expected in (("GOOG", stock), ("SPXW", index)):
        assert Gate(symbol).is_open(new_york(moment)) is expected, symbol
    assert Gate("GOOG", regular_hours_only=False).is_open(new_york(moment))


def test_one_gate_through_a_week():
    """The same gate asked every half hour says what fresh gates say: its memory of a day does not outlive it."""
    gate, now = Gate("SPXW"), new_york("2015-12-22 00:00")
    for _ in range(7 * 48):
        assert gate.is_open(now) is Gate("SPXW").is_open(now) and gate.opens_at(now) == Gate("SPXW").opens_at(now) >= now
        now += 1800 * SECOND
    assert timestamp(Gate("GOOG").opens_at(new_york("2015-12-24 13:01"))) == datetime(2015, 12, 28, 14, 30, tzinfo=UTC)
    assert gate.hours(new_york("2015-12-20 12:00")).day == datetime(2015, 12, 21).toordinal()  # asked about the past: right as well


def test_lags_keep_the_latest_and_the_worst():
    lags = Lags(keep=100)
    for ms in range(1_000):
        lags.add(ms * 1_000_000)
    assert (lags.count, lags.worst) == (1_000, 0.999)
    assert lags.quantile(0.0) == 0.9 and abs(lags.quantile(0.5) - 0.9495) < 1e-9


def test_waiting_moves_a_driven_clock_and_sleeps_on_a_live_one():
    driven = ReplayClock(timestamp(START))
    wait_until(driven, START + 5 * SECOND)
    wait_until(driven, START)  # in the past: stays
    assert nanoseconds(driven.now()) == START + 5 * SECOND
    live = LiveClock()
    before = nanoseconds(live.now())
    wait_until(live, before + 30_000_000)
    assert nanoseconds(live.now()) >= before + 29_000_000
    wait_until(live, before + 3600 * SECOND, longest=0.01)  # comes back early
    wait_until(live, before - SECOND)
