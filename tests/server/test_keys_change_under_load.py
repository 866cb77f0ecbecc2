"""A new signing key, or a new secret, on two workers under load: no request is refused, and verifiers follow."""

import time

import pytest
from jwt import PyJWKClient, decode

from tests.conftest import SECRET
from tests.server.key_rotation import FOLLOWERS_KEEP_SECONDS, ISSUER, keys, live_through, load
from tests.server.processes import wait_until
from tests.server.test_refused_reload import hang_up, reload

NEW = "a-new-secret-of-more-than-32-bytes-0123456789"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys.json"
    keys(path, "generate")
    return path


def test_a_key_is_generated_rotated_and_retired_and_pyjwkclient_follows(serve, file):
    service = serve(FLASK_JWT_KEYS_FILE=str(file), FLASK_JWT_ISSUER=ISSUER)
    wait_until(lambda: len(service.workers()) == 2)
    url = f"{service.url}/.well-known/jwks.json"
    client = PyJWKClient(url, lifespan=FOLLOWERS_KEEP_SECONDS, cooldown_duration=10**6)  # never asks because of a kid

    def verify(token: str) -> str:
        key = client.get_signing_key_from_jwt(token)
        assert decode(token, key, ["ES256", "EdDSA"], issuer=ISSUER)["type"] == "access"
        return key.key_id

    live_through(service, file, reload, verify, lambda: time.sleep(2 * FOLLOWERS_KEEP_SECONDS))
    assert service.stop() == 0


def test_a_set_that_cannot_be_read_is_refused_at_a_reload(serve, file):
    service = serve(FLASK_JWT_KEYS_FILE=str(file), FLASK_JWT_ISSUER=ISSUER, workers=1)
    file.chmod(0o644)
    assert "others can read the file in FLASK_JWT_KEYS_FILE; chmod 600 it" in hang_up(service)
    file.chmod(0o600)
    file.write_text("{")
    assert "FLASK_JWT_KEYS must be JSON" in hang_up(service)


def test_a_secret_is_replaced_in_two_steps(serve, tmp_path):
    secret, old = tmp_path / "secret", tmp_path / "old"
    secret.write_text(SECRET)
    old.write_text(NEW)  # verifies before it signs
    service = serve(
        FLASK_JWT_SECRET_KEY="", FLASK_JWT_SECRET_KEY_FILE=str(secret), FLASK_JWT_OLD_SECRET_KEYS_FILE=str(old)
    )
    wait_until(lambda: len(service.workers()) == 2)
    with load(service, 3) as seen:
        wait_until(lambda: seen.has_seen(None), 60)
        secret.write_text(NEW)
        old.write_text(SECRET)
        reload(service)
        so_far = len(seen.passed)
        wait_until(lambda: len(seen.passed) > so_far + 10, 60)
    assert seen.failures == []
