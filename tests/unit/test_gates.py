"""Every gate and fallback of every strategy under its own playbook, in one table: what its operator's page quotes is what it says, to the letter."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from quanticity.core.clock import option_close, session_hours
from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Features, Right, Skip
from quanticity.jobs.signals import Answer, decide
from quanticity.jobs.wiring import LoadedStrategy
from quanticity.market.chain import OptionChain
from quanticity.playbooks import fourteen_dte as fourteen_dte_book
from quanticity.playbooks import moc as moc_book
from quanticity.playbooks import one_dte as one_dte_book
from quanticity.playbooks import zero_dte as zero_dte_book
from quanticity.playbooks.playbook import GammaRegime, Playbook, window
from quanticity.signals.features import merge, metric_document
from quanticity.strategies import fourteen_dte, moc, one_dte, wall_pin, zero_dte
from quanticity.strategies.inputs import Fallback

from .strategy_support import EPOCH, delta_of, make_chain, new_york, only, row_of, skipped
from .test_strategy_guides import rows

THURSDAY, FRIDAY = date(2026, 3, 19), date(2026, 3, 20)
WIDE, FINE = tuple(np.arange(700.0, 801.0, 5.0)), tuple(np.arange(745.0, 755.1, 0.5))  # 21 strikes each


def calls_above(strike: float, is_call: bool) -> float:
    """Open interest that makes dealers, long calls out of the money, buy as these decay."""
    return 1000.0 if is_call and strike > 760 else 20.0


@dataclass(frozen=True)
class Setting:
    """A moment at which a strategy proposes, with all that it reads."""

    strategy: ModuleType
    playbook: Playbook
    now: datetime
    values: dict[str, float]
    expiries: tuple[date, ...]
    strikes: tuple[float, ...] = WIDE
    how: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.strategy.NAME)

    def chain(self, now: datetime | None = None, expiries: tuple[date, ...] | None = None, **how: Any) -> OptionChain:
        return make_chain(now or self.now, self.expiries if expiries is None else expiries, how.pop("strikes", self.strikes), **(self.how | how))

    def features(self, now: datetime | None = None, missing: dict[str, Reason] | None = None, symbol: str = "GOOG", **changed: float | None) -> Features:
        values = {k: v for k, v in (self.values | changed).items() if v is not None}
        return Features(symbol, now or self.now, f"chain:{symbol}:60", values, missing=missing or {})

    def decide(self, features: Features | None = None, chain: OptionChain | None = None, playbook: Playbook | None = None, held: Contract | None = None,
               **parameters: float) -> Answer:
        """What the signals job would be told: the playbook's refusal, or the strategy's answer."""
        f = features or self.features()
        loaded = LoadedStrategy(self.name, self.strategy.propose, self.strategy.Parameters(**self.parameters | parameters), playbook or self.playbook)
        hours, day = session_hours(f.ts.date()), f.ts.date()
        assert hours is not None
        return decide(loaded, f, chain or self.chain(f.ts), held, hours.opens, option_close(f.symbol, day))


SETTINGS = {s.name: s for s in (
    Setting(zero_dte, zero_dte_book.PLAYBOOK, new_york(THURSDAY, 13), {
        "spot": 750.0, "gex": 1e7, "gamma_balance": 0.6, "stretch": -1.5, "call_wall": 757.0, "put_wall": 742.0, "expected_move": 10.0, "institutional_flow": 0.5,
        "institutional_confidence": 0.8, "vpin": 0.7, "quality": 0.9, "quoted_share": 0.9}, (THURSDAY, FRIDAY)),
    Setting(one_dte, one_dte_book.PLAYBOOK, new_york(THURSDAY, 15, 30), {
        "spot": 750.0, "quality": 0.9, "vix1d_zscore": 1.0, "institutional_flow": 0.5, "institutional_confidence": 0.8}, (THURSDAY, FRIDAY), how={"open_interest": calls_above}, parameters={"full_pressure": 2.0}),
    Setting(fourteen_dte, fourteen_dte_book.PLAYBOOK, new_york(FRIDAY, 12), {
        "spot": 750.0, "quality": 0.9, "institutional_flow": 0.5, "institutional_confidence": 0.8, "gamma_balance": -0.4, "put_skew_25": 0.01, "term_slope": 0.02, "day_move": 1.0,
        "hedging_share": 0.2, "volatility_regime": 1.0}, tuple(FRIDAY + timedelta(days=d) for d in (0, 14)), tuple(np.arange(650.0, 851.0, 10.0))),
    Setting(moc, moc_book.PLAYBOOK, new_york(FRIDAY, 15, 51), {
        "spot": 750.0, "imbalance_share": 0.24, "imbalance_shares": 150_000.0, "imbalance_pressure": 2.5, "gamma_balance": -0.4, "stretch": 1.0, "quality": 0.9, "quoted_share": 0.9},
        (FRIDAY,), FINE, {"half_spread": 0.03, "age": 10.0}),
    Setting(wall_pin, replace(zero_dte_book.PLAYBOOK, strategy="wall_pin"), new_york(THURSDAY, 13), {
        "spot": 750.0, "gamma_balance": 0.6, "expected_move": 8.0, "call_wall": 755.0, "put_wall": 738.0, "quality": 0.9, "quoted_share": 0.9}, (THURSDAY, FRIDAY)))}
EACH = pytest.mark.parametrize("s", SETTINGS.values(), ids=SETTINGS)


@EACH
def test_with_all_that_it_reads_it_proposes(s: Setting) -> None:
    p = only(s.decide())
    assert set(s.values) >= {i.name for i in s.strategy.INPUTS} and p.strategy == s.name and "neutral" not in p.rationale and 0.5 not in p.parts.values()


# what the pages quote -------------------------------------------------------------------------------------------------------------------------------------
def with_few_bids(s: Setting) -> OptionChain:
    """Of the calls and puts of each expiry, 21 of them, four without a bid and the others wide."""
    c = s.chain()
    k = c.contracts.strike
    return replace(c, bid=np.where(np.isin(k, s.strikes[:4]), np.nan, np.nan_to_num(c.bid, nan=0.01)), ask=np.where(np.isin(k, s.strikes[:4]), c.ask, 4 * c.ask + 1))


def known_for(s: Setting, share: float) -> OptionChain:
    """The chain with so much of tomorrow's open interest at strikes that show a volatility."""
    c = s.chain()
    k, shown = c.contracts.strike, np.isin(c.contracts.strike, (745.0, 755.0))
    return replace(c, bid=np.where(shown, c.bid, np.nan), open_interest=np.where(shown, share * np.sum(~shown) / np.sum(shown), np.where(k > 0, 1 - share, 0)))


