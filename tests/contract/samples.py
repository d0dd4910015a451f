"""Small files of every format that can be imported: one market day, written as each vendor would.

A `Sample` writes its day anew for each test: `write(folder)` gives the path to import, `seed` another order of rows and contracts,
`bid` another text (or number) in the place of one bid, `day` another day. All but LEAN's are of SPX and SPXW.
"""

import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from quanticity.core.config import ColumnsConfig, DataConfig
from quanticity.core.occ import Right, occ_symbol
from quanticity.feeds import alphavantage, cboe, columns, lean, recording
from quanticity.feeds.importing import Importer
from quanticity.store.archive import Archive

NEW_YORK = ZoneInfo("America/New_York")
DAY, OLD_DAY = date(2026, 1, 12), date(2015, 12, 23)
SPOT, STRIKES = 6975.5, (6900, 6950, 6975, 7000, 7050)
GREEKS = {"delta": 0.5, "gamma": 0.0025, "theta": -1.5, "vega": 2.25, "rho": 0.125}


@dataclass(frozen=True)
class Row:
    """A contract at a moment, as a vendor sees it."""

    root: str
    expiry: date
    strike: float
    right: Right
    bid: float
    ask: float
    bid_size: int
    ask_size: int
    volume: int
    open_interest: int
    volatility: float

    @property
    def occ(self) -> str:
        return occ_symbol(self.root, self.expiry, self.right, self.strike)


def market(day: date, minute: int = 0) -> list[Row]:
    """The chains of SPX and SPXW at a minute: the day's SPXW, and the third Friday of the month after for both."""
    first = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
    rows = []
    for root, expiry in (("SPXW", day), ("SPXW", friday + timedelta(days=7)), ("SPX", friday)):
        for at, strike in enumerate(STRIKES):
            for right in Right:
                worth = max(0.0, (SPOT - strike) if right is Right.CALL else (strike - SPOT))
                bid = worth + (expiry - day).days // 4 + 0.25 * (1 + (at + minute) % 4)
                rows.append(Row(root, expiry, float(strike), right, bid, bid + 0.5, 5 + at, 7 + at, 11 * at, 100 + at, 0.125 + at / 32))
    return rows


def mixed(rows: list, seed: int) -> list:
    """The rows in another order; as they are with seed 0."""
    if seed:
        random.Random(seed).shuffle(rows)
    return rows


def utc(day: date, hour: int, minute: int) -> datetime:
    """A moment by New York's clocks."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK).astimezone(UTC)


# ---------------------------------------------------------------------------------------------------------------- LEAN

def zip_of(path: Path, members: dict[str, str | bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, body in members.items():
            z.writestr(name, body)
    return path


def write_lean(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY) -> Path:
    """LEAN's tree of one day of XYZ: quotes by the minute, trades, open interest, the stock."""
    data, digits = folder / "lean" / "Data", f"{day:%Y%m%d}"
    members: dict[str, dict[str, str]] = {kind: {} for kind in ("quote", "trade", "openinterest")}
    for strike in (95, 100, 105):
        for right in ("call", "put"):
            name = f"{digits}_xyz_minute_{{}}_american_{right}_{strike}0000_{digits}.csv"
            worth = 10_000 + 10_000 * max(0, (100 - strike) if right == "call" else (strike - 100))
            quotes = []
            for minute in range(5):
                low, high = worth + 100 * minute, worth + 100 * minute + 1000
                here = bid if bid and (strike, right, minute) == (100, "put", 2) else low
                quotes.append(f"{34_200_000 + 60_000 * minute},{low},{low},{low},{here},{3 + minute},{high},{high},{high},{high},{4 + minute}")
            members["quote"][name.format("quote")] = "\n".join(quotes) + "\n"
            members["trade"][name.format("trade")] = f"34260000,{worth},{worth},{worth},{worth},7\n"
            members["openinterest"][name.format("openinterest")] = f"23460000,{strike}\n"
    for kind, files in members.items():
        zip_of(data / f"option/usa/minute/xyz/{digits}_{kind}_american.zip", dict(mixed(list(files.items()), seed)))
    bars = "".join(f"{34_200_000 + 60_000 * m},1000000,1001000,999000,{1_000_000 + 100 * m},50\n" for m in range(5))
    zip_of(data / f"equity/usa/minute/xyz/{digits}_trade.zip", {f"{digits}_xyz_minute_trade.csv": bars})
    return folder


# ---------------------------------------------------------------------------------------------------------------- Cboe

