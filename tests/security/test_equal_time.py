"""A refused password costs the same CPU, whatever the stored hash. Counted, not timed; tests/faults has the clock."""

import random
import threading

import pytest
from pymongo.errors import AutoReconnect

from authservice.security import equal_time
from authservice.security.equal_time import EqualTime, rounds_of
from authservice.security.legacy import LegacyHash, LegacyKeys
from authservice.store import dearest
from tests.api.answers import assert_problem
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, sign_in, state_of
from tests.security.legacy_hashes import SETTINGS, by_bcrypt, by_meteor, of_each_format
from tests.server.processes import wait_until

COST, OWN = 10, rounds_of(10)
LOT = rounds_of(4)  # the rounds of the smallest decoy, which is drawn by lot
WRONG = "wrong " + PASSWORD


class Machine:
    """A CPU whose seconds are counted. ``pace`` is what a round of bcrypt takes."""

    def __init__(self, pace=0.001):
        self.pace, self.seconds, self.rounds = pace, 0.0, 0

    def run_decoy(self, cost):
        self.rounds += rounds_of(cost)
        self.seconds += rounds_of(cost) * self.pace

    def hash_of(self, rounds, scheme="scheme", matches=False):
        """Another stack's hash that takes as long as so many rounds."""

        def verify(password, keys):
            self.seconds += rounds * self.pace
            return matches

        return LegacyHash(scheme, f"{rounds} rounds", None, float(rounds), verify)


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def refusals(machine):
    return EqualTime(COST, LegacyKeys(), machine.run_decoy, lambda: machine.seconds)


@pytest.fixture
def learn(refusals, monkeypatch):
    """``learn(hash, ..)``: the collection holds these as its dearest."""

    def learn(*hashes):
        known = {str(number): hashed for number, hashed in enumerate(hashes)}
        monkeypatch.setattr(equal_time, "parse", known.get)
        refusals.learn([*known])

    return learn


def cost_of_refusal(machine, refusals, hashed=None, *, bcrypt=OWN):
    """In rounds of bcrypt at the pace of the machine."""
    before = machine.seconds
    if hashed is None:
        machine.seconds += bcrypt * machine.pace
        refusals.note_bcrypt(bcrypt, bcrypt * machine.pace)
        refusals.make_up_for_bcrypt(bcrypt)
    else:
        _, seconds = refusals.check(hashed, WRONG)
        refusals.make_up_for(hashed, seconds)
    return (machine.seconds - before) / machine.pace


@pytest.mark.parametrize("rounds", [0, 1, 100, 333.3, 800, 990, 1_020])
def test_a_cheaper_hash_is_made_up_to_our_bcrypt(machine, refusals, rounds):
    cost_of_refusal(machine, refusals)
    for _ in range(20):
        assert abs(cost_of_refusal(machine, refusals, machine.hash_of(rounds)) - refusals.target_rounds) <= LOT
    assert OWN <= refusals.target_rounds <= OWN * 1.07
    assert abs(cost_of_refusal(machine, refusals) - refusals.target_rounds) <= LOT


@pytest.mark.parametrize("rounds", [1, 800, 990])
def test_the_very_first_check_is_off_by_one_small_decoy_at_most(machine, refusals, rounds):
    assert OWN - LOT <= cost_of_refusal(machine, refusals, machine.hash_of(rounds)) <= OWN + rounds_of(6)


def test_without_other_hashes_nothing_is_added(machine, refusals):
    assert cost_of_refusal(machine, refusals) == OWN
    assert machine.rounds == 0


def test_what_no_decoy_fits_is_spent_on_average(machine, refusals):
    random.seed(1)
    left = 7
    cost_of_refusal(machine, refusals)
    costs = [cost_of_refusal(machine, refusals, machine.hash_of(OWN - rounds_of(9) - left)) for _ in range(2_000)]
    assert {round(cost) for cost in costs} == {OWN - left, OWN - left + LOT}
    assert abs(sum(costs) / len(costs) - OWN) < 0.5


