"""The columnar chain: its blob loses no cent, its derived columns say NaN where there is nothing to say."""

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quanticity.core.errors import DataError
from quanticity.core.types import Contract, Exercise, Right, Settlement
from quanticity.market.chain import (
    FIELDS, NANOSECONDS_A_YEAR, Contracts, OptionChain, decode_chain, decode_row, encode_chain, encode_rows, nanoseconds, pack_names, timestamp)

DAY = date(2015, 12, 24)
DAY_NUMBER = (DAY - date(1970, 1, 1)).days
NOW = datetime(2015, 12, 24, 14, 31, tzinfo=UTC)
CLOSE = nanoseconds(datetime(2015, 12, 24, 18, tzinfo=UTC))
SECOND = 1_000_000_000


def chain_of(bid, ask, strike=None, *, quote_time=None, ts=None, expires_at=CLOSE, spot=747.25, **more) -> OptionChain:
    bid, ask = np.asarray(bid, float), np.asarray(ask, float)
    n, now = len(bid), nanoseconds(NOW) if ts is None else ts
    listed = Contracts("GOOG", "GOOG", np.asarray(strike if strike is not None else 700 + 2.5 * np.arange(n), float), np.full(n, DAY_NUMBER),
                       np.full(n, expires_at), np.arange(n) % 2 == 0, np.full(n, 100.0), **more)
    times = np.full(n, now) if quote_time is None else np.asarray(quote_time, np.int64)
    return OptionChain(2, now, listed, spot, "quote", 0.02, 0.001, bid, ask, np.full(n, 7.0), np.full(n, 9.0), times, np.arange(n, dtype=float),
                       np.full(n, np.nan), np.full(n, 0.25))


def assert_same(a: OptionChain, b: OptionChain) -> None:
    assert (a.seq, a.ts, a.id, a.spot_source, a.rate, a.dividend) == (b.seq, b.ts, b.id, b.spot_source, b.rate, b.dividend)
    assert a.spot == b.spot or (np.isnan(a.spot) and np.isnan(b.spot))
    for name in ("strike", "expiry_day", "expires_at", "is_call", "multiplier"):
        x, y = getattr(a.contracts, name), getattr(b.contracts, name)
        assert x.dtype == y.dtype, name
        np.testing.assert_array_equal(x, y, err_msg=name)
    for name in ("symbol", "underlying", "exercise", "settlement"):
        assert getattr(a.contracts, name) == getattr(b.contracts, name)
    for name in ("bid", "ask", "bid_size", "ask_size", "quote_time", "volume", "open_interest"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype, name
        np.testing.assert_array_equal(x, y, err_msg=name)
    np.testing.assert_allclose(a.prior_volatility, b.prior_volatility, rtol=1e-7)


def test_nanoseconds_are_exact_and_need_a_zone():
    at = datetime(2015, 12, 24, 9, 31, 0, 123457, tzinfo=timezone(timedelta(hours=-5)))
    assert nanoseconds(at) == 1_450_967_460_123_457_000
    assert timestamp(nanoseconds(at)) == at and timestamp(nanoseconds(at)).tzinfo is UTC
    assert timestamp(1_999) == datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)  # cut, not rounded
    with pytest.raises(ValueError, match="without its zone"):
        nanoseconds(datetime(2015, 12, 24))


@settings(max_examples=60, deadline=None)
@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_times_come_back_to_the_microsecond(at):
    assert timestamp(nanoseconds(at)) == at


cents = st.integers(1, 819_200).map(lambda c: c / 100)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 12))
def test_blob_brings_back_every_cent_side_and_count(data, n):
    price = st.one_of(st.just(float("nan")), cents)
    column = lambda of: data.draw(st.lists(of, min_size=n, max_size=n))  # noqa: E731
    second = column(st.one_of(st.none(), st.integers(-86_400, 51_000)))
    midnight = nanoseconds(NOW) - nanoseconds(NOW) % (86_400 * SECOND)
    chain = chain_of(column(price), column(price), column(cents), quote_time=[0 if s is None else midnight + s * SECOND for s in second],
                     spot=data.draw(st.one_of(st.just(float("nan")), cents)))
    assert_same(decode_chain(encode_chain(chain)), chain)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.int64, 500, elements=st.integers(1, 819_200)))
def test_prices_to_8192_dollars_are_exact_in_cents(c):
    chain = chain_of(c / 100, c / 100, c / 100)
    again = decode_chain(encode_chain(chain))
    for column in (again.bid, again.ask, again.contracts.strike):
        assert column.tolist() == (c / 100).tolist()


def test_every_cent_to_8192_dollars_comes_back():
    price = np.arange(1, 819_201) / 100
    again = decode_chain(encode_chain(chain_of(price, price, price)))
    np.testing.assert_array_equal(again.bid, price)
    np.testing.assert_array_equal(again.contracts.strike, price)


