"""Feathers with authentication-local, and feathers-authentication-management's ``isVerified``."""

from dataclasses import replace

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles import nestjs
from authservice.migration.profiles.values import at, is_true


def read(record: Record) -> MovedUser | Unreadable:
    found = nestjs.read(record)
    if isinstance(found, MovedUser) and not found.email_verified_at and is_true(at(record, "isVerified")):
        return replace(found, email_verified_at=True)
    return found


PROFILE = Profile("feathers", "Feathers", read, may_adopt=True)
