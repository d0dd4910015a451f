"""Whatever the parameters: prices on the grid, values inside the quotes, no static arbitrage, truth that adds up, and the same bytes again."""

from datetime import date

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quanticity.feeds.sim_market import settles_at
from quanticity.feeds.sim_parameters import price_steps
from quanticity.feeds.sim_truth import check_truth, truth_digest
from quanticity.feeds.simulator import Extras, PlantedEdge, SimulatorParameters, sessions_from, simulate
from quanticity.market.arbitrage import check_static_arbitrage
from quanticity.market.session import ChainState, batches

BARE = Extras(books=None, levels=False)
DAYS = (date(2026, 3, 20), date(2026, 4, 16), date(2026, 11, 27), date(2026, 12, 18))


@st.composite
def markets(draw):
    fair = draw(st.booleans())
    skew = draw(st.floats(-0.9, 0.5))
    spot = draw(st.sampled_from([20.0, 180.0, 500.0, 5_000.0]))
    return SimulatorParameters(
        spot=spot, strike_step=spot * draw(st.sampled_from([0.005, 0.02])), strikes=draw(st.integers(2, 8)), expiries=draw(st.integers(1, 6)),
        volatility=draw(st.floats(0.05, 0.9)), gap=draw(st.floats(0, 0.02)), jumps=draw(st.floats(0, 4)), jump_size=draw(st.floats(0, 0.02)),
        skew=skew, curvature=draw(st.floats(0.05, 1.0)) * 2 / (1 + abs(skew)), rate=draw(st.sampled_from([0.0, 0.01, 0.06])),
        dividend=draw(st.sampled_from([0.0, 0.03])), spread=draw(st.floats(0.01, 2)), stickiness=draw(st.floats(0, 1)), trades=draw(st.floats(0, 40)),
        underlying_trades=draw(st.floats(0, 10)), open_interest=draw(st.floats(0, 50_000)), dealer_tilt=draw(st.floats(-1, 1)), feedback=draw(st.booleans()),
        impact=draw(st.floats(0, 20)), news=draw(st.sampled_from([(), ((30.0, 0.01),)])), halts=draw(st.sampled_from([(), ((50.0, 20.0),)])),
        edges=() if fair else draw(st.sampled_from([(), (PlantedEdge("reversion", 1e-4),)])), fair=fair)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(markets(), st.sampled_from(DAYS), st.sampled_from(["SIM", "SPY", "SPX", "SPXW"]), st.integers(0, 2**40))
def test_any_market_is_consistent(p, day, symbol, seed):
    one = next(simulate(seed, [day], (symbol,), p, 300.0, BARE))
    s, t = one.session, one.truth
    check_truth(t, s)
    steps = np.array(price_steps(symbol, p)) / 1e6
    for side in (s.quotes.bid, s.quotes.ask):
        price = side[~np.isnan(side)]
        ratio = price / np.where(price > 3 + 1e-9, steps[1], steps[0])
        assert (price > 0).all() and np.abs(ratio - np.rint(ratio)).max(initial=0) < 1e-4
    assert (np.nan_to_num(s.quotes.bid) < s.quotes.ask).all() and (s.trades.size >= 1).all() and (s.trades.price > 0).all()
    assert np.array_equal(t.dealer.open - np.bincount(s.trades.index, t.trades.initiator * s.trades.size, len(s.contracts)), t.dealer.close)
    assert (s.quotes.ts <= s.contracts.expires_at[s.quotes.index]).all() and (s.trades.ts < s.contracts.expires_at[s.trades.index]).all()
    assert ((s.prior_volatility > 0) & (s.prior_volatility <= 5)).all() and (s.open_interest >= 0).all()
    state = ChainState(s.contracts, s.open_interest, s.prior_volatility, s.rate, s.dividend)
    spread = float((s.underlying_quotes.ask - s.underlying_quotes.bid).max())
    for batch in batches(s, 300):
        state.apply(batch.quotes, batch.trades, batch.underlying_bars, batch.underlying_quotes)
        counts = check_static_arbitrage(state.snapshot(batch.now, *state.spot()), spread, settles_at=settles_at(s.contracts))
        assert counts.total == 0, counts


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(markets(), st.integers(0, 2**40))
def test_the_same_seed_gives_the_same_days(p, seed):
    first, again = ([truth_digest(one.truth) for one in simulate(seed, sessions_from(DAYS[0], 2), ("A", "SPX"), p, 600.0)] for _ in range(2))
    assert first == again and len(set(first)) == 4
