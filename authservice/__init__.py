"""authservice: sign up, sign in, and guarded routes, on Flask and MongoDB."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager
from werkzeug.middleware.proxy_fix import ProxyFix

from authservice import config, embedded, serving, state
from authservice.admin import routes as admin
from authservice.auth import routes as auth
from authservice.cli import check
from authservice.cli import users as user_commands
from authservice.security import passwords, tokens
from authservice.state import State
from authservice.store.client import connect
from authservice.store.indexes import UserIndexes
from authservice.store.resilience import Resilience
from authservice.store.session_batch import SessionLookups
from authservice.users import routes as users
from authservice.web import cors, documentation, guards, observability, pages, parsing, problems


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """The application, from FLASK_* variables; ``overrides`` are settings by name, without the prefix.

    Raises ConfigurationError with every fault named, EmbeddedUnavailable.
    """
    serving.require_own_configuration()
    settings = config.load(os.environ, overrides)
    app = Flask(__name__, instance_path=settings["INSTANCE_PATH"], static_folder=None)
    # Asked four times a request whether a function is a coroutine; Flask's answer about a function never changes.
    app.ensure_sync = functools.lru_cache(app.ensure_sync)  # type: ignore[method-assign]
    app.url_map.merge_slashes = False  # or /users//me is a redirect, to whatever host the request names
    if settings["MONGO_URI"] is None:
        config.require_usable(settings)
        settings |= _embedded_database(config.instance_path(settings), settings)
    app.config.update(settings)

    jwt = JWTManager(app)
    users_collection = connect(app, settings)
    state.bind(
        app,
        State(
            settings=MappingProxyType(settings),
            client=users_collection.database.client,
            users=users_collection,
            resilience=Resilience.of(users_collection.database.client),
            indexes=UserIndexes(users_collection),
            lookups=SessionLookups(users_collection),
            hasher=passwords.init_app(app, settings),
            tokens=tokens.init_app(app, jwt, settings),
        ),
    )
    app.json = parsing.StrictJSONProvider(app)  # after flask-pymongo, which puts one of its own there
    observability.init_app(app)
    api = documentation.init_app(app)
    problems.init_app(app)  # after flask-smorest, which has a format of its own for what werkzeug refuses
    guards.init_app(app, jwt)
    cors.allow_origins(app, settings["CORS_ORIGINS"])

    for blueprint in (users.blueprint, auth.blueprint, admin.blueprint, observability.blueprint):
        api.register_blueprint(blueprint)
    app.register_blueprint(pages.blueprint)
    app.cli.add_command(user_commands.group)
    app.cli.add_command(check.check)

    hops = settings["TRUSTED_PROXIES"]
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app


def _embedded_database(directory: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that it brings along."""
    uri = embedded.find_or_start(directory, [settings["USERS_COLLECTION"]])
    return {"MONGO_URI": uri, "JWT_SECRET_KEY": settings["JWT_SECRET_KEY"] or config.development_secret(directory)}
