"""Emission under fire, the short version: eight processes, thousands of proposals, kills; `signals_fire.py --full` is a million."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIRE = Path(__file__).parent / "signals_fire.py"


@pytest.fixture(scope="module")
def result() -> dict:
    done = subprocess.run([sys.executable, str(FIRE), "--proposals", "12000", "--seed", "11", "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout)


def test_every_step_was_the_models_and_nothing_was_left(result):
    """No double, no cap broken, no lock for ever: each is a problem that the auditor would have told."""
    assert result["problems"] == [] and result["proposals"] >= 12_000
    assert sum(result["verdicts"].values()) == result["proposals"] == result["counts"]["signals"] + result["counts"]["vetoes"]


def test_processes_were_killed_and_what_they_left_behind_lapsed(result):
    assert result["kills"] >= 5 and result["processes"] == 8 and result["ended"] == [0] * 8
    assert result["counts"]["lapsed"] > 0 and result["looks"] > 20


def test_every_veto_and_every_end_was_met(result):
    assert {"duplicate", "already_live", "cooldown", "same_exposure", "cap_symbol", "cap_strategy", "cap_expiry", "cap_book", "low_confidence", "signal"} == set(result["verdicts"])
    assert {"submitted", "refused", "filled", "expired", "closed", "illegal"} <= set(result["counts"]) and result["most_live"] == 9


MUTANTS = {
    "the book's cap by one": ("count + 1 > tonumber(most)", "count > tonumber(most)"), "no dollars": ("dollars ~= ''", "false"),
    "no duplicates": ("redis.call('HEXISTS', ack, id) == 1", "false"), "contracts unlocked": ("for _, name in ipairs(locks(r)) do redis.call('SET', live .. name, lock) end", ""),
    "locks kept": ("if lock.signal_id == id and not lock.ended then", "if false then"), "nothing cleared": ("clear(exposure, totals, ends, live, all_metrics, now)", ""),
    "sums kept": ("add(totals, r, -1)", ""), "any way will do": ("if not string.find(from,", "if false and not string.find(from,")}


EVERY = ("the book's cap by one", "contracts unlocked", "nothing cleared", "any way will do")  # the others were tried by hand: a second each


@pytest.mark.parametrize("name", EVERY)
def test_a_script_with_a_fault_is_caught(name):
    """The audit itself is tested: scripts with a planted fault do not come through."""
    done = subprocess.run([sys.executable, str(FIRE), "--proposals", "1500", "--json", "--mutate", *MUTANTS[name]], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and json.loads(done.stdout)["problems"], done.stderr[-2000:]
