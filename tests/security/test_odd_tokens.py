"""Only an unchanged token that this service issued, for a user who still exists, passes.

Access tokens are shown to the guard, refresh tokens to /auth/refresh: each test that takes ``claims`` runs for both.
"""

import base64
import hmac
import json
import time
import uuid

import jwt
import pytest
from bson import ObjectId

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, SECRET, bearer, sign_in

GUARDED = ["/users/test", "/users/me"]
HEADER = {"alg": "HS256", "typ": "JWT"}
ABSENT = object()


@pytest.fixture
def alice_id(client, alice):
    return assert_ok(client.get("/users/me", headers=bearer(alice)))["id"]


@pytest.fixture(params=["access", "refresh"])
def claims(request, client, alice, alice_id, database):
    """Claims that pass. Each test changes one thing."""
    now = int(time.time())
    (session,) = database.users.find_one({"email": ALICE})["sessions"]
    client.shown_as = request.param
    return {
        "fresh": False,
        "iat": now,
        "jti": session["refreshJti"] if request.param == "refresh" else str(uuid.uuid4()),
        "type": request.param,
        "sub": alice_id,
        "sid": session["id"],
        "exp": now + 3_600,
        "email": ALICE,
        "roles": [],
    }


only_access = pytest.mark.parametrize("claims", ["access"], indirect=True)


def answers_to(client, token):
    if getattr(client, "shown_as", "access") == "refresh":
        return [client.post("/auth/refresh", json={"refreshToken": token})]
    return [client.get(path, headers=bearer(token)) for path in GUARDED]


def encoded(part) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# HKDF by RFC 5869 section 2: extract with a salt of zeros, expand to one block.
REFRESH_KEY = hmac.digest(
    hmac.digest(bytes(32), SECRET.encode(), "sha256"), b"authservice: refresh tokens\x01", "sha256"
)


def signed(header, payload, key=None, digest="sha256") -> str:
    """A token signed with ``key``, or with the key for the type in the payload."""
    if key is None:
        key = REFRESH_KEY if "refresh" in str(payload) else SECRET
    signing_input = f"{encoded(header)}.{encoded(payload)}"
    key = key.encode() if isinstance(key, str) else key
    return f"{signing_input}.{encoded(hmac.digest(key, signing_input.encode(), digest))}"


def changed(base, **changes):
    return {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}


def assert_refused(client, token, code="token_invalid"):
    for answer in answers_to(client, token):
        assert_problem(answer, 401, code)


def assert_passes(client, token):
    for answer in answers_to(client, token):
        assert_ok(answer)


def test_a_token_made_by_hand_as_we_make_them_passes(client, claims):
    """Otherwise every refusal below could have another reason."""
    assert_passes(client, signed(HEADER, claims))


def test_an_issued_token_has_the_promised_header_and_claims(alice, alice_id):
    assert jwt.get_unverified_header(alice) == HEADER
    claims = jwt.decode(alice, SECRET, algorithms=["HS256"])
    assert claims.keys() == {
        *("sub", "email", "emailVerified", "roles", "sid", "jti", "type", "iat", "exp", "fresh"),
        *("auth_time", "amr", "acr"),
    }
    assert (claims["sub"], claims["email"], claims["roles"], claims["type"]) == (alice_id, ALICE, [], "access")
    assert claims["exp"] - claims["iat"] == 3_600


def test_each_token_has_an_id_of_its_own(client, alice):
    tokens = [alice, *(sign_in(client, ALICE)["token"] for _ in range(3))]
    assert len({jwt.decode(token, SECRET, algorithms=["HS256"])["jti"] for token in tokens}) == 4


ODD = {
    "sub": [ABSENT, None, "", 1, True, [], {}, {"$ne": None}, "alice@example.com", "0" * 24, "z" * 24,
            "5c0dc18d349bc9479600c17", "5C0DC18D349BC9479600C171", " 5c0dc18d349bc9479600c17",
            "5c0dc18d349bc9479600c171\n"],
    "sid": [ABSENT, None, "", 1, True, [], {}, {"$ne": None}, "0" * 32, "z" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n"],
    "type": [ABSENT, None, "", "other", "Access", "Refresh", "access ", True, 1, [], {}, ["access"]],
    "jti": [ABSENT, None, 1, True, [], {}],
    "iat": [ABSENT, None, "", "0", True, [], {}, 1.5, 1e30, -1, 0, 10**40],
    "exp": [ABSENT, None, "", "9999999999", True, [], {}, 1e30, 10**40, 2**63],
    "nbf": [None, 0, 1, "0", [], 10**12],
}  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        pytest.param(claim, value, id=f"{claim} {'absent' if value is ABSENT else repr(value)[:30]}")
        for claim, values in ODD.items()
        for value in values
    ],
)
def test_an_odd_claim_is_refused(client, claims, claim, value):
    assert_refused(client, signed(HEADER, changed(claims, **{claim: value})))


