"""market.chain_quality: between 0 and 1, and without a warning, whatever the numbers."""

import warnings
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from quanticity.analytics.snapshot import follow
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.market.chain_quality import chain_quality


@pytest.fixture(scope="module")
def chain():
    made, _ = follow(simulate_session(7, date(2015, 12, 24), "SIM", SimulatorParameters(strikes=10, expiries=2)))
    return replace(made, ts=made.ts - 3_600 * 10**9)


def test_a_sound_chain_scores_high(chain):
    assert chain_quality(chain).total > 0.8


def test_garbage_is_scored_without_a_warning(chain):
    random, bad = np.random.default_rng(3), np.array([np.inf, -np.inf, np.nan, 3e38, -3e38, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(200):
            spoilt = {}
            for name in ("bid", "ask", "bid_size", "ask_size"):
                column = getattr(chain, name).copy()
                rows = random.random(len(column)) < random.choice([0.05, 0.5])
                column[rows] = random.choice(bad, int(rows.sum()))
                spoilt[name] = column
            score = chain_quality(replace(chain, **spoilt, spot=float(random.choice([chain.spot, 0.0, -1.0, np.inf, np.nan]))))
            assert 0.0 <= score.total <= 1.0 and all(v != v or 0.0 <= v <= 1.0 for v in score.parts.values())


def test_an_infinite_ask_is_no_quote(chain):
    spoilt = chain_quality(replace(chain, ask=np.where(np.arange(len(chain)) % 2, np.inf, chain.ask)))
    assert spoilt.parts["two_sided"] < 0.75 * chain_quality(chain).parts["two_sided"]
