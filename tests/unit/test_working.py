from dataclasses import replace
from datetime import UTC, date, datetime
from math import isnan

import pytest

from quanticity.core.types import Contract, Fill, OrderRole, Proposal, Right, Side, Signal
from quanticity.jobs.working import Working, note_end, note_fill

AT = datetime(2015, 12, 24, 16, tzinfo=UTC)
CALL = Contract("GOOG", date(2015, 12, 24), 747.5, Right.CALL, datetime(2015, 12, 24, 18, tzinfo=UTC))
SIGNAL = Signal("sig:1", "ab", AT, AT, Proposal("pro:1", "zero_dte", "GOOG", AT, CALL, Side.BUY, 2.0, 3.0, 1.0, AT, 0.7, {}, ("chain:GOOG:1",)))
ENTRY = Fill("sig:1/entry#1", "sig:1/entry", "sig:1", CALL, Side.BUY, OrderRole.ENTRY, 10, 2.0, 6.5, AT)
STOP = Fill("sig:1/stop#1", "sig:1/stop", "sig:1", CALL, Side.SELL, OrderRole.STOP, 6, 1.0, 3.9, AT)


def test_the_price_that_subscribers_are_told_is_the_average_of_all_that_was_closed() -> None:
    working = Working(SIGNAL, 10)
    note_fill(working, ENTRY)
    assert isnan(working.closed.price) and not working.over
    note_fill(working, STOP)
    note_fill(working, replace(STOP, id="sig:1/stop#2", quantity=2, price=0.5, commission=1.3))
    assert working.closed.price == pytest.approx((6 * 1.0 + 2 * 0.5) / 8)
    assert note_end(working, CALL, 0.25) == 2
    assert working.over and working.closed.price == pytest.approx((6 * 1.0 + 2 * 0.5 + 2 * 0.25) / 10)
    assert working.cash == pytest.approx(-2000 - 6.5 + 600 - 3.9 + 100 - 1.3 + 50)
