"""The use cases of those who look after other people's accounts."""

import logging
from collections.abc import Iterator

from authservice.errors import UserUnknown
from authservice.security import emails
from authservice.store import users
from authservice.store.users import User

PAGE_SIZE = 100

log = logging.getLogger(__name__)


def find_user(email: str) -> User:
    """Raises UserUnknown. An e-mail that another stack stored in mixed case is found as it is stored."""
    user = users.find_by_email(email.strip(), emails.normal_form(email))
    if user is None:
        raise UserUnknown
    return user


def all_users() -> Iterator[User]:
    """Every user, read a page at a time."""
    page = users.page(None, PAGE_SIZE)
    while page:
        yield from page
        page = users.page(page[-1].id, PAGE_SIZE)


def disable(user: User) -> None:
    """Take effect on the user's next request. Raises UserUnknown."""
    _require(users.disable(user.id))
    log.info("disable", extra={"outcome": "ok", "userId": user.id})


def enable(user: User) -> None:
    """Raises UserUnknown."""
    _require(users.enable(user.id))
    log.info("enable", extra={"outcome": "ok", "userId": user.id})


def delete(user: User) -> None:
    """Remove everything of the user. Raises UserUnknown."""
    _require(users.delete(user.id))
    log.info("delete", extra={"outcome": "ok", "userId": user.id})


def _require(was_found: bool) -> None:
    if not was_found:
        raise UserUnknown
