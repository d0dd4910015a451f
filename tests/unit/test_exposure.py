"""Exposures add up, leave out with a reason, and keep their convention; zero gamma finds every crossing."""

import numpy as np
import pytest

from quanticity.analytics.exposure import Convention, dealer_sign, expiring, exposures, group_rows, walls
from quanticity.analytics.pricing import VolatilityReason, greeks
from quanticity.analytics.zero_gamma import zero_gamma
from quanticity.core.errors import UserError
from quanticity.core.reasons import Reason

TOTALS = ("total_gex", "total_dex", "total_vex", "total_chex")
COLUMNS = ("gex", "dex", "vex", "chex")


def chain(count, seed, years=None):
    random = np.random.default_rng(seed)
    days = random.integers(1, 90, count)
    return dict(
        strike=np.round(100 / random.uniform(0.8, 1.25, count)),
        days=days,
        years=days / 365 if years is None else np.full(count, years),
        vol=random.uniform(0.1, 0.4, count),
        is_call=random.random(count) < 0.5,
        interest=random.integers(0, 5000, count).astype(float),
    )


def priced(c, spot=100.0):
    return greeks(spot, c["strike"], c["years"], 0.04, 0.013, c["vol"], c["is_call"])


def exposed(c, convention="naive", multiplier=100, **kwargs):
    return exposures(
        100.0, c["strike"], c["days"], c["is_call"], c["interest"], multiplier, priced(c), convention, **kwargs
    )


def zero(c, **kwargs):
    return zero_gamma(100.0, c["strike"], c["years"], 0.04, 0.013, c["vol"], c["is_call"], c["interest"], **kwargs)


def crossings(c, spots, convention="naive"):
    """Sign changes of total gamma on a fine grid, straight from the greeks."""
    totals = np.array(
        [(dealer_sign(c["is_call"], convention) * c["interest"] * priced(c, s).gamma).sum() for s in spots]
    )
    at = np.flatnonzero(np.sign(totals[1:]) * np.sign(totals[:-1]) < 0)
    return 0.5 * (spots[at] + spots[at + 1])


def test_each_number_is_its_formula():
    c = chain(40, 1)
    found, g = exposed(c, multiplier=10), priced(c)
    sign = np.where(c["is_call"], 1, -1)
    for i in range(40):
        shares = sign[i] * c["interest"][i] * 10
        assert found.gex[i] == pytest.approx(shares * g.gamma[i] * 100.0**2 * 0.01)
        assert found.dex[i] == pytest.approx(shares * g.delta[i] * 100.0)
        assert found.vex[i] == pytest.approx(shares * g.vanna[i] * 100.0 * 0.01)
        assert found.chex[i] == pytest.approx(shares * g.charm[i] * 100.0 / 365)
    assert found.convention is Convention.NAIVE


def test_gex_is_the_change_of_dex_for_a_percent():
    c = chain(40, 2)
    up = exposures(100.001, c["strike"], c["days"], c["is_call"], c["interest"], 100, priced(c, 100.001))
    down = exposures(99.999, c["strike"], c["days"], c["is_call"], c["interest"], 100, priced(c, 99.999))
    # hedge shares, in dollars at today's spot, for a move of 1%
    shares = up.total_dex / 100.001 - down.total_dex / 99.999
    assert exposed(c).total_gex == pytest.approx(shares / 0.002 * 100.0, rel=1e-6)


@pytest.mark.parametrize("part", COLUMNS)
def test_strikes_and_expiries_add_up(part):
    c = chain(500, 3)
    found = exposed(c)
    total = getattr(found, f"total_{part}")
    for grouped, ids in ((found.by_strike, c["strike"]), (found.by_expiry, c["days"])):
        assert getattr(grouped, part).sum() == pytest.approx(total, rel=1e-9)
        np.testing.assert_array_equal(grouped.keys, np.unique(ids))
        i = len(grouped.keys) // 2
        assert getattr(grouped, part)[i] == pytest.approx(getattr(found, part)[ids == grouped.keys[i]].sum())


def test_multiplier_by_contract():
    c = chain(30, 4)
    ten = np.where(np.arange(30) % 2, 10, 100)
    found, full = exposed(c, multiplier=ten), exposed(c)
    np.testing.assert_allclose(found.gex, full.gex * ten / 100)