@pytest.mark.parametrize("rounds", [1_500, 5_000, 70_000])
def test_the_dearest_of_the_collection_is_the_target_of_everybody(machine, refusals, learn, rounds):
    dearest_hash, cheap = machine.hash_of(rounds, "dear"), machine.hash_of(50)
    learn(cheap, dearest_hash)
    assert refusals.target_rounds == pytest.approx(rounds * 17 / 16)
    for hashed in (None, cheap, dearest_hash, None):
        assert abs(cost_of_refusal(machine, refusals, hashed) - refusals.target_rounds) <= LOT


def test_a_format_is_timed_once(machine, refusals, learn):
    learn(machine.hash_of(5_000))
    before = machine.seconds
    learn(machine.hash_of(5_000))
    assert machine.seconds == before
    learn(machine.hash_of(6_000))
    assert machine.seconds > before


def test_when_the_dearest_has_gone_nobody_pays_for_it(machine, refusals, learn):
    learn(machine.hash_of(5_000))
    learn()
    assert cost_of_refusal(machine, refusals) == pytest.approx(OWN)


def test_the_dearest_that_was_checked_is_the_target_from_then_on(machine, refusals):
    dear = machine.hash_of(3_000)
    cost_of_refusal(machine, refusals, machine.hash_of(100))
    for hashed in (dear, None, machine.hash_of(100), dear):
        assert abs(cost_of_refusal(machine, refusals, hashed) - 3_000 * 17 / 16) <= LOT


def test_a_plain_bcrypt_hash_dearer_than_ours_is_the_target_from_then_on(machine, refusals):
    for hashed, bcrypt in ((None, 4 * OWN), (None, OWN), (machine.hash_of(100), OWN)):
        assert abs(cost_of_refusal(machine, refusals, hashed, bcrypt=bcrypt) - 4 * OWN) <= LOT


def test_a_plain_bcrypt_hash_of_the_collection_is_the_target_as_long_as_it_is_there(machine, refusals):
    refusals.learn([f"$2b${COST + 2}${'.' * 53}", f"$2a${COST + 1}${'.' * 53}", "$2b$31$", None])
    for hashed in (None, machine.hash_of(100)):
        assert abs(cost_of_refusal(machine, refusals, hashed) - rounds_of(COST + 2)) <= LOT
    refusals.learn([])
    assert cost_of_refusal(machine, refusals) == pytest.approx(OWN)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.5, 3])
def test_a_machine_that_becomes_slower_is_slower_for_all(machine, refusals, factor):
    hashed = machine.hash_of(200)
    cost_of_refusal(machine, refusals, hashed)
    machine.pace *= factor
    assert abs(cost_of_refusal(machine, refusals, hashed) - OWN) <= LOT


def test_one_figure_that_is_off_is_forgotten(machine, refusals):
    dear = machine.hash_of(2_000, "dear")
    cost_of_refusal(machine, refusals, machine.hash_of(10))
    _, seconds = refusals.check(dear, WRONG)
    refusals.make_up_for(dear, 2 * seconds)
    for _ in range(60):
        cost_of_refusal(machine, refusals, dear)
    assert refusals.target_rounds == pytest.approx(2_000 * 17 / 16, rel=0.01)


