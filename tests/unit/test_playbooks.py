"""A playbook's gates: the window of whole and half days, symbols, regimes, safe mode, a chain too thin, data too poor; and the playbooks that there are."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest

from quanticity.core.clock import NEW_YORK, option_close, session_hours
from quanticity.core.reasons import Reason
from quanticity.core.types import Features
from quanticity.playbooks import fourteen_dte, moc, one_dte
from quanticity.playbooks.playbook import GammaRegime, Playbook, auction_close, gate, window
from quanticity.playbooks.zero_dte import PLAYBOOK

OPENS, CLOSES = datetime(2015, 12, 23, 14, 30, tzinfo=UTC), datetime(2015, 12, 23, 21, tzinfo=UTC)
WHOLE, HALF, SUMMER = date(2026, 3, 18), date(2026, 11, 27), date(2026, 3, 9)  # the last: the Monday after the clocks went forward


def at(ts: datetime, missing=None, symbol="GOOG", **values: float) -> Features:
    return Features(symbol, ts, "chain:1", values, missing=missing or {})


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


@pytest.mark.parametrize(("playbook", "root", "day", "expected"), [
    (one_dte.PLAYBOOK, "GOOG", WHOLE, ("15:00", "15:45")), (one_dte.PLAYBOOK, "GOOG", HALF, ("12:00", "12:45")), (one_dte.PLAYBOOK, "SPXW", WHOLE, ("15:15", "16:00")),
    (one_dte.PLAYBOOK, "GOOG", SUMMER, ("15:00", "15:45")), (fourteen_dte.PLAYBOOK, "GOOG", WHOLE, ("10:00", "15:00")), (fourteen_dte.PLAYBOOK, "SPY", HALF, ("10:00", "12:15")),
    (moc.PLAYBOOK, "GOOG", WHOLE, ("15:50", "15:55")), (moc.PLAYBOOK, "SPY", WHOLE, ("15:50", "15:55")), (moc.PLAYBOOK, "SPXW", HALF, ("12:50", "12:55")), (moc.PLAYBOOK, "GOOG", HALF, ("12:50", "12:55"))])
def test_each_playbooks_window_in_new_york(playbook, root, day, expected):
    opens, closes = session_hours(day).opens, option_close(root, day)
    start, stop = window(playbook, root, opens, closes)
    assert tuple(t.astimezone(NEW_YORK).strftime("%H:%M") for t in (start, stop)) == expected
    known = {"volatility_regime": 0.0}
    inside = [gate(playbook, at(t, symbol=root, **known), opens, closes) is None for t in (start - timedelta(seconds=1), start, stop - timedelta(seconds=1), stop)]
    assert inside == [False, True, True, False]


def test_the_auction_of_roots_that_trade_longer_is_a_quarter_of_an_hour_before():
    assert [auction_close(root, CLOSES) for root in ("GOOG", "SPY", "SPXW", "SPX", "SIM")] == [CLOSES, *[CLOSES - timedelta(minutes=15)] * 3, CLOSES]


def test_a_skip_says_which_end_of_the_window_and_what_it_came_from():
    early, late = gate(PLAYBOOK, at(OPENS), OPENS, CLOSES), gate(PLAYBOOK, at(CLOSES), OPENS, CLOSES)
    assert early.detail == "the window starts 15 min after the open" and late.detail == "the window ended 45 min before the close"
    assert (early.strategy, early.symbol, early.ts, early.cause) == ("zero_dte", "GOOG", OPENS, ("chain:1",))
    assert gate(one_dte.PLAYBOOK, at(OPENS), OPENS, CLOSES).detail == "the window starts 60 min before the close"
    assert gate(one_dte.PLAYBOOK, at(CLOSES), OPENS, CLOSES).detail == "the window ended 15 min before the close"


def test_on_a_day_shorter_than_its_lead_it_starts_after_the_open():
    closes = OPENS + timedelta(minutes=50)
    assert gate(one_dte.PLAYBOOK, at(OPENS), OPENS, closes).detail == "the window starts 15 min after the open"
    assert gate(one_dte.PLAYBOOK, at(OPENS + timedelta(minutes=15)), OPENS, closes) is None


def test_a_window_longer_than_the_day_never_opens():
    wide = Playbook("s", start_minutes_after_open=200, stop_minutes_before_close=200)
    assert {gate(wide, at(OPENS + timedelta(minutes=m)), OPENS, CLOSES).reason for m in range(0, 391, 10)} == {Reason.OUTSIDE_WINDOW}


NOON = OPENS + timedelta(hours=2)
CAREFUL = Playbook("s", in_safe_mode=False)
REGIMES = Playbook("s", volatility_regimes=(0, 1))


@pytest.mark.parametrize(("playbook", "values", "reason"), [
    (Playbook("s", symbols=("SPXW", "NDX")), {}, Reason.REGIME_GATED), (Playbook("s", symbols=("SPXW", "GOOG")), {}, None),
    (Playbook("s", regimes=(GammaRegime.SHORT,)), {"gex": 1.0}, Reason.REGIME_GATED), (Playbook("s", regimes=(GammaRegime.SHORT,)), {"gex": -1.0}, None),
    (Playbook("s", regimes=(GammaRegime.LONG,)), {"gex": -1.0}, Reason.REGIME_GATED), (Playbook("s", regimes=(GammaRegime.LONG,)), {"gex": 0.0}, None),
    (Playbook("s", regimes=(GammaRegime.LONG,)), {}, None),  # what is not known is the strategy's to refuse
    (Playbook("s"), {"quoted_share": 0.24}, Reason.NO_LIQUID_CONTRACT), (Playbook("s"), {"quoted_share": 0.25}, None), (Playbook("s"), {}, None),
    (Playbook("s"), {"quality": 0.49}, Reason.LOW_QUALITY), (Playbook("s"), {"quality": 0.5}, None), (Playbook("s", min_quality=0.9), {"quality": 0.8}, Reason.LOW_QUALITY),
    (CAREFUL, {"safe_mode": 1.0}, Reason.SAFE_MODE), (CAREFUL, {"safe_mode": 0.0}, None), (CAREFUL, {}, None), (Playbook("s"), {"safe_mode": 1.0}, None),
    (REGIMES, {"volatility_regime": 0.0}, None), (REGIMES, {"volatility_regime": 1.0}, None), (REGIMES, {"volatility_regime": 2.0}, Reason.REGIME_GATED), (REGIMES, {}, Reason.FEATURE_MISSING),
    (Playbook("s"), {"volatility_regime": 9.0}, None)])
def test_the_other_gates(playbook, values, reason):
    answer = gate(playbook, at(NOON, **values), OPENS, CLOSES)
    assert (answer.reason if answer else None) is reason
    assert answer is None or answer.detail


def test_an_unknown_regime_is_told_with_its_own_reason():
    answer = gate(REGIMES, at(NOON, {"volatility_regime": Reason.TOO_LITTLE_HISTORY}), OPENS, CLOSES)
    assert answer.detail == "volatility_regime: too little history" and gate(REGIMES, at(NOON), OPENS, CLOSES).detail == "volatility_regime: not computed"


@pytest.mark.parametrize(("wrong", "message"), [
    ({"regimes": ()}, "regimes is empty"), ({"notional_share": 0.0}, "notional_share 0 "), ({"notional_share": 1.01}, "notional_share 1.01"), ({"notional_share": -1.0}, "notional_share -1"),
    ({"start_minutes_before_close": 45.0}, "starts 45 and stops 45 minutes before the close"), ({"start_minutes_before_close": math.nan}, "starts nan")])
def test_a_playbook_that_could_never_run_is_refused(wrong, message):
    with pytest.raises(ValueError, match=f"playbook of s: .*{message}"):
        Playbook("s", **wrong)


def test_what_the_playbooks_allow():
    assert PLAYBOOK == Playbook(strategy="zero_dte") and PLAYBOOK.symbols == () and PLAYBOOK.notional_share == 1.0 and PLAYBOOK.in_safe_mode
    for module in (one_dte, fourteen_dte, moc):
        assert module.PLAYBOOK.strategy == module.__name__.rpartition(".")[2] and module.PLAYBOOK.notional_share == 0.5
    assert not one_dte.PLAYBOOK.in_safe_mode and not fourteen_dte.PLAYBOOK.in_safe_mode and moc.PLAYBOOK.in_safe_mode
    assert fourteen_dte.PLAYBOOK.volatility_regimes == (0, 1, 2) and moc.PLAYBOOK.from_auction
    assert one_dte.PLAYBOOK.min_quoted_share == fourteen_dte.PLAYBOOK.min_quoted_share == 0.0  # those count today's contracts
