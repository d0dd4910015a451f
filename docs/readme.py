"""Generate README.md from nbs/index.ipynb, and docs/reference/reasons.md from quanticity.core.reasons."""

import argparse
import json
import posixpath
import re
import sys
from pathlib import Path

import reasons

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = "nbs/index.ipynb"
HEAD = f"<!-- Generated from {NOTEBOOK} by docs/readme.py (make readme); do not edit. -->\n\n"
LINK = re.compile(r"(?<=\]\()(?!#|[a-z]+:)([^)\s#]+)")


class Problem(Exception):
    """What keeps a page from being generated, in one line."""


def from_root(found: re.Match[str]) -> str:
    """A link that is relative to the notebook's folder, made relative to the project's; Problem where nothing is there."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(NOTEBOOK), found[1]))
    if path.startswith("..") or not (ROOT / path).exists():
        raise Problem(f"{NOTEBOOK} links to {found[1]}, which is not there")
    return path


def readme() -> str:
    """The README: markdown cells with their links mended, code cells as Python blocks, hidden cells left out."""
    parts = []
    for cell in json.loads((ROOT / NOTEBOOK).read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(LINK.sub(from_root, text))
        elif cell["cell_type"] == "code" and not re.match(r"#\| *(hide|default_exp)", text):
            parts.append(f"```python\n{text}\n```")
    return HEAD + "\n\n".join(parts) + "\n"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a page is out of step")
    options = parser.parse_args()
    stale = 0
    for name, page in (("README.md", readme), ("docs/reference/reasons.md", reasons.page)):
        path = ROOT / name
        try:
            text = page()
        except (Problem, reasons.Problem) as problem:
            print(f"{name}: {problem}", file=sys.stderr)
            return 1
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if options.check:
            print(f"{name} is out of step: run make readme", file=sys.stderr)
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return stale


if __name__ == "__main__":
    sys.exit(main())
