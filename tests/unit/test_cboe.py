"""feeds.cboe: files of each layout and year are made here, honest and hostile ones, and read back."""

import json
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from quanticity.core.clock import option_close, session_hours
from quanticity.core.errors import DataError, DataMissing, UserError
from quanticity.core.occ import OccSymbol, Right, format_occ, occ_symbol
from quanticity.core.types import Exercise, Settlement
from quanticity.feeds.cboe import IMPORTER, read_snapshot
from quanticity.feeds.cboe_csv import _written
from quanticity.feeds.importing import Importer, SessionKey, detect, importers
from quanticity.market.chain import nanoseconds, timestamp
from quanticity.market.session import ChainState, batches, session_digest

NEW_YORK = ZoneInfo("America/New_York")
MODERN = ("Expiration Date,Calls,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest,Strike,"
          "Puts,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest")
MIDDLE = MODERN.replace("Volume", "Vol").replace("Interest", "Int")
OLD = "Calls,Last Sale,Net,Bid,Ask,Vol,Open Int,Puts,Last Sale,Net,Bid,Ask,Vol,Open Int,"


def figures(strike: float, right: Right, spot: float) -> dict[str, float]:
    """What a file says of one contract: the far call has no bid, and a deep one no volatility."""
    worth = max(0.0, spot - strike if right is Right.CALL else strike - spot)
    return {"last": round(worth + 0.5, 2), "bid": 0 if worth == 0 and abs(strike / spot - 1) > 0.05 else round(worth + 0.4, 2), "ask": round(worth + 0.6, 2),
            "volume": int(strike) % 7, "iv": 0 if worth > 0.05 * spot else 0.2, "delta": 0.5 if right is Right.CALL else -0.5, "gamma": 0.01, "oi": int(strike) % 100}


def chain(root: str, expiries: list[date], strikes: list[float]) -> list[tuple[str, date, float]]:
    return [(root, expiry, strike) for expiry in expiries for strike in strikes]


def modern(rows: list[tuple[str, date, float]], spot: float, name="S&P 500 INDEX", when="Date: November 20, 2026 at 3:30 PM EST", bid=0.0, ask=0.0, header=MODERN,
           expires="%a %b %d %Y", blank="\n") -> str:
    if header == MIDDLE:
        head = f"{name},{spot},+2.17\n{when},Bid,{bid},Ask,{ask},Size,2x1,Vol,46882843\n"
    else:
        head = f'{blank}{name},Last: {spot},Change:  9.1199\n"{when}",Bid: {bid},Ask: {ask},Size: 1*1,"Volume: 10,598,673"\n'
    lines = []
    for root, expiry, strike in rows:
        sides = []
        for right in Right:
            f = figures(strike, right, spot)
            sides.append(f"{occ_symbol(root, expiry, right, strike)},{f['last']},0,{f['bid']},{f['ask']},{f['volume']},{f['iv']},{f['delta']},{f['gamma']},{f['oi']}")
        lines.append(f"{expiry.strftime(expires)},{sides[0]},{strike:.2f},{sides[1]}")
    return head + header + "\n" + "\n".join(lines) + "\n"


def old(rows: list[tuple[str, date, float]], spot: float, when="Jul 15 2016 @ 15:30 ET", exchanges=("", "4", "E"), name="IBM (INTL BUSINESS MACHINES)") -> str:
    lines = []
    for root, expiry, strike in rows:
        for exchange in exchanges:
            sides = []
            for right in Right:
                f, code = figures(strike, right, spot), format_occ(OccSymbol(root, expiry, right, strike), "opra")
                label = f"{expiry:%y} {expiry:%b} {strike:.2f} ({code}{'-' + exchange if exchange else ''})"
                worse = 0 if not exchange or not f["bid"] else 0.1
                sides.append(f"{label},{f['last']},0.0,{f['bid'] - worse},{f['ask'] + worse},{f['volume']},{f['oi']}")
            lines.append(",".join(sides) + ",")
    return f"{name},{spot},-0.27,\n{when},Bid,{spot - 0.01},Ask,{spot + 0.01},Size,1x2,Vol,3382117,\n{OLD}\n" + "\n".join(lines) + "\n"


