"""``flask users ...``, ``authservice users ...``: the use cases of the HTTP API, for operators."""

import functools
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, ParamSpec

import click
from flask.cli import AppGroup
from marshmallow import Schema, ValidationError

from authservice.admin import service as admin
from authservice.admin.schemas import AdminUserSchema, UserChangeSchema
from authservice.auth.schemas import SessionSchema
from authservice.cli import EXIT_BAD_INPUT, EXIT_DATABASE, EXIT_REFUSED, printable, quiet_log
from authservice.errors import DatabaseUnavailable, Fault, Refusal, ValidationFailed
from authservice.security import strict_json
from authservice.store.users import User
from authservice.users import service as users
from authservice.users.schemas import SignUpSchema
from authservice.web.parsing import faults_of

P = ParamSpec("P")


def require_text(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Python turns bytes that are not UTF-8 into lone surrogates, which no database accepts."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("not UTF-8") from None
    return value


def _require_role(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        UserChangeSchema().load({"roles": [value]})
    except ValidationError as error:
        raise click.BadParameter(error.messages_dict["roles"][0][0]["detail"]) from None
    return value


def _require_object(context: click.Context, parameter: click.Parameter, value: str) -> dict[str, Any]:
    try:
        found = strict_json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.BadParameter('not a JSON object, such as {"name": "Natalie"}')
    return found


group = AppGroup("users", help="Create, show and manage accounts.")
email_argument = click.argument("email", callback=require_text)
role_argument = click.argument("role", callback=_require_role)
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
            _refuse_faults(refusal.faults)
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
@click.option("--profile", metavar="JSON", default="{}", callback=_require_object, help="The fields of FLASK_PROFILE.")
@as_json
def create(email: str, password_stdin: bool, profile: dict[str, Any], as_json: bool) -> None:
    """Create an account for EMAIL. Type the password, or pipe it in: it is never an argument."""
    password = _read_password() if password_stdin else _ask_password()
    body = _require_fit(SignUpSchema(), **{**profile, "email": email, "password": password})
    _show([users.sign_up(email, password, body.get("profile"))], as_json)


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
    for user in admin.all_users():
        _show([user], as_json)


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
    password = _read_password() if password_stdin else _ask_password()
    _require_fit(SignUpSchema(only=["password"]), password=password)
    admin.set_password(user, password)
    _print(f"{email} has a new password and is signed out everywhere.")


@command
@email_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(email: str, yes: bool) -> None:
    """Delete the account of EMAIL and everything in it. Asks first."""
    user = admin.find_user(email)
    if not yes:
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
def unlock(email: str) -> None:
    """Give EMAIL all attempts to sign in back, within 5 seconds in all workers."""
    admin.unlock(admin.find_user(email))
    _print(f"{email} has all attempts back.")


def _read_password() -> str:
    try:
        return sys.stdin.buffer.readline().rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        _refuse_input("password: not UTF-8")


def _ask_password() -> str:
    try:
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        _refuse_input("password: missing. Type it in a terminal, or pipe it in with --password-stdin.")
    return password


def _require_fit(schema: Schema, **values: Any) -> Any:
    try:
        return schema.load(values)
    except ValidationError as error:
        _refuse_faults(faults_of(error.messages_dict))


def _refuse_faults(faults: Iterable[Fault]) -> NoReturn:
    _refuse_input(*(f"{fault.pointer[1:] or 'profile'}: {fault.detail}" for fault in faults))


def _refuse_input(*faults: str) -> NoReturn:
    for fault in faults:
        click.echo(f"Error: {printable(fault)}", err=True)
    sys.exit(EXIT_BAD_INPUT)


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
