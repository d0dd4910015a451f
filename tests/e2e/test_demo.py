"""`quanticity demo`: one Prefect flow run takes a day to a rendered report."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from ..support.processes import descendants, left_after
from .support import COMMAND, environment, one_line, quanticity

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    done = quanticity(folder, "demo", "--seed", 7, "--out", folder / "run", timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def flow_runs(folder: Path) -> list[str]:
    """The states of the flow runs that Prefect's database under `folder` knows."""
    with closing(sqlite3.connect(f"file:{folder / 'state' / 'prefect' / 'prefect.db'}?mode=ro", uri=True)) as database:
        return [state for (state,) in database.execute("select state_type from flow_run")]


def test_says_which_day_and_where_the_report_is(demo: tuple[Path, str]) -> None:
    folder, said = demo
    assert "simulated session, seed 7" in said
    assert str(folder / "run" / "report.html") in said and str(folder / "run" / "report.pdf") in said
    for row in ("emitted", "executed", "delivered", "profit or loss"):
        assert row in said


def test_the_guides_quote_this_session_as_it_is_now(demo: tuple[Path, str]) -> None:
    done = subprocess.run([sys.executable, "docs/examples.py", "--check", str(demo[0] / "run")], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_one_flow_run_with_replay_and_report(demo: tuple[Path, str]) -> None:
    database = sqlite3.connect(f"file:{demo[0] / 'state' / 'prefect' / 'prefect.db'}?mode=ro", uri=True)
    flows = database.execute("select id, state_type from flow_run").fetchall()
    tasks = database.execute("select name, state_type, flow_run_id from task_run order by name").fetchall()
    database.close()
    assert [state for _, state in flows] == ["COMPLETED"]
    assert [(name.split("-")[0], state) for name, state, _ in tasks] == [("replay", "COMPLETED"), ("report", "COMPLETED")]
    assert {run for _, _, run in tasks} == {flows[0][0]}


def test_report_holds_its_plots(demo: tuple[Path, str]) -> None:
    run = demo[0] / "run"
    page = (run / "report.html").read_text()
    assert page.count("Plotly.newPlot") >= 8
    pdf = (run / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Subtype /Image") >= 8


def test_what_the_user_can_mend_is_one_line(demo: tuple[Path, str]) -> None:
    folder = demo[0]
    assert "/proc takes no new folders" in one_line(quanticity(folder, "demo", QUANTICITY_PATHS__RUNS_DIR="/proc/nope"))
    with socket.socket() as taken:  # only the replay within the flow finds that out
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = one_line(quanticity(folder, "demo", "--seed", 7, "--out", folder / "other", QUANTICITY_REDIS__PORT=port, timeout=400))
    assert port in said and "in use" in said and not (folder / "other").exists()
    assert flow_runs(folder).count("FAILED") == 1


def start_demo(folder: Path) -> "subprocess.Popen[bytes]":
    """A demonstration in a process of its own, its state under `folder`."""
    return subprocess.Popen([str(COMMAND), "demo", "--seed", "7", "--out", str(folder / "run")], cwd=Path(__file__).parents[2], env=environment(folder),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(child: "subprocess.Popen[bytes]", started: dict[int, str]) -> None:
    """kill -9: Prefect's server and its guard ran, and they and the state's servers are gone soon after."""
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert any("uvicorn" in command for command in started.values()) and any("sys.stdin.read" in command for command in started.values()), started
    left = left_after(started)
    assert not left, left


def test_nothing_outlives_a_demo_that_was_killed_while_its_server_came_up(tmp_path: Path) -> None:
    child, started, deadline = start_demo(tmp_path), dict[int, str](), time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline and not (tmp_path / "state" / "prefect" / "prefect.db").exists():
        time.sleep(0.02)
    while child.poll() is None and time.monotonic() < deadline and sum("uvicorn" in c or "sys.stdin.read" in c for c in started.values()) < 2:
        time.sleep(0.02)
        started |= descendants(child.pid)
    kill(child, started)


def test_nothing_outlives_a_demo_that_was_killed_within_its_flow_run(demo: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(demo[0] / "state" / "prefect", tmp_path / "state" / "prefect")  # a home that is set up
    before, deadline = len(flow_runs(tmp_path)), time.monotonic() + 120
    child = start_demo(tmp_path)
    while child.poll() is None and time.monotonic() < deadline and len(flow_runs(tmp_path)) == before:
        time.sleep(0.05)
    kill(child, descendants(child.pid))
    assert len(flow_runs(tmp_path)) == before + 1


def test_the_flow_refuses_what_it_does_not_know() -> None:
    from quanticity.app.demo import load_flow
    from quanticity.core.project import find_project

    root = find_project()
    assert root is not None
    flow = load_flow(root, {"PREFECT_LOGGING_LEVEL": "ERROR"}).session
    assert set(flow.parameters.properties) == {"source", "out", "data", "symbol", "date", "seed"}
    with pytest.raises(Exception, match="seed"):
        flow.validate_parameters({"seed": "many"})
