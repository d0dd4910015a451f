"""How long an import takes against reading and parsing its zips alone, and what it leaves on the disk beside them.

The bound is one of wall time, on a machine that does nothing else. Where others are at work wall time says little, so the processor's time (all threads,
user and system) is measured beside it: an import writes while it checks, which wall time on two cores shows and processor time does not.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

BOUND = 3.0  # an import (load, quality, write) takes less than this many times what reading and parsing its zips alone takes


def parse_alone(data: Path, names: tuple[str, ...]) -> int:
    """The floor: `read_lean` and `read_table` of a session's zips, nothing else; the number of rows."""
    from quanticity.feeds.lean_files import lean_data, read_lean, read_table

    bar = ("time", "open", "high", "low", "close", "volume")
    quote = ("time", "bid open", "bid high", "bid low", "bid", "bid size", "ask open", "ask high", "ask low", "ask", "ask size")
    closes = ("time", "bid", "bid size", "ask", "ask size")
    root, rows = lean_data(data), 0
    for name in names:
        file = read_lean(root / name, root)
        if "_quote" in name:
            rows += len(read_table(file, quote, keep=closes))
        else:
            rows += len(read_table(file, ("time", "open interest") if "_openinterest" in name else bar))
    return rows


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds of a call, the processor's seconds (of all threads), and what it gave."""
    started, used = time.perf_counter(), time.process_time()
    out = work()
    return time.perf_counter() - started, time.process_time() - used, out


def import_speed(data: Path, symbol: str = "GOOG", day: str = "2015-12-24", repeats: int = 9) -> dict[str, Any]:
    """Import, read back and floor in one process with warm data, in turn `repeats` times; medians, and the ratio of the bound.

    `seconds` has the whole import and its steps, the floor, and reading back; `ratio` the import by the floor (the median of the ratios of neighbours in
    time) in wall time, `cpu_ratio` in the processor's; `bytes` of the lake and the zips.
    """
    from quanticity.feeds.importing import SessionKey
    from quanticity.feeds.lean import IMPORTER
    from quanticity.feeds.lean_files import lean_data
    from quanticity.feeds.recording import read_session
    from quanticity.jobs.imports import import_session
    from quanticity.store.archive import Archive

    key = SessionKey(symbol, date.fromisoformat(day), "lean")
    names = tuple(n for n in IMPORTER.load(data, key).files if n.endswith(".zip") and "/minute/" in n)
    runs: list[dict[str, float]] = []
    for number in range(repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            archive = Archive(folder)
            floor, floor_cpu, rows = timed(lambda: parse_alone(data, names))
            whole, whole_cpu, report = timed(lambda archive=archive: import_session(IMPORTER, data, key, archive))
            after, after_cpu, _ = timed(lambda: parse_alone(data, names))
            again, _, _ = timed(lambda archive=archive: import_session(IMPORTER, data, key, archive))
            back, _, _ = timed(lambda archive=archive: read_session(archive, key))
            lake = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())
        if number:  # the first one warms up
            runs.append({"import": whole, "floor": (floor + after) / 2, "import, processor": whole_cpu, "floor, processor": (floor_cpu + after_cpu) / 2,
                         "again": again, "read back": back, **report.seconds})
    zips = sum((lean_data(data) / name).stat().st_size for name in names)
    return {"session": str(key), "rows": rows, "seconds": {name: statistics.median(run[name] for run in runs) for name in runs[0]},
            "ratio": statistics.median(run["import"] / run["floor"] for run in runs),
            "cpu_ratio": statistics.median(run["import, processor"] / run["floor, processor"] for run in runs), "bound": BOUND, "bytes": {"lake": lake, "zips": zips}}


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(import_speed(Path(sys.argv[1]), *sys.argv[2:4]), indent=2))
