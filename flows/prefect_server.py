"""A Prefect server for the flow runs of one process on this machine, which ends with that process, `kill -9` included.

Prefect starts a server by itself where `PREFECT_API_URL` names none, but one that outlives a killed process and then works on for nobody.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, temporary_settings

_WHEN_LEFT = """
import os, sys, time
sys.stdin.read()
server, asked, forced = map(int, sys.argv[1:])
os.kill(server, asked)
for _ in range(100):
    time.sleep(0.1)
    os.kill(server, 0)  # it is gone: this ends, too
os.kill(server, forced)
"""


class _Server(SubprocessASGIServer):
    """Prefect's temporary server, which is ended when this process is gone: a small process waits for the end of a pipe of ours."""

    _guards: list["subprocess.Popen[bytes]"]

    def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
        server = super()._run_uvicorn_command()
        program = [sys.executable, "-I", "-S", "-c", _WHEN_LEFT, *(str(int(number)) for number in (server.pid, signal.SIGTERM, signal.SIGKILL))]
        guard = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self._guards = [*getattr(self, "_guards", []), guard]
        return server

    def stop(self) -> None:
        for guard in getattr(self, "_guards", []):
            guard.kill()  # before the process that it would end has gone, and its number may be another's
            guard.communicate()
        self._guards = []
        super().stop()


@contextmanager
def one_server() -> Iterator[None]:
    """One server for the flow runs within and for the workers that they start on this machine; the configured one where there is one."""
    if PREFECT_API_URL.value():
        yield
        return
    with _Server() as server, temporary_settings({PREFECT_API_URL: server.api_url}):
        os.environ["PREFECT_API_URL"] = server.api_url  # workers that are started now read it
        try:
            yield
        finally:
            del os.environ["PREFECT_API_URL"]
