"""The samples of the guide to the simulator run as they stand there, in order, and what is said beside them is so."""

import os
import re
from pathlib import Path

import pytest

from quanticity.core.errors import UserError
from quanticity.feeds.sim_truth import EventKind
from quanticity.research.flow_facts import quote_signs

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "simulator.md"


def samples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)


def sample(word: str) -> str:
    """The one sample that has this word."""
    found = [text for text in samples() if word in text]
    assert len(found) == 1, f"{len(found)} samples have {word}"
    return found[0]


@pytest.fixture(scope="module")
def eventful() -> dict:
    names: dict = {}
    exec(sample("halts="), names)
    return names


def test_what_was_not_run_here_is_at_least_python():
    for text in samples():
        compile(text, GUIDE.name, "exec")


def test_halts_and_news_come_when_the_guide_says(eventful):
    events, opens = eventful["day"].truth.events, eventful["day"].session.opens.timestamp()
    minutes = {EventKind(k): (a / 1e9 - opens, b / 1e9 - opens) for k, a, b in zip(events.kind.tolist(), events.ts.tolist(), events.until.tolist(), strict=True)}
    assert minutes[EventKind.HALT] == (3600, 4500) and minutes[EventKind.SCHEDULED_NEWS][0] == 1800
    ts = (eventful["day"].session.trades.ts / 1e9 - opens)
    assert not ((ts > 3660) & (ts < 4500)).any() and ((ts > 4500) & (ts < 4800)).any()


def test_planted_faults_are_found_with_their_reasons(eventful, capsys):
    exec(sample("plant("), eventful)
    findings = eventful["screened"].findings.quarantined
    for planted in eventful["faulty"].truth:
        assert planted.row in findings.of(planted.reason, tape=planted.tape).row
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said[:2]] == ["crossed", "jump_up"] and said[2].endswith("rows refused")


def test_a_day_goes_to_the_lake_and_comes_back(eventful, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(sample("write_session"), eventful)
    assert eventful["written"] and os.path.isdir(".quanticity/lake")


def test_the_rules_are_as_good_as_the_guide_says():
    names: dict = {}
    small = "import quanticity.feeds.simulator as s\nfrom datetime import date\nsimulate = s.simulate\n"
    text = sample("quote_signs(").replace("step_seconds=1.0", "parameters=s.SimulatorParameters(strikes=8, expiries=1), step_seconds=10.0")
    exec(small + text, names)
    assert names["right"] > 0.999
    exec(sample("import sign_trades"), names)
    assert 0.7 < names["right"] < 0.9
    with pytest.raises(UserError, match="several contracts; use analytics.trade_signs.sign_trades"):
        quote_signs(names["day"].session.trades, names["day"].session.quotes)
