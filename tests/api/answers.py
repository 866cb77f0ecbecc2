"""What every answer of the service must look like."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.test import TestResponse

from authservice.web.logs import JSONFormatter

REALM = 'Bearer realm="authservice"'
RETRY_AFTER_SECONDS = {
    "hashing_busy": "1",
    "database_unavailable": "2",
    "second_factor_unavailable": "60",
    "users_collection_unfit": "60",
}
TOKEN_CODES = {"token_invalid", "token_expired"}


def assert_ok(answer: TestResponse, status: int = 200) -> dict:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json"), answer.text
    assert "WWW-Authenticate" not in answer.headers
    return answer.get_json()


def assert_problem(
    answer: TestResponse, status: int, code: str, *faults: tuple[str, str], challenge: str | None = None, **more: object
) -> dict:
    """``faults`` are all the (pointer, code) of a 422, in any order; ``more`` are its further members."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
    problem = json.loads(answer.data)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:authservice:problem:{code}"
    assert problem["requestId"] == answer.headers["X-Request-Id"] != ""
    assert problem["title"]
    assert problem["detail"]
    assert answer.headers["Cache-Control"] == "no-store"

    members = {"type", "title", "status", "detail", "code", "requestId", *more}
    assert {name: problem.get(name) for name in more} == more
    if status == 422:
        members.add("errors")
        assert sorted((one["pointer"], one["code"]) for one in problem["errors"]) == sorted(faults)
        assert all(one.keys() == {"pointer", "code", "detail"} and one["detail"] for one in problem["errors"])
    assert problem.keys() == members

    if status == 401:
        challenge = REALM
        if code in TOKEN_CODES:
            challenge += f', error="invalid_token", error_description="{problem["detail"]}"'
    assert answer.headers.get("WWW-Authenticate") == challenge
    if code == "too_many_attempts":  # it depends on the budget
        assert int(answer.headers["Retry-After"]) >= 1
    else:
        assert answer.headers.get("Retry-After") == RETRY_AFTER_SECONDS.get(code)
    return problem


def assert_step_up_required(answer: TestResponse, max_age: int | None = 600, acr: str | None = None) -> None:
    """To the letter. Source: RFC 9470 section 3."""
    detail = "Prove again who you are with POST /auth/step-up, then repeat this request with the token it answers."
    said = [("error", "insufficient_user_authentication"), ("error_description", detail)]
    more: dict[str, object] = {}
    if max_age is not None:
        said.append(("max_age", str(max_age)))
        more["maxAge"] = max_age
    if acr is not None:
        said.append(("acr_values", acr))
        more["acrValues"] = acr
    challenge = ", ".join([REALM, *(f'{name}="{value}"' for name, value in said)])
    assert_problem(answer, 403, "step_up_required", challenge=challenge, detail=detail, **more)


@contextmanager
def captured_log() -> Iterator[io.StringIO]:
    """What the service and the libraries log in the ``with`` block, in the format of the service."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JSONFormatter())
    loggers = [logging.getLogger(), logging.getLogger("authservice")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield log
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
