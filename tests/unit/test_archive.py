"""The archive: layout, idempotence, replacement, reading no more than is asked for, listing, scanning, sweeping, damage."""

import io
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from quanticity.core.errors import DataError, DataMissing, NoSpaceError, OutputError
from quanticity.store.archive import Archive, decode_manifest, encode_manifest, folder_of, read_rows, remove_session, snapshot
from quanticity.store.lake import content_sha256
from quanticity.store.parquet import ROW_GROUP, read_parquet, write_table
from quanticity.store.scan import glob, remove, scan, sweep, verify

DAY = date(2015, 12, 24)
MINUTE = 60_000_000_000


@dataclass(frozen=True, order=True)
class Key:
    symbol: str = "GOOG"
    day: date = DAY
    source: str = "lean"


GOOG = Key()


def quotes(rows: int = 1000, a_minute: int = 10, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    ts = pa.array(np.arange(rows) // a_minute * MINUTE, pa.timestamp("ns", "UTC"))
    return pa.table({"ts": ts, "index": rng.integers(0, 50, rows), "bid": np.round(rng.uniform(1, 9, rows), 2), "delta": rng.uniform(-1, 1, rows)})


@pytest.fixture(params=["local", "memory"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    return Archive(tmp_path / "lake") if request.param == "local" else Archive(f"memory://{tmp_path.name}/lake/")


def test_round_trip(archive: Archive) -> None:
    tables = {"quotes": quotes(), "trades": quotes(7)}
    manifest, written = archive.write(GOOG, tables, {"licence": "x"})
    assert written and manifest == archive.manifest(GOOG) and manifest.rows == {"quotes": 1000, "trades": 7}
    for name, table in tables.items():
        assert archive.read(GOOG, name) == table
        stored = manifest.tables[name]
        assert stored.content_sha256 == content_sha256(table) and stored.file == f"{name}-{stored.content_sha256[:12]}.parquet"
        assert stored.bytes == archive.files.size(f"{folder_of(GOOG)}/{stored.file}") and stored.first == 0
    assert manifest.tables["quotes"].last == 99 * MINUTE and manifest.bytes == sum(t.bytes for t in manifest.tables.values())


def test_layout(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(Key("BRK/B"), {"quotes": quotes()}, {})
    folder = tmp_path / "sessions" / "symbol=BRK%2FB" / "date=2015-12-24" / "source=lean"
    assert [p.name.split("-")[0] for p in sorted(folder.iterdir())] == ["manifest.json", "quotes"]
    table = ds.dataset(archive.paths("quotes"), partitioning="hive").to_table()
    assert (str(table["symbol"][0]), str(table["date"][0]), str(table["source"][0])) == ("BRK/B", "2015-12-24", "lean")


def test_tables_without_rows_are_left_out(archive: Archive) -> None:
    manifest, _ = archive.write(GOOG, {"quotes": quotes(), "depth": quotes(0)}, {})
    assert list(manifest.tables) == ["quotes"]
    with pytest.raises(DataMissing, match=r"no depth in session GOOG 2015-12-24 \(lean\); tables present: quotes"):
        archive.read(GOOG, "depth")


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.relative_to(folder).as_posix(): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_writing_again_does_nothing(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes()}, {"files": {"a": "b"}})
    before = content(tmp_path)
    manifest, written = archive.write(GOOG, {"quotes": pa.concat_tables([quotes()[:300], quotes()[300:]])}, {"files": {"a": "b"}})
    assert not written and content(tmp_path) == before and manifest == archive.manifest(GOOG)
    archive.write(GOOG, {"quotes": quotes()}, {"files": {"a": "b"}}, force=True)
    assert {n: c for n, (c, _) in content(tmp_path).items()} == {n: c for n, (c, _) in before.items()}
    assert {n: t for n, (_, t) in content(tmp_path).items()} != {n: t for n, (_, t) in before.items()}


@pytest.mark.parametrize("change", ["table", "attributes", "fewer tables", "name"])
def test_another_content_replaces_the_session(tmp_path: Path, change: str) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes(), "trades": quotes(9)}, {"n": 1})
    tables = {"quotes": quotes(seed=2 if change == "table" else 1)} | ({} if change == "fewer tables" else {"bars" if change == "name" else "trades": quotes(9)})
    manifest, written = archive.write(GOOG, tables, {"n": 2 if change == "attributes" else 1})
    assert written and set(archive.files.entries(folder_of(GOOG))) == {"manifest.json", *(t.file for t in manifest.tables.values())}
    assert archive.read(GOOG, "quotes") == tables["quotes"]


def test_a_lost_or_cut_file_is_mended_by_writing_again(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes()}, {})
    (path,) = (Path(p) for p in archive.paths("quotes"))
    good = path.read_bytes()
    for harm in (lambda: path.unlink(), lambda: path.write_bytes(good[:-1]), lambda: (path.parent / "manifest.json").write_bytes(b"{}"),
                 lambda: (path.parent / "manifest.json").unlink()):
        harm()
        with pytest.raises(DataError) as caught:
            archive.read(GOOG, "quotes")
        assert "\n" not in str(caught.value) and (path.exists() or str(caught.value).endswith(f"lacks its file {path.name}; import it again from its source"))
        assert archive.write(GOOG, {"quotes": quotes()}, {})[1]
        assert path.read_bytes() == good and archive.read(GOOG, "quotes") == quotes()


@pytest.mark.parametrize("name", ["", "../x", "Quotes", "a/b", "1x"])
def test_a_table_has_a_plain_name(archive: Archive, name: str) -> None:
    with pytest.raises(ValueError, match="a table's name"):
        archive.write(GOOG, {name: quotes()}, {})


@pytest.mark.parametrize("key", [Key("../x"), Key(source="a/../../b"), Key("")])
def test_a_name_cannot_lead_out(tmp_path: Path, key: Key) -> None:
    with pytest.raises(DataError, match="is not a s"):
        Archive(tmp_path / "lake").write(key, {"quotes": quotes()}, {})
    assert list(tmp_path.iterdir()) == []


ODD_BITS = np.array([0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000001, 0x7FF0000000000001, 0xFFF0000000000000, 0x7FF0000000000000,
                     0x8000000000000000, 0, 1, 0x000FFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFF, 0x3FB999999999999A], np.uint64)


@pytest.mark.parametrize("rows", [1, 12, ROW_GROUP + 12])
@pytest.mark.parametrize("kind", ["few values", "many values"])
def test_every_bit_comes_back(tmp_path: Path, rows: int, kind: str) -> None:
    bits = np.resize(ODD_BITS, rows)
    if kind == "many values":
        bits = np.where(np.arange(rows) % 3, np.random.default_rng(5).integers(0, 1 << 64, rows, np.uint64), bits)
    whole = np.resize(np.array([-(1 << 63), (1 << 63) - 1, 0, -1, 1_450_967_400_000_000_001]), rows)
    columns = {"x": bits.view(np.float64), "n": whole, "flag": whole > 0}
    arrays = [pa.Array.from_buffers(pa.float64(), rows, [None, pa.py_buffer(columns["x"])]), pa.array(whole), pa.array(columns["flag"])]
    archive = Archive(tmp_path)
    archive.write(GOOG, {"odd": pa.table(arrays, ["x", "n", "flag"])}, {})
    back = archive.read(GOOG, "odd").combine_chunks()
    assert np.concatenate([np.frombuffer(c.buffers()[1], np.uint64, len(c), c.offset * 8) for c in back["x"].chunks]).tobytes() == bits.tobytes()
    assert back["n"].to_pylist() == whole.tolist() and back["flag"].to_pylist() == columns["flag"].tolist()
    verify(archive, GOOG)


def test_columns_and_times(archive: Archive) -> None:
    table = quotes(3 * ROW_GROUP, a_minute=1000)
    archive.write(GOOG, {"quotes": table}, {})
    part = archive.read(GOOG, "quotes", ["bid", "index"], 70 * MINUTE, 72 * MINUTE)
    assert part == table.select(["bid", "index"])[70_000:72_000]
    manifest = archive.manifest(GOOG)
    for start, stop in ((None, 1), (0, MINUTE), (65 * MINUTE, 66 * MINUTE), (196 * MINUTE, None), (196 * MINUTE + 1, None), (5, 5), (9, 3), (-9, -1), (None, None)):
        rows, first = read_rows(archive, manifest, "quotes", None, start, stop)
        ts = np.arange(len(table)) // 1000 * MINUTE
        wanted = np.flatnonzero((ts >= (-1 if start is None else start)) & (ts < (1 << 62 if stop is None else stop)))
        assert rows == table.take(pa.array(wanted)).combine_chunks() and (not len(wanted) or first == wanted[0])
    with pytest.raises(DataError, match="quotes of GOOG has no column 'price'; columns: ts, index, bid, delta"):
        archive.read(GOOG, "quotes", ["price"])


def test_times_of_rows_that_are_not_in_order() -> None:
    rng = np.random.default_rng(3)
    ts = rng.integers(0, 1000, 2 * ROW_GROUP)
    file = io.BytesIO()
    write_table(pa.table({"ts": ts, "row": np.arange(len(ts))}), file)
    found, _ = read_parquet(pq.ParquetFile(file), ["row"], 10, 20, "x")
    assert found["row"].to_pylist() == np.flatnonzero((ts >= 10) & (ts < 20)).tolist()


def test_a_table_without_times(archive: Archive) -> None:
    archive.write(GOOG, {"contracts": pa.table({"strike": [1.0, 2.0]})}, {})
    assert archive.read(GOOG, "contracts").num_rows == 2
    with pytest.raises(DataError, match="contracts of GOOG has no times"):
        archive.read(GOOG, "contracts", start=1)


def test_no_more_bytes_are_fetched_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the file system is asked for: an object store would be paid for it."""
    archive = Archive("memory://counted")
    table = quotes(8 * ROW_GROUP, a_minute=1000)
    archive.write(GOOG, {"quotes": table}, {})
    fetched: list[int] = []

    class Counted(io.RawIOBase):
        def __init__(self, file: Any) -> None:
            self.file = file
        def readable(self) -> bool: return True
        def seekable(self) -> bool: return True
        def seek(self, *a: int) -> int: return int(self.file.seek(*a))
        def tell(self) -> int: return int(self.file.tell())
        def read(self, n: int = -1) -> bytes:
            out = bytes(self.file.read(n))
            fetched.append(len(out))
            return out

    plain = archive.files.system.open
    monkeypatch.setattr(archive.files.system, "open", lambda path, mode="rb", **kw: Counted(plain(path, mode, **kw)), raising=False)
    size = archive.manifest(GOOG).tables["quotes"].bytes

    def cost(columns: list[str] | None, start: int | None, stop: int | None) -> int:
        fetched.clear()
        assert archive.read(GOOG, "quotes", columns, start, stop).num_rows
        return sum(fetched)

    whole = cost(None, None, None)
    assert whole >= 0.98 * size
    one_group = cost(None, 10 * MINUTE, 12 * MINUTE)
    assert one_group < size / 8 + 70_000, (one_group, size)  # one row group in eight, and the footer (at most 64 KB at once)
    bids = cost(["bid"], None, None)
    assert bids < 0.3 * size + 70_000, (bids, size)
    assert cost(["index"], 10 * MINUTE, 12 * MINUTE) < 0.3 * one_group + 70_000


def test_list_is_sorted_and_narrowed(archive: Archive) -> None:
    keys = [Key("SPX"), Key("GOOG", date(2015, 12, 23)), Key("BRK/B"), Key("GOOG", DAY, "sim"), GOOG]
    for key in keys:
        archive.write(key, {"quotes": quotes(3)}, {})
    names = [Key(m.symbol, m.day, m.source) for m in archive.sessions()]
    assert names == [Key("BRK/B"), Key("GOOG", date(2015, 12, 23)), GOOG, Key("GOOG", DAY, "sim"), Key("SPX")]
    assert [m.symbol for m in archive.sessions(days=[date(2015, 12, 23)])] == ["GOOG"]
    assert len(archive.sessions(symbols=["GOOG", "SPX"], sources=["lean"])) == 3 and archive.sessions(symbols=["X"]) == ()


def test_strangers_in_the_lake_are_not_listed(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes(3)}, {})
    for stranger in ("sessions/notes.txt", "sessions/symbol=X/date=yesterday/source=a/manifest.json", "sessions/symbol=X/date=2015-12-24/source=a/quotes-0123456789ab.parquet"):
        (tmp_path / stranger).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stranger).write_text("")
    assert [m.symbol for m in archive.sessions(days=[DAY])] == ["GOOG"]


def test_missing_says_what_is_there(archive: Archive) -> None:
    with pytest.raises(DataMissing, match=r"no session GOOG 2015-12-24 \(lean\) in .*; the lake has no sessions"):
        archive.manifest(GOOG)
    for n in range(1, 13):
        archive.write(Key("SPX", date(2015, 12, n)), {"quotes": quotes(1)}, {})
    with pytest.raises(DataMissing, match=r"SPX is there on 2015-12-01 \(lean\), .*, 2015-12-10 \(lean\) and 2 more"):
        archive.read(Key("SPX"), "quotes")
    with pytest.raises(DataMissing, match="symbols present: SPX"):
        archive.manifest(GOOG)
    with pytest.raises(DataMissing, match="no such session in .*; symbols present: SPX"):
        archive.paths("quotes", symbols=["GOOG"])
    with pytest.raises(DataMissing, match="no depth in .*; tables present: quotes"):
        archive.paths("depth")


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-20], lambda b: b[: len(b) // 2], lambda b: b"text, not parquet",
                                    lambda b: b[:1000] + bytes([b[1000] ^ 0xFF]) + b[1001:]])
def test_damaged_files_are_one_line(archive: Archive, damage: Any) -> None:
    archive.write(GOOG, {"quotes": quotes()}, {})
    (path,) = archive.paths("quotes")
    archive.files.system.pipe_file(path, damage(archive.files.system.cat_file(path)))
    with pytest.raises(DataError, match="cannot read .*; import it again from its source") as caught:
        archive.read(GOOG, "quotes")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'{"format": 1, "symbol": "GOOG"}', b"\xff\xfe", b"[" * 100_000])
def test_damaged_manifests_are_one_line(tmp_path: Path, text: bytes) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes(3)}, {})
    (tmp_path / folder_of(GOOG) / "manifest.json").write_bytes(text)
    for ask in (lambda: archive.read(GOOG, "quotes"), archive.sessions):
        with pytest.raises(DataError, match="manifest.json: not the manifest of a session; import it again") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_hostile_manifests(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes(3)}, {})
    path = tmp_path / folder_of(GOOG) / "manifest.json"
    good = path.read_bytes()
    for old, new, words in ((b'"quotes-', b'"../quotes-', "a manifest of format 1"), (b'"GOOG"', b'"../../x"', "is not a symbol"), (b'"GOOG"', b'"SPX"', "the manifest of SPX"),
                            (b'"format": 1', b'"format": 2', "a manifest of format 2, this program knows 1"), (b'"rows": 3', b'"rows": "3"', "not the manifest")):
        path.write_bytes(good.replace(old, new))
        with pytest.raises(DataError, match=words):
            archive.manifest(GOOG)
    assert decode_manifest(good, "x") == decode_manifest(encode_manifest(decode_manifest(good, "x")), "x")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal rows take next to nothing in a file; a smaller limit stands for the real one."""
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": pa.table({"ts": np.zeros(3_000_000, np.int64), "bid": np.zeros(3_000_000)})}, {})
    assert archive.manifest(GOOG).bytes < 50_000
    monkeypatch.setattr("quanticity.store.parquet.LARGEST", 30_000_000)
    with pytest.raises(DataError, match="quotes of GOOG: 3,000,000 rows are more than is read at once; ask for fewer columns"):
        archive.read(GOOG, "quotes")
    assert archive.read(GOOG, "quotes", ["bid"]).num_rows == 3_000_000


def test_a_session_replaced_while_it_is_read(archive: Archive) -> None:
    """A reader that has the old manifest gets the whole of the new session, never a mixture."""
    archive.write(GOOG, {"quotes": quotes(5), "trades": quotes(5)}, {})
    seen = []

    def read(manifest: Any) -> list[int]:
        seen.append(manifest)
        first = read_rows(archive, manifest, "quotes")[0]
        if len(seen) == 1:
            archive.write(GOOG, {"quotes": quotes(8), "trades": quotes(8)}, {})
        return [first.num_rows, read_rows(archive, manifest, "trades")[0].num_rows]

    both = snapshot(archive, GOOG, read)
    assert both == ([8, 8] if archive.files.local else [5, 5])  # an object store keeps the old files until `sweep`
    assert len(seen) == (2 if archive.files.local else 1)


def test_a_second_writer_is_told(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    with archive.writer(GOOG), pytest.raises(OutputError, match=r"session GOOG 2015-12-24 \(lean\) is being written by another process"):
        archive.write(GOOG, {"quotes": quotes()}, {})
    assert archive.write(GOOG, {"quotes": quotes()}, {})[1]


@pytest.mark.parametrize("there", [False, True])
def test_a_table_in_pieces(archive: Archive, there: bool) -> None:
    """The same files as in one go; nothing is seen before the end; what is there already is not written again."""
    table = quotes(2 * ROW_GROUP + 100, a_minute=1000)
    whole, _ = archive.write(Key("SPX"), {"quotes": table, "trades": quotes(5), "bars": quotes(0)}, {"n": 1})
    if there:
        archive.write(GOOG, {"quotes": table, "trades": quotes(5)}, {"n": 1})
    with archive.writer(GOOG) as writer:
        for at in range(0, len(table), 30_011):
            writer.append("quotes", table[at:at + 30_011])
        writer.append("depth", quotes(0))
        assert len(archive.sessions(["GOOG"])) == there
        manifest, written = writer.finish({"trades": quotes(5)}, lambda: {"n": 1}, ["quotes", "trades"])
    assert written is not there and manifest.tables == whole.tables and list(manifest.tables) == ["quotes", "trades"] and archive.read(GOOG, "quotes") == table


def test_a_writer_that_is_left_leaves_nothing(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes()}, {})
    before = content(tmp_path)
    for key in (GOOG, Key("SPX")):
        for force in (False, True):
            with pytest.raises(ZeroDivisionError), archive.writer(key, force=force) as writer:
                writer.append("quotes", quotes(2 * ROW_GROUP))
                1 / 0  # noqa: B018
    assert content(tmp_path) == before and archive.files.entries("sessions") == ["symbol=GOOG"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(tmp_path / "lake")
    archive.write(GOOG, {"quotes": quotes()}, {})
    before = content(tmp_path)

    def full(writer: Any, table: pa.Table) -> None:
        writer._out.write(b"half a file")
        with open("/dev/full", "wb", buffering=0) as nowhere:
            nowhere.write(b"x")

    monkeypatch.setattr("quanticity.store.parquet.TableWriter.add", full)
    for key in (GOOG, Key("SPX")):
        with pytest.raises(NoSpaceError, match="No space left on device; free some space") as caught:
            archive.write(key, {"quotes": quotes(seed=2), "trades": quotes(9)}, {})
        assert "\n" not in str(caught.value)
    assert content(tmp_path) == before and archive.read(GOOG, "quotes") == quotes() and archive.files.entries("sessions") == ["symbol=GOOG"]


def test_scan(archive: Archive) -> None:
    for symbol, n in (("GOOG", 4), ("BRK/B", 3)):
        for day in (23, 24):
            archive.write(Key(symbol, date(2015, 12, day)), {"quotes": quotes(n)}, {})
    frame = scan(archive, "quotes")
    assert isinstance(frame, pl.LazyFrame) and frame.collect().height == 14
    assert frame.collect().schema["date"] == pl.Date and frame.collect().schema["ts"] == pl.Datetime("ns", "UTC")
    one = scan(archive, "quotes", ["BRK/B"], [DAY], ["symbol", "date", "bid"]).collect()
    assert one.shape == (3, 3) and one["symbol"].unique().to_list() == ["BRK/B"] and one["bid"].to_list() == quotes(3)["bid"].to_pylist()
    late = frame.filter(pl.col("symbol") == "GOOG", pl.col("date") == DAY, pl.col("ts") >= pl.lit(0).cast(pl.Datetime("ns", "UTC"))).collect()
    assert late.height == 4


def test_other_tools_read_the_same_files(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    for symbol in ("GOOG", "BRK.B"):
        archive.write(Key(symbol), {"quotes": quotes(50), "quarantine_quotes": quotes(2)}, {})
    for files in (archive.paths("quotes"), glob(archive, "quotes")):
        found = duckdb.sql(f"select symbol, date, count(*), sum(bid) from read_parquet({files!r}, hive_partitioning = true) group by all order by all").fetchall()
        total = sum(quotes(50)["bid"].to_pylist())
        assert [(s, d, n) for s, d, n, _ in found] == [("BRK.B", DAY, 50), ("GOOG", DAY, 50)] and all(abs(x - total) < 1e-9 for *_, x in found)


def test_sweep_removes_leftovers_only(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes(3)}, {})
    before = content(tmp_path)
    left = [f"{folder_of(GOOG)}/quotes-0123456789ab.parquet", f"{folder_of(GOOG)}/.manifest.json.partial", f"{folder_of(Key('SPX'))}/.trades-0123456789ab.parquet.partial"]
    for name in left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    with archive.files.locked(folder_of(Key("SPX")), "x"):
        assert sweep(archive) == sorted(left[:2])  # at the other one somebody is at work
    assert sweep(archive) == left[2:] and content(tmp_path) == before and archive.files.entries("sessions") == ["symbol=GOOG"]


def test_the_next_import_removes_leftovers(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes(3)}, {})
    before = content(tmp_path)
    for name in ("quotes-0123456789ab.parquet", ".manifest.json.partial"):
        (tmp_path / folder_of(GOOG) / name).write_bytes(b"half")
    assert not archive.write(GOOG, {"quotes": quotes(3)}, {})[1] and content(tmp_path) == before


def test_remove(archive: Archive) -> None:
    archive.write(GOOG, {"quotes": quotes(3)}, {})
    remove(archive, GOOG)
    assert archive.sessions() == () and archive.files.entries(folder_of(GOOG)) == []
    with pytest.raises(DataMissing):
        remove(archive, GOOG)


def test_verify_finds_other_values(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes(50)}, {})
    verify(archive, GOOG)
    with Path(archive.paths("quotes")[0]).open("wb") as out:
        write_table(quotes(50, seed=2), out)
    with pytest.raises(DataError, match="quotes-.*parquet in .* differs from its hash; import it again"):
        verify(archive, GOOG)


