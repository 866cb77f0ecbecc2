"""``flask users`` says on stderr, in a line, what is wrong, and with its exit code what kind of wrong."""

import json

import pytest

from authservice.cli import EXIT_BAD_INPUT, EXIT_DATABASE, EXIT_REFUSED
from tests.conftest import ALICE, CHARLIE, PASSWORD, SECRET
from tests.server.processes import WITHOUT_STDIN, run

DONE = 0
DATABASE_AWAY = "Error: The database does not answer. Does it run, and is FLASK_MONGO_URI right?\n"


def test_the_exit_codes_are_the_documented_ones():
    assert (DONE, EXIT_REFUSED, EXIT_BAD_INPUT, EXIT_DATABASE) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "command", [["show"], ["set-password"], ["disable"], ["enable"], ["delete"], ["delete", "--yes"]]
)
@pytest.mark.parametrize("email", [CHARLIE, "", "no-address", "x" * 400, '{"$ne": null}', "$where", "\u202e"])
def test_an_unknown_user_is_refused(users, alice, command, email):
    refused = users(*command, email)
    assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
    assert refused.stderr == "Error: No such user. No user has this e-mail or id.\n"


@pytest.mark.parametrize("email", [ALICE, "ALICE@example.com", " alice@EXAMPLE.com "])
def test_a_taken_e_mail_is_refused(users, alice, database, email):
    refused = users("create", email, "--password-stdin", stdin=PASSWORD)
    assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
    assert (
        refused.stderr == "Error: The e-mail is taken. An account with this e-mail already exists. Sign in instead.\n"
    )
    assert database.users.count_documents({}) == 1


@pytest.mark.parametrize(
    ("email", "password", "lines"),
    [
        ("no-address", PASSWORD, ["email: Send an e-mail address such as natalie@example.com."]),
        ("", PASSWORD, ["email: Send an e-mail address such as natalie@example.com."]),
        ("x" * 400 + "@example.com", PASSWORD, ["email: Send an e-mail address such as natalie@example.com."]),
        (ALICE, "seven77", ["password: Use at least 8 characters."]),
        (ALICE, "", ["password: Send a password."]),
        (ALICE, "nul\0in the middle", ["password: Use any characters but NUL."]),
        (ALICE, "x" * 1_025, ["password: Use at most 1024 characters."]),
        (ALICE, b"\xff\xfe not utf-8", ["password: not UTF-8"]),
        (
            "no-address",
            "short",
            ["email: Send an e-mail address such as natalie@example.com.", "password: Use at least 8 characters."],
        ),
    ],
)
def test_bad_input_names_each_field(users, database, email, password, lines):
    refused = users("create", email, "--password-stdin", stdin=password)
    assert (refused.exit_code, refused.stdout) == (EXIT_BAD_INPUT, "")
    assert refused.stderr == "".join(f"Error: {line}\n" for line in lines)
    assert database.users.count_documents({}) == 0


@pytest.mark.parametrize("command", ["create", "show", "set-password", "disable", "enable", "delete"])
def test_an_argument_that_is_no_utf_8_is_bad_input(users, command):
    refused = users(command, "\udcff@example.com")
    assert refused.exit_code == EXIT_BAD_INPUT
    assert refused.stderr.splitlines()[-1] == "Error: Invalid value for 'EMAIL': not UTF-8"


@pytest.mark.parametrize("command", ["create", "show", "set-password", "disable", "enable", "delete"])
def test_a_forgotten_e_mail_is_asked_for(users, command):
    refused = users(command)
    assert refused.exit_code == EXIT_BAD_INPUT
    assert refused.stderr.splitlines()[-1] == "Error: Missing argument 'EMAIL'."


def test_a_password_that_nobody_types_is_explained(users):
    refused = users("create", ALICE)
    assert refused.exit_code == EXIT_BAD_INPUT
    assert refused.stderr.splitlines()[-1] == (
        "Error: password: missing. Type it in a terminal, or pipe it in with --password-stdin."
    )


