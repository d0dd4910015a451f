"""Analytics: speed as ratios against peers, all in the same run, on one thread, for a chain of 20,000 contracts.

`measure()` gives a dictionary of milliseconds, of ratios (peer over ours) and of verdicts; `python tests/benchmarks/analytics.py` prints it, and with
--accuracy also checks all 20,000 contracts against 40-digit arithmetic (some ten seconds).
"""

import argparse
import importlib
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

for _name in ("NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

CONTRACTS = 20_000
SPOT, RATE, DIVIDEND = 100.0, 0.04, 0.013
EPS = float(np.finfo(np.float64).eps)


def chain(count: int = CONTRACTS, seed: int = 1) -> dict[str, Any]:
    """Random contracts: an hour to two years in 40 expiries, 0.4 to 1.6 moneyness, 8 to 150% volatility; as a chain is listed (by expiry, then strike)."""
    random = np.random.default_rng(seed)
    expiry = np.exp(random.uniform(np.log(1 / 8760), np.log(2.0), 40))[random.integers(0, 40, count)]
    strike = np.round(200 / random.uniform(0.4, 1.6, count)) / 2
    order = np.lexsort((strike, expiry))
    places = [np.unique(keys[order], return_inverse=True)[1] for keys in (strike, expiry)]
    return {"places": places, "strike": strike[order], "years": expiry[order], "expiry": (expiry[order] * 1e9).astype(np.int64), "vol": random.uniform(0.08, 1.5, count),
            "is_call": random.random(count) < 0.5, "interest": random.integers(0, 5000, count).astype(float)}


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """The fastest of several calls (processor time of the process), after one that does not count: what else the machine does only ever adds."""
    run()
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        spent.append(time.process_time() - started)
    return min(spent)


# ---- peers -----------------------------------------------------------------------------------------------------------------------------------------------


def numpy_greeks(c: dict[str, Any]) -> tuple[Any, ...]:
    """The six greeks and four exposures as one writes them in NumPy and SciPy (which rows belong together is known to it, too)."""
    from scipy.special import ndtr

    k, t, sigma, f = c["strike"], c["years"], c["vol"], np.where(c["is_call"], 1.0, -1.0)
    root = np.sqrt(t)
    v = sigma * root
    d1 = (np.log(SPOT / k) + (RATE - DIVIDEND) * t) / v + 0.5 * v
    d2 = d1 - v
    growth, discount = np.exp(-DIVIDEND * t), np.exp(-RATE * t)
    density = growth * np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi)
    delta = f * growth * ndtr(f * d1)
    gamma = density / (SPOT * v)
    vega = SPOT * density * root
    theta = -SPOT * density * sigma / (2 * root) - f * RATE * k * discount * ndtr(f * d2) + f * DIVIDEND * SPOT * growth * ndtr(f * d1)
    vanna = -density * d2 / sigma
    charm = DIVIDEND * delta - density * ((RATE - DIVIDEND) / v - d2 / (2 * t))
    shares = f * c["interest"] * 100
    columns = shares * gamma * SPOT**2 * 0.01, shares * delta * SPOT, shares * vanna * SPOT * 0.01, shares * charm * SPOT / 365
    sums = [[np.bincount(place, weights=column) for column in columns] for place in c["places"]]
    return delta, gamma, vega, theta, vanna, charm, sums


def numpy_profile(c: dict[str, Any], grid: Any) -> Any:
    """Gamma re-priced at each spot of a grid, as one writes it in NumPy: a vectorized pass a spot."""
    k, t, sigma, f = c["strike"], c["years"], c["vol"], np.where(c["is_call"], 1.0, -1.0)
    root = np.sqrt(t)
    v = sigma * root
    shares = f * c["interest"] * 100 * np.exp(-DIVIDEND * t) / (v * np.sqrt(2 * np.pi))
    drift = ((RATE - DIVIDEND) * t - np.log(k)) / v + 0.5 * v
    over_v = 1.0 / v
    out = np.empty(len(grid))
    for i, s in enumerate(np.log(grid)):
        d1 = s * over_v + drift
        out[i] = (shares * np.exp(-0.5 * d1 * d1)).sum()
    return out * grid * 0.01


