"""Days in a row of the default market stay in proportion: dealers can hedge what they hold, their hedging brings no drift, options cost what they pay, open interest neither
grows nor dries up."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from quanticity.feeds.sim_truth import Participant
from quanticity.feeds.simulator import Extras, SimulatorParameters, sessions_from, simulate
from quanticity.market.chain import nanoseconds

DEFAULT = SimulatorParameters()
UNMOVED = replace(DEFAULT, feedback=False)
WILD = replace(DEFAULT, impact=8.0)  # the slope of the square-root law at 1% of the volume, where hedges are a fifth of it: what the laws below must refuse
THIN = replace(WILD, underlying_volume=6e6, open_interest=2_000.0)  # and a stock of a fifth of the volume under the same options: they must refuse this, too
SECONDS, NANO = 120.0, 10**9
DAYS = sessions_from(date(2026, 3, 18), 4)
ACTIVE = 0.2  # dealers are at their limit in fewer of the steps than this, on average over days
DRIFT = 0.003  # log return a day that hedging brings, on average over days: less than this


def rows(seed, p):
    """Some days in a row of one market, in steps of two minutes."""
    return list(simulate(seed, DAYS, ("SIM",), p, SECONDS, Extras(books=None, levels=False)))


def factor(day, name):
    """A factor of a day's truth, step by step."""
    return day.truth.factors[:, day.truth.factor_names.index(name)]


def at_the_limit(day, p):
    """Share of a day's steps in which dealers trade as many shares as `sim_day.hedging` lets them: half of what is traded in that time on average."""
    most = p.underlying_volume * 0.5 * SECONDS / (day.session.closes - day.session.opens).total_seconds()
    return float(np.mean(np.abs(factor(day, "hedge_shares")) > most - 1))


def brought(days):
    """Log return that hedging brought to each day."""
    return np.array([factor(d, "hedge").sum() for d in days])


def after_ten(day):
    """From half an hour after the open to the close: variance realized by half hours, and variance that the day's straddle nearest the money costs (middles of the quotes)."""
    s, spot = day.session, day.truth.steps.spot[round(1800 / SECONDS) - 1 :: round(1800 / SECONDS)]
    q = s.quotes.where(s.quotes.ts <= nanoseconds(s.opens) + 1800 * NANO)
    bid, ask = np.full(len(s.contracts), np.nan), np.full(len(s.contracts), np.nan)
    bid[q.index], ask[q.index] = q.bid, q.ask  # the last of each contract
    near = s.contracts.expiry_day == s.contracts.expiry_day.min()
    strike = min(s.contracts.strike[near], key=lambda k: abs(k - spot[0]))
    cost = ((bid + ask) / 2)[near & (s.contracts.strike == strike)].sum()
    return (np.diff(np.log(spot)) ** 2).sum(), (cost / spot[0]) ** 2 * np.pi / 2


def variances(markets):
    """Realized and implied variance of some rows of days, summed."""
    return np.sum([after_ten(d) for days in markets for d in days], axis=0)


@pytest.fixture(scope="module")
def market():
    return [rows(seed, DEFAULT) for seed in range(1, 5)]


@pytest.fixture(scope="module")
def unmoved():
    return [rows(seed, UNMOVED) for seed in (1, 2)]


@pytest.fixture(scope="module")
def wild():
    return [rows(seed, WILD) for seed in (1, 2)]


@pytest.fixture(scope="module")
def thin():
    return [rows(seed, THIN) for seed in (1, 2)]


def test_the_truth_knows_the_shares_that_dealers_traded(market):
    for d in market[0][:2]:
        mine = d.truth.underlying_trades.participant == Participant.DEALER_HEDGE
        signed = d.truth.underlying_trades.initiator[mine] * d.session.underlying_trades.size[mine]
        shares = factor(d, "hedge_shares")
        assert shares[shares != 0].tolist() == signed.tolist() and len(signed) > 100


def test_dealers_can_hedge_what_they_hold(market, thin):
    share = np.array([[at_the_limit(d, DEFAULT) for d in days] for days in market])
    assert share.mean() < ACTIVE and share.max() < 0.5
    assert np.mean([at_the_limit(d, THIN) for days in thin for d in days]) > 3 * ACTIVE


def test_hedging_brings_no_drift(market, thin):
    days = np.concatenate([brought(x) for x in market])
    assert abs(days.mean()) < 3 * days.std(ddof=1) / np.sqrt(len(days)) and abs(days.mean()) < DRIFT
    assert np.mean([brought(x) for x in thin]) > 2 * DRIFT


def test_hedging_moves_the_price_less_than_all_else_does(market, wild, thin):
    own = DEFAULT.volatility / np.sqrt(252)  # of a day
    def moved(markets):
        return np.sqrt(np.mean(np.square([brought(x) for x in markets])))
    assert 0.05 * own < moved(market) * WILD.impact / DEFAULT.impact < 0.5 * own < own < moved(thin)  # a share moves the price by as much as `impact` says
    assert moved(market) < 0.1 * own < moved(wild)


def test_options_cost_what_they_pay(market, unmoved, wild):
    """Without hedging the days' variance is below the options' by the premium; what hedging adds, and everybody can see, is no more than that."""
    realized, implied = variances(market)
    assert 0.8 < realized / implied < 1.1
    fed, alone, driven = (variances(x)[0] for x in (market[:2], unmoved, wild))  # the same shocks in all three
    assert 1.02 < fed / alone < 1 / (1 - DEFAULT.variance_premium) < 1.25 < driven / alone


def test_open_interest_stays_in_proportion(market, thin):
    def growth(days):
        interest = [d.session.open_interest.sum() for d in days]
        return np.array(interest[1:]) / interest[0]
    for days in market:
        assert (0.5 < growth(days)).all() and (growth(days) < 2).all()
        assert 0.5 < days[-1].session.open_interest.sum() / days[-1].session.trades.size.sum() < 3  # a day's flow, give or take
    assert all((growth(days) > 2).any() for days in thin)
