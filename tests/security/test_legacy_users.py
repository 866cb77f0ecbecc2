"""The tutorial's users work unchanged, and the tutorial's guard accepts our tokens."""

import time
from datetime import UTC, datetime

import bcrypt
import bson
import jwt
import pytest
from bson import Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS

from authservice.store import users
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, SECRET, bearer, sign_in, state_of

TUTORIAL_HASH = "$2b$10$2WLRRE/IWW.1yXcEyt0sZeFS/257w6SAaigbMNMfcqX1JNZ1KKXGO"  # of "password"


def tutorial_user(email="josh@example.com", stored=TUTORIAL_HASH):
    """A document exactly as the tutorial's app writes it, with Mongoose's version key."""
    return {"_id": ObjectId(), "email": email, "password": stored, "__v": 0}


def hashed(password, cost=4):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


class TestOfTheTutorial:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "BCRYPT_LOG_ROUNDS": 11}

    def test_a_user_signs_in_and_passes_the_guard_and_the_hash_is_renewed(self, client, database):
        document = tutorial_user()
        database.users.insert_one(document)
        before = datetime.now(UTC)

        token = sign_in(client, "josh@example.com", "password")["token"]
        assert assert_ok(client.get("/users/test", headers=bearer(token))) == {"message": "You did it!"}
        me = assert_ok(client.get("/users/me", headers=bearer(token)))
        made = document["_id"].generation_time
        assert (me["id"], me["email"], me["roles"]) == (str(document["_id"]), "josh@example.com", [])
        assert datetime.fromisoformat(me["createdAt"]) == made

        stored = database.users.find_one()
        assert stored.keys() == {"_id", "email", "password", "__v", "passwordRenewedAt", "sessions", "devices"}
        assert (stored["_id"], stored["email"], stored["__v"]) == (document["_id"], "josh@example.com", 0)
        assert stored["password"].startswith("$2b$11$")
        assert bcrypt.checkpw(b"password", stored["password"].encode())  # the old app can still check the password
        assert abs((stored["passwordRenewedAt"] - before).total_seconds()) < 600

    def test_a_wrong_password_changes_nothing(self, client, database):
        document = tutorial_user()
        database.users.insert_one(document)
        answer = client.post("/auth", json={"email": "josh@example.com", "password": "passwort"})
        assert_problem(answer, 401, "credentials_invalid")
        assert database.users.find_one() == document


def test_a_hash_of_our_cost_is_taken_over_as_well(client, database):
    database.users.insert_one(tutorial_user(ALICE, hashed(PASSWORD, 4)))
    sign_in(client, ALICE)
    assert "passwordRenewedAt" in database.users.find_one()


def test_our_token_passes_the_guard_of_the_tutorial(alice):
    """passport-jwt checks the signature and the times of the bearer token; the guard then reads ``email``."""
    payload = jwt.decode(alice, SECRET, algorithms=["HS256"], options={"require": ["iat", "exp"]})
    assert payload["email"] == ALICE
    assert payload["iat"] <= time.time() + 5
    assert payload["exp"] - payload["iat"] == 3_600
    header = jwt.get_unverified_header(alice)
    assert (header["alg"], header["typ"]) == ("HS256", "JWT")


def test_a_token_of_the_tutorial_does_not_pass_ours(client, alice):
    """It has no id and no type, so its holder signs in again."""
    now = int(time.time())
    token = jwt.encode({"email": ALICE, "iat": now, "exp": now + 3_600}, SECRET, algorithm="HS256")
    assert_problem(client.get("/users/test", headers=bearer(token)), 401, "token_invalid")


class TestLetterCase:
    def test_an_email_stored_in_mixed_case_signs_in_as_it_was_typed(self, client, database):
        database.users.insert_one(tutorial_user("Josh.Morony@Example.COM"))
        token = sign_in(client, "Josh.Morony@Example.COM", "password")["token"]
        me = assert_ok(client.get("/users/me", headers=bearer(token)))
        assert me["email"] == "Josh.Morony@Example.COM"
        assert (
            jwt.decode(token, SECRET, algorithms=["HS256"])["email"] == "Josh.Morony@Example.COM"
        )  # what the NestJS app finds
        assert database.users.find_one()["email"] == "Josh.Morony@Example.COM"
        sign_in(client, " Josh.Morony@Example.COM ", "password")

    def test_an_email_stored_in_lower_case_signs_in_in_any(self, client, database):
        database.users.insert_one(tutorial_user())
        for email in ("josh@example.com", "JOSH@example.com", " Josh@Example.Com"):
            sign_in(client, email, "password")

    def test_two_that_differ_by_case_alone_are_two(self, client, database):
        lower, mixed = tutorial_user("josh@example.com"), tutorial_user("Josh@example.com", hashed("another one"))
        for documents in ([lower, mixed], [mixed, lower]):
            database.users.delete_many({})
            database.users.insert_many(documents)
            for email, password, document in (
                ("josh@example.com", "password", lower),
                ("Josh@example.com", "another one", mixed),
            ):
                token = sign_in(client, email, password)["token"]
                me = assert_ok(client.get("/users/me", headers=bearer(token)))
                assert me["id"] == str(document["_id"])
            for email, password in (
                ("josh@example.com", "another one"),
                ("Josh@example.com", "password"),
                ("JOSH@example.com", "password"),
                ("JOSH@example.com", "another one"),
            ):
                answer = client.post("/auth", json={"email": email, "password": password})
                assert_problem(answer, 401, "credentials_invalid")

    def test_an_email_that_another_stack_let_in_signs_in(self, client, database):
        for email in ("josh", "josh@localhost", "josh@example", "a b@c", "J\u00d6SH@localhost", "$where", "."):
            database.users.insert_one(tutorial_user(email, hashed(PASSWORD)))
            token = sign_in(client, email)["token"]
            assert assert_ok(client.get("/users/me", headers=bearer(token)))["email"] == email

    def test_the_email_of_a_legacy_user_is_taken(self, client, database):
        database.users.insert_one(tutorial_user("Josh@Example.com"))
        answer = client.post("/users", json={"email": "Josh@Example.com", "password": PASSWORD})
        assert_problem(answer, 409, "email_taken")
        assert database.users.count_documents({}) == 1


