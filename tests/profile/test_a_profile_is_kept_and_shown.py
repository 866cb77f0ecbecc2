"""The fields of an app's profile stand beside the e-mail, wherever a user is sent or shown."""

import json
from datetime import UTC, datetime

import pytest
from bson import ObjectId
from openapi_spec_validator import OpenAPIV31SpecValidator

from authservice.errors import TokenInvalid
from authservice.store import users as store
from authservice.users import service
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.profile.schemas import PetSchema, ProfileSchema
from tests.service import ROOT

SENT = {
    "name": "Natalie",
    "nickName": None,
    "age": 2**63 - 1,
    "bornOn": "1990-02-03",
    "seenAt": "2026-01-02T03:04:05.678901+01:00",
    "score": "12.50",
    "token": "c8edabc3-f738-4ca3-b68d-ab92a91478a3",
    "address": {"street": "1 Main St", "city": "Springfield"},
    "notes": {"a": [1, 2.5, None, {"": "empty"}]},
    "pin": "never shown",
}
SHOWN = {
    **{name: value for name, value in SENT.items() if name != "pin"},
    "seenAt": "2026-01-02T02:04:05.678000+00:00",
    "locale": "en",
    "shout": "NATALIE",
}


def sign_up(client, email=ALICE, **profile):
    return client.post("/users", json={"email": email, "password": PASSWORD, **profile})


def patch(client, token, body):
    return client.patch("/users/me", json=body, headers=bearer(token))


@pytest.fixture
def alice(client):
    assert_ok(sign_up(client, name="Natalie"), 201)
    return sign_in(client, ALICE)["token"]


OWN = {"id", "email", "emailVerified", "roles", "createdAt", "language"}


def profile_in(shown):
    return {name: value for name, value in shown.items() if name not in OWN | {"disabled", "sessions"}}


def test_it_is_shown_as_it_was_sent_everywhere(client, database):
    created = assert_ok(sign_up(client, **SENT), 201)
    assert profile_in(created) == SHOWN
    pair = sign_in(client, ALICE)
    assert profile_in(pair["user"]) == SHOWN
    refreshed = assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))
    assert profile_in(refreshed["user"]) == SHOWN
    me = assert_ok(client.get("/users/me", headers=bearer(refreshed["token"])))
    assert me == created == refreshed["user"]
    stored = database.users.find_one({})
    assert stored["profile"]["nick"] is None
    assert stored["profile"]["pin"] == "never shown"
    assert stored["profile"]["bornOn"] == datetime(1990, 2, 3, tzinfo=UTC)
    assert stored["profile"]["seenAt"] == datetime(2026, 1, 2, 2, 4, 5, 678000, tzinfo=UTC)
    assert stored.keys() == {
        "_id", "email", "password", "createdAt", "passwordChangedAt", "roles", "sessions", "devices", "profile",
        "mails", "verification",
    }  # fmt: skip


def test_admins_see_it(client, database):
    assert_ok(sign_up(client, **SENT), 201)
    assert database.users.update_one({}, {"$set": {"roles": ["admin"]}}).modified_count == 1
    signed_in = sign_in(client, ALICE)
    headers = bearer(signed_in["token"])
    (listed,) = assert_ok(client.get("/admin/users", headers=headers))["users"]
    (found,) = assert_ok(client.get("/admin/users", query_string={"email": ALICE}, headers=headers))["users"]
    one = assert_ok(client.get(f"/admin/users/{listed['id']}", headers=headers))
    changed = assert_ok(client.patch(f"/admin/users/{listed['id']}", json={"roles": ["admin", "b"]}, headers=headers))
    assert [profile_in(shown) for shown in (listed, found, one, changed)] == [SHOWN] * 4
    assert one["sessions"]


