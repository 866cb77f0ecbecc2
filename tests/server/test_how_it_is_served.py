"""gunicorn.conf.py: where the service listens, what is switched off, and reloads without failures."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests

from authservice import errors
from authservice.config import BODY_MAX_BYTES
from authservice.serving.incoming import BODY_PART_BYTES, BODY_PART_SECONDS, HEAD_MAX_BYTES, HEAD_SECONDS
from tests.conftest import SECRET, bearer
from tests.server.processes import is_alive, run, sign_up, wait_until

RELOADS = 3


def configuration(*arguments: str, **environment: str) -> dict[str, str]:
    """The configuration that gunicorn would serve with."""
    printed = run("gunicorn", "--print-config", *arguments, "wsgi:app", FLASK_MONGO_URI="mongodb://127.0.0.1:1/x",
                  FLASK_JWT_SECRET_KEY=SECRET, **environment)  # fmt: skip
    assert printed.returncode == 0, printed.stderr
    pairs = [line.partition("=") for line in printed.stdout.splitlines()]
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_it_listens_on_the_tutorials_port_on_loopback_only():
    settings = configuration()
    assert settings["bind"] == "['127.0.0.1:3000']"
    assert settings["workers"] == "2"
    assert settings["control_socket_disable"] == "True"
    assert (settings["forwarder_headers"], settings["forwarded_allow_ips"]) == ("[]", "[]")
    assert settings["secure_scheme_headers"] == "{}"


def test_the_refusals_state_gunicorns_limits():
    settings = configuration()
    assert f"{int(settings['limit_request_line']):,}" in errors.UriTooLong.explanation
    assert f"{int(settings['limit_request_fields']):,}" in errors.HeadersTooLarge.explanation
    assert f"{int(settings['limit_request_field_size']):,}" in errors.HeadersTooLarge.explanation
    assert f"{HEAD_MAX_BYTES:,}" in errors.HeadersTooLarge.explanation
    assert f"{HEAD_SECONDS:.0f} seconds" in errors.RequestTimeout.explanation
    assert f"{BODY_PART_BYTES:,}" in errors.RequestTimeout.explanation
    assert (BODY_PART_SECONDS, BODY_PART_BYTES) == (HEAD_SECONDS, BODY_MAX_BYTES)


def test_port_host_and_bind_apply():
    settings = configuration(PORT="8081", HOST="0.0.0.0", WEB_CONCURRENCY="5")
    assert (settings["bind"], settings["workers"]) == ("['0.0.0.0:8081']", "5")
    settings = configuration("-b", "127.0.0.1:8082", "-w", "7", PORT="8081", WEB_CONCURRENCY="5")
    assert (settings["bind"], settings["workers"]) == ("['127.0.0.1:8082']", "7")


@pytest.mark.parametrize(
    ("variable", "text", "bounds"),
    [
        ("PORT", "http", "0 to 65535"),
        ("PORT", "65536", "0 to 65535"),
        ("PORT", "-1", "0 to 65535"),
        ("PORT", "", "0 to 65535"),
        ("WEB_CONCURRENCY", "0", "1 to 1000"),
    ],
)
def test_invalid_numbers_are_refused_in_one_sentence(variable, text, bounds):
    ended = run("gunicorn", "wsgi:app", **{variable: text})
    assert ended.returncode == 1
    assert ended.stderr == f"{variable} must be a whole number from {bounds}, not {text!r}\n"


def test_another_worker_class_is_refused_in_one_sentence():
    ended = run("gunicorn", "-k", "gthread", "wsgi:app", PORT="0")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "the worker class must be authservice.serving.worker.Worker, not gthread: leave out -k"
    )


def test_faulty_settings_are_listed_without_a_traceback(tmp_path):
    ended = run("gunicorn", "wsgi:app", PORT="0", FLASK_MONGO_URI="mongodb://127.0.0.1:1/", FLASK_BCRYPT_QUEUE="many")
    assert ended.returncode == 1
    assert ended.stderr.partition("the service cannot start:\n")[2].splitlines() == [
        "  - FLASK_MONGO_URI must name the database after the host, such as mongodb://127.0.0.1:27017/authexample",
        "  - FLASK_BCRYPT_QUEUE must be a whole number from 0 to 1000, not 'many'",
        "  - FLASK_JWT_SECRET_KEY is required with FLASK_MONGO_URI; make one with: openssl rand -hex 32",
    ]
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_uri_that_only_the_driver_refuses_stops_the_master():
    uri = "mongodb://user:hunter2@127.0.0.1:99999/x"
    # If two workers fail at the same moment, gunicorn itself may print a traceback.
    alone = {"WEB_CONCURRENCY": "1", "PORT": "0"}
    ended = run("gunicorn", "wsgi:app", FLASK_MONGO_URI=uri, FLASK_JWT_SECRET_KEY=SECRET, **alone)
    assert ended.returncode == 3
    assert "  - FLASK_MONGO_URI is refused by the driver (ValueError)" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr


def test_a_database_without_tls_logs_one_warning(serve):
    """Once for all workers, and not again at a reload. The log does not repeat the URI."""
    uri = "mongodb://user:hunter2@127.1:1/x"  # this machine, in a spelling that is not recognised
    service = serve(workers=2, FLASK_MONGO_URI=uri, FLASK_MONGO_TIMEOUT_MS="100")
    workers = service.workers()
    service.signal(signal.SIGHUP)
    wait_until(lambda: len(service.workers()) == 2 and not set(workers) & set(service.workers()))
    warnings = [line for line in service.output().splitlines() if "without TLS" in line]
    assert [line.partition("] FLASK_MONGO_URI ")[2] for line in warnings] == [
        "connects to another machine without TLS: anybody on the network path can read the users and the database "
        "password; add tls=true"
    ]
    assert "hunter2" not in service.output()


def test_there_is_no_control_socket(serve, tmp_path):
    service = serve(workers=1, HOME=str(tmp_path / "home"), XDG_RUNTIME_DIR=str(tmp_path / "run"))
    assert requests.get(f"{service.url}/readyz", timeout=5).status_code == 200
    assert "ontrol socket" not in service.output()
    listed = Path("/proc/net/unix").read_text() if Path("/proc/net/unix").exists() else ""
    assert str(tmp_path) not in listed
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "run").exists()


def test_no_request_fails_during_reloads_under_load(serve):
    service = serve()
    token = sign_up(service, "alice@example.com")
    over, failures, served = threading.Event(), [], itertools.count()

    def keep_asking(kept_alive: bool) -> None:
        session = requests.Session()
        while not over.is_set():
            try:
                ask = session.get if kept_alive else requests.get
                answer = ask(f"{service.url}/users/test", headers=bearer(token), timeout=15)
                if answer.status_code != 200:
                    failures.append(answer.text)
                next(served)
            except requests.RequestException as error:
                failures.append(repr(error))
            time.sleep(0.005)
        session.close()

    clients = [threading.Thread(target=keep_asking, args=(kept_alive,)) for kept_alive in (True, True, False, False)]
    for client in clients:
        client.start()
    try:
        for _ in range(RELOADS):
            wait_until(lambda: len(service.workers()) == 2)
            before = service.workers()
            service.signal(signal.SIGHUP)
            wait_until(lambda before=before: service.workers() and not set(before) & set(service.workers()))
    finally:
        over.set()
        for client in clients:
            client.join()
    assert failures == []
    assert next(served) > 50


def test_workers_of_a_killed_master_finish_their_requests_and_end(serve):
    service = serve(workers=1, FLASK_BCRYPT_LOG_ROUNDS="14")
    (worker,) = service.workers()
    answers = []
    body = {"email": "alice@example.com", "password": "correct horse battery"}
    asking = threading.Thread(
        target=lambda: answers.append(requests.post(f"{service.url}/users", json=body, timeout=60))
    )
    asking.start()
    wait_until(
        lambda: "authservice_password_hashes_in_progress 1.0" in requests.get(f"{service.url}/metrics", timeout=10).text
    )
    service.signal(signal.SIGKILL)
    asking.join()
    assert answers[0].status_code == 201
    wait_until(lambda: not is_alive(worker))


@pytest.mark.skipif(not os.environ.get("CI") and shutil.which("openssl") is None, reason="openssl is not installed")
def test_it_can_serve_tls_itself(serve, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, "-keyout", key, "-out",
         certificate], check=True, capture_output=True,
    )  # fmt: skip
    service = serve(workers=1, ready="", GUNICORN_CMD_ARGS=f"--certfile {certificate} --keyfile {key}")
    url = f"https://localhost:{service.port}/healthz"
    wait_until(lambda: "Booting worker" in service.output())
    with requests.Session() as session:
        for _ in range(2):
            answer = session.get(url, verify=certificate, timeout=30)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert answer.headers["Strict-Transport-Security"]
    with socket.create_connection(
        ("127.0.0.1", service.port), 10
    ) as silent:  # a client that never starts the handshake
        assert requests.get(url, verify=certificate, timeout=10).status_code == 200
        silent.close()
