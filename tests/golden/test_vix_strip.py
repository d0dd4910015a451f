"""The VIX strip against Cboe's own worked example, and against variances known to 30 digits."""

import csv
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from quanticity.market.strip import interpolate_index, strip_variance

# Cboe, "Cboe Volatility Index" white paper: the quotes of its appendix, 9:46 in Chicago, and the figures of its steps
MINUTES = {"near": 35_924, "next": 46_394}
RATE = {"near": 0.000305, "next": 0.000286}
PUBLISHED = {"near": (0.0683486, 1962.89996, 1960, 146, 0.01846292), "next": (0.0882686, 1962.40006, 1960, 122, 0.01882101)}
PUBLISHED_VIX = 13.685821


def white_paper(term):
    with (Path(__file__).parent / "vix_white_paper.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["term"] == term]
    quotes = np.array([[float(row[name]) for name in ("strike", "call_bid", "call_ask", "put_bid", "put_ask")] for row in rows]).T
    return strip_variance(*quotes, MINUTES[term] / 525_600, RATE[term])


@pytest.mark.parametrize("term", ["near", "next"])
def test_each_term_of_the_white_paper(term):
    strip = white_paper(term)
    years, forward, middle, strikes, variance = PUBLISHED[term]
    assert strip.reason[0] == 0
    assert round(strip.years[0], 7) == years
    assert round(strip.forward[0], 5) == forward
    assert strip.middle[0] == middle
    assert strip.strikes[0] == strikes
    assert round(strip.variance[0], 8) == variance


def test_the_index_of_the_white_paper():
    near, later = white_paper("near"), white_paper("next")
    n1, n2 = (np.array([float(MINUTES[term])]) for term in ("near", "next"))
    vix = interpolate_index(near.variance * near.years, later.variance * later.years, n1, n2, 43_200)
    assert abs(vix[0] - PUBLISHED_VIX) < 1e-6
    assert round(vix[0], 2) == 13.69


def black(forward, strike, total, call):
    """Undiscounted Black premium from total variance, in mpmath."""
    root = mp.sqrt(total)
    d1 = mp.log(forward / strike) / root + root / 2
    return forward * mp.ncdf(d1) - strike * mp.ncdf(d1 - root) if call else strike * mp.ncdf(root - d1) - forward * mp.ncdf(-d1)


def ssvi(forward, strike, theta, rho=mp.mpf("-0.6"), eta=mp.mpf("1.2")):
    x = eta / mp.sqrt(theta) * mp.log(strike / forward)
    return theta / 2 * (1 + rho * x + mp.sqrt((x + rho) ** 2 + 1 - rho**2))


def strip_of(surface, forward, years, rate, step, lowest, highest):
    strikes = np.arange(lowest, highest + step / 2, step)
    discount = mp.exp(-rate * years)
    call, put = (np.array([float(discount * black(forward, mp.mpf(k), surface(mp.mpf(k)), side)) for k in strikes]) for side in (True, False))
    return strip_variance(strikes, call, call, put, put, float(years), float(rate))


def discretisation(step, forward):
    """How much the total variance is too large: the trapezoid rule at K0, where the slope of the premium jumps by the discount factor."""
    return (step / (np.floor(forward / step) * step)) ** 2 / 6


@pytest.mark.parametrize("forward", [500, 501.7, 504.99])
def test_black_scholes_gives_its_volatility_back(forward):
    mp.mp.dps = 30
    years, volatility = mp.mpf(30) / 365, mp.mpf("0.2")
    errors = []
    for step in (10.0, 5.0, 2.5):
        s = strip_of(lambda k: volatility**2 * years, mp.mpf(forward), years, mp.mpf("0.04"), step, 300, 800)
        error = s.variance[0] * s.years[0] - float(volatility**2 * years) - discretisation(step, forward)
        errors.append(abs(error))
        assert abs(s.forward[0] - forward) < 1e-8
        assert errors[-1] < 0.75 * (step / forward) ** 3  # the next order: what lies between K0 and the forward
    assert errors[2] < errors[0] / 6


def test_a_smile_gives_the_integral_of_its_premiums():
    mp.mp.dps = 30
    forward, years, theta = mp.mpf(500), mp.mpf(30) / 365, mp.mpf("0.04") * 30 / 365
    low, high, step = mp.mpf(250), mp.mpf(800), 2.5
    below = mp.quad(lambda k: black(forward, k, ssvi(forward, k, theta), False) / k**2, mp.linspace(low, forward, 6))
    above = mp.quad(lambda k: black(forward, k, ssvi(forward, k, theta), True) / k**2, mp.linspace(forward, high, 6))
    true = float(2 * (below + above))
    ends = sum(float(black(forward, k, ssvi(forward, k, theta), call) / k**2) * step for k, call in ((low, False), (high, True)))  # half a step beyond each
    s = strip_of(lambda k: ssvi(forward, k, theta), forward, years, mp.mpf("0.04"), step, 250, 800)
    assert abs(s.variance[0] * s.years[0] - true - ends - discretisation(step, 500)) < 2e-8
    assert true > float(theta) * 1.01  # a skewed smile's variance lies above that at the money


def test_strikes_that_end_early_cost_what_lies_beyond():
    mp.mp.dps = 30
    forward, years, total = mp.mpf(500), mp.mpf(30) / 365, mp.mpf("0.04") * 30 / 365
    missing = float(2 * mp.quad(lambda k: black(forward, k, total, False) / k**2, [300, 475]))
    whole = strip_of(lambda k: total, forward, years, mp.mpf(0), 2.5, 300, 800)
    short = strip_of(lambda k: total, forward, years, mp.mpf(0), 2.5, 475, 800)
    edge = float(black(forward, mp.mpf(475), total, False)) / 475**2 * 2.5  # the last strike stands for a whole step, the half beyond it too
    assert abs((whole.variance[0] - short.variance[0]) * float(years) - (missing - edge)) < 1e-5
    assert whole.variance[0] > short.variance[0]
