"""analytics.chain_uncertainty: bands around the headline, from spreads and not from stale quotes; the same seed, the same bands."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from quanticity.analytics.chain_analytics import analyse
from quanticity.analytics.chain_uncertainty import chain_bands, drawn_quotes
from quanticity.analytics.exposure import Convention
from quanticity.analytics.pricing import greeks
from quanticity.analytics.snapshot import carried_position, flow_position, follow, session_flow
from quanticity.core.errors import UserError
from quanticity.core.reasons import Reason
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.market.chain import nanoseconds

AT = nanoseconds(datetime(2015, 12, 24, 17, 0, tzinfo=UTC))


def at_noon(seed):
    """Chain and state, and what dealers hold: from the open interest and the morning's trades, and by the trades alone."""
    session = simulate_session(seed, date(2015, 12, 24), "SIM", SimulatorParameters(strikes=25, expiries=4))
    chain, state = follow(session, AT)
    return chain, state, carried_position(session, at=AT).position, flow_position(session_flow(session, AT), len(chain))


def by_convention(chain, state, position):
    made = {c: analyse(chain, state, c) for c in (Convention.NAIVE, Convention.GROSS)}
    return made | {Convention.FLOW_SIGNED: analyse(chain, state, Convention.FLOW_SIGNED, dealer_position=position)}


@pytest.fixture(scope="module")
def seen():
    return at_noon(7)[:3]


@pytest.fixture(scope="module")
def analysed(seen):
    return by_convention(*seen)


@pytest.mark.parametrize("seed", [8, 9, 11])  # markets that have a crossing well within the range that is looked at
def test_the_headline_lies_in_its_band_and_the_hull_holds_all(seed):
    chain, state, position, _ = at_noon(seed)
    analysed = by_convention(chain, state, position)
    sure = chain_bands(analysed, seed=3, draws=80, position=position)
    for convention in (Convention.NAIVE, Convention.FLOW_SIGNED):
        band, a = sure.band(convention), analysed[convention]
        assert band.low <= a.zero_gamma.value <= band.high and sure.uncertainty.low <= band.low and band.high <= sure.uncertainty.high
        assert a.walls.call_wall in band.call_wall.strikes and band.call_wall.odds.sum() == pytest.approx(1.0)
    assert sure.band(Convention.GROSS).reason is Reason.NO_CROSSING
    assert sure.drawn == np.count_nonzero(np.isfinite(analysed[Convention.NAIVE].volatility))


def test_dealers_who_sold_all_that_customers_bought_have_no_crossing_and_no_band():
    """By the trades alone, without what was held before, dealers are short gamma wherever the spot is."""
    chain, state, _, flow = at_noon(7)
    made = by_convention(chain, state, flow)
    sure = chain_bands(made, seed=3, draws=40, position=flow)
    band, naive = sure.band(Convention.FLOW_SIGNED), sure.band(Convention.NAIVE)
    assert (made[Convention.FLOW_SIGNED].zero_gamma.profile < 0).all() and made[Convention.FLOW_SIGNED].zero_gamma.reason is Reason.NO_CROSSING
    assert band.reason is Reason.NO_CROSSING and band.crossing == 0.0 and np.isnan([band.low, band.median, band.high]).all()
    assert (sure.uncertainty.low, sure.uncertainty.high) == (naive.low, naive.high)


def between(chain, share):
    """The chain with quotes of a share of their spread around the same middle; a number, or one a contract."""
    cut = (0.5 - np.asarray(share) / 2) * (chain.ask - chain.bid)
    return replace(chain, bid=chain.bid + cut, ask=chain.ask - cut)


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_tenth_of_the_spread_makes_a_tenth_of_the_band(seed):
    """Where half a spread is worth less than a tenth of the volatility, volatility follows the premium in proportion, and so does the band.

    It cannot of contracts whose spread is as wide as their time value or wider: the volatility that a premium just above intrinsic value implies falls with the
    logarithm of what is left of it, so that a tenth of the spread leaves most of their doubt, and how much of the whole band is theirs is a day's own. Of the
    whole chain the band shrinks with the spread, and to almost nothing with almost none.
    """
    chain, state = follow(simulate_session(seed, date(2015, 12, 24), "SIM", SimulatorParameters(strikes=25, expiries=4)), AT)
    a, listed = analyse(chain, state), chain.contracts
    low, high, _ = drawn_quotes(a)
    vega = greeks(chain.spot, listed.strike, chain.years, chain.rate, chain.dividend, a.volatility, listed.is_call).vega
    tells = (high - low) / 2 < 0.1 * a.volatility * vega
    assert np.count_nonzero(tells) > 0.5 * np.count_nonzero(np.isfinite(a.volatility))

    def width(seen_chain):
        band = chain_bands({Convention.NAIVE: analyse(seen_chain, state)}, seed=3, draws=80).band(Convention.NAIVE)
        return band.high - band.low

    certain = between(chain, np.where(tells, 1.0, 0.0))  # the others are quoted without a spread
    assert width(between(certain, 0.1)) == pytest.approx(0.1 * width(certain), rel=0.2)
    whole, half, tenth, thousandth = (width(between(chain, share)) for share in (1.0, 0.5, 0.1, 0.001))
    assert whole > half > tenth > thousandth and thousandth < 0.1 * whole


def test_what_was_quoted_at_another_spot_is_drawn_around_its_own_volatility(seen, analysed):
    chain, state, _ = seen
    moved = analyse(replace(chain, spot=chain.spot * 1.02, ts=chain.ts + 1), state)
    low, high, without = drawn_quotes(moved)
    known = np.isfinite(high)
    assert (known == np.isfinite(moved.volatility)).all() and (low[known] >= 0).all() and (low[known] <= high[known]).all()
    spread = np.where(chain.ask >= chain.bid, chain.ask - chain.bid, 0.0)
    free = known & (low > 0)
    assert (high - low)[free] == pytest.approx(spread[free], abs=1e-9)
    assert without == np.count_nonzero(known & ~(chain.ask >= chain.bid))
    band = chain_bands({Convention.NAIVE: moved}, seed=3, draws=60).band(Convention.NAIVE)
    assert band.low <= moved.zero_gamma.value <= band.high


def test_the_seed_decides(analysed):
    one = {Convention.NAIVE: analysed[Convention.NAIVE]}
    a, b, c = (chain_bands(one, seed=s, draws=20).band(Convention.NAIVE) for s in (1, 1, 2))
    assert (a.low, a.median, a.high) == (b.low, b.median, b.high) != (c.low, c.median, c.high)


def test_nothing_to_draw_from(seen):
    chain, state, _ = seen
    over = analyse(replace(chain, ts=int(chain.contracts.expires_at.max()) + 1), state)
    sure = chain_bands({Convention.NAIVE: over}, seed=1)
    assert sure.drawn == 0 and sure.band(Convention.NAIVE).reason is Reason.EXPIRED and sure.band(Convention.GROSS) is None and np.isnan(sure.uncertainty.low)
    with pytest.raises(UserError, match="no convention"):
        chain_bands({}, seed=1)
