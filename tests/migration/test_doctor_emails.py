"""``authservice doctor`` finds e-mails that lock somebody out: missing ones, and one account's in several documents."""

import json
import sqlite3

import pytest
from bson import ObjectId

from authservice.store import indexes
from tests.conftest import ALICE
from tests.migration.examining import BCRYPT, about, examine, insert


def test_e_mails_that_are_one_accounts_are_named_by_id(app, database):
    def said():
        return json.loads(app.test_cli_runner().invoke(args=["doctor", "--json"]).stdout)

    def of_emails(verdict):
        return [f for f in said()["findings"] if f["about"] == "e-mails" and f["verdict"] == verdict]

    case = insert(database, BCRYPT, BCRYPT)
    alike = insert(database, BCRYPT, BCRYPT)
    for ids, emails in ((case, ("Bob@example.com", "bob@example.com")), (alike, (ALICE, ALICE))):
        for user_id, email in zip(ids, emails, strict=True):
            database.users.update_one({"_id": ObjectId(user_id)}, {"$set": {"email": email}})
    (warning,), (error,) = of_emails("warning"), of_emails("error")
    assert sorted(warning["ids"]) == sorted(case)
    assert sorted(error["ids"]) == sorted(alike)
    for ids in (case, alike):
        database.users.delete_one({"_id": ObjectId(ids[0])})
    assert (of_emails("warning"), of_emails("error"), len(of_emails("ok"))) == ([], [], 1)


def test_documents_without_an_e_mail_are_named_by_id(app, database):
    def of_emails():
        ended = app.test_cli_runner().invoke(args=["doctor", "--json"])
        (found,) = [f for f in json.loads(ended.stdout)["findings"] if f["about"] == "e-mails"]
        return found

    ids = insert(database, BCRYPT, BCRYPT)
    database.users.update_one({"_id": ObjectId(ids[0])}, {"$unset": {"email": ""}})
    assert (of_emails()["verdict"], of_emails()["ids"]) == ("warning", ids[:1])
    database.users.update_one({"_id": ObjectId(ids[1])}, {"$set": {"email": None}})
    assert (of_emails()["verdict"], sorted(of_emails()["ids"])) == ("error", sorted(ids))
    database.users.delete_many({})
    assert of_emails()["verdict"] == "ok"


@pytest.fixture
def healthy(app):
    """An app whose collection has the indexes that a worker builds at its start."""
    with app.app_context():
        indexes.ensure_indexes(60)
    return app


def hold(database, *emails):
    """Users with these e-mails; none where it is None. Their ids."""
    ids = insert(database, *[BCRYPT] * len(emails))
    for user_id, email in zip(ids, emails, strict=True):
        update = {"$unset": {"email": ""}} if email is None else {"$set": {"email": email}}
        database.users.update_one({"_id": ObjectId(user_id)}, update)
    return ids


def lines_about_emails(app):
    ended = app.test_cli_runner().invoke(args=["doctor"])
    return [line for line in ended.stdout.splitlines() if "  e-mails: " in line]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("u@münchen.example", "u@xn--mnchen-3ya.example"),
        ("u@MÜNCHEN.example", "U@XN--MNCHEN-3YA.EXAMPLE"),
        ("v@example.com", " v@example.com"),
        ("V@Example.com", "v@example.com\n"),
        ("\tv@example.com", "v@example.com\u00a0"),
        ("w@example.com", "\uff57@example.com"),
    ],
    ids=ascii,
)
def test_e_mails_that_are_one_accounts_beyond_case_are_named_together(healthy, database, one, other):
    hold(database, "somebody@example.com", "straße@example.com")
    first = hold(database, one, other)
    second = hold(database, "é@example.org", "e\u0301@example.org")
    (finding,) = [finding for finding in about(examine(healthy)[1], "e-mails") if finding["groups"]]
    assert (finding["verdict"], finding["number"]) == ("warning", 4)
    assert finding["sentence"] == (
        "2 e-mails are in 4 documents, spelled in several ways, such as a domain in Unicode and as xn--: each user "
        "must type the stored spelling, and nobody can sign in to one with white space around it"
    )
    assert sorted(map(sorted, finding["groups"])) == sorted([sorted(first), sorted(second)])
    assert finding["ids"] == [id for group in finding["groups"] for id in group]
    database.users.delete_one({"_id": ObjectId(first[1])})
    database.users.delete_one({"_id": ObjectId(second[1])})
    assert [finding for finding in about(examine(healthy)[1], "e-mails") if finding["groups"]] == []


