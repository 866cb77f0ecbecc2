"""``authservice doctor`` says what is to be said of users, database and settings; each finding goes with its cause."""

import base64
import hashlib
import json
import os
import pty
import subprocess
import sys

import pymongo
import pytest
from bson import ObjectId

from authservice.migration import doctor
from authservice.security.legacy import encode
from authservice.store import indexes, surveys
from tests.conftest import ALICE, make_account
from tests.server.processes import run
from tests.service import free_port

PRODUCTION = {  # settings that FLASK_ENV=production takes
    "JWT_SECRET_KEY": "4f6a1b9c" * 8 + "23d5e078",
    "BCRYPT_LOG_ROUNDS": 10,
    "CORS_ORIGINS": "https://app.example.com",
    "METRICS": "off",
    "TRUSTED_PROXIES": 1,
    "SMTP_URL": "smtps://mail.example.com",
    "MAIL_FROM": "no-reply@example.com",
    "APP_URL": "https://app.example.com/",
}
BCRYPT = "$2b$10$" + "a" * 53
PBKDF2 = encode.pbkdf2("sha256", 600_000, b"saltsalt", b"h" * 32)
FIREBASE = encode.firebase(b"saltsalt", b"h" * 64)
FLASK_SECURITY = encode.flask_security(BCRYPT)
DEVISE = encode.devise(BCRYPT)


@pytest.fixture
def settings(settings):
    return {**settings, **PRODUCTION}


@pytest.fixture
def healthy(app):
    """An app whose collection has the indexes that a worker builds at its start."""
    with app.app_context():
        indexes.ensure_indexes(60)
    return app


@pytest.fixture
def examine(healthy):
    """``examine()``: exit code and JSON. ``examine(app)`` of another app on the same database."""

    def examine(app=healthy, *arguments):
        ended = app.test_cli_runner().invoke(args=["doctor", "--json", *arguments])
        assert ended.stderr == ""
        return ended.exit_code, json.loads(ended.stdout)

    return examine


def findings(said, verdict):
    return {finding["about"]: finding["sentence"] for finding in said["findings"] if finding["verdict"] == verdict}


def insert(database, *passwords, **more):
    documents = [
        {"_id": ObjectId(), "email": f"{ObjectId()}@example.com", "password": password, **more}
        for password in passwords
    ]
    database.users.insert_many([dict(document) for document in documents])
    return [str(document["_id"]) for document in documents]


def test_a_healthy_installation_exits_with_0(examine, database):
    insert(database, BCRYPT)
    code, said = examine()
    assert (code, findings(said, "warning"), findings(said, "error")) == (0, {}, {})
    abouts = ["hashes", "cost", "indexes", "e-mails", "clock", "production"]
    assert [finding["about"] for finding in said["findings"]] == abouts


def test_an_empty_collection_is_healthy(examine):
    code, said = examine()
    assert (code, said["users"], said["sampled"], said["hashes"]) == (0, 0, 0, [])


def test_hashes_are_counted_by_format_and_cost(examine, healthy, database):
    make_account(healthy.test_client(), ALICE)
    insert(database, BCRYPT, BCRYPT, BCRYPT, PBKDF2, PBKDF2, "!", None)
    insert(database, BCRYPT.replace("$10$", "$08$"))
    _, said = examine()
    assert (said["users"], said["sampled"]) == (9, 9)
    assert [(row["number"], row["format"], row["cost"], row["isOurs"]) for row in said["hashes"][:3]] == [
        (3, "bcrypt", "cost 10", False),
        (2, "pbkdf2-sha256", "600,000 iterations", False),
        (2, "no password", "", False),
    ]
    rest = {(row["format"], row["cost"], row["isOurs"]) for row in said["hashes"][3:]}
    assert rest == {("bcrypt", "cost 10", True), ("bcrypt", "cost 8", False)}


@pytest.mark.parametrize("value", ["plain text", 1, ["x"], "$2b$31$" + "a" * 53, "$pbkdf2$x"], ids=repr)
def test_what_nobody_can_sign_in_with_is_named_by_id(examine, database, value):
    (user_id,) = insert(database, value)
    insert(database, BCRYPT)
    code, said = examine()
    (finding,) = [finding for finding in said["findings"] if finding["verdict"] != "ok"]
    assert (code, finding["about"], finding["ids"]) == (1, "hashes", [user_id])
    database.users.delete_one({"_id": ObjectId(user_id)})
    assert examine()[0] == 0


@pytest.mark.parametrize(
    ("password", "more"), [(PBKDF2, {}), (BCRYPT.replace("$10$", "$14$"), {}), (PBKDF2, {"legacy": {"work": 180.0}})]
)
def test_a_hash_that_costs_more_than_ours_is_named(examine, database, password, more):
    insert(database, BCRYPT)
    (user_id,) = insert(database, password, **more)
    code, said = examine()
    assert code == 1
    assert "times our bcrypt of cost 10: every refused sign-in takes as long" in findings(said, "warning")["cost"]
    database.users.delete_one({"_id": ObjectId(user_id)})
    assert examine()[0] == 0


