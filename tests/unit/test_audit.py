"""The auditor of locks, exposure and sums: silent where all fits, and one line for each thing that does not."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from quanticity.signals.audit import ExposureBook, findings, groups_of
from quanticity.signals.scoring import Cap, Caps, LiveLock

UNTIL = datetime(2026, 3, 20, 20, tzinfo=UTC)


def record(**changed: Any) -> dict[str, Any]:
    return {"symbol": "GOOG", "strategy": "moc", "expiry": "2026-03-20", "contract": "C", "side": "buy", "cents": "100000", "bet": "b1", "lock": "l1", "until": 7} | changed


def book(**changed: Any) -> ExposureBook:
    """Two live signals, the second a spread of another strategy and expiry; and a cooldown."""
    live = {"sig:1": record(), "sig:2": record(strategy="zero_dte", expiry="2026-03-23", bet="b2", lock="l2", legs=["l3"], until=8, cents="50000")}
    totals = {"symbol:GOOG": 2, "strategy:moc": 1, "strategy:zero_dte": 1, "expiry:2026-03-20": 1, "expiry:2026-03-23": 1, "book": 2}
    cents = {"symbol:GOOG:cents": 150_000, "strategy:moc:cents": 100_000, "strategy:zero_dte:cents": 50_000, "expiry:2026-03-20:cents": 100_000, "expiry:2026-03-23:cents": 50_000,
             "book:cents": 150_000}
    locks = {name: LiveLock(f"sig:{number}", UNTIL) for name, number in (("b1", 1), ("l1", 1), ("b2", 2), ("l2", 2), ("l3", 2))}
    whole = ExposureBook(live, totals | cents, {"sig:1": 7, "sig:2": 8, "lock:b9": 9}, locks | {"b9": LiveLock("sig:9", UNTIL, ended=True)})
    return replace(whole, **{name: {k: v for k, v in (dict(getattr(whole, name)) | changes).items() if v is not None} for name, changes in changed.items()})


def test_where_all_fits_it_is_silent():
    full = Caps(Cap(2, 1500.0), Cap(1, 1000.0), Cap(1, 1000.0), Cap(2, 1500.0))
    assert findings(book(), Caps()) == findings(book(), full) == findings(ExposureBook({}, {}, {}, {}), full) == []
    odd = ExposureBook({"sig:1": record(cents="230")}, {g: 1 for g in groups_of(record())} | {f"{g}:cents": 230 for g in groups_of(record())}, {"sig:1": 7}, dict(book().locks))
    assert findings(odd, Caps(book=Cap(1, 2.3))) == []  # 2.3 times 100 is a little less than 230
    assert groups_of(record()) == ("symbol:GOOG", "strategy:moc", "expiry:2026-03-20", "book")


@pytest.mark.parametrize(("changed", "expected"), [
    ({"totals": {"book": 3}}, ["book is 3, live signals add up to 2"]), ({"totals": {"book": None}}, ["book is 0, live signals add up to 2"]),
    ({"totals": {"strategy:moc": None}}, ["strategy:moc is 0, live signals add up to 1"]),
    ({"totals": {f"strategy:{name}": 1 for name in "cadbef"}}, [f"strategy:{name} is 1, live signals add up to 0" for name in "abcdef"]),
    ({"totals": {"symbol:GOOG:cents": 149_999}}, ["symbol:GOOG:cents is 149999, live signals add up to 150000"]),
    ({"locks": {"b1": None}}, ["sig:1 does not hold the lock b1"]), ({"locks": {"l3": None}}, ["sig:2 does not hold the lock l3"]),
    ({"locks": {"l1": LiveLock("sig:2", UNTIL)}}, ["sig:1 does not hold the lock l1"]), ({"locks": {"l1": LiveLock("sig:1", UNTIL, ended=True)}}, ["sig:1 does not hold the lock l1"]),
    ({"ends": {"sig:1": None}}, ["sig:1 has no end, or another than its own"]), ({"ends": {"sig:2": 9}}, ["sig:2 has no end, or another than its own"]),
    ({"ends": {"sig:3": 7}}, ["an end without a signal: sig:3"]),
    ({"live": {"sig:2": record(strategy="zero_dte", expiry="2026-03-23", bet="b2", lock="l1", until=8, cents="50000")}, "locks": {"l1": LiveLock("sig:2", UNTIL)}},
     ["sig:1 does not hold the lock l1", "sig:2 and sig:1 both live on l1"])])
def test_each_thing_that_does_not_fit_is_a_line(changed, expected):
    assert findings(book(**changed), Caps()) == expected


@pytest.mark.parametrize(("caps", "expected"), [
    (Caps(symbol=Cap(1)), ["symbol:GOOG is 2, most 1"]), (Caps(strategy=Cap(None, 999.99)), ["strategy:moc:cents is 100000, most 999.99"]), (Caps(expiry=Cap(0)),
     ["expiry:2026-03-20 is 1, most 0", "expiry:2026-03-23 is 1, most 0"]), (Caps(book=Cap(1, 1499.0)), ["book is 2, most 1", "book:cents is 150000, most 1499.0"])])
def test_what_is_over_a_cap_is_a_line(caps, expected):
    assert findings(book(), caps) == expected
