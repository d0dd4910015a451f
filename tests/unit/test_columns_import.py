"""CSV and Parquet by a column mapping: every way of writing time, contracts and numbers, and what a mistake gets."""

import decimal
import gzip
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanticity.core.config import ColumnNames, ColumnsConfig, DataConfig
from quanticity.core.errors import ConfigError, DataError, DataMissing, UserError
from quanticity.feeds.columns import IMPORTER, ColumnsImporter, incomplete
from quanticity.feeds.files import Limits
from quanticity.feeds.importing import SessionKey
from quanticity.feeds.moments import new_york_day, to_utc
from quanticity.feeds.tables import Format, batches, floats, tables
from quanticity.market.chain import nanoseconds, timestamp
from quanticity.market.session import session_digest

DAY = date(2015, 12, 24)
KEY = SessionKey("XYZ", DAY, "columns")
AT = datetime(2015, 12, 24, 14, 31, tzinfo=UTC)  # 9:31 in New York
CALL, PUT = "XYZ151224C00050000", "XYZ151224P00050000"
BASIC = {"names": {"timestamp": "t", "occ": "o", "bid": "b", "ask": "a"}}


def importer(**mappings) -> ColumnsImporter:
    return IMPORTER.configured(DataConfig(columns=mappings))


def csv_of(folder: Path, text: str | bytes, name: str = "quotes.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parquet_of(folder: Path, name: str = "quotes.parquet", **columns) -> Path:
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def refused(known: ColumnsImporter, path: Path, key: SessionKey = KEY) -> str:
    with pytest.raises(DataError) as caught:
        known.load(path, key)
    text = str(caught.value)
    assert "\n" not in text and path.name in text and len(text) < 800, text
    return text


# ------------------------------------------------------------------------------------------------------------ time

@pytest.mark.parametrize(("written", "pattern", "zone"), [
    ("2015-12-24 09:31:00", "iso", "America/New_York"), ("2015-12-24T09:31:00.000", "iso", "America/New_York"), ("2015-12-24T14:31:00Z", "iso", "America/New_York"),
    ("2015-12-24 09:31:00-05:00", "iso", "UTC"), ("2015-12-24 08:31:00", "iso", "America/Chicago"), ("2015-12-24 14:31", "iso", "UTC"),
    ("20151224T093100", "iso", "America/New_York"), ("1450967460", "s", "America/New_York"), ("1450967460.0", "s", "UTC"), ("1450967460000", "ms", "UTC"),
    ("1450967460000000", "us", "UTC"), ("1450967460000000000", "ns", "UTC"), ("12/24/2015 09:31:00", "%m/%d/%Y %H:%M:%S", "America/New_York"),
    ("24.12.15 9:31 AM", "%d.%m.%y %I:%M %p", "America/New_York"), ("2015-12-24 14:31:00 +0000", "%Y-%m-%d %H:%M:%S %z", "America/New_York")])
def test_a_moment_in_any_writing(tmp_path, written, pattern, zone):
    known = importer(v=BASIC | {"timestamp_format": pattern, "zone": zone})
    path = csv_of(tmp_path, f"t,o,b,a\n{written},{CALL},1,2\n")
    assert known.sessions(path) == (KEY,)
    assert timestamp(known.load(path, KEY).quotes.ts[0]) == AT


@pytest.mark.parametrize("column", [
    pa.array([AT]), pa.array([AT.replace(tzinfo=None)], pa.timestamp("s")), pa.array([nanoseconds(AT)], pa.timestamp("ns", "UTC")),
    pa.array([AT], pa.timestamp("ms", "Asia/Tokyo")), pa.array([AT.replace(tzinfo=None)], pa.timestamp("us")), pa.array(["2015-12-24T14:31:00"])])
def test_a_stored_moment(tmp_path, column):
    path = parquet_of(tmp_path, t=column, o=[CALL], b=[1.0], a=[2.0])
    known = importer(v=BASIC | {"zone": "UTC"})
    assert timestamp(known.load(path, KEY).quotes.ts[0]) == AT


def test_nanoseconds_are_kept(tmp_path):
    ns = nanoseconds(AT) + 123_456_789
    for path in (csv_of(tmp_path, f"t,o,b,a\n{ns},{CALL},1,2\n"), parquet_of(tmp_path, t=[ns], o=[CALL], b=[1.0], a=[2.0])):
        assert importer(v=BASIC | {"timestamp_format": "ns"}).load(path, KEY).quotes.ts.tolist() == [ns]
    path = csv_of(tmp_path, f"t,o,b,a\n2015-12-24 09:31:00.123456789,{CALL},1,2\n")
    assert importer(v=BASIC).load(path, KEY).quotes.ts.tolist() == [ns]


@pytest.mark.parametrize(("names", "row", "options"), [
    ({"date": "d"}, "2015-12-24", {}), ({"date": "d"}, "20151224", {}), ({"date": "d"}, "12/24/2015", {"date_format": "%m/%d/%Y"})])
def test_a_date_is_as_of_the_close(tmp_path, names, row, options):
    known = importer(v={"names": names | {"occ": "o", "bid": "b"}} | options)
    session = known.load(csv_of(tmp_path, f"d,o,b\n{row},{CALL},1\n"), KEY)
    assert timestamp(session.quotes.ts[0]) == session.closes == datetime(2015, 12, 24, 18, 0, tzinfo=UTC)  # a half day
    assert any("no time" in note for note in session.notes)


@pytest.mark.parametrize(("written", "pattern"), [("09:31:00", "iso"), ("09:31", "iso"), ("34260000", "ms"), ("34260", "s"), ("9.31", "%H.%M")])
def test_a_date_and_a_time(tmp_path, written, pattern):
    known = importer(v={"names": {"date": "d", "time": "m", "occ": "o", "bid": "b"}, "timestamp_format": pattern})
    session = known.load(csv_of(tmp_path, f"d,m,o,b\n2015-12-24,{written},{CALL},1\n"), KEY)
    assert timestamp(session.quotes.ts[0]) == AT and not any("no time" in note for note in session.notes)


def test_stored_dates_and_times(tmp_path):
    path = parquet_of(tmp_path, d=[DAY], m=[time(9, 31)], e=[datetime(2015, 12, 24)], k=[50], r=["call"], b=[1.0])
    known = importer(v={"names": {"date": "d", "time": "m", "expiry": "e", "strike": "k", "right": "r", "bid": "b"}, "root_name": "XYZ"})
    session = known.load(path, KEY)
    assert timestamp(session.quotes.ts[0]) == AT and session.contracts.occ() == [CALL]


def test_dates_under_the_name_of_moments_are_refused(tmp_path):
    for path in (csv_of(tmp_path, f"t,o,b,a\n2015-12-24,{CALL},1,2\n2015-12-28,{CALL},1,2\n"), parquet_of(tmp_path, t=[datetime(2015, 12, 24)], o=[CALL], b=[1.0], a=[2.0])):
        assert "every t is midnight" in refused(importer(v=BASIC), path)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)), st.sampled_from(["America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]))
def test_zones_agree_with_the_standard_library(naive, zone):
    naive = naive.replace(minute=naive.minute, fold=0)
    aware = naive.replace(tzinfo=ZoneInfo(zone))
    local = nanoseconds(naive.replace(tzinfo=UTC))
    if zone == "Australia/Lord_Howe":  # its clocks change by half an hour: not on whole hours of UTC
        assert abs(int(to_utc(np.array([local]), zone)[0]) - nanoseconds(aware)) <= 1_800_000_000_000
    else:
        assert int(to_utc(np.array([local]), zone)[0]) == nanoseconds(aware)
    there = naive.replace(tzinfo=UTC)
    day = (there.astimezone(ZoneInfo("America/New_York")).date() - date(1970, 1, 1)).days
    assert int(new_york_day(np.array([nanoseconds(there)]))[0]) == day


def test_a_night_belongs_to_its_new_york_date(tmp_path):
    path = csv_of(tmp_path, f"t,o,b,a\n2015-12-24 03:00:00,{CALL},1,2\n2015-12-24 14:31:00,{CALL},1,2\n")
    assert [k.day for k in importer(v=BASIC | {"zone": "UTC"}).sessions(path)] == [date(2015, 12, 23), DAY]


# ------------------------------------------------------------------------------------------------------------ contracts

def test_contracts_by_columns_and_by_symbol_are_the_same(tmp_path):
    head, by = "t,root,e,k,r,b,a\n", "2015-12-24 09:31:00,xyz,12/24/2015,{},{},1,2\n"
    names = {"timestamp": "t", "root": "root", "expiry": "e", "strike": "k", "right": "r", "bid": "b", "ask": "a"}
    symbol = importer(v=BASIC).load(csv_of(tmp_path, f"t,o,b,a\n2015-12-24 09:31:00,{CALL},1,2\n2015-12-24 09:31:00,{PUT},1,2\n"), KEY)
    for k, scale in (("50", 1.0), ("50000", 1000.0), ("5000", 100.0), ("50.000", 1.0)):
        for call, put in (("C", "P"), ("call", "put"), ("CALL", "PUT"), ("Call", "p")):
            path = csv_of(tmp_path, head + by.format(k, call) + by.format(k, put))
            session = importer(v={"names": names, "date_format": "%m/%d/%Y", "strike_scale": scale}).load(path, KEY)
            assert session_digest(session) == session_digest(symbol)


@pytest.mark.parametrize("text", [CALL, "XYZ   151224C00050000", f"O:{CALL}", f" {CALL} "])
def test_symbols_in_any_style(tmp_path, text):
    assert importer(v=BASIC).load(csv_of(tmp_path, f"t,o,b,a\n2015-12-24 09:31:00,{text},1,2\n"), KEY).contracts.occ() == [CALL]


def test_many_roots_and_days_are_many_sessions(tmp_path):
    rows = [f"2015-12-{d} 09:31:00,{root}160115C02000000,1,2" for d in (22, 23) for root in ("SPX", "SPXW")]
    known, path = importer(v=BASIC), csv_of(tmp_path, "\n".join(["t,o,b,a", *rows]) + "\n")
    keys = known.sessions(path)
    assert [(k.symbol, k.day.day) for k in keys] == [("SPX", 22), ("SPX", 23), ("SPXW", 22), ("SPXW", 23)]
    for key in keys:
        session = known.load(path, key)
        assert (session.symbol, session.date, len(session.quotes)) == (key.symbol, key.day, 1)
    assert "there are: XYZ" not in refused(known, path)
    with pytest.raises(DataMissing):
        known.load(path, KEY)


def test_a_root_for_all(tmp_path):
    known = importer(v={"names": {"timestamp": "t", "expiry": "e", "strike": "k", "right": "r", "bid": "b"}, "root_name": "XYZ"})
    path = csv_of(tmp_path, "t,e,k,r,b\n2015-12-24 09:31:00,2015-12-24,50,C,1\n")
    assert known.sessions(path) == (KEY,) and known.load(path, KEY).contracts.occ() == [CALL]


# ------------------------------------------------------------------------------------------------------------ values

FULL = {"names": {"timestamp": "t", "occ": "o", "bid": "b", "ask": "a", "bid_size": "bs", "ask_size": "as", "last": "l", "volume": "v", "open_interest": "oi",
                  "volatility": "iv", "delta": "de", "underlying_price": "u", "trade_price": "tp", "trade_size": "ts"}}
FULL_HEAD = "t,o,b,a,bs,as,l,v,oi,iv,de,u,tp,ts\n"


def test_every_column_has_its_place(tmp_path):
    text = FULL_HEAD + f"2015-12-24 09:31:00,{CALL},1.10,1.30,5,7,1.20,100,40,0.25,0.55,50.5,,\n2015-12-24 09:31:30,{PUT},,,,,,,,,,50.25,0.9,3\n"
    session = importer(v=FULL).load(csv_of(tmp_path, text), KEY, {"rate": "0.01"})
    q, p, t, u = session.quotes, session.published, session.trades, session.underlying_bars
    assert (q.bid.tolist(), q.ask.tolist(), q.bid_size.tolist(), q.ask_size.tolist()) == ([1.1], [1.3], [5.0], [7.0])
    assert (p.last.tolist(), p.volume.tolist(), p.open_interest.tolist(), p.volatility.tolist(), p.delta.tolist()) == ([1.2], [100], [40], [0.25], [0.55])
    assert np.isnan(p.gamma).all()
    assert (t.index.tolist(), t.price.tolist(), t.size.tolist()) == ([1], [0.9], [3.0])
    assert (u.close.tolist(), u.open.tolist(), u.volume.tolist()) == ([50.5, 50.25], [50.5, 50.25], [0.0, 0.0])
    assert session.open_interest[0] == 40 and np.isnan(session.open_interest[1]) and session.rate == 0.01


def test_scales(tmp_path):
    text = FULL_HEAD + f"2015-12-24 09:31:00,{CALL},11000,13000,5,7,12000,100,40,25,0.55,505000,,\n"
    session = importer(v=FULL | {"price_scale": 10_000, "volatility_scale": 100}).load(csv_of(tmp_path, text), KEY)
    assert (session.quotes.bid.tolist(), session.published.last.tolist(), session.published.volatility.tolist()) == ([1.1], [1.2], [0.25])
    assert session.underlying_bars.close.tolist() == [50.5] and session.published.delta.tolist() == [0.55]


@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=30))
def test_scaled_prices_are_the_decimal_ones(ticks):
    scaled = np.round(np.array(ticks, np.float64) / 10_000, 7)
    assert scaled.tolist() == [float(decimal.Decimal(tick) / 10_000) for tick in ticks]


