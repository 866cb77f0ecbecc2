"""Within seven days the link of the notice gives the account back to its old address, and to nobody else."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from authservice.errors import DatabaseUnavailable
from authservice.mail import requests
from authservice.signals import signed_out
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.email_changes.conftest import NEW
from tests.mail.sink import text_of, token_in

THIEF = "thief@evil.example.com"
THIEF_TOO = "thief@worse.example.com"
OWN = "an even longer secret"


def reset(alice, to=ALICE):
    """Set a password by the mail that the undo caused."""
    assert alice.deliver() == 1
    body = {"token": token_in(alice.sink.to(to)[-1]), "newPassword": OWN}
    assert alice.client.put("/auth/reset", json=body).status_code == 204


def end(alice, number=0, **until):
    """Let the time of an undo end."""
    alice.database.users.update_one(
        {"_id": alice.id}, {"$set": {f"formerEmails.{number}.until": datetime.now(UTC) + timedelta(**until)}}
    )


def test_the_notice_says_what_happened_and_when(alice):
    alice.change(NEW)
    notice = alice.sink.to(ALICE)[-1]
    assert "action=undo-email-change" in text_of(notice)
    assert NEW not in notice.as_string()
    former = alice.stored()["formerEmails"][0]
    assert former["until"] - former["at"] == timedelta(days=7)


def test_the_owner_gets_the_account_back_and_the_thief_nothing(alice, client):
    """The thief knows the password, has a session and a device of his own, and wants another address already."""
    device = sign_in(client, ALICE)["deviceToken"]
    token = alice.change(THIEF)
    alice.ask(THIEF_TOO)
    assert_problem(alice.undo("x." + "A" * 43), 403, "code_invalid")
    answer = alice.undo(token)
    assert (answer.status_code, answer.data) == (204, b"")

    user = alice.stored()
    assert (user["email"], user["sessions"], user["devices"]) == (ALICE, [], [])
    assert "emailChange" not in user
    assert_problem(client.get("/users/me", headers=alice.headers), 401, "token_invalid")
    for email in (ALICE, THIEF):
        body = {"email": email, "password": PASSWORD, "deviceToken": device}
        assert_problem(client.post("/auth", json=body), 401, "credentials_invalid")
    reset(alice)
    sign_in(client, ALICE, OWN)
    assert alice.sink.to(THIEF_TOO) == []


def test_it_is_done_once(alice, app):
    token = alice.change(NEW)
    barrier, statuses = threading.Barrier(4), []

    def undo():
        barrier.wait()
        statuses.append(alice.undo(token, app.test_client()).status_code)

    threads = [threading.Thread(target=undo) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [204, 403, 403, 403]
    assert alice.deliver() == 1


def test_the_first_link_wins_however_often_the_thief_changed_the_address(alice, client):
    first = alice.change(THIEF)
    second = alice.change(THIEF_TOO)
    third = alice.change("thief@third.example.com")
    assert alice.undo(second).status_code == 204  # he tries to gain time
    assert alice.stored()["email"] == THIEF
    assert_problem(alice.undo(third), 403, "code_invalid")
    assert alice.undo(first).status_code == 204
    assert_problem(alice.undo(second), 403, "code_invalid")
    assert alice.stored()["email"] == ALICE
    reset(alice)
    sign_in(client, ALICE, OWN)
    for address in (THIEF, THIEF_TOO):
        assert_ok(client.post("/users", json={"email": address, "password": PASSWORD}), 201)


def test_a_thief_who_changes_it_back_and_forth_ends_no_link(alice):
    first = alice.change(THIEF)
    alice.change(ALICE)
    alice.change(THIEF)
    assert alice.undo(first).status_code == 204
    assert alice.stored()["email"] == ALICE


def test_who_changes_back_ends_the_links_of_a_thiefs_addresses(alice):
    """The owner, who still has a session, needs no undo. The thief's link would live longer than the owner's."""
    alice.change(THIEF)
    theirs = alice.change(THIEF_TOO)
    alice.change(ALICE)
    for token in (theirs, token_in(alice.sink.to(THIEF_TOO)[-1])):
        assert_problem(alice.undo(token), 403, "code_invalid")
    assert [former["email"] for former in alice.stored()["formerEmails"]] == [ALICE]
    first = token_in(alice.sink.to(ALICE)[-2])  # the last one proves the address
    assert alice.undo(first).status_code == 204


def test_nobody_keeps_more_than_twenty_addresses(alice):
    alice.change(NEW)
    former = alice.stored()["formerEmails"][0]
    more = [{**former, "email": f"{number}@example.com", "asking": str(number)} for number in range(19)]
    alice.database.users.update_one({"_id": alice.id}, {"$set": {"formerEmails": [former, *more]}})
    alice.database.limits.delete_many({})
    refused = alice.ask(THIEF)
    assert_problem(refused, 429, "too_many_attempts")
    assert 604_000 < int(refused.headers["Retry-After"]) <= 604_800
    alice.change(ALICE)
    assert [former["email"] for former in alice.stored()["formerEmails"]] == [ALICE]


def test_a_squatter_floods_no_mailbox_with_notices(join, client, database):
    """He signs up with an address that is not his, changes it, deletes the account, and begins again."""
    notices = []
    for number in range(12):
        bob = join(BOB)
        database.limits.delete_many({"_id": {"$not": {"$regex": "^mails_day:.*:"}}})  # not those of the notices
        bob.ask(f"{number}@evil.example.com")
        token, _ = bob.mailed(f"{number}@evil.example.com")
        assert bob.confirm(token=token).status_code == 204
        bob.deliver()
        notices += [mail for mail in bob.sink.to(BOB) if "undo-email-change" in text_of(mail)]
        body = {"currentPassword": PASSWORD}
        assert client.delete("/users/me", json=body, headers=bob.headers).status_code == 204
    assert len(notices) == 10


def test_an_earlier_undo_outlives_a_later_one(alice):
    first = alice.change(NEW)
    second = alice.change(THIEF)
    assert alice.undo(second).status_code == 204
    assert alice.stored()["email"] == NEW
    assert alice.undo(first).status_code == 204
    assert alice.stored()["email"] == ALICE


def test_spent_budgets_of_the_old_address_do_not_hold_up_the_reset(alice):
    """A thief asks for resets of the address, so that its owner gets no mail."""
    token = alice.change(THIEF)
    for _ in range(4):
        alice.client.post("/auth/reset", json={"email": ALICE})
    assert alice.deliver() == 0
    alice.undo(token)
    reset(alice)


def test_nor_do_the_mails_that_wait(alice):
    token = alice.change(THIEF)
    waiting = alice.stored()
    moment = datetime.now(UTC) - timedelta(hours=1)
    mail = {"id": "x", "kind": "email_changed", "rank": 3, "to": BOB, "asking": None, "language": None, "facts": {}}
    mails = [{**mail, "at": moment, "due": moment + timedelta(hours=9), "tries": 0}] * 20
    assert "mails" not in waiting or waiting["mails"] == []
    alice.database.users.update_one({"_id": alice.id}, {"$set": {"mails": mails}})
    alice.undo(token)
    reset(alice)


def test_a_reset_that_nobody_could_send_for_an_hour_is_sent_then(alice):
    alice.undo(alice.change(THIEF))
    earlier = datetime.now(UTC) - timedelta(hours=1)
    change = {"$set": {"mails.0.at": earlier, "mails.0.due": earlier}}
    assert alice.database.users.update_one({"_id": alice.id}, change).modified_count == 1
    reset(alice)


def test_the_password_of_another_stack_is_void_too(alice, client):
    token = alice.change(THIEF)
    alice.database.users.update_one({"_id": alice.id}, {"$unset": {"passwordChangedAt": ""}})
    alice.undo(token)
    body = {"email": ALICE, "password": PASSWORD}
    assert_problem(client.post("/auth", json=body), 401, "credentials_invalid")
    reset(alice)
    sign_in(client, ALICE, OWN)


def _hear(sender, user):
    """A receiver for whom the user is read."""


def test_it_is_done_even_if_the_user_cannot_be_read_afterwards(alice, app, monkeypatch):
    def fail(user_id):
        raise DatabaseUnavailable

    token = alice.change(THIEF)
    monkeypatch.setattr("authservice.store.users.find", fail)
    signed_out.connect(_hear, sender=app)
    assert alice.undo(token).status_code == 204


@pytest.mark.parametrize("token", ["", "x", "x." + "A" * 43, "0" * 24 + "~x." + "A" * 43, "~." + "A" * 43])
def test_what_is_wrong_is_refused_alike(alice, token):
    alice.change(NEW)
    assert_problem(alice.undo(token), 403, "code_invalid")


def test_a_link_of_another_kind_or_of_another_user_undoes_nothing(alice, join):
    bob = join(BOB)
    tokens = [alice.change(NEW), bob.change("bob@new.example.com")]
    mixed = [f"{tokens[0].split('.')[0]}.{tokens[1].split('.')[1]}", alice.mailed(NEW)[0]]
    for token in mixed:
        assert_problem(alice.undo(token), 403, "code_invalid")


def test_after_seven_days_it_is_too_late(alice):
    token = alice.change(NEW)
    end(alice, seconds=-1)
    assert_problem(alice.undo(token), 403, "code_invalid")
    assert alice.stored()["email"] == NEW


def test_a_deleted_account_is_gone(alice, client):
    token = alice.change(NEW)
    body = {"currentPassword": PASSWORD}
    assert client.delete("/users/me", json=body, headers=alice.headers).status_code == 204
    assert_problem(alice.undo(token), 403, "code_invalid")
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)


def test_a_disabled_user_gets_the_address_back_and_stays_disabled(alice, client):
    """The admin has stopped the thief. The link would run out."""
    token = alice.change(THIEF)
    alice.database.users.update_one({"_id": alice.id}, {"$set": {"disabledAt": datetime.now(UTC)}})
    assert alice.undo(token).status_code == 204
    assert (alice.stored()["email"], alice.stored()["disabledAt"] is not None) == (ALICE, True)
    assert alice.deliver() == 0


def test_looking_changes_nothing(alice, client):
    token = alice.change(NEW)
    before = alice.stored()
    for method in ("GET", "HEAD"):
        assert client.open("/auth/email-undo", method=method, query_string={"token": token}).status_code == 405
    assert alice.stored() == before


@pytest.mark.parametrize("foreign", ["x", 7, {}, None])
def test_fields_of_another_stack_make_room(alice, foreign):
    token = alice.change(NEW)
    fields = {"emailChange": foreign, "mails": foreign, "sessions": foreign, "devices": foreign}
    alice.database.users.update_one({"_id": alice.id}, {"$set": fields})
    assert alice.undo(token).status_code == 204
    assert alice.stored()["email"] == ALICE


@pytest.mark.parametrize("foreign", ["x", {"0": {"until": datetime(2020, 1, 1, tzinfo=UTC)}}, [7, None]])
def test_former_addresses_of_another_stack_make_room(alice, foreign):
    alice.database.users.update_one({"_id": alice.id}, {"$set": {"formerEmails": foreign}})
    alice.change(NEW)
    assert [former["email"] for former in alice.stored()["formerEmails"]] == [ALICE]


@pytest.mark.parametrize("foreign", ["x", [7], [{"asking": "x"}], [{"email": 7, "asking": "x"}]])
def test_a_list_of_another_stack_undoes_nothing(alice, foreign):
    token = alice.change(NEW)
    alice.database.users.update_one({"_id": alice.id}, {"$set": {"formerEmails": foreign}})
    assert_problem(alice.undo(token), 403, "code_invalid")


def test_it_is_audited_without_its_secrets(alice):
    token = alice.change(NEW)
    with captured_log() as log:
        alice.undo(token)
    assert '"undo_email_change"' in log.getvalue()
    assert token not in log.getvalue()


class TestTheOldAddressIsReserved:
    @pytest.mark.parametrize("email", [ALICE, "ALICE@example.com", " alice@EXAMPLE.com"])
    def test_nobody_signs_up_with_it(self, alice, client, app, email):
        alice.change(NEW)
        body = {"email": email, "password": PASSWORD}
        assert_problem(client.post("/users", json=body), 409, "email_taken")
        call = ["users", "create", email.strip(), "--password-stdin"]
        ended = app.test_cli_runner().invoke(args=call, input=f"{PASSWORD}\n")
        assert ended.exit_code != 0

    def test_nobody_else_changes_to_it(self, alice, join):
        bob = join(BOB)
        alice.change(NEW)
        assert_problem(bob.ask(ALICE), 409, "email_taken")

    def test_nor_if_it_was_asked_for_before(self, alice, join, database):
        bob = join(BOB)
        bob.change("bob@new.example.com")  # so that his own is reserved as well
        database.users.update_one({"_id": alice.id}, {"$set": {"email": "alice@first.example.com"}})
        database.limits.delete_many({})
        assert bob.ask(ALICE).status_code == 202
        token, _ = bob.mailed(ALICE)
        database.users.update_one({"_id": alice.id}, {"$set": {"email": ALICE}})
        alice.change(NEW)
        assert_problem(bob.confirm(token=token), 409, "email_taken")

    def test_nor_does_a_sign_up_that_looked_before(self, alice, client, monkeypatch):
        alice.change(NEW)
        monkeypatch.setattr("authservice.sign_ups.service.lookup.find_holder", lambda spellings: None)
        assert_problem(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 409, "email_taken")

    def test_its_user_changes_back_to_it(self, alice, client):
        alice.change(NEW)
        alice.change(ALICE)
        sign_in(client, ALICE)

    def test_after_seven_days_it_is_free(self, alice, client):
        alice.change(NEW)
        end(alice, seconds=-1)
        assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)

    def test_what_has_ended_is_removed_with_the_next_change(self, alice):
        alice.change(NEW)
        end(alice, seconds=-1)
        alice.change("alice@third.example.com")
        assert [former["email"] for former in alice.stored()["formerEmails"]] == [NEW]

    def test_an_address_in_private_is_reserved_too(self, app, alice, sink):
        """Somebody who signs up with it is told by mail that it is taken."""
        alice.change(NEW)
        before = len(sink.to(ALICE))
        with app.app_context():
            requests.ask("sign_up", ALICE, "en")
        alice.deliver()
        (mail,) = sink.to(ALICE)[before:]
        assert "already" in mail["Subject"]

    def test_the_look_up_uses_an_index(self, alice, database):
        indexes = database.users.index_information()
        found = [index for index in indexes.values() if index["key"] == [("formerEmails.email", 1)]]
        assert [index["sparse"] for index in found] == [True]


def test_a_stolen_session_alone_changes_nothing(alice, client):
    """It has no password."""
    stolen = bearer(sign_in(client, ALICE)["token"])
    body = {"newEmail": THIEF, "currentPassword": "a wrong one"}
    assert_problem(client.put("/users/me/email", json=body, headers=stolen), 403, "password_wrong")