def test_twenty_thousand_rows_round_trip():
    rng = np.random.default_rng(7)
    n = 20_000
    bid = rng.integers(1, 100_000, n) / 100
    bid[::7] = np.nan
    chain = chain_of(bid, bid + 0.05, rng.integers(1, 16_000, n) / 2)
    blob = encode_chain(chain)
    assert len(blob) - 4 * n * len(FIELDS) < 300
    assert_same(decode_chain(blob), chain_of(bid, np.round(bid + 0.05, 3), chain.contracts.strike))


def test_a_chain_of_nothing_round_trips():
    empty = chain_of([], [], spot=float("nan"))
    again = decode_chain(encode_chain(empty))
    assert len(again) == 0 and np.isnan(again.spot) and again.mid.size == again.years.size == 0
    assert encode_rows(again, np.empty(0, np.int64)) == b"" and len(pack_names([])) == 0


def test_style_settlement_and_expiry_minute_survive():
    chain = chain_of([1.0], [1.1], [3800.0], expires_at=nanoseconds(datetime(2015, 12, 24, 21, 15, tzinfo=UTC)), exercise=Exercise.EUROPEAN,
                     settlement=Settlement.CASH)
    contract = decode_chain(encode_chain(chain)).contracts.contract(0)
    assert contract == Contract("GOOG", DAY, 3800.0, Right.CALL, datetime(2015, 12, 24, 21, 15, tzinfo=UTC), 100, Exercise.EUROPEAN, Settlement.CASH)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[:b.index(b"\n") + 1], lambda b: b[:b.index(b"\n")]])
def test_a_blob_that_is_cut_is_refused(damage):
    blob = encode_chain(chain_of([1.0, 2.0], [1.1, 2.1]))
    with pytest.raises(ValueError, match="chain blob of GOOG is cut: .* 2 rows"):
        decode_chain(damage(blob))


def test_the_head_is_readable_and_the_order_of_fields_fixed():
    blob = encode_chain(chain_of([1.5, np.nan], [1.6, 2.0]))
    head, body = blob.split(b"\n", 1)
    assert json.loads(head)["rows"] == 2 and json.loads(head)["seq"] == 2
    matrix = np.frombuffer(body, "<f4").reshape(len(FIELDS), 2)
    assert matrix[FIELDS.index("bid"), 0] == 1.5 and np.isnan(matrix[FIELDS.index("bid"), 1])
    assert matrix[FIELDS.index("is_call")].tolist() == [1.0, 0.0]
    assert matrix[FIELDS.index("expiry_minute")].tolist() == [1080.0, 1080.0]


def test_rows_of_the_hash_are_those_asked_for():
    quoted = nanoseconds(NOW) - 2_500_000_001  # int64: exact to the nanosecond
    chain = chain_of([1.5, np.nan, 3.0], [1.6, 2.0, 3.1], quote_time=[0, 0, quoted])
    raw = encode_rows(chain, np.array([2, 1]))
    size = 8 + 8 + 4 * len(FIELDS)
    assert len(raw) == 2 * size
    seq, quote_time, fields = decode_row(raw[:size])
    assert (seq, quote_time) == (2, quoted) and list(fields) == list(FIELDS)
    assert (fields["bid"], round(fields["ask"], 3), fields["strike"], fields["quote_age"]) == (3.0, 3.1, 705.0, 2.5)
    seq, quote_time, fields = decode_row(raw[size:])
    assert (seq, quote_time) == (2, 0) and np.isnan(fields["bid"]) and np.isnan(fields["quote_age"]) and fields["is_call"] == 0.0


def test_a_row_is_cut_where_its_value_is():
    value = encode_rows(chain_of([1.5], [1.6]), np.array([0]))
    for damaged in (value[:-1], value[:12], b""):
        with pytest.raises(ValueError):
            decode_row(damaged)


def test_the_names_of_a_root_are_packed_without_a_gap():
    names = ["GOOG151224C00747500", "GOOG151231P00012345"]
    packed = pack_names(names)
    assert packed.itemsize == len(names[0]) and [n.decode() for n in packed.tolist()] == names
    assert packed.tobytes() == "".join(names).encode() and packed[np.array([1])].tobytes() == names[1].encode()
    with pytest.raises(ValueError, match="OCC symbols of several roots: GOOG, VIX$"):
        pack_names(["VIX151224C00020000", *names])


@pytest.mark.parametrize("ends", [datetime(2015, 12, 23, 21, 15, tzinfo=UTC), datetime(2015, 12, 24, 21, 15, tzinfo=UTC), datetime(2015, 12, 25, 1, tzinfo=UTC),
                                  datetime(2015, 12, 20, 0, tzinfo=UTC)])
def test_trading_may_end_on_another_day_than_the_expiry(ends):
    """AM-settled index options stop the evening before; a long weekend makes it days."""
    chain = chain_of([1.0], [1.1], expires_at=nanoseconds(ends))
    again = decode_chain(encode_chain(chain))
    assert_same(again, chain)
    assert again.contracts.contract(0).expires_at == ends and again.contracts.expiry(0) == DAY


