"""Bias checks against planted faults: each is found by the check it belongs to, with the feature it is in, and nothing else; their honest twins are clean."""

import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.config import load_config
from quanticity.core.types import Skip
from quanticity.feeds.lean import load_session
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.jobs.run import replay_state
from quanticity.market.chain import timestamp
from quanticity.market.session import MarketSession, known_at
from quanticity.research.bias import QUICK, BiasReport, BiasSettings, check_bias, fresh_strategy
from quanticity.research.bias_findings import first_difference
from quanticity.research.decisions import SessionSteps, session_steps
from quanticity.research.variations import scrambled_after

SUPPORT = Path(__file__).parent.parent / "support"
sys.path.insert(0, str(SUPPORT))

from planted_base import Planted, small_session  # noqa: E402
from planted_clean import CLEAN  # noqa: E402
from planted_faults import FAULTS  # noqa: E402

CONFIG = load_config(environ={}, overrides={"market.step_seconds": 240})  # a quarter of the decisions: a quarter of the time
FEW = BiasSettings(futures=3, late_starts=8, orders=1, noises=1)


def steps_of(session: MarketSession) -> SessionSteps:
    with replay_state(CONFIG) as state:
        return session_steps(session, CONFIG, state)


@pytest.fixture(scope="module")
def market() -> Iterator[tuple[MarketSession, SessionSteps]]:
    session = small_session()
    yield session, steps_of(session)
    sys.path.remove(str(SUPPORT))


def report_of(path: str, market: tuple[MarketSession, SessionSteps], settings: BiasSettings = FEW) -> BiasReport:
    session, steps = market
    return check_bias(fresh_strategy(path), steps, session, settings)


def test_there_are_enough_of_both() -> None:
    assert len(FAULTS) >= 12 and len(CLEAN) >= 12
    assert {check for check, _ in FAULTS.values()} == {"determinism", "look_ahead", "warm_up", "contract_choice", "stale_quotes", "keeps_state"}
    defined = [{n for n, kind in vars(sys.modules[name]).items() if isinstance(kind, type) and issubclass(kind, Planted) and kind is not Planted}
               for name in ("planted_faults", "planted_clean")]
    assert defined == [set(FAULTS), set(CLEAN)]


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_nothing_else(name: str, market: tuple[MarketSession, SessionSteps]) -> None:
    report = report_of(f"planted_faults:{name}", market)
    assert [(f.check.value, f.feature) for f in report.findings] == [FAULTS[name]], str(report)
    assert report.proposals > 0 and not report.clean
    (finding,) = report.findings
    assert finding.before != finding.after
    assert finding.at in {timestamp(step.now) for step in market[1].steps}


@pytest.mark.parametrize("name", CLEAN)
def test_an_honest_strategy_is_clean(name: str, market: tuple[MarketSession, SessionSteps]) -> None:
    report = report_of(f"planted_clean:{name}", market)
    assert report.findings == (), str(report)
    assert report.proposals > 0  # it was put to the test
    assert all(r.compared > 0 for r in report.results if r.check.value != "warm_up")


@pytest.fixture(scope="module", params=[(7, date(2025, 11, 28)), (1, date(2026, 3, 20))], ids=["half day", "whole day"])
def rising(request: pytest.FixtureRequest) -> tuple[MarketSession, SessionSteps]:
    """Days on which the high always falls into the last hour or so, at every minute."""
    seed, day = request.param
    session = simulate_session(seed, day, parameters=SimulatorParameters(strikes=9, expiries=3, trades=12.0))
    config = load_config(environ={})
    with replay_state(config) as state:
        return session, session_steps(session, config, state)


@pytest.mark.parametrize("name", ["BelowTheHigh", "AtTheHigh", "HasTouched"])
def test_what_runs_since_the_open_has_no_warm_up_to_state(name: str, rising: tuple[MarketSession, SessionSteps], market: object) -> None:
    report = report_of(f"planted_clean:{name}", rising, BiasSettings(futures=1, noises=1, orders=1, decisions=80))
    assert report.findings == (), str(report)
    assert "depends on the session since its open" in report.results[2].note


def test_what_is_measured_from_the_first_price_has_none_either(market: object) -> None:
    """Every later start of this day sees a thousandth above its own first price as well, and a quarter that moves as a whole moves that price too."""
    session = simulate_session(1, date(2026, 3, 20), parameters=SimulatorParameters(strikes=9, expiries=3, trades=12.0))
    report = report_of("planted_clean:HasTouched", (session, steps_of(session)), BiasSettings(futures=1, noises=1, orders=1, decisions=80))
    assert report.findings == () and "touched depends on the session since its open" in report.results[2].note, str(report)


@pytest.mark.parametrize("name", ["PartialWindow", "Exponential"])
def test_a_look_back_has_one_on_the_same_days(name: str, rising: tuple[MarketSession, SessionSteps], market: object) -> None:
    (finding,) = report_of(f"planted_faults:{name}", rising, BiasSettings(futures=1, noises=1, orders=1, decisions=80)).findings
    assert finding.check.value == "warm_up" and "the data starting 1 minute before" in finding.variation and "or give NaN" in finding.variation


def test_a_finding_names_the_first_decision_and_what_it_did(market: tuple[MarketSession, SessionSteps]) -> None:
    """The session-wide standard score: from the second bar on it is another, and the answer with it."""
    session, steps = market
    (finding,) = report_of("planted_faults:SessionNormalized", market).findings
    close, k = session.underlying_bars.close, int((session.underlying_bars.ts <= steps.steps[1].now).sum()) - 1
    assert finding.at == timestamp(steps.steps[1].now)  # 9:34: at the open no bar was known
    assert finding.before == pytest.approx((close[k] - close.mean()) / close.std()) and finding.after == pytest.approx((close[k] - close[: k + 1].mean()) / close[: k + 1].std())
    assert finding.decision is not None and finding.decision.before != finding.decision.after


