"""The analytics of a whole session on a real server: every metric, from the tape too; killed, taken up again, and carried into the next day."""

import json
import math
from collections.abc import Iterator
from datetime import date

import numpy as np
import pytest

from quanticity.core.config import load_config
from quanticity.core.keys import analytics, analytics_memory, market_trades, monitoring_alerts, monitoring_calculators
from quanticity.core.reasons import Reason
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.jobs.analytics import AnalyticsJob
from quanticity.jobs.calculators import Calculator
from quanticity.jobs.flow_kinds import FlowKinds
from quanticity.jobs.history import History
from quanticity.jobs.market import MarketJob
from quanticity.jobs.tape import TapeReader
from quanticity.jobs.underlying_volume import UnderlyingVolume
from quanticity.jobs.wiring import ChainReader, Desk
from quanticity.market.chain import nanoseconds, timestamp
from quanticity.market.session import batches
from quanticity.signals.features import METRICS, merge, read_metric
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

MINUTE = 60_000_000_000
FROM_THE_TAPE = ("institutional_flow", "retail_flow", "vpin", "flow_clusters", "closing_imbalance", "unusual_activity")
KILLED_AT = (50, 130)
PARAMETERS = SimulatorParameters(strikes=12, expiries=3)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("analytics"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server, request) -> Iterator[State]:
    connected = connect(server.url, prefix=f"replay:{request.node.name[:20].replace('[', '-')}:")
    yield connected
    connected.clear_namespace()
    connected.close()


class Day:
    """A market job with the analytics job of its process, and one of another process, which has the streams alone."""

    def __init__(self, state: State, seed: int = 7, day: date = date(2015, 12, 24), parameters: SimulatorParameters = PARAMETERS, **overrides) -> None:
        self.session = simulate_session(seed, day, "SIM", parameters)
        self.desk = Desk(state, load_config(environ={}, overrides=overrides), "SIM", self.session.date, self.session.opens, self.session.closes)
        reader = ChainReader(state, "SIM")
        self.market = MarketJob(self.desk, self.session, lambda now: self.batch, reader)
        self.job, self.steps = AnalyticsJob(self.desk, reader), batches(self.session)
        self.now = nanoseconds(self.session.opens)
        self.other = self.elsewhere()

    def elsewhere(self) -> AnalyticsJob:
        self.written: dict[str, bytes] = {}
        return AnalyticsJob(self.desk, ChainReader(self.desk.state, "SIM"), lambda writes: self.written.update({str(key): value for key, value in writes}))

    def step(self, both: bool = False) -> dict | None:
        self.batch = next(self.steps, None)
        if self.batch is None:
            return None
        self.now = self.batch.now
        self.market.step(self.now)
        row = self.job.step(self.now)
        if both:
            self.other.step(self.now)
        return row

    def document(self, metric: str) -> dict:
        return read_metric(self.desk.state.get(analytics("SIM", metric)))


@pytest.fixture(scope="module")
def whole(server) -> Iterator[tuple[Day, list[dict], dict]]:
    """A half day with both processes, the other one killed twice; their rows, and where they differed."""
    state = connect(server.url, prefix="replay:whole:")
    day, rows, apart = Day(state), [], {}
    while (row := day.step(both=True)) is not None:
        rows.append(row)
        for metric in METRICS:
            mine, theirs = state.get(analytics("SIM", metric)), day.written.get(str(analytics("SIM", metric)))
            if metric != "quality" and mine != theirs:
                apart.setdefault(metric, []).append(len(rows))
        if len(rows) in KILLED_AT:
            day.other = day.elsewhere()  # what it published and remembered is in the state, all else is lost
    yield day, rows, apart
    state.clear_namespace()
    state.close()


def test_every_metric_is_published_with_values_or_reasons(whole):
    day, rows, _ = whole
    declared = {c.name: set(c.names) for c in day.job.calculators}
    assert set(declared) | {"quality"} == set(METRICS) and len(rows) == 211
    for metric in METRICS:
        read = day.document(metric)
        assert read["metric"] == metric and set(read["values"]) & set(read["missing"]) == set()
        if metric != "quality":
            assert set(read["values"]) | set(read["missing"]) == declared[metric]
        assert 0 <= (timestamp(day.now) - read["ts"]).total_seconds() < 600
    meters = {k: json.loads(v) for k, v in day.desk.state.get_hash(monitoring_calculators("SIM")).items()}
    assert set(declared) | {"tape", "chain", "analysis"} <= set(meters) and all(m["failures"] == 0 for m in meters.values())
    assert meters["tape"]["rows"] == len(day.session.trades)


