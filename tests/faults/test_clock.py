"""Wrong clocks: some seconds change nothing, an hour causes a clean 401, and an ended session stays ended."""

import os
import time
from pathlib import Path

import pytest
import requests

from tests.conftest import ALICE, PASSWORD, bearer
from tests.server.processes import pass_guard

pytestmark = [pytest.mark.faults, pytest.mark.waits]
LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), *Path("/usr/lib/faketime").glob("*MT.so.1")]


@pytest.fixture
def serve_at(serve):
    """Start a service whose clock is wrong by ``offset``, such as "+3s"; "" is right. All share one database."""
    if not LIBRARIES:
        message = "libfaketime is not installed: apt-get install libfaketime"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)

    def start(offset):
        if not offset:
            return serve(workers=1)
        faked = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": offset}
        return serve(workers=1, **faked)

    return start


def sign_in(service):
    answer = requests.post(f"{service.url}/auth", json={"email": ALICE, "password": PASSWORD}, timeout=15)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refresh(service, pair):
    return requests.post(f"{service.url}/auth/refresh", json={"refreshToken": pair["refreshToken"]}, timeout=15)


def sign_up(service):
    body = {"email": ALICE, "password": PASSWORD}
    assert requests.post(f"{service.url}/users", json=body, timeout=15).status_code == 201


def assert_clean_401(answer, *codes):
    assert answer.status_code == 401, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] in codes
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("offset", ["+3s", "-3s"])
def test_a_clock_that_is_three_seconds_off_changes_nothing(serve_at, offset):
    right, off = serve_at(""), serve_at(offset)
    sign_up(right)
    for issuer, other in [(right, off), (off, right)]:
        pair = sign_in(issuer)
        assert pass_guard(other, pair["token"]).status_code == 200
        renewed = refresh(other, pair)
        assert renewed.status_code == 200
        assert pass_guard(issuer, renewed.json()["token"]).status_code == 200
        again = refresh(issuer, pair)  # the response was lost, and the retry reaches the other clock
        assert (again.status_code, again.json()["refreshToken"]) == (200, renewed.json()["refreshToken"])


def test_with_a_clock_an_hour_ahead_old_tokens_have_expired_and_new_ones_work(serve_at):
    right, ahead = serve_at(""), serve_at("+3610s")
    sign_up(right)
    pair = sign_in(right)
    assert_clean_401(pass_guard(ahead, pair["token"]), "token_expired")
    own = sign_in(ahead)
    assert pass_guard(ahead, own["token"]).status_code == 200
    # The host with the right clock refuses tokens from the future.
    assert_clean_401(pass_guard(right, own["token"]), "token_invalid")
    assert_clean_401(refresh(right, own), "token_invalid")
    assert pass_guard(right, pair["token"]).status_code == 200


def test_with_a_clock_an_hour_behind_ended_sessions_stay_ended(serve_at):
    right, back = serve_at(""), serve_at("-3600s")
    sign_up(right)

    old = sign_in(back)  # valid on both hosts: not from the future, and not yet expired
    assert pass_guard(back, old["token"]).status_code == 200
    assert requests.delete(f"{right.url}/auth", headers=bearer(old["token"]), timeout=15).status_code == 204
    assert_clean_401(pass_guard(back, old["token"]), "token_invalid")
    assert_clean_401(refresh(back, old), "token_invalid")

    new = sign_in(right)
    assert_clean_401(pass_guard(back, new["token"]), "token_invalid")
    assert requests.delete(f"{right.url}/auth", headers=bearer(new["token"]), timeout=15).status_code == 204
    assert_clean_401(pass_guard(back, new["token"]), "token_invalid")
    assert_clean_401(refresh(back, new), "token_invalid")


def test_with_a_clock_an_hour_behind_a_used_refresh_token_gets_no_grace(serve_at):
    right, back = serve_at(""), serve_at("-3600s")
    sign_up(right)
    stolen = sign_in(back)
    renewed = refresh(right, stolen)
    assert renewed.status_code == 200
    time.sleep(0.1)
    # For the clock that is behind, the rotation is an hour in the future, so it is not within the grace period.
    assert_clean_401(refresh(back, stolen), "token_reused")
    assert_clean_401(refresh(right, renewed.json()), "token_invalid")  # the session has ended on both hosts
