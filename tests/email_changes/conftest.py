"""Apps that send mails to a real mail server, and Alice, who changes her e-mail."""

from types import SimpleNamespace

import pytest

from tests.api.answers import assert_ok
from tests.conftest import ALICE, PASSWORD, bearer, sign_in
from tests.mail.sink import code_in, token_in
from tests.resets.conftest import settings

__all__ = ["settings"]
NEW = "alice@new.example.com"


class Account(SimpleNamespace):
    """A user who is signed in, as a client and a mailbox see it."""

    def ask(self, to=NEW, password=PASSWORD, **more):
        body = {"newEmail": to, "currentPassword": password}
        return self.client.put("/users/me/email", json=body, headers=self.headers, **more)

    def confirm(self, client=None, **given):
        return (client or self.client).put("/users/me/email/confirmation", json=given, headers=self.headers)

    def cancel(self):
        return self.client.delete("/users/me/email/change", headers=self.headers)

    def undo(self, token, client=None):
        return (client or self.client).post("/auth/email-undo", json={"token": token})

    def change(self, to):
        """Ask, read the mail, confirm, and get the token of the undo that the old address is sent."""
        self.database.limits.delete_many({})  # the budgets of mails
        old = self.stored()["email"]
        assert self.ask(to).status_code == 202
        token, _ = self.mailed(to)
        assert self.confirm(token=token).status_code == 204
        self.deliver()
        return token_in(self.sink.to(old)[-1])

    def mailed(self, to=NEW):
        """Token and code of the last mail to an address."""
        self.deliver()
        mail = self.sink.to(to)[-1]
        return token_in(mail), code_in(mail)

    def stored(self):
        return self.database.users.find_one({"_id": self.id})


@pytest.fixture
def join(client, database, deliver, sink):
    """``join(email)``: an account, signed in."""

    def join(email):
        assert_ok(client.post("/users", json={"email": email, "password": PASSWORD}), 201)
        deliver()  # the mail of the sign-up
        sink.got.clear()
        found = database.users.find_one({"email": email})
        return Account(
            client=client,
            database=database,
            deliver=deliver,
            sink=sink,
            id=found["_id"],
            headers=bearer(sign_in(client, email)["token"]),
        )

    return join


@pytest.fixture
def alice(join):
    return join(ALICE)
