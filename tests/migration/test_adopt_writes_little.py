"""What ``users adopt`` writes into the documents of each stack, and what it leaves."""

from datetime import UTC, datetime, timedelta

import bcrypt
import pytest
from bson import ObjectId

from authservice.security import legacy
from authservice.security.legacy import LegacyKeys
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.migration.adopting import JOINED, METEOR_ID, adopt, bcrypted, meteor, nestjs, payload, require_done

NO_KEYS = LegacyKeys(pepper=None, firebase=None)


def adopted(app, database, stack, document, *options):
    database.users.insert_one(document)
    require_done(adopt(app, stack, "--yes", *options), 1)
    (found,) = database.users.find()
    return found


def test_plain_bcrypt_needs_hardly_anything(app, client, database):
    document = nestjs(ALICE)
    found = adopted(app, database, "nestjs", document)
    known = str(document["_id"])
    assert found == {**document, "legacy": {"key": f"nestjs:{known}", "from": "nestjs", "id": known, "added": []}}
    token = sign_in(client, ALICE)["token"]
    me = client.get("/users/me", headers=bearer(token))
    assert (me.status_code, me.get_json()["id"]) == (200, known)


def test_a_hash_elsewhere_is_written_beside_it(app, database):
    document = payload("Alice@Example.com", sessions=[], _verified=True)
    found = adopted(app, database, "payload", document)
    added = {name: found.pop(name) for name in ("password", "emailVerifiedAt", "legacy")}
    assert found == {**document, "email": ALICE}
    assert legacy.parse(added["password"]).matches(PASSWORD, NO_KEYS)
    assert abs(added["emailVerifiedAt"] - datetime.now(UTC)) < timedelta(minutes=10)
    assert added["legacy"] == {
        "key": f"payload:{document['_id']}",
        "from": "payload",
        "id": str(document["_id"]),
        "added": ["password", "emailVerifiedAt"],
        "was": {"email": "Alice@Example.com"},
        "theirs": ["sessions"],
    }


def test_who_is_disabled_there_is_disabled_here(app, client, database):
    found = adopted(app, database, "nestjs", nestjs(ALICE, isActive=False))
    assert isinstance(found["disabledAt"], datetime)
    assert client.post("/auth", json={"email": ALICE, "password": PASSWORD}).status_code == 401


def test_an_id_that_is_no_object_id_becomes_one(app, database):
    document = meteor("Alice@Example.com", METEOR_ID)
    found = adopted(app, database, "meteor", document)
    assert isinstance(found["_id"], ObjectId)
    assert found["legacy"]["id"] == METEOR_ID
    assert (found["email"], found["createdAt"]) == (ALICE, JOINED)
    assert found["password"] == f"$meteor${document['services']['password']['bcrypt']}"
    assert {name: found[name] for name in document if name != "_id"} == {
        name: value for name, value in document.items() if name != "_id"
    }
    entry = database.users_adopted.find_one()
    assert (entry["_id"], entry["adoptedAs"], entry["document"]) == (METEOR_ID, found["_id"], document)


def test_the_other_app_goes_on_checking_its_own_hash(app, client, database):
    """Even where it finds a renewed one: Node's bcrypt and ours are the same."""
    database.users.insert_many([nestjs(ALICE), meteor(BOB)])
    require_done(adopt(app, "nestjs", "--yes"), 1, all_in=False)
    require_done(adopt(app, "meteor", "--yes"), 1)
    sign_in(client, ALICE)
    alice, bob = database.users.find_one({"email": ALICE}), database.users.find_one({"email": BOB})
    assert "passwordRenewedAt" in alice
    assert bcrypt.checkpw(PASSWORD.encode(), alice["password"].encode())
    assert bob["services"]["password"]["bcrypt"] == bob["password"].removeprefix("$meteor$")


@pytest.mark.parametrize("stack", ["nestjs", "payload"])
def test_adopted_users_have_no_time_of_a_change(app, database, stack):
    document = nestjs(ALICE) if stack == "nestjs" else payload(ALICE, sessions=[])
    assert not {"passwordChangedAt", "passwordRenewedAt"} & adopted(app, database, stack, document).keys()


def test_a_hash_that_takes_long_is_marked(app, database):
    found = adopted(
        app, database, "payload", payload(ALICE, sessions=[], salt="ab", hash="pbkdf2-sha256-v1:" + "0f" * 32)
    )
    assert found["legacy"]["work"] == legacy.parse(found["password"]).dear >= 40


@pytest.mark.parametrize(("cost", "is_marked"), [(4, False), (5, True)])  # ours is 4
def test_so_is_bcrypt_that_is_dearer_than_ours(app, database, cost, is_marked):
    dear = bcrypted(PASSWORD).replace("$04$", f"${cost:02}$")
    assert ("work" in adopted(app, database, "nestjs", nestjs(ALICE, password=dear))["legacy"]) is is_marked


def test_a_field_legacy_of_the_other_app_is_kept(app, database):
    document = nestjs(ALICE, legacy={"from": 1998})
    found = adopted(app, database, "nestjs", document)
    assert found["legacy"]["was"] == {"legacy": {"from": 1998}}
    require_done(adopt(app, "nestjs", "--undo", "--yes"), 1, "undone")
    assert database.users.find_one() == document
