"""The LEAN reader: what it makes of small trees, and what each mistake gets."""

import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.errors import DataError, DataMissing
from quanticity.core.types import Exercise, Settlement
from quanticity.feeds.importing import SessionKey
from quanticity.feeds.lean import IMPORTER, available_sessions, load_daily_bars, load_session
from quanticity.feeds.lean_files import interest_rate, lean_data
from quanticity.feeds.lean_ticks import load_equity_ticks
from quanticity.market.chain import timestamp

DAY = date(2015, 12, 24)
ROW = "34200000,19000,20000,18000,20000,5,21000,22000,21000,22000,7\n"
CALL = "20151224_xyz_minute_quote_american_call_1000000_20151231.csv"
PUT = "20151224_xyz_minute_quote_american_put_1000000_20151231.csv"
QUOTES = "option/usa/minute/xyz/20151224_quote_american.zip"


def put(path: Path, members: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in members.items():
            z.writestr(name, text)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    put(tmp_path / QUOTES, {CALL: ROW, PUT: ROW})
    return tmp_path


def refused(kind: type[DataError], *parts: str, call) -> str:
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message
    return message


def test_the_folder_may_be_named_three_ways(tmp_path):
    root = tmp_path / "lean" / "Data"
    put(root / QUOTES, {CALL: ROW})
    for folder in (tmp_path, tmp_path / "lean", root):
        assert lean_data(folder) == root
        assert available_sessions(folder) == [("XYZ", DAY)]
        assert len(load_session(folder, "xyz", DAY).quotes) == 1


def test_prices_times_and_style(data):
    session = load_session(data, "XYZ", DAY)
    assert (session.quotes.bid.tolist(), session.quotes.ask.tolist()) == ([2.0, 2.0], [2.2, 2.2])
    assert (session.quotes.bid_size[0], session.quotes.ask_size[0]) == (5.0, 7.0)
    assert timestamp(session.quotes.ts[0]) == datetime(2015, 12, 24, 14, 31, tzinfo=UTC)
    assert session.closes == datetime(2015, 12, 24, 18, tzinfo=UTC)
    listed = session.contracts
    assert (listed.exercise, listed.settlement) == (Exercise.AMERICAN, Settlement.PHYSICAL)
    assert listed.occ() == ["XYZ151231C00100000", "XYZ151231P00100000"]
    assert timestamp(listed.expires_at[0]) == datetime(2015, 12, 31, 21, tzinfo=UTC)


def test_a_summer_day_is_an_hour_earlier_in_utc(tmp_path):
    put(tmp_path / "option/usa/minute/xyz/20150624_quote_american.zip", {CALL.replace("20151224", "20150624", 1): ROW})
    assert timestamp(load_session(tmp_path, "XYZ", date(2015, 6, 24)).quotes.ts[0]) == datetime(2015, 6, 24, 13, 31, tzinfo=UTC)


def test_empty_sides_are_nan_with_no_size(tmp_path):
    put(tmp_path / QUOTES, {CALL: "34200000,,,,,0,1,1,1,5000,19\n34260000,1,1,1,0,9,1,1,1,5000,19\n", PUT: "34200000,1,1,1,9000,2,,,,,0\n"})
    q = load_session(tmp_path, "XYZ", DAY).quotes
    assert np.isnan(q.bid).tolist() == [True, False, True]
    assert q.bid_size.tolist() == [0.0, 2.0, 0.0]
    assert np.isnan(q.ask).tolist() == [False, True, False]


def test_index_options_read_a_chicago_index_and_a_double_zip(tmp_path):
    member = "20210104_spxw_minute_{}_european_call_37000000_20210104.csv".format
    minute = tmp_path / "indexoption/usa/minute/spxw"
    put(minute / "20210104_quote_european.zip", {member("quote"): ROW})
    put(minute / "20210104_openinterest_european.zip.zip", {member("openinterest"): "23400000,1732"})
    put(tmp_path / "index/usa/minute/spx/20210104_trade.zip", {"i.csv": "30600000,3764.61,3769.99,3764.61,3766.63,59\n"})
    session = load_session(tmp_path, "SPXW", date(2021, 1, 4))
    assert timestamp(session.underlying_bars.ts[0]) == datetime(2021, 1, 4, 14, 31, tzinfo=UTC) == timestamp(session.quotes.ts[0])
    assert session.underlying_bars.close[0] == 3766.63
    assert session.open_interest.tolist() == [1732.0]
    assert (session.contracts.exercise, session.contracts.settlement) == (Exercise.EUROPEAN, Settlement.CASH)
    assert session.contracts.underlying == "SPX"
    assert session.closes == datetime(2021, 1, 4, 21, 15, tzinfo=UTC)
    assert timestamp(session.contracts.expires_at[0]) == datetime(2021, 1, 4, 21, 0, tzinfo=UTC)


def test_without_an_underlying_the_tapes_are_empty_and_the_notes_say_so(data):
    session = load_session(data, "XYZ", DAY, rate=0.03, dividend=0.01)
    assert len(session.underlying_bars) == len(session.underlying_quotes) == 0
    assert (session.rate, session.dividend) == (0.03, 0.01)
    notes = " | ".join(session.notes)
    for part in ("no file of the underlying XYZ", "parity", "no interest rate", "no option trades", "no open interest"):
        assert part in notes


def test_the_rate_is_the_last_on_or_before_the_day(data):
    path = data / "alternative/interest-rate/usa/interest-rate.csv"
    path.parent.mkdir(parents=True)
    path.write_text("DATE,PCREDIT8\n2015-12-17,1.00\n2015-12-24,2.00\n2015-12-25,9.00\n")
    assert load_session(data, "XYZ", DAY).rate == pytest.approx(np.log(1.02))
    path.write_text("DATE,PCREDIT8\n2015-12-17,one\n")
    refused(DataError, "interest-rate.csv, line 2", "'2015-12-17,one'", call=lambda: interest_rate(data, DAY))


def test_a_rate_that_is_given_as_an_option_wins_over_that_of_the_file(data):
    path = data / "alternative/interest-rate/usa/interest-rate.csv"
    path.parent.mkdir(parents=True)
    path.write_text("DATE,PCREDIT8\n2015-12-17,1.00\n")
    key = SessionKey("XYZ", DAY, "lean")
    plain, own = IMPORTER.load(data, key), IMPORTER.load(data, key, {"rate": "0.04", "dividend": "0.01"})
    assert (plain.rate, plain.dividend, own.rate, own.dividend) == (pytest.approx(np.log(1.01)), 0.0, 0.04, 0.01)
    assert "interest rate of 0.04 a year as given, not from the data" in own.notes and "interest-rate" not in " ".join(own.files)
    assert IMPORTER.load(data, key, {"rate": "0"}).rate == 0.0  # given is given
    assert load_session(data, "XYZ", DAY, rate=0.04).rate == plain.rate  # the configuration's is for days without one
    put(data / "equity/usa/tick/ibm/20151224_quote.zip", {"q.csv": "34200000,1836000,300,1836300,100,Q,1,0\n"})
    put(data / "equity/usa/tick/ibm/20151224_trade.zip", {"t.csv": "34200000,1836200,50,D,20002020,0\n"})
    stock = IMPORTER.load(data, SessionKey("IBM", DAY, "lean"), {"rate": "0.04", "dividend": "0.01"})
    assert (stock.rate, stock.dividend) == (0.04, 0.01)


def test_open_interest_published_after_the_open_is_not_known(data):
    put(data / "option/usa/minute/xyz/20151224_openinterest_american.zip",
        {CALL.replace("quote", "openinterest"): "23460000,55\n", PUT.replace("quote", "openinterest"): "50280000,66\n"})
    interest = load_session(data, "XYZ", DAY).open_interest
    assert interest[0] == 55.0 and np.isnan(interest[1])


def test_a_universe_with_the_sessions_own_prices_is_passed_over(data):
    put(data / "option/usa/minute/xyz/20151224_trade_american.zip", {PUT.replace("quote", "trade"): "34260000,16000,17000,15000,16500,12\n"})
    put(data / "equity/usa/daily/xyz.zip", {"xyz.csv": "20151222 00:00,1,1,1,1000000,9\n20151223 00:00,1,1,1,1000000,9\n"})
    folder = data / "option/usa/universes/xyz"
    folder.mkdir(parents=True)
    text = "#expiry,strike,right,open,high,low,close,volume,open_interest\n,,,1,1,1,1,1,\n20151231,100,P,{},2,1,1.55,12,60\n"
    (folder / "20151222.csv").write_text(text.format("1.3"))
    (folder / "20151223.csv").write_text(text.format("1.6"))
    session = load_session(data, "XYZ", DAY)
    assert any("20151223.csv holds this session's own prices" in note for note in session.notes)
    assert "option/usa/universes/xyz/20151222.csv" in session.files
    assert session.open_interest[1] == 60.0
    (folder / "20151223.csv").write_text(text.format("1.3"))
    assert "option/usa/universes/xyz/20151223.csv" in load_session(data, "XYZ", DAY).files


def test_prior_volatility_gives_back_yesterdays_close(data):
    from scipy.special import ndtr

    put(data / "equity/usa/daily/xyz.zip", {"xyz.csv": "20151223 00:00,1,1,1,1000000,9\n"})
    folder = data / "option/usa/universes/xyz"
    folder.mkdir(parents=True)
    t, v = 8 / 365, 0.25  # 16:00 on the 23rd to 16:00 on the 31st
    d1 = v * np.sqrt(t) / 2
    price = 100 * (ndtr(d1) - ndtr(-d1))
    (folder / "20151223.csv").write_text("#h\n" + f"20151231,100,C,9,9,9,{price:.6f},0,1\n20151231,100,P,9,9,9,{price:.6f},0,1\n")
    np.testing.assert_allclose(load_session(data, "XYZ", DAY).prior_volatility, [0.25, 0.25], rtol=1e-4)


@pytest.mark.parametrize(("rows", "expected"), [
    ("34200000,1,1,1,x7,5,1,1,1,2,7\n", "line 2: 'x7' as bid, expected a number"),
    ("34200000,1,1,1,-7,5,1,1,1,2,7\n", "line 2: '-7' as bid, expected a number"),
    ("34200000,1,1,1,inf,5,1,1,1,2,7\n", "line 2: 'inf' as bid"),
    ("34200000,1,1,1,nan,5,1,1,1,2,7\n", "line 2: 'nan' as bid"),
    ("34200000,1,1,1,1,5,1,1,1,2\n", "line 2: 10 columns, expected 11"),
    ("34200000,1,1,1,1,5,1,1,1,2,7,8\n", "line 2: 12 columns, expected 11"),
    (",1,1,1,1,5,1,1,1,2,7\n", "line 2: '' as time"),
    ("86400000,1,1,1,1,5,1,1,1,2,7\n", "line 2: time 86400000 is outside the day"),
    ("\x00\x01\x02\n", "line 2: 1 column, expected 11"),
    ("34200000,abc,1,1,1,5,1,1,1,2,7\n", "line 2: 'abc' as bid open, expected a number"),  # columns that are not kept
    ("34200000,1,1,1,1,5,1,1,-3,2,7\n", "line 2: '-3' as ask low, expected a number"),
    ("34200000,1,NaN,1,1,5,1,1,1,2,7\n", "line 2: 'NaN' as bid high"),
])
def test_a_bad_row_is_named(tmp_path, rows, expected):
    put(tmp_path / QUOTES, {CALL: ROW, PUT: ROW + rows})
    refused(DataError, QUOTES, PUT, expected, call=lambda: load_session(tmp_path, "XYZ", DAY))


def test_blank_lines_and_carriage_returns_are_no_rows(tmp_path):
    put(tmp_path / QUOTES, {CALL: ROW.replace("\n", "\r\n") + "\n", PUT: ROW.rstrip("\n")})
    assert load_session(tmp_path, "XYZ", DAY).quotes.index.tolist() == [0, 1]


def test_the_order_of_members_does_not_matter(tmp_path):
    put(tmp_path / "a" / QUOTES, {CALL: ROW, PUT: ROW.replace("20000,5", "10000,4")})
    put(tmp_path / "b" / QUOTES, {PUT: ROW.replace("20000,5", "10000,4"), CALL: ROW})
    one, two = (load_session(tmp_path / x, "XYZ", DAY).quotes for x in "ab")
    assert one.bid.tolist() == two.bid.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("damage", [lambda b: b[:-10], lambda b: b[:40], lambda b: b"", lambda b: b"PK\x05\x06",
                                    lambda b: b[:110] + bytes([b[110] ^ 255]) + b[111:], lambda b: b"not a zip" * 9])
def test_a_damaged_zip_is_named(data, damage):
    path = data / QUOTES
    path.write_bytes(damage(path.read_bytes()))
    refused(DataError, QUOTES, "truncated or corrupt", call=lambda: load_session(data, "XYZ", DAY))


def test_a_changed_digit_fails_the_checksum(data):
    path = data / QUOTES
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        z.writestr(CALL, ROW)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"18000,20000", b"18000,30000"))
    refused(DataError, QUOTES, "truncated or corrupt", call=lambda: load_session(data, "XYZ", DAY))


