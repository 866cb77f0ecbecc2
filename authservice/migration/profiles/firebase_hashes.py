"""Firebase's hashes, which other services keep together with the project's secret key.

That key must not come into the database. So it is compared with the settings, and left out.
"""

import hmac

from authservice.migration.moved import Unreadable
from authservice.migration.profiles.hashes import MALFORMED, Hash, checked
from authservice.migration.profiles.values import base64_bytes, number
from authservice.security import legacy
from authservice.security.legacy import encode
from authservice.state import current_state

NO_KEY = Unreadable("Firebase hash: FLASK_LEGACY_FIREBASE_KEY is not set")
OTHER_KEY = Unreadable("Firebase hash: made with another key or other parameters than FLASK_LEGACY_FIREBASE_* say")


def read(salt: object, hashed: object) -> Hash:
    """Base64 of either alphabet. None if the user has no password."""
    if hashed in (None, ""):
        return None
    raw_salt, raw_hash = base64_bytes(salt or ""), base64_bytes(hashed)
    if raw_salt is None or raw_hash is None:
        return MALFORMED
    return checked(encode.firebase(raw_salt, raw_hash))


def read_with_key(
    salt: object, hashed: object, *, signer_key: object, separator: object, rounds: object, mem_cost: object
) -> Hash:
    """The same, if the key and the parameters beside it are those of the settings. Needs the app's context."""
    ours = legacy.keys_of(current_state().settings).firebase
    if ours is None:
        return NO_KEY
    given = base64_bytes(signer_key)
    is_ours = given is not None and hmac.compare_digest(given, ours.signer_key)
    parameters = (base64_bytes(separator or ""), number(rounds), number(mem_cost))
    if not is_ours or parameters != (ours.salt_separator, ours.rounds, ours.mem_cost):
        return OTHER_KEY
    return read(salt, hashed)
