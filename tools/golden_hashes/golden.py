"""Hashes by the libraries of Python stacks. Run: python golden.py > python.json"""

import importlib.metadata
import json
import sys
import unicodedata
from pathlib import Path

import django.conf
import flask
import werkzeug.security
from argon2 import PasswordHasher
from flask_security import Security, UserMixin
from flask_security.datastore import UserDatastore
from flask_security.utils import hash_password

PASSWORDS = json.loads((Path(__file__).parent / "passwords.json").read_text())
FEW = ("words", "emoji", "73 bytes")
GOLDEN = []


def add(stack, by, password, stored, **more):
    package = by.split()[0]
    GOLDEN.append(
        {
            "stack": stack,
            "by": f"{by} {importlib.metadata.version(package)}",
            "password": password,
            "stored": stored,
            **more,
        }
    )


def of_django():
    hashers = ["PBKDF2", "PBKDF2SHA1", "Argon2", "BCryptSHA256", "BCrypt", "Scrypt"]
    django.conf.settings.configure(
        PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}PasswordHasher" for name in hashers]
    )
    from django.contrib.auth.hashers import get_hasher, make_password

    add("django", "Django", PASSWORDS["words"], make_password(PASSWORDS["words"]))
    for name in ("pbkdf2_sha256", "pbkdf2_sha1", "argon2", "scrypt"):
        hasher = get_hasher(name)
        hasher.iterations, hasher.memory_cost = 1_000, 1_024  # only saves time
        for password in PASSWORDS.values():
            if name not in ("argon2", "scrypt") or password in [PASSWORDS[few] for few in FEW]:
                add("django", "Django", password, hasher.encode(password, hasher.salt()))
    add("django", "Django", PASSWORDS["words"], make_password(PASSWORDS["words"], hasher="argon2"))
    add("django", "Django", PASSWORDS["tab"], get_hasher("pbkdf2_sha256").encode(PASSWORDS["tab"], "s"))
    for name in ("bcrypt_sha256", "bcrypt"):
        hasher = get_hasher(name)
        hasher.rounds = 5
        for password in PASSWORDS.values():
            if name == "bcrypt_sha256" or len(password.encode()) <= 72:  # bcrypt 5 refuses longer ones
                add("django", "Django", password, hasher.encode(password, hasher.salt()))


def of_werkzeug():
    for method in (
        "scrypt",
        "scrypt:16384:8:5",
        "pbkdf2:sha256:1000",
        "pbkdf2:sha1:1000",
        "pbkdf2:sha512:1000",
        "pbkdf2",
    ):
        for name in FEW if method.endswith("1000") else ("emoji",):
            add(
                "werkzeug",
                "Werkzeug",
                PASSWORDS[name],
                werkzeug.security.generate_password_hash(PASSWORDS[name], method),
            )
    add(
        "werkzeug",
        "Werkzeug",
        PASSWORDS["tab"],
        werkzeug.security.generate_password_hash(PASSWORDS["tab"], "pbkdf2:sha256:1000", salt_length=1),
    )


class User(UserMixin):
    fs_uniquifier = None


def of_flask_security():
    """``normalised``: as its forms do since 4.0. Before that they hashed what was typed."""
    pepper = "146585145368132386173505678016728509634"  # the kind of number that its documentation suggests
    for scheme, options in {
        "bcrypt": {"bcrypt__rounds": 5},
        "argon2": {"argon2__memory_cost": 1_024},
        "pbkdf2_sha512": {"pbkdf2_sha512__rounds": 1_000},
        "pbkdf2_sha256": {"pbkdf2_sha256__rounds": 1_000},
    }.items():
        app = flask.Flask(__name__)
        app.config.update(
            SECRET_KEY="x",  # noqa: S106
            SECURITY_PASSWORD_SALT=pepper,
            SECURITY_PASSWORD_HASH=scheme,
            SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS=options,
        )
        security = Security(app, UserDatastore(User, None))
        with app.app_context():
            for password in PASSWORDS.values():
                normalised = security._password_util.normalize(password)
                for form in {normalised, password}:
                    by = "Flask-Security" if form == normalised else "Flask-Security (not normalised)"
                    add("flask-security", by, password, hash_password(form), pepper=pepper)


def of_argon2():
    add("argon2", "argon2-cffi", PASSWORDS["emoji"], PasswordHasher().hash(PASSWORDS["emoji"]))
    for name in FEW:
        hasher = PasswordHasher(memory_cost=1_024)
        add("argon2", "argon2-cffi", PASSWORDS[name], hasher.hash(PASSWORDS[name]))


assert unicodedata.is_normalized("NFC", PASSWORDS["umlauts"])
of_django()
of_werkzeug()
of_flask_security()
of_argon2()
json.dump(GOLDEN, sys.stdout)
