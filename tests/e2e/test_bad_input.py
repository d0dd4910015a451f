"""Bad input: one clear line, exit code 2, nothing half-written."""

import os
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from quanticity.core.errors import UserError
from quanticity.jobs.run import ReplayRequest
from quanticity.research.backtest_folder import BacktestRequest

from .support import COMMAND, environment, one_line, quanticity


@pytest.fixture(scope="module")
def lean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little LEAN folder: one day, two contracts, three minutes."""
    root = tmp_path_factory.mktemp("lean") / "Data"
    folder = root / "option" / "usa" / "minute" / "xyz"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "20151223_quote_american.zip", "w") as archive:
        for right in ("call", "put"):
            rows = "".join(f"{34_200_000 + 60_000 * i},11000,11000,11000,11000,5,12000,12000,12000,12000,7\n" for i in range(3))
            archive.writestr(f"20151223_xyz_minute_quote_american_{right}_1000000_20151231.csv", rows)
    equity = root / "equity" / "usa" / "minute" / "xyz"
    equity.mkdir(parents=True)
    with zipfile.ZipFile(equity / "20151223_trade.zip", "w") as archive:
        archive.writestr("20151223_xyz_minute_trade.csv", "34200000,1000000,1000000,1000000,1000000,100\n")
    return root


def replay(folder: Path, data: object, *more: object, symbol: str = "XYZ", date: str = "2015-12-23", out: Path | None = None, **variables: str):
    return quanticity(folder, "replay", "--data", data, "--symbol", symbol, "--date", date, "--out", out or folder / "out" / "run", "--no-report", *more, **variables)


def nothing_written(folder: Path) -> None:
    out = folder / "out"
    assert not out.exists() or list(out.iterdir()) == [], list(out.iterdir())


def test_the_little_folder_is_sound(lean: Path, tmp_path: Path) -> None:
    assert replay(tmp_path, lean).returncode == 0


def test_no_such_folder(tmp_path: Path) -> None:
    assert "nowhere" in one_line(replay(tmp_path, tmp_path / "nowhere"))
    nothing_written(tmp_path)


def test_no_such_symbol(lean: Path, tmp_path: Path) -> None:
    line = one_line(replay(tmp_path, lean, symbol="ABC"))
    assert "ABC" in line and "XYZ" in line.upper()
    nothing_written(tmp_path)


NO_SYMBOLS = ["A B", "ÄÖ", "a:b", "", "../../EVIL", "a/../b", "TOOLONGSYM"]


@pytest.mark.parametrize("symbol", NO_SYMBOLS)
def test_a_symbol_that_is_none(tmp_path: Path, symbol: str) -> None:
    home = tmp_path / "a" / "home"
    home.mkdir(parents=True)
    line = one_line(quanticity(home, "replay", "--source", "sim", "--symbol", symbol, "--no-report"))
    assert f"{symbol!r} is no symbol; a symbol is 1 to 6 capital letters or digits" in line
    assert not (tmp_path / "EVIL-sim-seed1").exists() and not list(tmp_path.rglob("*.jsonl")) and not (home / "runs").exists()


def test_the_default_folder_is_what_the_help_says(tmp_path: Path) -> None:
    help_ = " ".join(quanticity(tmp_path, "replay", "--help", COLUMNS="200").stdout.split())
    assert "[default: in runs, what was given of <symbol>-<date>-<source>, for sim with -seed<seed>]" in help_
    assert quanticity(tmp_path, "replay", "--source", "sim", "--symbol", "brk/b", "--date", "2026-03-20", "--seed", 3, "--no-report").returncode == 0
    assert [run.name for run in (tmp_path / "runs").iterdir() if not run.name.startswith(".")] == ["BRK.B-2026-03-20-sim-seed3"]


@pytest.mark.parametrize("command", ["backtest --source sim", "sweep --strategy zero_dte --source sim", "bias --strategy zero_dte", "analyze .", "worker",
                                     "data import .", "data list", "data show .", "data quality ."])
def test_every_command_looks_at_the_symbol(tmp_path: Path, command: str) -> None:
    assert "'../../EVIL' is no symbol" in one_line(quanticity(tmp_path, *command.split(), "--symbol", "../../EVIL"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("command", "line"), [
    ("backtest --source lean --seed 7 --symbol XYZ", "--seed is of a simulated market, and the source is lean; leave it out, or use --source sim"),
    ("backtest --source lake --sessions 5 --symbol XYZ", "--sessions is of a simulated market, and the source is lake"),
    ("backtest --source sim --data .", "--data is of a recorded market, and the source is sim; leave it out, or use --source lean or lake"),
    ("sweep --strategy zero_dte --set stop_loss=0.2 --symbol XYZ --seed 1", "--seed is of a simulated market, and the source is lean"),
    ("sweep --strategy zero_dte --set stop_loss=0.2 --source sim --data .", "--data is of a recorded market, and the source is sim"),
    ("sweep --strategy zero_dte --set stop_loss=0.2..0.4 --sample 3 --sample-seed -1 --source sim", "the sample's seed -1 is negative"),
    ("bias --strategy zero_dte --data .", "--data is of a recorded market, and the source is sim"),
    ("bias --strategy zero_dte --source lean --seed 1 --symbol XYZ --date 2015-12-23", "--seed is of a simulated market, and the source is lean"),
    ("replay --source sim --data .", "--data is of a recorded market, and the source is sim; leave it out, or use --source lean or lake"),
    ("replay --symbol XYZ --date 2015-12-23 --seed 1", "--seed is of a simulated market, and the source is lean; leave it out, or use --source sim"),
    ("replay --source lake --symbol XYZ --date 2015-12-23 --seed 7", "--seed is of a simulated market, and the source is lake"),
    ("demo --data . --seed 7", "--data is where the recorded day lies, and --seed simulates one instead; leave one of them out"),
    ("sweep --strategy zero_dte --set stop_loss=0.2 --source sim --sample-seed 2", "--sample-seed is that of a sample, and every combination is tried; "
     "leave it out, or say with --sample how many to draw"),
    ("bias --strategy zero_dte -p min_stretch=1 -p min_stretch=2", "--parameters min_stretch is given twice; give it once"),
    ("report . -p strikes=1 -p strikes=2", "--parameter strikes is given twice; give it once"),
    ("data import . -o rate=0.1 -o rate=0.2", "--option rate is given twice; give it once"),
    ("data show . --lake lake", "--lake is where option roots are looked for, and . is a file or folder; leave it out"),
    ("data show goog --symbol SPXW", "--symbol is of a file or folder, and there is none called goog; leave it out to have GOOG from the lake"),
    ("data quality goog --format cboe", "--format is of a file or folder, and there is none called goog"),
    ("analyze goog spxw -o rate=0.1", "--option is of a file or folder, and there is none called goog"),
    ("analyze . --lake lake", "--lake is where option roots are looked for, and . is a file or folder"),
    ("analyze . --draws 0 --seed 3", "--seed is that of the draws, and --draws is 0; leave one of them out"),
    ("analyze . --json --strikes 9", "--strikes is of the printed tables, and --json prints none; leave one of them out"),
    ("bias --strategy zero_dt", "(did you mean zero_dte?)"),
    ("backtest --source sim --slippage-ticks -1", "slippage must be numbers from 0 up, got -1 price steps; see quanticity backtest --help"),
    ("backtest --source sim --tick 0", "slippage's price step (tick) must be above 0 dollars, got 0; see quanticity backtest --help"),
])
def test_an_option_that_does_not_fit_is_refused_and_not_dropped(tmp_path: Path, command: str, line: str) -> None:
    assert line in one_line(quanticity(tmp_path, *command.split()))
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_in_use_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    done = quanticity(tmp_path, "sweep", "--strategy", "zero_dte", "--set", "stop_loss=0.2,0.4", "--source", "sim", "--sessions", 1, "--out", tmp_path / "used")
    assert "used holds something else than a sweep; name another folder with --out" in one_line(done)  # one line: no "reading 1 session" before it
    assert [p.name for p in (tmp_path / "used").iterdir()] == ["notes.txt"]


def test_python_looks_at_the_symbol(tmp_path: Path) -> None:
    for make in (lambda symbol: ReplayRequest("sim", tmp_path / "run", symbol=symbol), lambda symbol: BacktestRequest("sim", tmp_path / "run", symbols=(symbol,))):
        for symbol in NO_SYMBOLS:
            with pytest.raises(UserError, match="is no symbol"):
                make(symbol)
    assert ReplayRequest("sim", tmp_path / "run", symbol="brk.b").symbol == "BRK.B"


def test_no_such_date(lean: Path, tmp_path: Path) -> None:
    line = one_line(replay(tmp_path, lean, date="2015-12-22"))
    assert "2015-12-22" in line and "2015-12-23" in line
    nothing_written(tmp_path)


def test_a_date_that_is_none(lean: Path, tmp_path: Path) -> None:
    assert "YYYY-MM-DD" in one_line(replay(tmp_path, lean, date="24.12.2015"))
    nothing_written(tmp_path)


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_truncated_zip(lean: Path, tmp_path: Path, keep: float) -> None:
    shutil.copytree(lean, tmp_path / "Data")
    file = tmp_path / "Data" / "option" / "usa" / "minute" / "xyz" / "20151223_quote_american.zip"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * keep)])
    assert file.name in one_line(replay(tmp_path, tmp_path / "Data"))
    nothing_written(tmp_path)


def test_text_for_a_number(lean: Path, tmp_path: Path) -> None:
    shutil.copytree(lean, tmp_path / "Data")
    file = tmp_path / "Data" / "option" / "usa" / "minute" / "xyz" / "20151223_quote_american.zip"
    member = "20151223_xyz_minute_quote_american_call_1000000_20151231.csv"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, "34200000,11000,11000,11000,11000,5,12000,12000,12000,12000,7\n34260000,11000,11000,11000,lots,5,12000,12000,12000,12000,7\n")
    line = one_line(replay(tmp_path, tmp_path / "Data"))
    assert member in line and "lots" in line and "2" in line
    nothing_written(tmp_path)


@pytest.mark.parametrize(("variables", "parts"), [
    ({"QUANTICITY_RISK__MAX_ORDER_NOTIONAL": "lots"}, ("QUANTICITY_RISK__MAX_ORDER_NOTIONAL", "lots", "number")),
    ({"QUANTICITY_RISK__MAX_ORDER_NOTIONL": "1"}, ("QUANTICITY_RISK__MAX_ORDER_NOTIONL", "QUANTICITY_RISK__MAX_ORDER_NOTIONAL")),
    ({"QUANTICITY_ENV": "mars"}, ("mars",)),
    ({"QUANTICITY_REDIS__URL": "redis://127.0.0.1:1/0"}, ("127.0.0.1:1",)),
])
def test_configuration(lean: Path, tmp_path: Path, variables: dict[str, str], parts: tuple[str, ...]) -> None:
    line = one_line(replay(tmp_path, lean, **variables))
    assert all(part in line for part in parts), line
    nothing_written(tmp_path)


def test_configuration_file_names_file_key_got_and_wants(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "config").mkdir(parents=True)
    (project / "settings.ini").write_text("[notebooks]\npath = nbs\n")
    (project / "pyproject.toml").write_text("[project]\nname = 'quanticity'\n")
    for text, parts in (("risk: {max_order_notional: lots}\n", ("config.yaml", "risk.max_order_notional", "'lots'", "a number")),
                        ("risk: {max_ordr_notional: 1}\n", ("config.yaml", "risk.max_ordr_notional", "max_order_notional")),
                        ("risk: [unclosed\n", ("config.yaml", "line"))):
        (project / "config" / "config.yaml").write_text(text)
        done = subprocess.run([str(COMMAND), "config", "check"], cwd=project, env=environment(tmp_path), capture_output=True, text=True)
        assert all(part in one_line(done) for part in parts), done.stderr


def test_port_in_use(lean: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = one_line(replay(tmp_path, lean, QUANTICITY_REDIS__PORT=str(port)))
    assert str(port) in line and "in use" in line
    nothing_written(tmp_path)


def test_out_is_a_file_or_somebody_elses_folder(lean: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in one_line(replay(tmp_path, lean, out=tmp_path / "file"))
    assert "file is a file" in one_line(replay(tmp_path, lean, out=tmp_path / "file" / "run"))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("mine")
    assert "not empty" in one_line(replay(tmp_path, lean, out=tmp_path / "thesis"))
    assert (tmp_path / "thesis" / "thesis.txt").read_text() == "mine"


def test_unwritable_out(lean: Path, tmp_path: Path) -> None:
    assert "cannot write to /proc/run: /proc takes no new folders" in one_line(replay(tmp_path, lean, out=Path("/proc/run")))


def test_no_disk_space_is_named(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        line = one_line(quanticity(tmp_path, "replay", "--source", "sim", "--seed", 7, "--out", disk / "run", "--no-report"), after="replaying ")
        assert "space" in line.lower() and "free" in line
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_usage_errors(tmp_path: Path) -> None:
    assert "source" in one_line(quanticity(tmp_path, "replay", "--source", "tape", "--no-report"))
    assert "--symbol" in one_line(quanticity(tmp_path, "replay", "--data", tmp_path, "--no-report"))
    for arguments, said, help_at in ((("replay", "--seeed", "1"), "no such option: --seeed", "quanticity replay"),
                                     (("replay", "--seed", "many"), "invalid value for '--seed'", "quanticity replay"),
                                     (("replay", "--source", "lean", "--data", tmp_path), "source lean needs --symbol", "quanticity replay"),
                                     (("report",), "missing argument", "quanticity report"), (("replai",), "no such command", "quanticity"),
                                     (("data", "lisst"), "no such command", "quanticity data"), (("config", "check", "more"), "unexpected", "quanticity config check"),
                                     (("backtest", "--symbol"), "requires an argument", "quanticity backtest")):
        line = one_line(quanticity(tmp_path, *arguments))
        assert line.startswith("quanticity: ") and said in line and line.endswith(f"; see {help_at} --help"), line


def test_killed_replay_leaves_no_run_and_no_server(tmp_path: Path) -> None:
    out = tmp_path / "out" / "run"
    command = [str(COMMAND), "replay", "--source", "sim", "--seed", "7", "--out", str(out), "--no-report"]
    for delay in (0.9, 1.4, 2.0):
        child = subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not out.exists() or (out / "summary.json").exists(), "half a run reads as whole"
    deadline = time.monotonic() + 10
    while servers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert servers(tmp_path) == []
    assert subprocess.run(command, env=environment(tmp_path), capture_output=True).returncode == 0
    assert [entry.name for entry in out.parent.iterdir()] == ["run"], "the next replay clears away what the killed ones left"


def servers(folder: Path) -> list[str]:
    """Command lines of server processes that work under `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, UnicodeDecodeError):
                continue
            if str(folder) in line and ("valkey" in line or "redis" in line):
                found.append(line)
    return found
