"""CORS: which origins may call the service from a browser."""

import re

from flask import Flask, request
from flask_cors import CORS


def allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Allow exactly these origins, with the headers that a front-end sends and reads."""
    CORS(
        app,
        # Compiled and anchored: flask-cors treats text with a bracket, as in http://[::1]:8100, as an open pattern.
        origins=[re.compile(rf"{re.escape(origin)}\Z") for origin in origins],
        supports_credentials=True,
        allow_headers=["Authorization", "Content-Type", "X-Requested-With", "X-Request-Id"],
        expose_headers=["Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"],
        methods=["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
        max_age=600,
        vary_header=True,
        always_send=False,
        intercept_exceptions=False,  # after_request sees these answers too
    )
    allow = app.after_request_funcs[None].pop()
    # Without an Origin no browser asks for permission, so these requests need no CORS headers.
    app.after_request(lambda response: allow(response) if "Origin" in request.headers else response)
