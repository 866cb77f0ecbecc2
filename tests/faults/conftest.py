"""Shared by the fault tests. Each starts its own service and, if it breaks it, its own database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.database import GIVEN_URI, KILLS
from tests.faults.database import Database


@pytest.fixture
def mortal_database(tmp_path: Path) -> Iterator[Database]:
    if GIVEN_URI:
        pytest.skip(KILLS)
    database = Database(tmp_path / "mortal")
    database.start()
    yield database
    database.stop()
