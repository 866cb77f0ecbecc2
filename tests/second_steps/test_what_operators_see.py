"""A wrong second factor is told apart from a wrong password: it means that somebody else may have the password."""

import json

import pytest

from tests.api.answers import assert_ok, captured_log
from tests.second_steps.conftest import assert_wrong, begin, code, second, wrong_codes


@pytest.fixture
def seen(client):
    """``seen(do)``: the outcomes of sign-ins in the log while it does, and the growth of the metric by outcome."""

    def figures():
        lines = client.get("/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("authservice_sign_ins_total{"))
        return {name: float(value) for name, value in pairs}

    def watch(do):
        before = figures()
        with captured_log() as log:
            do()
        after = figures()
        events = [json.loads(line) for line in log.getvalue().splitlines()]
        return (
            [event["outcome"] for event in events if event["event"] == "sign_in"],
            {name for name, value in after.items() if value > before.get(name, 0)},
        )

    return watch


def figure(outcome, device="new"):
    return f'authservice_sign_ins_total{{device="{device}",outcome="{outcome}"}}'


def test_each_outcome_has_its_name(client, enrolled, seen):
    continuation = begin(client)
    assert seen(lambda: begin(client)) == (["second_step"], {figure("second_step")})
    wrong = wrong_codes(1)[0]
    outcome = "second_factor_wrong"
    assert seen(lambda: assert_wrong(second(client, continuation, totp=wrong))) == ([outcome], {figure(outcome)})
    assert seen(lambda: assert_ok(second(client, continuation, totp=code()))) == (["ok"], {figure("ok")})


def test_a_known_device_is_named(client, enrolled, seen):
    device = assert_ok(second(client, begin(client), totp=code(-1)))["deviceToken"]
    assert seen(lambda: begin(client, deviceToken=device))[1] == {figure("second_step", "known")}
    wrong, continuation = wrong_codes(1)[0], begin(client)
    _, grown = seen(lambda: assert_wrong(second(client, continuation, totp=wrong, deviceToken=device)))
    assert grown == {figure("second_factor_wrong", "known")}


def test_strangers_raise_no_false_alarm(client, enrolled, seen):
    assert seen(lambda: assert_wrong(second(client, "x", totp=code()))) == (["refused"], {figure("refused")})


def test_attempts_that_were_refused_count(client, enrolled, database):
    database.users.update_one({}, {"$set": {"twoStep.failures": 100}})
    name = 'authservice_attempts_refused_total{budget="second_step"}'

    def figure():
        (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
        return float(line.rsplit(" ", 1)[1])

    before = figure()
    assert second(client, begin(client), totp=code()).status_code == 429
    assert figure() == before + 1
