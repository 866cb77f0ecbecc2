"""``flask users ...``: the same use cases as HTTP, for those who run the service.

Exit codes: 0 done, 1 refused (no such user, e-mail taken), 2 bad input, 3 the database does not answer.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec

import click
from flask.cli import AppGroup
from marshmallow import ValidationError

from authservice.admin import service as admin
from authservice.admin.schemas import AdminSessionSchema, UserChangeSchema
from authservice.errors import DatabaseUnavailable, Refusal
from authservice.store.users import User
from authservice.users import service as users
from authservice.users.schemas import SignUpSchema

P = ParamSpec("P")

EXIT_REFUSED = 1
EXIT_BAD_INPUT = 2
EXIT_DATABASE = 3

group = AppGroup("users", help="Create, show and look after accounts.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def command(function: Callable[P, None]) -> click.Command:
    """A command of ``flask users`` whose refusals are one line on stderr and an exit code."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Refusal as refusal:
            click.echo(f"Error: {refusal.title}. {refusal.detail}", err=True)
            sys.exit(EXIT_DATABASE if isinstance(refusal, DatabaseUnavailable) else EXIT_REFUSED)

    registered: click.Command = group.command(function.__name__.replace("_", "-"))(run)
    return registered


@command
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@as_json
def create(email: str, password_stdin: bool, as_json: bool) -> None:
    """Create an account for EMAIL. The password is asked for, or read from stdin: never an argument."""
    password = (
        sys.stdin.readline().rstrip("\r\n")
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    try:
        SignUpSchema().load({"email": email, "password": password})
    except ValidationError as error:
        for field, faults in error.messages_dict.items():
            click.echo(f"Error: {field}: {faults[0]['detail']}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    _show([users.sign_up(email, password)], as_json)


@command
@click.argument("email")
@as_json
def show(email: str, as_json: bool) -> None:
    """Show the account of EMAIL."""
    _show([admin.find_user(email)], as_json)


@command
@as_json
def list(as_json: bool) -> None:
    """List all accounts, oldest first; with --json one object a line."""
    for user in admin.all_users():
        _show([user], as_json)


@command
@click.argument("email")
def disable(email: str) -> None:
    """Refuse EMAIL from the next request on, until enabled again."""
    admin.disable(admin.find_user(email))
    click.echo(f"{email} is disabled.")


@command
@click.argument("email")
def enable(email: str) -> None:
    """Let EMAIL sign in again."""
    admin.enable(admin.find_user(email))
    click.echo(f"{email} is enabled.")


@command
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(email: str, yes: bool) -> None:
    """Delete the account of EMAIL and everything in it. Asks first."""
    user = admin.find_user(email)
    if not yes:
        click.confirm(f"Delete {user.email} for ever?", abort=True)
    admin.delete(user)
    click.echo(f"{email} is deleted.")


@command
@click.argument("email")
@click.argument("role")
def grant(email: str, role: str) -> None:
    """Give EMAIL the role ROLE, from the next request on."""
    _require_role(role)
    admin.grant(admin.find_user(email), role)
    click.echo(f"{email} has the role {role}.")


@command
@click.argument("email")
@click.argument("role")
def revoke(email: str, role: str) -> None:
    """Take the role ROLE from EMAIL, from the next request on."""
    admin.revoke(admin.find_user(email), role)
    click.echo(f"{email} does not have the role {role}.")


@command
@click.argument("email")
@as_json
def sessions(email: str, as_json: bool) -> None:
    """List the living sessions of EMAIL, the most recently used first."""
    for session in admin.sessions_of(admin.find_user(email)):
        shown = AdminSessionSchema().dump(session)
        click.echo(json.dumps(shown) if as_json else "  ".join(str(value) for value in shown.values()))


@command
@click.argument("email")
def end_sessions(email: str) -> None:
    """Sign EMAIL out everywhere, from the next request on."""
    admin.end_sessions(admin.find_user(email))
    click.echo(f"{email} is signed out everywhere.")


def _require_role(role: str) -> None:
    try:
        UserChangeSchema().load({"roles": [role]})
    except ValidationError as error:
        raise click.BadParameter(error.messages_dict["roles"][0][0]["detail"], param_hint="ROLE") from None


def _show(found: Iterable[User], as_json: bool) -> None:
    for user in found:
        shown: dict[str, Any] = {
            "id": user.id,
            "email": user.email,
            "roles": [*user.roles],
            "createdAt": user.created_at and user.created_at.isoformat(),
            "disabled": user.is_disabled,
        }
        if as_json:
            click.echo(json.dumps(shown, ensure_ascii=False))
        else:
            state = "disabled" if user.is_disabled else "enabled"
            click.echo(f"{user.id}  {user.email}  {state}  {','.join(user.roles) or '-'}  {shown['createdAt'] or '-'}")
