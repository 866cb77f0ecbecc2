"""After ``users adopt`` the users of every stack sign in with the passwords that they have there."""

import json

import bcrypt
import pytest
from bson import ObjectId

from authservice.migration.profiles import PROFILES
from tests.api.answers import assert_problem
from tests.conftest import ALICE, sign_in
from tests.migration.adopting import JOINED, METEOR_ID, adopt, require_done
from tests.migration.golden_hashes import FOLDER

STORED_AS = {  # by stack: the golden hashes, and a document around one
    "nestjs": ("bcrypt", lambda stored: {"email": ALICE, "password": stored, "roles": ["editor"], "__v": 0}),
    "parse": (
        "bcrypt",
        lambda stored: {"_id": "Ab3dE5fG7h", "username": "alice", "email": ALICE, "_hashed_password": stored},
    ),
    "keystone": ("bcrypt", lambda stored: {"email": ALICE, "password": stored, "isAdmin": True}),
    "feathers": ("bcrypt", lambda stored: {"email": ALICE, "password": stored}),
    "strapi": ("bcrypt", lambda stored: {"email": ALICE, "password": stored, "blocked": False, "confirmed": True}),
    "meteor": (
        "meteor",
        lambda stored: {
            "_id": METEOR_ID,
            "services": {"password": stored},
            "emails": [{"address": ALICE, "verified": True}],
        },
    ),
    "passport-local-mongoose": ("passport-local-mongoose", lambda stored: {"username": ALICE, **stored}),
    "payload": ("payload", lambda stored: {"email": ALICE, **stored, "sessions": [{"id": "a"}], "createdAt": JOINED}),
    "devise": ("devise", lambda stored: {"email": ALICE, "encrypted_password": stored, "confirmed_at": JOINED}),
    "laravel": ("laravel", lambda stored: {"email": ALICE, "password": stored, "email_verified_at": None}),
    "django": ("django", lambda stored: {"email": ALICE, "password": stored, "is_active": True, "last_login": None}),
    "flask-security": (
        "flask-security",
        lambda stored: {"email": ALICE, "password": stored, "active": True, "roles": [ObjectId()]},
    ),
}


def golden(stack):
    """The first hash of each library that made some: those of all lengths and alphabets are checked elsewhere."""
    file, _ = STORED_AS[stack]
    by = {one["by"]: one for one in reversed(json.loads((FOLDER / f"{file}.json").read_text()))}
    return [*by.values()]


def test_every_stack_that_can_be_adopted_is_here():
    assert STORED_AS.keys() == {name for name, profile in PROFILES.items() if profile.may_adopt}


@pytest.mark.parametrize(
    ("stack", "one"),
    [pytest.param(stack, one, id=f"{stack}-{one['by']}") for stack in STORED_AS for one in golden(stack)],
)
def test_a_user_signs_in_and_the_hash_is_renewed(make_app, database, stack, one):
    app = make_app(**({"LEGACY_PEPPER": one["pepper"]} if one.get("pepper") else {}))
    client = app.test_client()
    document = {"_id": ObjectId(), **STORED_AS[stack][1](one["stored"])}
    database.users.insert_one(document)
    require_done(adopt(app, stack, "--yes", "--rename-sessions"), 1)
    if len(one["password"].encode()) < 72:  # bcrypt reads no more, so what follows makes it no wrong one
        wrong = client.post("/auth", json={"email": ALICE, "password": f"{one['password']}?"})
        assert_problem(wrong, 401, "credentials_invalid")
    sign_in(client, ALICE, one["password"])
    found = database.users.find_one()
    assert found["password"].startswith("$2b$04$")
    assert "passwordRenewedAt" in found
    assert "work" not in found["legacy"]
    sign_in(client, ALICE, one["password"])
    kept = {name: value for name, value in document.items() if name not in ("_id", "password", "sessions", "roles")}
    assert {name: found[name] for name in kept} == kept
    if len(one["password"].encode()) <= 72:
        assert bcrypt.checkpw(one["password"].encode(), found["password"].encode())
