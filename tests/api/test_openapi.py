"""/openapi.json describes the whole service: valid, every route, every status that a route can answer."""

import json
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from authservice import errors
from authservice.config import PUBLISHED_SECRETS
from authservice.web.observability import METRICS_MEDIA_TYPE
from tests.api.answers import assert_ok
from tests.conftest import SECRET

OF_BODY = {400, 413, 415, 422}
OF_GUARD = {401, 500, 503}
EXPECTED = {
    ("/users", "post"): {201, 409, 500, 503} | OF_BODY,
    ("/users/test", "get"): {200} | OF_GUARD,
    ("/users/me", "get"): {200} | OF_GUARD,
    ("/users/me", "delete"): {204, 403, 409} | OF_GUARD | OF_BODY,
    ("/users/me/password", "put"): {200, 403} | OF_GUARD | OF_BODY,
    ("/auth", "post"): {200, 401, 500, 503} | OF_BODY,
    ("/auth", "delete"): {204, 401, 403, 500, 503} | OF_BODY,
    ("/auth/refresh", "post"): {200, 401, 403, 500, 503} | OF_BODY,
    ("/auth/sessions", "get"): {200} | OF_GUARD,
    ("/auth/sessions", "delete"): {204, 422} | OF_GUARD,
    ("/auth/sessions/{session_id}", "delete"): {204, 404} | OF_GUARD,
    ("/auth/verify", "get"): {204, 403, 422} | OF_GUARD,
    ("/admin/users", "get"): {200, 403, 422} | OF_GUARD,
    ("/admin/users/{user_id}", "get"): {200, 403, 404} | OF_GUARD,
    ("/admin/users/{user_id}", "patch"): {200, 403, 404, 409} | OF_GUARD | OF_BODY,
    ("/admin/users/{user_id}", "delete"): {204, 403, 404, 409} | OF_GUARD,
    ("/admin/users/{user_id}/sessions", "delete"): {204, 403, 404} | OF_GUARD,
    ("/healthz", "get"): {200, 500},
    ("/readyz", "get"): {200, 500, 503},
    ("/metrics", "get"): {200, 404, 500},
}
OPEN = {("/users", "post"), ("/auth", "post"), ("/auth", "delete"), ("/auth/refresh", "post")}  # and health, metrics


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
    assert described == EXPECTED


def test_every_refusal_is_described_as_a_problem_and_by_a_code_that_exists(operations):
    codes = {(one.status, one.code) for one in every_refusal(errors.Refusal)}
    for operation in operations.values():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert answer["content"].keys() == {"application/problem+json"}
                named = re.findall(r"`(\w+)`", answer["description"])
                assert named
                assert {(int(status), code) for code in named} <= codes
            elif int(status) == 204:
                assert "content" not in answer
            else:
                assert answer["content"].keys() <= {"application/json", METRICS_MEDIA_TYPE}


def every_refusal(refusal):
    for child in refusal.__subclasses__():
        if hasattr(child, "code"):
            yield child
        yield from every_refusal(child)


def test_guarded_routes_name_the_bearer_scheme_and_no_other_does(description, operations):
    assert description["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    guarded = {operation for operation, one in operations.items() if one.get("security") == [{"bearer": []}]}
    assert guarded == {operation for operation, statuses in EXPECTED.items() if 401 in statuses} - OPEN


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
