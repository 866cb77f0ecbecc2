"""Reads the one string in which a user's document holds another stack's hash."""

import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Callable

from authservice.security.legacy import argon2s, bcrypts, firebase, pbkdf2, scrypts
from authservice.security.legacy.inner import Inner
from authservice.security.legacy.keys import LegacyKeys
from authservice.security.legacy.legacy_hash import LegacyHash, Needs

TEXT_MAX_CHARACTERS = 2_000


def parse(text: str) -> LegacyHash | None:
    """None if ``text`` is not a tagged string, is malformed, or would cost more than this service allows.

    A plain hash by bcrypt is not tagged.
    """
    if len(text) > TEXT_MAX_CHARACTERS or not text.isascii() or not text.startswith("$"):
        return None
    tag, _, rest = text[1:].partition("$")
    read = _READERS.get(tag)
    return None if read is None else read(text, rest)


def _argon2(text: str, _: str) -> LegacyHash | None:
    return _of(argon2s.read(text), _utf8)


def _pbkdf2(text: str, _: str) -> LegacyHash | None:
    return _of(pbkdf2.read(text), _utf8)


def _scrypt(text: str, _: str) -> LegacyHash | None:
    return _of(scrypts.read(text), _utf8)


def _scrypt_nfkc(text: str, _: str) -> LegacyHash | None:
    """Source: Better Auth's crypto/password.ts."""
    return _of(scrypts.read(text), lambda password, _: unicodedata.normalize("NFKC", password).encode())


def _scrypt_kdf(text: str, _: str) -> LegacyHash | None:
    return _of(scrypts.read_kdf(text), _utf8)


def _firebase(text: str, _: str) -> LegacyHash | None:
    return firebase.read(text)


def _meteor(_: str, rest: str) -> LegacyHash | None:
    """Source: Meteor's accounts-password: the hash is of the hexadecimal SHA-256 of the password."""
    inner = bcrypts.read(rest) or argon2s.read(rest)
    return _of(inner, lambda password, _: _hex_sha256(_cesu8(password)), "meteor-")


def _devise(_: str, rest: str) -> LegacyHash | None:
    """Source: Devise's encryptor.rb. Without a pepper, Devise hashes the password alone."""
    return _of(bcrypts.read(rest), lambda password, keys: password.encode() + (keys.pepper or b""), "devise-", "pepper")


def _sha256hex(_: str, rest: str) -> LegacyHash | None:
    """Source: Django's BCryptSHA256PasswordHasher."""
    return _of(bcrypts.read(rest), lambda password, _: _hex_sha256(password.encode()), "sha256hex-")


def _flask_security(_: str, rest: str) -> LegacyHash | None:
    """Source: Flask-Security's get_hmac. Since 4.0 it normalises passwords (NFKD), before that it did not."""
    inner = bcrypts.read(rest) or argon2s.read(rest) or pbkdf2.read(rest)
    if inner is None:
        return None

    def matches(password: str, keys: LegacyKeys) -> bool:
        pepper = keys.pepper
        if pepper is None:
            return False
        # also if both are the same: what is typed must not decide how long a refusal takes
        forms = unicodedata.normalize("NFKD", password), password
        return any(inner.matches(base64.b64encode(hmac.digest(pepper, form.encode(), "sha512"))) for form in forms)

    return LegacyHash(f"flask-security-{inner.scheme}", inner.cost, "pepper", 2 * inner.dear, matches)


_READERS: dict[str, Callable[[str, str], LegacyHash | None]] = {
    "argon2d": _argon2,
    "argon2i": _argon2,
    "argon2id": _argon2,
    "devise": _devise,
    "firebase": _firebase,
    "flask-security": _flask_security,
    "meteor": _meteor,
    "pbkdf2": _pbkdf2,
    "scrypt": _scrypt,
    "scrypt-kdf": _scrypt_kdf,
    "scrypt-nfkc": _scrypt_nfkc,
    "sha256hex": _sha256hex,
}


def _of(
    inner: Inner | None,
    secret_of: Callable[[str, LegacyKeys], bytes],
    prefix: str = "",
    needs: Needs | None = None,
) -> LegacyHash | None:
    if inner is None:
        return None

    def matches(password: str, keys: LegacyKeys) -> bool:
        return inner.matches(secret_of(password, keys))

    return LegacyHash(f"{prefix}{inner.scheme}", inner.cost, needs, inner.dear, matches)


def _utf8(password: str, _: LegacyKeys) -> bytes:
    return password.encode()


def _hex_sha256(whole: bytes) -> bytes:
    return hashlib.sha256(whole).hexdigest().encode()


def _cesu8(password: str) -> bytes:
    """UTF-8 of each UTF-16 unit: Meteor's SHA-256 does not know surrogate pairs."""
    units = password.encode("utf-16-be")
    return b"".join(
        chr(int.from_bytes(units[at : at + 2])).encode("utf-8", "surrogatepass") for at in range(0, len(units), 2)
    )