def cdn(rows: list[tuple[str, date, float]], spot: float, symbol="^SPX", stamp="2026-11-20 20:30:00", newest="2026-11-20T15:15:00", kind="index", **more) -> dict:
    options = []
    for root, expiry, strike in rows:
        for right in Right:
            f = figures(strike, right, spot)
            options.append({"option": occ_symbol(root, expiry, right, strike), "bid": f["bid"], "bid_size": 0.0 if not f["bid"] else 12.0, "ask": f["ask"], "ask_size": 7.0,
                            "iv": f["iv"], "open_interest": float(f["oi"]), "volume": float(f["volume"]), "delta": f["delta"], "gamma": f["gamma"], "vega": 0.3,
                            "theta": -0.1, "rho": 0.05, "theo": 1.0, "change": 0.0, "open": 0.0, "high": 0.0, "low": 0.0, "tick": "no_change",
                            "last_trade_price": f["last"], "last_trade_time": None, "percent_change": 0.0, "prev_day_close": 0.1})
    data = {"options": options, "symbol": symbol, "security_type": kind, "exchange_id": 5, "current_price": spot, "price_change": 1.0, "bid": spot - 0.01, "ask": spot + 0.01,
            "bid_size": 1, "ask_size": 1, "open": spot - 2, "high": spot + 3, "low": spot - 4, "close": spot + 1, "prev_day_close": spot - 1, "volume": 1000.0, "iv30": 15.0,
            "seqno": 1, "last_trade_time": newest, "tick": "up"} | more
    return {"timestamp": stamp, "data": data, "symbol": symbol}


SPX_ROWS = chain("SPXW", [date(2026, 11, 20), date(2026, 11, 23)], [6300.0, 6700.0, 6900.0]) + chain("SPX", [date(2026, 12, 18)], [6700.0])


def write(folder: Path, content: str | bytes | dict, name="f") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else (json.dumps(content) if isinstance(content, dict) else content).encode())
    return path


def load(path: Path, root: str, **options: str):
    key = next(key for key in IMPORTER.sessions(path) if key.symbol == root)
    return IMPORTER.load(path, key, options)


def ny(session) -> str:
    return f"{timestamp(session.quotes.ts[0]).astimezone(NEW_YORK):%Y-%m-%d %H:%M}"


# every layout


@pytest.mark.parametrize("layout", ["2021 CSV", "2019 CSV", "JSON", "JSON, older order"])
def test_one_file_gives_a_session_a_root(tmp_path, layout):
    content = {"2021 CSV": lambda: modern(SPX_ROWS, 6700.0),
               "2019 CSV": lambda: modern(SPX_ROWS, 6700.0, "^SPX (Standard & Poors 500 Index)", "Nov 20 2026 @ 15:30 ET", header=MIDDLE, expires="%m/%d/%Y"),
               "JSON": lambda: cdn(SPX_ROWS, 6700.0),
               "JSON, older order": lambda: (d := cdn(SPX_ROWS, 6700.0)) | {"data": dict(reversed(d["data"].items()))}}[layout]()
    path = write(tmp_path, content)
    assert IMPORTER.recognises(path)
    assert IMPORTER.sessions(path) == (SessionKey("SPX", date(2026, 11, 20), "cboe"), SessionKey("SPXW", date(2026, 11, 20), "cboe"))
    session = load(path, "SPXW")
    listed = session.contracts
    assert (listed.underlying, listed.exercise, listed.settlement, len(listed)) == ("SPX", Exercise.EUROPEAN, Settlement.CASH, 12)
    assert ny(session) == "2026-11-20 15:15" and (session.quotes.ts == session.quotes.ts[0]).all() and session.quotes.index.tolist() == list(range(12))
    assert (session.opens, session.closes) == (session_hours(session.date).opens, option_close("SPXW", session.date))
    for row in range(12):
        right = Right.CALL if listed.is_call[row] else Right.PUT
        f, p, q = figures(listed.strike[row], right, 6700.0), session.published, session.quotes
        assert q.ask[row] == f["ask"] and (q.bid[row] == f["bid"] if f["bid"] else np.isnan(q.bid[row]) and q.bid_size[row] == 0)
        assert (p.last[row], p.volume[row], p.open_interest[row], session.open_interest[row]) == (f["last"], f["volume"], f["oi"], f["oi"])
        assert p.volatility[row] == f["iv"] if f["iv"] else np.isnan(p.volatility[row])
        assert (p.delta[row], p.gamma[row]) == (f["delta"], f["gamma"])
        assert (p.vega[row] == 0.3 and q.ask_size[row] == 7) if "JSON" in layout else (np.isnan(p.vega[row]) and np.isnan(q.ask_size[row]))
    assert session.underlying_bars.close.tolist() == [6700.0] and len(session.underlying_quotes) == 0  # an index is not quoted
    assert np.isnan(session.prior_volatility).all() and len(session.trades) == 0
    assert list(session.files) == ["f"] and len(session.files["f"]) == 64
    assert len(load(path, "SPX").contracts) == 2