Scene = Callable[[Setting], Answer]
GATES: dict[str, Scene] = {
    "the window starts 15 min after the open": lambda s: s.decide(s.features(new_york(FRIDAY, 9, 44))),
    "the window starts 30 min after the open": lambda s: s.decide(s.features(new_york(FRIDAY, 9, 59))),
    "the window starts 60 min before the close": lambda s: s.decide(s.features(new_york(THURSDAY, 14, 59))),
    "the window starts 10 min before the close": lambda s: s.decide(s.features(new_york(FRIDAY, 15, 49))),
    "ended 45 min before the close": lambda s: s.decide(s.features(new_york(FRIDAY, 15, 15))),
    "ended 60 min before the close": lambda s: s.decide(s.features(new_york(FRIDAY, 15))),
    "ended 15 min before the close": lambda s: s.decide(s.features(new_york(THURSDAY, 15, 45))),
    "ended 5 min before the close": lambda s: s.decide(s.features(new_york(FRIDAY, 15, 55))),
    "the snapshot's quality is 0.41": lambda s: s.decide(s.features(quality=0.41)),
    "24% of same-day contracts are quoted": lambda s: s.decide(s.features(quoted_share=0.24)),
    "9% of same-day contracts are quoted": lambda s: s.decide(s.features(quoted_share=0.09)),
    "features drift, and this playbook stays out": lambda s: s.decide(s.features(safe_mode=1.0)),
    "gamma exposure +1,200,000 is outside short": lambda s: s.decide(s.features(gex=1.2e6), playbook=replace(s.playbook, regimes=(GammaRegime.SHORT,))),
    "SPXW is not among GOOG": lambda s: s.decide(s.features(symbol="SPXW"), playbook=replace(s.playbook, symbols=("GOOG",))),
    "volatility_regime: too little history": lambda s: s.decide(s.features(missing={"volatility_regime": Reason.TOO_LITTLE_HISTORY}, volatility_regime=None)),
    "volatility regime 3 is not among 0, 1, 2": lambda s: s.decide(s.features(volatility_regime=3.0)),
    "21 looked at: no bid 4, spread 17": lambda s: s.decide(chain=with_few_bids(s)),
    "none is within ... of delta ...": lambda s: s.decide(target_delta=0.999, max_delta_distance=0.0001),
    "leaves no price step": lambda s: s.decide(tick=1000.0),
}
GIVEN: dict[str, dict[str, Scene]] = {
    "zero_dte": {
        "gex: no open interest": lambda s: s.decide(s.features(missing={"gex": Reason.NO_OPEN_INTEREST}, gex=None)),
        "stretch: too early": lambda s: s.decide(s.features(missing={"stretch": Reason.TOO_EARLY}, stretch=None)),
        "stretch +0.31 within 0.75 standard deviations": lambda s: s.decide(s.features(stretch=0.31)),
        "no contract expires today in more than 15 minutes": lambda s: s.decide(chain=s.chain(expiries=s.expiries[1:]))},
    "one_dte": {
        "no contract expires on the next session (2026-03-20) and trades until 2026-03-20 11:15 New York": lambda s: s.decide(chain=s.chain(expiries=(THURSDAY,))),
        "overnight pressure +0.030 within 0.05": lambda s: s.decide(s.features(vix1d_zscore=zscore_for(0.03))),
        "overnight exposure: no open interest": lambda s: s.decide(chain=replace(s.chain(), open_interest=np.zeros(len(s.chain())))),
        "spot: no spot": lambda s: s.decide(s.features(missing={"spot": Reason.NO_SPOT}, spot=None)),
        "18% of the open interest shows a volatility": lambda s: s.decide(chain=known_for(s, 0.18)),
        "quality: ...; nothing is bought without it": lambda s: s.decide(s.features(quality=None))},
    "fourteen_dte": {
        "institutional_flow: no trades": lambda s: s.decide(s.features(missing={"institutional_flow": Reason.NO_TRADES}, institutional_flow=None)),
        "institutional_flow: low quality": lambda s: s.decide(replace(s.features(), quality={"institutional_flow": 0.29})),
        "institutional flow +0.040 within 0.1": lambda s: s.decide(s.features(institutional_flow=0.05)),
        "no contract expires in 10 to 21 days and trades until 2026-03-25 15:30 New York": lambda s: s.decide(chain=s.chain(expiries=s.expiries[:1])),
        "quality: ...; nothing is bought without it": lambda s: s.decide(s.features(quality=None))},
    "moc": {
        "less than 3 min to the stock market's close": lambda s: s.decide(s.features(new_york(FRIDAY, 15, 57)), playbook=replace(s.playbook, stop_minutes_before_close=0.0)),
        "imbalance_share: no imbalance": lambda s: s.decide(s.features(missing={"imbalance_share": Reason.NO_IMBALANCE}, imbalance_share=None)),
        "imbalance_share: feature stale": lambda s: s.decide(s.features(missing={"imbalance_share": Reason.FEATURE_STALE}, imbalance_share=None)),
        "imbalance is +4.0% of the auction, 10.0% wanted": lambda s: s.decide(s.features(imbalance_share=0.04)),
        "imbalance of +900 shares, 50,000 wanted": lambda s: s.decide(s.features(imbalance_shares=900.0)),
        "no contract expires within 0 days and trades until 2026-03-20 15:57 New York": lambda s: s.decide(chain=s.chain(expiries=(FRIDAY + timedelta(days=3),)))},
    "wall_pin": {
        "expected_move: no such expiry": lambda s: s.decide(s.features(missing={"expected_move": Reason.NO_SUCH_EXPIRY}, expected_move=None)),
        "neither wall is known": lambda s: s.decide(s.features(call_wall=None, put_wall=None)),
        "dealers are short gamma (balance -0.10): nothing pins": lambda s: s.decide(s.features(gamma_balance=-0.1)),
        "the wall is +0.12 expected moves away, 0.3 to 1 wanted": lambda s: s.decide(s.features(call_wall=751.0)),
        "no contract expires today in more than 15 minutes": lambda s: s.decide(chain=s.chain(expiries=s.expiries[1:]))}}


