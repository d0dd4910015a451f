"""The tear sheet of a backtest: sessions in a row, exposure by strategy and expiry, dashes with reasons, headings that stay with what they are of."""

from dataclasses import replace
from datetime import datetime, timedelta

import nbformat
import numpy as np
import pytest

from quanticity.app.backtest_cli import not_done_rows, result_rows, show_backtest
from quanticity.reports.backtest_figures import equity_figure, exposure_by_figure, exposure_figure, group_figure, market_figure
from quanticity.reports.backtest_run import BacktestRun, load_backtest, write_backtest_example
from quanticity.reports.backtest_tables import backtest_headline, groups_table, not_done_table, parameters_table, significance_table, statistics_table
from quanticity.reports.document import _markdown, _new_pdf, html_page
from quanticity.reports.session_axis import session_axis


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> BacktestRun:
    return load_backtest(write_backtest_example(tmp_path_factory.mktemp("sheet") / "run"))


def test_nights_and_weekends_take_no_room_and_no_line_bridges_them(run):
    line = equity_figure(run).data[0]
    x, y = np.asarray(line.x), np.asarray(line.y)
    assert int(np.isnan(y).sum()) == 1 and len(y) == 29  # two sessions of fourteen steps, a break between them
    assert np.diff(x).max() < 31 and x[-1] < 2 * 13 * 30 + 30  # minutes of trading; the night of seventeen hours and a half is not there
    market = market_figure(run, "SIM")
    entry = next(t for t in market.data if t.meta == "calls, entry")
    exits = [t for t in market.data if t.meta == "calls, exit"]
    assert min(abs(a - b) for a in entry.x for t in exits for b in t.x) >= 45 - 1e-9  # three quarters of an hour lie between an entry and its exit


def test_the_marks_of_trades_are_those_of_the_notebooks_pictures(run):
    """The colour is the strategy's, the shape the right's, filled is an entry; the still picture of the PDF has them, too."""
    from quanticity.reports.show import static_png

    contracts = [c[:-9] + "P" + c[-8:] if i == 0 else c for i, c in enumerate(run.trades["contract"])]
    strategies = [name if i < 2 else "moc" for i, name in enumerate(run.trades["strategy"])]
    figure = market_figure(replace(run, trades={**run.trades, "contract": contracts, "strategy": strategies}), "SIM")
    look = {f"{t.name}: {t.meta}": (t.marker.symbol, t.marker.color) for t in figure.data if t.name != "spot"}
    assert {name.split(": ")[0] for name in look} == {"moc", "zero_dte"} and any("puts" in n for n in look)
    for name, (symbol, _) in look.items():
        assert symbol.startswith({"calls": "triangle-up", "puts": "triangle-down"}[name.split(": ")[1].split(",")[0]]) and symbol.endswith("-open") == name.endswith("exit")
    assert {len({c for n, (_, c) in look.items() if n.startswith(who)}) for who in ("moc", "zero_dte")} == {1} and len({c for _, c in look.values()}) == 2
    assert [t.name for t in figure.data if t.showlegend is not False] == ["spot", "moc", "zero_dte"]
    assert "filled is an entry" in figure.layout.meta["notes"][0] and len(static_png(figure)) > 5_000
    texts = [text for t in figure.data if t.text for text in t.text]
    assert any(", target, " in text for text in texts)


def test_a_strategy_has_one_name_in_all_tables_and_pictures(run):
    group = dict(run.summary["attribution"][0]) | {"dimension": "strategy", "label": "zero_dte"}
    other = group | {"dimension": "exit", "label": "not_listed"}
    summary = {**run.summary, "attribution": [group, other]}
    told = replace(run, summary=summary)
    assert [row[1] for row in groups_table(told).rows] == ["zero_dte", "not listed"] == [row[1] for row in result_rows(summary)["Where it came from"][1:]]
    assert list(group_figure(told, "strategy").data[0].y) == ["zero_dte"] and list(group_figure(told, "exit").data[0].y) == ["not listed"]


def test_where_a_held_option_had_no_bid_the_curve_says_so(run):
    """One sentence under the curve, in a report as in a backtest, only where it happened; a folder of before it was counted says nothing."""
    assert list(equity_figure(run).layout.meta["notes"]) == [] and "without_bid" not in run.summary["days"][0]
    days = [day | {"without_bid": n} for day, n in zip(run.summary["days"], (11, 1), strict=True)]
    (note,) = equity_figure(replace(run, summary={**run.summary, "days": days})).layout.meta["notes"]
    assert note.startswith("In 12 steps an option that was held had no bid that it could be sold at: risk") and note.endswith("so it may drop and come back.")


