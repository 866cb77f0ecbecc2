"""Passwords count whole, hashes of Node's bcrypt work, broken hashes are refused, and hashing blocks no request."""

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import bcrypt
import pytest
from bson import Int64, ObjectId

from authservice.security import passwords
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in, state_of
from tests.security.test_hashing_gate import hash_in, places_held

# Made by Node's bcrypt 6 and bcryptjs 3, at cost 4.
NODE_HASHES = json.loads(Path(__file__).with_name("node_hashes.json").read_text())
TUTORIAL_HASH = "$2b$10$2WLRRE/IWW.1yXcEyt0sZeFS/257w6SAaigbMNMfcqX1JNZ1KKXGO"  # of "password"
REFUSED = {"", "\0", "ab\0cd", "\0abc", "a\ud800b"}  # Node hashes them; this service refuses them
LONG = [
    "a" * 73,
    "a" * 1_024,
    "\u00e9" * 36 + "!",
    "\U0001f525" * 18 + "x",
    "\U0001f525" * 1_024,
    "a" * 71 + "\u00e9",
]


def attempt(client, email, password):
    raw = json.dumps({"email": email, "password": password}).encode()
    return client.post("/auth", data=raw, content_type="application/json")


def assert_wrong(client, email, password):
    assert_problem(attempt(client, email, password), 401, "credentials_invalid")


def store_legacy(database, email, stored):
    """Store a user as the tutorial's app does."""
    database.users.insert_one({"email": email, "password": stored, "__v": 0})


@pytest.mark.parametrize("library", ["bcrypt", "bcryptjs"])
@pytest.mark.parametrize(
    "golden", [one for one in NODE_HASHES if one["p"] not in REFUSED], ids=lambda golden: ascii(golden["p"])[:30]
)
def test_users_of_nodes_bcrypt_sign_in(client, database, golden, library):
    password = golden["p"]
    store_legacy(database, ALICE, golden[library])
    assert_wrong(client, ALICE, password[:-1] + "?" if len(password.encode()) <= 72 else "?" + password[1:])
    assert_ok(attempt(client, ALICE, password))
    renewed = database.users.find_one()["password"]
    assert renewed != golden[library]
    assert_ok(attempt(client, ALICE, password))
    assert database.users.find_one()["password"] == renewed


@pytest.mark.parametrize("library", ["bcrypt", "bcryptjs"])
@pytest.mark.parametrize(
    ("password", "status", "code", "faults"),
    [
        ("", 422, "validation_failed", [("/password", "too_short")]),
        ("\0", 422, "validation_failed", [("/password", "invalid_character")]),
        ("ab\0cd", 422, "validation_failed", [("/password", "invalid_character")]),
        ("\0abc", 422, "validation_failed", [("/password", "invalid_character")]),
        ("a\ud800b", 400, "body_malformed", []),
    ],
    ids=ascii,
)
def test_what_is_no_password_is_refused_whatever_node_made_of_it(
    client, database, password, status, code, faults, library
):
    (golden,) = [one for one in NODE_HASHES if one["p"] == password]
    store_legacy(database, ALICE, golden[library])
    assert_problem(attempt(client, ALICE, password), status, code, *faults)
    assert_wrong(client, ALICE, "ab")


def test_the_hash_that_the_tutorial_prints_is_understood(client, database):
    store_legacy(database, "josh@example.com", TUTORIAL_HASH)
    assert_wrong(client, "josh@example.com", "Password")
    assert_ok(attempt(client, "josh@example.com", "password"))


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_every_prefix_of_the_same_bcrypt_is_understood(client, database, prefix):
    stored = prefix + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()[4:]
    store_legacy(database, ALICE, stored)
    assert_wrong(client, ALICE, PASSWORD + "!")
    assert_ok(attempt(client, ALICE, PASSWORD))


