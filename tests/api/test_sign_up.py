"""Sign-up creates one account for an e-mail, in any spelling and under concurrency, and reveals no secret."""

import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from authservice.sign_ups import service
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, sign_in

SPELLINGS = [
    ALICE,
    ALICE.upper(),
    "Alice@Example.com",
    f"  {ALICE}\t",
    f"\r\n{ALICE.upper()} ",
    "\u00a0alice@EXAMPLE.COM",
]


def sign_up(client, email, password=PASSWORD):
    return client.post("/users", json={"email": email, "password": password})


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_taken_email_is_refused_in_any_spelling(client, alice, database, spelling):
    assert_problem(sign_up(client, spelling), 409, "email_taken")
    assert database.users.count_documents({}) == 1


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_any_spelling_is_kept_and_answered_in_the_normal_one(client, database, spelling):
    assert assert_ok(sign_up(client, spelling), 201)["email"] == ALICE
    assert database.users.find_one()["email"] == ALICE
    for other in SPELLINGS:
        sign_in(client, other)


@pytest.mark.parametrize(
    ("email", "other"),
    [
        (
            "\u01f0iri@example.com",
            "J\u030cIRI@example.com",
        ),  # the lower case has a composed form, the upper case has none
        ("ren\u00e9@example.com", "RENE\u0301@EXAMPLE.COM"),
        ("a@b\u00fccher.example.com", "A@XN--BCHER-KVA.EXAMPLE.COM"),
        ("\u03c9@example.com", "\u2126@example.com"),  # omega, and the ohm sign
    ],
)
def test_spellings_that_unicode_calls_the_same_are_one_account(client, database, email, other):
    first = assert_ok(sign_up(client, other), 201)
    assert_problem(sign_up(client, email), 409, "email_taken")
    assert_problem(sign_up(client, other), 409, "email_taken")
    assert_problem(sign_up(client, first["email"]), 409, "email_taken")
    for spelling in (email, other, first["email"]):
        sign_in(client, spelling)
    assert database.users.count_documents({}) == 1


def test_the_stored_document_has_exactly_the_promised_fields(client, database):
    before = datetime.now(UTC) - timedelta(seconds=1)
    user = assert_ok(sign_up(client, ALICE), 201)
    document = database.users.find_one()
    ours = {"createdAt", "passwordChangedAt", "roles", "sessions", "verification", "mails"}
    assert document.keys() == {"_id", "email", "password"} | ours
    assert isinstance(document["_id"], ObjectId)
    assert (user["id"], user["email"], user["roles"]) == (str(document["_id"]), ALICE, [])
    assert (document["email"], document["roles"], document["sessions"]) == (ALICE, [], [])
    assert re.fullmatch(r"\$2b\$04\$[./A-Za-z0-9]{53}", document["password"])
    assert before <= document["createdAt"] == document["passwordChangedAt"] <= datetime.now(UTC)
    assert datetime.fromisoformat(user["createdAt"]) == document["createdAt"]


@pytest.mark.parametrize("rounds", [5, 6])
def test_the_hash_has_the_cost_that_the_settings_name(settings, database, rounds, request):
    settings["BCRYPT_LOG_ROUNDS"] = rounds
    assert_ok(sign_up(request.getfixturevalue("client"), ALICE), 201)
    assert database.users.find_one()["password"].startswith(f"$2b${rounds:02}$")


def test_neither_the_password_nor_its_hash_is_in_any_answer(client, database):
    answers = [
        sign_up(client, ALICE),
        sign_up(client, ALICE),
        client.post("/auth", json={"email": ALICE, "password": "x"}),
    ]
    answers.append(client.post("/auth", json={"email": ALICE, "password": PASSWORD}))
    token = answers[-1].get_json()["token"]
    answers.append(client.get("/users/me", headers={"Authorization": f"Bearer {token}"}))
    answers.append(client.post("/users", json={"email": "nobody", "password": PASSWORD}))
    assert [answer.status_code for answer in answers] == [201, 409, 401, 200, 200, 422]
    stored = database.users.find_one()["password"]
    for answer in answers:
        whole = f"{answer.headers}{answer.text}"
        assert PASSWORD not in whole
        assert stored not in whole
        assert "$2b$" not in whole


