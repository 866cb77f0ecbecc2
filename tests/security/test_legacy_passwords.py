"""Users whose hash another stack made sign in with their passwords, and the hash is renewed at the first sign-in."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import bcrypt
import pytest

from authservice.security import passwords
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, bearer, sign_in
from tests.factors.enrolling import KEY, code_of, enrol
from tests.mail.sink import token_in
from tests.security.legacy_hashes import SETTINGS, by_devise, by_meteor, by_pbkdf2, of_each_format

COST = 5
HASHES = of_each_format(PASSWORD)
THEN = datetime(2026, 1, 1, tzinfo=UTC)
# An adopted user, whose old hash is kept for the way back until it is renewed.
LEGACY = {
    "key": "meteor:17",
    "from": "meteor",
    "id": "17",
    "work": 72.0,
    "was": {"password": "old", "email": "A@b.example"},
}
RENEWED_LEGACY = {"key": "meteor:17", "from": "meteor", "id": "17", "was": {"email": "A@b.example"}}
NEW = "another horse battery"


@pytest.fixture
def settings(settings):
    return {**settings, **SETTINGS, "BCRYPT_LOG_ROUNDS": COST}


@pytest.fixture
def moved_in(database):
    """``moved_in(hash)``: Alice's document, as an import writes it."""

    def insert(stored, **more):
        document = {"email": ALICE, "password": stored, "legacy": LEGACY, **more}
        document["_id"] = database.users.insert_one(document).inserted_id
        return document

    return insert


def attempt(client, password, email=ALICE):
    return client.post("/auth", json={"email": email, "password": password})


def assert_renewed(document, password=PASSWORD):
    assert document["password"].startswith(f"$2b${COST:02}$")
    assert bcrypt.checkpw(password.encode(), document["password"].encode())
    assert document["legacy"] == RENEWED_LEGACY


@pytest.mark.parametrize("name", HASHES)
def test_a_hash_of_each_format_signs_in_once_and_is_then_ours(client, database, moved_in, name):
    document = moved_in(HASHES[name])
    for wrong in ("wrong " + PASSWORD, PASSWORD[:-1], PASSWORD + "x"):
        assert_problem(attempt(client, wrong), 401, "credentials_invalid")
    assert database.users.find_one() == document
    sign_in(client, ALICE)
    renewed = database.users.find_one()
    assert_renewed(renewed)
    assert renewed["passwordRenewedAt"]
    sign_in(client, ALICE)
    assert_problem(attempt(client, "wrong " + PASSWORD), 401, "credentials_invalid")
    assert database.users.find_one()["password"] == renewed["password"]


def test_a_tagged_hash_is_legacy_whatever_the_document_says(client, database, moved_in):
    moved_in(by_meteor(PASSWORD), passwordChangedAt=THEN, passwordRenewedAt=THEN)
    sign_in(client, ALICE)
    assert_renewed(database.users.find_one())


def test_a_long_password_is_kept_whole_from_then_on(client, database, moved_in):
    password = "a" * 80
    moved_in(by_devise(password))  # it reads 72 bytes
    assert_ok(attempt(client, password[:-1] + "x"))
    assert_problem(attempt(client, password), 401, "credentials_invalid")
    assert_ok(attempt(client, password[:-1] + "x"))


@pytest.mark.parametrize(
    "stored",
    [
        "!",
        "$",
        "$meteor$",
        "$meteor$x",
        by_meteor(PASSWORD)[:-1],
        by_meteor(PASSWORD).replace("$04$", "$31$"),
        by_pbkdf2(PASSWORD).replace("$10$", "$99999999$"),
        by_pbkdf2(PASSWORD)[:-4],
        "$unknown" + by_meteor(PASSWORD),
        "$argon2id$v=19$m=4194304,t=3,p=4$c2l4dGVlbiBieXRlcy4uLg$" + "a" * 43,
        b"$meteor$",
    ],
    ids=repr,
)
def test_a_malformed_or_hostile_hash_is_refused_like_a_wrong_password(client, database, moved_in, stored):
    document = moved_in(stored)
    answer, stranger = attempt(client, PASSWORD), attempt(client, PASSWORD, CHARLIE)
    told, expected = (assert_problem(one, 401, "credentials_invalid") for one in (answer, stranger))
    assert told | {"requestId": ""} == expected | {"requestId": ""}
    assert database.users.find_one() == document


def test_a_disabled_user_is_refused_with_the_right_password(client, database, moved_in):
    document = moved_in(by_meteor(PASSWORD), disabledAt=THEN)
    assert_problem(attempt(client, PASSWORD), 401, "credentials_invalid")
    assert database.users.find_one() == document


@pytest.mark.parametrize("setting", SETTINGS)
def test_without_its_key_a_hash_is_refused(make_app, moved_in, setting):
    name = "devise" if setting == "LEGACY_PEPPER" else "firebase"
    moved_in(HASHES[name])
    assert_problem(attempt(make_app(**{setting: None}).test_client(), PASSWORD), 401, "credentials_invalid")
    sign_in(make_app().test_client(), ALICE)


