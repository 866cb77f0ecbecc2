"""Several workers on a database that nobody has used: one index, one account."""

import threading
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.conftest import PASSWORD
from tests.server.processes import wait_until

WORKERS = 4
SIGN_UPS = 200
CLIENTS = 32


def spelling(number: int) -> str:
    """The number in binary says which letters are capitals."""
    letters = "natalieportman"
    local = "".join(letter.upper() if number >> place & 1 else letter for place, letter in enumerate(letters))
    return f"{local}@example.com"


def test_four_workers_build_one_unique_index_and_200_sign_ups_make_one_account(serve, database):
    service = serve(workers=WORKERS)
    wait_until(lambda: len(service.workers()) == WORKERS)
    at_once = threading.Barrier(CLIENTS)

    def sign_up(number: int) -> tuple[int, str]:
        if number < CLIENTS:
            at_once.wait(30)
        body = {"email": spelling(number), "password": PASSWORD}
        answer = requests.post(f"{service.url}/users", json=body, timeout=60)
        return answer.status_code, answer.json().get("code", "")

    assert len({spelling(number) for number in range(SIGN_UPS)}) == SIGN_UPS
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(sign_up, range(SIGN_UPS)))

    assert sorted(set(answers)) == [(201, ""), (409, "email_taken")]
    assert answers.count((201, "")) == 1
    assert [user["email"] for user in database.users.find()] == ["natalieportman@example.com"]
    indexes = [index for index in database.users.list_indexes() if index["name"] != "_id_"]
    assert [(dict(index["key"]), index["unique"]) for index in indexes] == [({"email": 1}, True)]
    assert "Traceback" not in service.output()
    assert "database_error" not in service.output()
