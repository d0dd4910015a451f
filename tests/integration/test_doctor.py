"""The doctor on this machine, and on machines with something wrong."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from quanticity.app import doctor
from quanticity.app.demo import choose_day
from quanticity.app.doctor import EXTRAS, Finding, Health, check_data, check_extras, check_folder, check_server, examine
from quanticity.core.config import Config, load_config
from quanticity.core.errors import ConfigError
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import connect


def config(tmp_path: Path, **overrides) -> Config:
    return load_config(environ={}, overrides={"paths.state_dir": str(tmp_path / "state"), "paths.runs_dir": str(tmp_path / "runs")} | overrides)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with EmbeddedServer(tmp_path_factory.mktemp("doctor"), append_only=False) as running:
        yield running


@pytest.fixture
def taken_port():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        yield busy.getsockname()[1]


def test_this_machine_is_well(tmp_path, server):
    findings = examine(lambda: config(tmp_path, **{"redis.url": server.url}))
    assert [f.check for f in findings] == ["python", "packages", "extras", "configuration", "calendar", "notebook kernel", "state server",
                                           "paths.state_dir", "paths.runs_dir", "recorded data"]
    assert [f for f in findings if f.health is Health.FAULT] == []
    assert all(f.seen and "\n" not in f.seen + f.remedy for f in findings)
    assert findings[0].seen == ".".join(map(str, sys.version_info[:3]))


def test_a_wrong_configuration_is_a_finding_and_ends_the_examination():
    def load() -> Config:
        return load_config(environ={}, overrides={"risk.max_orders": 3})

    findings = examine(load)
    assert findings[-1].check == "configuration" and findings[-1].health is Health.FAULT and "max_orders" in findings[-1].seen and len(findings) == 4
    assert findings[-1].remedy

    def bare() -> Config:
        raise ConfigError("config.yaml: broken")

    assert examine(bare)[-1] == Finding("configuration", Health.FAULT, "config.yaml: broken", "see docs/reference/configuration.md")


def test_a_configured_server_answers_and_is_left_as_it_was(tmp_path, server):
    found = check_server(config(tmp_path, **{"redis.url": server.url}))
    assert found.check == "state server" and found.health is Health.FINE and found.seen in server.url
    state = connect(server.url)
    assert state.client.dbsize() in (0, b"0")
    state.close()


def test_an_embedded_server_is_started_and_gone_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert check_server(config(tmp_path)) == Finding("state server", Health.FINE, "embedded, started and stopped")
    assert list(tmp_path.iterdir()) == []
    running = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in running


def test_a_server_that_does_not_answer_is_a_fault_without_its_password(tmp_path):
    found = check_server(config(tmp_path, **{"redis.url": "redis://:s3cret@127.0.0.1:1/0"}))
    assert found.health is Health.FAULT and "no answer from the state server at redis://127.0.0.1:1" in found.seen and found.remedy
    assert "s3cret" not in found.seen + found.remedy


def test_a_port_in_use_is_a_fault(tmp_path, taken_port):
    found = check_server(config(tmp_path, **{"redis.port": taken_port}))
    assert found.health is Health.FAULT and str(taken_port) in found.seen and found.remedy


def test_a_folder_that_can_be_written(tmp_path):
    found = check_folder("paths.runs_dir", tmp_path / "a" / "b")
    assert found.health in (Health.FINE, Health.WARNING) and list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_in_whose_place_is_a_file_is_a_fault(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "under"):
        found = check_folder("paths.runs_dir", folder)
        assert found.health is Health.FAULT and str(folder) in found.seen and "paths.runs_dir" in found.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_a_fault(tmp_path):
    tmp_path.chmod(0o500)
    assert check_folder("paths.runs_dir", tmp_path).health is Health.FAULT
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(("free", "health"), [(999_999_999, Health.WARNING), (1_000_000_000, Health.FINE)])
def test_little_space_is_a_warning(tmp_path, monkeypatch, free, health):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage._replace(free=free))  # a full disk cannot be had here
    found = check_folder("paths.state_dir", tmp_path)
    assert found.health is health and (health is Health.FINE or "free some space" in found.remedy)


def test_recorded_data_is_optional_but_what_is_named_must_be_there(tmp_path):
    none = check_data(config(tmp_path), tmp_path / "project")
    assert none.health is Health.FINE and "demo simulates" in none.seen and "../shared/data" in none.seen and "QUANTICITY_DATA_DIR" in none.remedy
    wrong = check_data(config(tmp_path, **{"data.recorded_dir": str(tmp_path / "nowhere")}))
    assert wrong.health is Health.FAULT and "nowhere" in wrong.seen and wrong.remedy


def test_doctor_demo_and_replay_look_in_the_same_place(tmp_path, recorded):
    project = tmp_path / "project"
    assert choose_day(config(tmp_path), project)[0]["source"] == "sim" and "../shared/data" in choose_day(config(tmp_path), project)[1]
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data").symlink_to(recorded)
    assert "GOOG" in check_data(config(tmp_path), project).seen and choose_day(config(tmp_path), project)[0]["symbol"] == "GOOG"
    assert choose_day(config(tmp_path, **{"data.recorded_dir": str(tmp_path)}), project)[0]["source"] == "sim", "the configured folder counts"
    project.mkdir()
    for name in ("settings.ini", "pyproject.toml"):
        (project / name).touch()
    done = subprocess.run([sys.executable, "-c", "from quanticity.app.cli import main; main()", "replay", "--symbol", "GOOG", "--date", "1999-01-04", "--no-report"],
                          cwd=project, env={k: v for k, v in os.environ.items() if not k.startswith("QUANTICITY_DATA")}, capture_output=True, text=True)
    assert done.returncode == 2 and "1999-01-04" in done.stderr and "2015-12-24" in done.stderr, done.stderr  # the days that are there


def test_a_package_of_the_kernel_that_is_missing_is_a_finding(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyter_client.kernelspec", None)
    found = doctor.check_kernel()
    assert found.health is Health.FAULT and "jupyter_client" in found.seen and found.remedy == "run make setup"


def test_recorded_data_is_counted(tmp_path, recorded):
    found = check_data(config(tmp_path, **{"data.recorded_dir": str(recorded)}))
    assert found.health is Health.FINE and "sessions of" in found.seen and "GOOG" in found.seen


def test_extras_that_are_missing_are_no_fault(monkeypatch):
    found = check_extras()
    assert found.health is Health.FINE and "dev" in found.seen
    monkeypatch.setitem(EXTRAS, "dashboard", "no_such_module_anywhere")
    found = check_extras()
    assert found.health is Health.FINE and "dashboard" not in found.seen and "dashboard" in found.remedy and "EXTRAS=all" in found.remedy


@pytest.mark.parametrize(("version", "health"), [((3, 10, 9), Health.FAULT), ((3, 11, 0), Health.FINE), ((3, 13, 5), Health.FINE), ((3, 14, 0), Health.FAULT)])
def test_pythons(monkeypatch, version, health):
    monkeypatch.setattr(doctor.sys, "version_info", version)
    found = doctor.check_python()
    assert found.health is health and found.seen == ".".join(map(str, version))


def test_a_package_that_is_missing_or_of_a_wrong_version_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy>=99", "orjson>=3", "no-such-package-anywhere", "nbdev>=1; extra == 'dev'"])
    found = doctor.check_packages()
    assert found.health is Health.FAULT and "numpy" in found.seen and ">=99 wanted" in found.seen
    assert "no-such-package-anywhere is missing" in found.seen and "orjson" not in found.seen and "nbdev" not in found.seen and "make setup" in found.remedy


def test_a_machine_without_a_kernel_or_calendar_is_told_how_to_mend_it(monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager

    monkeypatch.setattr(KernelSpecManager, "find_kernel_specs", lambda self: {"ir": "/nowhere"})
    assert doctor.check_kernel() == Finding("notebook kernel", Health.FAULT, "no kernel python3", "run make setup")
    monkeypatch.setattr("quanticity.core.clock.session_hours", lambda day: None)
    assert doctor.check_calendar().health is Health.FAULT and "pandas-market-calendars" in doctor.check_calendar().remedy

    def broken(day):
        raise KeyError("America/New_York")

    monkeypatch.setattr("quanticity.core.clock.session_hours", broken)
    assert doctor.check_calendar().health is Health.FAULT and "tzdata" in doctor.check_calendar().remedy
