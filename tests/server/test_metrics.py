"""/metrics: one set of metrics for all workers, correct after a worker has died, on its own address if wanted."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import pytest
import requests

from tests.conftest import ALICE, PASSWORD
from tests.server.processes import wait_until
from tests.service import free_port


def figure(url, name):
    """The sum of a metric over all labels that ``name`` leaves out."""
    answer = requests.get(f"{url}/metrics", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    lines = [line for line in answer.text.splitlines() if line.startswith(name)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_the_metrics_cover_all_workers_and_survive_the_death_of_one(serve):
    service = serve(workers=2, FLASK_BCRYPT_QUEUE="0")
    url = service.url
    credentials = {"email": ALICE, "password": PASSWORD}
    assert requests.post(f"{url}/users", json=credentials, timeout=10).status_code == 201
    for password, status in [(PASSWORD, 200), ("wrong", 401), ("wrong", 401)]:
        body = {"email": ALICE, "password": password}
        assert requests.post(f"{url}/auth", json=body, timeout=10).status_code == status
    device = requests.post(f"{url}/auth", json=credentials, timeout=10).json()["deviceToken"]
    for password, status in [(PASSWORD, 200), ("wrong", 401)]:
        body = {"email": ALICE, "password": password, "deviceToken": device}
        assert requests.post(f"{url}/auth", json=body, timeout=10).status_code == status
    for _ in range(40):
        assert requests.get(f"{url}/users/test", timeout=10).status_code == 401
    refused = 'authservice_http_requests_total{method="GET",route="/users/test",status="401"}'
    assert figure(url, refused) == 40
    assert figure(url, 'authservice_http_request_duration_seconds_count{method="GET",route="/users/test"}') == 40
    assert figure(url, 'authservice_sign_ins_total{device="new",outcome="ok"}') == 2
    assert figure(url, 'authservice_sign_ins_total{device="new",outcome="refused"}') == 2
    assert figure(url, 'authservice_sign_ins_total{device="known",outcome="ok"}') == 1
    assert figure(url, 'authservice_sign_ins_total{device="known",outcome="refused"}') == 1
    assert figure(url, 'authservice_database_operation_duration_seconds_count{operation="insert"}') == 1
    assert figure(url, "authservice_password_hashes_in_progress") == 0

    os.kill(service.workers()[0], signal.SIGKILL)
    time.sleep(0.5)
    service.wait_until_ready()
    assert figure(url, refused) == 40


def test_the_version_is_told_once_by_all_workers_together(serve):
    service = serve(workers=2)
    told = f'authservice_build_info{{version="{version("authservice")}"}} 1.0'

    def shown():
        text = requests.get(f"{service.url}/metrics", timeout=10).text
        return [line for line in text.splitlines() if line.startswith("authservice_build_info")]

    assert shown() == [told]
    before = service.workers()
    service.signal(signal.SIGHUP)
    wait_until(lambda: len(service.workers()) == 2 and not set(before) & set(service.workers()))
    os.kill(service.workers()[0], signal.SIGKILL)
    wait_until(lambda: len(service.workers()) == 2)
    assert shown() == [told]


def test_a_refused_hash_is_counted(serve):
    service = serve(workers=1, FLASK_BCRYPT_QUEUE="0", FLASK_BCRYPT_LOG_ROUNDS="12")
    body = {"email": ALICE, "password": PASSWORD}
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: requests.post(f"{service.url}/auth", json=body, timeout=30), range(3)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 401
    assert statuses[-1] == 503
    assert figure(service.url, "authservice_password_hashes_refused_total") == statuses.count(503)


def test_client_input_never_becomes_a_label(serve):
    service = serve(workers=1)
    for path in ("/nothing", "/nothing/else", "/users/%00"):
        assert requests.get(service.url + path, timeout=10).status_code == 404
    assert requests.request("BREW", service.url + "/users", timeout=10).status_code == 405
    text = requests.get(f"{service.url}/metrics", timeout=10).text
    assert "nothing" not in text
    assert "BREW" not in text
    assert 'route="none",status="404"} 3.0' in text


def test_metrics_can_be_switched_off(serve):
    service = serve(workers=1, FLASK_METRICS="off")
    assert requests.get(f"{service.url}/metrics", timeout=10).status_code == 404


def test_metrics_can_have_their_own_address(serve):
    port = free_port()
    service = serve(workers=1, FLASK_METRICS=f"127.0.0.1:{port}", FLASK_TRUSTED_PROXIES="1")
    forged = {"Host": f"127.0.0.1:{port}", "X-Forwarded-Host": f"127.0.0.1:{port}", "X-Forwarded-Port": str(port)}
    assert requests.get(f"{service.url}/metrics", headers=forged, timeout=10).status_code == 404
    assert requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).status_code == 200


def test_the_metrics_address_serves_nothing_else(serve):
    port = free_port()
    service = serve(workers=1, FLASK_METRICS=f"localhost:{port}", FLASK_TRUSTED_PROXIES="1")
    url = f"http://127.0.0.1:{port}"
    forged = {"Host": f"127.0.0.1:{service.port}", "X-Forwarded-Host": f"127.0.0.1:{service.port}"}
    for path in ("/metrics", "/healthz"):
        assert requests.get(url + path, headers=forged, timeout=10).status_code == 200
    for method, path in [
        ("POST", "/users"),
        ("POST", "/auth"),
        ("OPTIONS", "/auth"),
        ("GET", "/users/me"),
        ("GET", "/users//me"),
        ("GET", "/admin/users"),
        ("GET", "/readyz"),
        ("GET", "/openapi.json"),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/metrics/"),
        ("POST", "/healthz"),
    ]:
        answer = requests.request(method, url + path, json={}, headers=forged, allow_redirects=False, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is a local address on Linux only")
def test_the_same_port_on_another_address_serves_no_metrics(serve):
    port = free_port()
    public, private = f"127.0.0.1:{port}", f"127.0.0.2:{port}"
    service = serve(workers=1, ready="", FLASK_METRICS=private, GUNICORN_CMD_ARGS=f"-b {public} -b {private}")
    wait_until(lambda: "Booting worker" in service.output())
    assert requests.get(f"http://{public}/metrics", timeout=10).status_code == 404
    assert requests.get(f"http://{public}/openapi.json", timeout=10).status_code == 200
    assert requests.get(f"http://{private}/metrics", timeout=10).status_code == 200
    assert requests.get(f"http://{private}/openapi.json", timeout=10).status_code == 404


def test_the_metrics_directory_is_removed_with_the_service(serve, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    service = serve(workers=1, TMPDIR=str(temporary))
    assert figure(service.url, "authservice_password_hashes_in_progress") == 0
    assert [entry.name.startswith("authservice-metrics-") for entry in temporary.iterdir()] == [True]
    assert service.stop() == 0
    assert not [*temporary.iterdir()]
