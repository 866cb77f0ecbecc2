"""``authservice check`` reports what is wrong with an installation, and exits with 0 only if nothing is."""

import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import SECRET
from tests.faults.test_clock import LIBRARIES
from tests.server.key_rotation import age, keys
from tests.server.processes import run, wait_until
from tests.server.proxies import find_program
from tests.service import ROOT, free_port

OF_INSTALLATION = [
    "ok     settings: complete and well-formed",
    "ok     database: it answers",
    "ok     indexes: one account an e-mail",
    "ok     clock: the database's and this machine's agree",
]
AUTHORIZATION = "ok     headers: Authorization reaches the service, and its challenge the client"
CLOCK = "ok     clock: the server's and this machine's agree"
READY = "ok     url: the service answers, and is ready"
TLS = "ok     TLS: the certificate is valid for this name"
NO_TLS = "note   TLS: there is none, on this machine"
SCHEME = "ok     proxies: the service knows the scheme, and believes no client about it"
BELIEVES = (
    "wrong  proxies: the service believes the X-Forwarded-Proto that a client sends: FLASK_TRUSTED_PROXIES is higher "
    "than the number of proxies, or the proxy passes the header on as it came"
)
KNOWS_NOT = (
    "wrong  proxies: the service does not know that clients use https: let the proxy set X-Forwarded-Proto, and "
    "set FLASK_TRUSTED_PROXIES to the number of proxies that set or extend it"
)


@pytest.fixture
def environment(mongo_uri: str) -> dict[str, str]:
    return {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}


@pytest.fixture
def check(environment):
    """Run it; its exit code and output lines."""

    def call(*arguments: str, **more: str) -> tuple[int, list[str]]:
        ended = run("authservice", "check", *arguments, **{**environment, **more})
        assert ended.stderr == ""
        return ended.returncode, ended.stdout.splitlines()

    return call


@pytest.fixture
def check_url(check):
    def call(url: str, **more: str) -> tuple[int, list[str]]:
        code, lines = check("--url", url, **more)
        assert lines[:4] == OF_INSTALLATION
        return code, lines[4:]

    return call


@pytest.mark.parametrize("command", [("authservice", "check"), ("flask", "--app", "wsgi", "check")])
def test_a_good_installation_exits_with_0(environment, command):
    ended = run(*command, **environment)
    assert (ended.returncode, ended.stderr, ended.stdout.splitlines()) == (0, "", OF_INSTALLATION)


def test_it_says_which_key_signs(check, tmp_path):
    file = tmp_path / "keys.json"
    environment = {"FLASK_JWT_KEYS_FILE": str(file), "FLASK_JWT_ISSUER": "https://auth.example.com"}
    kid = keys(file, "generate").split()[0]
    first, *rest = OF_INSTALLATION
    standby = "note   signing keys: none of them signs, so FLASK_JWT_SECRET_KEY does: authservice keys rotate"
    assert check(**environment) == (0, [first, standby, *rest])
    age(file, 20 * 60)
    keys(file, "rotate")
    assert check(**environment) == (0, [first, f"ok     signing keys: {kid} signs", *rest])


def test_faulty_settings_are_a_list(environment):
    ended = run("authservice", "check", **environment, FLASK_BCRYPT_QUEUE="many", FLASK_METRIC="off")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.count("\n  - ") == 2


def test_an_unavailable_database_is_reported(check):
    code, lines = check(FLASK_MONGO_URI="mongodb://127.0.0.1:1/x", FLASK_MONGO_TIMEOUT_MS="200")
    assert code == 1
    assert lines == [
        OF_INSTALLATION[0],
        "wrong  database: it does not answer. Does it run, and is FLASK_MONGO_URI right?",
    ]


def test_e_mails_that_cannot_be_unique_are_reported(check, database):
    database.users.insert_many([{"email": "twice@example.com"}, {"email": "twice@example.com"}])
    code, lines = check()
    assert code == 1
    assert lines[2].startswith("wrong  indexes: The users collection cannot be used. Several of its documents have the")
    assert lines[3:] == OF_INSTALLATION[3:]


@pytest.mark.parametrize(("offset", "said"), [("+90s", "behind"), ("-90s", "ahead of")])
def test_a_wrong_clock_is_reported(environment, offset, said):
    if not LIBRARIES:
        message = "libfaketime is not installed: apt-get install libfaketime"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    ended = run("authservice", "check", **environment, LD_PRELOAD=str(LIBRARIES[0]), FAKETIME=offset)
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[3] in {
        f"wrong  clock: the database's is {seconds} s {said} this machine's; synchronize both (NTP)"
        for seconds in (89, 90, 91)
    }


