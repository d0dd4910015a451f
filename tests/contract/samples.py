"""Small files of every format that can be imported: one market day, written as each vendor would.

A `Sample` writes its day anew for each test: `write(folder)` gives the path to import, `seed` another order of rows and contracts,
`bid` another text (or number) in the place of one bid (or of what `field` names), `day` another day. All but LEAN's are of SPX and SPXW.
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


def _line(names: tuple[str, ...], values: tuple[object, ...], field: str, text: str) -> str:
    return ",".join(text if name == field and text else str(value) for name, value in zip(names, values, strict=True))


_LEAN_QUOTE = ("time", "bid open", "bid high", "bid low", "bid", "bid size", "ask open", "ask high", "ask low", "ask", "ask size")


def write_lean(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, field: str = "bid") -> Path:
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
                values = (34_200_000 + 60_000 * minute, low, low, low, low, 3 + minute, high, high, high, high, 4 + minute)
                quotes.append(_line(_LEAN_QUOTE, values, field, bid if (strike, right, minute) == (100, "put", 2) else ""))
            members["quote"][name.format("quote")] = "\n".join(quotes) + "\n"
            here = bid if (strike, right) == (100, "put") else ""
            bar = ("trade time", "trade open", "trade high", "trade low", "trade close", "trade volume")
            members["trade"][name.format("trade")] = _line(bar, (34_260_000, worth, worth, worth, worth, 7), field, here) + "\n"
            members["openinterest"][name.format("openinterest")] = _line(("interest time", "open interest"), (23_460_000, strike), field, here) + "\n"
    for kind, files in members.items():
        zip_of(data / f"option/usa/minute/xyz/{digits}_{kind}_american.zip", dict(mixed(list(files.items()), seed)))
    bar = ("stock time", "stock open", "stock high", "stock low", "stock close", "stock volume")
    bars = "".join(_line(bar, (34_200_000 + 60_000 * m, 1_000_000, 1_001_000, 999_000, 1_000_000 + 100 * m, 50), field, bid if m == 3 else "") + "\n" for m in range(5))
    zip_of(data / f"equity/usa/minute/xyz/{digits}_trade.zip", {f"{digits}_xyz_minute_trade.csv": bars})
    return folder


# ---------------------------------------------------------------------------------------------------------------- Cboe

def write_cboe_json(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, encoding: str = "utf-8", field: str = "bid") -> Path:
    """Cboe's delayed quotes as its content network gives them; written at 13:29 in New York."""
    options = []
    for i, r in enumerate(market(day)):
        options.append({"option": r.occ, "bid": r.bid, "bid_size": float(r.bid_size), "ask": r.ask, "ask_size": float(r.ask_size), "iv": r.volatility,
                        "open_interest": float(r.open_interest), "volume": float(r.volume), **GREEKS, "last_trade_price": r.bid, "theo": r.bid,
                        "last_trade_time": f"{day}T13:1{i % 4}:00"})
    if bid and field != "current_price":
        options[3][field] = "BID"
    answer = {"timestamp": f"{utc(day, 13, 29):%Y-%m-%d %H:%M:%S}", "symbol": "^SPX",
              "data": {"options": mixed(options, seed), "symbol": "^SPX", "security_type": "index", "current_price": "BID" if bid and field == "current_price" else SPOT, "bid": SPOT - 1, "ask": SPOT + 1,
                       "open": 6960.0, "high": 6980.0, "low": 6955.0, "close": SPOT, "volume": 0, "last_trade_time": f"{day}T13:14:00"}}
    path = folder / "_SPX.json"
    path.write_bytes(json.dumps(answer).replace('"BID"', bid or '"BID"').encode(encoding))
    return path


_CBOE = "Expiration Date,Calls,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest,Strike,Puts,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest"


_SIDE = ("Puts", "Last Sale", "Net", "Bid", "Ask", "Volume", "IV", "Delta", "Gamma", "Open Interest")


def write_cboe_csv(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, encoding: str = "utf-8", field: str = "Bid") -> Path:
    """Cboe's delayed quotes as its website gives them since 2021."""
    pairs, lines = market(day), []
    for i in range(0, len(pairs), 2):
        call, put = pairs[i:i + 2]
        here = bid if i == 4 else ""
        sides = [_line(_SIDE, (r.occ, r.bid, 0, r.bid, r.ask, r.volume, r.volatility, 0.5, 0.0025, r.open_interest), field, here if r is put else "") for r in (call, put)]
        strike = here if here and field == "Strike" else f"{call.strike:.2f}"
        lines.append(f"{call.expiry:%a %b %d %Y},{sides[0]},{strike},{sides[1]}")
    last = bid if bid and field == "Last" else SPOT
    head = f'\nS&P 500 INDEX,Last: {last},Change:  9.25\n"Date: {day:%B} {day.day}, {day.year} at 1:29 PM EST",Bid: {SPOT - 1},Ask: {SPOT + 1},Size: 1*1,Volume: 0\n'
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

