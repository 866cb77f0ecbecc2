"""A session that was ended is refused on the next request."""

from dataclasses import replace

import pytest

from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in


def status(client, token):
    return client.get("/users/test", headers=bearer(token)).status_code


def refresh_status(client, pair):
    return client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}).status_code


@pytest.fixture
def phone(client, alice):
    return sign_in(client, ALICE)


@pytest.fixture
def laptop(client, alice):
    return sign_in(client, ALICE)


def test_signing_out_ends_this_session_alone_and_may_be_repeated(client, phone, laptop):
    for _ in range(2):
        answer = client.delete("/auth", headers=bearer(phone["token"]))
        assert (answer.status_code, answer.data) == (204, b"")
    assert status(client, phone["token"]) == 401
    assert refresh_status(client, phone) == 401
    assert status(client, laptop["token"]) == 200


def test_signing_out_by_refresh_token_ends_its_session(client, phone):
    assert client.delete("/auth", json={"refreshToken": phone["refreshToken"]}).status_code == 204
    assert status(client, phone["token"]) == 401
    assert client.delete("/auth", json={"refreshToken": phone["refreshToken"]}).status_code == 204


def test_signing_out_without_any_token_or_with_a_forged_one_is_refused(client, phone):
    assert client.delete("/auth").get_json()["code"] == "token_missing"
    assert client.delete("/auth", headers=bearer(phone["token"][:-4] + "AAAA")).get_json()["code"] == "token_invalid"
    assert status(client, phone["token"]) == 200


def test_my_sessions_are_listed_with_the_current_one_marked(client, alice, phone):
    headers = {**bearer(phone["token"]), "User-Agent": "whatever"}
    answer = client.get("/auth/sessions", headers=headers)
    assert answer.status_code == 200
    listed = answer.get_json()["sessions"]
    assert [session["current"] for session in listed] == [True, False]
    assert listed[0].keys() == {
        "id",
        "authenticatedAt",
        "createdAt",
        "lastUsedAt",
        "expiresAt",
        "ip",
        "userAgent",
        "current",
    }
    assert listed[0]["ip"] == "127.0.0.1"
    assert listed[0]["userAgent"].startswith("Werkzeug/")


def test_one_session_is_ended_by_its_id(client, phone, laptop):
    listed = client.get("/auth/sessions", headers=bearer(laptop["token"])).get_json()["sessions"]
    other = next(session["id"] for session in listed if not session["current"])
    assert client.delete(f"/auth/sessions/{other}", headers=bearer(laptop["token"])).status_code == 204
    again = client.delete(f"/auth/sessions/{other}", headers=bearer(laptop["token"]))
    assert (again.status_code, again.get_json()["code"]) == (404, "session_unknown")
    assert len(client.get("/auth/sessions", headers=bearer(laptop["token"])).get_json()["sessions"]) == 2


def test_nobody_ends_a_session_of_somebody_else(client, phone):
    assert client.post("/users", json={"email": BOB, "password": PASSWORD}).status_code == 201
    bob = sign_in(client, BOB)["token"]
    mine = client.get("/auth/sessions", headers=bearer(phone["token"])).get_json()["sessions"][0]["id"]
    assert client.delete(f"/auth/sessions/{mine}", headers=bearer(bob)).status_code == 404
    assert status(client, phone["token"]) == 200


def test_all_others_are_ended_at_once(client, alice, phone, laptop):
    assert client.delete("/auth/sessions?scope=others", headers=bearer(laptop["token"])).status_code == 204
    assert [status(client, token) for token in (alice, phone["token"], laptop["token"])] == [401, 401, 200]


def test_all_are_ended_at_once(client, phone, laptop):
    assert client.delete("/auth/sessions?scope=all", headers=bearer(laptop["token"])).status_code == 204
    assert [status(client, token) for token in (phone["token"], laptop["token"])] == [401, 401]


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [("", "/scope", "required"), ("?scope=mine", "/scope", "unknown_value"), ("?scope=all&x=1", "/x", "unknown_field")],
)
def test_a_bad_scope_ends_nothing(client, phone, query, pointer, code):
    answer = client.delete(f"/auth/sessions{query}", headers=bearer(phone["token"]))
    assert answer.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in answer.get_json()["errors"]] == [(pointer, code)]
    assert status(client, phone["token"]) == 200


def test_the_least_recently_used_session_makes_room(settings, request):
    settings["MAX_SESSIONS"] = 2
    client = request.getfixturevalue("client")
    assert client.post("/users", json={"email": ALICE, "password": PASSWORD}).status_code == 201
    first, second = sign_in(client, ALICE), sign_in(client, ALICE)
    first = client.post("/auth/refresh", json={"refreshToken": first["refreshToken"]}).get_json()  # the one in use
    third = sign_in(client, ALICE)
    assert [status(client, pair["token"]) for pair in (first, second, third)] == [200, 401, 200]


def test_a_session_never_starts_for_one_who_was_disabled_while_the_password_was_checked(client, alice, database, app):
    """The write that starts a session checks again, because time passes between the check and the write."""
    from authservice.store import administration, devices, lookup, sessions

    with app.app_context():
        user, stored, _ = lookup.find_with_password([ALICE])
        session = sessions.of(user.id)[0]
        (device,), _ = devices.of(user.id, session.id)
        for is_known in (True, False):
            assert administration.change(user.id, is_disabled=True)
            assert not sessions.start(user.id, stored, session, 20, None, device, None, is_known=is_known)
    assert database.users.find_one({})["sessions"] == database.users.find_one({})["devices"] == []


@pytest.mark.parametrize("is_known", [True, False])
def test_a_session_starts_only_together_with_what_it_spends(client, alice, database, app, is_known):
    from authservice.auth import pairs
    from authservice.store import devices, lookup, sessions
    from authservice.store.spending import Spending

    database.users.update_one({}, {"$set": {"coins": [{"id": 1, "isSpent": False}, {"id": 2, "isSpent": False}]}})
    coin = Spending(
        {"coins": {"$elemMatch": {"id": 2, "isSpent": False}}},
        {"$set": {"coins.$[coin].isSpent": True}, "$push": {"spent": 2}},
        ({"coin.id": 2},),
    )
    with app.test_request_context():
        user, stored, _ = lookup.find_with_password([ALICE])
        (device,), _ = devices.of(user.id, sessions.of(user.id)[0].id)
        if not is_known:
            device = replace(device, id="another")
        session = pairs.new_session(None, "", device.id)
        started = [
            sessions.start(user.id, stored, session, 20, None, device, None, is_known=is_known, spending=coin)
            for _ in range(2)
        ]
    found = database.users.find_one({})
    assert started == [True, False]
    assert [entry["id"] for entry in found["sessions"]][1:] == [session.id]
    assert [[coin["isSpent"] for coin in found["coins"]], found["spent"]] == [[False, True], [2]]
    assert len(found["devices"]) == (1 if is_known else 2)
