"""`quanticity analyze` as a user runs it: Cboe files of two roots, recorded days, the lake; tables, JSON, Parquet; every gap has its reason."""

import json
import math
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from quanticity.analytics.pricing import black_scholes_price
from quanticity.app.analyze_cli import analyse_session, named_sessions
from quanticity.core.clock import expiry_close
from quanticity.core.config import load_config
from quanticity.core.occ import Right

from ..unit.test_cboe import cdn, modern, write
from ..unit.test_cboe import chain as listed
from .support import one_line, quanticity

NEW_YORK = ZoneInfo("America/New_York")
SPOT = 6_700.0
MOMENT = datetime(2026, 11, 20, 15, 15, tzinfo=NEW_YORK)  # of the quotes in the files: a Friday, the third of the month
STRIKES = [float(k) for k in range(5_900, 7_401, 50)]
ROWS = (listed("SPXW", [date(2026, 11, 20), date(2026, 11, 23), date(2026, 12, 11), date(2026, 12, 18), date(2026, 12, 24)], STRIKES)
        + listed("SPX", [date(2026, 12, 18), date(2027, 1, 15)], STRIKES))


def cboe_json(folder: Path, name: str = "spx.json", **more: Any) -> Path:
    """A file of the network's form with premiums of a smile of 14 to 30 percent, and open interest."""
    document = cdn(ROWS, SPOT, **more)
    options = iter(document["data"]["options"])
    for root, expiry, strike in ROWS:
        years = max((expiry_close(expiry, root) - MOMENT).total_seconds() / (365 * 86_400), 1e-9)
        volatility = min(0.30, max(0.14, 0.18 - 0.5 * math.log(strike / SPOT)))
        for right in Right:
            option = next(options)
            worth = float(black_scholes_price(SPOT, strike, years, 0.0, 0.0, volatility, right is Right.CALL))
            option["bid"], option["ask"] = round(max(worth - 0.1, 0.0) * 20) / 20, round((worth + 0.15) * 20) / 20
            option["bid_size"] = 12.0 if option["bid"] else 0.0
            option["open_interest"] = float(int(strike) % 7 * 300 + 100)
    return write(folder, document, name)


def gaps(record: Any, path: str = "") -> list[str]:
    """Every None without a reason beside it, every number that is not finite."""
    if isinstance(record, dict):
        reasons = record.get("missing", {})
        bare = [f"{path}.{k}" for k, v in record.items() if v is None and k not in reasons and not (k == "expiry" and path.endswith("nearest"))]
        return bare + [g for k, v in record.items() for g in gaps(v, f"{path}.{k}")]
    if isinstance(record, list):
        return [g for i, v in enumerate(record) for g in gaps(v, f"{path}[{i}]")]
    return [path] if isinstance(record, float) and not math.isfinite(record) else []


def analysed(folder: Path, *arguments: object, **variables: str) -> dict[str, Any]:
    done = quanticity(folder, "analyze", *arguments, "--json", **variables)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    for session in document["sessions"]:
        session["door"]["parts"] = {k: v for k, v in session["door"]["parts"].items() if v is not None}  # the door's own page says why a part is unknown
    assert gaps(document) == []
    return document


def test_a_cboe_file_of_two_roots_with_everything_in_it(tmp_path):
    document = analysed(tmp_path, cboe_json(tmp_path))
    assert [(s["symbol"], s["source"], s["day"]) for s in document["sessions"]] == [("SPX", "cboe", "2026-11-20"), ("SPXW", "cboe", "2026-11-20")]
    spxw = document["sessions"][1]
    assert spxw["spot"]["value"] == SPOT and spxw["ts"] == "2026-11-20T20:15:00Z" and spxw["contracts"] == 5 * 2 * len(STRIKES)
    assert spxw["volume"] > 0  # the vendor's, there are no trades
    assert sum(spxw["volatility_reasons"].values()) + spxw["with_volatility"] == spxw["contracts"] and 0 < spxw["quality"]["score"] <= 1
    naive, gross, flow = (spxw["conventions"][n] for n in ("naive", "gross", "flow-signed"))
    assert flow["missing"] == {"totals": "no_trades"} and gross["totals"]["gamma_balance"] == 1.0 and gross["zero_gamma"]["missing"] == {"value": "no_crossing"}
    assert abs(sum(g["gex"] for g in naive["by_strike"]) / naive["totals"]["gex"] - 1) < 1e-9 and abs(sum(g["gex"] for g in naive["by_expiry"]) / naive["totals"]["gex"] - 1) < 1e-9
    assert {g["expiry"] for g in naive["by_expiry"]} == {"2026-11-20", "2026-11-23", "2026-12-11", "2026-12-18", "2026-12-24"}
    assert 0 < naive["zero_dte"]["share"] < 1 and all(r in STRIKES for r in (naive["walls"]["call_wall"], naive["walls"]["put_wall"]))
    month = next(e for e in spxw["expiries"] if e["expiry"] == "2026-12-18")
    assert abs(month["at_the_money"] - 0.18) < 0.005 and month["risk_reversal"] < -0.02 and abs(month["forward"] / SPOT - 1) < 1e-3


