"""The records that layers hand to one another: what they refuse, and that their plain form loses nothing."""

import json
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core import types as t
from quanticity.core.reasons import Reason

TS = datetime(2015, 12, 24, 15, 1, 2, 345678, tzinfo=UTC)
CONTRACT = t.Contract("GOOG", date(2015, 12, 24), 747.5, t.Right.CALL, datetime(2015, 12, 24, 18, tzinfo=UTC))
INDEX = t.Contract("SPXW", date(2021, 1, 15), 3800.0, t.Right.PUT, datetime(2021, 1, 15, 21, tzinfo=UTC), 100, t.Exercise.EUROPEAN, t.Settlement.CASH)
PROPOSAL = t.Proposal("pro:1", "zero_dte", "GOOG", TS, CONTRACT, t.Side.BUY, 1.5, 2.4, 0.9, TS + timedelta(hours=2), 0.7,
                      {"stretch": 0.5, "gamma": 1.0}, ("chain:GOOG:1",), 0.3, "why")
SIGNAL = t.Signal("sig:1", "ab", TS, TS + timedelta(minutes=2), PROPOSAL)
TICKET = t.OrderTicket("sig:1/entry", "sig:1", CONTRACT, t.Side.BUY, t.OrderType.LIMIT, 3, t.OrderRole.ENTRY, limit_price=1.5, good_till=TS)
FILL = t.Fill("sig:1/entry#1", "sig:1/entry", "sig:1", CONTRACT, t.Side.BUY, t.OrderRole.ENTRY, 3, 1.5, 2.1, TS)
MESSAGE = t.Message("msg:1", "sig:1", FILL.id, TS, "opened", "text\nwith ünïcode")


def through_json(record: object) -> dict:
    return json.loads(json.dumps(t.plain(record)))


@pytest.mark.parametrize(("record", "back"), [
    (CONTRACT, t.contract_from_plain), (INDEX, t.contract_from_plain), (PROPOSAL, t.proposal_from_plain),
    (replace(PROPOSAL, trail_amount=None, rationale=""), t.proposal_from_plain), (SIGNAL, t.signal_from_plain),
    (TICKET, t.ticket_from_plain), (replace(TICKET, good_till=None), t.ticket_from_plain),
    (t.OrderTicket("a", "sig:1", INDEX, t.Side.SELL, t.OrderType.TRAIL, 1, t.OrderRole.STOP, stop_price=0.9, trail_amount=0.2, parent_id="p", oca_group="g"),
     t.ticket_from_plain),
    (FILL, t.fill_from_plain), (MESSAGE, t.message_from_plain)])
def test_plain_form_goes_through_json_and_back_unchanged(record, back):
    again = back(through_json(record))
    assert again == record and type(again) is type(record)
    assert t.plain(again) == t.plain(record)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 99_999_999), st.sampled_from(list(t.Right)), st.dates(date(2000, 1, 1), date(2079, 12, 31)),
       st.sampled_from(list(t.Settlement)), st.integers(1, 1000))
def test_any_contract_round_trips_and_its_occ_symbol_reads_back(thousandths, right, expiry, settlement, multiplier):
    contract = t.Contract("BRK.B", expiry, thousandths / 1000, right, datetime(expiry.year, expiry.month, expiry.day, 20, 15, tzinfo=UTC), multiplier,
                          t.Exercise.AMERICAN, settlement)
    assert t.contract_from_plain(through_json(contract)) == contract
    occ = contract.occ
    assert (occ[:-15], occ[-15:-9], occ[-9]) == ("BRK.B", f"{expiry:%y%m%d}", right.value)
    assert int(occ[-8:]) == thousandths


def test_contract_reads_as_people_write_it():
    assert str(CONTRACT) == "GOOG 2015-12-24 747.5C" and str(INDEX) == "SPXW 2021-01-15 3800P"
    assert CONTRACT.occ == "GOOG151224C00747500" and INDEX.occ == "SPXW210115P03800000"
    assert (CONTRACT.multiplier, CONTRACT.exercise, CONTRACT.settlement) == (100, t.Exercise.AMERICAN, t.Settlement.PHYSICAL)


def test_plain_times_are_utc_and_everything_nested_is_plain():
    tokyo = datetime(2024, 3, 1, 9, 0, tzinfo=timezone(timedelta(hours=9)))
    assert t.plain(tokyo) == "2024-03-01T00:00:00Z"
    assert t.plain({1: [tokyo, (Reason.EXPIRED, date(2024, 3, 1))], "n": None, "x": 1.5, "b": True}) == {
        "1": ["2024-03-01T00:00:00Z", ["expired", "2024-03-01"]], "n": None, "x": 1.5, "b": True}
    refused = t.RiskRefused("sig:1", TS, Reason.MAX_ORDERS, "60 of 60")
    assert t.plain(refused) == {"signal_id": "sig:1", "ts": "2015-12-24T15:01:02.345678Z", "reason": "max_orders", "detail": "60 of 60"}
    assert t.plain(t.RiskApproved("sig:1", TS, (TICKET,), {"contracts": 3.0}))["tickets"][0]["role"] == "entry"


def test_features_hold_no_nan_and_cannot_be_changed():
    given_values = {"spot": 750.0}
    features = t.Features("GOOG", TS, "chain:1", given_values, {"spot": 0.0}, {"gex": Reason.NO_OPEN_INTEREST})
    given_values["spot"] = 1.0
    assert features.get("spot") == 750.0 and features.get("gex") is None and features.get("nonsense") is None
    with pytest.raises(TypeError):
        features.values["spot"] = 2.0
    with pytest.raises(FrozenInstanceError):
        features.symbol = "SPX"
    with pytest.raises(ValueError, match="NaN in feature 'gex'"):
        t.Features("GOOG", TS, "chain:1", {"spot": 1.0, "gex": float("nan")})


@pytest.mark.parametrize(("type_", "given_terms", "wants"), [
    (t.OrderType.LIMIT, {"stop_price": 1.0}, "limit_price"), (t.OrderType.STOP, {"limit_price": 1.0}, "stop_price"),
    (t.OrderType.TRAIL, {"stop_price": 1.0}, "trail_amount")])
def test_an_order_needs_its_price(type_, given_terms, wants):
    with pytest.raises(ValueError, match=wants):
        t.OrderTicket("o", "sig:1", CONTRACT, t.Side.SELL, type_, 1, t.OrderRole.STOP, **given_terms)


@pytest.mark.parametrize("quantity", [0, -1])
def test_an_order_is_of_at_least_one_contract(quantity):
    with pytest.raises(ValueError, match=f"at least 1, got {quantity}"):
        t.OrderTicket("o", "sig:1", CONTRACT, t.Side.SELL, t.OrderType.MARKET, quantity, t.OrderRole.EXIT)


def test_cash_of_a_fill_is_signed_and_after_commission():
    assert FILL.cash == -452.1
    assert replace(FILL, side=t.Side.SELL).cash == 447.9
    assert replace(FILL, side=t.Side.SELL, commission=-0.25).cash == 450.25  # a rebate is cash in
    assert (t.Side.BUY.sign, t.Side.SELL.sign) == (1, -1)


def test_tiers_come_earliest_first():
    assert [tier.value for tier in t.Tier] == ["premium", "basic", "free"]