def test_a_layout_of_ten_years_ago_with_rows_by_exchange(tmp_path):
    rows = chain("IBM", [date(2016, 7, 15), date(2016, 8, 19)], [150.0, 160.0, 162.5]) + chain("IBM7", [date(2016, 8, 19)], [155.0])
    path = write(tmp_path, old(rows, 160.0), "QuoteData.dat")
    assert [key.symbol for key in IMPORTER.sessions(path)] == ["IBM", "IBM7"]
    session = load(path, "IBM")
    assert session.date == date(2016, 7, 15) and ny(session) == "2016-07-15 15:15" and len(session.quotes) == 12
    assert session.contracts.occ()[:2] == ["IBM160715C00150000", "IBM160715P00150000"]
    assert session.quotes.ask[0] == figures(150.0, Right.CALL, 160.0)["ask"]  # the best of all, not one exchange's
    assert any("28 rows of single exchanges left out" in note for note in session.notes)
    assert (session.contracts.exercise, session.contracts.settlement) == (Exercise.AMERICAN, Settlement.PHYSICAL)
    assert (session.underlying_quotes.bid[0], session.underlying_quotes.ask[0]) == (159.99, 160.01)
    adjusted = load(path, "IBM7")
    assert np.isnan(adjusted.contracts.multiplier).all() and any("multiplier is not known" in note for note in adjusted.notes)
    assert adjusted.contracts.underlying == "IBM"


def test_a_file_of_single_exchanges_only(tmp_path):
    path = write(tmp_path, old(chain("IBM", [date(2016, 8, 19)], [150.0, 160.0]), 160.0, exchanges=("E",)) )
    session = load(path, "IBM")
    assert len(session.quotes) == 4 and any("exchange E alone" in note for note in session.notes)


def test_a_stock_as_json(tmp_path):
    rows = chain("AAPL", [date(2026, 11, 20)], [300.0, 310.0])
    path = write(tmp_path, cdn(rows, 310.0, "AAPL", kind="stock"))
    session = load(path, "AAPL", rate="0.04", dividend="0.01")
    assert (session.rate, session.dividend) == (0.04, 0.01)
    assert (session.underlying_quotes.bid[0], session.underlying_quotes.ask[0]) == (309.99, 310.01)
    bar = session.underlying_bars
    assert (bar.open[0], bar.high[0], bar.low[0], bar.close[0], bar.volume[0]) == (308.0, 313.0, 306.0, 310.0, 1000.0)


def test_an_index_in_no_table_settles_in_cash(tmp_path):
    path = write(tmp_path, cdn(chain("ZZZ", [date(2026, 12, 18)], [100.0]), 100.0, "^ZZZ"))
    assert load(path, "ZZZ").contracts.settlement is Settlement.CASH


# times


