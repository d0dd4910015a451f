"""What the guards are worth: 1,000 sweeps of 50 random strategies on fair markets, and a planted edge over many seeds.

`python tests/benchmarks/guards.py` prints it (some fifteen minutes); the suite runs smaller versions (tests/unit/test_significance.py, test_planted_edge.py). The figures in docs/guides/guards.md are from here.
"""

import argparse
import time

import numpy as np


def noise(sweeps: int, trials: int, days: int) -> None:
    """Random strategies on fair markets: how many sweeps' best is called significant."""
    from quanticity.research.random_strategies import FAMILIES, noise_study

    print(f"{sweeps:,} sweeps of {trials} random strategies over {days} days of a fair market; the best of each called significant at 5%:")
    for family in FAMILIES:
        started = time.perf_counter()
        study = noise_study(family, sweeps, trials, days)
        shares = ", ".join(f"{name} {share:.1%}" for name, share in study.called().items())
        print(f"  {family:<8} {shares}; best annual Sharpe ratio {np.median(study.sharpe) * 252**0.5:.2f} in the middle   ({time.perf_counter() - started:.0f} s)", flush=True)


def whole(sweeps: int, trials: int, days: int) -> None:
    """The same sweeps through `judge`, which asks every guard but those of trades and costs (each day counts as a trade of its own, without costs)."""
    from quanticity.research.guards import best_trial, judge
    from quanticity.research.random_strategies import FAMILIES, profits_of
    from quanticity.research.significance import sharpe_ratio

    for family in FAMILIES:
        started, passed = time.perf_counter(), 0
        for number in range(sweeps):
            profits = profits_of(family, 1_000_000 + number, trials, days)
            ratios = [sharpe_ratio(column).value for column in profits.T]
            passed += judge(profits, best_trial(profits), trials, float(np.nanvar(ratios, ddof=1)), np.arange(days), np.arange(days)).passed
        print(f"  {family:<8} pass deflation, overfitting, walk-forward, purged paths and losses: {passed / sweeps:.1%}   ({time.perf_counter() - started:.0f} s)", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--days", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=100)
    arguments = parser.parse_args()
    noise(arguments.sweeps, arguments.trials, arguments.days)
    whole(arguments.sweeps, arguments.trials, arguments.days)
    from quanticity.research.planted_edge import edge_study

    for name, size in (("planted", 3e-5), ("fair", 0.0)):
        started = time.perf_counter()
        study = edge_study(size, seeds=arguments.seeds)
        print(f"  {name:<8} {study}   ({time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
