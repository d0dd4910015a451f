"""The research desk: one view of a recorded session, a finished run and the live state; a strategy under edit."""

import gc
import json
import os
import sys
import weakref
from dataclasses import replace
from datetime import date
from hashlib import sha256
from types import ModuleType, SimpleNamespace

import pytest

from quanticity.core.config import Config
from quanticity.core.errors import ConfigError, DataMissing, UserError
from quanticity.core.events import EventKind, parse_event
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.jobs.replay import run_sessions
from quanticity.jobs.run import ReplayRequest, replay
from quanticity.jobs.wiring import strategy_at
from quanticity.reports.backtest_run import write_backtest_example
from quanticity.reports.layout import write_example
from quanticity.research import compare, simulated, steps_of, study, view_live, view_run, view_session
from quanticity.research.watching import in_notebook, shown
from quanticity.store.server import start_server
from quanticity.store.state import connect

SMALL = SimulatorParameters(strikes=5, expiries=2)
DAY = date(2026, 3, 20)


@pytest.fixture(scope="module")
def session():
    return simulate_session(3, DAY, "SIM", SMALL)


@pytest.fixture(scope="module")
def view(session):
    return view_session(session, ["zero_dte"], Config())


def test_a_session_is_looked_at(view, session):
    assert (view.symbol, view.date, view.source) == ("SIM", DAY, "session sim")
    assert len(view.steps) == 391 and str(view.steps.index.tz) == "America/New_York" and view.steps["spot"].iloc[-1] == view.chain.spot
    assert view.features.symbol == "SIM" and view.features.values["spot"] == view.chain.spot
    kinds = view.decisions["kind"].value_counts()
    assert kinds["skip"] + kinds.get("proposal", 0) == 391 and set(view.decisions["strategy"].dropna()) == {"zero_dte"}
    assert len(view.ledger) == len(view.events)


def test_what_is_held_is_what_the_fills_say(view):
    fills = [e for e in view.events if e.kind is EventKind.FILL]
    held: dict[str, int] = {}
    for e in fills:
        c = e.data["contract"]
        held[f"{c['strike']}{c['right']}"] = held.get(f"{c['strike']}{c['right']}", 0) + (1 if e.data["side"] == "buy" else -1) * e.data["quantity"]
    assert fills and sum(map(abs, held.values())) == sum(abs(p.quantity) for p in view.positions())


def test_the_picture_has_the_spot_and_a_mark_for_each_signal_and_fill(view):
    traces = {t.name: t for t in view.plot().data}
    assert len(traces["spot"].x) == 390  # the first bar is a minute after the open
    marks = {name: t for name, t in traces.items() if name != "spot"}
    for names, kind in (({"zero_dte: signals"}, EventKind.SIGNAL), (set(marks) - {"zero_dte: signals"}, EventKind.FILL)):
        assert sum(len(marks[n].x) for n in names) == sum(e.kind is kind for e in view.events) > 0
        assert all(set(marks[n].y) <= set(traces["spot"].y) and all(marks[n].text) for n in names)


def test_calls_and_puts_entries_and_exits_and_strategies_are_told_apart(view):
    """Of the same session under another name: the colour is the strategy's, the shape the right's, filled is an entry."""
    lines = [e.line().replace(b'"strategy":"zero_dte"', b'"strategy":"other"').replace(b'"sig:', b'"sig:o') for e in view.events]
    both = replace(view, events=(*view.events, *map(parse_event, lines)))
    look = {t.name: (t.marker.symbol, t.marker.color) for t in both.plot().data if t.name != "spot"}
    assert {"zero_dte: signals", "other: signals"} <= set(look) and any("entry" in n for n in look) and any("exit" in n for n in look)
    assert len({c for n, (_, c) in look.items() if n.startswith("other")}) == 1 and len({c for _, c in look.values()}) == 2
    for name, (symbol, _) in look.items():
        assert symbol.startswith({"calls": "triangle-up", "puts": "triangle-down", "signals": "circle"}[name.split(": ")[1].split(",")[0]])
        assert symbol.endswith("-open") == ("entry" not in name)
    assert len(set(look.values())) == len(look) and both.plot().layout.showlegend


