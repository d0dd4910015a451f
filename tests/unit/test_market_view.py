"""A session's summaries by time, expiry, strike and moneyness, and what draws them."""

import io
import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from quanticity.feeds.simulator import simulate_session
from quanticity.market.chain import Contracts, nanoseconds
from quanticity.market.tape import Bars, Published, Quotes, Trades, empty
from quanticity.reports.market_page import FindingLine, coverage_over_time, market_page, spread_by_moneyness, volume_figure
from quanticity.reports.market_terminal import print_market, shade, sparkline
from quanticity.reports.market_view import (Map, contract_spreads, contract_volume, expiry_profile, gaps, one_moment, spread_map, strike_map, time_profile,
                                            underlying_rows, volume_by_strike)


@pytest.fixture(scope="module")
def session():
    return simulate_session(7)


@pytest.fixture(scope="module")
def bare(session):
    nothing = empty(Quotes)
    return replace(session, quotes=nothing, trades=empty(Trades), underlying_quotes=nothing, underlying_bars=empty(Bars), underlying_trades=empty(Trades))


def test_every_row_is_counted_once_and_those_outside_apart(session):
    late = replace(session, trades=Trades(session.trades.ts + 3_600_000_000_000, session.trades.index, session.trades.price, session.trades.size))
    p = time_profile(late)
    after = int((late.trades.ts > nanoseconds(session.closes)).sum())
    assert after > 0 and p.outside["trades"] == after
    assert p.rows["trades"].sum() == len(session.trades) - after
    assert p.ends[-1] == nanoseconds(session.closes) and (np.diff(p.ends) > 0).all()


def test_a_half_day_has_its_own_length():
    p = time_profile(simulate_session(7, date(2026, 11, 27)), 70)
    assert (p.minutes, len(p.ends)) == (3, 70)


@pytest.mark.parametrize("minutes", [210, 225, 390, 405, 389])
def test_every_bin_is_as_long_as_the_others(session, minutes):
    day = replace(session, closes=session.opens + timedelta(minutes=minutes))
    for bins in range(20, 81):
        p = time_profile(day, bins)
        each = np.diff(p.ends, prepend=nanoseconds(day.opens))
        assert np.ptp(each) <= 1 and each[0] == pytest.approx(p.minutes * 60e9) and p.ends[-1] == nanoseconds(day.closes)
        assert bins / 2 <= len(p.ends) <= bins


def test_a_steady_market_is_drawn_steady_to_the_close(session):
    every = nanoseconds(session.opens) + np.arange(1, 391) * 60_000_000_000
    one = np.ones(390)
    steady = replace(session, trades=Trades(every, np.zeros(390, np.int64), one, one))
    for width in (60, 72, 100, 113, 160):
        out = io.StringIO()
        print_market(steady, Console(file=out, width=width, no_color=True))
        assert set(next(line for line in out.getvalue().splitlines() if line.startswith("trades")).split()[1]) == {"█"}


def test_the_two_sided_share_is_that_of_rows_at_every_width_and_on_the_page(session):
    q = session.quotes
    lost = q.ts < nanoseconds(session.opens) + 20 * 60_000_000_000  # in the first minutes one side is missing
    day = replace(session, quotes=replace(q, bid=np.where(lost, np.nan, q.bid)))
    share = f"{np.mean(~np.isnan(day.quotes.bid) & ~np.isnan(day.quotes.ask)):.1%}"
    for width in (60, 100, 160):
        out = io.StringIO()
        print_market(day, Console(file=out, width=width, no_color=True))
        assert re.search(r"^two-sided .* (\S+) of quotes", out.getvalue(), re.M)[1] == share
    assert f"<b>{share}</b><span>two-sided" in market_page(day)


def shown(day):
    out = io.StringIO()
    print_market(day, Console(file=out, width=100, no_color=True))
    return out.getvalue(), spread_by_moneyness(day).layout.title.text, [note.text for note in volume_figure(day).layout.annotations]


@pytest.mark.parametrize("after_open", [-60, 60, 300, 400])
def test_the_spot_known_once_is_the_spot_strikes_are_measured_against(session, bare, after_open):
    at = np.array([nanoseconds(session.opens) + after_open * 60_000_000_000])
    price = float(np.median(session.contracts.strike)) + 1.25
    text, title, notes = shown(replace(bare, underlying_trades=Trades(at, np.zeros(1, np.int64), np.array([price]), np.ones(1))))
    assert f"by strike over spot ({price:,.2f})" in text and f"by strike over spot ({price:,.2f})" in title and notes == ["spot"]
    assert "unknown" not in text and (f"{price:,.2f}, after the close" in text) == (after_open == 400)


def test_a_strike_is_not_called_spot_where_none_is_known(bare):
    text, title, notes = shown(bare)
    named = f"by strike over middle strike ({np.median(bare.contracts.strike):,.2f})"
    assert named in text and named in title and notes == [] and "over spot" not in text + title


