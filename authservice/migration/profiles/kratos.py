"""Ory Kratos: identities with their password credentials."""

import re

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles import firebase_hashes
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import Hash, pbkdf2, scrypt, self_describing
from authservice.migration.profiles.values import at, base64_bytes, first, is_true, items, moment, parsed

# Source: ory/kratos, hash/hash_comparator.go.
_PBKDF2 = re.compile(r"\$pbkdf2-(sha1|sha256|sha512)\$i=([0-9]+),l=[0-9]+\$([^$]*)\$([^$]+)")
_SCRYPT = re.compile(r"\$scrypt\$ln=([0-9]+),r=([0-9]+),p=([0-9]+)\$([^$]*)\$([^$]+)")
_FIREBASE = re.compile(r"\$firescrypt\$ln=([0-9]+),r=([0-9]+),p=1\$([^$]*)\$([^$]+)\$([^$]*)\$([^$]+)")


def read(record: Record) -> MovedUser | Unreadable:
    addresses = [one for one in items(at(record, "verifiable_addresses")) if at(one, "via") in ("email", None)]
    email = first(record, "traits.email") or next((at(one, "value") for one in addresses), None)
    own = next((one for one in addresses if at(one, "value") == email), None)
    config = parsed(at(record, "credentials.password.config"))
    return build(
        at(record, "id"),
        email,
        _password(at(config, "hashed_password")),
        verified=(moment(at(own, "verified_at")) or True) if is_true(at(own, "verified")) else None,
        disabled=(at(record, "state") not in ("active", None)) or None,
        created=at(record, "created_at"),
        roles=first(record, "metadata_public.roles", "metadata_public.role"),
    )


def _password(stored: object) -> Hash:
    if not isinstance(stored, str):
        return self_describing(stored)
    if form := _PBKDF2.fullmatch(stored):
        return pbkdf2(form[1], form[2], base64_bytes(form[3]), base64_bytes(form[4]))
    if form := _SCRYPT.fullmatch(stored):  # its ln is N, and no logarithm
        return scrypt(form[1], form[2], form[3], base64_bytes(form[4]), base64_bytes(form[5]))
    if form := _FIREBASE.fullmatch(stored):
        mem_cost, rounds, salt, hashed, separator, signer_key = form.groups()
        return firebase_hashes.read_with_key(
            salt, hashed, signer_key=signer_key, separator=separator, rounds=rounds, mem_cost=mem_cost
        )
    return self_describing(stored)


PROFILE = Profile(
    "kratos",
    "Ory Kratos",
    read,
    array="identities",
    why_empty="Kratos leaves passwords out unless its admin API is asked for them: "
    "GET /admin/identities?include_credential=password",
)