def sessions_of(path: Path, symbol: str, day: str | None = None, **more: Any) -> dict[str, Any]:
    """The record of one session, by the functions of the command in this process."""
    config = load_config(environ={})
    ((session, earlier),) = named_sessions(config, str(path), symbol, day, None, None, None, None)
    record = dict(analyse_session(session, config, str(path), earlier=earlier, **more).record)
    assert gaps({k: v for k, v in record.items() if k != "door"}) == []
    return record


def test_how_sure_the_levels_are(tmp_path):
    spxw = sessions_of(cboe_json(tmp_path), "SPXW", draws=60)
    naive, gross, sure = spxw["conventions"]["naive"], spxw["conventions"]["gross"], spxw["uncertainty"]
    zero = naive["band"]["zero_gamma"]
    assert (sure["draws"], sure["level"], sure["seed"]) == (60, 0.9, 1) and sure["drawn"] == spxw["with_volatility"]
    assert 0.9 * SPOT < zero["low"] <= zero["median"] <= zero["high"] < 1.1 * SPOT and 0 < zero["crossing"] <= 1
    assert (sure["zero_gamma_low"], sure["zero_gamma_high"]) == (zero["low"], zero["high"])  # gross never crosses, and there are no trades for the third
    assert gross["band"]["zero_gamma"]["missing"]["low"] == "no_crossing" and "band" not in spxw["conventions"]["flow-signed"]
    for wall in ("call_wall", "put_wall"):
        odds = {w["strike"]: w["odds"] for w in naive["band"][wall]}
        assert sum(odds.values()) == pytest.approx(1.0) and odds[naive["walls"][wall]] > 0.2
    again = sessions_of(cboe_json(tmp_path), "SPXW", draws=60, seed=2)["conventions"]["naive"]
    assert again["totals"] == naive["totals"] and again["band"] != naive["band"]
    none = sessions_of(cboe_json(tmp_path), "SPXW", draws=0)
    assert none["uncertainty"] == {} and "band" not in none["conventions"]["naive"]
    assert "--draws 1: one draw makes no band" in one_line(quanticity(tmp_path, "analyze", cboe_json(tmp_path), "--draws", "1"))


def test_both_roots_together_give_vix_and_vix1d(tmp_path):
    (group,) = analysed(tmp_path, cboe_json(tmp_path))["together"]
    assert group["symbols"] == ["SPX", "SPXW"] and group["underlying"] == "SPX"
    vix, vix1d = group["indices"]
    assert (vix["name"], [t["expiry"] for t in vix["terms"]]) == ("VIX", ["2026-12-18", "2026-12-24"]) and 17 < vix["value"] < 22
    assert (vix1d["name"], [t["expiry"] for t in vix1d["terms"]]) == ("VIX1D", ["2026-11-20", "2026-11-23"])
    assert vix["terms"][0]["minutes"] == pytest.approx((datetime(2026, 12, 18, 9, 30, tzinfo=NEW_YORK) - MOMENT).total_seconds() / 60)  # SPX settles at the open


@pytest.mark.parametrize("minutes", [1, 1 / 60])
def test_to_the_last_minute_and_second_nothing_is_infinite(tmp_path, minutes):
    from datetime import timedelta

    stamp = datetime(2026, 11, 20, 16, 15) - timedelta(minutes=minutes) + timedelta(hours=5)
    path = cboe_json(tmp_path, stamp=f"{stamp:%Y-%m-%d %H:%M:%S}", newest=f"{stamp - timedelta(hours=5, minutes=15):%Y-%m-%dT%H:%M:%S}")
    spxw = analysed(tmp_path, path, "--symbol", "SPXW")["sessions"][0]
    assert spxw["expiries"][0]["expiry"] == "2026-11-20" and 0 < spxw["expiries"][0]["days"] * 1440 <= minutes + 1e-6
    assert spxw["conventions"]["naive"]["zero_dte"]["counted"] > 0


