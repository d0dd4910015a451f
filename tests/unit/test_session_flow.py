"""The tape's calculators piece by piece: whatever the pieces, what comes out is what the whole says."""

import math
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.flow_clusters import FLOW_FEATURES
from quanticity.analytics.participants import flow_sums, participant_flows
from quanticity.analytics.trade_signs import prevailing_quotes
from quanticity.analytics.unusual_activity import UnusualParameters, find_sweeps
from quanticity.analytics.vpin import vpin_of
from quanticity.core.config import DriftConfig, FlowConfig
from quanticity.core.errors import DataError
from quanticity.core.reasons import Reason
from quanticity.jobs.drift_calculator import FeatureDrift
from quanticity.jobs.flow import FlowWindow, KnownPrices
from quanticity.jobs.flow_calculators import UnusualPrints, participant_numbers
from quanticity.jobs.flow_kinds import FlowKinds
from quanticity.jobs.history import History, pack, unpack
from quanticity.jobs.tape import TapeStep, join_steps, standing_quotes
from quanticity.jobs.underlying_volume import RememberedVolume
from quanticity.market.tape import Bars, Quotes, Trades, empty

MINUTE, SECOND = 60_000_000_000, 1_000_000_000
OPENS = 1_000_000 * MINUTE
CORNERS = np.zeros((4, len(FLOW_FEATURES)))
CORNERS[:, :2] = [[1, 0], [0, 1], [0, -1], [-1, 0]]


def tape(rng: np.random.Generator, n: int, contracts: int, span: int) -> tuple[Quotes, Trades]:
    q = np.sort(rng.integers(0, span, 4 * n))
    bid = np.where(rng.random(4 * n) < 0.1, np.nan, rng.uniform(1, 2, 4 * n))
    quotes = Quotes(q, rng.integers(0, contracts, 4 * n), bid, bid + 0.1, np.ones(4 * n), np.ones(4 * n))
    return quotes, Trades(np.sort(rng.integers(0, span, n)), rng.integers(0, contracts, n), rng.uniform(1, 2, n), rng.integers(1, 50, n).astype(float))


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_the_quotes_that_stood_are_those_of_the_whole_tape_however_it_is_cut(seed, pieces):
    rng = np.random.default_rng(seed)
    quotes, trades = tape(rng, 40, 5, 200)  # many rows of one moment
    bid, ask = prevailing_quotes(trades, quotes)
    got_bid, got_ask, chain_bid, chain_ask, before = [], [], np.full(5, np.nan), np.full(5, np.nan), -1
    for cut in (*sorted(rng.integers(0, 200, pieces - 1).tolist()), 200):
        q, t = (x.where((x.ts > before) & (x.ts <= cut)) for x in (quotes, trades))
        b, a = standing_quotes(t, q, chain_bid, chain_ask)
        got_bid, got_ask, before = [*got_bid, *b], [*got_ask, *a], cut
        chain_bid[q.index], chain_ask[q.index] = q.bid, q.ask
    np.testing.assert_array_equal(got_bid, bid)
    np.testing.assert_array_equal(got_ask, ask)


def test_joined_steps_are_one_after_another():
    rng = np.random.default_rng(1)
    _, trades = tape(rng, 10, 3, 100)
    steps = [TapeStep(1, trades.rows(0, 4), np.arange(4.0), np.arange(4.0)), TapeStep(2), TapeStep(3, trades.rows(4, 10), np.arange(4.0, 10), np.arange(4.0, 10))]
    joined = join_steps(steps)
    assert joined.now == 3 and joined.bid.tolist() == list(range(10)) and len(joined.bars) == 0
    np.testing.assert_array_equal(joined.trades.price, trades.price)
    with pytest.raises(ValueError, match="no steps"):
        join_steps([])


