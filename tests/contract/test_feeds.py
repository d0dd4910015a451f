"""What every feed promises: one suite, run over each feed that makes a `MarketSession`."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.clock import expiry_close, option_close, session_hours
from quanticity.feeds.lean import load_session
from quanticity.feeds.simulator import simulate_session
from quanticity.market.chain import nanoseconds
from quanticity.market.session import ChainState, MarketSession, batches, session_digest

DAY = date(2015, 12, 24)
SESSION_MINUTES = 210


@dataclass(frozen=True)
class Feed:
    load: Callable[[], MarketSession]
    bars_only: bool = True  # rows are minute bars


def zip_of(path: Path, members: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in members.items():
            z.writestr(name, text)


def lean_tree(data: Path) -> Path:
    """A half day of six contracts of XYZ, quoted each minute, one without a bid; universes of the day before and the day."""
    member = "20151224_xyz_minute_{}_american_{}_{}_20151224.csv".format
    quotes, trades, interest = {}, {}, {}
    universe = "#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility\n,,,100,101,99,100,1,,\n"
    evening = universe
    for strike in (95, 100, 105):
        for right in ("call", "put"):
            rows, worth = [], max(0, (100 - strike) if right == "call" else (strike - 100)) + (2 if strike == 100 else 1)
            for minute in range(SESSION_MINUTES):
                t, cents = 34_200_000 + 60_000 * minute, worth * 10_000 + 100 * (minute % 7)
                bid = ",,,,0" if (strike, right) == (105, "call") else f"{cents},{cents},{cents},{cents},{1 + minute % 5}"
                ask = f"{cents + 1000},{cents + 1000},{cents + 1000},{cents + 1000},{2 + minute % 3}"
                rows.append(f"{t},{bid},{ask}")
            quotes[member("quote", right, strike * 10_000)] = "\n".join(rows) + "\n"
            trades[member("trade", right, strike * 10_000)] = f"36000000,{worth}0500,{worth}0500,{worth}0500,{worth}0500,7\n"
            if strike != 105:
                interest[member("openinterest", right, strike * 10_000)] = f"23460000,{strike}\n"
            letter = right[0].upper()
            universe += f"20151224,{strike},{letter},9,9,9,{worth}.4,5,{strike + 1},0\n"
            evening += f"20151224,{strike},{letter},9,9,9,99,5,99999,9\n"
    zip_of(data / "option/usa/minute/xyz/20151224_quote_american.zip", quotes)
    zip_of(data / "option/usa/minute/xyz/20151224_trade_american.zip", trades)
    zip_of(data / "option/usa/minute/xyz/20151224_openinterest_american.zip", interest)
    bar = "\n".join(f"{34_200_000 + 60_000 * m},1000000,1001000,999000,{1_000_000 + 100 * m},50" for m in range(SESSION_MINUTES))
    quote = "\n".join(f"{34_200_000 + 60_000 * m},0,0,0,{999_900 + 100 * m},100,0,0,0,{1_000_100 + 100 * m},100" for m in range(SESSION_MINUTES))
    zip_of(data / "equity/usa/minute/xyz/20151224_trade.zip", {"20151224_xyz_minute_trade.csv": bar})
    zip_of(data / "equity/usa/minute/xyz/20151224_quote.zip", {"20151224_xyz_minute_quote.csv": quote})
    zip_of(data / "equity/usa/daily/xyz.zip", {"xyz.csv": "20151223 00:00,1000000,1000000,1000000,1000000,10\n"})
    folder = data / "option/usa/universes/xyz"
    folder.mkdir(parents=True)
    (folder / "20151223.csv").write_text(universe)
    (folder / "20151224.csv").write_text(evening)
    return data


@pytest.fixture(params=["lean", "recorded GOOG", "recorded SPXW", "simulator", "simulator half day"])
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Feed:
    kind = request.param
    if kind == "lean":
        tree = lean_tree(tmp_path / "Data")
        return Feed(lambda: load_session(tree, "XYZ", DAY))
    if kind.startswith("recorded"):
        folder = request.getfixturevalue("recorded")
        day = date(2015, 12, 24) if kind.endswith("GOOG") else date(2021, 1, 4)
        return Feed(lambda: load_session(folder, kind.split()[1], day))
    day = date(2026, 11, 27) if kind.endswith("half day") else date(2026, 3, 20)
    return Feed(lambda: simulate_session(5, day))


def tapes(session: MarketSession):
    return {name: getattr(session, name) for name in ("quotes", "trades", "underlying_bars", "underlying_quotes", "imbalances")}


def test_times_are_in_order_and_rows_whole(feed):
    session = feed.load()
    assert len(session.quotes) > 0 and len(session.contracts) > 0
    for name, tape in tapes(session).items():
        assert (np.diff(tape.ts) >= 0).all(), name
    for tape in (session.quotes, session.trades):
        assert tape.index.min() >= 0 and tape.index.max() < len(session.contracts)
    same = np.diff(session.quotes.ts) == 0
    assert (np.diff(session.quotes.index)[same] > 0).all()  # within a minute by contract, each once


def test_hours_are_the_calendars(feed):
    session = feed.load()
    assert session.opens == session_hours(session.date).opens
    assert session.closes == option_close(session.symbol, session.date)
    listed = session.contracts
    assert (listed.expires_at > nanoseconds(session.opens)).all()
    today = listed.expires_at[listed.expiry_day == (session.date - date(1970, 1, 1)).days]
    assert (today == nanoseconds(expiry_close(session.date, session.symbol))).all()


def test_a_bar_is_known_at_its_end(feed):
    session = feed.load()
    first = nanoseconds(session.opens)
    assert session.quotes.ts[0] >= first + 60 * 10**9  # nothing of the first minute before it is over
    assert not np.any((session.trades.ts > first) & (session.trades.ts < first + 60 * 10**9))


def test_no_batch_holds_the_future(feed):
    session = feed.load()
    close, seen, last = nanoseconds(session.closes), 0, 0
    for batch in batches(session):
        assert last < batch.now <= close
        for name, tape in tapes(batch).items():
            if len(tape):
                assert tape.ts[-1] <= batch.now, name
                assert tape.ts[0] > last, name
        seen, last = seen + len(batch.quotes), batch.now
    assert seen == np.count_nonzero(session.quotes.ts <= close)


def test_sides_and_sizes(feed):
    session = feed.load()
    for q in (session.quotes, session.underlying_quotes):
        for price, size in ((q.bid, q.bid_size), (q.ask, q.ask_size)):
            absent = np.isnan(price)
            assert (price[~absent] > 0).all()
            assert (size >= 0).all() and (size[absent] == 0).all()
    assert (session.trades.price > 0).all() and (session.trades.size > 0).all()
    assert np.isfinite(session.underlying_bars.close).all()
    bars = session.underlying_bars
    assert (bars.high >= bars.low).all() and (bars.volume >= 0).all()
    interest = session.open_interest
    assert len(interest) == len(session.prior_volatility) == len(session.contracts)
    assert (interest[~np.isnan(interest)] >= 0).all()
    known = session.prior_volatility[~np.isnan(session.prior_volatility)]
    assert ((known > 0) & (known <= 5)).all()


def test_spot_is_as_of_the_step(feed):
    session = feed.load()
    state = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend)
    for batch in list(batches(session))[:40]:
        state.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        spot, source = state.spot()
        known = session.underlying_bars.ts <= batch.now
        if source == "trade":
            assert spot == session.underlying_bars.close[known][-1]
        if source == "quote" and known.any():
            assert abs(spot / session.underlying_bars.close[known][-1] - 1) < 0.005


def test_two_loads_are_identical(feed):
    one, two = feed.load(), feed.load()
    assert session_digest(one) == session_digest(two)
    assert (one.files, one.notes) == (two.files, two.notes)
    assert all(len(sha) == 64 and int(sha, 16) >= 0 and not Path(name).is_absolute() for name, sha in one.files.items())


def test_the_evenings_universe_is_never_used(tmp_path):
    tree = lean_tree(tmp_path / "Data")
    session = load_session(tree, "XYZ", DAY)
    assert session.open_interest.tolist() == [95.0, 95.0, 100.0, 100.0, 106.0, 106.0]  # the morning's, else yesterday's
    assert "option/usa/universes/xyz/20151223.csv" in session.files
    assert not any("universes/xyz/20151224" in name for name in session.files)
    digest = session_digest(session)
    (tree / "option/usa/universes/xyz/20151224.csv").unlink()
    assert session_digest(load_session(tree, "XYZ", DAY)) == digest
    (tree / "option/usa/universes/xyz/20151223.csv").unlink()
    alone = load_session(tree, "XYZ", DAY)
    assert np.isnan(alone.open_interest[4:]).all() and np.isnan(alone.prior_volatility).all()
    assert any("no earlier universe" in note for note in alone.notes)
