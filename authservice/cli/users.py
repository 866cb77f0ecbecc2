"""``flask users ...``, ``authservice users ...``: the use cases of the HTTP API, for operators."""

import functools
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec

import click
from flask.cli import AppGroup

from authservice.admin import service as admin
from authservice.admin.schemas import AdminUserSchema
from authservice.auth.schemas import SessionSchema
from authservice.cli import EXIT_DATABASE, EXIT_REFUSED, given, printable, quiet_log
from authservice.errors import DatabaseUnavailable, Refusal, ValidationFailed
from authservice.sign_ups import service as sign_ups
from authservice.sign_ups.schemas import SignUpSchema
from authservice.store.users import User

P = ParamSpec("P")


group = AppGroup("users", help="Create, show and manage accounts.")
email_argument = click.argument("email", callback=given.require_text)
role_argument = click.argument("role", callback=given.require_role)
from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def reporting(function: Callable[P, None]) -> Callable[P, None]:
    """Its refusals are one line on stderr and an exit code."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with quiet_log():
                function(*args, **kwargs)
        except DatabaseUnavailable as refusal:
            click.echo(f"Error: {refusal.title}. Does it run, and is FLASK_MONGO_URI right?", err=True)
            sys.exit(EXIT_DATABASE)
        except ValidationFailed as refusal:
            given.refuse_faults(refusal.faults)
        except Refusal as refusal:
            click.echo(f"Error: {refusal.title}. {refusal.detail}", err=True)
            sys.exit(EXIT_REFUSED)

    return run


def command(function: Callable[P, None]) -> click.Command:
    """A command of ``flask users``."""
    registered: click.Command = group.command(function.__name__.replace("_", "-"))(reporting(function))
    return registered


@command
@email_argument
@from_stdin
@click.option(
    "--profile", metavar="JSON", default="{}", callback=given.require_object, help="The fields of FLASK_PROFILE."
)
@as_json
def create(email: str, password_stdin: bool, profile: dict[str, Any], as_json: bool) -> None:
    """Create an account for EMAIL. Type the password, or pipe it in: it is never an argument."""
    password = given.read_password() if password_stdin else given.ask_password()
    body = given.require_fit(SignUpSchema(), **{**profile, "email": email, "password": password})
    _show([sign_ups.sign_up(email, password, body.get("profile"))], as_json)


@command
@email_argument
@as_json
def show(email: str, as_json: bool) -> None:
    """Show the account of EMAIL."""
    _show([admin.find_user(email)], as_json)


@command
@as_json
def list(as_json: bool) -> None:
    """List all accounts, oldest first; with --json one object per line."""
    _show(admin.all_users(), as_json)


@command
@email_argument
def disable(email: str) -> None:
    """Refuse EMAIL from the next request on, until you enable it again."""
    admin.change(admin.find_user(email), is_disabled=True, event="disable", keep_an_admin=False)
    _print(f"{email} is disabled.")


@command
@email_argument
def enable(email: str) -> None:
    """Let EMAIL sign in again."""
    admin.change(admin.find_user(email), is_disabled=False, event="enable")
    _print(f"{email} is enabled.")


@command
@email_argument
@from_stdin
def set_password(email: str, password_stdin: bool) -> None:
    """Give EMAIL a new password, and sign it out everywhere. Type the password, or pipe it in."""
    user = admin.find_user(email)
    password = given.read_password() if password_stdin else given.ask_password()
    given.require_fit(SignUpSchema(only=["password"]), password=password)
    admin.set_password(user, password)
    _print(f"{email} has a new password and is signed out everywhere.")


@command
@email_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(email: str, yes: bool) -> None:
    """Delete the account of EMAIL and everything in it. Asks first."""
    user = admin.find_user(email)
    if not yes:
        given.require_somebody()
        click.confirm(f"Delete {printable(user.email)} permanently?", abort=True)
    admin.delete(user, keep_an_admin=False)
    _print(f"{email} is deleted.")


@command
@email_argument
@role_argument
def grant(email: str, role: str) -> None:
    """Give EMAIL the role ROLE, from the next request on."""
    admin.grant(admin.find_user(email), role)
    _print(f"{email} has the role {role}.")


@command
@email_argument
@role_argument
def revoke(email: str, role: str) -> None:
    """Take the role ROLE from EMAIL, from the next request on."""
    admin.revoke(admin.find_user(email), role)
    _print(f"{email} does not have the role {role}.")


@command
@email_argument
@as_json
def sessions(email: str, as_json: bool) -> None:
    """List the live sessions of EMAIL, most recently used first."""
    for session in admin.sessions_of(admin.find_user(email)):
        shown = SessionSchema().dump(session)
        _print(json.dumps(shown) if as_json else "  ".join(str(value or "-") for value in shown.values()))


@command
@email_argument
def end_sessions(email: str) -> None:
    """Sign EMAIL out everywhere, from the next request on."""
    admin.end_sessions(admin.find_user(email))
    _print(f"{email} is signed out everywhere.")


@command
@email_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset_factors(email: str, yes: bool) -> None:
    """Remove the authenticator app, recovery codes and passkeys of EMAIL, and sign it out everywhere. Asks first.

    Make sure first that the person who asks you for it owns the account.
    """
    user = admin.find_user(email)
    if not yes:
        given.require_somebody()
        click.confirm(f"Remove every second factor and passkey of {printable(user.email)}?", abort=True)
    admin.reset_factors(user)
    _print(f"{email} has no second factor and no passkey, and is signed out everywhere.")


@command
@email_argument
def verify(email: str) -> None:
    """Mark the address EMAIL as verified: its owner has proved it to you."""
    admin.verify(admin.find_user(email))
    _print(f"{email} is verified.")


@command
@email_argument
def unlock(email: str) -> None:
    """Give EMAIL all attempts to sign in back, within 5 seconds in all workers."""
    admin.unlock(admin.find_user(email))
    _print(f"{email} has all attempts back.")


def _print(line: str) -> None:
    click.echo(printable(line))


def _show(found: Iterable[User], as_json: bool) -> None:
    for user in found:
        shown = AdminUserSchema().dump(user)
        if as_json:
            _print(json.dumps(shown, ensure_ascii=False))
        else:
            state = "disabled" if user.is_disabled else "enabled"
            _print(f"{user.id}  {user.email}  {state}  {','.join(user.roles) or '-'}  {shown['createdAt'] or '-'}")
