"""/outbox shows the mails that are files, to a browser on this machine alone."""

import os
import re

import pytest

from authservice import create_app, embedded
from authservice.mail import transport
from authservice.mail.kinds import reset
from authservice.mail.render import render
from tests.conftest import ALICE, BOB, SECRET, state_of
from tests.database import needs_embedded
from tests.mail.conftest import FACTS

pytestmark = needs_embedded

SETTINGS = {"JWT_SECRET_KEY": SECRET, "BCRYPT_LOG_ROUNDS": 4, "LIMITS": "off", "MONGO_TIMEOUT_MS": 30_000}
LINK = "https://shop.example/?action=reset&amp;token=t0ken"


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    """An instance folder whose embedded database runs."""
    directory = tmp_path_factory.mktemp("newcomer") / "instance"
    server = embedded.start(directory)
    yield directory
    server.stop()


@pytest.fixture
def make(instance):
    made = []

    def make(**more):
        made.append(create_app({**SETTINGS, "INSTANCE_PATH": str(instance), **more}))
        return made[-1]

    yield make
    for app in made:
        state_of(app).client.close()


@pytest.fixture
def app(make, instance):
    for file in instance.glob("outbox/*"):
        file.unlink()
    return make()


@pytest.fixture
def write(app):
    def write(seed, to=ALICE, facts=FACTS):
        with app.app_context():
            transport.send(render(reset, "en", facts, to, seed), to)

    return write


def paths_of(client):
    return re.findall(r'<a href="(/outbox/[0-9a-f]{32})">', client.get("/outbox").text)


def test_the_newest_mail_is_the_first(client, write, instance):
    assert "No mails yet." in client.get("/outbox").text
    for at, to in enumerate((BOB, ALICE)):
        write(to, to)
        for file in instance.glob("outbox/*"):
            if f"To: {to}" in file.read_text():
                os.utime(file, (at, at))
    page = client.get("/outbox")
    assert page.status_code == 200
    assert page.text.index(f"to {ALICE}") < page.text.index(f"to {BOB}")
    assert page.text.count("Choose a new password for authservice") == 2


def test_a_mail_is_shown_with_links_that_work(client, write):
    write("one")
    (path,) = paths_of(client)
    page = client.get(path)
    assert f'<a href="{LINK}">{LINK}</a>' in page.text
    assert "1234 5678" in page.text
    assert f"<dd>{ALICE}</dd>" in page.text
    frame = client.get(f"{path}/html")
    assert frame.text.startswith('<!doctype html><base target="_top">')
    assert LINK in frame.text


def test_what_a_mail_says_is_no_html_of_the_page(client, write):
    write("one", facts={"link": "https://shop.example/?<script>alert(1)</script>", "code": "<b>"})
    (path,) = paths_of(client)
    text = client.get(path).text
    assert "<script" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text


def test_the_pages_load_and_keep_nothing(client, write):
    write("one")
    (path,) = paths_of(client)
    for page, word in (
        ("/outbox", "frame-src 'self'"),
        (path, "frame-src 'self'"),
        (f"{path}/html", "sandbox allow-top"),
    ):
        headers = client.get(page).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; base-uri 'none'; form-action 'none'")
        assert word in headers["Content-Security-Policy"]
        assert "allow-scripts" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["0" * 32, "..%2fjwt-secret", "A" * 32, "jwt-secret", "0" * 31])
def test_what_is_no_mail_is_not_found(client, write, name):
    write("one")
    for path in (f"/outbox/{name}", f"/outbox/{name}/html"):
        assert client.get(path).status_code == 404


ELSEWHERE = [
    {"environ_overrides": {"REMOTE_ADDR": "192.168.1.7"}},
    {"environ_overrides": {"REMOTE_ADDR": ""}},  # a Unix socket: a proxy
    {"headers": {"Host": "evil.example"}},
    {"headers": {"Host": "127.0.0.1.evil.example:3000"}},
    {"headers": {"Host": "localhost@evil.example"}},
    {"headers": {"Host": ""}},
    {"headers": {"X-Forwarded-For": "127.0.0.1"}},
    {"headers": {"X-Forwarded-Host": "localhost"}},
    {"headers": {"Forwarded": "for=127.0.0.1"}},
    {"headers": {"X-Real-IP": "127.0.0.1"}},
    {"headers": {"Via": "1.1 proxy"}},
    {"headers": {"Origin": "http://localhost:8100"}},
]


@pytest.mark.parametrize("request_", ELSEWHERE, ids=str)
def test_for_all_others_there_is_no_such_page(client, write, request_):
    write("one")
    (path,) = paths_of(client)
    nowhere = client.get("/nowhere", **request_).get_json()
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        for there in ("/outbox", path, f"{path}/html"):
            answer = client.open(there, method=method, **request_)
            assert answer.status_code == 404, (method, there)
            if method == "GET":
                assert answer.get_json() | {"requestId": ""} == nowhere | {"requestId": ""}
    assert "outbox" not in client.get("/", **request_).text


@pytest.mark.parametrize("host", ["localhost", "localhost:3000", "127.0.0.1:3000", "[::1]:3000"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_the_home_page_of_the_developer_leads_there(client, host, address):
    here = {"headers": {"Host": host}, "environ_overrides": {"REMOTE_ADDR": address}}
    assert '<a href="outbox">' in client.get("/", **here).text
    assert client.get("/outbox", **here).status_code == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"TRUSTED_PROXIES": 1},
        {"SMTP_URL": "smtp://127.0.0.1", "MAIL_FROM": "a@shop.example", "APP_URL": "https://shop.example/"},
    ],
    ids=str,
)
def test_behind_a_proxy_or_with_a_mail_server_there_is_no_such_page(make, settings):
    client = make(**settings).test_client()
    assert client.get("/outbox").status_code == 404
    assert "outbox" not in client.get("/").text


def test_with_a_mongodb_of_ones_own_there_is_no_such_page(make_app):
    assert make_app().test_client().get("/outbox").status_code == 404


def test_the_oldest_mails_make_room(client, write, instance, monkeypatch):
    monkeypatch.setattr(transport, "MOST_FILES", 3)
    written = []
    for at in range(5):
        write(str(at))
        (newest,) = set(instance.glob("outbox/*")) - set(written)
        os.utime(newest, (at, at))
        written.append(newest)
    assert set(instance.glob("outbox/*")) == set(written[-3:])
    assert paths_of(client) == [f"/outbox/{file.stem}" for file in reversed(written[-3:])]
