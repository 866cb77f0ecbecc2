"""The service as a newcomer starts it: with the embedded database, and mails as files."""

import pytest

from tests.service import Service


@pytest.fixture
def settings():
    return {}


@pytest.fixture
def service(tmp_path, settings):
    service = Service(
        tmp_path / "log",
        {
            "FLASK_INSTANCE_PATH": str(tmp_path / "instance"),
            "FLASK_BCRYPT_LOG_ROUNDS": "4",
            "FLASK_BCRYPT_QUEUE": "100",
            "WEB_CONCURRENCY": "1",
            **settings,
        },
    )
    service.wait_until_ready("/readyz")
    yield service
    service.stop()
    assert "token=" not in service.output()
