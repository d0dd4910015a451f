"""The analytics job over many symbols in real time: does it keep up, and how late is it?

`measure()` starts a state server, a feed that publishes every symbol's chain once a cadence, and worker processes that split the symbols between them; it gives the lags of
all steps (from the moment a step is due to its end), skips and busy time. `python tests/benchmarks/workers.py` prints them: 50 simulated symbols of 2,000 contracts, every
second, on two workers. `worker` as the first argument is one of those processes.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

for _name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

from quanticity.core.config import Config, load_config
from quanticity.core.keys import analytics, options_chain
from quanticity.core.logs import configure_logging
from quanticity.feeds.simulator import DEMO_DAY, SimulatorParameters, stream
from quanticity.jobs.workers import run_worker
from quanticity.market.chain import Contracts, OptionChain, encode_chain, nanoseconds, timestamp
from quanticity.market.session import ChainState
from quanticity.market.tape import Bars, empty
from quanticity.store.state import State, connect

SECOND = 1_000_000_000
DAY_NS = 86_400 * SECOND
PREFIX = "bench:"
WARM = 100  # seconds of the simulated session that lie before the first snapshot: most contracts are quoted by then


def symbol_names(count: int) -> list[str]:
    """S00, S01 and so on."""
    return [f"S{i:02}" for i in range(count)]


class Simulated:
    """The first five minutes of a simulated root of about so many contracts, second by second, over and over."""

    def __init__(self, seed: int, contracts: int) -> None:
        expiries = max(1, min(8, contracts // 200))
        strikes = max(2, contracts // (4 * expiries))
        p = SimulatorParameters(spot=100.0 + 20 * seed, strike_step=0.5, strikes=min(strikes, round((100.0 + 20 * seed) / 0.5) - 1), expiries=expiries)
        self.contracts, parts = stream(seed, DEMO_DAY, f"S{seed:02}", p, 1.0, 1.0)
        self.part = next(iter(parts))
        self.opens = int(self.part.times[0]) - int(self.part.times[0]) % SECOND
        rng = np.random.default_rng(seed)
        interest = rng.integers(0, 3_000, len(self.contracts)).astype(np.float64)
        self.state = ChainState(self.contracts, interest, np.full(len(self.contracts), np.nan), 0.04, 0.0)
        self.at = 0

    def chain(self, second: int) -> OptionChain:
        """The chain so many seconds into the session; seconds never fall."""
        now = self.opens + (WARM + second % (290 - WARM)) * SECOND
        if now < self.at:
            self.at = 0
        tapes = (self.part.quotes, self.part.trades, self.part.underlying_quotes)
        rows = [(int(np.searchsorted(t.ts, self.at, side="right")), int(np.searchsorted(t.ts, now, side="right"))) for t in tapes]
        quotes, trades, underlying = (t.rows(*r) for t, r in zip(tapes, rows))
        self.state.apply(quotes, trades, empty(Bars), underlying)
        self.at = now
        return self.state.snapshot(now, *self.state.spot())


def shifted(chain: OptionChain, symbol: str, now: int) -> OptionChain:
    """The same chain under another name and as of another moment: all of its times moved alike (expiries to the minute)."""
    delta = now - chain.ts
    c = chain.contracts
    listed = Contracts(symbol, symbol, c.strike, c.expiry_day + delta // DAY_NS, c.expires_at + delta, c.is_call, c.multiplier, c.exercise, c.settlement)
    return dataclasses.replace(chain, ts=now, contracts=listed, quote_time=np.where(chain.quote_time > 0, chain.quote_time + delta, 0))


def garbage(blob: bytes, number: int) -> bytes:
    """A snapshot spoilt in one of many ways."""
    head, _, body = blob.partition(b"\n")
    rng = np.random.default_rng(number)
    matrix = np.frombuffer(body, "<f4").reshape(13, -1).copy()
    kind = number % 9
    if kind == 0:
        return blob[:-7]
    if kind == 1:
        return rng.bytes(4_000)
    if kind == 2:
        return b"{}\n"
    if kind == 3:
        return b""
    if kind == 4:
        return head.replace(b'"rows":', b'"rows":9') + b"\n" + body
    if kind == 5:
        matrix[rng.integers(0, 13, 400), rng.integers(0, matrix.shape[1], 400)] = rng.choice([np.inf, -np.inf, np.nan, 1e38, -1e38, 0.0], 400)
    elif kind == 6:
        matrix[:] = np.inf
    elif kind == 7:
        matrix[:] = rng.standard_normal(matrix.shape) * 1e30
    else:
        head = head.replace(b'"spot":', b'"spot":-')
    return head + b"\n" + matrix.tobytes()


class Feed:
    """Publishes the chains of all symbols; `bad` ones are spoilt. A few simulated roots are shown under many names where `distinct` is smaller than their number."""

    def __init__(self, state: State, symbols: Sequence[str], contracts: int, distinct: int | None = None, bad: Sequence[str] = ()) -> None:
        self.state, self.symbols, self.bad = state, list(symbols), set(bad)
        self.roots = [Simulated(seed, contracts) for seed in range(min(distinct or len(symbols), len(symbols)))]
        self.number = 0

    def publish(self, now: int) -> float:
        """Publish every symbol's chain as of `now`; seconds that it took."""
        started = time.perf_counter()
        chains = [root.chain(self.number) for root in self.roots]
        with self.state.pipeline() as tx:
            for i, symbol in enumerate(self.symbols):
                blob = encode_chain(shifted(chains[i % len(chains)], symbol, now))
                tx.set(options_chain(symbol), garbage(blob, self.number) if symbol in self.bad else blob)
        self.number += 1
        return time.perf_counter() - started


