"""An imported user has the document of one who signed up here, and signs in with the old password."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import sign_in
from tests.migration.importing import HASH, PASSWORD, call, imported, ndjson, user, write

CREATED = datetime(2020, 2, 3, 4, 5, 6, 789_000, UTC)


def stored(app, database, tmp_path, *options, **fields):
    imported(app, write(tmp_path, ndjson(user(1, **fields))), options=options)
    document = database.users.find_one()
    del document["_id"]
    return document


def test_it_has_these_fields_and_no_others(app, database, tmp_path):
    document = stored(app, database, tmp_path, createdAt=CREATED.isoformat(), roles=["admin"], secret="x")
    assert document == {
        "email": "user1@example.com",
        "password": HASH,
        "createdAt": CREATED,
        "roles": [],
        "sessions": [],
        "legacy": {"key": "nestjs:u1", "from": "nestjs", "id": "u1"},
    }


def test_what_the_other_stack_does_not_tell_is_now(app, database, tmp_path):
    document = stored(app, database, tmp_path, isBlocked=True, emailVerified=True)
    for name in ("createdAt", "disabledAt", "emailVerifiedAt"):
        assert abs(datetime.now(UTC) - document[name]) < timedelta(seconds=60)


def test_times_are_those_of_the_other_stack(app, database, tmp_path):
    document = stored(app, database, tmp_path, disabledAt=CREATED.isoformat(), emailVerifiedAt=CREATED.isoformat())
    assert (document["disabledAt"], document["emailVerifiedAt"]) == (CREATED, CREATED)


def test_roles_come_with_an_option_if_their_names_fit(app, database, tmp_path):
    export = write(tmp_path, ndjson(user(1, roles=["admin", "Chief Editor", *(f"r{number}" for number in range(40))])))
    result = call(app, "import", "--from", "nestjs", export, "--roles")
    assert database.users.find_one()["roles"] == ["admin", *(f"r{number}" for number in range(31))]
    assert "1 of the imported has roles whose names do not fit here: left out." in result.stderr


def test_no_password_matches_nothing(app, database, tmp_path):
    result = call(app, "import", "--from", "nestjs", write(tmp_path, ndjson(user(1, password=None))))
    assert "1 of the imported has no password: they set one by mail." in result.stderr
    assert database.users.find_one()["password"] == "!"


def test_the_work_of_a_dear_hash_is_kept(app, database, tmp_path):
    dear = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo"
    assert stored(app, database, tmp_path, password=dear)["legacy"]["work"] >= 40


@pytest.mark.parametrize("cost", [5, 13])
def test_the_work_of_a_bcrypt_hash_dearer_than_ours_is_kept(app, database, tmp_path, cost):
    document = stored(app, database, tmp_path, password=HASH.replace("$04$", f"${cost:02}$"))
    assert document["legacy"]["work"] == pytest.approx(1.12 * 2 ** (cost - 4))


def test_the_work_of_a_bcrypt_hash_as_dear_as_ours_is_not(app, database, tmp_path):
    assert "work" not in stored(app, database, tmp_path)["legacy"]


def test_the_user_signs_in(app, client, tmp_path):
    imported(app, write(tmp_path, ndjson(user(1, email="User1@Example.com"))))
    assert sign_in(client, "user1@example.com", PASSWORD)["token"]
    wrong = client.post("/auth", json={"email": "user1@example.com", "password": "a wrong one"})
    assert wrong.status_code == 401


def test_who_is_disabled_there_does_not(app, client, tmp_path):
    imported(app, write(tmp_path, ndjson(user(1, isActive=False))))
    refused = client.post("/auth", json={"email": "user1@example.com", "password": PASSWORD})
    assert refused.status_code == 401


def test_what_the_database_refuses_does_not_hide_the_others(app, database, tmp_path):
    """The collection has a validator of the other stack."""
    database.create_collection("users", validator={"legacy.id": {"$ne": "u1"}})
    table = imported(app, write(tmp_path, ndjson(user(1), user(2))), exit_code=1)
    assert table == {"imported": 1, "unreadable": 1, "refused by the database": 1}
    assert database.users.distinct("legacy.id") == ["u2"]


def test_a_name_of_django_that_looks_like_an_id_is_none(app, database, tmp_path):
    """dumpdata --natural-primary has no ids: anybody could choose the id by choosing the name."""
    name = "5c0dc18d349bc9479600c171"
    fields = {"username": name, "email": "a@example.com", "password": "!x", "last_login": None}
    export = write(tmp_path, json.dumps([{"model": "auth.user", "fields": fields}]))
    assert imported(app, export, profile="django") == {"imported": 1}
    stored = database.users.find_one()
    assert (str(stored["_id"]) == name, stored["legacy"]["id"]) == (False, name)
    assert imported(app, export, profile="django") == {"already here": 1}