def test_the_live_state_and_the_finished_run_give_the_same_view(session, view, tmp_path):
    server = start_server(tmp_path / "state", append_only=False)
    try:
        state = connect(server.url, prefix="live:")
        run_sessions([session], Config(), state, tmp_path, strategies=(strategy_at("quanticity.strategies.zero_dte", playbook=_playbook()),), profiles=False)
        live = view_live("SIM", DAY, server.url, "live:")
        assert [e.line() for e in live.events] == [e.line() for e in view.events] and live.source == "live"
        assert live.chain.id == view.chain.id and live.features == view.features
        assert len(live.steps) == 1 and len(live.plot().data) >= 1
        with pytest.raises(DataMissing, match="nothing of SPXW"):
            view_live("SPXW", DAY, server.url)
        state.close()
    finally:
        server.stop()


def _playbook():
    from quanticity.playbooks.zero_dte import PLAYBOOK
    return PLAYBOOK


def test_a_finished_run_is_looked_at(tmp_path):
    folder = write_example(tmp_path)
    done = view_run(folder)
    assert done.symbol == "DEMO" and done.date == date(2015, 12, 24) and len(done.steps) == 211
    assert done.chain is None and "keeps none" in done.notes[-1] and len(done.positions()) == 0
    assert done.features.symbol == "DEMO" and done.features.get("spot") == done.steps["spot"].iloc[-1] and done.features.get("vpin") is None
    assert {t.name.split(": ")[-1] for t in done.plot().data} >= {"spot", "signals"}
    with pytest.raises(UserError, match="the run is of DEMO on 2015-12-24"):
        view_run(folder, day=date(2015, 12, 23))


def test_a_session_of_a_backtest_is_looked_at(tmp_path, view):
    """Of a ledger over two days and two symbols: a session's own lines, and what was held overnight. (The folder is an example's with real lines.)"""
    folder = write_backtest_example(tmp_path / "bt")
    own = [e.line() for e in view.events]
    lines = [line.replace(b"2026-03-20", b"2026-03-19").replace(b"20260320", b"20260319") for line in own] + own
    lines += [line.replace(b"SIM", b"BBB") for line in own]
    (folder / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    summary = json.loads((folder / "summary.json").read_text())
    summary["ledger_sha256"] = sha256((folder / "ledger.jsonl").read_bytes()).hexdigest()
    (folder / "summary.json").write_text(json.dumps(summary))
    for asked, words in (((), "the backtest has 2 sessions; choose one by symbol and day: SIM 2026-03-19, SIM 2026-03-20"), (("CCC",), "0 sessions of CCC on any day")):
        with pytest.raises(UserError, match=words):
            view_run(folder, *asked)
    first, last = view_run(folder, "SIM", date(2026, 3, 19)), view_run(folder, day="2026-03-20")
    assert [e.id for e in last.events] == [e.id for e in view.events] and first.earlier == () and last.earlier == first.events and len(first.events) == len(own)
    assert (first.date, len(first.steps), last.date) == (date(2026, 3, 19), 14, DAY) and first.source.startswith("backtest ")
    assert "neither chain nor features" in first.notes[0] and "spot" in {t.name for t in first.plot().data}


def test_the_desk_shows_its_names_and_no_others():
    import quanticity.research as research

    names = [n for n in dir(research) if not n.startswith("__")]
    assert not {"Any", "Iterable", "Path", "importlib", "date"} & set(names) and all(hasattr(research, n) for n in names)
    assert research.backtest.backtest.__name__ == "backtest" and research.study is study


def test_a_run_that_was_just_written_can_be_opened(tmp_path):
    replay(ReplayRequest("sim", tmp_path / "run", symbol="SIM", day=date(2026, 11, 27), seed=2), Config())
    done = view_run(tmp_path / "run")
    assert done.date == date(2026, 11, 27) and len(done.steps) == 211  # a half day


def test_without_a_server_it_says_so():
    with pytest.raises(UserError, match="no server was named"):
        view_live("SIM", DAY)


WRITTEN = """
from dataclasses import dataclass
from quanticity.core.reasons import Reason
from quanticity.core.types import Skip
NAME = "edited"
@dataclass(frozen=True)
class Parameters:
    least: float = 0.5
def propose(features, chain, parameters):
    return Skip(NAME, features.symbol, features.ts, Reason.{reason}, "edited", ())
"""


def test_autoreload_sees_an_edited_strategy(session, tmp_path, monkeypatch):
    """As in a notebook: IPython's own autoreload, a module saved between two runs."""
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "edited_strategy.py").write_text(WRITTEN.format(reason="TOO_EARLY"))
    shell = InteractiveShell.instance()
    try:
        shell.user_ns.update(study=study, session=session)
        for line in ("%load_ext autoreload", "%autoreload 2", "import edited_strategy", "first = study('edited_strategy', session).counts"):
            shell.run_cell(line).raise_error()
        (tmp_path / "edited_strategy.py").write_text(WRITTEN.format(reason="REGIME_GATED") + "# a longer file than before\n")
        shell.run_cell("second = study('edited_strategy', session).counts").raise_error()
        assert (shell.user_ns["first"]["too_early"], shell.user_ns["second"]["regime_gated"]) == (390, 390)
    finally:
        InteractiveShell.clear_instance()
        sys.modules.pop("edited_strategy", None)


