import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.flow_clusters import (FLOW_FEATURES, UNNAMED, FlowClusters, cluster_drift, cluster_names, clusters_from_json, clusters_to_json, flow_features,
                                                flow_labels, match_labels, recent_move, reseed_clusters, seed_clusters, turnover, update_clusters)
from quanticity.analytics.participants import ParticipantOdds
from quanticity.core.errors import DataError
from quanticity.core.reasons import Reason
from quanticity.market.tape import Trades

CORNERS = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])


def flow(seed: int, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    kind = rng.choice(4, rows, p=(0.4, 0.3, 0.2, 0.1))
    return np.hstack((CORNERS[kind] + 0.15 * rng.standard_normal((rows, 2)), 0.1 * rng.standard_normal((rows, 6)))), kind


VALUES, KIND = flow(1)
CLUSTERS = seed_clusters(VALUES)


def same(a: FlowClusters, b: FlowClusters) -> bool:
    return clusters_to_json(a) == clusters_to_json(b)


def test_the_four_reasons_are_found_and_named():
    assert sorted(CLUSTERS.names) == ["hedging", "momentum", "reversion", "unnamed"]
    labels = flow_labels(CLUSTERS, VALUES)
    for name, corner in (("momentum", 0), ("reversion", 1), ("hedging", 2), ("unnamed", 3)):
        (label,) = CLUSTERS.of(name)
        assert (KIND[labels == label] == corner).mean() > 0.999
    np.testing.assert_allclose(CLUSTERS.share.sum(), 1.0)


def test_the_same_seed_and_rows_give_the_same_bytes():
    assert same(seed_clusters(VALUES), CLUSTERS)


@settings(max_examples=30)
@given(st.integers(0, 100), st.lists(st.integers(0, 400), min_size=1, max_size=6))
def test_labels_stay_through_any_batches_and_a_restart_between_them(seed, sizes):
    values, kind = flow(seed, sum(sizes) + 1)
    straight = broken = replace(CLUSTERS, memory=500.0)
    start = 0
    for size in sizes:
        batch = values[start:start + size]
        straight, first = update_clusters(straight, batch)
        broken, second = update_clusters(clusters_from_json(clusters_to_json(broken)), batch)
        assert first.tolist() == second.tolist()
        start += size
    assert same(straight, broken) and straight.names == CLUSTERS.names
    assert straight.centres.tobytes() == broken.centres.tobytes()
    assert straight.seen == sum(sizes)
    np.testing.assert_array_equal(flow_labels(straight, CORNERS @ np.eye(2, 8)), flow_labels(CLUSTERS, CORNERS @ np.eye(2, 8)))


def test_an_update_is_what_partial_fit_computes():
    from sklearn.cluster import MiniBatchKMeans

    fresh = replace(CLUSTERS, weight=np.zeros(4), memory=np.inf)
    theirs = MiniBatchKMeans(4, init=CLUSTERS.centres, n_init=1, reassignment_ratio=0.0, random_state=0)
    for part in np.array_split(VALUES, 7):
        fresh, labels = update_clusters(fresh, part)
        theirs.partial_fit(part)
        np.testing.assert_allclose(fresh.centres, theirs.cluster_centers_, rtol=1e-9, atol=1e-12)
    assert flow_labels(fresh, VALUES).tolist() == theirs.predict(VALUES).tolist()


def test_an_update_leaves_what_it_was_given():
    before = clusters_to_json(CLUSTERS)
    update_clusters(CLUSTERS, VALUES)
    assert clusters_to_json(CLUSTERS) == before


def test_memory_lets_centres_follow():
    shifted = VALUES + np.array([0.3, 0, 0, 0, 0, 0, 0, 0])
    forgetful, elephant = replace(CLUSTERS, memory=1000.0), replace(CLUSTERS, memory=np.inf)
    for part in np.array_split(shifted, 20):
        forgetful, _ = update_clusters(forgetful, part)
        elephant, _ = update_clusters(elephant, part)
    assert np.abs(forgetful.centres - CLUSTERS.centres)[:, 0].min() > 0.25 > np.abs(elephant.centres - CLUSTERS.centres)[:, 0].max()
    np.testing.assert_allclose(forgetful.weight.sum(), 1000.0)
    np.testing.assert_allclose(forgetful.histograms.sum(), 1000.0 * 8)
    assert same(clusters_from_json(clusters_to_json(elephant)), elephant)


def test_histograms_hold_every_print_once_a_feature():
    after, labels = update_clusters(replace(CLUSTERS, memory=np.inf), VALUES[:777])
    np.testing.assert_array_equal(after.histograms.sum(axis=2)[:, 0] - CLUSTERS.histograms.sum(axis=2)[:, 0], np.bincount(labels, minlength=4))
    assert (after.histograms.sum(axis=2) == after.histograms.sum(axis=2)[:, :1]).all()


def test_seeding_anew_keeps_the_labels():
    again = reseed_clusters(CLUSTERS, flow(9)[0][::-1] + 0.1, seed=77)
    assert again.names == CLUSTERS.names and again.seen == CLUSTERS.seen
    assert (flow_labels(again, VALUES) == flow_labels(CLUSTERS, VALUES)).mean() > 0.99


@given(st.permutations(range(5)), st.integers(0, 100))
def test_matching_undoes_any_permutation(order, seed):
    centres = np.random.default_rng(seed).standard_normal((5, 3))
    matched = match_labels(centres, centres[list(order)])
    np.testing.assert_array_equal(centres[list(order)][matched], centres)


def test_names_need_a_margin():
    def named(x: float, y: float) -> str:
        return cluster_names(np.array([[x, y, 0, 0, 0, 0, 0, 0]]))[0]

    assert [named(0.9, 0), named(-0.9, 0), named(0, 0.9), named(0, -0.9)] == ["momentum", "reversion", "hedging", UNNAMED]
    assert named(0.3, 0) == UNNAMED and named(0.6, 0.5) == UNNAMED and named(0.6, 0.3) == "momentum"
    assert cluster_names(np.ones((2, 1)), ("size",)) == (UNNAMED, UNNAMED)


def test_what_cannot_be_placed_gets_no_label_and_moves_nothing():
    values = VALUES[:50].copy()
    values[::2, 3] = np.nan
    after, labels = update_clusters(CLUSTERS, values)
    assert (labels[::2] == -1).all() and (labels[1::2] >= 0).all() and (after.seen, after.left_out) == (25, 25)
    assert same(update_clusters(CLUSTERS, np.empty((0, 8)))[0], CLUSTERS)


def test_errors_are_said_in_one_line():
    with pytest.raises(DataError, match="wait for 200"):
        seed_clusters(VALUES[:199])
    with pytest.raises(DataError, match="seed fewer"), pytest.warns(Warning):
        seed_clusters(np.repeat(VALUES[:2], 200, axis=0))
    with pytest.raises(ValueError, match="expected 8 columns"):
        flow_labels(CLUSTERS, np.zeros((3, 7)))
    with pytest.raises(ValueError, match="k = 1"):
        seed_clusters(VALUES, 1)
    for raw in (b"", b"[]", b'{"version": 2}', b'{"version": 1, "names": []}', clusters_to_json(CLUSTERS).replace(b'"seen"', b'"sean"')):
        with pytest.raises(DataError, match="no flow clusters"):
            clusters_from_json(raw)


def test_drift_is_seen_and_standing_still_is_not():
    still = cluster_drift(update_clusters(CLUSTERS, flow(5)[0])[0])
    assert not still.alert and still.reason is None and still.shift.max() < 0.1 and still.share_change < 0.05 and all(still.named)
    turned = replace(CLUSTERS, memory=2000.0)
    for part in np.array_split(np.tile(VALUES[KIND == 0], (2, 1)), 4):
        turned, _ = update_clusters(turned, part)
    assert cluster_drift(turned).alert and cluster_drift(turned).share_change > 0.2
    moved = CLUSTERS
    for part in np.array_split(VALUES * np.array([0.3, 0.3, 1, 1, 1, 1, 1, 1]), 10):
        moved, _ = update_clusters(replace(moved, memory=500.0), part)
    gone = cluster_drift(moved)
    assert gone.alert and not all(gone.named) and moved.names == CLUSTERS.names
    assert set(gone.widest) <= set(FLOW_FEATURES)
    early = cluster_drift(CLUSTERS)
    assert early.reason is Reason.TOO_LITTLE_HISTORY and not early.alert and np.isnan(early.shift).all()


def looks(n: int, call: float = 1.0) -> np.ndarray:
    return np.tile([np.log(3), 5.0, 1.5, 1.0, call, 0.7, 0, 0, 0, 0, 0, 0], (n, 1))


def odds(buy: list[float]) -> ParticipantOdds:
    b = np.array(buy)
    return ParticipantOdds(b, np.where(np.isnan(b), np.nan, 0.5), b / 2, (1 - b) / 2)


@given(st.floats(0, 1), st.sampled_from([-1.0, 1.0]), st.floats(-3, 3))
def test_calls_and_puts_mirror_each_other(buy, call, move):
    a = flow_features(looks(1, call), odds([buy]), np.array([move]), np.array([1.0])).values
    b = flow_features(looks(1, -call), odds([buy]), np.array([-move]), np.array([1.0])).values
    np.testing.assert_allclose(a[:, 0], b[:, 0], atol=1e-12)  # a call after a rise is a put after a fall
    np.testing.assert_allclose(a[:, 1], -b[:, 1], atol=1e-12)  # but cover is against a fall only
    assert np.abs(a[0, :2]).sum() <= 1 + 1e-12


def test_reasons_for_what_cannot_be_placed():
    placed = flow_features(looks(3), odds([np.nan, 1.0, 1.0]), np.array([1.0, np.nan, 1.0]), np.array([1.0, 1.0, np.nan]))
    assert placed.left_out == {Reason.NOT_A_NUMBER: 1, Reason.NO_SPOT: 1}
    assert np.isnan(placed.values[:2]).all() and np.isfinite(placed.values[2]).all()


def test_turnover_and_moves():
    trades = Trades(np.array([0, 5, 9]), np.array([1, 0, 1]), np.ones(3), np.array([5.0, 7.0, 15.0]))
    assert turnover(trades, np.array([0.0, 10.0])).tolist() == [0.5, 7.0, 2.0]
    assert len(turnover(trades.rows(0, 0), np.array([1.0, 1.0]))) == 0
    from quanticity.feeds.simulator import simulate_session

    session = simulate_session(3)
    q = session.underlying_quotes
    mid = 0.5 * (q.bid + q.ask)
    move = recent_move(session, np.array([q.ts[0] - 1, q.ts[10], q.ts[100]]))
    assert np.isnan(move[0])
    np.testing.assert_allclose(move[1:], np.log([mid[10] / mid[0], mid[100] / mid[70]]) / (0.2 * np.sqrt(30 / (252 * 390))))


def test_importing_it_does_not_import_sklearn():
    code = "import quanticity.analytics.flow_clusters, quanticity.analytics.participants, quanticity.analytics.dealer_position, sys; print('sklearn' in sys.modules, 'scipy.optimize' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]
