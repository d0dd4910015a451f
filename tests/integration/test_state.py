"""State functions on a real server: the embedded one, and redis-server where it is on the path."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from redis.exceptions import ResponseError

import quanticity
from quanticity.core import keys
from quanticity.core.errors import ServerError
from quanticity.core.keys import Key, KeyType
from quanticity.store import state as state_module
from quanticity.store.server import EmbeddedServer, start_server
from quanticity.store.state import AsyncState, Entry, State, connect, connect_async

NOW = 1_450_969_260_000
STREAM = keys.signals_pending("GOOG")
DONE = keys.distribution_done()
OUTBOX, BODIES, DUE = keys.distribution_outbox(), keys.distribution_bodies(), keys.distribution_due()
LOCK = keys.signals_live("abc")


@pytest.fixture(scope="module", params=["embedded", "redis-server"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    binary = None
    if request.param == "redis-server":
        found = shutil.which("redis-server")
        if found is None:
            pytest.skip("no redis-server on the path")
        binary = Path(found)
    with start_server(tmp_path_factory.mktemp("state"), append_only=False, binary=binary) as running:
        yield running


@pytest.fixture
def state(server: EmbeddedServer) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:test:")
    yield connected
    connected.clear_namespace()
    connected.close()


@pytest.fixture
async def astate(server: EmbeddedServer) -> AsyncIterator[AsyncState]:
    connected = connect_async(server.url, prefix="replay:async:")
    yield connected
    await connected.clear_namespace()
    await connected.close()


def test_values(state: State) -> None:
    key = keys.heartbeat("market")
    assert state.get(key) is None and state.get_json(key) is None
    state.set(key, b"\x00\xff")
    assert state.get(key) == b"\x00\xff"
    state.set_json(key, {"b": [1, 2.5, None], "a": np.float64(1.5)})
    assert state.get(key) == b'{"b":[1,2.5,null],"a":1.5}' and state.get_json(key)["a"] == 1.5
    assert (state.get_range(key, 0, 3), state.get_range(key, 1, 1), state.get_range(key, 22, 999), state.get_range(key, 999, 1999)) == (b'{"b"', b'"', b'1.5}', b"")
    assert state.delete(key, keys.heartbeat("none")) == 1 and state.get(key) is None and state.get_range(key, 0, 9) == b""


def test_hashes(state: State) -> None:
    key = keys.metrics_signals("GOOG")
    assert state.get_hash(key) == {} and state.get_field(key, "n") is None
    state.set_hash(key, {"n": 1, "x": 1.5, "s": "é", "b": b"\xff"})
    state.set_hash(key, {"n": 2})
    assert state.get_hash(key) == {"n": b"2", "x": b"1.5", "s": "é".encode(), "b": b"\xff"}
    assert state.increment(key, "n", 5) == 7 and state.get_field(key, "n") == b"7"
    assert state.delete_fields(key, "n", "none") == 1
    with pytest.raises(ValueError, match="no fields to set"):
        state.set_hash(key, {})


def test_time_to_live_by_the_wall_clock_outside_a_namespace_only(server: EmbeddedServer, state: State) -> None:
    key, stream = keys.heartbeat("market"), Key("test:stream", KeyType.STREAM, 60)
    live = connect(server.url)
    for owner, expected in ((live, True), (state, False)):
        owner.set(key, b"1")
        owner.set_hash(keys.metrics_signals("T"), {"n": 1})
        owner.append(stream, {"n": 1})
        owner.append(stream, {"n": 2}, at_ms=2**43)
        owner.append_once(stream, {"n": 2}, keys.execution_done("T"), "m", 2**43)
        owner.acquire(LOCK, "s1", NOW, ttl=2)
        for name in ("heartbeat:market", "metrics:signals:T", "test:stream", "execution:done:T", "signals:live:abc"):
            assert (live.client.execute_command("PTTL", owner.prefix + name) > 0) == expected, name
    live.delete(key, keys.metrics_signals("T"), stream, keys.execution_done("T"), LOCK)


def test_stream_ids_come_from_event_time(state: State) -> None:
    ids = [state.append(STREAM, {"n": n}, at_ms=at) for n, at in enumerate((NOW, NOW, NOW + 1, NOW - 1000, NOW + 2))]
    assert ids == [f"{NOW}-0", f"{NOW}-1", f"{NOW + 1}-0", f"{NOW + 1}-1", f"{NOW + 2}-0"]
    assert [int(e.fields["n"]) for e in state.stream_range(STREAM)] == [0, 1, 2, 3, 4]
    assert [e.id for e in state.stream_range(STREAM, first=f"({ids[1]}", count=2)] == ids[2:4]
    assert state.stream_last(STREAM) == [Entry(ids[4], {"n": b"4"})]
    assert state.stream_length(STREAM) == 5 and state.trim(STREAM, 2) == 3


def test_late_entries_in_a_pipeline_join_the_last_millisecond(state: State) -> None:
    with state.pipeline() as pipe:
        queued = [pipe.append(STREAM, {"n": 1}, at_ms=at) for at in (NOW, NOW - 5, NOW)]
    assert [q.value for q in queued] == [f"{NOW}-0", f"{NOW}-1", f"{NOW}-2"]


def test_a_late_entry_after_the_last_was_deleted(state: State) -> None:
    last = state.append(STREAM, {"n": 1}, at_ms=NOW)
    state.client.execute_command("XDEL", state.name(STREAM), last)
    assert state.append(STREAM, {"n": 2}, at_ms=NOW - 1) == f"{NOW}-1"


def test_consumer_groups(state: State) -> None:
    assert state.read_group(STREAM, "risk", "a") == []  # the group is made on demand
    ids = [state.append(STREAM, {"n": n}, at_ms=NOW + n) for n in range(4)]
    assert [e.id for e in state.read_group(STREAM, "risk", "a", count=3)] == ids[:3]
    assert [e.id for e in state.read_group(STREAM, "risk", "b")] == ids[3:]
    assert state.read_group(STREAM, "risk", "a") == []
    assert [e.id for e in state.read_group(STREAM, "other", "a")] == ids  # each group sees everything
    assert state.ack(STREAM, "risk", ids[0], ids[3]) == 2 and state.ack(STREAM, "risk", ids[0]) == 0
    assert [(p.id, p.consumer, p.deliveries) for p in state.pending(STREAM, "risk")] == [(ids[1], "a", 1), (ids[2], "a", 1)]
    assert state.pending(STREAM, "risk", idle_ms=60_000) == []
    assert [e.id for e in state.claim(STREAM, "risk", "b", idle_ms=0)] == ids[1:3]
    assert [(p.consumer, p.deliveries) for p in state.pending(STREAM, "risk")] == [("b", 2), ("b", 2)]
    assert state.claim(STREAM, "risk", "c", idle_ms=60_000) == []
    assert state.claim(keys.signals_pending("NEW"), "risk", "c", idle_ms=0) == []


def test_claiming_what_was_trimmed(state: State) -> None:
    ids = [state.append(STREAM, {"n": n}, at_ms=NOW + n) for n in range(3)]
    state.read_group(STREAM, "risk", "a")
    state.trim(STREAM, 1)
    assert [e.id for e in state.claim(STREAM, "risk", "b", idle_ms=0)] == ids[2:]


def test_a_blocking_read_wakes_up(server: EmbeddedServer, state: State) -> None:
    state.read_group(STREAM, "risk", "a")
    writer = connect(server.url, prefix=state.prefix)
    timer = threading.Timer(0.1, lambda: writer.append(STREAM, {"n": 1}, at_ms=NOW))
    timer.start()
    assert [e.id for e in state.read_group(STREAM, "risk", "a", block_ms=10_000)] == [f"{NOW}-0"]
    timer.join()
    assert state.read_group(STREAM, "risk", "a", block_ms=5) == []
    with pytest.raises(ValueError, match=r"1\.\.20000"):
        state.read_group(STREAM, "risk", "a", block_ms=60_000)


def test_marks(state: State) -> None:
    assert [state.once(DONE, "m", NOW), state.once(DONE, "m", NOW + 10**12)] == [True, False]
    assert [state.once(DONE, "t", NOW + at, ttl=1.5) for at in (0, 1499, 1500, 1501)] == [True, False, True, False]


def test_append_once(state: State) -> None:
    assert [state.append_once(STREAM, {"n": n}, DONE, "s1", NOW + n) for n in range(3)] == [True, False, False]
    assert state.stream_range(STREAM) == [Entry(f"{NOW}-0", {"n": b"0"})]
    assert state.append_once(STREAM, {"n": 9}, DONE, "s2", NOW - 5) is True
    assert state.stream_last(STREAM)[0].id == f"{NOW}-1"


def test_a_failed_effect_is_an_error_not_a_silent_mark(state: State) -> None:
    state.set(STREAM, b"not a stream")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        state.append_once(STREAM, {"n": 1}, DONE, "s1", NOW)


def test_scripts_survive_a_flush_of_the_script_cache(state: State) -> None:
    state.once(DONE, "a", NOW)
    state.client.execute_command("SCRIPT", "FLUSH")
    assert state.once(DONE, "a", NOW) is False
    state.client.execute_command("SCRIPT", "FLUSH")
    with state.transaction() as tx:
        known, new = tx.once(DONE, "a", NOW), tx.append_once(STREAM, {"n": 1}, DONE, "b", NOW)
    assert (known.value, new.value) == (False, True)


def test_outbox(state: State) -> None:
    def schedule(member: str, due: int) -> bool:
        return state.schedule_once(OUTBOX, BODIES, member, due, member.upper().encode(), DONE, member, NOW)

    assert [schedule("b", NOW + 10), schedule("c", NOW + 10), schedule("a", NOW + 10), schedule("z", NOW)] == [True] * 4
    assert schedule("a", NOW + 99) is False
    assert state.move_due(OUTBOX, BODIES, DUE, NOW - 1) == []
    assert state.move_due(OUTBOX, BODIES, DUE, NOW + 9) == ["z"]
    assert schedule("z", NOW) is False  # moved, and still told once only
    assert state.move_due(OUTBOX, BODIES, DUE, NOW + 10, limit=2) == ["a", "b"]
    assert state.move_due(OUTBOX, BODIES, DUE, NOW + 10) == ["c"]
    entries = state.stream_range(DUE)
    assert [e.id for e in entries] == [f"{NOW + 9}-0", f"{NOW + 10}-0", f"{NOW + 10}-1", f"{NOW + 10}-2"]
    assert entries[1].fields == {"id": b"a", "due": str(NOW + 10).encode(), "body": b"A"}
    assert state.get_hash(BODIES) == {}


def test_when_the_first_is_due(state: State) -> None:
    assert state.first_due(OUTBOX) is None
    for member, due in (("b", NOW + 10), ("a", NOW + 5), ("c", NOW + 7)):
        state.schedule_once(OUTBOX, BODIES, member, due, b"x", DONE, member, NOW)
    assert state.first_due(OUTBOX) == NOW + 5
    with state.pipeline() as pipe:
        pipe.move_due(OUTBOX, BODIES, DUE, NOW + 5)
        second, none = pipe.first_due(OUTBOX), pipe.first_due(Key("test:outbox", KeyType.SORTED_SET, None))
    assert (second.value, none.value) == (NOW + 7, None) == (state.first_due(OUTBOX), None)


def test_a_group_is_there_before_anything_is_read(state: State) -> None:
    with pytest.raises(ResponseError, match="NOGROUP"), state.pipeline() as pipe:
        pipe.read_group(STREAM, "risk", "a")  # what makes it on demand alone cannot in a queue
    assert state.create_group(STREAM, "risk") is None
    with state.pipeline() as pipe:
        left, new = pipe.claim(STREAM, "risk", "a", 0), pipe.read_group(STREAM, "risk", "a")
    assert (left.value, new.value) == ([], [])
    first = state.append(STREAM, {"n": 1}, at_ms=NOW)
    assert [e.id for e in state.read_group(STREAM, "risk", "a")] == [first]
    state.create_group(STREAM, "risk")  # it keeps its place, and what is pending
    assert state.read_group(STREAM, "risk", "a") == [] and [p.id for p in state.pending(STREAM, "risk")] == [first]
    state.create_group(STREAM, "late")  # from the stream's beginning
    assert [e.id for e in state.read_group(STREAM, "late", "a")] == [first]
    with state.transaction() as tx:
        tx.create_group(STREAM, "risk")
        tx.create_group(STREAM, "third")
        new = tx.read_group(STREAM, "third", "a")
    assert [e.id for e in new.value] == [first]
    state.set(keys.heartbeat("a"), b"1")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        state.create_group(keys.heartbeat("a"), "risk")


CHAIN = keys.options_by_contract("GOOG")


def test_a_hash_from_two_blobs(state: State) -> None:
    state.set_hash(CHAIN, {"aa": b"old", "zz": b"other"})
    assert state.set_packed(CHAIN, b"aabbcc", 2, b"1\x00\xff2\r\n333") == 3
    assert state.get_hash(CHAIN) == {"aa": b"1\x00\xff", "bb": b"2\r\n", "cc": b"333", "zz": b"other"}
    assert state.set_packed(CHAIN, b"aazz", 2, b"") == 2 and state.get_field(CHAIN, "zz") == b"" == state.get_field(CHAIN, "aa")
    assert state.set_packed(CHAIN, b"one name", 8, b"one value") == 1 and state.get_field(CHAIN, "one name") == b"one value"


@pytest.mark.parametrize("count", [1, 1999, 2000, 2001, 4000, 20_001])
def test_all_fields_arrive_however_many(state: State, count: int) -> None:
    """At once in one command; queued by a script, which writes them 2000 at a time, as Lua's stack does not hold them all."""
    names, values = [f"{n:06d}" for n in range(count)], [f"{n * 7:012d}" for n in range(count)]
    blobs = "".join(names).encode(), 6, "".join(values).encode()
    assert state.set_packed(CHAIN, *blobs) == count
    with state.pipeline() as pipe:
        queued = pipe.set_packed(Key("test:packed", KeyType.HASH, None), *blobs)
    assert queued.value == count
    assert state.get_hash(CHAIN) == {n: v.encode() for n, v in zip(names, values, strict=True)} == state.get_hash(Key("test:packed", KeyType.HASH, None))


