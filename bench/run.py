"""Drive the service and its peers with wrk, print a table, and write bench/results/latest.json.

Everything runs on the same cores in one run. Compared servers are measured in turns, and the median of the turns
counts. The ratios are more reliable than the figures.
"""

import base64
import contextlib
import json
import logging
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
from urllib.error import HTTPError, URLError

import bson
from pymongo import MongoClient

from authservice import create_app, embedded
from authservice.security.hashing_gate import HASHING_NICENESS
from bench import bare_flask
from bench.table import table

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "latest.json"
NESTJS = Path(__file__).parent / "nestjs"
SECRET = "the-bench-signs-with-this-secret-and-nothing-else-does"
PASSWORD = "correct horse battery"
PEOPLE = 64  # their tokens take turns
WORKERS = 2
COSTS = (10, 12)  # the tutorial's, and the default
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))  # per turn; sign-ins are slower, so their turns are longer
TURNS = 3
IN_PROCESS_REQUESTS = 400
IN_PROCESS_TURNS = 15
GUNICORN = [sys.executable, "-m", "gunicorn"]
# Each reads PORT. The service runs as shipped, the others as documented, with keep-alive.
PEERS = {
    "authservice": [*GUNICORN, "wsgi:app"],
    "bare Flask + find_one (gthread)": [
        *GUNICORN, "-c", os.devnull, "--keep-alive", "30", "-w", str(WORKERS), "--log-level", "warning",
        "-k", "gthread", "--threads", "4", "-b", "127.0.0.1:PORT", "bench.bare_flask:create_app()",
    ],
    "bare FastAPI + find_one (uvicorn, async)": [
        sys.executable, "-m", "uvicorn", "--workers", str(WORKERS), "--log-level", "warning", "--no-access-log",
        "--port", "PORT", "bench.bare_fastapi:app",
    ],
    "the tutorial's NestJS app": ["node", str(NESTJS / "main.js")],
}  # fmt: skip

BCRYPT_CHECKS = f"""
import bcrypt, os, sys, time
os.nice({HASHING_NICENESS})
cost, seconds = int(sys.argv[1]), float(sys.argv[2])
hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(cost))
checks, started = 0, time.perf_counter()
while time.perf_counter() - started < seconds:
    bcrypt.checkpw(b"y", hashed)
    checks += 1
print(checks / (time.perf_counter() - started))
"""


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    peers = dict(PEERS)
    if shutil.which("npm") is None:
        print("npm is not installed, so the tutorial's NestJS app is not measured")
        peers.popitem()
    else:
        subprocess.run(["npm", "--prefix", str(NESTJS), "ci", "--silent"], check=True)
    with tempfile.TemporaryDirectory() as directory:
        database = embedded.start(Path(directory) / "database")
        try:
            figures = measure(peers, database, Path(directory))
        finally:
            database.stop()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(table(figures))


def measure(peers: dict[str, list[str]], database: embedded.Server, directory: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "machine": machine()}
    load_average = [os.getloadavg()[0]]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FLASK_")},
        "FLASK_MONGO_URI": database.uri,
        "FLASK_JWT_SECRET_KEY": SECRET,
        "FLASK_LIMIT_EXEMPT": "127.0.0.1",  # one client signs in more often than people do; the account still counts
        "WEB_CONCURRENCY": str(WORKERS),
    }
    progress("starting up")
    started = time.monotonic()
    with serving(PEERS["authservice"], environment, directory, "/readyz"):
        figures["start_up_seconds"] = time.monotonic() - started
    with serving(PEERS["authservice"], {**environment, "FLASK_BCRYPT_LOG_ROUNDS": "4"}, directory, "/readyz") as (
        url,
        _,
    ):
        tokens = [sign_up(url, f"person-{number}@example.com") for number in range(PEOPLE)]
    claims = json.loads(base64.urlsafe_b64decode(tokens[0].split(".")[1] + "=="))
    environment |= {"BENCH_USER_ID": claims["sub"], "BENCH_SESSION_ID": claims["sid"]}
    people = directory / "tokens"
    people.write_text("\n".join(tokens))
    with MongoClient[dict[str, Any]](database.uri) as client:
        documents = b"".join(bson.encode(person) for person in client.get_default_database().users.find())
    server = children(database.keeper.pid)[0]
    figures["guarded"] = {"embedded": guarded(peers, environment, database.uri, server, people)}
    with instant_mongo(documents) as (uri, pid):
        figures["guarded"]["instant"] = guarded(peers, environment, uri, pid, people)
    figures["cpu"] = cpu_per_request({**environment, "BENCH_MONGO_URI": database.uri}, tokens[0])
    figures["sign_in"] = {str(cost): sign_in(cost, environment, directory) for cost in COSTS}
    progress("guarded requests in a storm of sign-ins")
    with serving(PEERS["authservice"], environment, directory, "/readyz") as (url, master):
        post(f"{url}/users", {"email": "storm@example.com", "password": PASSWORD})
        storm = threading.Thread(target=sign_ins, args=(url, 64, 4 * SECONDS, "storm@example.com"))
        storm.start()
        time.sleep(SECONDS)
        figures["guarded_in_storm"] = wrk(f"{url}/users/test", 2, people, seconds=2 * SECONDS)
        storm.join()
        figures["worker_memory_mib"] = [proportional_mib(pid) for pid in children(master)]
    return {**figures, "load_average": [*load_average, os.getloadavg()[0]]}


