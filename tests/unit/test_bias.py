"""The parts of a bias check: changed markets, comparisons, copies of a strategy, the warm-up that is measured; each with an outcome that would be wrong otherwise."""

import math
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.errors import ConfigError, UserError
from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Features, Proposal, Right, Side, Skip
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.jobs.wiring import Indicators, strategy_of
from quanticity.market.chain import OptionChain, nanoseconds, timestamp
from quanticity.market.session import ChainState, MarketSession, known_at, session_digest
from quanticity.research.bias import BiasReport, BiasSettings, Check, CheckResult, check_bias
from quanticity.research.bias_findings import Finding, differing, first_difference, same, shown
from quanticity.research.bias_runs import fresh_strategy
from quanticity.research.decisions import SessionSteps, Step
from quanticity.research.look_ahead import sampled
from quanticity.research.variations import aged, chain_in_order, listed_in_order, scrambled_after, starting_at, with_noise, without_stale

DAY = simulate_session(3, date(2025, 11, 28), parameters=SimulatorParameters(strikes=6, expiries=2, trades=8.0))
OPEN, MINUTE = nanoseconds(DAY.opens), 60_000_000_000
NOON = OPEN + 150 * MINUTE


def chain_at(session: MarketSession, now: int) -> OptionChain:
    state = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend)
    seen = known_at(session, now)
    state.apply(seen.quotes, seen.trades, seen.underlying_bars, seen.underlying_quotes)
    return state.snapshot(now, *state.spot())


def steps_of(session: MarketSession, every: int = 5) -> SessionSteps:
    """Steps without the platform's metrics, every few minutes."""
    steps = []
    for minute in range(0, 211, every):
        now = OPEN + minute * MINUTE
        chain = chain_at(session, now)
        steps.append(Step(now, Features(session.symbol, timestamp(now), chain.id, {"spot": chain.spot} if chain.spot == chain.spot else {}), chain))
    return SessionSteps(session.symbol, session.opens, session.closes, every * 60, tuple(steps))


STEPS = steps_of(DAY)


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


class Honest:
    NAME, Parameters, WARM_UP_MINUTES = "honest", Nothing, 10

    def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
        bars = session.underlying_bars
        return Indicators(bars.ts, {"move": np.append(math.nan, np.diff(bars.close))[: len(bars)]})

    def propose(self, features: Features, chain: OptionChain, parameters: Nothing, held: Contract | None) -> tuple[Proposal, ...] | Skip:
        move = features.get("move")
        if move is None or move <= 0:
            return Skip(self.NAME, features.symbol, features.ts, Reason.FEATURE_MISSING if move is None else Reason.LOW_CONFIDENCE, "", ())
        return (propose(self.NAME, features, chain),)


def propose(name: str, features: Features, chain: OptionChain) -> Proposal:
    rows = np.flatnonzero((chain.bid > 0) & (chain.quote_age <= 300) & (chain.contracts.expires_at > chain.ts))
    row = int(rows[np.lexsort((chain.contracts.is_call[rows], np.abs(chain.contracts.strike[rows] - features.values["spot"]), chain.contracts.expires_at[rows]))[0]])
    contract = chain.contracts.contract(row)
    return Proposal(f"pro:{chain.seq}", name, features.symbol, features.ts, contract, Side.BUY, float(chain.ask[row]), 9.0, 0.1, contract.expires_at, 0.5, {}, ())


def report_of(kind: type, session: MarketSession = DAY, steps: SessionSteps = STEPS, **settings: object) -> BiasReport:
    return check_bias(lambda: strategy_of(kind), steps, session, BiasSettings(**({"futures": 3, "late_starts": 6, "orders": 2, "noises": 1} | settings)))


def named(report: BiasReport) -> list[tuple[str, str]]:
    return [(f.check.value, f.feature) for f in report.findings]


