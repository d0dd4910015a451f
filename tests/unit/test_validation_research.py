"""Splits: no training label shares time with a test label or its embargo, whatever the labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.core.errors import UserError
from quanticity.research.validation import Labels, backtest_paths, combinatorial_purged, purged, purged_kfold, walk_forward


@st.composite
def labels(draw, least=12):
    count = draw(st.integers(least, 40))
    start = np.cumsum(draw(st.lists(st.integers(0, 5), min_size=count, max_size=count)))
    length = np.array(draw(st.lists(st.integers(0, 30), min_size=count, max_size=count)))
    return Labels(start, start + length)


def apart(found: Labels, train, test, embargo):
    """By brute force: the rows of `train` that share no moment with any test label and its embargo after it."""
    return [i for i in train if all(found.end[i] < found.start[j] or found.start[i] > found.end[j] + embargo for j in test)]


@settings(max_examples=60, deadline=None)
@given(labels(), st.integers(0, 12), st.data())
def test_purging_is_exact_for_any_test_set(found, embargo, data):
    rows = np.arange(len(found))
    test = np.array(sorted(data.draw(st.sets(st.sampled_from(rows.tolist()), min_size=1, max_size=len(found) - 1))))
    train = np.setdiff1d(rows, test)
    assert purged(found, train, test, embargo).tolist() == apart(found, train, test, embargo)  # leaves out what it must, and nothing else


@settings(max_examples=40, deadline=None)
@given(labels(), st.integers(0, 12))
def test_kfold_and_combinations(found, embargo):
    folds = list(purged_kfold(found, 4, embargo))
    assert np.concatenate([s.test for s in folds]).tolist() == list(range(len(found)))
    splits = list(combinatorial_purged(found, 5, 2, embargo))
    assert np.bincount(np.concatenate([s.test for s in splits])).tolist() == [4] * len(found)
    for s in (*folds, *splits):
        others = np.setdiff1d(np.arange(len(found)), s.test)
        assert s.train.tolist() == apart(found, others, s.test, embargo)


@settings(max_examples=40, deadline=None)
@given(labels(), st.integers(1, 5), st.integers(0, 6), st.one_of(st.none(), st.integers(1, 6)))
def test_walk_forward_knows_only_the_past(found, folds, gap, most):
    for s in walk_forward(found, folds, most, gap):
        before = [i for i in range(s.test[0]) if found.end[i] + gap < found.start[s.test[0]]]
        assert s.train.tolist() == (before if most is None else before[-most:])
        assert not len(s.train) or found.end[s.train].max() < found.start[s.test].min()


def test_every_path_is_a_whole_history_from_different_splits():
    days = Labels(np.arange(60), np.arange(60))
    splits, paths = list(combinatorial_purged(days, 6, 2)), backtest_paths(6, 2)
    assert paths.shape == (5, 6)
    for g in range(6):
        assert len(set(paths[:, g])) == 5  # each group is tested once a path, by another split each time
        for s in paths[:, g]:
            assert set(range(10 * g, 10 * g + 10)) <= set(splits[s].test.tolist())


@pytest.mark.parametrize("call, words", [
    (lambda d: list(purged_kfold(d, 1)), "at least 2 folds"), (lambda d: list(purged_kfold(d, 99)), "observations in 99 folds"),
    (lambda d: list(purged_kfold(d, 3, -1)), "negative"), (lambda d: list(walk_forward(d, 3, gap=-1)), "gap"),
    (lambda d: list(combinatorial_purged(d, 4, 4)), "4 of 4 groups"), (lambda d: Labels([2, 1], [3, 3]), "not in order"),
    (lambda d: Labels([2], [1]), "ends before"), (lambda d: Labels([1, 2], [3]), "start and an end each")])
def test_mistakes_are_told(call, words):
    with pytest.raises(UserError, match=words):
        call(Labels(np.arange(12), np.arange(12) + 2))
