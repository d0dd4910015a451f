"""A signal's life over a real server: emitted once, locked, let go, and every refusal counted and told."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import orjson
import pytest

from quanticity.core.events import EventKind, parse_event
from quanticity.core.keys import (
    ledger, metrics_signals, signals_ack, signals_exposure, signals_exposure_ends, signals_exposure_totals, signals_live, signals_memory, signals_pending, signals_veto)
from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Proposal, Right, Side, Signal, Skip, plain, proposal_from_plain, signal_from_plain
from quanticity.signals.audit import findings, read_exposure
from quanticity.signals.lifecycle import SignalBook, acknowledge, end_signal, read_lock, write_lock
from quanticity.signals.safe_mode import SafeMode, SafeModePolicy
from quanticity.signals.scoring import Cap, Caps, LiveLock, SignalPolicy, contract_fingerprint, fingerprint, signal_id
from quanticity.signals.scripts import milliseconds
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
    """What the server itself saw: every write, of whatever kind, between one MULTI and its EXEC, and none outside."""
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
        book.take((proposal(1), Skip("moc", "GOOG", TS, Reason.OUTSIDE_WINDOW, "too early", ("chain:GOOG:1",)), proposal(2, confidence=0.1)), 1, memory={"decided": b"7"})
        state.client.execute_command("GET", "replay:life:end")
        assert done.wait(10)
    watcher.close()
    start, stop = seen.index("MULTI"), seen.index("EXEC")
    assert seen.count("MULTI") == seen.count("EXEC") == 1
    inside = [c.split()[:2] for c in seen[start + 1:stop]]
    for command, key in (("XADD", signals_pending("GOOG")), ("SET", signals_live(fingerprint(proposal()))), ("SET", signals_live(contract_fingerprint(proposal()))),
                         ("HSET", signals_exposure()), ("ZADD", signals_exposure_ends()), ("HINCRBY", signals_exposure_totals()), ("HSET", signals_ack("GOOG")),
                         ("HINCRBY", metrics_signals("GOOG")), ("HINCRBY", signals_veto("GOOG")), ("HSET", signals_memory("GOOG")), ("XADD", ledger(SESSION))):
        assert [command, f"replay:life:{key}"] in inside, (command, key, inside)
    writes = [c for c in seen if c.split()[0] in ("XADD", "SET", "HSET", "HINCRBY", "HINCRBYFLOAT", "ZADD", "DEL", "HDEL", "ZREM")]
    assert all(c in seen[start:stop] for c in writes) and inside.count(["XADD", f"replay:life:{ledger(SESSION)}"]) == 5


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


def test_what_else_a_step_writes_goes_with_it_and_nobody_need_wait(book, state):
    """`also` is in the step's transaction; without `wait` nothing is told, and all is written."""
    done = book.take((proposal(1), proposal(2)), 1, failures=2, wait=False, also=lambda tx: tx.increment(metrics_signals("GOOG"), "also", 1))
    assert done == [] and counts(state) == {"proposals": 2, "signals": 1, "vetoes": 1, "failures": 2, "also": 1}


def test_by_itself_a_proposal_is_not_one_of_a_drifting_market_and_aims_at_nothing(state):
    careful = SignalBook(state, "GOOG", SESSION, replace(POLICY, safe_mode=SafeModePolicy(SafeMode.NONE)))
    assert careful.consider(proposal(1)).kind is EventKind.SIGNAL and careful.take((proposal(2, right=Right.PUT),), 1)[0].kind is EventKind.SIGNAL
    assert totals(state)["book"] == 2 and "book:cents" not in totals(state)


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
        end_signal(tx, signal, ended, POLICY, "refused:stale_quote")
    assert read_lock(state, signal.fingerprint) == LiveLock(signal.id, ended + 30 * MINUTE, ended=True)
    assert state.get_hash(signals_ack("GOOG")) == {signal.id: b"refused:stale_quote"}
    assert book.consider(proposal(2, ended + 29 * MINUTE)).data["reason"] == Reason.COOLDOWN.value
    assert book.consider(proposal(3, ended + 30 * MINUTE)).kind is EventKind.SIGNAL


def test_the_same_proposal_is_a_duplicate_even_after_its_end(book, state):
    signal = signal_from_plain(book.consider(proposal(1)).data)
    with state.transaction() as tx:
        assert end_signal(tx, signal, TS, POLICY, "refused:stale_quote")
    assert book.consider(proposal(1)).data["reason"] == Reason.DUPLICATE.value
    assert state.stream_length(signals_pending("GOOG")) == 1


