"""Bad input gets an exact error, and the database stores nothing."""

import contextlib
import io
import json
import re
import uuid

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, bearer, sign_in

ROUTES = ["/users", "/auth"]
GOOD = {"email": ALICE, "password": PASSWORD}
MALFORMED = (400, "body_malformed")
nothing_is_stored = pytest.mark.usefixtures("_nothing_is_stored")
both_routes = pytest.mark.parametrize("route", ROUTES)


@pytest.fixture
def _nothing_is_stored(database):
    yield
    assert database.users.count_documents({}) == 0


def pytest_param(name, *values):
    return pytest.param(*values, id=name)


def post(client, route, body, content_type="application/json", **more):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(route, data=raw, content_type=content_type, **more)


def with_email(raw: bytes) -> bytes:
    return b'{"email": ' + raw + b', "password": "correct horse battery"}'


@nothing_is_stored
@pytest.mark.parametrize(
    "raw",
    [
        pytest_param("empty", b""),
        pytest_param("white space", b" \n"),
        pytest_param("no JSON", b"email=alice@example.com"),
        pytest_param("cut", json.dumps(GOOD).encode()[:-1]),
        pytest_param("cut in a string", json.dumps(GOOD).encode()[:-2]),
        pytest_param("trailing text", json.dumps(GOOD).encode() + b"{}"),
        pytest_param("single quotes", b"{'email': 'alice@example.com'}"),
        pytest_param("trailing comma", b'{"email": "alice@example.com",}'),
        pytest_param("comment", b'{"email": "alice@example.com" /* me */}'),
        pytest_param("UTF-16 with a mark", json.dumps(GOOD).encode("utf-16")),
        pytest_param("UTF-16 little", json.dumps(GOOD).encode("utf-16-le")),
        pytest_param("UTF-16 big", json.dumps(GOOD).encode("utf-16-be")),
        pytest_param("UTF-32", json.dumps(GOOD).encode("utf-32")),
        pytest_param("byte order mark", json.dumps(GOOD).encode("utf-8-sig")),
        pytest_param(
            "Latin-1", json.dumps({**GOOD, "password": "p\u00e4ssw\u00f6rter"}, ensure_ascii=False).encode("latin-1")
        ),
        pytest_param("cut UTF-8", with_email(b'"\xc3"')),
        pytest_param("overlong UTF-8", with_email(b'"\xc0\xaf"')),
        pytest_param("surrogate in UTF-8", with_email(b'"\xed\xa0\x80"')),
        pytest_param("NaN", with_email(b"NaN")),
        pytest_param("Infinity", with_email(b"Infinity")),
        pytest_param("-Infinity", with_email(b"-Infinity")),
        pytest_param("1e999", with_email(b"1e999")),
        pytest_param("-1e999", with_email(b"-1e999")),
        pytest_param("5000 digits", with_email(b"1" * 5_000)),
        pytest_param("-5000 digits", with_email(b"-" + b"1" * 5_000)),
        pytest_param("leading zero", with_email(b"01")),
        pytest_param("duplicate keys", b'{"email": "a@example.com", "email": "b@example.com", "password": ""}'),
        pytest_param(
            "duplicate keys, one escaped",
            b'{"email": "a@example.com", "\\u0065mail": "b@example.com", "password": "long enough"}',
        ),
        pytest_param("duplicate keys within", with_email(b'{"a": 1, "a": 2}')),
        pytest_param("16,000 brackets", b"[" * 16_000),
        pytest_param("8,000 closed brackets", b"[" * 8_000 + b"]" * 8_000),
        pytest_param("2,000 objects", b'{"a":' * 2_000 + b"1" + b"}" * 2_000),
        pytest_param("deep in a field", with_email(b"[" * 7_000 + b"]" * 7_000)),
        pytest_param("lone surrogate", with_email(b'"\\ud800@example.com"')),
        pytest_param("lone low surrogate", with_email(b'"\\udfff"')),
        pytest_param("surrogates in the wrong order", with_email(b'"\\udc00\\ud800"')),
        pytest_param("lone surrogate in a password", b'{"email": "a@example.com", "password": "12345678\\udead"}'),
        pytest_param("lone surrogate in a name", b'{"\\ud800": 1}'),
        pytest_param("raw control character", with_email(b'"a\nb"')),
        pytest_param("raw NUL", with_email(b'"a\0b"')),
    ],
)
def test_what_is_not_one_strict_json_text_is_a_400(client, raw):
    for route in ROUTES:
        assert_problem(post(client, route, raw), *MALFORMED)


