"""A sweep of 1,000 sets of exits over the day's 0DTE options, beside vectorbt with its Rust engine doing the same entries and exits; and a backtest of that day.

`measure()` gives what was measured and verdicts; `python tests/benchmarks/sweep.py` prints it. Without the recorded GOOG day a simulated one is taken.

vectorbt has no bid and ask, latency, expiry or settlement. To make both do the same, it is given bids as its prices with the ask in the bar of the entry, the exits by time as signals, shares whose prices come out on
the price grid, and ours a latency of 0; what is still held at the end is compared as held. Then trade by trade the exits are the same but where the bid **equals** a stop or target: there vectorbt's floating-point product may lie beside
the price by one part in 10^16, and the trade moves. The differences are counted, and each must be such a tie. Its arrays are prepared before the clock runs.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

for _name in ("NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

PROJECT = Path(__file__).parent.parent.parent
SETS, PARTS = 1000, 25  # entries a call of vectorbt: its arrays have a column an entry and set
COLD = """
import sys, time
from pathlib import Path
from datetime import date
from quanticity.research.exit_panel import entries_every, exit_panel
from quanticity.research.exit_sweep import exit_random, exit_statistics, sweep_exits
if sys.argv[1] == "sim":
    from quanticity.feeds.simulator import simulate_session
    session = simulate_session(7)
else:
    from quanticity.feeds.lean import load_session
    session = load_session(Path(sys.argv[1]), "GOOG", date(2015, 12, 24))