def test_what_a_session_says_at_its_end(whole):
    day, _, _ = whole
    values = {name: value for metric in METRICS for name, value in day.document(metric)["values"].items()}
    for name in ("institutional_flow", "retail_flow", "imbalance_share"):
        assert -1 <= values[name] <= 1
    for name in ("institutional_confidence", "retail_confidence", "vpin", "unusual_call_share", "zero_dte_share"):
        assert 0 <= values[name] <= 1, name
    shares = [values[f"{kind}_share"] for kind in ("momentum", "hedging", "reversion")]
    assert all(s > 0.02 for s in shares) and sum(shares) <= 1 + 1e-12
    assert values["institutional_premium"] > 0 and values["retail_premium"] > 0 and values["volatility_regime"] in (0, 1, 2, 3)
    assert values["imbalance_shares"] == day.session.imbalances.imbalance[-1] and math.isfinite(values["imbalance_pressure"])
    assert day.document("dealer_flow")["missing"]["elasticity"] is Reason.NO_VOLUME
    assert day.document("drift")["missing"] == {"drift": Reason.TOO_LITTLE_HISTORY, "safe_mode": Reason.TOO_LITTLE_HISTORY}


def test_the_start_of_a_first_session_is_missing_with_reasons(whole):
    day, rows, _ = whole
    for name in ("vpin", "momentum_share", "vix1d_zscore", "realized_volatility", "drift", "stretch", "imbalance_shares"):
        assert math.isnan(rows[0][name]), name
    assert math.isnan(rows[0]["day_move"]) and all(math.isfinite(row["institutional_flow"]) for row in rows[5:])  # nothing is quoted at the very open
    known = {name: next(i for i, row in enumerate(rows) if math.isfinite(row[name])) for name in ("vpin", "momentum_share", "vix1d_zscore", "realized_volatility")}
    assert 15 <= known["realized_volatility"] <= 20 and 58 <= known["vix1d_zscore"] <= 90 and known["momentum_share"] < 40
    full, _ = seventy_buckets(day.session)
    assert full <= known["vpin"] <= full + 2  # the tape is read every other minute
    assert all(math.isfinite(row["vpin"]) for row in rows[known["vpin"]:])


def seventy_buckets(session) -> tuple[int, float]:
    """The minute by which seventy buckets were traded, and a bucket's shares.

    Twenty buckets make a deviation and fifty a window. A bucket is the 250th part of the day's volume, as the prints up to the first look at the tape that is a
    quarter of an hour or more after the first print let expect: where they are a larger part of the day, it takes longer. The looks are at even minutes.
    """
    opens, closes, t = nanoseconds(session.opens), nanoseconds(session.closes), session.underlying_trades
    traded = lambda minute: float(t.size[t.ts <= opens + minute * MINUTE].sum())
    looked = next(m for m in range(0, 60, 2) if opens + m * MINUTE - int(t.ts[0]) >= 15 * MINUTE)
    shares = round(traded(looked) * (closes - opens) / (opens + looked * MINUTE - int(t.ts[0])) / 250)
    return next(m for m in range(looked, 211) if traded(m) >= 70 * shares), shares


@pytest.mark.parametrize("seed", [8, 9, 10])
def test_vpin_is_known_once_seventy_buckets_were_traded(seed):
    session = simulate_session(seed, date(2015, 12, 24), "SIM", PARAMETERS)
    opens, t = nanoseconds(session.opens), session.underlying_trades
    volume = UnderlyingVolume(load_config(environ={}).analytics.flow, opens, nanoseconds(session.closes))
    known = []
    for minute in range(0, 211, 2):
        new = (t.ts > volume.until) & (t.ts <= opens + minute * MINUTE)
        volume.take(t.ts[new], t.price[new], t.size[new], opens + minute * MINUTE)
        known.append(math.isfinite(volume.buckets.vpin()))
    full, shares = seventy_buckets(session)
    assert volume.buckets.volume == shares and full <= 2 * known.index(True) <= full + 1 and all(known[known.index(True):])