@given(st.lists(st.integers(1, 2_000_000), min_size=1, max_size=30))
def test_prices_stored_in_32_bits_are_the_decimal_ones(cents):
    prices = [cent / 100 for cent in cents if cent < 1_600_000]  # beyond, 32 bits do not tell cents apart
    assert floats(pa.array(prices, pa.float32()), "b", "a", Format()).tolist() == prices


@pytest.mark.parametrize("column", [
    pa.array([1.25, None], pa.float32()), pa.array([decimal.Decimal("1.25"), None]), pa.array(["1.25", "-"]), pa.array(["1.25", None]).dictionary_encode(),
    pa.array([1.25, float("nan")]), pa.array(["1.25", ""], pa.large_string())])
def test_numbers_of_any_stored_type(tmp_path, column):
    path = parquet_of(tmp_path, t=[AT, AT], o=[CALL, PUT], b=column, a=[2, 2])
    np.testing.assert_array_equal(importer(v=BASIC).load(path, KEY).quotes.bid, [1.25, np.nan])


@pytest.mark.parametrize("text", ["", "-", "NaN", "nan", "null", "None", "N/A", "0", "0.0"])
def test_no_price_is_no_price(tmp_path, text):
    quotes = importer(v=BASIC).load(csv_of(tmp_path, f"t,o,b,a\n2015-12-24 09:31:00,{CALL},{text},2\n"), KEY).quotes
    assert np.isnan(quotes.bid).all() and quotes.ask.tolist() == [2.0]


