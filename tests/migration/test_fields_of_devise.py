"""Users of a Rails app with Devise and Mongoid sign in beside that app, which goes on working."""

from datetime import UTC, datetime

import bcrypt
import pytest
from bson import ObjectId

from authservice.store import email_changes, passkeys, second_steps, sessions, users
from authservice.store.email_changes import Change
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in

NEW = "an even longer secret"
FIELDS = "password=encrypted_password,emailVerifiedAt=confirmed_at"
MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def devise(password=PASSWORD, pepper=""):
    return bcrypt.hashpw((password + pepper).encode()[:72], b"$2a$04$saltsaltsaltsaltsaltsu").decode()


def is_right_there(document, password=PASSWORD, pepper=""):
    """What Devise asks before it signs somebody in."""
    return bcrypt.checkpw((password + pepper).encode()[:72], document["encrypted_password"].encode())


def document(email=ALICE, **more):
    """As Devise writes it, with the modules database_authenticatable, confirmable, recoverable and trackable."""
    return {
        "_id": ObjectId(),
        "email": email,
        "encrypted_password": devise(),
        "reset_password_token": None,
        "confirmation_token": "yz5Bj8Xcyg6xZvbcGr1s",
        "confirmed_at": MOMENT,
        "confirmation_sent_at": MOMENT,
        "sign_in_count": 3,
        "current_sign_in_at": MOMENT,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        **more,
    }


@pytest.fixture
def settings(settings):
    return {**settings, "USERS_FIELDS": FIELDS}


@pytest.fixture
def insert(database):
    def insert(**more):
        one = document(**more)
        database.users.insert_one(dict(one))
        return one

    return insert


def test_a_user_signs_in_here_and_there(insert, client, database):
    theirs = insert()
    token = sign_in(client, ALICE)["token"]
    assert assert_ok(client.get("/users/me", headers=bearer(token)))["emailVerified"] is True
    stored = database.users.find_one()
    assert {name: stored[name] for name in theirs} == theirs
    assert stored.keys() - theirs.keys() == {"password", "passwordRenewedAt", "sessions", "devices"}
    assert stored["password"].startswith("$2b$04$")
    assert is_right_there(stored)
    sign_in(client, ALICE)


def test_a_wrong_password_changes_nothing(insert, client, database):
    theirs = insert()
    answer = client.post("/auth", json={"email": ALICE, "password": "correct horse batterz"})
    assert_problem(answer, 401, "credentials_invalid")
    assert database.users.find_one() == theirs


@pytest.mark.parametrize("value", ["", None, 1, ["a"], "plain text"], ids=repr)
def test_without_a_hash_there_nobody_signs_in(insert, client, value):
    """Devise stores "" for who signed up by another provider."""
    insert(encrypted_password=value)
    for password in (PASSWORD, "plain text", "None"):
        assert_problem(client.post("/auth", json={"email": ALICE, "password": password}), 401, "credentials_invalid")


def test_a_password_that_is_ours_wins(insert, client, database):
    insert()
    sign_in(client, ALICE)
    database.users.update_one({}, {"$set": {"encrypted_password": devise(NEW)}})
    sign_in(client, ALICE)
    assert_problem(client.post("/auth", json={"email": ALICE, "password": NEW}), 401, "credentials_invalid")


def test_a_password_that_is_changed_there_counts_until_the_first_sign_in_here(insert, client, database):
    insert()
    database.users.update_one({}, {"$set": {"encrypted_password": devise(NEW)}})
    assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 401, "credentials_invalid")
    sign_in(client, ALICE, NEW)


def test_a_password_that_is_changed_here_stays_as_it_is_there(insert, client, database):
    insert()
    headers = bearer(sign_in(client, ALICE)["token"])
    change = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert_ok(client.put("/users/me/password", json=change, headers=headers))
    sign_in(client, ALICE, NEW)
    assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 401, "credentials_invalid")
    assert is_right_there(database.users.find_one())


def test_a_user_who_has_made_no_password_of_ours_yet_deletes_the_account(insert, client, database):
    insert()
    headers = bearer(sign_in(client, ALICE)["token"])
    database.users.update_one({}, {"$unset": {"password": "", "passwordRenewedAt": ""}})
    wrong = client.delete("/users/me", json={"currentPassword": NEW}, headers=headers)
    assert_problem(wrong, 403, "password_wrong")
    assert client.delete("/users/me", json={"currentPassword": PASSWORD}, headers=headers).status_code == 204
    assert database.users.count_documents({}) == 0


