"""The door and what it is made of, on small sessions whose every row is known."""

import re
import warnings
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from quanticity.core.errors import ConfigError
from quanticity.core.reasons import Reason
from quanticity.core.types import Exercise
from quanticity.market.chain import Contracts, OptionChain, nanoseconds
from quanticity.market import findings
from quanticity.market.findings import TAPES, FindingsBuilder, Severity, finding_lines, join_findings, some_of_each
from quanticity.market.quality import Door, QualityParameters, chain_quality, screen_session
from quanticity.market.session import Batch, MarketSession, batches
from quanticity.market.tape import Bars, Depth, Imbalances, IndexLevels, NoticeKind, Notices, Published, Quotes, Trades, empty

MINUTE = 60_000_000_000
NAN = float("nan")
DOOR = ("row_checks", "sequence_checks", "quote_memory", "contract_checks", "tape_door", "option_door", "quality")
OPENS = datetime(2026, 3, 19, 13, 30, tzinfo=UTC)
START = nanoseconds(OPENS)
DAY = (date(2026, 4, 17) - date(1970, 1, 1)).days


def listed(symbol="XYZ", strikes=(95.0, 100.0, 105.0), multiplier=100.0, exercise=Exercise.AMERICAN, day=DAY) -> Contracts:
    k = np.repeat(np.array(strikes), 2)
    n = len(k)
    return Contracts(symbol, symbol, k, np.full(n, day), np.full(n, (day * 86_400 + 72_000) * 10**9), np.tile([True, False], n // 2), np.full(n, multiplier), exercise)


def session(minutes=120, contracts=None, spot=None, **changes) -> MarketSession:
    """A sound session: each minute a quote of every contract and a bar of the underlying, which climbs a cent a minute."""
    contracts = listed() if contracts is None else contracts
    n, t = len(contracts), START + MINUTE * np.arange(1, minutes + 1)
    path = 100 + 0.01 * np.arange(1, minutes + 1) if spot is None else np.broadcast_to(spot, minutes).astype(float)
    put = 3 + np.maximum(contracts.strike - path[:, None], 0)
    mid = np.where(contracts.is_call, put + path[:, None] - contracts.strike, put).ravel()
    one = np.ones(n * minutes)
    made = MarketSession("sim", date(2026, 3, 19), OPENS, OPENS + timedelta(minutes=minutes), contracts,
                         Quotes(np.repeat(t, n), np.tile(np.arange(n), minutes), mid - 0.05, mid + 0.05, 10 * one, 10 * one), empty(Trades),
                         Bars(t, path, path + 0.02, path - 0.02, path, 100 * np.ones(minutes)), empty(Quotes), np.full(n, NAN), np.full(n, NAN), 0.0, 0.0, empty(Imbalances))
    return replace(made, **changes)


def found(screened) -> dict[str, dict[str, int]]:
    f = screened.findings
    return {tape: {r.value: n for r, n in f.of(tape=tape).counts().items()} for tape in TAPES if len(f.of(tape=tape))}


def edited(s: MarketSession, row: int, tape="quotes", **values) -> MarketSession:
    columns = {name: getattr(getattr(s, tape), name).copy() for name in getattr(s, tape).__dataclass_fields__}
    for name, value in values.items():
        columns[name][row] = value
    return replace(s, **{tape: type(getattr(s, tape)).as_arrived(**columns)})


def test_a_sound_session_comes_back_as_it_is():
    s = session()
    screened = screen_session(s)
    assert screened.session is s and len(screened.findings) == 0 and screened.quarantine == {} and screened.refused == 0
    assert screened.score.total == 1.0


def test_a_session_without_rows_or_contracts():
    s = session(contracts=listed(strikes=()), minutes=30, spot=100.0)
    assert found(screen_session(s)) == {} and screen_session(s).score.total == 1.0  # a stock alone has no option quotes to miss
    nothing = replace(session(), quotes=empty(Quotes), underlying_bars=empty(Bars))
    assert found(screen_session(nothing)) == {"quotes": {"gap": 1}} and screen_session(nothing).score.total < 0.01


def test_what_is_refused_is_kept_as_it_came():
    s = edited(session(), 100, bid=99.0, ask=98.0)
    screened = screen_session(s)
    rows, tape = screened.quarantine["quotes"]
    assert rows.tolist() == [100] and tape.bid.tolist() == [99.0] and tape.ts.tolist() == [int(s.quotes.ts[100])]
    assert len(screened.session.quotes) == len(s.quotes) - 1 and screened.session.quotes.in_order


@pytest.mark.parametrize(("values", "reason"), [
    ({"bid": 9.0, "ask": 8.0}, "crossed_quote"), ({"bid": 0.0}, "negative_price"), ({"ask": float("inf")}, "not_a_number"), ({"ask_size": -1.0}, "negative_price"),
    ({"bid_size": float("inf")}, "not_a_number"), ({"index": 6}, "unknown_contract"), ({"index": -1}, "unknown_contract"), ({"bid": 150.0, "ask": 151.0}, "above_bound"),
    ({"bid": 20.0, "ask": 20.1}, "price_jump"), ({"ts": START + 3600 * 10**9 * 9}, "outside_session"), ({"ts": START}, "outside_session"), ({"ts": START + MINUTE}, "out_of_order"),
    ({"ts": START + 100 * MINUTE}, "clock_skew")])
def test_one_bad_quote_is_refused_for_its_reason_and_nothing_else_is(values, reason):
    s = edited(session(), 303, **values)
    screened = screen_session(s)
    if reason == "outside_session" and values["ts"] == START:  # the very open is inside; but it is late
        reason = "out_of_order"
    assert found(screened) == {"quotes": {reason: 1}}
    assert screened.findings.row.tolist() == [303] and screened.refused == 1


@pytest.mark.parametrize(("values", "reason"), [
    ({"bid": NAN, "bid_size": 0.0}, "no_bid"), ({"ask": NAN, "ask_size": 0.0}, "no_ask"), ({"bid": NAN, "ask": NAN}, "empty_quote"), ({"bid_size": 0.0}, "zero_size"),
    ({"bid_size": NAN}, "not_a_number")])
def test_a_poor_quote_is_noted_and_kept(values, reason):
    screened = screen_session(edited(session(), 303, **values))
    assert found(screened) == {"quotes": {reason: 1}} and screened.refused == 0


def test_sizes_that_nobody_told_are_no_fault_and_what_is_due_is_found_without_them():
    s = session()
    nothing = np.full(len(s.quotes), NAN)
    untold = replace(s, quotes=replace(s.quotes, bid_size=nothing, ask_size=nothing), underlying_quotes=Quotes(s.underlying_bars.ts, np.zeros(120, np.int64), s.underlying_bars.close - 0.01,
                                                                                                               s.underlying_bars.close + 0.01, nothing[:120], nothing[:120]))
    screened = screen_session(untold)
    assert found(screened) == {} and screened.session is untold and screened.score.total == 1.0
    assert found(screen_session(edited(untold, 303, bid=20.0, ask=20.1))) == {"quotes": {"price_jump": 1}}
    assert found(screen_session(edited(untold, 303, bid_size=0.0))) == {"quotes": {"zero_size": 1}}
    assert found(screen_session(edited(untold, 303, bid_size=5.0))) == {"quotes": {"not_a_number": len(s.quotes) - 304}}  # told once, untold from then on
    twice = replace(untold, quotes=Quotes(**{name: np.append(getattr(untold.quotes, name), getattr(untold.quotes, name)[-1]) for name in s.quotes.__dataclass_fields__}))
    assert found(screen_session(twice)) == {"quotes": {"duplicate_row": 1}}


def at_one_moment(s: MarketSession, minute: int, sizes: float = NAN) -> MarketSession:
    q = s.quotes.where(s.quotes.ts == START + minute * MINUTE)
    return replace(s, quotes=replace(q, bid_size=np.full(len(q), sizes), ask_size=np.full(len(q), sizes)),
                   underlying_bars=s.underlying_bars.where(s.underlying_bars.ts == START + minute * MINUTE))


@pytest.mark.parametrize("minute", [1, 60, 120])
def test_a_snapshot_has_no_gaps_and_is_not_worth_less_for_its_one_moment(minute):
    s = at_one_moment(session(), minute)
    screened = screen_session(s)
    assert found(screened) == {} and screened.refused == 0
    assert np.isnan(screened.score.parts["unbroken"]) and screened.score.total == 1.0
    door = Door(s.contracts, s.opens, s.closes)
    assert sum(len(door.screen(batch)[1]) for batch in batches(s)) + len(door.finish()) == 0
    assert found(screen_session(at_one_moment(session(), minute, 0.0)))["quotes"] == {"zero_size": 6}


def test_a_days_last_prices_are_one_moment_though_some_contracts_ended_before():
    s = at_one_moment(session(), 120)
    ends = np.where(np.arange(len(s.contracts)) < 2, START + 90 * MINUTE, s.contracts.expires_at)  # two of them on their last day
    ts = np.where(s.quotes.index < 2, START + 90 * MINUTE, s.quotes.ts)
    order = np.argsort(ts, kind="stable")
    last = replace(s, contracts=replace(s.contracts, expires_at=ends), quotes=replace(s.quotes, ts=ts).rows(0, len(ts)).where(order))
    screened = screen_session(last)
    assert found(screened) == {} and np.isnan(screened.score.parts["unbroken"]) and screened.score.total == 1.0
    door = Door(last.contracts, last.opens, last.closes)
    assert sum(len(door.screen(batch)[1]) for batch in batches(last)) + len(door.finish()) == 0
    before = replace(last, contracts=s.contracts)  # no contract ended then: two moments, and hours of silence
    assert found(screen_session(before))["quotes"]["gap"] >= 1


def test_quotes_of_one_moment_beside_an_underlying_with_a_course_are_silent():
    s = session()
    one = replace(s, quotes=s.quotes.where(s.quotes.ts == START + 60 * MINUTE))
    assert found(screen_session(one)) == {"quotes": {"gap": 2}} and screen_session(one).score.parts["unbroken"] < 0.01
    door = Door(s.contracts, s.opens, s.closes)
    live = join_findings([*(door.screen(batch)[1] for batch in batches(one)), door.finish()])
    assert live.in_order().row.tolist() == screen_session(one).findings.in_order().row.tolist() == [0, 6]


def test_a_jump_against_the_move_of_the_underlying_is_not_explained_by_it():
    """A put of an index, 2.7% out of the money, that falls by three quarters while the index gains ten points; the sound quote after it stands."""
    minutes, row = np.arange(1, 121), 6 * 117 + 1
    path = np.where(minutes < 118, 5051.83, np.where(minutes == 118, 5061.90, 5068.82))
    s = session(contracts=listed("SPXW", (4915.0, 5050.0, 5100.0), exercise=Exercise.EUROPEAN), spot=path)
    put = s.quotes.index == 1
    mid = np.where(s.quotes.ts < START + 118 * MINUTE, 3.25, np.where(s.quotes.ts == START + 118 * MINUTE, 2.85, 2.65))
    s = replace(s, quotes=replace(s.quotes, bid=np.where(put, mid - 0.05, s.quotes.bid), ask=np.where(put, mid + 0.05, s.quotes.ask)))
    assert found(screen_session(s)) == {}
    screened = screen_session(edited(s, row, bid=0.86, ask=0.96))
    assert found(screened) == {"quotes": {"price_jump": 1}} and screened.findings.row.tolist() == [row] and screened.refused == 1


def test_a_refused_row_has_no_notes():
    screened = screen_session(edited(session(), 303, bid=NAN, ask=-1.0))
    assert found(screened) == {"quotes": {"negative_price": 1}}


def test_the_door_numbers_rows_through_all_batches_and_tells_the_listing_once():
    contracts = listed()
    contracts = replace(contracts, multiplier=np.where(np.arange(6) == 5, 10.0, 100.0))
    s = edited(session(contracts=contracts), 300, bid=9.0, ask=8.0)
    door, parts = Door(contracts, s.opens, s.closes), []
    for batch in batches(s):
        accepted, findings = door.screen(batch)
        assert isinstance(accepted, Batch) and accepted.now == batch.now and 5 not in accepted.quotes.index
        parts.append(findings)
    whole = join_findings([*parts, door.finish()])
    assert whole.of(Reason.CROSSED_QUOTE).row.tolist() == [300]
    assert len(whole.of(tape="contracts")) == 1 == len(door.listing)
    assert whole.of(Reason.WRONG_MULTIPLIER, tape="quotes").row.tolist() == list(range(5, 720, 6))


def test_a_row_stamped_later_than_its_batch_is_ahead_of_its_time():
    s = session()
    batch = next(b for b in batches(s) if len(b.quotes))
    accepted, findings = Door(s.contracts, s.opens, s.closes).screen(replace(batch, now=batch.now - 1))
    assert len(accepted.quotes) == 0 and findings.of(tape="quotes").counts() == {Reason.CLOCK_SKEW: 6}


@pytest.mark.parametrize("late", [31, 45, 100])
def test_a_feed_that_starts_late_is_silent_at_first_and_loses_no_row(late):
    s = session()
    from_then = replace(s, quotes=s.quotes.where(s.quotes.ts >= START + late * MINUTE), underlying_bars=s.underlying_bars.where(s.underlying_bars.ts >= START + late * MINUTE))
    screened = screen_session(from_then)
    assert screened.refused == 0 and found(screened) == {"quotes": {"gap": 1}, "underlying_bars": {"gap": 1}}
    assert screened.findings.value.tolist() == [float(late)] * 2
    door = Door(s.contracts, s.opens, s.closes)
    live = join_findings([*(door.screen(batch)[1] for batch in batches(from_then)), door.finish()])
    assert live.in_order().row.tolist() == screened.findings.in_order().row.tolist()


def test_a_first_row_stamped_an_hour_ahead_is_refused_and_the_rows_behind_it_stand():
    s = edited(session(), 0, ts=START + 61 * MINUTE)
    screened = screen_session(s)
    assert found(screened) == {"quotes": {"clock_skew": 1}} and screened.findings.row.tolist() == [0] and screened.findings.value.tolist() == [3600.0]
    assert len(screened.session.quotes) == len(s.quotes) - 1


def test_halts_explain_silences():
    s = session()
    hole = (s.quotes.ts > START + 40 * MINUTE) & (s.quotes.ts <= START + 52 * MINUTE)
    silent = replace(s, quotes=s.quotes.where(~hole))
    assert found(screen_session(silent)) == {"quotes": {"gap": 1}}
    finding = screen_session(silent).findings
    assert finding.value.tolist() == [13.0] and finding.ts.tolist() == [START + 53 * MINUTE]
    halted = replace(silent, notices=Notices(np.array([START + 41 * MINUTE]), np.array([int(NoticeKind.HALT)])))
    assert found(screen_session(halted)) == {}
    at_once = replace(silent, notices=Notices(np.array([START + 40 * MINUTE]), np.array([int(NoticeKind.HALT)])))  # at the very moment of the last quote
    assert found(screen_session(at_once)) == {}


def test_a_session_that_falls_silent_is_told_at_its_end():
    s = session()
    early = replace(s, quotes=s.quotes.where(s.quotes.ts <= START + 90 * MINUTE))
    screened = screen_session(early)
    assert found(screened) == {"quotes": {"gap": 1}} and screened.findings.row.tolist() == [len(early.quotes)] and screened.findings.value.tolist() == [30.0]
    assert screened.score.parts["unbroken"] == 0.75


def test_without_an_underlying_the_options_tell_its_price():
    s = replace(session(), underlying_bars=empty(Bars))
    door = Door(s.contracts, s.opens, s.closes)
    for batch in batches(s):
        _, findings = door.screen(batch)
        assert len(findings) == 0
    assert abs(door._options.beliefs.implied - 101.19) < 0.02
    assert found(screen_session(edited(s, 303, bid=40.0, ask=40.1))) == {"quotes": {"price_jump": 1}}


def test_a_jump_of_the_underlying_explains_that_of_its_options():
    path = np.where(np.arange(120) < 60, 100.0, 103.0)
    assert found(screen_session(session(spot=path))) == {}
    s = session(spot=path)
    blind = replace(s, underlying_bars=Bars(**{f: np.where(np.arange(120) < 60, getattr(s.underlying_bars, f), 0) + np.where(np.arange(120) >= 60, getattr(s.underlying_bars, f) - 3, 0)
                                               if f not in ("ts", "volume") else getattr(s.underlying_bars, f) for f in ("ts", "open", "high", "low", "close", "volume")}))
    assert found(screen_session(blind))["quotes"]["price_jump"] > 3  # without the underlying's move nothing explains it


def test_other_tapes_are_checked_by_themselves():
    t = START + MINUTE * np.arange(1, 5)
    one, z = np.ones(4), np.zeros(4, np.int64)
    s = session(imbalances=Imbalances(t, one, np.array([1, -1, 1, NAN]), one, one),
                depth=Depth(t, z, one, one, np.array([2, 0.5, 2, 2]), one), published=Published(t, np.array([0, 9, 1, 1]), *(one for _ in range(9))),
                levels=IndexLevels(t, np.array([0, 0, 1, 0]), np.array([20.0, 0.0, 20.0, 20.0])), level_names=("VIX",),
                underlying_trades=Trades.as_arrived(ts=t[[0, 1, 0, 3]], index=z, price=100 * one, size=np.array([1.0, 1.0, 1.0, 0.0])))
    assert found(screen_session(s)) == {"imbalances": {"negative_price": 1, "not_a_number": 1}, "depth": {"crossed_quote": 1}, "published": {"unknown_contract": 1},
                                       "levels": {"unknown_contract": 1, "negative_price": 1}, "underlying_trades": {"out_of_order": 1, "negative_price": 1}}


def test_hours_of_the_underlying_are_longer():
    s = session()
    bars = s.underlying_bars
    early = Bars(np.append(START - 100 * MINUTE, bars.ts), *(np.append(getattr(bars, f)[0], getattr(bars, f)) for f in ("open", "high", "low", "close", "volume")))
    assert found(screen_session(replace(s, underlying_bars=early))) == {}
    night = Bars(np.append(START - 400 * MINUTE, bars.ts), *(np.append(getattr(bars, f)[0], getattr(bars, f)) for f in ("open", "high", "low", "close", "volume")))
    assert found(screen_session(replace(s, underlying_bars=night))) == {"underlying_bars": {"outside_session": 1}}


def test_limits_are_checked_and_used():
    with pytest.raises(ConfigError, match="settle_seconds"):
        QualityParameters(settle_seconds=0.0)
    s = edited(session(), 303, bid=4.9, ask=5.0)
    assert found(screen_session(s, QualityParameters(jump_spreads=1000.0))) == {}
    assert found(screen_session(session(contracts=listed(multiplier=10.0)), QualityParameters(multiplier=10.0))) == {}


def test_a_session_score_falls_with_what_is_wrong():
    s = session()
    bad = Quotes(s.quotes.ts, s.quotes.index, np.where(s.quotes.index == 1, s.quotes.ask + 1, s.quotes.bid), s.quotes.ask, s.quotes.bid_size, s.quotes.ask_size)
    score = screen_session(replace(s, quotes=bad)).score
    assert score.weakest() == "accepted" and 0.5 < score.total < 0.95
    assert all(v != v or 0 <= v <= 1 for v in score.parts.values())


def test_findings_in_words():
    builder = FindingsBuilder()
    builder.add("quotes", Severity.QUARANTINE, Reason.PRICE_JUMP, 12, START + MINUTE, 1, 3.25, 0.4)
    builder.add("contracts", Severity.QUARANTINE, Reason.WRONG_MULTIPLIER, 3, 0, 3, 10.0, 100.0)
    builder.add("underlying_bars", Severity.NOTE, Reason.GAP, 7, START, -1, 12.0, 5.0)
    assert finding_lines(builder.build(), listed()) == [
        "09:31:00 quotes[12] XYZ 2026-04-17 95P: price jump 3.25 dollars (limit 0.4 dollars), refused",
        "--:--:-- contracts[3] XYZ 2026-04-17 100P: wrong multiplier 10 shares a contract (limit 100 shares a contract), refused",
        "09:30:00 underlying_bars[7]: gap 12 minutes (limit 5 minutes), noted"]


def test_figures_in_words_have_the_units_of_their_reason_and_tape():
    for reason, tape, value, limit, words in (
            (Reason.CLOCK_SKEW, "quotes", 1860.0, 1800.0, "clock skew 1860 seconds (limit 1800 seconds)"), (Reason.OUT_OF_ORDER, "trades", 1.0, 0.0, "out of order 1 second (limit 0 seconds)"),
            (Reason.OUTSIDE_SESSION, "quotes", 1.0, 0.0, "outside session 1 minute (limit 0 minutes)"), (Reason.EXPIRED, "trades", 2.5, 0.0, "expired 2.5 minutes (limit 0 minutes)"),
            (Reason.PRICE_JUMP, "underlying_bars", 0.065, 0.05, "price jump 6.5% (limit 5%)"), (Reason.CROSSED_QUOTE, "quotes", 0.05, 0.0, "crossed quote 0.05 dollars (limit 0 dollars)"),
            (Reason.WRONG_EXPIRY, "contracts", 3000.0, 2200.0, "wrong expiry 3000 days ahead (limit 2200 days ahead)"), (Reason.SPLIT, "session", 2.0, 1.4, "split 2 times (limit 1.4 times)"),
            (Reason.NO_BID, "quotes", NAN, NAN, "no bid")):
        builder = FindingsBuilder()
        builder.add(tape, Severity.NOTE, reason, 0, START, -1, value, limit)
        assert finding_lines(builder.build(), listed()) == [f"09:30:00 {tape}[0]: {words}, noted"]


def test_every_reason_the_door_gives_is_one_that_can_be_asked_for():
    folder = Path(findings.__file__).parent
    used = {name for path in folder.glob("*.py") if path.stem in DOOR for name in re.findall(r"Reason\.([A-Z_]+)", path.read_text())}
    assert {r.name for r in findings.DOOR_REASONS} == used


def test_a_few_findings_of_each_reason_refused_rows_first():
    builder = FindingsBuilder()
    builder.add("quotes", Severity.NOTE, Reason.NO_BID, range(100, 1100), START, 0)
    builder.add("quotes", Severity.NOTE, Reason.OFF_QUOTE, [7], START, 0)
    builder.add("quotes", Severity.QUARANTINE, Reason.OUTSIDE_SESSION, range(100), START, 0, 1.0, 0.0)
    builder.add("trades", Severity.QUARANTINE, Reason.OFF_QUOTE, [5, 6], START, 0, 2.0, 0.5)
    few = some_of_each(builder.build(), 9)
    assert [(r, findings.REASONS[c].value, s) for r, c, s in zip(few.row.tolist(), few.reason.tolist(), few.severity.tolist(), strict=True)] == [
        (0, "outside_session", 1), (1, "outside_session", 1), (2, "outside_session", 1), (5, "off_quote", 1), (6, "off_quote", 1), (7, "off_quote", 0),
        (100, "no_bid", 0), (101, "no_bid", 0), (102, "no_bid", 0)]


def test_an_expired_contract_is_quoted_no_more():
    today = (date(2026, 3, 19) - date(1970, 1, 1)).days
    contracts = listed(day=today)
    contracts = replace(contracts, expires_at=np.full(6, START + 100 * MINUTE))
    screened = screen_session(session(contracts=contracts))
    assert found(screened)["quotes"]["expired"] == 20 * 6


def test_two_quotes_at_a_contracts_last_instant_are_judged_without_a_warning():
    s = session(minutes=30)
    s = replace(s, contracts=replace(s.contracts, expires_at=np.full(6, START + 30 * MINUTE)))
    last = [np.append(getattr(s.quotes, name), getattr(s.quotes, name)[-1]) for name in s.quotes.__dataclass_fields__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for jump, verdict in ((0.0, "duplicate_row"), (4.0, "price_jump")):
            columns = dict(zip(s.quotes.__dataclass_fields__, (c.copy() for c in last), strict=True))
            columns["bid"][-1] += jump
            columns["ask"][-1] += jump
            assert found(screen_session(replace(s, quotes=Quotes(**columns)))) == {"quotes": {verdict: 1}}


def chain(**changes) -> OptionChain:
    s = session(minutes=1)
    n = len(s.contracts)
    base = OptionChain(1, START + MINUTE, s.contracts, 100.01, "trade", 0.0, 0.0, s.quotes.bid, s.quotes.ask, s.quotes.bid_size, s.quotes.ask_size, s.quotes.ts, np.zeros(n), np.zeros(n),
                       np.zeros(n))
    return replace(base, **changes)


def test_a_chain_is_scored_by_its_parts():
    best = chain_quality(chain())
    assert best.total > 0.9 and set(best.parts) == {"two_sided", "fresh", "uncrossed", "spread", "parity", "ordered", "convex", "coverage"}
    c = chain()
    assert chain_quality(replace(c, bid=np.full(6, NAN))).total < 0.01
    assert chain_quality(replace(c, quote_time=np.zeros(6, np.int64))).weakest() == "fresh"
    assert chain_quality(replace(c, spot=98.0)).parts["parity"] == 0.0
    assert np.isnan(chain_quality(replace(c, spot=NAN)).parts["parity"])
    assert chain_quality(replace(c, ts=c.ts + 400 * 86_400 * 10**9)).total == 0.0
    assert chain_quality(chain(), near=0.001).total < best.total + 1  # nothing but the strike at the money


def test_calls_that_rise_with_the_strike_are_out_of_order():
    c = chain()
    bid, ask = c.bid.copy(), c.ask.copy()
    bid[[0, 4]], ask[[0, 4]] = bid[[4, 0]], ask[[4, 0]]
    assert chain_quality(replace(c, bid=bid, ask=ask)).parts["ordered"] <= 0.5
