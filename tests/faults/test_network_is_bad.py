"""A bad network between service and database: answers in time or 503, and never a 200 that nobody checked."""

import time
from collections import Counter

import pytest

from authservice.store.client import CONNECTIONS_PER_WORKER
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.faults.test_database_dies import AWAY_SECONDS, HEAL_SECONDS, assert_503_in_time, wait_until_passed
from tests.server.processes import sign_up, wait_until

pytestmark = pytest.mark.faults

CROWD_SECONDS = 10
ONE_BY_ONE = CROWD_SECONDS * CONNECTIONS_PER_WORKER / Proxy.DELAY_SECONDS  # what the connections of a worker can carry


@pytest.fixture
def proxy(mortal_database):
    with Proxy(mortal_database.port) as proxy:
        yield proxy


@pytest.fixture
def service(serve, mortal_database, proxy):
    return serve(FLASK_MONGO_URI=mortal_database.uri(proxy.port), FLASK_MAX_SESSIONS="100")


def drive(service, proxy, mode, seconds):
    """Everything at once through a network in ``mode``; the answers by kind, once it is well again."""
    token = sign_up(service, "alice@example.com")
    with Load(service.url) as load:
        load.start(load.sign_up, 2)
        load.start(load.sign_out, 1)
        wait_until(lambda: load.ended and len(load.accounts) > 2)
        load.stop()
        ended, known = load.ended[0], len(load.answers)

        proxy.mode = mode
        load.start(load.pass_guard(token), 4, pause_seconds=0.02)
        load.start(load.get("ended", "/users/test", ended), 4, pause_seconds=0.02)
        load.start(load.sign_up, 2, pause_seconds=0.02)
        load.start(load.sign_in, 2, pause_seconds=0.02)
        load.start(load.sign_out, 1, pause_seconds=0.02)
        load.start(load.get("healthz", "/healthz"), 1, pause_seconds=0.02)
        time.sleep(seconds)
        load.stop()
        proxy.mode = "pass"
        assert wait_until_passed(service, token) < HEAL_SECONDS

        assert load.failures == []
        found = load.answers[known:]
        statuses = {kind: Counter(answer.status for name, answer in found if name == kind) for kind, _ in found}
        assert set(statuses.pop("healthz")) == {200}
        assert set(statuses["guarded"]) <= {200, 503}
        assert set(statuses["ended"]) <= {401, 503}  # never 200 without the check
        assert set(statuses["sign_up"]) <= {201, 503}
        assert set(statuses.get("sign_in", {})) <= {200, 503}
        assert_503_in_time([answer for _, answer in found])
        load.read_back()
        return statuses, found


def test_200_ms_more_are_waited_for(service, proxy):
    statuses, found = drive(service, proxy, "slow", 8)
    assert {*statuses["guarded"], *statuses["ended"], *statuses["sign_up"], *statuses["sign_in"]} == {200, 201, 401}
    assert max(answer.seconds for kind, answer in found if kind == "guarded") < AWAY_SECONDS
    assert min(answer.seconds for kind, answer in found if kind == "guarded") > Proxy.DELAY_SECONDS


def test_connections_that_are_reset_are_answered_or_503(service, proxy):
    statuses, found = drive(service, proxy, "reset", 8)
    assert statuses["guarded"][200] > 0
    assert statuses["ended"][401] > 0
    assert max(answer.seconds for _, answer in found) < AWAY_SECONDS


def test_a_black_hole_is_answered_503_in_time(service, proxy):
    statuses, _ = drive(service, proxy, "hole", 8)
    assert {status for kind in statuses for status in statuses[kind]} == {503}


def test_more_guards_than_there_are_connections_are_answered_together(serve, mortal_database, proxy):
    service = serve(workers=1, FLASK_MONGO_URI=mortal_database.uri(proxy.port), FLASK_CONNECTIONS_PER_CLIENT="0")
    token = sign_up(service, "alice@example.com")
    answers = crowd(service, proxy, lambda load: load.pass_guard(token))
    assert {answer.status for answer in answers} == {200}
    assert len(answers) > 2 * ONE_BY_ONE


def test_more_clients_than_a_slow_database_serves_do_not_keep_it_from_serving(serve, mortal_database, proxy):
    """Who waits too long for one of the worker's connections is told so; the others have all of its time."""
    service = serve(workers=1, FLASK_MONGO_URI=mortal_database.uri(proxy.port), FLASK_CONNECTIONS_PER_CLIENT="0")
    token = sign_up(service, "alice@example.com")
    answers = crowd(service, proxy, lambda load: load.get("sessions", "/auth/sessions", token))
    assert {answer.status for answer in answers} == {200, 503}
    assert len([answer for answer in answers if answer.status == 200]) > ONE_BY_ONE / 2


def crowd(service, proxy, client):
    """What a hundred clients are answered in CROWD_SECONDS, each answer of the database being slow."""
    proxy.mode = "slow"
    with Load(service.url) as load:
        load.start(client(load), 100, pause_seconds=0)
        time.sleep(CROWD_SECONDS)
        load.stop()
    answers = [answer for _, answer in load.answers]
    assert_503_in_time(answers)
    return answers
