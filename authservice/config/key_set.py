"""The private JWK Set that signs access tokens (RFC 7517): its keys, and what each of them is for.

Three private members, in seconds since the epoch, say what a key is for. They stay in the file.

- ``published_at``: since when it has been in the set. It verifies, and signs nothing yet.
- ``signs_since``: the one key that has this, and not the next, signs.
- ``signed_until``: it only verifies what it has signed before.

A set made elsewhere has none of them: its first key signs.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import get_default_algorithms
from jwt.utils import base64url_encode

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey

ALGORITHMS = {"ES256": EllipticCurvePrivateKey, "EdDSA": Ed25519PrivateKey, "RS256": RSAPrivateKey}
_ALGORITHM_OF = {"EC": "ES256", "OKP": "EdDSA", "RSA": "RS256"}  # by kty
_MEMBERS = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}  # RFC 7638 section 3.2
_TIMES = ("published_at", "signs_since", "signed_until")
_RSA_BITS = range(2_048, 4_097)  # RFC 7518 section 3.3; longer ones sign slowly and make long tokens


@dataclass(frozen=True)
class SigningKey:
    """A private key and its three times."""

    private: PrivateKey = field(repr=False)
    published_at: int = 0
    signs_since: int | None = None
    signed_until: int | None = None

    @property
    def is_standby(self) -> bool:
        return self.signs_since is None and self.signed_until is None

    @property
    def signs(self) -> bool:
        return self.signs_since is not None and self.signed_until is None

    @property
    def kid(self) -> str:
        return self.public_jwk()["kid"]

    @property
    def algorithm(self) -> str:
        return next(name for name, kind in ALGORITHMS.items() if isinstance(self.private, kind))

    def public_jwk(self) -> dict[str, str]:
        """What verifiers need, chosen by name, so that nothing else leaves. Its kid is the thumbprint of RFC 7638."""
        jwk = self._jwk(self.private.public_key())
        members = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
        digest = sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
        kid = base64url_encode(digest).decode()
        return {**members, "kid": kid, "alg": self.algorithm, "use": "sig"}

    def private_jwk(self) -> dict[str, Any]:
        times = {name: getattr(self, name) for name in _TIMES if getattr(self, name) is not None}
        jwk = self._jwk(self.private)
        jwk.pop("key_ops", None)  # PyJWT says verify, of private keys too
        return {**jwk, **self.public_jwk(), **times}

    def _jwk(self, key: object) -> dict[str, Any]:
        jwk: dict[str, Any] = get_default_algorithms()[self.algorithm].to_jwk(key, as_dict=True)
        return jwk


@dataclass(frozen=True)
class KeySet:
    keys: tuple[SigningKey, ...]

    @property
    def signer(self) -> SigningKey | None:
        return next((key for key in self.keys if key.signs), None)


def parse(text: str) -> KeySet:
    """Raises ValueError, without a word of the text."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON; make it with: authservice keys generate") from None
    members = given.get("keys") if isinstance(given, dict) else None
    if not isinstance(members, list) or not members or not all(isinstance(one, dict) for one in members):
        raise ValueError(
            'must be a JWK Set, {"keys": [...]} with a key or more; make it with: authservice keys generate'
        )
    found = []
    for number, jwk in enumerate(members, 1):
        try:
            found.append(_parse_key(jwk))
        except ValueError as fault:
            raise ValueError(f"has a key (number {number}) that {fault}") from None
    if not any(name in jwk for jwk in members for name in _TIMES):
        found[0] = SigningKey(found[0].private, signs_since=0)
    return require_fit(found)


def require_fit(keys: Iterable[SigningKey]) -> KeySet:
    """Raises ValueError."""
    key_set = KeySet(tuple(keys))
    if len({key.kid for key in key_set.keys}) < len(key_set.keys):
        raise ValueError("has the same key twice")
    if sum(key.signs for key in key_set.keys) > 1:
        raise ValueError("has more than one key that signs: all but one need signed_until")
    return key_set


def dump(key_set: KeySet) -> str:
    return json.dumps({"keys": [key.private_jwk() for key in key_set.keys]}, indent=2) + "\n"


def private_key_of(jwk: Mapping[str, Any]) -> PrivateKey:
    """Raises ValueError, whose text completes "a key that"."""
    kty = jwk.get("kty")
    if kty == "oct":
        raise ValueError("is symmetric: it must be a private key for ES256, EdDSA or RS256")
    if not isinstance(kty, str) or kty not in _ALGORITHM_OF:
        raise ValueError("is for no known algorithm: it must be for ES256, EdDSA or RS256")
    if kty != "RSA" and jwk.get("crv") != {"EC": "P-256", "OKP": "Ed25519"}[kty]:
        raise ValueError("is on another curve: it must be P-256 for ES256 or Ed25519 for EdDSA")
    if "d" not in jwk:
        raise ValueError("has no private part")
    try:
        key = get_default_algorithms()[_ALGORITHM_OF[kty]].from_jwk(dict(jwk))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise ValueError("is malformed") from None
    return require_kind(key)


def require_kind(key: object) -> PrivateKey:
    """Raises ValueError, as ``private_key_of`` does."""
    if isinstance(key, EllipticCurvePrivateKey) and not isinstance(key.curve, SECP256R1):
        raise ValueError("is on another curve: it must be P-256 for ES256 or Ed25519 for EdDSA")
    if not isinstance(key, PrivateKey):
        raise ValueError("is for no known algorithm: it must be for ES256, EdDSA or RS256")
    if isinstance(key, RSAPrivateKey) and key.key_size not in _RSA_BITS:
        raise ValueError(f"must have {_RSA_BITS[0]} to {_RSA_BITS[-1]} bits, not {key.key_size}")
    return key


def _parse_key(jwk: Mapping[str, Any]) -> SigningKey:
    times = {name: jwk[name] for name in _TIMES if name in jwk}
    if not all(type(time) is int and time >= 0 for time in times.values()):
        raise ValueError("has a time that is no whole number of seconds since the epoch")
    key = SigningKey(private_key_of(jwk), **times)
    public = key.public_jwk()
    if jwk.get("kid", public["kid"]) != public["kid"]:
        raise ValueError(f"has another kid than its thumbprint (RFC 7638), {public['kid']}")
    if (jwk.get("alg", public["alg"]), jwk.get("use", "sig")) != (public["alg"], "sig"):
        raise ValueError(f"has another alg than {public['alg']}, or another use than sig")
    return key