def test_the_counts_by_loop(session):
    p, q = time_profile(session), session.quotes
    rows = (q.ts > p.ends[3]) & (q.ts <= p.ends[4])
    assert p.rows["quotes"][4] == rows.sum()
    assert p.contracts[4] == len(set(q.index[rows].tolist()))
    both = ~np.isnan(q.bid[rows]) & ~np.isnan(q.ask[rows])
    assert p.two_sided[4] == pytest.approx(both.mean())


def test_spreads_are_medians_of_medians(session):
    q, spreads, e = session.quotes, contract_spreads(session), expiry_profile(session)
    relative = (q.ask - q.bid) / (0.5 * (q.ask + q.bid))
    for row in (0, 57, 200):
        own = relative[(q.index == row) & ~np.isnan(relative)]
        assert spreads[row] == pytest.approx(np.median(own)) if len(own) else np.isnan(spreads[row])
    first = session.contracts.expiry_day == session.contracts.expiry_day.min()
    assert e.spread[0] == pytest.approx(np.nanmedian(spreads[first]))


def test_totals_over_expiries_strikes_and_time_agree(session):
    e = expiry_profile(session)
    strikes, calls, puts = volume_by_strike(session)
    assert e.volume.sum() == calls.sum() + puts.sum() == session.trades.size.sum()
    assert e.rows.sum() == len(session.quotes)
    assert np.nansum(strike_map(session).values) == time_profile(session).rows["quotes"].sum()
    assert np.isfinite(spread_map(session).values).any() and (np.diff(strikes) > 0).all()


def test_holes_are_found_at_both_ends_and_in_between(session):
    opens, closes = nanoseconds(session.opens), nanoseconds(session.closes)
    ts = np.array([opens + 600 * 10**9, opens + 700 * 10**9, closes - 400 * 10**9])
    thin = replace(session, trades=Trades(ts, np.zeros(3, np.int64), np.ones(3), np.ones(3)))
    found = [(g.start, g.end) for g in gaps(thin) if g.tape == "trades"]
    assert found == [(ts[1], ts[2]), (opens, ts[0]), (ts[2], closes)]


def test_a_stock_alone_is_drawn_by_its_own_rows(session):
    c = session.contracts
    none = Contracts(c.symbol, c.underlying, c.strike[:0], c.expiry_day[:0], c.expires_at[:0], c.is_call[:0], c.multiplier[:0])
    alone = replace(session, contracts=none, quotes=empty(Quotes), trades=empty(Trades), open_interest=np.empty(0), prior_volatility=np.empty(0))
    drawn = coverage_over_time(alone)
    bars = {trace.name: int(sum(trace.y)) for trace in drawn.data if trace.type == "bar"}
    assert bars == {"underlying quotes": len(session.underlying_quotes), "underlying trades": len(session.underlying_trades)} and bars["underlying quotes"] > 0
    assert f"<b>{underlying_rows(alone):,}</b><span>rows of the underlying" in market_page(alone)
    out = io.StringIO()
    print_market(alone, Console(file=out, width=90, no_color=True))
    assert f"0 contracts, {underlying_rows(alone):,} rows of the underlying" in out.getvalue()


@pytest.fixture(scope="module")
def snapshot(session, bare):
    """One chain at 13:14 with what its vendor publishes, as a page of Cboe's: no trades, no course."""
    at, n, none = nanoseconds(session.opens) + 224 * 60_000_000_000, len(session.contracts), np.full(len(session.contracts), np.nan)
    ts, row = np.full(n, at), np.arange(n)
    published = Published(ts, row, none, row % 3.0, *[none] * 7)
    return replace(bare, quotes=Quotes(ts, row, np.ones(n), np.full(n, 1.1), none, none), published=published)


def test_a_panel_is_drawn_for_what_there_is(session, snapshot):
    def panels(day):
        layout = coverage_over_time(day).layout
        return [layout[name].title.text for name in sorted(name for name in layout if name.startswith("yaxis"))]

    assert panels(session)[1:] == ["two-sided", "trades", "spot, $"]
    assert panels(snapshot)[1:] == ["two-sided"]  # neither trades nor any spot: no empty panels
    point = next(trace for trace in coverage_over_time(snapshot).data if trace.name == "contracts quoted")
    assert point.mode == "markers"  # no line goes through one point


def test_a_snapshot_shows_the_volume_that_its_vendor_publishes(snapshot):
    total = int(np.nansum(snapshot.published.volume))
    assert total > 0 and contract_volume(snapshot)[1] and expiry_profile(snapshot).volume.sum() == total
    page, (text, _, _) = market_page(snapshot), shown(snapshot)
    assert f"<b>{total:,}</b><span>volume, as published" in page and "Volume by strike, as the vendor publishes it" in page
    assert "as the vendor publishes it" in text


