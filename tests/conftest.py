"""What all tests share: the recorded data, where it is at hand, and an environment without anybody's settings."""

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import settings

# the same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

PROJECT = Path(__file__).parent.parent
ORDER = ("unit", "property", "golden", "contract", "architecture", "integration", "chaos", "e2e")


def _recorded_dir() -> Path | None:
    named = os.environ.get("QUANTICITY_DATA_DIR")
    folder = Path(named) if named else PROJECT.parent / "shared" / "data"
    return folder.resolve() if (folder / "lean").is_dir() else None


RECORDED = _recorded_dir()


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded markets; the test skips where it is not at hand."""
    if RECORDED is None:
        pytest.skip("recorded data is not at hand: set QUANTICITY_DATA_DIR to the folder that holds lean/Data")
    return RECORDED


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    """Tests see no QUANTICITY_ variable of whoever runs them (the cache folder of the calendar may stay)."""
    for name in [n for n in os.environ if n.startswith("QUANTICITY_") and n != "QUANTICITY_CACHE_DIR"]:
        del os.environ[name]


# Files that take ten seconds or more: after all others, the longest first, so that at the end no worker is left alone with a long one.
LONGEST = (
    "integration/test_sim_fairness.py", "unit/test_sim_day.py", "e2e/test_demo.py", "e2e/test_replay.py", "chaos/test_import_kill.py", "integration/test_sweeps.py",
    "integration/test_bias_planted.py", "integration/test_backtest.py", "integration/test_against_truth.py", "integration/test_regime_detection.py",
    "unit/test_quality_planting.py", "integration/test_spreads.py", "integration/test_workers.py", "e2e/test_backtest_command.py",
    "integration/test_research_desk.py", "integration/test_report.py", "chaos/test_worker_kill.py", "integration/test_quality_faults.py", "chaos/test_money_path_kill.py",
    "unit/test_report_document.py", "e2e/test_analyze.py", "integration/test_jobs.py", "e2e/test_data_commands.py", "e2e/test_bad_input.py", "e2e/test_bias_command.py",
    "integration/test_session_analytics.py", "integration/test_imports.py", "contract/test_feeds.py", "chaos/test_signals_fire.py", "property/test_session_properties.py",
    "architecture/test_broker_typing.py", "contract/test_importers.py", "unit/test_compiled.py")


def place(item: pytest.Item) -> str:
    """The file of a test, seen from this folder."""
    return Path(str(item.path)).relative_to(PROJECT / "tests").as_posix()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast ones first: by kind of test, the long files last. Files are kept whole, since what is made for a file is made once."""
    slow = {place(item) for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> tuple[bool, int, str]:
        name = place(item)
        kind = name.partition("/")[0]
        late = name in LONGEST or name in slow
        return late, (LONGEST.index(name) if name in LONGEST else len(LONGEST)) if late else ORDER.index(kind) if kind in ORDER else len(ORDER), name

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """What collection has made stays to the end: the garbage collector need not walk through it at each of its rounds, nor come round as often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


# Where hundreds of examples or whole simulated days run, which takes half again as long when lines are traced. What only these run (whole sweeps, workers, the research desk,
# scores against the truth) counts as not covered: coverage is told some four points too low rather than the suite made slower.
UNTRACED = ("property/", "architecture/", "unit/test_formulas.py", "unit/test_reasons_expected.py", "unit/test_sim_day.py", "unit/test_quality_planting.py",
            "integration/test_quality_faults.py", "integration/test_bias_planted.py", "integration/test_regime_detection.py", "integration/test_against_truth.py",
            "integration/test_spreads.py", "integration/test_sim_fairness.py", "unit/test_simulator.py", "unit/test_sim_rows_of_days.py", "contract/test_importers.py",
            "contract/test_feeds.py", "integration/test_session_analytics.py", "integration/test_backtest.py", "integration/test_sweeps.py", "integration/test_workers.py",
            "integration/test_research_desk.py", "integration/test_report.py", "chaos/")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """No coverage in tests marked `untraced` and the files of `UNTRACED`, what is set up for them included: Python 3.11 takes half again as long where it traces lines.

    (pytest-cov has a mark of its own, `no_cover`. Where coverage is stopped it starts it again after the test, once too often.)
    """
    if not (item.get_closest_marker("untraced") or place(item).startswith(UNTRACED)):
        return (yield)
    stopped = list[Coverage]()
    while (running := Coverage.current()) is not None:  # in a worker of pytest-xdist one lies under another, and goes on where that stops
        running.stop()
        stopped.append(running)
    try:
        return (yield)
    finally:
        for one in reversed(stopped):
            one.start()
