"""``mails list|show|retry|deliver|test`` and ``users verify``: what operators see and do, without links and codes."""

import json
from datetime import timedelta

import pytest

from authservice.mail import kinds
from authservice.security import one_time
from authservice.store.clock import now
from tests.conftest import ALICE, CHARLIE, make_account
from tests.mail.test_what_waits_is_delivered import ask, put, waiting


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings}


@pytest.fixture
def call(app):
    return lambda *arguments: app.test_cli_runner().invoke(args=[*arguments])


def test_what_waits_is_listed_shown_retried_and_delivered(app, database, call, sink):
    mail = put(app, database, kind=kinds.new_device, facts={"device": "Firefox on Linux"})
    ask(app, kinds.sign_up, CHARLIE)
    later = now() + timedelta(hours=1)
    database.users.update_one({}, {"$set": {"mails.0.due": later, "mails.0.tries": 7}})
    listed = call("mails", "list")
    assert (listed.exit_code, listed.stderr) == (0, "")
    first, second = listed.stdout.splitlines()
    assert first.split()[1:3] == ["sign_up", CHARLIE]
    assert second.split() == [
        mail.id,
        "new_device",
        ALICE,
        mail.at.isoformat(timespec="seconds"),
        later.isoformat(timespec="seconds"),
        "7",
    ]
    as_json = [json.loads(line) for line in call("mails", "list", "--json").stdout.splitlines()]
    shown = call("mails", "show", mail.id)
    assert json.loads(shown.stdout) == as_json[1]
    assert as_json[1]["facts"] == {"device": "Firefox on Linux"}
    assert as_json[1]["userId"] == str(database.users.find_one()["_id"])
    assert as_json[0]["userId"] is None

    assert call("mails", "deliver", "--once").stdout == "1 sent.\n"
    assert call("mails", "retry", mail.id).stdout == "1 are due now.\n"
    assert call("mails", "deliver", "--once").stdout == "1 sent.\n"
    assert sorted(to for to, _ in sink.got) == [ALICE, CHARLIE]
    empty = call("mails", "list")
    assert (empty.exit_code, empty.output) == (0, "")


def test_all_are_retried_but_those_that_are_being_sent(app, database, call):
    put(app, database)
    ask(app, kinds.sign_up, CHARLIE)
    later = now() + timedelta(hours=1)
    database.users.update_one({}, {"$set": {"mails.0.due": later}})
    database.mailRequests.update_one({}, {"$set": {"due": later, "claim": "of a deliverer"}})
    assert call("mails", "retry").stdout == "1 are due now.\n"
    assert database.users.find_one()["mails"][0]["due"] <= now()
    assert database.mailRequests.find_one()["due"] > now()


def test_no_command_shows_a_link_or_a_code(app, database, call):
    mail = put(app, database)
    ask(app, kinds.reset, ALICE)
    asked = database.mailRequests.find_one()
    with app.app_context():
        made = [(mail.kind, mail.id, mail.at, mail.to), ("reset", asked["_id"], asked["at"], ALICE)]
        usable = [one for parts in made for one in (one_time.link_token(*parts).split(".")[1], one_time.code(*parts))]
    usable += [handle["id"] for handle in asked["handles"]]
    commands = (["list"], ["list", "--json"], ["show", mail.id], ["show", asked["_id"]])
    output = "".join(call("mails", *command).output for command in commands)
    assert output.count(ALICE) == 6
    assert [secret for secret in usable if secret in output] == []


def test_what_a_stranger_wrote_moves_no_cursor(app, database, call):
    odd = "m\u00fcller\x9b2J\u202e@example.com"
    mail = put(app, database, to=odd, facts={"device": "curl\x1b[2J"})
    for command in (["list"], ["list", "--json"], ["show", mail.id], ["show", "\x1b[2J"]):
        output = call("mails", *command).output
        assert all(one.isprintable() for one in output.replace("\n", ""))


@pytest.mark.parametrize("command", ["show", "retry"])
def test_a_mail_that_is_gone_is_named_as_such(call, command):
    ended = call("mails", command, "gone")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "no mail with this id waits" in ended.stderr


def test_a_test_mail_says_what_the_mail_server_answers(call, sink):
    sent = call("mails", "test", ALICE)
    assert (sent.exit_code, sent.output) == (0, "The mail server has taken the mail.\n")
    assert [to for to, _ in sink.got] == [ALICE]
    for at, answer, said in (
        ("RCPT", "550 5.1.1 nobody", "the mail server refuses it: 550 5.1.1 at RCPT"),
        ("RCPT", "450 4.2.0 later", "it cannot be sent now: 450 4.2.0 at RCPT"),
        ("MAIL", "550 5.7.1 not you", "no mail can be sent: 550 5.7.1 at MAIL. See FLASK_SMTP_URL and FLASK_MAIL_FROM"),
    ):
        sink.answers = {at: answer}
        refused = call("mails", "test", ALICE)
        assert (refused.exit_code, refused.output) == (1, f"Error: {said}.\n")
    assert call("mails", "test", "nobody").exit_code == 2


def test_without_a_mail_server_a_test_mail_is_a_file(make_app, tmp_path, settings):
    del settings["SMTP_URL"]
    runner = make_app(INSTANCE_PATH=str(tmp_path)).test_cli_runner()
    written = runner.invoke(args=["mails", "test", ALICE])
    assert (written.exit_code, written.output) == (0, f"Written to {tmp_path / 'outbox'}.\n")
    assert len([*(tmp_path / "outbox").iterdir()]) == 1


def test_an_operator_verifies_an_address(app, client, database, call):
    make_account(client, ALICE)
    put(app, database)
    verified = call("users", "verify", ALICE)
    assert (verified.exit_code, verified.output) == (0, f"{ALICE} is verified.\n")
    assert timedelta(0) <= now() - database.users.find_one()["emailVerifiedAt"] < timedelta(minutes=1)
    assert call("mails", "deliver", "--once").stdout == "0 sent.\n"  # the mail that asks for it is needless now
    assert waiting(database) == []
    assert call("users", "verify", CHARLIE).exit_code == 1


def test_an_operator_gives_an_address_its_mails_back(app, database, call):
    for _ in range(4):
        ask(app, kinds.reset, ALICE)
    shown = call("limits", "show", ALICE).stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["mails_again", "mails_day", "mails_hour"]
    assert call("limits", "clear", ALICE).stdout == "3 cleared.\n"
    database.mailRequests.update_one({}, {"$unset": {"due": ""}})
    ask(app, kinds.reset, ALICE)
    assert len(waiting(database)) == 1


def test_a_database_that_is_away_is_reported(make_app, settings):
    runner = make_app(MONGO_URI="mongodb://127.0.0.1:1/x", MONGO_TIMEOUT_MS=100).test_cli_runner()
    for command in (["list"], ["retry"], ["deliver", "--once"]):
        assert runner.invoke(args=["mails", *command]).exit_code == 3