@nothing_is_stored
@both_routes
@pytest.mark.parametrize("body", [None, True, False, 0, -1, 1.5, 1e300, "text", "", [], [GOOD], [[]]], ids=json.dumps)
def test_what_is_no_object_is_refused_as_a_whole(client, route, body):
    assert_problem(post(client, route, body), 422, "validation_failed", ("", "wrong_type"))


OPERATORS = [
    {"$ne": None},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$regex": "^a", "$options": "i"},
    {"$where": "sleep(1000)"},
    {"$in": [ALICE]},
    {"$exists": True},
    {"$expr": {"$eq": [1, 1]}},
    {"$oid": "5c0dc18d349bc9479600c171"},
    {"$oid": "zz"},
    {"$date": 1e17},
    {"$date": "2026-01-01T00:00:00Z"},
    {"$date": {"$numberLong": "99999999999999999999"}},
    {"$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3"},
    {"$numberLong": "1"},
    {"$numberDecimal": "NaN"},
    {"$binary": {"base64": "AAAA", "subType": "00"}},
    {"$regularExpression": {"pattern": ".*", "options": ""}},
    {"$timestamp": {"t": 1, "i": 1}},
    {"$code": "1"},
    {"$symbol": "a"},
    {"$undefined": True},
    {"$minKey": 1},
    {"$ref": "users", "$id": 1},
]
WRONG_TYPES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63,
    2**64,
    10**4_000,
    1.5,
    1e308,
    [],
    [ALICE],
    [[]],
    {},
    {"email": ALICE},
]


@nothing_is_stored
@pytest.mark.parametrize("value", [*OPERATORS, *WRONG_TYPES], ids=lambda value: repr(value)[:40])
def test_what_is_no_string_is_the_wrong_type(client, value):
    for route in ROUTES:
        for field in GOOD:
            answer = post(client, route, {**GOOD, field: value})
            assert_problem(answer, 422, "validation_failed", (f"/{field}", "wrong_type"))


@nothing_is_stored
@pytest.mark.parametrize("value", OPERATORS, ids=repr)
def test_an_operator_is_no_body(client, value):
    faults = [(f"/{name}", "unknown_field") for name in value]
    faults += [("/email", "required"), ("/password", "required")]
    for route in ROUTES:
        assert_problem(post(client, route, value), 422, "validation_failed", *faults)


@nothing_is_stored
@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ("roles", "/roles"),
        ("_id", "/_id"),
        ("id", "/id"),
        ("$where", "/$where"),
        ("$ne", "/$ne"),
        ("disabledAt", "/disabledAt"),
        ("passwordChangedAt", "/passwordChangedAt"),
        ("__proto__", "/__proto__"),
        ("__v", "/__v"),
        ("Email", "/Email"),
        ("email ", "/email "),
        ("email.x", "/email.x"),
        ("_schema", "/_schema"),
        ("code", "/code"),
        ("", "/"),
        ("a/b~c", "/a~1b~0c"),
        ("nul\0", "/nul\0"),
        ("n" * 5_000, "/" + "n" * 100),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_unknown_field_is_refused_by_name(client, name, pointer):
    for route in ROUTES:
        for value in ("admin", ["admin"], {"$ne": 1}, None):
            answer = post(client, route, {**GOOD, name: value})
            assert_problem(answer, 422, "validation_failed", (pointer, "unknown_field"))


