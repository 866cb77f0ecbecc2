"""``flask keys ...``, ``authservice keys ...``: the life of the keys that sign access tokens."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from flask import has_app_context

from authservice.cli import EXIT_BAD_INPUT, EXIT_DATABASE, EXIT_REFUSED, given, key_file
from authservice.config import ConfigurationError, value_of
from authservice.config.key_set import (
    ALGORITHMS,
    KeySet,
    PrivateKey,
    SigningKey,
    private_key_of,
    require_fit,
    require_kind,
)
from authservice.state import current_state

# jose keeps the keys for 10 minutes. PyJWKClient keeps them for 5, and a cache between may have had them for 5 already.
PUBLICATION_SECONDS = 20 * 60
CLOCK_SECONDS = 5
RELOAD = "Reload the service now: kill -HUP."

# No AppGroup: `authservice keys generate` makes the file without which the service does not start.
group = click.Group("keys", help="Generate, rotate and retire the keys that sign access tokens.")
force_option = click.option("--force", is_flag=True, help="Do it too early, and say what breaks.")


@group.command()
def list() -> None:
    """List the keys: kid, algorithm, what it does, since when, and from when on the next step may come."""
    with _reporting():
        click.echo("\n".join(f"{key.kid}  {key.algorithm}  {_state_of(key)}" for key in key_file.read().keys))


@group.command()
@click.option("--alg", type=click.Choice([*ALGORITHMS]), default="ES256", show_default=True, help="Of its signatures.")
def generate(alg: str) -> None:
    """Publish a new key, which signs nothing before it is rotated to. Creates a missing file."""
    with _reporting():
        _publish(_new_key(alg))


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path) -> None:
    """Publish the private key in FILE, PEM or a JWK, which signs nothing before it is rotated to."""
    with _reporting():
        _publish(_key_in(file))


@group.command()
@force_option
def rotate(force: bool) -> None:
    """Let the oldest standby key sign. The one that signs now only verifies from then on."""

    def rotated(key_set: KeySet) -> KeySet:
        standby = min((key for key in key_set.keys if key.is_standby), key=lambda key: key.published_at, default=None)
        if standby is None:
            _refuse("no key is on standby: authservice keys generate publishes one")
        breaks = "verifiers that keep the keys of before refuse its tokens, for up to 10 minutes"
        if key_set.signer is None:
            breaks += " (a new installation has none)"
        _require_time(f"{standby.kid} signs", standby.published_at + PUBLICATION_SECONDS, breaks, force)
        now = int(time.time())
        others = (replace(key, signed_until=now) if key.signs else key for key in key_set.keys if key is not standby)
        return KeySet((replace(standby, signs_since=now), *others))

    with _reporting():
        signer = key_file.change(rotated).keys[0]
        click.echo(f"{signer.kid} signs. {RELOAD}")


@group.command()
@click.argument("kid")
@force_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def retire(kid: str, force: bool, yes: bool) -> None:
    """Remove the key KID with its private part. Asks first."""
    if not yes:
        given.require_somebody()

    def retired(key_set: KeySet) -> KeySet:
        key = _find(key_set, kid)
        if key.signs:
            _refuse(f"{kid} signs: authservice keys rotate lets another one sign")
        if len(key_set.keys) == 1:
            _refuse(f"{kid} is the only key: unset FLASK_JWT_KEYS_FILE, and delete the file")
        if key.signed_until is not None:
            breaks = "tokens that it has signed are refused, and clients refresh them"
            _require_time(f"{kid} is retired", key.signed_until + _access_seconds() + CLOCK_SECONDS, breaks, force)
        if not yes:
            click.confirm(f"Retire {kid} permanently?", abort=True)
        return KeySet(tuple(one for one in key_set.keys if one is not key))

    with _reporting():
        key_file.change(retired)
        click.echo(f"{kid} is retired. {RELOAD}")


@group.command()
@click.option("--pem", is_flag=True, help="Print PEM, not a JWK.")
@click.argument("kid", required=False)
def export(pem: bool, kid: str | None) -> None:
    """Print the public key KID, by default the one that signs, or the first if none does."""
    with _reporting():
        key_set = key_file.read()
        key = _find(key_set, kid) if kid else key_set.signer or key_set.keys[0]
        public = key.private.public_key()
        as_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().rstrip()
        click.echo(as_pem if pem else json.dumps(key.public_jwk()))


@contextlib.contextmanager
def _reporting() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        _refuse("; ".join(error.faults), EXIT_DATABASE)
    except OSError as error:
        _refuse(f"the file of the keys cannot be written: {error.strerror}", EXIT_DATABASE)


def _publish(private: PrivateKey) -> None:
    key = SigningKey(private, published_at=int(time.time()))

    def published(key_set: KeySet) -> KeySet:
        try:
            return require_fit([*key_set.keys, key])
        except ValueError as fault:
            _refuse(f"the set {fault}")

    key_file.change(published, may_be_missing=True)
    click.echo(f"{key.kid} ({key.algorithm}) is published: {_next_of(key)}. {RELOAD}")


def _new_key(algorithm: str) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(65_537, 2_048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def _key_in(file: Path) -> PrivateKey:
    content = file.read_bytes()
    try:
        if b"-----BEGIN" in content:
            return require_kind(load_pem_private_key(content, password=None))
        jwk = json.loads(content)
        return private_key_of(jwk if isinstance(jwk, dict) else {})
    except TypeError:
        _refuse("FILE is encrypted; openssl pkey -in FILE prints it in clear", EXIT_BAD_INPUT)
    except (json.JSONDecodeError, UnicodeDecodeError, UnsupportedAlgorithm, RecursionError):
        _refuse("FILE is no private key, in PEM or as a JWK", EXIT_BAD_INPUT)
    except ValueError as fault:
        _refuse(f"FILE has a key that {fault}", EXIT_BAD_INPUT)


def _state_of(key: SigningKey) -> str:
    if key.signs:
        return f"signs since {_time(key.signs_since or 0)}"
    return f"{'standby' if key.is_standby else 'verifies'}, {_next_of(key)}"


def _next_of(key: SigningKey) -> str:
    if key.signed_until is None:
        return f"rotate to it from {_time(key.published_at + PUBLICATION_SECONDS)} on"
    return f"retire it from {_time(key.signed_until + _access_seconds() + CLOCK_SECONDS)} on"


def _require_time(what: str, earliest: int, breaks: str, force: bool) -> None:
    if time.time() >= earliest:
        return
    if not force:
        _refuse(f"before {_time(earliest)}, {breaks}. With --force {what} now")
    click.echo(f"Warning: {breaks}.", err=True)


def _access_seconds() -> int:
    """The lifetime of an access token: of the app, where there is one, which may have set it by a keyword."""
    if has_app_context():
        return int(current_state().settings["JWT_ACCESS_TOKEN_EXPIRES"])
    return int(value_of("JWT_ACCESS_TOKEN_EXPIRES", os.environ))


def _find(key_set: KeySet, kid: str) -> SigningKey:
    key = next((key for key in key_set.keys if key.kid == kid), None)
    if key is None:
        _refuse("no key has this kid: authservice keys list shows them")
    return key


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _refuse(sentence: str, code: int = EXIT_REFUSED) -> NoReturn:
    click.echo(f"Error: {sentence}.", err=True)
    sys.exit(code)
