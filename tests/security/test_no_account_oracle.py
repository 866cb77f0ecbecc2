"""A refused sign-in does not reveal whether an account exists: neither by its answer nor by its work."""

import threading
import time
from datetime import UTC, datetime

import bcrypt
import pytest

from authservice.auth import signing_in
from authservice.auth.starting import Visit
from authservice.errors import CredentialsInvalid
from authservice.limits.clients import NO_CLIENT
from authservice.web.timing import GRID_SECONDS
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, CHARLIE, PASSWORD, state_of
from tests.security.test_hashing_gate import hash_in

COST = 7


@pytest.fixture
def settings(settings):
    return {**settings, "BCRYPT_LOG_ROUNDS": COST}


def hashed(password, cost):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


THEN = datetime(2026, 1, 1, tzinfo=UTC)
OURS = {"createdAt": THEN, "passwordChangedAt": THEN, "roles": []}
TWO_STEPS = {"twoStep": {"totp": {"secret": "x", "confirmedAt": THEN, "lastStep": 0}, "failures": 100}}
REFUSALS = {
    "nobody": (None, PASSWORD),
    "nobody, a long password": (None, "x" * 1_000),
    "no address": (None, PASSWORD),
    "wrong password": ({"password": hashed(PASSWORD, COST), **OURS}, "wrong " + PASSWORD),
    "wrong long password": ({"password": hashed(PASSWORD, COST), **OURS}, "x" * 1_000),
    "wrong password, ours of a lower cost": ({"password": hashed(PASSWORD, COST - 3), **OURS}, "wrong " + PASSWORD),
    "wrong password, legacy": ({"password": hashed(PASSWORD, COST), "__v": 0}, "wrong " + PASSWORD),
    "wrong password, legacy and cheap": ({"password": hashed(PASSWORD, 4), "__v": 0}, "wrong " + PASSWORD),
    "wrong long password, legacy and cheap": ({"password": hashed(PASSWORD, 4), "__v": 0}, "x" * 1_000),
    "wrong password, two steps": ({"password": hashed(PASSWORD, COST), **OURS, **TWO_STEPS}, "wrong " + PASSWORD),
    "disabled, right password, two steps": (
        {"password": hashed(PASSWORD, COST), **OURS, **TWO_STEPS, "disabledAt": THEN},
        PASSWORD,
    ),
    "disabled, right password": ({"password": hashed(PASSWORD, COST), **OURS, "disabledAt": THEN}, PASSWORD),
    "disabled, wrong password": ({"password": hashed(PASSWORD, COST), **OURS, "disabledAt": THEN}, "wrong"),
    "disabled, legacy and cheap": ({"password": hashed(PASSWORD, 4), "__v": 0, "disabledAt": True}, PASSWORD),
    "broken hash": ({"password": "x", **OURS}, PASSWORD),
    "broken hash, legacy": ({"password": "$2b$31$" + "." * 53, "__v": 0}, PASSWORD),
    "too costly a hash": ({"password": "$2b$15$" + "." * 53, **OURS}, PASSWORD),
    "broken salt": ({"password": f"$2b${COST:02}$" + "9" * 53, **OURS}, PASSWORD),
    "broken salt, cheap": ({"password": "$2b$04$" + "9" * 53, **OURS}, PASSWORD),
    "no hash": (OURS, PASSWORD),
    "hash of another type": ({"password": 1, **OURS}, PASSWORD),
}


@pytest.fixture
def ask(client, database):
    """Sign in as one of REFUSALS, after its account was created."""
    emails = {}
    for number, (name, (document, _)) in enumerate(REFUSALS.items()):
        emails[name] = "no address" if name == "no address" else f"user{number:02}@example.com"
        if document is not None:
            database.users.insert_one({"email": emails[name], **document})

    def ask(name):
        return client.post("/auth", json={"email": emails[name], "password": REFUSALS[name][1]})

    ask.emails = emails
    return ask


