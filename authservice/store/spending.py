"""What a write also requires and changes, so that a code or a challenge is spent by the sign-in itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from authservice.store.mails import Mail


@dataclass(frozen=True)
class Spending:
    """A condition and an update that belong in one write with the user's new or re-authenticated session.

    Paths into lists use ``array_filters``, never the positional ``$``: when the condition names two lists, MongoDB
    leaves undefined which one it means.
    """

    condition: Mapping[str, Any]
    update: Mapping[str, Mapping[str, Any]]
    array_filters: tuple[Mapping[str, Any], ...] = ()
    mails: tuple[Mail, ...] = ()  # that tell the user of it, pushed in the same write

    def joined(self, other: Self | None) -> "Spending":
        """Both in one write; they share no path of the update."""
        if other is None:
            return self
        operators = {**self.update, **other.update}
        return Spending(
            {**self.condition, **other.condition},
            {operator: {**self.update.get(operator, {}), **other.update.get(operator, {})} for operator in operators},
            (*self.array_filters, *other.array_filters),
            (*self.mails, *other.mails),
        )
