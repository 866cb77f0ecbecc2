"""What operators see and clear of the budgets."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from authservice.config import Rate
from authservice.limits.clients import Client
from authservice.limits.units import MAILS, SIGN_IN_ACCOUNT_CLIENT, STORED, account_subject, key_of, user_subject
from authservice.state import current_state
from authservice.store import limits as store
from authservice.store.limits import Keys


@dataclass(frozen=True, slots=True)
class Counted:
    """A budget that is not full. The rates of an app's routes, and of mails, are not known here."""

    budget: str
    left: int | None
    burst: int | None
    full_in_seconds: int


def of_email(email: str, user_id: str | None = None) -> dict[Keys, Rate | None]:
    """The keys of an account's counters, and their rates: for ``show`` and ``clear``."""
    return _of_subjects([(account_subject(email), 1), *([(user_subject(user_id), 1)] if user_id else [])])


def of_client(client: Client) -> dict[Keys, Rate | None]:
    """The same of a client, with what it has spent at accounts."""
    limits = current_state().limits
    at_accounts = {
        Keys(f"{SIGN_IN_ACCOUNT_CLIENT}:", key_of(limits, "", share)): limits.rates[SIGN_IN_ACCOUNT_CLIENT]
        for share, _ in client.shares
    }
    return {**_of_subjects(client.shares), **at_accounts}


def show(wanted: Mapping[Keys, Rate | None]) -> Iterator[Counted]:
    """The budgets that are not full. Raises DatabaseUnavailable."""
    moment = time.time()
    for key, full_at in store.find_counters(wanted):
        rate = next(rate for keys, rate in wanted.items() if keys.match(key))
        spent_seconds = full_at - moment
        left = None if rate is None else max(0, int((rate.refill_seconds - spent_seconds) / rate.unit_seconds + 0.1))
        yield Counted(key.partition(":")[0], left, rate.burst if rate else None, math.ceil(spent_seconds))


def clear(wanted: Iterable[Keys]) -> int:
    """Make the budgets full; how many counters there were. Workers learn it within REMEMBERED_SECONDS.

    Raises DatabaseUnavailable.
    """
    return store.delete_counters(wanted)


def _of_subjects(subjects: Iterable[tuple[str, int]]) -> dict[Keys, Rate | None]:
    limits = current_state().limits
    rates = {name: limits.rates.get(name) for name in (*STORED, *MAILS)}
    return {
        Keys(key_of(limits, name, subject)): rate and rate.times(factor)
        for name, rate in rates.items()
        for subject, factor in subjects
    }
