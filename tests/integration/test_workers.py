"""jobs.workers over a real server: shares, cadences, garbage that stays where it is, takeovers, hours, the sums over all; and a short run in real time."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import ModuleType

import orjson
import pytest

from quanticity.analytics.aggregation import Totals, read_symbol
from quanticity.core.clock import ReplayClock
from quanticity.core.config import Config, load_config
from quanticity.core.errors import ConfigError, ServerError
from quanticity.core.keys import (
    analytics, analytics_portfolio, analytics_sector, heartbeat, monitoring_calculators, monitoring_workers)
from quanticity.core.reasons import Reason
from quanticity.jobs.aggregation import AGGREGATES, PORTFOLIO
from quanticity.jobs.calculators import Calculator
from quanticity.jobs.workers import Worker, run_worker
from quanticity.market.chain import nanoseconds, timestamp
from quanticity.signals.features import read_metric
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

from ..benchmarks.workers import Feed, configuration, measure, symbol_names

START = datetime(2026, 3, 20, 15, 0, tzinfo=UTC)
METRICS = ("dealer_flow", "volatility", "price_action", "exposure")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("workers"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:workers:")
    yield connected
    connected.clear_namespace()
    connected.close()


class Floor:
    """Some workers over one feed on one driven clock; a quarter of a second a turn, a new chain every fourth."""

    def __init__(self, state: State, config: Config, contracts: int = 60, distinct: int = 2, bad: tuple[str, ...] = (), names: tuple[str, ...] = ("a",)) -> None:
        self.state, self.clock, self.config, self.turns = state, ReplayClock(START), config, 0
        self.feed = Feed(state, config.analytics.symbols, contracts, distinct, bad)
        self.workers = [Worker(state, config, None, name, self.clock) for name in names]

    def turn(self, count: int = 1, but: tuple[str, ...] = ()) -> None:
        for _ in range(count):
            if self.turns % 4 == 0:
                self.feed.publish(nanoseconds(self.clock.now()))
            for worker in self.workers:
                if worker.report.name not in but:
                    worker.step()
            self.turns += 1
            self.clock.advance_to(self.clock.now() + timedelta(milliseconds=250))

    def serving(self) -> dict[str, list[str]]:
        return {w.report.name: [item.name for item in w.serving] for w in self.workers}


def documents(state: State, symbols: list[str]) -> dict[str, bytes | None]:
    return {f"{s}:{m}": state.get(analytics(s, m)) for s in symbols for m in METRICS}


def test_one_worker_serves_all_and_publishes_everything(state):
    floor = Floor(state, configuration(symbol_names(6), 1.0))
    floor.turn(12)
    assert floor.serving() == {"a": [*symbol_names(6), PORTFOLIO]}
    for symbol in symbol_names(6):
        flow = read_metric(state.get(analytics(symbol, "dealer_flow")))
        assert flow["ts"] == START + timedelta(seconds=2) and math.isfinite(flow["values"]["gex"])
        assert int(state.get(heartbeat(f"analytics.{symbol}"))) > nanoseconds(START)
        meters = {k: json.loads(v) for k, v in state.get_hash(monitoring_calculators(symbol)).items()}
        assert set(meters) >= {"chain", "analysis", "dealer_flow", "volatility", "price_action"}
        assert all(m["failures"] == 0 and m["seconds"] >= 0 and m["reason"] is None for m in meters.values())
        assert meters["dealer_flow"]["rows"] == meters["dealer_flow"]["runs"] * len(floor.feed.roots[0].contracts) > 0
    told = {k: int(v) for k, v in state.get_hash(monitoring_workers("a")).items()}
    assert (told["serving"], told["failures"], told["skipped"], told["lost"]) == (7, 0, 0, 0)
    assert nanoseconds(START) <= int(state.get(heartbeat("worker.a"))) < nanoseconds(floor.clock.now())
    assert 7 <= told["steps"] <= floor.workers[0].report.steps <= 7 * 4


def test_sectors_and_the_portfolio_add_up_to_the_bit(state):
    floor = Floor(state, configuration(symbol_names(7), 1.0))
    floor.turn(16)
    floor.workers[0].items[PORTFOLIO].cadence.rest()
    floor.workers[0].step()
    snapshots = [read_symbol(orjson.loads(state.get(analytics(s, "exposure")))) for s in symbol_names(7)]
    whole = sum((s.totals for s in snapshots), Totals())
    portfolio = state.get_json(analytics_portfolio())
    sectors = [state.get_json(analytics_sector(f"sector_{i}")) for i in range(5)]
    assert portfolio["exact"]["gex"] == whole.gex.text and portfolio["values"]["gex"] == whole.gex.value and portfolio["convention"] == "naive"
    assert {m for s in sectors for m in s["members"]} == set(portfolio["members"]) == set(symbol_names(7)) and not portfolio["members_left_out"]
    from quanticity.analytics.aggregation import Exact
    for name in ("gex", "dex", "vex", "chex", "gross"):
        assert sum((Exact.from_text(s["exact"][name]) for s in sectors), Exact()).text == portfolio["exact"][name]


def test_the_split_does_not_show_in_the_results(server):
    """One worker, or three: the same bytes."""
    seen = []
    for names in (("a",), ("a", "b", "c")):
        state = connect(server.url, prefix=f"replay:split{len(names)}:")
        floor = Floor(state, configuration(symbol_names(6), 1.0), names=names)
        floor.turn(32)
        assert sorted(len(v) for v in floor.serving().values()) == ([7] if len(names) == 1 else [1, 3, 3])
        seen.append({k: orjson.loads(v)["values"] for k, v in documents(state, symbol_names(6)).items() if "exposure" in k})
        state.clear_namespace()
        state.close()
    assert seen[0] == seen[1]


GARBAGE = "S07"


def run_fifty(server: EmbeddedServer, bad: tuple[str, ...]) -> tuple[list[dict[str, bytes | None]], dict[str, bytes], dict[str, object]]:
    """Fifty symbols of 2,000 contracts, nine seconds; the documents at each second, the garbage symbol's meters, and the portfolio."""
    state = connect(server.url, prefix="replay:fifty:")
    names = symbol_names(50)
    floor = Floor(state, configuration(names, 1.0), contracts=2_000, distinct=5, bad=bad)
    others, seen = [n for n in names if n != GARBAGE], []
    for _ in range(9):
        floor.turn(4)
        seen.append(documents(state, others))
    assert len(floor.feed.roots[0].contracts) == 2_000 and floor.workers[0].report.failures == floor.workers[0].report.skipped == 0
    meters, portfolio = state.get_hash(monitoring_calculators(GARBAGE)), state.get_json(analytics_portfolio())
    spoilt = state.get(analytics(GARBAGE, "dealer_flow"))
    if bad and spoilt is not None:
        document = read_metric(spoilt)
        assert all(math.isfinite(v) for v in document["values"].values()) and set(document["values"]) | set(document["missing"]) >= {"gex", "zero_gamma"}
    state.clear_namespace()
    state.close()
    return seen, meters, portfolio


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_one_symbol_of_garbage_leaves_the_other_49_untouched(server):
    clean, _, whole = run_fifty(server, ())
    dirty, meters, without = run_fifty(server, (GARBAGE,))
    assert clean == dirty and all(v is not None for v in clean[-1].values()) and clean[0] != clean[-1]
    found = {k: json.loads(v) for k, v in meters.items()}
    assert GARBAGE in whole["members"] and whole["counted"] > 0
    assert found["chain"]["failures"] >= 4 and found["chain"]["reason"] == "unreadable" and found["chain"]["error"]
    assert {m["reason"] for m in found.values() if m["failures"]} <= {"unreadable", "calculator_failed"}
    assert set(without["members"]) | set(without["members_left_out"]) == set(symbol_names(50)) and len(without["members"]) >= 49


