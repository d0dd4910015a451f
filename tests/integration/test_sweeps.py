"""Sweeps: the same results in one process, in several and on Dask; killed and taken up again; every trial counted."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quanticity.app.demo import load_flow
from quanticity.core.config import load_config
from quanticity.core.errors import ConfigError, OutputError, UserError
from quanticity.research.backtest import Costs, Setup, backtest_together
from quanticity.research.backtest_folder import BacktestRequest
from quanticity.research.sweeps import Range, groups_for, in_processes, parameter_sets, run_sweep, run_trial, run_trials, shared, sweep_tasks
from quanticity.research.trials import TrialLedger

from ..support.processes import descendants, left_after

PROJECT = Path(__file__).parent.parent.parent
QUICK = {"market.step_seconds": 900, "signals.time_to_live_seconds": 2700.0, "signals.min_confidence": 0.3, "market.max_quote_age_seconds": 2000.0}
SETS = parameter_sets({"target_delta": [0.25, 0.45, 0.6]})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep in this process: (tasks, sweep, folder, ledger, configuration)."""
    folder = tmp_path_factory.mktemp("sweep")
    config = load_config(environ={}, overrides={**QUICK, "paths.state_dir": str(folder / "state")})
    tasks = sweep_tasks("zero_dte", SETS, BacktestRequest("sim", folder, seed=4, count=1), config)
    ledger = TrialLedger(folder / "trials")
    return tasks, run_sweep(tasks, folder / "out", ledger), folder / "out", ledger, config


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((folder / "trials").iterdir())}


def test_a_sweep_keeps_every_trial_and_counts_it(made):
    tasks, sweep, folder, ledger, _ = made
    assert len(files(folder)) == len(tasks) == 3 and sweep.made == 3
    assert ledger.families() == {"zero_dte over sim SIM": 3} and sweep.counted == sweep.guards.trials == 3
    assert sweep.profits.shape == (1, 3)
    for task, record in zip(tasks, sweep.records):
        assert record["key"] == task.key and record["given"] == dict(task.given)
        assert {name: record["parameters"][name] for name in task.given} == dict(task.given)
        assert record["net"] == pytest.approx(sum(record["daily"].values())) and record["net"] == pytest.approx(sum(t["net"] for t in record["trades"]))
    assert len({r["net"] for r in sweep.records}) > 1  # the parameters matter
    summary = json.loads((folder / "sweep.json").read_text())
    assert summary["guards"]["passed"] is False and summary["trials"] == 3 and len(summary["table"]) == 3


def test_a_trial_is_the_backtest_of_its_parameters(made):
    from quanticity.feeds.simulator import simulate, sessions_from, DEMO_DAY
    from quanticity.research.backtest import backtest
    from quanticity.jobs.wiring import load_strategy

    tasks, sweep, _, _, config = made
    entry = config.strategies["zero_dte"]
    loaded = load_strategy("zero_dte", entry.model_copy(update={"parameters": {**entry.parameters, **SETS[1]}}))
    result = backtest((d.session for d in simulate(4, sessions_from(DEMO_DAY, 1))), config, [loaded])
    assert sweep.records[1]["ledgers"] == [d.ledger_sha256 for d in result.days]


def test_side_by_side_each_set_is_what_it_is_alone(made, tmp_path):
    """The market and what is computed of it are made once for all three sets (the fixture's sweep did), here for each anew: the same records, ledgers and all."""
    tasks, sweep, _, _, _ = made
    assert [len(group) for group in shared(tasks)] == [3]
    alone = [run_trial(task) for task in tasks]
    assert [r["ledgers"] for r in alone] == [r["ledgers"] for r in sweep.records] and len({str(r["ledgers"]) for r in alone}) == 3
    assert alone == list(sweep.records)


