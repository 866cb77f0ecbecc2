"""What /docs prefills works when it is sent: every operation has a summary and an example that succeeds."""

import pytest
from cryptography.fernet import Fernet

from tests.conftest import BOB, PASSWORD, bearer

NATALIE = "natalie@example.com"  # whose account the examples are about
REFUSED = {  # an example that works would be a secret, or needs a second factor
    ("/auth/reset", "put"): (403, "code_invalid"),
    ("/auth/email-undo", "post"): (403, "code_invalid"),
    ("/users/me/email/confirmation", "put"): (403, "code_invalid"),
    ("/users/me/email/verification", "put"): (403, "code_invalid"),
    ("/auth/verification", "put"): (403, "code_invalid"),
    ("/auth/second", "post"): (401, "second_factor_wrong"),
    ("/users/me/totp", "put"): (403, "code_invalid"),
    ("/users/me/recovery-codes", "post"): (409, "two_steps_off"),
}
SENT_BY_BROWSER = {"X-Requested-With": "swagger-ui"}  # as static/docs.js does


@pytest.fixture
def description(client):
    return client.get("/openapi.json").get_json()


def operations(description):
    return [
        (path, method, item.get("parameters", []) + operation.get("parameters", []), operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def example_body(description, operation):
    """As Swagger UI fills it in: the example of the body, or those of its fields."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    if "example" in content:
        return content["example"]
    schema = content["schema"]
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {name: field.get("example", field.get("default")) for name, field in schema["properties"].items()}


def test_every_operation_has_a_summary(description):
    assert [(path, method) for path, method, _, operation in operations(description) if not operation["summary"]] == []


def test_every_example_works(make_app, database):
    client = make_app(ENCRYPTION_KEYS=Fernet.generate_key().decode()).test_client()
    description = client.get("/openapi.json").get_json()
    failed = []
    for path, method, parameters, operation in operations(description):
        database.users.delete_many({})
        client.delete_cookie("__Host-refresh")
        headers, ids = ({}, {}) if (path, method) == ("/users", "post") else natalie_and_bob(client, database)
        answer = client.open(
            path.format(**ids),
            method=method.upper(),
            query_string={
                one["name"]: one["schema"]["example"]
                for one in parameters
                if one["in"] == "query" and "example" in one["schema"]
            },
            json=example_body(description, operation),
            headers={**headers, **SENT_BY_BROWSER},
            base_url="https://localhost",
        )
        if refused := REFUSED.get((path, method)):
            assert (answer.status_code, answer.get_json()["code"]) == refused
        elif answer.status_code not in (200, 201, 202, 204):
            failed.append((method, path, answer.status_code, answer.text))
    assert failed == []


def natalie_and_bob(client, database):
    """Natalie is an admin with two sessions, one of them in the cookie; Bob is there. Her token and the ids."""
    ids = {}
    for email in (NATALIE, BOB):
        created = client.post("/users", json={"email": email, "password": PASSWORD})
        assert created.status_code == 201
        ids[email] = created.get_json()["id"]
    database.users.update_many({}, {"$set": {"roles": ["admin"]}})  # two, for the last admin cannot be demoted
    credentials = {"email": NATALIE, "password": PASSWORD}
    token = client.post("/auth", json=credentials).get_json()["token"]
    second = client.post("/auth", json={**credentials, "cookie": True}, base_url="https://localhost")
    assert second.status_code == 200
    sessions = client.get("/auth/sessions", headers=bearer(token)).get_json()["sessions"]
    (other,) = [session["id"] for session in sessions if not session["current"]]
    devices = client.get("/users/me/devices", headers=bearer(token)).get_json()["devices"]
    return bearer(token), {"user_id": ids[BOB], "session_id": other, "device_id": devices[0]["id"]}
