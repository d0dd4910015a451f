"""The signals job over a real store: memory that outlives the process, strategies that fail, indicators, safe mode."""

import dataclasses
import io
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import orjson
import pytest

from quanticity.core import logs
from quanticity.core.config import load_config
from quanticity.core.errors import ConfigError
from quanticity.core.events import EventKind
from quanticity.core.keys import analytics, heartbeat, metrics_signals, options_chain, signals_exposure_totals, signals_memory, signals_pending, signals_veto
from quanticity.core.logs import configure_logging
from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Features, Proposal, Right, RiskApproved, Side, Skip, signal_from_plain
from quanticity.jobs.execution import limits_of
from quanticity.jobs.signals import SignalsJob, chosen, decide, memory_of, signal_policy, with_indicators
from quanticity.jobs.wiring import Desk, Indicators, KnownMetrics, LoadedStrategy
from quanticity.market.chain import Contracts, OptionChain, encode_chain, nanoseconds
from quanticity.market.matching import Quote
from quanticity.playbooks.playbook import Playbook
from quanticity.risk.limits import BookState, check_entry
from quanticity.signals.breaker import Breaker
from quanticity.signals.features import metric_document
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

DAY = date(2015, 12, 24)
OPENS, CLOSES = datetime(2015, 12, 24, 14, 30, tzinfo=UTC), datetime(2015, 12, 24, 18, tzinfo=UTC)
LISTED = Contracts("GOOG", "GOOG", np.array([745.0, 750.0]), np.full(2, 16793), np.full(2, nanoseconds(CLOSES)), np.array([True, True]), np.full(2, 100.0))
ALL_DAY = Playbook("any", start_minutes_after_open=0.0, stop_minutes_before_close=0.0, min_quality=0.0, min_quoted_share=0.0)


def at(minute: float) -> datetime:
    return OPENS + timedelta(minutes=minute)


def snapshot(minute: int) -> OptionChain:
    ts, one = nanoseconds(at(minute)), np.ones(2)
    return OptionChain(minute, ts, LISTED, 748.0, "quote", 0.0, 0.0, one, one * 1.1, one * 9, one * 9, np.full(2, ts), one, one, one * np.nan)


def proposing(strategy: str, f: Features, chain: OptionChain, row: int = 0, **changes: object) -> Proposal:
    made = Proposal(f"pro:{strategy}:{chain.seq}", strategy, f.symbol, f.ts, chain.contracts.contract(row), Side.BUY, 1.1, 2.0, 0.5, CLOSES, 0.7, {}, (f.snapshot_id,))
    return dataclasses.replace(made, **changes)


@dataclass
class Told:
    """A strategy that does what the test says at each minute, and keeps what it was given."""

    name: str = "told"
    what: object = None
    features: list[Features] = field(default_factory=list)
    held: list[Contract | None] = field(default_factory=list)

    def propose(self, features, chain, parameters, held):
        self.features.append(features)
        self.held.append(held)
        return self.what(features, chain) if callable(self.what) else self.what or (proposing(self.name, features, chain),)

    def loaded(self, **changes) -> LoadedStrategy:
        return dataclasses.replace(LoadedStrategy(self.name, self.propose, None, dataclasses.replace(ALL_DAY, strategy=self.name)), **changes)


