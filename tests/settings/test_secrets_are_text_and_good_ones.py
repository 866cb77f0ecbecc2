"""The signing secret: long enough, not published, used exactly as written, from a variable or a file."""

import os
import re

import pytest

from authservice import create_app
from authservice.config import PUBLISHED_SECRETS, ConfigurationError, development_secret, load
from tests.conftest import SECRET

URI = "mongodb://127.0.0.1:27017/authexample"
PRODUCTION = {
    "FLASK_ENV": "production",
    "FLASK_JWT_SECRET_KEY": SECRET,
    "FLASK_CORS_ORIGINS": "",
    "FLASK_METRICS": "off",
    "FLASK_TRUSTED_PROXIES": "0",
}
DIGITS = "1234567890" * 4
ADVICE = "make one with: openssl rand -hex 32"


def faults_of(environ):
    with pytest.raises(ConfigurationError) as raised:
        load({"FLASK_MONGO_URI": URI, **environ})
    return raised.value.faults


def test_a_secret_is_required_with_your_own_database():
    assert faults_of({}) == [f"FLASK_JWT_SECRET_KEY is required with FLASK_MONGO_URI; {ADVICE}"]


def test_no_secret_is_required_with_the_embedded_database():
    assert load({})["JWT_SECRET_KEY"] is None


@pytest.mark.parametrize("secret", sorted(PUBLISHED_SECRETS))
def test_a_published_secret_is_refused(secret):
    assert faults_of({"FLASK_JWT_SECRET_KEY": secret}) == [
        f"FLASK_JWT_SECRET_KEY is a published example, so anybody could sign tokens with it; {ADVICE}"
    ]


def test_the_tutorials_secret_is_among_the_published_ones():
    assert "thisismykickasssecretthatiwilltotallychangelater" in PUBLISHED_SECRETS


@pytest.mark.parametrize("secret", ["", "x", "null", "a" * 31, "é" * 15])
def test_a_short_secret_is_refused_and_not_repeated(secret):
    faults = faults_of({"FLASK_JWT_SECRET_KEY": secret})
    assert faults == [f"FLASK_JWT_SECRET_KEY must have at least 32 bytes; {ADVICE}"]


@pytest.mark.parametrize("secret", ["a" * 32, "é" * 16])
def test_a_secret_of_32_bytes_will_do(secret):
    assert load({"FLASK_MONGO_URI": URI, "FLASK_JWT_SECRET_KEY": secret})["JWT_SECRET_KEY"] == secret


def test_a_secret_of_digits_stays_text_all_the_way_into_the_app(monkeypatch):
    monkeypatch.setenv("FLASK_MONGO_URI", URI)
    monkeypatch.setenv("FLASK_JWT_SECRET_KEY", DIGITS)
    assert create_app().config["JWT_SECRET_KEY"] == DIGITS


def test_a_file_holds_the_secret_less_its_line_end(tmp_path):
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    assert load({"FLASK_MONGO_URI": URI, "FLASK_JWT_SECRET_KEY_FILE": str(file)})["JWT_SECRET_KEY"] == SECRET


def test_the_variable_wins_over_the_file(tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    environ = {"FLASK_MONGO_URI": URI, "FLASK_JWT_SECRET_KEY": DIGITS, "FLASK_JWT_SECRET_KEY_FILE": str(file)}
    assert load(environ)["JWT_SECRET_KEY"] == DIGITS


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read from the file in FLASK_JWT_SECRET_KEY_FILE: FileNotFoundError"),
        (b"\xff" * 40, "cannot be read from the file in FLASK_JWT_SECRET_KEY_FILE: UnicodeDecodeError"),
        (b"\0" * 40, "cannot be read from the file in FLASK_JWT_SECRET_KEY_FILE: it contains a NUL"),
        (b"", f"must have at least 32 bytes; {ADVICE}"),
        (
            b"thisismykickasssecretthatiwilltotallychangelater\n",
            f"is a published example, so anybody could sign tokens with it; {ADVICE}",
        ),
    ],
    ids=["missing", "not text", "NUL", "empty", "published"],
)
def test_a_bad_file_is_a_fault_of_its_setting(tmp_path, content, fault):
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    assert faults_of({"FLASK_JWT_SECRET_KEY_FILE": str(file)}) == [f"FLASK_JWT_SECRET_KEY {fault}"]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (fault,) = faults_of({"FLASK_JWT_SECRET_KEY_FILE": str(tmp_path / "pipe")})
    assert (
        fault
        == "FLASK_JWT_SECRET_KEY cannot be read from the file in FLASK_JWT_SECRET_KEY_FILE: it is not a regular file"
    )


def test_an_empty_file_name_is_a_fault_and_not_a_missing_secret():
    [fault] = faults_of({"FLASK_JWT_SECRET_KEY_FILE": ""})
    assert fault.startswith("FLASK_JWT_SECRET_KEY cannot be read from the file in FLASK_JWT_SECRET_KEY_FILE: ")


def test_the_uri_of_the_database_may_come_from_a_file_too(tmp_path):
    file = tmp_path / "uri"
    file.write_text(f"{URI}\n")
    assert load({"FLASK_MONGO_URI_FILE": str(file), "FLASK_JWT_SECRET_KEY": SECRET})["MONGO_URI"] == URI


@pytest.mark.parametrize("name", ["", "/nowhere/uri"])
def test_an_unreadable_uri_never_falls_back_to_the_embedded_database(name):
    with pytest.raises(ConfigurationError) as raised:
        load({**PRODUCTION, "FLASK_MONGO_URI_FILE": name})
    [fault] = raised.value.faults
    assert fault.startswith("FLASK_MONGO_URI cannot be read from the file in FLASK_MONGO_URI_FILE: ")


def test_the_development_secret_is_made_once_and_is_its_owners_alone(tmp_path):
    made = development_secret(tmp_path / "instance")
    assert re.fullmatch(r"[0-9a-f]{64}", made)
    assert development_secret(tmp_path / "instance") == made
    assert [path.name for path in (tmp_path / "instance").iterdir()] == ["jwt-secret"]
    assert (tmp_path / "instance" / "jwt-secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "instance").stat().st_mode & 0o777 == 0o700
