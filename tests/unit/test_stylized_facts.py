"""What `research.stylized_facts` measures, against days constructed so that the answer is known."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from quanticity.core.errors import DataError
from quanticity.feeds.simulator import simulate_session
from quanticity.analytics.pricing import black_scholes_price
from quanticity.core.types import Exercise, Settlement
from quanticity.market.chain import Contracts, nanoseconds
from quanticity.market.session import MarketSession
from quanticity.market.tape import Bars, Quotes, Trades, empty
from quanticity.research import flow_facts as flow
from quanticity.research import option_facts as option
from quanticity.research.quote_panel import quote_panel, rows_as_of
from quanticity.research.stylized_facts import by_cell, distance, kolmogorov_smirnov, mean_gap, measure, measure_ticks, wasserstein

MINUTE = 60_000_000_000


@pytest.fixture(scope="module")
def session() -> MarketSession:
    return simulate_session(7)


def flat(session: MarketSession, bid: float, ask: float, minutes: int = 390) -> MarketSession:
    """The same session with every contract quoted each minute at one bid and one ask."""
    n, opens = len(session.contracts), nanoseconds(session.opens)
    ts = np.repeat(opens + MINUTE * np.arange(1, minutes + 1, dtype=np.int64), n)
    index = np.tile(np.arange(n, dtype=np.int64), minutes)
    size = np.tile(np.arange(1.0, n + 1), minutes)
    return replace(session, quotes=Quotes(ts, index, np.full(len(ts), bid), np.full(len(ts), ask), size, 2 * size))


def test_the_latest_row_of_each_contract_stands_at_each_moment() -> None:
    rng = np.random.default_rng(1)
    ts, index, grid = np.sort(rng.integers(0, 100, 300)), rng.integers(0, 5, 300), np.arange(10, 101, 10)
    slow = [[max([i for i in range(300) if ts[i] <= t and index[i] == k], default=-1) for k in range(5)] for t in grid]
    assert rows_as_of(grid, ts, index, 5).tolist() == slow


def test_distances_are_those_of_scipy_and_of_known_shifts() -> None:
    rng = np.random.default_rng(2)
    for n, m in ((1, 1), (7, 3), (500, 800)):
        x, y = rng.integers(0, 9, n) / 2, rng.integers(1, 12, m) / 2  # with ties
        assert kolmogorov_smirnov(x, y) == pytest.approx(stats.ks_2samp(x, y).statistic)
        assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y))
    x = rng.normal(size=1_000)
    assert wasserstein(x, x + 0.25) == pytest.approx(0.25) and wasserstein([1, np.nan], [1.0]) == 0
    assert np.isnan(kolmogorov_smirnov([], [1])) and np.isnan(wasserstein([np.nan], [1]))


def test_cells_make_the_mix_of_a_chain_not_count() -> None:
    values = {0: 1.0, 1: 5.0, 2: 100.0}
    a, b = np.repeat([0, 1], [900, 100]), np.repeat([0, 1, 2], [50, 400, 500])
    x, y = (np.array([values[c] for c in cells.tolist()]) for cells in (a, b))
    assert by_cell(a, x, b, y) == (0.0, 0.0, 2) and wasserstein(x, y) > 10
    assert by_cell(a, x, b + 7, y)[2] == 0 and np.isnan(by_cell(a, x, b + 7, y)[0])
    assert by_cell(np.full(100, -1), np.ones(100), np.full(100, -1), np.zeros(100))[2] == 0
    assert mean_gap([np.nan, 1.0], [1.0, np.nan])[1] == 0


def test_spreads_are_measured_in_points_ticks_and_shares_of_the_price(session: MarketSession) -> None:
    q = option.quote_facts(quote_panel(flat(session, 2.0, 2.5)))
    assert len(q.m) and np.allclose(q.ticks, 5) and np.allclose(q.relative, 0.5 / 2.25)  # steps of ten cents: 2.0 and 2.5 are on them
    assert np.allclose(q.ask_size, 2 * q.bid_size)
    spot = session.underlying_quotes.bid.mean()
    assert np.median(q.points) == pytest.approx(0.5 / spot * 1e4, rel=0.02)
    fewer = option.quote_facts(quote_panel(flat(session, 2.0, 2.5)), most=1_000)
    assert len(fewer.m) == 1_000


def test_a_quote_that_never_changes_and_one_that_always_does(session: MarketSession) -> None:
    still = flat(session, 2.0, 2.5)
    panel = quote_panel(still)
    assert np.nansum(option.moneyness_facts(panel, still).changed) == 0
    minute = (still.quotes.ts - still.quotes.ts[0]) // MINUTE
    moving = replace(still, quotes=replace(still.quotes, ask=still.quotes.ask + 0.1 * (minute % 2)))
    shares = option.moneyness_facts(quote_panel(moving), moving)
    known = shares.minutes > 5_000
    assert np.allclose(shares.changed[known], 389 / 390, atol=0.02) and np.allclose(shares.updated[known], 1.0)


def test_a_bid_that_is_missing_now_and_then_is_not_a_contract_without_a_bid(session: MarketSession) -> None:
    whole = flat(session, 2.0, 2.5)
    minute = (whole.quotes.ts - whole.quotes.ts[0]) // MINUTE
    flicker = replace(whole, quotes=replace(whole.quotes, bid=np.where(minute % 3 == 1, np.nan, whole.quotes.bid)))
    assert np.nanmax(option.moneyness_facts(quote_panel(flicker), flicker).lone) == 0
    never = replace(whole, quotes=replace(whole.quotes, bid=np.where(whole.quotes.index % 2 == 0, np.nan, whole.quotes.bid)))
    lone = option.moneyness_facts(quote_panel(never), never).lone
    assert np.nanmax(lone) > 0.4


def test_trades_are_placed_by_the_quote_before_them(session: MarketSession) -> None:
    whole = flat(session, 2.0, 3.0)
    opens = nanoseconds(session.opens)
    ts = opens + MINUTE * 100 + np.arange(1, 6, dtype=np.int64)
    trades = Trades(ts, np.arange(200, 205, dtype=np.int64), np.array([2.0, 3.0, 2.5, 2.25, 3.2]), np.array([1.0, 2, 3, 4, 5]))
    facts = option.trade_facts(quote_panel(whole), replace(whole, trades=trades))
    assert np.allclose(facts.place, [0, 1, 0.5, 0.25, 1.2]) and facts.sign.tolist() == [-1, 1, 0, -1, 1]
    assert np.allclose(facts.u, 100 / 390, atol=1e-6)
    early = option.trade_facts(quote_panel(whole), replace(whole, trades=Trades(ts - 100 * MINUTE, trades.index, trades.price, trades.size)))
    assert np.isnan(early.place).all() and (early.sign == 0).all()  # no quote yet


def priced(rho: float, eta: float, level: float, half: float = 0.02, minutes: int = 60) -> MarketSession:
    """A European chain at a constant spot of 4,000 whose prices are Black's on an SSVI smile: three expiries, 81 strikes."""
    day = date(2026, 3, 20)
    empty_day = simulate_session(1, day)
    opens = nanoseconds(empty_day.opens)
    lives = np.array([2, 9, 40]) * 86_400 * 10**9
    strike = np.tile(np.repeat(np.arange(3_000.0, 5_025.0, 25.0), 2), 3)
    n = len(strike) // 3
    ends = np.repeat(opens + 6 * 3_600 * 10**9 + lives, n)
    calls = np.tile([True, False], len(strike) // 2)
    contracts = Contracts("SPXW", "SPX", strike, ends // (86_400 * 10**9), ends, calls, np.full(len(strike), 100.0), Exercise.EUROPEAN, Settlement.CASH)
    ts = opens + MINUTE * np.arange(1, minutes + 1, dtype=np.int64)
    years = np.maximum((ends - ts[:, None]) / (365 * 86_400e9), 1e-9)
    z = np.log(strike / 4_000.0) / (level * np.sqrt(years))
    price = black_scholes_price(4_000.0, strike, years, 0.0, 0.0, level * option.ssvi_ratio(z, rho, eta), calls)
    price = np.where(np.isfinite(price), price, 0.0)
    bid = np.where(price > half, price - half, np.nan)
    rows = len(strike) * minutes
    quotes = Quotes(np.repeat(ts, len(strike)), np.tile(np.arange(len(strike)), minutes), bid.ravel(), (price + half).ravel(), np.ones(rows), np.ones(rows))
    spot = np.full(minutes, 4_000.0)
    return replace(empty_day, contracts=contracts, quotes=quotes, trades=empty(Trades), underlying_bars=Bars(ts, spot, spot, spot, spot, spot),
                   underlying_quotes=empty(Quotes), rate=0.0, dividend=0.0, open_interest=np.ones(len(strike)), prior_volatility=np.full(len(strike), np.nan))


@pytest.mark.parametrize(("rho", "eta", "level"), [(-0.57, 0.93, 0.2), (-0.2, 0.5, 0.4), (-0.41, 0.59, 0.26)])
def test_the_smile_that_was_put_in_is_found(rho: float, eta: float, level: float) -> None:
    session = priced(rho, eta, level)
    panel = quote_panel(session)
    assert np.allclose(panel.forward, 4_000.0, rtol=1e-6)
    assert np.allclose(panel.level[:60], level, rtol=0.01)  # afterwards no quotes come any more
    smile = option.smile_facts(panel)
    assert smile.pooled[0] == pytest.approx(rho, abs=0.04) and smile.pooled[1] == pytest.approx(eta, rel=0.08)
    assert len(smile.days) == 3 and np.allclose(smile.level, level, rtol=0.01) and (smile.residual < 0.01).all()
    below = smile.z < 0
    assert (smile.ratio[below & np.isfinite(smile.ratio)] > 1).all() and smile.ratio[np.searchsorted(smile.z, 0.75)] < 1


def test_a_level_told_from_far_strikes_is_not_used_for_the_smile() -> None:
    session = priced(-0.5, 0.8, 0.2)
    far = np.isin(session.contracts.strike, (3_000.0, 5_000.0))[session.quotes.index]
    smile = option.smile_facts(quote_panel(replace(session, quotes=session.quotes.where(far))))
    assert np.isnan(smile.pooled).all() and not len(smile.days)


def test_a_chain_of_one_strike_has_no_smile(session: MarketSession) -> None:
    rows = option.fit_ratio(np.zeros(500), np.ones(500))
    assert np.isnan(rows).all()


def test_bursts_memory_and_the_days_shape() -> None:
    rng = np.random.default_rng(3)
    u = np.linspace(0, 1, 390)
    shape = 30 * (0.5 + 6 * (u - 0.5) ** 2)
    plain = [flow.burstiness(rng.poisson(shape).astype(float)) for _ in range(20)]
    assert np.mean([b.variance for b in plain]) == pytest.approx(0, abs=0.01) and np.mean([b.fano for b in plain]) > 3
    assert np.mean([b.memory for b in plain]) == pytest.approx(0, abs=0.05)
    mood = np.exp(stats.norm.rvs(size=(20, 390), random_state=4) * 0.6 - 0.18)
    bursts = [flow.burstiness(rng.poisson(shape * m).astype(float)) for m in mood]
    assert np.mean([b.variance for b in bursts]) == pytest.approx(np.exp(0.36) - 1, abs=0.12)
    lasting = np.repeat(mood[:, ::3], 3, axis=1)
    assert np.mean([flow.burstiness(rng.poisson(shape * m).astype(float)).memory for m in lasting]) > 0.4
    assert np.isnan(flow.burstiness(np.zeros(390)).variance)
    assert flow.day_shape(np.array([0.01] * 13)).tolist() == [13.0] + [0.0] * 12


def test_signs_of_split_orders_remember_as_the_theory_says() -> None:
    rng = np.random.default_rng(5)
    lengths = np.floor((1 - rng.random(60_000)) ** (-1 / 1.5)).astype(int)
    signs = np.repeat(rng.choice([-1.0, 1.0], len(lengths)), np.minimum(lengths, 5_000))[:200_000]
    memory = flow.autocorrelation(signs, flow.LAGS)
    amplitude, exponent = flow.power_law(flow.LAGS, memory)
    assert exponent == pytest.approx(0.5, abs=0.15) and amplitude > 0.5
    assert np.isnan(flow.autocorrelation(np.ones(50), (1,))[0])  # constant
    assert np.isnan(flow.power_law((1, 2, 3), np.array([0.1, -0.1, np.nan]))[0])


def test_a_walk_has_a_flat_signature_and_bounce_lifts_its_short_end() -> None:
    rng = np.random.default_rng(6)
    walk = 100 * np.exp(np.cumsum(rng.normal(0, 1e-4, 23_401)))
    true = 1e-4 * np.sqrt(23_400 * 252)
    short = flow.signature(walk, (1, 5, 30, 60), 1, 23_400)
    assert np.allclose(short, true, rtol=0.06)
    bounced = walk * (1 + 1e-4 * rng.choice([-1, 1], len(walk)))
    lifted = flow.signature(bounced, (1, 60), 1, 23_400)
    assert lifted[0] == pytest.approx(true * np.sqrt(3), rel=0.03) and lifted[1] == pytest.approx(true, rel=0.1)
    assert np.isnan(flow.signature(walk[:10], (60, 7), 60, 23_400)).all()


def test_a_jump_is_seen_and_a_calm_day_has_none() -> None:
    rng = np.random.default_rng(7)
    shares = []
    for _ in range(30):
        returns = rng.normal(0, 1e-3, 390)
        shares.append(flow.jump_share(returns))
    assert np.mean(shares) == pytest.approx(0, abs=0.03)
    returns[200] += 0.02
    assert flow.jump_share(returns) > 0.25 and flow.outliers(returns) >= 1
    assert np.isnan(flow.jump_share(np.zeros(100)))


def test_ticks_and_bars_of_one_day_agree() -> None:
    rng = np.random.default_rng(8)
    opens, n = 0, 23_400
    ts = np.arange(1, n + 1, dtype=np.int64) * 10**9
    mid = np.round(100 * np.exp(np.cumsum(rng.normal(0, 1e-4, n))), 3)
    zero = np.zeros(n, np.int64)
    quotes = Quotes(ts, zero, mid - 0.01, mid + 0.01, np.ones(n), np.ones(n))
    side = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    trades = Trades(ts + 1, zero, mid + 0.01 * side, np.full(n, 100.0))
    by_tick = measure_ticks("ticks", trades, quotes, opens, int(ts[-1]) + 10**9).underlying
    ends = ts[59::60]
    bars = Bars(ends, mid[59::60], mid[59::60], mid[59::60], mid[59::60], np.ones(len(ends)))
    by_bar = flow.flow_facts(empty(Trades), empty(Quotes), bars, opens, int(ts[-1]) + 10**9)
    assert by_tick.returns.std() == pytest.approx(by_bar.returns.std(), rel=0.02)
    assert by_tick.memory[0] == pytest.approx(0, abs=0.02) and np.isnan(by_bar.memory).all() and np.isnan(by_bar.arrival_shape).all()
    assert by_tick.signature_trades[0] > 1.3 * by_tick.signature[0] and np.median(by_tick.spread) == pytest.approx(2.0, rel=0.05)


def test_distance_is_symmetric_zero_to_itself_and_sees_what_differs(session: MarketSession) -> None:
    one, other = measure(session), measure(simulate_session(8))
    assert all(row.value == 0 or np.isnan(row.value) for row in distance(one, one).rows)
    there, back = distance(one, other), distance(other, one)
    for a, b in zip(there.rows, back.rows, strict=True):
        assert a.fact == b.fact and (a.value == pytest.approx(b.value) or (np.isnan(a.value) and np.isnan(b.value)))
    wide = measure(replace(session, quotes=replace(session.quotes, bid_size=session.quotes.bid_size * 3)))
    assert distance(one, wide)["bid size"].value == pytest.approx(np.log(3), abs=0.02) and distance(one, wide)["ask size"].value == 0
    assert list(there.table().columns) == ["measure", "distance", "unit", one.name, other.name, "compared"] and "spread" in str(there)
    with pytest.raises(KeyError, match="no fact"):
        there["nothing"]


def test_a_stock_without_options_is_compared_by_its_prices_only(session: MarketSession) -> None:
    one = measure(session)
    stock = replace(one, options=None)
    facts = [row.fact for row in distance(one, stock).rows]
    assert "returns" in facts and "spread" not in facts


def test_a_session_without_quotes_is_refused_in_one_line(session: MarketSession) -> None:
    with pytest.raises(DataError, match="no quote between open and close"):
        measure(replace(session, quotes=empty(Quotes)))


def test_a_session_without_trades_or_an_underlying_is_measured(session: MarketSession) -> None:
    bare = replace(session, trades=empty(Trades), underlying_bars=empty(Bars), underlying_quotes=empty(Quotes))
    facts = measure(bare)
    assert facts.options is not None and len(facts.options.quotes.m) and not len(facts.underlying.returns)
    row = distance(measure(session), facts)["returns"]
    assert np.isnan(row.value)


def test_recorded_days_are_measured(recorded: Path) -> None:
    from quanticity.feeds.lean import load_session

    goog = measure(load_session(recorded, "GOOG", date(2015, 12, 24)))
    assert goog.options is not None
    assert len(goog.options.quotes.m) > 100_000 and len(goog.options.smile.days) >= 10
    spxw = measure(load_session(recorded, "SPXW", date(2021, 1, 8)))  # no file of the underlying: its spot is by parity
    assert spxw.options is not None and len(spxw.options.quotes.m) > 3_000 and not len(spxw.underlying.returns)
    assert distance(goog, spxw)["spread"].value > 1  # a stock's spreads are several times an index's