DIPPED = """
from dataclasses import dataclass
from quanticity.core.reasons import Reason
from quanticity.core.types import Skip
from {beside} import LEVEL
NAME = "dipped"
@dataclass({form})
class Parameters:
    dip: float = 0.00{digit}
def propose(features, chain, parameters):
    return Skip(NAME, features.symbol, features.ts, Reason.TOO_EARLY, f"{{parameters.dip}} {{LEVEL}} {digit}", ())
class Mine:
    NAME, Parameters = "mine", Parameters
    def propose(self, features, chain, parameters):
        return propose(features, chain, parameters)
"""
FORMS = ("frozen=True", "frozen=True, slots=True")


def _save(folder, name, form, digit):
    """A strategy and what it imports, saved within the same second at the same length."""
    (folder / f"{name}_beside.py").write_text(f"LEVEL = {digit}\n")
    (folder / f"{name}.py").write_text(DIPPED.format(form=form, digit=digit, beside=f"{name}_beside"))


def _said(made):
    return made.parameters.dip, set(made.table["detail"]) - {""}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("given", ["'{name}'", "'{name}:Mine'", "{name}", "{name}.Mine", "{name}.Mine()"])
def test_autoreload_survives_three_saves_of_a_default(session, tmp_path, monkeypatch, form, given):
    from IPython.core.interactiveshell import InteractiveShell

    name = f"dipped_reloaded_{FORMS.index(form)}_{len(given)}"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    _save(tmp_path, name, form, 1)
    began = (tmp_path / f"{name}.py").stat().st_mtime
    shell = InteractiveShell.instance()
    try:
        shell.user_ns.update(study=study, session=session)
        for line in ("%load_ext autoreload", "%autoreload 2", f"import {name}"):
            shell.run_cell(line).raise_error()
        for digit in (1, 2, 3, 4):
            _save(tmp_path, name, form, digit)
            saved = began + 100 * digit
            os.utime(tmp_path / f"{name}.py", (saved, saved))  # or autoreload might not see a save so soon after
            shell.run_cell(f"made = study({given.format(name=name)}, session)").raise_error()
            dip, said = _said(shell.user_ns["made"])
            assert dip == digit / 1000 and any(s == f"{dip} {digit} {digit}" for s in said)
    finally:
        InteractiveShell.clear_instance()
        for one in (name, f"{name}_beside"):
            sys.modules.pop(one, None)


@pytest.mark.parametrize("form", FORMS)
def test_without_autoreload_what_was_saved_last_runs_and_names_the_trial(session, tmp_path, monkeypatch, form):
    """By name in one process: studies, comparisons and backtests; a backtest keeps the hash of the code that it ran, whatever is saved after."""
    from quanticity.research.backtest import strategies_from
    from quanticity.research.performance import code_of

    name = f"dipped_plain_{FORMS.index(form)}"
    monkeypatch.syspath_prepend(tmp_path)
    codes, loaded = [], []
    for digit in (1, 2, 3):
        _save(tmp_path, name, form, digit)
        assert _said(study(name, session))[0] == digit / 1000
        assert f"0.5 {digit} {digit}" in _said(study(name, session, {"dip": 0.5}))[1] and len(compare(name, session, "dip", [0.1, 0.2])) == 2
        (made,) = strategies_from([f"{name}:Mine"], Config())
        assert made.parameters.dip == digit / 1000
        loaded.append(made)
        codes.append(code_of(made))
    assert len(set(codes)) == 3 and [code_of(made) for made in loaded] == codes
    _save(tmp_path, name, form, 1)
    assert code_of(strategies_from([f"{name}:Mine"], Config())[0]) == codes[0]  # what was tried counts once
    gone = weakref.ref(type(loaded.pop().parameters))
    del made
    gc.collect()
    assert gone() is None  # a copy that nobody uses is not kept


