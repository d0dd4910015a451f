"""What all tests share: the recorded data, where it is at hand, and an environment without anybody's settings."""

import os
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast ones first: by kind of test, those marked slow last of all."""
    def rank(item: pytest.Item) -> tuple[bool, int]:
        parts = Path(str(item.path)).relative_to(PROJECT / "tests").parts
        return item.get_closest_marker("slow") is not None, ORDER.index(parts[0]) if parts[0] in ORDER else len(ORDER)

    items.sort(key=rank)
