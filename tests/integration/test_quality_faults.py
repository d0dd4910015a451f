"""A million rows with planted faults: every one is found under its reason, and nothing else is."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from quanticity.core.reasons import Reason
from quanticity.feeds.sim_faults import KINDS, Fault, FaultySession, plant
from quanticity.feeds.sim_parameters import SimulatorParameters
from quanticity.feeds.simulator import simulate_session
from quanticity.market.findings import REASONS, TAPES, Findings, finding_lines
from quanticity.market.quality import Screened, screen_session
from quanticity.market.tape import Notices, empty

LARGE = SimulatorParameters(spot=5000.0, strike_step=5.0, strikes=260)
DAY = date(2026, 3, 19)
# what a sound market shows too: poor, but no alarm
ORDINARY = {Reason.NO_BID, Reason.NO_ASK, Reason.EMPTY_QUOTE, Reason.LOCKED_QUOTE, Reason.ZERO_SIZE}
WHOLE_SESSION = ("adjusted", "split", "hour_off")

FAULTS = [Fault(kind, place) for kind, places in {
    "crossed": ("first", "open", "close", "burst", "first_of_contract"), "locked": ("close", "burst"), "zero_bid": ("middle", "open"), "zero_ask": ("middle",),
    "negative_price": ("last_of_contract", "burst"), "negative_size": ("first_of_contract",), "infinite": ("open", "close"), "size_nan": ("burst",), "zero_size": ("middle", "close"),
    "no_bid": ("open",), "no_ask": ("close",), "empty": ("first_of_contract", "burst"), "unknown_contract": ("open", "last_of_contract"), "negative_contract": ("close",),
    "above_bound": ("first_of_contract", "open", "last_of_contract"), "below_intrinsic": ("open", "burst", "last_of_contract"),
    "jump_up": ("open", "middle", "close", "burst", "last_of_contract"), "jump_down": ("open", "middle", "close", "burst"),
    "duplicate": ("last", "open", "burst", "first_of_contract"), "behind": ("close", "middle"), "ahead": ("open", "first_of_contract", "middle", "burst"),
    "before_open": ("middle",), "after_close": ("middle",), "expired": ("middle",), "frozen": ("middle",), "silence": ("middle",), "contract_silence": ("middle",),
    "trade_off_quote": ("middle", "close", "first_of_contract"), "trade_above_bound": ("first", "middle"), "trade_zero": ("open", "last"), "trade_negative_size": ("burst",),
    "trade_nan": ("close",), "trade_unknown_contract": ("middle",), "trade_duplicate": ("burst", "close"), "trade_behind": ("middle",), "trade_before_open": ("middle",),
    "trade_after_close": ("middle",), "bar_inconsistent": ("first", "middle"), "bar_spike": ("middle",), "bar_jump": ("middle",), "bar_zero": ("middle",),
    "bar_duplicate": ("middle",), "bar_behind": ("middle",), "bar_silence": ("middle",), "underlying_crossed": ("middle",), "underlying_jump": ("middle",),
    "underlying_zero": ("middle",), "underlying_duplicate": ("middle",), "imbalance_nan": ("middle",), "wrong_multiplier": ("first", "middle"), "expiry_sunday": ("middle",),
    "expiry_past": ("middle",), "expiry_far": ("middle",), "wrong_strike": ("middle", "open")}.items() for place in places]


def alarms(findings: Findings) -> Findings:
    """Findings that say something is wrong."""
    return findings.where(~np.isin(findings.reason, [k for k, r in enumerate(REASONS) if r in ORDINARY]) | (findings.severity == 1))


def unfound(faulty: FaultySession, screened: Screened) -> list[str]:
    """Planted faults that were not found under their reason."""
    f = screened.findings
    found = set(zip(f.tape.tolist(), f.row.tolist(), f.reason.tolist(), strict=True))
    return [f"{t.fault.kind} at {t.fault.place}: {t.tape}[{t.row}] {t.reason}" for t in faulty.truth
            if (TAPES.index(t.tape), t.row, REASONS.index(t.reason)) not in found]


def false_alarms(faulty: FaultySession, screened: Screened) -> Findings:
    """Alarms on rows that no fault touched."""
    f = alarms(screened.findings)
    planted = {(TAPES.index(t.tape), t.row) for t in faulty.truth}
    fine = np.array([(tape, row) in planted or (TAPES[tape] in faulty.touched and row in faulty.touched[TAPES[tape]])
                     for tape, row in zip(f.tape.tolist(), f.row.tolist(), strict=True)], bool)
    return f.where(~fine)


@pytest.fixture(scope="module")
def large():
    return simulate_session(11, DAY, "SPXW", LARGE)


def test_a_million_rows_with_planted_faults(large):
    faulty = plant(large, FAULTS, seed=1)
    rows = sum(len(tape) for tape in faulty.session.tapes().values())
    screened = screen_session(faulty.session, previous_close=LARGE.spot)
    print(f"\n{rows:,} rows, {len(FAULTS)} faults of {len({f.kind for f in FAULTS})} kinds in {len(set(FAULTS))} kinds and places")
    assert rows >= 1_000_000 and len(set(FAULTS)) >= 50
    assert {f.kind for f in FAULTS} == set(KINDS) - set(WHOLE_SESSION)
    assert unfound(faulty, screened) == []
    wrong = false_alarms(faulty, screened)
    print(*finding_lines(wrong, screened.session.contracts, 20), sep="\n")
    assert len(wrong) < rows / 100_000
    for name, (numbers, refused) in screened.quarantine.items():
        assert len(numbers) == len(refused) and len(refused) + len(getattr(screened.session, name)) == len(getattr(faulty.session, name))
    assert all(tape.in_order for tape in screened.session.tapes().values())


def test_a_clean_million_rows(large):
    screened = screen_session(large, previous_close=LARGE.spot)
    found = alarms(screened.findings)
    print(*finding_lines(found, large.contracts, 20), sep="\n")
    assert len(found) < sum(len(tape) for tape in large.tapes().values()) / 100_000
    assert screened.score.total > 0.95


@pytest.mark.parametrize("seed", [2, 3])
def test_other_places_drawn(large, seed):
    faulty = plant(large, FAULTS, seed)
    screened = screen_session(faulty.session, previous_close=LARGE.spot)
    assert unfound(faulty, screened) == []
    assert len(false_alarms(faulty, screened)) < 10


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_frozen_quote_is_found_whatever_the_day(seed):
    """The value of the contract that is planted left its quote between the first and the last row repeated: the last one is found, silences beside it or not."""
    session = simulate_session(seed, DAY, "SIM", SimulatorParameters(volatility=0.35))
    for faults in ([Fault("frozen")], [Fault("frozen"), Fault("silence"), Fault("silence")], [Fault("silence"), Fault("silence"), Fault("frozen")]):
        faulty = plant(session, faults, seed)
        assert all(t.row >= 0 for t in faulty.truth) and unfound(faulty, screen_session(faulty.session)) == []


@pytest.mark.parametrize(("seed", "volatility"), [(208, 0.8), (210, 0.18), (213, 0.8)])
def test_jumps_are_found_whatever_the_underlying_does_and_the_quotes_after_them_stand(seed, volatility):
    """On lively days, a hundred a day: a jump that the underlying's own move would have excused, and a sound quote after it that would have been refused in its place."""
    session = simulate_session(seed, DAY, "SPXW", SimulatorParameters(spot=5000.0, strike_step=20.0, strikes=25, volatility=volatility))
    faulty = plant(session, [Fault(kind, place) for place in ("open", "middle", "close") for kind in ("jump_up", "jump_down") for _ in range(16)], seed)
    screened = screen_session(faulty.session, previous_close=5000.0)
    assert unfound(faulty, screened) == [] and len(false_alarms(faulty, screened).quarantined) == 0


