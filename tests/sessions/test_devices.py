"""A device is recognised by its token: for the accounts that signed in there, and for no other."""

import hashlib
import threading
from datetime import UTC, datetime

import pytest

from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in, state_of
from tests.sessions.test_cookie_mode import HTTPS, SCRIPT

COOKIE = "__Host-device"
TOKEN = "0123456789abcdef" * 4  # well-formed, and made up
CURL = "curl"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def sign_in_on(client, device_token=None, email=ALICE, password=PASSWORD, user_agent="curl/8.5.0"):
    shown = {} if device_token is None else {"deviceToken": device_token}
    body = {"email": email, "password": password, **shown}
    return client.post("/auth", json=body, headers={"User-Agent": user_agent})


def stored(database, email=ALICE):
    return database.users.find_one({"email": email})["devices"]


def id_of(token):
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def users(client):
    """Alice and Bob, who have not signed in yet."""
    for email in (ALICE, BOB):
        assert_ok(client.post("/users", json={"email": email, "password": PASSWORD}), 201)


def test_a_sign_in_makes_a_device_and_the_next_one_shows_it(client, users, database):
    first = assert_ok(sign_in_on(client))["deviceToken"]
    ((device),) = stored(database)
    assert device["id"] == id_of(first)
    assert first not in str(database.users.find_one({"email": ALICE}))
    assert (device["label"], device["firstSeenAt"]) == (CURL, device["lastSeenAt"])

    again = assert_ok(sign_in_on(client, first, user_agent=FIREFOX))
    assert again["deviceToken"] == first
    ((seen_again),) = stored(database)
    assert (seen_again["id"], seen_again["firstSeenAt"]) == (device["id"], device["firstSeenAt"])
    assert (seen_again["label"], seen_again["lastSeenAt"] > device["lastSeenAt"]) == ("Firefox on Linux", True)

    assert assert_ok(sign_in_on(client))["deviceToken"] != first
    assert len(stored(database)) == 2


@pytest.mark.parametrize(
    "shown", ["", "x", TOKEN, TOKEN.upper(), TOKEN + "0", TOKEN[:-1], f" {TOKEN}", f"{TOKEN}\n", "0" * 64, TOKEN[:32]]
)
def test_a_token_that_the_service_has_not_issued_is_replaced(client, users, database, shown):
    answer = assert_ok(sign_in_on(client, shown))
    assert answer["deviceToken"] not in (shown, TOKEN)
    assert [device["id"] for device in stored(database)] == [id_of(answer["deviceToken"])]


@pytest.mark.parametrize("changed", [0, 31, 32, 63])
def test_a_token_with_another_digit_is_replaced(client, users, database, changed):
    token = assert_ok(sign_in_on(client))["deviceToken"]
    digit = "0" if token[changed] != "0" else "1"
    forged = token[:changed] + digit + token[changed + 1 :]
    assert assert_ok(sign_in_on(client, forged))["deviceToken"] not in (token, forged)
    assert len(stored(database)) == 2


def test_a_token_of_a_service_with_another_secret_is_replaced(client, users, settings, make_app, database):
    token = assert_ok(sign_in_on(client))["deviceToken"]
    other = make_app(JWT_SECRET_KEY="another secret of more than 32 bytes").test_client()
    assert assert_ok(sign_in_on(other, token))["deviceToken"] != token


@pytest.mark.parametrize(("shown", "code"), [(1, "wrong_type"), ([TOKEN], "wrong_type"), ({"$ne": ""}, "wrong_type")])
def test_a_token_is_text(client, users, shown, code):
    assert_problem(sign_in_on(client, shown), 422, "validation_failed", ("/deviceToken", code))


def test_the_id_of_a_device_is_not_its_token(client, users, database):
    sign_in_on(client)
    (device,) = stored(database)
    for guess in (device["id"], device["id"][:32], device["id"][32:]):
        assert_ok(sign_in_on(client, guess))
        assert next(one for one in stored(database) if one["id"] == device["id"]) == device


def test_several_accounts_share_a_device(client, users, database):
    token = assert_ok(sign_in_on(client))["deviceToken"]
    assert assert_ok(sign_in_on(client, token, BOB))["deviceToken"] == token
    assert [device["id"] for device in stored(database)] == [device["id"] for device in stored(database, BOB)]
    assert_ok(sign_in_on(client, token))
    assert len(stored(database)) == 1


