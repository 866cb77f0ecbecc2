"""A mail server with a wrong certificate: nothing is sent, the operator hears of it, and the mail waits."""

import json

import pytest

from tests.conftest import ALICE
from tests.mail import relays
from tests.mail.relays import Authority, Handler
from tests.mail.sink import Sink
from tests.mail.test_what_waits_is_delivered import put, waiting
from tests.server.processes import wait_until
from tests.server.test_metrics import figure


@pytest.fixture(params=["another authority", "another name"])
def context(request, authority, tmp_path):
    if request.param == "another name":
        return authority.server_context("another.example")
    return Authority(tmp_path, "another authority").server_context("localhost")


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_an_alarm_and_no_mail(app, serve, database, authority, context, scheme):
    handler = Handler()
    options = {"tls_context": context} if scheme == "smtp" else {"ssl_context": context}
    relay = relays.start(handler, **options)
    try:
        put(app, database, ALICE)
        url = f"{scheme}://localhost:{relay.port}"
        more = {"FLASK_SMTP_URL": url, "FLASK_SMTP_CA_FILE": str(authority.file)}
        service = serve(1, **{**Sink().environment, **more})
        wait_until(lambda: "mail_delivery_paused" in service.output(), 60)
        wait_until(lambda: figure(service.url, "authservice_mails_delivery_paused") == 1)
        # the line is written before the claim is given back
        wait_until(lambda: [mail["tries"] for mail in waiting(database) if "claim" not in mail] == [0])
    finally:
        relay.stop()
    (alarm,) = [json.loads(line) for line in service.output().splitlines() if "mail_delivery_paused" in line]
    assert alarm["level"] == "error"
    assert "certificate is not accepted" in alarm["reason"]
    assert handler.commands == []
