"""An address is proven by who has both the account and the mailbox, once, and by nobody else."""

import threading
from datetime import UTC, datetime

import pytest
from bson import ObjectId

from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, bearer, sign_in
from tests.mail.sink import code_in, text_of, token_in
from tests.verifications.conftest import VERIFICATION, ask, is_proven, make_older, prove, refill, sign_up

FOREIGN = ["text", 7, None, [], [{"id": "x"}], {}, {"id": 1, "guesses": "x"}, {"id": "x", "to": ALICE, "at": "now"}]


class TestSignUp:
    def test_it_sends_the_mail_that_proves_the_address(self, client, alice, mailed, database):
        token, _ = mailed
        assert prove(client, alice, token=token).status_code == 204
        assert is_proven(database)
        assert assert_ok(client.get("/users/me", headers=bearer(alice)))["emailVerified"] is True
        assert sign_in(client, ALICE)["user"]["emailVerified"] is True

    def test_the_mail_is_in_the_language_that_was_asked_for(self, client, deliver, sink):
        body = {"email": ALICE, "password": PASSWORD}
        assert_ok(client.post("/users", json=body, headers={"Accept-Language": "de"}), 201)
        deliver()
        assert "30 Minuten" in text_of(sink.only()[1])

    def test_an_address_that_has_an_account_gets_none(self, client, mailed, deliver):
        answer = client.post("/users", json={"email": ALICE, "password": "another long secret"})
        assert_problem(answer, 409, "email_taken")
        assert deliver() == 0

    def test_who_signs_up_and_deletes_again_and_again_floods_nobody(self, client, deliver, sink):
        body = {"email": ALICE, "password": PASSWORD}
        for _ in range(5):
            assert_ok(client.post("/users", json=body), 201)
            token = sign_in(client, ALICE)["token"]
            deliver()
            deleted = client.delete("/users/me", json={"currentPassword": PASSWORD}, headers=bearer(token))
            assert deleted.status_code == 204
        assert len(sink.got) == 1

    def test_the_command_line_sends_none(self, app, database):
        done = app.test_cli_runner().invoke(args=["users", "create", BOB, "--password-stdin"], input=PASSWORD)
        assert done.exit_code == 0
        assert database.users.find_one({}).keys() & {"mails", "verification", "emailVerifiedAt"} == set()


