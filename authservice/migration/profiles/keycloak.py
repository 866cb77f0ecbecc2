"""Keycloak: the users of realm exports."""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build, email_or_name, proof_of_email, role_names
from authservice.migration.profiles.hashes import UNKNOWN, Hash, argon2, pbkdf2
from authservice.migration.profiles.values import at, base64_bytes, first, is_false, is_true, items, parsed

_DIGESTS = {"pbkdf2": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}
_ROLES_OF_KEYCLOAK = ("default-roles-", "offline_access", "uma_authorization")


def read(record: Record) -> MovedUser | Unreadable | None:
    """None for the accounts of services."""
    if at(record, "serviceAccountClientId"):
        return None
    return build(
        at(record, "id"),
        email_or_name(record),
        _password(record),
        verified=proof_of_email(record, is_true(at(record, "emailVerified")) or None),
        disabled=("enabled" in record and is_false(record["enabled"])) or None,
        created=at(record, "createdTimestamp"),
        roles=[role for role in role_names(at(record, "realmRoles")) if not role.startswith(_ROLES_OF_KEYCLOAK)],
    )


def _password(record: Record) -> Hash:
    credential = next((one for one in items(at(record, "credentials")) if at(one, "type") == "password"), None)
    if credential is None:
        return None
    secret, about = parsed(at(credential, "secretData")), parsed(at(credential, "credentialData"))
    if secret is None and about is None:  # before Keycloak 8
        secret = about = credential
    algorithm, iterations = at(about, "algorithm"), at(about, "hashIterations")
    salt, hashed = base64_bytes(at(secret, "salt")), base64_bytes(first(secret, "value", "hashedSaltedValue"))
    if isinstance(algorithm, str) and algorithm in _DIGESTS:
        return pbkdf2(_DIGESTS[algorithm], iterations, salt, hashed)
    if algorithm == "argon2" and _parameter(about, "version") in ("1.3", None):
        memory, lanes = _parameter(about, "memory"), _parameter(about, "parallelism")
        return argon2(_parameter(about, "type") or "id", memory, iterations, lanes, salt, hashed)
    return UNKNOWN


def _parameter(about: object, name: str) -> object:
    """Each is a list of one."""
    return next(iter(items(at(about, f"additionalParameters.{name}"))), None)


PROFILE = Profile(
    "keycloak",
    "Keycloak",
    read,
    array="users",
    why_empty="By default, Keycloak exports users to separate files: give realm-users-0.json and so on, or export with "
    "--users realm_file. Passwords are only in what `kc.sh export` writes, not in what the admin console does.",
)
