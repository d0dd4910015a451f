import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.dealer_position import DealerPosition, DealerPrior, gex_deviation, next_morning, prior_position, with_trades
from quanticity.analytics.exposure import Convention, exposures
from quanticity.analytics.pricing import greeks
from quanticity.core.errors import UserError
from quanticity.core.reasons import Reason
from quanticity.market.chain import Contracts
from quanticity.market.tape import Trades

N = 6


def listed(rows: "list[int] | range" = range(N)) -> Contracts:
    i = np.array(list(rows), np.int64)
    return Contracts("A", "A", 400.0 + i // 2, np.full(len(i), 20_000), np.full(len(i), 10**18), i % 2 == 0, np.full(len(i), 100.0))


def a_day(seed: int, rows: int) -> tuple[Trades, np.ndarray]:
    rng = np.random.default_rng(seed)
    return Trades(np.arange(rows), rng.integers(0, N, rows), np.ones(rows), rng.integers(1, 100, rows).astype(float)), rng.uniform(-1, 1, rows)


def close(a: DealerPosition, b: DealerPosition) -> None:
    np.testing.assert_allclose(a.position, b.position, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(a.deviation, b.deviation, rtol=1e-9, atol=1e-5)


interests = st.lists(st.integers(0, 3000), min_size=N, max_size=N)
seeds = st.integers(0, 500)


@given(interests, st.floats(-1, 1), st.floats(0.01, 3))
def test_the_prior_is_within_the_open_interest_and_leans_as_said(held, share, spread):
    p = prior_position(listed(), held, DealerPrior(share, spread))
    assert p.convention is Convention.FLOW_SIGNED
    assert (np.abs(p.position) <= np.array(held) + 1e-9).all() and (p.deviation <= np.array(held) + 1e-9).all()
    assert (np.sign(share) * np.where(p.contracts.is_call, 1, -1) * p.position >= -1e-6).all() or share == 0


def test_a_narrow_prior_is_its_share():
    p = prior_position(listed(), [1000.0] * N, DealerPrior(0.3, 0.01))
    np.testing.assert_allclose(p.position, np.where(p.contracts.is_call, 300.0, -300.0), rtol=1e-6)
    np.testing.assert_allclose(p.deviation, 10.0, rtol=0.01)


@given(seeds, st.integers(1, 80), st.integers(0, 80), interests)
def test_trades_add_up_over_any_cut(seed, n, cut, held):
    trades, sign = a_day(seed, n)
    cut, start = min(cut, n), prior_position(listed(), held)
    close(with_trades(start, trades, sign), with_trades(with_trades(start, trades.rows(0, cut), sign[:cut]), trades.rows(cut, n), sign[cut:]))


@given(seeds, st.integers(1, 80), interests)
def test_the_position_keeps_within_its_bounds(seed, n, held):
    trades, sign = a_day(seed, n)
    p = with_trades(prior_position(listed(), held), trades, sign)
    assert (np.abs(p.position) <= p.bound + 1e-9).all()
    np.testing.assert_array_equal(p.bound, np.array(held) + np.bincount(trades.index, trades.size, N))


@settings(max_examples=40)
@given(seeds, st.integers(0, 80), interests, interests)
def test_each_morning_lies_within_the_new_open_interest(seed, n, held, after):
    trades, sign = a_day(seed, n)
    p = next_morning(with_trades(prior_position(listed(), held), trades, sign), listed(), after)
    assert (np.abs(p.position) <= np.array(after) + 1e-9).all()
    assert np.isfinite(p.position).all() and np.isfinite(p.deviation).all() and (p.volume == 0).all() and (p.flow == 0).all()


@settings(max_examples=40)
@given(seeds, st.integers(1, 80), interests, interests)
def test_the_other_side_of_everything_is_the_other_position(seed, n, held, after):
    trades, sign = a_day(seed, n)
    def end(turn: float) -> DealerPosition:
        return next_morning(with_trades(prior_position(listed(), held, DealerPrior(0.4 * turn)), trades, sign * turn), listed(), after)
    one, other = end(1.0), end(-1.0)
    np.testing.assert_allclose(one.position, -other.position, rtol=1e-7, atol=1e-5)
    np.testing.assert_allclose(one.deviation, other.deviation, rtol=1e-6, atol=1e-4)


@settings(max_examples=20)
@given(seeds, st.permutations(range(N)), interests, interests)
def test_contracts_may_be_in_any_order(seed, order, held, after):
    trades, sign = a_day(seed, 40)
    back, held, after = np.argsort(order), np.array(held, float), np.array(after, float)
    straight = next_morning(with_trades(prior_position(listed(), held), trades, sign), listed(), after)
    moved = Trades(trades.ts, back[trades.index], trades.price, trades.size)
    other = next_morning(with_trades(prior_position(listed(order), held[order]), moved, sign), listed(), after)  # and back to another order
    close(straight, other)


def test_sure_signs_of_opening_trades_are_followed_to_the_contract():
    start = prior_position(listed(), [0.0] * N)
    trades = Trades(np.arange(2), np.array([0, 1]), np.ones(2), np.array([70.0, 30.0]))
    p = next_morning(with_trades(start, trades, [1.0, -1.0]), listed(), [70.0, 30.0, 0, 0, 0, 0])
    np.testing.assert_allclose(p.position, [-70, 30, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(p.deviation, 0, atol=1e-6)


def test_open_interest_tells_an_unsigned_day_of_opening_was_one_sided():
    trades = Trades(np.array([0]), np.array([0]), np.ones(1), np.array([400.0]))
    day = with_trades(prior_position(listed(), [0.0] * N), trades, [0.1])
    grew, stayed = (next_morning(day, listed(), [x, 0, 0, 0, 0, 0]) for x in (400.0, 100.0))
    # all 400 opened from nothing: customers were all on one side, so that dealers hold nearly 400 one way or the other (or the open interest is not explained by trades)
    assert grew.deviation[0] > 250 and stayed.deviation[0] <= 100
    assert -60 < grew.position[0] < 0 < grew.deviation[0] - 2.0 * stayed.deviation[0]


def test_days_without_trades_change_nothing():
    p = with_trades(prior_position(listed(), [500.0] * N), *a_day(3, 40))
    morning = next_morning(p, listed(), [500.0] * N)
    again = next_morning(next_morning(morning, listed(), [500.0] * N), listed(), [500.0] * N)
    close(morning, again)


def test_what_is_not_known_is_nan_with_its_reason_and_carried_on_where_it_was():
    p = prior_position(listed(), [100.0, np.nan, -5.0, np.inf, 0.0, 10.0])
    assert np.isnan(p.position).tolist() == [False, True, True, True, False, False]
    assert p.left_out == {Reason.NO_OPEN_INTEREST: 3}
    trades = Trades(np.arange(3), np.array([0, 1, 0]), np.ones(3), np.array([10.0, 5.0, 0.0]))
    day = with_trades(p, trades, [1.0, 1.0, np.nan])
    assert day.left_out == {Reason.NO_OPEN_INTEREST: 3, Reason.ZERO_SIZE: 1}
    later = next_morning(day, listed(), [np.nan, 50.0, np.nan, np.nan, 0.0, 10.0])
    np.testing.assert_allclose(later.position[0], day.position[0])
    np.testing.assert_allclose(later.deviation[0], day.deviation[0])
    assert np.isfinite(later.position[1]) and later.left_out == {Reason.NO_OPEN_INTEREST: 2}
    assert later.open_interest[0] == 110.0  # at most what was there and what traded


def test_new_contracts_start_from_the_prior_and_expired_ones_go():
    p = with_trades(prior_position(listed([0, 1]), [100.0, 100.0]), Trades(np.array([0]), np.array([1]), np.ones(1), np.array([10.0])), [1.0])
    after = next_morning(p, listed([1, 2, 3]), [100.0, 200.0, 0.0])
    fresh = prior_position(listed([1, 2, 3]), [100.0, 200.0, 0.0])
    np.testing.assert_allclose(after.position[1:], fresh.position[1:])
    assert len(after.position) == 3 and after.position[2] == 0.0
    nothing = next_morning(prior_position(listed([]), []), listed([1]), [7.0])
    np.testing.assert_allclose(nothing.position, prior_position(listed([1]), [7.0]).position)


def test_an_open_interest_that_cannot_be_is_said():
    sure = prior_position(listed(), [1000.0] * N, DealerPrior(0.9, 0.01))
    p = next_morning(sure, listed(), [100.0] * N)
    assert p.contradicted.all() and (np.abs(p.position) == 100.0).all()
    assert not next_morning(sure, listed(), [1000.0] * N).contradicted.any()


def test_input_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match="share is within"):
        DealerPrior(spread=0.0)
    with pytest.raises(ValueError, match="6 contracts"):
        prior_position(listed(), [1.0])
    trades, sign = a_day(1, 5)
    for bad in (sign * 3, sign[:-1]):
        with pytest.raises(ValueError, match="expected signs"):
            with_trades(prior_position(listed(), [1.0] * N), trades, bad)


def test_it_goes_into_exposures_under_its_convention():
    c = listed()
    p = with_trades(prior_position(c, [500.0] * N), *a_day(3, 40))
    g = greeks(400.0, c.strike, 0.1, 0.04, 0.0, 0.2, c.is_call)
    seen = exposures(400.0, c.strike, c.expiry_day, c.is_call, p.open_interest, c.multiplier, g, p.convention, dealer_position=p.position)
    dollars = g.gamma * 100 * 400.0**2 * 0.01
    np.testing.assert_allclose(seen.total_gex, (dollars * p.position).sum())
    np.testing.assert_allclose(gex_deviation(p, g.gamma, 400.0), np.sqrt(((dollars * p.deviation) ** 2).sum()))
    assert seen.convention is Convention.FLOW_SIGNED


@given(st.floats(0, 1))
def test_errors_that_go_together_widen_the_doubt(rho):
    trades = Trades(np.arange(4), np.zeros(4, np.int64), np.ones(4), np.full(4, 10.0))
    def deviation(r: float) -> float:
        return float(with_trades(prior_position(listed(), [0.0] * N, DealerPrior(together=r)), trades, [0.0] * 4).deviation[0])
    np.testing.assert_allclose((deviation(0.0), deviation(1.0)), (20.0, 40.0))
    np.testing.assert_allclose(deviation(rho), np.sqrt((1 - rho) * 400 + rho * 1600))
