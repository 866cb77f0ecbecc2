"""The hashes in golden/: made by the stacks' own libraries, see tools/golden_hashes/README.md."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from authservice.security.legacy import encode

FOLDER = Path(__file__).parent / "golden"
STACKS = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Golden:
    """``text`` is the password of a user's document; ``settings`` are what an app needs to check it."""

    by: str
    password: str
    text: str
    settings: tuple[tuple[str, str], ...] = ()


def golden_of(stack: str) -> list[Golden]:
    made = json.loads((FOLDER / f"{stack}.json").read_text())
    return [Golden(one["by"], one["password"], _TEXT_OF[stack](one), tuple(_settings(one))) for one in made]


def _settings(one: dict[str, Any]):
    if one.get("pepper"):
        yield "LEGACY_PEPPER", one["pepper"]
    if "parameters" in one:
        yield "LEGACY_FIREBASE_KEY", one["parameters"]["signerKey"]
        yield "LEGACY_FIREBASE_SALT_SEPARATOR", one["parameters"]["saltSeparator"]
        yield "LEGACY_FIREBASE_ROUNDS", str(one["parameters"]["rounds"])
        yield "LEGACY_FIREBASE_MEM_COST", str(one["parameters"]["memCost"])


def _django(one):
    algorithm, rest = one["stored"].split("$", 1)
    if algorithm == "argon2":
        return f"${rest}"
    if algorithm == "bcrypt":
        return rest
    if algorithm == "bcrypt_sha256":
        return encode.sha256hex(rest)
    parts = rest.split("$")
    if algorithm == "scrypt":
        n, salt, r, p, hashed = parts
        return encode.scrypt(int(n).bit_length() - 1, int(r), int(p), salt.encode(), base64.b64decode(hashed))
    iterations, salt, hashed = parts
    digest = algorithm.removeprefix("pbkdf2_")
    return encode.pbkdf2(digest, int(iterations), salt.encode(), base64.b64decode(hashed))


def _werkzeug(one):
    method, salt, hashed = one["stored"].split("$")
    kind, *parameters = method.split(":")
    if kind == "scrypt":
        n, r, p = (int(parameter) for parameter in parameters)
        return encode.scrypt(n.bit_length() - 1, r, p, salt.encode(), bytes.fromhex(hashed))
    return encode.pbkdf2(parameters[0], int(parameters[1]), salt.encode(), bytes.fromhex(hashed))


def _flask_security(one):
    if not one["stored"].startswith("$pbkdf2-"):
        return encode.flask_security(one["stored"])
    _, scheme, rounds, salt, hashed = one["stored"].split("$")
    salt, hashed = (base64.b64decode(part.replace(".", "+") + "==") for part in (salt, hashed))
    return encode.flask_security(encode.pbkdf2(scheme.removeprefix("pbkdf2-"), int(rounds), salt, hashed))


def _meteor(one):
    (inner,) = one["stored"].values()
    return encode.meteor(inner)


def _hash_and_salt(digest):
    def text(one):
        hashed, salt = one["stored"]["hash"], one["stored"]["salt"]
        new = "pbkdf2-sha256-v1:"
        iterations = 600_000 if hashed.startswith(new) else 25_000
        return encode.pbkdf2(digest, iterations, salt.encode(), bytes.fromhex(hashed.removeprefix(new)))

    return text


def _keycloak(one):
    secret, about = (json.loads(one["stored"][name]) for name in ("secretData", "credentialData"))
    salt, hashed = (base64.b64decode(secret[name]) for name in ("salt", "value"))
    iterations = about["hashIterations"]
    if about["algorithm"] != "argon2":
        digest = {"pbkdf2": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}[about["algorithm"]]
        return encode.pbkdf2(digest, iterations, salt, hashed)
    memory = about["additionalParameters"]["memory"][0]
    salt, hashed = (base64.b64encode(raw).decode().rstrip("=") for raw in (salt, hashed))
    return f"$argon2id$v=19$m={memory},t={iterations},p=1${salt}${hashed}"


def _kratos(one):
    if one["stored"].startswith(("$2a$", "$argon2id$")):
        return one["stored"]
    _, kind, parameters, *parts = one["stored"].split("$")
    salt, hashed = (base64.b64decode(f"{part}==") for part in parts)
    numbers = {name: int(value) for name, value in (parameter.split("=") for parameter in parameters.split(","))}
    if kind == "scrypt":
        return encode.scrypt(numbers["ln"].bit_length() - 1, numbers["r"], numbers["p"], salt, hashed)
    return encode.pbkdf2(kind.removeprefix("pbkdf2-"), numbers["i"], salt, hashed)


def _better_auth(one):
    salt, hashed = one["stored"].split(":")
    return encode.scrypt(14, 16, 1, salt.encode(), bytes.fromhex(hashed), nfkc=True)


def _firebase(one):
    return encode.firebase(*(base64.b64decode(one["stored"][name]) for name in ("salt", "passwordHash")))


_TEXT_OF = {
    "argon2": lambda one: one["stored"],
    "bcrypt": lambda one: one["stored"],
    "better-auth": _better_auth,
    "devise": lambda one: encode.devise(one["stored"]),
    "django": _django,
    "firebase": _firebase,
    "flask-security": _flask_security,
    "keycloak": _keycloak,
    "kratos": _kratos,
    "laravel": lambda one: one["stored"],
    "medusa": lambda one: encode.scrypt_kdf(one["stored"]),
    "meteor": _meteor,
    "passport-local-mongoose": _hash_and_salt("sha256+sha1"),
    "payload": _hash_and_salt("sha256"),
    "supabase": lambda one: one["stored"],
    "werkzeug": _werkzeug,
}


def stored_of(stack: str) -> list[Any]:
    """What the stack's own database holds, in the same order."""
    return [one["stored"] for one in json.loads((FOLDER / f"{stack}.json").read_text())]
