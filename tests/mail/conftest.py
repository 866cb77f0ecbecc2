"""Mail servers with and without TLS, and apps that send through them."""

import socket

import pytest

from authservice.mail.kinds import reset
from authservice.mail.render import render
from authservice.mail.transport import send
from tests.conftest import ALICE
from tests.mail import relays

FACTS = {"link": "https://shop.example/?action=reset&token=t0ken", "code": "12345678"}


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return relays.Authority(tmp_path_factory.mktemp("authority"), "the authority")


@pytest.fixture
def named(monkeypatch):
    """relay.example is a name like that of any mail server, and its address is on loopback."""
    look_up = socket.getaddrinfo

    def answer(host, *args, **kwargs):
        return look_up("127.0.0.1" if host == relays.NAME else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return relays.NAME


@pytest.fixture
def start(named):
    """``start(**options of aiosmtpd)``: a mail server, which is stopped after the test. Its handler has what it got."""
    running = []

    def start(handler=None, **options):
        running.append(relays.start(handler or relays.Handler(), **options))
        return running[-1]

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def post(make_app, authority):
    """``post(url)``: send a mail to Alice, or ``to`` another address, through the server at the URL."""

    def post(url, to=ALICE, **settings):
        app = make_app(
            **{
                "SMTP_URL": url,
                "SMTP_CA_FILE": str(authority.file),
                "MAIL_FROM": "Shop <no-reply@shop.example>",
                "APP_URL": "https://shop.example/",
                **settings,
            }
        )
        with app.app_context():
            send(render(reset, "en", FACTS, to, "id of the mail"), to)

    return post
