"""A signal's life over a real server: emitted once, locked, let go, and every refusal counted and told."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import orjson
import pytest

from quanticity.core.events import EventKind, parse_event
from quanticity.core.keys import ledger, metrics_signals, signals_ack, signals_live, signals_pending, signals_veto
from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Proposal, Right, Side, Signal, Skip, plain, proposal_from_plain, signal_from_plain
from quanticity.signals.lifecycle import SignalBook, acknowledge, end_signal, read_lock, write_lock
from quanticity.signals.scoring import LiveLock, SignalPolicy, fingerprint, signal_id
from quanticity.store.ledger import ledger_lines
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

TS = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CONTRACT = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, datetime(2015, 12, 24, 18, tzinfo=UTC))
POLICY = SignalPolicy(0.55, 2 * MINUTE, 60 * MINUTE, 30 * MINUTE)
SESSION = "GOOG-2015-12-24"


def proposal(number: int = 1, at: datetime = TS, right: Right = Right.CALL, confidence: float = 0.7) -> Proposal:
    return Proposal(f"pro:zero_dte:{right}:{number}", "zero_dte", "GOOG", at, replace(CONTRACT, right=right), Side.BUY, 1.5, 2.4, 0.9, TS + 100 * MINUTE,
                    confidence, {"room": 1.0}, (f"chain:GOOG:{number}",))


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("lifecycle"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:life:")
    yield connected
    connected.clear_namespace()
    connected.close()


@pytest.fixture
def book(state) -> SignalBook:
    return SignalBook(state, "GOOG", SESSION, POLICY)


def lines(state: State):
    return [parse_event(line) for line in ledger_lines(state, SESSION)]


def counts(state: State) -> dict[str, int]:
    return {k: int(v) for k, v in state.get_hash(metrics_signals("GOOG")).items()}


def vetoes(state: State) -> dict[str, int]:
    return {k: int(v) for k, v in state.get_hash(signals_veto("GOOG")).items()}


def test_an_emitted_signal_is_pending_locked_counted_and_told(book, state):
    p = proposal()
    done = book.consider(p)
    assert (done.kind, done.id, done.cause, done.ts) == (EventKind.SIGNAL, signal_id(p), (p.id,), TS)
    (entry,) = state.stream_range(signals_pending("GOOG"))
    signal = signal_from_plain(orjson.loads(entry.fields["signal"]))
    assert signal == Signal(signal_id(p), fingerprint(p), TS, TS + 2 * MINUTE, p)
    assert read_lock(state, fingerprint(p)) == LiveLock(signal.id, TS + 60 * MINUTE)
    assert counts(state) == {"proposals": 1, "signals": 1} and vetoes(state) == {}
    told = lines(state)
    assert [(e.kind, e.id, e.cause) for e in told] == [(EventKind.PROPOSAL, p.id, ("chain:GOOG:1",)), (EventKind.SIGNAL, signal.id, (p.id,))]
    assert proposal_from_plain(told[0].data) == p and signal_from_plain(told[1].data) == signal
    assert told[1] == replace(done, data=told[1].data)


def test_emitting_is_one_transaction(book, state, server):
    """What the server itself saw: effect, lock, counts and ledger lines between one MULTI and its EXEC."""
    watcher = connect(server.url)
    seen: list[str] = []
    with watcher.client.monitor() as monitor:
        done = threading.Event()

        def watch() -> None:
            for command in monitor.listen():
                seen.append(command["command"])
                if "replay:life:end" in command["command"]:
                    break
            done.set()

        threading.Thread(target=watch, daemon=True).start()
        book.consider(proposal())
        state.client.execute_command("GET", "replay:life:end")
        assert done.wait(10)
    watcher.close()
    start, stop = seen.index("MULTI"), seen.index("EXEC")
    assert seen.count("MULTI") == seen.count("EXEC") == 1
    inside = [c.split()[:2] for c in seen[start + 1:stop]]
    for command, key in (("XADD", signals_pending("GOOG")), ("SET", signals_live(fingerprint(proposal()))), ("HINCRBY", metrics_signals("GOOG")),
                         ("XADD", ledger(SESSION))):
        assert [command, f"replay:life:{key}"] in inside, (command, key, inside)
    writes = [c for c in seen if c.split()[0] in ("XADD", "SET", "HSET", "HINCRBY", "HINCRBYFLOAT")]
    assert all(c in seen[start:stop] for c in writes) and len([c for c in inside if c == ["XADD", f"replay:life:{ledger(SESSION)}"]]) == 2


@pytest.mark.parametrize(("first", "second", "reason"), [
    (None, proposal(confidence=0.5), Reason.LOW_CONFIDENCE), (proposal(), proposal(), Reason.DUPLICATE), (proposal(1), proposal(2), Reason.ALREADY_LIVE),
    (proposal(1), proposal(2, TS + 60 * MINUTE), None), (proposal(1), proposal(2, TS + 59 * MINUTE), Reason.ALREADY_LIVE),
    (proposal(1), proposal(2, right=Right.PUT), None)])
def test_what_a_second_proposal_meets(book, state, first, second, reason):
    if first:
        book.consider(first)
    done = book.consider(second)
    if reason is None:
        assert done.kind is EventKind.SIGNAL and vetoes(state) == {}
        return
    assert (done.kind, done.id, done.cause, done.data["reason"]) == (EventKind.VETO, f"veto:{second.id}", (second.id,), reason.value)
    assert vetoes(state) == {reason.value: 1} and counts(state)["vetoes"] == 1
    assert [e.kind for e in lines(state)][-2:] == [EventKind.PROPOSAL, EventKind.VETO] and lines(state)[-1].data["detail"]
    assert state.stream_length(signals_pending("GOOG")) == (1 if first else 0)


def test_a_veto_leaves_the_lock_as_it_was(book, state):
    book.consider(proposal(1))
    lock = read_lock(state, fingerprint(proposal()))
    book.consider(proposal(2))
    book.consider(proposal(3, confidence=0.1))
    assert read_lock(state, fingerprint(proposal())) == lock and counts(state) == {"proposals": 3, "signals": 1, "vetoes": 2}


def test_a_bet_that_ended_rests_for_the_cooldown_and_is_free_after_it(book, state):
    signal = signal_from_plain(book.consider(proposal(1)).data)
    ended = TS + 10 * MINUTE
    with state.transaction() as tx:
        end_signal(tx, signal, ended, POLICY, "closed")
    assert read_lock(state, signal.fingerprint) == LiveLock(signal.id, ended + 30 * MINUTE, ended=True)
    assert state.get_hash(signals_ack("GOOG")) == {signal.id: b"closed"}
    assert book.consider(proposal(2, ended + 29 * MINUTE)).data["reason"] == Reason.COOLDOWN.value
    assert book.consider(proposal(3, ended + 30 * MINUTE)).kind is EventKind.SIGNAL


def test_the_same_proposal_is_a_duplicate_even_after_its_end(book, state):
    signal = signal_from_plain(book.consider(proposal(1)).data)
    with state.transaction() as tx:
        end_signal(tx, signal, TS, POLICY, "expired")
    assert book.consider(proposal(1)).data["reason"] == Reason.DUPLICATE.value
    assert state.stream_length(signals_pending("GOOG")) == 1


def test_a_later_outcome_replaces_the_earlier(book, state):
    signal = signal_from_plain(book.consider(proposal()).data)
    for outcome in ("submitted", "filled"):
        with state.transaction() as tx:
            acknowledge(tx, signal, outcome)
    assert state.get_hash(signals_ack("GOOG")) == {signal.id: b"filled"}


def test_locks_read_back_and_unknown_ones_are_none(state):
    assert read_lock(state, "0" * 16) is None
    with state.transaction() as tx:
        write_lock(tx, "ab", LiveLock("sig:1", TS, True))
    assert read_lock(state, "ab") == LiveLock("sig:1", TS, True)


def test_a_skip_is_counted_and_told_with_its_cause(book, state):
    skips = [Skip("zero_dte", "GOOG", TS + i * MINUTE, Reason.OUTSIDE_WINDOW, "too early", (f"chain:GOOG:{i}",)) for i in range(2)]
    done = [book.skip(skip, seq) for seq, skip in enumerate(skips, 7)]
    assert [e.id for e in done] == ["skip:zero_dte:GOOG:7", "skip:zero_dte:GOOG:8"]
    assert counts(state) == {"skips": 2} and vetoes(state) == {"outside_window": 2}
    assert [e.cause for e in lines(state)] == [("chain:GOOG:0",), ("chain:GOOG:1",)]
    assert lines(state)[0].data == {"strategy": "zero_dte", "symbol": "GOOG", "reason": "outside_window", "detail": "too early"}


def test_every_proposal_is_accounted_for(book, state):
    for i in range(20):
        book.consider(proposal(i // 2, TS + i * 7 * MINUTE, (Right.CALL, Right.PUT)[i % 3 == 0], 0.4 + 0.05 * (i % 7)))
    c = counts(state)
    assert c["proposals"] == 20 == c["signals"] + c["vetoes"] and c["vetoes"] == sum(vetoes(state).values())
    assert state.stream_length(signals_pending("GOOG")) == c["signals"] >= 2
    assert plain(lines(state)[0].ts) == "2015-12-24T15:01:00Z"
