"""The use cases of signing in."""

import logging
from dataclasses import dataclass

from authservice.errors import CredentialsInvalid
from authservice.security import emails, passwords, tokens
from authservice.store import users

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SignedIn:
    """What a front-end needs to call guarded routes."""

    token: str
    expires_in_seconds: int


def sign_in(email: str, password: str) -> SignedIn:
    """Exchange an e-mail and a password for an access token.

    Unknown e-mail, wrong password, disabled user and broken hash are refused with the same words after the same work.
    Raises CredentialsInvalid, HashingBusy, DatabaseUnavailable.
    """
    found = users.find_with_password(email.strip(), emails.normal_form(email))
    user, stored = found if found else (None, users.NO_PASSWORD)
    may_sign_in = user is not None and not user.is_disabled
    check = passwords.check_password(password, stored.hash, foreign=stored.is_foreign, renew=may_sign_in)
    if user is None or not may_sign_in or not check.matches:
        log.info("sign_in", extra={"outcome": "refused", "userId": user.id if user else None})
        raise CredentialsInvalid
    if check.renewed_hash is not None:
        users.renew_hash(user.id, stored, check.renewed_hash)
    log.info("sign_in", extra={"outcome": "ok", "userId": user.id})
    return SignedIn(
        token=tokens.issue_access(user.id, user.email, user.roles),
        expires_in_seconds=int(tokens.access_lifetime().total_seconds()),
    )
