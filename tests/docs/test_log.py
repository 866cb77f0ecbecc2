"""The tables of the log in docs/operations.md: real requests, commands and faults write these fields and no others."""

import contextlib
import json
import re
import socket

import pytest

from authservice import user_created
from authservice.mail import requests
from authservice.security import one_time
from tests.api.answers import captured_log
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, bearer, sign_in, state_of
from tests.factors.enrolling import KEY, NEW_KEY, code_of, confirm, set_up, wrong_code
from tests.migration.adopting import nestjs
from tests.passkeys.authenticator import Passkey, encoded
from tests.passkeys.conftest import PASSKEYS
from tests.profile.schemas import PetSchema
from tests.server.processes import wait_until
from tests.service import ROOT

SECTION = (ROOT / "docs/operations.md").read_text().split("\n## Log\n", 1)[1].split("\n## ", 1)[0]


def table(first_cell):
    """The rows below a heading."""
    lines = SECTION.split(f"\n| {first_cell} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


FIELDS = {names(field)[0]: lines for field, lines, _ in table("field")}
SECURITY_EVENTS = {
    event: set(names(outcomes)) for events, outcomes, _ in table("security event") for event in names(events)
}


def belongs(field, line):
    """Whether the table has the field for such a line."""
    of = FIELDS.get(field, "")
    return (
        of == "every line"
        or ("of a request" in of and line.get("via") != "cli")
        or ("security events" in of and line["event"] in SECURITY_EVENTS)
        or line["event"] in names(of)
    )


def users_and_admins(client, database):
    """Each thing that a user or an admin does, with what is refused."""
    credentials = {"email": ALICE, "password": PASSWORD}
    ids = {}
    for email in (ALICE, BOB):
        ids[email] = client.post("/users", json={"email": email, "password": PASSWORD}).get_json()["id"]
    client.post("/users", json=credentials, headers={"X-Request-Id": "mine"})
    client.post("/auth", json={**credentials, "password": "a wrong one"})
    for _ in range(2):  # the second replaces the session of the first
        by_cookie = {**credentials, "cookie": True}
        headers = {"X-Requested-With": "tests"}
        assert client.post("/auth", json=by_cookie, headers=headers, base_url="https://localhost").status_code == 200
    client.delete_cookie("__Host-refresh")
    pair = sign_in(client, ALICE)
    refresh = {"refreshToken": pair["refreshToken"]}
    for _ in range(2):
        pair = client.post("/auth/refresh", json=refresh).get_json()
    client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]})
    assert client.post("/auth/refresh", json=refresh).get_json()["code"] == "token_reused"
    mine = bearer(sign_in(client, ALICE)["token"])
    for _ in range(2):
        other = sign_in(client, ALICE)["token"]
        client.delete("/auth", headers=bearer(other))
        client.delete("/auth", headers=bearer(other))
    client.delete("/auth/sessions?scope=others", headers=mine)
    device = client.get("/users/me/devices", headers=mine).get_json()["devices"][0]["id"]
    client.delete(f"/users/me/devices/{device}", headers=mine)
    client.get("/users/me/export", headers=mine)
    for current in ("a wrong one", PASSWORD):
        body = {"currentPassword": current, "newPassword": PASSWORD}
        changed = client.put("/users/me/password", json=body, headers=mine)
    mine = bearer(changed.get_json()["token"])
    assert client.post("/auth/step-up", json={"password": PASSWORD}, headers=mine).status_code == 200
    client.delete("/auth/sessions?scope=all", headers=mine)
    client.delete("/users/me", json={"currentPassword": PASSWORD}, headers=bearer(sign_in(client, ALICE)["token"]))

    database.users.update_one({"email": BOB}, {"$set": {"roles": ["admin"]}})
    admin = bearer(sign_in(client, BOB)["token"])
    client.patch(f"/admin/users/{ids[BOB]}", json={"disabled": True}, headers=admin)
    client.post("/users", json=credentials)
    alice = client.get(f"/admin/users?email={ALICE}", headers=admin).get_json()["users"][0]["id"]
    client.patch(f"/admin/users/{alice}", json={"roles": ["editor"], "disabled": True}, headers=admin)
    client.delete(f"/admin/users/{alice}/sessions", headers=admin)
    client.delete(f"/admin/users/{alice}", headers=admin)


def resets(client, database):
    """A reset, and another try with the same link."""
    natalie = "natalie@example.com"
    client.post("/users", json={"email": natalie, "password": PASSWORD})
    assert client.post("/auth/reset", json={"email": natalie}).status_code == 202
    (asked,) = database.mailRequests.find()
    with client.application.app_context():
        token = one_time.link_token(asked["kind"], asked["_id"], asked["at"], asked["email"])
    for status in (204, 403):
        body = {"token": token, "newPassword": "an even longer secret"}
        assert client.put("/auth/reset", json=body).status_code == status


