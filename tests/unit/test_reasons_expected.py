"""Every reason code is expected by some test: named in an assertion, or in a table of cases that assertions go through. A new member of the enumeration fails here until a test expects it.

This is read from the tests' own text: that what they expect is produced, they prove themselves when they run.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from quanticity.core.reasons import Reason

TESTS = Path(__file__).parents[1]
HERE = {Path(__file__).name, "test_errors_reasons.py"}  # the enumeration's own tests name members without producing them


def named(pieces: list[ast.AST]) -> set[Reason]:
    """The members that pieces of code name: `Reason.NO_BID`, or the code as a text of its own."""
    nodes = {n for piece in pieces for n in ast.walk(piece)}
    members = {n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in ("Reason", "R")}
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {r for r in Reason if r.name in members or ("_" in r.value and r.value in texts)}  # words of one part may mean anything


def expectations(tree: ast.Module) -> list[ast.AST]:
    """Assertions, decorators (cases by parametrization), tables of the module, and comparisons of helpers."""
    found: list[ast.AST] = [n for n in ast.walk(tree) if isinstance(n, ast.Assert | ast.Compare)]
    found += [d for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) for d in n.decorator_list]
    return found + [n for n in tree.body if isinstance(n, ast.Assign | ast.AnnAssign)]


@cache
def expected() -> dict[Reason, list[str]]:
    """Where each reason is expected."""
    out: dict[Reason, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if path.name not in HERE:
            for reason in named(expectations(ast.parse(path.read_text()))):
                out.setdefault(reason, []).append(str(path.relative_to(TESTS)))
    return out


@pytest.mark.parametrize("reason", list(Reason))
def test_some_test_expects_it(reason: Reason) -> None:
    assert expected().get(reason), f"no test expects {reason.name}: write one that makes it happen"


def test_naming_is_not_expecting() -> None:
    given = ast.parse("skip = Skip('a', Reason.NO_BID)\ndef test_it():\n    x = Reason.GAP\n    assert f(x) == Reason.NO_ASK\n")
    assert named(expectations(given)) >= {Reason.NO_ASK} and Reason.GAP not in named(expectations(given))