def test_a_session_without_any_volume_has_no_picture_of_it(bare):
    assert "Volume by strike" not in market_page(bare)


def test_one_moment_has_no_holes(session, snapshot):
    assert one_moment(session) is None and one_moment(snapshot) == snapshot.quotes.ts[0] and gaps(snapshot) == ()
    assert "One moment of the day, 13:14:00 New York" in market_page(snapshot) and "One moment of the day, 13:14:00" in shown(snapshot)[0]
    twice = replace(snapshot, quotes=replace(snapshot.quotes, index=np.zeros(len(snapshot.quotes), np.int64)))
    assert one_moment(twice) is None  # a contract that came twice
    ends = snapshot.contracts.expires_at
    early = replace(snapshot.quotes, ts=np.sort(np.where(ends == ends.min(), ends, snapshot.quotes.ts[0] + 10**12)))
    assert one_moment(replace(snapshot, quotes=early)) in (None, int(snapshot.quotes.ts[0] + 10**12))


def test_an_empty_day_is_drawn_and_says_so(bare):
    page = market_page(bare)
    assert "Nothing was found wrong." in page
    out = io.StringIO()
    print_market(bare, Console(file=out, width=90, no_color=True))
    assert "spot" in out.getvalue() and "unknown" in out.getvalue()


def test_the_page_needs_no_network_and_escapes_what_it_is_told(session):
    page = market_page(replace(session, notes=("<script>alert(1)</script>",)), [FindingLine("crossed_quote", "quarantined", 2, "<b>row 3</b>")], {"quality": 0.9})
    body = page.split("</head>")[1]
    assert page.count('class="plotly-graph-div"') == 4
    assert not re.search(r"(src|href)=.https?:", body)
    assert "<script>alert(1)" not in page and "&lt;b&gt;row 3" in page
    assert "prefers-color-scheme:dark" in page


@pytest.mark.parametrize("width", [72, 100, 160])
def test_the_terminal_view_keeps_within_its_width(session, width):
    out = io.StringIO()
    print_market(session, Console(file=out, width=width, no_color=True), [FindingLine("gap", "noted", 1, "quotes silent from 10:00 to 10:20")])
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert any("quotes silent" in line for line in lines)


@pytest.fixture(scope="module")
def years(session):
    """The session with its contracts spread over twenty expiries, and sizes of seven figures."""
    c, q = session.contracts, session.quotes
    day = int(c.expiry_day.min()) + 7 * (np.arange(len(c)) % 20) * (np.arange(len(c)) % 20)
    contracts = replace(c, expiry_day=day, expires_at=c.expires_at + (day - c.expiry_day) * 86_400_000_000_000)
    return replace(session, contracts=contracts, quotes=replace(q, ask=q.ask * 3), open_interest=np.full(len(c), 123_456.0))


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_figure_is_cut_however_many_expiries_there_are(years, width):
    out = io.StringIO()
    print_market(years, Console(file=out, width=width, no_color=True), licence="ours")
    text = out.getvalue()
    assert "…" not in text and max(map(len, text.splitlines())) <= width
    assert "and 8 more expiries, to " in " ".join(text.split()) and "licence: ours" in text
    table = text[text.index("Expiries"):text.index("Quote rows by strike")].splitlines()
    head = next(line for line in table if "expiry" in line)
    rows = [line.split() for line in table if line.strip()[:2] == "20"]
    assert len(rows) == 12 and "quote rows" in head  # a header is one line
    named = ("expiry", "days", "contracts", "quoted", "quote rows", "two-sided", "spread", "trades", "volume", "open interest")
    shown = [name for name in named if name in head]
    assert all(len(row) == len(shown) for row in rows)
    said = " ".join(text.split())
    for name in set(named) - set(shown):
        assert name in said[said.index("not shown for want of width"):]
    if "open interest" in shown:
        most = max(int(row[-1].replace(",", "")) for row in rows)
        assert most == max(expiry_profile(years).open_interest[:12])
    if width >= 80:
        assert "open interest" in shown and "volume" in shown and "spread" in shown


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.floats(0, 1e9), st.just(float("nan"))), min_size=1, max_size=60))
def test_a_sparkline_is_as_long_as_its_values_and_in_their_order(values):
    bars = sparkline(np.array(values))
    assert len(bars) == len(values)
    order = " ·▁▂▃▄▅▆▇█"
    known = sorted((v, order.index(b)) for v, b in zip(values, bars, strict=True) if v == v)
    assert [step for _, step in known] == sorted(step for _, step in known)


def test_an_empty_map_is_blank():
    assert shade(Map(("a",), ("x", "y"), np.full((1, 2), np.nan))) == ["  "]
