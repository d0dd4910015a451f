"""What is said, and when each tier hears it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.types import Contract, Fill, Message, OrderRole, Proposal, Right, Side, Signal, Tier
from quanticity.distribution.messages import closed, opened, plan

TS = datetime(2015, 12, 24, 15, 2, tzinfo=UTC)
CONTRACT = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, datetime(2015, 12, 24, 18, tzinfo=UTC))
PROPOSAL = Proposal("pro:1", "zero_dte", "GOOG", TS, CONTRACT, Side.BUY, 1.5, 2.4, 0.9, datetime(2015, 12, 24, 17, 45, tzinfo=UTC), 0.678, {}, ("chain:1",),
                    rationale="dealers long gamma")
SIGNAL = Signal("sig:1", "ab", TS, TS + timedelta(minutes=2), PROPOSAL)
FILL = Fill("sig:1/entry#1", "sig:1/entry", "sig:1", CONTRACT, Side.BUY, OrderRole.ENTRY, 3, 1.456, 2.1, TS)


def test_an_opening_names_contract_price_exits_and_why():
    m = opened(SIGNAL, FILL)
    assert m == Message("msg:sig:1:opened", "sig:1", "sig:1/entry#1", TS, "opened", m.text)
    assert m.text.splitlines() == ["OPENED GOOG 2015-12-24 747.5C (zero_dte): bought 3 at 1.46, 10:02 New York.",
                                   "Target 2.40, stop 0.90, out by 12:45. Confidence 0.68: dealers long gamma.", "Not investment advice."]


def test_a_deadline_on_another_day_names_the_day():
    overnight = replace(PROPOSAL, exit_at=datetime(2015, 12, 28, 16, 0, tzinfo=UTC))
    assert "out by 2015-12-28 11:00." in opened(replace(SIGNAL, proposal=overnight), FILL).text


def test_a_dollar_sign_in_a_rationale_is_text_and_none_is_said_so():
    assert "pays $contract 5$" in opened(replace(SIGNAL, proposal=replace(PROPOSAL, rationale="pays $contract 5$")), FILL).text
    assert "no rationale given" in opened(replace(SIGNAL, proposal=replace(PROPOSAL, rationale="")), FILL).text


@pytest.mark.parametrize(("result", "said"), [(1234.5, "+1,234.50"), (-0.9, "-0.90"), (0.0, "+0.00"), (-12345.678, "-12,345.68")])
def test_a_close_says_how_and_with_what_result(result, said):
    at = datetime(2016, 7, 1, 19, 59, tzinfo=UTC)  # summer time
    m = closed(SIGNAL, "sig:1/stop#2", at, 3, 0.9, "stop", result)
    assert (m.id, m.fill_id, m.ts, m.kind) == ("msg:sig:1:closed", "sig:1/stop#2", at, "closed")
    assert m.text.splitlines()[:2] == ["CLOSED GOOG 2015-12-24 747.5C (zero_dte): 3 out at 0.90 by stop, 15:59 New York.",
                                       f"Result {said} dollars after commissions."]


def test_each_tier_hears_over_each_channel_at_its_time_earliest_first():
    m = opened(SIGNAL, FILL)
    planned = plan(m, {Tier.FREE: 900.0, Tier.PREMIUM: 0.0, Tier.BASIC: 60.0}, ("file", "mail"))
    assert [(p.id, (p.due - TS).total_seconds()) for p in planned] == [
        ("msg:sig:1:opened@premium/file", 0), ("msg:sig:1:opened@premium/mail", 0), ("msg:sig:1:opened@basic/file", 60), ("msg:sig:1:opened@basic/mail", 60),
        ("msg:sig:1:opened@free/file", 900), ("msg:sig:1:opened@free/mail", 900)]
    assert {(p.message_id, p.text) for p in planned} == {(m.id, m.text)}
    assert plan(m, {}, ("file",)) == () == plan(m, {Tier.FREE: 1.0}, ())


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(Tier), st.floats(0, 1e5)), st.permutations(list(Tier)))
def test_the_plan_depends_on_the_delays_not_on_their_order(delays, order):
    m = opened(SIGNAL, FILL)
    planned = plan(m, delays, ("file",))
    assert planned == plan(m, {t: delays[t] for t in order if t in delays}, ("file",))
    assert [p.due for p in planned] == sorted(p.due for p in planned) and all(p.due >= m.ts for p in planned)
    assert len({p.id for p in planned}) == len(delays)
