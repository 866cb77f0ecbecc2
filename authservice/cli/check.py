"""``authservice check``, ``flask check``: check an installation, one line per finding."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import click
from flask.cli import with_appcontext

from authservice.cli import EXIT_REFUSED, printable, public_url, quiet_log
from authservice.cli.finding import Finding, clock, good, note, wrong
from authservice.config import is_readable_on_the_network
from authservice.errors import DatabaseUnavailable, UsersCollectionUnfit
from authservice.state import current_state
from authservice.store import indexes
from authservice.store.client import ping
from authservice.store.clock import database_time


def require_url(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or parts.query or parts.fragment or parts.username:
        raise click.BadParameter("give a URL such as https://auth.example.com")
    return value.rstrip("/")


@click.command()
@click.option(
    "--url",
    callback=require_url,
    help="Where clients reach the service: TLS, the proxies in front and their headers are checked too.",
)
@with_appcontext
def check(url: str | None) -> None:
    """Check the settings, the database, its indexes and the clock.

    Exit codes: 0 nothing is wrong, 1 something is, 3 the settings are faulty.
    """
    is_wrong = False
    with quiet_log():
        for finding in _findings(url):
            click.echo(printable(finding.line()))
            is_wrong |= finding.is_wrong
    if is_wrong:
        sys.exit(EXIT_REFUSED)


def _findings(url: str | None) -> Iterator[Finding]:
    # Faulty settings have ended the command before this point.
    yield good("settings", "complete and well-formed")
    yield from of_keys()
    yield from _of_database()
    if url:
        yield from public_url.findings(url)


def of_keys() -> Iterator[Finding]:
    key_set = current_state().settings["JWT_KEYS"]
    if key_set is None:
        return
    if key_set.signer:
        yield good("signing keys", f"{key_set.signer.kid} signs")
    else:
        yield note("signing keys", "none of them signs, so FLASK_JWT_SECRET_KEY does: authservice keys rotate")


def _of_database() -> Iterator[Finding]:
    yield from of_transport()
    try:
        ping()
        yield good("database", "it answers")
    except DatabaseUnavailable:
        yield wrong("database", "it does not answer. Does it run, and is FLASK_MONGO_URI right?")
        return
    try:
        indexes.ensure_indexes(indexes.START_SECONDS)
        yield good("indexes", "one account an e-mail")
    except UsersCollectionUnfit as refusal:
        yield wrong("indexes", f"{refusal.title}. {refusal.detail}")
    except DatabaseUnavailable:
        yield wrong("indexes", "they are still being built, or the database cannot build them: see its log")
    yield from of_clock()


def of_transport() -> Iterator[Finding]:
    uri = current_state().settings["MONGO_URI"]
    if uri and is_readable_on_the_network(uri):
        yield note("database", "it is on another machine, without TLS: add tls=true to FLASK_MONGO_URI")


def of_clock() -> Iterator[Finding]:
    try:
        before = datetime.now(UTC)
        said = database_time()
        took = datetime.now(UTC) - before
        yield clock("clock", "the database's", said, before + took / 2, timedelta(seconds=5) + took / 2)
    except DatabaseUnavailable:
        yield wrong("clock", "the database does not tell its time")
