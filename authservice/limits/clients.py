"""Clients: the addresses that share a budget."""

import functools
import ipaddress
from dataclasses import dataclass

from authservice.config import Network
from authservice.security.clients import client_of

IPV4, IPV6, EXEMPT, UNDECLARED_PROXY, UNKNOWN = KINDS = ("ipv4", "ipv6", "exempt", "undeclared_proxy", "unknown")
_SITE_FACTOR = 8  # a /48 has 65,536 networks of clients, and one owner


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
    """The client with an address; text that is not an address has no budget."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return Client(None, UNKNOWN)
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    if any(parsed in network for network in exempt):
        return Client(str(parsed), EXEMPT)
    if isinstance(parsed, ipaddress.IPv4Address):
        return Client(str(parsed), IPV4, ((str(parsed), 1),))
    # A household or a host usually has a /64, so an address within it costs nothing. A site has a /48.
    site = str(ipaddress.ip_network((parsed, 48), strict=False))
    return Client(str(parsed), IPV6, ((site, _SITE_FACTOR), (client_of(str(parsed)), 1)))
