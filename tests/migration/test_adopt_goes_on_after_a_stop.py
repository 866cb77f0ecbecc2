"""``users adopt`` and its undo can be stopped after any single write: nothing is lost, and the next run finishes."""

import contextlib
import itertools

import bson
import pytest
from bson import ObjectId
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from authservice.migration import adoption_plan
from authservice.migration.moved import Unreadable
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


def test_a_moved_document_that_is_no_longer_readable_goes_back(app, database, theirs, monkeypatch):
    """The next run may be by another version of this service."""
    assert run_until_stopped(app, [], monkeypatch, 3)  # index, copy, deletion
    assert documents(database) != theirs
    with monkeypatch.context() as patch:
        patch.setattr(adoption_plan.Plan, "read", lambda plan, stored: Unreadable("other rules"))
        assert adopt(app, "meteor", "--yes").exit_code == 1
    assert documents(database) == theirs
    assert database.users_adopted.find_one() is None


@pytest.mark.parametrize("options", [[], ["--undo"]], ids=["adopt", "undo"])
def test_writes_that_the_driver_repeats_are_not_refused(app, database, theirs, monkeypatch, options):
    """Their first answer was lost, so they find their own documents."""
    write_once = Collection.bulk_write

    def twice(self, operations, **given):
        with contextlib.suppress(BulkWriteError):
            write_once(self, operations, **given)
        return write_once(self, operations, **given)

    if options:
        require_done(adopt(app, "meteor", "--yes"), 3)
    monkeypatch.setattr(Collection, "bulk_write", twice)
    require_done(adopt(app, "meteor", "--yes", *options), 3, "undone" if options else "adopted")


def test_a_write_that_the_replica_set_did_not_confirm_stops_it(app, database, theirs, monkeypatch):
    """It may be rolled back, so the run does not go on as if it were there."""
    write = Collection.bulk_write

    def unconfirmed(self, operations, **given):
        write(self, operations, **given)
        timed_out = [{"code": 64, "errmsg": "waiting for replication timed out"}]
        raise BulkWriteError({"writeErrors": [], "writeConcernErrors": timed_out, "nMatched": 0})

    with monkeypatch.context() as patch:
        patch.setattr(Collection, "bulk_write", unconfirmed)
        assert adopt(app, "meteor", "--yes").exit_code == 3
    assert documents(database) == theirs
    assert adopt(app, "meteor", "--yes").exit_code == 0
    require_all_adopted(database, theirs)


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