def test_words_for_none_are_the_mappings(tmp_path):
    path = csv_of(tmp_path, f"t,o,b,a\n2015-12-24 09:31:00,{CALL},-9999,2\n")
    assert np.isnan(importer(v=BASIC | {"missing": ["", "-9999"]}).load(path, KEY).quotes.bid).all()
    assert importer(v=BASIC).load(path, KEY).quotes.bid.tolist() == [-9999.0]  # it is the door's to refuse, row by row


def test_figures_that_cannot_be_are_counted(tmp_path):
    text = FULL_HEAD + f"2015-12-24 09:31:00,{CALL},1.10,1.30,5,7,1.20,100,-1,-1,0.55,50.5,,\n"
    session = importer(v=FULL).load(csv_of(tmp_path, text), KEY)
    assert np.isnan(session.open_interest).all() and any(note.startswith("2 volumes, open interests or volatilities below zero") for note in session.notes)


def test_decimal_commas(tmp_path):
    known = importer(v=BASIC | {"delimiter": ";", "decimal": ","})
    assert known.load(csv_of(tmp_path, f"t;o;b;a\n2015-12-24 09:31:00;{CALL};1,25;2,5\n"), KEY).quotes.bid.tolist() == [1.25]
    assert "'1.2.5' as b, expected a number" in refused(known, csv_of(tmp_path, f"t;o;b;a\n2015-12-24 09:31:00;{CALL};1.2.5;2,5\n"))