def test_prices_that_were_known():
    known = KnownPrices()
    assert np.isnan(known.at(np.array([5]))).all() and np.isnan(known.move(np.array([5]))).all()
    bar = np.array([10.0])
    known.add(TapeStep(OPENS + MINUTE, bars=Bars(np.array([OPENS + MINUTE]), bar, bar, bar, bar, bar)))
    quotes = Quotes(np.array([OPENS + 2 * MINUTE, OPENS + 40 * MINUTE]), np.zeros(2, np.int64), np.array([11.9, np.nan]), np.array([12.1, 9.0]), np.ones(2), np.ones(2))
    known.add(TapeStep(OPENS + 40 * MINUTE, bars=Bars(np.array([OPENS + 3 * MINUTE]), *(np.array([99.0]),) * 5), underlying_quotes=quotes))
    assert known.at(OPENS + np.array([0, 1, 2, 39]) * MINUTE).tolist()[1:] == [10.0, 12.0, 12.0]  # once quoted, bars do not count; a one-sided quote is no price
    assert known.move(np.array([OPENS + 2 * MINUTE]))[0] == pytest.approx(math.log(1.2) / (0.2 * math.sqrt(30 / (252 * 390))))
    known.forget(OPENS + 39 * MINUTE)
    assert len(known.ts) == 1 and known.first == OPENS + MINUTE


def window(rng: np.random.Generator, n: int = 300, contracts: int = 6, span: int = 20 * SECOND) -> FlowWindow:
    values = np.empty((n, 10))
    values[:, 0], values[:, 1] = 2.0 + rng.integers(0, 3, n) * 0.05, rng.integers(1, 60, n)
    values[:, 2], values[:, 3], values[:, 4] = 2.0, 2.1, 100.0
    values[:, 5] = values[:, 0] * values[:, 1] * 100
    values[:, 6], values[:, 7] = rng.random(n), rng.random(n)
    values[:, 8], values[:, 9] = values[:, 6] * values[:, 7], (1 - values[:, 6]) * values[:, 7]
    index = rng.integers(0, contracts, n)
    return FlowWindow(np.sort(rng.integers(0, span, n)), index, values, index % 2 == 0)


@pytest.mark.parametrize("institutional", [True, False])
def test_flows_are_those_of_the_layer_below(institutional):
    w = window(np.random.default_rng(3))
    calls = FlowWindow(w.ts, w.index, w.values, np.ones(len(w), bool))
    class Listed:
        multiplier = np.full(6, 100.0)
        def __len__(self): return 6

    flows = participant_flows(flow_sums(w.trades, w.odds, Listed(), np.zeros(len(w)), w.column("spot")))
    flow = flows.institutional_flow if institutional else flows.retail_flow
    name = "institutional" if institutional else "retail"
    values, missing = participant_numbers(calls, institutional)
    assert not missing and values[f"{name}_flow"] * values[f"{name}_premium"] == pytest.approx(flow.premium, rel=1e-12)
    assert values[f"{name}_confidence"] == pytest.approx(math.erf(abs(flow.premium) / flow.premium_deviation / math.sqrt(2)), rel=1e-9)
    puts = participant_numbers(FlowWindow(w.ts, w.index, w.values, np.zeros(len(w), bool)), institutional)[0]
    assert puts[f"{name}_flow"] == pytest.approx(-values[f"{name}_flow"]) and puts[f"{name}_premium"] == values[f"{name}_premium"]


def test_trades_that_could_not_be_judged_count_nothing():
    w = window(np.random.default_rng(4), 3)
    w.values[:, 6:] = np.nan
    values, missing = participant_numbers(w, True)
    assert all(map(math.isnan, values.values())) and set(missing.values()) == {Reason.NO_TRADES}


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_vpin_by_pieces_is_vpin(seed, pieces):
    rng = np.random.default_rng(seed)
    n = 3_000
    ts, price, size = OPENS + np.sort(rng.integers(1, 300 * MINUTE, n)), 50 + np.cumsum(rng.normal(0, 0.01, n)), rng.integers(1, 900, n).astype(float)
    volume = RememberedVolume(FlowConfig(), OPENS, OPENS + 390 * MINUTE)
    volume.buckets.volume = 4_000.0
    for cut in (*sorted(rng.integers(1, 300, pieces).tolist()), 300):
        volume.take(ts, price, size, OPENS + cut * MINUTE) if cut == 300 else volume.take(*(x[ts <= OPENS + cut * MINUTE] for x in (ts, price, size)), OPENS + cut * MINUTE)
    whole = vpin_of(Trades(ts, np.zeros(n, np.int64), price, size), empty(Quotes), 4_000.0)
    assert volume.buckets.vpin() == pytest.approx(float(whole.value[-1]), rel=1e-12)
    assert volume.traded == size.sum() and volume.buckets.close == whole.buckets.close[-1]


