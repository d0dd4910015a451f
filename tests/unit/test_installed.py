"""requirements/installed.py: whether the environment holds what a lock names; `make setup` asks it."""

import importlib.util
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "requirements" / "installed.py"
spec = importlib.util.spec_from_file_location("installed", SCRIPT)
assert spec and spec.loader
installed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(installed)
NUMPY = version("numpy")


@pytest.mark.parametrize(("lock", "amiss"), [
    (f"numpy=={NUMPY} \\\n    --hash=sha256:00 \\\n", []),
    (f"# a remark\n\nnumpy=={NUMPY} ; python_full_version >= '3.11' \\\n", []),
    ("numpy==0.1 \\\n", [f"numpy is {NUMPY}, not ==0.1"]),
    ("no-such-package==1 \\\n", ["no-such-package is missing"]),
    ("no-such-package==1 ; sys_platform == 'nowhere' \\\n", []),
])
def test_what_is_amiss_is_named(lock: str, amiss: list[str]) -> None:
    assert installed.amiss(lock) == amiss


def test_the_status_says_it(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("no-such-package==1 \\\n")
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / "lock")], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "no-such-package is missing: setting up again\n"
    (tmp_path / "lock").write_text(f"numpy=={NUMPY} \\\n")
    assert subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / "lock")], capture_output=True).returncode == 0


def test_setup_looks_and_not_only_at_time_stamps() -> None:
    steps = subprocess.run(["make", "-n", "setup"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "requirements/installed.py requirements/dev.txt" in steps and "rm -f .venv/.ready" in steps
