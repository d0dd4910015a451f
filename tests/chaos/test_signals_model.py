"""Emission against a plain model, step by step: hypothesis looks for the sequence in which they differ."""

import itertools
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from quanticity.core.keys import metrics_signals, signals_ack, signals_live
from quanticity.core.types import Contract, Proposal, Right, Side, signal_from_plain
from quanticity.signals.audit import findings, read_exposure
from quanticity.signals.lifecycle import SignalBook, acknowledge, end_signal
from quanticity.signals.safe_mode import SafeMode, SafeModePolicy
from quanticity.signals.scoring import Cap, Caps, SignalPolicy
from quanticity.signals.scripts import lock_of
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import connect

from .signals_model import Model, minutes

TS = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
CAPS = Caps(Cap(3, 5000.0), Cap(4, 4000.0), Cap(4, 6000.0), Cap(6, 7500.0))
POLICY = SignalPolicy(0.5, minutes(2), minutes(30), minutes(10), CAPS, SafeModePolicy(SafeMode.SMALLER, 0.8, 0.5))
AIMS = {"zero_dte": 1000.0, "moc": 1500.0, "one_dte": 600.05}
SYMBOLS = ("GOOG", "SPXW")
OUTCOMES = ("submitted", "filled", "refused:stale_quote", "expired", "closed")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("model"), append_only=False) as running:
        yield running


class Emission(RuleBasedStateMachine):
    """The store and the model, given the same steps; `url` and `runs` are set by the test."""

    url = ""
    runs = itertools.count()

    @initialize()
    def begin(self) -> None:
        self.state = connect(self.url, prefix=f"replay:model{next(self.runs)}:")
        self.model, self.now, self.number, self.signals = Model(POLICY, AIMS), TS, 0, []

    def _proposal(self, strategy: str, symbol: str, strike: int, days: int, right: Right, confidence: float, late: int, again: bool) -> Proposal:
        self.number += not again or not self.number
        expires = datetime(2015, 12, 24 + days, 21, tzinfo=UTC)
        contract = Contract(symbol, date(2015, 12, 24 + days), 700.0 + strike, right, expires)
        return Proposal(f"pro:{self.number}", strategy, symbol, self.now - timedelta(minutes=late), contract, Side.BUY, 1.5, 2.4, 0.9, TS + minutes(100), confidence, {}, ("chain:1",))

    @rule(strategy=st.sampled_from(sorted(AIMS)), symbol=st.sampled_from(SYMBOLS), strike=st.integers(0, 2), days=st.integers(0, 2), right=st.sampled_from(list(Right)),
          confidence=st.sampled_from([0.7, 0.7, 0.9, 0.3]), late=st.sampled_from([0, 0, 0, 7]), again=st.sampled_from([False, False, False, True]), drifting=st.sampled_from([False, False, True]))
    def propose(self, strategy, symbol, strike, days, right, confidence, late, again, drifting):
        p = self._proposal(strategy, symbol, strike, days, right, confidence, late, again)
        event = SignalBook(self.state, symbol, "S", POLICY, AIMS).consider(p, drifting)  # a new book each time: nothing is remembered in a process
        assert event.data.get("reason") == self.model.propose(p, drifting), event.data.get("detail")
        if "reason" not in event.data:
            self.signals.append(signal_from_plain(event.data))

    @rule(which=st.integers(0, 50), outcome=st.sampled_from(OUTCOMES))
    def move(self, which, outcome):
        if self.signals:
            signal = self.signals[which % len(self.signals)]
            with self.state.transaction() as tx:
                taken = acknowledge(tx, signal, outcome) if outcome in OUTCOMES[:2] else end_signal(tx, signal, self.now, POLICY, outcome)
            assert taken.value == self.model.move(signal, outcome, self.now)

    @rule(step=st.sampled_from([1, 9, 10, 29, 30]))
    def time_passes(self, step):
        self.now += minutes(step)

    @invariant()
    def nothing_differs(self) -> None:
        book = read_exposure(self.state)
        assert findings(book, CAPS) == []
        assert {k: (int(r["cents"]), r["contract"]) for k, r in book.live.items()} == {k: (e.cents, e.signal.proposal.contract.occ) for k, e in self.model.live.items()}
        stored = {n.decode().rpartition(":")[2]: lock_of(self.state.client.execute_command("GET", n)) for n in
                  self.state.client.execute_command("KEYS", self.state.name(signals_live("x"))[:-1] + "*")}
        assert {n: (k.signal_id, k.until, k.ended) for n, k in stored.items()} == {n: (k.holder, k.until, k.ended) for n, k in self.model.locks.items()}
        acks = {k: v.decode() for symbol in SYMBOLS for k, v in self.state.get_hash(signals_ack(symbol)).items()}
        counts: dict[str, int] = {}
        for symbol in SYMBOLS:
            for name, value in self.state.get_hash(metrics_signals(symbol)).items():
                counts[name] = counts.get(name, 0) + int(value)
        assert acks == self.model.states and counts == self.model.counts

    def teardown(self) -> None:
        if hasattr(self, "state"):
            self.state.clear_namespace()
            self.state.close()


def test_the_store_does_at_every_step_what_the_model_does(server):
    Emission.url = server.url
    run_state_machine_as_test(Emission, settings=settings(max_examples=int(os.environ.get("SIGNALS_EXAMPLES", 25)), stateful_step_count=40, deadline=None, derandomize=settings.default.derandomize))
