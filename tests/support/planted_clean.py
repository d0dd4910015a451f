"""The honest twin of each planted fault: the same idea, done right. No check may find anything in them."""

from typing import Any

import numpy as np
import pandas as pd
from planted_base import DAY, NAN, Parameters, Planted, column, rolling

from quanticity.core.types import Features
from quanticity.jobs.wiring import Indicators
from quanticity.market.chain import OptionChain, nanoseconds
from quanticity.market.session import MarketSession


class PastBar(Planted):
    """The move of the last five bars."""

    FEATURE, WARM_UP_MINUTES = "last_move", 6.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        earlier = np.append(np.full(min(5, len(close)), NAN), close[:-5])
        return column(session.underlying_bars, "last_move", close / earlier - 1)


class RunningNormalized(Planted):
    """Standardized with the mean and deviation so far."""

    FEATURE, WARM_UP_MINUTES = "zscore", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = pd.Series(session.underlying_bars.close)
        return column(session.underlying_bars, "zscore", ((close - close.expanding().mean()) / close.expanding(2).std()).to_numpy())


class PublishedOpenInterest(Planted):
    """Open interest as published so far."""

    FEATURE, WARM_UP_MINUTES = "interest_change", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        published, base = session.published, float(np.nansum(session.open_interest))
        interest, out, moments = np.nan_to_num(session.open_interest.copy()), [], np.unique(session.published.ts)
        for moment in moments.tolist():
            now = published.where(published.ts == moment)
            interest[now.index] = now.open_interest
            out.append(interest.sum() / base - 1)
        return Indicators(moments, {"interest_change": np.array(out)})


class DistanceFromOpen(Planted):
    """How far the day's first price is away."""

    FEATURE, WARM_UP_MINUTES = "from_open", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        return column(session.underlying_bars, "from_open", close / close[0] - 1 if len(close) else close)


class FinishedResample(Planted):
    """Five-minute means that bear the time at which their five minutes end."""

    FEATURE, WARM_UP_MINUTES = "five_minutes", 15.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        series = pd.Series(bars.close, pd.to_datetime(bars.ts))
        means = series.resample("5min", label="right", closed="right").mean().dropna().pct_change()
        return Indicators(means.index.as_unit("ns").asi8, {"five_minutes": means.to_numpy()})


class FirstVersion(Planted):
    """The bar of each minute as it first came."""

    FEATURE, WARM_UP_MINUTES = "minute_move", 5.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        first = np.unique(bars.ts // 60_000_000_000, return_index=True)[1]
        close = bars.close[first]
        return Indicators(bars.ts[first], {"minute_move": np.append(NAN, np.diff(close))[:len(close)]})


class LongWarmUp(Planted):
    """An hour's mean, with an hour of warm-up."""

    FEATURE, WARM_UP_MINUTES = "above_hour", 60.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "above_hour", bars.close / rolling(bars.close, 60) - 1)


class WaitsForAnHour(LongWarmUp):
    """The same with no warm-up stated: it is missing until there is an hour."""

    WARM_UP_MINUTES = 0.0


class FailsBeforeAnHour(Planted):
    """An hour's mean by a function that raises where there are fewer bars: then nothing is known, as in the first hour of the whole day."""

    FEATURE = "above_hour"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        means = np.lib.stride_tricks.sliding_window_view(bars.close, 60).mean(axis=1)
        return Indicators(bars.ts[59:], {"above_hour": bars.close[59:] - means})


class InStep(Planted):
    """The return to this bar, in the row of this bar."""

    FEATURE, WARM_UP_MINUTES = "last_return", 5.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "last_return", np.append(NAN, np.diff(bars.close))[:len(bars)])


class Trailing(Planted):
    """A rolling mean that trails, and an exponential one with a warm-up of many half-lives."""

    FEATURE, WARM_UP_MINUTES = "above_mean", 60.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        close = pd.Series(bars.close)
        return Indicators(bars.ts, {"above_mean": (close - close.rolling(11, min_periods=1).mean()).to_numpy(), "exponential": close.ewm(halflife=5).mean().to_numpy()})


