"""Users of services, as their exports write them."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from bson import Int64

from authservice.migration.moved import Unreadable
from authservice.migration.profiles import PROFILES
from authservice.security.legacy import FirebaseKeys, LegacyKeys
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

UUID = "8f3b6a52-6a2e-4d3a-9c07-0c6d6a4f2e11"
MALFORMED = Unreadable("password hash is malformed, or its cost is too high")
UNKNOWN = Unreadable("unknown kind of password hash")

# Of the README of github.com/firebase/scrypt.
FIREBASE_KEY = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
FIREBASE_HASH = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
FIREBASE_SALT = "42xEC+ixf3L2lw=="
FIREBASE_KEYS = LegacyKeys(firebase=FirebaseKeys(base64.b64decode(FIREBASE_KEY), b"\x07", 8, 14))


@pytest.fixture
def with_firebase_key(settings, make_app):
    settings |= {"LEGACY_FIREBASE_KEY": FIREBASE_KEY, "LEGACY_FIREBASE_SALT_SEPARATOR": "Bw=="}
    with make_app().app_context():
        yield


@pytest.fixture
def without_firebase_key(app):
    with app.app_context():
        yield


class TestFirebase:
    record = {
        "localId": "uY5aT3kQ",
        "email": ALICE,
        "emailVerified": True,
        "passwordHash": FIREBASE_HASH,
        "salt": FIREBASE_SALT,
        "lastSignedInAt": "1556938921999",
        "createdAt": "1556938921234",
        "disabled": False,
        "customAttributes": '{"role": "editor"}',
        "providerUserInfo": [],
    }

    def test_a_user(self):
        found = read("firebase", self.record)
        expected = {"email_verified_at": True, "created_at": CREATED, "roles": ("editor",)}
        assert found == user(id="uY5aT3kQ", password=found.password, **expected)
        assert matches(found.password, "user1password", FIREBASE_KEYS)
        assert not matches(found.password, "secret of bob", FIREBASE_KEYS)

    def test_both_alphabets_of_base64(self):
        url_safe = {"passwordHash": FIREBASE_HASH.replace("/", "_").replace("+", "-"), "salt": "42xEC-ixf3L2lw"}
        assert read("firebase", {**self.record, **url_safe}) == read("firebase", self.record)

    def test_a_row_of_the_csv_file_without_header(self):
        line = f"uY5aT3kQ,{ALICE},true,{FIREBASE_HASH},{FIREBASE_SALT},Alice,,,,,,,,,,,,,,,,,,1556938921234,,,false,,"
        row = dict(zip(PROFILES["firebase"].csv_header, line.split(","), strict=True))
        filled = {name: value for name, value in row.items() if value}
        found = read("firebase", filled)
        assert found == user(id="uY5aT3kQ", password=found.password, email_verified_at=True, created_at=CREATED)

    def test_a_disabled_user_and_one_without_password(self):
        without = {name: value for name, value in self.record.items() if name not in ("passwordHash", "salt")}
        assert read("firebase", {**without, "disabled": True}).disabled_at is True
        assert read("firebase", without).password is None

    def test_a_user_with_a_phone_alone(self):
        assert PROFILES["firebase"].read({"localId": "x", "phoneNumber": "+4930"}) == Unreadable("no e-mail")

    @pytest.mark.parametrize("stored", ["*", "AAAA", 5])
    def test_a_malformed_hash(self, stored):
        assert PROFILES["firebase"].read({**self.record, "passwordHash": stored}) == MALFORMED


class TestKeycloak:
    @staticmethod
    def record(algorithm="pbkdf2-sha512", iterations=1000, value=None, **additional):
        value = pbkdf2_of("sha512", b"salt", 1000) if value is None else value
        return {
            "id": UUID,
            "createdTimestamp": 1556938921234,
            "username": "alice",
            "enabled": True,
            "emailVerified": True,
            "email": ALICE,
            "credentials": [
                {"type": "otp", "secretData": '{"value":"JBSWY3DP"}', "credentialData": '{"subType":"totp"}'},
                {
                    "id": UUID,
                    "type": "password",
                    "createdDate": 1556938921234,
                    "secretData": json.dumps({"value": b64(value), "salt": b64(b"salt"), "additionalParameters": {}}),
                    "credentialData": json.dumps(
                        {"hashIterations": iterations, "algorithm": algorithm, "additionalParameters": additional}
                    ),
                },
            ],
            "realmRoles": ["default-roles-acme", "editor", "offline_access"],
        }

    def test_a_user(self):
        found = read("keycloak", self.record())
        expected = {"email_verified_at": True, "created_at": CREATED, "roles": ("editor",)}
        assert found == user(id=UUID, password=found.password, **expected)
        assert matches(found.password, SECRET)
        assert not matches(found.password, "secret of bob")

    @pytest.mark.parametrize(("algorithm", "digest", "size"), [("pbkdf2-sha256", "sha256", 64), ("pbkdf2", "sha1", 64)])
    def test_another_digest(self, algorithm, digest, size):
        found = read("keycloak", self.record(algorithm, value=pbkdf2_of(digest, b"salt", 1000, size=size)))
        assert matches(found.password, SECRET)

    def test_a_hash_that_keycloak_26_made(self):
        record = self.record()
        secret = {"value": "xKjWvB9+0sSP6wTqI1JoEI7w+iA0x9VDhPgmrOHRG80=", "salt": "LRScGShC7shkdoU5B1UgUQ=="}
        parameters = {
            "hashLength": ["32"],
            "memory": ["7168"],
            "type": ["id"],
            "version": ["1.3"],
            "parallelism": ["1"],
        }
        about = {"hashIterations": 5, "algorithm": "argon2", "additionalParameters": parameters}
        record["credentials"] = [
            {"type": "password", "secretData": json.dumps(secret), "credentialData": json.dumps(about)}
        ]
        assert matches(read("keycloak", record).password, "secret")

    def test_a_credential_of_before_keycloak_8(self):
        old = {"type": "password", "hashedSaltedValue": b64(pbkdf2_of("sha256", b"salt", 1000)), "salt": b64(b"salt")}
        record = {**self.record(), "credentials": [{**old, "hashIterations": 1000, "algorithm": "pbkdf2-sha256"}]}
        assert matches(read("keycloak", record).password, SECRET)

    @pytest.mark.parametrize(
        ("record", "expected"),
        [
            (record("bcrypt"), UNKNOWN),
            (record("argon2", version=["1.0"]), UNKNOWN),
            (record(iterations=10**9), MALFORMED),
            (record(value=b"short"), MALFORMED),
            (record("argon2", memory=["99999999"], parallelism=["1"]), MALFORMED),
        ],
    )
    def test_a_hash_that_cannot_be_checked(self, record, expected):
        assert PROFILES["keycloak"].read(record) == expected

    def test_a_disabled_user_without_credentials(self):
        found = read("keycloak", {**self.record(), "credentials": [], "enabled": False})
        assert (found.password, found.disabled_at) == (None, True)

    def test_a_service_is_no_user(self):
        assert PROFILES["keycloak"].read({**self.record(), "serviceAccountClientId": "app"}) is None

    def test_a_name_that_is_an_email_is_not_verified(self):
        without = {name: value for name, value in self.record().items() if name != "email"}
        found = read("keycloak", {**without, "username": ALICE})
        assert (found.email, found.email_verified_at) == (ALICE, None)


class TestSupabase:
    row = {
        "instance_id": "00000000-0000-0000-0000-000000000000",
        "id": UUID,
        "role": "authenticated",
        "email": ALICE,
        "encrypted_password": bcrypt_of(prefix=b"2a"),
        "email_confirmed_at": "2019-05-04 03:02:01.234567+00",
        "created_at": "2019-05-04 03:02:01.234567+00",
        "raw_app_meta_data": '{"provider": "email", "roles": ["editor"]}',
    }
    firebase = f"$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk={FIREBASE_KEY}${FIREBASE_SALT}${FIREBASE_HASH}"

    def test_a_user(self):
        expected = {"email_verified_at": CREATED, "created_at": CREATED, "roles": ("editor",)}
        assert read("supabase", self.row) == user(id=UUID, password=self.row["encrypted_password"], **expected)

    def test_argon2(self):
        found = read("supabase", {**self.row, "encrypted_password": argon2_of()})
        assert matches(found.password, SECRET)

    def test_a_user_of_google_alone_has_no_password(self):
        assert read("supabase", {**self.row, "encrypted_password": ""}).password is None

    @pytest.mark.parametrize(
        ("until", "disabled"),
        [
            ((datetime.now(UTC) + timedelta(days=9)).isoformat(), True),
            ((datetime.now(UTC) + timedelta(hours=9)).isoformat(), None),
            ("infinity", True),
            ("2019-05-04 03:02:01+00", None),
            (None, None),
        ],
        ids=["days", "hours", "infinity", "past", "none"],  # the same in every process
    )
    def test_a_ban_is_moved_if_it_lasts(self, until, disabled):
        assert read("supabase", {**self.row, "banned_until": until}).disabled_at is disabled

    def test_a_deleted_user(self):
        found = PROFILES["supabase"].read({**self.row, "deleted_at": "2019-05-04 03:02:01+00"})
        assert found == Unreadable("deleted there")

    def test_a_hash_of_firebase_leaves_the_key_out(self, with_firebase_key):
        found = read("supabase", {**self.row, "encrypted_password": self.firebase})
        assert matches(found.password, "user1password", FIREBASE_KEYS)
        assert FIREBASE_KEY not in found.password

    def test_a_hash_of_firebase_without_the_setting(self, without_firebase_key):
        found = PROFILES["supabase"].read({**self.row, "encrypted_password": self.firebase})
        assert found == Unreadable("Firebase hash: FLASK_LEGACY_FIREBASE_KEY is not set")

    @pytest.mark.parametrize(
        ("ours", "theirs"), [("sk=jx", "sk=jy"), ("ss=Bw==,", ""), ("ss=Bw", "ss=Cw"), ("n=14", "n=13"), ("r=8", "r=7")]
    )
    def test_a_hash_of_another_firebase_project(self, with_firebase_key, ours, theirs):
        stored = self.firebase.replace(ours, theirs)
        found = PROFILES["supabase"].read({**self.row, "encrypted_password": stored})
        assert found == Unreadable(
            "Firebase hash: made with another key or other parameters than FLASK_LEGACY_FIREBASE_* say"
        )

    @pytest.mark.parametrize("stored", ["$fbscrypt$", "$fbscrypt$v=2,n=14,r=8,p=1,sk=AA==$AA==$AA=="])
    def test_a_malformed_hash_of_firebase(self, stored):
        assert PROFILES["supabase"].read({**self.row, "encrypted_password": stored}) == MALFORMED


class TestAuth0:
    record = {
        "_id": {"$oid": str(OBJECT_ID)},
        "email_verified": True,
        "email": ALICE,
        "passwordHash": bcrypt_of(),
        "password_set_date": {"$date": "2021-03-05T16:35:16.775Z"},
        "tenant": "dev",
        "connection": "Username-Password-Authentication",
        "_tmp_is_unique": True,
    }

    def test_a_user(self):
        hashed = self.record["passwordHash"]
        assert read("auth0", self.record) == user(password=hashed, email_verified_at=True)

    def test_a_user_of_an_export_without_passwords(self):
        record = {"user_id": "auth0|5c0d", "email": ALICE, "blocked": True, "created_at": "2019-05-04T03:02:01.234Z"}
        assert read("auth0", record) == user(id="auth0|5c0d", disabled_at=True, created_at=CREATED)


class TestClerk:
    row = {
        "id": "user_2abc",
        "first_name": "Alice",
        "primary_email_address": ALICE,
        "verified_email_addresses": f"{BOB},{ALICE}",
        "password_digest": bcrypt_of(prefix=b"2a"),
        "password_hasher": "bcrypt",
    }

    def test_a_user(self):
        expected = user(id="user_2abc", password=self.row["password_digest"], email_verified_at=True)
        assert read("clerk", self.row) == expected

    def test_an_email_that_is_not_verified(self):
        row = {**self.row, "verified_email_addresses": "", "unverified_email_addresses": ALICE}
        assert read("clerk", row).email_verified_at is None

    def test_without_a_primary_email_the_first_verified_one_is_taken(self):
        found = read("clerk", {**self.row, "primary_email_address": None})
        assert (found.email, found.email_verified_at) == (BOB, True)

    @pytest.mark.parametrize(
        ("hasher", "digest"),
        [
            ("argon2id", argon2_of()),
            ("pbkdf2_sha256", f"pbkdf2_sha256$1000${b64(b'salt')}${b64(pbkdf2_of('sha256', b'salt', 1000))}"),
            ("pbkdf2_sha256_django", f"pbkdf2_sha256$1000$salt${b64(pbkdf2_of('sha256', b'salt', 1000))}"),
            ("pbkdf2_sha1", f"pbkdf2_sha1$1000$salt${pbkdf2_of('sha1', b'salt', 1000).hex()}"),
            ("pbkdf2_sha512", f"pbkdf2_sha512$1000$salt${pbkdf2_of('sha512', b'salt', 1000).hex()}"),
            ("pbkdf2_sha512_hex", f"pbkdf2_sha512_hex$1000${b'salt'.hex()}${pbkdf2_of('sha512', b'salt', 1000).hex()}"),
            ("scrypt_werkzeug", f"scrypt:1024:8:1$salt${scrypt_of(b'salt').hex()}"),
        ],
    )
    def test_another_hasher(self, hasher, digest):
        found = read("clerk", {**self.row, "password_hasher": hasher, "password_digest": digest})
        assert matches(found.password, SECRET)
        assert not matches(found.password, "secret of bob")

    def test_a_hash_of_firebase_leaves_the_key_out(self, with_firebase_key):
        digest = f"{FIREBASE_HASH}${FIREBASE_SALT}${FIREBASE_KEY}$Bw==$8$14"
        found = read("clerk", {**self.row, "password_hasher": "scrypt_firebase", "password_digest": digest})
        assert matches(found.password, "user1password", FIREBASE_KEYS)
        assert FIREBASE_KEY not in found.password

    @pytest.mark.parametrize(
        ("hasher", "digest", "expected"),
        [
            ("md5", "5f4dcc3b5aa765d61d8327deb882cf99", UNKNOWN),
            ("awscognito", "x", UNKNOWN),
            ("pbkdf2_sha256", "pbkdf2_sha256$x", MALFORMED),
            ("scrypt_firebase", "a$b", MALFORMED),
        ],
    )
    def test_a_hash_that_cannot_be_checked(self, hasher, digest, expected):
        row = {**self.row, "password_hasher": hasher, "password_digest": digest}
        assert PROFILES["clerk"].read(row) == expected

    def test_no_password(self):
        assert read("clerk", {**self.row, "password_digest": "", "password_hasher": ""}).password is None


class TestKratos:
    @staticmethod
    def record(stored):
        return {
            "id": UUID,
            "schema_id": "default",
            "state": "active",
            "traits": {"email": ALICE},
            "credentials": {
                "password": {"type": "password", "identifiers": [ALICE], "config": {"hashed_password": stored}}
            },
            "verifiable_addresses": [
                {"value": BOB, "verified": True, "via": "email"},
                {"value": ALICE, "verified": True, "via": "email", "verified_at": "2019-05-04T03:02:01.234Z"},
            ],
            "created_at": "2019-05-04T03:02:01.234567Z",
        }

    def test_a_user(self):
        hashed = bcrypt_of(prefix=b"2a")
        expected = user(id=UUID, password=hashed, email_verified_at=CREATED, created_at=CREATED)
        assert read("kratos", self.record(hashed)) == expected

    @pytest.mark.parametrize(
        "stored",
        [
            "$pbkdf2-sha512$i=100000,l=32$bdHBpn7OWOivJMVJypy2UqR0UnaD5prQXRZevj/05YU$+wArTfv1a+bNGO1iZrmEdVjhA+lL11wF4/"
            "IxpgYfPwc",
            "$scrypt$ln=16384,r=8,p=1$2npRo7P03Mt8keSoMbyD/tKFWyUzjiQf2svUaNDSrhA=$MiCzNcIplSMqSBrm4HckjYqYhaVPPjTARTzwB"
            "1cVNYE=",
        ],
    )
    def test_a_hash_of_kratos_own_tests(self, stored):
        assert matches(read("kratos", self.record(stored)).password, "test")

    def test_argon2(self):
        assert matches(read("kratos", self.record(argon2_of())).password, SECRET)

    def test_a_hash_of_firebase_leaves_the_key_out(self, with_firebase_key):
        stored = f"$firescrypt$ln=14,r=8,p=1${FIREBASE_SALT}${FIREBASE_HASH}$Bw==${FIREBASE_KEY}"
        found = read("kratos", self.record(stored))
        assert matches(found.password, "user1password", FIREBASE_KEYS)
        assert FIREBASE_KEY not in found.password

    @pytest.mark.parametrize("stored", ["$md5$CY9rzUYh03PK3k6DJie09g==", "{SSHA}x", "$sha256$pf=x$y$z"])
    def test_a_hash_of_an_unknown_kind(self, stored):
        assert PROFILES["kratos"].read(self.record(stored)) == UNKNOWN

    def test_an_inactive_user_whose_credentials_were_left_out(self):
        found = read("kratos", {**self.record(None), "state": "inactive", "credentials": {"password": {}}})
        assert (found.password, found.disabled_at) == (None, True)

    def test_another_address_that_is_verified_does_not_count(self):
        record = self.record(None)
        del record["verifiable_addresses"][1]
        assert read("kratos", record).email_verified_at is None


class TestCognito:
    def test_a_user_of_list_users(self):
        record = {
            "Username": "alice",
            "Attributes": [
                {"Name": "sub", "Value": UUID},
                {"Name": "email_verified", "Value": "true"},
                {"Name": "email", "Value": ALICE},
            ],
            "UserCreateDate": "2019-05-04T05:02:01.234000+02:00",
            "Enabled": True,
            "UserStatus": "CONFIRMED",
        }
        assert read("cognito", record) == user(id=UUID, email_verified_at=True, created_at=CREATED)
        assert read("cognito", {**record, "Enabled": False}).disabled_at is True

    def test_a_row(self):
        row = {"cognito:username": "alice", "email": ALICE, "email_verified": "false"}
        assert read("cognito", row) == user(id="alice")


class TestAuthservice:
    document = {
        "_id": OBJECT_ID,
        "email": ALICE,
        "password": bcrypt_of(),
        "createdAt": CREATED,
        "passwordChangedAt": CREATED,
        "passwordRenewedAt": CREATED,
        "emailVerifiedAt": CREATED,
        "disabledAt": CREATED,
        "roles": ["editor"],
        "language": "de",
        "profile": {"name": "Alice", "born": CREATED},
        "twoStep": {"totp": {"secret": "gAAA", "confirmedAt": CREATED, "lastStep": 5}, "recoveryCodes": ["ab"]},
        "passkeys": [{"id": b"\x01\x02", "publicKey": b"\x03", "signCount": 7, "challengeAt": Int64(1556938921234567)}],
        "legacy": {"key": "meteor:x", "from": "meteor", "id": "x"},
        "sessions": [{"id": "s"}],
    }

    @pytest.mark.parametrize("form", FORMS)
    def test_a_user_keeps_all_that_is_the_users(self, form):
        kept = ("passwordChangedAt", "passwordRenewedAt", "language", "profile", "twoStep", "passkeys", "legacy")
        assert read("authservice", form(self.document)) == user(
            password=self.document["password"],
            created_at=CREATED,
            email_verified_at=CREATED,
            disabled_at=CREATED,
            roles=("editor",),
            more={name: self.document[name] for name in kept},
        )

    @pytest.mark.parametrize(
        "change", [{"profile": 5}, {"passkeys": {"$ne": 1}}, {"twoStep": "x"}, {"language": ["de"]}]
    )
    def test_what_this_service_does_not_write_is_left_out(self, change):
        (name,) = change
        assert name not in read("authservice", {**self.document, **change}).more

    def test_an_operator_in_the_profile_is_left_out(self):
        record = {**self.document, "profile": {"name": {"$where": "x"}}}
        assert read("authservice", record).more["profile"] == {"name": None}

    @pytest.mark.parametrize("tagged", [f"$meteor${argon2_of()}", argon2_of(), "$devise$" + bcrypt_of()])
    def test_a_hash_that_was_moved_in_before(self, tagged):
        assert read("authservice", {**self.document, "password": tagged}).password == tagged

    @pytest.mark.parametrize("none", ["!", None, ""])
    def test_no_password(self, none):
        assert read("authservice", {**self.document, "password": none}).password is None

    @pytest.mark.parametrize("stored", ["$meteor$x", "secret"])
    def test_a_malformed_hash(self, stored):
        assert PROFILES["authservice"].read({**self.document, "password": stored}) == MALFORMED
