"""``keys`` generates, rotates and retires: never too early, never half a file, never a private part on the terminal."""

import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from flask.cli import FlaskGroup

from authservice.cli import EXIT_BAD_INPUT, EXIT_DATABASE, EXIT_REFUSED
from authservice.cli.keys import group
from authservice.config import key_set
from authservice.config.key_set import SigningKey
from tests.server.processes import run

PUBLICATION, ACCESS = 20 * 60, 3_600 + 5  # seconds
PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi")


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    monkeypatch.setenv("FLASK_JWT_KEYS_FILE", str(path))
    return path


@pytest.fixture
def keys(file):
    """``keys("rotate", stdin="y")``: no output shows a private part, and no temporary file stays."""

    def call(*arguments, stdin=""):
        before = [*_private_parts(file)]
        result = CliRunner().invoke(group, [*map(str, arguments)], input=stdin)
        shown = result.stdout + result.stderr
        assert not [part for part in [*before, *_private_parts(file)] if part in shown]
        assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []
        return result

    return call


def _private_parts(file):
    if file.exists() and file.read_text() != "{":
        yield from (jwk[name] for jwk in read(file) for name in PRIVATE_MEMBERS if name in jwk)


def read(file):
    return json.loads(file.read_text())["keys"]


def age(file, seconds):
    """All keys are so much older: no test sleeps."""
    content = read(file)
    for jwk in content:
        for name in ("published_at", "signs_since", "signed_until"):
            if name in jwk:
                jwk[name] -= seconds
    file.write_text(json.dumps({"keys": content}))


def states(file):
    loaded = key_set.parse(file.read_text()).keys
    return {key.kid: "signs" if key.signs else "standby" if key.is_standby else "verifies" for key in loaded}


def assert_done(result):
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def assert_refused(result, sentence, code=EXIT_REFUSED):
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_generate_makes_the_file_for_its_owner_alone(keys, file, algorithm):
    kid = assert_done(keys("generate", "--alg", algorithm)).split()[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (jwk,) = read(file)
    assert (jwk["kid"], jwk["alg"]) == (kid, algorithm)
    assert abs(jwk["published_at"] - time.time()) < 60
    assert states(file) == {kid: "standby"}
    assert f"{kid}  {algorithm}  standby" in assert_done(keys("list"))


def test_es256_is_the_default(keys, file):
    assert_done(keys("generate"))
    assert read(file)[0]["alg"] == "ES256"


def test_the_whole_life_of_two_keys(keys, file):
    first = assert_done(keys("generate")).split()[0]
    assert_refused(keys("rotate"), "verifiers that keep the keys of before refuse its tokens, for up to 10 minutes")
    age(file, PUBLICATION)
    assert_done(keys("rotate"))
    assert states(file) == {first: "signs"}
    assert_refused(keys("rotate"), "no key is on standby")
    second = assert_done(keys("generate", "--alg", "EdDSA")).split()[0]
    assert states(file) == {first: "signs", second: "standby"}
    age(file, PUBLICATION - 60)
    assert_refused(keys("rotate"), "for up to 10 minutes")
    age(file, 60)
    assert_done(keys("rotate"))
    assert states(file) == {first: "verifies", second: "signs"}
    assert_refused(keys("retire", second, "--yes"), "signs: authservice keys rotate lets another one sign")
    age(file, ACCESS - 60)
    assert_refused(keys("retire", first, "--yes"), "tokens that it has signed are refused")
    assert states(file) == {first: "verifies", second: "signs"}
    age(file, 60)
    assert_done(keys("retire", first, "--yes"))
    assert states(file) == {second: "signs"}
    assert_refused(keys("retire", second, "--yes", "--force"), "signs")


def test_retire_waits_for_the_lifetime_of_the_settings(keys, file, monkeypatch):
    first = _two_rotated(keys, file)
    monkeypatch.setenv("FLASK_JWT_ACCESS_TOKEN_EXPIRES", "60")
    age(file, 60)
    assert_refused(keys("retire", first, "--yes"), "tokens that it has signed are refused")
    age(file, 5)
    monkeypatch.setenv("FLASK_JWT_ACCESS_TOKEN_EXPIRES", "many")
    for command in (["retire", first, "--yes"], ["list"]):
        assert_refused(keys(*command), "FLASK_JWT_ACCESS_TOKEN_EXPIRES must be a whole number", EXIT_DATABASE)
    monkeypatch.setenv("FLASK_JWT_ACCESS_TOKEN_EXPIRES", "60")
    assert_done(keys("retire", first, "--yes"))


def test_the_command_of_an_app_waits_for_the_lifetime_of_that_app(make_app, keys, file):
    _two_rotated(keys, file)
    app = make_app(JWT_ACCESS_TOKEN_EXPIRES=60, JWT_ISSUER="https://auth.example.com")
    listed = CliRunner().invoke(FlaskGroup(create_app=lambda: app), ["keys", "list"])
    (line,) = [line for line in assert_done(listed).splitlines() if "verifies" in line]
    until = next(jwk["signed_until"] for jwk in read(file) if "signed_until" in jwk)
    shown = line.rpartition("retire it from ")[2].partition("+00:00")[0]
    assert shown == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(until + 65))


