"""``flask users adopt``, ``authservice users adopt``: the collection of another stack becomes ours where it is."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from authservice.cli import EXIT_REFUSED, counted, given, printable, users
from authservice.cli.progress import Progress
from authservice.migration import adopting, adoption_plan, undoing
from authservice.migration.adopting import Outcome
from authservice.migration.adoption_plan import IDS_SHOWN, Plan
from authservice.migration.moved import Profile
from authservice.migration.profiles import PROFILES
from authservice.migration.undoing import UndoPlan
from authservice.security.legacy.legacy_hash import SETTING_OF
from authservice.state import current_state
from authservice.store import adopted, adoption
from authservice.store.client import ping

_EFFECTS = {
    "email": "email (written in normal form; the other app then finds the user only by that spelling)",
    "password": "password (the other app can no longer check it)",
}


@users.group.command()
@click.option(
    "--from",
    "name",
    type=click.Choice([name for name, profile in PROFILES.items() if profile.may_adopt]),
    required=True,
    help="The stack that the collection is of.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option("--undo", is_flag=True, help="Take it back, for users who have neither signed in nor changed since.")
@click.option(
    "--rename-sessions",
    is_flag=True,
    help="Rename fields of the other app that have a name of ours, such as sessions and roles.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@users.reporting
def adopt(name: str, dry_run: bool, undo: bool, rename_sessions: bool, yes: bool) -> None:
    """Make the users of another stack ours, in FLASK_USERS_COLLECTION itself. Says what it would write, and asks first.

    It can be run again, after a stop or for users who came later, and be undone with --undo.

    Exit codes: 0 every user is here, 1 some are not or a question was answered with no, 2 an option is wrong or
    nobody could be asked, 3 the database does not answer.
    """
    if undo and rename_sessions:
        raise click.UsageError("--undo knows what was renamed. Leave --rename-sessions out.")
    profile = PROFILES[name]
    ping()
    if undo:
        _undo(profile, dry_run, yes)
        return
    with _progress("documents read") as progress:
        plan = adoption_plan.look(profile, progress)
    _print(_lines_of(plan))
    if plan.renamed and not rename_sessions:
        renamed = ", ".join(f"{old} to {new}" for old, new in plan.renamed)
        _refuse(f"Some documents use our field names for something else. --rename-sessions renames {renamed}.")
    todo = plan.would + plan.unfinished
    if todo and not dry_run:
        if not yes:
            given.confirm(f"Adopt {todo:,}?")
        with _progress("documents written") as progress:
            _report("adopted", adopting.adopt(plan, progress))
    if plan.contested or plan.unreadable:
        sys.exit(EXIT_REFUSED)


def _undo(profile: Profile, dry_run: bool, yes: bool) -> None:
    with _progress("documents read") as progress:
        plan = undoing.look(profile, progress)
    _print(_lines_of_undo(plan))
    if dry_run or not plan.would:
        return
    if not yes:
        given.confirm(f"Undo {plan.would:,}?")
    with _progress("documents written") as progress:
        _report("undone", undoing.undo(plan, progress))


def _lines_of(plan: Plan) -> Iterator[str]:
    yield f"{current_state().users.name}, by {plan.profile.title}:"
    yield _row("would adopt", plan.would)
    yield _row("already here", plan.here)
    yield _row("e-mail taken", sum(map(len, plan.contested.values())))
    yield from (f"    {email}: {_ids(ids)}" for email, ids in sorted(plan.contested.items()))
    yield _row("unreadable", plan.unreadable.total())
    for reason, count in plan.unreadable.most_common():
        more = ", ..." if count > IDS_SHOWN else ""
        yield f"    {reason} ({count:,}): {_ids(plan.unreadable_ids[reason])}{more}"
    if plan.unfinished:
        yield _row("unfinished", plan.unfinished)
    if plan.would:
        yield from _fields_of(plan)


def _fields_of(plan: Plan) -> Iterator[str]:
    yield f"Fields that it adds: {_counted(plan.written)}"
    if replaced := +plan.replaced:
        named = {_EFFECTS.get(name, name): count for name, count in replaced.items()}
        yield f"Fields of the other app that it replaces: {_counted(named)}"
    for (old, new), count in plan.renamed.items():
        yield f"{old} becomes {new} in {count:,}, and the other app no longer finds it."
    if theirs := +plan.theirs:
        yield f"Fields of the other app that count here too: {_counted(theirs)}"
    if plan.moves:
        has, have = "has an id that is no ObjectId. It becomes", "have an id that is no ObjectId. Each becomes"
        they_become = counted(plan.moves, has, have)
        yield f"{they_become} a new document, and the old one moves to {adopted.name()}. Stop the other app before."
    if plan.without_password:
        they_set = counted(plan.without_password, "has no password and sets", "have no password and set")
        yield f"{they_set} one by mail."
    if plan.would and not plan.finds_passwords:
        yield f"By the rules of {plan.profile.title}, none of them has a password. Is --from right?"
    yield from _missing_settings(plan)
    yield "Every other field stays as it is."
    yield "Afterwards change e-mails here only: one that the other app changes would still count as verified."


def _missing_settings(plan: Plan) -> Iterator[str]:
    for needed, count in (+plan.needs).items():
        setting = SETTING_OF[needed]
        if current_state().settings.get(setting):
            continue
        if plan.profile.name == "devise":  # it has no pepper by default, and its hashes do not tell
            yield f"If Devise has a pepper, {count:,} can sign in only with FLASK_{setting}, which is not set."
        else:
            yield f"{count:,} can sign in only with FLASK_{setting}, which is not set."


def _lines_of_undo(plan: UndoPlan) -> Iterator[str]:
    yield f"{current_state().users.name}, by {plan.profile.title}:"
    yield _row("would undo", plan.would)
    yield _row("stay", len(plan.kept))
    if plan.kept:
        yield f"    signed in or changed since: {_ids(plan.kept)}"
    if plan.gone:
        yield _row("deleted here", plan.gone)


def _report(done: str, outcome: Outcome) -> None:
    _print([f"{outcome.done:,} {done}."])
    if outcome.refused:
        click.echo(
            f"Error: the database refused {printable(_ids(outcome.refused))}: a unique index, or a validator.", err=True
        )
    if outcome.changed:
        click.echo(f"Error: changed meanwhile: {printable(_ids(outcome.changed))}. Run it again.", err=True)
    if outcome.refused or outcome.changed:
        sys.exit(EXIT_REFUSED)


def _row(name: str, count: int) -> str:
    return f"  {name:<12} {count:>9,}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)


def _ids(ids: Iterable[Any]) -> str:
    return ", ".join(map(str, ids))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(printable(line))


def _refuse(sentence: str) -> None:
    click.echo(f"Error: {sentence}", err=True)
    sys.exit(EXIT_REFUSED)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], None]]:
    total, done = adoption.estimated_count(), 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        progress.add(count)

    progress = Progress(what, lambda: min(done / total, 1) if total else None)
    try:
        yield add
    finally:
        progress.end()
