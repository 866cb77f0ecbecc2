"""Access tokens are signed with a published key, and each key verifies tokens of its own algorithm and nothing else."""

import base64
import hashlib
import json
import time
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from jwt import PyJWK

from authservice import AuthService
from authservice.config import key_set
from authservice.config.key_set import KeySet, SigningKey
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, SECRET, bearer, make_account, sign_in
from tests.security.test_odd_tokens import encoded, signed

ISSUER = "https://auth.example.com"
PRIVATE = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65_537, 2_048),
}
SECRET_MEMBERS = {"d", "k", "p", "q", "dp", "dq", "qi", "published_at", "signs_since", "signed_until"}
each_algorithm = pytest.mark.parametrize("algorithm", PRIVATE)


def key_set_of(*keys: SigningKey) -> str:
    return key_set.dump(KeySet(keys))


def signing(algorithm: str, **times: int) -> SigningKey:
    return SigningKey(PRIVATE[algorithm], **{"signs_since": 0, **times})


ALL = key_set_of(signing("ES256"), SigningKey(PRIVATE["EdDSA"]), signing("RS256", signed_until=1))


@pytest.fixture
def app(make_app):
    return make_app(JWT_KEYS=ALL, JWT_ISSUER=ISSUER)


@pytest.fixture
def claims(client, alice, database):
    """Claims that pass. Each test changes one thing."""
    now = int(time.time())
    user = database.users.find_one({"email": ALICE})
    return {
        "iss": ISSUER,
        "iat": now,
        "exp": now + 3_600,
        "jti": str(uuid.uuid4()),
        "type": "access",
        "sub": str(user["_id"]),
        "sid": user["sessions"][0]["id"],
        "email": ALICE,
        "fresh": False,
    }


def header_of(algorithm, **changes):
    return {"alg": algorithm, "typ": "JWT", "kid": SigningKey(PRIVATE[algorithm]).kid, **changes}


def made(header, claims, algorithm):
    """A token with any header, signed as ``algorithm`` does."""
    signing_input = f"{encoded(header)}.{encoded(claims)}"
    own = jwt.get_algorithm_by_name(algorithm)
    return f"{signing_input}.{encoded(own.sign(signing_input.encode(), PRIVATE[algorithm]))}"


def assert_refused(client, token):
    for path in ("/users/test", "/users/me"):
        assert_problem(client.get(path, headers=bearer(token)), 401, "token_invalid")
    assert_problem(client.post("/auth/refresh", json={"refreshToken": token}), 401, "token_invalid")


@each_algorithm
def test_an_access_token_is_signed_with_the_key_and_verifies_with_the_published_one(make_app, algorithm):
    client = make_app(JWT_KEYS=key_set_of(signing(algorithm)), JWT_ISSUER=ISSUER).test_client()
    make_account(client, ALICE)
    tokens = sign_in(client, ALICE)
    (published,) = assert_ok(client.get("/.well-known/jwks.json"))["keys"]
    assert jwt.get_unverified_header(tokens["token"]) == header_of(algorithm) | {"kid": published["kid"]}
    verified = jwt.decode(tokens["token"], PyJWK(published), algorithms=[algorithm], issuer=ISSUER)
    assert (verified["email"], verified["type"]) == (ALICE, "access")
    assert_ok(client.get("/users/test", headers=bearer(tokens["token"])))
    assert_ok(client.post("/auth/refresh", json={"refreshToken": tokens["refreshToken"]}))


def test_a_refresh_token_is_never_signed_with_a_published_key(client, alice):
    refresh = sign_in(client, ALICE)["refreshToken"]
    assert jwt.get_unverified_header(refresh) == {"alg": "HS256", "typ": "JWT"}
    for published in client.get("/.well-known/jwks.json").get_json()["keys"]:
        with pytest.raises(jwt.InvalidTokenError):
            jwt.decode(refresh, PyJWK(published), algorithms=["HS256", "ES256", "EdDSA", "RS256"])


@each_algorithm
def test_a_key_verifies_before_and_after_it_signs(client, claims, algorithm):
    assert_ok(client.get("/users/test", headers=bearer(made(header_of(algorithm), claims, algorithm))))


@each_algorithm
def test_a_published_key_is_for_access_tokens_alone(client, claims, algorithm):
    for token_type in ("refresh", "other", None, ["access"]):
        assert_refused(client, made(header_of(algorithm), {**claims, "type": token_type}, algorithm))


def test_a_key_that_is_not_in_the_set_is_refused(make_app, client, claims):
    token = made(header_of("EdDSA"), claims, "EdDSA")
    assert_ok(client.get("/users/test", headers=bearer(token)))
    retired = make_app(JWT_KEYS=key_set_of(signing("ES256")), JWT_ISSUER=ISSUER).test_client()
    assert_refused(retired, token)


@each_algorithm
def test_a_key_is_bound_to_its_algorithm(client, claims, algorithm):
    for other in PRIVATE.keys() - {algorithm}:
        assert_refused(client, made(header_of(algorithm, alg=other), claims, algorithm))
        assert_refused(client, made(header_of(algorithm, alg=other), claims, other))
        assert_refused(client, made(header_of(algorithm), claims, other))
    for alg in ("ES384", "ES512", "PS256", "RS512", "none", "HS512", "Ed25519", "", None, 1, [algorithm]):
        assert_refused(client, made(header_of(algorithm, alg=alg), claims, algorithm))


