"""Running the command line as a user does: another process, an environment of its own.

To start Python and import the program takes most commands longer than what they do. So `quanticity` has them run in children of one process that has
done so (one a test process): each is a process of its own with its environment, folder and streams, and runs what the `quanticity` script runs. The script itself is
run by those tests that use `COMMAND`.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from threading import Timer

COMMAND = Path(sys.executable).parent / "quanticity"
_READY = """
import json, os, signal, sys
import quanticity.app.cli, quanticity.feeds.lean, quanticity.jobs.progress, quanticity.jobs.run, redis
os.environ.clear()  # each child is given its own
for line in sys.stdin:
    asked = json.loads(line)
    if (child := os.fork()) == 0:
        os.setsid()
        for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, asked["out"], os.O_WRONLY), (2, asked["errors"], os.O_WRONLY)):
            os.dup2(os.open(name, flags), number)
        os.chdir(asked["folder"])
        os.environ.update(asked["environment"])
        sys.argv = asked["arguments"]
        try:
            quanticity.app.cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        except BaseException:
            import traceback
            traceback.print_exc()
            code = 1
        import atexit
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Nobody's settings, state and runs under `folder`, plus the given variables."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("QUANTICITY_", "PREFECT_"))}
    return clean | {"QUANTICITY_PATHS__STATE_DIR": str(folder / "state"), "QUANTICITY_PATHS__RUNS_DIR": str(folder / "runs"),
                    **({"QUANTICITY_CACHE_DIR": os.environ["QUANTICITY_CACHE_DIR"]} if "QUANTICITY_CACHE_DIR" in os.environ else {}), **variables}


@cache
def _ready() -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", _READY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    atexit.register(_end, process)
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()


def quanticity(folder: Path, *arguments: object, timeout: float = 120, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `quanticity ARGUMENTS` and wait; AssertionError where it takes longer than `timeout` seconds."""
    command, process = [str(COMMAND), *map(str, arguments)], _ready()
    assert process.stdin and process.stdout
    with tempfile.TemporaryDirectory() as streams:
        out, errors = Path(streams, "out"), Path(streams, "errors")
        out.touch()
        errors.touch()
        asked = {"arguments": command, "environment": environment(folder, **variables), "folder": str(Path.cwd()), "out": str(out), "errors": str(errors)}
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        watch = Timer(timeout, os.kill, (child, signal.SIGKILL))
        watch.start()
        code = int(process.stdout.readline())
        watch.cancel()
        assert code != -signal.SIGKILL, f"{command} took longer than {timeout} s:\n{errors.read_text()}"
        return subprocess.CompletedProcess(command, code, out.read_text(), errors.read_text())


def one_line(done: "subprocess.CompletedProcess[str]", *, after: str = "\0") -> str:
    """The single line of a refusal: exit code 2, no traceback, nothing else on standard error but a title that begins with `after`, of work that had begun."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    lines = [line for line in done.stderr.splitlines() if not line.startswith(after)]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]
