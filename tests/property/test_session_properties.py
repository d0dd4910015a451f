"""Sessions and the lake: how rows are ordered and cut does not change a session's hash; storing is exact and idempotent, whatever the values."""

import tempfile
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import quanticity.store.parquet as parquet
from quanticity.feeds.importing import SessionKey
from quanticity.feeds.recording import Recorder, read_session, recover, write_session
from quanticity.feeds.session_tables import Refused, tape_kinds
from quanticity.market.chain import Contracts, nanoseconds
from quanticity.market.session import MarketSession, batches, session_digest
from quanticity.market.tape import Tape
from quanticity.store.archive import Archive

OPENS = datetime(2021, 1, 4, 14, 30, tzinfo=UTC)
T0, MINUTE, CONTRACTS = nanoseconds(OPENS), 60_000_000_000, 5
KEY = SessionKey("XYZ", date(2021, 1, 4), "sim")
FLOATS = st.floats(width=64, allow_nan=True, allow_infinity=True, allow_subnormal=True)
SEEDS = st.integers(0, 1 << 32)


def tape(kind: type[Tape], rows: int, rng: np.random.Generator, pool: npt.NDArray[np.float64]) -> Any:
    """Rows in order of time with few distinct moments, contracts and values: ties are what can go wrong."""
    columns: dict[str, Any] = {"ts": np.sort(T0 + rng.integers(0, 6, rows) * MINUTE)}
    for f in fields(kind)[1:]:
        columns[f.name] = rng.integers(0, CONTRACTS, rows) if f.name in ("index", "level", "kind") else rng.choice(pool, rows)
    return kind.as_arrived(**columns)


@st.composite
def sessions(draw: Any) -> MarketSession:
    rng, pool = np.random.default_rng(draw(SEEDS)), np.array(draw(st.lists(FLOATS, min_size=1, max_size=6)))
    tapes = {name: tape(kind, draw(st.integers(0, 30)), rng, pool) for name, kind in tape_kinds().items()}
    listed = Contracts("XYZ", "XYZ", np.array([90.0, 90.0, 95.0, 100.0, 100.0]), np.array([18632, 18632, 18632, 18632, 18639]),
                       T0 + np.arange(1, 6) * 86_400_000_000_000, np.array([True, False, True, True, True]), np.full(CONTRACTS, 100.0))
    return MarketSession(source="sim", date=KEY.day, opens=OPENS, closes=OPENS + timedelta(minutes=6), contracts=listed, rate=draw(FLOATS), dividend=0.0,
                         open_interest=rng.choice(pool, CONTRACTS), prior_volatility=rng.choice(pool, CONTRACTS), level_names=("A", "B", "C", "D", "E"), **tapes)


def shuffled(session: MarketSession, rng: np.random.Generator) -> MarketSession:
    """The same session with the rows of each moment, and the contracts, in another order."""
    order = rng.permutation(CONTRACTS)
    place = np.argsort(order)
    c = session.contracts
    listed = replace(c, **{n: getattr(c, n)[order] for n in ("strike", "expiry_day", "expires_at", "is_call", "multiplier")})
    tapes: dict[str, Any] = {}
    for name, whole in session.tapes().items():
        rows = np.lexsort((rng.random(len(whole)), whole.ts))
        columns = {f.name: getattr(whole, f.name)[rows] for f in fields(whole)}
        if name in ("quotes", "trades", "published"):
            columns["index"] = place[columns["index"]]
        tapes[name] = type(whole).as_arrived(**columns)
    return replace(session, contracts=listed, open_interest=session.open_interest[order], prior_volatility=session.prior_volatility[order], **tapes)


def bits(session: MarketSession) -> list[Any]:
    out: list[Any] = [session.contracts.strike.tobytes(), session.open_interest.tobytes(), session.prior_volatility.tobytes()]
    return out + [getattr(t, f.name).tobytes() for t in session.tapes().values() for f in fields(t)]


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@given(sessions(), SEEDS)
@settings(max_examples=60)
def test_order_of_rows_and_contracts_does_not_change_the_hash(session: MarketSession, seed: int) -> None:
    assert session_digest(shuffled(session, np.random.default_rng(seed))) == session_digest(session)


