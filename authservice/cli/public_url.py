"""Check the service as its clients reach it: TLS, the proxies in front, and their headers."""

import ipaddress
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from authservice.cli.finding import Finding, clock, good, note, wrong

TIMEOUT_SECONDS = 10
ANSWER_MAX_BYTES = 65_536
CLOCK_TOLERANCE = timedelta(seconds=6)  # a Date header has whole seconds
HSTS = "Strict-Transport-Security"  # the service sends it if it believes that the client used https
NOBODYS_ADDRESS = "192.0.2.1"  # RFC 5737
NO_TOKEN = {"Authorization": "Bearer none"}


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Message
    body: Any  # None if it is not JSON

    @property
    def came_by_https(self) -> bool:
        return HSTS in self.headers

    @property
    def code(self) -> object:
        return self.body.get("code") if isinstance(self.body, dict) else None


def findings(url: str) -> Iterator[Finding]:
    """In the order of a request's way. After a fault, checks that depend on it are left out."""
    try:
        yield from _of_service(url)
    except ssl.SSLError as error:
        yield wrong("TLS", getattr(error, "verify_message", "") or str(error))
    except (OSError, HTTPException, ValueError) as error:
        yield wrong("url", f"it does not answer with HTTP: {type(error).__name__}: {error}")


def _of_service(url: str) -> Iterator[Finding]:
    ready = _get(f"{url}/readyz")
    yield _of_transport(url)
    if 300 <= ready.status < 400:
        yield wrong("url", f"it redirects to {ready.headers.get('Location', 'nowhere')!r}: clients need its own URL")
        return
    if ready.body != {"status": "ok"} and ready.code is None:
        yield wrong("url", f"/readyz answers {ready.status}, and the answer is not from this service")
        return
    if ready.status == 200:
        yield good("url", "the service answers, and is ready")
    else:
        yield wrong("url", f"the service is not ready: {ready.code}")
    yield from _of_proxies(url, ready)
    if "Date" in ready.headers:
        said = parsedate_to_datetime(ready.headers["Date"])
        yield clock("clock", "the server's", said, datetime.now(UTC), CLOCK_TOLERANCE)


def _of_transport(url: str) -> Finding:
    if url.startswith("https:"):
        return good("TLS", "the certificate is valid for this name")
    if _is_this_machine(urlsplit(url).hostname or ""):
        return note("TLS", "there is none, on this machine")
    return wrong("TLS", "there is none: anybody on the network can read passwords and tokens")


def _of_proxies(url: str, ready: _Answer) -> Iterator[Finding]:
    is_https = url.startswith("https:")
    if is_https and not ready.came_by_https:
        yield wrong(
            "proxies",
            "the service does not know that clients use https: let the proxy set X-Forwarded-Proto, and set "
            "FLASK_TRUSTED_PROXIES to the number of proxies that set or extend it",
        )
    elif is_https != ready.came_by_https:
        yield wrong(
            "proxies", "the service sees https where clients use http: the proxy sets X-Forwarded-Proto wrongly"
        )
    else:
        lie = {"X-Forwarded-Proto": "http" if is_https else "https", "X-Forwarded-For": NOBODYS_ADDRESS}
        if _get(f"{url}/readyz", lie).came_by_https != ready.came_by_https:
            yield wrong(
                "proxies",
                "the service believes the X-Forwarded-Proto that a client sends: FLASK_TRUSTED_PROXIES is higher than "
                "the number of proxies, or the proxy passes the header on as it came",
            )
        else:
            yield good("proxies", "the service knows the scheme, and believes no client about it")
    answer = _get(f"{url}/users/test", NO_TOKEN)
    if (answer.status, answer.code) == (401, "token_invalid") and "WWW-Authenticate" in answer.headers:
        yield good("headers", "Authorization reaches the service, and its challenge the client")
    else:
        yield wrong(
            "headers",
            f"a bad token is answered {answer.status} {answer.code or ''}".rstrip()
            + ", not 401 token_invalid: the proxy must pass on Authorization, WWW-Authenticate and the body",
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _get(url: str, headers: Mapping[str, str] | None = None) -> _Answer:
    """Raises OSError (also ssl.SSLError), HTTPException, ValueError."""
    opener = urllib.request.build_opener(_NoRedirect)
    request = urllib.request.Request(url, headers={"User-Agent": "authservice-check", **(headers or {})})  # noqa: S310
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return _Answer(answer.status, answer.headers, _json(answer.read(ANSWER_MAX_BYTES)))
    except urllib.error.HTTPError as error:
        with error:
            return _Answer(error.code, error.headers, _json(error.read(ANSWER_MAX_BYTES)))
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else OSError(error.reason) from None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
