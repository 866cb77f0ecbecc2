"""A private sign-up becomes an account by the link or code of its mail, once, with the password of who has the mail."""

import threading
from datetime import timedelta

import pytest

from authservice import user_created
from authservice.errors import DatabaseUnavailable
from authservice.mail import requests
from authservice.sign_ups import service
from authservice.store import mail_requests
from authservice.store.clock import now
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.mail.sink import code_in, text_of, token_in
from tests.sign_ups.asking import OWN, WRONG_TOKEN, ask, assert_no_account, confirm, create


def forget_budgets(database):
    """A minute has gone by."""
    database.limits.delete_many({})


@pytest.mark.parametrize("way", ["link", "code"])
def test_link_or_code_make_the_account_once(client, mailed, database, way):
    handle, token, code = mailed
    given = {"token": token} if way == "link" else {"signUpId": handle, "code": f"{code[:4]} {code[4:]}"}
    answer = confirm(client, **given)
    user = assert_ok(answer, 201)
    assert answer.headers["Location"] == "/users/me"
    assert (user["email"], user["roles"]) == (ALICE, [])
    document = database.users.find_one()
    assert document["emailVerifiedAt"] == document["createdAt"]
    session = sign_in(client, ALICE, OWN)
    assert assert_ok(client.get("/users/me", headers=bearer(session["token"])))["id"] == user["id"]
    assert_no_account(client, ALICE, PASSWORD)
    for again in ({"token": token}, {"signUpId": handle, "code": code}):
        assert_problem(confirm(client, "iloveyou", **again), 403, "code_invalid")


def test_the_answer_is_that_of_an_open_sign_up(make_app, client, mailed):
    opened = make_app(SIGN_UP="open").test_client().post("/users", json={"email": BOB, "password": PASSWORD})
    confirmed = confirm(client, token=mailed[1])
    assert opened.status == confirmed.status
    assert opened.get_json().keys() == confirmed.get_json().keys()
    assert opened.headers["Location"] == confirmed.headers["Location"]


@pytest.mark.parametrize(
    "given", [{}, {"code": "12345678"}, {"signUpId": "x"}, {"token": ""}, {"token": WRONG_TOKEN}, {"token": "x"}]
)
def test_what_is_wrong_is_refused_alike(client, mailed, given):
    assert_problem(confirm(client, **given), 403, "code_invalid")
    assert_no_account(client)


def test_a_link_is_opened_by_no_visit(client, mailed):
    _, token, _ = mailed
    for _ in range(10):
        for method in (client.get, client.head):
            assert method(f"/users/confirmation?token={token}").status_code == 405
    assert_ok(confirm(client, token=token), 201)


def test_the_password_is_that_of_the_confirmation_and_a_good_one(client, mailed):
    _, token, _ = mailed
    for bad, code in (("short", "too_short"), ("iloveyou", "password_common"), (ALICE, "password_context")):
        answer = confirm(client, bad, token=token)
        assert_problem(answer, 422, "validation_failed", ("/password", code))
    assert_no_account(client)
    assert_ok(confirm(client, token=token), 201)


def test_of_four_uses_at_once_one_succeeds(app, client, mailed, database):
    handle, token, code = mailed
    ways = [{"token": token}, {"signUpId": handle, "code": code}] * 2
    barrier, statuses = threading.Barrier(len(ways)), []

    def use(number, given):
        barrier.wait()
        statuses.append(confirm(app.test_client(), f"{OWN} {number}", **given).status_code)

    threads = [threading.Thread(target=use, args=pair) for pair in enumerate(ways)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 403, 403, 403]
    assert database.users.count_documents({}) == 1


def test_a_use_that_is_late_makes_no_second_account(app, client, mailed, monkeypatch):
    """Alice confirms twice at once and deletes the account while the second use still hashes."""
    _, token, _ = mailed
    hash_password = service.passwords.hash_password

    def overtaken(place, password):
        monkeypatch.undo()
        assert_ok(confirm(client, token=token), 201)
        session = sign_in(client, ALICE, OWN)["token"]
        deleted = client.delete("/users/me", json={"currentPassword": OWN}, headers=bearer(session))
        assert deleted.status_code == 204
        return hash_password(place, password)

    monkeypatch.setattr(service.passwords, "hash_password", overtaken)
    assert_problem(confirm(app.test_client(), token=token), 403, "code_invalid")
    assert_no_account(client)


