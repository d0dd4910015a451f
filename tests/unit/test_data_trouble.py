"""What a person meets with their own data: numbers for moments, a damaged lake, folders that may not be read, other settings, halts."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from quanticity.core.config import ColumnsConfig, DataConfig
from quanticity.core.errors import DataError, DataMissing, UserError
from quanticity.feeds.columns import IMPORTER
from quanticity.feeds.fetch import fetch, pinned_set
from quanticity.feeds.importing import SessionKey, detect, importers, is_there
from quanticity.feeds.recording import read_session, write_session
from quanticity.feeds.simulator import simulate_session
from quanticity.jobs.imports import import_session
from quanticity.jobs.run import _from_lake
from quanticity.market.chain import nanoseconds
from quanticity.market.quality_parameters import QualityParameters
from quanticity.market.tape import NoticeKind, Notices, empty
from quanticity.reports.market_page import market_page
from quanticity.reports.market_terminal import print_market
from quanticity.reports.market_view import gaps, halts
from quanticity.store.archive import Archive

AT = datetime(2026, 1, 12, 14, 31, tzinfo=UTC)  # 9:31 in New York
NS = nanoseconds(AT)
KEY = SessionKey("SPXW", date(2026, 1, 12), "columns")


def table(folder: Path, moments: "pa.Array", name: str = "mine.parquet") -> Path:
    columns = {"timestamp": moments, "occ": ["SPXW260112C06900000", "SPXW260112P06900000"], "bid": [1.0, 1.0], "ask": [1.1, 1.1]}
    if name.endswith(".parquet"):
        pq.write_table(pa.table(columns), folder / name)
    else:
        rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        (folder / name).write_text("\n".join(rows) + "\n")
    return folder / name


@pytest.mark.parametrize(("moments", "name", "holds"), [
    (pa.array([NS, NS]), "mine.parquet", "whole numbers"), (pa.array([NS // 10**9] * 2, pa.int32()), "mine.parquet", "whole numbers"),
    (pa.array([NS / 1e9] * 2), "mine.parquet", "numbers"), (pa.array([NS, NS]).dictionary_encode(), "mine.parquet", "whole numbers"),
    (pa.array([str(NS)] * 2), "mine.parquet", "whole numbers"), ([NS, NS], "mine.csv", "whole numbers"), ([NS // 10**6] * 2, "mine.csv", "whole numbers"),
])
def test_numbers_are_no_moments_until_their_unit_is_said(tmp_path, moments, name, holds):
    path = table(tmp_path, moments, name)
    for read in (lambda: IMPORTER.sessions(path), lambda: IMPORTER.load(path, KEY)):
        with pytest.raises(DataError, match=f"{name}: timestamp holds {holds}; set timestamp_format: s, ms, us or ns") as caught:
            read()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("moments", [
    pa.array([NS, NS], pa.timestamp("ns", "UTC")), pa.array([NS // 1000] * 2, pa.timestamp("us", "America/New_York")),
    pa.array([NS - 5 * 3_600 * 10**9] * 2, pa.timestamp("ns")), pa.array(["2026-01-12T14:31:00Z"] * 2), pa.array(["20260112T093100"] * 2)])
def test_stored_timestamps_and_texts_are_what_they_were(tmp_path, moments):
    path = table(tmp_path, moments)
    assert IMPORTER.load(path, KEY).quotes.ts.tolist() == [NS, NS]
    with_unit = IMPORTER.configured(DataConfig(columns={"mine": {"timestamp_format": "ns", "names": {n: n for n in ("timestamp", "occ", "bid", "ask")}}}))
    assert with_unit.load(table(tmp_path, pa.array([NS, NS])), KEY).quotes.ts.tolist() == [NS, NS]


# ------------------------------------------------------------------------------------------------------------ the lake


@pytest.fixture
def lake(tmp_path: Path) -> Archive:
    """A lake of one small session, imported from a table."""
    archive = Archive(tmp_path / "lake")
    import_session(IMPORTER, table(tmp_path, pa.array(["2026-01-12T14:31:00Z"] * 2)), KEY, archive)
    return archive


@pytest.mark.parametrize("damage", [lambda b: b[:500], lambda b: b"", lambda b: bytes(range(256)), lambda b: b"[]", lambda b: b.replace(b'"SPXW"', b"5")],
                         ids=["cut", "empty", "noise", "list", "number"])
def test_a_session_whose_manifest_is_damaged_is_made_again(lake, tmp_path, damage):
    (manifest,) = Path(lake.files.root).rglob("manifest.json")
    whole = manifest.read_bytes()
    write_session(lake, replace(read_session(lake, KEY), source="other"))
    manifest.write_bytes(damage(whole))
    found, damaged = lake.survey()
    assert [m.source for m in found] == ["other"] and [(d.symbol, d.day, d.source) for d in damaged] == [("SPXW", "2026-01-12", "columns")]
    with pytest.raises(DataError, match="not the manifest of a session"):
        lake.sessions()
    report = import_session(IMPORTER, tmp_path / "mine.parquet", KEY, lake)
    assert report.written and str(report).endswith(", replaces what was there, whose manifest could not be read")
    assert manifest.read_bytes() == whole and len(lake.sessions()) == 2


def test_what_is_there_is_told_beside_a_damaged_session(lake, tmp_path):
    (manifest,) = Path(lake.files.root).rglob("manifest.json")
    write_session(lake, replace(read_session(lake, KEY), source="other"))
    manifest.write_bytes(b"")
    with pytest.raises(DataMissing, match="SPXW is there on 2026-01-12 \\(other\\)"):
        lake.manifest(SessionKey("SPXW", date(2026, 1, 13), "columns"))
    with pytest.raises(DataMissing, match="symbols there: SPXW; quanticity data import brings one in"):
        _from_lake(str(lake.files.root), "GOOG", date(2015, 12, 24))
    with pytest.raises(DataMissing, match="it holds no session yet: quanticity data import brings one in") as caught:
        _from_lake(str(tmp_path / "nowhere"), "GOOG", date(2015, 12, 24))
    assert "none" not in str(caught.value)


def test_the_same_file_with_other_settings_says_what_it_replaces(lake, tmp_path):
    path, told = tmp_path / "mine.parquet", "replaces 09:31 New York, 2 rows, read with other settings"
    assert "replaces" not in str(import_session(IMPORTER, path, KEY, lake))
    assert "replaces" not in str(import_session(IMPORTER, path, KEY, lake, force=True))
    assert "replaces" not in str(import_session(IMPORTER, path, KEY, lake, licence="ours"))
    assert str(import_session(IMPORTER, path, KEY, lake, options={"rate": "0.5"})).endswith(told)
    halved = ColumnsConfig(price_scale=2.0, names={n: n for n in ("timestamp", "occ", "bid", "ask")})
    assert str(import_session(IMPORTER.configured(DataConfig(columns={"mine": halved})), path, KEY, lake, options={"rate": "0.5"})).endswith(told)
    again = import_session(IMPORTER, path, KEY, lake)
    assert again.written and str(again).endswith(told)
    assert not import_session(IMPORTER, path, KEY, lake).written


def test_other_limits_of_quality_are_other_settings(lake, tmp_path):
    from functools import partial

    from quanticity.jobs.imports import admit

    limits = QualityParameters()
    number = next(name for name, value in vars(limits).items() if isinstance(value, float) and value > 0)
    door = partial(admit, parameters=replace(limits, **{number: getattr(limits, number) * 1.5}))
    assert str(import_session(IMPORTER, tmp_path / "mine.parquet", KEY, lake, door=door)).endswith("read with other settings")


# ------------------------------------------------------------------------------------------------------------ permissions


@contextmanager
def nobody() -> Iterator[None]:
    """As a user who may not do everything."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path):
    shut = tmp_path / "shut"
    shut.mkdir(mode=0)
    try:
        with nobody():
            for look in (lambda: Archive(shut).sessions(), lambda: Archive(shut / "lake").survey(), lambda: is_there(shut), lambda: is_there(shut / "a.csv"),
                         lambda: detect(shut, importers({}))):
                with pytest.raises(DataError, match="cannot be read|cannot read") as caught:
                    look()
                assert "Permission denied" in str(caught.value) and str(caught.value).endswith("permissions")
    finally:
        shut.chmod(0o700)


