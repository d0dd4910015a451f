"""What a backtest is made of, piece by piece: slippage, costs, settlement times, exits over night, the fold into trades, and what is said of them."""

import math
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from quanticity.app.backtest_cli import costs_of, days_of, interval, number, result_rows
from quanticity.core.clock import expiry_close
from quanticity.core.config import load_config
from quanticity.core.errors import ConfigError, DataError, DataMissing, UserError
from quanticity.core.events import Event, EventKind
from quanticity.core.reasons import Reason
from quanticity.core.types import Contract, Exercise, Fill, OrderRole, OrderTicket, OrderType, Proposal, Right, Settlement, Side, Signal, plain
from quanticity.execution.broker import ReplayBroker
from quanticity.execution.positions import PositionBook, mark_position, settle_position, settles_at
from quanticity.jobs.execution import exit_time
from quanticity.jobs.replay import NO_COMMISSION
from quanticity.market.chain import nanoseconds
from quanticity.market.commissions import SCHEDULES, commission, schedule_on
from quanticity.market.matching import Filled, MatchingEngine, Quote, Slippage
from quanticity.reports.backtest_run import load_backtest, write_backtest_example
from quanticity.research.attribution import attribution, days_to_expiry, time_of_day
from quanticity.research.backtest import Backtest, Costs, Day, strategies_from
from quanticity.research.backtest_folder import BacktestRequest, finite, session_days, trades_table
from quanticity.research.performance import UNCOUNTED, cost_sensitivity, perform, trade_statistics
from quanticity.research.trades import Leg, Trade, not_done, trades_of
from quanticity.research.trials import TrialLedger, trials_folder
from quanticity.risk.limits import BookState, Limits, check_entry

AT = datetime(2026, 3, 20, 15, 0, tzinfo=UTC)
T0, MINUTE = nanoseconds(AT), 60_000_000_000
CALL = Contract("SIM", date(2026, 3, 20), 500.0, Right.CALL, datetime(2026, 3, 20, 20, tzinfo=UTC))
QUOTE = Quote(T0, 1.40, 1.50, 20, 20)


# -- slippage --------------------------------------------------------------------------------------------------------------------


def order(kind: OrderType, side: Side = Side.BUY, **more: float) -> OrderTicket:
    return OrderTicket(f"o:{kind}:{side}", "s", CALL, side, kind, 5, OrderRole.ENTRY, **more)


def filled(slippage: Slippage, ticket: OrderTicket) -> list[tuple[int, float]]:
    engine = MatchingEngine(slippage=slippage)
    engine.submit(ticket, T0)
    return [(e.quantity, e.price) for e in engine.step(T0 + MINUTE, lambda c: QUOTE._replace(ts=T0 + MINUTE)) if isinstance(e, Filled)]


@pytest.mark.parametrize(("slippage", "bought", "sold"), [
    (Slippage(), 1.50, 1.40), (Slippage(spread_share=0.5), 1.55, 1.35), (Slippage(ticks=2), 1.60, 1.30), (Slippage(0.5, 1, 0.01), 1.56, 1.34), (Slippage(ticks=100), 6.50, 0.01)])
def test_a_market_order_fills_as_much_worse_as_slippage_says(slippage, bought, sold):
    assert filled(slippage, order(OrderType.MARKET)) == [(5, bought)] and filled(slippage, order(OrderType.MARKET, Side.SELL)) == [(5, sold)]


def test_a_limit_that_only_the_shown_price_would_meet_does_not_fill():
    assert filled(Slippage(), order(OrderType.LIMIT, limit_price=1.50)) == [(5, 1.50)]
    assert filled(Slippage(ticks=1), order(OrderType.LIMIT, limit_price=1.50)) == []
    assert filled(Slippage(ticks=1), order(OrderType.LIMIT, limit_price=1.55)) == [(5, 1.55)]


def test_a_stop_is_touched_by_what_shows_and_not_by_what_it_will_get():
    engine = MatchingEngine(slippage=Slippage(ticks=4))
    engine.submit(order(OrderType.STOP, Side.SELL, stop_price=1.30), T0)
    assert engine.step(T0 + MINUTE, lambda c: QUOTE._replace(ts=T0 + MINUTE)) == []


def test_a_quote_without_the_other_side_slips_by_steps_only():
    assert Slippage(0.5, 1).price(QUOTE._replace(bid=math.nan), Side.BUY) == 1.55


# -- the broker over many sessions -------------------------------------------------------------------------------------------------


def approval(name: str, ts: datetime):
    p = Proposal(f"pro:{name}", "x", "SIM", ts, CALL, Side.BUY, 1.5, 3.0, 0.75, CALL.expires_at, 0.7, {}, ())
    return check_entry(Signal(name, name, ts, ts + timedelta(minutes=5), p), Quote(nanoseconds(ts), 1.40, 1.50, 20, 20), BookState(), Limits(order_notional=900), ts, CALL.expires_at)


def test_a_new_month_counts_contracts_afresh_and_the_quote_behind_a_fill_is_kept():
    broker = ReplayBroker(MatchingEngine(), SCHEDULES[-1])
    broker.begin_session(date(2026, 3, 20), SCHEDULES[-1])
    broker.on_step(T0, lambda c: None)
    broker.submit(approval("sig:1", AT))
    broker.on_step(T0 + MINUTE, lambda c: QUOTE._replace(ts=T0 + MINUTE))
    assert broker.monthly_contracts == 6 and broker.shown["sig:1/entry#1"].bid == 1.40
    broker.begin_session(date(2026, 3, 23), SCHEDULES[-1])
    assert broker.monthly_contracts == 6
    broker.begin_session(date(2026, 4, 1), NO_COMMISSION)
    assert broker.monthly_contracts == 0 and len(broker.open_orders()) == 2  # its bracket works on


