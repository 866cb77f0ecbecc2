"""Find a user by e-mail. Case does not matter, also in e-mails that another stack stored.

The database compares under a collation that ignores more than case: a ligature may equal its letters, and a soft
hyphen may not count. So a found user only matches if the e-mail differs in nothing but case. For sign-up, every found
e-mail counts as taken.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from pymongo.collation import Collation

from authservice.errors import EmailAmbiguous
from authservice.state import current_state
from authservice.store import devices
from authservice.store.indexes import ANY_CASE, any_case
from authservice.store.resilience import asks_database
from authservice.store.users import StoredPassword, User, collection, holder_of, read_user, stored_password

_SPELLINGS_MAX = 16  # of one address, as another stack may store many


def find_with_password(spellings: Sequence[str], device_id: str) -> tuple[User, StoredPassword, bool] | None:
    """For checking a password; None also if several users match. The first of ``spellings`` is as typed."""
    return read_with_password(spellings, device_id, any_case())


@asks_database
def read_with_password(
    spellings: Sequence[str], device_id: str, collation: Collation | None
) -> tuple[User, StoredPassword, bool] | None:
    projection = {**current_state().projection, "password": 1, "passwordChangedAt": 1, **devices.projection(device_id)}
    documents = _find(spellings, projection, collation)
    if len(documents) != 1:
        return None
    return read_user(documents[0]), stored_password(documents[0]), devices.is_known(documents[0])


@asks_database
def find_by_email(spellings: Sequence[str]) -> User | None:
    """Raises EmailAmbiguous if several match, and none exactly."""
    users = [read_user(document) for document in _find(spellings, current_state().projection, ANY_CASE)]
    if len(users) > 1:
        raise EmailAmbiguous([user.id for user in users])
    return users[0] if users else None


@asks_database
def find_holder(spellings: Sequence[str]) -> str | None:
    """The id of the account that holds the e-mail, if there is one. The unique index decides in the end."""
    return holder_of(spellings)


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
