"""Calculators' documents and the one immutable `Features` made from them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.reasons import Reason
from quanticity.signals.features import MAX_AGES, merge, metric_document, read_metric

NOW = datetime(2015, 12, 24, 15, 1, tzinfo=UTC)
NAN = float("nan")


def document(age: float = 0.0, values=None, missing=None) -> bytes:
    return metric_document(NOW - timedelta(seconds=age), "chain:1", values or {}, missing or {})


def test_a_document_reads_back_with_its_reasons():
    raw = document(1.5, {"gex": -1.5e7, "zero_gamma": NAN}, {"zero_gamma": Reason.NO_CROSSING})
    assert read_metric(raw) == {"ts": NOW - timedelta(seconds=1.5), "snapshot_id": "chain:1", "metric": "", "values": {"gex": -1.5e7},
                                "missing": {"zero_gamma": Reason.NO_CROSSING}}


def test_a_nan_without_a_reason_is_refused():
    with pytest.raises(ValueError, match="call_wall is not finite and has no reason"):
        document(0, {"gex": 1.0, "call_wall": NAN}, {"gex": Reason.NO_SPOT})


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_an_infinite_value_needs_a_reason_too(value):
    with pytest.raises(ValueError, match="gex is not finite and has no reason"):
        document(0, {"gex": value})
    f = merge("GOOG", NOW, "chain:1", [document(0, {"gex": value, "spot": 1.0}, {"gex": Reason.NO_SPOT})], 60)
    assert dict(f.values) == {"spot": 1.0} and dict(f.missing) == {"gex": Reason.NO_SPOT}


def test_values_ages_and_reasons_of_several_documents():
    f = merge("GOOG", NOW, "chain:9", [document(0, {"spot": 750}), document(30, {"stretch": 1.2}, {"skew": Reason.TOO_FEW_STRIKES})], 60)
    assert (f.symbol, f.ts, f.snapshot_id) == ("GOOG", NOW, "chain:9")
    assert dict(f.values) == {"spot": 750.0, "stretch": 1.2} and isinstance(f.values["spot"], float)
    assert dict(f.ages) == {"spot": 0.0, "stretch": 30.0} and dict(f.missing) == {"skew": Reason.TOO_FEW_STRIKES}


@pytest.mark.parametrize(("age", "stale"), [(119.999, False), (120.0, False), (120.001, True), (1e6, True)])
def test_what_is_too_old_is_missing(age, stale):
    f = merge("GOOG", NOW, "chain:1", [document(age, {"gex": 1.0})], 120)
    assert (f.get("gex") is None, f.missing.get("gex")) == (stale, Reason.FEATURE_STALE if stale else None)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_value_from_anywhere_beats_a_reason_from_elsewhere(order):
    good, without = document(0, {"gex": 1.0}), document(0, {}, {"gex": Reason.NO_OPEN_INTEREST})
    f = merge("GOOG", NOW, "chain:1", [(good, without)[i] for i in order], 60)
    assert f.get("gex") == 1.0 and not f.missing
    stale = document(90, {"gex": 2.0})
    f = merge("GOOG", NOW, "chain:1", [(good, stale)[i] for i in order], 60)
    assert f.get("gex") == 1.0 and not f.missing and f.ages["gex"] == 0.0


def test_nothing_gives_nothing():
    f = merge("GOOG", NOW, "chain:1", [], 60)
    assert not f.values and not f.missing and not f.ages


def of_metric(metric: str, values, age: float = 0.0) -> bytes:
    return metric_document(NOW - timedelta(seconds=age), "chain:1", values, {}, metric)


def test_each_value_knows_its_metric_and_how_good_its_data_are():
    """What is made of the chain is as good as the chain, a flow as good as its sign is sure, and the rest was not judged."""
    documents = [of_metric("dealer_flow", {"gex": 1.0}), of_metric("institutional_flow", {"institutional_flow": 0.2, "institutional_confidence": 0.4}),
                 of_metric("retail_flow", {"retail_flow": -0.1, "retail_confidence": 0.6}), of_metric("vpin", {"vpin": 0.3}), document(0, {"own": 1.0})]
    f = merge("GOOG", NOW, "chain:1", [*documents, of_metric("quality", {"quality": 0.8})], 60)
    assert dict(f.sources) == {"gex": "dealer_flow", "institutional_flow": "institutional_flow", "institutional_confidence": "institutional_flow", "retail_flow": "retail_flow",
                               "retail_confidence": "retail_flow", "vpin": "vpin", "quality": "quality"}
    assert dict(f.quality) == {"gex": 0.8, "quality": 0.8, "institutional_flow": 0.4, "institutional_confidence": 0.4, "retail_flow": 0.6, "retail_confidence": 0.6}
    assert "gex" not in merge("GOOG", NOW, "chain:1", documents, 60).quality


@pytest.mark.parametrize("metric", ["dealer_flow", *MAX_AGES])
def test_what_is_made_less_often_may_be_as_old_as_its_own_limit(metric):
    limit = max(120.0, MAX_AGES.get(metric, 0.0))
    for age, known in ((limit, True), (limit + 0.001, False)):
        f = merge("GOOG", NOW, "chain:1", [of_metric(metric, {"x": 1.0}, age)], 120.0)
        assert (f.get("x"), f.missing.get("x")) == ((1.0, None) if known else (None, Reason.FEATURE_STALE))


def test_a_document_of_an_empty_moment_says_only_why():
    f = merge("GOOG", NOW, "chain:1", [of_metric("vpin", {}, 1e6), document(0, {}, {"vpin": Reason.NO_TRADES})], 60)
    assert not f.values and dict(f.missing) == {"vpin": Reason.NO_TRADES}


names = st.sampled_from("abcd")
documents = st.lists(st.builds(lambda age, values, missing: document(age, values, {k: v for k, v in missing.items() if k not in values}), st.integers(0, 200),
                               st.dictionaries(names, st.floats(-1e9, 1e9)), st.dictionaries(names, st.sampled_from(Reason))), max_size=4)


@settings(max_examples=80, deadline=None)
@given(documents, st.integers(0, 200))
def test_every_name_is_either_known_and_fresh_or_missing_with_a_reason(given_documents, max_age):
    f = merge("GOOG", NOW, "chain:1", given_documents, max_age)
    read = [read_metric(d) for d in given_documents]
    assert set(f.values) & set(f.missing) == set() and set(f.values) == set(f.ages)
    assert set(f.values) | set(f.missing) == {k for m in read for k in (*m["values"], *m["missing"])}
    assert all(age <= max_age for age in f.ages.values())
    fresh = {k for m in read for k in m["values"] if (NOW - m["ts"]).total_seconds() <= max_age}
    assert set(f.values) == fresh
