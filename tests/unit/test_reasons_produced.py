"""Reason codes that other tests meet only on both sides of a comparison: here made to happen, and expected by their own name."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from quanticity.core.reasons import Reason
from quanticity.market.quality import screen_session

from .test_quality_door import MINUTE, edited, listed, session


def test_a_quote_that_the_price_has_left_behind_is_noted_as_unchanged():
    """The 95 call keeps its first quote, 10 cents wide, while spot climbs 2 cents a minute: noted once a quarter of an hour and more than two spreads and 0.2% of spot have passed."""
    minutes = np.arange(1, 91)
    spot = 100 + 0.02 * minutes
    whole = session(minutes=90, spot=spot)
    q, rows = whole.quotes, np.flatnonzero(whole.quotes.index == 0)
    bid, ask = q.bid.copy(), q.ask.copy()
    bid[rows], ask[rows] = bid[rows[0]], ask[rows[0]]
    noted = screen_session(replace(whole, quotes=replace(q, bid=bid, ask=ask))).findings.of(Reason.UNCHANGED_QUOTE)
    stood = (minutes - 1) * MINUTE / 1e9
    left = (stood >= 900.0) & (spot - spot[0] > 2 * 0.1 + 0.002 * spot)
    assert noted.value.tolist() == stood[left].tolist() and 60 < left.sum() < 75 and set(noted.limit) == {900.0}
    assert not len(screen_session(whole).findings.of(Reason.UNCHANGED_QUOTE))


@pytest.mark.parametrize("expiry", [date(2026, 4, 19), date(2026, 3, 18), date(2056, 4, 20)])
def test_a_contract_that_expires_on_a_sunday_in_the_past_or_beyond_any_listing_is_refused_with_its_quotes(expiry: date) -> None:
    contracts = listed()
    day = np.where(np.arange(6) == 4, (expiry - date(1970, 1, 1)).days, contracts.expiry_day)
    findings = screen_session(session(contracts=replace(contracts, expiry_day=day))).findings
    assert findings.counts() == {Reason.WRONG_EXPIRY: 121} and findings.of(tape="contracts").row.tolist() == [4]
    assert findings.of(Reason.WRONG_EXPIRY, tape="quotes").row.tolist() == list(range(4, 720, 6))


def test_prices_of_a_strike_that_no_market_could_show_are_refused() -> None:
    """The call of the 100 strike is 15 dollars too dear: against its put it says another spot than the strikes beside it."""
    whole = session()
    q = whole.quotes
    up = np.where(q.index == 2, 15.0, 0.0)
    findings = screen_session(replace(whole, quotes=replace(q, bid=q.bid + up, ask=q.ask + up))).findings
    refused = findings.of(Reason.PARITY_VIOLATION, tape="quotes")
    assert set(findings.counts()) == {Reason.PARITY_VIOLATION} and findings.of(tape="contracts").row.tolist() == [2, 3]
    assert len(refused) > 200 and set(q.index[refused.row].tolist()) == {2, 3}


@pytest.mark.parametrize("bar", [{"high": 90.0}, {"low": 110.0}, {"open": 150.0}, {"close": 50.0}])
def test_a_bar_that_contradicts_itself_is_refused(bar: dict[str, float]) -> None:
    findings = screen_session(edited(session(), 50, "underlying_bars", **bar)).findings
    assert findings.of(tape="underlying_bars").counts() == {Reason.INCONSISTENT_BAR: 1} and findings.of(tape="underlying_bars").row.tolist() == [50]