def test_another_future_leaves_the_past_alone_and_nothing_of_the_future() -> None:
    for seed, disturb in ((1, False), (2, True)):
        other = scrambled_after(DAY, NOON, np.random.default_rng(seed), disturb)
        assert session_digest(known_at(other, NOON)) == session_digest(known_at(DAY, NOON))
        for name, tape in other.tapes().items():
            tape.__post_init__()  # type: ignore[attr-defined]
            if name != "depth":
                assert disturb or len(tape) == len(DAY.tapes()[name])
        bars = other.underlying_bars
        after = bars.ts > NOON
        assert not np.isin(np.round(bars.close[after], 6), np.round(DAY.underlying_bars.close, 6)).any()
        quotes = other.quotes.where(other.quotes.ts > NOON)
        assert not np.any(quotes.bid > quotes.ask + 1e-9)
    same_again = scrambled_after(DAY, NOON, np.random.default_rng(2), disturb=True)
    assert session_digest(same_again) == session_digest(other)


def test_a_book_stays_a_book() -> None:
    other = scrambled_after(DAY, NOON, np.random.default_rng(1), disturb=True)
    assert np.array_equal(other.depth.ts, DAY.depth.ts)
    for minute in (10, 170, 200):
        book = other.depth.book("SIM", OPEN + minute * MINUTE)  # raises where levels are not best first
        assert len(book.bid_price) > 1


def test_what_is_published_later_is_planted() -> None:
    other = scrambled_after(DAY, NOON, np.random.default_rng(1), disturb=True)
    assert len(DAY.published) == 0 and len(other.published) >= len(DAY.contracts) and int(other.published.ts.min()) > NOON
    assert set(other.published.index.tolist()) <= set(range(len(DAY.contracts)))
    bare = replace(DAY, levels=DAY.levels.rows(0, 0), level_names=())
    assert len(scrambled_after(bare, NOON, np.random.default_rng(1), disturb=True).levels) == 0  # a level without a name


def test_at_the_close_there_is_no_future() -> None:
    last = max(nanoseconds(DAY.closes), *(int(tape.ts[-1]) for tape in DAY.tapes().values() if len(tape)))
    assert session_digest(scrambled_after(DAY, last, np.random.default_rng(1), disturb=True)) == session_digest(DAY)


def test_a_late_start_and_another_order() -> None:
    late = starting_at(DAY, NOON)
    assert int(late.underlying_bars.ts[0]) == NOON and len(late.underlying_bars) == 61
    order = np.random.default_rng(4).permutation(len(DAY.contracts))
    assert session_digest(listed_in_order(DAY, order)) == session_digest(DAY)
    chain, other = chain_at(DAY, NOON), chain_at(listed_in_order(DAY, order), NOON)
    again = chain_in_order(chain, order)
    for name in ("bid", "ask", "quote_time", "open_interest", "volume"):
        assert np.array_equal(getattr(again, name), getattr(other, name), equal_nan=True)
    assert again.contracts.occ() == other.contracts.occ() != chain.contracts.occ()


def test_noise_is_less_than_a_tick_and_half_the_spread() -> None:
    chain = chain_at(DAY, NOON)
    chain.bid[0], chain.ask[0], chain.bid[1] = 1.0, 1.004, 0.0
    noisy = with_noise(chain, np.random.default_rng(1))
    assert abs(noisy.bid[0] - 1.0) <= 0.002 and abs(noisy.ask[0] - 1.004) <= 0.002 and noisy.bid[1] == 0.0
    assert np.nanmax(np.abs(noisy.ask - chain.ask)) <= 0.01 and not np.any(noisy.bid > noisy.ask)
    assert np.array_equal(np.isnan(noisy.bid), np.isnan(chain.bid))


def test_old_quotes_go_and_age() -> None:
    chain = chain_at(DAY, NOON)
    fresh = without_stale(chain, 60.0)
    gone = chain.quote_age > 60.0
    assert 0 < gone.sum() < len(chain)
    assert np.isnan(fresh.bid[gone]).all() and (fresh.quote_time[gone] == 0).all() and np.array_equal(fresh.ask[~gone], chain.ask[~gone], equal_nan=True)
    old = aged(chain, 5, 1800.0)
    assert old.quote_age[5] == 1800.0 and old.bid[5] == chain.bid[5] and chain.quote_age[5] != 1800.0