def test_a_fault_does_not_take_away_what_another_is_told_by():
    session = simulate_session(5, DAY, "SIM", SimulatorParameters(volatility=0.35))
    for seed in range(4):
        faulty = plant(session, [Fault(kind) for kind in ("trade_off_quote", "jump_up", "silence", "trade_off_quote", "jump_down", "silence", "trade_off_quote", "jump_up")], seed)
        assert unfound(faulty, screen_session(faulty.session)) == []


@pytest.mark.parametrize("seed", range(3))
def test_one_tape_of_the_underlying_is_faulty_at_a_time(seed):
    kinds = ("underlying_zero", "bar_inconsistent", "underlying_crossed", "bar_zero", "bar_silence", "underlying_jump", "bar_jump", "bar_spike", "underlying_zero", "bar_inconsistent")
    faulty = plant(simulate_session(5, DAY, "SIM", SimulatorParameters(volatility=0.35)), [Fault(kind) for kind in kinds * 2], seed)
    when = np.sort([getattr(faulty.session, t.tape).ts[t.row] for t in faulty.truth])
    assert len(when) == 20 and np.diff(when).min() >= 3 * 60_000_000_000
    screened = screen_session(faulty.session)
    assert unfound(faulty, screened) == [] and len(false_alarms(faulty, screened)) == 0


