"""kill -9 of the parent, the server and the watchdog, in every combination: no orphan, no loss."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import quanticity
from quanticity.core import keys
from quanticity.core.errors import ServerError
from quanticity.store import server as server_module
from quanticity.store import watchdog as watchdog_module
from quanticity.store.server import start_server
from quanticity.store.state import connect

ROOT = Path(quanticity.__file__).parents[1]
COUNTS = keys.metrics_signals("TEST")
USER = """
import sys, time
from quanticity.core import keys
from quanticity.store.server import start_server
from quanticity.store.state import connect
server = start_server(sys.argv[1])
connect(server.url).increment(keys.metrics_signals("TEST"), "users")
if "fork" in sys.argv:
    import os
    if os.fork() == 0:
        time.sleep(60)
print(server.pid, server.adopted, flush=True)
time.sleep(60)
"""


class User:
    """Another process that uses the server of a directory."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", USER, str(directory), *options], stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, PYTHONPATH=str(ROOT)), start_new_session=True)
        assert self.process.stdout is not None
        pid, adopted = self.process.stdout.readline().split()
        self.server, self.adopted = int(pid), adopted == "True"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for process in psutil.process_iter(["cmdline"]):  # only what names this test's own folder
        if any(str(tmp_path) in word for word in process.info["cmdline"] or []):
            process.kill()


def gone(pid: int, seconds: float = 8.0) -> bool:
    for _ in range(int(seconds / 0.05)):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_parent_leaves_no_server_and_loses_nothing(place: Path) -> None:
    user = User(place)
    watchdog = psutil.Process(user.server).ppid()
    user.kill()
    assert gone(user.server) and gone(watchdog)
    with start_server(place) as server:
        assert not server.adopted
        assert connect(server.url).get_hash(COUNTS) == {"users": b"1"}


def test_sigterm_of_the_parent_leaves_no_server(place: Path) -> None:
    user = User(place)
    user.process.terminate()
    user.process.wait()
    assert gone(user.server)


def test_a_forked_child_does_not_keep_the_server(place: Path) -> None:
    user = User(place, "fork")
    user.kill()  # the forked child sleeps on
    assert gone(user.server)


def test_a_killed_server_is_recovered_by_the_next_start(place: Path) -> None:
    first = start_server(place)
    state = connect(first.url)
    for _ in range(100):
        state.increment(COUNTS, "users")
    os.kill(first.pid, signal.SIGKILL)
    assert gone(first.pid)
    with pytest.raises(ServerError, match="no answer from the state server"):
        state.get_hash(COUNTS)
    with start_server(place) as second:  # while the first handle still exists
        assert not second.adopted and second.pid != first.pid
        assert connect(second.url).get_hash(COUNTS) == {"users": b"100"}
        first.stop()
        assert connect(second.url).get_hash(COUNTS) == {"users": b"100"}
    assert gone(second.pid)


def test_a_torn_tail_of_the_file_is_cut_off(place: Path) -> None:
    with start_server(place) as server:
        connect(server.url).increment(COUNTS, "users")
    tail = next((place / "appendonlydir").glob("*.incr.aof"))
    tail.write_bytes(tail.read_bytes() + b"*3\r\n$3\r\nSET\r\n$4\r\nhal")
    with start_server(place) as server:
        assert connect(server.url).get_hash(COUNTS) == {"users": b"1"}


def test_both_parent_and_watchdog_killed_the_next_start_adopts(place: Path) -> None:
    user = User(place)
    watchdog = psutil.Process(user.server).ppid()
    os.kill(watchdog, signal.SIGKILL)
    user.kill()
    time.sleep(0.6)
    assert not gone(user.server, 0.1), "the orphan that this test is about"
    with start_server(place) as server:
        assert server.adopted and server.pid == user.server
        assert connect(server.url).get_hash(COUNTS) == {"users": b"1"}
    assert gone(user.server)


