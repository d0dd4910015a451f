"""The strategies that come with the platform pass the bias check on a day on which each of them proposes: the day that the check itself names."""

import re
from datetime import date

import pytest

from quanticity.app.bias_cli import BUSY_DAY
from quanticity.core.config import load_config
from quanticity.feeds.simulator import simulate_session
from quanticity.jobs.run import replay_state
from quanticity.jobs.wiring import load_strategy
from quanticity.market.session import MarketSession
from quanticity.research.bias import QUICK, check_bias, fresh_strategy
from quanticity.research.decisions import SessionSteps, session_steps

CONFIG = load_config(environ={}, overrides={"market.step_seconds": 300})  # a fifth of the decisions: a fifth of the time


@pytest.fixture(scope="module")
def market() -> tuple[MarketSession, SessionSteps]:
    day, seed = re.findall(r"--date (\S+) --seed (\d+)", BUSY_DAY)[0]
    session = simulate_session(int(seed), date.fromisoformat(day))
    with replay_state(CONFIG) as state:
        return session, session_steps(session, CONFIG, state)


@pytest.mark.parametrize("name", ["zero_dte", "one_dte", "fourteen_dte", "moc", "wall_pin"])
def test_each_proposes_and_is_clean(name: str, market: tuple[MarketSession, SessionSteps]) -> None:
    session, steps = market
    entry = CONFIG.strategies[name]
    report = check_bias(fresh_strategy(entry.module, entry.parameters, load_strategy(name, entry).playbook), steps, session, QUICK)
    assert report.proposals > 0 and report.note == ""
    assert report.clean, report


def test_those_are_all_there_are() -> None:
    assert list(CONFIG.strategies) == ["zero_dte", "one_dte", "fourteen_dte", "moc", "wall_pin"]
