"""``users adopt`` says what it would write, and asks. Until the answer is yes it changes no byte."""

import json

import pytest
from bson import ObjectId

from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, make_account
from tests.migration.adopting import METEOR_ID, adopt, bcrypted, contents, meteor, nestjs, payload, require_done
from tests.migration.golden_hashes import FOLDER

NORMAL_FORM = "email (written in normal form; the other app then finds the user only by that spelling)"


@pytest.fixture
def mixed(client, database):
    """Ids, by what becomes of the documents."""
    make_account(client, ALICE)
    documents = {
        "plain": nestjs(BOB),
        "capitals": nestjs("Natalie@Example.com", roles=[], isActive=False, emailVerified=True),
        "taken": nestjs("ALICE@example.com"),
        "first": nestjs("twin@example.com"),
        "second": nestjs("Twin@Example.com"),
        "no e-mail": {"_id": ObjectId(), "email": None, "password": "x"},
        "no address": nestjs("josh@localhost"),
        "no hash of ours": nestjs("md5@example.com", password="5f4dcc3b5aa765d61d8327deb882cf99"),
    }
    database.users.drop_indexes()
    database.users.insert_many(documents.values())
    alice = database.users.find_one({"email": ALICE})["_id"]
    return {name: str(document["_id"]) for name, document in documents.items()} | {"alice": str(alice)}


def said(mixed):
    return f"""\
users, by NestJS with Mongoose:
  would adopt          2
  already here         1
  e-mail taken         4
    alice@example.com: {mixed["alice"]}, {mixed["taken"]}
    twin@example.com: {mixed["first"]}, {mixed["second"]}
  unreadable           3
    no e-mail (1): {mixed["no e-mail"]}
    invalid e-mail (1): {mixed["no address"]}
    unknown kind of password hash (1): {mixed["no hash of ours"]}
Fields that it adds: disabledAt 1, emailVerifiedAt 1, legacy 2
Fields of the other app that it replaces: {NORMAL_FORM} 1
Every other field stays as it is.
Afterwards change e-mails here only: one that the other app changes would still count as verified.
"""


def test_a_dry_run_says_it_and_changes_no_byte(app, database, mixed):
    before = contents(database)
    result = adopt(app, "nestjs", "--dry-run")
    assert (result.exit_code, result.stdout, result.stderr) == (1, said(mixed), "")
    assert contents(database) == before


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_no_byte_changes(app, database, mixed, answer):
    before = contents(database)
    result = adopt(app, "nestjs", stdin=answer)
    assert result.exit_code == (1 if answer else 2)
    assert result.stdout == said(mixed)
    assert result.stderr.startswith("Adopt 2? [y/N]: ")
    assert ("Aborted!" if answer else "Error: nobody can be asked here. Use --yes.") in result.stderr
    assert contents(database) == before


@pytest.mark.parametrize(("options", "answer"), [(["--yes"], ""), ([], "y\n")])
def test_with_a_yes_it_is_done_and_no_other_document_changes(app, database, mixed, options, answer):
    before = {one["_id"]: one for one in database.users.find()}
    result = adopt(app, "nestjs", *options, stdin=answer)
    require_done(result, 2, all_in=False, asked="Adopt 2? [y/N]: y\n" if answer else "")
    assert result.stdout.startswith(said(mixed))
    changed = {str(one["_id"]) for one in database.users.find() if one != before[one["_id"]]}
    assert changed == {mixed["plain"], mixed["capitals"]}


def test_again_there_is_nothing_to_do_and_it_does_not_ask(app, database, mixed):
    require_done(adopt(app, "nestjs", "--yes"), 2, all_in=False)
    before = contents(database)
    result = adopt(app, "nestjs")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "would adopt          0\n  already here         3\n" in result.stdout
    assert "Adopt" not in result.stdout
    assert contents(database) == before


def test_an_undo_says_it_too_and_a_dry_run_or_a_no_changes_no_byte(app, database, mixed):
    require_done(adopt(app, "nestjs", "--yes"), 2, all_in=False)
    before = contents(database)
    for options, answer in ((["--dry-run"], ""), ([], "n\n")):
        result = adopt(app, "nestjs", "--undo", *options, stdin=answer)
        assert result.stdout.startswith(
            "users, by NestJS with Mongoose:\n  would undo           2\n  stay                 0\n"
        )
        assert result.exit_code == (0 if options else 1)
        assert contents(database) == before
    result = adopt(app, "meteor", "--undo", "--yes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert contents(database) == before, "only those of the named stack"


@pytest.mark.parametrize(
    ("emails", "said"),
    [
        ([ALICE], "1 has an id that is no ObjectId. It becomes a new document"),
        ([ALICE, CHARLIE], "2 have an id that is no ObjectId. Each becomes a new document"),
    ],
)
def test_documents_that_move_are_announced(app, database, emails, said):
    database.users.insert_many([meteor(email, f"{METEOR_ID}{email}") for email in emails] + [meteor(BOB)])
    result = adopt(app, "meteor", "--dry-run")
    assert result.exit_code == 0
    assert f"\n{said}, and the old one moves to users_adopted. Stop the other app before.\n" in result.stdout


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 has no password and sets one by mail."), (2, "2 have no password and set one by mail.")],
)
def test_users_without_a_password_are_counted(app, database, count, said):
    without = [nestjs(f"{number}@example.com", password=None) for number in range(count)]
    database.users.insert_many([nestjs(ALICE), *without])
    assert f"\n{said}\n" in require_done(adopt(app, "nestjs", "--yes"), 1 + count).stdout
    assert "no password" not in adopt(app, "nestjs", "--dry-run").stdout


