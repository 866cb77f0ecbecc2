"""A thousand simultaneous sign-ups of one e-mail create one account."""

import asyncio
from collections import Counter

import pytest

from tests.conftest import ALICE, PASSWORD
from tests.faults.load import Client, Load

pytestmark = pytest.mark.faults
SIGN_UPS = 1_000


def test_one_of_1000_simultaneous_sign_ups_of_an_email_wins(serve, database):
    # A database that is slow under this load is not a failure here.
    service = serve(FLASK_BCRYPT_QUEUE="1000", FLASK_CONNECTIONS_PER_CLIENT="0", FLASK_MONGO_TIMEOUT_MS="30000")

    async def all_at_once():
        async def sign_up():
            client = Client(service.url)
            try:
                return await client.ask("POST", "/users", {"email": ALICE, "password": PASSWORD})
            finally:
                await client.close()

        return await asyncio.gather(*(sign_up() for _ in range(SIGN_UPS)))

    with Load(service.url) as load:
        answers = load.run(all_at_once())
    assert Counter((answer.status, answer.code) for answer in answers) == {
        (201, None): 1,
        (409, "email_taken"): SIGN_UPS - 1,
    }
    (winner,) = [answer.body["id"] for answer in answers if answer.status == 201]
    assert [str(user["_id"]) for user in database.users.find()] == [winner]