@pytest.fixture
def work(monkeypatch):
    """A list that grows by the rounds of every call of bcrypt."""
    rounds = []
    real = bcrypt.hashpw

    def counted(password, salt):
        result = real(password, salt)
        rounds.append(2 ** int(bytes(salt)[4:6]))
        return result

    monkeypatch.setattr(bcrypt, "hashpw", counted)
    return rounds


def test_all_refusals_are_the_same_but_for_their_id(ask):
    answers = {name: ask(name) for name in REFUSALS}
    told = set()
    for answer in answers.values():
        problem = assert_problem(answer, 401, "credentials_invalid")
        request_id = problem.pop("requestId")
        headers = tuple((name, value) for name, value in answer.headers if name not in ("X-Request-Id", "Date"))
        told.add((answer.status, headers, answer.text.replace(request_id, "")))
    assert len(told) == 1


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_does_the_same_work(ask, work, name):
    assert_problem(ask(name), 401, "credentials_invalid")
    assert sum(work) == 2**COST


def test_the_work_is_counted_where_it_is_done(client, ask, work):
    """If bcrypt were called by another name, the test above would count nothing."""
    assert_ok(client.post("/users", json={"email": "new@example.com", "password": PASSWORD}), 201)
    assert sum(work) == 2**COST
    assert_ok(client.post("/auth", json={"email": "new@example.com", "password": PASSWORD}))
    assert sum(work) == 2 * 2**COST


def test_every_refusal_takes_the_same_time(app, ask):
    """Without the grid of answer times, which would hide what this measures."""
    names = ["nobody", "wrong password", "wrong password, legacy and cheap", "disabled, right password", "broken hash"]
    names.append("wrong password, two steps")
    times = {name: [] for name in names}
    for _ in range(15):
        for name in names:
            start = time.perf_counter()
            with app.app_context(), pytest.raises(CredentialsInvalid):
                signing_in.sign_in(ask.emails[name], REFUSALS[name][1], Visit(NO_CLIENT))
            times[name].append(time.perf_counter() - start)
    fastest = [min(one) for one in times.values()]  # other load on the machine only adds time
    assert max(fastest) < 2 * min(fastest), times  # without a decoy it is ten times


def test_no_refusal_leaves_before_the_grid(ask):
    """At this cost the work takes a fraction of the grid. tests/faults measures a real cost."""
    for name in REFUSALS:
        start = time.perf_counter()
        ask(name)
        assert time.perf_counter() - start >= GRID_SECONDS, name


def test_a_full_gate_tells_no_more(settings, request):
    settings |= {"BCRYPT_CONCURRENCY": 1, "BCRYPT_QUEUE": 0}
    ask, app = request.getfixturevalue("ask"), request.getfixturevalue("app")
    leave, occupied = threading.Event(), threading.Event()

    def occupy():
        occupied.set()
        leave.wait(60)

    holder = threading.Thread(target=hash_in, args=(state_of(app).hasher.gate, occupy))
    holder.start()
    try:
        assert occupied.wait(60)
        for name in REFUSALS:
            started = time.perf_counter()
            assert_problem(ask(name), 503, "hashing_busy")
            assert time.perf_counter() - started >= GRID_SECONDS, name
    finally:
        leave.set()
        holder.join()


def test_a_spent_budget_tells_no_more(settings, request):
    """If the request shows a device, the user is looked up before the budgets."""
    settings |= {"LIMITS": "on", "LIMIT_SIGN_IN_CLIENT": "1/10m"}
    client = request.getfixturevalue("client")
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    for email in (CHARLIE, ALICE, CHARLIE):
        started = time.perf_counter()
        body = {"email": email, "password": "wrong wrong", "deviceToken": "00" * 16}
        answer = client.post("/auth", json=body)
        assert answer.status_code in (401, 429)
        assert time.perf_counter() - started >= GRID_SECONDS, email
    assert answer.status_code == 429
