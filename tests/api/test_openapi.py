"""/openapi.json is valid and describes every route, with every status that it can answer."""

import json
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from authservice import errors
from authservice.config import PUBLISHED_SECRETS
from authservice.web.health import METRICS_MEDIA_TYPE
from tests.api.answers import assert_ok
from tests.conftest import SECRET

OF_EVERY_REQUEST = {400, 408, 414, 431, 500}
OF_BODY = {400, 413, 415, 422}
OF_GUARD = {401, 403, 503}
EXPECTED = {
    ("/users", "post"): {201, 409, 429, 503} | OF_BODY,
    ("/users/test", "get"): {200} | OF_GUARD,
    ("/users/me", "get"): {200, 401, 503},
    ("/users/me/export", "get"): {200} | OF_GUARD,
    ("/users/me", "delete"): {204, 403, 409, 429} | OF_GUARD | OF_BODY,
    ("/users/me/devices", "get"): {200} | OF_GUARD,
    ("/users/me/devices/{device_id}", "delete"): {204, 404} | OF_GUARD,
    ("/users/me", "patch"): {200} | OF_GUARD | OF_BODY,
    ("/users/me/email/verification", "post"): {202} | OF_GUARD,
    ("/users/me/email/verification", "put"): {204, 403} | OF_GUARD | OF_BODY,
    ("/users/me/passkeys", "get"): {200} | OF_GUARD,
    ("/users/me/passkeys", "post"): {201, 403, 409} | OF_GUARD | OF_BODY,
    ("/users/me/passkeys/options", "post"): {200, 403, 409} | OF_GUARD | OF_BODY,
    ("/users/me/passkeys/{passkey_id}", "patch"): {204, 403, 404} | OF_GUARD | OF_BODY,
    ("/users/me/passkeys/{passkey_id}", "delete"): {204, 403, 404, 409} | OF_GUARD,
    ("/auth/passkey/options", "post"): {200, 429} | OF_BODY,
    ("/auth/passkey", "post"): {200, 401, 403, 429, 503} | OF_BODY,
    ("/users/me/password", "put"): {200, 403, 429} | OF_GUARD | OF_BODY,
    ("/users/me/email", "put"): {202, 403, 409, 429} | OF_GUARD | OF_BODY,
    ("/users/me/email/confirmation", "put"): {204, 403, 409} | OF_GUARD | OF_BODY,
    ("/users/me/email/change", "delete"): {204} | OF_GUARD,
    ("/users/me/factors", "get"): {200, 401, 503},
    ("/users/me/totp", "post"): {200, 409} | OF_GUARD,
    ("/users/me/totp", "put"): {200} | OF_GUARD | OF_BODY,
    ("/users/me/totp", "delete"): {204, 409} | OF_GUARD,
    ("/users/me/recovery-codes", "post"): {200, 409} | OF_GUARD,
    ("/auth/email-undo", "post"): {204, 403, 503} | OF_BODY,
    ("/auth", "post"): {200, 401, 403, 429, 503} | OF_BODY,
    ("/auth", "delete"): {204, 401, 403, 503} | OF_BODY,
    ("/auth/refresh", "post"): {200, 401, 403, 429, 503} | OF_BODY,
    ("/auth/second", "post"): {200, 401, 429, 503} | OF_BODY,
    ("/auth/step-up", "post"): {200, 401, 403, 429, 503} | OF_BODY,
    ("/auth/reset", "post"): {202, 429, 503} | OF_BODY,
    ("/auth/reset", "put"): {200, 204, 403, 503} | OF_BODY,
    ("/auth/verification", "put"): {204, 403, 429, 503} | OF_BODY,
    ("/auth/sessions", "get"): {200} | OF_GUARD,
    ("/auth/sessions", "delete"): {204, 422} | OF_GUARD,
    ("/auth/sessions/{session_id}", "delete"): {204, 404} | OF_GUARD,
    ("/auth/verify", "get"): {204, 403, 422} | OF_GUARD,
    ("/admin/users", "get"): {200, 403, 409, 422} | OF_GUARD,
    ("/admin/users/{user_id}", "get"): {200, 403, 404} | OF_GUARD,
    ("/admin/users/{user_id}", "patch"): {200, 403, 404, 409} | OF_GUARD | OF_BODY,
    ("/admin/users/{user_id}", "delete"): {204, 403, 404, 409} | OF_GUARD,
    ("/admin/users/{user_id}/sessions", "delete"): {204, 403, 404} | OF_GUARD,
    ("/.well-known/jwks.json", "get"): {200},
    ("/admin/users/{user_id}/factors", "delete"): {204, 403, 404} | OF_GUARD,
    ("/healthz", "get"): {200},
    ("/readyz", "get"): {200, 503},
    ("/metrics", "get"): {200, 404},
}
REQUIREMENTS = {  # all other routes: the bearer token if they answer 401, else nothing
    ("/auth", "post"): [],
    ("/auth/second", "post"): [],
    ("/auth/passkey", "post"): [],
    ("/auth", "delete"): [{"bearer": []}, {"refreshCookie": []}, {}],
    ("/auth/refresh", "post"): [{"refreshCookie": []}, {}],
}
VERBS = {
    "signUp": ("/users", "post"),
    "tryToken": ("/users/test", "get"),
    "showMe": ("/users/me", "get"),
    "changeProfile": ("/users/me", "patch"),
    "deleteAccount": ("/users/me", "delete"),
    "listPasskeys": ("/users/me/passkeys", "get"),
    "addPasskey": ("/users/me/passkeys", "post"),
    "getRegistrationOptions": ("/users/me/passkeys/options", "post"),
    "renamePasskey": ("/users/me/passkeys/{passkey_id}", "patch"),
    "deletePasskey": ("/users/me/passkeys/{passkey_id}", "delete"),
    "getSignInOptions": ("/auth/passkey/options", "post"),
    "signInByPasskey": ("/auth/passkey", "post"),
    "exportAccount": ("/users/me/export", "get"),
    "listDevices": ("/users/me/devices", "get"),
    "forgetDevice": ("/users/me/devices/{device_id}", "delete"),
    "changePassword": ("/users/me/password", "put"),
    "changeEmail": ("/users/me/email", "put"),
    "confirmEmail": ("/users/me/email/confirmation", "put"),
    "cancelEmailChange": ("/users/me/email/change", "delete"),
    "listFactors": ("/users/me/factors", "get"),
    "setUpTotp": ("/users/me/totp", "post"),
    "confirmTotp": ("/users/me/totp", "put"),
    "removeTotp": ("/users/me/totp", "delete"),
    "replaceRecoveryCodes": ("/users/me/recovery-codes", "post"),
    "undoEmailChange": ("/auth/email-undo", "post"),
    "signIn": ("/auth", "post"),
    "continueSignIn": ("/auth/second", "post"),
    "stepUp": ("/auth/step-up", "post"),
    "signOut": ("/auth", "delete"),
    "refresh": ("/auth/refresh", "post"),
    "askForReset": ("/auth/reset", "post"),
    "resetPassword": ("/auth/reset", "put"),
    "askForVerification": ("/users/me/email/verification", "post"),
    "verifyEmail": ("/users/me/email/verification", "put"),
    "verifyEmailByPassword": ("/auth/verification", "put"),
    "listSessions": ("/auth/sessions", "get"),
    "endSessions": ("/auth/sessions", "delete"),
    "endSession": ("/auth/sessions/{session_id}", "delete"),
    "verify": ("/auth/verify", "get"),
    "listUsers": ("/admin/users", "get"),
    "showUser": ("/admin/users/{user_id}", "get"),
    "changeUser": ("/admin/users/{user_id}", "patch"),
    "deleteUser": ("/admin/users/{user_id}", "delete"),
    "resetFactors": ("/admin/users/{user_id}/factors", "delete"),
    "endUserSessions": ("/admin/users/{user_id}/sessions", "delete"),
    "listKeys": ("/.well-known/jwks.json", "get"),
    "checkHealth": ("/healthz", "get"),
    "checkReadiness": ("/readyz", "get"),
    "showMetrics": ("/metrics", "get"),
}


