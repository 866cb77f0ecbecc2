"""Clients: the addresses that share a budget."""

import functools
import ipaddress
from dataclasses import dataclass

from authservice.config import Network
from authservice.security.clients import client_of, parse_address

IPV4, IPV6, EXEMPT, UNDECLARED_PROXY, UNKNOWN = KINDS = ("ipv4", "ipv6", "exempt", "undeclared_proxy", "unknown")
_SITE_FACTOR = 8  # a /48 has 65,536 networks of clients, and one owner
_CROWD_FACTOR = 100  # where nobody knows how many users share an address: docs/decisions/0053-undeclared-proxies.md


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from. ``shares`` are its subjects, each with the number of clients that it counts for.

    They go from the widest to the narrowest. At one account, the narrowest counts as one client, however many it is.
    Without shares it has no budget: what it does counts for the account alone.
    """

    address: str | None
    kind: str
    shares: tuple[tuple[str, int], ...] = ()


NO_CLIENT = Client(None, UNKNOWN)  # the command line, and tests


@functools.lru_cache(1_024)
def client_at(address: str | None, exempt: tuple[Network, ...]) -> Client:
    """The client with an address; everything that is not an address shares a large budget."""
    parsed = parse_address(address)
    if parsed is None:
        return Client(None, UNKNOWN, ((UNKNOWN, _CROWD_FACTOR),))
    if any(parsed in network for network in exempt):
        return Client(str(parsed), EXEMPT)
    if isinstance(parsed, ipaddress.IPv4Address):
        return Client(str(parsed), IPV4, ((str(parsed), 1),))
    # A household or a host usually has a /64, so an address within it costs nothing. A site has a /48.
    site = str(ipaddress.ip_network((parsed, 48), strict=False))
    return Client(str(parsed), IPV6, ((site, _SITE_FACTOR), (client_of(str(parsed)), 1)))


def of_undeclared_proxy(client: Client) -> Client:
    """The same address, counted as many clients. A forged header gains that much, but nothing at a single account."""
    shares = tuple((share, factor * _CROWD_FACTOR) for share, factor in client.shares)
    return Client(client.address, UNDECLARED_PROXY, shares)
