"""What all tests share: the recorded data, where it is at hand, and an environment without anybody's settings."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
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
    "integration/test_sim_fairness.py", "e2e/test_demo.py", "integration/test_regime_detection.py", "unit/test_sim_day.py", "e2e/test_replay.py", "e2e/test_data_commands.py",
    "integration/test_backtest.py", "e2e/test_analyze.py", "e2e/test_bad_input.py", "integration/test_against_truth.py", "integration/test_workers.py",
    "integration/test_jobs.py", "integration/test_bias_planted.py", "e2e/test_backtest_command.py", "integration/test_sweeps.py", "unit/test_quality_planting.py",
    "chaos/test_import_kill.py", "integration/test_report.py", "e2e/test_bias_command.py", "integration/test_research_desk.py", "integration/test_imports.py",
    "property/test_session_properties.py", "chaos/test_signals_fire.py", "chaos/test_money_path_kill.py", "chaos/test_worker_kill.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast ones first: by kind of test, the long files last. Files are kept whole, since what is made for a file is made once."""
    def place(item: pytest.Item) -> str:
        return Path(str(item.path)).relative_to(PROJECT / "tests").as_posix()

    slow = {place(item) for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> tuple[bool, int, str]:
        name = place(item)
        kind = name.partition("/")[0]
        late = name in LONGEST or name in slow
        return late, (LONGEST.index(name) if name in LONGEST else len(LONGEST)) if late else ORDER.index(kind) if kind in ORDER else len(ORDER), name

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """No coverage in tests marked `no_cover`, what is set up for them included: Python 3.11 takes half again as long where it traces lines."""
    plugin = item.config.pluginmanager.getplugin("_cov") if item.get_closest_marker("no_cover") else None
    controller = getattr(plugin, "cov_controller", None)
    if controller is None or not controller.started:
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()
