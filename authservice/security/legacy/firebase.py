"""Hashes by Firebase: scrypt makes a key, and the project's signer key is encrypted with it.

Source: github.com/firebase/scrypt.
"""

import hmac
import re

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from authservice.security.legacy import scrypts
from authservice.security.legacy.inner import unbase64
from authservice.security.legacy.keys import LegacyKeys
from authservice.security.legacy.legacy_hash import LegacyHash

# The most that Firebase has; a hash does not say its own.
ROUNDS_MAX = 8
MEM_COST_MAX = 14
_SALT_MAX_BYTES = 512
_HASH_BYTES = range(32, 129)  # as long as the signer key
_FORM = re.compile(r"\$firebase\$([A-Za-z0-9+/=]*)\$([A-Za-z0-9+/=]+)")


def read(text: str) -> LegacyHash | None:
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    salt, expected = unbase64(form[1]), unbase64(form[2])
    if salt is None or expected is None or len(salt) > _SALT_MAX_BYTES or len(expected) not in _HASH_BYTES:
        return None

    def matches(password: str, keys: LegacyKeys) -> bool:
        project = keys.firebase
        if project is None:
            return False
        key = scrypts.derive(
            password.encode(), salt + project.salt_separator, project.mem_cost, project.rounds, 1, size=32
        )
        encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
        return hmac.compare_digest(encryptor.update(project.signer_key) + encryptor.finalize(), expected)

    return LegacyHash(
        scheme="firebase",
        cost="as in the settings",
        needs="firebase key",
        dear=scrypts.dear_of(MEM_COST_MAX, ROUNDS_MAX, 1),
        verify=matches,
    )
