"""FLASK_SIGN_UP=private: the same answer after the same commands for everybody, and the truth by mail."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import monitoring

from authservice.security.proof_of_work import Proof
from authservice.sign_ups import service
from authservice.store.client import ping
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD
from tests.mail.sink import text_of, token_in
from tests.mail.test_no_header_is_a_strangers import ENCODED, HEADERS, NO_ADDRESS
from tests.mail.test_strangers_ask_and_guess import Commands
from tests.sign_ups.asking import OWN, ask, confirm, create, told


def test_the_answer_is_the_same_for_everybody(app, client, deliver, sink):
    create(app, ALICE)
    create(app, BOB, disabledAt=datetime.now(UTC))
    asked = [client.post("/users", json={"email": one, "password": OWN}) for one in (ALICE, BOB, CHARLIE)]
    assert told(asked[0]) == told(asked[1]) == told(asked[2])
    assert asked[0].get_json().keys() == {"signUpId"}
    deliver()
    assert sorted(to for to, _ in sink.got) == [ALICE, CHARLIE]
    (to_alice,), (to_charlie,) = sink.to(ALICE), sink.to(CHARLIE)
    assert "token=" not in text_of(to_alice)
    assert token_in(to_charlie)


def test_so_is_that_of_the_sign_in_afterwards(app, client):
    create(app, ALICE)
    answers = []
    for email in (ALICE, CHARLIE):
        ask(client, email, OWN)
        answers.append(client.post("/auth", json={"email": email, "password": OWN}))
    assert told(answers[0]) == told(answers[1])
    assert_problem(answers[1], 401, "credentials_invalid")


def test_no_password_and_no_hash_is_kept(client, database, monkeypatch):
    hashed = []
    monkeypatch.setattr("authservice.security.passwords.hash_password", lambda *given: hashed.append(given))
    ask(client)
    assert hashed == []
    assert database.users.count_documents({}) == 0
    dump = str([[*database[name].find()] for name in database.list_collection_names()])
    assert PASSWORD not in dump
    assert "$2b$" not in dump


@pytest.mark.parametrize("proof", ["off", "on"])
@pytest.mark.parametrize("limits", ["off", "on"])
def test_nobody_is_looked_up(make_app, limits, proof, monkeypatch):
    """The same commands for every address: at the first asking, and when the budgets of the address are spent."""
    in_ten_minutes = datetime.now(UTC) + timedelta(minutes=10)
    proofs = (Proof(f"proof {one}", in_ten_minutes) for one in itertools.count())
    monkeypatch.setattr(service.proof_of_work, "verify", lambda payload: next(proofs))
    commands = Commands()
    monitoring.register(commands)
    try:
        app = make_app(LIMITS=limits, LIMIT_SIGN_UP="100/1h", PROOF_OF_WORK=proof)
    finally:
        monitoring._LISTENERS.command_listeners.remove(commands)
    create(app, ALICE)
    client = app.test_client()
    sent = {}
    with app.app_context():
        ping()
    for email in (ALICE, CHARLIE):
        for asking in range(5):
            commands.seen.clear()
            ask(client, email)
            sent[email, asking] = [*commands.seen]
    for asking in range(5):
        assert sent[ALICE, asking] == sent[CHARLIE, asking]
        assert not any(collection == "users" for _, collection in sent[ALICE, asking])
    assert sent[ALICE, 0][-2:] == [("update", "limits"), ("update", "mailRequests")]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"email": "alice", "password": PASSWORD}, ("/email", "invalid_email")),
        ({"email": ALICE, "password": "short"}, ("/password", "too_short")),
        ({"email": ALICE, "password": "iloveyou"}, ("/password", "password_common")),
        ({"email": ALICE, "password": "alice@example.com1"}, ("/password", "password_context")),
        ({"email": ALICE}, ("/password", "required")),
        ({"email": ALICE, "password": PASSWORD, "role": "admin"}, ("/role", "unknown_field")),
    ],
)
def test_what_an_open_sign_up_refuses_is_refused(client, database, body, fault):
    assert_problem(client.post("/users", json=body), 422, "validation_failed", fault)
    assert database.mailRequests.count_documents({}) == 0


def test_a_client_signs_up_five_times_in_half_an_hour(make_app):
    client = make_app(LIMITS="on").test_client()
    asked = [client.post("/users", json={"email": f"user{n}@example.com", "password": OWN}) for n in range(7)]
    assert [answer.status_code for answer in asked] == [202] * 5 + [429] * 2


def test_a_proof_of_work_is_asked_for(make_app):
    client = make_app(PROOF_OF_WORK="on").test_client()
    answer = client.post("/users", json={"email": ALICE, "password": PASSWORD})
    assert_problem(answer, 422, "validation_failed", ("/altcha", "required"))


@pytest.mark.parametrize("email", [*ENCODED, *NO_ADDRESS])
def test_no_field_and_no_header_of_the_request_reaches_a_mail(client, deliver, sink, email):
    evil = "=?utf-8?q?x=0ABcc=3A_evil=40example.com?="
    headers = {"Accept-Language": f"de;q=1, {evil}", "User-Agent": f"{evil} evil", "Host": "evil.example"}
    headers["X-Forwarded-Host"] = headers["Referer"] = "https://evil.example/"
    for address in (email, ALICE):
        answer = client.post("/users", json={"email": address, "password": f"evil {evil} {PASSWORD}"}, headers=headers)
        assert answer.status_code == 202 or (address == email and answer.status_code == 422)
    assert deliver() == 1
    to, mail = sink.only()
    assert to == ALICE
    assert mail.keys() == HEADERS
    assert "evil" not in mail.as_string().lower()


def test_a_guess_tells_nobody_whether_the_link_was_used(make_app, client, mailed):
    """A guess that counts is a write, and one that does not is faster: so it counts as before."""
    handle, token, _ = mailed
    commands = Commands()
    monitoring.register(commands)
    try:
        app = make_app()
    finally:
        monitoring._LISTENERS.command_listeners.remove(commands)
    watched, sent = app.test_client(), []
    for is_used in (False, True):
        if is_used:
            assert_ok(confirm(client, token=token), 201)
        with app.app_context():
            ping()
        commands.seen.clear()
        assert_problem(confirm(watched, signUpId=handle, code="x"), 403, "code_invalid")
        sent.append([*commands.seen])
    assert sent[0] == sent[1]
