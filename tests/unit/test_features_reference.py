"""docs/reference/features.md says what is published, no more and no less."""

import re
from datetime import date
from pathlib import Path

from quanticity.core.clock import session_hours
from quanticity.core.config import load_config
from quanticity.core.reasons import Reason
from quanticity.jobs.analytics import SessionCalculators
from quanticity.jobs.wiring import Desk
from quanticity.market.chain_quality import WEIGHTS
from quanticity.signals.features import MAX_AGES, METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "features.md").read_text()
TOLD = re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)


def calculators():
    hours = session_hours(date(2026, 3, 20))
    return SessionCalculators(Desk(None, load_config(environ={}), "SIM", hours.date, hours.opens, hours.closes), dict).made()


def test_the_page_lists_what_the_calculators_declare():
    declared = {(c.name, name) for c in calculators() for name in c.names} | {("quality", name) for name in ("quality", *(f"quality_{part}" for part in WEIGHTS))}
    listed = [(metric, name) for metric, name, *_ in TOLD]
    assert set(listed) == declared and len(listed) == len(declared)


def test_no_feature_has_two_metrics_and_every_metric_is_read():
    names = [name for _, name, *_ in TOLD]
    assert len(set(names)) == len(names)
    assert {metric for metric, *_ in TOLD} == set(METRICS) == {c.name for c in calculators()} | {"quality"}


def test_every_feature_has_unit_meaning_and_reasons_that_exist():
    codes = {reason.value for reason in Reason}
    for _, name, unit, meaning, missing in TOLD:
        assert unit.strip() and len(meaning.split()) >= 2, name
        told = set(re.findall(r"`(\w+)`", missing))
        assert missing.strip() == "never" or told, name
        assert told <= codes | {n for _, n, *_ in TOLD} | {"zero_gamma_range", "cluster_seed_trades"}, (name, told - codes)


def test_the_limits_of_age_are_those_of_the_reader():
    rows = dict(re.findall(r"^\| `(\w+)` \| every [^|]+ \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE))
    assert list(rows) == list(METRICS)
    for metric, limit in rows.items():
        seconds = re.search(r"(\d+) s", limit)
        assert (float(seconds[1]) if seconds else None) == MAX_AGES.get(metric)


def test_what_is_made_less_often_may_be_older_than_its_round():
    for calculator in calculators():
        assert not calculator.every or MAX_AGES[calculator.name] >= 2 * calculator.every