def test_vpin_says_why_not():
    volume = RememberedVolume(FlowConfig(), OPENS, OPENS + 390 * MINUTE)
    at = SimpleNamespace(chain=SimpleNamespace(ts=OPENS + MINUTE))
    flow = SimpleNamespace(prints=[])
    assert volume.calculate(at, flow) == ({"vpin": pytest.approx(math.nan, nan_ok=True)}, {"vpin": Reason.NO_TRADES})
    flow.prints = [(np.array([OPENS + 1]), np.array([10.0]), np.array([5.0]))]
    assert volume.calculate(at, flow)[1] == {"vpin": Reason.TOO_LITTLE_HISTORY} and flow.prints == []
    n = 500
    volume.buckets.volume, flow.prints = 10.0, [(OPENS + np.arange(1, n + 1) * SECOND, np.full(n, 10.0), np.full(n, 10.0))]
    assert volume.calculate(SimpleNamespace(chain=SimpleNamespace(ts=OPENS + n * SECOND)), flow)[1] == {"vpin": Reason.CONSTANT_HISTORY}


def test_prints_that_came_in_several_pieces_all_count():
    volume = RememberedVolume(FlowConfig(), OPENS, OPENS + 390 * MINUTE)
    pieces = [(np.array([OPENS + i * SECOND]), np.array([10.0]), np.array([5.0])) for i in range(1, 4)]
    volume.calculate(SimpleNamespace(chain=SimpleNamespace(ts=OPENS + MINUTE)), SimpleNamespace(prints=pieces))
    assert volume.traded == 15.0


def test_the_dollar_volume_is_configured_or_seen():
    volume = RememberedVolume(FlowConfig(average_dollar_volume={"GOOG": 1e9}), OPENS, OPENS + 390 * MINUTE)
    assert volume.dollar_volume("GOOG") == 1e9 and math.isnan(volume.dollar_volume("SIM"))
    for day in range(12):
        volume.days.history.append(OPENS - (12 - day) * 1440 * MINUTE, {"close": 10.0, "volume": 100.0, "left": 0.0 if day != 5 else 3_600.0})
    assert volume.dollar_volume("SIM") == pytest.approx(1_000.0) and len(volume.days.finished(OPENS)[0]) == 11  # one day was seen in part


