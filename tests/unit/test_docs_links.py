"""Every relative link of the repository's pages leads to a file, as they are read there and as the site is built of them."""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import build  # noqa: E402

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def links(page: Path) -> list[str]:
    """The relative targets of a page's links and pictures, without their anchors; code left out."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    found = re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)=\"([^\"]+)\"", prose, re.M)
    targets = ("".join(parts) for parts in found)
    return [unquote(target.partition("#")[0]) for target in targets if not re.match(r"[a-z]+:|#|//", target)]


def broken(pages: list[Path]) -> list[str]:
    return [f"{page.name}: {link}" for page in pages for link in links(page) if not (page.parent / link).exists()]


def test_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('[a](b.md#x) `[no](no.md)` ![c](d/e.png "f") [g](https://h.i) [j](#k)\n```\n[l](m.md)\n```\n[n]: o.md\n<img src="p.png">\n')
    assert links(page) == ["b.md", "d/e.png", "o.md", "p.png"]


def test_every_relative_link_of_the_repository_leads_to_a_file() -> None:
    assert sum(len(links(page)) for page in PAGES) > 40
    assert broken(PAGES) == []


@pytest.mark.parametrize(("page", "before", "after"), [
    ("guides/analysis.md", "[a](../../nbs/75_reports/b.ipynb)", "[a](../notebooks/75_reports/b.ipynb)"),
    ("guides/strategies/moc.md", "[a](../../../nbs/b.ipynb#c), [d](../../../nbs/e.ipynb)", "[a](../../notebooks/b.ipynb#c), [d](../../notebooks/e.ipynb)"),
    ("page.md", "[a](../nbs/b.ipynb), [c](guides/d.md), `../nbs`", "[a](notebooks/b.ipynb), [c](guides/d.md), `../nbs`")])
def test_the_site_has_the_notebooks_elsewhere(tmp_path: Path, page: str, before: str, after: str) -> None:
    (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / page).write_text(before)
    build.relink(tmp_path)
    assert (tmp_path / page).read_text() == after


def test_every_relative_link_of_the_site_leads_to_a_file(tmp_path: Path) -> None:
    books = build.gather(tmp_path / "site")
    assert (books / "30_analytics" / "30_pricing.ipynb").is_file()
    guides = sorted((tmp_path / "site").rglob("*.md"))
    assert len(guides) > 20 and broken(guides) == []
