"""Strategies by name: what the configuration names is loaded, what does not fit is refused in one line with its key."""

import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from quanticity.core.config import Config, StrategyConfig, load_config
from quanticity.core.errors import ConfigError, UserError
from quanticity.jobs.wiring import Desk, load_strategies, load_strategy, strategy_at, strategy_named
from quanticity.playbooks.playbook import Playbook
from quanticity.strategies import zero_dte

MODULE, PLAYBOOK = "quanticity.strategies.zero_dte", "quanticity.playbooks.zero_dte"


def entry(**changed) -> StrategyConfig:
    return StrategyConfig(**({"module": MODULE, "playbook": PLAYBOOK} | changed))


@pytest.fixture
def module(tmp_path: Path, monkeypatch):
    """Writes an importable module and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


def test_the_default_configuration_loads():
    every = load_strategies(Config())
    assert [s.name for s in every] == ["zero_dte", "one_dte", "fourteen_dte", "moc"] == [s.playbook.strategy for s in every]
    loaded = every[0]
    assert loaded.name == "zero_dte" and loaded.indicators is None and callable(loaded.propose)
    assert loaded.parameters == zero_dte.Parameters() and loaded.playbook.symbols == ()


def test_parameters_and_symbols_come_from_the_entry():
    loaded = load_strategy("zero_dte", entry(parameters={"min_stretch": 1, "target_delta": 0.3}, symbols=("SPXW", "GOOG")))
    assert loaded.name == "zero_dte" and (loaded.parameters.min_stretch, loaded.parameters.target_delta) == (1, 0.3)
    assert loaded.playbook == Playbook("zero_dte", symbols=("SPXW", "GOOG")) and Playbook("zero_dte").symbols == ()


def test_only_the_enabled_ones_in_their_order(module):
    b, a = (entry(module=module(f"strategy_{n}", GOOD.replace('"fresh"', f'"{n}"'))) for n in "ba")
    config = Config(strategies={"b": b, "off": entry(enabled=False, module="no.such"), "zero_dte": entry(), "a": a})
    assert [(s.name, s.playbook.strategy) for s in load_strategies(config)] == [("b", "b"), ("zero_dte", "zero_dte"), ("a", "a")]


def test_a_strategy_runs_under_its_own_name_only():
    with pytest.raises(ConfigError, match="strategies.mine.module: quanticity.strategies.zero_dte is the strategy 'zero_dte'; name the entry strategies.zero_dte"):
        load_strategy("mine", entry())


@pytest.mark.parametrize(("changed", "message"), [
    ({"module": "quanticity.strategies.nothing"}, "strategies.zero_dte.module: no module quanticity.strategies.nothing"),
    ({"module": "nowhere.at.all"}, "strategies.zero_dte.module: no module nowhere"),
    ({"playbook": "quanticity.playbooks.nothing"}, "strategies.zero_dte.playbook: no module quanticity.playbooks.nothing"),
    ({"playbook": "quanticity.core.errors"}, "strategies.zero_dte.playbook: quanticity.core.errors has no PLAYBOOK"),
    ({"module": "quanticity.core.errors"}, "strategies.zero_dte.module: quanticity.core.errors has no Parameters"),
    ({"parameters": {"min_strech": 1.0}}, "strategies.zero_dte.parameters: unknown parameter min_strech; did you mean min_stretch?"),
    ({"parameters": {"min_stretch": "1.0"}}, "strategies.zero_dte.parameters.min_stretch: got '1.0' (str), wants float"),
    ({"parameters": {"min_stretch": True}}, "strategies.zero_dte.parameters.min_stretch: got True (bool), wants float"),
    ({"parameters": {"min_stretch": None}}, "strategies.zero_dte.parameters.min_stretch: got None (NoneType), wants float"),
    ({"parameters": {"min_stretch": [1.0]}}, "strategies.zero_dte.parameters.min_stretch: got "),
    ({"parameters": {"weight_room": 0.9}}, "strategies.zero_dte.parameters: the weights sum to 1.7")])
def test_what_does_not_fit_is_one_line_with_its_key(changed, message):
    with pytest.raises(ConfigError) as error:
        load_strategy("zero_dte", entry(**changed))
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_an_unknown_parameter_is_told_what_there_is():
    with pytest.raises(ConfigError, match="there are: .*max_quote_age.*min_stretch"):
        load_strategy("zero_dte", entry(parameters={"nonsense": 1}))


GOOD = """
from dataclasses import dataclass
NAME = "fresh"
@dataclass(frozen=True)
class Parameters:
    count: int = 3
    share: float = 0.5
    name: str = "x"
    on: bool = True