def quantlib_greeks(c: dict[str, Any], all_six: bool = True) -> tuple[Any, ...]:
    """BlackCalculator a contract: price, greeks and exposures by strike and expiry. It has no vanna and no charm: `all_six` takes them as differences of
    delta, which needs two more calculators (one bump of volatility, one of time: the least that gives them)."""
    import QuantLib as ql

    calls, puts, found = ql.Option.Call, ql.Option.Put, []
    by_strike: dict[float, list[float]] = {}
    by_expiry: dict[int, list[float]] = {}
    exp, sqrt = math.exp, math.sqrt
    for k, t, sigma, call, held, expiry in zip(*(c[name].tolist() for name in ("strike", "years", "vol", "is_call", "interest", "expiry")), strict=True):
        forward, discount = SPOT * exp((RATE - DIVIDEND) * t), exp(-RATE * t)
        book = ql.BlackCalculator(ql.PlainVanillaPayoff(calls if call else puts, k), forward, sigma * sqrt(t), discount)
        delta, gamma = book.delta(SPOT), book.gamma(SPOT)
        vanna = charm = 0.0
        if all_six:
            payoff, later = ql.PlainVanillaPayoff(calls if call else puts, k), t * (1 - 1e-5)
            vanna = (ql.BlackCalculator(payoff, forward, (sigma + 1e-5) * sqrt(t), discount).delta(SPOT) - delta) / 1e-5
            moved = ql.BlackCalculator(payoff, SPOT * exp((RATE - DIVIDEND) * later), sigma * sqrt(later), exp(-RATE * later))
            charm = (moved.delta(SPOT) - delta) / (t - later)
        found.append((book.value(), delta, gamma, book.vega(t), book.theta(SPOT, t), vanna, charm))
        shares = (held if call else -held) * 100 * SPOT
        for sums, key in ((by_strike, k), (by_expiry, expiry)):
            row = sums.setdefault(key, [0.0, 0.0, 0.0, 0.0])
            row[0] += shares * gamma * SPOT * 0.01
            row[1] += shares * delta
            row[2] += shares * vanna * 0.01
            row[3] += shares * charm / 365
    return found, by_strike, by_expiry


def quantlib_vol(c: dict[str, Any], price: Any) -> list[float]:
    """QuantLib's formula for the implied standard deviation, a contract at a time; NaN where it refuses."""
    import QuantLib as ql

    calls, puts, found = ql.Option.Call, ql.Option.Put, []
    for k, t, p, call in zip(c["strike"].tolist(), c["years"].tolist(), price.tolist(), c["is_call"].tolist(), strict=True):
        try:
            deviation = ql.blackFormulaImpliedStdDev(calls if call else puts, k, SPOT * math.exp((RATE - DIVIDEND) * t), p, math.exp(-RATE * t))
            found.append(deviation / math.sqrt(t))
        except RuntimeError:
            found.append(float("nan"))
    return found


def peer(name: str, run: Callable[[Any], Callable[[], Any]], peers: dict[str, str]) -> Callable[[], Any] | None:
    """A peer's call, None (and why) where it cannot be had here."""
    try:
        call = run(importlib.import_module(name))
        call()
    except Exception as error:  # noqa: BLE001 whatever keeps a peer from running is shown
        peers[name] = f"not available here ({type(error).__name__}: {str(error).splitlines()[0][:60]})"
        return None
    peers[name] = version(name.replace("_", "-"))
    return call


def rounds(calls: dict[str, Callable[[], Any]], repeats: int) -> list[dict[str, float]]:
    """Seconds of each call, several rounds of all of them in turn: what slows the machine for a while slows them alike. A slow call is timed once a round."""
    found = []
    for _ in range(repeats):
        spent: dict[str, float] = {}
        for name, call in calls.items():
            started = time.process_time()
            call()
            once = time.process_time() - started
            spent[name] = once if once > 0.05 else seconds(call, 10)
        found.append(spent)
    return found


def fast_vollib_call(c: dict[str, Any]) -> Callable[[Any], Callable[[], Any]]:
    flags = np.where(c["is_call"], "c", "p")

    def of(module: Any) -> Callable[[], Any]:
        import warnings

        def run() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return module.get_all_greeks(flags, np.full(len(flags), SPOT), c["strike"], c["years"], RATE, c["vol"], DIVIDEND,
                                             model="black_scholes_merton", return_as="dict", backend="numba")
        return run
    return of


