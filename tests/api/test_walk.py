"""The tutorial's walk: create an account, sign in, pass the guard."""

from tests.conftest import ALICE, PASSWORD, bearer


def test_a_stranger_signs_up_signs_in_and_passes_the_guard(client, database):
    created = client.post("/users", json={"email": ALICE, "password": PASSWORD})
    assert created.status_code == 201
    assert created.headers["Location"] == "/users/me"
    user = created.get_json()
    assert user.keys() == {"id", "email", "emailVerified", "roles", "createdAt", "language"}
    assert (user["email"], user["roles"]) == (ALICE, [])

    signed_in = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
    assert signed_in.status_code == 200
    assert signed_in.headers["Cache-Control"] == "no-store"
    body = signed_in.get_json()
    assert (body["expiresIn"], body["tokenType"]) == (3600, "Bearer")
    assert body["user"] == user

    passed = client.get("/users/test", headers=bearer(body["token"]))
    assert passed.status_code == 200
    assert passed.get_json() == {"message": "You did it!"}
    assert client.get("/users/me", headers=bearer(body["token"])).get_json() == user
