"""After ``users adopt`` the service has the indexes that it needs, also where documents have no e-mail."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, make_account
from tests.migration.adopting import METEOR_ID, adopt, meteor, nestjs, require_done


def test_sign_ups_work_and_take_no_address_of_an_adopted_user(app, client, database):
    database.users.insert_many([meteor("Alice@Example.com", METEOR_ID), meteor(BOB)])
    require_done(adopt(app, "meteor", "--yes"), 2)
    for email in ("ALICE@example.com", BOB):
        answer = client.post("/users", json={"email": email, "password": PASSWORD})
        assert_problem(answer, 409, "email_taken")
    assert_ok(client.post("/users", json={"email": CHARLIE, "password": PASSWORD}), 201)
    assert app.test_cli_runner().invoke(args=["check"]).exit_code == 0


def test_documents_without_an_e_mail_stop_no_sign_up(app, client, database):
    database.users.insert_many([meteor(ALICE, METEOR_ID), *({"username": name} for name in "abc"), {"email": None}])
    require_done(adopt(app, "meteor", "--yes"), 1, all_in=False)
    assert_ok(client.post("/users", json={"email": BOB, "password": PASSWORD}), 201)
    assert_problem(client.post("/users", json={"email": "BOB@example.com", "password": PASSWORD}), 409, "email_taken")
    assert_problem(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 409, "email_taken")
    database.users.insert_one({"username": "d"})  # the other app goes on


def test_nobody_is_adopted_twice(app, database):
    database.users.insert_one(nestjs(ALICE))
    require_done(adopt(app, "nestjs", "--yes"), 1)
    index = database.users.index_information()["legacy_key"]
    assert (index["key"], index["unique"], index["sparse"]) == ([("legacy.key", 1)], True, True)


@pytest.mark.parametrize(
    ("one", "other"), [("Ana@example.com", "ana@EXAMPLE.com"), ("stra\u00dfe@example.com", "strasse@example.com")]
)
def test_addresses_that_the_index_takes_for_one_are_adopted_once_one_of_them_is_left(app, client, database, one, other):
    """It ignores more than case."""
    database.users.insert_many([meteor(one, "a"), meteor(other, "b"), meteor(ALICE, "c")])
    result = adopt(app, "meteor", "--yes")
    require_done(result, 1, all_in=False)
    assert "  e-mail taken         2\n" in result.stdout
    database.users.delete_one({"_id": "b"})
    require_done(adopt(app, "meteor", "--yes"), 1)
    assert_ok(client.post("/users", json={"email": CHARLIE, "password": PASSWORD}), 201)
    assert database.users.index_information()["email_any_case"]["unique"]


@pytest.mark.parametrize("email", ["kept@example.com", "Kept@Example.com"])
def test_an_address_that_a_user_gave_up_lately_is_taken(app, client, database, email):
    """Its owner can have it back for some days."""
    make_account(client, ALICE)
    former = [{"email": "kept@example.com", "asking": "x", "until": datetime.now(UTC) + timedelta(days=1)}]
    database.users.update_one({"email": ALICE}, {"$set": {"formerEmails": former}})
    document = meteor(email, METEOR_ID)
    database.users.insert_one(document)
    result = adopt(app, "meteor", "--yes")
    assert "  would adopt          0\n" in result.stdout
    assert f"    kept@example.com: {METEOR_ID}, " in result.stdout
    assert database.users.find_one({"_id": METEOR_ID}) == document


def test_an_address_that_a_user_gave_up_long_ago_is_free(app, client, database):
    make_account(client, ALICE)
    former = [{"email": BOB, "asking": "x", "until": datetime.now(UTC) - timedelta(days=1)}]
    database.users.update_one({"email": ALICE}, {"$set": {"formerEmails": former}})
    database.users.insert_one(meteor(BOB, METEOR_ID))
    require_done(adopt(app, "meteor", "--yes"), 1)
