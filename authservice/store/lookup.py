"""Who is meant by an e-mail: one namespace, in whatever case another stack stored one.

The database compares under a collation that knows more than case: it may take a ligature for its letters, or pass over
a soft hyphen. So of those that it finds only who has the same e-mail in all but case is meant. To sign up, whatever it
finds is taken.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from pymongo.collation import Collation

from authservice.errors import EmailAmbiguous
from authservice.state import current_state
from authservice.store.indexes import ANY_CASE, any_case
from authservice.store.resilience import asks_database
from authservice.store.users import StoredPassword, User, collection, holder_of, read_user, stored_password

_SPELLINGS_MAX = 16  # of one address, where another stack lets many be stored


def find_with_password(spellings: Sequence[str]) -> tuple[User, StoredPassword] | None:
    """For checking a password; None too where it is not clear who is meant. ``spellings`` begin as it was typed."""
    return read_with_password(spellings, any_case())


@asks_database
def read_with_password(spellings: Sequence[str], collation: Collation | None) -> tuple[User, StoredPassword] | None:
    documents = _find(spellings, {**current_state().projection, "password": 1, "passwordChangedAt": 1}, collation)
    if len(documents) != 1:
        return None
    return read_user(documents[0]), stored_password(documents[0])


@asks_database
def find_by_email(spellings: Sequence[str]) -> User | None:
    """Raises EmailAmbiguous where several are meant, and none exactly."""
    users = [read_user(document) for document in _find(spellings, current_state().projection, ANY_CASE)]
    if len(users) > 1:
        raise EmailAmbiguous([user.id for user in users])
    return users[0] if users else None


@asks_database
def find_holder(spellings: Sequence[str]) -> str | None:
    """The id of an account because of which nobody can sign up with the e-mail. The unique index has the last word."""
    return holder_of(spellings)


def _find(spellings: Sequence[str], projection: Mapping[str, int], collation: Collation | None) -> list[dict[str, Any]]:
    """The one that is spelled as typed, else all that are the same in all but case.

    One read whether there is somebody or not: a second one would tell. MongoDB also finds lists that hold the e-mail,
    and documents whose id no token could name: they are nobody's.
    """
    typed = spellings[0]
    condition = {"email": {"$in": [*spellings]}}
    found = [*collection().find(condition, projection, collation=collation).limit(_SPELLINGS_MAX)]
    if len(found) == _SPELLINGS_MAX:  # whoever is exactly meant may not be among them
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
    # NFC once more: some capitals have no composed form where their small letters have one.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).lower())
