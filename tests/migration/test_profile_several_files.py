"""Users whose documents or rows lie in several files."""

import hashlib
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from authservice.migration.moved import MovedUser, Unreadable
from authservice.migration.profiles import PROFILES
from tests.conftest import ALICE
from tests.migration.records import CREATED, FORMS, OBJECT_ID, SECRET, matches, user


def joined(profile, *records):
    """What the import makes of the records of one user, whatever files they come from."""
    joins = PROFILES[profile].joins
    parts, keys, referred = {}, set(), {}
    targets = {joins.refers_to(record) for record in records}
    for record in records:
        if (place := joins.part_of(record)) is None:
            continue
        if place[0] == joins.referred:
            referred.setdefault(place[0], []).append((place[1], record))
        else:
            parts.setdefault(place[0], []).append(record)
            keys.add(place[1])
    assert len(keys) == 1, keys
    if joins.referred in referred:
        parts[joins.referred] = [one for key, one in referred[joins.referred] if key in targets]
    return PROFILES[profile].read(parts)


@pytest.mark.parametrize("form", FORMS)
class TestBetterAuth:
    secret = "ﬁsh-" + SECRET  # a letter that NFKC changes
    salt = "1c50892c354da5b23ec3b5007649bc6e"
    key = hashlib.scrypt(
        unicodedata.normalize("NFKC", secret).encode(), salt=salt.encode(), n=16384, r=16, p=1, dklen=64, maxmem=2**27
    ).hex()
    owner = {
        "_id": OBJECT_ID,
        "name": "Alice",
        "email": ALICE,
        "emailVerified": True,
        "createdAt": CREATED,
        "updatedAt": CREATED,
    }
    account = {
        "_id": ObjectId(),
        "accountId": str(OBJECT_ID),
        "providerId": "credential",
        "userId": OBJECT_ID,
        "password": f"{salt}:{key}",
        "createdAt": CREATED,
        "updatedAt": CREATED,
    }
    google = {"_id": ObjectId(), "accountId": "10769", "providerId": "google", "userId": OBJECT_ID, "accessToken": "y"}

    def test_a_user_in_any_order(self, form):
        found = joined("better-auth", form(self.google), form(self.account), form(self.owner))
        assert found == user(password=found.password, email_verified_at=True, created_at=CREATED)
        assert matches(found.password, self.secret)
        assert not matches(found.password, "secret of bob")

    def test_a_user_of_google_alone_has_no_password(self, form):
        assert joined("better-auth", form(self.owner), form(self.google)).password is None

    def test_sessions_verifications_and_accounts_of_google_are_of_no_use(self, form):
        part_of = PROFILES["better-auth"].joins.part_of
        assert part_of(form({"_id": ObjectId(), "userId": OBJECT_ID, "token": "x", "expiresAt": CREATED})) is None
        assert part_of(form(self.google)) is None
        assert part_of(form({"_id": ObjectId(), "identifier": "reset-password:x", "value": "5"})) is None

    @pytest.mark.parametrize(
        ("change", "disabled"),
        [
            ({"banned": True}, True),
            ({"banned": True, "banExpires": datetime.now(UTC) + timedelta(days=30)}, True),
            ({"banned": True, "banExpires": datetime.now(UTC) + timedelta(hours=1)}, None),
            ({"banned": True, "banExpires": CREATED}, None),
            ({"banned": False, "banExpires": None}, None),
        ],
    )
    def test_a_ban_is_moved_if_it_lasts(self, form, change, disabled):
        found = joined("better-auth", form({**self.owner, **change}), form(self.account))
        assert isinstance(found, MovedUser)
        assert found.disabled_at is disabled

    @pytest.mark.parametrize("stored", ["abc:", "abc:xyz", f"{salt}:{key[:-1]}", "ä:00"])
    def test_a_malformed_hash(self, form, stored):
        assert joined("better-auth", form(self.owner), form({**self.account, "password": stored})) == Unreadable(
            "password hash is malformed, or its cost is too high"
        )


def test_the_columns_of_a_table_can_have_names_with_underscores():
    owner = {"id": "u1", "email": ALICE, "email_verified": "t", "created_at": "2019-05-04 03:02:01.234+00"}
    account = {"id": "a1", "user_id": "u1", "provider_id": "credential", "password": ""}
    assert joined("better-auth", owner, account) == user(id="u1", email_verified_at=True, created_at=CREATED)


