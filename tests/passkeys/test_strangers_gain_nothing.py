"""Strangers cannot flood the routes of passkeys, nor learn anything from them, also while the database is away."""

import os

import pytest

from tests.api.answers import assert_ok, assert_problem
from tests.passkeys.authenticator import Passkey
from tests.service import free_port
from tests.sessions.commands import Commands, heard

ATTEMPTS = 120  # of a client, at one worker


@pytest.fixture
def commands():
    """Every command that the service sends from here on."""
    with heard(Commands()) as commands:
        yield commands


@pytest.fixture
def from_address(make_app):
    """``from_address(path, body, address)``, where the limits are on."""
    client = make_app(LIMITS="on").test_client()

    def post(path, body, address="203.0.113.9"):
        return client.post(path, json=body, environ_base={"REMOTE_ADDR": address})

    return post


@pytest.fixture
def passkey():
    """Of nobody."""
    passkey = Passkey()
    passkey.user_handle = os.urandom(12)
    return passkey


def test_a_client_asks_for_options_so_often(from_address, database):
    for _ in range(ATTEMPTS):
        assert from_address("/auth/passkey/options", {}).status_code == 200
    assert_problem(from_address("/auth/passkey/options", {}), 429, "too_many_attempts")
    assert_ok(from_address("/auth/passkey/options", {}, "198.51.100.7"))
    assert_problem(from_address("/auth/passkey", {"credential": {}}), 401, "credentials_invalid")
    assert [*database.limits.find()] == []


def test_a_client_tries_passkeys_so_often(from_address, database, passkey, monkeypatch):
    monkeypatch.setattr("authservice.passkeys.routes.wait_for_the_grid", lambda: None)  # it would take seconds
    for _ in range(ATTEMPTS):
        assert from_address("/auth/passkey", {"credential": {}}).status_code == 401
    assert_problem(from_address("/auth/passkey", {"credential": {}}), 429, "too_many_attempts")
    answer = passkey.get(assert_ok(from_address("/auth/passkey/options", {}, "198.51.100.7")))
    assert_problem(from_address("/auth/passkey", {"credential": answer}, "198.51.100.7"), 401, "credentials_invalid")
    assert [*database.limits.find()] == []


def test_every_refusal_waits_for_the_grid(client, options, passkey, monkeypatch):
    waited = []
    monkeypatch.setattr("authservice.passkeys.routes.wait_for_the_grid", lambda: waited.append(1))
    for credential in ({}, passkey.get(options())):
        client.post("/auth/passkey", json={"credential": credential})
    assert len(waited) == 2


def test_whether_there_is_a_user_costs_the_same(commands, alice, bob, enter, passkey):
    bob.set(disabledAt=bob.id.generation_time)
    asked = []
    for user_handle in (passkey.user_handle, alice.id.binary, bob.id.binary):
        passkey.user_handle = user_handle
        commands.seen.clear()
        assert_problem(enter(passkey), 401, "credentials_invalid")
        asked.append([command["projection"] for command in commands.seen])
    assert asked[0] == asked[1] == asked[2]
    assert len(asked[0]) == 2


def test_without_the_database_there_are_options_and_no_sign_in(make_app, passkey):
    away = make_app(MONGO_URI=f"mongodb://127.0.0.1:{free_port()}/away", MONGO_TIMEOUT_MS=100).test_client()
    answer = passkey.get(assert_ok(away.post("/auth/passkey/options", json={})))
    assert_problem(away.post("/auth/passkey", json={"credential": answer}), 503, "database_unavailable")