def write_cboe_json(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, encoding: str = "utf-8") -> Path:
    """Cboe's delayed quotes as its content network gives them; written at 13:29 in New York."""
    options = []
    for i, r in enumerate(market(day)):
        options.append({"option": r.occ, "bid": r.bid, "bid_size": float(r.bid_size), "ask": r.ask, "ask_size": float(r.ask_size), "iv": r.volatility,
                        "open_interest": float(r.open_interest), "volume": float(r.volume), **GREEKS, "last_trade_price": r.bid, "theo": r.bid,
                        "last_trade_time": f"{day}T13:1{i % 4}:00"})
    if bid:
        options[3]["bid"] = "BID"
    answer = {"timestamp": f"{utc(day, 13, 29):%Y-%m-%d %H:%M:%S}", "symbol": "^SPX",
              "data": {"options": mixed(options, seed), "symbol": "^SPX", "security_type": "index", "current_price": SPOT, "bid": SPOT - 1, "ask": SPOT + 1,
                       "open": 6960.0, "high": 6980.0, "low": 6955.0, "close": SPOT, "volume": 0, "last_trade_time": f"{day}T13:14:00"}}
    path = folder / "_SPX.json"
    path.write_bytes(json.dumps(answer).replace('"BID"', bid or '"BID"').encode(encoding))
    return path


_CBOE = "Expiration Date,Calls,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest,Strike,Puts,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest"


def write_cboe_csv(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, encoding: str = "utf-8") -> Path:
    """Cboe's delayed quotes as its website gives them since 2021."""
    pairs, lines = market(day), []
    for i in range(0, len(pairs), 2):
        call, put = pairs[i:i + 2]
        sides = [f"{r.occ},{r.bid},0,{bid if bid and i == 4 and r is put else r.bid},{r.ask},{r.volume},{r.volatility},0.5,0.0025,{r.open_interest}" for r in (call, put)]
        lines.append(f"{call.expiry:%a %b %d %Y},{sides[0]},{call.strike:.2f},{sides[1]}")
    head = f'\nS&P 500 INDEX,Last: {SPOT},Change:  9.25\n"Date: {day:%B} {day.day}, {day.year} at 1:29 PM EST",Bid: {SPOT - 1},Ask: {SPOT + 1},Size: 1*1,Volume: 0\n'
    path = folder / "spx_quotedata.csv"
    path.write_bytes((head + "\n".join([_CBOE, *mixed(lines, seed)]) + "\n").encode(encoding))
    return path


def write_cboe_2013(folder: Path, **_: object) -> Path:
    """The same website in 2013: symbols of another style, a row an exchange, no volatility and no strike."""
    text = ("IBM (INTL BUSINESS MACHINES),185.08,-0.27,\nDec 27 2013 @ 15:06 ET,Bid,184.60,Ask,185.24,Size,1x2,Vol,3382117,\n"
            "Calls,Last Sale,Net,Bid,Ask,Vol,Open Int,Puts,Last Sale,Net,Bid,Ask,Vol,Open Int,\n"
            "14 Jan 185.00 (IBM1418A185),2.1,0.0,2.10,2.15,10,300,14 Jan 185.00 (IBM1418M185),1.9,0.0,1.90,1.95,20,400,\n"
            "14 Jan 185.00 (IBM1418A185-4),2.1,0.0,2.05,2.20,10,300,14 Jan 185.00 (IBM1418M185-4),1.9,0.0,1.85,2.00,20,400,\n")
    path = folder / "quotedata.dat"
    path.write_text(text)
    return path


# ------------------------------------------------------------------------------------------------------- Alpha Vantage

def write_alphavantage(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, encoding: str = "utf-8") -> Path:
    """The answer to HISTORICAL_OPTIONS: every value a text."""
    rows = [{"contractID": r.occ, "symbol": "SPX", "expiration": f"{r.expiry}", "strike": f"{r.strike:.2f}", "type": "call" if r.right is Right.CALL else "put",
             "last": f"{r.bid:.2f}", "mark": f"{r.bid + 0.25:.2f}", "bid": f"{r.bid:.2f}", "bid_size": str(r.bid_size), "ask": f"{r.ask:.2f}",
             "ask_size": str(r.ask_size), "volume": str(r.volume), "open_interest": str(r.open_interest), "date": f"{day}",
             "implied_volatility": f"{r.volatility:.5f}", **{name: f"{value:.5f}" for name, value in GREEKS.items()}} for r in market(day)]
    if bid:
        rows[3]["bid"] = bid
    path = folder / "options.json"
    path.write_bytes(json.dumps({"endpoint": "Historical Options", "message": "success", "data": mixed(rows, seed)}, indent=1).encode(encoding))
    return path


# ------------------------------------------------------------------------------------------------------------- columns

MAPPINGS = DataConfig(columns={
    "desk": ColumnsConfig(names={"timestamp": "when", "root": "class", "expiry": "expires", "strike": "k", "right": "cp", "bid": "bid_px", "ask": "ask_px",
                                 "bid_size": "bid_qty", "ask_size": "ask_qty", "volume": "vol", "open_interest": "oi", "volatility": "iv",
                                 "underlying_price": "und"}, price_scale=100, strike_scale=1000, volatility_scale=100, date_format="%m/%d/%Y"),
    "ticks": ColumnsConfig(names={"timestamp": "sip", "occ": "ticker", "bid": "b", "ask": "a", "bid_size": "bs", "ask_size": "as"}, timestamp_format="ns"),
})
MINUTES = (31, 32, 45)


