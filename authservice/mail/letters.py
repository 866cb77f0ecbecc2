"""What is sent for a claimed mail, and whether it may still be sent: decided by the truth at the moment of sending."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import NoReturn

from authservice.mail import kinds, requests
from authservice.mail.kinds import Kind
from authservice.mail.render import link_of, render, written_time
from authservice.security import emails, one_time
from authservice.state import current_state
from authservice.store import indexes, lookup, mail_requests, mails
from authservice.store.clock import now
from authservice.store.mail_requests import Request, RequestClaim
from authservice.store.mails import Mail, Recipient


class Untrue(Exception):
    """It is no longer true, or never was. The text is a reason that names nobody."""


class Expired(Untrue):
    """It could not be sent in time."""


@dataclass(frozen=True)
class Letter:
    """A mail as it is sent. Each try makes the same one: the same Message-ID, link and code."""

    kind: Kind
    to: str
    message: EmailMessage


def letter_of(claim: mails.Claim | RequestClaim) -> Letter:
    """Raises Untrue, Expired, DatabaseUnavailable."""
    return _of_request(claim) if isinstance(claim, RequestClaim) else _of_user(claim.mail, claim.recipient)


def kind_of(claim: mails.Claim | RequestClaim) -> str:
    return claim.request.kind if isinstance(claim, RequestClaim) else claim.mail.kind


def end_of(mail: Mail) -> datetime:
    """Until when it is worth sending."""
    kind = kinds.BY_NAME.get(mail.kind)
    return mail.at + ((kind and kind.lives) or _link_lifetime())


def _of_user(mail: Mail, recipient: Recipient) -> Letter:
    kind = kinds.BY_NAME.get(mail.kind)
    if kind is None:
        raise Untrue("unknown kind")
    if kind is kinds.reset:  # its link begins when it is sent
        _require_true(kind, mail, recipient)
        _hand_over(mail, recipient)
    if now() >= end_of(mail):
        raise Expired("expired")
    if kind.lives is None:  # a notice goes to the address that it is about, whatever a thief has done since
        _require_true(kind, mail, recipient)
    if kind is kinds.email_change and _is_taken(mail.to, recipient):
        return _letter(kinds.email_change_taken, recipient.language or mail.language, {}, mail.to, mail.id)
    facts = {"time": written_time(mail.at), **{name: str(fact) for name, fact in mail.facts.items()}}
    facts |= _secrets(kind, mail.asking or mail.id, mail.at, mail.to)
    return _letter(kind, recipient.language or mail.language, facts, mail.to, mail.id)


def _require_true(kind: Kind, mail: Mail, recipient: Recipient) -> None:
    if recipient.is_disabled:
        raise Untrue("disabled")
    if kind is kinds.verification and recipient.is_verified:
        raise Untrue("verified already")
    if kind is kinds.email_change:
        if recipient.change_asking is None or mail.asking != recipient.change_asking:
            raise Untrue("another change, or none")
    elif mail.to != recipient.email:
        raise Untrue("another address")


def _hand_over(mail: Mail, recipient: Recipient) -> NoReturn:
    """A reset is sent as if the user had asked for it, so that what PUT /auth/reset knows is all that there is.

    If we die before the mail is acknowledged, it is asked for again, with the same link.
    """
    requests.ask_for_owner(kinds.reset.name, mail.to, recipient.language or mail.language)
    raise Untrue("handed over")


def _is_taken(email: str, recipient: Recipient) -> bool:
    """Looked at here and not where it was asked for: the answer there must not tell who has an account."""
    indexes.ensure_indexes()
    return lookup.find_holder(emails.spellings(email), but_reserved_for=recipient.user_id) is not None


def _of_request(claim: RequestClaim) -> Letter:
    request = claim.request
    if now() >= request.expires_at:
        raise Expired("expired")
    recipient = lookup.find_recipient(emails.spellings(request.email))
    if recipient is not None and recipient.is_disabled:
        raise Untrue("disabled")
    if request.kind == kinds.sign_up.name:
        return _about_sign_up(claim, recipient)
    if request.kind != kinds.reset.name:
        raise Untrue("unknown kind")
    if recipient is None:
        raise Untrue("no account")
    return _about_reset(claim, recipient)


def _about_sign_up(claim: RequestClaim, recipient: Recipient | None) -> Letter:
    request, at = claim.request, claim.request.at
    if request.used_at is not None and request.used_at >= request.asked_at:
        raise Untrue("used")  # or who has just signed up would read that the address is taken
    if recipient is not None:
        return _letter(kinds.sign_up_taken, recipient.language or request.language, {}, recipient.email, _seed(request))
    indexes.ensure_indexes()
    if lookup.find_holder(emails.spellings(request.email)) is not None:  # such as one who has given it up lately
        return _letter(kinds.sign_up_taken, request.language, {}, request.email, _seed(request))
    if request.used_at is not None:  # the account that it made is deleted
        at = _renewed(claim)
    facts = _secrets(kinds.sign_up, request.id, at, request.email)
    return _letter(kinds.sign_up, request.language, facts, request.email, _seed(request))


def _about_reset(claim: RequestClaim, recipient: Recipient) -> Letter:
    """It goes to the address that is stored, not to the one that was typed, which may differ in a look-alike letter."""
    request, at, changed_at = claim.request, claim.request.at, recipient.password_changed_at
    if changed_at is not None and changed_at >= request.asked_at:
        raise Untrue("password changed")
    if changed_at is not None and changed_at >= at:  # it ended the link of the first asking in this half-hour
        at = _renewed(claim)
    facts = _secrets(kinds.reset, request.id, at, request.email)
    return _letter(kinds.reset, recipient.language or request.language, facts, recipient.email, _seed(request))


def _renewed(claim: RequestClaim) -> datetime:
    at = mail_requests.renew(claim)
    if at is None:
        raise Untrue("asked again")
    return at


def _seed(request: Request) -> str:
    """Another one for each asking: mail servers drop a second mail with the same Message-ID."""
    return f"{request.id} {request.asked_at.isoformat()}"


def _secrets(kind: Kind, id: str, at: datetime, address: str) -> dict[str, str]:
    found = {}
    if "link" in kind.facts:
        found["link"] = link_of(kind, one_time.link_token(kind.name, id, at, address))
    if "code" in kind.facts:
        found["code"] = one_time.code(kind.name, id, at, address)
    return found


def _letter(kind: Kind, language: str | None, facts: dict[str, str], to: str, seed: str) -> Letter:
    return Letter(kind, to, render(kind, language or "", facts, to, seed))


def _link_lifetime() -> timedelta:
    return timedelta(minutes=current_state().settings["MAIL_LINK_MINUTES"])