def propose(features, chain, parameters):
    return ()
"""


def test_a_new_strategy_is_a_module_and_an_entry(module):
    name = module("fresh_strategy", GOOD)
    loaded = load_strategy("fresh", entry(module=name, parameters={"count": 5, "share": 1, "name": "y", "on": False}))
    assert (loaded.parameters.count, loaded.parameters.share, loaded.parameters.name, loaded.parameters.on) == (5, 1, "y", False)
    assert loaded.propose(None, None, loaded.parameters, None) == ()
    assert loaded.name == "fresh" and loaded.playbook == Playbook("fresh")  # the playbook is another's: it gates and sizes under this name


@pytest.mark.parametrize(("parameter", "wants"), [({"count": 2.0}, "int"), ({"count": True}, "int"), ({"name": 1}, "str"), ({"on": 1}, "bool")])
def test_types_are_held_to(module, parameter, wants):
    with pytest.raises(ConfigError, match=f"wants {wants}$"):
        load_strategy("fresh", entry(module=module("fresh_strategy", GOOD), parameters=parameter))


def test_a_module_without_its_function_is_refused(module):
    with pytest.raises(ConfigError, match="strategies.fresh.module: half_strategy has no propose"):
        load_strategy("fresh", entry(module=module("half_strategy", GOOD.split("def ")[0])))


def test_a_package_that_a_strategy_needs_and_is_not_there_is_named(module):
    with pytest.raises(ConfigError, match="strategies.fresh.module: needy_strategy imports some_vendor, which is not installed; install it, or mend the module"):
        load_strategy("fresh", entry(module=module("needy_strategy", "import some_vendor\n" + GOOD)))


@pytest.mark.parametrize(("name", "meant"), [("zero_dt", "zero_dte"), ("wallpin:Pin", "wall_pin"), ("entirely_other", None)])
def test_a_name_that_is_nearly_one_is_told_which(name, meant):
    with pytest.raises(ConfigError, match="give NAME, module or module:Class") as error:
        strategy_named(name, load_config(environ={}))
    assert str(error.value).endswith(f"(did you mean {meant}?)" if meant else "module:Class")


BROKEN = {
    "syntax": ("def propose(:\n", "strategies.fresh.module: broken cannot be imported: SyntaxError: invalid syntax"),
    "import": ("from quanticity.core.errors import NoSuchName\n" + GOOD, "strategies.fresh.module: broken cannot be imported: ImportError: cannot import name 'NoSuchName'"),
    "required": (GOOD.replace("count: int = 3", "count: int"), "strategies.fresh.module: its parameter count has no default"),
    "plain class": ("NAME = 'fresh'\nclass Parameters: pass\ndef propose(features, chain, parameters): return ()\n",
                    "strategies.fresh.module: its Parameters is not a dataclass"),
    "a function": ("NAME = 'fresh'\ndef Parameters(): pass\n", "strategies.fresh.module: its Parameters is not a dataclass"),
    "nameless": (GOOD.replace('NAME = "fresh"', ""), "strategies.fresh.module: broken has no NAME")}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_module_is_one_line_too(module, what):
    text, message = BROKEN[what]
    with pytest.raises(ConfigError) as error:
        load_strategy("fresh", entry(module=module("broken", text)))
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


UNCAUGHT = {
    "defaults that are refused": GOOD.replace("    on: bool = True\n", "    on: bool = True\n    def __post_init__(self):\n        raise ValueError('too few')\n"),
    "an error at import": GOOD + "SCALE = 1 / 0\n"}


@pytest.mark.parametrize("what", UNCAUGHT)
def test_whatever_a_module_raises_is_one_line(module, what):
    with pytest.raises(ConfigError):
        load_strategy("fresh", entry(module=module("raising_strategy", UNCAUGHT[what])))


def test_a_playbook_must_be_one(module):
    with pytest.raises(ConfigError, match="strategies.zero_dte.playbook: its PLAYBOOK is a str, not a Playbook"):
        load_strategy("zero_dte", entry(playbook=module("odd_playbook", "PLAYBOOK = 'every day'\n")))


def test_defaults_may_be_made_by_a_factory(module):
    made = GOOD.replace("import dataclass", "import dataclass, field").replace("count: int = 3", "count: int = field(default_factory=lambda: 4)")
    assert load_strategy("fresh", entry(module=module("factory_strategy", made))).parameters.count == 4


def test_a_desk_names_its_session():
    desk = Desk(None, Config(), "BRK.B", date(2015, 12, 24), datetime(2015, 12, 24, 14, 30, tzinfo=UTC), datetime(2015, 12, 24, 18, tzinfo=UTC))
    assert desk.session == "BRK.B-2015-12-24"
    with pytest.raises(UserError, match="'A B' is no symbol"):
        replace(desk, symbol="A B")


def test_a_class_of_any_module_is_a_strategy(module):
    name = module("classy", GOOD + """
