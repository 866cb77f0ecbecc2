"""REQUIRE_VERIFIED_EMAIL: nobody unproven signs in, only the right password is told so, and a mail is the way in."""

from datetime import UTC, datetime

import pytest
from bson import ObjectId

from authservice import ConfigurationError, jwt_required, verified_email_required
from authservice.security import passwords
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, bearer, sign_in
from tests.mail.sink import text_of, token_in
from tests.verifications.conftest import is_proven, make_older, refill

WRONG = "not the password at all"
LONG_AGO = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def settings(settings):
    return {**settings, "REQUIRE_VERIFIED_EMAIL": "on"}


@pytest.fixture
def alice(client):
    """Alice has an account, and may not sign in yet."""
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)


def attempt(client, email=ALICE, password=PASSWORD, **more):
    return client.post("/auth", json={"email": email, "password": password}, **more)


def prove(client, token, password=PASSWORD):
    return client.put("/auth/verification", json={"token": token, "password": password})


class TestSignIn:
    def test_only_the_right_password_is_told(self, client, alice, database):
        assert_problem(attempt(client), 403, "email_unverified")
        assert_problem(attempt(client, password=WRONG), 401, "credentials_invalid")
        assert_problem(attempt(client, CHARLIE), 401, "credentials_invalid")
        user = database.users.find_one({})
        assert (user["sessions"], user.get("devices", [])) == ([], [])

    def test_a_disabled_user_is_told_nothing(self, client, alice, database):
        database.users.update_one({}, {"$set": {"disabledAt": datetime.now(UTC)}})
        assert_problem(attempt(client), 401, "credentials_invalid")

    def test_in_cookie_mode_it_sets_no_cookie(self, client, alice):
        answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD, "cookie": True})
        assert_problem(answer, 403, "email_unverified")
        assert "Set-Cookie" not in answer.headers

    def test_the_refusal_sends_the_mail_again_within_the_budgets(self, client, alice, mailed, deliver, sink, database):
        assert_problem(attempt(client), 403, "email_unverified")
        assert deliver() == 0
        refill(database)
        assert_problem(attempt(client, headers={"Accept-Language": "de"}), 403, "email_unverified")
        assert deliver() == 1
        assert "30 Minuten" in text_of(sink.got[-1][1])
        assert token_in(sink.got[-1][1]) == mailed[0]

    def test_a_wrong_password_sends_nothing(self, client, alice, mailed, deliver, database):
        refill(database)
        assert_problem(attempt(client, password=WRONG), 401, "credentials_invalid")
        assert deliver() == 0

    def test_the_refusal_costs_no_attempt(self, make_app, alice):
        client = make_app(LIMITS="on").test_client()
        for _ in range(8):
            assert_problem(attempt(client), 403, "email_unverified")

    def test_a_user_of_the_command_line_is_vouched_for_by_verify(self, app, client):
        run = app.test_cli_runner().invoke
        assert run(args=["users", "create", BOB, "--password-stdin"], input=PASSWORD).exit_code == 0
        assert_problem(attempt(client, BOB), 403, "email_unverified")
        assert run(args=["users", "verify", BOB]).exit_code == 0
        sign_in(client, BOB)

    def test_sessions_from_before_go_on(self, make_app, client, alice):
        before = make_app(REQUIRE_VERIFIED_EMAIL="off").test_client()
        pair = sign_in(before, ALICE)
        assert_ok(client.get("/users/me", headers=bearer(pair["token"])))
        assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))

    def test_a_reset_proves_the_address_too(self, client, alice, mailed, deliver, sink, database):
        refill(database)
        assert_ok(client.post("/auth/reset", json={"email": ALICE}), 202)
        deliver()
        body = {"token": token_in(sink.got[-1][1]), "newPassword": "an even longer secret"}
        assert client.put("/auth/reset", json=body).status_code == 204
        sign_in(client, ALICE, "an even longer secret")

    def test_a_user_of_another_stack_comes_in_by_the_mail(self, client, deliver, sink, database):
        database.users.insert_one(
            {
                "email": BOB,
                "password": client.application.extensions["authservice"]
                .hasher.bcrypt.generate_password_hash(PASSWORD, 4)
                .decode(),
            }
        )
        assert_problem(attempt(client, BOB), 403, "email_unverified")
        assert deliver() == 1
        assert prove(client, token_in(sink.only()[1])).status_code == 204
        sign_in(client, BOB)


