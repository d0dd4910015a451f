"""A halt of any length costs no sound row where its notices are on the tape, and what is wrong on such a day is found as on any other."""

from dataclasses import fields, replace
from datetime import date
from functools import lru_cache

import numpy as np
import pytest

from quanticity.core.reasons import Reason
from quanticity.feeds.sim_faults import Fault, plant
from quanticity.feeds.sim_parameters import SimulatorParameters
from quanticity.feeds.simulator import simulate_session
from quanticity.market.chain import nanoseconds
from quanticity.market.findings import REASONS, TAPES, Findings, join_findings
from quanticity.market.quality import Door, screen_session
from quanticity.market.session import Batch, MarketSession
from quanticity.market.tape import NoticeKind, Notices, Quotes, empty

from .test_quality_door import MINUTE, START, found, session

HALT, RESUME = int(NoticeKind.HALT), int(NoticeKind.RESUME)
POOR = {Reason.NO_BID, Reason.NO_ASK, Reason.EMPTY_QUOTE, Reason.LOCKED_QUOTE, Reason.ZERO_SIZE}


@lru_cache
def halted_day(minutes: float) -> MarketSession:
    """Trading is halted from 10:30 for some minutes."""
    return simulate_session(7, date(2026, 3, 20), parameters=SimulatorParameters(strikes=12, strike_step=5.0, volatility=0.3, halts=((60, minutes),)))


def by_batches(s: MarketSession, every: int, live: bool) -> Findings:
    """What the door finds in batches of some minutes; `live`: each was taken at its end."""
    door = Door(s.contracts, s.opens, s.closes, rate=s.rate, level_names=len(s.level_names))
    ends, taken, out = [nanoseconds(s.opens) + k * every * MINUTE for k in range(0, 420 // every)] + [1 << 62], -(1 << 62), []
    for end in ends:
        parts = {name: tape.where((tape.ts > taken) & (tape.ts <= end)) for name, tape in s.tapes().items()}
        out.append(door.screen(Batch(end if live else 1 << 62, **parts))[1])
        taken = end
    return join_findings([*out, door.finish()])


def same(a: Findings, b: Findings) -> None:
    a, b = a.in_order(), b.in_order()
    for f in fields(Findings):
        np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), err_msg=f.name)


@pytest.mark.parametrize("minutes", [30, 45, 60])
def test_a_long_halt_costs_no_row_and_makes_no_gap(minutes):
    s = halted_day(minutes)
    whole = screen_session(s)
    assert whole.refused == 0 and set(whole.findings.counts()) <= POOR
    same(by_batches(s, 5, live=True), whole.findings)
    same(by_batches(s, 7, live=False), whole.findings)


@pytest.mark.parametrize(("minutes", "seed"), [(35, 1), (60, 2)])
def test_what_is_planted_on_a_halted_day_is_found(minutes, seed):
    faults = [Fault(kind) for kind in (*["ahead"] * 6, "behind", "behind", "silence", "contract_silence", "bar_silence", "trade_behind", "jump_up", "duplicate")]
    faulty = plant(halted_day(minutes), faults, seed)
    f = screen_session(faulty.session).findings
    told = set(zip(f.tape.tolist(), f.row.tolist(), f.reason.tolist(), strict=True))
    assert [t for t in faulty.truth if (TAPES.index(t.tape), t.row, REASONS.index(t.reason)) not in told] == []
    touched = {(TAPES.index(tape), row) for tape, rows in faulty.touched.items() for row in rows.tolist()}
    assert [key for key in told if key[:2] not in touched and REASONS[key[2]] not in POOR] == []


def halted(first=40, last=85, notices=None, **changes) -> MarketSession:
    """Quotes and bars of two hours, none after `first` and before `last` (minutes); notices say why."""
    s = session(minutes=180, **changes)
    told = [(first, HALT), (last, RESUME)] if notices is None else notices
    gone = [(t.ts > START + first * MINUTE) & (t.ts < START + last * MINUTE) for t in (s.quotes, s.underlying_bars)]
    return replace(s, quotes=s.quotes.where(~gone[0]), underlying_bars=s.underlying_bars.where(~gone[1]),
                   notices=Notices(START + MINUTE * np.array([at for at, _ in told], np.int64), np.array([kind for _, kind in told], np.int64)))


def of_tapes(s: MarketSession) -> dict[str, dict[str, int]]:
    """What was found, but for silences of contracts."""
    screened = screen_session(s)
    f = screened.findings
    return found(replace(screened, findings=f.where((f.reason != REASONS.index(Reason.GAP)) | (f.index < 0))))


def stamped(s: MarketSession, row: int, minute: float) -> MarketSession:
    ts = s.quotes.ts.copy()
    ts[row] = START + round(minute * MINUTE)
    return replace(s, quotes=Quotes.as_arrived(**{f.name: ts if f.name == "ts" else getattr(s.quotes, f.name) for f in fields(Quotes)}))


