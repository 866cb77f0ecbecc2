"""Encrypts what the database must not hold in clear, with FLASK_ENCRYPTION_KEYS: Fernet, the newest key first."""

import logging

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from authservice import audit
from authservice.errors import SecondFactorsOff, SecondFactorUnavailable
from authservice.state import current_state


def encrypt(user_id: str, secret: str) -> str:
    """Only ``decrypt`` with the same user gives the secret back. Raises SecondFactorsOff without a key."""
    if not current_state().settings["ENCRYPTION_KEYS"]:
        raise SecondFactorsOff
    return MultiFernet(_keys()).encrypt(f"{user_id}:{secret}".encode()).decode()


def decrypt(user_id: str, encrypted: str) -> str:
    """The secret. Raises SecondFactorUnavailable if no key reads it, or it was encrypted for another user.

    An attacker who can write to the database must not give Alice the secret of Bob.
    """
    cipher = MultiFernet(_keys())
    try:
        owner, _, secret = cipher.decrypt(encrypted).decode().partition(":")
    except (InvalidToken, ValueError):
        owner, secret = "", ""
    if owner != user_id or not secret:
        audit.record("decrypt_totp", "refused", target_id=user_id, level=logging.ERROR)
        raise SecondFactorUnavailable
    return secret


def renew(user_id: str, encrypted: str) -> str:
    """The same secret by the newest key, so that an old key can go once its users have signed in.

    Raises SecondFactorUnavailable as ``decrypt`` does.
    """
    newest = _keys()[0]
    try:
        newest.decrypt(encrypted)
    except InvalidToken:
        return encrypt(user_id, decrypt(user_id, encrypted))
    return encrypted


def _keys() -> list[Fernet]:
    keys = current_state().settings["ENCRYPTION_KEYS"]
    if not keys:
        raise SecondFactorUnavailable
    return [Fernet(key) for key in keys]
