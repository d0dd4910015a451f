"""core.clock: clocks, sessions (half days, holidays, clock changes), their cache, and when options stop trading."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from quanticity.core import clock
from quanticity.core.clock import NEW_YORK, Clock, LiveClock, ReplayClock, expiry_close, is_open, monotonic, monthly_expiry, next_session
from quanticity.core.clock import option_close, previous_session, session_hours
from quanticity.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory):
    """The years are computed anew, into a folder of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANTICITY_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        clock._year.cache_clear()
        yield
    clock._year.cache_clear()


def new_york(day: str) -> tuple[str, ...] | None:
    hours = session_hours(date.fromisoformat(day))
    return hours and tuple(f"{ts.astimezone(NEW_YORK):%H:%M}" for ts in (hours.opens, hours.closes, hours.index_closes))


REGULAR, HALF = ("09:30", "16:00", "16:15"), ("09:30", "13:00", "13:15")


def test_live_clock_is_utc_and_moves_on() -> None:
    live: Clock = LiveClock()
    first = live.now()
    assert first.utcoffset() == timedelta(0) and live.now() >= first
    assert abs((datetime.now(UTC) - first).total_seconds()) < 60
    start = monotonic()
    assert monotonic() >= start


def test_replay_clock_moves_forward_only() -> None:
    start = datetime(2015, 12, 24, 14, 30, tzinfo=UTC)
    replay = ReplayClock(start)
    assert isinstance(replay, Clock) and replay.now() == start
    replay.advance_to(start)  # standing still is no going back
    replay.advance_to(datetime(2015, 12, 24, 10, 0, tzinfo=NEW_YORK))
    assert replay.now() == datetime(2015, 12, 24, 15, 0, tzinfo=UTC) and replay.now().tzinfo is UTC
    with pytest.raises(ValueError, match="cannot go back"):
        replay.advance_to(start)
    with pytest.raises(ValueError, match="needs a time zone"):
        replay.advance_to(datetime(2015, 12, 25))
    assert replay.now() == datetime(2015, 12, 24, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        ("2015-12-23", REGULAR),
        ("2015-12-24", HALF),
        ("2026-11-27", HALF),
        ("2026-12-24", HALF),
        ("2018-07-03", HALF),
        ("2018-12-24", HALF),
        ("2015-12-25", None),  # Christmas
        ("2015-12-26", None),  # a Saturday
        ("2021-04-02", None),
        ("2019-04-19", None),  # Good Friday
        ("2021-01-18", None),
        ("2022-06-20", None),
        ("2021-06-18", REGULAR),  # Juneteenth is a holiday since 2022
        ("2018-12-05", None),
        ("2012-10-29", None),
        ("2001-09-12", None),
        ("2025-01-09", None),  # closures out of turn
        ("2021-01-04", REGULAR),
        ("2021-12-31", REGULAR),
        ("2022-01-03", REGULAR),
    ],
)
def test_sessions(day: str, hours: tuple[str, ...] | None) -> None:
    assert new_york(day) == hours
    found = session_hours(date.fromisoformat(day))
    assert found is None or (found.is_half_day == (hours == HALF) and found.date == date.fromisoformat(day))


@pytest.mark.parametrize(("day", "opens"), [("2021-03-12", 14), ("2021-03-15", 13), ("2021-11-05", 13), ("2021-11-08", 14)])
def test_changes_of_the_clocks(day: str, opens: int) -> None:
    hours = session_hours(date.fromisoformat(day))
    assert hours is not None and hours.opens == datetime.fromisoformat(f"{day}T{opens}:30+00:00") and new_york(day) == REGULAR
    assert hours.opens.tzinfo == UTC and hours.closes - hours.opens == timedelta(hours=6.5)


def test_neighbours_step_over_holidays_and_years() -> None:
    assert next_session(date(2015, 12, 24)).date == date(2015, 12, 28) == next_session(date(2015, 12, 26)).date
    assert previous_session(date(2015, 12, 28)).date == date(2015, 12, 24)
    assert next_session(date(2020, 12, 31)).date == date(2021, 1, 4) and previous_session(date(2021, 1, 4)).date == date(2020, 12, 31)


@pytest.mark.parametrize(
    ("at", "equity", "index"),
    [
        ("2015-12-24 09:29:59", False, False),
        ("2015-12-24 09:30:00", True, True),
        ("2015-12-24 12:59:59", True, True),
        ("2015-12-24 13:00:00", False, True),
        ("2015-12-24 13:15:00", False, False),
        ("2015-12-25 11:00:00", False, False),
        ("2021-01-04 16:10:00", False, True),
    ],
)
def test_is_open(at: str, equity: bool, index: bool) -> None:
    ts = datetime.fromisoformat(at).replace(tzinfo=NEW_YORK)
    assert (is_open(ts), is_open(ts, "index")) == (equity, index)
    assert is_open(ts.astimezone(timezone(timedelta(hours=9)))) == equity  # the moment counts, not the zone it is written in
    with pytest.raises(ValueError, match="needs a time zone"):
        is_open(datetime.fromisoformat(at))