def rows_of(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    return OPENS + np.sort(rng.integers(0, 40 * MINUTE, n)), CORNERS[rng.choice(4, n, p=[0.4, 0.3, 0.1, 0.2])] + 0.1 * rng.normal(size=(n, len(FLOW_FEATURES)))


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_clusters_do_not_depend_on_how_the_tape_is_cut(seed, pieces):
    rng = np.random.default_rng(seed)
    ts, values = rows_of(rng, 4_000)
    straight, cut_up = FlowKinds(FlowConfig(), OPENS), FlowKinds(FlowConfig(), OPENS)
    straight.take([(ts, values)], OPENS + 40 * MINUTE)
    begin = 0
    for cut in (*sorted(rng.integers(0, len(ts), pieces).tolist()), len(ts)):
        if cut > begin:
            cut_up.take([(ts[begin:cut], values[begin:cut])], int(ts[cut - 1]))
            begin = cut
    cut_up.take([], OPENS + 40 * MINUTE)
    assert cut_up.to_bytes() == straight.to_bytes()
    names, share = straight.clusters.names, straight.clusters.share
    assert {n: round(float(share[i]), 1) for i, n in enumerate(names)} == {"momentum": 0.4, "hedging": 0.3, "unnamed": 0.1, "reversion": 0.2}


def test_clusters_wait_for_their_seed_and_say_so():
    kinds, rng = FlowKinds(FlowConfig(), OPENS), np.random.default_rng(1)
    a, flow = SimpleNamespace(chain=SimpleNamespace(ts=OPENS + 41 * MINUTE)), SimpleNamespace(placed=[rows_of(rng, 300)])
    values, missing = kinds.calculate(a, flow)
    assert all(map(math.isnan, values.values())) and set(missing.values()) == {Reason.TOO_LITTLE_HISTORY} and flow.placed == []
    again = FlowKinds(FlowConfig(), OPENS)
    again.restore(kinds.to_bytes(), OPENS + 41 * MINUTE)
    assert again.to_bytes() == kinds.to_bytes()
    ts, values_ = rows_of(rng, 4_000)
    kinds = FlowKinds(FlowConfig(), OPENS)
    flow.placed = [(ts, values_)]
    values, missing = kinds.calculate(a, flow)
    assert values["momentum_share"] == pytest.approx(0.4, abs=0.03) and values["hedging_share"] == pytest.approx(0.3, abs=0.03)
    flow.placed = []
    later, missing = kinds.calculate(SimpleNamespace(chain=SimpleNamespace(ts=OPENS + 200 * MINUTE)), flow)
    assert set(missing.values()) == {Reason.NO_TRADES} and all(map(math.isnan, later.values()))
    kinds.take([(ts + 200 * MINUTE, values_)], OPENS + 241 * MINUTE)
    kinds.following.clusters = type(kinds.clusters)(**{**vars(kinds.clusters), "names": ("unnamed",) * 4})
    assert set(kinds.calculate(SimpleNamespace(chain=SimpleNamespace(ts=OPENS + 241 * MINUTE)), flow)[1].values()) == {Reason.NO_SUCH_CLUSTER}


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 10))
def test_sweeps_and_blocks_do_not_depend_on_how_the_tape_is_cut(seed, pieces):
    rng = np.random.default_rng(seed)
    w, p = window(rng), UnusualParameters(sweep_premium=5_000.0, block_size=55.0)
    sweeps = find_sweeps(w.signed, np.full(6, 100.0), p.sweep_window, p.sweep_prints, p.sweep_premium)
    listed = SimpleNamespace(multiplier=np.full(6, 100.0))

    class Chain(SimpleNamespace):
        def __len__(self): return 6

    found = []
    for cuts in ((len(w),), (*sorted(set(rng.integers(1, len(w), pieces).tolist())), len(w))):
        unusual = UnusualPrints(p)
        for seen in cuts:
            part = FlowWindow(w.ts[:seen], w.index[:seen], w.values[:seen], w.is_call[:seen])
            flow = SimpleNamespace(window=lambda now, part=part: part, window_ns=3600 * SECOND, seen=seen)
            values, _ = unusual.calculate(SimpleNamespace(chain=Chain(ts=int(w.ts[seen - 1]), contracts=listed, volume=np.zeros(6))), flow)
        found.append((values["unusual_premium"], values["unusual_call_share"]))
        if len(cuts) == 1:
            assert values["sweeps"] == len(sweeps) and len(sweeps) > 0
    assert found[0][0] == pytest.approx(found[1][0], rel=0.02)  # a sweep that is cut into pieces too small to be one is found by its end


def test_histories_come_back_and_refuse_what_is_none():
    h = History(("a", "b"), 10)
    for i in range(25):
        h.append(i, {"a": float(i)})
    again = History.from_bytes(h.to_bytes(), ("b", "a", "c"), 5)
    assert again.ts.tolist() == [20, 21, 22, 23, 24] and again.column("a")[-1] == 24 and np.isnan(again.column("c")).all()
    for bad in (b"", b"x\ny", h.to_bytes()[:-3], pack({"names": ["a"]}, {"ts": np.array([2, 1]), "rows": np.zeros((2, 1))})):
        with pytest.raises(DataError, match="start afresh"):
            History.from_bytes(bad, ("a",), 5)
    head, columns = unpack(pack({"x": 1}, {"e": np.empty((0, 4))}))
    assert head == {"x": 1} and columns["e"].shape == (0, 4)


def test_drift_waits_for_sessions_and_survives_a_restart():
    known: dict[str, float] = {}
    config = DriftConfig(features=("x", "gone"), least_sessions=2)
    rng, watch, seen = np.random.default_rng(0), FeatureDrift(config, lambda: known), deque(maxlen=1)
    for day in range(5):
        for row in range(78):
            known = {"x": rng.normal()}
            seen.append(watch.calculate(SimpleNamespace(chain=SimpleNamespace(ts=day * 1440 * MINUTE + row * 5 * MINUTE))))
        if day < 2:
            assert set(seen[0][1].values()) == {Reason.TOO_LITTLE_HISTORY} and all(map(math.isnan, seen[0][0].values()))
        again = FeatureDrift(config, lambda: known)
        again.restore(watch.to_bytes(), 10**18)
        watch = again
    values, _ = seen[0]
    assert 0 <= values["drift"] < 1 and values["safe_mode"] == 0.0  # a feature that was never known is not watched
