"""A session that ends on one worker is refused on the next request to another worker."""

import subprocess
import sys

import pytest
import requests

from tests.conftest import ALICE, BOB, PASSWORD
from tests.service import ROOT

NEW_PASSWORD = "an even longer secret"


class Two:
    """Two gunicorns on one database, so that a test chooses the worker of each request."""

    def __init__(self, serve):
        self.here, self.there = serve(workers=1), serve(workers=1)

    def call(self, where, method, path, token=None, **json):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(method, where.url + path, headers=headers, json=json or None, timeout=10)

    def sign_in(self, email, password=PASSWORD):
        answer = self.call(self.here, "POST", "/auth", email=email, password=password)
        assert answer.status_code == 200
        return answer.json()

    def statuses(self, token):
        return [self.call(where, "GET", "/users/test", token).status_code for where in (self.there, self.here)]


@pytest.fixture
def two(serve):
    two = Two(serve)
    for email in (ALICE, BOB):
        assert two.call(two.here, "POST", "/users", email=email, password=PASSWORD).status_code == 201
    return two


@pytest.fixture
def command(mongo_uri):
    """Run ``flask --app wsgi users ...`` in its own process."""

    def run(*arguments):
        environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": "x" * 32, "PATH": ""}
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "users", *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    return run


def test_whatever_ends_a_session_applies_to_the_next_request(two, command):
    # sign-out
    pair = two.sign_in(ALICE)
    assert two.statuses(pair["token"]) == [200, 200]
    assert two.call(two.here, "DELETE", "/auth", pair["token"]).status_code == 204
    assert two.statuses(pair["token"]) == [401, 401]
    refused = two.call(two.there, "POST", "/auth/refresh", refreshToken=pair["refreshToken"])
    assert refused.status_code == 401

    # password change: ends all sessions
    pair, other = two.sign_in(ALICE), two.sign_in(ALICE)
    body = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    assert two.statuses(other["token"]) == [200, 200]
    changed = two.call(two.here, "PUT", "/users/me/password", pair["token"], **body)
    assert changed.status_code == 200
    assert two.statuses(other["token"]) == [401, 401]
    assert two.statuses(pair["token"]) == [401, 401]
    pair = changed.json()
    assert two.statuses(pair["token"]) == [200, 200]

    # role change, by the command line and by the admin API
    bob = two.sign_in(BOB)
    assert two.call(two.there, "GET", "/admin/users", pair["token"]).status_code == 403
    assert "has the role admin" in command("grant", ALICE, "admin")
    assert two.call(two.there, "GET", "/admin/users", pair["token"]).status_code == 200
    assert two.call(two.there, "GET", "/auth/verify?role=editor", bob["token"]).status_code == 403
    path = f"/admin/users/{bob['user']['id']}"
    assert two.call(two.here, "PATCH", path, pair["token"], roles=["editor"]).status_code == 200
    assert two.call(two.there, "GET", "/auth/verify?role=editor", bob["token"]).status_code == 204

    # disabling, deleting
    assert two.call(two.here, "PATCH", path, pair["token"], disabled=True).status_code == 200
    assert two.statuses(bob["token"]) == [401, 401]
    assert two.call(two.here, "PATCH", path, pair["token"], disabled=False).status_code == 200
    bob = two.sign_in(BOB)
    assert two.statuses(bob["token"]) == [200, 200]
    assert two.call(two.here, "DELETE", path, pair["token"]).status_code == 204
    assert two.statuses(bob["token"]) == [401, 401]
