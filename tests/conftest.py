"""What all tests share: one real database server, and for each test a database and an app."""

import contextlib
import io
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.uri_parser import parse_uri

from authservice import create_app, embedded
from authservice.state import State
from authservice.web.logs import JSONFormatter
from tests.database import GIVEN_URI, uri_with
from tests.leaks import PASSWORD as PASSWORD
from tests.leaks import SECRET as SECRET
from tests.leaks import lines_with_secrets
from tests.service import ROOT, Service

if TYPE_CHECKING:
    from tests.mail.sink import Sink

ALICE = "alice@example.com"
BOB = "bob@example.com"
ADMIN_ROLE = "admin"
CHARLIE = "charlie@example.com"  # has no account
RUN = uuid.uuid4().hex[:8]  # in the name of every database that this process makes, and drops

for variable in [name for name in os.environ if name.startswith("FLASK_") or name in ("MONGO_URI", "JWT_SECRET_KEY")]:
    del os.environ[variable]  # tests do not depend on the developer's shell


@pytest.fixture(scope="session", autouse=True)
def _no_log_line_holds_a_secret() -> Iterator[None]:
    """Checks every log record of the run, as the service writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JSONFormatter())
    logging.getLogger("authservice").addHandler(handler)
    yield
    logging.getLogger("authservice").removeHandler(handler)
    assert lines_with_secrets(written.getvalue()) == []


@pytest.fixture(scope="session")
def server_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of the server that all tests of this run share, with user and password."""
    if GIVEN_URI:
        yield GIVEN_URI
    else:
        server = embedded.start(tmp_path_factory.mktemp("database"))
        yield server.uri
        server.stop()


@pytest.fixture(scope="session")
def uri_of(server_uri: str) -> Callable[[str], str]:
    """The URI of one of its databases, by name."""
    return lambda name: uri_with(server_uri, name)


@pytest.fixture(scope="session")
def database_port(server_uri: str) -> int:
    """Its port, for a proxy in front of it."""
    servers = parse_uri(server_uri)["nodelist"]
    ((host, port),) = servers if len(servers) == 1 else [("several", 0)]
    if host not in ("127.0.0.1", "localhost"):
        pytest.skip("puts a proxy in front of the database, which TEST_MONGO_URI must name as one on this machine")
    return port


@pytest.fixture
def uri_through(server_uri: str, database: Database[dict[str, Any]]) -> Callable[..., str]:
    """``uri_through(port, option=text)``: the URI of the test's database by way of a proxy.

    The connection is direct: a replica set would tell the driver the way past the proxy. The driver polls: a server
    that streams its state answers more often than it is asked.
    """
    fixed = {"directConnection": "true", "serverMonitoringMode": "poll"}
    return lambda port, **options: uri_with(server_uri, database.name, f"127.0.0.1:{port}", **fixed, **options)


@pytest.fixture(scope="session")
def database_client(server_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """The tests' own client, to look into the database directly."""
    with MongoClient(server_uri, tz_aware=True) as client:
        yield client
        if GIVEN_URI:  # it outlives the run
            left = client.list_databases(nameOnly=True, authorizedDatabases=True)
            assert [database["name"] for database in left if RUN in database["name"]] == []


@pytest.fixture
def database(database_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    name = f"test_{RUN}_{uuid.uuid4().hex}"
    yield database_client[name]
    database_client.drop_database(name)


@pytest.fixture
def mongo_uri(uri_of: Callable[[str], str], database: Database[dict[str, Any]]) -> str:
    return uri_of(database.name)


@pytest.fixture
def settings(mongo_uri: str) -> dict[str, Any]:
    """What ``create_app`` gets; a test may change it before it asks for ``app``."""
    return {
        "MONGO_URI": mongo_uri,
        "MONGO_TIMEOUT_MS": 30_000,  # a slow machine must not look like a failing database
        "JWT_SECRET_KEY": SECRET,
        "BCRYPT_LOG_ROUNDS": 4,
        "BCRYPT_QUEUE": 100,
        "LIMITS": "off",  # tests sign in more often than a person; tests/limits has them on
    }


@pytest.fixture
def make_app(settings: dict[str, Any]) -> Iterator[Callable[..., Flask]]:
    """``make_app(NAME=value)``: an app with more settings. Its client is closed after the test."""
    made: list[Flask] = []

    def make(**more: Any) -> Flask:
        made.append(create_app({**settings, **more}))
        return made[-1]

    yield make
    for app in made:
        state_of(app).client.close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def sink() -> Iterator["Sink"]:
    """A mail server that keeps what it gets. ``settings`` need its own to send there."""
    from tests.mail.sink import Sink  # not every environment has aiosmtpd

    sink = Sink()
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def deliver(app: Flask) -> Callable[[], int]:
    """Send what is due now."""
    return state_of(app).deliverer.deliver_due


@pytest.fixture
def alice(client: FlaskClient) -> str:
    """Alice's access token."""
    make_account(client, ALICE)
    return sign_in(client, ALICE)["token"]


@pytest.fixture
def serve(mongo_uri: str, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start real gunicorns: ``serve(workers=2, FLASK_X=...)``. All are stopped after the test.

    It waits until ``ready`` answers 200; "" does not wait.
    """
    with serving(mongo_uri, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def module_database(database_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    name = f"test_{RUN}_{uuid.uuid4().hex}"
    yield database_client[name]
    database_client.drop_database(name)


@pytest.fixture(scope="module")
def serve_module(
    uri_of: Callable[[str], str],
    module_database: Database[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Service]]:
    """``serve`` for tests that leave their service as it was: all are stopped after the module, on its database."""
    with serving(uri_of(module_database.name), tmp_path_factory.mktemp("service")) as start:
        yield start


@contextlib.contextmanager
def serving(mongo_uri: str, folder: Path) -> Iterator[Callable[..., Service]]:
    running: list[Service] = []

    def start(
        workers: int = 2,
        ready: str = "/healthz",
        app: str = "wsgi:app",
        command: tuple[str, ...] | None = None,
        cwd: Path = ROOT,
        **environment: str,
    ) -> Service:
        service = Service(
            folder / f"service-{len(running)}.log",
            {
                "FLASK_MONGO_URI": mongo_uri,
                "FLASK_JWT_SECRET_KEY": SECRET,
                "FLASK_BCRYPT_LOG_ROUNDS": "4",
                "FLASK_BCRYPT_QUEUE": "100",
                "WEB_CONCURRENCY": str(workers),
                **environment,
            },
            app,
            command,
            cwd,
        )
        running.append(service)
        if ready:
            service.wait_until_ready(ready)
        return service

    yield start
    for service in running:
        service.stop()
    assert [line for service in running for line in lines_with_secrets(service.output())] == []


def state_of(app: Flask) -> State:
    state: State = app.extensions["authservice"]
    return state


def make_account(client: FlaskClient, email: str) -> None:
    """Sign up, and forget the mail that asks to prove the address, with what it took of the address's budgets."""
    created = client.post("/users", json={"email": email, "password": PASSWORD})
    assert created.status_code == 201, created.text
    state = state_of(client.application)
    state.users.update_one({"email": email}, {"$unset": {"mails": "", "verification": ""}})
    state.counters.delete_many({"_id": {"$regex": "^mails_"}})


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD) -> dict[str, Any]:
    answer = client.post("/auth", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