@cache
def zscore_for(pressure: float) -> float:
    """How dear volatility must be for the 1DTE setting to show this overnight pressure."""
    s = SETTINGS["one_dte"]
    chain, p = s.chain(), one_dte.Parameters()
    found = one_dte.overnight(chain, p.exposure_days, p.exposure_quote_age)
    assert isinstance(found, one_dte.Overnight)
    still, moved = one_dte.pressure(found, 1, 0.0).total, one_dte.pressure(found, 1, -p.vol_reversion).total
    return (pressure - still) / (moved - still)


QUOTED = [(name, row[0].strip("`"), quote) for name in SETTINGS for row in rows(name, "Why it did nothing") for quote in re.findall(r"`([^`]+)`", row[1])]


@pytest.mark.parametrize(("name", "reason", "quote"), QUOTED)
def test_what_the_operators_page_quotes_is_what_it_says(name: str, reason: str, quote: str) -> None:
    scene = GIVEN[name].get(quote) or GATES[quote]
    said = skipped(scene(SETTINGS[name]), Reason(reason))
    assert re.search(".+".join(re.escape(part) for part in quote.split("...")), said), said


def test_every_scene_is_quoted() -> None:
    quoted = {(name, quote) for name, _, quote in QUOTED}
    assert not {(name, quote) for name, scenes in GIVEN.items() for quote in scenes} - quoted and set(GATES) <= {quote for _, quote in quoted}


