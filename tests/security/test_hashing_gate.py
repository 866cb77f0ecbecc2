"""The gate in front of hashing is fair: no client keeps another one out, nobody starves, and no place is lost."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from authservice.errors import HashingBusy
from authservice.security.clients import client_of
from authservice.security.hashing_gate import _DEVICE_LANE, HashingGate, Place
from tests.service import ROOT

PATIENCE_SECONDS = 30
STRANGER, NOBODYS = "", None  # instead of an account: no device is shown, or one that the user has not
ATTACKER, VICTIM, OTHER = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def hash_in(gate, hashing, client="127.0.0.1"):
    """As a request of Flask's test client would."""
    with gate.enter(client) as place:
        return gate.run(place, hashing)


def places_held(gate):
    return gate._held.total()


def eventually(condition):
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.0005)


class Requests:
    """Requests that each run in a thread; a hash takes until ``finish`` names it, or ``finish_all``."""

    def __init__(self, gate):
        self.gate = gate
        self.outcomes = {}  # "served" or "refused", by name
        self.order = []  # in which they hashed
        self._finished = Counter()
        self._condition = threading.Condition()
        self._threads = []

    def start(self, name, client, account=STRANGER):
        """``account``: the request shows a device token, and whose device that is."""
        thread = threading.Thread(target=self._ask, args=(name, client, account))
        self._threads.append(thread)
        before = places_held(self.gate), len(self.outcomes)
        thread.start()
        eventually(lambda: (places_held(self.gate), len(self.outcomes)) != before)
        # Where it waits is what a test counts on.
        eventually(lambda: all(place.turn for places in self.gate._waiting.values() for place in places))

    def _ask(self, name, client, account):
        try:
            with self.gate.enter(client, shows_device=account != STRANGER) as place:
                self.gate.check_device(place, account or None)
                self.gate.run(place, lambda: self._hash(name))
            self.outcomes[name] = "served"
        except HashingBusy:
            self.outcomes[name] = "refused"

    def _hash(self, name):
        with self._condition:
            self.order.append(name)
            assert self._condition.wait_for(lambda: self._finished[name] or self._finished["all"], PATIENCE_SECONDS)

    def finish(self, name):
        with self._condition:
            self._finished[name] = 1
            self._condition.notify_all()

    def finish_all(self):
        with self._condition:
            self._finished["all"] = 1
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def gate():
    """As it ships: one hashes and two wait."""
    return HashingGate(1, 2)


@pytest.fixture
def requests(gate):
    requests = Requests(gate)
    yield requests
    requests.finish_all()
    assert (gate._held, gate._waiting, gate._hashing, gate._at_device_lane) == (Counter(), {}, 0, set())


def test_one_client_may_take_every_free_place(requests):
    """An office behind one address loses nothing."""
    for name in "abc":
        requests.start(name, ATTACKER)
    requests.start("d", ATTACKER)
    assert requests.outcomes == {"d": "refused"}
    requests.finish_all()
    assert [requests.outcomes[name] for name in "abc"] == ["served"] * 3
    assert requests.order == ["a", "b", "c"]


def test_a_client_without_a_place_displaces_the_newest_that_waits_for_the_client_with_most(requests):
    for name in "abc":
        requests.start(name, ATTACKER)
    requests.start("victim", VICTIM)
    assert requests.outcomes == {"c": "refused"}  # at once, while "a" hashes on
    requests.start("other", OTHER)
    assert requests.outcomes == {"c": "refused", "b": "refused"}
    requests.finish_all()
    assert {name: requests.outcomes[name] for name in ("a", "victim", "other")} == {
        "a": "served",
        "victim": "served",
        "other": "served",
    }


def test_who_holds_one_place_is_never_displaced(requests):
    for name, client in (("a", ATTACKER), ("b", VICTIM), ("c", OTHER)):
        requests.start(name, client)
    requests.start("d", "192.0.2.4")
    assert requests.outcomes == {"d": "refused"}
    requests.finish_all()
    assert Counter(requests.outcomes.values()) == {"served": 3, "refused": 1}


def test_a_client_that_holds_a_place_displaces_nobody(requests):
    for name, client in (("a", ATTACKER), ("b", ATTACKER), ("c", VICTIM)):
        requests.start(name, client)
    requests.start("d", VICTIM)
    assert requests.outcomes == {"d": "refused"}


def test_a_hash_that_runs_is_never_displaced():
    gate = HashingGate(2, 0)
    requests = Requests(gate)
    for name in "ab":
        requests.start(name, ATTACKER)
    requests.start("victim", VICTIM)
    assert requests.outcomes == {"victim": "refused"}
    requests.finish_all()


def test_a_request_that_still_looks_up_its_user_is_displaced_too(gate):
    """It may take long, and it has hashed nothing yet."""
    with ExitStack() as held:
        _, _, newest = (held.enter_context(gate.enter(ATTACKER)) for _ in range(3))
        with gate.enter(VICTIM) as place:
            assert gate.run(place, lambda: 7) == 7
        with pytest.raises(HashingBusy):
            gate.run(newest, lambda: 7)
    assert places_held(gate) == 0


