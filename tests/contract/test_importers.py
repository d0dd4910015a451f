"""What every importer promises: one suite, run over each format that the configuration names."""

import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.clock import option_close, session_hours
from quanticity.core.config import Config, DataConfig
from quanticity.core.errors import DataError, DataMissing, UserError
from quanticity.core.reasons import Reason
from quanticity.feeds import alphavantage, columns
from quanticity.feeds.importing import Importer, SessionKey, detect, importers
from quanticity.market.chain import nanoseconds, timestamp
from quanticity.market.quality import screen_session
from quanticity.market.session import MarketSession, session_digest

from . import samples

SAMPLES = samples.SAMPLES
EVERY = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
MOST_MEGABYTES = 300  # that a hostile file may cost


def configured() -> Mapping[str, Importer]:
    config = Config(data=samples.MAPPINGS)
    return importers(config.data.importers, config.data)


def whole(importer: Importer, path: Path) -> list[MarketSession]:
    """Everything that is in there, each session held against the rules."""
    out = []
    for key in importer.sessions(path):
        session = importer.load(path, key)
        assert (session.symbol, session.date, session.source) == (key.symbol, key.day, key.source)
        keeps_the_rules(session)
        out.append(session)
    return out


def keeps_the_rules(session: MarketSession, exact: bool = True) -> None:
    contracts = session.contracts
    hours = session_hours(session.date)
    assert hours is not None and session.opens == hours.opens and session.closes == option_close(session.symbol, session.date)
    assert session.opens.utcoffset().total_seconds() == 0 and session.closes.utcoffset().total_seconds() == 0
    names = contracts.occ()
    assert len(names) == len(set(names)) > 0
    assert (contracts.strike > 0).all() and (contracts.multiplier > 0).all()
    for name, tape in session.tapes().items():
        assert len({len(getattr(tape, f.name)) for f in fields(tape)}) == 1, name
        if len(tape):
            assert tape.ts.dtype == np.int64 and tape.ts.max() <= nanoseconds(session.closes), name  # nothing from the future
            assert timestamp(int(tape.ts.min())).astimezone(samples.NEW_YORK).date() == session.date, name
        for f in fields(tape):
            column = getattr(tape, f.name)
            assert column.dtype != np.float64 or not np.isinf(column).any(), (name, f.name)
    for tape in (session.quotes, session.trades, session.published):
        assert not len(tape) or (tape.index.min() >= 0 and tape.index.max() < len(contracts))
    q = session.quotes
    for price, size in ((q.bid, q.bid_size), (q.ask, q.ask_size)):
        absent = np.isnan(price)
        assert (price[~absent] > 0).all() and (np.isnan(size) | (size >= 0)).all() and (size[absent] == 0).all()
    assert (session.trades.price > 0).all() and (session.trades.size > 0).all()
    assert len(session.open_interest) == len(session.prior_volatility) == len(contracts)
    assert (session.open_interest[~np.isnan(session.open_interest)] >= 0).all()
    assert all(np.isfinite([session.rate, session.dividend]))
    assert all(len(sha) == 64 for sha in session.files.values())
    assert all("\n" not in note and note for note in session.notes)


def refusal(importer: Importer, path: Path, *names: str) -> str:
    """The single line that a path gets, which names one of `names` (default: the path's own name)."""
    with pytest.raises(DataError) as caught:
        found = whole(importer, path)
        pytest.fail(f"{path.name} gave {len(found)} sessions")
    return one_line(caught.value, *(names or (path.name,)))


def one_line(error: Exception, *names: str) -> str:
    text = str(error)
    assert text and "\n" not in text and len(text) < 1000, text
    assert any(name in text for name in names), (text, names)
    return text


def either(importer: Importer, path: Path, *names: str) -> list[MarketSession] | str:
    """A right result, or one clear line."""
    try:
        return whole(importer, path)
    except UserError as error:
        assert isinstance(error, DataError), error
        return one_line(error, *(names or (path.name,)))


