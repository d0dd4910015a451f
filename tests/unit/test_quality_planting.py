"""Faults at known places: the same for the same seed, in rows that exist, and nothing else is changed."""

from dataclasses import fields
from datetime import date
from functools import lru_cache

import numpy as np
import pytest

from quanticity.core.errors import ConfigError
from quanticity.core.reasons import Reason
from quanticity.feeds.sim_faults import KINDS, PLACES, Fault, plant
from quanticity.feeds.sim_parameters import SimulatorParameters
from quanticity.feeds.simulator import simulate_session
from quanticity.market.quality import screen_session
from quanticity.market.session import session_digest


@lru_cache
def sound():
    return simulate_session(3, date(2026, 3, 19), "SPXW", SimulatorParameters(spot=5000.0, strike_step=10.0, strikes=20))


SOME = [Fault(kind) for kind in ("crossed", "jump_up", "duplicate", "behind", "silence", "trade_zero", "bar_spike", "wrong_strike", "expired")]


def test_the_same_seed_plants_the_same_faults_and_another_does_not():
    one, two, other = plant(sound(), SOME, 4), plant(sound(), SOME, 4), plant(sound(), SOME, 5)
    assert one.truth == two.truth != other.truth
    assert session_digest(one.session) == session_digest(two.session)
    assert [t.fault for t in one.truth] == SOME


def test_no_fault_changes_nothing():
    before = session_digest(sound())
    faulty = plant(sound(), [], 1)
    assert session_digest(faulty.session) == before and faulty.truth == () and not any(len(rows) for rows in faulty.touched.values())
    plant(sound(), SOME, 1)
    assert session_digest(sound()) == before  # the sound session is left alone


def test_rows_that_no_fault_touched_are_as_they_were():
    faulty = plant(sound(), [Fault("crossed"), Fault("duplicate")], 2)
    touched, quotes = faulty.touched["quotes"], faulty.session.quotes
    assert len(quotes) == len(sound().quotes) + 1
    added = next(t.row for t in faulty.truth if t.fault.kind == "duplicate")
    rest = np.setdiff1d(np.arange(len(quotes)), touched)
    for f in fields(quotes):
        back = np.delete(getattr(quotes, f.name), added)[np.where(rest > added, rest - 1, rest)]
        np.testing.assert_array_equal(back, getattr(sound().quotes, f.name)[np.where(rest > added, rest - 1, rest)])
    assert quotes.bid[added] == quotes.bid[added - 1] and quotes.ts[added] == quotes.ts[added - 1]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"frozen", "contract_silence", "split", "hour_off"}))
def test_each_kind_alone_is_found_for_its_reason(kind):
    faulty = plant(sound(), [Fault(kind)], 6)
    (truth,) = faulty.truth
    found = screen_session(faulty.session).findings.of(truth.reason, tape=truth.tape)
    assert truth.row in found.row.tolist()


@pytest.mark.parametrize("place", ["first", "open", "first_of_contract", "burst", "middle", "last_of_contract"])
def test_a_row_an_hour_ahead_is_found_at_every_place_and_no_row_beside_it(place):
    faulty = plant(sound(), [Fault("ahead", place)], 6)
    refused = screen_session(faulty.session).findings.quarantined
    assert refused.of(Reason.CLOCK_SKEW, tape="quotes").row.tolist() == [t.row for t in faulty.truth] and len(refused) == 1


def test_what_cannot_be_planted_is_said():
    with pytest.raises(ConfigError, match="no kind 'nonsense'; there are: crossed"):
        plant(sound(), [Fault("nonsense")], 1)
    with pytest.raises(ConfigError, match="no place 'here'; there are: first"):
        plant(sound(), [Fault("crossed", "here")], 1)
    with pytest.raises(ConfigError, match="no row of quotes fits at 'first'"):
        plant(sound(), [Fault("crossed", "first"), Fault("zero_bid", "first")], 1)
    with pytest.raises(ConfigError, match="stops trading before its end"):
        plant(simulate_session(1, date(2026, 3, 19), "SIM", SimulatorParameters(strikes=5)), [Fault("expired")], 1)


def test_every_reason_of_the_door_has_a_kind():
    due = {plant(sound(), [Fault(kind)], 6).truth[0].reason for kind in KINDS if kind not in ("frozen", "contract_silence")} | {Reason.UNCHANGED_QUOTE, Reason.GAP}
    assert due == {Reason(v) for v in (
        "crossed_quote", "negative_price", "not_a_number", "unknown_contract", "out_of_order", "outside_session", "clock_skew", "duplicate_row", "price_jump", "off_quote",
        "inconsistent_bar", "wrong_multiplier", "wrong_expiry", "parity_violation", "split", "locked_quote", "no_bid", "no_ask", "empty_quote", "zero_size", "unchanged_quote", "gap",
        "below_intrinsic", "above_bound", "expired", "adjusted_contract")}
    assert len(PLACES) == 8