@pytest.mark.parametrize(("names", "width", "values"), [(b"", 2, b""), (b"", 2, b"1"), (b"aab", 2, b"12"), (b"a", 2, b"1"), (b"aabb", 2, b"123"), (b"aabb", 0, b"12"), (b"aabb", -2, b"12")])
def test_blobs_that_do_not_divide_are_refused(state: State, names: bytes, width: int, values: bytes) -> None:
    with pytest.raises(ValueError, match=f"cannot cut {len(names)} bytes of names by {width} and {len(values)} bytes of values"):
        state.set_packed(CHAIN, names, width, values)
    with pytest.raises(ValueError, match="cannot cut"), state.pipeline() as pipe:
        pipe.set_hash(CHAIN, {"x": 1})
        pipe.set_packed(CHAIN, names, width, values)
    assert state.get_hash(CHAIN) == {}  # nothing of the queue was sent


def test_packed_fields_in_a_queue(server: EmbeddedServer, state: State) -> None:
    state.client.execute_command("SCRIPT", "FLUSH")
    for queue in (state.pipeline, state.transaction):
        with queue() as tx:
            before = tx.get_field(CHAIN, "aa")
            count = tx.set_packed(CHAIN, b"aabb", 2, b"12")
            after = tx.get_hash(CHAIN)
        assert (count.value, after.value) == (2, {"aa": b"1", "bb": b"2"})
    assert before.value == b"1"
    live = connect(server.url)
    live.set_packed(keys.options_by_contract("T"), b"aa", 2, b"1")
    assert live.client.execute_command("TTL", "options:chain:T:by_contract") > 0 > state.client.execute_command("TTL", state.name(CHAIN))
    live.delete(keys.options_by_contract("T"))


