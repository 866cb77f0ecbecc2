"""Users of Strapi 3 sign in beside Strapi, and who is blocked there is disabled here, unless an admin enables it."""

from datetime import UTC, datetime

import bcrypt
import pytest
from bson import Decimal128, ObjectId

from authservice.store import administration, lookup, resets
from authservice.store.devices import Device
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ADMIN_ROLE, ALICE, BOB, PASSWORD, bearer, make_account, sign_in
from tests.mail.sink import token_in

MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
SET = [True, 1, MOMENT, "yes", ["a"], [], {}, {"until": MOMENT}, b"1", Decimal128("1")]
NOT_SET = [False, None, 0, 0.0, ""]


def document(email=ALICE, **more):
    """As Strapi 3 writes it into users-permissions_user by way of Mongoose."""
    return {
        "_id": ObjectId(),
        "confirmed": True,
        "blocked": False,
        "username": email.partition("@")[0],
        "email": email,
        "password": bcrypt.hashpw(PASSWORD.encode(), b"$2a$04$saltsaltsaltsaltsaltsu").decode(),
        "provider": "local",
        "role": ObjectId(),
        "createdAt": MOMENT,
        "updatedAt": MOMENT,
        "__v": 0,
        **more,
    }


@pytest.fixture
def settings(settings):
    return {
        **settings,
        "USERS_COLLECTION": "users-permissions_user",
        "USERS_FIELDS": "disabledAt=blocked,emailVerifiedAt=confirmed",
    }


@pytest.fixture
def strapi(database):
    return database["users-permissions_user"]


@pytest.fixture
def admin(client, strapi):
    """The headers of Bob, who is an admin."""
    make_account(client, BOB)
    strapi.update_one({"email": BOB}, {"$set": {"roles": [ADMIN_ROLE]}})
    return bearer(sign_in(client, BOB)["token"])


def refused(client, email=ALICE):
    answer = client.post("/auth", json={"email": email, "password": PASSWORD})
    return assert_problem(answer, 401, "credentials_invalid")


def test_a_user_signs_in_here_and_there(client, strapi):
    theirs = document()
    strapi.insert_one(dict(theirs))
    assert sign_in(client, ALICE)["user"]["emailVerified"] is True
    stored = strapi.find_one()
    assert {**stored, "password": ""}.items() >= {**theirs, "password": ""}.items()
    assert bcrypt.checkpw(PASSWORD.encode(), stored["password"].encode())  # what Strapi asks
    assert stored.keys() - theirs.keys() == {"passwordRenewedAt", "sessions", "devices"}


@pytest.mark.parametrize("value", SET, ids=repr)
def test_who_is_blocked_there_does_not_sign_in(client, strapi, value):
    strapi.insert_one(document(blocked=value))
    before = strapi.find_one()
    refused(client)
    assert strapi.find_one() == before


@pytest.mark.parametrize("value", NOT_SET, ids=repr)
def test_who_is_not_blocked_there_signs_in(client, strapi, value):
    strapi.insert_one(document(blocked=value))
    sign_in(client, ALICE)


def test_a_block_there_counts_from_the_next_request_on(client, strapi):
    strapi.insert_one(document())
    pair = sign_in(client, ALICE)
    assert client.get("/users/test", headers=bearer(pair["token"])).status_code == 200
    strapi.update_one({}, {"$set": {"blocked": True}})
    for path in ("/users/test", "/users/me", "/auth/verify"):
        assert_problem(client.get(path, headers=bearer(pair["token"])), 401, "token_invalid")
    refresh = client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]})
    assert_problem(refresh, 401, "token_invalid")
    strapi.update_one({}, {"$set": {"blocked": False}})
    assert client.get("/users/test", headers=bearer(pair["token"])).status_code == 200
    assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))


def admins_view(client, admin, user_id):
    listed = assert_ok(client.get("/admin/users", headers=admin))["users"]
    detail = assert_ok(client.get(f"/admin/users/{user_id}", headers=admin))
    (of_list,) = [user["disabled"] for user in listed if user["id"] == str(user_id)]
    assert of_list == detail["disabled"]
    return of_list


def test_an_admin_disables_who_is_not_blocked(client, strapi, admin):
    user = document()
    strapi.insert_one(user)
    changed = client.patch(f"/admin/users/{user['_id']}", json={"disabled": True}, headers=admin)
    assert assert_ok(changed)["disabled"] is True
    refused(client)
    assert admins_view(client, admin, user["_id"]) is True
    changed = client.patch(f"/admin/users/{user['_id']}", json={"disabled": False}, headers=admin)
    assert assert_ok(changed)["disabled"] is False
    assert "disabledAt" not in strapi.find_one({"email": ALICE})
    sign_in(client, ALICE)


