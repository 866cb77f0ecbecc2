"""The fields that apps of stacks without a convention of their own usually have."""

from datetime import datetime

from authservice.migration.moved import Record
from authservice.migration.profiles.values import is_false, since, since_at_all

_ACTIVE = ("isActive", "is_active", "active", "enabled")
_LOCKED = (
    *("disabledAt", "disabled", "isDisabled", "blocked", "isBlocked", "banned", "isBanned"),
    *("deletedAt", "deleted_at"),
)
_VERIFIED = ("emailVerifiedAt", "emailVerified", "isEmailVerified", "email_verified_at", "email_verified")


def disabled(record: Record) -> datetime | bool | None:
    """What is unclear counts as disabled: moving must not enable anyone again."""
    if any(name in record and is_false(record[name]) for name in _ACTIVE):
        return True
    return next((when for name in _LOCKED if (when := since_at_all(record.get(name))) is not None), None)


def verified(record: Record) -> datetime | bool | None:
    return next((when for name in _VERIFIED if (when := since(record.get(name))) is not None), None)