def test_what_is_shared_is_seen_from_what_differs(made):
    tasks, sweep, _, _, config = made
    changed = lambda number, **values: replace(tasks[number], config=config.model_copy(update={name: getattr(config, name).model_copy(update=new) for name, new in values.items()}))
    limits, coarse = changed(1, risk={"max_orders_per_day": 2}), changed(1, analytics={"zero_gamma_points": 33})
    numbers = lambda groups: [[tasks.index(next(t for t in tasks if t.given == task.given)) for task in group] for group in groups]
    assert numbers(shared([tasks[0], limits, tasks[2]])) == [[0, 1, 2]]  # limits of risk are a book's own
    assert numbers(shared([tasks[0], coarse, tasks[2]])) == [[0, 2], [1]]  # a calculator's parameter is not, nor is anything else that is not known to be
    for name, new in (("market", {"max_quote_age_seconds": 1000.0}), ("data", {"lake_url": "elsewhere"})):
        assert len(shared([tasks[0], changed(1, **{name: new})])) == 2
    assert len(shared([tasks[0], replace(tasks[1], market=replace(tasks[1].market, seed=5))])) == 2
    assert [len(g) for g in shared(tasks, parts=2)] == [2, 1] and [len(g) for g in shared(tasks * 7, most=16)] == [16, 5]
    mixed = run_trials([tasks[0], coarse, tasks[2]])
    assert [mixed[0], mixed[2]] == [sweep.records[0], sweep.records[2]] and mixed[1] == run_trial(coarse)
    with pytest.raises(ConfigError, match="books of one market differ"):
        backtest_together([], [Setup(config), Setup(coarse.config)])


def test_a_trial_that_another_sweep_made_is_told_in_this_ones_words(made):
    """A set of the strategy's own values is the same trial whichever of them a sweep names: its row has this sweep's columns, and the table can be drawn."""
    from quanticity.app.sweep_cli import show_sweep

    tasks, _, folder, ledger, config = made
    market = tasks[0].market
    named = sweep_tasks("zero_dte", [{"target_delta": 0.45, "target_return": 0.6}, {"target_delta": 0.25, "target_return": 0.6}], market, config)
    assert {t.key for t in named} <= {t.key for t in tasks}
    found = run_sweep(named, folder, ledger, lambda tasks, keep: pytest.fail("nothing was left to do"))
    assert [set(row) for row in found.table()] == [{"target_delta", "target_return", "net", "trades", "sharpe"}] * 2
    show_sweep(found.summary(), found.lines(), folder)
    assert found.counted == ledger.count(found.family) == 3
    run_sweep(tasks, folder, ledger)


def test_done_trials_are_not_made_again(made, tmp_path):
    tasks, sweep, folder, ledger, _ = made
    never = lambda tasks, keep: pytest.fail("nothing was left to do")
    again = run_sweep(tasks, folder, ledger, never)
    assert again.made == 0 and again.summary()["table"] == sweep.summary()["table"] and ledger.count(sweep.family) == 3
    other = TrialLedger(tmp_path)
    assert run_sweep(tasks, folder, other, never).counted == 3 and other.count(sweep.family) == 3  # a ledger that was lost is filled again


def test_what_was_changed_has_another_key(made, tmp_path):
    tasks, _, _, _, config = made
    market = tasks[0].market
    key = lambda given=SETS[0], market=market, config=config: sweep_tasks("zero_dte", [given], market, config)[0].key
    changed = [key(SETS[1]), key(market=replace(market, seed=5)), key(market=replace(market, costs=Costs(slippage_ticks=1.0))),
               key(config=load_config(environ={}, overrides={**QUICK, "signals.min_confidence": 0.31, "paths.state_dir": str(tmp_path)}))]
    assert key() == tasks[0].key and len({tasks[0].key, *changed}) == 5


def test_processes_give_the_same_files(made, tmp_path):
    tasks, _, folder, _, _ = made
    ledger = TrialLedger(tmp_path / "trials")
    run_sweep(tasks[:2], tmp_path / "out", ledger, in_processes(2))
    assert files(tmp_path / "out") == {name: content for name, content in files(folder).items() if name[:-5] in {t.key for t in tasks[:2]}}
    assert ledger.count("zero_dte over sim SIM") == 2