def test_two_first_sign_ins_at_once_both_succeed(app, database, moved_in, monkeypatch):
    moved_in(by_meteor(PASSWORD))
    both, check = threading.Barrier(2, timeout=30), passwords.check_password
    checks = []

    def check_together(*args, **kwargs):
        result = check(*args, **kwargs)
        checks.append(result)
        if len(checks) <= 2:  # the slower one finds another hash, and tries again
            both.wait()
        return result

    monkeypatch.setattr(passwords, "check_password", check_together)
    with ThreadPoolExecutor(2) as threads:
        answers = [*threads.map(lambda _: attempt(app.test_client(), PASSWORD), range(2))]
    assert [answer.status_code for answer in answers] == [200, 200]
    document = database.users.find_one()
    assert_renewed(document)
    assert len(document["sessions"]) == 2
    assert [check.matches for check in checks] == [True] * 3


def test_a_password_that_changed_meanwhile_is_not_overwritten(client, database, moved_in, monkeypatch):
    moved_in(by_meteor(PASSWORD))
    newer, check = by_pbkdf2("the newer one"), passwords.check_password

    def slow_check(*args, **kwargs):
        result = check(*args, **kwargs)
        database.users.update_one({}, {"$set": {"password": newer}})
        return result

    monkeypatch.setattr(passwords, "check_password", slow_check)
    assert_problem(attempt(client, PASSWORD), 401, "credentials_invalid")
    assert database.users.find_one()["password"] == newer


class TestOfASession:
    """A session may outlive the move of its user."""

    @pytest.fixture
    def settings(self, settings, sink):
        return {**settings, **sink.settings, "ENCRYPTION_KEYS": KEY}

    @pytest.fixture
    def session(self, client, alice):
        return bearer(alice)

    @pytest.fixture
    def tagged(self, database, session):
        tagged = by_meteor(PASSWORD)
        database.users.update_one({}, {"$set": {"password": tagged, "legacy": LEGACY}})
        return tagged

    def test_the_password_is_changed(self, client, database, session, tagged):
        for current, status in (("wrong " + PASSWORD, 403), (PASSWORD, 200)):
            body = {"currentPassword": current, "newPassword": NEW}
            answer = client.put("/users/me/password", json=body, headers=session)
            assert answer.status_code == status, answer.text
        assert_renewed(database.users.find_one(), NEW)

    def test_the_account_is_deleted(self, client, database, session, tagged):
        for current, status in (("wrong " + PASSWORD, 403), (PASSWORD, 204)):
            answer = client.delete("/users/me", json={"currentPassword": current}, headers=session)
            assert answer.status_code == status, answer.text
        assert database.users.find_one() is None

    def test_the_user_proves_again_who_it_is(self, client, database, session, tagged):
        for current, status in (("wrong " + PASSWORD, 403), (PASSWORD, 200)):
            answer = client.post("/auth/step-up", json={"password": current}, headers=session)
            assert answer.status_code == status, answer.text
        assert database.users.find_one()["password"] == tagged

    def test_the_address_is_changed(self, client, database, session, tagged):
        for current, status in (("wrong " + PASSWORD, 403), (PASSWORD, 202)):
            body = {"currentPassword": current, "newEmail": BOB}
            answer = client.put("/users/me/email", json=body, headers=session)
            assert answer.status_code == status, answer.text
        assert database.users.find_one()["password"] == tagged

    def test_the_hash_is_renewed_before_the_second_step(self, client, database, alice):
        secret, _ = enrol(client, alice)
        database.users.update_one({}, {"$set": {"password": by_meteor(PASSWORD), "legacy": LEGACY}})
        assert_problem(attempt(client, "wrong " + PASSWORD), 401, "credentials_invalid")
        asked = attempt(client, PASSWORD).get_json()
        assert asked["code"] == "second_factor_required"
        assert_renewed(database.users.find_one())
        body = {"continuation": asked["continuation"], "totp": code_of(secret, 1)}
        assert_ok(client.post("/auth/second", json=body))

    def test_a_reset_by_mail_replaces_it(self, client, database, session, tagged, deliver, sink):
        assert_ok(client.post("/auth/reset", json={"email": ALICE}), 202)
        deliver()
        token = token_in(sink.got[-1][1])
        assert client.put("/auth/reset", json={"newPassword": NEW, "token": token}).status_code == 204
        assert_renewed(database.users.find_one(), NEW)

    def test_an_admin_replaces_it(self, app, database, session, tagged):
        done = app.test_cli_runner().invoke(args=["users", "set-password", ALICE, "--password-stdin"], input=NEW)
        assert done.exit_code == 0, done.output
        assert_renewed(database.users.find_one(), NEW)