def test_a_wrong_password_makes_no_device(client, users, database):
    assert_problem(sign_in_on(client, TOKEN, password="wrong"), 401, "credentials_invalid")
    assert "devices" not in database.users.find_one({"email": ALICE})


def test_the_21st_device_drops_the_one_that_was_seen_least_recently(client, users, database):
    tokens = [assert_ok(sign_in_on(client))["deviceToken"] for _ in range(20)]
    sign_in_on(client, tokens[0])
    newest = assert_ok(sign_in_on(client))["deviceToken"]
    kept = {device["id"] for device in stored(database)}
    assert kept == {id_of(token) for token in [tokens[0], *tokens[2:], newest]}


def test_one_device_that_signs_in_many_times_at_once_is_there_once(app, users, database):
    token = assert_ok(sign_in_on(app.test_client(), email=BOB))["deviceToken"]
    answers = []
    barrier = threading.Barrier(8)

    def ask():
        barrier.wait()
        answers.append(sign_in_on(app.test_client(), token).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    assert [device["id"] for device in stored(database)] == [id_of(token)]
    assert len(database.users.find_one({"email": ALICE})["sessions"]) == 8


FOREIGN = [
    "x",
    7,
    None,
    {},
    {"id": "x"},
    [],
    [1, "a", None, [1]],
    [{"token": "of a push service", "platform": "ios"}],
    [{"id": 1, "label": None, "firstSeenAt": "x", "lastSeenAt": "x"}],
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=repr)
def test_what_another_stack_keeps_under_this_name_hinders_no_sign_in(client, users, database, foreign):
    database.users.update_one({"email": ALICE}, {"$set": {"devices": foreign}})
    first = assert_ok(sign_in_on(client))
    assert_ok(sign_in_on(client, first["deviceToken"]))
    kept = foreign if isinstance(foreign, list) else []
    assert sorted(map(str, stored(database)[: len(kept)])) == sorted(map(str, kept))
    listed = assert_ok(client.get("/users/me/devices", headers=bearer(first["token"])))["devices"]
    assert [device["id"] for device in listed] == [id_of(first["deviceToken"])]


@pytest.mark.parametrize("name", ["sessions", "devices"])
def test_a_hash_is_renewed_where_another_stack_keeps_something_else(client, database, name):
    tutorial_hash = "$2b$10$2WLRRE/IWW.1yXcEyt0sZeFS/257w6SAaigbMNMfcqX1JNZ1KKXGO"
    database.users.insert_one({"email": ALICE, "password": tutorial_hash, name: "x"})
    pair = sign_in(client, ALICE, "password")
    user = database.users.find_one()
    assert user["password"] != tutorial_hash
    assert (len(user["sessions"]), len(user["devices"])) == (1, 1)
    assert_ok(client.get("/users/test", headers=bearer(pair["token"])))


class TestCookieMode:
    def sign_in(self, browser, **more):
        body = {"email": ALICE, "password": PASSWORD, "cookie": True, **more}
        return browser.post("/auth", json=body, headers={**SCRIPT, "User-Agent": FIREFOX}, base_url=HTTPS)

    def test_the_token_is_in_a_cookie_for_a_year_and_not_in_the_answer(self, client, users):
        answer = self.sign_in(client)
        assert "deviceToken" not in assert_ok(answer)
        (cookie,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith(COOKIE)]
        parts = {part.strip() for part in cookie.split(";")[1:]}
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=31536000"} <= parts
        assert not any(part.startswith("Domain") for part in parts)

    def test_the_cookie_stays_at_sign_out_and_is_shown_at_the_next_sign_in(self, client, users, database):
        self.sign_in(client)
        token = client.get_cookie(COOKIE, "localhost").value
        assert client.delete("/auth", headers=SCRIPT, base_url=HTTPS).status_code == 204
        assert client.get_cookie(COOKIE, "localhost").value == token
        self.sign_in(client, deviceToken=TOKEN)  # the cookie counts alone
        self.sign_in(client, email=BOB)
        assert client.get_cookie(COOKIE, "localhost").value == token
        assert [device["id"] for device in stored(database)] == [id_of(token)]
        assert [device["id"] for device in stored(database, BOB)] == [id_of(token)]

    def test_a_cookie_that_cannot_be_ours_is_replaced(self, client, users):
        client.set_cookie(COOKIE, "garbage", domain="localhost", secure=True)
        assert_ok(self.sign_in(client))
        assert len(client.get_cookie(COOKIE, "localhost").value) == 64

    def test_no_other_answer_sets_it(self, client, users):
        token = assert_ok(self.sign_in(client))["token"]
        change = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
        for answer in (
            client.put("/users/me/password", json=change, headers={**SCRIPT, **bearer(token)}, base_url=HTTPS),
            client.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS),
        ):
            assert "deviceToken" not in assert_ok(answer)
            assert COOKIE not in str(answer.headers.getlist("Set-Cookie"))