def test_keys_of_the_configuration_are_tried_like_parameters(made, tmp_path):
    """A cost, a limit and a calculator's window (whose market is another): each set is the backtest under its configuration, here and in processes, and a trial of its own."""
    from quanticity.feeds.simulator import DEMO_DAY, sessions_from, simulate
    from quanticity.research.backtest import backtest
    from quanticity.research.sweeps import swept_strategy

    _, sweep, _, _, config = made
    market = BacktestRequest("sim", tmp_path, seed=4, count=1)
    sets = [SETS[1], {**SETS[1], "execution.slippage_ticks": 2}, {**SETS[1], "risk.order_notional": 500, "analytics.flow.window_minutes": 30}]
    tasks = sweep_tasks("zero_dte", sets, market, config)
    ledger = TrialLedger(tmp_path / "trials")
    found = run_sweep(tasks, tmp_path / "out", ledger, in_processes(2, together=2))
    assert found.records[0] == sweep.records[1] and found.counted == ledger.count(found.family) == 3
    assert [len(group) for group in shared(tasks)] == [2, 1]
    for given, record in zip(sets[1:], found.records[1:]):
        own = load_config(environ={}, overrides={**QUICK, **{name: value for name, value in given.items() if "." in name}})
        result = backtest((d.session for d in simulate(4, sessions_from(DEMO_DAY, 1))), own, [swept_strategy("zero_dte", given, own)])
        assert record["ledgers"] == [d.ledger_sha256 for d in result.days] and record["given"] == given and record["parameters"]["target_delta"] == 0.45
    assert len({str(r["ledgers"]) for r in found.records}) == 3 and {"execution.slippage_ticks", "target_delta"} <= found.table()[0].keys() | found.table()[1].keys() | found.table()[2].keys()
    assert run_trials(tasks) == list(found.records)  # in this process
    again = run_sweep(tasks, tmp_path / "out", ledger, lambda tasks, keep: pytest.fail("nothing was left to do"))
    assert again.counted == 3


def test_what_the_market_is_read_by_keeps_sessions_apart(made, monkeypatch, tmp_path):
    """A session of LEAN's has the rate of the configuration: a set with another rate is not given the session that is kept."""
    from quanticity.research import sweeps

    config, read = made[4], []
    monkeypatch.setattr(sweeps, "_kept", {})
    monkeypatch.setattr(sweeps, "sessions_of", lambda market, days, config: iter(read.append(config.market.rate) or [config.market.rate]))
    market = BacktestRequest("sim", tmp_path, count=1)
    rates = [config.model_copy(update={"market": config.market.model_copy(update={"rate": rate})}) for rate in (0.01, 0.03)]
    assert [list(sweeps._market(market, own)) for own in (rates[0], rates[0], rates[1])] == [[0.01], [0.01], [0.03]] and read == [0.01, 0.03]


def test_after_an_upgrade_trials_are_made_anew_and_counted_once(made, tmp_path, monkeypatch):
    from quanticity.research import performance, sweeps

    _, _, _, _, config = made
    market, ledger = BacktestRequest("sim", tmp_path, seed=4, count=1), TrialLedger(tmp_path / "trials")
    before = run_sweep(sweep_tasks("zero_dte", SETS[:1], market, config), tmp_path / "out", ledger)
    assert [t.engine for t in ledger.trials(before.family)] == [performance.engine_of([sweeps.swept_strategy("zero_dte", {}, config)])]
    for module in (performance, sweeps):
        monkeypatch.setattr(module, "engine_of", lambda ran: "another")
    after = run_sweep(sweep_tasks("zero_dte", SETS[:1], market, config), tmp_path / "out", ledger)
    assert (before.made, after.made, after.counted) == (1, 1, 1) and before.records[0]["key"] != after.records[0]["key"] and len(files(tmp_path / "out")) == 2
    assert [t.engine for t in ledger.trials(after.family)] == ["another"] and before.records[0]["ledgers"] == after.records[0]["ledgers"]
    monkeypatch.setattr(sweeps, "_engines", {})
    with pytest.raises(UserError, match="the platform's code in a worker is not that of the sweep"):  # a cluster that was left behind
        sweeps.in_worker([replace(made[0][0], engine="of another day")])