def test_a_class_runs_as_its_file_was_saved_last_an_object_with_values_is_refused(session, tmp_path, monkeypatch):
    """The class of before the edit, first used after it; an object that was made with a value cannot be made again from the file."""
    from importlib import import_module, reload

    from quanticity.research.backtest import strategies_from
    from quanticity.research.performance import code_of

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # or Python's own reload might not see a save within a second
    _save(tmp_path, "dipped_class", FORMS[0], 1)
    module = import_module("dipped_class")
    before = module.Mine
    _save(tmp_path, "dipped_class", FORMS[0], 2)
    for given in (before, before()):
        dip, said = _said(study(given, session))
        assert dip == 0.002 and "0.002 2 2" in said
        (made,) = strategies_from([given], Config())
        assert code_of(made) == code_of(strategies_from(["dipped_class:Mine"], Config())[0])
    assert module.Mine is before and before.Parameters().dip == 0.001  # whoever uses it still has it
    reload(sys.modules["dipped_class_beside"])
    held = reload(module).Mine()
    held.level = 1
    assert study(held, session).parameters.dip == 0.002
    _save(tmp_path, "dipped_class", FORMS[0], 3)
    for ask in (lambda: study(held, session), lambda: strategies_from([held], Config())):
        with pytest.raises(UserError, match=r"dipped_class .or what it imports. changed since it was imported; importlib.reload.dipped_class."):
            ask()
    reload(sys.modules["dipped_class_beside"])
    held = reload(module).Mine()
    held.level = 1
    assert study(held, session).parameters.dip == 0.003


def test_an_object_with_values_is_refused_until_all_that_changed_is_reloaded(session, tmp_path, monkeypatch):
    """What it imports was saved: neither the reload of the one nor of the other alone makes the code in memory that of the files."""
    from importlib import import_module, reload

    from quanticity.research.backtest import strategies_from
    from quanticity.research.performance import code_of

    def held():
        made = sys.modules["dipped_held"].Mine()
        made.level = 1
        return made

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for order in (("dipped_held", "dipped_held_beside"), ("dipped_held_beside", "dipped_held")):
        _save(tmp_path, "dipped_held", FORMS[0], 1)
        for name in order[::-1] if order[0] == "dipped_held" else order:
            reload(import_module(name))
        (first,) = strategies_from([held()], Config())
        (tmp_path / "dipped_held_beside.py").write_text("LEVEL = 2\n")
        with pytest.raises(UserError, match=r"dipped_held_beside and dipped_held .or what it imports. changed .* importlib.reload.dipped_held_beside., then what imports it"):
            study(held(), session)
        reload(sys.modules[order[0]])
        if order[0] == "dipped_held_beside":
            with pytest.raises(UserError, match=r"mine: dipped_held .or what it imports. changed since it was imported; importlib.reload.dipped_held."):
                study(held(), session)
            reload(sys.modules[order[1]])
        else:
            with pytest.raises(UserError, match="mine: dipped_held_beside .or what"):
                study(held(), session)
            for name in order[::-1]:
                reload(sys.modules[name])
        (second,) = strategies_from([held()], Config())
        assert code_of(second) != code_of(first) and "0.001 2 1" in _said(study(held(), session))[1]
        assert code_of(replace(second, code="")) == code_of(replace(first, code="")) == code_of(strategies_from(["dipped_held:Mine"], Config())[0])


def test_what_an_object_holds_names_its_trials(monkeypatch):
    """Numbers, lists, tables and arrays within; what a run leaves in it afterwards does not rename the trial."""
    import numpy as np

    from quanticity.research.backtest import strategies_from
    from quanticity.research.performance import code_of

    monkeypatch.setitem(sys.modules, "c_notebook", ModuleType("c_notebook"))
    there = sys.modules["c_notebook"].__dict__
    exec(DIPPED.replace("from {beside} import LEVEL", "LEVEL = {{'a': [1]}}").format(form=FORMS[0], digit=1), there)

    def code(**held):
        made = there["Mine"]()
        vars(made).update(held)
        (loaded,) = strategies_from([made], Config())
        made.left = len(held)
        return code_of(loaded)

    values = ({}, {"y": 0.5}, {"y": 0.75}, {"y": [0.5]}, {"y": {"a": 1}}, {"y": {"a": 2}}, {"y": np.array([1.0, 2.0])}, {"y": np.array([1.0, 3.0])}, {"y": SimpleNamespace(z=1)}, {"y": SimpleNamespace(z=2)},
              {"y": date(2026, 3, 20)})
    codes = [code(**held) for held in values]
    assert len(set(codes)) == len(codes) and [code(**held) for held in values] == codes
    there["LEVEL"]["a"].append(2)
    assert code() != codes[0]