def test_a_csv_file_a_chosen_root_and_rates(tmp_path):
    path = write(tmp_path, modern(ROWS, SPOT), "quotedata.csv")
    document = analysed(tmp_path, path, "--symbol", "SPX", "-o", "rate=0.04")
    (session,) = document["sessions"]
    assert (session["symbol"], session["rate"]) == ("SPX", 0.04) and document["together"] == []


def test_tables_for_people(tmp_path):
    done = quanticity(tmp_path, "analyze", cboe_json(tmp_path), "--strikes", "5")
    assert done.returncode == 0, done.stderr
    for text in ("SPX on SPX, Friday 2026-11-20 15:15:00 New York", "SPXW on SPX", "Exposure under each convention", "no crossing", "no trades", "By expiry",
                 "the 5 nearest to the spot", "when spot moves by", "VIX1D", "of SPX and SPXW options", "the door: quality", "How sure: 90% of 100 draws", "any of them"):
        assert text in done.stdout, text
    words = done.stdout.lower().replace(",", " ").split()
    assert "nan" not in words and "inf" not in words and "none" not in [w for w in words if w == "nonetype"]


def test_files_by_suffix(tmp_path):
    path = cboe_json(tmp_path)
    for name in ("all.json", "all.parquet"):
        done = quanticity(tmp_path, "analyze", path, "--json", "--out", tmp_path / name)
        assert done.returncode == 0 and json.loads(done.stdout), done.stderr
    assert json.loads((tmp_path / "all.json").read_text()) == json.loads(done.stdout)
    table = pq.read_table(tmp_path / "all.parquet")
    value, reason = table["value"].to_numpy(zero_copy_only=False), table["reason"].to_pylist()
    assert np.isfinite(value[~np.isnan(value)]).all() and all((v != v) == bool(r) for v, r in zip(value, reason))
    naive = table.to_pylist()
    (gex,) = [r["value"] for r in naive if (r["symbol"], r["part"], r["convention"], r["name"]) == ("SPXW", "totals", "naive", "gex")]
    assert gex == json.loads(done.stdout)["sessions"][1]["conventions"]["naive"]["totals"]["gex"]
    low, median, high = ([r["value"] for r in naive if (r["symbol"], r["part"], r["convention"], r["name"]) == ("SPXW", "band.zero_gamma", "naive", n)][0] for n in ("low", "median", "high"))
    assert low <= median <= high
    odds = [r["value"] for r in naive if (r["symbol"], r["part"], r["convention"], r["name"]) == ("SPXW", "band.call_wall", "naive", "odds")]
    assert sum(odds) == pytest.approx(1.0) and all(r["key"].startswith("strike=") for r in naive if r["part"] == "band.call_wall")
    assert "all.xlsx: writes .json or .parquet" in one_line(quanticity(tmp_path, "analyze", path, "--out", tmp_path / "all.xlsx"))


def test_several_files_and_one_that_cannot_be_read(tmp_path):
    good, bad = cboe_json(tmp_path), write(tmp_path, "a,b\n1,2\n", "bad.csv")
    done = quanticity(tmp_path, "analyze", good, bad, "--json")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "bad.csv: no column mapping fits its columns a, b" in done.stderr
    document = json.loads(done.stdout)
    assert len(document["sessions"]) == 2 and document["errors"][0]["from"] == str(bad)


@pytest.mark.parametrize(("arguments", "message"), [
    (("missing.csv",), "no session of MISSING.CSV in"), (("{file}", "--symbol", "GOOG"), "no session of GOOG; it holds: SPX 2026-11-20, SPXW 2026-11-20"),
    (("{file}", "--date", "yesterday"), "date: got 'yesterday', wants a day as YYYY-MM-DD"), (("{file}", "--at", "noon"), "--at: got 'noon', wants a time in New York as HH:MM"),
    (("{file}", "--at", "17:00"), "--at 17:00: SPX traded from 09:30 to 16:15 New York on 2026-11-20"), (("{file}", "--format", "lotus"), "--format lotus: no such format"),
    (("{file}", "-o", "rate"), "--option rate: expected NAME=VALUE")])
