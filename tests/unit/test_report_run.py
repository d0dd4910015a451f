"""Loading a run folder: what is checked, and what tables and figures make of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.errors import DataError, DataMissing
from quanticity.core.events import EventKind
from quanticity.reports import figures, tables
from quanticity.reports.layout import LEDGER, PROFILES, SNAPSHOT_COLUMNS, SNAPSHOTS, SUMMARY, write_example
from quanticity.reports.run import Run, chain_of, clock, counted, followed, load_run

BUILDERS = [figures.spot_figure, figures.exposure_figure, figures.strike_figure, figures.strike_map, figures.volatility_figure,
            figures.smile_figure, figures.reasons_figure, figures.pnl_figure, figures.coverage_figure]
TABLES = [tables.headline, tables.signals_table, tables.reasons_table, tables.refusals_table, tables.orders_table, tables.fills_table,
          tables.deliveries_table, tables.messages_table, tables.causality_table, tables.provenance_table, tables.columns_table]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_example(tmp_path / "run")


@pytest.fixture
def run(folder: Path) -> Run:
    return load_run(folder)


@pytest.fixture
def quiet(tmp_path: Path) -> Run:
    return load_run(write_example(tmp_path / "quiet", signals=False))


@pytest.mark.parametrize("name", [LEDGER, SNAPSHOTS, PROFILES, SUMMARY])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataMissing, match=name):
        load_run(folder)


def test_a_broken_ledger_line_is_named_by_number(folder: Path) -> None:
    lines = (folder / LEDGER).read_bytes().splitlines()
    lines[4] = lines[4][:50]
    (folder / LEDGER).write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match="line 5"):
        load_run(folder)


def test_a_ledger_of_another_run_is_refused(folder: Path) -> None:
    lines = (folder / LEDGER).read_bytes().splitlines(keepends=True)
    (folder / LEDGER).write_bytes(b"".join(lines[:-1]))
    with pytest.raises(DataError, match="SHA-256"):
        load_run(folder)


@pytest.mark.parametrize(("name", "content", "told"), [
    (SUMMARY, "[1]", "lacks 'session'"), (SUMMARY, "{", "no[t]? a JSON object"), (SNAPSHOTS, "PAR1", "not a readable Parquet")])
def test_a_broken_file_is_told_in_one_line(folder: Path, name: str, content: str, told: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(DataError, match=told) as error:
        load_run(folder)
    assert "\n" not in str(error.value)


def test_a_missing_column_is_named(folder: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(folder / SNAPSHOTS).drop_columns(["zero_gamma"]), folder / SNAPSHOTS)
    with pytest.raises(DataError, match="'zero_gamma'"):
        load_run(folder)


def test_a_wholly_null_column_reads_as_nan(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(folder / SNAPSHOTS)
    place = table.column_names.index("call_wall")
    pq.write_table(table.set_column(place, "call_wall", pa.nulls(len(table))), folder / SNAPSHOTS)
    run = load_run(folder)
    assert all(value != value for value in run.column("call_wall"))
    assert "call wall" not in [trace.name for trace in figures.spot_figure(run).data]


def test_the_chain_reaches_from_snapshot_to_every_tier(run: Run) -> None:
    for signal in run.of(EventKind.SIGNAL)[:2]:
        stages = chain_of(run, signal)
        assert stages["snapshot"][0] in set(run.snapshots["id"])
        assert len(stages["delivery"]) == 6
        assert {run.by_id[i].data["tier"] for i in stages["delivery"]} == {"premium", "basic", "free"}
        assert set(stages["delivery"]) <= {event.id for event in followed(run, stages["snapshot"][0])}


def test_counts_are_the_ledgers(run: Run) -> None:
    total = counted(run, EventKind.SKIP, EventKind.VETO, EventKind.REFUSAL)
    assert total == dict(sorted(run.summary["reasons"].items(), key=lambda item: (-item[1], item[0])))


def test_times_are_new_york_on_both_sides_of_the_clock_change() -> None:
    assert clock("2021-03-12T14:30:00Z") == "09:30:00"
    assert clock("2021-03-15T13:30:00Z") == "09:30:00"


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_every_figure_names_its_source_or_says_why_not(run: Run, quiet: Run, build: object) -> None:
    figure = build(run)  # type: ignore[operator]
    assert figure.layout.meta["source"] and len(figure.data)
    shown = build(quiet)  # type: ignore[operator]
    assert shown.text.endswith(".") if isinstance(shown, figures.Note) else len(shown.data)


@pytest.mark.parametrize("build", TABLES, ids=lambda build: build.__name__)
def test_every_table_builds_on_a_full_and_on_a_quiet_day(run: Run, quiet: Run, build: object) -> None:
    assert build(run).rows  # type: ignore[operator]
    shown = build(quiet)  # type: ignore[operator]
    assert shown.text if isinstance(shown, figures.Note) else shown.rows


def test_volatility_without_skew_is_one_panel_with_its_times(run: Run) -> None:
    both = figures.volatility_figure(run)
    assert both.layout.yaxis2.title.text == "25-delta skew" and both.layout.xaxis2.title.text == "New York time"
    for name in ("risk_reversal_25", "put_skew_25"):
        run.snapshots[name] = np.full(len(run.times), np.nan)
    alone = figures.volatility_figure(run)
    assert [trace.name for trace in alone.data] == ["at-the-money volatility"] and alone.layout.xaxis.title.text == "New York time"
    assert alone.layout.xaxis.showticklabels is not False and "yaxis2" not in alone.layout.to_plotly_json()
    assert "No 25-delta skew was known all day." in alone.layout.meta["notes"]


def test_a_quiet_day_says_why(quiet: Run) -> None:
    for note in (tables.signals_table(quiet), tables.fills_table(quiet), figures.pnl_figure(quiet)):
        assert "feature missing (166)" in note.text
    notes = figures.spot_figure(quiet).layout.meta["notes"]
    assert notes == ["Zero gamma exists in 0 of 211 snapshots; elsewhere: no open interest (211)."]


def test_a_day_without_snapshots_or_events_draws_nothing_and_breaks_nothing(folder: Path) -> None:
    import pyarrow.parquet as pq

    for name in (SNAPSHOTS, PROFILES):
        pq.write_table(pq.read_table(folder / name).slice(0, 0), folder / name)
    (folder / LEDGER).write_bytes(b"")
    summary = json.loads((folder / SUMMARY).read_text())
    summary["ledger_sha256"] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (folder / SUMMARY).write_text(json.dumps(summary))
    run = load_run(folder)
    assert all(isinstance(build(run), figures.Note) for build in BUILDERS)
    assert [build(run) for build in TABLES]


def test_pnl_drawn_ends_at_the_summarys_net(run: Run) -> None:
    net = {trace.name: trace for trace in figures.pnl_figure(run).data}["net of commission"]
    assert net.y[-1] == pytest.approx(run.summary["pnl"]["net"])


def test_where_a_held_option_had_no_bid_the_pnl_says_so(run: Run) -> None:
    assert list(figures.pnl_figure(run).layout.meta["notes"]) == []
    (note,) = figures.pnl_figure(replace(run, summary={**run.summary, "without_bid": 7})).layout.meta["notes"]
    assert note.startswith(f"In 7 of {len(run.times)} snapshots an option that was held had no bid") and note.endswith("so the line drops, and comes back with the bid.")


def test_the_columns_written_are_the_columns_described(run: Run) -> None:
    assert list(run.snapshots) == list(SNAPSHOT_COLUMNS)


def test_columns_of_names_and_times_are_not_broken_and_those_of_sentences_are() -> None:
    table = tables.Table("t", ("first", "last detail"), (("09:30:00", "one contract costs 1,165 dollars, target 1,000"),), "ll")
    assert '<td class="l n">09:30:00</td>' in table.html() and '<td class="l">one contract' in table.html()


def test_tables_escape_what_the_ledger_holds() -> None:
    table = tables.Table("T", ("a",), (("<script>alert(1)</script>",),), "l")
    assert "<script>" not in table.html()
