"""``authservice doctor``, ``flask doctor``: examines the users, the database and the settings."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import click
from flask.cli import with_appcontext

from authservice import embedded
from authservice.cli import check, printable, public_url
from authservice.cli import finding as checked
from authservice.cli.users import reporting
from authservice.config import SETTINGS
from authservice.embedded import keeper
from authservice.migration import doctor as examining
from authservice.migration import doctor_emails
from authservice.migration.doctor import Finding, Hashes, Verdict
from authservice.migration.doctor_emails import Emails
from authservice.state import current_state

_STEPS = 5
_EXIT_CODES: Mapping[Verdict, int] = {"ok": 0, "warning": 1, "error": 2}
_VERDICTS: Mapping[str, Verdict] = {"ok": "ok", "note": "warning", "wrong": "error"}  # of ``authservice check``


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--url",
    callback=check.require_url,
    help="Where clients reach the service: TLS, the proxies in front and their headers are examined too.",
)
@with_appcontext
@reporting
def doctor(as_json: bool, url: str | None) -> None:
    """Examine the users, their hashes and e-mails, the database and the settings. It only reads.

    It prints no hash and no e-mail. Exit codes: 0 all is well, 1 there are warnings, 2 there are errors, 3 the database
    does not answer, or the settings are faulty.
    """
    with _progress(is_shown=not as_json) as progress:
        progress("counting users")
        hashes = Hashes(examining.count())
        progress("reading hashes")
        examining.examine_hashes(hashes)
        progress("looking at indexes, and for e-mails in different case")
        emails = doctor_emails.look_at_case()
        progress("looking for e-mails that are missing, or spelled in several ways")
        doctor_emails.look_beyond_case(emails)
        progress("looking at clock, settings and URL")
        findings = [*_findings(hashes, emails, url)]
    if as_json:
        click.echo(json.dumps(_as_json(hashes, findings)))
    else:
        for line in _lines(hashes, findings):
            click.echo(printable(line))
    sys.exit(max(_EXIT_CODES[finding.verdict] for finding in findings))


def _findings(hashes: Hashes, emails: Emails, url: str | None) -> Iterator[Finding]:
    settings = current_state().settings
    yield from examining.of_hashes(hashes, settings)
    yield from doctor_emails.of_emails(emails)
    yield from map(_of_check, check.of_transport())
    yield from map(_of_check, check.of_clock())
    yield from map(_of_check, check.of_keys())
    yield from examining.of_settings(settings, _given(settings))
    if url:
        yield from map(_of_check, public_url.findings(url))


def _of_check(finding: checked.Finding) -> Finding:
    return Finding(_VERDICTS[finding.verdict], finding.about, finding.sentence)


def _given(settings: Mapping[str, Any]) -> set[str]:
    """The settings that are not left to their defaults. The URI of the embedded database is one that is."""
    given = {
        setting.name
        for setting in SETTINGS
        if f"FLASK_{setting.name}" in os.environ
        or f"FLASK_{setting.name}_FILE" in os.environ
        or settings[setting.name] != (None if setting.default is None else setting.parse(setting.default))
    }
    return given - ({"MONGO_URI"} if _is_embedded(settings["MONGO_URI"]) else set())


def _is_embedded(uri: str | None) -> bool:
    parts = urlsplit(uri or "")
    return (parts.username, parts.path) == (keeper.USER, f"/{embedded.DATABASE}") and parts.hostname == "127.0.0.1"


def _lines(hashes: Hashes, findings: list[Finding]) -> Iterator[str]:
    read = "all of them" if hashes.is_whole else f"a random sample of {hashes.sampled:,}"
    formats = f"{hashes.users:,} users. Formats of their passwords, by {read}:"
    yield "1 user. Format of the password:" if hashes.users == 1 else formats
    for row in hashes.rows():
        whose = ", of this service" if row.is_ours else ""
        cost = f", {row.cost}" if row.cost else ""
        yield f"  {row.number / hashes.sampled:>6.1%} {row.number:>9,}  {row.format}{cost}{whose}"
    for finding in findings:
        yield f"{finding.verdict:<7}  {finding.about}: {finding.sentence}{_named(finding)}"


def _named(finding: Finding) -> str:
    if not finding.ids:
        return ""
    groups = " · ".join(", ".join(group) for group in finding.groups or (finding.ids,))
    more = (finding.number or 0) - len(finding.ids)
    return f": {groups}" + (f" and {more:,} more" if more > 0 else "")


def _as_json(hashes: Hashes, findings: list[Finding]) -> dict[str, Any]:
    return {
        "users": hashes.users,
        "sampled": hashes.sampled,
        "hashes": [
            {"format": row.format, "cost": row.cost, "isOurs": row.is_ours, "number": row.number}
            for row in hashes.rows()
        ],
        "findings": [{**vars(finding), "ids": [*finding.ids]} for finding in findings],
    }


@contextmanager
def _progress(*, is_shown: bool) -> Iterator[Callable[[str], None]]:
    """One step for each question to the database, on stderr, if that is a terminal. Each of them may take long."""
    if not is_shown or not sys.stderr.isatty():
        yield lambda doing: None
        return

    with click.progressbar(length=_STEPS, file=sys.stderr, item_show_func=lambda doing: doing) as bar:
        steps = iter(range(_STEPS))

        def show(doing: str) -> None:
            bar.update(min(next(steps), 1), doing)
            bar.render_progress()

        yield show
        bar.update(1, "")
