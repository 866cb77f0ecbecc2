"""``authservice doctor`` counts hashes, and names those that need something."""

import base64

import pytest
from bson import ObjectId

from authservice.migration import doctor
from authservice.store import surveys
from tests.conftest import ALICE, make_account
from tests.migration.examining import (
    BCRYPT,
    DEVISE,
    FIREBASE,
    FLASK_SECURITY,
    PBKDF2,
    PRODUCTION,
    about,
    examine,
    findings,
    insert,
)

IF_DEVISE = "if Devise has a pepper, set FLASK_LEGACY_PEPPER"


@pytest.fixture
def settings(settings):
    return {**settings, **PRODUCTION}


def test_hashes_are_counted_by_format_and_cost(healthy, database):
    make_account(healthy.test_client(), ALICE)
    insert(database, BCRYPT, BCRYPT, BCRYPT, PBKDF2, PBKDF2, "!", None)
    insert(database, BCRYPT.replace("$10$", "$08$"))
    _, said = examine(healthy)
    assert (said["users"], said["sampled"]) == (9, 9)
    assert [(row["number"], row["format"], row["cost"], row["isOurs"]) for row in said["hashes"][:3]] == [
        (3, "bcrypt", "cost 10", False),
        (2, "pbkdf2-sha256", "600,000 iterations", False),
        (2, "no password", "", False),
    ]
    rest = {(row["format"], row["cost"], row["isOurs"]) for row in said["hashes"][3:]}
    assert rest == {("bcrypt", "cost 10", True), ("bcrypt", "cost 8", False)}


@pytest.mark.parametrize("value", ["plain text", 1, ["x"], "$2b$31$" + "a" * 53, "$pbkdf2$x"], ids=repr)
def test_what_nobody_can_sign_in_with_is_named_by_id(healthy, database, value):
    (user_id,) = insert(database, value)
    insert(database, BCRYPT)
    code, said = examine(healthy)
    (finding,) = [finding for finding in said["findings"] if finding["verdict"] != "ok"]
    assert (code, finding["about"], finding["ids"]) == (1, "hashes", [user_id])
    database.users.delete_one({"_id": ObjectId(user_id)})
    assert examine(healthy)[0] == 0


@pytest.mark.parametrize(
    ("password", "more"), [(PBKDF2, {}), (BCRYPT.replace("$10$", "$14$"), {}), (PBKDF2, {"legacy": {"work": 180.0}})]
)
def test_a_hash_that_costs_more_than_ours_is_named(healthy, database, password, more):
    insert(database, BCRYPT)
    (user_id,) = insert(database, password, **more)
    code, said = examine(healthy)
    assert code == 1
    assert "times our bcrypt of cost 10: every refused sign-in takes as long" in findings(said, "warning")["cost"]
    database.users.delete_one({"_id": ObjectId(user_id)})
    assert examine(healthy)[0] == 0


def test_the_dearest_one_is_found_though_the_sample_misses_it(healthy, database, monkeypatch):
    insert(database, BCRYPT, legacy={"work": 60.0})
    insert(database, PBKDF2, legacy={"work": 180.0})
    insert(database, BCRYPT, legacy={"work": 70.0})
    monkeypatch.setattr(surveys, "sample", lambda users, size: iter([]))
    with healthy.app_context():
        found = doctor.Hashes(doctor.count())
        doctor.examine_hashes(found)
        assert found.dearest[1] == "pbkdf2-sha256, 600,000 iterations"


@pytest.mark.parametrize(
    ("password", "name", "verdict"),
    [
        (DEVISE, "LEGACY_PEPPER", "warning"),
        (FLASK_SECURITY, "LEGACY_PEPPER", "error"),
        (FIREBASE, "LEGACY_FIREBASE_KEY", "error"),
    ],
    ids=["devise", "flask-security", "firebase"],
)
def test_a_key_that_hashes_need_is_missing(healthy, make_app, database, password, name, verdict):
    insert(database, password)
    code, said = examine(make_app(BCRYPT_LOG_ROUNDS=12))
    assert code == (1 if verdict == "warning" else 2)
    assert f"FLASK_{name}" in findings(said, verdict)["keys"]
    value = "pepper" if name == "LEGACY_PEPPER" else base64.b64encode(b"k" * 64).decode()
    _, said = examine(make_app(BCRYPT_LOG_ROUNDS=12, **{name: value}))
    assert "keys" not in {finding["about"] for finding in said["findings"]}


