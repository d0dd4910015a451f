"""What holds for the exposures of any chain: they add up, they scale, and neither the order of contracts nor those without open interest matter."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from quanticity.analytics.crossings import roots_of
from quanticity.analytics.exposure import Convention, dealer_shares, expiring, exposures, group_rows, walls
from quanticity.analytics.hedging import hedge_flow
from quanticity.analytics.pricing import greeks
from quanticity.analytics.zero_gamma import balance_roots, gamma_balance, gamma_profile, make_book, zero_gamma

COLUMNS = ("gex", "dex", "vex", "chex")
row = st.tuples(st.integers(60, 160), st.integers(1, 60), st.floats(0.08, 1.0), st.booleans(), st.integers(0, 10_000))
chains = st.lists(row, min_size=1, max_size=40).map(lambda rows: [np.array(column) for column in zip(*rows, strict=True)])
conventions = st.sampled_from([Convention.NAIVE, Convention.GROSS, Convention.FLOW_SIGNED])


def positions(interest, call, convention):
    return {"dealer_position": np.where(call, -0.5, 0.25) * interest} if convention is Convention.FLOW_SIGNED else {}


def exposed(chain, convention=Convention.NAIVE, spot=100.0, rows=slice(None), unit=1.0, multiplier=100):
    strike, days, vol, call, interest = (column[rows] for column in chain)
    g = greeks(spot * unit, strike * unit, days / 365, 0.03, 0.01, vol, call)
    return exposures(spot * unit, strike * unit, days, call, interest, multiplier, g, convention, **positions(interest, call, convention))


def totals(e):
    return np.array([e.total_gex, e.total_dex, e.total_vex, e.total_chex])


def size(e):
    """The sum of absolute values: what rounding errors are measured against."""
    return np.array([np.abs(getattr(e, name)).sum() for name in COLUMNS]) + 1e-12


@given(chains, conventions, st.data())
def test_any_partition_adds_up(chain, convention, data):
    part = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(chain[0]), max_size=len(chain[0]))))
    whole = exposed(chain, convention)
    parts = [exposed(chain, convention, rows=part == i) for i in range(3) if (part == i).any()]
    assert (np.abs(sum(totals(e) for e in parts) - totals(whole)) <= 1e-13 * size(whole)).all()
    assert sum(e.counted for e in parts) == whole.counted == len(part)
    assert sum(e.gross_gex for e in parts) - whole.gross_gex <= 1e-13 * size(whole)[0]
    assert whole.expiry_counted.sum() == whole.counted and abs(whole.expiry_gross.sum() - whole.gross_gex) <= 1e-13 * size(whole)[0]
    for grouped in (whole.by_strike, whole.by_expiry):
        sums = np.array([getattr(grouped, name).sum() for name in COLUMNS])
        assert (np.abs(sums - totals(whole)) <= 1e-13 * size(whole)).all()
        assert (np.diff(grouped.keys) > 0).all()


@given(chains, conventions, st.randoms(use_true_random=False))
def test_the_order_of_contracts_does_not_matter(chain, convention, random):
    order = list(range(len(chain[0])))
    random.shuffle(order)
    whole, shuffled = exposed(chain, convention), exposed(chain, convention, rows=np.array(order))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(whole, name)[order])  # bit for bit
    np.testing.assert_array_equal(shuffled.by_strike.keys, whole.by_strike.keys)
    assert (np.abs(totals(shuffled) - totals(whole)) <= 1e-13 * size(whole)).all()


@given(chains, conventions)
def test_contracts_without_open_interest_change_nothing(chain, convention):
    more = [np.concatenate((column, column[:3])) for column in chain]
    more[4][len(chain[4]):] = 0
    whole, padded = exposed(chain, convention), exposed(more, convention)
    assert (np.abs(totals(padded) - totals(whole)) <= 1e-13 * size(whole)).all()
    assert (padded.gex[len(chain[4]):] == 0).all() and padded.counted == whole.counted + len(chain[4][:3])
    strike, days, vol, call, interest = chain
    nothing = exposures(100.0, strike, days, call, 0 * interest, 100, greeks(100.0, strike, days / 365, 0.03, 0.01, vol, call))
    assert totals(nothing).tolist() == [0.0] * 4 and nothing.gross_gex == 0.0
    assert zero_gamma(100.0, strike, days / 365, 0.03, 0.01, vol, call, 0 * interest).reason == "no_open_interest"


@given(chains, conventions, st.floats(0.01, 100.0))
def test_units_of_money_and_of_contracts(chain, convention, unit):
    # half the money, half of each exposure; the rounding of strikes times the unit is seen through d1
    whole, scaled = totals(exposed(chain, convention)), totals(exposed(chain, convention, unit=unit))
    assert (np.abs(scaled - whole * unit) <= 1e-9 * unit * size(exposed(chain, convention))).all()
    ten = totals(exposed(chain, convention, multiplier=10))
    assert (np.abs(ten * 10 - whole) <= 1e-13 * size(exposed(chain, convention))).all()


@given(chains)
def test_conventions_agree_where_they_must(chain):
    strike, days, vol, call, interest = chain
    naive, gross = exposed(chain), exposed(chain, Convention.GROSS)
    np.testing.assert_array_equal(np.abs(naive.gex), gross.gex)
    assert gross.total_gex == gross.gross_gex and abs(naive.gross_gex - gross.gross_gex) <= 1e-13 * size(gross)[0]
    signed = exposures(100.0, strike, days, call, interest, 100, greeks(100.0, strike, days / 365, 0.03, 0.01, vol, call), "flow-signed",
                       dealer_position=np.where(call, 1.0, -1.0) * interest)
    np.testing.assert_array_equal(signed.gex, naive.gex)
    one, other = walls(strike, call, naive.gex), walls(strike, call, gross.gex)
    np.testing.assert_array_equal([one.call_wall, one.put_wall], [other.call_wall, other.put_wall])
    shares = [expiring(naive, day).share for day in np.unique(days)]
    assert not naive.gross_gex > 0 or abs(sum(shares) - 1) < 1e-12


@given(chains)
def test_call_and_put_of_one_strike_cancel_in_the_naive_gex(chain):
    strike, days, vol, call, interest = chain
    both = [np.concatenate((a, b)) for a, b in ((strike, strike), (days, days), (vol, vol), (call, ~call), (interest, interest))]
    e = exposed(both)
    assert abs(e.total_gex) <= 1e-13 * size(e)[0]
    assert zero_gamma(100.0, both[0], both[1] / 365, 0.03, 0.01, both[2], both[3], both[4]).roots.size == 0


@given(chains, conventions)
def test_the_profile_goes_through_gex_and_the_roots_are_its_zeros(chain, convention):
    strike, days, vol, call, interest = chain
    more = positions(interest, call, convention)
    shares = dealer_shares(call, interest, 100, convention, more.get("dealer_position"))
    book = make_book(100.0, strike, days / 365, 0.03, 0.01, vol, shares)
    e = exposed(chain, convention)
    assert abs(gamma_profile(book, [100.0])[0] - e.total_gex) <= 1e-12 * size(e)[0]
    zero = zero_gamma(100.0, strike, days / 365, 0.03, 0.01, vol, call, interest, 100, convention, **more)
    assert (zero.reason is None) == (zero.roots.size > 0) == bool(np.isfinite(zero.value))
    for root in zero.roots:
        below, above = gamma_profile(book, root * np.array([1 - 1e-9, 1 + 1e-9]))
        at = gamma_profile(book, [root])[0]
        assert below * above <= 0 or abs(at) <= 1e-9 * abs(gamma_profile(make_book(100.0, strike, days / 365, 0.03, 0.01, vol, np.abs(shares)), [root])[0])


@given(chains, conventions, st.floats(0.0005, 0.02))
def test_hedge_flow_is_the_change_of_delta_and_steps_add_up(chain, convention, move):
    strike, days, vol, call, interest = chain
    more = positions(interest, call, convention)
    flow = hedge_flow(100.0, strike, days / 365, 0.03, 0.01, vol, call, interest, 100, convention, [move, -move], **more)
    assume(flow.counted)
    shares = dealer_shares(call, interest, 100, convention, more.get("dealer_position"))
    delta = [greeks(s, strike, days / 365, 0.03, 0.01, vol, call).delta for s in (100.0, 100 * (1 + move), 100 * (1 - move))]
    for found, moved in zip(flow.shares, delta[1:], strict=True):
        assert abs(found + (shares * (moved - delta[0])).sum()) <= 1e-13 * np.abs(shares).sum() + 1e-9


@given(st.lists(st.one_of(st.integers(-3, 3), st.integers(-(2**62), 2**62)), max_size=600))
def test_grouping_is_that_of_sorting(ids):
    found = group_rows(np.array(ids, np.int64))
    unique, place = np.unique(np.array(ids, np.int64), return_inverse=True)
    np.testing.assert_array_equal(found.keys, unique)
    np.testing.assert_array_equal(np.argsort(found.order)[found.place], place)


@given(chains, st.sampled_from([1.0, 0.05, 0.002]))
def test_compiled_roots_are_those_of_the_search_they_stand_for(c, shrink):
    """To the last bit: `balance_roots` looks and refines in compiled code, `crossings.roots_of` in NumPy."""
    strike, days, vol, call, interest = c
    book = make_book(100.0, strike, days / 365 * shrink, 0.03, 0.01, vol, dealer_shares(call, interest, 100))
    if not (book.longs and book.shorts):
        return
    u = np.linspace(-0.1, 0.1, 41)
    f, slope = gamma_balance(book, u)
    assert balance_roots(book, u, f, slope).tolist() == roots_of(lambda at: gamma_balance(book, at), u, f, slope).tolist()
