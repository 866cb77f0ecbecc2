"""Every change of a password is told to its user by mail, from the very write that changes it."""

import pytest

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, bearer, sign_in, state_of
from tests.mail.sink import text_of
from tests.notices.production import PRODUCTION

NEW = "an even longer secret"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"


def change(client, token, current=PASSWORD, **headers):
    body = {"currentPassword": current, "newPassword": NEW}
    return client.put("/users/me/password", json=body, headers={**bearer(token), **headers})


def set_password(app):
    return app.test_cli_runner().invoke(args=["users", "set-password", ALICE, "--password-stdin"], input=f"{NEW}\n")


def kinds_waiting(database):
    return [mail["kind"] for mail in database.users.find_one()["mails"]]


def test_the_user_is_told_with_which_device(client, alice, deliver, sink):
    assert_ok(change(client, alice, **{"User-Agent": FIREFOX}))
    assert deliver() == 1
    to, mail = sink.only()
    assert to == ALICE
    assert "Firefox on Linux" in text_of(mail)
    assert "UTC" in text_of(mail)


def test_in_the_language_of_the_request(client, alice, deliver, sink):
    assert_ok(change(client, alice, **{"Accept-Language": "de-AT"}))
    deliver()
    assert "Passwort" in text_of(sink.only()[1])


def test_nothing_of_the_request_is_in_the_mail_but_names(client, alice, deliver, sink):
    assert_ok(change(client, alice, **{"User-Agent": "www.evil.example/1 <b>Call +1 555</b> =?utf-8?q?x?="}))
    deliver()
    mail = sink.only()[1].as_string()
    assert "evil" not in mail
    assert "555" not in mail


def test_it_waits_from_the_write_that_changes_the_password(client, alice, database):
    assert_ok(change(client, alice))
    assert kinds_waiting(database) == ["password_changed"]


def test_a_refused_change_tells_nobody(client, alice, database):
    assert_problem(change(client, alice, current="wrong password"), 403, "password_wrong")
    assert "mails" not in database.users.find_one()


def test_a_change_by_an_operator_is_told_without_a_device(app, client, alice, deliver, sink):
    assert set_password(app).exit_code == 0
    assert deliver() == 1
    to, mail = sink.only()
    assert to == ALICE
    assert "with" not in text_of(mail).partition("If it was not you")[0]


def test_a_service_that_sends_no_mail_keeps_none(make_app, database):
    app = make_app(**PRODUCTION)
    assert state_of(app).mail is None
    client = app.test_client()
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    assert_ok(change(client, sign_in(client, ALICE)["token"]))
    assert set_password(app).exit_code == 0
    assert "mails" not in database.users.find_one()


@pytest.mark.parametrize("foreign", ["x", 7, {}, None, {"due": []}])
@pytest.mark.parametrize("by_operator", [False, True])
def test_what_another_stack_stored_makes_room(app, client, alice, database, deliver, sink, foreign, by_operator):
    database.users.update_one({}, {"$set": {"mails": foreign}})
    if by_operator:
        assert set_password(app).exit_code == 0
    else:
        assert_ok(change(client, alice))
    sign_in(client, ALICE, NEW)
    deliver()
    assert "password" in text_of(sink.only()[1])


def test_the_user_sees_no_waiting_mails(app, client, alice, database):
    database.users.update_one({}, {"$set": {"roles": ["admin"]}})
    token = assert_ok(change(client, alice))["token"]
    assert kinds_waiting(database) == ["password_changed"]
    for path in ("/users/me", "/admin/users", "/users/me/devices", "/auth/sessions"):
        assert "password_changed" not in assert_ok_text(client.get(path, headers=bearer(token)))
    listed = app.test_cli_runner().invoke(args=["users", "list", "--json"])
    assert "password_changed" not in listed.output
    assert ALICE in listed.output


def assert_ok_text(answer):
    assert_ok(answer)
    return answer.text