def email_changes(client, database):
    """A new e-mail, and the old one again."""
    natalie, password = "natalie@example.com", "an even longer secret"
    headers = bearer(sign_in(client, natalie, password)["token"])
    body = {"newEmail": "natalie@new.example.com", "currentPassword": password}
    asked = client.put("/users/me/email", json=body, headers=headers)
    assert asked.status_code == 202
    user = database.users.find_one({"email": natalie})
    change = user["emailChange"]
    with client.application.app_context():
        token = one_time.link_token("email_change", change["asking"], change["at"], change["to"])
    confirmed = client.put("/users/me/email/confirmation", json={"token": token}, headers=headers)
    assert confirmed.status_code == 204
    verified = client.put("/users/me/email/verification", json={"code": "0000 0000"}, headers=headers)
    assert verified.status_code == 403
    (former,) = database.users.find_one({"_id": user["_id"]})["formerEmails"]
    with client.application.app_context():
        token = one_time.link_token("email_changed", former["asking"], former["at"], former["email"])
    assert client.post("/auth/email-undo", json={"token": token}).status_code == 204


def two_steps(make_app):
    """Turned on with a wrong code first, new recovery codes, a lost key, and turned off."""
    client = make_app(ENCRYPTION_KEYS=KEY).test_client()
    client.post("/users", json={"email": ALICE, "password": PASSWORD})
    mine = sign_in(client, ALICE)["token"]
    secret = set_up(client, mine)
    lost = confirm(make_app(ENCRYPTION_KEYS=NEW_KEY).test_client(), mine, code_of(secret))
    assert lost.status_code == 503
    assert confirm(client, mine, wrong_code(secret)).status_code == 403
    mine = confirm(client, mine, code_of(secret)).get_json()["token"]
    assert client.post("/users/me/recovery-codes", headers=bearer(mine)).status_code == 200
    assert client.delete("/users/me/totp", headers=bearer(mine)).status_code == 204
    client.delete("/users/me", json={"currentPassword": PASSWORD}, headers=bearer(mine))


def own_code(make_app):
    """A profile, and a receiver that fails."""
    app = make_app(PROFILE=PetSchema)
    client = app.test_client()
    with user_created.connected_to(lambda sender, user: 1 / 0, sender=app):
        client.post("/users", json={"email": CHARLIE, "password": PASSWORD, "pet": "Rex"})
    headers = bearer(sign_in(client, CHARLIE)["token"])
    assert client.patch("/users/me", json={"pet": "Max"}, headers=headers).status_code == 200


def passkeys(client, database):
    """A passkey that is added, used, copied, renamed and deleted."""
    natalie = "natalie@example.com"
    headers = bearer(sign_in(client, natalie, "an even longer secret")["token"])
    passkey = Passkey(counts=True)
    options = client.post("/users/me/passkeys/options", json={}, headers=headers).get_json()
    for status in (201, 409):
        body = {"credential": passkey.create(options)}
        assert client.post("/users/me/passkeys", json=body, headers=headers).status_code == status
    for count, status in ((1, 200), (0, 401)):
        passkey.count = count
        answer = passkey.get(client.post("/auth/passkey/options", json={}).get_json())
        assert client.post("/auth/passkey", json={"credential": answer}).status_code == status
    path = f"/users/me/passkeys/{encoded(passkey.id)}"
    assert client.patch(path, json={"name": "mine"}, headers=headers).status_code == 204
    kept = database.users.find_one({"email": natalie})["password"]
    for password, status in (("!", 409), (kept, 204)):
        database.users.update_one({"email": natalie}, {"$set": {"password": password}})
        assert client.delete(path, headers=headers).status_code == status


def operators(app):
    runner = app.test_cli_runner()
    state_of(app).users.insert_one(nestjs("natalie@nestjs.example.com"))
    for command in (
        ["disable", BOB],
        ["enable", BOB],
        ["grant", BOB, "editor"],
        ["revoke", BOB, "editor"],
        ["set-password", BOB, "--password-stdin"],
        ["end-sessions", BOB],
        ["unlock", BOB],
        ["verify", BOB],
        ["reset-factors", BOB, "--yes"],
        ["delete", BOB, "--yes"],
        ["adopt", "--from", "nestjs", "--yes"],
        ["adopt", "--from", "nestjs", "--undo", "--yes"],
    ):
        ended = runner.invoke(args=["users", *command], input=f"{PASSWORD}\n")
        assert ended.exit_code == 0, (command, ended.output)
    moved = json.dumps({"id": "1", "email": "moved@example.com"})
    ended = runner.invoke(args=["users", "import", "--from", "nestjs", "-"], input=moved)
    assert ended.exit_code == 0, ended.output
    ended = runner.invoke(args=["users", "import", "--from", "nestjs", "-"], input=f"[{moved},")
    assert ended.exit_code == 2, ended.output
    assert runner.invoke(args=["users", "export"]).exit_code == 0
    assert runner.invoke(args=["users", "export", "--with-hashes", "--yes"]).exit_code == 0


