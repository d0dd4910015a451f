"""Write what the guide `docs/guides/replay.md` and the README quote of the seed-7 session from a run of it: nobody has to keep ids in step.

`make readme` runs it. With `--check RUN` nothing is written; what the guide quotes is compared with that run, which
`quanticity replay --source sim --seed 7` made (a test does so).
"""

import argparse
import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "guides" / "replay.md"
INDEX = ROOT / "nbs" / "index.ipynb"
FENCE = "```"


def what(event: dict[str, Any]) -> str:
    """An order, a fill, a cancel or a delivery in a few words."""
    data = event["data"]
    if event["kind"] == "order":
        prices = [f"{words} {data[key]:.2f}" for key, words in (("limit_price", "at"), ("stop_price", "when the other side touches")) if data[key] is not None]
        return f"{data['side']} {data['quantity']} {' '.join(prices)}" + (f", works until {data['good_till'][11:16]}" if data["good_till"] else "")
    if event["kind"] == "fill":
        return f"{data['quantity']} at {data['price']:.2f}"
    if event["kind"] == "cancel":
        return f"{data['reason']} after {data['filled']}, obstacle {data['obstacle']}"
    return ""


def examples(folder: Path) -> dict[str, str]:
    """The guide's examples, by name, from a run's folder."""
    sys.path.insert(0, str(ROOT))
    from quanticity.reports.run import load_run
    from quanticity.research.runs import tree

    events = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    first = next(event for event in events if event["kind"] == "fill")
    signal = first["data"]["signal_id"]
    message = f"msg:{signal}:opened"
    lines = [f"{e['ts'][11:16]} {e['kind']:<9} {e['id'].replace(signal, '...') if e['kind'] != 'signal' else signal:<28} {what(e)}".rstrip()
             for e in events if signal in e["id"]]
    note = next((folder / "deliveries" / "premium").glob(f"*{message.replace(':', '-')}.txt"))
    return {
        "fill": f"{FENCE}json\n" + "\n".join(textwrap.wrap(json.dumps(first), 110, break_long_words=False, break_on_hyphens=False)) + f"\n{FENCE}",
        "walk": f"{FENCE}python\nfrom quanticity.reports.run import load_run\nfrom quanticity.research.runs import tree\n\n"
                f'run = load_run("runs/sim")\nprint(tree(run, "{message}@premium/file"))\n{FENCE}\n\n'
                f"{FENCE}text\n{tree(load_run(folder), f'{message}@premium/file')}\n{FENCE}",
        "life": f"{FENCE}text\n" + "\n".join(lines) + f"\n{FENCE}",
        "delivery": f"`deliveries/premium/{note.name}` is due time and message; its text:\n\n{FENCE}text\n{note.read_text().rstrip()}\n{FENCE}",
    }


def with_examples(page: str, found: dict[str, str]) -> str:
    """The page with what stands between `<!-- example NAME -->` and `<!-- end -->` put in anew."""
    for name, text in found.items():
        page, times = re.subn(rf"(<!-- example {name} -->\n).*?(\n<!-- end -->)", lambda m: m[1] + text + m[2], page, flags=re.S)  # noqa: B023
        if times != 1:
            raise SystemExit(f"{GUIDE} has {times} places for the example {name}")
    return page


def demo_says(folder: Path) -> str:
    """What `make demo` prints of such a session."""
    from quanticity.app.cli import show_summary
    from quanticity.core.project import NO_RECORDED_FOLDER

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        show_summary(json.loads((folder / "summary.json").read_text()), Path("runs/demo"))
    lines = [line for line in said.getvalue().splitlines() if not line.startswith("  time ")]  # another on every machine
    head = f"quanticity demo: a simulated session, since the recorded GOOG day is not at hand: {NO_RECORDED_FOLDER}"
    return "\n".join([f"{FENCE}text", head, *lines, "  report: runs/demo/report.html", "          runs/demo/report.pdf", FENCE])


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=Path, help="compare the guide with this run and write nothing; exit code 1 where it is out of step")
    options = parser.parse_args()
    page = GUIDE.read_text(encoding="utf-8")
    if options.check:
        stale = [f"{GUIDE.relative_to(ROOT)} ({name})" for name, text in examples(options.check).items() if text not in page]
        stale += ["README.md"] * (demo_says(options.check) not in (ROOT / "README.md").read_text(encoding="utf-8"))
        if stale:
            print(f"out of step with what the seed-7 session is now: {', '.join(stale)}: run make readme", file=sys.stderr)
        return bool(stale)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "sim"
        command = [str(Path(sys.executable).with_name("quanticity")), "replay", "--source", "sim", "--seed", "7", "--out", str(run), "--no-report"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        GUIDE.write_text(with_examples(page, examples(run)), encoding="utf-8")
        book = json.loads(INDEX.read_text(encoding="utf-8"))
        for cell in book["cells"]:
            text, pattern = "".join(cell["source"]), rf"{FENCE}text\nquanticity demo: .*?{FENCE}"
            if re.search(pattern, text, flags=re.S):
                says = demo_says(run)
                cell["source"] = re.sub(pattern, lambda _: says, text, flags=re.S).splitlines(keepends=True)  # noqa: B023
        INDEX.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
