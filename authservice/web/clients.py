"""Which client sent this request: the service's own routes and those of an app that embeds it ask here."""

import functools
import ipaddress
import logging

from flask import request
from werkzeug.http import parse_list_header

from authservice import metrics
from authservice.limits.clients import UNDECLARED_PROXY, Client, client_at
from authservice.state import current_state

_AFTER_PROXY_FIX = "werkzeug.proxy_fix.orig"  # in the WSGI environ: the address is the client's already
# Where proxies are. ipaddress's is_private also has networks that are reserved for documentation.
_OF_PROXIES = [
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]

log = logging.getLogger(__name__)


def current_client() -> Client:
    """The client of this request.

    If the address is that of a proxy which FLASK_TRUSTED_PROXIES does not count, all users would share its budget. So
    it has none, and the log says so once.
    """
    state = current_state()
    address, forwarded = request.remote_addr, request.headers.get("X-Forwarded-For")
    client = None
    if forwarded is not None and _AFTER_PROXY_FIX not in request.environ:
        hops, chain = state.settings["TRUSTED_PROXIES"], parse_list_header(forwarded)
        if hops and len(chain) >= hops:  # a route of an app that embeds the service and has no ProxyFix
            address = chain[-hops]
        elif not hops and _is_of_proxies(address):
            _warn_once(address)
            client = Client(address, UNDECLARED_PROXY)
    client = client or client_at(address, state.limits.exempt)
    metrics.client_addresses.labels(client.kind).inc()
    return client


@functools.lru_cache(1_024)
def _is_of_proxies(address: str | None) -> bool:
    client = client_at(address, ())
    return client.address is not None and any(ipaddress.ip_address(client.address) in one for one in _OF_PROXIES)


def _warn_once(proxy: str | None) -> None:
    told = current_state().limits.is_proxy_told
    if not told.is_set():
        told.set()
        log.warning("proxy_not_declared", extra={"proxy": proxy})