def test_a_late_fault_is_dated_by_its_first_bar(market: tuple[MarketSession, SessionSteps]) -> None:
    """Backfilled over the first half hour: at the thirtieth bar it is right, and so the finding is before it."""
    (finding,) = report_of("planted_faults:Backfilled", market).findings
    assert finding.at == timestamp(market[1].steps[1].now)
    (short,) = report_of("planted_faults:ShortWarmUp", market).findings
    assert short.after is None and short.variation == "the data starting 20 minutes before"
    (unstated,) = report_of("planted_faults:Exponential", market).findings
    settles = re.search(r"no WARM_UP_MINUTES is stated, and it takes up to (\d+) minutes to settle", unstated.variation)
    assert unstated.after is not None and settles and 20 <= int(settles[1]) <= 60  # a span of 15 minutes: a hundredth is left after 35


def test_what_the_module_kept_does_not_reach_the_next_run(market: tuple[MarketSession, SessionSteps]) -> None:
    """Its first session stays in the module for ever: seen only because each run gets a module of its own."""
    session, steps = market
    report = report_of("planted_faults:PeeksInItsModule", market)
    assert [f.check.value for f in report.findings] == ["look_ahead"]
    from planted_faults import PeeksInItsModule
    from quanticity.jobs.wiring import strategy_of

    shared = strategy_of(PeeksInItsModule())
    assert check_bias(lambda: shared, steps, session, FEW).clean  # the same object every time: nothing can be seen


def test_a_sample_of_the_decisions_finds_it_too(market: tuple[MarketSession, SessionSteps]) -> None:
    report = report_of("planted_faults:DayVwap", market, QUICK)
    assert [(f.check.value, f.feature) for f in report.findings] == [("look_ahead", "above_vwap")]
    assert "cut off at 25 of 54 decisions" in report.results[1].note
    assert report_of("planted_clean:VwapSoFar", market, QUICK).clean


def test_the_platform_itself_does_not_look_ahead(market: tuple[MarketSession, SessionSteps]) -> None:
    """Features and chains up to noon are the same where the day ends at noon, and where the afternoon was another."""
    session, steps = market
    last = 30
    now = steps.steps[last].now
    for other in (known_at(session, now), scrambled_after(session, now, np.random.default_rng(9), disturb=True)):
        for a, b in zip(steps.steps[: last + 1], steps_of(other).steps[: last + 1], strict=True):
            assert dict(a.features.values) == dict(b.features.values) and dict(a.features.missing) == dict(b.features.missing)
            assert np.array_equal(a.chain.bid, b.chain.bid, equal_nan=True) and np.array_equal(a.chain.quote_time, b.chain.quote_time)
            assert np.array_equal(a.chain.open_interest, b.chain.open_interest, equal_nan=True)


@pytest.mark.parametrize("name", CONFIG.strategies)
def test_the_platforms_own_strategies_are_clean(name: str, market: tuple[MarketSession, SessionSteps]) -> None:
    assert report_of(CONFIG.strategies[name].module, market).findings == ()


@pytest.fixture(scope="module")
def goog(recorded: Path) -> tuple[MarketSession, SessionSteps]:
    session = load_session(recorded, "GOOG", date(2015, 12, 24))
    return session, steps_of(session)


@pytest.mark.parametrize("name", CONFIG.strategies)
def test_they_are_clean_on_a_recorded_day(name: str, goog: tuple[MarketSession, SessionSteps]) -> None:
    report = report_of(CONFIG.strategies[name].module, goog)
    assert report.findings == (), str(report)


def test_a_fault_is_found_on_a_recorded_day(goog: tuple[MarketSession, SessionSteps], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SUPPORT))
    report = report_of("planted_faults:DayRange", goog)
    assert [(f.check.value, f.feature) for f in report.findings] == [("look_ahead", "in_range")]


def test_what_is_no_fault_is_told_all_the_same(market: tuple[MarketSession, SessionSteps]) -> None:
    def notes(name: str) -> str:
        return " | ".join(r.note for r in report_of(f"planted_clean:{name}", market).results)

    assert "above_vwap depends on the session since its open" in notes("SinceTheOpen")
    assert "indicators fail on 14 of the cuts (ValueError: window shape cannot be larger than input array shape)" in notes("FailsBeforeAnHour")
    assert "390 minutes of warm-up: longer than the session, nothing to compare" in notes("RankSoFar")
    assert "it would take its quotes at 1800 s all the same" not in notes("TakesFresh")


def test_the_same_report_twice(market: tuple[MarketSession, SessionSteps]) -> None:
    one, two = (report_of("planted_faults:Centered", market).record() for _ in range(2))
    assert one == two


def test_answers_do_not_leak_between_checks(market: tuple[MarketSession, SessionSteps]) -> None:
    """What a check is compared with is the strategy's own day, asked in the plain way."""
    from quanticity.research.bias_runs import reference_run
    from quanticity.research.decisions import decisions

    session, steps = market
    make = fresh_strategy("planted_clean:Trailing")
    report_of("planted_clean:Trailing", market)
    plain, again = decisions(make(), steps, session), reference_run(make, steps, session).answers
    assert all(first_difference(a, b) is None for a, b in zip(plain, again, strict=True))
    assert any(not isinstance(a, Skip) for a in plain)