def test_no_single_damaged_byte_gets_past_as_anything_but_a_data_error(data):
    path = data / QUOTES
    raw, whole = path.read_bytes(), load_session(data, "XYZ", DAY)
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x5A]) + raw[at + 1:])
        try:
            session = load_session(data, "XYZ", DAY)
        except DataError as error:
            assert "\n" not in str(error)
        else:  # a byte that means nothing for the contents (a date, a flag of another system), or a strike that parses
            np.testing.assert_array_equal(session.quotes.bid, whole.quotes.bid[:len(session.quotes)])


@pytest.mark.parametrize("name", ["readme.txt", CALL.replace("call", "straddle"), CALL.replace("20151224", "20151223", 1),
                                  CALL.replace("1000000", "abc")])
def test_a_member_that_names_no_contract(tmp_path, name):
    put(tmp_path / QUOTES, {name: ROW})
    refused(DataError, QUOTES, repr(name), "expected 20151224_symbol_minute_quote", call=lambda: load_session(tmp_path, "XYZ", DAY))


def test_an_expiry_that_is_no_date(tmp_path):
    put(tmp_path / QUOTES, {CALL.replace("20151231", "20151331"): ROW})
    refused(DataError, QUOTES, "'20151331' is not a date", call=lambda: load_session(tmp_path, "XYZ", DAY))