@given(sessions(), st.integers(0, 9), SEEDS)
@settings(max_examples=60)
def test_another_value_changes_the_hash(session: MarketSession, which: int, seed: int) -> None:
    """The guard of the other properties: any one value of any tape counts."""
    tapes = [(name, t) for name, t in session.tapes().items() if len(t)]
    if tapes:
        name, whole = tapes[which % len(tapes)]
        rng = np.random.default_rng(seed)
        column = fields(whole)[int(rng.integers(1, len(fields(whole))))].name
        values = getattr(whole, column).copy()
        values[rng.integers(len(values))] = 77 if values.dtype.kind == "i" else 0.123456789
        changed = replace(whole, **{column: values})
        assert session_digest(replace(session, **{name: changed})) != session_digest(session)  # type: ignore[arg-type]


@given(sessions(), st.integers(1, 40), SEEDS)
@settings(max_examples=40)
def test_partitioning_does_not_change_what_is_read(session: MarketSession, group: int, seed: int) -> None:
    """Row groups of any size, rows and contracts in any order: the same hash; and each lake gives back its own rows bit by bit."""
    with tempfile.TemporaryDirectory() as folder:
        plain = parquet.ROW_GROUP
        try:
            parquet.ROW_GROUP = group
            other = shuffled(session, np.random.default_rng(seed))
            digests = []
            for name, stored in (("a", session), ("b", other)):
                archive = Archive(Path(folder) / name)
                manifest, _ = write_session(archive, stored)
                back = read_session(archive, KEY)
                assert bits(back) == bits(stored)
                digests += [session_digest(back), manifest.attributes["session_digest"]]
        finally:
            parquet.ROW_GROUP = plain
        assert set(digests) == {session_digest(session)}


@given(sessions(), st.lists(st.booleans(), min_size=7, max_size=7))
@settings(max_examples=40)
def test_how_a_recording_is_cut_into_parts_does_not_matter(session: MarketSession, flush: list[bool]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(folder)
        steps = list(batches(session))
        for number, batch in enumerate(steps):
            with Recorder(archive, session) as recorder:  # a new one every time: as after a kill
                recorder.append(batch)
                assert recorder.flush() == sum(len(getattr(batch, n)) for n in session.tapes())
            if flush[number % len(flush)]:
                recover(archive, KEY)
        back = recover(archive, KEY)
        inside = {n: t.where(t.ts <= steps[-1].now) for n, t in session.tapes().items()}
        assert bits(back) == bits(replace(session, **inside))  # type: ignore[arg-type]


@given(sessions())
@settings(max_examples=30)
def test_import_is_idempotent(session: MarketSession) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(folder)
        first = write_session(archive, session)
        before = content(Path(folder))
        assert write_session(archive, session) == (first[0], False) and content(Path(folder)) == before
        write_session(archive, session, force=True)
        assert content(Path(folder)) == before
        write_session(archive, read_session(archive, KEY), force=True)
        assert content(Path(folder)) == before


@given(sessions(), SEEDS, st.floats(0, 1), st.one_of(st.none(), st.integers(-1, 7)), st.one_of(st.none(), st.integers(-1, 7)))
@settings(max_examples=60)
def test_accepted_and_refused_rows_come_back_in_their_places(session: MarketSession, seed: int, share: float, start: int | None, stop: int | None) -> None:
    rng, kept, out = np.random.default_rng(seed), {}, {}
    for name, whole in session.tapes().items():
        bad = rng.random(len(whole)) < share
        kept[name] = whole.where(~bad)
        out[name] = Refused(np.flatnonzero(bad), ["stale_quote"] * int(bad.sum()), whole.where(bad))
    first, last = (None if x is None else T0 + x * MINUTE for x in (start, stop))
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(folder)
        write_session(archive, replace(session, **kept), quarantine=out)  # type: ignore[arg-type]
        back = read_session(archive, KEY, start=first, stop=last, quarantined=True)
    inside = {n: t.where((t.ts >= (0 if first is None else first)) & (t.ts < (1 << 62 if last is None else last))) for n, t in session.tapes().items()}
    assert bits(back) == bits(replace(session, **inside))  # type: ignore[arg-type]


@given(hnp.arrays(np.uint64, st.integers(1, 200), elements=st.integers(0, (1 << 64) - 1)), st.booleans())
@settings(max_examples=60)
def test_any_bits_round_trip(values: npt.NDArray[np.uint64], repeat: bool) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    column = np.tile(values, 5 if repeat else 1)
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays([pa.Array.from_buffers(pa.float64(), len(column), [None, pa.py_buffer(column)])], ["x"]), file)
    assert parquet.int64_values(pq.read_table(file)["x"]).tobytes() == column.tobytes()