def test_a_later_outcome_replaces_the_earlier(book, state):
    signal = signal_from_plain(book.consider(proposal()).data)
    assert state.get_hash(signals_ack("GOOG")) == {signal.id: b"pending"}
    for outcome in ("submitted", "filled"):
        with state.transaction() as tx:
            acknowledge(tx, signal, outcome)
    assert state.get_hash(signals_ack("GOOG")) == {signal.id: b"filled"}
    assert {k: v for k, v in counts(state).items() if k in ("submitted", "filled", "illegal")} == {"submitted": 1, "filled": 1}


WAYS = {"submitted": (), "filled": ("submitted",), "closed": ("submitted", "filled"), "expired": ("submitted",), "refused:stale_quote": ()}


def go(state: State, signal: Signal, outcome: str) -> bool:
    with state.transaction() as tx:
        ends = outcome not in ("submitted", "filled")
        taken = end_signal(tx, signal, TS, POLICY, outcome) if ends else acknowledge(tx, signal, outcome)
    return taken.value


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_a_step_that_no_way_leads_to_is_refused_counted_and_changes_nothing(book, state, first, second):
    signal = signal_from_plain(book.consider(proposal()).data)
    assert all(go(state, signal, outcome) for outcome in (*WAYS[first], first))
    before = {k: state.client.execute_command("DUMP", f"replay:life:{k}") for k in
              (signals_ack("GOOG"), signals_exposure(), signals_exposure_totals(), signals_exposure_ends(), signals_live(signal.fingerprint))}
    fits = WAYS[second][-1:] == (first,)
    assert go(state, signal, second) == fits
    if not fits:
        assert counts(state)["illegal"] == 1
        assert before == {k: state.client.execute_command("DUMP", f"replay:life:{k}") for k in before}


def test_a_signal_that_nobody_emitted_cannot_end(state):
    signal = Signal(signal_id(proposal()), fingerprint(proposal()), TS, TS, proposal())
    assert not go(state, signal, "closed") and counts(state) == {"illegal": 1} and read_lock(state, signal.fingerprint) is None


def test_ends_and_steps_have_each_their_own_function(state):
    signal = Signal(signal_id(proposal()), fingerprint(proposal()), TS, TS, proposal())
    with state.transaction() as tx:
        with pytest.raises(ValueError, match="use end_signal"):
            acknowledge(tx, signal, "closed")
        with pytest.raises(ValueError, match="use acknowledge"):
            end_signal(tx, signal, TS, POLICY, "filled")
        with pytest.raises(ValueError, match="is not a valid"):
            acknowledge(tx, signal, "sold")
    assert counts(state) == {}


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


# -- exposure and caps ----------------------------------------------------------------------------------------------------------


def bet(number: int, strategy: str = "zero_dte", symbol: str = "GOOG", days: int = 0, at: datetime = TS, strike: float = 0.0) -> Proposal:
    """A bet of its own: strikes by number, expiry by days."""
    contract = replace(CONTRACT, symbol=symbol, strike=strike or 700.0 + number, expiry=CONTRACT.expiry + timedelta(days=days), expires_at=CONTRACT.expires_at + timedelta(days=days))
    return replace(proposal(), id=f"pro:{strategy}:{symbol}:{number}", strategy=strategy, symbol=symbol, contract=contract, ts=at)


def books(state: State, caps: Caps, dollars: float = 1000.0, **changes):
    policy = replace(POLICY, caps=caps, **changes)
    return {symbol: SignalBook(state, symbol, SESSION, policy, {"zero_dte": dollars, "moc": dollars, "one_dte": dollars}) for symbol in ("GOOG", "SPXW", "NDX")}


def totals(state: State) -> dict[str, int]:
    return {k: int(v) for k, v in state.get_hash(signals_exposure_totals()).items()}


def reasons(events) -> list[str]:
    return [e.data.get("reason", "signal") for e in events]


