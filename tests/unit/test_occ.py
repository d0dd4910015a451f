"""core.occ: option symbols of every style, what roots say, and what cannot be known."""

import math
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from quanticity.core import clock, types
from quanticity.core.errors import DataError, UserError
from quanticity.core.occ import (
    BROAD_ETF_ROOTS, INDEX_OF, INDEX_ROOTS, Exercise, OccSymbol, Right, Settlement, format_occ, occ_symbol, parse_occ, plain_root, root_terms,
    symbol_of,
)
from quanticity.core.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
CALL, PUT = Right.CALL, Right.PUT


@pytest.mark.parametrize(
    ("text", "root", "expiry", "right", "strike"),
    [
        ("SPXW  261120C05000000", "SPXW", "2026-11-20", CALL, 5000.0),
        ("SPXW261120C05000000", "SPXW", "2026-11-20", CALL, 5000.0),
        (" AAPL260807P00110000 ", "AAPL", "2026-08-07", PUT, 110.0),
        ("F     260116P00012500", "F", "2026-01-16", PUT, 12.5),
        ("BRK.B 260116C00450000", "BRK.B", "2026-01-16", CALL, 450.0),
        ("GOOG1150117C00740000", "GOOG1", "2015-01-17", CALL, 740.0),
        ("AAPL7 140719C00092860", "AAPL7", "2014-07-19", CALL, 92.86),
        ("2SPX  261120C05000000", "2SPX", "2026-11-20", CALL, 5000.0),  # a FLEX option has a name, but no terms
        ("SPX   961221P00700000", "SPX", "1996-12-21", PUT, 700.0),  # a vendor's rewriting of an old name
        ("X240229C00000500", "X", "2024-02-29", CALL, 0.5),
        ("IBM1327L125", "IBM", "2013-12-27", CALL, 125.0),
        ("IBM1327X125", "IBM", "2013-12-27", PUT, 125.0),
        ("SPX1821X2712.5", "SPX", "2018-12-21", PUT, 2712.5),
        ("GOOG11517A740", "GOOG1", "2015-01-17", CALL, 740.0),
    ],
)
def test_a_symbol_that_says_everything(text, root, expiry, right, strike):
    symbol = parse_occ(text)
    assert symbol == OccSymbol(root, date.fromisoformat(expiry), right, strike) and symbol.exact
    assert symbol.adjusted == root[-1].isdigit()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no option symbol"),
        ("SPXW", "before 2010"),  # SP, an October put, and a strike letter
        ("SPXW261320C05000000", "no day 2026-13-20"),
        ("SPXW260229C05000000", "no day 2026-02-29"),
        ("SPXW261120X05000000", "is no option symbol"),
        ("SPXW261120C5000", "is no option symbol"),
        ("SPXW261120C00000000", "its strike is 0"),
        ("TOOLONG261120C05000000", "longer than six"),
        ("spxw261120C05000000", "is no option symbol"),
        ("SPXW２61120C05000000", "is no option symbol"),  # a digit of another script
        ("SPXW261120C0500000٠", "is no option symbol"),
        ("261120C05000000", "is no option symbol"),
        ("IBM1327Y125", "is no option symbol"),  # no month has the letter Y
        ("IBM1332L125", "no day 2013-12-32"),
        ("x" * 5000, "is no option symbol"),
        ("SPXW\n261120C05000000", "is no option symbol"),
    ],
)
def test_what_is_no_symbol_gets_one_clear_line(text, says):
    with pytest.raises(DataError, match=says) as caught:
        parse_occ(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_the_old_style_needs_hints_and_is_marked():
    january = parse_occ("IBMAF", reference=date(2009, 11, 3), near=123.0)
    assert january == OccSymbol("IBM", date(2010, 1, 16), CALL, 130.0, exact=False)
    for hints in ({}, {"reference": date(2009, 11, 3)}, {"near": 123.0}, {"reference": date(2009, 11, 3), "near": math.nan}):
        with pytest.raises(DataError, match="neither its year nor its strike; give a reference date and a price near the strike"):
            parse_occ("IBMAF", **hints)


def test_the_year_of_an_old_symbol_is_the_next_such_expiry():
    assert parse_occ("IBMAF", reference=date(2010, 1, 16), near=130).expiry == date(2010, 1, 16)
    assert parse_occ("IBMAF", reference=date(2010, 1, 17), near=130).expiry == date(2011, 1, 22)
    assert parse_occ("IBMXF", reference=date(2009, 12, 1), near=130) == OccSymbol("IBM", date(2009, 12, 19), PUT, 130.0, exact=False)


@pytest.mark.parametrize(
    ("letter", "near", "strike"),
    [("A", 4, 5), ("A", 54, 5), ("A", 55, 5), ("A", 56, 105), ("T", 99, 100), ("T", 151, 200), ("U", 8, 7.5), ("U", 36, 37.5),
     ("Z", 121, 122.5), ("F", 790, 830), ("F", 779, 730), ("F", 1, 30)],
)
def test_the_strike_of_an_old_symbol_is_the_nearest_that_its_letter_can_mean(letter, near, strike):
    assert parse_occ(f"QQQA{letter}", reference=date(2009, 1, 2), near=float(near)).strike == strike


def test_styles_refuse_what_they_cannot_say():
    monthly = date(2010, 1, 16)
    for symbol, style, says in [
        (OccSymbol("X", monthly, CALL, 100_000.0), "occ", "does not fit"),
        (OccSymbol("X", monthly, CALL, 0.0001), "occ", "does not fit"),
        (OccSymbol("X", monthly, CALL, 1.00005), "occ", "does not fit"),
        (OccSymbol("X", monthly, CALL, math.nan), "occ", "does not fit"),
        (OccSymbol("X", date(2080, 1, 19), CALL, 5.0), "occ", "1980 to 2079"),
        (OccSymbol("2SPX", monthly, CALL, 5.0), "opra", "FLEX root 2SPX"),
        (OccSymbol("GOOG", monthly, CALL, 5.0), "old", "one to three letters"),
        (OccSymbol("GO1", monthly, CALL, 5.0), "old", "one to three letters"),
        (OccSymbol("IBM", date(2010, 1, 15), CALL, 5.0), "old", "dated on a Saturday"),
        (OccSymbol("IBM", monthly, CALL, 7.0), "old", "no letter stands for a strike of 7"),
        (OccSymbol("IBM", monthly, CALL, 2.5), "old", "no letter stands"),
    ]:
        with pytest.raises(DataError, match=says):
            format_occ(symbol, style)


@pytest.mark.parametrize(("root", "expiry", "right", "strike", "says"), [
    ("TOOLONG", date(2026, 11, 20), CALL, 5.0, "root 'TOOLONG' does not fit an option symbol; it has one to six characters"),
    ("", date(2026, 11, 20), CALL, 5.0, "root '' does not fit"),
    ("SPXW", date(2080, 1, 19), CALL, 5.0, "expiry 2080-01-19 does not fit an option symbol; its two digits mean 1980 to 2079"),
    ("SPXW", date(2026, 11, 20), "X", 5.0, "right 'X' does not fit an option symbol; it is C or P"),
    *(("SPXW", date(2026, 11, 20), CALL, strike, f"strike {strike!r} does not fit an option symbol; it has five digits before and three behind the point")
      for strike in (0.0, -5.0, 100_000.0, 99_999.9996, 33.3333, math.nan, math.inf)),
])
def test_what_has_no_room_in_a_symbol_is_refused_by_its_field(root, expiry, right, strike, says):
    for name in (lambda: occ_symbol(root, expiry, right, strike), lambda: str(OccSymbol(root, expiry, right, strike))):
        with pytest.raises(DataError) as refused:
            name()
        assert str(refused.value).startswith(says)


def test_the_widest_that_fits_is_named():
    assert occ_symbol("SPXPM1", date(2079, 12, 31), Right.PUT, 99_999.999) == "SPXPM1791231P99999999"
    assert occ_symbol("F", date(1980, 1, 1), "C", 0.001) == "F800101C00000001"  # a right as it is written is one, too


@pytest.mark.parametrize(
    ("root", "underlying", "exercise", "settlement", "settles", "late"),
    [
        ("SPX", "SPX", Exercise.EUROPEAN, Settlement.CASH, "monthly", True),
        ("SPXW", "SPX", Exercise.EUROPEAN, Settlement.CASH, "pm", True),
        ("NDX", "NDX", Exercise.EUROPEAN, Settlement.CASH, "monthly", True),
        ("NDXP", "NDX", Exercise.EUROPEAN, Settlement.CASH, "pm", True),
        ("RUTW", "RUT", Exercise.EUROPEAN, Settlement.CASH, "pm", True),
        ("VIX", "VIX", Exercise.EUROPEAN, Settlement.CASH, "am", True),
        ("VIXW", "VIX", Exercise.EUROPEAN, Settlement.CASH, "am", True),
        ("XSP", "XSP", Exercise.EUROPEAN, Settlement.CASH, "pm", True),
        ("DJX", "DJX", Exercise.EUROPEAN, Settlement.CASH, "monthly", True),
        ("OEX", "OEX", Exercise.AMERICAN, Settlement.CASH, "pm", True),
        ("XEO", "OEX", Exercise.EUROPEAN, Settlement.CASH, "pm", True),
        ("SPY", "SPY", Exercise.AMERICAN, Settlement.PHYSICAL, None, True),
        ("GOOG", "GOOG", Exercise.AMERICAN, Settlement.PHYSICAL, None, False),
        ("SPY7", "SPY", Exercise.AMERICAN, Settlement.PHYSICAL, None, True),
    ],
)
def test_what_a_root_says(root, underlying, exercise, settlement, settles, late):
    terms = root_terms(root)
    assert (terms.underlying, terms.exercise, terms.settlement, terms.settles, terms.late) == (underlying, exercise, settlement, settles, late)
    assert terms.index == (settlement is Settlement.CASH)
    if terms.adjusted:
        assert math.isnan(terms.multiplier) and terms.reason is Reason.ADJUSTED_CONTRACT
    else:
        assert terms.multiplier == 100.0 and terms.reason is None


def test_a_root_in_no_table_can_be_said_to_be_an_indexs():
    assert root_terms("ZZZ").settlement is Settlement.PHYSICAL
    terms = root_terms("ZZZ", index=True)
    assert (terms.settlement, terms.exercise, terms.settles, terms.underlying) == (Settlement.CASH, Exercise.EUROPEAN, "pm", "ZZZ")


@pytest.mark.parametrize("root", ["", "spx", "SPX W", "TOOLONG", "12", "A12", "É"])
def test_what_is_no_root(root):
    with pytest.raises(DataError, match="is no option root"):
        root_terms(root)


def test_the_tables_are_the_only_ones():
    assert set(INDEX_OF) <= set(INDEX_ROOTS) and not set(INDEX_ROOTS) & BROAD_ETF_ROOTS
    assert clock.INDEX_ROOTS is INDEX_ROOTS and clock.BROAD_ETF_ROOTS is BROAD_ETF_ROOTS
    assert types.occ_symbol is occ_symbol and types.Right is Right and types.Exercise is Exercise and types.Settlement is Settlement


def test_adjusted_roots_keep_the_hours_of_the_plain_one():
    day = date(2021, 1, 15)
    for root in ("SPY", "SPXW", "GOOG"):
        assert clock.expiry_close(day, root + "7") == clock.expiry_close(day, root)
        assert clock.option_close(root + "7", day) == clock.option_close(root, day)
    assert (plain_root("GOOG1"), plain_root("GOOG"), plain_root("7")) == ("GOOG", "GOOG", "7")


def test_it_costs_nothing_to_import():
    code = "import quanticity.core.occ, sys; assert not {'numpy', 'zoneinfo', 'json', 'pandas'} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("symbol", [*INDEX_ROOTS, *sorted(BROAD_ETF_ROOTS), "GOOG", "SIM", "F", "BRK.B", "BRK/B", "BRK^B", "^VIX", "^SPXPM1", "GOOG1", "AAPL7", "2SPX", "S01", "ABCDEF"])
def test_a_symbol_that_is_one(symbol: str) -> None:
    assert symbol_of(symbol) == symbol == symbol_of(symbol.lower())


@pytest.mark.parametrize("text", ["", " ", "A B", "a:b", "ÄÖ", "ß", "ı", "٣", "a/../b", "../../EVIL", "..", "/A", "A/", "A//B", "BRK.", "^", "^^A", "A*", "A?", "GOOG\n",
                                  "\\A", "A\x00", "TOOLONGSYM", "ABCDEFG", "^ABCDEFG", "x" * 5000])
def test_a_symbol_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match="is no symbol; a symbol is 1 to 6 capital letters or digits") as refused:
        symbol_of(text)
    assert len(str(refused.value)) < 250 and "\n" not in str(refused.value)
