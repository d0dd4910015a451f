"""Emission under fire: processes that propose the same and overlapping trades, killed by -9 at random, and one that checks every step they took.

`signals_fire.py [--full] [--proposals N] [--processes N] [--seed N] [--json]`; `--full` is a million proposals. Exit code 1 where anything did not fit.

The auditor follows the ledger, in which emission writes what it decided in the order in which it decided it, and steps the plain model of `signals_model.py` along: every
verdict must be the model's, which knows of no other process. Between, it reads exposure, sums and locks in one step of the server, and what must hold at every instant must hold.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal as posix
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent))
from signals_model import ENDS, Model  # noqa: E402

from quanticity.core.events import Event, EventKind, parse_event  # noqa: E402
from quanticity.core.keys import ledger, metrics_signals, signals_ack, signals_live, signals_pending  # noqa: E402
from quanticity.core.types import Contract, Proposal, Right, Side, Signal, proposal_from_plain, signal_from_plain  # noqa: E402
from quanticity.signals.audit import findings, read_exposure  # noqa: E402
from quanticity.signals.lifecycle import SignalBook, acknowledge, end_signal  # noqa: E402
from quanticity.signals.scoring import Cap, Caps, SignalPolicy  # noqa: E402
from quanticity.signals.scripts import lock_of  # noqa: E402
from quanticity.store.ledger import record  # noqa: E402
from quanticity.store.server import EmbeddedServer  # noqa: E402
from quanticity.store.state import State, connect  # noqa: E402

PREFIX, SESSION, BATCH = "replay:fire:", "FIRE", 6
OPENS = datetime(2015, 12, 24, 14, 30, tzinfo=UTC)
SYMBOLS, AIMS = ("GOOG", "NDX", "SPXW"), {"zero_dte": 1000.0, "one_dte": 750.0, "fourteen_dte": 1500.0, "moc": 333.33}
CAPS = Caps(Cap(4, 4000.0), Cap(5, 4500.0), Cap(5, 4200.0), Cap(9, 8000.0))
SECOND, TICK = timedelta(seconds=1), timedelta(seconds=5)
POLICY = SignalPolicy(0.5, 10 * SECOND, 45 * SECOND, 12 * SECOND, CAPS)


# -- those who propose and execute ------------------------------------------------------------------------------------------------


def proposals_of(seed: int, tick: int) -> list[Proposal]:
    """What all processes propose at a moment: few contracts, so that bets, contracts and caps meet all the time."""
    draw, at = random.Random(f"{seed}:{tick}"), OPENS + tick * TICK
    made = []
    for number in range(BATCH):
        symbol, strategy, days = draw.choice(SYMBOLS), draw.choice(sorted(AIMS)), draw.randrange(4)
        expires = datetime(2015, 12, 24, 21, tzinfo=UTC) + timedelta(days=10_000 + days)
        contract = Contract(symbol, date(2043, 5, 11) + timedelta(days=days), 700.0 + draw.randrange(3), draw.choice(list(Right)), expires)
        late = draw.choice((0, 0, 0, 7)) * SECOND
        made.append(Proposal(f"pro:{tick}:{number}", strategy, symbol, at - late, contract, Side.BUY, 1.5, 2.4, 0.9, at, draw.choice((0.7, 0.7, 0.8, 0.8, 0.9, 0.9, 0.9, 0.3)), {}, ("chain",)))
    return made


def worker(url: str, seed: int, life: int, processes: int) -> None:
    """Propose and execute until told to stop; may be killed anywhere."""
    state, draw, mine = connect(url, prefix=PREFIX), random.Random(f"{seed}:{life}"), []
    books = {symbol: SignalBook(state, symbol, SESSION, POLICY, AIMS) for symbol in SYMBOLS}
    for symbol in SYMBOLS:  # what a killed one had read and not decided
        mine += [(e.id, signal_from_plain(orjson.loads(e.fields["signal"]))) for e in state.claim(signals_pending(symbol), "risk", str(life), 500, 5)]
    while True:
        unit = int(state.client.execute_command("INCR", PREFIX + "unit"))
        if state.client.execute_command("GET", PREFIX + "stop"):
            break
        tick = unit // processes
        batch = proposals_of(seed, tick)
        draw.shuffle(batch)
        for symbol in SYMBOLS:
            if wanted := [p for p in batch if p.symbol == symbol]:
                books[symbol].take(wanted, tick)
        if unit % 2:
            mine = execute(state, draw, OPENS + tick * TICK, mine, str(life))
    state.close()


def execute(state: State, draw: random.Random, now: datetime, mine: list[tuple[str | None, Signal]], consumer: str) -> list[tuple[str | None, Signal]]:
    """Take pending signals on and move those at work to their next states; now and then to one that they cannot go to."""
    symbol = draw.choice(SYMBOLS)
    mine += [(e.id, signal_from_plain(orjson.loads(e.fields["signal"]))) for e in state.read_group(signals_pending(symbol), "risk", consumer, 4)]
    kept = []
    for entry, signal in mine:
        outcome = draw.choice(("submitted", "submitted", "refused:stale_quote")) if entry else draw.choice(("", "", "filled", "expired", "closed", "submitted"))
        if outcome:
            move(state, signal, outcome, now, entry)
        if outcome not in ("refused:stale_quote", "closed") and len(mine) < 40:
            kept.append((None, signal))
    return kept


def move(state: State, signal: Signal, outcome: str, now: datetime, entry: str | None) -> None:
    """One transition, its ledger line and the acknowledgement of the entry, as execution does it: one transaction."""
    symbol = signal.proposal.symbol
    with state.transaction() as tx:
        record(tx, SESSION, Event(now, EventKind.CANCEL, "move", (signal.id,), {"signal_id": signal.id, "outcome": outcome, "symbol": symbol}))
        if outcome.partition(":")[0] in ENDS:
            end_signal(tx, signal, now, POLICY, outcome)
        else:
            acknowledge(tx, signal, outcome)
        if entry:
            tx.ack(signals_pending(symbol), "risk", entry)


# -- the one who checks -----------------------------------------------------------------------------------------------------------


class Auditor:
    """Follows the ledger with the model, and looks at the store's invariants at instants between."""

    def __init__(self, url: str) -> None:
        self.state, self.model, self.at = connect(url, prefix=PREFIX), Model(POLICY, AIMS), "-"
        self.signals: dict[str, Signal] = {}
        self.proposal: Proposal | None = None
        self.reasons: Counter[str] = Counter()
        self.problems: list[str] = []
        self.steps = self.looks = self.most = 0

    def read(self) -> int:
        """Step the model along the next lines; how many there were. What is checked is dropped, so that a million fit into memory."""
        entries = self.state.stream_range(ledger(SESSION), first=self.at, count=500)
        for entry in entries:
            if not self.problems:
                self.line(parse_event(entry.fields["line"]))
        if entries:
            self.at = "(" + entries[-1].id
            self.state.client.execute_command("XTRIM", PREFIX + ledger(SESSION).name, "MINID", entries[-1].id)
        return len(entries)

    def line(self, event: Event) -> None:
        if event.kind is EventKind.PROPOSAL:
            self.expect(self.proposal is None, f"{event.id}: two proposals without a verdict between")
            self.proposal = proposal_from_plain(event.data)
            return
        self.steps += 1
        if event.kind is EventKind.CANCEL:
            name = event.data["signal_id"]
            if name in self.signals:
                self.model.move(self.signals[name], event.data["outcome"], event.ts)
                if self.model.states[name].partition(":")[0] in ENDS:
                    del self.signals[name]
            else:
                self.model.count("illegal")  # it has ended before
            return
        said = event.data["reason"] if event.kind is EventKind.VETO else None
        assert self.proposal is not None
        wanted = self.model.propose(self.proposal)
        self.reasons[said or "signal"] += 1
        self.expect(said == wanted, f"{self.proposal.id}: the store says {said}, the model {wanted}")
        if said is None:
            self.signals[event.id] = signal_from_plain(event.data)
        self.proposal = None

    def look(self) -> None:
        """What must hold at every instant."""
        book = read_exposure(self.state)
        self.looks, self.most = self.looks + 1, max(self.most, len(book.live))
        self.problems += [f"look {self.looks}: {line}" for line in findings(book, CAPS)]

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds and len(self.problems) < 50:
            self.problems.append(otherwise)

    def finish(self) -> None:
        """Nobody is at work any more: the store is the model's, and time clears it."""
        while self.read():
            pass
        stored: Counter[str] = Counter()
        for symbol in SYMBOLS:
            stored.update({name: int(value) for name, value in self.state.get_hash(metrics_signals(symbol)).items()})
        self.expect(dict(stored) == self.model.counts, f"counts: the store has {dict(stored)}, the model {self.model.counts}")
        states = {name: value.decode() for symbol in SYMBOLS for name, value in self.state.get_hash(signals_ack(symbol)).items()}
        self.expect(states == self.model.states, "the states of signals differ from the model's")
        self.expect(set(read_exposure(self.state).live) == set(self.model.live), "what is live differs from the model's")
        self.expect(self.locks() == {n: (k.holder, k.until, k.ended) for n, k in self.model.locks.items()}, "the locks differ from the model's")
        pending = [json.loads(e.fields["signal"])["id"] for symbol in SYMBOLS for e in self.state.stream_range(signals_pending(symbol))]
        self.expect(len(pending) == len(set(pending)) == stored["signals"] and set(pending) == set(states), "a signal is pending twice, or never was")
        last = proposals_of(0, 10_000_000)[0]
        (done,) = SignalBook(self.state, last.symbol, SESSION, POLICY, AIMS).take((Proposal(**{f: getattr(last, f) for f in last.__slots__} | {"confidence": 0.9}),), 0)
        self.expect(done.kind is EventKind.SIGNAL and set(read_exposure(self.state).live) == {done.id} and len(self.locks()) == 2, f"something was left for ever: {self.locks()}")

    def locks(self) -> dict[str, tuple[str, datetime, bool]]:
        names = self.state.client.execute_command("KEYS", PREFIX + signals_live("x").name[:-1] + "*")
        found = {n.decode().rpartition(":")[2]: lock_of(self.state.client.execute_command("GET", n)) for n in names}
        return {n: (lock.signal_id, lock.until, lock.ended) for n, lock in found.items() if lock}


