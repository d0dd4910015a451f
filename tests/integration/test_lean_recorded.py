"""The LEAN reader on recorded days: counts that are known, and the traps that only real data sets."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import Settlement
from quanticity.feeds.lean import IMPORTER, available_sessions, load_daily_bars, load_session
from quanticity.feeds.lean_ticks import load_equity_ticks
from quanticity.market.chain import nanoseconds
from quanticity.market.parity import pair_rows, parity_spot
from quanticity.market.quality import screen_session
from quanticity.market.session import ChainState, MarketSession, batches

GOOG_DAY = date(2015, 12, 24)


def parity_errors(session: MarketSession, late_ns: int = 0) -> np.ndarray:
    """Spot by parity less the underlying's last bar, each minute; `late_ns` reads the underlying that much later."""
    state = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend)
    pairs, out, bars = pair_rows(session.contracts), [], session.underlying_bars
    for batch in batches(session):
        state.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        at = int(np.searchsorted(bars.ts, batch.now + late_ns, side="right")) - 1
        if at >= 0 and batch.now > nanoseconds(session.opens):
            out.append(parity_spot(state.snapshot(batch.now, np.nan, "none"), pairs)[0] - bars.close[at])
    return np.abs(np.array(out))


def test_the_sessions_that_are_there(recorded: Path):
    present = available_sessions(recorded)
    assert ("GOOG", GOOG_DAY) in present and ("SPXW", date(2021, 1, 4)) in present
    assert len([d for s, d in present if s == "SPXW"]) == 5


def test_every_session_loads(recorded: Path):
    for symbol, day in available_sessions(recorded):
        session = load_session(recorded, symbol, day)
        assert len(session.quotes) and (session.symbol, session.date) == (symbol, day)


def test_goog_day_is_whole(recorded: Path):
    session = load_session(recorded, "GOOG", GOOG_DAY)
    assert (len(session.contracts), len(session.quotes), len(session.trades)) == (2192, 275_552, 958)
    both = ~np.isnan(session.quotes.bid) & ~np.isnan(session.quotes.ask)
    assert both.sum() == 163_230
    assert len(np.unique(session.quotes.index[both])) == 1840
    assert (session.contracts.expires_at == nanoseconds(session.closes)).sum() == 176
    assert np.isfinite(session.open_interest).sum() == 2058
    assert session.rate == pytest.approx(np.log(1.01))
    assert session.closes.hour == 18
    near = np.abs(session.contracts.strike / 750 - 1) < 0.02
    # between a week and two months out, what the close of the 23rd implied is between 10% and 45%; the file itself says 30% to 300%
    middle = near & (session.contracts.expiry_day > 16_798) & (session.contracts.expiry_day < 16_860)
    assert 0.15 < np.nanmedian(session.prior_volatility[middle]) < 0.30


def test_no_quote_of_goog_is_known_before_its_minute_is_over(recorded: Path):
    session = load_session(recorded, "GOOG", GOOG_DAY)
    assert session.quotes.ts[0] == nanoseconds(session.opens) + 60 * 10**9
    late = session.quotes.ts > nanoseconds(session.closes)
    assert late.sum() == 165  # a minute stamped 13:00, after the close of the half day: in no batch
    assert sum(len(batch.quotes) for batch in batches(session)) == 275_552 - 165


def test_the_index_is_stamped_in_chicago(recorded: Path):
    for symbol in ("SPXW", "SPX"):
        session = load_session(recorded, symbol, date(2021, 1, 4))
        now, hour_ahead = parity_errors(session), parity_errors(session, late_ns=3600 * 10**9)
        assert np.nanmedian(now) < 3 and np.nanmax(now) < 10, symbol
        assert np.nanmedian(hour_ahead) > 10, symbol  # what reading the file as New York time would give
        assert session.contracts.settlement is Settlement.CASH


def test_parity_gives_back_the_recorded_stock(recorded: Path):
    errors = parity_errors(load_session(recorded, "GOOG", GOOG_DAY))
    assert np.nanmedian(errors) < 0.25 and np.isnan(errors).mean() < 0.05


def test_a_universe_published_under_an_earlier_name_is_not_believed(recorded: Path):
    session = load_session(recorded, "SPX", date(2021, 1, 4))
    assert any("spx/20201231.csv holds this session's own prices" in note for note in session.notes)
    assert np.isnan(session.prior_volatility).all()
    assert np.isfinite(session.open_interest).all()  # the morning's own file
    later = load_session(recorded, "SPX", date(2021, 1, 14))
    assert any("spx/20210113.csv holds this session's own prices" in note for note in later.notes)


def test_days_without_an_index_file_say_so(recorded: Path):
    for day in (5, 6, 7, 8):
        session = load_session(recorded, "SPXW", date(2021, 1, day))
        assert len(session.underlying_bars) == 0
        assert any("implied by parity" in note for note in session.notes)


def test_the_files_that_end_in_zip_zip_are_read(recorded: Path):
    session = load_session(recorded, "SPXW", date(2021, 1, 4))
    assert sum(name.endswith(".zip.zip") for name in session.files) == 2
    assert len(session.trades) > 0 and np.isfinite(session.open_interest).sum() == 12


def test_daily_bars_of_goog(recorded: Path):
    bars = load_daily_bars(recorded, "GOOG", before=GOOG_DAY)
    assert bars.close[-1] == 750.31 and bars.volume[-1] == 1_526_523
    assert (bars.ts <= nanoseconds(load_session(recorded, "GOOG", GOOG_DAY).opens)).all()


@pytest.mark.parametrize(("day", "rows", "crossed", "unchanged"), [(7, 53_298, 43, 1_236), (8, 61_223, 37, 1_652)])
def test_ibm_ticks(recorded: Path, day: int, rows: int, crossed: int, unchanged: int):
    ticks = load_equity_ticks(recorded, "IBM", date(2013, 10, day))  # files of 109,067 and 125,750 lines: two for a quote
    assert (len(ticks.quotes), ticks.crossed, ticks.unchanged, ticks.suspicious) == (rows, crossed, unchanged, 1)
    q, t = ticks.quotes, ticks.trades
    session = (t.ts >= nanoseconds_of(day, 13, 30)) & (t.ts < nanoseconds_of(day, 20, 0))
    at = np.searchsorted(q.ts, t.ts[session], side="left") - 1
    within = (t.price[session] >= q.bid[at]) & (t.price[session] <= q.ask[at])
    assert within.mean() > 0.95


def nanoseconds_of(day: int, hour: int, minute: int) -> int:
    from datetime import UTC, datetime

    return nanoseconds(datetime(2013, 10, day, hour, minute, tzinfo=UTC))


def test_days_of_ticks_are_sessions_too(recorded: Path) -> None:
    keys = [k for k in IMPORTER.sessions(recorded) if k.symbol == "IBM"]
    assert [str(k.day) for k in keys] == ["2013-10-07", "2013-10-08"] and len(IMPORTER.sessions(recorded)) == 12
    session, ticks = IMPORTER.load(recorded, keys[0]), load_equity_ticks(recorded, "IBM", keys[0].day)
    assert len(session.contracts) == len(session.quotes) == 0
    assert np.array_equal(session.underlying_trades.price, ticks.trades.price) and np.array_equal(session.underlying_quotes.bid, ticks.quotes.bid, equal_nan=True)
    screened = screen_session(session)
    assert screened.score.total > 0.99 and set(screened.findings.quarantined.counts()) == {Reason.CROSSED_QUOTE, Reason.DUPLICATE_ROW, Reason.OUTSIDE_SESSION}