def test_the_command_line_takes_and_shows_it(app):
    run = app.test_cli_runner().invoke
    command = ["users", "create", BOB, "--json", "--password-stdin"]
    created = run(args=[*command, "--profile", json.dumps(SENT)], input=PASSWORD)
    assert (created.exit_code, created.stderr) == (0, "")
    for shown in (created, run(args=["users", "show", BOB, "--json"]), run(args=["users", "list", "--json"])):
        assert profile_in(json.loads(shown.stdout)) == SHOWN
    assert run(args=["users", "show", BOB]).exit_code == 0


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (None, ["Error: name: Missing data for required field."]),
        ('{"name": 1}', ["Error: name: Not a valid string."]),
        ('{"name": "root"}', ["Error: profile: Nobody is called root."]),
        ('{"name": "a", "address": {}}', ["Error: address/street: Missing", "Error: address/city: Missing"]),
        ('{"name": "a", "nope": 1}', ["Error: nope: This field is not one of"]),
        ('{"name": "a", "notes": {"$ne": 1}}', ["Error: notes/$ne: Use names without"]),
        ("[]", ["not a JSON object"]),
        ("{", ["not a JSON object"]),
        ('{"name": NaN}', ["not a JSON object"]),
        ('{"name": "\\ud800"}', ["not a JSON object"]),
    ],
)
def test_the_command_line_says_what_does_not_fit(app, database, profile, said):
    options = [] if profile is None else ["--profile", profile]
    done = app.test_cli_runner().invoke(args=["users", "create", BOB, "--password-stdin", *options], input=PASSWORD)
    assert done.exit_code == 2
    assert all(sentence in done.stderr for sentence in said)
    assert database.users.count_documents({}) == 0


def test_the_command_line_keeps_the_limit_of_size(app, database):
    options = ["--profile", json.dumps({"name": "a", "notes": "x" * 17_000})]
    done = app.test_cli_runner().invoke(args=["users", "create", BOB, "--password-stdin", *options], input=PASSWORD)
    assert done.exit_code == 2
    assert "16,384 bytes" in done.stderr
    assert database.users.count_documents({}) == 0


class TestChanges:
    def test_only_what_is_sent_changes(self, client, alice, database):
        before = database.users.find_one({})
        changed = assert_ok(patch(client, alice, {"nickName": "Nat", "notes": {"a": 1}}))
        assert (changed["name"], changed["nickName"], changed["notes"]) == ("Natalie", "Nat", {"a": 1})
        assert changed == assert_ok(client.get("/users/me", headers=bearer(alice)))
        after = database.users.find_one({})
        assert after.pop("profile") == {**before.pop("profile"), "nick": "Nat", "notes": {"a": 1}}
        assert after == before
        nulled = assert_ok(patch(client, alice, {"nickName": None}))
        assert nulled["nickName"] is None

    def test_a_default_of_sign_up_does_not_come_back(self, client, alice):
        assert assert_ok(patch(client, alice, {"locale": "de"}))["locale"] == "de"
        assert assert_ok(patch(client, alice, {"age": 3}))["locale"] == "de"

    def test_a_nested_value_is_replaced_and_must_be_whole(self, client, alice):
        assert_ok(patch(client, alice, {"address": {"street": "a", "city": "b"}}))
        answer = patch(client, alice, {"address": {"city": "c"}})
        assert_problem(answer, 422, "validation_failed", ("/address/street", "required"))

    @pytest.mark.parametrize("body", [{"email": BOB}, {"password": PASSWORD}, {"roles": ["admin"]}, {"id": "1"}])
    def test_nothing_but_the_profile_changes(self, client, alice, database, body):
        before = database.users.find_one({})
        ((name, _),) = body.items()
        assert_problem(patch(client, alice, body), 422, "validation_failed", (f"/{name}", "unknown_field"))
        assert database.users.find_one({}) == before

    def test_an_empty_change_and_what_is_no_object_are_refused(self, client, alice):
        assert_problem(patch(client, alice, {}), 422, "validation_failed", ("", "required"))
        assert_problem(patch(client, alice, []), 422, "validation_failed", ("", "wrong_type"))
        assert_problem(client.patch("/users/me", headers=bearer(alice)), 415, "media_type_unsupported")
        assert_problem(client.patch("/users/me", json={"age": 1}), 401, "token_missing")

    def test_who_is_gone_or_disabled_or_signed_out_is_refused_and_not_brought_back(self, client, alice, database):
        assert database.users.update_one({}, {"$set": {"disabledAt": datetime.now(UTC)}}).modified_count == 1
        assert_problem(patch(client, alice, {"age": 1}), 401, "token_invalid")
        assert database.users.update_one({}, {"$unset": {"disabledAt": ""}}).modified_count == 1
        assert_ok(patch(client, alice, {"age": 1}))
        assert client.delete("/auth", headers=bearer(alice)).status_code == 204
        assert_problem(patch(client, alice, {"age": 2}), 401, "token_invalid")
        assert database.users.delete_many({}).deleted_count == 1
        assert_problem(patch(client, alice, {"age": 2}), 401, "token_invalid")
        assert database.users.count_documents({}) == 0


