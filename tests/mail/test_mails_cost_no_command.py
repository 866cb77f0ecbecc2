"""Sign-in, refresh and guard ask the database as often as they did before there were mails."""

from tests.conftest import ALICE, PASSWORD, bearer
from tests.mail.sink import Sink
from tests.sessions.commands import Commands, heard

READ_AND_WRITE = [("find", "users"), ("update", "users")]
FIREFOX, SAFARI = "Firefox/139.0 (X11; Linux)", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Safari/604.1"


def test_mails_cost_no_command(make_app):
    with heard(Commands()) as commands:
        client = make_app(**Sink().settings).test_client()
    body = {"email": ALICE, "password": PASSWORD}
    assert client.post("/users", json=body).status_code == 201

    def asked(method, path, **more):
        commands.seen.clear()
        answer = client.open(path, method=method, **more)
        assert answer.status_code == 200, answer.text
        return [next(iter(command.items())) for command in commands.seen], answer.get_json()

    for _ in range(2):
        sent, pair = asked("POST", "/auth", json=body, headers={"User-Agent": FIREFOX})
        assert sent == READ_AND_WRITE
    assert asked("POST", "/auth/refresh", json={"refreshToken": pair["refreshToken"]})[0] == READ_AND_WRITE
    assert asked("GET", "/users/test", headers=bearer(pair["token"]))[0] == [("find", "users")]
    sent, _ = asked("POST", "/auth", json=body, headers={"User-Agent": SAFARI})
    read, write = READ_AND_WRITE
    assert sent == [read, ("update", "limits"), write]  # a mail tells of the new device, if its budget admits it
