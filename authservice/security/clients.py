"""Whom an address counts as, where clients share what there is."""

import ipaddress

_NETWORK_BITS = 64  # of IPv6: what one customer gets, with as many addresses as wanted (RFC 6177)


def client_of(ip: str | None) -> str:
    """An IPv4 address itself, the /64 of an IPv6 address; "" where the address is not known."""
    try:
        address = ipaddress.ip_address(ip or "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(address), _NETWORK_BITS), strict=False))
        address = address.ipv4_mapped
    return str(address)
