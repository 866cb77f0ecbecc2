"""The client's address in log and sessions is an address or nothing, whatever a trusted proxy forwards."""

import json

import pytest

from tests.api.answers import assert_ok, captured_log
from tests.conftest import ALICE, PASSWORD, bearer

CREDENTIALS = {"email": ALICE, "password": PASSWORD}


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
