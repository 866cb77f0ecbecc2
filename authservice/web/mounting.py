"""How the service stands in somebody else's Flask app: beside it, behind one WSGI function that tells them apart."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter, RequestRedirect, Rule
from werkzeug.security import safe_join

from authservice.config import ConfigurationError
from authservice.state import ENVIRON_OF_HOST


def checked_prefix(url_prefix: str | None) -> str:
    """Without a slash at its end. Raises ConfigurationError."""
    prefix = (url_prefix or "").rstrip("/")
    if prefix and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix):
        raise ConfigurationError([f"url_prefix must be a path such as /identity, not {str(url_prefix)[:80]!r}"])
    return prefix


def mount(service: Flask, host: Flask, prefix: str) -> None:
    """Serve the routes of the service under the prefix, and everything else by the host.

    A route of the host wins where both have one, unless it is a catch-all of which ours is a special case. So no
    route, page or file of the host is hidden, in whatever order they were added.
    """
    serve_host = host.wsgi_app
    ours = service.url_map.bind("localhost")
    our_first_segments = {_first_segment(rule.rule) for rule in service.url_map.iter_rules()}

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(prefix) or (not prefix and _first_segment(path) not in our_first_segments):
            return serve_host(environ, start_response)
        inner = path[len(prefix) :]
        if inner and not re.match("/(?!/)", inner):  # /identityX; of //, werkzeug would read one slash
            return serve_host(environ, start_response)
        if not _is_ours(environ, inner or "/", ours, host, prefix):
            return serve_host(environ, start_response)
        if prefix and not inner:  # relative: no header of the request has a say in it
            start_response("308 Permanent Redirect", [("Location", f"{prefix.rpartition('/')[2]}/")])
            return []
        mounted = {"SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + prefix, "PATH_INFO": inner}
        return service.wsgi_app({**environ, **mounted, ENVIRON_OF_HOST: environ}, start_response)

    host.wsgi_app = serve  # type: ignore[method-assign]


def _is_ours(environ: WSGIEnvironment, inner: str, ours: MapAdapter, host: Flask, prefix: str) -> bool:
    method = environ["REQUEST_METHOD"]
    if method == "OPTIONS":  # a preflight is answered by the owner of the route that it asks about
        method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD") or method
    our_rule, _, is_known_to_us = _match(ours, inner, method)
    with host.app_context():  # as for Flask's own match: a converter of the host may need it
        try:
            theirs = host.create_url_adapter(host.request_class(environ, populate_request=False))
            assert theirs is not None, "there is a request"
            their_rule, their_values, is_known_to_them = _match(theirs, None, method)
        except Exception:  # a redirect, a host name that is refused, or a crash of a converter: all the host's
            return False
        if our_rule and their_rule:
            if their_rule.endpoint == "static" and host.has_static_folder:
                return not _has_file(host, their_values)
            is_catch_all = bool(their_rule.arguments)
            return is_catch_all and len(_fixed_part(their_rule.rule)) < len(_fixed_part(prefix + our_rule.rule))
    if our_rule or their_rule:
        return our_rule is not None
    return not is_known_to_them and (bool(prefix) or is_known_to_us)


def _match(adapter: MapAdapter, path: str | None, method: str) -> tuple[Rule | None, Mapping[str, Any], bool]:
    """The rule, its values, and whether the path has a rule for any method. Raises RequestRedirect."""
    try:
        return *adapter.match(path, method, return_rule=True), True
    except RequestRedirect:
        raise
    except MethodNotAllowed:
        return None, {}, True
    except HTTPException:
        return None, {}, False


def _has_file(host: Flask, values: Mapping[str, Any]) -> bool:
    path = safe_join(host.static_folder or "", values["filename"])
    return path is not None and Path(path).is_file()


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _fixed_part(rule: str) -> str:
    """What stands before the first variable part."""
    return rule.partition("<")[0]
