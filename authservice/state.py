"""What an application has of its own: one frozen object in ``app.extensions``, shared with no other application."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, request

if TYPE_CHECKING:  # each part is defined above this floor, by the module that uses it
    from pymongo import MongoClient
    from pymongo.collection import Collection

    from authservice.limits.units import Limits
    from authservice.mail.deliver import Deliverer
    from authservice.mail.setup import Mail
    from authservice.security.breaches import BreachCheck
    from authservice.security.passwords import PasswordHasher
    from authservice.security.tokens import TokenPolicy
    from authservice.store.indexes import UserIndexes
    from authservice.store.resilience import Resilience
    from authservice.store.session_batch import SessionLookups
    from authservice.web.profile import Profile

_NAME = "authservice"
ENVIRON_OF_HOST = "authservice.environ_of_host"  # in the WSGI environ, if an app embeds the service


@dataclass(frozen=True, repr=False, eq=False, slots=True)  # no repr: the settings hold secrets
class State:
    """Made before the first request. The parts that change guard themselves."""

    app: Flask  # the app whose users these are: the one that embeds the service, or the service itself
    settings: Mapping[str, Any]
    client: "MongoClient[dict[str, Any]]"
    users: "Collection[dict[str, Any]]"
    counters: "Collection[dict[str, Any]]"  # of the limits
    limits: "Limits"
    resilience: "Resilience"
    indexes: "UserIndexes"
    lookups: "SessionLookups"
    hasher: "PasswordHasher"
    breaches: "BreachCheck | None"
    tokens: "TokenPolicy"
    mail: "Mail | None"  # None: this installation sends none
    deliverer: "Deliverer"
    profile: "Profile | None"
    projection: Mapping[str, int]  # what is read of a user


def bind(app: Flask, state: State) -> None:
    app.extensions[_NAME] = state


def is_bound(app: Flask) -> bool:
    return _NAME in app.extensions


def of(app: Flask) -> State:
    state: State = app.extensions[_NAME]
    return state


def current_state() -> State:
    """The state of the application that handles this request or command. Raises RuntimeError outside of both."""
    state: State = current_app.extensions[_NAME]
    return state


def in_app(*, with_request: bool = False) -> AbstractContextManager[object]:
    """The context of the app whose users these are: what is called in it may be code of that app.

    ``with_request``: with the request as that app sees it, without which it can build no URL.
    """
    app = current_state().app
    if current_app._get_current_object() is app:  # type: ignore[attr-defined]
        return nullcontext()
    return app.request_context(request.environ[ENVIRON_OF_HOST]) if with_request else app.app_context()