def configuration(symbols: Sequence[str], cadence: float) -> Config:
    """Every symbol at one cadence, at any hour, in five sectors."""
    return load_config(environ={}, overrides={"analytics.symbols": list(symbols), "analytics.cadence_seconds": cadence, "analytics.regular_hours_only": False,
                                              "analytics.sectors": {s: f"sector_{i % 5}" for i, s in enumerate(symbols)}})


def work(url: str, prefix: str, name: str, symbols: Sequence[str], cadence: float, until: float) -> dict[str, Any]:
    """One worker in this process, until a moment (seconds since 1970); what it did."""
    state = connect(url, prefix=prefix)
    report = run_worker(configuration(symbols, cadence), state=state, name=name, until=datetime.fromtimestamp(until, UTC))
    state.close()
    lags = report.lag._values[:min(report.lag.count, len(report.lag._values))]
    return {**report.fields(0), "name": name, "busy_seconds": report.busy, "lags": lags.tolist(), "start_median": report.start_lag.quantile(0.5)}


def start_worker(url: str, prefix: str, name: str, symbols: Sequence[str], cadence: float, until: float) -> "subprocess.Popen[bytes]":
    """One worker in a process of its own."""
    arguments = ["worker", url, prefix, name, ",".join(symbols), str(cadence), str(until)]
    return subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE)


