"""What FLASK_ENV=production also requires: no weak values, and no defaults meant for development."""

from collections.abc import Collection, Mapping
from typing import Any

from authservice.config import mail, mongo_uri

LOWEST = {"BCRYPT_LOG_ROUNDS": 10, "PASSWORD_MIN_LENGTH": 8}
SECRET_MIN_DIFFERENT_BYTES = 12  # of texts of 64 random hexadecimal digits, two in ten million have fewer
# Their defaults suit only development, or only an installation without a proxy.
WITHOUT_DEFAULT = ("CORS_ORIGINS", "METRICS", "TRUSTED_PROXIES")


def faults_of(values: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """One sentence per fault. A value of None was not given, or is reported already."""
    found = []
    if "MONGO_URI" not in given:
        found.append("FLASK_MONGO_URI is required with FLASK_ENV=production: the embedded database is for development")
    elif values["MONGO_URI"] is not None and mongo_uri.may_lose_writes(values["MONGO_URI"]):
        found.append(
            "FLASK_MONGO_URI must not say w=0, w=1 or journal=false with FLASK_ENV=production: "
            "acknowledged writes can be lost"
        )
    secrets = [("JWT_SECRET_KEY must", values["JWT_SECRET_KEY"])]
    secrets += [("JWT_OLD_SECRET_KEYS has a secret that must", old) for old in values["JWT_OLD_SECRET_KEYS"] or ()]
    found += [
        f"FLASK_{name} have at least {SECRET_MIN_DIFFERENT_BYTES} different bytes with FLASK_ENV=production; "
        "make one with: openssl rand -hex 32"
        for name, secret in secrets
        if secret is not None and len(set(secret.encode("utf-8", "surrogateescape"))) < SECRET_MIN_DIFFERENT_BYTES
    ]
    for name, lowest in LOWEST.items():
        if values[name] is not None and values[name] < lowest:
            found.append(f"FLASK_{name} must be at least {lowest} with FLASK_ENV=production, not {values[name]}")
    found += [
        f"FLASK_{name} is required with FLASK_ENV=production: it has no default there"
        for name in WITHOUT_DEFAULT
        if name not in given
    ]
    return found + mail.production_faults_of(values, given)
