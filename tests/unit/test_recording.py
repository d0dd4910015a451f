"""A session to the lake and back: tables, quarantine, ranges, the importer, and the recorder that may be killed."""

import os
import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import quanticity
from quanticity.core.errors import DataError, DataMissing, OutputError, UserError
from quanticity.core.types import Exercise, Settlement
from quanticity.feeds.importing import Importer, SessionKey, detect
from quanticity.feeds.recording import (IMPORTER, Recorder, discard, read_columns, read_quarantine, read_session, recordings, recover, write_session)
from quanticity.feeds.session_tables import Refused, merged, session_tables, table_tape, tape_kinds, tape_table
from quanticity.market.chain import Contracts, nanoseconds
from quanticity.market.session import MarketSession, batches, session_digest
from quanticity.market.tape import Bars, Depth, Imbalances, IndexLevels, Notices, Published, Quotes, Tape, Trades
from quanticity.store.archive import Archive, folder_of
from quanticity.store.scan import verify

OPENS = datetime(2021, 1, 4, 14, 30, tzinfo=UTC)
T0, MINUTE = nanoseconds(OPENS), 60_000_000_000


def a_tape(kind: type[Tape], rows: int, rng: np.random.Generator, contracts: int = 8) -> Any:
    """Random rows of any kind, in order of time, with not-a-numbers."""
    whole = {"ts": np.sort(T0 + rng.integers(0, 30, rows) * MINUTE), "index": rng.integers(0, contracts, rows), "level": rng.integers(0, 3, rows),
             "kind": rng.integers(1, 5, rows)}
    floats = {f.name: np.where(rng.random(rows) < 0.2, np.nan, np.round(rng.normal(5, 2, rows), 3)) for f in fields(kind) if f.name not in whole}
    return kind.as_arrived(**{f.name: whole.get(f.name, floats.get(f.name)) for f in fields(kind)})


