"""Who has the whole database has no secret and no recovery code, not even of an app that still waits for its code."""

import base64

import bson

from tests.api.answers import assert_ok
from tests.conftest import ALICE, PASSWORD, bearer
from tests.factors.enrolling import KEY, code_of, set_up


def test_nothing_of_it_is_in_clear(client, enrolled, database):
    secret, answer = enrolled
    second = {"totp": code_of(secret, 1)}, {"recoveryCode": answer["recoveryCodes"][0]}
    for proof in second:
        shown = client.post("/auth", json={"email": ALICE, "password": PASSWORD}).get_json()["continuation"]
        token = assert_ok(client.post("/auth/second", json={"continuation": shown, **proof}))["token"]
    replaced = assert_ok(client.post("/users/me/recovery-codes", headers=bearer(token)))["recoveryCodes"]
    waiting = set_up(client, token)

    documents = [document for name in database.list_collection_names() for document in database[name].find()]
    dump = b"\n".join(map(bson.encode, documents))
    assert ALICE.encode() in dump
    codes = [code.encode() for code in (*answer["recoveryCodes"], *replaced)]
    secrets = [text.encode() for text in (secret, waiting)]
    hidden = [*codes, *(code.replace(b"-", b"") for code in codes), *secrets, *map(base64.b32decode, secrets)]
    hidden += [KEY.encode(), base64.urlsafe_b64decode(KEY)]
    assert [one for one in hidden if one.lower() in dump.lower()] == []
