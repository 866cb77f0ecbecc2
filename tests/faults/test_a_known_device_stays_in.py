"""While strangers guess at an account its user signs in on a device that is known, and nobody guesses much there."""

import subprocess
import sys
import time

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.conftest import ALICE, PASSWORD, SECRET
from tests.server.processes import sign_up
from tests.service import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.waits]
REMEMBERED_SECONDS = 5


class From(HTTPAdapter):
    """Requests from an address of our own."""

    def __init__(self, address):
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, source_address=(self._address, 0), **kwargs)


def ask(service, address, password, device_token=None):
    """On a connection of its own, so that any worker may answer."""
    shown = {} if device_token is None else {"deviceToken": device_token}
    with requests.Session() as session:
        session.mount("http://", From(address))
        return session.post(f"{service.url}/auth", json={"email": ALICE, "password": password, **shown}, timeout=30)


def test_200_guesses_from_20_addresses_keep_no_known_device_out(serve, database, mongo_uri):
    database.create_collection("limits")
    service = serve(2, FLASK_LIMITS="on")
    sign_up(service, ALICE)
    device = ask(service, "127.0.0.1", PASSWORD).json()["deviceToken"]
    addresses = [f"127.0.0.{number}" for number in range(2, 22)]
    guesses = [ask(service, address, "wrong").status_code for _ in range(10) for address in addresses]
    assert (guesses.count(401), guesses.count(429)) == (50, 150)  # the budget of the account, and not one more
    assert ask(service, "127.0.0.99", PASSWORD).status_code == 429
    for _ in range(12):  # successes cost nothing
        assert ask(service, addresses[0], PASSWORD, device).status_code == 200
    forged = [ask(service, "127.0.0.99", PASSWORD, token).status_code for token in ("0" * 32, device[::-1])]
    assert forged == [429, 429]

    wrong = [ask(service, "127.0.0.98", "wrong", device).status_code for _ in range(14)]
    assert wrong == [401] * 10 + [429] * 4
    assert ask(service, "127.0.0.98", PASSWORD, device).status_code == 429

    unlocked = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "users", "unlock", ALICE],
        cwd=ROOT,
        env={"PATH": "", "FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert unlocked.returncode == 0, unlocked.stderr
    time.sleep(REMEMBERED_SECONDS)
    assert [ask(service, "127.0.0.97", PASSWORD).status_code for _ in range(10)] == [200] * 10
