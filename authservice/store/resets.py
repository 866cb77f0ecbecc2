"""Set a password that its user has forgotten: one write, after which no link of before is good."""

from datetime import datetime
from typing import Any

from bson import ObjectId

from authservice.state import current_state
from authservice.store import devices, factors, mails, users_fields
from authservice.store.clock import now
from authservice.store.devices import Device
from authservice.store.mails import Mail, Recipient
from authservice.store.resilience import asks_database
from authservice.store.users import OLD_HASH, update_lists


@asks_database
def reset(recipient: Recipient, asked_at: datetime, new_hash: str, device: Device, notice: Mail) -> bool:
    """Store a new hash, end every session, add a device and a mail, in one write. The address is proven by it.

    False if the password has changed since the mail was asked for, the address is another one by now, or the user is
    disabled. An account whose address was never proven may be a squatter's: his devices, second factors and passkeys go
    too, unless operators have given it one of FLASK_SECOND_FACTOR_ROLES. A user who has proven it keeps them, and needs
    the second step at the next sign-in.
    """
    if recipient.is_disabled:
        return False
    condition: dict[str, Any] = {
        "_id": ObjectId(recipient.user_id),
        "email": recipient.email,
        "disabledAt": None,
        "passwordChangedAt": {"$not": {"$gte": asked_at}},
    }
    moment = now()
    update: dict[str, Any] = {
        "$set": {"password": new_hash, "passwordChangedAt": moment, "sessions": []},
        "$unset": {"emailChange": "", **OLD_HASH},
        "$push": mails.pushed(notice),
    }
    added = devices.seen(device, is_known=False).update
    if recipient.is_verified:
        update["$push"] |= added["$push"]
        return any(update_lists({**condition, **one_of}, update) for one_of in users_fields.verified())
    condition |= users_fields.unverified()
    update["$set"] |= {"emailVerifiedAt": moment, "devices": added["$push"]["devices"]["$each"]}
    without_role = {"roles": {"$nin": [*(current_state().settings["SECOND_FACTOR_ROLES"] or ())]}}
    removing = {**update, "$unset": {**update["$unset"], **factors.REMOVED}}
    return update_lists({**condition, **without_role}, removing) or update_lists(condition, update)
