"""No value of a profile reaches the database as an operator, breaks an answer or fills the document."""

import json
from concurrent.futures import ThreadPoolExecutor

import bson
import pytest
from marshmallow import Schema, fields, post_load

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in

NOW = "2026-01-01T00:00:00Z"


@pytest.fixture
def alice(client):
    created = client.post("/users", json={"email": ALICE, "password": PASSWORD, "name": "Alice"})
    assert_ok(created, 201)
    return bearer(sign_in(client, ALICE)["token"])


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture
def refused(client, alice, database):
    """Refused at sign-up and as a change, with nothing stored."""

    def ask(body, *faults):
        before = [*database.users.find()]
        whole = {"email": BOB, "password": PASSWORD, "name": "Bob", **body}
        assert_problem(client.post("/users", json=whole), 422, "validation_failed", *faults)
        assert_problem(client.patch("/users/me", json=body, headers=alice), 422, "validation_failed", *faults)
        assert [*database.users.find()] == before

    return ask


@pytest.mark.parametrize(
    ("notes", "pointer", "code"),
    [
        ({"$ne": None}, "/notes/$ne", "invalid_name"),
        ({"$ref": "users", "$id": 1}, "/notes/$ref", "invalid_name"),
        ({"a": [{"b": {"$where": "1"}}]}, "/notes/a/0/b/$where", "invalid_name"),
        ({"a.b": 1}, "/notes/a.b", "invalid_name"),
        ({"a": {"nul\0": 1}}, "/notes/a/nul\0", "invalid_name"),
        ({"a/b": {"$c~": 1}}, "/notes/a~1b/$c~0", "invalid_name"),
        (2**63, "/notes", "out_of_range"),
        (-(2**63) - 1, "/notes", "out_of_range"),
        ([1, {"a": 10**400}], "/notes/1/a", "out_of_range"),
        (nested(40), "/notes" + "/0" * 31, "too_deep"),
        (nested(400), "/notes" + "/0" * 31, "too_deep"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_mongodb_cannot_keep_is_refused_by_its_place(refused, notes, pointer, code):
    refused({"notes": notes}, (pointer, code))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"age": 2**63}, ("/age", "out_of_range")),
        ({"age": "1"}, ("/age", "invalid")),
        ({"age": None}, ("/age", "wrong_type")),
        ({"age": 1.5}, ("/age", "invalid")),
        ({"age": {"$gt": 0}}, ("/age", "invalid")),
        ({"name": {"$set": {"roles": ["admin"]}}}, ("/name", "invalid")),
        ({"name": ["a"]}, ("/name", "invalid")),
        ({"name": ""}, ("/name", "invalid")),
        ({"name": "root"}, ("", "invalid")),
        ({"nickName": "root"}, ("/nickName", "invalid")),
        ({"nickname": "a"}, ("/nickname", "unknown_field")),
        ({"nick": "a"}, ("/nick", "unknown_field")),
        ({"shout": "A"}, ("/shout", "unknown_field")),
        ({"profile": {"name": "a"}}, ("/profile", "unknown_field")),
        ({"profile.name": "a"}, ("/profile.name", "unknown_field")),
        ({"$set": {"roles": ["admin"]}}, ("/$set", "unknown_field")),
        ({"_schema": 1}, ("/_schema", "unknown_field")),
        ({"seenAt": "yesterday"}, ("/seenAt", "invalid")),
        ({"seenAt": "0001-01-01T00:00:00+14:00"}, ("/seenAt", "out_of_range")),
        ({"seenAt": "9999-12-31T23:59:59-14:00"}, ("/seenAt", "out_of_range")),
        ({"bornOn": "0000-00-00"}, ("/bornOn", "invalid")),
        ({"score": "NaN"}, ("/score", "invalid")),
        ({"score": "1e9999"}, ("/score", "out_of_range")),
        ({"token": "c8ed"}, ("/token", "invalid")),
        ({"address": {"street": "a", "city": "b", "$x": 1}}, ("/address/$x", "unknown_field")),
        ({"address": {"street": "a"}}, ("/address/city", "required")),
        ({"address": [1]}, ("/address", "invalid")),
    ],
    ids=json.dumps,
)
def test_what_does_not_fit_has_a_code_and_a_pointer(refused, body, fault):
    refused(body, fault)


