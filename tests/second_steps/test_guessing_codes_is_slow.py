"""Five wrong codes are free; then there is a wait that doubles, and after a hundred the app's codes are closed."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, bearer
from tests.second_steps.conftest import (
    RECOVERY_CODES,
    assert_wrong,
    begin,
    code,
    second,
    two_step_of,
    wrong_codes,
)


def set_failures(database, failures, blocked_until=None):
    said = {"twoStep.failures": failures, "twoStep.blockedUntil": blocked_until}
    assert database.users.update_one({"email": ALICE}, {"$set": said}).matched_count == 1


def assert_too_many(answer, at_most):
    assert_problem(answer, 429, "too_many_attempts")
    assert at_most - 30 <= int(answer.headers["Retry-After"]) <= at_most


def test_after_five_wrong_codes_the_right_one_waits_too(client, enrolled):
    continuation = begin(client)
    for wrong in wrong_codes(5):
        assert_wrong(second(client, continuation, totp=wrong))
    assert_too_many(second(client, continuation, totp=code()), 60)


@pytest.mark.parametrize(("failures", "wait"), [(4, 60), (5, 120), (9, 1_920), (10, 3_600), (50, 3_600), (98, 3_600)])
def test_the_wait_doubles_up_to_an_hour(client, enrolled, database, failures, wait):
    set_failures(database, failures, datetime.now(UTC) - timedelta(seconds=1))
    continuation = begin(client)
    assert_wrong(second(client, continuation, totp=wrong_codes(1)[0]))
    assert_too_many(second(client, continuation, totp=code()), wait)


def test_a_success_takes_the_failures_back(client, enrolled, database):
    set_failures(database, 80)
    assert_ok(second(client, begin(client), totp=code(-1)))
    assert (two_step_of(database)["failures"], two_step_of(database)["blockedUntil"]) == (0, None)
    for wrong in wrong_codes(4):
        assert_wrong(second(client, begin(client), totp=wrong))
    assert_ok(second(client, begin(client), totp=code()))


def test_after_a_hundred_only_something_else_opens_it(client, enrolled, database):
    set_failures(database, 99)
    assert_wrong(second(client, begin(client), totp=wrong_codes(1)[0]))
    set_failures(database, 100, datetime.now(UTC) - timedelta(days=365))
    assert_too_many(second(client, begin(client), totp=code()), 3_600)
    assert_ok(second(client, begin(client), recoveryCode=RECOVERY_CODES[0]))
    assert_ok(second(client, begin(client), totp=code()))


def test_wrong_recovery_codes_take_no_attempt(client, enrolled, database):
    for number in range(8):
        assert_wrong(second(client, begin(client), recoveryCode=f"aaaa-bbbb-cccc-ddd{number}"))
    assert "failures" not in two_step_of(database)


def test_a_step_up_takes_attempts_too(client, enrolled, database):
    token = assert_ok(second(client, begin(client), totp=code()))["token"]
    for wrong in wrong_codes(5):
        answer = client.post("/auth/step-up", json={"totp": wrong}, headers=bearer(token))
        assert_problem(answer, 401, "second_factor_wrong")
    answer = client.post("/auth/step-up", json={"totp": wrong_codes(6)[5]}, headers=bearer(token))
    assert_too_many(answer, 60)


@pytest.mark.parametrize("continuation", ["", "x", "5c0dc18d349bc9479600c171:00~x~x", "é~é~é"])
def test_a_stranger_without_the_password_spends_none(client, enrolled, database, continuation):
    for wrong in wrong_codes(8):
        assert_wrong(second(client, continuation, totp=wrong))
    assert "failures" not in two_step_of(database)
    assert_ok(second(client, begin(client), totp=code()))


def test_the_limits_of_sign_ins_are_others(client, enrolled, make_app):
    assert client.application.extensions["authservice"].settings["LIMITS"] == "off"
    limited = make_app(LIMITS="on", LIMIT_SIGN_IN_ACCOUNT="1/1h").test_client()
    for wrong in wrong_codes(5):
        assert_wrong(second(limited, begin(limited), totp=wrong))
    assert_too_many(second(limited, begin(limited), totp=code()), 60)


@pytest.mark.parametrize("failures", [None, "many", [], {}, True, 2.5])
def test_a_counter_of_another_shape_starts_anew(client, enrolled, database, failures):
    set_failures(database, failures, "soon")
    assert_wrong(second(client, begin(client), totp=wrong_codes(1)[0]))
    assert two_step_of(database)["failures"] in (1, 2)
    assert_ok(second(client, begin(client), totp=code()))
