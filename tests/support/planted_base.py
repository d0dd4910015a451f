"""What the planted strategies share: parameters, one choice of a contract, one proposal; and the small session that they are judged on."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, ClassVar

import numpy as np

from quanticity.core.reasons import Reason
from quanticity.core.types import Features, Proposal, Side, Skip
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.jobs.wiring import Indicators
from quanticity.market.chain import OptionChain, nanoseconds, timestamp
from quanticity.market.session import MarketSession
from quanticity.market.tape import Bars, Published

DAY = 390.0  # minutes of warm-up of what is computed since the open
NAN = float("nan")


@dataclass(frozen=True)
class Parameters:
    """`threshold`: the feature must be above it. `max_quote_age`: seconds."""

    threshold: float = 0.0
    max_quote_age: float = 300.0


class Planted:
    """Buys the call nearest the money while `FEATURE` is above the threshold. A subclass computes the feature, or chooses otherwise."""

    NAME = "planted"
    FEATURE: ClassVar[str] = "stretch"
    WARM_UP_MINUTES = 0.0
    Parameters = Parameters

    def value(self, features: Features, chain: OptionChain) -> float | None:
        return features.get(self.FEATURE)

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        listed = chain.contracts
        return int(rows[np.lexsort((listed.strike[rows], np.abs(listed.strike[rows] - chain.spot)))[0]])

    def rows(self, chain: OptionChain, parameters: Parameters) -> np.ndarray:
        return np.flatnonzero(calls(chain) & (chain.quote_age <= parameters.max_quote_age))

    def propose(self, features: Features, chain: OptionChain, parameters: Parameters, held: Any) -> tuple[Proposal, ...] | Skip:
        def skip(reason: Reason) -> Skip:
            return Skip(self.NAME, features.symbol, features.ts, reason, "", (features.snapshot_id,))

        value = self.value(features, chain)
        if value is None:
            return skip(Reason.FEATURE_MISSING)
        if not value > parameters.threshold:
            return skip(Reason.LOW_CONFIDENCE)
        rows = self.rows(chain, parameters)
        if not len(rows):
            return skip(Reason.NO_LIQUID_CONTRACT)
        return (proposal(self.NAME, features, chain, self.choose(chain, rows, held), self.parts(chain)),)

    def parts(self, chain: OptionChain) -> dict[str, float]:
        return {}


def calls(chain: OptionChain) -> np.ndarray:
    """Calls of the nearest expiry that trades for another hour, quoted on both sides."""
    listed = chain.contracts
    alive = listed.expires_at > chain.ts + 3_600_000_000_000
    near = alive & (listed.expiry_day == np.min(listed.expiry_day[alive]))
    return near & listed.is_call & (chain.bid > 0) & (chain.ask > chain.bid)


def proposal(name: str, features: Features, chain: OptionChain, row: int, parts: dict[str, float]) -> Proposal:
    contract, bid, ask = chain.contracts.contract(row), float(chain.bid[row]), float(chain.ask[row])
    return Proposal(f"pro:{name}:{contract.occ}:{chain.seq}", name, features.symbol, timestamp(chain.ts), contract, Side.BUY, ask, round(ask * 1.5, 2), round(bid * 0.6, 2),
                    contract.expires_at - timedelta(minutes=15), 0.8, parts, (features.snapshot_id,))


def column(bars: Bars, name: str, values: Any) -> Indicators:
    """One column, a row a bar, known from the bar's end."""
    return Indicators(bars.ts, {name: np.asarray(values, np.float64)})


def rolling(values: np.ndarray, count: int) -> np.ndarray:
    """Means of the last `count` values, NaN before there are so many."""
    out = np.full(len(values), NAN)
    if len(values) >= count:
        out[count - 1:] = np.lib.stride_tricks.sliding_window_view(values, count).mean(axis=1)
    return out


def small_session() -> MarketSession:
    """A simulated half day of few contracts, in which some bars are restated 20 seconds later and open interest is published three times, the last time at the close."""
    day = simulate_session(7, date(2025, 11, 28), parameters=SimulatorParameters(strikes=9, expiries=3, trades=12.0))
    return replace(day, underlying_bars=_restated(day.underlying_bars), published=_published(day))


def _restated(bars: Bars) -> Bars:
    again = np.arange(3, len(bars), 7)
    ts = np.concatenate([bars.ts, bars.ts[again] + 20_000_000_000])
    order = np.argsort(ts, kind="stable")
    factor = np.concatenate([np.ones(len(bars)), np.full(len(again), 1.0004)])
    rows = np.concatenate([np.arange(len(bars)), again])
    prices = {name: (getattr(bars, name)[rows] * factor)[order] for name in ("open", "high", "low", "close")}
    return Bars(ts[order], **prices, volume=bars.volume[rows][order])


def _published(day: MarketSession) -> Published:
    opens, closes, count = nanoseconds(day.opens), nanoseconds(day.closes), len(day.contracts)
    rng, moments = np.random.default_rng(5), (opens, opens + 90 * 60_000_000_000, closes)
    known = np.nan_to_num(day.open_interest)
    interest = [known, known * 1.02, known + rng.integers(-300, 400, count)]
    nothing = np.full(3 * count, NAN)
    return Published(np.repeat(moments, count), np.tile(np.arange(count), 3), nothing, nothing, np.concatenate(interest), *[nothing] * 6)
