"""A guard stays one read, with the fields that it needs. Without FLASK_USERS_FIELDS no query changes."""

import pytest

from tests.conftest import ALICE, PASSWORD, bearer, make_account, sign_in
from tests.sessions.commands import Commands, heard

OURS = {
    "email": 1,
    "roles": 1,
    "createdAt": 1,
    "disabledAt": 1,
    "emailVerifiedAt": 1,
    "language": 1,
    "twoStep.totp.confirmedAt": 1,
}
OF_SIGN_IN = {"password": 1, "passwordChangedAt": 1, "passwordRenewedAt": 1, "devices.id": 1, "devices.label": 1}


@pytest.fixture
def seen(make_app):
    """``seen(mapping)``: the commands of a guarded request, and those of a sign-in."""

    def seen(mapping):
        with heard(Commands()) as commands:
            client = make_app(USERS_FIELDS=mapping).test_client()
            make_account(client, ALICE)
            headers = bearer(sign_in(client, ALICE)["token"])
            commands.seen.clear()
            assert client.get("/users/test", headers=headers).status_code == 200
            of_guard = [*commands.seen]
            commands.seen.clear()
            assert client.post("/auth", json={"email": ALICE, "password": PASSWORD}).status_code == 200
            return of_guard, [command for command in commands.seen if command.keys() & {"find", "update"}]

    return seen


@pytest.mark.parametrize(
    ("mapping", "of_guard", "of_sign_in"),
    [
        (None, {}, {}),
        ("password=hash", {}, {"hash": 1}),
        ("disabledAt=blocked", {"blocked": 1}, {"blocked": 1}),
        (
            "password=hash,disabledAt=blocked,emailVerifiedAt=confirmed",
            {"blocked": 1, "confirmed": 1},
            {"blocked": 1, "confirmed": 1, "hash": 1},
        ),
    ],
)
def test_what_is_read_and_when(seen, mapping, of_guard, of_sign_in):
    (guard,), (find, update) = seen(mapping)
    assert guard["find"] == "users"
    assert [*guard["filter"]] == ["_id", "disabledAt", "sessions"]
    assert guard["filter"]["disabledAt"] is None
    assert guard["projection"] == {**OURS, **of_guard}
    assert find["projection"] == {**OURS, **OF_SIGN_IN, **of_sign_in}
    (write,) = update["updates"]
    # The account was made here, so its password is ours.
    assert [*write["q"]][:3] == ["_id", "password", "disabledAt"]
    assert write["q"]["password"].startswith("$2b$")
    assert not write["q"].keys() & {"hash", "blocked", "confirmed"}
