"""``authservice ...`` and ``python -m authservice ...``: serve, and manage what is served."""

import os
import sys

import click
from flask import Flask
from flask.cli import ScriptInfo

from authservice import create_app
from authservice.cli import check, doctor, keys, limits, mails, users
from authservice.config import ConfigurationError
from authservice.embedded import EmbeddedUnavailable
from authservice.serving import CANNOT_START, CONFIGURATION, LAUNCHER


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="authservice", message="%(version)s")
def commands() -> None:
    """Sign up, sign in, guarded routes: an authentication backend on Flask and MongoDB.

    FLASK_* variables hold the settings. The README has the table of them.
    """


@commands.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def serve(options: tuple[str, ...]) -> None:
    """Serve on http://127.0.0.1:3000, or at HOST and PORT.

    OPTIONS are gunicorn's: --help lists them.
    """
    arguments = [sys.executable, "-P", str(LAUNCHER), "-c", str(CONFIGURATION), *options]
    os.execv(sys.executable, arguments)  # noqa: S606 - Python itself, and without a shell


commands.add_command(users.group)
commands.add_command(limits.group)
commands.add_command(mails.group)
commands.add_command(keys.group)
commands.add_command(check.check)
commands.add_command(doctor.doctor)


def main() -> None:
    sys.path.append(os.getcwd())  # as gunicorn does: FLASK_CLAIMS may name a module of this directory
    commands(obj=ScriptInfo(create_app=_app), prog_name="authservice")


def _app() -> Flask:
    try:
        return create_app()
    except (
        ConfigurationError,
        EmbeddedUnavailable,
    ) as error:  # its text says what to fix, and a traceback would hide it
        click.echo(str(error), err=True)
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    main()
