"""Signals that an app may connect to. Each is sent after the write has succeeded, with the app as the sender.

What a receiver raises is logged: it changes no answer, and every other receiver runs.
"""

import inspect
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from blinker import NamedSignal, Namespace

from authservice import audit
from authservice.errors import DatabaseUnavailable
from authservice.state import current_state, in_app
from authservice.store import users
from authservice.store.users import User

_signals = Namespace()

user_created = _signals.signal(
    "user_created",
    """An account was created.

    It was created by sign-up or on the command line.

        @user_created.connect_via(app)
        def greet(sender, user): ...
    """,
)
signed_in = _signals.signal(
    "signed_in",
    """A user signed in with a password.

    A refresh is not a sign-in.

        @signed_in.connect_via(app)
        def count(sender, user): ...
    """,
)
signed_out = _signals.signal(
    "signed_out",
    """One or more sessions of a user were ended.

    The user, an admin or an operator ended them, or disabled the account; a sign-in replaced the session; or a refresh
    token was used twice. It is not sent for sessions that expire, that give way because the user has too many, or that
    end with a changed password or a deleted account.

        @signed_out.connect_via(app)
        def close_sockets(sender, user): ...
    """,
)
password_changed = _signals.signal(
    "password_changed",
    """A user changed the password, or an operator set a new one.

    All earlier sessions have ended.

        @password_changed.connect_via(app)
        def tell_user(sender, user): ...
    """,
)
user_deleted = _signals.signal(
    "user_deleted",
    """An account was deleted by the user, by an admin or on the command line.

    ``user`` is the user before the deletion.

        @user_deleted.connect_via(app)
        def delete_todos(sender, user):
            Todo.delete_of(user.id)
    """,
)

log = logging.getLogger(__name__)
log.setLevel(logging.ERROR)  # on the command line too, which keeps all other lines of the log to itself


def is_heard(signal: NamedSignal) -> bool:
    """Whether a receiver is connected, for what it takes to send."""
    return signal.has_receivers_for(current_state().app)


def send(signal: NamedSignal, user: User) -> None:
    """Call every receiver of this app, one after the other."""
    app = current_state().app
    for receiver in [*signal.receivers_for(app)]:
        try:
            with in_app(with_request=True):
                call = app.ensure_sync(receiver) if inspect.iscoroutinefunction(receiver) else receiver
                call(app, user=user)
        except Exception as error:
            _record(signal, receiver, error)


def send_after(signal: NamedSignal, user_id: str) -> None:
    """Send what has happened to a user who is read now, and only if a receiver is connected. Raises nothing.

    It has happened already, so no failure may be reported.
    """
    if is_heard(signal):
        with suppress(DatabaseUnavailable):
            user = users.find(user_id)
            if user is not None:
                send(signal, user)


def _record(signal: NamedSignal, receiver: Callable[..., Any], error: Exception) -> None:
    log.error(
        "receiver_failed",
        exc_info=audit.without_text(error),
        extra={
            "signal": signal.name,
            "receiver": getattr(receiver, "__qualname__", type(receiver).__qualname__),
            "error": type(error).__name__,
        },
    )
