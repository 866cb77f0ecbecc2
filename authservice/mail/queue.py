"""A new mail for a known user: what the write that causes it adds to the user's document."""

import secrets
from collections.abc import Mapping
from datetime import datetime

from authservice.mail import budgets, kinds
from authservice.mail.kinds import Kind
from authservice.mail.render import language_of
from authservice.security import devices
from authservice.state import current_state
from authservice.store.clock import now
from authservice.store.mails import Mail
from authservice.store.users import User

# A user's list is bounded. Who can cause many mails of one kind must not push out those that tell of worse.
# A reset waits here only after an undo, which only it completes.
_RANKS = {
    kinds.reset: 4,
    kinds.email_changed: 3,
    kinds.password_reset_done: 2,
    kinds.password_changed: 2,
    kinds.factor_added: 2,
    kinds.factor_removed: 2,
    kinds.recovery_code_used: 1,
    kinds.passkey_refused: 1,
    kinds.new_device: 1,
}


def notice(
    kind: Kind,
    user: User,
    user_agent: str = "",
    accept_language: str | None = None,
    *,
    at: datetime | None = None,
    asking: str | None = None,
    factor: str | None = None,
) -> Mail | None:
    """What tells the user of an event, by mail to the address of before it.

    ``factor``: the fact of that name, if the kind has it.

    None if this application sends no mail, or if the address is not proven and has had enough. Raises
    DatabaseUnavailable.
    """
    if current_state().mail is None or not (user.email_verified or budgets.admits_notice(kind.name, user.email)):
        return None
    device = devices.label_of(user_agent) if user_agent else ""
    language = language_of(accept_language, None)
    facts = {"device": device} if factor is None else {"device": device, "factor": factor}
    return new(kind, user.email, language=language, facts=facts, at=at, asking=asking)


def nudge(mail: Mail | None) -> None:
    """Let a mail go out now, after the write that holds it has succeeded.

    Only for mails to known users: for others, the work of delivering could tell who has an account.
    """
    if mail is not None:
        current_state().deliverer.nudge()


def new(
    kind: Kind,
    to: str,
    *,
    language: str | None = None,
    facts: Mapping[str, str] | None = None,
    at: datetime | None = None,
    asking: str | None = None,
) -> Mail:
    """``asking`` and ``at`` go into link and code: those of an earlier mail make it a resend with the same ones.

    ``asking`` is the id that the link leads back to the user by, such as ``<user id>~<random>``; by default the mail's.

    ``facts`` are what a template shows besides link, code and time, such as the device.
    """
    return Mail(
        id=secrets.token_hex(16),
        kind=kind.name,
        rank=_RANKS.get(kind, 0),
        to=to,
        at=at or now(),
        asking=asking,
        language=language,
        facts=facts or {},
        due=now(),
    )