@pytest.mark.parametrize("url", ["auth.example.com", "ftp://example.com", "https://", "https://a:99999", "http://a?b"])
def test_an_invalid_url_is_a_usage_error(check, environment, url):
    ended = run("authservice", "check", "--url", url, **environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "give a URL such as https://auth.example.com" in ended.stderr


def test_a_local_service_without_a_proxy_exits_with_0(check_url, serve):
    service = serve(workers=1)
    assert check_url(f"{service.url}/") == (0, [NO_TLS, READY, SCHEME, AUTHORIZATION, CLOCK])


def test_a_missing_proxy_is_reported(check_url, serve):
    service = serve(workers=1, FLASK_TRUSTED_PROXIES="1")
    assert check_url(service.url) == (1, [NO_TLS, READY, BELIEVES, AUTHORIZATION, CLOCK])


def test_a_refused_connection_is_reported(check_url):
    code, lines = check_url(f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert lines == ["wrong  url: it does not answer with HTTP: ConnectionRefusedError: [Errno 111] Connection refused"]


def test_a_service_that_is_not_ready_is_reported(check_url, serve):
    service = serve(workers=1, FLASK_MONGO_URI="mongodb://127.0.0.1:1/x", FLASK_MONGO_TIMEOUT_MS="200")
    code, lines = check_url(service.url)
    assert code == 1
    assert lines[1] == "wrong  url: the service is not ready: database_unavailable"


class Other(BaseHTTPRequestHandler):
    """Another service, whose responses contain terminal escape sequences."""

    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(301)
            self.send_header("Location", "https://elsewhere.example/\x1b[2J")
        elif self.path.startswith("/odd"):
            self.send_response(503)
        else:
            self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"code": "\\u001b[2J"}' if self.path.startswith("/odd") else b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "/readyz answers 200, and the answer is not from this service"),
        ("/moved", r"it redirects to 'https://elsewhere.example/\x1b[2J': clients need its own URL"),
        ("/odd", r"the service is not ready: \u001b[2J"),
    ],
)
def test_another_service_is_reported(check_url, other, path, sentence):
    code, lines = check_url(other + path)
    assert code == 1
    assert lines[1] == f"wrong  url: {sentence}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Key and certificate of localhost. SSL_CERT_FILE makes a client trust it."""
    find_program("openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, "-keyout", key, "-out",
         certificate], check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


class TestBehindNginx:
    """The first block of docs/proxies.md, with TLS."""

    @pytest.fixture
    def front(self, serve, tmp_path, certificate):
        """Start the service behind nginx: ``front("1")`` sets FLASK_TRUSTED_PROXIES, and ``edits`` change the block."""
        nginx = find_program("nginx")
        running: list[subprocess.Popen[bytes]] = []

        def start(hops: str, edits: dict[str, str] | None = None) -> str:
            service, port = serve(workers=1, FLASK_TRUSTED_PROXIES=hops), free_port()
            block = (ROOT / "docs/proxies.md").read_text().split("## Behind nginx", 1)[1].split("```nginx\n", 1)[1]
            block = block.split("```", 1)[0]
            key, pem = certificate
            for old, new in {
                **(edits or {}),
                "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
                "auth.example.com;": "localhost;",
                "/etc/ssl/certs/auth.example.com.pem": str(pem),
                "/etc/ssl/private/auth.example.com.key": str(key),
                "127.0.0.1:3000": f"127.0.0.1:{service.port}",
            }.items():
                assert old in block, old
                block = block.replace(old, new)
            (tmp_path / "nginx.conf").write_text(
                f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr; worker_processes 1; events {{}}\n"
                f"http {{ access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;\n"
                f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n{block}}}"
            )
            with (tmp_path / "nginx.log").open("wb") as log:
                command = [nginx, "-e", "stderr", "-c", tmp_path / "nginx.conf"]
                running.append(subprocess.Popen(command, stdout=log, stderr=log))
            wait_until(lambda: _listens(port))
            return f"https://localhost:{port}"

        yield start
        for process in running:
            process.terminate()
            process.wait()

    def test_the_documented_configuration_exits_with_0(self, check_url, front, certificate):
        url = front("1")
        trusted = {"SSL_CERT_FILE": str(certificate[1])}
        assert check_url(url, **trusted) == (0, [TLS, READY, SCHEME, AUTHORIZATION, CLOCK])

    @pytest.mark.parametrize("hops", ["0", "2"])
    def test_a_wrong_number_of_proxies_is_reported(self, check_url, front, certificate, hops):
        code, lines = check_url(front(hops), SSL_CERT_FILE=str(certificate[1]))
        assert (code, lines) == (1, [TLS, READY, KNOWS_NOT, AUTHORIZATION, CLOCK])

    def test_a_scheme_that_the_client_controls_is_reported(self, check_url, front, certificate):
        passed_on = {"X-Forwarded-Proto $scheme;": 'X-Forwarded-Proto "$http_x_forwarded_proto, https";'}
        code, lines = check_url(front("2", passed_on), SSL_CERT_FILE=str(certificate[1]))
        assert code == 1
        assert lines[2] in (BELIEVES, KNOWS_NOT)

    def test_a_proxy_that_drops_the_token_is_reported(self, check_url, front, certificate):
        url = front("1", {'proxy_set_header Connection "";': 'proxy_set_header Authorization "";'})
        code, lines = check_url(url, SSL_CERT_FILE=str(certificate[1]))
        assert code == 1
        assert lines[3] == (
            "wrong  headers: a bad token is answered 401 token_missing, not 401 token_invalid: the proxy must pass on "
            "Authorization, WWW-Authenticate and the body"
        )

    def test_an_untrusted_certificate_is_reported(self, check_url, front):
        code, lines = check_url(front("1"))
        assert code == 1
        (line,) = lines
        assert re.fullmatch("wrong  TLS: self.signed certificate", line)


def _listens(port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False