def broken(symbol: str) -> Calculator:
    """A calculator that fails for every second symbol."""
    def calculate(a):
        return ({"x": 1.0 / (int(symbol[1:]) % 2)}, {})
    return Calculator("broken", ("x",), calculate)


def test_one_calculator_that_fails_stops_no_other(state, monkeypatch):
    import sys

    module = ModuleType("calculator_for_this_test")
    module.CALCULATOR = broken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "calculator_for_this_test", module)
    config = configuration(symbol_names(4), 1.0)
    config = load_config(environ={}, overrides={"analytics": {**config.model_dump()["analytics"], "calculators": {"broken": "calculator_for_this_test"}}})
    floor = Floor(state, config)
    floor.turn(8)
    for i, symbol in enumerate(symbol_names(4)):
        document = read_metric(state.get(analytics(symbol, "broken")))
        meter = json.loads(state.get_hash(monitoring_calculators(symbol))["broken"])
        if i % 2:
            assert document["values"] == {"x": 1.0} and meter["failures"] == 0
        else:
            assert document["missing"] == {"x": Reason.CALCULATOR_FAILED} and meter["failures"] == meter["runs"] > 0 and "ZeroDivisionError" in meter["error"]
        assert math.isfinite(read_metric(state.get(analytics(symbol, "dealer_flow")))["values"]["gex"])
    assert floor.workers[0].report.failures == 0
    with pytest.raises(ConfigError, match=r"analytics\.calculators\.mine: no module nowhere_at_all"):
        Worker(state, load_config(environ={}, overrides={"analytics.calculators": {"mine": "nowhere_at_all"}}), ["GOOG"])