def test_the_dearest_one_is_found_though_the_sample_misses_it(healthy, database, monkeypatch):
    insert(database, PBKDF2, legacy={"work": 180.0})
    monkeypatch.setattr(surveys, "sample", lambda users, size: iter([]))
    with healthy.app_context():
        found = doctor.Hashes(doctor.count())
        doctor.examine_hashes(found)
        assert found.dearest[1] == "pbkdf2-sha256, 600,000 iterations"


@pytest.mark.parametrize(
    ("password", "name", "verdict"),
    [
        (DEVISE, "LEGACY_PEPPER", "warning"),
        (FLASK_SECURITY, "LEGACY_PEPPER", "error"),
        (FIREBASE, "LEGACY_FIREBASE_KEY", "error"),
    ],
    ids=["devise", "flask-security", "firebase"],
)
def test_a_key_that_hashes_need_is_missing(examine, make_app, database, password, name, verdict):
    insert(database, password)
    code, said = examine(make_app(BCRYPT_LOG_ROUNDS=12))
    assert code == (1 if verdict == "warning" else 2)
    assert f"FLASK_{name}" in findings(said, verdict)["keys"]
    value = "pepper" if name == "LEGACY_PEPPER" else base64.b64encode(b"k" * 64).decode()
    _, said = examine(make_app(BCRYPT_LOG_ROUNDS=12, **{name: value}))
    assert "keys" not in {finding["about"] for finding in said["findings"]}


def test_the_hashes_of_another_apps_field_are_looked_at(examine, make_app, database):
    insert(database, None)
    database.users.update_one({}, {"$set": {"theirs": BCRYPT}, "$unset": {"password": ""}})
    _, said = examine(make_app(USERS_FIELDS="password=theirs"))
    assert [row["format"] for row in said["hashes"]] == ["bcrypt"]


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


def test_e_mails_that_are_one_accounts_are_named_by_id(app, database):
    def said():
        return json.loads(app.test_cli_runner().invoke(args=["doctor", "--json"]).stdout)

    def of_emails(verdict):
        return [f for f in said()["findings"] if f["about"] == "e-mails" and f["verdict"] == verdict]

    case = insert(database, BCRYPT, BCRYPT)
    alike = insert(database, BCRYPT, BCRYPT)
    for ids, emails in ((case, ("Bob@example.com", "bob@example.com")), (alike, (ALICE, ALICE))):
        for user_id, email in zip(ids, emails, strict=True):
            database.users.update_one({"_id": ObjectId(user_id)}, {"$set": {"email": email}})
    (warning,), (error,) = of_emails("warning"), of_emails("error")
    assert sorted(warning["ids"]) == sorted(case)
    assert sorted(error["ids"]) == sorted(alike)
    for ids in (case, alike):
        database.users.delete_one({"_id": ObjectId(ids[0])})
    assert (of_emails("warning"), of_emails("error"), len(of_emails("ok"))) == ([], [], 1)


def test_documents_without_an_e_mail_are_named_by_id(app, database):
    def of_emails():
        ended = app.test_cli_runner().invoke(args=["doctor", "--json"])
        (found,) = [f for f in json.loads(ended.stdout)["findings"] if f["about"] == "e-mails"]
        return found

    ids = insert(database, BCRYPT, BCRYPT)
    database.users.update_one({"_id": ObjectId(ids[0])}, {"$unset": {"email": ""}})
    assert (of_emails()["verdict"], of_emails()["ids"]) == ("warning", ids[:1])
    database.users.update_one({"_id": ObjectId(ids[1])}, {"$set": {"email": None}})
    assert (of_emails()["verdict"], sorted(of_emails()["ids"])) == ("error", sorted(ids))
    database.users.delete_many({})
    assert of_emails()["verdict"] == "ok"


def test_settings_that_production_refuses_are_named(examine, make_app):
    code, said = examine(make_app(BCRYPT_LOG_ROUNDS=4, PASSWORD_MIN_LENGTH=6))
    faults = [f["sentence"] for f in said["findings"] if f["about"] == "production"]
    assert code == 1
    assert [fault.split()[0] for fault in faults] == ["FLASK_BCRYPT_LOG_ROUNDS", "FLASK_PASSWORD_MIN_LENGTH"]


def test_it_writes_nothing_and_shows_no_secret(examine, database, healthy):
    insert(database, BCRYPT, PBKDF2, "plain text", None)
    insert(database, DEVISE, FIREBASE, "!", legacy={"work": 1.0})
    database.users.insert_one({"password": BCRYPT})

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


def test_a_url_is_examined_too(examine, healthy):
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
    assert ended.stdout.startswith(b"1 users.")
    for step in ("counting users", "reading hashes", "looking for e-mails", "looking at clock", "100%"):
        assert step in shown


def test_a_question_may_take_longer_than_one_of_a_request(make_app, database, monkeypatch):
    """On a big collection each of them does."""
    insert(database, BCRYPT)
    seen, look = [], pymongo.timeout
    monkeypatch.setattr(surveys.pymongo, "timeout", lambda seconds: seen.append(seconds) or look(seconds))
    app = make_app(MONGO_TIMEOUT_MS=1_500)
    assert app.test_cli_runner().invoke(args=["doctor", "--json"]).exit_code == 1
    assert seen.count(surveys._SECONDS) >= 6  # number, sample and its batches, dearest, two about e-mails