def test_the_tokens_of_a_refresh_and_of_a_new_password_come_without_a_device(client, users):
    pair = sign_in(client, ALICE)
    refreshed = assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))
    change = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
    changed = assert_ok(client.put("/users/me/password", json=change, headers=bearer(refreshed["token"])))
    assert refreshed.keys() == changed.keys() == pair.keys() - {"deviceToken"}


class TestTheList:
    @pytest.fixture
    def devices(self, client, users):
        """Two sign-ins of Alice, the newer one with Firefox."""
        return [assert_ok(sign_in_on(client)), assert_ok(sign_in_on(client, user_agent=FIREFOX))]

    def list(self, client, token):
        return assert_ok(client.get("/users/me/devices", headers=bearer(token)))["devices"]

    def test_it_shows_them_the_most_recently_seen_one_first(self, client, devices):
        listed = self.list(client, devices[0]["token"])
        assert [device.keys() for device in listed] == [{"id", "label", "firstSeenAt", "lastSeenAt", "current"}] * 2
        found = [(device["id"], device["label"], device["current"]) for device in listed]
        older, newer = (id_of(device["deviceToken"]) for device in devices)
        assert found == [(newer, "Firefox on Linux", False), (older, CURL, True)]
        assert all(device["firstSeenAt"].endswith("Z") or "+00:00" in device["firstSeenAt"] for device in listed)

    def test_a_refresh_and_a_new_password_keep_what_is_current(self, client, devices):
        refreshed = assert_ok(client.post("/auth/refresh", json={"refreshToken": devices[1]["refreshToken"]}))
        change = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
        changed = assert_ok(client.put("/users/me/password", json=change, headers=bearer(refreshed["token"])))
        assert [device["current"] for device in self.list(client, changed["token"])] == [True, False]

    def test_one_is_forgotten(self, client, devices):
        headers = bearer(devices[0]["token"])
        url = f"/users/me/devices/{id_of(devices[1]['deviceToken'])}"
        with captured_log() as log:
            answer = client.delete(url, headers=headers)
        assert (answer.status_code, answer.data) == (204, b"")
        assert '"event": "forget_device"' in log.getvalue()
        assert_problem(client.delete(url, headers=headers), 404, "device_unknown")
        assert len(self.list(client, devices[0]["token"])) == 1
        assert_ok(client.get("/users/test", headers=bearer(devices[1]["token"])))  # its session goes on

    @pytest.mark.parametrize("device_id", ["x", "0" * 64, "$ne", "%00"])
    def test_one_that_is_not_there_is_answered_404(self, client, devices, device_id):
        answer = client.delete(f"/users/me/devices/{device_id}", headers=bearer(devices[0]["token"]))
        assert_problem(answer, 404, "device_unknown")

    def test_nobody_forgets_a_device_of_somebody_else(self, client, devices):
        bob = sign_in(client, BOB)["token"]
        url = f"/users/me/devices/{id_of(devices[0]['deviceToken'])}"
        assert_problem(client.delete(url, headers=bearer(bob)), 404, "device_unknown")
        assert len(self.list(client, devices[0]["token"])) == 2

    def test_it_is_guarded(self, client):
        assert_problem(client.get("/users/me/devices"), 401, "token_missing")
        assert_problem(client.delete("/users/me/devices/x"), 401, "token_missing")

    def test_a_session_from_before_there_were_devices_has_none(self, client, devices, database):
        database.users.update_one({"email": ALICE}, {"$unset": {"devices": "", "sessions.0.deviceId": ""}})
        assert self.list(client, devices[0]["token"]) == []


