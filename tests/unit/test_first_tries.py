"""What somebody writes at the first try: it works as it is meant, or says in one line what to write."""

import re
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from quanticity.core.config import load_config
from quanticity.core.errors import ConfigError, DataMissing, UserError
from quanticity.core.types import Skip
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.research import simulated
from quanticity.research.backtest import backtest, strategies_from
from quanticity.research.backtest_folder import BacktestRequest, session_days
from quanticity.research.sweeps import sweep_tasks
from quanticity.strategies import moc, zero_dte


class Mine:
    NAME = "mine"

    @dataclass(frozen=True)
    class Parameters:
        least: float = 1.0

    def propose(self, features, chain, parameters) -> tuple[()] | Skip:
        return ()


@pytest.fixture(scope="module")
def day():
    from datetime import date

    return simulate_session(3, date(2026, 3, 20), "SIM", SimulatorParameters(strikes=3, expiries=1))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return load_config(environ={}, overrides={"market.step_seconds": 1800, "paths.state_dir": str(tmp_path_factory.mktemp("state"))})


@pytest.mark.parametrize(("given", "names"), [
    ("zero_dte", ["zero_dte"]), (zero_dte, ["zero_dte"]), (Mine, ["mine"]), (Mine(), ["mine"]), (["moc", Mine], ["moc", "mine"]),
    ((zero_dte, moc), ["zero_dte", "moc"]), ((name for name in ("moc", "zero_dte")), ["moc", "zero_dte"])])
def test_one_strategy_is_as_good_as_a_list_of_one(given, names, config):
    found = strategies_from(given, config)
    assert [s.name for s in found] == names
    assert strategies_from(found[0], config) == found[:1]


@pytest.mark.parametrize("wrong", [{"zero_dte": {}}, 7])
def test_what_is_no_strategy_is_one_line(wrong, config):
    with pytest.raises(ConfigError, match="has no Parameters"):
        strategies_from(wrong, config)


def test_one_session_is_as_good_as_a_list_of_one(day, config):
    one, listed = backtest(day, config, zero_dte), backtest([day], config, [zero_dte])
    assert one.lines == listed.lines and one.strategies == listed.strategies == ("zero_dte",) and len(one.days) == 1


@pytest.mark.parametrize(("call", "says"), [
    (lambda day, config: backtest("GOOG", config), "the sessions are 'GOOG', no MarketSession"),
    (lambda day, config: backtest(7, config), "the sessions are 7, no MarketSession"),
    (lambda day, config: backtest(["GOOG"], config, "zero_dte"), "a session is 'GOOG', no MarketSession"),
    (lambda day, config: backtest(day, "zero_dte"), "the configuration is 'zero_dte', no Config; write strategies='zero_dte'"),
    (lambda day, config: backtest(day, [zero_dte]), "the configuration is a list, no Config; write strategies="),
    (lambda day, config: backtest(day, Mine), "the configuration is .*Mine.*, no Config; write strategies="),
    (lambda day, config: simulated("x"), "the seed is 'x', no whole number"),
    (lambda day, config: simulated(1.5, parameters=SimulatorParameters(strikes=3)), "the seed is 1.5, no whole number"),
    (lambda day, config: simulated(True), "the seed is True, no whole number"),
    (lambda day, config: simulated(-1), "-1")])
def test_what_does_not_fit_is_one_line(call, says, day, config):
    with pytest.raises(UserError, match=says) as error:
        call(day, config)
    assert "\n" not in str(error.value)


def test_a_seed_may_be_a_number_of_numpys():
    import numpy as np

    assert simulated(np.int64(2), "2026-11-27", parameters=SimulatorParameters(strikes=3, expiries=1)).symbol == "SIM"


def test_a_sweep_takes_a_strategy_as_workers_can_find_it(config, tmp_path):
    market = BacktestRequest("sim", tmp_path, seed=3, count=1)
    for wrong in (zero_dte, Mine, Mine(), strategies_from("zero_dte", config)[0]):
        with pytest.raises(UserError, match="a sweep wants the strategy's name as a text, which its workers import; write ") as error:
            sweep_tasks(wrong, [{"stop_loss": 0.3}], market, config)
        assert "\n" not in str(error.value)
        remedy = re.search(r'write "(.+)"$', str(error.value))
        assert remedy and remedy[1] in ("quanticity.strategies.zero_dte", "zero_dte", "NAME, module or module:Class", f"{__name__}:Mine")
    own = types.ModuleType("own")
    with pytest.raises(UserError, match='write "own"'):
        sweep_tasks(own, [{}], market, config)


def test_several_strategies_with_commas_are_told_how(config):
    with pytest.raises(ConfigError, match="no strategy zero_dte,moc in the configuration") as error:
        strategies_from(("zero_dte,moc",), config)
    assert "one name each time: --strategy zero_dte --strategy moc, in a notebook ['zero_dte', 'moc']" in str(error.value) and "did you mean" not in str(error.value)


def test_an_empty_lake_says_how_sessions_come_into_it(config, tmp_path):
    (tmp_path / "lake").mkdir()
    with pytest.raises(DataMissing, match="symbols there: none.*quanticity data import"):
        session_days(BacktestRequest("lake", tmp_path, tmp_path / "lake", ("GOOG",)), config)


def test_a_parameter_that_does_not_fit_is_a_config_error_by_name_too(config):
    from quanticity.jobs.wiring import strategy_named

    with pytest.raises(ConfigError, match="unknown parameter") as error:
        strategy_named("zero_dte", config, {"stop_los": 0.3})
    assert (type(error.value).__name__, type(error.value).__qualname__, type(error.value).__module__) == ("ConfigError", "ConfigError", "quanticity.core.errors")


def test_a_file_named_as_a_strategy_is_told_its_own_module():
    from quanticity.app.bias_cli import named_strategy

    with pytest.raises(ConfigError, match="the file sixth.py is the module sixth$"):
        named_strategy(load_config(environ={}), "sixth.py", {})
    with pytest.raises(ConfigError, match="the file my_folder/sixth.py is the module sixth, given where the file lies$"):
        named_strategy(load_config(environ={}), "my_folder/sixth.py", {})


def test_the_guides_sweep_runs_as_it_stands_there(tmp_path, monkeypatch):
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "backtest.md").read_text()
    code = next(text for text in re.findall(r"```python\n(.*?)```", guide, re.S) if "run_sweep" in text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUANTICITY_MARKET__STEP_SECONDS", "1800")
    monkeypatch.setenv("QUANTICITY_PATHS__STATE_DIR", str(tmp_path / "state"))
    known: dict[str, object] = {}
    exec(compile(code, "backtest.md", "exec"), known)
    assert len(known["sweep"].records) == 4 and known["sweep"].counted == 4  # type: ignore[attr-defined]
    assert (tmp_path / "runs" / "stops" / "sweep.json").is_file()
