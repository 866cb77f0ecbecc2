"""Operators see what is spent and give it back: by e-mail, whether there is an account, and by address."""

import re
import time

import pytest

from authservice import jwt_required, limited
from authservice.limits import memory
from tests.conftest import ALICE, BOB, PASSWORD, bearer
from tests.limits.test_guessing_is_slow import ask, statuses
from tests.service import free_port


@pytest.fixture
def run(app):
    """``flask ...`` on the test's app."""

    def run(*arguments):
        ended = app.test_cli_runner().invoke(args=arguments)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    return run


def guarded(app):
    """Add a route that its own budget limits by user."""

    @app.route("/report")
    @jwt_required()
    @limited("10/1m", by="user")
    def report():
        return ""


def test_what_is_spent_is_shown_by_account_and_by_address(client, run, alice):
    assert statuses(client, 3) == [401] * 3
    assert run("limits", "show", BOB) == run("limits", "show", "198.51.100.7") == ""
    shown = run("limits", "show", " ALICE@example.com")
    assert re.sub(r"full in \d+ s", "full in N s", shown).splitlines() == [
        "sign_in_account  47 of 50 left, full in N s",
        "sign_in_account_client  2 of 5 left, full in N s",
    ]
    assert re.sub(r"full in \d+ s", "full in N s", run("limits", "show", "203.0.113.9")).splitlines() == [
        "sign_in_account_client  2 of 5 left, full in N s",
        "sign_in_client  17 of 20 left, full in N s",
    ]
    assert run("limits", "show", "::ffff:203.0.113.9") == run("limits", "show", "203.0.113.9")


def test_a_site_is_shown_with_its_own_budget(client, run, alice):
    ask(client, address="2001:db8:1:2::3")
    shown = run("limits", "show", "2001:db8:1:2::ffff")
    assert sorted(re.findall(r"(\d+) of (\d+) left", shown)) == [("159", "160"), ("19", "20"), ("4", "5")]


def test_unlock_gives_the_account_its_attempts_back_and_no_client_its_own(make_app, client, run, alice):
    assert statuses(client, 6) == [401] * 5 + [429]
    own = {"currentPassword": "a wrong one", "newPassword": PASSWORD}
    for _ in range(5):
        assert client.put("/users/me/password", json=own, headers=bearer(alice)).status_code == 403
    assert run("users", "unlock", ALICE) == f"{ALICE} has all attempts back.\n"
    assert run("limits", "show", ALICE) == ""
    assert "15 of 20 left" in run("limits", "show", "203.0.113.9")
    other_worker = make_app().test_client()
    assert ask(other_worker, password=PASSWORD).status_code == 200
    assert other_worker.put("/users/me/password", json=own, headers=bearer(alice)).status_code == 403


@pytest.mark.parametrize("spelling", [ALICE, " ALICE@example.com"])
def test_an_e_mail_stands_for_the_budgets_of_its_user_too(make_app, run, alice, spelling):
    app = make_app()
    guarded(app)
    client = app.test_client()
    own = {"currentPassword": "a wrong one", "newPassword": PASSWORD}
    for _ in range(5):
        assert client.put("/users/me/password", json=own, headers=bearer(alice)).status_code == 403
    assert client.get("/report", headers=bearer(alice)).status_code == 200
    shown = run("limits", "show", spelling)
    assert re.sub(r"full in \d+ s", "full in N s", shown).splitlines() == [
        "limited  full in N s",
        "password_check  0 of 5 left, full in N s",
    ]
    assert run("limits", "clear", spelling) == "4 cleared.\n"  # with the two of her sign-in
    assert run("limits", "show", spelling) == ""
    assert make_app().test_client().put("/users/me/password", json=own, headers=bearer(alice)).status_code == 403


def test_an_account_whose_e_mail_is_no_address_is_found(client, run, alice, database):
    database.users.update_one({"email": ALICE}, {"$set": {"email": "natalie"}})
    own = {"currentPassword": "a wrong one", "newPassword": PASSWORD}
    assert client.put("/users/me/password", json=own, headers=bearer(alice)).status_code == 403
    assert run("limits", "show", "natalie").startswith("password_check  4 of 5 left")


@pytest.mark.parametrize("command", ["show", "clear"])
@pytest.mark.parametrize("subject", ["10.0.0.0/8", "2001:db8::/48", "203.0.113.9-11", "203.0.113", "natalie", ""])
def test_what_is_neither_an_e_mail_nor_an_address_is_refused(app, command, subject):
    ended = app.test_cli_runner().invoke(args=["limits", command, subject])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == (
        "Error: Invalid value for 'EMAIL|ADDRESS': no account has this e-mail, and it is not an address. Give an "
        "e-mail such as natalie@example.com, or one IPv4 or IPv6 address such as 203.0.113.9, not a network."
    )


def test_a_worker_that_remembers_a_refusal_forgets_it_soon(client, run, alice, monkeypatch):
    monkeypatch.setattr(memory, "REMEMBERED_SECONDS", 0.5)
    assert statuses(client, 6) == [401] * 5 + [429]
    run("users", "unlock", ALICE)
    give_up = time.monotonic() + 30
    while ask(client, password=PASSWORD).status_code == 429:
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_an_address_and_an_e_mail_without_an_account_can_be_cleared(client, make_app, run):
    email = "nobody@example.com"
    assert statuses(client, 5, email=email) == [401] * 5
    assert run("limits", "clear", "203.0.113.9") == "2 cleared.\n"
    assert run("limits", "clear", email) == "1 cleared.\n"
    assert run("limits", "clear", email) == "0 cleared.\n"
    assert statuses(make_app().test_client(), 6, email=email) == [401] * 5 + [429]


def test_a_cleared_address_may_try_every_account_again_and_no_other_address_may(client, make_app, run, alice):
    here, elsewhere = "203.0.113.9", "198.51.100.7"
    for address in (here, elsewhere):
        for email in (ALICE, BOB):
            assert statuses(client, 6, email=email, address=address) == [401] * 5 + [429]
    assert run("limits", "clear", here) == "3 cleared.\n"
    assert run("limits", "show", here) == ""
    other_worker = make_app().test_client()
    for email in (ALICE, BOB):
        assert ask(other_worker, email=email).status_code == 401
        assert ask(other_worker, email=email, address=elsewhere).status_code == 429


def test_the_counters_of_an_address_are_found_among_thousands(client, run, database):
    assert statuses(client, 3) == [401] * 3
    full_at = time.time() + 1_000
    database.limits.insert_many(
        {"_id": f"{budget}:{number:024x}:{number + 1:024x}", "tat": full_at}
        for budget in ("sign_in_account_client", "sign_in_device", "limited")
        for number in range(2_000)
    )
    assert len(run("limits", "show", "203.0.113.9").splitlines()) == 2
    assert run("limits", "clear", "203.0.113.9") == "2 cleared.\n"
    assert database.limits.count_documents({}) == 6_001  # sign_in_account is left


def test_who_does_not_exist_cannot_be_unlocked(app):
    ended = app.test_cli_runner().invoke(args=["users", "unlock", BOB])
    assert (ended.exit_code, ended.stderr) == (1, "Error: No such user. No user has this e-mail or id.\n")


def test_a_database_that_is_away_is_told(make_app):
    app = make_app(MONGO_URI=f"mongodb://127.0.0.1:{free_port()}/x", MONGO_TIMEOUT_MS=200)
    ended = app.test_cli_runner().invoke(args=["limits", "show", ALICE])
    assert ended.exit_code == 3
    assert "Error: The database does not answer." in ended.stderr
