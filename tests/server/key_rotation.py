"""Clients that use a service without a pause while its keys change, and the changes themselves."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import requests
from click.testing import CliRunner

from authservice.cli.keys import group
from tests.conftest import PASSWORD, bearer
from tests.server.processes import wait_until
from tests.service import Service

ISSUER = "https://auth.example.com"
FOLLOWERS_KEEP_SECONDS = 0.2  # 300 or 600 in life, where a standby key waits for 20 minutes
Verify = Callable[[str], str]  # the kid that verified a token; raises if none does


class Load:
    """What the clients saw: algorithms and kids of the tokens that passed, and every failure."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.passed: list[str | None] = []  # None: a token without kid

    def has_seen(self, kid: str | None, times: int = 10) -> bool:
        assert self.failures == []
        return self.passed[-times:].count(kid) == times


@contextlib.contextmanager
def load(service: Service, clients: int, verify: Verify | None = None) -> Iterator[Load]:
    """Each client signs in once, and then refreshes and passes the guard, again and again."""
    over, seen = threading.Event(), Load()

    def use(number: int) -> None:
        body = {"email": f"user-{number}@example.com", "password": PASSWORD}
        requests.post(f"{service.url}/users", json=body, timeout=15)
        pair = requests.post(f"{service.url}/auth", json=body, timeout=15).json()
        while not over.is_set():
            try:
                guarded = requests.get(f"{service.url}/users/test", headers=bearer(pair["token"]), timeout=15)
                refreshed = requests.post(
                    f"{service.url}/auth/refresh", json={"refreshToken": pair["refreshToken"]}, timeout=15
                )
                kid = jwt.get_unverified_header(pair["token"]).get("kid")
                if verify and kid:
                    assert verify(pair["token"]) == kid
                if (guarded.status_code, refreshed.status_code) != (200, 200):
                    seen.failures.append(guarded.text + refreshed.text)
                    return
                seen.passed.append(kid)
                pair = refreshed.json()
            except Exception as error:
                seen.failures.append(repr(error))
                return

    threads = [threading.Thread(target=use, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def keys(file: Path, *arguments: str) -> str:
    """``authservice keys ...``, and what it prints."""
    done = CliRunner().invoke(group, arguments, env={"FLASK_JWT_KEYS_FILE": str(file)})
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return done.stdout


def age(file: Path, seconds: int) -> None:
    """All keys are so much older: no test sleeps."""
    content = json.loads(file.read_text())["keys"]
    for jwk in content:
        for name in ("published_at", "signs_since", "signed_until"):
            if name in jwk:
                jwk[name] -= seconds
    file.write_text(json.dumps({"keys": content}))


def published(service: Service) -> list[str]:
    answer = requests.get(f"{service.url}/.well-known/jwks.json", timeout=15)
    assert answer.status_code == 200
    found = answer.json()["keys"]
    private = {"d", "k", "p", "q", "dp", "dq", "qi"}
    assert not [one for one in found if private & one.keys()]
    return [one["kid"] for one in found]


def live_through(
    service: Service, file: Path, reload: Callable[[Service], None], verify: Verify, wait: Callable[[], None]
) -> None:
    """From the secret to a first key, to a second one, and the first is retired: every token passes all the time."""
    with load(service, 3, verify) as seen:
        wait_until(lambda: seen.has_seen(None), 60)
        (first,) = published(service)
        age(file, 20 * 60)
        keys(file, "rotate")
        reload(service)
        wait_until(lambda: seen.has_seen(first), 60)
        second = keys(file, "generate", "--alg", "EdDSA").split()[0]
        reload(service)
        assert published(service) == [first, second]
        wait()
        age(file, 20 * 60)
        keys(file, "rotate")
        reload(service)
        wait_until(lambda: seen.has_seen(second), 60)
        age(file, 3_605)
        keys(file, "retire", "--yes", first)
        reload(service)
        assert published(service) == [second]
        so_far = len(seen.passed)
        wait_until(lambda: len(seen.passed) > so_far + 10 and seen.has_seen(second), 60)
    assert seen.failures == []