@pytest.mark.parametrize(("caps", "proposals", "expected"), [
    (Caps(symbol=Cap(2)), [bet(1, days=1), bet(2, days=2), bet(3, days=3)], ["signal", "signal", "cap_symbol"]),
    (Caps(symbol=Cap(None, 2000.0)), [bet(1, days=1), bet(2, days=2), bet(3, days=3)], ["signal", "signal", "cap_symbol"]),
    (Caps(symbol=Cap(1)), [bet(1), bet(2, symbol="SPXW")], ["signal", "signal"]),
    (Caps(strategy=Cap(1)), [bet(1), bet(2, symbol="SPXW"), bet(3, "moc")], ["signal", "cap_strategy", "signal"]),
    (Caps(strategy=Cap(None, 1999.99)), [bet(1), bet(2, symbol="SPXW"), bet(3, "moc")], ["signal", "cap_strategy", "signal"]),
    (Caps(expiry=Cap(1)), [bet(1), bet(2, "moc", "SPXW"), bet(3, "moc", "SPXW", days=1)], ["signal", "cap_expiry", "signal"]),
    (Caps(expiry=Cap(None, 1000.0)), [bet(1), bet(2, "moc", "SPXW"), bet(3, "moc", "SPXW", days=1)], ["signal", "cap_expiry", "signal"]),
    (Caps(book=Cap(2)), [bet(1), bet(2, "moc", "SPXW", 1), bet(3, "one_dte", "NDX", 2)], ["signal", "signal", "cap_book"]),
    (Caps(book=Cap(None, 2500.0)), [bet(1), bet(2, "moc", "SPXW", 1), bet(3, "one_dte", "NDX", 2)], ["signal", "signal", "cap_book"]),
    (Caps(Cap(1), Cap(1), Cap(1), Cap(1)), [bet(1), bet(2, days=1)], ["signal", "cap_symbol"])])
def test_caps_by_symbol_strategy_expiry_and_book(state, caps, proposals, expected):
    by_symbol = books(state, caps)
    assert reasons(by_symbol[p.symbol].consider(p) for p in proposals) == expected
    assert totals(state)["book"] == expected.count("signal") and totals(state)["book:cents"] == 100_000 * expected.count("signal")


@pytest.mark.parametrize(("cap", "detail"), [(Cap(1), "1 live in book, most 1"), (Cap(None, 1_250_000.0), "1,000,000 dollars aimed at in book and 1,000,000 more, most 1,250,000")])
def test_a_cap_tells_what_is_live_what_is_asked_for_and_its_bound(state, cap, detail):
    book = books(state, Caps(book=cap), dollars=1_000_000.0)["GOOG"]
    (_, veto) = book.take((bet(1), bet(2, "moc", days=1)), 1)
    assert veto.data["detail"] == detail


@pytest.mark.parametrize("outcome", ["refused:stale_quote", "expired", "closed"])
def test_whatever_ends_a_signal_gives_its_room_back(state, outcome):
    book = books(state, Caps(symbol=Cap(1)))["GOOG"]
    signal = signal_from_plain(book.consider(bet(1)).data)
    assert reasons([book.consider(bet(2, days=1))]) == ["cap_symbol"]
    for step in (*WAYS[outcome], outcome):
        assert go(state, signal, step)
    assert totals(state) == {} and state.get_hash(signals_exposure()) == {} and read_lock(state, contract_fingerprint(bet(1))) is None
    assert reasons([book.consider(bet(3, days=1))]) == ["signal"]


def test_the_auditor_reads_what_is_live_with_its_locks(state):
    book = books(state, Caps())["GOOG"]
    first, second = (signal_from_plain(e.data) for e in book.take((bet(1), bet(2, "moc")), 1))
    go(state, first, "refused:stale_quote")
    seen = read_exposure(state)
    names = {fingerprint(bet(1)), fingerprint(bet(2, "moc")), contract_fingerprint(bet(2, "moc"))}
    assert set(seen.live) == {second.id} and dict(seen.locks) == {name: read_lock(state, name) for name in names} and dict(seen.totals) == totals(state)
    assert dict(seen.ends) == {second.id: seen.live[second.id]["until"], f"lock:{first.fingerprint}": milliseconds(TS + 30 * MINUTE)} and findings(seen, Caps()) == []


def test_the_same_contract_through_another_strategy_is_the_same_exposure(state):
    book = books(state, Caps())["GOOG"]
    first = signal_from_plain(book.consider(bet(1)).data)
    (veto,) = book.take((bet(1, "moc"),), 2)
    assert veto.data["reason"] == "same_exposure" and veto.data["detail"] == f"{first.id} of zero_dte holds GOOG151224C00701000"
    assert reasons(book.take((bet(2, "moc"), bet(3, "one_dte", days=1)), 3)) == ["signal", "signal"]  # another strike, another expiry
    for step in ("submitted", "filled", "closed"):
        go(state, first, step)
    assert reasons(book.take((replace(bet(1, "one_dte"), id="pro:again"), replace(bet(1), id="pro:third")), 4)) == ["signal", "cooldown"]