panel = exit_panel(session)
print(exit_statistics(sweep_exits(panel, entries_every(panel, slippage=None), exit_random(1000, 1)))["total"].max())
"""


def session_of(data: Path | None) -> Any:
    """The recorded GOOG day, or a simulated one."""
    if data is None:
        from quanticity.feeds.simulator import simulate_session

        return simulate_session(7)
    from quanticity.feeds.lean import load_session

    return load_session(data, "GOOG", date(2015, 12, 24))


def whole_percents(seed: int) -> Any:
    """1,000 sets of exits whose shares are whole percents, so that a target of a price in cents is a price in units (no trails: vectorbt's are shares of the peak)."""
    from quanticity.research.exit_sweep import ExitSets

    random = np.random.default_rng(seed)
    return ExitSets(random.integers(10, 200, SETS) * 100, random.integers(10, 90, SETS) * 100, np.zeros(SETS), random.integers(10, 240, SETS))


def bid_for(panel: Any) -> Any:
    """The panel with the last bid standing where there is none: vectorbt's columns have a price in each bar."""
    from dataclasses import replace

    last = np.maximum.accumulate(np.where(panel.bid > 0, np.arange(panel.steps), 0), axis=1)
    return replace(panel, bid=np.take_along_axis(panel.bid, last, axis=1))


def instant(panel: Any, count: int) -> Any:
    """At most `count` entries at the ask in the step they are decided on, stops and targets measured from that ask."""
    from quanticity.research.exit_panel import Entries, entries_every

    found = entries_every(panel, slippage=None)
    rows = np.linspace(0, len(found) - 1, min(count, len(found))).astype(int)
    return Entries(found.contract[rows], found.step[rows], found.ask[rows], found.ask[rows], found.limit[rows], found.good[rows])


def vectorbt_call(vbt: Any, panel: Any, entries: Any, sets: Any, rows: np.ndarray) -> Any:
    """The call of vectorbt for some entries and all sets: a column an entry and set, sets fastest."""
    m, n = len(sets), len(rows)
    c, s = entries.contract[rows], entries.step[rows]
    bars = int(panel.ends.max())
    close = np.repeat(panel.bid[c, :bars].T / 1e4, m, axis=1)
    before = np.arange(bars)[:, None] < np.repeat(s, m)[None, :]
    close = np.where(before & (close <= 0), np.nan, close)
    ask = np.repeat(entries.ask[rows] / 1e4, m)
    at = np.repeat(s, m)
    price = close.copy()
    price[at, np.arange(m * n)] = ask
    buys = np.zeros(close.shape, bool)
    buys[at, np.arange(m * n)] = True
    sells = np.arange(bars)[:, None] >= (np.tile(sets.steps, n) + at)[None, :]
    stop, target = np.tile(sets.stop / 1e4, n)[None, :], np.tile(sets.target / 1e4, n)[None, :]
    return lambda: vbt.Portfolio.from_signals(
        close, buys, sells, price=price, size=1.0, init_cash=1e9, sl_stop=stop, tp_stop=target, stop_entry_price="fillprice", stop_exit_price="close",
        upon_stop_exit="close", accumulate=False, engine="rust", max_orders=2 * m * n, freq="1min")


def exits_of(portfolio: Any, columns: int) -> np.ndarray:
    """The bar of each column's sale, -1 where there was none."""
    records = portfolio.order_records
    out = np.full(columns, -1)
    sold = records[records["side"] == 1]
    out[sold["col"]] = sold["idx"]
    return out


def fastest(call: Any, repeats: int) -> tuple[float, Any]:
    """The least processor seconds of several calls, and what the last gave."""
    best, result = float("inf"), None
    for _ in range(repeats):
        started = time.process_time()
        result = call()
        best = min(best, time.process_time() - started)
    return best, result


def against_vectorbt(panel: Any, sets: Any, count: int, repeats: int) -> dict[str, Any]:
    """Both over the same entries: seconds, rates, and how many exits differ."""
    from quanticity.research.exit_sweep import sweep_exits

    panel = bid_for(panel)
    entries = instant(panel, count)
    bars, m, n = int(panel.ends.max()), len(sets), len(entries)
    sweep_exits(panel, entries, sets, latency_steps=0, tick=1)
    ours, swept = fastest(lambda: sweep_exits(panel, entries, sets, latency_steps=0, tick=1), repeats + 4)
    mine = np.where(swept.how < 3, swept.exit_step, -1).T.ravel()
    found: dict[str, Any] = {"entries": n, "sets": m, "bars": bars, "combination_bars": n * m * bars, "seconds": ours, "rate": n * m * bars / ours}
    try:
        import vectorbt as vbt
        import vectorbt_rust  # noqa: F401
    except ImportError as error:
        return found | {"vectorbt": f"not available here ({error})"}
    spent, theirs = 0.0, []
    for start in range(0, n, PARTS):
        rows = np.arange(start, min(start + PARTS, n))
        call = vectorbt_call(vbt, panel, entries, sets, rows)
        if not start:
            call()
        seconds, portfolio = fastest(call, repeats)
        spent += seconds
        theirs.append(exits_of(portfolio, len(rows) * m))
    other = np.concatenate(theirs)
    differ = np.flatnonzero(mine != other)
    return found | {"vectorbt": vbt.__version__, "vectorbt_seconds": spent, "vectorbt_rate": n * m * bars / spent, "ratio": spent / ours,
                    "trades": n * m, "differ": len(differ), "differ_by_ties": int(sum(is_tie(panel, entries, sets, k, mine[k], other[k]) for k in differ))}


def is_tie(panel: Any, entries: Any, sets: Any, k: int, ours: int, theirs: int) -> bool:
    """Whether in the earlier of two exits the bid is exactly the target or the stop that was in force."""
    entry, number = divmod(int(k), len(sets))
    step = min(x for x in (ours, theirs) if x >= 0)
    bid, ask = int(panel.bid[int(entries.contract[entry]), step]), int(entries.ask[entry])
    return bid * 10_000 in (ask * (10_000 - int(sets.stop[number])), ask * (10_000 + int(sets.target[number])))


def cold(data: Path | None) -> float:
    """Wall seconds of a process that loads the day, makes the panel, sweeps 1,000 sets and prints the best."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", COLD, "sim" if data is None else str(data)], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def one_day(session: Any) -> dict[str, Any]:
    """A backtest of the day with all configured strategies, the session in memory, state server and proof of the money included: seconds, the better of two."""
    import tempfile

    from quanticity.core.config import load_config
    from quanticity.core.logs import configure_logging
    from quanticity.research.backtest import backtest

    configure_logging("error")
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(PROJECT, environ={}, overrides={"paths.state_dir": folder})
        names, seconds = [name for name, entry in config.strategies.items() if entry.enabled], []
        for _ in range(2):
            started = time.perf_counter()
            result = backtest([session], config, names)
            seconds.append(time.perf_counter() - started)
    return {"strategies": len(names), "seconds": min(seconds), "trades": len(result.trades), "quotes": len(session.quotes)}


def measure(data: Path | None, repeats: int = 3) -> dict[str, Any]:
    """Everything, with verdicts; None where something cannot be told here."""
    from quanticity.research.exit_panel import entries_every, exit_panel
    from quanticity.research.exit_sweep import exit_random, exit_statistics, sweep_exits

    session = session_of(data)
    panel = exit_panel(session)
    entries, sets = entries_every(panel, slippage=None), exit_random(SETS, 1)
    sweep_exits(panel, entries, sets)
    whole, swept = fastest(lambda: sweep_exits(panel, entries, sets), repeats + 4)
    statistics, _ = fastest(lambda: exit_statistics(swept), repeats)
    found: dict[str, Any] = {
        "session": f"{session.symbol} {session.date} ({session.source})", "contracts": len(panel), "steps": panel.steps, "sets": SETS, "entries": len(entries),
        "seconds": whole, "trades_per_second": SETS * len(entries) / whole, "rate": SETS * len(entries) * panel.steps / whole, "statistics_seconds": statistics,
        "cold_seconds": cold(data), "backtest": one_day(session), "beside": against_vectorbt(panel, whole_percents(2), 2 * PARTS, repeats)}
    beside = found["beside"]
    same = None if "ratio" not in beside else beside["differ"] == beside["differ_by_ties"]
    found["verdicts"] = {"exit sweep, vectorbt (Rust) over ours: at least 1": beside["ratio"] >= 1 if "ratio" in beside else None,
                         "exit sweep: every exit is vectorbt's, but for ties": same,
                         "exit sweep: first result of a cold process within 12 s": found["cold_seconds"] <= 12}
    return found


def show(found: dict[str, Any]) -> None:
    """Print it."""
    b = found["beside"]
    print(f"{found['session']}: {found['sets']:,} sets x {found['entries']} entries in {found['contracts']} contracts over {found['steps']} steps")
    print(f"  with latency, bid and ask, settlement    {found['seconds'] * 1e3:8.1f} ms   {found['trades_per_second'] / 1e6:6.1f} million trades/s   "
          f"{found['rate'] / 1e6:7,.0f} million combination-bars/s; statistics {found['statistics_seconds'] * 1e3:.0f} ms")
    print(f"  first result of a cold process           {found['cold_seconds']:8.2f} s")
    t = found["backtest"]
    print(f"  a backtest of the day                    {t['seconds']:8.2f} s    {t['strategies']} strategies, {t['quotes']:,} quotes, {t['trades']} trades")
    print(f"the same entries and exits ({b['entries']} entries, {b['combination_bars'] / 1e6:.1f} million combination-bars)")
    print(f"  ours                                     {b['seconds'] * 1e3:8.1f} ms   {b['rate'] / 1e6:7,.0f} million combination-bars/s")
    if "ratio" in b:
        print(f"  vectorbt {b['vectorbt']}, Rust engine             {b['vectorbt_seconds'] * 1e3:8.0f} ms   {b['vectorbt_rate'] / 1e6:7.1f} million combination-bars/s   {b['ratio']:.0f} times ours")
        print(f"  exits that differ                        {b['differ']:,} of {b['trades']:,}, {b['differ_by_ties']:,} of them ties of bid and price")
    else:
        print(f"  vectorbt: {b['vectorbt']}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("QUANTICITY_DATA_DIR") or PROJECT.parent / "shared" / "data"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.data.resolve() if (arguments.data / "lean").is_dir() else None, arguments.repeats)
    show(found)
    if arguments.out:
        arguments.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
