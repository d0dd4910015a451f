"""An import killed by -9 at any moment: what is in the lake is the old session whole or the new one whole, and the next import ends with the same bytes.

The file is its own worker: `test_import_kill.py SOURCE FOLDER FIRST LAST` imports the session of SOURCE into FOLDER/<n> for n = FIRST...LAST, each in a
process that the kernel kills at the nth time it opens, makes, renames or removes something there (n = 0: not at all, and the number of times is printed).
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quanticity
from quanticity.feeds.importing import SessionKey
from quanticity.feeds.session_tables import Refused
from quanticity.feeds.recording import IMPORTER, Recorder, read_session, recordings, recover, write_session
from quanticity.jobs.imports import Admitted, import_session, seal
from quanticity.market.session import MarketSession, batches, session_digest
from quanticity.store.archive import MANIFEST, Archive, folder_of
from quanticity.store.scan import sweep, verify

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")
KEY = SessionKey("XYZ", date(2024, 3, 1), "sim")
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(Path(quanticity.__file__).parents[1]), PYTHONDONTWRITEBYTECODE="1")


def door(session: MarketSession, give: Any = None) -> Admitted:
    """A quick one: crossed quotes are refused."""
    crossed = session.quotes.bid > session.quotes.ask
    refused = Refused(np.flatnonzero(crossed), ["crossed_quote"] * int(crossed.sum()), session.quotes.where(crossed))
    return Admitted(replace(session, quotes=session.quotes.where(~crossed)), {"quotes": refused}, {"score": 0.9})


def import_and_die(source: Path, lake: Path, at: int) -> int:
    """Import into `lake`, killed before its `at`-th touch of a file there; the number of touches where it lives."""
    seen = [0]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in EVENTS and isinstance(args[0], str | os.PathLike) and os.fspath(args[0]).startswith(str(lake)):
            seen[0] += 1
            if seen[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)

    archive = Archive(lake)
    sys.addaudithook(hook)
    import_session(IMPORTER, source, KEY, archive, door=door, replace=True)
    return seen[0]


def work(source: Path, folder: Path, first: int, last: int) -> None:
    """Children of one process that has everything imported already: a hundredth of the time of a hundred processes."""
    for at in range(first, last + 1):
        if (child := os.fork()) == 0:
            touches = import_and_die(source, folder / str(at), at)
            print(touches if first == last == 0 else f"{at} lived", flush=True)
            os._exit(0)
        os.waitpid(child, 0)


def run(source: Path, folder: Path, first: int, last: int) -> str:
    done = subprocess.run([sys.executable, __file__, str(source), str(folder), str(first), str(last)], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two lakes to import from: one day, and the same day with other quotes. Rows of every tape that there is, some of them refused by the door."""
    from quanticity.feeds.simulator import simulate_session

    folder = tmp_path_factory.mktemp("two")
    for seed, name in ((1, "one"), (2, "two")):
        session = simulate_session(seed, KEY.day, "XYZ")
        quotes = session.quotes.rows(0, 2_000)
        bid = quotes.bid.copy()
        bid[50 * seed] = quotes.ask[50 * seed] + 1
        write_session(Archive(folder / name), replace(session, quotes=replace(quotes, bid=bid)))
    return folder / "one", folder / "two"


def whole(lake: Path, among: dict[str, str]) -> str:
    """Which of the known sessions a lake holds ("none": none): read through, compared with its hashes, and by its digest."""
    archive = Archive(lake)
    if not archive.sessions():
        return "none"
    verify(archive, KEY)
    return among[session_digest(read_session(archive, KEY, quarantined=True))]


def digests(two: tuple[Path, Path]) -> dict[str, str]:
    return {session_digest(IMPORTER.load(path, KEY)): path.name for path in two}


@pytest.mark.slow
def test_killed_at_every_touch_of_a_first_import(two: tuple[Path, Path], tmp_path: Path) -> None:
    touches = int(run(two[0], tmp_path, 0, 0))
    expected = content(tmp_path / "0")
    assert touches > 25 and any("quarantine_quotes" in name for name in expected), (touches, list(expected))
    assert run(two[0], tmp_path, 1, touches + 1) == f"{touches + 1} lived\n"
    seen, known = {"none": 0, "one": 0}, digests(two)
    for at in range(1, touches + 1):
        lake = tmp_path / str(at)
        seen[whole(lake, known)] += 1
        report = import_session(IMPORTER, two[0], KEY, Archive(lake), door=door)
        assert content(lake) == expected and sweep(Archive(lake)) == [], at
        assert report.manifest == Archive(tmp_path / "0").manifest(KEY)
    assert seen["none"] > 20, seen


