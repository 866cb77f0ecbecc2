"""Proof of work: ALTCHA challenges, which cost a person nothing and a program that signs up by the thousand a lot.

Nothing is stored for a challenge. Its signature says that it is ours, and ``store/proofs.py`` that it is used.
"""

import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from authservice.errors import Fault, ValidationFailed
from authservice.security import strict_json
from authservice.security.keys import derived_key
from authservice.state import current_state

_KEY_INFO = b"authservice: proofs of work"
_LIFETIME_SECONDS = 600
# docs/decisions/0060-proof-of-work.md
_ALGORITHM = "PBKDF2/SHA-256"
_COST = 1_000  # rounds of one try; checking a proof takes one
_KEY_PREFIX = "000"  # found in one of 4,096 tries


@dataclass(frozen=True)
class Proof:
    """The solution of one of our challenges. All solutions of a challenge have the same id."""

    id: str
    expires_at: datetime


def is_required() -> bool:
    return bool(current_state().settings["PROOF_OF_WORK"] == "on")


def issue_challenge() -> dict[str, Any]:
    """A challenge as ALTCHA's widget reads it."""
    import altcha  # an optional dependency, which only an app with PROOF_OF_WORK needs

    expires_at = int(time.time()) + _LIFETIME_SECONDS
    challenge = altcha.create_challenge(
        _ALGORITHM, _COST, key_prefix=_KEY_PREFIX, expires_at=expires_at, hmac_secret=_key()
    )
    shown: dict[str, Any] = challenge.to_dict()
    return shown


def verify(payload: str | None) -> Proof:
    """The proof in a payload as ALTCHA's widget writes it. Raises ValidationFailed."""
    import altcha

    if payload is None:
        raise refusal("required", "Solve a challenge of GET /users/challenge, and send the solution.")
    invalid = refusal("proof_invalid", "This solves no challenge of this service. Solve a new one.")
    try:
        given = altcha.Payload.from_dict(strict_json.loads(base64.b64decode(payload, validate=True)))
        theirs = given.challenge.parameters
        expires_at = int(theirs.expires_at or 0)
    except (ValueError, KeyError, TypeError):
        raise invalid from None
    ours = altcha.ChallengeParameters(
        _ALGORITHM, theirs.nonce, theirs.salt, _COST, key_prefix=_KEY_PREFIX, expires_at=expires_at
    )
    if theirs.to_dict() != ours.to_dict():  # also refuses our own signature from a time when challenges cost less
        raise invalid
    # Never with their numbers: 1000.0 equals 1000 and has the same signature, but is no number of rounds.
    checked = altcha.Payload(altcha.Challenge(ours, given.challenge.signature), given.solution)
    result = altcha.verify_solution(checked, _key())
    if result.expired:
        raise refusal("proof_expired", "The challenge has expired. Solve a new one.")
    if not result.verified:
        raise invalid
    return Proof(ours.nonce, datetime.fromtimestamp(expires_at, UTC))


def refusal(code: str, detail: str) -> ValidationFailed:
    return ValidationFailed([Fault("/altcha", code, detail)])


def _key() -> bytes:
    return derived_key(current_state().settings["JWT_SECRET_KEY"], _KEY_INFO)