def opengreeks_call(c: dict[str, Any]) -> Callable[[Any], Callable[[], Any]]:
    """Its array functions take one greek and one side at a time."""
    sides = [(flag, rows) for flag, rows in (("c", np.flatnonzero(c["is_call"])), ("p", np.flatnonzero(~c["is_call"])))]
    given = [(flag, np.full(len(rows), SPOT), c["strike"][rows], c["years"][rows], RATE, c["vol"][rows], DIVIDEND) for flag, rows in sides]

    def of(module: Any) -> Callable[[], Any]:
        model = module.black_scholes_merton
        functions = [getattr(model, f"{name}_array") for name in ("delta", "gamma", "vega", "theta", "vanna", "charm")]
        return lambda: [function(*arguments) for arguments in given for function in functions]
    return of


# ---- measuring -------------------------------------------------------------------------------------------------------------------------------------------

FIRST_TICK = """
import sys, time
started = float(sys.argv[1])
import numpy as np
from quanticity.analytics.pricing import implied_vol, greeks
from quanticity.analytics.exposure import exposures, walls
from quanticity.analytics.zero_gamma import zero_gamma
c = np.load(sys.argv[2])
k, t, call, oi = c["strike"], c["years"], c["is_call"], c["interest"]
vol, why = implied_vol(c["price"], 100.0, k, t, 0.04, 0.013, call)
g = greeks(100.0, k, t, 0.04, 0.013, vol, call)
e = exposures(100.0, k, c["expiry"], call, oi, 100, g, reason=why)
zero_gamma(100.0, k, t, 0.04, 0.013, vol, call, oi); walls(k, call, e.gex)
print(time.time() - started, "numba" in sys.modules, "scipy" in sys.modules)
"""


def opengreeks_ratio(repeats: int = 9) -> dict[str, Any]:
    """opengreeks over ours in this interpreter: the ratio, its version and Python's."""
    from quanticity.analytics.compiled import warm_up
    from quanticity.analytics.exposure import exposures, group_rows
    from quanticity.analytics.pricing import greeks

    warm_up(None)
    c, peers = chain(), {}
    groups = {"strikes": group_rows(c["strike"]), "expiries": group_rows(c["expiry"])}
    other = peer("opengreeks", opengreeks_call(c), peers)
    if other is None:
        return {"ratio": None, "version": peers["opengreeks"]}
    timed = rounds({"ours": lambda: exposures(SPOT, c["strike"], c["expiry"], c["is_call"], c["interest"], 100,
                                              greeks(SPOT, c["strike"], c["years"], RATE, DIVIDEND, c["vol"], c["is_call"]), **groups), "theirs": other}, repeats)
    return {"ratio": statistics.median(r["theirs"] / r["ours"] for r in timed), "version": f"{peers['opengreeks']} on Python {platform.python_version()}"}