def test_clients_hash_in_turn_whatever_the_queue_of_one():
    requests = Requests(HashingGate(1, 20))
    for number in range(10):
        requests.start(f"a{number}", ATTACKER)
    for number in range(2):
        requests.start(f"v{number}", VICTIM)
    requests.finish_all()
    assert requests.order[:5] == ["a0", "a1", "v0", "a2", "v1"]
    assert requests.order[5:] == [f"a{number}" for number in range(3, 10)]


def fill(requests, names="abc"):
    for name, client in zip(names, (ATTACKER, "192.0.2.8", "192.0.2.9"), strict=True):
        requests.start(name, client)


def test_one_place_more_is_for_known_devices(requests, gate):
    fill(requests)
    requests.start("stranger", VICTIM, NOBODYS)
    assert requests.outcomes == {"stranger": "refused"}
    requests.start("known", VICTIM, "alice")
    requests.start("another", OTHER, "bob")
    assert requests.outcomes == {"stranger": "refused", "another": "refused"}
    assert places_held(gate) == 4
    requests.finish_all()
    assert requests.outcomes["known"] == "served"


def test_a_known_device_gets_in_beside_an_attacker_with_its_own_address(requests):
    for name in "abc":
        requests.start(name, ATTACKER)
    requests.start("known", ATTACKER, "alice")
    assert requests.outcomes == {}
    requests.finish_all()
    assert requests.order.index("known") == 2  # the lane takes its turn as a client of its own


def hash_at_lane(gate, *accounts):
    for account in accounts:
        place = Place("", account=account)
        gate._seat(place, _DEVICE_LANE)
        gate.run(place, lambda: 7)
        gate._leave(place)


def test_the_account_that_has_hashed_less_gets_the_lane(requests, gate):
    """Or attackers would hold it with devices of their own accounts."""
    hash_at_lane(gate, "mallory", "mallory", "trudy")
    fill(requests)
    requests.start("m", "192.0.2.20", "mallory")
    requests.start("t", "192.0.2.21", "trudy")
    assert requests.outcomes == {"m": "refused"}
    requests.start("m2", "192.0.2.20", "mallory")
    assert requests.outcomes == {"m": "refused", "m2": "refused"}
    requests.start("v", VICTIM, "alice")
    assert requests.outcomes == {"m": "refused", "m2": "refused", "t": "refused"}
    requests.finish_all()
    assert requests.outcomes["v"] == "served"


def test_hashes_of_a_known_device_count_wherever_they_run_and_for_ten_minutes_at_most(gate):
    for _ in range(30):
        with gate.enter(VICTIM, shows_device=True) as place:
            gate.check_device(place, "alice")
            gate.run(place, lambda: 7)
    assert 590 < gate._uses("alice") - time.monotonic() <= 600
    assert gate._uses("bob") <= time.monotonic()


def test_a_displaced_device_competes_for_the_lane(requests, gate):
    """Alice has hashed more than Mallory, who waits there."""
    hash_at_lane(gate, "alice")
    requests.start("a", ATTACKER)
    requests.start("other", OTHER)
    requests.start("alice", OTHER, "alice")
    mallory = Place("", account="mallory", turn=threading.Event())
    gate._seat(mallory, _DEVICE_LANE)
    try:
        requests.start("b", "192.0.2.8")
        assert requests.outcomes == {"alice": "refused"}
    finally:
        gate._leave(mallory)


def test_who_waits_for_a_turn_in_the_lane_is_not_in_the_way_of_who_hashes_there(requests, gate):
    """The lane is one place to wait; an attacker whose hash runs there keeps nobody out."""
    fill(requests)
    requests.start("m", "192.0.2.20", "mallory")
    requests.finish("a")
    requests.finish("b")
    eventually(lambda: requests.order == ["a", "b", "m"])
    requests.start("d", ATTACKER)
    requests.start("e", "192.0.2.8")
    requests.start("v", VICTIM, "alice")
    assert "v" not in requests.outcomes
    requests.finish_all()
    assert requests.outcomes["v"] == "served"


def test_a_known_device_that_is_displaced_waits_in_the_lane(requests, gate):
    """Two colleagues behind one address, and attackers with many."""
    requests.start("a", ATTACKER)
    requests.start("alice", OTHER, "alice")
    requests.start("bob", OTHER, "bob")
    requests.start("b", "192.0.2.8")
    assert requests.outcomes == {}
    requests.start("c", "192.0.2.9")
    assert requests.outcomes == {"c": "refused"}
    requests.finish_all()
    assert (requests.outcomes["alice"], requests.outcomes["bob"]) == ("served", "served")


def test_a_device_that_is_displaced_while_it_is_looked_up_is_checked_at_the_lane(gate):
    with ExitStack() as held:
        held.enter_context(gate.enter(ATTACKER))
        places = [held.enter_context(gate.enter(OTHER, shows_device=True)) for _ in range(2)]
        held.enter_context(gate.enter("192.0.2.8"))
        gate.check_device(places[1], "bob")
        assert places_held(gate) == 4
        assert gate.run(places[1], lambda: 7) == 7
    with ExitStack() as held:
        held.enter_context(gate.enter(ATTACKER))
        places = [held.enter_context(gate.enter(OTHER, shows_device=True)) for _ in range(2)]
        held.enter_context(gate.enter("192.0.2.8"))
        with pytest.raises(HashingBusy):
            gate.check_device(places[1], None)
    assert (places_held(gate), gate._at_device_lane) == (0, set())


