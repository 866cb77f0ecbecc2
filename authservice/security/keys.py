"""Keys: which sign, which verify, and what is published of them.

docs/decisions/0085-signing-keys.md has the reasons, and what each algorithm costs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt import PyJWK
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_encode

from authservice.config.key_set import KeySet

NO_KEYS = KeySet(())


@dataclass(frozen=True, repr=False, eq=False)
class VerifyingKeys:
    """The keys of the secrets by the type of the token, and the published ones, for access tokens, by kid."""

    of_secrets: Mapping[str, PyJWK]
    published: Mapping[str, PyJWK]

    def key_for(self, header: Mapping[str, Any], token_type: str) -> PyJWK:
        """Key and algorithm are one decision (RFC 8725 section 3.1). Raises InvalidTokenError.

        No other member of a header is taken: some, such as jku and x5u, name a key themselves. A published key is not
        for refresh tokens: a service that verifies offline and ignores ``type`` would take one for weeks.
        """
        key = None
        if header.keys() == {"alg", "typ"}:
            key = self.of_secrets[token_type]
        elif header.keys() == {"alg", "typ", "kid"} and token_type == "access":  # noqa: S105
            key = self.published.get(header["kid"])
        if key is None or header["alg"] != key.algorithm_name or header["typ"] != "JWT":
            raise jwt.InvalidTokenError("not our header")
        return key


def published(key_set: KeySet) -> dict[str, PyJWK]:
    return {key.kid: PyJWK(key.public_jwk()) for key in key_set.keys}


def jwks(key_set: KeySet) -> str:
    """What verifiers elsewhere read (RFC 7517 section 5)."""
    return json.dumps({"keys": [key.public_jwk() for key in key_set.keys]})


def secrets_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The secret, which signs, and the old ones, which only verify."""
    return (settings["JWT_SECRET_KEY"], *(settings["JWT_OLD_SECRET_KEYS"] or ()))


def derived_keys(settings: Mapping[str, Any], info: bytes) -> tuple[bytes, ...]:
    """The keys for one purpose: the first signs, all of them verify."""
    return tuple(derived_key(secret, info) for secret in secrets_of(settings))


def derived_key(secret: str, info: bytes) -> bytes:
    """A key for one purpose (RFC 5869). Other services may hold the secret itself, to verify access tokens."""
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(secret.encode())


def hs256(keys: Sequence[bytes]) -> PyJWK:
    """A key for PyJWT that verifies what any of ``keys`` has signed with HS256, and nothing of another algorithm."""
    key = PyJWK({"kty": "oct", "k": base64url_encode(keys[0]).decode()}, "HS256")
    key.Algorithm = _AnyOf(keys)
    return key


class _AnyOf(HMACAlgorithm):
    """PyJWT and flask-jwt-extended take one key, and nothing in a token says which secret has signed it."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        super().__init__(HMACAlgorithm.SHA256)
        self._keys = keys

    def verify(self, msg: bytes, key: bytes, sig: bytes) -> bool:
        return any(super(_AnyOf, self).verify(msg, one, sig) for one in self._keys)
