"""Recorded sessions into the lake and back, row by row; many at once; a full disk; two importers at once."""

import os
import subprocess
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from quanticity.core.errors import DataError, NoSpaceError, OutputError, UserError
from quanticity.feeds.importing import SessionKey
from quanticity.feeds.lean import IMPORTER as LEAN
from quanticity.feeds.recording import IMPORTER as RECORDING
from quanticity.feeds.recording import Recorder, read_session, recordings, write_session
from quanticity.feeds.session_tables import Refused
from quanticity.feeds.simulator import simulate_session
from quanticity.jobs.imports import Admitted, admit, import_many, import_session, seal
from quanticity.market.findings import Severity
from quanticity.market.quality import screen_session
from quanticity.market.quality_parameters import QualityParameters
from quanticity.market.session import MarketSession, batches, session_digest
from quanticity.store.archive import Archive
from quanticity.store.parquet import TableWriter
from quanticity.store.scan import scan, sweep, verify

GOOG = SessionKey("GOOG", date(2015, 12, 24), "lean")


def equal(one: Any, two: Any, where: str) -> None:
    """The same values with the same bits, and rows in the same order."""
    for f in fields(one):
        a, b = getattr(one, f.name), getattr(two, f.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), f"{where}.{f.name}"
        elif hasattr(a, "__dataclass_fields__"):
            equal(a, b, f"{where}.{f.name}")
        else:
            assert a == b or (a != a and b != b), f"{where}.{f.name}: {a} {b}"


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("key", [SessionKey("GOOG", date(2015, 12, 23), "lean"), GOOG, SessionKey("GOOG", date(2015, 12, 28), "lean"),
                                 SessionKey("SPXW", date(2021, 1, 4), "lean"), SessionKey("SPXW", date(2021, 1, 8), "lean"), SessionKey("SPX", date(2021, 1, 14), "lean")], ids=str)
def test_a_recorded_session_comes_back_row_by_row(recorded: Path, tmp_path: Path, key: SessionKey) -> None:
    """What the importer streamed is what the lake streams: the arrays, and every batch of the day."""
    streamed = LEAN.load(recorded, key)
    archive = Archive(tmp_path)
    report = import_session(LEAN, recorded, key, archive)
    assert report.written and report.key == key and report.accepted + report.refused == sum(len(t) for t in streamed.tapes().values()) > 0
    back = read_session(archive, key, quarantined=True)
    equal(streamed, back, str(key))
    assert session_digest(streamed) == session_digest(back)
    for one, two in zip(batches(streamed), batches(back), strict=True):
        equal(one, two, f"{key} at {one.now}")
    accepted = read_session(archive, key)
    assert session_digest(accepted) == report.manifest.attributes["session_digest"] and all(tape.in_order for tape in accepted.tapes().values())
    verify(archive, key)