class TestManyAtOnce:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "MONGO_TIMEOUT_MS": 60_000, "BCRYPT_CONCURRENCY": 4}  # another test measures the time

    def test_a_thousand_simultaneous_sign_ups_make_one_account(self, app, database):
        threads, each = 200, 5
        start = threading.Barrier(threads)
        answers = []

        def ask(number: int) -> None:
            client = app.test_client()
            start.wait()
            for round_ in range(each):
                answers.append(sign_up(client, SPELLINGS[(number + round_) % len(SPELLINGS)]))

        crowd = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()

        assert len(answers) == threads * each
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses[201] == 1
        assert statuses.keys() <= {201, 409, 503}
        for answer in answers:
            if answer.status_code == 409:
                assert_problem(answer, 409, "email_taken")
            elif answer.status_code == 503:
                assert_problem(answer, 503, "hashing_busy")
        assert database.users.count_documents({}) == 1
        assert database.users.find_one()["email"] == ALICE
        sign_in(app.test_client(), ALICE)

    def test_the_index_decides_where_looking_first_does_not(self, app, database, monkeypatch):
        """All of these find the e-mail free before the first one is written."""
        threads = 20
        all_have_looked = threading.Barrier(threads)
        answers = []
        look = service.lookup.find_holder

        def look_together(spellings: Sequence[str]) -> str | None:
            found = look(spellings)
            all_have_looked.wait(30)
            return found

        monkeypatch.setattr(service.lookup, "find_holder", look_together)
        crowd = [
            threading.Thread(target=lambda n=n: answers.append(sign_up(app.test_client(), SPELLINGS[n % 6])))
            for n in range(threads)
        ]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        assert Counter(answer.status_code for answer in answers) == {201: 1, 409: threads - 1}
        assert database.users.count_documents({}) == 1


class Proxy:
    """A proxy in front of the database. ``lose_next_insert`` cuts the connection between an insert and its answer."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lose_next_insert = False
        self.inserts: list[bytes] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.close()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self._open += [client, server]
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while message := self._message(client):
                is_insert = b"\x02insert\x00\x06\x00\x00\x00users\x00" in message
                if is_insert:
                    self.inserts.append(message)
                    message = self._as_a_restarted_server_sees_it(message)
                server.sendall(message)
                reply = self._message(server)
                if is_insert and self.lose_next_insert:
                    self.lose_next_insert = False
                    break
                client.sendall(reply)
        except OSError:
            pass
        finally:
            client.close()
            server.close()

    def _as_a_restarted_server_sees_it(self, message: bytes) -> bytes:
        """A restarted server has forgotten the numbers of past writes, so a repeated write is new to it."""
        name = b"\x12txnNumber\x00"
        at = message.find(name) + len(name)
        if at < len(name):
            return message
        return message[:at] + struct.pack("<q", 1_000 + len(self.inserts)) + message[at + 8 :]

    def _message(self, end: socket.socket) -> bytes:
        """One message of the wire protocol. The first four bytes are its length."""
        message = b""
        length = 4
        while len(message) < length:
            piece = end.recv(length - len(message))
            if not piece:
                return b""
            message += piece
            if len(message) == 4:
                length = struct.unpack("<i", message)[0]
        return message


@pytest.fixture
def proxy(database_port: int) -> Iterator[Proxy]:
    proxy = Proxy("127.0.0.1", database_port)
    yield proxy
    proxy.close()


class TestARetriedInsert:
    @pytest.fixture
    def settings(self, settings, database_client, proxy, uri_through):
        if "setName" not in database_client.admin.command("hello"):
            pytest.skip("the driver repeats writes to a replica set alone, and TEST_MONGO_URI is none")
        uri = uri_through(proxy.port, retryWrites="true")
        return {**settings, "MONGO_URI": uri, "MONGO_TIMEOUT_MS": 20_000}

    def test_a_retried_insert_is_never_a_false_conflict(self, client, database, proxy):
        proxy.lose_next_insert = True
        user = assert_ok(sign_up(client, ALICE), 201)
        assert len(proxy.inserts) == 2  # the driver sent it twice
        assert not proxy.lose_next_insert
        assert [str(document["_id"]) for document in database.users.find()] == [user["id"]]
        assert sign_in(client, ALICE)["token"]

    def test_a_retried_insert_that_came_second_is_a_true_conflict(self, client, database, proxy):
        assert_ok(sign_up(client, ALICE), 201)
        assert_problem(sign_up(client, ALICE), 409, "email_taken")
        assert database.users.count_documents({}) == 1
