"""The factory and the extension."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_jwt_extended import JWTManager

from authservice import config, serving, state
from authservice.assembly import DOCS, HEALTH, METRICS, PAGES, build
from authservice.cli import (
    adopting,  # noqa: F401 - adds a command to `users`
    check,
    doctor,
    exporting,  # noqa: F401 - adds a command to `users`
    importing,  # noqa: F401 - adds a command to `users`
)
from authservice.cli import keys as key_commands
from authservice.cli import limits as limit_commands
from authservice.cli import mails as mail_commands
from authservice.cli import users as user_commands
from authservice.errors import Refusal
from authservice.web import (
    guards,
    health,
    logs,
    mounting,
    problems,
)

if TYPE_CHECKING:
    from flask_pymongo import PyMongo
    from pymongo import MongoClient


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """The service as an application of its own, from FLASK_* variables.

    ``overrides`` are settings by name, without the prefix:

        app = create_app({"MONGO_URI": "mongodb://127.0.0.1:27017/authexample", "JWT_SECRET_KEY": secret})

    Raises ConfigurationError with every fault named, EmbeddedUnavailable.
    """
    serving.require_own_configuration()
    settings = config.load(os.environ, overrides)
    logs.write_to_stderr()
    app = build(settings)
    health.keep_apart(app, settings["METRICS"])
    _add_commands(app)
    return app


class AuthService:
    """The service as an extension of your Flask app.

        auth = AuthService(url_prefix="/identity")

        def create_app():
            app = Flask(__name__)
            auth.init_app(app)

            @app.get("/todos")
            @jwt_required()
            def todos():
                return {"owner": current_user().id}

            return app

    Routes of the app are served before those of the service, and nothing but the guards touches them.
    """

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        """``options`` are those of ``init_app``."""
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, **options: Any) -> None:
        """Bind the service to an app. One AuthService may serve several apps, each with its own state.

        - ``url_prefix``: where the routes of the service are, such as "/identity"; without one they are at the root.
        - ``pages``, ``docs``, ``health``, ``metrics``: False leaves out `/`, `/app/`, `/outbox`, `/readme`; `/docs` and
          `/openapi.json`; `/healthz` and `/readyz`; `/metrics`.
        - ``mongo``: the app's PyMongo or MongoClient in place of FLASK_MONGO_URI.
        - ``jwt``: a JWTManager of the app, whose guards then let the same users pass as ours.
        - ``profile``, ``claims``: the settings FLASK_PROFILE and FLASK_CLAIMS as Python objects.
        - every other keyword is a setting by its name, such as ``PASSWORD_MIN_LENGTH=12``. It wins over the variable.

        Raises ConfigurationError with every fault named, EmbeddedUnavailable, RuntimeError for an app that is bound.
        """
        _embed(app, **{**self._options, **options})


def _embed(
    host: Flask,
    *,
    url_prefix: str | None = None,
    pages: bool = True,
    docs: bool = True,
    health: bool = True,
    metrics: bool = True,
    mongo: "PyMongo | MongoClient[Any] | None" = None,
    jwt: JWTManager | None = None,
    profile: Any = None,
    claims: Any = None,
    **overrides: Any,
) -> None:
    if state.is_bound(host):
        raise RuntimeError("this app has an AuthService already")
    prefix = mounting.checked_prefix(url_prefix)
    for name, given in (("PROFILE", profile), ("CLAIMS", claims)):
        if given is not None:
            overrides[name] = given
    if not metrics:
        overrides["METRICS"] = "off"
    settings = config.load(os.environ, overrides, is_embedded=True, has_client=mongo is not None)
    if settings["INSTANCE_PATH"] is None:  # the default would be shared by all apps of this system user
        settings["INSTANCE_PATH"] = str(Path(host.instance_path) / "authservice")
    wanted = {PAGES: pages, DOCS: docs, HEALTH: health, METRICS: metrics}
    parts = frozenset(name for name, is_wanted in wanted.items() if is_wanted)
    service = build(settings, host=host, parts=parts, mongo=mongo)
    state.bind(host, state.of(service))
    host.register_error_handler(Refusal, problems.render)  # current_user() raises them in a route without a guard
    if jwt is not None:
        guards.bind(jwt)
    mounting.mount(service, host, prefix)
    _add_commands(host)


def _add_commands(app: Flask) -> None:
    groups = user_commands.group, limit_commands.group, mail_commands.group, key_commands.group
    for command in (*groups, check.check, doctor.doctor):
        if command.name not in app.cli.commands:
            app.cli.add_command(command)