def test_a_step_that_breaks_altogether_is_counted_and_the_next_symbol_served(state, monkeypatch):
    from quanticity.jobs import analytics as job

    real = job._row
    monkeypatch.setattr(job, "_row", lambda chain, *rest: 1 / 0 if chain.symbol == "S01" else real(chain, *rest))
    floor = Floor(state, configuration(symbol_names(3), 1.0))
    floor.turn(8)
    report = floor.workers[0].report
    assert report.failures >= 2 and report.meters["S01"].reason is Reason.CALCULATOR_FAILED and "ZeroDivisionError" in report.meters["S01"].error
    assert state.get(analytics("S02", "dealer_flow")) and int(state.get_hash(monitoring_workers("a"))["failures"]) >= 1


def test_a_worker_that_joins_gets_its_share_and_gives_it_back(state):
    floor = Floor(state, configuration(symbol_names(9), 1.0), names=("a", "b"))
    floor.turn(8, but=("b",))
    assert [len(v) for v in floor.serving().values()] == [10, 0]
    floor.turn(8)
    assert [len(v) for v in floor.serving().values()] == [5, 5]
    assert not set(floor.serving()["a"]) & set(floor.serving()["b"])
    floor.workers[1].leave()
    floor.turn(1, but=("b",))
    assert [len(v) for v in floor.serving().values()] == [10, 0]  # at once: given back, not run out
    assert floor.workers[0].report.lost == floor.workers[1].report.lost == 0