# bounds: the last value that lets it through, the first that does not -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "feature", "through", "stopped", "reason"), [
    ("zero_dte", "quoted_share", 0.25, 0.2499, Reason.NO_LIQUID_CONTRACT), ("wall_pin", "quoted_share", 0.25, 0.2499, Reason.NO_LIQUID_CONTRACT),
    ("moc", "quoted_share", 0.1, 0.0999, Reason.NO_LIQUID_CONTRACT), *((name, "quality", 0.5, 0.4999, Reason.LOW_QUALITY) for name in SETTINGS),
    ("one_dte", "safe_mode", 0.0, 1.0, Reason.SAFE_MODE), ("fourteen_dte", "safe_mode", 0.0, 1.0, Reason.SAFE_MODE), ("fourteen_dte", "volatility_regime", 2.0, 3.0, Reason.REGIME_GATED),
    ("zero_dte", "stretch", 0.75, 0.7499, Reason.LOW_CONFIDENCE), ("zero_dte", "stretch", -0.75, -0.7499, Reason.LOW_CONFIDENCE),
    ("fourteen_dte", "institutional_flow", 0.125, 0.1249, Reason.LOW_CONFIDENCE), ("fourteen_dte", "institutional_flow", -0.125, -0.1249, Reason.LOW_CONFIDENCE),
    ("fourteen_dte", "institutional_confidence", 0.2, 0.1999, Reason.LOW_CONFIDENCE), ("moc", "imbalance_share", 0.1, 0.0999, Reason.LOW_CONFIDENCE),
    ("moc", "imbalance_share", -0.1, -0.0999, Reason.LOW_CONFIDENCE), ("moc", "imbalance_shares", 50_000.0, 49_999.0, Reason.LOW_CONFIDENCE),
    ("moc", "imbalance_shares", -50_000.0, -49_999.0, Reason.LOW_CONFIDENCE), ("wall_pin", "gamma_balance", 1e-6, 0.0, Reason.REGIME_GATED),
    ("wall_pin", "call_wall", 758.0, 758.01, Reason.LOW_CONFIDENCE), ("wall_pin", "call_wall", 752.41, 752.39, Reason.LOW_CONFIDENCE)])
def test_each_bound_of_a_feature(name: str, feature: str, through: float, stopped: float, reason: Reason) -> None:
    s = SETTINGS[name]
    only(s.decide(s.features(**{feature: through})))
    skipped(s.decide(s.features(**{feature: stopped})), reason)


@pytest.mark.parametrize(("name", "feature", "value"), [
    *((name, "quoted_share", 0.0) for name in ("one_dte", "fourteen_dte")), *((name, "safe_mode", 1.0) for name in ("zero_dte", "moc", "wall_pin")),
    *((name, "volatility_regime", 3.0) for name in ("zero_dte", "one_dte", "moc", "wall_pin")), *(("fourteen_dte", "volatility_regime", code) for code in (0.0, 1.0, 2.0)),
    *((name, "gex", gex) for name in SETTINGS for gex in (-1e7, 0.0))])
