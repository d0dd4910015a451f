"""The lake: layout, names, atomic writes, origin, and errors of one line."""

import errno
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quanticity
from quanticity.core.errors import ConfigError, DataError, DataMissing, OutputError
from quanticity.store.lake import Lake, Partition, content_sha256, escape_symbol, write_parquet_atomic

DAY = date(2015, 12, 24)
BARS = pa.table({"ts": pa.array([1, 2, 3], pa.timestamp("ns", "UTC")), "close": [748.2, 748.4, None], "symbol": ["GOOG"] * 3})


@pytest.fixture(params=["local", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake") if request.param == "local" else Lake(f"memory://{tmp_path.name}/lake/")


def test_round_trip(lake: Lake) -> None:
    lake.write(BARS, "bars", DAY, "GOOG")
    assert lake.read("bars", DAY, "GOOG") == BARS  # no partition columns are added, `symbol` stays the file's own
    assert lake.read("bars", DAY, "GOOG", ["close", "ts"]) == BARS.select(["close", "ts"])
    lake.write(BARS[:1], "bars", DAY, "GOOG")
    assert lake.read("bars", DAY, "GOOG").num_rows == 1


def test_layout_is_hives(tmp_path: Path) -> None:
    path = Lake(tmp_path).write(BARS, "bars", DAY, "BRK.B")
    assert Path(path) == tmp_path / "bars" / "date=2015-12-24" / "symbol=BRK.B" / "part.parquet"
    assert [p.name for p in Path(path).parent.iterdir()] == ["part.parquet"]


def test_other_tools_find_date_and_symbol(tmp_path: Path) -> None:
    Lake(tmp_path).write(BARS.drop_columns(["symbol"]), "bars", DAY, "GOOG")
    table = pq.read_table(tmp_path / "bars", partitioning="hive")
    assert str(table.column("date")[0]) == "2015-12-24" and str(table.column("symbol")[0]) == "GOOG"


def test_list_is_sorted_and_narrowed(lake: Lake) -> None:
    assert lake.list() == ()
    for dataset, day, symbol in (("trades", DAY, "GOOG"), ("bars", DAY, "SPX"), ("bars", DAY, "BRK/B"), ("bars", date(2015, 12, 23), "SPX")):
        lake.write(BARS, dataset, day, symbol)
    spx = [Partition("bars", date(2015, 12, 23), "SPX"), Partition("bars", DAY, "SPX")]
    assert lake.list() == (spx[0], Partition("bars", DAY, "BRK/B"), spx[1], Partition("trades", DAY, "GOOG"))
    assert lake.list("bars", symbol="SPX") == tuple(spx) and lake.list("bars", day=DAY, symbol="SPX") == (spx[1],)
    assert lake.list("nothing") == ()


def test_strangers_in_the_lake_are_not_listed(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write(BARS, "bars", DAY, "GOOG")
    for stranger in ("bars/date=2015-12-24/symbol=SPX/.part.parquet.7.partial", "bars/notes.txt", "x/part.parquet"):
        path = tmp_path / stranger
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert lake.list() == (Partition("bars", DAY, "GOOG"),)


@pytest.mark.parametrize(("symbol", "escaped"), [("GOOG", "GOOG"), ("BRK.B", "BRK.B"), ("BRK/B", "BRK%2FB"), ("^VIX", "%5EVIX"),
                                                 ("A%2FB", "A%252FB"), ("ES=F", "ES%3DF"), ("BF B", "BF%20B")])
def test_symbols_are_escaped(lake: Lake, symbol: str, escaped: str) -> None:
    assert escape_symbol(symbol) == escaped
    lake.write(BARS, "bars", DAY, symbol)
    assert lake.list() == (Partition("bars", DAY, symbol),) and lake.read("bars", DAY, symbol) == BARS


@pytest.mark.parametrize("symbol", ["", ".", "..", "../x", "a/../b", "/etc", "\\x", "a\nb", "a\0b", " GOOG", "GOOG ", "X" * 65])
def test_what_is_not_a_symbol_is_refused(lake: Lake, symbol: str) -> None:
    with pytest.raises(DataError, match="is not a symbol; symbols look like") as caught:
        lake.write(BARS, "bars", DAY, symbol)
    assert "\n" not in str(caught.value) and lake.list() == ()


@pytest.mark.parametrize("dataset", ["", "../x", "Bars", "a/b", "1x"])
def test_a_dataset_has_a_plain_name(lake: Lake, dataset: str) -> None:
    with pytest.raises(ValueError, match="a dataset's name"):
        lake.write(BARS, dataset, DAY, "GOOG")


def test_origin(lake: Lake) -> None:
    lake.write(BARS.replace_schema_metadata({"unit": "dollars"}), "bars", DAY, "GOOG", source="lean", hashes={"data": "ab", "config": "cd"})
    origin = lake.origin("bars", DAY, "GOOG")
    assert origin["source"] == "lean" and json.loads(origin["hashes"]) == {"config": "cd", "data": "ab"}
    read = lake.read("bars", DAY, "GOOG")
    assert origin["content_sha256"] == content_sha256(BARS) == content_sha256(read) and read.schema.metadata[b"unit"] == b"dollars"


def test_content_hash_sees_values_names_and_types_only() -> None:
    chunked = pa.concat_tables([BARS[:1], BARS[1:]])
    assert content_sha256(chunked) == content_sha256(BARS) == content_sha256(BARS.replace_schema_metadata({"a": "b"}))
    others = [BARS[:2], BARS.rename_columns(["ts", "open", "symbol"]), BARS.set_column(1, "close", [[748.2, 748.4, 0.0]]),
              BARS.set_column(1, "close", BARS["close"].cast(pa.float32()))]
    assert len({content_sha256(t) for t in [BARS, *others]}) == 5


def test_content_hash_does_not_see_what_lies_under_a_null() -> None:
    def with_null(below: float) -> pa.Table:
        return pa.table({"x": pa.Array.from_buffers(pa.float64(), 2, [pa.py_buffer(b"\x01"), pa.array([1.0, below]).buffers()[1]])})

    assert with_null(7.0) == with_null(8.0) and content_sha256(with_null(7.0)) == content_sha256(with_null(8.0))


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (Path(Lake(tmp_path / name).write(BARS, "bars", DAY, "GOOG", "s", {"a": "b"})).read_bytes() for name in "ab")
    assert one == two


def test_missing_says_what_is_there(lake: Lake) -> None:
    with pytest.raises(DataMissing, match="no bars of GOOG on 2015-12-24 in .*; the lake is empty"):
        lake.read("bars", DAY, "GOOG")
    for n in range(1, 13):
        lake.write(BARS, "bars", date(2015, 12, n), "GOOG")
    with pytest.raises(DataMissing, match="days present: 2015-12-01, .*, 2015-12-10 and 2 more"):
        lake.read("bars", DAY, "GOOG")
    with pytest.raises(DataMissing, match="symbols present: GOOG"):
        lake.origin("bars", DAY, "SPX")
    with pytest.raises(DataMissing, match="datasets present: bars"):
        lake.read("trades", DAY, "GOOG")


def test_unknown_columns(lake: Lake) -> None:
    lake.write(BARS, "bars", DAY, "GOOG")
    with pytest.raises(DataError, match="has no column 'volume'; columns: ts, close, symbol"):
        lake.read("bars", DAY, "GOOG", ["ts", "volume"])


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-20], lambda b: b[: len(b) // 2], lambda b: b"text, not parquet"])
def test_damaged_files_are_one_line(lake: Lake, damage) -> None:  # type: ignore[no-untyped-def]
    system, path = lake.system, lake.write(BARS, "bars", DAY, "GOOG")
    system.pipe_file(path, damage(system.cat_file(path)))
    with pytest.raises(DataError, match="cannot read .*; write it again from its source") as caught:
        lake.read("bars", DAY, "GOOG")
    assert "\n" not in str(caught.value)


def test_flipped_bytes_are_noticed(tmp_path: Path) -> None:
    table = pa.table({"x": list(range(10_000))})
    lake = Lake(tmp_path)
    path = Path(lake.write(table, "numbers", DAY, "GOOG"))
    good = path.read_bytes()
    path.write_bytes(good[:1000] + bytes([good[1000] ^ 0xFF]) + good[1001:])
    with pytest.raises(DataError, match="cannot read"):
        lake.read("numbers", DAY, "GOOG")


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet_atomic(BARS, tmp_path / "out.parquet")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(OutputError, match="cannot write .*out.parquet: No space left on device; check") as caught:
        write_parquet_atomic(BARS[:1], path)
    assert "\n" not in str(caught.value)
    assert pq.read_table(path) == BARS and os.listdir(tmp_path) == ["out.parquet"]


def test_a_real_limit_on_the_file_size_is_reported(tmp_path: Path) -> None:
    """The kernel refuses to write on, as it does on a full disk (in a process of its own: the limit is the process')."""
    code = """
import os, resource, signal, sys
import pyarrow as pa
from quanticity.core.errors import OutputError
from quanticity.store.lake import write_parquet_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_parquet_atomic(pa.table({"x": [os.urandom(16) for _ in range(2000)]}), sys.argv[1])
except OutputError as error:
    print(error)
"""
    env = dict(os.environ, PYTHONPATH=str(Path(quanticity.__file__).parents[1]), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "big.parquet")], env=env, capture_output=True, text=True)
    assert "big.parquet: " in done.stdout and "File too large" in done.stdout and done.stdout.count("\n") == 1, done
    assert os.listdir(tmp_path) == []


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write .*check the folder's permission"):
        Lake(tmp_path / "file").write(BARS, "bars", DAY, "GOOG")
    with pytest.raises(OutputError, match="cannot write"):
        write_parquet_atomic(BARS, tmp_path)


def test_an_object_store_that_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake("memory://refusing")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Access Denied")

    monkeypatch.setattr(type(lake.system), "pipe_file", refuse)
    with pytest.raises(OutputError, match="cannot write .*: Access Denied; check the bucket"):
        lake.write(BARS, "bars", DAY, "GOOG")


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="lake_url 'nosuch://x' is not usable"):
        Lake("nosuch://x")
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: (_ for _ in ()).throw(ImportError("Install s3fs to access S3")))
    with pytest.raises(ConfigError, match=r"needs a package that is missing: Install s3fs.*; pip install 'quanticity\[cloud\]'"):
        Lake("s3://bucket/prefix")
    monkeypatch.chdir(tmp_path)
    relative = Lake("some/lake")
    relative.write(BARS, "bars", DAY, "GOOG")
    assert (tmp_path / "some/lake/bars").is_dir()
    monkeypatch.chdir("/")
    assert relative.read("bars", DAY, "GOOG") == BARS  # where it was when the lake was opened