def test_a_silent_worker_loses_its_symbols_within_three_cadences_and_wakes_up_harmless(state):
    floor = Floor(state, configuration(symbol_names(6), 1.0), names=("a", "b"))
    floor.turn(12)
    asleep = floor.workers[1]
    victims = [item.name for item in asleep.serving if item.name != PORTFOLIO]
    assert len(victims) >= 2
    gone = floor.clock.now()
    served: dict[str, datetime] = {}
    while floor.clock.now() <= gone + timedelta(seconds=3):
        floor.turn(1, but=("b",))
        for symbol in victims:
            if symbol not in served and read_metric(state.get(analytics(symbol, "dealer_flow")))["ts"] >= gone:
                served[symbol] = floor.clock.now()
    assert set(served) == set(victims), f"not served within three cadences: {set(victims) - set(served)}"
    before = documents(state, victims)
    stale = asleep.items[victims[0]]
    assert stale.lease is not None and stale.work is not None  # it still believes
    stale.work.step(nanoseconds(floor.clock.now()))
    assert stale.work.fence.refused and documents(state, victims) == before
    asleep._next_look = 10**19  # straight to its steps, without a look at the leases
    asleep.step()
    assert documents(state, victims) == before and not asleep.serving and asleep.report.lost == len(victims) + 1  # the portfolio was among them
    asleep._next_look = 0
    floor.turn(8)
    assert int(state.get_hash(monitoring_workers(asleep.report.name))[Reason.LEASE_LOST.value]) == len(victims) + 1  # and told under its reason
    assert sorted(len(v) for v in floor.serving().values()) == [3, 4]


def test_steps_that_come_late_are_skipped_and_counted(state):
    floor = Floor(state, configuration(symbol_names(2), 1.0))
    floor.turn(8)
    worker = floor.workers[0]
    before = worker.report.steps
    floor.clock.advance_to(floor.clock.now() + timedelta(seconds=5))
    worker.step()
    assert worker.report.steps == before + 3 and worker.report.skipped >= 3 * 4  # one step each, at least four moments passed over
    worker.step()
    assert worker.report.steps == before + 3  # nothing was queued
    worker.look()
    assert int(state.get_hash(monitoring_workers(worker.report.name))[Reason.OVERRUN.value]) == worker.report.skipped  # told under its reason


def test_a_closed_market_is_no_overrun(state):
    config = load_config(environ={}, overrides={"analytics.symbols": ["GOOG", "SPXW"], "analytics.cadence_seconds": 1.0, "analytics.lease_cadences": 20.0})
    clock = ReplayClock(datetime(2015, 12, 24, 17, 59, 58, tzinfo=UTC))  # half a day: GOOG to 13:00, SPXW to 13:15
    worker, made = Worker(state, config, None, "a", clock), {}
    while clock.now() < datetime(2015, 12, 24, 18, 16, tzinfo=UTC):
        counts = {name: worker.items[name].cadence._last for name in ("GOOG", "SPXW")}
        worker.step()
        for name, last in counts.items():
            if worker.items[name].cadence._last not in (None, last):
                made[name] = clock.now()
        clock.advance_to(max(timestamp(worker.next_due()), clock.now() + timedelta(milliseconds=100)))
    assert datetime(2015, 12, 24, 17, 59, 59, tzinfo=UTC) <= made["GOOG"] <= datetime(2015, 12, 24, 18, 0, tzinfo=UTC)
    assert datetime(2015, 12, 24, 18, 14, 59, tzinfo=UTC) <= made["SPXW"] <= datetime(2015, 12, 24, 18, 15, tzinfo=UTC)
    assert worker.report.skipped == 0 and worker.report.failures == 0
    assert timestamp(worker._opens_at(worker.items["GOOG"], worker.now())) == datetime(2015, 12, 28, 14, 30, tzinfo=UTC)


def test_a_new_session_starts_with_a_new_job(state):
    floor = Floor(state, configuration(["S00"], 1.0))
    floor.turn(4)
    work = floor.workers[0].items["S00"].work
    first = work._job
    floor.clock.advance_to(datetime(2026, 3, 23, 15, tzinfo=UTC))
    floor.turn(4)
    assert floor.workers[0].items["S00"].work._job is not first or floor.workers[0].items["S00"].work is not work
    assert floor.workers[0].items["S00"].work._job.desk.date == date(2026, 3, 23)


