"""`kill -9` of one of two workers, as processes over a real server in real time: its symbols are served again within three cadences, and never by two."""

import os
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from quanticity.core.keys import analytics, monitoring_workers
from quanticity.jobs.leases import Leases
from quanticity.jobs.workers import SERVICE
from quanticity.market.chain import nanoseconds
from quanticity.signals.features import read_metric
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

from ..benchmarks.workers import Feed, start_worker, symbol_names

CADENCE = 2.0
PREFIX = "replay:kill:"


def serving(state: State) -> dict[str, set[str]]:
    """Who holds what by the server's clock."""
    found: dict[str, set[str]] = {}
    for item, lease in Leases(state, SERVICE, "watcher").holders().items():
        found.setdefault(lease.holder, set()).add(item)
    return found


def newest(state: State, symbol: str) -> float:
    """The moment (seconds since 1970) of a symbol's latest result; 0 where there is none."""
    document = state.get(analytics(symbol, "dealer_flow"))
    return read_metric(document)["ts"].timestamp() if document else 0.0


def test_a_killed_workers_symbols_are_served_again_within_three_cadences(tmp_path: Path) -> None:
    symbols = symbol_names(8)
    with EmbeddedServer(tmp_path / "server", append_only=False) as server:
        state, stop = connect(server.url, prefix=PREFIX), threading.Event()
        feed = Feed(connect(server.url, prefix=PREFIX), symbols, 200, 2)

        def publish() -> None:
            while not stop.is_set():
                feed.publish(nanoseconds(datetime.now(UTC)))
                stop.wait(0.2)

        feeding = threading.Thread(target=publish)
        feeding.start()
        until = time.time() + 90
        workers = {name: start_worker(server.url, PREFIX, name, symbols, CADENCE, until) for name in ("left", "right")}
        try:
            while {name: len(items) for name, items in serving(state).items()} not in ({"left": 5, "right": 4}, {"left": 4, "right": 5}) or not all(newest(state, s) for s in symbols):
                assert time.time() < until - 45, f"the two never shared: {serving(state)}"
                time.sleep(0.05)
            time.sleep(CADENCE)
            victims = sorted(serving(state)["left"] & set(symbols))
            tokens = {item: lease.token for item, lease in Leases(state, SERVICE, "watcher").holders().items()}
            os.kill(workers["left"].pid, signal.SIGKILL)
            killed = time.time()
            served: dict[str, float] = {}
            while len(served) < len(victims) and time.time() < killed + 5 * CADENCE:
                for symbol in victims:
                    if symbol not in served and newest(state, symbol) > killed:
                        served[symbol] = time.time() - killed
                time.sleep(0.01)
            print(f"served again after {min(served.values(), default=0) / CADENCE:.2f} to {max(served.values(), default=0) / CADENCE:.2f} cadences")
            assert set(served) == set(victims), f"never served again: {set(victims) - set(served)}"
            assert max(served.values()) <= 3 * CADENCE, served
            now = Leases(state, SERVICE, "watcher").holders()
            assert {lease.holder for lease in now.values()} == {"right"} and len(now) == len(symbols) + 1
            assert all(now[s].token == tokens[s] + 1 for s in victims) and all(now[s].token == tokens[s] for s in symbols if s not in victims)
            assert int(state.get_hash(monitoring_workers("right"))["lost"]) == 0
        finally:
            stop.set()
            feeding.join()
            for child in workers.values():
                child.kill()
                child.communicate()
            feed.state.close()
            state.clear_namespace()
            state.close()


def test_one_that_is_only_paused_wakes_up_harmless(tmp_path: Path) -> None:
    """SIGSTOP for longer than a lease, then SIGCONT: the symbols were taken over, and the sleeper finds its leases lost and gets a share anew."""
    symbols = symbol_names(4)
    with EmbeddedServer(tmp_path / "server", append_only=False) as server:
        state = connect(server.url, prefix=PREFIX)
        Feed(state, symbols, 100, 1).publish(nanoseconds(datetime.now(UTC)))
        until = time.time() + 60
        workers = {name: start_worker(server.url, PREFIX, name, symbols, 0.5, until) for name in ("left", "right")}

        def wait_for(what: str, holders: set[str]) -> None:
            while set(serving(state)) != holders or sum(map(len, serving(state).values())) != 5:
                assert time.time() < until - 20, f"{what}: {serving(state)}"
                time.sleep(0.02)

        try:
            wait_for("both at work", {"left", "right"})
            os.kill(workers["left"].pid, signal.SIGSTOP)
            wait_for("taken over", {"right"})
            os.kill(workers["left"].pid, signal.SIGCONT)
            wait_for("both at work again", {"left", "right"})
            while not int(state.get_hash(monitoring_workers("left")).get("lost", 0)):
                assert time.time() < until - 5
                time.sleep(0.02)
            told = {name: {k: int(v) for k, v in state.get_hash(monitoring_workers(name)).items()} for name in workers}
            assert told["left"]["lost"] >= 2 and told["right"]["failures"] == told["left"]["failures"] == 0
        finally:
            for child in workers.values():
                child.kill()
                child.communicate()
            state.clear_namespace()
            state.close()
