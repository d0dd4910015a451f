"""The other commands: keys, config, doctor, report, help."""

import subprocess
import sys
from pathlib import Path

import pytest

from quanticity.reports.layout import write_example

from .support import environment, one_line, quanticity


def test_help_teaches(tmp_path: Path) -> None:
    done = quanticity(tmp_path, "--help")
    assert done.returncode == 0
    for command in ("demo", "replay", "report", "doctor", "keys", "config"):
        assert command in done.stdout
        assert quanticity(tmp_path, command, "--help").returncode == 0
    assert "--source" in quanticity(tmp_path, "replay", "--help").stdout


def test_python_runs_the_package_as_the_script_does(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "quanticity", "replay", "--seed", "many"], env=environment(tmp_path), capture_output=True, text=True)
    assert "got 'many', wants a whole number; see python -m quanticity replay --help" in one_line(done)


def test_keys(tmp_path: Path) -> None:
    page = quanticity(tmp_path, "keys").stdout
    assert "options:chain:{symbol}:by_contract" in page and "| TTL |" in page


def test_config(tmp_path: Path) -> None:
    done = quanticity(tmp_path, "config", "check")
    assert done.returncode == 0 and "zero_dte" in done.stdout
    assert "risk.max_order_notional" in quanticity(tmp_path, "config", "reference").stdout.replace("`", "")


def test_config_refuses_a_strategy_that_is_not_there(tmp_path: Path) -> None:
    line = one_line(quanticity(tmp_path, "config", "check", QUANTICITY_STRATEGIES__ZERO_DTE__MODULE="quanticity.strategies.nowhere"))
    assert "strategies.zero_dte.module" in line and "nowhere" in line


def test_config_check_looks_at_what_is_not_enabled(tmp_path: Path) -> None:
    entry = {"QUANTICITY_STRATEGIES__PIN__MODULE": "quanticity.strategies.wall_pin", "QUANTICITY_STRATEGIES__PIN__PLAYBOOK": "quanticity.playbooks.zero_dte",
             "QUANTICITY_STRATEGIES__PIN__ENABLED": "false"}
    variables = {name.replace("__PIN__", "__WALL_PIN__"): value for name, value in entry.items()}
    done = quanticity(tmp_path, "config", "check", **variables)
    assert done.returncode == 0 and "wall_pin" not in done.stdout
    line = one_line(quanticity(tmp_path, "config", "check", **variables, QUANTICITY_STRATEGIES__WALL_PIN__PARAMETERS__MAX_DISTENCE="1"))
    assert "strategies.wall_pin.parameters: unknown parameter max_distence; did you mean max_distance?" in line


def test_doctor_is_well_here(tmp_path: Path) -> None:
    done = quanticity(tmp_path, "doctor")
    assert done.returncode == 0, done.stdout
    for check in ("python", "packages", "configuration", "calendar", "notebook kernel", "state server", "paths.state_dir", "recorded data"):
        assert check in done.stdout


@pytest.mark.parametrize(("variables", "part"), [
    ({"QUANTICITY_REDIS__URL": "redis://127.0.0.1:1/0"}, "state server"),
    ({"QUANTICITY_PATHS__STATE_DIR": "/proc/quanticity"}, "paths.state_dir"),
    ({"QUANTICITY_DATA_DIR": "/nowhere"}, "recorded data"),
    ({"QUANTICITY_RISK__MAX_DAILY_LOSS": "-1"}, "configuration"),
])
def test_doctor_names_what_is_wrong(tmp_path: Path, variables: dict[str, str], part: str) -> None:
    done = quanticity(tmp_path, "doctor", **variables)
    assert done.returncode == 1
    found = [line for line in done.stdout.splitlines() if line.strip().startswith("fault")]
    assert len(found) == 1 and part in found[0], done.stdout
    after = done.stdout.splitlines()[done.stdout.splitlines().index(found[0]) + 1]
    assert "->" in after, "no remedy"


def test_report_refuses_parameters(tmp_path: Path) -> None:
    write_example(tmp_path / "run")
    before = sorted((tmp_path / "run").iterdir())
    assert "smile_expiriez" in one_line(quanticity(tmp_path, "report", tmp_path / "run", "-p", "smile_expiriez=3"))
    assert "smile_expiries" in one_line(quanticity(tmp_path, "report", tmp_path / "run", "-p", "smile_expiries=three"))
    assert "no such run folder" in one_line(quanticity(tmp_path, "report", tmp_path / "nowhere"))
    assert sorted((tmp_path / "run").iterdir()) == before


def test_report_of_what_is_no_run_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    assert "no summary.json in" in one_line(quanticity(tmp_path, "report", tmp_path / "thesis"))
    (tmp_path / "thesis" / "summary.json").write_text("{}")
    assert "lacks" in one_line(quanticity(tmp_path, "report", tmp_path / "thesis"))
    assert [entry.name for entry in (tmp_path / "thesis").iterdir()] == ["summary.json"]
