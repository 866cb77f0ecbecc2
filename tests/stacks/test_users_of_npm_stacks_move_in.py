"""The stacks themselves sign users up and let them in; then these users sign in here, and some still over there."""

import json
import os
import shutil
import subprocess
import sys

import bcrypt
import pytest
import requests
from bson import json_util

from tests.clients import needs
from tests.conftest import SECRET
from tests.service import ROOT

HERE = ROOT / "tests" / "stacks"
COST = 11  # of ours: one more than that of the stacks, so that their bcrypt is renewed too
PASSWORDS = {
    "words": "correct horse battery",
    "umlauts": "Zürich-Straße",
    "emoji": "pässwörd-日本-😀",
    "spaces": "  two spaces  ",
    "72": "x" * 71 + "y",
    "73": "x" * 71 + "yz",
}
USERS = [(f"{name}@example.com", password) for name, password in PASSWORDS.items()]
WRONG = [(email, f"x{password}") for email, password in USERS]
LONG = PASSWORDS["73"]
ALL = [True] * len(USERS)
NONE = [False] * len(USERS)
# What we store is bcrypt of a digest where the password is longer than bcrypt reads; Node's bcrypt cuts it instead.
ALL_BUT_LONG = [password != LONG for _, password in USERS]
IN_PLACE = {  # by stack: profile, collection, whom the stack itself lets in after the move
    "nestjs": ("nestjs", "users", ALL_BUT_LONG),
    "passport-local-mongoose": ("passport-local-mongoose", "users", ALL),
    "parse": ("parse", "_User", ALL),
    "meteor": ("meteor", "users", ALL),
    "meteor-with-nodes-sha256": ("meteor", "users", ALL),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A copy: the packages are not the repository's."""
    folder = tmp_path_factory.mktemp("stacks")
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("node_modules", "*.py"), dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(needs.npm_packages(HERE))
    return folder


@pytest.fixture
def stack(programs, mongo_uri):
    """``stack(name, action, users)``: what the stack itself answers for each."""

    def stack(name, action, users):
        command = ["node", "stack.mjs", name, mongo_uri, action]
        done = subprocess.run(
            command, cwd=programs, input=json.dumps(users), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return stack


@pytest.fixture
def command(mongo_uri):
    """``authservice users ...``"""

    def command(*arguments, **settings):
        environment = {**os.environ, "FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET, **settings}
        done = subprocess.run(
            [sys.executable, "-m", "authservice", "users", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return command


@pytest.fixture
def serve_at_our_cost(serve):
    return lambda **settings: serve(FLASK_BCRYPT_LOG_ROUNDS=str(COST), **settings)


def post(service, path, user):
    email, password = user
    return requests.post(service.url + path, json={"email": email, "password": password}, timeout=30)


def sign_ins(service, users):
    """Whether each is let in."""
    answers = [post(service, "/auth", user) for user in users]
    assert {answer.status_code for answer in answers} <= {200, 401}
    return [answer.status_code == 200 for answer in answers]


def require_ours(collection):
    for email, password in USERS:
        hashed = collection.find_one({"email": email})["password"]
        assert hashed.startswith(f"$2b${COST}$")
        if password != LONG:
            assert bcrypt.checkpw(password.encode(), hashed.encode())


@pytest.mark.parametrize("name", IN_PLACE)
def test_adopted_users_sign_in_with_their_passwords(name, stack, command, serve_at_our_cost, database):
    profile, collection, who_is_let_in_there = IN_PLACE[name]
    assert stack(name, "signUp", USERS) == ALL
    assert (stack(name, "signIn", USERS), stack(name, "signIn", WRONG)) == (ALL, NONE)
    assert f"{len(USERS)} adopted" in command("adopt", "--from", profile, "--yes", FLASK_USERS_COLLECTION=collection)
    service = serve_at_our_cost(FLASK_USERS_COLLECTION=collection)
    assert sign_ins(service, WRONG) == NONE
    assert sign_ins(service, USERS) == ALL
    require_ours(database[collection])
    assert (sign_ins(service, USERS), sign_ins(service, WRONG)) == (ALL, NONE)
    assert (stack(name, "signIn", USERS), stack(name, "signIn", WRONG)) == (who_is_let_in_there, NONE)


@pytest.mark.parametrize("name", IN_PLACE)
def test_after_an_undo_the_stack_goes_on(name, stack, command):
    profile, collection, _ = IN_PLACE[name]
    assert stack(name, "signUp", USERS) == ALL
    command("adopt", "--from", profile, "--yes", FLASK_USERS_COLLECTION=collection)
    command("adopt", "--from", profile, "--undo", "--yes", FLASK_USERS_COLLECTION=collection)
    assert (stack(name, "signIn", USERS), stack(name, "signIn", WRONG)) == (ALL, NONE)


def test_both_work_on_one_collection_without_any_command(stack, serve_at_our_cost, database):
    assert stack("nestjs", "signUp", USERS) == ALL
    service = serve_at_our_cost()
    assert (sign_ins(service, USERS), sign_ins(service, WRONG)) == (ALL, NONE)
    require_ours(database.users)
    assert (stack("nestjs", "signIn", USERS), stack("nestjs", "signIn", WRONG)) == (ALL_BUT_LONG, NONE)


def test_a_password_set_by_one_app_counts_for_both(stack, serve_at_our_cost):
    signed_up, over_there, here = (
        ("new@example.com", password) for password in ("signed up here", "changed over there", "changed back here")
    )
    assert stack("nestjs", "signUp", USERS) == ALL  # the collection is the other app's
    service = serve_at_our_cost()
    assert post(service, "/users", signed_up).status_code == 201
    assert stack("nestjs", "signIn", [signed_up]) == [True]

    assert stack("nestjs", "changePassword", [over_there]) == [True]
    assert sign_ins(service, [signed_up, over_there]) == [False, True]

    token = post(service, "/auth", over_there).json()["token"]
    changed = requests.put(
        f"{service.url}/users/me/password",
        json={"currentPassword": over_there[1], "newPassword": here[1]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert changed.status_code == 200, changed.text
    assert stack("nestjs", "signIn", [signed_up, over_there, here]) == [False, False, True]


def test_users_of_better_auth_are_imported(stack, command, serve_at_our_cost, database, tmp_path):
    assert stack("better-auth", "signUp", USERS) == ALL
    assert (stack("better-auth", "signIn", USERS), stack("better-auth", "signIn", WRONG)) == (ALL, NONE)
    files = []
    for name in ("account", "user"):  # as mongoexport writes them
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text("".join(f"{json_util.dumps(one)}\n" for one in database[name].find()))
    table = command("import", "--from", "better-auth", *map(str, files))
    assert f"imported {len(USERS)}" in " ".join(table.split())
    service = serve_at_our_cost()
    assert sign_ins(service, WRONG) == NONE
    assert sign_ins(service, USERS) == ALL
    require_ours(database.users)
