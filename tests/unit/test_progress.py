"""Progress: a bar on a terminal, one line elsewhere."""

import io
import os
import pty
import select

import pytest

from quanticity.jobs.progress import progress_bar


def test_where_nobody_looks_it_says_the_title_once():
    out = io.StringIO()
    with progress_bar("replay GOOG", out) as tell:
        for i in range(5):
            assert tell(i, 5, "10:00") is None
    assert out.getvalue() == "replay GOOG\n"


def test_work_that_is_refused_before_its_first_step_says_nothing():
    out = io.StringIO()
    with pytest.raises(ValueError), progress_bar("replay GOOG", out):
        raise ValueError("no such day")
    assert out.getvalue() == ""


def test_without_a_stream_it_is_standard_error(capsys):
    with progress_bar("replay GOOG") as tell:
        tell(1, 2, "x")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "replay GOOG\n")


@pytest.fixture
def terminal(monkeypatch):
    """A real pseudo-terminal: what is written to the second end is read at the first."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    here, there = pty.openpty()
    with os.fdopen(there, "w", encoding="utf-8") as stream:
        yield here, stream
    os.close(here)


def test_on_a_terminal_it_draws_a_bar_and_takes_it_away(terminal):
    here, stream = terminal
    with progress_bar("replay GOOG", stream) as tell:
        tell(1, 4, "09:31 UTC")
        tell(4, 4, "13:00 UTC")
    stream.flush()
    raw = b""
    while b"\x1b[?25h" not in raw and select.select([here], [], [], 5.0)[0]:  # up to the cursor's return: a terminal gives what it has, not all
        raw += os.read(here, 65_536)
    seen = raw.decode()
    assert "replay GOOG" in seen and "4/4 13:00 UTC" in seen and "\x1b[2K" in seen  # the last: the line is erased


def test_an_error_inside_passes_through(terminal):
    _, stream = terminal
    for out in (io.StringIO(), stream):
        with pytest.raises(KeyboardInterrupt), progress_bar("replay GOOG", out):
            raise KeyboardInterrupt
