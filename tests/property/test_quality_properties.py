"""The door's laws: it does not matter how a session is cut into batches, the future changes nothing, and what was accepted is accepted again."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.reasons import Reason
from quanticity.feeds.sim_faults import Fault, plant
from quanticity.feeds.sim_parameters import SimulatorParameters
from quanticity.feeds.simulator import simulate_session
from quanticity.market.chain import Contracts, nanoseconds
from quanticity.market.findings import Findings, join_findings
from quanticity.market.quality import Door, screen_session
from quanticity.market.session import Batch, MarketSession
from quanticity.market.tape import Bars, Imbalances, Quotes, Trades, empty

MINUTE = 60_000_000_000
HALF_DAY = date(2026, 11, 27)
ONE_ROW = ("crossed", "zero_bid", "infinite", "size_nan", "unknown_contract", "above_bound", "below_intrinsic", "jump_up", "jump_down", "duplicate", "behind", "ahead", "before_open",
           "after_close", "trade_off_quote", "trade_zero", "trade_duplicate", "trade_behind", "bar_jump", "bar_spike", "bar_duplicate", "underlying_jump", "wrong_multiplier")


@lru_cache
def sound(seed: int) -> MarketSession:
    return simulate_session(seed, HALF_DAY, "SIM", SimulatorParameters(strikes=12, strike_step=5.0, volatility=0.3))


def arrivals(ts: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """When each row of a tape arrived: the highest time so far, `odd` rows (whose times are wrong) not counted."""
    return np.maximum.accumulate(np.where(odd, np.iinfo(np.int64).min, ts)) if len(ts) else ts


def cut(session: MarketSession, cuts: list[int], odd: dict[str, np.ndarray]) -> list[Batch]:
    """The session in batches that end at `cuts` (nanoseconds UTC) and one with the rest. That they were taken at a known moment is not said."""
    tapes = session.tapes()
    when = {name: arrivals(tape.ts, odd.get(name, np.zeros(len(tape), bool))) for name, tape in tapes.items()}
    ends = [{name: int(np.searchsorted(t, c, side="right")) for name, t in when.items()} for c in sorted(cuts)] + [{name: len(tape) for name, tape in tapes.items()}]
    start = dict.fromkeys(tapes, 0)
    out = []
    for stop in ends:
        out.append(Batch(1 << 62, **{name: tape.rows(start[name], stop[name]) for name, tape in tapes.items()}))
        start = stop
    return out


def by_door(session: MarketSession, parts: list[Batch]) -> tuple[list[Batch], Findings]:
    door = Door(session.contracts, session.opens, session.closes, rate=session.rate, level_names=len(session.level_names))
    accepted, found = zip(*(door.screen(b) for b in parts), strict=True)
    return list(accepted), join_findings([*found, door.finish()])


def same(a: Findings, b: Findings) -> None:
    a, b = a.in_order(), b.in_order()
    for f in fields(Findings):
        np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), err_msg=f.name)


def check_laws(session: MarketSession, cuts: list[int], odd: dict[str, np.ndarray], repeatable: bool) -> None:
    whole = screen_session(session)
    accepted, found = by_door(session, cut(session, cuts, odd))
    same(found, whole.findings)
    for name, tape in whole.session.tapes().items():
        for f in fields(tape):
            np.testing.assert_array_equal(np.concatenate([getattr(getattr(b, name), f.name) for b in accepted]), getattr(tape, f.name))
        assert tape.in_order
    if repeatable:
        again = screen_session(whole.session).findings.quarantined
        assert set(again.tape.tolist()) <= {0, len(again) and 11}, again.counts()  # the listing is as wrong as it was; no row is refused any more


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 3), st.integers(0, 10**6), st.lists(st.sampled_from(ONE_ROW), max_size=8), st.lists(st.integers(0, 3 * 3600 + 1800), max_size=12))
def test_laws_on_planted_faults(base, seed, kinds, cuts):
    session = sound(base)
    faulty = plant(session, [Fault(kind) for kind in kinds], seed)
    odd = {name: np.zeros(len(tape), bool) for name, tape in faulty.session.tapes().items()}
    for t in faulty.truth:
        if t.tape in odd and t.fault.kind.removeprefix("trade_") in ("behind", "ahead", "before_open", "after_close"):
            odd[t.tape][t.row] = True
    check_laws(faulty.session, [nanoseconds(session.opens) + c * 1_000_000_000 for c in cuts], odd, repeatable=True)


OPENS = datetime(2026, 3, 19, 13, 30, tzinfo=UTC)
N = 4
LISTED = Contracts("XYZ", "XYZ", np.array([95.0, 95.0, 105.0, 105.0]), np.full(N, 20_531), np.full(N, nanoseconds(OPENS) + 36 * 3600 * 10**9), np.array([True, False] * 2), np.full(N, 100.0))
price = st.sampled_from([float("nan"), 0.05, 1.0, 1.1, 2.0, 5.0, 5.2, 9.0, 11.0, 40.0, 120.0, float("inf"), -1.0, 0.0])
step = st.sampled_from([0, 0, 1, 1, 20, 60, 60, 60, 90, 200, -30])
quote = st.tuples(step, st.integers(-1, N), price, price, st.sampled_from([1.0, 1.0, 0.0, -1.0]))
trade = st.tuples(step, st.integers(0, N), price, st.just(1.0), st.sampled_from([1.0, 2.0]))
level = st.tuples(step, st.just(0), st.sampled_from([99.0, 100.0, 100.5, 101.0, 103.0, 120.0, 50.0, float("nan")]), st.sampled_from([0.02, 0.5, 30.0, -1.0]), st.just(1.0))


def garbage(quotes, trades, levels, bars) -> MarketSession:
    """A session of two hours made of anything; times go up by steps (and sometimes down)."""
    start = nanoseconds(OPENS)

    def columns(rows, least=0):
        t = np.cumsum([r[0] for r in rows], dtype=np.int64) if rows else np.empty(0, np.int64)
        return (start + np.maximum(t, least) * 1_000_000_000, *(np.array([r[k] for r in rows], float) for k in range(1, 5)))

    qt, qi, bid, ask, size = columns(quotes)
    tt, ti, paid, _, amount = columns(trades)
    lt, li, mid, width, _ = columns(levels)
    bt, _, close, reach, _ = columns(bars)
    return MarketSession("sim", date(2026, 3, 19), OPENS, OPENS + timedelta(hours=2), LISTED,
                         Quotes.as_arrived(ts=qt, index=qi.astype(np.int64), bid=bid, ask=ask, bid_size=size, ask_size=np.ones(len(qt))),
                         Trades.as_arrived(ts=tt, index=ti.astype(np.int64), price=paid, size=amount),
                         Bars.as_arrived(ts=bt, open=close, high=close + reach, low=close - 0.1, close=close, volume=np.ones(len(bt))),
                         Quotes.as_arrived(ts=lt, index=li.astype(np.int64), bid=mid, ask=mid + width, bid_size=np.ones(len(lt)), ask_size=np.ones(len(lt))),
                         np.full(N, np.nan), np.full(N, np.nan), 0.0, 0.0, empty(Imbalances))


@settings(max_examples=60, deadline=None)
@given(st.lists(quote, max_size=40), st.lists(trade, max_size=12), st.lists(level, max_size=15), st.lists(level, max_size=15), st.lists(st.integers(0, 7200), max_size=8))
def test_laws_on_garbage(quotes, trades, levels, bars, cuts):
    session = garbage(quotes, trades, levels, bars)
    refused = screen_session(session).findings.quarantined
    leaps = len(refused.of(Reason.CLOCK_SKEW)) > 0  # the one rule that needs a refused row's witness
    check_laws(session, [nanoseconds(OPENS) + c * 1_000_000_000 for c in cuts], {name: np.isin(np.arange(len(t)), refused.of(
        Reason.NOT_A_NUMBER, Reason.NEGATIVE_PRICE, Reason.UNKNOWN_CONTRACT, Reason.CROSSED_QUOTE, Reason.INCONSISTENT_BAR, Reason.CLOCK_SKEW, tape=name).row)
        for name, t in session.tapes().items()}, repeatable=not leaps)


def test_a_future_that_is_anything_changes_nothing():
    session = sound(1)
    half = nanoseconds(session.opens) + 100 * MINUTE
    wild = session.quotes.where(session.quotes.ts > half)
    wild = replace(wild, bid=wild.bid * 7, ask=wild.ask * 7)
    other = replace(session, quotes=Quotes(**{f.name: np.append(getattr(session.quotes.where(session.quotes.ts <= half), f.name), getattr(wild, f.name)) for f in fields(Quotes)}))
    one, two = screen_session(session).findings, screen_session(other).findings
    before = one.where((one.ts <= half) & (one.ts > 0)), two.where((two.ts <= half) & (two.ts > 0))
    same(*before)
    assert len(two.quarantined) > 1000 > len(one.quarantined)