@pytest.fixture
def settings(settings):
    return {**settings, "PASSKEY_RP_ID": "example.com", "PASSKEY_ORIGINS": "https://example.com"}


@pytest.fixture
def description(client):
    return assert_ok(client.get("/openapi.json"))


@pytest.fixture
def operations(description):
    return {
        (path, method): operation
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_it_is_valid_openapi_3_1(description):
    assert description["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(description).validate()


def test_every_route_is_described_and_nothing_else(app, operations):
    served = {
        (re.sub(r"<(?:[^:>]*:)?([^>]*)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule != "/openapi.json" and not rule.endpoint.startswith("pages.")
    }
    assert operations.keys() == served


def test_every_status_is_described(operations):
    described = {operation: {int(status) for status in one["responses"]} for operation, one in operations.items()}
    assert described == {operation: statuses | OF_EVERY_REQUEST for operation, statuses in EXPECTED.items()}


def test_operations_are_named_by_verbs(operations):
    assert {one["operationId"]: operation for operation, one in operations.items()} == VERBS


def test_every_refusal_is_described_as_a_problem_with_exactly_its_codes(description, operations):
    codes = {(one.status, one.code) for one in every_refusal(errors.Refusal)}
    for operation in operations.values():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert answer["content"].keys() == {"application/problem+json"}
                schema = resolve(description, answer["content"]["application/problem+json"]["schema"])
                named = schema["properties"]["code"]["enum"]
                assert {(int(status), code) for code in named} <= codes
                assert sorted(re.findall(r"`(\w+)`", answer["description"])) == named
                assert schema["properties"]["status"]["enum"] == [int(status)]
                assert schema["properties"]["type"]["enum"] == [f"urn:authservice:problem:{code}" for code in named]
                assert ("errors" in schema["properties"]) is ("errors" in schema["required"]) is (int(status) == 422)
            elif int(status) == 204:
                assert "content" not in answer
            else:
                assert answer.get("content", {}).keys() <= {"application/json", METRICS_MEDIA_TYPE}


@pytest.mark.parametrize(
    ("operation", "status", "codes"),
    [
        (("/users", "post"), 400, ["body_malformed", "request_malformed"]),
        (("/users", "post"), 409, ["email_taken"]),
        (("/users", "post"), 503, ["database_unavailable", "hashing_busy", "users_collection_unfit"]),
        (("/auth", "post"), 401, ["credentials_invalid", "second_factor_required"]),
        (("/auth/second", "post"), 401, ["second_factor_wrong"]),
        (("/auth/refresh", "post"), 401, ["token_expired", "token_invalid", "token_missing", "token_reused"]),
        (("/users/me", "get"), 401, ["token_expired", "token_invalid", "token_missing"]),
        (("/users/me", "get"), 503, ["database_unavailable"]),
        (("/healthz", "get"), 400, ["request_malformed"]),
    ],
)
def test_the_codes_of_a_status_are_those_of_the_route(description, operations, operation, status, codes):
    answer = operations[operation]["responses"][str(status)]
    schema = resolve(description, answer["content"]["application/problem+json"]["schema"])
    assert schema["properties"]["code"]["enum"] == codes


def resolve(description, schema):
    return description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


def test_every_schema_is_used(description):
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(description)))
    assert used == description["components"]["schemas"].keys()


def test_what_may_be_absent_is_optional_and_nothing_else(description):
    optional = {
        (name, field)
        for name, schema in description["components"]["schemas"].items()
        for field in schema["properties"].keys() - set(schema.get("required", []))
        if not ("StepUpRequired" in name and field in ("maxAge", "acrValues"))
        if not ("SecondFactorRequired" in name and field in ("continuation", "expiresIn", "methods"))
    }
    assert optional == {
        ("SignUp", "altcha"),
        ("ProfileChange", "language"),
        ("PasswordChange", "currentPassword"),
        ("Deletion", "currentPassword"),
        ("SignIn", "cookie"),
        ("SignIn", "deviceToken"),
        ("SecondStep", "cookie"),
        ("SecondStep", "deviceToken"),
        ("SecondStep", "totp"),
        ("SecondStep", "recoveryCode"),
        ("SecondStep", "passkey"),
        ("StepUp", "password"),
        ("StepUp", "totp"),
        ("StepUp", "recoveryCode"),
        ("StepUp", "passkey"),
        ("PasskeySignIn", "cookie"),
        ("PasskeySignIn", "deviceToken"),
        ("Registration", "name"),
        ("Refresh", "refreshToken"),
        ("EmailConfirmation", "code"),
        ("EmailConfirmation", "token"),
        ("Reset", "token"),
        ("Reset", "resetId"),
        ("Reset", "code"),
        ("Reset", "deviceToken"),
        ("Token", "refreshToken"),
        ("Token", "deviceToken"),
        ("Verification", "token"),
        ("Verification", "code"),
        *(("Jwk", member) for member in ("crv", "x", "y", "n", "e")),  # of some kinds of keys
        ("UserChange", "disabled"),
        ("UserChange", "roles"),
    }


def every_refusal(refusal):
    for child in refusal.__subclasses__():
        if hasattr(child, "code"):
            yield child
        yield from every_refusal(child)


def test_every_route_says_what_it_asks_for(description, operations):
    schemes = description["components"]["securitySchemes"]
    assert schemes.keys() == {"bearer", "refreshCookie"}
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    cookie = schemes["refreshCookie"]
    assert (cookie["type"], cookie["in"], cookie["name"]) == ("apiKey", "cookie", "__Host-refresh")
    assert "`refreshToken`" in cookie["description"]
    expected = {
        operation: REQUIREMENTS.get(operation, [{"bearer": []}] if 401 in statuses else [])
        for operation, statuses in EXPECTED.items()
    }
    assert {operation: one["security"] for operation, one in operations.items()} == expected


def test_a_route_that_reads_the_cookie_says_the_header_that_it_needs(operations):
    headers = {
        one["operationId"]: parameter["name"]
        for one in operations.values()
        for parameter in one.get("parameters", [])
        if parameter["in"] == "header"
    }
    assert headers == dict.fromkeys(
        ["signIn", "signInByPasskey", "continueSignIn", "refresh", "signOut", "changePassword"], "X-Requested-With"
    )


def test_bodies_are_described_as_closed_objects_of_strings(description, operations):
    for operation in (("/users", "post"), ("/auth", "post")):
        body = operations[operation]["requestBody"]
        assert body["required"] is True
        assert body["content"].keys() == {"application/json"}
        name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        schema = description["components"]["schemas"][name]
        assert schema["additionalProperties"] is False
        assert sorted(schema["required"]) == ["email", "password"]
        assert {schema["properties"][name]["type"] for name in schema["required"]} == {"string"}
        assert (schema["properties"]["email"]["maxLength"], schema["properties"]["password"]["maxLength"]) == (
            254,
            1024,
        )


def test_it_holds_no_secret_and_no_example_of_one(description):
    text = json.dumps(description)
    assert SECRET not in text
    assert not re.search(r"eyJ[A-Za-z0-9_-]+\.", text)
    assert "$2b$" not in text
    for published in PUBLISHED_SECRETS:
        assert published not in text
