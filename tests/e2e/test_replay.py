"""`quanticity replay` as a user runs it: what it writes, that it repeats, that every line leads back to market data."""

import json
import re
import shutil
import socket
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from .support import quanticity

TIERS = {"premium": 0, "basic": 60, "free": 900}


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    done = quanticity(folder, "replay", "--source", "sim", "--seed", 7, "--out", folder / "run", "--no-report")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def goog(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("goog")
    done = quanticity(folder, "replay", "--data", recorded, "--symbol", "GOOG", "--date", "2015-12-24", "--out", folder / "run", "--no-report")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def check_ledger(run: Path) -> None:
    """The ledger is complete, in order, and walks back to snapshots of this run."""
    lines, known = lines_of(run), set(pq.read_table(run / "snapshots.parquet", columns=["id"])["id"].to_pylist())
    summary = json.loads((run / "summary.json").read_text())
    seen: dict[str, dict[str, Any]] = {}
    for line in lines:
        assert {"ts", "kind", "id", "cause", "data"} <= set(line)
        assert line["ts"].endswith("Z") and datetime.fromisoformat(line["ts"])
        assert line["id"] not in seen, f"{line['id']} twice"
        assert line["cause"], f"{line['id']} has no cause"
        for cause in line["cause"]:
            assert cause in seen or cause in known, f"{line['id']}: {cause} is neither an earlier line nor a snapshot"
        seen[line["id"]] = line
    assert [x["ts"] for x in lines] == sorted(x["ts"] for x in lines)
    assert sum(summary["counts"].values()) == len(lines)
    steps_back = {"message": "fill", "fill": "order", "order": "signal", "signal": "proposal", "delivery": "message"}
    for line in lines:
        if line["kind"] in steps_back and not (line["kind"] == "message" and line["data"]["kind"] == "closed"):
            causes = {seen[c]["kind"] for c in line["cause"] if c in seen}
            assert steps_back[line["kind"]] in causes or (line["kind"] == "order" and "fill" in causes), line["id"]


def check_deliveries(run: Path) -> None:
    """Each message goes to each tier once, at its delay after the fill, and its file is there."""
    lines = lines_of(run)
    fills = {x["id"]: x for x in lines if x["kind"] in ("fill", "settlement")}
    for message in (x for x in lines if x["kind"] == "message"):
        cause = next(fills[c] for c in message["cause"] if c in fills)
        sent = {x["data"]["tier"]: x for x in lines if x["kind"] == "delivery" and message["id"] in x["cause"]}
        assert set(sent) == set(TIERS)
        for tier, seconds in TIERS.items():
            assert datetime.fromisoformat(sent[tier]["ts"]) - datetime.fromisoformat(cause["ts"]) == timedelta(seconds=seconds)
    assert len(list((run / "deliveries").rglob("*.txt"))) == sum(x["kind"] == "delivery" for x in lines)


def check_prices(run: Path) -> None:
    """Buys at or under their limit, no sell better than asked for a target, nothing beyond the ordered quantity."""
    lines = lines_of(run)
    orders = {x["id"]: x["data"] for x in lines if x["kind"] == "order"}
    filled: dict[str, int] = {}
    for fill in (x["data"] for x in lines if x["kind"] == "fill"):
        order = orders[fill["order_id"]]
        if order["type"] == "limit":
            assert (fill["price"] - order["limit_price"]) * (1 if order["side"] == "buy" else -1) <= 1e-9
        filled[fill["order_id"]] = filled.get(fill["order_id"], 0) + fill["quantity"]
    assert all(n <= orders[i]["quantity"] for i, n in filled.items())


def test_simulated_run_is_complete(simulated: Path) -> None:
    check_ledger(simulated)
    check_deliveries(simulated)
    check_prices(simulated)
    counts = json.loads((simulated / "summary.json").read_text())["counts"]
    assert counts["signal"] > 0 and counts["fill"] > 0 and counts["delivery"] > 0, counts
    assert {p.name for p in simulated.iterdir()} >= {"ledger.jsonl", "snapshots.parquet", "summary.json", "deliveries"}


def test_two_replays_give_the_same_bytes(simulated: Path, tmp_path: Path) -> None:
    done = quanticity(tmp_path, "replay", "--source", "sim", "--seed", 7, "--out", tmp_path / "again", "--no-report")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "ledger.jsonl").read_bytes() == (simulated / "ledger.jsonl").read_bytes()


def test_another_seed_gives_another_day(simulated: Path, tmp_path: Path) -> None:
    assert quanticity(tmp_path, "replay", "--source", "sim", "--seed", 8, "--out", tmp_path / "other", "--no-report").returncode == 0
    assert (tmp_path / "other" / "ledger.jsonl").read_bytes() != (simulated / "ledger.jsonl").read_bytes()


@pytest.fixture
def redis_server(tmp_path: Path):
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on the path")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


def test_redis_gives_the_same_bytes_and_keeps_nothing(simulated: Path, tmp_path: Path, redis_server: str) -> None:
    import redis

    client = redis.Redis.from_url(redis_server)
    client.set("signals:live:mine", "untouched")
    done = quanticity(tmp_path, "replay", "--source", "sim", "--seed", 7, "--out", tmp_path / "run", "--no-report", QUANTICITY_REDIS__URL=redis_server)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "ledger.jsonl").read_bytes() == (simulated / "ledger.jsonl").read_bytes()
    assert client.keys("*") == [b"signals:live:mine"]
    client.close()


