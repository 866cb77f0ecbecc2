"""Addresses of which one person can have many share a budget: IPv6 by /64, and eight times as much by /48."""

import ipaddress

import pytest

from authservice.limits.clients import client_at

EXEMPT = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("address", "kind", "shares"),
    [
        ("203.0.113.9", "ipv4", {"203.0.113.9": 1}),
        ("::ffff:203.0.113.9", "ipv4", {"203.0.113.9": 1}),
        ("2001:db8:1:2:3:4:5:6", "ipv6", {"2001:db8:1:2::/64": 1, "2001:db8:1::/48": 8}),
        ("2001:DB8:1:2::9%eth0", "ipv6", {"2001:db8:1:2::/64": 1, "2001:db8:1::/48": 8}),
        ("192.0.2.7", "exempt", {}),
        ("::ffff:192.0.2.7", "exempt", {}),
        ("2001:db8:ffff::1", "exempt", {}),
        ("", "unknown", {}),
        (None, "unknown", {}),
        ("garbage", "unknown", {}),
        ("9.9.9.9:5678", "unknown", {}),
    ],
)
def test_an_address_belongs_to_its_client(address, kind, shares):
    client = client_at(address, EXEMPT)
    assert (client.kind, dict(client.shares)) == (kind, shares)
