"""Time-based one-time codes (RFC 6238): six digits of SHA-1 every 30 seconds, as every authenticator app knows them."""

import hmac
import io
import re
from datetime import datetime

import pyotp

_STEP_SECONDS = 30


def new_secret() -> str:
    """160 bits in base32, as RFC 4226 section 4 recommends."""
    return pyotp.random_base32()


def matching_step(secret: str, code: str, at: datetime) -> int | None:
    """The number of the step that the code belongs to: the one of ``at``, or one step either way; else None.

    A code is good for one use: store the step, and take no code of it or of an earlier one again.
    Source: RFC 6238 section 5.2. People type spaces where the app groups the digits.
    """
    typed, hotp, current = re.sub(r"\s", "", code), pyotp.HOTP(secret), int(at.timestamp()) // _STEP_SECONDS
    # All three are compared, so that the time does not say which one it was.
    steps = [step for step in (current - 1, current, current + 1) if _equals(hotp.at(step), typed)]
    return steps[-1] if steps else None


def _equals(code: str, typed: str) -> bool:
    return hmac.compare_digest(code.encode(), typed.encode("utf-8", "replace"))


def uri(secret: str, email: str, issuer: str) -> str:
    """What an authenticator app reads: ``otpauth://totp/...`` (Google Authenticator's Key Uri Format)."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def svg(text: str) -> str:
    """A QR code on white, of any size, as a complete SVG element."""
    import segno  # few workers ever need it

    drawn = io.BytesIO()
    segno.make(text, micro=False).save(drawn, kind="svg", xmldecl=False, nl=False, omitsize=True, light="#fff")
    return drawn.getvalue().decode()