def test_the_hashes_of_another_apps_field_are_looked_at(healthy, make_app, database):
    insert(database, None)
    database.users.update_one({}, {"$set": {"theirs": BCRYPT}, "$unset": {"password": ""}})
    _, said = examine(make_app(USERS_FIELDS="password=theirs"))
    assert [row["format"] for row in said["hashes"]] == ["bcrypt"]


def test_it_says_whose_passwords_nobody_can_use_and_how_many_of_how_many(healthy, database):
    insert(database, "plain text", 1, BCRYPT)
    (finding,) = about(examine(healthy)[1], "hashes")
    assert finding["number"] == 2
    assert finding["sentence"] == (
        "2 of the 3 users looked at have passwords in no format that this service reads, or that cost more than it "
        "allows"
    )
    database.users.delete_one({"password": 1})
    (finding,) = about(examine(healthy)[1], "hashes")
    assert (finding["number"], finding["sentence"].split(" in no format")[0]) == (
        1,
        "1 of the 2 users looked at has a password",
    )


@pytest.mark.parametrize(
    ("passwords", "sentence"),
    [
        ([DEVISE], f"1 of the 1 user looked at has a hash of Devise (devise-bcrypt): {IF_DEVISE}"),
        (
            [DEVISE] * 2,
            f"2 of the 2 users looked at have hashes of Devise (devise-bcrypt): {IF_DEVISE}",
        ),
        (
            [FLASK_SECURITY, BCRYPT],
            "1 of the 2 users looked at has a hash that needs FLASK_LEGACY_PEPPER (flask-security-bcrypt)",
        ),
        (
            [FLASK_SECURITY] * 3,
            "3 of the 3 users looked at have hashes that need FLASK_LEGACY_PEPPER (flask-security-bcrypt)",
        ),
    ],
    ids=["one of Devise", "two of Devise", "one of Flask-Security", "three of Flask-Security"],
)
def test_it_says_how_many_need_a_key(make_app, healthy, database, passwords, sentence):
    insert(database, *passwords)
    (finding,) = about(examine(make_app(BCRYPT_LOG_ROUNDS=12))[1], "keys")
    assert finding["sentence"] == sentence
    assert finding["number"] == passwords.count(passwords[0])


def test_devises_users_in_place_may_need_a_pepper(make_app, healthy, database):
    insert(database, None, None)
    database.users.update_many({}, {"$set": {"encrypted_password": BCRYPT}, "$unset": {"password": ""}})
    code, said = examine(make_app(USERS_FIELDS="password=encrypted_password"))
    (finding,) = about(said, "keys")
    assert (code, finding["verdict"], finding["number"]) == (1, "warning", 2)
    assert finding["sentence"] == f"2 of the 2 users looked at have hashes of Devise (bcrypt): {IF_DEVISE}"
    code, said = examine(make_app(USERS_FIELDS="password=encrypted_password", LEGACY_PEPPER="pepper"))
    assert (code, about(said, "keys")) == (0, [])


def test_bcrypt_of_another_stack_in_place_needs_no_pepper(make_app, healthy, database):
    insert(database, None)
    database.users.update_one({}, {"$set": {"theirs": BCRYPT}, "$unset": {"password": ""}})
    code, said = examine(make_app(USERS_FIELDS="password=theirs"))
    assert (code, about(said, "keys")) == (0, [])


def test_one_user_is_written_in_the_singular(healthy, database):
    insert(database, BCRYPT)
    ended = healthy.test_cli_runner().invoke(args=["doctor"])
    assert ended.stdout.splitlines()[0] == "1 user. Format of the password:"


def test_it_says_how_many_more_there_are_than_it_names(healthy, database):
    ids = insert(database, *["plain text"] * 23)
    ended = healthy.test_cli_runner().invoke(args=["doctor"])
    (line,) = [line for line in ended.stdout.splitlines() if " hashes: " in line]
    named, more = line.rpartition("allows: ")[2].split(" and ")
    assert (len(named.split(", ")), more) == (20, "3 more")
    assert {*named.split(", ")} < {*ids}
