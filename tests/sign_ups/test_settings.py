"""Private sign-up needs mails; open sign-up, and operators, create accounts at once."""

import json
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from authservice.config import ConfigurationError
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, sign_in
from tests.profile.schemas import PetSchema


def test_open_sign_up_has_no_confirmation(make_app):
    client = make_app(SIGN_UP="open").test_client()
    assert_problem(client.post("/users/confirmation", json={}), 404, "not_found")
    assert "/users/confirmation" not in assert_ok(client.get("/openapi.json"))["paths"]
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)


@pytest.mark.parametrize("profile", [None, PetSchema])
def test_private_sign_up_is_described(make_app, profile):
    description = assert_ok(make_app(PROFILE=profile).test_client().get("/openapi.json"))
    OpenAPIV31SpecValidator(description).validate()
    described = {
        path: (operation["operationId"], sorted(int(status) for status in operation["responses"]))
        for path in ("/users", "/users/confirmation")
        for operation in [description["paths"][path]["post"]]
    }
    assert described == {
        "/users": ("askForSignUp", [202, 400, 408, 413, 414, 415, 422, 429, 431, 500, 503]),
        "/users/confirmation": ("confirmSignUp", [201, 400, 403, 408, 413, 414, 415, 422, 431, 500, 503]),
    }
    body = description["components"]["schemas"]["SignUpConfirmation"]
    assert body["required"] == ["password"] if profile is None else sorted(body["required"]) == ["password", "pet"]
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(description)))
    assert used == description["components"]["schemas"].keys()


def test_without_a_way_to_send_mails_the_service_does_not_start(make_app, monkeypatch, sink):
    def no_folder(settings):
        raise ConfigurationError(["no home"])

    monkeypatch.setattr("authservice.mail.setup.config.instance_path", no_folder)
    with pytest.raises(ConfigurationError) as raised:
        make_app(SMTP_URL=None)
    assert raised.value.faults == [
        "FLASK_SIGN_UP=private needs mails, and there is no folder for them: set FLASK_SMTP_URL or FLASK_INSTANCE_PATH"
    ]


def test_operators_create_users_directly(app):
    runner = app.test_cli_runner()
    result = runner.invoke(args=["users", "create", ALICE, "--password-stdin"], input=f"{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    sign_in(app.test_client(), ALICE)