class TestWhoForgetsThem:
    @pytest.fixture
    def admin(self, client, users, database):
        database.users.update_one({"email": BOB}, {"$set": {"roles": ["admin"]}})
        return bearer(sign_in(client, BOB)["token"])

    @pytest.fixture
    def alice_id(self, client, users):
        return sign_in(client, ALICE)["user"]["id"]

    def test_a_new_password_and_the_end_of_the_own_sessions_keep_them(self, client, app, users, database):
        token = sign_in(client, ALICE)["token"]
        change = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
        token = assert_ok(client.put("/users/me/password", json=change, headers=bearer(token)))["token"]
        assert client.delete("/auth/sessions?scope=all", headers=bearer(token)).status_code == 204
        arguments = ["users", "set-password", ALICE, "--password-stdin"]
        assert app.test_cli_runner().invoke(args=arguments, input=PASSWORD).exit_code == 0
        assert len(stored(database)) == 1

    def test_an_admin_who_ends_the_sessions_forgets_them(self, client, admin, alice_id, database):
        for _ in range(2):  # the second time no session is left
            database.users.update_one({"email": ALICE}, {"$set": {"devices": [{"id": "x"}]}})
            assert client.delete(f"/admin/users/{alice_id}/sessions", headers=admin).status_code == 204
            user = database.users.find_one({"email": ALICE})
            assert (user["sessions"], user["devices"]) == ([], [])

    @pytest.mark.parametrize("command", ["end-sessions", "disable"])
    def test_an_operator_forgets_them(self, app, alice_id, database, command):
        assert app.test_cli_runner().invoke(args=["users", command, ALICE]).exit_code == 0
        user = database.users.find_one({"email": ALICE})
        assert (user["sessions"], user["devices"]) == ([], [])


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
            " Safari/537.36",
            "Chrome on Windows",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
            " Safari/537.36 Edg/142.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0"
            " Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
            " Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile"
            " Safari/537.36",
            "Chrome on Android",
        ),
        ("curl/8.5.0", "curl"),
        ("MyApp/1.2 (iPad; iOS 18)", "MyApp on iPad"),
        ("", "Unknown"),
        ("<script>", "Unknown"),
        ("a" * 200, "a" * 40),
    ],
)
def test_a_label_tells_devices_apart(client, users, database, user_agent, label):
    assert_ok(sign_in_on(client, user_agent=user_agent))
    assert stored(database)[0]["label"] == label


class TestTheLane:
    """With every place of the gate taken, a sign-in needs a device that its account has."""

    @pytest.fixture
    def settings(self, settings):
        return {**settings, "BCRYPT_CONCURRENCY": 1, "BCRYPT_QUEUE": 0}

    def test_a_device_counts_for_the_accounts_that_hold_it(self, client, app, users):
        alices, bobs = (assert_ok(sign_in_on(client, email=email))["deviceToken"] for email in (ALICE, BOB))
        with state_of(app).hasher.gate.enter("192.0.2.1"):
            for email, shown in ((ALICE, None), (ALICE, bobs), (BOB, alices), ("charlie@example.com", alices)):
                assert_problem(sign_in_on(client, shown, email), 503, "hashing_busy")
            assert_ok(sign_in_on(client, alices))
            assert_problem(sign_in_on(client, alices, password="wrong"), 401, "credentials_invalid")
            assert_ok(sign_in_on(client, bobs, BOB))

    def test_a_device_of_a_disabled_account_is_a_stranger(self, client, app, users, database):
        token = assert_ok(sign_in_on(client))["deviceToken"]
        database.users.update_one({"email": ALICE}, {"$set": {"disabledAt": THEN}})  # by another stack
        with state_of(app).hasher.gate.enter("192.0.2.1"):
            assert_problem(sign_in_on(client, token), 503, "hashing_busy")


def test_a_stranger_s_token_changes_nothing_about_a_refusal(client, users):
    """Known, unknown and disabled accounts, with the token of another account, or of none, or no token at all."""
    bobs = assert_ok(sign_in_on(client, email=BOB))["deviceToken"]
    told = set()
    for email in (ALICE, "charlie@example.com"):
        for shown in (None, TOKEN, bobs, "garbage"):
            answer = sign_in_on(client, shown, email, "wrong")
            request_id = assert_problem(answer, 401, "credentials_invalid")["requestId"]
            headers = tuple((name, value) for name, value in answer.headers if name not in ("X-Request-Id", "Date"))
            told.add((answer.status, headers, answer.text.replace(request_id, "")))
    assert len(told) == 1