def test_an_adopted_orphan_gets_a_watchdog(place: Path) -> None:
    first = User(place)
    os.kill(psutil.Process(first.server).ppid(), signal.SIGKILL)
    first.kill()
    second = User(place)
    assert second.adopted and second.server == first.server
    second.kill()
    assert gone(first.server)


def test_an_orphan_that_hangs_is_stopped(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog_module, "PATIENCE", 0.3)
    user = User(place)
    os.kill(psutil.Process(user.server).ppid(), signal.SIGKILL)
    user.kill()
    os.kill(user.server, signal.SIGSTOP)
    with start_server(place) as server:
        assert not server.adopted and gone(user.server, 0.1)
        assert connect(server.url).get_hash(COUNTS) == {"users": b"1"}


def test_a_killed_parent_does_not_take_the_server_from_another(place: Path) -> None:
    user = User(place)
    with start_server(place) as server:
        assert server.adopted
        user.kill()
        time.sleep(0.6)
        assert connect(server.url).get_hash(COUNTS) == {"users": b"1"}
    assert gone(user.server)


def test_a_killed_starters_watchdog_that_comes_up_late_starts_nothing_for_the_next(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server would have other settings than the next start thinks, or half of them where they are being written (then it serves port 6379), and nobody would stop it."""
    late = place / "late-python"
    late.write_text(f'#!/bin/sh\nsleep 1\nexec {sys.executable} "$@"\n')
    late.chmod(0o700)
    starter = subprocess.Popen([sys.executable, "-c", f"import sys; sys.executable = {str(late)!r}\n{USER}", str(place / "state")], stdout=subprocess.DEVNULL,
                               env=dict(os.environ, PYTHONPATH=str(ROOT)), start_new_session=True)
    while not psutil.Process(starter.pid).children() and starter.poll() is None:
        time.sleep(0.005)
    (watchdog,) = psutil.Process(starter.pid).children()
    starter.kill()
    starter.wait()
    settle = server_module._configuration
    monkeypatch.setattr(server_module, "_configuration", lambda *given: time.sleep(2) or settle(*given))  # the moment in which it would come up
    with start_server(place / "state") as server:
        assert gone(watchdog.pid) and server._watchdog is not None
        assert psutil.Process(server.pid).ppid() == server._watchdog.pid and server._watchdog.poll() is None
        assert connect(server.tcp_url).increment(COUNTS, "users") == 1
    assert gone(server.pid)


def test_starts_at_the_same_moment_get_one_server(place: Path) -> None:
    code = USER.replace("time.sleep(60)\n", "sys.stdin.read()\n").replace("server = start", "sys.stdin.readline()\nserver = start", 1)
    users = [subprocess.Popen([sys.executable, "-c", code, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, PYTHONPATH=str(ROOT))) for _ in range(4)]
    for user in users:
        assert user.stdin is not None
        user.stdin.write("go\n")
        user.stdin.flush()
    said = [user.stdout.readline().split() for user in users if user.stdout is not None]
    for user in users:
        user.communicate()
    assert len({pid for pid, _ in said}) == 1
    assert sorted(adopted for _, adopted in said) == ["False", "True", "True", "True"]
    assert gone(int(said[0][0]))


def test_coming_and_going_loses_no_count(place: Path) -> None:
    code = """
import sys
from quanticity.core import keys
from quanticity.store.server import start_server
from quanticity.store.state import connect
for _ in range(6):
    with start_server(sys.argv[1]) as server:
        connect(server.url).increment(keys.metrics_signals("TEST"), "users")
"""
    users = [subprocess.Popen([sys.executable, "-c", code, str(place)], env=dict(os.environ, PYTHONPATH=str(ROOT))) for _ in range(3)]
    assert [user.wait(timeout=120) for user in users] == [0, 0, 0]
    with start_server(place) as server:
        assert connect(server.url).get_hash(COUNTS) == {"users": b"18"}
