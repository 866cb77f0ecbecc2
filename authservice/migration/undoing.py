"""Undo what adopting wrote, for each user who has neither signed in nor changed since."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from authservice import audit
from authservice.migration.adopting import Outcome
from authservice.migration.adoption import OURS, as_it_was, is_adopted, is_untouched, way_back
from authservice.migration.adoption_plan import Progress
from authservice.migration.moved import Profile
from authservice.store import adopted, adoption
from authservice.store.adopted import MOVED, UNDOING, Entry
from authservice.store.adoption import Change, Stored, unchanged


@dataclass
class UndoPlan:
    """``kept``: the ids of users who stay, since they have signed in or changed. ``gone``: deleted here since."""

    profile: Profile
    would: int = 0
    moves: int = 0
    gone: int = 0
    kept: dict[Any, None] = field(default_factory=dict)  # in the order in which they were found

    def changes(self, page: Sequence[Stored]) -> list[Stored]:
        """Those of the page that were adopted where they are, and go back."""
        return [one for one in page if self._is_in_place(one) and is_untouched(self.profile, one.fields)]

    def stays(self, page: Sequence[Stored]) -> list[Stored]:
        return [one for one in page if self._is_in_place(one) and not is_untouched(self.profile, one.fields)]

    def _is_in_place(self, stored: Stored) -> bool:
        return is_adopted(self.profile, stored.fields) and stored.fields["legacy"].get("id") == str(stored.id)


def look(profile: Profile, progress: Progress) -> UndoPlan:
    """Reads every document, and writes nothing."""
    plan = UndoPlan(profile)
    for page in adoption.pages():
        plan.would += len(plan.changes(page))
        plan.kept |= dict.fromkeys(one.id for one in plan.stays(page))
        progress(len(page))
    for entries in adopted.entries(profile.name):
        for one in entries:
            if _is_gone(one):
                plan.gone += 1
            elif one.now is not None and not _may_go_back(profile, one, one.now):
                plan.kept[one.new_id] = None
            else:
                plan.would += 1
                plan.moves += 1
    return plan


def undo(plan: UndoPlan, progress: Progress) -> Outcome:
    """Raises DatabaseUnavailable."""
    outcome = Outcome()
    for page in adoption.pages():
        outcome.changed += [one.id for one in plan.stays(page) if one.id not in plan.kept]
        _undo_in_place(plan.changes(page), outcome)
        progress(len(page))
    for entries in adopted.entries(plan.profile.name):
        _move_back(plan, [one for one in entries if not _is_gone(one)], outcome)
    adopted.drop_if_empty()
    adoption.drop_unused_indexes()
    audit.record("undo_adopt", "ok", target_id=None, stack=plan.profile.name, users=outcome.done)
    return outcome


def _undo_in_place(page: Sequence[Stored], outcome: Outcome) -> None:
    if not page:
        return
    changes = []
    for stored in page:
        restored, unset = way_back(stored.fields)
        condition = unchanged(stored.fields, {*OURS, "email", "password", "createdAt", "legacy", *restored, *unset})
        key = adoption.key_of(as_it_was(stored.fields))
        changes.append(Change(stored.id, condition, restored, unset, key))
    unwritten = adoption.write(changes)
    outcome.refused += unwritten.refused
    outcome.changed += unwritten.changed
    outcome.done += len(page) - len(unwritten.refused) - len(unwritten.changed)


def _move_back(plan: UndoPlan, entries: Sequence[Entry], outcome: Outcome) -> None:
    users = [(one, one.now) for one in entries if one.now is not None]
    going = [one for one, now in users if _may_go_back(plan.profile, one, now)]
    staying = {one.new_id for one, _ in users} - {one.new_id for one in going}
    outcome.changed += staying - plan.kept.keys()
    if going:
        adopted.mark([one.id for one in going], UNDOING)
        still_there = adopted.delete([one.now for one in going if one.now is not None], OURS)
        if changed := [one for one in going if one.new_id in still_there]:
            adopted.mark([one.id for one in changed], MOVED)
            outcome.changed += [one.new_id for one in changed]
        going = [one for one in going if one.new_id not in still_there]
    nowhere = [*going, *(one for one in entries if one.now is None and not one.is_back)]
    refused = adopted.insert([one.before.raw for one in nowhere]) if nowhere else set()
    back = [*nowhere, *(one for one in entries if one.now is None and one.is_back)]
    done = [one.id for one in back if one.id not in refused]
    if done:
        adopted.forget(done)
    outcome.refused += refused
    outcome.done += len(done)


def _is_gone(entry: Entry) -> bool:
    return entry.now is None and entry.state == MOVED


def _may_go_back(profile: Profile, entry: Entry, now: Stored) -> bool:
    """The whole user is replaced by the old document, so nothing at all may have changed."""
    if entry.is_back or not is_adopted(profile, now.fields) or not is_untouched(profile, now.fields):
        return False
    return adoption.are_equal({**as_it_was(now.fields), "_id": entry.id}, entry.before.fields)
