"""New recovery codes void the old ones."""

from authservice.security import recovery_codes
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import bearer


def test_ten_new_ones_and_no_old_one(client, enrolled, stored, factors_of):
    _, answer = enrolled
    replaced = client.post("/users/me/recovery-codes", headers=bearer(answer["token"]))
    assert replaced.headers["Cache-Control"] == "no-store"
    codes = assert_ok(replaced)["recoveryCodes"]
    assert assert_ok(replaced).keys() == {"recoveryCodes"}
    assert len({*codes, *answer["recoveryCodes"]}) == 20
    assert stored()["twoStep"]["recoveryCodes"] == [recovery_codes.hash_of(code) for code in codes]
    assert factors_of(answer["token"])["recoveryCodes"] == 10


def test_who_has_no_app_has_no_recovery_codes(client, alice, stored):
    assert_problem(client.post("/users/me/recovery-codes", headers=bearer(alice)), 409, "two_steps_off")
    assert "twoStep" not in stored()