def test_an_expiry_beyond_the_calendar_is_an_assumption(tmp_path):
    put(tmp_path / QUOTES, {CALL.replace("20151231", "21100118"): ROW})
    session = load_session(tmp_path, "XYZ", DAY)
    assert timestamp(session.contracts.expires_at[0]) == datetime(2110, 1, 18, 21, tzinfo=UTC)
    assert any("2110-01-18 is beyond the calendar" in note for note in session.notes)


def test_what_is_not_there(data, tmp_path):
    refused(DataMissing, "no such folder", call=lambda: load_session(tmp_path / "gone", "XYZ", DAY))
    (tmp_path / "void").mkdir()
    refused(DataMissing, "no LEAN data in", call=lambda: load_session(tmp_path / "void", "XYZ", DAY))
    refused(DataMissing, "no options of ABC", "symbols present: XYZ", call=lambda: load_session(data, "ABC", DAY))
    refused(DataMissing, "no session of XYZ on 2015-12-26", "nearest days present: 2015-12-24",
            call=lambda: load_session(data, "XYZ", date(2015, 12, 26)))
    refused(DataMissing, "no daily bars of XYZ", call=lambda: load_daily_bars(data, "XYZ"))
    refused(DataMissing, "no ticks of IBM", call=lambda: load_equity_ticks(data, "IBM", DAY))


