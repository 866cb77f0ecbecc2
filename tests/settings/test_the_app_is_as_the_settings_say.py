"""What create_app makes of its settings: the JSON provider, the instance folder, issuer and audience."""

import json

import jwt
import pytest

from authservice.config import SETTINGS, instance_path, load
from authservice.web.parsing import StrictJSONProvider
from tests.conftest import ALICE, PASSWORD, SECRET, bearer, sign_in
from tests.service import ROOT

NAMES = {"JWT_ISSUER": "https://auth.example.com", "JWT_AUDIENCE": "the-app"}


def test_flask_pymongo_does_not_keep_its_json_provider(app):
    assert type(app.json) is StrictJSONProvider


def test_every_setting_is_in_the_apps_config(app):
    assert {setting.name for setting in SETTINGS} <= app.config.keys()


def test_the_instance_folder_is_that_of_the_repository_or_the_one_that_is_named(make_app, tmp_path):
    assert instance_path(load({})) == ROOT / "instance"
    assert instance_path(load({"FLASK_INSTANCE_PATH": str(tmp_path)})) == tmp_path
    file = tmp_path / "where"
    file.write_text(f"{tmp_path}\n")
    assert instance_path(load({"FLASK_INSTANCE_PATH_FILE": str(file)})) == tmp_path
    app = make_app(INSTANCE_PATH=str(tmp_path))
    assert app.instance_path == str(tmp_path)


@pytest.mark.parametrize("settings_of_ours", [{}, NAMES], ids=["none", "both"])
def test_issuer_and_audience_are_in_tokens_when_they_are_set_and_only_then(make_app, settings_of_ours):
    client = make_app(**settings_of_ours).test_client()
    assert client.post("/users", json={"email": ALICE, "password": PASSWORD}).status_code == 201
    token = sign_in(client, ALICE)["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.get("iss") == settings_of_ours.get("JWT_ISSUER")
    assert claims.get("aud") == settings_of_ours.get("JWT_AUDIENCE")
    assert client.get("/users/test", headers=bearer(token)).status_code == 200


@pytest.mark.parametrize("claim", ["iss", "aud"])
@pytest.mark.parametrize("value", [None, "another", 7, ["x"]])
def test_a_token_without_the_issuer_or_audience_that_is_set_is_refused(make_app, claim, value):
    client = make_app(**NAMES).test_client()
    assert client.post("/users", json={"email": ALICE, "password": PASSWORD}).status_code == 201
    claims = jwt.decode(sign_in(client, ALICE)["token"], options={"verify_signature": False})
    forged = {name: content for name, content in {**claims, claim: value}.items() if content is not None}
    if claim == "iss" and not isinstance(value, str):  # PyJWT would refuse to make it
        token = jwt.api_jws.encode(json.dumps(forged).encode(), SECRET, "HS256")
    else:
        token = jwt.encode(forged, SECRET, "HS256")
    answer = client.get("/users/test", headers=bearer(token))
    assert (answer.status_code, answer.get_json()["code"]) == (401, "token_invalid")


def test_a_value_out_of_json_changes_nothing_that_was_checked(make_app, monkeypatch):
    monkeypatch.setenv("FLASK_PASSWORD_MIN_LENGTH", "12")
    monkeypatch.setenv("FLASK_JWT_ISSUER", "true")
    app = make_app()
    assert (app.config["PASSWORD_MIN_LENGTH"], app.config["JWT_ISSUER"]) == (12, "true")
