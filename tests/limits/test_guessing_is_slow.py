"""Guessing passwords is slow, from one address and from many, and the answers tell nothing about accounts."""

import re
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import pytest

from authservice.config import Rate
from authservice.limits import budgets
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, state_of
from tests.limits.test_a_budget_admits_exactly_its_burst import pass_time
from tests.service import free_port


def ask(client, email=ALICE, password="a wrong one", address="203.0.113.9", **headers):
    body = {"email": email, "password": password}
    return client.post("/auth", json=body, environ_overrides={"REMOTE_ADDR": address}, headers=headers)


def statuses(client, times, **asked):
    return [ask(client, **asked).status_code for _ in range(times)]


@pytest.fixture
def accounts(make_app, database):
    """Alice and Bob, and Charlie, who is disabled."""
    client = make_app(LIMITS="off").test_client()
    for email in (ALICE, BOB, CHARLIE):
        assert_ok(client.post("/users", json={"email": email, "password": PASSWORD}), 201)
    database.users.update_one({"email": CHARLIE}, {"$set": {"disabledAt": True}})


@pytest.fixture
def hashed(monkeypatch):
    """What was hashed so far: a list that grows."""
    made, real = [], bcrypt.hashpw
    monkeypatch.setattr(bcrypt, "hashpw", lambda *given: made.append(1) or real(*given))
    return made


def test_the_sixth_wrong_password_is_refused_and_the_right_one_too(client, accounts, hashed):
    assert statuses(client, 5) == [401] * 5
    answer = ask(client)
    assert_problem(answer, 429, "too_many_attempts")
    assert 240 < int(answer.headers["Retry-After"]) <= 300
    assert ask(client, password=PASSWORD).status_code == 429
    assert len(hashed) == 5


def test_a_unit_comes_back_after_five_minutes(make_app, accounts, database):
    assert statuses(make_app().test_client(), 6) == [401] * 5 + [429]
    pass_time(database, 300)
    other_worker = make_app().test_client()  # it remembers no refusal
    assert_ok(ask(other_worker, password=PASSWORD))


