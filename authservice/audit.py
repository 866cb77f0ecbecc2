"""Security events: who did what to which account, one log line each.

{ time, level, event, outcome, actorId, targetId, via: http | cli, requestId, clientRequestId?, ip?, operator?, .. }
"""

import logging
import os
import pwd
import uuid
from types import TracebackType
from typing import Any

from flask import g, has_request_context

_COMMAND_ID = "audit_command_id"

log = logging.getLogger(__name__)


class Withheld(Exception):
    """In the log, the name of an exception's class in place of its text, which may hold an e-mail or a secret."""


def record(
    event: str,
    outcome: str,
    *,
    target_id: str | None,
    actor_id: str | None = None,
    level: int = logging.INFO,
    **facts: Any,
) -> None:
    """Log a security event about the account ``target_id``.

    ``actor_id`` is needed only on routes without a guard, such as sign-in; by default it is the guard's user. On the
    command line there is no user: ``operator`` names the operating system's user.
    Over HTTP the log adds the request's requestId, clientRequestId and ip.
    """
    if has_request_context():
        user = g.get("authservice_user")
        who = {"actorId": actor_id or (user.id if user else None), "targetId": target_id, "via": "http"}
    else:
        if _COMMAND_ID not in g:
            setattr(g, _COMMAND_ID, uuid.uuid4().hex)
        who = {"actorId": None, "targetId": target_id, "via": "cli", "requestId": g.get(_COMMAND_ID)}
        who["operator"] = _operator()
    log.log(level, event, extra={"outcome": outcome, **who, **facts})


def without_text(error: Exception) -> tuple[type[Exception], Exception, TracebackType | None]:
    """As ``exc_info`` of a log line: any format then shows where it was raised, and none what it says."""
    return Withheld, Withheld(type(error).__name__), error.__traceback__


def _operator() -> str:
    """Not from the environment, which anybody can change."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user id without a name, as in containers
        return str(os.geteuid())
