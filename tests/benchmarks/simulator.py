"""Speed of the simulator, as multiples of real time, and its peak memory.

`python tests/benchmarks/simulator.py` runs two loads as whole processes (start and imports included): 50 symbols of 2,020 contracts through a day of one-minute steps, sessions and
their truth complete, in as many processes as there are cores; and one symbol of 10,050 contracts through the first hour at one-second steps, as a stream. Bounds: each at least 20 times
as fast as real time, within 2 GB in all. With --strict the exit code is 1 where a bound is missed; --share 0.1 runs a tenth of each.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent


def symbols(names: list[str]) -> int:
    """A day of minutes of these symbols, with truth; rows made."""
    from quanticity.feeds.simulator import DEMO_DAY, SimulatorParameters, simulate

    p = SimulatorParameters(expiries=10, strikes=50, strike_step=2.0)
    rows = 0
    for one in simulate(1, [DEMO_DAY], names, p):
        assert len(one.session.contracts) >= 2_000 and len(one.truth.trades) == len(one.session.trades)
        rows += sum(len(tape) for tape in one.session.tapes().values())
    return rows


def seconds(until: float) -> int:
    """The first seconds of a day of one symbol at one-second steps; rows made."""
    from quanticity.feeds.simulator import SimulatorParameters, stream

    p = SimulatorParameters(spot=6_000.0, strike_step=5.0, strikes=100, expiries=25, trades=1_200.0, underlying_trades=100.0)
    listed, parts = stream(1, symbol="SPXW", parameters=p, until_seconds=until)
    assert len(listed) >= 10_000
    return sum(part.rows() for part in parts)


def measured(commands: list[list[str]]) -> tuple[float, float, int]:
    """Wall seconds, the sum of peak memories in MB, and rows of processes run at once."""
    started = time.perf_counter()
    children = [subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) for command in commands]
    peak, rows = 0.0, 0
    for child in children:
        output = child.stdout.read() if child.stdout else b""
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(child.args)} failed")  # type: ignore[arg-type]
        peak, rows = peak + usage.ru_maxrss / 1024, rows + int(output)
    return time.perf_counter() - started, peak, rows


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--symbols", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.symbols or a.seconds:
        print(symbols(a.symbols) if a.symbols else seconds(a.seconds))
        return 0
    me, cores = [sys.executable, str(Path(__file__).resolve())], min(os.cpu_count() or 1, 2)
    names = [f"S{i:02d}" for i in range(max(round(50 * a.share), cores))]
    hour = max(3600 * a.share, 60.0)
    result = {}
    for title, real, commands in ((f"{len(names)} symbols of 2,020 contracts, a day of minutes, {cores} processes", 390 * 60.0 * len(names) / 50,
                                   [[*me, "--symbols", *names[i::cores]] for i in range(cores)]),
                                  (f"one symbol of 10,050 contracts, {hour:,.0f} seconds", hour, [[*me, "--seconds", str(hour)]])):
        wall, peak, rows = measured(commands)
        fine = real / wall >= 20 and peak < 2_048
        result[title] = {"seconds": wall, "times_real_time": real / wall, "peak_mb": peak, "rows": rows, "met": fine}
        print(f"{title}: {wall:.1f} s, {real / wall:.0f} times real time, {peak:,.0f} MB, {rows:,} rows  {'met' if fine else 'MISSED'}")
    if a.out:
        a.out.parent.mkdir(parents=True, exist_ok=True)
        a.out.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if a.strict and not all(r["met"] for r in result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
