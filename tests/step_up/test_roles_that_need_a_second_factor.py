"""FLASK_SECOND_FACTOR_ROLES: with such a role and one factor, a user can set up a second one, and nothing else."""

import flask_jwt_extended
import pytest

from authservice import ConfigurationError, jwt_required
from authservice.config import load
from tests.api.answers import assert_ok, assert_step_up_required
from tests.conftest import ALICE, SECRET, bearer
from tests.factors.enrolling import KEY

TWO_FACTORS = ("pwd", "otp", "mfa")
ADD_A_FACTOR = (
    "POST /users/me/totp",
    "PUT /users/me/totp",
    "POST /users/me/passkeys/options",
    "POST /users/me/passkeys",
)
LEAD_TO_A_FACTOR = {"GET /users/me", "GET /users/me/factors", "POST /auth/step-up", "DELETE /auth", *ADD_A_FACTOR}
REFUSAL = "FLASK_SECOND_FACTOR_ROLES needs FLASK_ENCRYPTION_KEYS or FLASK_PASSKEY_RP_ID"


@pytest.fixture
def app(make_app):
    passkeys = {"PASSKEY_RP_ID": "localhost", "PASSKEY_ORIGINS": "http://localhost:3000"}
    app = make_app(SECOND_FACTOR_ROLES="admin, auditor", ENCRYPTION_KEYS=KEY, **passkeys)
    app.add_url_rule("/ours", "ours", jwt_required()(dict))
    app.add_url_rule("/theirs", "theirs", flask_jwt_extended.jwt_required()(dict))
    app.add_url_rule("/optional", "optional", flask_jwt_extended.jwt_required(optional=True)(dict))
    return app


def set_roles(database, *roles):
    assert database.users.update_one({"email": ALICE}, {"$set": {"roles": [*roles]}}).matched_count == 1


@pytest.mark.parametrize("path", ["/ours", "/theirs", "/optional", "/users/test", "/auth/verify"])
def test_every_guard_asks_them_for_two_factors(client, database, token_of, path):
    token, strong = token_of(0, "pwd"), token_of(86_400, *TWO_FACTORS)
    assert client.get(path, headers=bearer(token)).status_code in (200, 204)
    set_roles(database, "editor", "auditor")  # at once, although the token says nothing of it
    assert_step_up_required(client.get(path, headers=bearer(token)), max_age=None, acr="aal2")
    assert client.get(path, headers=bearer(strong)).status_code in (200, 204)
    set_roles(database, "editor", "auditors")
    assert client.get(path, headers=bearer(token)).status_code in (200, 204)


def test_a_second_step_that_was_not_taken_does_not_do(client, database, token_of, two_step):
    set_roles(database, "admin")
    assert_step_up_required(client.get("/ours", headers=bearer(token_of(0, "pwd"))), max_age=None, acr="aal2")


def test_only_the_routes_that_lead_to_a_factor_are_open(client, database, token_of):
    set_roles(database, "admin")
    token, found = token_of(0, "pwd"), set()
    for path, operations in assert_ok(client.get("/openapi.json"))["paths"].items():
        for method, operation in operations.items():
            if method == "parameters" or {"bearer": []} not in operation["security"]:
                continue
            call = f"{method.upper()} {path}"
            if call in LEAD_TO_A_FACTOR:
                found.add(call)
                continue
            answer = client.open(path.replace("{", "").replace("}", ""), method=method, headers=bearer(token))
            assert_step_up_required(answer, max_age=None, acr="aal2")
    assert found == LEAD_TO_A_FACTOR
    assert assert_ok(client.get("/users/me", headers=bearer(token)))["roles"] == ["admin"]
    assert client.delete("/auth", headers=bearer(token)).status_code == 204


def add_factor(client, call, token):
    method, path = call.split(" ")
    return client.open(path, method=method, json={}, headers=bearer(token))


@pytest.mark.parametrize("call", ADD_A_FACTOR)
def test_who_has_a_passkey_must_use_it_to_add_a_factor(client, database, token_of, call):
    """Or who knows only the password adds an app, and is an admin."""
    by_password, by_passkey = token_of(0, "pwd"), token_of(0, "hwk", "user", "mfa")
    set_roles(database, "admin")
    assert add_factor(client, call, by_password).status_code in (200, 422)
    assert database.users.update_one({}, {"$set": {"passkeys": [{"id": b"of an admin"}]}}).modified_count == 1
    assert_step_up_required(add_factor(client, call, by_password), acr="aal2")
    assert add_factor(client, call, by_passkey).status_code in (200, 422)
    set_roles(database, "editor")  # a passkey alone leaves the password as it is
    assert add_factor(client, call, by_password).status_code in (200, 422)


def test_a_preflight_and_strangers_are_none_of_its_business(client):
    assert client.get("/optional").status_code == 200
    assert client.get("/theirs").status_code == 401


def test_without_the_setting_nobody_is_asked(make_app, database, client, token_of):
    set_roles(database, "admin")
    assert make_app().test_client().get("/users/test", headers=bearer(token_of(0, "pwd"))).status_code == 200


MEANS = [
    {"FLASK_ENCRYPTION_KEYS": KEY},
    {"FLASK_PASSKEY_RP_ID": "example.com", "FLASK_PASSKEY_ORIGINS": "https://example.com"},
]


def test_it_needs_a_way_to_set_up_a_factor():
    database = {"FLASK_MONGO_URI": "mongodb://127.0.0.1/app", "FLASK_JWT_SECRET_KEY": SECRET, "FLASK_ENV": "production"}
    roles = {**database, "FLASK_SECOND_FACTOR_ROLES": "admin"}
    for means in MEANS:
        assert REFUSAL not in faults_of({**roles, **means})
    assert REFUSAL in faults_of(roles)
    assert REFUSAL not in faults_of(database)
    assert load({"FLASK_SECOND_FACTOR_ROLES": "admin, auditor"})["SECOND_FACTOR_ROLES"] == {"admin", "auditor"}


def faults_of(environ):
    with pytest.raises(ConfigurationError) as refused:  # it lacks other settings of production
        load(environ)
    return str(refused.value)


@pytest.mark.parametrize("text", ["", ",", "admin,", "admin,,editor"])
def test_a_setting_that_names_no_role_stops_the_start(text):
    with pytest.raises(ConfigurationError, match="FLASK_SECOND_FACTOR_ROLES must be roles separated by commas"):
        load({"FLASK_SECOND_FACTOR_ROLES": text})