# ---------------------------------------------------------------------------------------------------- what is promised

def test_the_suite_has_every_format_of_the_configuration():
    assert {sample.importer.name for sample in SAMPLES} == set(DataConfig().importers) == set(configured())


@EVERY
def test_sessions_are_what_load_gives(sample, tmp_path):
    path = sample.write(tmp_path)
    keys = sample.importer.sessions(path)
    assert keys == tuple(sorted(set(keys)))
    assert [key.symbol for key in keys] == list(sample.roots) and {key.day for key in keys} == {samples.DAY}
    for session in whole(sample.importer, path):
        assert len(session.quotes) > 0 and len(session.contracts) >= 6
        assert session.files


@EVERY
def test_each_recognises_its_own_and_nobody_elses(sample, tmp_path):
    path = sample.write(tmp_path)
    known = configured()
    assert [name for name, importer in known.items() if importer.recognises(path)] == [sample.importer.name]
    assert detect(path, known).name == sample.importer.name


@EVERY
def test_rows_stand_at_the_right_moment(sample, tmp_path):
    path = sample.write(tmp_path)
    for session in whole(sample.importer, path):
        seen = sorted({timestamp(ts).replace(microsecond=0) for ts in session.quotes.ts.tolist()})
        assert tuple(seen) == tuple(sorted({*sample.moments, *(sample.expiring if session.symbol == "SPXW" else ())}))
        last = session.contracts.expires_at[session.quotes.index]
        assert (session.quotes.ts <= last).all()  # so the door refuses none as expired


def dated_csv(folder: Path) -> Path:
    """The same day as a table of one's own with a date and no time."""
    rows = [f"{samples.DAY},{r.occ},{r.bid},{r.ask}" for r in samples.market(samples.DAY)]
    (folder / "dated.csv").write_text("\n".join(["day,contract,bid,ask", *rows]) + "\n")
    return folder / "dated.csv"


def test_a_chain_with_a_date_only_loses_no_row_of_what_expires_that_day(tmp_path):
    mapping = DataConfig(columns={"dated": {"names": {"date": "day", "occ": "contract", "bid": "bid", "ask": "ask"}}})
    for importer, path in ((columns.IMPORTER.configured(mapping), dated_csv(tmp_path)), (alphavantage.IMPORTER, samples.write_alphavantage(tmp_path))):
        session = importer.load(path, SessionKey("SPXW", samples.DAY, importer.name))
        today = session.contracts.expiry_day[session.quotes.index] == session.contracts.expiry_day.min()
        assert [timestamp(t) for t in np.unique(session.quotes.ts[today])] == [samples.utc(samples.DAY, 16, 0)]
        assert [timestamp(t) for t in np.unique(session.quotes.ts[~today])] == [samples.utc(samples.DAY, 16, 15)]
        refused = screen_session(session).findings.quarantined.counts()
        assert Reason.EXPIRED not in refused and today.sum() == 10


def test_a_contract_that_stopped_the_day_before_is_refused_on_its_expiry_day(tmp_path):
    friday = date(2026, 1, 16)  # SPX settles in the morning, SPXW of the same day trades to 16:00
    rows = [f"{friday},{root}260116{right}07000000,1,2" for root in ("SPX", "SPXW") for right in "CP"]
    (tmp_path / "dated.csv").write_text("\n".join(["day,contract,bid,ask", *rows]) + "\n")
    importer = columns.IMPORTER.configured(DataConfig(columns={"dated": {"names": {"date": "day", "occ": "contract", "bid": "bid", "ask": "ask"}}}))
    refused = {}
    for root in ("SPX", "SPXW"):
        session = importer.load(tmp_path / "dated.csv", SessionKey(root, friday, "columns"))
        refused[root] = screen_session(session).findings.quarantined.counts().get(Reason.EXPIRED, 0)
        assert any("stopped trading before the session" in note for note in session.notes) == (root == "SPX")
    assert refused == {"SPX": 2, "SPXW": 0}


