"""An import keeps the rule of the one namespace: an e-mail has one account, in any case and spelling."""

from datetime import UTC, datetime, timedelta

import pytest

from authservice.migration import importing
from tests.conftest import ALICE, make_account
from tests.migration.importing import imported, ndjson, user, write

TAKEN = [
    ("natalie@example.com", "Natalie@Example.com"),
    ("Natalie@EXAMPLE.com", "natalie@example.com"),
    ("natalie@bücher.example.com", "natalie@xn--bcher-kva.example.com"),
    ("natalie@xn--bcher-kva.example.com", "Natalie@Bücher.example.com"),
    ("zoë@example.com", "zoe\u0308@example.com"),
]


@pytest.mark.parametrize(("here", "there"), TAKEN)
def test_an_email_is_taken_by_a_document_that_is_here(app, database, tmp_path, here, there):
    database.users.insert_one({"email": here, "password": "x"})
    assert imported(app, write(tmp_path, ndjson(user(1, email=there))), exit_code=1) == {"e-mail taken": 1}
    assert database.users.estimated_document_count() == 1


@pytest.mark.parametrize("size", [1, 1_000])
@pytest.mark.parametrize(("first", "second"), TAKEN)
def test_an_email_is_taken_by_an_earlier_record(app, database, tmp_path, monkeypatch, first, second, size):
    monkeypatch.setattr(importing, "BATCH", size)
    export = write(tmp_path, ndjson(user(1, email=first), user(2, email=second), user(3)))
    assert imported(app, export, exit_code=1) == {"imported": 2, "e-mail taken": 1}
    assert sorted(database.users.distinct("legacy.id")) == ["u1", "u3"]
    assert imported(app, export, exit_code=1) == {"already here": 2, "e-mail taken": 1}


@pytest.mark.parametrize("spelled", ["user1@example.com", "User1@example.com"])
def test_an_email_that_its_user_gave_up_lately_is_taken(app, client, database, tmp_path, spelled):
    """In the spelling that it had, which may be another stack's."""
    make_account(client, ALICE)
    for until, table in (
        (datetime.now(UTC) + timedelta(days=1), {"e-mail taken": 1}),
        (datetime.now(UTC) - timedelta(days=1), {"imported": 1}),
    ):
        former = [{"email": spelled, "until": until}]
        database.users.update_one({"email": ALICE}, {"$set": {"formerEmails": former}})
        export = write(tmp_path, ndjson(user(1, email="User1@example.com")))
        assert imported(app, export, exit_code="e-mail taken" in table) == table


def test_documents_that_share_an_email_do_not_let_a_third_in(app, database, tmp_path):
    """Then the index is not unique."""
    database.users.insert_many([{"email": "User1@example.com"}, {"email": "USER1@example.com"}])
    assert imported(app, write(tmp_path, ndjson(user(1), user(2))), exit_code=1) == {"imported": 1, "e-mail taken": 1}


def test_it_is_stored_in_its_normal_form(app, database, tmp_path):
    imported(app, write(tmp_path, ndjson(user(1, email=" Zoe\u0308@xn--Bcher-kva.Example.com "))))
    assert database.users.distinct("email") == ["zoë@bücher.example.com"]


@pytest.mark.parametrize("email", ["x@localhost", "a b@example.com", "@example.com", f"{'x' * 250}@example.com"])
def test_what_is_no_address_is_unreadable(app, tmp_path, email):
    table = imported(app, write(tmp_path, ndjson(user(1, email=email))), exit_code=1)
    assert table == {"unreadable": 1, "invalid e-mail": 1}
