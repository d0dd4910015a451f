"""Build the documentation site: docs/ and the executed notebooks, without network, into build/docs."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def gather(source: Path) -> Path:
    """Copy docs/ and the notebooks into `source` (made anew); return the folder of the notebooks."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("build.py", "readme.py", "__pycache__"))
    books = source / "notebooks"
    shutil.copytree(ROOT / "nbs", books, ignore=shutil.ignore_patterns("reports", ".*", "_proc", "index.ipynb"))
    relink(source)
    return books


def relink(source: Path) -> None:
    """Links of the pages to notebooks lead to nbs/ beside docs/, so that they work in the repository; on the site these are in notebooks/."""
    for page in source.rglob("*.md"):
        up = "../" * len(page.relative_to(source).parent.parts)
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(f"](../{up}nbs/", f"]({up}notebooks/"), encoding="utf-8")


def execute(books: Path, workers: int) -> None:
    """Run every notebook and keep its outputs; ends the program with status 1 where one fails."""
    command = [str(Path(sys.executable).with_name("nbdev-test")), str(books), "--save", "--n-workers", str(workers)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit("docs: a notebook failed (above); the site is not built")


def report(books: Path, work: Path) -> None:
    """Run the session report on the invented example run, and take the executed notebook into the site."""
    sys.path.insert(0, str(ROOT))
    from quanticity.reports.layout import write_example
    from quanticity.reports.runner import run_report

    run = write_example(work / "example-run")
    made = run_report(ROOT / "nbs" / "reports" / "session.ipynb", {"run_dir": str(run)}, work / "example-report")
    (books / "reports").mkdir()
    shutil.copy(made.notebook, books / "reports" / "session.ipynb")


def tidy(book: Path) -> None:
    """What a reader of the site need not see: directives, cells of hidden tests, injected parameters, raw cells."""
    content: dict[str, Any] = json.loads(book.read_text(encoding="utf-8"))
    kept = []
    for cell in content["cells"]:
        lines = "".join(cell["source"]).splitlines()
        directives = {line[2:].strip().split(":")[0].split(" ")[0] for line in lines if line.startswith("#|")}
        injected = "injected-parameters" in cell["metadata"].get("tags", ())
        cell["metadata"].pop("execution", None)  # nbdev's timings, in a form that nbformat refuses
        if cell["cell_type"] == "raw" or injected or directives & {"default_exp", "hide"}:
            continue
        if cell["cell_type"] == "code":
            cell["source"] = "\n".join(line for line in lines if not line.startswith("#|")).strip("\n")
        if cell["cell_type"] != "code" or cell["source"]:
            kept.append(cell)
    titled = any(cell["cell_type"] == "markdown" and "".join(cell["source"]).startswith("# ") for cell in kept)
    if not titled:
        kept.insert(0, {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {book.stem.title()} report"})
    content["cells"] = kept
    content["metadata"]["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book.write_text(json.dumps(content), encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "docs", help="where the site goes (default: build/docs)")
    parser.add_argument("--workers", type=int, default=2, help="notebooks run at once (default: 2)")
    parser.add_argument("--no-execute", action="store_true", help="leave the notebooks' outputs out (quick look at the prose)")
    options = parser.parse_args()
    work = ROOT / "build"
    books = gather(work / "docs-src")
    if not options.no_execute:
        print("docs: running the notebooks")
        execute(books, options.workers)
        report(books, work)
    for book in sorted(books.rglob("*.ipynb")):
        tidy(book)
    from plotly.offline import get_plotlyjs

    (work / "docs-src" / "_static" / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    print("docs: building the site")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-d", str(work / "doctrees"), str(work / "docs-src"), str(options.out)]
    if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(code)
    print(f"docs: {options.out / 'index.html'}")


if __name__ == "__main__":
    main()
