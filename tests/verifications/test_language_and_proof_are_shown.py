"""Everybody who sees a user sees whether the address is proven, and the language of the mails."""

import json
from datetime import UTC, datetime

import bson
import jwt
import pytest
from bson import ObjectId
from bson.datetime_ms import DatetimeMS

from authservice.store import users
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, bearer, sign_in, state_of
from tests.profile.schemas import ProfileSchema

PROVEN_AT = datetime(2026, 1, 2, tzinfo=UTC)


def store(database, **fields):
    assert database.users.update_one({"email": ALICE}, {"$set": fields}).matched_count == 1


def change(client, token, **body):
    return client.patch("/users/me", json=body, headers=bearer(token))


@pytest.mark.parametrize("verified", [False, True])
def test_every_answer_about_a_user_says_both(app, client, alice, database, verified):
    store(database, roles=["admin"], language="de", **({"emailVerifiedAt": PROVEN_AT} if verified else {}))
    pair = sign_in(client, ALICE)
    headers = bearer(pair["token"])
    me = assert_ok(client.get("/users/me", headers=headers))
    run = app.test_cli_runner().invoke
    shown = [
        me,
        pair["user"],
        assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))["user"],
        assert_ok(client.get("/admin/users", headers=headers))["users"][0],
        assert_ok(client.get(f"/admin/users/{me['id']}", headers=headers)),
        json.loads(run(args=["users", "show", ALICE, "--json"]).stdout),
        json.loads(run(args=["users", "list", "--json"]).stdout),
    ]
    assert [(user["emailVerified"], user["language"]) for user in shown] == [(verified, "de")] * len(shown)
    assert jwt.decode(pair["token"], options={"verify_signature": False})["emailVerified"] is verified


FOREIGN = [None, True, "yes", 1, 2.5, [], [PROVEN_AT], {}, ObjectId("5c0dc18d349bc9479600c171"), b"x"]


@pytest.mark.parametrize("value", FOREIGN, ids=repr)
def test_what_another_stack_stored_there_counts_as_absent(client, alice, database, value):
    store(database, emailVerifiedAt=value, language=None if isinstance(value, str) else value)
    me = assert_ok(client.get("/users/me", headers=bearer(alice)))
    assert (me["emailVerified"], me["language"]) == (False, None)
    assert assert_ok(change(client, alice, language="de"))["language"] == "de"


class TestLanguage:
    def test_it_is_changed_and_taken_back(self, client, alice, database):
        before = database.users.find_one({})
        changed = assert_ok(change(client, alice, language="de"))
        assert changed == assert_ok(client.get("/users/me", headers=bearer(alice)))
        assert database.users.find_one({}) == {**before, "language": "de"}
        assert assert_ok(change(client, alice, language=None))["language"] is None

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({}, ("", "required")),
            ({"language": "fr"}, ("/language", "unknown_value")),
            ({"language": "DE"}, ("/language", "unknown_value")),
            ({"language": ""}, ("/language", "unknown_value")),
            ({"language": ["de"]}, ("/language", "wrong_type")),
            ({"language": {"$ne": 1}}, ("/language", "wrong_type")),
            ({"language": "de", "emailVerified": True}, ("/emailVerified", "unknown_field")),
            ({"language": "de", "email": ALICE}, ("/email", "unknown_field")),
        ],
    )
    def test_what_does_not_fit_changes_nothing(self, client, alice, database, body, fault):
        before = database.users.find_one({})
        assert_problem(change(client, alice, **body), 422, "validation_failed", fault)
        assert database.users.find_one({}) == before

    def test_the_refusal_says_what_is_accepted(self, client, alice):
        (error,) = change(client, alice, language="fr").get_json()["errors"]
        assert error["detail"] == "Send en or de."

    def test_it_is_one_of_the_settings(self, make_app, alice):
        client = make_app(MAIL_LANGUAGES="de").test_client()
        assert_problem(change(client, alice, language="en"), 422, "validation_failed", ("/language", "unknown_value"))
        assert_ok(change(client, alice, language="de"))

    def test_nobody_changes_it_without_a_session(self, client, alice):
        assert_problem(client.patch("/users/me", json={"language": "de"}), 401, "token_missing")
        assert client.delete("/auth", headers=bearer(alice)).status_code == 204
        assert_problem(change(client, alice, language="de"), 401, "token_invalid")

    def test_it_is_changed_together_with_the_profile_or_not_at_all(self, make_app, alice, database):
        client = make_app(PROFILE=ProfileSchema).test_client()
        changed = assert_ok(change(client, alice, language="de", age=3))
        assert (changed["language"], changed["age"]) == ("de", 3)
        assert_problem(
            change(client, alice, language="fr", age="x"),
            422,
            "validation_failed",
            ("/language", "unknown_value"),
            ("/age", "invalid"),
        )
        assert_ok(change(client, alice, language="en"))
        store(database, profile="of another stack")
        changed = assert_ok(change(client, alice, language="de", age=4))
        assert (changed["language"], changed["age"]) == ("de", 4)
        stored = database.users.find_one({})
        assert (stored["language"], stored["profile"]) == ("de", {"age": 4})


def test_a_time_that_only_other_languages_have_is_no_proof(app):
    """The embedded server cannot store such a time."""
    wire = bson.encode({"_id": ObjectId(), "email": ALICE, "emailVerifiedAt": DatetimeMS(2**62)})
    with app.app_context():
        assert not users.read_user(bson.decode(wire, state_of(app).client.codec_options)).email_verified
