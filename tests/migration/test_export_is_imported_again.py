"""``users export`` writes what ``users import --from authservice`` reads: nothing that a user needs is lost."""

import json
from datetime import UTC, datetime

import pytest

from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, bearer, make_account, sign_in
from tests.factors.enrolling import KEY, code_of, confirm, set_up
from tests.migration.adopting import JOINED
from tests.migration.importing import call, imported, ndjson, table_of, user, write

KEPT = ("_id", "email", "password", "createdAt", "passwordChangedAt", "roles", "disabledAt", "emailVerifiedAt")
KEPT += ("language", "profile", "twoStep", "passkeys")
LONG = "é" * 200  # more than bcrypt reads
WHEN = datetime(2024, 5, 6, 7, 8, 9, 123_000, UTC)


@pytest.fixture
def settings(settings):
    return {**settings, "ENCRYPTION_KEYS": KEY}


@pytest.fixture
def moved(make_app, database_client, uri_of, database):
    """Another installation, with the same keys."""
    name = f"{database.name}_moved"
    yield make_app(MONGO_URI=uri_of(name))
    database_client.drop_database(name)


def exported(app, *options):
    result = call(app, "export", *options)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_user_comes_back_as_the_user_was(app, client, database, database_client, moved, tmp_path):
    for email in (ALICE, BOB):
        make_account(client, email)
    secret = set_up(client, sign_in(client, ALICE)["token"])
    confirm(client, sign_in(client, ALICE)["token"], code_of(secret))
    passkey = {"id": b"\x00\xff", "publicKey": b"\x01", "challengeAt": 1_700_000_000_000_000, "createdAt": WHEN}
    more = {"disabledAt": WHEN, "emailVerifiedAt": WHEN, "roles": ["admin"], "language": "de", "passkeys": [passkey]}
    database.users.update_one({"email": BOB}, {"$set": {**more, "profile": {"born": WHEN, "n": 2**40, "x": b"\x02"}}})
    export = write(tmp_path, exported(app, "--with-hashes", "--yes"))
    assert imported(moved, export, profile="authservice", options=("--roles",)) == {"imported": 2}
    there = database_client[f"{database.name}_moved"].users
    for before, after in zip(database.users.find().sort("_id"), there.find().sort("_id"), strict=True):
        assert {name: after.get(name) for name in KEPT} == {name: before.get(name) for name in KEPT}
        assert after["sessions"] == []
        assert after["legacy"]["key"] == f"authservice:{before['_id']}"
    assert imported(moved, export, profile="authservice") == {"already here": 2}


def test_a_long_password_still_matches(app, client, moved, tmp_path):
    assert client.post("/users", json={"email": ALICE, "password": LONG}).status_code == 201
    imported(moved, write(tmp_path, exported(app, "--with-hashes", "--yes")), profile="authservice")
    assert sign_in(moved.test_client(), ALICE, LONG)["token"]


def test_a_user_of_another_stack_keeps_the_origin(app, database_client, database, moved, tmp_path):
    first = write(tmp_path, ndjson(user(1)))
    imported(app, first)
    imported(moved, write(tmp_path, exported(app, "--with-hashes", "--yes"), "second"), profile="authservice")
    (there,) = database_client[f"{database.name}_moved"].users.find()
    assert there["legacy"] == {"key": "nestjs:u1", "from": "nestjs", "id": "u1"}
    assert imported(moved, first) == {"already here": 1}


def test_the_own_collection_has_them_all(app, client, database, tmp_path):
    make_account(client, ALICE)
    before = [*database.users.find()]
    export = write(tmp_path, exported(app, "--with-hashes", "--yes"))
    assert imported(app, export, profile="authservice") == {"already here": 1}
    assert [*database.users.find()] == before


def test_users_without_hashes_come_without_passwords(app, client, moved, tmp_path):
    make_account(client, ALICE)
    export = write(tmp_path, exported(app))
    result = call(moved, "import", "--from", "authservice", export)
    assert table_of(result.stdout) == {"imported": 1}
    assert "1 of the imported has no password: they set one by mail." in result.stderr
    refused = moved.test_client().post("/auth", json={"email": ALICE, "password": PASSWORD})
    assert refused.status_code == 401


def test_what_another_app_keeps_in_its_own_fields_comes_along(make_app, database, tmp_path):
    fields = "password=encrypted_password,disabledAt=blocked,emailVerifiedAt=confirmed_at"
    app = make_app(USERS_FIELDS=fields)
    stored = {"email": ALICE, "encrypted_password": user(1)["password"], "blocked": True, "confirmed_at": WHEN}
    database.users.insert_one(stored)
    record = json.loads(exported(app, "--with-hashes", "--yes"))
    assert record["password"] == stored["encrypted_password"]
    assert {"disabledAt", "emailVerifiedAt"} <= record.keys()


def test_a_date_that_another_app_keeps_is_exported(make_app, database):
    app = make_app(USERS_FIELDS="disabledAt=locked_at,emailVerifiedAt=confirmed_at")
    stored = {"email": ALICE, "locked_at": WHEN, "confirmed_at": WHEN}
    ours = {"email": BOB, "disabledAt": WHEN, "emailVerifiedAt": WHEN, "locked_at": JOINED, "confirmed_at": JOINED}
    enabled = {"email": CHARLIE, "disabledAt": None, "locked_at": WHEN}
    database.users.insert_many([stored, ours, enabled])
    records = {one["email"]: one for one in map(json.loads, exported(app).splitlines())}
    date = {"$date": "2024-05-06T07:08:09.123Z"}
    for email in (ALICE, BOB):
        assert (records[email]["disabledAt"], records[email]["emailVerifiedAt"]) == (date, date)
    assert not {"disabledAt", "emailVerifiedAt"} & records[CHARLIE].keys()


def test_a_guarded_route_knows_who_was_moved(app, client, moved, tmp_path):
    make_account(client, ALICE)
    imported(moved, write(tmp_path, exported(app, "--with-hashes", "--yes")), profile="authservice")
    there = moved.test_client()
    assert there.get("/users/test", headers=bearer(sign_in(there, ALICE)["token"])).status_code == 200