def test_packed_fields_do_not_go_into_what_is_no_hash(state: State) -> None:
    state.set(CHAIN, b"a string")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        state.set_packed(CHAIN, b"aa", 2, b"1")
    with pytest.raises(ResponseError, match="WRONGTYPE"), state.pipeline() as pipe:
        pipe.set_packed(CHAIN, b"aa", 2, b"1")
    assert state.get(CHAIN) == b"a string"  # and the connection is in step with its replies


def test_packed_fields_on_a_connection_that_broke(tmp_path: Path) -> None:
    with start_server(tmp_path, append_only=False) as server:
        state = connect(server.url)
        state.set_packed(CHAIN, b"aa", 2, b"1")
        connect(server.url).client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert state.set_packed(CHAIN, b"bb", 2, b"2") == 1 and state.get_hash(CHAIN) == {"aa": b"1", "bb": b"2"}
        state.client.execute_command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(ServerError, match="cannot take writes"):
            state.set_packed(CHAIN, b"cc", 2, b"3")
    with pytest.raises(ServerError, match="no answer from the state server"):
        state.set_packed(CHAIN, b"dd", 2, b"4")


def test_locks_end_in_event_time(state: State) -> None:
    assert state.acquire(LOCK, "s1", NOW, ttl=60) and state.acquire(LOCK, "s1", NOW + 30_000, ttl=60)  # renewed
    assert not state.acquire(LOCK, "s2", NOW + 89_999) and state.holder(LOCK, NOW + 89_999) == "s1"
    assert not state.release(LOCK, "s2")
    assert state.holder(LOCK, NOW + 90_000) is None and state.acquire(LOCK, "s2", NOW + 90_000)
    assert not state.release(LOCK, "s1") and state.release(LOCK, "s2") and not state.release(LOCK, "s2")
    with pytest.raises(ValueError, match="needs a ttl"):
        state.acquire(OUTBOX, "x", NOW)


