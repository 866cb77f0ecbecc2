"""A forgotten password: the same answer for everybody, a mail for the owner alone, and one use of what it has."""

import re
import threading
from datetime import UTC, datetime

import pytest

from authservice.errors import DatabaseUnavailable
from authservice.signals import password_changed
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, bearer, make_account, sign_in, state_of
from tests.mail.sink import code_in, text_of, token_in

NEW = "an even longer secret"
WRONG_TOKEN = "x." + "A" * 43


@pytest.fixture
def accounts(client, database):
    for email in (ALICE, BOB):
        make_account(client, email)
    database.users.update_one({"email": BOB}, {"$set": {"disabledAt": datetime.now(UTC)}})


def ask(client, email=ALICE, **more):
    answer = client.post("/auth/reset", json={"email": email}, **more)
    return assert_ok(answer, 202)["resetId"]


def reset(client, new_password=NEW, **given):
    return client.put("/auth/reset", json={"newPassword": new_password, **given})


@pytest.fixture
def mailed(client, accounts, deliver, sink):
    """Handle, token and code of a reset that Alice has asked for."""
    handle = ask(client)
    assert deliver() == 1
    _, mail = sink.only()
    return handle, token_in(mail), code_in(mail)


def assert_new_password(client, email=ALICE):
    assert_problem(client.post("/auth", json={"email": email, "password": PASSWORD}), 401, "credentials_invalid")
    sign_in(client, email, NEW)


def test_the_link_sets_the_password_once(client, mailed, deliver, sink):
    _, token, _ = mailed
    assert reset(client, token=token).status_code == 204
    assert_new_password(client)
    assert_problem(reset(client, "yet another secret", token=token), 403, "code_invalid")
    assert deliver() == 1
    assert "passwor" in sink.got[-1][1]["Subject"].lower()


def test_a_link_that_programs_have_opened_ten_times_still_works_once(client, mailed, database):
    _, token, _ = mailed
    before = [*database.users.find(), *database.mailRequests.find()]
    for path in ("/auth/reset", "/app/", "/"):
        for method in ("GET", "HEAD"):
            for _ in range(10):
                answer = client.open(path, method=method, query_string={"action": "reset", "token": token})
                assert answer.status_code in (200, 404, 405)
    assert [*database.users.find(), *database.mailRequests.find()] == before
    assert reset(client, token=token).status_code == 204
    assert_problem(reset(client, "yet another secret", token=token), 403, "code_invalid")


def test_a_strangers_request_does_not_wake_the_deliverer(client, accounts, app, monkeypatch):
    """Or work for a known address alone would follow it at once."""
    woken = []
    monkeypatch.setattr(state_of(app).deliverer, "nudge", lambda: woken.append(1))
    for email in (ALICE, CHARLIE):
        ask(client, email)
    assert woken == []


def _hear(sender, user):
    """A receiver for whom the user is read."""


def test_it_is_done_even_if_the_user_cannot_be_read_afterwards(app, client, mailed, monkeypatch):
    """Otherwise the answer would say that nothing has happened, and the link would be used up."""

    def fail(user_id):
        raise DatabaseUnavailable

    monkeypatch.setattr("authservice.store.users.find", fail)
    password_changed.connect(_hear, sender=app)
    assert reset(client, token=mailed[1]).status_code == 204
    assert_new_password(client)


def test_so_does_the_code(client, mailed):
    handle, _, code = mailed
    assert reset(client, resetId=handle, code=f"{code[:4]} {code[4:]}").status_code == 204
    assert_new_password(client)


def test_everybody_gets_the_same_answer_and_the_owner_alone_a_mail(client, accounts, deliver, sink):
    told = []
    for email in (ALICE, BOB, CHARLIE):
        answer = client.post("/auth/reset", json={"email": email})
        headers = [(name, value) for name, value in answer.headers if name not in ("X-Request-Id", "Date")]
        told.append((answer.status, headers, answer.get_json().keys(), len(answer.get_json()["resetId"])))
    assert told[0] == told[1] == told[2]
    deliver()
    assert [to for to, _ in sink.got] == [ALICE]


@pytest.mark.parametrize("given", [{}, {"code": "12345678"}, {"resetId": "x"}, {"token": ""}, {"token": WRONG_TOKEN}])
def test_what_is_wrong_is_refused_alike(client, mailed, given):
    assert_problem(reset(client, **given), 403, "code_invalid")
    assert_problem(client.post("/auth", json={"email": ALICE, "password": NEW}), 401, "credentials_invalid")


def test_a_code_has_five_guesses_and_the_link_any_number(client, mailed):
    handle, token, code = mailed
    for _ in range(5):
        assert_problem(reset(client, resetId=handle, code="00000000"), 403, "code_invalid")
    assert_problem(reset(client, resetId=handle, code=code), 403, "code_invalid")
    for _ in range(5):
        assert_problem(reset(client, token=WRONG_TOKEN), 403, "code_invalid")
    assert reset(client, token=token).status_code == 204