def fails(features, chain):
    raise ZeroDivisionError("float division by zero")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("signals"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:signals:")
    yield connected
    connected.clear_namespace()
    connected.close()


def desk(state: State, **overrides: object) -> Desk:
    return Desk(state, load_config(environ={}, overrides={f"signals.{k}": v for k, v in overrides.items()}), "GOOG", DAY, OPENS, CLOSES)


def step(job: SignalsJob, minute: int):
    job.desk.state.set(options_chain("GOOG"), encode_chain(snapshot(minute)))
    return job.step(nanoseconds(at(minute)))


def reasons(events) -> list[str]:
    return [e.data.get("reason", "signal") for e in events]


# -- strategies that fail --------------------------------------------------------------------------------------------------------


def test_one_that_raises_does_not_stop_the_others(state):
    steady = Told("steady")
    job = SignalsJob(desk(state), (Told("broken", fails).loaded(), steady.loaded()))
    (failure, signal) = step(job, 1)
    assert (failure.kind, failure.data) == (EventKind.SKIP, {"strategy": "broken", "symbol": "GOOG", "reason": "strategy_failed", "detail": "ZeroDivisionError: float division by zero"})
    assert failure.cause == (snapshot(1).id,) and signal.kind is EventKind.SIGNAL and len(steady.features) == 1
    assert state.get_hash(metrics_signals("GOOG"))["failures"] == b"1" and state.get_hash(signals_veto("GOOG"))["strategy_failed"] == b"1"


def test_a_failure_is_logged_with_all_that_an_operator_needs(state):
    stream = io.StringIO()
    configure_logging(json=True, stream=stream)
    try:
        step(SignalsJob(desk(state), (Told("broken", fails).loaded(),)), 1)
    finally:
        configure_logging()
        logging.getLogger().handlers = [h for h in logging.getLogger().handlers if not isinstance(h, logs._Forward)]
    told = orjson.loads(stream.getvalue())
    assert {k: v for k, v in told.items() if k != "ts"} == {
        "event": "strategy failed", "level": "warning", "logger": "quanticity.signals", "strategy": "broken", "symbol": "GOOG", "at": "2015-12-24T14:31:00Z", "failures": 1,
        "error": "ZeroDivisionError: float division by zero", "not_before": "2015-12-24T14:32:00Z"}


def test_backoff_doubles_then_the_breaker_opens_half_opens_and_closes(state):
    """Each step by a new job: what is known of the failures is in the store, not in the process."""
    broken = Told("told", fails)
    seen = {}
    for minute in range(1, 77):
        if minute == 42:
            broken.what = None
        job = SignalsJob(desk(state, failure_backoff_seconds=60.0, failures_to_open=3, breaker_open_seconds=600.0), (broken.loaded(),))
        seen[minute] = reasons(step(job, minute))[0]
    asked = [m for m, reason in seen.items() if reason == "strategy_failed"]
    assert asked == [1, 2, 4, 14, 34]  # 60 s, 120 s, then open: 600 s, 1200 s, 2400 s
    assert {m for m, reason in seen.items() if reason == "strategy_backoff"} == {3}
    assert {seen[m] for m in (*range(5, 14), *range(15, 34), *range(35, 74))} == {"breaker_open"}
    assert seen[74] == "signal" and seen[75] == "already_live" and memory_of(state.get_hash(signals_memory("GOOG"))["told"]).breaker.failures == 0


def test_an_answer_of_the_gate_is_no_trial(state):
    """Half open, and the playbook says no: the strategy was not asked, so its breaker stays as it was."""
    broken = Told("told", fails)
    gated = dataclasses.replace(ALL_DAY, strategy="told", symbols=("SPXW",))
    step(SignalsJob(desk(state, failures_to_open=1, breaker_open_seconds=60.0), (broken.loaded(),)), 1)
    assert reasons(step(SignalsJob(desk(state, failures_to_open=1, breaker_open_seconds=60.0), (broken.loaded(playbook=gated),)), 2)) == ["regime_gated"]
    assert memory_of(state.get_hash(signals_memory("GOOG"))["told"]).breaker.failures == 1


def test_a_skip_of_its_own_is_an_answer_and_closes_the_breaker(state):
    broken = Told("told", fails)
    step(SignalsJob(desk(state), (broken.loaded(),)), 1)
    broken.what = lambda f, c: Skip("told", "GOOG", f.ts, Reason.LOW_CONFIDENCE, "", (f.snapshot_id,))
    assert reasons(step(SignalsJob(desk(state), (broken.loaded(),)), 2)) == ["low_confidence"]
    assert memory_of(state.get_hash(signals_memory("GOOG"))["told"]).breaker == Breaker()


@pytest.mark.parametrize(("answer", "detail"), [
    (lambda f, c: [proposing("told", f, c)], "TypeError: told answered with list: want a tuple of proposals, or a Skip"),
    (lambda f, c: None, "TypeError: told answered with NoneType: want a tuple of proposals, or a Skip"),
    (lambda f, c: (proposing("told", f, c), 1), "TypeError: told answered with tuple: want a tuple of proposals, or a Skip"),
    (lambda f, c: (proposing("other", f, c),), "ValueError: told proposed as other in GOOG"),
    (lambda f, c: (proposing("told", f, c, symbol="SPXW"),), "ValueError: told proposed as told in SPXW"),
    (lambda f, c: (proposing("told", f, c, ts=f.ts + timedelta(seconds=1)),), "ValueError: told proposed at 14:31:01, and it is 14:31:00")])
def test_what_is_no_answer_is_a_failure(state, answer, detail):
    (line,) = step(SignalsJob(desk(state), (Told("told", answer).loaded(),)), 1)
    assert (line.data["reason"], line.data["detail"]) == ("strategy_failed", detail) and state.stream_length(signals_pending("GOOG")) == 0


# -- memory ----------------------------------------------------------------------------------------------------------------------


def test_a_strategy_is_told_the_contract_it_chose_last_by_whichever_process(state):
    told = Told("told", lambda f, c: (proposing("told", f, c, row=c.seq % 2),) if c.seq != 3 else Skip("told", "GOOG", f.ts, Reason.LOW_CONFIDENCE, "", (f.snapshot_id,)))
    for minute in range(1, 6):
        step(SignalsJob(desk(state), (told.loaded(),)), minute)
    strikes = [h and h.strike for h in told.held]
    assert strikes == [None, 750.0, 745.0, 745.0, 745.0]  # a skip forgets nothing, and a veto is a choice too
    assert memory_of(state.get_hash(signals_memory("GOOG"))["told"]).held == LISTED.contract(1)


def test_a_job_that_is_the_only_one_of_its_symbol_remembers_in_the_process_what_it_writes(state):
    """Features and memory known in the process: the same answers, and the same memory in the store for whoever comes next."""
    known = KnownMetrics("GOOG")
    told = Told("told", lambda f, c: (proposing("told", f, c, row=c.seq % 2),))
    flaky = Told("flaky", lambda f, c: fails(f, c) if c.seq < 3 else Skip("flaky", "GOOG", f.ts, Reason.LOW_CONFIDENCE, "", (f.snapshot_id,)))
    job = SignalsJob(desk(state), (told.loaded(), flaky.loaded()), metrics=known)
    said = []
    for minute in range(1, 6):
        document = metric_document(at(minute), f"chain:GOOG:{minute}", {"drift": float(minute)}, {}, "drift")
        known.offer(analytics("GOOG", "drift"), document)
        if minute == 1:  # its first step reads the store
            state.set(analytics("GOOG", "drift"), document)
        said.append([*reasons(step(job, minute)), *reasons(job.step(nanoseconds(at(minute))))])
    assert [line[1:] for line in said] == [["strategy_failed"], ["strategy_failed"], ["strategy_backoff"], ["low_confidence"], ["low_confidence"]]
    assert [h and h.strike for h in told.held] == [None, 750.0, 745.0, 750.0, 745.0] and [f.values["drift"] for f in told.features] == [1.0, 2.0, 3.0, 4.0, 5.0]
    stored = state.get_hash(signals_memory("GOOG"))
    assert memory_of(stored["told"]).held == LISTED.contract(1) and memory_of(stored["flaky"]).breaker == Breaker() and int(stored["decided"]) == nanoseconds(at(5))


def test_a_contract_that_trades_no_more_is_forgotten():
    f = Features("GOOG", CLOSES, "chain:GOOG:9", {})
    told = Told("told", lambda f, c: ())
    late = dataclasses.replace(ALL_DAY, stop_minutes_before_close=-1.0)
    assert decide(told.loaded(playbook=late), f, snapshot(210), LISTED.contract(0), OPENS, CLOSES) == () and told.held == [None]
    assert chosen((), LISTED.contract(0)) == LISTED.contract(0)


def test_without_a_snapshot_it_only_says_that_it_lives(state):
    told = Told()
    assert SignalsJob(desk(state), (told.loaded(),)).step(nanoseconds(at(1))) == [] and not told.features
    assert state.get(heartbeat("signals")) is not None and state.get_hash(signals_memory("GOOG")) == {}


@pytest.mark.parametrize(("seconds", "known"), [(120.0, True), (120.001, False)])
def test_a_document_older_than_two_steps_is_too_old(state, seconds, known):
    told = Told()
    state.set(analytics("GOOG", "dealer_flow"), metric_document(at(5) - timedelta(seconds=seconds), "chain:GOOG:3", {"gex": 1.0}, {}, "dealer_flow"))
    step(SignalsJob(desk(state), (told.loaded(),)), 5)
    assert (told.features[0].get("gex") is not None, told.features[0].missing.get("gex")) == (known, None if known else Reason.FEATURE_STALE)


def test_a_snapshot_may_be_read_by_whoever_is_given(state):
    @dataclass
    class Same:
        chain: OptionChain

        def latest(self) -> OptionChain:
            return self.chain

    told = Told()
    assert reasons(SignalsJob(desk(state), (told.loaded(),), reader=Same(snapshot(4))).step(nanoseconds(at(4)))) == ["signal"] and told.features[0].ts == at(4)


def test_a_snapshot_is_decided_on_once_whoever_asks(state):
    told = Told()
    assert len(step(SignalsJob(desk(state), (told.loaded(),)), 1)) == 1
    again = SignalsJob(desk(state), (told.loaded(),))
    assert again.step(nanoseconds(at(1))) == [] and step(again, 2) != [] and len(told.features) == 2
    state.set(options_chain("GOOG"), encode_chain(snapshot(1)))
    assert again.step(nanoseconds(at(3))) == []  # an old snapshot is not decided on either


def test_a_step_is_one_transaction_with_what_is_remembered(state, server):
    watcher, seen, done = connect(server.url), [], threading.Event()
    skipping = Told("skips", lambda f, c: Skip("skips", "GOOG", f.ts, Reason.LOW_CONFIDENCE, "", (f.snapshot_id,)))
    job = SignalsJob(desk(state), (Told("told").loaded(), skipping.loaded(), Told("broken", fails).loaded(), Told("twin").loaded()))
    with watcher.client.monitor() as monitor:
        def watch() -> None:
            for command in monitor.listen():
                seen.append(command["command"])
                if "replay:signals:end" in command["command"]:
                    break
            done.set()

        threading.Thread(target=watch, daemon=True).start()
        events = step(job, 1)
        state.client.execute_command("GET", "replay:signals:end")
        assert done.wait(10)
    watcher.close()
    assert reasons(events) == ["signal", "low_confidence", "strategy_failed", "same_exposure"]
    assert seen.count("MULTI") == seen.count("EXEC") == 1
    inside = seen[seen.index("MULTI"):seen.index("EXEC")]
    outside = [c for c in seen if c not in inside and c.split()[0] in ("XADD", "SET", "HSET", "HINCRBY", "ZADD", "DEL")]
    assert [c.split()[1].removeprefix("replay:signals:") for c in outside] == ["options:chain:GOOG"]  # which is the test's own
    assert any("signals:memory:GOOG" in c for c in inside)


# -- indicators --------------------------------------------------------------------------------------------------------------------


def table(session, parameters) -> Indicators:
    minutes = np.arange(1, session + 1)
    return Indicators(np.array([nanoseconds(at(int(m))) for m in minutes]), {"rank": minutes.astype(float), "late": np.where(minutes > 2, 1.0, np.nan)})


def test_indicators_are_computed_over_what_is_known_once_a_step_and_merged(state):
    asked: list[int] = []

    def history(now: int) -> int:
        asked.append(now)
        return (now - nanoseconds(OPENS)) // 60_000_000_000

    one, two, plain = Told("one"), Told("two"), Told("plain")
    job = SignalsJob(desk(state), (one.loaded(indicators=table), two.loaded(indicators=table), plain.loaded()), history=history)
    for minute in (2, 3):
        step(job, minute)
    assert asked == [nanoseconds(at(2)), nanoseconds(at(3))]
    first, second = one.features
    assert first.values["rank"] == 2.0 and first.sources["rank"] == "indicators" and first.ages["rank"] == 0.0 and first.missing["late"] is Reason.FEATURE_MISSING
    assert second.values["late"] == 1.0 and two.features[1].values["rank"] == 3.0 and "rank" not in plain.features[1].values


def test_indicators_stand_for_features_of_the_same_name_and_leave_the_others():
    f = Features("GOOG", at(2), "chain:GOOG:2", {"spot": 748.0, "rank": 9.0, "late": 8.0}, {"spot": 1.0, "rank": 1.0}, {"gex": Reason.NO_QUOTE}, {"spot": "price_action", "rank": "regime"})
    seen = with_indicators(f, table(2, None), nanoseconds(at(2)) + 500_000_000)
    assert dict(seen.values) == {"spot": 748.0, "rank": 2.0} and dict(seen.missing) == {"gex": Reason.NO_QUOTE, "late": Reason.FEATURE_MISSING}
    assert dict(seen.ages) == {"spot": 1.0, "rank": 0.5} and dict(seen.sources) == {"spot": "price_action", "rank": "indicators"} and with_indicators(f, None, 0) is f
    known = dataclasses.replace(f, values={"spot": 748.0}, missing={"rank": Reason.NO_QUOTE, "gex": Reason.NO_QUOTE})
    assert dict(with_indicators(known, table(3, None), nanoseconds(at(3))).missing) == {"gex": Reason.NO_QUOTE}


def test_indicators_without_a_history_are_refused_before_the_first_step(state):
    with pytest.raises(ConfigError, match=r"strategies.told: it has indicators.*calculator"):
        SignalsJob(desk(state), (Told().loaded(indicators=table),))


def test_indicators_that_raise_are_the_strategys_failure(state):
    other = Told("other")
    job = SignalsJob(desk(state), (Told("told").loaded(indicators=lambda session, parameters: 1 / 0), other.loaded()), history=lambda now: None)
    assert reasons(step(job, 1)) == ["strategy_failed", "signal"]


# -- safe mode ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("drift", "mode", "expected"), [
    (1.0, "fewer", "safe_mode"), (1.0, "none", "safe_mode"), (1.0, "smaller", "signal"), (1.0, "off", "signal"), (0.0, "none", "signal"), (None, "none", "signal")])
