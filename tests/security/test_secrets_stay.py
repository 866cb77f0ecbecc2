"""No answer and no log line holds a secret, and no log line can be forged."""

import json
import re
from pathlib import Path

import pytest

import authservice
from authservice import config, create_app
from authservice.config import PUBLISHED_SECRETS, ConfigurationError
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, SECRET, bearer
from tests.service import free_port

PASSWORD = "Tr0ub4dor-and-its-battery"
NEW = "changed-to-an-0ther-one"
WRONG = "an-0ther-guess-of-battery"
LONG = "s3cret-" * 20


@pytest.fixture
def run_through(client, database):
    """Call every route for every kind of answer. Returns the answers, and what no log line may hold."""

    def run():
        answers = []

        def ask(method, path, status, **more):
            answer = client.open(path, method=method, **more)
            assert answer.status_code == status, answer.text
            answers.append(answer)
            return answer

        secrets = [PASSWORD, NEW, WRONG, LONG, SECRET]
        for email, password in ((ALICE, PASSWORD), (BOB, LONG)):
            good = {"email": email, "password": password}
            ask("POST", "/users", 201, json=good)
            ask("POST", "/users", 409, json=good)
            token = ask("POST", "/auth", 200, json=good).get_json()["token"]
            secrets += [token, token.split(".")[1], token.split(".")[2]]
            for path in ("/users/test", "/users/me"):
                ask("GET", path, 200, headers=bearer(token))
                ask("GET", path, 401, headers=bearer(token[:-4]))
                ask("GET", path, 401, headers={"Authorization": token})
                ask("GET", f"{path}?token={token}&password={password}", 401)
            ask("GET", f"/users/{token}", 404)
        pair = ask("POST", "/auth", 200, json={"email": ALICE, "password": PASSWORD}).get_json()
        old, headers = pair["refreshToken"], bearer(pair["token"])
        new = ask("POST", "/auth/refresh", 200, json={"refreshToken": old}).get_json()["refreshToken"]
        newer = ask("POST", "/auth/refresh", 200, json={"refreshToken": new}).get_json()["refreshToken"]
        secrets += [old, new, newer]
        ask("GET", "/auth/sessions", 200, headers=headers)
        ask("GET", "/auth/verify", 204, headers=headers)
        ask("DELETE", "/auth/sessions?scope=others", 204, headers=headers)
        ask("DELETE", f"/auth/sessions/{newer}", 404, headers=headers)
        body = {"currentPassword": WRONG, "newPassword": NEW}
        ask("PUT", "/users/me/password", 403, json=body, headers=headers)
        for body in (
            {"currentPassword": PASSWORD, "newPassword": NEW},
            {"currentPassword": NEW, "newPassword": PASSWORD},
        ):
            pair = ask("PUT", "/users/me/password", 200, json=body, headers=headers).get_json()
            headers, newest = bearer(pair["token"]), pair["refreshToken"]
            secrets += [pair["token"], newest]
        assert database.users.update_one({"email": ALICE}, {"$set": {"roles": ["admin"]}}).modified_count == 1
        found = ask("GET", f"/admin/users?email={BOB}", 200, headers=headers).get_json()["users"]
        ask("GET", f"/admin/users/{found[0]['id']}", 200, headers=headers)
        ask("PATCH", f"/admin/users/{found[0]['id']}", 200, json={"disabled": True}, headers=headers)
        ask("DELETE", f"/admin/users/{found[0]['id']}/sessions", 204, headers=headers)
        ask("DELETE", "/users/me", 409, json={"currentPassword": PASSWORD}, headers=headers)
        ask("POST", "/auth/refresh", 401, json={"refreshToken": old})  # reused
        ask("DELETE", "/auth", 204, json={"refreshToken": newest})
        by_cookie = {"email": ALICE, "password": PASSWORD, "cookie": True}
        answer = ask("POST", "/auth", 200, json=by_cookie, base_url="https://localhost")
        secrets += [cookie.split("=", 1)[1].split(";")[0] for cookie in answer.headers.getlist("Set-Cookie")]
        device = ask("POST", "/auth", 200, json={"email": ALICE, "password": PASSWORD}).get_json()["deviceToken"]
        ask("POST", "/auth", 401, json={"email": ALICE, "password": WRONG, "deviceToken": device})
        secrets.append(device)
        script = {"X-Requested-With": "x"}
        ask("POST", "/auth/refresh", 200, headers=script, base_url="https://localhost")
        ask("DELETE", "/auth", 204, headers=script, base_url="https://localhost")
        ask("POST", "/auth", 401, json={"email": ALICE, "password": WRONG})
        ask("POST", "/auth", 401, json={"email": "charlie@example.com", "password": WRONG})
        ask("POST", "/auth", 422, json={"email": ALICE, "password": WRONG, WRONG: PASSWORD})
        ask("POST", "/auth", 422, json={"email": PASSWORD, "password": [PASSWORD]})
        ask("POST", "/auth", 400, data=f'{{"password": "{PASSWORD}"', content_type="application/json")
        ask("POST", "/users", 415, data={"email": ALICE, "password": PASSWORD})
        ask("POST", "/users", 413, data=PASSWORD * 1_000, content_type="application/json")
        ask("POST", f"/auth?password={PASSWORD}", 415)
        ask("DELETE", f"/users?password={PASSWORD}", 405)
        for path in ("/healthz", "/readyz", "/openapi.json"):
            ask("GET", path, 200)
        database.users.insert_one({"email": "josh@example.com", "password": "$2b$04$broken" + WRONG, "__v": 0})
        ask("POST", "/auth", 401, json={"email": "josh@example.com", "password": WRONG})
        secrets += [document["password"] for document in database.users.find()]
        return answers, secrets

    return run


