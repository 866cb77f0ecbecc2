"""The client's address in log and sessions is what the last trusted proxy says, if that is an address."""

import json

import pytest

from tests.api.answers import assert_ok, captured_log
from tests.conftest import ALICE, PASSWORD, bearer

CREDENTIALS = {"email": ALICE, "password": PASSWORD}


MADE_UP = [  # by a client, in front of what its proxy appends
    *("", " ", ",", ", ,", '"', '"a', 'a"', '"a, b"', '"a, b', '\\"', '"\\', "'", 'for="[::1]";proto=https', "garbage"),
    *("192.0.2.1", "192.0.2.1:5", "[2001:db8::1]:443", "[2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.1", "10.0.0.1"),
    *("192.0.2.1, 192.0.2.2", "203.0.113.9", "127.0.0.1", ", ".join(["192.0.2.1"] * 600), '"' * 2_000),
]


@pytest.fixture
def settings(settings):
    return {**settings, "TRUSTED_PROXIES": 1}


@pytest.mark.parametrize(
    ("forwarded", "kept"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:DB8:0::9", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1%\x9b2Jany text", "::1"),
        ("garbage", None),
        ("203.0.113.9:1234", "203.0.113.9"),
        ("[2001:db8::8]:443", "2001:db8::8"),
        ("[2001:db8::8]", "2001:db8::8"),
        ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
        ("[fe80::1%eth0]:1", "fe80::1"),
        ("::1:8", "::1:8"),
        ("2001:db8::8:443", "2001:db8::8:443"),
        ("2001:db8:1:2:3:4:5:6:443", None),
        ("203.0.113.9:", None),
        ("203.0.113.9:1234:1", None),
        ("203.0.113.9:123456", None),
        ("[203.0.113.9", None),
        ("[[::1]]:1", None),
        ("01.2.3.4", None),
        ("unix:", None),
        ("203.0.113.999", None),
        ("<script>", None),
        ("\x85\x1b[2J", None),
        ("unknown", None),
    ],
)
def test_what_is_forwarded_is_parsed(client, alice, forwarded, kept):
    with captured_log() as log:
        answer = client.post("/auth", json=CREDENTIALS, environ_overrides={"HTTP_X_FORWARDED_FOR": forwarded})
    token = assert_ok(answer)["token"]
    assert {json.loads(line)["ip"] for line in log.getvalue().splitlines()} == {kept}
    sessions = assert_ok(client.get("/auth/sessions", headers=bearer(token)))["sessions"]
    assert [session["ip"] for session in sessions if session["current"]] == [kept]


def ip_of(client, *headers, address="127.0.0.1"):
    """As the log has it."""
    with captured_log() as log:
        assert client.get("/healthz", headers=headers, environ_base={"REMOTE_ADDR": address}).status_code == 200
    return json.loads(log.getvalue())["ip"]


@pytest.mark.parametrize("made_up", MADE_UP)
def test_what_a_client_makes_up_changes_nothing(client, make_app, made_up):
    assert ip_of(client, ("X-Forwarded-For", f"{made_up}, 203.0.113.9")) == "203.0.113.9"
    behind_two = make_app(TRUSTED_PROXIES=2).test_client()
    assert ip_of(behind_two, ("X-Forwarded-For", f"{made_up},203.0.113.9\t,\t10.0.0.2")) == "203.0.113.9"
    assert ip_of(make_app(TRUSTED_PROXIES=0).test_client(), ("X-Forwarded-For", made_up)) == "127.0.0.1"


@pytest.mark.parametrize("forwarded", ["", " ", ",", "203.0.113.9", ", 203.0.113.9,"])
def test_a_chain_that_is_too_short_has_not_passed_all_proxies(make_app, forwarded):
    behind_two = make_app(TRUSTED_PROXIES=2).test_client()
    assert ip_of(behind_two, ("X-Forwarded-For", forwarded), address="198.51.100.7") == "198.51.100.7"
    assert ip_of(behind_two, address="198.51.100.7") == "198.51.100.7"


@pytest.mark.parametrize("made_up", MADE_UP)
def test_the_scheme_is_what_the_proxy_says_too(client, made_up):
    answer = client.get("/healthz", headers={"X-Forwarded-Proto": f"{made_up}, https"})
    assert "Strict-Transport-Security" in answer.headers
