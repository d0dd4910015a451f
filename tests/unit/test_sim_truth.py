"""The truth beside a session: columns of fixed types, written whole or not at all, read back to the bit."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import fields, replace
from datetime import date

import numpy as np
import pytest

from quanticity.core.errors import DataError, DataMissing, OutputError
from quanticity.feeds.sim_truth import (DealerChanges, DealerTruth, Effect, EventKind, Events, Faults, FlowKind, Participant, Settlements, Steps, TradeTruth,
                                        Truth, check_truth, read_truth, truth_digest, truth_folder, write_truth)
from quanticity.feeds.simulator import simulate_session
from quanticity.market.session import session_digest

DAY = date(2026, 3, 20)


def make(n=1_000, seed=3):
    rng = np.random.default_rng(seed)
    trades = TradeTruth(rng.integers(-1, 2, n), rng.integers(0, 5, n), rng.integers(0, 5, n), rng.integers(-1, 40, n))
    return Truth("SPXW", DAY, seed, "ab" * 32, trades=trades, underlying_trades=TradeTruth([0], [Participant.NONE], [FlowKind.NONE], [-1]),
                 dealer=DealerTruth(rng.normal(size=6), rng.normal(size=6)), dealer_changes=DealerChanges([5, 9], [0, 3], [-2.0, 1.0]),
                 steps=Steps(np.arange(4) * 60, np.full(4, 500.25), np.full(4, 0.2), [0, 0, 1, 1]), factor_names=("level", "skew", "curvature"),
                 factors=rng.normal(size=(4, 3)), regime_names=("calm", "storm"), events=Events([60], [120], [EventKind.HALT], [0.0]),
                 settlements=Settlements([20532, 20533], [1, 2], [500.5, math.nan], [0, 1]),
                 effects=(Effect("order_flow", 2.5e-5, math.inf, ts=(60, 180)), Effect("auction_pressure", 0.1, 30.0, unit="share of imbalance")),
                 faults=Faults(["quotes", "underlying_quotes"], [3, 10**6], ["crossed_quote", "out_of_order"]))


def test_what_is_written_is_read_to_the_bit(tmp_path):
    truth = make()
    folder = write_truth(truth_folder(tmp_path, "SPXW", DAY), truth)
    back = read_truth(folder)
    assert truth_digest(back) == truth_digest(truth)
    for name, table in truth.tables().items():
        for f in fields(table):
            a, b = getattr(table, f.name), getattr(getattr(back, name), f.name)
            assert a.dtype.kind == b.dtype.kind and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), (name, f.name)
    assert np.array_equal(back.factors, truth.factors) and back.effects == truth.effects
    assert (back.symbol, back.date, back.seed, back.session, back.regime_names) == ("SPXW", DAY, 3, "ab" * 32, ("calm", "storm"))


def test_an_empty_truth_round_trips(tmp_path):
    empty = Truth("X", DAY, 0, "")
    assert truth_digest(read_truth(write_truth(tmp_path / "t", empty))) == truth_digest(empty)


def test_the_folder_is_apart(tmp_path):
    assert truth_folder(tmp_path, "BRK/B", DAY).relative_to(tmp_path).as_posix() == "truth/symbol=BRK%2FB/date=2026-03-20"
    with pytest.raises(DataError, match="not a symbol"):
        truth_folder(tmp_path, "../x", DAY)


def test_the_digest_sees_every_part():
    truth, seen = make(), set()
    changed = [truth, replace(truth, seed=4), replace(truth, session="cd"), replace(truth, regime_names=("a", "b")), replace(truth, effects=()),
               replace(truth, factors=truth.factors + 1e-12), replace(truth, factor_names=("a", "b", "c"))]
    for name, table in truth.tables().items():
        f = fields(table)[0].name
        column = getattr(table, f)
        other = np.array(["trades"] * len(column)) if column.dtype.kind == "U" else column * 0 if np.any(column) else column + 1
        changed.append(replace(truth, **{name: replace(table, **{f: other})}))
    for t in changed:
        seen.add(truth_digest(t))
    assert len(seen) == len(changed)


def test_writing_again_replaces_and_leaves_nothing_over(tmp_path):
    write_truth(tmp_path, make(1_000))
    before = len(list(tmp_path.iterdir()))
    write_truth(tmp_path, other := make(500, seed=4))
    assert truth_digest(read_truth(tmp_path)) == truth_digest(other)
    assert len(list(tmp_path.iterdir())) == before
    write_truth(tmp_path, other)
    assert truth_digest(read_truth(tmp_path)) == truth_digest(other)


KILLED = """
import os, pathlib, signal, sys
sys.path[:0] = [sys.argv[1]]
from test_sim_truth import make
import quanticity.feeds.sim_truth as t
count, at = 0, int(sys.argv[3])
def counting(f):
    def inner(*a, **k):
        global count
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return f(*a, **k)
    return inner
