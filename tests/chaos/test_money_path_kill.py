"""`kill -9` at any line of the money path: no signal, order or delivery is lost or doubled."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from quanticity.core.events import EventKind, parse_event
from quanticity.store.ledger import ledger_lines
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import connect

COUNT = 60
WORKER = Path(__file__).parent / "worker.py"


def test_killed_again_and_again(tmp_path: Path) -> None:
    rng, kills = random.Random(5), 0
    with EmbeddedServer(tmp_path / "server", append_only=False) as server:
        command = [sys.executable, str(WORKER), server.url, str(tmp_path), str(COUNT)]
        while not (tmp_path / "through").exists():
            child = subprocess.Popen(command, stderr=subprocess.PIPE)
            if kills < 8:
                started = time.monotonic()
                state = connect(server.url, prefix="replay:chaos:")
                from quanticity.core.keys import ledger
                before = state.stream_length(ledger("XYZ-2015-12-24"))
                while child.poll() is None and state.stream_length(ledger("XYZ-2015-12-24")) <= before and time.monotonic() - started < 20:
                    time.sleep(0.002)
                state.close()
                time.sleep(rng.uniform(0.0, 0.06))
                child.kill()
                kills += 1
            _, errors = child.communicate(timeout=60)
            assert child.returncode in (0, -9), errors.decode()
        state = connect(server.url, prefix="replay:chaos:")
        events = [parse_event(line) for line in ledger_lines(state, "XYZ-2015-12-24")]
        state.close()
    assert kills >= 3
    assert not [i for i, n in Counter(e.id for e in events if e.kind not in (EventKind.PROPOSAL, EventKind.VETO)).items() if n > 1]
    kinds = Counter(e.kind for e in events)
    assert kinds[EventKind.SIGNAL] == COUNT
    assert kinds[EventKind.ORDER] == 3 * COUNT
    orders = {e.id for e in events if e.kind is EventKind.ORDER}
    at_broker = {p.name for p in (tmp_path / "broker").iterdir()}
    assert at_broker == {i.replace("/", "-").replace(":", "-") for i in orders}, "an order was written and never sent, or sent and never written"
    told = {e.id for e in events if e.kind is EventKind.MESSAGE}
    assert kinds[EventKind.DELIVERY] == 3 * len(told)
    assert len(list((tmp_path / "deliveries").rglob("*.txt"))) == 3 * len(told)
    assert len(told) >= COUNT - kills  # the test's own hand-over, unlike execution's, is not in the signal's transaction