def test_symbols_without_data_and_mixed_conventions_are_told_in_the_sums(server, state):
    config = configuration([*symbol_names(3), "NONE"], 1.0)
    floor = Floor(state, config)
    floor.feed.symbols = symbol_names(3)
    floor.turn(12)
    assert state.get_json(analytics_portfolio())["members_left_out"] == {"NONE": "no_quote"}
    gross = load_config(environ={}, overrides={"analytics": {**config.model_dump()["analytics"], "dealer_convention": "gross", "symbols": ("S00",)}})
    other = Worker(state, gross, None, "z", floor.clock)
    floor.workers[0].leases.release([floor.workers[0].items["S00"].lease])
    other.leases.acquire({"S00": 60.0}, now_ms=other.now() // 1_000_000)
    other.items["S00"].lease = other.leases.holders(other.now() // 1_000_000)["S00"]
    other.share._take(other.items["S00"], other.items["S00"].lease)
    floor.feed.publish(nanoseconds(floor.clock.now()))
    other.items["S00"].work.step(other.now())
    before = state.get(analytics_portfolio())
    item = floor.workers[0].items[PORTFOLIO]
    item.work.step(floor.workers[0].now())
    meters = {k: json.loads(v) for k, v in state.get_hash(monitoring_calculators(AGGREGATES)).items()}
    assert meters["portfolio"]["reason"] == "mixed_conventions" and "S00 gross" in meters["portfolio"]["error"] and state.get(analytics_portfolio()) == before


def test_run_worker_on_a_driven_clock_ends_and_gives_everything_back(state):
    config = configuration(symbol_names(3), 1.0)
    clock = ReplayClock(START)
    Feed(state, symbol_names(3), 60, 1).publish(nanoseconds(START))
    report = run_worker(config, state=state, name="driven", clock=clock, until=START + timedelta(seconds=10))
    assert clock.now() >= START + timedelta(seconds=10) and 4 * 10 <= report.steps <= 4 * 12 and report.failures == report.skipped == 0 and report.lag.count == report.steps
    assert Worker(state, config, None, "next", clock).leases.holders(nanoseconds(clock.now()) // 1_000_000) == {}
    assert "driven: " in str(report)
    stopped = run_worker(config, state=state, name="stopped", clock=ReplayClock(START), stop=iter([False, False, True]).__next__)
    assert 0 < stopped.steps < report.steps


def test_a_worker_without_symbols_or_server_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"analytics\.symbols: no symbols to serve; name some"):
        Worker(None, load_config(environ={}))  # type: ignore[arg-type]
    config = load_config(environ={}, overrides={"redis.url": f"unix://{tmp_path}/none.sock", "analytics.symbols": ["GOOG"]})
    with pytest.raises(ServerError, match="no answer"):
        run_worker(config, stop=lambda: True)


def test_without_a_server_given_workers_share_an_embedded_one(tmp_path):
    config = load_config(environ={}, overrides={"paths.state_dir": str(tmp_path), "analytics.symbols": ["GOOG"], "analytics.regular_hours_only": False})
    told = iter([False] * 3 + [True])
    report = run_worker(config, name="own", stop=lambda: next(told))
    assert report.taken == report.released == 2 and (tmp_path / "live" / "server.conf").exists()


@pytest.mark.slow
def test_a_short_run_in_real_time_serves_everybody(capsys):
    """The benchmark, shortened: two processes, fifty symbols. What it shows is printed; that all were served without failure is asserted, its speed is not."""
    m = measure(symbols=50, contracts=2_000, workers=2, cadence=1.0, seconds=8.0, distinct=2)
    with capsys.disabled():
        print(f"\n  {m['steps']} steps, {m['skipped']} skipped; lag {m['lag_ms']['median']:.0f} ms at the median, {m['lag_ms']['worst']:.0f} ms at worst")
    assert m["failures"] == 0 and m["contracts"] == 2_000 and m["steps"] >= 51 * 2 and len(m["reports"]) == 2
    assert sum(r["taken"] for r in m["reports"]) >= 51 and all(r["steps"] > 0 for r in m["reports"]) and math.isfinite(m["lag_ms"]["worst"])
