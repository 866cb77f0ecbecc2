"""``flask mails ...``, ``authservice mails ...``: the mails that wait, their delivery, a test of the mail server."""

import json
import secrets
import signal
import sys
from datetime import datetime
from typing import NoReturn

import click
from flask.cli import AppGroup, with_appcontext

from authservice.cli import EXIT_BAD_INPUT, EXIT_DATABASE, EXIT_REFUSED, printable
from authservice.cli.given import require_text
from authservice.cli.users import reporting
from authservice.errors import DatabaseUnavailable
from authservice.mail import kinds, operators, render, transport
from authservice.mail.operators import Waiting
from authservice.mail.setup import Mail
from authservice.security import emails
from authservice.state import current_state

group = AppGroup("mails", help="Show, retry and deliver the mails that wait.")
id_argument = click.argument("mail_id", metavar="ID", callback=require_text)


@group.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@reporting
def list(as_json: bool) -> None:
    """List the mails that wait, the earliest due first, at most 1,000."""
    for mail in operators.waiting():
        shown = _fields(mail)
        names = ("id", "kind", "to", "at", "due", "tries")
        _print(json.dumps(shown) if as_json else "  ".join(str(shown[name]) for name in names))


@group.command()
@id_argument
@reporting
def show(mail_id: str) -> None:
    """Show the mail ID, without link and code."""
    _print(json.dumps(_fields(_find(mail_id)), indent=None))


@group.command()
@click.argument("mail_id", metavar="[ID]", required=False)
@reporting
def retry(mail_id: str | None) -> None:
    """Try the mail ID now, or all that wait. While delivery is paused, that takes up to 5 minutes."""
    mails = operators.waiting() if mail_id is None else [_find(mail_id)]
    click.echo(f"{sum(operators.retry(mail) for mail in mails)} are due now.")


@group.command()
@click.option("--once", is_flag=True, help="Send what is due, and end.")
@with_appcontext
def deliver(once: bool) -> None:
    """Deliver until SIGTERM or Ctrl-C: for a process of its own, with FLASK_MAIL_DELIVERY=off for the workers.

    Exit code 3: the database does not answer, with --once.
    """
    _require_mail()
    deliverer = current_state().deliverer
    if not once:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: deliverer.stop())
        deliverer.run()
        return
    try:
        click.echo(f"{deliverer.deliver_due()} sent.")
    except DatabaseUnavailable as refusal:
        click.echo(f"Error: {refusal.title}. Does it run, and is FLASK_MONGO_URI right?", err=True)
        sys.exit(EXIT_DATABASE)


@group.command()
@click.argument("address", callback=require_text)
@reporting
def test(address: str) -> None:
    """Send a mail to ADDRESS now, and say what the mail server answers."""
    mail = _require_mail()
    if not emails.is_address(address):
        _refuse("that is no e-mail address", EXIT_BAD_INPUT)
    message = render.render(kinds.test, "", {}, address, secrets.token_hex())
    try:
        transport.send(message, address)
    except transport.Refused as fault:
        _refuse(f"the mail server refuses it: {fault}")
    except transport.Unavailable as fault:
        _refuse(f"it cannot be sent now: {fault}")
    except transport.Misconfigured as fault:
        _refuse(f"no mail can be sent: {fault}. See FLASK_SMTP_URL and FLASK_MAIL_FROM")
    _print(f"Written to {mail.outbox}." if mail.outbox else "The mail server has taken the mail.")


def _fields(mail: Waiting) -> dict[str, object]:
    times = {name: _time(getattr(mail, name)) for name in ("at", "due", "until")}
    plain = {"id": mail.id, "kind": mail.kind, "to": mail.to, "userId": mail.user_id, "language": mail.language}
    return {**plain, **times, "tries": mail.tries, "facts": {name: str(fact) for name, fact in mail.facts.items()}}


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _find(mail_id: str) -> Waiting:
    mail = operators.find(mail_id)
    if mail is None:
        _refuse("no mail with this id waits. It may be sent, or too late")
    return mail


def _require_mail() -> Mail:
    mail = current_state().mail
    if mail is None:
        _refuse("this installation sends no mail: set FLASK_SMTP_URL")
    return mail


def _refuse(sentence: str, code: int = EXIT_REFUSED) -> NoReturn:
    click.echo(printable(f"Error: {sentence}."), err=True)
    sys.exit(code)


def _print(line: str) -> None:
    click.echo(printable(line))