class TestBeyond72Bytes:
    @pytest.mark.parametrize("password", LONG, ids=lambda password: f"{len(password.encode())} bytes")
    def test_a_long_password_is_kept_whole(self, client, password):
        assert_ok(client.post("/users", json={"email": ALICE, "password": password}), 201)
        assert_ok(attempt(client, ALICE, password))
        raw = password.encode()
        prefix = raw[:72].decode(errors="ignore")
        for other in (prefix, password[:-1], password[:-1] + "\u00ea", password[:-1] + "y"):
            if other != password:
                assert_wrong(client, ALICE, other)

    def test_a_password_of_72_bytes_is_hashed_as_node_hashes_it(self, client, database):
        for email, password in ((ALICE, "a" * 72), (BOB, "\u00e9" * 36)):
            assert_ok(client.post("/users", json={"email": email, "password": password}), 201)
            assert bcrypt.checkpw(password.encode(), database.users.find_one({"email": email})["password"].encode())

    def test_the_reduced_form_of_a_long_password_is_no_password(self, client, database):
        """With a plain digest, the bcrypt hash would fit another password, which could then sign in."""
        import base64
        import hashlib

        password = "a" * 100
        assert_ok(client.post("/users", json={"email": ALICE, "password": password}), 201)
        for digest in ("sha256", "sha384", "sha512"):
            raw = hashlib.new(digest, password.encode())
            for form in (raw.hexdigest(), base64.b64encode(raw.digest()).decode()):
                assert_wrong(client, ALICE, form)

    @pytest.mark.parametrize("password", LONG, ids=lambda password: f"{len(password.encode())} bytes")
    def test_a_legacy_user_is_checked_by_what_node_kept_and_then_renewed_whole(self, client, database, password):
        kept = password.encode()[:72]
        store_legacy(database, ALICE, bcrypt.hashpw(kept, bcrypt.gensalt(4)).decode())
        assert_wrong(client, ALICE, "x" + password[1:])
        assert_ok(attempt(client, ALICE, password))
        assert_wrong(client, ALICE, password[:-1] + "y")  # it passed a moment ago
        assert_wrong(client, ALICE, kept.decode(errors="ignore"))
        assert_ok(attempt(client, ALICE, password))

    def test_a_time_of_null_does_not_make_a_hash_ours(self, client, database):
        """Another stack may write it, and this service never does."""
        store_legacy(database, ALICE, bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode())
        database.users.update_one({}, {"$set": {"passwordChangedAt": None}})
        assert_ok(attempt(client, ALICE, "a" * 80))

    def test_our_own_user_is_never_checked_by_72_bytes(self, client, database):
        """Even if the hash would match: the document says that this service wrote it."""
        stored = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode()
        store_legacy(database, ALICE, stored)
        database.users.update_one({}, {"$set": {"passwordChangedAt": datetime(2026, 1, 1, tzinfo=UTC)}})
        assert_wrong(client, ALICE, "a" * 80)
        assert_ok(attempt(client, ALICE, "a" * 72))
        assert database.users.find_one()["password"] == stored


class TestRenewal:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "BCRYPT_LOG_ROUNDS": 6}

    @pytest.mark.parametrize(("cost", "kept"), [(4, False), (5, False), (6, True), (7, True)])
    def test_a_cheaper_hash_of_ours_is_renewed(self, client, database, cost, kept):
        assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
        stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()
        assert database.users.update_one({}, {"$set": {"password": stored}}).modified_count == 1
        assert_wrong(client, ALICE, "wrong " + PASSWORD)
        assert database.users.find_one()["password"] == stored
        sign_in(client, ALICE)
        after = database.users.find_one()["password"]
        assert (after == stored) is kept
        assert after.startswith(f"$2b${max(6, cost):02}$")
        sign_in(client, ALICE)
        assert database.users.find_one()["password"] == after

    def test_a_password_that_changed_meanwhile_is_not_overwritten(self, client, database, monkeypatch):
        store_legacy(database, ALICE, TUTORIAL_HASH)
        newer = bcrypt.hashpw(b"the newer one", bcrypt.gensalt(6)).decode()
        check = passwords.check_password

        def slow_check(*args, **kwargs):
            result = check(*args, **kwargs)
            database.users.update_one({}, {"$set": {"password": newer}})
            return result

        monkeypatch.setattr(passwords, "check_password", slow_check)
        attempt(client, ALICE, "password")
        assert database.users.find_one()["password"] == newer


