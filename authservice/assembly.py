"""What an application is made of: every part named once, in order."""

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager

from authservice import config, embedded, state
from authservice.admin import routes as admin
from authservice.admin.schemas import AdminUserDetailSchema, AdminUserSchema
from authservice.auth import routes as auth
from authservice.auth.schemas import UserSchema
from authservice.email_changes import routes as email_changes
from authservice.factors import routes as factors
from authservice.limits import units
from authservice.mail import setup as mail
from authservice.mail.deliver import Deliverer
from authservice.passkeys import routes as passkeys
from authservice.resets import routes as resets
from authservice.security import breaches, passwords, tokens
from authservice.sign_ups import routes as sign_ups
from authservice.sign_ups.schemas import SignUpConfirmationSchema, SignUpSchema
from authservice.state import State
from authservice.step_up import routes as step_up
from authservice.store import client, users_fields
from authservice.store import limits as counters
from authservice.store.dearest import DearestHashes
from authservice.store.indexes import UserIndexes
from authservice.store.resilience import Resilience
from authservice.store.session_batch import SessionLookups
from authservice.store.users import projection_of
from authservice.users import routes as users
from authservice.users.copies import CopiedUserSchema
from authservice.users.schemas import ProfileChangeSchema
from authservice.verifications import routes as verifications
from authservice.web import (
    clients,
    cors,
    documentation,
    guards,
    health,
    jwks,
    observability,
    outbox,
    pages,
    parsing,
    problems,
    profile,
)

PAGES, DOCS, HEALTH, METRICS = "pages", "docs", "health", "metrics"
ALL_PARTS = frozenset({PAGES, DOCS, HEALTH, METRICS})


def build(
    settings: dict[str, Any],
    *,
    host: Flask | None = None,
    parts: frozenset[str] = ALL_PARTS,
    mongo: Any = None,
) -> Flask:
    """The app that serves our routes.

    It is never the host itself: neither sees the other's error handlers, headers, JSON, configuration or extensions.
    """
    app = Flask("authservice", instance_path=settings["INSTANCE_PATH"], static_folder=None)
    # Flask asks four times per request whether a function is a coroutine, which never changes.
    app.ensure_sync = functools.lru_cache(app.ensure_sync)  # type: ignore[method-assign]
    app.url_map.merge_slashes = False  # or /users//me redirects to the Host that the request names
    has_embedded_database = settings["MONGO_URI"] is None and mongo is None
    if has_embedded_database:
        config.require_usable(settings)
        settings |= _embedded_database(config.instance_path(settings), settings)
    app.config.update(settings)

    own_profile = profile.of_settings(settings)
    fields = users_fields.of_settings(settings)
    projection = projection_of(own_profile.attributes if own_profile else (), fields)
    jwt = JWTManager(app)
    users_collection = client.connect(app, settings) if mongo is None else client.adopt(mongo, settings)
    is_private = settings["SIGN_UP"] == "private"
    keeps_proofs = settings["PROOF_OF_WORK"] == "on"
    limits, own_mail = units.of_settings(settings), mail.of_settings(settings)
    counters_collection = counters.of_database(users_collection)
    dearest = DearestHashes(users_collection)
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
                dearest,
                counters_collection if limits.is_on or own_mail else None,
                keeps_proofs=keeps_proofs,
                keeps_mail_requests=own_mail is not None,
            ),
            lookups=SessionLookups(users_collection, projection),
            hasher=passwords.init_app(app, settings, dearest.stored),
            breaches=breaches.of_settings(settings),
            tokens=tokens.init_app(app, settings),
            mail=own_mail,
            deliverer=Deliverer(app),
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
        bodies = (
            SignUpSchema,
            ProfileChangeSchema,
            UserSchema,
            CopiedUserSchema,
            AdminUserSchema,
            AdminUserDetailSchema,
        )
        documentation.add_profile(api, own_profile, (*bodies, SignUpConfirmationSchema) if is_private else bodies)
    if keeps_proofs:
        api.register_blueprint(sign_ups.challenge_blueprint)
    signing_up = sign_ups.private_blueprint if is_private else sign_ups.blueprint
    for blueprint in (
        signing_up,
        users.blueprint,
        auth.blueprint,
        step_up.blueprint,
        factors.blueprint,
        admin.blueprint,
    ):
        api.register_blueprint(blueprint)
    if own_mail:
        api.register_blueprint(resets.blueprint)
        api.register_blueprint(email_changes.blueprint)
        api.register_blueprint(verifications.blueprint)
    if settings["PASSKEY_RP_ID"]:
        api.register_blueprint(passkeys.blueprint)
    api.register_blueprint(jwks.blueprint)
    if HEALTH in parts:
        api.register_blueprint(health.blueprint)
    if METRICS in parts:
        api.register_blueprint(health.metrics_blueprint)
    if parts & {PAGES, DOCS}:
        app.register_blueprint(pages.blueprint(has_pages=PAGES in parts, has_docs=DOCS in parts))
    if PAGES in parts and has_embedded_database and own_mail and own_mail.outbox and not settings["TRUSTED_PROXIES"]:
        app.register_blueprint(outbox.blueprint)

    if hops := settings["TRUSTED_PROXIES"]:
        app.wsgi_app = clients.behind_proxies(app.wsgi_app, hops)  # type: ignore[assignment,method-assign]
    return app


def _embedded_database(directory: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The URI and the secrets that come with it."""
    uri = embedded.find_or_start(directory, [settings["USERS_COLLECTION"]])
    return {
        "MONGO_URI": uri,
        "JWT_SECRET_KEY": settings["JWT_SECRET_KEY"] or config.development_secret(directory),
        "ENCRYPTION_KEYS": settings["ENCRYPTION_KEYS"] or config.development_encryption_keys(directory),
    }
