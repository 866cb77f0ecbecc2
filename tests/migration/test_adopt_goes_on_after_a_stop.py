"""``users adopt`` and its undo can be stopped after any single write: nothing is lost, and the next run finishes."""

import itertools

import bson
import pytest
from bson import ObjectId

from authservice.store import adoption
from tests.conftest import ALICE, BOB, CHARLIE
from tests.migration.adopting import METEOR_ID, Stopped, adopt, contents, documents, meteor, require_done, stop_after

COLLECTION = [meteor(ALICE, METEOR_ID), meteor(BOB, "b"), meteor("Charlie@Example.com")]
EMAILS = {ALICE, BOB, CHARLIE}


@pytest.fixture(autouse=True)
def _one_document_a_command(monkeypatch):
    monkeypatch.setattr(adoption, "BATCH", 1)


@pytest.fixture
def theirs(database):
    """With the indexes that let no copy of a user be beside it."""
    database.users.insert_many(COLLECTION)
    database.users.create_index("emails.address", unique=True, sparse=True)
    return documents(database)


def run_until_stopped(app, options, monkeypatch, writes):
    """Whether it was stopped."""
    with monkeypatch.context() as patch:
        stop_after(writes, patch)
        try:
            adopt(app, "meteor", "--yes", *options)
        except Stopped:
            return True
    return False


def require_nothing_lost(database, theirs):
    """Every old document is where it was, in the other collection, or became a user."""
    here = {bson.decode(one)["_id"]: one for one in documents(database)}
    kept = {one["_id"]: bson.encode(one["document"]) for one in database.users_adopted.find()}
    users = {bson.decode(one).get("legacy", {}).get("id") for one in here.values()}
    for one in theirs:
        known = bson.decode(one)["_id"]
        assert one in (here.get(known), kept.get(known)) or (isinstance(known, ObjectId) and str(known) in users)
    addresses = [one["emails"][0]["address"].lower() for one in database.users.find()]
    assert len(addresses) == len({*addresses})


def require_all_adopted(database, theirs):
    users = [*database.users.find()]
    assert {one["email"] for one in users} == EMAILS
    assert all(isinstance(one["_id"], ObjectId) for one in users)
    assert {one["legacy"]["id"] for one in users} == {str(bson.decode(one)["_id"]) for one in theirs}
    by_id = {one["legacy"]["id"]: one["_id"] for one in users}
    entries = [*database.users_adopted.find()]
    assert {one["_id"]: one["adoptedAs"] for one in entries} == {known: by_id[known] for known in (METEOR_ID, "b")}
    assert {one["state"] for one in entries} == {"moved"}


def test_adopting_goes_on(app, database, theirs, monkeypatch):
    for writes in itertools.count(1):
        if not run_until_stopped(app, [], monkeypatch, writes):
            break
        require_nothing_lost(database, theirs)
        finished = adopt(app, "meteor", "--yes")
        assert (finished.exit_code, finished.stderr) == (0, "")
        require_all_adopted(database, theirs)
        assert adopt(app, "meteor", "--undo", "--yes").exit_code == 0
        assert documents(database) == theirs
    assert writes > 9  # the index, four for each that moves, one in place


def test_an_undo_goes_on(app, database, theirs, monkeypatch):
    before = contents(database)
    for writes in itertools.count(1):
        require_done(adopt(app, "meteor", "--yes"), 3)
        if not run_until_stopped(app, ["--undo"], monkeypatch, writes):
            break
        require_nothing_lost(database, theirs)
        finished = adopt(app, "meteor", "--undo", "--yes")
        assert (finished.exit_code, finished.stderr) == (0, "")
        assert documents(database) == theirs
        assert database.users_adopted.find_one() is None
    assert writes > 9
    assert contents(database) == before


def test_adopting_goes_on_after_an_undo_that_was_stopped_and_the_reverse(app, database, theirs, monkeypatch):
    for writes in range(1, 20):
        if run_until_stopped(app, [], monkeypatch, writes):
            assert adopt(app, "meteor", "--undo", "--yes").exit_code == 0
            assert documents(database) == theirs
        assert adopt(app, "meteor", "--yes").exit_code == 0
        run_until_stopped(app, ["--undo"], monkeypatch, writes)
        require_nothing_lost(database, theirs)
        assert adopt(app, "meteor", "--yes").exit_code == 0
        require_all_adopted(database, theirs)
        assert adopt(app, "meteor", "--undo", "--yes").exit_code == 0
        assert documents(database) == theirs
