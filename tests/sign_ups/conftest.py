"""Apps with private sign-up that send mails to a real mail server, and a reader of what it got."""

import pytest

from tests.conftest import ALICE, PASSWORD
from tests.mail.sink import code_in, token_in


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings, "SIGN_UP": "private"}


@pytest.fixture
def mailed(client, deliver, sink):
    """Handle, token and code of a sign-up that somebody asked for with Alice's address."""
    answer = client.post("/users", json={"email": ALICE, "password": PASSWORD})
    assert answer.status_code == 202, answer.text
    assert deliver() == 1
    _, mail = sink.only()
    return answer.get_json()["signUpId"], token_in(mail), code_in(mail)
