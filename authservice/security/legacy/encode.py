"""Writes the parts of another stack's hash as the one string that ``parse`` reads.

Nothing is checked here: ``parse`` returns None for what no stack makes.
"""

import base64


def pbkdf2(digest: str, iterations: int, salt: bytes, hash: bytes) -> str:
    """``digest`` is sha1, sha256 or sha512; or sha256+sha1, if the stack used either and does not say which."""
    return f"$pbkdf2${digest}${iterations}${_b64(salt)}${_b64(hash)}"


def scrypt(ln: int, r: int, p: int, salt: bytes, hash: bytes, nfkc: bool = False) -> str:
    """``ln`` is the binary logarithm of N. ``nfkc``: the stack normalises the password first."""
    return f"$scrypt{'-nfkc' if nfkc else ''}$ln={ln},r={r},p={p}${_b64(salt)}${_b64(hash)}"


def scrypt_kdf(b64: str) -> str:
    """The file format of Tarsnap's scrypt, in base64."""
    return f"$scrypt-kdf${b64}"


def firebase(salt: bytes, hash: bytes) -> str:
    """The rest of its parameters are settings."""
    return f"$firebase${_b64(salt)}${_b64(hash)}"


def meteor(inner: str) -> str:
    """``inner`` is a hash by bcrypt or Argon2."""
    return f"$meteor${inner}"


def devise(bcrypt: str) -> str:
    return f"$devise${bcrypt}"


def flask_security(inner: str) -> str:
    """``inner`` is a hash by bcrypt or Argon2, or a string of ``pbkdf2``."""
    return f"$flask-security${inner}"


def sha256hex(bcrypt: str) -> str:
    return f"$sha256hex${bcrypt}"


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
