"""Users of stacks that keep one document for each, in place and as mongoexport writes them."""

import base64
import hashlib
import hmac
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from authservice.migration.moved import Unreadable
from authservice.migration.profiles import PROFILES
from authservice.security.legacy import LegacyKeys
from tests.conftest import ALICE, BOB
from tests.migration.records import (
    CREATED,
    FORMS,
    OBJECT_ID,
    SECRET,
    argon2_of,
    b64,
    bcrypt_of,
    matches,
    pbkdf2_of,
    read,
    scrypt_of,
    user,
)

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

    @pytest.mark.parametrize(
        ("roles", "names"),
        [
            ("admin, editor", ("admin", "editor")),
            ("{admin,editor}", ("admin", "editor")),
            ('["admin"]', ("admin",)),
            ([{"name": "admin"}, {"id": 5}, 7], ("admin",)),
            ({"group": ["admin"]}, ()),
            (OBJECT_ID, ()),
            ("", ()),
        ],
    )
    def test_roles_in_other_shapes(self, form, roles, names):
        assert read("nestjs", form({**self.document, "roles": roles})).roles == names

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


@pytest.mark.parametrize("no_email", [{}, {"email": None}, {"email": ""}], ids=str)
@pytest.mark.parametrize(
    ("profile", "record"),
    [
        ("parse", {"_id": "x", "emailVerified": True}),
        ("django", {"id": 1, "email_verified": True, "password": None}),
        ("passport-local-mongoose", {"_id": OBJECT_ID, "emailVerified": True}),
        ("keycloak", {"id": "x", "emailVerified": True}),
    ],
)
def test_a_proof_of_no_email_proves_no_name(profile, record, no_email):
    found = read(profile, {**record, "username": ALICE, **no_email})
    assert (found.email, found.email_verified_at) == (ALICE, None)
    assert read(profile, {**record, "username": "x", "email": ALICE}).email_verified_at is True


@pytest.mark.parametrize("disabled", [True, "yes", 1, {"x": 1}], ids=str)
def test_an_export_of_this_service_whose_date_is_none_disables(disabled):
    record = {"_id": OBJECT_ID, "email": ALICE, "password": "!", "disabledAt": disabled}
    assert read("authservice", record).disabled_at is not None
    assert read("authservice", {**record, "disabledAt": None}).disabled_at is None


@pytest.mark.parametrize("form", FORMS)
class TestParse:
    document = {
        "_id": "pX9eKwGJ2d",
        "username": "alice",
        "email": ALICE,
        "emailVerified": True,
        "_hashed_password": bcrypt_of(),
        "_created_at": CREATED,
        "_updated_at": CREATED,
        "_rperm": ["*"],
    }

    def test_a_user(self, form):
        hashed = self.document["_hashed_password"]
        expected = user(id="pX9eKwGJ2d", password=hashed, email_verified_at=True, created_at=CREATED)
        assert read("parse", form(self.document)) == expected

    def test_a_name_that_is_an_email(self, form):
        without = {name: value for name, value in self.document.items() if name not in ("email", "emailVerified")}
        found = read("parse", form({**without, "username": ALICE}))
        assert (found.email, found.email_verified_at) == (ALICE, None)

    def test_roles_which_clients_can_write_are_not_read(self, form):
        assert read("parse", form({**self.document, "roles": ["admin"]})).roles == ()

    def test_a_short_lockout_is_not_moved(self, form):
        soon = datetime.now(UTC) + timedelta(minutes=5)
        assert read("parse", form({**self.document, "_account_lockout_expires_at": soon})).disabled_at is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("profile", ["keystone", "feathers", "laravel"])
@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
def test_a_user_of_a_stack_with_bcrypt_in_password(form, profile, prefix):
    hashed = bcrypt_of(prefix=prefix)
    document = {"_id": OBJECT_ID, "email": ALICE, "password": hashed, "createdAt": CREATED}
    assert read(profile, form(document)) == user(password=hashed, created_at=CREATED)


def test_argon2_of_laravel():
    hashed = argon2_of()
    found = read(
        "laravel", {"id": "7", "email": ALICE, "password": hashed, "email_verified_at": "2019-05-04 03:02:01.234"}
    )
    assert found == user(id="7", password=hashed, email_verified_at=CREATED)
    assert matches(found.password, SECRET)


def test_an_email_that_feathers_verified():
    found = read("feathers", {"_id": OBJECT_ID, "email": ALICE, "password": bcrypt_of(), "isVerified": True})
    assert found.email_verified_at is True


