"""A proxy that the settings do not count: its users share no budget, and the operator is told."""

import json

import pytest

from tests.api.answers import captured_log
from tests.limits.test_guessing_is_slow import ask

FORWARDED = {"X-Forwarded-For": "203.0.113.9"}
PROXIES = ["127.0.0.1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"]


def kinds(client):
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("authservice_client_addr")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines if "_total{" in line}


@pytest.mark.parametrize("proxy", PROXIES)
def test_its_users_have_the_budgets_of_accounts_alone(client, proxy):
    before = kinds(client)["undeclared_proxy"]
    with captured_log() as log:
        answers = [ask(client, address=proxy, **FORWARDED).status_code for _ in range(51)]
    assert answers == [401] * 50 + [429]
    warnings = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "proxy_not_declared"]
    assert [(line["level"], line["proxy"]) for line in warnings] == [("warning", proxy.removeprefix("::ffff:"))]
    assert kinds(client)["undeclared_proxy"] - before == 51


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1", "8.8.8.8"])
def test_a_public_address_is_a_client_whatever_it_sends(client, address):
    with captured_log() as log:
        answers = [ask(client, address=address, **FORWARDED).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    assert "proxy_not_declared" not in log.getvalue()


def test_a_private_address_that_forwards_nothing_is_a_client(client):
    assert [ask(client, address="10.1.2.3").status_code for _ in range(6)] == [401] * 5 + [429]
