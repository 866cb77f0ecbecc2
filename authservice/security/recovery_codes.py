"""Recovery codes: what a user keeps on paper for the day on which the authenticator app is gone."""

import base64
import hashlib
import secrets

COUNT = 10
_BYTES = 10  # 80 bits cannot be guessed, so a fast hash will do
_GROUP = 4
_MISREAD = str.maketrans("018", "olb", " -")  # base32 has none of the three digits


def new() -> list[str]:
    """Codes such as ``k3vq-7mzd-a2xw-pn5t``."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()) for _ in range(COUNT)]


def hash_of(typed: str) -> str:
    """What is stored of a code: its SHA-256 in hex. Case, spaces, dashes and misread digits do not matter."""
    return hashlib.sha256(typed.lower().translate(_MISREAD).encode("utf-8", "replace")).hexdigest()


def _grouped(code: str) -> str:
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))