@pytest.mark.parametrize("confirmed_at", [None, False, "yes", 1], ids=repr)
def test_what_is_not_confirmed_there_is_not_verified(insert, make_app, database, confirmed_at):
    insert(confirmed_at=confirmed_at)
    client = make_app().test_client()
    assert sign_in(client, ALICE)["user"]["emailVerified"] is False
    database.users.update_one({}, {"$set": {"emailVerifiedAt": MOMENT}})
    assert sign_in(client, ALICE)["user"]["emailVerified"] is True


def test_who_must_be_verified_signs_in_once_confirmed_there(insert, make_app, sink, database):
    insert(confirmed_at=None)
    client = make_app(**sink.settings, REQUIRE_VERIFIED_EMAIL="on").test_client()
    assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 403, "email_unverified")
    database.users.update_one({}, {"$set": {"confirmed_at": MOMENT}})
    sign_in(client, ALICE)


def checked_of(user_id):
    checked = users.find_password(str(user_id))
    assert checked.theirs is not None
    return checked


WRITES = {
    "delete": lambda id, checked: users.delete(id, checked),
    "renew_hash": lambda id, checked: second_steps.renew_hash(id, checked, "$2b$04$new"),
    "claim_attempt": lambda id, checked: second_steps.claim_attempt(id, checked) == 0,
    "ask_for_email_change": lambda id, checked: email_changes.ask(
        id, "s", checked, Change(BOB, MOMENT, "asking"), None, is_repeated=False
    ),
    "authenticate_again": lambda id, checked: sessions.authenticate_again(id, "s", checked, MOMENT, ["pwd"]),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize(
    "change", [{"encrypted_password": devise(NEW)}, {"password": "$2b$04$ours"}, {"password": None}], ids=str
)
def test_a_write_needs_the_password_that_was_checked(app, insert, database, name, change):
    entry = {"id": "s", "expiresAt": datetime(2999, 1, 1, tzinfo=UTC)}
    user_id = insert(sessions=[entry])["_id"]
    with app.app_context():
        checked = checked_of(user_id)
        database.users.update_one({}, {"$set": change})
        assert not WRITES[name](str(user_id), checked)
        database.users.delete_many({})
        user_id = insert(sessions=[entry])["_id"]
        assert WRITES[name](str(user_id), checked_of(user_id))


def test_a_sign_in_needs_the_password_that_was_checked(insert, client, database, monkeypatch):
    """The user changes it over there between the check and the write. The next try reads the new one."""
    insert()
    start = sessions.start

    def late(*args, **kwargs):
        database.users.update_one({}, {"$set": {"encrypted_password": devise(NEW)}})
        return start(*args, **kwargs)

    monkeypatch.setattr(sessions, "start", late)
    assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 401, "credentials_invalid")
    assert "sessions" not in database.users.find_one()


def test_a_password_there_is_a_way_in_besides_a_passkey(app, insert, database):
    user_id = str(insert(passkeys=[{"id": b"1", "publicKey": b"k"}])["_id"])
    with app.app_context():
        assert passkeys.has_password(user_id)
        assert passkeys.delete(user_id, b"1", None, needs_factor=False)
        database.users.update_one({}, {"$set": {"encrypted_password": "", "passkeys": [{"id": b"1"}]}})
        assert not passkeys.has_password(user_id)
        assert not passkeys.delete(user_id, b"1", None, needs_factor=False)


class TestWithAPepper:
    PEPPER = "0f3c2b1a-pepper-of-devise"

    @pytest.fixture
    def settings(self, settings):
        return {**settings, "LEGACY_PEPPER": self.PEPPER}

    def test_bcrypt_there_is_devises(self, app, insert):
        user_id = insert(encrypted_password=devise(pepper=self.PEPPER))["_id"]
        with app.app_context():
            checked = checked_of(user_id)
        assert checked.hash == f"$devise${checked.theirs[1]}"
        assert checked.is_legacy

    def test_a_user_signs_in_here_and_there(self, insert, client, database):
        insert(encrypted_password=devise(pepper=self.PEPPER))
        sign_in(client, ALICE)
        stored = database.users.find_one()
        assert stored["password"].startswith("$2b$04$")
        assert bcrypt.checkpw(PASSWORD.encode(), stored["password"].encode())
        assert is_right_there(stored, pepper=self.PEPPER)
        sign_in(client, ALICE)

    @pytest.mark.parametrize("pepper", ["", "another pepper"])
    def test_with_another_pepper_nobody_signs_in(self, insert, client, database, pepper):
        theirs = insert(encrypted_password=devise(pepper=pepper))
        answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
        assert_problem(answer, 401, "credentials_invalid")
        assert database.users.find_one() == theirs

    def test_bcrypt_of_ours_is_not(self, app, insert):
        user_id = insert(password=devise())["_id"]
        with app.app_context():
            assert users.find_password(str(user_id)).hash.startswith("$2a$04$")