def test_what_is_no_gate_of_its_playbook(name: str, feature: str, value: float) -> None:
    only(SETTINGS[name].decide(SETTINGS[name].features(**{feature: value})))


@EACH
def test_its_window_is_that_of_its_page(s: Setting) -> None:
    hours = session_hours(s.now.date())
    assert hours is not None
    start, stop = window(s.playbook, "GOOG", hours.opens, hours.closes)
    for now, inside in ((start - timedelta(seconds=1), False), (start, True), (stop - timedelta(seconds=1), True), (stop, False)):
        answer = s.decide(s.features(now), s.chain(now), max_quote_age=1e6, min_premium=0.01, max_relative_spread=10.0, max_delta_distance=0.6, min_size=0.0)
        assert (not isinstance(answer, Skip) or answer.reason is not Reason.OUTSIDE_WINDOW) == inside, (now, answer)


# confidence and memory through the whole path -------------------------------------------------------------------------------------------------------------
def calls_below(strike: float, is_call: bool) -> float:
    """Open interest that makes dealers, long calls in the money, sell as these gain delta overnight."""
    return 1000.0 if is_call and strike < 740 else 20.0


@pytest.mark.parametrize(("name", "changed", "right", "parts"), [
    ("zero_dte", {}, Right.CALL, {"stretch": 0.75, "gamma": 0.6, "room": 0.7, "flow": 0.7, "toxicity": 0.3}),
    ("zero_dte", {"stretch": 0.8, "gex": -1e7}, Right.CALL, {"stretch": 0.4, "gamma": 0.6, "room": 0.7, "flow": 0.7, "toxicity": 0.7}),
    ("zero_dte", {"stretch": 1.5}, Right.PUT, {"stretch": 0.75, "gamma": 0.6, "room": 0.8, "flow": 0.3, "toxicity": 0.3}),
    ("zero_dte", {"expected_move": 0.5, "call_wall": 750.2}, Right.CALL, {"stretch": 0.75, "gamma": 0.6, "room": 0.4, "flow": 0.7, "toxicity": 0.3}),
    ("one_dte", {}, Right.CALL, {"price": 0.25, "flow": 0.7}), ("one_dte", {"open_interest": calls_below}, Right.PUT, {"price": 0.25, "flow": 0.3}),
    ("fourteen_dte", {}, Right.CALL, {"flow": 0.8, "gamma": 0.7, "skew": 0.75, "slope": 0.75, "trend": 0.75, "informed": 0.8}),
    ("fourteen_dte", {"institutional_flow": -0.5}, Right.PUT, {"flow": 0.8, "gamma": 0.7, "skew": 0.25, "slope": 0.75, "trend": 0.25, "informed": 0.8}),
    ("moc", {}, Right.CALL, {"imbalance": 0.8, "pressure": 0.75, "gamma": 0.7, "momentum": 0.75}),
    ("moc", {"imbalance_share": -0.24}, Right.PUT, {"imbalance": 0.8, "pressure": 0.25, "gamma": 0.7, "momentum": 0.25}),
    ("wall_pin", {}, Right.CALL, {"gamma": 0.6, "distance": 1 - 0.325 / 0.7}), ("wall_pin", {"put_wall": 746.0}, Right.PUT, {"gamma": 0.6, "distance": 1 - 0.2 / 0.7}),
    ("wall_pin", {"expected_move": 0.5, "call_wall": 750.25}, Right.CALL, {"gamma": 0.6, "distance": 1 - 0.2 / 0.7})])
def test_a_proposals_confidence_is_the_pages_weights_of_its_terms_by_hand(name: str, changed: dict[str, Any], right: Right, parts: dict[str, float]) -> None:
    s, chain = SETTINGS[name], None
    if "open_interest" in changed:
        chain, changed = s.chain(open_interest=changed["open_interest"]), {}
    p = only(s.decide(s.features(**changed), chain))
    weights = {row[0].strip("`").removeprefix("weight_"): float(row[1]) for row in rows(name, "Parameters") if row[0].startswith("`weight_")}
    assert p.contract.right is right and {term: p.parts[term] for term in parts} == pytest.approx(parts, abs=1e-6) and p.parts.keys() == weights.keys()
    assert p.confidence == pytest.approx(sum(weights[term] * part for term, part in p.parts.items()), abs=1e-5)


