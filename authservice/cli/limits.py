"""``flask limits ...``, ``authservice limits ...``: what attempts are left to an account or an address."""

import click
from flask.cli import AppGroup

from authservice.admin import service as admin
from authservice.cli import printable
from authservice.cli.given import require_text
from authservice.cli.users import reporting
from authservice.config import Rate
from authservice.limits import operators
from authservice.limits.clients import client_at
from authservice.store.limits import Keys

group = AppGroup("limits", help="Show and clear the limits of an account or an address.")
subject_argument = click.argument("subject", metavar="EMAIL|ADDRESS", callback=require_text)


@group.command()
@subject_argument
@reporting
def show(subject: str) -> None:
    """Show the limits of which something is spent. There may be no account of EMAIL."""
    for counted in operators.show(_keys(subject)):
        left = "" if counted.left is None else f"{counted.left} of {counted.burst} left, "
        click.echo(printable(f"{counted.budget}  {left}full in {counted.full_in_seconds} s"))


@group.command()
@subject_argument
@reporting
def clear(subject: str) -> None:
    """Give all attempts back, within 5 seconds in all workers."""
    click.echo(f"{operators.clear(_keys(subject))} cleared.")


def _keys(subject: str) -> dict[Keys, Rate | None]:
    client = client_at(subject, ())
    if client.address:
        return operators.of_client(client)
    users = admin.find_by_email(subject)
    if not users and "@" not in subject:  # another stack may have stored what is not an e-mail address
        raise click.BadParameter(
            "no account has this e-mail, and it is not an address. Give an e-mail such as natalie@example.com, or one "
            "IPv4 or IPv6 address such as 203.0.113.9, not a network.",
            param_hint="'EMAIL|ADDRESS'",
        )
    return operators.of_email(subject, users[0].id if users else None)