def test_an_order_is_charged_by_the_schedule_of_its_first_fill():
    broker = ReplayBroker(MatchingEngine(), schedule_on(date(2026, 3, 20)))
    broker.on_step(T0, lambda c: None)
    broker.submit(approval("sig:1", AT))
    broker.on_step(T0 + MINUTE, lambda c: Quote(T0 + MINUTE, 1.40, 1.50, 20, 4))
    broker.begin_session(date(2026, 3, 21), NO_COMMISSION)
    broker.on_step(T0 + 2 * MINUTE, lambda c: Quote(T0 + 2 * MINUTE, 1.40, 1.50, 20, 4))
    fills = [e for e in broker.events() if isinstance(e, Fill)]
    assert sum(f.commission for f in fills) == pytest.approx(commission(schedule_on(date(2026, 3, 20)), Side.BUY, 6, 1.5, 100).total)


# -- when it is known what a contract pays -----------------------------------------------------------------------------------------


def index_option(root: str, expiry: date) -> Contract:
    return Contract(root, expiry, 4000.0, Right.CALL, expiry_close(expiry, root), 100, Exercise.EUROPEAN, Settlement.CASH)


@pytest.mark.parametrize(("root", "expiry", "stops", "pays"), [
    ("SPX", date(2021, 1, 15), "2021-01-14T21:15", "2021-01-15T14:30"), ("SPXW", date(2021, 1, 15), "2021-01-15T21:00", "2021-01-15T21:00"),
    ("SPXW", date(2021, 11, 26), "2021-11-26T18:00", "2021-11-26T18:00"), ("VIX", date(2021, 1, 20), "2021-01-19T21:15", "2021-01-20T14:30"),
    ("GOOG", date(2015, 12, 24), "2015-12-24T18:00", "2015-12-24T18:00"), ("GOOG", date(2014, 1, 18), "2014-01-17T21:00", "2014-01-17T21:00")])
def test_when_a_contract_stops_and_when_it_pays(root, expiry, stops, pays):
    contract = index_option(root, expiry)
    assert (f"{contract.expires_at:%Y-%m-%dT%H:%M}", f"{settles_at(contract):%Y-%m-%dT%H:%M}") == (stops, pays)


def test_between_its_last_trade_and_its_settlement_a_position_is_worth_its_last_quote():
    spx, book = index_option("SPX", date(2021, 1, 15)), PositionBook()
    book.apply(Fill("o#1", "o", "s", spx, Side.BUY, OrderRole.ENTRY, 2, 20.0, 1.3, AT))
    night = spx.expires_at + timedelta(hours=3)
    assert book.expired(night) != [] and book.due(night) == [] and book.due(settles_at(spx)) != []
    mark = mark_position(book.open_positions()[0], Quote(nanoseconds(spx.expires_at), 18.0, 19.0, 5, 5), nanoseconds(night))
    assert (mark.price, mark.value, mark.reason) == (18.0, 3600.0, None) and mark.age_seconds == 10_800
    with pytest.raises(ValueError, match="settles on the opening prices of 2021-01-15 14:30 UTC"):
        settle_position(book.open_positions()[0], 4010.0, night)
    assert mark_position(book.open_positions()[0], None, nanoseconds(settles_at(spx))).reason is Reason.EXPIRED


# -- when a position must be on its way out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("exit_at", "expiry", "next_opens", "out"), [
    ("03-20T18:00", date(2026, 3, 20), "03-23T13:30", "03-20T18:00"),  # in this session
    ("03-20T19:59", date(2026, 3, 27), "03-23T13:30", "03-20T19:45"),  # in its last minutes
    ("03-22T12:00", date(2026, 3, 27), "03-23T13:30", "03-20T19:45"),  # before the next one opens
    ("03-23T13:30", date(2026, 3, 27), "03-23T13:30", "03-23T13:30"), ("03-24T15:00", date(2026, 3, 27), "03-23T13:30", "03-24T15:00"),
    ("03-24T15:00", date(2026, 3, 20), "03-23T13:30", "03-20T19:45"),  # its contract ends today
    ("03-24T15:00", date(2026, 3, 27), None, "03-20T19:45")])  # nothing is held over night
def test_a_position_is_kept_over_night_where_its_exit_is_in_a_later_session(exit_at, expiry, next_opens, out):
    def moment(text):
        return datetime.fromisoformat(f"2026-{text}:00+00:00") if text else None

    contract = replace(CALL, expiry=expiry, expires_at=expiry_close(expiry, "SIM"))
    p = Proposal("pro:1", "x", "SIM", AT, contract, Side.BUY, 1.5, 3.0, 0.75, moment(exit_at), 0.7, {}, ())
    assert exit_time(Signal("s", "f", AT, AT, p), datetime(2026, 3, 20, 20, tzinfo=UTC), 15.0, moment(next_opens)) == moment(out)


# -- trades ----------------------------------------------------------------------------------------------------------------------------


def signal(name: str, at: datetime, strategy: str = "x", cause: str = "chain:1", **data: object) -> Event:
    p = Proposal(f"pro:{name}", strategy, "SIM", at, CALL, Side.BUY, 1.5, 3.0, 0.7, CALL.expires_at, 0.8, {"a": 0.5}, (cause,))
    raw = plain(Signal(name, "ab", at, at, p))
    return Event(at, EventKind.SIGNAL, name, (p.id,), {**raw, "proposal": {**raw["proposal"], **data}})


