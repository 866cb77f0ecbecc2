"""A sign-in with a device and a family of browser and system that the account has not seen is told by mail."""

import threading
from datetime import UTC, datetime

import bcrypt
import pytest
import requests

from authservice.mail import deliver as delivering
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, make_account, state_of
from tests.mail.sink import text_of
from tests.notices.production import PRODUCTION
from tests.server.processes import wait_until
from tests.sessions.commands import Commands, heard

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"
NEWER_FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:160.0) Gecko/20100101 Firefox/160.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1 Version/26.0 Safari/604.1"


def sign_in(client, user_agent=FIREFOX, email=ALICE, password=PASSWORD, ip="192.0.2.1", **more):
    return client.post(
        "/auth",
        json={"email": email, "password": password, **more},
        headers={"User-Agent": user_agent},
        environ_base={"REMOTE_ADDR": ip},
    )


def told(database, email=ALICE):
    mails = database.users.find_one({"email": email}).get("mails", [])
    assert {mail["kind"] for mail in mails} <= {"new_device"}
    return [mail["facts"]["device"] for mail in mails]


@pytest.fixture
def alice(client, database):
    """Her tokens, of her first sign-in ever. The address is proven."""
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    database.users.update_one({"email": ALICE}, {"$set": {"emailVerifiedAt": datetime.now(UTC)}})
    database.users.update_one({"email": ALICE}, {"$unset": {"mails": ""}})
    return assert_ok(sign_in(client))


def test_the_mail_says_what_and_when(client, alice, deliver, sink):
    assert_ok(sign_in(client, PHONE))
    assert deliver() == 1
    to, mail = sink.only()
    assert to == ALICE
    assert "Safari on iPhone" in text_of(mail)
    assert "UTC" in text_of(mail)


def test_it_is_in_the_language_of_the_request(client, alice, deliver, sink):
    body = {"email": ALICE, "password": PASSWORD}
    assert_ok(client.post("/auth", json=body, headers={"User-Agent": PHONE, "Accept-Language": "de"}))
    deliver()
    assert "Gerät" in text_of(sink.only()[1])


def test_the_first_device_is_silent(client, alice, database):
    assert told(database) == []


@pytest.mark.parametrize("theirs", [{}, *({"devices": foreign} for foreign in (None, "x", [], ["x"], [{"id": "x"}]))])
@pytest.mark.parametrize("sessions", [{}, {"sessions": []}])
def test_so_is_the_first_one_of_a_user_of_another_stack(client, database, theirs, sessions):
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    database.users.insert_one({"email": ALICE, "password": stored, **theirs, **sessions})
    assert_ok(sign_in(client))
    assert told(database) == []
    assert_ok(sign_in(client, PHONE))
    assert told(database) == ["Safari on iPhone"]


def test_so_is_the_first_one_of_a_user_with_sessions_from_before_devices_were_kept(client, alice, database):
    database.users.update_one({}, {"$unset": {"devices": ""}})
    assert_ok(sign_in(client, PHONE))
    assert told(database) == []


@pytest.mark.parametrize("user_agent", [FIREFOX, NEWER_FIREFOX])
def test_a_family_seen_before_is_silent_from_any_address(client, alice, database, user_agent):
    assert_ok(sign_in(client, user_agent, ip="2001:db8::7"))
    assert told(database) == []


def test_a_known_device_is_silent_whatever_it_calls_itself(client, alice, database):
    assert_ok(sign_in(client, PHONE, deviceToken=alice["deviceToken"]))
    assert told(database) == []


def test_a_new_family_is_told_once(client, alice, database):
    for _ in range(3):
        assert_ok(sign_in(client, PHONE))
    assert told(database) == ["Safari on iPhone"]


def test_the_device_of_another_user_is_a_new_one(client, alice, database):
    make_account(client, BOB)
    device = assert_ok(sign_in(client, PHONE, BOB))["deviceToken"]
    assert told(database, BOB) == []
    assert_ok(sign_in(client, PHONE, deviceToken=device))
    assert told(database) == ["Safari on iPhone"]


def test_a_wrong_password_tells_nobody(client, alice, database):
    assert_problem(sign_in(client, PHONE, password="wrong password"), 401, "credentials_invalid")
    assert told(database) == []


