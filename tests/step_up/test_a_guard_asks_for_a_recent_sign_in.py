"""``recent_authentication`` beneath our guard and flask-jwt-extended's own: who passes, and what others are told."""

import flask_jwt_extended
import jwt
import pytest

from authservice import jwt_required, recent_authentication
from tests.api.answers import assert_ok, assert_problem, assert_step_up_required
from tests.conftest import SECRET, bearer
from tests.service import ROOT

OURS, THEIRS = jwt_required, flask_jwt_extended.jwt_required
TWO_FACTORS = ("pwd", "otp", "mfa")


@pytest.fixture(params=[OURS, THEIRS], ids=["ours", "theirs"])
def app(app, request):
    for path, options in (
        ("/600", {}),
        ("/60", {"max_age": 60}),
        ("/aal2", {"acr": "aal2"}),
        ("/aal1", {"acr": "aal1"}),
    ):
        app.add_url_rule(
            path, path, request.param()(recent_authentication(**options)(dict)), methods=["GET", "OPTIONS"]
        )
    app.add_url_rule("/optional", "optional", THEIRS(optional=True)(recent_authentication()(dict)))
    section = (ROOT / "README.md").read_text().split("\n### Recent sign-ins\n", 1)[1]
    example = {}
    exec(section.split("```python\n", 1)[1].split("```", 1)[0], example)
    example["add_routes"](app)
    return app


@pytest.mark.parametrize(
    ("path", "seconds", "amr"),
    [
        ("/600", 0, ["pwd"]),
        ("/600", 590, ["pwd"]),
        ("/60", 50, ["pwd"]),
        ("/aal1", 590, ["pwd"]),
        ("/aal1", 590, TWO_FACTORS),
        ("/aal2", 590, TWO_FACTORS),
        ("/aal2", 590, ["hwk", "user", "mfa"]),
    ],
)
def test_a_recent_sign_in_passes(client, token_of, path, seconds, amr):
    assert_ok(client.get(path, headers=bearer(token_of(seconds, *amr))))


@pytest.mark.parametrize(
    ("path", "seconds", "amr", "required"),
    [
        ("/600", 601, ["pwd"], (600,)),
        ("/600", -700, ["pwd"], (600,)),  # the clock was set back
        ("/60", 61, TWO_FACTORS, (60,)),
        ("/aal1", 601, ["pwd"], (600, "aal1")),
        ("/aal2", 0, ["pwd"], (600, "aal2")),
        ("/aal2", 0, ["pwd", "otp"], (600, "aal2")),
        ("/aal2", 601, TWO_FACTORS, (600, "aal2")),
    ],
)
def test_others_are_told_what_is_required(client, token_of, path, seconds, amr, required):
    assert_step_up_required(client.get(path, headers=bearer(token_of(seconds, *amr))), *required)


def test_a_user_with_a_second_step_always_needs_it(client, token_of, two_step):
    for path in ("/600", "/aal1", "/aal2"):
        answer = client.get(path, headers=bearer(token_of(0, "pwd")))
        assert_step_up_required(answer, acr="aal2")
        assert_ok(client.get(path, headers=bearer(token_of(0, *TWO_FACTORS))))


@pytest.mark.parametrize("confirmed_at", [None, True, 1, "2026-01-01", [], {}])
@pytest.mark.parametrize("path", ["twoStep", "twoStep.totp", "twoStep.totp.confirmedAt"])
def test_only_a_date_makes_a_second_step(client, token_of, database, path, confirmed_at):
    token = token_of(0, "pwd")
    assert database.users.update_one({}, {"$set": {path: confirmed_at}}).modified_count == 1
    assert_ok(client.get("/600", headers=bearer(token)))


@pytest.mark.parametrize("auth_time", [None, "now", 1e12])
def test_a_token_that_does_not_say_when_is_not_recent(client, alice, auth_time):
    claims = jwt.decode(alice, options={"verify_signature": False})
    del claims["auth_time"], claims["amr"], claims["acr"]
    more = {} if auth_time is None else {"auth_time": auth_time}
    assert_step_up_required(client.get("/600", headers=bearer(jwt.encode({**claims, **more}, SECRET))))


def test_the_example_of_the_readme(client, token_of):
    assert_step_up_required(client.delete("/projects", headers=bearer(token_of(610, "pwd"))))
    assert client.delete("/projects", headers=bearer(token_of(590, "pwd"))).status_code == 204


def test_who_is_not_signed_in_is_told_so(client):
    for method, path in (("GET", "/600"), ("OPTIONS", "/600"), ("GET", "/optional")):
        assert_problem(client.open(path, method=method), 401, "token_missing")


@pytest.mark.parametrize("options", [{"max_age": 0}, {"max_age": True}, {"max_age": "600"}, {"acr": "aal3"}])
def test_a_wrong_age_or_level_is_a_fault_at_once(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        recent_authentication(**options)