def test_an_admin_enables_who_is_blocked_there(client, strapi, admin):
    user = document(blocked=True)
    strapi.insert_one(user)
    assert admins_view(client, admin, user["_id"]) is True
    enable = {"disabled": False}
    assert assert_ok(client.patch(f"/admin/users/{user['_id']}", json=enable, headers=admin))["disabled"] is False
    stored = strapi.find_one({"email": ALICE})
    assert (stored["blocked"], stored["disabledAt"]) == (True, None)
    assert admins_view(client, admin, user["_id"]) is False
    token = sign_in(client, ALICE)["token"]
    assert client.get("/users/test", headers=bearer(token)).status_code == 200

    # Enabled once more when the block has ended, the other app's field counts again.
    strapi.update_one({"email": ALICE}, {"$set": {"blocked": False}})
    assert_ok(client.patch(f"/admin/users/{user['_id']}", json=enable, headers=admin))
    assert "disabledAt" not in strapi.find_one({"email": ALICE})
    strapi.update_one({"email": ALICE}, {"$set": {"blocked": True}})
    assert_problem(client.get("/users/test", headers=bearer(token)), 401, "token_invalid")


def test_an_admin_who_is_blocked_there_is_no_admin(app, client, strapi, admin):
    bob = strapi.find_one({"email": BOB})["_id"]
    strapi.insert_one(document(roles=[ADMIN_ROLE], blocked=True))
    last = client.patch(f"/admin/users/{bob}", json={"disabled": True}, headers=admin)
    assert_problem(last, 409, "last_admin")
    strapi.update_one({"email": ALICE}, {"$set": {"disabledAt": None}})
    with app.app_context():
        assert not administration.is_last_admin(str(bob))
        strapi.update_one({"email": ALICE}, {"$set": {"blocked": None}, "$unset": {"disabledAt": ""}})
        assert not administration.is_last_admin(str(bob))


def test_the_command_line_agrees(app, client, strapi):
    strapi.insert_one(document(blocked=True))
    run = app.test_cli_runner().invoke
    assert "disabled" in run(args=["users", "list"]).output
    assert run(args=["users", "enable", ALICE]).exit_code == 0
    assert "enabled" in run(args=["users", "list"]).output
    sign_in(client, ALICE)
    assert run(args=["users", "disable", ALICE]).exit_code == 0
    refused(client)


def test_an_admin_verifies_who_is_not_confirmed_there(app, client, strapi):
    strapi.insert_one(document(confirmed=False))
    assert sign_in(client, ALICE)["user"]["emailVerified"] is False
    assert app.test_cli_runner().invoke(args=["users", "verify", ALICE]).exit_code == 0
    assert sign_in(client, ALICE)["user"]["emailVerified"] is True
    assert strapi.find_one()["confirmed"] is False


class TestMails:
    @pytest.fixture
    def settings(self, settings, sink):
        return {**settings, **sink.settings}

    @pytest.fixture
    def link(self, client, deliver, sink, strapi):
        """The token of a reset that Alice has asked for."""

        def link(**more):
            strapi.insert_one(document(**more))
            client.post("/auth/reset", json={"email": ALICE})
            assert deliver() == 1
            return token_in(sink.got[-1][1])

        return link

    def test_a_reset_is_no_way_around_a_block(self, client, link, strapi):
        token = link()
        strapi.update_one({}, {"$set": {"blocked": True}})
        before = strapi.find_one()
        answer = client.put("/auth/reset", json={"newPassword": "an even longer secret", "token": token})
        assert_problem(answer, 403, "code_invalid")
        assert strapi.find_one() == before

    def test_who_is_blocked_gets_no_mail(self, client, deliver, sink, strapi):
        strapi.insert_one(document(blocked=True))
        client.post("/auth/reset", json={"email": ALICE})
        deliver()
        assert sink.got == []

    def test_a_reset_needs_the_address_as_unproven_as_it_was_read(self, app, strapi):
        """Or it removes the factors of a user whose address has been proven since."""
        strapi.insert_one(document(confirmed=None, passkeys=[{"id": b"1"}]))
        device = Device("d", "Firefox", MOMENT, MOMENT)
        with app.app_context():
            recipient = lookup.find_recipient([ALICE])
            strapi.update_one({}, {"$set": {"confirmed": True}})
            assert not resets.reset(recipient, MOMENT, "$2b$04$new", device, None)
            assert strapi.find_one()["passkeys"] == [{"id": b"1"}]
            assert resets.reset(lookup.find_recipient([ALICE]), MOMENT, "$2b$04$new", device, None)
            assert strapi.find_one()["passkeys"] == [{"id": b"1"}]

    @pytest.mark.parametrize(("confirmed", "stays"), [(True, True), (MOMENT, True), (False, False), (None, False)])
    def test_a_reset_removes_the_factors_of_an_address_that_was_never_proven(
        self, client, link, strapi, confirmed, stays
    ):
        token = link(confirmed=confirmed, passkeys=[{"id": b"1"}])
        answer = client.put("/auth/reset", json={"newPassword": "an even longer secret", "token": token})
        assert answer.status_code == 204
        stored = strapi.find_one()
        assert ("passkeys" in stored) is stays
        assert stored["confirmed"] == confirmed
        sign_in(client, ALICE, "an even longer secret")