@pytest.mark.parametrize("form", FORMS)
class TestStrapi:
    document = {
        "_id": OBJECT_ID,
        "confirmed": True,
        "blocked": False,
        "username": "alice",
        "email": ALICE,
        "password": bcrypt_of(prefix=b"2a"),
        "provider": "local",
        "role": ObjectId(),
        "createdAt": CREATED,
    }

    def test_a_user(self, form):
        hashed = self.document["password"]
        expected = user(password=hashed, email_verified_at=True, created_at=CREATED)
        assert read("strapi", form(self.document)) == expected

    def test_a_blocked_user(self, form):
        found = read("strapi", form({**self.document, "blocked": True, "confirmed": False}))
        assert (found.disabled_at, found.email_verified_at) == (True, None)

    def test_a_role_that_the_export_filled_in(self, form):
        assert read("strapi", form({**self.document, "role": {"_id": 1, "name": "Editor"}})).roles == ("Editor",)


@pytest.mark.parametrize("form", FORMS)
class TestPassportLocalMongoose:
    @staticmethod
    def document(digest):
        return {"_id": OBJECT_ID, "username": ALICE, "salt": SALT, "hash": pbkdf2_hex(25_000, 512, digest), "__v": 0}

    @pytest.mark.parametrize("digest", ["sha256", "sha1"])
    def test_a_user(self, form, digest):
        found = read("passport-local-mongoose", form(self.document(digest)))
        assert found == user(password=found.password)
        assert found.password.startswith("$pbkdf2$sha256+sha1$25000$")
        assert matches(found.password, SECRET)
        assert not matches(found.password, "secret of bob")

    def test_an_email_wins_over_the_name(self, form):
        assert read("passport-local-mongoose", form({**self.document("sha1"), "email": BOB})).email == BOB

    def test_a_name_alone(self, form):
        named = {**self.document("sha1"), "username": "alice"}
        assert PROFILES["passport-local-mongoose"].read(form(named)) == Unreadable("no e-mail")


@pytest.mark.parametrize("form", FORMS)
class TestDevise:
    document = {
        "_id": OBJECT_ID,
        "email": ALICE,
        "encrypted_password": bcrypt_of(SECRET + "of the pepper", prefix=b"2a"),
        "confirmed_at": CREATED,
        "created_at": CREATED,
        "sign_in_count": 3,
        "locked_at": None,
    }

    def test_a_user(self, form):
        found = read("devise", form(self.document))
        assert found == user(password=found.password, email_verified_at=CREATED, created_at=CREATED)
        assert matches(found.password, SECRET, LegacyKeys(pepper=b"of the pepper"))
        assert not matches(found.password, SECRET, LegacyKeys(pepper=b"another"))

    def test_a_lock_of_devise_is_over_soon(self, form):
        locked = datetime.now(UTC) - timedelta(minutes=1)
        assert read("devise", form({**self.document, "locked_at": locked})).disabled_at is None

    def test_a_user_who_was_deleted_softly_is_disabled(self, form):
        assert read("devise", form({**self.document, "deleted_at": CREATED})).disabled_at == CREATED

    def test_an_empty_password_is_none(self, form):
        assert read("devise", form({**self.document, "encrypted_password": ""})).password is None


class TestDjango:
    @pytest.mark.parametrize(
        "stored",
        [
            f"pbkdf2_sha256$1000$salt${b64(pbkdf2_of('sha256', b'salt', 1000))}",
            f"pbkdf2_sha1$1000$salt${b64(pbkdf2_of('sha1', b'salt', 1000))}",
            f"bcrypt_sha256${bcrypt_of(hashlib.sha256(SECRET.encode()).hexdigest())}",
            f"bcrypt${bcrypt_of()}",
            f"argon2{argon2_of()}",
            f"scrypt$1024$salt$8$1${b64(scrypt_of(b'salt'))}",
        ],
        ids=lambda stored: stored.partition("$")[0],
    )
    def test_a_hash(self, stored):
        found = read("django", {"id": "7", "email": ALICE, "password": stored})
        assert found == user(id="7", password=found.password)
        assert matches(found.password, SECRET)
        assert not matches(found.password, "secret of bob")

    @pytest.mark.parametrize("stored", ["md5$salt$5f4dcc3b", "sha1$salt$ab", "crypt$$x", "unknown"])
    def test_a_hash_of_an_unknown_kind(self, stored):
        found = PROFILES["django"].read({"id": "7", "email": ALICE, "password": stored})
        assert found == Unreadable("unknown kind of password hash")

    @pytest.mark.parametrize(
        "stored",
        [
            *("pbkdf2_sha256$x$salt$AAAA", "pbkdf2_sha256$1000$salt", "scrypt$1000$salt$8$1$AAAA", "scrypt$$$$"),
            *("argon2$x", "bcrypt$$2b$"),
        ],
    )
    def test_a_malformed_hash(self, stored):
        found = PROFILES["django"].read({"id": "7", "email": ALICE, "password": stored})
        assert isinstance(found, Unreadable)

    def test_what_dumpdata_writes(self):
        record = {
            "model": "auth.user",
            "pk": 7,
            "fields": {
                "password": f"bcrypt${bcrypt_of()}",
                "last_login": None,
                "is_superuser": False,
                "username": "alice",
                "email": ALICE,
                "is_active": True,
                "date_joined": "2019-05-04T03:02:01.234Z",
                "groups": [["editors"]],
                "user_permissions": [],
            },
        }
        found = read("django", record)
        assert found == user(id="7", password=found.password, created_at=CREATED, roles=("editors",))

    def test_other_models_are_no_users(self):
        permission = {"model": "auth.permission", "pk": 1, "fields": {"name": "Can add", "codename": "add"}}
        assert PROFILES["django"].read(permission) is None

    @pytest.mark.parametrize("inactive", [False, "f", "0", 0])
    def test_who_is_not_active_is_disabled_and_an_unusable_password_is_none(self, inactive):
        row = {"id": "7", "email": ALICE, "password": "!aBcDeFgHiJkLmNoPqRsT", "is_active": inactive}
        assert read("django", row) == user(id="7", disabled_at=True)

    def test_a_document_of_a_mongodb_backend(self):
        found = read("django", {"_id": OBJECT_ID, "username": ALICE, "email": "", "password": f"bcrypt${bcrypt_of()}"})
        assert found == user(password=found.password)


