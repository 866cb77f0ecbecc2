"""What tests of several commands ask for."""

import pytest
from flask import Flask

from authservice.store import indexes


@pytest.fixture
def healthy(app: Flask) -> Flask:
    """An app whose collection has the indexes that a worker builds at its start."""
    with app.app_context():
        indexes.ensure_indexes(60)
    return app
