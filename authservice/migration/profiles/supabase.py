"""Supabase: rows of the table ``auth.users``."""

import re

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles import firebase_hashes
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import MALFORMED, Hash, self_describing
from authservice.migration.profiles.values import at, first, is_false, lasts, parsed, since

DELETED = Unreadable("deleted there")

# Source: supabase/auth, internal/crypto/password.go.
_FIREBASE_TAG = "$fbscrypt$"
_FIREBASE = re.compile(r"\$fbscrypt\$v=1,n=([0-9]+),r=([0-9]+),p=1(?:,ss=([^,$]+))?,sk=([^,$]+)\$([^$]+)\$([^$]+)")


def read(record: Record) -> MovedUser | Unreadable:
    if not is_false(at(record, "deleted_at")):
        return DELETED
    return build(
        at(record, "id"),
        at(record, "email"),
        _password(at(record, "encrypted_password")),
        verified=since(at(record, "email_confirmed_at")),
        disabled=lasts(at(record, "banned_until")) or None,
        created=at(record, "created_at"),
        roles=first(parsed(at(record, "raw_app_meta_data")), "roles", "role"),
    )


def _password(stored: object) -> Hash:
    if not isinstance(stored, str) or not stored.startswith(_FIREBASE_TAG):
        return self_describing(stored)
    form = _FIREBASE.fullmatch(stored)
    if form is None:
        return MALFORMED
    mem_cost, rounds, separator, signer_key, salt, hashed = form.groups()
    return firebase_hashes.read_with_key(
        salt, hashed, signer_key=signer_key, separator=separator, rounds=rounds, mem_cost=mem_cost
    )


PROFILE = Profile("supabase", "Supabase", read)