def faults(make_app, database):
    """A bug, a database or mail server that is away, a proxy that is not declared, and collections that do not fit."""
    credentials = {"email": ALICE, "password": PASSWORD}
    behind_proxy = make_app(LIMITS="on").test_client()
    behind_proxy.post("/auth", json=credentials, headers={"X-Forwarded-For": "203.0.113.9"})
    behind_two = make_app(LIMITS="on", TRUSTED_PROXIES=2).test_client()
    behind_two.post("/auth", json=credentials, headers={"X-Forwarded-For": "203.0.113.9"})
    buggy = make_app()
    buggy.add_url_rule("/bug", view_func=lambda: 1 / 0)
    assert buggy.test_client().get("/bug").status_code == 500
    away = make_app(MONGO_URI="mongodb://127.0.0.1:1/x", MONGO_TIMEOUT_MS=100).test_client()
    assert away.post("/auth", json=credentials).status_code == 503
    database.nameless.insert_many([{"password": "x"}, {"password": "y"}])
    nameless = make_app(USERS_COLLECTION="nameless").test_client()
    assert nameless.post("/users", json=credentials).status_code == 503
    database.twice.insert_many([{"email": "a@example.com"}, {"email": "A@example.com"}])
    assert make_app(USERS_COLLECTION="twice").test_client().get("/readyz").status_code == 200
    unmailed = make_app(SMTP_URL="smtp://127.0.0.1:1", MAIL_FROM="a@example.com", APP_URL="https://app.example.com/")
    with unmailed.app_context():
        requests.ask("sign_up", ALICE, None)
    state_of(unmailed).deliverer.deliver_due()
    for claims in ("not_a_dict", "not_json", "fails"):
        client = make_app(CLAIMS=f"tests.docs.odd_claims:{claims}").test_client()
        client.post("/users", json=credentials)
        assert client.post("/auth", json=credentials).status_code == 500


def crowd(service):
    """More connections than one client may have, and a request that is none."""
    with contextlib.ExitStack() as open_connections:
        for _ in range(4):
            connection = open_connections.enter_context(socket.create_connection(("127.0.0.1", service.port), 10))
            connection.sendall(b"GET")
        wait_until(lambda: '"connections_evicted"' in service.output())
    with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert b" 400 " in connection.recv(65_536)


@pytest.fixture
def settings(settings):
    return {**settings, **PASSKEYS}


@pytest.fixture
def lines(app, client, database, make_app, serve):
    service = serve(workers=1, FLASK_CONNECTIONS_PER_CLIENT="2")
    crowd(service)
    with captured_log() as log:
        users_and_admins(client, database)
        resets(client, database)
        passkeys(client, database)
        email_changes(client, database)
        two_steps(make_app)
        operators(app)
        own_code(make_app)
        faults(make_app, database)
    written = [*log.getvalue().splitlines(), *service.output().splitlines()]
    return [json.loads(line) for line in written if line.startswith("{")]


def test_the_tables_are_what_is_logged(lines):
    assert {(line["event"], field) for line in lines for field in line if not belongs(field, line)} == set()
    said = {field for line in lines for field, value in line.items() if value is not None}
    assert FIELDS.keys() - said == set()
    security = [(line["event"], line["outcome"]) for line in lines if "outcome" in line]
    assert {one for one in security if one[1] not in SECURITY_EVENTS.get(one[0], ())} == set()
    assert SECURITY_EVENTS.keys() - {event for event, _ in security} == set()


def test_every_event_of_the_code_is_in_the_tables():
    """Those too that no request here brings about."""
    known = SECURITY_EVENTS.keys() | {event for of in FIELDS.values() for event in names(of)}
    source = "".join(path.read_text() for path in (ROOT / "authservice").rglob("*.py") if "embedded" not in path.parts)
    recorded = re.findall(r'audit\.record\(\s*"(\w+)", "(\w+)"', source)
    assert {event for event, _ in recorded} <= SECURITY_EVENTS.keys()
    assert [pair for pair in recorded if pair[1] not in SECURITY_EVENTS[pair[0]]] == []
    logged = re.findall(r'log\.(?:error|warning|info|exception)\(\s*"(\w+)"', source)
    assert set(logged) <= known
