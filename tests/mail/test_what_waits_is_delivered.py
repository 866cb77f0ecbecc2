"""What waits is delivered once, when the mail server takes it, and only if it is still true."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from authservice import metrics
from authservice.errors import DatabaseUnavailable
from authservice.mail import deliver, kinds, letters, queue, requests
from authservice.mail.deliver import Deliverer
from authservice.security import one_time
from authservice.store import mails
from authservice.store.clock import now
from tests.api.answers import captured_log
from tests.conftest import ALICE, BOB, CHARLIE, make_account
from tests.mail.sink import code_in, text_of, token_in
from tests.server.processes import wait_until

OLD = "alice@old.example"


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings}


@pytest.fixture
def deliverer(app):
    return Deliverer(app)


def put(app, database, email=ALICE, kind=kinds.verification, to=None, **given):
    """A user with a mail that waits."""
    with app.app_context():
        mail = queue.new(kind, to or email, **given)
    database.users.update_one({"email": email}, {"$push": mails.pushed(mail)}, upsert=True)
    return mail


def ask(app, kind, email, language=None):
    with app.app_context():
        return requests.ask(kind.name, email, language)


def waiting(database):
    """All that waits, of users and of strangers."""
    of_users = [mail for user in database.users.find() for mail in user.get("mails", [])]
    return [*of_users, *database.mailRequests.find({"due": {"$exists": True}})]


def hurry(database):
    """Whatever is postponed is due now."""
    database.users.update_many({"mails.0": {"$exists": True}}, {"$set": {"mails.$[].due": now()}})
    database.mailRequests.update_many({"due": {"$exists": True}}, {"$set": {"due": now()}})


def value(metric, *labels):
    return (metric.labels(*labels) if labels else metric)._value.get()


def test_a_mail_has_the_link_and_the_code_that_are_checked_later(app, database, deliverer, sink):
    sent = value(metrics.mails_sent, "verification")
    mail = put(app, database)
    assert deliverer.deliver_due() == 1
    to, message = sink.only()
    assert to == ALICE
    with app.app_context():
        made_of = (mail.kind, mail.id, mail.at, mail.to)
        assert one_time.matches_token(token_in(message), *made_of)
        assert one_time.matches_code(code_in(message), *made_of)
    assert waiting(database) == []
    assert deliverer.deliver_due() == 0
    assert value(metrics.mails_sent, "verification") == sent + 1


def test_the_language_is_the_users_own_else_that_of_the_asking(app, database, deliverer, sink):
    put(app, database, ALICE, language="de")
    put(app, database, BOB, language="en")
    database.users.update_one({"email": BOB}, {"$set": {"language": "de"}})
    put(app, database, CHARLIE)
    assert deliverer.deliver_due() == 3
    subjects = {to: message["Subject"] for to, message in sink.got}
    assert subjects[ALICE] == subjects[BOB] != subjects[CHARLIE]


def test_a_reset_goes_to_the_stored_address_of_an_account_and_to_nobody_else(app, client, database, deliverer, sink):
    make_account(client, ALICE)
    database.users.update_one({"email": ALICE}, {"$set": {"email": "Alice@Example.com"}})
    database.users.insert_one({"email": BOB, "disabledAt": now()})
    handle = ask(app, kinds.reset, ALICE)
    for email in (BOB, CHARLIE):
        ask(app, kinds.reset, email)
    assert deliverer.deliver_due() == 1
    to, message = sink.only()
    assert to == "Alice@example.com" or to == "Alice@Example.com"
    assert waiting(database) == []
    with app.app_context():
        assert requests.find_by_token("reset", token_in(message)).email == ALICE
        assert requests.find_by_code("reset", handle, code_in(message)).email == ALICE


def test_a_private_sign_up_gets_a_link_or_is_told_of_the_account(app, client, database, deliverer, sink):
    make_account(client, ALICE)
    for email in (ALICE, CHARLIE):
        ask(app, kinds.sign_up, email)
    assert deliverer.deliver_due() == 2
    assert "token=" not in text_of(sink.to(ALICE)[0])
    with app.app_context():
        assert requests.find_by_token("sign_up", token_in(sink.to(CHARLIE)[0])).email == CHARLIE


def test_after_a_new_password_the_second_asking_of_a_half_hour_has_a_good_link(app, client, database, deliverer, sink):
    make_account(client, ALICE)
    ask(app, kinds.reset, ALICE)
    assert deliverer.deliver_due() == 1
    changed_at = now()
    database.users.update_one({"email": ALICE}, {"$set": {"passwordChangedAt": changed_at}})
    database.limits.delete_many({})
    ask(app, kinds.reset, ALICE)
    assert deliverer.deliver_due() == 1
    (_, first), (_, second) = sink.got
    assert token_in(first) != token_in(second)
    assert first["Message-ID"] != second["Message-ID"]
    with app.app_context():
        assert requests.find_by_token("reset", token_in(first)) is None
        assert requests.find_by_token("reset", token_in(second)).at > changed_at


def test_a_mail_that_was_asked_for_before_a_new_password_is_not_sent(app, client, database, deliverer, sink):
    make_account(client, ALICE)
    ask(app, kinds.reset, ALICE)
    database.users.update_one({"email": ALICE}, {"$set": {"passwordChangedAt": now()}})
    assert deliverer.deliver_due() == 0
    assert (sink.got, waiting(database)) == ([], [])


def test_asking_again_repeats_link_and_code_in_a_mail_of_its_own(app, client, database, deliverer, sink):
    """Mail servers drop a second mail that has the same Message-ID."""
    make_account(client, ALICE)
    for _ in range(2):
        ask(app, kinds.reset, ALICE)
        assert deliverer.deliver_due() == 1
        database.limits.delete_many({})
    (_, first), (_, second) = sink.got
    assert (token_in(first), code_in(first)) == (token_in(second), code_in(second))
    assert first["Message-ID"] != second["Message-ID"]


def test_a_resend_to_a_user_repeats_link_and_code_in_a_mail_of_its_own(app, database, deliverer, sink):
    first = put(app, database, asking="5c0dc18d349bc9479600c171~1")
    put(app, database, asking=first.asking, at=first.at)
    assert deliverer.deliver_due() == 2
    (_, one), (_, other) = sink.got
    assert token_in(one).startswith("5c0dc18d349bc9479600c171~1.")
    assert (token_in(one), code_in(one)) == (token_in(other), code_in(other))
    assert one["Message-ID"] != other["Message-ID"]


@pytest.mark.parametrize(
    ("kind", "since"),
    [
        (kinds.verification, {"disabledAt": now()}),
        (kinds.verification, {"email": BOB}),
        (kinds.verification, {"emailVerifiedAt": now()}),
        (kinds.verification, {"mails.0.at": now() - timedelta(minutes=31)}),
        (kinds.email_change, {}),  # nothing is pending
        (kinds.email_change, {"emailChange": {"to": CHARLIE}}),
        (kinds.password_changed, {"mails.0.at": now() - timedelta(days=4)}),
        (kinds.verification, {"mails.0.kind": "of a later version"}),
    ],
)
def test_what_is_no_longer_true_is_not_sent(app, database, deliverer, sink, kind, since):
    put(app, database, kind=kind, to=BOB if kind is kinds.email_change else ALICE)
    if since:
        database.users.update_one({"email": ALICE}, {"$set": since})
    assert deliverer.deliver_due() == 0
    assert (sink.got, waiting(database)) == ([], [])


def test_what_changes_between_the_claim_and_the_sending_counts(app, database, sink):
    put(app, database)
    with app.app_context():
        claim_next = mails.claim_next
        database.users.update_one({"email": ALICE}, {"$set": {"disabledAt": now()}})
        assert claim_next().recipient.is_disabled


def test_a_notice_reaches_the_address_that_it_is_about_whatever_a_thief_does(app, database, deliverer, sink):
    put(app, database, kind=kinds.password_changed, facts={"device": "Firefox on Linux"})
    put(app, database, kind=kinds.email_changed, to=OLD)
    database.users.update_one({"email": ALICE}, {"$set": {"email": "thief@example.com", "disabledAt": now()}})
    assert deliverer.deliver_due() == 2
    assert "Firefox on Linux" in text_of(sink.to(ALICE)[0])
    assert "token=" in text_of(sink.to(OLD)[0])


def test_a_thiefs_flood_pushes_no_notice_out(app, database, deliverer, sink):
    for number in range(30):
        put(app, database, kind=kinds.new_device, facts={"device": f"curl{number}"})
    put(app, database, kind=kinds.password_changed)
    put(app, database, kind=kinds.email_changed, to=OLD)
    for _ in range(30):
        put(app, database, kind=kinds.verification)
    assert deliverer.deliver_due() == mails._MAILS_MAX
    texts = [text_of(message) for message in sink.to(ALICE)]
    assert len(sink.to(OLD)) == 1
    assert any("curl0" in text for text in texts)
    assert not any("token=" in text for text in texts)


def test_two_deliverers_send_each_of_sixty_mails_once(make_app, database, sink):
    apps = [make_app(), make_app()]
    emails = [f"user{number}@example.com" for number in range(60)]
    for email in emails[:40]:
        put(apps[0], database, email)
    for email in emails[40:]:
        ask(apps[0], kinds.sign_up, email)
    with ThreadPoolExecutor(2) as threads:
        sent = [*threads.map(lambda app: Deliverer(app).deliver_due(), apps)]
    while waiting(database):  # both may have looked at the last ones at the same moment
        sent.append(Deliverer(apps[0]).deliver_due())
    assert sum(sent) == 60
    assert sorted(to for to, _ in sink.got) == sorted(emails)


def test_while_the_mail_server_is_away_all_is_kept_and_then_arrives(app, database, deliverer, sink):
    sink.stop()
    emails = [f"user{number}@example.com" for number in range(20)]
    for email in emails:
        put(app, database, email)
    with captured_log() as log:
        assert deliverer.deliver_due() == 0
    assert '"mail_postponed"' in log.getvalue()
    assert not any(email in log.getvalue() for email in emails)
    assert len(waiting(database)) == 20
    tried = [mail for mail in waiting(database) if mail["tries"]]
    assert tried
    for mail in tried:
        assert timedelta(seconds=5) < mail["due"] - now() < timedelta(seconds=16)
    sink.start()
    hurry(database)
    assert deliverer.deliver_due() == 20
    assert sorted(to for to, _ in sink.got) == sorted(emails)


@pytest.mark.parametrize(("tries", "seconds"), [(1, 15), (2, 30), (3, 60), (9, 3_600), (999, 3_600)])
def test_the_pauses_grow_to_an_hour(tries, seconds):
    pauses = {deliver.backoff(tries).total_seconds() for _ in range(100)}
    assert seconds * 0.75 <= min(pauses) < max(pauses) <= seconds


def test_what_the_mail_server_refuses_for_good_is_given_up(app, database, deliverer, sink):
    failed = value(metrics.mails_failed, "verification")
    put(app, database)
    sink.answers["RCPT"] = f"550 5.1.1 no such user {ALICE}"
    with captured_log() as log:
        assert deliverer.deliver_due() == 0
    assert '"mail_given_up"' in log.getvalue()
    assert "5.1.1" in log.getvalue()
    assert ALICE not in log.getvalue()
    assert waiting(database) == []
    assert value(metrics.mails_failed, "verification") == failed + 1


def test_what_comes_too_late_is_given_up_and_counted(app, database, deliverer):
    failed = value(metrics.mails_failed, "reset")
    ask(app, kinds.reset, ALICE)
    database.mailRequests.update_one({}, {"$set": {"expiresAt": now()}})
    assert deliverer.deliver_due() == 0
    assert waiting(database) == []
    assert value(metrics.mails_failed, "reset") == failed + 1


def test_a_faulty_setting_pauses_delivery_keeps_all_and_raises_an_alarm(app, database, deliverer, sink, monkeypatch):
    emails = [f"user{number}@example.com" for number in range(12)]
    for email in emails:
        put(app, database, email)
    sink.answers["MAIL"] = "550 5.7.1 not as this sender"
    with captured_log() as log:
        assert deliverer.deliver_due() == 0
        assert deliverer.deliver_due() == 0
    assert '"level": "error", "event": "mail_delivery_paused"' in log.getvalue()
    assert value(metrics.mails_paused) == 1
    assert [mail["tries"] for mail in waiting(database)] == [0] * 12
    sink.answers.clear()
    assert deliverer.deliver_due() == 0  # it waits
    assert sink.got == []
    deliverer._resume_at = 0  # the pause is over
    with captured_log() as log:
        assert deliverer.deliver_due() == 12
    assert '"mail_delivery_resumed"' in log.getvalue()
    assert value(metrics.mails_paused) == 0
    assert sorted(to for to, _ in sink.got) == sorted(emails)


def test_while_paused_one_mail_at_a_time_is_tried_and_a_new_process_tries_at_once(app, database, deliverer, sink):
    for number in range(12):
        put(app, database, f"user{number}@example.com")
    sink.answers["MAIL"] = "530 5.7.0 sign in first"
    assert deliverer.deliver_due() == 0
    deliverer._resume_at = 0
    with captured_log() as log:
        assert deliverer.deliver_due() == 0
    assert log.getvalue().count("mail_delivery_paused") == 1
    sink.answers.clear()
    assert Deliverer(app).deliver_due() == 12


def test_a_template_that_fails_holds_no_other_mail_up(app, database, deliverer, sink, monkeypatch):
    render = letters.render

    def fail_for_bob(kind, language, facts, to, seed):
        return 1 / 0 if to == BOB else render(kind, language, facts, to, seed)

    monkeypatch.setattr(letters, "render", fail_for_bob)
    put(app, database, BOB)
    put(app, database, ALICE)
    with captured_log() as log:
        assert deliverer.deliver_due() == 1
    assert '"error": "ZeroDivisionError"' in log.getvalue()
    assert [mail["to"] for mail in waiting(database)] == [BOB]
    assert waiting(database)[0]["tries"] == 1


def test_nothing_usable_is_in_the_database_or_in_the_log(app, client, database, deliverer, sink):
    make_account(client, ALICE)
    put(app, database, BOB)
    put(app, database, ALICE, kind=kinds.email_changed, to=OLD)
    handle = ask(app, kinds.reset, ALICE)
    ask(app, kinds.sign_up, CHARLIE)
    dump = "".join(str([*database[name].find()]) for name in database.list_collection_names())
    with captured_log() as log:
        assert deliverer.deliver_due() == 4
    dump += "".join(str([*database[name].find()]) for name in database.list_collection_names()) + log.getvalue()
    usable = [handle]
    for _, message in sink.got:
        usable.append(token_in(message).split(".")[1])
        usable += [code_in(message)] if re.search(r"\d{4} \d{4}\b", text_of(message)) else []
    assert len(usable) == 1 + 4 + 3
    assert [secret for secret in usable if secret in dump] == []


def test_what_waits_is_measured(app, database, deliverer, sink):
    sink.stop()
    put(app, database, at=now() - timedelta(minutes=2))
    ask(app, kinds.sign_up, CHARLIE)
    assert deliverer.deliver_due() == 0
    assert value(metrics.mails_waiting) == 2
    assert 119 < value(metrics.mails_oldest) < 200


def test_a_nudge_is_not_waited_for(app, database, sink, monkeypatch):
    monkeypatch.setattr(deliver, "POLL_SECONDS", 600.0)
    deliverer = Deliverer(app)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(deliverer.run)
        try:
            put(app, database)
            deliverer.nudge()
            wait_until(lambda: sink.got and not waiting(database))
        finally:
            deliverer.stop()
            running.result(20)


def test_what_is_claimed_when_the_database_goes_away_is_sent_before_its_lease_ends(
    app, database, deliverer, sink, monkeypatch
):
    for email in (ALICE, BOB):
        put(app, database, email)
    claim_next, claimed = mails.claim_next, []

    def claim_once():
        if claimed:
            raise DatabaseUnavailable
        claimed.append(claim_next())
        return claimed[0]

    monkeypatch.setattr(mails, "claim_next", claim_once)
    with pytest.raises(DatabaseUnavailable):
        deliverer.deliver_due()
    assert [to for to, _ in sink.got] == [claimed[0].mail.to]
    monkeypatch.undo()
    deliverer.deliver_due()
    assert sorted(to for to, _ in sink.got) == [ALICE, BOB]
