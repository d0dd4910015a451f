"""A replay as a process: what it loads, how it ends, and that a second core changes nothing but the time."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .support import environment

# what a replay of a recorded day can do without: whoever adds one of these to its path pays for it in every replay
NEEDLESS = ("pandas", "numba", "scipy", "matplotlib", "plotly", "sklearn", "polars", "duckdb", "pandas_market_calendars", "prefect", "papermill", "nbconvert",
            "IPython", "rich", "requests", "httpx", "fsspec", "s3fs", "dask", "numpy.random", "numpy.testing", "numpy.f2py", "pyarrow.dataset", "pyarrow.compute",
            "pydantic_settings", "email_validator", "dotenv", "structlog", "multiprocessing", "sqlite3", "unittest", "doctest", "pdb", "xml.etree",
            "quanticity.app.doctor", "quanticity.app.demo", "quanticity.feeds.simulator", "quanticity.feeds.cboe", "quanticity.feeds.alphavantage",
            "quanticity.reports.session", "quanticity.research.backtest", "quanticity.store.archive", "quanticity.jobs.workers", "quanticity.jobs.imports")
REPLAY = "import sys\nfrom quanticity.app.cli import {entry}\nsys.argv = ['quanticity', *sys.argv[1:]]\n{entry}()"


def zip_of(path: Path, members: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in members.items():
            z.writestr(name, text)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own with a small recorded day of XYZ, replayed in steps of half an hour."""
    root = tmp_path_factory.mktemp("project")
    (root / "config").mkdir()
    (root / "settings.ini").touch()
    (root / "pyproject.toml").touch()
    (root / "config" / "config.yaml").write_text(f"market: {{step_seconds: 1800}}\npaths: {{state_dir: {root}/state, runs_dir: {root}/runs}}\n")
    quotes = {f"20160111_xyz_minute_quote_american_{right}_{strike}0000_20160115.csv": "".join(
        f"{34_200_000 + 60_000 * m},20000,20000,20000,20000,{m + 1},21000,21000,21000,21000,{m + 2}\n" for m in range(0, 380, 10))
        for strike in range(90, 112, 2) for right in ("call", "put")}
    bars = "".join(f"{34_200_000 + 60_000 * m},1000000,1001000,999000,{1_000_000 + 10 * m},50\n" for m in range(390))
    zip_of(root / "lean/Data/option/usa/minute/xyz/20160111_quote_american.zip", quotes)
    zip_of(root / "lean/Data/equity/usa/minute/xyz/20160111_trade.zip", {"20160111_xyz_minute_trade.csv": bars})
    return root


def run(project: Path, code: str, *arguments: object, before: str = "") -> "subprocess.CompletedProcess[str]":
    clean = {k: v for k, v in environment(project).items() if not k.startswith("QUANTICITY_PATHS")}
    return subprocess.run([sys.executable, "-c", f"{before}\n{code}", *map(str, arguments)], cwd=project, env=clean, capture_output=True, text=True, timeout=120)


def replay_of(project: Path, out: str, symbol: str = "XYZ") -> tuple[object, ...]:
    return ("replay", "--data", project, "--symbol", symbol, "--date", "2016-01-11", "--out", project / out, "--no-report")


def test_a_replay_loads_nothing_that_it_can_do_without(project: Path) -> None:
    tell = f"import atexit, sys\natexit.register(lambda: print('loaded', *(m for m in {NEEDLESS!r} if m in sys.modules)))"
    done = run(project, REPLAY.format(entry="main"), *replay_of(project, "light"), before=tell)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded", f"a replay now loads {done.stdout.splitlines()[-1].removeprefix('loaded ')}"


def test_one_core_and_two_give_the_same_run(project: Path) -> None:
    runs = {}
    for name, before in (("two", ""), ("one", "import os\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})")):
        done = run(project, REPLAY.format(entry="main"), *replay_of(project, name), before=before)
        assert done.returncode == 0, done.stderr
        summary = json.loads((project / name / "summary.json").read_text())
        assert summary["session"]["quotes"] == 38 * 22 and summary["provenance"]["data"] and summary["provenance"]["modules"]
        del summary["seconds"], summary["hashes"]["modules"], summary["provenance"]["modules"]  # the last two change where somebody edits meanwhile
        runs[name] = (summary, (project / name / "ledger.jsonl").read_bytes(), (project / name / "snapshots.parquet").read_bytes())
    assert runs["one"] == runs["two"]


def test_the_quick_end_keeps_exit_code_output_and_exit_handlers(project: Path) -> None:
    handler = "import atexit\natexit.register(lambda: print('handled'))"
    done = run(project, REPLAY.format(entry="program"), "--help", before=handler)
    assert done.returncode == 0 and "replay" in done.stdout and done.stdout.splitlines()[-1] == "handled"
    done = run(project, REPLAY.format(entry="program"), *replay_of(project, "refused", "ABC"))
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.splitlines()[-1].startswith("quanticity: no options of ABC")
    done = run(project, REPLAY.format(entry="program"), *replay_of(project, "ended"))
    assert done.returncode == 0 and done.stdout.splitlines()[-1].split()[0] in ("time", "note") and (project / "ended" / "summary.json").is_file()


@pytest.mark.skipif(os.name != "posix", reason="a pipe that nobody reads")
def test_output_that_nobody_reads_is_no_accident(project: Path) -> None:
    clean = {k: v for k, v in environment(project).items() if not k.startswith("QUANTICITY_PATHS")}
    with subprocess.Popen([sys.executable, "-c", REPLAY.format(entry="program"), "--help"], cwd=project, env=clean, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(60) in (0, 1, 120) and "Traceback" not in said
