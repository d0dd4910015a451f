"""analytics.snapshot: the chain of a session at a moment, everything about it with reasons for what is missing, indices over several roots."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from quanticity.analytics.chain_analytics import VolatilityState, analyse
from quanticity.analytics.exposure import Convention
from quanticity.analytics.snapshot import (
    CONVENTIONS, explained, flow_position, follow, index_records, joined, last_moment, session_flow, settlement_times, whole_snapshot)
from quanticity.core.reasons import Reason
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.market.chain import nanoseconds
from quanticity.market.session import ChainState, batches
from quanticity.market.tape import Published, Quotes, Trades, empty

DAY = date(2015, 12, 24)
NOON = nanoseconds(datetime(2015, 12, 24, 17, 0, tzinfo=UTC))
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def session():
    return simulate_session(7, DAY, "SIM", SimulatorParameters(strikes=10, expiries=4))


def gaps(record: Any, path: str = "") -> list[str]:
    if isinstance(record, dict):
        reasons = record.get("missing", {})
        bare = [f"{path}.{k}" for k, v in record.items() if v is None and k not in reasons and not (k == "expiry" and path.endswith("nearest"))]
        return bare + [g for k, v in record.items() for g in gaps(v, f"{path}.{k}")]
    if isinstance(record, list):
        return [g for i, v in enumerate(record) for g in gaps(v, f"{path}[{i}]")]
    return [path] if isinstance(record, float) and not math.isfinite(record) else []


@pytest.mark.parametrize("moment", [nanoseconds(datetime(2015, 12, 24, 14, 30, tzinfo=UTC)) - 1, nanoseconds(datetime(2015, 12, 24, 14, 30, tzinfo=UTC)),
                                    NOON, *(nanoseconds(datetime(2015, 12, 24, 18, 0, tzinfo=UTC)) - n for n in (60 * SECOND, SECOND, 1_000_000, 1_000, 1)), None])
def test_no_number_without_value_or_reason_to_the_last_nanosecond(session, moment):
    chain, state = follow(session, moment)
    record = whole_snapshot(chain, session_flow(session, moment), state).record
    assert gaps(record) == []
    assert sum(record["volatility_reasons"].values()) + record["with_volatility"] == record["contracts"]
    for c in record["conventions"].values():
        if "totals" in c:
            assert c["counted"] + sum(c["left_out"].values()) == record["contracts"]


def test_following_a_session_is_what_the_live_job_does(session):
    """Batch by batch with a state of one's own, as jobs.market and jobs.analytics do."""
    own, volatility, last = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend), VolatilityState(900.0), None
    for batch in batches(session):
        if batch.now > NOON:
            break
        own.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        last = own.snapshot(batch.now, *own.spot())
        volatility.update(last)
    chain, state = follow(session, NOON)
    for name in ("bid", "ask", "quote_time", "volume", "open_interest"):
        np.testing.assert_array_equal(getattr(chain, name), getattr(last, name))
    assert (chain.spot, chain.ts) == (last.spot, NOON)
    np.testing.assert_array_equal(state.volatility, volatility.volatility)
    assert whole_snapshot(chain, None, state).record["conventions"]["naive"]["totals"]["gex"] == analyse(last, volatility).exposure.total_gex


def test_the_moment_is_the_last_row_at_most_the_close(session):
    assert last_moment(session) == nanoseconds(session.closes)
    early = replace(session, quotes=session.quotes.rows(0, 100), trades=empty(Trades), underlying_bars=session.underlying_bars.rows(0, 1),
                    underlying_quotes=empty(Quotes), underlying_trades=empty(Trades))
    assert last_moment(early) == max(int(session.quotes.ts[99]), int(session.underlying_bars.ts[0]))
    bare = replace(early, quotes=empty(Quotes), underlying_bars=early.underlying_bars.rows(0, 0))
    assert last_moment(bare) == nanoseconds(session.opens) and gaps(whole_snapshot(follow(bare)[0]).record) == []


