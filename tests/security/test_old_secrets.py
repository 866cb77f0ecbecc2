"""A new FLASK_JWT_SECRET_KEY signs nobody out while FLASK_JWT_OLD_SECRET_KEYS has the one of before."""

import jwt
import pytest

from authservice.config import ConfigurationError, load
from authservice.security import devices, one_time
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, SECRET, bearer, make_account, state_of
from tests.mail.test_links_and_codes import ASKING

NEW = "a-new-secret-of-more-than-32-bytes-0123456789"
OLDER = "an-older-secret-of-more-than-32-bytes-9876543210"
PRODUCTION = {
    "FLASK_ENV": "production",
    "FLASK_MONGO_URI": "mongodb://127.0.0.1:27017/authexample",
    "FLASK_JWT_SECRET_KEY": SECRET,
    "FLASK_CORS_ORIGINS": "",
    "FLASK_METRICS": "off",
    "FLASK_TRUSTED_PROXIES": "0",
}


@pytest.fixture
def rotated(make_app):
    return make_app(JWT_SECRET_KEY=NEW, JWT_OLD_SECRET_KEYS=f"{OLDER}, {SECRET}").test_client()


@pytest.fixture
def signed_in(client):
    make_account(client, ALICE)
    return assert_ok(client.post("/auth", json={"email": ALICE, "password": PASSWORD}))


def test_who_was_signed_in_before_stays_so(signed_in, rotated):
    assert_ok(rotated.get("/users/test", headers=bearer(signed_in["token"])))
    refreshed = assert_ok(rotated.post("/auth/refresh", json={"refreshToken": signed_in["refreshToken"]}))
    assert_ok(rotated.get("/users/test", headers=bearer(refreshed["token"])))
    assert jwt.decode(refreshed["token"], NEW, ["HS256"])["email"] == ALICE
    assert jwt.get_unverified_header(refreshed["token"]) == {"alg": "HS256", "typ": "JWT"}


def test_what_the_new_secret_signs_needs_no_old_one(signed_in, rotated, make_app):
    refreshed = assert_ok(rotated.post("/auth/refresh", json={"refreshToken": signed_in["refreshToken"]}))
    later = make_app(JWT_SECRET_KEY=NEW).test_client()
    assert_ok(later.post("/auth/refresh", json={"refreshToken": refreshed["refreshToken"]}))
    assert_problem(later.get("/users/test", headers=bearer(signed_in["token"])), 401, "token_invalid")


def test_a_secret_that_is_not_listed_is_refused(signed_in, make_app):
    other = make_app(JWT_SECRET_KEY=NEW, JWT_OLD_SECRET_KEYS=OLDER).test_client()
    assert_problem(other.get("/users/test", headers=bearer(signed_in["token"])), 401, "token_invalid")
    refused = other.post("/auth/refresh", json={"refreshToken": signed_in["refreshToken"]})
    assert_problem(refused, 401, "token_invalid")


def test_an_old_secret_is_still_good_for_its_own_type_alone(signed_in, rotated):
    claims = jwt.decode(signed_in["token"], SECRET, ["HS256"])
    as_refresh = jwt.encode({**claims, "type": "refresh"}, SECRET, "HS256")
    assert_problem(rotated.post("/auth/refresh", json={"refreshToken": as_refresh}), 401, "token_invalid")
    assert_problem(rotated.get("/users/test", headers=bearer(as_refresh)), 401, "token_invalid")


def test_devices_links_and_codes_of_before_are_known(app, rotated):
    with app.app_context():
        device = devices.new_token()
        link, code = one_time.link_token(*ASKING), one_time.code(*ASKING)
    with rotated.application.app_context():
        assert devices.own(device) == device
        assert one_time.matches_token(link, *ASKING)
        assert one_time.matches_code(code, *ASKING)
        assert one_time.link_token(*ASKING) != link
        assert not devices.own(device[:-1] + ("0" if device[-1] != "0" else "1"))
        assert not one_time.matches_code(str((int(code) + 1) % 10**8).zfill(8), *ASKING)
        assert state_of(rotated.application).settings["JWT_OLD_SECRET_KEYS"] == (OLDER, SECRET)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("", "has a secret that must have at least 32 bytes; make one with: openssl rand -hex 32"),
        (f"{OLDER},", "has a secret that must have at least 32 bytes; make one with: openssl rand -hex 32"),
        (f"{OLDER},hunter2", "has a secret that must have at least 32 bytes; make one with: openssl rand -hex 32"),
        (
            "your-256-bit-secret",
            "has a secret that is a published example, so anybody could sign tokens with it; "
            "make one with: openssl rand -hex 32",
        ),
        (",".join([OLDER] * 4), "must be at most 3 secrets, separated by commas, not 4"),
    ],
)
def test_an_old_secret_must_be_as_good_as_the_new_one(given, fault):
    with pytest.raises(ConfigurationError) as raised:
        load({"FLASK_JWT_OLD_SECRET_KEYS": given})
    assert raised.value.faults == [f"FLASK_JWT_OLD_SECRET_KEYS {fault}"]


def test_production_refuses_an_old_secret_of_few_different_bytes():
    with pytest.raises(ConfigurationError) as raised:
        load({**PRODUCTION, "FLASK_JWT_OLD_SECRET_KEYS": f"{OLDER},{'abc' * 20}"})
    assert raised.value.faults == [
        "FLASK_JWT_OLD_SECRET_KEYS has a secret that must have at least 12 different bytes with FLASK_ENV=production; "
        "make one with: openssl rand -hex 32"
    ]
    assert load({**PRODUCTION, "FLASK_JWT_OLD_SECRET_KEYS": OLDER})["JWT_OLD_SECRET_KEYS"] == (OLDER,)


def test_a_file_can_hold_them(tmp_path):
    file = tmp_path / "old"
    file.write_text(f"{OLDER},{SECRET}\n")
    assert load({"FLASK_JWT_OLD_SECRET_KEYS_FILE": str(file)})["JWT_OLD_SECRET_KEYS"] == (OLDER, SECRET)