@EVERY
def test_values_are_those_of_the_file(sample, tmp_path):
    if sample.name == "lean":
        session, = whole(sample.importer, sample.write(tmp_path))
        row = session.contracts.occ().index("XYZ260112P00105000")
        of = session.quotes.index == row
        np.testing.assert_array_equal(session.quotes.bid[of], [6.0, 6.01, 6.02, 6.03, 6.04])
        return
    minutes = {moment.minute: moment for moment in sample.moments}
    for session in whole(sample.importer, sample.write(tmp_path)):
        names = session.contracts.occ()
        for minute, moment in minutes.items():
            expected = {r.occ: (r.bid, r.ask) for r in samples.market(samples.DAY, minute if len(minutes) > 1 else 0) if r.root == session.symbol}
            stood = np.array([nanoseconds(at) for at in (moment, *sample.expiring)])
            near = (np.abs(session.quotes.ts[:, None] - stood) < 10**9).any(axis=1)
            q = session.quotes.where(near)
            assert {names[i]: (b, a) for i, b, a in zip(q.index.tolist(), q.bid.tolist(), q.ask.tolist(), strict=True)} == expected
        if len(session.published):
            by_name = dict(zip(names, session.open_interest.tolist(), strict=True))
            assert by_name == {r.occ: r.open_interest for r in samples.market(samples.DAY) if r.root == session.symbol}
            assert set(session.published.volatility.tolist()) == {r.volatility for r in samples.market(samples.DAY)}


@EVERY
def test_twice_is_the_same(sample, tmp_path):
    path = sample.write(tmp_path)
    first, second = whole(sample.importer, path), whole(sample.importer, path)
    assert [session_digest(s) for s in first] == [session_digest(s) for s in second]
    assert [s.files for s in first] == [s.files for s in second] and [s.notes for s in first] == [s.notes for s in second]


