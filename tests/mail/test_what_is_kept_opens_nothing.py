"""Nobody who reads the whole database or the logs finds a link or a code in it."""

import logging

import pytest
from bson.json_util import dumps

from authservice.mail import kinds
from authservice.mail.deliver import Deliverer
from tests import leaks
from tests.api.answers import assert_ok
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, bearer, sign_in
from tests.mail.sink import code_in, text_of, token_in
from tests.mail.test_what_waits_is_delivered import put

NEW = "an even longer secret"


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings}


def dump(database):
    """All documents of all collections."""
    return dumps([[*database[name].find()] for name in database.list_collection_names()])


def test_a_dump_at_any_moment(app, client, database, sink):
    dumps = []

    def deliver():
        dumps.append(dump(database))
        Deliverer(app).deliver_due()
        dumps.append(dump(database))

    for email in (ALICE, BOB):
        assert_ok(client.post("/users", json={"email": email, "password": PASSWORD}), 201)
    for email in (ALICE, BOB, CHARLIE):
        assert_ok(client.post("/auth/reset", json={"email": email}), 202)
    deliver()
    reset = next(mail for mail in sink.to(ALICE) if "action=reset" in text_of(mail))
    body = {"token": token_in(reset), "newPassword": NEW}
    assert client.put("/auth/reset", json=body).status_code == 204
    change = {"newEmail": "alice@new.example", "currentPassword": NEW}
    session = bearer(sign_in(client, ALICE, NEW)["token"])
    assert client.put("/users/me/email", json=change, headers=session).status_code == 202
    deliver()
    confirmed = {"token": token_in(sink.to("alice@new.example")[-1])}
    assert client.put("/users/me/email/confirmation", json=confirmed, headers=session).status_code == 204
    for kind in (kinds.verification, kinds.email_changed):
        put(app, database, BOB, kind=kind)
    deliver()
    dumps.append(dump(database))

    everything = "".join(dumps)
    assert ALICE in everything
    assert "mailRequests" in database.list_collection_names()
    links = [token_in(mail) for _, mail in sink.got if "token=" in text_of(mail)]
    codes = [code_in(mail) for _, mail in sink.got if "action=undo" not in text_of(mail) and "token=" in text_of(mail)]
    assert len(links) >= 5
    assert len(codes) >= 4
    for token in links:
        assert token not in everything
        assert token.rsplit(".", 1)[1] not in everything
    for code in codes:
        assert code not in everything
        assert f"{code[:4]} {code[4:]}" not in everything


@pytest.mark.parametrize("written", ["token", "code", "code as shown"])
def test_a_log_line_with_a_link_or_a_code_is_found(app, client, database, sink, written, caplog):
    """At the end of the run, tests/conftest.py looks for them in all that the service has logged."""
    put(app, database)
    assert Deliverer(app).deliver_due() == 1
    _, mail = sink.only()
    code = code_in(mail)
    shown = {"token": token_in(mail), "code": code, "code as shown": f"{code[:4]} {code[4:]}"}[written]
    logging.getLogger("another").warning("see %s, please", shown)
    assert leaks.lines_with_secrets(caplog.text) == [caplog.text.rstrip("\n")]
