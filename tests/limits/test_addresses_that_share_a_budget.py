"""Addresses of which one person can have many share a budget: IPv6 by /64, and eight times as much by /48."""

import ipaddress

import pytest

from authservice.config import Rate
from authservice.limits import budgets
from authservice.limits.clients import client_at
from tests.limits.test_guessing_is_slow import ask

EXEMPT = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("address", "kind", "shares"),
    [
        ("203.0.113.9", "ipv4", (("203.0.113.9", 1),)),
        ("::ffff:203.0.113.9", "ipv4", (("203.0.113.9", 1),)),
        ("2001:db8:1:2:3:4:5:6", "ipv6", (("2001:db8:1::/48", 8), ("2001:db8:1:2::/64", 1))),
        ("2001:DB8:1:2::9%eth0", "ipv6", (("2001:db8:1::/48", 8), ("2001:db8:1:2::/64", 1))),
        ("192.0.2.7", "exempt", ()),
        ("::ffff:192.0.2.7", "exempt", ()),
        ("2001:db8:ffff::1", "exempt", ()),
        ("9.9.9.9:5678", "ipv4", (("9.9.9.9", 1),)),
        ("[2001:db8:1:2::8]:443", "ipv6", (("2001:db8:1::/48", 8), ("2001:db8:1:2::/64", 1))),
        *((text, "unknown", (("unknown", 100),)) for text in ("", None, "garbage", "01.2.3.4", "unix:")),
    ],
)
def test_an_address_belongs_to_its_client(address, kind, shares):
    client = client_at(address, EXEMPT)
    assert (client.kind, client.shares) == (kind, shares)


def test_a_site_that_is_spent_makes_no_further_documents(make_app, database):
    client = make_app(LIMIT_SIGN_IN_CLIENT="1/7d").test_client()
    sites = [f"2001:db8:1:{number:x}::1" for number in range(12)]
    answers = [ask(client, email=f"user{address}@example.com", address=address).status_code for address in sites]
    assert answers == [401] * 8 + [429] * 4
    assert database.limits.count_documents({"_id": {"$regex": "^sign_in_client:"}}) == 1 + 8


def test_a_network_that_floods_costs_its_neighbours_no_attempts(client, monkeypatch):
    """In memory, where a unit that was taken is not given back."""
    monkeypatch.setattr(budgets, "_ATTEMPTS", Rate(5, 50_000))
    assert [ask(client, address="2001:db8:1:2::1").status_code for _ in range(60)] == [401] * 5 + [429] * 55
    assert ask(client, email="bob@example.com", address="2001:db8:1:3::1").status_code == 401