@pytest.mark.parametrize(("name", "leaves"), [
    ("zero_dte", new_york(THURSDAY, 15, 45)), ("one_dte", new_york(FRIDAY, 11)), ("fourteen_dte", new_york(date(2026, 3, 25), 15, 30)), ("moc", new_york(FRIDAY, 15, 57)),
    ("wall_pin", new_york(THURSDAY, 15, 45))])
def test_prices_and_time_of_exit_are_those_of_its_page(name: str, leaves: datetime) -> None:
    s, page = SETTINGS[name], {row[0].strip("`"): float(row[1]) for row in rows(name, "Parameters")}
    p, chain = only(s.decide()), s.chain()
    r = row_of(chain, p.contract)
    bid, ask, tick = float(chain.bid[r]), float(chain.ask[r]), page["tick"]
    wanted = [ask * (1 + page["entry_slippage"]), ask * (1 + page["target_return"]), bid * (1 - page["stop_loss"]), ask * page["trail_fraction"]]
    assert [p.limit_price, p.target_price, p.stop_price, p.trail_amount or 0.0] == pytest.approx([round(x / tick) * tick for x in wanted], abs=1e-9)
    assert p.exit_at == leaves and abs(delta_of(chain, r) - page["target_delta"]) < page["max_delta_distance"]


@EACH
def test_each_remembers_its_strike_by_the_margin(s: Setting) -> None:
    """A target halfway between two contracts' deltas, and a little towards the one not held: only a margin of more than that keeps the one held."""
    first = only(s.decide()).contract
    chain = s.chain()
    listed, same = chain.contracts, (chain.contracts.expiry_day == (first.expiry - EPOCH).days) & (chain.contracts.is_call == (first.right is Right.CALL))
    delta = {float(listed.strike[r]): delta_of(chain, int(r)) for r in np.flatnonzero(same & (np.abs(listed.strike - first.strike) < 10.1))}
    other = min((k for k in delta if k != first.strike), key=lambda k: abs(delta[k] - delta[first.strike]))
    target = (delta[first.strike] + delta[other]) / 2 + math.copysign(0.01, delta[other] - delta[first.strike])
    strikes = [only(s.decide(held=held, target_delta=target, hold_margin=margin)).contract.strike for held, margin in ((None, 0.5), (first, 0.5), (first, 0.021), (first, 0.019))]
    assert strikes == [other, first.strike, first.strike, other]


# parameters at their bounds -------------------------------------------------------------------------------------------------------------------------------
LEAST: dict[str, float] = {
    "target_delta": 0.001, "max_delta_distance": 0.001, "hold_margin": 0, "max_relative_spread": 0.001, "min_premium": 0, "max_quote_age": 0.001, "min_size": 0, "min_open_interest": 0,
    "min_volume": 0, "entry_slippage": 0, "target_return": 0.001, "stop_loss": 0.001, "trail_fraction": 0, "tick": 0.001, "min_feature_quality": 0}
TAKEN: dict[str, list[dict[str, float]]] = {
    "zero_dte": [{"min_stretch": 0.001}, {"min_stretch": 2.0}, {"exit_minutes": 0}],
    "one_dte": [{"min_pressure": 0.001}, {"min_pressure": 0.2}, {"exposure_days": 0.001}, {"exposure_quote_age": 0.001}, {"full_zscore": 0.001}, {"vol_reversion": 0}, {"exit_minutes_after_open": 0},
                {"exit_minutes": 0}, {"min_coverage": 0}, {"min_coverage": 1}],
    "fourteen_dte": [{"min_flow": 0.001}, {"min_flow": 0.5}, {"full_flow": 1}, {"least_days": 14, "most_days": 14}, {"least_days": 0.5}, {"hold_sessions": 1}, {"hold_sessions": 250}, {"full_skew": 0.001},
                     {"full_slope": 0.001}, {"full_day_move": 0.001}, {"exit_minutes": 0.001}, {"hold_margin_days": 0}, {"usual_put_skew": -0.999}, {"usual_put_skew": 0.999}],
    "moc": [{"min_share": 0.001}, {"min_share": 0.3}, {"full_share": 1}, {"full_pressure": 0.001}, {"full_stretch": 0.001}, {"exit_minutes": 0.001}, {"min_shares": 0}, {"most_days": 0}],
    "wall_pin": [{"min_distance": 0.001}, {"min_distance": 0.999}, {"exit_minutes": 0}]}
