"""A refresh token is good for one use; two tabs lose nothing, and a thief is caught."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.api.answers import captured_log
from tests.conftest import ALICE, bearer, sign_in
from tests.repetitions import TIMES


def refresh(client, token):
    return client.post("/auth/refresh", json={"refreshToken": token})


def ended(answer):
    return (answer.status_code, answer.get_json()["code"])


@pytest.fixture
def pair(client, alice):
    return sign_in(client, ALICE)


def test_a_refresh_answers_a_new_pair_for_the_same_session(client, pair):
    answer = refresh(client, pair["refreshToken"])
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body.keys() == {"token", "expiresIn", "tokenType", "refreshToken", "refreshExpiresIn", "user"}
    assert body["refreshToken"] != pair["refreshToken"]
    assert client.get("/users/test", headers=bearer(body["token"])).status_code == 200


def test_the_token_before_gets_the_current_pair_again_inside_the_grace(client, pair):
    first = refresh(client, pair["refreshToken"])
    again = refresh(client, pair["refreshToken"])
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.get_json()["refreshToken"] == first.get_json()["refreshToken"]
    assert client.get("/users/test", headers=bearer(again.get_json()["token"])).status_code == 200


def test_a_token_two_steps_back_ends_the_session_and_its_newest_token(client, pair):
    second = refresh(client, pair["refreshToken"]).get_json()
    third = refresh(client, second["refreshToken"]).get_json()
    with captured_log() as log:
        assert ended(refresh(client, pair["refreshToken"])) == (401, "token_reused")
    (event,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "refresh"]
    assert (event["outcome"], event["level"], event["ip"]) == ("token_reused", "warning", "127.0.0.1")
    assert event["actorId"] == event["targetId"] == pair["user"]["id"]
    assert ended(refresh(client, third["refreshToken"])) == (401, "token_invalid")
    assert client.get("/users/test", headers=bearer(third["token"])).status_code == 401


def test_the_token_before_ends_the_session_after_the_grace(client, pair, database):
    newest = refresh(client, pair["refreshToken"]).get_json()
    age_sessions(database, seconds=11)
    reused = refresh(client, pair["refreshToken"])
    assert ended(reused) == (401, "token_reused")
    assert 'error="invalid_token"' in reused.headers["WWW-Authenticate"]
    assert ended(refresh(client, newest["refreshToken"])) == (401, "token_invalid")


def test_a_session_that_was_not_used_for_the_idle_life_has_expired(client, pair, database):
    database.users.update_one({}, {"$set": {"sessions.1.expiresAt": pair_time(database) - timedelta(days=31)}})
    assert ended(refresh(client, pair["refreshToken"])) == (401, "token_expired")
    assert client.get("/users/test", headers=bearer(pair["token"])).status_code == 401


def test_a_refresh_puts_off_the_end_but_never_beyond_the_absolute_life(client, pair, database):
    created = pair_time(database) - timedelta(days=179)
    database.users.update_one({}, {"$set": {"sessions.1.createdAt": created}})
    body = refresh(client, pair["refreshToken"]).get_json()
    assert body["refreshExpiresIn"] <= timedelta(days=1).total_seconds()
    session = database.users.find_one({})["sessions"][1]
    assert session["expiresAt"] == created + timedelta(days=180)


def test_no_access_token_outlives_its_session(client, pair, database):
    database.users.update_one(
        {}, {"$set": {"sessions.1.createdAt": pair_time(database) - timedelta(days=180) + timedelta(minutes=5)}}
    )
    body = refresh(client, pair["refreshToken"]).get_json()
    assert 0 < body["expiresIn"] <= 300
    assert client.get("/users/test", headers=bearer(body["token"])).status_code == 200


def test_types_are_never_confused(client, pair):
    assert ended(refresh(client, pair["token"])) == (401, "token_invalid")
    assert ended(client.get("/users/test", headers=bearer(pair["refreshToken"]))) == (401, "token_invalid")


def test_refreshing_without_any_token_says_what_to_send(client, pair):
    answer = client.post("/auth/refresh", json={})
    assert ended(answer) == (401, "token_missing")
    assert "refreshToken" in answer.get_json()["detail"]


ROUNDS, TABS = 20 * TIMES, 100


def test_a_hundred_tabs_over_and_over_make_one_chain(app, pair, database):
    """In each round all tabs refresh at once with the same token, and all must get the same successor."""
    token = pair["refreshToken"]
    seen = {token}
    start = threading.Barrier(TABS)

    def tab(client):
        start.wait(60)
        return refresh(client, token)

    clients = [app.test_client() for _ in range(TABS)]
    with ThreadPoolExecutor(TABS) as tabs:
        for _ in range(ROUNDS):
            answers = list(tabs.map(tab, clients))
            assert {answer.status_code for answer in answers} == {200}
            successors = {answer.get_json()["refreshToken"] for answer in answers}
            assert len(successors) == 1
            (token,) = successors
            assert token not in seen
            seen.add(token)
    assert len(database.users.find_one({})["sessions"]) == 2  # Alice's first session, and this one


def pair_time(database):
    return database.users.find_one({})["sessions"][1]["createdAt"]


def age_sessions(database, seconds):
    """Move every rotation into the past, as if time had passed."""
    user = database.users.find_one({})
    for session in user["sessions"]:
        session["rotatedAt"] -= timedelta(seconds=seconds)
    assert database.users.update_one({"_id": user["_id"]}, {"$set": {"sessions": user["sessions"]}}).modified_count == 1
