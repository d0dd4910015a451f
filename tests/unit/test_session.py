"""A session is walked through without look-ahead, and folded into chains."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanticity.market.chain import Contracts, nanoseconds
from quanticity.market.session import ChainState, MarketSession, batches
from quanticity.market.tape import Bars, Imbalances, Quotes, Trades, empty

OPENS = datetime(2015, 12, 24, 14, 30, tzinfo=UTC)
OPEN, SECOND = nanoseconds(OPENS), 1_000_000_000
TAPES = ("quotes", "trades", "underlying_bars", "underlying_quotes", "imbalances")


def contracts(n: int = 3) -> Contracts:
    day = (OPENS.date() - date(1970, 1, 1)).days
    return Contracts("GOOG", "GOOG", 740 + 2.5 * np.arange(n), np.full(n, day), np.full(n, OPEN + 210 * 60 * SECOND), np.ones(n, bool), np.full(n, 100.0))


def quotes(ts, index=None, bid=None, ask=None, bid_size=None, ask_size=None) -> Quotes:
    n = len(ts)
    fill = lambda given, default: np.full(n, default) if given is None else np.asarray(given, float)  # noqa: E731
    return Quotes(np.asarray(ts, np.int64), np.zeros(n, np.int64) if index is None else np.asarray(index), fill(bid, 1.0), fill(ask, 1.1),
                  fill(bid_size, 3.0), fill(ask_size, 4.0))


def trades(ts, index, price, size) -> Trades:
    return Trades(np.asarray(ts, np.int64), np.asarray(index, np.int64), np.asarray(price, float), np.asarray(size, float))


def bars(ts, close) -> Bars:
    c = np.asarray(close, float)
    return Bars(np.asarray(ts, np.int64), c, c, c, c, np.ones(len(c)))


def session(seconds: int, **tapes) -> MarketSession:
    none = {"quotes": empty(Quotes), "trades": empty(Trades), "underlying_bars": empty(Bars), "underlying_quotes": empty(Quotes),
            "imbalances": empty(Imbalances)} | tapes
    return MarketSession("sim", OPENS.date(), OPENS, OPENS + timedelta(seconds=seconds), contracts(), none["quotes"], none["trades"], none["underlying_bars"],
                         none["underlying_quotes"], np.full(3, np.nan), np.full(3, np.nan), 0.02, 0.0, none["imbalances"])


# times before, in, at the very edges of and after the session, to the nanosecond
times = st.lists(st.one_of(st.integers(-100 * SECOND, 500 * SECOND), st.integers(-2, 40).map(lambda k: k * 10 * SECOND),
                           st.integers(0, 40).map(lambda k: k * 10 * SECOND + 1)), max_size=25).map(lambda t: np.array(sorted(t), np.int64) + OPEN)


@settings(max_examples=50, deadline=None)
@given(times, times, times, times, times, st.integers(1, 400), st.sampled_from([1, 7, 10, 60, 500]))
def test_no_batch_looks_ahead_and_all_rows_come_once_up_to_the_close(q, t, b, u, i, seconds, step):
    whole = session(seconds, quotes=quotes(q), trades=trades(t, t * 0, t * 0 + 1, t * 0 + 1), underlying_bars=bars(b, b * 0 + 1),
                    underlying_quotes=quotes(u), imbalances=Imbalances(i, *(np.ones(len(i)) for _ in range(4))))
    close = nanoseconds(whole.closes)
    seen = {name: [] for name in TAPES}
    before, nows = -1, []
    for batch in batches(whole, step):
        for name in TAPES:
            ts = getattr(batch, name).ts
            assert np.all((ts > before) & (ts <= batch.now)), name
            seen[name] += ts.tolist()
        before = batch.now
        nows.append(batch.now)
    assert nows == [*range(OPEN, close, step * SECOND), close]
    for name in TAPES:
        ts = getattr(whole, name).ts
        assert seen[name] == ts[ts <= close].tolist(), name


def test_rows_before_the_open_are_known_at_the_open_and_later_ones_never():
    whole = session(20, quotes=quotes([OPEN - 5 * SECOND, OPEN, OPEN + 1, OPEN + 20 * SECOND, OPEN + 20 * SECOND + 1]))
    assert [b.quotes.ts.tolist() for b in batches(whole, 60)] == [[OPEN - 5 * SECOND, OPEN], [OPEN + 1, OPEN + 20 * SECOND]]


@pytest.mark.parametrize("step", [0, -60])
def test_a_step_takes_time(step):
    with pytest.raises(ValueError, match=f"step_seconds must be at least 1, got {step}"):
        next(batches(session(60), step))


def test_a_session_is_of_its_contracts_root():
    assert session(60).symbol == "GOOG" and session(60).files == {} and session(60).notes == ()


def state(n: int = 3) -> ChainState:
    return ChainState(contracts(n), np.array([1.0, np.nan, 5.0]), np.full(3, 0.2), 0.02, 0.0)


NOTHING = (empty(Quotes), empty(Trades), empty(Bars), empty(Quotes))


def test_of_several_quotes_in_a_batch_the_last_stays():
    s = state()
    changed = s.apply(quotes([OPEN, OPEN + 1, OPEN + 2], [2, 0, 2], [1.0, 2.0, np.nan], [1.1, 2.1, 1.3], [1, 2, 0], [4, 5, 6]), *NOTHING[1:])
    assert changed.tolist() == [0, 2]
    chain = s.snapshot(OPEN + 5, 1.0, "quote")
    np.testing.assert_array_equal(chain.bid, [2.0, np.nan, np.nan])
    np.testing.assert_array_equal(chain.ask, [2.1, np.nan, 1.3])
    assert chain.bid_size.tolist() == [2.0, 0.0, 0.0] and chain.ask_size.tolist() == [5.0, 0.0, 6.0]
    assert chain.quote_time.tolist() == [OPEN + 1, 0, OPEN + 2]


def test_volume_adds_up_over_batches_and_trades_count_as_changes():
    s = state()
    assert s.apply(empty(Quotes), trades([OPEN, OPEN], [1, 1], [1.0, 1.0], [2.0, 3.0]), *NOTHING[2:]).tolist() == [1]
    assert s.apply(quotes([OPEN + 1], [0]), trades([OPEN + 1], [1], [1.0], [4.0]), *NOTHING[2:]).tolist() == [0, 1]
    assert s.apply(*NOTHING).tolist() == []
    assert s.snapshot(OPEN + 2, 1.0, "quote").volume.tolist() == [0.0, 9.0, 0.0]


def test_a_snapshot_is_numbered_and_frozen():
    s = state()
    s.apply(quotes([OPEN], [0]), *NOTHING[1:])
    first = s.snapshot(OPEN, 747.0, "quote")
    s.apply(quotes([OPEN + 1], [0], [9.0], [9.1]), trades([OPEN + 1], [0], [9.0], [1.0]), *NOTHING[2:])
    second = s.snapshot(OPEN + 1, 748.0, "trade")
    assert (first.seq, second.seq) == (1, 2) and (first.bid[0], second.bid[0]) == (1.0, 9.0)
    assert (first.volume[0], second.volume[0], first.quote_time[0]) == (0.0, 1.0, OPEN)
    assert (second.spot, second.spot_source, second.rate, second.ts) == (748.0, "trade", 0.02, OPEN + 1)
    np.testing.assert_array_equal(second.open_interest, [1.0, np.nan, 5.0])


def test_spot_is_the_quotes_middle_else_the_last_trade_else_unknown():
    s = state()
    assert np.isnan(s.spot()[0]) and s.spot()[1] == "none"
    s.apply(*NOTHING[:2], bars([OPEN, OPEN + 1], [750.0, 751.0]), empty(Quotes))
    assert s.spot() == (751.0, "trade")
    s.apply(*NOTHING[:3], quotes([OPEN, OPEN + 1], None, [700.0, 750.0], [701.0, 752.0]))
    assert s.spot() == (751.0, "quote")
    s.apply(*NOTHING)  # what was known stays known
    assert s.spot() == (751.0, "quote")


@pytest.mark.parametrize(("bid", "ask"), [(750.0, 757.6), (750.0, 749.9), (np.nan, 750.0), (750.0, np.nan), (0.0, 750.0), (-1.0, 1.0)])
def test_a_wide_crossed_or_one_sided_quote_of_the_underlying_gives_no_spot(bid, ask):
    s = state()
    s.apply(*NOTHING[:2], bars([OPEN], [750.0]), quotes([OPEN], None, [750.0], [750.5]))
    s.apply(*NOTHING[:3], quotes([OPEN + 1], None, [bid], [ask]))
    assert s.spot() == (750.0, "trade")


def test_a_locked_quote_and_one_just_narrow_enough_give_a_spot():
    for bid, ask in ((750.0, 750.0), (750.0, 757.5)):
        s = state()
        s.apply(*NOTHING[:3], quotes([OPEN], None, [bid], [ask]))
        assert s.spot() == ((bid + ask) / 2, "quote")
