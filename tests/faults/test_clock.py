"""Clocks that are wrong: seconds off change nothing, an hour off is a clean 401, and nothing that ended lives again."""

import os
import time
from pathlib import Path

import pytest
import requests

from tests.conftest import ALICE, PASSWORD, bearer
from tests.server.processes import pass_guard

pytestmark = pytest.mark.faults
LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), *Path("/usr/lib/faketime").glob("*MT.so.1")]


@pytest.fixture
def serve_at(serve):
    """Start a service whose clock is off by ``offset``, such as "+3s"; "" is right. All share a database."""
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
def test_three_seconds_off_are_not_noticed(serve_at, offset):
    right, off = serve_at(""), serve_at(offset)
    sign_up(right)
    for issuer, other in [(right, off), (off, right)]:
        pair = sign_in(issuer)
        assert pass_guard(other, pair["token"]).status_code == 200
        renewed = refresh(other, pair)
        assert renewed.status_code == 200
        assert pass_guard(issuer, renewed.json()["token"]).status_code == 200
        again = refresh(issuer, pair)  # the answer was lost, and the second try meets the other clock
        assert (again.status_code, again.json()["refreshToken"]) == (200, renewed.json()["refreshToken"])


def test_an_hour_ahead_tokens_have_expired_and_new_ones_are_good(serve_at):
    right, ahead = serve_at(""), serve_at("+3610s")
    sign_up(right)
    pair = sign_in(right)
    assert_clean_401(pass_guard(ahead, pair["token"]), "token_expired")
    own = sign_in(ahead)
    assert pass_guard(ahead, own["token"]).status_code == 200
    # Issued in the future of the host that is right: it believes nobody's word about that.
    assert_clean_401(pass_guard(right, own["token"]), "token_invalid")
    assert_clean_401(refresh(right, own), "token_invalid")
    assert pass_guard(right, pair["token"]).status_code == 200


def test_an_hour_back_nothing_that_ended_lives_again(serve_at):
    right, back = serve_at(""), serve_at("-3600s")
    sign_up(right)

    old = sign_in(back)  # good for both: it is no future token to either, and not quite expired
    assert pass_guard(back, old["token"]).status_code == 200
    assert requests.delete(f"{right.url}/auth", headers=bearer(old["token"]), timeout=15).status_code == 204
    assert_clean_401(pass_guard(back, old["token"]), "token_invalid")
    assert_clean_401(refresh(back, old), "token_invalid")

    new = sign_in(right)
    assert_clean_401(pass_guard(back, new["token"]), "token_invalid")
    assert requests.delete(f"{right.url}/auth", headers=bearer(new["token"]), timeout=15).status_code == 204
    assert_clean_401(pass_guard(back, new["token"]), "token_invalid")
    assert_clean_401(refresh(back, new), "token_invalid")


def test_an_hour_back_a_used_refresh_token_finds_no_new_grace(serve_at):
    right, back = serve_at(""), serve_at("-3600s")
    sign_up(right)
    stolen = sign_in(back)
    renewed = refresh(right, stolen)
    assert renewed.status_code == 200
    time.sleep(0.1)
    # By the clock that is back, the rotation lies an hour ahead: that is not within the last ten seconds.
    assert_clean_401(refresh(back, stolen), "token_reused")
    assert_clean_401(refresh(right, renewed.json()), "token_invalid")  # the session has ended, for both
