"""An app with passkeys, and users who have them."""

from types import SimpleNamespace

import jwt
import pytest

from tests.api.answers import assert_ok
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.passkeys.authenticator import ORIGIN, RP_ID, Passkey, encoded

PASSKEYS = {"PASSKEY_RP_ID": RP_ID, "PASSKEY_ORIGINS": ORIGIN}


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings, **PASSKEYS}


class Account(SimpleNamespace):
    """A user who is signed in, with authenticators."""

    def options(self):
        return assert_ok(self.client.post("/users/me/passkeys/options", json={}, headers=self.headers))

    def post(self, credential, **more):
        return self.client.post("/users/me/passkeys", json={"credential": credential, **more}, headers=self.headers)

    def add(self, passkey=None, **more):
        """Register a passkey, and return it."""
        passkey = passkey or Passkey()
        assert_ok(self.post(passkey.create(self.options()), **more), 201)
        return passkey

    def listed(self):
        return assert_ok(self.client.get("/users/me/passkeys", headers=self.headers))["passkeys"]

    def rename(self, passkey, name):
        path = f"/users/me/passkeys/{encoded(passkey.id)}"
        return self.client.patch(path, json={"name": name}, headers=self.headers)

    def delete(self, passkey):
        return self.client.delete(f"/users/me/passkeys/{encoded(passkey.id)}", headers=self.headers)

    def stored(self):
        return self.database.users.find_one({"_id": self.id})

    def set(self, **changes):
        assert self.database.users.update_one({"_id": self.id}, {"$set": changes}).matched_count == 1

    def mails(self):
        """What was sent since the last call."""
        self.deliver()
        subjects = [str(message["Subject"]) for message in self.sink.to(self.email)]
        self.sink.got.clear()
        return subjects


@pytest.fixture
def join(client, database, deliver, sink):
    """``join(email)``: an account, signed in."""

    def join(email):
        assert_ok(client.post("/users", json={"email": email, "password": PASSWORD}), 201)
        account = Account(client=client, database=database, deliver=deliver, sink=sink, email=email)
        account.id = database.users.find_one({"email": email})["_id"]
        account.headers = bearer(sign_in(client, email)["token"])
        account.mails()
        return account

    return join


@pytest.fixture
def alice(join):
    return join(ALICE)


@pytest.fixture
def bob(join):
    return join(BOB)


@pytest.fixture
def options(client):
    """``options()``: of a sign-in."""
    return lambda: assert_ok(client.post("/auth/passkey/options", json={}))


@pytest.fixture
def enter(client, options):
    """``enter(passkey)``: sign in by it. ``credential`` replaces its answer."""

    def enter(passkey=None, credential=None, **more):
        given = credential if passkey is None else passkey.get(options())
        return client.post("/auth/passkey", json={"credential": given, **more})

    return enter


def claims(answer):
    return jwt.decode(assert_ok(answer)["token"], options={"verify_signature": False})