def fill(name: str, n: int, role: OrderRole, quantity: int, price: float, minute: float) -> Event:
    side = Side.BUY if role is OrderRole.ENTRY else Side.SELL
    f = Fill(f"{name}/{role.value}#{n}", f"{name}/{role.value}", name, CALL, side, role, quantity, price, 0.65 * quantity, AT + timedelta(minutes=minute))
    return Event(f.ts, EventKind.FILL, f.id, (f.order_id,), plain(f))


def test_any_order_of_fills_adds_up():
    random = np.random.default_rng(11)
    for _ in range(60):
        events, cash, held = [signal("s", AT)], 0.0, 0
        for n in range(int(random.integers(1, 12))):
            buy = held == 0 or random.random() < 0.5
            quantity = int(random.integers(1, 6)) if buy else int(random.integers(1, held + 1))
            price = float(np.round(random.random() * 3, 2))
            held += quantity if buy else -quantity
            cash += (-1 if buy else 1) * quantity * price * 100 - 0.65 * quantity
            events.append(fill("s", n, OrderRole.ENTRY if buy else OrderRole(random.choice(["target", "stop", "exit"])), quantity, price, n))
        trade, = trades_of(events, marks={CALL.occ: 1.25})
        leg, = trade.legs
        assert leg.held == held and leg.cash == pytest.approx(cash) and trade.net == pytest.approx(cash + held * 125)
        assert (trade.closed is None) == (held > 0) and (trade.exit_reason == "open") == (held > 0)
        assert leg.traded == 100 * sum(e.data["quantity"] for e in events[1:])


def test_a_named_group_is_one_trade_whatever_its_causes():
    apart = [signal("a", AT, cause="chain:1"), signal("b", AT + timedelta(minutes=1), cause="chain:2")]
    both = [fill("a", 1, OrderRole.ENTRY, 1, 1.5, 2), fill("b", 1, OrderRole.ENTRY, 1, 1.5, 2)]
    assert len(trades_of(apart + both, marks={CALL.occ: 1.0})) == 2
    named = [signal("a", AT, cause="chain:1", group="g"), signal("b", AT + timedelta(minutes=1), cause="chain:2", group="g")]
    assert [len(t.legs) for t in trades_of(named + both, marks={CALL.occ: 1.0})] == [2]
    other = [signal("a", AT), signal("b", AT, strategy="y")]
    assert [t.strategy for t in trades_of(other + both, marks={CALL.occ: 1.0})] == ["x", "y"]


def test_signals_without_a_fill_are_no_trades_but_are_counted():
    refusal = Event(AT, EventKind.REFUSAL, "refusal:s", ("s",), {"signal_id": "s", "reason": "spread_too_wide"})
    cancel = Event(AT, EventKind.CANCEL, "cancel:s/entry", ("s/entry",), {"signal_id": "s", "reason": "order_expired"})
    events = [signal("s", AT), refusal, cancel]
    assert trades_of(events) == () and not_done(events) == {("cancel", "x", "order_expired"): 1, ("refusal", "x", "spread_too_wide"): 1}


# -- what is said of them ---------------------------------------------------------------------------------------------------------------


def trade(i: int, net: float, costs: float = 10.0, minutes: float = 5.0, day: int = 20) -> Trade:
    at = datetime(2026, 3, day, 14, tzinfo=UTC) + timedelta(minutes=10 * i)
    return Trade(f"s{i}", "x", "SIM", (Leg(f"s{i}", CALL, Side.BUY, 0.7, {"a": 0.1 * (i % 10)}, at, 1, 0, at, at + timedelta(minutes=minutes), 2.0, 2.1, "time", net,
                                           commission=costs / 2, spread=costs / 2, premium=200.0, traded=200),))


def made(trades: list[Trade], days: int = 1) -> Backtest:
    config, net = load_config(environ={}), sum(t.net for t in trades)
    sessions = tuple(Day("SIM", date(2026, 3, 20) - timedelta(days=k), "sim", AT, AT, "ab", net / days, net / days, 0.0, 0.0, 0, "cd") for k in range(days))
    book = {"ts": np.array([T0 - MINUTE, T0 + MINUTE]), "symbol": ["SIM", "SIM"], **{n: np.zeros(2) for n in ("open_positions", "value", "unrealized", "gex", "volatility_regime")},
            "net": np.array([0.0, net])}
    return Backtest(("x",), {"x": {"a": 1.0}}, Costs(), config, sessions, (), tuple(trades), book, {}, net, 0.0, 0.0, net, net, 0.0)


def test_other_costs_are_the_same_trades_priced_again():
    trades = [trade(i, 20.0 - i) for i in range(20)]
    priced = {r.label: r for r in cost_sensitivity(trades, 0.05)}
    net = sum(t.net for t in trades)
    assert {label: r.net for label, r in priced.items()} == pytest.approx({
        "0 times the costs": net + 200, "0.5 times the costs": net + 100, "1 times the costs": net, "2 times the costs": net - 200,
        "1 price step worse": net - 20 * 10, "2 price steps worse": net - 20 * 20})
    assert all(r.low <= r.net <= r.high and r.mean == pytest.approx(r.net / 20) for r in priced.values())