def test_quotes_and_blanks_in_a_csv(tmp_path):
    text = f'" t ", "o",b ,a\r\n"2015-12-24 09:31:00","{CALL}","1.5",2\r\n\r\n'
    assert importer(v=BASIC).load(csv_of(tmp_path, text.replace(', "o"', ',"o"')), KEY).quotes.bid.tolist() == [1.5]


def test_rows_that_do_not_agree_on_the_underlying(tmp_path):
    head, row = "t,o,b,u\n", "2015-12-24 09:31:00,{},1,{}\n"
    known = importer(v={"names": {"timestamp": "t", "occ": "o", "bid": "b", "underlying_price": "u"}})
    found = [known.load(csv_of(tmp_path, head + "".join(rows)), KEY) for rows in
             ([row.format(CALL, 50), row.format(PUT, 51)], [row.format(PUT, 51), row.format(CALL, 50)])]
    assert [s.underlying_bars.close.tolist() for s in found] == [[50.0], [50.0]]
    assert all(any("do not agree" in note for note in s.notes) for s in found)


def test_rows_outside_the_session_are_told(tmp_path):
    path = csv_of(tmp_path, f"t,o,b,a\n2015-12-24 09:31:00,{CALL},1,2\n2015-12-24 13:05:00,{CALL},1,2\n")
    assert any("1 of 2 rows is outside the session's hours (14:30 to 18:00 UTC)" in note for note in importer(v=BASIC).load(path, KEY).notes)


