"""Errors are one line with a remedy; reason codes are one vocabulary."""

import pickle

import pytest

from quanticity.core import errors
from quanticity.core.reasons import Reason

KINDS = [errors.UserError, errors.ConfigError, errors.DataError, errors.DataMissing, errors.ServerError, errors.OutputError]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_one_line_whatever_it_is_given(kind):
    error = kind("no such\nfolder:\t/data\r\n", "  name  a\n folder ")
    assert (error.problem, error.remedy) == ("no such folder: /data", "name a folder")
    assert str(error) == "no such folder: /data; name a folder"
    assert len(str(error).splitlines()) == 1
    assert isinstance(error, errors.UserError)


def test_without_a_remedy_there_is_no_separator():
    assert str(errors.UserError("that is all")) == "that is all" and errors.UserError("x").remedy == ""


def test_missing_data_is_a_kind_of_data_error_and_the_rest_are_apart():
    assert issubclass(errors.DataMissing, errors.DataError)
    for kind in KINDS[1:]:
        others = [k for k in KINDS[1:] if k not in (kind, errors.DataError)]
        assert not any(issubclass(kind, other) for other in others), kind


def test_every_reason_is_its_name_in_small_letters_and_unique():
    assert [r.value for r in Reason] == [r.name.lower() for r in Reason]
    assert len({r.value for r in Reason}) == len(Reason) == len(Reason.__members__)  # no aliases


def test_a_reason_is_its_text_in_words_and_survives_storage():
    assert Reason.NO_OPEN_INTEREST.text == "no open interest" and Reason.EXPIRED.text == "expired"
    assert all(Reason(r.value) is r and pickle.loads(pickle.dumps(r)) is r for r in Reason)
    with pytest.raises(ValueError, match="made_up"):
        Reason("made_up")
