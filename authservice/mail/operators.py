"""What operators see of the mails that wait. No link and no code is among it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authservice.mail import letters
from authservice.store import mail_requests, mails
from authservice.store.mail_requests import Request
from authservice.store.mails import Mail

SHOWN_MAX = 1_000


@dataclass(frozen=True)
class Waiting:
    """A mail that waits. ``user_id`` is None for one that was asked for by e-mail: there may be no account."""

    id: str
    kind: str
    to: str
    user_id: str | None
    language: str | None
    at: datetime
    due: datetime
    until: datetime
    tries: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def waiting() -> list[Waiting]:
    """The first SHOWN_MAX of them, the earliest due first."""
    found = [_of_user(user_id, mail) for user_id, mail in mails.waiting(SHOWN_MAX)]
    found += [_of_request(request, request.due) for request in mail_requests.waiting(SHOWN_MAX) if request.due]
    return sorted(found, key=lambda one: one.due)[:SHOWN_MAX]


def find(mail_id: str) -> Waiting | None:
    return next((one for one in waiting() if one.id == mail_id), None)


def retry(mail: Waiting) -> bool:
    """Let it be due now. False if it has gone, or is being sent."""
    return mails.retry(mail.user_id, mail.id) if mail.user_id else mail_requests.retry(mail.id)


def _of_user(user_id: str, mail: Mail) -> Waiting:
    return Waiting(
        id=mail.id,
        kind=mail.kind,
        to=mail.to,
        user_id=user_id,
        language=mail.language,
        at=mail.at,
        due=mail.due,
        until=letters.end_of(mail),
        tries=mail.tries,
        facts=mail.facts,
    )


def _of_request(request: Request, due: datetime) -> Waiting:
    return Waiting(
        id=request.id,
        kind=request.kind,
        to=request.email,
        user_id=None,
        language=request.language,
        at=request.asked_at,
        due=due,
        until=request.expires_at,
        tries=request.tries,
    )