def test_a_type_is_never_taken_for_the_other(client, claims):
    other = {"access": "refresh", "refresh": "access"}[claims["type"]]
    assert_refused(client, signed(HEADER, changed(claims, type=other)))


def test_the_key_of_the_other_type_is_refused(client, claims):
    for token_type, key in (("refresh", SECRET), ("access", REFRESH_KEY)):
        assert_refused(client, signed(HEADER, changed(claims, type=token_type), key))


def test_a_guard_that_holds_the_shared_secret_takes_no_refresh_token(client, alice):
    """The tutorial's guard, like any service that shares the secret, only verifies the signature."""
    refresh_token = sign_in(client, ALICE)["refreshToken"]
    assert jwt.decode(alice, SECRET, algorithms=["HS256"])["type"] == "access"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(refresh_token, SECRET, algorithms=["HS256"])


@pytest.mark.parametrize("claim", ["iat", "exp"])
def test_a_time_that_is_no_whole_number_is_refused(client, claims, claim):
    for value in (float(claims[claim]), claims[claim] + 0.5, str(claims[claim])):
        assert_refused(client, signed(HEADER, changed(claims, **{claim: value})))


@only_access
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": +3_601},
        {"exp": +86_400},
        {"exp": +(10**9)},
        {"iat": -1, "exp": +3_600},
        {"exp": 0},  # the oldest possible one
        {"iat": +10, "exp": +5},
    ],
    ids=repr,
)
def test_a_lifetime_that_we_never_give_is_refused(client, claims, changes):
    now = claims["iat"]
    assert_refused(client, signed(HEADER, changed(claims, **{name: now + by for name, by in changes.items()})))


def test_an_expired_token_says_so(client, claims):
    for seconds in (3_606, 7_200, 10**8):
        old = changed(claims, iat=claims["iat"] - seconds, exp=claims["exp"] - seconds)
        assert_refused(client, signed(HEADER, old), "token_expired")


def test_an_expired_token_that_is_forged_is_no_more_than_forged(client, claims):
    old = changed(claims, iat=claims["iat"] - 7_200, exp=claims["exp"] - 7_200)
    assert_refused(client, signed(HEADER, old, key="x" * 40))
    assert_refused(client, signed(HEADER, changed(old, type="other")))


def test_a_clock_may_differ_by_a_few_seconds_and_no_more(client, claims):
    ahead = changed(claims, iat=claims["iat"] + 3, exp=claims["exp"] + 3)
    assert_passes(client, signed(HEADER, ahead))
    far_ahead = changed(claims, iat=claims["iat"] + 60, exp=claims["exp"] + 60)
    assert_refused(client, signed(HEADER, far_ahead))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "JWT", "alg": None},
        {"typ": "JWT", "alg": ""},
        {"typ": "JWT", "alg": 1},
        {"typ": "JWT", "alg": ["HS256"]},
        {"typ": "JWT", "alg": {"HS256": 1}},
        {"typ": "JWT", "alg": "hs256"},
        {"typ": "JWT", "alg": "HS512"},
        {"typ": "JWT", "alg": "RS256"},
        {"typ": "JWT", "alg": "none"},
        {"typ": "JWT", "alg": "None"},
        {"typ": "JWT", "alg": "XX999"},
        {"alg": "HS256"},
        {"alg": "HS256", "typ": None},
        {"alg": "HS256", "typ": "jwt"},
        {"alg": "HS256", "typ": "at+jwt"},
        {"alg": "HS256", "typ": 1},
        {**HEADER, "kid": "unknown"},
        {**HEADER, "kid": None},
        {**HEADER, "kid": 1},
        {**HEADER, "kid": ["../../dev/null"]},
        {**HEADER, "jku": "https://charlie.example/jwks.json"},
        {**HEADER, "x5u": "https://charlie.example/chain.pem"},
        {**HEADER, "jwk": {"kty": "oct", "k": "AAAA"}},
        {**HEADER, "x5c": ["AAAA"]},
        {**HEADER, "cty": "JWT"},
        {**HEADER, "crit": []},
        {**HEADER, "crit": ["exp"]},
        {**HEADER, "crit": None},
        {**HEADER, "b64": False},
        {**HEADER, "b64": False, "crit": ["b64"]},
        [],
        None,
        "HS256",
        1,
    ],
    ids=repr,
)
def test_an_odd_header_is_refused(client, claims, header):
    assert_refused(client, signed(header, claims))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_a_signature_is_refused(client, claims, alg):
    for signature in ("", encoded(b"x")):
        assert_refused(client, f"{encoded({'alg': alg, 'typ': 'JWT'})}.{encoded(claims)}.{signature}")
    assert_refused(client, f"{encoded(HEADER)}.{encoded(claims)}.")
    assert_refused(client, f"{encoded(HEADER)}.{encoded(claims)}")


