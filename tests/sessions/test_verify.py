"""GET /auth/verify: the guard for other services."""

import pytest

from tests.conftest import ALICE, PASSWORD, bearer


def test_it_says_who_it_is(client, alice, database):
    database.users.update_one({}, {"$set": {"roles": ["admin", "editor"]}})
    answer = client.get("/auth/verify?role=editor", headers=bearer(alice))
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["X-Auth-User-Id"] == str(database.users.find_one({})["_id"])
    assert answer.headers["X-Auth-Email"] == ALICE
    assert answer.headers["X-Auth-Roles"] == "admin,editor"
    assert "Content-Type" not in answer.headers


def test_a_missing_role_is_a_403(client, alice):
    answer = client.get("/auth/verify?role=admin", headers=bearer(alice))
    assert (answer.status_code, answer.get_json()["code"]) == (403, "role_missing")


def test_no_token_is_a_401(client, alice):
    assert client.get("/auth/verify").status_code == 401


def test_a_misspelt_query_opens_nothing(client, alice):
    assert client.get("/auth/verify?rol=admin", headers=bearer(alice)).status_code == 422


@pytest.mark.parametrize(
    ("stored", "header"),
    [
        ("josé@example.com", "jos%C3%A9@example.com"),
        ("a%b@example.com", "a%25b@example.com"),
        ("x\r\nSet-Cookie: a=b@example.com", "x%0D%0ASet-Cookie: a=b@example.com"),
    ],
)
def test_an_e_mail_of_any_characters_is_one_plain_header(client, alice, database, stored, header):
    database.users.update_one({}, {"$set": {"email": stored}})
    answer = client.get("/auth/verify", headers=bearer(alice))
    assert (answer.status_code, answer.headers["X-Auth-Email"]) == (204, header)
    assert "Set-Cookie" not in answer.headers


def test_a_comma_makes_no_two_roles_of_one(client, alice, database):
    database.users.update_one({}, {"$set": {"roles": ["x,admin", "editor"]}})
    answer = client.get("/auth/verify", headers=bearer(alice))
    assert answer.headers["X-Auth-Roles"] == "x%2Cadmin,editor"


def test_signing_up_with_such_an_address_works(client):
    body = {"email": "josé@exämple.com", "password": PASSWORD}
    assert client.post("/users", json=body).status_code == 201
    token = client.post("/auth", json=body).get_json()["token"]
    assert client.get("/auth/verify", headers=bearer(token)).headers["X-Auth-Email"] == "jos%C3%A9@ex%C3%A4mple.com"