def test_another_process_says_the_same_byte_by_byte_killed_or_not(whole):
    """After a kill implied volatilities are solved anew, which may tell on chain-made numbers of contracts that are not quoted any more; nothing from the tape, and no history, is lost."""
    day, _, apart = whole
    assert {metric: steps for metric, steps in apart.items() if metric in (*FROM_THE_TAPE, "volatility_index", "regime")} == {}
    assert all(step > KILLED_AT[0] for steps in apart.values() for step in steps)
    a, b = day.job.session, day.other.session
    assert a.kinds.to_bytes() == b.kinds.to_bytes() and a.volume.to_bytes() == b.volume.to_bytes() and a.index.to_bytes() == b.index.to_bytes()
    assert a.kinds.clusters is not None and len(b.index.history) == 43 and a.spots.to_bytes() == b.spots.to_bytes()


def test_features_come_with_age_source_and_quality(whole):
    day, _, _ = whole
    f = merge("SIM", timestamp(day.now), "chain:1", [day.desk.state.get(analytics("SIM", metric)) for metric in METRICS], 120.0)
    assert f.sources["gex"] == "dealer_flow" and f.sources["vpin"] == "vpin" and set(f.sources) == set(f.values) == set(f.ages)
    assert f.quality["gex"] == f.values["quality"] and f.quality["institutional_flow"] == f.values["institutional_confidence"] and "vpin" not in f.quality
    later = merge("SIM", timestamp(day.now + 140 * 1_000_000_000), "chain:1", [day.desk.state.get(analytics("SIM", metric)) for metric in METRICS], 2.0)
    assert later.missing["gex"] is Reason.FEATURE_STALE and later.ages["vpin"] == 140.0 and later.get("volatility_regime") is not None
    with pytest.raises(TypeError):
        f.values["gex"] = 1.0


def test_the_tape_is_read_in_pieces_and_each_step_once(whole, monkeypatch):
    day, _, _ = whole
    opens = nanoseconds(day.session.opens)
    all_at_once = list(TapeReader(day.desk.state, "SIM", opens).take(day.now))
    monkeypatch.setattr("quanticity.jobs.tape._PIECE", 7)
    reader = TapeReader(day.desk.state, "SIM", opens)
    in_pieces = [step for until in (opens + 30 * MINUTE, opens + 31 * MINUTE, day.now) for step in reader.take(until)]
    assert [step.now for step in in_pieces] == [step.now for step in all_at_once] == sorted({step.now for step in all_at_once})
    for a, b in zip(in_pieces, all_at_once, strict=True):
        assert a.trades.price.tobytes() == b.trades.price.tobytes() and a.bid.tobytes() == b.bid.tobytes() and len(a.bars) == len(b.bars) and len(a.imbalances) == len(b.imbalances)
    assert sum(len(step.trades) for step in in_pieces) == len(day.session.trades)


def test_the_next_session_begins_with_what_was_remembered(state):
    quick = SimulatorParameters(strikes=10, expiries=3)
    first = Day(state, 7, date(2015, 11, 27), quick, **{"analytics.drift.least_sessions": 1, "analytics.drift.recent_minutes": 30.0})
    rows = [first.step() for _ in range(210)]
    last = first.step()
    assert first.step() is None and math.isfinite(last["vpin"])
    names = first.job.session.kinds.clusters.names
    second = Day(state, 8, date(2015, 11, 30), quick, **{"analytics.drift.least_sessions": 1, "analytics.drift.recent_minutes": 30.0})
    row = second.step()
    assert math.isfinite(row["vpin"]) and row["volatility_regime"] == last["volatility_regime"]
    row = [second.step() for _ in range(6)][-1]
    assert math.isfinite(row["vix1d_zscore"])
    assert math.isnan(row["realized_volatility"]) and math.isnan(row["stretch"])  # the night is no return
    assert second.job.session.kinds.clusters.names == names
    history = History.from_bytes(state.get(analytics_memory("SIM", "volatility_index")), ("vix1d", "vix30"), 1000)
    assert len(history) >= 43 and int(history.ts[0]) == nanoseconds(first.session.opens)
    for _ in range(60):
        row = second.step()
    assert row["safe_mode"] in (0.0, 1.0) and math.isfinite(row["momentum_share"])
    closes, volumes = second.job.session.volume.days.finished(second.job.session.volume.opens)
    assert len(closes) == 1 and closes[0] == pytest.approx(rows[-1]["spot"], rel=0.01)
    assert volumes[0] == pytest.approx(first.session.underlying_trades.size.sum())