@pytest.mark.slow
def test_killed_at_every_touch_while_it_replaces_a_session(two: tuple[Path, Path], tmp_path: Path) -> None:
    run(two[0], tmp_path / "first", 0, 0)
    run(two[1], tmp_path / "second", 0, 0)
    expected = content(tmp_path / "second" / "0")
    (tmp_path / "kill").mkdir()
    shutil.copytree(tmp_path / "first" / "0", tmp_path / "kill" / "0")
    touches = int(run(two[1], tmp_path / "kill", 0, 0))
    for at in range(1, touches + 1):
        shutil.copytree(tmp_path / "first" / "0", tmp_path / "kill" / str(at))
    assert "lived" not in run(two[1], tmp_path / "kill", 1, touches)
    seen, known = {"one": 0, "two": 0}, digests(two)
    for at in range(1, touches + 1):
        lake = tmp_path / "kill" / str(at)
        seen[whole(lake, known)] += 1  # one or the other, never none, never a mixture
        import_session(IMPORTER, two[1], KEY, Archive(lake), door=door, replace=True)
        assert content(lake) == expected, at
    assert seen["one"] > 20 and seen["two"] > 3, seen


def test_killed_at_random_moments(two: tuple[Path, Path], tmp_path: Path) -> None:
    """From outside, at instants of a clock: in the middle of writing a file as well. The same lake again and again, both sessions in turn."""
    expected, lake, known, dice = {}, tmp_path / "lake", digests(two), random.Random(7)
    for path in two:
        expected[path.name] = Archive(tmp_path / path.name)
        import_session(IMPORTER, path, KEY, expected[path.name], door=door)
    seen = []
    with subprocess.Popen([sys.executable, __file__, str(two[0]), str(two[1]), str(lake)], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin and worker.stdout
        whole_write = float(worker.stdout.readline())
        for number in range(40):
            worker.stdin.write(f"{number % 2} {dice.uniform(0.0, 1.3 * whole_write)}\n")
            worker.stdin.flush()
            assert worker.stdout.readline() == "dead\n"
            seen.append(whole(lake, known))
        worker.stdin.close()
    assert worker.returncode == 0 and {"one", "two"} <= set(seen), seen
    import_session(IMPORTER, two[0], KEY, Archive(lake), door=door, replace=True)
    assert content(lake) == content(tmp_path / "one")


def write_and_be_killed(sources: list[Path], lake: Path) -> None:
    """Prints how long a whole write takes; then, for every line `session seconds`, writes that session in a child which is killed after so long."""
    ready = [door(IMPORTER.load(path, KEY)) for path in sources]

    def write(number: int, archive: Archive) -> None:
        write_session(archive, ready[number].session, quarantine=ready[number].quarantine, quality=ready[number].quality, force=True)

    started = time.monotonic()
    write(0, Archive(lake.with_name("timed")))
    print(time.monotonic() - started, flush=True)
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            write(int(line.split()[0]), Archive(lake))
            os._exit(0)
        time.sleep(float(line.split()[1]))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print("dead", flush=True)


def test_a_recording_killed_and_sealed(two: tuple[Path, Path], tmp_path: Path) -> None:
    """A recorder is killed at random while it records; another goes on after the last flush; what was flushed is all there, in order, once."""
    live: MarketSession = replace(IMPORTER.load(two[0], KEY), source="live")
    steps, dice = list(batches(live)), random.Random(3)
    archive, done, rows = Archive(tmp_path), 0, lambda whole: sum(len(getattr(whole, name)) for name in live.tapes())
    after = [sum(rows(b) for b in steps[:n]) for n in range(len(steps) + 1)]
    for _ in range(8):
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            try:
                with Recorder(archive, live) as recorder:
                    for number in range(done, len(steps)):
                        recorder.append(steps[number])
                        recorder.flush()
                        os.write(writer, (number + 1).to_bytes(4, "little"))
            finally:
                os._exit(0)
        os.close(writer)
        time.sleep(dice.uniform(0.02, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = b""
        while part := os.read(reader, 1 << 16):
            told += part
        os.close(reader)
        done = int.from_bytes(told[-4:], "little") if told else done
        if recordings(archive):
            kept = rows(recover(archive, recordings(archive)[0]))
            assert kept in (after[done], after[min(done + 1, len(steps))])  # the one after was flushed, and the kill came before it was told
            done = max(n for n in range(len(steps) + 1) if after[n] == kept)
    assert done > 0
    with Recorder(archive, live) as recorder:
        for batch in steps[done:]:
            recorder.append(batch)
        recorder.flush()
    report = seal(archive, recordings(archive)[0])
    last = steps[-1].now
    inside = {name: tape.where(tape.ts <= last) for name, tape in live.tapes().items()}
    assert session_digest(read_session(archive, report.key, quarantined=True)) == session_digest(replace(live, **inside))  # type: ignore[arg-type]


def test_a_half_session_without_its_manifest_is_none(two: tuple[Path, Path], tmp_path: Path) -> None:
    """The guard of all this: take the manifest away, and nobody sees a session."""
    archive = Archive(tmp_path)
    import_session(IMPORTER, two[0], KEY, archive, door=door)
    (tmp_path / folder_of(KEY) / MANIFEST).unlink()
    assert archive.sessions() == () and not IMPORTER.sessions(tmp_path)
    assert [n for n in archive.files.entries(folder_of(KEY)) if n.startswith("quotes-")]


if __name__ == "__main__" and len(sys.argv) == 4:
    write_and_be_killed([Path(sys.argv[1]), Path(sys.argv[2])], Path(sys.argv[3]))
elif __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