def test_a_vendors_volume_and_open_interest_count_where_there_is_no_other(session):
    n, nan = len(session.contracts), np.nan
    index = np.array([0, 1, 2])
    published = Published(np.full(3, NOON), index, np.full(3, nan), np.array([7.0, nan, 1e6]), np.array([50.0, 60.0, nan]), *(np.full(3, nan) for _ in range(6)))
    interest = np.full(n, nan)
    interest[1] = 11.0
    chain, _ = follow(replace(session, published=published, open_interest=interest), NOON)
    plain, _ = follow(session, NOON)
    assert chain.open_interest[:3].tolist()[:2] == [50.0, 11.0] and np.isnan(chain.open_interest[2])
    assert chain.volume[0] == max(7.0, plain.volume[0]) and chain.volume[1] == plain.volume[1] and chain.volume[2] == 1e6
    before, _ = follow(replace(session, published=published, open_interest=interest), NOON - SECOND)
    assert np.isnan(before.open_interest[0])


def test_without_an_underlying_parity_gives_the_spot(session):
    chain, _ = follow(replace(session, underlying_bars=session.underlying_bars.rows(0, 0), underlying_quotes=empty(Quotes)), NOON)
    true, _ = follow(session, NOON)
    assert chain.spot_source == "parity" and chain.spot == pytest.approx(true.spot, rel=0.002)


def test_dealers_gain_what_customers_sell(session):
    flow = session_flow(session, NOON)
    position = flow_position(flow, len(session.contracts))
    one = int(flow.trades.index[0])
    mine = flow.trades.index == one
    assert position[one] == pytest.approx(-float(np.sum(flow.expected_sign[mine] * flow.trades.size[mine])))
    whole = whole_snapshot(follow(session, NOON)[0], flow)
    assert list(whole.by_convention) == list(CONVENTIONS) and whole.by_convention[Convention.FLOW_SIGNED].exposure.convention is Convention.FLOW_SIGNED
    assert whole.naive is whole.by_convention[Convention.NAIVE]
    assert session_flow(session, nanoseconds(session.opens) - 1) is None


def test_what_has_no_reason_is_an_error_not_a_null():
    assert explained({"a": 1, "b": float("-inf")}, {}, Reason.NO_SPOT) == {"a": 1.0, "b": None, "missing": {"b": "no_spot"}}
    with pytest.raises(ValueError, match="b is nan and has no reason"):
        explained({"b": math.nan}, {"a": Reason.NO_SPOT})


def test_records_by_strike_split_calls_and_puts(session):
    record = whole_snapshot(*follow(session, NOON)[:1]).record
    for by in ("by_strike", "by_expiry"):
        for g in record["conventions"]["naive"][by]:
            assert g["call_gex"] >= 0 >= g["put_gex"] and g["call_gex"] + g["put_gex"] == pytest.approx(g["gex"], abs=1e-6)
        assert sum(g["counted"] for g in record["conventions"]["naive"][by]) == record["conventions"]["naive"]["counted"]


def test_roots_of_one_underlying_are_joined_for_an_index():
    day = date(2026, 11, 20)
    parameters = SimulatorParameters(spot=6_700.0, strike_step=25.0, strikes=40, expiries=6)
    spxw = follow(simulate_session(3, day, "SPXW", parameters, 600.0), nanoseconds(datetime(2026, 11, 20, 19, 0, tzinfo=UTC)))[0]
    weekly, standard = spxw, replace(spxw, contracts=replace(spxw.contracts, symbol="SPX"))
    both = joined([weekly, standard])
    assert (both.symbol, len(both)) == ("SPX", len(standard))  # every day is listed by both: the first root's counts
    half = spxw.contracts.expiry_day <= np.median(spxw.contracts.expiry_day)
    part = replace(standard, contracts=replace(standard.contracts, **{n: getattr(standard.contracts, n)[half] for n in ("strike", "expiry_day", "expires_at", "is_call", "multiplier")}),
                   **{n: getattr(standard, n)[half] for n in ("bid", "ask", "bid_size", "ask_size", "quote_time", "volume", "open_interest", "prior_volatility")})
    assert len(joined([weekly, part])) == len(weekly) and index_records(joined([weekly, part])) == index_records(joined([part, weekly]))
    with pytest.raises(ValueError, match="several underlyings or moments"):
        joined([weekly, replace(part, ts=part.ts + 1)])


def test_those_that_stop_trading_the_evening_before_settle_at_the_open(session):
    settles = settlement_times(session.contracts)
    np.testing.assert_array_equal(settles, session.contracts.expires_at)
    evening = replace(session.contracts, symbol="SPX", expires_at=session.contracts.expires_at - 86_400 * SECOND)
    opened = settlement_times(evening)
    assert all(f"{datetime.fromtimestamp(t / 1e9, UTC):%H:%M}" == "14:30" for t in np.unique(opened).tolist()) and (opened > evening.expires_at).all()