def test_another_algorithm_with_our_key_is_refused(client, claims):
    for digest, alg in (("sha384", "HS384"), ("sha512", "HS512")):
        assert_refused(client, signed({"alg": alg, "typ": "JWT"}, claims, digest=digest))
        assert_refused(client, signed(HEADER, claims, digest=digest))


@pytest.mark.parametrize(
    "key", ["", "x", "secret", SECRET + " ", SECRET[:-1], "thisismykickasssecretthatiwilltotallychangelater"]
)
def test_another_key_is_refused(client, claims, key):
    assert_refused(client, signed(HEADER, claims, key=key))


def test_a_token_that_was_changed_afterwards_is_refused(client, alice, claims):
    header, payload, signature = alice.split(".")
    client.shown_as = "access"
    assert_refused(client, f"{header}.{encoded({**claims, 'roles': ['admin']})}.{signature}")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    assert_refused(client, f"{header}.{payload}.{flipped}")
    assert_refused(client, f"{header}.{payload}.{signature[:-4]}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_another_encoding_than_utf_8_is_refused(client, claims, encoding):
    text = json.dumps(claims).encode(encoding)
    assert_refused(client, signed(HEADER, text))
    assert_refused(client, signed(json.dumps(HEADER).encode(encoding), claims))


def test_a_payload_of_another_kind_is_refused(client, claims):
    whole = json.dumps(claims).encode()
    for payload in (
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xff",
        whole[:-1],
        whole + b"{}",
        [claims],
        b"[" * 1_500,
    ):
        assert_refused(client, signed(HEADER, payload))


def test_a_claim_that_stands_twice_is_refused(client, claims, alice_id):
    inner = json.dumps(claims)[1:-1]
    for twice in ('"sub": "000000000000000000000000"', f'"sub": "{alice_id}"', '"exp": 9999999999', '"type": "access"'):
        assert_refused(client, signed(HEADER, f"{{{twice}, {inner}}}".encode()))
        assert_refused(client, signed(HEADER, f"{{{inner}, {twice}}}".encode()))
    assert_refused(client, signed(b'{"alg": "none", "alg": "HS256", "typ": "JWT"}', claims))


def test_numbers_that_are_not_json_are_refused(client, claims):
    inner = json.dumps(claims)[1:-1]
    for number in ("NaN", "Infinity", "1e999", "1" * 2_000 + "e999"):
        assert_refused(client, signed(HEADER, f'{{"x": {number}, {inner}}}'.encode()))
    assert_refused(client, signed(HEADER, f'{{"x": "\\ud800", {inner}}}'.encode()))


def test_padding_and_other_alphabets_are_refused(client, claims):
    claims["x"] = "\u00ff\u00bf" * 8
    header, payload, signature = signed(HEADER, json.dumps(claims, ensure_ascii=False).encode()).split(".")
    assert_passes(client, f"{header}.{payload}.{signature}")
    for part in ("=", "==", "%3D", "+", "/", "\u00e9".encode().decode("latin-1"), "~"):
        assert_refused(client, f"{header}.{payload}.{signature}{part}")
        assert_refused(client, f"{header}.{payload}{part}.{signature}")
        assert_refused(client, f"{header}{part}.{payload}.{signature}")


def test_a_token_of_seven_kilobytes_is_refused(client, claims):
    assert_passes(client, signed(HEADER, {**claims, "x": "x" * 2_000}))
    assert_refused(client, signed(HEADER, {**claims, "x": "x" * 5_000}))
    assert_refused(client, "x" * 7_000)
    assert_refused(client, ".".join(["x" * 2_400] * 3))
    assert_refused(client, "." * 7_000)


@pytest.mark.parametrize(
    "token",
    ["x", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e", "null", "undefined", "[object Object]", "'", "%00"],
)
def test_what_is_no_token_is_refused(client, token):
    assert_refused(client, token)


class TestTheHeader:
    def ask(self, client, header):
        return client.get("/users/test", environ_overrides={"HTTP_AUTHORIZATION": header})

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
    def test_the_scheme_has_no_case(self, client, alice, scheme):
        assert_ok(self.ask(client, f"{scheme} {alice}"))
        assert_ok(self.ask(client, f"{scheme}   {alice} "))

    def test_without_a_bearer_token_one_is_asked_for(self, client, alice):
        assert_problem(client.get("/users/test"), 401, "token_missing")
        for header in (
            "",
            " ",
            alice,
            "Basic YTpi",
            f"Basic {alice}",
            f"Token {alice}",
            f"JWT {alice}",
            f"Bearer{alice}",
        ):
            assert_problem(self.ask(client, header), 401, "token_missing")

    def test_a_second_scheme_is_not_looked_for(self, client, alice):
        assert_problem(self.ask(client, f"Basic x, Bearer {alice}"), 401, "token_missing")
        assert_problem(self.ask(client, f"Basic x,Bearer {alice}"), 401, "token_missing")

    def test_anything_but_one_token_is_refused(self, client, alice):
        for credentials in (
            "",
            " ",
            f"{alice} {alice}",
            f"{alice}, Bearer {alice}",
            f"{alice},{alice}",
            f"Bearer {alice}",
            f'"{alice}"',
            f"<{alice}>",
            f"token={alice}",
            f"{alice},",
            f"{alice}\u00a0\u00e9",
        ):
            assert_problem(self.ask(client, f"Bearer {credentials}"), 401, "token_invalid")

    def test_a_token_elsewhere_than_in_the_header_is_not_looked_at(self, client, alice):
        client.set_cookie("access_token_cookie", alice)
        for path in (f"/users/test?jwt={alice}", f"/users/test?access_token={alice}", "/users/test"):
            assert_problem(client.get(path), 401, "token_missing")


class TestTheUser:
    def test_who_was_deleted_is_refused_at_once(self, client, alice, database):
        assert_passes(client, alice)
        assert database.users.delete_one({"email": ALICE}).deleted_count == 1
        assert_refused(client, alice)

    @pytest.mark.parametrize("value", ["2026-01-01", True, 1, {"by": "somebody"}], ids=repr)
    def test_who_was_disabled_is_refused_at_once(self, client, alice, database, value):
        assert database.users.update_one({}, {"$set": {"disabledAt": value}}).modified_count == 1
        assert_refused(client, alice)
        answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
        assert_problem(answer, 401, "credentials_invalid")
        assert database.users.update_one({}, {"$unset": {"disabledAt": ""}}).modified_count == 1
        assert_passes(client, alice)

    def test_who_never_was_is_refused(self, client, claims):
        assert_refused(client, signed(HEADER, changed(claims, sub=str(ObjectId()))))

    def test_who_comes_back_under_the_same_email_is_another(self, client, alice, database):
        database.users.delete_one({"email": ALICE})
        assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
        assert_refused(client, alice)

    @only_access
    def test_the_answer_shows_the_user_and_not_the_claims(self, client, claims):
        lying = signed(HEADER, changed(claims, email="bob@example.com", roles=["admin"]))
        me = assert_ok(client.get("/users/me", headers=bearer(lying)))
        assert (me["email"], me["roles"]) == (ALICE, [])


class TestIssuerAndAudience:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "JWT_ISSUER": "https://auth.example.com", "JWT_AUDIENCE": "app"}

    def test_are_written_and_required_once_they_are_set(self, client, alice, claims):
        assert_ok(client.get("/users/test", headers=bearer(alice)))
        right = {"iss": "https://auth.example.com", "aud": "app"}
        assert (
            jwt.decode(alice, SECRET, algorithms=["HS256"], issuer=right["iss"], audience="app").items()
            >= right.items()
        )
        assert_passes(client, signed(HEADER, changed(claims, **right)))
        assert_refused(client, signed(HEADER, claims))
        for name in right:
            for value in (ABSENT, None, "", "other", 1, True, [], {}, ["other"], [1], {"app": 1}):
                assert_refused(client, signed(HEADER, changed(claims, **{**right, name: value})))


def test_an_audience_is_refused_where_none_is_set(client, claims):
    for value in ("app", ["app"], ["app", "other"], 1, True, {"app": 1}, [1]):
        assert_refused(client, signed(HEADER, changed(claims, aud=value)))


class TestTheLifetime:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "JWT_ACCESS_TOKEN_EXPIRES": 60}

    @only_access
    def test_is_a_setting(self, client, alice, claims):
        mine = jwt.decode(alice, SECRET, algorithms=["HS256"])
        assert mine["exp"] - mine["iat"] == 60
        assert sign_in(client, ALICE)["expiresIn"] == 60
        assert_passes(client, alice)
        assert_refused(client, signed(HEADER, claims))  # valid for an hour