def write_alphavantage(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, encoding: str = "utf-8", field: str = "bid") -> Path:
    """The answer to HISTORICAL_OPTIONS: every value a text."""
    rows = [{"contractID": r.occ, "symbol": "SPX", "expiration": f"{r.expiry}", "strike": f"{r.strike:.2f}", "type": "call" if r.right is Right.CALL else "put",
             "last": f"{r.bid:.2f}", "mark": f"{r.bid + 0.25:.2f}", "bid": f"{r.bid:.2f}", "bid_size": str(r.bid_size), "ask": f"{r.ask:.2f}",
             "ask_size": str(r.ask_size), "volume": str(r.volume), "open_interest": str(r.open_interest), "date": f"{day}",
             "implied_volatility": f"{r.volatility:.5f}", **{name: f"{value:.5f}" for name, value in GREEKS.items()}} for r in market(day)]
    if bid or field != "bid":
        rows[3][field] = bid
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


def write_columns_csv(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, encoding: str = "utf-8", field: str = "bid_px") -> Path:
    """A desk's own CSV: prices in cents, strikes in thousandths, volatility in percent, local time."""
    rows = _table(day)
    if bid:
        rows[7][field] = bid
    path = folder / "quotes.csv"
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in mixed(rows, seed))]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def write_columns_parquet(folder: Path, *, seed: int = 0, bid: str = "", day: date = DAY, field: str = "b") -> Path:
    """Quotes by OCC symbol with nanoseconds since 1970, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(int(utc(day, 9, m).timestamp()) * 10**9 + i, r.occ, r.bid, r.ask, r.bid_size, r.ask_size) for m in MINUTES for i, r in enumerate(market(day, m))]
    names = ("sip", "ticker", "b", "a", "bs", "as")
    if bid:
        rows[7] = tuple(float(bid) if name == field else value for name, value in zip(names, rows[7], strict=True))
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
    fields: dict[str, str] = field(default_factory=dict)  # what the format calls each figure: its own name -> that of a tape's column


_COLUMNS = columns.IMPORTER.configured(MAPPINGS)
_TICKS = tuple(utc(DAY, 9, m) for m in MINUTES)
SAMPLES = (
    Sample("lean", lean.IMPORTER, write_lean, tuple(utc(DAY, 9, 31 + m) for m in range(5)), roots=("XYZ",), files=_inside("*_quote_*.zip", "*.zip"), old=partial(write_lean, day=OLD_DAY),
           fields={"time": "", "bid open": "", "bid": "bid", "bid size": "bid_size", "ask": "ask", "ask size": "ask_size", "trade close": "price",
                   "trade volume": "size", "open interest": "interest", "stock close": "close", "stock volume": ""}),
    Sample("cboe json", cboe.IMPORTER, write_cboe_json, (utc(DAY, 13, 14),), encodings=True, old=partial(write_cboe_json, day=OLD_DAY),
           fields={"bid": "bid", "ask": "ask", "bid_size": "bid_size", "ask_size": "ask_size", "iv": "volatility", "last_trade_price": "last", "current_price": "close",
                   **{name: name for name in ("open_interest", "volume", "delta", "gamma", "theta", "vega", "rho")}}),
    Sample("cboe csv", cboe.IMPORTER, write_cboe_csv, (utc(DAY, 13, 14),), encodings=True, old=write_cboe_2013,
           fields={"Bid": "bid", "Ask": "ask", "IV": "volatility", "Last Sale": "last", "Open Interest": "open_interest", "Volume": "volume", "Delta": "delta",
                   "Gamma": "gamma", "Strike": "", "Last": "close"}),
    Sample("alphavantage", alphavantage.IMPORTER, write_alphavantage, (utc(DAY, 16, 15),), (utc(DAY, 16, 0),), encodings=True, old=partial(write_alphavantage, day=OLD_DAY),
           fields={"implied_volatility": "volatility", "strike": "", **{name: name for name in (
               "bid", "ask", "bid_size", "ask_size", "last", "volume", "open_interest", "delta", "gamma", "theta", "vega", "rho")}}),
    Sample("columns csv", _COLUMNS, write_columns_csv, _TICKS, encodings=True, old=partial(write_columns_csv, day=OLD_DAY),
           fields={"bid_px": "bid", "ask_px": "ask", "bid_qty": "bid_size", "ask_qty": "ask_size", "vol": "volume", "oi": "open_interest", "iv": "volatility", "k": "",
                   "und": "close"}),
    Sample("columns parquet", _COLUMNS, write_columns_parquet, _TICKS, old=partial(write_columns_parquet, day=OLD_DAY),
           fields={"b": "bid", "a": "ask", "bs": "bid_size", "as": "ask_size"}),
    Sample("recording", recording.IMPORTER, write_recording, _TICKS, files=_inside("*.parquet", "*.json"), old=partial(write_recording, day=OLD_DAY)),
)
