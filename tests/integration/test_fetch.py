"""Fetching pinned files over real HTTP on loopback: resumed, checked, and plain about what went wrong."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from quanticity.core.errors import DataError, OutputError, UserError
from quanticity.feeds.fetch import PinnedFile, PinnedSet, fetch, pinned_set, pinned_sets
from quanticity.feeds.lean import load_session

BODY = bytes(range(256)) * 2_000


def pin(url: str, *names: str, body: bytes = BODY) -> PinnedSet:
    return PinnedSet("set", "a set", url, "none", "into", tuple(PinnedFile(n, len(body), hashlib.sha256(body).hexdigest()) for n in names))


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler] | partial) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """Serves BODY; honours ranges unless told not to; can break off after so many bytes."""

    ranges, break_after = True, None
    asked: list[str | None] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Range"))
        start = int(self.headers["Range"].split("=")[1].rstrip("-")) if self.ranges and self.headers.get("Range") else 0
        rest = BODY[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest if self.break_after is None else rest[: self.break_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def handler() -> type[Handler]:
    return type("Fresh", (Handler,), {"asked": []})


def test_a_download_that_broke_off_goes_on_where_it_stopped(handler, tmp_path):
    handler.break_after = 100_000
    with serving(handler) as url:
        with pytest.raises(UserError, match=r"broke off; 0 of 1 file is there; run it again"):
            fetch(pin(url, "a.bin"), tmp_path)
        assert not (tmp_path / "into/a.bin").exists()
        kept = (tmp_path / "into/.a.bin.part").stat().st_size
        assert 0 < kept <= 100_000
        handler.break_after = None
        result = fetch(pin(url, "a.bin"), tmp_path)
    assert handler.asked == [None, f"bytes={kept}-"]
    assert (result.fetched, result.size) == (1, len(BODY) - kept)
    assert (tmp_path / "into/a.bin").read_bytes() == BODY
    assert [p.name for p in (tmp_path / "into").iterdir()] == ["a.bin"]


def test_a_server_without_ranges_sends_it_all_again(handler, tmp_path):
    handler.ranges = False
    (tmp_path / "into").mkdir()
    (tmp_path / "into/.a.bin.part").write_bytes(BODY[:1000])
    with serving(handler) as url:
        fetch(pin(url, "a.bin"), tmp_path)
    assert (tmp_path / "into/a.bin").read_bytes() == BODY


def test_a_part_of_another_file_is_found_out_and_thrown_away(handler, tmp_path):
    (tmp_path / "into").mkdir()
    (tmp_path / "into/.a.bin.part").write_bytes(b"x" * 1000)
    with serving(handler) as url:
        with pytest.raises(DataError, match="not the file that is pinned"):
            fetch(pin(url, "a.bin"), tmp_path)
        assert list((tmp_path / "into").iterdir()) == []
        assert fetch(pin(url, "a.bin"), tmp_path).fetched == 1


def test_what_is_there_is_left_alone_and_what_was_changed_is_fetched_again(handler, tmp_path):
    seen = []
    with serving(handler) as url:
        fetch(pin(url, "a.bin", "b.bin"), tmp_path, progress=lambda *step: seen.append(step))
        assert seen[-1][:2] == (2 * len(BODY), 2 * len(BODY))
        assert [s[0] for s in seen] == sorted(s[0] for s in seen)
        (tmp_path / "into/b.bin").write_bytes(BODY[:-1] + b"?")
        again = fetch(pin(url, "a.bin", "b.bin"), tmp_path)
    assert (again.present, again.fetched) == (1, 1)
    assert (tmp_path / "into/b.bin").read_bytes() == BODY


def test_more_bytes_than_pinned_are_refused(handler, tmp_path):
    with serving(handler) as url, pytest.raises(DataError, match="sends more than the 10 bytes"):
        fetch(pin(url, "a.bin", body=b"0123456789"), tmp_path)


def test_offline_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError) as error:
        fetch(pin("http://127.0.0.1:9/", "a.bin"), tmp_path)
    assert str(error.value) == ("cannot reach 127.0.0.1:9: this machine seems to be offline; 0 of 1 file is there; "
                                "run it again with a network, or copy the files by hand into the folder")
    assert list(tmp_path.iterdir()) == []  # not even the folder that was made for it


def test_offline_leaves_a_folder_that_was_there(tmp_path):
    (tmp_path / "into").mkdir()
    with pytest.raises(UserError):
        fetch(pin("http://127.0.0.1:9/", "deep/a.bin"), tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["into"]


def test_a_file_in_the_way_is_said_in_one_line(handler, tmp_path):
    (tmp_path / "into").write_text("a file, not a folder")
    with serving(handler) as url, pytest.raises(OutputError, match="cannot write .*into/a.bin"):
        fetch(pin(url, "a.bin"), tmp_path)


def test_the_pinned_days_are_those_that_the_readers_know(recorded, tmp_path):
    """The recorded folder, served as the public repository would, is fetched whole and read."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with serving(partial(quiet, directory=str(recorded / "lean/Data"))) as url:
        result = fetch(pinned_set("lean"), tmp_path, base_url=url)
    assert (result.fetched, result.present) == (len(pinned_set("lean").files), 0)
    session = load_session(tmp_path, "GOOG", date(2015, 12, 24))
    assert len(session.quotes) == 275_552


def test_every_pin_names_a_commit_and_stays_within_its_folder():
    for pinned in pinned_sets().values():
        assert pinned.base_url.startswith("https://github.com/")
        assert all(not f.path.startswith("/") and ".." not in f.path for f in pinned.files)
        assert len({f.path for f in pinned.files}) == len(pinned.files)
