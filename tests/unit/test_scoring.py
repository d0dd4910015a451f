"""Is it good enough, what is it called, which bet and which contract does it lock: the pure half of the signal's life."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from quanticity.core.config import SignalsConfig
from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Features, Proposal, Right, Side, Signal
from quanticity.jobs.signals import signal_policy
from quanticity.signals.safe_mode import SafeMode, SafeModePolicy, is_drifting
from quanticity.signals.scoring import SignalPolicy, contract_fingerprint, fingerprint, lock_end, score, signal_id

TS = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
CONTRACT = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, datetime(2015, 12, 24, 18, tzinfo=UTC))
PROPOSAL = Proposal("pro:zero_dte:X:1", "zero_dte", "GOOG", TS, CONTRACT, Side.BUY, 1.5, 2.4, 0.9, TS + timedelta(hours=2), 0.6, {}, ("chain:1",))
POLICY = SignalPolicy(0.55, timedelta(minutes=2), timedelta(hours=6), timedelta(minutes=30))


def test_a_proposal_that_is_sure_enough_becomes_a_signal_with_a_time_to_live():
    signal = score(PROPOSAL, POLICY)
    assert signal == Signal(signal_id(PROPOSAL), fingerprint(PROPOSAL), TS, TS + timedelta(minutes=2), PROPOSAL) and signal.size_factor == 1.0


@pytest.mark.parametrize(("confidence", "emitted"), [(0.55, True), (0.5499, False), (0.0, False), (1.0, True), (1.01, False), (float("nan"), False)])
def test_the_least_confidence_is_enough(confidence, emitted):
    answer = score(replace(PROPOSAL, confidence=confidence), POLICY)
    assert isinstance(answer, Signal) if emitted else answer[0] is Reason.LOW_CONFIDENCE


@pytest.mark.parametrize(("mode", "confidence", "outcome"), [
    ("fewer", 0.74, Reason.SAFE_MODE), ("fewer", 0.75, 1.0), ("fewer", 0.5, Reason.LOW_CONFIDENCE), ("smaller", 0.6, 0.4), ("none", 1.0, Reason.SAFE_MODE), ("off", 0.6, 1.0)])
def test_what_safe_mode_does_while_features_drift(mode, confidence, outcome):
    policy = replace(POLICY, safe_mode=SafeModePolicy(SafeMode(mode), 0.75, 0.4))
    proposal = replace(PROPOSAL, confidence=confidence)
    answer = score(proposal, policy, drifting=True)
    if isinstance(outcome, Reason):
        assert answer[0] is outcome and answer[1]
    else:
        assert answer.size_factor == outcome
    if confidence >= 0.55:
        assert score(proposal, policy).size_factor == 1.0  # and nothing while they do not


def test_features_drift_only_where_they_say_so():
    assert not is_drifting(Features("GOOG", TS, "s", {}, missing={"safe_mode": Reason.TOO_LITTLE_HISTORY}))
    assert [is_drifting(Features("GOOG", TS, "s", {"safe_mode": x})) for x in (0.49, 0.5, 0.51)] == [False, True, True]
    assert not is_drifting(Features("GOOG", TS, "s", {"safe_mode": 0.0})) and is_drifting(Features("GOOG", TS, "s", {"safe_mode": 1.0}))


def test_the_fingerprint_names_the_bet_not_its_terms():
    same = [replace(PROPOSAL, id="pro:2", limit_price=9.0, confidence=0.9, ts=TS + timedelta(hours=1)), replace(PROPOSAL, contract=replace(CONTRACT, strike=700.0))]
    other = [replace(PROPOSAL, strategy="moc"), replace(PROPOSAL, side=Side.SELL), replace(PROPOSAL, contract=replace(CONTRACT, symbol="SPXW")),
             replace(PROPOSAL, contract=replace(CONTRACT, right=Right.PUT)), replace(PROPOSAL, contract=replace(CONTRACT, expiry=date(2015, 12, 31)))]
    assert {fingerprint(p) for p in same} == {fingerprint(PROPOSAL)}
    assert len({fingerprint(p) for p in (PROPOSAL, *other)}) == 6
    assert len(fingerprint(PROPOSAL)) == 16 and int(fingerprint(PROPOSAL), 16) >= 0


def test_the_contracts_fingerprint_names_contract_and_side_whoever_proposes():
    assert contract_fingerprint(replace(PROPOSAL, strategy="moc", id="pro:2", limit_price=9.0)) == contract_fingerprint(PROPOSAL) != fingerprint(PROPOSAL)
    others = [replace(PROPOSAL, side=Side.SELL), replace(PROPOSAL, contract=replace(CONTRACT, strike=700.0)), replace(PROPOSAL, contract=replace(CONTRACT, right=Right.PUT))]
    assert len({contract_fingerprint(p) for p in (PROPOSAL, *others)}) == 4


def test_the_signal_id_is_the_proposals_of_its_symbol_for_the_day():
    assert signal_id(PROPOSAL) == signal_id(replace(PROPOSAL, confidence=0.9, ts=TS + timedelta(hours=1))) != signal_id(replace(PROPOSAL, id="pro:2"))
    assert signal_id(PROPOSAL) != signal_id(replace(PROPOSAL, ts=TS + timedelta(days=1))) != signal_id(replace(PROPOSAL, symbol="SPXW"))
    assert signal_id(PROPOSAL) == "sig:62547e17a198eaaf"  # must not change: locks and orders are named by it


@pytest.mark.parametrize(("leaves", "until"), [(timedelta(hours=2), timedelta(hours=6)), (timedelta(days=3), timedelta(days=3, hours=6))])
def test_locks_hold_for_the_session_or_until_an_overnight_position_is_left(leaves, until):
    signal = score(replace(PROPOSAL, exit_at=TS + leaves), POLICY)
    assert lock_end(signal, POLICY) == TS + until


def test_safe_modes_own_numbers_are_the_configurations():
    configured = signal_policy(SignalsConfig()).safe_mode
    assert replace(SafeModePolicy(), mode=configured.mode) == configured and SafeModePolicy().mode is SafeMode.OFF
    assert SafeModePolicy(size_factor=1.0).size_factor == 1.0


@pytest.mark.parametrize("factor", [0.0, -0.5, 1.01, float("nan")])
def test_a_size_factor_only_makes_smaller(factor):
    with pytest.raises(ValueError, match="size_factor"):
        SafeModePolicy(size_factor=factor)
    with pytest.raises(ValueError, match="size_factor"):
        Signal("sig:1", "ab", TS, TS, PROPOSAL, factor)
