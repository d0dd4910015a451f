"""Option symbols: whatever can be written reads back as what it was, in every style and by both readers."""

from datetime import date, timedelta

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quanticity.core.errors import DataError
from quanticity.core.occ import OccSymbol, Right, format_occ, parse_occ, root_terms
from quanticity.market.listing import contracts_by_root, split_symbols

ROOTS = st.from_regex(r"[A-Z][A-Z.]{0,4}[0-9]?", fullmatch=True)
SYMBOLS = st.builds(OccSymbol, ROOTS, st.dates(date(1980, 1, 1), date(2079, 12, 31)), st.sampled_from(Right),
                    st.integers(1, 99_999_999).map(lambda thousandths: thousandths / 1000))


@settings(deadline=None, max_examples=300)
@given(SYMBOLS, st.sampled_from(["occ", "padded", "opra"]))
def test_round_trip(symbol, style):
    text = format_occ(symbol, style)
    assert parse_occ(text) == symbol
    assert style != "padded" or len(text) == 21
    assert parse_occ(f" {text}\n") == symbol


@settings(deadline=None, max_examples=300)
@given(st.from_regex(r"[A-Z]{1,3}", fullmatch=True), st.integers(1990, 2010), st.integers(1, 12), st.sampled_from(Right), st.integers(2, 400), st.integers(0, 300),
       st.floats(-0.99, 0.99))
def test_the_old_style_round_trips_with_hints(root, year, month, right, steps, before, off):
    strike = 2.5 * steps
    first = date(year, month, 1)
    expiry = first + timedelta(days=(4 - first.weekday()) % 7 + 15)
    symbol = OccSymbol(root, expiry, right, strike, exact=False)
    try:
        text = format_occ(symbol, "old")
    except DataError:
        assume(False)
    wide = 50 if strike % 5 == 0 else 15  # half the distance between two strikes of one letter
    near = max(strike + off * wide, 0.1)
    assert parse_occ(text, reference=expiry - timedelta(days=before), near=near) == symbol


@settings(deadline=None, max_examples=100)
@given(st.lists(SYMBOLS, min_size=1, max_size=30), st.lists(st.sampled_from(["occ", "padded", "opra"]), min_size=30, max_size=30))
def test_columns_read_what_one_by_one_reads(symbols, styles):
    texts = [format_occ(symbol, style) for symbol, style in zip(symbols, styles)]
    columns = split_symbols(texts)
    for row, symbol in enumerate(symbols):
        assert columns.root[row].decode() == symbol.root
        assert date(1970, 1, 1) + timedelta(days=int(columns.expiry_day[row])) == symbol.expiry
        assert columns.strike[row] == symbol.strike and columns.is_call[row] == (symbol.right is Right.CALL)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.builds(OccSymbol, ROOTS, st.dates(date(2024, 1, 1), date(2026, 12, 31)), st.sampled_from(Right),
                          st.integers(1, 99_999_999).map(lambda t: t / 1000)), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_every_row_finds_its_contract_and_order_does_not_count(symbols, random):
    texts = [str(symbol) for symbol in symbols]
    found = contracts_by_root(texts)
    seen = []
    for root, listed in found.items():
        names = listed.contracts.occ()
        assert [names[i] for i in listed.index] == [texts[row] for row in listed.rows]
        assert len(set(names)) == len(names) and listed.repeated == len(listed.rows) - len(names)
        assert listed.contracts.underlying == root_terms(root).underlying
        seen += listed.rows.tolist()
    assert sorted(seen) == list(range(len(texts)))
    random.shuffle(texts)
    again = contracts_by_root(texts)
    assert list(again) == list(found)
    for root in found:
        assert again[root].contracts.occ() == found[root].contracts.occ()
        np.testing.assert_array_equal(again[root].contracts.expires_at, found[root].contracts.expires_at)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=25))
def test_any_text_is_a_symbol_or_one_line(text):
    try:
        symbol = parse_occ(text)
    except DataError as error:
        assert "\n" not in str(error)
        return
    assert parse_occ(format_occ(symbol)) == symbol
