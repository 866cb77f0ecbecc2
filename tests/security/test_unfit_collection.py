"""If a collection cannot keep e-mails unique, the start, sign-up and the readiness check say so."""

import json

import bcrypt
import pytest
import requests
from bson import ObjectId

from authservice.store import indexes
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, PASSWORD, sign_in
from tests.server.processes import wait_until
from tests.sessions.commands import Commands, heard

WITHOUT = "Several of its documents have no email."
TWICE = "Several of its documents have the same email."


def josh(email="josh@example.com"):
    return {"_id": ObjectId(), "email": email, "password": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}


UNFIT = {
    "without": ([{"name": "a"}, {"name": "b"}, josh()], WITHOUT),
    "null": ([{"name": "a"}, {"email": None}, josh()], WITHOUT),
    "twice": ([josh("one@example.com"), josh("one@example.com"), josh()], TWICE),
    "twice and without": ([josh("one@example.com"), josh("one@example.com"), {}, {}, josh()], WITHOUT),
}


@pytest.fixture(params=UNFIT)
def reason(request, database):
    documents, reason = UNFIT[request.param]
    database.users.insert_many([{**document} for document in documents])
    return reason


def test_sign_up_and_readiness_are_refused_with_the_reason_and_nobodys_email(client, database, reason):
    before = database.users.count_documents({})
    with captured_log() as log:
        for answer in (
            client.get("/readyz"),
            client.post("/users", json={"email": BOB, "password": PASSWORD}),
            client.post("/users", json={"email": "josh@example.com", "password": PASSWORD}),
        ):
            problem = assert_problem(answer, 503, "users_collection_unfit")
            assert problem["detail"].startswith(reason)
            assert "@" not in problem["detail"]
    assert database.users.count_documents({}) == before
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (told,) = [line for line in lines if line["event"] == "users_collection_unfit"]
    assert (told["level"], told["errorCode"]) == ("error", 11_000)
    assert told["reason"].startswith(reason)


def test_whoever_has_an_account_signs_in_in_any_case_all_the_same(client, reason):
    for email in ("josh@example.com", "Josh@Example.com"):
        sign_in(client, email)
    assert_ok(client.get("/healthz"))


def test_the_command_line_says_so(app, reason):
    refused = app.test_cli_runner().invoke(args=["users", "create", BOB, "--password-stdin"], input=PASSWORD)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"Error: The users collection cannot be used. {reason}")


def test_it_is_said_once_at_the_start_of_each_worker(serve, database):
    database.users.insert_many([{"name": "a"}, {"name": "b"}])
    service = serve(workers=2)
    wait_until(lambda: service.output().count('"users_collection_unfit"') == 2)
    answer = requests.get(f"{service.url}/readyz", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (503, "users_collection_unfit")
    assert answer.headers["Retry-After"] == "60"
    assert "Traceback" not in service.output()


def test_asking_for_readiness_is_cheap(database, request):
    database.users.insert_many([{}, {}])
    with heard(Commands()) as commands:
        client = request.getfixturevalue("client")
        assert_problem(client.get("/readyz"), 503, "users_collection_unfit")
        commands.seen.clear()
        for _ in range(3):
            assert_problem(client.get("/readyz"), 503, "users_collection_unfit")
        assert [next(iter(command)) for command in commands.seen] == ["ping"] * 3


def test_it_heals_without_a_restart(client, database, monkeypatch):
    monkeypatch.setattr(indexes, "_PAUSE_SECONDS", 0)
    database.users.insert_many([{}, {}])
    assert_problem(client.get("/readyz"), 503, "users_collection_unfit")
    database.users.delete_many({})
    assert_ok(client.get("/readyz"))
    assert_ok(client.post("/users", json={"email": BOB, "password": PASSWORD}), 201)


@pytest.mark.parametrize(
    "options",
    [{"sparse": True}, {"partialFilterExpression": {"email": {"$type": "string"}}}],
    ids=["sparse", "partial"],
)
def test_a_unique_index_that_passes_over_those_without_an_email_will_do(client, database, options):
    database.users.insert_many([{"name": "a"}, {"name": "b"}, josh("Josh@Example.com")])
    database.users.create_index("email", unique=True, **options)
    assert_ok(client.get("/readyz"))
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    for email in (ALICE, "josh@example.com"):
        assert_problem(client.post("/users", json={"email": email, "password": PASSWORD}), 409, "email_taken")


@pytest.mark.parametrize("condition", [{"isVerified": True}, {"email": "one@example.com"}, {"email": {"$gt": "b"}}])
def test_one_that_passes_over_others_will_not(client, database, condition):
    database.users.insert_many([{}, {}])
    database.users.create_index("email", unique=True, partialFilterExpression=condition)
    assert_problem(client.get("/readyz"), 503, "users_collection_unfit")


@pytest.mark.parametrize("unique", [False, True])
def test_indexes_that_another_stack_made_will_do(client, database, unique):
    """Mongoose's ``index: true``, and a case-insensitive index with another name."""
    database.users.create_index("email")
    database.users.create_index("email", name="theirs", unique=unique, collation=indexes.ANY_CASE)
    if unique:
        assert_ok(client.get("/readyz"))
        assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
        taken = client.post("/users", json={"email": ALICE.upper(), "password": PASSWORD})
        assert_problem(taken, 409, "email_taken")
        assert "email_any_case" not in database.users.index_information()
    else:
        problem = assert_problem(client.get("/readyz"), 503, "users_collection_unfit")
        assert problem["detail"] == "The database refuses to build the unique index on email: its error 86."
        assert_problem(
            client.post("/users", json={"email": ALICE, "password": PASSWORD}), 503, "users_collection_unfit"
        )


class TestAnotherCollection:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "USERS_COLLECTION": "accounts"}

    def test_takes_the_users_and_leaves_the_other_alone(self, client, database):
        database.users.insert_many(strangers := [{"_id": 1, "name": "a"}, {"_id": 2, "name": "b"}])
        assert_ok(client.get("/readyz"))
        assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
        sign_in(client, ALICE.upper())
        assert [user["email"] for user in database.accounts.find()] == [ALICE]
        assert [*database.users.find()] == strangers
        assert {*database.users.index_information()} == {"_id_"}
