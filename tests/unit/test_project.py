"""core.project: finding the project, reading settings.ini, refusing what is wrong in it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from quanticity.core.errors import ConfigError
from quanticity.core.project import GATES, NO_RECORDED_FOLDER, Project, find_project, load_project, recorded_folder

ROOT = Path(__file__).resolve().parents[2]


def project_of(folder: Path, text: str) -> Project:
    (folder / "settings.ini").write_text(text)
    return load_project(folder)


def test_the_committed_file_loads() -> None:
    project = load_project(ROOT)
    assert project.root == ROOT and project.notebooks_dir == ROOT / "nbs" and project.runs_dir == ROOT / "runs"
    assert project.promotion.gates == GATES and project.notebooks.timeout_seconds == 600


def test_recorded_sessions_are_looked_for_in_two_places(tmp_path: Path) -> None:
    project, beside = tmp_path / "project", tmp_path / "shared" / "data"
    assert recorded_folder(None, project) is None and all(place in NO_RECORDED_FOLDER for place in ("QUANTICITY_DATA_DIR", "../shared/data"))
    beside.mkdir(parents=True)
    assert recorded_folder(None, project) == beside
    assert recorded_folder(tmp_path / "nowhere", project) == tmp_path / "nowhere", "what is configured counts, also where it is wrong"


def test_values_are_typed_and_frozen(tmp_path: Path) -> None:
    project = project_of(
        tmp_path, "[notebooks]\npath = books\nreports = books/reports\nkernel = q%1\ntimeout_seconds = 5\n[promotion]\ngates = tests replay\n"
    )
    assert project.reports_dir == tmp_path / "books" / "reports"
    assert (project.notebooks.kernel, project.notebooks.timeout_seconds, project.promotion.gates) == ("q%1", 5, ("tests", "replay"))
    with pytest.raises(ValidationError, match="frozen"):
        project.notebooks.timeout_seconds = 9  # type: ignore[misc]


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert project_of(tmp_path, "") == Project(root=tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[notebooks]\ntimeout_seconds = long\n", "notebooks.timeout_seconds: got 'long' (text), wants a whole number greater than 0"),
        ("[notebooks]\ntimeout_seconds = 0\n", "notebooks.timeout_seconds: got '0' (text), wants a whole number greater than 0"),
        ("[notebooks]\nkernal = python3\n", "unknown key notebooks.kernal; did you mean notebooks.kernel?"),
        ("[notebook]\n", "unknown key notebook; did you mean notebooks?"),
        ("[DEFAULT]\nx = 1\n", "unknown key DEFAULT; known here: notebooks, runs, promotion"),
        ("[notebooks]\nroot = /\n", "unknown key notebooks.root"),
        ("[root]\n", "unknown key root"),
        ("[promotion]\ngates = tests, luck\n", "promotion.gates: got 'tests, luck' (text), wants a list out of in_step, tests"),
        ("kernel = python3\n", "line 1: a key before the first section; begin with a line such as [notebooks]"),
        ("[runs]\ndir\n", "line 2: not of the form key = value"),
        ("[runs]\ndir = a\ndir = b\n", "line 3: dir is there twice"),
        ("[runs]\n[runs]\n", "line 2: section runs is there twice"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_it(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        project_of(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'settings.ini'}: {says}") and "\n" not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_project(tmp_path)
    (tmp_path / "settings.ini").write_bytes(b"[runs]\ndir = \xff\n")
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        load_project(tmp_path)


def test_it_is_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "nbs" / "30_analytics"
    deep.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "nbs" / "settings.ini").touch()  # one of the two files is not enough
    (tmp_path / "settings.ini").touch()
    assert find_project(deep) == tmp_path
    monkeypatch.chdir(deep)
    assert find_project() == tmp_path and load_project().root == tmp_path


def test_elsewhere_it_is_the_checkout_of_the_package_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import quanticity

    assert find_project(tmp_path) == ROOT
    monkeypatch.setattr(quanticity, "__file__", str(tmp_path / "site-packages" / "quanticity" / "__init__.py"))
    assert find_project(tmp_path) is None
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no project here"):
        load_project()