def test_what_cannot_be_done_is_one_line(tmp_path, arguments, message):
    path = cboe_json(tmp_path)
    assert message in one_line(quanticity(tmp_path, "analyze", *(a.format(file=path) for a in arguments)))


@pytest.mark.parametrize(("symbol", "day", "at"), [("GOOG", "2015-12-24", None), ("GOOG", "2015-12-24", "12:59:59"), ("SPXW", "2021-01-04", "15:59:30"), ("SPXW", "2021-01-08", None), ("SPXW", "2021-01-08", "15:59")])
def test_recorded_days(recorded, tmp_path, symbol, day, at):
    (session,) = analysed(tmp_path, recorded, "--symbol", symbol, "--date", day, *(("--at", at) if at else ()))["sessions"]
    naive = session["conventions"]["naive"]
    assert session["symbol"] == symbol and session["spot"]["value"] > 0 and session["volume"] > 0
    if day == "2021-01-08":  # that day's open interest was not recorded: exposures by open interest say so, those by flow are there
        assert naive["totals"]["missing"]["gex"] == naive["walls"]["missing"]["call_wall"] == "no_open_interest" and naive["zero_gamma"]["missing"]
        assert session["conventions"]["flow-signed"]["counted"] > 0 and math.isfinite(session["conventions"]["flow-signed"]["totals"]["gex"])
        return
    assert math.isfinite(naive["totals"]["gex"]) and naive["walls"]["call_wall"] > 0
    assert naive["zero_gamma"]["value"] in naive["zero_gamma"]["roots"] or naive["zero_gamma"]["missing"]
    assert session["conventions"]["flow-signed"]["counted"] > 0


@pytest.mark.parametrize(("symbol", "day", "before"), [("GOOG", "2015-12-24", ["2015-12-23"]), ("GOOG", "2015-12-28", ["2015-12-23", "2015-12-24"]), ("GOOG", "2015-12-23", []),
                                                       ("SPXW", "2021-01-07", ["2021-01-04", "2021-01-05", "2021-01-06"])])
def test_dealers_hold_what_they_held_the_evening_before(recorded, symbol, day, before):
    flow, alone = (sessions_of(recorded, symbol, day, draws=0, before=most)["conventions"]["flow-signed"] for most in (5, 0))
    assert flow["position"]["sessions_before"] == before and alone["position"] == {"basis": "trades of this session alone: what dealers held before is not known", "sessions_before": []}
    if before:
        assert flow["position"]["basis"].startswith("trades and open interest of the sessions before") and flow["position"]["gex_deviation"] > 0
        assert flow["totals"]["gex"] != alone["totals"]["gex"]
    else:
        assert flow == alone


def test_the_replay_of_a_recorded_day_says_the_same(recorded, tmp_path):
    """At noon: the exposures of the report and those of analyze are one calculation."""
    done = quanticity(tmp_path, "replay", "--source", "lean", "--data", recorded, "--symbol", "GOOG", "--date", "2015-12-24", "--out", tmp_path / "run", "--no-report")
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(tmp_path / "run" / "snapshots.parquet").to_pylist()
    row = next(r for r in rows if f"{r['ts']:%H:%M}" == "17:00")
    naive = analysed(tmp_path, recorded, "--symbol", "GOOG", "--date", "2015-12-24", "--at", "12:00")["sessions"][0]["conventions"]["naive"]
    assert naive["walls"]["call_wall"] == row["call_wall"] and naive["walls"]["put_wall"] == row["put_wall"]
    assert naive["totals"]["gex"] == pytest.approx(row["gex"], rel=0.02) and naive["zero_gamma"]["value"] == pytest.approx(row["zero_gamma"], rel=0.002)


def test_a_day_of_the_lake(recorded, tmp_path):
    lake = tmp_path / "lake"
    assert quanticity(tmp_path, "data", "import", recorded, "--symbol", "SPXW", "--date", "2021-01-08", "--lake", lake).returncode == 0
    (session,) = analysed(tmp_path, "spxw", "--lake", lake)["sessions"]
    assert (session["symbol"], session["day"], session["source"]) == ("SPXW", "2021-01-08", "lean")
