"""Without a mail server the mails are files for their owner alone; in production there are none."""

from email import message_from_bytes, policy

import pytest

from authservice.mail.kinds import reset
from authservice.mail.render import render
from authservice.mail.transport import Unavailable, send
from tests.conftest import ALICE, state_of
from tests.mail.conftest import FACTS


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "instance" / "outbox"


@pytest.fixture
def send_to(make_app, outbox):
    app = make_app(INSTANCE_PATH=str(outbox.parent))

    def send_to(address, seed="id"):
        with app.app_context():
            send(render(reset, "en", FACTS, address, seed), address)

    return send_to


def test_a_file_is_the_whole_mail_and_its_owners_alone(send_to, outbox):
    send_to(ALICE)
    (file,) = outbox.iterdir()
    assert (file.suffix, file.stat().st_mode & 0o777, outbox.stat().st_mode & 0o777) == (".eml", 0o600, 0o700)
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["To"] == ALICE
    assert FACTS["link"] in mail.get_body(("plain",)).get_content()


def test_a_mail_that_is_sent_again_is_one_file(send_to, outbox):
    for seed in ("one", "two", "one"):
        send_to(ALICE, seed)
    assert len(list(outbox.iterdir())) == 2


def test_an_international_address_is_in_the_file_as_it_is(send_to, outbox):
    send_to("jürgen@example.com")
    (file,) = outbox.iterdir()
    assert "To: jürgen@example.com\r\n".encode() in file.read_bytes()


def test_a_folder_that_cannot_be_written_may_be_later(send_to, outbox):
    outbox.parent.mkdir()
    outbox.write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be written: File exists"):
        send_to(ALICE)
    outbox.unlink()
    send_to(ALICE)
    assert len(list(outbox.iterdir())) == 1


def test_in_production_no_link_is_ever_a_file(make_app):
    production = {"ENV": "production", "CORS_ORIGINS": "", "METRICS": "off", "TRUSTED_PROXIES": "1"}
    weak = {"BCRYPT_LOG_ROUNDS": "10"}
    assert state_of(make_app(**production, **weak)).mail is None
