"""Significance against the papers' worked examples, mpmath and simulation; and the guards on markets where nothing can be earned."""

import math
from itertools import combinations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from quanticity.core.errors import UserError
from quanticity.research.guards import best_trial, chosen_returns, judge, path_sharpes
from quanticity.research.random_strategies import FAMILIES, fair_market, noise_study, option_profits, profits_of
from quanticity.research.significance import (
    SharpeRatio, annual_factor, block_length, bootstrap_interval, bootstrap_rows, deflated_sharpe_ratio, expected_maximum_sharpe, independent_trades, luck_variance,
    minimum_track_record, overfitting, probabilistic_sharpe_ratio, probability_of_overfitting, sharpe_ratio, too_few_losses, too_few_trades, wilson_interval)
from quanticity.research.validation import Labels, walk_forward


def test_the_worked_example_of_the_deflated_sharpe_ratio():
    """Bailey and Lopez de Prado 2014: N = 100, annual SR 2.5, T = 1250, skewness -3, kurtosis 10, variance 1/2 a year of 250 days."""
    best, variance = SharpeRatio(2.5 / math.sqrt(250), 1250, -3.0, 10.0), 0.5 / 250
    assert expected_maximum_sharpe(variance, 100) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe_ratio(best, 100, variance) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe_ratio(best, 46, variance) == pytest.approx(0.9505, abs=5e-5)
    assert deflated_sharpe_ratio(SharpeRatio(best.value, 1250), 88, variance) == pytest.approx(0.9505, abs=5e-5)


@pytest.mark.parametrize("trials, variance", [(2, 1.0), (10, 0.3), (1000, 4e-3)])
def test_expected_maximum_and_probabilities_against_mpmath(trials, variance):
    mp.mp.dps = 30
    quantile = lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1)
    expected = mp.sqrt(variance) * ((1 - mp.euler) * quantile(1 - mp.mpf(1) / trials) + mp.euler * quantile(1 - 1 / (trials * mp.e)))
    assert expected_maximum_sharpe(variance, trials) == pytest.approx(float(expected), rel=1e-13)
    found = SharpeRatio(0.13, 251, -1.5, 8.0)
    error = mp.sqrt((1 + mp.mpf("1.5") * mp.mpf("0.13") + mp.mpf(7) / 4 * mp.mpf("0.13") ** 2) / 250)
    assert found.standard_error == pytest.approx(float(error), rel=1e-14)
    assert deflated_sharpe_ratio(found, trials, variance) == pytest.approx(float(mp.ncdf((mp.mpf("0.13") - expected) / error)), rel=1e-12, abs=1e-300)


def test_the_standard_error_is_that_of_repeated_samples():
    random = np.random.default_rng(0)
    for draw in (lambda n: random.normal(0.1, 1, n), lambda n: 0.1 + (random.exponential(1, n) - 1)):
        samples = draw((4000, 250))
        ratios = [sharpe_ratio(x) for x in samples]
        assert np.std([r.value for r in ratios]) == pytest.approx(np.mean([r.standard_error for r in ratios]), rel=0.06)


def test_the_minimum_track_record_is_where_the_probability_is_reached():
    found = SharpeRatio(0.12, 10, -0.7, 5.0)
    n = math.ceil(minimum_track_record(found, 0.02))
    assert probabilistic_sharpe_ratio(SharpeRatio(0.12, n, -0.7, 5.0), 0.02) >= 0.95 > probabilistic_sharpe_ratio(SharpeRatio(0.12, n - 1, -0.7, 5.0), 0.02)
    assert minimum_track_record(found, 0.2) == math.inf


def test_lo_factor_of_an_autoregression():
    x = lfilter([1], [1, -0.4], np.random.default_rng(1).normal(size=200_000))
    rho = 0.4 ** np.arange(1, 6)
    assert annual_factor(x) == pytest.approx(252 / math.sqrt(252 + 2 * np.sum((252 - np.arange(1, 6)) * rho)), rel=0.01)


def test_degenerate_returns():
    assert math.isnan(sharpe_ratio([]).value) and math.isnan(sharpe_ratio([0.1, 0.1, 0.1]).value) and sharpe_ratio([0, 0, 0]).value == 0.0
    assert math.isnan(probabilistic_sharpe_ratio([0.1])) and expected_maximum_sharpe(1.0, 1) == 0.0 and luck_variance(0.5, 101) == 0.01
    for call in (lambda: sharpe_ratio([0.1, math.inf]), lambda: sharpe_ratio([[0.1]]), lambda: expected_maximum_sharpe(math.nan, 3), lambda: expected_maximum_sharpe(1.0, 0)):
        with pytest.raises(UserError):
            call()


