"""Which names of hosts are this machine."""

import ipaddress


def is_loopback(name: str) -> bool:
    """Source: RFC 6761 section 6.3."""
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
