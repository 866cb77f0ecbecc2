"""Of many posts of one answer, to several workers at once, one succeeds."""

import threading

import pytest
import requests

from tests.conftest import ALICE, PASSWORD, bearer
from tests.passkeys.authenticator import Passkey
from tests.passkeys.conftest import PASSKEYS

MANY = 16


@pytest.fixture(scope="module")
def service(serve_module):
    return serve_module(workers=2, **{f"FLASK_{name}": value for name, value in PASSKEYS.items()})


@pytest.fixture
def post(service):
    def post(path, body, headers=None):
        return requests.post(service.url + path, json=body, headers=headers, timeout=30)

    return post


@pytest.fixture
def headers(post, module_database):
    module_database.users.delete_many({})
    assert post("/users", {"email": ALICE, "password": PASSWORD}).status_code == 201
    return bearer(post("/auth", {"email": ALICE, "password": PASSWORD}).json()["token"])


def at_once(*calls):
    """The sorted statuses of calls that begin together."""
    statuses, start = [], threading.Barrier(len(calls))

    def run(call):
        start.wait()
        statuses.append(call().status_code)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


@pytest.mark.parametrize("counts", [False, True])
def test_of_16_sign_ins_by_one_answer_one_succeeds(post, headers, module_database, counts):
    passkey = Passkey(counts)
    created = passkey.create(post("/users/me/passkeys/options", {}, headers).json())
    registering = [lambda: post("/users/me/passkeys", {"credential": created}, headers)] * 4
    assert at_once(*registering) == [201, 409, 409, 409]
    for _ in range(3):
        answer = passkey.get(post("/auth/passkey/options", {}).json())
        before = len(module_database.users.find_one({})["sessions"])
        signing_in = [lambda given=answer: post("/auth/passkey", {"credential": given})] * MANY
        assert at_once(*signing_in) == [200] + [401] * (MANY - 1)
        found = module_database.users.find_one({})
        assert len(found["sessions"]) == before + 1
        assert [mail["kind"] for mail in found.get("mails", []) if mail["kind"] == "passkey_refused"] == []


def test_of_registrations_at_once_ten_are_kept(post, headers, module_database):
    passkeys = [Passkey() for _ in range(12)]
    made = [passkey.create(post("/users/me/passkeys/options", {}, headers).json()) for passkey in passkeys]
    for one in made[:9]:
        assert post("/users/me/passkeys", {"credential": one}, headers).status_code == 201
    calls = [lambda given=one: post("/users/me/passkeys", {"credential": given}, headers) for one in made[9:]]
    assert at_once(*calls) == [201, 409, 409]
    assert len(module_database.users.find_one({})["passkeys"]) == 10


def test_of_the_last_two_one_stays(post, headers, module_database, service):
    ids = []
    for _ in range(2):
        made = Passkey().create(post("/users/me/passkeys/options", {}, headers).json())
        ids.append(post("/users/me/passkeys", {"credential": made}, headers).json()["id"])
    module_database.users.update_one({}, {"$set": {"password": "!"}})
    url = f"{service.url}/users/me/passkeys/"
    calls = [lambda id=id: requests.delete(url + id, headers=headers, timeout=30) for id in ids]
    assert at_once(*calls) == [204, 409]
    assert len(module_database.users.find_one({})["passkeys"]) == 1
