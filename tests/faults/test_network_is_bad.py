"""A bad network to the database: responses are in time or 503, and never a 200 without a check."""

import time
from collections import Counter

import pytest

from authservice.store.client import CONNECTIONS_PER_WORKER
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.faults.test_database_dies import RECOVERY_SECONDS, UNAVAILABLE_SECONDS, assert_503_in_time, wait_until_passed
from tests.server.processes import sign_up, wait_until

pytestmark = pytest.mark.faults

CROWD_SECONDS = 10
ONE_BY_ONE = CROWD_SECONDS * CONNECTIONS_PER_WORKER / Proxy.DELAY_SECONDS  # the capacity of a worker's connections


@pytest.fixture
def proxy(mortal_database):
    with Proxy(mortal_database.port) as proxy:
        yield proxy


@pytest.fixture
def service(serve, mortal_database, proxy):
    return serve(FLASK_MONGO_URI=mortal_database.uri(proxy.port), FLASK_MAX_SESSIONS="100")


def drive(service, proxy, mode, seconds):
    """Run all behaviours through a network in ``mode``. Returns statuses by kind, and all responses."""
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
        assert wait_until_passed(service, token) < RECOVERY_SECONDS

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


def test_a_latency_of_200_ms_is_tolerated(service, proxy):
    statuses, found = drive(service, proxy, "slow", 8)
    assert {*statuses["guarded"], *statuses["ended"], *statuses["sign_up"], *statuses["sign_in"]} == {200, 201, 401}
    assert max(answer.seconds for kind, answer in found if kind == "guarded") < UNAVAILABLE_SECONDS
    assert min(answer.seconds for kind, answer in found if kind == "guarded") > Proxy.DELAY_SECONDS


def test_reset_connections_are_retried_or_answered_503(service, proxy):
    statuses, found = drive(service, proxy, "reset", 8)
    assert statuses["guarded"][200] > 0
    assert statuses["ended"][401] > 0
    assert max(answer.seconds for _, answer in found) < UNAVAILABLE_SECONDS


@pytest.mark.waits
def test_a_black_hole_is_answered_503_in_time(service, proxy):
    statuses, _ = drive(service, proxy, "hole", 8)
    assert {status for kind in statuses for status in statuses[kind]} == {503}


def test_more_guards_than_connections_share_lookups(serve, mortal_database, proxy):
    service = serve(workers=1, FLASK_MONGO_URI=mortal_database.uri(proxy.port), FLASK_CONNECTIONS_PER_CLIENT="0")
    token = sign_up(service, "alice@example.com")
    answers = crowd(service, proxy, lambda load: load.pass_guard(token))
    assert {answer.status for answer in answers} == {200}
    assert len(answers) > 2 * ONE_BY_ONE


def test_overload_of_a_slow_database_does_not_stop_it(serve, mortal_database, proxy):
    """Requests that wait too long for a database connection are refused; the others are served."""
    service = serve(workers=1, FLASK_MONGO_URI=mortal_database.uri(proxy.port), FLASK_CONNECTIONS_PER_CLIENT="0")
    token = sign_up(service, "alice@example.com")
    answers = crowd(service, proxy, lambda load: load.get("sessions", "/auth/sessions", token))
    assert {answer.status for answer in answers} == {200, 503}
    assert len([answer for answer in answers if answer.status == 200]) > ONE_BY_ONE / 2


def crowd(service, proxy, client):
    """The responses to a hundred clients in CROWD_SECONDS, with a slow database."""
    proxy.mode = "slow"
    with Load(service.url) as load:
        load.start(client(load), 100, pause_seconds=0)
        time.sleep(CROWD_SECONDS)
        load.stop()
    answers = [answer for _, answer in load.answers]
    assert_503_in_time(answers)
    return answers