BROKEN = [
    None,
    "",
    "x",
    PASSWORD,
    "$2b$",
    "$2b$04$",
    "$2b$31$" + "." * 53,
    "$2b$15$" + "." * 53,
    "$2b$03$" + "." * 53,
    "$2b$00$" + "." * 53,
    "$2b$99$" + "." * 53,
    "$2b$04$" + "." * 52,
    "$2b$04$" + "." * 54,
    "$2b$04$" + "!" * 53,
    "$2b$04$" + "/" * 53,
    "$2b$04$" + "9" * 53,
    "$2b$04$" + "." * 53 + "\n",
    "$2x$04$" + "." * 53,
    "$2$04$" + "." * 53,
    "$2b$4$" + "." * 53,
    "\u0662" * 60,
    "$2b$\u0660\u0664$" + "." * 53,
    "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
    b"$2b$04$" + b"." * 53,
    bcrypt.hashpw(PASSWORD.encode(), b"$2b$04$" + b"." * 22),
    4,
    1.5,
    True,
    Int64(2**60),
    [],
    ["$2b$04$" + "." * 53],
    {},
    {"$ne": None},
    ObjectId("5c0dc18d349bc9479600c171"),
]


@pytest.mark.parametrize("stored", BROKEN, ids=lambda stored: repr(stored)[:40])
def test_a_broken_hash_refuses_like_a_wrong_password(client, database, stored):
    for more in ({}, {"passwordChangedAt": None}):
        database.users.replace_one({"email": ALICE}, {"email": ALICE, "password": stored, **more}, upsert=True)
        for password in (PASSWORD, "a" * 100, "."):
            assert_wrong(client, ALICE, password)
        assert database.users.find_one()["password"] == stored


def test_a_missing_hash_refuses_like_a_wrong_password(client, database):
    database.users.insert_one({"email": ALICE})
    assert_wrong(client, ALICE, PASSWORD)


class TestTheGate:
    @pytest.fixture(params=[(1, 0), (1, 2), (2, 1)], ids=lambda sizes: f"{sizes[0]} at a time, {sizes[1]} may wait")
    def places(self, request):
        return request.param

    @pytest.fixture
    def settings(self, settings, places):
        concurrency, queue = places
        return {**settings, "BCRYPT_CONCURRENCY": concurrency, "BCRYPT_QUEUE": queue, "BCRYPT_LOG_ROUNDS": 4}

    @pytest.fixture
    def gate(self, app, places):
        """``gate(n)`` takes n places until the test ends or calls ``gate.open()``."""
        leave = threading.Event()
        holders = []

        def occupy(number):
            for _ in range(number):
                hashing = (state_of(app).hasher.gate, lambda: leave.wait(60))
                holders.append(threading.Thread(target=hash_in, args=hashing))
                holders[-1].start()
            give_up = time.monotonic() + 30
            while places_held(state_of(app).hasher.gate) < number:
                assert time.monotonic() < give_up
                time.sleep(0.001)

        def open_():
            leave.set()
            for holder in holders:
                holder.join()

        occupy.open = open_
        yield occupy
        open_()

    def test_when_full_it_refuses_at_once_and_guarded_routes_go_on(self, client, alice, gate, places, database):
        gate(sum(places))
        answers = [
            attempt(client, ALICE, PASSWORD),
            attempt(client, "charlie@example.com", PASSWORD),
            client.post("/users", json={"email": BOB, "password": PASSWORD}),
        ]
        for answer in answers:  # if they waited, they would not have answered yet
            assert_problem(answer, 503, "hashing_busy")
        assert database.users.count_documents({}) == 1
        assert_ok(client.get("/users/test", headers=bearer(alice)))
        assert_ok(client.get("/healthz"))
        assert_ok(client.get("/readyz"))
        assert_problem(
            client.post("/auth", json={}), 422, "validation_failed", ("/email", "required"), ("/password", "required")
        )
        gate.open()
        assert_ok(attempt(client, ALICE, PASSWORD))
        assert_ok(client.post("/users", json={"email": BOB, "password": PASSWORD}), 201)

    def test_with_one_place_left_somebody_may_wait(self, app, alice, gate, places):
        gate(sum(places) - 1)
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(attempt(app.test_client(), ALICE, PASSWORD)))
        waiting.start()
        give_up = time.monotonic() + 30
        while places_held(state_of(app).hasher.gate) < sum(places) and not answers:
            assert time.monotonic() < give_up
            time.sleep(0.001)
        gate.open()
        waiting.join()
        assert_ok(answers[0])

    def test_a_place_is_given_back_whatever_happens(self, app, client, alice, places):
        for _ in range(sum(places) + 2):
            assert_wrong(client, ALICE, "wrong")
            assert_problem(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 409, "email_taken")
            with pytest.raises(ZeroDivisionError):
                hash_in(state_of(app).hasher.gate, lambda: 1 // 0)
        assert_ok(attempt(client, ALICE, PASSWORD))
