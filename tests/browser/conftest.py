"""A real Chromium against a real service: gunicorn with two workers on the real database."""

import base64
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from tests.conftest import RUN, SECRET
from tests.service import Service, free_port

DATABASE = f"test_{RUN}_browser"
AWAY = r"Failed to load resource: net::ERR_"
AUTHENTICATOR = {  # for WebAuthn.addVirtualAuthenticator of the Chrome DevTools Protocol
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def refused(status: int) -> str:
    """What Chromium writes to the console about an answer that a test expects."""
    return rf"Failed to load resource: the server responded with a status of {status} "


class Watch:
    """Collects what no page may do: write errors to the console, break the policy, load from other hosts."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._expected: list[str] = []

    def expect(self, *patterns: str) -> None:
        self._expected += patterns

    def seen(self) -> list[str]:
        return list(self._seen)

    def complaints(self) -> list[str]:
        return [one for one in self._seen if not any(re.match(pattern, one) for pattern in self._expected)]

    def add_context(self, context: Any, origin: str) -> None:
        # Chromium does not write every violation to the console, but each one is an event of the document
        context.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " (e) => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`))"
        )
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._seen.append(f"uncaught {error.error}"))
        context.on(
            "request",
            lambda request: None if request.url.startswith(origin) else self._seen.append(f"to {request.url}"),
        )

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._seen.append(message.text)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    from tests.browser.needs import CHROMIUM_FLAGS, chromium

    return {**browser_type_launch_args, "executable_path": chromium(), "args": CHROMIUM_FLAGS}


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Collects what the pages of a test do wrong. What the test did not expect makes it fail."""
    watch = Watch()
    yield watch
    assert watch.complaints() == []


@pytest.fixture(scope="session")
def app_origin() -> str:
    """The origin of another front-end, which the service allows."""
    return f"http://localhost:{free_port()}"


@pytest.fixture(scope="session")
def shared_service(
    uri_of: Callable[[str], str],
    database_client: MongoClient[dict[str, Any]],
    app_origin: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    port = free_port()
    service = Service(
        tmp_path_factory.mktemp("browser") / "service.log",
        {
            "FLASK_ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"k" * 32).decode(),
            "FLASK_PASSKEY_RP_ID": "localhost",
            "FLASK_PASSKEY_ORIGINS": f"http://localhost:{port}",
            "FLASK_MONGO_URI": uri_of(DATABASE),
            "FLASK_JWT_SECRET_KEY": SECRET,
            "FLASK_BCRYPT_LOG_ROUNDS": "4",
            "FLASK_BCRYPT_QUEUE": "100",
            "FLASK_CORS_ORIGINS": app_origin,
            "WEB_CONCURRENCY": "2",
        },
        port=port,
    )
    service.wait_until_ready()
    yield service
    service.stop()
    database_client.drop_database(DATABASE)


@pytest.fixture
def service(shared_service: Service, database_client: MongoClient[dict[str, Any]]) -> Service:
    """Two workers that all browser tests share. Each test starts without users."""
    database_client[DATABASE].users.delete_many({})
    return shared_service


@pytest.fixture
def age_sessions(database_client: MongoClient[dict[str, Any]]) -> Callable[[], None]:
    """Every user signed in an hour ago, as the next refresh says."""

    def age_sessions() -> None:
        users = database_client[DATABASE].users
        for user in users.find():
            for session in user["sessions"]:
                session["authenticatedAt"] -= timedelta(hours=1)
            users.update_one({"_id": user["_id"]}, {"$set": {"sessions": user["sessions"]}})

    return age_sessions


@pytest.fixture
def open_page(service: Service, watch: Watch, new_context: Any) -> Callable[..., Any]:
    """Open a page of the service: as another tab of the browser ``context``, or else in a new browser."""

    def open_page(path: str, context: Any = None, **options: Any) -> Any:
        if context is None:
            context = new_context(**options)
            context.set_default_timeout(10_000)
            watch.add_context(context, service.url)
        page = context.new_page()
        page.goto(service.url + path)
        return page

    return open_page


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def check() -> Callable[[Any, str], None]:
    """``check(page, state)``: axe finds nothing."""
    from axe_playwright_python.sync_playwright import Axe

    def check(page: Any, state: str) -> None:
        # axe measures the contrast of the screen, so wait until Ionic has faded
        page.evaluate(
            """() => Promise.race([
                Promise.allSettled(document.getAnimations().map((one) => one.finished)),
                new Promise((over) => setTimeout(over, 1000)),
            ]).then(() => null)"""
        )
        violations = Axe().run(page).response["violations"]
        found = [(one["id"], node["target"], node["failureSummary"]) for one in violations for node in one["nodes"]]
        assert found == [], state

    return check
