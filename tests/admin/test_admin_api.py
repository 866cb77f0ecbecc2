"""The admin API: what admins can do with other users' accounts, and what they cannot."""

import threading

import pytest
from bson import ObjectId

from authservice.store import administration as store
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, bearer, sign_in

UNKNOWN_ID = "0" * 24


@pytest.fixture
def admin(app, client, alice):
    """Alice's token; she has the role admin."""
    assert app.test_cli_runner().invoke(args=["users", "grant", ALICE, "admin"]).exit_code == 0
    return bearer(alice)


@pytest.fixture
def bob(client):
    """Bob's id and token."""
    created = client.post("/users", json={"email": BOB, "password": PASSWORD})
    assert created.status_code == 201
    return created.get_json()["id"], bearer(sign_in(client, BOB)["token"])


ROUTES = [
    ("GET", "/admin/users"),
    ("GET", "/admin/users/{id}"),
    ("PATCH", "/admin/users/{id}"),
    ("DELETE", "/admin/users/{id}"),
    ("DELETE", "/admin/users/{id}/sessions"),
    ("DELETE", "/admin/users/{id}/factors"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_an_admin_passes(client, bob, method, path):
    bobs_id, bobs_token = bob
    path = path.format(id=bobs_id)
    refused = client.open(path, method=method, headers=bobs_token, json={"disabled": True})
    assert (refused.status_code, refused.get_json()["code"]) == (403, "role_missing")
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert client.open(path, method=method, json={"disabled": True}).status_code == 401
    assert client.get("/users/test", headers=bobs_token).status_code == 200


@pytest.mark.parametrize(("method", "path"), ROUTES[1:])
@pytest.mark.parametrize("user_id", [UNKNOWN_ID, "nobody", "%00", "5c0dc18d349bc9479600c17g"])
def test_an_unknown_user_is_a_404(client, admin, method, path, user_id):
    answer = client.open(path.format(id=user_id), method=method, headers=admin, json={"disabled": True})
    assert (answer.status_code, answer.get_json()["code"]) == (404, "user_unknown")


def test_users_come_in_pages_and_each_once(client, admin, database):
    database.users.insert_many({"email": f"user{n}@example.com", "password": "x", "__v": 0} for n in range(6))
    seen, cursor = [], ""
    while True:
        page = client.get(f"/admin/users?limit=3{cursor}", headers=admin).get_json()
        seen += [user["email"] for user in page["users"]]
        if page["nextCursor"] is None:
            break
        assert len(page["users"]) == 3
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == [ALICE, *(f"user{n}@example.com" for n in range(6))]


def test_one_user_is_found_by_e_mail_and_shown_without_secrets(client, admin, bob):
    bobs_id, _ = bob
    found = client.get("/admin/users?email=BOB@example.com", headers=admin)
    assert [user["id"] for user in found.get_json()["users"]] == [bobs_id]
    assert client.get(f"/admin/users?email={CHARLIE}", headers=admin).get_json()["users"] == []
    shown = client.get(f"/admin/users/{bobs_id}", headers=admin)
    own = {"id", "email", "emailVerified", "roles", "createdAt", "language", "disabled", "sessions"}
    assert shown.get_json().keys() == own
    assert shown.get_json()["sessions"][0].keys() == {
        "id",
        "authenticatedAt",
        "createdAt",
        "lastUsedAt",
        "expiresAt",
        "ip",
        "userAgent",
    }
    for secret in ("$2b$", "Jti", "password", "refresh"):
        assert secret not in shown.text + found.text


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("limit=0", "/limit", "out_of_range"),
        ("limit=101", "/limit", "out_of_range"),
        ("limit=many", "/limit", "out_of_range"),
        ("cursor=zz", "/cursor", "invalid_cursor"),
        ("sort=email", "/sort", "unknown_field"),
    ],
)
def test_a_bad_query_is_named(client, admin, query, pointer, code):
    answer = client.get(f"/admin/users?{query}", headers=admin)
    assert answer.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in answer.get_json()["errors"]] == [(pointer, code)]


def test_disabling_ends_every_session_and_enabling_brings_none_back(client, admin, bob):
    bobs_id, bobs_token = bob
    answer = client.patch(f"/admin/users/{bobs_id}", json={"disabled": True}, headers=admin)
    assert (answer.status_code, answer.get_json()["disabled"]) == (200, True)
    assert client.get("/users/test", headers=bobs_token).status_code == 401
    refused = client.post("/auth", json={"email": BOB, "password": PASSWORD})
    assert refused.get_json()["code"] == "credentials_invalid"
    assert client.patch(f"/admin/users/{bobs_id}", json={"disabled": False}, headers=admin).status_code == 200
    assert client.get("/users/test", headers=bobs_token).status_code == 401
    assert sign_in(client, BOB)