def test_no_log_line_holds_a_secret_or_an_email(run_through):
    with captured_log() as log:
        answers, secrets = run_through()
    lines = log.getvalue()
    for secret in [*secrets, ALICE, BOB, "josh@example.com", "$2b$", "eyJ"]:
        assert secret not in lines
    assert len([line for line in lines.splitlines() if json.loads(line)["event"] == "request"]) == len(answers)


def test_no_answer_holds_a_password_a_hash_or_the_key(run_through):
    answers, secrets = run_through()
    bodies = [answer.get_json() for answer in answers if answer.status_code == 200]
    tokens = {body.get(name) for body in bodies for name in ("token", "refreshToken", "deviceToken")}
    cookies = [cookie for answer in answers for cookie in answer.headers.getlist("Set-Cookie")]
    tokens |= {cookie.split("=", 1)[1].split(";")[0] for cookie in cookies}
    for answer in answers:
        whole = f"{answer.headers}{answer.text}"
        for secret in secrets:
            if secret in whole:
                # An answer holds the token of its client, or the name of an unknown field that the client sent.
                is_of_a_token = any(token and secret in token for token in tokens)
                assert is_of_a_token or (secret == WRONG and answer.status_code == 422)
        assert "$2b$" not in whole


class TestWhenTheDatabaseFails:
    @pytest.fixture
    def settings(self, settings):
        uri = f"mongodb://natalie:{WRONG}@127.0.0.1:{free_port()}/authexample"
        return {**settings, "MONGO_URI": uri, "MONGO_TIMEOUT_MS": 100}

    def test_neither_log_nor_answer_holds_the_uri(self, client):
        with captured_log() as log:
            for method, path, body in (
                ("GET", "/readyz", None),
                ("POST", "/users", {"email": ALICE, "password": PASSWORD}),
                ("POST", "/auth", {"email": ALICE, "password": PASSWORD}),
            ):
                answer = client.open(path, method=method, json=body)
                assert_problem(answer, 503, "database_unavailable")
                assert WRONG not in answer.text
                assert "127.0.0.1" not in answer.text
        lines = log.getvalue()
        errors = [json.loads(line) for line in lines.splitlines() if '"database_error"' in line]
        assert errors  # at least the first one; then the circuit breaker is open
        assert all(re.fullmatch("[A-Za-z]+", error["error"]) for error in errors)  # the class, without the text
        for secret in (WRONG, "natalie", ALICE, PASSWORD, "mongodb:"):
            assert secret not in lines


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\u0085", "\x0b", "\x1e", "\x1b[2J", "\0", '"}'])
def test_no_input_breaks_or_forges_a_log_line(client, alice, end):
    forged = f'{end}{{"level": "error", "event": "forged"}}{end}'
    header = forged.encode().decode("latin-1")
    with captured_log() as log:
        for body in (
            {"email": f"alice@example.com{forged}", "password": PASSWORD},
            {"email": ALICE, "password": WRONG + forged},
            {forged: forged},
        ):
            for path in ("/users", "/auth"):
                assert 400 <= client.post(path, json=body).status_code < 500
        assert_problem(client.get("/users/" + forged.replace("?", "")), 404, "not_found")
        for name in ("HTTP_X_REQUEST_ID", "HTTP_USER_AGENT", "HTTP_ORIGIN", "HTTP_HOST", "HTTP_X_FORWARDED_FOR"):
            assert client.get("/healthz", environ_overrides={name: header}).status_code in (200, 400)
        answer = client.get("/users/test", environ_overrides={"HTTP_AUTHORIZATION": f"Bearer {alice}{header}"})
        assert_problem(answer, 401, "token_invalid")
        assert_ok(client.get("/healthz", environ_overrides={"REMOTE_ADDR": header}))
    raw = log.getvalue()
    assert raw.isascii()
    lines = raw.split("\n")[:-1]
    assert {json.loads(line)["event"] for line in lines} <= {"request", "sign_up", "sign_in"}
    assert not any(control in raw for control in "\r\x0b\x1b\0")


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        ("mongodb://localhost/authexample", None),
        ("mongodb://localhost/authexample", ""),
        ("mongodb://localhost/authexample", "x" * 31),
        ("mongodb://localhost/authexample", f"-----BEGIN PUBLIC KEY-----\n{'A' * 64}\n-----END PUBLIC KEY-----\n"),
        ("mongodb://localhost/authexample", f"ssh-rsa {'A' * 64} natalie@example.com"),
        *(("mongodb://localhost/authexample", published) for published in sorted(PUBLISHED_SECRETS)),
    ],
)
def test_there_is_no_default_secret_and_no_published_one(uri, secret):
    with pytest.raises(ConfigurationError) as refused:
        create_app({"MONGO_URI": uri, "JWT_SECRET_KEY": secret})
    (fault,) = refused.value.faults
    assert fault.startswith("FLASK_JWT_SECRET_KEY ")
    assert not secret or secret not in str(refused.value)


