"""analytics.aggregation: sums without rounding over any partition, one convention, who is left out and why."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanticity.analytics.aggregation import (
    NAMES, SUMS, Exact, GroupSnapshot, SymbolSnapshot, Totals, aggregate, by_sector, exact_sums, group_document, read_symbol, symbol_document, symbol_snapshot, totals)
from quanticity.analytics.chain_analytics import VolatilityState, analyse
from quanticity.analytics.exposure import Convention
from quanticity.analytics.snapshot import follow
from quanticity.core.errors import UserError
from quanticity.core.reasons import Reason
from quanticity.feeds.simulator import DEMO_DAY, SimulatorParameters, simulate_session

finite = st.floats(allow_nan=False, allow_infinity=False)
UNIT = Fraction(1, 2**1074)


@given(st.lists(finite, max_size=60))
def test_a_sum_is_that_of_the_fractions(numbers):
    (found,) = exact_sums(np.array(numbers))
    whole = sum((Fraction(x) for x in numbers), Fraction())
    assert Fraction(found.units) * UNIT == whole
    try:
        assert found.value == float(whole)
    except OverflowError:
        assert math.isinf(found.value)
    assert Exact.from_text(found.text) == found


@given(st.lists(finite, min_size=1, max_size=80), st.randoms(use_true_random=False))
def test_any_partition_in_any_order_gives_the_same_bits(numbers, random):
    whole = exact_sums(np.array(numbers))[0]
    random.shuffle(numbers)
    cuts = sorted(random.sample(range(len(numbers) + 1), min(3, len(numbers))))
    parts = np.split(np.array(numbers), cuts)
    assert sum((exact_sums(p)[0] for p in parts), Exact()) == whole


@pytest.mark.parametrize("numbers", [[5e-324, -5e-324, 5e-324], [1.7976931348623157e308] * 3, [2.2250738585072014e-308, 5e-324], [1e-320, 3e307, -3e307], [0.0, -0.0], []])
def test_the_ends_of_the_range(numbers):
    (found,) = exact_sums(np.array(numbers))
    assert Fraction(found.units) * UNIT == sum((Fraction(x) for x in numbers), Fraction())


def test_nan_does_not_count_and_infinity_is_refused():
    assert exact_sums([[1.0, np.nan, 2.0]])[0].value == 3.0
    for bad in (np.inf, -np.inf):
        with pytest.raises(ValueError, match="infinite"):
            exact_sums([1.0, bad])
    assert Exact((1 << 1074) << 2000).value == math.inf and Exact(-(1 << 1074) << 2000).value == -math.inf


@pytest.mark.parametrize("text", ["", "0x1", "0x1p", "p3", "0x1p99999999", "1e5", "0xzp1"])
def test_text_that_is_no_sum_is_refused(text):
    with pytest.raises(ValueError):
        Exact.from_text(text)


@pytest.fixture(scope="module")
def chain():
    return follow(simulate_session(5, DEMO_DAY, "SIM", SimulatorParameters(strikes=12), 300.0))[0]


@pytest.fixture(scope="module", params=list(Convention)[:1] + [Convention.GROSS])
def analysed(chain, request):
    return analyse(chain, VolatilityState(), request.param)


def sums(t: Totals) -> tuple:
    return tuple(getattr(t, name) for name in SUMS)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_contracts_add_up_over_any_partition(analysed, seed, parts):
    owner = np.random.default_rng(seed).integers(0, parts, len(analysed.chain))
    pieces = [totals(analysed.exposure, owner == p) for p in range(parts)]
    whole = totals(analysed.exposure)
    together = sum(pieces, Totals())
    assert sums(together) == sums(whole) and (together.counted, together.contracts) == (whole.counted, whole.contracts)


def test_totals_agree_with_the_kernels(analysed):
    t, e = totals(analysed.exposure), analysed.exposure
    for mine, theirs, scale in ((t.gex, e.total_gex, e.gross_gex), (t.dex, e.total_dex, np.nansum(np.abs(e.dex))), (t.gross, e.gross_gex, e.gross_gex)):
        assert abs(mine.value - theirs) <= 1e-12 * scale
    assert t.counted == e.counted and dict(t.left_out) == dict(e.left_out) and sum(t.left_out.values()) + t.counted == t.contracts


def test_a_symbols_snapshot_carries_its_convention_and_survives_json(analysed):
    s = symbol_snapshot(analysed, "technology")
    assert (s.convention, s.version, s.symbol, s.sector, s.ts) == (analysed.exposure.convention, 1, "SIM", "technology", analysed.chain.ts)
    assert s.zero_dte.contracts == int((analysed.chain.contracts.expiry_day == analysed.chain.ts // 86_400_000_000_000).sum())
    document = json.loads(json.dumps(symbol_document(s), allow_nan=False))
    assert read_symbol(document) == s


def made(symbol, sector="other", seed=0, convention=Convention.NAIVE, ts=10, version=1, counted=20):
    values = np.random.default_rng([seed, *symbol.encode()]).standard_normal((5, 30)) * 1e7
    return SymbolSnapshot(symbol, sector, ts, f"chain:{symbol}", convention, version, 100.0, Totals(*exact_sums(values), counted, 30, {Reason.NO_QUOTE: 10}), Totals())


@given(st.lists(st.integers(0, 4), min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_sectors_are_a_partition_whatever_they_are(owners, random):
    book = [made(f"S{i}", f"sector_{o}", i) for i, o in enumerate(owners)]
    shuffled = book[:]
    random.shuffle(shuffled)
    whole = aggregate("portfolio", book)
    sectors = [aggregate(name, some) for name, some in by_sector(shuffled).items()]
    assert sum((s.totals for s in sectors), Totals()) == whole.totals
    assert group_document(aggregate("portfolio", shuffled)) == group_document(whole)  # the order of reading does not show
    assert sorted(m for s in sectors for m in s.members) == sorted(whole.members)


@pytest.mark.parametrize("odd", [made("ODD", convention=Convention.GROSS), made("ODD", convention=Convention.FLOW_SIGNED), made("ODD", version=2)])
def test_mixed_conventions_are_refused_in_one_line(odd):
    with pytest.raises(UserError, match=r"portfolio: exposures under different conventions do not add up: .*ODD .*; analyse all symbols under one") as error:
        aggregate("portfolio", [made("AAA"), odd])
    assert len(str(error.value).splitlines()) == 1


def test_a_stale_odd_one_does_not_spoil_the_sum():
    group = aggregate("portfolio", [made("AAA", ts=100), made("ODD", convention=Convention.GROSS, ts=-10**12)], now=100, max_age_seconds=1.0)
    assert (list(group.members), group.left_out, group.convention) == (["AAA"], {"ODD": Reason.FEATURE_STALE}, Convention.NAIVE)


def test_age_by_symbol_and_those_that_should_be_there():
    book = [made("SLOW", ts=0), made("FAST", ts=0)]
    group = aggregate("g", book, now=5 * 10**9, max_age_seconds={"SLOW": 10.0, "FAST": 1.0}, expected={"GONE": Reason.NO_QUOTE, "SLOW": Reason.NO_QUOTE, "FAST": Reason.NO_QUOTE})
    assert (list(group.members), group.left_out) == (["SLOW"], {"FAST": Reason.FEATURE_STALE, "GONE": Reason.NO_QUOTE})
    with pytest.raises(UserError, match="twice"):
        aggregate("g", [book[0], book[0]])


def explained(document: dict) -> None:
    assert set(document["values"]) | set(document["missing"]) == set(NAMES) and not set(document["values"]) & set(document["missing"])
    assert all(math.isfinite(v) for v in document["values"].values())


def test_nothing_to_sum_has_reasons():
    empty: GroupSnapshot = aggregate("empty", [])
    explained(group_document(empty))
    assert (empty.convention, empty.ts, group_document(empty)["missing"]["gex"]) == (None, 0, "no_open_interest")
    uncounted = aggregate("u", [made("AAA", counted=0)])
    assert group_document(uncounted)["missing"] == dict.fromkeys(NAMES, "no_quote")
    flat = Totals(Exact(), Exact(), Exact(), Exact(), Exact(), 3, 3)
    assert flat.values()[1] == {"gamma_balance": Reason.NO_TIME_VALUE} and flat.values()[0]["gex"] == 0.0
    explained(group_document(aggregate("big", [SymbolSnapshot("A", "x", 1, "c", Convention.NAIVE, 1, 1.0, Totals(Exact(1 << 4000), counted=1, contracts=1), Totals())])))


def test_shares_of_gross_add_up_to_one():
    group = aggregate("p", [SymbolSnapshot(s, "x", 1, "c", Convention.NAIVE, 1, 1.0, Totals(*exact_sums(np.abs(np.full((5, 1), v))), 1, 1), Totals()) for s, v in (("A", 3.0), ("B", 1.0))])
    assert group.members == {"A": 0.75, "B": 0.25}
