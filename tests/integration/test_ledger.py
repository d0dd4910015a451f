"""The ledger: lines in the order of their transactions, and a file that reads back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from quanticity.core.events import Event, EventKind
from quanticity.core.keys import ledger, signals_ack
from quanticity.store.ledger import ledger_digest, ledger_lines, record
from quanticity.core.errors import DataError
from quanticity.reports.run import read_ledger
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

TS = datetime(2015, 12, 24, 15, tzinfo=UTC)
SESSION = "GOOG-2015-12-24"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("ledger"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:ledger:")
    yield connected
    connected.clear_namespace()
    connected.close()


def events(n: int, start: int = 0) -> list[Event]:
    return [Event(TS + timedelta(seconds=i), EventKind.SKIP, f"skip:{i}", ("chain:1",), {"n": i}) for i in range(start, start + n)]


def write(state: State, *lines: Event, session: str = SESSION) -> None:
    with state.transaction() as tx:
        record(tx, session, *lines)


def test_lines_come_in_the_order_they_were_recorded(state):
    for start in (0, 3, 4):
        write(state, *events(3 if start == 0 else 1, start))
    assert list(ledger_lines(state, SESSION)) == [e.line() for e in events(5)]


@pytest.mark.parametrize("page", [1, 2, 3, 4, 7, 8, 5000])
def test_every_page_size_gives_all_lines_once(state, page):
    write(state, *events(7))
    assert list(ledger_lines(state, SESSION, page)) == [e.line() for e in events(7)]


def test_sessions_are_apart_and_an_unknown_one_is_empty(state):
    write(state, *events(2))
    write(state, *events(1, 9), session="SPXW-2021-01-15")
    assert len(list(ledger_lines(state, SESSION))) == 2 and len(list(ledger_lines(state, "SPXW-2021-01-15"))) == 1
    assert list(ledger_lines(state, "NONE-2021-01-15")) == []


def test_a_line_stands_or_falls_with_its_transaction(state):
    def fail() -> None:
        with state.transaction() as tx:
            record(tx, SESSION, *events(2))
            tx.set_hash(signals_ack("GOOG"), {"sig:1": "filled"})
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    assert list(ledger_lines(state, SESSION)) == [] and state.get_hash(signals_ack("GOOG")) == {}


def test_the_digest_is_that_of_the_file(state, tmp_path):
    write(state, *events(3))
    lines = list(ledger_lines(state, SESSION))
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    assert ledger_digest(lines) == sha256(file.read_bytes()).hexdigest() != ledger_digest(lines[:-1]) != ledger_digest(lines[::-1])
    assert ledger_digest([]) == sha256(b"").hexdigest()
    assert read_ledger(file) == tuple(events(3))


@pytest.mark.parametrize("bad", [b"nonsense", b"", b'{"ts":"2015-12-24T15:00:00Z"}'])
def test_a_broken_line_is_named_by_its_number(tmp_path, bad):
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(events(1)[0].line() + b"\n" + bad + b"\n" + events(1)[0].line() + b"\n")
    with pytest.raises(DataError, match="ledger.jsonl line 2: "):
        read_ledger(file)


def test_an_empty_file_is_an_empty_ledger(tmp_path):
    (tmp_path / "ledger.jsonl").write_bytes(b"")
    assert read_ledger(tmp_path / "ledger.jsonl") == ()


def test_the_stream_is_where_the_keys_say(state):
    write(state, *events(1))
    assert state.stream_length(ledger(SESSION)) == 1