def opengreeks_elsewhere() -> dict[str, Any] | None:
    """`opengreeks_ratio` in the interpreter that BENCH_PEER_PYTHON names: its wheel needs Python 3.12. None where none is named."""
    python = os.environ.get("BENCH_PEER_PYTHON")
    if not python:
        return None
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    done = subprocess.run([python, __file__, "--opengreeks"], capture_output=True, text=True, check=True, env=where)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def first_tick(c: dict[str, Any], price: Any, repeats: int = 5) -> dict[str, Any]:
    """Wall seconds from starting a fresh process to the end of its first tick, with the kernels compiled already."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.npz"
        np.savez(path, price=price, **{k: c[k] for k in ("strike", "years", "expiry", "is_call", "interest")})
        runs = []
        for _ in range(repeats):
            started = time.time()
            out = subprocess.run([sys.executable, "-c", FIRST_TICK, repr(started), str(path)], capture_output=True, text=True, check=True).stdout.split()
            runs.append((float(out[0]), out[1] == "True" or out[2] == "True"))
    return {"seconds": statistics.median(s for s, _ in runs), "imports numba or scipy": any(heavy for _, heavy in runs)}


def option_chain(c: dict[str, Any], price: Any) -> Any:
    """The contracts as a chain snapshot whose bids and asks are `price`."""
    from quanticity.market.chain import NANOSECONDS_A_YEAR, Contracts, OptionChain

    n, now = len(price), 1_600_000_000_000_000_000
    ends = now + np.round(c["years"] * NANOSECONDS_A_YEAR).astype(np.int64)
    listed = Contracts("XYZ", "XYZ", c["strike"], ends // 86_400_000_000_000, ends, c["is_call"], np.full(n, 100.0))
    some = np.ones(n)
    return OptionChain(1, now, listed, SPOT, "quote", RATE, DIVIDEND, price, price, some, some, np.full(n, now), some, c["interest"], some)


def whole_call(c: dict[str, Any], price: Any, repeats: int) -> dict[str, float]:
    """Seconds of the public functions one after the other (volatility, greeks, exposures, roots, walls), of the kernels within that, and of `analyse`
    (the same from a snapshot, all quotes new, with skew, at-the-money volatility and 0DTE share)."""
    from quanticity.analytics.chain_analytics import VolatilityState, analyse
    from quanticity.analytics.compiled import Kernel
    from quanticity.analytics.exposure import exposures, group_rows, walls
    from quanticity.analytics.pricing import greeks, implied_vol
    from quanticity.analytics.zero_gamma import zero_gamma

    k, t, call, held = c["strike"], c["years"], c["is_call"], c["interest"]
    strikes, expiries = group_rows(k), group_rows(c["expiry"])
    snapshot, state = option_chain(c, price), VolatilityState()

    def public() -> None:
        vol, why = implied_vol(price, SPOT, k, t, RATE, DIVIDEND, call)
        greek = greeks(SPOT, k, t, RATE, DIVIDEND, vol, call)
        exposed = exposures(SPOT, k, c["expiry"], call, held, 100, greek, reason=why, strikes=strikes, expiries=expiries)
        zero_gamma(SPOT, k, t, RATE, DIVIDEND, vol, call, held)
        walls(k, call, exposed.gex, strikes)

    def job() -> None:
        state.seen = 0
        analyse(snapshot, state)

    inside, plain = [0.0], Kernel.__call__

    def timed(kernel: Kernel, *arguments: Any) -> None:
        started = time.process_time()
        plain(kernel, *arguments)
        inside[0] += time.process_time() - started

    public(), job()
    runs = []
    Kernel.__call__ = timed  # type: ignore[method-assign]
    try:
        for _ in range(repeats):
            inside[0] = 0.0
            started = time.process_time()
            public()
            runs.append((time.process_time() - started, inside[0]))
    finally:
        Kernel.__call__ = plain  # type: ignore[method-assign]
    whole, kernels = min(runs)
    return {"whole public call": whole, "sum of its kernels": kernels, "analyse, a snapshot": seconds(job, repeats)}


def measure(repeats: int = 7) -> dict[str, Any]:
    """Milliseconds, ratios and verdicts; peers with their versions, or why they are not there."""
    from quanticity.analytics.compiled import warm_up
    from quanticity.analytics.exposure import dealer_shares, exposures, group_rows
    from quanticity.analytics.pricing import black_scholes_price, greeks, implied_vol
    from quanticity.analytics.zero_gamma import gamma_profile, make_book

    warm_up()
    c, peers = chain(), {}
    k, t, vol, call = c["strike"], c["years"], c["vol"], c["is_call"]
    price = black_scholes_price(SPOT, k, t, RATE, DIVIDEND, vol, call)
    flags, grid = np.where(call, "c", "p"), np.linspace(90.0, 110.0, 200)

    groups = {"strikes": group_rows(k), "expiries": group_rows(c["expiry"])}  # the same from tick to tick, as `analyse` keeps them

    def ours() -> Any:
        return exposures(SPOT, k, c["expiry"], call, c["interest"], 100, greeks(SPOT, k, t, RATE, DIVIDEND, vol, call), **groups)

    def our_profile() -> Any:
        return gamma_profile(make_book(SPOT, k, t, RATE, DIVIDEND, vol, dealer_shares(call, c["interest"], 100)), grid)

    calls: dict[str, Callable[[], Any] | None] = {
        "greeks and exposures": ours, "implied volatility": lambda: implied_vol(price, SPOT, k, t, RATE, DIVIDEND, call), "gamma profile": our_profile,
        "numpy, greeks and exposures": lambda: numpy_greeks(c), "numpy, gamma profile": lambda: numpy_profile(c, grid),
        "QuantLib, greeks": peer("QuantLib", lambda m: lambda: quantlib_greeks(c), peers), "fast_vollib, greeks": peer("fast_vollib", fast_vollib_call(c), peers),
        "QuantLib, greeks without vanna and charm": peer("QuantLib", lambda m: lambda: quantlib_greeks(c, all_six=False), peers),
        "opengreeks, greeks": peer("opengreeks", opengreeks_call(c), peers),
        "pyvolr, implied volatility": peer("pyvolr", lambda m: lambda: m.bs.implied_vol(price, flags, SPOT, k, t, RATE, DIVIDEND, on_error="ignore"), peers),
        "QuantLib, implied volatility": peer("QuantLib", lambda m: lambda: quantlib_vol(c, price), peers)}
    timed = rounds({name: run for name, run in calls.items() if run}, repeats)
    ms = {name: statistics.median(r[name] for r in timed) for name in timed[0]}
    ms |= whole_call(c, price, 5 * repeats)
    small = chain(2_000)
    ms["whole public call, 2,000 contracts"] = whole_call(
        small, black_scholes_price(SPOT, small["strike"], small["years"], RATE, DIVIDEND, small["vol"], small["is_call"]), 5 * repeats)["whole public call"]
    tick = first_tick(c, price)

    def over(other: str, mine: str) -> float | None:
        return statistics.median(r[other] / r[mine] for r in timed) if other in ms else None

    og = over("opengreeks, greeks", "greeks and exposures")
    if og is None and (elsewhere := opengreeks_elsewhere()):
        og, peers["opengreeks"] = elsewhere["ratio"], elsewhere["version"]
    bounds = {
        "greeks and exposures, QuantLib's BlackCalculator loop over ours": (over("QuantLib, greeks", "greeks and exposures"), 400.0),
        "greeks and exposures, numpy over ours": (over("numpy, greeks and exposures", "greeks and exposures"), 4.0),
        "greeks and exposures, fast-vollib's greeks over ours": (over("fast_vollib, greeks", "greeks and exposures"), 2.0),
        "greeks and exposures, opengreeks over ours": (og, 8.0),
        "implied volatility, pyvolr over ours": (over("pyvolr, implied volatility", "implied volatility"), 4.0),
        "implied volatility, QuantLib's formula loop over ours": (over("QuantLib, implied volatility", "implied volatility"), 30.0),
        "200-point gamma profile, numpy over ours": (over("numpy, gamma profile", "gamma profile"), 3.0),
    }
    ratios: dict[str, float | None] = {name: ratio for name, (ratio, _) in bounds.items()}
    ratios["greeks and exposures, the same loop without vanna and charm over ours"] = over("QuantLib, greeks without vanna and charm", "greeks and exposures")
    verdicts = {f"{name}: at least {bound:g}": None if ratio is None else ratio >= bound for name, (ratio, bound) in bounds.items()}
    ratios["whole public call over the sum of its kernels"] = ms["whole public call"] / ms["sum of its kernels"]
    verdicts["whole public call over the sum of its kernels: at most 1.5"] = ratios["whole public call over the sum of its kernels"] <= 1.5  # type: ignore[operator]
    verdicts["first tick of a fresh process: under 1.5 s"] = tick["seconds"] < 1.5
    return {"contracts": CONTRACTS, "milliseconds": {name: spent * 1e3 for name, spent in ms.items()}, "ratios": ratios, "first_tick": tick, "peers": peers,
            "verdicts": verdicts}


def accuracy(count: int = CONTRACTS, seed: int = 2) -> dict[str, Any]:
    """Largest errors over random contracts against 40-digit arithmetic, as shares of what is allowed (tests/golden/reference40.py)."""
    spec = importlib.util.spec_from_file_location("reference40", Path(__file__).parent.parent / "golden" / "reference40.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError("tests/golden/reference40.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.worst_errors(count, seed))


def show(result: dict[str, Any]) -> None:
    """The result as a table."""
    print(f"analytics, {result['contracts']:,} contracts, one thread")
    for name, value in result["milliseconds"].items():
        print(f"  {name:<42} {value:10.3f} ms")
    for name, ratio in result["ratios"].items():
        print(f"  {name:<72} {'not available here' if ratio is None else f'{ratio:8.2f}'}")
    print(f"  first tick of a fresh process {result['first_tick']['seconds']:.2f} s (imports numba or scipy: {result['first_tick']['imports numba or scipy']})")
    print("  peers: " + ", ".join(f"{name} {text}" for name, text in result["peers"].items()))
    for text, fine in result["verdicts"].items():
        print(f"  {'met   ' if fine else 'n/a   ' if fine is None else 'MISSED'}  {text}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--accuracy", action="store_true", help="also check 20,000 contracts against 40-digit arithmetic")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--opengreeks", action="store_true", help="only that peer's ratio, as a line of JSON")
    arguments = parser.parse_args()
    if arguments.opengreeks:
        print(json.dumps(opengreeks_ratio()))
        return 0
    result = measure(arguments.repeats)
    if arguments.accuracy:
        result["accuracy"] = accuracy()
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
        for name, value in result.get("accuracy", {}).items():
            print(f"  error over what is allowed: {name:<44} {value:.3g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
