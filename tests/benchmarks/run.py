"""`make bench`: speed as ratios against floors measured in the same run, and the event engine's rate.

Writes what it measured to build/bench.json and prints a table; with --strict the exit code is 1 where a stated bound is missed.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent


def process(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak memory (MB) of a whole process; a failure shows what it printed."""
    started = time.perf_counter()
    child = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = child.stdout.read() if child.stdout else b""
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{output.decode()}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def whole_process(data: Path, symbol: str, day: str, repeats: int) -> dict[str, Any]:
    """Replay without report against the two floors, in turn, `repeats` times."""
    from quanticity.feeds.lean import load_session
    from quanticity.feeds.lean_files import lean_data

    root = lean_data(data)
    files = [str(next(p for p in (root / name, root.parent / name, data / name) if p.exists()))
             for name in load_session(data, symbol, date.fromisoformat(day)).files]
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "replay": [str(Path(sys.executable).parent / "quanticity"), "replay", "--source", "lean", "--data", str(data), "--symbol", symbol, "--date", day,
                       "--out", f"{folder}/run", "--no-report"],
            "floor, pyarrow": [sys.executable, str(HERE / "floor.py"), "pyarrow", *files],
            "floor, pandas": [sys.executable, str(HERE / "floor.py"), "pandas", *files],
        }
        for command in commands.values():
            process(command)
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                seen[name].append(process(command))
    return {name: {"seconds": statistics.median(s for s, _ in runs), "peak_mb": max(m for _, m in runs)} for name, runs in seen.items()}


def engine(session: Any, repeats: int) -> dict[str, Any]:
    """Data in memory to ledger written, state server included: two-sided quote events a second."""
    import numpy as np

    from quanticity.core.config import load_config
    from quanticity.jobs.replay import run_session
    from quanticity.store.server import EmbeddedServer
    from quanticity.store.state import connect

    events = int(np.count_nonzero(np.isfinite(session.quotes.bid) & np.isfinite(session.quotes.ask)))
    config, seconds = load_config(environ={}), []
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder) / "server", append_only=False) as server:
        for number in range(repeats + 1):
            state = connect(server.url, prefix=f"replay:{number}:")
            started = time.perf_counter()
            run = run_session(session, config, state, Path(folder) / str(number))
            (Path(folder) / f"{number}.jsonl").write_bytes(b"".join(line + b"\n" for line in run.lines))
            seconds.append(time.perf_counter() - started)
            state.clear_namespace()
            state.close()
    median = statistics.median(seconds[1:])
    return {"events": events, "seconds": median, "events_per_second": events / median}


Verdicts = dict[str, bool | None]  # None: cannot be told here


def replay_section(data: Path | None, repeats: int) -> tuple[dict[str, Any], Verdicts]:
    """A replay as a whole process, and the event engine alone."""
    from quanticity.feeds.simulator import simulate_session

    if data is None:
        e = engine(simulate_session(seed=7), repeats)
        print(f"event engine on a simulated day: {e['events']:,} two-sided quote events in {e['seconds']:.2f} s, {e['events_per_second']:,.0f} a second")
        return {"engine": e}, {}
    from quanticity.feeds.lean import load_session

    w = whole_process(data, "GOOG", "2015-12-24", repeats)
    e = engine(load_session(data, "GOOG", date(2015, 12, 24)), repeats)
    print("GOOG 2015-12-24, whole process (median of alternating runs)")
    for name, values in w.items():
        print(f"  {name:<16} {values['seconds']:6.2f} s   {values['peak_mb']:5.0f} MB   replay is {w['replay']['seconds'] / values['seconds']:.2f} times that")
    print(f"event engine alone: {e['events']:,} two-sided quote events in {e['seconds']:.2f} s, {e['events_per_second']:,.0f} a second")
    verdicts: Verdicts = {f"replay at most 4 times the floor of unzipping and one CSV pass by {reader}": w["replay"]["seconds"] <= 4 * w[f"floor, {reader}"]["seconds"]
                          for reader in ("pandas", "pyarrow")}
    verdicts |= {"replay's peak memory under 1 GB": w["replay"]["peak_mb"] < 1024,
                 "engine at least 80,000 two-sided quote events a second": e["events_per_second"] >= 80_000}
    return {"whole_process": w, "engine": e}, verdicts


def imports_section(data: Path | None, repeats: int) -> tuple[dict[str, Any], Verdicts]:
    """An import against reading and parsing its zips."""
    from imports import BOUND, import_speed

    if data is None:
        return {}, {f"import below {BOUND:g} times reading and parsing its zips": None}
    found = import_speed(data, repeats=2 * repeats + 1)
    print(f"import of {found['session']}: {found['rows']:,} rows, {found['ratio']:.2f} times reading and parsing its zips in wall time "
          f"(the bound; {found['cpu_ratio']:.2f} times in processor time, which other work on the machine changes less); "
          f"{found['bytes']['lake'] / 1e6:.2f} MB in the lake, {found['bytes']['zips'] / 1e6:.2f} MB zipped")
    return found, {f"import below {BOUND:g} times reading and parsing its zips": found["ratio"] < BOUND}


