"""With FLASK_BREACH_CHECK the client says beside the field that a new password was in a breach."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.app import create_account, expect, expect_fault, expect_signed_in, expect_status, field
from tests.browser.conftest import refused
from tests.conftest import PASSWORD, RUN, SECRET
from tests.service import Service

DATABASE = f"test_{RUN}_breaches"
BREACHED = "a password that leaked"
SENTENCE = "Choose another password: this one was published with the data of a breach, so attackers know it."


class Ranges(BaseHTTPRequestHandler):
    """Knows one password, and answers a range of its hash to any request."""

    def do_GET(self):
        body = f"{hashlib.sha1(BREACHED.encode()).hexdigest().upper()[5:]}:3".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def ranges():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/range"
    server.shutdown()
    server.server_close()


@pytest.fixture
def service(uri_of, database_client, ranges, tmp_path):
    service = Service(
        tmp_path / "service.log",
        {
            "FLASK_MONGO_URI": uri_of(DATABASE),
            "FLASK_JWT_SECRET_KEY": SECRET,
            "FLASK_BCRYPT_LOG_ROUNDS": "4",
            "FLASK_BREACH_CHECK": ranges,
            "WEB_CONCURRENCY": "1",
        },
    )
    service.wait_until_ready("/readyz")
    yield service
    service.stop()
    database_client.drop_database(DATABASE)


def test_a_breached_password_is_said_beside_its_field_at_sign_up_and_at_a_change(open_page, watch):
    watch.expect(refused(422))
    page = open_page("/app/")
    create_account(page, password=BREACHED)
    expect_fault(page, "Password", SENTENCE)
    create_account(page)
    expect_signed_in(page)
    expect(page.get_by_text("My passkeys")).to_be_hidden()  # this service has none, and is not asked for them

    page.get_by_text("Change password").first.click()
    field(page, "Current password").fill(PASSWORD)
    field(page, "New password").fill(BREACHED)
    change = page.get_by_role("button", name="Change password")
    change.click()
    expect_fault(page, "New password", SENTENCE)
    field(page, "New password").fill("a different horse entirely")
    change.click()
    expect_status(page, "Password changed.")