@pytest.mark.parametrize(("a", "b", "scale", "tolerance", "equal"), [
    (1.0, 1.0 + 1e-12, 0.0, 0.0, True), (1.0, 1.001, 0.0, 0.0, False), (0.0, 1e-12, 1.0, 0.0, True), (math.nan, math.nan, 0.0, 0.0, True),
    (math.nan, 0.0, 0.0, 0.0, False), (math.inf, -math.inf, 1.0, 1.0, False), (math.inf, math.inf, 0.0, 0.0, True), (5.0, 5.4, 50.0, 0.01, True), (5.0, 5.6, 50.0, 0.01, False)])
def test_numbers_up_to_rounding(a: float, b: float, scale: float, tolerance: float, equal: bool) -> None:
    assert same(a, b, scale, tolerance) is equal


def test_a_column_that_comes_or_goes_differs() -> None:
    assert differing({"a": 1.0}, {"b": 2.0}, {}) == {"a": (1.0, None), "b": (None, 2.0)}
    assert shown(None) == "missing" and shown(1 / 3) == "0.333333"


def test_the_first_field_that_differs() -> None:
    call = Contract("SIM", date(2025, 11, 28), 500.0, Right.CALL, datetime(2025, 11, 28, 18, tzinfo=UTC))
    p = Proposal("p", "s", "SIM", call.expires_at, call, Side.BUY, 1.0, 2.0, 0.5, call.expires_at, 0.5, {"a": 0.1, "b": 0.2}, ())
    skip = Skip("s", "SIM", call.expires_at, Reason.LOW_CONFIDENCE, "0.1", ())
    assert first_difference((p,), (replace(p, id="q", cause=("x",), rationale="other"),)) is None
    assert first_difference((p,), (replace(p, contract=replace(call, strike=505.0), confidence=0.1),)) == ("contract", "SIM251128C00500000", "SIM251128C00505000")
    assert first_difference((p,), (replace(p, parts={"a": 0.1, "b": 0.3}),)) == ("parts.b", 0.2, 0.3)
    assert first_difference((p,), (replace(p, parts={"a": 0.1}),)) == ("parts.b", 0.2, None)
    assert first_difference((p,), (replace(p, exit_at=p.exit_at - timedelta(minutes=1)),)) == ("exit_at", "2025-11-28T18:00:00Z", "2025-11-28T17:59:00Z")
    assert first_difference((p,), (p, p)) == ("answer", "buy SIM 2025-11-28 500C at 1", "buy SIM 2025-11-28 500C at 1, buy SIM 2025-11-28 500C at 1")
    assert first_difference(skip, replace(skip, detail="0.2")) is None
    assert first_difference(skip, replace(skip, reason=Reason.TOO_EARLY)) == ("answer", "skip: low confidence", "skip: too early")


def test_a_copy_of_a_module_begins_at_nothing_and_leaves_the_module_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "counting.py").write_text("from dataclasses import dataclass\nNAME = 'counting'\nSEEN = []\n@dataclass(frozen=True)\nclass Parameters:\n    a: int = 1\n"
                                          "def propose(features, chain, parameters):\n    SEEN.append(1)\n    return len(SEEN)\n")
    import counting  # type: ignore[import-not-found]

    counting.SEEN.append(0)
    make = fresh_strategy("counting", {"a": 2})
    for _ in range(3):
        strategy = make()
        assert [strategy.propose(None, None, None, None) for _ in range(2)] == [1, 2] and strategy.parameters.a == 2  # type: ignore[arg-type]
    assert sys.modules["counting"] is counting and counting.SEEN == [0]
    with pytest.raises(ConfigError, match="strategy.parameters: unknown parameter b"):
        fresh_strategy("counting", {"b": 2})()
    del sys.modules["counting"]