def _two_rotated(keys, file):
    first = assert_done(keys("generate")).split()[0]
    age(file, PUBLICATION)
    assert_done(keys("rotate"))
    assert_done(keys("generate"))
    age(file, PUBLICATION)
    assert_done(keys("rotate"))
    return first


def test_force_does_it_and_says_what_breaks(keys, file):
    assert_done(keys("generate"))
    forced = keys("rotate", "--force")
    assert forced.exit_code == 0
    assert forced.stderr == (
        "Warning: verifiers that keep the keys of before refuse its tokens, for up to 10 minutes "
        "(a new installation has none).\n"
    )
    first = next(iter(states(file)))
    assert_done(keys("generate"))
    forced = keys("rotate", "--force")
    assert "Warning: verifiers" in forced.stderr
    assert "new installation" not in forced.stderr
    forced = keys("retire", "--force", "--yes", first)
    assert (forced.exit_code, forced.stderr) == (
        0,
        "Warning: tokens that it has signed are refused, and clients refresh them.\n",
    )
    assert first not in states(file)


def test_retire_asks_first(keys, file):
    first = _two_rotated(keys, file)
    age(file, ACCESS)
    for no in ("n\n", ""):
        assert keys("retire", first, stdin=no).exit_code == 1
        assert first in states(file)
    assert keys("retire", first, stdin="y\n").exit_code == 0
    assert first not in states(file)


def test_what_never_signed_is_retired_at_once_but_not_the_only_key(keys, file):
    only = assert_done(keys("generate")).split()[0]
    assert_refused(keys("retire", only, "--yes", "--force"), "is the only key")
    other = assert_done(keys("generate")).split()[0]
    assert_done(keys("retire", other, "--yes"))
    assert states(file) == {only: "standby"}


def test_an_unknown_kid_is_refused(keys, file):
    assert_done(keys("generate"))
    for command in (["retire", "--yes", "x"], ["export", "x"], ["export", "--pem", "../../x"]):
        assert_refused(keys(*command), "no key has this kid")


def test_export_prints_the_public_key_alone(keys, file):
    first = assert_done(keys("generate", "--alg", "RS256")).split()[0]
    second = assert_done(keys("generate")).split()[0]
    assert json.loads(assert_done(keys("export", second)))["kid"] == second
    assert json.loads(assert_done(keys("export")))["kid"] == first
    age(file, PUBLICATION)
    assert_done(keys("rotate"))
    pem = assert_done(keys("export", "--pem"))
    assert isinstance(load_pem_public_key(pem.encode()), rsa.RSAPublicKey)
    assert isinstance(
        load_pem_public_key(assert_done(keys("export", "--pem", second)).encode()), ec.EllipticCurvePublicKey
    )


def pem_of(key, encryption=NoEncryption(), encoding=PrivateFormat.PKCS8):  # noqa: B008
    return key.private_bytes(Encoding.PEM, encoding, encryption)


