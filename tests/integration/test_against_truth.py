"""Calculators that guess what nobody prints, held against simulated days that nothing was fitted on."""

from datetime import date

import numpy as np
import pytest

from quanticity.analytics.flow_clusters import clusters_from_json, clusters_to_json, update_clusters
from quanticity.analytics.participants import DEFAULT_MODEL, participant_odds
from quanticity.analytics.trade_signs import SignRule
from quanticity.core.errors import DataError
from quanticity.feeds.simulator import sessions_from, simulate
from quanticity.research.participants import as_code, brier_score, fit_participants, fit_together, flow_errors, labelled_day, reliability, together_errors
from quanticity.research.truth_scores import cluster_score, dealer_scores, gaussian_flow, kinded_flow, sign_scores, stream_labels

DAY = date(2026, 3, 20)
SEEDS = (501, 502, 503, 504, 505, 506)


@pytest.fixture(scope="module")
def days():
    return [d for seed in SEEDS for d in simulate(seed, [DAY])]


@pytest.fixture(scope="module")
def labelled(days):
    return [labelled_day(d.session, d.truth) for d in days]


@pytest.fixture(scope="module")
def tick_day():
    (d,) = simulate(511, [DAY], step_seconds=1.0)
    return d


def test_rules_of_signing_keep_their_order_in_minutes_and_ticks(days, tick_day):
    for d in (days[0], days[1], tick_day):
        scores = sign_scores(d.session, d.truth)
        right = [scores[rule].right for rule in (SignRule.QUOTE, SignRule.LEE_READY, SignRule.TICK)]
        assert right == sorted(right, reverse=True), right
        assert right[0] > 0.7 and right[2] > 0.5
        for a in scores.values():
            assert sum(map(sum, a.matrix)) == (d.truth.trades.initiator != 0).sum()


def test_participant_odds_are_better_than_the_base_rate(labelled, tick_day):
    for d in (*labelled, labelled_day(tick_day.session, tick_day.truth)):
        odds = participant_odds(d.features)
        score, base = brier_score(odds.institutional, d.institutional)
        assert score < 0.7 * base, (score, base)
        score, base = brier_score(odds.buy, d.side > 0)
        assert score < 0.7 * base, (score, base)


def test_participant_odds_are_calibrated(labelled):
    odds = participant_odds(np.concatenate([d.features for d in labelled]))
    for p, y in ((odds.institutional, np.concatenate([d.institutional for d in labelled])), (odds.buy, np.concatenate([d.side for d in labelled]) > 0)):
        r = reliability(p, y)
        enough = r.count >= 500
        assert enough.sum() >= 8
        assert (np.abs(r.given - r.true)[enough] < 0.06).all(), np.round(r.given - r.true, 3)
        assert abs(p.mean() - y.mean()) < 0.03


def test_flows_lie_as_far_off_as_they_say(labelled):
    for kind, institutional in enumerate((True, False)):
        z = flow_errors(DEFAULT_MODEL, labelled, institutional).deviations(DEFAULT_MODEL.together[kind])
        assert len(z) == 13 * len(SEEDS)
        assert (np.abs(z.mean(axis=0)) < 0.45).all(), z.mean(axis=0)
        assert (z.std(axis=0) > 0.55).all() and (z.std(axis=0) < 1.5).all(), z.std(axis=0)
        assert np.mean(np.abs(z) < 2.0) > 0.88 and 0.5 < np.mean(np.abs(z) < 1.0) < 0.85


def test_errors_go_together_on_other_days_as_on_those_fitted(labelled):
    found, doubt = np.array(fit_together(DEFAULT_MODEL, labelled)), np.array(together_errors(DEFAULT_MODEL, labelled))
    assert (doubt > 0.0).all() and (doubt[0] < 0.8).all() and (doubt[1] < 0.2).all(), doubt
    assert (np.abs(found - DEFAULT_MODEL.together) < 4.0 * doubt).all(), (found, doubt)  # of six days: t of five degrees of freedom
    assert (np.array(DEFAULT_MODEL.together) < 0.97).all()  # not at the bound, where a fit on few days may end
    with pytest.raises(DataError, match="nothing of how days differ"):
        together_errors(DEFAULT_MODEL, labelled[:1])


def test_the_fit_comes_out_again_and_as_code(labelled):
    model = fit_participants(labelled[:2], "two days")
    assert model == fit_participants(labelled[:2], "two days")
    made: dict = {}
    exec("from quanticity.analytics.participants import *\n" + as_code(model), made)
    assert made["DEFAULT_MODEL"] == model and made["DEFAULT_MODEL"].trained_on == "two days"
    score, base = brier_score(participant_odds(labelled[2].features, model).institutional, labelled[2].institutional)
    assert score < 0.7 * base


def test_a_truth_of_another_session_is_refused(days):
    with pytest.raises(DataError, match="trades, the session"):
        labelled_day(days[0].session, days[1].truth)


def test_clusters_are_the_oracles_on_clouds():
    for seed in (5, 6):
        values, kinds = gaussian_flow(seed, 60_000)
        _, labels = stream_labels(values, 6, features=tuple("abcdefgh"))
        score = cluster_score(values, kinds, labels)
        assert score.oracle > 0.9 and score.clusters >= 0.98 * score.oracle, score


def test_clusters_are_the_oracles_on_separated_flow_and_not_worse_on_overlapping(days):
    for side_known in (True, False):
        parts = [kinded_flow(d.session, d.truth, side_known) for d in days[:2]]
        values, kinds, separate = (np.concatenate([getattr(p, name) for p in parts]) for name in ("values", "kind", "separate"))
        _, labels = stream_labels(values[separate], 3)
        score = cluster_score(values[separate], kinds[separate], labels)
        assert score.oracle > (0.95 if side_known else 0.45) and score.clusters >= 0.98 * score.oracle, score
        _, labels = stream_labels(values, 4)
        score = cluster_score(values, kinds, labels)
        assert score.clusters >= 0.9 * score.oracle > 0.05, score


def test_clusters_survive_a_restart_in_the_middle_of_a_day(days):
    values = kinded_flow(days[0].session, days[0].truth).values
    clusters, straight = stream_labels(values, 4)
    assert sorted(clusters.names) == ["hedging", "momentum", "reversion", "unnamed"]
    again = clusters_from_json(clusters_to_json(clusters))
    a, b = update_clusters(clusters, values[:5000]), update_clusters(again, values[:5000])
    assert clusters_to_json(a[0]) == clusters_to_json(b[0]) and a[1].tolist() == b[1].tolist()
    assert (a[1] == straight[:5000]).mean() > 0.95  # a day later a print still has the label that it had


def test_the_flow_signed_position_is_nearer_to_the_truth_than_the_naive_one():
    for seed in (521, 522):
        scores = dealer_scores(simulate(seed, sessions_from(date(2026, 3, 16), 4)))
        later = scores[1:]
        for s in later:
            assert s.rank > s.naive_rank + 0.02 and s.rank > 0.8, s
            assert s.within_two > 0.9 and s.spread < 2.0, s
        error, naive, scaled = (sum(getattr(s, name) for s in later) for name in ("error", "naive_error", "scaled_error"))
        assert error < 0.65 * naive and error < 0.9 * scaled  # even than the naive one times its best factor