class TestProof:
    def test_the_code_proves_it_too(self, client, alice, mailed, database):
        _, code = mailed
        assert prove(client, alice, code=f"{code[:4]} {code[4:]}").status_code == 204
        assert is_proven(database)

    def test_it_is_good_for_one_use(self, client, alice, mailed):
        token, code = mailed
        assert prove(client, alice, token=token).status_code == 204
        assert_problem(prove(client, alice, token=token), 403, "code_invalid")
        assert_problem(prove(client, alice, code=code), 403, "code_invalid")

    def test_of_parallel_uses_one_succeeds(self, app, alice, mailed):
        token, code = mailed
        barrier, statuses = threading.Barrier(4), []

        def use(given):
            barrier.wait()
            statuses.append(prove(app.test_client(), alice, **given).status_code)

        threads = [threading.Thread(target=use, args=(given,)) for given in ({"token": token}, {"code": code}) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [204, 403, 403, 403]

    @pytest.mark.parametrize("given", [{}, {"token": ""}, {"token": "x." + "A" * 43}, {"code": "1"}, {"code": ""}])
    def test_what_is_wrong_is_refused_alike(self, client, alice, mailed, database, given):
        assert_problem(prove(client, alice, **given), 403, "code_invalid")
        assert not is_proven(database)

    def test_another_users_link_and_code_prove_nothing(self, client, mailed, database):
        """Not for who opens it while signed in as somebody else, and not for the account that it is of."""
        bob = sign_up(client, BOB)
        token, code = mailed
        assert_problem(prove(client, bob, token=token), 403, "code_invalid")
        assert_problem(prove(client, bob, code=code), 403, "code_invalid")
        assert not is_proven(database)
        assert not is_proven(database, BOB)

    def test_a_link_of_another_kind_proves_nothing(self, client, alice, mailed, deliver, sink, database):
        refill(database)
        assert_ok(client.post("/auth/reset", json={"email": ALICE}), 202)
        deliver()
        assert_problem(prove(client, alice, token=token_in(sink.got[-1][1])), 403, "code_invalid")
        token, _ = mailed
        reset = client.put("/auth/reset", json={"token": token, "newPassword": "an even longer secret"})
        assert_problem(reset, 403, "code_invalid")

    def test_a_scanner_that_opens_the_link_changes_nothing(self, client, alice, mailed, database):
        token, _ = mailed
        before = database.users.find_one({})
        for path in (VERIFICATION, "/auth/verification", "/app/"):
            for _ in range(5):
                client.get(path, query_string={"action": "verify-email", "token": token})
                client.head(path, query_string={"action": "verify-email", "token": token})
        assert database.users.find_one({}) == before
        assert prove(client, alice, token=token).status_code == 204

    def test_a_mailbox_without_the_account_proves_nothing(self, client, mailed, database):
        token, _ = mailed
        assert_problem(client.put(VERIFICATION, json={"token": token}), 401, "token_missing")
        assert not is_proven(database)

    def test_it_expires(self, client, alice, mailed, database):
        token, code = mailed
        make_older(database, 30)
        assert_problem(prove(client, alice, token=token), 403, "code_invalid")
        assert_problem(prove(client, alice, code=code), 403, "code_invalid")

    def test_who_is_disabled_or_has_another_address_by_now_proves_nothing(self, client, alice, mailed, database):
        token, code = mailed
        database.users.update_one({}, {"$set": {"email": CHARLIE}})
        for given in ({"token": token}, {"code": code}):
            assert_problem(prove(client, alice, **given), 403, "code_invalid")
        database.users.update_one({}, {"$set": {"email": ALICE, "disabledAt": datetime.now(UTC)}})
        assert_problem(prove(client, alice, token=token), 401, "token_invalid")
        assert not is_proven(database)


class TestGuesses:
    def test_a_code_has_five_and_the_link_any_number(self, client, alice, mailed, database):
        token, code = mailed
        for _ in range(5):
            assert_problem(prove(client, alice, code="00000000"), 403, "code_invalid")
        assert_problem(prove(client, alice, code=code), 403, "code_invalid")
        for _ in range(7):
            assert_problem(prove(client, alice, token="x." + "A" * 43), 403, "code_invalid")
        assert prove(client, alice, token=token).status_code == 204

    def test_no_more_are_compared_if_they_come_at_once(self, app, alice, mailed, database):
        barrier = threading.Barrier(12)

        def guess():
            barrier.wait()
            assert_problem(prove(app.test_client(), alice, code="00000000"), 403, "code_invalid")

        threads = [threading.Thread(target=guess) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert database.users.find_one({})["verification"]["guesses"] == 5

    def test_after_the_last_one_a_new_mail_has_a_new_code(self, client, alice, mailed, deliver, sink, database):
        _, code = mailed
        for _ in range(5):
            assert_problem(prove(client, alice, code="00000000"), 403, "code_invalid")
        refill(database)
        ask(client, alice)
        assert deliver() == 1
        fresh = code_in(sink.got[-1][1])
        assert fresh != code
        assert prove(client, alice, code=fresh).status_code == 204


class TestAsking:
    def test_within_a_minute_nothing_is_sent_and_the_link_stays_good(self, client, alice, mailed, deliver):
        token, _ = mailed
        for _ in range(3):
            ask(client, alice)
        assert deliver() == 0
        assert prove(client, alice, token=token).status_code == 204

    def test_a_resend_has_the_same_link_and_code(self, client, alice, mailed, deliver, sink, database):
        refill(database)
        ask(client, alice)
        assert deliver() == 1
        again = sink.got[-1][1]
        assert (token_in(again), code_in(again)) == mailed
        assert again["Message-ID"] != sink.got[0][1]["Message-ID"]

    def test_a_resend_gives_no_guesses_back(self, client, alice, mailed, database):
        for _ in range(3):
            assert_problem(prove(client, alice, code="00000000"), 403, "code_invalid")
        refill(database)
        ask(client, alice)
        assert database.users.find_one({})["verification"]["guesses"] == 3

    def test_an_hour_has_three_mails_whatever_is_asked_for(self, client, alice, mailed, deliver, sink, database):
        for _ in range(5):
            database.limits.delete_many({"_id": {"$regex": "^mails_again:"}})
            ask(client, alice)
            deliver()
        assert len(sink.got) == 3

    def test_who_is_proven_gets_none(self, client, alice, mailed, deliver, database):
        token, _ = mailed
        assert prove(client, alice, token=token).status_code == 204
        refill(database)
        ask(client, alice)
        assert deliver() == 0

    def test_after_the_end_a_new_mail_has_a_new_link(self, client, alice, mailed, deliver, sink, database):
        token, _ = mailed
        make_older(database, 30)
        refill(database)
        ask(client, alice)
        assert deliver() == 1
        fresh = token_in(sink.got[-1][1])
        assert fresh != token
        assert_problem(prove(client, alice, token=token), 403, "code_invalid")
        assert prove(client, alice, token=fresh).status_code == 204

    def test_it_is_in_the_users_language_or_in_that_of_the_browser(
        self, client, alice, mailed, deliver, sink, database
    ):
        refill(database)
        ask(client, alice, **{"Accept-Language": "de"})
        deliver()
        assert "30 Minuten" in text_of(sink.got[-1][1])
        assert_ok(client.patch("/users/me", json={"language": "en"}, headers=bearer(alice)))
        refill(database)
        ask(client, alice, **{"Accept-Language": "de"})
        deliver()
        assert "30 minutes" in text_of(sink.got[-1][1])

    def test_nobody_asks_without_a_session(self, client):
        assert_problem(client.post(VERIFICATION), 401, "token_missing")

    def test_the_link_leads_to_the_app_whatever_the_host(self, client, alice, mailed, deliver, sink, database):
        refill(database)
        ask(client, alice, Host="evil.example")
        deliver()
        assert "evil" not in sink.got[-1][1].as_string()

    @pytest.mark.parametrize("foreign", FOREIGN, ids=repr)
    def test_what_another_stack_stored_there_makes_room(self, client, alice, mailed, deliver, sink, database, foreign):
        database.users.update_one({}, {"$set": {"verification": foreign, "mails": foreign}})
        assert_problem(prove(client, alice, token=mailed[0]), 403, "code_invalid")
        assert_problem(prove(client, alice, code=mailed[1]), 403, "code_invalid")
        refill(database)
        ask(client, alice)
        assert deliver() == 1
        assert prove(client, alice, token=token_in(sink.got[-1][1])).status_code == 204

    def test_a_legacy_user_with_capital_letters_proves_the_address(self, client, alice, deliver, sink, database):
        database.users.update_one(
            {}, {"$set": {"email": "Alice@Example.com"}, "$unset": {"verification": "", "mails": ""}}
        )
        refill(database)
        ask(client, alice)
        deliver()
        to, mail = sink.only()
        assert to == "Alice@example.com"
        assert prove(client, alice, token=token_in(mail)).status_code == 204


def test_nothing_that_is_stored_or_logged_opens_anything(client, alice, mailed, database):
    token, code = mailed
    stored = repr([*database.users.find()]) + repr([*database.limits.find()])
    assert token not in stored
    assert token.partition(".")[2] not in stored
    assert code not in stored
    with captured_log() as log:
        assert_problem(prove(client, alice, code=code[::-1]), 403, "code_invalid")
        assert prove(client, alice, token=token).status_code == 204
    assert "verify_email" in log.getvalue()
    for secret in (token, code, code[::-1]):
        assert secret not in log.getvalue()


def test_a_proof_changes_nothing_else(client, alice, mailed, database):
    token, _ = mailed
    before = database.users.find_one({})
    assert prove(client, alice, token=token).status_code == 204
    after = database.users.find_one({})
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "emailVerifiedAt",
        "verification",
    }
    assert isinstance(after["_id"], ObjectId)