def test_goog_half_day(goog: Path) -> None:
    check_ledger(goog)
    check_deliveries(goog)
    check_prices(goog)
    lines, summary = lines_of(goog), json.loads((goog / "summary.json").read_text())
    close = datetime.fromisoformat("2015-12-24T18:00:00+00:00")
    assert summary["session"]["closes"] == "2015-12-24T18:00:00Z"
    for line in lines:
        if line["kind"] not in ("message", "delivery", "settlement", "cancel"):
            assert datetime.fromisoformat(line["ts"]) <= close
        if line["kind"] == "fill":
            assert datetime.fromisoformat(line["ts"]) < close
    held: dict[str, int] = {}
    for line in lines:
        if line["kind"] == "fill":
            occ = json.dumps(line["data"]["contract"])
            held[occ] = held.get(occ, 0) + line["data"]["quantity"] * (1 if line["data"]["side"] == "buy" else -1)
        if line["kind"] == "settlement":
            held[json.dumps(line["data"]["contract"])] = 0
    overnight = [json.loads(contract) for contract, count in held.items() if count]
    assert all(c["expires_at"] > "2015-12-25" for c in overnight), "a position in an expired contract was left open"
    assert not overnight or any(re.match(rf"{len(overnight)} positions? (is|are) held beyond this session", note) for note in summary["notes"])
    emitted = summary["counts"]["signal"]
    delivered = {line["data"]["tier"] for line in lines if line["kind"] == "delivery"}
    assert (emitted and delivered == set(TIERS)) or summary["reasons"], "neither delivered nor explained"


def test_goog_fills_are_at_the_recorded_quotes(goog: Path, recorded: Path) -> None:
    from datetime import date

    import numpy as np

    from quanticity.core.types import contract_from_plain
    from quanticity.feeds.lean import load_session
    from quanticity.market.chain import nanoseconds

    session = load_session(recorded, "GOOG", date(2015, 12, 24))
    row = {name: i for i, name in enumerate(session.contracts.occ())}
    fills = [x for x in lines_of(goog) if x["kind"] == "fill"]
    assert fills
    for fill in fills:
        contract, ts = contract_from_plain(fill["data"]["contract"]), nanoseconds(datetime.fromisoformat(fill["ts"]))
        mine = np.flatnonzero((session.quotes.index == row[contract.occ]) & (session.quotes.ts <= ts))[-1]
        buy = fill["data"]["side"] == "buy"
        price, size = (session.quotes.ask, session.quotes.ask_size) if buy else (session.quotes.bid, session.quotes.bid_size)
        assert fill["data"]["price"] == pytest.approx(price[mine], abs=1e-9)
        assert fill["data"]["quantity"] <= size[mine]
        order = next(x for x in lines_of(goog) if x["id"] == fill["data"]["order_id"])
        assert datetime.fromisoformat(fill["ts"]) - datetime.fromisoformat(order["ts"]) >= timedelta(minutes=1)


@pytest.mark.parametrize("day", ["2021-01-04", "2021-01-05", "2021-01-06", "2021-01-07", "2021-01-08"])
def test_spxw_days_run(recorded: Path, tmp_path: Path, day: str) -> None:
    done = quanticity(tmp_path, "replay", "--data", recorded, "--symbol", "SPXW", "--date", day, "--out", tmp_path / "run", "--no-report")
    assert done.returncode == 0, done.stderr
    check_ledger(tmp_path / "run")
    snapshots = pq.read_table(tmp_path / "run" / "snapshots.parquet", columns=["spot", "spot_source", "ts"])
    known = [s for s in snapshots["spot"].to_pylist() if s is not None and s == s]
    assert len(snapshots) == 406 and len(known) > 380 and all(3600 < s < 3900 for s in known)
    assert set(snapshots["spot_source"].to_pylist()) <= {"none", "trade" if day == "2021-01-04" else "parity"}


def test_two_at_once_share_the_server_and_nothing_else(simulated: Path, tmp_path: Path) -> None:
    from .support import COMMAND, environment

    command = [str(COMMAND), "replay", "--source", "sim", "--seed", "7", "--no-report", "--out"]
    both = [subprocess.Popen([*command, str(tmp_path / name)], env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for name in "ab"]
    assert [child.wait(120) for child in both] == [0, 0], [child.stderr.read() for child in both if child.stderr]
    for name in "ab":
        assert (tmp_path / name / "ledger.jsonl").read_bytes() == (simulated / "ledger.jsonl").read_bytes()


def test_rerun_replaces_the_run(simulated: Path, tmp_path: Path) -> None:
    shutil.copytree(simulated, tmp_path / "run")
    (tmp_path / "run" / "report.html").write_text("old")
    assert quanticity(tmp_path, "replay", "--source", "sim", "--seed", 7, "--out", tmp_path / "run", "--no-report").returncode == 0
    assert not (tmp_path / "run" / "report.html").exists()
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []
