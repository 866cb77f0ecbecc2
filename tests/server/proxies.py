"""Real proxies with the blocks of docs/proxies.md, and another service as the backend, which records its requests."""

import http.client
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.server.processes import wait_until
from tests.service import ROOT, free_port

PACKAGES = {"nginx": "nginx-light", "caddy": "caddy", "haproxy": "haproxy"}


@dataclass(frozen=True)
class Asked:
    """A request as the backend received it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """All its values. A backend treats an empty header as missing."""
        return ", ".join(value for given, value in self.headers if given.lower() == name.lower())


class Backend:
    """Another service: lenient about paths, with an admin area that only X-Auth-Roles protects."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = b""
                if "Transfer-Encoding" in self.headers:
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size + 2)[:-2]
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, self.path, self.headers.items(), body)
                backend.asked.append(asked)
                may = not is_for_admins(asked.path) or "admin" in asked.header("X-Auth-Roles").split(",")
                self.send_response(200 if may else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port = self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def is_for_admins(path: str) -> bool:
    """As lenient as any framework: double encoding, backslashes, ``;parameters``, upper case."""
    plain = unquote(unquote(path.partition("?")[0])).replace("\\", "/").lower()
    return "admin" in [segment.partition(";")[0] for segment in plain.split("/")]


@dataclass(frozen=True)
class Front:
    """A running proxy."""

    port: int

    def ask(
        self, path: str, *headers: tuple[str, str], method: str = "GET", body: bytes = b"", chunked: bool = False
    ) -> http.client.HTTPResponse:
        """Send path and headers exactly as given, including repeated headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if chunked:
                connection.putheader("Transfer-Encoding", "chunked")
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            elif body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            answer.read()
            return answer
        finally:
            connection.close()


def block(language: str) -> str:
    """The block of docs/proxies.md that guards another service, or the script that belongs to it."""
    found = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/proxies.md").read_text(), re.DOTALL)
    (guards,) = [one for one in found if "guards the service" in one]
    return str(guards)


def find_program(name: str) -> str:
    """The path of a program. If it is missing, skip the test, or fail in CI."""
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None:
        message = f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return program


@contextmanager
def running(proxy: str, service: int, backend: int, directory: Path, edits: dict[str, str]) -> Iterator[Front]:
    """The proxy with its block from docs/proxies.md, these two ports, and ``edits`` as a reader would make them."""
    program = find_program(proxy)
    port = free_port()
    edits = {
        **edits,
        "127.0.0.1:3000": f"127.0.0.1:{service}",
        "127.0.0.1:8000": f"127.0.0.1:{backend}",
        "/etc/haproxy": str(directory),
    }

    def edited(text: str) -> str:
        for old, new in edits.items():
            text = text.replace(old, new)
        return text

    configure = {"nginx": _nginx, "caddy": _caddy, "haproxy": _haproxy}[proxy]
    arguments = configure(edited, port, directory)
    log = directory / f"{proxy}.log"
    environment = {**os.environ, "HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    with log.open("wb") as output:
        process = subprocess.Popen([program, *arguments], env=environment, stdout=output, stderr=output)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return Front(port).ask("/").status > 0
        except OSError:
            return False

    try:
        wait_until(answers, seconds=30)
        yield Front(port)
    finally:
        process.terminate()
        process.wait()


def _nginx(edited, port: int, directory: Path) -> list[str]:
    server = edited(block("nginx"))
    assert server.count("listen 443 ssl;") == 1
    server = server.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"""daemon off; pid {directory}/nginx.pid; error_log stderr; worker_processes 1;
        events {{}}
        http {{
            access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
            fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
            {server}
        }}"""
    )
    return ["-e", "stderr", "-c", str(configuration)]


def _caddy(edited, port: int, directory: Path) -> list[str]:
    site = edited(block("caddyfile"))
    assert site.count("app.example.com {") == 1
    site = site.replace("app.example.com {", f"http://127.0.0.1:{port} {{")
    configuration = directory / "Caddyfile"
    configuration.write_text(f"{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}}\n{site}")
    return ["run", "--adapter", "caddyfile", "--config", str(configuration)]


def _haproxy(edited, port: int, directory: Path) -> list[str]:
    whole = edited(block("haproxy"))
    assert whole.count("bind :443 ssl crt /etc/ssl/private/app.example.com.pem") == 1
    whole = whole.replace("bind :443 ssl crt /etc/ssl/private/app.example.com.pem", f"bind 127.0.0.1:{port}")
    (directory / "authservice.lua").write_text(edited(block("lua")))
    configuration = directory / "haproxy.cfg"
    configuration.write_text(
        f"defaults\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n{whole}"
    )
    return ["-db", "-f", str(configuration)]