def test_safe_mode_follows_the_features(state, drift, mode, expected):
    if drift is not None:
        state.set(analytics("GOOG", "drift"), metric_document(at(1), "chain:GOOG:1", {"drift": 9.0, "safe_mode": drift}, {}, "drift"))
    (line,) = step(SignalsJob(desk(state, safe_mode=mode, safe_mode_size_factor=0.25), (Told().loaded(),)), 1)
    assert line.data.get("reason", "signal") == expected
    if expected == "signal":
        size = 0.25 if mode == "smaller" else 1.0
        assert line.data["size_factor"] == size and int(state.get_hash(signals_exposure_totals())["book:cents"]) == 200_000 * size
        quote = Quote(nanoseconds(at(1)), 1.0, 1.1, 9.0, 9.0)
        answer = check_entry(signal_from_plain(line.data), quote, BookState(), limits_of(load_config(environ={})), at(1), CLOSES)
        assert isinstance(answer, RiskApproved) and answer.tickets[0].quantity == int(2000 * size / 110)


def test_a_playbooks_share_is_what_the_caps_count(state):
    half = dataclasses.replace(ALL_DAY, strategy="told", notional_share=0.5)
    step(SignalsJob(desk(state), (Told().loaded(playbook=half),)), 1)
    assert state.get_hash(signals_exposure_totals())["strategy:told:cents"] == b"100000"


