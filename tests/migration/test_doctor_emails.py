"""``authservice doctor`` finds e-mails that lock somebody out: missing ones, and one account's in several documents."""

import json

from bson import ObjectId

from tests.conftest import ALICE
from tests.migration.examining import BCRYPT, insert


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
