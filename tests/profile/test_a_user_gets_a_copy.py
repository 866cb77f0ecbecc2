"""GET /users/me/export gives a user all that is kept about the account, and no secret."""

import json
import re
from datetime import UTC, datetime

import pytest

from authservice.config.users_fields import OUR_FIELDS
from authservice.store import (
    devices,
    email_changes,
    factors,
    mails,
    passkeys,
    personal_data,
    sessions,
    users,
    verifications,
)
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.profile.schemas import ProfileSchema

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WRITTEN = "2026-01-02T03:04:05+00:00"
SECRET = "s3cret"  # in every member that must stay
SHOWN = {  # another test says where these are shown
    "_id": "user.id",
    "email": "user.email",
    "roles": "user.roles",
    "createdAt": "user.createdAt",
    "language": "user.language",
    "profile": "user",
}
SECRETS = {
    "password": "the hash",
    "disabledAt": "whom it disables, cannot ask",
    "passkeyChallengeAt": "what a challenge has spent",
    "sessions.refreshJti": "the id of the refresh token",
    "sessions.previousJti": "the id of the refresh token before",
    "mails.id": "goes into the link",
    "mails.asking": "goes into the link",
    "mails.rank": "an order of ours",
    "mails.claim": "of the process that sends it",
    "emailChange.asking": "goes into the link",
    "emailChange.guesses": "a counter for guessers",
    "formerEmails.asking": "goes into the link",
    "verification.id": "goes into the link",
    "verification.guesses": "a counter for guessers",
    "passkeys.publicKey": "of the factor",
    "passkeys.signCount": "of the factor",
    "passkeys.challengeAt": "what a challenge has spent",
    "twoStep.totp": "of the factor; enrolledAt is shown",
    "twoStep.pendingTotp": "of the factor; setUpAt is shown",
    "legacy.key": "from and id together",
    "legacy.work": "what the hash costs",
}
WAS = {"email": "Alice@Example.com", "password": SECRET, "emailVerifiedAt": SECRET, "legacy": {"email": SECRET}}
DOCUMENT = {
    "emailVerifiedAt": MOMENT,
    "passwordRenewedAt": MOMENT,
    "language": "en",
    "profile": {"name": "Alice", "pin": SECRET, "unknown": SECRET},
    "mails": [
        {
            "id": SECRET,
            "asking": SECRET,
            "claim": SECRET,
            "kind": "new_device",
            "rank": 1,
            "to": ALICE,
            "language": "en",
            "facts": {"device": "Firefox on Linux"},
            "at": MOMENT,
            "due": MOMENT,
            "tries": 2,
        }
    ],
    "emailChange": {"to": BOB, "at": MOMENT, "asking": SECRET, "guesses": 0},
    "formerEmails": [{"email": "former@example.com", "asking": SECRET, "at": MOMENT, "until": MOMENT}],
    "verification": {"id": SECRET, "to": ALICE, "at": MOMENT, "guesses": 0},
    "twoStep": {
        "totp": {"secret": SECRET, "confirmedAt": MOMENT, "lastStep": 1},
        "pendingTotp": {"secret": SECRET, "at": MOMENT, "guesses": 0},
        "recoveryCodes": [SECRET, SECRET],
        "recoveryCodesAt": MOMENT,
        "failures": 1,
        "blockedUntil": None,
    },
    "passkeys": [
        {
            "id": b"\xff\xfe\xfd",
            "publicKey": SECRET.encode(),
            "signCount": 7,
            "challengeAt": 1,
            "name": "My phone",
            "transports": ["internal"],
            "isSynced": True,
            "createdAt": MOMENT,
            "lastUsedAt": None,
        }
    ],
    "legacy": {"key": f"devise:{SECRET}", "from": "devise", "id": "42", "work": 50.0, "was": WAS},
    "username": SECRET,  # another app's
}


@pytest.fixture
def settings(settings):
    return {**settings, "PROFILE": ProfileSchema}


@pytest.fixture
def pair(client, database):
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD, "name": "Alice"}), 201)
    return sign_in(client, ALICE)


def export(client, pair):
    answer = client.get("/users/me/export", headers=bearer(pair["token"]))
    return assert_ok(answer)


