"""reports.chain_page and chain_terminal: what is drawn and printed is what was computed; where there is nothing, a sentence with the reason."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from rich.console import Console

from quanticity.analytics.snapshot import follow, session_flow, whole_snapshot
from quanticity.feeds.simulator import SimulatorParameters, simulate_session
from quanticity.market.chain import nanoseconds
from quanticity.reports.chain_page import exposure_figure, exposure_map, flow_figure, flow_over_day, levels_of, profile_figure, smile_figure
from quanticity.reports.chain_terminal import cell, money, print_chain, strike_rows
from quanticity.reports.figures import Note

NOON = nanoseconds(datetime(2015, 12, 24, 17, 0, tzinfo=UTC))


@pytest.fixture(scope="module")
def session():
    return simulate_session(7, date(2015, 12, 24), "SIM", SimulatorParameters(strikes=12, expiries=4))


@pytest.fixture(scope="module")
def whole(session):
    chain, state = follow(session, NOON)
    return whole_snapshot(chain, session_flow(session, NOON), state)


def test_the_bars_add_up_to_the_exposure_near_the_spot(whole):
    a = whole.naive
    inside = np.abs(a.chain.contracts.strike / a.chain.spot - 1) <= 0.10
    figure = exposure_figure(a, most=2)
    assert sum(float(np.sum(t.y)) for t in figure.data) * 1e6 == pytest.approx(float(np.nansum(a.exposure.gex[inside])))
    assert len(figure.data) == 3 and figure.data[-1].name == "2 more" and "naive convention" in figure.layout.title.text
    assert [s.x0 for s in figure.layout.shapes] == list(levels_of(a).values())
    assert float(np.sum(exposure_map(a).data[0].z)) * 1e6 == pytest.approx(float(np.nansum(a.exposure.gex[inside])))


def test_every_crossing_is_marked_under_every_convention(whole):
    figure = profile_figure(whole.by_convention)
    marked = np.sort(np.concatenate([t.x for t in figure.data if t.mode == "markers"]))
    np.testing.assert_array_equal(marked, np.sort(np.concatenate([a.zero_gamma.roots for a in whole.by_convention.values()])))
    assert [t.name for t in figure.data if t.mode == "lines"] == ["naive", "gross", "flow-signed"]


def test_smiles_are_of_options_out_of_the_money(whole):
    a = whole.naive
    for trace in smile_figure(a).data:
        rows = np.flatnonzero(a.chain.contracts.expiry_day == (date.fromisoformat(trace.name) - date(1970, 1, 1)).days)
        for x, y in zip(trace.x, trace.y):
            (row,) = [r for r in rows if abs(a.chain.contracts.strike[r] / a.chain.spot - x) < 1e-12 and a.chain.contracts.is_call[r] == (x >= 1)]
            assert a.volatility[row] == y


def test_the_flow_ends_where_the_trades_add_up_to(session, whole):
    flow = session_flow(session, NOON)
    sums, t = flow_over_day(flow, whole.naive), flow.trades
    signed = flow.expected_sign * t.size * t.price * 100
    assert sums["call"][-1] == pytest.approx(signed[whole.chain.contracts.is_call[t.index]].sum()) and len(sums["delta"]) == len(t)
    figure = flow_figure(flow, whole.naive, largest=3)
    assert len(figure.data[-1].text) == 3 and " at " in figure.data[-1].text[0] and f"{figure.data[0].x[0]:%H:%M}" >= "09:30"


def test_where_there_is_nothing_stands_a_sentence(session):
    nothing = whole_snapshot(follow(session, nanoseconds(session.opens) - 1)[0]).naive
    for note in (exposure_figure(nothing), exposure_map(nothing), smile_figure(nothing), profile_figure({"naive": nothing}), flow_figure(None, nothing)):
        assert isinstance(note, Note) and note.text.startswith("No ") and note.text.endswith(".")
    assert "no quote" in exposure_figure(nothing).text or "no spot" in exposure_figure(nothing).text


def test_the_terminal_shows_the_records_numbers(whole):
    console = Console(width=220, record=True, file=open("/dev/null", "w"))
    print_chain(whole.record, console, strikes=7)
    shown = console.export_text()
    naive = whole.record["conventions"]["naive"]
    for text in (money(naive["totals"]["gex"]), cell(naive["zero_gamma"], "value"), f"{naive['walls']['call_wall']:,g}", "flow-signed", "the 7 nearest"):
        assert text in shown, text
    strikes = [float(row[0].replace(",", "")) for row in strike_rows(whole.record, 7)]
    assert strikes == sorted(strikes, reverse=True) and len(strikes) == 7 and min(abs(k - whole.chain.spot) for k in strikes) <= 2.5


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (-0.4, "-0"), (999.4, "999"), (999.6, "1.00 k"), (-1e6, "-1.00 m"), (12_345_678.0, "12.3 m"), (9.996e9, "10.0 bn"), (1e13, "10,000 bn")])
def test_money(value, text):
    assert money(value) == text
