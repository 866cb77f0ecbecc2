"""A SIGHUP that cannot work changes nothing and logs one line with the reason. A good one afterwards works."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt
import requests

from tests.conftest import SECRET, bearer
from tests.database import needs_embedded
from tests.server.processes import pass_guard, sign_up, wait_until
from tests.service import ROOT, Service, free_port

REFUSED = "the reload is refused and the running workers stay: "
SECOND_SECRET = "another-secret-that-the-operator-has-put-into-the-file"
BAD_SECRET = "a-bad-one-of-29-bytes-hunter2"


def refusals(service: Service) -> list[str]:
    return [line.partition(REFUSED)[2] for line in service.output().splitlines() if REFUSED in line]


def hang_up(service: Service) -> str:
    """Send a SIGHUP that is refused, and return the reason."""
    before = len(refusals(service))
    length = len(service.output())
    service.signal(signal.SIGHUP)
    wait_until(lambda: len(refusals(service)) > before)
    assert "Traceback" not in service.output()[length:]
    return refusals(service)[-1]


def reload(service: Service) -> None:
    """Send a SIGHUP that works."""
    old = service.workers()
    service.signal(signal.SIGHUP)
    wait_until(lambda: len(service.workers()) == len(old) and not set(old) & set(service.workers()))


@contextmanager
def asking(service: Service, token: str) -> Iterator[list[str]]:
    """Keep sending requests; yields the failures."""
    over, failures, served = threading.Event(), [], []

    def ask() -> None:
        while not over.wait(0.01):
            try:
                answer = requests.get(f"{service.url}/users/test", headers=bearer(token), timeout=15)
                if answer.status_code != 200:
                    failures.append(answer.text)
                served.append(answer.status_code)
            except requests.RequestException as error:
                failures.append(repr(error))

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield failures
        already = len(served)
        wait_until(lambda: len(served) > already + 10)  # the service still answers afterwards
    finally:
        over.set()
        client.join()


def test_a_bad_secret_in_a_file_is_refused_and_a_good_one_applies_after_the_next_reload(serve, tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    service = serve(FLASK_JWT_SECRET_KEY="", FLASK_JWT_SECRET_KEY_FILE=str(file))
    wait_until(lambda: len(service.workers()) == 2)
    token, workers = sign_up(service, "alice@example.com"), service.workers()
    with asking(service, token) as failures:
        file.write_text(BAD_SECRET)
        fault = "FLASK_JWT_SECRET_KEY must have at least 32 bytes; make one with: openssl rand -hex 32"
        assert hang_up(service) == f"the service cannot start: {fault}"
        file.unlink()
        fault = "FLASK_JWT_SECRET_KEY cannot be read from the file in FLASK_JWT_SECRET_KEY_FILE: FileNotFoundError"
        assert hang_up(service) == f"the service cannot start: {fault}"
        assert service.workers() == workers
    assert failures == []
    assert BAD_SECRET not in service.output()

    file.write_text(SECOND_SECRET)
    reload(service)
    assert pass_guard(service, token).status_code == 401
    token = sign_up(service, "bob@example.com")
    assert jwt.decode(token, SECOND_SECRET, ["HS256"])["email"] == "bob@example.com"
    assert pass_guard(service, token).status_code == 200
    assert service.stop() == 0


def test_a_replacement_of_a_dead_worker_has_the_settings_of_the_others(serve, tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    service = serve(FLASK_JWT_SECRET_KEY="", FLASK_JWT_SECRET_KEY_FILE=str(file))
    wait_until(lambda: len(service.workers()) == 2)
    token = sign_up(service, "alice@example.com")
    for content in (BAD_SECRET, SECOND_SECRET, None):  # the second one is good, but no reload has loaded it yet
        file.unlink() if content is None else file.write_text(content)
        if content == BAD_SECRET:
            hang_up(service)
        for worker in service.workers():
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda worker=worker: len(service.workers()) == 2 and worker not in service.workers())
        service.wait_until_ready()
        assert pass_guard(service, token).status_code == 200
    file.write_text(SECOND_SECRET)
    reload(service)
    assert pass_guard(service, token).status_code == 401


def test_several_faults_are_reported_in_one_line(serve, tmp_path):
    files = {name: tmp_path / name for name in ("FLASK_BCRYPT_QUEUE_FILE", "FLASK_CORS_ORIGINS_FILE")}
    files["FLASK_BCRYPT_QUEUE_FILE"].write_text("100")
    files["FLASK_CORS_ORIGINS_FILE"].write_text("https://app.example.com")
    service = serve(workers=1, FLASK_BCRYPT_QUEUE="", **{name: str(file) for name, file in files.items()})
    for file in files.values():
        file.write_text("*")
    assert hang_up(service) == (
        "the service cannot start: FLASK_BCRYPT_QUEUE must be a whole number from 0 to 1000, not '*'; "
        "FLASK_CORS_ORIGINS must be origins separated by commas, such as https://app.example.com, not '*'"
    )


def test_a_uri_that_only_the_driver_refuses_is_reported_without_its_password(serve, mongo_uri, tmp_path):
    file = tmp_path / "uri"
    file.write_text(mongo_uri)
    service = serve(workers=1, FLASK_MONGO_URI="", FLASK_MONGO_URI_FILE=str(file))
    file.write_text("mongodb://user:hunter2@127.0.0.1:99999/x")
    assert hang_up(service).startswith(
        "the service cannot start: FLASK_MONGO_URI is refused by the driver (ValueError)"
    )
    assert "hunter2" not in service.output()
    assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200


def test_an_application_that_does_not_load_is_refused(serve, tmp_path):
    module = tmp_path / "theirs.py"
    module.write_text("from wsgi import app\n")
    service = serve(workers=1, app="theirs:app", PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1")
    for source, reason in [
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("def", "SyntaxError: invalid syntax (theirs.py, line 1)"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit()", "the application did not load"),
        ("app = 7", "AppImportError: Application object must be callable."),
    ]:
        module.write_text(source)
        assert hang_up(service).startswith(reason)
        assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200
    module.write_text("from wsgi import app\n")
    reload(service)
    assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200


def test_a_bad_configuration_or_another_address_is_refused(serve, tmp_path):
    """The environment of a running process cannot change from outside, so an own configuration file changes it."""
    configuration = tmp_path / "configuration.py"
    ours = (ROOT / "gunicorn.conf.py").read_text()
    configuration.write_text(ours)
    metrics = tmp_path / "metrics"
    metrics.write_text("off")
    service = serve(workers=1, GUNICORN_CMD_ARGS=f"-c {configuration}", FLASK_METRICS_FILE=str(metrics))
    for source, address, reason in [
        (
            f"import os\nos.environ['WEB_CONCURRENCY'] = 'many'\n{ours}",
            "off",
            "WEB_CONCURRENCY must be a whole number from",
        ),
        (f"import os\nos.environ['PORT'] = '99999'\n{ours}", "off", "PORT must be a whole number from 0 to 65535"),
        (f"{ours}\nworkers = 'many'\n", "off", "Invalid value for workers: many; Error: "),
        (f"{ours}\ndef\n", "off", f"Failed to read config file: {configuration}; SyntaxError: invalid syntax"),
        (ours, f"127.0.0.1:{free_port()}", "it would listen elsewhere, which takes a restart"),
        (ours, "127.0.0.1:99999", "the service cannot start: FLASK_METRICS must be on, off or an address"),
    ]:
        configuration.write_text(source)
        metrics.write_text(address)
        assert hang_up(service).startswith(reason)
        assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200
    configuration.write_text(ours)
    metrics.write_text("off")
    reload(service)
    assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200


def test_an_application_that_hangs_is_refused_after_the_timeout(serve, tmp_path):
    module = tmp_path / "theirs.py"
    module.write_text("from wsgi import app\n")
    quick = tmp_path / "configuration.py"
    shutil.copy(ROOT / "gunicorn.conf.py", quick)
    with quick.open("a") as file:
        file.write("reloading.LOAD_TIMEOUT_SECONDS = 1.0\n")
    service = serve(
        workers=1,
        app="theirs:app",
        PYTHONPATH=str(tmp_path),
        PYTHONDONTWRITEBYTECODE="1",
        GUNICORN_CMD_ARGS=f"-c {quick}",
    )
    module.write_text("import time; time.sleep(1_000)")
    assert hang_up(service).startswith("the application did not load within ")
    assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200


def test_a_refused_reload_leaves_nothing_behind(serve, tmp_path):
    file = tmp_path / "queue"
    file.write_text("100")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    service = serve(workers=1, FLASK_BCRYPT_QUEUE="", FLASK_BCRYPT_QUEUE_FILE=str(file), TMPDIR=str(temporary))
    assert requests.get(f"{service.url}/metrics", timeout=10).status_code == 200
    descriptors = Path(f"/proc/{service.process.pid}/fd")
    file.write_text("many")
    hang_up(service)
    before = sorted(path.name for path in temporary.rglob("*")), len([*descriptors.iterdir()])
    hang_up(service)
    assert (sorted(path.name for path in temporary.rglob("*")), len([*descriptors.iterdir()])) == before
    assert service.stop() == 0
    assert not [*temporary.iterdir()]


@needs_embedded
def test_the_embedded_database_survives_a_refused_reload(tmp_path):
    file = tmp_path / "queue"
    file.write_text("100")
    environment = {"FLASK_INSTANCE_PATH": str(tmp_path / "instance"), "FLASK_BCRYPT_LOG_ROUNDS": "4",
                   "WEB_CONCURRENCY": "1", "FLASK_BCRYPT_QUEUE_FILE": str(file)}  # fmt: skip
    service = Service(tmp_path / "log", environment)
    try:
        service.wait_until_ready("/readyz")
        token = sign_up(service, "alice@example.com")
        file.write_text("many")
        assert "FLASK_BCRYPT_QUEUE must be a whole number" in hang_up(service)
        assert pass_guard(service, token).status_code == 200
        file.write_text("50")
        reload(service)
        assert pass_guard(service, token).status_code == 200
    finally:
        assert service.stop() == 0