import numpy as np
from quanticity.jobs.wiring import Indicators
class Careful:
    NAME = "careful"
    WARM_UP_MINUTES = 30
    Parameters = Parameters
    def propose(self, features, chain, parameters, held):
        return (held,)
    def indicators(self, session, parameters):
        return Indicators(np.array([1, 2]), {"x": np.array([0.5, float("nan")])})
class Needy(Careful):
    def __init__(self, money):
        pass
number = 3
""")
    found = strategy_at(f"{name}:Careful", {"count": 4})
    assert (found.name, found.parameters.count, found.warm_up_minutes) == ("careful", 4, 30.0)
    assert found.propose(None, None, None, "the contract") == ("the contract",)
    assert found.indicators(None, found.parameters).known_at(1) == ({"x": 0.5}, 1)
    assert found.playbook.start_minutes_after_open == 0
    assert load_strategy("careful", entry(module=f"{name}:Careful")).playbook == Playbook("careful")
    for path, message in ((f"{name}:Needy", "a strategy's class is made without arguments"), (f"{name}:number", "is no class"), (f"{name}:No", "has no No")):
        with pytest.raises(ConfigError, match=message):
            strategy_at(path)


def test_what_does_not_fit_is_told_with_the_source_that_said_it(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "paper.yaml").write_text("strategies: {zero_dte: {parameters: {min_strech: 1}}}\n")
    variable = "QUANTICITY_STRATEGIES__ZERO_DTE__PARAMETERS__MIN_STRETCH"
    for environ, says in (({"QUANTICITY_ENV": "paper"}, f"{tmp_path / 'config' / 'paper.yaml'}: strategies.zero_dte.parameters: unknown parameter min_strech"),
                          ({variable: "abc"}, f"{variable}: strategies.zero_dte.parameters.min_stretch: got 'abc'"),
                          ({variable: "-1"}, f"{variable}: strategies.zero_dte.parameters: "),
                          ({"QUANTICITY_STRATEGIES__MOC__MODULE": "no.where"}, "QUANTICITY_STRATEGIES__MOC__MODULE: strategies.moc.module: no module")):
        with pytest.raises(ConfigError) as error:
            load_strategies(load_config(tmp_path, environ))
        assert str(error.value).startswith(says), str(error.value)
    variable, root = "QUANTICITY_STRATEGIES__WALL_PIN__PARAMETERS__MAX_DISTENCE", Path(__file__).parents[2]
    assert "wall_pin" not in {s.name for s in load_strategies(load_config(root, {variable: "1"}))}, "one that is not enabled is in nobody's way"
    with pytest.raises(ConfigError, match=f"^{variable}: strategies.wall_pin.parameters: unknown parameter max_distence; did you mean max_distance"):
        load_strategies(load_config(root, {variable: "1"}), disabled=True)
    with pytest.raises(ConfigError, match="^strategies.zero_dte.module: "):  # made in code: there is no source to name
        load_strategies(Config(strategies={"zero_dte": entry(module="no.where")}))