def audit(url: str, done: "multiprocessing.synchronize.Event", results: "multiprocessing.queues.Queue[dict[str, object]]") -> None:
    """The auditor's process."""
    auditor = Auditor(url)
    while not auditor.problems:
        over = done.is_set()  # asked before the last lines are read
        auditor.look()
        if not auditor.read():
            if over:
                break
            time.sleep(0.001)
    if not auditor.problems:
        auditor.finish()
    done.set()  # one fault is enough: what follows it would be told of the model's world, not of this one
    results.put({"steps": auditor.steps, "looks": auditor.looks, "most_live": auditor.most, "problems": auditor.problems, "verdicts": dict(sorted(auditor.reasons.items())),
                 "counts": dict(sorted(auditor.model.counts.items()))})
    auditor.state.close()


# -- the run ------------------------------------------------------------------------------------------------------------------------


def run(proposals: int, processes: int, seed: int, kill_every: float) -> dict[str, object]:
    """Fire until so many proposals are answered; what came of it."""
    fork, draw, kills = multiprocessing.get_context("fork"), random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder), append_only=False) as server:
        state = connect(server.url, prefix=PREFIX)
        for symbol in SYMBOLS:
            state.create_group(signals_pending(symbol), "risk")
        state.close()
        done, results = fork.Event(), fork.Queue()
        auditor = fork.Process(target=audit, args=(server.url, done, results), daemon=True)
        auditor.start()

        def born(life: int) -> "multiprocessing.process.BaseProcess":
            process = fork.Process(target=worker, args=(server.url, seed, life, processes), daemon=True)
            process.start()
            return process

        started, lives = time.monotonic(), processes
        workers = [born(life) for life in range(processes)]
        state = connect(server.url, prefix=PREFIX)
        while not done.is_set() and sum(int(state.get_field(metrics_signals(s), "proposals") or 0) for s in SYMBOLS) < proposals:
            time.sleep(draw.uniform(0.2, 1.8) * kill_every)
            which = draw.randrange(processes)
            assert workers[which].exitcode is None, f"a worker died of itself: {workers[which].exitcode}"
            os.kill(workers[which].pid, posix.SIGKILL)
            workers[which].join()
            workers[which], lives, kills = born(lives), lives + 1, kills + 1
        state.client.execute_command("SET", PREFIX + "stop", "1")
        for process in workers:
            process.join()
        fired = time.monotonic() - started
        done.set()
        answer = results.get()
        auditor.join()
        state.close()
    return {"proposals": answer["counts"].get("proposals", 0), "processes": processes, "kills": kills, "seconds": round(fired, 1), "ended": [p.exitcode for p in workers], **answer}


def mutate(old: str, new: str) -> None:
    """Change the scripts that this run uses, to see whether the audit notices."""
    from quanticity.signals import scripts
    from quanticity.store.commands import Script

    assert old in scripts.EMIT.text + scripts.MOVE.text, f"the scripts hold no {old!r}"
    scripts.EMIT, scripts.MOVE = (Script(s.text.replace(old, new)) for s in (scripts.EMIT, scripts.MOVE))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="a million proposals")
    parser.add_argument("--proposals", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--kill-every", type=float, default=0.15, help="seconds between two kills, on average")
    parser.add_argument("--mutate", nargs=2, metavar=("OLD", "NEW"), help="plant a fault: replace a piece of the scripts' text")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.mutate:
        mutate(*given.mutate)
    result = run(1_000_000 if given.full else given.proposals, given.processes, given.seed, given.kill_every)
    print(json.dumps(result) if given.json else "\n".join(f"{name:10} {value}" for name, value in result.items()))
    return 1 if result["problems"] or any(result["ended"]) else 0


if __name__ == "__main__":
    sys.exit(main())
