"""Start the service with two workers, drive it with wrk, print a table, and write bench/results/latest.json.

Everything runs on the same cores in one run, one part after the other, so the ratios mean more than the figures.
"""

import base64
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import URLError

from authservice import create_app, embedded
from authservice.security.passwords import HASHING_NICENESS
from bench import bare_flask

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "latest.json"
SECRET = "the-bench-signs-with-this-secret-and-nothing-else-does"
PASSWORD = "correct horse battery"
GUARDED = {"email": "natalie@example.com", "password": PASSWORD}
STORMING = {"email": "alice@example.com", "password": PASSWORD}  # whose sessions drop each other
WORKERS = 2
LOG_ROUNDS = 10  # a hash is short enough that some hundreds fit into a run
SECONDS = int(os.environ.get("BENCH_SECONDS", "6"))
IN_PROCESS_REQUESTS = 400
IN_PROCESS_ROUNDS = 15

BCRYPT_CHECKS = f"""
import bcrypt, os, time
os.nice({HASHING_NICENESS})
hashed = bcrypt.hashpw(b"x", bcrypt.gensalt({LOG_ROUNDS}))
checks, started = 0, time.perf_counter()
while time.perf_counter() - started < {SECONDS}:
    bcrypt.checkpw(b"y", hashed)
    checks += 1
print(checks / (time.perf_counter() - started))
"""


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as directory:
        database = embedded.start(Path(directory) / "database")
        try:
            figures = measure(database, Path(directory))
        finally:
            database.stop()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(table(figures))


def measure(database: embedded.Server, directory: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "load_average": []}
    figures["load_average"].append(os.getloadavg()[0])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FLASK_")},
        "FLASK_MONGO_URI": database.uri,
        "FLASK_JWT_SECRET_KEY": SECRET,
        "FLASK_BCRYPT_LOG_ROUNDS": str(LOG_ROUNDS),
        "FLASK_MAX_SESSIONS": "20",
        "WEB_CONCURRENCY": str(WORKERS),
    }
    server = database_pid(database)
    gunicorn = [sys.executable, "-m", "gunicorn"]
    started = time.monotonic()
    with serving([*gunicorn, "wsgi:app"], environment, directory / "service.log", "/readyz") as (url, master):
        figures["start_up_seconds"] = time.monotonic() - started
        for credentials in (GUARDED, STORMING):
            post(f"{url}/users", credentials)
        token, user = (signed_in := post(f"{url}/auth", GUARDED))["token"], signed_in["user"]["id"]
        bearer = ["-H", f"Authorization: Bearer {token}"]
        wrk(f"{url}/users/test", 16, *bearer, seconds=1)
        for connections in (16, 64):
            before = cpu_seconds(server), cpu_seconds(*workers_of(master))
            guarded = wrk(f"{url}/users/test", connections, *bearer)
            guarded["database_cpu_us"] = (cpu_seconds(server) - before[0]) / guarded["ok"] * 1e6
            guarded["service_cpu_us"] = (cpu_seconds(*workers_of(master)) - before[1]) / guarded["ok"] * 1e6
            figures[f"guarded_{connections}"] = guarded
        figures["bcrypt_limit"] = [bcrypt_limit()]
        for connections in (8, 32):
            figures[f"sign_in_{connections}"] = sign_ins(url, connections)
        figures["bcrypt_limit"].append(bcrypt_limit())
        storm = threading.Thread(target=sign_ins, args=(url, 64), kwargs={"seconds": SECONDS + 2})
        storm.start()
        time.sleep(1)
        figures["guarded_in_storm"] = wrk(f"{url}/users/test", 2, *bearer)
        storm.join()
        figures["worker_memory_mib"] = [proportional_mib(pid) for pid in workers_of(master)]

    session = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["sid"]
    bare = {**environment, "BENCH_MONGO_URI": database.uri, "BENCH_USER_ID": user, "BENCH_SESSION_ID": session}
    plain = ["-c", os.devnull, "--keep-alive", "30", "-w", str(WORKERS), "--log-level", "warning"]
    flask = [*gunicorn, *plain, "-k", "gthread", "--threads", "4", "bench.bare_flask:create_app()"]
    with serving(flask, bare, directory / "flask.log", "/users/test") as (url, _):
        wrk(f"{url}/users/test", 16, seconds=1)
        for connections in (16, 64):
            figures[f"bare_flask_{connections}"] = wrk(f"{url}/users/test", connections)
    fastapi = [sys.executable, "-m", "uvicorn", "--workers", str(WORKERS), "--log-level", "warning",
               "--no-access-log", "bench.bare_fastapi:app"]  # fmt: skip
    with serving(fastapi, bare, directory / "fastapi.log", "/users/test") as (url, _):
        wrk(f"{url}/users/test", 16, seconds=1)
        for connections in (16, 64):
            figures[f"bare_fastapi_{connections}"] = wrk(f"{url}/users/test", connections)
    figures["cpu"] = cpu_per_request(bare, token)
    figures["load_average"].append(os.getloadavg()[0])
    return figures


