"""Which pages of other origins may call the service."""

import re

from flask import Flask, request
from flask_cors import CORS


def allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of exactly these origins call, with the headers that a front-end sends and reads."""
    CORS(
        app,
        # Compiled and anchored: of a text with a bracket, as in http://[::1]:8100, flask-cors makes an open pattern.
        origins=[re.compile(rf"{re.escape(origin)}\Z") for origin in origins],
        supports_credentials=True,
        allow_headers=["Authorization", "Content-Type", "X-Requested-With", "X-Request-Id"],
        expose_headers=["Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"],
        methods=["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
        max_age=600,
        vary_header=True,
        always_send=False,
        intercept_exceptions=False,  # answers to exceptions pass through after_request as well
    )
    allow = app.after_request_funcs[None].pop()
    # Without an Origin there is no page of another site behind it: those do not pay for headers that nobody reads.
    app.after_request(lambda response: allow(response) if "Origin" in request.headers else response)
