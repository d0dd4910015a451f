"""The outbox on a real server: each tier at its time, retries, dead letters, and death at the worst moment."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.errors import OutputError
from quanticity.core.events import EventKind, parse_event
from quanticity.core.keys import distribution_bodies, distribution_dead, distribution_done, distribution_due, distribution_outbox
from quanticity.core.types import Delivery, Message, Tier
from quanticity.distribution.channels import FileChannel
from quanticity.distribution.outbox import Outbox, due_milliseconds, now_milliseconds
from quanticity.store.ledger import ledger_lines
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

TS = datetime(2015, 12, 24, 15, 2, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DELAYS = {Tier.PREMIUM: 0.0, Tier.BASIC: 60.0, Tier.FREE: 900.0}
SESSION = "GOOG-2015-12-24"


class Killed(BaseException):
    """The process dies here: nothing catches it."""


class Subscriber(FileChannel):
    """The file channel, which can be told to fail or to die, before or after the file is written; it counts what it was asked."""

    def __init__(self, folder: Path, fail: int = 0, die_after: int = 0) -> None:
        super().__init__(folder)
        self.fail, self.die_after, self.asked = fail, die_after, list[str]()

    def send(self, delivery: Delivery) -> None:
        self.asked.append(delivery.id)
        if self.fail:
            self.fail -= 1
            raise OutputError("cannot write: no space", "free some")
        super().send(delivery)
        if self.die_after:
            self.die_after -= 1
            raise Killed

    @property
    def received(self) -> list[str]:
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*.txt"))


def message(number: int = 1, at: datetime = TS) -> Message:
    return Message(f"msg:sig:{number}:opened", f"sig:{number}", f"sig:{number}/entry#1", at, "opened", f"OPENED {number}")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("outbox"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:outbox:")
    yield connected
    connected.clear_namespace()
    connected.close()


def outbox(state: State, channel, attempts: int = 5, delays=DELAYS) -> Outbox:
    return Outbox(state, SESSION, {"file": channel}, delays, attempts)


def told(state: State, kind: EventKind):
    return [e for e in map(parse_event, ledger_lines(state, SESSION)) if e.kind is kind]


def sent(deliveries) -> list[tuple[str, float]]:
    return [(d.tier.value, (d.ts - TS).total_seconds()) for d in deliveries]


def test_each_tier_at_its_delay_and_not_a_second_before(state, tmp_path):
    box = outbox(state, Subscriber(tmp_path))
    assert box.schedule(message())
    assert box.deliver(TS - SECOND) == []
    got = []
    for at in (0, 59, 60, 61, 899, 900, 901, 5000):
        got += box.deliver(TS + at * SECOND)
    assert sent(got) == [("premium", 0), ("basic", 60), ("free", 900)]
    assert [(d.due - TS).total_seconds() for d in got] == [0, 60, 900]
    assert box.channels["file"].received == ["basic/20151224T150300-msg-sig-1-opened.txt", "free/20151224T151700-msg-sig-1-opened.txt",
                                             "premium/20151224T150200-msg-sig-1-opened.txt"]


def test_the_ledger_tells_the_message_then_its_deliveries(state, tmp_path):
    box = outbox(state, Subscriber(tmp_path))
    box.schedule(message())
    box.deliver(TS + 900 * SECOND)
    (line,) = told(state, EventKind.MESSAGE)
    assert (line.id, line.cause, line.ts) == ("msg:sig:1:opened", ("sig:1/entry#1",), TS) and line.data["text"] == "OPENED 1"
    deliveries = told(state, EventKind.DELIVERY)
    assert [e.id for e in deliveries] == [f"msg:sig:1:opened@{tier}/file" for tier in ("premium", "basic", "free")]
    assert {e.cause for e in deliveries} == {("msg:sig:1:opened",)} and [(e.data["tier"], e.data["channel"]) for e in deliveries] == [
        ("premium", "file"), ("basic", "file"), ("free", "file")]


def test_a_late_step_sends_all_that_is_due_earliest_first(state, tmp_path):
    box = outbox(state, Subscriber(tmp_path))
    box.schedule(message(1))
    box.schedule(message(2, TS + 30 * SECOND))
    got = box.deliver(TS + 100 * SECOND)
    assert [(d.message_id[8], d.tier.value) for d in got] == [("1", "premium"), ("2", "premium"), ("1", "basic"), ("2", "basic")]
    assert {d.ts for d in got} == {TS + 100 * SECOND}
    assert box.next_due() == TS + 900 * SECOND


def test_scheduling_twice_is_once(state, tmp_path):
    channel = Subscriber(tmp_path)
    box = outbox(state, channel)
    assert box.schedule(message()) and not box.schedule(message())
    box.deliver(TS + 1000 * SECOND)
    assert not box.schedule(message())
    assert box.deliver(TS + 5000 * SECOND) == [] and len(channel.asked) == 3 and len(told(state, EventKind.MESSAGE)) == 1
    assert not outbox(state, channel).schedule(message())  # another process


def test_when_the_next_one_is_due(state, tmp_path):
    box = outbox(state, Subscriber(tmp_path))
    assert box.next_due() is None
    box.schedule(message())
    seen = []
    while (due := box.next_due()) is not None:
        seen.append((due - TS).total_seconds())
        assert len(box.deliver(due)) == 1
    assert seen == [0, 60, 900]


def test_a_failing_channel_is_tried_again_until_it_works(state, tmp_path):
    channel = Subscriber(tmp_path, fail=2)
    box = outbox(state, channel, delays={Tier.PREMIUM: 0.0})
    box.schedule(message())
    assert [len(box.deliver(TS + i * SECOND)) for i in range(5)] == [0, 0, 1, 0, 0]
    assert len(channel.asked) == 3 and len(channel.received) == 1
    (line,) = told(state, EventKind.DELIVERY)
    assert line.ts == TS + 2 * SECOND and state.stream_length(distribution_dead()) == 0


def test_after_the_last_attempt_it_is_a_dead_letter_with_its_reason(state, tmp_path):
    channel = Subscriber(tmp_path, fail=99)
    box = outbox(state, channel, attempts=3, delays={Tier.PREMIUM: 0.0})
    box.schedule(message())
    assert [len(box.deliver(TS + i * SECOND)) for i in range(6)] == [0] * 6
    assert len(channel.asked) == 3 and channel.received == [] and told(state, EventKind.DELIVERY) == []
    (dead,) = state.stream_range(distribution_dead())
    assert dead.fields["reason"] == b"cannot write: no space; free some" and dead.fields["id"] == b"msg:sig:1:opened@premium/file"
    assert int(dead.fields["at"]) == now_milliseconds(TS + 2 * SECOND) and orjson.loads(dead.fields["body"])["text"] == "OPENED 1"
    assert state.pending(distribution_due(), "distribution") == []


def test_one_that_fails_does_not_hold_up_the_others(state, tmp_path):
    channel = Subscriber(tmp_path, fail=1)
    box = outbox(state, channel, delays={Tier.PREMIUM: 0.0})
    box.schedule(message(1))
    box.schedule(message(2))
    assert [d.message_id for d in box.deliver(TS)] == ["msg:sig:2:opened"]
    assert [d.message_id for d in box.deliver(TS + SECOND)] == ["msg:sig:1:opened"]


def test_killed_between_sending_and_marking_it_is_sent_again_and_read_once(state, tmp_path):
    dying = Subscriber(tmp_path, die_after=1)
    box = outbox(state, dying)
    box.schedule(message())
    with pytest.raises(Killed):
        box.deliver(TS)
    assert dying.received == ["premium/20151224T150200-msg-sig-1-opened.txt"] and told(state, EventKind.DELIVERY) == []
    again = Subscriber(tmp_path)
    got = outbox(state, again).deliver(TS + SECOND)  # a new process
    assert sent(got) == [("premium", 1)] and again.asked == dying.asked
    assert again.received == dying.received and len(told(state, EventKind.DELIVERY)) == 1
    assert outbox(state, again).deliver(TS + 2 * SECOND) == []


def test_killed_before_sending_nothing_is_lost(state, tmp_path):
    box = outbox(state, Subscriber(tmp_path))
    box.schedule(message())
    state.move_due(distribution_outbox(), distribution_bodies(), distribution_due(), now_milliseconds(TS))
    state.read_group(distribution_due(), "distribution", "outbox")  # read, and then the process is gone
    assert sent(outbox(state, Subscriber(tmp_path)).deliver(TS + SECOND)) == [("premium", 1)]


def test_killed_while_scheduling_nothing_is_half_there(state, tmp_path):
    box = outbox(state, Subscriber(tmp_path))

    class Dying(dict):
        def __iter__(self):
            raise Killed

    with pytest.raises(Killed):
        Outbox(state, SESSION, Dying(file=box.channels["file"]), DELAYS).schedule(message())
    assert told(state, EventKind.MESSAGE) == [] and box.next_due() is None and state.get_hash(distribution_done()) == {}
    assert box.schedule(message())


def test_more_than_a_page_at_once_goes_out_over_a_few_steps(state, tmp_path):
    channel = Subscriber(tmp_path)
    box = outbox(state, channel, delays={Tier.PREMIUM: 0.0})
    for i in range(130):
        box.schedule(message(i))
    while (due := box.next_due()) is not None:
        box.deliver(due)
    assert len(channel.received) == 130 == len(set(channel.asked)) == len(channel.asked)


@settings(max_examples=60, deadline=None)
@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_due_times_are_rounded_up_and_the_present_down(at):
    due, now = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=of(at)) for of in (due_milliseconds, now_milliseconds))
    assert timedelta(0) <= due - at < timedelta(milliseconds=1) and timedelta(0) <= at - now < timedelta(milliseconds=1)


def test_nothing_goes_out_even_a_microsecond_early(state, tmp_path):
    box = outbox(state, Subscriber(tmp_path))
    box.schedule(message(at=TS + timedelta(microseconds=900)))
    assert box.deliver(TS + timedelta(microseconds=100)) == []
    assert box.next_due() == TS + timedelta(milliseconds=1)
    assert box.deliver(TS + timedelta(microseconds=999)) == []
    assert sent(box.deliver(TS + timedelta(milliseconds=1))) == [("premium", 0.001)]


def test_what_failed_is_still_waiting(state, tmp_path):
    channel = Subscriber(tmp_path, fail=1)
    box = outbox(state, channel, delays={Tier.PREMIUM: 0.0})
    assert not box.unfinished()
    box.schedule(message())
    assert not box.unfinished()
    assert box.deliver(TS) == [] and box.next_due() is None and box.unfinished()
    assert box.deliver(TS, again=False) == [] and box.unfinished() and len(channel.asked) == 1  # only what is new
    assert len(box.deliver(TS)) == 1 and not box.unfinished() and len(channel.received) == 1


def test_a_dead_letter_is_told_in_the_ledger(state, tmp_path):
    box = outbox(state, Subscriber(tmp_path, fail=99), attempts=1, delays={Tier.PREMIUM: 0.0})
    box.schedule(message())
    box.deliver(TS)
    (line,) = told(state, EventKind.DEAD_LETTER)
    assert (line.id, line.cause, line.ts) == ("dead:msg:sig:1:opened@premium/file", ("msg:sig:1:opened",), TS)
    assert line.data == {"tier": "premium", "channel": "file", "due": "2015-12-24T15:02:00Z", "attempts": 1, "detail": "cannot write: no space; free some"}
    assert not box.unfinished() and box.deliver(TS + SECOND) == [] and len(told(state, EventKind.DEAD_LETTER)) == 1


class Vendor(FileChannel):
    """A channel whose client raises its own error."""

    def send(self, delivery: Delivery) -> None:
        raise ConnectionResetError("by peer, at https://bot:hunter2hunter2@chat.example/send")


def test_any_error_of_a_channel_is_a_failed_attempt(state, tmp_path):
    box = outbox(state, Vendor(tmp_path), attempts=2, delays={Tier.PREMIUM: 0.0})
    box.schedule(message())
    assert box.deliver(TS) == [] and box.unfinished() and told(state, EventKind.DEAD_LETTER) == []
    assert box.deliver(TS + SECOND) == [] and not box.unfinished()
    (dead,), (line,) = state.stream_range(distribution_dead()), told(state, EventKind.DEAD_LETTER)
    assert dead.fields["reason"].decode() == line.data["detail"] and line.data["attempts"] == 2
    assert line.data["detail"].startswith("ConnectionResetError: by peer") and "hunter2" not in line.data["detail"]


class Interrupted(FileChannel):
    def send(self, delivery: Delivery) -> None:
        raise KeyboardInterrupt


def test_whoever_stops_the_program_stops_it(state, tmp_path):
    box = outbox(state, Interrupted(tmp_path), attempts=1)
    box.schedule(message())
    with pytest.raises(KeyboardInterrupt):
        box.deliver(TS)
    assert box.unfinished() and told(state, EventKind.DEAD_LETTER) == []


def test_a_tier_whose_channel_is_gone_is_a_dead_letter_not_the_end(state, tmp_path):
    """Scheduled by a process whose configuration named another channel."""
    outbox(state, Subscriber(tmp_path), delays={Tier.PREMIUM: 0.0}).schedule(message())
    box = Outbox(state, SESSION, {}, DELAYS, 1)
    assert box.deliver(TS) == []
    assert [e.id for e in told(state, EventKind.DEAD_LETTER)] == ["dead:msg:sig:1:opened@premium/file"]
