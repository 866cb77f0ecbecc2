"""A document that the tutorial's app wrote has no sessions and no roles, and everything works with it."""

from tests.conftest import ADMIN_ROLE, bearer, sign_in

NATALIE = "natalie@example.com"
# "password", hashed by the tutorial's app itself
DOCUMENT = {
    "email": NATALIE,
    "password": "$2b$10$2WLRRE/IWW.1yXcEyt0sZeFS/257w6SAaigbMNMfcqX1JNZ1KKXGO",
    "__v": 0,
}


def test_a_user_of_the_tutorials_app_goes_through_all_of_it(client, app, database):
    database.users.insert_one(dict(DOCUMENT))
    pair = sign_in(client, NATALIE, "password")
    assert pair["user"]["roles"] == []
    pair = client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}).get_json()
    headers = bearer(pair["token"])
    assert client.get("/users/test", headers=headers).status_code == 200
    assert client.get("/users/me", headers=headers).get_json()["createdAt"] is not None
    assert len(client.get("/auth/sessions", headers=headers).get_json()["sessions"]) == 1
    assert client.get("/admin/users", headers=headers).status_code == 403
    assert app.test_cli_runner().invoke(args=["users", "grant", NATALIE, ADMIN_ROLE]).exit_code == 0
    assert [user["email"] for user in client.get("/admin/users", headers=headers).get_json()["users"]] == [NATALIE]
    change = {"currentPassword": "password", "newPassword": "an even longer secret"}
    changed = client.put("/users/me/password", json=change, headers=headers)
    assert changed.status_code == 200
    headers = bearer(changed.get_json()["token"])
    assert client.delete("/auth", headers=headers).status_code == 204
    assert client.get("/users/test", headers=headers).status_code == 401
    headers = bearer(sign_in(client, NATALIE, "an even longer secret")["token"])
    assert app.test_cli_runner().invoke(args=["users", "revoke", NATALIE, ADMIN_ROLE]).exit_code == 0
    body = {"currentPassword": "an even longer secret"}
    assert client.delete("/users/me", json=body, headers=headers).status_code == 204
    assert database.users.count_documents({}) == 0
