"""The life of a signal is one table: what leads where, and the picture and page that are made of it."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from quanticity.signals.states import TRANSITIONS, SignalState, allowed, is_final, sources, state_of, states_reference, states_svg

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference"
S = SignalState


def test_the_ways_there_are():
    assert {(t.source.value, t.target.value) for t in TRANSITIONS} == {
        ("proposed", "pending"), ("proposed", "vetoed"), ("pending", "submitted"), ("pending", "refused"), ("submitted", "filled"), ("submitted", "expired"),
        ("filled", "closed")}


def test_no_way_back_and_none_out_of_an_end():
    for source in S:
        for target in S:
            assert allowed(source, target) == any(t.source is source and t.target is target for t in TRANSITIONS)
            assert not (allowed(source, target) and allowed(target, source))
        assert is_final(source) == (not [t for t in TRANSITIONS if t.source is source])


def test_every_state_is_reached_and_every_life_ends():
    reached, ends = {S.PROPOSED}, set()
    for _ in S:
        reached |= {t.target for t in TRANSITIONS if t.source in reached}
    assert reached == set(S)
    for state in S:
        seen = {state}
        for _ in S:
            seen |= {t.target for t in TRANSITIONS if t.source in seen}
        ends |= {any(is_final(s) for s in seen)}
    assert ends == {True}


def test_one_job_takes_each_way_and_says_what_it_writes():
    assert all(t.by.startswith("jobs.") and t.upon and t.written for t in TRANSITIONS)
    assert sources(S.CLOSED) == (S.FILLED,) and sources(S.PROPOSED) == ()


@pytest.mark.parametrize(("outcome", "state"), [("pending", S.PENDING), ("refused:stale_quote", S.REFUSED), ("closed", S.CLOSED)])
def test_an_acknowledgement_names_a_state(outcome, state):
    assert state_of(outcome) is state


@pytest.mark.parametrize("outcome", ["", "done", "Closed", "refused stale_quote"])
def test_what_is_no_state_is_refused(outcome):
    with pytest.raises(ValueError, match="is not a valid SignalState"):
        state_of(outcome)


def test_the_picture_shows_every_state_and_way_without_overlap():
    root = ElementTree.fromstring(states_svg())
    space = "{http://www.w3.org/2000/svg}"
    assert {s.value for s in S} <= {e.text for e in root.iter(f"{space}text")} and len(list(root.iter(f"{space}line"))) == len(TRANSITIONS)
    boxes = [tuple(int(e.get(k)) for k in ("x", "y", "width", "height")) for e in root.iter(f"{space}rect") if e.get("x")]
    assert len(boxes) == len(S)
    for i, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x and x + w <= int(root.get("width")) and 0 <= y and y + h <= int(root.get("height"))
        assert not [b for b in boxes[:i] if x < b[0] + b[2] and b[0] < x + w and y < b[1] + b[3] and b[1] < y + h]


@pytest.mark.parametrize(("name", "made"), [("signal_states.md", states_reference), ("signal_states.svg", states_svg)])
def test_the_docs_are_in_step_with_the_table(name, made):
    assert (REFERENCE / name).read_text(encoding="utf-8") == made(), "run quanticity keys --write"