def test_transactions_are_all_or_nothing(state: State) -> None:
    counts = keys.metrics_signals("GOOG")
    with state.transaction() as tx:
        new = tx.append_once(STREAM, {"n": 1}, DONE, "s1", NOW)
        again = tx.append_once(STREAM, {"n": 2}, DONE, "s1", NOW)
        tx.set_hash(counts, {"emitted": 1})
        seen = tx.get_hash(counts)
        with pytest.raises(RuntimeError, match="not executed yet"):
            _ = new.value
    assert (new.value, again.value, seen.value) == (True, False, {"emitted": b"1"})
    with pytest.raises(LookupError), state.transaction() as tx:
        tx.increment(counts, "emitted")
        raise LookupError
    assert state.get_hash(counts) == {"emitted": b"1"}
    with state.transaction() as tx:
        pass
    with pytest.raises(ResponseError, match="not an integer"), state.transaction() as tx:
        tx.set_hash(counts, {"emitted": "x"})
        tx.increment(counts, "emitted")


COUNTS, WORD = keys.metrics_signals("GOOG"), keys.heartbeat("market")


def test_what_was_not_waited_for_is_done_before_the_next_command(state: State) -> None:
    with state.transaction(wait=False) as tx:
        new, count = tx.append_once(STREAM, {"n": 1}, DONE, "s1", NOW), tx.increment(COUNTS, "n", 2)
    with state.pipeline(wait=False) as pipe:
        again = pipe.increment(COUNTS, "n", 3)
    with pytest.raises(RuntimeError, match="not executed yet"):
        _ = count.value
    state.send_packed(CHAIN, b"aabb", 2, b"12")
    assert state.get_hash(CHAIN) == {"aa": b"1", "bb": b"2"}
    assert (new.value, count.value, again.value, state.get_field(COUNTS, "n")) == (True, 2, 5, b"5")
    for _ in range(200):  # more than a wire holds open
        with state.pipeline(wait=False) as pipe:
            last = pipe.increment(COUNTS, "n")
    state.settle()
    assert last.value == 205


