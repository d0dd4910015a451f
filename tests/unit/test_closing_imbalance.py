"""The venue's rules with their dates, and what a publication says."""

from datetime import date

import numpy as np
import pytest

from quanticity.analytics.closing_imbalance import (
    IndexGroup,
    closing_imbalance,
    closing_rules,
    closing_times,
    may_enter,
    reading_at,
    significant_side,
)
from quanticity.core.clock import NEW_YORK, session_hours
from quanticity.core.errors import UserError
from quanticity.core.reasons import Reason
from quanticity.market.chain import timestamp
from quanticity.market.tape import Imbalances, empty

DAY = date(2026, 3, 20)
HOURS = session_hours(DAY)
NYSE, NASDAQ = closing_rules("NYSE", DAY), closing_rules("Nasdaq", DAY)
START = closing_times(NYSE, HOURS).published


def tape(imbalance, paired=None, reference=100.0, indicative=None, every=1, start=START):
    n = len(imbalance)
    x = np.array(imbalance, float)
    return Imbalances(start + np.arange(n) * every * 10**9, x, np.full(n, 1e6) if paired is None else np.array(paired, float),
                      np.full(n, reference), np.full(n, reference) if indicative is None else np.array(indicative, float))


@pytest.mark.parametrize(("venue", "day", "expected"), [
    ("NYSE", date(2026, 3, 20), ("15:50:00", "15:50:00", "15:50:00", "15:50:00", "15:58:00", "16:00:00")),
    ("NYSE", date(2026, 11, 27), ("12:50:00", "12:50:00", "12:50:00", "12:50:00", "12:58:00", "13:00:00")),
    ("Nasdaq", date(2026, 3, 20), ("15:50:00", "15:55:00", "15:55:00", "15:58:00", "15:55:00", "16:00:00")),
    ("Nasdaq", date(2026, 11, 27), ("12:50:00", "12:55:00", "12:55:00", "12:58:00", "12:55:00", "13:00:00")),
])
def test_times_by_venue_half_days_too(venue, day, expected):
    t = closing_times(closing_rules(venue, day), session_hours(day))
    moments = (t.published, t.indicative, t.market_until, t.limit_until, t.cancel_until, t.closes)
    assert tuple(f"{timestamp(m).astimezone(NEW_YORK):%H:%M:%S}" for m in moments) == expected


def test_rules_have_dates():
    assert closing_rules("nyse", date(2024, 10, 27)).shares == 50_000 and closing_rules("nyse", date(2024, 10, 28)).shares == np.inf
    for venue, day, says in (("NYSE", date(2019, 8, 21), "known from 2019-08-22"), ("Nasdaq", date(2019, 4, 14), "2019-04-15"), ("ARCA", DAY, "known: NYSE, Nasdaq")):
        with pytest.raises(UserError, match=says):
            closing_rules(venue, day)


def test_measures_of_one_publication():
    found = closing_imbalance(tape([-200_000.0], [800_000], 50.0, [49.98]), NYSE, HOURS, average_close_volume=1e6, average_volume=2e7)
    assert (found.side[0], found.seconds_left[0]) == (-1, 600.0)
    for name, expected in {"notional": -1e7, "to_paired": -0.25, "share": -0.2, "to_close_volume": -0.2, "to_day_volume": -0.01, "pressure": -4.0}.items():
        assert getattr(found, name)[0] == pytest.approx(expected), name
    assert np.isnan(found.trend[0]) and found.worked_off[0] == 0 and found.flips[0] == 0 and found.since_flip[0] == 0


def test_trend_and_flips():
    shares = [100, 80, 60, 0, 0, 40, -10, -10, 30]
    found = closing_imbalance(tape(shares, every=10), NYSE, HOURS, window_seconds=25.0)
    assert found.flips.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 2]  # nothing left over is no side, and no flip
    assert found.since_flip.tolist() == [0, 10, 20, 30, 40, 50, 0, 10, 0]
    assert found.trend[2] == pytest.approx(-120.0) and np.isnan(found.trend[1])
    for row in range(2, 9):
        assert found.trend[row] == pytest.approx(np.polyfit([0, 1 / 6, 2 / 6], shares[row - 2:row + 1], 1)[0])
    assert found.worked_off.tolist() == pytest.approx([0, 0.2, 0.4, 1, 1, 0.6, 0.9, 0.9, 0.7])


def test_a_zero_imbalance_all_along_has_no_side():
    found = closing_imbalance(tape([0, 0, 0]), NYSE, HOURS)
    assert found.side.tolist() == [0, 0, 0] and np.isnan(found.since_flip).all() and np.isnan(found.worked_off).all()
    assert found.share.tolist() == [0, 0, 0]
    assert significant_side(found) is None and significant_side(closing_imbalance(tape([0]), NYSE, HOURS, 1e6)) == 0