def a_session(seed: int = 1, rows: int = 200, source: str = "sim") -> MarketSession:
    """A session with rows on every tape."""
    rng, n = np.random.default_rng(seed), 8
    listed = Contracts("SPXW", "SPX", np.round(rng.uniform(3000, 4000, n), 1), rng.integers(18600, 18700, n), T0 + rng.integers(1, 9, n) * 86_400_000_000_000,
                       rng.random(n) < 0.5, np.full(n, 100.0), Exercise.EUROPEAN, Settlement.CASH)
    tapes = {name: a_tape(kind, rows // (1 + k), rng, n) for k, (name, kind) in enumerate(tape_kinds().items())}
    return MarketSession(source=source, date=date(2021, 1, 4), opens=OPENS, closes=OPENS + timedelta(minutes=20), contracts=listed, rate=0.0123456789, dividend=float("nan"),
                         open_interest=np.where(rng.random(n) < 0.3, np.nan, 17.0), prior_volatility=rng.random(n), files={"b.zip": "ab", "a.zip": "cd"},
                         notes=("Straße; no \"trades\"",), level_names=("VIX", "VIX1D"), **tapes)


def same(one: MarketSession, two: MarketSession) -> None:
    """Every array with the same dtype and the same bits, and everything else equal."""
    for f in fields(MarketSession):
        a, b = getattr(one, f.name), getattr(two, f.name)
        for x, y in zip(parts(a), parts(b), strict=True):
            if isinstance(x, np.ndarray):
                assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), f.name
            else:
                assert x == y or (x != x and y != y), (f.name, x, y)
    assert list(one.files.items()) == list(two.files.items())


def parts(value: Any) -> list[Any]:
    return [getattr(value, f.name) for f in fields(value)] if hasattr(value, "__dataclass_fields__") else [value]


KEY = SessionKey("SPXW", date(2021, 1, 4), "sim")


@pytest.fixture(params=["local", "memory"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    return Archive(tmp_path / "lake") if request.param == "local" else Archive(f"memory://{tmp_path.name}/lake/")


def refuse(session: MarketSession, seed: int = 3, share: float = 0.3) -> tuple[MarketSession, dict[str, Refused]]:
    """A session as a door would part it: some rows of every tape refused."""
    rng, kept, out = np.random.default_rng(seed), {}, {}
    for name, tape in session.tapes().items():
        bad = rng.random(len(tape)) < share
        kept[name] = tape.where(~bad)
        out[name] = Refused(np.flatnonzero(bad), [["stale_quote", "crossed_quote"][i % 2] for i in range(int(bad.sum()))], tape.where(bad))
    return replace(session, **kept), out  # type: ignore[arg-type]


def test_round_trip(archive: Archive) -> None:
    session = a_session()
    manifest, written = write_session(archive, session, licence="made up", quality={"score": 0.5})
    back = read_session(archive, KEY)
    same(session, back)
    assert written and manifest.attributes["session_digest"] == session_digest(session) == session_digest(back)
    assert manifest.attributes["licence"] == "made up" and manifest.attributes["quality"] == {"score": 0.5}
    assert manifest.attributes["counts"]["quotes"] == {"accepted": 200, "refused": 0}
    for one, two in zip(batches(session), batches(back), strict=True):
        assert one.now == two.now and all(getattr(one, n).ts.tobytes() == getattr(two, n).ts.tobytes() for n in session.tapes())
    verify(archive, KEY)
    assert write_session(archive, session, licence="made up", quality={"score": 0.5}) == (manifest, False)


def test_an_empty_session(archive: Archive) -> None:
    session = a_session(rows=0)
    none = np.empty(0)
    whole = np.empty(0, np.int64)
    session = replace(session, contracts=Contracts("SPXW", "SPX", none, whole, whole, np.empty(0, np.bool_), none), open_interest=none, prior_volatility=none)
    manifest, _ = write_session(archive, session)
    assert manifest.tables == {} and [m.symbol for m in archive.sessions()] == ["SPXW"]
    same(session, read_session(archive, KEY))


def test_every_tape_of_a_session_is_kept() -> None:
    """A tape that is added to MarketSession is stored without a change here."""
    assert set(tape_kinds()) == set(a_session().tapes()) <= set(session_tables(a_session()))
    assert {Quotes, Trades, Bars, Depth, Published, IndexLevels, Notices, Imbalances} == set(tape_kinds().values())


@pytest.mark.parametrize("kind", [Quotes, Trades, Bars, Depth, Published, IndexLevels, Notices, Imbalances])
def test_tapes_round_trip(kind: type[Tape]) -> None:
    tape = a_tape(kind, 57, np.random.default_rng(1))
    table = tape_table(tape)
    for cut in (table, pa.concat_tables([table[:5], table[5:]]), pa.concat_tables([table[:3], table])[3:]):
        back = table_tape(kind, cut)
        assert type(back) is kind and all(getattr(back, f.name).tobytes() == getattr(tape, f.name).tobytes() for f in fields(kind))
        assert all(getattr(back, f.name).flags.writeable for f in fields(kind))


def test_another_dtype_is_the_makers_mistake(tmp_path: Path) -> None:
    session = a_session()
    bad = Trades(session.trades.ts, session.trades.index.astype(np.int32), session.trades.price, session.trades.size)
    with pytest.raises(TypeError, match="column index is int32"):
        write_session(Archive(tmp_path), replace(session, trades=bad))
    with pytest.raises(ValueError, match="expiry_day is no number of days"):
        write_session(Archive(tmp_path), replace(session, contracts=replace(session.contracts, expiry_day=session.contracts.expiry_day << 32)))
    assert list(tmp_path.iterdir()) == []


def test_rows_out_of_order_must_pass_the_door_first(tmp_path: Path) -> None:
    session = a_session()
    late = Trades.as_arrived(**{f.name: getattr(session.trades, f.name)[::-1] for f in fields(Trades)})
    with pytest.raises(ValueError, match="trades of SPXW are not in order of time: let them pass the door first"):
        write_session(Archive(tmp_path), replace(session, trades=late))


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_quarantine(archive: Archive, share: float) -> None:
    session = a_session()
    kept, out = refuse(session, share=share)
    manifest, _ = write_session(archive, kept, quarantine=out)
    same(kept, read_session(archive, KEY))
    same(session, read_session(archive, KEY, quarantined=True))
    back = read_quarantine(archive, KEY)
    assert set(back) == {name for name, r in out.items() if len(r.rows)}
    for name, refused in back.items():
        assert refused.rows.tolist() == out[name].rows.tolist() and refused.reasons == out[name].reasons
        assert manifest.attributes["counts"][name] == {"accepted": len(getattr(kept, name)), "refused": len(refused.rows)}
    table = archive.read(KEY, "quarantine_quotes", ["reason"])
    assert set(table["reason"].to_pylist()) == {"stale_quote", "crossed_quote"}


def test_rows_that_came_out_of_order_are_in_quarantine_at_their_places(tmp_path: Path) -> None:
    session, archive = a_session(), Archive(tmp_path)
    q = session.quotes
    ts = q.ts.copy()
    ts[[40, 41, 90]] = T0
    arrived = Quotes.as_arrived(**({f.name: getattr(q, f.name) for f in fields(Quotes)} | {"ts": ts}))
    bad = np.isin(np.arange(len(q)), [40, 41, 90])
    write_session(archive, replace(session, quotes=arrived.where(~bad)), quarantine={"quotes": Refused(np.flatnonzero(bad), ["out_of_order"] * 3, arrived.where(bad))})
    same(replace(session, quotes=arrived), read_session(archive, KEY, quarantined=True))


@pytest.mark.parametrize(("start", "stop"), [(None, None), (T0, T0 + 5 * MINUTE), (T0 + 7 * MINUTE, None), (None, T0 + MINUTE), (T0 + 9 * MINUTE + 1, T0 + 10 * MINUTE), (5, 6)])
@pytest.mark.parametrize("quarantined", [False, True])
def test_a_range_of_times(archive: Archive, start: int | None, stop: int | None, quarantined: bool) -> None:
    session = a_session()
    kept, out = refuse(session)
    write_session(archive, kept, quarantine=out)
    back = read_session(archive, KEY, start=start, stop=stop, quarantined=quarantined)
    for name, tape in (session if quarantined else kept).tapes().items():
        inside = (tape.ts >= (0 if start is None else start)) & (tape.ts < ((1 << 62) if stop is None else stop))
        for f in fields(tape):
            assert getattr(getattr(back, name), f.name).tobytes() == getattr(tape, f.name)[inside].tobytes(), name


def test_some_tapes_only(tmp_path: Path) -> None:
    archive, session = Archive(tmp_path), a_session()
    write_session(archive, session)
    for name in ("quotes", "published"):
        Path(archive.paths(name)[0]).unlink()  # what is not asked for is not looked at
    back = read_session(archive, KEY, tapes=["trades", "levels"])
    assert {name for name, tape in back.tapes().items() if len(tape)} == {"trades", "levels"}
    assert back.trades.price.tobytes() == session.trades.price.tobytes() and back.level_names == session.level_names
    with pytest.raises(DataError, match="a session has no tape 'ticks'; tapes: quotes, trades"):
        read_session(archive, KEY, tapes=["ticks"])


def test_columns(tmp_path: Path) -> None:
    archive, session = Archive(tmp_path), a_session()
    write_session(archive, session)
    found = read_columns(archive, KEY, "quotes", ["ask", "ts"], T0 + 5 * MINUTE)
    inside = session.quotes.ts >= T0 + 5 * MINUTE
    assert list(found) == ["ask", "ts"] and found["ask"].tobytes() == session.quotes.ask[inside].tobytes()
    assert read_columns(archive, KEY, "contracts", ["is_call"])["is_call"].tolist() == session.contracts.is_call.tolist()
    assert read_columns(archive, KEY, "contracts", ["expiry_day"])["expiry_day"].dtype == np.int64


@pytest.mark.parametrize("moment", [datetime(2021, 1, 4, 9, 30), datetime(2021, 1, 4, 14, 30, 0, 123456)])
def test_times_of_the_session_are_exact(tmp_path: Path, moment: datetime) -> None:
    from zoneinfo import ZoneInfo
    opens = moment.replace(tzinfo=ZoneInfo("America/New_York"))
    archive = Archive(tmp_path)
    write_session(archive, replace(a_session(), opens=opens))
    assert read_session(archive, KEY).opens == opens


def test_what_is_missing_or_damaged_is_one_line(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    write_session(archive, a_session())
    with pytest.raises(DataMissing, match=r"no session GOOG 2021-01-04 \(sim\)"):
        read_session(archive, SessionKey("GOOG", KEY.day, "sim"))
    path = tmp_path / folder_of(KEY) / "manifest.json"
    good = path.read_text()
    for old, new in (('"opens": "2021', '"opens": "x'), ('"exercise": "european"', '"exercise": "sometimes"'), ('"underlying"', '"on"'), ('"rate": 0.01', '"rate": [], "x": 0.01')):
        assert old in good
        path.write_text(good.replace(old, new))
        with pytest.raises(DataError, match="the manifest or contracts of session SPXW .* are not whole .*; import it again") as caught:
            read_session(archive, KEY)
        assert "\n" not in str(caught.value)


def test_the_importer_satisfies_the_protocol(tmp_path: Path) -> None:
    assert isinstance(IMPORTER, Importer) and IMPORTER.name == "recording"
    archive, session = Archive(tmp_path / "lake"), a_session()
    kept, out = refuse(session)
    write_session(archive, kept, quarantine=out)
    write_session(archive, a_session(2, source="lean"))
    lake = tmp_path / "lake"
    for path in (lake, lake / "sessions"):
        assert IMPORTER.recognises(path) and [k.source for k in IMPORTER.sessions(path)] == ["lean", "sim"]
        same(session, IMPORTER.load(path, KEY))
    one = lake / folder_of(KEY)
    assert IMPORTER.recognises(one) and IMPORTER.sessions(one) == (KEY,) and detect(one, {"recording": IMPORTER}) is IMPORTER
    same(session, IMPORTER.load(one, KEY))
    with pytest.raises(DataMissing, match=r"no session SPXW 2021-01-04 \(lean\); there are: SPXW 2021-01-04 \(sim\)"):
        IMPORTER.load(one, replace(KEY, source="lean"))
    with pytest.raises(UserError, match="the importer recording has no option 'rate'"):
        IMPORTER.load(one, KEY, {"rate": "0.1"})


def test_the_importer_recognises_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "sessions").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{}")
    for path in (tmp_path, tmp_path / "file", tmp_path / "none", tmp_path / "sessions", tmp_path / "bad", Path("a\0b"), Path("x" * 5000)):
        assert not IMPORTER.recognises(path)
    with pytest.raises(DataMissing, match="no sessions of a lake"):
        IMPORTER.sessions(tmp_path)


def test_a_recording_goes_on_after_a_kill(archive: Archive) -> None:
    session = a_session(source="live")
    steps = list(batches(session))
    with Recorder(archive, session) as recorder:
        for batch in steps[:5]:
            recorder.append(batch)
            recorder.flush()
        recorder.append(steps[5])  # not flushed: lost
    with Recorder(archive, session) as recorder:
        assert recorder.flush() == 0
        for batch in steps[5:]:
            recorder.append(batch)
        assert recorder.flush() > 0
    (key,) = recordings(archive)
    inside = {name: tape.where(tape.ts <= nanoseconds(session.closes)) for name, tape in session.tapes().items()}
    same(replace(session, **inside), recover(archive, key))  # type: ignore[arg-type]
    assert archive.sessions() == ()
    discard(archive, key)
    assert recordings(archive) == ()
    with pytest.raises(DataMissing, match=r"no session SPXW 2021-01-04 \(live\)"):
        recover(archive, key)


def test_rows_are_recorded_as_they_arrive(tmp_path: Path) -> None:
    archive, session = Archive(tmp_path), a_session(source="live")
    late = replace(session, quotes=Quotes.as_arrived(**{f.name: getattr(session.quotes, f.name)[::-1] for f in fields(Quotes)}))
    with Recorder(archive, session) as recorder:
        recorder.append(late)
        recorder.append(session)
        recorder.flush()
    found = recover(archive, recordings(archive)[0])
    assert found.quotes.ts.tolist() == late.quotes.ts.tolist() + session.quotes.ts.tolist() and not found.quotes.in_order


def test_one_recorder_a_session(tmp_path: Path) -> None:
    archive, session = Archive(tmp_path), a_session(source="live")
    with Recorder(archive, session):
        for attempt in (lambda: Recorder(archive, session), lambda: discard(archive, SessionKey("SPXW", KEY.day, "live"))):
            with pytest.raises(OutputError, match=r"recording SPXW 2021-01-04 \(live\) is being written by another process"):
                attempt()
    with pytest.raises(DataError, match="other contracts; seal or discard it first"):
        Recorder(archive, replace(session, contracts=replace(session.contracts, strike=session.contracts.strike + 1)))
    Recorder(archive, session).close()  # the failed one let go of its lock


def test_a_flush_that_fails_keeps_the_rows_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, session = Archive(tmp_path), a_session(source="live")
    with Recorder(archive, session) as recorder:
        recorder.append(session)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(OutputError, match="No space left"):
                recorder.flush()
        assert recover(archive, recordings(archive)[0]).quotes.ts.tolist() == []
        recorder.flush()
    same(session, recover(archive, recordings(archive)[0]))


def test_a_damaged_part_is_one_line(tmp_path: Path) -> None:
    archive, session = Archive(tmp_path), a_session(source="live")
    with Recorder(archive, session) as recorder:
        recorder.append(session)
        recorder.flush()
    (key,) = recordings(archive)
    path = tmp_path / folder_of(key, "recordings") / "00000001.arrows"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot read recordings/.*00000001.arrows") as caught:
        recover(archive, key)
    assert "\n" not in str(caught.value)


def test_accepted_and_refused_rows_make_the_tape_again() -> None:
    tape = a_tape(Trades, 100, np.random.default_rng(4))
    for seed in range(20):
        bad = np.random.default_rng(seed).random(100) < seed / 20
        refused = Refused(np.flatnonzero(bad), [""] * int(bad.sum()), tape.where(bad))
        kept = tape.where(~bad)
        assert merged(kept, 0, refused).ts.tobytes() == tape.ts.tobytes()
        part = merged(kept.rows(10, 30), 10, refused, np.zeros(int(bad.sum()), np.bool_))
        assert part.price.tobytes() == kept.price[10:30].tobytes()


def test_pandas_and_polars_are_not_imported(tmp_path: Path) -> None:
    """A quarter of a second each, that a replay of a recording has no other use for."""
    write_session(Archive(tmp_path), a_session())
    code = ("import sys, datetime\nfrom pathlib import Path\nfrom quanticity.feeds.recording import IMPORTER, write_session\nfrom quanticity.store.archive import Archive\n"
            "path = Path(sys.argv[1]); (key,) = IMPORTER.sessions(path); session = IMPORTER.load(path, key)\nwrite_session(Archive(sys.argv[1] + '/b'), session)\n"
            "print([m for m in ('pandas', 'polars', 'duckdb', 'pyarrow.dataset') if m in sys.modules])")
    environment = dict(os.environ, PYTHONPATH=str(Path(quanticity.__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel does not count what a process reads")
def test_a_process_reads_no_more_bytes_than_asked_for(tmp_path: Path) -> None:
    """By the kernel's count: ten minutes of one tape cost a fraction of the session's files."""
    rng, n = np.random.default_rng(1), 600_000
    quotes = Quotes(T0 + np.arange(n) // 1000 * MINUTE, rng.integers(0, 8, n), rng.random(n), rng.random(n), rng.random(n), rng.random(n))
    archive = Archive(tmp_path)
    manifest, _ = write_session(archive, replace(a_session(), quotes=quotes))

    def read_bytes(work: Any) -> int:
        def count() -> int:
            return int(Path("/proc/self/io").read_text().split()[1])
        work()  # whatever a first call loads
        before, overhead = count(), -count() + count()
        work()
        return count() - before - 2 * abs(overhead)

    size = manifest.tables["quotes"].bytes
    whole = read_bytes(lambda: read_session(archive, KEY))
    assert whole > 0.95 * manifest.bytes
    ten = read_bytes(lambda: read_session(archive, KEY, tapes=["quotes"], start=T0 + 100 * MINUTE, stop=T0 + 110 * MINUTE))
    assert ten < 0.2 * size + 150_000, (ten, size)
    column = read_bytes(lambda: read_columns(archive, KEY, "quotes", ["bid"], T0 + 100 * MINUTE, T0 + 110 * MINUTE))
    assert column < 0.06 * size + 100_000, (column, size)
    assert read_bytes(lambda: read_session(archive, KEY, tapes=["trades"])) < 200_000
