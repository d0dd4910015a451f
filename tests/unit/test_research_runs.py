"""A run folder in the notebook: frames and the way back to the market."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from quanticity.core.errors import DataError, DataMissing
from quanticity.core.events import EventKind
from quanticity.reports.layout import write_example
from quanticity.reports.run import Run, load_run
from quanticity.research.runs import ledger_frame, snapshots_frame, trace, tree


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return load_run(write_example(tmp_path_factory.mktemp("run")))


def test_the_ledger_is_a_row_a_line(run):
    frame = ledger_frame(run)
    assert len(frame) == len(run.events) and frame["id"].tolist() == [e.id for e in run.events]
    assert frame["kind"].value_counts().to_dict() == {k: v for k, v in run.summary["counts"].items() if v}
    assert frame["ts"].iloc[0] == datetime(2015, 12, 24, 14, 30, tzinfo=UTC) and frame["ts"].is_monotonic_increasing
    assert all(isinstance(c, tuple) for c in frame["cause"])
    fills = frame[frame["kind"] == "fill"]
    assert fills["price"].tolist() == [e.data["price"] for e in run.of(EventKind.FILL)] and set(fills["side"]) == {"buy", "sell"}
    assert "contract" not in frame.columns  # nested data stays in the events


def test_a_run_without_lines_gives_an_empty_table_with_its_columns(run):
    empty = Run(run.folder, run.summary, (), run.snapshots, run.profiles, run.files)
    frame = ledger_frame(empty)
    assert len(frame) == 0 and list(frame.columns) == ["ts", "kind", "id", "cause"]


def test_snapshots_are_by_new_york_time(run):
    frame = snapshots_frame(run)
    assert len(frame) == 211 and str(frame.index.tz) == "America/New_York" and frame.index.name == "time"
    assert f"{frame.index[0]:%H:%M}" == "09:30" and f"{frame.index[-1]:%H:%M}" == "13:00"
    assert frame["spot"].between(740, 760).all() and frame["zero_gamma"].isna().sum() == 12


def test_a_delivery_walks_back_to_the_market(run):
    delivery = run.of(EventKind.DELIVERY)[-1]
    found = trace(run, delivery.id)
    kinds = [e.kind.value if e else "snapshot" for _, e in found]
    assert kinds[:2] == ["message", "fill"] and kinds[-1] == "snapshot" and {"order", "signal", "proposal"} <= set(kinds)
    assert len({i for i, _ in found}) == len(found)
    assert [i for i, e in found if e is None] == [i for i, e in found if i in set(run.snapshots["id"])]


def test_the_tree_draws_it_deepest_last(run):
    delivery = run.of(EventKind.DELIVERY)[0]
    lines = tree(run, delivery.id).splitlines()
    assert lines[0] == f"delivery  {delivery.id}" and lines[1].startswith("  message  msg:") and lines[2].startswith("    fill  ")
    assert {line.split()[1] for line in lines[1:]} == {i for i, _ in trace(run, delivery.id)}
    assert any(line.split()[0] == "snapshot" for line in lines)


def test_a_skip_comes_straight_from_a_snapshot(run):
    skip = run.of(EventKind.SKIP)[0]
    assert trace(run, skip.id) == [(skip.cause[0], None)] and tree(run, skip.id) == f"skip  {skip.id}\n  snapshot  {skip.cause[0]}"


def test_the_quiet_day_loads_too(tmp_path):
    quiet = load_run(write_example(tmp_path / "quiet", signals=False))
    assert set(ledger_frame(quiet)["kind"]) == {"skip"} and snapshots_frame(quiet)["zero_gamma"].isna().all()


def test_a_folder_that_is_none_or_was_changed_is_refused(tmp_path):
    with pytest.raises(DataMissing, match="no such run folder"):
        load_run(tmp_path / "nowhere")
    folder: Path = write_example(tmp_path / "changed")
    with (folder / "ledger.jsonl").open("ab") as ledger:
        ledger.write((folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(DataError, match="is not the ledger"):
        load_run(folder)


def test_what_no_ledger_holds_has_no_trace(run):
    with pytest.raises(KeyError, match="nobody"):
        trace(run, "nobody")


def test_what_no_ledger_holds_has_no_tree(run):
    with pytest.raises(KeyError, match="nobody"):
        tree(run, "nobody")
