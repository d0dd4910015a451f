"""jobs.run: the place of a run is looked at first, and what killed replays left there goes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from quanticity.core.config import Config
from quanticity.core.errors import OutputError, UsageError
from quanticity.jobs import run
from quanticity.jobs.run import ReplayRequest, check_out, scratch_folder, staged
from quanticity.store.state import State


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def dead() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def left(out: Path, process: int, name: str = "abc") -> Path:
    folder = out.with_name(f"{run._partial(out)}{process}-{name}")
    folder.mkdir(parents=True)
    (folder / "ledger.jsonl").write_text("half")
    return folder


def test_what_dead_processes_left_is_swept_and_what_others_have_is_not(tmp_path: Path) -> None:
    out = tmp_path / "run"
    gone, living = left(out, dead()), left(out, os.getppid())
    (tmp_path / ".run.partial-mine").mkdir()
    other = left(tmp_path / "run2", dead())
    with staged(out) as stage:
        assert str(os.getpid()) in stage.name
        (stage / "summary.json").write_text("{}")
    assert names(tmp_path) == sorted([".run.partial-mine", living.name, other.name, "run"]) and not gone.exists()


def test_a_run_that_was_being_replaced_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "run"
    left(out, dead(), "abc-old")
    with pytest.raises(RuntimeError), staged(out):
        raise RuntimeError("the next replay fails too")
    assert names(tmp_path) == ["run"] and (out / "ledger.jsonl").read_text() == "half"


@pytest.mark.parametrize("below", ["", "run", "a/run"])
def test_a_file_in_the_way_is_called_a_file(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    for look in (check_out, lambda out: staged(out).__enter__()):
        with pytest.raises(OutputError, match="file is a file"):
            look(tmp_path / "file" / below)
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "mine"


def test_a_place_that_takes_no_folders_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write to /proc/run: /proc takes no new folders"):
        check_out(Path("/proc/run"))


def test_to_look_writes_nothing(tmp_path: Path) -> None:
    check_out(tmp_path / "run")
    assert names(tmp_path) == []


def test_a_scratch_folder_of_a_killed_process_goes_when_the_next_is_made(tmp_path: Path) -> None:
    """A process is killed with -9 within the block: what it left is there until another begins, and then gone."""
    code = f"""
import os, signal
from pathlib import Path
from quanticity.jobs.run import scratch_folder
with scratch_folder(Path({str(tmp_path / "work")!r})) as folder:
    (folder / "deliveries.jsonl").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    (killed,) = names(tmp_path)
    with scratch_folder(tmp_path / "work") as first, scratch_folder(tmp_path / "work") as second:
        assert names(tmp_path) == sorted([first.name, second.name]) and killed not in names(tmp_path)
    assert names(tmp_path) == []


def test_a_backtest_without_a_folder_keeps_its_deliveries_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that a backtest takes by itself is such a one: what a killed backtest left in the system's folder for temporary files is cleared by the next."""
    from quanticity.core.errors import UserError
    from quanticity.research import backtest

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone, seen = left(tmp_path / "quanticity-backtest", dead()), list[str]()
    monkeypatch.setattr(backtest, "run_books", lambda sessions, config, state, books, *more, **options: seen.extend(names(tmp_path)) or [[]])
    with pytest.raises(UserError, match="at least one session"):
        backtest.backtest_together([], [backtest.Setup(Config(), ())], state=State.__new__(State))
    assert len(seen) == 1 and f"-{os.getpid()}-" in seen[0] and names(tmp_path) == [] and not gone.exists()


def test_a_run_replaces_one_of_its_own_kind_only(tmp_path: Path) -> None:
    for kind, summary in (("replay", "{}"), ("backtest", '{"kind": "backtest"}')):
        with staged(tmp_path / kind, kind) as stage:
            (stage / "summary.json").write_text(summary)
        with staged(tmp_path / kind, kind) as stage:
            (stage / "summary.json").write_text(summary)
    for there, kind in (("replay", "backtest"), ("backtest", "replay")):
        for look in (check_out, lambda out, kind: staged(out, kind).__enter__()):
            with pytest.raises(OutputError, match=f"{there} holds a {there}, which a {kind} does not replace; name another folder with --out"):
                look(tmp_path / there, kind)
    assert names(tmp_path) == ["backtest", "replay"]
    (tmp_path / "replay" / "summary.json").write_text("not JSON")
    with pytest.raises(OutputError, match="its summary.json is not a run's"):
        check_out(tmp_path / "replay")


def test_what_a_source_needs_is_named(tmp_path: Path) -> None:
    for option, given in (("--data", {}), ("--symbol", {"data_dir": tmp_path}), ("--date", {"data_dir": tmp_path, "symbol": "GOOG"})):
        with pytest.raises(UsageError, match=f"source lean needs {option} "):
            ReplayRequest("lean", tmp_path, **given)