def test_another_runs_future_is_not_taken(state):
    later = Day(state, 7, date(2015, 12, 24))
    for _ in range(20):
        later.step()
    state.set(analytics_memory("SIM", "clusters"), later.job.session.kinds.to_bytes())
    earlier = Day(state, 7, date(2015, 12, 23))
    row = earlier.step()
    assert row is not None and len(earlier.job.session.index.history) == 1 and earlier.job.session.regime.state.regime is None
    assert all(m.failures == 0 for m in earlier.job.isolated.meters.values())


def test_junk_in_a_memory_or_on_the_tape_harms_nobody_else(state):
    for part in ("clusters", "volume", "regime", "spots", "volatility_index", "drift"):
        state.set(analytics_memory("SIM", part), b'{"head":{},"columns":{}}\n')
    day = Day(state)
    for _ in range(3):
        day.step(both=True)
    meters = day.job.isolated.meters
    assert {part for part in ("clusters", "volume", "regime") if meters[f"memory.{part}"].reason is Reason.UNREADABLE} == {"clusters", "volume", "regime"}
    assert math.isfinite(day.document("dealer_flow")["values"]["gex"]) and meters["flow_clusters"].failures == 0
    day.step(both=True)
    state.append(market_trades("SIM"), {"now": day.now + 1, "ts": b"half a column"}, day.now // 1_000_000 + 1)
    day.step(both=True)
    told = {metric: read_metric(day.written[str(analytics("SIM", metric))]) for metric in ("dealer_flow", "vpin", "institutional_flow", "regime")}
    assert set(told["vpin"]["missing"].values()) == set(told["institutional_flow"]["missing"].values()) == {Reason.UNREADABLE}
    assert math.isfinite(told["dealer_flow"]["values"]["gex"]) and not told["institutional_flow"]["values"]
    assert day.other.isolated.meters["tape"].failures == 1 and day.job.isolated.meters["tape"].failures == 0
    state.delete(market_trades("SIM"))  # mended
    day.step(both=True)
    day.step(both=True)
    assert day.other.isolated.meters["tape"].failures == 1 and Reason.UNREADABLE not in read_metric(day.written[str(analytics("SIM", "vpin"))])["missing"].values()


def test_a_calculator_that_fails_takes_nobody_with_it(state, monkeypatch):
    monkeypatch.setattr(FlowKinds, "take", lambda self, placed, now: 1 / 0)
    seen = []
    mine = Calculator("mine", ("trades_seen",), lambda a, flow: (seen.append(len(flow.window(a.chain.ts))) or {"trades_seen": float(seen[-1])}, {}), 60.0, sees_flow=True)
    day = Day(state)
    day.job = AnalyticsJob(day.desk, day.market.reader, further=[mine])
    for _ in range(5):
        day.step()
    assert set(day.document("flow_clusters")["missing"].values()) == {Reason.CALCULATOR_FAILED} and day.job.isolated.meters["flow_clusters"].failures == 3
    assert math.isfinite(day.document("institutional_flow")["values"]["institutional_flow"])
    assert day.document("mine")["values"]["trades_seen"] == seen[-1] > 0


def test_a_change_of_regime_is_an_event(state):
    day = Day(state, **{"analytics.regime.realized_enter": [0.001, 0.002, 0.003], "analytics.regime.realized_leave": [0.0005, 0.001, 0.002]})
    for _ in range(22):
        row = day.step()
    alerts = json.loads(state.get(monitoring_alerts("SIM")))
    assert row["volatility_regime"] == 3.0 and alerts[-1]["kind"] == "regime" and "realized" in alerts[-1]["text"] and alerts[-1]["severity"] == "critical"


def test_calculators_of_the_minute_rest_in_between(state):
    """On one-second steps the tape is read every two minutes, and the documents in between stand as they are."""
    day = Day(state)
    day.steps = iter(batch for batch in batches(day.session, 1))
    made = []
    for _ in range(250):
        day.step()
        made.append(day.document("institutional_flow")["ts"])
    assert len(set(made)) == 3 and day.job.isolated.meters["institutional_flow"].runs == 3 and day.job.isolated.meters["dealer_flow"].runs == 250
    assert day.job.isolated.meters["tape"].runs == 3
    gaps = np.diff([t.timestamp() for t in sorted(set(made))])  # the first at once, then at the symbol's own second of every other minute
    assert gaps[0] <= 120 and gaps[1] == 120