def test_the_error_of_what_was_not_waited_for_comes_with_the_next_command(state: State) -> None:
    state.set(WORD, b"a word")
    with state.pipeline(wait=False) as bad:
        bad.increment(WORD, "n")
    with state.transaction(wait=False) as good:
        counted = good.increment(COUNTS, "n")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        state.get(WORD)
    assert counted.value == 1 and state.get(WORD) == b"a word"  # what came after it was done, and the connection is in step
    with state.transaction(wait=False) as tx:
        tx.set(WORD, b"as it was")
        tx.increment(WORD, "n")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        state.settle()
    state.settle()
    state.send_packed(WORD, b"aa", 2, b"1")
    with pytest.raises(ResponseError, match="WRONGTYPE"), state.transaction() as tx:
        tx.increment(COUNTS, "n")
    assert state.get_field(COUNTS, "n") == b"2"


def test_closing_tells_what_went_wrong_last(server: EmbeddedServer, state: State) -> None:
    state.set(WORD, b"a word")
    other = connect(server.url, prefix=state.prefix)
    other.send_packed(WORD, b"aa", 2, b"1")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        other.close()


def test_a_connection_that_breaks_loses_the_replies_and_sends_nothing_twice(tmp_path: Path) -> None:
    with start_server(tmp_path, append_only=False) as server:
        state, other = connect(server.url), connect(server.url)
        with state.pipeline(wait=False) as pipe:
            count = pipe.increment(COUNTS, "n")
        while other.get_field(COUNTS, "n") is None:
            pass
        other.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(ServerError, match="no answer from the state server"):
            state.set(WORD, b"lost")
        with pytest.raises(RuntimeError, match="not executed yet"):
            _ = count.value
        assert state.get_field(COUNTS, "n") == b"1" and state.get(WORD) is None


