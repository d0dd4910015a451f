"""Strategies that each hold one fault. `FAULTS` says which check must find it and which feature or field it must name."""

from collections import deque
from typing import Any

import numpy as np
import pandas as pd
import planted_clean
from planted_base import DAY, NAN, Parameters, Planted, column, rolling

from quanticity.core.types import Features
from quanticity.jobs.wiring import Indicators
from quanticity.market.chain import OptionChain
from quanticity.market.session import MarketSession


class FutureBar(Planted):
    """The move of the next five bars."""

    FEATURE = "next_move"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        later = np.append(close[5:], np.full(min(5, len(close)), close[-1] if len(close) else NAN))
        return column(session.underlying_bars, "next_move", later / close - 1)


class SessionNormalized(Planted):
    """Standardized with the mean and deviation of the whole session."""

    FEATURE, WARM_UP_MINUTES = "zscore", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        if len(close) < 2:
            return column(session.underlying_bars, "zscore", np.full(len(close), NAN))
        return column(session.underlying_bars, "zscore", (close - np.mean(close)) / np.std(close))


class FutureOpenInterest(Planted):
    """The open interest that is published at the close, known from the open."""

    FEATURE, WARM_UP_MINUTES = "interest_change", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        interest = np.nan_to_num(session.open_interest.copy())
        interest[session.published.index] = session.published.open_interest  # the last one wins, whenever it came
        change = np.sum(interest) / np.sum(np.nan_to_num(session.open_interest)) - 1
        return column(session.underlying_bars, "interest_change", np.full(len(session.underlying_bars), change))


class CloseBeforeTheClose(Planted):
    """How far the day's closing price is away."""

    FEATURE = "to_close"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        return column(session.underlying_bars, "to_close", close[-1] / close - 1 if len(close) else close)


class LeakingResample(Planted):
    """Five-minute means that bear the time at which their five minutes begin."""

    FEATURE, WARM_UP_MINUTES = "five_minutes", 10.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        series = pd.Series(bars.close, pd.to_datetime(bars.ts))
        means = series.resample("5min", label="left").mean().dropna().pct_change()
        return Indicators(means.index.as_unit("ns").asi8, {"five_minutes": means.to_numpy()})


class Restated(Planted):
    """The bar of each minute as it was restated later, known from when it first came."""

    FEATURE, WARM_UP_MINUTES = "minute_move", 5.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        minute = bars.ts // 60_000_000_000
        first, last = np.unique(minute, return_index=True)[1], len(minute) - 1 - np.unique(minute[::-1], return_index=True)[1]
        close = bars.close[last]
        return Indicators(bars.ts[first], {"minute_move": np.append(NAN, np.diff(close))[:len(close)]})


class ShortWarmUp(planted_clean.LongWarmUp):
    """An hour's mean, with twenty minutes of warm-up."""

    WARM_UP_MINUTES = 20.0


class PartialWindow(Planted):
    """An hour's mean, or of as many bars as there are, with no warm-up stated."""

    FEATURE = "above_hour"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "above_hour", bars.close - pd.Series(bars.close).rolling(60, min_periods=1).mean().to_numpy())


class Exponential(Planted):
    """An exponential mean from the first bar on, with no warm-up stated."""

    FEATURE = "above_mean"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "above_mean", bars.close - pd.Series(bars.close).ewm(span=15, adjust=False).mean().to_numpy())


class OffByOne(Planted):
    """The return from this bar to the next, in the row of this bar."""

    FEATURE, WARM_UP_MINUTES = "last_return", 5.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        out = np.full(len(bars), NAN)
        out[:-1] = np.diff(bars.close)
        return column(bars, "last_return", out)


class Centered(Planted):
    """A rolling mean whose window is centred."""

    FEATURE, WARM_UP_MINUTES = "above_mean", 15.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "above_mean", bars.close - pd.Series(bars.close).rolling(11, center=True, min_periods=1).mean().to_numpy())


class Backfilled(Planted):
    """What is not known yet at the open is filled with what comes first."""

    FEATURE, WARM_UP_MINUTES = "above_half_hour", 35.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "above_half_hour", pd.Series(bars.close - rolling(bars.close, 30)).bfill().to_numpy())


class DayRank(Planted):
    """The close's rank among all closes of the day."""

    FEATURE, WARM_UP_MINUTES = "rank", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        return column(session.underlying_bars, "rank", np.argsort(np.argsort(close)) / max(len(close), 1) - 0.5)


