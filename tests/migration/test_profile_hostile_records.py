"""Whatever a record holds, no profile raises, and no reason shows a value of it."""

import json
import uuid
from datetime import datetime

import pytest
from bson import Binary, Int64, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from authservice import create_app
from authservice.migration.moved import MovedUser, Unreadable
from authservice.migration.profiles import PROFILES
from tests.conftest import SECRET
from tests.database import uri_with

# names that the profiles look for, so that records get beyond the first check
NAMES = sorted(
    {
        *(
            "_id",
            "id",
            "pk",
            "email",
            "password",
            "hash",
            "salt",
            "emails",
            "address",
            "verified",
            "services",
            "bcrypt",
        ),
        *("argon2", "providerId", "userId", "user", "account", "banned", "banExpires", "createdAt", "roles", "name"),
        *("$oid", "$date", "$numberLong", "$binary", "$uuid", "base64", "lockUntil", "deletedAt", "_verified", "srp"),
        *("_hashed_password", "username", "confirmed", "blocked", "encrypted_password", "locked_at", "model", "fields"),
        *("last_login", "groups", "is_active", "password_hash", "person", "identity", "provider", "entity_id"),
        *("provider_metadata", "has_account", "deleted_at", "localId", "passwordHash", "customAttributes", "disabled"),
        *("credentials", "type", "secretData", "credentialData", "algorithm", "hashIterations", "additionalParameters"),
        *("memory", "value", "serviceAccountClientId", "realmRoles", "enabled", "banned_until", "raw_app_meta_data"),
        *("user_id", "app_metadata", "primary_email_address", "verified_email_addresses", "password_digest"),
        *("password_hasher", "traits", "verifiable_addresses", "via", "config", "hashed_password", "state"),
        *("Attributes", "Name", "Value", "Enabled", "sub"),
    }
)
TEXTS = st.sampled_from(
    [
        *("", "!", "alice@example.com", "\ud800", "9" * 30, "2019-05-04T03:02:01Z", "true", "a:b", "credential"),
        *("$2b$04$", "$argon2id$v=19$m=1,t=1,p=1$a$b", "pbkdf2-sha256-v1:00", "pbkdf2-sha256-v2-i9999999-l32:00"),
        *("pbkdf2_sha256$1$$", "scrypt$$$$$", "bcrypt$$2b$", "scrypt:2:1:1$a$00", "pbkdf2:sha1:x$a$00", "argon2$"),
        *("$pbkdf2-sha512$1$a$b", "$pbkdf2-sha1$i=1,l=1$a$b", "$scrypt$ln=3,r=1,p=1$a$b", '{"value": []}', "[1]"),
        *("$fbscrypt$v=1,n=1,r=1,p=1,sk=a$a$a", "$firescrypt$ln=1,r=1,p=1$a$a$a$a", "a$b$c$d$1$1", "argon2", "bcrypt"),
        *("scrypt_firebase", "pbkdf2_sha256", "pbkdf2_sha512_hex", "scrypt_werkzeug", "emailpass", "infinity"),
    ]
)
SCALARS = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.datetimes(),
    st.builds(ObjectId),
    st.builds(uuid.uuid4),
    st.builds(Int64, st.integers(-(2**63), 2**63 - 1)),
    st.builds(Binary, st.binary(max_size=20)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)


@pytest.fixture(autouse=True, scope="module")
def _settings(server_uri):
    """Some profiles compare a key in the record with the settings."""
    app = create_app({"MONGO_URI": uri_with(server_uri, "hostile"), "JWT_SECRET_KEY": SECRET})
    with app.app_context():
        yield


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=60, deadline=None)
@given(record=RECORDS)
def test_no_record_makes_a_profile_raise(name, record):
    profile = PROFILES[name]
    found = profile.read(record)
    assert found is None or isinstance(found, MovedUser | Unreadable)
    if isinstance(found, MovedUser):
        assert isinstance(found.id, str)
        assert isinstance(found.email, str)
        assert isinstance(found.password, str | None)
        assert isinstance(found.email_verified_at, datetime | bool | None)
        assert isinstance(found.disabled_at, datetime | bool | None)
        assert isinstance(found.created_at, datetime | None)
        assert all(isinstance(role, str) for role in found.roles)
    if profile.joins is not None:
        place = profile.joins.part_of(record)
        assert place is None or (isinstance(place[0], str) and isinstance(place[1], str))


@pytest.mark.parametrize("name", PROFILES)
def test_a_record_nested_a_thousand_deep_is_only_unreadable(name):
    deep = json.loads('{"a":' * 900 + "1" + "}" * 900)
    record = dict.fromkeys(NAMES, deep)
    assert isinstance(PROFILES[name].read(record), Unreadable | None)


@pytest.mark.parametrize("name", PROFILES)
def test_a_huge_record_is_only_unreadable(name):
    huge = "x" * 5_000_000
    record = dict.fromkeys(NAMES, huge)
    assert isinstance(PROFILES[name].read(record), Unreadable | None)
