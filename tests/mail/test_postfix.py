"""A real Postfix takes our mails over STARTTLS, and hands them on as they are."""

import pytest
import requests

from tests.conftest import ALICE, PASSWORD
from tests.mail import postfix
from tests.mail.sink import Sink, code_in, text_of, token_in
from tests.mail.test_what_waits_is_delivered import waiting
from tests.server.processes import wait_until

INTERNATIONAL = "jürgen@example.com"


@pytest.fixture(scope="module")
def sink():
    sink = Sink()
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture(scope="module")
def relay(authority, sink):
    with postfix.running(authority.certificate(postfix.NAME), sink.port) as (port, log):
        yield port, log


@pytest.fixture
def start(serve, sink, relay, authority):
    """``start()``: a service that sends by this Postfix, and trusts our authority unless told otherwise."""

    def start(**more):
        sink.got.clear()
        url = f"smtp://{postfix.NAME}:{relay[0]}"
        return serve(
            1, **{**sink.environment, "FLASK_SMTP_CA_FILE": str(authority.file), "FLASK_SMTP_URL": url, **more}
        )

    return start


def sign_up_and_ask(service, email):
    for path, body in (("/users", {"email": email, "password": PASSWORD}), ("/auth/reset", {"email": email})):
        answer = requests.post(service.url + path, json=body, timeout=30)
        assert answer.status_code in (201, 202), answer.text


@pytest.mark.parametrize("email", [ALICE, INTERNATIONAL])
def test_a_reset_arrives_over_tls_and_works(start, sink, email):
    service = start()
    sign_up_and_ask(service, email)
    wait_until(lambda: reset_mail(sink, email), 60)
    mail = reset_mail(sink, email)
    assert "with ESMTPS" in mail["Received"] or "with UTF8SMTPS" in mail["Received"]
    assert "using TLSv1.3" in mail["Received"]
    assert mail["Message-ID"].endswith("@example.com>")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["To"] == email
    assert code_in(mail)
    body = {"token": token_in(mail), "newPassword": "an even longer secret"}
    assert requests.put(f"{service.url}/auth/reset", json=body, timeout=30).status_code == 204


def reset_mail(sink, email):
    return next((mail for mail in sink.to(email) if "action=reset" in text_of(mail)), None)


def test_what_it_refuses_is_given_up_and_what_it_postpones_waits(start, sink, database):
    service = start()
    for email in (postfix.REFUSED, postfix.POSTPONED):
        sign_up_and_ask(service, email)
    for line in (
        '"mail_given_up", "kind": "reset", "reason": "554 5',
        '"mail_postponed", "kind": "reset", "reason": "450 4',
    ):
        wait_until(lambda line=line: f"{line}.7.1 at RCPT" in service.output(), 60)
    # a line is written before the database has what it says
    left = [(postfix.POSTPONED, False)] * 2  # the mail that proves the address, and the reset
    wait_until(lambda: [(mail.get("to", mail.get("email")), "claim" in mail) for mail in waiting(database)] == left)
    assert sink.got == []


def test_it_gets_nothing_if_its_certificate_is_not_accepted(start, sink, relay):
    service = start(FLASK_SMTP_CA_FILE="")
    before = relay[1].stat().st_size
    sign_up_and_ask(service, ALICE)
    wait_until(lambda: "mail_delivery_paused" in service.output(), 60)
    wait_until(lambda: "disconnect from" in relay[1].read_text()[before:])
    assert "client=" not in relay[1].read_text()[before:]  # no mail was begun
    assert sink.got == []