def test_a_mirror_is_one_of_the_web(tmp_path):
    for url in ("ftp://x/", "x", ""):
        with pytest.raises(UserError, match="it begins with http:// or https://"):
            fetch(pinned_set("lean"), tmp_path, base_url=url)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------ halts


def test_a_halt_is_named_and_so_is_the_news():
    day = simulate_session(7)
    opens = nanoseconds(day.opens)
    minute = 60 * 10**9
    stop, go = opens + 30 * minute, opens + 45 * minute
    silent = {name: tape.where((tape.ts <= stop) | (tape.ts > go)) for name, tape in day.tapes().items() if name != "notices" and len(tape)}
    notices = Notices(ts=np.array([stop, go, opens + 60 * minute]), kind=np.array([NoticeKind.HALT, NoticeKind.RESUME, NoticeKind.SCHEDULED_NEWS]))
    halted = replace(day, **silent, notices=notices)
    assert halts(halted) == ((stop, go),) and halts(replace(halted, notices=notices.rows(0, 1))) == ((stop, nanoseconds(day.closes)),)
    assert [g.tape for g in gaps(halted) if g.halted] and all(g.halted == (g.start <= stop + minute and g.end >= go) for g in gaps(halted))
    assert not any(g.halted for g in gaps(replace(halted, notices=empty(Notices))))
    print_market(halted, Console(file=(out := io.StringIO()), width=100, no_color=True))
    page = market_page(halted)
    for text in ("option quotes, halted", "trading halted", "10:15:00", "trading resumed", "scheduled news", "licence: not known"):
        assert text in out.getvalue() and text in page, text
