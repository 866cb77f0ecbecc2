"""Hashes as other stacks make them, as cheap as their format allows: one of each that documents may hold."""

import base64
import hashlib
import hmac
import unicodedata

import bcrypt
from argon2.low_level import Type, hash_secret
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from authservice.security.legacy import encode

PEPPER = "a pepper of another stack"
SIGNER_KEY = bytes(range(64))
SALT = b"sixteen bytes..."
SETTINGS = {"LEGACY_PEPPER": PEPPER, "LEGACY_FIREBASE_KEY": base64.b64encode(SIGNER_KEY).decode()}


def by_bcrypt(secret: bytes, cost: int = 4) -> str:
    return bcrypt.hashpw(secret[:72], f"$2b${cost:02}$saltsaltsaltsaltsaltsu".encode()).decode()


def by_pbkdf2(password: str, digest: str = "sha256", iterations: int = 10, size: int = 32) -> str:
    made = hashlib.pbkdf2_hmac(digest, password.encode(), SALT, iterations, size)
    return encode.pbkdf2(digest, iterations, SALT, made)


def by_scrypt(password: str, ln: int = 4, r: int = 8) -> str:
    return encode.scrypt(ln, r, 1, SALT, _scrypt(password.encode(), ln, r, 64))


def by_argon2(password: str, kind: Type = Type.ID, memory: int = 8, passes: int = 1) -> str:
    return hash_secret(password.encode(), SALT, passes, memory, 1, 32, kind).decode()


def by_meteor(password: str, cost: int = 4) -> str:
    return encode.meteor(by_bcrypt(_hex_sha256(password), cost))


def by_devise(password: str, cost: int = 4) -> str:
    return encode.devise(by_bcrypt((password + PEPPER).encode(), cost))


def by_firebase(password: str) -> str:
    """``rounds`` 8 and ``mem_cost`` 14, as the settings say by default."""
    key = _scrypt(password.encode(), 14, 8, 32, SALT + b"\x07")
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    return encode.firebase(SALT, encryptor.update(SIGNER_KEY) + encryptor.finalize())


def of_each_format(password: str) -> dict[str, str]:
    normal = unicodedata.normalize("NFKC", password).encode()
    with_pepper = base64.b64encode(hmac.digest(PEPPER.encode(), password.encode(), "sha512"))
    return {
        "meteor": by_meteor(password),
        "meteor, argon2": encode.meteor(by_argon2(_hex_sha256(password).decode())),
        "devise": by_devise(password),
        "flask-security": encode.flask_security(by_bcrypt(with_pepper)),
        "django bcrypt_sha256": encode.sha256hex(by_bcrypt(_hex_sha256(password))),
        "pbkdf2 sha1": by_pbkdf2(password, "sha1"),
        "pbkdf2 sha256": by_pbkdf2(password),
        "pbkdf2 sha512": by_pbkdf2(password, "sha512"),
        "passport-local-mongoose": by_pbkdf2(password, size=512),
        "scrypt": by_scrypt(password),
        "better-auth": encode.scrypt(4, 16, 1, SALT, _scrypt(normal, 4, 16, 64), nfkc=True),
        "medusa": encode.scrypt_kdf(_scrypt_kdf(password.encode())),
        "firebase": by_firebase(password),
        "argon2id": by_argon2(password),
        "argon2i": by_argon2(password, Type.I),
        "argon2d": by_argon2(password, Type.D),
    }


def _hex_sha256(password: str) -> bytes:
    return hashlib.sha256(password.encode()).hexdigest().encode()


def _scrypt(secret: bytes, ln: int, r: int, size: int, salt: bytes = SALT) -> bytes:
    return hashlib.scrypt(secret, salt=salt, n=2**ln, r=r, p=1, dklen=size, maxmem=2**27)


def _scrypt_kdf(secret: bytes) -> str:
    salt = SALT * 2
    file = b"scrypt\0" + bytes([4]) + (8).to_bytes(4) + (1).to_bytes(4) + salt
    file += hashlib.sha256(file).digest()[:16]
    key = hashlib.scrypt(secret, salt=salt, n=16, r=8, p=1, dklen=64)[32:]
    return base64.b64encode(file + hmac.digest(key, file, "sha256")).decode()