@pytest.mark.parametrize(
    ("stamp", "newest", "day", "rows"),
    [
        ("2026-08-07 18:58:23", "2026-08-07T14:43:22", "2026-08-07", "2026-08-07 14:43"),  # summer: UTC-4
        ("2026-11-20 18:58:23", "2026-11-20T13:43:22", "2026-11-20", "2026-11-20 13:43"),  # winter: UTC-5
        ("2026-11-20 18:58:23", "2026-11-20T13:57:00", "2026-11-20", "2026-11-20 13:57"),  # less delay than told
        ("2026-11-20 18:58:23", "2026-11-20T18:58:23", "2026-11-20", "2026-11-20 13:43"),  # a trade of the future does not count
        ("2026-11-20 18:58:23", None, "2026-11-20", "2026-11-20 13:43"),
        ("2026-11-20 21:20:00", "2026-11-20T16:04:59", "2026-11-20", "2026-11-20 16:05"),
        ("2026-11-20 23:02:44", "2026-11-20T16:14:59", "2026-11-20", "2026-11-20 16:15"),  # the evening: the close
        ("2026-11-22 12:00:00", "2026-11-20T16:14:59", "2026-11-20", "2026-11-20 16:15"),  # Sunday: Friday's close
        ("2026-11-23 13:00:00", "2026-11-20T16:14:59", "2026-11-20", "2026-11-20 16:15"),  # Monday before the open, no trade of Monday yet
        ("2026-11-23 09:00:00", "2026-11-23T03:44:00", "2026-11-23", "2026-11-23 03:45"),  # traded through the night
        ("2026-11-20 02:30:00", "2026-11-19T21:14:00", "2026-11-20", "2026-11-19 21:15"),  # a trade after 20:00 is tomorrow's
        ("2026-11-27 23:00:00", "2026-11-27T13:14:00", "2026-11-27", "2026-11-27 13:15"),  # a half day
        ("2026-11-26 17:00:00", "2026-11-25T16:14:00", "2026-11-25", "2026-11-25 16:15"),  # Thanksgiving
    ],
)
def test_stamps_are_utc_trades_new_york_and_rows_end_with_the_session(tmp_path, stamp, newest, day, rows):
    path = write(tmp_path, cdn(chain("SPXW", [date(2026, 12, 4)], [6700.0]), 6700.0, stamp=stamp, newest=newest))
    session = load(path, "SPXW")
    assert str(session.date) == day and ny(session) == rows
    assert nanoseconds(session.closes) >= session.quotes.ts[0]
    assert sum(len(batch.quotes) for batch in batches(session)) == len(session.quotes)  # a replay sees them
    assert f"written {stamp} UTC" in session.notes[0]


def test_after_the_close_the_price_is_the_official_one_and_nothing_is_quoted(tmp_path):
    path = write(tmp_path, cdn(chain("AAPL", [date(2026, 12, 18)], [300.0]), 310.0, "AAPL", kind="stock", stamp="2026-11-21 00:10:00", newest="2026-11-20T16:00:01"))
    session = load(path, "AAPL")
    assert ny(session) == "2026-11-20 16:00" and session.underlying_bars.close[0] == 311.0 and len(session.underlying_quotes) == 0
    assert "written after the close" in session.notes[0]


def test_the_delay_can_be_told(tmp_path):
    path = write(tmp_path, modern(SPX_ROWS, 6700.0))
    assert ny(load(path, "SPXW", delay_minutes="0")) == "2026-11-20 15:30"
    with pytest.raises(UserError, match="delay_minutes"):
        load(path, "SPXW", delay_minutes="-1")


@pytest.mark.parametrize(
    "text",
    ["Date: November 20, 2026 at 4:15 PM EST", "Date: November 20, 2026 at 4:15\u202fPM EST", "Nov 20 2026 @ 16:15 ET", "Date: 20 de noviembre de 2026, 16:15 GMT-5",
     "Date: 20 ноября 2026 г. в 16:15 GMT-5", "Date: 20. November 2026 um 22:15 CET", "Date: 20 novembre 2026 à 16:15 UTC\u22125", "Date: 20 listopada 2026 16:15 GMT-05:00",
     "Date: 2026年11月20日 下午4:15 [EST]", "2026-11-20 16:15:00", "Date: 20 de novembro de 2026 às 16:15 EST", "Date: November 20, 2026 at 3:15 PM CST",
     "Date: 20 de noviembre de 2026, 4:15 p. m. EST"],
)
def test_a_date_in_any_language(text):
    assert _written(text, "f") == datetime(2026, 11, 20, 21, 15, tzinfo=UTC)


def test_noon_and_midnight():
    assert _written("Date: July 4, 2026 at 12:23 AM EDT", "f") == datetime(2026, 7, 4, 4, 23, tzinfo=UTC)
    assert _written("Date: July 4, 2026 at 12:23 PM EDT", "f") == datetime(2026, 7, 4, 16, 23, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "Date: yesterday", "Date: 20 2026 16:15", "Nov 31 2026 @ 16:15 ET", "Nov 20 2026 @ 25:15 ET", "Nov 2026 @ 16:15 ET", "Nov 20 2026"])
def test_no_date(text):
    with pytest.raises(DataError, match="f: no date and time in"):
        _written(text, "f")


# what a consumer gets