class TestFlaskSecurity:
    keys = LegacyKeys(pepper=b"146585145368132386173505678016728509634")
    hmac = base64.b64encode(hmac.digest(keys.pepper, unicodedata.normalize("NFKD", SECRET).encode(), "sha512"))

    @staticmethod
    def passlib(digest, tag):
        salt = b"\xfb\xef\xbesalt"
        hashed = pbkdf2_of(digest, salt, 1000, TestFlaskSecurity.hmac)
        return f"${tag}$1000${ab64(salt)}${ab64(hashed)}"

    @pytest.mark.parametrize("kind", ["bcrypt", "argon2", "sha512", "sha256", "sha1"])
    def test_a_user(self, kind):
        stored = {
            "bcrypt": lambda: bcrypt_of(self.hmac[:72]),
            "argon2": lambda: argon2_of(self.hmac),
            "sha512": lambda: self.passlib("sha512", "pbkdf2-sha512"),
            "sha256": lambda: self.passlib("sha256", "pbkdf2-sha256"),
            "sha1": lambda: self.passlib("sha1", "pbkdf2"),
        }[kind]()
        document = {
            "_id": OBJECT_ID,
            "email": ALICE,
            "password": stored,
            "active": True,
            "confirmed_at": CREATED,
            "fs_uniquifier": "5b2c",
            "roles": [ObjectId()],
        }
        for form in FORMS:
            found = read("flask-security", form(document))
            assert found == user(password=found.password, email_verified_at=CREATED)
            assert matches(found.password, SECRET, self.keys)
        assert not matches(found.password, "secret of bob", self.keys)

    @pytest.mark.parametrize(
        "stored",
        [
            f"scrypt:1024:8:1$salt${scrypt_of(b'salt').hex()}",
            f"pbkdf2:sha256:1000$salt${pbkdf2_of('sha256', b'salt', 1000).hex()}",
            f"pbkdf2:sha512:1000$salt${pbkdf2_of('sha512', b'salt', 1000).hex()}",
            f"pbkdf2_sha256$1000$salt${b64(pbkdf2_of('sha256', b'salt', 1000))}",
        ],
        ids=lambda stored: stored.partition("$")[0],
    )
    def test_a_hash_of_the_password_itself(self, stored):
        found = read("flask-security", {"id": "7", "email": ALICE, "password_hash": stored})
        assert matches(found.password, SECRET)
        assert not matches(found.password, "secret of bob")

    @pytest.mark.parametrize("stored", ["pbkdf2:md5:1000$salt$ab", "pbkdf2:sha256$salt$ab", "$5$rounds=5$x$y"])
    def test_a_hash_of_an_unknown_kind(self, stored):
        found = PROFILES["flask-security"].read({"id": "7", "email": ALICE, "password": stored})
        assert found == Unreadable("unknown kind of password hash")

    @pytest.mark.parametrize(
        "stored", ["scrypt:1000:8:1$s$ab", "scrypt:1024:8:1$s", "pbkdf2:sha256:9$$", "$pbkdf2$9$$A"]
    )
    def test_a_malformed_hash(self, stored):
        found = PROFILES["flask-security"].read({"id": "7", "email": ALICE, "password": stored})
        assert found == Unreadable("password hash is malformed, or its cost is too high")

    def test_who_is_not_active_is_disabled(self):
        assert read("flask-security", {"id": "7", "email": ALICE, "active": "f"}) == user(id="7", disabled_at=True)

    def test_its_roles_are_not_ours(self):
        assert PROFILES["flask-security"].replaces == ("roles",)


def ab64(raw):
    """Passlib's base64."""
    return b64(raw).rstrip("=").replace("+", ".")
