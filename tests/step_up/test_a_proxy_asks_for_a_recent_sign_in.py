"""GET /auth/verify?maxAge=&acr=: what ``recent_authentication`` asks for, for other services."""

import pytest

from tests.api.answers import assert_problem, assert_step_up_required
from tests.conftest import bearer

TWO_FACTORS = ("pwd", "otp", "mfa")


def verify(client, query, token):
    return client.get(f"/auth/verify?{query}", headers=bearer(token))


@pytest.mark.parametrize("query", ["", "maxAge=60", "acr=aal1", "maxAge=60&acr=aal1"])
def test_a_recent_sign_in_passes(client, token_of, query):
    assert verify(client, query, token_of(30, "pwd")).status_code == 204


@pytest.mark.parametrize("query", ["", "maxAge=60", "acr=aal2", "maxAge=60&acr=aal2"])
def test_two_factors_pass_for_everybody(client, token_of, two_step, query):
    assert verify(client, query, token_of(30, *TWO_FACTORS)).status_code == 204


@pytest.mark.parametrize(
    ("query", "max_age", "acr"),
    [
        ("maxAge=60", 60, None),
        ("acr=aal2", None, "aal2"),
        ("maxAge=61&acr=aal1", 61, "aal1"),
        ("maxAge=600&acr=aal2", 600, "aal2"),
    ],
)
def test_others_are_told_what_is_required(client, token_of, query, max_age, acr):
    assert_step_up_required(verify(client, query, token_of(62, "pwd")), max_age, acr)


@pytest.mark.parametrize(("query", "max_age"), [("maxAge=60", 60), ("acr=aal1", None)])
def test_a_user_with_a_second_step_needs_it_where_anything_is_asked(client, token_of, two_step, query, max_age):
    token = token_of(0, "pwd")
    assert verify(client, "", token).status_code == 204
    assert_step_up_required(verify(client, query, token), max_age, "aal2")


def test_an_old_sign_in_with_two_factors_still_has_two(client, token_of):
    assert verify(client, "acr=aal2", token_of(86_400, *TWO_FACTORS)).status_code == 204


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        *((f"maxAge={text}", "/maxAge", "out_of_range") for text in ("", "0", "-1", "1.5", "ten", "315360001")),
        *((f"acr={text}", "/acr", "unknown_value") for text in ("", "aal3", "AAL2", "aal1%20aal2")),
        ("max_age=60", "/max_age", "unknown_field"),
    ],
)
def test_a_wrong_value_opens_nothing(client, alice, query, pointer, code):
    assert_problem(verify(client, query, alice), 422, "validation_failed", (pointer, code))


def test_a_missing_role_is_told_first(client, alice):
    answer = verify(client, "role=admin&acr=aal2", alice)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "role_missing")
