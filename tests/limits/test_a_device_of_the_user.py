"""A device counts for the accounts that hold it: there it has a budget of its own. Everywhere else it is a stranger."""

import pytest

from authservice.config import Rate
from authservice.limits import budgets
from authservice.security.devices import id_of, new_token
from authservice.store import lookup
from tests.api.answers import assert_ok
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, state_of
from tests.limits.test_guessing_is_slow import accounts, shown  # noqa: F401

ELSEWHERE = "198.51.100.1"
FORGED = "0123456789abcdef" * 4


def ask(client, device_token=None, email=ALICE, password="a wrong one", address="203.0.113.9"):
    body = {"email": email, "password": password, **({"deviceToken": device_token} if device_token else {})}
    return client.post("/auth", json=body, environ_overrides={"REMOTE_ADDR": address})


def statuses(client, times, *given, **asked):
    return [ask(client, *given, **asked).status_code for _ in range(times)]


@pytest.fixture
def device(client, accounts):  # noqa: F811
    """The token of a device of Alice's."""
    return assert_ok(ask(client, password=PASSWORD, address=ELSEWHERE))["deviceToken"]


def test_wrong_passwords_of_strangers_cost_a_device_nothing(client, device):
    assert statuses(client, 6) == [401] * 5 + [429]
    assert statuses(client, 15, device, password=PASSWORD) == [200] * 15
    assert ask(client, password=PASSWORD).status_code == 429


def test_beyond_its_own_budget_a_device_is_a_stranger(client, device):
    """It falls back to the budgets of strangers, and costs them nothing before."""
    assert statuses(client, 16, device) == [401] * 15 + [429]
    assert statuses(client, 6, address=ELSEWHERE) == [401] * 5 + [429]


def test_wrong_passwords_on_a_device_leave_the_others_alone(client, device):
    other = assert_ok(ask(client, password=PASSWORD, address=ELSEWHERE))["deviceToken"]
    assert statuses(client, 16, device)[-1] == 429
    assert ask(client, other, password=PASSWORD).status_code == 200


def test_bobs_device_is_a_stranger_at_alices_account(client, device):
    bobs = assert_ok(ask(client, email=BOB, password=PASSWORD, address=ELSEWHERE))["deviceToken"]
    assert statuses(client, 6, bobs) == [401] * 5 + [429]
    assert ask(client, bobs, email=BOB, password=PASSWORD).status_code == 200


def test_a_device_that_was_forgotten_is_a_stranger(client, device, database):
    assert database.users.update_one({"email": ALICE}, {"$set": {"devices": []}}).modified_count == 1
    assert statuses(client, 6, device) == [401] * 5 + [429]


@pytest.mark.parametrize("shown_token", ["none", "forged", "of Bob"])
def test_known_unknown_and_disabled_accounts_answer_a_strange_token_alike(client, device, shown_token):
    bobs = assert_ok(ask(client, email=BOB, password=PASSWORD, address=ELSEWHERE))["deviceToken"]
    token = {"none": None, "forged": FORGED, "of Bob": bobs}[shown_token]
    told = []
    for number, email in enumerate((ALICE, CHARLIE, "nobody@example.com")):
        answers = [ask(client, token, email=email, address=f"192.0.2.{number}") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
        told.append([shown(answer) for answer in answers])
    assert told[0] == told[1] == told[2]


@pytest.fixture
def few_attempts(monkeypatch):
    """Twelve, and none of them comes back during a test."""
    monkeypatch.setattr(budgets, "_ATTEMPTS", Rate(12, 100_000))


@pytest.mark.parametrize("email", [ALICE, BOB])
def test_a_device_has_a_number_of_attempts_a_minute(client, device, few_attempts, email):
    """Whatever becomes of them: a success gives its units back, and a stranger's token costs a look-up."""
    assert statuses(client, 14, device, email=email, password=PASSWORD) == [200] * 12 + [429] * 2


def test_a_client_has_a_number_of_attempts_with_all_its_tokens(client, device, few_attempts, monkeypatch):
    """Anybody gets any number of tokens from an account of his own."""
    tokens = [
        assert_ok(ask(client, email=BOB, password=PASSWORD, address=f"192.0.2.{n}"))["deviceToken"] for n in range(20)
    ]
    looked_up = []
    real = lookup.find_with_password
    monkeypatch.setattr(lookup, "find_with_password", lambda *given: looked_up.append(1) or real(*given))
    answers = [status for token in tokens for status in statuses(client, 10, token)]
    assert set(answers) == {401, 429}
    assert len(looked_up) == 120


def test_a_strange_token_counts_among_the_attempts_of_the_client(client, device, monkeypatch):
    monkeypatch.setattr(budgets, "_ATTEMPTS", Rate(4, 100_000))
    assert statuses(client, 4, password=PASSWORD) == [200] * 4
    assert statuses(client, 1, device, email=BOB, password=PASSWORD) == [429]
    assert statuses(client, 1, device, password=PASSWORD) == [200]


def test_a_device_whose_budget_is_spent_is_a_stranger_in_a_full_gate(client, device):
    """It would hold the extra place and never hash there, so it would never count as a user of it."""
    assert statuses(client, 10, device) == [401] * 10
    gate = state_of(client.application).hasher.gate
    gate._places = 0
    assert statuses(client, 2, device, password=PASSWORD) == [503] * 2
    other = gate.enter("192.0.2.200", shows_device=True)
    with other as place:
        gate.check_device(place, "somebody")
        assert statuses(client, 2, device, password=PASSWORD) == [503] * 2
        assert gate.run(place, lambda: 7) == 7


def test_a_token_that_is_made_up_costs_no_lookup_once_the_client_is_refused(client, device, monkeypatch):
    assert statuses(client, 6, FORGED)[-1] == 429
    monkeypatch.setattr("authservice.store.lookup.find_with_password", None)
    assert statuses(client, 3, FORGED) == [429] * 3


def test_300_known_devices_behind_one_address_are_never_refused(app, client, accounts, database):  # noqa: F811
    (bob,) = database.users.find({"email": BOB}, {"_id": 0})
    with app.app_context():
        tokens = {f"user{number}@example.com": new_token() for number in range(300)}
    seen = {"label": "curl", "firstSeenAt": bob["createdAt"], "lastSeenAt": bob["createdAt"]}
    database.users.insert_many(
        {**bob, "email": email, "devices": [{"id": id_of(token), **seen}]} for email, token in tokens.items()
    )
    answers = [ask(client, token, email=email, password=PASSWORD).status_code for email, token in tokens.items()]
    assert answers == [200] * 300