def test_help_lists_every_command(users):
    shown = users("--help")
    assert shown.exit_code == DONE
    listed = [line.split()[0] for line in shown.stdout.partition("Commands:\n")[2].splitlines() if line.strip()]
    assert {"create", "show", "list", "set-password", "disable", "enable", "delete"} <= {*listed}


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", ALICE, "--password-stdin"],
        ["show", ALICE],
        ["list"],
        ["set-password", ALICE, "--password-stdin"],
        ["disable", ALICE],
        ["enable", ALICE],
        ["delete", ALICE, "--yes"],
    ],
)
def test_a_database_that_is_away_is_one_line(make_app, arguments):
    app = make_app(MONGO_URI="mongodb://127.0.0.1:1/x", MONGO_TIMEOUT_MS=100)
    away = app.test_cli_runner().invoke(args=["users", *arguments], input=PASSWORD)
    assert (away.exit_code, away.stdout) == (EXIT_DATABASE, "")
    assert away.stderr == DATABASE_AWAY


@pytest.mark.parametrize("options", [[], ["--password-stdin"]])
def test_a_password_that_nobody_can_type_is_explained_too(mongo_uri, options):
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    refused = run("authservice", "users", "create", ALICE, *options, through=WITHOUT_STDIN, **environment)
    assert (refused.returncode, refused.stdout) == (EXIT_BAD_INPUT, "")
    assert refused.stderr == ("Error: password: missing. Type it in a terminal, or pipe it in with --password-stdin.\n")


@pytest.mark.parametrize(
    "command", [["users", "delete", ALICE], ["users", "reset-factors", ALICE], ["keys", "retire", "old"]], ids=" ".join
)
def test_a_question_that_nobody_can_answer_is_explained(users, alice, mongo_uri, tmp_path, command):
    settings = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    environment = settings if command[0] == "users" else {"FLASK_JWT_KEYS_FILE": str(tmp_path / "keys.json")}
    refused = run("authservice", *command, through=WITHOUT_STDIN, **environment)
    assert (refused.returncode, refused.stdout) == (EXIT_BAD_INPUT, "")
    assert refused.stderr == "Error: nobody can be asked here. Use --yes.\n"
    assert users("show", ALICE).exit_code == DONE


def flask_users(*arguments: str, **environment: str):
    return run("flask", "--app", "wsgi", "users", *arguments, **environment)


def test_the_real_command_creates_shows_and_refuses(mongo_uri):
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET, "FLASK_BCRYPT_LOG_ROUNDS": "4"}
    created = run("flask", "--app", "wsgi", "users", "create", ALICE, "--password-stdin", stdin=PASSWORD, **environment)
    assert created.returncode == DONE
    assert [json.loads(line)["event"] for line in created.stderr.splitlines()] == ["sign_up"]
    shown = flask_users("show", ALICE, **environment)
    assert (shown.returncode, shown.stdout, shown.stderr) == (DONE, created.stdout, "")
    refused = flask_users("show", CHARLIE, **environment)
    assert (refused.returncode, refused.stdout) == (EXIT_REFUSED, "")
    assert refused.stderr == "Error: No such user. No user has this e-mail or id.\n"


def test_the_real_command_says_in_one_line_that_the_database_is_away():
    environment = {"FLASK_MONGO_URI": "mongodb://127.0.0.1:1/x", "FLASK_JWT_SECRET_KEY": SECRET}
    away = flask_users("list", **environment)
    assert (away.returncode, away.stdout) == (EXIT_DATABASE, "")
    assert away.stderr == DATABASE_AWAY


def test_faults_of_the_settings_are_a_list_and_no_traceback():
    ended = flask_users("list", FLASK_MONGO_URI="mongodb://root:hunter2@127.0.0.1/", FLASK_BCRYPT_QUEUE="many")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.splitlines() == [
        "the service cannot start:",
        "  - FLASK_MONGO_URI must name the database after the host, such as mongodb://127.0.0.1:27017/authexample",
        "  - FLASK_BCRYPT_QUEUE must be a whole number from 0 to 1000, not 'many'",
        "  - FLASK_JWT_SECRET_KEY is required with FLASK_MONGO_URI; make one with: openssl rand -hex 32",
    ]