class ForwardFilled(Planted):
    """What is not known stays as it was known last; before that it is missing."""

    FEATURE, WARM_UP_MINUTES = "quarter_hour", 40.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        minute = bars.ts // 60_000_000_000
        every = np.where(minute % 15 == 0, np.append(NAN, np.diff(bars.close))[:len(bars)], NAN)
        return column(bars, "quarter_hour", pd.Series(every).ffill().to_numpy())


class RankSoFar(Planted):
    """The close's rank among the closes so far."""

    FEATURE, WARM_UP_MINUTES = "rank", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        return column(session.underlying_bars, "rank", pd.Series(session.underlying_bars.close).expanding().rank(pct=True).to_numpy() - 0.5)


class RangeSoFar(Planted):
    """Where the close stands between the low and the high so far."""

    FEATURE, WARM_UP_MINUTES = "in_range", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        low, high = np.minimum.accumulate(bars.low), np.maximum.accumulate(bars.high)
        with np.errstate(invalid="ignore", divide="ignore"):
            return column(bars, "in_range", np.where(high > low, (bars.close - low) / (high - low), NAN) - 0.5)


class VwapSoFar(Planted):
    """Above the volume-weighted price so far."""

    FEATURE, WARM_UP_MINUTES = "above_vwap", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "above_vwap", bars.close - np.cumsum(bars.close * bars.volume) / np.cumsum(bars.volume))


class SinceTheOpen(VwapSoFar):
    """The same with no warm-up stated: a session has one open."""

    WARM_UP_MINUTES = 0.0


class BelowTheHigh(Planted):
    """How far the running high is away, with no warm-up stated: a later start sees the high too on a day that rises."""

    FEATURE = "below_high"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        return column(session.underlying_bars, "below_high", close - np.maximum.accumulate(close) + 0.5)


class AtTheHigh(Planted):
    """Whether this is the running high, with no warm-up stated."""

    FEATURE = "at_high"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        return column(session.underlying_bars, "at_high", close >= np.maximum.accumulate(close))


class OpeningRange(Planted):
    """Above the high of the first half hour, missing until that is over."""

    FEATURE = "above_range"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars, over = session.underlying_bars, nanoseconds(session.opens) + 30 * 60_000_000_000
        early = bars.ts <= over
        return column(bars, "above_range", np.where(bars.ts >= over, bars.close - np.max(bars.high[early], initial=0.0), NAN))


class HasTouched(Planted):
    """Whether the price was a thousandth above the first one at any time, with no warm-up stated."""

    FEATURE = "touched"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        high = session.underlying_bars.high
        return column(session.underlying_bars, "touched", np.logical_or.accumulate(high > 1.001 * high[0]) if len(high) else high)


class SinceTheHigh(Planted):
    """Twenty bars less those since the running high, with no warm-up stated."""

    FEATURE = "recent_high"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close, number = session.underlying_bars.close, np.arange(len(session.underlying_bars))
        last = np.maximum.accumulate(np.where(close >= np.maximum.accumulate(close), number, 0))
        return column(session.underlying_bars, "recent_high", 20 - (number - last))


class KnowsTheHours(Planted):
    """Not in the last hour, whenever that is: the close of a half day is known in the morning."""

    FEATURE = "before_the_last_hour"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "before_the_last_hour", nanoseconds(session.closes) - bars.ts > 3_600_000_000_000)


class AsofBackward(Planted):
    """The side of the last option trade, joined to each bar."""

    FEATURE, WARM_UP_MINUTES = "side", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars, trades = session.underlying_bars, session.trades
        sides = pd.DataFrame({"ts": trades.ts, "side": np.where(session.contracts.is_call[trades.index], 1.0, -1.0)}).drop_duplicates("ts", keep="last")
        return column(bars, "side", pd.merge_asof(pd.DataFrame({"ts": bars.ts}), sides, on="ts").side)


