"""What the strategies' tests share: a chain of any expiries at one volatility, features, and small helpers."""

from dataclasses import replace
from datetime import UTC, date, datetime, time

import numpy as np
from hypothesis import strategies as st

from quanticity.analytics.pricing import black_scholes_price, greeks, implied_vol
from quanticity.core.clock import NEW_YORK, expiry_close
from quanticity.core.reasons import Reason
from quanticity.core.types import Features, Proposal, Skip
from quanticity.market.chain import Contracts, OptionChain, nanoseconds

SECOND, DAY = 1_000_000_000, 86_400_000_000_000
EPOCH = date(1970, 1, 1)
LISTED = ("strike", "expiry_day", "expires_at", "is_call", "multiplier")
COLUMNS = ("bid", "ask", "bid_size", "ask_size", "quote_time", "volume", "open_interest", "prior_volatility")


def new_york(day: date, hour: int, minute: int = 0) -> datetime:
    """A moment of New York's clock, in UTC."""
    return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)


def make_chain(now: datetime, expiries, strikes, spot=750.0, volatility=0.35, half_spread=0.05, root="GOOG", open_interest=None, age=30.0) -> OptionChain:
    """Calls and puts of each expiry (dates) and strike, quoted in cents around their value. `open_interest` is a function of strike and whether it is a call."""
    grid = [(d, k, c) for d in expiries for k in strikes for c in (True, False)]
    day = np.array([(d - EPOCH).days for d, _, _ in grid], np.int64)
    strike, call = np.array([float(k) for _, k, _ in grid]), np.array([c for _, _, c in grid])
    ends = {d: nanoseconds(expiry_close(d, root)) for d in expiries}
    listed = Contracts(root, root, strike, day, np.array([ends[d] for d, _, _ in grid], np.int64), call, np.full(len(grid), 100.0))
    ts, n = nanoseconds(now), len(grid)
    held = np.full(n, 100.0) if open_interest is None else np.array([float(open_interest(k, c)) for _, k, c in grid])
    value = black_scholes_price(spot, strike, np.maximum((listed.expires_at - ts) / (365 * DAY), 1e-9), 0.02, 0.0, volatility, call)
    bid, ask = np.maximum(np.floor(100 * (value - half_spread)) / 100, 0.0), np.ceil(100 * (value + half_spread)) / 100
    return OptionChain(60, ts, listed, spot, "quote", 0.02, 0.0, np.where(bid > 0, bid, np.nan), ask, np.full(n, 10.0), np.full(n, 10.0),
                       np.full(n, ts - round(age * SECOND)), np.zeros(n), held, np.full(n, np.nan))


def seen(now: datetime, values, missing=None, symbol="GOOG", qualities=None, **changed) -> Features:
    """Features with some values changed, or taken out where None."""
    return Features(symbol, now, f"chain:{symbol}:1", {k: v for k, v in (dict(values) | changed).items() if v is not None}, {}, missing or {}, {}, qualities or {})


def only(answer) -> Proposal:
    assert isinstance(answer, tuple) and len(answer) == 1, answer
    p = answer[0]
    assert 0 < p.stop_price < p.limit_price < p.target_price and 0 <= p.confidence <= 1 and all(0 <= v <= 1 for v in p.parts.values())
    assert p.ts < p.exit_at <= p.contract.expires_at and p.rationale and p.trail_amount != 0
    return p


def skipped(answer, reason: Reason) -> str:
    """The detail of a Skip for a reason."""
    assert isinstance(answer, Skip) and answer.reason is reason and answer.detail, answer
    return answer.detail


def row_of(c: OptionChain, contract) -> int:
    return c.contracts.occ().index(contract.occ)


def delta_of(c: OptionChain, row: int) -> float:
    """The row's absolute delta, by its own mid."""
    at = np.array([row])
    listed, years = c.contracts, c.years[at]
    vol, _ = implied_vol(c.mid[at], c.spot, listed.strike[at], years, c.rate, c.dividend, listed.is_call[at])
    return abs(float(greeks(c.spot, listed.strike[at], years, c.rate, c.dividend, vol, listed.is_call[at]).delta[0]))


def in_order(c: OptionChain, order) -> OptionChain:
    """The chain with its rows in another order."""
    order = np.array(order)
    return replace(c, contracts=replace(c.contracts, **{n: getattr(c.contracts, n)[order] for n in LISTED}), **{n: getattr(c, n)[order] for n in COLUMNS})


def with_cell(c: OptionChain, column: str, row: int, value: float) -> OptionChain:
    """The chain with one number changed."""
    changed = getattr(c, column).copy()
    changed[row] = value
    return replace(c, **{column: changed})


def holes(c: OptionChain):
    """Hypothesis: the chain with NaNs, zeros and crossed quotes strewn into its columns."""
    n = len(c)
    wrong = st.lists(st.tuples(st.sampled_from(("bid", "ask", "bid_size", "ask_size", "open_interest", "quote_time")), st.integers(0, n - 1),
                               st.sampled_from([np.nan, 0.0, 0.01, 99.0])), max_size=3 * n)

    def strewn(cells) -> OptionChain:
        columns = {name: getattr(c, name).copy() for name in COLUMNS}
        for name, row, value in cells:
            columns[name][row] = 0 if name == "quote_time" else value
        return replace(c, **columns)

    return wrong.map(strewn)
