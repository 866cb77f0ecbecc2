"""The secrets of other stacks: FLASK_LEGACY_*, checked at the start and never repeated."""

import base64
import re

import pytest

from authservice.config import ConfigurationError, load
from authservice.security.legacy import FirebaseKeys, LegacyKeys, keys_of

KEY = base64.b64encode(bytes(range(64))).decode()
OF_FIREBASE = {
    "FLASK_LEGACY_FIREBASE_KEY": KEY,
    "FLASK_LEGACY_FIREBASE_SALT_SEPARATOR": "CAc=",
    "FLASK_LEGACY_FIREBASE_ROUNDS": "7",
    "FLASK_LEGACY_FIREBASE_MEM_COST": "13",
}


def faults_of(environ):
    with pytest.raises(ConfigurationError) as raised:
        load(environ)
    return raised.value.faults


def test_there_are_none_by_default():
    assert keys_of(load({})) == LegacyKeys(None, None)


def test_a_pepper_is_any_text():
    assert keys_of(load({"FLASK_LEGACY_PEPPER": "0123"})) == LegacyKeys(b"0123")
    assert keys_of(load({"FLASK_LEGACY_PEPPER": " Pfäffer "})) == LegacyKeys(" Pfäffer ".encode())
    assert keys_of(load({}, {"LEGACY_PEPPER": "0123"})) == LegacyKeys(b"0123")


def test_a_firebase_project_needs_its_key_alone():
    assert keys_of(load({"FLASK_LEGACY_FIREBASE_KEY": KEY})) == LegacyKeys(
        None, FirebaseKeys(bytes(range(64)), b"\7", rounds=8, mem_cost=14)
    )


def test_a_firebase_project_has_four_parameters():
    assert keys_of(load(OF_FIREBASE)).firebase == FirebaseKeys(bytes(range(64)), b"\10\7", rounds=7, mem_cost=13)


def test_a_salt_separator_may_be_empty():
    assert keys_of(load({**OF_FIREBASE, "FLASK_LEGACY_FIREBASE_SALT_SEPARATOR": ""})).firebase.salt_separator == b""


def test_all_may_come_from_files_of_their_owner(tmp_path):
    environ = {}
    for name, text in {**OF_FIREBASE, "FLASK_LEGACY_PEPPER": "pepper"}.items():
        (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / name).chmod(0o600)
        environ[f"{name}_FILE"] = str(tmp_path / name)
    assert load(environ) == load({**OF_FIREBASE, "FLASK_LEGACY_PEPPER": "pepper"})


@pytest.mark.parametrize("name", ["PEPPER", "FIREBASE_KEY"])
def test_a_file_that_others_can_read_is_refused(tmp_path, name):
    (tmp_path / "secret").write_text(KEY)
    (tmp_path / "secret").chmod(0o640)
    variable = f"FLASK_LEGACY_{name}"
    assert faults_of({f"{variable}_FILE": str(tmp_path / "secret")}) == [
        f"{variable} is refused: others can read the file in {variable}_FILE; chmod 600 it"
    ]


def test_a_missing_file_is_named():
    assert faults_of({"FLASK_LEGACY_PEPPER_FILE": "/nowhere"}) == [
        "FLASK_LEGACY_PEPPER cannot be read from the file in FLASK_LEGACY_PEPPER_FILE: FileNotFoundError"
    ]


@pytest.mark.parametrize("pepper", ["", "x" * 1_025, "ü" * 513])
def test_a_bad_pepper_stops_the_start_and_is_not_repeated(pepper):
    (fault,) = faults_of({"FLASK_LEGACY_PEPPER": pepper})
    assert re.fullmatch(r"FLASK_LEGACY_PEPPER must have 1 to 1024 bytes, not \d+", fault)


@pytest.mark.parametrize(
    "key",
    ["", "x", KEY[:-1], KEY + "A", f" {KEY}", KEY[:40], "-_" * 44, base64.b64encode(b"x" * 129).decode(), "ü" * 88],
    ids=["empty", "one", "no padding", "longer", "space", "short", "base64url", "too long", "letters"],
)
def test_a_bad_key_stops_the_start_and_is_not_repeated(key):
    assert faults_of({"FLASK_LEGACY_FIREBASE_KEY": key}) == [
        "FLASK_LEGACY_FIREBASE_KEY must be 32 to 128 bytes in base64, as in the password hash parameters of Firebase"
    ]


def test_all_faults_are_named_at_once():
    assert faults_of(
        {
            "FLASK_LEGACY_PEPPER": "",
            "FLASK_LEGACY_FIREBASE_KEY": "?",
            "FLASK_LEGACY_FIREBASE_SALT_SEPARATOR": "Bw",
            "FLASK_LEGACY_FIREBASE_ROUNDS": "9",
            "FLASK_LEGACY_FIREBASE_MEM_COST": "15",
        }
    ) == [
        "FLASK_LEGACY_PEPPER must have 1 to 1024 bytes, not 0",
        "FLASK_LEGACY_FIREBASE_KEY must be 32 to 128 bytes in base64, as in the password hash parameters of Firebase",
        "FLASK_LEGACY_FIREBASE_SALT_SEPARATOR must be 0 to 64 bytes in base64, as in the password hash parameters of "
        "Firebase",
        "FLASK_LEGACY_FIREBASE_ROUNDS must be a whole number from 1 to 8, not '9'",
        "FLASK_LEGACY_FIREBASE_MEM_COST must be a whole number from 1 to 14, not '15'",
    ]


@pytest.mark.parametrize("name", [name for name in OF_FIREBASE if not name.endswith("KEY")])
def test_the_parameters_of_a_project_need_its_key(name):
    assert faults_of({name: OF_FIREBASE[name]}) == [f"FLASK_LEGACY_FIREBASE_KEY is required with {name}"]


def test_a_bad_key_is_not_a_missing_one():
    (fault,) = faults_of({**OF_FIREBASE, "FLASK_LEGACY_FIREBASE_KEY": "?"})
    assert fault.startswith("FLASK_LEGACY_FIREBASE_KEY must be")


def test_no_repr_has_a_secret():
    keys = keys_of(load({**OF_FIREBASE, "FLASK_LEGACY_PEPPER": "hunter2"}))
    assert "hunter2" not in repr(keys)
    assert repr(bytes(range(64)))[2:9] not in repr(keys)
