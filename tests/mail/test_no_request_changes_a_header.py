"""Whatever a request says, in its headers and its body, each mail that it causes has exactly our headers and words."""

import pytest

from authservice.mail.deliver import Deliverer
from tests.conftest import ALICE, PASSWORD, bearer
from tests.mail.test_no_header_is_a_strangers import HEADERS

TRICKS = [
    "=?utf-8?q?x=0ABcc=3A_evil=40evil.example?=",
    "Firefox/1.0 (X11; Linux) www.evil.example",
    "de\tBcc: evil@evil.example, en",
    "de; q=evil, <b>evil</b>",
]


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_request(app, client, sink, trick):
    def send(method, path, body, token=None):
        sent = dict.fromkeys(("User-Agent", "Accept-Language", "X-Forwarded-Host", "Referer", "Origin"), trick)
        answer = client.open(path, method=method, json=body, headers=sent | (bearer(token) if token else {}))
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.get_json(silent=True)

    credentials = {"email": ALICE, "password": PASSWORD}
    send("POST", "/users", credentials)
    client.post("/auth", json=credentials, headers={"User-Agent": "curl/8.0"})  # the first device is silent
    token = send("POST", "/auth", credentials)["token"]
    send("POST", "/auth/reset", {"email": ALICE})
    change = {"newEmail": "alice@other.example", "currentPassword": PASSWORD}
    send("PUT", "/users/me/email", change, token)
    Deliverer(app).deliver_due()  # a new password makes some of them untrue
    send("PUT", "/users/me/password", {"currentPassword": PASSWORD, "newPassword": "another long secret"}, token)
    Deliverer(app).deliver_due()
    assert len(sink.got) == 5
    for to, mail in sink.got:
        assert to in (ALICE, change["newEmail"])
        assert [name for name in mail if not name.startswith("X-")] == HEADERS
        assert "evil" not in mail.as_string().lower()
