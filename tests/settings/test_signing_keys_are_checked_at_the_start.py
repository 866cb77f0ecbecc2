"""A key set that cannot sign, or a file that others can read, stops the start with a sentence that repeats no key."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from authservice.config import ConfigurationError, key_set, load
from authservice.config.key_set import KeySet, SigningKey

ISSUER = {"FLASK_JWT_ISSUER": "https://auth.example.com"}
FIRST, SECOND = (SigningKey(ec.generate_private_key(ec.SECP256R1())).private_jwk() for _ in range(2))
ED25519 = SigningKey(ed25519.Ed25519PrivateKey.generate()).private_jwk()
for jwk in (FIRST, SECOND, ED25519):
    del jwk["published_at"]
P384 = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()), as_dict=True)
ED448 = OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate(), as_dict=True)
WEAK = RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 1_024), as_dict=True)
PUBLIC = {name: FIRST[name] for name in FIRST if name != "d"}
MADE_BY = "make it with: authservice keys generate"
KINDS = "it must be for ES256, EdDSA or RS256"
CURVES = "is on another curve: it must be P-256 for ES256 or Ed25519 for EdDSA"


def fault_of(text, **environ):
    with pytest.raises(ConfigurationError) as raised:
        load({"FLASK_JWT_KEYS": text, **ISSUER, **environ})
    (fault,) = raised.value.faults
    assert FIRST["d"] not in fault
    assert "hunter2" not in fault
    return fault.removeprefix("FLASK_JWT_KEYS ")


@pytest.mark.parametrize("text", ["", "hunter2", "{", "[" * 100_000, "-----BEGIN KEY"], ids=lambda text: text[:9])
def test_what_is_not_json_is_refused(text):
    assert fault_of(text) == f"must be JSON; {MADE_BY}"


@pytest.mark.parametrize(
    "value",
    [None, 1, [], {}, {"keys": None}, {"keys": []}, {"keys": ["hunter2"]}, FIRST],
    ids=lambda value: str(value)[:9],
)
def test_what_is_no_set_is_refused(value):
    assert fault_of(json.dumps(value)) == f'must be a JWK Set, {{"keys": [...]}} with a key or more; {MADE_BY}'


NAMES = ["symmetric", "empty", "kty", "kty-list", "P-384", "Ed448", "crv", "crv-list", "public", "weak", "d",
         "d-number", "d-null", "d-of-another", "x-null", "x-of-another", "kid", "alg", "use",
         "published", "since", "until"]  # fmt: skip


@pytest.mark.parametrize(
    ("jwk", "fault"),
    [
        ({"kty": "oct", "k": "aHVudGVyMg"}, "is symmetric: it must be a private key for ES256, EdDSA or RS256"),
        ({}, f"is for no known algorithm: {KINDS}"),
        ({"kty": "hunter2"}, f"is for no known algorithm: {KINDS}"),
        ({"kty": ["EC"]}, f"is for no known algorithm: {KINDS}"),
        (P384, CURVES),
        (ED448, CURVES),
        ({**FIRST, "crv": "P-384"}, CURVES),
        ({**FIRST, "crv": ["P-256"]}, CURVES),
        (PUBLIC, "has no private part"),
        ({**WEAK}, "must have 2048 to 4096 bits, not 1024"),
        ({**FIRST, "d": "hunter2"}, "is malformed"),
        ({**FIRST, "d": 1}, "is malformed"),
        ({**FIRST, "d": None}, "is malformed"),
        ({**FIRST, "d": SECOND["d"]}, "is malformed"),
        ({**FIRST, "x": None}, "is malformed"),
        ({**ED25519, "x": FIRST["x"]}, "is malformed"),
        ({**FIRST, "kid": "hunter2"}, f"has another kid than its thumbprint (RFC 7638), {FIRST['kid']}"),
        ({**FIRST, "alg": "RS256"}, "has another alg than ES256, or another use than sig"),
        ({**FIRST, "use": "enc"}, "has another alg than ES256, or another use than sig"),
        ({**FIRST, "published_at": "1"}, "has a time that is no whole number of seconds since the epoch"),
        ({**FIRST, "signs_since": True}, "has a time that is no whole number of seconds since the epoch"),
        ({**FIRST, "signed_until": -1}, "has a time that is no whole number of seconds since the epoch"),
    ],
    ids=[
        "symmetric",
        "empty",
        "kty",
        "kty-list",
        "P-384",
        "Ed448",
        "crv",
        "crv-list",
        "public",
        "weak",
        "d",
        "d-number",
        "d-null",
        "d-of-another",
        "x-null",
        "x-of-another",
        "kid",
        "alg",
        "use",
        "published",
        "since",
        "until",
    ],
)
def test_a_key_that_cannot_sign_is_refused(jwk, fault):
    assert fault_of(json.dumps({"keys": [SECOND, jwk]})) == f"has a key (number 2) that {fault}"


def test_a_key_that_stands_twice_is_refused():
    assert fault_of(json.dumps({"keys": [FIRST, SECOND, FIRST]})) == "has the same key twice"


def test_two_keys_that_sign_are_refused():
    keys = [{**FIRST, "signs_since": 1}, {**SECOND, "signs_since": 2}]
    assert fault_of(json.dumps({"keys": keys})) == "has more than one key that signs: all but one need signed_until"


def test_an_issuer_is_required():
    with pytest.raises(ConfigurationError) as raised:
        load({"FLASK_JWT_KEYS": json.dumps({"keys": [FIRST]})})
    assert raised.value.faults == ["FLASK_JWT_ISSUER is required with FLASK_JWT_KEYS"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path, mode):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [FIRST]}))
    file.chmod(mode)
    with pytest.raises(ConfigurationError) as raised:
        load({"FLASK_JWT_KEYS_FILE": str(file), **ISSUER})
    assert raised.value.faults == [
        "FLASK_JWT_KEYS is refused: others can read the file in FLASK_JWT_KEYS_FILE; chmod 600 it"
    ]
    for private in (0o600, 0o400):
        file.chmod(private)
        assert load({"FLASK_JWT_KEYS_FILE": str(file), **ISSUER})["JWT_KEYS"].signer is not None


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        load({"FLASK_JWT_KEYS_FILE": str(tmp_path / "none.json"), **ISSUER})
    assert raised.value.faults == [
        "FLASK_JWT_KEYS cannot be read from the file in FLASK_JWT_KEYS_FILE: FileNotFoundError; "
        "make it with: authservice keys generate"
    ]


def test_of_a_set_made_elsewhere_the_first_key_signs():
    bare = [{name: one[name] for name in ("kty", "crv", "x", "y", "d")} for one in (FIRST, SECOND)]
    loaded = load({"FLASK_JWT_KEYS": json.dumps({"keys": bare}), **ISSUER})["JWT_KEYS"]
    assert [(key.kid, key.signs, key.is_standby) for key in loaded.keys] == [
        (FIRST["kid"], True, False),
        (SECOND["kid"], False, True),
    ]


def test_what_is_written_is_read():
    keys = KeySet(
        tuple(
            SigningKey(key.private, 5, *times)
            for key, times in zip(
                key_set.parse(json.dumps({"keys": [FIRST, SECOND, ED25519]})).keys, [(), (7,), (6, 7)], strict=True
            )
        )
    )
    assert key_set.dump(key_set.parse(key_set.dump(keys))) == key_set.dump(keys)