def test_a_sweep_of_a_file_that_was_saved_since_its_import_is_refused(session, tmp_path, monkeypatch):
    """Its workers would read the file, and the process that names the trials has another in memory."""
    from importlib import import_module, reload

    from quanticity.research.backtest_folder import BacktestRequest
    from quanticity.research.sweeps import sweep_tasks

    monkeypatch.syspath_prepend(tmp_path)
    _save(tmp_path, "dipped_sweep", FORMS[0], 1)
    module, market = import_module("dipped_sweep"), BacktestRequest("sim", tmp_path / "out", seed=7, count=1)
    sets = [{"dip": 0.002}, {"dip": 0.003}]
    assert len(sweep_tasks("dipped_sweep:Mine", sets, market, Config())) == 2
    (tmp_path / "dipped_sweep.py").write_text(DIPPED.format(form=FORMS[0], digit=2, beside="dipped_sweep_beside") + "# longer\n")
    with pytest.raises(UserError, match="dipped_sweep .or what it imports. changed since it was imported"):
        sweep_tasks("dipped_sweep:Mine", sets, market, Config())
    reload(module)
    assert len(sweep_tasks("dipped_sweep:Mine", sets, market, Config())) == 2


def test_a_file_that_was_saved_half_written_is_one_line_and_the_next_save_runs(session, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    _save(tmp_path, "dipped_half", FORMS[1], 1)
    assert study("dipped_half", session).parameters.dip == 0.001
    (tmp_path / "dipped_half.py").write_text("def propose(")
    with pytest.raises(ConfigError, match="dipped_half cannot be imported: SyntaxError"):
        study("dipped_half", session)
    _save(tmp_path, "dipped_half", FORMS[1], 2)
    assert study("dipped_half", session).parameters.dip == 0.002


def test_studies_share_the_steps_and_take_parameters(session):
    one, other = study("zero_dte", session), study("zero_dte", session, {"min_stretch": 50.0, "full_stretch": 60.0})
    assert one.steps is other.steps is steps_of(session) and other.parameters.min_stretch == 50.0
    assert one.counts.get("proposal", 0) > 0 and "proposal" not in other.counts
    assert len(one.plot().data) > len(other.plot().data)
    with pytest.raises(UserError, match="no values of min_stretch to compare; give at least one"):
        compare("zero_dte", session, "min_stretch", [])
    for values, words in ((1, "are 1, no list; write .1."), ("0.5", "are '0.5', no list")):
        with pytest.raises(UserError, match=words):
            compare("zero_dte", session, "min_stretch", values)
    for wrong in ("GOOG", None, DAY):
        with pytest.raises(UserError, match="no MarketSession; make one with recorded.+ or simulated"):
            study("zero_dte", wrong)
    table = compare("zero_dte", session, "min_stretch", [0.5, 1.5])
    assert table.loc[0.5, "proposals"] >= table.loc[1.5, "proposals"] and table.index.name == "min_stretch"


def test_what_is_no_strategy_is_one_line(session):
    for named, parameters, words in (("nowhere.at:All", {}, "no strategy nowhere.at:All in the configuration"), ("zero_dte", {"no": 1}, "unknown parameter no"), (object, {}, "has no Parameters")):
        with pytest.raises(ConfigError, match=words) as error:
            study(named, session, parameters)
        assert "\n" not in str(error.value)


def test_simulated_takes_a_day_and_a_market():
    made = simulated(2, "2026-11-27", "AAA", SMALL)
    assert (made.symbol, str(made.date)) == ("AAA", "2026-11-27") and len(made.contracts) < 100
    with pytest.raises(UserError, match="'soon' is no day"):
        simulated(2, "soon")


def test_progress_is_quiet_where_nobody_looks(capsys):
    assert not in_notebook()
    with shown("three steps") as tell:
        tell(1, 3, "x")
    assert capsys.readouterr().err.strip() == "three steps"

