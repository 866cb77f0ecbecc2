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
# Every refused sign-in takes as long as the dearest hash. Some formats try two ways, and each has caps of its own.
DEAR_MAX_MS = 2_500


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
    """Source: Meteor's packages accounts-password and sha.

    The hash is of the password's SHA-256 in hexadecimal. For most of Meteor's life, its SHA-256 was one that does not
    know surrogate pairs. Now it is the platform's.
    """
    inner = bcrypts.read(rest) or argon2s.read(rest)
    return _of(
        inner,
        lambda password, _: _hex_sha256(_cesu8(password)),
        lambda password, _: _hex_sha256(password.encode()),
        prefix="meteor-",
    )


def _devise(_: str, rest: str) -> LegacyHash | None:
    """Source: Devise's encryptor.rb. Without a pepper, Devise hashes the password alone."""
    return _of(
        bcrypts.read(rest),
        lambda password, keys: password.encode() + (keys.pepper or b""),
        prefix="devise-",
        needs="pepper",
    )


def _sha256hex(_: str, rest: str) -> LegacyHash | None:
    """Source: Django's BCryptSHA256PasswordHasher."""
    return _of(bcrypts.read(rest), lambda password, _: _hex_sha256(password.encode()), prefix="sha256hex-")


def _flask_security(_: str, rest: str) -> LegacyHash | None:
    """Source: Flask-Security's get_hmac. Since 4.0 it normalises passwords (NFKD), before that it did not."""
    inner = bcrypts.read(rest) or argon2s.read(rest) or pbkdf2.read(rest)
    return _of(
        inner,
        lambda password, keys: _hmac(unicodedata.normalize("NFKD", password), keys.pepper),
        lambda password, keys: _hmac(password, keys.pepper),
        prefix="flask-security-",
        needs="pepper",
    )


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
    *secrets_of: Callable[[str, LegacyKeys], bytes | None],
    prefix: str = "",
    needs: Needs | None = None,
) -> LegacyHash | None:
    """``secrets_of``: the ways in which the stack may have made bytes of the password; None without its key."""
    if inner is None or len(secrets_of) * inner.dear > DEAR_MAX_MS:
        return None

    def matches(password: str, keys: LegacyKeys) -> bool:
        # All of them, even after a match or if they are the same: what is typed must not decide how long it takes.
        secrets = [secret_of(password, keys) for secret_of in secrets_of]
        return any([secret is not None and inner.matches(secret) for secret in secrets])  # noqa: C419

    return LegacyHash(f"{prefix}{inner.scheme}", inner.cost, needs, len(secrets_of) * inner.dear, matches)


def _utf8(password: str, _: LegacyKeys) -> bytes:
    return password.encode()


def _hmac(password: str, pepper: bytes | None) -> bytes | None:
    return None if pepper is None else base64.b64encode(hmac.digest(pepper, password.encode(), "sha512"))


def _hex_sha256(whole: bytes) -> bytes:
    return hashlib.sha256(whole).hexdigest().encode()


def _cesu8(password: str) -> bytes:
    """UTF-8 of each unit of UTF-16, so that a character beyond U+FFFF has six bytes."""
    units = password.encode("utf-16-be")
    return b"".join(
        chr(int.from_bytes(units[at : at + 2])).encode("utf-8", "surrogatepass") for at in range(0, len(units), 2)
    )