def test_nothing_paired_and_no_prices():
    found = closing_imbalance(tape([5, 5], [0, 0], 0.0, [0, 0]), NASDAQ, HOURS)
    now = reading_at(found, START + 10**10)
    assert found.share.tolist() == [1.0, 1.0]
    assert dict(now.missing) == {"notional": Reason.NO_QUOTE, "to_paired": Reason.ZERO_SIZE, "to_close_volume": Reason.NO_VOLUME, "to_day_volume": Reason.NO_VOLUME,
                                 "pressure": Reason.NO_QUOTE, "trend": Reason.TOO_LITTLE_HISTORY, "pressure_trend": Reason.TOO_LITTLE_HISTORY}
    assert all((v != v) == (name in now.missing) for name, v in now.values.items())
    nothing = closing_imbalance(tape([0], [0]), NYSE, HOURS)
    assert np.isnan(nothing.share[0]) and nothing.why["share"] is Reason.ZERO_SIZE


def test_publications_outside_the_auction_are_left_out():
    found = closing_imbalance(tape([1, 2, 3], start=START - 2 * 10**9), NYSE, HOURS)
    assert found.imbalance.tolist() == [3.0] and found.outside == 2
    assert len(closing_imbalance(empty(Imbalances), NYSE, HOURS)) == 0


def test_a_reading_knows_the_past_only():
    found = closing_imbalance(tape([10, 20, -30]), NYSE, HOURS)
    assert reading_at(found, START - 1).reason is Reason.NO_IMBALANCE
    for row, expected in enumerate((10.0, 20.0, -30.0)):
        now = reading_at(found, START + row * 10**9)
        assert now.values["imbalance"] == expected and now.reason is None and now.significant is None
        part = closing_imbalance(tape([10, 20, -30][:row + 1]), NYSE, HOURS)
        assert reading_at(part, START + row * 10**9).values == pytest.approx(dict(now.values), nan_ok=True)


@pytest.mark.parametrize(("shares", "price", "group", "expected"), [
    (300_000, 100.0, IndexGroup.LARGE, 1), (-300_000, 100.0, IndexGroup.LARGE, -1), (299_999, 100.0, IndexGroup.LARGE, 0),
    (300_000, 100.0, IndexGroup.MIDDLE, 0), (500_000, 100.0, IndexGroup.MIDDLE, 1), (699_999, 100.0, IndexGroup.OTHER, 0),
    (700_000, 0.28, IndexGroup.OTHER, 0), (700_000, 0.29, IndexGroup.OTHER, 1),
])
def test_significant_by_the_rule_of_2024(shares, price, group, expected):
    assert significant_side(closing_imbalance(tape([shares, 0], reference=price), NYSE, HOURS, average_close_volume=1e6), group) == expected


def test_significant_by_the_rule_before():
    old = closing_rules("NYSE", date(2023, 3, 17))
    hours = session_hours(date(2023, 3, 17))
    start = closing_times(old, hours).published
    assert [significant_side(closing_imbalance(tape([x], start=start), old, hours)) for x in (49_999, 50_000, -80_000)] == [0, 1, -1]
    assert significant_side(closing_imbalance(tape([1e9]), NASDAQ, HOURS)) == 0


def test_which_orders_are_still_taken():
    assert [may_enter(NYSE, s, 1) for s in (601, 600, 1)] == [True, False, False]
    assert [may_enter(NYSE, 300, side, significant=-1) for side in (1, -1)] == [True, False]
    assert not may_enter(NYSE, 300, 1, significant=None) and not may_enter(NYSE, 0, 1, significant=-1)
    assert [may_enter(NASDAQ, s, 1, limit=True) for s in (121, 120)] == [True, False]


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError, match="window_seconds"):
        closing_imbalance(tape([1]), NYSE, HOURS, window_seconds=0.0)


@pytest.mark.parametrize("venue", ["NYSE", "Nasdaq"])
def test_the_simulated_auction(venue):
    """The simulator's venues publish at the times of these rules, and its imbalance is worked off."""
    from quanticity.feeds.sim_auction import VENUES

    rules, sim = closing_rules(venue, DAY), VENUES[venue]
    assert (rules.published, rules.indicative, rules.market_until, rules.limit_until) == (sim.published, sim.full, sim.market_until, sim.limit_until)
    ts = sim.times(closing_times(rules, HOURS).closes)
    x = 1e5 * np.exp(-np.arange(len(ts)) / 100)
    found = closing_imbalance(Imbalances(ts, x, np.full(len(ts), 1e6), np.full(len(ts), 10.0), np.full(len(ts), 10.01)), rules, HOURS)
    assert found.outside == 0 and found.seconds_left[0] == 600 and (found.trend[5:] < 0).all() and found.worked_off[-1] > 0.9
