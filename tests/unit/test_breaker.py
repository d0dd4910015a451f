"""A failing strategy is left alone, longer each time, and tried again once."""

from datetime import UTC, datetime, timedelta

import pytest

from quanticity.core.config import SignalsConfig
from quanticity.core.reasons import Reason
from quanticity.core.types import plain
from quanticity.jobs.signals import breaker_policy
from quanticity.signals.breaker import Breaker, BreakerPolicy, BreakerState, breaker_of, error_text, failed, refusal

TS = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POLICY = BreakerPolicy(60.0, 3, 600.0, 1500.0)


def broken(times: int) -> Breaker:
    breaker, now = Breaker(), TS
    for _ in range(times):
        breaker = failed(breaker, now, POLICY, "ValueError: no")
        now = breaker.until
    return breaker


@pytest.mark.parametrize(("times", "seconds"), [(1, 60), (2, 120), (3, 600), (4, 1200), (5, 1500), (90, 1500)])
def test_each_failure_doubles_the_rest_up_to_the_longest(times, seconds):
    before = broken(times - 1)
    now = before.until or TS
    assert failed(before, now, POLICY, "x").until - now == timedelta(seconds=seconds)


@pytest.mark.parametrize(("times", "resting", "after", "reason"), [
    (1, BreakerState.BACKING_OFF, BreakerState.CLOSED, Reason.STRATEGY_BACKOFF), (2, BreakerState.BACKING_OFF, BreakerState.CLOSED, Reason.STRATEGY_BACKOFF),
    (3, BreakerState.OPEN, BreakerState.HALF_OPEN, Reason.BREAKER_OPEN), (4, BreakerState.OPEN, BreakerState.HALF_OPEN, Reason.BREAKER_OPEN)])
def test_it_rests_until_its_time_and_is_asked_at_it(times, resting, after, reason):
    breaker = broken(times)
    assert breaker.state(breaker.until - SECOND, POLICY) is resting and breaker.state(breaker.until, POLICY) is after
    why, detail = refusal(breaker, breaker.until - SECOND, POLICY)
    assert why is reason and f"{times} failures in a row" in detail and "ValueError: no" in detail
    assert refusal(breaker, breaker.until, POLICY) is None


def test_one_that_never_failed_is_asked():
    assert Breaker().state(TS, POLICY) is BreakerState.CLOSED and refusal(Breaker(), TS, POLICY) is None


def test_it_is_remembered_as_json():
    assert breaker_of(plain(broken(3))) == broken(3) and breaker_of(plain(Breaker())) == breaker_of(None) == Breaker()


@pytest.mark.parametrize(("error", "text"), [
    (ValueError("one\ntwo"), "ValueError: one"), (KeyError("spot"), "KeyError: 'spot'"), (AssertionError(), "AssertionError"),
    (TypeError("bad <object at 0x7f3a2b1c4d50>"), "TypeError: bad <object at 0x..>"), (ValueError("x" * 999), "ValueError: " + "x" * 188)])
def test_an_error_is_one_line_that_is_the_same_in_every_run(error, text):
    assert error_text(error) == text


def test_its_own_defaults_are_the_configurations():
    assert BreakerPolicy() == breaker_policy(SignalsConfig())
    assert BreakerPolicy(0.5, 1, 0.5, 0.5).opens_after == 1  # shorter than a second is a time, too


@pytest.mark.parametrize("wrong", [{"backoff_seconds": 0.0}, {"opens_after": 0}, {"open_seconds": -1.0}, {"longest_seconds": 0.0}])
def test_a_policy_that_could_not_work_is_refused(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        BreakerPolicy(**wrong)