def ticks(cadence: float, until: float) -> Iterator[int]:
    """The moments (nanoseconds UTC) of a grid until a time, waited for; late ones are skipped."""
    moment = time.time() // cadence * cadence + cadence
    while moment < until:
        time.sleep(max(0.0, moment - time.time()))
        yield int(moment * SECOND)
        moment = max(moment + cadence, time.time() // cadence * cadence)


def measure(symbols: int = 50, contracts: int = 2_000, workers: int = 2, cadence: float = 1.0, seconds: float = 30.0, distinct: int | None = None) -> dict[str, Any]:
    """Run it for so long, and measure."""
    from quanticity.store.server import EmbeddedServer

    names = symbol_names(symbols)
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder) / "server", append_only=False) as server:
        state = connect(server.url, prefix=PREFIX)
        feed = Feed(state, names, contracts, distinct)
        feed.publish(nanoseconds(datetime.now(UTC)))
        size = len(feed.roots[0].contracts)
        until = time.time() + seconds
        running = [start_worker(server.url, PREFIX, f"w{i}", names, cadence, until) for i in range(workers)]
        spent = [feed.publish(now) for now in ticks(cadence, until)]
        reports = [json.loads(child.communicate(timeout=60)[0]) for child in running]
        ages = [(datetime.now(UTC) - timestamp(state.get_json(analytics(s, "exposure"))["ts"])).total_seconds() for s in names]
        state.close()
    lags = np.concatenate([r.pop("lags") for r in reports])
    steps, skipped = (sum(r[key] for r in reports) for key in ("steps", "skipped"))
    return {"symbols": symbols, "contracts": size, "workers": workers, "cadence": cadence, "seconds": seconds, "steps": steps, "skipped": skipped, "failures": sum(r["failures"] for r in reports),
            "lag_ms": {name: float(1e3 * np.quantile(lags, q)) for name, q in (("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("worst", 1.0))},
            "busy": [r["busy_seconds"] / seconds for r in reports], "step_ms": 1e3 * sum(r["busy_seconds"] for r in reports) / max(steps, 1),
            "feed_ms": 1e3 * float(np.median(spent)), "oldest_result_seconds": max(ages), "reports": reports}


def verdicts(m: dict[str, Any]) -> list[tuple[str, bool]]:
    """What must hold for it to keep up."""
    return [(f"{m['symbols']} symbols of {m['contracts']:,} contracts every {m['cadence']:g} s on {m['workers']} workers: at most 1 step in 100 skipped", m["skipped"] <= 0.01 * m["steps"]),
            (f"99 of 100 steps end within their cadence ({m['lag_ms']['p99']:.0f} ms)", m["lag_ms"]["p99"] < 1e3 * m["cadence"]),
            ("no step failed", m["failures"] == 0)]


def show(m: dict[str, Any]) -> None:
    """The result as lines."""
    lag = m["lag_ms"]
    print(f"{m['symbols']} symbols of {m['contracts']:,} contracts, every {m['cadence']:g} s for {m['seconds']:g} s on {m['workers']} workers and {os.cpu_count()} cores")
    print(f"  steps {m['steps']:,}, skipped {m['skipped']}, failed {m['failures']}; a step takes {m['step_ms']:.2f} ms, the feed {m['feed_ms']:.0f} ms a round")
    print(f"  lag from a step's moment to its end: {lag['median']:.1f} ms at the median, {lag['p90']:.1f} at p90, {lag['p99']:.1f} at p99, {lag['worst']:.1f} at worst")
    print(f"  workers were busy {', '.join(f'{b:.0%}' for b in m['busy'])} of the time; the oldest result at the end was {m['oldest_result_seconds']:.2f} s old")


def main() -> int:
    """Measure, print, judge."""
    if sys.argv[1:2] == ["worker"]:
        configure_logging("warning")  # each symbol's first regime is news, but not here
        _, url, prefix, name, symbols, cadence, until = sys.argv[1:]
        print(json.dumps(work(url, prefix, name, symbols.split(","), float(cadence), float(until))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--contracts", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cadence", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--distinct", type=int, default=None, help="simulated roots, shown under as many names as there are symbols [default: all distinct]")
    parser.add_argument("--strict", action="store_true")
    a = parser.parse_args()
    m = measure(a.symbols, a.contracts, a.workers, a.cadence, a.seconds, a.distinct)
    show(m)
    for text, fine in verdicts(m):
        print(f"  {'met   ' if fine else 'MISSED'}  {text}")
    return 1 if a.strict and not all(fine for _, fine in verdicts(m)) else 0



if __name__ == "__main__":
    sys.exit(main())