def test_faults_of_both_are_named_at_once(client):
    answer = client.post("/users", json={"email": 1, "age": 2**63, "x": 1, "name": 1})
    faults = [("/email", "wrong_type"), ("/password", "required"), ("/name", "invalid"), ("/x", "unknown_field")]
    assert_problem(answer, 422, "validation_failed", *faults)


@pytest.mark.parametrize("seen_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.9Z"])
def test_the_first_and_the_last_moment_are_read_as_they_were_answered(client, alice, seen_at):
    changed = assert_ok(client.patch("/users/me", json={"seenAt": seen_at}, headers=alice))
    assert assert_ok(client.get("/users/me", headers=alice)) == changed


class TestSize:
    """16,384 bytes of BSON."""

    def test_a_change_may_fill_it_and_not_more(self, client, alice, database):
        own = len(bson.encode({**database.users.find_one({})["profile"], "notes": ""}))
        answer = client.patch("/users/me", json={"notes": "x" * (16_385 - own)}, headers=alice)
        assert_problem(answer, 422, "validation_failed", ("", "too_large"))
        assert_ok(client.patch("/users/me", json={"notes": "x" * (16_384 - own)}, headers=alice))
        assert len(bson.encode(database.users.find_one({})["profile"])) == 16_384
        answer = client.patch("/users/me", json={"pin": "1"}, headers=alice)
        assert_problem(answer, 422, "validation_failed", ("", "too_large"))
        assert_ok(client.patch("/users/me", json={"notes": None, "pin": "1"}, headers=alice))

    def test_a_body_that_grows_in_bson_is_refused_at_sign_up(self, client, database):
        body = {"email": BOB, "password": PASSWORD, "name": "Bob", "notes": [1] * 2_500}
        assert_problem(client.post("/users", json=body), 422, "validation_failed", ("", "too_large"))
        assert database.users.count_documents({}) == 0

    def test_changes_of_the_same_moment_do_not_pass_it_together(self, client, app, alice, database):
        changes = [{name: "x" * 9_000} for name in ("notes", "pin", "nickName", "locale")] * 3

        def change(body):
            return app.test_client().patch("/users/me", json=body, headers=alice).status_code

        with ThreadPoolExecutor(len(changes)) as threads:
            statuses = [*threads.map(change, changes)]
        assert {*statuses} <= {200, 422}
        assert 200 in statuses
        assert 422 in statuses
        assert len(bson.encode(database.users.find_one({})["profile"])) <= 16_384


def test_changes_of_the_same_moment_are_all_kept(app, alice, database):
    changes = [{"age": 1}, {"pin": "2"}, {"locale": "de"}, {"nickName": "n"}, {"notes": 1}, {"score": "1"}]

    def change(body):
        answer = app.test_client().patch("/users/me", json=body, headers=alice)
        assert answer.get_json().items() >= {name: body[name] for name in body if name != "pin"}.items()
        return answer.status_code

    with ThreadPoolExecutor(len(changes)) as threads:
        assert {*threads.map(change, changes)} == {200}
    stored = database.users.find_one({})["profile"]
    assert (stored["age"], stored["pin"], stored["locale"], stored["nick"]) == (1, "2", "de", "n")


class OddSchema(Schema):
    """Its ``post_load`` gives names and values that no field has checked."""

    a = fields.Raw()
    b = fields.Time()
    c = fields.Dict(keys=fields.Integer())
    d = fields.Float(allow_nan=True)

    @post_load
    def rename(self, loaded, **kwargs):
        made = {"object": object(), "list": [1], "none": None}
        return made.get(loaded["a"], {loaded["a"]: 1}) if isinstance(loaded.get("a"), str) else loaded


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"a": "$where"}, "/$where", "invalid_name"),
        ({"a": "x.y"}, "/x.y", "invalid_name"),
        ({"b": "10:11:12"}, "/b", "invalid"),
        ({"c": {"1": 2}}, "/c/1", "invalid_name"),
        ({"d": "NaN"}, "/d", "out_of_range"),
        ({"d": "Infinity"}, "/d", "out_of_range"),
        ({"a": "object"}, "", "invalid"),
        ({"a": "list"}, "", "invalid"),
        ({"a": "none"}, "", "invalid"),
    ],
)
def test_what_the_schema_of_an_app_makes_is_checked_as_well(make_app, database, body, pointer, code):
    client = make_app(PROFILE=OddSchema).test_client()
    answer = client.post("/users", json={"email": ALICE, "password": PASSWORD, **body})
    assert_problem(answer, 422, "validation_failed", (pointer, code))
    assert database.users.count_documents({}) == 0