# ------------------------------------------------------------------------------------------------------------ files

def day_rows() -> list[str]:
    return [f"2015-12-{d} 09:{m}:{s:02d},{occ},{1 + s / 100:.2f},{2 + m / 100:.2f}" for d in (23, 24) for m in range(31, 41) for s in (0, 30) for occ in (CALL, PUT)]


HEAD = "t,o,b,a"


def text_of(rows: list[str]) -> bytes:
    return ("\n".join([HEAD, *rows]) + "\n").encode()


@given(st.permutations(list(range(80))), st.sets(st.integers(1, 79), max_size=4))
def test_order_and_partitioning_do_not_change_the_session(tmp_path_factory, order, cuts):
    folder = tmp_path_factory.mktemp("parts")
    rows = day_rows()
    whole = csv_of(folder.parent, text_of(rows), f"{folder.name}.csv")
    mixed, edges = [rows[i] for i in order], [0, *sorted(cuts), 80]
    for number, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        csv_of(folder, text_of(mixed[start:stop]), f"{number}.csv")
    known = importer(v=BASIC)
    assert known.sessions(folder) == known.sessions(whole)
    assert session_digest(known.load(folder, KEY)) == session_digest(known.load(whole, KEY))


def test_packed_files_are_the_same(tmp_path):
    known, raw = importer(v=BASIC), text_of(day_rows())
    digest = session_digest(known.load(csv_of(tmp_path, raw), KEY))
    half = len(day_rows()) // 2
    csv_of(tmp_path, gzip.compress(raw), "quotes.csv.gz")
    with zipfile.ZipFile(tmp_path / "quotes.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.csv", text_of(day_rows()[:half]))
        z.writestr("b.csv", text_of(day_rows()[half:]))
    for name in ("quotes.csv.gz", "quotes.zip"):
        assert known.recognises(tmp_path / name) and session_digest(known.load(tmp_path / name, KEY)) == digest
        assert len(known.load(tmp_path / name, KEY).files) >= 1