def cpu_per_request(environment: dict[str, str], token: str) -> dict[str, float]:
    """Microseconds of CPU of a guarded request and of the bare Flask route, in turns, in this process."""
    os.environ.update(environment)
    settings = {"MONGO_URI": environment["FLASK_MONGO_URI"], "JWT_SECRET_KEY": SECRET}
    # The log goes where nobody looks, but is written.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        apps = {"guarded": create_app(settings), "bare_flask": bare_flask.create_app()}

        def ask(name: str) -> float:
            environ = {
                "REQUEST_METHOD": "GET", "PATH_INFO": "/users/test", "SCRIPT_NAME": "", "QUERY_STRING": "",
                "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "3000", "SERVER_PROTOCOL": "HTTP/1.1",
                "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1", "HTTP_AUTHORIZATION": f"Bearer {token}",
                "wsgi.url_scheme": "http", "wsgi.errors": nowhere, "wsgi.input": None, "wsgi.version": (1, 0),
                "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
            }  # fmt: skip
            statuses: list[str] = []

            def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
                statuses.append(status)

            started = time.thread_time()
            for _ in range(IN_PROCESS_REQUESTS):
                b"".join(apps[name].wsgi_app(dict(environ), start_response))
            taken = time.thread_time() - started
            assert set(statuses) == {"200 OK"}, set(statuses)
            return taken / IN_PROCESS_REQUESTS * 1e6

        for name in apps:
            ask(name)
        taken = [(ask("guarded"), ask("bare_flask")) for _ in range(IN_PROCESS_ROUNDS)]
    return {
        "guarded_us": statistics.median(guarded for guarded, _ in taken),
        "bare_flask_us": statistics.median(bare for _, bare in taken),
        "ratio": statistics.median(guarded / bare for guarded, bare in taken),
    }


def sign_ins(url: str, connections: int, seconds: int = SECONDS) -> dict[str, float]:
    """As many as possible; what the gate refuses comes again after its Retry-After."""
    body = json.dumps(STORMING)
    script = Path(__file__).with_name("wrk.lua").read_text()
    script += f"\nwrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{body}'\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        return wrk(f"{url}/auth", connections, script=file.name, seconds=seconds)


def wrk(url: str, connections: int, *arguments: str, script: str = "", seconds: int = SECONDS) -> dict[str, float]:
    """What wrk counted; ``rate`` is of the answers with status 200 alone."""
    script = script or str(Path(__file__).with_name("wrk.lua"))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", script, *arguments, url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counted: dict[str, float] = json.loads(printed.partition("JSON ")[2])
    if counted["other"] or counted["unanswered"]:
        sys.exit(f"{url}: not all was answered well: {counted}")
    counted["rate"] = counted["ok"] / counted["seconds"]
    return counted


def bcrypt_limit() -> float:
    """Checks a second of as many processes as there are workers, at the priority that hashing has in them."""
    running = [
        subprocess.Popen([sys.executable, "-c", BCRYPT_CHECKS], stdout=subprocess.PIPE, text=True)
        for _ in range(WORKERS)
    ]
    return sum(float(process.communicate()[0]) for process in running)


@contextlib.contextmanager
def serving(command: list[str], environment: dict[str, str], log: Path, path: str) -> Iterator[tuple[str, int]]:
    """A server on a free port, from its first 200 on; its URL and pid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = ["--port", str(port)] if "uvicorn" in command else []
    bind = ["-b", f"127.0.0.1:{port}"] if "gunicorn" in command and "wsgi:app" not in command else []
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, *here, *bind],
            cwd=ROOT,
            env={**environment, "PORT": str(port)},
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            if process.poll() is not None:
                sys.exit(log.read_text())
            try:
                request.urlopen(url + path, timeout=10).close()
                break
            except (URLError, ConnectionError):
                time.sleep(0.01)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def post(url: str, body: dict[str, str]) -> Any:
    asked = request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with request.urlopen(asked, timeout=10) as answer:
        return json.load(answer)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(master: int) -> list[int]:
    return [pid for pid in children(master) if b"gunicorn" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def database_pid(database: embedded.Server) -> int:
    (pid,) = children(database.keeper.pid)
    return pid


def cpu_seconds(*pids: int) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def proportional_mib(pid: int) -> float:
    """Memory of a process, with what it shares divided among those that share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no Pss")


def machine() -> str:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(": ")[2]
            break
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Python {platform.python_version()}"


def table(figures: dict[str, Any]) -> str:
    """In Markdown, for the README."""
    limit = statistics.mean(figures["bcrypt_limit"])
    lines = [
        f"{figures['date']}, {figures['machine']}, load average "
        f"{figures['load_average'][0]:.1f} before and {figures['load_average'][1]:.1f} after.",
        "",
        "| what | figure |",
        "|---|---|",
    ]
    names = {
        "guarded": "guarded route",
        "bare_flask": "bare Flask + find_one",
        "bare_fastapi": "bare FastAPI + find_one",
    }
    for connections in (16, 64):
        for key, name in names.items():
            found = figures[f"{key}_{connections}"]
            lines.append(
                f"| {name}, {connections} connections | {found['rate']:,.0f}/s, "
                f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms |"
            )
    cpu = figures["cpu"]
    lines.append(
        f"| CPU of a guarded request against bare Flask | {cpu['guarded_us']:.0f} us / {cpu['bare_flask_us']:.0f} us "
        f"= {cpu['ratio']:.2f} |"
    )
    for connections in (8, 32):
        found = figures[f"sign_in_{connections}"]
        lines.append(
            f"| sign-ins, {connections} connections, bcrypt cost {LOG_ROUNDS} | {found['rate']:.1f}/s of "
            f"{limit:.1f} raw checks/s = {found['rate'] / limit:.2f} |"
        )
    storm = figures["guarded_in_storm"]
    guarded = figures["guarded_16"]
    lines += [
        f"| guarded route while 64 clients sign in | p50 {storm['p50_ms']:.1f} ms, p99 {storm['p99_ms']:.1f} ms |",
        f"| CPU of the database for a guarded request | {guarded['database_cpu_us']:.0f} us |",
        f"| start-up to the first 200 | {figures['start_up_seconds']:.2f} s |",
        f"| memory of a worker (PSS) | {max(figures['worker_memory_mib']):.0f} MiB |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