def test_the_chain_after_all_rows(tmp_path):
    session = load(write(tmp_path, cdn(SPX_ROWS, 6700.0)), "SPXW")
    state = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend)
    state.apply(session.quotes, session.trades, session.underlying_bars, session.underlying_quotes)
    chain = state.snapshot(int(session.quotes.ts[-1]), *state.spot())
    assert (chain.spot, chain.spot_source) == (6700.0, "trade") and (chain.years > 0).all()
    assert np.isfinite(chain.mid[~np.isnan(chain.bid)]).all()
    assert chain.years[0] * 365 * 24 * 60 == pytest.approx(45)  # 15:15 to 16:00


def test_two_loads_are_identical_and_the_order_of_rows_does_not_count(tmp_path):
    one, two = write(tmp_path, cdn(SPX_ROWS, 6700.0), "a"), write(tmp_path, cdn(SPX_ROWS[::-1], 6700.0), "b")
    digests = {session_digest(load(path, "SPXW")) for path in (one, one, two)}
    assert len(digests) == 1


def test_settled_contracts_are_left_out_and_a_repeated_one_is_told(tmp_path):
    rows = chain("SPX", [date(2026, 11, 20), date(2026, 12, 18), date(2026, 12, 18)], [6700.0])
    session = load(write(tmp_path, cdn(rows, 6700.0)), "SPX")  # the monthly of that day had its last trade the evening before
    assert session.contracts.occ() == ["SPX261218C06700000", "SPX261218P06700000"] and session.quotes.index.tolist() == [0, 0, 1, 1]
    assert any("2 contracts had ended" in note for note in session.notes) and any("2 rows name a contract that another row names" in note for note in session.notes)
    with pytest.raises(DataError, match="every contract of SPX had ended before the session of 2026-11-20"):
        load(write(tmp_path, cdn(rows[:1], 6700.0)), "SPX")


def test_flex_options_are_left_out_and_told(tmp_path):
    path = write(tmp_path, cdn(SPX_ROWS + chain("2SPX", [date(2026, 12, 18)], [6700.0]), 6700.0))
    assert [key.symbol for key in IMPORTER.sessions(path)] == ["SPX", "SPXW"]
    assert any("2 rows left out: 2SPX is a FLEX root" in note for note in load(path, "SPXW").notes)


def test_strikes_that_are_not_their_symbols_are_told(tmp_path):
    path = write(tmp_path, modern(SPX_ROWS, 6700.0).replace(",6300.00,", ",6305.00,"))
    session = load(path, "SPXW")
    assert session.contracts.strike.min() == 6300.0 and any("4 rows whose strike is not that of their symbol" in note for note in session.notes)


def test_it_is_an_importer_like_the_others(tmp_path):
    assert isinstance(IMPORTER, Importer)
    known = importers({"cboe": "quanticity.feeds.cboe"})
    assert detect(write(tmp_path, cdn(SPX_ROWS, 6700.0)), known) is IMPORTER
    path = write(tmp_path, modern(SPX_ROWS, 6700.0))
    for key in (SessionKey("NDX", date(2026, 11, 20), "cboe"), SessionKey("SPX", date(2026, 11, 19), "cboe")):
        with pytest.raises(DataMissing, match="there are: "):
            IMPORTER.load(path, key)
    with pytest.raises(UserError, match="no option 'speed'"):
        load(path, "SPX", speed="1")


# other encodings and line ends


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("form", ["csv", "json"])
def test_other_encodings(tmp_path, encoding, form):
    name = "SOCIÉTÉ INDEX" if form == "csv" else "^SPX"
    text = modern(SPX_ROWS, 6700.0, name) if form == "csv" else json.dumps(cdn(SPX_ROWS, 6700.0, name), ensure_ascii=False)
    path = write(tmp_path, text.encode(encoding))
    assert IMPORTER.recognises(path)
    assert session_digest(load(path, "SPXW")) == session_digest(load(write(tmp_path, text, "plain"), "SPXW"))


def test_other_line_ends_and_no_empty_first_line(tmp_path):
    text = modern(SPX_ROWS, 6700.0)
    digest = session_digest(load(write(tmp_path, text), "SPXW"))
    for other in (text.replace("\n", "\r\n"), text.lstrip("\n"), text + "\n\n", text.rstrip("\n"), text.replace('"Volume: 10,598,673"', "Volume: 10,598,673")):
        assert session_digest(load(write(tmp_path, other, "other"), "SPXW")) == digest


