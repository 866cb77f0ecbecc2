"""Several workers start on a new database: each index is built once, and an e-mail gets one account."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from pymongo.database import Database

from tests.conftest import PASSWORD
from tests.server.processes import wait_until

WORKERS = 4
SIGN_UPS = 200
CLIENTS = 32


def spelling(number: int) -> str:
    """An e-mail whose capital letters are the bits of ``number``."""
    letters = "natalieportman"
    local = "".join(letter.upper() if number >> place & 1 else letter for place, letter in enumerate(letters))
    return f"{local}@example.com"


def unique_indexes(database: Database[dict[str, Any]]) -> set[str]:
    return {index["name"] for index in database.users.list_indexes() if index.get("unique")}


def test_the_unique_indexes_exist_before_the_first_sign_up(serve, database):
    serve(workers=WORKERS)
    wait_until(lambda: unique_indexes(database) == {"email_1", "email_any_case"})
    assert database.users.count_documents({}) == 0


def test_four_workers_build_each_index_once_and_200_sign_ups_make_one_account(serve, database):
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
    assert unique_indexes(database) == {"email_1", "email_any_case"}
    assert {*database.users.index_information()} == {
        "_id_",
        "email_1",
        "email_any_case",
        "former_emails_any_case",
        "legacy_work",
        "mails_due",
        "roles_admin",
    }
    assert "Traceback" not in service.output()
    assert "database_error" not in service.output()


def test_a_wrapped_app_logs_a_warning_and_builds_its_indexes_at_the_first_sign_up(serve, database):
    service = serve(workers=1, app="tests.server.pieces:create()")
    assert "the app is wrapped" in service.output()
    assert "users" not in database.list_collection_names()
    person = {"email": spelling(0), "password": PASSWORD}
    assert requests.post(f"{service.url}/users", json=person, timeout=20).status_code == 201
    assert unique_indexes(database) == {"email_1", "email_any_case"}