def test_what_nobody_ends_is_cleared_in_event_time(state):
    """Two live signals and a cooldown whose processes are all dead: at their time, whoever emits next clears them, keys and all."""
    book = books(state, Caps(symbol=Cap(3)))["GOOG"]
    first, *_ = (signal_from_plain(e.data) for e in book.take((bet(1), bet(2, "moc"), bet(3, "one_dte")), 1))
    go(state, first, "refused:stale_quote")
    assert state.client.execute_command("ZCARD", f"replay:life:{signals_exposure_ends()}") == 3
    book.consider(bet(4, "zero_dte", days=1, at=TS + 60 * MINUTE))
    assert counts(state)["lapsed"] == 2 and totals(state)["book"] == 1
    names = {n.decode().removeprefix("replay:life:signals:live:") for n in state.client.execute_command("KEYS", "replay:life:signals:live:*")}
    assert names == {fingerprint(bet(4, days=1)), contract_fingerprint(bet(4, days=1))}
    assert state.client.execute_command("ZCARD", f"replay:life:{signals_exposure_ends()}") == 1


@pytest.mark.parametrize("gone", [False, True])
def test_a_cooldown_is_cleared_at_the_moment_that_it_is_over(state, gone):
    """Whether its key is still there, or the server has dropped it."""
    book = books(state, Caps())["GOOG"]
    first = signal_from_plain(book.consider(bet(1)).data)
    go(state, first, "refused:stale_quote")
    if gone:
        state.client.execute_command("DEL", f"replay:life:{signals_live(first.fingerprint)}")
    assert book.consider(bet(2, days=1, at=TS + 30 * MINUTE)).kind is EventKind.SIGNAL
    assert read_lock(state, first.fingerprint) is None and state.client.execute_command("ZCARD", f"replay:life:{signals_exposure_ends()}") == 1


def test_a_lapsed_signal_that_ends_late_leaves_its_successors_locks_alone(state):
    book = books(state, Caps())["GOOG"]
    first = signal_from_plain(book.consider(bet(1)).data)
    go(state, first, "submitted")
    go(state, first, "filled")
    second = signal_from_plain(book.consider(replace(bet(1), id="pro:later", ts=TS + 60 * MINUTE)).data)
    lock = read_lock(state, second.fingerprint)
    with state.transaction() as tx:
        late = end_signal(tx, first, TS + 61 * MINUTE, POLICY, "closed")
    assert late.value and read_lock(state, second.fingerprint) == lock == read_lock(state, contract_fingerprint(bet(1))) and totals(state)["book"] == 1


def test_in_a_live_session_the_server_drops_what_is_forgotten(server):
    """Without a namespace keys carry a time to live: as long as what is kept, and a session more."""
    live = connect(server.url, prefix="life:", expire=True)
    overnight = replace(bet(1), exit_at=TS + timedelta(days=3))
    SignalBook(live, "GOOG", SESSION, POLICY).consider(overnight)
    left = {str(k): live.client.execute_command("TTL", f"life:{k}") for k in (
        signals_live(fingerprint(overnight)), signals_live(contract_fingerprint(overnight)), signals_exposure(), signals_exposure_totals(), signals_exposure_ends(),
        signals_ack("GOOG"), signals_pending("GOOG"), metrics_signals("GOOG"), ledger(SESSION))}
    session, kept = 16 * 3600, 3 * 86400 + 3600 + 16 * 3600
    assert all(kept - 60 < left[k] <= kept for k in list(left)[:6]) and all(session - 60 < left[k] <= session for k in list(left)[6:]), left
    SignalBook(live, "GOOG", SESSION, POLICY).consider(bet(2, "moc"))
    assert live.client.execute_command("TTL", f"life:{signals_exposure()}") > kept - 60  # never shortened
    live.client.flushall()
    live.close()


@pytest.mark.parametrize("ended", [False, True])
def test_an_end_takes_only_locks_that_are_its_own_and_live(book, state, ended):
    """A lock that somebody has put there by hand stays: another signal's, or one that rests."""
    signal = signal_from_plain(book.consider(bet(1)).data)
    by_hand = LiveLock(signal.id if ended else "sig:another", TS + 500 * MINUTE, ended)
    with state.transaction() as tx:
        write_lock(tx, contract_fingerprint(bet(1)), by_hand)
    assert go(state, signal, "refused:stale_quote") and read_lock(state, contract_fingerprint(bet(1))) == by_hand


def test_in_a_replay_no_key_is_ever_dropped(book, state):
    for number, outcome in enumerate(("expired", "refused:stale_quote"), 1):
        signal = signal_from_plain(book.consider(bet(number, days=number)).data)
        assert all(go(state, signal, step) for step in (*WAYS[outcome], outcome))
    book.consider(bet(9, days=9))
    names = state.client.execute_command("KEYS", "replay:life:*")
    assert len(names) > 8 and {int(state.client.execute_command("TTL", name)) for name in names} == {-1}


