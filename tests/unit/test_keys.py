"""Keys: each builds, refuses parts that would break it, and is told of on the reference page."""

import inspect
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core import keys
from quanticity.core.keys import Key, KeyType, key, key_specs, keys_reference

SPECS = key_specs()
PROJECT = Path(__file__).parent.parent.parent
GIVEN = ("market:book:{symbol}", "market:trades:{symbol}", "market:bars:{symbol}", "market:ticker:{symbol}", "options:chain:{symbol}",
         "options:chain:{symbol}:by_contract", "analytics:{symbol}:{metric}", "analytics:sector:{sector}", "analytics:portfolio", "monitoring:ibkr:metrics",
         "monitoring:alpha_vantage:metrics")
PREFIXES = ("signals:pending:", "signals:execution:", "signals:distribution:", "signals:live:", "signals:ack:", "signals:veto:", "metrics:signals:",
            "heartbeat:", "monitoring:analytics:", "monitoring:data:")
each = pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.function)


def names(spec) -> list[str]:
    return re.findall(r"{(\w+)}", spec.pattern)


@each
def test_builds_from_its_parts_by_place_and_by_name(spec):
    function = getattr(keys, spec.function)
    parts = {name: f"X{i}" for i, name in enumerate(names(spec))}
    built = function(*parts.values())
    assert built == function(**parts) == Key(spec.pattern.format(**parts), spec.type, spec.ttl)
    assert str(built) == built.name and "{" not in built.name
    assert list(inspect.signature(function).parameters) == names(spec)


@pytest.mark.parametrize("spec", [s for s in SPECS if "{" in s.pattern], ids=lambda s: s.function)
def test_a_part_that_would_break_the_key_is_refused(spec):
    for name, bad in itertools.product(names(spec), ["", "a:b", "a b", "*", "?", "[x]", "a\n", "{x}", "ü", "a\\b", " "]):
        parts = dict.fromkeys(names(spec), "GOOG") | {name: bad}
        with pytest.raises(ValueError, match=f"^{name}=.* cannot be part of the key {re.escape(spec.pattern)}$"):
            getattr(keys, spec.function)(**parts)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([s for s in SPECS if "{" in s.pattern]), st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=2))
def test_whatever_is_accepted_can_be_told_back_from_the_name(spec, parts):
    parts = parts[:len(names(spec))]
    try:
        built = getattr(keys, spec.function)(*parts)
    except ValueError:
        return
    pattern = re.escape(spec.pattern).replace(r"\{", "{").replace(r"\}", "}")
    assert re.fullmatch(re.sub(r"{\w+}", "([^:]+)", pattern), built.name).groups() == tuple(parts)


def test_real_parts_are_accepted():
    assert keys.signals_live("0123456789abcdef").name == "signals:live:0123456789abcdef"
    assert keys.ledger("BRK.B-2015-12-24").name == "ledger:BRK.B-2015-12-24"
    assert keys.options_chain("^VIX").name == "options:chain:^VIX"
    assert keys.options_by_contract("SPXW").name == "options:chain:SPXW:by_contract"
    assert keys.heartbeat("jobs.market").name == "heartbeat:jobs.market"


def test_no_two_declarations_share_a_pattern_or_could_build_the_same_name():
    assert len({s.pattern for s in SPECS}) == len(SPECS) == len({s.function for s in SPECS})
    built = [getattr(keys, s.function)(*("GOOG" for _ in names(s))).name for s in SPECS]
    assert len(set(built)) == len(built)


def test_the_names_the_house_plan_gives_are_there():
    patterns = [s.pattern for s in SPECS]
    assert [p for p in GIVEN if p not in patterns] == []
    assert [p for p in PREFIXES if not any(x.startswith(p) for x in patterns)] == []


@each
def test_type_time_to_live_and_people_are_sensible(spec):
    assert spec.type in KeyType
    longest = 40 if ":memory:" in spec.pattern else 1  # days; what is remembered outlives the session
    assert spec.ttl is None or 10 <= spec.ttl <= longest * 24 * 3600
    assert spec.writer and spec.readers and len(spec.meaning) > 15 and spec.meaning.endswith(".")
    if spec.pattern.startswith("distribution:"):
        assert spec.ttl is None  # must not be lost, however long a subscriber waits
    if spec.pattern.startswith(("signals:pending", "signals:execution", "signals:distribution", "ledger:")):
        assert spec.type is KeyType.STREAM and spec.ttl >= 6.5 * 3600


def test_the_page_lists_every_key_with_all_that_is_known():
    page = keys_reference()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(SPECS) and page.endswith("|\n")
    for spec, row in zip(SPECS, rows, strict=True):
        cells = [c.strip() for c in row.strip("|").split(" | ")]
        span = "none" if spec.ttl is None else f"{spec.ttl} s" if spec.ttl % 3600 else f"{spec.ttl // 3600} h"
        assert cells == [f"`{spec.pattern}`", spec.type.value, span, f"`{spec.writer}`", ", ".join(f"`{r}`" for r in spec.readers), spec.meaning]


def test_the_page_in_the_documentation_is_the_one_generated():
    assert (PROJECT / "docs" / "reference" / "redis_keys.md").read_text(encoding="utf-8") == keys_reference(), "run make keys"


def test_a_declaration_must_fit_its_pattern():
    with pytest.raises(TypeError, match="does not fit the pattern 'a:{b}'"):
        @key("a:{b}", KeyType.STRING, ttl=1, writer="w", readers=("r",))
        def wrong(symbol: str) -> None: ...
    assert "wrong" not in [s.function for s in key_specs()]


def test_a_wrong_number_of_parts_is_refused():
    with pytest.raises(TypeError):
        keys.market_ticker()
    with pytest.raises(TypeError):
        keys.market_ticker("GOOG", "SPXW")
    with pytest.raises(TypeError):
        keys.market_ticker("GOOG", symbol="SPXW")