def test_a_stranger_who_asks_and_guesses_spends_his_own_handle(client, mailed):
    handle, _, code = mailed
    for _ in range(4):
        own = ask(client)
        for _ in range(10):
            assert_problem(reset(client, resetId=own, code="00000000"), 403, "code_invalid")
    assert reset(client, resetId=handle, code=code).status_code == 204


def test_of_two_uses_at_once_one_succeeds(app, client, mailed):
    _, token, _ = mailed
    barrier, statuses = threading.Barrier(4), []

    def use(number):
        barrier.wait()
        statuses.append(reset(app.test_client(), f"new password {number}", token=token).status_code)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [204, 403, 403, 403]


def test_a_password_change_kills_earlier_links(client, mailed):
    _, token, _ = mailed
    session = sign_in(client, ALICE)["token"]
    change = {"currentPassword": PASSWORD, "newPassword": "a third secret"}
    assert_ok(client.put("/users/me/password", json=change, headers=bearer(session)))
    assert_problem(reset(client, token=token), 403, "code_invalid")


def test_a_reset_ends_every_session(client, mailed):
    _, token, _ = mailed
    session = sign_in(client, ALICE)["token"]
    assert reset(client, token=token).status_code == 204
    assert_problem(client.get("/users/me", headers=bearer(session)), 401, "token_invalid")


def test_the_device_is_the_way_back_in(client, mailed, database):
    _, token, _ = mailed
    device = assert_ok(reset(client, token=token, deviceToken=True))["deviceToken"]
    body = {"email": ALICE, "password": NEW, "deviceToken": device}
    assert assert_ok(client.post("/auth", json=body))["deviceToken"] == device


def test_without_asking_for_it_the_device_is_in_the_cookie(client, mailed):
    answer = reset(client, token=mailed[1])
    assert "__Host-device=" in answer.headers["Set-Cookie"]


def test_a_squatter_loses_everything(client, accounts, deliver, sink, database):
    """He signed up with Alice's address before her, and she never confirmed it."""
    squatter = client.post("/auth", json={"email": ALICE, "password": PASSWORD}).get_json()
    database.users.update_one({"email": ALICE}, {"$set": {"emailChange": {"to": CHARLIE}}})
    ask(client)
    deliver()
    device = assert_ok(reset(client, token=token_in(sink.got[-1][1]), deviceToken=True))["deviceToken"]
    user = database.users.find_one({"email": ALICE})
    assert (user["sessions"], len(user["devices"]), "emailChange" in user) == ([], 1, False)
    assert user["emailVerifiedAt"] is not None
    assert device != squatter["deviceToken"]


def test_a_verified_user_keeps_the_devices(client, mailed, database):
    sign_in(client, ALICE)
    database.users.update_one({"email": ALICE}, {"$set": {"emailVerifiedAt": datetime.now(UTC)}})
    assert reset(client, token=mailed[1]).status_code == 204
    assert len(database.users.find_one({"email": ALICE})["devices"]) == 2


@pytest.mark.parametrize("foreign", ["x", 7, {}, None])
def test_fields_of_another_stack_make_room(client, mailed, database, foreign):
    database.users.update_one({"email": ALICE}, {"$set": {"mails": foreign, "devices": foreign, "sessions": foreign}})
    assert reset(client, token=mailed[1]).status_code == 204
    assert_new_password(client)


def test_a_weak_password_is_refused_and_the_link_stays_good(client, mailed):
    _, token, _ = mailed
    assert_problem(
        reset(client, "iloveyou", token=token), 422, "validation_failed", ("/newPassword", "password_common")
    )
    assert reset(client, token=token).status_code == 204


def test_a_client_asks_ten_times_an_hour(make_app):
    client = make_app(LIMITS="on").test_client()
    answers = [client.post("/auth/reset", json={"email": f"user{n}@example.com"}).status_code for n in range(12)]
    assert answers == [202] * 10 + [429] * 2


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "Forwarded", "Origin", "Referer"])
@pytest.mark.parametrize("hops", [0, 1])
def test_the_link_leads_to_the_app_whatever_the_host(settings, request, name, hops):
    settings |= {"TRUSTED_PROXIES": hops}
    client, sink = request.getfixturevalue("client"), request.getfixturevalue("sink")
    request.getfixturevalue("accounts")
    ask(client, headers={name: "host=evil.example" if name == "Forwarded" else "evil.example"})
    request.getfixturevalue("deliver")()
    mail = sink.got[-1][1]
    assert re.findall(r"\S+://\S+", text_of(mail))[0].startswith("https://app.example.com/?action=reset&token=")
    assert all("evil" not in part.get_content() for part in mail.iter_parts())


def test_a_reset_is_audited_without_its_secrets(client, mailed):
    _, token, _ = mailed
    with captured_log() as log:
        assert reset(client, token=token).status_code == 204
    assert "reset_password" in log.getvalue()
    assert token not in log.getvalue()
