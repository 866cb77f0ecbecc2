"""A mail goes to a server whose certificate is right, or nowhere; and what the server answers is told apart."""

import logging
import socket
import time
import traceback
from datetime import timedelta

import pytest

from authservice.config import ConfigurationError
from authservice.mail import transport
from authservice.mail.transport import Misconfigured, NotSent, Refused, Unavailable
from tests.conftest import ALICE, state_of
from tests.mail.conftest import FACTS
from tests.mail.relays import SMTP_PASSWORD, USER, Authority, Handler, Wire

SIGN_IN = f"{USER}:{SMTP_PASSWORD}@"


def with_sign_in(handler, **options):
    return {"handler": handler, "authenticator": handler.authenticate, **options}


def test_over_starttls_and_signed_in(start, post, named, authority):
    handler = Handler()
    relay = start(**with_sign_in(handler, tls_context=authority.server_context(), auth_required=True))
    post(f"smtp://{SIGN_IN}{named}:{relay.port}")
    assert (handler.recipients, handler.was_encrypted) == ([ALICE], [True])
    (mail,) = handler.mails
    assert (mail["From"], mail["To"]) == ("Shop <no-reply@shop.example>", ALICE)
    assert "1234 5678" in mail.get_body(("plain",)).get_content()


def test_over_tls_from_the_first_byte(start, post, named, authority):
    handler = Handler()
    options = {"ssl_context": authority.server_context(), "auth_require_tls": False}
    relay = start(**with_sign_in(handler, **options))
    post(f"smtps://{SIGN_IN}{named}:{relay.port}")
    assert (handler.recipients, handler.passwords) == ([ALICE], [SMTP_PASSWORD.encode()])


def test_without_tls_on_this_machine_alone(start, post):
    handler = Handler()
    relay = start(**with_sign_in(handler, auth_require_tls=False))
    post(f"smtp://{SIGN_IN}127.0.0.1:{relay.port}")
    post(f"smtp://localhost:{relay.port}")
    assert handler.recipients == [ALICE, ALICE]


WRONG = {"authority": "local issuer", "name": "Hostname mismatch", "date": "has expired"}


@pytest.fixture
def bad_context(request, authority, tmp_path):
    """A certificate that must not be accepted, by what is wrong with it, and how OpenSSL says so."""
    made = {
        "authority": lambda: Authority(tmp_path, "another authority").server_context(),
        "name": lambda: authority.server_context("another.example"),
        "date": lambda: authority.server_context(lives=timedelta(days=-1)),
    }
    return made[request.param](), WRONG[request.param]


@pytest.mark.parametrize("bad_context", WRONG, indirect=True)
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_with_a_wrong_certificate_gets_nothing(start, post, named, bad_context, scheme):
    handler = Handler()
    context, reason = bad_context
    options = {"tls_context": context} if scheme == "smtp" else {"ssl_context": context}
    relay = start(**with_sign_in(handler, **options, auth_require_tls=False))
    with pytest.raises(Misconfigured, match=f"certificate is not accepted: .*{reason}"):
        post(f"{scheme}://{SIGN_IN}{named}:{relay.port}")
    assert (handler.commands, handler.passwords) == ([], [])


def test_without_a_file_the_certificates_of_the_system_count(start, post, named, authority):
    handler = Handler()
    relay = start(handler, tls_context=authority.server_context())
    with pytest.raises(Misconfigured, match="certificate"):
        post(f"smtp://{named}:{relay.port}", SMTP_CA_FILE=None)
    assert handler.commands == []


def test_a_server_on_this_machine_that_offers_tls_is_checked_too(start, post, authority):
    handler = Handler()
    relay = start(**with_sign_in(handler, tls_context=authority.server_context("another.example")))
    with pytest.raises(Misconfigured, match="certificate"):
        post(f"smtp://{SIGN_IN}127.0.0.1:{relay.port}")
    assert (handler.commands, handler.passwords) == ([], [])


def test_another_machine_without_starttls_gets_nothing(start, post, named):
    handler = Handler()
    relay = start(**with_sign_in(handler, auth_require_tls=False))
    with pytest.raises(Misconfigured, match="offers no STARTTLS"):
        post(f"smtp://{SIGN_IN}{named}:{relay.port}")
    assert (handler.commands, handler.passwords) == ([], [])


def test_a_server_that_speaks_no_tls_where_it_should(start, post, named):
    relay = start()
    with pytest.raises(Misconfigured, match="TLS failed"):
        post(f"smtps://{named}:{relay.port}")