@pytest.mark.parametrize("end", [{"$set": {"sessions": []}}, {"$set": {"disabledAt": datetime.now(UTC)}}, None])
def test_who_is_gone_between_the_guard_and_the_write_is_refused_too(app, alice, database, end):
    document = database.users.find_one({})
    with app.app_context():
        user = store.find(str(document["_id"]))
        database.users.update_one({}, end) if end else database.users.delete_one({})
        before = [*database.users.find()]
        with pytest.raises(TokenInvalid):
            service.change_profile(user, document["sessions"][0]["id"], {"age": 1})
    assert [*database.users.find()] == before


def test_without_a_profile_there_is_only_the_language_to_change(make_app):
    app = make_app(PROFILE=None)
    client = app.test_client()
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    headers = bearer(sign_in(client, ALICE)["token"])
    answer = client.patch("/users/me", json={"name": "a"}, headers=headers)
    assert_problem(answer, 422, "validation_failed", ("/name", "unknown_field"))
    assert assert_ok(client.patch("/users/me", json={"language": "de"}, headers=headers))["language"] == "de"
    assert_problem(sign_up(client, BOB, name="a"), 422, "validation_failed", ("/name", "unknown_field"))


class TestDescription:
    @pytest.fixture
    def schemas(self, client):
        description = assert_ok(client.get("/openapi.json"))
        OpenAPIV31SpecValidator(description).validate()
        assert "patch" in description["paths"]["/users/me"]
        return description["components"]["schemas"]

    def test_each_body_has_the_fields_that_it_takes(self, schemas):
        taken = {"name", "nickName", "age", "bornOn", "seenAt", "score", "token", "locale", "address", "notes", "pin"}
        assert schemas["SignUp"]["properties"].keys() == {"email", "password", "altcha"} | taken
        assert sorted(schemas["SignUp"]["required"]) == ["email", "name", "password"]
        assert schemas["ProfileChange"]["properties"].keys() == {"language"} | taken
        assert "required" not in schemas["ProfileChange"]
        assert schemas["SignUp"]["properties"]["name"]["example"] == "Natalie"
        assert schemas["SignUp"]["additionalProperties"] is False

    @pytest.mark.parametrize("name", ["User", "AdminUser", "AdminUserDetail"])
    def test_each_answer_has_the_fields_that_it_shows(self, schemas, name):
        own = {"User": set(), "AdminUser": {"disabled"}, "AdminUserDetail": {"disabled", "sessions"}}[name]
        own |= OWN
        assert schemas[name]["properties"].keys() == own | SHOWN.keys()
        assert {*schemas[name]["required"]} == own

    def test_no_name_stands_twice(self, schemas):
        assert not [name for name in schemas if name[-1].isdigit()]


