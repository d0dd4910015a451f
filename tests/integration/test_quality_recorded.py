"""What the door says of the recorded days, which was looked at row by row (docs/guides/data_quality.md): it should go on saying just that."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.reasons import Reason
from quanticity.feeds.lean import load_session
from quanticity.market.parity import pair_rows
from quanticity.market.quality import Door, chain_quality, screen_session
from quanticity.market.session import ChainState, batches, session_digest
from quanticity.market.tape import Bars

HALF_DAY = date(2015, 12, 24)
REFUSED = {
    ("GOOG", date(2015, 12, 23)): {"quotes": {"outside_session": 10}},
    ("GOOG", HALF_DAY): {"quotes": {"outside_session": 165}, "trades": {"off_quote": 3}, "underlying_quotes": {"outside_session": 1}},
    ("GOOG", date(2015, 12, 28)): {"underlying_quotes": {"outside_session": 1}},
    ("SPX", date(2021, 1, 4)): {"trades": {"off_quote": 5}}, ("SPX", date(2021, 1, 14)): {"trades": {"off_quote": 1}},
    ("SPXW", date(2021, 1, 4)): {}, ("SPXW", date(2021, 1, 5)): {"trades": {"outside_session": 1}}, ("SPXW", date(2021, 1, 6)): {"quotes": {"crossed_quote": 7}},
    ("SPXW", date(2021, 1, 7)): {"quotes": {"crossed_quote": 1}}, ("SPXW", date(2021, 1, 8)): {"quotes": {"crossed_quote": 48}}}
ORDINARY = {Reason.NO_BID, Reason.NO_ASK, Reason.EMPTY_QUOTE, Reason.LOCKED_QUOTE, Reason.OFF_QUOTE}


@pytest.mark.parametrize(("symbol", "day"), list(REFUSED))
def test_what_is_refused(recorded: Path, symbol: str, day: date):
    screened = screen_session(load_session(recorded, symbol, day))
    f = screened.findings
    refused = {tape: {r.value: n for r, n in f.quarantined.of(tape=tape).counts().items()} for tape in ("contracts", "session", *screened.session.tapes())}
    assert {tape: counts for tape, counts in refused.items() if counts} == REFUSED[symbol, day]
    assert set(f.notes.counts()) - ORDINARY <= ({Reason.GAP} if day == date(2015, 12, 28) else set())
    assert screened.score.total > 0.9 or day == date(2015, 12, 28)  # four contracts that fall silent after an hour


def test_the_replays_door_says_the_same(recorded: Path):
    session = load_session(recorded, "GOOG", HALF_DAY)
    door = Door(session.contracts, session.opens, session.closes, rate=session.rate)
    found = [door.screen(batch)[1] for batch in batches(session)]
    whole = screen_session(session).findings.of(tape="quotes")
    inside = whole.where(~np.isin(whole.row, whole.of(Reason.OUTSIDE_SESSION).row))  # `batches` leaves out what is later than the close
    assert sum(len(f.of(tape="quotes")) for f in found) == len(inside)


def test_an_accepted_day_is_accepted_again_and_not_a_row_of_it_changed(recorded: Path):
    session = load_session(recorded, "GOOG", HALF_DAY)
    once = screen_session(session)
    twice = screen_session(once.session)
    assert twice.refused == 0 and session_digest(twice.session) == session_digest(once.session)
    kept = session.quotes.where(session.quotes.ts <= once.session.quotes.ts[-1])
    np.testing.assert_array_equal(once.session.quotes.bid, kept.bid)


def test_an_index_read_in_the_wrong_time_zone_is_told(recorded: Path):
    session = load_session(recorded, "SPXW", date(2021, 1, 4))
    bars = session.underlying_bars
    early = Bars(bars.ts - 3_600_000_000_000, bars.open, bars.high, bars.low, bars.close, bars.volume)  # Chicago's clock taken for New York's
    object.__setattr__(session, "underlying_bars", early)
    screened = screen_session(session)
    assert screened.findings.of(Reason.CLOCK_SKEW, tape="session").value.tolist() == [3600.0]
    assert screened.score.parts["in_time"] == 0.5
    assert len(screened.findings.quarantined.of(tape="quotes")) < 0.02 * len(session.quotes)


def test_snapshots_of_the_half_day_are_scored(recorded: Path):
    session = load_session(recorded, "GOOG", HALF_DAY)
    state, pairs, totals = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend), pair_rows(session.contracts), []
    for batch in batches(session):
        state.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        totals.append(chain_quality(state.snapshot(batch.now, *state.spot()), pairs).total)
    assert totals[0] == 0.0 and 0.4 < np.median(totals) < 0.95
    assert min(totals[5:]) > 0.2