@nothing_is_stored
@both_routes
def test_every_fault_is_named_at_once(client, route):
    body = {"email": 1, "role": 1, "_schema": 1}
    assert_problem(
        post(client, route, body),
        422,
        "validation_failed",
        ("/email", "wrong_type"),
        ("/password", "required"),
        ("/role", "unknown_field"),
        ("/_schema", "unknown_field"),
    )


@nothing_is_stored
@both_routes
@pytest.mark.parametrize("field", ["email", "password"])
def test_a_missing_field_is_required(client, route, field):
    body = {name: value for name, value in GOOD.items() if name != field}
    assert_problem(post(client, route, body), 422, "validation_failed", (f"/{field}", "required"))


@nothing_is_stored
@pytest.mark.parametrize(
    "email",
    [
        "",
        " ",
        "alice",
        "@example.com",
        "alice@",
        "alice@localhost",
        "alice@@example.com",
        "alice@example",
        "alice@example..com",
        "alice@.example.com",
        "alice@-example.com",
        ".alice@example.com",
        "alice.@example.com",
        "al..ice@example.com",
        "al ice@example.com",
        "alice@exam ple.com",
        "alice@example.com, bob@example.com",
        "Alice <alice@example.com>",
        '"alice"@example.com',
        "alice@[127.0.0.1]",
        "alice@127.0.0.1",
        "alice\n@example.com",
        "alice@example.com\r\nBcc: bob@example.com",
        "alice\0@example.com",
        "al\u200bice@example.com",
        "al\u202eice@example.com",
        "alice@exam\u00adple.com",
        "\ufeffalice@example.com",
        "a" * 388 + "@example.com",
        "a@" + "b" * 64 + ".example.com",
        "a@" + "b." * 122 + "example.com",
        "a@" * 200,
        " " * 20 + "." * 254,
    ],
    ids=lambda email: repr(email)[:40],
)
def test_no_account_has_an_address_that_is_none(client, email):
    answer = post(client, "/users", {**GOOD, "email": email})
    assert_problem(answer, 422, "validation_failed", ("/email", "invalid_email"))


@nothing_is_stored
@pytest.mark.parametrize("email", ["a" * 255, "a" * 388 + "@example.com", "\U0001f525" * 400])
def test_nobody_signs_in_with_an_email_longer_than_any(client, email):
    answer = post(client, "/auth", {**GOOD, "email": email})
    assert_problem(answer, 422, "validation_failed", ("/email", "too_long"))


@nothing_is_stored
@pytest.mark.parametrize(
    "email", ["", "alice", "alice\0@example.com", "$where", "a@" * 127, "\u202e", "\U0001f525", ".*", "a@xn--a"]
)
def test_signing_in_with_no_address_is_just_not_an_account(client, email):
    assert_problem(post(client, "/auth", {**GOOD, "email": email}), 401, "credentials_invalid")