@each_algorithm
def test_a_public_key_is_no_secret_for_hs256(client, claims, algorithm):
    public = PRIVATE[algorithm].public_key()
    jwk = SigningKey(PRIVATE[algorithm]).public_jwk()
    as_secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk).encode(),
        base64.urlsafe_b64decode(jwk.get("x", jwk.get("n")) + "=="),
        SECRET.encode(),
    ]
    for key in as_secrets:
        for header in (header_of(algorithm, alg="HS256"), header_of(algorithm)):
            assert_refused(client, signed(header, claims, key))
    for key in as_secrets[:-1]:
        assert_refused(client, signed({"alg": "HS256", "typ": "JWT"}, claims, key))


KIDS = ["unknown", "", None, 1, True, [], {}, ["../../dev/null"], "https://charlie.example/jwks.json", "/dev/null",
        "file:///etc/passwd", "../../../../dev/null", "' OR 1=1 --", "\0", "\ud800", "x" * 4_096]  # fmt: skip


@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: repr(kid)[:30])
@pytest.mark.parametrize("alg", ["ES256", "HS256", "none"])
def test_an_odd_kid_is_refused(client, claims, kid, alg):
    header = header_of("ES256", alg=alg, kid=kid)
    assert_refused(client, made(header, claims, "ES256"))
    assert_refused(client, signed(header, claims, SECRET))
    assert_refused(client, signed(header, claims, b""))


def test_a_kid_that_stands_twice_is_refused(client, claims):
    ours = header_of("ES256")["kid"]
    for first, second in (("unknown", ours), (ours, "unknown"), (ours, ours)):
        header = f'{{"alg": "ES256", "typ": "JWT", "kid": "{first}", "kid": "{second}"}}'.encode()
        assert_refused(client, made(header, claims, "ES256"))


STRANGERS = ec.generate_private_key(ec.SECP256R1())
NAMING_A_KEY = [
    {"jku": "https://charlie.example/jwks.json"},
    {"x5u": "https://charlie.example/chain.pem"},
    {"jwk": SigningKey(STRANGERS).public_jwk()},
    {"jwk": {"kty": "oct", "k": "AAAA"}},
    {"x5c": ["AAAA"]},
    {"x5t": "AAAA"},
    {"crit": ["exp"]},
    {"crit": []},
    {"b64": False},
    {"cty": "JWT"},
    {"typ": "at+jwt"},
    {"typ": None},
]


@pytest.mark.parametrize("members", NAMING_A_KEY, ids=lambda members: repr(members)[:12])  # a key is random
def test_a_header_that_names_a_key_itself_is_refused(client, claims, members):
    for algorithm in PRIVATE:
        assert_refused(client, made({**header_of(algorithm), **members}, claims, algorithm))
    strangers = f"{encoded({**header_of('ES256'), **members})}.{encoded(claims)}"
    signature = jwt.get_algorithm_by_name("ES256").sign(strangers.encode(), STRANGERS)
    assert_refused(client, f"{strangers}.{encoded(signature)}")
    assert_refused(client, signed({"alg": "HS256", "typ": "JWT", **members}, claims, SECRET))


def test_a_token_without_kid_is_hs256_or_refused(client, claims):
    for algorithm in PRIVATE:
        assert_refused(client, made({"alg": algorithm, "typ": "JWT"}, claims, algorithm))


@each_algorithm
def test_odd_signatures_are_refused(client, claims, algorithm):
    header, payload, signature = made(header_of(algorithm), claims, algorithm).split(".")
    assert_refused(client, f"{header}.{encoded({**claims, 'roles': ['admin']})}.{signature}")
    for odd in (
        "AAAA",
        encoded(bytes(64)),
        encoded(bytes(63)),
        encoded(b"\xff" * 64),
        encoded(bytes(256)),
        signature[:-4],
    ):
        assert_refused(client, f"{header}.{payload}.{odd}")


def test_claims_are_checked_as_strictly(client, claims):
    for changes in (
        {"iss": "https://other.example"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"exp": claims["exp"] + 60},
        {"exp": str(claims["exp"])},
        {"nbf": 0},
        {"sub": "x"},
        {"aud": "x"},
    ):
        assert_refused(client, made(header_of("ES256"), {**claims, **changes}, "ES256"))
    without = {name: value for name, value in claims.items() if name != "iss"}
    assert_refused(client, made(header_of("ES256"), without, "ES256"))