def test_the_command_tries_keys_on_a_fair_market_and_tells_how_far_it_is(tmp_path, monkeypatch, capsys):
    from quanticity.app.cli import main
    from quanticity.research import sweeps

    monkeypatch.setattr(sweeps, "_kept", {})
    monkeypatch.chdir(tmp_path)
    for name, value in (QUICK | {"paths.state_dir": str(tmp_path / "state"), "paths.runs_dir": str(tmp_path / "runs")}).items():
        monkeypatch.setenv(f"QUANTICITY_{name.upper().replace('.', '__')}", str(value))
    command = ["quanticity", "sweep", "--strategy", "zero_dte", "--set", "risk.order_notional=500,2000", "--source", "sim", "--seed", "4", "--sessions", "1", "--fair"]
    told = []
    for more in (["--json"], []):
        monkeypatch.setattr(sys, "argv", command + more)
        with pytest.raises(SystemExit) as ended:
            sys.exit(main())
        assert ended.value.code in (0, None)
        told.append(capsys.readouterr())
    assert told[0].err.splitlines() == ["reading 1 session", "sweeping 2 sets of zero_dte", "  1 of 2 done", "  2 of 2 done"]
    summary = json.loads(told[0].out)
    assert summary["made"] == summary["counted"] == 2 and summary["notes"] == ["simulated fair market (nothing can be earned before costs), seed 4"]
    assert {row["risk.order_notional"] for row in summary["table"]} == {500, 2000} and (tmp_path / "runs" / "sweep-fair-zero_dte-SIM-sim-seed4" / "sweep.json").exists()
    assert "simulated fair market" in told[1].out and "risk.order_notional" in told[1].out and "2 of 2 were there already" in told[1].err and "0 ran now" in told[1].out
    assert "period" not in told[1].out and "fewer than 20 days" in told[1].out


def test_reading_tells_how_far_it_is(made, monkeypatch, tmp_path):
    from quanticity.research import sweeps

    monkeypatch.setattr(sweeps, "_kept", {})
    for most, reads in ((1, [True, True]), (12, [True, False])):  # more than are kept are read each time
        monkeypatch.setattr(sweeps, "_MOST_KEPT", most)
        for read in reads:
            told = []
            sweep_tasks("zero_dte", SETS[:1], BacktestRequest("sim", tmp_path, seed=5, count=2), made[4], lambda *said: told.append(said))
            assert [(done, total) for done, total, _ in told] == ([(1, 2), (2, 2)] if read else []) and all(where.startswith("SIM 2026-") for *_, where in told)


