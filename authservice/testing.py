"""A pytest plugin for apps that embed the service: users and signed-in clients, on the real store with real tokens.

It is active wherever the package is installed, and uses the fixture ``app`` of your tests:

    def test_everybody_has_an_own_list(make_user, auth_client):
        alice, bob = auth_client(make_user()), auth_client(make_user())
        alice.post("/todos", json={"title": "Buy milk"})
        assert bob.get("/todos").get_json() == {"todos": []}
"""

import os
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from authservice.admin import service as admin
from authservice.auth.signing_in import sign_in
from authservice.auth.starting import Visit
from authservice.limits.clients import NO_CLIENT
from authservice.sign_ups import service as sign_ups
from authservice.sign_ups.schemas import SignUpSchema
from authservice.store.users import User

PASSWORD = "correct horse battery"  # noqa: S105 - of users who exist in tests only
COST, LIMITS = "FLASK_BCRYPT_LOG_ROUNDS", "FLASK_LIMITS"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before an app can be made: hash at bcrypt's lowest cost and limit nothing, unless the tests say otherwise."""
    os.environ.setdefault(COST, "4")
    os.environ.setdefault(LIMITS, "off")


@pytest.fixture
def make_user(app: Flask) -> Callable[..., User]:
    """``make_user(**fields)``: sign up a user, and get it as ``current_user()`` gives it.

    The fields are ``email`` (a new one), ``password`` (``authservice.testing.PASSWORD``), ``roles`` (none),
    ``email_verified`` (False), and those of your profile. Raises EmailTaken, and marshmallow's ValidationError for what
    a sign-up would refuse.

        editor = make_user(email="natalie@example.com", roles=["editor"])
    """

    def make(
        *,
        email: str | None = None,
        password: str = PASSWORD,
        roles: Sequence[str] = (),
        email_verified: bool = False,
        **profile: Any,
    ) -> User:
        sent = {"email": email or f"user-{uuid.uuid4().hex}@example.com", "password": password, **profile}
        with app.app_context():
            body = SignUpSchema().load(sent)
            user = sign_ups.sign_up(body["email"], password, body.get("profile"))
            if email_verified:
                admin.verify(user)
            return admin.change(user, roles=roles) if roles else admin.get_user(user.id)

    return make


@pytest.fixture
def auth_client(app: Flask) -> Callable[..., FlaskClient]:
    """``auth_client(user)``: a test client of the app that sends an access token of the user with every request.

    ``password`` is needed for a user who has another one than ``authservice.testing.PASSWORD``.

        answer = auth_client(make_user()).get("/todos")
    """

    def make(user: User, password: str = PASSWORD) -> FlaskClient:
        with app.app_context():
            signed_in = sign_in(user.email, password, Visit(NO_CLIENT, "pytest"))
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {signed_in.token}"
        return client

    return make
