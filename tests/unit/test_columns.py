from datetime import date

import pytest

from quanticity.store.columns import ColumnKind, arrow_column, arrow_table


@pytest.mark.parametrize(("kind", "values"), [
    (ColumnKind.FLOAT, [1.5, -0.0, 1e300]), (ColumnKind.INT, [0, -(2**62)]), (ColumnKind.TEXT, ["", "Straße", None, "x" * 1000]),
    (ColumnKind.BOOL, [True, False, None] * 5), (ColumnKind.DATE, [date(1969, 12, 31), None, date(2100, 1, 1)]), (ColumnKind.FLOATS, [[1.0], [], None, [2.0, 3.0]])])
def test_values_come_back(kind: ColumnKind, values: list[object]) -> None:
    column = arrow_column(values, kind)
    column.validate(full=True)
    assert column.to_pylist() == values
    assert len(arrow_column([], kind)) == 0


def test_a_missing_float_is_nan_and_a_missing_whole_number_is_refused() -> None:
    assert arrow_column([None], ColumnKind.FLOAT).to_pylist()[0] != arrow_column([None], ColumnKind.FLOAT).to_pylist()[0]
    for kind in (ColumnKind.INT, ColumnKind.TIME):
        with pytest.raises(ValueError, match="missing value"):
            arrow_column([1, None], kind)


def test_a_table_keeps_the_order_given_and_appends_what_is_new() -> None:
    table = arrow_table([{"b": 1.0}, {"a": "x", "c": 2}], {"a": ColumnKind.TEXT, "b": ColumnKind.FLOAT})
    assert table.column_names == ["a", "b", "c"] and table["a"].to_pylist() == [None, "x"]