def test_e_mails_beyond_case_are_found_without_any_index(app, database):
    ids = hold(database, "V@example.com", " v@example.com")
    (finding,) = [finding for finding in about(examine(app)[1], "e-mails") if finding["groups"]]
    assert sorted(finding["groups"][0]) == sorted(ids)


def test_unusual_e_mails_of_one_user_each_are_healthy(healthy, database):
    hold(database, "u@münchen.example", "u@xn--mnchen-3yb.example", "юзер@example.com", "x" * 2_000 + "é")
    (finding,) = about(examine(healthy)[1], "e-mails")
    assert finding["verdict"] == "ok"


@pytest.mark.parametrize(
    ("emails", "sentence"),
    [
        (["", "  "], "2 documents without an e-mail: nobody can sign in to them"),
        ([None, ""], "2 documents without an e-mail: nobody can sign in to them"),
        ([["q@example.com"]], "1 document with an e-mail that is no text: nobody can sign in to it"),
        ([7, {"a": 1}], "2 documents with an e-mail that is no text: nobody can sign in to them"),
        (
            [" v@example.com"],
            "1 document with an e-mail that begins or ends with white space: nobody can sign in to it",
        ),
    ],
    ids=ascii,
)
def test_documents_that_nobody_can_sign_in_to_are_named_by_id(healthy, database, emails, sentence):
    insert(database, BCRYPT)
    ids = hold(database, *emails)
    (finding,) = about(examine(healthy)[1], "e-mails")
    assert (finding["verdict"], finding["sentence"]) == ("warning", sentence)
    assert (sorted(finding["ids"]), finding["number"]) == (sorted(ids), len(ids))


def test_a_person_reads_which_ids_belong_together_and_how_many_there_are(app, database):
    groups = [hold(database, f"Bob{number}@example.com", f"bob{number}@example.com") for number in range(2)]
    (line,) = lines_about_emails(app)
    said, _, named = line.partition("spelling: ")
    assert said == (
        "warning  e-mails: 2 e-mails are in 4 documents, in different case: each user must type the stored "
    )
    assert sorted(sorted(group.split(", ")) for group in named.split(" · ")) == sorted(map(sorted, groups))


def test_at_most_20_ids_are_named_and_all_are_counted(app, database):
    for number in range(11):
        hold(database, *[f"{letter}{number}@example.com" for letter in "bB"], f" b{number}@example.com")
    hold(database, *[None] * 21)
    case, beyond = (finding for finding in about(examine(app)[1], "e-mails") if finding["groups"])
    assert (case["number"], len(case["ids"]), beyond["number"], len(beyond["ids"])) == (22, 20, 33, 20)
    assert [len(group) for group in beyond["groups"]] == [3, 3, 3, 3, 3, 3, 2]
    without, padded, *shared = lines_about_emails(app)
    assert without.startswith("error    e-mails: 21 documents without an e-mail: ")
    assert without.endswith(" and 1 more")
    assert padded.startswith("warning  e-mails: 11 documents with an e-mail that begins or ends with white space: ")
    assert [line.rpartition(" and ")[2] for line in shared] == ["2 more", "13 more"]


def test_a_full_temporary_directory_is_said(healthy, database, monkeypatch):
    class Full:
        def execute(self, *arguments):
            raise sqlite3.OperationalError("database or disk is full")

        def close(self):
            pass

    monkeypatch.setattr(sqlite3, "connect", lambda *arguments, **options: Full())
    (finding,) = about(examine(healthy)[1], "e-mails")
    assert (finding["verdict"], finding["sentence"]) == (
        "warning",
        "not all could be looked at: temporary files cannot be written: database or disk is full. Set SQLITE_TMPDIR",
    )
