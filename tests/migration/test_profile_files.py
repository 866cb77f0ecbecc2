"""Whole exports, in the form in which the service or its tool writes the file, are imported by the command."""

import csv
import io
import json

import pytest

from authservice.store import users
from tests.conftest import ALICE, BOB
from tests.migration.importing import call, imported, ndjson, write
from tests.migration.records import CREATED, bcrypt_of
from tests.migration.test_profile_services import FIREBASE_HASH, FIREBASE_SALT, UUID

REALM = {"id": UUID, "realm": "acme", "enabled": True, "roles": {"realm": [{"name": "editor"}]}}
IDENTITY = {"id": UUID, "traits": {"email": ALICE}, "state": "active"}


def of_keycloak(email=ALICE, number=1):
    return {"id": f"{number}", "username": email.partition("@")[0], "email": email, "enabled": True, "credentials": []}


def csv_of(*rows):
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0])
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def stored(database):
    return {document["email"]: document for document in database.users.find()}


def test_the_csv_file_of_firebase_which_has_no_header(app, database, tmp_path):
    empty = "," * 16
    lines = (
        f'uid1,{ALICE},true,{FIREBASE_HASH},{FIREBASE_SALT},"Doe, Alice",{empty},1556938921234,1556938921999,,false,,\n'
        f"uid2,{BOB},false,,,Bob,{empty},1556938921234,,,true,,\n"
    )
    assert imported(app, write(tmp_path, lines), profile="firebase") == {"imported": 2}
    alice, bob = stored(database)[ALICE], stored(database)[BOB]
    assert alice["password"].startswith("$firebase$")
    assert "disabledAt" not in alice
    assert (bob["password"], bob["createdAt"]) == ("!", CREATED)
    assert "disabledAt" in bob


def test_the_json_file_of_firebase(app, tmp_path):
    file = json.dumps({"users": [{"localId": "uid1", "email": ALICE, "emailVerified": True}]}, indent=2)
    assert imported(app, write(tmp_path, file), profile="firebase") == {"imported": 1}


@pytest.mark.parametrize("realms", [{**REALM, "users": [of_keycloak()]}, [{**REALM, "users": [of_keycloak()]}]])
def test_a_realm_of_keycloak_and_all_realms(app, tmp_path, realms):
    assert imported(app, write(tmp_path, json.dumps(realms)), profile="keycloak") == {"imported": 1}


def test_the_files_of_users_that_keycloak_writes_by_default(app, tmp_path):
    files = [
        write(
            tmp_path, json.dumps({"realm": "acme", "users": [of_keycloak(email, number)]}), f"acme-users-{number}.json"
        )
        for number, email in enumerate((ALICE, BOB))
    ]
    assert imported(app, *files, profile="keycloak") == {"imported": 2}


def test_a_realm_of_keycloak_without_its_users_says_where_they_are(app, tmp_path):
    result = call(app, "import", "--from", "keycloak", write(tmp_path, json.dumps(REALM)))
    assert result.exit_code != 0
    assert "realm-users-0.json" in result.output


def test_what_dumpdata_writes(app, database, tmp_path):
    alice = {
        "username": "alice",
        "email": ALICE,
        "password": f"bcrypt${bcrypt_of()}",
        "last_login": None,
        "is_active": True,
        "date_joined": "2019-05-04T03:02:01.234Z",
        "groups": [["editor"]],
    }
    models = [
        {"model": "auth.permission", "pk": 1, "fields": {"name": "Can add log entry", "codename": "add_logentry"}},
        {"model": "auth.user", "pk": 1, "fields": alice},
    ]
    file = write(tmp_path, json.dumps(models))
    assert imported(app, file, profile="django", options=["--roles"]) == {"imported": 1, "skipped": 1}
    assert stored(database)[ALICE]["roles"] == ["editor"]


def test_tables_of_medusa_and_of_better_auth_as_csv(app, tmp_path):
    people = csv_of(
        {"id": "cus_01", "email": ALICE, "has_account": "t"}, {"id": "c2", "email": BOB, "has_account": "f"}
    )
    identities = csv_of({"id": "1", "entity_id": ALICE, "provider": "emailpass", "provider_metadata": "{}"})
    files = [write(tmp_path, identities, "identities"), write(tmp_path, people, "people")]
    assert imported(app, *files, profile="medusa") == {"imported": 1, "skipped": 1}

    owner = csv_of({"id": "u1", "email": BOB, "emailVerified": "t"})
    account = csv_of({"id": "a1", "userId": "u1", "providerId": "google"})
    files = [write(tmp_path, account, "account"), write(tmp_path, owner, "user")]
    assert imported(app, *files, profile="better-auth") == {"imported": 1, "skipped": 1}


@pytest.mark.parametrize(
    ("profile", "content"),
    [
        ("kratos", json.dumps([IDENTITY])),
        ("kratos", json.dumps({"identities": [IDENTITY], "next_page_token": ""})),
        ("kratos", ndjson(IDENTITY)),
        ("cognito", json.dumps({"Users": [{"Username": "a", "Attributes": [{"Name": "email", "Value": ALICE}]}]})),
        ("cognito", csv_of({"cognito:username": "a", "email": ALICE, "email_verified": "true"})),
        ("auth0", ndjson({"_id": {"$oid": "60425dc43519d90068f82973"}, "email": ALICE, "passwordHash": bcrypt_of()})),
        ("supabase", csv_of({"id": UUID, "email": ALICE, "encrypted_password": bcrypt_of(), "deleted_at": ""})),
        (
            "clerk",
            csv_of({"id": "user_1", "primary_email_address": ALICE, "password_digest": "", "password_hasher": ""}),
        ),
        (
            "meteor",
            csv_of({"_id": "BJ8yXWq2NhKZZxDk5", "emails": f'[{{"address":"{ALICE}"}}]'}),
        ),
    ],
)
def test_a_file_of_another_service(app, client, tmp_path, profile, content):
    assert imported(app, write(tmp_path, content), profile=profile) == {"imported": 1}
    with app.app_context():
        assert users.holder_of([ALICE])