def test_the_task_of_the_flow_is_the_trial(made):
    """Without Prefect's server and without a cluster: what a task run does."""
    module = load_flow(PROJECT, {}, "sweep")
    tasks, sweep, _, _, _ = made
    assert module.make_trials.fn(tasks) == list(sweep.records)
    assert callable(module.on_dask(2, "tcp://127.0.0.1:1"))


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("FULL_TESTS"), reason="takes a minute of two cores: a Prefect server and a Dask cluster are started; set FULL_TESTS=1 to run it")
def test_dask_gives_the_same_results(made, tmp_path):
    """`quanticity sweep --backend dask`: the flow of flows/sweep.py on a Dask cluster of this machine, with a Prefect server of its own; then again, with nothing left to do."""
    _, sweep, _, _, config = made
    settings = {f"QUANTICITY_{name.upper().replace('.', '__')}": str(value) for name, value in QUICK.items()}
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("QUANTICITY_", "PREFECT_"))} | settings | {"QUANTICITY_PATHS__STATE_DIR": str(tmp_path / "state")}
    command = [str(Path(sys.executable).parent / "quanticity"), "sweep", "--strategy", "zero_dte", "--set", "target_delta=0.25,0.45", "--set", "execution.slippage_ticks=0", "--source", "sim", "--seed", "4",
               "--sessions", "1", "--backend", "dask", "--jobs", "1", "--json", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["reading 1 session", "sweeping 2 sets of zero_dte", "  1 of 2 done", "  2 of 2 done"]  # neither Prefect's nor Dask's log
    summary = json.loads(done.stdout)  # nothing else on standard output
    assert summary["made"] == 2 and summary["counted"] == 2
    there = [json.loads(content) for content in files(tmp_path / "out").values()]
    assert sorted((r["given"]["target_delta"], r["ledgers"], r["daily"], r["trades"]) for r in there) == sorted(
        (r["given"]["target_delta"], r["ledgers"], r["daily"], r["trades"]) for r in sweep.records[:2])


def test_killed_in_the_middle_it_goes_on(made, tmp_path):
    """A sweep of its own process, one set at a time, killed with -9 after its first result: what it kept is whole, and the rest is made, with the same result."""
    tasks, sweep, folder, _, config = made
    code = f"""
from pathlib import Path
from quanticity.core.config import load_config
from quanticity.research.backtest_folder import BacktestRequest
from quanticity.research.sweeps import in_processes, parameter_sets, run_sweep, sweep_tasks
from quanticity.research.trials import TrialLedger
config = load_config(environ={{}}, overrides={{**{QUICK!r}, "paths.state_dir": {str(config.paths.state_dir)!r}}})
tasks = sweep_tasks("zero_dte", {SETS!r}, BacktestRequest("sim", Path("x"), seed=4, count=1), config)
run_sweep(tasks, Path({str(tmp_path / 'out')!r}), TrialLedger(Path({str(tmp_path / 'trials')!r})), in_processes(1, together=1))
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out" / "trials").glob("*.json")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = len(list((tmp_path / "out" / "trials").glob("*.json")))
    assert 1 <= kept < 3
    ledger = TrialLedger(tmp_path / "trials")
    again = run_sweep(tasks, tmp_path / "out", ledger)
    assert again.made == 3 - kept and ledger.count(again.family) == 3
    assert {k: v for k, v in files(tmp_path / "out").items() if not k.startswith(".")} == files(folder)


def test_nothing_outlives_a_sweep_that_was_killed(tmp_path):
    """Two workers at work, each with a state server: the sweep's process gets kill -9, and workers, resource tracker, servers and watchdogs are gone soon after."""
    settings = {f"QUANTICITY_{name.upper().replace('.', '__')}": str(value) for name, value in (QUICK | {"market.step_seconds": 60}).items()}
    environ = {k: v for k, v in os.environ.items() if not k.startswith("QUANTICITY_")} | settings | {"QUANTICITY_PATHS__STATE_DIR": str(tmp_path / "state")}
    command = [str(Path(sys.executable).parent / "quanticity"), "sweep", "--strategy", "zero_dte", "--set", "target_delta=0.2,0.3,0.4,0.5", "--source", "sim", "--seed", "4",
               "--sessions", "1", "--jobs", "2", "--out", str(tmp_path / "out")]
    child = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started: dict[int, str] = {}
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline and sum("valkey-server" in c and "fcntl" not in c for c in started.values()) < 1:
        time.sleep(0.02)
        started = descendants(child.pid)
    assert sum("spawn_main" in command for command in started.values()) == 2, started
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    left = left_after(started)
    assert not left, left


def test_interrupted_alone_the_parent_ends_its_workers_and_says_how_to_go_on(tmp_path):
    """SIGINT to the sweep's process only, as a notebook or a script sends it: exit code 130 and one line; its workers leave what they are at and clear up after themselves."""
    settings = {f"QUANTICITY_{name.upper().replace('.', '__')}": str(value) for name, value in QUICK.items()}
    environ = {k: v for k, v in os.environ.items() if not k.startswith("QUANTICITY_")} | settings | {"QUANTICITY_PATHS__STATE_DIR": str(tmp_path / "state"), "TMPDIR": str(tmp_path)}
    command = [str(Path(sys.executable).parent / "quanticity"), "sweep", "--strategy", "zero_dte", "--set", "target_delta=0.2,0.2,0.3,0.4,0.5", "--source", "sim", "--seed", "4",
               "--sessions", "2", "--jobs", "2", "--together", "1", "--out", str(tmp_path / "out")]
    child = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline and not list((tmp_path / "out" / "trials").glob("*.json")):
        time.sleep(0.01)
    started = descendants(child.pid)
    assert child.poll() is None, child.stderr.read()
    os.kill(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    kept = len(list((tmp_path / "out" / "trials").glob("*.json")))
    assert child.returncode == 130 and 1 <= kept < 4 and sum("spawn_main" in command for command in started.values()) == 2, said
    lines = said.splitlines()
    assert lines[0] == "quanticity: --set target_delta: 0.2 stands there more than once and is tried once" and "sweeping 4 sets of zero_dte" in lines
    assert lines[-1] == f"quanticity: stopped with {kept} of 4 sets kept in {tmp_path / 'out'}; run the same again to go on" and "Traceback" not in said
    left = left_after(started)
    assert not left and not list(tmp_path.glob(".quanticity-*")), left


def test_workers_that_nobody_waits_for_end():
    """Of three pieces the first is done at once and the others take ten minutes: who takes the first and closes is not kept waiting, whatever the workers do about it."""
    code = """
import signal, time
from contextlib import closing
from quanticity.research.workers import in_order_of_end
if __name__ == "__main__":
    with closing(in_order_of_end(time.sleep, [0.0, 600.0, 600.0], 2)) as done:
        print(next(done))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


def test_a_kill_costs_less_than_half_of_the_work(made):
    tasks = [replace(made[0][0], market=replace(made[0][0].market, count=20))] * 120
    sizes = lambda count, jobs, together=None, tasks=tasks: [len(group) for group in groups_for(tasks[:count], jobs, together)]
    assert sizes(3, 1) == [2, 1] and sizes(8, 1) == [4, 4] and sizes(8, 2) == [2, 2, 2, 2] and sizes(2, 4) == [1, 1] and groups_for([], 2) == []
    assert sizes(120, 2) == [16] * 7 + [8] and sizes(120, 2, 5) == [5] * 24 and sizes(8, 2, 16) == [4, 4]
    of_a_day = [made[0][0]] * 120  # seconds of work: the market is made once
    assert sizes(8, 1, tasks=of_a_day) == [8] and sizes(8, 2, tasks=of_a_day) == [4, 4] and sizes(20, 1, tasks=of_a_day) == [10, 10] and sizes(120, 1, tasks=of_a_day) == [16] * 7 + [8]
    for jobs, together, words in ((0, None, "0 processes"), (1, 0, "0 sets together")):
        with pytest.raises(UserError, match=words):
            in_processes(jobs, together)


def test_a_strategy_that_is_not_there_is_one_line(made, tmp_path):
    tasks, _, _, ledger, _ = made
    bad = replace(tasks[0], key="0" * 24, strategy="os:kill_the_worker")
    with pytest.raises(ConfigError, match="no kill_the_worker"):
        run_trial(bad)
    with pytest.raises(OutputError, match="something else than a sweep"):
        (tmp_path / "thesis.txt").write_text("x")
        run_sweep(tasks, tmp_path, ledger)


@pytest.mark.parametrize("arguments, words", [
    (["--set", "stop_los=1,2"], "unknown parameter stop_los"), (["--set", "stop_loss"], "wants NAME=VALUE"), (["--set", "stop_loss=0.2..0.6"], "draw from it, e.g. --sample 50"),
    (["--set", "risk.max_open_position=1,2"], "--set: unknown key risk.max_open_position; did you mean risk.max_open_positions?"),
    (["--set", "stop_loss=0.2", "--set", "risk.max_open_positions=1,two"], "--set: risk.max_open_positions: got 'two' (text), wants a whole number at least 1"),
    (["--set", "data.lake_url=a,b"], "--set: data.lake_url says what is read"), (["--set", "logging.level=info,error"], "--set: logging.level changes no result"),
    (["--set", "execution.slippage_ticks=0,1", "--slippage-ticks", "2"], "execution.slippage_ticks is given as a cost of all sets, too"),
    (["--set", "strategies.moc.symbols=[SPXW]"], "the strategy is zero_dte"), (["--set", "stop_loss=0.2", "--source", "lean", "--symbol", "GOOG", "--data", ".", "--fair"], "--fair is of a simulated market"),
    (["--set", "stop_loss=0.2", "--backend", "moon"], "choose one of processes, dask"), ([], "nothing to try"), (["--set", "stop_loss=0.2", "--strategy", "ten_dte"], "no strategy ten_dte in the configuration (there: zero_dte")])
def test_mistakes_on_the_command_line_are_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    from quanticity.app.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["quanticity", "sweep", *([] if "--strategy" in arguments else ["--strategy", "zero_dte"]), "--source", "sim", *([] if "lean" in arguments else ["--sessions", "1"]), *arguments])
    with pytest.raises(SystemExit) as ended:
        sys.exit(main())
    said = capsys.readouterr()
    assert ended.value.code == 2 and words in said.err and len(said.err.strip().splitlines()) == 1 and not said.out


def test_samples_are_drawn_by_their_seed():
    values = {"a": Range(0.0, 1.0), "b": Range(1, 9), "c": ["x", "y"]}
    assert parameter_sets(values, 6, 3) == parameter_sets(values, 6, 3) != parameter_sets(values, 6, 4)
    assert all(0 <= s["a"] <= 1 and 1 <= s["b"] <= 9 and isinstance(s["b"], int) for s in parameter_sets(values, 20))
    assert len({repr(s) for s in parameter_sets(values, 20)}) == 20
    for bad, words in (({}, "values to try"), ({"a": Range(1, 1)}, "below its high end")):
        with pytest.raises(UserError, match=words):
            parameter_sets(bad, 2)
    with pytest.raises(UserError, match="the sample's seed -1 is negative; choose a whole number from 0"):
        parameter_sets(values, 3, -1)
    assert np.isfinite([s["a"] for s in parameter_sets(values, 3)]).all()
