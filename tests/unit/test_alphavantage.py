"""Alpha Vantage's option chains: texts to numbers, refusals to one line, a date to the close of its session."""

import json
import zipfile
from datetime import UTC, date, datetime

import numpy as np
import pytest

from quanticity.core.errors import DataError, UserError
from quanticity.feeds.alphavantage import IMPORTER
from quanticity.feeds.importing import SessionKey
from quanticity.market.chain import timestamp
from quanticity.market.session import session_digest

# two rows of the answer that the documentation of HISTORICAL_OPTIONS shows (IBM, 2017-11-15)
CALL = {"contractID": "IBM171117C00100000", "symbol": "IBM", "expiration": "2017-11-17", "strike": "100.00", "type": "call", "last": "44.00", "mark": "49.20",
        "bid": "48.35", "bid_size": "36", "ask": "50.05", "ask_size": "76", "volume": "0", "open_interest": "0", "date": "2017-11-15",
        "implied_volatility": "2.98014", "delta": "0.98427", "gamma": "0.00051", "theta": "-0.55110", "vega": "0.00247", "rho": "0.00531"}
PUT = CALL | {"contractID": "IBM171117P00100000", "type": "put", "last": "0.00", "mark": "0.00", "bid": "0.00", "bid_size": "0", "ask": "0.02", "ask_size": "9",
              "open_interest": "27", "delta": "-0.00124", "rho": "-0.00001"}
KEY = SessionKey("IBM", date(2017, 11, 15), "alphavantage")


def file_of(folder, *rows, name="ibm.json", **envelope):
    path = folder / name
    path.write_text(json.dumps({"endpoint": "Historical Options", "message": "success", "data": list(rows)} | envelope))
    return path


def refused(path, key=KEY, **options):
    with pytest.raises(UserError) as caught:
        IMPORTER.load(path, key, options)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 600
    return text


def test_a_chain_as_documented(tmp_path):
    path = file_of(tmp_path, CALL, PUT)
    assert IMPORTER.recognises(path) and IMPORTER.sessions(path) == (KEY,)
    session = IMPORTER.load(path, KEY, {"rate": "0.01", "dividend": "0.04"})
    assert session.contracts.occ() == ["IBM171117C00100000", "IBM171117P00100000"]
    assert (session.rate, session.dividend, session.source) == (0.01, 0.04, "alphavantage")
    quotes = session.quotes
    np.testing.assert_array_equal(quotes.bid, [48.35, np.nan])
    np.testing.assert_array_equal(quotes.ask, [50.05, 0.02])
    assert (quotes.bid_size.tolist(), quotes.ask_size.tolist()) == ([36, 0], [76, 9])
    published = session.published
    assert (published.delta.tolist(), published.open_interest.tolist(), published.volatility.tolist()) == ([0.98427, -0.00124], [0, 27], [2.98014, 2.98014])
    assert session.open_interest.tolist() == [0, 27] and not len(session.trades) and not len(session.underlying_bars)
    assert list(session.files) == ["ibm.json"]
    assert any("no price of the underlying" in note for note in session.notes) and any("as of the close" in note for note in session.notes)


def test_a_chain_is_as_of_the_close_of_its_root(tmp_path):
    rows = [CALL | {"contractID": occ, "symbol": "SPX", "strike": "4700.00", "date": "2023-12-15"} for occ in ("SPX240119C04700000", "SPXW240116C04700000")]
    path = file_of(tmp_path, *rows)
    keys = IMPORTER.sessions(path)
    assert [k.symbol for k in keys] == ["SPX", "SPXW"]
    for key in keys:
        assert timestamp(IMPORTER.load(path, key).quotes.ts[0]) == datetime(2023, 12, 15, 21, 15, tzinfo=UTC)
    stock = IMPORTER.load(file_of(tmp_path, CALL, name="b.json"), KEY)
    assert timestamp(stock.quotes.ts[0]) == datetime(2017, 11, 15, 21, 0, tzinfo=UTC)


def test_the_option_at_says_when(tmp_path):
    path = file_of(tmp_path, CALL)
    session = IMPORTER.load(path, KEY, {"at": "11:30"})
    assert timestamp(session.quotes.ts[0]) == datetime(2017, 11, 15, 16, 30, tzinfo=UTC)
    assert any("as of 11:30" in note for note in session.notes)
    assert "wants a time of day in New York" in refused(path, at="noon")
    assert "no option 'when'; it knows rate, dividend" in refused(path, when="noon")


def test_realtime_without_greeks(tmp_path):
    row = {name: value for name, value in CALL.items() if name not in ("implied_volatility", "delta", "gamma", "theta", "vega", "rho")}
    session = IMPORTER.load(file_of(tmp_path, row, endpoint="Realtime Options"), KEY)
    assert np.isnan(session.published.volatility).all() and session.published.last.tolist() == [44.0]


@pytest.mark.parametrize("text", ["", "-", "None", "N/A", None])
def test_what_means_none_is_none(tmp_path, text):
    session = IMPORTER.load(file_of(tmp_path, CALL | {"bid": text, "implied_volatility": text}), KEY)
    assert np.isnan(session.quotes.bid).all() and session.quotes.bid_size.tolist() == [0.0] and np.isnan(session.published.volatility).all()


