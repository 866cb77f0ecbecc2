"""A budget admits its burst and not one more, and a unit comes back in its time: on the real database, from threads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from authservice.config import Rate
from authservice.errors import CredentialsInvalid, DatabaseUnavailable, HashingBusy, TooManyAttempts
from authservice.limits import budgets
from authservice.limits.clients import NO_CLIENT, client_at
from authservice.store import limits as store
from authservice.store.limits import Unit
from tests.conftest import ALICE, BOB, state_of
from tests.service import free_port

HERE, ELSEWHERE = client_at("203.0.113.9", ()), client_at("198.51.100.7", ())
OTHER_COUNTERS = 10_000
RATE = Rate(5, 300)
UNIT, OTHER = Unit("test:1", RATE), Unit("test:2", Rate(2, 300))


def take(app, *units):
    with app.app_context():
        return store.take_units(units)


def attempt(app, client=HERE, email=ALICE, device=None, error=CredentialsInvalid):
    """Whether there was a unit for a sign-in, which then fails with ``error``, or succeeds without one."""
    with app.app_context():
        try:
            with budgets.for_sign_in(client, email, device) as taking:
                for _ in range(2):
                    if device is not None:
                        taking.take_of_device()
                    taking.take_of_stranger()
                if error:
                    raise error
        except TooManyAttempts:
            return False
        except (CredentialsInvalid, DatabaseUnavailable, HashingBusy):
            pass
        return True


def pass_time(database, seconds):
    """As if all that has happened had happened so much earlier."""
    database.limits.update_many({"tat": {"$gt": 0}}, {"$inc": {"tat": -seconds}})


def test_the_burst_is_admitted_and_then_a_unit_at_a_time(app, database):
    assert [take(app, UNIT) for _ in range(5)] == [None] * 5
    spent = take(app, UNIT)
    assert spent.unit == UNIT
    assert 50 < spent.wait_seconds <= 60
    pass_time(database, 60)
    assert take(app, UNIT) is None
    assert take(app, UNIT) is not None
    pass_time(database, 100_000)
    assert [take(app, UNIT) is None for _ in range(6)] == [True] * 5 + [False]


def test_of_96_attempts_by_32_threads_of_two_workers_exactly_the_burst_is_admitted(make_app):
    workers, start = [make_app(), make_app()], threading.Barrier(32)

    def attack(number):
        start.wait(30)
        return [take(workers[number % 2], UNIT) for _ in range(3)]

    with ThreadPoolExecutor(32) as threads:
        taken = [spent is None for one in threads.map(attack, range(32)) for spent in one]
    assert (len(taken), sum(taken)) == (96, 5)


def test_of_several_budgets_all_are_taken_or_none(app, database):
    assert [take(app, UNIT, OTHER) for _ in range(2)] == [None] * 2
    before = [*database.limits.find()]
    assert take(app, UNIT, OTHER).unit == OTHER
    after = {counter["_id"]: counter["tat"] for counter in database.limits.find()}
    assert after == {counter["_id"]: pytest.approx(counter["tat"], abs=0.001) for counter in before}


def test_what_is_given_back_is_one_unit_each(app):
    for _ in range(5):
        take(app, UNIT)
    with app.app_context():
        store.give_back_units([UNIT])
    assert take(app, UNIT) is None
    assert take(app, UNIT) is not None


def test_giving_back_never_makes_more_than_the_burst(app):
    take(app, UNIT)
    with app.app_context():
        store.give_back_units([UNIT])
    assert [take(app, UNIT) is None for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("ahead", [100_000, 1e15])
def test_a_clock_that_was_set_back_locks_nobody_out(app, database, ahead):
    take(app, UNIT)
    pass_time(database, -ahead)
    assert [take(app, UNIT) is None for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("error", [HashingBusy, DatabaseUnavailable, None])
def test_an_attempt_that_was_no_wrong_password_costs_nothing(app, error):
    assert [attempt(app, error=error) for _ in range(8)] == [True] * 8
    assert [attempt(app) for _ in range(6)] == [True] * 5 + [False]


def test_a_stranger_has_three_budgets(app):
    assert [attempt(app) for _ in range(6)] == [True] * 5 + [False]
    assert attempt(app, email=BOB)
    emails = [f"user{number}@example.com" for number in range(14)]
    assert [attempt(app, email=email) for email in emails] == [True] * 14
    assert not attempt(app, email="one-more@example.com"), "the client's budget of 20 is spent"
    clients = [client_at(f"198.51.100.{number}", ()) for number in range(46)]
    assert [attempt(app, client=client) for client in clients] == [True] * 45 + [False]
    assert attempt(app, client=ELSEWHERE, email=BOB)


def test_a_client_without_an_address_has_the_budget_of_the_account_alone(app):
    assert [attempt(app, client=NO_CLIENT) for _ in range(51)] == [True] * 50 + [False]


def test_a_device_has_a_budget_of_its_own_and_is_a_stranger_after_that(app):
    for _ in range(50):
        attempt(app, client=NO_CLIENT)
    assert not attempt(app), "strangers have nothing left"
    assert [attempt(app, device="d1") for _ in range(11)] == [True] * 10 + [False]
    assert attempt(app, device="d2")
    assert attempt(app, device="d1", email=BOB), "the budget is that of one account"
    attempts = [attempt(app, device="d1", email=BOB) for _ in range(15)]
    assert attempts == [True] * (9 + 5) + [False], "after its own ten it has the five of a stranger"


def test_nobody_can_read_in_the_counters_who_it_was(app, database):
    attempt(app)
    keys = [counter["_id"] for counter in database.limits.find()]
    assert len(keys) == 3
    assert not [key for key in keys if "alice" in key or "203" in key]


def test_apps_that_share_a_database_and_a_secret_but_no_users_share_no_budget(make_app):
    here, there = make_app(), make_app(USERS_COLLECTION="people")
    assert [attempt(here) for _ in range(6)] == [True] * 5 + [False]
    assert attempt(there)


def test_two_workers_share_the_budgets_but_not_what_they_remember(make_app, database):
    here, there = make_app(), make_app()
    assert [attempt(here) for _ in range(6)] == [True] * 5 + [False]
    assert not attempt(there)
    database.limits.delete_many({})
    assert not attempt(here), "it is remembered for some seconds"
    state_of(here).limits.refusals.forget(next(iter(state_of(here).limits.refusals._until)))
    assert attempt(here)


def test_a_database_that_is_away_admits_nobody(make_app):
    away = make_app(MONGO_URI=f"mongodb://127.0.0.1:{free_port()}/away", MONGO_TIMEOUT_MS=200)
    with away.app_context(), budgets.for_sign_in(HERE, ALICE) as taking, pytest.raises(DatabaseUnavailable):
        taking.take_of_stranger()


def test_switched_off_nothing_is_limited_and_nothing_written(make_app, database):
    off = make_app(LIMITS="off")
    assert [attempt(off) for _ in range(60)] == [True] * 60
    assert database.limits.count_documents({}) == 0


def test_the_database_deletes_what_is_full_again_and_nothing_of_others(app, database):
    app.test_client().post("/users", json={"email": ALICE, "password": "correct horse battery"})
    (index,) = [one for one in database.limits.index_information().values() if one["key"] == [("expireAt", 1)]]
    assert index["expireAfterSeconds"] == 0
    assert dict(index["partialFilterExpression"]) == {"tat": {"$type": "number"}}
    take(app, UNIT)
    (counter,) = database.limits.find({"_id": UNIT.key})
    assert counter["expireAt"].timestamp() >= counter["tat"]


def test_an_attempt_takes_no_longer_when_there_are_many_counters(app, database):
    """Many ways to write the same condition make a database read the whole collection."""
    with app.app_context():
        alone = fastest(take_and_give_back)
        soon = datetime.now(UTC) + timedelta(hours=1)
        database.limits.insert_many(
            {"_id": f"other:{n}", "tat": soon.timestamp(), "expireAt": soon} for n in range(OTHER_COUNTERS)
        )
        assert fastest(take_and_give_back) < 8 * alone  # a scan takes 30 times as long


def take_and_give_back():
    store.take_units([UNIT])
    store.give_back_units([UNIT])


def fastest(function):
    def seconds():
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return min(seconds() for _ in range(40))