def test_a_stranger_whose_token_was_checked_is_displaced(gate):
    with ExitStack() as held:
        held.enter_context(gate.enter(ATTACKER))
        places = [held.enter_context(gate.enter(OTHER, shows_device=True)) for _ in range(2)]
        gate.check_device(places[1], None)
        held.enter_context(gate.enter("192.0.2.8"))
        with pytest.raises(HashingBusy):
            gate.run(places[1], lambda: 7)
    assert (places_held(gate), gate._at_device_lane) == (0, set())


def test_a_stranger_displaces_nobody_from_the_lane(requests, gate):
    fill(requests)
    requests.start("m", "192.0.2.20", "mallory")
    requests.start("d", "192.0.2.21")
    assert requests.outcomes == {"d": "refused"}


def test_strangers_cannot_block_the_lane(gate):
    """While the device that it shows is looked up, a request holds no place, and each client has one such request."""
    with ExitStack() as held:
        for number in range(3):
            held.enter_context(gate.enter(f"192.0.2.{number}"))
        for number in range(10, 90):
            held.enter_context(gate.enter(f"192.0.2.{number}", shows_device=True))
        with pytest.raises(HashingBusy), gate.enter("192.0.2.10", shows_device=True):
            pass
        assert places_held(gate) == 3
        with gate.enter(VICTIM, shows_device=True) as place:
            gate.check_device(place, "alice")
            assert places_held(gate) == 4
        assert places_held(gate) == 3
    assert not gate._at_device_lane


def test_a_place_may_hash_twice(gate):
    with gate.enter(VICTIM) as place:
        assert [gate.run(place, lambda number=number: number) for number in range(3)] == [0, 1, 2]
    assert places_held(gate) == gate._hashing == 0


def test_whatever_raises_leaves_no_trace(gate):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            hash_in(gate, lambda: 1 // 0)
        with pytest.raises(KeyError), gate.enter(VICTIM):
            raise KeyError
    assert (places_held(gate), gate._hashing, gate._waiting) == (0, 0, {})


STRESS = """
import sys
if sys.argv[1] == "greenlets":
    from gevent import monkey
    monkey.patch_all()
from tests.security.test_hashing_gate import stress
stress(int(sys.argv[2]))
"""


@pytest.mark.parametrize("kind", ["threads", "greenlets"])
@pytest.mark.parametrize("seed", range(3))
def test_under_stress_everybody_is_served_or_refused_exactly_once(kind, seed):
    command = [sys.executable, "-c", STRESS, kind, str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def stress(seed):
    """Threads of random clients: never more hashes at once than may, never more places than there are."""
    chance = random.Random(seed)
    concurrency, queue = chance.choice([(1, 0), (1, 2), (2, 3), (3, 1)])
    gate = HashingGate(concurrency, queue)
    asked, done, wrong = Counter(), Counter(), []
    hashing, lock = [], threading.Lock()

    def hashed(chance_of_error):
        hashing.append(1)
        if len(hashing) > concurrency or places_held(gate) > 2 * concurrency + queue + 1:
            wrong.append((len(hashing), places_held(gate)))
        time.sleep(0.0005)
        hashing.pop()
        if chance_of_error < 0.1:
            raise ZeroDivisionError

    def ask(seed):
        chance = random.Random(seed)
        for _ in range(40):
            client, is_known = chance.choice("aaaabbcdef"), chance.choice([None, None, False, True])
            outcome = "neither"
            with lock:
                asked["all"] += 1
            try:
                with gate.enter(client, shows_device=is_known is not None) as place:
                    time.sleep(chance.choice([0, 0, 0.0005]))
                    if chance.random() < 0.1:
                        raise KeyError
                    gate.check_device(place, chance.choice(["alice", "bob"]) if is_known else None)
                    for _ in range(chance.choice([1, 1, 2])):
                        gate.run(place, lambda: hashed(chance.random()))
                    outcome = "served"
            except HashingBusy:
                outcome = "refused"
            except (KeyError, ZeroDivisionError):
                outcome = "failed"
            with lock:
                done[outcome] += 1

    threads = [threading.Thread(target=ask, args=(f"{seed} {number}",)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "it waits for good"
    assert not wrong, wrong
    assert set(done) == {"served", "refused", "failed"}
    assert done.total() == asked["all"] == 24 * 40
    assert (gate._held, gate._waiting, gate._hashing, gate._at_device_lane) == (Counter(), {}, 0, set())


@pytest.mark.parametrize(
    ("ip", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
        ("::1", "::/64"),
        ("9.9.9.9:5678", "9.9.9.9"),
        ("[2001:db8:0:1::8]:443", "2001:db8:0:1::/64"),
        ("garbage", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_the_64_of_an_ipv6_address(ip, client):
    assert client_of(ip) == client