def test_moments_are_stored_as_whole_milliseconds_since_1970():
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 1, 1999, tzinfo=UTC)) == 1001 and milliseconds(datetime(2026, 1, 1, tzinfo=UTC)) == 1_767_225_600_000


def test_a_cap_in_dollars_is_held_to_the_cent(state):
    """2.3 times 100 is a little less than 230."""
    assert reasons([books(state, Caps(book=Cap(None, 2.3)), dollars=2.3)["GOOG"].consider(bet(1))]) == ["signal"]
    assert reasons([books(state, Caps(book=Cap(None, 4.59)), dollars=2.3)["GOOG"].consider(bet(2, days=1))]) == ["cap_book"]


def test_in_a_live_session_each_step_of_a_signal_keeps_what_it_touches_for_longer(server):
    """Keys that are about to be dropped, after each step: a session more for states and counts, and the cooldown besides for the lock that rests."""
    live = connect(server.url, prefix="life:", expire=True)
    signal = signal_from_plain(SignalBook(live, "GOOG", SESSION, POLICY).consider(bet(1)).data)
    session, kept, touched = 16 * 3600, 16 * 3600 + 1800, (signals_ack("GOOG"), metrics_signals("GOOG"), signals_live(signal.fingerprint), signals_exposure_ends())

    def left(outcome: str) -> list[int]:
        for key in touched:
            live.client.execute_command("EXPIRE", f"life:{key}", 5)
        go(live, signal, outcome)
        return [int(live.client.execute_command("TTL", f"life:{key}")) for key in touched]

    def about(seconds: int) -> list[int]:
        return list(range(seconds - 60, seconds + 1))

    ack, metrics, *others = left("submitted")
    assert ack in about(session) and metrics in about(session) and max(others) <= 5
    ack, metrics, *others = left("submitted")  # no way leads there again: only counted
    assert metrics in about(session) and max(ack, *others) <= 5
    ack, metrics, bet_lock, ends = left("expired")
    assert ack in about(session) and metrics in about(session) and bet_lock in about(kept) and ends in about(kept)
    live.client.flushall()
    live.close()


@pytest.mark.parametrize(("mode", "expected", "cents"), [("fewer", ["safe_mode", "signal"], 100_000), ("smaller", ["signal", "signal"], 100_000), ("none", ["safe_mode", "safe_mode"], 0),
                                                         ("off", ["signal", "signal"], 200_000)])
def test_safe_mode_emits_fewer_smaller_or_none(state, mode, expected, cents):
    book = books(state, Caps(), safe_mode=SafeModePolicy(SafeMode(mode), 0.8, 0.5))["GOOG"]
    done = book.take((replace(bet(1), confidence=0.7), replace(bet(2, "moc"), confidence=0.9)), 1, drifting=True)
    assert reasons(done) == expected and totals(state).get("book:cents", 0) == cents
    assert [e.data["size_factor"] for e in done if e.kind is EventKind.SIGNAL] == [0.5 if mode == "smaller" else 1.0] * expected.count("signal")


@pytest.mark.parametrize("detail", ['a "quoted" name', "back\\slash", "üñí"])
def test_a_vetos_line_is_the_same_whoever_writes_it(state, detail):
    """The script fills reason and detail into a line that Python made: what it wrote must be what Python would have written."""
    book = books(state, Caps())["GOOG"]
    done = book.take((bet(1, detail), bet(1, "moc")), 1)
    assert list(ledger_lines(state, SESSION))[-1] == done[-1].line() and done[-1].data["detail"].endswith(f"of {detail} holds GOOG151224C00701000")


def test_an_end_also_clears_what_is_over_so_that_nothing_live_is_without_its_lock(state):
    """Found by the model-based test: a lapsed signal's late end must not take the lock of a successor that is over, too, and still counted."""
    book = books(state, Caps())["GOOG"]
    first = signal_from_plain(book.consider(bet(1)).data)
    go(state, first, "submitted")
    second = signal_from_plain(book.consider(replace(bet(1), id="pro:later", ts=TS + 60 * MINUTE)).data)
    with state.transaction() as tx:
        end_signal(tx, first, TS + 120 * MINUTE, POLICY, "expired")
    assert findings(read_exposure(state), Caps()) == [] and state.get_hash(signals_exposure()) == {} and counts(state)["lapsed"] == 2
    assert read_lock(state, second.fingerprint) == LiveLock(first.id, TS + 150 * MINUTE, True)