def test_statistics_are_what_they_are_called():
    found = {s.name: s for s in trade_statistics([trade(0, 100.0), trade(1, -50.0), trade(2, -30.0), trade(3, 60.0)], T0)}
    values = {name: found[name].value for name in ("net", "net a trade", "median trade", "trades that won", "profit factor", "net on premium", "costs a trade", "minutes held",
                                                   "drawdown over trades")}
    assert values == pytest.approx({"net": 80, "net a trade": 20, "median trade": 15, "trades that won": 0.5, "profit factor": 2.0, "net on premium": 0.1, "costs a trade": 10,
                                    "minutes held": 5, "drawdown over trades": 80})
    assert trade_statistics([], T0) == [] and math.isnan(trade_statistics([trade(0, 5.0)], T0)[0].low)  # one trade has no interval
    twelve = trade_statistics([trade(i, (-1.0) ** i * 50 + 10) for i in range(12)], T0)[0]
    assert twelve.low < 120 < twelve.high and twelve.reason == ""


def test_a_few_trades_say_nothing_with_certainty():
    lost = {s.name: s for s in trade_statistics([trade(0, -50.0), trade(1, -70.0)], T0)}
    assert lost["trades that won"].value == 0.0 and (lost["trades that won"].low, lost["trades that won"].high) == pytest.approx((0.0, 0.6576), abs=1e-4)
    assert {s.reason for s in lost.values()} == {"", "fewer than 10 trades"} and lost["profit factor"].value == 0.0 and math.isnan(lost["profit factor"].high)
    won = {s.name: s for s in trade_statistics([trade(i, 5.0 + i) for i in range(12)], T0)}
    assert won["profit factor"].reason == "no trade lost" and won["trades that won"].low == pytest.approx(12 / (12 + 1.96**2), abs=1e-3) and won["net"].low > 0
    assert all(math.isnan(r.low) and r.reason == "fewer than 10 trades" for r in cost_sensitivity([trade(i, 1.0) for i in range(9)]))
    assert not any(math.isnan(r.low) for r in cost_sensitivity([trade(i, 1.0) for i in range(10)]))
    few, enough = attribution([trade(i, float(i)) for i in range(9)], made([]).book), attribution([trade(i, float(i)) for i in range(10)], made([]).book)
    assert all(math.isnan(g.low) for g in few) and not any(math.isnan(g.low) for g in enough if g.dimension == "strategy")


def dated(result: Backtest) -> Backtest:
    return replace(result, days=tuple(replace(d, date=date(2026, 3, 1) + timedelta(days=k), net=result.net / len(result.days) * (1 + 0.1 * k)) for k, d in enumerate(result.days)))


def test_a_few_days_have_a_ratio_and_no_probability():
    four, twenty = (perform(dated(made([trade(i, 30.0 + i, day=1 + i) for i in range(n)], days=n)), UNCOUNTED) for n in (4, 20))
    of_four = four.significance[0]
    assert of_four.sharpe > 0 and math.isnan(of_four.probabilistic) and math.isnan(of_four.deflated) and of_four.reason == "fewer than 20 days"
    annual = four.statistic("Sharpe ratio a year")
    assert math.isnan(annual.value) and math.isnan(annual.low) and annual.reason == "too few days (4) for a ratio a year"
    assert twenty.significance[0].probabilistic > 0.9 and twenty.significance[0].reason == "" and twenty.statistic("Sharpe ratio a year").low > 0
    assert twenty.statistic("Sharpe ratio a year").value == pytest.approx(twenty.significance[0].sharpe * math.sqrt(252))
    assert finite(asdict(annual)) == {"name": "Sharpe ratio a year", "value": None, "low": None, "high": None, "unit": "ratio", "of": 4, "reason": annual.reason}


def test_a_strategy_without_a_trade_has_no_ratio_and_says_why():
    nothing = replace(made([], days=25), strategies=("x", "y"), parameters={"x": {}, "y": {}}, not_done={("skip", "x", "feature_missing"): 1621, ("skip", "x", "outside_window"): 4000},
                      why={("skip", "x", "feature_missing"): (("gex: no open interest", 1380), ("stretch: too few strikes", 240), ("other", 1))})
    judged = perform(nothing, UNCOUNTED)
    assert [(s.strategy, s.reason) for s in judged.significance] == [("x", "no trade"), ("y", "no trade"), ("all", "no trade")]
    assert all(math.isnan(s.sharpe) and math.isnan(s.probabilistic) for s in judged.significance)
    assert judged.warnings[1] == "no trade was made: there is nothing to judge"
    assert "x made no trade (no signal): feature missing 1,621 times: gex: no open interest (1,380), stretch: too few strikes (240) and 1 more" in judged.warnings[2]


# -- trials are counted without being asked ------------------------------------------------------------------------------------------------


def counted(tmp_path: Path, **overrides: object) -> Backtest:
    return replace(made([trade(i, 3.0) for i in range(3)]), config=load_config(environ={}, overrides=overrides or {"paths.state_dir": str(tmp_path / "state")}))


def test_a_backtest_in_a_notebook_is_counted_unless_that_is_refused_aloud(tmp_path):
    result = counted(tmp_path)
    judged = perform(result)
    assert judged.significance[0].trials == 1 and judged.counted_in == tmp_path / "state" / "trials" and TrialLedger(judged.counted_in).families() == {"x over sim SIM": 1}
    assert perform(replace(result, parameters={"x": {"a": 2.0}})).significance[0].trials == 2
    refused = perform(replace(result, parameters={"x": {"a": 3.0}}), UNCOUNTED)
    assert refused.counted_in is None and refused.significance[0].trials == 0 and any(w.startswith("not counted as a trial (UNCOUNTED)") for w in refused.warnings)
    assert TrialLedger(judged.counted_in).count("x over sim SIM") == 2 and not any("UNCOUNTED" in w for w in judged.warnings)


