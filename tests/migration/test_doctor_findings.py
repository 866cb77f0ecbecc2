"""``authservice doctor`` says what is to be said of users, database and settings; each finding goes with its cause."""

import hashlib
import json
import os
import pty
import subprocess
import sys

import pymongo
import pytest

from authservice import embedded
from authservice.migration import doctor
from authservice.store import indexes, surveys
from tests.conftest import ALICE
from tests.database import GIVEN_URI
from tests.migration.examining import BCRYPT, DEVISE, FIREBASE, PBKDF2, PRODUCTION, examine, findings, insert
from tests.server.processes import run
from tests.service import free_port


@pytest.fixture
def settings(settings):
    return {**settings, **PRODUCTION}


def test_a_healthy_installation_exits_with_0(healthy, database):
    insert(database, BCRYPT)
    code, said = examine(healthy)
    assert (code, findings(said, "warning"), findings(said, "error")) == (0, {}, {})
    abouts = ["hashes", "cost", "indexes", "e-mails", "clock", "production"]
    assert [finding["about"] for finding in said["findings"]] == abouts


def test_an_empty_collection_is_healthy(healthy):
    code, said = examine(healthy)
    assert (code, said["users"], said["sampled"], said["hashes"]) == (0, 0, 0, [])


def test_missing_indexes_are_named_and_not_built(app, database):
    def said():
        ended = app.test_cli_runner().invoke(args=["doctor", "--json"])
        return ended.exit_code, json.loads(ended.stdout)

    database.users.insert_one({"email": ALICE, "password": BCRYPT})
    names = {"email_1", "email_any_case", *surveys._OTHERS}
    code, first = said()
    assert code == 1
    assert all(name in findings(first, "warning")["indexes"] for name in names)
    assert database.users.index_information().keys() == {"_id_"}
    with app.app_context():
        indexes.ensure_indexes(60)
    assert database.users.index_information().keys() == names | {"_id_"}
    assert said()[0] == 0
    database.users.drop_index("mails_due")
    assert findings(said()[1], "warning")["indexes"].startswith("missing: mails_due.")


def test_the_index_that_keeps_users_from_being_imported_twice_is_required_once_there_are_any(healthy, database):
    insert(database, BCRYPT)
    assert "legacy_key" not in database.users.index_information()
    assert examine(healthy)[0] == 0
    insert(database, BCRYPT, legacy={"key": "nestjs:1"})
    code, said = examine(healthy)
    assert (code, findings(said, "warning")) == (
        1,
        {
            "indexes": "missing: legacy_key, which keeps a user from being imported twice. users import and users "
            "adopt build it"
        },
    )
    database.users.create_index("legacy.key", unique=True, sparse=True, name="legacy_key")
    assert examine(healthy)[0] == 0


def test_settings_that_production_refuses_are_named(healthy, make_app):
    code, said = examine(make_app(BCRYPT_LOG_ROUNDS=4, PASSWORD_MIN_LENGTH=6))
    faults = [f["sentence"] for f in said["findings"] if f["about"] == "production"]
    assert code == 1
    assert [fault.split()[0] for fault in faults] == ["FLASK_BCRYPT_LOG_ROUNDS", "FLASK_PASSWORD_MIN_LENGTH"]


@pytest.mark.skipif(bool(GIVEN_URI), reason="looks at the embedded database")
def test_the_embedded_database_is_none_for_production(make_app, uri_of):
    app = make_app(MONGO_URI=uri_of(embedded.DATABASE))
    said = json.loads(app.test_cli_runner().invoke(args=["doctor", "--json"]).stdout)
    faults = [f["sentence"] for f in said["findings"] if (f["about"], f["verdict"]) == ("production", "warning")]
    assert [fault.split(":")[0] for fault in faults] == ["FLASK_MONGO_URI is required with FLASK_ENV=production"]


