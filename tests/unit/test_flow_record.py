"""analytics.flow_record: what was traded up to a moment, with a reason for every gap."""

import math
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from quanticity.analytics.flow_record import flow_record
from quanticity.analytics.snapshot import follow, session_flow, whole_snapshot
from quanticity.analytics.unusual_activity import UnusualParameters
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.market.chain import nanoseconds

OPENS, CLOSES = (nanoseconds(datetime(2015, 12, 24, *at, tzinfo=UTC)) for at in ((14, 30), (18, 0)))


@pytest.fixture(scope="module")
def session():
    return simulate_session(7, date(2015, 12, 24), "SIM", SimulatorParameters(strikes=12, expiries=3))


def gaps(record: Any, path: str = "") -> list[str]:
    if isinstance(record, dict):
        return [f"{path}.{k}" for k, v in record.items() if v is None and k not in record.get("missing", {})] + [g for k, v in record.items() for g in gaps(v, f"{path}.{k}")]
    if isinstance(record, list):
        return [g for i, v in enumerate(record) for g in gaps(v, f"{path}[{i}]")]
    return [path] if isinstance(record, float) and not math.isfinite(record) else []


def record_at(session, at, parameters=None):
    chain, state = follow(session, at)
    signed = session_flow(session, at)
    return flow_record(session, signed, whole_snapshot(chain, signed, state).naive, parameters)


@pytest.mark.parametrize("at", [OPENS - 1, OPENS, OPENS + 60 * 10**9, OPENS + 3_600 * 10**9, CLOSES - 1, CLOSES])
def test_no_gap_without_a_reason_at_any_time(session, at):
    assert gaps(record_at(session, at)) == []


def test_the_sums_are_those_of_the_tape(session):
    record, trades = record_at(session, CLOSES), session.trades
    dollars = (trades.size * trades.price * session.contracts.multiplier[trades.index]).sum()
    assert record["trades"] == len(trades) and record["volume"] == trades.size.sum() and record["premium"]["gross"] == pytest.approx(dollars)
    assert record["premium"]["bullish"] == pytest.approx(record["premium"]["calls"] - record["premium"]["puts"])
    parts = record["participants"]
    assert parts["institutional"]["share"] + parts["retail"]["share"] == pytest.approx(1.0)
    assert parts["institutional"]["trades"] + parts["retail"]["trades"] == pytest.approx(len(trades))
    assert 0.0 < record["vpin"]["value"] < 1.0 and record["vpin"]["buckets"] in (49, 50)


def test_what_is_known_later_does_not_change_what_was(session):
    at = OPENS + 3_600 * 10**9
    early, late = record_at(session, at), record_at(session, CLOSES)
    assert early["trades"] == np.count_nonzero(session.trades.ts <= at) < late["trades"]
    assert all(u["ts"] <= "2015-12-24T15:30:00Z" for u in early["unusual"]["largest"])


def test_the_largest_come_first_and_thresholds_are_the_callers(session):
    found = record_at(session, CLOSES)["unusual"]
    premiums = [u["premium"] for u in found["largest"] if u["premium"] is not None]
    assert premiums == sorted(premiums, reverse=True) and len(found["largest"]) <= 10 <= sum(found["counts"].values())
    none = record_at(session, CLOSES, UnusualParameters(volume_to_interest=1e9, score=1e9, sweep_premium=1e12, block_size=1e9, block_premium=1e12))["unusual"]
    assert sum(none["counts"].values()) == 0 and none["largest"] == []
