"""jobs.leases on a real server: nobody else's, renewed, lost, taken over; writes of an old holder refused; many at once."""

import random
import threading
from collections.abc import Iterator

import pytest

from quanticity.core.keys import analytics, heartbeat, leases, monitoring_workers, workers
from quanticity.jobs.leases import Lease, Leases, fair_share
from quanticity.store.server import EmbeddedServer
from quanticity.store.state import State, connect

ITEMS = {f"S{i:02}": 2.0 for i in range(20)}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("leases"), append_only=False) as running:
        yield running


@pytest.fixture
def state(server) -> Iterator[State]:
    connected = connect(server.url, prefix="replay:leases:")
    yield connected
    connected.clear_namespace()
    connected.close()


def test_a_lease_goes_to_one_is_renewed_by_it_and_taken_over_after_its_end(state):
    a, b = Leases(state, "analytics", "a"), Leases(state, "analytics", "b")
    mine = a.acquire({"GOOG": 2.0}, now_ms=1_000)["GOOG"]
    assert mine == Lease("GOOG", "a", 1, 3_000)
    assert b.acquire({"GOOG": 2.0}, now_ms=2_999) == {}
    assert a.renew({mine: 2.0}, now_ms=2_900) == {"GOOG": Lease("GOOG", "a", 1, 4_900)}
    assert b.acquire({"GOOG": 2.0}, now_ms=4_899) == {}
    theirs = b.acquire({"GOOG": 2.0}, now_ms=4_900)["GOOG"]
    assert theirs == Lease("GOOG", "b", 2, 6_900)
    assert a.renew({mine: 2.0}, now_ms=4_901) == {} and a.release([mine]) == 0
    assert b.holders(4_901) == {"GOOG": theirs} and b.holders(6_900) == {}


def test_one_that_ended_and_nobody_took_can_still_be_renewed_and_published_under(state):
    a = Leases(state, "analytics", "a")
    mine = a.acquire({"GOOG": 2.0}, now_ms=1_000)["GOOG"]
    assert a.publish(mine, [(heartbeat("x"), b"1")])
    assert a.renew({mine: 2.0}, now_ms=99_000)["GOOG"].token == 1
    assert a.acquire({"GOOG": 2.0}, now_ms=200_000)["GOOG"].token == 2  # asked for anew after its end: a new tenure


def test_what_an_old_holder_writes_is_refused_whole(state):
    a, b = Leases(state, "analytics", "a"), Leases(state, "analytics", "b")
    key, counts = analytics("GOOG", "dealer_flow"), monitoring_workers("w")
    old = a.acquire({"GOOG": 1.0}, now_ms=0)["GOOG"]
    new = b.acquire({"GOOG": 1.0}, now_ms=1_000)["GOOG"]
    assert b.publish(new, [(key, b"new"), (counts, {"steps": 5, "name": "b"})])
    for lease in (old, Lease("GOOG", "a", new.token, 10**15), Lease("GOOG", "b", old.token, 10**15), Lease("NONE", "a", 1, 10**15)):
        who = a if lease.holder == "a" else b
        assert not who.publish(lease, [(counts, {"steps": 6}), (key, b"old")])
    assert (state.get(key), state.get_hash(counts)) == (b"new", {"steps": b"5", "name": b"b"})
    b.release([new])
    assert not b.publish(new, [(key, b"late")]) and state.get(key) == b"new"


def test_any_bytes_pass_unchanged(state):
    a = Leases(state, "analytics", "a")
    mine = a.acquire({"GOOG": 1.0}, now_ms=0)["GOOG"]
    blob = bytes(range(256)) * 700
    assert a.publish(mine, [(analytics("GOOG", "x"), blob), (analytics("GOOG", "y"), b"")])
    assert (state.get(analytics("GOOG", "x")), state.get(analytics("GOOG", "y"))) == (blob, b"")


def test_keys_live_as_long_as_their_kind_says(server):
    plain = connect(server.url)
    try:
        a = Leases(plain, "leases_test", "a")
        mine = a.acquire({"TTLTEST": 60.0})["TTLTEST"]
        assert a.publish(mine, [(analytics("TTLTEST", "x"), b"1"), (monitoring_workers("ttltest"), {"steps": 1})])
        assert 0 < plain.client.ttl("analytics:TTLTEST:x") <= 900 and 0 < plain.client.ttl("monitoring:workers:ttltest") <= 16 * 3600
        assert plain.client.ttl("leases:leases_test") == -1
    finally:
        plain.delete(analytics("TTLTEST", "x"), monitoring_workers("ttltest"), leases("leases_test"), workers("leases_test"))
        plain.close()