def test_only_a_halt_that_was_told_and_is_over_explains_a_leap():
    assert found(screen_session(halted())) == {}
    silent = of_tapes(halted(notices=[]))
    assert silent == {"quotes": {"clock_skew": 1, "gap": 1}, "underlying_bars": {"clock_skew": 1, "gap": 1}}
    not_over = of_tapes(halted(notices=[(40, HALT)]))
    assert not_over == {"quotes": {"clock_skew": 1}, "underlying_bars": {"clock_skew": 1}}  # the next row confirms it, as after any outage
    assert of_tapes(halted(notices=[(40, HALT), (86, RESUME)])) == not_over  # a row came before it was resumed
    late = screen_session(halted(notices=[(40, HALT), (50, RESUME)])).findings  # ten minutes of 45 were halted
    late = late.where((late.reason == REASONS.index(Reason.CLOCK_SKEW)) | (late.index < 0))
    assert {(r, v) for r, v in zip(late.reason.tolist(), late.value.tolist(), strict=True)} == {(REASONS.index(Reason.CLOCK_SKEW), 35 * 60.0), (REASONS.index(Reason.GAP), 35.0), (REASONS.index(Reason.GAP), 36.0)}


@pytest.mark.parametrize("minute", [5, 20, 39, 40])
@pytest.mark.parametrize("ahead", [72, 85, 90, 100])
def test_a_row_stamped_over_a_halt_that_nobody_told_of_yet_is_ahead_of_its_time(minute, ahead):
    s = halted()
    row = int(np.searchsorted(s.quotes.ts, START + minute * MINUTE)) + 2
    wrong = stamped(s, row, ahead)
    f = screen_session(wrong).findings
    assert [(TAPES[t], r, REASONS[c]) for t, r, c in zip(f.tape.tolist(), f.row.tolist(), f.reason.tolist(), strict=True)] == [("quotes", row, Reason.CLOCK_SKEW)]
    assert f.value[0] >= 1800
    door = Door(s.contracts, s.opens, s.closes)  # live: the batch in which it came had no notice yet that trading was resumed
    parts = []
    for first, last in ((0, row + 1), (row + 1, len(wrong.quotes))):
        notices, bars = (t.where((t.ts <= START + minute * MINUTE) == (not first)) for t in (s.notices, s.underlying_bars))
        batch = Batch(1 << 62, **{name: tape.rows(0, 0) for name, tape in s.tapes().items()} | {
            "quotes": wrong.quotes.rows(first, last), "notices": notices, "underlying_bars": bars})
        parts.append(door.screen(batch)[1])
    same(join_findings([*parts, door.finish()]), f)


def test_a_row_that_is_late_after_the_halt_does_not_cost_the_first_one():
    s = halted()
    first = int(np.searchsorted(s.quotes.ts, START + 85 * MINUTE))
    f = screen_session(stamped(s, first + 1, 60)).findings
    assert [(r, REASONS[c]) for r, c in zip(f.row.tolist(), f.reason.tolist(), strict=True)] == [(first + 1, Reason.OUT_OF_ORDER)]


def test_a_silence_beyond_the_halt_is_told_in_trading_time():
    s = halted(notices=[(40, HALT), (70, RESUME)])
    f = screen_session(s).findings
    assert {(TAPES[t], REASONS[r], v) for t, r, v in zip(f.tape.tolist(), f.reason.tolist(), f.value.tolist(), strict=True)} == {
        ("quotes", Reason.GAP, 15.0), ("underlying_bars", Reason.GAP, 15.0)}


def test_a_contracts_silence_is_told_in_trading_time():
    s = halted(first=40, last=85)
    move = np.where(np.isin(s.quotes.index, (2, 3)), np.maximum(s.quotes.ts - START, 0) / MINUTE * 0.02, 0.0)  # quotes after a silence lie elsewhere
    s = replace(s, quotes=replace(s.quotes, bid=s.quotes.bid + move, ask=s.quotes.ask + move))
    assert found(screen_session(s)) == {}
    for until, silent in ((90, None), (140, 55.0)):
        away = (s.quotes.index == 3) & (s.quotes.ts > START + 40 * MINUTE) & (s.quotes.ts < START + until * MINUTE)
        f = screen_session(replace(s, quotes=s.quotes.where(~away))).findings
        assert [(REASONS[r], v) for r, v in zip(f.reason.tolist(), f.value.tolist(), strict=True)] == ([] if silent is None else [(Reason.GAP, silent)])


def test_a_session_without_notices_is_judged_as_ever():
    s = halted(notices=[])
    assert len(s.notices) == 0 and type(s.notices) is type(empty(Notices))
    same(screen_session(s).findings, by_batches(s, 10, live=False))