def guarded(peers: dict[str, list[str]], environment: dict[str, str], uri: str, server: int, people: Path) -> Any:
    """Connections -> peer -> figures. All servers run all the time, and are measured in turns."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {"16": {}, "64": {}}
    token = people.read_text().partition("\n")[0]
    with contextlib.ExitStack() as running:
        environment = {**environment, "FLASK_MONGO_URI": uri, "BENCH_MONGO_URI": uri}
        urls = {
            name: running.enter_context(serving(command, environment, people.parent, "/users/test", token))
            for name, command in peers.items()
        }
        for url, _ in urls.values():
            wrk(f"{url}/users/test", 64, people, seconds=1)
        for turn in range(TURNS):
            progress(f"guarded requests, turn {turn + 1} of {TURNS}")
            for connections, of_peer in found.items():
                for name, (url, master) in urls.items():
                    before = cpu_seconds(server), cpu_seconds(*children(master))
                    counted = wrk(f"{url}/users/test", int(connections), people)
                    counted["database_cpu_us"] = (cpu_seconds(server) - before[0]) / counted["ok"] * 1e6
                    counted["service_cpu_us"] = (cpu_seconds(*children(master)) - before[1]) / counted["ok"] * 1e6
                    of_peer.setdefault(name, []).append(counted)
    return {
        connections: {name: medians(turns) for name, turns in of_peer.items()} for connections, of_peer in found.items()
    }


def sign_in(cost: int, environment: dict[str, str], directory: Path) -> dict[str, Any]:
    """Connections -> figures, each turn between two measurements of what bcrypt can do."""
    seconds = SECONDS * (4 if cost == 12 else 2)
    found: dict[str, list[dict[str, float]]] = {"8": [], "32": []}
    with serving(PEERS["authservice"], {**environment, "FLASK_BCRYPT_LOG_ROUNDS": str(cost)}, directory, "/readyz") as (
        url,
        _,
    ):
        email = f"cost-{cost}@example.com"
        post(f"{url}/users", {"email": email, "password": PASSWORD})
        sign_ins(url, 8, 1, email)
        limits = [bcrypt_limit(cost, seconds)]
        for turn in range(TURNS):
            progress(f"sign-ins at cost {cost}, turn {turn + 1} of {TURNS}")
            for connections, turns in found.items():
                counted = sign_ins(url, int(connections), seconds, email)
                limits.append(bcrypt_limit(cost, seconds))
                counted["ratio"] = counted["rate"] / statistics.mean(limits[-2:])
                turns.append(counted)
    return {
        "bcrypt_limit": statistics.median(limits),
        **{connections: medians(turns) for connections, turns in found.items()},
    }


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}


def progress(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def cpu_per_request(environment: dict[str, str], token: str) -> dict[str, float]:
    """Microseconds of CPU of a guarded request and of the bare Flask route, in turns, in this process."""
    os.environ.update(environment)
    settings = {"MONGO_URI": environment["FLASK_MONGO_URI"], "JWT_SECRET_KEY": SECRET}
    with open(os.devnull, "w") as nowhere:
        apps = {"guarded": create_app(settings), "bare_flask": bare_flask.create_app()}
        # The log is written, but discarded.
        for handler in logging.getLogger("authservice").handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(nowhere)

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
        taken = [(ask("guarded"), ask("bare_flask")) for _ in range(IN_PROCESS_TURNS)]
    return {
        "guarded_us": statistics.median(guarded for guarded, _ in taken),
        "bare_flask_us": statistics.median(bare for _, bare in taken),
        "ratio": statistics.median(guarded / bare for guarded, bare in taken),
    }


def sign_ins(url: str, connections: int, seconds: int, email: str) -> dict[str, float]:
    """As many sign-ins as possible. A refused one is repeated after its Retry-After."""
    body = json.dumps({"email": email, "password": PASSWORD})
    script = Path(__file__).with_name("wrk.lua").read_text()
    script += f"\nwrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{body}'\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        return wrk(f"{url}/auth", connections, script=file.name, seconds=seconds)


def wrk(
    url: str, connections: int, people: Path | None = None, script: str = "", seconds: int = SECONDS
) -> dict[str, float]:
    """What wrk counted. ``rate`` counts only answers with status 200. ``people`` has one token per line."""
    script = script or str(Path(__file__).with_name("wrk.lua"))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", script, url]
    if people is not None:
        command += ["--", str(people)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counted: dict[str, float] = json.loads(printed.partition("JSON ")[2])
    if counted["other"] or counted["unanswered"]:
        sys.exit(f"{url}: not all was answered well: {counted}")
    counted["rate"] = counted["ok"] / counted["seconds"]
    return counted


def bcrypt_limit(cost: int, seconds: float) -> float:
    """Checks per second of as many processes as there are workers, with the priority of their hashing threads."""
    command = [sys.executable, "-c", BCRYPT_CHECKS, str(cost), str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)]
    return sum(float(process.communicate()[0]) for process in running)


def free_port() -> int:
    """A free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def instant_mongo(documents: bytes) -> Iterator[tuple[str, int]]:
    """A database that costs almost nothing; its URI and pid."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.instant_mongo", str(port)], stdin=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdin is not None
    process.stdin.write(documents)
    process.stdin.close()
    try:
        yield f"mongodb://127.0.0.1:{port}/authexample?directConnection=true&retryWrites=false", process.pid
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def serving(
    command: list[str], environment: dict[str, str], directory: Path, path: str, token: str = ""
) -> Iterator[tuple[str, int]]:
    """Start a server on a free port and wait for its first 200; its URL and pid."""
    port = free_port()
    log = directory / f"{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [word.replace("PORT", str(port)) for word in command],
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
                request.urlopen(request.Request(url + path, headers={"Authorization": f"Bearer {token}"}), timeout=10)
                break
            except HTTPError as error:
                if error.code != 503:  # not ready yet
                    sys.exit(f"{command}: {path} was answered {error.code}")
            except (URLError, ConnectionError):
                pass  # not listening yet
            time.sleep(0.01)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def sign_up(url: str, email: str) -> str:
    """A new user's token."""
    person = {"email": email, "password": PASSWORD}
    post(f"{url}/users", person)
    token: str = post(f"{url}/auth", person)["token"]
    return token


def post(url: str, body: dict[str, str]) -> Any:
    asked = request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with request.urlopen(asked, timeout=10) as answer:
        return json.load(answer)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(*pids: int) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def proportional_mib(pid: int) -> float:
    """Memory of a process. Shared memory is divided among the processes that share it."""
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


if __name__ == "__main__":
    main()
