"""The parameters of a report are a contract."""

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from quanticity.core.errors import DataError, UserError
from quanticity.reports.runner import check_parameters, parameter_contract, run_report

SESSION = Path(__file__).parents[2] / "nbs" / "reports" / "session.ipynb"


def book(folder: Path, parameters: str, tagged: bool = True) -> Path:
    cell = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]} if tagged else {})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / "book.ipynb")
    return folder / "book.ipynb"


def test_the_session_reports_contract() -> None:
    contract = parameter_contract(SESSION)
    assert contract["run_dir"].required and contract["run_dir"].annotation == "str"


@pytest.mark.parametrize(("given", "told"), [
    ({"run_dri": "x"}, "no parameter 'run_dri'; did you mean 'run_dir'"), ({"zzz": 1}, "it has: run_dir"), ({}, "needs the parameter 'run_dir'"),
    ({"run_dir": 3}, "is str, got int 3"), ({"run_dir": Path("x")}, "is str, got "), ({"run_dir": "x", "smile_expiries": "5"}, "is int, got str '5'"),
    ({"run_dir": "x", "smile_expiries": True}, "is int, got bool"), ({"run_dir": "x", "smile_expiries": 5.0}, "is int, got float"),
    ({"run_dir": None}, "is str, got NoneType")])
def test_wrong_parameters_are_refused_before_anything_runs(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        run_report(SESSION, given, tmp_path / "out")
    assert told in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["papermill", "nbformat"])
def test_a_package_that_is_missing_is_one_line_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"a report needs the package {package}, .*; run make setup"):
        run_report(book(tmp_path, "x: int = 1") if package == "papermill" else SESSION, {"x": 1}, tmp_path / "out")


@pytest.mark.parametrize(("annotation", "good", "bad"), [
    ("float", [1, 1.5], ["1", True, None]), ("bool", [True], [1, "yes"]), ("str | None", ["a", None], [1]), ("list[int]", [[], [1]], [[1.5], (1,)]),
    ("dict[str, float]", [{"a": 1}], [{1: 1.0}, {"a": "b"}]), ("list[str | None]", [["a", None]], [[1]]), ("list", [[1, "a"]], ["a"])])
def test_types(tmp_path: Path, annotation: str, good: list[Any], bad: list[Any]) -> None:
    path = book(tmp_path, f"value: {annotation}")
    for value in good:
        assert check_parameters(path, {"value": value}) == {"value": value}
    for value in bad:
        with pytest.raises(UserError, match="'value'"):
            check_parameters(path, {"value": value})


@pytest.mark.parametrize(("source", "told"), [
    ("x = 1", "write `name: type`"), ("x: date", "cannot be checked"),
    ("x: list[int, int]", "cannot be checked"), ("x: 'str' = 'a'", "cannot be checked"),
    ("x: int = 1.5", "its type is int"), ("x: int = len('a')", "not a literal"), ("import os", "write `name: type`"), ("x: int =", "not Python")])
def test_an_unclear_contract_is_refused(tmp_path: Path, source: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        parameter_contract(book(tmp_path, source))


def test_the_cell_is_known_by_tag_or_directive(tmp_path: Path) -> None:
    assert parameter_contract(book(tmp_path, "#| parameters\nx: int = 1", tagged=False))["x"].default == 1
    with pytest.raises(DataError, match="0 cells tagged"):
        parameter_contract(book(tmp_path, "x: int = 1", tagged=False))


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    path = book(tmp_path, '"""What it is."""\nx: int\ny: float = -0.5\nz: dict[str, int] = {"a": 1}')
    assert check_parameters(path, {"x": 2}) == {"x": 2, "y": -0.5, "z": {"a": 1}}
