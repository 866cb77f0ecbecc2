"""Five hundred slow connections: the silent ones hold no thread, and nginx holds off the ones that drip."""

import os
import re
import selectors
import shutil
import socket
import subprocess
import time

import pytest
import requests

from tests.conftest import bearer
from tests.server.processes import pass_guard, sign_up
from tests.service import ROOT, free_port

pytestmark = pytest.mark.faults
CONNECTIONS = 500
FRESH_SECONDS = 0.25
HEAD = b"POST /auth HTTP/1.1\r\nHost: auth.example.com\r\nContent-Type: application/json\r\nContent-Length: 200\r\n"


def connect(port):
    return [socket.create_connection(("127.0.0.1", port), 10) for _ in range(CONNECTIONS)]


def drip(connections, number):
    """One byte more on each: of the headers on the even ones, of the body on the others."""
    for index, connection in enumerate(connections):
        whole = HEAD + (b"X-Slow: " + b"a" * 500 if index % 2 == 0 else b"\r\n" + b" " * 200)
        start = 20 if index % 2 == 0 else len(HEAD) + 2
        connection.send(whole[:start] if number == 0 else whole[start + number - 1 : start + number])


def seconds_of_fresh_requests(url, token):
    """Each on a connection of its own; the median, so that one hiccup of the machine is none of the service."""
    taken = []
    for _ in range(11):
        answer = requests.get(f"{url}/users/test", headers=bearer(token), timeout=10)
        assert answer.status_code == 200
        taken.append(answer.elapsed.total_seconds())
    return sorted(taken)[5]


@pytest.fixture
def nginx(tmp_path):
    """Start nginx with the README's server block in front of a service; without TLS, and on a port of its own."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        message = "nginx is not installed: apt-get install nginx-light"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    running = []

    def start(service):
        port = free_port()
        (block,) = re.findall(r"```nginx\n(server \{.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        block = block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
        block = re.sub(r" *ssl_certificate.*\n", "", block)  # the certificate is the reader's
        block = block.replace("127.0.0.1:3000", f"127.0.0.1:{service.port}")
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(
            f"""daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; worker_processes 1;
            events {{ worker_connections 2048; }}
            http {{
                access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;
                fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
                {block}
            }}"""
        )
        process = subprocess.Popen([program, "-e", f"{tmp_path}/error.log", "-c", str(configuration)])
        running.append(process)
        for _ in range(100):
            assert process.poll() is None, (tmp_path / "error.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        return port

    yield start
    for process in running:
        process.terminate()
        process.wait()


def test_500_dripping_connections_do_not_slow_a_fresh_request_behind_nginx(serve, nginx):
    service = serve(FLASK_TRUSTED_PROXIES="1")
    token = sign_up(service, "alice@example.com")
    port = nginx(service)
    connections = connect(port)
    try:
        for number in range(6):
            drip(connections, number)
            assert seconds_of_fresh_requests(f"http://127.0.0.1:{port}", token) < FRESH_SECONDS
            time.sleep(0.5)
        with selectors.DefaultSelector() as waiting:  # they were slow all the while, and not refused
            for connection in connections:
                waiting.register(connection, selectors.EVENT_READ)
            assert waiting.select(0) == []
    finally:
        for connection in connections:
            connection.close()


def test_500_silent_connections_do_not_slow_a_fresh_request_even_without_nginx(serve):
    service = serve()
    token = sign_up(service, "alice@example.com")
    connections = connect(service.port)
    try:
        time.sleep(0.5)
        for _ in range(3):
            assert seconds_of_fresh_requests(service.url, token) < FRESH_SECONDS
            time.sleep(0.5)
    finally:
        for connection in connections:
            connection.close()
    assert pass_guard(service, token).status_code == 200
