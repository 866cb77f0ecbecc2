"""A common password is refused wherever one is set, and nowhere else: who has one signs in as ever."""

import json
import re
import secrets

import pytest

from authservice.security import common_passwords
from authservice.security.common_passwords import HASH_BYTES, is_common
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.service import ROOT

# One of each length from 8 to 20, and a longer one.
COMMON = [
    "password",
    "iloveyou",
    "qwerty123",
    "1234567890",
    "qwerty12345",
    "1q2w3e4r5t6y",
    "1234567891234",
    "1q2w3e4r5t6y7u",
    "123456789qwerty",
    "polniypizdec0211",
    "12345678912345678",
    "123456789987654321",
    "qwertyuiopasdfghjkl",
    "11111111111111111111",
    "correcthorsebatterystaple",
]
FAULT = ("password_common", "Choose another password: this one is among the most common ones.")


@pytest.fixture
def common_alice(client, database):
    """Alice's access token; her password is from before there was a list."""
    first, *_ = json.loads((ROOT / "tests/security/node_hashes.json").read_text())
    assert first["p"] == "password"
    database.users.insert_one({"email": ALICE, "password": first["bcrypt"], "__v": 0})
    return sign_in(client, ALICE, "password")["token"]


@pytest.mark.parametrize("password", [*COMMON, "PASSWORD", "Password", "PolniyPizdec0211"])
def test_sign_up_refuses_it_in_any_case(client, database, password):
    answer = client.post("/users", json={"email": ALICE, "password": password})
    problem = assert_problem(answer, 422, "validation_failed", ("/password", "password_common"))
    assert problem["errors"][0]["detail"] == FAULT[1]
    assert database.users.count_documents({}) == 0


@pytest.mark.parametrize("password", [PASSWORD, "password of mine", "passwore", " password", "\U0001f511" * 8])
def test_other_passwords_are_accepted(client, password):
    assert_ok(client.post("/users", json={"email": ALICE, "password": password}), 201)


def test_a_change_refuses_it(client, alice):
    body = {"currentPassword": PASSWORD, "newPassword": "iloveyou"}
    answer = client.put("/users/me/password", json=body, headers=bearer(alice))
    assert_problem(answer, 422, "validation_failed", ("/newPassword", "password_common"))
    sign_in(client, ALICE)


@pytest.mark.parametrize("command", [["create", BOB], ["set-password", ALICE]])
def test_the_command_line_refuses_it(app, client, alice, database, command):
    done = app.test_cli_runner().invoke(args=["users", *command, "--password-stdin"], input="iloveyou\n")
    assert (done.exit_code, done.output) == (2, f"Error: password: {FAULT[1]}\n")
    assert database.users.count_documents({}) == 1
    sign_in(client, ALICE)


def test_who_has_one_signs_in_as_ever_and_may_change_it(client, common_alice):
    body = {"currentPassword": "password", "newPassword": PASSWORD}
    assert_ok(client.put("/users/me/password", json=body, headers=bearer(common_alice)), 200)
    sign_in(client, ALICE)


def test_sign_up_refuses_it_alike_for_a_known_and_an_unknown_email(client, alice):
    problems = []
    for email in (ALICE, BOB):
        answer = client.post("/users", json={"email": email, "password": "iloveyou"})
        problem = assert_problem(answer, 422, "validation_failed", ("/password", "password_common"))
        problems.append({name: value for name, value in problem.items() if name != "requestId"})
    assert problems[0] == problems[1]


def test_the_list_is_sorted_and_small():
    hashes = common_passwords.PATH.read_bytes()
    found = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    assert found == sorted(set(found))
    assert len(found[-1]) == HASH_BYTES
    assert 100_000 < len(found) < 120_000


def test_no_random_password_is_in_the_list():
    assert not any(is_common(secrets.token_urlsafe(12)) for _ in range(10_000))


def test_the_ends_of_the_list_are_found(monkeypatch, tmp_path):
    hashes = common_passwords.PATH.read_bytes()
    for at in (0, len(hashes) - HASH_BYTES):
        monkeypatch.setattr(common_passwords, "hash_of", lambda _, at=at: hashes[at : at + HASH_BYTES])
        assert is_common("x")
    for hashed in (bytes(HASH_BYTES), b"\xff" * HASH_BYTES):  # below the first and above the last
        monkeypatch.setattr(common_passwords, "hash_of", lambda _, hashed=hashed: hashed)
        assert not is_common("x")


def test_the_licences_are_beside_the_list():
    text = common_passwords.PATH.with_suffix(".txt").read_text()
    for holder in ("Daniel Miessler", "Django Software Foundation", "Seantis GmbH"):
        assert f"Copyright (c) {holder}" in re.sub(r"\(c\) \d{4} ", "(c) ", text)
    for licence in ("MIT", "BSD-3-Clause", "MPL-2.0", "CC BY-SA 3.0"):
        assert licence in text


def test_the_notice_names_the_releases_that_the_list_is_built_from():
    text = common_passwords.PATH.with_suffix(".txt").read_text()
    script = (ROOT / "tools" / "build_common_passwords.py").read_text()
    releases = re.findall(r'= \("([^"]+?)(?:@|==)([\d.]+)", "([0-9a-f]{64})"\)', script)
    assert len(releases) == 3
    for name, version, digest in releases:
        assert f"{name} {version}" in text
        assert digest in text
    assert f"{len(common_passwords.PATH.read_bytes()) // HASH_BYTES:,} common passwords" in text