def test_what_a_module_beside_it_keeps_is_renewed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The closes first seen stay in a helper, in a package of the same folder: on cut data the strategy has to do without them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text("from . import kept\n")
    (tmp_path / "helpers" / "kept.py").write_text("CLOSES = []\n")
    (tmp_path / "remembers.py").write_text(
        "from dataclasses import dataclass\nimport helpers\nfrom quanticity.core.reasons import Reason\nfrom quanticity.core.types import Skip\n"
        "from quanticity.jobs.wiring import Indicators\nNAME = 'remembers'\n@dataclass(frozen=True)\nclass Parameters:\n    a: int = 1\n"
        "def indicators(session, parameters):\n    bars = session.underlying_bars\n    if not helpers.kept.CLOSES:\n        helpers.kept.CLOSES.extend(bars.close)\n"
        "    return Indicators(bars.ts, {'to_last': helpers.kept.CLOSES[-1] - bars.close if len(bars) else bars.close})\n"
        "def propose(features, chain, parameters):\n    return Skip(NAME, features.symbol, features.ts, Reason.LOW_CONFIDENCE, '', ())\n")
    import helpers  # type: ignore[import-not-found]
    from helpers import kept  # type: ignore[import-not-found]

    report = check_bias(fresh_strategy("remembers"), STEPS, DAY, BiasSettings(futures=1, late_starts=1, orders=1, noises=1))
    assert named(report) == [("look_ahead", "to_last")]
    assert sys.modules["helpers"] is helpers and helpers.kept is sys.modules["helpers.kept"] is kept and kept.CLOSES == []
    for name in ("helpers", "helpers.kept", "remembers"):
        sys.modules.pop(name, None)


def test_a_file_saved_while_a_check_runs_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source = tmp_path / "edited.py"
    text = "from dataclasses import dataclass\nNAME = 'edited'\nCALLS = 1\n@dataclass(frozen=True)\nclass Parameters:\n    a: int = 1\ndef propose(features, chain, parameters):\n    return CALLS\n"
    source.write_text(text)
    make = fresh_strategy("edited")
    assert make().propose(None, None, None, None) == 1  # type: ignore[arg-type]
    source.write_text(text.replace("CALLS = 1", "CALLS = 'another length'"))
    assert [make().propose(None, None, None, None) for _ in range(2)] == [1, 1]  # type: ignore[arg-type]
    assert sys.modules.pop("edited").CALLS == 1


class Centers(Honest):
    """Writes the deviations from the mean into the closes of the session itself."""

    def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
        close = session.underlying_bars.close
        close -= close.mean() if len(close) else 0.0
        return Indicators(session.underlying_bars.ts, {"move": close})


def test_a_strategy_that_writes_into_the_session_is_found_and_the_session_is_as_it_was() -> None:
    before = session_digest(DAY)
    report = report_of(Centers)
    (finding,) = report.findings
    assert (finding.check.value, finding.feature, finding.variation) == ("determinism", "underlying_bars.close", "its own indicators writing into the session")
    assert finding.at == DAY.opens + timedelta(minutes=5) and finding.before == DAY.underlying_bars.close[0] != finding.after
    assert [r.note for r in report.results[1:]] == ["not judged: it is not deterministic"] * 5
    assert session_digest(DAY) == before


def test_a_series_that_shares_the_sessions_memory_is_found_too() -> None:
    class Clips(Honest):
        def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
            size = np.nan_to_num(session.open_interest, copy=False)
            size[:] = np.maximum(size, 1e6)
            return Indicators(session.underlying_bars.ts, {"move": session.underlying_bars.close})

    (finding,) = report_of(Clips).findings
    assert (finding.feature, finding.after) == ("open_interest", 1e6)


