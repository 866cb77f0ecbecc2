"""Find a user by e-mail. Case does not matter, also in e-mails that another stack stored.

The database compares under a collation that ignores more than case: a ligature may equal its letters, and a soft
hyphen may not count. So a found user only matches if the e-mail differs in nothing but case. For sign-up, every found
e-mail counts as taken.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo.collation import Collation

from authservice.errors import EmailAmbiguous
from authservice.state import current_state
from authservice.store import devices
from authservice.store.indexes import ANY_CASE, any_case
from authservice.store.mails import Recipient, read_recipient, recipient_projection
from authservice.store.resilience import asks_database
from authservice.store.users import (
    StoredPassword,
    User,
    collection,
    holder_of,
    password_projection,
    read_user,
    stored_password,
)

_SPELLINGS_MAX = 16  # of one address, as another stack may store many


class Account(NamedTuple):
    """What a sign-in reads of a user, with devices.labels_of."""

    user: User
    stored: StoredPassword
    labels: Mapping[str, str] | None

    def knows(self, device_id: str | None) -> bool:
        return self.labels is not None and device_id in self.labels


def find_with_password(spellings: Sequence[str]) -> Account | None:
    """For checking a password.

    None also if several users match. The first of ``spellings`` is as typed.
    """
    return read_with_password(spellings, any_case())


@asks_database
def read_with_password(spellings: Sequence[str], collation: Collation | None) -> Account | None:
    documents = _find(spellings, _projection_of_account(), collation)
    return _read_account(documents[0]) if len(documents) == 1 else None


@asks_database
def find_account(user_id: str) -> Account | None:
    """By id, for what follows a password or replaces it."""
    document = collection().find_one({"_id": ObjectId(user_id)}, _projection_of_account())
    return _read_account(document) if document else None


def _projection_of_account() -> dict[str, int]:
    return {**current_state().projection, **password_projection(), **devices.LABELS}


def _read_account(document: Mapping[str, Any]) -> Account:
    return Account(read_user(document), stored_password(document), devices.labels_of(document))


@asks_database
def find_by_email(spellings: Sequence[str]) -> User | None:
    """Raises EmailAmbiguous if several match, and none exactly."""
    users = [read_user(document) for document in _find(spellings, current_state().projection, ANY_CASE)]
    if len(users) > 1:
        raise EmailAmbiguous([user.id for user in users])
    return users[0] if users else None


def find_recipient(spellings: Sequence[str]) -> Recipient | None:
    """For a mail that a stranger asked for; None also if several users match: it is meant for none of them."""
    return _read_recipient(spellings, any_case())


@asks_database
def _read_recipient(spellings: Sequence[str], collation: Collation | None) -> Recipient | None:
    documents = _find(spellings, recipient_projection(), collation)
    return read_recipient(documents[0]) if len(documents) == 1 else None


@asks_database
def find_holder(spellings: Sequence[str], but_reserved_for: str | None = None) -> str | None:
    """The id of the account that has the e-mail or keeps others from it. The unique index decides in the end."""
    return holder_of(spellings, but_reserved_for)


def _find(spellings: Sequence[str], projection: Mapping[str, Any], collation: Collation | None) -> list[dict[str, Any]]:
    """The document with the e-mail as typed, else all whose e-mail differs only in case.

    Always one query: the time of a second one would reveal whether an account exists. MongoDB also finds lists that
    contain the e-mail, and documents whose id is not an ObjectId: they are not accounts.
    """
    typed = spellings[0]
    condition = {"email": {"$in": [*spellings]}}
    found = [*collection().find(condition, projection, collation=collation).limit(_SPELLINGS_MAX)]
    if len(found) == _SPELLINGS_MAX:  # the exact match may not be among them
        found = [*collection().find({"email": typed}, projection).limit(2), *found]
    same = {_in_small_letters(spelling) for spelling in spellings}
    documents = {
        document["_id"]: document
        for document in found
        if isinstance(document["_id"], ObjectId)
        and isinstance(document["email"], str)
        and _in_small_letters(document["email"]) in same
    }
    exact = [document for document in documents.values() if document["email"] == typed]
    return exact or [*documents.values()]


def _in_small_letters(email: str) -> str:
    # NFC again: some capital letters have no composed form, but their lower-case letters have one.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).lower())
