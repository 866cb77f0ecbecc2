"""An e-mail changes by the password and a mail to the new address, once, and never without both."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.email_changes.conftest import NEW
from tests.mail.sink import token_in
from tests.sessions.commands import Commands, heard

OTHER = "alice@other.example.com"
WRONG_TOKEN = "x." + "A" * 43


def together(*calls):
    """The statuses of calls that begin at the same moment, sorted."""
    barrier, statuses = threading.Barrier(len(calls)), []

    def run(call):
        barrier.wait()
        statuses.append(call().status_code)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


def assert_changed(alice, old=ALICE, new=NEW):
    body = {"email": old, "password": PASSWORD}
    assert_problem(alice.client.post("/auth", json=body), 401, "credentials_invalid")
    sign_in(alice.client, new)


def test_nothing_changes_before_the_mail_comes_back(alice):
    answer = alice.ask()
    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (202, b"", False)
    assert alice.stored()["email"] == ALICE
    sign_in(alice.client, ALICE)


def test_the_link_changes_it_once(alice):
    alice.ask(" Alice@NEW.example.com ")
    token, _ = alice.mailed()
    assert alice.confirm(token=token).status_code == 204
    assert_changed(alice)
    assert_problem(alice.confirm(token=token), 403, "code_invalid")
    user = alice.stored()
    assert user["emailVerifiedAt"] is not None
    assert "emailChange" not in user


def test_so_does_the_code(alice):
    alice.ask()
    _, code = alice.mailed()
    assert alice.confirm(code=f"{code[:4]} {code[4:]}").status_code == 204
    assert_changed(alice)


def test_the_sessions_go_on(alice):
    alice.change(NEW)
    assert assert_ok(alice.client.get("/users/me", headers=alice.headers))["email"] == NEW


def test_the_wrong_password_is_said_first(alice, join):
    join(BOB)
    for to in (NEW, BOB, ALICE):
        assert_problem(alice.ask(to, password="a wrong one"), 403, "password_wrong")
    assert alice.deliver() == 0


def test_wrong_passwords_are_counted(make_app, alice):
    alice.client = make_app(LIMITS="on").test_client()
    statuses = [alice.ask(password="a wrong one").status_code for _ in range(6)]
    assert statuses == [403] * 5 + [429]


def test_a_client_asks_ten_times_an_hour(make_app, alice):
    alice.client = make_app(LIMITS="on").test_client()
    statuses = [alice.ask(f"alice@new{number}.example.com").status_code for number in range(11)]
    assert statuses == [202] * 10 + [429]


@pytest.mark.parametrize("given", [{}, {"code": ""}, {"code": "12345678"}, {"token": ""}, {"token": WRONG_TOKEN}])
def test_what_is_wrong_is_refused_alike(alice, given):
    assert_problem(alice.confirm(**given), 403, "code_invalid")
    alice.ask()
    assert_problem(alice.confirm(**given), 403, "code_invalid")
    assert alice.stored()["email"] == ALICE


def test_a_code_has_five_guesses_and_the_link_any_number(alice):
    alice.ask()
    token, code = alice.mailed()
    for _ in range(5):
        assert_problem(alice.confirm(code="00000000"), 403, "code_invalid")
    assert_problem(alice.confirm(code=code), 403, "code_invalid")
    alice.database.limits.delete_many({})
    alice.ask()  # the same code, and no new guess
    assert_problem(alice.confirm(code=code), 403, "code_invalid")
    assert alice.confirm(token=token).status_code == 204


def test_guesses_at_once_are_counted_too(app, alice):
    alice.ask()
    _, code = alice.mailed()
    wrong = [lambda: alice.confirm(app.test_client(), code="00000000")] * 8
    assert together(*wrong) == [403] * 8
    assert alice.stored()["emailChange"]["guesses"] == 5
    assert_problem(alice.confirm(code=code), 403, "code_invalid")


def test_somebody_else_cannot_confirm(alice, join):
    bob = join(BOB)
    bob.ask(OTHER)
    alice.ask()
    token, code = alice.mailed()
    for given in ({"token": token}, {"code": code}):
        assert_problem(bob.confirm(**given), 403, "code_invalid")
    assert_problem(alice.client.put("/users/me/email/confirmation", json={"token": token}), 401, "token_missing")


def test_the_same_address_gets_the_same_link_again(alice):
    alice.ask()
    first = alice.mailed()
    alice.database.limits.delete_many({})
    alice.ask("ALICE@new.example.com")
    assert len(alice.sink.to(NEW)) == 1
    assert alice.mailed() == first
    messages = alice.sink.to(NEW)
    assert len(messages) == 2
    assert messages[0]["Message-ID"] != messages[1]["Message-ID"]  # or a mail server would drop the second


def test_another_address_replaces_it(alice):
    alice.ask()
    token, _ = alice.mailed()
    alice.ask(OTHER)
    assert_problem(alice.confirm(token=token), 403, "code_invalid")
    assert alice.confirm(token=alice.mailed(OTHER)[0]).status_code == 204
    assert alice.stored()["email"] == OTHER


def test_a_mail_that_waits_is_not_sent_for_a_change_that_was_replaced(alice):
    alice.ask()
    alice.ask(OTHER)
    alice.deliver()
    assert [to for to, _ in alice.sink.got] == [OTHER]


def test_beyond_its_budget_an_address_gets_nothing_and_the_link_stays_good(alice):
    alice.ask()
    token, _ = alice.mailed()
    assert alice.ask().status_code == 202
    assert alice.deliver() == 0
    assert alice.confirm(token=token).status_code == 204


def test_links_and_codes_end(alice):
    alice.ask()
    token, code = alice.mailed()
    earlier = datetime.now(UTC) - timedelta(minutes=31)
    alice.database.users.update_one({"_id": alice.id}, {"$set": {"emailChange.at": earlier}})
    for given in ({"token": token}, {"code": code}):
        assert_problem(alice.confirm(**given), 403, "code_invalid")
    alice.database.limits.delete_many({})
    alice.ask()
    assert alice.mailed()[0] != token


def test_a_cancelled_change_is_void(alice):
    alice.ask()
    token, code = alice.mailed()
    for _ in range(2):
        assert alice.cancel().status_code == 204
    for given in ({"token": token}, {"code": code}):
        assert_problem(alice.confirm(**given), 403, "code_invalid")


@pytest.mark.parametrize("way", ["by the user", "by an operator"])
def test_a_change_of_the_password_cancels_it(app, alice, way):
    """A thief asked for it."""
    alice.ask()
    token, _ = alice.mailed()
    password = "an even longer secret"
    if way == "by the user":
        body = {"currentPassword": PASSWORD, "newPassword": password}
        pair = assert_ok(alice.client.put("/users/me/password", json=body, headers=alice.headers))
    else:
        call = ["users", "set-password", ALICE, "--password-stdin"]
        assert app.test_cli_runner().invoke(args=call, input=f"{password}\n").exit_code == 0
        pair = sign_in(alice.client, ALICE, password)
    alice.headers = bearer(pair["token"])
    assert_problem(alice.confirm(token=token), 403, "code_invalid")
    assert alice.stored()["email"] == ALICE


def test_a_session_that_has_ended_changes_nothing(alice):
    alice.ask()
    token, _ = alice.mailed()
    alice.database.users.update_one({"_id": alice.id}, {"$set": {"sessions": []}})
    assert_problem(alice.ask(OTHER), 401, "token_invalid")
    assert_problem(alice.confirm(token=token), 401, "token_invalid")
    assert_problem(alice.cancel(), 401, "token_invalid")


def test_of_two_confirmations_at_once_one_succeeds(app, alice):
    alice.ask()
    token, _ = alice.mailed()
    assert together(*[lambda: alice.confirm(app.test_client(), token=token)] * 4) == [204, 403, 403, 403]
    assert len(alice.stored()["formerEmails"]) == 1
    assert alice.deliver() == 1


def test_of_two_users_one_gets_the_address(app, alice, join):
    bob = join(BOB)
    for account in (alice, bob):
        alice.database.limits.delete_many({})
        account.ask()
        account.token, _ = account.mailed()
    assert together(
        lambda: alice.confirm(app.test_client(), token=alice.token),
        lambda: bob.confirm(app.test_client(), token=bob.token),
    ) == [204, 409]
    assert alice.database.users.count_documents({"email": NEW}) == 1


@pytest.mark.parametrize("to", [BOB, "BOB@example.com", ALICE])
def test_an_address_that_is_taken_is_refused(alice, join, to):
    join(BOB)
    assert_problem(alice.ask(to), 409, "email_taken")
    assert alice.deliver() == 0


def test_one_that_was_taken_meanwhile_is_refused_too(alice, join):
    alice.ask()
    token, _ = alice.mailed()
    join(NEW)
    assert_problem(alice.confirm(token=token), 409, "email_taken")
    assert alice.stored()["email"] == ALICE


def test_no_spelling_of_a_taken_address_is_free(alice, join, database):
    """The collection has duplicates of another stack, so that no index tells cases apart."""
    alice.ask()
    token, _ = alice.mailed()
    database.users.insert_one({"email": "Alice@NEW.example.com", "password": "x"})
    assert_problem(alice.confirm(token=token), 409, "email_taken")


@pytest.mark.parametrize("foreign", ["x", 7, {}, {"asking": 7}, ["x"], None])
def test_fields_of_another_stack_make_room(alice, foreign):
    fields = {"emailChange": foreign, "formerEmails": foreign, "mails": foreign}
    alice.database.users.update_one({"_id": alice.id}, {"$set": fields})
    assert_problem(alice.confirm(code="12345678"), 403, "code_invalid")
    alice.change(NEW)
    assert_changed(alice)


def test_the_link_leads_to_the_app_whatever_the_host(alice):
    alice.ask(base_url="http://evil.example")
    alice.deliver()
    assert "evil" not in alice.sink.to(NEW)[0].as_string()


@pytest.mark.parametrize("path", ["/users/me/email", "/users/me/email/confirmation", "/users/me/email/change"])
def test_looking_changes_nothing(alice, path):
    alice.ask()
    before = alice.stored()
    for method in ("GET", "HEAD"):
        answer = alice.client.open(path, method=method, headers=alice.headers)
        assert answer.status_code == 405
    assert alice.stored() == before


def test_a_reset_of_the_old_address_is_dead(alice):
    alice.client.post("/auth/reset", json={"email": ALICE})
    alice.deliver()
    token = token_in(alice.sink.to(ALICE)[0])
    alice.change(NEW)
    body = {"token": token, "newPassword": "an even longer secret"}
    assert_problem(alice.client.put("/auth/reset", json=body), 403, "code_invalid")


def test_it_is_audited_without_its_secrets(alice):
    with captured_log() as log:
        alice.ask()
        token, code = alice.mailed()
        alice.confirm(code=code)
    assert log.getvalue().count('"change_email"') == 2
    assert token not in log.getvalue()
    assert NEW not in log.getvalue()


class TestPrivateSignUp:
    @pytest.fixture
    def heard_commands(self):
        with heard(Commands()) as commands:
            yield commands

    @pytest.fixture
    def alice(self, alice, heard_commands, make_app):
        alice.client = make_app(SIGN_UP="private").test_client()
        return alice

    def test_everybody_gets_the_same_answer_and_the_mail_says_what_is(self, alice, join):
        join(BOB)
        told = []
        for to in (NEW, BOB, ALICE):
            answer = alice.ask(to)
            headers = [(name, value) for name, value in answer.headers if name not in ("X-Request-Id", "Date")]
            told.append((answer.status, headers, answer.data))
            alice.deliver()
        assert told[0] == told[1] == told[2]
        assert "token=" in alice.sink.to(NEW)[-1].as_string()
        for to in (BOB, ALICE):
            assert "token=" not in alice.sink.to(to)[-1].as_string()
            assert "already" in alice.sink.to(to)[-1]["Subject"]

    def test_the_database_is_asked_the_same(self, alice, join, heard_commands):
        join(BOB)
        alice.ask("another@example.com")  # the first request of an app connects
        asked = []
        for to in (NEW, BOB):
            heard_commands.seen.clear()
            alice.ask(to)
            asked.append([(one.get("find"), one.get("update")) for one in heard_commands.seen])
        assert asked[0] == asked[1] != []
