"""Read a MongoDB URI as the driver reads it. No message repeats the URI, because it may contain a password."""

import re
from urllib.parse import unquote_plus, urlsplit

from authservice.config.hosts import is_loopback

SRV = "mongodb+srv"
# Each of these options switches TLS on, unless `tls` is given.
TLS_UNDONE_BY = frozenset({"tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames"})
TLS_IMPLIED_BY = frozenset({"tlscafile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword", "tlscrlfile"})


def parse(text: str) -> str:
    """The URI, if it names a host and a database. Raises ValueError otherwise."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("is not a URI such as mongodb://127.0.0.1:27017/authexample") from None
    if parts.scheme not in ("mongodb", SRV) or not parts.netloc:
        raise ValueError("must start with mongodb:// or mongodb+srv:// and name a host")
    if not re.fullmatch(r"/[^/\\. \"$*<>:|?]{1,63}", parts.path):
        raise ValueError("must name the database after the host, such as mongodb://127.0.0.1:27017/authexample")
    return text


def may_lose_writes(uri: str) -> bool:
    """Whether a write may be acknowledged before a majority has it in its journal.

    An option that is given twice counts if either value is bad.
    """
    return any(
        (name == "w" and not _is_enough(value)) or (name in ("j", "journal") and value != "true")
        for name, value in _options(uri)
    )


def is_readable_on_the_network(uri: str) -> bool:
    """Whether the URI points to another machine without TLS."""
    return not _uses_tls(uri) and not all(_is_this_machine(host) for host in _hosts(uri))


def _options(uri: str) -> list[tuple[str, str]]:
    """The driver ignores the case of names, and accepts & or ; as separators."""
    _, _, query = uri.partition("?")
    pairs = [pair.partition("=") for pair in query.replace(";", "&").split("&")]
    return [(name.lower(), unquote_plus(value)) for name, _, value in pairs]


def _is_enough(text: str) -> bool:
    """Two or more, or a name such as majority. The driver reads numbers with int(), and all else as names."""
    try:
        return int(text) >= 2
    except ValueError:
        return re.fullmatch(r"[A-Za-z]\w*", text) is not None


def _uses_tls(uri: str) -> bool:
    """TLS that accepts any certificate does not count: it stops no attacker on the network."""
    options = _options(uri)
    if any(name in TLS_UNDONE_BY and value == "true" for name, value in options):
        return False
    said = [value for name, value in options if name in ("tls", "ssl")]
    if said:
        return said[-1] == "true"
    return uri.startswith(f"{SRV}:") or any(name in TLS_IMPLIED_BY for name, _ in options)


def _hosts(uri: str) -> list[str]:
    address = uri.partition("://")[2].partition("?")[0].partition("/")[0].rpartition("@")[2]
    return [unquote_plus(host) for host in address.split(",")]


def _is_this_machine(host: str) -> bool:
    if host.endswith(".sock"):
        return True
    return is_loopback(host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0])
