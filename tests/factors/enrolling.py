"""Enrolment over HTTP, and codes as an authenticator app shows them."""

import base64
import time

import pyotp

from tests.api.answers import assert_ok
from tests.conftest import bearer

KEY, NEW_KEY = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"o", b"n"))


def code_of(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps)


def wrong_code(secret: str) -> str:
    """None of the steps around now."""
    near = {code_of(secret, steps) for steps in range(-3, 4)}
    return next(code for code in map("{:06}".format, range(10)) if code not in near)


def set_up(client, token: str) -> str:
    """The secret, which waits for a code."""
    return str(assert_ok(client.post("/users/me/totp", headers=bearer(token)))["secret"])


def confirm(client, token: str, code: str, **headers: str):
    return client.put("/users/me/totp", json={"code": code}, headers={**bearer(token), **headers})


def enrol(client, token: str) -> tuple[str, dict]:
    """Secret, and answer of the confirmation."""
    secret = set_up(client, token)
    return secret, assert_ok(confirm(client, token, code_of(secret)))