def test_a_strategy_that_writes_into_the_chain_is_found() -> None:
    class Cleans(Honest):
        def propose(self, features: Features, chain: OptionChain, parameters: Nothing, held: Contract | None) -> tuple[Proposal, ...] | Skip:
            chain.bid[chain.bid < 0.2] = 0.0
            return Honest.propose(self, features, chain, parameters, held)

    (finding,) = report_of(Cleans).findings
    assert (finding.check.value, finding.feature, finding.after, finding.variation) == ("determinism", "chain.bid", 0.0, "its own propose writing into the chain")
    assert named(report_of(Honest)) == []  # the steps are as they were


def test_one_that_only_asks_for_writable_memory_is_clean() -> None:
    class Asks(Honest):
        def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
            if memoryview(session.underlying_bars.close).readonly:  # type: ignore[arg-type]
                raise ValueError("buffer source array is read-only")
            return Honest.indicators(self, session, parameters)

    assert report_of(Asks).record()["checks"] == report_of(Honest).record()["checks"]


def test_a_clean_report() -> None:
    report = report_of(Honest)
    assert report.clean and report.proposals > 5 and [r.check for r in report.results] == list(Check)
    assert all(r.compared > 0 for r in report.results)
    assert str(report).startswith("honest on SIM 2025-11-28: clean")


def test_the_playbooks_symbols_do_not_hide_a_strategy() -> None:
    from quanticity.playbooks.playbook import Playbook

    class Elsewhere(Honest):
        PLAYBOOK = Playbook("honest", symbols=("SPXW",), start_minutes_after_open=30.0, min_quality=0.0, min_quoted_share=0.0)

    assert 0 < report_of(Elsewhere).proposals < report_of(Honest).proposals


def test_a_fault_in_the_answer_hides_behind_no_feature() -> None:
    """An indicator and the answer both look ahead: the feature is named, and the answer with it."""
    class Ahead(Honest):
        def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
            bars = session.underlying_bars
            return Indicators(bars.ts, {"move": np.append(np.diff(bars.close), math.nan)[: len(bars)], "steady": np.ones(len(bars))})

    report = report_of(Ahead)
    assert named(report) == [("look_ahead", "move")]
    (finding,) = report.findings
    assert finding.after is None and finding.at == DAY.opens + timedelta(minutes=5)  # the last bar known has no next one
    assert finding.decision is not None and finding.decision.after == "skip: feature missing"
    assert "the answer at" in str(finding)


def test_a_column_known_too_early_is_ahead() -> None:
    class Early(Honest):
        def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
            table = Honest.indicators(self, session, parameters)
            return Indicators(table.ts - 2 * MINUTE, table.columns)

    assert named(report_of(Early)) == [("look_ahead", "move")]


def test_indicators_that_fail_on_little_data_are_no_fault_where_nothing_is_known_anyway() -> None:
    class Fails(Honest):
        WARM_UP_MINUTES = 30

        def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
            close = session.underlying_bars.close
            means = np.lib.stride_tricks.sliding_window_view(close, 20).mean(axis=1)
            return Indicators(session.underlying_bars.ts[19:], {"move": close[19:] - means})

    class FailsLate(Fails):
        def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
            if len(session.underlying_bars) < 100:
                raise RuntimeError("wants more")
            return Fails.indicators(self, session, parameters)

    assert named(report_of(Fails)) == []
    late = report_of(FailsLate)
    assert named(late) == [("look_ahead", "move"), ("warm_up", "move")]  # and thirty minutes are not a hundred bars
    assert "indicators fail on 20 of the cuts (RuntimeError: wants more)" in late.results[1].note