def test_numbers_that_are_no_texts(tmp_path):
    row = CALL | {"strike": 100, "bid": 48.35, "volume": 7}
    assert IMPORTER.load(file_of(tmp_path, row), KEY).quotes.bid.tolist() == [48.35]


@pytest.mark.parametrize(("change", "says"), [
    ({"bid": "a lot"}, "ibm.json, row 2: 'a lot' as bid, expected a number"), ({"ask": "inf"}, "row 2: inf as ask, expected a finite number"),
    ({"ask": ["1"]}, "row 2: \"['1']\" as ask, expected a number"),
    ({"delta": "1e999"}, "row 2: inf as delta"), ({"strike": "101.00"}, "contractID 'IBM171117P00100000' with strike '101.00'"),
    ({"type": "call"}, "with strike '100.00' and type 'call'"), ({"date": "15/11/2017"}, "'15/11/2017' as date, expected YYYY-MM-DD"),
    ({"contractID": "no symbol"}, "row 2: 'no symbol' is no option symbol"), ({"contractID": None}, "row 2: no contractID or no date"), ({"date": 20171115}, "no contractID or no date")])
def test_a_wrong_row_is_named(tmp_path, change, says):
    assert says in refused(file_of(tmp_path, CALL, PUT | change))


@pytest.mark.parametrize("body", [
    {"Information": "Thank you for using Alpha Vantage! Please consider spreading out your free API requests more sparingly (25 requests per day)."},
    {"Note": "Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute and 500 calls per day."},
    {"Error Message": "the parameter apikey is invalid or missing. Please claim your free API key on (https://www.alphavantage.co/support/#api-key)."}])
def test_a_refusal_is_recognised_and_told(tmp_path, body):
    path = tmp_path / "ibm.json"
    path.write_text(json.dumps(body))
    assert IMPORTER.recognises(path) == ("Alpha Vantage" in str(body))
    text = refused(path)
    assert "ibm.json: Alpha Vantage refused: " in text and next(iter(body.values()))[:60] in text
    with pytest.raises(DataError):
        IMPORTER.sessions(path)


def test_a_refusal_does_not_tell_the_key(tmp_path):
    path = tmp_path / "ibm.json"
    path.write_text(json.dumps({"Information": "We have detected your API key as QWERTZUIOPASDF12 and our standard API rate limit is 25 requests per day."}))
    assert "QWERTZ" not in refused(path) and "25 requests" in refused(path)


def test_no_data_is_one_line(tmp_path):
    text = refused(file_of(tmp_path, message="No data for symbol IBM on date 2017-11-18, please specify a valid combination of symbol and trading day."))
    assert "ibm.json: no option in it (No data for symbol IBM on date 2017-11-18" in text


def test_a_day_without_a_session(tmp_path):
    path = file_of(tmp_path, CALL | {"date": "2017-11-18"})
    assert "data of IBM for 2017-11-18, when the market was closed" in refused(path, SessionKey("IBM", date(2017, 11, 18), "alphavantage"))


def test_an_adjusted_root_is_a_session_of_its_own(tmp_path):
    path = file_of(tmp_path, CALL, CALL | {"contractID": "IBM1171117C00100000"})
    assert [k.symbol for k in IMPORTER.sessions(path)] == ["IBM", "IBM1"]
    session = IMPORTER.load(path, SessionKey("IBM1", KEY.day, "alphavantage"))
    assert len(session.contracts) == 1 and np.isnan(session.contracts.multiplier).all() and any("adjusted" in note for note in session.notes)


def test_a_folder_and_a_zip_are_read_as_one(tmp_path):
    whole = file_of(tmp_path, CALL, PUT)
    days = tmp_path / "days"
    days.mkdir()
    file_of(days, CALL, name="a.json")
    file_of(days, PUT, name="b.json")
    file_of(days, CALL | {"date": "2017-11-14"}, name="c.json")
    (days / "readme.txt").write_text("not JSON")
    assert IMPORTER.recognises(days)
    assert [k.day for k in IMPORTER.sessions(days)] == [date(2017, 11, 14), date(2017, 11, 15)]
    session = IMPORTER.load(days, KEY)
    assert session_digest(session) == session_digest(IMPORTER.load(whole, KEY)) and list(session.files) == ["a.json", "b.json"]
    with zipfile.ZipFile(tmp_path / "days.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for file in sorted(days.glob("*.json")):
            z.write(file, file.name)
    assert IMPORTER.recognises(tmp_path / "days.zip")
    assert session_digest(IMPORTER.load(tmp_path / "days.zip", KEY)) == session_digest(session)
    (days / "d.json").write_text(json.dumps({"Note": "Thank you for using Alpha Vantage!"}))
    assert "d.json: Alpha Vantage refused" in refused(days)  # a day that is missing is not passed over


def test_other_json_is_not_recognised(tmp_path):
    for number, body in enumerate(({"timestamp": "2026-01-12", "data": {"options": [{"option": "X"}]}}, [], {"Note": "nothing of theirs"}, {"endpoint": "Global Quote"})):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(body))
        assert not IMPORTER.recognises(path)
        assert f"{number}.json" in refused(path)
