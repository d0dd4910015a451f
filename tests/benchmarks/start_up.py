"""Where the time of a replay goes as a process: wall and processor milliseconds of each phase, from the start of the process to its exit.

    python tests/benchmarks/start_up.py ../shared/data [GOOG 2015-12-24] [repeats]

The best of some runs is shown, phase by phase (a replay that finds a server in the project's folder, of another replay there, connects before it imports). `main` is the time of the thread that waits for all else: what it does not use of the wall time, it waits. The
reading of the market and the server run beside it, on the other core; the processor's time of the last phase is that of all these processes together.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHILD = r'''
import atexit, importlib, sys, time
marks = []
def mark(name):
    marks.append((name, time.perf_counter(), time.thread_time()))
mark("interpreter")
@atexit.register
def tell():
    import json
    mark("out of the engine: closed, moved, shown")
    sys.stderr.write("\n" + json.dumps(marks))
def between(module, name, before, after):
    """Marks the end of a phase before a function is called, and of its own when it is done."""
    plain = getattr(module, name)
    def marked(*given, **named):
        before and mark(before)
        try:
            return plain(*given, **named)
        finally:
            after and mark(after)
    setattr(module, name, marked)
from quanticity.app import cli
mark("command line imported")
plain = cli._config
def config():
    from quanticity.jobs import run
    mark("modules of a run imported")
    found = plain()
    mark("configuration")
    between(run, "market_reader", None, "reader imported")
    between(run, "replay_state", "forked", None)
    between(run, "load_client", "engine imported", "client imported")
    between(run, "connect", "waited for session and server", "connected")
    between(run, "_summary", "steps", "summary")
    between(run, "write_run", None, "written")
    return found
cli._config = config
cli.program()
'''


def phases(arguments: list[str]) -> tuple[list[tuple[str, float, float]], float]:
    """Phases of one run (name, wall ms, main thread's ms), and the processor's ms of all processes."""
    used, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CHILD, "replay", *arguments], capture_output=True, text=True)
    ended, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr)
    rows, wall, busy = [], started, 0.0
    for name, when, thread in json.loads(done.stderr.splitlines()[-1]):
        rows.append((name, (when - wall) * 1e3, (thread - busy) * 1e3))
        wall, busy = when, thread
    cpu = (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) * 1e3
    return [*rows, ("exit", (ended - wall) * 1e3, 0.0), ("the whole process", (ended - started) * 1e3, busy * 1e3)], cpu


def main(data: Path, symbol: str = "GOOG", day: str = "2015-12-24", repeats: str = "5") -> None:
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--data", str(data), "--symbol", symbol, "--date", day, "--out", f"{folder}/run", "--no-report"]
        runs = [phases(arguments) for _ in range(int(repeats))]
    print(f"{'phase':<42} {'wall':>8} {'main':>8}")
    for name, _, _ in runs[-1][0]:
        found = [(wall, busy) for rows, _ in runs for n, wall, busy in rows if n == name]
        print(f"{name:<42} {min(wall for wall, _ in found):8.1f} {min(busy for _, busy in found):8.1f}")
    print(f"processor's time of all processes {min(cpu for _, cpu in runs):.0f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
