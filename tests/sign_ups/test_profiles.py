"""The fields of FLASK_PROFILE are checked at both steps; those of the confirmation are kept."""

import pytest
from marshmallow import Schema, fields

from authservice.config import ConfigurationError
from authservice.security import one_time
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD
from tests.mail.sink import token_in
from tests.profile.schemas import PetSchema, ProfileSchema
from tests.sign_ups.asking import confirm


@pytest.fixture
def settings(settings):
    return {**settings, "PROFILE": PetSchema}


def test_the_fields_are_checked_twice_and_those_of_the_confirmation_are_kept(client, deliver, sink, database):
    body = {"email": ALICE, "password": PASSWORD}
    assert_problem(client.post("/users", json={**body, "pet": 7}), 422, "validation_failed", ("/pet", "invalid"))
    assert_ok(client.post("/users", json={**body, "pet": "the squatter's"}), 202)
    assert "squatter" not in str([*database.mailRequests.find()])
    deliver()
    token = token_in(sink.only()[1])
    assert_problem(confirm(client, token=token, pet=7), 422, "validation_failed", ("/pet", "invalid"))
    assert assert_ok(confirm(client, token=token, pet="Rex"), 201)["pet"] == "Rex"


def test_large_fields_are_refused_at_both_steps(make_app, database):
    app = make_app(PROFILE=Schema.from_dict({"notes": fields.Raw()}))
    client, large = app.test_client(), [1] * 2_000
    body = {"email": ALICE, "password": PASSWORD}
    assert_problem(client.post("/users", json={**body, "notes": large}), 422, "validation_failed", ("", "too_large"))
    handle = assert_ok(client.post("/users", json={**body, "notes": [1]}), 202)["signUpId"]
    with app.app_context():
        asked = database.mailRequests.find_one()
        code = one_time.code("sign_up", asked["_id"], asked["at"], ALICE)
    answer = confirm(client, signUpId=handle, code=code, notes=large)
    assert_problem(answer, 422, "validation_failed", ("", "too_large"))
    assert_ok(confirm(client, signUpId=handle, code=code, notes=[1]), 201)


def test_names_of_the_confirmation_are_reserved(make_app):
    with pytest.raises(ConfigurationError) as raised:
        make_app(PROFILE=ProfileSchema)
    assert raised.value.faults == ["FLASK_PROFILE: the name 'token' is reserved"]
    assert make_app(PROFILE=ProfileSchema, SIGN_UP="open")
