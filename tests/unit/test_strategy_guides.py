"""The operators' playbooks are in step with the strategies: parameters and defaults, inputs and fallbacks, windows, and every reason that a strategy or its playbook gives."""

import importlib
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from quanticity.core.reasons import Reason
from quanticity.playbooks import playbook as gates
from quanticity.strategies import entry, inputs

GUIDES = Path(__file__).parents[2] / "docs" / "guides" / "strategies"
NAMES = ("zero_dte", "one_dte", "fourteen_dte", "moc", "wall_pin")
PLAYBOOKS = {"wall_pin": "zero_dte"}  # the playbook it runs under, where that is not its own


def rows(name: str, heading: str) -> list[list[str]]:
    """The cells of the tables under a heading, without their first two lines."""
    text = (GUIDES / f"{name}.md").read_text()
    part = re.split(r"^## ", text.split(f"## {heading}\n")[1], flags=re.M)[0]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return [row for row in table if row[0].startswith("`")]


def strategy(name: str):
    return importlib.import_module(f"quanticity.strategies.{name}")


def test_there_is_one_for_each():
    assert sorted(p.stem for p in GUIDES.glob("*.md")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_stands_there_with_its_default(name):
    said = {row[0].strip("`"): row[1] for row in rows(name, "Parameters")}
    parameters = strategy(name).Parameters()
    assert said == {f.name: f"{getattr(parameters, f.name):g}" for f in fields(parameters)}


@pytest.mark.parametrize("name", NAMES)
def test_every_input_stands_there_with_its_fallback(name):
    assert {row[0].strip("`"): row[1] for row in rows(name, "What it reads")} == {i.name: i.fallback.value for i in strategy(name).INPUTS}


def given_by(module) -> set[str]:
    """The reasons that a module's code names."""
    return {Reason[code].value for code in re.findall(r"Reason\.([A-Z_]+)", inspect.getsource(module))}


@pytest.mark.parametrize("name", NAMES)
def test_every_reason_it_can_give_is_explained_and_no_other(name):
    book = importlib.import_module(f"quanticity.playbooks.{PLAYBOOKS.get(name, name)}").PLAYBOOK
    can = given_by(strategy(name)) | given_by(gates) | given_by(entry)
    if any(i.fallback is inputs.Fallback.REFUSE for i in strategy(name).INPUTS):
        can |= {"low_quality"}
    can -= {"safe_mode"} if book.in_safe_mode else set()
    can -= {"no_open_interest", "no_quote", "no_spot"}  # in the detail of `feature_missing`
    assert {row[0].strip("`") for row in rows(name, "Why it did nothing")} == can


@pytest.mark.parametrize("name", NAMES)
def test_the_times_of_its_window_are_told(name):
    book, text = importlib.import_module(f"quanticity.playbooks.{PLAYBOOKS.get(name, name)}").PLAYBOOK, (GUIDES / f"{name}.md").read_text()
    start = book.start_minutes_before_close if book.start_minutes_before_close < 1e9 else book.start_minutes_after_open
    when = text.split("## When it runs\n")[1].split("## ")[0]
    assert f"{start:g}" in when and f"{book.stop_minutes_before_close:g}" in when
    assert ("half of `risk.order_notional`" in when) == (book.notional_share == 0.5)