def test_a_folder_of_both_kinds_and_of_others(tmp_path):
    known = importer(v=BASIC)
    csv_of(tmp_path, f"{HEAD}\n2015-12-24 09:31:00,{CALL},1,2\n", "a.csv")
    parquet_of(tmp_path, "b.parquet", t=[AT], o=[PUT], b=[1.0], a=[2.0])
    csv_of(tmp_path, "something,else\n1,2\n", "c.csv")
    csv_of(tmp_path, "notes", "readme.md")
    session = known.load(tmp_path, KEY)
    assert len(session.quotes) == 2 and list(session.files) == ["a.csv", "b.parquet"]
    assert "no mapping fits c.csv: not read" in session.notes
    (tmp_path / "a.csv").unlink()
    (tmp_path / "b.parquet").unlink()
    assert not known.recognises(tmp_path) and "no column mapping fits" in str(pytest.raises(DataError, known.sessions, tmp_path).value)


def test_files_larger_than_a_batch(tmp_path):
    n = 300_000
    ts = nanoseconds(AT) + np.arange(n) * 10_000_000
    path = parquet_of(tmp_path, t=pa.array(ts), o=[CALL, PUT] * (n // 2), b=np.arange(n) / 100 + 1, a=np.arange(n) / 100 + 2)
    lines = "\n".join(f"{t},{o},{b},{b + 1}" for t, o, b in zip(ts.tolist(), [CALL, PUT] * (n // 2), (np.round(np.arange(n) / 100 + 1, 2)).tolist(), strict=True))
    both = csv_of(tmp_path, f"{HEAD}\n{lines}\n")
    known = importer(v=BASIC | {"timestamp_format": "ns"})
    found = [known.load(file, KEY) for file in (path, both)]
    assert len(found[0].quotes) == n
    np.testing.assert_allclose(found[0].quotes.bid, found[1].quotes.bid)
    table = next(tables(both))
    assert sum(batch.num_rows for _, batch in batches(table, {"b": "number"}, Format())) == n
    with pytest.raises(DataError, match="more than 1,000 rows"):
        list(batches(table, {"b": "number"}, Format(), Limits(rows=1000)))


def test_a_file_without_a_last_line_end_is_told(tmp_path):
    known = importer(v=BASIC)
    whole = known.load(csv_of(tmp_path, f"{HEAD}\n2015-12-24 09:31:00,{CALL},1,2.25\n"), KEY)
    cut = known.load(csv_of(tmp_path, f"{HEAD}\n2015-12-24 09:31:00,{CALL},1,2.2"), KEY)
    assert not any("line end" in note for note in whole.notes) and any("may be cut short" in note for note in cut.notes)


# ------------------------------------------------------------------------------------------------------------ mappings

def test_own_names_need_no_mapping(tmp_path):
    for delimiter in ",;\t|":
        row = delimiter.join(("2015-12-24 09:31:00", "XYZ", "2015-12-24", "50", "C", "1.5", "2"))
        path = csv_of(tmp_path, delimiter.join(("timestamp", "root", "expiry", "strike", "right", "bid", "ask")) + f"\n{row}\n")
        assert IMPORTER.recognises(path) and IMPORTER.load(path, KEY).quotes.bid.tolist() == [1.5]
    assert all(name in ColumnNames.model_fields for name in ("timestamp", "root", "expiry", "strike", "right", "bid", "ask"))


def test_the_mapping_that_names_more_is_meant_and_files_decide(tmp_path):
    path = csv_of(tmp_path, f"t,o,b,a,bs\n2015-12-24 09:31:00,{CALL},1,2,9\n")
    more = {"names": BASIC["names"] | {"bid_size": "bs"}}
    assert importer(few=BASIC, more=more).load(path, KEY).quotes.bid_size.tolist() == [9.0]
    assert "the mappings few and same both fit" in refused(importer(few=BASIC, same=BASIC), path)
    assert importer(few=BASIC, same=BASIC | {"files": "other*"}).load(path, KEY).quotes.bid.tolist() == [1.0]


def test_a_column_that_is_not_there_is_never_passed_over(tmp_path):
    path = csv_of(tmp_path, f"t,o,b,Ask\n2015-12-24 09:31:00,{CALL},1,2\n")
    known = importer(v=BASIC)
    assert not known.recognises(path) and "no column 'a', which data.columns.v names" in refused(known, path)
    assert "no column mapping fits its columns t, o, b, Ask" in refused(IMPORTER, path)
    assert "two columns are called 'b'" in refused(known, csv_of(tmp_path, f"t,o,b,a,b\n2015-12-24 09:31:00,{CALL},1,2,3\n"))


@pytest.mark.parametrize(("names", "says"), [
    ({"bid": "b"}, "names no time"), ({"timestamp": "t", "date": "d", "occ": "o", "bid": "b"}, "one way to say when"), ({"time": "t", "occ": "o", "bid": "b"}, "names no time"),
    ({"timestamp": "t", "bid": "b"}, "names no contract"), ({"timestamp": "t", "expiry": "e", "strike": "k", "right": "r", "bid": "b"}, "names no option root"),
    ({"timestamp": "t", "occ": "o"}, "names no value"), ({"timestamp": "t", "occ": "o", "trade_price": "p"}, "a trade has both")])
def test_a_mapping_that_is_not_whole(names, says):
    assert says in incomplete(ColumnsConfig(names=names))
    with pytest.raises(ConfigError, match=r"data\.columns\.v: ") as caught:
        importer(v={"names": names})
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------ mistakes

@pytest.mark.parametrize(("row", "says"), [
    ("2015-12-24 09:31:00,XYZ151224C0005,1,2", "row 2, column o: 'XYZ151224C0005' is no option symbol"), ("soon,{},1,2", "row 2: 'soon' as t, expected a moment"),
    (",{},1,2", "row 2: no t"), ("2015-12-24 09:31:00,,1,2", "row 2: no o"), ("2015-12-24 09:31:00,{},two,2", "row 2: 'two' as b, expected a number"),
    ("2015-12-24 09:31:00,{},inf,2", "row 2: inf as b, expected a finite number"), ("2015-12-24 09:31:00,{},1,-inf", "row 2: -inf as a"),
    ("2015-12-24 09:31:00,{},1", "row 2: 3 columns, its header has 4"), ("2015-12-24 09:31:00,{},1,2,3", "row 2: 5 columns, its header has 4"),
    ("1815-12-24 09:31:00,{},1,2", "row 2: t is not between 1973 and 2100"), ("2015-12-24 09:31:00,XYZ151324C00050000,1,2", "no day 2015-13-24"),
    ("2015-12-24 25:31:00,{},1,2", "row 2: '2015-12-24 25:31:00' as t")])
def test_a_wrong_row_is_named(tmp_path, row, says):
    text = f"{HEAD}\n2015-12-24 09:31:00,{CALL},1,2\n{row.format(CALL)}\n2015-12-24 09:31:30,{CALL},1,2\n"
    assert says in refused(importer(v=BASIC), csv_of(tmp_path, text))


@pytest.mark.parametrize(("change", "says"), [
    ({"e": "24/12/2015"}, "row 2: '24/12/2015' as e, expected a date such as 2015-12-24"), ({"r": "X"}, "row 2: 'X' as r, expected call or put"),
    ({"k": "0"}, "row 2: a strike of 0 dollars"), ({"k": "500000"}, "a strike of 500000 dollars"), ({"k": "inf"}, "a strike of inf"), ({"k": ""}, "a strike of nan"),
    ({"root": "X Z"}, "row 2: 'X Z' as root, expected an option root"), ({"root": "TOOLONGROOT"}, "expected an option root"), ({"e": "1815-12-24"}, "expected a date")])
def test_a_wrong_contract_is_named(tmp_path, change, says):
    good = {"t": "2015-12-24 09:31:00", "root": "XYZ", "e": "2015-12-24", "k": "50", "r": "C", "b": "1"}
    known = importer(v={"names": {"timestamp": "t", "root": "root", "expiry": "e", "strike": "k", "right": "r", "bid": "b"}})
    text = "\n".join([",".join(good), ",".join(good.values()), ",".join((good | change).values())]) + "\n"
    assert says in refused(known, csv_of(tmp_path, text))


@pytest.mark.parametrize(("columns", "says"), [
    ({"b": [[1.0]]}, "column b is list"), ({"b": [{"x": 1}]}, "column b is struct"), ({"t": pa.array([None], pa.timestamp("ns"))}, "row 1: no t"),
    ({"b": [float("inf")]}, "inf as b"), ({"o": [5]}, "'5' is no option symbol"), ({"o": pa.array([b"\xff"])}, "is no option symbol"), ({"t": [True]}, "as t, expected a moment")])
def test_wrong_types_of_a_parquet(tmp_path, columns, says):
    path = parquet_of(tmp_path, **({"t": [AT], "o": [CALL], "b": [1.0], "a": [2.0]} | columns))
    assert says in refused(importer(v=BASIC), path)


@pytest.mark.parametrize("tenth", range(1, 20))
def test_a_damaged_parquet_is_one_line(tmp_path, tenth):
    n = 5000
    path = parquet_of(tmp_path, t=pa.array(nanoseconds(AT) + np.arange(n)), o=[CALL] * n, b=np.arange(n) / 100 + 1, a=np.arange(n) / 100 + 2)
    raw = bytearray(path.read_bytes())
    for at in range(len(raw) * tenth // 20, min(len(raw), len(raw) * tenth // 20 + 40)):
        raw[at] ^= 0x5A
    path.write_bytes(bytes(raw))
    try:
        importer(v=BASIC | {"timestamp_format": "ns"}).load(path, KEY)
    except UserError as error:
        assert "\n" not in str(error) and path.name in str(error)


def test_an_encrypted_parquet_and_bombs(tmp_path):
    known = importer(v=BASIC)
    path = csv_of(tmp_path, b"PARE" + bytes(100) + b"PARE", "e.parquet")
    assert "an encrypted Parquet file" in refused(known, path)
    assert "as a bomb does" in refused(known, csv_of(tmp_path, gzip.compress(f"{HEAD}\n".encode() + f"2015-12-24 09:31:00,{CALL},1,2\n".encode() * 2_000_000), "bomb.csv.gz"))
    assert "cut short" in refused(known, csv_of(tmp_path, gzip.compress(text_of(day_rows()))[:-30], "cut.csv.gz"))
    footer = (1 << 30).to_bytes(4, "little")
    assert "not a whole Parquet file" in refused(known, csv_of(tmp_path, b"PAR1" + bytes(100) + footer + b"PAR1", "long.parquet"))


@given(st.binary(max_size=400))
def test_any_bytes_are_one_line(tmp_path_factory, raw):
    folder = tmp_path_factory.mktemp("junk")
    for name in ("a.csv", "a.parquet"):
        path = csv_of(folder, raw, name)
        with pytest.raises(DataError) as caught:
            importer(v=BASIC).sessions(path)
        assert "\n" not in str(caught.value)
        assert not importer(v=BASIC).recognises(path)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_any_damage_to_a_csv_is_a_result_or_one_line(tmp_path_factory, at, junk):
    raw = bytearray(text_of(day_rows()[:8]))
    raw[at % len(raw):at % len(raw) + len(junk)] = junk
    path = csv_of(tmp_path_factory.mktemp("bent"), bytes(raw))
    known = importer(v=BASIC)
    try:
        for key in known.sessions(path):
            assert len(known.load(path, key).contracts)
    except UserError as error:
        assert isinstance(error, DataError) and "\n" not in str(error)


def test_a_day_when_the_market_was_closed(tmp_path):
    path = csv_of(tmp_path, f"{HEAD}\n2015-12-25 09:31:00,{CALL},1,2\n")
    assert "when the market was closed" in refused(importer(v=BASIC), path, SessionKey("XYZ", DAY + timedelta(days=1), "columns"))