def test_the_secret_of_the_tutorial_is_among_the_published():
    assert "thisismykickasssecretthatiwilltotallychangelater" in PUBLISHED_SECRETS


def test_a_fault_of_the_uri_does_not_repeat_its_password():
    login = f"a:{WRONG}"
    for uri in (f"mongodb://{login}@localhost", f"http://{login}@localhost/x", f"mongodb://{login}@[::1/x", login):
        with pytest.raises(ConfigurationError) as refused:
            create_app({"MONGO_URI": uri, "JWT_SECRET_KEY": SECRET})
        assert WRONG not in str(refused.value)


def test_the_secret_of_the_embedded_database_is_made_once_and_for_its_owner_alone(tmp_path):
    first = config.development_secret(tmp_path / "instance")
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert config.development_secret(tmp_path / "instance") == first
    assert config.development_secret(tmp_path / "another") != first
    assert (tmp_path / "instance" / "jwt-secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "instance").iterdir()] == ["jwt-secret"]


def test_the_source_holds_no_secret_but_the_published():
    """The package has nothing that could sign a token: no long hexadecimal or base64 text."""
    for source in Path(authservice.__file__).parent.rglob("*.py"):
        for text in re.findall(r"[\"']([A-Za-z0-9+/=_-]{32,})[\"']", source.read_text()):
            is_name = re.fullmatch(r"[a-z]+(_[a-z]+)+|[A-Z]+(_[A-Z]+)+", text)
            assert is_name or text in PUBLISHED_SECRETS, source