REFUSED: dict[str, list[dict[str, float]]] = {
    "zero_dte": [{"full_stretch": math.inf}], "one_dte": [{"min_coverage": -0.001}, {"full_pressure": math.inf}], "moc": [{"min_share": 0.301}, {"full_share": 1.001}],
    "fourteen_dte": [{"most_days": math.inf}, {"hold_sessions": 251}, {"hold_sessions": 0}, {"usual_put_skew": -1}, {"full_flow": 1.001}, {"min_flow": 0.501}], "wall_pin": [{"max_distance": math.inf}]}


@EACH
def test_parameters_at_their_bounds(s: Setting) -> None:
    for given in (*({name: value} for name, value in LEAST.items()), {"target_delta": 0.999}, {"stop_loss": 0.999}, *TAKEN[s.name]):
        made = s.strategy.Parameters(**given)
        assert all(getattr(made, name) == value for name, value in given.items())
    for given in REFUSED[s.name]:
        with pytest.raises(ValueError, match=next(iter(given)) if "days" not in next(iter(given)) else "days"):
            s.strategy.Parameters(**given)


# features that are not there ------------------------------------------------------------------------------------------------------------------------------
WAYS = {"none": "not computed", "too old": "feature stale", "not a number": "no quote", "of poor data": "low quality"}
READS = [(name, row[0].strip("`"), row[1], row[2]) for name in SETTINGS for row in rows(name, "What it reads")]
AHEAD = {("zero_dte", "put_wall"): {"stretch": 1.5}, ("wall_pin", "put_wall"): {"put_wall": 746.0}, ("wall_pin", "call_wall"): {"put_wall": 743.0}}  # so that this wall is the one that matters
MOVED = {("one_dte", "vix1d_zscore"): {"pressure"}, ("fourteen_dte", "institutional_confidence"): {"flow"}, ("wall_pin", "call_wall"): {"distance"}, ("wall_pin", "put_wall"): {"distance"}}


def published(s: Setting, name: str, how: str) -> Features:
    """The features from calculators' documents, one of them not there: none, too old, not a number, or of poor data."""
    documents = []
    for n, value in s.values.items():
        this = how if n == name else ""
        if this == "not a number":
            documents.append(metric_document(s.now, "chain:GOOG:60", {n: math.nan}, {n: Reason.NO_QUOTE}))
        elif this != "none":
            documents.append(metric_document(s.now - timedelta(seconds=120.001 if this == "too old" else 0), "chain:GOOG:60", {n: value}, {}))
    f = merge("GOOG", s.now, "chain:GOOG:60", documents, 120.0)
    return replace(f, quality={name: 0.29}) if how == "of poor data" else f


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(("name", "feature", "fallback", "then"), READS)
def test_without_a_feature_it_does_what_its_page_says(name: str, feature: str, fallback: str, then: str, how: str) -> None:
    s = SETTINGS[name]
    s = replace(s, values=s.values | AHEAD.get((name, feature), {}))
    whole, answer = only(s.decide()), s.decide(published(s, feature, how))
    if fallback != Fallback.NEUTRAL:
        reason = {Fallback.SKIP: Reason.FEATURE_MISSING, Fallback.REFUSE: Reason.LOW_QUALITY}[Fallback(fallback)]
        assert skipped(answer, reason).startswith(f"{feature}: {WAYS[how]}") and then == f"no proposal: `{reason.value}`"
        return
    p, half = only(answer), {term for told in re.findall(r"terms? (.+?) (?:is|are) 0\.5", then) for term in re.findall(r"`(\w+)`", told)}
    assert p == only(s.decide(s.features(**{feature: None})))  # however it came to be missing
    moved = MOVED.get((name, feature), set())
    assert half | moved and {term for term, part in p.parts.items() if part != whole.parts[term]} == half | moved
    assert all(p.parts[term] == 0.5 for term in half)
    told = re.findall(r"neutral: (.*)\)", p.rationale)
    assert set(told[0].split(", ") if told else ()) == (half if "taken as" not in then else set())