def test_an_account_that_came_first_stays_as_it_is(app, client, mailed, database):
    create(app, ALICE)
    before = database.users.find_one()
    with captured_log() as log:
        assert_problem(confirm(client, token=mailed[1]), 403, "code_invalid")
    assert '"event": "sign_up"' in log.getvalue()
    assert '"outcome": "email_taken"' in log.getvalue()
    assert database.users.find_one() == before


def test_an_address_that_is_reserved_for_who_gave_it_up_stays_so(app, client, mailed, database):
    _, token, _ = mailed
    create(app, BOB, formerEmails=[{"email": ALICE, "until": now() + timedelta(days=7)}])
    assert_problem(confirm(client, token=token), 403, "code_invalid")
    assert database.users.count_documents({}) == 1


def test_a_deleted_account_does_not_come_back_by_its_link(client, mailed, database):
    handle, token, code = mailed
    assert_ok(confirm(client, token=token), 201)
    database.users.delete_many({})
    for again in ({"token": token}, {"signUpId": handle, "code": code}):
        assert_problem(confirm(client, **again), 403, "code_invalid")


def test_nor_by_that_of_the_half_hour_before(client, database, deliver, sink, monkeypatch):
    """Alice asks at 10:25 and at 10:35, and has two links."""
    early = now() - requests.SLOT
    for module in (requests, mail_requests):
        monkeypatch.setattr(module, "now", lambda: early)
    ask(client)
    monkeypatch.undo()
    database.mailRequests.update_one({}, {"$set": {"expiresAt": now() + requests.SLOT}})
    deliver()
    forget_budgets(database)
    handle = ask(client)
    deliver()
    first, second = sink.to(ALICE)
    assert token_in(first) != token_in(second)
    assert_ok(confirm(client, token=token_in(second)), 201)
    database.users.delete_many({})
    assert_problem(confirm(client, token=token_in(first)), 403, "code_invalid")
    assert_problem(confirm(client, signUpId=handle, code=code_in(first)), 403, "code_invalid")


def test_who_has_deleted_the_account_may_ask_again(client, mailed, database, deliver, sink):
    _, token, _ = mailed
    assert_ok(confirm(client, token=token), 201)
    database.users.delete_many({})
    forget_budgets(database)
    handle = ask(client)
    assert deliver() == 1
    mail = sink.got[-1][1]
    assert token_in(mail) != token
    assert_problem(confirm(client, token=token), 403, "code_invalid")
    assert_ok(confirm(client, signUpId=handle, code=code_in(mail)), 201)


def test_a_mail_that_was_still_to_be_sent_again_is_not(client, mailed, database, deliver, sink):
    _, token, _ = mailed
    forget_budgets(database)
    ask(client)
    assert_ok(confirm(client, token=token), 201)
    assert deliver() == 0
    assert len(sink.got) == 1


def test_a_failing_database_does_not_use_the_link_up(client, mailed, monkeypatch):
    def fail(*given, **more):
        raise DatabaseUnavailable

    monkeypatch.setattr(service.users, "insert", fail)
    assert_problem(confirm(client, token=mailed[1]), 503, "database_unavailable")
    monkeypatch.undo()
    assert_ok(confirm(client, token=mailed[1]), 201)


def test_the_app_is_told_of_the_account_and_not_before(app, client, deliver, sink):
    users_told = []

    def tell(sender, user, **more):
        users_told.append(user.email)

    user_created.connect(tell)
    try:
        ask(client)
        deliver()
        assert users_told == []
        assert_ok(confirm(client, token=token_in(sink.only()[1])), 201)
    finally:
        user_created.disconnect(tell)
    assert users_told == [ALICE]


def test_the_owner_of_several_accounts_of_another_stack_gets_no_link(app, client, database, deliver, sink):
    create(app, BOB)  # builds the indexes
    database.users.drop_indexes()
    database.users.insert_many([{"email": "Alice@example.com"}, {"email": "ALICE@example.com"}])
    ask(client)
    assert deliver() == 1
    assert "token=" not in text_of(sink.only()[1])
