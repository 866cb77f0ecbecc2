"""kill -9 in the middle of an import: running it again brings everybody in, once, and all refused records are told."""

import json
import os
import subprocess
import sys

import pytest
from pymongo import MongoClient

from tests.conftest import SECRET
from tests.migration.importing import HASH, rejected, table_of
from tests.repetitions import TIMES
from tests.server.processes import wait_until
from tests.service import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.waits]
USERS = 100_000 if TIMES > 1 else 10_000  # at each commit: docs/decisions/0043-time-of-ci.md
EVERY = 1_000  # of which one is unreadable, and one has the e-mail of the user before


def write_export(path):
    with path.open("w") as file:
        for number in range(USERS):
            email = f"user{number}@example.com"
            if number % EVERY == 1:
                email = f"USER{number - 1}@example.com"
            elif number % EVERY == 2:
                email = "none"
            file.write(json.dumps({"id": f"u{number}", "email": email, "password": HASH}) + "\n")


@pytest.fixture
def uri(mortal_database):
    """A database of its own: the shared one would have to drop a big collection."""
    return f"{mortal_database.uri()}&retryWrites=false"


def test_running_it_again_brings_everybody_in_once(uri, tmp_path):
    with MongoClient(uri, tz_aware=True) as client:
        import_with_kills(client.get_default_database().users, uri, tmp_path)


def import_with_kills(users, uri, tmp_path):
    export, rejects = tmp_path / "export", tmp_path / "rejects"
    write_export(export)
    command = [sys.executable, "-m", "authservice", "users", "import", "--from", "nestjs", export, "--rejects", rejects]
    environment = {**os.environ, "FLASK_MONGO_URI": uri, "FLASK_JWT_SECRET_KEY": SECRET}
    count = users.estimated_document_count
    for part in (0.3, 0.6):
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda part=part: count() > part * USERS, 600)
        process.kill()
        process.communicate()
    before = count()
    assert 0.6 * USERS < before < 0.9 * USERS
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    refused = USERS // EVERY
    table = table_of(done.stdout)
    assert table.pop("imported") + table.pop("already here") == USERS - 2 * refused
    assert table == {"e-mail taken": refused, "unreadable": refused, "no e-mail": refused}
    assert rejected(rejects) == [
        {"line": first + line, "reason": reason}
        for first in range(0, USERS, EVERY)
        for line, reason in ((2, "e-mail taken"), (3, "no e-mail"))
    ]
    stored = [(one["legacy"]["key"], one["email"]) for one in users.find({}, {"legacy.key": 1, "email": 1})]
    expected = [number for number in range(USERS) if number % EVERY not in (1, 2)]
    assert sorted(stored) == sorted((f"nestjs:u{number}", f"user{number}@example.com") for number in expected)