def test_a_moment_outside_all_sessions_stands_at_the_end_of_the_one_before():
    first = datetime(2026, 3, 20, 9, 30)
    axis = session_axis([first + timedelta(minutes=m) for m in (0, 390)] + [first + timedelta(days=3, minutes=m) for m in (0, 390)])
    assert axis.at(first + timedelta(days=1)) == 390.0 and axis.at(first - timedelta(days=9)) == 0.0 and axis.at(first + timedelta(days=9)) == 780.0 + axis.gap


def test_exposure_is_shown_by_strategy_and_by_expiry_and_adds_up(run):
    whole = exposure_figure(run, "SIM")
    for by, names in (("strategy", ["moc", "zero_dte"]), ("expiry", ["2026-03-20", "2026-03-27"])):
        figure = exposure_by_figure(run, "SIM", by)
        assert [t.name for t in figure.data if t.showlegend] == names
        for panel, book in enumerate(whole.data):
            parts = figure.data[2 * panel:2 * panel + 2]
            np.testing.assert_allclose(sum(np.asarray(p.y) for p in parts), np.asarray(book.y), atol=1e-9)
    for figure in (whole, exposure_by_figure(run, "SIM", "expiry")):
        assert max(len(figure.layout[f"yaxis{n}"].title.text) for n in ("", 2, 3, 4, 5)) <= 6  # short enough for their panels


def test_where_nothing_can_be_said_there_is_a_dash_and_a_reason(run):
    assert statistics_table(run).rows[1][1:3] == ("–", "– (too few days (2) for a ratio a year)") and significance_table(run).rows[0][2] == "– (fewer than 20 days)"
    texts = result_rows(run.summary)
    assert texts["Results"][2][1:3] == ("-", "- (too few days (2) for a ratio a year)") and texts["Sharpe ratio a day, and chance"][1][2] == "- (fewer than 20 days)"
    assert ("volatility", "normal") in {row[:2] for row in texts["Where it came from"]}


def test_the_terminal_says_what_the_columns_of_a_feature_are(run, tmp_path, capsys):
    own = dict(run.summary["attribution"][0])
    for dimension, told in (("feature", 1), (own["dimension"], 0)):
        groups = [g for g in run.summary["attribution"] if g["dimension"] != "feature"] + [own | {"dimension": dimension, "label": "gamma"}]
        show_backtest({**run.summary, "attribution": groups}, tmp_path)
        said = capsys.readouterr().out
        assert said.count('"a trade" the difference between trades in which it stood above and below its median') == told and "Where it came from" in said


def test_details_of_what_was_not_done_and_how_many_are_left_out(run):
    assert "stretch … within 0.75 standard deviations (280)" in not_done_table(run).rows[0][4]
    rows = not_done_rows([{"kind": "skip", "strategy": "x", "reason": f"r{i}", "count": 2} for i in range(15)])
    assert len(rows) == 14 and rows[-1][2:4] == ("and 3 more, see summary.json", "6") and len(not_done_rows(run.summary["not_done"])) == 2


def test_small_things_that_were_wrong(run):
    headline = dict(backtest_headline(run).rows)
    assert headline["market"] == "simulated market with dealers' feedback (not a fair market), seed 7" and headline["costs"].endswith("1 step of latency")
    assert "`" not in "".join(groups_table(run).notes) and len(parameters_table(run).rows) == len(run.summary["strategies"])
    assert "overflow-wrap: anywhere" not in html_page(nbformat.v4.new_notebook(cells=[]))


@pytest.mark.parametrize(("below", "after", "turns"), [(90, 100.0, True), (90, 60.0, False), (30, 0.0, False), (12, 0.0, True)])
def test_a_heading_goes_to_the_next_page_with_what_it_is_of(below, after, turns):
    pdf = _new_pdf("title", "run")
    pdf.add_page()
    pdf.set_y(pdf.h - pdf.b_margin - below)
    _markdown(pdf, "## Would it survive", after)
    assert (pdf.page_no() == 2) is turns
