"""What the tests of ``authservice doctor`` share: settings without a fault, hashes, users, and what it says."""

import json
from typing import Any

from bson import ObjectId
from flask import Flask
from pymongo.database import Database

from authservice.security.legacy import encode

PRODUCTION = {  # settings that FLASK_ENV=production takes
    "JWT_SECRET_KEY": "4f6a1b9c" * 8 + "23d5e078",
    "BCRYPT_LOG_ROUNDS": 10,
    "CORS_ORIGINS": "https://app.example.com",
    "METRICS": "off",
    "TRUSTED_PROXIES": 1,
    "SMTP_URL": "smtps://mail.example.com",
    "MAIL_FROM": "no-reply@example.com",
    "APP_URL": "https://app.example.com/",
}
BCRYPT = "$2b$10$" + "a" * 53
PBKDF2 = encode.pbkdf2("sha256", 600_000, b"saltsalt", b"h" * 32)
FIREBASE = encode.firebase(b"saltsalt", b"h" * 64)
FLASK_SECURITY = encode.flask_security(BCRYPT)
DEVISE = encode.devise(BCRYPT)


def examine(app: Flask, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON."""
    ended = app.test_cli_runner().invoke(args=["doctor", "--json", *arguments])
    assert ended.stderr == ""
    return ended.exit_code, json.loads(ended.stdout)


def findings(said: dict[str, Any], verdict: str) -> dict[str, str]:
    return {finding["about"]: finding["sentence"] for finding in said["findings"] if finding["verdict"] == verdict}


def about(said: dict[str, Any], subject: str) -> list[dict[str, Any]]:
    return [finding for finding in said["findings"] if finding["about"] == subject]


def insert(database: Database[dict[str, Any]], *passwords: object, **more: Any) -> list[str]:
    documents = [
        {"_id": ObjectId(), "email": f"{ObjectId()}@example.com", "password": password, **more}
        for password in passwords
    ]
    database.users.insert_many([dict(document) for document in documents])
    return [str(document["_id"]) for document in documents]