def test_data_of_a_day_without_a_session(tmp_path):
    put(tmp_path / QUOTES.replace("20151224", "20151225"), {CALL.replace("20151224", "20151225", 1): ROW})
    refused(DataError, "2015-12-25", "market was closed", call=lambda: load_session(tmp_path, "XYZ", date(2015, 12, 25)))


def test_a_file_without_members(tmp_path):
    put(tmp_path / QUOTES, {})
    refused(DataError, QUOTES, "holds no contract", call=lambda: load_session(tmp_path, "XYZ", DAY))


def test_a_universe_row_that_cannot_be_read(data):
    folder = data / "option/usa/universes/xyz"
    folder.mkdir(parents=True)
    (folder / "20151223.csv").write_text("#h\n20151231,hundred,C,1,1,1,1,1,1\n")
    refused(DataError, "20151223.csv, line 2", "hundred", call=lambda: load_session(data, "XYZ", DAY))


def test_daily_bars_end_before_a_day(data):
    put(data / "equity/usa/daily/xyz.zip", {"xyz.csv": "20151222 00:00,1,2,3,40000,5\n20151223 00:00,1,2,3,50000,6\n20151224 00:00,1,2,3,60000,7\n"})
    bars = load_daily_bars(data, "XYZ", before=DAY)
    assert (bars.close.tolist(), bars.volume.tolist()) == ([4.0, 5.0], [5.0, 6.0])
    assert timestamp(bars.ts[-1]) == datetime(2015, 12, 24, 5, tzinfo=UTC)  # midnight after the 23rd: before the session
    assert load_daily_bars(data, "XYZ", since=DAY).close.tolist() == [6.0]
    put(data / "equity/usa/daily/xyz.zip", {"xyz.csv": "20151222 00:00,1,2,3,40000,5\nabc,1,2,3,4,5\n"})
    refused(DataError, "xyz.zip, line 2", "'abc,1,2,3,4,5'", call=lambda: load_daily_bars(data, "XYZ"))


