"""One document that cannot be adopted keeps nobody else out: it is too large, or the database refuses it."""

import pytest

from tests.conftest import ALICE, BOB
from tests.migration.adopting import METEOR_ID, adopt, documents, meteor, nestjs, require_done

NEARLY_16_MIB = "x" * (16 * 1024 * 1024 - 2_000)


@pytest.mark.parametrize(
    ("stack", "large", "other"),
    [
        ("nestjs", nestjs(ALICE, more=NEARLY_16_MIB), nestjs(BOB)),
        ("meteor", meteor(ALICE, METEOR_ID, more=NEARLY_16_MIB), meteor(BOB, "b")),
        ("nestjs", nestjs(ALICE, legacy="x" * 9_000_000, more="x" * 7_000_000), nestjs(BOB)),
    ],
    ids=["in place", "moved", "with what is replaced"],
)
def test_a_document_that_is_too_large_is_unreadable(app, database, stack, large, other):
    database.users.insert_many([large, other])
    result = adopt(app, stack, "--yes")
    require_done(result, 1, all_in=False)
    assert f"    too large (1): {large['_id']}\n" in result.stdout
    assert database.users.find_one({"_id": large["_id"]}) == large
    assert database.users.find_one({"email": BOB})["legacy"]["from"] == stack


@pytest.mark.parametrize(
    ("stack", "refused", "other"),
    [
        ("nestjs", nestjs(ALICE, name="refused"), nestjs(BOB)),
        ("meteor", meteor(ALICE, METEOR_ID, name="refused"), meteor(BOB, "b")),
    ],
    ids=["in place", "moved"],
)
def test_a_document_that_a_validator_refuses_is_named(app, database, stack, refused, other):
    """A validator of the other stack."""
    valid = {"$or": [{"name": {"$ne": "refused"}}, {"legacy": {"$exists": False}}]}
    database.create_collection("users", validator=valid)
    database.users.insert_many([refused, other])
    before = documents(database)
    result = adopt(app, stack, "--yes")
    assert result.exit_code == 1
    assert result.stderr == f"Error: the database refused {refused['_id']}: a unique index, or a validator.\n"
    assert result.stdout.endswith("\n1 adopted.\n")
    assert database.users.find_one({"_id": refused["_id"]}) == refused
    require_done(adopt(app, stack, "--undo", "--yes"), 1, "undone")
    assert documents(database) == before