class TestMedusa:
    # of scrypt-kdf 2.0.1, as @medusajs/auth-emailpass 2 calls it
    hashed = (
        "c2NyeXB0AA8AAAAIAAAAAVKAOPIxcgxECJkgZOjbpEy/5XzkDAF8Lfg3L5oEvL8aiCqcEm+gVRl0xSua73HI4H8jF8dMZTlw100EWwKpDEUSb+cL+/"
        "EnKNos0Y2UtlEO"
    )
    identity = {
        "id": "01HX",
        "entity_id": ALICE,
        "provider": "emailpass",
        "auth_identity_id": "authid_01",
        "user_metadata": None,
        "provider_metadata": {"password": hashed},
        "created_at": "2019-05-04T03:02:01.234Z",
        "deleted_at": None,
    }
    auth_identity = {"id": "authid_01", "app_metadata": {"customer_id": "cus_01"}, "created_at": "x"}
    customer = {"id": "cus_01", "email": ALICE, "has_account": True, "created_at": "2019-05-04T03:02:01.234Z"}
    admin = {"id": "user_01", "email": ALICE, "first_name": "Alice", "created_at": "2020-01-01T00:00:00Z"}

    def test_a_customer_in_any_order(self):
        found = joined("medusa", self.identity, self.auth_identity, self.customer)
        assert found == user(id="cus_01", password=found.password, created_at=CREATED)
        assert matches(found.password, "correct horse battery")
        assert not matches(found.password, "secret of bob")

    def test_a_customer_who_is_a_user_of_the_admin_is_one_user(self):
        found = joined("medusa", self.admin, self.identity, self.customer, self.auth_identity)
        assert (found.id, matches(found.password, "correct horse battery")) == ("cus_01", True)

    def test_a_user_of_the_admin(self):
        owner = {"id": "authid_01", "app_metadata": '{"user_id": "user_01"}'}
        found = joined("medusa", self.admin, self.identity, owner)
        assert matches(found.password, "correct horse battery")

    @pytest.mark.parametrize(
        "owner",
        [
            {"id": "authid_01", "app_metadata": None},
            {"id": "authid_01", "app_metadata": {"customer_id": "cus_02"}},
            {"id": "authid_02", "app_metadata": {"customer_id": "cus_01"}},
            {"id": "authid_01", "app_metadata": {"customer_id": "cus_01"}, "deleted_at": "2019-05-04T03:02:01.234Z"},
        ],
        ids=str,
    )
    def test_an_identity_that_a_stranger_registered_is_no_password(self, owner):
        assert joined("medusa", self.identity, self.customer, owner).password is None

    def test_an_identity_alone_is_no_password(self):
        assert joined("medusa", self.identity, self.customer).password is None

    def test_metadata_as_json_in_text(self):
        row = {**self.identity, "provider_metadata": f'{{"password": "{self.hashed}"}}', "deleted_at": ""}
        owner = {**self.auth_identity, "app_metadata": '{"customer_id": "cus_01"}'}
        customer = {**self.customer, "has_account": "t"}
        assert matches(joined("medusa", row, customer, owner).password, "correct horse battery")

    def test_a_customer_of_medusa_1(self):
        assert matches(
            joined("medusa", {**self.customer, "password_hash": self.hashed}).password, "correct horse battery"
        )

    def test_a_customer_of_another_service_has_no_password(self):
        google = {**self.identity, "provider": "google", "entity_id": "1234"}
        assert joined("medusa", google, self.customer).password is None

    def test_a_guest_is_no_user(self):
        assert PROFILES["medusa"].joins.part_of({**self.customer, "has_account": False}) is None

    def test_a_deleted_customer(self):
        deleted = {**self.customer, "deleted_at": "2019-05-04T03:02:01.234Z"}
        assert joined("medusa", deleted) == Unreadable("deleted there")
        assert joined("medusa", deleted, {**self.customer, "id": "cus_02"}).id == "cus_02"

    def test_a_malformed_hash(self):
        row = {**self.identity, "provider_metadata": {"password": self.hashed[:-8]}}
        found = joined("medusa", row, self.customer, self.auth_identity)
        assert found == Unreadable("password hash is malformed, or its cost is too high")
