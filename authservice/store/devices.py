"""The devices inside the user's document: where the user has signed in. Each sign-in writes its device.

devices: [ { id, label, firstSeenAt, lastSeenAt } ]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId

from authservice.store.resilience import asks_database
from authservice.store.spending import Spending
from authservice.store.users import collection

_DEVICES_MAX = 20  # the least recently seen one is dropped
LABELS = {"devices.id": 1, "devices.label": 1}  # what labels_of reads


@dataclass(frozen=True)
class Device:
    """Where a user has signed in. ``id`` is the SHA-256 of the token that the device keeps."""

    id: str
    label: str
    first_seen_at: datetime
    last_seen_at: datetime


def seen(device: Device, *, is_known: bool) -> Spending:
    """What adds a device to a user, or changes the one that is there.

    A device that has been added or forgotten since it was looked up does not meet the condition.
    """
    if is_known:
        changes = {"devices.$[device].label": device.label, "devices.$[device].lastSeenAt": device.last_seen_at}
        return Spending({"devices.id": device.id}, {"$set": changes}, ({"device.id": device.id},))
    entry = {
        "id": device.id,
        "label": device.label,
        "firstSeenAt": device.first_seen_at,
        "lastSeenAt": device.last_seen_at,
    }
    pushed = {"$each": [entry], "$sort": {"lastSeenAt": 1}, "$slice": -_DEVICES_MAX}
    return Spending({"devices.id": {"$ne": device.id}}, {"$push": {"devices": pushed}})


def labels_of(document: Mapping[str, Any]) -> dict[str, str] | None:
    """The labels of the devices by their ids. None if there never was one: forgetting them leaves an empty list."""
    entries = document.get("devices")
    if not isinstance(entries, list):
        return None
    found = ((entry.get("id"), entry.get("label")) for entry in entries if isinstance(entry, dict))
    return {id: label for id, label in found if isinstance(id, str) and isinstance(label, str)}


@asks_database
def of(user_id: str, session_id: str) -> tuple[list[Device], str | None]:
    """The user's devices, most recently seen first, and the id of the one that the session began on."""
    projected = {"devices": 1, "sessions": {"$elemMatch": {"id": session_id}}}
    document = collection().find_one({"_id": ObjectId(user_id)}, projected) or {}
    entries, sessions = document.get("devices"), document.get("sessions")
    found = [_device(entry) for entry in entries if _is_ours(entry)] if isinstance(entries, list) else []
    current = sessions[0].get("deviceId") if sessions else None
    return sorted(found, key=lambda device: device.last_seen_at, reverse=True), current


@asks_database
def forget(user_id: str, device_id: str) -> bool:
    """False if there is no such device."""
    update = {"$pull": {"devices": {"id": device_id}}}
    return collection().update_one({"_id": ObjectId(user_id), "devices.id": device_id}, update).modified_count == 1


def _is_ours(entry: object) -> bool:
    """Another stack may keep something else there."""
    types = {"id": str, "label": str, "firstSeenAt": datetime, "lastSeenAt": datetime}
    return isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in types.items())


def _device(stored: Mapping[str, Any]) -> Device:
    return Device(stored["id"], stored["label"], stored["firstSeenAt"], stored["lastSeenAt"])
