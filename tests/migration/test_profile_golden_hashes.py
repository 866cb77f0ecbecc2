"""A hash of a stack's own library becomes, through its profile, the string that this service checks."""

import pytest

from tests.conftest import ALICE
from tests.migration.golden_hashes import STACKS, golden_of, stored_of
from tests.migration.records import OBJECT_ID, read
from tests.migration.test_profile_several_files import joined


def password(stored):
    return {"password": stored}


def of_kratos(stored):
    return {"traits": {"email": ALICE}, "credentials": {"password": {"config": {"hashed_password": stored}}}}


PROFILE_AND_RECORD = {
    "argon2": ("laravel", password),
    "bcrypt": ("nestjs", password),
    "devise": ("devise", lambda stored: {"encrypted_password": stored}),
    "django": ("django", password),
    "firebase": ("firebase", lambda stored: {**stored, "localId": "x"}),
    "flask-security": ("flask-security", password),
    "keycloak": ("keycloak", lambda stored: {"id": "x", "credentials": [{"type": "password", **stored}]}),
    "kratos": ("kratos", lambda stored: {"id": "x", **of_kratos(stored)}),
    "laravel": ("laravel", password),
    "meteor": ("meteor", lambda stored: {"services": {"password": stored}, "emails": [{"address": ALICE}]}),
    "passport-local-mongoose": ("passport-local-mongoose", dict),
    "payload": ("payload", dict),
    "supabase": ("supabase", lambda stored: {"id": "x", "encrypted_password": stored}),
    "werkzeug": ("flask-security", password),
}


@pytest.mark.parametrize("stack", STACKS)
def test_every_golden_hash_is_read(stack):
    for golden, stored in zip(golden_of(stack), stored_of(stack), strict=True):
        assert through_the_profile(stack, stored) == golden.text, golden.by


def through_the_profile(stack, stored):
    if stack == "better-auth":
        account = {"providerId": "credential", "userId": "x", "password": stored}
        return joined("better-auth", {"id": "x", "email": ALICE}, account).password
    if stack == "medusa":
        identity = {"provider": "emailpass", "entity_id": ALICE, "provider_metadata": {"password": stored}}
        owner = {"id": "authid_01", "app_metadata": {"customer_id": "cus_01"}}
        customer = {"id": "cus_01", "email": ALICE}
        return joined("medusa", customer, {**identity, "auth_identity_id": "authid_01"}, owner).password
    profile, record = PROFILE_AND_RECORD[stack]
    return read(profile, {"_id": OBJECT_ID, "email": ALICE, **record(stored)}).password
