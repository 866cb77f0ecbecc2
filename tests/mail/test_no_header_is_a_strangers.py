"""Whatever a stranger types as an address or in a User-Agent, a mail has exactly our headers."""

from email import message_from_bytes, policy

import pytest

from authservice.config import ConfigurationError
from authservice.mail import kinds
from authservice.mail.render import render
from authservice.mail.transport import Refused
from tests.mail.conftest import FACTS
from tests.mail.relays import Handler

HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
EVIL = "Bcc: evil@example.com"
# Each is an address by RFC 5322, and an encoded word or part of one by RFC 2047.
ENCODED = [
    "=?utf-8?q?x=0ABcc=3A_evil=40example.com?=@example.com",
    "=?utf-8?q?x=0D=0ABcc=3A_evil=40example.com=0D=0A?=@example.com",
    "=?us-ascii?b?eABCY2M6IGV2aWxAZXhhbXBsZS5jb20?=@example.com",
    "x=?utf-8?q?=0A_Bcc=3Aevil?=@example.com",
    "=?utf-8?q?=0ABcc=3A_jürgen?=@example.com",
]
ODD = [
    "a+b@example.com",
    "o'hara@example.com",
    "{|}~@example.com",
    "-rf@example.com",
    "a%b@example.com",
    "jürgen@exämple.com",
]
NO_ADDRESS = [
    f"alice@example.com\r\n{EVIL}",
    f"alice@example.com\n{EVIL}",
    "alice@example.com\u2028Bcc: evil@example.com",
    "alice@example.com, evil@example.com",
    "Alice <alice@example.com>",
    '"alice, evil"@example.com',
    "",
]


def headers_of(content):
    read = message_from_bytes(content, policy=policy.compat32)  # which decodes nothing
    return read.keys(), read["To"]


@pytest.mark.parametrize("to", [*ENCODED, *ODD, *NO_ADDRESS])
@pytest.mark.parametrize("flattened", [policy.SMTP, policy.SMTPUTF8], ids=["ascii", "utf8"])
def test_an_address(app, to, flattened):
    with app.app_context():
        content = render(kinds.reset, "en", FACTS, to, "id").as_bytes(policy=flattened)
    names, in_header = headers_of(content)
    assert names == HEADERS
    assert "\n" not in str(in_header)
    assert b"evil" not in content.lower()
    if to not in ODD:
        assert in_header == "undisclosed-recipients:;"


@pytest.mark.parametrize("to", ENCODED)
def test_an_address_that_looks_like_an_encoded_word_is_sent_to_no_server(start, post, to):
    """aiosmtpd, and whatever else is made with Python's parser, would decode it."""
    handler = Handler()
    with pytest.raises(Refused):
        post(f"smtp://127.0.0.1:{start(handler).port}", to=to)
    assert handler.commands == []


@pytest.mark.parametrize(
    "device",
    [f"Firefox\r\n{EVIL}", "=?utf-8?q?=0ABcc:_evil=40example.com?=", "www.evil.example", "<b>evil</b>", "evil: x"],
)
def test_a_device_is_named_in_plain_words_or_not_at_all(app, device):
    facts = {"time": "2026-11-28 11:03 UTC", "device": device}
    with app.app_context():
        message = render(kinds.new_device, "en", facts, "alice@example.com", "id")
    assert headers_of(message.as_bytes())[0] == HEADERS
    assert b"evil" not in message.as_bytes().lower()
    assert "It was on 2026-11-28 11:03 UTC.\n" in message.get_body(("plain",)).get_content()


@pytest.mark.parametrize("seed", [f"id>\r\n{EVIL}", "=?utf-8?q?=0A?=", "", "ü"])
def test_an_id(app, seed):
    with app.app_context():
        content = render(kinds.reset, "en", FACTS, "alice@example.com", seed).as_bytes()
    assert headers_of(content)[0] == HEADERS


@pytest.mark.parametrize(
    "template", ["{{ app_name }}\nBcc: evil@example.com", "=?utf-8?q?x=0ABcc:_evil?=", " \n", "a\x0bb"]
)
def test_a_subject_of_an_operators_template(make_app, tmp_path, template):
    (tmp_path / "en").mkdir()
    (tmp_path / "en/reset.subject.txt").write_text(template)
    with pytest.raises(ConfigurationError, match=r"en/reset\.subject\.txt cannot be filled in: a subject is one line"):
        make_app(MAIL_TEMPLATES=str(tmp_path))


@pytest.mark.parametrize("fact", ["code", "link", "device", "language"])
def test_a_subject_knows_the_name_of_the_app_alone(make_app, tmp_path, fact):
    (tmp_path / "en").mkdir()
    (tmp_path / "en/reset.subject.txt").write_text(f"{{{{ {fact} }}}}")
    with pytest.raises(ConfigurationError, match=rf"en/reset\.subject\.txt cannot be filled in: '{fact}' is undefined"):
        make_app(MAIL_TEMPLATES=str(tmp_path))