def _table(day: date) -> list[dict[str, object]]:
    return [{"when": f"{day} 09:{m}:00", "class": r.root, "expires": f"{r.expiry:%m/%d/%Y}", "k": int(r.strike * 1000), "cp": r.right.value, "bid_px": r.bid * 100,
             "ask_px": r.ask * 100, "bid_qty": r.bid_size, "ask_qty": r.ask_size, "vol": r.volume, "oi": r.open_interest, "iv": r.volatility * 100,
             "und": (SPOT + m) * 100, "unused": "x"} for m in MINUTES for r in market(day, m)]


def write_columns_csv(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, encoding: str = "utf-8") -> Path:
    """A desk's own CSV: prices in cents, strikes in thousandths, volatility in percent, local time."""
    rows = _table(day)
    if bid:
        rows[7]["bid_px"] = bid
    path = folder / "quotes.csv"
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in mixed(rows, seed))]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def write_columns_parquet(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY) -> Path:
    """Quotes by OCC symbol with nanoseconds since 1970, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(int(utc(day, 9, m).timestamp()) * 10**9 + i, r.occ, r.bid, r.ask, r.bid_size, r.ask_size) for m in MINUTES for i, r in enumerate(market(day, m))]
    if bid:
        rows[7] = (*rows[7][:2], float(bid), *rows[7][3:])
    names = ("sip", "ticker", "b", "a", "bs", "as")
    path = folder / "quotes.parquet"
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*mixed(rows, seed), strict=True)), strict=True))), path, row_group_size=40)
    return path


# ----------------------------------------------------------------------------------------------------------- recording

def write_recording(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY) -> Path:
    """The project's own lake with the desk's two sessions in it."""
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    importer = columns.IMPORTER.configured(MAPPINGS)
    path = write_columns_parquet(source, seed=seed, bid=bid, day=day)
    for key in importer.sessions(path):
        recording.write_session(Archive(folder / "lake"), importer.load(path, key))
    return folder / "lake"


# -------------------------------------------------------------------------------------------------------- all together

def _inside(*patterns: str) -> Callable[[Path], list[Path]]:
    """Files below a path, those of the first pattern first."""
    return lambda path: list(dict.fromkeys(file for pattern in patterns for file in sorted(path.rglob(pattern))))


def _itself(path: Path) -> list[Path]:
    return [path]


@dataclass(frozen=True)
class Sample:
    """A format: its importer, what writes a day of it, its files that hold data, and what is known of the day."""

    name: str
    importer: Importer
    write: Callable[..., Path]
    moments: tuple[datetime, ...]  # when the quotes of `DAY` stood, UTC
    expiring: tuple[datetime, ...] = ()  # and those of the SPXW that expires on it, where they stood at another time
    roots: tuple[str, ...] = ("SPX", "SPXW")
    files: Callable[[Path], list[Path]] = _itself
    encodings: bool = False  # it is text, which may come in any encoding
    old: Callable[..., Path] = field(default=lambda folder: folder)


_COLUMNS = columns.IMPORTER.configured(MAPPINGS)
_TICKS = tuple(utc(DAY, 9, m) for m in MINUTES)
SAMPLES = (
    Sample("lean", lean.IMPORTER, write_lean, tuple(utc(DAY, 9, 31 + m) for m in range(5)), roots=("XYZ",), files=_inside("*_quote_*.zip", "*.zip"), old=partial(write_lean, day=OLD_DAY)),
    Sample("cboe json", cboe.IMPORTER, write_cboe_json, (utc(DAY, 13, 14),), encodings=True, old=partial(write_cboe_json, day=OLD_DAY)),
    Sample("cboe csv", cboe.IMPORTER, write_cboe_csv, (utc(DAY, 13, 14),), encodings=True, old=write_cboe_2013),
    Sample("alphavantage", alphavantage.IMPORTER, write_alphavantage, (utc(DAY, 16, 15),), (utc(DAY, 16, 0),), encodings=True, old=partial(write_alphavantage, day=OLD_DAY)),
    Sample("columns csv", _COLUMNS, write_columns_csv, _TICKS, encodings=True, old=partial(write_columns_csv, day=OLD_DAY)),
    Sample("columns parquet", _COLUMNS, write_columns_parquet, _TICKS, old=partial(write_columns_parquet, day=OLD_DAY)),
    Sample("recording", recording.IMPORTER, write_recording, _TICKS, files=_inside("*.parquet", "*.json"), old=partial(write_recording, day=OLD_DAY)),
)
