"""What the door costs: a recorded day at import and in the replay, beside unzipping and parsing it; and a simulated day of a million rows.

`python tests/benchmarks/quality.py [--data FOLDER]` prints seconds; the replay's batches are summed by their best of several runs, so that other work on the machine hardly shows.
"""

import argparse
import os
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = Path(__file__).parent.parent.parent


def best(work, repeats: int) -> float:
    """The least seconds of several runs."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def by_batch(session, parts, repeats: int) -> float:
    """Seconds of the door over a day's batches: the sum over batches of the best of several runs."""
    from quanticity.market.quality import Door

    seconds = np.full((repeats, len(parts)), np.inf)
    for run in range(repeats):
        door = Door(session.contracts, session.opens, session.closes, rate=session.rate)
        for number, part in enumerate(parts):
            started = time.perf_counter()
            door.screen(part)
            seconds[run, number] = time.perf_counter() - started
    return float(seconds.min(axis=0).sum())


def measure(data: Path | None, repeats: int = 9) -> dict[str, Any]:
    """Seconds of the door on a recorded day (left out without the data) and on a simulated one."""
    from quanticity.feeds.sim_parameters import SimulatorParameters
    from quanticity.feeds.simulator import simulate_session
    from quanticity.market.chain_quality import chain_quality
    from quanticity.market.parity import pair_rows
    from quanticity.market.quality import screen_session
    from quanticity.market.session import ChainState, batches

    found: dict[str, Any] = {}
    if data is not None:
        from quanticity.feeds.lean import load_session

        load = best(lambda: load_session(data, "GOOG", date(2015, 12, 24)), repeats)
        session = load_session(data, "GOOG", date(2015, 12, 24))
        parts = list(batches(session))
        found["recorded"] = {"session": "GOOG 2015-12-24", "quotes": len(session.quotes), "contracts": len(session.contracts), "batches": len(parts), "load_seconds": load,
                             "at_once_seconds": best(lambda: screen_session(session), repeats), "in_batches_seconds": by_batch(session, parts, repeats)}
        state = ChainState(session.contracts, session.open_interest, session.prior_volatility, session.rate, session.dividend)
        for part in parts[:100]:
            state.apply(part.quotes, part.trades, part.underlying_bars, part.underlying_quotes)
        chain, pairs = state.snapshot(parts[99].now, *state.spot()), pair_rows(session.contracts)
        found["recorded"]["score_seconds"] = best(lambda: chain_quality(chain, pairs), 50)
    large = simulate_session(11, date(2026, 3, 19), "SPXW", SimulatorParameters(spot=5000.0, strike_step=5.0, strikes=260))
    rows = sum(len(tape) for tape in large.tapes().values())
    seconds = best(lambda: screen_session(large), 3)
    found["simulated"] = {"session": "a simulated day of SPXW", "rows": rows, "seconds": seconds, "rows_per_second": rows / seconds}
    return found


def show(found: dict[str, Any]) -> None:
    """The result as lines."""
    if r := found.get("recorded"):
        print(f"{r['session']}, {r['quotes']:,} quotes of {r['contracts']:,} contracts")
        print(f"  read and parsed (load_session)      {r['load_seconds']:6.3f} s")
        print(f"  screened at once (import)           {r['at_once_seconds']:6.3f} s")
        print(f"  screened in {r['batches']} batches (replay)     {r['in_batches_seconds']:6.3f} s")
        print(f"  one snapshot scored                 {1e3 * r['score_seconds']:6.3f} ms")
    s = found["simulated"]
    print(f"{s['session']}, {s['rows']:,} rows: {s['seconds']:.3f} s, {s['rows_per_second']:,.0f} rows a second")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("QUANTICITY_DATA_DIR") or PROJECT.parent / "shared" / "data"))
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    show(measure(arguments.data if (arguments.data / "lean").is_dir() else None, arguments.repeats))


if __name__ == "__main__":
    main()
