"""VPIN's speed in one process: ours, a pandas version with the same buckets, and orderflow-metrics, on the same tape.

`measure()` returns seconds, trades a second and ratios; run as a program it prints them.
"""

import json
import statistics
import time
from typing import Any

import numpy as np

TRADES, BUCKETS = 2_000_000, 2_000
SLOW_TRADES = 100_000  # a loop in Python, a trade at a time: its rate is measured on fewer


def _tape(trades: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(11)
    price = np.round(100 + 0.01 * np.cumsum(rng.integers(-1, 2, trades)), 2)
    size = np.round(np.exp(rng.normal(4.0, 1.0, trades))) + 1.0
    return price, size, rng.choice(np.array([-1, 1], np.int8), trades)


def pandas_signed(price: Any, size: Any, sign: Any, volume: float, n: int) -> Any:
    """VPIN by sign in pandas, buckets of exactly `volume`: running sums, the edges merged in, differences, a rolling mean."""
    import pandas as pd

    frame = pd.DataFrame({"traded": pd.Series(size).cumsum(), "net": pd.Series(size * sign).cumsum(), "sign": sign})
    edges = pd.DataFrame({"edge": volume * np.arange(1.0, int(frame["traded"].iloc[-1] / volume * (1 + 1e-12)) + 1)})
    at = pd.merge_asof(edges, frame, left_on="edge", right_on="traded", direction="forward")
    imbalance = (at["net"] - (at["traded"] - at["edge"]) * at["sign"]).diff().fillna(at["net"] - (at["traded"] - at["edge"]) * at["sign"])
    return (imbalance.abs().rolling(n).sum() / (n * volume)).to_numpy()


def pandas_grouped(price: Any, size: Any, sign: Any, volume: float, n: int) -> Any:
    """The usual way in pandas: whole trades put into buckets by their running volume, then a group-by. It does not split trades, so its numbers are near, not equal."""
    import pandas as pd

    frame = pd.DataFrame({"bucket": (pd.Series(size).cumsum() / volume).astype(int), "net": size * sign})
    return (frame.groupby("bucket", sort=False)["net"].sum().abs().rolling(n).sum() / (n * volume)).to_numpy()


def pandas_bulk(price: Any, size: Any, sign: Any, volume: float, n: int) -> Any:
    """VPIN by bulk classification in pandas with the trailing sigma."""
    import pandas as pd
    from scipy.stats import norm

    frame = pd.DataFrame({"traded": pd.Series(size).cumsum(), "price": price})
    edges = pd.DataFrame({"edge": volume * np.arange(1.0, int(frame["traded"].iloc[-1] / volume * (1 + 1e-12)) + 1)})
    close = pd.merge_asof(edges, frame, left_on="edge", right_on="traded", direction="forward")["price"]
    change = close.diff().fillna(close.iloc[0] - price[0])
    sigma = np.sqrt((change**2).rolling(250, min_periods=20).mean().shift(1))
    return (2 * pd.Series(norm.cdf(change / sigma)) - 1).abs().rolling(n).mean().to_numpy()


def _orderflow_metrics(price: Any, size: Any, volume: float, n: int) -> tuple[float, float]:
    """Processor seconds and the final VPIN of the package; making its trade objects is not counted."""
    from orderflow_metrics import Side, Trade, bucket_by_volume, vpin

    side = Side.BUY if hasattr(Side, "BUY") else "buy"
    trades = [Trade(price=p, size=s, side=side) for p, s in zip(price.tolist(), size.tolist(), strict=True)]
    started = time.process_time()
    value = vpin(bucket_by_volume(trades, volume), n)
    return time.process_time() - started, value


def _in_turn(functions: dict[str, Any], repeats: int) -> dict[str, list[float]]:
    """Processor seconds of each, run in turn, so that a busy machine is busy for all (our own, which are short, are the least of three runs)."""
    seen: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            runs = []
            while len(runs) < (1 if runs and runs[0] > 0.01 else 3):
                started = time.process_time()
                function()
                runs.append(time.process_time() - started)
            seen[name].append(min(runs))
    return {name: times[1:] for name, times in seen.items()}


def measure(repeats: int = 7) -> dict[str, Any]:
    """Trades a second of each, and how many times the others ours is. The pandas versions that split trades must agree with ours to rounding."""
    from quanticity.analytics.vpin import bulk_buckets, signed_buckets, vpin

    price, size, sign = _tape(TRADES)
    volume, n = float(size.sum()) / BUCKETS, 50
    runs = {"signed": lambda: vpin(signed_buckets(price, size, sign, volume), n), "bulk": lambda: vpin(bulk_buckets(price, size, volume), n),
            "pandas, signed": lambda: pandas_signed(price, size, sign, volume, n), "pandas, bulk": lambda: pandas_bulk(price, size, sign, volume, n),
            "pandas, signed, whole trades": lambda: pandas_grouped(price, size, sign, volume, n)}
    for kind in ("signed", "bulk"):
        if not np.allclose(runs[kind](), runs[f"pandas, {kind}"](), rtol=0, atol=1e-9, equal_nan=True):
            raise SystemExit(f"the pandas version of VPIN ({kind}) gives other numbers than ours")
    seconds = _in_turn(runs, repeats)
    few = _tape(SLOW_TRADES)
    slow = min(_orderflow_metrics(few[0], few[1], volume, n)[0] for _ in range(2))
    alone = min(_in_turn({"bulk": lambda: vpin(bulk_buckets(few[0], few[1], volume), n)}, repeats)["bulk"])

    def times(theirs: str, ours: str) -> float:
        """How many times as long, by the median of the rounds."""
        return statistics.median(a / b for a, b in zip(seconds[theirs], seconds[ours], strict=True))

    return {"trades": TRADES, "buckets": BUCKETS, "trades_per_second": {name: TRADES / min(s) for name, s in seconds.items()} | {"orderflow-metrics": SLOW_TRADES / slow},
            "times_pandas": {"signed": times("pandas, signed", "signed"), "bulk": times("pandas, bulk", "bulk"), "signed, whole trades": times("pandas, signed, whole trades", "signed")},
            "times_orderflow_metrics": {"bulk": slow / alone}}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