class DayRange(Planted):
    """Where the close stands between the day's low and high."""

    FEATURE, WARM_UP_MINUTES = "in_range", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        if not len(bars):
            return column(bars, "in_range", bars.close)
        return column(bars, "in_range", (bars.close - bars.low.min()) / (bars.high.max() - bars.low.min()) - 0.5)


class DayVwap(Planted):
    """Above the volume-weighted price of the whole session."""

    FEATURE, WARM_UP_MINUTES = "above_vwap", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        return column(bars, "above_vwap", bars.close - np.sum(bars.close * bars.volume) / np.sum(bars.volume) if len(bars) else bars.close)


class AsofForward(Planted):
    """The side of the next option trade, joined to each bar."""

    FEATURE, WARM_UP_MINUTES = "side", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars, trades = session.underlying_bars, session.trades
        sides = pd.DataFrame({"ts": trades.ts, "side": np.where(session.contracts.is_call[trades.index], 1.0, -1.0)})
        return column(bars, "side", pd.merge_asof(pd.DataFrame({"ts": bars.ts}), sides, on="ts", direction="forward").side)


class Interpolated(Planted):
    """Known every ten minutes, and in between on the straight line to the next."""

    FEATURE, WARM_UP_MINUTES = "off_line", 30.0

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        bars = session.underlying_bars
        line = pd.Series(bars.close).where(bars.ts // 60_000_000_000 % 10 == 0).interpolate()
        return column(bars, "off_line", bars.close - line.to_numpy())


class ZeroPhase(Planted):
    """Smoothed without delay: the slow part of the day's Fourier transform."""

    FEATURE, WARM_UP_MINUTES = "above_smooth", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        if len(close) < 12:
            return column(session.underlying_bars, "above_smooth", np.full(len(close), NAN))
        parts = np.fft.rfft(close)
        parts[6:] = 0.0
        return column(session.underlying_bars, "above_smooth", close - np.fft.irfft(parts, len(close)))


class BestOfTheDay(Planted):
    """The look-back that would have earned most on the day."""

    FEATURE, WARM_UP_MINUTES = "move", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = pd.Series(session.underlying_bars.close)
        best = max((5, 10, 20, 30), key=lambda count: float((np.sign(close.diff(count)) * (close.shift(-1) - close)).sum()))
        return column(session.underlying_bars, "move", close.diff(best).to_numpy())


class WritesIntoTheSession(Planted):
    """Subtracts the mean from the closes, in the session's own memory."""

    FEATURE, WARM_UP_MINUTES = "above_mean", DAY

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        close = session.underlying_bars.close
        close -= np.mean(close) if len(close) else 0.0
        return column(session.underlying_bars, "above_mean", close)


class Peeks(Planted):
    """Keeps the session it was given for its indicators, and looks up the next prices there when it is asked."""

    FEATURE = "nothing"

    def __init__(self) -> None:
        self.session: MarketSession | None = None

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        self.session = session
        return Indicators(np.empty(0, np.int64), {})

    def value(self, features: Features, chain: OptionChain) -> float | None:
        assert self.session is not None
        bars = self.session.underlying_bars
        at = int(np.searchsorted(bars.ts, chain.ts, side="right")) - 1
        return float(bars.close[min(at + 10, len(bars) - 1)] - bars.close[at]) if at >= 0 else None


_SESSIONS: dict[str, Any] = {}


class PeeksInItsModule(Planted):
    """The same, with the first session it ever saw kept in its module."""

    FEATURE = "nothing"

    def indicators(self, session: MarketSession, parameters: Parameters) -> Indicators:
        _SESSIONS.setdefault(f"{session.symbol} {session.date}", session)
        return Indicators(np.empty(0, np.int64), {})

    def value(self, features: Features, chain: OptionChain) -> float | None:
        (session,) = _SESSIONS.values()
        return float(session.underlying_bars.close[-1] - chain.spot) if len(session.underlying_bars) else None


class FirstRow(Planted):
    """The first of the calls that can be traded, as they happen to stand in the chain."""

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        return int(rows[0])


class TiedRows(Planted):
    """The call with the most volume; of several the first in the chain."""

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        return int(rows[np.argmax(np.minimum(chain.volume[rows], 5.0))])


class Flickers(Planted):
    """The call whose quote ends in the luckiest digits, whatever it holds."""

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        strike = chain.contracts.strike[rows]
        hairs = np.round((chain.bid[rows] + chain.ask[rows]) * 1e6).astype(np.int64) * 2_654_435_761 % 101
        return int(rows[np.lexsort((strike, hairs))[0]])


class TakesStale(Planted):
    """The call of any expiry whose quote is the oldest, the highest of these."""

    def rows(self, chain: OptionChain, parameters: Parameters) -> np.ndarray:
        alive = chain.contracts.expires_at > chain.ts + 3_600_000_000_000
        return np.flatnonzero(alive & chain.contracts.is_call & (chain.bid > 0) & (chain.ask > chain.bid))

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        return int(rows[np.lexsort((-chain.contracts.strike[rows], -chain.quote_age[rows]))[0]])


class CountsStale(Planted):
    """Chooses among fresh quotes, but its confidence counts all."""

    def parts(self, chain: OptionChain) -> dict[str, float]:
        return {"premium": round(float(np.nansum(np.where(chain.bid > 0, chain.mid, 0.0))), 6)}


class Random(Planted):
    """Throws a coin."""

    def value(self, features: Features, chain: OptionChain) -> float | None:
        return float(np.random.default_rng().standard_normal())


class CountsItsCalls(Planted):
    """An average over all its calls since the open, with no warm-up stated."""

    def __init__(self) -> None:
        self.mean: float | None = None

    def value(self, features: Features, chain: OptionChain) -> float | None:
        if chain.spot != chain.spot:
            return None
        self.mean = chain.spot if self.mean is None else 0.8 * self.mean + 0.2 * chain.spot
        return chain.spot - self.mean


class EverySecondCall(Planted):
    """Answers every second time it is asked, by a count of its own."""

    def __init__(self) -> None:
        self.calls = 0

    def value(self, features: Features, chain: OptionChain) -> float | None:
        self.calls += 1
        return float(self.calls % 2)


class AveragesItsCalls(Planted):
    """An average over its last calls, with the warm-up that it needs: right in a backtest, and after a restart half an hour of silence."""

    WARM_UP_MINUTES = 30.0

    def __init__(self) -> None:
        self.spots: deque[float] = deque(maxlen=7)

    def value(self, features: Features, chain: OptionChain) -> float | None:
        self.spots.append(chain.spot)
        return chain.spot - float(np.mean(self.spots)) if len(self.spots) == 7 else None


_BOUGHT: list[int] = []


class CountsInItsModule(Planted):
    """At most five proposals of one contract a day, by a list in its module."""

    def choose(self, chain: OptionChain, rows: np.ndarray, held: Any) -> int:
        _BOUGHT.append(1)
        listed = chain.contracts
        order = rows[np.lexsort((listed.strike[rows], np.abs(listed.strike[rows] - chain.spot)))]
        return int(order[min(len(_BOUGHT) // 5, len(order) - 1)])


FAULTS: dict[str, tuple[str, str]] = {
    "FutureBar": ("look_ahead", "next_move"), "SessionNormalized": ("look_ahead", "zscore"), "FutureOpenInterest": ("look_ahead", "interest_change"),
    "CloseBeforeTheClose": ("look_ahead", "to_close"), "LeakingResample": ("look_ahead", "five_minutes"), "Restated": ("look_ahead", "minute_move"),
    "ShortWarmUp": ("warm_up", "above_hour"), "PartialWindow": ("warm_up", "above_hour"), "Exponential": ("warm_up", "above_mean"),
    "OffByOne": ("look_ahead", "last_return"), "Centered": ("look_ahead", "above_mean"),
    "Backfilled": ("look_ahead", "above_half_hour"), "DayRank": ("look_ahead", "rank"), "DayRange": ("look_ahead", "in_range"), "DayVwap": ("look_ahead", "above_vwap"),
    "AsofForward": ("look_ahead", "side"), "Interpolated": ("look_ahead", "off_line"), "ZeroPhase": ("look_ahead", "above_smooth"), "BestOfTheDay": ("look_ahead", "move"),
    "WritesIntoTheSession": ("determinism", "underlying_bars.close"),
    "Peeks": ("look_ahead", "answer"), "PeeksInItsModule": ("look_ahead", "answer"), "FirstRow": ("contract_choice", "contract"), "TiedRows": ("contract_choice", "contract"),
    "Flickers": ("contract_choice", "contract"), "TakesStale": ("stale_quotes", "contract"), "CountsStale": ("stale_quotes", "parts.premium"),
    "Random": ("determinism", "answer"), "CountsItsCalls": ("keeps_state", "answer"),
    "EverySecondCall": ("keeps_state", "answer"), "AveragesItsCalls": ("keeps_state", "answer"), "CountsInItsModule": ("keeps_state", "contract"),
}
