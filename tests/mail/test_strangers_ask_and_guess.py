"""What strangers ask for: the same writes for every address, few mails, few guesses, and a link that stays good."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pymongo import monitoring

from authservice.mail import requests
from authservice.security import one_time
from authservice.store import indexes, mail_requests
from authservice.store.client import ping
from authservice.store.clock import now
from tests.conftest import ALICE, CHARLIE, make_account, state_of

KIND = "reset"


class Commands(monitoring.CommandListener):
    """Writes down what is sent to the database."""

    def __init__(self):
        self.seen = []

    def started(self, event):
        if event.command_name not in ("hello", "ping"):
            self.seen.append((event.command_name, event.command.get(event.command_name)))

    def succeeded(self, event):
        pass

    failed = succeeded


@pytest.fixture(autouse=True)
def context(app):
    with app.app_context():
        yield


def secrets_of(database, number=0):
    """Link and code of a stored asking."""
    (document,) = [*database.mailRequests.find().sort("slot", 1)][number : number + 1]
    parts = (KIND, document["_id"], document["at"], document["email"])
    return one_time.link_token(*parts), one_time.code(*parts)


def test_link_and_code_find_the_asking(database):
    handle = requests.ask(KIND, "Alice@Example.com ", "de")
    token, code = secrets_of(database)
    found = requests.find_by_token(KIND, token)
    assert (found.email, found.language, found.kind) == (ALICE, "de", KIND)
    assert requests.find_by_code(KIND, handle, f"{code[:4]} {code[4:]}") == found
    for kind, given in (("sign_up", token), (KIND, token[:-1]), (KIND, token.replace(".", "..")), (KIND, "")):
        assert requests.find_by_token(kind, given) is None
    assert requests.find_by_code("sign_up", handle, code) is None


def test_the_writes_are_the_same_with_and_without_an_account(make_app, client, database):
    make_account(client, ALICE)
    commands = Commands()
    monitoring.register(commands)
    try:
        app = make_app()
    finally:
        monitoring._LISTENERS.command_listeners.remove(commands)
    sent = {}
    with app.app_context():
        ping()  # connects
        for email in (ALICE, CHARLIE):
            for asking in ("first", "again"):
                commands.seen.clear()
                requests.ask(KIND, email, None)
                sent[email, asking] = [*commands.seen]
    assert sent[ALICE, "first"] == [("update", "limits"), ("update", "mailRequests")]
    for asking in ("first", "again"):
        assert sent[ALICE, asking] == sent[CHARLIE, asking]
        assert not any(collection == "users" for _, collection in sent[ALICE, asking])


def test_a_second_asking_repeats_link_and_code(database):
    requests.ask(KIND, ALICE, None)
    first = secrets_of(database)
    requests.ask(KIND, ALICE, None)
    assert database.mailRequests.count_documents({}) == 1
    assert secrets_of(database) == first


def test_one_mail_a_minute_three_at_once_ten_a_day(database, monkeypatch):
    sent = 0
    monkeypatch.setattr(requests, "SLOT", timedelta(days=365))  # no half-hour ends within the test
    clock = [1_800_000_000.0]
    monkeypatch.setattr("authservice.store.limits.time.time", lambda: clock[0])

    def ask_until(seconds, pause):
        nonlocal sent
        end = clock[0] + seconds
        while clock[0] < end:
            requests.ask(KIND, ALICE, None)
            sent += database.mailRequests.update_one({"due": {"$exists": True}}, {"$unset": {"due": ""}}).modified_count
            clock[0] += pause

    ask_until(58, 10)
    assert sent == 1
    ask_until(15 * 60, 60)
    assert sent == 3
    ask_until(20 * 3_600, 300)
    assert 10 <= sent <= 10 + 9  # one more comes back every 2.4 hours


def test_a_mail_asked_for_in_vain_changes_nothing(database):
    requests.ask(KIND, ALICE, "en")
    before = database.mailRequests.find_one()
    requests.ask(KIND, ALICE, "de")
    after = database.mailRequests.find_one()
    assert len(after.pop("handles")) == 2
    assert len(before.pop("handles")) == 1
    assert before == after


def test_thirty_guesses_at_once_are_five(app, database):
    handle = requests.ask(KIND, ALICE, None)
    _, code = secrets_of(database)

    def guess(_):
        with app.app_context():
            return requests.find_by_code(KIND, handle, f"{(int(code) + 1) % 10**8:08}")

    with ThreadPoolExecutor(10) as threads:
        assert [*threads.map(guess, range(30))] == [None] * 30
    assert database.mailRequests.find_one()["handles"][0]["guesses"] == mail_requests.GUESSES_MAX
    assert requests.find_by_code(KIND, handle, code) is None


def test_a_stranger_who_asks_and_guesses_forty_times_harms_neither_link_nor_code_of_the_owner(database):
    own = requests.ask(KIND, ALICE, None)
    token, code = secrets_of(database)
    wrong = f"{(int(code) + 1) % 10**8:08}"
    for _ in range(40):
        handle = requests.ask(KIND, ALICE, None)
        assert requests.find_by_code(KIND, handle, wrong) is None
    guesses = [handle["guesses"] for handle in database.mailRequests.find_one()["handles"]]
    assert guesses == [0, *[1] * (mail_requests.HANDLES_MAX - 1)]
    assert requests.find_by_code(KIND, handle, code) is None  # a late handle has no guess, not even a right one
    assert requests.find_by_code(KIND, own, code) is not None
    assert requests.find_by_token(KIND, token) is not None


def test_handles_that_are_none_of_ours_find_nothing(database):
    handle = requests.ask(KIND, ALICE, None)
    _, code = secrets_of(database)
    id, secret = handle.split(".")
    for odd in ("", ".", id, f"{id}.", f"{id}.{'a' * 22}", f"{'a' * 22}.{secret}", f"{id}.{secret}x", "\ud800" * 45):
        assert requests.find_by_code(KIND, odd, code) is None
    assert database.mailRequests.find_one()["handles"][0]["guesses"] == 0


def test_the_code_of_the_half_hour_before_is_good_with_the_new_handle(database, monkeypatch):
    early = now() - requests.SLOT
    for module in (requests, mail_requests):
        monkeypatch.setattr(module, "now", lambda: early)
    requests.ask(KIND, ALICE, None)
    monkeypatch.undo()
    database.mailRequests.update_one({}, {"$set": {"expiresAt": now() + timedelta(minutes=5)}})
    token, code = secrets_of(database)
    handle = requests.ask(KIND, ALICE, None)
    assert database.mailRequests.count_documents({}) == 2
    assert requests.find_by_code(KIND, handle, code).id == token.split(".")[0]
    assert requests.find_by_token(KIND, token) is not None


def test_what_has_expired_is_found_by_nothing(database):
    handle = requests.ask(KIND, ALICE, None)
    token, code = secrets_of(database)
    database.mailRequests.update_one({}, {"$set": {"expiresAt": now()}})
    assert requests.find_by_token(KIND, token) is None
    assert requests.find_by_code(KIND, handle, code) is None


def test_twenty_first_askings_at_once_make_one_asking(app, database):
    def ask(_):
        with app.app_context():
            return requests.ask(KIND, ALICE, None)

    with ThreadPoolExecutor(10) as threads:
        handles = [*threads.map(ask, range(20))]
    (document,) = database.mailRequests.find()
    assert len(set(handles)) == 20
    assert {one["id"] for one in document["handles"]} < {handle.split(".")[1] for handle in handles}
    assert len(document["handles"]) == mail_requests.HANDLES_MAX


def test_the_database_holds_nothing_usable(database):
    handle = requests.ask(KIND, ALICE, None)
    token, code = secrets_of(database)
    dump = str([*database.mailRequests.find(), *database.limits.find()])
    assert token.split(".")[1] not in dump
    assert code not in dump
    assert handle not in dump


def test_the_database_deletes_what_has_ended(app, database):
    indexes.ensure_indexes()
    kept = [one for one in database.mailRequests.index_information().values() if "expireAfterSeconds" in one]
    assert [(one["key"], one["expireAfterSeconds"]) for one in kept] == [([("expiresAt", 1)], 3_600)]
    assert state_of(app).indexes.found.are_enough


def test_documents_of_an_app_in_a_collection_of_this_name_are_passed_over(database):
    theirs = [{"_id": 1, "due": now() - timedelta(days=1)}, {"_id": 2, "due": "soon", "expiresAt": now()}]
    database.mailRequests.insert_many([dict(one) for one in theirs])
    assert mail_requests.claim_next() is None
    requests.ask(KIND, ALICE, None)
    assert mail_requests.claim_next().request.email == ALICE
    assert mail_requests.count_waiting()[0] == 1


def test_not_even_those_that_look_like_ours_stop_delivery(database):
    database.mailRequests.insert_many([{"slot": 1, "due": now() - timedelta(days=1), "kind": 7} for _ in range(25)])
    requests.ask(KIND, ALICE, "en")
    assert mail_requests.claim_next().request.email == ALICE
    assert mail_requests.claim_next() is None
