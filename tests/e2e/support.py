"""Running the command line as a user does: another process, an environment of its own."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).parent / "quanticity"


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Nobody's settings, state and runs under `folder`, plus the given variables."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("QUANTICITY_", "PREFECT_"))}
    return clean | {"QUANTICITY_PATHS__STATE_DIR": str(folder / "state"), "QUANTICITY_PATHS__RUNS_DIR": str(folder / "runs"),
                    **({"QUANTICITY_CACHE_DIR": os.environ["QUANTICITY_CACHE_DIR"]} if "QUANTICITY_CACHE_DIR" in os.environ else {}), **variables}


def quanticity(folder: Path, *arguments: object, timeout: float = 120, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `quanticity ARGUMENTS` and wait."""
    return subprocess.run([str(COMMAND), *map(str, arguments)], env=environment(folder, **variables), capture_output=True, text=True, timeout=timeout)


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """The single line of a refusal: exit code 2, no traceback, nothing on standard output but what came before."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("replaying ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]