def test_a_strategy_that_fails_on_the_day_itself_is_told_in_one_line() -> None:
    class Breaks(Honest):
        def propose(self, features: Features, chain: OptionChain, parameters: Nothing, held: Contract | None) -> tuple[Proposal, ...] | Skip:
            raise ValueError("no\nsuch thing")

    class Nonsense(Honest):
        def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
            return {"move": 1.0}  # type: ignore[return-value]

    class NoAnswer(Honest):
        def propose(self, features: Features, chain: OptionChain, parameters: Nothing, held: Contract | None) -> tuple[Proposal, ...] | Skip:
            return None  # type: ignore[return-value]

    class Leaves(Honest):
        def propose(self, features: Features, chain: OptionChain, parameters: Nothing, held: Contract | None) -> tuple[Proposal, ...] | Skip:
            sys.exit(0)

    for kind, text in ((Breaks, "propose fails with ValueError: no such thing at 09:30"), (Nonsense, "indicators fails with TypeError: indicators gave a dict"),
                       (NoAnswer, "propose fails with TypeError: honest answered with NoneType"), (Leaves, "propose fails with SystemExit: 0")):
        with pytest.raises(UserError, match=text) as caught:
            report_of(kind)
        assert "\n" not in str(caught.value)


def test_failing_only_where_quotes_are_gone_is_found() -> None:
    class Brittle(Honest):
        def propose(self, features: Features, chain: OptionChain, parameters: Nothing, held: Contract | None) -> tuple[Proposal, ...] | Skip:
            if features.ts > DAY.opens + timedelta(minutes=60) and np.isnan(chain.bid).mean() > np.isnan(chain_at(DAY, chain.ts).bid).mean():
                raise ZeroDivisionError("no bid")
            return Honest.propose(self, features, chain, parameters, held)

    report = report_of(Brittle)
    assert named(report) == [("stale_quotes", "propose")]
    assert report.findings[0].after == "fails with ZeroDivisionError: no bid"


def test_decisions_are_sampled_by_seed_where_that_is_asked_for() -> None:
    settings = BiasSettings(decisions=100)
    assert sampled(391, BiasSettings()) == sampled(391, BiasSettings(decisions=391)) == list(range(391))
    some = sampled(391, settings)
    assert len(some) in (100, 101) and some[-1] == 390 and some == sorted(set(some)) == sampled(391, settings)
    assert sampled(391, replace(settings, seed=2)) != some


def test_how_long_a_call_takes_changes_nothing() -> None:
    """A process that has to wait for its turn compares as much as any other: what it finds is the same to the last byte."""
    class Pausing(Honest):
        calls = 0
        pause = 0.0

        def indicators(self, session: MarketSession, parameters: Nothing) -> Indicators:
            Pausing.calls += 1
            if Pausing.calls <= 4:
                time.sleep(Pausing.pause)
            bars = session.underlying_bars
            mean = [np.mean(bars.close[max(0, i - 14) : i + 1]) for i in range(len(bars))]  # of as many bars as there are
            return Indicators(bars.ts, {"move": bars.close - np.array(mean)})

    quick = report_of(Pausing)
    Pausing.calls, Pausing.pause = 0, 0.6
    assert report_of(Pausing).record() == quick.record()
    assert named(quick) == [("warm_up", "move")]


def test_settings_are_checked() -> None:
    for wrong in ({"noises": 0}, {"stale_seconds": 0.0}, {"flip_share": 1.5}, {"tick": 0.0}, {"decisions": 0}, {"stale_seconds": math.inf}):
        with pytest.raises(ValueError, match="must be"):
            BiasSettings(**wrong)


def test_a_record_holds_no_infinity() -> None:
    finding = Finding(Check.LOOK_AHEAD, "ratio", DAY.opens, math.inf, None, "the data cut off")
    assert finding.record()["before"] == "inf" and finding.record()["after"] is None and finding.record()["at"] == "2025-11-28T14:30:00Z"
    report = BiasReport("s", "SIM", "sim", 1, 0, (CheckResult(Check.LOOK_AHEAD, 1, (finding,), "n"),))
    assert report.record()["checks"][0]["findings"][0]["decision"] is None and not report.record()["clean"]


