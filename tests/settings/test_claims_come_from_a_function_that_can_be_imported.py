"""FLASK_CLAIMS: a value that does not name a function stops the start, with the reason."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from authservice import create_app
from authservice.config import ConfigurationError
from tests.conftest import SECRET

GOOD = {"MONGO_URI": "mongodb://127.0.0.1:1/authexample", "JWT_SECRET_KEY": SECRET}
MODULE = """
import os
SECRET = "hunter2"
def claims(user):
    return {}
"""


def fault_of(claims):
    with pytest.raises(ConfigurationError) as raised:
        create_app({**GOOD, "CLAIMS": claims})
    (fault,) = raised.value.faults
    return fault


@pytest.fixture
def modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    ["", "claims", "hosts.claims", "hosts:", ":claims", "hosts:claims()", "hosts/claims.py:claims", "a:b:c", "true"],
)
def test_what_is_no_name_of_a_function_is_refused(text):
    assert fault_of(text) == f"FLASK_CLAIMS must be package.module:name, such as myapp.auth:claims, not {text!r}"


def test_a_module_that_is_not_there_is_named():
    assert fault_of("no_such_module:claims") == "FLASK_CLAIMS cannot be imported: No module named 'no_such_module'"


def test_a_module_that_fails_is_named_with_the_place_and_without_the_text_of_the_error(modules):
    (modules / "fails_at_import.py").write_text("\nraise ValueError('hunter2')\n")
    assert fault_of("fails_at_import:claims") == (
        f"FLASK_CLAIMS cannot be imported: ValueError at {modules / 'fails_at_import.py'}:2"
    )


def test_a_name_that_the_module_does_not_have_and_one_that_is_no_function_are_refused(modules):
    (modules / "with_claims.py").write_text(MODULE)
    assert fault_of("with_claims:other") == "FLASK_CLAIMS cannot be imported: with_claims has no other"
    assert fault_of("with_claims:SECRET") == "FLASK_CLAIMS must be a function, and with_claims:SECRET is of type str"
    assert create_app({**GOOD, "CLAIMS": "with_claims:claims"})


def test_an_override_is_the_function_itself_or_its_name():
    assert create_app({**GOOD, "CLAIMS": lambda user: {}})
    assert create_app({**GOOD, "CLAIMS": None})
    assert fault_of(7) == "FLASK_CLAIMS must be a function, and 7 is of type int"


def test_the_command_finds_a_module_in_its_directory(mongo_uri, tmp_path):
    (tmp_path / "hosts.py").write_text("print('imported')\ndef claims(user):\n    return {}\n")
    settings = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET, "FLASK_CLAIMS": "hosts:claims"}
    ended = subprocess.run(
        [Path(sys.executable).with_name("authservice"), "users", "list"],
        cwd=tmp_path,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "imported\n"), ended.stderr
