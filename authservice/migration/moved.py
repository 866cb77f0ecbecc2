"""What a profile makes of one user of another stack."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class MovedUser:
    """One user, as the other stack had it.

    ``id`` is unique among the users of that stack. ``email`` is as it stood there, and may be no valid address.
    ``password`` is a bcrypt hash or a tagged string of security.legacy.encode; None if the user has none there.
    ``has_own_id``: False if ``id`` is a name, because the record has no id.
    ``email_verified_at`` and ``disabled_at`` are True if the stack does not say when. ``more`` has other fields of our
    document, under their names there.
    """

    id: str
    email: str
    password: str | None
    email_verified_at: datetime | bool | None = None
    disabled_at: datetime | bool | None = None
    created_at: datetime | None = None
    roles: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    has_own_id: bool = True


@dataclass(frozen=True)
class Unreadable:
    """Why a record is no user of ours. ``reason`` is short and holds no value of the record."""

    reason: str


@dataclass(frozen=True)
class Joins:
    """An export whose users lie in several files, one for each collection or table, given in any order.

    ``part_of`` tells which part a record is and the key that all parts of one user share; None if the record is of no
    use. ``Profile.read`` then gets ``{part: [record, ...]}``. A user without a record of ``main`` is unreadable.
    Records of the part ``referred`` have keys of their own: each user gets those that ``refers_to`` names for one of
    the user's other records. All others of that part are of no use.
    """

    main: str
    part_of: Callable[[Record], tuple[str, str] | None]
    referred: str | None = None
    refers_to: Callable[[Record], str | None] = lambda _: None


@dataclass(frozen=True)
class Profile:
    """How one stack keeps its users.

    ``read`` never raises. It returns None for a record that is no user, and is not to be counted.
    ``array``: where the users lie in one JSON object, for example ``users`` or ``realms.users``. None: the file is an
    array, or has one record a line. ``columns_of_csv`` renames columns; ``csv_header`` names those of a CSV file that
    has no header. ``may_adopt``: its documents can become ours in place. ``replaces``: fields of its documents that
    have our name and another meaning (Payload's ``sessions``), also if this service could read them. ``keeps``: our
    names that mean the same there, and that only the server of the other app writes; all others are in the way.
    ``why_empty`` explains an export that has users and no passwords. ``has_passwords``: False if no export has any.
    """

    name: str
    title: str
    read: Callable[[Record], MovedUser | Unreadable | None]
    array: str | None = None
    joins: Joins | None = None
    columns_of_csv: Mapping[str, str] = field(default_factory=dict)
    csv_header: tuple[str, ...] = ()
    may_adopt: bool = False
    replaces: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    why_empty: str | None = None
    has_passwords: bool = True