@EVERY
@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_rows_and_contracts_does_not_matter(sample, seed, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, shuffled = sample.write(tmp_path / "a"), sample.write(tmp_path / "b", seed=seed)
    assert [session_digest(s) for s in whole(sample.importer, plain)] == [session_digest(s) for s in whole(sample.importer, shuffled)]


@EVERY
def test_another_value_is_another_session(sample, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, other = sample.write(tmp_path / "a"), sample.write(tmp_path / "b", bid="12")
    assert [session_digest(s) for s in whole(sample.importer, plain)] != [session_digest(s) for s in whole(sample.importer, other)]


@EVERY
def test_a_session_that_is_not_there_is_missing(sample, tmp_path):
    path = sample.write(tmp_path)
    for key in (SessionKey("NONE", samples.DAY, sample.importer.name), SessionKey(sample.roots[0], date(2026, 1, 13), sample.importer.name)):
        with pytest.raises(DataMissing) as caught:
            sample.importer.load(path, key)
        assert sample.roots[0] in one_line(caught.value, path.name) or str(samples.DAY) in str(caught.value)


@EVERY
def test_an_unknown_option_is_refused(sample, tmp_path):
    path = sample.write(tmp_path)
    with pytest.raises(UserError, match="no option 'colour'"):
        sample.importer.load(path, sample.importer.sessions(path)[0], {"colour": "red"})


@EVERY
def test_nothing_there_is_one_line(sample, tmp_path):
    nothing = tmp_path / "nothing.json"
    assert not sample.importer.recognises(nothing)
    with pytest.raises(DataMissing) as caught:
        sample.importer.sessions(nothing)
    one_line(caught.value, "nothing.json")
    (tmp_path / "empty folder").mkdir()
    assert not sample.importer.recognises(tmp_path / "empty folder")
    assert not sample.importer.recognises(Path("a\0b"))


# ----------------------------------------------------------------------------------------------------- hostile content

@EVERY
@pytest.mark.parametrize("other", SAMPLES, ids=lambda sample: sample.name)
def test_a_file_of_another_format(sample, other, tmp_path):
    if other.importer.name == sample.importer.name:
        pytest.skip("its own")
    path = other.write(tmp_path)
    assert not sample.importer.recognises(path)
    refusal(sample.importer, path)
    for file in other.files(path)[:1]:  # and in the place of one of its own
        (tmp_path / "own").mkdir(exist_ok=True)
        own = sample.write(tmp_path / "own")
        target = sample.files(own)[0]
        target.write_bytes(file.read_bytes())
        refusal(sample.importer, own, target.name, own.name, "session SPX")


@EVERY
def test_an_empty_file(sample, tmp_path):
    for number in range(len(sample.files(sample.write(tmp_path)))):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = sample.write(folder)
        file = sample.files(path)[number]
        file.write_bytes(b"")
        refusal(sample.importer, path, file.name, file.parent.name)


@EVERY
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_truncated_file(sample, tenth, tmp_path):
    path = sample.write(tmp_path)
    rows = sum(len(session.quotes) for session in whole(sample.importer, path))
    file = sample.files(path)[0]
    raw = file.read_bytes()
    file.write_bytes(raw[:len(raw) * tenth // 10])
    found = either(sample.importer, path, file.name, file.parent.name)
    if isinstance(found, list):  # a table of lines, cut behind one of them: what is there is right, and less
        assert sample.name in ("cboe csv", "columns csv")
        assert sum(len(session.quotes) for session in found) < rows


@EVERY
def test_every_file_cut_in_the_middle(sample, tmp_path):
    for number in range(len(sample.files(sample.write(tmp_path)))):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = sample.write(folder)
        file = sample.files(path)[number]
        file.write_bytes(file.read_bytes()[:file.stat().st_size // 2])
        found = either(sample.importer, path, file.name, file.parent.name)
        assert isinstance(found, str) or sample.name in ("cboe csv", "columns csv")


@EVERY
def test_ten_years_old(sample, tmp_path):
    sessions = whole(sample.importer, sample.old(tmp_path))
    assert sessions and all(session.date.year <= 2015 and len(session.quotes) for session in sessions)


def hostile_zip(path: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, body in members.items():
            z.writestr(name, body)


@EVERY
@pytest.mark.parametrize("kind", ["bomb", "path", "absolute", "nested", "nothing"])
def test_a_hostile_zip(sample, kind, tmp_path):
    path = sample.write(tmp_path)
    target = sample.files(path)[0]
    if kind == "bomb":
        hostile_zip(target, {f"{i}.csv": bytes(20 << 20) for i in range(8)})
    elif kind == "nested":
        hostile_zip(tmp_path / "inner.zip", {"a.csv": b"1,2\n"})
        hostile_zip(target, {"inner.zip": (tmp_path / "inner.zip").read_bytes()})
    else:
        hostile_zip(target, {"path": {"../../quotes.csv": b"1,2\n"}, "absolute": {"/etc/quotes.csv": b"1,2\n"}, "nothing": {}}[kind])
    refusal(sample.importer, path, target.name, target.parent.name)
    assert not list(tmp_path.parent.glob("quotes.csv"))


@EVERY
@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf", "Infinity", "1e999"])
def test_nan_and_infinities(sample, text, tmp_path):
    if sample.name in ("columns parquet", "recording") and text not in ("nan", "inf", "-inf"):
        pytest.skip("a stored number")
    if sample.name == "recording" and text != "nan":
        pytest.skip("an importer lets no infinity through, so none is ever recorded")
    path = sample.write(tmp_path, bid=text)
    found = either(sample.importer, path, *(file.name for file in sample.files(path)))
    if isinstance(found, list):  # no price at all, never a wrong one
        assert sum(int(np.isnan(session.quotes.bid).sum()) for session in found) == 1


ODD = ("nan", "NaN", "inf", "-inf", "Infinity", "1e400", "-5", "1,234", "", "--", "N/A", "x", "1_000")
NEVER_BELOW_ZERO = {"bid", "ask", "bid_size", "ask_size", "price", "size", "last", "volume", "open_interest", "interest", "volatility", "close"}


def written(sample, text: str) -> str | None:
    """A value as a vendor's file would have it; None where the format cannot say it."""
    if sample.name == "columns parquet":
        return text if text in ("nan", "inf", "-inf", "-5") else None  # a stored number
    if sample.name == "cboe json":
        return f'"{text}"'
    if sample.name == "alphavantage" or "," not in text:
        return text if text or sample.name == "alphavantage" else " "
    return f'"{text}"'


def figures(session: MarketSession, column: str) -> list[float]:
    """Every value of a column, wherever a session has it."""
    if column == "interest":
        return session.open_interest.tolist()
    return [value for tape in session.tapes().values() for value in getattr(tape, column, np.empty(0)).tolist()]


def odd_value(sample, folder: Path, name: str, column: str, text: str, plain: list[MarketSession]) -> None:
    """What becomes of a file with one odd figure in it: one line that names file, place and column, or a right result."""
    path = sample.write(folder, bid=written(sample, text), field=name)
    try:
        found = [sample.importer.load(path, key) for key in sample.importer.sessions(path)]
    except DataError as error:
        said = one_line(error, *(file.name for file in sample.files(path)))
        assert re.search(r"\b(row|line) \d", said) or name in ("Last", "current_price"), (name, text, said)
        assert name.removeprefix("trade ").removeprefix("stock ") in said, (name, text, said)
        return
    assert text not in ("inf", "-inf", "Infinity", "1e400", "x", "1_000"), (name, text, "was taken")
    for session, before in zip(found, plain, strict=True):
        kept = screen_session(session).session
        for value in ([] if not column else figures(kept, column)):
            assert not np.isinf(value) and not (value < 0 and column in NEVER_BELOW_ZERO), (name, text, value)
        was, now = (Counter("nan" if v != v else round(v, 6) for v in figures(s, column)) for s in (before, session)) if column else ({}, {})
        new = set(now - was) if column else set()
        number = float(text.replace(",", "")) if text in ("-5", "1,234") else 0.0
        assert new <= {"nan", 0.0, number, number / 100}, (name, text, new)  # the columns sample has cents and percents


@EVERY
def test_every_figure_that_is_none(sample, tmp_path):
    """A table of texts that are no plain numbers in the place of each figure of each format."""
    if not sample.fields:
        pytest.skip("an importer lets none through, so none is ever recorded")
    (tmp_path / "plain").mkdir()
    plain = whole(sample.importer, sample.write(tmp_path / "plain"))
    for name, column in sample.fields.items():
        for number, text in enumerate(ODD):
            if written(sample, text) is not None:
                folder = tmp_path / f"{name} {number}"
                folder.mkdir()
                odd_value(sample, folder, name, column, text, plain)


def test_sizes_that_a_file_does_not_tell_are_not_known(tmp_path):
    """Nobody says how many contracts stand behind these quotes: that is not none."""
    (tmp_path / "a").mkdir()
    dated = dated_csv(tmp_path / "a")
    mapping = DataConfig(columns={"dated": {"names": {"date": "day", "occ": "contract", "bid": "bid", "ask": "ask"}}})
    csv_sample = next(sample for sample in SAMPLES if sample.name == "cboe csv")
    for session in whole(columns.IMPORTER.configured(mapping), dated) + whole(csv_sample.importer, csv_sample.write(tmp_path)):
        q = session.quotes
        assert np.isnan(q.bid_size[~np.isnan(q.bid)]).all() and np.isnan(q.ask_size[~np.isnan(q.ask)]).all()
        screened = screen_session(session)
        assert len(screened.session.quotes) == len(q) and Reason.ZERO_SIZE not in screened.findings.counts() and Reason.NOT_A_NUMBER not in screened.findings.counts()


@pytest.mark.parametrize("name", ["cboe json", "cboe csv", "alphavantage"])
def test_one_moment_of_a_day_has_no_gaps(name, tmp_path):
    sample = next(sample for sample in SAMPLES if sample.name == name)
    of_one = [session for session in whole(sample.importer, sample.write(tmp_path)) if len(np.unique(session.quotes.ts)) == 1]
    assert of_one
    for session in of_one:
        screened = screen_session(session)
        assert Reason.GAP not in screened.findings.counts() and screened.score.total > 0.7, (session.symbol, screened.score)


@EVERY
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_other_encodings(sample, encoding, tmp_path):
    if not sample.encodings:
        pytest.skip("no text")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, other = sample.write(tmp_path / "a"), sample.write(tmp_path / "b", encoding=encoding)
    found = either(sample.importer, other)
    assert isinstance(found, list), found
    assert [session_digest(s) for s in found] == [session_digest(s) for s in whole(sample.importer, plain)]
    assert sample.importer.recognises(other)


@EVERY
def test_bytes_that_are_no_text(sample, tmp_path):
    path = sample.write(tmp_path)
    target = sample.files(path)[0]
    for junk in (bytes(range(256)) * 40, b"\x00" * 5000, b"\xff\xfe" + b"\xd8" * 4001, b"\x89PNG\r\n\x1a\n" + bytes(100)):
        target.write_bytes(junk)
        refusal(sample.importer, path, target.name, target.parent.name)
        assert sample.importer.recognises(path) in (True, False)


# A file of its own process: the memory that it takes is seen in the process' own peak.
_MEASURE = """
import json, resource, sys, pathlib
sys.path.insert(0, sys.argv[1])
import samples
from quanticity.core.errors import DataError
def peak(reset=False):
    if sys.platform == "linux":  # ru_maxrss is inherited from the parent there
        if reset: pathlib.Path("/proc/self/clear_refs").write_text("5")
        return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
import pyarrow.csv, pyarrow.parquet, pyarrow.compute
for name, path in json.loads(sys.argv[2]):
    importer = next(s.importer for s in samples.SAMPLES if s.name == name)
    before = peak(reset=True)
    importer.recognises(pathlib.Path(path))
    try:
        for key in importer.sessions(pathlib.Path(path)): importer.load(pathlib.Path(path), key)
        said = ""
    except DataError as error:
        said = str(error)
    print(json.dumps([name, said, peak() - before]))
"""


def wide_file(target: Path, columns: int, text: bool) -> None:
    """As many columns: the header line of a table, or the keys of one object."""
    block = b'"a":1,' if not text else b"a,"
    with target.open("wb") as file:
        if not text:
            file.write(b'{"endpoint":"Historical Options","options":[{"option":1}],"timestamp":{' if target.name == "_SPX.json" else b'{"endpoint":"Historical Options",')
        for _ in range(columns // 100_000):
            file.write(block * 100_000)


@pytest.mark.slow
def test_a_billion_columns_are_refused_with_little_memory(tmp_path):
    """Twenty million columns or keys a file here (40 to 120 MB of it); what is looked at does not grow with them."""
    jobs = []
    for sample in SAMPLES:
        folder = tmp_path / sample.name
        folder.mkdir()
        path = sample.write(folder)
        target = sample.files(path)[0]
        if sample.name == "lean":
            body = b"1," * 20_000_000
            hostile_zip(target, {zipfile.ZipFile(target).namelist()[0]: body})
        elif sample.name in ("columns parquet", "recording"):
            wide_parquet(target)
        else:
            wide_file(target, 20_000_000, text=target.suffix != ".json")
        jobs.append((sample.name, str(path)))
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(Path(__file__).parent), json.dumps(jobs)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r[0] for r in results] == [s.name for s in SAMPLES]
    for name, said, megabytes in results:
        assert said and "\n" not in said and len(said) < 1000, (name, said[:300])
        assert megabytes < MOST_MEGABYTES, (name, megabytes, said)


def wide_parquet(target: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({f"c{i}": [1.0] for i in range(20_000)}), target, compression="none")