class TestLinkAndPassword:
    def test_together_they_prove_the_address(self, client, alice, mailed, database):
        token, _ = mailed
        answer = prove(client, token)
        assert (answer.status_code, answer.data) == (204, b"")
        assert "Set-Cookie" not in answer.headers
        assert is_proven(database)
        sign_in(client, ALICE)
        assert_problem(prove(client, token), 403, "code_invalid")

    def test_neither_is_enough(self, client, alice, mailed, database):
        token, _ = mailed
        other = ("A" if token[-20] != "A" else "B").join([token[:-20], token[-19:]])
        assert_problem(prove(client, token, WRONG), 403, "code_invalid")
        assert_problem(prove(client, other), 403, "code_invalid")
        assert not is_proven(database)

    @pytest.mark.parametrize(
        "token", ["", "x", "x." + "A" * 43, f"{ObjectId()}~{'0' * 32}." + "A" * 43, "~." + "A" * 43]
    )
    def test_a_link_that_was_never_sent(self, client, alice, token):
        assert_problem(prove(client, token), 403, "code_invalid")

    def test_it_takes_a_token_and_a_password(self, client):
        answer = client.put("/auth/verification", json={})
        assert_problem(answer, 422, "validation_failed", ("/password", "required"), ("/token", "required"))

    @pytest.mark.parametrize(
        "change",
        [{"disabledAt": LONG_AGO}, {"email": CHARLIE}, {"verification": "x"}, {"password": "x"}],
        ids=repr,
    )
    def test_it_is_no_longer_that_account(self, client, alice, mailed, database, change):
        database.users.update_one({}, {"$set": change})
        assert_problem(prove(client, mailed[0]), 403, "code_invalid")
        assert database.users.find_one({}).get("emailVerifiedAt") is None

    def test_it_expires(self, client, alice, mailed, database):
        make_older(database, 30)
        assert_problem(prove(client, mailed[0]), 403, "code_invalid")

    def test_every_refusal_hashes_once(self, client, alice, mailed, database, monkeypatch):
        hashed = []
        check = passwords.check_password
        monkeypatch.setattr(passwords, "check_password", lambda *args, **more: hashed.append(1) or check(*args, **more))
        for token in (mailed[0], "x", f"{ObjectId()}~{'0' * 32}." + "A" * 43):
            assert_problem(prove(client, token, WRONG), 403, "code_invalid")
        database.users.update_one({}, {"$set": {"disabledAt": datetime.now(UTC)}})
        assert_problem(prove(client, mailed[0]), 403, "code_invalid")
        assert len(hashed) == 4

    def test_who_has_the_link_guesses_as_little_as_at_a_sign_in(self, make_app, alice, mailed):
        client = make_app(LIMITS="on").test_client()
        statuses = [prove(client, mailed[0], f"{WRONG} {n}").status_code for n in range(7)]
        assert statuses == [403] * 5 + [429] * 2
        assert_problem(attempt(client, password=WRONG), 429, "too_many_attempts")

    def test_who_has_no_link_spends_nothing_of_the_account(self, make_app, alice, mailed):
        client = make_app(LIMITS="on").test_client()
        user_id = mailed[0].partition("~")[0]
        for _ in range(7):
            prove(client, f"{user_id}~{'0' * 32}." + "A" * 43, WRONG)
        assert prove(client, mailed[0]).status_code == 204


class TestStart:
    def test_without_a_mail_server_production_does_not_start(self, make_app):
        with pytest.raises(ConfigurationError, match="FLASK_SMTP_URL is required with FLASK_ENV=production and"):
            make_app(ENV="production", SMTP_URL=None)

    def test_it_is_on_or_off(self, make_app):
        with pytest.raises(ConfigurationError, match="FLASK_REQUIRE_VERIFIED_EMAIL must be on or off"):
            make_app(REQUIRE_VERIFIED_EMAIL="yes")


def test_the_guard_lets_only_the_proven_pass(make_app, database):
    app = make_app(REQUIRE_VERIFIED_EMAIL="off")
    app.add_url_rule("/invite", "invite", jwt_required()(verified_email_required()(lambda: {"invited": True})))
    client = app.test_client()
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    headers = bearer(sign_in(client, ALICE)["token"])
    assert_problem(client.get("/invite", headers=headers), 403, "email_unverified")
    assert_problem(client.get("/invite"), 401, "token_missing")
    database.users.update_one({}, {"$set": {"emailVerifiedAt": datetime.now(UTC)}})
    assert_ok(client.get("/invite", headers=headers))
