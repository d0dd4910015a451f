"""Ledger lines: canonical bytes, read back as they were written, walked back to their roots."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.events import Event, EventKind, ancestry, parse_event

TS = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)


def event(id: str, *cause: str, kind: EventKind = EventKind.ORDER) -> Event:
    return Event(TS, kind, id, cause, {})


def test_a_line_is_canonical():
    line = Event(TS.astimezone(timezone(timedelta(hours=-5))), EventKind.FILL, "f#1", ("o", "chain:1"), {"b": 1, "a": float("nan"), "t": TS}).line()
    assert line == b'{"ts":"2015-12-24T15:01:00Z","kind":"fill","id":"f#1","cause":["o","chain:1"],"data":{"b":1,"a":null,"t":"2015-12-24T15:01:00Z"}}'


JSON = st.recursive(st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
                    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3), max_leaves=6)


@settings(max_examples=50, deadline=None)
@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.sampled_from(EventKind), st.text(max_size=30),
       st.lists(st.text(max_size=10), max_size=4), st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_what_was_written_is_read(ts, kind, id, cause, data):
    written = Event(ts, kind, id, tuple(cause), data)
    line = written.line()
    assert parse_event(line) == written and parse_event(line.decode()) == written
    assert b"\n" not in line and b"\r" not in line
    assert parse_event(line).line() == line
    assert list(json.loads(line)) == ["ts", "kind", "id", "cause", "data"]


@pytest.mark.parametrize("line", [
    b"", b"nonsense", b"[1, 2]", b"null", b"7", b'{"ts": 5}',
    b'{"ts":"2015-12-24T15:01:00Z","kind":"order","id":"x","data":{}}',
    b'{"ts":"2015-12-24T15:01:00Z","kind":"rumour","id":"x","cause":[],"data":{}}',
    b'{"ts":"yesterday","kind":"order","id":"x","cause":[],"data":{}}',
    b'{"ts":3,"kind":"order","id":"x","cause":[],"data":{}}',
    b'{"ts":"2015-12-24T15:01:00Z","kind":"order","id":"x","cause":7,"data":{}}',
    b'{"ts":"2015-12-24T15:01:00Z","kind":"order","id":"x","cause":[],"data":{}'])
def test_what_is_no_ledger_line_is_refused(line):
    with pytest.raises(ValueError):
        parse_event(line)


def test_ancestry_is_nearest_first_each_once_with_roots_last_known_or_not():
    events = [event("p", "chain:1"), event("s", "p"), event("o", "s"), event("t", "s", "o"), event("f", "t", "chain:2"), event("other", "p")]
    assert [(i, e.id if e else None) for i, e in ancestry(events, "f")] == [
        ("t", "t"), ("chain:2", None), ("s", "s"), ("o", "o"), ("p", "p"), ("chain:1", None)]


def test_ancestry_of_a_root_is_empty_and_of_a_stranger_an_error():
    assert list(ancestry([event("a")], "a")) == []
    with pytest.raises(KeyError, match="nobody"):
        list(ancestry([event("a")], "nobody"))


def test_ancestry_ends_even_where_lines_cause_each_other():
    assert [i for i, _ in ancestry([event("a", "b"), event("b", "a")], "a")] == ["b"]


def test_every_kind_has_its_name_as_value():
    assert [k.value for k in EventKind] == [k.name.lower() for k in EventKind]