def analytics_section(data: Path | None, repeats: int) -> tuple[dict[str, Any], Verdicts]:
    """Pricing and exposure kernels against their peers."""
    from analytics import measure, show

    found = measure(repeats + 2)
    show(found)
    return found, found["verdicts"]


def flow_section(data: Path | None, repeats: int) -> tuple[dict[str, Any], Verdicts]:
    """VPIN against pandas and orderflow-metrics."""
    from flow import measure

    found = measure(repeats + 2)
    for name, rate in found["trades_per_second"].items():
        print(f"VPIN, {name:<30} {rate / 1e6:8.1f} million trades a second")
    pandas, other = found["times_pandas"], found["times_orderflow_metrics"]
    print("  times pandas: " + ", ".join(f"{k} {v:.1f}" for k, v in pandas.items()) + "; times orderflow-metrics: " + ", ".join(f"{k} {v:.1f}" for k, v in other.items()))
    return found, {"VPIN at least 12 times a pandas version": min(pandas.values()) >= 12, "VPIN as fast as orderflow-metrics": min(other.values()) >= 1}


def program(name: str, *arguments: str) -> dict[str, Any]:
    """What a benchmark that starts processes of its own writes; its lines are shown as they come."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        subprocess.run([sys.executable, str(HERE / f"{name}.py"), "--out", str(out), *arguments], cwd=PROJECT, check=True)
        return dict(json.loads(out.read_text()))


def simulator_section(data: Path | None, repeats: int) -> tuple[dict[str, Any], Verdicts]:
    """The simulator against real time."""
    found = program("simulator")
    return found, {f"simulator at least 20 times real time within 2 GB: {name}": bool(r["met"]) for name, r in found.items()}


def quality_section(data: Path | None, repeats: int) -> tuple[dict[str, Any], Verdicts]:
    """What the door costs."""
    from quality import measure, show

    found = measure(data, 2 * repeats - 1)
    show(found)
    return found, {}


def workers_section(data: Path | None, repeats: int) -> tuple[dict[str, Any], Verdicts]:
    """The analytics job over many symbols in real time, on two workers."""
    import workers

    found = workers.measure(seconds=5.0 * repeats + 5.0)
    workers.show(found)
    del found["reports"]
    return found, dict(workers.verdicts(found))


def sweep_section(data: Path | None, repeats: int) -> tuple[dict[str, Any], Verdicts]:
    """A sweep of exits beside vectorbt, and a day's backtest."""
    from sweep import measure, show

    found = measure(data, max(2, repeats // 2))
    show(found)
    return found, found["verdicts"]


SECTIONS = {"replay": replay_section, "imports": imports_section, "quality": quality_section, "analytics": analytics_section, "flow": flow_section, "workers": workers_section,
            "simulator": simulator_section, "sweep": sweep_section}


def page(result: dict[str, Any]) -> str:
    """What was measured, as a page of the documentation."""
    words = {None: "not to be told here", True: "met", False: "**missed**"}
    lines = ["# Benchmarks", "", "<!-- Written by `make bench ARGS=--report`; do not edit. -->", "",
             f"One run of `make bench` on a machine with {result['cores']} cores, Python {result['python']} ({result['machine']}). Speed is stated as a ratio to a peer or to a floor",
             "that is measured in the same run; where a bound was set, it says whether it is met.", "", "| bound | |", "|---|---|"]
    lines += [f"| {text} | {words[fine]} |" for text, fine in result["verdicts"].items()]
    if "whole_process" in result.get("replay", {}):
        lines += ["", "## A replayed day, whole process", "", "GOOG 2015-12-24 without report, against unzipping the same files and one vectorized CSV pass over all rows.", "",
                  "| process | seconds | peak memory, MB | replay over it |", "|---|---|---|---|"]
        whole = result["replay"]["whole_process"]
        lines += [f"| {name} | {v['seconds']:.2f} | {v['peak_mb']:.0f} | {whole['replay']['seconds'] / v['seconds']:.2f} |" for name, v in whole.items()]
    if "engine" in result.get("replay", {}):
        e = result["replay"]["engine"]
        lines += ["", f"The event engine alone takes {e['events_per_second']:,.0f} two-sided quote events a second, state server and ledger included."]
    if result.get("imports"):
        i = result["imports"]
        lines += ["", "## An import", "", f"{i['session']}, {i['rows']:,} rows: {i['ratio']:.2f} times reading and parsing its zips alone; {i['bytes']['lake'] / 1e6:.2f} MB in the lake,",
                  f"{i['bytes']['zips'] / 1e6:.2f} MB zipped."]
    if "quality" in result:
        lines += ["", "## The door", "", "Checks of every row, as an import and a replay make them.", "", "| what | |", "|---|---|"]
        if r := result["quality"].get("recorded"):
            lines += [f"| {r['session']}, {r['quotes']:,} quotes: read and parsed | {r['load_seconds']:.3f} s |", f"| screened at once, as an import does | {r['at_once_seconds']:.3f} s |",
                      f"| screened in {r['batches']} batches, as the replay does | {r['in_batches_seconds']:.3f} s |", f"| one snapshot scored | {1e3 * r['score_seconds']:.2f} ms |"]
        s = result["quality"]["simulated"]
        lines += [f"| {s['session']} of {s['rows']:,} rows | {s['rows_per_second']:,.0f} rows a second |"]
    if "workers" in result:
        w, lag = result["workers"], result["workers"]["lag_ms"]
        lines += ["", "## The analytics job on many symbols", "", f"{w['symbols']} simulated symbols of {w['contracts']:,} contracts, every {w['cadence']:g} s for {w['seconds']:g} s, on {w['workers']} worker",
                  "processes beside the state server and the feed.", "", "| what | |", "|---|---|", f"| steps, of which skipped, failed | {w['steps']:,}, {w['skipped']}, {w['failures']} |",
                  f"| lag from a step's moment to its end: median, p90, p99, worst | {lag['median']:.1f}, {lag['p90']:.1f}, {lag['p99']:.1f}, {lag['worst']:.1f} ms |",
                  f"| a step | {w['step_ms']:.2f} ms |", f"| a worker is busy | {', '.join(f'{b:.0%}' for b in w['busy'])} of the time |",
                  f"| oldest result at the end | {w['oldest_result_seconds']:.2f} s |"]
    if "analytics" in result:
        a = result["analytics"]
        lines += ["", f"## Analytics, {a['contracts']:,} contracts, one thread", "", "| what | milliseconds |", "|---|---|"]
        lines += [f"| {name} | {ms:.3f} |" for name, ms in a["milliseconds"].items()]
        lines += ["", "| ratio | |", "|---|---|"] + [f"| {name} | {'not available here' if r is None else f'{r:.2f}'} |" for name, r in a["ratios"].items()]
        lines += ["", f"The first tick of a fresh process takes {a['first_tick']['seconds']:.2f} s, imports included.", "",
                  "Peers: " + ", ".join(f"{name} {text.split(' (')[0]}" for name, text in a["peers"].items()) + "."]
    if "flow" in result:
        lines += ["", "## VPIN", "", "| version | million trades a second |", "|---|---|"]
        lines += [f"| {name} | {rate / 1e6:.1f} |" for name, rate in result["flow"]["trades_per_second"].items()]
    if "sweep" in result:
        w = result["sweep"]
        b, t = w["beside"], w["backtest"]
        lines += ["", "## A sweep of exits, and a day's backtest", "", f"{w['session']}: {w['sets']:,} sets of exits for {w['entries']} entries in {w['contracts']} contracts over {w['steps']} steps, with",
                  f"bid and ask, latency and settlement: {w['seconds'] * 1e3:.0f} ms once warm; the first result of a cold process after {w['cold_seconds']:.1f} s.",
                  f"A backtest of the day with {t['strategies']} strategies: {t['seconds']:.2f} s.", "", "| the same entries and exits | million combination-bars a second |", "|---|---|",
                  f"| ours | {b['rate'] / 1e6:,.0f} |"]
        lines += [f"| vectorbt {b['vectorbt']}, Rust engine | {b['vectorbt_rate'] / 1e6:.1f} |", "", f"{b['differ']:,} of {b['trades']:,} exits differ."] if "ratio" in b else []
    if "simulator" in result:
        lines += ["", "## The simulator", "", "| what | seconds | times real time | MB |", "|---|---|---|---|"]
        lines += [f"| {name} | {r['seconds']:.1f} | {r['times_real_time']:.0f} | {r['peak_mb']:.0f} |" for name, r in result["simulator"].items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all, where none is named: " + ", ".join(SECTIONS))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("QUANTICITY_DATA_DIR") or PROJECT.parent / "shared" / "data"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bound is missed")
    parser.add_argument("--report", action="store_true", help="also write docs/reference/benchmarks.md")
    parser.add_argument("--out", type=Path, default=PROJECT / "build" / "bench.json")
    arguments = parser.parse_args()
    for name in [n for n in os.environ if n.startswith("QUANTICITY_") and n != "QUANTICITY_CACHE_DIR"]:
        del os.environ[name]
    data = arguments.data.resolve() if (arguments.data / "lean").is_dir() else None
    if data is None:
        print("recorded data is not at hand: what needs it is left out (set QUANTICITY_DATA_DIR for the rest)")
    result: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    verdicts: Verdicts = {}
    for name in arguments.sections or SECTIONS:
        result[name], more = SECTIONS[name](data, arguments.repeats)
        verdicts |= more
        print(flush=True)
    for text, fine in verdicts.items():
        print(f"  {'n/a   ' if fine is None else 'met   ' if fine else 'MISSED'}  {text}")
    result["verdicts"] = verdicts
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.report:
        (PROJECT / "docs" / "reference" / "benchmarks.md").write_text(page(result))
    return 1 if arguments.strict and False in verdicts.values() else 0


if __name__ == "__main__":
    sys.exit(main())