class TestOverHttp:
    """The work of requests: each names its hash, and the seconds are those of a machine that we simulate."""

    @pytest.fixture
    def settings(self, settings):
        return {**settings, **SETTINGS, "BCRYPT_LOG_ROUNDS": 7}

    @pytest.fixture
    def work(self, monkeypatch):
        """A list that grows by the costs of the decoys and hashes by which refusals are made up."""
        costs, real = [], EqualTime._decoy_seconds
        monkeypatch.setattr(EqualTime, "_decoy_seconds", lambda self, cost: costs.append(cost) or real(self, cost))
        return costs

    @pytest.mark.parametrize("name", of_each_format(PASSWORD))
    def test_a_cheap_hash_is_made_up_for_by_decoys_of_falling_cost(self, client, database, work, name):
        database.users.insert_one({"email": ALICE, "password": of_each_format(PASSWORD)[name]})
        assert_problem(client.post("/auth", json={"email": ALICE, "password": WRONG}), 401, "credentials_invalid")
        work.clear()
        assert_problem(client.post("/auth", json={"email": ALICE, "password": WRONG}), 401, "credentials_invalid")
        assert work == sorted(work, reverse=True)
        if name != "firebase":  # as dear as it is
            assert work
            assert sum(map(rounds_of, work)) <= rounds_of(7) + LOT

    def test_a_success_is_not_made_up(self, client, database, work):
        database.users.insert_one({"email": ALICE, "password": by_meteor(PASSWORD)})
        sign_in(client, ALICE)
        assert work == []

    def test_a_disabled_user_is_made_up_with_the_right_password_too(self, client, database, work):
        database.users.insert_one({"email": ALICE, "password": by_meteor(PASSWORD), "disabledAt": True})
        assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 401, "credentials_invalid")
        assert work

    def test_the_first_refusal_of_a_worker_knows_the_dearest_of_the_collection(self, client, database, work):
        database.users.insert_one({"email": ALICE, "password": by_meteor(PASSWORD, 9), "legacy": {"work": 36.0}})
        assert_problem(client.post("/auth", json={"email": CHARLIE, "password": WRONG}), 401, "credentials_invalid")
        assert sum(map(rounds_of, work)) >= rounds_of(9) - rounds_of(7)

    def test_also_if_it_is_plain_bcrypt(self, client, database, work):
        dear = {"email": ALICE, "password": by_bcrypt(PASSWORD.encode(), 9), "legacy": {"work": 36.0}}
        database.users.insert_one(dear)
        assert_problem(client.post("/auth", json={"email": CHARLIE, "password": WRONG}), 401, "credentials_invalid")
        assert abs(sum(map(rounds_of, work)) - (rounds_of(9) - rounds_of(7))) <= LOT

    def test_a_bcrypt_hash_dearer_than_ours_makes_a_stranger_wait_as_long(self, client, database, work):
        database.users.insert_one({"email": ALICE, "password": by_bcrypt(PASSWORD.encode(), 9)})
        assert_problem(client.post("/auth", json={"email": ALICE, "password": WRONG}), 401, "credentials_invalid")
        assert work == []
        assert_problem(client.post("/auth", json={"email": CHARLIE, "password": WRONG}), 401, "credentials_invalid")
        assert abs(sum(map(rounds_of, work)) - (rounds_of(9) - rounds_of(7))) <= LOT


class TestWhatTheCollectionHolds:
    @pytest.fixture
    def known(self, app, client, database):
        """What is known of the collection, once its indexes are there."""
        database.users.insert_one({"email": ALICE, "password": by_meteor(PASSWORD), "legacy": {"work": 50.0}})
        assert_problem(client.post("/auth", json={"email": CHARLIE, "password": WRONG}), 401, "credentials_invalid")

        def known():
            with app.app_context():
                return [*state_of(app).hasher.dearest_stored()]

        return known

    @pytest.fixture
    def make_due(self, app):
        return lambda: setattr(state_of(app).hasher.dearest_stored.__self__, "_read_at", 0.0)

    def test_the_dearest_come_first(self, known, database, make_due):
        database.users.insert_many(
            {"email": f"{work}@example.com", "password": f"hash {work}", "legacy": {"work": work}}
            for work in range(40, 60)
        )
        database.users.insert_one({"email": BOB, "password": "not moved in"})
        make_due()
        known()
        wait_until(lambda: known()[0] == "hash 59")
        assert known()[1:3] == ["hash 58", "hash 57"]
        assert len(known()) == 8

    def test_it_is_asked_at_most_once_a_minute_and_no_request_waits(self, known, make_due, monkeypatch):
        asked, may_answer, real = [], threading.Event(), dearest.DearestHashes._read

        def read(self):
            asked.append(1)
            may_answer.wait(30)
            real(self)

        monkeypatch.setattr(dearest.DearestHashes, "_read", read)
        for _ in range(10):
            assert len(known()) == 1
        assert asked == []
        make_due()
        for _ in range(10):
            assert len(known()) == 1
        wait_until(lambda: asked == [1])
        may_answer.set()

    def test_without_the_database_the_last_answer_counts(self, app, known, make_due, monkeypatch):
        before, failed = known(), threading.Event()

        def fail(self):
            failed.set()
            raise AutoReconnect

        monkeypatch.setattr(dearest.DearestHashes, "_read", fail)
        make_due()
        assert known() == before
        assert failed.wait(30)
        assert known() == before

    def test_a_renewed_hash_is_no_longer_asked_for(self, client, known, make_due):
        sign_in(client, ALICE)
        make_due()
        known()
        wait_until(lambda: known() == [])