class LooksBack(Planted):
    """Keeps the session it was given for its indicators, and looks up the last prices there when it is asked."""

    FEATURE, WARM_UP_MINUTES = "nothing", 20.0

    def __init__(self) -> None:
        self.session: MarketSession | None = None

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        self.session = session
        return Indicators(np.empty(0, np.int64), {})

    def value(self, features: Features, chain: OptionChain) -> float | None:
        assert self.session is not None
        bars = self.session.underlying_bars
        at = int(np.searchsorted(bars.ts, chain.ts, side="right")) - 1
        return float(bars.close[at] - bars.close[at - 10]) if at >= 10 else None


_KEPT: dict[tuple[int, int], Indicators] = {}


class KeepsInItsModule(Planted):
    """Keeps what it computed in its module, under what it was computed from."""

    FEATURE, WARM_UP_MINUTES = "last_return", 5.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        key = (len(bars), hash(bars.close.tobytes()))
        if key not in _KEPT:
            _KEPT[key] = column(bars, "last_return", np.append(NAN, np.diff(bars.close))[:len(bars)])
        return _KEPT[key]


class NearestTheMoney(Planted):
    """The call nearest the money; of two equally near the lower strike."""


class MostVolume(Planted):
    """The call with the most volume; of several the one nearest the money, then the lower strike. Keeps what it holds while that can be traded."""

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        listed = chain.contracts
        kept = [row for row in rows.tolist() if held is not None and listed.contract(row) == held]
        order = np.lexsort((listed.strike[rows], np.abs(listed.strike[rows] - chain.spot), -np.minimum(chain.volume[rows], 5.0)))
        return kept[0] if kept else int(rows[order[0]])


class Steadies(Planted):
    """Of the calls near the money the one with the tightest quote, unless what it holds can still be traded."""

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        listed = chain.contracts
        kept = [row for row in rows.tolist() if held is not None and listed.contract(row) == held]
        return kept[0] if kept else int(rows[np.lexsort((listed.strike[rows], chain.ask[rows] - chain.bid[rows]))[0]])


class TakesFresh(Planted):
    """The call with the highest strike that was quoted in the last five minutes."""

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        return int(rows[np.argmax(chain.contracts.strike[rows])])


class CountsFresh(Planted):
    """Its confidence counts fresh quotes only."""

    def parts(self, chain: OptionChain) -> dict[str, float]:
        fresh = (chain.quote_age <= 300.0) & (chain.bid > 0)
        return {"premium": round(float(np.nansum(np.where(fresh, chain.mid, 0.0))), 6)}


class Seeded(Planted):
    """Throws the same coin for the same snapshot."""

    def value(self, features: Features, chain: OptionChain) -> float | None:
        return float(np.random.default_rng(chain.ts % 2**32).standard_normal())


class EverySecondDecision(Planted):
    """Answers at every second moment, by the snapshot's own time."""

    def value(self, features: Features, chain: OptionChain) -> float | None:
        return float(chain.ts // 240_000_000_000 % 2)


class AveragesItsBars(Planted):
    """The average over the last half hour as an indicator: a restarted process computes it again from the data."""

    FEATURE, WARM_UP_MINUTES = "above_mean", 30.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        first = np.flatnonzero(np.diff(bars.ts // 60_000_000_000, prepend=-1))  # not the restated ones
        return Indicators(bars.ts[first], {"above_mean": bars.close[first] - rolling(bars.close[first], 30)})


class Caches(Planted):
    """Keeps what it has computed, but only what it would compute again."""

    def __init__(self) -> None:
        self.kept: dict[int, float] = {}

    def value(self, features: Features, chain: OptionChain) -> float | None:
        return self.kept.setdefault(chain.ts, features.get("stretch") or 0.0)


class SteadyResample(FinishedResample):
    """The same with no warm-up stated."""

    WARM_UP_MINUTES = 0.0


CLEAN = tuple(name for name, kind in list(globals().items()) if isinstance(kind, type) and issubclass(kind, Planted) and kind is not Planted)