def test_overfitting_against_the_definition_and_ties():
    random = np.random.default_rng(4)
    matrix = np.round(random.normal(size=(35, 5)), 1)
    edges = np.linspace(0, 35, 7).round().astype(int)
    blocks = [matrix[a:b] for a, b in zip(edges, edges[1:])]
    expected = []
    for half in combinations(range(6), 3):
        inside, outside = (np.concatenate([b for i, b in enumerate(blocks) if (i in half) == side]) for side in (True, False))
        ratio = lambda x: x.mean(axis=0) / x.std(axis=0)
        share = stats.rankdata(np.round(ratio(outside), 12))[np.argmax(ratio(inside))] / 6
        expected.append(math.log(share / (1 - share)))
    assert overfitting(matrix, 6).logits == pytest.approx(np.array(expected))
    assert probability_of_overfitting(np.repeat(matrix[:, :1], 4, axis=1), 6) == 1.0  # all alike: the best is the very middle


def test_overfitting_of_noise_is_a_coin_and_skill_is_not():
    random = np.random.default_rng(5)
    found = [probability_of_overfitting(random.normal(size=(160, 20)), 8) for _ in range(40)]
    assert 0.35 < np.mean(found) < 0.65
    skilled = random.normal(size=(160, 20))
    skilled[:, 3] += 1.0
    assert probability_of_overfitting(skilled, 8) < 0.02


def test_the_stationary_bootstrap():
    rows = bootstrap_rows(50, 20_000, 5.0, 3)
    assert rows.min() == 0 and rows.max() == 49
    assert np.bincount(rows.ravel()) == pytest.approx(20_000, rel=0.06)  # every day is as likely
    runs = np.mean((np.diff(rows, axis=1) % 50) == 1)
    assert runs == pytest.approx(0.8 + 0.2 / 50, abs=0.003)
    x = np.random.default_rng(6).normal(1.0, 2.0, 400)
    low, high = bootstrap_interval(x, seed=1, block=1.0, draws=4000)
    assert (low, high) == pytest.approx((x.mean() - 1.96 * x.std() / 20, x.mean() + 1.96 * x.std() / 20), abs=0.02)
    assert bootstrap_interval(x, lambda v: float(v.mean()), seed=1, block=1.0, draws=4000) == pytest.approx((low, high), abs=1e-12)
    assert block_length(np.random.default_rng(7).normal(size=1000)) < 4 < block_length(lfilter([1], [1, -0.9], np.random.default_rng(7).normal(size=1000)))
    with pytest.raises(UserError):
        bootstrap_interval(x, level=1.0)


def test_independent_trades_and_warnings():
    random = np.random.default_rng(8)
    for _ in range(60):
        start = random.integers(0, 12, 7)
        end = start + random.integers(0, 6, 7)
        most = max(len(c) for size in range(8) for c in combinations(range(7), size)
                   if all(end[a] <= start[b] or end[b] <= start[a] for a, b in combinations(c, 2)))
        assert independent_trades(start, end) == most
        names = random.choice(["GOOG", "SPX"], 7).tolist()
        assert independent_trades(start, end, names) == sum(independent_trades(*(np.array([x for x, n in zip(column, names) if n == name]) for column in (start, end))) for name in ("GOOG", "SPX"))
    assert too_few_trades(29) and not too_few_trades(30) and too_few_losses([1.0] * 200) and not too_few_losses([1.0, -1.0] * 10)


# ---- the guards on markets without anything to earn -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_random_strategies_on_a_fair_market_are_hardly_ever_called_significant(family):
    """A smaller version of tests/benchmarks/guards.py (1,000 sweeps). At a true rate of 5% more than 10 of 80 have a probability below 0.2%."""
    study = noise_study(family, sweeps=80, seed=9)
    called = study.called()
    assert called["guarded"] <= 10 / 80
    assert called["alone"] > {"timing": 0.4, "grid": 0.08, "options": 0.5}[family]  # without guards most of them would pass


def test_without_the_number_of_losses_sellers_of_options_pass():
    study = noise_study("options", sweeps=80, seed=9)
    assert study.called()["deflated"] > 0.1 >= study.called()["guarded"] + 0.05


def test_the_markets_are_fair():
    market = fair_market(11, 20_000)
    for x in (market.night, market.bars.ravel()):
        gain = np.expm1(x)
        assert abs(gain.mean()) < 4 * gain.std() / math.sqrt(len(gain))
    profits = option_profits(np.random.default_rng(3), market, 40)
    profits = profits[:, profits.std(axis=0) > 0]  # some rules never trade
    worst = np.abs(profits.mean(axis=0)) / (profits.std(axis=0) / math.sqrt(len(profits)))
    assert np.median(worst) < 1.2 and np.mean(worst > 3) <= 0.1


def test_the_whole_judgement_of_noise_and_of_skill():
    profits = profits_of("timing", 5, 50, 250)
    ratios = [sharpe_ratio(x).value for x in profits.T]
    best = best_trial(profits)
    found = judge(profits, best, 50, float(np.var(ratios, ddof=1)), np.arange(100), np.arange(100) + 1)
    assert not found.passed and found.probabilistic > found.deflated
    skilled = profits.copy()
    skilled[:, 7] += 0.4 * profits.std()
    ratios = [sharpe_ratio(x).value for x in skilled.T]
    found = judge(skilled, best_trial(skilled), 50, float(np.var(ratios, ddof=1)), np.arange(100), np.arange(100) + 1, profit=3.0, costs=1.0)
    assert best_trial(skilled) == 7 and best_trial([[-3.0, 5.0, 9.0]]) == 2 and best_trial([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]) == 2 and found.passed and not found.warnings and found.overfitting < 0.1 and found.walk_forward.value > 0.2
    assert found.record()["passed"] is True and found.lines()[-1] == ("verdict", "passes every guard")


