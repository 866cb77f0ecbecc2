"""The README says what the code does: its tables and its walk-through are held to it."""

import json
import re
import subprocess

import pytest
import requests

from authservice.config import SETTINGS, ConfigurationError, load
from authservice.errors import Refusal
from bench.table import table
from tests.profile.schemas import ProfileSchema
from tests.service import ROOT, free_port

README = (ROOT / "README.md").read_text()


def rows(heading):
    """The cells of the first table below a heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def refusals(of=Refusal):
    below = of.__subclasses__()
    return [leaf for kind in below for leaf in refusals(kind)] if below else [of]


def test_the_settings_table_is_the_code():
    written = [
        (name.strip("`"), re.findall(r"`([^`]*)`", default), meaning) for name, default, meaning in rows("Settings")
    ]
    actual = [
        (f"FLASK_{setting.name}", setting.default.split(",") if setting.default else [], setting.meaning)
        for setting in SETTINGS
    ]
    assert written == actual


def test_the_error_table_is_the_code():
    written = [(code.strip("`"), int(status)) for code, status, _ in rows("Errors")]
    assert sorted(written) == sorted((refusal.code, refusal.status) for refusal in refusals())


def test_the_tree_in_the_module_of_errors_is_the_code():
    tree = (ROOT / "authservice/errors/__init__.py").read_text().split('"""')[1]
    written = re.findall(r"(\w+) +(\d{3}) (\w+)$", tree, re.MULTILINE)
    actual = [(refusal.__name__, str(refusal.status), refusal.code) for refusal in refusals()]
    assert sorted(written) == sorted(actual)


def test_the_reasons_against_a_new_password_are_those_of_the_code():
    code = (ROOT / "authservice/security/new_passwords.py").read_text()
    section = README.split("\n## Errors\n", 1)[1].split("\n## ", 1)[0]
    assert sorted(re.findall(r"^- `(\w+)`", section, re.MULTILINE)) == sorted(re.findall(r'"(password_\w+)"', code))


def test_the_routes_table_is_the_code(make_app):
    passkeys = {"PASSKEY_RP_ID": "example.com", "PASSKEY_ORIGINS": "https://example.com"}
    apps = make_app(PROFILE=ProfileSchema, **passkeys), make_app(SIGN_UP="private")
    written = {
        (call.split(" ")[0], call.split(" ")[1].split("?")[0])
        for route, *_ in rows("Routes")
        for call in [route.strip("`")]
    }
    hidden = {"/openapi.json"}
    actual = {
        (method, re.sub(r"<\w+_id>", "<id>", rule.rule))
        for app in apps
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule not in hidden and not rule.endpoint.startswith("pages.")
    }
    # needs an optional package: tests/security/test_proof_of_work.py asks for it
    assert written == actual | {("GET", "/users/challenge")}


def test_the_command_line_is_the_code(app):
    section = README.split("\n## Command line\n", 1)[1].split("\n## ", 1)[0]
    for name in [*app.cli.commands["users"].commands, "authservice check"]:
        assert name in section


def test_the_figures_are_those_of_the_last_bench():
    figures = json.loads((ROOT / "bench/results/latest.json").read_text())
    assert table(figures) in (ROOT / "docs/performance.md").read_text()


def test_the_first_two_commands_are_one_line_each():
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert all(block.count("\n") == 1 for block in blocks[:2])
    assert "gunicorn wsgi:app" in blocks[0]
    assert "tox" in blocks[1]


@pytest.fixture
def production(tmp_path):
    """The settings of the example for production, with a secret where it says that one is."""
    block = README.split("\n## In production\n", 1)[1].split("```sh\n", 1)[1].split("```", 1)[0]
    *exports, start = block.splitlines()
    assert start == ".venv/bin/gunicorn wsgi:app"
    told = subprocess.run(
        ["bash", "-eu", "-c", "\n".join([*exports, "env -0"])], env={}, capture_output=True, text=True, check=True
    ).stdout
    environment = dict(pair.split("=", 1) for pair in told.split("\0") if pair.startswith("FLASK_"))
    secret = tmp_path / "jwt"
    secret.write_text("4f6a1b9c" * 8 + "23d5e078\n")
    assert environment.pop("FLASK_JWT_SECRET_KEY_FILE") == "/run/secrets/jwt"
    return {**environment, "FLASK_JWT_SECRET_KEY_FILE": str(secret)}


def test_the_example_for_production_starts_with_exactly_these(production, serve, mongo_uri):
    assert load(production)["ENV"] == "production"
    for name in production.keys() - {"FLASK_ENV"}:
        with pytest.raises(ConfigurationError):
            load({other: text for other, text in production.items() if other != name})
    port = free_port()
    here = {"FLASK_MONGO_URI": mongo_uri, "FLASK_METRICS": f"127.0.0.1:{port}"}
    left_out = dict.fromkeys(("FLASK_JWT_SECRET_KEY", "FLASK_BCRYPT_LOG_ROUNDS", "FLASK_BCRYPT_QUEUE"), "")
    service = serve(ready="/readyz", **{**left_out, **production, **here})
    assert "without TLS" not in service.output()
    assert requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).status_code == 200


@pytest.fixture
def walk():
    """The curl walk-through as it stands."""
    return README.split("\n### Walk through it with curl\n", 1)[1].split("```sh\n", 1)[1].split("```", 1)[0]


def test_the_curl_walk_through_works_as_written(walk, serve, tmp_path):
    service = serve()
    script = walk.replace("127.0.0.1:3000", f"127.0.0.1:{service.port}")
    done = subprocess.run(["bash", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line]
    assert '"email":"natalie@example.com"' in lines[0]
    assert lines[1] == '{"message":"You did it!"}'
    assert '"refreshToken":' in lines[2]
    assert lines[3] == "204"
    assert '"token_invalid"' in lines[4]
    assert len(lines) == 5
