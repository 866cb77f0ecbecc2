"""What is encrypted is read with the key that it was written with, and for its user alone."""

import base64

import pytest

from authservice.errors import SecondFactorsOff, SecondFactorUnavailable
from authservice.security import encryption

ALICE, BOB = "a" * 24, "b" * 24
OLD, NEW = base64.urlsafe_b64encode(b"o" * 32).decode(), base64.urlsafe_b64encode(b"n" * 32).decode()


@pytest.fixture
def written(make_app):
    """Alice's secret, by the old key."""
    with make_app(ENCRYPTION_KEYS=OLD).app_context():
        return encryption.encrypt(ALICE, "JBSWY3DPEHPK3PXP")


@pytest.mark.parametrize("keys", [OLD, f"{NEW},{OLD}"])
def test_a_key_that_is_still_there_reads_it(make_app, written, keys):
    assert "JBSWY3DPEHPK3PXP" not in written
    with make_app(ENCRYPTION_KEYS=keys).app_context():
        assert encryption.decrypt(ALICE, written) == "JBSWY3DPEHPK3PXP"


def test_the_newest_key_writes(make_app):
    with make_app(ENCRYPTION_KEYS=f"{NEW},{OLD}").app_context():
        written = encryption.encrypt(ALICE, "secret")
    with make_app(ENCRYPTION_KEYS=NEW).app_context():
        assert encryption.decrypt(ALICE, written) == "secret"


@pytest.mark.parametrize(("user", "keys"), [(BOB, OLD), (ALICE, NEW), (ALICE, None), (ALICE[:-1], OLD)])
def test_another_user_and_another_key_are_refused(make_app, written, user, keys):
    with make_app(ENCRYPTION_KEYS=keys).app_context(), pytest.raises(SecondFactorUnavailable):
        encryption.decrypt(user, written)


@pytest.mark.parametrize("stored", ["", "x", "JBSWY3DPEHPK3PXP", "ü" * 100])
def test_what_was_never_encrypted_is_refused(make_app, stored):
    with make_app(ENCRYPTION_KEYS=OLD).app_context(), pytest.raises(SecondFactorUnavailable):
        encryption.decrypt(ALICE, stored)


def test_without_a_key_nothing_is_written(make_app):
    with make_app(ENCRYPTION_KEYS=None).app_context(), pytest.raises(SecondFactorsOff):
        encryption.encrypt(ALICE, "secret")
