"""Workers deliver, or a process of its own. An end in the middle loses nothing, and doubles only the same mail."""

import os
import signal
import subprocess
import sys
from threading import Event, Timer

import pytest

from authservice.mail import kinds
from authservice.store.clock import now
from tests.conftest import ALICE, SECRET
from tests.mail.sink import code_in, text_of, token_in
from tests.mail.test_what_waits_is_delivered import hurry, put, waiting
from tests.server.processes import wait_until
from tests.service import ROOT


@pytest.fixture
def start(mongo_uri, sink):
    """``start("--once")``: a process of ``authservice mails deliver``."""
    running = []

    def start(*options):
        environment = {
            **os.environ,
            **sink.environment,
            "FLASK_MONGO_URI": mongo_uri,
            "FLASK_JWT_SECRET_KEY": SECRET,
        }
        command = [sys.executable, "-m", "authservice", "mails", "deliver", *options]
        running.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def put_many(app, database, number):
    emails = [f"user{one}@example.com" for one in range(number)]
    for email in emails:
        put(app, database, email)
    return emails


def test_the_workers_send_sixty_mails_once_each(app, serve, database, sink):
    serve(workers=2, **sink.environment)
    emails = put_many(app, database, 60)
    wait_until(lambda: not waiting(database), 60)
    assert sorted(to for to, _ in sink.got) == sorted(emails)


def test_workers_that_end_finish_what_they_send(app, serve, database, sink):
    may_answer = Event()
    sink.before_answer = lambda: may_answer.wait(15)
    service = serve(workers=2, **sink.environment)
    put(app, database)
    wait_until(lambda: sink.got)
    service.signal(signal.SIGTERM)
    slow = Timer(4, may_answer.set)  # longer than workers take to end that have nothing to finish
    slow.start()
    assert service.stop() == 0
    slow.join()
    assert len(sink.got) == 1
    assert waiting(database) == []


def test_with_delivery_off_a_process_of_its_own_delivers_until_it_is_told_to_end(app, serve, start, database, sink):
    service = serve(workers=1, FLASK_MAIL_DELIVERY="off", **sink.environment)
    put(app, database)
    process = start()
    wait_until(lambda: sink.got and not waiting(database))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    put(app, database)
    service.signal(signal.SIGHUP)
    wait_until(lambda: service.output().count("Booting worker") == 2)
    assert service.stop() == 0
    assert len(sink.got) == 1
    assert len(waiting(database)) == 1


def test_a_kill_between_sending_and_acknowledging_doubles_the_same_mail(app, start, database, sink):
    put(app, database)
    started = Event()

    def kill():
        assert started.wait(30)
        first.kill()
        first.wait(20)

    sink.before_answer = kill
    first = start("--once")
    started.set()
    assert first.wait(60) == -signal.SIGKILL
    sink.before_answer = lambda: None
    (claimed,) = waiting(database)
    assert claimed["tries"] == 1
    assert claimed["due"] > now()

    again = start("--once")
    assert b"0 sent." in again.communicate(timeout=60)[0]  # the lease has not ended
    hurry(database)
    again = start("--once")
    assert b"1 sent." in again.communicate(timeout=60)[0]
    (to, one), (same_to, other) = sink.got
    assert to == same_to == ALICE
    assert one["Message-ID"] == other["Message-ID"]
    assert text_of(one) == text_of(other)
    assert (token_in(one), code_in(one)) == (token_in(other), code_in(other))
    assert waiting(database) == []


def wait_until_more_is_sent(database, sink):
    before = len(sink.got)
    wait_until(lambda: len(sink.got) > before or not waiting(database))


def test_workers_that_are_killed_while_sixty_mails_wait_lose_none(app, serve, database, sink):
    """Also the mail server is away at first."""
    sink.stop()
    service = serve(workers=2, **sink.environment)
    emails = put_many(app, database, 60)
    wait_until(lambda: any(mail["tries"] for mail in waiting(database)))
    sink.start()
    for _ in range(3):
        hurry(database)  # there is no live claim
        wait_until_more_is_sent(database, sink)
        for pid in service.workers():
            os.kill(pid, signal.SIGKILL)
    hurry(database)
    wait_until(lambda: not waiting(database), 60)
    by_address = {email: {(m["Message-ID"], token_in(m), code_in(m)) for m in sink.to(email)} for email in emails}
    assert {len(different) for different in by_address.values()} == {1}
    print(f"{len(sink.got)} mails for {len(emails)}")


def test_an_installation_without_mail_says_so(make_app):
    production = {
        "ENV": "production",
        "BCRYPT_LOG_ROUNDS": 10,
        "CORS_ORIGINS": "https://app.example.com",
        "METRICS": "off",
        "TRUSTED_PROXIES": 0,
        "JWT_SECRET_KEY": SECRET,
    }
    runner = make_app(**production).test_cli_runner()
    for command in (["deliver", "--once"], ["test", ALICE]):
        ended = runner.invoke(args=["mails", *command])
        assert ended.exit_code == 1
        assert "set FLASK_SMTP_URL" in ended.stderr


def test_a_mail_of_each_kind_can_be_sent(app, database, sink, make_app):
    made = make_app(**sink.settings)
    for kind in kinds.BY_NAME.values():
        to = "new@example.com" if kind is kinds.email_change else ALICE
        put(made, database, to=to, kind=kind, asking="0f" * 16, facts={"device": "Firefox on Linux", "factor": "totp"})
    database.users.update_one({}, {"$set": {"emailChange": {"to": "new@example.com", "asking": "0f" * 16}}})
    sent = made.test_cli_runner().invoke(args=["mails", "deliver", "--once"])
    assert (sent.exit_code, sent.output) == (0, f"{len(kinds.BY_NAME)} sent.\n")