def test_a_ledger_of_ones_own_is_told(tmp_path):
    other = perform(counted(tmp_path), TrialLedger(tmp_path / "mine"))
    assert other.counted_in == tmp_path / "mine" and any("which is not the project's ledger of trials" in w for w in other.warnings)
    assert not any("project's ledger" in w for w in perform(counted(tmp_path), TrialLedger(tmp_path / "state" / "trials")).warnings)


def test_wherever_a_command_is_given_the_projects_ledger_counts(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "deep" / "down").mkdir(parents=True)
    for name in ("settings.ini", "pyproject.toml"):
        (project / name).write_text("")
    for folder in (project, project / "deep", project / "deep" / "down"):
        monkeypatch.chdir(folder)
        assert trials_folder(Path(".quanticity")) == project / ".quanticity" / "trials"
    monkeypatch.setattr("quanticity.core.project.find_project", lambda: None)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    assert trials_folder(Path(".quanticity")) == tmp_path / "home" / "quanticity" / ".quanticity" / "trials"
    assert trials_folder(tmp_path / "given") == tmp_path / "given" / "trials"


def test_the_interval_of_a_real_edge_leaves_out_nothing_and_of_noise_holds_it():
    random = np.random.default_rng(3)
    sure = perform(made([trade(i, 40 + 10 * float(random.normal())) for i in range(40)]), UNCOUNTED)
    noise = perform(made([trade(i, 10 * float(random.normal())) for i in range(40)]), UNCOUNTED)
    assert sure.statistic("net a trade").low > 30 and noise.statistic("net a trade").low < 0 < noise.statistic("net a trade").high
    assert any("holds 0" in w for w in noise.warnings) and not any("holds 0" in w for w in sure.warnings) and not any("independent" in w for w in sure.warnings)


def test_trades_that_overlap_are_one_observation():
    apart, over = perform(made([trade(i, 5.0 + i) for i in range(40)]), UNCOUNTED), perform(made([trade(i, 5.0 + i, minutes=500.0) for i in range(40)]), UNCOUNTED)
    assert (apart.independent, over.independent) == (40, 1) and over.warnings[1].startswith("1 independent trade: fewer than 30")


def test_a_sweep_and_a_backtest_count_independent_trades_alike(tmp_path):
    """Ten trades of one hour in each of three roots: two underlyings, SPX and SPXW being one, so two bets, whoever counts."""
    from quanticity.research.sweeps import _judged, _spans, _trades

    trades = [replace(trade(i, 1.0, minutes=600.0), symbol=symbol) for symbol in ("GOOG", "SPX", "SPXW") for i in range(10)]
    result = made(trades)
    record = {"strategy": "x", "daily": {str(day): net for day, net in result.daily().items()}, "spans": _spans(result), "trades": _trades(result), "net": result.net,
              "trial": {"family": "x over sim GOOG"}}
    assert perform(result, UNCOUNTED).independent == _judged([record], TrialLedger(tmp_path), 1).guards.independent == 2


def test_a_profit_that_costs_would_eat_or_that_is_one_trades_is_warned_of():
    thin = perform(made([trade(i, 2.0 + i % 3, costs=10.0) for i in range(40)]), UNCOUNTED)
    assert any("does not survive 2 times the costs" in w for w in thin.warnings) and any("does not survive 1 price step worse" in w for w in thin.warnings)
    lucky = perform(made([trade(0, 900.0), *(trade(i, 1.0) for i in range(1, 40))]), UNCOUNTED)
    assert any("one trade made +900.00 of" in w for w in lucky.warnings)


def test_trials_are_counted_by_parameters_and_data_and_deflate(tmp_path):
    ledger, result = TrialLedger(tmp_path), made([trade(i, 3.0 + (i * 7) % 5, day=1 + i) for i in range(25)], days=25)
    result = replace(result, days=tuple(replace(d, date=date(2026, 3, 1) + timedelta(days=k), net=t.net) for k, (d, t) in enumerate(zip(result.days, result.trades))))
    first = perform(result, ledger).significance[0]
    again = perform(result, ledger).significance[0]
    assert (first.trials, again.trials, first.deflated) == (1, 1, first.probabilistic) and first.days == 25
    for k in range(6):
        last = perform(replace(result, parameters={"x": {"a": 2.0 + k}}), ledger).significance[0]
    assert last.trials == 7 and last.family == "x over sim SIM"
    alone = perform(result, UNCOUNTED).significance[0]
    assert alone.trials == 0 and math.isnan(alone.deflated) and not math.isnan(alone.probabilistic)


def test_who_tries_settings_has_tried(tmp_path):
    """Limits of risk, a calculator's parameter, the playbook: each is a trial. What changes no result is none, nor is what the defaults say anyway."""
    ledger, result = TrialLedger(tmp_path), made([trade(0, 3.0)])
    count = lambda **values: perform(replace(result, config=load_config(environ={}, overrides={name.replace("__", "."): value for name, value in values.items()})), ledger).significance[0].trials
    assert count() == 1 and count(risk__max_open_positions=1) == 2 and count(risk__max_open_positions=2) == 3
    assert count(risk__max_open_positions=3) == count(logging__level="error", paths__runs_dir="/elsewhere", distribution__max_attempts=9, redis__port=7000) == 3
    assert count(analytics__flow__window_minutes=30.0) == 4 and count(execution__slippage_ticks=1.0) == 5 and count(strategies__moc__symbols=["SPXW"]) == 5
    mine = {"module": "quanticity.strategies.moc", "playbook": "quanticity.playbooks.moc"}
    assert count(strategies__x=mine) == 6 and count(strategies__x=mine | {"playbook": "quanticity.playbooks.zero_dte"}) == 7
    assert not any("settings" in t.parameters for t in ledger.trials("x over sim SIM") if t.parameters["costs"]["ticks"] == 1.0)