class TestPasswords:
    @nothing_is_stored
    @pytest.mark.parametrize(
        "password",
        ["", "1234567", "\U0001f525" * 7, "\u00e9" * 7, "e\u0301" * 3 + "e", " " * 7],
        ids=ascii,
    )
    def test_less_than_eight_code_points_are_too_short(self, client, password):
        answer = post(client, "/users", {**GOOD, "password": password})
        assert_problem(answer, 422, "validation_failed", ("/password", "too_short"))

    @nothing_is_stored
    @both_routes
    @pytest.mark.parametrize("password", ["a" * 1_025, "\U0001f525" * 1_025, "a" * 15_000])
    def test_more_than_1024_code_points_are_too_long(self, client, route, password):
        body = json.dumps({**GOOD, "password": password}, ensure_ascii=False).encode()
        assert_problem(post(client, route, body), 422, "validation_failed", ("/password", "too_long"))

    @nothing_is_stored
    @both_routes
    @pytest.mark.parametrize("password", ["\0", "long\0enough", "\0" * 8, "long enough\0"], ids=ascii)
    def test_nul_is_refused(self, client, route, password):
        answer = post(client, route, {**GOOD, "password": password})
        assert_problem(answer, 422, "validation_failed", ("/password", "invalid_character"))

    @pytest.mark.parametrize(
        "password",
        [
            "1234 678",
            " " * 8,
            "\U0001f525" * 8,
            "e\u0301" * 4,
            "a" * 1_024,
            "\U0001f525" * 1_024,
            "\x01\x02\x03\x04\r\n\t\x7f",
            "\ufeff\u200b\u202e\u2028long",
            '"\\/$where{}',
        ],
        ids=lambda password: ascii(password)[:40],
    )
    def test_any_other_is_taken_as_it_is(self, client, password):
        raw = json.dumps({**GOOD, "password": password}, ensure_ascii=False).encode()
        assert_ok(post(client, "/users", raw), 201)
        assert_ok(post(client, "/auth", raw))
        assert_problem(post(client, "/auth", {**GOOD, "password": password[:-1] + "."}), 401, "credentials_invalid")

    def test_the_least_length_is_a_setting(self, settings, request):
        settings["PASSWORD_MIN_LENGTH"] = 12
        client = request.getfixturevalue("client")
        answer = post(client, "/users", {**GOOD, "password": "eleven char"})
        assert_problem(answer, 422, "validation_failed", ("/password", "too_short"))
        assert_ok(post(client, "/users", {**GOOD, "password": "twelve chars"}), 201)
        assert_problem(post(client, "/auth", {**GOOD, "password": "a"}), 401, "credentials_invalid")


class TestSizes:
    def padded(self, size):
        return json.dumps(GOOD).encode().ljust(size)

    def chunked(self, client, route, raw):
        """A body as gunicorn passes it on: without a length, in an input that has an end."""
        environ = {"wsgi.input": io.BytesIO(raw), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        return client.post(route, content_type="application/json", environ_overrides=environ)

    @nothing_is_stored
    @both_routes
    @pytest.mark.parametrize("size", [16_385, 20_000, 1_000_000])
    def test_a_body_over_16_kib_is_too_large(self, client, route, size):
        assert_problem(post(client, route, self.padded(size)), 413, "body_too_large")
        assert_problem(self.chunked(client, route, self.padded(size)), 413, "body_too_large")

    @nothing_is_stored
    @both_routes
    def test_a_hundred_thousand_brackets_are_too_large(self, client, route):
        assert_problem(post(client, route, b"[" * 100_000), 413, "body_too_large")

    def test_a_body_of_16_kib_is_read_whole(self, client):
        assert_ok(post(client, "/users", self.padded(16_384)), 201)
        assert_ok(self.chunked(client, "/auth", self.padded(16_384)))

    @nothing_is_stored
    @both_routes
    def test_a_length_that_is_none_is_no_body(self, client, route):
        for length in ("", "-1", "abc"):
            answer = client.post(
                route,
                content_type="application/json",
                environ_overrides={"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"{}")},
            )
            assert_problem(answer, *MALFORMED)


@nothing_is_stored
@both_routes
@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/jsonp",
        "application/problem+json",
        "application/vnd.api+json",
        "application/xml",
        "application/json, text/plain",
        "json",
        ";application/json",
        "*/*",
    ],
)
def test_only_application_json_is_read(client, route, media_type):
    assert_problem(post(client, route, GOOD, content_type=media_type), 415, "media_type_unsupported")


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_the_media_type_is_read_as_http_says(client, media_type):
    assert_ok(post(client, "/users", GOOD, content_type=media_type), 201)


@nothing_is_stored
def test_the_json_provider_of_the_application_is_ours(app):
    """flask-pymongo installs one that reads MongoDB's Extended JSON, so the order in app.py matters."""
    from authservice.web.parsing import StrictJSONProvider

    assert type(app.json) is StrictJSONProvider
    assert app.json.loads('{"$oid": "5c0dc18d349bc9479600c171"}') == {"$oid": "5c0dc18d349bc9479600c171"}