ODD_VALUES = [
    None,
    "",
    "admin",
    0,
    1.5,
    True,
    False,
    b"\x00\xff",
    [],
    ["admin", 1, None],
    {},
    {"$date": 1},
    ObjectId("5c0dc18d349bc9479600c171"),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
    Decimal128("NaN"),
    Int64(2**62),
    Regex(".*"),
    Code("1"),
    Timestamp(1, 1),
    MinKey(),
    MaxKey(),
]


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: repr(value)[:40])
def test_odd_fields_keep_nobody_out(client, database, value):
    odd = dict.fromkeys(["roles", "createdAt", "passwordChangedAt", "passwordRenewedAt", "__v", "sessions"], value)
    database.users.insert_one({**tutorial_user(ALICE, hashed(PASSWORD)), **odd})
    token = sign_in(client, ALICE)["token"]
    assert_ok(client.get("/users/test", headers=bearer(token)))
    me = assert_ok(client.get("/users/me", headers=bearer(token)))
    assert me["roles"] == (["admin"] if isinstance(value, list) and value else [])
    assert datetime.fromisoformat(me["createdAt"])
    assert_problem(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 409, "email_taken")


@pytest.mark.parametrize("milliseconds", [8_640_000_000_000_000, -8_640_000_000_000_000, 2**62], ids=repr)
def test_a_time_that_only_other_languages_have_is_read_as_absent(app, milliseconds):
    """The embedded server cannot store such a time, so the test decodes a document as MongoDB would send it."""
    user_id = ObjectId()
    wire = bson.encode({"_id": user_id, "email": ALICE, "createdAt": DatetimeMS(milliseconds)})
    with app.app_context():
        user = users.read_user(bson.decode(wire, state_of(app).client.codec_options))
    assert (user.email, user.created_at) == (ALICE, user_id.generation_time)


@pytest.mark.parametrize("value", [one for one in ODD_VALUES if one is not None], ids=lambda value: repr(value)[:40])
def test_whatever_stands_in_disabled_at_disables(client, database, value):
    """If a legacy document can be read in two ways, the stricter one counts."""
    database.users.insert_one({**tutorial_user(ALICE, hashed(PASSWORD)), "disabledAt": value})
    answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
    assert_problem(answer, 401, "credentials_invalid")


def test_a_disabled_at_of_null_disables_nobody(client, database):
    database.users.insert_one({**tutorial_user(ALICE, hashed(PASSWORD)), "disabledAt": None})
    sign_in(client, ALICE)


@pytest.mark.parametrize(
    "value",
    [*(one for one in ODD_VALUES if not isinstance(one, str)), [ALICE], [[ALICE]], [ALICE, BOB], {"email": ALICE}],
    ids=lambda value: repr(value)[:40],
)
def test_a_document_without_a_text_for_an_email_is_nobody(client, database, value):
    document = {**tutorial_user(stored=hashed(PASSWORD)), "email": value}
    database.users.insert_one(document)
    before = database.users.find_raw_batches({}).next()
    for email in (ALICE, "None", "null", "[]", "admin", f"['{ALICE}']"):
        answer = client.post("/auth", json={"email": email, "password": PASSWORD})
        assert_problem(answer, 401, "credentials_invalid")
    assert database.users.find_raw_batches({}).next() == before
    assert_ok(client.post("/users", json={"email": "new@example.com", "password": PASSWORD}), 201)


def test_a_document_without_an_email_is_nobody(client, database):
    database.users.insert_one({"password": hashed(PASSWORD), "roles": ["admin"]})
    for email in ("None", "null", ""):
        answer = client.post("/auth", json={"email": email, "password": PASSWORD})
        assert_problem(answer, 401, "credentials_invalid")


@pytest.mark.parametrize("value", ["josh", 1, b"1", {"a": 1}, True, 1.5, datetime(2026, 1, 1, tzinfo=UTC)], ids=repr)
def test_a_document_whose_id_is_none_of_mongodbs_own_is_nobody(app, client, database, value):
    """No token can name it."""
    database.users.insert_one({**tutorial_user(ALICE, hashed(PASSWORD)), "_id": value})
    before = database.users.find_one()
    assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 401, "credentials_invalid")
    assert_problem(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 409, "email_taken")
    assert database.users.find_one() == before


@pytest.mark.parametrize("options", [{"background": True}, {"name": "one_account_an_email"}], ids=repr)
def test_a_unique_index_that_another_stack_made_will_do(client, database, options):
    database.users.create_index("email", unique=True, **options)
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    assert_problem(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 409, "email_taken")


def test_no_account_is_written_where_the_index_cannot_be_had(client, database):
    database.users.insert_many([tutorial_user(ALICE), tutorial_user(ALICE)])
    answer = client.post("/users", json={"email": BOB, "password": PASSWORD})
    assert_problem(answer, 503, "users_collection_unfit")
    assert database.users.count_documents({}) == 2