def test_the_order_in_which_strategies_are_named_is_no_other_trial(tmp_path):
    ledger, one = TrialLedger(tmp_path), made([trade(0, 3.0)])
    two = {"x": {"a": 1.0}, "y": {"b": 2}}
    for names in (("x", "y"), ("y", "x")):
        perform(replace(one, strategies=names, parameters={name: two[name] for name in names}), ledger)
    assert ledger.families() == {"x over sim SIM": 1, "x+y over sim SIM": 1, "y over sim SIM": 1}


def test_another_platform_is_not_another_trial(tmp_path, monkeypatch):
    """After an upgrade the same backtest counts once, and what is known of the family's spread is of the platform that ran last, a fault of the old one gone."""
    import quanticity.research.performance as performance

    ledger, sessions = TrialLedger(tmp_path), made([trade(i, 3.0 + (i * 7) % 5, day=1 + i) for i in range(25)], days=25)
    good = replace(sessions, days=tuple(replace(d, date=date(2026, 3, 1) + timedelta(days=k), net=t.net) for k, (d, t) in enumerate(zip(sessions.days, sessions.trades))))
    broken = replace(good, trades=())  # the old version never traded: no ratio, so no spread, so nothing would be deflated
    for k in range(6):
        monkeypatch.setattr(performance, "engine_of", lambda ran: "old")
        assert perform(replace(broken, parameters={"x": {"a": float(k)}}), ledger).significance[0].trials == k + 1
    assert ledger.sharpes("x over sim SIM") == []
    for k in range(6):
        monkeypatch.setattr(performance, "engine_of", lambda ran: "new")
        found = perform(replace(good, parameters={"x": {"a": float(k)}}), ledger).significance[0]
        assert found.trials == 6
    assert len(ledger.sharpes("x over sim SIM")) == 6 and found.expected > 0 or found.variance == 0


def test_one_strategys_days_are_the_books(tmp_path):
    """A position over two nights: its ratio is of the marks at each close, as the book's is, not of one day on which all of it came."""
    net = [10.0, -4.0, 6.0] * 7
    result = made([trade(0, 84.0, day=3)], days=21)
    result = replace(result, days=tuple(replace(d, date=date(2026, 3, 1) + timedelta(days=k), net=net[k]) for k, d in enumerate(result.days)))
    found = perform(result, UNCOUNTED)
    assert found.significance[0].sharpe == pytest.approx(np.mean(net) / np.std(net, ddof=1)) == found.statistic("Sharpe ratio a year").value / math.sqrt(252)


def test_every_edit_of_a_notebooks_strategy_is_another_trial(monkeypatch):
    import sys
    from types import ModuleType

    from quanticity.jobs.wiring import strategy_of
    from quanticity.research.performance import code_of

    def code(body: str, more: str = "LEVEL = 1") -> str:
        there = (notebook := ModuleType("a_notebook")).__dict__  # has no file
        monkeypatch.setitem(sys.modules, "a_notebook", notebook)
        exec(f"""
from dataclasses import dataclass
@dataclass(frozen=True)
class Parameters:
    a: float = 1.0
{more}
class Mine:
    NAME, Parameters, FLOOR = "mine", Parameters, 3
    def helper(self, x): return x + {2 if "helped" in more else 1}
    def propose(self, features, chain, parameters, held=None):
        {body}
""", there)
        return code_of(strategy_of(there["Mine"]))

    bodies = ["return self.helper(features.spot)", "return self.helper(features.forward)", "return [x + 1 for x in chain]", "return [x + 2 for x in chain]", "return chain.kind in {'put', 'call', 'none'}",
              "return features.spot > LEVEL"]
    codes = [code(body) for body in bodies] + [code(bodies[0], "helped = 1"), code(bodies[-1], "LEVEL = 2")]
    assert len(set(codes)) == len(codes) and code("# a note\n        " + bodies[0]) == codes[0]


PARAMETERS = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Parameters:\n    a: float = 1.0\n"


