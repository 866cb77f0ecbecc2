"""A profile that is given to the extension: its code runs in the app that embeds the service."""

import pytest
from flask import Flask, current_app
from marshmallow import Schema, ValidationError, fields

from authservice import AuthService, current_user, jwt_required
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, bearer, state_of


def of_this_plan(plan):
    if plan not in current_app.config["PLANS"]:
        raise ValidationError("This app has no such plan.")


class PlanSchema(Schema):
    plan = fields.String(required=True, validate=of_this_plan)
    price = fields.Function(lambda stored: current_app.config["PLANS"][stored["plan"]])


@pytest.fixture
def client(settings, tmp_path):
    host = Flask("host", instance_path=str(tmp_path))
    host.config["PLANS"] = {"free": 0, "paid": 10}
    AuthService(host, url_prefix="/identity", profile=PlanSchema, **{**settings, "PROFILE": None})

    @host.get("/plan")
    @jwt_required()
    def plan():
        return {**current_user().profile}

    yield host.test_client()
    state_of(host).client.close()


def test_the_host_sees_the_profile_and_its_validators_see_the_host(client):
    person = {"email": ALICE, "password": PASSWORD}
    refused = client.post("/identity/users", json={**person, "plan": "gold"})
    assert_problem(refused, 422, "validation_failed", ("/plan", "invalid"))
    created = assert_ok(client.post("/identity/users", json={**person, "plan": "paid"}), 201)
    assert (created["plan"], created["price"]) == ("paid", 10)
    headers = bearer(assert_ok(client.post("/identity/auth", json=person))["token"])
    assert client.get("/plan", headers=headers).get_json() == {"plan": "paid"}
    assert assert_ok(client.patch("/identity/users/me", json={"plan": "free"}, headers=headers))["price"] == 0
    assert client.get("/plan", headers=headers).get_json() == {"plan": "free"}
