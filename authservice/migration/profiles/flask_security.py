"""Flask-Security, which hashes an HMAC of the password; and Flask apps with Werkzeug's hashes."""

import re

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles import django_hashes, werkzeug_hashes
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import Hash, checked, pbkdf2, self_describing
from authservice.migration.profiles.usual import disabled
from authservice.migration.profiles.values import at, base64_bytes, first, since
from authservice.security.legacy import encode

# Passlib's form; "." stands for "+".
_PASSLIB = re.compile(r"\$pbkdf2(?:-(sha256|sha512))?\$([0-9]{1,9})\$([./A-Za-z0-9]*)\$([./A-Za-z0-9]+)")


def read(record: Record) -> MovedUser | Unreadable:
    return build(
        first(record, "_id", "id"),
        at(record, "email"),
        _password(first(record, "password", "password_hash")),
        verified=since(at(record, "confirmed_at")),
        disabled=disabled(record),
        created=first(record, "create_datetime", "created_at"),
        roles=at(record, "roles"),
    )


def _password(stored: object) -> Hash:
    if werkzeug_hashes.is_one(stored):
        return werkzeug_hashes.read(stored)
    if isinstance(stored, str) and stored.startswith(("pbkdf2_", "bcrypt", "argon2$")):
        return django_hashes.read(stored)  # SECURITY_PASSWORD_SINGLE_HASH has them by default
    form = _PASSLIB.fullmatch(stored) if isinstance(stored, str) else None
    if form:
        salt, hashed = (base64_bytes(part.replace(".", "+")) for part in (form[3], form[4]))
        inner = pbkdf2(form[1] or "sha1", form[2], salt, hashed)
    else:
        inner = self_describing(stored)
    return checked(encode.flask_security(inner)) if isinstance(inner, str) else inner


# Flask-Security's roles are references to another collection.
PROFILE = Profile("flask-security", "Flask-Security and Werkzeug", read, may_adopt=True, replaces=("roles",))
