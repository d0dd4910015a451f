"""Prices, greeks and implied volatilities of random contracts against 40-digit arithmetic: the largest errors as shares of what is allowed.

Used by the golden tests (a sample) and by the bench (all 20,000).
"""

import mpmath as mp
import numpy as np

from quanticity.analytics.pricing import VolatilityReason, black_scholes_price, greeks, implied_vol

NAMES = ("price", "delta", "gamma", "vega", "theta", "vanna", "charm", "vomma", "speed", "color")
EPS = float(np.finfo(np.float64).eps)
ALLOWED = 1e-11  # of a greek's scale


def contracts(count, seed, shortest=1 / 8760):
    """Random contracts: an hour to two years, 0.4 to 1.6 moneyness, 8 to 150% volatility; half of them near the money, where greeks are not zero."""
    random = np.random.default_rng(seed)
    years = np.exp(random.uniform(np.log(shortest), np.log(2.0), count))
    vol = random.uniform(0.08, 1.5, count)
    near = np.exp(np.clip(random.normal(size=count) * 2 * vol * np.sqrt(years), np.log(0.4), np.log(1.6)))
    moneyness = np.where(random.random(count) < 0.5, near, random.uniform(0.4, 1.6, count))
    return (100.0, 100.0 / moneyness, years, random.uniform(0.0, 0.08, count), random.uniform(0.0, 0.05, count), vol, random.random(count) < 0.5)


def scales(s, k, t, r, q, v, call):
    """The size that each greek has near the money: errors are measured against it."""
    total, carry = v * np.sqrt(t), np.abs(r) + np.abs(q)
    return {"price": s + k, "delta": 1.0, "gamma": 0.4 / (s * total), "vega": 0.4 * s * np.sqrt(t), "theta": 0.2 * s * v / np.sqrt(t) + carry * (s + k),
            "vanna": 0.25 / v, "charm": carry * (1 + 0.4 / total) + 0.12 / t, "vomma": 0.3 * s * np.sqrt(t) / v, "speed": 0.25 / (s * total) ** 2 + 0.4 / (s * s * total),
            "color": 0.4 / (s * total) * (carry * (1 + 0.6 / total) + 0.5 / t)}


def exact(s, k, t, r, q, v, call):
    """The textbook's formulas (Haug 2007, chapter 2) with mpmath's digits: ten numbers, in the order of NAMES."""
    s, k, t, r, q, v = (mp.mpf(x) for x in (s, k, t, r, q, v))
    f, root = (1 if call else -1), mp.sqrt(t)
    d1 = (mp.log(s / k) + (r - q + v * v / 2) * t) / (v * root)
    d2 = d1 - v * root
    growth, discount, density = mp.exp(-q * t), mp.exp(-r * t), mp.npdf(d1)
    n1, n2 = mp.ncdf(f * d1), mp.ncdf(f * d2)
    gamma, vega = growth * density / (s * v * root), s * growth * density * root
    return (f * (s * growth * n1 - k * discount * n2), f * growth * n1, gamma, vega,
            -s * growth * density * v / (2 * root) - f * r * k * discount * n2 + f * q * s * growth * n1,
            -growth * density * d2 / v,
            f * q * growth * n1 - growth * density * ((r - q) / (v * root) - d2 / (2 * t)),
            vega * d1 * d2 / v, -gamma / s * (d1 / (v * root) + 1),
            gamma * (q + (r - q) * d1 / (v * root) + (1 - d1 * d2) / (2 * t)))


def worst_errors(count, seed):
    """Largest error of each greek over what is allowed (1e-11 of its scale), of the implied volatility over max(1e-10, 10 eps price / vega), and what
    was refused. All at most 1 is right."""
    args = contracts(count, seed)
    spot, strike, years, rate, dividend, vol, call = args
    rows = zip(*(np.broadcast_to(a, strike.shape).tolist() for a in args), strict=True)
    with mp.workdps(40):
        reference = [exact(*row) for row in rows]
        wanted = {name: np.array([float(row[i]) for row in reference]) for i, name in enumerate(NAMES)}
        intrinsic = np.maximum(np.where(call, 1, -1) * np.array([float(spot * mp.exp(-mp.mpf(q) * mp.mpf(t)) - mp.mpf(k) * mp.exp(-mp.mpf(r) * mp.mpf(t)))
                                                                 for k, t, r, q in zip(strike.tolist(), years.tolist(), rate.tolist(), dividend.tolist(), strict=True)]), 0.0)
        time_value = np.array([float(row[0] - max(mp.mpf(0), (1 if c else -1) * (spot * mp.exp(-mp.mpf(q) * mp.mpf(t)) - mp.mpf(k) * mp.exp(-mp.mpf(r) * mp.mpf(t)))))
                               for row, k, t, r, q, c in zip(reference, strike.tolist(), years.tolist(), rate.tolist(), dividend.tolist(), call.tolist(), strict=True)])
    found, scale = greeks(*args), scales(*args)
    errors = {name: float(np.max(np.abs(getattr(found, name) - wanted[name]) / scale[name]) / ALLOWED) for name in NAMES}
    out_of_the_money = (intrinsic == 0) & (wanted["price"] > 1e-280)
    price = black_scholes_price(*args)
    errors["price, relative, out of the money"] = float(np.max(np.abs(price / np.where(out_of_the_money, wanted["price"], 1.0) - 1)[out_of_the_money]) / ALLOWED)
    solved, reason = implied_vol(wanted["price"], spot, strike, years, rate, dividend, call)
    ok = reason == VolatilityReason.OK
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bound = np.maximum(1e-10, 10 * EPS * wanted["price"] / wanted["vega"])
    errors["implied volatility"] = float(np.max((np.abs(solved - vol) / bound)[ok]))
    errors["recovered"] = float(ok.mean())
    # a refusal is justified where the time value is within rounding of the price (or below the smallest normal number)
    justified = (reason == VolatilityReason.NO_TIME_VALUE) & (time_value <= np.maximum(8 * EPS * wanted["price"], 1e-307))
    errors["refused without cause"] = float((~ok & ~justified).sum())
    errors["NaN without a reason, or with one a number"] = float((np.isnan(solved) == ok).sum())
    return errors