def test_ticks_carry_each_side_over_all_exchanges(tmp_path):
    folder = tmp_path / "equity/usa/tick/ibm"
    put(folder / "20131007_quote.zip", {"q.csv": "1000,0,0,1836300,100,Q,1,0\n1000,1836000,300,0,0,P,1,0\n2000,1836400,200,0,0,N,800,0\n"
                                                 "3000,9999999,1,0,0,N,1,1\n4000.25,0,0,1836600,500,K,1,0\n"})
    put(folder / "20131007_trade.zip", {"t.csv": "1500,1836200,50,D,20002020,0\n1600,1,50,D,1,1\n"})
    ticks = load_equity_ticks(tmp_path, "ibm", date(2013, 10, 7))
    assert ticks.quotes.bid[1:].tolist() == [183.60, 183.64, 183.64] and np.isnan(ticks.quotes.bid[0])
    assert ticks.quotes.ask.tolist() == [183.63, 183.63, 183.63, 183.66]
    assert ticks.quotes.ask_size.tolist() == [100.0, 100.0, 100.0, 500.0]
    assert (ticks.crossed, ticks.suspicious, len(ticks.trades)) == (1, 2, 1)
    assert timestamp(ticks.quotes.ts[-1]) == datetime(2013, 10, 7, 4, 0, 4, 250, tzinfo=UTC)
    put(folder / "20131007_quote.zip", {"q.csv": "1000,0,0,1836300,100,Q,1\n"})
    refused(DataError, "20131007_quote.zip", "line 1: 7 columns, expected 8", call=lambda: load_equity_ticks(tmp_path, "IBM", date(2013, 10, 7)))
