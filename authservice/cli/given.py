"""What commands are given: arguments, passwords, and what is said if they do not fit."""

import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import click
from marshmallow import Schema, ValidationError

from authservice.admin.schemas import UserChangeSchema
from authservice.cli import EXIT_BAD_INPUT, printable
from authservice.errors import Fault
from authservice.security import strict_json
from authservice.web.parsing import faults_of

_TYPE_OR_PIPE_IT = "password: missing. Type it in a terminal, or pipe it in with --password-stdin."
_NOBODY = "nobody can be asked here. Use --yes."


def require_text(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Python turns bytes that are not UTF-8 into lone surrogates, which no database accepts."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("not UTF-8") from None
    return value


def require_role(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        UserChangeSchema().load({"roles": [value]})
    except ValidationError as error:
        raise click.BadParameter(error.messages_dict["roles"][0][0]["detail"]) from None
    return value


def require_object(context: click.Context, parameter: click.Parameter, value: str) -> dict[str, Any]:
    try:
        found = strict_json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.BadParameter('not a JSON object, such as {"name": "Natalie"}')
    return found


def read_password() -> str:
    _require_stdin(_TYPE_OR_PIPE_IT)
    try:
        return sys.stdin.buffer.readline().rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        _refuse_input("password: not UTF-8")


def ask_password() -> str:
    _require_stdin(_TYPE_OR_PIPE_IT)
    try:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    except click.Abort:
        if sys.stdin.isatty():
            raise
        _refuse_input(_TYPE_OR_PIPE_IT)


def confirm(question: str) -> None:
    """Ask on stderr, and end the command unless the answer is yes."""
    require_somebody()
    try:
        is_yes = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        _refuse_input(_NOBODY)
    if not is_yes:
        raise click.Abort


def require_somebody() -> None:
    """Refuse to ask where nobody can be asked."""
    _require_stdin(_NOBODY)


def _require_stdin(fault: str) -> None:
    if sys.stdin is None:  # the caller closed it
        _refuse_input(fault)


def require_fit(schema: Schema, **values: Any) -> Any:
    try:
        return schema.load(values)
    except ValidationError as error:
        refuse_faults(faults_of(error.messages_dict))


def refuse_faults(faults: Iterable[Fault]) -> NoReturn:
    _refuse_input(*(f"{fault.pointer[1:] or 'profile'}: {fault.detail}" for fault in faults))


def _refuse_input(*faults: str) -> NoReturn:
    for fault in faults:
        click.echo(f"Error: {printable(fault)}", err=True)
    sys.exit(EXIT_BAD_INPUT)
