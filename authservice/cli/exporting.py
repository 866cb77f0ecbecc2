"""``users export``: all users as one file."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import click

from authservice import audit
from authservice.cli import EXIT_BAD_INPUT, counted, given, printable
from authservice.cli.progress import Progress
from authservice.cli.users import group, reporting
from authservice.migration import exporting
from authservice.store import exports
from authservice.store.client import ping


@group.command()
@click.option("--output", type=click.Path(dir_okay=False), help="Write to this file, for its owner alone (0600).")
@click.option("--with-hashes", is_flag=True, help="With hashes, encrypted second factors and passkeys. Asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@reporting
def export(output: str | None, with_hashes: bool, yes: bool) -> None:
    """Write every account with an e-mail to stdout, one JSON object a line, in the order of the ids.

    ``users import --from authservice`` reads it. Exit codes: 0 done, 1 a question was answered with no, 2 the file or
    stdout cannot be written or nobody could be asked, 3 the database does not answer.
    """
    if with_hashes and not yes:
        given.confirm("Anyone with the hashes can guess passwords without limit. Export them?")
    ping()
    whole, left_out, done = exports.count(), exports.count_other_ids(), 0
    progress = Progress("users", lambda: min(done / whole, 1.0) if whole else None)
    outcome = "stopped"
    if with_hashes:  # they are out from the first line on, even if this process is killed
        audit.record("export_users", "started", target_id=None, users=0, hashes=True)
    try:
        with _destination(output) as file:
            for line in exporting.lines(with_hashes=with_hashes):
                if line is None:
                    left_out += 1
                    continue
                file.write(line)
                done += 1
                progress.add()
        outcome = "ok"
    except BrokenPipeError:
        raise  # click ends quietly if the reader of a pipe has gone
    except OSError as error:
        if output is None:  # Python would write the rest at its end, and fail again
            with suppress(OSError):
                sys.stdout.close()
        click.echo(printable(f"Error: {output or 'stdout'}: {error.strerror}."), err=True)
        sys.exit(EXIT_BAD_INPUT)
    finally:
        progress.end()
        audit.record("export_users", outcome, target_id=None, users=done, hashes=with_hashes)
    if left_out:
        they_have = counted(left_out, "document left out: it has", "documents left out: they have")
        _note(f"{they_have} no e-mail, or an id that is no ObjectId.")
    if not with_hashes:
        _note("Passwords, second factors and passkeys come along only with --with-hashes.")


def _note(sentence: str) -> None:
    click.echo(f"Note: {sentence}", err=True)


@contextmanager
def _destination(output: str | None) -> Iterator[TextIO]:
    """The file appears under its name only when it is complete. Raises OSError."""
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    descriptor, temporary = tempfile.mkstemp(dir=Path(output).absolute().parent, prefix=".export-")  # 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, output)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
