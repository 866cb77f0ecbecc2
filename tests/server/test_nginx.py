"""GET /auth/verify guards a service that is not ours, behind a real nginx, with the block of the README."""

import os
import re
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.conftest import ALICE, PASSWORD
from tests.service import ROOT, free_port


@pytest.fixture
def nginx_program():
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        message = "nginx is not installed: apt-get install nginx-light"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return found


@pytest.fixture
def upstream():
    """Somebody else's service: it answers with the headers that it was asked with."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            for name in ("X-Auth-User-Id", "X-Auth-Email", "X-Auth-Roles"):
                self.send_header(f"Seen-{name}", self.headers.get(name, "-"))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def nginx(nginx_program, upstream, serve, tmp_path):
    """The README's block, with this test's ports; the service behind it and its URL in front."""
    service = serve(workers=1)
    port = free_port()
    (block,) = re.findall(r"```nginx\n(# guards.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    block = block.replace("127.0.0.1:3000", f"127.0.0.1:{service.port}").replace(
        "127.0.0.1:8000", f"127.0.0.1:{upstream}"
    )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"""daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; worker_processes 1;
        events {{}}
        http {{
            access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;
            fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
            server {{ listen 127.0.0.1:{port}; {block} }}
        }}"""
    )
    process = subprocess.Popen([nginx_program, "-e", f"{tmp_path}/error.log", "-c", str(configuration)])
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        assert process.poll() is None, (tmp_path / "error.log").read_text()
        try:
            requests.get(url, timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    yield service.url, url
    process.terminate()
    process.wait()


def test_nginx_lets_pass_whom_we_let_pass(nginx, database):
    service, front = nginx
    assert requests.post(f"{service}/users", json={"email": ALICE, "password": PASSWORD}, timeout=10).ok
    pair = requests.post(f"{service}/auth", json={"email": ALICE, "password": PASSWORD}, timeout=10).json()
    token = {"Authorization": f"Bearer {pair['token']}"}

    passed = requests.get(f"{front}/private/report?x=1", headers={**token, "X-Auth-Roles": "admin"}, timeout=10)
    assert passed.status_code == 200
    assert passed.headers["Seen-X-Auth-User-Id"] == pair["user"]["id"]
    assert passed.headers["Seen-X-Auth-Email"] == ALICE
    assert passed.headers["Seen-X-Auth-Roles"] in ("", "-")  # what the client claims is not passed on

    refused = requests.get(f"{front}/private/report", timeout=10)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="authservice"'
    assert requests.get(f"{front}/private/admin/", headers=token, timeout=10).status_code == 403

    assert database.users.update_one({}, {"$set": {"roles": ["admin"]}}).modified_count == 1
    forged = {"X-Auth-User-Id": "forged", "X-Auth-Email": "forged", "X-Auth-Roles": "forged"}
    as_admin = requests.get(f"{front}/private/admin/", headers={**token, **forged}, timeout=10)
    assert as_admin.status_code == 200
    assert as_admin.headers["Seen-X-Auth-User-Id"] == pair["user"]["id"]
    assert as_admin.headers["Seen-X-Auth-Email"] == ALICE
    assert as_admin.headers["Seen-X-Auth-Roles"] == "admin"

    assert requests.delete(f"{service}/auth", headers=token, timeout=10).status_code == 204
    assert requests.get(f"{front}/private/report", headers=token, timeout=10).status_code == 401
