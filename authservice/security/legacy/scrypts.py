"""Hashes by scrypt (RFC 7914)."""

import hashlib
import hmac
import re

from authservice.security.legacy.inner import Inner, unbase64

BLOCKS_MAX = 2**20  # N * r * p; N * r blocks of 128 bytes are in memory
PARALLEL_MAX = 16
_MS_PER_BLOCK = 0.00045
_SALT_MAX_BYTES = 512
_HASH_BYTES = range(16, 129)
_FORM = re.compile(
    r"\$(scrypt|scrypt-nfkc)\$ln=([1-9][0-9]?),r=([1-9][0-9]?),p=([1-9][0-9]?)\$([A-Za-z0-9+/=]*)\$([A-Za-z0-9+/=]+)"
)
_KDF_TAG = "$scrypt-kdf$"
_KDF_FILE_BYTES = 96


def read(text: str) -> Inner | None:
    """$scrypt$ and $scrypt-nfkc$: they differ in what is made of the password."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    ln, r, p = int(form[2]), int(form[3]), int(form[4])
    salt, expected = unbase64(form[5]), unbase64(form[6])
    if salt is None or expected is None or len(salt) > _SALT_MAX_BYTES or len(expected) not in _HASH_BYTES:
        return None
    if not _is_affordable(ln, r, p):
        return None

    def matches(secret: bytes) -> bool:
        return hmac.compare_digest(derive(secret, salt, ln, r, p, len(expected)), expected)

    return Inner(form[1], describe(ln, r, p), dear_of(ln, r, p), matches)


def read_kdf(text: str) -> Inner | None:
    """Source: scrypt 1.3's FORMAT: "scrypt", 0, log N, r, p, 32 bytes of salt, a checksum of these, an HMAC of all."""
    if not text.startswith(_KDF_TAG):
        return None
    file = unbase64(text.removeprefix(_KDF_TAG))
    if file is None or len(file) != _KDF_FILE_BYTES or file[:7] != b"scrypt\0":
        return None
    ln, r, p = file[7], int.from_bytes(file[8:12]), int.from_bytes(file[12:16])
    if not _is_affordable(ln, r, p) or file[48:64] != hashlib.sha256(file[:48]).digest()[:16]:
        return None

    def matches(secret: bytes) -> bool:
        key = derive(secret, file[16:48], ln, r, p, 64)[32:]
        return hmac.compare_digest(hmac.digest(key, file[:64], "sha256"), file[64:])

    return Inner("scrypt-kdf", describe(ln, r, p), dear_of(ln, r, p), matches)


def derive(secret: bytes, salt: bytes, ln: int, r: int, p: int, size: int) -> bytes:
    n = 2**ln
    # OpenSSL's default allows no r of 16. Its own count is 128 r (N + p) and 256 r.
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, dklen=size, maxmem=128 * r * (n + p + 2) + 1_024)


def describe(ln: int, r: int, p: int) -> str:
    return f"N={2**ln}, r={r}, p={p}"


def dear_of(ln: int, r: int, p: int) -> float:
    return _MS_PER_BLOCK * (r * p << ln)


def _is_affordable(ln: int, r: int, p: int) -> bool:
    if not (1 <= ln <= 20 and r >= 1 and 1 <= p <= PARALLEL_MAX) or ln >= 16 * r:  # RFC 7914 section 6
        return False
    return r * p << ln <= BLOCKS_MAX
