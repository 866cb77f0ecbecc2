"""The Flask app of the README, its tests, and the public names are as they are written there."""

import re
import subprocess
import sys

import requests

import authservice
from tests.conftest import ALICE, bearer
from tests.server.processes import sign_up
from tests.service import ROOT

SECTION = (ROOT / "README.md").read_text().split("\n## Use it in your Flask app\n", 1)[1].split("\n## ", 1)[0]


def blocks(language):
    return [text.split("```", 1)[0] for text in SECTION.split(f"```{language}\n")[1:]]


def assert_pytest_says(outcome, folder):
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert outcome in ran.stdout, ran.stdout + ran.stderr


def test_it_guards_its_own_routes(serve, tmp_path):
    (tmp_path / "todos.py").write_text(blocks("python")[0])
    program, *arguments = blocks("sh")[0].split()
    service = serve(ready="/identity/healthz", command=("-m", program, *arguments), cwd=tmp_path)
    token = sign_up(service, ALICE, "/identity")
    answers = [
        requests.get(f"{service.url}{path}", headers=headers, timeout=10)
        for path, headers in [("/todos", {}), ("/todos", bearer(token)), ("/reports", bearer(token))]
    ]
    assert [answer.status_code for answer in answers] == [401, 200, 403]
    assert answers[1].json() == {"owner": ALICE, "todos": []}
    assert answers[2].json()["code"] == "role_missing"


def test_its_tests_pass(tmp_path):
    app, tests = blocks("python")
    (tmp_path / "todos.py").write_text(app)
    (tmp_path / "test_todos.py").write_text(tests)
    assert len(tests.splitlines()) <= 30
    assert_pytest_says("3 passed", tmp_path)


def test_its_tests_fail_with_the_app(tmp_path):
    app, tests = blocks("python")
    (tmp_path / "todos.py").write_text(app.replace("@jwt_required()", ""))
    (tmp_path / "test_todos.py").write_text(tests)
    assert_pytest_says("3 failed", tmp_path)


def test_the_public_names_are_those_of_the_table():
    listed = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", SECTION, re.MULTILINE)
    assert sorted(name for names in listed for name in re.findall(r"\w+", names)) == sorted(authservice.__all__)


def test_every_public_name_says_how_it_is_used():
    for name in authservice.__all__:
        assert re.search(r"\n {8}\S", getattr(authservice, name).__doc__ or ""), name


def test_the_fields_of_a_user_are_those_of_the_table():
    (row,) = [line for line in SECTION.splitlines() if line.startswith("| `User` |")]
    assert re.findall(r"`(\w+)`", row)[1:] == [*authservice.User.__dataclass_fields__]


def test_a_user_of_the_plugin_has_the_profile_s_fields(tmp_path):
    (tmp_path / "test_profile.py").write_text(PROFILE_TESTS)
    assert_pytest_says("1 passed", tmp_path)


PROFILE_TESTS = """
import pytest
from flask import Flask
from marshmallow import Schema, ValidationError, fields

from authservice import AuthService, create_app


class Profile(Schema):
    name = fields.String(required=True)


@pytest.fixture
def app(tmp_path):
    app = Flask("host", instance_path=str(tmp_path))
    AuthService(app, profile=Profile, url_prefix="/identity")
    return app


def test_it(app, make_user, auth_client):
    natalie = make_user(name="Natalie", password="another password")
    client = auth_client(natalie, password="another password")
    assert client.get("/identity/users/me").get_json()["name"] == "Natalie"
    with pytest.raises(ValidationError):
        make_user()
    stored = app.extensions["authservice"].users.find_one()["password"]
    assert stored.startswith("$2b$04$")
"""
