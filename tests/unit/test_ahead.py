"""Work begun ahead: the same results and errors as without, and nothing left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.ahead import ahead, may_fork
from quanticity.core.errors import DataError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def in_a_process(code: str) -> str:
    """What a fresh process (one thread) prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_results_come_in_any_order_and_arrays_can_be_written_to() -> None:
    big = np.arange(300_000.0)
    with ahead(lambda: {"big": big, "none": big[:0], "odd": np.arange(7, dtype=np.int8)}, lambda: "text", lambda: big[::2]) as (first, second, third):
        assert third().tolist() == big[::2].tolist() and second() == "text"
        got = first()
        assert np.array_equal(got["big"], big) and len(got["none"]) == 0 and got["odd"].tolist() == list(range(7))
        got["big"][0] = 5.0
        assert first()["big"][0] == 5.0 and got["big"].flags.aligned
    assert got["big"][-1] == 299_999.0  # the memory outlives the block


def test_an_error_is_raised_here_with_its_own_words() -> None:
    def refuse() -> None:
        raise DataError("x.zip: not a whole zip file", "fetch it again")

    with ahead(refuse, lambda: 3) as (first, second):
        with pytest.raises(DataError, match="not a whole zip file"):
            first()
        assert second() == 3


@LINUX
def test_the_work_is_done_in_another_process_when_it_may_be() -> None:
    code = ("import os\nfrom quanticity.core.ahead import ahead, may_fork\n"
            "with ahead(os.getpid) as (r,): print(may_fork(), r() != os.getpid())")
    assert in_a_process(code).split() == [str(len(os.sched_getaffinity(0)) > 1)] * 2
    alone = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + code
    assert in_a_process(alone).split() == ["False", "False"]


def test_another_thread_forbids_it() -> None:
    leave = threading.Event()
    other = threading.Thread(target=leave.wait)
    other.start()
    try:
        assert not may_fork()
        with ahead(os.getpid) as (result,):
            assert result() == os.getpid()
    finally:
        leave.set()
        other.join()


@LINUX
def test_no_child_is_left_whether_it_finished_or_not() -> None:
    code = ("import os, time\nfrom quanticity.core.ahead import ahead\n"
            "for work in (lambda: 1, lambda: time.sleep(60), lambda: os.kill(os.getpid(), 9)):\n"
            "    with ahead(work): pass\n"
            "try: os.waitpid(-1, os.WNOHANG); print('left')\nexcept ChildProcessError: print('none')\n"
            "print(len(os.listdir('/proc/self/fd')))\n"
            "with ahead(lambda: 1) as (r,): r()\n"
            "print(len(os.listdir('/proc/self/fd')))")
    children, before, after = in_a_process(code).split()
    assert children == "none" and before == after


@LINUX
def test_a_killed_parent_takes_the_work_with_it(tmp_path: Path) -> None:
    code = ("import os, sys, time\nfrom quanticity.core.ahead import ahead\n"
            "def work():\n"
            "    open(sys.argv[1], 'w').write(str(os.getpid()))\n    time.sleep(1.5)\n    return bytes(10_000_000)\n"
            "with ahead(work) as (result,): time.sleep(60)")
    noted = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", code, str(noted)])
    try:
        for _ in range(400):
            if noted.exists() and noted.read_text():
                break
            time.sleep(0.025)
        else:
            pytest.skip("one processor only: nothing was forked")
    finally:
        parent.kill()
        parent.wait()
    child = int(noted.read_text())
    if child == parent.pid:
        pytest.skip("one processor only: nothing was forked")
    for _ in range(400):  # it finds nobody to send its result to
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.025)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")