@pytest.mark.parametrize("step", [1.0, 2.0, 2.5, 20.0])
def test_a_strike_that_does_not_exist_is_found_whatever_the_steps_of_the_listing(step):
    """Also where 0.4% of the spot is so many steps: the wrong strike lies between those listed, for under another's name a pair would hide behind that other."""
    session = simulate_session(5, DAY, "SPXW", SimulatorParameters(spot=500.0, strike_step=step, strikes=12, gap=0.0))
    faulty = plant(session, [Fault("wrong_strike")], 1)
    wrong, c = faulty.truth[0].row, faulty.session.contracts
    assert np.sum((c.strike == c.strike[wrong]) & (c.expiry_day == c.expiry_day[wrong])) == 2 and unfound(faulty, screen_session(faulty.session)) == []


@pytest.fixture(scope="module")
def ordinary():
    return simulate_session(7, date(2026, 3, 19), "SIM", SimulatorParameters(volatility=0.35))


def test_an_adjusted_root_is_noted_and_its_multiplier_taken(ordinary):
    faulty = plant(ordinary, [Fault("adjusted"), Fault("wrong_multiplier", "first")], 1)
    screened = screen_session(faulty.session)
    assert screened.session.symbol == "SIM1" and len(screened.findings.of(Reason.ADJUSTED_CONTRACT, tape="session")) == 1
    assert screened.refused == 0  # a root that was adjusted says nothing of its multipliers


def test_strikes_that_do_not_know_of_a_split(ordinary):
    screened = screen_session(plant(ordinary, [Fault("split")], 1).session, previous_close=500.0)
    found = screened.findings.of(Reason.SPLIT, tape="session")
    assert found.severity.tolist() == [0, 1]  # the price against yesterday's close; the strikes against the price
    assert found.value[0] == 4.0 and 3 < found.value[1] < 5
    refused = screened.findings.quarantined.of(tape="quotes").counts()
    assert set(refused) <= {Reason.SPLIT} and refused[Reason.SPLIT] > 0.99 * len(ordinary.quotes)
    assert screened.score.total < 0.5


def test_a_split_that_the_strikes_know_of_is_noted_only(ordinary):
    screened = screen_session(ordinary, previous_close=2000.0)
    assert screened.findings.of(Reason.SPLIT).counts() == {Reason.SPLIT: 1} and screened.refused == 0


def test_an_underlying_in_another_time_zone(ordinary):
    screened = screen_session(plant(ordinary, [Fault("hour_off")], 1).session)
    skew = screened.findings.of(Reason.CLOCK_SKEW, tape="session")
    assert skew.value.tolist() == [3600.0]  # options show now what the underlying showed 3,600 seconds ago: it is stamped too early
    refused = screened.findings.quarantined.of(tape="quotes")
    assert len(refused) < 0.01 * len(ordinary.quotes)  # and the options are not blamed for it


@pytest.mark.parametrize("place", [{"spot": 4000.0, "strike_step": 5.0, "strikes": 40}, {}])
def test_news_that_is_out_is_no_fault_and_hides_none(place):
    day = simulate_session(11, DAY, "SPXW" if place else "SIM", SimulatorParameters(news=((120.0, 0.02),), **place))
    clean = screen_session(day)
    assert clean.refused == 0 and len(alarms(clean.findings)) == 0
    untold = screen_session(replace(day, notices=empty(Notices)))
    assert untold.refused > 10  # what the notice is for
    faulty = plant(day, [Fault("jump_up", "middle"), Fault("jump_down", "burst"), Fault("above_bound", "middle")], seed=5)
    found = screen_session(faulty.session)
    assert unfound(faulty, found) == [] and len(false_alarms(faulty, found)) == 0