P256 = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("content", "algorithm"),
    [
        (pem_of(P256), "ES256"),
        (pem_of(P256, encoding=PrivateFormat.TraditionalOpenSSL), "ES256"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "EdDSA"),
        (pem_of(rsa.generate_private_key(65_537, 2_048)), "RS256"),
        (json.dumps(SigningKey(P256).private_jwk()).encode(), "ES256"),
    ],
    ids=["PKCS8", "SEC1", "Ed25519", "RSA", "JWK"],
)
def test_import_takes_a_key_in_as_standby(keys, file, tmp_path, content, algorithm):
    source = tmp_path / "source"
    source.write_bytes(content)
    kid = assert_done(keys("import", source)).split()[0]
    assert states(file) == {kid: "standby"}
    assert read(file)[0]["alg"] == algorithm
    assert abs(read(file)[0]["published_at"] - time.time()) < 60
    assert_refused(keys("import", source), "the set has the same key twice")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "FILE is no private key, in PEM or as a JWK"),
        (b"\xff\xfe", "FILE is no private key, in PEM or as a JWK"),
        (b"[]", "FILE has a key that is for no known algorithm"),
        (b'{"kty": "oct", "k": "aHVudGVyMg"}', "FILE has a key that is symmetric"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "FILE has a key that is on another curve"),
        (pem_of(rsa.generate_private_key(65_537, 1_024)), "FILE has a key that must have 2048 to 4096 bits, not 1024"),
        (pem_of(dsa.generate_private_key(2_048)), "FILE has a key that is for no known algorithm"),
        (pem_of(P256, BestAvailableEncryption(b"hunter2")), "FILE is encrypted"),
        (json.dumps(SigningKey(P256).public_jwk()).encode(), "FILE has a key that has no private part"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "FILE has a key that"),
    ],
    ids=["empty", "bytes", "list", "symmetric", "P-384", "weak", "DSA", "encrypted", "public", "PEM of another kind"],
)
def test_import_refuses_what_cannot_sign(keys, file, tmp_path, content, sentence):
    source = tmp_path / "source"
    source.write_bytes(content)
    assert_refused(keys("import", source), sentence, EXIT_BAD_INPUT)
    assert not file.exists()


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_change_keeps_the_mode_and_leads_through_links(keys, file, tmp_path, monkeypatch, mode):
    assert_done(keys("generate"))
    file.chmod(mode)
    link = tmp_path / "link"
    link.symlink_to(file)
    monkeypatch.setenv("FLASK_JWT_KEYS_FILE", str(link))
    assert_done(keys("generate"))
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert len(read(file)) == 2


def test_a_file_that_others_can_read_is_refused(keys, file):
    assert_done(keys("generate"))
    file.chmod(0o644)
    for command in (["list"], ["generate"], ["rotate", "--force"], ["export"]):
        assert_refused(keys(*command), "chmod 600 it", EXIT_DATABASE)


def test_a_broken_file_is_never_replaced(keys, file):
    file.write_text("{")
    file.chmod(0o600)
    for command in (["list"], ["generate"], ["rotate", "--force"], ["retire", "x"], ["export"]):
        assert_refused(keys(*command), "FLASK_JWT_KEYS must be JSON", EXIT_DATABASE)
    assert file.read_text() == "{"


def test_commands_need_the_file(keys, file, tmp_path, monkeypatch):
    for command in (["list"], ["rotate"], ["retire", "x"], ["export"]):
        assert_refused(keys(*command), "make it with: authservice keys generate", EXIT_DATABASE)
    monkeypatch.setenv("FLASK_JWT_KEYS_FILE", str(tmp_path / "nowhere" / "keys.json"))
    assert_refused(keys("generate"), "cannot be written: No such file or directory", EXIT_DATABASE)
    monkeypatch.delenv("FLASK_JWT_KEYS_FILE")
    for command in (["list"], ["generate"]):
        assert_refused(keys(*command), "FLASK_JWT_KEYS_FILE must name the file of the keys", EXIT_DATABASE)


def test_four_that_generate_at_once_lose_no_key(keys, file, tmp_path):
    assert_done(keys("generate"))
    environment = {"FLASK_JWT_KEYS_FILE": str(file)}
    with ThreadPoolExecutor(4) as pool:
        done = [*pool.map(lambda _: run("authservice", "keys", "generate", **environment), range(4))]
    assert [one.returncode for one in done] == [0] * 4
    assert len(states(file)) == 5


def test_flask_and_authservice_have_the_same_commands(app, file):
    names = {"list", "generate", "rotate", "retire", "import", "export"}
    assert app.cli.commands["keys"].commands.keys() == names
    listed = run("authservice", "keys", "--help", **{name: os.environ[name] for name in ("FLASK_JWT_KEYS_FILE",)})
    assert names <= {line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")}