def test_a_profile_that_finds_no_password_at_all_is_asked_about(app, database):
    """passport-local-mongoose keeps it in hash and salt."""
    others = [{"_id": ObjectId(), "email": email, "salt": "5f" * 32, "hash": "a1" * 512} for email in (ALICE, BOB)]
    database.users.insert_many(others)
    said = (
        "\n2 have no password and set one by mail.\n"
        "By the rules of NestJS with Mongoose, none of them has a password. Is --from right?\n"
    )
    assert said in require_done(adopt(app, "nestjs", "--yes"), 2).stdout
    require_done(adopt(app, "nestjs", "--undo", "--yes"), 2, "undone")
    assert "none of them" not in require_done(adopt(app, "passport-local-mongoose", "--yes"), 2).stdout


@pytest.mark.parametrize("known", ["adopted before", "contested"])
def test_one_password_shows_that_the_profile_is_right(app, database, known):
    database.users.insert_one(nestjs(ALICE))
    if known == "adopted before":
        require_done(adopt(app, "nestjs", "--yes"), 1)
    else:
        database.users.insert_one(nestjs("Alice@Example.com"))
    database.users.insert_one(nestjs(BOB, password=None))
    done = require_done(adopt(app, "nestjs", "--yes"), 1, all_in=known != "contested")
    assert "none of them" not in done.stdout


@pytest.mark.parametrize(("pepper", "is_said"), [(None, True), ("pepper", False)])
def test_a_pepper_that_devise_may_have_is_named(make_app, database, pepper, is_said):
    database.users.insert_one({"email": ALICE, "encrypted_password": bcrypted(PASSWORD)})
    result = adopt(make_app(LEGACY_PEPPER=pepper), "devise", "--dry-run")
    said = "\nIf Devise has a pepper, 1 can sign in only with FLASK_LEGACY_PEPPER, which is not set.\n"
    assert (result.exit_code, said in result.stdout) == (0, is_said)
    assert "\n1 can sign in" not in result.stdout


def test_a_pepper_that_flask_security_has_is_named(app, database):
    (stored, *_) = json.loads((FOLDER / "flask-security.json").read_text())
    database.users.insert_one({"email": ALICE, "password": stored["stored"], "active": True})
    result = adopt(app, "flask-security", "--dry-run")
    assert "\n1 can sign in only with FLASK_LEGACY_PEPPER, which is not set.\n" in result.stdout


def test_what_another_app_no_longer_finds_is_announced(app, database):
    database.users.insert_many([payload(ALICE), payload(BOB, sessions=[])])
    result = adopt(app, "payload", "--dry-run", "--rename-sessions")
    assert result.exit_code == 0
    assert "\nsessions becomes payloadSessions in 1, and the other app no longer finds it.\n" in result.stdout


@pytest.mark.parametrize("stack", ["wordpress", "better-auth"])
def test_a_stack_that_cannot_be_adopted_is_named_with_those_that_can(app, database, stack):
    result = adopt(app, stack, "--yes")
    assert result.exit_code == 2
    assert "'nestjs'" in result.stderr
    assert database.list_collection_names() == []


def test_an_empty_collection_is_no_error(app, database):
    result = adopt(app, "nestjs")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "would adopt          0\n" in result.stdout
    assert database.list_collection_names() == []


def test_a_database_that_is_away_is_said_at_once(make_app):
    away = make_app(MONGO_URI="mongodb://127.0.0.1:1/x", MONGO_TIMEOUT_MS=100)
    for options in ([], ["--undo"], ["--dry-run"]):
        result = adopt(away, "nestjs", *options)
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr.startswith("Error: ")


def test_no_hash_is_shown(app, database, mixed):
    for options in (["--dry-run"], ["--yes"], ["--undo", "--yes"]):
        result = adopt(app, "nestjs", *options)
        assert "$2b$" not in result.output
        assert "5f4dcc3b" not in result.output
        assert PASSWORD not in result.output


def test_an_undo_needs_no_other_option(app, database):
    result = adopt(app, "payload", "--undo", "--rename-sessions")
    assert result.exit_code == 2
    assert "--undo knows what was renamed" in result.stderr
