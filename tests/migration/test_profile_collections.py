"""Users of stacks that keep one document for each, in place and as mongoexport writes them."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from authservice.migration.moved import Unreadable
from authservice.migration.profiles import PROFILES
from tests.conftest import ALICE, BOB
from tests.migration.records import CREATED, FORMS, OBJECT_ID, SECRET, bcrypt_of, matches, read, user

SALT = "58b9ac23d92f825deec21418fda6b5544697d72078a99f762a83731ee9e29dd2"


def pbkdf2_hex(iterations, size, digest="sha256"):
    return hashlib.pbkdf2_hmac(digest, SECRET.encode(), SALT.encode(), iterations, size).hex()


@pytest.mark.parametrize("form", FORMS)
class TestNestJS:
    document = {"_id": OBJECT_ID, "email": ALICE, "password": bcrypt_of(), "createdAt": CREATED, "__v": 0}

    def test_a_user(self, form):
        hashed = self.document["password"]
        assert read("nestjs", form(self.document)) == user(password=hashed, created_at=CREATED)
        assert matches(hashed, SECRET)

    @pytest.mark.parametrize("change", [{"isActive": False}, {"blocked": True}, {"banned": "yes"}, {"deletedAt": "?"}])
    def test_a_user_who_was_locked_out_stays_so(self, form, change):
        assert read("nestjs", form({**self.document, **change})).disabled_at is True

    @pytest.mark.parametrize("change", [{"isActive": True}, {"blocked": False}, {"deletedAt": None}])
    def test_another_user_does_not(self, form, change):
        assert read("nestjs", form({**self.document, **change})).disabled_at is None

    def test_dates_are_taken_over(self, form):
        found = read("nestjs", form({**self.document, "disabledAt": CREATED, "emailVerifiedAt": CREATED}))
        assert (found.disabled_at, found.email_verified_at) == (CREATED, CREATED)

    def test_roles(self, form):
        assert read("nestjs", form({**self.document, "roles": ["admin", "editor"]})).roles == ("admin", "editor")

    def test_no_password(self, form):
        assert read("nestjs", form({**self.document, "password": None})).password is None

    @pytest.mark.parametrize("stored", ["5f4dcc3b5aa765d61d8327deb882cf99", "$1$x", 5, ["$2b$"], {"a": "b"}])
    def test_a_hash_of_an_unknown_kind(self, form, stored):
        assert PROFILES["nestjs"].read(form({**self.document, "password": stored})) == Unreadable(
            "unknown kind of password hash"
        )

    @pytest.mark.parametrize(
        "stored", ["$2b$31$" + "a" * 53, "$2b$10$", "$argon2id$v=19$m=9999999,t=9,p=1$c2FsdHNhbHQ$AA"]
    )
    def test_a_hash_that_never_matches(self, form, stored):
        assert PROFILES["nestjs"].read(form({**self.document, "password": stored})) == Unreadable(
            "password hash is malformed, or its cost is too high"
        )

    @pytest.mark.parametrize("email", [None, "", "+49 30 1234", 5])
    def test_no_email(self, form, email):
        assert PROFILES["nestjs"].read(form({**self.document, "email": email})) == Unreadable("no e-mail")


@pytest.mark.parametrize("form", FORMS)
class TestMeteor:
    document = {
        "_id": "BJ8yXWq2NhKZZxDk5",
        "createdAt": CREATED,
        "services": {
            "password": {"bcrypt": bcrypt_of(hashlib.sha256(b"secret of alice").hexdigest())},
            "resume": {"loginTokens": [{"when": CREATED, "hashedToken": "x"}]},
        },
        "username": "alice",
        "emails": [{"address": ALICE, "verified": True}],
        "profile": {"name": "Alice"},
    }

    def test_a_user(self, form):
        found = read("meteor", form(self.document))
        assert found == user(
            id="BJ8yXWq2NhKZZxDk5", password=found.password, email_verified_at=True, created_at=CREATED
        )
        assert matches(found.password, "secret of alice")
        assert not matches(found.password, "secret of bob")

    def test_argon2(self, form):
        argon2 = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk"
        found = read("meteor", form({**self.document, "services": {"password": {"argon2": argon2}}}))
        assert found.password == f"$meteor${argon2}"

    def test_of_several_emails_the_first_that_is_verified_is_taken(self, form):
        emails = [{"address": BOB, "verified": False}, {"address": ALICE, "verified": True}]
        assert read("meteor", form({**self.document, "emails": emails})).email == ALICE

    def test_an_email_that_is_not_verified_stays_so(self, form):
        found = read("meteor", form({**self.document, "emails": [{"address": BOB, "verified": False}]}))
        assert (found.email, found.email_verified_at) == (BOB, None)

    def test_a_user_of_another_service_has_no_password(self, form):
        assert read("meteor", form({**self.document, "services": {"google": {"id": "1"}}})).password is None

    def test_a_password_of_before_0_8_2(self, form):
        services = {"password": {"srp": {"identity": "i", "salt": "s", "verifier": "v"}}}
        assert PROFILES["meteor"].read(form({**self.document, "services": services})) == Unreadable(
            "unknown kind of password hash"
        )

    def test_a_user_with_a_name_alone(self, form):
        without = {name: value for name, value in self.document.items() if name != "emails"}
        assert PROFILES["meteor"].read(form(without)) == Unreadable("no e-mail")


@pytest.mark.parametrize("form", FORMS)
class TestPayload:
    document = {
        "_id": OBJECT_ID,
        "email": ALICE,
        "_verified": True,
        "loginAttempts": 0,
        "salt": SALT,
        "hash": pbkdf2_hex(25_000, 512),
        "sessions": [{"id": "x", "createdAt": CREATED, "expiresAt": CREATED}],
        "createdAt": CREATED,
        "updatedAt": CREATED,
        "roles": ["admin"],
    }

    def test_a_user(self, form):
        found = read("payload", form(self.document))
        assert found == user(password=found.password, email_verified_at=True, created_at=CREATED, roles=("admin",))
        assert matches(found.password, SECRET)
        assert not matches(found.password, "secret of bob")

    def test_without_verification_no_email_is_verified(self, form):
        without = {name: value for name, value in self.document.items() if name != "_verified"}
        assert read("payload", form(without)).email_verified_at is None

    @pytest.mark.parametrize(
        ("stored", "iterations"),
        [
            ("pbkdf2-sha256-v1:" + pbkdf2_hex(600_000, 32), "600000"),
            ("pbkdf2-sha256-v2-i100000-l32:" + pbkdf2_hex(100_000, 32), "100000"),
        ],
    )
    def test_a_hash_from_3_90_on(self, form, stored, iterations):
        found = read("payload", form({**self.document, "hash": stored}))
        assert found.password.startswith(f"$pbkdf2$sha256${iterations}$")
        assert matches(found.password, SECRET)

    @pytest.mark.parametrize(("ahead", "disabled"), [(timedelta(days=2), True), (timedelta(minutes=10), None)])
    def test_a_lock_is_moved_if_it_lasts(self, form, ahead, disabled):
        assert read("payload", form({**self.document, "lockUntil": datetime.now(UTC) + ahead})).disabled_at is disabled

    def test_a_user_in_the_trash_is_disabled(self, form):
        assert read("payload", form({**self.document, "deletedAt": CREATED})).disabled_at == CREATED

    @pytest.mark.parametrize("change", [{"hash": "no hexadecimal"}, {"hash": "abcd"}, {"salt": None}, {"hash": 5}])
    def test_a_malformed_hash(self, form, change):
        assert PROFILES["payload"].read(form({**self.document, **change})) == Unreadable(
            "password hash is malformed, or its cost is too high"
        )


def test_payloads_sessions_are_not_ours():
    assert PROFILES["payload"].replaces == ("sessions",)