@pytest.mark.parametrize("change, words", [
    (dict(trials=10**7), "not significant after 10,000,000 trials"), (dict(trade_starts=np.zeros(90), trade_ends=np.ones(90)), "independent trade"),
    (dict(profit=1.0, costs=10.0), "gone at 1.1 times"), (dict(profit=-1.0, costs=10.0), "loses after costs")])
def test_each_guard_can_fail_alone(change, words):
    random = np.random.default_rng(12)
    matrix = random.normal(size=(250, 30))
    matrix[:, 4] += 0.35
    given = dict(trials=30, trade_starts=np.arange(90), trade_ends=np.arange(90)) | change
    found = judge(matrix, 4, variance=1 / 250, **given)
    assert len(found.warnings) == 1 and words in found.warnings[0] and not found.passed


def test_guards_of_overfitting_and_of_losses_and_of_the_past():
    random = np.random.default_rng(13)
    noise = random.normal(size=(250, 30))
    assert any("overfitted" in w for seed in range(6) for w in judge(np.random.default_rng(seed).normal(size=(120, 30)), 0, 30, 0.01).warnings)
    never = np.abs(noise[:, :1])
    assert any("0 losing periods" in w for w in judge(never, 0, 1, 0.0).warnings)
    fading = noise[:60, :4] * 0.1
    fading[:, 1] += np.linspace(0.5, -0.5, 60)
    assert any("walked forward" in w for w in judge(fading, 1, 4, 0.01).warnings)


def test_the_choice_uses_the_training_rows_only():
    days, matrix = Labels(np.arange(40), np.arange(40)), np.random.default_rng(14).normal(size=(40, 6))
    changed = matrix.copy()
    for split, one in zip(walk_forward(days, 3), chosen_returns(matrix, walk_forward(days, 3))):
        best = best_trial(matrix[split.train])
        assert one.tolist() == matrix[split.test, best].tolist()
        changed[split.test] = 0
    assert np.isfinite(path_sharpes(matrix, days, embargo=2)).all()


# -- few data ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "count", "low", "high"), [(0, 2, 0.0, 0.6576), (2, 2, 0.3424, 1.0), (30, 60, 0.3774, 0.6226), (1, 10, 0.0179, 0.4042)])
def test_wilsons_interval_of_a_share(successes, count, low, high):
    assert wilson_interval(successes, count) == pytest.approx((low, high), abs=1e-4)


def test_of_a_few_periods_or_of_no_trade_the_guards_say_no_probability():
    three = judge(np.array([[20.0], [31.0], [25.0]]), 0, 1, 0.0)
    told = dict(three.lines())
    assert told["Sharpe ratio"].endswith("a period (3 periods), without an interval: fewer than 20 periods") and told["as the only trial"] == told["after all trials"] == "- (fewer than 20 periods)"
    assert three.record()["probabilistic"] is None and three.record()["interval"] == [None, None] and three.record()["unknown"] == "fewer than 20 periods" and not three.passed
    idle = judge(np.zeros((40, 2)), 0, 2, 0.0)
    assert dict(idle.lines())["Sharpe ratio"] == "none over 40 periods: nothing was traded, or no period differed from another" and idle.record()["sharpe"] is None and not idle.passed
    assert any("1 period: too few" in w for w in judge(np.array([[1.0, 2.0]]), 1, 2, 0.0).warnings)


@pytest.mark.parametrize("unit, rows", [("day", 1), ("day", 5), ("trade", 9), ("trade", 30), ("day", 250)])
def test_the_guards_speak_of_what_a_period_is(unit, rows):
    matrix = np.random.default_rng(15).normal(size=(rows, 4)) + 0.3
    found = judge(matrix, best_trial(matrix), 40, 0.01, np.arange(90), np.arange(90), profit=3.0, costs=1.0, unit=unit)
    said = " | ".join(text for line in found.lines() for text in line) + " ".join(found.warnings) + found.unknown
    assert "period" not in said and unit in said and found.record()["unit"] == unit
    assert f"({rows} {unit}{'s' * (rows > 1)})" in said or rows == 1 and f"none over 1 {unit}: it needs at least 2" in said
    for profit, words in ((-30.0, "it loses without costs, too"), (-4.0, "the profit is gone at 0.6 times the costs"), (40.0, "the profit is gone at 5.0 times the costs")):
        assert dict(judge(matrix, 0, 1, 0.0, profit=profit, costs=10.0).lines())["costs"] == words
    assert "losing trade" in too_few_losses([1.0], unit="trade") and "1 losing day:" in too_few_losses([-1.0], unit="day")
