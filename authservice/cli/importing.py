"""``users import``: users come from other stacks."""

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from typing import NoReturn

import click

from authservice import audit
from authservice.cli import EXIT_BAD_INPUT, EXIT_DATABASE, EXIT_REFUSED, printable
from authservice.cli.import_report import Rejects, Report, no_passwords, rejects
from authservice.cli.progress import Progress
from authservice.cli.users import group, reporting
from authservice.errors import DatabaseUnavailable
from authservice.migration.feed import STDIN, FaultyExport, require_readable
from authservice.migration.importing import (
    Judged,
    NoPasswords,
    foretell,
    import_users,
)
from authservice.migration.joining import joined
from authservice.migration.profiles import PROFILES
from authservice.migration.reading import Exports, Found
from authservice.security.legacy.legacy_hash import SETTING_OF
from authservice.state import current_state
from authservice.store import imports, indexes
from authservice.store.client import ping

EXIT_INTERRUPTED = 130  # as shells count SIGINT
_BUILD_SECONDS = 600.0
_RESUMES = "Running the same command again resumes"
_ELSEWHERE = "Set SQLITE_TMPDIR to a folder with more room, and run the same command again"


@group.command("import")
@click.option(
    "--from", "profile_name", type=click.Choice([*PROFILES]), required=True, help="Where the users come from."
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Write nothing to the database, and say what an import would do.")
@click.option(
    "--rejects",
    "rejects_path",
    type=click.Path(dir_okay=False),
    help="Write here what is refused, and why.",
)
@click.option("--roles", "with_roles", is_flag=True, help="Import roles as well: a role admin there is admin here.")
@click.option("--without-passwords", is_flag=True, help="Import users of whom none has a password.")
@reporting
def import_command(
    profile_name: str,
    files: tuple[str, ...],
    dry_run: bool,
    rejects_path: str | None,
    with_roles: bool,
    without_passwords: bool,
) -> None:
    """Import the users of another stack from FILEs: JSON, NDJSON or CSV, packed with gzip or not. - is stdin.

    An account that is here stays as it is. Exit codes: 0 nobody is refused, 1 some are refused, 2 bad input, 3 the
    database does not answer.
    """
    profile = PROFILES[profile_name]
    _require_files(files, rejects_path)
    report = Report(profile)
    exports = Exports(files)
    progress = Progress("records", exports.fraction)
    ping()
    if not dry_run:
        indexes.ensure_indexes(_BUILD_SECONDS)
        imports.build_index()
    found: Iterable[Found] = exports.records(profile)
    if profile.joins:
        found = joined(_counted(found, progress), profile.joins)
        progress = Progress("users", lambda: None)
    outcome = "stopped"
    try:
        with rejects(rejects_path, names_files=len(files) > 1) as refused:
            run = foretell if dry_run else import_users
            needs_passwords = profile.has_passwords and not without_passwords
            judged = run(profile, found, with_roles=with_roles, needs_passwords=needs_passwords)
            _judge(judged, report, refused, progress)
        outcome = "ok"
    except FaultyExport as fault:
        if report.is_empty:
            _refuse(str(fault), EXIT_BAD_INPUT)
        _show(report, dry_run)
        _refuse(f"{fault}. What came before it is {'read' if dry_run else 'imported'}", EXIT_BAD_INPUT)
    except NoPasswords as missing:
        _show_if_any(report, dry_run)
        _refuse(no_passwords(profile, missing.users), EXIT_BAD_INPUT)
    except sqlite3.Error as error:
        _show_if_any(report, dry_run)
        _refuse(f"temporary files cannot be written: {error}. {_ELSEWHERE}", EXIT_BAD_INPUT)
    except OSError as error:
        again = f". {_RESUMES}" if _show_if_any(report, dry_run) else ""
        _refuse(f"{rejects_path}: {error.strerror}{again}", EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        _show(report, dry_run)
        _refuse(f"stopped. {_RESUMES}", EXIT_INTERRUPTED)
    except DatabaseUnavailable as refusal:
        _show(report, dry_run)
        _refuse(f"{refusal.title}. {_RESUMES}", EXIT_DATABASE)
    finally:
        progress.end()
        if not dry_run:
            audit.record("import_users", outcome, target_id=None, users=report.fates[imports.Fate.IMPORTED])
    _show(report, dry_run)
    if not report.users:
        _refuse("no user was found", EXIT_REFUSED)
    if report.refused:
        sys.exit(EXIT_REFUSED)


def _require_files(files: tuple[str, ...], rejects_path: str | None) -> None:
    if files.count(STDIN) > 1:
        _refuse("- can be given once", EXIT_BAD_INPUT)
    for path in files:
        try:
            require_readable(path)
        except FaultyExport as fault:
            _refuse(str(fault), EXIT_BAD_INPUT)
        if rejects_path and path != STDIN and _are_same(path, rejects_path):
            _refuse(f"--rejects would overwrite {path}", EXIT_BAD_INPUT)


def _are_same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _counted(found: Iterable[Found], progress: Progress) -> Iterator[Found]:
    for one in found:
        progress.add()
        yield one
    progress.end()


def _judge(judged: Iterable[Judged], report: Report, refused: Rejects, progress: Progress) -> None:
    for one in judged:
        reason = report.count(one)
        if reason is not None:
            refused.add(one, reason)
        progress.add()


def _show(report: Report, dry_run: bool) -> None:
    if dry_run:
        click.echo("Dry run: nothing was written. An import would end with:")
    for line in report.table():
        click.echo(printable(line))
    settings = current_state().settings
    missing = [need for need, name in SETTING_OF.items() if settings.get(name) is None]
    for line in report.warnings(missing):
        click.echo(f"Note: {printable(line)}", err=True)


def _show_if_any(report: Report, dry_run: bool) -> bool:
    if not report.is_empty:
        _show(report, dry_run)
    return not report.is_empty


def _refuse(sentence: str, code: int) -> NoReturn:
    click.echo(printable(f"Error: {sentence}."), err=True)
    sys.exit(code)