def test_conventions():
    assert dealer_sign([True, False]).tolist() == [1.0, -1.0]
    assert dealer_sign([True, False], Convention.GROSS).tolist() == [1.0, 1.0]
    c = chain(50, 5)
    gross, naive = exposed(c, "gross"), exposed(c)
    assert gross.convention is Convention.GROSS
    np.testing.assert_allclose(gross.gex, np.abs(naive.gex))
    with pytest.raises(UserError, match="known: naive, flow-signed, gross"):
        exposed(c, "street")


def test_what_is_left_out_is_counted_and_in_no_sum():
    c = chain(8, 6)
    c["interest"] = np.array([np.nan, 10, 10, 10, 10, 0, -1, 10.0])
    c["years"] = np.array([0.1, 0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    c["vol"] = np.array([0.2, 0.2, np.nan, np.nan, 0.2, 0.2, 0.2, 0.2])
    reason = np.zeros(8, np.uint8)
    reason[2] = VolatilityReason.BELOW_INTRINSIC
    found = exposed(c, reason=reason)
    assert found.counted == 3
    assert dict(found.left_out) == {
        Reason.BELOW_INTRINSIC: 1,
        Reason.EXPIRED: 1,
        Reason.NO_QUOTE: 1,
        Reason.NO_OPEN_INTEREST: 2,
    }
    assert np.isnan(found.gex).tolist() == [True, True, True, True, False, False, True, False]
    assert found.gex[5] == 0.0
    for name, column in zip(TOTALS, COLUMNS, strict=True):
        assert getattr(found, name) == pytest.approx(np.nansum(getattr(found, column)))
    assert set(found.by_strike.keys) == set(c["strike"][[4, 5, 7]])


def test_nothing_to_count():
    c = chain(3, 7)
    c["interest"] = np.full(3, np.nan)
    found = exposed(c)
    assert (found.counted, found.total_gex, found.by_strike.keys.size) == (0, 0.0, 0)
    empty = exposed({k: v[:0] for k, v in c.items()})
    assert (empty.counted, empty.total_dex, dict(empty.left_out)) == (0, 0.0, {})


def test_walls():
    strike, call = np.array([90, 100, 110, 90, 100, 110.0]), np.array([True] * 3 + [False] * 3)
    found = walls(strike, call, np.array([1.0, 2.0, 3.0, -5.0, -1.0, np.nan]))
    assert (found.call_wall, found.put_wall, found.call_gex, found.put_gex) == (110.0, 90.0, 3.0, -5.0)
    # over expiries the same strike adds up, and of equal strikes the lowest is taken
    found = walls(np.append(strike, [100.0]), np.append(call, [True]), np.array([1.0, 2.0, 3.0, -5.0, 0.0, -5.0, 2.0]))
    assert (found.call_wall, found.put_wall) == (100.0, 90.0)
    found = walls(strike, call, np.array([1.0, 2.0, 3.0, 0.0, 0.0, np.nan]))
    assert np.isnan(found.put_wall) and found.put_reason is Reason.NO_OPEN_INTEREST and found.call_reason is None
    # gross: puts are positive, and the wall is the same
    assert walls(strike, call, np.array([1.0, 2.0, 3.0, 5.0, 1.0, 0.0])).put_wall == 90.0


@pytest.mark.parametrize(("spot", "late", "volatility", "held", "reason"), [
    (np.nan, 0.0, 0.2, 5.0, Reason.NO_SPOT), (0.0, 0.0, 0.2, 5.0, Reason.NO_SPOT), (100.0, 1.0, 0.2, 5.0, Reason.EXPIRED), (np.nan, 1.0, 0.2, 5.0, Reason.EXPIRED),
    (100.0, 0.0, np.nan, 5.0, Reason.NO_QUOTE), (100.0, 0.0, 0.2, np.nan, Reason.NO_OPEN_INTEREST), (100.0, 0.0, 0.2, 0.0, Reason.NO_OPEN_INTEREST)])
def test_where_there_is_no_wall_the_reason_is_the_right_one(spot, late, volatility, held, reason):
    strike, is_call, days = np.array([95.0, 100.0, 105.0, 100.0]), np.array([False, False, True, True]), np.full(4, 7)
    g = greeks(spot, strike, 0.1 * (1 - late), 0.04, 0.0, volatility, is_call)
    e = exposures(spot, strike, days, is_call, np.full(4, held), 100, g)
    w = walls(strike, is_call, e.gex, left_out=e.left_out)
    assert np.isnan([w.call_wall, w.put_wall, w.call_gex, w.put_gex]).all() and (w.call_reason, w.put_reason) == (reason, reason)
    assert sum(e.left_out.values()) + e.counted == 4 and expiring(e, 7).reason is reason


@pytest.mark.parametrize("seed", range(12))
def test_zero_gamma_finds_all_crossings_of_a_fine_grid(seed):
    c = chain(60, 100 + seed)
    spots = np.linspace(90.0, 110.0, 2001)
    wanted = crossings(c, spots)
    found = zero(c)
    assert found.roots == pytest.approx(wanted, abs=0.006)
    if len(wanted):
        assert found.value == found.roots[np.argmin(np.abs(found.roots - 100.0))]
        residual = [(dealer_sign(c["is_call"]) * c["interest"] * priced(c, s).gamma).sum() for s in found.roots]
        assert np.abs(residual).max() < 1e-9 * (c["interest"] * priced(c).gamma).sum()
    else:
        assert np.isnan(found.value) and found.reason is Reason.NO_CROSSING


@pytest.mark.parametrize("hours", [0.1, 1.0, 6.5])
def test_zero_gamma_sees_the_spikes_of_the_last_hours(hours):
    """Gamma spikes thinner than the grid's step: as many roots as a grid a hundred times finer finds."""
    for seed in range(4):
        c = chain(300, 200 + seed, years=hours / 8760)
        coarse, fine = zero(c), zero(c, points=4001)
        assert coarse.roots == pytest.approx(fine.roots, rel=1e-10)
        assert len(coarse.roots) > 0


def two_contracts(strikes=(80.0, 125.0)):
    """A call and a put whose gammas are equal exactly at spot 100: K1 K2 = S^2 and r = -sigma^2/2."""
    return dict(
        strike=np.array(strikes),
        years=np.array([0.5, 0.5]),
        vol=np.array([0.2, 0.2]),
        is_call=np.array([True, False]),
        interest=np.array([7.0, 7.0]),
    )


@pytest.mark.parametrize("points", [40, 41])
def test_a_root_on_a_grid_point_and_between(points):
    c = two_contracts()
    found = zero_gamma(100.0, c["strike"], c["years"], -0.02, 0.0, c["vol"], c["is_call"], c["interest"], points=points)
    assert found.roots == pytest.approx([100.0], rel=1e-10)
    assert found.value == found.roots[0]


def test_a_root_outside_the_span_is_no_crossing():
    c = two_contracts((80.0, 140.0))
    args = (100.0, c["strike"], c["years"], -0.02, 0.0, c["vol"], c["is_call"], c["interest"])
    assert zero_gamma(*args, span=0.05).reason is Reason.NO_CROSSING
    assert zero_gamma(*args, span=0.10).roots == pytest.approx([np.sqrt(80 * 140.0)], rel=1e-10)


def test_the_profile_is_the_exposure_at_each_spot():
    c = chain(80, 9)
    found = zero(c, points=5)
    for spot, gex in zip(found.grid, found.profile, strict=True):
        wanted = exposures(spot, c["strike"], c["days"], c["is_call"], c["interest"], 100, priced(c, spot)).total_gex
        assert gex == pytest.approx(wanted, rel=1e-10)
    assert found.counted == (c["interest"] > 0).sum()


def test_no_crossing_and_why():
    c = chain(20, 10)
    gross = zero(c, convention="gross")
    assert np.isnan(gross.value) and gross.reason is Reason.NO_CROSSING and gross.convention is Convention.GROSS
    assert (gross.profile > 0).all()
    for change, reason in (
        (dict(interest=np.zeros(20)), Reason.NO_OPEN_INTEREST),
        (dict(interest=np.full(20, np.nan)), Reason.NO_OPEN_INTEREST),
        (dict(years=np.zeros(20)), Reason.EXPIRED),
        (dict(vol=np.full(20, np.nan)), Reason.NO_QUOTE),
    ):
        found = zero({**c, **change})
        assert np.isnan(found.value) and found.reason is reason and found.counted == 0 and found.roots.size == 0
    empty = zero({k: v[:0] for k, v in c.items()})
    assert empty.reason is Reason.NO_OPEN_INTEREST
    assert zero_gamma(np.nan, 100.0, 0.1, 0.0, 0.0, 0.2, True, 5.0).reason is Reason.NO_SPOT


def test_calls_that_cancel_puts_exactly_cross_nowhere():
    c = chain(40, 11)
    both = {k: np.concatenate((v, v[::-1])) for k, v in c.items()}
    both["is_call"] = np.arange(80) < 40
    assert zero(both).reason is Reason.NO_CROSSING


def test_contracts_without_open_interest_or_volatility_change_nothing():
    c = chain(60, 103)
    more = {k: np.concatenate((v, v[:5])) for k, v in c.items()}
    more["interest"][60:], more["vol"][64] = [0, np.nan, 0, 0, 9], np.nan
    np.testing.assert_array_equal(zero(more).roots, zero(c).roots)


@pytest.mark.parametrize(("span", "points"), [(0.0, 41), (1.0, 41), (np.nan, 41), (0.1, 2)])
def test_a_grid_that_is_none(span, points):
    with pytest.raises(UserError, match="span"):
        zero(chain(5, 12), span=span, points=points)


def test_flow_signed_takes_the_place_of_sign_and_open_interest():
    c = chain(50, 8)
    position = np.random.default_rng(1).normal(size=50) * 300
    position[3] = np.nan
    found = exposed(c, "flow-signed", dealer_position=position)
    known = np.arange(50) != 3
    np.testing.assert_allclose(found.gex[known], (position * 100 * priced(c).gamma * 100.0)[known])
    assert found.convention is Convention.FLOW_SIGNED and found.counted == 49 and dict(found.left_out) == {Reason.NO_OPEN_INTEREST: 1}
    for convention, given in (("flow-signed", None), ("naive", position), ("gross", position)):
        with pytest.raises(UserError, match="dealer position"):
            exposed(c, convention, dealer_position=given)
    signed = zero(c, convention="flow-signed", dealer_position=position)
    assert signed.convention is Convention.FLOW_SIGNED and signed.counted == 49


def test_what_expires_today():
    c = chain(200, 9)
    found, day = exposed(c), int(c["days"][0])
    today, rows = expiring(found, day), c["days"] == day
    assert today.gex == pytest.approx(found.gex[rows].sum()) and today.chex == pytest.approx(found.chex[rows].sum())
    assert today.share == pytest.approx(np.abs(found.gex[rows]).sum() / np.abs(found.gex).sum()) and today.counted == rows.sum()
    assert expiring(found, -1).share == 0.0 and expiring(found, -1).counted == 0 and today.reason is None
    nothing = expiring(exposures(100.0, c["strike"], c["days"], c["is_call"], np.full(200, np.nan), 100, priced(c)), day)
    assert np.isnan(nothing.share) and nothing.reason is Reason.NO_OPEN_INTEREST


def test_groups_passed_on_change_nothing():
    c = chain(300, 10)
    one = exposed(c)
    other = exposed(c, strikes=group_rows(c["strike"]), expiries=group_rows(c["days"]))
    for part in ("by_strike", "by_expiry"):
        for name in ("keys", "gex", "dex", "vex", "chex"):
            np.testing.assert_array_equal(getattr(getattr(one, part), name), getattr(getattr(other, part), name))
    assert walls(c["strike"], c["is_call"], one.gex) == walls(c["strike"], c["is_call"], one.gex, group_rows(c["strike"]))


@pytest.mark.parametrize("ids", [np.array(["2021-01-15", "2021-01-04", "2021-01-15"], "datetime64[D]"), np.array(["b", "a", "b"]), np.array([2, 1, 2], np.int32), [2.5, -0.0, 2.5]])
def test_any_sortable_id_groups_rows(ids):
    found = group_rows(ids)
    np.testing.assert_array_equal(found.keys, np.unique(ids))
    np.testing.assert_array_equal(found.keys[np.argsort(found.order)][found.place], ids)


@pytest.mark.parametrize("seconds", [3600, 60, 1, 1e-3])
def test_to_the_last_moment_nothing_is_infinite_and_roots_are_found(seconds):
    strike = np.repeat(np.arange(95.0, 105.5, 0.5), 2)
    call = np.arange(len(strike)) % 2 == 0
    years = seconds / (365 * 86400)
    interest = np.where(call, 300.0, 200.0) * (1 + np.arange(len(strike)) % 5)
    g = greeks(100.2, strike, years, 0.04, 0.0, 0.2, call)
    found = exposures(100.2, strike, np.zeros(len(strike), int), call, interest, 100, g)
    assert all(np.isfinite(getattr(found, name)).all() for name in COLUMNS) and found.left_out == {}
    z = zero_gamma(100.2, strike, years, 0.04, 0.0, 0.2, call, interest)
    assert np.isfinite(z.profile).all() and ((z.roots > 90) & (z.roots < 111)).all() and (z.reason is None or z.reason is Reason.NO_CROSSING)
