"""``authservice doctor`` counts hashes, and names those that need something."""

import base64

import pytest
from bson import ObjectId

from authservice.migration import doctor
from authservice.store import indexes, surveys
from tests.conftest import ALICE, make_account
from tests.migration.examining import (
    BCRYPT,
    DEVISE,
    FIREBASE,
    FLASK_SECURITY,
    PBKDF2,
    PRODUCTION,
    examine,
    findings,
    insert,
)


@pytest.fixture
def settings(settings):
    return {**settings, **PRODUCTION}


@pytest.fixture
def healthy(app):
    """An app whose collection has the indexes that a worker builds at its start."""
    with app.app_context():
        indexes.ensure_indexes(60)
    return app


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
    insert(database, PBKDF2, legacy={"work": 180.0})
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
