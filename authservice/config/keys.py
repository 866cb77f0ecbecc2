"""The settings of keys. No message repeats a secret."""

import base64
import re
from collections.abc import Collection

from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

from authservice.config import key_set
from authservice.config.setting import Setting

SECRET_MIN_BYTES = 32  # RFC 7518 section 3.2: a key for HS256 has at least the size of its output
OLD_SECRETS_MAX = 3
PUBLISHED_SECRETS = frozenset(
    {
        # the NestJS and Ionic tutorial whose app this service replaces
        "thisismykickasssecretthatiwilltotallychangelater",
        # the older and the present example in jwt.io's debugger
        "your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        # the key printed in RFC 7515 appendix A.1
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        # the documentation of Flask and of Flask-JWT-Extended
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "super-secret",
    }
)


def parse_secret(text: str) -> str:
    if text in PUBLISHED_SECRETS:
        raise ValueError(
            "is a published example, so anybody could sign tokens with it; make one with: openssl rand -hex 32"
        )
    if len(text.encode("utf-8", "surrogateescape")) < SECRET_MIN_BYTES:
        raise ValueError(f"must have at least {SECRET_MIN_BYTES} bytes; make one with: openssl rand -hex 32")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text)
    except InvalidKeyError:
        raise ValueError("must not be a key pair's PEM or SSH text; make one with: openssl rand -hex 32") from None
    return text


def _old_secrets(text: str) -> tuple[str, ...]:
    secrets = tuple(secret.strip() for secret in text.split(","))
    if len(secrets) > OLD_SECRETS_MAX:
        raise ValueError(f"must be at most {OLD_SECRETS_MAX} secrets, separated by commas, not {len(secrets)}")
    for secret in secrets:
        try:
            parse_secret(secret)
        except ValueError as fault:
            raise ValueError(f"has a secret that {fault}") from None
    return secrets


def parse_encryption_keys(text: str) -> tuple[str, ...]:
    """Source: the Fernet specification: a key is 32 bytes in base64url."""
    keys = tuple(key.strip() for key in text.split(","))
    if not all(re.fullmatch(r"[\w-]{43}=", key, re.ASCII) and _is_canonical(key) for key in keys):
        raise ValueError(
            "must be one or more keys of 32 bytes in base64url, separated by commas; "
            "make one with: openssl rand -base64 32 | tr +/ -_"
        )
    return keys


def _is_canonical(key: str) -> bool:
    """Whether the last character has no bits that would be dropped: a mistyped one is then no key of another text."""
    return base64.urlsafe_b64encode(base64.urlsafe_b64decode(key)).decode() == key


KEY_SETTINGS = (
    Setting("JWT_SECRET_KEY", parse_secret, None, "signs the tokens, 32 bytes or more; required with FLASK_MONGO_URI"),
    Setting(
        "JWT_OLD_SECRET_KEYS",
        _old_secrets,
        None,
        "at most 3 secrets, separated by commas, whose tokens are still good; they sign nothing",
    ),
    Setting(
        "JWT_KEYS",
        key_set.parse,
        None,
        "the private JWK Set that signs access tokens in place of the secret; its file is for its owner alone (0600)",
        is_private=True,
        made_by="authservice keys generate",
    ),
    Setting(
        "ENCRYPTION_KEYS",
        parse_encryption_keys,
        None,
        "encrypt the secrets of second factors, the newest first, separated by commas; unset: nobody can set one up, "
        "except with the embedded database, which has a key of its own",
    ),
)


def faults_of(given: Collection[str]) -> list[str]:
    """One sentence for what signing keys need besides: verifiers elsewhere tell tokens apart by their issuer."""
    if "JWT_KEYS" in given and "JWT_ISSUER" not in given:
        return ["FLASK_JWT_ISSUER is required with FLASK_JWT_KEYS"]
    return []
