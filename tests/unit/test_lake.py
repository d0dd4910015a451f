"""The lake's files: names, staging and publishing, locks, content hashes, and errors of one line."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

import quanticity
from quanticity.core.errors import ConfigError, DataError, NoSpaceError, OutputError
from quanticity.store.lake import LakeFiles, content_sha256, escape_name, is_staged, readable, writing

BARS = pa.table({"ts": pa.array([1, 2, 3], pa.timestamp("ns", "UTC")), "close": [748.2, 748.4, None], "symbol": ["GOOG"] * 3})
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(Path(quanticity.__file__).parents[1]), PYTHONDONTWRITEBYTECODE="1")


@pytest.fixture(params=["local", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> LakeFiles:
    return LakeFiles(tmp_path / "lake") if request.param == "local" else LakeFiles(f"memory://{tmp_path.name}/lake/")


def put(lake: LakeFiles, name: str, content: bytes) -> None:
    lake.stage(name, lambda out: out.write(content))
    lake.publish({name: name})


def test_round_trip(lake: LakeFiles) -> None:
    put(lake, "a/b/c.bin", b"one")
    put(lake, "a/b/c.bin", b"two!")
    put(lake, "a/d.bin", b"")
    assert (lake.read("a/b/c.bin"), lake.size("a/b/c.bin"), lake.size("a/d.bin")) == (b"two!", 4, 0)
    assert (lake.entries("a"), lake.entries("a/b"), lake.entries("none"), lake.size("none")) == (["b", "d.bin"], ["c.bin"], [], -1)
    with pytest.raises(FileNotFoundError):
        lake.read("none")
    lake.remove(["a/b/c.bin", "never/there"])
    lake.remove_folder("a/b")
    assert lake.entries("a") == ["d.bin"]


def test_a_staged_file_is_not_there_until_it_is_published(tmp_path: Path) -> None:
    lake = LakeFiles(tmp_path)
    put(lake, "a/x", b"old")
    assert lake.stage("a/x", lambda out: out.write(b"new one")) == 7
    assert lake.read("a/x") == b"old" and [is_staged(name) for name in lake.entries("a")] == [True, False]
    lake.publish({"a/x": "a/x"})
    assert lake.read("a/x") == b"new one" and lake.entries("a") == ["x"]


def test_folders_go_only_when_they_are_empty_and_never_the_root(tmp_path: Path) -> None:
    lake = LakeFiles(tmp_path / "lake")
    put(lake, "a/b/x", b"")
    put(lake, "a/y", b"")
    lake.remove_folder("a/b")
    assert lake.entries("a/b") == ["x"]
    lake.remove(["a/b/x", "a/y"])
    lake.remove_folder("a/b")
    assert lake.entries("") == [] and (tmp_path / "lake").is_dir()


@pytest.mark.parametrize(("symbol", "escaped"), [("GOOG", "GOOG"), ("BRK.B", "BRK.B"), ("BRK/B", "BRK%2FB"), ("^VIX", "%5EVIX"),
                                                 ("A%2FB", "A%252FB"), ("ES=F", "ES%3DF"), ("BF B", "BF%20B")])
def test_symbols_are_escaped(symbol: str, escaped: str) -> None:
    assert escape_name(symbol) == escaped


@pytest.mark.parametrize("symbol", ["", ".", "..", "../x", "a/../b", "/etc", "\\x", "a\nb", "a\0b", " GOOG", "GOOG ", "X" * 65])
def test_what_is_not_a_symbol_is_refused(symbol: str) -> None:
    with pytest.raises(DataError, match="is not a symbol; symbols look like") as caught:
        escape_name(symbol)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="is not a source; a source is a short word"):
        escape_name(symbol, "source")


def test_content_hash_sees_values_names_and_types_only() -> None:
    chunked = pa.concat_tables([BARS[:1], BARS[1:]])
    assert content_sha256(chunked) == content_sha256(BARS) == content_sha256(BARS.replace_schema_metadata({"a": "b"}))
    others = [BARS[:2], BARS.rename_columns(["ts", "open", "symbol"]), BARS.set_column(1, "close", [[748.2, 748.4, 0.0]]),
              BARS.set_column(1, "close", BARS["close"].cast(pa.float32()))]
    assert len({content_sha256(t) for t in [BARS, *others]}) == 5


def test_content_hash_does_not_see_how_a_table_is_sliced() -> None:
    table = pa.table({"i": range(50), "x": [i / 7 for i in range(50)], "b": [i % 3 == 0 for i in range(50)], "s": [str(i) for i in range(50)]})
    parts = pa.concat_tables([table[:7], table[7:8], table[8:31], table[31:]])
    assert content_sha256(parts) == content_sha256(table) and content_sha256(table[3:40]) == content_sha256(parts[3:40]) != content_sha256(table[3:41])


def test_content_hash_does_not_see_what_lies_under_a_null() -> None:
    def with_null(below: float) -> pa.Table:
        return pa.table({"x": pa.Array.from_buffers(pa.float64(), 2, [pa.py_buffer(b"\x01"), pa.array([1.0, below]).buffers()[1]])})

    assert with_null(7.0) == with_null(8.0) and content_sha256(with_null(7.0)) == content_sha256(with_null(8.0))


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = LakeFiles(tmp_path)
    put(lake, "x", b"old")
    for number, kind, words in ((errno.ENOSPC, NoSpaceError, "No space left on device; free some space"), (errno.EIO, OutputError, "check its permissions")):
        monkeypatch.setattr(os, "fsync", lambda _, number=number: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
        with pytest.raises(kind, match=f"cannot write .*x: .*{words}") as caught:
            lake.stage("x", lambda out: out.write(b"new"))
        assert "\n" not in str(caught.value) and type(caught.value) is kind
    assert lake.read("x") == b"old" and lake.entries("") == ["x"]


def test_a_real_limit_on_the_file_size_is_reported(tmp_path: Path) -> None:
    """The kernel refuses to write on, as it does on a full disk (in a process of its own: the limit is the process')."""
    code = """
import os, resource, signal, sys
from quanticity.core.errors import OutputError
from quanticity.store.lake import LakeFiles
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    LakeFiles(sys.argv[1]).stage("big", lambda out: out.write(os.urandom(32000)))
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=ENVIRONMENT, capture_output=True, text=True)
    assert "big: " in done.stdout and "File too large" in done.stdout and done.stdout.count("\n") == 1, done
    assert os.listdir(tmp_path) == []


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for attempt in (lambda lake: put(lake, "x", b""), lambda lake: lake.locked("a", "a").__enter__()):
        with pytest.raises(OutputError, match="cannot write .*check its permissions"):
            attempt(LakeFiles(tmp_path / "file"))


def test_an_object_store_that_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = LakeFiles("memory://refusing")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Access Denied")

    monkeypatch.setattr(type(lake.system), "pipe_file", refuse)
    with pytest.raises(OutputError, match="cannot write .*: Access Denied; check its permissions"):
        put(lake, "x", b"")


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), writing("x"):
        1 / 0  # noqa: B018
    with pytest.raises(FileNotFoundError), readable("x"):
        raise FileNotFoundError("x")


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    lake = LakeFiles(tmp_path)
    with lake.locked("a/b", "session X"):
        with pytest.raises(OutputError, match="session X is being written by another process; wait until that is done"), lake.locked("a/b", "session X"):
            pass
        with lake.locked("a/c", "session Y"):
            pass
    with lake.locked("a/b", "session X"):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = "import sys, time\nfrom quanticity.store.lake import LakeFiles\nwith LakeFiles(sys.argv[1]).locked('a', 'a'):\n    print('locked', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "locked\n"
            with pytest.raises(OutputError, match="being written by another process"), LakeFiles(tmp_path).locked("a", "a"):
                pass
        finally:
            other.kill()
            other.wait()
    with LakeFiles(tmp_path).locked("a", "a"):
        pass


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="lake_url 'nosuch://x' is not usable"):
        LakeFiles("nosuch://x")
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: (_ for _ in ()).throw(ImportError("Install s3fs to access S3")))
    with pytest.raises(ConfigError, match=r"needs a package that is missing: Install s3fs.*; pip install 'quanticity\[cloud\]'"):
        LakeFiles("s3://bucket/prefix")
    monkeypatch.chdir(tmp_path)
    relative = LakeFiles("some/lake")
    put(relative, "x", b"1")
    assert (tmp_path / "some/lake/x").is_file()
    monkeypatch.chdir("/")
    assert relative.read("x") == b"1"  # where it was when the lake was opened
