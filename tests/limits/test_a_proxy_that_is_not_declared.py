"""A proxy that the settings do not count, or count twice, is as many clients as a hundred, and the operator is told."""

import json

import pytest

from authservice.config import Rate
from authservice.limits import budgets
from tests.api.answers import captured_log
from tests.conftest import PASSWORD
from tests.limits.test_guessing_is_slow import ask

FORWARDED = {"X-Forwarded-For": "203.0.113.9"}
PROXIES = ["127.0.0.1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"]


def kinds(client):
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("authservice_client_addr")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines if "_total{" in line}


def forwarded(made_up):
    return {"X-Forwarded-For": made_up}


@pytest.mark.parametrize("proxy", PROXIES)
def test_at_one_account_it_is_one_client_whatever_it_forwards(client, proxy):
    before = kinds(client)["undeclared_proxy"]
    with captured_log() as log:
        answers = [ask(client, address=proxy, **forwarded(f"192.0.2.{n}")).status_code for n in range(7)]
    assert answers == [401] * 5 + [429] * 2
    warnings = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "proxy_not_declared"]
    assert [(line["level"], line["proxy"]) for line in warnings] == [("warning", proxy.removeprefix("::ffff:"))]
    assert kinds(client)["undeclared_proxy"] - before == 7
    assert ask(client, address=proxy).status_code == 429, "nor without the header"


def sign_up(client, email):
    asked = {"headers": FORWARDED, "environ_base": {"REMOTE_ADDR": "10.1.2.3"}}
    return client.post("/users", json={"email": email, "password": PASSWORD}, **asked)


def test_it_may_fail_to_sign_in_as_often_as_a_hundred_clients(make_app):
    client = make_app(LIMIT_SIGN_IN_CLIENT="1/7d").test_client()
    answers = [ask(client, f"{n}@example.com", address="10.1.2.3", **FORWARDED).status_code for n in range(102)]
    assert answers == [401] * 100 + [429] * 2


def test_it_may_try_as_often_as_a_hundred_clients(client, monkeypatch):
    monkeypatch.setattr(budgets, "_ATTEMPTS", Rate(1, 100_000))
    answers = [ask(client, f"{n}@example.com", address="10.1.2.3", **FORWARDED).status_code for n in range(102)]
    assert answers == [401] * 100 + [429] * 2


def test_it_may_sign_up_as_often_as_a_hundred_clients(make_app):
    client = make_app(LIMIT_SIGN_UP="1/7d").test_client()
    assert [sign_up(client, f"{n}@example.com").status_code for n in range(102)] == [201] * 100 + [429] * 2


@pytest.mark.parametrize("made_up", ["", " ", ",", " , ,,"])
def test_a_header_without_text_is_no_sign_of_a_proxy(make_app, made_up):
    client = make_app(LIMIT_SIGN_IN_CLIENT="2/7d").test_client()
    with captured_log() as log:
        asked = {"address": "10.1.2.3", **forwarded(made_up)}
        answers = [ask(client, f"{n}@example.com", **asked).status_code for n in range(4)]
    assert answers == [401] * 2 + [429] * 2
    assert "proxy_not_declared" not in log.getvalue()


def test_addresses_within_a_64_are_one_proxy(client):
    answers = [ask(client, address=f"fd00::{n}", **FORWARDED).status_code for n in range(7)]
    assert answers == [401] * 5 + [429] * 2


def test_an_exempt_one_has_the_budget_of_the_account_alone(make_app):
    client = make_app(LIMIT_EXEMPT="10.0.0.0/8").test_client()
    assert [ask(client, address="10.1.2.3", **FORWARDED).status_code for _ in range(51)] == [401] * 50 + [429]


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1", "8.8.8.8"])
def test_a_public_address_is_a_client_whatever_it_sends(client, address):
    with captured_log() as log:
        answers = [ask(client, address=address, **FORWARDED).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    assert "proxy_not_declared" not in log.getvalue()


def test_a_private_address_that_forwards_nothing_is_a_client(client):
    assert [ask(client, address="10.1.2.3").status_code for _ in range(6)] == [401] * 5 + [429]


TOO_SHORT = [(1, {}), (1, forwarded(" ,")), (2, FORWARDED), (2, {})]


@pytest.mark.parametrize(("hops", "headers"), TOO_SHORT)
def test_nor_does_a_header_that_names_too_few_make_its_users_one_client(make_app, hops, headers):
    client = make_app(TRUSTED_PROXIES=hops, LIMIT_SIGN_IN_CLIENT="1/7d").test_client()
    before = kinds(client)["undeclared_proxy"]
    with captured_log() as log:
        answers = [ask(client, f"{n}@example.com", address="10.1.2.3", **headers).status_code for n in range(102)]
    assert answers == [401] * 100 + [429] * 2
    warnings = [line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == "warning"]
    assert [(line["event"], line["proxy"]) for line in warnings] == [("forwarded_for_too_short", "10.1.2.3")]
    assert kinds(client)["undeclared_proxy"] - before == 102


@pytest.mark.parametrize(("hops", "headers"), TOO_SHORT)
def test_at_one_account_it_is_one_client_then_too(make_app, hops, headers):
    client = make_app(TRUSTED_PROXIES=hops).test_client()
    assert [ask(client, address="10.1.2.3", **headers).status_code for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.parametrize(
    ("hops", "address", "headers"),
    [
        (1, "203.0.113.9", {}),
        (2, "203.0.113.9", forwarded("192.0.2.1")),
        (1, "10.1.2.3", FORWARDED),
        (1, "10.1.2.3", forwarded("10.9.9.9")),
        (2, "10.1.2.3", forwarded("192.0.2.1, 10.9.9.9")),
    ],
)
def test_other_chains_are_of_one_client(make_app, hops, address, headers):
    client = make_app(TRUSTED_PROXIES=hops, LIMIT_SIGN_IN_CLIENT="1/7d").test_client()
    with captured_log() as log:
        answers = [ask(client, f"{n}@example.com", address=address, **headers).status_code for n in range(3)]
    assert answers == [401] + [429] * 2
    assert "forwarded_for_too_short" not in log.getvalue()