def test_what_a_strategy_imports_of_ones_own_names_its_trial(tmp_path, monkeypatch):
    """A file beside it, one that this imports, a package of one's own: an edit of any is another trial. Of what nobody imports, or was installed, it is not."""
    from quanticity.core.provenance import file_hash
    from quanticity.jobs.wiring import strategy_at
    from quanticity.research.performance import code_of

    files = {"own_rule.py": PARAMETERS + "import math, numpy\nimport own_help\nfrom quanticity.strategies import inputs\nNAME = 'own_rule'\n"
                                         "def propose(features, chain, parameters):\n    return own_help.size(features)\n",
             "own_help.py": "from own_desk.sizes import SIZE\ndef size(features):\n    return SIZE\n", "own_desk/__init__.py": "", "own_desk/sizes.py": "SIZE = 1\n", "own_desk/other.py": "X = 1\n",
             "own_lone.py": PARAMETERS + "NAME = 'own_lone'\ndef propose(features, chain, parameters):\n    return ()\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    rule, lone = (strategy_at(name, {}, None) for name in ("own_rule", "own_lone"))
    seen = [code_of(rule)]
    for name in ("own_help.py", "own_desk/sizes.py", "own_desk/__init__.py"):
        (tmp_path / name).write_text(files[name] + "# another\n")
        seen.append(code_of(rule))
    assert len(set(seen)) == 4
    (tmp_path / "own_desk/other.py").write_text("X = 2\n")
    assert code_of(rule) == seen[-1]
    assert code_of(lone) == file_hash(tmp_path / "own_lone.py")[:16]  # as before: nothing that was tried counts anew


def test_what_a_notebooks_strategy_takes_from_a_file_names_its_trial(tmp_path, monkeypatch):
    import sys
    from types import ModuleType

    from quanticity.jobs.wiring import strategy_of
    from quanticity.research.performance import code_of

    (tmp_path / "own_math.py").write_text("def half(x):\n    return x / 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "b_notebook", ModuleType("b_notebook"))
    there = sys.modules["b_notebook"].__dict__
    exec(PARAMETERS + "from own_math import half\nclass Mine:\n    NAME, Parameters = 'mine', Parameters\n    def propose(self, features, chain, p):\n        return half(features.spot)\n", there)
    before = code_of(strategy_of(there["Mine"]))
    (tmp_path / "own_math.py").write_text("def half(x):\n    return x / 3\n")
    assert code_of(strategy_of(there["Mine"])) != before


def test_what_a_trade_belongs_to():
    late = replace(trade(0, 1.0), legs=(replace(trade(0, 1.0).legs[0], opened=datetime(2026, 3, 20, 19, 45, tzinfo=UTC)),))
    assert time_of_day(trade(0, 1.0)) == "09:30-10:30" and time_of_day(late) == "15:30-16:30" and days_to_expiry(late) == "0"
    far = replace(late, legs=(replace(late.legs[0], contract=replace(CALL, expiry=date(2026, 4, 17))),))
    assert days_to_expiry(far) == "8-30"
    groups = attribution([trade(i, float(i)) for i in range(10)], made([]).book)
    stormy = attribution([trade(i, float(i)) for i in range(10)], {**made([]).book, "volatility_regime": np.full(2, 3.0)})
    assert {g.label for x in (groups, stormy) for g in x if g.dimension == "volatility"} <= {"calm", "stressed", "unknown"}
    for dimension in {g.dimension for g in groups}:
        assert sum(g.net for g in groups if g.dimension == dimension) == pytest.approx(45.0)


# -- asking for one ------------------------------------------------------------------------------------------------------------------------


def test_costs_fit_or_are_refused():
    config = load_config(environ={})
    given = Costs(0.25, 1.0, 0.01, 3, "none").applied(config).execution
    assert (given.slippage_spread, given.slippage_ticks, given.slippage_tick, given.latency_steps, given.commissions) == (0.25, 1.0, 0.01, 3, "none")
    assert Costs(commissions=NO_COMMISSION).schedule is NO_COMMISSION and Costs(commissions=NO_COMMISSION).applied(config) == config
    for wrong in ({"slippage_ticks": -1.0}, {"tick": 0.0}, {"latency_steps": 0}, {"commissions": "cheap"}):
        with pytest.raises(ValueError):
            Costs(**wrong)
    assert costs_of(None, None, None, None, "interactive-brokers").commissions == "interactive_brokers"


def test_strategies_by_name_path_and_object():
    config = load_config(environ={})

    class Mine:
        NAME = "mine"
        Parameters = type(strategies_from(["zero_dte"], config)[0].parameters)

        def propose(self, features, chain, parameters):
            raise NotImplementedError

    assert [s.name for s in strategies_from(["zero_dte", Mine], config)] == ["zero_dte", "mine"]
    with pytest.raises(ConfigError, match="no strategy nowhere.at_all:Mine in the configuration .there: "):
        strategies_from(["nowhere.at_all:Mine"], config)


@pytest.mark.parametrize(("count", "says"), [(1, "1 position in GOOG is still open at the end: it is valued at what it could be sold for"),
                                             (2, "2 positions in GOOG are still open at the end: they are valued at what they could be sold for")])
def test_what_is_still_open_is_told_in_words_that_agree(count, says):
    from quanticity.research.backtest import _still_open

    assert _still_open(count, "GOOG") == says


@pytest.mark.parametrize(("what", "roots", "source", "name"), [
    (["backtest"], ("GOOG",), "lean", "runs/backtest-SYMBOLS-SOURCE"), (["backtest"], (), "sim", "runs/backtest-SYMBOLS-sim-seedN"),
    (["backtest", "fair"], (), "sim", "runs/backtest-fair-SYMBOLS-sim-seedN"), (["sweep", "zero_dte"], (), "lake", "runs/sweep-STRATEGY-SYMBOLS-SOURCE"),
    (["sweep", "zero_dte"], (), "sim", "runs/sweep-STRATEGY-SYMBOLS-sim-seedN"), (["sweep", "fair", "zero_dte"], (), "sim", "runs/sweep-fair-STRATEGY-SYMBOLS-sim-seedN")])
def test_the_help_names_the_folders_that_are_written(what, roots, source, name):
    from quanticity.app import backtest_cli, sweep_cli

    assert name in (backtest_cli if what[0] == "backtest" else sweep_cli)._OUT
    real = name.replace("SYMBOLS", "-".join(roots) or "SIM").replace("SOURCE", source).replace("STRATEGY", "zero_dte").replace("seedN", "seed7")
    assert backtest_cli.target_of(Path("runs"), what, roots, source, 7) == Path(real)


def test_a_name_is_any_entry_of_the_configuration_or_a_module(tmp_path, monkeypatch):
    from quanticity.research.sweeps import swept_strategy

    config = load_config(Path(__file__).parents[2], {})
    assert not config.strategies["wall_pin"].enabled and [s.name for s in strategies_from(["wall_pin"], config)] == ["wall_pin"]
    assert "wall_pin" not in {s.name for s in strategies_from(None, config)}
    (tmp_path / "vwap_plain.py").write_text("from quanticity.strategies.zero_dte import Parameters, propose\nNAME = 'vwap_plain'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [s.name for s in strategies_from(["vwap_plain"], config)] == ["vwap_plain"] == [swept_strategy("vwap_plain", {}, config).name]
    for ask in (lambda name: strategies_from([name], config), lambda name: swept_strategy(name, {}, config)):
        with pytest.raises(ConfigError, match="no strategy nope in the configuration .there: zero_dte, one_dte, fourteen_dte, moc, wall_pin., and no module of that name; "):
            ask("nope")
    (tmp_path / "wants_more.py").write_text("import nowhere_to_be_found\n")
    with pytest.raises(ConfigError, match="strategy: wants_more imports nowhere_to_be_found, which is not installed"):
        strategies_from(["wants_more"], config)
    (tmp_path / "leaves_at_once.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(ConfigError, match="leaves_at_once ends the program when it is imported"):
        strategies_from(["leaves_at_once"], config)


@pytest.mark.parametrize(("request_", "message"), [
    ({"source": "lean", "data_dir": "d", "symbols": ("GOOG",), "days": (date(2026, 1, 2),), "first": date(2026, 1, 1)}, "both --date and a span"),
    ({"source": "lake"}, "needs --symbol"), ({"source": "sim", "count": 0}, "0 sessions cannot be simulated"), ({"source": "sim", "seed": -1}, "seed -1 is negative"),
    ({"source": "sim", "last": date(2026, 1, 1)}, "sessions in a row"), ({"source": "sim", "level": 1.0}, "no level of confidence"), ({"source": "sim", "capital": 0.0}, "no sum of dollars"),
    ({"source": "lean", "symbols": ("GOOG",)}, "needs --data DIR")])
def test_a_request_that_cannot_be_met_says_why_in_one_line(request_, message):
    with pytest.raises(UserError, match=message) as error:
        BacktestRequest(**{"out": Path("out"), **request_})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("given", "words"), [({"spread_share": -0.5}, "slippage must be numbers from 0 up, got -0.5 as share of the spread"),
                                              ({"ticks": math.inf}, "slippage must be numbers from 0 up, got inf price steps"),
                                              ({"tick": 0.0}, "slippage's price step (tick) must be above 0 dollars, got 0")])
def test_slippage_that_is_none_is_told_in_words(given, words):
    with pytest.raises(ValueError) as error:
        Slippage(**given)
    assert str(error.value) == words


def test_the_days_that_there_are(recorded):
    config = load_config(environ={})
    goog = BacktestRequest("lean", Path("out"), recorded, ("GOOG", "SPXW"))
    found = session_days(goog, config)
    assert found == sorted(found) and (date(2015, 12, 24), "GOOG") in found and (date(2021, 1, 8), "SPXW") in found
    assert session_days(replace(goog, first=date(2015, 12, 24), last=date(2021, 1, 4)), config)[0] == (date(2015, 12, 24), "GOOG")
    with pytest.raises(DataMissing, match="no session of GOOG on 2015-12-25; days there: 2015-12-23, "):
        session_days(replace(goog, symbols=("GOOG",), days=(date(2015, 12, 24), date(2015, 12, 25))), config)
    with pytest.raises(DataMissing, match="no session of TSLA; symbols there: GOOG, SPX, SPXW$"):
        session_days(replace(goog, symbols=("TSLA",)), config)


def test_days_on_the_command_line():
    assert days_of(["2021-01-05, 2021-01-04"]) == (date(2021, 1, 4), date(2021, 1, 5)) and days_of(None) == ()
    assert (number(None, "share"), number(0.125, "share"), number(-1234.5, "dollars"), interval(None, 1.0, ""), interval(0.1, 0.2, "share")) == ("-", "12.5%", "-1,234.50", "", "10.0% to 20.0%")


# -- the folder ---------------------------------------------------------------------------------------------------------------------------------


def test_json_says_nothing_that_json_has_not():
    assert finite({"a": math.nan, "b": [math.inf, 1.5], 3: date(2026, 1, 2), "c": SimpleNamespace}) == {"a": None, "b": [None, 1.5], "3": "2026-01-02", "c": str(SimpleNamespace)}


def test_a_trade_that_is_open_has_no_end_in_the_table():
    open_leg = replace(trade(0, 1.0).legs[0], closed=None, exit_reason="open", exit_price=math.nan)
    table = trades_table((Trade("s", "x", "SIM", (open_leg, trade(1, 2.0).legs[0])),))
    assert table["closed"].to_pylist()[0] is None and table["leg"].to_pylist() == [0.0, 1.0] and table["exit_reason"].to_pylist() == ["open", "time"]
    assert trades_table(()).num_rows == 0


def test_a_folder_that_was_changed_is_not_reported_on(tmp_path):
    run = load_backtest(write_backtest_example(tmp_path / "run"))
    assert run.title == "SIM, 2026-03-19 to 2026-03-20" and result_rows(run.summary)["Results"][1][0] == "net"
    (tmp_path / "run" / "ledger.jsonl").write_text("more")
    with pytest.raises(DataError, match="is not the ledger that summary.json describes"):
        load_backtest(tmp_path / "run")