def test_a_limit_takes_the_first_ones_in_the_order_given(state):
    a = Leases(state, "analytics", "a")
    assert list(a.acquire(ITEMS, limit=3, now_ms=0)) == ["S00", "S01", "S02"]
    assert list(a.acquire(ITEMS, limit=5, now_ms=0)) == ["S00", "S01", "S02", "S03", "S04"]  # its own count
    assert a.acquire(ITEMS, limit=0, now_ms=0) == {} and a.acquire({}, now_ms=0) == {} and a.renew({}) == {} and a.release([]) == 0


def test_who_is_alive(state):
    a, b = Leases(state, "analytics", "a"), Leases(state, "analytics", "b")
    assert b.register(2.0, 1_000) == ("b",)
    assert a.register(2.0, 2_000) == ("a", "b")
    assert a.register(2.0, 3_000) == ("a",)  # b's time ended at 3,000
    b.register(2.0, 3_100)
    b.leave(3_200)
    assert a.register(2.0, 3_300) == ("a",)


def test_the_servers_clock_counts_where_no_time_is_given(state):
    a, b = Leases(state, "analytics", "a"), Leases(state, "analytics", "b")
    long, short = a.acquire({"LONG": 60.0})["LONG"], a.acquire({"SHORT": 0.001})["SHORT"]
    assert long.until - short.until > 50_000 and abs(long.until - 60_000 - int(state.client.time()[0]) * 1000) < 30_000
    while not (taken := b.acquire({"LONG": 60.0, "SHORT": 60.0})):
        pass
    assert list(taken) == ["SHORT"]


def test_many_workers_at_once_never_share_an_item(server, state):
    """Eight threads with connections of their own ask for the same twenty items, in other orders, again and again."""
    rounds, names = 15, [f"w{i}" for i in range(8)]
    got: dict[str, list[list[str]]] = {name: [] for name in names}
    barrier = threading.Barrier(len(names))

    def ask(name: str) -> None:
        mine, dice = connect(server.url, prefix="replay:leases:"), random.Random(name)
        for r in range(rounds):
            order = list(ITEMS)
            dice.shuffle(order)
            barrier.wait()
            got[name].append(list(Leases(mine, "analytics", name).acquire({item: 2.0 for item in order}, now_ms=1 + r * 10_000)))
            barrier.wait()
        mine.close()

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for r in range(rounds):
        together = [item for name in names for item in got[name][r]]
        assert sorted(together) == sorted(ITEMS)
    assert all(token == rounds for token in {lease.token for lease in Leases(state, "analytics", "x").holders(1 + (rounds - 1) * 10_000).values()})


def test_no_item_is_served_by_two_whatever_workers_do(state):
    """Workers that sleep, wake, renew, release and publish at random, on a driven clock: what is accepted for an item has one holder a token, and tokens never fall."""
    dice, now, accepted, refused = random.Random(4), 0, {}, 0
    teams = {n: Leases(state, "analytics", n) for n in ("a", "b", "c")}
    held: dict[str, dict[str, Lease]] = {n: {} for n in teams}
    for _ in range(600):
        now += dice.randrange(0, 900)
        name = dice.choice(list(teams))
        mine, action = held[name], dice.random()
        if action < 0.35:
            mine |= teams[name].acquire(dict(list(ITEMS.items())[:5]), dice.randrange(1, 6), now)
        elif action < 0.5:
            held[name] = mine | teams[name].renew(dict.fromkeys(mine.values(), 2.0), now) if dice.random() < 0.5 else teams[name].renew(dict.fromkeys(mine.values(), 2.0), now)
        elif action < 0.55 and mine:
            item = dice.choice(list(mine))
            teams[name].release([mine.pop(item)])
        elif mine:  # a worker believes in every lease it ever got and did not lose knowingly
            lease = dice.choice(list(mine.values()))
            if teams[name].publish(lease, [(analytics(lease.item, "x"), name.encode())]):
                last = accepted.get(lease.item, (0, name))
                assert lease.token > last[0] or (lease.token, name) == last
                accepted[lease.item] = (lease.token, name)
            else:
                refused += 1
    assert len(accepted) == 5 and refused > 10 and max(token for token, _ in accepted.values()) > 10


@pytest.mark.parametrize("bad", ["", "a:b", ":"])
def test_a_name_that_would_break_the_record_is_refused(state, bad):
    with pytest.raises(ValueError, match="worker's name"):
        Leases(state, "analytics", bad)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_lease_without_length_is_refused(state, seconds):
    with pytest.raises(ValueError, match="a lease of"):
        Leases(state, "analytics", "a").acquire({"GOOG": seconds}, now_ms=0)


def test_shares():
    for items in (1, 7, 50):
        for alive in range(1, 12):
            share = fair_share(items, alive)
            assert share * alive >= items and (share - 1) * alive < items
    assert fair_share(5, 0) == 5
