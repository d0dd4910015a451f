"""The site draws every formula of the notebooks and guides with Matplotlib, which knows less than LaTeX; what it does not know fails here."""

import json
import re
import sys
from pathlib import Path

import pytest
from matplotlib.mathtext import MathTextParser

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import mathtext  # noqa: E402

PARSER = MathTextParser("path")
BOOKS = sorted(path for path in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def formulas(text: str) -> list[str]:
    """Lines of formulas between dollars in Markdown, code left out."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    found = [a or b for a, b in re.findall(r"\$\$((?:\\\$|[^$])+)\$\$|(?<!\\)\$((?:\\\$|[^$\n])+)\$", prose)]
    return [line for tex in found for line in re.split(r"\\\\(?:\[[^\]]*\])?", tex) if line.strip()]


def test_formulas_are_found() -> None:
    assert formulas(r"a $x^2$ and `$no$` and $$y \\ z$$, 5 \$ and $\mathrm{A\$}$") == ["x^2", "y ", " z", r"\mathrm{A\$}"]
    with pytest.raises((ValueError, RuntimeError)):
        PARSER.parse(mathtext.plain(r"\begin{cases} 1 \end{cases}"))


def test_every_formula_can_be_drawn() -> None:
    texts = {str(book.relative_to(ROOT)): "\n\n".join("".join(cell["source"]) for cell in json.loads(book.read_text())["cells"] if cell["cell_type"] == "markdown")
             for book in BOOKS}
    texts |= {str(page.relative_to(ROOT)): page.read_text() for page in sorted((ROOT / "docs").rglob("*.md"))}
    assert sum(len(formulas(text)) for text in texts.values()) > 100
    failed = []
    for name, text in texts.items():
        for line in dict.fromkeys(formulas(text)):
            try:
                PARSER.parse(mathtext.plain(line))
            except (ValueError, RuntimeError) as error:
                failed.append(f"{name}: {line.strip()}: {str(error).splitlines()[-1]}")
    assert failed == []
