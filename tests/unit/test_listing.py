"""market.listing: contracts from symbols and from columns."""

from datetime import date

import numpy as np
import pytest

from quanticity.core.clock import expiry_close
from quanticity.core.errors import DataError
from quanticity.core.occ import Right, occ_symbol
from quanticity.core.types import Exercise, Settlement
from quanticity.market.chain import nanoseconds
from quanticity.market.listing import contracts_by_root, contracts_of, list_contracts, split_symbols


def days(*texts: str) -> np.ndarray:
    return np.array([(date.fromisoformat(text) - date(1970, 1, 1)).days for text in texts], np.int64)


def test_rows_stay_as_they_are_given():
    listed, notes = contracts_of("SPX", days("2021-01-15", "2021-01-08", "2021-01-15"), np.array([3800.0, 3700.0, 3700.0]), np.array([True, False, True]))
    assert listed.occ() == ["SPX210115C03800000", "SPX210108P03700000", "SPX210115C03700000"] and notes == []
    assert listed.expires_at.tolist() == [nanoseconds(expiry_close(date.fromisoformat(d), "SPX")) for d in ("2021-01-15", "2021-01-08", "2021-01-15")]
    assert (listed.underlying, listed.exercise, listed.settlement, listed.multiplier.tolist()) == ("SPX", Exercise.EUROPEAN, Settlement.CASH, [100.0] * 3)


def test_an_expiry_beyond_the_calendar_ends_at_four_and_is_told_once():
    listed, notes = contracts_of("XYZ", days("2150-01-16", "2150-01-16"), np.ones(2), np.ones(2, bool))
    assert notes == ["expiry 2150-01-16 is beyond the calendar: taken to end at 16:00 New York"]
    assert listed.contract(0).expires_at.isoformat() == "2150-01-16T21:00:00+00:00"


def test_an_adjusted_contracts_multiplier_is_not_invented():
    expiry, strike, call = days("2015-01-17"), np.array([740.0]), np.array([True])
    listed, notes = contracts_of("GOOG1", expiry, strike, call)
    assert np.isnan(listed.multiplier).all() and listed.underlying == "GOOG" and notes == ["GOOG1: an adjusted contract, its multiplier is not known"]
    for given in (40.0, np.array([40.0])):
        listed, notes = contracts_of("GOOG1", expiry, strike, call, multiplier=given)
        assert listed.multiplier.tolist() == [40.0] and notes == []
    assert contracts_by_root(["GOOG1150117C00740000"], multipliers={"GOOG1": 40.0})["GOOG1"].contracts.multiplier.tolist() == [40.0]


def test_columns_are_sorted_and_each_contract_comes_once():
    listed = list_contracts("XYZ", days("2026-01-16", "2025-12-19", "2026-01-16", "2026-01-16"), np.array([50.0, 60.0, 50.0, 49.9996]),
                            np.array([False, True, True, False]), multiplier=np.array([1.0, 2.0, 3.0, 1.0]))
    assert listed.contracts.occ() == ["XYZ251219C00060000", "XYZ260116C00050000", "XYZ260116P00050000"]
    assert listed.index.tolist() == [2, 0, 1, 2] and listed.rows.tolist() == [0, 1, 2, 3] and listed.repeated == 1
    assert listed.contracts.multiplier.tolist() == [2.0, 3.0, 1.0]


@pytest.mark.parametrize("strike", [np.nan, np.inf, -5.0, 0.0, 100_000.0])
def test_a_strike_that_can_be_none(strike):
    with pytest.raises(DataError, match="XYZ: a strike of"):
        list_contracts("XYZ", days("2026-01-16", "2026-01-16"), np.array([10.0, strike]), np.array([True, True]))


def test_nothing_is_nothing():
    assert contracts_by_root([]) == {}
    empty = list_contracts("XYZ", np.empty(0, np.int64), np.empty(0), np.empty(0, bool))
    assert len(empty.contracts) == 0 and empty.repeated == 0


def test_roots_are_apart_and_in_order():
    names = ["SPXW  261120P05000000", "SPX261120C05000000", "GOOG1150117C00740000", "SPXW261120C05000000", "IBM1327L125"]
    found = contracts_by_root(names)
    assert list(found) == ["GOOG1", "IBM", "SPX", "SPXW"]
    assert {root: listed.rows.tolist() for root, listed in found.items()} == {"GOOG1": [2], "IBM": [4], "SPX": [1], "SPXW": [0, 3]}
    assert found["SPXW"].index.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("nonsense", "f.json, row 3: 'nonsense' is no option symbol"),
        ("", "f.json, row 3: '' is no option symbol"),
        (None, "f.json, row 3: None is no option symbol"),
        (17, "f.json, row 3: '17' is no option symbol"),
        ("SPXW２61120C05000000", "row 3"),
        ("A" * 10_000_000, "row 3"),  # does not make 20,000 rows of that width
        ("SPXW261131C05000000", "f.json: 'SPXW261131C05000000': there is no day 2026-11-31"),
        ("SPXW261120C00000000", "row 3: 'SPXW261120C00000000' is no option symbol: its strike is 0"),
        ("SP XW261120C05000000", "row 3"),
    ],
)
def test_the_first_that_is_no_symbol_is_named(row, says):
    names = [occ_symbol("SPXW", date(2026, 11, 20), Right.CALL, 2.5 * k) for k in range(1, 20_001)]
    names[2] = row
    with pytest.raises(DataError) as caught:
        split_symbols(names, "f.json")
    assert says in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_a_flex_root_has_no_terms():
    with pytest.raises(DataError, match="2SPX is a FLEX root"):
        contracts_by_root(["2SPX261120C05000000"])
