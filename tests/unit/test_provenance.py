"""core.provenance: hashes that change with what they stand for and with nothing else; git; the record."""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quanticity.core import provenance
from quanticity.core.errors import DataError, DataMissing, UserError
from quanticity.core.provenance import collect, environment_hash, file_hash, files_hash, git_commit, git_dirty, installed, module_hash, notebook_hash
from quanticity.core.provenance import package_hashes

ROOT = Path(__file__).resolve().parents[2]
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_file_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 500_000)
    assert file_hash(tmp_path / "a") == hashlib.sha256(b"abc" * 500_000).hexdigest()
    with pytest.raises(DataMissing, match="no such file"):
        file_hash(tmp_path / "b")
    with pytest.raises(DataError, match="cannot be read"):
        file_hash(tmp_path)


def test_files_hash_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, str]) -> list[Path]:
        paths = []
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            paths.append(path)
        return paths

    one = folder("one", {"a": "1", "b": "2"})
    assert files_hash(one) == files_hash(reversed(one)) == files_hash(folder("two", {"b": "2", "a": "1"}))
    others = [{"a": "1", "b": "3"}, {"a": "1", "c": "2"}, {"a": "2", "b": "1"}, {"a": "1"}]
    hashes = {files_hash(folder(f"other{i}", files)) for i, files in enumerate(others)}
    assert len(hashes) == 4 and files_hash(one) not in hashes
    deep = folder("deep", {"x/a": "1", "y/a": "1"})
    assert files_hash(deep, tmp_path / "deep") != files_hash(deep)


def test_module_and_package_hashes() -> None:
    hashes = package_hashes()
    path = ROOT / "quanticity" / "core" / "errors.py"
    assert hashes["quanticity.core.errors"] == module_hash("quanticity.core.errors") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert hashes["quanticity"] == module_hash("quanticity") and list(hashes) == sorted(hashes)
    for name in ("quanticity.nowhere", "nowhere.at.all", "quanticity..x", "sys", ""):
        with pytest.raises(UserError, match="no such module"):
            module_hash(name)
    with pytest.raises(UserError, match="no such package"):
        package_hashes("nowhere_at_all")


def book(path: Path, cells: list[dict[str, Any]], **rest: Any) -> str:
    path.write_text(json.dumps({"cells": cells, **rest}))
    return notebook_hash(path)


def test_a_notebooks_hash_is_over_its_source_only(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    code, prose = {"cell_type": "code", "source": "x = 1\nx"}, {"cell_type": "markdown", "source": "# Title"}
    one = book(path, [code, prose])
    run = {
        **code,
        "source": ["x = 1\n", "x"],
        "outputs": [{"data": {"text/plain": "1"}}],
        "execution_count": 7,
        "id": "abc",
        "metadata": {"tags": ["t"]},
    }
    assert book(path, [run, prose], metadata={"kernelspec": {"name": "other"}}) == one
    changed = [
        [{**code, "source": "x = 2\nx"}, prose],
        [prose, code],
        [code],
        [{**code, "cell_type": "raw"}, prose],
        [code, {**prose, "source": "# Other"}],
    ]
    assert one not in {book(path, cells) for cells in changed}


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"cells": 5}', '{"cells": [{"source": "x"}]}'])
def test_what_is_no_notebook(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(DataError, match="not a notebook"):
        notebook_hash(tmp_path / "a.ipynb")
    with pytest.raises(DataMissing, match="no such notebook"):
        notebook_hash(tmp_path / "b.ipynb")


def test_installed_agrees_with_the_packages_own_metadata() -> None:
    installed.cache_clear()
    slow = {}
    for distribution in importlib.metadata.distributions():
        slow.setdefault(re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower(), distribution.version)
    slow.pop("quanticity", None)
    assert dict(line.split("==") for line in installed()) == slow


def test_the_environment_changes_with_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.syspath_prepend(str(tmp_path))
    for version in ("1.0", "1.1", "1.1"):
        for old in tmp_path.glob("*.dist-info"):
            old.rmdir()
        (tmp_path / f"some_new.package-{version}.dist-info").mkdir()
        installed.cache_clear()
        assert f"some-new-package=={version}" in installed()
        seen.append(environment_hash())
    installed.cache_clear()
    assert seen[0] != seen[1] == seen[2]


def git(folder: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@needs_git
def test_git(tmp_path: Path) -> None:
    repo, tree = tmp_path / "repo", tmp_path / "tree"
    repo.mkdir()
    assert (git_commit(repo), git_dirty(repo)) == (None, None)
    git(repo, "init")
    assert git_commit(repo) is None  # no commit yet
    (repo / "a").write_text("1")
    assert git_dirty(repo) is True  # an untracked file
    git(repo, "add", "a")
    git(repo, "commit", "-m", "one")
    commit = git(repo, "rev-parse", "HEAD")
    assert (git_commit(repo), git_dirty(repo)) == (commit, False)
    git(repo, "pack-refs", "--all")
    assert git_commit(repo) == commit
    (repo / "a").write_text("2")
    assert git_dirty(repo) is True
    git(repo, "worktree", "add", str(tree), "-b", "other")
    assert (git_commit(tree), git_dirty(tree)) == (commit, False)
    git(repo, "commit", "-am", "two")
    git(repo, "checkout", "--detach")
    assert git_commit(repo) == git(repo, "rev-parse", "HEAD") != commit == git_commit(tree)


@needs_git
def test_a_hooks_environment_does_not_mislead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert git_dirty(tmp_path) is False


def test_without_git_the_state_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_dirty(tmp_path) is None and git_commit(tmp_path) is None


def test_collect(tmp_path: Path) -> None:
    (tmp_path / "nbs").mkdir()
    path = tmp_path / "nbs" / "a.ipynb"
    expected = book(path, [{"cell_type": "code", "source": "1"}])
    record = collect(tmp_path, [path], ["quanticity.core.reasons", "quanticity.core.errors"], "c0ffee", {"z": "1", "a": "2"})
    assert record.notebooks == {"nbs/a.ipynb": expected}
    assert list(record.modules) == ["quanticity.core.errors", "quanticity.core.reasons"] and list(record.data) == ["a", "z"]
    assert (record.config, record.git_commit, record.git_dirty) == ("c0ffee", None, None)
    assert record.environment == environment_hash() and record.python == provenance.python_version()
    plain = record.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == ["notebooks", "modules", "config", "data", "environment", "git_commit", "git_dirty", "python", "quanticity"]
    assert collect().modules == package_hashes() and collect(ROOT).git_commit == git_commit(ROOT)


def test_it_is_the_same_in_every_process() -> None:
    code = "import json; from quanticity.core.provenance import collect; "
    code += "print(json.dumps(collect(None, (), ['quanticity.core.errors'], 'x').to_dict()))"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(said) == 1
