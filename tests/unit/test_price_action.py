"""Moves in standard deviations."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.analytics.price_action import MINUTES_A_YEAR, expected_move, stretch

NAN = float("nan")


def test_a_move_of_one_standard_deviation_is_one():
    sd = 0.2 * math.sqrt(15 / MINUTES_A_YEAR)
    assert stretch(750 * math.exp(sd), 750, 15, 0.2) == pytest.approx(1.0, rel=1e-12)
    assert stretch(750 * math.exp(-2 * sd), 750, 15, 0.2) == pytest.approx(-2.0, rel=1e-12)
    assert stretch(750, 750, 15, 0.2) == 0.0


def test_by_hand():
    # ln(753.75/750) = 0.0049875; 20% a year over 15 minutes is 0.2 * sqrt(15/525600) = 0.00106844
    assert stretch(753.75, 750.0, 15, 0.2) == pytest.approx(4.66807, abs=1e-4)
    assert expected_move(750.0, 1 / 365, 0.2) == pytest.approx(7.8513, abs=1e-4)


@pytest.mark.parametrize("inputs", [(0, 750, 15, 0.2), (750, 0, 15, 0.2), (750, 750, 0, 0.2), (750, 750, 15, 0), (-1, 750, 15, 0.2), (NAN, 750, 15, 0.2),
                                    (750, NAN, 15, 0.2), (750, 750, NAN, 0.2), (750, 750, 15, NAN)])
def test_stretch_without_an_input_is_nan(inputs):
    assert math.isnan(stretch(*inputs))


@pytest.mark.parametrize("inputs", [(0, 0.1, 0.2), (750, 0, 0.2), (750, -0.1, 0.2), (750, 0.1, 0), (NAN, 0.1, 0.2), (750, NAN, 0.2), (750, 0.1, NAN)])
def test_expected_move_without_an_input_is_nan(inputs):
    assert math.isnan(expected_move(*inputs))


positive = st.floats(0.01, 1e5)


@settings(max_examples=60, deadline=None)
@given(positive, positive, st.floats(1, 1000), st.floats(0.01, 5))
def test_stretch_is_odd_in_time_and_scales_with_its_square_root(now, before, minutes, volatility):
    there = stretch(now, before, minutes, volatility)
    assert stretch(before, now, minutes, volatility) == pytest.approx(-there, rel=1e-9, abs=1e-12)
    assert stretch(now, before, 4 * minutes, volatility) == pytest.approx(there / 2, rel=1e-9, abs=1e-12)
    assert stretch(10 * now, 10 * before, minutes, volatility) == pytest.approx(there, rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(positive, st.floats(1e-6, 3), st.floats(0.01, 5))
def test_expected_move_is_linear_in_spot_and_volatility(spot, years, volatility):
    assert expected_move(2 * spot, years, volatility) == pytest.approx(2 * expected_move(spot, years, volatility))
    assert expected_move(spot, years, 3 * volatility) == pytest.approx(3 * expected_move(spot, years, volatility))
