"""A private sign-up, and a sign-in after it, tell nobody who has an account: neither by an answer nor by its time."""

import socket

import pytest

from tests.conftest import PASSWORD
from tests.faults.oracle import KNOWN, Stranger, address, assert_times_reveal_nothing, connect, insert_accounts
from tests.mail.sink import Sink
from tests.server.processes import wait_until

pytestmark = pytest.mark.faults
PAIRS = 400
EACH = PAIRS + 20
KINDS = (KNOWN, "unknown", "disabled")


@pytest.fixture
def start(serve, database):
    """A service with one worker, which also delivers the mails, and many accounts of each kind."""
    insert_accounts(database, EACH)
    return lambda sink: serve(1, FLASK_SIGN_UP="private", FLASK_MONGO_TIMEOUT_MS="30000", **sink.environment)


class Newcomer(Stranger):
    def post(self, path, email):
        return self.ask("POST", path, email=email, password=PASSWORD)[0]

    def sign_up(self, kind):
        """The first sign-up with an address."""
        return self.post("/users", self.new_address(kind))

    def sign_in_after_sign_up(self, kind):
        email = self.new_address(kind)
        self.post("/users", email)
        return self.post("/auth", email)


def test_while_mails_are_sent(start, sink):
    with connect(start(sink)) as connection:
        stranger = Newcomer(connection)
        assert_times_reveal_nothing(KINDS, stranger.sign_up, PAIRS)
        wait_until(lambda: sink.got, 60)
    assert [status for status, *_ in stranger.told["/users"]] == [202]


@pytest.mark.weekly
def test_while_the_mail_server_hangs(start):
    sink = Sink()
    with socket.create_server(("127.0.0.1", sink.port)) as hanging, connect(start(sink)) as connection:
        stranger = Newcomer(connection)
        assert_times_reveal_nothing(KINDS, stranger.sign_up, PAIRS)
        hanging.settimeout(60)
        hanging.accept()[0].close()  # it has been tried
    assert [status for status, *_ in stranger.told["/users"]] == [202]


@pytest.mark.weekly
def test_while_the_addresses_are_over_their_budgets(start, sink):
    with connect(start(sink)) as connection:
        stranger = Newcomer(connection)
        assert_times_reveal_nothing(KINDS, lambda kind: stranger.post("/users", address(kind, 0)), PAIRS)
    assert [status for status, *_ in stranger.told["/users"]] == [202]


@pytest.mark.weekly
def test_of_the_sign_in_afterwards(start, sink):
    with connect(start(sink)) as connection:
        stranger = Newcomer(connection)
        assert_times_reveal_nothing(KINDS, stranger.sign_in_after_sign_up, 300)  # each is two requests
    assert [status for status, *_ in stranger.told["/users"]] == [202]
    assert [status for status, *_ in stranger.told["/auth"]] == [401]
