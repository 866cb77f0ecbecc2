"""A code of the app, or a recovery code, is good for one session, also among many requests at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from bson import Int64

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, bearer
from tests.second_steps.conftest import (
    KEY,
    MOMENT,
    RECOVERY_CODES,
    assert_wrong,
    begin,
    code,
    code_now,
    second,
    sessions_of,
    two_step_of,
    wrong_codes,
)


@pytest.fixture
def post(serve, enrolled):
    """``post(path, body)`` to a real gunicorn of two workers."""
    service = serve(workers=2, FLASK_ENCRYPTION_KEYS=KEY, FLASK_MONGO_TIMEOUT_MS="30000")
    return lambda path, body: requests.post(service.url + path, json=body, timeout=30)


def at_once(post, *proofs):
    """Status and body of each second step, all sent at once after one right password."""
    continuation = post("/auth", {"email": ALICE, "password": PASSWORD}).json()["continuation"]
    with ThreadPoolExecutor(len(proofs)) as pool:
        answers = pool.map(lambda proof: post("/auth/second", {"continuation": continuation, **proof}), proofs)
        return [*answers]


def statuses(answers):
    return sorted(answer.status_code for answer in answers)


def test_a_code_of_the_app_is_good_once(client, enrolled, database):
    used = code()
    assert_ok(second(client, begin(client), totp=used))
    assert_wrong(second(client, begin(client), totp=used))
    assert len(sessions_of(database)) == 1


@pytest.mark.parametrize("proof", [{"totp": code()}, {"recoveryCode": RECOVERY_CODES[0]}], ids=["totp", "recovery"])
def test_what_was_spent_since_it_was_judged_is_refused(client, enrolled, database, after_judging, proof):
    continuation = begin(client)
    after_judging(lambda: assert_ok(second(client, continuation, **proof)))
    assert_wrong(second(client, continuation, **proof))
    assert len(sessions_of(database)) == 1


def test_of_the_same_code_at_once_one_passes(post, database):
    answers = at_once(post, *[{"totp": code_now()}] * 20)
    assert statuses(answers).count(200) == 1
    assert set(statuses(answers)) <= {200, 401, 429}
    assert len(sessions_of(database)) == 1


def test_a_code_counts_one_step_either_way_and_never_backwards(client, enrolled, database):
    for steps in (-1, 0, 1):
        assert_ok(second(client, begin(client), totp=code(steps)))
    assert_wrong(second(client, begin(client), totp=code(0)))


@pytest.mark.parametrize("steps", [-3, 3])
def test_two_steps_away_is_too_far(client, enrolled, steps):
    assert_wrong(second(client, begin(client), totp=code(steps)))


def test_the_code_that_set_it_up_is_spent(client, enrolled, database):
    step = int(MOMENT.timestamp()) // 30 + 1
    database.users.update_one({"email": ALICE}, {"$set": {"twoStep.totp.lastStep": Int64(step)}})
    for steps in (-1, 0):
        assert_wrong(second(client, begin(client), totp=code(steps)))
    assert sessions_of(database) == []


@pytest.mark.parametrize("typed", [RECOVERY_CODES[0], RECOVERY_CODES[0].upper(), RECOVERY_CODES[0].replace("-", " ")])
def test_a_recovery_code_is_good_once(client, enrolled, database, typed):
    assert_ok(second(client, begin(client), recoveryCode=typed))
    assert_wrong(second(client, begin(client), recoveryCode=typed))
    assert_ok(second(client, begin(client), recoveryCode=RECOVERY_CODES[1]))
    answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD}).get_json()
    assert answer["methods"] == ["totp"]
    assert len(sessions_of(database)) == 2


def test_of_the_same_recovery_code_at_once_one_passes(post, database):
    answers = at_once(post, *[{"recoveryCode": RECOVERY_CODES[0]}] * 20)
    assert statuses(answers) == [200] + [401] * 19
    assert len(sessions_of(database)) == len(two_step_of(database)["recoveryCodes"]) == 1


def test_of_many_wrong_codes_at_once_five_are_judged_and_a_recovery_code_still_passes(post, database):
    answers = at_once(post, *({"totp": text} for text in wrong_codes(50)))
    judged = statuses(answers).count(401)
    assert 1 <= judged <= 5
    assert statuses(answers) == [401] * judged + [429] * (50 - judged)
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 429)
    assert two_step_of(database)["failures"] == judged
    answers = at_once(post, *[{"recoveryCode": RECOVERY_CODES[0]}] * 20)
    assert statuses(answers) == [200] + [401] * 19
    assert two_step_of(database)["failures"] == 0


def test_a_use_is_told_by_mail(make_app, enrolled, database, sink):
    client = make_app(**sink.settings, MAIL_DELIVERY="off").test_client()
    database.users.update_one({"email": ALICE}, {"$set": {"devices": []}})  # a new device is told of too
    assert_ok(second(client, begin(client), recoveryCode=RECOVERY_CODES[0]))
    mails = database.users.find_one({"email": ALICE})["mails"]
    assert sorted(mail["kind"] for mail in mails) == ["new_device", "recovery_code_used"]


def test_a_use_at_a_step_up_is_told_by_mail_too(make_app, enrolled, database, sink):
    client = make_app(**sink.settings, MAIL_DELIVERY="off").test_client()
    token = assert_ok(second(client, begin(client), totp=code()))["token"]
    assert_ok(client.post("/auth/step-up", json={"recoveryCode": RECOVERY_CODES[0]}, headers=bearer(token)))
    (mail,) = database.users.find_one({"email": ALICE})["mails"]
    assert mail["kind"] == "recovery_code_used"


def test_a_step_up_spends_them_too(client, enrolled, database):
    token = assert_ok(second(client, begin(client), totp=code(-1)))["token"]
    for proof in ({"totp": code(0)}, {"recoveryCode": RECOVERY_CODES[0]}):
        assert_ok(client.post("/auth/step-up", json=proof, headers=bearer(token)))
        assert_problem(client.post("/auth/step-up", json=proof, headers=bearer(token)), 401, "second_factor_wrong")
        assert_wrong(second(client, begin(client), **proof))
