"""A playbook's gates: the window of whole and half days, symbols, regimes, and a chain too thin."""

from datetime import UTC, datetime, timedelta

import pytest

from quanticity.core.clock import session_hours
from quanticity.core.reasons import Reason
from quanticity.core.types import Features
from quanticity.playbooks.playbook import GammaRegime, Playbook, gate
from quanticity.playbooks.zero_dte import PLAYBOOK

OPENS, CLOSES = datetime(2015, 12, 23, 14, 30, tzinfo=UTC), datetime(2015, 12, 23, 21, tzinfo=UTC)


def at(ts: datetime, **values: float) -> Features:
    return Features("GOOG", ts, "chain:1", values)


@pytest.mark.parametrize(("day", "first", "last"), [
    ("2015-12-23", "2015-12-23T14:45", "2015-12-23T20:15"),  # a whole day
    ("2015-12-24", "2015-12-24T14:45", "2015-12-24T17:15"),  # a half day closes at 13:00 New York
    ("2024-07-03", "2024-07-03T13:45", "2024-07-03T16:15"),  # a half day in summer time
    ("2021-03-15", "2021-03-15T13:45", "2021-03-15T19:15")])  # the Monday after the clocks went forward
def test_the_window_lies_within_the_day_as_it_is(day, first, last):
    hours = session_hours(datetime.fromisoformat(day).date())
    start, stop = (datetime.fromisoformat(x).replace(tzinfo=UTC) for x in (first, last))
    second = timedelta(seconds=1)
    for ts, reason in ((hours.opens, Reason.OUTSIDE_WINDOW), (start - second, Reason.OUTSIDE_WINDOW), (start, None), (stop - second, None),
                       (stop, Reason.OUTSIDE_WINDOW), (hours.closes, Reason.OUTSIDE_WINDOW)):
        answer = gate(PLAYBOOK, at(ts), hours.opens, hours.closes)
        assert (answer.reason if answer else None) is reason, ts


def test_a_skip_says_which_end_of_the_window_and_what_it_came_from():
    early, late = gate(PLAYBOOK, at(OPENS), OPENS, CLOSES), gate(PLAYBOOK, at(CLOSES), OPENS, CLOSES)
    assert early.detail == "the window starts 15 min after the open" and late.detail == "the window ended 45 min before the close"
    assert (early.strategy, early.symbol, early.ts, early.cause) == ("zero_dte", "GOOG", OPENS, ("chain:1",))


def test_a_window_longer_than_the_day_never_opens():
    wide = Playbook("s", start_minutes_after_open=200, stop_minutes_before_close=200)
    assert {gate(wide, at(OPENS + timedelta(minutes=m)), OPENS, CLOSES).reason for m in range(0, 391, 10)} == {Reason.OUTSIDE_WINDOW}


NOON = OPENS + timedelta(hours=2)


@pytest.mark.parametrize(("playbook", "values", "reason"), [
    (Playbook("s", symbols=("SPXW", "NDX")), {}, Reason.REGIME_GATED), (Playbook("s", symbols=("SPXW", "GOOG")), {}, None),
    (Playbook("s", regimes=(GammaRegime.SHORT,)), {"gex": 1.0}, Reason.REGIME_GATED), (Playbook("s", regimes=(GammaRegime.SHORT,)), {"gex": -1.0}, None),
    (Playbook("s", regimes=(GammaRegime.LONG,)), {"gex": -1.0}, Reason.REGIME_GATED), (Playbook("s", regimes=(GammaRegime.LONG,)), {"gex": 0.0}, None),
    (Playbook("s", regimes=(GammaRegime.LONG,)), {}, None),  # what is not known is the strategy's to refuse
    (Playbook("s"), {"quoted_share": 0.24}, Reason.NO_LIQUID_CONTRACT), (Playbook("s"), {"quoted_share": 0.25}, None), (Playbook("s"), {}, None)])
def test_the_other_gates(playbook, values, reason):
    answer = gate(playbook, at(NOON, **values), OPENS, CLOSES)
    assert (answer.reason if answer else None) is reason
    assert answer is None or answer.detail


@pytest.mark.parametrize(("wrong", "message"), [({"regimes": ()}, "regimes is empty"), ({"notional_share": 0.0}, "notional_share 0 "),
                                                ({"notional_share": 1.01}, "notional_share 1.01"), ({"notional_share": -1.0}, "notional_share -1")])
def test_a_playbook_that_could_never_run_is_refused(wrong, message):
    with pytest.raises(ValueError, match=f"playbook of s: {message}"):
        Playbook("s", **wrong)


def test_the_first_playbook_runs_the_first_strategy_everywhere():
    assert PLAYBOOK == Playbook(strategy="zero_dte") and PLAYBOOK.symbols == () and PLAYBOOK.notional_share == 1.0