def test_roles_are_effective_on_the_next_request(client, admin, bob):
    bobs_id, bobs_token = bob
    answer = client.patch(f"/admin/users/{bobs_id}", json={"roles": ["editor", "admin"]}, headers=admin)
    assert (answer.status_code, answer.get_json()["roles"]) == (200, ["admin", "editor"])
    assert client.get("/admin/users", headers=bobs_token).status_code == 200
    assert client.patch(f"/admin/users/{bobs_id}", json={"roles": []}, headers=admin).status_code == 200
    assert client.get("/admin/users", headers=bobs_token).status_code == 403


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "", "required"),
        ({"password": "a new password"}, "/password", "unknown_field"),
        ({"disabled": "yes"}, "/disabled", "wrong_type"),
        ({"disabled": 1}, "/disabled", "wrong_type"),
        ({"disabled": None}, "/disabled", "wrong_type"),
        ({"roles": "admin"}, "/roles", "wrong_type"),
        ({"roles": None}, "/roles", "wrong_type"),
        ({"roles": ["Admin"]}, "/roles/0", "invalid_role"),
        ({"roles": [f"role{number}" for number in range(33)]}, "/roles", "too_many"),
        ({"roles": ["a,b"]}, "/roles/0", "invalid_role"),
        ({"roles": [{"$ne": 1}]}, "/roles/0", "wrong_type"),
    ],
)
def test_a_bad_change_is_named_and_changes_nothing(client, admin, bob, database, body, pointer, code):
    before = database.users.find_one({"email": BOB})
    answer = client.patch(f"/admin/users/{bob[0]}", json=body, headers=admin)
    assert answer.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in answer.get_json()["errors"]] == [(pointer, code)]
    assert database.users.find_one({"email": BOB}) == before


def test_as_many_roles_as_there_may_be_pass_the_guard(app, client, admin, bob, database):
    roles = sorted(f"{number:02}".rjust(32, "r") for number in range(32))
    assert client.patch(f"/admin/users/{bob[0]}", json={"roles": roles}, headers=admin).status_code == 200
    token = bearer(sign_in(client, BOB)["token"])
    assert client.get("/auth/verify", headers=token).headers["X-Auth-Roles"] == ",".join(roles)
    run = app.test_cli_runner().invoke
    assert run(args=["users", "grant", BOB, "one-more"]).exit_code == 1
    assert run(args=["users", "grant", BOB, roles[0]]).exit_code == 0
    # another stack has no such limit
    assert database.users.update_one({"email": BOB}, {"$set": {"roles": [*"ab" * 5_000]}}).modified_count == 1
    assert client.get("/users/test", headers=bearer(sign_in(client, BOB)["token"])).status_code == 200


def test_sessions_are_ended_and_users_deleted(client, admin, bob):
    bobs_id, bobs_token = bob
    assert client.delete(f"/admin/users/{bobs_id}/sessions", headers=admin).status_code == 204
    assert client.get("/users/test", headers=bobs_token).status_code == 401
    assert client.delete(f"/admin/users/{bobs_id}", headers=admin).status_code == 204
    assert client.delete(f"/admin/users/{bobs_id}", headers=admin).status_code == 404


@pytest.mark.parametrize("body", [{"disabled": True}, {"roles": ["editor"]}, None])
def test_the_last_admin_cannot_be_locked_out(client, admin, bob, database, body):
    own_id = client.get("/users/me", headers=admin).get_json()["id"]
    path = f"/admin/users/{own_id}"
    answer = client.delete(path, headers=admin) if body is None else client.patch(path, json=body, headers=admin)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "last_admin")
    assert client.get("/admin/users", headers=admin).status_code == 200
    database.users.update_one({"email": BOB}, {"$set": {"roles": ["admin"]}})
    answer = client.delete(path, headers=admin) if body is None else client.patch(path, json=body, headers=admin)
    assert answer.status_code in (200, 204)


def test_a_text_of_another_stack_is_no_second_admin(client, admin, database):
    database.users.insert_one({"email": CHARLIE, "password": "x", "roles": "admin"})
    own_id = client.get("/users/me", headers=admin).get_json()["id"]
    answer = client.patch(f"/admin/users/{own_id}", json={"disabled": True}, headers=admin)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "last_admin")


@pytest.mark.parametrize("odd", [None, "admin", 1, {"a": 1}])
def test_documents_of_another_stack_are_looked_after_as_well(app, client, admin, database, odd):
    charlie = database.users.insert_one({"email": CHARLIE, "password": "x", "roles": odd, "sessions": odd}).inserted_id
    run = app.test_cli_runner().invoke
    assert run(args=["users", "revoke", CHARLIE, "editor"]).exit_code == 0
    assert client.delete(f"/admin/users/{charlie}/sessions", headers=admin).status_code == 204
    assert run(args=["users", "grant", CHARLIE, "editor"]).exit_code == 0
    shown = client.get(f"/admin/users/{charlie}", headers=admin).get_json()
    assert (shown["roles"], shown["sessions"]) == (["editor"], [])


def test_of_two_admins_who_demote_each_other_at_once_one_stays_and_the_spared_keep_all_roles(
    app, client, admin, bob, database
):
    own_id = client.get("/users/me", headers=admin).get_json()["id"]
    bobs_id, bobs_token = bob
    for _ in range(20):
        database.users.update_many({}, {"$set": {"roles": ["admin", "auditor"]}, "$unset": {"disabledAt": ""}})
        barrier, statuses = threading.Barrier(2), {}

        def demote(headers, other, barrier=barrier, statuses=statuses):
            barrier.wait(10)
            answer = app.test_client().patch(f"/admin/users/{other}", json={"roles": []}, headers=headers)
            statuses[other] = answer.status_code

        both = [threading.Thread(target=demote, args=args) for args in ((admin, bobs_id), (bobs_token, own_id))]
        [thread.start() for thread in both]
        [thread.join() for thread in both]
        with app.app_context():
            assert not (store.is_last_admin(own_id) and store.is_last_admin(bobs_id))
        for user_id, status in statuses.items():
            if status == 409:
                assert database.users.find_one({"_id": ObjectId(user_id)})["roles"] == ["admin", "auditor"]