class TestTheSwitch:
    def test_tokens_of_before_stay_good(self, make_app, client):
        """Also those of a service that had no issuer, which signing keys require."""
        for settings in ({}, {"JWT_ISSUER": ISSUER}):
            before = make_app(**settings).test_client()
            email = f"{len(settings)}-{ALICE}"
            make_account(before, email)
            old = sign_in(before, email)
            assert jwt.get_unverified_header(old["token"]) == {"alg": "HS256", "typ": "JWT"}
            assert_ok(client.get("/users/test", headers=bearer(old["token"])))
            new = assert_ok(client.post("/auth/refresh", json={"refreshToken": old["refreshToken"]}))
            assert jwt.get_unverified_header(new["token"])["alg"] == "ES256"
            assert_ok(client.get("/users/test", headers=bearer(new["token"])))

    def test_without_keys_the_header_is_to_the_byte_as_ever(self, make_app):
        """The tutorial's own guard reads it."""
        client = make_app().test_client()
        make_account(client, ALICE)
        tokens = sign_in(client, ALICE)
        for token in (tokens["token"], tokens["refreshToken"]):
            assert base64.urlsafe_b64decode(token.split(".")[0] + "==") == b'{"alg":"HS256","typ":"JWT"}'

    def test_a_token_of_another_issuer_is_not_from_before(self, make_app, client):
        other = make_app(JWT_ISSUER="https://other.example").test_client()
        make_account(other, ALICE)
        foreign = sign_in(other, ALICE)
        assert_problem(client.get("/users/test", headers=bearer(foreign["token"])), 401, "token_invalid")
        refused = client.post("/auth/refresh", json={"refreshToken": foreign["refreshToken"]})
        assert_problem(refused, 401, "token_invalid")

    def test_while_no_key_signs_the_secret_does(self, make_app):
        client = make_app(JWT_KEYS=key_set_of(SigningKey(PRIVATE["ES256"], 1)), JWT_ISSUER=ISSUER).test_client()
        make_account(client, ALICE)
        token = sign_in(client, ALICE)["token"]
        assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
        assert_ok(client.get("/users/test", headers=bearer(token)))
        assert len(client.get("/.well-known/jwks.json").get_json()["keys"]) == 1


class TestThePublishedKeys:
    def test_they_are_public(self, client):
        answer = client.get("/.well-known/jwks.json")
        keys = assert_ok(answer)["keys"]
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        assert answer.mimetype == "application/json"
        members = {"EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "RSA": {"n", "e"}}
        assert [key["kty"] for key in keys] == ["EC", "OKP", "RSA"]
        for key in keys:
            assert key.keys() == {"kty", "kid", "alg", "use"} | members[key["kty"]]
            assert not key.keys() & SECRET_MEMBERS
        assert client.head("/.well-known/jwks.json").status_code == 200

    def test_a_cache_keeps_the_answers_for_each_origin_apart(self, client):
        for headers in ({}, {"Origin": "http://localhost:8100"}, {"Origin": "https://charlie.example"}):
            answer = client.get("/.well-known/jwks.json", headers=headers)
            assert "Origin" in answer.headers.get_all("Vary"), headers

    def test_without_keys_there_are_none(self, make_app):
        answer = make_app().test_client().get("/.well-known/jwks.json")
        assert assert_ok(answer) == {"keys": []}
        assert answer.headers["Cache-Control"] == "public, max-age=300"

    @each_algorithm
    def test_the_kid_is_the_thumbprint_of_rfc_7638(self, algorithm):
        jwk = SigningKey(PRIVATE[algorithm]).public_jwk()
        required = {"EC": ["crv", "kty", "x", "y"], "OKP": ["crv", "kty", "x"], "RSA": ["e", "kty", "n"]}[jwk["kty"]]
        canonical = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in required) + "}"
        assert jwk["kid"] == encoded(hashlib.sha256(canonical.encode()).digest())

    def test_the_thumbprint_of_the_example_in_rfc_7638(self):
        """Section 3.1. Its private part is not printed, so the public key stands in for it."""
        n = (
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok"
            "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu"
            "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8aw"
            "apJzKnqDKgw"
        )
        public = jwt.get_algorithm_by_name("RS256").from_jwk({"kty": "RSA", "n": n, "e": "AQAB"})

        class Example(SigningKey):
            algorithm = "RS256"

        class Private:
            def public_key(self):
                return public

        assert Example(Private()).kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

    def test_they_are_below_the_prefix_of_a_host(self, settings):
        for prefix in ("/identity", None):
            host = Flask("host")
            AuthService(host, url_prefix=prefix, **settings, JWT_KEYS=ALL, JWT_ISSUER=ISSUER)
            answer = host.test_client().get(f"{prefix or ''}/.well-known/jwks.json")
            assert len(assert_ok(answer)["keys"]) == 3
            assert answer.headers["Cache-Control"] == "public, max-age=300"
            host.extensions["authservice"].client.close()


def test_the_private_keys_are_in_no_repr(app, make_app):
    state = app.extensions["authservice"]
    shown = f"{state.tokens!r}{state.settings!r}{app.config!r}"
    for one in json.loads(ALL)["keys"]:
        assert one["d"] not in shown


def test_who_was_deleted_is_refused_with_a_good_signature(client, alice):
    assert_ok(client.get("/users/test", headers=bearer(alice)))
    assert client.delete("/users/me", headers=bearer(alice), json={"currentPassword": PASSWORD}).status_code == 204
    assert_problem(client.get("/users/test", headers=bearer(alice)), 401, "token_invalid")