@pytest.mark.parametrize("name", ["nowhere.pem", "empty.pem", "text.pem", "."])
def test_certificates_that_cannot_be_read_stop_the_start(post, tmp_path, name):
    (tmp_path / "empty.pem").touch()
    (tmp_path / "text.pem").write_text("these are no certificates")
    with pytest.raises(ConfigurationError, match="FLASK_SMTP_CA_FILE cannot be read"):
        post("smtp://127.0.0.1:1", SMTP_CA_FILE=str(tmp_path / name))


def test_a_refused_sign_in_stops_all_mails_and_its_password_is_not_repeated(start, post, caplog):
    handler = Handler()
    relay = start(**with_sign_in(handler, auth_require_tls=False))
    with pytest.raises(Misconfigured, match=r"^535 5\.7\.8 at AUTH$") as raised:
        post(f"smtp://{USER}:wrong-hunter2@127.0.0.1:{relay.port}")
    assert handler.commands == []
    assert "wrong-hunter2" not in f"{raised.value!r}{raised.value.__cause__!r}{caplog.text}"


def test_a_server_that_lets_nobody_sign_in(start, post):
    with pytest.raises(Misconfigured, match="offers no sign-in"):
        post(f"smtp://{SIGN_IN}127.0.0.1:{start().port}")


@pytest.mark.parametrize(
    ("command", "answer", "means", "says"),
    [
        ("AUTH", "454 4.7.0 Temporary authentication failure", Unavailable, "454 4.7.0 at AUTH"),
        ("AUTH", "534 5.7.9 Authentication mechanism is too weak", Misconfigured, "534 5.7.9 at AUTH"),
        ("MAIL", "553 5.7.1 Sender address rejected", Misconfigured, "553 5.7.1 at MAIL"),
        ("MAIL", "530 5.7.0 Authentication required", Misconfigured, "530 5.7.0 at MAIL"),
        ("MAIL", "452 4.3.1 Insufficient system storage", Unavailable, "452 4.3.1 at MAIL"),
        ("RCPT", "550 5.1.1 <alice@example.com>: User unknown", Refused, "550 5.1.1 at RCPT"),
        ("RCPT", "450 4.2.0 Greylisted", Unavailable, "450 4.2.0 at RCPT"),
        ("RCPT", "421 Shutting down", Unavailable, "421 at RCPT"),
        ("RCPT", "530 Authentication required", Misconfigured, "530 at RCPT"),
        ("DATA", "554 5.7.1 Spam", Refused, "554 5.7.1 at DATA"),
        ("DATA", "451 4.3.0 Try again later", Unavailable, "451 4.3.0 at DATA"),
    ],
)
def test_what_a_refusal_means_and_nothing_of_its_words(start, post, command, answer, means, says):
    handler = Handler(answers={command: answer})
    relay = start(**with_sign_in(handler, auth_require_tls=False))
    with pytest.raises(NotSent) as raised:
        post(f"smtp://{SIGN_IN}127.0.0.1:{relay.port}")
    assert (type(raised.value), str(raised.value)) == (means, says)
    assert handler.mails == []


def hangs(connection, stopped):
    stopped.wait(30)


def drips(connection, stopped):
    while not stopped.wait(0.02):
        connection.sendall(b"2")


def closes(connection, stopped):
    connection.recv(1)


def talks_nonsense(connection, stopped):
    connection.sendall(b"\xff\xfe\0 nonsense\r\n" * 3)


def wants_nobody(connection, stopped):
    connection.sendall(b"554 no service here\r\n")


def never_answers_the_content(connection, stopped):
    say_until(connection, b".\r\n", stopped)


def says_no_goodbye(connection, stopped):
    say_until(connection, b"QUIT\r\n", stopped)


def say_until(connection, end, stopped):
    """A server that accepts everything, and hangs at the line ``end``."""
    connection.sendall(b"220 ready\r\n")
    is_content = False
    for line in connection.makefile("rb"):
        if line == end:
            stopped.wait(30)
            return
        if not is_content:
            connection.sendall(b"354 go on\r\n" if line == b"data\r\n" else b"250 fine\r\n")
            is_content = line == b"data\r\n"
        elif line == b".\r\n":
            connection.sendall(b"250 fine\r\n")
            is_content = False


@pytest.fixture
def wire(monkeypatch):
    """``wire(talk)``: a server of few or odd words. One that hangs is waited for a moment."""
    running = []
    monkeypatch.setattr(transport, "STEP_SECONDS", 0.4)
    monkeypatch.setattr(transport, "CONVERSATION_SECONDS", 1.2)

    def wire(talk):
        running.append(Wire(talk))
        return running[-1].port

    yield wire
    for one in running:
        one.stop()


