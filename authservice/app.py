"""The factory and the extension: every part named once, in order."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_jwt_extended import JWTManager

from authservice import config, embedded, serving, state
from authservice.admin import routes as admin
from authservice.admin.schemas import AdminUserDetailSchema, AdminUserSchema
from authservice.auth import routes as auth
from authservice.auth.schemas import UserSchema
from authservice.cli import check
from authservice.cli import limits as limit_commands
from authservice.cli import users as user_commands
from authservice.errors import Refusal
from authservice.limits import units
from authservice.security import breaches, passwords, tokens
from authservice.state import State
from authservice.store import client
from authservice.store import limits as counters
from authservice.store.indexes import UserIndexes
from authservice.store.resilience import Resilience
from authservice.store.session_batch import SessionLookups
from authservice.store.users import projection_of
from authservice.users import routes as users
from authservice.users.schemas import ProfileChangeSchema, SignUpSchema
from authservice.web import (
    clients,
    cors,
    documentation,
    guards,
    health,
    logs,
    mounting,
    observability,
    pages,
    parsing,
    problems,
    profile,
)

if TYPE_CHECKING:
    from flask_pymongo import PyMongo
    from pymongo import MongoClient

PAGES, DOCS, HEALTH, METRICS = "pages", "docs", "health", "metrics"
_ALL_PARTS = frozenset({PAGES, DOCS, HEALTH, METRICS})


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """The service as an application of its own, from FLASK_* variables.

    ``overrides`` are settings by name, without the prefix:

        app = create_app({"MONGO_URI": "mongodb://127.0.0.1:27017/authexample", "JWT_SECRET_KEY": secret})

    Raises ConfigurationError with every fault named, EmbeddedUnavailable.
    """
    serving.require_own_configuration()
    settings = config.load(os.environ, overrides)
    logs.write_to_stderr()
    app = _build(settings)
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
        - ``pages``, ``docs``, ``health``, ``metrics``: False leaves out `/`, `/app/` and `/readme`; `/docs` and
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
    service = _build(settings, host=host, parts=parts, mongo=mongo)
    state.bind(host, state.of(service))
    host.register_error_handler(Refusal, problems.render)  # current_user() raises them in a route without a guard
    if jwt is not None:
        guards.bind(jwt)
    mounting.mount(service, host, prefix)
    _add_commands(host)


def _build(
    settings: dict[str, Any],
    *,
    host: Flask | None = None,
    parts: frozenset[str] = _ALL_PARTS,
    mongo: Any = None,
) -> Flask:
    """The app that serves our routes.

    It is never the host itself: neither sees the other's error handlers, headers, JSON, configuration or extensions.
    """
    app = Flask("authservice", instance_path=settings["INSTANCE_PATH"], static_folder=None)
    # Flask asks four times per request whether a function is a coroutine, which never changes.
    app.ensure_sync = functools.lru_cache(app.ensure_sync)  # type: ignore[method-assign]
    app.url_map.merge_slashes = False  # or /users//me redirects to the Host that the request names
    if settings["MONGO_URI"] is None and mongo is None:
        config.require_usable(settings)
        settings |= _embedded_database(config.instance_path(settings), settings)
    app.config.update(settings)

    own_profile = profile.of_settings(settings)
    projection = projection_of(own_profile.attributes if own_profile else ())
    jwt = JWTManager(app)
    users_collection = client.connect(app, settings) if mongo is None else client.adopt(mongo, settings)
    keeps_proofs = settings["PROOF_OF_WORK"] == "on"
    limits = units.of_settings(settings)
    counters_collection = counters.of_database(users_collection)
    state.bind(
        app,
        State(
            app=host or app,
            settings=MappingProxyType(settings),
            client=users_collection.database.client,
            users=users_collection,
            counters=counters_collection,
            limits=limits,
            resilience=Resilience.of(users_collection.database.client, settings["MONGO_TIMEOUT_MS"] / 1_000),
            indexes=UserIndexes(
                users_collection,
                counters_collection if limits.is_on else None,
                keeps_proofs=keeps_proofs,
            ),
            lookups=SessionLookups(users_collection, projection),
            hasher=passwords.init_app(app, settings),
            breaches=breaches.of_settings(settings),
            tokens=tokens.init_app(app, settings),
            profile=own_profile,
            projection=projection,
        ),
    )
    app.json = parsing.StrictJSONProvider(app)  # after flask-pymongo, which sets its own
    observability.init_app(app)
    api = documentation.init_app(app, is_served=DOCS in parts)
    problems.init_app(app)  # after flask-smorest, which has its own format for errors
    guards.init_app(app, jwt)
    cors.allow_origins(app, settings["CORS_ORIGINS"])

    if own_profile:
        bodies = (SignUpSchema, ProfileChangeSchema, UserSchema, AdminUserSchema, AdminUserDetailSchema)
        documentation.add_profile(api, own_profile, bodies)
        api.register_blueprint(users.profile_blueprint)
    if keeps_proofs:
        api.register_blueprint(users.challenge_blueprint)
    for blueprint in (users.blueprint, auth.blueprint, admin.blueprint):
        api.register_blueprint(blueprint)
    if HEALTH in parts:
        api.register_blueprint(health.blueprint)
    if METRICS in parts:
        api.register_blueprint(health.metrics_blueprint)
    if parts & {PAGES, DOCS}:
        app.register_blueprint(pages.blueprint(has_pages=PAGES in parts, has_docs=DOCS in parts))

    if hops := settings["TRUSTED_PROXIES"]:
        app.wsgi_app = clients.behind_proxies(app.wsgi_app, hops)  # type: ignore[assignment,method-assign]
    return app


def _add_commands(app: Flask) -> None:
    for command in (user_commands.group, limit_commands.group, check.check):
        if command.name not in app.cli.commands:
            app.cli.add_command(command)


def _embedded_database(directory: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The URI and the secret that come with it."""
    uri = embedded.find_or_start(directory, [settings["USERS_COLLECTION"]])
    return {"MONGO_URI": uri, "JWT_SECRET_KEY": settings["JWT_SECRET_KEY"] or config.development_secret(directory)}