def test_known_unknown_and_disabled_accounts_get_the_same_answers(client, accounts):
    told = {}
    for number, email in enumerate((ALICE, CHARLIE, "nobody@example.com", "no address")):
        answers = [ask(client, email=email, address=f"198.51.100.{number}") for _ in range(8)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
        told[email] = [shown(answer) for answer in answers]
    first, *others = told.values()
    assert [one == first for one in others] == [True] * 3


def shown(answer):
    """All of it but its id, and the seconds that passed meanwhile."""
    text = answer.text.replace(answer.get_json()["requestId"], "")
    headers = [(name, value) for name, value in answer.headers if name not in ("X-Request-Id", "Retry-After", "Date")]
    waits = re.fullmatch(r"29\d|300", answer.headers.get("Retry-After", "300")) is not None
    return answer.status, text, headers, waits


@pytest.mark.parametrize(
    "spelling", ["ALICE@example.com", " alice@example.com", "Alice@EXAMPLE.com ", "alice@EXAMPLE.COM"]
)
def test_another_spelling_is_no_fresh_budget(client, accounts, spelling):
    assert statuses(client, 5) == [401] * 5
    assert ask(client, email=spelling).status_code == 429


@pytest.mark.parametrize(("one", "other"), [("ä@bücher.example", "Ä@xn--bcher-kva.example")])
def test_neither_is_another_encoding(client, accounts, one, other):
    assert statuses(client, 5, email=one) == [401] * 5
    assert ask(client, email=other).status_code == 429


def test_an_own_success_opens_nothing(client, accounts):
    """Bob guesses at 19 accounts, signs in to his own, and guesses on."""
    guesses = [ask(client, email=f"user{number}@example.com") for number in range(19)]
    assert {guess.status_code for guess in guesses} == {401}
    assert_ok(ask(client, email=BOB, password=PASSWORD))
    more = [ask(client, email=f"more{number}@example.com").status_code for number in range(20)]
    assert more == [401] + [429] * 19


def test_a_success_at_the_account_is_no_reset_of_it(client, accounts):
    assert statuses(client, 4) == [401] * 4
    assert_ok(ask(client, password=PASSWORD))
    assert statuses(client, 3) == [401, 429, 429]


def test_who_only_signs_in_is_never_refused(client, accounts):
    assert statuses(client, 30, password=PASSWORD) == [200] * 30


def test_guesses_from_many_addresses_share_the_budget_of_the_account(client, accounts, hashed):
    answers = [ask(client, address=f"198.51.100.{number}").status_code for number in range(60)]
    assert answers == [401] * 50 + [429] * 10
    assert len(hashed) == 50


def test_64_parallel_guesses_at_two_workers_hash_exactly_the_budget(make_app, accounts, hashed):
    workers = [make_app(BCRYPT_QUEUE=200).test_client() for _ in range(2)]
    clients = [worker.application for worker in workers]
    with ThreadPoolExecutor(32) as threads:
        guesses = [threads.submit(ask, clients[number % 2].test_client()) for number in range(64)]
        answers = [guess.result(60).status_code for guess in guesses]
    assert sorted(answers) == [401] * 5 + [429] * 59
    assert len(hashed) == 5


@pytest.mark.parametrize("mapped", ["::ffff:203.0.113.9", "::ffff:cb00:7109"])
def test_an_ipv4_address_is_the_same_when_it_is_mapped(client, accounts, mapped):
    assert statuses(client, 5) == [401] * 5
    assert ask(client, address=mapped).status_code == 429


def test_addresses_within_a_64_gain_nothing(client, accounts):
    answers = [ask(client, address=f"2001:db8:1:2::{number:x}").status_code for number in range(1, 8)]
    assert answers == [401] * 5 + [429] * 2


def test_networks_within_a_48_have_eight_times_the_budget(make_app, accounts):
    """Each guess at another account, from another /64."""
    client = make_app(LIMIT_SIGN_IN_CLIENT="2/7d").test_client()
    answers = [
        ask(client, email=f"user{number}@example.com", address=f"2001:db8:1:{number:x}::1").status_code
        for number in range(20)
    ]
    assert answers == [401] * 16 + [429] * 4


def test_an_x_forwarded_for_that_a_client_makes_up_gains_nothing(client, accounts):
    answers = [ask(client, **{"X-Forwarded-For": f"192.0.2.{number}"}).status_code for number in range(7)]
    assert answers == [401] * 5 + [429] * 2


def test_behind_a_proxy_only_what_the_proxy_says_counts(make_app, accounts):
    client = make_app(TRUSTED_PROXIES=1).test_client()
    chains = [f"192.0.2.{number}, 203.0.113.9" for number in range(7)]
    answers = [ask(client, address="10.0.0.1", **{"X-Forwarded-For": chain}).status_code for chain in chains]
    assert answers == [401] * 5 + [429] * 2
    other = ask(client, address="10.0.0.1", **{"X-Forwarded-For": "203.0.113.9, 192.0.2.1"})
    assert other.status_code == 401, "another client"


UNKNOWN = ["", "garbage", "01.2.3.4", "unix:", "1.2.3.4:", "203.0.113.999"]


def test_addresses_that_nobody_can_read_share_a_budget_for_a_hundred(make_app):
    client = make_app(LIMIT_SIGN_IN_CLIENT="1/7d").test_client()
    answers = [ask(client, f"{n}@example.com", address=UNKNOWN[n % len(UNKNOWN)]).status_code for n in range(102)]
    assert answers == [401] * 100 + [429] * 2


def test_at_one_account_they_are_one_client(client, accounts):
    assert [ask(client, address=address).status_code for address in UNKNOWN] == [401] * 5 + [429]


def test_all_attempts_of_a_client_are_bounded_in_memory(client, accounts, monkeypatch):
    """Right ones cost no budget of the database, but hashing."""
    monkeypatch.setattr(budgets, "_ATTEMPTS", Rate(120, 12_000))  # slow, so that none comes back meanwhile
    answers = statuses(client, 122, password=PASSWORD)
    assert answers == [200] * 120 + [429] * 2
    answer = ask(client, password=PASSWORD)
    assert_problem(answer, 429, "too_many_attempts")
    assert 60 < int(answer.headers["Retry-After"]) <= 100


def test_a_flood_of_refused_attempts_asks_no_database(client, app, accounts, monkeypatch):
    assert statuses(client, 6) == [401] * 5 + [429]
    state_of(app).client.close()  # every later query fails
    assert statuses(client, 20) == [429] * 20


def test_with_the_database_away_the_answer_is_503(make_app):
    client = make_app(MONGO_URI=f"mongodb://127.0.0.1:{free_port()}/x", MONGO_TIMEOUT_MS=200).test_client()
    for _ in range(8):
        assert_problem(ask(client), 503, "database_unavailable")


def test_an_exempt_network_has_the_budget_of_the_account_alone(make_app, accounts):
    client = make_app(LIMIT_EXEMPT="203.0.113.0/24").test_client()
    assert statuses(client, 51) == [401] * 50 + [429]
    assert statuses(client, 125, email=BOB, password=PASSWORD) == [200] * 125


def test_refusals_are_counted_by_budget(client, accounts):
    def refused():
        lines = client.get("/metrics").text.splitlines()
        (line,) = [one for one in lines if 'attempts_refused_total{budget="sign_in_account_client"}' in one]
        return float(line.split()[-1])

    before = refused()
    statuses(client, 8)
    assert refused() - before == 3
