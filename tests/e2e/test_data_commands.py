"""`quanticity data` as a user runs it: files in, a lake of sessions, looked at, replayed."""

import gzip
import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from quanticity.feeds.importing import SessionKey
from quanticity.feeds.recording import read_session, write_session
from quanticity.store.archive import Archive

from ..contract.samples import write_cboe_csv
from .support import COMMAND, environment, one_line, quanticity

@pytest.fixture(scope="module")
def lake(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home folder, and a lake in it with the recorded half day of GOOG and a day of SPXW."""
    home = tmp_path_factory.mktemp("home")
    for symbol, day in (("GOOG", "2015-12-24"), ("SPXW", "2021-01-08")):
        done = quanticity(home, "data", "import", recorded, "--symbol", symbol, "--date", day, "--lake", home / "lake", "--licence", "Apache-2.0")
        assert done.returncode == 0, done.stderr
        assert f"{symbol} {day} (lean)" in done.stdout
    return home, home / "lake"


def test_help_teaches(tmp_path):
    page = quanticity(tmp_path, "data", "--help").stdout
    for command in ("import", "list", "show", "fetch", "quality", "remove"):
        assert command in page
        assert quanticity(tmp_path, "data", command, "--help").returncode == 0


def test_what_was_imported_is_listed_with_its_worth(lake):
    home, folder = lake
    done = quanticity(home, "data", "list", "--lake", folder)
    assert done.returncode == 0 and "275,387" in done.stdout and "Apache-2.0" in done.stdout
    rows = json.loads(quanticity(home, "data", "list", "--lake", folder, "--json").stdout)["sessions"]
    assert [(r["symbol"], r["day"], r["source"]) for r in rows] == [("GOOG", "2015-12-24", "lean"), ("SPXW", "2021-01-08", "lean")]
    assert all(0 < r["quality"] <= 1 and len(r["session_digest"]) == 64 for r in rows)


def test_a_day_of_a_stock_alone_has_its_rows_and_the_licence_of_its_files(recorded, tmp_path):
    done = quanticity(tmp_path, "data", "import", recorded, "--symbol", "IBM", "--date", "2013-10-08", "--lake", tmp_path / "lake")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("importing 1 session (lean)") and lines[1].startswith("  IBM 2013-10-08 (lean): 94,565 rows")  # one stream, in order
    (row,) = json.loads(quanticity(tmp_path, "data", "list", "--lake", tmp_path / "lake", "--json").stdout)["sessions"]
    assert (row["contracts"], row["quotes"], row["rows"], row["underlying"]) == (0, 0, 94_565, 94_565)
    assert row["licence"] == "Apache-2.0, data from AlgoSeek"  # nobody said so: the files are known by their hashes
    for columns in ("80", "160"):
        listed = quanticity(tmp_path, "data", "list", "--lake", tmp_path / "lake", COLUMNS=columns).stdout
        assert "94,565" in listed and "Apache-2.0, data from AlgoSeek" in listed and max(map(len, listed.splitlines())) <= int(columns)
    shown = quanticity(tmp_path, "data", "show", "IBM", "--lake", tmp_path / "lake", "--html", tmp_path / "ibm.html").stdout
    assert "0 contracts, 94,565 rows of the underlying, quality" in shown
    assert "licence: Apache-2.0, data from AlgoSeek" in shown and "Apache-2.0, data from AlgoSeek" in (tmp_path / "ibm.html").read_text()


def test_a_licence_that_is_said_or_not_known(tmp_path):
    lake = mine(tmp_path)
    assert "licence: not known (all)" in quanticity(tmp_path, "data", "list", "--lake", lake, COLUMNS="80").stdout
    (manifest,) = lake.rglob("manifest.json")
    assert json.loads(manifest.read_text())["attributes"]["licence"] == "" and json.loads(manifest.read_text())["attributes"]["chains"] == ["quotes"]


def test_importing_again_changes_nothing(lake, recorded):
    home, folder = lake
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    done = quanticity(home, "data", "import", recorded, "--symbol", "GOOG", "--date", "2015-12-24", "--lake", folder)
    assert done.returncode == 0 and "already there" in done.stdout
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_replay_of_the_lake_is_that_of_the_files(lake, recorded):
    home, folder = lake
    for source, data in (("lake", folder), ("lean", recorded)):
        done = quanticity(home, "replay", "--source", source, "--data", data, "--symbol", "GOOG", "--date", "2015-12-24", "--out", home / f"run-{source}", "--no-report")
        assert done.returncode == 0, done.stderr
    assert (home / "run-lake/ledger.jsonl").read_bytes() == (home / "run-lean/ledger.jsonl").read_bytes() != b""


def test_show_draws_the_day_and_writes_the_page(lake):
    home, folder = lake
    done = quanticity(home, "data", "show", "goog", "2015-12-24", "--lake", folder, "--html", home / "goog.html", COLUMNS="110")
    assert done.returncode == 0, done.stderr
    for text in ("GOOG Thursday 2015-12-24, 09:30 to 13:00 New York", "Expiries", "Quote rows by strike", "What the door found", "outside session"):
        assert text in done.stdout
    assert "\x1b[" not in done.stdout  # no colours in a pipe
    page = (home / "goog.html").read_text()
    assert page.count('class="plotly-graph-div"') == 4 and "outside session" in page


def test_show_takes_a_file_that_was_not_imported(recorded, tmp_path):
    done = quanticity(tmp_path, "data", "show", recorded, "2021-01-08", "--symbol", "SPXW")
    assert done.returncode == 0 and "SPXW Friday 2021-01-08" in done.stdout
    line = one_line(quanticity(tmp_path, "data", "show", recorded))
    assert "holds 12 sessions" in line and "--symbol and --date" in line


def test_quality_counts_and_lists(lake):
    home, folder = lake
    done = quanticity(home, "data", "quality", "SPXW", "2021-01-08", "--lake", folder, "--most", "3")
    assert done.returncode == 0 and "refused" in done.stdout and "crossed quote" in done.stdout and "more: --most lists them" in done.stdout
    record = json.loads(quanticity(home, "data", "quality", "SPXW", "--lake", folder, "--json", "--most", "5").stdout)
    assert record["refused"]["crossed_quote"] == 48 and len(record["findings"]) == 5 and 0 < record["score"] <= 1


def test_quality_lists_a_few_of_each_reason_or_one_reason(lake):
    home, folder = lake
    lines = [line for line in quanticity(home, "data", "quality", "GOOG", "--lake", folder).stdout.splitlines() if line.endswith((", refused", ", noted"))]
    assert len(lines) == 20 and sum("off quote" in line and line.endswith("refused") for line in lines) == 3
    assert all(line.endswith("refused") for line in lines[:6]) and all(line.endswith("noted") for line in lines[6:])
    assert lines[0].endswith("outside session 1 minute (limit 0 minutes), refused")
    done = quanticity(home, "data", "quality", "GOOG", "--lake", folder, "--reason", "off-quote", "--most", "5").stdout
    lines = [line for line in done.splitlines() if line.endswith((", refused", ", noted"))]
    assert [line.rsplit(", ", 1)[1] for line in lines] == ["refused"] * 3 + ["noted"] * 2 and "  and 2 more: --most lists them\n" in done
    assert lines[0].endswith("off quote 2.15 dollars (limit 0.75 dollars), refused")
    record = json.loads(quanticity(home, "data", "quality", "GOOG", "--lake", folder, "--reason", "gap", "--json").stdout)
    assert record["findings"] == [] and record["refused"] == {"outside_session": 166, "off_quote": 3}
    assert "no row is refused or noted as gap" in quanticity(home, "data", "quality", "GOOG", "--lake", folder, "--reason", "gap").stdout
    line = one_line(quanticity(home, "data", "quality", "GOOG", "--lake", folder, "--reason", "off_qoute"))
    assert "--reason off_qoute: the door knows no such reason; it knows above_bound, " in line and "off_quote" in line


def test_a_table_of_ones_own_comes_in_by_its_mapping(tmp_path):
    rows = ["when,contract,bid,ask,bid_size,ask_size"]
    for minute in range(10):
        rows += [f"2026-03-20T14:{30 + minute}:00Z,XYZ260320{right}00100000,{1 + minute / 100:.2f},{1.1 + minute / 100:.2f},5,7" for right in "CP"]
    (tmp_path / "mine.csv").write_text("\n".join(rows) + "\n")
    done = quanticity(tmp_path, "data", "import", tmp_path / "mine.csv", "--lake", tmp_path / "lake", "--option", "rate=0.04",
                      QUANTICITY_DATA__COLUMNS=json.dumps({"mine": {"files": "*.csv", "names": {
                          "timestamp": "when", "occ": "contract", "bid": "bid", "ask": "ask", "bid_size": "bid_size", "ask_size": "ask_size"}}}))
    assert done.returncode == 0, done.stderr
    listed = json.loads(quanticity(tmp_path, "data", "list", "--lake", tmp_path / "lake", "--json").stdout)["sessions"]
    assert [(r["symbol"], r["day"], r["contracts"], r["quotes"]) for r in listed] == [("XYZ", "2026-03-20", 2, 20)]
    assert listed[0]["refused"] == 0  # it starts an hour after the open: late, not wrong


def mine(folder: Path, source: str = "mine") -> Path:
    """A small table in a lake under a folder, as two sources where asked for again."""
    rows = ["when,contract,bid,ask,bid_size,ask_size"]
    rows += [f"2026-03-20T13:{31 + minute}:00Z,XYZ260320{right}00100000,1.00,1.10,5,7" for minute in range(10) for right in "CP"]
    (folder / "mine.csv").write_text("\n".join(rows) + "\n")
    done = quanticity(folder, "data", "import", folder / "mine.csv", "--lake", folder / "lake", "--option", "rate=0.04", QUANTICITY_DATA__COLUMNS=json.dumps(
        {source: {"files": "*.csv", "names": {"timestamp": "when", "occ": "contract", "bid": "bid", "ask": "ask", "bid_size": "bid_size", "ask_size": "ask_size"}}}))
    assert done.returncode == 0, done.stderr
    return folder / "lake"


def test_a_session_is_removed_whole_and_only_when_it_is_meant(tmp_path):
    lake = mine(tmp_path)
    assert "removing asks first" in one_line(quanticity(tmp_path, "data", "remove", "XYZ", "2026-03-20", "--lake", lake))
    assert list(lake.rglob("*.parquet"))
    (manifest,) = lake.rglob("manifest.json")
    manifest.write_text("{")  # what is damaged can be removed too
    done = quanticity(tmp_path, "data", "remove", "xyz", "2026-03-20", "--lake", lake, "--yes")
    assert done.returncode == 0 and "XYZ 2026-03-20" in done.stdout and "removed" in done.stdout
    assert [p for p in lake.rglob("*") if p.is_file() and not p.name.endswith(".lock")] == []
    assert "no session of XYZ on 2026-03-20" in one_line(quanticity(tmp_path, "data", "remove", "XYZ", "2026-03-20", "--lake", lake, "--yes"))
    assert mine(tmp_path) == lake and list(lake.rglob("manifest.json"))  # and brought in again


def test_the_page_is_written_though_nobody_reads_to_the_end(tmp_path):
    lake = mine(tmp_path)
    command = f"'{COMMAND}' data show XYZ 2026-03-20 --lake '{lake}' --html '{tmp_path / 'page.html'}' | head -n 1"
    done = subprocess.run(["bash", "-c", command], env=environment(tmp_path), capture_output=True, text=True, timeout=60)
    assert "plotly-graph-div" in (tmp_path / "page.html").read_text(), done.stderr


def test_an_empty_lake_says_how_to_fill_it(tmp_path):
    done = quanticity(tmp_path, "data", "list", "--lake", tmp_path / "nowhere")
    assert done.returncode == 0 and "quanticity data import" in done.stdout


def test_a_session_that_is_not_there_says_what_is_there(tmp_path):
    line = one_line(quanticity(tmp_path, "data", "show", "GOOG", "2015-12-24", "--lake", tmp_path / "nowhere"))
    assert line.endswith("it holds no session yet: quanticity data import brings some in, quanticity data fetch gets public ones") and "none" not in line
    lake = mine(tmp_path)
    line = one_line(quanticity(tmp_path, "analyze", "GOOG", "--lake", lake))
    assert "no session of GOOG in" in line and line.endswith("symbols there: XYZ; quanticity data import brings one in")
    line = one_line(quanticity(tmp_path, "data", "quality", "XYZ", "2026-03-23", "--lake", lake))
    assert line.endswith("days there: 2026-03-20; quanticity data import brings one in")
    line = one_line(quanticity(tmp_path, "data", "quality", "XYZ", "--source", "lean", "--lake", lake))
    assert "no session of XYZ from lean in" in line and line.endswith("days there: 2026-03-20 columns; quanticity data import brings one in")


def test_a_source_chooses_among_those_of_a_folder(tmp_path):
    lake = mine(tmp_path)
    archive = Archive(str(lake))
    write_session(archive, replace(read_session(archive, SessionKey("XYZ", date(2026, 3, 20), "columns")), source="desk"))
    line = one_line(quanticity(tmp_path, "data", "quality", lake))
    assert line.endswith("say which with --symbol, --date and --source: XYZ 2026-03-20 columns, XYZ 2026-03-20 desk")
    done = quanticity(tmp_path, "data", "quality", lake, "--source", "desk", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["source"] == "desk", done.stderr
    (session,) = json.loads(quanticity(tmp_path, "analyze", lake, "--source", "desk", "--draws", "0", "--json").stdout)["sessions"]
    assert session["source"] == "desk"
    line = one_line(quanticity(tmp_path, "data", "show", lake, "--source", "lean"))
    assert "no session from lean; it holds: XYZ 2026-03-20 columns, XYZ 2026-03-20 desk" in line


@pytest.mark.parametrize("left", [500, 0])
def test_a_damaged_session_is_named_beside_the_others_and_made_again(tmp_path, left):
    lake = mine(tmp_path)
    (manifest,) = lake.rglob("manifest.json")
    archive = Archive(str(lake))
    write_session(archive, replace(read_session(archive, SessionKey("XYZ", date(2026, 3, 20), "columns")), source="desk"))
    manifest.write_bytes(manifest.read_bytes()[:left])
    done = quanticity(tmp_path, "data", "list", "--lake", lake)
    line = one_line(done)
    assert "desk" in done.stdout and "columns" not in done.stdout
    assert line.startswith("quanticity: XYZ 2026-03-20 (columns): ") and "not the manifest of a session; import it again from its source, or " in line
    assert line.endswith("quanticity data remove XYZ 2026-03-20 --source columns takes it out")
    done = quanticity(tmp_path, "data", "list", "--lake", lake, "--json")
    shown = json.loads(done.stdout)
    assert done.returncode == 2 and [s["source"] for s in shown["sessions"]] == ["desk"] and shown["unreadable"][0]["session"] == "XYZ 2026-03-20 (columns)"
    assert mine(tmp_path) == lake  # as the line says
    done = quanticity(tmp_path, "data", "list", "--lake", lake, COLUMNS="200")
    assert done.returncode == 0 and done.stdout.count("XYZ") == 2 and done.stdout.count("not known") == 2


def test_the_same_file_under_another_mapping_says_what_it_replaces(tmp_path):
    lake, names = mine(tmp_path), {"timestamp": "when", "occ": "contract", "bid": "bid", "ask": "ask"}
    done = quanticity(tmp_path, "data", "import", tmp_path / "mine.csv", "--lake", lake, QUANTICITY_DATA__COLUMNS=json.dumps({"mine": {"names": names}}))
    assert done.returncode == 0 and ", replaces 09:31 to 09:40 New York, 20 rows, read with other settings" in done.stdout


def test_what_a_lake_is_not_and_what_it_does_not_hold(tmp_path):
    lake = mine(tmp_path)
    done = quanticity(tmp_path, "data", "list", "--symbol", "NOPE", "--lake", lake)
    assert done.returncode == 0 and done.stdout.startswith("  no sessions of NOPE in ") and "symbols there: XYZ; quanticity data import" in done.stdout
    for command in (("list",), ("show", "XYZ"), ("import", tmp_path / "mine.csv", "--format", "columns")):
        with_lake = quanticity(tmp_path, "data", *command, "--lake", tmp_path / "mine.csv", QUANTICITY_DATA__COLUMNS=json.dumps(
            {"mine": {"names": {"timestamp": "when", "occ": "contract", "bid": "bid", "ask": "ask"}}}))
        assert "mine.csv: a file, and a lake is a folder; name a folder with --lake" in one_line(with_lake, after="importing")


@pytest.mark.parametrize("page", ["", ".", "..", "folder"])
def test_a_page_is_a_file(tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    line = one_line(quanticity(tmp_path, "data", "show", "SPXW", "--html", page))
    assert line.startswith("quanticity: --html ") and line.endswith("a folder, or no name; name a file, e.g. goog.html")


def test_where_a_column_mapping_belongs_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_bytes(b"when,what,b,a\n1,2,3,4\n")
    for name in ("settings.ini", "pyproject.toml"):  # a project of one's own
        (tmp_path / name).touch()
    for more in ((), ("--format", "columns")):
        line = one_line(quanticity(tmp_path, "data", "import", "mine.csv", *more))
        assert "add one to data.columns in config/config.yaml (none was read: the defaults apply); docs/guides/data.md" in line
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("market: {rate: 0.03}\n")
    for more in ((), ("--format", "columns")):
        assert "config/config.yaml; docs/guides/data.md" in one_line(quanticity(tmp_path, "data", "import", "mine.csv", *more))
    (tmp_path / "config" / "config.yaml").write_text("data: {columns: {desk: {names: {timestamp: when, occ: what, bid: b, ask: x}}}}\n")
    line = one_line(quanticity(tmp_path, "data", "import", "mine.csv"))
    assert "no column 'x', which data.columns.desk names; mend the mapping, or add one to data.columns in " in line and "config/config.yaml; docs" in line


@pytest.mark.parametrize(("arguments", "says"), [
    (("data", "import", "nowhere.csv"), "no such file or folder: nowhere.csv"),
    (("data", "show", "GOOG", "2015-12-24", "--lake", "empty"), "no session of GOOG on 2015-12-24 in"),
    (("data", "show", "GOOG", "24.12.2015"), "wants a day as YYYY-MM-DD"),
    (("data", "remove", "GOOG", "24.12.2015"), "wants a day as YYYY-MM-DD"),
    (("data", "remove", "../GOOG", "2015-12-24", "--lake", "empty"), "'../GOOG' is no symbol"),
    (("data", "fetch", "nasdaq"), "there are: lean, vix"),
    (("data", "import", "empty.csv"), "an empty file"),
    (("data", "import", "noise.bin"), "not a format that is known"),
    (("data", "import", "bomb.zip"), "times as many (member 'quotes.csv' alone to 83,886,080), as a zip bomb does"),
    (("data", "show", "bomb.zip"), "as a zip bomb does"),
    (("data", "import", "up.zip"), "a member is called '../../quotes.csv', which leads out of its folder"),
    (("data", "import", "noise.bin", "--format", "tape"), "no such format"),
    (("data", "import", "noise.bin", "--format", "columns", "-o", "mapping"), "expected NAME=VALUE"),
    (("replay", "--source", "lake", "--data", "empty", "--symbol", "GOOG", "--date", "2015-12-24"), "no session of GOOG on 2015-12-24"),
    (("replay", "--source", "lake", "--symbol", "GOOG"), "source lake needs --date"),
])
def test_bad_input_is_one_line(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "noise.bin").write_bytes(gzip.compress(b"noise" * 100))
    for name, member, body in (("bomb.zip", "quotes.csv", bytes(80 << 20) if "bomb.zip" in arguments else b""), ("up.zip", "../../quotes.csv", b"1,2\n")):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr(member, body)
    line = one_line(quanticity(tmp_path, *arguments))
    assert line.startswith("quanticity: ") and says in line


def test_a_broken_file_among_good_ones_is_told_and_the_others_go_on(recorded, tmp_path):
    data = tmp_path / "lean/Data"
    for kind in ("index", "indexoption"):
        shutil.copytree(recorded / "lean/Data" / kind, data / kind)
    for path in data.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    broken = data / "indexoption/usa/minute/spxw/20210106_quote_european.zip"
    broken.write_bytes(broken.read_bytes()[:1000])
    done = quanticity(tmp_path, "data", "import", tmp_path, "--symbol", "SPXW", "--lake", tmp_path / "lake")
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("quanticity: ")]
    assert len(lines) == 1 and "20210106_quote_european.zip: not a whole zip file" in lines[0]
    lines = done.stdout.splitlines()
    assert sum(line.startswith("  SPXW 2021-01-0") for line in lines) == 4
    assert lines[-1].startswith("  4 of 5 sessions imported: SPXW 2021-01-04 (lean), ") and lines[-1].endswith("; not imported: SPXW 2021-01-06 (lean)")


def chains(folder: Path) -> tuple[Path, Path]:
    """Cboe's page of one day, saved twice: at 1:29 PM, and an hour later with other prices. SPX and SPXW are in both."""
    early = write_cboe_csv(folder)
    late = folder / "spx_quotedata (1).csv"
    late.write_text(early.read_text().replace("at 1:29 PM", "at 2:29 PM").replace("Last: ", "Last:  "))
    return early, late


def kept(lake: Path) -> dict[str, bytes]:
    return {p.relative_to(lake).as_posix(): p.read_bytes() for p in lake.rglob("*") if p.is_file()}


def test_a_later_chain_of_the_day_replaces_the_earlier_only_when_that_is_meant(tmp_path):
    (early, late), lake = chains(tmp_path), tmp_path / "lake"
    done = quanticity(tmp_path, "data", "import", early, "--lake", lake, "--licence", "of the first")
    assert done.returncode == 0 and "replaces" not in done.stdout, done.stderr
    before = kept(lake)
    count = len(json.loads(quanticity(tmp_path, "data", "list", "--lake", lake, "--json").stdout)["sessions"])
    for more in ((), ("--force",), ("--licence", "of the second")):
        line = one_line(quanticity(tmp_path, "data", "import", late, "--lake", lake, *more))
        assert line.count("is in the lake from other files (13:14 New York, ") == count and line.endswith("; --replace puts what is imported in its place")
        assert "SPX 2026-01-12 (cboe)" in line or "SPXW 2026-01-12 (cboe)" in line
        assert kept(lake) == before
    again = quanticity(tmp_path, "data", "import", early, "--lake", lake)  # the same file: as ever
    assert again.returncode == 0 and again.stdout.count("already there") == count and kept(lake) == before
    done = quanticity(tmp_path, "data", "import", late, "--lake", lake, "--replace")
    assert done.returncode == 0 and done.stdout.count(", replaces 13:14 New York, ") == count, done.stderr
    after = kept(lake)
    assert after != before and not any(b"of the first" in content for name, content in after.items() if name.endswith("manifest.json"))
    fresh = quanticity(tmp_path, "data", "import", late, "--lake", tmp_path / "fresh")
    assert fresh.returncode == 0 and kept(tmp_path / "fresh") == after
    done = quanticity(tmp_path, "data", "import", late, "--lake", lake, "--replace")
    assert done.returncode == 0 and "replaces" not in done.stdout and kept(lake) == after
    assert "14:14 New York" in one_line(quanticity(tmp_path, "data", "import", early, "--lake", lake))


def test_what_is_wrong_with_a_file_of_two_sessions_is_told_once(tmp_path):
    path = write_cboe_csv(tmp_path, bid="BID")
    line = one_line(quanticity(tmp_path, "data", "import", path, "--lake", tmp_path / "lake"))
    assert "BID" in line and not list((tmp_path / "lake").rglob("manifest.json"))


def test_fewer_findings_than_none_are_refused(tmp_path):
    assert "'--most': got '-3', wants a number of at least 0; see" in one_line(quanticity(tmp_path, "data", "quality", "GOOG", "--most", "-3"))
    assert "'--most': got 'few', wants a whole number; see" in one_line(quanticity(tmp_path, "data", "quality", "GOOG", "--most=few"))


@pytest.mark.parametrize(("arguments", "says"), [
    (("remove", "A B", "2026-01-12"), "'A B' is no symbol; a symbol is 1 to 6 capital letters or digits"),
    (("remove", "../../EVIL", "2026-01-12"), "'../../EVIL' is no symbol"),
    (("show", "A B"), "no such file or folder: A B, and it is no option root"),
    (("quality", "nosuchfile.csv"), "no such file or folder: nosuchfile.csv, and it is no option root"),
])
def test_what_is_neither_a_file_nor_a_root(tmp_path, arguments, says):
    assert says in one_line(quanticity(tmp_path, "data", *arguments))


@pytest.mark.parametrize(("name", "body", "says"), [
    ("chart.csv", b"\x89PNG\r\n\x1a\n" + bytes(100), "chart.csv: a picture (PNG), not a format that is known; save the table itself"),
    ("cut.parquet", b"PAR1" + bytes(3000), "cut.parquet: not a whole Parquet file (truncated or corrupt, 3,004 bytes)"),
    ("wide.csv", b"a," * 1_000_000, "its first line has 524,289 columns or more, at most 2,000 are read"),
    ("mine.csv", b"when,what,b,a\n1,2,3,4\n", "no column mapping fits its columns when, what, b, a; add one to data.columns"),
    ("page.csv", b"<!DOCTYPE html><html></html>", "a web page (HTML), not a format that is known"),
    ("none.csv", b"timestamp,occ,bid,ask\n", "none.csv: a header and no row after it"),
    ("20210106_quote_european.zip", b"PK", "one file of LEAN's data; name the folder of all of it"),
])
def test_a_file_that_is_no_format_is_told_what_it_seems_to_be(tmp_path, name, body, says):
    (tmp_path / name).write_bytes(body)
    assert says in one_line(quanticity(tmp_path, "data", "import", tmp_path / name, "--lake", tmp_path / "lake"))


def test_a_page_of_cboe_without_its_head_is_told_so(tmp_path):
    path = write_cboe_csv(tmp_path)
    text = path.read_text()
    path.write_text("\n".join(text.splitlines()[4:]))
    assert "looks like the rows of Cboe's quotedata without the lines above them" in one_line(quanticity(tmp_path, "data", "import", path))
    path.write_text("\n".join(text.splitlines()[:3]))
    assert "looks like Cboe's quotedata, cut off before its first row" in one_line(quanticity(tmp_path, "data", "import", path))
    path.write_text("\n".join(text.splitlines()[:4]) + "\n")
    assert "a header and no row after it; the file is cut, or was saved before" in one_line(quanticity(tmp_path, "data", "import", path))