def test_the_copy_has_everything(client, pair, database):
    database.users.update_one({}, {"$set": DOCUMENT})
    copy = export(client, pair)
    stored = database.users.find_one()
    (session,), (device,) = stored["sessions"], stored["devices"]
    assert abs(datetime.fromisoformat(copy.pop("exportedAt")) - datetime.now(UTC)).total_seconds() < 600
    assert len(copy.pop("notInIt")) == 5
    user = copy.pop("user")
    shown = assert_ok(client.get("/users/me", headers=bearer(pair["token"])))
    assert shown["name"] == "Alice"
    assert user == {
        **shown,
        "emailVerifiedAt": WRITTEN,
        "passwordChangedAt": stored["passwordChangedAt"].isoformat(),
        "passwordRenewedAt": WRITTEN,
    }
    times = ("createdAt", "authenticatedAt", "rotatedAt", "lastUsedAt", "expiresAt")
    others = ("id", "userAgent", "ip", "deviceId", "amr")
    assert copy == {
        "sessions": [
            {**{name: session[name].isoformat() for name in times}, **{name: session[name] for name in others}}
        ],
        "devices": [
            {
                "id": device["id"],
                "label": device["label"],
                "firstSeenAt": device["firstSeenAt"].isoformat(),
                "lastSeenAt": device["lastSeenAt"].isoformat(),
            }
        ],
        "mails": [
            {
                "kind": "new_device",
                "to": ALICE,
                "language": "en",
                "facts": {"device": "Firefox on Linux"},
                "at": WRITTEN,
                "due": WRITTEN,
                "tries": 2,
            }
        ],
        "emailChange": {"to": BOB, "at": WRITTEN},
        "formerEmails": [{"email": "former@example.com", "at": WRITTEN, "until": WRITTEN}],
        "verification": {"to": ALICE, "at": WRITTEN},
        "twoStep": {
            "enrolledAt": WRITTEN,
            "setUpAt": WRITTEN,
            "recoveryCodes": 2,
            "recoveryCodesAt": WRITTEN,
            "failures": 1,
            "blockedUntil": None,
        },
        "passkeys": [
            {
                "id": "__79",
                "name": "My phone",
                "transports": ["internal"],
                "isSynced": True,
                "createdAt": WRITTEN,
                "lastUsedAt": None,
            }
        ],
        "legacy": {"from": "devise", "id": "42", "was": {"email": "Alice@Example.com"}},
    }


def test_the_copy_has_no_secret(client, pair, database):
    database.users.update_one({}, {"$set": DOCUMENT})
    stored, text = database.users.find_one(), json.dumps(export(client, pair))
    (session,) = stored["sessions"]
    for secret in (SECRET, stored["password"], session["refreshJti"], pair["deviceToken"], pair["refreshToken"]):
        assert secret not in text


def test_an_account_with_nothing_has_a_copy_too(client, pair, database):
    database.users.update_one({}, {"$unset": {"mails": "", "verification": "", "devices": ""}})
    copy = export(client, pair)
    assert [copy[name] for name in ("mails", "devices", "formerEmails", "passkeys")] == [[], [], [], []]
    assert [copy[name] for name in ("emailChange", "twoStep", "legacy")] == [None, None, None]


@pytest.mark.parametrize("value", [None, "", 1, [1], [None], {}, {"at": "x"}, [{"id": 1}], True], ids=repr)
def test_what_another_stack_keeps_under_our_names_is_no_fault(client, pair, database, value):
    names = {*DOCUMENT, "devices"} - {"language", "profile"}
    database.users.update_one({}, {"$set": dict.fromkeys(names, value)})
    export(client, pair)


@pytest.mark.parametrize("was", [None, "", [1], {}, {"email": None}, {"email": {"x": SECRET}}], ids=repr)
def test_an_e_mail_that_stayed_as_it_was_has_no_other_spelling(client, pair, database, was):
    database.users.update_one({}, {"$set": {"legacy": {**DOCUMENT["legacy"], "was": was}}})
    legacy = export(client, pair)["legacy"]
    assert legacy == {"from": "devise", "id": "42", "was": {"email": None} if isinstance(was, dict) else None}


def test_it_comes_as_a_file_that_nobody_caches(client, pair):
    answer = client.get("/users/me/export", headers=bearer(pair["token"]))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="account.json"'
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_who_is_signed_in_gets_one_and_it_is_logged(client, pair):
    assert_problem(client.get("/users/me/export"), 401, "token_missing")
    with captured_log() as log:
        export(client, pair)
    (event,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "export_account"]
    assert (event["outcome"], event["actorId"], event["targetId"]) == ("ok", pair["user"]["id"], pair["user"]["id"])


def described():
    """The fields of the document, as the modules of the store describe them."""
    found = set(OUR_FIELDS)
    for module in (users, sessions, devices, mails, email_changes, verifications, factors, passkeys):
        text = re.sub(r"\(.*?\)|<-.*", "", module.__doc__)
        text = re.sub(r"(?i)(totp): \{[^}]*\}", r"\1", text)
        for name, shape in re.findall(r"(\w+)\??: (?:\[ )?\{ ([^}]*)\}", text):
            found.discard(name)
            found |= {f"{name}.{one}" for one in re.findall(r"\w+", re.sub(r": \[[^]]*\]", "", shape))}
    return found


def test_each_field_of_the_document_is_in_the_copy_or_a_secret():
    shown = {*SHOWN, *personal_data.OF_ACCOUNT, "twoStep.recoveryCodes"}
    more = {"twoStep": personal_data.OF_TWO_STEP, "legacy": {**personal_data.OF_LEGACY, "was": dict}}
    for shapes in (personal_data.LISTS, personal_data.OBJECTS, more):
        shown |= {f"{name}.{member}" for name, shape in shapes.items() for member in shape}
    assert shown & SECRETS.keys() == set()
    assert described() == shown | SECRETS.keys()