@pytest.mark.parametrize("day", [date(1972, 12, 29), date(2101, 1, 3), date(9999, 1, 4)])
def test_beyond_the_calendar(day: date) -> None:
    with pytest.raises(UserError, match=f"no market calendar for {day:%Y-%m-%d}; the calendar covers 1973 to 2100"):
        session_hours(day)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("root", "expiry", "stops"),
    [
        ("GOOG", "2015-12-24", "2015-12-24 13:00"),
        ("GOOG", "2021-01-15", "2021-01-15 16:00"),
        ("GOOG", "2014-12-20", "2014-12-19 16:00"),  # dated on a Saturday until 2015
        ("GOOG", "2019-04-19", "2019-04-18 16:00"),  # dated on Good Friday
        ("SPXW", "2021-01-15", "2021-01-15 16:00"),
        ("SPXW", "2026-11-27", "2026-11-27 13:00"),
        ("SPXW", "2021-01-08", "2021-01-08 16:00"),
        ("SPX", "2021-01-15", "2021-01-14 16:15"),
        ("SPX", "2014-12-20", "2014-12-18 16:15"),
        ("SPX", "2019-04-18", "2019-04-17 16:15"),
        ("SPX", "2019-04-19", "2019-04-17 16:15"),  # the third Friday is Good Friday
        ("SPX", "2021-01-08", "2021-01-08 16:00"),  # not the monthly date: PM-settled like SPXW
        ("VIX", "2021-01-20", "2021-01-19 16:15"),
        ("XSP", "2021-01-15", "2021-01-15 16:00"),
        ("SPY", "2021-01-15", "2021-01-15 16:15"),
    ],
)
def test_expiry_close(root: str, expiry: str, stops: str) -> None:
    close = expiry_close(date.fromisoformat(expiry), root)
    assert close == moment(stops) and close.tzinfo is UTC


def test_monthly_expiries_of_a_year_with_good_friday() -> None:
    assert [monthly_expiry(2019, month).day for month in range(1, 13)] == [18, 15, 15, 18, 17, 21, 19, 16, 20, 18, 15, 20]


def test_option_close() -> None:
    assert option_close("GOOG", date(2021, 1, 4)) == moment("2021-01-04 16:00")
    assert {option_close(s, date(2015, 12, 24)) for s in ("SPX", "SPXW", "SPY", "QQQ")} == {moment("2015-12-24 13:15")}
    with pytest.raises(UserError, match="no session on 2015-12-25; the next one is 2015-12-28"):
        option_close("GOOG", date(2015, 12, 25))


def uncached(day: date, folder: Path) -> clock.SessionHours | None:
    clock._year.cache_clear()
    return session_hours(day, folder)


def test_a_year_is_computed_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    real = clock._compute
    monkeypatch.setattr(clock, "_compute", lambda year: computed.append(year) or real(year))
    day, half = date(2015, 12, 24), datetime(2015, 12, 24, 18, tzinfo=UTC)
    for _ in range(3):
        found = uncached(day, tmp_path)
        assert found is not None and found.closes == half
    assert computed == [2015]
    (file,) = (tmp_path / "calendar").iterdir()
    assert file.name.startswith("NYSE-2015-") and list((tmp_path / "calendar").glob("*.partial")) == []
    stored = json.loads(file.read_text())
    stored["sessions"]["2015-12-24"][1] = "2015-12-24T21:00:00+00:00"  # a tampered file is not believed
    for damage in (json.dumps(stored), "{", "[]", "null", '{"sessions": 5, "sha256": 5}', file.read_text()[:200], ""):
        file.write_text(damage)
        found = uncached(day, tmp_path)
        assert found is not None and found.closes == half
        assert json.loads(file.read_text())["sessions"]["2015-12-24"][1] == "2015-12-24T18:00:00+00:00"  # and mended
    assert computed == [2015] * 8


def test_without_a_writable_cache_it_still_works(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    found = uncached(date(2015, 12, 24), blocked)
    assert found is not None and found.is_half_day and blocked.read_text() == "in the way"


def test_the_folder_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QUANTICITY_CACHE_DIR", str(tmp_path))
    assert clock.cache_folder() == tmp_path
    monkeypatch.delenv("QUANTICITY_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert clock.cache_folder() == tmp_path / "xdg" / "quanticity"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert clock.cache_folder() == tmp_path / ".cache" / "quanticity"

    def nowhere() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", nowhere)
    assert clock.cache_folder() is None


def test_a_year_from_the_cache_needs_no_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from datetime import date; from quanticity.core.clock import session_hours; "
        "assert session_hours(date(2015, 12, 24)).is_half_day; print(sorted({'pandas', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(ROOT), "QUANTICITY_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert "pandas" in said[0] and said[1] == "[]"
