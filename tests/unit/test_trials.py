"""The ledger of trials: counts each once, whatever is killed and however many write."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from quanticity.core.errors import DataError, OutputError, UserError
from quanticity.research.trials import TrialLedger, family_of, trial_id


def _record_many(folder, start, count):
    ledger = TrialLedger(folder)
    for number in range(start, start + count):
        ledger.record("f", {"n": number}, "data", number / 100, 250)
    return ledger.count("f")


def test_a_trial_counts_once_whatever_the_order_of_its_parameters(tmp_path):
    ledger = TrialLedger(tmp_path)
    assert ledger.record("f", {"a": 1, "b": 2.0}, "d", 0.1, 250) == 1
    assert ledger.record("f", {"b": 2.0, "a": 1}, "d", 0.1, 250) == 1
    assert ledger.record("f", {"a": 1, "b": 2.0}, "other data", 0.2, 250) == 2
    assert ledger.record("f", {"a": 1, "b": 2.0}, "d", 0.1, 250, code="changed") == 3
    assert ledger.record("g", {"a": 1, "b": 2.0}, "d", 0.1, 250) == 1
    assert ledger.families() == {"f": 3, "g": 1}


def test_a_trial_without_a_ratio_counts_but_has_none(tmp_path):
    ledger = TrialLedger(tmp_path)
    ledger.record("f", {"a": 1}, "d", float("nan"), 0)
    ledger.record("f", {"a": 2}, "d", 0.3, 250)
    assert (ledger.count("f"), ledger.sharpes("f"), ledger.variance("f")) == (2, [0.3], 0.0)
    ledger.record("f", {"a": 3}, "d", 0.1, 250)
    assert ledger.variance("f") == pytest.approx(0.02)


def test_what_was_recorded_is_never_changed(tmp_path):
    ledger = TrialLedger(tmp_path)
    ledger.record("f", {"a": 1}, "d", 0.1, 250)
    ledger.record("f", {"a": 1}, "d", 9.9, 250)
    assert ledger.sharpes("f") == [0.1]


def test_on_another_engine_it_is_the_same_trial_with_its_new_ratio(tmp_path):
    """Two versions of the platform: the count is fooled neither way, and old files (without an engine) are read."""
    ledger = TrialLedger(tmp_path)
    ledger.record("f", {"a": 1}, "d", 0.1, 250)
    path = next(tmp_path.rglob("*.json"))
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "engine"}))
    for engine, sharpe, kept in (("1.0", 0.2, 0.2), ("1.0", 0.9, 0.2), ("", 0.9, 0.2), ("2.0", 0.3, 0.3), ("1.0", 0.4, 0.4)):
        assert ledger.record("f", {"a": 1}, "d", sharpe, 250, engine=engine) == 1
        assert ledger.sharpes("f") == [kept]
    assert ledger.record("f", {"a": 2}, "d", float("nan"), 250, engine="1.0") == 2 and ledger.record("f", {"a": 2}, "d", 0.5, 250, engine="2.0") == 2
    assert sorted(ledger.sharpes("f")) == [0.4, 0.5]


def test_processes_record_at_once(tmp_path):
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_record_many, [tmp_path] * 2, [0, 20], [40, 40]))  # 0..39 and 20..59
    ledger = TrialLedger(tmp_path)
    assert ledger.count("f") == 60
    assert sorted(ledger.sharpes("f")) == [n / 100 for n in range(60)]


def test_killed_at_any_moment_it_leaves_whole_trials(tmp_path):
    code = "import sys; from pathlib import Path; from quanticity.research.trials import TrialLedger; l = TrialLedger(Path(sys.argv[1]))\nfor n in range(10**6): l.record('f', {'n': n}, 'd', 0.1, 9)"
    for wait in (0.0, 0.03, 0.08):
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
        ledger = TrialLedger(tmp_path)
        before = ledger.count("f")
        while ledger.count("f") <= before and child.poll() is None and not (before and wait == 0.0):
            time.sleep(0.005)
        time.sleep(wait)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        trials = ledger.trials("f")  # every one can be read
        assert len(trials) == ledger.count("f") >= before
    assert ledger.count("f") > 0
    assert sorted(t.parameters["n"] for t in trials) == list(range(len(trials)))  # and none was lost


@pytest.mark.parametrize("line", ["open", "write", "fsync", "replace"])
def test_a_crash_at_each_line_leaves_all_or_nothing(tmp_path, monkeypatch, line):
    """The process ends (no handler runs) before or within each call of the write."""
    code = f"""
import os, sys
from pathlib import Path
from quanticity.research import trials
ledger = trials.TrialLedger(Path(sys.argv[1]))
ledger.record("f", {{"n": 1}}, "d", 0.1, 9)
stop = lambda *a, **k: os.kill(os.getpid(), 9)
if {line!r} == "fsync": os.fsync = stop
elif {line!r} == "write":
    import io
    real = Path.open
    class Half:
        def __init__(self, file): self.file = file
        def __enter__(self): return self
        def __exit__(self, *a): pass
        def write(self, content): self.file.write(content[:7]); self.file.flush(); stop()
    Path.open = lambda self, *a: Half(real(self, *a))
else: setattr(Path, {line!r}, stop)
ledger.record("f", {{"n": 2}}, "d", 0.2, 9)
"""
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert child.returncode == -signal.SIGKILL
    ledger = TrialLedger(tmp_path)
    assert [t.parameters["n"] for t in ledger.trials("f")] == [1]
    assert ledger.record("f", {"n": 2}, "d", 0.2, 9) == 2


def test_a_damaged_trial_is_told_not_skipped(tmp_path):
    ledger = TrialLedger(tmp_path)
    ledger.record("f", {"a": 1}, "d", 0.1, 250)
    path = next(tmp_path.rglob("*.json"))
    path.write_text(path.read_text()[:20])
    with pytest.raises(DataError, match="is not a trial"):
        ledger.sharpes("f")
    path.write_text(json.dumps({"family": "f"}))
    with pytest.raises(DataError, match="restore it"):
        ledger.trials("f")


def test_names_cannot_leave_the_folder(tmp_path):
    ledger = TrialLedger(tmp_path / "trials")
    ledger.record(family_of("../../etc", "sim", ["a/b"]), {"a": 1}, "d", 0.1, 250)
    assert [p.parent.parent for p in tmp_path.rglob("*.json")] == [tmp_path / "trials"]


def test_an_uncounted_trial_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="trials must be counted"):
        TrialLedger(tmp_path / "file").record("f", {"a": 1}, "d", 0.1, 250)


def test_parameters_must_have_names():
    with pytest.raises(UserError, match="cannot be named"):
        trial_id({"a": object()}, "d")
