"""The use cases of changing an e-mail."""

import logging
import math
import secrets
from collections.abc import Sequence

from authservice import audit, signals
from authservice.auth.service import check_current_password
from authservice.errors import CodeInvalid, EmailTaken, TokenInvalid, TooManyAttempts
from authservice.limits import budgets
from authservice.limits.clients import Client
from authservice.mail import budgets as mail_budgets
from authservice.mail import kinds, queue
from authservice.mail.setup import current_mail
from authservice.security import emails, one_time, passwords
from authservice.state import current_state
from authservice.store import email_changes, indexes, lookup
from authservice.store.clock import now
from authservice.store.email_changes import Change, Former
from authservice.store.users import User

_TRIES = 3
_FORMERS_MAX = 20  # addresses that a user has given up, and that nobody else gets
_SECRET_BYTES = 16


def ask(user: User, session_id: str, new_email: str, current_password: str, client: Client, language: str) -> None:
    """Send a link and a code to the new address.

    If the budgets of its mails are spent, nothing is sent and nothing changes: a link that it has already stays good.
    Raises PasswordWrong before all else, EmailTaken if sign-up would tell it too, TooManyAttempts, TokenInvalid if the
    session has ended, HashingBusy, UsersCollectionUnfit, DatabaseUnavailable.
    """
    to, is_open = emails.normal_form(new_email), current_state().settings["SIGN_UP"] == "open"
    is_admitted = None
    with budgets.for_password_check(user.id):
        for _ in range(_TRIES):
            with passwords.enter(client.address) as place:
                checked = check_current_password(place, user, current_password)
            if is_admitted is None:
                _require_room(user, to)
                budgets.for_reset(client)  # or any account could mail to everybody, and try which addresses are taken
                if is_open:  # else nobody is told here: the mail says it to the owner of the address
                    _require_free(user, new_email)
                is_admitted = mail_budgets.admits(kinds.email_change.name, to)
            if not is_admitted:
                return
            earlier = email_changes.pending(user.id)
            is_repeated = earlier is not None and earlier.to == to and not _has_expired(earlier)
            change = earlier if earlier and is_repeated else Change(to, now(), secrets.token_urlsafe(_SECRET_BYTES))
            mail = queue.new(kinds.email_change, to, language=language, at=change.at, asking=change.asking)
            if email_changes.ask(user.id, session_id, checked, change, mail, is_repeated=is_repeated):
                if is_open:
                    queue.nudge(mail)
                audit.record("change_email", "asked", target_id=user.id)
                return
            # The document has changed since: a sign-in renewed the hash, or the change was replaced.
        audit.record("change_email", "refused", target_id=user.id)
        raise TokenInvalid


def _require_room(user: User, to: str) -> None:
    """Each change keeps an address for seven days. There is always room for a change back."""
    formers = email_changes.former_emails(user.id)
    if len(formers) >= _FORMERS_MAX and _place_of(to, formers) is None:
        raise TooManyAttempts(math.ceil((formers[0].until - now()).total_seconds()))


def _require_free(user: User, new_email: str) -> None:
    indexes.ensure_indexes()
    if lookup.find_holder(emails.spellings(new_email), but_reserved_for=user.id) is not None:
        audit.record("change_email", "email_taken", target_id=user.id)
        raise EmailTaken


def confirm(user: User, session_id: str, token: str | None, code: str | None, user_agent: str, language: str) -> None:
    """Set the new e-mail by the token of its link, or by its code.

    The sessions stay: a thief of another session has gained nothing by the change. A change back to a former address
    ends the links of the later ones, and tells them nothing.
    Raises CodeInvalid whatever is wrong, EmailTaken, UsersCollectionUnfit, DatabaseUnavailable.
    """
    change = email_changes.pending(user.id)
    if change is None or _has_expired(change) or not _is_proof(user, change, token, code):
        raise CodeInvalid
    indexes.ensure_indexes()
    moment = now()
    asking = f"{user.id}~{secrets.token_urlsafe(_SECRET_BYTES)}"
    formers, notice = email_changes.former_emails(user.id), None
    if (place := _place_of(change.to, formers)) is not None:
        formers = formers[: place + 1]  # as an undo does: the later addresses may be a thief's
    else:
        formers.append(Former(user.email, asking, moment, moment + kinds.UNDO_LIFETIME))
        notice = queue.notice(kinds.email_changed, user, user_agent, language, at=moment, asking=asking)
    try:
        is_changed = email_changes.confirm(user, session_id, change, formers, emails.spellings(change.to), notice)
    except EmailTaken:
        audit.record("change_email", "email_taken", target_id=user.id)
        raise
    audit.record("change_email", "ok" if is_changed else "refused", target_id=user.id)
    if not is_changed:
        raise CodeInvalid
    queue.nudge(notice)


def _place_of(email: str, formers: Sequence[Former]) -> int | None:
    """Where among the addresses that its user has given up an address is first, if it is there."""
    normal = [emails.normal_form(former.email) for former in formers]
    return normal.index(email) if email in normal else None


def _is_proof(user: User, change: Change, token: str | None, code: str | None) -> bool:
    secret = (kinds.email_change.name, change.asking, change.at, change.to)
    if token is not None:
        return one_time.id_of(token) == change.asking and one_time.matches_token(token, *secret)
    return (
        code is not None and email_changes.count_guess(user.id, change.asking) and one_time.matches_code(code, *secret)
    )


def _has_expired(change: Change) -> bool:
    return now() >= change.at + current_mail().link_lifetime


def cancel(user: User) -> None:
    """Raises DatabaseUnavailable."""
    if email_changes.cancel(user.id):
        audit.record("change_email", "cancelled", target_id=user.id)


def undo(token: str, language: str) -> None:
    """Give an account back to an address that it had, by the link that the address got.

    A thief may have changed the e-mail several times: the link of the first change restores the owner, and ends those
    of the later ones. Those of earlier changes stay, for the same reason. It works for a disabled user too, who stays
    disabled: the link must not run out while an admin looks into the theft.
    Raises CodeInvalid whatever is wrong, DatabaseUnavailable.
    """
    asking = one_time.id_of(token) or ""
    user_id = asking.partition("~")[0]
    formers = email_changes.former_emails(user_id)
    found = [number for number, former in enumerate(formers) if former.asking == asking]
    former = formers[found[0]] if found else None
    if former is None or not one_time.matches_token(
        token, kinds.email_changed.name, former.asking, former.at, former.email
    ):
        raise CodeInvalid
    mail = queue.new(kinds.reset, former.email, language=language)
    if not email_changes.undo(user_id, former, formers[: found[0]], mail):
        audit.record("undo_email_change", "refused", target_id=user_id, level=logging.WARNING)
        raise CodeInvalid
    queue.nudge(mail)
    audit.record("undo_email_change", "ok", target_id=user_id, level=logging.WARNING)
    signals.send_after(signals.signed_out, user_id)
