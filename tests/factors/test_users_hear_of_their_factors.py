"""Each change of the second factor is told to its user by mail, from the very write that makes it."""

import pytest

from tests.conftest import ALICE, bearer
from tests.factors.enrolling import code_of, confirm, enrol, set_up, wrong_code
from tests.mail.sink import text_of
from tests.notices.production import PRODUCTION

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"


def waiting(stored):
    return [(mail["kind"], mail["facts"].get("factor")) for mail in stored().get("mails", [])]


def test_of_an_app_that_is_added_with_the_device(client, alice, deliver, sink, stored):
    secret = set_up(client, alice)
    confirm(client, alice, wrong_code(secret))
    assert waiting(stored) == []
    confirm(client, alice, code_of(secret), **{"User-Agent": FIREFOX, "Accept-Language": "de"})
    assert waiting(stored) == [("factor_added", "totp")]
    assert deliver() == 1
    to, mail = sink.only()
    assert to == ALICE
    assert "Authenticator-App eingerichtet" in text_of(mail)
    assert "Firefox on Linux" in text_of(mail)


def test_of_an_app_that_is_removed(client, enrolled, deliver, sink, stored):
    deliver()
    sink.got.clear()
    headers = {**bearer(enrolled[1]["token"]), "User-Agent": FIREFOX}
    assert client.delete("/users/me/totp", headers=headers).status_code == 204
    assert waiting(stored) == [("factor_removed", "totp")]
    deliver()
    assert "The authenticator app" in text_of(sink.only()[1])


def test_a_service_that_sends_no_mail_keeps_none(make_app, alice, stored):
    silent = make_app(**PRODUCTION, MAIL_FROM=None, APP_URL=None).test_client()
    _, answer = enrol(silent, alice)
    assert silent.delete("/users/me/totp", headers=bearer(answer["token"])).status_code == 204
    assert "mails" not in stored()


@pytest.mark.parametrize("foreign", ["x", 7, {}, None])
def test_what_another_stack_stored_as_mails_makes_room(client, alice, database, stored, foreign):
    database.users.update_one({}, {"$set": {"mails": foreign}})
    enrol(client, alice)
    assert waiting(stored) == [("factor_added", "totp")]