def fuzz(examples):
    """The same examples on every run, so that a failure can be repeated."""
    return hypothesis_settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
texts = st.text(st.characters(), max_size=30)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)
names = st.sampled_from(["email", "password", "roles", "_id", "$where", "$oid", "_schema"]) | texts
bodies = st.one_of(
    values,
    st.dictionaries(names, values, max_size=4),
    st.fixed_dictionaries({"email": st.emails() | texts | values, "password": texts | values}),
)


def assert_no_crash(answer):
    assert answer.status_code < 500, answer.text
    assert answer.headers["X-Request-Id"]
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.get_json()["status"] == answer.status_code
        assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
    else:
        assert answer.headers["Content-Type"] == "application/json"


class TestRandomly:
    @both_routes
    @fuzz(250)
    @given(body=bodies)
    def test_random_json_never_crashes_the_service(self, client, route, body):
        raw = json.dumps(body).encode()
        assert_no_crash(client.post(route, data=raw, content_type="application/json"))

    @both_routes
    @fuzz(150)
    @given(
        raw=st.binary(max_size=300),
        media_type=st.sampled_from(["application/json"] * 4 + ["text/plain", ""]),
    )
    def test_random_bytes_never_crash_the_service(self, client, route, raw, media_type):
        answer = client.post(route, data=raw, content_type=media_type)
        assert_no_crash(answer)
        assert answer.status_code in (400, 415, 422)

    @fuzz(300)
    @given(
        header=st.one_of(
            st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=200),
            st.from_regex(r"\A(?i:bearer) +[A-Za-z0-9_=-]*(\.[A-Za-z0-9_=-]*){0,4}\Z"),
            st.binary(max_size=80).map(lambda raw: f"Bearer {raw.hex()}.{raw.hex()}.{raw.hex()}"),
        )
    )
    def test_random_authorization_never_crashes_the_guard(self, client, header):
        for route in ("/users/test", "/users/me"):
            answer = client.get(route, environ_overrides={"HTTP_AUTHORIZATION": header})
            assert_no_crash(answer)
            assert answer.status_code == 401


def test_fields_named_like_ours_are_unknown_fields(client):
    answer = client.post("/auth", json={**GOOD, "code": 1, "detail": 2})
    assert_problem(answer, 422, "validation_failed", ("/code", "unknown_field"), ("/detail", "unknown_field"))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_the_service_answers_as_its_description_says(app, client, database, mode):
    """With all checks of schemathesis but one: JSON Schema cannot say which e-mail addresses we accept."""
    described = schemathesis.openapi.from_wsgi("/openapi.json", app)
    operations = [operation.ok() for operation in described.get_all_operations()]
    assert {operation.path for operation in operations} == described_paths(app)
    for operation in operations:
        answers = ask_at_random(operation, mode, bearer(fresh_admin(client, database)))
        # a route without input has no wrong input
        assert answers or (mode is GenerationMode.NEGATIVE and "requestBody" not in operation.definition.raw)


def described_paths(app):
    rules = {rule.rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith("pages.")}
    return {re.sub("<(.*?)>", "{\\1}", rule) for rule in rules - {"/openapi.json"}}


def fresh_admin(client, database):
    """The token of a new admin, because operations delete accounts and end sessions."""
    email = f"{uuid.uuid4().hex}@example.com"
    assert client.post("/users", json={"email": email, "password": PASSWORD}).status_code == 201
    assert database.users.update_one({"email": email}, {"$set": {"roles": ["admin"]}}).modified_count == 1
    return sign_in(client, email)["token"]


def ask_at_random(operation, mode, headers):
    answers = []

    @fuzz(25)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        answers.append(case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance]))

    with contextlib.suppress(hypothesis.errors.Unsatisfiable):
        ask()
    return answers
