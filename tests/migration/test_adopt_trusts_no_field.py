"""What clients of another app can write is not taken for ours: no roles, no proofs, no second factor, no undo."""

from datetime import UTC, datetime

import pytest
from bson import ObjectId

from authservice.migration.adoption import OURS
from authservice.store.users import stored_password
from tests.conftest import ALICE, BOB, bearer, make_account, sign_in
from tests.migration.adopting import JOINED, METEOR_ID, adopt, contents, meteor, nestjs, require_done

FORGED = {
    "sessions": [{"refreshJti": "x", "id": "x"}],
    "devices": [{"id": "x"}],
    "passwordChangedAt": JOINED,
    "passwordRenewedAt": JOINED,
    "emailVerifiedAt": JOINED,
    "roles": ["admin"],
    "mails": [{"id": "x", "to": BOB}],
    "verification": {"to": BOB},
    "emailChange": {"to": BOB},
    "formerEmails": [{"email": BOB, "until": datetime(2100, 1, 1, tzinfo=UTC)}],
    "twoStep": {"totp": {"confirmedAt": JOINED}},
    "passkeys": [{"id": "x"}],
    "passkeyChallengeAt": JOINED,
    "language": "de",
    "profile": {"name": "x"},
}
NOT_VERIFIED = [{"address": ALICE, "verified": False}]


def test_every_name_of_ours_is_tried():
    assert FORGED.keys() == {*OURS} - {"disabledAt"}


@pytest.mark.parametrize("known", [None, METEOR_ID], ids=["in place", "moved"])
@pytest.mark.parametrize("name", FORGED)
def test_a_field_is_refused_or_renamed(app, database, name, known):
    database.users.insert_one(meteor(ALICE, known, emails=NOT_VERIFIED, **{name: FORGED[name]}))
    before = contents(database)
    new_name = f"meteor{name[0].upper()}{name[1:]}"
    refused = adopt(app, "meteor", "--yes")
    assert refused.exit_code == 1
    assert refused.stderr == (
        "Error: Some documents use our field names for something else. "
        f"--rename-sessions renames {name} to {new_name}.\n"
    )
    assert contents(database) == before
    require_done(adopt(app, "meteor", "--yes", "--rename-sessions"), 1)
    found = database.users.find_one()
    assert (found[new_name], not found[name]) == (FORGED[name], True)
    require_done(adopt(app, "meteor", "--undo", "--yes"), 1, "undone")
    assert contents(database) == before


def test_nobody_becomes_an_admin(app, client, database):
    database.users.insert_one(meteor(ALICE, METEOR_ID, **{**FORGED, "sessions": [], "formerEmails": []}))
    require_done(adopt(app, "meteor", "--yes", "--rename-sessions"), 1)
    token = sign_in(client, ALICE)["token"]
    assert client.get("/admin/users", headers=bearer(token)).status_code == 403
    assert client.get("/users/me", headers=bearer(token)).get_json()["roles"] == []


def test_a_renamed_time_does_not_make_the_hash_ours(app, database):
    """A password of more than 72 bytes is checked in another way then."""
    database.users.insert_one(nestjs(ALICE, passwordChangedAt=JOINED))
    require_done(adopt(app, "nestjs", "--yes", "--rename-sessions"), 1)
    with app.app_context():
        assert stored_password(database.users.find_one()).is_legacy


def test_a_proof_that_the_profile_reads_itself_is_kept(app, database):
    database.users.insert_one(nestjs(ALICE, emailVerifiedAt=JOINED))
    require_done(adopt(app, "nestjs", "--yes"), 1)
    assert database.users.find_one()["emailVerifiedAt"] == JOINED


@pytest.mark.parametrize("disabled", [JOINED, True, "yes", False, 0])
def test_what_disables_is_not_renamed(app, client, database, disabled):
    database.users.insert_one(meteor(ALICE, disabledAt=disabled))
    require_done(adopt(app, "meteor", "--yes", "--rename-sessions"), 1)
    assert database.users.find_one()["disabledAt"] == disabled


