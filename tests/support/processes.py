"""Processes that a process has started, and whether they are gone when it was killed."""

import os
import signal
import time

import psutil


def descendants(pid: int) -> dict[int, str]:
    """Command lines by process id of all that a process started, directly or not."""
    found = {}
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return {}
    for child in children:
        try:
            found[child.pid] = " ".join(child.cmdline())
        except psutil.Error:  # it ended meanwhile
            continue
    return found


def alive(pid: int, command: str) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and " ".join(process.cmdline()) == command
    except psutil.Error:
        return False


def left_after(started: dict[int, str], seconds: float = 30) -> dict[int, str]:
    """Those of some processes that still run when so long has passed, which are then killed; nothing as soon as all are gone."""
    left, deadline = started, time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {pid: command for pid, command in left.items() if alive(pid, command)}
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left
