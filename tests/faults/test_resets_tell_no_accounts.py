"""A reset tells nobody who has an account: neither by an answer nor by its time, whatever becomes of the mail."""

import re
import socket

import pytest

from tests.faults.oracle import KNOWN, Stranger, address, assert_times_reveal_nothing, connect, insert_accounts
from tests.mail.sink import Sink
from tests.server.processes import wait_until

pytestmark = pytest.mark.faults
PAIRS = 800  # the standard deviation of the AUC is then 0.014
NEW = 400  # pairs of new addresses: each is three more documents
KINDS = (KNOWN, "unknown", "disabled")
EACH = NEW + 20


@pytest.fixture
def start(serve, database):
    """A service with one worker, which also delivers the mails, and many accounts of each kind."""
    insert_accounts(database, EACH)
    return lambda sink: serve(1, FLASK_MONGO_TIMEOUT_MS="30000", **sink.environment)


class Asker(Stranger):
    def reset(self, method, **body):
        """Seconds, and the body of the answer."""
        return self.ask(method, "/auth/reset", **body)

    def another(self, kind):
        """The time of a reset for a new address."""
        return self.reset("POST", email=self.new_address(kind))[0]


def test_while_mails_are_sent(start, sink):
    with connect(start(sink)) as connection:
        asker = Asker(connection)
        assert_times_reveal_nothing(KINDS, asker.another, NEW)
        wait_until(lambda: sink.got, 60)
    assert len(asker.told["/auth/reset"]) == 1
    assert {re.sub(r"\d*@.*", "", to) for to, _ in sink.got} == {KNOWN}


@pytest.mark.weekly
def test_while_the_mail_server_hangs(start):
    sink = Sink()
    with socket.create_server(("127.0.0.1", sink.port)) as hanging, connect(start(sink)) as connection:
        asker = Asker(connection)
        assert_times_reveal_nothing(KINDS, asker.another, NEW)
        hanging.settimeout(60)
        hanging.accept()[0].close()  # it has been tried
    assert len(asker.told["/auth/reset"]) == 1


@pytest.mark.weekly
def test_while_the_addresses_are_over_their_budgets(start, sink):
    with connect(start(sink)) as connection:
        asker = Asker(connection)
        assert_times_reveal_nothing(KINDS, lambda kind: asker.reset("POST", email=address(kind, 0))[0], PAIRS)
    assert len(asker.told["/auth/reset"]) == 1


@pytest.mark.parametrize("given", ["code", "token"])
@pytest.mark.weekly
def test_what_is_wrong_in_a_guess(start, sink, given):
    with connect(start(sink)) as connection:
        asker = Asker(connection)
        ids = {kind: asker.reset("POST", email=address(kind, 0))[1]["resetId"] for kind in KINDS}
        asker.told.clear()

        def guess(kind):
            wrong = {"resetId": ids[kind], "code": "00000000"}
            if given == "token":
                wrong = {"token": f"{ids[kind].split('.')[0]}.{'A' * 43}"}
            return asker.reset("PUT", newPassword="an even longer secret", **wrong)[0]

        assert_times_reveal_nothing(KINDS, guess, PAIRS)
    assert len(asker.told["/auth/reset"]) == 1