# hostile ones


def refused(path: Path, *says: str) -> None:
    with pytest.raises(DataError) as caught:
        IMPORTER.load(path, IMPORTER.sessions(path)[0])
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300 and path.name in message
    assert not says or any(text in message for text in says), message


CSV, JSON = modern(SPX_ROWS, 6700.0), json.dumps(cdn(SPX_ROWS, 6700.0))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00" * 100, b"PK\x03\x04" + b"\x00" * 90, b"a,b,c\n1,2,3\n", b"[]", b"{}", b'{"endpoint": "Historical Options", "data": []}',
                                     bytes(range(256)) * 40, b"\x1f\x8b" + b"x" * 50, b"<html><body>502</body></html>"])
def test_other_formats_are_not_recognised_and_refused(tmp_path, content):
    path = write(tmp_path, content)
    assert not IMPORTER.recognises(path)
    refused(path)


def test_no_file_and_a_folder(tmp_path):
    assert not IMPORTER.recognises(tmp_path) and not IMPORTER.recognises(tmp_path / "none")
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError):
            IMPORTER.sessions(path)


@pytest.mark.parametrize("cut", [*range(1, 12), 20, 40, 77, 150, 400, 900])
@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_truncated_file_is_whole_or_refused(tmp_path, form, cut):
    text = CSV if form == "csv" else JSON
    path = write(tmp_path, text[:-cut])
    try:
        session = load(path, "SPXW")
    except DataError as error:
        assert "\n" not in str(error) and path.name in str(error)
        return
    assert form == "csv" and cut <= 3 and len(session.quotes) == 12  # the last line's end, or digits of its last figure


@pytest.mark.parametrize(
    ("old_text", "new_text", "says"),
    [
        (",-0.5,0.01,", ",x,0.01,", "line 5: Delta of the put is 'x', not a finite number"),
        (",-0.5,0.01,", ",inf,0.01,", "line 5: Delta of the put is 'inf', not a finite number"),
        (",6900.00,", ",1e400,", "line 7: Strike is '1e400', not a finite number"),
        ("SPXW261123C06300000", "SPXW261331C06300000", "line 8: 'SPXW261331C06300000': there is no day 2026-13-31"),
        ("SPXW261123C06300000", "garbage", "line 8: 'garbage' is no option symbol"),
        ("SPXW261123P06300000", "BAD", "line 8: 'BAD' is no option symbol as they are since 2010; expected root, YYMMDD, C or P"),
        ("Last: 6700.0", "Last: inf", "Last of the underlying is 'inf', not a finite number"),
        ("SPXW261123C06300000", "", "'' is no option symbol"),
        (",6900.00,", ",6900.00,1,", "23 fields, the header has 22"),
        (",6900.00,", ',"6900.00,', "not CSV"),
        ("November 20, 2026 at 3:30 PM EST", "once", "no date and time in"),
        ("November 20, 2026", "November 20, 1931", "no market calendar for 1931-11-20"),
    ],
)
def test_a_bad_row_of_a_table_is_named(tmp_path, old_text, new_text, says):
    assert old_text in CSV
    refused(write(tmp_path, CSV.replace(old_text, new_text, 1)), says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.pop("timestamp"), "timestamp is 'None'"),
        (lambda d: d.update(timestamp="soon"), "timestamp is 'soon'"),
        (lambda d: d.update(timestamp=1795203000), "timestamp is '1795203000'"),
        (lambda d: d.update(timestamp="9999-12-31 23:59:59"), "no market calendar"),
        (lambda d: d.update(data=[]), "no list data.options"),
        (lambda d: d["data"].update(options={}), "no list data.options"),
        (lambda d: d["data"].update(options=[]), "data.options is empty"),
        (lambda d: d["data"]["options"].insert(2, None), "row 3: an option is 'None'"),
        (lambda d: d["data"]["options"][3].pop("option"), "row 4: None is no option symbol"),
        (lambda d: d["data"]["options"][3].update(option=["SPXW"]), "row 4: "),
        (lambda d: d["data"]["options"][3].update(bid={"x": 1}), "row 4: bid is"),
        (lambda d: d["data"]["options"][3].update(ask="cheap"), "row 4: ask is 'cheap', not a finite number"),
        (lambda d: d["data"]["options"][3].update(ask="inf"), "row 4: ask is 'inf', not a finite number"),
        (lambda d: d["data"]["options"][3].update(option="BAD"), "row 4: 'BAD' is no option symbol as they are since 2010"),
        (lambda d: d["data"].update(current_price="1e400"), "data.current_price is '1e400', not a finite number"),
        (lambda d: d["data"]["options"][3].update(bid=float("nan")), "not JSON"),
        (lambda d: d["data"]["options"][3].update(bid=float("inf")), "not JSON"),
    ],
)
def test_a_bad_row_of_json_is_named(tmp_path, change, says):
    value = cdn(SPX_ROWS, 6700.0)
    change(value)
    refused(write(tmp_path, value), says)