pathlib.Path.replace, pathlib.Path.unlink, os.fsync = counting(pathlib.Path.replace), counting(pathlib.Path.unlink), counting(os.fsync)
t.write_truth(pathlib.Path(sys.argv[2]), make(500, seed=4))
print(count)
"""


def killed(folder, at):
    return subprocess.run([sys.executable, "-c", KILLED, os.path.dirname(__file__), str(folder), str(at)], capture_output=True, text=True)


def test_a_kill_leaves_the_old_truth_or_the_new_one(tmp_path):
    old, new = make(1_000), make(500, seed=4)
    write_truth(tmp_path / "counted", old)
    moments = int(killed(tmp_path / "counted", -1).stdout)
    assert moments > 20
    outcomes = set()
    for at in (0, moments // 3, 2 * moments // 3, moments - 1):
        write_truth(tmp_path / "t", old)
        assert killed(tmp_path / "t", at).returncode == -signal.SIGKILL
        outcomes.add(truth_digest(read_truth(tmp_path / "t")))
    assert outcomes == {truth_digest(old), truth_digest(new)}
    write_truth(tmp_path / "t", new)
    assert truth_digest(read_truth(tmp_path / "t")) == truth_digest(new)
    assert len(list((tmp_path / "t").iterdir())) == len(list((tmp_path / "counted").iterdir()))


@pytest.mark.parametrize("spoil", ["cut", "gone", "other", "manifest", "nothing"])
def test_a_damaged_truth_is_one_line(tmp_path, spoil):
    write_truth(tmp_path, make())
    steps, manifest = next(tmp_path.glob("steps-*")), tmp_path / "truth.json"
    if spoil == "cut":
        steps.write_bytes(steps.read_bytes()[:-7])
    elif spoil == "gone":
        steps.unlink()
    elif spoil == "other":
        next(tmp_path.glob("dealer-*")).replace(steps)
    elif spoil == "manifest":
        manifest.write_text(manifest.read_text()[:40])
    else:
        manifest.unlink()
    with pytest.raises(DataMissing if spoil == "nothing" else DataError) as caught:
        read_truth(tmp_path)
    assert "\n" not in str(caught.value) and ("steps" in str(caught.value) or "truth" in str(caught.value))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_truth(tmp_path / "file" / "x", make())


def test_columns_are_checked_where_they_are_made():
    with pytest.raises(ValueError, match="different lengths"):
        DealerTruth([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="regime wants a row of int8"):
        Steps([1], [1.0], [1.0], [300])
    with pytest.raises(ValueError, match="wants a row of int64"):
        DealerChanges([1.5], [0], [1.0])
    for wrong in (dict(initiator=[2]), dict(participant=[9]), dict(flow=[-1])):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            TradeTruth(**{"initiator": [1], "participant": [1], "flow": [1], "metaorder": [-1], **wrong})


def test_it_belongs_to_one_session():
    session = simulate_session(7)
    n, m, k = len(session.trades), len(session.underlying_trades), len(session.contracts)
    truth = Truth(session.symbol, session.date, 7, session_digest(session), trades=TradeTruth(np.ones(n), np.ones(n), np.ones(n), np.full(n, -1)),
                  underlying_trades=TradeTruth(np.ones(m), np.ones(m), np.ones(m), np.full(m, -1)), dealer=DealerTruth(np.zeros(k), np.zeros(k)))
    check_truth(truth, session)
    with pytest.raises(DataError, match="digest"):
        check_truth(replace(truth, session="00"), session)
    with pytest.raises(DataError, match="trades has 0 rows"):
        check_truth(replace(truth, trades=TradeTruth.none()), session)
    with pytest.raises(DataError, match="it is of OTHER"):
        check_truth(replace(truth, symbol="OTHER"), session)