def test_goog_in_numbers(recorded: Path, tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    manifest = import_session(LEAN, recorded, GOOG, archive).manifest
    counts = manifest.attributes["counts"]
    assert sum(counts["quotes"].values()) == 275_552 and manifest.tables["contracts"].rows == 2_192
    root = recorded / "lean" / "Data"
    zips = sum((root / name).stat().st_size for name in manifest.attributes["files"] if name.endswith(".zip") and "daily" not in name)
    assert manifest.bytes < 0.5 * zips, (manifest.bytes, zips)
    assert set(manifest.attributes["files"]) == set(LEAN.load(recorded, GOOG).files)


@pytest.mark.parametrize("late", [False, True])
def test_a_day_that_passes_in_batches_is_judged_as_a_whole_one_is(recorded: Path, late: bool) -> None:
    """The door in batches (a day of many rows) and at once: the same findings, rows and score; what is given on is what is accepted, in order."""
    session = LEAN.load(recorded, GOOG)
    bid = session.quotes.bid.copy()
    bid[::1003] = session.quotes.ask[::1003] + 0.05
    session = replace(session, quotes=replace(session.quotes, bid=bid))
    if late:  # rows out of order: then it passes at once
        ts = session.trades.ts.copy()
        ts[[5, 700]] = ts[[700, 5]]
        session = replace(session, trades=type(session.trades).as_arrived(**({f.name: getattr(session.trades, f.name) for f in fields(session.trades)} | {"ts": ts})))
    pieces: dict[str, list[Any]] = {}
    got = admit(session, lambda name, tape: pieces.setdefault(name, []).append(tape))
    whole = screen_session(session)
    equal(got.session, whole.session, "session")
    assert set(got.quarantine) == set(whole.quarantine) and got.quality["score"] == whole.score.total
    for name, (rows, tape) in whole.quarantine.items():
        assert got.quarantine[name].rows.tolist() == rows.tolist()
        equal(got.quarantine[name].tape, tape, name)
    for severity, tag in ((Severity.QUARANTINE, "refused"), (Severity.NOTE, "noted")):
        counts = whole.findings.where(whole.findings.severity == severity).counts()
        assert {r.value: n for r, n in counts.items()} == {r: sum(t.get(r, 0) for t in got.quality[tag].values()) for t in got.quality[tag].values() for r in t}
    assert got.given == (() if late else ("quotes",)) and (late or len(pieces["quotes"]) > 4)
    for name, parts in pieces.items():
        for f in fields(parts[0]):
            assert np.concatenate([getattr(p, f.name) for p in parts]).tobytes() == getattr(getattr(got.session, name), f.name).tobytes()


def test_importing_again_changes_no_byte(recorded: Path, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "lake")
    key = SessionKey("SPXW", date(2021, 1, 4), "lean")
    first = import_session(LEAN, recorded, key, archive)
    before = content(tmp_path)
    again = import_session(LEAN, recorded, key, archive)
    forced = import_session(LEAN, recorded, key, archive, force=True)
    assert (first.written, again.written, forced.written) == (True, False, True) and "already there" in str(again)
    assert content(tmp_path) == before and again.manifest == forced.manifest == first.manifest
    elsewhere = import_session(LEAN, recorded, key, Archive(tmp_path / "other"))
    assert elsewhere.manifest == first.manifest and content(tmp_path / "other") == content(tmp_path / "lake")


def test_a_recording_imported_into_another_lake_is_the_same(recorded: Path, tmp_path: Path) -> None:
    """Refused rows are in their places again, so the door finds the same, and the files are the same to the byte."""
    key = SessionKey("SPXW", date(2021, 1, 4), "lean")
    import_session(LEAN, recorded, key, Archive(tmp_path / "one"), door=every_seventh)
    import_session(RECORDING, tmp_path / "one", key, Archive(tmp_path / "two"), door=every_seventh)
    assert content(tmp_path / "one") == content(tmp_path / "two") != {}


def test_many_days_as_one_lazy_frame(recorded: Path, tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    keys = [k for k in LEAN.sessions(recorded) if k.symbol == "SPXW"]
    summary = import_many(LEAN, recorded, archive, keys)
    assert not summary.errors and len(summary.reports) == len(keys) >= 5
    rows = scan(archive, "quotes", ["SPXW"]).group_by("date").agg(pl.len()).sort("date").collect().rows()
    assert rows == [(r.key.day, r.manifest.tables["quotes"].rows) for r in summary.reports]


def every_seventh(session: MarketSession, give: Any) -> Admitted:
    """A door that refuses every seventh row of every tape."""
    kept, out = {}, {}
    for name, tape in session.tapes().items():
        bad = np.arange(len(tape)) % 7 == 3
        kept[name], out[name] = tape.where(~bad), Refused(np.flatnonzero(bad), ["stale_quote"] * int(bad.sum()), tape.where(bad))
    return Admitted(replace(session, **kept), out, {"score": 0.5})  # type: ignore[arg-type]


def nowhere(name: str, tape: Any) -> None:
    """Takes rows that the door gives on."""


SIM = simulate_session(5, date(2024, 3, 1), "XYZ")


@dataclass(frozen=True)
class Several:
    """An importer of simulated sessions, of which some cannot be used."""

    bad: tuple[str, ...] = ()
    name: str = "several"

    def recognises(self, path: Path) -> bool:
        return True

    def sessions(self, path: Path) -> tuple[SessionKey, ...]:
        return tuple(SessionKey(symbol, SIM.date, "sim") for symbol in ("AAA", "BBB", "CCC"))

    def load(self, path: Path, key: SessionKey, options: Any = {}) -> MarketSession:
        if key.symbol in self.bad:
            raise DataError(f"{key.symbol}.csv, line 7: 'x' as bid", "mend the line")
        return replace(SIM, contracts=replace(SIM.contracts, symbol=key.symbol))


def test_one_bad_session_does_not_stop_the_others(tmp_path: Path) -> None:
    archive, said = Archive(tmp_path), []
    summary = import_many(Several(bad=("BBB",)), tmp_path, archive, progress=lambda done, total, where: said.append((done, total, where)))
    assert [r.key.symbol for r in summary.reports] == ["AAA", "CCC"] and [m.symbol for m in archive.sessions()] == ["AAA", "CCC"]
    assert [(k.symbol, str(e)) for k, e in summary.errors] == [("BBB", "BBB.csv, line 7: 'x' as bid; mend the line")]
    assert [(d, t) for d, t, _ in said] == [(0, 3), (1, 3), (2, 3), (3, 3)] and "BBB" in said[1][2]
    again = import_many(Several(), tmp_path, archive)
    assert [r.written for r in again.reports] == [False, True, False] and not again.errors


def test_progress_of_one_session(tmp_path: Path) -> None:
    said: list[tuple[int, int, str]] = []
    import_session(Several(), tmp_path, SessionKey("AAA", SIM.date, "sim"), Archive(tmp_path), progress=lambda *step: said.append(step))
    assert [s[:2] for s in said] == [(0, 3), (1, 3), (2, 3), (3, 3)] and [w.split(": ")[1] for _, _, w in said[:3]] == ["reading", "looking at its quality", "writing"]


def test_a_mistaken_importer_is_told(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Mistaken(Several):
        def load(self, path: Path, key: SessionKey, options: Any = {}) -> MarketSession:
            return SIM

    with pytest.raises(DataError, match="asked for AAA .*, the importer several gave XYZ"):
        import_session(Mistaken(), tmp_path, SessionKey("AAA", SIM.date, "sim"), Archive(tmp_path))


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    archive, key = Archive(tmp_path), SessionKey("AAA", SIM.date, "sim")
    with archive.writer(key):
        with pytest.raises(OutputError, match=r"session AAA 2024-03-01 \(sim\) is being written by another process"):
            import_session(Several(), tmp_path, key, archive)
        summary = import_many(Several(), tmp_path, archive)
    assert [k.symbol for k, _ in summary.errors] == ["AAA"] and [r.key.symbol for r in summary.reports] == ["BBB", "CCC"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs the right to mount a small file system")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A small file system: two sessions fit, the third does not; what is there is whole, and with more room it goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(len(b) for b in content_of_one(tmp_path / "probe").values())
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(size * 2.6) // 4096 * 4096}", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount here")
    try:
        archive = Archive(disk)
        with pytest.raises(NoSpaceError, match="cannot write .*: No space left on device; free some space and run it again") as caught:
            import_many(Several(), tmp_path, archive)
        assert "\n" not in str(caught.value)
        there = [m.symbol for m in archive.sessions()]
        assert there and there != ["AAA", "BBB", "CCC"] and sweep(archive) == []
        for m in archive.sessions():
            verify(archive, m)
        subprocess.run(["mount", "-o", f"remount,size={size * 8}", str(disk)], check=True)
        summary = import_many(Several(), tmp_path, archive)
        assert [r.written for r in summary.reports] == [s not in there for s in ("AAA", "BBB", "CCC")]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def content_of_one(folder: Path) -> dict[str, bytes]:
    import_session(Several(), folder, SessionKey("AAA", SIM.date, "sim"), Archive(folder))
    return content(folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_stops_the_import_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here every write of CCC's tables goes to a device that is always full."""
    plain = TableWriter.add

    def write(writer: Any, table: Any) -> None:
        if "symbol=CCC" in writer._out.name:
            with open("/dev/full", "wb", buffering=0) as full:
                full.write(b"x")
        plain(writer, table)

    monkeypatch.setattr(TableWriter, "add", write)
    archive = Archive(tmp_path)
    with pytest.raises(NoSpaceError, match="No space left on device"):
        import_many(Several(), tmp_path, archive)
    assert [m.symbol for m in archive.sessions()] == ["AAA", "BBB"] and archive.files.entries("sessions") == ["symbol=AAA", "symbol=BBB"]


def test_a_recorded_day_is_sealed(tmp_path: Path) -> None:
    archive, live = Archive(tmp_path), replace(SIM, source="live")
    with Recorder(archive, live) as recorder:
        for number, batch in enumerate(batches(live)):
            recorder.append(batch)
            if number % 50 == 0:
                recorder.flush()
        recorder.flush()
        (key,) = recordings(archive)
        with pytest.raises(UserError, match="is being written by another process"):
            seal(archive, key)  # in the archive, but its parts are still somebody's
    assert RECORDING.sessions(tmp_path / "recordings") == (key,)
    report = seal(archive, key, door=every_seventh)
    assert report.refused > 0 and recordings(archive) == () and archive.files.entries("recordings") == []
    inside = {n: t.where(t.ts <= int(list(batches(live))[-1].now)) for n, t in live.tapes().items()}
    assert session_digest(read_session(archive, key, quarantined=True)) == session_digest(replace(live, **inside))  # type: ignore[arg-type]


def test_what_the_door_says_is_kept(tmp_path: Path) -> None:
    """Refused rows with their reasons and places, counts by tape and reason, the score, and the limits that were applied."""
    bid, ts = SIM.quotes.bid.copy(), SIM.quotes.ts.copy()
    bid[[100, 5000]] = SIM.quotes.ask[[100, 5000]] + 1
    ts[700] = 0
    arrived = type(SIM.quotes).as_arrived(**({f.name: getattr(SIM.quotes, f.name) for f in fields(SIM.quotes)} | {"bid": bid, "ts": ts}))
    spoiled = replace(SIM, quotes=arrived)
    admitted = admit(spoiled, nowhere)
    refused = admitted.quarantine["quotes"]
    reasons = dict(zip(refused.rows.tolist(), refused.reasons, strict=True))
    assert reasons[100] == reasons[5000] == "crossed_quote" and 700 in reasons
    assert admitted.quality["refused"]["quotes"]["crossed_quote"] == 2 and 0 < admitted.quality["score"] <= 1
    archive = Archive(tmp_path)
    manifest, _ = write_session(archive, admitted.session, quarantine=admitted.quarantine, quality=admitted.quality)
    assert manifest.attributes["quality"] == admitted.quality and manifest.attributes["counts"]["quotes"]["refused"] == len(refused.rows)
    equal(spoiled, read_session(archive, SessionKey("XYZ", SIM.date, "sim"), quarantined=True), "spoiled")
    strict = admit(spoiled, nowhere, parameters=QualityParameters(gap_minutes=1.0))
    assert strict.quality["limits"]["gap_minutes"] == 1.0 != admitted.quality["limits"]["gap_minutes"]
