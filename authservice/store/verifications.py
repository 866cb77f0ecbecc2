"""The proof that an address is the user's: asked for by mail, given by its link or code.

verification: { id, to, at, guesses }   the last asking
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId

from authservice.store import mails, users_fields
from authservice.store.clock import now
from authservice.store.mails import Mail
from authservice.store.resilience import asks_database
from authservice.store.users import (
    NO_PASSWORD,
    StoredPassword,
    collection,
    password_projection,
    stored_password,
    update_lists,
)

GUESSES_MAX = 5  # of a code


@dataclass(frozen=True)
class Asking:
    """What link and code are made of. ``to`` is the user's address, as it is stored."""

    user_id: str
    id: str
    to: str
    at: datetime
    guesses: int = 0

    @property
    def handle(self) -> str:
        """What leads from a link to the user: the id in link and code."""
        return f"{self.user_id}~{self.id}"


def entry(asking: Asking) -> dict[str, Any]:
    """As the user's document has it."""
    return {"id": asking.id, "to": asking.to, "at": asking.at, "guesses": asking.guesses}


@asks_database
def ask(asking: Asking, mail: Mail, *, is_repeated: bool) -> bool:
    """Push the mail, and replace the last asking unless this is the same, in one write.

    False if the address is another one by now, or the user is disabled.
    """
    condition: dict[str, Any] = {"_id": ObjectId(asking.user_id), "email": asking.to, "disabledAt": None}
    update: dict[str, dict[str, Any]] = {"$push": mails.pushed(mail)}
    if is_repeated:
        condition["verification.id"] = asking.id
    else:
        update["$set"] = {"verification": entry(asking)}
    return update_lists(condition, update)


@asks_database
def find(user_id: str) -> tuple[Asking | None, StoredPassword]:
    """The last asking for the address that the user has now, and the password. Nothing of a disabled user."""
    if not ObjectId.is_valid(user_id):
        return None, NO_PASSWORD
    states = users_fields.of_state(users_fields.current())
    if states:
        states["disabledAt"] = 1
    projection = {"email": 1, "verification": 1, **password_projection(), **states}
    document = collection().find_one({"_id": ObjectId(user_id), "disabledAt": None}, projection)
    if document is None or users_fields.is_disabled(document):
        return None, NO_PASSWORD
    return _read(document), stored_password(document)


@asks_database
def count_guess(asking: Asking) -> bool:
    """Take one guess of the code, before it is compared. False if none is left."""
    with_guess = {**_same(asking), "verification.guesses": {"$lt": GUESSES_MAX}}
    return collection().update_one(with_guess, {"$inc": {"verification.guesses": 1}}).modified_count == 1


@asks_database
def confirm(asking: Asking) -> bool:
    """The address is proven, and the asking is used up. Of concurrent calls one gets True.

    False also if the user asked anew, has another address by now, or is disabled.
    """
    condition = {**_same(asking), "email": asking.to, "disabledAt": None}
    update = {"$set": {"emailVerifiedAt": now()}, "$unset": {"verification": ""}}
    return collection().update_one(condition, update).modified_count == 1


def _same(asking: Asking) -> dict[str, Any]:
    return {"_id": ObjectId(asking.user_id), "verification.id": asking.id}


def _read(document: Mapping[str, Any]) -> Asking | None:
    """None also for what another stack stored under this name."""
    stored, types = document.get("verification"), {"id": str, "to": str, "at": datetime, "guesses": int}
    if not isinstance(stored, dict) or not all(isinstance(stored.get(name), kind) for name, kind in types.items()):
        return None
    if stored["to"] != document.get("email"):
        return None
    return Asking(str(document["_id"]), stored["id"], stored["to"], stored["at"], stored["guesses"])