def test_a_day_without_a_proposal_says_that_it_was_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    from quanticity.app.bias_cli import print_report

    for proposals in (0, 3):
        report = BiasReport("s", "SIM", "sim", 5, proposals, (CheckResult(Check.LOOK_AHEAD, 5, (), ""),))
        print_report(report)
        for said in (report.record()["note"], str(report), capsys.readouterr().out):
            assert ("proposed nothing on this day: what it would choose could not be judged" in said) == (not proposals)
    print_report(BiasReport("s", "SIM", "sim", 5, 0, ()))
    out = capsys.readouterr().out
    assert "s on SIM (sim): no finding, but nothing was proposed" in out and "--source sim --date 2025-11-28 --seed 7 every strategy" in out  # where to look


@pytest.mark.parametrize(("seconds", "call", "words"), [(0.05, lambda: time.sleep(60), "a call does not come back from 0.5 s of waiting"),
                                                        (0.2, lambda: all(True for _ in iter(int, 1)), "a call does not come back from 0.2 s of computing")])
def test_what_does_not_come_back_is_given_up_whether_it_computes_or_waits(seconds: float, call: Callable[[], object], words: str) -> None:
    from quanticity.app.bias_cli import _TooLong, within

    before = signal.getsignal(signal.SIGPROF), signal.getsignal(signal.SIGALRM)
    with pytest.raises(_TooLong, match=words):
        within(seconds, "a call", call)()
    assert (signal.getsignal(signal.SIGPROF), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert within(60.0, "a call", lambda: 3)() == 3


NAMES = {
    "one_day": "no strategy one_day in the configuration .there: .*zero_dte.*., and no module of that name; give NAME, module or module:Class",
    "a/path.py": "no strategy a/path.py in the configuration .there: .*, and no module can have that name; give NAME, module or module:Class; the file a/path.py is the module path, given where the file lies",
    "": "no strategy '' in the configuration", ":Class": "no strategy :Class in the configuration", "./planted": "no strategy ./planted in the configuration",
    "unnamed": "--strategy: its NAME is '', no text", "gated": "--strategy: its PLAYBOOK is a str, not a Playbook; see quanticity.playbooks.playbook",
    "quanticity.strategies.nothing": "no strategy quanticity.strategies.nothing in the configuration",
    "planted:Nothing": "planted has no Nothing", "planted:VALUE": "planted:VALUE is no class", "raises": "raises cannot be imported: ZeroDivisionError",
    "leaves": "leaves ends the program when it is imported", "wants": "--strategy: wants imports nowhere_to_be_found, which is not installed; install it, or mend the module",
    "zero-dte": "no strategy zero-dte in the configuration .there: .*; did you mean zero_dte.$", "planted": "planted has no Parameters",
}


NO_PLAYBOOK = """from dataclasses import dataclass
NAME, PLAYBOOK = 'gated', 'lunch'
@dataclass(frozen=True)
class Parameters:
    a: int = 1
def propose(features, chain, parameters):
    return ()
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_that_is_none_is_told_in_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quanticity.app.bias_cli import named_strategy
    from quanticity.core.config import load_config

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module, text in {"raises": "1 / 0", "leaves": "import sys\nsys.exit(0)", "wants": "import nowhere_to_be_found", "planted": "VALUE = 1",
                         "unnamed": NO_PLAYBOOK.replace("'gated'", "''"), "gated": NO_PLAYBOOK}.items():
        (tmp_path / f"{module}.py").write_text(text)
    with pytest.raises(UserError, match=NAMES[name]) as caught:
        named_strategy(load_config(environ={}), name, {})
    assert "\n" not in str(caught.value)
    sys.modules.pop("planted", None)


def test_parameters_are_json_or_text() -> None:
    from quanticity.app.bias_cli import given_parameters

    assert given_parameters(["a=1", "b=0.5", "c=text", "d=true", "e=x=y"]) == {"a": 1, "b": 0.5, "c": "text", "d": True, "e": "x=y"}
    for wrong in ("a", "=1"):
        with pytest.raises(UserError, match="write NAME=VALUE"):
            given_parameters([wrong])
