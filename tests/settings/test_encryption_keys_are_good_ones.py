"""FLASK_ENCRYPTION_KEYS: Fernet keys, from a variable or a file, checked at the start and never repeated."""

import base64
import re

import pytest
from cryptography.fernet import Fernet

from authservice.config import ConfigurationError, development_encryption_keys, load
from tests.conftest import SECRET

OLD, NEW = base64.urlsafe_b64encode(b"o" * 32).decode(), base64.urlsafe_b64encode(b"n" * 32).decode()
FAULT = (
    "FLASK_ENCRYPTION_KEYS must be one or more keys of 32 bytes in base64url, separated by commas; "
    "make one with: openssl rand -base64 32 | tr +/ -_"
)
OWN = {"FLASK_MONGO_URI": "mongodb://127.0.0.1:27017/authexample", "FLASK_JWT_SECRET_KEY": SECRET}


@pytest.mark.parametrize(
    ("text", "keys"), [(OLD, (OLD,)), (f"{NEW},{OLD}", (NEW, OLD)), (f" {NEW} , {OLD} ", (NEW, OLD))]
)
def test_they_are_a_list_in_its_order(text, keys):
    assert load({**OWN, "FLASK_ENCRYPTION_KEYS": text})["ENCRYPTION_KEYS"] == keys


def test_they_are_optional():
    assert load(OWN)["ENCRYPTION_KEYS"] is None


def test_they_may_come_from_a_file(tmp_path):
    (tmp_path / "keys").write_text(f"{NEW},{OLD}\n")
    assert load({**OWN, "FLASK_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys")})["ENCRYPTION_KEYS"] == (NEW, OLD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        f"{OLD},",
        "x" * 44,
        OLD[:-1],
        OLD + OLD,
        OLD.replace("b", "+"),
        OLD[:-2] + "9=",
        f"{OLD};{NEW}",
        "ü" * 43 + "=",
    ],
    ids=[
        "empty",
        "comma",
        "comma at the end",
        "no padding",
        "short",
        "no comma",
        "plus",
        "odd bits",
        "semicolon",
        "letters",
    ],
)
def test_a_bad_key_stops_the_start_and_is_not_repeated(text):
    with pytest.raises(ConfigurationError) as refused:
        load({**OWN, "FLASK_ENCRYPTION_KEYS": text})
    assert refused.value.faults == [FAULT]


def test_the_key_of_the_embedded_database_is_made_once_and_is_its_owners_alone(tmp_path):
    (made,) = development_encryption_keys(tmp_path / "instance")
    assert Fernet(made)
    assert development_encryption_keys(tmp_path / "instance") == (made,)
    assert [path.name for path in (tmp_path / "instance").iterdir()] == ["encryption-key"]
    assert (tmp_path / "instance" / "encryption-key").stat().st_mode & 0o777 == 0o600
    assert development_encryption_keys(tmp_path / "another") != (made,)


@pytest.mark.parametrize("content", [b"", b"A" * 43, b"\xff" * 44])
def test_a_bad_key_in_the_instance_folder_is_not_replaced(tmp_path, content):
    (tmp_path / "encryption-key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path / "encryption-key"))):
        development_encryption_keys(tmp_path)
    assert (tmp_path / "encryption-key").read_bytes() == content