def test_nothing_heavy_is_imported() -> None:
    code = ("import sys, quanticity.store.archive, quanticity.store.scan, quanticity.store.parquet\n"
            "print([m for m in ('pandas', 'polars', 'pyarrow', 'fsspec', 'duckdb') if m in sys.modules])\n"
            "import tempfile, datetime, types, numpy as np, pyarrow as pa\n"
            "from quanticity.store.archive import Archive\n"
            "key = types.SimpleNamespace(symbol='X', day=datetime.date(2020, 1, 2), source='s')\n"
            "table = pa.table([pa.Array.from_buffers(pa.int64(), 3, [None, pa.py_buffer(np.arange(3))])], ['ts'])\n"
            "archive = Archive(tempfile.mkdtemp()); archive.write(key, {'t': table}, {}); archive.read(key, 't', ['ts'], 1, 2)\n"
            "print([m for m in ('pandas', 'polars', 'duckdb') if m in sys.modules])\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stdout + done.stderr


def test_a_removal_that_is_killed_leaves_the_session_whole_or_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(tmp_path)
    archive.write(GOOG, {"quotes": quotes(5), "trades": quotes(2)}, {})
    unlink = Path.unlink
    for after in range(3):
        left = iter(range(after))

        def killed(path: Path, missing_ok: bool = False, left: Any = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_session(archive, GOOG)
        monkeypatch.setattr(Path, "unlink", unlink)
        assert len(archive.sessions()) == (after == 0) and (after > 0 or archive.read(GOOG, "quotes").num_rows == 5)
        archive.write(GOOG, {"quotes": quotes(5), "trades": quotes(2)}, {})
        assert archive.read(GOOG, "trades").num_rows == 2 and len(archive.files.entries(folder_of(GOOG))) == 3
    assert remove_session(archive, GOOG) == 3 and archive.files.entries("sessions") == []
