"""Which client sent this request: the service's own routes and those of an app that embeds it ask here."""

import ipaddress
import logging
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import request

from authservice import metrics
from authservice.limits.clients import Client, client_at, of_undeclared_proxy
from authservice.security.clients import parse_address
from authservice.state import current_state

_FORWARDED_FOR = "HTTP_X_FORWARDED_FOR"
_BEFORE_PROXY_FIX = "werkzeug.proxy_fix.orig"  # in the WSGI environ: what werkzeug's ProxyFix may have replaced
# Where proxies are. ipaddress's is_private also has networks that are reserved for documentation.
_OF_PROXIES = [
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]

log = logging.getLogger(__name__)


def behind_proxies(answer: WSGIApplication, hops: int) -> WSGIApplication:
    """Take the client's address and the scheme from what ``hops`` proxies say.

    werkzeug's ProxyFix reads these lists with quoted strings, so a client's quote hides what its proxy appends.
    """

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        for header, key in ((_FORWARDED_FOR, "REMOTE_ADDR"), ("HTTP_X_FORWARDED_PROTO", "wsgi.url_scheme")):
            environ[key] = _said_by_proxy(environ, header, hops) or environ.get(key, "")
        return answer(environ, start_response)

    return serve


def current_client() -> Client:
    """The client of this request.

    If FLASK_TRUSTED_PROXIES is not the number of proxies, all users of a proxy share a budget. So that is a large one,
    and the log says so once.
    """
    state, environ = current_state(), request.environ
    hops, address = state.settings["TRUSTED_PROXIES"], request.remote_addr
    if hops:  # also in a route of an app that embeds the service, where behind_proxies has not been
        said = _said_by_proxy(environ, _FORWARDED_FOR, hops)
        address, is_miscounted = said or address, said is None
    else:
        is_miscounted = bool(_elements(environ, _FORWARDED_FOR))
    client = client_at(address, state.limits.exempt)
    if is_miscounted and _is_from_proxy(environ):
        _warn_once(client.address, hops)
        client = of_undeclared_proxy(client)
    metrics.client_addresses.labels(client.kind).inc()
    return client


def _said_by_proxy(environ: WSGIEnvironment, header: str, hops: int) -> str | None:
    """What the outermost of ``hops`` proxies has appended to a list. None if the request has not passed all of them.

    Neither header has quoted strings. Empty elements do not count (RFC 9110 section 5.6.1).
    """
    chain = _elements(environ, header)
    return chain[-hops] if len(chain) >= hops else None


def _elements(environ: WSGIEnvironment, header: str) -> list[str]:
    return [one for one in map(str.strip, environ.get(header, "").split(",")) if one]


def _is_from_proxy(environ: WSGIEnvironment) -> bool:
    """Whether the address may be a proxy's, and is still there after a ProxyFix of an app that embeds the service."""
    address = parse_address(environ.get("REMOTE_ADDR"))
    peer = parse_address(environ.get(_BEFORE_PROXY_FIX, environ).get("REMOTE_ADDR"))
    return address is not None and address == peer and any(address in network for network in _OF_PROXIES)


def _warn_once(proxy: str | None, hops: int) -> None:
    told = current_state().limits.is_proxy_told
    if told.is_set():
        return
    told.set()
    if hops:
        log.warning("forwarded_for_too_short", extra={"proxy": proxy})
    else:
        log.warning("proxy_not_declared", extra={"proxy": proxy})
