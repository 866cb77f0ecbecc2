"""The mail that asks users to prove their address, and whether what they bring back is what it said."""

import secrets
from typing import Any

from authservice.mail import budgets, kinds, queue
from authservice.mail.render import language_of
from authservice.mail.setup import current_mail
from authservice.security import one_time
from authservice.state import current_state
from authservice.store import mails, verifications
from authservice.store.clock import now
from authservice.store.mails import Mail
from authservice.store.users import User
from authservice.store.verifications import GUESSES_MAX, Asking

_KIND = kinds.verification


def ask(user: User, accept_language: str | None) -> None:
    """Send the mail, unless the address is proven, its budgets are spent, or this application sends none.

    The mail has the same link and code as the last one while these are good. Raises DatabaseUnavailable.
    """
    if current_state().mail is None or user.email_verified or not budgets.admits(_KIND.name, user.email):
        return
    last, _ = verifications.find(user.id)
    is_repeated = last is not None and is_good(last) and last.guesses < GUESSES_MAX
    asking = last if last is not None and is_repeated else new_asking(user.id, user.email)
    mail = mail_of(asking, accept_language)
    if verifications.ask(asking, mail, is_repeated=is_repeated):
        queue.nudge(mail)


def for_new_user(user_id: str, email: str, accept_language: str | None) -> tuple[Mail | None, dict[str, Any]]:
    """The mail, and what the insert of the account adds for it. Nothing where ``ask`` would send nothing."""
    if current_state().mail is None or not budgets.admits(_KIND.name, email):
        return None, {}
    asking = new_asking(user_id, email)
    mail = mail_of(asking, accept_language)
    return mail, {"verification": verifications.entry(asking), "mails": mails.pushed(mail)["mails"]["$each"]}


def new_asking(user_id: str, email: str) -> Asking:
    return Asking(user_id, secrets.token_hex(16), email, now())


def mail_of(asking: Asking, accept_language: str | None) -> Mail:
    language = language_of(accept_language, None)
    return queue.new(_KIND, asking.to, language=language, at=asking.at, asking=asking.handle)


def user_id_of(token: str) -> str | None:
    """The user that a link's token names. It is not checked yet."""
    handle = one_time.id_of(token)
    return handle.partition("~")[0] if handle else None


def is_good(asking: Asking) -> bool:
    return now() < asking.at + current_mail().link_lifetime


def matches_token(asking: Asking, token: str) -> bool:
    return is_good(asking) and one_time.matches_token(token, _KIND.name, asking.handle, asking.at, asking.to)


def matches_code(asking: Asking, code: str) -> bool:
    """Each call costs a guess, before anything is compared."""
    if not is_good(asking) or not verifications.count_guess(asking):
        return False
    return one_time.matches_code(code, _KIND.name, asking.handle, asking.at, asking.to)