@pytest.mark.parametrize("more", [{}, {"added": []}], ids=["imported", "adopted"])
def test_an_id_of_another_type_is_of_no_user_here(app, database, more):
    forged = {"key": f"meteor:{METEOR_ID}", "from": "meteor", "id": METEOR_ID, **more}
    database.users.insert_one(meteor(ALICE, METEOR_ID, legacy=forged))
    require_done(adopt(app, "meteor", "--yes"), 1)
    assert database.users.find_one()["legacy"]["was"] == {"legacy": forged}


@pytest.mark.parametrize("change", [{"key": "nestjs:x"}, {"from": "y"}, {"id": 5}, {"more": 1}], ids=str)
def test_a_legacy_of_another_shape_is_of_the_other_app(app, database, change):
    document = nestjs(ALICE)
    known = str(document["_id"])
    forged = {"key": f"nestjs:{known}", "from": "nestjs", "id": known, **change}
    database.users.insert_one({**document, "legacy": forged})
    require_done(adopt(app, "nestjs", "--yes"), 1)
    assert database.users.find_one()["legacy"]["was"] == {"legacy": forged}


@pytest.mark.parametrize(
    "forged",
    [
        {"was": 5},
        {"was": {"roles": ["admin"]}},
        {"was": {"disabledAt": None}},
        {"was": {"email": BOB}},
        {"was": {"_id": 1}},
        {"renamed": 5},
        {"renamed": {"disabledAt": "name"}},
        {"renamed": {"roles": "nestjsRoles"}},
        {"renamed": {"roles": ["nestjsRoles"]}},
        {"added": 5},
        {"added": [5]},
        {"added": [["email"]]},
        {"added": ["name"]},
        {"added": ["disabledAt"]},
        {"added": ["password"]},
        {"theirs": 5},
        {"theirs": ["x"]},
    ],
    ids=str,
)
def test_an_undo_does_nothing_that_adopting_would_not_have_made(app, database, forged):
    document = nestjs(ALICE, disabledAt=JOINED, nestjsRoles=["admin"])
    known = str(document["_id"])
    legacy = {"key": f"nestjs:{known}", "from": "nestjs", "id": known, "added": [], "theirs": ["disabledAt"], **forged}
    database.users.insert_one({**document, "legacy": legacy})
    before = contents(database)
    undone = adopt(app, "nestjs", "--undo", "--yes")
    assert (undone.exit_code, undone.stderr) == (0, "")
    assert contents(database) == before


@pytest.mark.parametrize("name", ["emailVerifiedAt", "disabledAt", "createdAt"])
def test_what_the_other_app_wrote_since_into_an_added_field_stays(app, database, name):
    """Where adopting had a value that it can tell again."""
    moments = {"emailVerified": JOINED, "deletedAt": JOINED, "created_at": JOINED}
    document = nestjs(ALICE, **moments)
    database.users.insert_one(document)
    require_done(adopt(app, "nestjs", "--yes"), 1)
    database.users.update_one({}, {"$set": {name: datetime(2026, 1, 1, tzinfo=UTC)}})
    before = database.users.find_one()
    assert name in before["legacy"]["added"]
    assert "  stay                 1\n" in adopt(app, "nestjs", "--undo", "--yes").stdout
    assert database.users.find_one() == before


def test_users_of_this_service_are_not_concerned(app, client, database):
    make_account(client, ALICE)
    database.users.update_one({}, {"$set": {"roles": ["admin"], "language": "de"}})
    before = database.users.find_one()
    database.users.insert_one(nestjs(BOB))
    require_done(adopt(app, "nestjs", "--yes"), 1)
    assert database.users.find_one({"email": ALICE}) == before
    assert isinstance(before["_id"], ObjectId)
