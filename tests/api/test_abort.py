"""``abort`` in a route of an app: its status, text and headers reach the caller as problem details."""

from http import HTTPStatus

import pytest
from flask import abort, make_response, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Conflict, HTTPException, InternalServerError, TooManyRequests, Unauthorized

from tests.api.answers import assert_ok, captured_log
from tests.service import ROOT

REALM = 'Bearer realm="authservice"'
CODES = {
    400: "request_malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    410: "gone",
    412: "precondition_failed",
    413: "body_too_large",
    414: "uri_too_long",
    415: "media_type_unsupported",
    416: "range_not_satisfiable",
    418: "im_a_teapot",
    422: "unprocessable_content",
    423: "locked",
    428: "precondition_required",
    429: "too_many_requests",
    431: "headers_too_large",
    451: "unavailable_for_legal_reasons",
    501: "not_implemented",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}


@pytest.fixture
def answer(app):
    """The answer of a route that calls ``act``."""

    def ask(act):
        app.add_url_rule("/own", "own", act)
        return app.test_client().get("/own")

    return ask


def assert_problem(answer, status, code, detail=None):
    assert (answer.status_code, answer.headers.getlist("Content-Type")) == (status, ["application/problem+json"])
    problem = answer.get_json(force=True)
    assert problem.keys() == {"type", "title", "status", "detail", "code", "requestId"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:authservice:problem:{code}"
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    assert problem["title"]
    assert problem["detail"]
    assert detail in (None, problem["detail"])
    assert answer.headers["Cache-Control"] == "no-store"
    return problem


@pytest.mark.parametrize(("status", "code"), CODES.items())
def test_status_and_words_pass_through(answer, status, code):
    with captured_log() as log:
        refused = answer(lambda: abort(status, description="my words: \u00fc, <b>"))
    assert_problem(refused, status, code, "my words: \u00fc, <b>")
    assert f'"code": "{code}"' in log.getvalue()
    assert "crash" not in log.getvalue()


@pytest.mark.parametrize(("status", "code"), CODES.items())
def test_without_words_there_are_some(answer, status, code):
    assert_problem(answer(lambda: abort(status)), status, code)


@pytest.mark.parametrize("status", [403, 409, 410, 418, 422, 429, 503])
def test_the_words_may_stand_second(answer, status):
    assert_problem(answer(lambda: abort(status, "my words")), status, CODES[status], "my words")


def test_the_titles_are_those_of_http(answer):
    assert assert_problem(answer(lambda: abort(409)), 409, "conflict")["title"] == "Conflict"


def test_no_code_depends_on_the_version_of_python():
    """Python 3.13 renamed 422. It also renamed 413, 414 and 416, which have codes of our own."""
    renamed = {413, 414, 416, 422}
    ours = {400, 415, 431}
    for status in CODES.keys() - renamed - ours:
        assert CODES[status] == HTTPStatus(status).name.lower()


def test_the_readme_names_codes_that_are_given():
    (sentence,) = [one for one in (ROOT / "README.md").read_text().split("\n\n") if "`abort(" in one]
    for code in ("forbidden", "conflict", "gone", "unprocessable_content", "too_many_requests", "service_unavailable"):
        assert f"`{code}`" in sentence


def test_a_401_comes_with_a_challenge(answer):
    refused = answer(lambda: abort(401, "my words"))
    assert_problem(refused, 401, "unauthorized", "my words")
    assert refused.headers.getlist("WWW-Authenticate") == [REALM]


def test_challenges_of_the_route_s_own_are_kept(answer):
    def act():
        raise Unauthorized("my words", www_authenticate=[WWWAuthenticate("basic", {"realm": name}) for name in "ab"])

    refused = answer(act)
    assert_problem(refused, 401, "unauthorized", "my words")
    assert refused.headers.getlist("WWW-Authenticate") == ["Basic realm=a", "Basic realm=b"]


@pytest.mark.parametrize(("status", "code"), [(429, "too_many_requests"), (503, "service_unavailable")])
def test_retry_after_is_kept(answer, status, code):
    refused = answer(lambda: abort(status, "my words", retry_after=30))
    assert_problem(refused, status, code, "my words")
    assert refused.headers.getlist("Retry-After") == ["30"]


def test_allow_is_kept(answer):
    assert answer(lambda: abort(405, valid_methods=["PUT", "DELETE"])).headers["Allow"] == "PUT, DELETE"


def test_content_range_is_kept(answer):
    assert answer(lambda: abort(416, length=7)).headers["Content-Range"] == "bytes */7"


def test_headers_of_an_exception_of_one_s_own_are_kept(answer):
    class Busy(TooManyRequests):
        description = "come back later"

        def get_headers(self, *args, **kwargs):
            return [
                *super().get_headers(*args, **kwargs),
                ("RateLimit-Policy", "a"),
                ("RateLimit-Policy", "b"),
                ("Cache-Control", "no-store, private"),
            ]

    def act():
        raise Busy

    refused = answer(act)
    assert refused.get_json(force=True)["detail"] == "come back later"
    assert refused.headers.getlist("RateLimit-Policy") == ["a", "b"]
    assert refused.headers.getlist("Cache-Control") == ["no-store, private"]
    assert refused.headers.getlist("Content-Type") == ["application/problem+json"]


def test_a_status_that_http_does_not_know_has_a_code_as_well(answer):
    class Odd(HTTPException):
        code = 499
        description = "my words"

    def act():
        raise Odd

    assert_problem(answer(act), 499, "status_499", "my words")


@pytest.mark.parametrize(
    "act",
    [
        lambda: abort(make_response({"mine": True}, 409, {"X-Mine": "1"})),
        lambda: abort(409, response=make_response({"mine": True}, 409, {"X-Mine": "1"})),
    ],
)
def test_a_response_is_answered_as_it_is(answer, act):
    refused = answer(act)
    assert (refused.status_code, refused.headers["X-Mine"]) == (409, "1")
    assert refused.get_json() == {"mine": True}


def test_words_that_are_no_text_become_text(answer):
    def act():
        raise Conflict({"a": 1})

    assert_problem(answer(act), 409, "conflict", "{'a': 1}")


def _wrapped():
    raise InternalServerError("my words", original_exception=ValueError("my words"))


@pytest.mark.parametrize("act", [lambda: abort(500, "my words"), lambda: abort(500), _wrapped])
def test_a_500_tells_nothing(answer, act):
    with captured_log() as log:
        refused = answer(act)
    problem = assert_problem(refused, 500, "internal_error")
    assert "my words" not in refused.text
    assert problem["detail"] == "The error was logged. Include the request id when you report it."
    assert '"event": "crash"' in log.getvalue()
    assert "my words" not in log.getvalue()


def test_an_unknown_status_is_a_crash(answer):
    assert_problem(answer(lambda: abort(599, "my words")), 500, "internal_error")


@pytest.mark.parametrize("status", [404, 409, 503])
def test_a_handler_of_one_s_own_is_asked_first(app, answer, status):
    app.register_error_handler(status, lambda error: ({"mine": error.description}, status))
    refused = answer(lambda: abort(status, "my words"))
    assert (refused.status_code, refused.get_json()) == (status, {"mine": "my words"})


def test_what_werkzeug_refuses_by_itself_keeps_its_code_and_words(app):
    @app.post("/own")
    def own():
        return {"field": request.form["field"], "json": request.get_json()}

    client = app.test_client()
    assert_problem(client.post("/own"), 400, "request_malformed", "The request is not valid HTTP.")
    assert_problem(client.post("/own", data={"field": "1"}), 415, "media_type_unsupported")
    assert_problem(
        client.get("/nowhere"), 404, "not_found", "No route has this path. GET /openapi.json lists them all."
    )
    wrong = client.get("/own")
    assert_problem(wrong, 405, "method_not_allowed", "The Allow header lists the methods of this path.")
    assert set(wrong.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert_ok(client.get("/healthz"))
