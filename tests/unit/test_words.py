"""core.words: numbers and words that agree."""

import pytest

from quanticity.core.words import agree, how_many


@pytest.mark.parametrize(("number", "words"), [(0, "0 faults"), (1, "1 fault"), (2, "2 faults"), (1234, "1,234 faults")])
def test_a_number_and_its_noun_agree(number: int, words: str) -> None:
    assert how_many(number, "fault") == words


def test_a_plural_of_its_own_and_verbs() -> None:
    assert [how_many(n, "delivery", "deliveries") for n in (1, 2)] == ["1 delivery", "2 deliveries"]
    assert [agree(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]