def test_memory_is_json_that_a_person_can_read(state):
    step(SignalsJob(desk(state), (Told("told", fails).loaded(),)), 1)
    stored = state.get_hash(signals_memory("GOOG"))
    assert int(stored["decided"]) == nanoseconds(at(1))
    assert orjson.loads(stored["told"])["breaker"] == {"failures": 1, "until": "2015-12-24T14:32:00Z", "error": "ZeroDivisionError: float division by zero"}
    assert Right(LISTED.contract(0).right) is Right.CALL


def test_by_default_the_caps_are_no_tighter_than_risks_limits():
    config = load_config(environ={})
    caps, risk = signal_policy(config.signals, config.risk).caps, config.risk
    for cap in (caps.symbol, caps.strategy, caps.expiry, caps.book):
        assert cap.signals >= risk.max_open_positions and cap.dollars >= risk.max_open_positions * risk.order_notional
    assert caps.symbol.dollars == risk.max_symbol_notional and caps.book.dollars == risk.max_book_notional


def test_premium_caps_that_are_set_are_taken():
    config = load_config(environ={}, overrides={f"signals.max_premium_{group}": 1000.0 + n for n, group in enumerate(("symbol", "strategy", "expiry", "book"))})
    caps = signal_policy(config.signals, config.risk).caps
    assert [c.dollars for c in (caps.symbol, caps.strategy, caps.expiry, caps.book)] == [1000.0, 1001.0, 1002.0, 1003.0]