def test_it_writes_nothing_and_shows_no_secret(healthy, database):
    insert(database, BCRYPT, PBKDF2, "plain text", None)
    insert(database, DEVISE, FIREBASE, "!", legacy={"work": 1.0})
    database.users.insert_one({"password": BCRYPT})
    database.users.insert_many(
        [{"email": email} for email in ("u@münchen.example", "u@xn--mnchen-3ya.example", ["a@b"])]
    )

    def digest():
        names = sorted(database.list_collection_names())
        parts = [batch for name in names for batch in database[name].find_raw_batches({}, sort=[("_id", 1)])]
        return names, database.users.index_information(), hashlib.sha256(b"".join(parts)).hexdigest()

    before = digest()
    ended = healthy.test_cli_runner().invoke(args=["doctor"])
    as_json = healthy.test_cli_runner().invoke(args=["doctor", "--json"])
    assert (ended.exit_code, as_json.exit_code) == (2, 2)
    assert digest() == before
    for output in (ended.output, as_json.output):
        assert "@" not in output
        assert "$" not in output
        assert "plain text" not in output


def test_what_a_person_reads(healthy, database):
    insert(database, BCRYPT, BCRYPT, PBKDF2)
    ended = healthy.test_cli_runner().invoke(args=["doctor"])
    assert ended.exit_code == 1
    lines = ended.stdout.splitlines()
    assert lines[0] == "3 users. Formats of their passwords, by all of them:"
    assert lines[1].split() == ["66.7%", "2", "bcrypt,", "cost", "10"]
    assert lines[2].split() == ["33.3%", "1", "pbkdf2-sha256,", "600,000", "iterations"]
    assert lines[3] == "ok       hashes: every hash looked at can be checked: all 3"
    assert lines[4].startswith("warning  cost: pbkdf2-sha256, 600,000 iterations costs about ")


def test_a_big_collection_is_sampled_and_it_says_so(healthy, database, monkeypatch):
    monkeypatch.setattr(surveys, "_WHOLE_MAX", 50)
    monkeypatch.setattr(doctor, "SAMPLE", 20)
    insert(database, *[BCRYPT] * 60)
    ended = healthy.test_cli_runner().invoke(args=["doctor"])
    lines = ended.stdout.splitlines()
    assert lines[0] == "60 users. Formats of their passwords, by a random sample of 20:"
    assert lines[2] == "ok       hashes: every hash looked at can be checked: a sample of 20 of 60"


@pytest.mark.parametrize("command", [("authservice", "doctor"), ("flask", "--app", "wsgi", "doctor")])
def test_without_a_database_it_exits_with_3(command):
    uri = f"mongodb://127.0.0.1:{free_port()}/x"
    environment = {"FLASK_MONGO_URI": uri, "FLASK_JWT_SECRET_KEY": "4f6a1b9c" * 8, "FLASK_MONGO_TIMEOUT_MS": "200"}
    ended = run(*command, "--json", **environment)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("Error: ")


def test_a_url_is_examined_too(healthy):
    code, said = examine(healthy, "--url", f"http://127.0.0.1:{free_port()}")
    assert code == 2
    assert "it does not answer with HTTP" in findings(said, "error")["url"]


def test_a_terminal_shows_how_far_it_is(database, mongo_uri):
    insert(database, BCRYPT)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": "4f6a1b9c" * 8}
    command = [sys.executable, "-m", "authservice", "doctor"]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=False)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert ended.stdout.startswith(b"1 user.")
    for step in ("counting users", "reading hashes", "looking at indexes", "looking for e-mails", "at clock", "100%"):
        assert step in shown


def test_a_question_may_take_longer_than_one_of_a_request(make_app, database, monkeypatch):
    """On a big collection each of them does."""
    insert(database, BCRYPT)
    seen, look = [], pymongo.timeout
    monkeypatch.setattr(surveys.pymongo, "timeout", lambda seconds: seen.append(seconds) or look(seconds))
    app = make_app(MONGO_TIMEOUT_MS=1_500)
    assert app.test_cli_runner().invoke(args=["doctor", "--json"]).exit_code == 1
    assert seen.count(surveys._SECONDS) >= 6  # number, sample and its batches, dearest, those about e-mails