def test_two_apps_have_two_profiles(make_app, mongo_uri):
    natalie, rex = make_app().test_client(), make_app(PROFILE=PetSchema(), USERS_COLLECTION="others").test_client()
    bare = make_app(PROFILE=None, USERS_COLLECTION="bare").test_client()
    assert "pet" not in assert_ok(sign_up(natalie, name="Natalie"), 201)
    assert profile_in(assert_ok(sign_up(rex, pet="Rex", name=3), 201)) == {"pet": "Rex", "name": 3}
    assert profile_in(assert_ok(sign_up(bare), 201)) == {}
    assert_problem(sign_up(natalie, BOB, name="N", pet="Rex"), 422, "validation_failed", ("/pet", "unknown_field"))
    wrong = (("/age", "unknown_field"), ("/pet", "required"))
    assert_problem(sign_up(rex, BOB, age=1), 422, "validation_failed", *wrong)
    for client, taken in ((natalie, "nickName"), (rex, "pet"), (bare, "email")):
        fields = client.get("/openapi.json").get_json()["components"]["schemas"]["SignUp"]["properties"].keys()
        assert fields & {"nickName", "pet"} == {taken} - {"email"}
    for client, change in ((natalie, {"age": 1}), (rex, {"name": 4})):
        assert_ok(patch(client, sign_in(client, ALICE)["token"], change))


def test_the_example_of_the_readme_works(make_app, tmp_path, monkeypatch):
    section = (ROOT / "README.md").read_text().split("\n### Your own fields\n", 1)[1]
    module = tmp_path / "profile_of_the_readme.py"
    module.write_text(section.split("```python\n", 1)[1].split("```", 1)[0])
    monkeypatch.syspath_prepend(tmp_path)
    client = make_app(PROFILE="profile_of_the_readme:ProfileSchema").test_client()
    created = assert_ok(sign_up(client, name="Natalie", birthday="1990-02-03"), 201)
    assert profile_in(created) == {"name": "Natalie", "birthday": "1990-02-03", "newsletter": False}


class TestOtherStacks:
    @pytest.mark.parametrize("there", ["text", 1, None, [], [{"name": "x"}], True, {"age": "x"}])
    def test_a_document_with_no_such_profile_is_shown_and_takes_a_change(self, client, alice, database, there):
        assert database.users.update_one({}, {"$set": {"profile": there}}).matched_count == 1
        me = assert_ok(client.get("/users/me", headers=bearer(alice)))
        assert profile_in(me) in ({}, {"age": "x"})
        changed = assert_ok(patch(client, alice, {"name": "New"}))
        assert changed["name"] == "New"
        assert assert_ok(client.get("/users/me", headers=bearer(alice))) == changed
        assert database.users.find_one({})["profile"]["name"] == "New"

    def test_a_document_without_a_profile_gets_one(self, client, alice, database):
        assert database.users.update_one({}, {"$unset": {"profile": ""}}).modified_count == 1
        assert profile_in(assert_ok(client.get("/users/me", headers=bearer(alice)))) == {}
        assert profile_in(assert_ok(patch(client, alice, {"age": 1}))) == {"age": 1}

    @pytest.mark.parametrize(
        "value", [ObjectId(), b"\xff", {"$ref": "users", "$id": 1}, ["x"], {"a": ObjectId()}, 2.5, datetime.now(UTC)]
    )
    def test_a_value_that_does_not_fit_breaks_no_answer(self, client, alice, database, value):
        names = [field.attribute or name for name, field in ProfileSchema().fields.items() if name != "shout"]
        for name in names:
            odd = {f"profile.{name}": value}
            assert database.users.update_one({}, {"$set": odd}).matched_count == 1
            me = assert_ok(client.get("/users/me", headers=bearer(alice)))
            assert me["email"] == ALICE
            assert_ok(patch(client, alice, {"locale": "de"}))

    def test_what_is_no_field_is_neither_shown_nor_changed(self, client, alice, database):
        assert database.users.update_one({}, {"$set": {"profile.other": "x" * 100_000}}).modified_count == 1
        assert "other" not in assert_ok(patch(client, alice, {"age": 1}))
        assert len(database.users.find_one({})["profile"]["other"]) == 100_000
