"""What an address is, and whom it counts as where clients share what there is."""

import ipaddress
import re

_NETWORK_BITS = 64  # of IPv6: what one customer gets, with as many addresses as wanted (RFC 6177)
_WITH_PORT = re.compile(r"\[(.+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")  # an IPv6 address has brackets then


def parse_address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None if it is not an address: a proxy may forward anything. Some, such as Azure's, append the port.

    A scope is dropped: it can be any text, and has a meaning only on the machine that added it.
    """
    found = _WITH_PORT.fullmatch(text or "")
    bare = (found[1] or found[2]) if found else text or ""
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def client_of(ip: str | None) -> str:
    """An IPv4 address itself, the /64 of an IPv6 address; "" where the address is not known."""
    address = parse_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
    return str(address or "")