def test_a_thief_does_not_silence_it_by_forgetting_the_devices(client, alice, database):
    owner = bearer(alice["token"])
    for device in assert_ok(client.get("/users/me/devices", headers=owner))["devices"]:
        assert client.delete(f"/users/me/devices/{device['id']}", headers=owner).status_code == 204
    assert client.delete("/auth/sessions?scope=all", headers=owner).status_code == 204
    assert_ok(sign_in(client, PHONE))
    assert told(database) == ["Safari on iPhone"]


def disable(run):
    run("disable", ALICE)
    run("enable", ALICE)


def end_sessions(run):
    run("end-sessions", ALICE)


@pytest.mark.parametrize("forget", [disable, end_sessions])
def test_after_an_operator_had_all_devices_forgotten_the_next_one_is_told(app, client, alice, database, forget):
    forget(lambda *command: app.test_cli_runner().invoke(args=["users", *command]))
    assert_ok(sign_in(client))
    assert told(database) == ["Firefox on Linux"]


def test_a_thief_does_not_flood_it_out(client, alice, database):
    assert_ok(sign_in(client, PHONE))
    for number in range(25):
        assert_ok(sign_in(client, f"thief{number}"))
    assert told(database) == ["Safari on iPhone", *(f"thief{number}" for number in range(19))]


def test_a_squatter_does_not_flood_the_mailbox_of_an_address_that_is_not_proven(client, alice, database, deliver, sink):
    database.users.update_one({"email": ALICE}, {"$unset": {"emailVerifiedAt": ""}})
    for number in range(12):
        assert_ok(sign_in(client, f"squatter{number}"))
    deliver()
    assert len(sink.got) == 10
    assert sum("squatter0" in text_of(mail) for _, mail in sink.got) == 1


def test_a_flood_does_not_keep_out_that_the_password_has_changed(client, alice, database):
    for number in range(25):
        thief = assert_ok(sign_in(client, f"thief{number}"))
    body = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
    assert_ok(client.put("/users/me/password", json=body, headers=bearer(thief["token"])))
    mails = [mail["kind"] for mail in database.users.find_one()["mails"]]
    assert (mails[0], len(mails)) == ("password_changed", 20)


@pytest.mark.parametrize("foreign", ["x", 7, {}, None])
def test_what_another_stack_stored_makes_room(client, alice, database, foreign):
    database.users.update_one({}, {"$set": {"mails": foreign, "sessions": foreign}})
    assert_ok(sign_in(client, PHONE))
    assert told(database) == ["Safari on iPhone"]


@pytest.fixture
def commands():
    """Every command that the service sends."""
    with heard(Commands()) as commands:
        yield commands


def test_it_costs_no_more_reads_or_writes(commands, client, alice):
    for user_agent in (FIREFOX, PHONE):
        commands.seen.clear()
        assert_ok(sign_in(client, user_agent))
        assert [next(iter(command)) for command in commands.seen] == ["find", "update"]


def test_a_service_that_sends_no_mail_keeps_none(make_app, database):
    client = make_app(**PRODUCTION).test_client()
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    for user_agent in (FIREFOX, PHONE):
        assert_ok(sign_in(client, user_agent))
    assert "mails" not in database.users.find_one()


def test_the_deliverer_does_not_wait_for_its_next_look(app, client, alice, database, sink, monkeypatch):
    monkeypatch.setattr(delivering, "POLL_SECONDS", 3_600.0)
    deliverer = state_of(app).deliverer
    thread = threading.Thread(target=deliverer.run)
    thread.start()
    try:
        assert_ok(sign_in(client, PHONE))
        wait_until(lambda: sink.got and not told(database))
        thief = assert_ok(sign_in(client, PHONE))
        body = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
        assert_ok(client.put("/users/me/password", json=body, headers=bearer(thief["token"])))
        wait_until(lambda: len(sink.got) == 2)
    finally:
        deliverer.stop()
        thread.join()


def test_a_real_worker_sends_it(serve, sink):
    service = serve(workers=2, **sink.environment)
    account = {"email": ALICE, "password": PASSWORD}
    assert requests.post(f"{service.url}/users", json=account, timeout=30).status_code == 201
    for user_agent in (FIREFOX, PHONE):
        answer = requests.post(f"{service.url}/auth", json=account, headers={"User-Agent": user_agent}, timeout=30)
        assert answer.status_code == 200
    wait_until(lambda: len(sink.got) == 2)  # the other one asks for a proof of the address
    assert {to for to, _ in sink.got} == {ALICE}
    assert sum("Safari on iPhone" in text_of(mail) for _, mail in sink.got) == 1
    assert service.stop() == 0
    assert len(sink.got) == 2