def test_mid_is_of_two_sided_uncrossed_quotes_only():
    chain = chain_of([1.0, 1.0, 1.1, np.nan, 1.0, np.nan], [1.2, 1.0, 1.0, 1.0, np.nan, np.nan])
    np.testing.assert_array_equal(chain.mid, [1.1, 1.0, np.nan, np.nan, np.nan, np.nan])


def test_years_turn_negative_after_expiry():
    assert chain_of([1.0], [1.1], ts=CLOSE).years.tolist() == [0.0]
    assert chain_of([1.0], [1.1], ts=CLOSE + 60 * SECOND).years[0] < 0
    assert chain_of([1.0], [1.1], ts=CLOSE - NANOSECONDS_A_YEAR).years.tolist() == [1.0]


def test_quote_age_is_in_seconds_and_infinite_where_none_came():
    now = nanoseconds(NOW)
    assert chain_of([1.0] * 3, [1.1] * 3, quote_time=[now, now - 90 * SECOND, 0]).quote_age.tolist() == [0.0, 90.0, np.inf]


def test_a_chain_is_named_by_root_time_and_number():
    chain = chain_of([1.0], [1.1])
    assert chain.id == "chain:GOOG:20151224T143100Z:2" and chain.symbol == "GOOG" and len(chain) == 1
    moved = chain.with_spot(700.0, "parity")
    assert (moved.spot, moved.spot_source, moved.id) == (700.0, "parity", chain.id) and chain.spot == 747.25
    assert moved.bid is chain.bid


def test_contracts_know_their_rows():
    listed = chain_of([1.0, 1.0], [1.1, 1.1], [747.5, 12.345]).contracts
    assert listed.expiry(1) == DAY and len(listed) == 2
    assert listed.occ() == ["GOOG151224C00747500", "GOOG151224P00012345"] == [listed.contract(i).occ for i in range(2)]
    with pytest.raises(ValueError, match="is_call has 1 rows, strike has 2"):
        Contracts("GOOG", "GOOG", listed.strike, listed.expiry_day, listed.expires_at, listed.is_call[:1], listed.multiplier)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300 * SECOND))
def test_quote_times_keep_their_order_to_the_steps(age):
    """A quote's age is float32: to the nearest tenth of a millisecond within minutes, and never past the snapshot."""
    now = nanoseconds(NOW) + 60 * SECOND
    again = decode_chain(encode_chain(chain_of([1.0], [1.1], ts=now, quote_time=[now - age])))
    assert abs(int(again.quote_time[0]) - (now - age)) <= age * 2**-24 + 1 and again.quote_time[0] <= now


def test_a_quote_just_after_a_step_is_not_taken_for_one_at_the_step():
    step = nanoseconds(NOW)
    again = decode_chain(encode_chain(chain_of([1.0], [1.1], ts=step + 60 * SECOND, quote_time=[step + 1_000_000])))
    assert again.quote_time[0] == pytest.approx(step + 1_000_000, abs=2_000) and again.quote_time[0] > step


@pytest.mark.parametrize(("field", "value", "message"), [
    ("strike", np.nan, "strike of row 1 is nan"), ("strike", -5.0, "strike of row 1 is -5"), ("strike", np.inf, "strike of row 1 is inf"),
    ("expiry_day", np.inf, "expiry_day of row 1 is inf"), ("expiry_day", 1e30, "expiry_day of row 1 is 1e\\+30"), ("expiry_minute", np.nan, "expiry_minute of row 1 is nan"),
    ("is_call", np.nan, "is_call of row 1 is nan"), ("multiplier", np.inf, "multiplier of row 1 is inf"), ("multiplier", 0.0, "multiplier of row 1 is 0")])
def test_a_row_that_names_no_contract_is_refused(field, value, message):
    head, _, body = encode_chain(chain_of([1.0, 2.0, 3.0], [1.1, 2.1, 3.1])).partition(b"\n")
    matrix = np.frombuffer(body, "<f4").reshape(len(FIELDS), -1).copy()
    matrix[FIELDS.index(field), 1] = value
    with pytest.raises(ValueError, match=message) as caught:
        decode_chain(head + b"\n" + matrix.tobytes())
    assert "\n" not in str(caught.value) and "GOOG" in str(caught.value)


def test_an_adjusted_contract_travels_but_is_not_to_be_traded():
    chain = chain_of([1.0, 2.0], [1.1, 2.1])
    chain = dataclasses.replace(chain, contracts=dataclasses.replace(chain.contracts, symbol="GOOG1", multiplier=np.full(2, np.nan)))
    again = decode_chain(encode_chain(chain))
    assert np.isnan(again.contracts.multiplier).all() and again.contracts.name(0) == chain.contracts.occ()[0]
    with pytest.raises(DataError, match="multiplier is not known"):
        again.contracts.contract(0)