def test_threads_and_child_processes_have_connections_of_their_own(state: State) -> None:
    with state.pipeline(wait=False) as pipe:
        mine = pipe.increment(COUNTS, "here")
    seen: list[bytes | None] = []
    threads = [threading.Thread(target=lambda: (state.increment(COUNTS, "there", 5), seen.append(state.get_field(COUNTS, "there")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state.settle()
    assert mine.value == 1 and len(seen) == 4 and state.get_field(COUNTS, "there") == b"20"
    if (child := os.fork()) == 0:
        os._exit(0 if state.get_field(COUNTS, "here") == b"1" and state.increment(COUNTS, "child") == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert state.get_hash(COUNTS) == {"here": b"1", "there": b"20", "child": b"1"}


def test_a_transaction_that_the_server_does_not_take_says_why(state: State) -> None:
    with pytest.raises(ResponseError, match="unknown command"), state.transaction() as tx:
        tx.increment(COUNTS, "n")
        tx.run(state_module.Command((("NOSUCHCOMMAND",),), bytes))
    assert state.get_hash(COUNTS) == {}


def test_results_keep_their_places_with_expiries_between(server: EmbeddedServer) -> None:
    live = connect(server.url)
    with live.transaction() as tx:
        first = tx.increment(keys.metrics_signals("Q"), "n", 3)
        second = tx.append(keys.signals_pending("Q"), {"n": 1}, at_ms=NOW)
        third = tx.get_field(keys.metrics_signals("Q"), "n")
    assert (first.value, second.value, third.value) == (3, f"{NOW}-0", b"3")
    live.delete(keys.metrics_signals("Q"), keys.signals_pending("Q"))


def test_namespaces(server: EmbeddedServer, state: State) -> None:
    live, other = connect(server.url), state.within("replay:test2:")
    for owner in (live, state, other):
        owner.set_json(keys.analytics_portfolio(), {"of": owner.prefix})
    for n in range(2500):
        state.increment(Key(f"many:{n}", KeyType.HASH, None), "n")
    assert state.clear_namespace() == 2501 and state.clear_namespace() == 0
    assert live.get_json(keys.analytics_portfolio()) == {"of": ""} and other.get_json(keys.analytics_portfolio())
    with pytest.raises(ValueError, match="only a namespace can be cleared"):
        live.clear_namespace()
    with pytest.raises(ValueError, match="a namespace ends with ':'"):
        connect(server.url, prefix="replay:*:")
    other.clear_namespace()
    live.delete(keys.analytics_portfolio())


async def test_async_has_the_same_functions(astate: AsyncState) -> None:
    assert await astate.read_group(STREAM, "risk", "a") == []
    first = await astate.append(STREAM, {"n": 1}, at_ms=NOW)
    late = await astate.append(STREAM, {"n": 2}, at_ms=NOW - 1)
    assert (first, late) == (f"{NOW}-0", f"{NOW}-1")
    assert [e.id for e in await astate.read_group(STREAM, "risk", "a", block_ms=10)] == [first, late]
    async with astate.transaction() as tx:
        new = tx.once(DONE, "m", NOW)
        count = tx.increment(keys.metrics_signals("GOOG"), "n")
    assert (new.value, count.value) == (True, 1)
    results = await asyncio.gather(*(astate.append_once(STREAM, {"n": n}, DONE, "only one", NOW + 1) for n in range(20)))
    assert sum(results) == 1
    assert await astate.schedule_once(OUTBOX, BODIES, "a", NOW, b"x", DONE, "a", NOW)
    assert await astate.first_due(OUTBOX) == NOW
    assert await astate.move_due(OUTBOX, BODIES, DUE, NOW) == ["a"] and await astate.first_due(OUTBOX) is None
    assert await astate.create_group(DUE, "distribution") is None is await astate.create_group(DUE, "distribution")
    async with astate.pipeline() as pipe:
        moved = pipe.read_group(DUE, "distribution", "b")
        packed = pipe.set_packed(CHAIN, b"aabb", 2, b"12")
    assert [e.fields["id"] for e in moved.value] == [b"a"] and packed.value == 2
    assert await astate.set_packed(CHAIN, b"bb", 2, b"3") == 1 and await astate.get_hash(CHAIN) == {"aa": b"1", "bb": b"3"}
    with pytest.raises(ValueError, match="cannot cut"):
        await astate.set_packed(CHAIN, b"aab", 2, b"3")
    assert await astate.acquire(LOCK, "s1", NOW, ttl=1) and await astate.holder(LOCK, NOW) == "s1"
    await astate.set_json(keys.heartbeat("a"), 1)
    assert await astate.clear_namespace() == 7 and await astate.get(keys.heartbeat("a")) is None


async def test_async_errors_are_one_line() -> None:
    with pytest.raises(ServerError, match="no answer from the state server at redis://127.0.0.1:1/0"):
        await connect_async("redis://:secret@127.0.0.1:1/0").get(keys.heartbeat("a"))


@pytest.mark.parametrize(("url", "match"), [
    ("redis://user:secret@127.0.0.1:1/0", "no answer from the state server at redis://127.0.0.1:1/0"),
    ("unix:///no/such.sock?password=secret", "no answer from the state server at unix:///no/such.sock"),
    ("http://h", "is not usable")])
def test_connection_errors_are_one_line_without_password(url: str, match: str) -> None:
    with pytest.raises(ServerError, match=match) as caught:
        connect(url)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_password_is_needed_and_sent(tmp_path: Path) -> None:
    with start_server(tmp_path, append_only=False) as server:
        state = connect(server.url)
        state.client.execute_command("CONFIG", "SET", "requirepass", "secret")
        with pytest.raises(ServerError, match="refuses access"):
            connect(server.url).get(keys.heartbeat("a"))
        with pytest.raises(ServerError, match="refuses access") as caught:
            connect(server.tcp_url.replace("//", "//:wrong1@"))
        assert "wrong1" not in str(caught.value)
        assert connect(server.tcp_url.replace("//", "//:secret@")).get(keys.heartbeat("a")) is None
        state.client.execute_command("CONFIG", "SET", "requirepass", "")


def test_a_full_server_is_one_line(tmp_path: Path) -> None:
    with start_server(tmp_path, append_only=False) as server:
        state = connect(server.url)
        state.client.execute_command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(ServerError, match="cannot take writes"):
            state.set(keys.heartbeat("a"), b"1")
        with pytest.raises(ServerError, match="cannot take writes"), state.transaction() as tx:
            tx.set(keys.heartbeat("a"), b"1")


def test_a_command_is_not_sent_twice_when_the_connection_breaks(tmp_path: Path) -> None:
    with start_server(tmp_path, append_only=False) as server:
        state = connect(server.url)
        state.append(STREAM, {"n": 1})
        connect(server.url).client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        state.append(STREAM, {"n": 2})  # the pool saw the closed connection and opened another
        assert state.stream_length(STREAM) == 2


def test_an_old_server_is_refused() -> None:
    with pytest.raises(ServerError, match=r"is version 6\.2\.14; use Redis 7 or newer, or Valkey"):
        state_module._check_version(b"# Server\r\nredis_version:6.2.14\r\n", "redis://h:1")


PRODUCER = """
import sys
from quanticity.core import keys
from quanticity.store.state import connect
state = connect(sys.argv[1])
print("up", flush=True)
for n in range(3000):
    state.append_once(keys.signals_distribution("GOOG"), {"n": n}, keys.distribution_done(), str(n), n + 1)
"""


def test_publishing_under_kill_loses_and_doubles_nothing(tmp_path: Path) -> None:
    env = dict(os.environ, PYTHONPATH=str(Path(quanticity.__file__).parents[1]))
    with start_server(tmp_path, append_only=False) as server:
        for life in (0.03, 0.06, 0.1, None):
            with subprocess.Popen([sys.executable, "-c", PRODUCER, server.url], env=env, stdout=subprocess.PIPE) as producer:
                assert producer.stdout is not None
                producer.stdout.readline()
                if life is not None:
                    threading.Event().wait(life)
                    producer.kill()
        entries = connect(server.url).stream_range(keys.signals_distribution("GOOG"))
        assert [int(e.fields["n"]) for e in entries] == list(range(3000))