def test_a_line_is_counted_past_empty_ones(tmp_path):
    lines = CSV.splitlines()
    lines[5:5] = ["", ",,,"]
    refused(write(tmp_path, "\n".join(lines).replace(",0.01,", ",inf,", 3).replace(",inf,", ",0.01,", 2)), "line 8: Gamma of the call is 'inf', not a finite number")


def test_figures_that_cannot_be_are_not_published_and_told(tmp_path):
    value = cdn(SPX_ROWS, 6700.0)
    value["data"]["options"][3].update(open_interest=-5.0, volume=-1)
    session = load(write(tmp_path, value), "SPXW")
    assert np.isnan(session.open_interest).sum() == np.isnan(session.published.volume).sum() == 1
    assert any("2 volumes, open interests or volatilities below zero: taken as not published" in note for note in session.notes)


def test_numbers_as_texts_and_null_are_read(tmp_path):
    value = cdn(SPX_ROWS, 6700.0)
    for row in value["data"]["options"]:
        row.update(bid=str(row["bid"]), open_interest=None, iv="")
    value["data"]["current_price"] = "6,700.0"
    session = load(write(tmp_path, value), "SPXW")
    assert np.isnan(session.open_interest).all() and np.isnan(session.published.volatility).all() and session.underlying_bars.close[0] == 6700.0
    assert np.nanmax(session.quotes.bid) == 400.4


def test_a_billion_columns_and_deep_json(tmp_path):
    refused(write(tmp_path, MODERN.encode() + b",x" * 3_000_000 + b"\n" + b"1," * 100))
    refused(write(tmp_path, b'{"timestamp": "2026-11-20 20:30:00", "data": {"options": ' + b"[" * 200_000))
    refused(write(tmp_path, b'{"timestamp": "2026-11-20 20:30:00", "data": {"options": [{' + b",".join(b'"k%d":1' % i for i in range(50_000)) + b"}]}}"))


def test_a_zip_is_not_unpacked(tmp_path):
    path = tmp_path / "quotes.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("../evil.csv", CSV)
        z.writestr("bomb", b"\0" * 10_000_000)
    assert not IMPORTER.recognises(path)
    refused(path)


def test_no_price_of_the_underlying_is_told(tmp_path):
    session = load(write(tmp_path, cdn(SPX_ROWS, 6700.0, current_price=None, close=0)), "SPXW")
    assert len(session.underlying_bars) == 0 and any("implied by parity" in note for note in session.notes)


def test_many_rows(tmp_path):
    """20,000 rows: the numbers, not the time (a benchmark's matter)."""
    expiries = [date(2026, 11, 23) + timedelta(days=i) for i in range(40) if session_hours(date(2026, 11, 23) + timedelta(days=i))]
    rows = chain("SPXW", expiries, [1000.0 + 25 * k for k in range(10_000 // len(expiries))])
    for content in (cdn(rows, 6700.0), modern(rows, 6700.0)):
        snapshot, _ = read_snapshot(write(tmp_path, content))
        assert len(snapshot.options.strike) == 2 * len(rows)
        session = load(tmp_path / "f", "SPXW")
        assert len(session.contracts) == 2 * len(rows) and np.isfinite(session.quotes.ask).all()


def test_figures_keep_their_last_digit(tmp_path):
    assert ",0.6," in CSV
    session = load(write(tmp_path, CSV.replace(",0.6,", ",0.6000000000000001,", 1)), "SPXW")
    assert 0.6000000000000001 in session.quotes.ask.tolist()
