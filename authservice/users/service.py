"""The use cases of a user's own account."""

import logging

from authservice.errors import EmailTaken
from authservice.security import emails, passwords
from authservice.store import users
from authservice.store.users import User

log = logging.getLogger(__name__)


def sign_up(email: str, password: str) -> User:
    """Create an account. Raises EmailTaken, HashingBusy, DatabaseUnavailable."""
    normal = emails.normal_form(email)
    user = None
    if not users.is_taken(email.strip(), normal):  # spares the hashing; the insert below decides
        user = users.insert(normal, passwords.hash_password(password))
    if user is None:
        log.info("sign_up", extra={"outcome": "email_taken"})
        raise EmailTaken
    log.info("sign_up", extra={"outcome": "ok", "userId": user.id})
    return user
