"""Is it good enough and is it new: the pure half of the signal's life."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Proposal, Right, Side, Signal
from quanticity.signals.scoring import LiveLock, SignalPolicy, fingerprint, score, signal_id

TS = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
CONTRACT = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, datetime(2015, 12, 24, 18, tzinfo=UTC))
PROPOSAL = Proposal("pro:zero_dte:X:1", "zero_dte", "GOOG", TS, CONTRACT, Side.BUY, 1.5, 2.4, 0.9, TS + timedelta(hours=2), 0.6, {}, ("chain:1",))
POLICY = SignalPolicy(0.55, timedelta(minutes=2), timedelta(hours=6), timedelta(minutes=30))
OTHER = "sig:0000000000000000"


def test_a_fresh_proposal_becomes_a_signal_with_a_time_to_live():
    signal = score(PROPOSAL, None, POLICY)
    assert signal == Signal(signal_id(PROPOSAL), fingerprint(PROPOSAL), TS, TS + timedelta(minutes=2), PROPOSAL)


@pytest.mark.parametrize(("confidence", "emitted"), [(0.55, True), (0.5499, False), (0.0, False), (1.0, True)])
def test_the_least_confidence_is_enough(confidence, emitted):
    answer = score(replace(PROPOSAL, confidence=confidence), None, POLICY)
    assert isinstance(answer, Signal) if emitted else answer[0] is Reason.LOW_CONFIDENCE


@pytest.mark.parametrize(("lock", "reason"), [
    (LiveLock(OTHER, TS + timedelta(seconds=1)), Reason.ALREADY_LIVE), (LiveLock(OTHER, TS + timedelta(seconds=1), ended=True), Reason.COOLDOWN),
    (LiveLock(OTHER, TS), None), (LiveLock(OTHER, TS, ended=True), None), (LiveLock(OTHER, TS - timedelta(days=1)), None),
    (LiveLock(signal_id(PROPOSAL), TS + timedelta(hours=1)), Reason.DUPLICATE), (LiveLock(signal_id(PROPOSAL), TS - timedelta(hours=1), ended=True), Reason.DUPLICATE)])
def test_what_is_remembered_of_the_bet_decides(lock, reason):
    answer = score(PROPOSAL, lock, POLICY)
    if reason is None:
        assert isinstance(answer, Signal)
    else:
        assert answer[0] is reason and answer[1]


def test_low_confidence_is_told_before_the_lock():
    assert score(replace(PROPOSAL, confidence=0.1), LiveLock(signal_id(PROPOSAL), TS), POLICY)[0] is Reason.LOW_CONFIDENCE


def test_a_veto_says_who_holds_the_lock_and_how_long():
    assert score(PROPOSAL, LiveLock(OTHER, TS + timedelta(seconds=1234)), POLICY)[1] == f"{OTHER} is live; locked for 1,234 s more"


def test_the_fingerprint_names_the_bet_not_its_terms():
    same = [replace(PROPOSAL, id="pro:2", limit_price=9.0, confidence=0.9, ts=TS + timedelta(hours=1)), replace(PROPOSAL, contract=replace(CONTRACT, strike=700.0))]
    other = [replace(PROPOSAL, strategy="moc"), replace(PROPOSAL, side=Side.SELL), replace(PROPOSAL, contract=replace(CONTRACT, symbol="SPXW")),
             replace(PROPOSAL, contract=replace(CONTRACT, right=Right.PUT)), replace(PROPOSAL, contract=replace(CONTRACT, expiry=date(2015, 12, 31)))]
    assert {fingerprint(p) for p in same} == {fingerprint(PROPOSAL)}
    assert len({fingerprint(p) for p in (PROPOSAL, *other)}) == 6
    assert len(fingerprint(PROPOSAL)) == 16 and int(fingerprint(PROPOSAL), 16) >= 0


def test_the_signal_id_is_the_proposals_for_good():
    assert signal_id(PROPOSAL) == signal_id(replace(PROPOSAL, confidence=0.9)) != signal_id(replace(PROPOSAL, id="pro:2"))
    assert signal_id(PROPOSAL) == "sig:7dd78123bfa55938"  # sha256 of the proposal's id: must never change, locks and orders are named by it
