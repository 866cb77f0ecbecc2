"""Alice has two steps on, set in the database, so that no test depends on how one enrols."""

import base64
from datetime import UTC, datetime

import pyotp
import pytest
from bson import Int64

from authservice.security import encryption, recovery_codes
from authservice.step_up import judging
from tests.api.answers import assert_problem
from tests.conftest import ALICE, PASSWORD, make_account

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
TOTP_SECRET = pyotp.random_base32()
MOMENT = datetime.now(UTC)  # of the codes, so that no step ends within a test
RECOVERY_CODES = ["aaaa-bbbb-cccc-dddd", "eeee-ffff-gggg-hhhh"]


@pytest.fixture
def settings(settings):
    return {**settings, "ENCRYPTION_KEYS": KEY}


@pytest.fixture(autouse=True)
def _the_clock_of_codes_stands(monkeypatch):
    monkeypatch.setattr(judging, "now", lambda: MOMENT)


@pytest.fixture
def enrolled(client, app, database):
    """Alice's account, with TOTP and two recovery codes, and without a session."""
    make_account(client, ALICE)
    enrol(app, database, ALICE)


@pytest.fixture
def after_judging(monkeypatch):
    """``after_judging(do)``: between the look at the next proof and the write that spends it."""

    def set_up(do):
        judge = judging.judge

        def judge_slowly(*given):
            monkeypatch.setattr(judging, "judge", judge)
            judged = judge(*given)
            do()
            return judged

        monkeypatch.setattr(judging, "judge", judge_slowly)

    return set_up


def enrol(app, database, email, secret=TOTP_SECRET):
    user = database.users.find_one({"email": email})
    with app.app_context():
        encrypted = encryption.encrypt(str(user["_id"]), secret)
    two_step = {
        "totp": {"secret": encrypted, "confirmedAt": datetime.now(UTC), "lastStep": Int64(0)},
        "recoveryCodes": [recovery_codes.hash_of(code) for code in RECOVERY_CODES],
    }
    assert database.users.update_one({"email": email}, {"$set": {"twoStep": two_step}}).modified_count == 1


def code(steps=0, secret=TOTP_SECRET):
    """What the app shows, so many steps from MOMENT. One step either way is good."""
    return pyotp.TOTP(secret).at(MOMENT, counter_offset=steps)


def code_now():
    """For a gunicorn, whose clock goes on."""
    return pyotp.TOTP(TOTP_SECRET).now()


def wrong_codes(count, secret=TOTP_SECRET):
    """Codes of no step near MOMENT, or near now."""
    totp, steps = pyotp.TOTP(secret), range(-3, 4)
    good = {totp.at(moment, counter_offset=step) for moment in (MOMENT, datetime.now(UTC)) for step in steps}
    return [text for text in (f"{number:06}" for number in range(count + len(good))) if text not in good][:count]


def begin(client, email=ALICE, password=PASSWORD, **more):
    """The continuation that the right password is answered with."""
    answer = client.post("/auth", json={"email": email, "password": password, **more})
    return assert_required(answer)["continuation"]


def assert_required(answer, methods=("totp", "recoveryCode")):
    continuation = answer.get_json()["continuation"]
    return assert_problem(
        answer, 401, "second_factor_required", continuation=continuation, expiresIn=300, methods=[*methods]
    )


def second(client, continuation, **proof):
    return client.post("/auth/second", json={"continuation": continuation, **proof})


def assert_wrong(answer):
    return assert_problem(answer, 401, "second_factor_wrong")


def two_step_of(database, email=ALICE):
    return database.users.find_one({"email": email})["twoStep"]


def sessions_of(database, email=ALICE):
    return database.users.find_one({"email": email})["sessions"]
