"""`quanticity backtest` as a user runs it: a table and a folder, the ledger of a replay, a tear sheet; every mistake is one line."""

import json

import pyarrow.parquet as pq
import pytest

from quanticity.core.events import EventKind, parse_event
from quanticity.reports.backtest_run import load_backtest

from .support import one_line, quanticity

STEPS = {"QUANTICITY_MARKET__STEP_SECONDS": "300", "QUANTICITY_SIGNALS__TIME_TO_LIVE_SECONDS": "900", "QUANTICITY_SIGNALS__MIN_CONFIDENCE": "0.3"}


def test_a_recorded_day_with_its_tear_sheet_and_the_ledger_of_a_replay(recorded, tmp_path):
    day = ("--data", recorded, "--symbol", "GOOG", "--date", "2015-12-24")
    out = tmp_path / "backtest"
    done = quanticity(tmp_path, "backtest", *day, "--out", out, timeout=240, **STEPS)
    assert done.returncode == 0, done.stderr
    for text in ("GOOG, 2015-12-24 (lean, 1 session)", "95% interval", "What was not done, and why", "warning: ", "fewer than 30", "sha256", "report ", "of which", "made no trade"):
        assert text in done.stdout, text
    assert {p.name for p in out.iterdir()} == {"trades.parquet", "equity.parquet", "exposure.parquet", "ledger.jsonl", "summary.json", "report.ipynb", "report.html", "report.pdf"}
    page = (out / "report.html").read_text()
    assert "GOOG, 2015-12-24: backtest" in page and "What speaks against it" in page and (out / "report.pdf").read_bytes()[:4] == b"%PDF"

    again = quanticity(tmp_path, "replay", "--source", "lean", *day, "--out", tmp_path / "replay", "--no-report", **STEPS)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "replay" / "ledger.jsonl").read_bytes() == (out / "ledger.jsonl").read_bytes()

    run = load_backtest(out)
    legs, book = pq.read_table(out / "trades.parquet").to_pylist(), pq.read_table(out / "equity.parquet").to_pylist()
    events = [parse_event(line) for line in (out / "ledger.jsonl").read_bytes().splitlines()]
    cash = sum((-1 if e.data["side"] == "buy" else 1) * e.data["quantity"] * e.data["price"] * 100 - e.data["commission"] for e in events if e.kind is EventKind.FILL)
    cash += sum(e.data["cash"] for e in events if e.kind is EventKind.SETTLEMENT)
    pnl = run.summary["pnl"]
    assert pnl["cash"] == pytest.approx(cash, abs=1e-6) == pytest.approx(sum(leg["cash"] for leg in legs), abs=1e-6)
    assert book[-1]["book_net"] == pytest.approx(pnl["net"]) == pytest.approx(pnl["realized"] + pnl["unrealized"] - pnl["commission"])


def test_a_fair_market_says_so_and_another_that_it_is_not(tmp_path):
    slow = {**STEPS, "QUANTICITY_MARKET__STEP_SECONDS": "1800", "QUANTICITY_SIGNALS__TIME_TO_LIVE_SECONDS": "5400"}
    told = {}
    for name, more in (("fair", ("--fair",)), ("other", ())):
        done = quanticity(tmp_path, "backtest", "--source", "sim", "--seed", 4, "--sessions", 1, "--strategy", "moc", "--out", tmp_path / name, "--no-report", *more, **slow)
        assert done.returncode == 0, done.stderr
        told[name] = done.stdout
    assert "simulated fair market (nothing can be earned before costs), seed 4" in told["fair"] and "not a fair market" not in told["fair"]
    assert "simulated market with dealers' feedback (not a fair market), seed 4" in told["other"]
    fair, other = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("fair", "other"))
    assert fair["days"][0]["data"] != other["days"][0]["data"] and fair["notes"][0]["note"].startswith("simulated fair market")
    refused = quanticity(tmp_path, "backtest", "--source", "lean", "--symbol", "GOOG", "--data", tmp_path, "--fair", "--out", tmp_path / "no")
    assert "--fair is of a simulated market" in one_line(refused)


def test_simulated_days_as_json(tmp_path):
    arguments = ("backtest", "--source", "sim", "--seed", 4, "--sessions", 2, "--strategy", "zero_dte", "--slippage-ticks", 1, "--out", tmp_path / "out", "--no-report", "--json")
    done = quanticity(tmp_path, *arguments, **{**STEPS, "QUANTICITY_MARKET__STEP_SECONDS": "900", "QUANTICITY_SIGNALS__TIME_TO_LIVE_SECONDS": "2700",
                                               "QUANTICITY_MARKET__MAX_QUOTE_AGE_SECONDS": "2000"})
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [d["date"] for d in summary["days"]] == ["2026-03-20", "2026-03-23"] and summary["costs"]["slippage_ticks"] == 1.0 and list(summary["strategies"]) == ["zero_dte"]
    assert summary["significance"][0]["trials"] == 1 and len(list((tmp_path / "state" / "trials").rglob("*.json"))) == 1  # it was counted


@pytest.mark.parametrize(("arguments", "message"), [
    (("--symbol", "GOOG", "--data", "{data}", "--date", "2015-12-25"), "no session of GOOG on 2015-12-25; days there: 2015-12-23"),
    (("--source", "sim", "--strategy", "ten_dte"), "no strategy ten_dte in the configuration (there: zero_dte"),
    (("--source", "sim", "--from", "2026-03-21"), "no session on 2026-03-21"), (("--source", "sim", "--slippage-spread", "-1"), "slippage must be numbers from 0 up"),
    (("--source", "tape"), "unknown source 'tape'; choose one of lean, lake, sim"), (("--symbol", "GOOG", "--date", "soon"), "--date: got 'soon', wants a day as YYYY-MM-DD")])
def test_a_mistake_is_one_line_and_leaves_nothing(recorded, tmp_path, arguments, message):
    done = quanticity(tmp_path, "backtest", *(a.format(data=recorded) for a in arguments), "--out", tmp_path / "out")
    done.stderr = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("testing "))
    assert message in one_line(done) and not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(("command", "there"), [("backtest", '{"session": {}}'), ("replay", '{"kind": "backtest"}')])
def test_a_run_of_another_kind_is_not_replaced(tmp_path, command, there):
    """The folder of a replay is refused to a backtest, and the other way round, before anything is read; what is there stays."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.json").write_text(there)
    done = quanticity(tmp_path, command, "--source", "sim", "--out", tmp_path / "out")
    other = {"backtest": "replay", "replay": "backtest"}[command]
    done.stderr = "\n".join(line for line in done.stderr.splitlines() if not line.startswith(("testing ", "replaying ")))
    assert f"out holds a {other}, which a {command} does not replace; name another folder with --out" in one_line(done)
    assert (tmp_path / "out" / "summary.json").read_text() == there and [p.name for p in tmp_path.iterdir() if p.name.startswith(".out")] == []