@pytest.mark.parametrize("talk", [hangs, drips, closes, talks_nonsense, wants_nobody, never_answers_the_content])
def test_a_server_that_hangs_or_talks_nonsense_may_do_better_later(wire, post, talk):
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        post(f"smtp://127.0.0.1:{wire(talk)}")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("talk", [hangs, drips, closes])
def test_so_does_one_that_should_speak_tls(wire, post, named, talk):
    with pytest.raises(NotSent):
        post(f"smtps://{named}:{wire(talk)}")


def test_a_mail_that_the_server_has_taken_is_sent_even_if_it_says_no_goodbye(wire, post):
    post(f"smtp://127.0.0.1:{wire(says_no_goodbye)}")


def test_a_server_that_is_not_there(post, wire):
    running = Wire(hangs)
    running.stop()
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        post(f"smtp://127.0.0.1:{running.port}")


INTERNATIONAL = "jürgen@example.com"


def test_an_international_address_needs_a_server_that_knows_them(start, post):
    handler = Handler()
    post(f"smtp://127.0.0.1:{start(handler).port}", to=INTERNATIONAL)
    assert (handler.recipients, handler.mails[0]["To"]) == ([INTERNATIONAL], INTERNATIONAL)
    assert f"To: {INTERNATIONAL}\r\n".encode() in handler.contents[0]
    old = Handler()
    with pytest.raises(Refused, match="SMTPUTF8"):
        post(f"smtp://127.0.0.1:{start(old, enable_SMTPUTF8=False).port}", to=INTERNATIONAL)
    assert old.commands == []


def test_an_international_address_that_a_server_refuses_holds_up_nobody_else(start, post):
    """Anybody can ask for a mail to one. If it counted as a wrong setting, all mails would wait."""
    relay = start(Handler(answers={"MAIL": "555 5.5.4 Unsupported option: SMTPUTF8"}))
    with pytest.raises(Refused, match=r"^555 5\.5\.4 at MAIL$"):
        post(f"smtp://127.0.0.1:{relay.port}", to=INTERNATIONAL)


@pytest.mark.parametrize("knows", [True, False])
def test_an_international_domain_reaches_every_server_in_ascii(start, post, knows):
    handler = Handler()
    post(f"smtp://127.0.0.1:{start(handler, enable_SMTPUTF8=knows).port}", to="Alice@exämple.com")
    in_ascii = "Alice@xn--exmple-cua.com"
    assert (handler.recipients, handler.mails[0]["To"]) == ([in_ascii], in_ascii)


@pytest.mark.parametrize(
    "stored",
    ["", "alice", "a@b@example.com", "alice@example.com, bob@example.com", "a@example.com>\r\nRCPT TO:<b@c.de"],
)
def test_what_another_stack_stored_and_is_no_address_is_never_sent_to(start, post, stored):
    handler = Handler()
    with pytest.raises(Refused):
        post(f"smtp://127.0.0.1:{start(handler).port}", to=stored)
    assert handler.commands == []


def test_a_connection_that_took_all_the_time_gets_nothing(start, wire, post, monkeypatch):
    handler = Handler()
    relay = start(handler)
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: time.sleep(1.5) or look_up(*args, **more))
    with pytest.raises(Unavailable, match="took too long"):
        post(f"smtp://127.0.0.1:{relay.port}")
    assert handler.commands == []


@pytest.mark.parametrize(
    "answers", [{}, {"AUTH": "535 no"}, {"MAIL": "550 no"}, {"RCPT": "550 no"}, {"DATA": "550 no"}]
)
def test_no_failure_shows_a_password_a_link_or_a_code(start, post, make_app, caplog, answers):
    caplog.set_level(logging.DEBUG)
    relay = start(**with_sign_in(Handler(answers=answers), auth_require_tls=False))
    shown = ""
    try:
        post(f"smtp://{SIGN_IN}127.0.0.1:{relay.port}")
    except NotSent as error:
        shown = "".join(traceback.format_exception(error))
    assert bool(shown) == bool(answers)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("mail.")]  # aiosmtpd
    for secret in (SMTP_PASSWORD, FACTS["link"], "t0ken", FACTS["code"], "1234 5678"):
        assert secret not in shown + "".join(ours)


def test_no_part_of_the_app_shows_the_password(make_app):
    app = make_app(SMTP_URL=f"smtp://{SIGN_IN}127.0.0.1", MAIL_FROM="a@shop.example", APP_URL="https://shop.example/")
    mail = state_of(app).mail
    assert SMTP_PASSWORD not in repr([mail, mail.relay, app.config, dict(state_of(app).settings)])
