"""Adopt the users of another stack where they are. A run that was stopped anywhere is finished by the next one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId

from authservice import audit
from authservice.migration.adoption import OURS, Adoption
from authservice.migration.adoption_plan import Plan, Progress
from authservice.store import adopted, adoption, imports
from authservice.store.adoption import Change, Stored, unchanged


@dataclass
class Outcome:
    """Ids of documents that were left as they are: the database ``refused`` them, or they have ``changed``."""

    done: int = 0
    refused: list[Any] = field(default_factory=list)
    changed: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class _Move:
    """A document that becomes a new one, because access tokens cannot name its id."""

    stored: Stored
    adoption: Adoption
    new_id: ObjectId


def adopt(plan: Plan, progress: Progress) -> Outcome:
    """Do what the plan says, as far as the documents are still as they were. Raises DatabaseUnavailable."""
    outcome = Outcome()
    imports.build_index()
    _finish(plan, outcome)
    for page in adoption.pages():
        found = plan.adoptions(page)
        _adopt_in_place([one for one in found if one[0].has_usable_id], outcome)
        _move(plan, [one for one in found if not one[0].has_usable_id], outcome)
        progress(len(page))
    if plan.without_email > 1:
        adoption.let_documents_have_no_email()
    audit.record("adopt", "ok", target_id=None, stack=plan.profile.name, users=outcome.done)
    return outcome


def _adopt_in_place(found: Sequence[tuple[Stored, Adoption]], outcome: Outcome) -> None:
    if not found:
        return
    unwritten = adoption.write(
        [
            Change(
                stored.id,
                condition=unchanged(stored.fields, (*stored.fields, *one.wrote)),
                set=one.wrote,
                unset=(),
                key=one.legacy["key"],
            )
            for stored, one in found
        ]
    )
    outcome.refused += unwritten.refused
    outcome.changed += unwritten.changed
    outcome.done += len(found) - len(unwritten.refused) - len(unwritten.changed)


def _move(plan: Plan, found: Sequence[tuple[Stored, Adoption]], outcome: Outcome) -> None:
    if not found:
        return
    new_ids = adopted.copy(plan.profile.name, [stored for stored, _ in found])
    moves = [_Move(stored, one, new_ids[stored.id]) for stored, one in found if stored.id in new_ids]
    outcome.refused += [stored.id for stored, _ in found if stored.id not in new_ids]
    if not moves:
        return
    still_there = adopted.delete([one.stored for one in moves], OURS)
    outcome.changed += still_there
    _insert([one for one in moves if one.stored.id not in still_there], outcome)


def _insert(moves: Sequence[_Move], outcome: Outcome) -> None:
    """The last part of a move, whose first parts a stopped run may have done."""
    if not moves:
        return
    fields = [{**one.stored.fields, **one.adoption.wrote, "_id": one.new_id} for one in moves]
    refused = adopted.insert(fields)
    if back := [one.stored for one in moves if one.new_id in refused]:
        outcome.refused += [one.id for one in back]
        _bring_back(back)
    in_ = [one.stored.id for one in moves if one.new_id not in refused]
    adopted.mark(in_, adopted.MOVED)
    outcome.done += len(in_)


def _bring_back(documents: Sequence[Stored]) -> None:
    refused = adopted.insert([one.raw for one in documents])
    adopted.forget([one.id for one in documents if one.id not in refused])


def _finish(plan: Plan, outcome: Outcome) -> None:
    for entries in adopted.entries(plan.profile.name, but_moved=True):
        if there := [one.id for one in entries if one.now is not None]:
            adopted.mark(there, adopted.MOVED)
        nowhere = [one for one in entries if one.now is None and not one.is_back]
        read = [(one, plan.read(one.before)) for one in nowhere]
        _insert([_Move(one.before, found, one.new_id) for one, found in read if isinstance(found, Adoption)], outcome)
        if unreadable := [one.before for one, found in read if not isinstance(found, Adoption)]:
            _bring_back(unreadable)
