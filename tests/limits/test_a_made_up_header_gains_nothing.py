"""Through a real gunicorn: whatever X-Forwarded-For a client makes up, it has the budgets of one client."""

import json

import pytest

from tests.api.test_addresses import MADE_UP
from tests.conftest import ALICE
from tests.server.raw import exchange

BODY = json.dumps({"email": ALICE, "password": "a wrong one"}).encode()
HEAD = b"POST /auth HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)
CLIENT = "203.0.113.9"


def guess(service, *forwarded, name="X-Forwarded-For"):
    lines = "".join(f"{name}: {value}\r\n" for value in forwarded).encode()
    return exchange(service.port, HEAD + lines + b"\r\n" + BODY).status


def addresses(service):
    lines = [json.loads(line) for line in service.output().splitlines() if line.startswith("{")]
    return {line["ip"] for line in lines if line.get("route") == "/auth"}


def appended(made_up):
    """As nginx does with ``$proxy_add_x_forwarded_for``."""
    return [f"{made_up}, {CLIENT}"]


def added(made_up):
    """As HAProxy does with ``option forwardfor``."""
    return [made_up, made_up, CLIENT]


@pytest.mark.parametrize("forward", [appended, added])
def test_in_front_of_what_a_proxy_says(serve, forward):
    service = serve(workers=1, FLASK_LIMITS="on", FLASK_TRUSTED_PROXIES="1")
    answers = [guess(service, *forward(made_up)) for made_up in MADE_UP]
    assert answers == [401] * 5 + [429] * (len(MADE_UP) - 5)
    assert guess(service, *forward("192.0.2.1"), name="X_Forwarded_For") == 401, "not that header, so the proxy itself"
    assert addresses(service) == {CLIENT, "127.0.0.1"}


def test_to_a_service_without_proxies(serve):
    service = serve(workers=1, FLASK_LIMITS="on")
    answers = [guess(service, made_up, made_up) for made_up in MADE_UP]
    assert answers == [401] * 5 + [429] * (len(MADE_UP) - 5)
    assert guess(service) == 429
    assert addresses(service) == {"127.0.0.1"}
