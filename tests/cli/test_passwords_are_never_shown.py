"""A password comes from a terminal without echo or from stdin, and never from an argument."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.conftest import ALICE, PASSWORD, SECRET, sign_in
from tests.service import ROOT

PATIENCE_SECONDS = 30
NO_SUCH_OPTION = "Error: No such option '--password'. Did you mean '--password-stdin'?"


class Terminal:
    """``flask --app wsgi users ...`` in a terminal of its own."""

    def __init__(self, mongo_uri: str, *arguments: str) -> None:
        self.seen = ""
        self._ours, theirs = pty.openpty()
        environment = {
            **os.environ,
            "FLASK_MONGO_URI": mongo_uri,
            "FLASK_JWT_SECRET_KEY": SECRET,
            "FLASK_BCRYPT_LOG_ROUNDS": "4",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", "users", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def read_until(self, ends: Callable[[str], bool]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not ends(self.seen):
            readable, _, _ = select.select([self._ours], [], [], max(0.0, give_up - time.monotonic()))
            assert readable, self.seen
            try:
                self.seen += os.read(self._ours, 4_096).decode()
            except OSError:  # the other side has closed
                return

    def type(self, line: str) -> None:
        os.write(self._ours, f"{line}\n".encode())

    def close(self) -> int:
        self.read_until(lambda seen: False)
        os.close(self._ours)
        return self.process.wait(PATIENCE_SECONDS)


def test_the_terminal_asks_twice_and_shows_nothing_of_what_is_typed(client, mongo_uri):
    terminal = Terminal(mongo_uri, "create", ALICE)
    terminal.read_until(lambda seen: seen.endswith("Password: "))
    terminal.type(PASSWORD)
    terminal.read_until(lambda seen: seen.endswith("Repeat for confirmation: "))
    terminal.type("mistyped it here")
    terminal.read_until(lambda seen: seen.count("Password: ") == 2)
    terminal.type(PASSWORD)
    terminal.read_until(lambda seen: seen.count("Repeat for confirmation: ") == 2)
    terminal.type(PASSWORD)
    assert terminal.close() == 0
    assert "Error: The two entered values do not match." in terminal.seen
    assert f"  {ALICE}  enabled  " in terminal.seen
    assert PASSWORD not in terminal.seen
    assert "mistyped" not in terminal.seen
    sign_in(client, ALICE)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nsecond line\n"])
def test_stdin_gives_its_first_line_and_all_of_it(users, client, end):
    password = "  blanks belong to it \t é😀 "
    created = users("create", ALICE, "--password-stdin", stdin=f"{password}{end}")
    assert (created.exit_code, created.stderr) == (0, "")
    sign_in(client, ALICE, password)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["create", ALICE, PASSWORD], f"Error: Got unexpected extra argument ({PASSWORD})"),
        (
            ["create", ALICE, "--password", PASSWORD],
            NO_SUCH_OPTION,
        ),
        (
            ["create", ALICE, f"--password={PASSWORD}"],
            NO_SUCH_OPTION,
        ),
    ],
)
def test_an_argument_is_never_a_password(users, database, arguments, line):
    refused = users(*arguments)
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1] == line
    assert database.users.count_documents({}) == 0


def test_no_variable_is_a_password_either(users, database, monkeypatch):
    monkeypatch.setenv("PASSWORD", PASSWORD)
    monkeypatch.setenv("FLASK_USERS_CREATE_PASSWORD", PASSWORD)
    monkeypatch.setenv("FLASK_USERS_CREATE_PASSWORD_STDIN", "1")
    assert users("create", ALICE).exit_code == 2
    assert database.users.count_documents({}) == 0
